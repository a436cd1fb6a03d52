/* SPDX-License-Identifier: MIT */
/* status.c - what is to be seen of a gate: for lists, for the operator, and the numbers it counts. */
#include "gate/gate_internal.h"
#include "resilience/span.h"
#include "value/pack.h"

bool gates_may_retry(struct gates *gates, struct slice service)
{
    struct gate *gate = gate_find(gates, service);
    if (!gate) {
        return false;
    }
    bool may = retry_budget_take(&gate->budget, &gate->conf->retry, gate_now(gate));
    gate->counts.over_budget += !may;
    return may;
}

void gates_count_call(struct gates *gates, struct slice service, unsigned attempts,
                      bool has_succeeded)
{
    struct gate *gate = gate_find(gates, service);
    if (gate && attempts) {
        struct gate_counts *counts = &gate->counts;
        counts->calls++;
        counts->attempts += attempts;
        counts->retries_good += attempts > 1 && has_succeeded;
        counts->retries_bad += attempts > 1 && !has_succeeded;
    }
}

bool gates_would_pass(const struct gates *gates, struct slice service, struct slice user,
                      struct failure *failure)
{
    const struct gate *gate = gate_find(gates, service);
    if (!gate) {
        if (failure) {
            say_unknown(service, failure);
        }
        return false;
    }
    const struct gate_user *whose =
        service_conf_needs_user(gate->conf) ? user_find(gate, user) : NULL;
    enum gate_why why = gate_refusal(gate, whose, MONO_NEVER, gate_now(gate));
    if (why && failure) {
        say_refusal(gate, whose, why, 0, failure);
    }
    return why == GATE_FREE;
}

/* -1 where no end is known; also while it is closed. */
static int64_t breaker_left_ms(const struct gate *gate)
{
    const struct breaker *breaker = &gate->breaker;
    if (breaker->forced != BREAKER_BY_ITSELF || breaker->state != BREAKER_OPEN) {
        return -1;
    }
    return gate_left_ms(breaker->until, gate_now(gate));
}

static unsigned count_users_held(const struct gate *gate, mono_us *ret_until)
{
    mono_us now = gate_now(gate);
    unsigned held = 0;
    *ret_until = 0;
    list_each (link, &gate->user_list) {
        const struct gate_user *user = LIST_ITEM(link, struct gate_user, link);
        mono_us until = limit_is_held(&user->limit, now) ? user->limit.until : 0;
        held += user->breaker.state != BREAKER_CLOSED || until;
        if (until && (!*ret_until || until < *ret_until)) {
            *ret_until = until;
        }
    }
    return held;
}

bool gates_view(const struct gates *gates, struct slice service, struct gate_view *ret)
{
    const struct gate *gate = gate_find(gates, service);
    if (!gate) {
        return false;
    }
    mono_us now = gate_now(gate);
    bool is_held = quarantine_holds(&gate->quarantine, now, NULL);
    *ret = (struct gate_view){
        .breaker = breaker_effective(&gate->breaker),
        .forced = gate->breaker.forced,
        .breaker_since = gate->breaker.since,
        .breaker_left_ms = breaker_left_ms(gate),
        .is_quarantined = is_held,
        .is_quarantined_by_hand = is_held && gate->quarantine.is_by_hand,
        .quarantine_left_ms = is_held ? gate_left_ms(gate->quarantine.until, now) : 0,
        .last_success = gate->last_success,
        .last_failure = gate->last_failure,
        .limited_until = limit_is_held(&gate->limit, now) ? gate->limit.until : 0,
        .failures_in_row = gate->breaker.failures,
        .inside = gate->inside,
        .waiting = gate->waiting,
    };
    ret->users_held = count_users_held(gate, &ret->users_until);
    return true;
}

/* ---- services.status --------------------------------------------------------------------- */

static void put_time(const char *key, wall_ms time, struct buf *out)
{
    char text[CLOCK_TEXT];
    clock_format(time, text);
    pack_put_key_text(out, key, text);
}

