/* SPDX-License-Identifier: MIT */
/*
 * breaker.h - a circuit breaker as a function of (state, what happened, now); design section 7.
 *
 *     CLOSED --failures in a row--> OPEN --open_ms, or an early trial--> HALF_OPEN
 *     HALF_OPEN --successes in a row--> CLOSED      HALF_OPEN --any failure--> OPEN
 *
 * Whoever asks and passes tells the outcome once, with the epoch it was given: what began before
 * the last change of state says nothing about the new one, and is ignored.
 *
 * Owns:    nothing; a plain struct, zeroed: closed.
 * Units:   microseconds of the monotonic clock, given by the caller. No function reads a clock.
 */
#ifndef RESILIENCE_BREAKER_H
#define RESILIENCE_BREAKER_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

struct breaker_conf {
    bool is_off;        /* never opens by itself; levers still work */
    uint32_t failures;  /* in a row, that open it: 5 */
    uint32_t open_ms;   /* 60 000 */
    uint32_t probes;    /* at once while half-open: 1 */
    uint32_t successes; /* in a row, that close it: 2 */
};

/* A probe that is never told counts as lost after open_ms, but not before this. */
#define BREAKER_LOST_MS 10000u
/* Half-open, with all places taken: one may be free at any time, so the wait told is this at most. */
#define BREAKER_LOOK_AGAIN_US INT64_C(1000000)

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };
enum breaker_force { BREAKER_BY_ITSELF, BREAKER_FORCED_OPEN, BREAKER_FORCED_CLOSED };
enum breaker_outcome { BREAKER_SUCCESS, BREAKER_FAILURE, BREAKER_NEUTRAL };

struct breaker {
    enum breaker_state state;
    enum breaker_force forced;
    uint32_t failures, successes; /* in a row */
    uint32_t probing;             /* that passed while half-open, and are not told yet */
    uint32_t epoch;               /* counts changes of state */
    mono_us since;                /* of the state; 0: from the beginning */
    mono_us until; /* OPEN: when it half-opens by itself. HALF_OPEN: when probes that are not
                      told count as lost, and their places are given anew */
};

/* Whether one may pass now; then *ret_epoch is to be given back. Else *ret_wait says for how long
 * not: MONO_NEVER while it is forced open. May half-open it. */
bool breaker_ask(struct breaker *breaker, const struct breaker_conf *conf, mono_us now,
                 uint32_t *ret_epoch, mono_us *ret_wait);
/* The same without passing: for lists and status. */
bool breaker_would_pass(const struct breaker *breaker, const struct breaker_conf *conf,
                        mono_us now, mono_us *ret_wait);
/* NEUTRAL: it says nothing about the service (cancelled, the caller's fault); only gives back the
 * place of a probe. True: the state is another one now. */
bool breaker_tell(struct breaker *breaker, const struct breaker_conf *conf, uint32_t epoch,
                  enum breaker_outcome outcome, mono_us now);
/* OPEN and not forced: half-open from now on, ahead of time. True: it is another state. */
bool breaker_try_early(struct breaker *breaker, mono_us now);
/* HALF_OPEN, and a probe is not told for long: one more may pass beside it. Both will be heard. */
void breaker_one_more(struct breaker *breaker);
/* Levers. Back to BY_ITSELF the breaker is closed, with nothing counted; reset takes a force off, too. */
void breaker_set_force(struct breaker *breaker, enum breaker_force force, mono_us now);
void breaker_reset(struct breaker *breaker, mono_us now);
/* What is in force, levers included. */
enum breaker_state breaker_effective(const struct breaker *breaker);
const char *breaker_state_name(enum breaker_state state); /* "closed", "open", "half_open" */

#endif
