/* SPDX-License-Identifier: MIT */
/* attempt.c - the one loop of attempts; what is retried, and when, is resilience/retry.c's to say. */
#include "call/attempt.h"

#include "base/must.h"
#include "resilience/retry.h"

#include <string.h>
#include <sys/random.h>

static void enter(struct attempt *attempt);

void attempt_room_seed(struct attempt_room *room)
{
    if (getrandom(&room->random, sizeof room->random, 0) != (ssize_t)sizeof room->random ||
        !room->random) {
        room->random = (uint64_t)loop_now(room->loop) | 1;
    }
}

/* xorshift64*: spreads retries, keeps no secret. */
static uint64_t next_random(struct attempt_room *room)
{
    room->random ^= room->random >> 12;
    room->random ^= room->random << 25;
    room->random ^= room->random >> 27;
    return room->random * UINT64_C(2685821657736338717);
}

static struct mcp_service *find_service(const struct attempt *attempt)
{
    return mcp_services_find(attempt->room->services, attempt->options->service);
}

static void tell_wait(struct attempt *attempt, const char *what)
{
    if (attempt->events->waits_for) {
        attempt->events->waits_for(attempt->arg, what);
    }
}

/* ---- the end ----------------------------------------------------------------------------- */

/* The request went out and no answer came: whoever repeats it may do it twice. A refusal (401, 429) is
 * one of a later step here, of a stream that was resumed or a task that was asked for. */
static void be_honest(struct failure *failure)
{
    if (failure->code == ERR_UNAVAILABLE || failure->code == ERR_AUTH_FAILED ||
        failure->code == ERR_RATE_LIMITED || failure->code == ERR_OVERLOADED) {
        failure->code = ERR_OUTCOME_UNKNOWN;
        failure->is_retryable = false;
        failure->retry_after_ms = -1;
        failure_suggest(failure, "%s", err_suggestion(ERR_OUTCOME_UNKNOWN));
    } else if (failure->code == ERR_TIMEOUT) {
        failure->is_retryable = false;
        failure_suggest(failure,
                        "The server may still have done it: check before calling again, "
                        "or give a larger timeout_ms.");
    }
}

/* An answer in order says what was done, also when it is an error. */
static bool is_lost(const struct failure *failure)
{
    switch (failure->class) {
    case FAILURE_ANSWER:
        return false;
    case FAILURE_AUTHENTICATION:
    case FAILURE_RATE_LIMIT:
        return !failure->is_nothing_done;
    case FAILURE_OF_CALLER: /* nobody answered its question in time; or it was given up */
        return failure->code == ERR_CANCELLED || failure->code == ERR_TIMEOUT;
    default:
        return true;
    }
}

static void end(struct attempt *attempt, const struct mcp_outcome *outcome)
{
    struct failure *failure = &attempt->failure;
    struct attempt_room *room = attempt->room;
    bool has_failed = failure->code != ERR_NONE;
    struct attempt_end told = {.outcome = outcome,
                               .failure = has_failed ? failure : NULL,
                               .was_sent = attempt->was_sent,
                               .is_harmless = attempt->is_harmless,
                               .declined = attempt->declined,
                               .attempts = attempt->count};
    if (has_failed && attempt->may_be_done && !attempt->is_harmless) {
        told.may_be_done = attempt->is_under_way || is_lost(failure);
        if (told.may_be_done) {
            be_honest(failure);
        }
    }
    if (has_failed && attempt->count) {
        failure_detail_int(failure, "attempts", attempt->count);
    }
    if (attempt->count) {
        gates_count_call(room->gates, attempt->options->service, attempt->count, !has_failed);
    }
    metrics_add(room->metrics, METRIC_RETRIES_SUCCEEDED, !has_failed && attempt->count > 1);
    attempt->state = ATTEMPT_IDLE;
    attempt->events->done(attempt->arg, &told);
}

static void tell(void *arg)
{
    end(arg, NULL);
}

static void end_later(struct attempt *attempt)
{
    attempt->state = ATTEMPT_TELLS;
    loop_later(attempt->room->loop, &attempt->task);
}

/* ---- one more? --------------------------------------------------------------------------- */

static const char *why_not(enum retry_verdict verdict)
{
    switch (verdict) {
    case RETRY_HARMFUL:
        return "harmful";
    case RETRY_EXHAUSTED:
        return "attempts";
    case RETRY_TOO_LATE:
        return "deadline";
    case RETRY_YES:
    case RETRY_USELESS:
        break;
    }
    return NULL;
}

