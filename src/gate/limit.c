/* SPDX-License-Identifier: MIT */
/* limit.c - holds until a time, and the one attempt that goes first behind them. */
#include "gate/limit.h"

#include "resilience/span.h"

bool limit_is_held(const struct gate_limit *limit, mono_us now)
{
    return limit->is_active && limit->until > now;
}

bool limit_hold(struct gate_limit *limit, mono_us until, mono_us now)
{
    bool was_free = !limit->is_careful && limit->until <= now;
    if (until > limit->until) {
        limit->until = until;
    }
    limit->began = now;
    limit->first_at = 0;
    limit->is_careful = true;
    limit->is_active = true;
    return was_free;
}

bool limit_hold_unknown(struct gate_limit *limit, mono_us since, mono_us now)
{
    if (limit_is_held(limit, now)) {
        return false;
    }
    if (since > limit->began || !limit->unknown) {
        limit->unknown += limit->unknown < 16;
    }
    uint32_t ms = LIMIT_FIRST_MS;
    for (uint32_t i = 1; i < limit->unknown && ms < LIMIT_MOST_MS; i++) {
        ms *= 2;
    }
    ms = ms < LIMIT_MOST_MS ? ms : LIMIT_MOST_MS;
    return limit_hold(limit, span_after(now, span_of_ms(ms)), now);
}

void limit_allow(struct gate_limit *limit, uint32_t left, mono_us window, mono_us now)
{
    limit->left = left;
    limit->window = window > now ? window : 0;
    limit->is_active = limit->is_careful || limit->window;
}

bool limit_settle(struct gate_limit *limit, mono_us now)
{
    if (!limit->is_active || limit->left || limit->window <= now) {
        return false;
    }
    mono_us window = limit->window;
    limit->window = 0;
    return limit_hold(limit, window, now);
}

mono_us limit_next(const struct gate_limit *limit, mono_us now)
{
    if (!limit->is_active) {
        return 0;
    }
    if (limit->until > now) {
        return limit->until;
    }
    if (limit->is_careful && limit->first_at && limit->first_at + LIMIT_CAREFUL_US > now) {
        return limit->first_at + LIMIT_CAREFUL_US;
    }
    return limit->window > now && !limit->left ? limit->window : 0;
}

bool limit_pass(struct gate_limit *limit, mono_us now)
{
    bool is_first = false;
    if (!limit->is_active) {
        return false;
    }
    if (limit->is_careful) {
        is_first = limit->first_at == 0;
        limit->is_careful = is_first;
        limit->first_at = is_first ? now : 0;
    }
    if (limit->window > now) {
        limit->left -= limit->left > 0;
    } else {
        limit->window = 0;
    }
    limit->is_active = limit->is_careful || limit->window;
    return is_first;
}

bool limit_good(struct gate_limit *limit, mono_us since, mono_us now)
{
    if (since <= limit->began || limit->until > now) {
        return false;
    }
    bool was_careful = limit->is_active && limit->is_careful;
    limit->unknown = 0;
    limit->is_careful = false;
    limit->first_at = 0;
    limit->is_active = limit->window > now;
    return was_careful;
}

void limit_quit(struct gate_limit *limit)
{
    limit->first_at = 0;
}
