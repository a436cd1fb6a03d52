/* SPDX-License-Identifier: MIT */
/* breaker.c - the circuit breaker: three states, and levers that go before them. */
#include "resilience/breaker.h"

#include "resilience/span.h"

#include <stddef.h>

static const char *const state_names[] = {"closed", "open", "half_open"};

const char *breaker_state_name(enum breaker_state state)
{
    return state_names[state];
}

static uint32_t at_least_one(uint32_t count)
{
    return count ? count : 1;
}

/* The one setter. What began before it has another epoch and will not be heard. Failures are kept
 * until it closes: they are still in a row. */
static void enter(struct breaker *breaker, enum breaker_state state, mono_us now)
{
    breaker->state = state;
    breaker->failures = state == BREAKER_CLOSED ? 0 : breaker->failures;
    breaker->successes = 0;
    breaker->probing = 0;
    breaker->epoch++;
    breaker->since = now;
    breaker->until = 0;
}

static void open_for(struct breaker *breaker, const struct breaker_conf *conf, mono_us now)
{
    enter(breaker, BREAKER_OPEN, now);
    breaker->until = span_after(now, span_of_ms(conf->open_ms));
}

/* Until when the probe that passes now is believed to be under way. */
static mono_us lost_at(const struct breaker_conf *conf, mono_us now)
{
    uint32_t ms = conf->open_ms > BREAKER_LOST_MS ? conf->open_ms : BREAKER_LOST_MS;
    return span_after(now, span_of_ms(ms));
}

/* How long none may pass. */
static mono_us wait_of(const struct breaker *breaker, const struct breaker_conf *conf,
                       mono_us now)
{
    if (breaker->forced == BREAKER_FORCED_OPEN) {
        return MONO_NEVER;
    }
    if (breaker->forced == BREAKER_FORCED_CLOSED || conf->is_off ||
        breaker->state == BREAKER_CLOSED) {
        return 0;
    }
    if (breaker->state == BREAKER_HALF_OPEN && breaker->probing < at_least_one(conf->probes)) {
        return 0;
    }
    mono_us wait = span_until(breaker->until, now);
    bool is_short = breaker->state == BREAKER_OPEN || wait < BREAKER_LOOK_AGAIN_US;
    return is_short ? wait : BREAKER_LOOK_AGAIN_US;
}

bool breaker_would_pass(const struct breaker *breaker, const struct breaker_conf *conf,
                        mono_us now, mono_us *ret_wait)
{
    mono_us wait = wait_of(breaker, conf, now);
    if (wait && ret_wait) {
        *ret_wait = wait;
    }
    return wait == 0;
}

bool breaker_ask(struct breaker *breaker, const struct breaker_conf *conf, mono_us now,
                 uint32_t *ret_epoch, mono_us *ret_wait)
{
    if (!breaker_would_pass(breaker, conf, now, ret_wait)) {
        return false;
    }
    if (breaker->forced == BREAKER_BY_ITSELF && breaker->state != BREAKER_CLOSED) {
        if (conf->is_off) {
            enter(breaker, BREAKER_CLOSED, now);
        } else if (breaker->state == BREAKER_OPEN) {
            enter(breaker, BREAKER_HALF_OPEN, now);
        } else if (breaker->probing >= at_least_one(conf->probes)) {
            breaker->epoch++; /* none of the probes was told in all that time: they are lost */
            breaker->probing = 0;
        }
    }
    if (breaker->forced == BREAKER_BY_ITSELF && breaker->state == BREAKER_HALF_OPEN) {
        breaker->probing++;
        breaker->until = lost_at(conf, now);
    }
    *ret_epoch = breaker->epoch;
    return true;
}

static bool tell_closed(struct breaker *breaker, const struct breaker_conf *conf,
                        enum breaker_outcome outcome, mono_us now)
{
    if (outcome == BREAKER_SUCCESS) {
        breaker->failures = 0;
    } else if (outcome == BREAKER_FAILURE) {
        breaker->failures += breaker->failures < UINT32_MAX;
        if (!conf->is_off && breaker->failures >= at_least_one(conf->failures)) {
            open_for(breaker, conf, now);
            return true;
        }
    }
    return false;
}

static bool tell_half_open(struct breaker *breaker, const struct breaker_conf *conf,
                           enum breaker_outcome outcome, mono_us now)
{
    breaker->probing -= breaker->probing > 0;
    if (outcome == BREAKER_FAILURE) {
        breaker->failures += breaker->failures < UINT32_MAX;
        open_for(breaker, conf, now);
        return true;
    }
    if (outcome == BREAKER_SUCCESS) {
        breaker->failures = 0;
        breaker->successes++;
        if (breaker->successes >= at_least_one(conf->successes)) {
            enter(breaker, BREAKER_CLOSED, now);
            return true;
        }
    }
    return false;
}

bool breaker_tell(struct breaker *breaker, const struct breaker_conf *conf, uint32_t epoch,
                  enum breaker_outcome outcome, mono_us now)
{
    if (epoch != breaker->epoch || breaker->forced != BREAKER_BY_ITSELF) {
        return false;
    }
    if (breaker->state == BREAKER_CLOSED) {
        return tell_closed(breaker, conf, outcome, now);
    }
    if (conf->is_off) { /* it was switched off while it was open */
        enter(breaker, BREAKER_CLOSED, now);
        return true;
    }
    /* Nobody passes while it is open, so nobody holds an epoch of that. */
    return breaker->state == BREAKER_HALF_OPEN && tell_half_open(breaker, conf, outcome, now);
}

bool breaker_try_early(struct breaker *breaker, mono_us now)
{
    if (breaker->forced != BREAKER_BY_ITSELF || breaker->state != BREAKER_OPEN) {
        return false;
    }
    enter(breaker, BREAKER_HALF_OPEN, now);
    return true;
}

void breaker_one_more(struct breaker *breaker)
{
    if (breaker->forced == BREAKER_BY_ITSELF && breaker->state == BREAKER_HALF_OPEN) {
        breaker->probing -= breaker->probing > 0;
    }
}

void breaker_set_force(struct breaker *breaker, enum breaker_force force, mono_us now)
{
    enter(breaker, BREAKER_CLOSED, now);
    breaker->forced = force;
}

void breaker_reset(struct breaker *breaker, mono_us now)
{
    breaker_set_force(breaker, BREAKER_BY_ITSELF, now);
}

enum breaker_state breaker_effective(const struct breaker *breaker)
{
    switch (breaker->forced) {
    case BREAKER_FORCED_OPEN:
        return BREAKER_OPEN;
    case BREAKER_FORCED_CLOSED:
        return BREAKER_CLOSED;
    default:
        return breaker->state;
    }
}