/* How attempts of this request are repeated; notes what the operator says of its harm. */
static const struct retry_conf *retry_of(struct attempt *attempt,
                                         const struct mcp_service *service)
{
    const struct mcp_call_options *call = &attempt->options->call;
    const struct service_conf *conf = mcp_service_conf(service);
    bool is_idempotent = false;
    if (call->method != MCP_TOOLS_CALL) {
        return &conf->retry;
    }
    const struct retry_conf *retry = service_conf_retry(conf, call->name, &is_idempotent);
    attempt->is_harmful = service_conf_is_harmful(conf, call->name);
    attempt->is_harmless =
        (attempt->is_harmless && !attempt->is_harmful) || is_idempotent || call->may_repeat;
    return retry;
}

/* What the server's limit refused goes again at the pace of that limit, so it is no load on top. */
static bool is_paced(const struct failure *failure)
{
    return failure->class == FAILURE_RATE_LIMIT && failure->is_nothing_done;
}

/* NULL: there is another attempt at *ret_at. "": it would be of no use. */
static const char *decide(struct attempt *attempt, bool was_sent, mono_us *ret_at)
{
    const struct attempt_options *options = attempt->options;
    struct attempt_room *room = attempt->room;
    const struct mcp_service *service = find_service(attempt);
    if (!service) {
        return "";
    }
    const struct retry_conf *conf = retry_of(attempt, service);
    const struct retry_facts facts = {.failure = &attempt->failure,
                                      .may_have_been_done = attempt->may_be_done,
                                      .is_harmless = attempt->is_harmless,
                                      .attempts = attempt->count,
                                      .now = loop_now(room->loop),
                                      .deadline = options->call.deadline,
                                      .random = next_random(room)};
    enum retry_verdict verdict = retry_decide(conf, &facts, ret_at);
    if (verdict != RETRY_YES) {
        const char *why = why_not(verdict);
        return why ? why : "";
    }
    if (attempt->was_asked && was_sent) {
        return "asked"; /* nobody is asked the same twice */
    }
    if (!is_paced(&attempt->failure) && !gates_may_retry(room->gates, options->service)) {
        metrics_add(room->metrics, METRIC_RETRIES_REFUSED, 1);
        return "budget";
    }
    return NULL;
}

static void failed(struct attempt *attempt, const struct mcp_outcome *outcome)
{
    mono_us at = 0;
    const char *why = decide(attempt, outcome->sent, &at);
    if (!why) {
        attempt->state = ATTEMPT_BACKS_OFF;
        loop_timer_set(attempt->room->loop, &attempt->timer, at);
        tell_wait(attempt, "retry");
        return;
    }
    if (*why) {
        failure_detail_text(&attempt->failure, "no_retry", why);
    }
    end(attempt, outcome);
}

/* ---- what comes of a request -------------------------------------------------------------- */

/* The deadline left no time for one more: what went wrong before says more. */
static bool is_only_late(const struct attempt *attempt, const struct mcp_outcome *outcome)
{
    return attempt->count > 1 && !outcome->sent && outcome->failure->code == ERR_TIMEOUT &&
           loop_now(attempt->room->loop) >= attempt->options->call.deadline;
}

static void on_done(void *arg, const struct mcp_outcome *outcome)
{
    struct attempt *attempt = arg;
    attempt->upstream = NULL;
    attempt->is_out = false;
    attempt->declined += outcome->declined;
    attempt->was_asked |= outcome->declined != 0;
    attempt->was_sent |= outcome->sent;
    attempt->is_harmless |= outcome->is_harmless && !attempt->is_harmful;
    if (!outcome->failure) {
        failure_clear(&attempt->failure);
        gate_leave(&attempt->ticket, NULL);
        end(attempt, outcome);
        return;
    }
    if (!is_only_late(attempt, outcome)) {
        failure_copy(&attempt->failure, outcome->failure);
    }
    attempt->may_be_done |= outcome->sent && !outcome->failure->is_nothing_done;
    attempt->is_under_way |= outcome->is_under_way;
    gate_leave(&attempt->ticket, outcome->failure);
    failed(attempt, outcome);
}

static void on_progress(void *arg, struct slice params)
{
    const struct attempt *attempt = arg;
    if (attempt->events->progress) {
        attempt->events->progress(attempt->arg, params);
    }
}

