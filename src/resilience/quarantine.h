/* SPDX-License-Identifier: MIT */
/*
 * quarantine.h - out of use for a while, longer each time: services that misbehave (design section
 * 7). Faults in a row (the protocol broken, processes that end) begin one of first_ms, the next one
 * is twice as long, up to max_ms; one good call starts over.
 *
 * Owns:    nothing; a plain struct, zeroed: in use.
 * Units:   microseconds of the monotonic clock, given by the caller.
 */
#ifndef RESILIENCE_QUARANTINE_H
#define RESILIENCE_QUARANTINE_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

struct quarantine_conf {
    bool is_off;       /* only by hand */
    uint32_t faults;   /* in a row: 5 */
    uint32_t first_ms; /* 30 000 */
    uint32_t max_ms;   /* 1 800 000 */
};

struct quarantine {
    uint32_t faults;      /* in a row, since the last quarantine or good call */
    uint32_t level;       /* quarantines since the last good call */
    mono_us since, until; /* `until` 0 or past: in use; MONO_NEVER: until it is released */
    bool is_by_hand;
};

enum quarantine_outcome { QUARANTINE_GOOD, QUARANTINE_FAULT, QUARANTINE_NEUTRAL };

/* True: it begins with this. GOOD ends a run of faults and the memory of earlier quarantines, but
 * not a quarantine under way. */
bool quarantine_tell(struct quarantine *quarantine, const struct quarantine_conf *conf,
                     enum quarantine_outcome outcome, mono_us now);
bool quarantine_holds(const struct quarantine *quarantine, mono_us now, mono_us *ret_left);
void quarantine_begin(struct quarantine *quarantine, mono_us now, mono_us until); /* by hand */
/* True: there was one. It starts over. */
bool quarantine_release(struct quarantine *quarantine, mono_us now);

#endif
