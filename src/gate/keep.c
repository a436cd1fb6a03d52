/* SPDX-License-Identifier: MIT */
/* keep.c - what a gate remembers over a restart, and over a reload that lacks its service. */
#include "base/map.h"
#include "base/mem.h"
#include "gate/gate_internal.h"
#include "resilience/span.h"

/* What was put aside: the texts of the row are its own. */
struct gate_kept {
    struct store_gate row;
    char *breaker_reason, *quarantine_reason;
};

wall_ms gate_wall(const struct gates *gates, mono_us time)
{
    return loop_wall(gates->loop) + (time - loop_now(gates->loop)) / 1000;
}

static struct slice text_of(const char *text)
{
    return text ? slice_of(text) : SLICE("");
}

/* ---- rows -------------------------------------------------------------------------------- */

static bool has_memory(const struct gate *gate, mono_us now)
{
    return gate->breaker.state != BREAKER_CLOSED || gate->breaker.forced != BREAKER_BY_ITSELF ||
           gate->quarantine.level || quarantine_holds(&gate->quarantine, now, NULL);
}

static struct store_gate row_of(const struct gate *gate)
{
    const struct gates *gates = gate->gates;
    const struct breaker *breaker = &gate->breaker;
    const struct quarantine *quarantine = &gate->quarantine;
    mono_us now = gate_now(gate);
    struct store_gate row = {
        .service = gate->conf->name,
        .breaker = breaker->state,
        .forced = breaker->forced,
        .breaker_since = breaker->since ? gate_wall(gates, breaker->since) : 0,
        .breaker_reason = text_of(gate->breaker_reason),
        .quarantine_level = quarantine->level,
    };
    if (breaker->state != BREAKER_CLOSED) { /* half-open: it may be tried at once */
        row.breaker_until =
            gate_wall(gates, breaker->state == BREAKER_OPEN ? breaker->until : now);
    }
    if (quarantine_holds(quarantine, now, NULL)) {
        row.quarantine_since = gate_wall(gates, quarantine->since);
        row.quarantine_until =
            quarantine->until == MONO_NEVER ? -1 : gate_wall(gates, quarantine->until);
        row.is_quarantined_by_hand = quarantine->is_by_hand;
        row.quarantine_reason = text_of(gate->quarantine_reason);
    }
    return row;
}

/* A time of day of the past as one of the loop. */
static mono_us past(const struct gates *gates, wall_ms time)
{
    wall_ms ago = loop_wall(gates->loop) - time;
    mono_us now = loop_now(gates->loop);
    return time <= 0 || ago <= 0 ? now : now - span_of_ms(ago < INT64_MAX / 2000 ? ago : 0);
}

/* The end of what is left of a time; a clock that was set makes it no longer than it was to be, nor than
 * `most`. */
static mono_us end_of(const struct gates *gates, wall_ms since, wall_ms until, int64_t most_ms)
{
    wall_ms left = until - loop_wall(gates->loop);
    mono_us now = loop_now(gates->loop);
    if (since > 0 && since <= until && until - since < most_ms) {
        most_ms = until - since;
    }
    left = left < 0 ? 0 : left < most_ms ? left : most_ms;
    return span_after(now, span_of_ms(left));
}

static void restore_breaker(struct gate *gate, const struct store_gate *row)
{
    struct breaker *breaker = &gate->breaker;
    bool is_broken = row->breaker == BREAKER_OPEN || row->breaker == BREAKER_HALF_OPEN;
    bool is_forced = row->forced == BREAKER_FORCED_OPEN || row->forced == BREAKER_FORCED_CLOSED;
    if (!is_broken && !is_forced) {
        return;
    }
    breaker->since = past(gate->gates, row->breaker_since);
    breaker->forced = is_forced ? (enum breaker_force)row->forced : BREAKER_BY_ITSELF;
    if (is_broken) {
        breaker->state = BREAKER_OPEN;
        breaker->until = end_of(gate->gates, row->breaker_since, row->breaker_until,
                                gate->conf->breaker.open_ms);
    }
    change_reason(&gate->breaker_reason, row->breaker_reason);
    change_breaker(gate, NULL);
}

