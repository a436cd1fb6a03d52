/* SPDX-License-Identifier: MIT */
/*
 * http_resume.c - a stream that ended before its answer, asked for again from its last event on.
 *
 * Legacy revisions only: the GET names the last event id, and what comes belongs to the request whose
 * POST began the stream. That request has reached the server, whatever becomes of the GET.
 */
#include "base/map.h"
#include "mcp/http_internal.h"

#include <stdio.h>

#define SECOND       ((mono_us)1000000)
#define WAIT_US      SECOND        /* where the server does not say how long */
#define WAIT_MIN_US  (SECOND / 10) /* where it says less */
#define WAIT_MAX_US  (3600 * SECOND)
#define GROWN_MAX_US (30 * SECOND)
#define STOOD_US     (10 * SECOND) /* a stream that lasted so long was worth it */

/* ---- pace ------------------------------------------------------------------------------- */

static uint64_t mark_of(const struct sse *sse)
{
    struct slice id = sse_last_id(sse);
    return id.len ? map_hash(id.ptr, id.len) : 0;
}

void mcp_http_pace_begin(struct mcp_http_pace *pace, const struct sse *sse, mono_us now)
{
    pace->begun = now;
    pace->mark = mark_of(sse);
    pace->has_brought = false;
}

mono_us mcp_http_pace_next(struct mcp_http_pace *pace, const struct sse *sse, mono_us now)
{
    mono_us wait = WAIT_US;
    if (sse->retry_ms >= WAIT_MAX_US / 1000) {
        wait = WAIT_MAX_US;
    } else if (sse->retry_ms >= 0) {
        wait = sse->retry_ms * 1000;
    }
    wait = wait < WAIT_MIN_US ? WAIT_MIN_US : wait;
    if (pace->has_brought || pace->mark != mark_of(sse) || now - pace->begun >= STOOD_US) {
        pace->fruitless = 0;
        return wait;
    }
    mono_us grown = pace->fruitless < 5 ? SECOND << pace->fruitless : GROWN_MAX_US;
    pace->fruitless++;
    grown = grown < GROWN_MAX_US ? grown : GROWN_MAX_US;
    return wait < grown ? grown : wait;
}

/* ---- failures --------------------------------------------------------------------------- */

static void explain(const struct mcp_http_exchange *exchange, enum err_code code,
                    const char *reason, const char *words, struct failure *failure)
{
    struct mcp_http_answer answer = mcp_http_answer_of(exchange);
    answer.http = NULL; /* what is told of is the first answer, not the one to the GET */
    mcp_http_explain(&answer, code, reason, words, failure);
}

static void fail(struct mcp_http_exchange *exchange, enum err_code code, const char *reason,
                 const char *words)
{
    struct failure failure = {0};
    explain(exchange, code, reason, words, &failure);
    mcp_http_finish(exchange, &failure, false);
}

static void fail_broken(struct mcp_http_exchange *exchange, const struct failure *why)
{
    struct failure failure = {0};
    char words[512];
    (void)snprintf(words, sizeof words,
                   "ended the stream before the answer, and it could not be resumed: %.*s",
                   (int)(why->message.len < 400 ? why->message.len : 400), why->message.data);
    explain(exchange, why->code, "not_resumed", words, &failure);
    failure.class = why->class;
    mcp_http_finish(exchange, &failure, false);
}

static void fail_refused(struct mcp_http_exchange *exchange, int status)
{
    char words[128];
    (void)snprintf(
        words, sizeof words,
        "ended the stream before the answer, and answered %d when asked to resume it", status);
    fail(exchange, ERR_UNAVAILABLE, "not_resumed", words);
}

/* The credentials were good for the request, but are not for its answer. */
static void fail_unauthorized(struct mcp_http_exchange *exchange, int status)
{
    struct mcp_http_answer answer = mcp_http_answer_of(exchange);
    struct failure failure = {0};
    answer.status = status;
    mcp_http_explain_status(&answer, (struct slice){NULL, 0}, &failure);
    failure.is_nothing_done = false; /* only the GET was refused */
    mcp_http_finish(exchange, &failure, false);
}

/* ---- the GET ---------------------------------------------------------------------------- */

static void wait_again(struct mcp_http_exchange *exchange, mono_us at_least)
{
    struct loop *loop = exchange->mcp->loop;
    mono_us now = loop_now(loop);
    mono_us wait = mcp_http_pace_next(&exchange->pace, &exchange->sse, now);
    wait = wait < at_least ? at_least : wait;
    exchange->http = NULL;
    loop_timer_set(loop, &exchange->retry,
                   wait < exchange->deadline - now ? now + wait : exchange->deadline);
}

