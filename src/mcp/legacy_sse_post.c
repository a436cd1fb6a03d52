/* SPDX-License-Identifier: MIT */
/*
 * legacy_sse_post.c - one message handed over to a server of 2024-11-05: a POST to its endpoint.
 *
 * The answer of the POST says only whether the message was taken: any 2xx. What the message brings
 * about comes on the event stream.
 */
#include "base/log.h"
#include "base/mem.h"
#include "mcp/legacy_sse_internal.h"

#define TELL_US 30000000 /* for a notification or response to be taken */

/* Each question of the server costs a request of ours: a flood of them must not take every
 * descriptor. */
#define RESPONSES_MAX 64u

struct legacy_sse_post {
    struct list_link link;
    struct legacy_sse *sse;
    struct http_exchange *http;
    mcp_token token;
    enum mcp_message_kind kind;
    int status;
    bool is_taken;
    struct buf refusal; /* the body of an error status */
};

/* ---- the end of a post ------------------------------------------------------------------ */

static void destroy(struct legacy_sse_post *post)
{
    post->sse->responses -= post->kind == MCP_RESPONSE;
    list_remove(&post->link);
    buf_done(&post->refusal);
    mem_free(post);
}

void legacy_sse_destroy_gone(struct legacy_sse *sse)
{
    struct list_link *link;
    while ((link = list_first(&sse->gone))) {
        destroy(LIST_ITEM(link, struct legacy_sse_post, link));
    }
}

/* Requests may follow once `notifications/initialized` was answered, however. */
static void release(struct legacy_sse_post *post)
{
    struct legacy_sse *sse = post->sse;
    if (sse->barrier == post) {
        sse->barrier = NULL;
        http_target_hold(sse->endpoint, false);
    }
}

static void drop(struct legacy_sse_post *post)
{
    if (post->http) {
        http_cancel(post->http);
        post->http = NULL;
    }
    release(post);
    list_remove(&post->link);
    if (post->sse->depth) {
        list_append(&post->sse->gone, &post->link);
    } else {
        destroy(post);
    }
}

void legacy_sse_drop_posts(struct legacy_sse *sse)
{
    list_each (link, &sse->posts) {
        drop(LIST_ITEM(link, struct legacy_sse_post, link));
    }
}

void legacy_sse_abandon(struct legacy_sse *sse, mcp_token token)
{
    list_each (link, &sse->posts) {
        struct legacy_sse_post *post = LIST_ITEM(link, struct legacy_sse_post, link);
        if (token && post->token == token) {
            drop(post);
            return;
        }
    }
}

/* Tells that the message was not taken and drops it; `failure` is freed. */
static void fail(struct legacy_sse_post *post, struct failure *failure)
{
    struct legacy_sse *sse = post->sse;
    mcp_token token = post->token;
    bool is_request = post->kind == MCP_REQUEST;
    bool is_session_gone = post->status == 404;
    if (!is_request) {
        log_at(LOG_DEBUG, "mcp", "a message was not taken",
               LOG_TEXT("url", http_target_name(sse->source)),
               LOG_SLICE("why", buf_slice(&failure->message)));
    }
    drop(post);
    if (is_request || failure->code == ERR_AUTH_FAILED) {
        sse->events->exchange_ended(sse->arg, token, failure, false);
    }
    if (is_session_gone && !sse->is_closing) {
        legacy_sse_lose(sse, failure);
    } else {
        failure_done(failure);
    }
}

static void fail_with_status(struct legacy_sse_post *post)
{
    const struct legacy_sse *sse = post->sse;
    struct mcp_http_answer answer = {sse->loop, sse->source, post->http, post->status,
                                     "/sse",    "HTTP+SSE",  true};
    struct failure failure = {0};
    struct buf value;
    buf_init(&value, (size_t)4 * MCP_HTTP_ERROR_BYTES);
    struct slice body = {NULL, 0};
    if (!post->refusal.overflow) {
        body = buf_slice(&post->refusal);
    }
    mcp_http_explain_status(&answer, mcp_http_find_error(body, &value), &failure);
    buf_done(&value);
    fail(post, &failure);
}

