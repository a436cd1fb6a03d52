/* SPDX-License-Identifier: MIT */
/* health.c - `test` and `health`: how services are, asked now or as it is known. */
#include "cli/cli.h"
#include "cli/table.h"
#include "cli/view.h"

#include "value/pack.h"

#include <inttypes.h>

/* An object in a cell or a line: what it is called. */
static void put_server(struct buf *out, struct slice server)
{
    struct slice name = view_text(server, "name");
    struct slice version = view_text(server, "version");
    if (name.len) {
        buf_put_text(out, ", ");
        put_clean(out, name, 0);
        buf_put_text(out, version.len ? " " : "");
        put_clean(out, version, 0);
    }
}

static int64_t tools_of(struct slice result)
{
    struct slice tools = view_get(result, "tools");
    return view_int(result, "tools", tools.len ? (int64_t)view_count(tools) : -1);
}

static int64_t put_steps(struct cli *cli, struct slice steps)
{
    static const char *const titles[] = {"STEP", "TOOK", "RESULT"};
    struct table table;
    struct slice step;
    int64_t total = 0;
    table_init(&table, titles, 3, 2);
    struct view_list list = view_list(steps);
    while (view_next(&list, &step)) {
        struct buf text;
        bool is_ok = view_is_true(step, "ok");
        int64_t ms = view_int(step, "ms", -1);
        struct slice error = view_get(step, "error");
        buf_init(&text, 1048576);
        put_duration(&text, ms);
        table_row(&table, is_ok ? MARK_GOOD : MARK_BAD);
        table_cell(&table, view_text(step, "step"));
        table_cell(&table, buf_slice(&text));
        buf_clear(&text);
        buf_put_text(&text, is_ok ? "ok" : "failed");
        if (!is_ok && view_text(error, "code").len) {
            buf_put_text(&text, ": ");
            buf_put_slice(&text, view_text(error, "code"));
        }
        table_cell(&table, buf_slice(&text));
        buf_done(&text);
        total += ms > 0 ? ms : 0;
    }
    if (table.marks.len) {
        table_put(&table, &cli->terminal, &cli->out);
        buf_put_byte(&cli->out, '\n');
    }
    table_done(&table);
    return total;
}

/* "fs works: stdio, MCP 2025-11-25, files 1.0, 11 tools, in 35 ms". */
static void put_verdict(struct cli *cli, struct slice result, int64_t total)
{
    struct buf *out = &cli->out;
    bool is_ok = view_is_true(result, "ok");
    struct slice error = view_get(result, "error");
    put_mark(out, &cli->terminal, is_ok ? MARK_GOOD : MARK_BAD);
    put_paint(out, &cli->terminal, PAINT_BOLD);
    put_clean(out, view_text(result, "service"), 0);
    put_plain(out, &cli->terminal);
    buf_put_text(out, is_ok ? " works: " : " does not work: ");
    put_clean(out, view_text(result, "transport"), 0);
    if (view_text(result, "protocol").len) {
        buf_put_text(out, ", MCP ");
        put_clean(out, view_text(result, "protocol"), 0);
    }
    put_server(out, view_get(result, "server"));
    if (tools_of(result) >= 0) {
        buf_put_text(out, ", ");
        put_count(out, tools_of(result), "tool");
    }
    buf_put_text(out, is_ok ? ", in " : ", after ");
    put_duration(out, total);
    if (view_text(error, "code").len) {
        buf_put_text(out, " (");
        put_clean(out, view_text(error, "code"), 0);
        buf_put_byte(out, ')');
    }
    buf_put_byte(out, '\n');
    cli_put_error(cli, error);
}

/* As of a call that failed: EXIT_AGAIN where nothing but time is needed. */
static int code_of_test(struct slice result)
{
    if (view_is_true(result, "ok")) {
        return EXIT_FINE;
    }
    return view_is_true(view_get(result, "error"), "retryable") ? EXIT_AGAIN : EXIT_FAILED;
}

int run_test(struct cli *cli)
{
    struct buf params;
    struct slice result;
    uint32_t count = 1;
    int wait_ms;
    buf_init(&params, 65536);
    size_t opened = pack_open(&params);
    pack_put_key_text(&params, "service", cli->args->operands[0]);
    count += put_option_text(&params, cli, OPTION_AGENT, "agent");
    count += put_option_text(&params, cli, OPTION_USER, "user");
    int code = put_timeout(cli, &params, &count, &wait_ms);
    pack_close_map(&params, opened, count);
    if (code == EXIT_FINE) {
        wait_ms = wait_ms == TB_FOREVER ? CLI_SLOW_MS : wait_ms;
        code = cli_call(cli, "services.test", &params, wait_ms, &result);
    }
    buf_done(&params);
    if (code != EXIT_FINE) {
        return code;
    }
    if (cli->is_json) {
        code = cli_put_json(cli, result);
    } else {
        int64_t total = put_steps(cli, view_get(result, "steps"));
        put_verdict(cli, result, total);
    }
    return code == EXIT_FINE ? code_of_test(result) : code;
}

/* ---- health --------------------------------------------------------------------------------- */

/* It is asked, and takes long about it. */
static bool is_silent(struct slice service)
{
    return view_age(service, "checking_since") >= 1000;
}

static enum mark mark_of(struct slice service)
{
    static const struct {
        const char *status;
        enum mark mark;
    } marks[] = {{"up", MARK_GOOD},
                 {"degraded", MARK_WARN},
                 {"down", MARK_BAD},
                 {"disabled", MARK_PAUSED}};
    struct slice status = view_text(service, "status");
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (slice_is(status, marks[i].status)) {
            return marks[i].mark;
        }
    }
    return MARK_NONE; /* unknown, not linked: nothing that is broken */
}