static bool is_passing(int status)
{
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

static void on_head(void *arg, struct http_exchange *http, int status)
{
    struct mcp_http_exchange *exchange = arg;
    struct mcp_http *mcp = exchange->mcp;
    mcp_http_enter(mcp);
    mcp_http_tell_limits(mcp->loop, http, status, mcp->events, mcp->arg);
    if (exchange->is_gone) {
        mcp_http_leave(mcp);
        return;
    }
    if (status == 200 && mcp_http_is_type(http, "text/event-stream")) {
        mcp_http_leave(mcp);
        return;
    }
    if (is_passing(status)) {
        struct mcp_http_answer answer = mcp_http_answer_of(exchange);
        int64_t retry_after = mcp_http_retry_after(&answer);
        http_cancel(http);
        wait_again(exchange, retry_after > 0 ? retry_after * 1000 : 0);
    } else if (status == 401 || status == 403) {
        fail_unauthorized(exchange, status);
    } else {
        fail_refused(exchange, status);
    }
    mcp_http_leave(mcp);
}

static void on_body(void *arg, struct slice bytes)
{
    struct mcp_http_exchange *exchange = arg;
    struct mcp_http *mcp = exchange->mcp;
    mcp_http_enter(mcp);
    mcp_http_feed(exchange, bytes);
    mcp_http_leave(mcp);
}

static void on_done(void *arg, const struct failure *failure, bool was_sent)
{
    struct mcp_http_exchange *exchange = arg;
    struct mcp_http *mcp = exchange->mcp;
    (void)was_sent; /* the request itself was, long ago */
    mcp_http_enter(mcp);
    if (exchange->is_answered) {
        mcp_http_finish(exchange, NULL, false);
    } else if (failure && failure->code == ERR_TIMEOUT) {
        fail(exchange, ERR_TIMEOUT, "timeout", "did not answer in time");
    } else if (failure && !(failure->code == ERR_UNAVAILABLE && failure->is_retryable)) {
        fail_broken(exchange, failure);
    } else {
        wait_again(exchange, 0);
    }
    mcp_http_leave(mcp);
}

static const struct http_events resume_events = {on_head, on_body, on_done, rate_fields_is_one};

static void start(struct mcp_http_exchange *exchange)
{
    struct mcp_http *mcp = exchange->mcp;
    struct err err = {ERR_NONE, ""};
    struct http_headers *headers =
        mcp_http_make_headers(mcp, MCP_HTTP_ACCEPT_EVENTS, sse_last_id(&exchange->sse), &err);
    struct http_request request = {.method = HTTP_GET,
                                   .headers = headers,
                                   .deadline = exchange->deadline,
                                   .is_urgent = true,
                                   .may_repeat = true};
    sse_restart(&exchange->sse);
    mcp_http_pace_begin(&exchange->pace, &exchange->sse, loop_now(mcp->loop));
    if (!headers ||
        http_start(mcp->target, &request, &resume_events, exchange, &exchange->http, &err)) {
        char words[sizeof err.text + 64];
        exchange->http = NULL;
        (void)snprintf(words, sizeof words, "ended the stream before the answer: %s", err.text);
        fail(exchange, ERR_UNAVAILABLE, "not_resumed", words);
    }
    (void)http_headers_unref(headers);
}

static void ask_again(void *arg)
{
    struct mcp_http_exchange *exchange = arg;
    struct mcp_http *mcp = exchange->mcp;
    mcp_http_enter(mcp);
    if (loop_now(mcp->loop) >= exchange->deadline) {
        fail(exchange, ERR_TIMEOUT, "timeout", "did not answer in time");
    } else if (exchange->epoch != mcp->epoch) {
        fail(exchange, ERR_UNAVAILABLE, "not_resumed",
             "ended the stream before the answer, and forgot the session");
    } else {
        start(exchange);
    }
    mcp_http_leave(mcp);
}

/* ---- what the POST needs ---------------------------------------------------------------- */

bool mcp_http_can_resume(const struct mcp_http_exchange *exchange)
{
    return exchange->kind == MCP_REQUEST && exchange->form == MCP_HTTP_EVENTS &&
           !exchange->is_modern && exchange->epoch == exchange->mcp->epoch &&
           sse_last_id(&exchange->sse).len;
}

void mcp_http_resume(struct mcp_http_exchange *exchange)
{
    wait_again(exchange, 0);
}

void mcp_http_resume_init(struct mcp_http_exchange *exchange)
{
    loop_timer_init(&exchange->retry, ask_again, exchange);
    exchange->pace.has_brought = true; /* the id at least */
}

void mcp_http_resume_stop(struct mcp_http_exchange *exchange)
{
    loop_timer_cancel(exchange->mcp->loop, &exchange->retry);
}
