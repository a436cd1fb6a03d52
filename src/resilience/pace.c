/* SPDX-License-Identifier: MIT */
/* pace.c - the rate at which a server refuses, learned from what it takes. */
#include "resilience/pace.h"

#include "resilience/span.h"

#define SECOND   INT64_C(1000000)
#define LATENESS INT64_C(10000) /* of timers, that does not slow it down */

/* The rate is most * (1 + (ms / 5000)^3), ms from the middle of the flat part: four fifths at first,
 * double 5 s behind the middle, and 65 times as much at the end. */
#define MIDDLE_MS INT64_C(2924)
#define ENDS_MS   INT64_C(20000)

void pace_good(struct pace *pace, mono_us now)
{
    if (!pace->is_refused && now - pace->second >= SECOND) {
        pace->good[1] = now - pace->second < 2 * SECOND ? pace->good[0] : 0;
        pace->good[0] = 0;
        pace->second = now;
    }
    pace->good[0] += pace->good[0] < UINT32_MAX;
    pace->taken += pace->taken < UINT32_MAX;
}

void pace_refused(struct pace *pace, mono_us since, mono_us now)
{
    if (pace->is_refused || (pace->most && since <= pace->refused_at)) {
        return;
    }
    if (now - pace->second >= 2 * SECOND) { /* nothing was answered of late */
        pace->good[0] = pace->good[1] = 0;
    }
    pace->is_refused = true;
    pace->refused_at = now;
}

uint32_t pace_rate(const struct pace *pace, mono_us now)
{
    if (!pace->most) {
        return 0;
    }
    int64_t ms = (now - pace->learned_at) / 1000 - MIDDLE_MS;
    if (ms >= ENDS_MS) {
        return 0;
    }
    int64_t rate = pace->most + pace->most * (ms * ms * ms / 125000) / 1000000;
    return rate < PACE_MOST ? (uint32_t)rate : 0;
}

/* What it took since the last refusal on average, or in the busier of two seconds. */
static uint64_t rate_taken(const struct pace *pace)
{
    mono_us during = pace->refused_at - pace->learned_at;
    if (pace->most && during >= 2 * SECOND) {
        return (uint64_t)pace->taken * 1000 * SECOND / (uint64_t)during;
    }
    return UINT64_C(1000) * (pace->good[0] > pace->good[1] ? pace->good[0] : pace->good[1]);
}

static void learn(struct pace *pace, mono_us now)
{
    uint64_t taken = rate_taken(pace);
    uint32_t sent = pace_rate(pace, pace->refused_at);
    uint32_t most = taken < PACE_MOST ? (uint32_t)taken : PACE_MOST;
    most = sent && sent < most ? sent : most; /* who answered late may have been many */
    uint32_t least = pace->most ? PACE_LEAST : PACE_FIRST;
    pace->most = most > least ? most : least;
    pace->learned_at = pace->next_at = now;
    pace->taken = 0;
    pace->is_refused = false;
}

mono_us pace_next(const struct pace *pace, mono_us now)
{
    return !pace->is_refused && pace_rate(pace, now) ? pace->next_at : 0;
}

void pace_pass(struct pace *pace, mono_us now)
{
    if (pace->is_refused) {
        learn(pace, now);
    }
    uint32_t rate = pace_rate(pace, now);
    if (!rate) {
        pace->most = 0;
        return;
    }
    mono_us from = now - LATENESS > pace->next_at ? now - LATENESS : pace->next_at;
    pace->next_at = span_after(from, SECOND * 1000 / rate);
}
