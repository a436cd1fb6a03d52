/* SPDX-License-Identifier: MIT */
/* condition.c - from the status of a service to words. */
#include "cli/condition.h"

#include "cli/view.h"
#include "value/pack.h"

#include <inttypes.h>
#include <string.h>

/* What is wrong with a service, of which more than one may hold at a time; worst first. UNWELL: as its
 * health says, if none of the others tells why. */
enum fact {
    FACT_QUARANTINE,
    FACT_BREAKER,
    FACT_ERROR,
    FACT_RATE,
    FACT_USERS,
    FACT_UNWELL,
    FACTS
};

static bool is_map(struct slice value)
{
    return value.len && pack_peek(pack_over(value)) == PACK_MAP;
}

uint32_t condition_withheld(struct slice service)
{
    return view_count(view_get(service, "tools_withheld"));
}

static struct slice breaker_state(struct slice service)
{
    return view_text(view_get(service, "breaker"), "state");
}

static struct slice forced(struct slice service)
{
    return view_text(view_get(service, "breaker"), "forced");
}

/* Of health; empty: nothing is known of it. */
static struct slice health_word(struct slice service)
{
    return view_text(view_get(service, "health"), "status");
}

static bool is_unwell(struct slice service)
{
    struct slice word = health_word(service);
    return slice_is(word, "down") || slice_is(word, "degraded");
}

/* What happened last to its sessions, unless that is over; empty: nothing. */
static struct slice last_error(struct slice service)
{
    struct slice error = view_get(service, "last_error");
    return is_map(error) && !view_is_true(error, "is_over") ? error : (struct slice){NULL, 0};
}

static bool is_disabled(struct slice service)
{
    bool enabled;
    return (pack_get_bool(service, "enabled", &enabled) && !enabled) ||
           slice_is(view_text(service, "state"), "disabled");
}

static bool holds(struct slice service, enum fact fact)
{
    struct slice breaker = breaker_state(service);
    switch (fact) {
    case FACT_QUARANTINE:
        return is_map(view_get(service, "quarantine")) ||
               slice_is(view_text(service, "state"), "quarantined");
    case FACT_BREAKER:
        return slice_is(breaker, "open") || slice_is(breaker, "half_open");
    case FACT_ERROR:
        return slice_is(view_text(service, "state"), "error") &&
               !slice_is(health_word(service), "not_linked");
    case FACT_RATE:
        return view_int(view_get(service, "limited"), "left_ms", -1) >= 0;
    case FACT_USERS:
        return view_int(service, "users_held", 0) > 0;
    case FACT_UNWELL:
        return is_unwell(service);
    case FACTS:
        break;
    }
    return false;
}

static enum fact worst(struct slice service)
{
    unsigned fact = 0;
    while (fact < FACTS && !holds(service, (enum fact)fact)) {
        fact++;
    }
    return (enum fact)fact;
}

/* None of the facts holds, or one that is about some of the callers. */
static struct condition plain_condition(struct slice service)
{
    struct slice state = view_text(service, "state");
    struct condition condition = {MARK_WARN, state, view_age(service, "since"), false, true};
    bool is_running = slice_is(state, "running");
    bool is_known = health_word(service).len > 0;
    if (is_running || slice_is(state, "stopped")) { /* a stopped one starts on demand */
        condition.mark = is_running ? MARK_GOOD : MARK_NONE;
        condition.needs_attention = !is_running && !is_known && last_error(service).len;
    } else if (is_known) { /* it starts, or ends */
        condition.mark = MARK_NONE;
        condition.needs_attention = false;
    }
    if (slice_is(health_word(service), "not_linked")) {
        condition.word = SLICE("not linked");
        condition.age_ms = view_age(view_get(service, "health"), "since");
    }
    return condition;
}

/* Since it has been unwell: each new attempt to start it begins another state. */
static int64_t age_unwell(struct slice service)
{
    int64_t age = is_unwell(service) ? view_age(view_get(service, "health"), "since") : -1;
    return age < 0 ? view_age(service, "since") : age;
}

