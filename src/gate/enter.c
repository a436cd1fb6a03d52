/* SPDX-License-Identifier: MIT */
/* enter.c - one attempt's way in and out: the order of checks, and what its end says. */
#include "base/must.h"
#include "gate/gate_internal.h"
#include "resilience/judge.h"
#include "resilience/span.h"

static const struct gate_user *known(const struct gate_user *user)
{
    return user && user->is_known ? user : NULL;
}

enum gate_why gate_refusal(const struct gate *gate, const struct gate_user *user,
                           mono_us deadline, mono_us now)
{
    const struct breaker_conf *conf = &gate->conf->breaker;
    if (gate->is_gone) {
        return GATE_GONE;
    }
    if (gate->quarantine.until && quarantine_holds(&gate->quarantine, now, NULL)) {
        return GATE_HELD;
    }
    if (!breaker_would_pass(&gate->breaker, conf, now, NULL)) {
        return GATE_BROKEN;
    }
    if (known(user) && !breaker_would_pass(&user->breaker, conf, now, NULL)) {
        return GATE_USER_BROKEN;
    }
    if (gate->limit.is_active && limit_is_held(&gate->limit, now) &&
        gate->limit.until >= deadline) {
        return GATE_LIMITED;
    }
    if (known(user) && limit_is_held(&user->limit, now) && user->limit.until >= deadline) {
        return GATE_USER_LIMITED;
    }
    return GATE_FREE;
}

enum gate_why gate_block(const struct gate *gate, const struct gate_user *user, mono_us now,
                         mono_us *ret_until)
{
    const struct rate_conf *rate = &gate->conf->rate;
    mono_us until;
    *ret_until = MONO_NEVER;
    if (!gate->gates->is_read) {
        return GATE_UNREAD;
    }
    if ((until = limits_next(gate, NULL, now)) > now) {
        *ret_until = until;
        return GATE_LIMITED;
    }
    if (known(user) && (until = limits_next(gate, user, now)) > now) {
        *ret_until = until;
        return GATE_USER_LIMITED;
    }
    if (rate->count && (until = bucket_wait(&gate->bucket, rate, now)) > 0) {
        *ret_until = span_after(now, until);
        return GATE_OUR_RATE;
    }
    return gate->inside < gate->conf->concurrency ? GATE_FREE : GATE_NO_PLACE;
}

/* It was not refused: so both let it pass. */
static void ask(struct gate *gate, struct gate_user *user, uint32_t *ret_epoch, mono_us now)
{
    struct breaker *breaker = user ? &user->breaker : &gate->breaker;
    enum breaker_state before = breaker->state;
    bool is_let_in = breaker_ask(breaker, &gate->conf->breaker, now, ret_epoch, NULL);
    must(is_let_in);
    if (breaker->state != before) {
        change_breaker(gate, user);
    }
}

void gate_admit(struct gate *gate, struct gate_ticket *ticket, mono_us now)
{
    struct gate_user *user = ticket->user ? user_of(ticket) : NULL;
    ask(gate, NULL, &ticket->epoch, now);
    ticket->is_first[0] = limits_pass(gate, NULL, now);
    ticket->is_first[1] = false;
    ticket->user_epoch = 0;
    if (user) {
        ask(gate, user, &ticket->user_epoch, now);
        ticket->is_first[1] = limits_pass(gate, user, now);
    }
    if (gate->conf->rate.count) {
        (void)bucket_take(&gate->bucket, &gate->conf->rate, now, NULL);
    }
    if (ticket->is_retry) {
        gate->counts.retries++;
        gate->counts.last_retry = loop_wall(gate->gates->loop);
    } else {
        retry_budget_call(&gate->budget, &gate->conf->retry, now);
    }
    gate->inside++;
    ticket->since = now;
    ticket->is_inside = true;
}

/* ---- in ---------------------------------------------------------------------------------- */