/* "ok 12 s ago, 35 ms", "no answer for 4 s". */
static void add_check(struct table *table, struct slice service)
{
    struct buf text;
    struct slice check = view_get(service, "last_check");
    int64_t age = view_age(check, "at");
    buf_init(&text, 256);
    if (view_age(service, "checking_since") >= 0) {
        buf_put_text(&text, "no answer for ");
        put_duration(&text, view_age(service, "checking_since"));
    } else if (check.len && pack_peek(pack_over(check)) == PACK_MAP) {
        buf_put_text(&text, view_is_true(check, "ok") ? "ok" : "failed");
        if (age >= 0) {
            buf_put_byte(&text, ' ');
            put_duration(&text, age);
            buf_put_text(&text, " ago");
        }
        if (view_int(check, "ms", -1) >= 0) {
            buf_put_text(&text, ", ");
            put_duration(&text, view_int(check, "ms", -1));
        }
    }
    table_cell(table, buf_slice(&text));
    buf_done(&text);
}

static void add_ago(struct table *table, struct slice service, const char *key)
{
    struct buf text;
    buf_init(&text, 256);
    put_duration(&text, view_age(service, key));
    buf_put_text(&text, text.len ? " ago" : "");
    table_cell(table, buf_slice(&text));
    buf_done(&text);
}

/* Why it is not well: the reason, else what the last check said. */
static void add_reason(struct table *table, struct slice service)
{
    struct slice reason = view_text(service, "reason");
    struct slice check = view_get(service, "last_check");
    struct slice error = view_get(check, "error");
    struct slice words = view_text(check, "error");
    if (!reason.len && mark_of(service) != MARK_GOOD) {
        reason = words.len ? words : view_text(error, "message");
    }
    table_cell(table, reason);
}

static void put_services(struct cli *cli, struct slice services)
{
    static const char *const titles[] = {"SERVICE", "STATUS",    "FOR",      "PRIORITY",
                                         "CHECKED", "LAST GOOD", "LAST BAD", "WHY"};
    struct table table;
    struct slice service;
    table_init(&table, titles, sizeof titles / sizeof *titles, 0);
    table.drop = "dfge";
    table.is_below = true;
    struct view_list list = view_list(services);
    while (view_next(&list, &service)) {
        struct buf age;
        buf_init(&age, 256);
        put_duration(&age, view_age(service, "since"));
        enum mark mark = mark_of(service);
        table_row(&table, mark == MARK_GOOD && is_silent(service) ? MARK_WARN : mark);
        table_cell(&table, view_text(service, "service"));
        table_cell(&table, view_text(service, "status"));
        table_cell(&table, buf_slice(&age));
        table_cell(&table, view_text(service, "priority"));
        add_check(&table, service);
        add_ago(&table, service, "last_success");
        add_ago(&table, service, "last_failure");
        add_reason(&table, service);
        buf_done(&age);
    }
    if (table.marks.len) {
        table_put(&table, &cli->terminal, &cli->out);
    } else {
        buf_put_text(&cli->out, "No service is configured: see services.lua.\n");
    }
    table_done(&table);
}

/* `is_checked`: the servers were asked, and who has not answered is not well. */
static unsigned count_unwell(struct slice services, bool is_checked)
{
    struct slice service;
    unsigned count = 0;
    struct view_list list = view_list(services);
    while (view_next(&list, &service)) {
        enum mark mark = mark_of(service);
        bool has_failed = is_checked && view_age(service, "checking_since") >= 0;
        count += has_failed || mark == MARK_BAD || mark == MARK_WARN;
    }
    return count;
}

static void put_whole(struct cli *cli, struct slice result, unsigned unwell)
{
    struct buf *out = &cli->out;
    struct slice status = view_text(result, "status");
    buf_put_byte(out, '\n');
    put_mark(out, &cli->terminal, mark_of(result));
    buf_put_text(out, "all in all: ");
    put_clean(out, status, 0);
    if (unwell) {
        buf_printf(out, "; %u not well: `toolbroker status` says what to do", unwell);
    }
    buf_put_byte(out, '\n');
}

int run_health(struct cli *cli)
{
    struct buf params;
    struct slice result;
    bool is_check = args_has(cli->args, OPTION_CHECK);
    uint32_t count = 0;
    int wait_ms;
    if (args_has(cli->args, OPTION_TIMEOUT) && !is_check) {
        return cli_complain(cli, EXIT_USAGE, "Add --check.",
                            "--timeout is for services that are asked now");
    }
    buf_init(&params, 65536);
    size_t opened = pack_open(&params);
    if (cli->args->operand_count) {
        pack_put_key_text(&params, "service", cli->args->operands[0]);
        count++;
    }
    int code = put_timeout(cli, &params, &count, &wait_ms);
    pack_close_map(&params, opened, count);
    if (code == EXIT_FINE) {
        wait_ms = wait_ms != TB_FOREVER ? wait_ms : is_check ? CLI_SLOW_MS : CLI_TIMEOUT_MS;
        code =
            cli_call(cli, is_check ? "health.check" : "health.get", &params, wait_ms, &result);
    }
    buf_done(&params);
    if (code != EXIT_FINE) {
        return code;
    }
    struct slice services = view_get(result, "services");
    unsigned unwell = count_unwell(services, is_check);
    if (cli->is_json) {
        code = cli_put_json(cli, result);
    } else {
        put_services(cli, services);
        if (!cli->args->operand_count) {
            put_whole(cli, result, unwell);
        }
    }
    return code == EXIT_FINE && unwell ? EXIT_FAILED : code;
}
