/* SPDX-License-Identifier: MIT */
/* plan.c - the schedule of the health monitor. */
#include "health/plan.h"

#define SECOND ((mono_us)1000000)

/* Lets what ends a quarantine happen first. */
#define AFTER_QUARANTINE (SECOND / 2)

static mono_us later(mono_us a, mono_us b)
{
    return a > b ? a : b;
}

static enum plan_action while_open(const struct plan_facts *facts, mono_us *ret_when)
{
    mono_us wait = facts->tries == 0 ? SECOND : facts->tries == 1 ? 2 * SECOND : PLAN_EARLY_US;
    mono_us from = facts->tries == 0 ? facts->opened : facts->tried;
    if (!facts->may_probe) { /* half-open: a call may try, and may wait long for its answer */
        *ret_when = from + (facts->is_half_open ? PLAN_EARLY_US : wait);
        return PLAN_TRY_EARLY;
    }
    *ret_when = facts->is_returning ? facts->tried : from + wait;
    return PLAN_PROBE;
}

static enum plan_action while_failing(const struct plan_facts *facts, mono_us *ret_when)
{
    static const mono_us waits[] = {5 * SECOND, 10 * SECOND, 30 * SECOND};
    if (facts->steps >= sizeof waits / sizeof waits[0]) {
        return PLAN_NOTHING;
    }
    *ret_when = facts->answered + waits[facts->steps];
    return PLAN_PROBE;
}

static enum plan_action while_well(const struct plan_facts *facts, mono_us *ret_when)
{
    if (facts->interval == 0) {
        return PLAN_NOTHING;
    }
    if (facts->may_probe && (facts->is_connected || facts->is_critical)) {
        *ret_when = facts->answered ? facts->answered + facts->interval : facts->first;
        return PLAN_PROBE;
    }
    if (facts->is_connected || facts->is_asleep || !facts->answered) {
        return PLAN_NOTHING;
    }
    *ret_when = facts->answered + facts->interval;
    return PLAN_LOOK;
}

enum plan_action plan(const struct plan_facts *facts, mono_us *ret_when)
{
    enum plan_action action = PLAN_NOTHING;
    if (facts->is_held) {
        *ret_when = facts->held_until;
        if (facts->held_until == MONO_NEVER) {
            return PLAN_NOTHING;
        }
        *ret_when += AFTER_QUARANTINE;
        return PLAN_LOOK;
    }
    if (facts->was_held && facts->may_probe) {
        *ret_when = facts->not_before;
        return PLAN_PROBE;
    }
    if (facts->is_open) {
        action = while_open(facts, ret_when);
    } else if (facts->is_failing && facts->may_probe) {
        action = while_failing(facts, ret_when);
    }
    if (action == PLAN_NOTHING && !facts->is_open) {
        action = while_well(facts, ret_when);
    }
    if (action != PLAN_NOTHING) {
        *ret_when = later(*ret_when, facts->not_before);
    }
    return action;
}