/* Whether the one who is blocked will not get in before its deadline, or cannot wait at all. */
static enum gate_why refuse_to_wait(struct gate *gate, enum gate_why block, uint64_t key,
                                    mono_us deadline, mono_us *until)
{
    const struct service_conf *conf = gate->conf;
    if (block == GATE_OUR_RATE) {
        mono_us each = conf->rate.period_us / conf->rate.count;
        unsigned ahead = queue_ahead(gate, key);
        *until = span_after(*until, each > INT64_MAX / 1000000 ? INT64_MAX : each * ahead);
        if (*until >= deadline) {
            return block;
        }
    }
    uint32_t most = conf->queue;
    if (block == GATE_UNREAD && most < GATE_UNREAD_MAX) {
        most = GATE_UNREAD_MAX;
    }
    if (gate->waiting < most || queue_make_room(gate, key)) {
        return GATE_FREE;
    }
    bool is_limit =
        block == GATE_LIMITED || block == GATE_USER_LIMITED || block == GATE_OUR_RATE;
    return is_limit ? block : GATE_NO_PLACE;
}

static void begin(struct gate *gate, struct gate_ticket *ticket)
{
    must(!ticket->gate);
    ticket->gate = gate;
    ticket->flow = NULL;
    ticket->user = NULL;
    ticket->since = gate_now(gate);
    ticket->is_inside = false;
    gate->tickets++;
}

void gate_release(struct gate_ticket *ticket)
{
    struct gate *gate = ticket->gate;
    if (ticket->user) {
        user_leave(ticket->user);
    }
    ticket->gate = NULL;
    ticket->user = NULL;
    ticket->is_inside = false;
    gate->tickets--;
    if (gate->is_gone) {
        gate_free_if_unused(gate);
    }
}

/* The user's timer is late: who waits for it goes first. False: nobody does. */
static bool go_before(struct gate *gate, struct gate_user *user)
{
    if (!known(user) || list_is_empty(&user->held)) {
        return false;
    }
    queue_unhold(user);
    queue_pump(gate);
    return true;
}

/* All of it is said once, at the one place that calls. NOLINTNEXTLINE(readability-function-size) */
enum gate_answer gate_enter(struct gates *gates, struct slice service,
                            const struct gate_caller *caller, mono_us deadline, bool is_retry,
                            struct gate_ticket *ticket, struct failure *failure)
{
    struct gate *gate = gate_find(gates, service);
    if (!gate) {
        say_unknown(service, failure);
        return GATE_REFUSED;
    }
    begin(gate, ticket);
    mono_us now = ticket->since;
    mono_us until = 0;
    ticket->is_probe = false;
    ticket->is_retry = is_retry;
    ticket->has_counted &= is_retry;
    ticket->deadline = deadline;
    if (service_conf_needs_user(gate->conf)) {
        ticket->user = user_enter(gate, caller->user);
    }
    enum gate_why why = gate_refusal(gate, ticket->user, deadline, now);
    if (!why) {
        enum gate_why block = gate_block(gate, ticket->user, now, &until);
        if (!block && go_before(gate, ticket->user)) {
            block = gate_block(gate, ticket->user, now, &until);
        }
        if (!block && list_is_empty(&gate->turns)) {
            gate_admit(gate, ticket, now);
            return GATE_INSIDE;
        }
        uint64_t key = queue_key(caller);
        why = refuse_to_wait(gate, block, key, deadline, &until);
        if (!why) {
            queue_join(gate, ticket, key);
            gate_settle(gate); /* nothing blocks: a timer is late, and it is its turn */
            return GATE_WAITS;
        }
    }
    say_refusal(gate, known(ticket->user), why, until, failure);
    gate_release(ticket);
    return GATE_REFUSED;
}

const char *gate_waits_for(const struct gate_ticket *ticket)
{
    mono_us until;
    if (!ticket->gate) {
        return NULL;
    }
    switch (gate_block(ticket->gate, ticket->user, gate_now(ticket->gate), &until)) {
    case GATE_UNREAD:
        return "state";
    case GATE_LIMITED:
    case GATE_USER_LIMITED:
    case GATE_OUR_RATE:
        return "rate limit";
    default:
        return "place";
    }
}

