/* SPDX-License-Identifier: MIT */
/* offers.c - `resources`, `read` and `prompts`: what services offer beside tools. */
#include "cli/cli.h"
#include "cli/table.h"
#include "cli/view.h"

#include "value/pack.h"

#include <string.h>

/* Calls `method` of the service in the first operand, with one more text if there is a key. */
static int fetch(struct cli *cli, const char *method, const char *key, struct slice *ret)
{
    const struct args *args = cli->args;
    struct buf params;
    uint32_t count = 1;
    int wait_ms = TB_FOREVER;
    buf_init(&params, ARGUMENT_BYTES * 2);
    size_t opened = pack_open(&params);
    pack_put_key_text(&params, "service", args->operands[0]);
    count += put_option_text(&params, cli, OPTION_AGENT, "agent");
    count += put_option_text(&params, cli, OPTION_USER, "user");
    int code = put_timeout(cli, &params, &count, &wait_ms);
    if (key) {
        pack_put_key_text(&params, key, args->operands[1]);
        count++;
    }
    if (code == EXIT_FINE && key && strcmp(key, "prompt") == 0) {
        const char *object =
            args->operand_count > 2 ? args->operands[2] : args->values[OPTION_JSON_ARGS];
        pack_put_text(&params, "arguments");
        code = put_arguments(cli, object, true, &params);
        count++;
    }
    pack_close_map(&params, opened, count);
    if (code == EXIT_FINE) {
        code = cli_call(cli, method, &params, wait_ms, ret);
    }
    buf_done(&params);
    return code;
}

/* ---- resources ---------------------------------------------------------------------------- */

static void put_resources(struct cli *cli, struct slice entries, const char *uri_key)
{
    static const char *const titles[] = {"URI", "NAME", "TYPE", "SIZE", "DESCRIPTION"};
    struct slice entry;
    struct table table;
    struct view_list list = view_list(entries);
    table_init(&table, titles, 5, 0x8);
    while (view_next(&list, &entry)) {
        struct slice title = view_text(entry, "title");
        table_row(&table, MARK_NONE);
        table_cell(&table, view_text(entry, uri_key));
        table_cell(&table, title.len ? title : view_text(entry, "name"));
        table_cell(&table, view_text(entry, "mimeType"));
        table_int(&table, view_int(entry, "size", -1));
        table_cell(&table, view_text(entry, "description"));
    }
    if (table.marks.len) {
        table_put(&table, &cli->terminal, &cli->out);
    } else {
        buf_put_text(&cli->out, "This service lists none.\n");
    }
    table_done(&table);
}

int run_resources(struct cli *cli)
{
    bool are_templates = args_has(cli->args, OPTION_TEMPLATES);
    struct slice result;
    int code =
        fetch(cli, are_templates ? "resources.templates" : "resources.list", NULL, &result);
    if (code != EXIT_FINE || cli->is_json) {
        return code == EXIT_FINE ? cli_put_json(cli, result) : code;
    }
    if (are_templates) {
        put_resources(cli, view_get(result, "resourceTemplates"), "uriTemplate");
    } else {
        put_resources(cli, view_get(result, "resources"), "uri");
    }
    return EXIT_FINE;
}

/* ---- read ---------------------------------------------------------------------------------- */

static int sextet(char character)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = character ? strchr(alphabet, character) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

/* Standard base64 with padding. False: it is none; nothing is appended then. */
static bool put_decoded(struct buf *out, struct slice text)
{
    size_t begin = out->len;
    while (text.len && text.ptr[text.len - 1] == '=') {
        text.len--;
    }
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = sextet(text.ptr[i]);
        if (value < 0) {
            out->len = begin;
            return false;
        }
        bits = (bits << 6 | (uint32_t)value) & 0xffffffu;
        have += 6;
        if (have >= 8) {
            have -= 8;
            buf_put_byte(out, (uint8_t)(bits >> have));
        }
    }
    return true;
}

