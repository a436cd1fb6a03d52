/* SPDX-License-Identifier: MIT */
/* status.c - the dashboard, and the list of services. */
#include "cli/cli.h"
#include "cli/table.h"
#include "cli/view.h"

#include "base/clock.h"
#include "value/pack.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* What a state means to an operator. */
static enum mark mark_of(struct slice service)
{
    struct slice state = view_text(service, "state");
    bool enabled;
    if ((pack_get_bool(service, "enabled", &enabled) && !enabled) ||
        slice_is(state, "disabled")) {
        return MARK_PAUSED;
    }
    if (slice_is(state, "error")) {
        return MARK_BAD;
    }
    if (slice_is(state, "quarantined")) {
        return MARK_WARN;
    }
    if (slice_is(state, "running")) {
        return MARK_GOOD;
    }
    if (slice_is(state, "stopped")) {
        return MARK_NONE; /* starts on demand: nothing is wrong */
    }
    return MARK_WARN;
}

static uint32_t withheld_of(struct slice service)
{
    return view_count(view_get(service, "tools_withheld"));
}

static bool needs_attention(struct slice service)
{
    enum mark mark = mark_of(service);
    return (mark != MARK_PAUSED && withheld_of(service)) || mark == MARK_BAD ||
           mark == MARK_WARN ||
           (mark != MARK_PAUSED &&
            pack_peek(pack_over(view_get(service, "last_error"))) == PACK_MAP &&
            !slice_is(view_text(service, "state"), "running"));
}

/* Milliseconds since "2026-11-21T09:45:00.123Z", or since a Unix time in milliseconds; -1 if
 * `since` is neither. */
static int64_t age_of(struct slice service)
{
    struct slice text = view_text(service, "since");
    int64_t since = view_int(service, "since", -1);
    char copy[CLOCK_TEXT];
    struct tm parts = {0};
    if (text.len && text.len < sizeof copy) {
        memcpy(copy, text.ptr, text.len);
        copy[text.len] = '\0';
        since =
            strptime(copy, "%Y-%m-%dT%H:%M:%S", &parts) ? (int64_t)timegm(&parts) * 1000 : -1;
    }
    int64_t age = clock_wall() - since;
    return since < 0 ? -1 : age < 0 ? 0 : age;
}

/* "http", "auto: sse", "stdio legacy": how it is really spoken to, where that is known. */
static void add_transport(struct table *table, struct slice service)
{
    struct buf text;
    struct slice used = view_text(service, "transport_used");
    buf_init(&text, 256);
    buf_put_slice(&text, view_text(service, "transport"));
    if (used.len) {
        buf_put_text(&text, ": ");
        buf_put_slice(&text, used);
    }
    table_cell(table, buf_slice(&text));
    buf_done(&text);
}

static void add_service(struct table *table, struct slice service)
{
    struct buf age;
    struct slice state = view_text(service, "state");
    buf_init(&age, 256);
    put_duration(&age, age_of(service));
    enum mark mark = mark_of(service);
    bool is_quiet = mark == MARK_NONE || mark == MARK_GOOD;
    table_row(table, is_quiet && needs_attention(service) ? MARK_WARN : mark);
    table_cell(table, view_text(service, "name"));
    table_cell(table, mark == MARK_PAUSED ? SLICE("disabled") : state);
    table_cell(table, buf_slice(&age));
    add_transport(table, service);
    table_int(table, view_int(service, "tools", -1));
    table_int(table, view_int(service, "inflight", -1));
    table_int(table, view_int(service, "calls", -1));
    table_int(table, view_int(service, "failures", -1));
    table_int(table, view_int(service, "restarts", -1));
    table_cell(table, view_text(service, "title"));
    buf_done(&age);
}

/* Which tools nobody gets, and how to let them be used again. */
static void put_withheld(struct cli *cli, struct slice service)
{
    struct slice tools = view_get(service, "tools_withheld");
    if (!withheld_of(service)) {
        return;
    }
    buf_put_text(&cli->out, "    withheld until approved: ");
    put_joined(&cli->out, tools);
    buf_put_text(&cli->out, "\n    do   toolbroker approve ");
    put_clean(&cli->out, view_text(service, "name"), 0);
    buf_put_byte(&cli->out, '\n');
}

