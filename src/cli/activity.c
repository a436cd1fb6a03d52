/* SPDX-License-Identifier: MIT */
/* activity.c - `activity` and `history`: what happened, the newest last, as many pages as it takes. */
#include "cli/cli.h"
#include "cli/table.h"
#include "cli/view.h"

#include "base/clock.h"
#include "value/pack.h"

#include <inttypes.h>
#include <string.h>

#define ROWS_DEFAULT 50u
#define ROWS_MAX     100000u
#define PAGE_ROWS    1000u
#define SINCE_MAX    (3650 * DURATION_DAY)
#define ROWS_BYTES   ((size_t)268435456)

/* What was asked for, and what has come so far. */
struct rows {
    const char *method, *member; /* of the answer */
    struct buf pairs;            /* of the parameters that stay the same */
    uint32_t pair_count;
    uint32_t limit;
    struct buf bytes; /* the rows one behind the other, newest first */
    struct buf ends;  /* size_t: where each of them ends */
    uint32_t count;
    int64_t next;        /* 0: there are no more */
    bool is_from_memory; /* the daemon's database cannot be read */
};

static void rows_init(struct rows *rows, const char *method, const char *member)
{
    *rows = (struct rows){.method = method, .member = member};
    buf_init(&rows->pairs, 65536);
    buf_init(&rows->bytes, ROWS_BYTES);
    buf_init(&rows->ends, ROWS_BYTES);
}

static void rows_done(struct rows *rows)
{
    buf_done(&rows->pairs);
    buf_done(&rows->bytes);
    buf_done(&rows->ends);
}

static bool read_limit(const char *text, uint32_t *ret)
{
    uint32_t number = 0;
    if (strspn(text, "0123456789") != strlen(text) || strlen(text) > 6) {
        return false;
    }
    for (; *text; text++) {
        number = number * 10 + (uint32_t)(*text - '0');
    }
    *ret = number;
    return number >= 1 && number <= ROWS_MAX;
}

/* --since and --limit, which both commands take. */
static int read_options(struct cli *cli, struct rows *rows)
{
    const char *limit = cli->args->values[OPTION_LIMIT];
    const char *since = cli->args->values[OPTION_SINCE];
    int64_t ms;
    rows->limit = ROWS_DEFAULT;
    if (limit && !read_limit(limit, &rows->limit)) {
        return cli_complain(cli, EXIT_USAGE, "Give a number from 1 to 100000.",
                            "--limit %s is no such number", limit);
    }
    if (!since) {
        return EXIT_FINE;
    }
    if (!duration_parse(since, SINCE_MAX, &ms)) {
        return cli_complain(cli, EXIT_USAGE, "Write 90s, 10m, 1h30m or 7d: so long ago.",
                            "--since %s is no time", since);
    }
    pack_put_key_int(&rows->pairs, "since", clock_wall() - ms);
    rows->pair_count++;
    return EXIT_FINE;
}

static void rows_filter(struct rows *rows, const struct cli *cli, enum option_id id,
                        const char *key)
{
    rows->pair_count += put_option_text(&rows->pairs, cli, id, key);
}

static int fetch_page(struct cli *cli, struct rows *rows)
{
    struct buf params;
    struct slice answer;
    struct slice row;
    uint32_t left = rows->limit - rows->count;
    buf_init(&params, 65536);
    pack_put_map(&params, rows->pair_count + 1 + (rows->next != 0));
    buf_put_slice(&params, buf_slice(&rows->pairs));
    pack_put_key_int(&params, "limit", left < PAGE_ROWS ? left : PAGE_ROWS);
    if (rows->next) {
        pack_put_key_int(&params, "before", rows->next);
    }
    int code = cli_call(cli, rows->method, &params, CLI_TIMEOUT_MS, &answer);
    buf_done(&params);
    if (code != EXIT_FINE) {
        return code;
    }
    struct view_list list = view_list(view_get(answer, rows->member));
    while (rows->count < rows->limit && view_next(&list, &row)) {
        buf_put_slice(&rows->bytes, row);
        buf_put(&rows->ends, &rows->bytes.len, sizeof rows->bytes.len);
        rows->count++;
    }
    int64_t before = rows->next;
    rows->next = view_int(answer, "next", 0);
    rows->is_from_memory = slice_is(view_text(answer, "from"), "memory");
    if (rows->next && before && rows->next >= before) {
        return cli_complain(cli, EXIT_FAILED, "Report it.",
                            "the daemon's pages do not come to an end");
    }
    return rows->bytes.overflow || rows->ends.overflow
               ? cli_complain(cli, EXIT_FAILED, "Ask for less: --limit, --since.",
                              "that is more than this tool holds")
               : EXIT_FINE;
}

