/* SPDX-License-Identifier: MIT */
/*
 * retry.h - whether a failed attempt is followed by another one, and when (design section 7), as
 * functions of (settings, what happened, now).
 *
 * Once a request may have reached the server, it is sent again only if doing it twice does no
 * harm, or if the answer itself says that nothing was done (401, 404 of a dead session, 429, 503
 * with Retry-After).
 *
 * Units:   milliseconds in settings, microseconds of the monotonic clock else.
 */
#ifndef RESILIENCE_RETRY_H
#define RESILIENCE_RETRY_H

#include "base/clock.h"
#include "value/failure.h"

#include <stdbool.h>
#include <stdint.h>

enum retry_strategy { RETRY_FIXED, RETRY_LINEAR, RETRY_EXPONENTIAL, RETRY_EXPONENTIAL_JITTER };

struct retry_conf {
    enum retry_strategy strategy; /* EXPONENTIAL_JITTER */
    uint32_t max_attempts;        /* 3; 1: no retries */
    uint32_t base_ms;             /* 1 000 */
    uint32_t max_ms;              /* longest wait of our own: 30 000 */
    uint32_t attempt_timeout_ms;  /* of one attempt; 0: the call's own deadline alone */
    uint32_t budget_percent;      /* of the calls, that may be retries: 20 */
    uint32_t budget_per_s;        /* retries a second that are free of it: 1 */
};

/* The wait behind attempt number `attempt` (from 1): fixed base; linear base * attempt; exponential
 * base * 2^(attempt - 1); jitter: that, and up to 25 % more or less as `random` says. */
mono_us retry_wait(const struct retry_conf *conf, unsigned attempt, uint64_t random);

/* What is known of the attempt that failed. */
struct retry_facts {
    const struct failure *failure; /* code, class, is_nothing_done, retry_after_ms */
    bool may_have_been_done;       /* the request may have reached the server */
    bool is_harmless;              /* twice does no harm: reads only, or idempotent */
    unsigned attempts;             /* made so far */
    mono_us now, deadline;         /* of the call */
    uint64_t random;
};

enum retry_verdict {
    RETRY_YES,
    RETRY_USELESS,   /* the same would come of it: arguments, permissions, names */
    RETRY_HARMFUL,   /* it may have been done */
    RETRY_EXHAUSTED, /* max_attempts */
    RETRY_TOO_LATE,  /* the wait would pass the deadline */
};

/* With RETRY_YES, *ret_at is when. The budget is asked afterwards, by who keeps it. */
enum retry_verdict retry_decide(const struct retry_conf *conf, const struct retry_facts *facts,
                                mono_us *ret_at);

/* ---- the budget: retries are at most a share of the calls -------------------------------- */

struct retry_budget { /* zeroed: full */
    int64_t spent;    /* in millionths of a retry */
    mono_us at;
};

void retry_budget_call(struct retry_budget *budget, const struct retry_conf *conf, mono_us now);
bool retry_budget_take(struct retry_budget *budget, const struct retry_conf *conf, mono_us now);

#endif
