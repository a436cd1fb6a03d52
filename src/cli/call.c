/* SPDX-License-Identifier: MIT */
/* call.c - `call`: builds one tools.call and shows its result. */
#include "cli/cli.h"
#include "cli/view.h"

#include "value/json.h"
#include "value/pack.h"

#include <stdio.h>
#include <string.h>

#define INPUT_BYTES ((size_t)16777216)
#define GRACE_MS    3000 /* for the daemon's own TIMEOUT, which says more than ours */

/* All of stdin; false when it is too long or cannot be read. */
static bool read_stdin(struct buf *out)
{
    char chunk[65536];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, stdin)) > 0) {
        buf_put(out, chunk, got);
    }
    return !ferror(stdin) && !out->overflow;
}

/* The pairs of the JSON object `text`, without the map's header. */
static int put_object(struct cli *cli, struct slice text, struct buf *out, uint32_t *ret_count)
{
    struct err err;
    struct buf map;
    int code = EXIT_FINE;
    buf_init(&map, INPUT_BYTES);
    if (json_to_pack(text, JSON_DEPTH_MAX, &map, &err) != 0) {
        code =
            cli_complain(cli, EXIT_USAGE, "Give one JSON object, as in '{\"path\": \"/tmp\"}'.",
                         "the arguments are no JSON: %s", err.text);
    } else {
        struct pack cursor = pack_over(buf_slice(&map));
        struct pack_item item;
        (void)pack_next(&cursor, &item);
        if (item.type == PACK_MAP) {
            *ret_count += item.count;
            buf_put(out, cursor.at, (size_t)(cursor.end - cursor.at));
        } else {
            code = cli_complain(cli, EXIT_USAGE, NULL, "the arguments are not a JSON object");
        }
    }
    buf_done(&map);
    return code;
}

/* "key=value": JSON if the value parses, else text. */
static int put_pair(struct cli *cli, const char *pair, struct buf *out)
{
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair) {
        return cli_complain(cli, EXIT_USAGE, "Write --arg key=value.", "--arg %s has no %s",
                            pair, equals ? "key" : "=");
    }
    pack_put_str(out, (struct slice){pair, (size_t)(equals - pair)});
    struct slice value = slice_of(equals + 1);
    struct err ignored;
    if (json_to_pack(value, JSON_DEPTH_MAX, out, &ignored) != 0) {
        pack_put_str(out, value);
    }
    return EXIT_FINE;
}

/* A key that came twice would be sent twice: the daemon could only guess which one is meant. */
static int refuse_duplicates(struct cli *cli, struct slice map)
{
    struct err err;
    struct buf json;
    buf_init(&json, INPUT_BYTES * 6);
    int failed = json_from_pack(map, "arguments", &json, &err);
    buf_done(&json);
    return failed ? cli_complain(cli, EXIT_USAGE, NULL, "%s", err.text) : EXIT_FINE;
}

static int put_arguments(struct cli *cli, struct buf *out)
{
    const struct args *args = cli->args;
    const char *object = args->values[OPTION_JSON_ARGS];
    bool from_stdin = args->operand_count > 1 || (object && strcmp(object, "-") == 0);
    uint32_t count = 0;
    int code = EXIT_FINE;
    size_t begin = out->len;
    size_t opened = pack_open(out);
    if (from_stdin) {
        struct buf text;
        buf_init(&text, INPUT_BYTES);
        code = read_stdin(&text) ? put_object(cli, buf_slice(&text), out, &count)
                                 : cli_complain(cli, EXIT_USAGE, NULL,
                                                "stdin cannot be read, or is too long");
        buf_done(&text);
    } else if (object) {
        code = put_object(cli, slice_of(object), out, &count);
    }
    for (unsigned i = 0; code == EXIT_FINE && i < args->argument_count; i++, count++) {
        code = put_pair(cli, args->arguments[i], out);
    }
    pack_close_map(out, opened, count);
    return code == EXIT_FINE
               ? refuse_duplicates(cli, (struct slice){out->data + begin, out->len - begin})
               : code;
}

/* The parameters of tools.call; the deadline goes to the daemon, ours is a little later. */
static int put_params(struct cli *cli, struct buf *out, int *ret_timeout_ms)
{
    const struct args *args = cli->args;
    uint32_t count = 2;
    *ret_timeout_ms = TB_FOREVER;
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
    if (args_has(args, OPTION_TIMEOUT)) {
        int ms;
        if (!duration_parse(args->values[OPTION_TIMEOUT], &ms)) {
            return cli_complain(cli, EXIT_USAGE, "Write 500ms, 10s, 2m or 1h; at most a day.",
                                "--timeout %s is no time", args->values[OPTION_TIMEOUT]);
        }
        pack_put_key_int(out, "timeout_ms", ms);
        *ret_timeout_ms = ms + GRACE_MS;
        count++;
    }
    pack_put_text(out, "arguments");
    int code = put_arguments(cli, out);
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

/* One element of an MCP result's content. */
static void put_content(struct cli *cli, struct slice content)
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
    int timeout_ms;
    buf_init(&params, INPUT_BYTES * 2);
    int code = put_params(cli, &params, &timeout_ms);
    if (code == EXIT_FINE) {
        code = cli_call(cli, "tools.call", &params, timeout_ms, &answer);
    }
    buf_done(&params);
    return code == EXIT_FINE ? show(cli, answer) : code;
}