static void put_breaker(const struct gate *gate, struct buf *out)
{
    const struct breaker *breaker = &gate->breaker;
    enum breaker_state state = breaker_effective(breaker);
    bool is_forced = breaker->forced != BREAKER_BY_ITSELF;
    bool has_reason = gate->breaker_reason && (is_forced || state != BREAKER_CLOSED);
    int64_t left = breaker_left_ms(gate);
    pack_put_text(out, "breaker");
    pack_put_map(out, 3u + is_forced + (left >= 0) + has_reason);
    pack_put_key_text(out, "state", breaker_state_name(state));
    if (is_forced) {
        pack_put_key_text(out, "forced",
                          breaker->forced == BREAKER_FORCED_OPEN ? "open" : "closed");
    }
    put_time("since",
             breaker->since ? gate_wall(gate->gates, breaker->since) : gate->gates->born, out);
    if (left >= 0) {
        pack_put_key_int(out, "left_ms", left);
    }
    pack_put_key_int(out, "failures", breaker->failures);
    if (has_reason) {
        pack_put_key_text(out, "reason", gate->breaker_reason);
    }
}

static uint32_t put_quarantine(const struct gate *gate, struct buf *out)
{
    const struct quarantine *quarantine = &gate->quarantine;
    if (!quarantine_holds(quarantine, gate_now(gate), NULL)) {
        return 0;
    }
    int64_t left = gate_left_ms(quarantine->until, gate_now(gate));
    const char *reason = gate->quarantine_reason ? gate->quarantine_reason : "";
    pack_put_text(out, "quarantine");
    pack_put_map(out, 4u + (left >= 0));
    put_time("since", gate_wall(gate->gates, quarantine->since), out);
    if (left >= 0) {
        pack_put_key_int(out, "left_ms", left);
    }
    pack_put_key_bool(out, "by_hand", quarantine->is_by_hand);
    pack_put_key_int(out, "level", quarantine->level);
    pack_put_key_text(out, "reason", reason);
    return 1;
}

static uint32_t put_limited(const struct gate *gate, struct buf *out)
{
    mono_us now = gate_now(gate);
    bool is_held = limit_is_held(&gate->limit, now);
    uint32_t rate = pace_rate(&gate->pace, now);
    if (!is_held && !rate) {
        return 0;
    }
    pack_put_text(out, "limited");
    pack_put_map(out, 0u + is_held + (rate > 0));
    if (is_held) {
        pack_put_key_int(out, "left_ms", gate_left_ms(gate->limit.until, now));
    }
    if (rate) {
        pack_put_key_int(out, "per_min", (int64_t)rate * 60 / 1000);
    }
    return 1;
}

static uint32_t put_users_held(const struct gate *gate, struct buf *out)
{
    mono_us until;
    unsigned held = count_users_held(gate, &until);
    if (held) {
        pack_put_key_int(out, "users_held", held);
    }
    return held > 0;
}

static void put_retries(const struct gate_counts *counts, struct buf *out)
{
    uint64_t calls = counts->calls;
    uint64_t thousandths = calls ? (counts->attempts * 1000 + calls / 2) / calls : 0;
    pack_put_text(out, "retries");
    pack_put_map(out, 5u + (counts->last_retry > 0));
    pack_put_key_int(out, "attempts", (int64_t)counts->retries);
    pack_put_key_int(out, "succeeded", (int64_t)counts->retries_good);
    pack_put_key_int(out, "failed", (int64_t)counts->retries_bad);
    pack_put_text(out, "average_attempts");
    pack_put_float(out, (double)thousandths / 1000.0);
    if (counts->last_retry > 0) {
        put_time("last", counts->last_retry, out);
    }
    pack_put_key_int(out, "refused_by_budget", (int64_t)counts->over_budget);
}

static void put_classes(const struct gate_counts *counts, struct buf *out)
{
    pack_put_text(out, "failures_by_class");
    pack_put_map(out, FAILURE_CLASSES);
    for (unsigned i = 0; i < FAILURE_CLASSES; i++) {
        pack_put_key_int(out, failure_class_name((enum failure_class)i),
                         (int64_t)counts->by_class[i]);
    }
}

uint32_t gates_put_status(const struct gates *gates, struct slice service, struct buf *out)
{
    const struct gate *gate = gate_find(gates, service);
    uint32_t pairs = 5;
    if (!gate) {
        return 0;
    }
    put_breaker(gate, out);
    pairs += put_quarantine(gate, out);
    pairs += put_limited(gate, out);
    pack_put_key_int(out, "waiting", gate->waiting);
    pack_put_key_int(out, "inflight", gate->inside);
    pairs += put_users_held(gate, out);
    put_retries(&gate->counts, out);
    put_classes(&gate->counts, out);
    return pairs;
}
