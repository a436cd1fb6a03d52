/* SPDX-License-Identifier: MIT */
/* numbers.c - breaker, calls under way, retries and failures of one service, a line each. */
#include "cli/condition.h"

#include "cli/view.h"
#include "value/pack.h"

#include <inttypes.h>

const char *const condition_numbers[] = {"breaker", "quarantine",        "limited",
                                         "waiting", "inflight",          "users_held",
                                         "retries", "failures_by_class", NULL};

static void begin(struct buf *out, const char *what)
{
    buf_printf(out, "%-10s ", what);
}

static void put_breaker(struct buf *out, struct slice service)
{
    struct slice breaker = view_get(service, "breaker");
    int64_t age = view_age(breaker, "since");
    if (!breaker.len) {
        return;
    }
    begin(out, "breaker");
    put_clean(out, view_text(breaker, "state"), 0);
    if (view_text(breaker, "forced").len) {
        buf_put_text(out, " by hand");
    }
    if (age >= 0) {
        buf_put_text(out, " for ");
        put_duration(out, age);
    }
    buf_put_text(out, ", ");
    put_count(out, view_int(breaker, "failures", 0), "failure");
    buf_put_text(out, " in a row\n");
}

static void put_now(struct buf *out, struct slice service)
{
    int64_t waiting = view_int(service, "waiting", -1);
    if (waiting < 0) {
        return;
    }
    begin(out, "now");
    put_count(out, view_int(service, "inflight", 0), "call");
    buf_printf(out, " under way, %" PRId64 " %s for a place or a limit", waiting,
               waiting == 1 ? "waits" : "wait");
    int64_t pace = view_int(view_get(service, "limited"), "per_min", 0);
    if (pace > 0) {
        buf_printf(out, "; paced at %" PRId64 " a minute, learned from refusals", pace);
    }
    buf_put_byte(out, '\n');
}

static void put_retries(struct buf *out, struct slice service)
{
    struct slice retries = view_get(service, "retries");
    struct slice average = view_get(retries, "average_attempts");
    struct pack cursor = pack_over(average);
    struct pack_item item;
    int64_t ago = view_age(retries, "last");
    int64_t refused = view_int(retries, "refused_by_budget", 0);
    if (!retries.len) {
        return;
    }
    begin(out, "retries");
    int64_t saved = view_int(retries, "succeeded", 0);
    buf_printf(out, "%" PRId64 " made; %" PRId64 " %s saved by them, %" PRId64 " not",
               view_int(retries, "attempts", 0), saved, saved == 1 ? "call" : "calls",
               view_int(retries, "failed", 0));
    if (pack_next(&cursor, &item) && item.type == PACK_FLOAT) {
        buf_printf(out, "; %.2f attempts a call", item.f);
    } else if (view_int(retries, "average_attempts", -1) >= 0) {
        buf_printf(out, "; %" PRId64 ".00 attempts a call",
                   view_int(retries, "average_attempts", 0));
    }
    if (ago >= 0) {
        buf_put_text(out, "; the last ");
        put_duration(out, ago);
        buf_put_text(out, " ago");
    }
    if (refused > 0) {
        buf_printf(out, "; %" PRId64 " left out (budget)", refused);
    }
    buf_put_byte(out, '\n');
}

static void put_failures(struct buf *out, struct slice service)
{
    struct pack cursor = pack_over(view_get(service, "failures_by_class"));
    struct pack_item map;
    bool is_first = true;
    if (!pack_next(&cursor, &map) || map.type != PACK_MAP) {
        return;
    }
    for (uint32_t i = 0; i < map.count; i++) {
        struct slice class;
        struct slice value;
        struct pack_item item;
        int64_t count = 0;
        if (!pack_next_text(&cursor, &class) || !pack_take(&cursor, &value)) {
            break;
        }
        struct pack at = pack_over(value);
        if (!pack_next(&at, &item) || !pack_as_int(&item, &count) || count == 0) {
            continue;
        }
        if (is_first) {
            begin(out, "failures");
        }
        buf_put_text(out, is_first ? "" : ", ");
        put_clean(out, class, 0);
        buf_printf(out, " %" PRId64, count);
        is_first = false;
    }
    buf_put_text(out, is_first ? "" : "\n");
}

void condition_put_numbers(struct cli *cli, struct slice service)
{
    put_breaker(&cli->out, service);
    put_now(&cli->out, service);
    put_retries(&cli->out, service);
    put_failures(&cli->out, service);
}