/* A page may be empty and not the last: the daemon looks at so many rows at a time. */
static int fetch(struct cli *cli, struct rows *rows)
{
    int code;
    do {
        code = fetch_page(cli, rows);
    } while (code == EXIT_FINE && rows->next && rows->count < rows->limit);
    return code;
}

static struct slice row_at(const struct rows *rows, uint32_t index)
{
    size_t bounds[2] = {0, 0};
    const char *ends = rows->ends.data;
    if (index) {
        memcpy(bounds, ends + (index - 1) * sizeof *bounds, sizeof bounds);
    } else {
        memcpy(bounds + 1, ends, sizeof *bounds);
    }
    return (struct slice){rows->bytes.data + bounds[0], bounds[1] - bounds[0]};
}

/* As the daemon answers: newest first, and where to go on. */
static int put_rows_json(struct cli *cli, const struct rows *rows)
{
    struct buf map;
    buf_init(&map, ROWS_BYTES);
    pack_put_map(&map, 1u + (rows->next != 0) + rows->is_from_memory);
    pack_put_text(&map, rows->member);
    pack_put_array(&map, rows->count);
    buf_put_slice(&map, buf_slice(&rows->bytes));
    if (rows->next) {
        pack_put_key_int(&map, "next", rows->next);
    }
    if (rows->is_from_memory) {
        pack_put_key_text(&map, "from", "memory");
    }
    int code = cli_put_json(cli, buf_slice(&map));
    buf_done(&map);
    return code;
}

static void add_duration(struct table *table, int64_t ms)
{
    struct buf text;
    buf_init(&text, 256);
    put_duration(&text, ms);
    table_cell(table, buf_slice(&text));
    buf_done(&text);
}

struct layout {
    const char *const *titles;
    unsigned columns;
    uint32_t right;
    void (*add)(struct table *table, struct slice row);
    const char *nothing, *drop;
    unsigned least;
    bool is_below;
};

static int show(struct cli *cli, const struct rows *rows, const struct layout *layout)
{
    struct table table;
    if (cli->is_json) {
        return put_rows_json(cli, rows);
    }
    table_init(&table, layout->titles, layout->columns, layout->right);
    table.drop = layout->drop;
    table.least = layout->least;
    table.is_below = layout->is_below;
    for (uint32_t i = rows->count; i > 0; i--) {
        layout->add(&table, row_at(rows, i - 1));
    }
    if (rows->count) {
        table_put(&table, &cli->terminal, &cli->out);
    } else {
        buf_put_text(&cli->out, layout->nothing);
    }
    table_done(&table);
    if (!rows->next && !rows->is_from_memory) {
        return EXIT_FINE;
    }
    bool is_written = cli_flush(cli); /* the rows first, then what is to be said about them */
    if (rows->is_from_memory) {
        cli_note(cli, PAINT_YELLOW,
                 SLICE("the database cannot be read: this is what memory has of late; "
                       "`toolbroker daemon info` says why"));
    } else {
        cli_note(cli, PAINT_DIM, SLICE("there are older ones: --limit N shows more"));
    }
    return is_written ? EXIT_FINE : EXIT_FAILED;
}

/* ---- activity ------------------------------------------------------------------------------- */

static enum mark mark_of_call(struct slice outcome)
{
    if (slice_is(outcome, "live") || slice_is(outcome, "cache")) {
        return MARK_GOOD;
    }
    return slice_is(outcome, "demo") || slice_is(outcome, "fallback") ? MARK_WARN : MARK_BAD;
}

