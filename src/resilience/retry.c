/* SPDX-License-Identifier: MIT */
/* retry.c - whether and when a failed attempt is followed by another one, and the budget of that. */
#include "resilience/retry.h"

#include "resilience/span.h"

#define JITTER_ON_TOP_MAX INT64_C(1000000) /* of a wait that the server has told */

/* A share of `most`, by chance: the same chance never gives less of more. */
static mono_us by_chance(mono_us most, uint64_t random)
{
    int64_t millionths = (int64_t)(((random ^ random >> 32) & UINT32_MAX) >> 12);
    int64_t all = (1 << 20) - 1;
    return most / all * millionths + most % all * millionths / all;
}

/* What the strategy says without chance, in ms. */
static uint64_t plain_ms(const struct retry_conf *conf, unsigned attempt)
{
    uint64_t ms = conf->base_ms;
    attempt = attempt ? attempt : 1;
    if (conf->strategy == RETRY_LINEAR) {
        ms *= attempt;
    } else if (conf->strategy != RETRY_FIXED) {
        for (unsigned i = 1; i < attempt && ms && ms < conf->max_ms; i++) {
            ms *= 2;
        }
    }
    return ms < conf->max_ms ? ms : conf->max_ms;
}

mono_us retry_wait(const struct retry_conf *conf, unsigned attempt, uint64_t random)
{
    mono_us plain = span_of_ms((int64_t)plain_ms(conf, attempt));
    if (conf->strategy != RETRY_EXPONENTIAL_JITTER) {
        return plain;
    }
    /* Spread over what max_ms leaves, so that many at the ceiling do not come at the same time. */
    mono_us least = plain - plain / 4, most = plain + plain / 4;
    mono_us ceiling = span_of_ms(conf->max_ms);
    return least + by_chance((most < ceiling ? most : ceiling) - least, random);
}

/* A start that has to wait a moment is worth the wait; other limits of ours were waited for. */
static bool is_of_use(const struct failure *failure)
{
    if (!failure->is_retryable) { /* a certificate, a program that is not there */
        return false;
    }
    switch (failure->class) {
    case FAILURE_OF_BROKER:
        return failure->code == ERR_UNAVAILABLE && failure->retry_after_ms >= 0;
    case FAILURE_NETWORK:
    case FAILURE_PROCESS:
    case FAILURE_SERVER:
    case FAILURE_RATE_LIMIT:
        return true;
    default:
        return false;
    }
}

/* Never earlier than the server says. */
static mono_us wait_of(const struct retry_conf *conf, const struct retry_facts *facts)
{
    mono_us wait = retry_wait(conf, facts->attempts, facts->random);
    if (facts->failure->retry_after_ms < 0) {
        return wait;
    }
    mono_us told = span_of_ms(facts->failure->retry_after_ms);
    if (told <= wait) {
        return wait;
    }
    if (conf->strategy == RETRY_EXPONENTIAL_JITTER) {
        mono_us most = told / 4 < JITTER_ON_TOP_MAX ? told / 4 : JITTER_ON_TOP_MAX;
        told = span_after(told, by_chance(most, facts->random));
    }
    return told;
}

enum retry_verdict retry_decide(const struct retry_conf *conf, const struct retry_facts *facts,
                                mono_us *ret_at)
{
    if (!is_of_use(facts->failure)) {
        return RETRY_USELESS;
    }
    if (facts->may_have_been_done && !facts->is_harmless && !facts->failure->is_nothing_done) {
        return RETRY_HARMFUL;
    }
    if (facts->attempts >= conf->max_attempts) {
        return RETRY_EXHAUSTED;
    }
    mono_us at = span_after(facts->now, wait_of(conf, facts));
    if (at >= facts->deadline) {
        return RETRY_TOO_LATE;
    }
    *ret_at = at;
    return RETRY_YES;
}

/* ---- the budget -------------------------------------------------------------------------- */

#define ONE_RETRY    INT64_C(1000000)
#define KEPT_RETRIES 10 /* that calls earn */
#define KEPT_SECONDS 10 /* of budget_per_s */

/* One that calls earn nothing for holds nothing for them: 0 % and 0 a second is no retry at all. */
static int64_t capacity(const struct retry_conf *conf)
{
    return (conf->budget_percent ? KEPT_RETRIES : 0) * ONE_RETRY +
           (int64_t)conf->budget_per_s * KEPT_SECONDS * ONE_RETRY;
}

static void earn(struct retry_budget *budget, int64_t earned)
{
    budget->spent -= earned < budget->spent ? earned : budget->spent;
}

/* budget_per_s retries a second are as many millionths of one a microsecond. */
static void earn_by_time(struct retry_budget *budget, const struct retry_conf *conf,
                         mono_us now)
{
    mono_us passed = span_until(now, budget->at);
    if (conf->budget_per_s && passed) {
        bool is_long = passed > budget->spent / conf->budget_per_s;
        earn(budget, is_long ? budget->spent : passed * (int64_t)conf->budget_per_s);
    }
    budget->at = now > budget->at ? now : budget->at;
}

void retry_budget_call(struct retry_budget *budget, const struct retry_conf *conf, mono_us now)
{
    earn_by_time(budget, conf, now);
    earn(budget, (int64_t)conf->budget_percent * (ONE_RETRY / 100));
}

bool retry_budget_take(struct retry_budget *budget, const struct retry_conf *conf, mono_us now)
{
    earn_by_time(budget, conf, now);
    if (budget->spent > capacity(conf) - ONE_RETRY) {
        return false;
    }
    budget->spent += ONE_RETRY;
    return true;
}
