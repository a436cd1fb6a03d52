/* SPDX-License-Identifier: MIT */
/* tools.c - `tools`: what an agent may call, and what is unavailable and why. */
#include "cli/cli.h"
#include "cli/table.h"
#include "cli/view.h"

#include "value/pack.h"

static int fetch(struct cli *cli, struct slice *ret)
{
    struct buf params;
    uint32_t count = 0;
    buf_init(&params, 65536);
    size_t opened = pack_open(&params);
    count += put_option_text(&params, cli, OPTION_AGENT, "agent");
    count += put_option_text(&params, cli, OPTION_USER, "user");
    count += put_option_text(&params, cli, OPTION_SERVICE, "service");
    pack_close_map(&params, opened, count);
    int code = cli_call(cli, "tools.list", &params, CLI_SLOW_MS, ret);
    buf_done(&params);
    return code;
}

static void put_unavailable(struct cli *cli, struct slice unavailable)
{
    struct slice entry;
    struct view_list list = view_list(unavailable);
    if (list.left) {
        buf_put_text(&cli->out, "\nUnavailable:\n");
    }
    while (view_next(&list, &entry)) {
        struct slice error = view_get(entry, "error");
        bool is_off = slice_is(view_text(error, "code"), "DISABLED");
        put_mark(&cli->out, &cli->terminal, is_off ? MARK_PAUSED : MARK_BAD);
        put_clean(&cli->out, view_text(entry, "service"), 0);
        buf_put_text(&cli->out, ": ");
        put_clean(&cli->out, view_text(error, "code"), 0);
        buf_put_byte(&cli->out, '\n');
        cli_put_error(cli, error);
    }
}

static void put_tools(struct cli *cli, struct slice result)
{
    static const char *const titles[] = {"TOOL", "DESCRIPTION"};
    struct table table;
    struct slice tool;
    struct view_list list = view_list(view_get(result, "tools"));
    table_init(&table, titles, 2, 0);
    while (view_next(&list, &tool)) {
        struct buf words;
        struct slice description = view_text(tool, "description");
        buf_init(&words, 1048576);
        buf_put_text(&words, view_is_true(tool, "demo") ? "[demo] " : "");
        buf_put_slice(&words, description.len ? description : view_text(tool, "title"));
        table_row(&table, MARK_NONE);
        table_cell(&table, view_text(tool, "name"));
        table_cell(&table, buf_slice(&words));
        buf_done(&words);
    }
    if (table.marks.len) {
        table_put(&table, &cli->terminal, &cli->out);
    } else {
        buf_put_text(&cli->out, "Nothing may be called.\n");
    }
    table_done(&table);
    put_unavailable(cli, view_get(result, "unavailable"));
}

/* One tool in full, its schema included. */
static int show_one(struct cli *cli, struct slice result, const char *name)
{
    struct slice tool;
    struct view_list list = view_list(view_get(result, "tools"));
    while (view_next(&list, &tool)) {
        if (!slice_is(view_text(tool, "name"), name)) {
            continue;
        }
        if (cli->is_json) {
            return cli_put_json(cli, tool);
        }
        put_paint(&cli->out, &cli->terminal, PAINT_BOLD);
        put_clean(&cli->out, view_text(tool, "name"), 0);
        put_plain(&cli->out, &cli->terminal);
        buf_put_text(&cli->out, "\n\n");
        put_lines(&cli->out, view_text(tool, "description"));
        buf_put_text(&cli->out, "\n\n");
        put_tree(&cli->out, view_get(tool, "inputSchema"), 0);
        return EXIT_FINE;
    }
    put_unavailable(cli, view_get(result, "unavailable"));
    return cli_complain(cli, EXIT_FAILED, "`toolbroker tools` lists what this agent may call.",
                        "this agent may call no tool %s", name);
}

int run_tools(struct cli *cli)
{
    struct slice result;
    int code = fetch(cli, &result);
    if (code != EXIT_FINE) {
        return code;
    }
    if (cli->args->operand_count) {
        return show_one(cli, result, cli->args->operands[0]);
    }
    if (cli->is_json) {
        return cli_put_json(cli, result);
    }
    put_tools(cli, result);
    return EXIT_FINE;
}