static void add_call(struct table *table, struct slice call)
{
    struct buf text;
    struct slice service = view_text(call, "service");
    struct slice tool = view_text(call, "tool");
    struct slice from = view_text(call, "fallback_from");
    struct slice outcome = view_text(call, "outcome");
    buf_init(&text, 65536);
    table_row(table, mark_of_call(outcome));
    table_cell(table, view_text(call, "time"));
    buf_put_slice(&text, service);
    buf_put_text(&text, service.len && tool.len ? "/" : "");
    buf_put_slice(&text, service.len || tool.len ? tool : view_text(call, "method"));
    table_cell(table, buf_slice(&text));
    table_cell(table, view_text(call, "agent"));
    table_cell(table, view_text(call, "user"));
    buf_clear(&text);
    buf_put_slice(&text, outcome);
    if (from.len) {
        buf_put_text(&text, " for ");
        buf_put_slice(&text, from);
    }
    table_cell(table, buf_slice(&text));
    buf_done(&text);
    add_duration(table, view_int(call, "ms", -1));
    table_int(table, view_int(call, "attempts", -1));
    table_cell(table, view_text(call, "request_id"));
}

int run_activity(struct cli *cli)
{
    static const char *const titles[] = {"TIME",    "WHAT", "AGENT",    "USER",
                                         "OUTCOME", "TOOK", "ATTEMPTS", "REQUEST"};
    static const struct layout layout = {.titles = titles,
                                         .columns = 8,
                                         .right = 0x60,
                                         .add = add_call,
                                         .nothing = "No call is recorded that fits.\n",
                                         .drop = "gdchf",
                                         .least = 16}; /* half of an id is none */
    struct rows rows;
    rows_init(&rows, "activity.query", "calls");
    int code = read_options(cli, &rows);
    rows_filter(&rows, cli, OPTION_AGENT, "agent");
    rows_filter(&rows, cli, OPTION_USER, "user");
    rows_filter(&rows, cli, OPTION_SERVICE, "service");
    rows_filter(&rows, cli, OPTION_TOOL, "tool");
    rows_filter(&rows, cli, OPTION_OUTCOME, "outcome");
    code = code == EXIT_FINE ? fetch(cli, &rows) : code;
    code = code == EXIT_FINE ? show(cli, &rows, &layout) : code;
    rows_done(&rows);
    return code;
}

/* ---- history -------------------------------------------------------------------------------- */

static enum mark mark_of_event(struct slice state)
{
    static const struct {
        const char *state;
        enum mark mark;
    } marks[] = {{"ok", MARK_GOOD},        {"up", MARK_GOOD},        {"closed", MARK_GOOD},
                 {"running", MARK_GOOD},   {"ended", MARK_GOOD},     {"failed", MARK_BAD},
                 {"down", MARK_BAD},       {"open", MARK_BAD},       {"error", MARK_BAD},
                 {"half_open", MARK_WARN}, {"degraded", MARK_WARN},  {"limited", MARK_WARN},
                 {"begun", MARK_PAUSED},   {"disabled", MARK_PAUSED}};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (slice_is(state, marks[i].state)) {
            return marks[i].mark;
        }
    }
    return MARK_NONE;
}

static void add_event(struct table *table, struct slice event)
{
    struct slice state = view_text(event, "state");
    table_row(table, mark_of_event(state));
    table_cell(table, view_text(event, "time"));
    table_cell(table, view_text(event, "service"));
    table_cell(table, view_text(event, "kind"));
    table_cell(table, state);
    add_duration(table, view_int(event, "ms", -1));
    table_cell(table, view_text(event, "reason"));
}

int run_history(struct cli *cli)
{
    static const char *const titles[] = {"TIME", "SERVICE", "KIND", "STATE", "TOOK", "REASON"};
    static const struct layout layout = {.titles = titles,
                                         .columns = 6,
                                         .right = 0x10,
                                         .add = add_event,
                                         .nothing = "Nothing is recorded that fits.\n",
                                         .drop = "e",
                                         .is_below = true};
    struct rows rows;
    rows_init(&rows, "services.events", "events");
    int code = read_options(cli, &rows);
    if (cli->args->operand_count) {
        pack_put_key_text(&rows.pairs, "service", cli->args->operands[0]);
        rows.pair_count++;
    }
    code = code == EXIT_FINE ? fetch(cli, &rows) : code;
    code = code == EXIT_FINE ? show(cli, &rows, &layout) : code;
    rows_done(&rows);
    return code;
}