/* ---- events ----------------------------------------------------------------------------- */

static void on_head(void *arg, struct http_exchange *http, int status)
{
    struct legacy_sse_post *post = arg;
    struct legacy_sse *sse = post->sse;
    legacy_sse_enter(sse);
    mcp_http_tell_limits(sse->loop, http, status, sse->events, sse->arg);
    if (!post->http) { /* dropped there */
        legacy_sse_leave(sse);
        return;
    }
    post->status = status;
    post->is_taken = status >= 200 && status <= 299;
    if (post->is_taken) {
        release(post);
        post->token = 0; /* from now on nothing is known of it here */
        http_set_deadline(http, loop_now(sse->loop) + TELL_US);
    }
    if (post->is_taken && mcp_http_is_type(http, "text/event-stream")) {
        drop(post); /* a stream that nobody asked for, and that may last */
    }
    legacy_sse_leave(sse);
}

static void on_body(void *arg, struct slice bytes)
{
    struct legacy_sse_post *post = arg;
    struct legacy_sse *sse = post->sse;
    legacy_sse_enter(sse);
    buf_put_slice(&post->refusal, bytes);
    if (post->refusal.overflow && post->is_taken) {
        drop(post);
    } else if (post->refusal.overflow) {
        fail_with_status(post);
    }
    legacy_sse_leave(sse);
}

static void on_done(void *arg, const struct failure *failure, bool was_sent)
{
    struct legacy_sse_post *post = arg;
    struct legacy_sse *sse = post->sse;
    (void)was_sent; /* is in the details */
    legacy_sse_enter(sse);
    if (post->is_taken) {
        drop(post);
    } else if (post->status) {
        fail_with_status(post);
    } else {
        struct failure copy = {0};
        failure_copy(&copy, failure);
        fail(post, &copy);
    }
    legacy_sse_leave(sse);
}

static const struct http_events post_events = {on_head, on_body, on_done, rate_fields_is_one};

/* ---- the message ------------------------------------------------------------------------ */

static int start(struct legacy_sse_post *post, const struct mcp_outgoing *message,
                 struct err *reterr)
{
    struct legacy_sse *sse = post->sse;
    mono_us limit = loop_now(sse->loop) + TELL_US;
    bool is_bounded = message->kind == MCP_REQUEST || message->deadline < limit;
    if (!sse->post_headers) {
        sse->post_headers = legacy_sse_make_headers(sse, true, reterr);
        if (!sse->post_headers) {
            return -(int)reterr->code;
        }
    }
    struct http_request request = {
        .method = HTTP_POST,
        .headers = sse->post_headers,
        .body = message->json,
        .own = message->own,
        .deadline = is_bounded ? message->deadline : limit,
        .is_urgent = message->kind != MCP_REQUEST,
        .may_repeat = message->kind != MCP_REQUEST, /* does nothing twice */
    };
    return http_start(sse->endpoint, &request, &post_events, post, &post->http, reterr);
}

int legacy_sse_post(struct legacy_sse *sse, const struct mcp_outgoing *message,
                    struct failure *failure)
{
    struct err err = {ERR_NONE, ""};
    if (message->kind == MCP_RESPONSE && sse->responses >= RESPONSES_MAX) {
        failure_set(failure, ERR_OVERLOADED, "the server asks faster than it takes answers");
        return -ERR_OVERLOADED;
    }
    struct legacy_sse_post *post = mem_new(sizeof *post);
    post->sse = sse;
    post->kind = message->kind;
    post->token = message->token;
    buf_init(&post->refusal, MCP_HTTP_ERROR_BYTES);
    list_append(&sse->posts, &post->link);
    sse->responses += message->kind == MCP_RESPONSE;
    if (start(post, message, &err) != 0) {
        failure_from_err(failure, &err);
        destroy(post);
        return -(int)err.code;
    }
    if (message->kind == MCP_NOTIFICATION && sse->awaits_initialized) {
        sse->awaits_initialized = false;
        sse->barrier = post;
        http_target_hold(sse->endpoint, true);
    }
    return 0;
}