/* What is wrong with one service, since when, and what to do. */
static void put_trouble(struct cli *cli, struct slice service)
{
    struct buf *out = &cli->out;
    struct slice error = view_get(service, "last_error");
    struct slice reason = view_text(service, "reason");
    enum mark mark = mark_of(service);
    buf_put_byte(out, '\n');
    bool is_quiet = mark == MARK_NONE || mark == MARK_GOOD;
    put_mark(out, &cli->terminal, is_quiet ? MARK_WARN : mark);
    put_paint(out, &cli->terminal, PAINT_BOLD);
    put_clean(out, view_text(service, "name"), 0);
    put_plain(out, &cli->terminal);
    buf_put_text(out, ": ");
    put_clean(out, view_text(service, "state"), 0);
    size_t before = out->len;
    buf_put_text(out, " for ");
    size_t begin = out->len;
    put_duration(out, age_of(service));
    out->len = out->len == begin ? before : out->len;
    if (reason.len && !slice_equal(reason, view_text(error, "message"))) {
        buf_put_text(out, ", ");
        put_clean(out, reason, 0);
    }
    if (view_text(error, "code").len) {
        buf_put_text(out, " (");
        put_clean(out, view_text(error, "code"), 0);
        buf_put_byte(out, ')');
    }
    buf_put_byte(out, '\n');
    cli_put_error(cli, error);
    put_withheld(cli, service);
}

/* What is odd about a service's tools, but nothing that somebody must see to now. */
static void put_remark(struct cli *cli, struct slice service)
{
    struct buf *out = &cli->out;
    int64_t warned = view_count(view_get(service, "tool_warnings"));
    int64_t left_out = view_count(view_get(service, "tools_left_out"));
    if (!warned && !left_out) {
        return;
    }
    buf_put_byte(out, '\n');
    put_clean(out, view_text(service, "name"), 0);
    buf_put_text(out, ": ");
    if (warned) {
        put_count(out, warned, "tool");
        buf_put_text(out, " with warnings");
    }
    if (left_out) {
        buf_put_text(out, warned ? ", " : "");
        put_count(out, left_out, "tool");
        buf_put_text(out, " left out");
    }
    buf_put_text(out, "; `toolbroker status ");
    put_clean(out, view_text(service, "name"), 0);
    buf_put_text(out, "` says why\n");
}

static void put_daemon_line(struct cli *cli, struct slice info)
{
    struct buf *out = &cli->out;
    put_mark(out, &cli->terminal, MARK_GOOD);
    put_paint(out, &cli->terminal, PAINT_BOLD);
    put_clean(out, view_text(info, "name"), 0);
    buf_put_byte(out, ' ');
    put_clean(out, view_text(info, "version"), 0);
    put_plain(out, &cli->terminal);
    buf_printf(out, ", pid %" PRId64 ", up ", view_int(info, "pid", 0));
    put_duration(out, view_int(info, "uptime_ms", 0));
    buf_put_text(out, ", ");
    put_count(out, view_int(info, "connections", 0), "client");
    buf_put_text(out, ", ");
    put_count(out, view_int(info, "calls", 0), "call");
    buf_put_text(out, " under way, ");
    put_size(out, view_int(view_get(info, "memory"), "resident_bytes", 0));
    buf_put_text(out, " of memory\n");
}

static void put_services(struct cli *cli, struct slice services, unsigned *ret_troubled)
{
    static const char *const titles[] = {"SERVICE", "STATE", "FOR",      "TRANSPORT", "TOOLS",
                                         "NOW",     "CALLS", "FAILURES", "RESTARTS",  "TITLE"};
    struct table table;
    struct slice service;
    table_init(&table, titles, sizeof titles / sizeof *titles, 0x1f0);
    struct view_list list = view_list(services);
    while (view_next(&list, &service)) {
        add_service(&table, service);
        *ret_troubled += needs_attention(service);
    }
    if (table.marks.len) {
        table_put(&table, &cli->terminal, &cli->out);
    } else {
        buf_put_text(&cli->out, "No service is configured: see services.lua.\n");
    }
    table_done(&table);
    list = view_list(services);
    while (view_next(&list, &service)) {
        if (needs_attention(service)) {
            put_trouble(cli, service);
        }
    }
    list = view_list(services);
    while (view_next(&list, &service)) {
        put_remark(cli, service);
    }
}