/* ---- out --------------------------------------------------------------------------------- */

static void give_place(struct gate *gate, const struct gate_ticket *ticket)
{
    if (ticket->is_probe) {
        gate->has_probe = false;
    } else {
        gate->inside--;
    }
}

void gate_settle(struct gate *gate)
{
    if (gate->waiting && gate->must_sweep) {
        queue_sweep(gate);
    }
    gate->must_sweep = false;
    if (gate->waiting) {
        queue_pump(gate);
    }
}

/* `failure` NULL where there is none. */
static void tell_breaker(struct gate_ticket *ticket, struct gate_user *user,
                         enum breaker_outcome outcome, const struct failure *failure)
{
    struct gate *gate = ticket->gate;
    struct breaker *breaker = user ? &user->breaker : &gate->breaker;
    uint32_t epoch = user ? ticket->user_epoch : ticket->epoch;
    if (!breaker_tell(breaker, &gate->conf->breaker, epoch, outcome, gate_now(gate))) {
        return;
    }
    bool is_broken = breaker->state == BREAKER_OPEN && failure;
    change_reason(user ? &user->reason : &gate->breaker_reason,
                  is_broken ? buf_slice(&failure->message) : SLICE(""));
    change_breaker(gate, user);
}

static void tell_breakers(struct gate_ticket *ticket, struct judgement judged,
                          const struct failure *failure)
{
    bool is_users = judged.is_of_user && service_conf_needs_user(ticket->gate->conf);
    enum breaker_outcome of_user = judged.breaker == BREAKER_SUCCESS ? BREAKER_SUCCESS
                                   : is_users                        ? judged.breaker
                                                                     : BREAKER_NEUTRAL;
    tell_breaker(ticket, NULL, is_users ? BREAKER_NEUTRAL : judged.breaker, failure);
    if (!ticket->user) {
        return;
    }
    struct gate_user *user =
        of_user == BREAKER_FAILURE ? user_remember(ticket) : user_of(ticket);
    if (user) {
        tell_breaker(ticket, user, of_user, failure);
    }
}

static void tell_quarantine(struct gate *gate, enum quarantine_outcome outcome,
                            const struct failure *failure, mono_us now)
{
    struct quarantine *quarantine = &gate->quarantine;
    if (outcome == QUARANTINE_GOOD && !quarantine->faults && !quarantine->level) {
        return; /* most calls */
    }
    uint32_t level = quarantine->level;
    if (quarantine_tell(quarantine, &gate->conf->quarantine, outcome, now)) {
        change_reason(&gate->quarantine_reason,
                      failure ? buf_slice(&failure->message) : SLICE(""));
        quarantine_watch(gate);
        change_quarantine(gate, true);
    } else if (quarantine->level != level) {
        keep_gate(gate);
    }
}

/* A child that ends fails all its calls in one turn, and is one fault. */
static bool is_echo(struct gate *gate, const struct failure *failure, mono_us now)
{
    if (!failure || failure->class != FAILURE_PROCESS) {
        return false;
    }
    bool is_again = gate->process_at == now;
    gate->process_at = now;
    return is_again;
}

/* A call whose attempts fail one behind the other is one failure in a row, or a few unlucky calls would
 * open the breaker of a service that answers most. While it is half-open each attempt counts. */
static bool is_same_again(const struct gate_ticket *ticket, struct judgement judged)
{
    return ticket->has_counted && judged.breaker == BREAKER_FAILURE && !judged.is_of_user &&
           ticket->gate->breaker.state == BREAKER_CLOSED;
}

