/* SPDX-License-Identifier: MIT */
/* arguments.c - the arguments of a call or a prompt, from words, JSON or stdin. */
#include "cli/cli.h"

#include "value/json.h"
#include "value/pack.h"

#include <stdio.h>
#include <string.h>

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
    buf_init(&map, ARGUMENT_BYTES);
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
static int put_pair(struct cli *cli, const char *pair, bool only_text, struct buf *out)
{
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair) {
        return cli_complain(cli, EXIT_USAGE, "Write --arg key=value.", "--arg %s has no %s",
                            pair, equals ? "key" : "=");
    }
    pack_put_str(out, (struct slice){pair, (size_t)(equals - pair)});
    struct slice value = slice_of(equals + 1);
    struct err ignored;
    if (only_text || json_to_pack(value, JSON_DEPTH_MAX, out, &ignored) != 0) {
        pack_put_str(out, value);
    }
    return EXIT_FINE;
}

/* A key that came twice would be sent twice: the daemon could only guess which one is meant. */
static int refuse_duplicates(struct cli *cli, struct slice map)
{
    struct err err;
    struct buf json;
    buf_init(&json, ARGUMENT_BYTES * 6);
    int failed = json_from_pack(map, "arguments", &json, &err);
    buf_done(&json);
    return failed ? cli_complain(cli, EXIT_USAGE, NULL, "%s", err.text) : EXIT_FINE;
}

int put_arguments(struct cli *cli, const char *object, bool only_text, struct buf *out)
{
    const struct args *args = cli->args;
    bool from_stdin = object && strcmp(object, "-") == 0;
    uint32_t count = 0;
    int code = EXIT_FINE;
    size_t begin = out->len;
    size_t opened = pack_open(out);
    if (from_stdin) {
        struct buf text;
        buf_init(&text, ARGUMENT_BYTES);
        code = read_stdin(&text) ? put_object(cli, buf_slice(&text), out, &count)
                                 : cli_complain(cli, EXIT_USAGE, NULL,
                                                "stdin cannot be read, or is too long");
        buf_done(&text);
    } else if (object) {
        code = put_object(cli, slice_of(object), out, &count);
    }
    for (unsigned i = 0; code == EXIT_FINE && i < args->argument_count; i++, count++) {
        code = put_pair(cli, args->arguments[i], only_text, out);
    }
    pack_close_map(out, opened, count);
    return code == EXIT_FINE
               ? refuse_duplicates(cli, (struct slice){out->data + begin, out->len - begin})
               : code;
}
