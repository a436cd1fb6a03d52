/* SPDX-License-Identifier: MIT */
/* lists.c - `agents`, `calls` and `describe`: tables over one answer. */
#include "cli/cli.h"
#include "cli/table.h"
#include "cli/view.h"

#include "value/pack.h"

static void add_joined(struct table *table, struct slice array)
{
    struct buf text;
    buf_init(&text, 1048576);
    put_joined(&text, array);
    table_cell(table, buf_slice(&text));
    buf_done(&text);
}

static int show_agent(struct cli *cli)
{
    struct buf params;
    struct slice result;
    buf_init(&params, 65536);
    pack_put_map(&params, 1);
    pack_put_key_text(&params, "agent", cli->args->operands[0]);
    int code = cli_call(cli, "agents.get", &params, CLI_TIMEOUT_MS, &result);
    buf_done(&params);
    if (code != EXIT_FINE || cli->is_json) {
        return code == EXIT_FINE ? cli_put_json(cli, result) : code;
    }
    put_tree(&cli->out, result, 0);
    return EXIT_FINE;
}

int run_agents(struct cli *cli)
{
    static const char *const titles[] = {"AGENT", "TITLE", "SERVICES", "OPERATIONS"};
    struct slice result;
    struct slice agent;
    struct table table;
    if (cli->args->operand_count) {
        return show_agent(cli);
    }
    int code = cli_call(cli, "agents.list", NULL, CLI_TIMEOUT_MS, &result);
    if (code != EXIT_FINE || cli->is_json) {
        return code == EXIT_FINE ? cli_put_json(cli, result) : code;
    }
    table_init(&table, titles, 4, 0);
    struct view_list list = view_list(view_get(result, "agents"));
    while (view_next(&list, &agent)) {
        table_row(&table, MARK_NONE);
        table_cell(&table, view_text(agent, "name"));
        table_cell(&table, view_text(agent, "title"));
        add_joined(&table, view_get(agent, "services"));
        add_joined(&table, view_get(agent, "operations"));
    }
    table_put(&table, &cli->terminal, &cli->out);
    table_done(&table);
    return EXIT_FINE;
}

static void add_call(struct table *table, struct slice call)
{
    struct buf text;
    struct slice service = view_text(call, "service");
    struct slice tool = view_text(call, "tool");
    buf_init(&text, 65536);
    table_row(table, MARK_NONE);
    table_cell(table, view_text(call, "request_id"));
    buf_put_slice(&text, service);
    buf_put_text(&text, service.len && tool.len ? "/" : "");
    buf_put_slice(&text, tool.len ? tool : service.len ? tool : view_text(call, "method"));
    table_cell(table, buf_slice(&text));
    table_cell(table, view_text(call, "agent"));
    table_cell(table, view_text(call, "user"));
    buf_clear(&text);
    put_duration(&text, view_int(call, "since_ms", -1));
    table_cell(table, buf_slice(&text));
    buf_clear(&text);
    put_duration(&text, view_int(call, "deadline_ms", -1));
    table_cell(table, buf_slice(&text));
    table_cell(table, view_text(call, "stage"));
    table_cell(table, view_text(call, "waits_for"));
    buf_done(&text);
}

int run_calls(struct cli *cli)
{
    static const char *const titles[] = {"REQUEST", "WHAT",     "AGENT", "USER",
                                         "FOR",     "DEADLINE", "STAGE", "WAITS FOR"};
    struct slice result;
    struct slice call;
    struct table table;
    int code = cli_call(cli, "calls.list", NULL, CLI_TIMEOUT_MS, &result);
    if (code != EXIT_FINE || cli->is_json) {
        return code == EXIT_FINE ? cli_put_json(cli, result) : code;
    }
    table_init(&table, titles, sizeof titles / sizeof *titles, 0x30);
    table.drop = "gdcf";
    struct view_list list = view_list(view_get(result, "calls"));
    while (view_next(&list, &call)) {
        add_call(&table, call);
    }
    if (table.marks.len) {
        table_put(&table, &cli->terminal, &cli->out);
    } else {
        buf_put_text(&cli->out, "No call is under way.\n");
    }
    table_done(&table);
    return EXIT_FINE;
}

static int show_method(struct cli *cli, struct slice methods, const char *name)
{
    struct slice method;
    struct view_list list = view_list(methods);
    while (view_next(&list, &method)) {
        if (slice_is(view_text(method, "name"), name)) {
            if (cli->is_json) {
                return cli_put_json(cli, method);
            }
            put_tree(&cli->out, method, 0);
            return EXIT_FINE;
        }
    }
    return cli_complain(cli, EXIT_FAILED, "`toolbroker describe` lists them all.",
                        "there is no method %s", name);
}

static void put_rows(struct cli *cli, struct slice entries, const char *const *titles,
                     const char *const *keys)
{
    struct table table;
    struct slice entry;
    struct view_list list = view_list(entries);
    table_init(&table, titles, 3, 0);
    while (view_next(&list, &entry)) {
        bool is_true;
        table_row(&table, MARK_NONE);
        for (unsigned i = 0; i < 3; i++) {
            if (pack_get_bool(entry, keys[i], &is_true)) {
                table_text(&table, is_true ? "yes" : "no");
            } else {
                table_cell(&table, view_text(entry, keys[i]));
            }
        }
    }
    table_put(&table, &cli->terminal, &cli->out);
    table_done(&table);
}

int run_describe(struct cli *cli)
{
    static const char *const method_titles[] = {"METHOD", "ROLE", "DOES"};
    static const char *const method_keys[] = {"name", "role", "summary"};
    static const char *const error_titles[] = {"ERROR", "RETRYABLE", "WHEN"};
    static const char *const error_keys[] = {"code", "retryable", "when"};
    struct slice result;
    int code = cli_call(cli, "describe", NULL, CLI_TIMEOUT_MS, &result);
    if (code != EXIT_FINE) {
        return code;
    }
    if (cli->args->operand_count) {
        return show_method(cli, view_get(result, "methods"), cli->args->operands[0]);
    }
    if (cli->is_json) {
        return cli_put_json(cli, result);
    }
    put_rows(cli, view_get(result, "methods"), method_titles, method_keys);
    static const char *const others[] = {"notifications", "requests"};
    static const char *const titles[2][3] = {{"NOTIFICATION", "FROM", "TELLS"},
                                             {"REQUEST", "FROM", "ASKS"}};
    static const char *const keys[] = {"name", "from", "text"};
    for (unsigned i = 0; i < 2; i++) {
        struct slice entries = view_get(result, others[i]);
        if (view_count(entries)) {
            buf_put_byte(&cli->out, '\n');
            put_rows(cli, entries, titles[i], keys);
        }
    }
    buf_put_byte(&cli->out, '\n');
    put_rows(cli, view_get(result, "errors"), error_titles, error_keys);
    return EXIT_FINE;
}
