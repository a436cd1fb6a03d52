/* SPDX-License-Identifier: MIT */
/* approve.c - `approve`: what is different about tools since they were approved, and accepting it. */
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/diff.h"
#include "cli/table.h"
#include "cli/view.h"

#include "value/pack.h"

#include <stdio.h>
#include <string.h>

#define TEXT_BYTES ((size_t)67108864)

/* What the operand names. */
struct target {
    struct slice service, tool; /* empty: all */
};

static struct target target_of(const struct args *args)
{
    const char *name = args->operand_count ? args->operands[0] : "";
    const char *slash = strchr(name, '/');
    size_t len = slash ? (size_t)(slash - name) : strlen(name);
    return (struct target){{name, len}, slash ? slice_of(slash + 1) : SLICE("")};
}

static bool is_meant(const struct target *target, struct slice entry)
{
    return !target->tool.len || slice_equal(target->tool, view_text(entry, "tool"));
}

static bool waits(struct slice entry)
{
    struct slice state = view_text(entry, "state");
    return slice_is(state, "new") || slice_is(state, "changed");
}

/* A copy of the entries that are meant, one after the other: an answer lasts until the next. */
static void keep_waiting(const struct target *target, struct slice tools, struct buf *out)
{
    struct view_list list = view_list(tools);
    struct slice entry;
    while (view_next(&list, &entry)) {
        if (is_meant(target, entry) && waits(entry)) {
            buf_put_slice(out, entry);
        }
    }
}

static int fetch(struct cli *cli, const struct target *target, struct slice *ret)
{
    bool all = args_has(cli->args, OPTION_ALL) || target->tool.len;
    struct buf params;
    buf_init(&params, 65536);
    pack_put_map(&params, (target->service.len != 0) + (uint32_t)all);
    if (target->service.len) {
        pack_put_key_str(&params, "service", target->service);
    }
    if (all) {
        pack_put_key_bool(&params, "all", true);
    }
    int code = cli_call(cli, "tools.approvals", &params, CLI_TIMEOUT_MS, ret);
    buf_done(&params);
    return code;
}

/* ---- showing ------------------------------------------------------------------------------- */

/* A long text breaks where a sentence ends, so that what changed in it can be seen. */
static void put_sentences(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool ends = i > 0 && text.ptr[i] == ' ' && strchr(".!?", text.ptr[i - 1]);
        buf_put_byte(out, (uint8_t)(ends ? '\n' : text.ptr[i]));
    }
}

/* The value as lines: text as it is, anything else as indented JSON. */
static void put_value(struct buf *out, struct slice value)
{
    struct pack cursor = pack_over(value);
    struct slice text;
    struct err ignored;
    if (pack_next_text(&cursor, &text)) {
        put_sentences(out, text);
    } else if (value.len && put_json(out, value, true, &ignored) != 0) {
        buf_put_text(out, "(no JSON)");
    }
}

static void put_member(struct cli *cli, struct slice name, struct slice before,
                       struct slice after)
{
    struct buf a;
    struct buf b;
    buf_init(&a, TEXT_BYTES);
    buf_init(&b, TEXT_BYTES);
    put_value(&a, before);
    put_value(&b, after);
    buf_put_text(&cli->out, "  ");
    put_clean(&cli->out, name, 0);
    buf_put_text(&cli->out, ":\n");
    diff_put(&cli->out, &cli->terminal, buf_slice(&a), buf_slice(&b));
    buf_done(&a);
    buf_done(&b);
}

/* A tool that was never approved: all that it is, as new. */
static void put_whole(struct cli *cli, struct slice definition)
{
    struct pack cursor = pack_over(definition);
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
        if (!slice_is(key, "name")) {
            put_member(cli, key, (struct slice){NULL, 0}, value);
        }
    }
}

static void put_tool(struct cli *cli, struct slice entry)
{
    struct buf *out = &cli->out;
    struct slice difference;
    struct view_list list = view_list(view_get(entry, "differences"));
    put_mark(out, &cli->terminal, waits(entry) ? MARK_WARN : MARK_NONE);
    put_paint(out, &cli->terminal, PAINT_BOLD);
    put_clean(out, view_text(entry, "service"), 0);
    buf_put_byte(out, '/');
    put_clean(out, view_text(entry, "tool"), 0);
    put_plain(out, &cli->terminal);
    buf_put_text(out, ": ");
    put_clean(out, view_text(entry, "state"), 0);
    buf_put_text(out, view_is_true(entry, "withheld") ? ", withheld" : "");
    if (view_text(entry, "approved_at").len) {
        buf_put_text(out, " (approved ");
        put_clean(out, view_text(entry, "approved_at"), 0);
        buf_put_text(out, " by ");
        put_clean(out, view_text(entry, "approved_by"), 0);
        buf_put_byte(out, ')');
    }
    buf_put_byte(out, '\n');
    if (slice_is(view_text(entry, "state"), "new")) {
        put_whole(cli, view_get(entry, "current"));
    }
    while (view_next(&list, &difference)) {
        put_member(cli, view_text(difference, "member"), view_get(difference, "approved"),
                   view_get(difference, "current"));
    }
    buf_put_byte(out, '\n');
}

static void add_members(struct table *table, struct slice differences)
{
    struct buf text;
    struct slice difference;
    struct view_list list = view_list(differences);
    buf_init(&text, 65536);
    for (bool is_first = true; view_next(&list, &difference); is_first = false) {
        buf_put_text(&text, is_first ? "" : ", ");
        buf_put_slice(&text, view_text(difference, "member"));
    }
    table_cell(table, buf_slice(&text));
    buf_done(&text);
}

