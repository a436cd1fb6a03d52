/* SPDX-License-Identifier: MIT */
/* legacy_sse.c - the HTTP+SSE transport of 2024-11-05: its operations and its event stream. */
#include "mcp/legacy_sse.h"

#include "base/mem.h"
#include "mcp/legacy_sse_internal.h"

#include <stdio.h>
#include <string.h>

#define CONNECT_MS     10000u
#define ENDPOINT_BYTES ((size_t)8192)

static struct legacy_sse *self(struct mcp_transport *transport)
{
    return (struct legacy_sse *)(void *)transport;
}

/* ---- life ------------------------------------------------------------------------------- */

static void destroy(struct legacy_sse *sse)
{
    sse_done(&sse->sse);
    buf_done(&sse->refusal);
    sse->post_headers = http_headers_unref(sse->post_headers);
    http_target_free(sse->endpoint);
    http_target_free(sse->source);
    mcp_http_fields_done(&sse->fields);
    mem_free(sse->ca_file);
    mem_free(sse->fault);
    mem_free(sse);
}

void legacy_sse_enter(struct legacy_sse *sse)
{
    sse->depth++;
}

void legacy_sse_leave(struct legacy_sse *sse)
{
    if (--sse->depth) {
        return;
    }
    legacy_sse_destroy_gone(sse);
    if (sse->is_freed) {
        destroy(sse);
    }
}

/* Ends all exchanges; nothing begins any more. */
static void stop(struct legacy_sse *sse)
{
    sse->is_closing = true;
    loop_task_cancel(&sse->open_task);
    if (sse->stream) {
        http_cancel(sse->stream);
        sse->stream = NULL;
    }
    legacy_sse_drop_posts(sse);
}

void legacy_sse_lose(struct legacy_sse *sse, struct failure *failure)
{
    stop(sse);
    sse->events->closed(sse->arg, failure);
    failure_done(failure);
}

static void transport_free(struct mcp_transport *transport)
{
    struct legacy_sse *sse = self(transport);
    legacy_sse_enter(sse);
    sse->is_freed = true;
    stop(sse);
    loop_task_cancel(&sse->closed_task);
    legacy_sse_leave(sse);
}

struct http_headers *legacy_sse_make_headers(const struct legacy_sse *sse, bool is_post,
                                             struct err *reterr)
{
    struct http_field list[2];
    size_t count = 0;
    if (is_post) {
        list[count++] = (struct http_field){SLICE("Content-Type"), SLICE("application/json")};
    } else {
        list[count++] = (struct http_field){SLICE("Accept"), SLICE("text/event-stream")};
    }
    if (sse->version[0]) {
        list[count++] =
            (struct http_field){SLICE("MCP-Protocol-Version"), slice_of(sse->version)};
    }
    return mcp_http_fields_join(&sse->fields, list, count, reterr);
}

/* ---- what goes wrong with the stream ---------------------------------------------------- */

static void lose(struct legacy_sse *sse, enum err_code code, const char *reason,
                 const char *words)
{
    struct mcp_http_answer answer = {sse->loop, sse->source, sse->stream, sse->status,
                                     "/sse",    "HTTP+SSE",  false};
    struct failure failure = {0};
    mcp_http_explain(&answer, code, reason, words, &failure);
    legacy_sse_lose(sse, &failure);
}

static void lose_by_status(struct legacy_sse *sse)
{
    struct mcp_http_answer answer = {sse->loop, sse->source, sse->stream, sse->status,
                                     "/sse",    "HTTP+SSE",  false};
    struct failure failure = {0};
    struct slice body = {NULL, 0};
    struct buf value;
    buf_init(&value, (size_t)4 * MCP_HTTP_ERROR_BYTES);
    if (!sse->refusal.overflow) {
        body = buf_slice(&sse->refusal);
    }
    mcp_http_explain_status(&answer, mcp_http_find_error(body, &value), &failure);
    buf_done(&value);
    legacy_sse_lose(sse, &failure);
}

static void lose_by_endpoint(struct legacy_sse *sse, struct slice url, const char *what)
{
    struct mcp_http_answer answer = {sse->loop, sse->source, sse->stream, sse->status,
                                     "/sse",    "HTTP+SSE",  false};
    struct failure failure = {0};
    struct buf name;
    buf_init(&name, 2 * ENDPOINT_BYTES);
    http_put_url(&name, sse->source, url);
    mcp_http_explain(&answer, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "endpoint", what, &failure);
    failure_suggest(&failure,
                    "If the server has moved, make the address of its event stream there the "
                    "service's url; else tell those who run it.");
    failure_detail_text(&failure, "endpoint", buf_text(&name));
    buf_done(&name);
    legacy_sse_lose(sse, &failure);
}

