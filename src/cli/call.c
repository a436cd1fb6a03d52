/* SPDX-License-Identifier: MIT */
/* call.c - `call`: builds one tools.call and shows its result. */
#include "cli/cli.h"
#include "cli/view.h"

#include "value/pack.h"

#include <string.h>

#define GRACE_MS  3000   /* for the daemon's own TIMEOUT, which says more than ours */
#define PERSON_MS 600000 /* a person who may be asked is slower than a service */

int put_timeout(struct cli *cli, struct buf *out, uint32_t *count, int *ret_wait_ms)
{
    const char *given = cli->args->values[OPTION_TIMEOUT];
    int64_t ms = PERSON_MS;
    *ret_wait_ms = TB_FOREVER;
    if (given && !duration_parse(given, DURATION_DAY, &ms)) {
        return cli_complain(cli, EXIT_USAGE, "Write 500ms, 10s, 2m or 1h; at most a day.",
                            "--timeout %s is no time", given);
    }
    if (given || cli->asker) {
        pack_put_key_int(out, "timeout_ms", ms);
        *ret_wait_ms = (int)ms + GRACE_MS;
        ++*count;
    }
    return EXIT_FINE;
}

/* The parameters of tools.call; the deadline goes to the daemon, ours is a little later. */
static int put_params(struct cli *cli, struct buf *out, int *ret_timeout_ms)
{
    const struct args *args = cli->args;
    uint32_t count = 2;
    if (args->operand_count > 1 && strcmp(args->operands[1], "-") != 0) {
        return cli_complain(cli, EXIT_USAGE, "Arguments are given with --arg key=value.",
                            "call: one word too many: %s", args->operands[1]);
    }
    size_t opened = pack_open(out);
    pack_put_key_text(out, "tool", args->operands[0]);
    count += put_option_text(out, cli, OPTION_AGENT, "agent");
    count += put_option_text(out, cli, OPTION_USER, "user");
    count += put_option_text(out, cli, OPTION_LOCALE, "locale");
    count += put_option_text(out, cli, OPTION_DEMO, "demo");
    count += put_option_text(out, cli, OPTION_IDEMPOTENCY_KEY, "idempotency_key");
    int code = put_timeout(cli, out, &count, ret_timeout_ms);
    if (code != EXIT_FINE) {
        return code;
    }
    pack_put_text(out, "arguments");
    const char *object = args->values[OPTION_JSON_ARGS];
    code = put_arguments(cli, args->operand_count > 1 ? "-" : object, false, out);
    pack_close_map(out, opened, count);
    return code;
}

static void put_line_end(struct buf *out)
{
    if (out->len && out->data[out->len - 1] != '\n') {
        buf_put_byte(out, '\n');
    }
}

/* To a file or pipe byte for byte; to a terminal without what could command it. */
static void put_text(struct cli *cli, struct slice text)
{
    if (cli->terminal.is_terminal) {
        put_lines(&cli->out, text);
        put_line_end(&cli->out);
    } else {
        buf_put_slice(&cli->out, text);
    }
}

void put_content(struct cli *cli, struct slice content)
{
    struct buf *out = &cli->out;
    struct slice type = view_text(content, "type");
    struct slice resource = view_get(content, "resource");
    struct slice text = view_text(slice_is(type, "resource") ? resource : content, "text");
    if (text.ptr) {
        put_text(cli, text);
        return;
    }
    struct slice data = view_text(content, "data");
    struct slice uri = view_text(resource.len ? resource : content, "uri");
    put_line_end(out);
    buf_put_byte(out, '[');
    put_clean(out, type, 0);
    if (uri.len) {
        buf_put_byte(out, ' ');
        put_clean(out, uri, 0);
    }
    if (view_text(content, "mimeType").len) {
        buf_put_byte(out, ' ');
        put_clean(out, view_text(content, "mimeType"), 0);
    }
    if (data.len) {
        buf_put_text(out, ", ");
        put_size(out, (int64_t)(data.len / 4 * 3));
        buf_put_text(out, ": --json shows it");
    }
    buf_put_text(out, "]\n");
}

static void put_notes(struct cli *cli, struct slice answer)
{
    struct slice source = view_text(answer, "source");
    struct slice warning;
    struct buf text;
    buf_init(&text, 65536);
    if (source.len && !slice_is(source, "live")) {
        buf_printf(&text, "note: this answer is not live, its source is: %.*s",
                   SLICE_ARG(source));
        struct slice from = view_text(answer, "fallback_from");
        if (from.len) {
            buf_printf(&text, ", in place of %.*s", SLICE_ARG(from));
        }
        cli_note(cli, PAINT_YELLOW, buf_slice(&text));
    }
    struct view_list list = view_list(view_get(answer, "warnings"));
    while (view_next(&list, &warning)) {
        struct pack cursor = pack_over(warning);
        struct slice words;
        struct err ignored;
        buf_clear(&text);
        buf_put_text(&text, "warning: ");
        if (pack_next_text(&cursor, &words)) {
            buf_put_slice(&text, words);
        } else {
            (void)put_json(&text, warning, false, &ignored);
        }
        cli_note(cli, PAINT_YELLOW, buf_slice(&text));
    }
    buf_done(&text);
}

static int show(struct cli *cli, struct slice answer)
{
    struct slice result = view_get(answer, "result");
    struct slice structured = view_get(result, "structuredContent");
    struct slice content;
    struct view_list list = view_list(view_get(result, "content"));
    int code = EXIT_FINE;
    bool is_failure = view_is_true(result, "isError");
    if (cli->is_json) {
        code = cli_put_json(cli, answer);
    } else if (list.left == 0 && structured.len) {
        code = cli_put_json(cli, structured);
    } else {
        while (view_next(&list, &content)) {
            put_content(cli, content);
        }
    }
    bool is_written = cli_flush(cli); /* the result first, then what is to be said about it */
    put_notes(cli, answer);
    if (is_failure) {
        struct slice id = view_text(answer, "request_id");
        code =
            cli_complain(cli, EXIT_FAILED, "What it says is above; its log may say more.",
                         "the tool itself reports a failure (request_id %.*s)", SLICE_ARG(id));
    }
    return is_written ? code
                      : cli_complain(cli, EXIT_FAILED, NULL, "the result cannot be written");
}

int run_call(struct cli *cli)
{
    struct buf params;
    struct slice answer;
    int timeout_ms = TB_FOREVER;
    buf_init(&params, ARGUMENT_BYTES * 2);
    int code = put_params(cli, &params, &timeout_ms);
    if (code == EXIT_FINE) {
        code = cli_call(cli, "tools.call", &params, timeout_ms, &answer);
    }
    buf_done(&params);
    return code == EXIT_FINE ? show(cli, answer) : code;
}
