/* SPDX-License-Identifier: MIT */
/*
 * limit.h - a limit that the server has told: nothing is sent before a time, and what was held goes on
 * with one attempt, so that a server just out of breath is not met by all that waited.
 *
 *     free --429, or a quota that is used up--> held --its time--> careful: one goes in
 *     careful --it came back well, or a second later--> free       careful --429--> held
 *
 * Owns:    nothing; a plain struct, zeroed: free.
 * Units:   microseconds of the monotonic clock, given by the caller. No function reads a clock.
 */
#ifndef GATE_LIMIT_H
#define GATE_LIMIT_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

#define LIMIT_CAREFUL_US \
    INT64_C(1000000)         /* the rest follows the first one then at the latest */
#define LIMIT_FIRST_MS 1000u /* a hold whose end nobody told; doubled in a row */
#define LIMIT_MOST_MS  60000u

struct gate_limit {
    bool is_active;       /* else all of it is to be ignored */
    bool is_careful;      /* there was a hold, and nobody came back well since */
    uint32_t unknown;     /* holds in a row whose end nobody told */
    uint32_t left;        /* that may go in before `window` */
    mono_us began, until; /* of the hold */
    mono_us first_at;     /* careful: when one went in; 0: none yet */
    mono_us window;       /* 0: it is not known how many are left */
};

/* From now until then nothing goes; never shortens. True: it was free before. */
bool limit_hold(struct gate_limit *limit, mono_us until, mono_us now);
/* The same where the server did not say until when. `since`: when the attempt that was refused had
 * gone in; those of one run count once. */
bool limit_hold_unknown(struct gate_limit *limit, mono_us since, mono_us now);
/* So many may go in until `window`; what the server said last holds. */
void limit_allow(struct gate_limit *limit, uint32_t left, mono_us window, mono_us now);
/* Of those that were allowed none is left, and none is inside that could bring better news. */
bool limit_settle(struct gate_limit *limit, mono_us now);

/* When one may go; not later than `now`: now. */
mono_us limit_next(const struct gate_limit *limit, mono_us now);
bool limit_is_held(const struct gate_limit *limit, mono_us now);
/* One goes in. True: it is the first one behind a hold. */
bool limit_pass(struct gate_limit *limit, mono_us now);
/* One that had gone in at `since` came back well. True: others may follow. */
bool limit_good(struct gate_limit *limit, mono_us since, mono_us now);
/* The first one was given up: another may be it. */
void limit_quit(struct gate_limit *limit);

#endif
