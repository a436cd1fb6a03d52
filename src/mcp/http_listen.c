/* SPDX-License-Identifier: MIT */
/*
 * http_listen.c - the standalone stream: a GET on which the server says what belongs to no request.
 *
 * A server need not offer it: whatever goes wrong is silence, and calls do not depend on it.
 */
#include "base/log.h"
#include "mcp/http_internal.h"

/* For a server that sends no header before its first event. */
#define PATIENCE_US 250000

static void note(const struct mcp_http *mcp, const char *why)
{
    log_at(LOG_DEBUG, "mcp", "no standalone stream",
           LOG_TEXT("url", http_target_name(mcp->target)), LOG_TEXT("why", why));
}

void mcp_http_hold(struct mcp_http *mcp)
{
    http_target_hold(mcp->target, mcp->barrier != NULL || mcp->stream.is_awaited);
}

static void await_no_longer(void *arg)
{
    struct mcp_http *mcp = arg;
    loop_timer_cancel(mcp->loop, &mcp->stream.patience);
    if (mcp->stream.is_awaited) {
        mcp->stream.is_awaited = false;
        mcp_http_hold(mcp);
    }
}

void mcp_http_listen_await(struct mcp_http *mcp)
{
    mcp->stream.is_awaited = true;
    mcp_http_hold(mcp);
    loop_timer_set(mcp->loop, &mcp->stream.patience, loop_now(mcp->loop) + PATIENCE_US);
}

/* The stream has gone. If the server had one, it is asked for again, less and less often. */
static void ended(struct mcp_http *mcp)
{
    struct mcp_http_stream *stream = &mcp->stream;
    stream->http = NULL;
    await_no_longer(mcp);
    if (!stream->has_stood || !stream->is_wanted) {
        stream->is_wanted = false;
        return;
    }
    mono_us now = loop_now(mcp->loop);
    mono_us wait = mcp_http_pace_next(&stream->pace, &stream->sse, now);
    loop_timer_set(mcp->loop, &stream->retry, now + wait);
}

static void give_up(struct mcp_http *mcp, const char *why)
{
    note(mcp, why);
    http_cancel(mcp->stream.http);
    ended(mcp);
}

static void take_head(struct mcp_http *mcp, const struct http_exchange *http, int status)
{
    struct mcp_http_stream *stream = &mcp->stream;
    if (status == 200 && mcp_http_is_type(http, "text/event-stream")) {
        stream->has_stood = true;
        await_no_longer(mcp);
        return;
    }
    if (status < 500) {
        stream->has_stood = false; /* not offered, or not any more */
    }
    give_up(mcp, status == 405 ? "not offered" : "the server refused it");
}

static void on_head(void *arg, struct http_exchange *http, int status)
{
    struct mcp_http *mcp = arg;
    mcp_http_enter(mcp);
    mcp_http_tell_limits(mcp->loop, http, status, mcp->events, mcp->arg);
    if (mcp->stream.http == http) { /* else it was freed there */
        take_head(mcp, http, status);
    }
    mcp_http_leave(mcp);
}

static bool on_event(void *arg, const struct sse_event *event)
{
    struct mcp_http *mcp = arg;
    const struct http_exchange *http = mcp->stream.http;
    mcp->stream.pace.has_brought = true;
    if (!event->type.len || slice_is(event->type, "message")) {
        mcp_tell_message(mcp->events, mcp->arg, event->buf, event->data, 0);
    }
    return http && mcp->stream.http == http;
}

static void on_body(void *arg, struct slice bytes)
{
    struct mcp_http *mcp = arg;
    mcp_http_enter(mcp);
    if (sse_feed(&mcp->stream.sse, bytes, on_event, mcp) == SSE_TOO_LONG) {
        give_up(mcp, "a message was too long");
    }
    mcp_http_leave(mcp);
}

static void on_done(void *arg, const struct failure *failure, bool was_sent)
{
    struct mcp_http *mcp = arg;
    (void)was_sent;
    note(mcp, failure ? "the connection failed" : "it ended");
    ended(mcp);
}

static const struct http_events stream_events = {on_head, on_body, on_done, rate_fields_is_one};

static void start(void *arg)
{
    struct mcp_http *mcp = arg;
    struct mcp_http_stream *stream = &mcp->stream;
    struct err err;
    if (!stream->is_wanted || stream->http || mcp->barrier) {
        return;
    }
    struct http_headers *headers =
        mcp_http_make_headers(mcp, MCP_HTTP_ACCEPT_EVENTS, sse_last_id(&stream->sse), &err);
    struct http_request request = {.method = HTTP_GET,
                                   .headers = headers,
                                   .deadline = MONO_NEVER,
                                   .is_urgent = true,
                                   .may_repeat = true};
    sse_restart(&stream->sse);
    mcp_http_pace_begin(&stream->pace, &stream->sse, loop_now(mcp->loop));
    if (!headers ||
        http_start(mcp->target, &request, &stream_events, mcp, &stream->http, &err) != 0) {
        note(mcp, err.text);
        stream->http = NULL;
        stream->is_wanted = false;
        await_no_longer(mcp);
    }
    (void)http_headers_unref(headers);
}

void mcp_http_listen_init(struct mcp_http *mcp)
{
    loop_timer_init(&mcp->stream.retry, start, mcp);
    loop_timer_init(&mcp->stream.patience, await_no_longer, mcp);
    loop_task_init(&mcp->stream.task, start, mcp);
    sse_init(&mcp->stream.sse, mcp->message_bytes);
}

/* Never at once: the parser may be on the stack. */
void mcp_http_listen_start(struct mcp_http *mcp)
{
    if (mcp->stream.is_wanted && !loop_timer_is_set(&mcp->stream.retry)) {
        loop_later(mcp->loop, &mcp->stream.task);
    }
}

void mcp_http_listen_stop(struct mcp_http *mcp)
{
    struct mcp_http_stream *stream = &mcp->stream;
    stream->is_wanted = stream->has_stood = false;
    stream->pace = (struct mcp_http_pace){0};
    stream->sse.retry_ms = -1;
    buf_clear(&stream->sse.last_id);
    loop_timer_cancel(mcp->loop, &stream->retry);
    loop_task_cancel(&stream->task);
    if (stream->http) {
        http_cancel(stream->http);
        stream->http = NULL;
    }
    await_no_longer(mcp);
}
