/* SPDX-License-Identifier: MIT */
/* events.c - `events`: what the daemon tells of services, a line each, as it comes. */
#include "cli/cli.h"
#include "cli/view.h"

#include "value/pack.h"

#include <stdio.h>
#include <stdlib.h>

/* Whatever comes beside the three members that every event has. */
static void put_details(struct buf *out, struct slice event)
{
    struct pack cursor = pack_over(event);
    struct pack_item map;
    if (!pack_next(&cursor, &map) || map.type != PACK_MAP) {
        return;
    }
    for (uint32_t i = 0; i < map.count; i++) {
        struct slice key;
        struct slice value;
        if (!pack_next_text(&cursor, &key) || !pack_take(&cursor, &value)) {
            return;
        }
        if (slice_is(key, "kind") || slice_is(key, "time") || slice_is(key, "service")) {
            continue;
        }
        struct pack at = pack_over(value);
        struct slice text;
        struct err ignored;
        buf_put_text(out, "  ");
        put_clean(out, key, 0);
        buf_put_byte(out, '=');
        if (pack_next_text(&at, &text)) {
            put_clean(out, text, 0);
        } else {
            (void)put_json(out, value, false, &ignored);
        }
    }
}

static void show(struct cli *cli, struct slice event)
{
    struct buf *out = &cli->out;
    struct err ignored;
    if (cli->is_json) {
        (void)put_json(out, event, false, &ignored);
    } else {
        put_paint(out, &cli->terminal, PAINT_DIM);
        put_clean(out, view_text(event, "time"), 0);
        put_plain(out, &cli->terminal);
        buf_put_text(out, "  ");
        put_clean(out, view_text(event, "kind"), 0);
        buf_put_text(out, "  ");
        put_paint(out, &cli->terminal, PAINT_BOLD);
        put_clean(out, view_text(event, "service"), 0);
        put_plain(out, &cli->terminal);
        put_details(out, event);
    }
    buf_put_byte(out, '\n');
    if (!cli_flush(cli)) {
        tb_cancel(cli->client); /* nobody reads: as good as an interrupt */
    }
}

int run_events(struct cli *cli)
{
    static const char *const all[] = {
        "service.state",   "service.breaker",      "service.quarantine",
        "service.health",  "service.rate_limited", "tools.changed",
        "prompts.changed", "resources.changed",    "tool.changed"};
    const struct args *args = cli->args;
    const char *const *kinds = args->operand_count ? args->operands : all;
    uint32_t count = args->operand_count ? args->operand_count : sizeof all / sizeof *all;
    struct slice answer;
    struct buf params;
    buf_init(&params, 65536);
    pack_put_map(&params, args_has(args, OPTION_AGENT) ? 2 : 1);
    (void)put_option_text(&params, cli, OPTION_AGENT, "agent");
    pack_put_text(&params, "kinds");
    pack_put_array(&params, count);
    for (uint32_t i = 0; i < count; i++) {
        pack_put_text(&params, kinds[i]);
    }
    cli->on_event = show;
    int code = cli_call(cli, "events.subscribe", &params, CLI_TIMEOUT_MS, &answer);
    buf_done(&params);
    return code == EXIT_FINE ? cli_listen(cli) : code;
}