/* ---- the stream ------------------------------------------------------------------------- */

/* Where messages are to go. The stream's own origin, or nowhere: they carry the credentials. */
static void take_endpoint(struct legacy_sse *sse, struct slice url)
{
    struct buf whole;
    struct err err = {ERR_NONE, ""};
    bool is_same_origin = false;
    buf_init(&whole, 2 * ENDPOINT_BYTES);
    if (url.len > ENDPOINT_BYTES ||
        http_resolve(&whole, sse->source, url, &is_same_origin, &err) != 0) {
        lose_by_endpoint(sse, url, "named an endpoint for messages that is no URL");
    } else if (!is_same_origin) {
        lose_by_endpoint(sse, url,
                         "named an endpoint for messages on another origin (scheme, host or "
                         "port), where the credentials must not go");
    } else {
        struct http_target_options target = {.url = buf_slice(&whole),
                                             .name = slice_of(http_target_name(sse->source)),
                                             .connect_timeout_ms = sse->connect_timeout_ms,
                                             .concurrency = sse->concurrency,
                                             .ca_pem = sse->ca_pem,
                                             .ca_file = sse->ca_file};
        if (http_target_new(sse->http, &target, &sse->endpoint, &err) != 0) {
            sse->endpoint = NULL;
            lose_by_endpoint(sse, url, "named an endpoint for messages that cannot be used");
        } else {
            http_set_deadline(sse->stream, MONO_NEVER);
            sse->events->opened(sse->arg);
        }
    }
    buf_done(&whole);
}

static bool on_event(void *arg, const struct sse_event *event)
{
    struct legacy_sse *sse = arg;
    const struct http_exchange *stream = sse->stream;
    if (!sse->endpoint) {
        if (slice_is(event->type, "endpoint")) {
            take_endpoint(sse, event->data);
        }
    } else if (!event->type.len || slice_is(event->type, "message")) {
        mcp_tell_message(sse->events, sse->arg, event->buf, event->data, 0);
    }
    return sse->stream == stream && stream;
}

static void on_head(void *arg, struct http_exchange *http, int status)
{
    struct legacy_sse *sse = arg;
    legacy_sse_enter(sse);
    sse->status = status;
    sse->is_refused = status < 200 || status > 299;
    mcp_http_tell_limits(sse->loop, http, status, sse->events, sse->arg);
    if (!sse->is_closing && !sse->is_refused && !mcp_http_is_type(http, "text/event-stream")) {
        lose(sse, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "content_type",
             "answered with no event stream");
    }
    legacy_sse_leave(sse);
}

static void on_body(void *arg, struct slice bytes)
{
    struct legacy_sse *sse = arg;
    legacy_sse_enter(sse);
    if (sse->is_refused) {
        buf_put_slice(&sse->refusal, bytes);
        if (sse->refusal.overflow) { /* no JSON-RPC error: nothing to wait for */
            lose_by_status(sse);
        }
    } else if (sse_feed(&sse->sse, bytes, on_event, sse) == SSE_TOO_LONG) {
        char words[80];
        (void)snprintf(words, sizeof words,
                       "sent a message of more than the %zu bytes that are taken",
                       sse->message_bytes);
        lose(sse, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "too_large", words);
    }
    legacy_sse_leave(sse);
}

static void on_done(void *arg, const struct failure *failure, bool was_sent)
{
    struct legacy_sse *sse = arg;
    (void)was_sent; /* is in the details */
    legacy_sse_enter(sse);
    if (sse->is_refused) {
        lose_by_status(sse);
    } else if (failure && failure->code == ERR_TIMEOUT) {
        char words[80];
        (void)snprintf(words, sizeof words, "did not %s within %u ms",
                       sse->status ? "name its endpoint for messages" : "answer",
                       sse->connect_timeout_ms);
        lose(sse, ERR_UNAVAILABLE, "connect_timeout", words);
    } else if (failure) {
        struct failure copy = {0};
        failure_copy(&copy, failure);
        legacy_sse_lose(sse, &copy);
    } else if (!sse->endpoint) {
        lose(sse, ERR_UNAVAILABLE, "stream_ended",
             "ended the event stream before it named its endpoint for messages");
    } else {
        lose(sse, ERR_UNAVAILABLE, "stream_ended",
             "ended the event stream, and the session with it");
    }
    legacy_sse_leave(sse);
}

static const struct http_events stream_events = {on_head, on_body, on_done, rate_fields_is_one};