static int put_part(struct cli *cli, struct slice part)
{
    struct slice blob = view_text(part, "blob");
    if (!blob.ptr) {
        put_content(cli, part);
        return EXIT_FINE;
    }
    if (!cli->terminal.is_terminal) {
        return put_decoded(&cli->out, blob)
                   ? EXIT_FINE
                   : cli_complain(cli, EXIT_FAILED, "Look at it with --json.",
                                  "what the server sent is no base64");
    }
    buf_put_byte(&cli->out, '[');
    put_clean(&cli->out, view_text(part, "mimeType"), 0);
    buf_put_text(&cli->out, view_text(part, "mimeType").len ? ", " : "");
    put_size(&cli->out, (int64_t)(blob.len / 4 * 3));
    buf_put_text(&cli->out, ": redirect it to a file]\n");
    return EXIT_FINE;
}

int run_read(struct cli *cli)
{
    struct slice answer;
    struct slice part;
    int code = fetch(cli, "resources.read", "uri", &answer);
    if (code != EXIT_FINE || cli->is_json) {
        return code == EXIT_FINE ? cli_put_json(cli, answer) : code;
    }
    struct view_list list = view_list(view_get(view_get(answer, "result"), "contents"));
    while (code == EXIT_FINE && view_next(&list, &part)) {
        code = put_part(cli, part);
    }
    return code;
}

/* ---- prompts ------------------------------------------------------------------------------- */

/* "city, state?": a question mark where it may be left out. */
static void add_arguments(struct table *table, struct slice arguments)
{
    struct buf text;
    struct slice argument;
    struct view_list list = view_list(arguments);
    buf_init(&text, 65536);
    for (bool is_first = true; view_next(&list, &argument); is_first = false) {
        buf_put_text(&text, is_first ? "" : ", ");
        buf_put_slice(&text, view_text(argument, "name"));
        buf_put_text(&text, view_is_true(argument, "required") ? "" : "?");
    }
    table_cell(table, buf_slice(&text));
    buf_done(&text);
}

static void put_prompts(struct cli *cli, struct slice prompts)
{
    static const char *const titles[] = {"PROMPT", "ARGUMENTS", "DESCRIPTION"};
    struct slice prompt;
    struct table table;
    struct view_list list = view_list(prompts);
    table_init(&table, titles, 3, 0);
    while (view_next(&list, &prompt)) {
        struct slice description = view_text(prompt, "description");
        table_row(&table, MARK_NONE);
        table_cell(&table, view_text(prompt, "name"));
        add_arguments(&table, view_get(prompt, "arguments"));
        table_cell(&table, description.len ? description : view_text(prompt, "title"));
    }
    if (table.marks.len) {
        table_put(&table, &cli->terminal, &cli->out);
    } else {
        buf_put_text(&cli->out, "This service lists none.\n");
    }
    table_done(&table);
}

static void put_messages(struct cli *cli, struct slice messages)
{
    struct slice message;
    struct view_list list = view_list(messages);
    for (bool is_first = true; view_next(&list, &message); is_first = false) {
        struct buf *out = &cli->out;
        buf_put_text(out, is_first ? "" : "\n");
        put_paint(out, &cli->terminal, PAINT_BOLD);
        put_clean(out, view_text(message, "role"), 0);
        buf_put_byte(out, ':');
        put_plain(out, &cli->terminal);
        buf_put_byte(out, '\n');
        put_content(cli, view_get(message, "content"));
        if (out->len && out->data[out->len - 1] != '\n') {
            buf_put_byte(out, '\n');
        }
    }
}

int run_prompts(struct cli *cli)
{
    bool is_one = cli->args->operand_count > 1;
    struct slice answer;
    int code =
        fetch(cli, is_one ? "prompts.get" : "prompts.list", is_one ? "prompt" : NULL, &answer);
    if (code != EXIT_FINE || cli->is_json) {
        return code == EXIT_FINE ? cli_put_json(cli, answer) : code;
    }
    if (is_one) {
        put_messages(cli, view_get(view_get(answer, "result"), "messages"));
    } else {
        put_prompts(cli, view_get(answer, "prompts"));
    }
    return EXIT_FINE;
}