static void on_log(void *arg, struct slice params)
{
    const struct attempt *attempt = arg;
    if (attempt->events->log) {
        attempt->events->log(attempt->arg, params);
    }
}

/* Before the first of these waits nothing is sent; a request that goes back to them was. */
static void on_waits_for(void *arg, const char *what)
{
    struct attempt *attempt = arg;
    attempt->is_out |=
        strcmp(what, "queue") != 0 && strcmp(what, "start") != 0 && strcmp(what, "list") != 0;
    tell_wait(attempt, what);
}

static void on_asked(void *arg, struct mcp_ask *ask, const char *method, struct slice params)
{
    struct attempt *attempt = arg;
    attempt->was_asked = true;
    if (attempt->events->asked) {
        attempt->events->asked(attempt->arg, ask, method, params);
    } else {
        mcp_answer(ask, (struct slice){NULL, 0});
    }
}

static void on_ask_ended(void *arg, struct mcp_ask *ask)
{
    const struct attempt *attempt = arg;
    if (attempt->events->ask_ended) {
        attempt->events->ask_ended(attempt->arg, ask);
    }
}

static const struct mcp_call_events upstream_events = {.done = on_done,
                                                       .progress = on_progress,
                                                       .log = on_log,
                                                       .waits_for = on_waits_for,
                                                       .asked = on_asked,
                                                       .ask_ended = on_ask_ended};

/* ---- through the gate ---------------------------------------------------------------------- */

static void fail_without_service(struct attempt *attempt)
{
    if (attempt->count) { /* what went wrong before says more */
        return;
    }
    failure_set(&attempt->failure, ERR_NOT_FOUND, "the service `%.*s` was removed meanwhile",
                SLICE_ARG(attempt->options->service));
    failure_detail_str(&attempt->failure, "service", attempt->options->service);
}

/* The loop was late, or who waited was let in at the last moment. */
static void fail_too_late(struct attempt *attempt)
{
    if (attempt->count) { /* what went wrong before says more */
        failure_detail_text(&attempt->failure, "no_retry", "deadline");
    } else {
        failure_set(&attempt->failure, ERR_TIMEOUT,
                    "the deadline passed before the call could be sent");
        attempt->failure.class = FAILURE_OF_BROKER;
    }
}

/* It was to be done again, and the operator has said since then that twice does harm. */
static bool must_not_repeat(const struct attempt *attempt)
{
    return attempt->may_be_done && !attempt->is_harmless;
}

/* `service` NULL: it was removed. */
static void send_now(struct attempt *attempt, struct mcp_service *service)
{
    const struct attempt_options *options = attempt->options;
    struct attempt_room *room = attempt->room;
    bool is_late = loop_now(room->loop) >= options->call.deadline;
    if (!service || is_late) {
        gate_quit(&attempt->ticket);
        if (service) {
            fail_too_late(attempt);
        } else {
            fail_without_service(attempt);
        }
        end_later(attempt);
        return;
    }
    struct mcp_call_options call = options->call;
    const struct retry_conf *conf = retry_of(attempt, service);
    if (must_not_repeat(attempt)) {
        gate_quit(&attempt->ticket);
        failure_detail_text(&attempt->failure, "no_retry", "harmful");
        end_later(attempt);
        return;
    }
    call.may_repeat = attempt->is_harmless;
    if (conf->attempt_timeout_ms) {
        mono_us until = loop_now(room->loop) + (mono_us)conf->attempt_timeout_ms * 1000;
        call.deadline = until < call.deadline ? until : call.deadline;
    }
    attempt->count++;
    attempt->state = ATTEMPT_SENT;
    attempt->was_asked = attempt->is_out = false;
    metrics_add(room->metrics, METRIC_ATTEMPTS, 1);
    metrics_add(room->metrics, METRIC_RETRIES, attempt->count > 1);
    attempt->upstream = mcp_call(service, &options->identity, &call, &upstream_events, attempt);
}

static void hold(struct attempt *attempt)
{
    attempt->state = ATTEMPT_HELD;
    loop_timer_set(attempt->room->loop, &attempt->timer, attempt->options->call.deadline);
}

static void inside(struct attempt *attempt, struct mcp_service *service)
{
    bool must_ask = !attempt->has_left && attempt->events->leaving;
    if (must_ask) {
        hold(attempt);
        if (!attempt->events->leaving(attempt->arg)) {
            return;
        }
        loop_timer_cancel(attempt->room->loop, &attempt->timer);
    }
    attempt->has_left = true;
    send_now(attempt, service);
}

