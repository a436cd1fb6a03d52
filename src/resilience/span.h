/* SPDX-License-Identifier: MIT */
/*
 * span.h - sums and differences of times that stop at the ends of int64 instead of passing them.
 *
 * Units: microseconds. MONO_NEVER is the upper end, and so stays what it is.
 */
#ifndef RESILIENCE_SPAN_H
#define RESILIENCE_SPAN_H

#include "base/clock.h"

#include <stdint.h>

/* `span` >= 0. */
static inline mono_us span_after(mono_us now, mono_us span)
{
    return now > INT64_MAX - span ? INT64_MAX : now + span;
}

/* From `now` to `then`; 0 if that is past. */
static inline mono_us span_until(mono_us then, mono_us now)
{
    if (then <= now) {
        return 0;
    }
    uint64_t span = (uint64_t)then - (uint64_t)now;
    return span > INT64_MAX ? INT64_MAX : (mono_us)span;
}

static inline mono_us span_of_ms(int64_t ms)
{
    return ms > INT64_MAX / 1000 ? INT64_MAX : ms * 1000;
}

#endif