struct condition condition_of(struct slice service)
{
    struct condition condition = plain_condition(service);
    bool is_open = slice_is(breaker_state(service), "open");
    enum fact fact = worst(service);
    if (is_disabled(service)) {
        return (struct condition){MARK_PAUSED, SLICE("disabled"), condition.age_ms, true,
                                  false};
    }
    if (condition_withheld(service) || fact != FACTS) {
        condition.needs_attention = true;
    }
    if (condition.needs_attention) {
        condition.mark = MARK_WARN;
    }
    if (fact == FACT_QUARANTINE) {
        int64_t age = view_age(view_get(service, "quarantine"), "since");
        condition.mark = MARK_PAUSED;
        condition.word = SLICE("quarantined");
        condition.age_ms = age < 0 ? condition.age_ms : age;
    } else if (fact == FACT_BREAKER) {
        condition.mark = is_open ? MARK_BAD : MARK_WARN;
        condition.word = is_open ? SLICE("breaker open") : SLICE("half-open");
        condition.age_ms = view_age(view_get(service, "breaker"), "since");
    } else if (fact == FACT_ERROR) {
        condition.mark = MARK_BAD;
        condition.age_ms = age_unwell(service);
    } else if (fact == FACT_RATE) {
        condition.word = SLICE("rate limited");
    } else if (fact == FACT_UNWELL) {
        condition.word = health_word(service);
        condition.mark = slice_is(condition.word, "down") ? MARK_BAD : MARK_WARN;
        condition.age_ms = age_unwell(service);
    }
    return condition;
}

/* ---- words ---------------------------------------------------------------------------------- */

static void put_span(struct buf *out, const char *before, int64_t ms, const char *after)
{
    if (ms >= 0) {
        buf_put_text(out, before);
        put_duration(out, ms);
        buf_put_text(out, after);
    }
}

/* When somebody looks whether it is back; false: that is not known. */
static bool put_next(struct buf *out, struct slice service)
{
    struct slice health = view_get(service, "health");
    int64_t left = view_left(health, "next_check");
    bool is_asked = view_age(health, "checking_since") >= 0;
    if (is_asked || left == 0) {
        buf_put_text(out, ", being asked now");
    } else {
        put_span(out, ", asked again in ", left, "");
    }
    return is_asked || left >= 0;
}

/* A lever that was pulled without a word is told by whom: "by hand (uid 0)". */
static void put_reason(struct buf *out, struct slice map)
{
    const struct slice by_hand = SLICE("by hand (");
    struct slice reason = view_text(map, "reason");
    bool is_uid = reason.len > by_hand.len && memcmp(reason.ptr, by_hand.ptr, by_hand.len) == 0;
    if (is_uid) {
        reason.ptr += by_hand.len - 1;
        reason.len -= by_hand.len - 1;
    }
    if (reason.len) {
        buf_put_text(out, is_uid ? " " : ": ");
        put_clean(out, reason, 0);
    }
}

static void put_waiting(struct buf *out, struct slice service)
{
    int64_t waiting = view_int(service, "waiting", 0);
    if (waiting > 0) {
        buf_put_text(out, ", ");
        put_count(out, waiting, "call");
        buf_put_text(out, waiting == 1 ? " waits" : " wait");
    }
}

static void put_quarantine(struct buf *out, struct slice service)
{
    struct slice quarantine = view_get(service, "quarantine");
    int64_t left = view_int(quarantine, "left_ms", -1);
    int64_t level = view_int(quarantine, "level", 0);
    bool by_hand = view_is_true(quarantine, "by_hand");
    int64_t age = view_age(quarantine, "since");
    buf_put_text(out, by_hand ? "quarantined by hand" : "quarantined");
    put_span(out, " for ", age < 0 ? view_age(service, "since") : age, "");
    put_span(out, ", ", left, " left");
    if (is_map(quarantine) && left < 0) {
        buf_put_text(out, ", until it is released");
    }
    if (level > 1 && !by_hand) {
        buf_printf(out, ", number %" PRId64 " in a row", level);
    }
    put_reason(out, is_map(quarantine) ? quarantine : service);
}