void attempt_go_on(struct attempt *attempt)
{
    must(attempt->state == ATTEMPT_HELD);
    loop_timer_cancel(attempt->room->loop, &attempt->timer);
    attempt->has_left = true;
    send_now(attempt, find_service(attempt));
}

/* The first refusal is the call's failure; a later one is why it was not tried once more. */
static void refused(struct attempt *attempt, const struct failure *failure)
{
    struct failure *last = &attempt->failure;
    if (!attempt->count) {
        failure_copy(last, failure);
        return;
    }
    failure_detail_text(last, "no_retry", err_name(failure->code));
    failure_detail_str(last, "gate", buf_slice(&failure->message));
    if (last->retry_after_ms < 0) {
        last->retry_after_ms = failure->retry_after_ms;
    }
}

static void on_turn(void *arg, const struct failure *failure)
{
    struct attempt *attempt = arg;
    if (failure) {
        refused(attempt, failure);
        end(attempt, NULL);
    } else {
        inside(attempt, find_service(attempt));
    }
}

static void enter(struct attempt *attempt)
{
    const struct attempt_options *options = attempt->options;
    const struct gate_caller caller = {.agent = options->identity.agent,
                                       .user = options->identity.user,
                                       .peer = options->peer};
    struct mcp_service *service = find_service(attempt);
    struct failure failure = {0};
    if (!service) {
        fail_without_service(attempt);
        end_later(attempt);
        return;
    }
    attempt->ticket.turn = on_turn;
    attempt->ticket.arg = attempt;
    switch (gate_enter(attempt->room->gates, options->service, &caller, options->call.deadline,
                       attempt->count != 0, &attempt->ticket, &failure)) {
    case GATE_INSIDE:
        inside(attempt, service);
        return;
    case GATE_WAITS:
        attempt->state = ATTEMPT_WAITS;
        tell_wait(attempt, gate_waits_for(&attempt->ticket));
        return;
    case GATE_REFUSED:
        refused(attempt, &failure);
        failure_done(&failure);
        end_later(attempt);
        return;
    }
}

static void on_timer(void *arg)
{
    struct attempt *attempt = arg;
    if (attempt->state == ATTEMPT_BACKS_OFF) {
        enter(attempt);
        return;
    }
    gate_quit(&attempt->ticket);
    failure_set(&attempt->failure, ERR_TIMEOUT,
                "the deadline passed before the call could be sent: its idempotency_key was "
                "not on disk yet");
    attempt->failure.class = FAILURE_OF_BROKER;
    end(attempt, NULL);
}

/* ---- life -------------------------------------------------------------------------------- */

void attempt_init(struct attempt *attempt, struct attempt_room *room)
{
    *attempt = (struct attempt){.room = room, .failure = {.retry_after_ms = -1}};
    loop_timer_init(&attempt->timer, on_timer, attempt);
    loop_task_init(&attempt->task, tell, attempt);
}

void attempt_done(struct attempt *attempt)
{
    must(attempt->state == ATTEMPT_IDLE);
    failure_done(&attempt->failure);
}

void attempt_start(struct attempt *attempt, const struct attempt_options *options,
                   const struct attempt_events *events, void *arg)
{
    must(attempt->state == ATTEMPT_IDLE);
    attempt->options = options;
    attempt->events = events;
    attempt->arg = arg;
    attempt->count = attempt->declined = 0;
    attempt->has_left = attempt->is_out = attempt->was_sent = false;
    attempt->may_be_done = attempt->is_under_way = attempt->was_asked = false;
    attempt->is_harmless = options->call.may_repeat;
    failure_clear(&attempt->failure);
    enter(attempt);
}

void attempt_cancel(struct attempt *attempt, const char *reason)
{
    enum attempt_state state = attempt->state;
    attempt->state = ATTEMPT_IDLE;
    if (state == ATTEMPT_SENT) {
        struct mcp_request *upstream = attempt->upstream;
        attempt->upstream = NULL;
        mcp_cancel(upstream, reason);
    }
    if (state != ATTEMPT_IDLE) {
        gate_quit(&attempt->ticket);
        loop_timer_cancel(attempt->room->loop, &attempt->timer);
        loop_task_cancel(&attempt->task);
    }
}
