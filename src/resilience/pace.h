/* SPDX-License-Identifier: MIT */
/*
 * pace.h - how fast a server takes requests that refuses some and tells no rate, as a function of
 * (state, what came back, now). After a refusal requests go one by one, a little slower than the
 * server took them; faster and faster the longer it refuses none (as CUBIC does, RFC 9438 section
 * 4.2: flat near the rate that was refused, steep behind it), and as they come after some 20 s.
 *
 *     free --refused--> refused --one goes--> paced --20 s or so without refusal--> free
 *                          ^------refused-------'
 *
 * Owns:    nothing; a plain struct, zeroed: free.
 * Units:   microseconds of the monotonic clock; rates in thousandths of a request per second.
 */
#ifndef RESILIENCE_PACE_H
#define RESILIENCE_PACE_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

#define PACE_FIRST \
    5000u /* the least behind a first refusal: there may have been no more to take */
#define PACE_LEAST 1000u    /* one a second is always tried */
#define PACE_MOST  1000000u /* who takes a thousand a second needs none */

struct pace {
    uint32_t good[2];   /* answers in the second that runs, and in the one before */
    mono_us second;     /* when it began */
    uint32_t taken;     /* answers since learned_at */
    bool is_refused;    /* and nothing went since: answers of before still count */
    uint32_t most;      /* the rate that was refused; 0: free */
    mono_us refused_at; /* the last refusal that counted */
    mono_us learned_at; /* the first request behind it */
    mono_us next_at;
};

/* An answer that is no refusal. */
void pace_good(struct pace *pace, mono_us now);
/* A refusal of what was sent at `since`: those of one run count once. */
void pace_refused(struct pace *pace, mono_us since, mono_us now);
/* When one may go; not later than `now`: now. */
mono_us pace_next(const struct pace *pace, mono_us now);
/* One goes. */
void pace_pass(struct pace *pace, mono_us now);
/* 0: as fast as they come. */
uint32_t pace_rate(const struct pace *pace, mono_us now);

static inline bool pace_is_active(const struct pace *pace)
{
    return pace->is_refused || pace->most != 0;
}

#endif