static void put_breaker(struct buf *out, struct slice service)
{
    struct slice breaker = view_get(service, "breaker");
    bool is_open = slice_is(breaker_state(service), "open");
    bool by_hand = forced(service).len != 0;
    buf_put_text(out, !is_open  ? "breaker half-open"
                      : by_hand ? "breaker held open by hand"
                                : "breaker open");
    put_span(out, " for ", view_age(breaker, "since"), "");
    if (!is_open) {
        buf_put_text(out, ", trying whether it is back");
    } else if (by_hand) {
        buf_put_text(out, ", until it is told otherwise");
    } else if (!put_next(out, service)) {
        put_span(out, ", tried again within ", view_int(breaker, "left_ms", -1), "");
    }
    /* The last error has a line of its own, and a quarantine told its reason. */
    struct slice reason = view_text(breaker, "reason");
    struct slice told = view_text(view_get(service, "quarantine"), "reason");
    if (told.len && slice_equal(reason, told)) {
        return;
    }
    if (!slice_equal(reason, view_text(last_error(service), "message"))) {
        put_reason(out, breaker);
    } else if (is_open && !by_hand && view_int(breaker, "failures", 0) > 0) {
        buf_put_text(out, ": ");
        put_count(out, view_int(breaker, "failures", 0), "failure");
        buf_put_text(out, " in a row");
    }
}

static void put_fact(struct buf *out, struct slice service, enum fact fact)
{
    switch (fact) {
    case FACT_QUARANTINE:
        put_quarantine(out, service);
        break;
    case FACT_BREAKER:
        put_breaker(out, service);
        break;
    case FACT_RATE:
        buf_put_text(out, "rate limited by the service");
        put_span(out, ", ", view_int(view_get(service, "limited"), "left_ms", -1), " left");
        put_waiting(out, service);
        break;
    case FACT_USERS:
        buf_put_text(out, "held back for ");
        put_count(out, view_int(service, "users_held", 0), "user");
        buf_put_text(out, ", for whom the breaker is open or the limit is reached");
        break;
    case FACT_UNWELL:
        put_clean(out, health_word(service), 0);
        put_span(out, " for ", age_unwell(service), "");
        (void)put_next(out, service);
        if (!last_error(service).len) { /* which has lines of its own */
            put_reason(out, view_get(service, "health"));
        }
        break;
    case FACT_ERROR:
    case FACTS:
        put_clean(out, view_text(service, "state"), 0);
        put_span(out, " for ", age_unwell(service), "");
        if (view_text(service, "reason").len &&
            !slice_equal(view_text(service, "reason"),
                         view_text(last_error(service), "message"))) {
            buf_put_text(out, ", ");
            put_clean(out, view_text(service, "reason"), 0);
        }
        (void)put_next(out, service);
        break;
    }
}

/* "    do   toolbroker COMMAND NAME  # what for": to be copied as it is. */
static void put_do(struct buf *out, const char *command, struct slice name, const char *after,
                   const char *what_for)
{
    buf_printf(out, "    do   toolbroker %s ", command);
    put_clean(out, name, 0);
    buf_printf(out, "%s  # %s\n", after, what_for);
}

