/* SPDX-License-Identifier: MIT */
/*
 * rate_fields.h - what header fields of an answer say about the limits of a server: Retry-After (RFC
 * 9110, seconds and date), X-RateLimit-* in the forms of the vendors, RateLimit-* of the IETF drafts
 * (the triple up to -06, one dictionary in -07, lists in `RateLimit` and `RateLimit-Policy` since).
 * Retry-After goes before all others; of several quotas the one with the least left counts.
 *
 * Owns:    nothing. Bounded: reads each value once, and believes no wait beyond RATE_WAIT_MAX_MS.
 * Errors:  what cannot be read counts as not said.
 */
#ifndef RESILIENCE_RATE_FIELDS_H
#define RESILIENCE_RATE_FIELDS_H

#include "base/clock.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define RATE_WAIT_MAX_MS INT64_C(86400000)

#define RATE_QUOTAS      8 /* of one answer; what it says of more is not read */

struct rate_quota {
    uint32_t id;
    int64_t remaining, limit, reset_ms; /* -1: not said */
};

struct rate_fields {          /* rate_fields_init first */
    int64_t retry_after_ms;   /* -1: not said */
    int64_t remaining, limit; /* requests; -1: not said */
    int64_t reset_ms;         /* until `remaining` is full again; -1: not said */
    bool is_daily;            /* the quota of a day is used up */
    /* What the three above are chosen from. */
    struct rate_quota quotas[RATE_QUOTAS];
    unsigned quota_count;
};

void rate_fields_init(struct rate_fields *fields);
/* Whether this could be one of them, by its first letters: cheap, for each field of each answer. */
bool rate_fields_is_one(struct slice name);
/* Takes one field. Names in any case; `date` reads an HTTP date as Unix seconds (-1: it is none). */
void rate_fields_take(struct rate_fields *fields, struct slice name, struct slice value,
                      wall_ms now, int64_t (*date)(struct slice text));
/* How long to send nothing after this answer, in ms: 0: go on; -1: limited, but nothing says how long.
 * `is_refused`: the answer was 429 (or 503 with Retry-After). Without that only a quota that is used up
 * (remaining 0) with a known reset holds. A refusal while the quota told has room, or is just
 * full again, is for a reason that the fields do not tell: -1. */
int64_t rate_fields_hold(const struct rate_fields *fields, bool is_refused);

#endif
