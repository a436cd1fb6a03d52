/* SPDX-License-Identifier: MIT */
/*
 * plan.h - when a service is looked at next, as a function of what is known of it.
 *
 *     all is well          an interval after its last answer, if a session stands or it is critical
 *     it failed            5 s, 10 s, 30 s later, then as above
 *     its breaker is open  1 s later, then 2 s, then every 5 s; after a good probe at once. Where
 *                          calls are to try, one may every 5 s, also beside one that waits
 *     quarantined          soon after the quarantine has ended
 *
 * Owns:    nothing. No function reads a clock.
 * Units:   microseconds of the monotonic clock.
 */
#ifndef HEALTH_PLAN_H
#define HEALTH_PLAN_H

#include "base/clock.h"
#include "gate/gate.h"

#include <stdbool.h>

/* While a breaker is open, the longest from one probe to the beginning of the next. */
#define PLAN_EARLY_US ((mono_us)GATE_LOOK_MS * 1000)

enum plan_action {
    PLAN_NOTHING,   /* until something happens */
    PLAN_LOOK,      /* whether it sleeps by now */
    PLAN_TRY_EARLY, /* nobody can probe it: the next call may try */
    PLAN_PROBE
};

struct plan_facts {
    bool may_probe; /* false: credentials are those of users */
    bool is_critical, is_connected;
    bool is_asleep;     /* it is known to be so */
    bool is_held;       /* quarantined */
    mono_us held_until; /* MONO_NEVER: no end is known */
    bool was_held;      /* it has been, and was not looked at since */
    bool is_open;       /* the breaker, by itself: open or half-open */
    bool is_half_open;
    bool is_returning;  /* half-open, and the last probe was answered */
    mono_us opened;     /* when the outage began */
    unsigned tries;     /* probes in this outage */
    mono_us tried;      /* the last of them began */
    bool is_failing;    /* its last answer, or lack of one, was a failure */
    unsigned steps;     /* probes that failed since */
    mono_us answered;   /* when; 0: never */
    mono_us interval;   /* 0: none while all is well */
    mono_us first;      /* the first look of a critical one */
    mono_us not_before; /* the server said so */
};

enum plan_action plan(const struct plan_facts *facts, mono_us *ret_when);

#endif