static int start(struct legacy_sse *sse, struct err *reterr)
{
    if (sse->fault) {
        *reterr = *sse->fault;
        return -(int)reterr->code;
    }
    struct http_headers *headers = legacy_sse_make_headers(sse, false, reterr);
    if (!headers) {
        return -(int)reterr->code;
    }
    struct http_request request = {
        .method = HTTP_GET,
        .headers = headers,
        .deadline = loop_now(sse->loop) + (mono_us)sse->connect_timeout_ms * 1000,
        .is_urgent = true,
        .may_repeat = true,
    };
    int r = http_start(sse->source, &request, &stream_events, sse, &sse->stream, reterr);
    (void)http_headers_unref(headers);
    return r;
}

/* ---- operations ------------------------------------------------------------------------- */

static void open_now(void *arg)
{
    struct legacy_sse *sse = arg;
    struct err err = {ERR_NONE, ""};
    legacy_sse_enter(sse);
    if (start(sse, &err) != 0) {
        struct failure failure = {0};
        sse->stream = NULL;
        failure_from_err(&failure, &err);
        if (err.code == ERR_VALIDATION_ERROR) {
            failure_suggest(&failure, "Correct the service's url and headers.");
            failure.class = FAILURE_OF_BROKER;
        }
        legacy_sse_lose(sse, &failure);
    }
    legacy_sse_leave(sse);
}

static void tell_closed(void *arg)
{
    struct legacy_sse *sse = arg;
    legacy_sse_enter(sse);
    sse->events->closed(sse->arg, NULL);
    legacy_sse_leave(sse);
}

static void transport_open(struct mcp_transport *transport)
{
    struct legacy_sse *sse = self(transport);
    loop_later(sse->loop, &sse->open_task);
}

static int transport_send(struct mcp_transport *transport, const struct mcp_outgoing *message,
                          struct failure *failure)
{
    struct legacy_sse *sse = self(transport);
    if (sse->is_closing || !sse->endpoint) {
        failure_set(failure, ERR_UNAVAILABLE, "the connection to the server is closed");
        return -ERR_UNAVAILABLE;
    }
    return legacy_sse_post(sse, message, failure);
}

static void transport_abandon(struct mcp_transport *transport, mcp_token token)
{
    legacy_sse_abandon(self(transport), token);
}

static void transport_set_revision(struct mcp_transport *transport,
                                   const struct revision *revision)
{
    struct legacy_sse *sse = self(transport);
    const char *name = revision ? revision->name : "";
    sse->post_headers = http_headers_unref(sse->post_headers);
    (void)snprintf(sse->version, sizeof sse->version, "%s", name);
    sse->awaits_initialized = revision != NULL;
}

static void transport_close(struct mcp_transport *transport)
{
    struct legacy_sse *sse = self(transport);
    if (!sse->is_closing) {
        stop(sse);
        loop_later(sse->loop, &sse->closed_task);
    }
}

static int64_t transport_pid(const struct mcp_transport *transport)
{
    (void)transport;
    return 0;
}

static const struct mcp_transport_ops legacy_sse_ops = {
    .has_exchanges = false,
    .open = transport_open,
    .send = transport_send,
    .abandon = transport_abandon,
    .set_revision = transport_set_revision,
    .close = transport_close,
    .free = transport_free,
    .pid = transport_pid,
};

struct mcp_transport *mcp_legacy_sse_new(const struct mcp_http_options *options,
                                         const struct mcp_transport_events *events, void *arg)
{
    struct legacy_sse *sse = mem_new(sizeof *sse);
    struct http_target_options target = {.url = options->url,
                                         .name = options->name,
                                         .connect_timeout_ms = options->connect_timeout_ms,
                                         .ca_pem = options->ca_pem,
                                         .ca_file = options->ca_file};
    struct err fault = {ERR_NONE, ""};
    sse->base.ops = &legacy_sse_ops;
    sse->loop = options->loop;
    sse->http = options->http;
    sse->events = events;
    sse->arg = arg;
    sse->connect_timeout_ms =
        options->connect_timeout_ms ? options->connect_timeout_ms : CONNECT_MS;
    sse->concurrency = options->concurrency;
    sse->message_bytes = options->message_bytes;
    sse->ca_pem = options->ca_pem;
    sse->ca_file = options->ca_file ? mem_dup(slice_of(options->ca_file)) : NULL;
    list_init(&sse->posts);
    list_init(&sse->gone);
    loop_task_init(&sse->open_task, open_now, sse);
    loop_task_init(&sse->closed_task, tell_closed, sse);
    sse_init(&sse->sse, options->message_bytes);
    buf_init(&sse->refusal, MCP_HTTP_ERROR_BYTES);
    mcp_http_fields_init(&sse->fields, options->headers, options->header_count);
    if (http_target_new(options->http, &target, &sse->source, &fault) == 0) {
        sse->post_headers = legacy_sse_make_headers(sse, true, &fault);
    }
    if (!sse->post_headers) {
        sse->fault = mem_new(sizeof fault);
        *sse->fault = fault;
    }
    return &sse->base;
}