static unsigned count_troubled(struct slice services)
{
    unsigned count = 0;
    struct slice service;
    struct view_list list = view_list(services);
    while (view_next(&list, &service)) {
        count += needs_attention(service);
    }
    return count;
}

/* One service with everything that is known of it. */
static int show_one(struct cli *cli)
{
    struct buf params;
    struct slice result;
    buf_init(&params, 65536);
    pack_put_map(&params, 1);
    pack_put_key_text(&params, "service", cli->args->operands[0]);
    int code = cli_call(cli, "services.status", &params, CLI_TIMEOUT_MS, &result);
    buf_done(&params);
    if (code != EXIT_FINE) {
        return code;
    }
    struct slice services = view_get(result, "services");
    if (cli->is_json) {
        code = cli_put_json(cli, result);
    } else {
        struct slice service;
        struct view_list list = view_list(services);
        while (view_next(&list, &service)) {
            put_tree(&cli->out, service, 0);
            if (withheld_of(service)) {
                buf_put_byte(&cli->out, '\n');
                put_withheld(cli, service);
            }
        }
    }
    return code == EXIT_FINE && count_troubled(services) ? EXIT_FAILED : code;
}

/* Both answers as one map; `daemon` was copied because an answer lasts until the next call. */
static int put_both(struct cli *cli, struct slice daemon, struct slice services)
{
    struct buf both;
    buf_init(&both, 134217728);
    pack_put_map(&both, 2);
    pack_put_text(&both, "daemon");
    buf_put_slice(&both, daemon);
    pack_put_text(&both, "services");
    buf_put_slice(&both, services);
    int code = cli_put_json(cli, buf_slice(&both));
    buf_done(&both);
    return code;
}

int run_status(struct cli *cli)
{
    struct slice info;
    struct slice result;
    struct buf daemon;
    unsigned troubled = 0;
    if (cli->args->operand_count) {
        return show_one(cli);
    }
    int code = cli_call(cli, "daemon.info", NULL, CLI_TIMEOUT_MS, &info);
    if (code != EXIT_FINE) {
        return code;
    }
    buf_init(&daemon, 134217728);
    buf_put_slice(&daemon, info);
    code = cli_call(cli, "services.status", NULL, CLI_TIMEOUT_MS, &result);
    if (code == EXIT_FINE && cli->is_json) {
        troubled = count_troubled(view_get(result, "services"));
        code = put_both(cli, buf_slice(&daemon), view_get(result, "services"));
    } else if (code == EXIT_FINE) {
        put_daemon_line(cli, buf_slice(&daemon));
        buf_put_byte(&cli->out, '\n');
        put_services(cli, view_get(result, "services"), &troubled);
    }
    buf_done(&daemon);
    return code == EXIT_FINE && troubled ? EXIT_FAILED : code;
}

int run_list(struct cli *cli)
{
    static const char *const titles[] = {"SERVICE", "STATE", "TRANSPORT",
                                         "TAGS",    "TITLE", "DESCRIPTION"};
    struct slice result;
    struct slice service;
    struct table table;
    int code = cli_call(cli, "services.list", NULL, CLI_TIMEOUT_MS, &result);
    if (code != EXIT_FINE || cli->is_json) {
        return code == EXIT_FINE ? cli_put_json(cli, result) : code;
    }
    table_init(&table, titles, sizeof titles / sizeof *titles, 0);
    struct view_list list = view_list(view_get(result, "services"));
    while (view_next(&list, &service)) {
        struct buf tags;
        enum mark mark = mark_of(service);
        buf_init(&tags, 65536);
        put_joined(&tags, view_get(service, "tags"));
        table_row(&table, mark);
        table_cell(&table, view_text(service, "name"));
        table_cell(&table,
                   mark == MARK_PAUSED ? SLICE("disabled") : view_text(service, "state"));
        table_cell(&table, view_text(service, "transport"));
        table_cell(&table, buf_slice(&tags));
        table_cell(&table, view_text(service, "title"));
        table_cell(&table, view_text(service, "description"));
        buf_done(&tags);
    }
    table_put(&table, &cli->terminal, &cli->out);
    table_done(&table);
    return EXIT_FINE;
}