static void put_remedies(struct buf *out, struct slice service)
{
    struct slice name = view_text(service, "name");
    bool is_forced = forced(service).len != 0;
    if (holds(service, FACT_QUARANTINE) || holds(service, FACT_BREAKER) ||
        worst(service) == FACT_UNWELL || last_error(service).len) {
        put_do(out, "test", name, "", "what is wrong now");
    }
    if (holds(service, FACT_QUARANTINE)) {
        put_do(out, "release", name, "", "uses it again at once");
    }
    if (holds(service, FACT_BREAKER) && is_forced) {
        put_do(out, "breaker", name, " auto", "leaves it to the breaker again");
    } else if (slice_is(breaker_state(service), "open")) {
        put_do(out, "breaker", name, " reset", "uses it again at once");
    }
    if (holds(service, FACT_RATE)) {
        buf_put_text(out,
                     "    do   nothing: calls wait for it as long as their deadlines allow\n");
    }
    if (holds(service, FACT_USERS)) {
        put_do(out, "activity --outcome failed --service", name, "", "whose calls, and why");
    }
    if (condition_withheld(service)) {
        buf_put_text(out, "    withheld until approved: ");
        put_joined(out, view_get(service, "tools_withheld"));
        buf_put_text(out, "\n    do   toolbroker approve ");
        put_clean(out, name, 0);
        buf_put_byte(out, '\n');
    }
}

void condition_put(struct cli *cli, struct slice service)
{
    struct buf *out = &cli->out;
    struct slice error = last_error(service);
    enum fact fact = worst(service);
    put_mark(out, &cli->terminal, condition_of(service).mark);
    put_paint(out, &cli->terminal, PAINT_BOLD);
    put_clean(out, view_text(service, "name"), 0);
    put_plain(out, &cli->terminal);
    buf_put_text(out, ": ");
    put_fact(out, service, fact);
    if (view_text(error, "code").len) {
        buf_put_text(out, " (");
        put_clean(out, view_text(error, "code"), 0);
        buf_put_byte(out, ')');
    }
    buf_put_byte(out, '\n');
    for (unsigned i = (unsigned)fact + 1; i < FACTS; i++) {
        if (i != FACT_ERROR && i != FACT_UNWELL && holds(service, (enum fact)i)) {
            buf_put_text(out, "    and  ");
            put_fact(out, service, (enum fact)i);
            buf_put_byte(out, '\n');
        }
    }
    cli_put_error(cli, error);
    put_remedies(out, service);
}

/* ---- remarks -------------------------------------------------------------------------------- */

static void begin_remark(struct buf *out, struct slice service)
{
    put_clean(out, view_text(service, "name"), 0);
    buf_put_text(out, ": ");
}

/* What is odd about its tools. */
static void put_odd_tools(struct buf *out, struct slice service)
{
    int64_t warned = view_count(view_get(service, "tool_warnings"));
    int64_t left_out = view_count(view_get(service, "tools_left_out"));
    if (!warned && !left_out) {
        return;
    }
    begin_remark(out, service);
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

/* Nobody can link an account where a variable is missing. */
static void put_missing(struct buf *out, struct slice service)
{
    static const char missing[] = "the daemon's environment has no ";
    struct slice reason = view_text(view_get(service, "health"), "reason");
    if (slice_is(health_word(service), "not_linked") && reason.len > sizeof missing - 1 &&
        memcmp(reason.ptr, missing, sizeof missing - 1) == 0) {
        begin_remark(out, service);
        put_clean(out, reason, 0);
        buf_put_text(out, "; set it, and start the daemon again\n");
    }
}

void condition_put_remarks(struct cli *cli, struct slice service)
{
    struct buf *out = &cli->out;
    int64_t refused = view_int(view_get(service, "retries"), "refused_by_budget", 0);
    if (is_disabled(service)) {
        return;
    }
    if (forced(service).len && !holds(service, FACT_BREAKER)) {
        struct slice breaker = view_get(service, "breaker");
        begin_remark(out, service);
        buf_put_text(out, "breaker held closed by hand");
        put_span(out, " for ", view_age(breaker, "since"), "");
        put_reason(out, breaker);
        buf_put_text(out, "; `toolbroker breaker ");
        put_clean(out, view_text(service, "name"), 0);
        buf_put_text(out, " auto` ends that\n");
    }
    if (refused > 0) {
        begin_remark(out, service);
        buf_printf(out, "%" PRId64 " %s left out", refused, refused == 1 ? "retry" : "retries");
        buf_put_text(out, ", because its retry budget was spent: too many of its calls "
                          "fail\n");
    }
    put_missing(out, service);
    put_odd_tools(out, service);
}