static void restore_quarantine(struct gate *gate, const struct store_gate *row)
{
    struct quarantine *quarantine = &gate->quarantine;
    const struct quarantine_conf *conf = &gate->conf->quarantine;
    int64_t most_ms = row->is_quarantined_by_hand ? INT64_MAX : conf->max_ms;
    mono_us now = gate_now(gate);
    quarantine->level = row->quarantine_level;
    if (row->quarantine_until == 0) {
        return;
    }
    quarantine->since = past(gate->gates, row->quarantine_since);
    quarantine->until = row->quarantine_until < 0 ? MONO_NEVER
                                                  : end_of(gate->gates, row->quarantine_since,
                                                           row->quarantine_until, most_ms);
    quarantine->is_by_hand = row->is_quarantined_by_hand;
    change_reason(&gate->quarantine_reason, row->quarantine_reason);
    if (quarantine_holds(quarantine, now, NULL)) {
        quarantine_watch(gate);
        change_quarantine(gate, true);
    }
}

/* What is known of this life goes before what is known of an earlier one. */
static void restore(struct gate *gate, const struct store_gate *row)
{
    if (!gate->is_set_by_hand && !has_memory(gate, gate_now(gate))) {
        restore_breaker(gate, row);
        restore_quarantine(gate, row);
        keep_gate(gate); /* some of it may have ended meanwhile */
        gate_settle(gate);
    }
}

void keep_gate(struct gate *gate)
{
    struct store *store = gate->gates->store;
    if (!store || gate->is_gone) {
        return;
    }
    if (has_memory(gate, gate_now(gate))) {
        struct store_gate row = row_of(gate);
        store_put_gate(store, &row);
    } else {
        store_drop_gate(store, gate->conf->name);
    }
}

/* ---- services that are not there --------------------------------------------------------- */

static void kept_free(struct gate_kept *kept)
{
    mem_free(kept->breaker_reason);
    mem_free(kept->quarantine_reason);
    mem_free(kept);
}

static void put_aside(struct gates *gates, const struct store_gate *row)
{
    struct gate_kept *kept = map_remove(&gates->kept, row->service);
    if (kept) {
        kept_free(kept);
    }
    if (gates->kept.count >= GATE_KEPT_MAX) {
        return;
    }
    kept = mem_new(sizeof *kept);
    kept->row = *row;
    kept->breaker_reason = mem_dup(row->breaker_reason);
    kept->quarantine_reason = mem_dup(row->quarantine_reason);
    kept->row.breaker_reason = slice_of(kept->breaker_reason);
    kept->row.quarantine_reason = slice_of(kept->quarantine_reason);
    kept->row.service = SLICE("");
    map_set(&gates->kept, row->service, kept);
}

void keep_aside(struct gate *gate)
{
    if (has_memory(gate, gate_now(gate))) {
        struct store_gate row = row_of(gate);
        put_aside(gate->gates, &row);
    }
}

void keep_restore(struct gate *gate)
{
    struct gate_kept *kept = map_remove(&gate->gates->kept, gate->conf->name);
    if (kept) {
        restore(gate, &kept->row);
        kept_free(kept);
    }
}

/* ---- the store --------------------------------------------------------------------------- */

static void go_on(struct gates *gates)
{
    struct gate *gate;
    size_t at = 0;
    loop_timer_cancel(gates->loop, &gates->patience);
    gates->is_read = true;
    while ((gate = map_next(&gates->map, &at, NULL))) {
        gate_settle(gate);
    }
}

static void lose_patience(void *arg)
{
    go_on(arg);
}

static void loaded(void *arg, const struct store_image *image, const struct err *err)
{
    struct gates *gates = arg;
    (void)err; /* the store says it */
    for (size_t i = 0; image && i < image->gate_count; i++) {
        const struct store_gate *row = &image->gates[i];
        struct gate *gate = gate_find(gates, row->service);
        if (gate) {
            restore(gate, row);
        } else {
            put_aside(gates, row);
        }
    }
    if (!gates->is_read) {
        go_on(gates);
    }
}

void keep_start(struct gates *gates)
{
    loop_timer_init(&gates->patience, lose_patience, gates);
    if (!gates->store) {
        gates->is_read = true;
        return;
    }
    loop_timer_set(gates->loop, &gates->patience, loop_now(gates->loop) + GATE_READ_US);
    gates->load.loaded = loaded;
    gates->load.arg = gates;
    store_load(gates->store, &gates->load);
}

void keep_done(struct gates *gates)
{
    struct gate_kept *kept;
    size_t at = 0;
    if (gates->store) {
        store_forget_load(&gates->load);
    }
    loop_timer_cancel(gates->loop, &gates->patience);
    while ((kept = map_next(&gates->kept, &at, NULL))) {
        kept_free(kept);
    }
    map_done(&gates->kept);
}
