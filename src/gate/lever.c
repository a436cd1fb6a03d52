/* SPDX-License-Identifier: MIT */
/* lever.c - what is done by hand, and the end of quarantines. */
#include "base/mem.h"
#include "gate/gate_internal.h"
#include "resilience/span.h"

bool gates_force_breaker(struct gates *gates, struct slice service, enum breaker_force force,
                         struct slice reason)
{
    struct gate *gate = gate_find(gates, service);
    if (!gate) {
        return false;
    }
    gate->is_set_by_hand = true;
    breaker_set_force(&gate->breaker, force, gate_now(gate));
    change_reason(&gate->breaker_reason, force ? reason : SLICE(""));
    change_breaker(gate, NULL);
    gate_settle(gate);
    return true;
}

bool gates_reset_breaker(struct gates *gates, struct slice service)
{
    struct gate *gate = gate_find(gates, service);
    if (!gate) {
        return false;
    }
    bool was_changed =
        gate->breaker.state != BREAKER_CLOSED || gate->breaker.forced != BREAKER_BY_ITSELF;
    gate->is_set_by_hand = true;
    breaker_reset(&gate->breaker, gate_now(gate));
    change_reason(&gate->breaker_reason, SLICE(""));
    if (was_changed) {
        change_breaker(gate, NULL);
    }
    list_each (link, &gate->user_list) {
        struct gate_user *user = LIST_ITEM(link, struct gate_user, link);
        was_changed = user->breaker.state != BREAKER_CLOSED;
        breaker_reset(&user->breaker, gate_now(gate));
        change_reason(&user->reason, SLICE(""));
        if (was_changed) {
            change_breaker(gate, user);
        }
        user_settle(user);
    }
    gate_settle(gate);
    return true;
}

/* ---- quarantine -------------------------------------------------------------------------- */

void quarantine_watch(struct gate *gate)
{
    struct loop *loop = gate->gates->loop;
    if (gate->quarantine.until == MONO_NEVER) {
        loop_timer_cancel(loop, &gate->quarantine_end);
    } else {
        loop_timer_set(loop, &gate->quarantine_end, gate->quarantine.until);
    }
}

void quarantine_ended(void *arg)
{
    struct gate *gate = arg;
    if (quarantine_holds(&gate->quarantine, gate_now(gate), NULL)) {
        quarantine_watch(gate);
    } else {
        change_quarantine(gate, false);
    }
}

bool gates_quarantine(struct gates *gates, struct slice service, int64_t ms,
                      struct slice reason)
{
    struct gate *gate = gate_find(gates, service);
    if (!gate) {
        return false;
    }
    mono_us now = gate_now(gate);
    gate->is_set_by_hand = true;
    quarantine_begin(&gate->quarantine, now,
                     ms > 0 ? span_after(now, span_of_ms(ms)) : MONO_NEVER);
    change_reason(&gate->quarantine_reason, reason);
    quarantine_watch(gate);
    change_quarantine(gate, true);
    gate_settle(gate);
    return true;
}

bool gates_release(struct gates *gates, struct slice service, bool *ret_was_held)
{
    struct gate *gate = gate_find(gates, service);
    if (!gate) {
        return false;
    }
    gate->is_set_by_hand = true;
    *ret_was_held = quarantine_release(&gate->quarantine, gate_now(gate));
    loop_timer_cancel(gates->loop, &gate->quarantine_end);
    if (*ret_was_held) {
        change_quarantine(gate, false);
    } else {
        keep_gate(gate); /* earlier ones are forgotten too */
    }
    change_reason(&gate->quarantine_reason, SLICE(""));
    return true;
}
