/* SPDX-License-Identifier: MIT */
/* rate_internal.h - what the readers of the several forms of rate fields share. */
#ifndef RESILIENCE_RATE_INTERNAL_H
#define RESILIENCE_RATE_INTERNAL_H

#include "resilience/rate_fields.h"

/* Names of quotas from lists are hashed to this and above; those of known fields are below. */
#define RATE_ID_OF_LIST UINT32_C(0x80000000)

enum rate_part { RATE_REMAINING, RATE_LIMIT, RATE_RESET };

/* Notes one part of a quota. Told twice, the smaller one counts: a wait that is too short is
 * put right by the server, one that is too long by nobody. */
void rate_tell(struct rate_fields *fields, uint32_t id, enum rate_part part, int64_t value);

/* A number without sign at the start of `text`, which is moved behind it: the whole of it, and
 * thousandths rounded up. Saturates at RATE_NUMBER_MAX. */
#define RATE_NUMBER_MAX INT64_C(1000000000000000)
bool rate_take_number(struct slice *text, int64_t *ret_whole, int64_t *ret_thousandths);

/* What a time means, told as seconds left, as Unix seconds or as Unix milliseconds: in ms from now,
 * from 0 to RATE_WAIT_MAX_MS. */
int64_t rate_wait_of(int64_t whole, int64_t thousandths, wall_ms now);
int64_t rate_wait_until(int64_t then, wall_ms now);

void rate_skip_space(struct slice *text);
bool rate_take_byte(struct slice *text, char byte);

/* RateLimit and RateLimit-Policy, by the grammar of structured fields (RFC 9651). What breaks it says
 * nothing: false, and some of it may have been told. `dictionary_id`: the quota of draft -07. */
bool rate_read_list(struct rate_fields *fields, struct slice text, uint32_t dictionary_id,
                    wall_ms now);

/* Meta's shares of a quota used, as JSON. */
void rate_read_usage(struct rate_fields *fields, struct slice text, uint32_t id);

#endif
