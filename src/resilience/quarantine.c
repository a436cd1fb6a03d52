/* SPDX-License-Identifier: MIT */
/* quarantine.c - counts faults in a row, and keeps a service out of use for longer each time. */
#include "resilience/quarantine.h"

#include "resilience/span.h"

#include <stddef.h>

/* first_ms doubled `level` times, up to max_ms. */
static mono_us length(const struct quarantine_conf *conf, uint32_t level)
{
    uint64_t ms = conf->first_ms;
    for (uint32_t i = 0; i < level && ms && ms < conf->max_ms; i++) {
        ms *= 2;
    }
    return span_of_ms((int64_t)(ms < conf->max_ms ? ms : conf->max_ms));
}

bool quarantine_tell(struct quarantine *quarantine, const struct quarantine_conf *conf,
                     enum quarantine_outcome outcome, mono_us now)
{
    if (outcome == QUARANTINE_GOOD) {
        quarantine->faults = 0;
        quarantine->level = 0;
        return false;
    }
    /* A fault while it is held is of something that began before. */
    if (outcome != QUARANTINE_FAULT || quarantine_holds(quarantine, now, NULL)) {
        return false;
    }
    quarantine->faults += quarantine->faults < UINT32_MAX;
    if (conf->is_off || quarantine->faults < conf->faults) {
        return false;
    }
    quarantine->faults = 0;
    quarantine->since = now;
    quarantine->until = span_after(now, length(conf, quarantine->level));
    quarantine->level += quarantine->level < UINT32_MAX;
    quarantine->is_by_hand = false;
    return true;
}

bool quarantine_holds(const struct quarantine *quarantine, mono_us now, mono_us *ret_left)
{
    bool is_endless = quarantine->until == MONO_NEVER;
    if (!is_endless && (quarantine->until == 0 || quarantine->until <= now)) {
        return false;
    }
    if (ret_left) {
        *ret_left = is_endless ? MONO_NEVER : span_until(quarantine->until, now);
    }
    return true;
}

void quarantine_begin(struct quarantine *quarantine, mono_us now, mono_us until)
{
    quarantine->faults = 0;
    quarantine->since = now;
    quarantine->until = until;
    quarantine->is_by_hand = true;
}

bool quarantine_release(struct quarantine *quarantine, mono_us now)
{
    bool was_held = quarantine_holds(quarantine, now, NULL);
    *quarantine = (struct quarantine){0};
    return was_held;
}