static void count(struct gate *gate, const struct failure *failure, struct judgement judged,
                  mono_us now)
{
    if (failure) {
        gate->counts.by_class[failure->class]++;
    }
    if (!failure || failure->class == FAILURE_ANSWER) {
        bool is_first = !gate->last_success;
        gate->last_success = now;
        pace_good(&gate->pace, now);
        if (gate->is_failing || is_first) {
            change_outcome(gate, NULL);
        }
    } else if (judged.breaker == BREAKER_FAILURE) {
        gate->last_failure = now;
        if (!gate->is_failing) {
            change_outcome(gate, failure);
        }
    }
}

void gate_leave(struct gate_ticket *ticket, const struct failure *failure)
{
    struct gate *gate = ticket->gate;
    must(gate && ticket->is_inside);
    mono_us now = gate_now(gate);
    struct judgement judged =
        judge(failure, now - ticket->since, judge_patience(gate->conf->timeout_ms));
    if (!ticket->is_probe) {
        count(gate, failure, judged, now);
    } else if (judged.quarantine == QUARANTINE_FAULT) {
        /* It harmed nobody; and what an outage makes fail is to be used again when it is back. */
        judged.quarantine = QUARANTINE_NEUTRAL;
    }
    if (is_echo(gate, failure, now)) {
        judged.quarantine = QUARANTINE_NEUTRAL;
        if (gate->breaker.state == BREAKER_CLOSED) {
            judged.breaker = BREAKER_NEUTRAL;
        }
    }
    if (is_same_again(ticket, judged)) {
        judged.breaker = BREAKER_NEUTRAL;
    }
    ticket->has_counted |= judged.breaker == BREAKER_FAILURE;
    loop_task_cancel(&ticket->task);
    give_place(gate, ticket);
    tell_breakers(ticket, judged, failure);
    tell_quarantine(gate, judged.quarantine, failure, now);
    if (failure || gate->limit.is_active || gate->limit.unknown || ticket->user) {
        limits_judge(ticket, failure, now);
    }
    gate_settle(gate);
    gate_release(ticket);
}

void gate_quit(struct gate_ticket *ticket)
{
    struct gate *gate = ticket->gate;
    if (!gate) {
        return;
    }
    loop_task_cancel(&ticket->task);
    if (ticket->is_inside) {
        struct gate_user *user = user_of(ticket);
        give_place(gate, ticket);
        tell_breaker(ticket, NULL, BREAKER_NEUTRAL, NULL);
        if (user) {
            tell_breaker(ticket, user, BREAKER_NEUTRAL, NULL);
        }
        limits_quit(ticket);
    } else if (ticket->flow) {
        queue_leave(gate, ticket);
    }
    gate_settle(gate);
    gate_release(ticket);
}

/* ---- probes ------------------------------------------------------------------------------ */

bool gate_probe(struct gates *gates, struct slice service, struct gate_ticket *ticket)
{
    struct gate *gate = gate_find(gates, service);
    if (!gate || gate->has_probe ||
        quarantine_holds(&gate->quarantine, loop_now(gates->loop), NULL)) {
        return false;
    }
    mono_us now = gate_now(gate);
    if (breaker_try_early(&gate->breaker, now)) {
        change_breaker(gate, NULL);
    }
    if (!breaker_would_pass(&gate->breaker, &gate->conf->breaker, now, NULL)) {
        return false;
    }
    begin(gate, ticket);
    ask(gate, NULL, &ticket->epoch, now);
    ticket->deadline = MONO_NEVER;
    ticket->is_first[0] = ticket->is_first[1] = false;
    ticket->is_retry = ticket->has_counted = false;
    ticket->is_probe = ticket->is_inside = true;
    gate->has_probe = true;
    return true;
}

void gates_try_early(struct gates *gates, struct slice service)
{
    struct gate *gate = gate_find(gates, service);
    if (!gate) {
        return;
    }
    if (breaker_try_early(&gate->breaker, gate_now(gate))) {
        change_breaker(gate, NULL);
    } else { /* the call that tries may wait for a server that hangs */
        breaker_one_more(&gate->breaker);
    }
}
