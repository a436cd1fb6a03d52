/* SPDX-License-Identifier: MIT */
/* limits.c - what servers say of their limits: of the service, or of one user. */
#include "gate/gate_internal.h"
#include "resilience/span.h"

static mono_us hold_end(mono_us now, int64_t ms)
{
    return span_after(now, span_of_ms(ms < RATE_WAIT_MAX_MS ? ms : RATE_WAIT_MAX_MS));
}

/* `is_edge`: it was free before. */
static void held(struct gate *gate, struct gate_user *user, bool is_edge)
{
    gate->must_sweep = true;
    if (is_edge) {
        change_limited(gate, user, user ? user->limit.until : gate->limit.until);
    }
}

static void hold(struct gate *gate, struct gate_user *user, int64_t ms, mono_us since)
{
    struct gate_limit *limit = user ? &user->limit : &gate->limit;
    mono_us now = gate_now(gate);
    held(gate, user,
         ms < 0 ? limit_hold_unknown(limit, since, now)
                : limit_hold(limit, hold_end(now, ms), now));
}

/* Those inside now were perhaps not counted yet, but for the one that is answered. With a count that
 * all that may be inside cannot use up there is nothing to count: the next answer says more. */
static void allow(struct gate *gate, struct gate_user *user, const struct rate_fields *fields)
{
    struct gate_limit *limit = user ? &user->limit : &gate->limit;
    mono_us now = gate_now(gate);
    unsigned others = !user && gate->inside ? gate->inside - 1 : 0;
    int64_t left = fields->remaining > others ? fields->remaining - others : 0;
    if (fields->remaining > (int64_t)gate->conf->concurrency * 2) {
        limit_allow(limit, 0, 0, now);
    } else {
        limit_allow(limit, (uint32_t)left, hold_end(now, fields->reset_ms), now);
    }
}

void gates_hint(struct gates *gates, struct slice service, struct slice user,
                const struct rate_fields *fields, bool is_refused)
{
    struct gate *gate = gate_find(gates, service);
    if (!gate) {
        return;
    }
    int64_t ms = rate_fields_hold(fields, is_refused);
    bool is_count = ms == 0 && fields->remaining >= 0 && fields->reset_ms > 0;
    bool is_few = is_count && fields->remaining <= (int64_t)gate->conf->concurrency * 2;
    struct gate_user *whose = NULL;
    if (ms == 0 && !is_count) {
        return;
    }
    if (user.len && service_conf_needs_user(gate->conf)) {
        bool is_news = ms != 0 || is_few || user_find(gate, user);
        whose = is_news ? user_remember_name(gate, user) : NULL;
        if (!whose) {
            return;
        }
    }
    if (ms) {
        hold(gate, whose, ms, gate_now(gate));
    } else {
        allow(gate, whose, fields);
    }
    gate_settle(gate);
    if (whose) {
        user_settle(whose);
    }
}

mono_us limits_next(const struct gate *gate, const struct gate_user *user, mono_us now)
{
    const struct gate_limit *limit = user ? &user->limit : &gate->limit;
    const struct pace *pace = user ? &user->pace : &gate->pace;
    mono_us until = limit->is_active ? limit_next(limit, now) : 0;
    mono_us paced = pace_is_active(pace) ? pace_next(pace, now) : 0;
    return until > paced ? until : paced;
}

bool limits_pass(struct gate *gate, struct gate_user *user, mono_us now)
{
    struct gate_limit *limit = user ? &user->limit : &gate->limit;
    struct pace *pace = user ? &user->pace : &gate->pace;
    if (pace_is_active(pace)) {
        pace_pass(pace, now);
    }
    return limit_pass(limit, now);
}

void limits_judge(struct gate_ticket *ticket, const struct failure *failure, mono_us now)
{
    struct gate *gate = ticket->gate;
    struct gate_user *user = user_of(ticket);
    if (failure && failure->class == FAILURE_RATE_LIMIT) {
        bool is_users = ticket->user != NULL;
        user = is_users ? user_remember(ticket) : NULL;
        if (!is_users || user) {
            pace_refused(user ? &user->pace : &gate->pace, ticket->since, now);
            hold(gate, user, failure->retry_after_ms, ticket->since);
        }
    } else if (!failure || failure->class == FAILURE_ANSWER) {
        (void)limit_good(&gate->limit, ticket->since, now);
        if (user) {
            pace_good(&user->pace, now);
            if (limit_good(&user->limit, ticket->since, now)) {
                queue_unhold(user);
            }
        }
    }
    if (!gate->inside && limit_settle(&gate->limit, now)) {
        held(gate, NULL, true);
    }
    if (user && limit_settle(&user->limit, now)) {
        held(gate, user, true);
    }
}

void limits_quit(struct gate_ticket *ticket)
{
    struct gate_user *user = user_of(ticket);
    if (ticket->is_first[0]) {
        limit_quit(&ticket->gate->limit);
    }
    if (user && ticket->is_first[1]) {
        limit_quit(&user->limit);
        queue_unhold(user);
    }
}
