/* SPDX-License-Identifier: MIT */
/* status.c - the dashboard, and the list of services. */
#include "cli/cli.h"
#include "cli/condition.h"
#include "cli/table.h"
#include "cli/view.h"

#include "value/pack.h"

#include <inttypes.h>

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
    struct condition condition = condition_of(service);
    buf_init(&age, 256);
    put_duration(&age, condition.age_ms);
    table_row(table, condition.mark);
    table_cell(table, view_text(service, "name"));
    table_cell(table, condition.word);
    table_cell(table, buf_slice(&age));
    add_transport(table, service);
    table_int(table, view_int(service, "tools", -1));
    table_int(table, view_int(service, "inflight", -1));
    table_int(table, view_int(service, "waiting", -1));
    table_int(table, view_int(service, "calls", -1));
    table_int(table, view_int(service, "failures", -1));
    table_int(table, view_int(service, "restarts", -1));
    table_cell(table, view_text(service, "title"));
    buf_done(&age);
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

static bool is_troubled(struct slice info)
{
    struct slice database = view_text(view_get(info, "store"), "state");
    return slice_is(database, "failed") || slice_is(database, "full") ||
           view_get(info, "reload_refused").len ||
           view_int(view_get(info, "policy"), "errors", 0) > 0;
}

/* What is wrong with the daemon itself; false: nothing. */
static bool put_trouble(struct cli *cli, struct slice info)
{
    struct buf *out = &cli->out;
    struct slice store = view_get(info, "store");
    struct slice refused = view_get(info, "reload_refused");
    size_t begin = out->len;
    if (slice_is(view_text(store, "state"), "failed")) {
        put_mark(out, &cli->terminal, MARK_BAD);
        buf_put_text(out, "database: nothing is kept for now, serving goes on\n    why  ");
        put_clean(out, view_text(store, "reason"), 0);
        buf_put_text(out, "\n    do   mend that; it is tried again every half minute\n");
    }
    if (slice_is(view_text(store, "state"), "full")) {
        put_mark(out, &cli->terminal, MARK_BAD);
        buf_put_text(out, "database: full\n    why  ");
        put_clean(out, view_text(store, "reason"), 0);
        buf_put_text(out,
                     "\n    do   raise store.database_bytes, then toolbroker policy reload\n"
                     "    do   toolbroker activity  # who makes so many calls\n");
    }
    if (refused.len) {
        put_mark(out, &cli->terminal, MARK_WARN);
        buf_put_text(out, "configuration: the last reload was refused ");
        put_duration(out, view_age(refused, "time"));
        buf_put_text(out, " ago for ");
        put_count(out, view_int(refused, "faults", 0), "fault");
        buf_put_text(out, ", and the one before is in use\n"
                          "    do   toolbroker policy check  # what is wrong in its files\n");
    }
    if (view_int(view_get(info, "policy"), "errors", 0) > 0) {
        put_mark(out, &cli->terminal, MARK_WARN);
        buf_put_text(out, "policy: failed ");
        put_count(out, view_int(view_get(info, "policy"), "errors", 0), "time");
        buf_put_text(out, " since it was loaded\n"
                          "    do   look for `the policy failed` in the daemon's log\n");
    }
    return out->len > begin;
}

static unsigned count_troubled(struct slice services)
{
    unsigned count = 0;
    struct slice service;
    struct view_list list = view_list(services);
    while (view_next(&list, &service)) {
        count += condition_of(service).needs_attention;
    }
    return count;
}

static void put_services(struct cli *cli, struct slice services)
{
    static const char *const titles[] = {"SERVICE",  "STATE",    "FOR",  "TRANSPORT",
                                         "TOOLS",    "NOW",      "WAIT", "CALLS",
                                         "FAILURES", "RESTARTS", "TITLE"};
    struct table table;
    struct slice service;
    table_init(&table, titles, sizeof titles / sizeof *titles, 0x3f0);
    table.drop = "kjedhgf";
    struct view_list list = view_list(services);
    while (view_next(&list, &service)) {
        add_service(&table, service);
    }
    if (table.marks.len) {
        table_put(&table, &cli->terminal, &cli->out);
    } else {
        buf_put_text(&cli->out, "No service is configured: see services.lua.\n");
    }
    table_done(&table);
    list = view_list(services);
    while (view_next(&list, &service)) {
        if (condition_of(service).needs_attention) {
            buf_put_byte(&cli->out, '\n');
            condition_put(cli, service);
        }
    }
    size_t before = cli->out.len;
    buf_put_byte(&cli->out, '\n');
    size_t begin = cli->out.len;
    list = view_list(services);
    while (view_next(&list, &service)) {
        condition_put_remarks(cli, service);
    }
    cli->out.len = cli->out.len == begin ? before : cli->out.len;
}

/* What is wrong, the numbers in words, then the rest as it came. */
static void put_in_full(struct cli *cli, struct slice service)
{
    struct buf rest;
    size_t begin = cli->out.len;
    if (condition_of(service).needs_attention) {
        condition_put(cli, service);
    }
    condition_put_remarks(cli, service);
    condition_put_numbers(cli, service);
    if (cli->out.len != begin) {
        buf_put_byte(&cli->out, '\n');
    }
    buf_init(&rest, 134217728);
    put_map_without(&rest, service, condition_numbers);
    put_tree(&cli->out, buf_slice(&rest), 0);
    buf_done(&rest);
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
            put_in_full(cli, service);
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
    if (code == EXIT_FINE) {
        troubled =
            count_troubled(view_get(result, "services")) + is_troubled(buf_slice(&daemon));
    }
    if (code == EXIT_FINE && cli->is_json) {
        code = put_both(cli, buf_slice(&daemon), view_get(result, "services"));
    } else if (code == EXIT_FINE) {
        put_daemon_line(cli, buf_slice(&daemon));
        buf_put_byte(&cli->out, '\n');
        if (put_trouble(cli, buf_slice(&daemon))) {
            buf_put_byte(&cli->out, '\n');
        }
        put_services(cli, view_get(result, "services"));
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
    table.drop = "dcf";
    struct view_list list = view_list(view_get(result, "services"));
    while (view_next(&list, &service)) {
        struct buf tags;
        struct condition condition = condition_of(service);
        buf_init(&tags, 65536);
        put_joined(&tags, view_get(service, "tags"));
        table_row(&table, condition.mark);
        table_cell(&table, view_text(service, "name"));
        table_cell(&table, condition.word);
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