static void put_list(struct cli *cli, struct slice tools)
{
    static const char *const titles[] = {"TOOL", "STATE", "WITHHELD", "CHANGED"};
    struct table table;
    struct slice entry;
    struct view_list list = view_list(tools);
    table_init(&table, titles, 4, 0);
    while (view_next(&list, &entry)) {
        struct buf name;
        buf_init(&name, 65536);
        buf_put_slice(&name, view_text(entry, "service"));
        buf_put_byte(&name, '/');
        buf_put_slice(&name, view_text(entry, "tool"));
        table_row(&table, waits(entry) ? MARK_WARN : MARK_NONE);
        table_cell(&table, buf_slice(&name));
        table_cell(&table, view_text(entry, "state"));
        table_text(&table, view_is_true(entry, "withheld") ? "yes" : "no");
        add_members(&table, view_get(entry, "differences"));
        buf_done(&name);
    }
    if (table.marks.len) {
        table_put(&table, &cli->terminal, &cli->out);
    } else {
        buf_put_text(&cli->out, "No tool waits for approval.\n");
    }
    table_done(&table);
}

/* ---- accepting ----------------------------------------------------------------------------- */

static int accept(struct cli *cli, const struct target *target)
{
    struct buf params;
    struct slice result;
    buf_init(&params, 65536);
    pack_put_map(&params, target->tool.len ? 2 : 1);
    pack_put_key_str(&params, "service", target->service);
    if (target->tool.len) {
        pack_put_key_str(&params, "tool", target->tool);
    }
    int code = cli_call(cli, "tools.approve", &params, CLI_TIMEOUT_MS, &result);
    buf_done(&params);
    if (code != EXIT_FINE || cli->is_json) {
        return code == EXIT_FINE ? cli_put_json(cli, result) : code;
    }
    put_mark(&cli->out, &cli->terminal, MARK_GOOD);
    put_count(&cli->out, view_int(result, "approved", 0), "tool");
    buf_put_text(&cli->out, " approved\n");
    return EXIT_FINE;
}

/* What is approved is what the tools are then: it must still be what the person has seen. */
static int check_same(struct cli *cli, const struct target *target, struct slice seen)
{
    struct slice result;
    struct buf now;
    int code = fetch(cli, target, &result);
    if (code != EXIT_FINE) {
        return code;
    }
    buf_init(&now, TEXT_BYTES);
    keep_waiting(target, view_get(result, "tools"), &now);
    bool is_same = !now.overflow && slice_equal(buf_slice(&now), seen);
    buf_done(&now);
    return is_same ? EXIT_FINE
                   : cli_complain(cli, EXIT_AGAIN, "Look again, and decide then.",
                                  "nothing is approved: it has changed meanwhile");
}

static int decide(struct cli *cli, const struct target *target, unsigned count,
                  struct slice seen)
{
    char prompt[64];
    if (args_has(cli->args, OPTION_YES)) {
        return accept(cli, target);
    }
    bool is_written = cli_flush(cli);
    if (!ask_is_possible(cli)) {
        return cli_complain(cli, EXIT_FAILED, "Run it on a terminal, or with --yes.",
                            "nothing is approved: there is nobody to ask");
    }
    (void)snprintf(prompt, sizeof prompt, "accept %s?", count > 1 ? "all of this" : "this");
    if (!is_written || !ask_yes(cli, prompt)) {
        return cli_complain(cli, EXIT_FAILED, NULL, "nothing is approved");
    }
    int code = check_same(cli, target, seen);
    return code == EXIT_FINE ? accept(cli, target) : code;
}

static unsigned count_waiting(const struct target *target, struct slice tools,
                              unsigned *ret_known)
{
    struct view_list list = view_list(tools);
    struct slice entry;
    unsigned count = 0;
    *ret_known = 0;
    while (view_next(&list, &entry)) {
        count += is_meant(target, entry) && waits(entry);
        *ret_known += is_meant(target, entry);
    }
    return count;
}

static void show_named(struct cli *cli, const struct target *target, struct slice tools)
{
    struct view_list list = view_list(tools);
    struct slice entry;
    while (view_next(&list, &entry)) {
        if (is_meant(target, entry) && waits(entry)) {
            put_tool(cli, entry);
        }
    }
}

int run_approve(struct cli *cli)
{
    struct target target = target_of(cli->args);
    struct slice result;
    unsigned known;
    if (args_has(cli->args, OPTION_YES) && !target.service.len) {
        return cli_complain(cli, EXIT_USAGE, "Name a service, or SERVICE/TOOL.",
                            "--yes needs to know what is accepted");
    }
    int code = fetch(cli, &target, &result);
    if (code != EXIT_FINE) {
        return code;
    }
    struct slice tools = view_get(result, "tools");
    unsigned count = count_waiting(&target, tools, &known);
    if (target.tool.len && !known) {
        return cli_complain(cli, EXIT_FAILED, "`toolbroker approve --all` lists them.",
                            "no tool %s was ever seen", cli->args->operands[0]);
    }
    if (cli->is_json && !args_has(cli->args, OPTION_YES)) {
        code = cli_put_json(cli, result);
        return code == EXIT_FINE && count ? EXIT_FAILED : code;
    }
    if (!target.service.len || args_has(cli->args, OPTION_ALL)) {
        put_list(cli, tools);
        return count ? EXIT_FAILED : EXIT_FINE;
    }
    if (!cli->is_json && !count) {
        put_mark(&cli->out, &cli->terminal, MARK_GOOD);
        buf_put_text(&cli->out, "nothing waits for approval there\n");
        return EXIT_FINE;
    }
    if (!cli->is_json) {
        show_named(cli, &target, tools);
    }
    struct buf seen;
    buf_init(&seen, TEXT_BYTES);
    keep_waiting(&target, tools, &seen);
    code = decide(cli, &target, count, buf_slice(&seen));
    buf_done(&seen);
    return code;
}
