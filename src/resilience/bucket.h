/* SPDX-License-Identifier: MIT */
/*
 * bucket.h - a rate limit: a token bucket as a function of (state, now).
 *
 * Owns:    nothing; a plain struct, zeroed: full.
 * Units:   microseconds of the monotonic clock; a rate is `count` in `period_us`, `burst` at once.
 */
#ifndef RESILIENCE_BUCKET_H
#define RESILIENCE_BUCKET_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

struct rate_conf { /* count 0: no limit */
    uint32_t count;
    uint32_t burst; /* 0: count */
    mono_us period_us;
};

struct bucket {
    mono_us full_at; /* when it is full again if nothing is taken */
    uint32_t part;   /* and this many count-ths of a microsecond later */
};

/* Takes one; else *ret_wait says when one will be there. Nothing is taken then. */
bool bucket_take(struct bucket *bucket, const struct rate_conf *conf, mono_us now,
                 mono_us *ret_wait);
mono_us bucket_wait(const struct bucket *bucket, const struct rate_conf *conf, mono_us now);
void bucket_give_back(struct bucket *bucket, const struct rate_conf *conf, mono_us now);

#define RATE_MOST 1000000u

/* "10/s", "100/min", "5000/h", "1000/day", with " burst N" behind it if wanted: what settings and
 * services say. False: it is none of these, or a number is not in 1..RATE_MOST. "0" is no limit. */
bool rate_parse(const char *text, struct rate_conf *ret);

#endif
