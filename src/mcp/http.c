/* SPDX-License-Identifier: MIT */
/*
 * http.c - the Streamable HTTP transport: its operations, its headers, its session.
 *
 * What becomes of one message is http_post.c's.
 */
#include "mcp/http.h"

#include "base/mem.h"
#include "mcp/http_internal.h"

#include <string.h>

#define GOODBYE_US       2000000
#define SESSION_ID_BYTES 1024u

static struct mcp_http *self(struct mcp_transport *transport)
{
    return (struct mcp_http *)(void *)transport;
}

/* ---- life ------------------------------------------------------------------------------- */

static void forget_session_id(struct mcp_http *mcp)
{
    if (mcp->session_id) {
        mem_wipe(mcp->session_id, strlen(mcp->session_id));
        mem_free(mcp->session_id);
        mcp->session_id = NULL;
    }
}

static void destroy(struct mcp_http *mcp)
{
    sse_done(&mcp->stream.sse);
    mcp->post_headers = http_headers_unref(mcp->post_headers);
    http_target_free(mcp->target);
    mcp_http_fields_done(&mcp->fields);
    forget_session_id(mcp);
    mem_free(mcp->fault);
    mem_free(mcp);
}

void mcp_http_enter(struct mcp_http *mcp)
{
    mcp->depth++;
}

void mcp_http_leave(struct mcp_http *mcp)
{
    if (--mcp->depth) {
        return;
    }
    struct list_link *link;
    while ((link = list_first(&mcp->gone))) {
        mcp_http_destroy_exchange(LIST_ITEM(link, struct mcp_http_exchange, link));
    }
    if (mcp->is_freed) {
        destroy(mcp);
    }
}

static void drop_all(struct mcp_http *mcp)
{
    mcp_http_listen_stop(mcp);
    list_each (link, &mcp->exchanges) {
        mcp_http_drop(LIST_ITEM(link, struct mcp_http_exchange, link));
    }
}

static void http_free_transport(struct mcp_transport *transport)
{
    struct mcp_http *mcp = self(transport);
    mcp_http_enter(mcp);
    mcp->is_closing = true;
    mcp->is_freed = true;
    drop_all(mcp);
    loop_task_cancel(&mcp->open_task);
    loop_task_cancel(&mcp->closed_task);
    if (mcp->goodbye) {
        http_cancel(mcp->goodbye);
        mcp->goodbye = NULL;
    }
    mcp_http_leave(mcp);
}

/* ---- headers ---------------------------------------------------------------------------- */

struct http_headers *mcp_http_make_headers(const struct mcp_http *mcp,
                                           enum mcp_http_accept accept,
                                           struct slice last_event_id, struct err *reterr)
{
    struct http_field list[5];
    size_t count = 0;
    if (accept == MCP_HTTP_ACCEPT_ANSWER) {
        list[count++] = (struct http_field){SLICE("Content-Type"), SLICE("application/json")};
        list[count++] =
            (struct http_field){SLICE("Accept"), SLICE("application/json, text/event-stream")};
    } else if (accept == MCP_HTTP_ACCEPT_EVENTS) {
        list[count++] = (struct http_field){SLICE("Accept"), SLICE("text/event-stream")};
    }
    if (mcp->session_id) {
        list[count++] = (struct http_field){SLICE("Mcp-Session-Id"), slice_of(mcp->session_id)};
    }
    if (mcp->version[0]) {
        list[count++] =
            (struct http_field){SLICE("MCP-Protocol-Version"), slice_of(mcp->version)};
    }
    if (last_event_id.len) {
        list[count++] = (struct http_field){SLICE("Last-Event-ID"), last_event_id};
    }
    return mcp_http_fields_join(&mcp->fields, list, count, reterr);
}

bool mcp_http_take_session_id(struct mcp_http *mcp, struct slice id)
{
    for (size_t i = 0; i < id.len; i++) {
        if (id.ptr[i] < 0x21 || id.ptr[i] > 0x7E) {
            return false;
        }
    }
    if (!id.len || id.len > SESSION_ID_BYTES) {
        return false;
    }
    forget_session_id(mcp);
    mcp->session_id = mem_dup(id);
    mcp->post_headers = http_headers_unref(mcp->post_headers);
    return true;
}

/* Whatever belonged to the session before: it is over, or there is none. */
static void forget_session(struct mcp_http *mcp)
{
    mcp->epoch++;
    mcp->awaits_initialized = false;
    forget_session_id(mcp);
    mcp_http_listen_stop(mcp);
}

static void http_set_revision(struct mcp_transport *transport, const struct revision *revision)
{
    struct mcp_http *mcp = self(transport);
    mcp->post_headers = http_headers_unref(mcp->post_headers);
    mcp->version[0] = '\0';
    mcp->is_modern = revision && revision->era == ERA_MODERN;
    if (!revision || mcp->is_modern) {
        forget_session(mcp);
    }
    if (revision) {
        size_t length = strnlen(revision->name, sizeof mcp->version - 1);
        memcpy(mcp->version, revision->name, length);
        mcp->version[length] = '\0';
        mcp->awaits_initialized = !mcp->is_modern;
    }
}

/* ---- operations ------------------------------------------------------------------------- */

static void tell_opened(void *arg)
{
    struct mcp_http *mcp = arg;
    mcp_http_enter(mcp);
    if (mcp->fault) {
        struct failure failure = {0};
        failure_from_err(&failure, mcp->fault);
        failure_suggest(&failure, "Correct the service's url and headers.");
        failure.class = FAILURE_OF_BROKER;
        mcp->is_closing = true;
        mcp->events->closed(mcp->arg, &failure);
        failure_done(&failure);
    } else {
        mcp->events->opened(mcp->arg);
    }
    mcp_http_leave(mcp);
}

static void tell_closed(void *arg)
{
    struct mcp_http *mcp = arg;
    mcp_http_enter(mcp);
    mcp->events->closed(mcp->arg, NULL);
    mcp_http_leave(mcp);
}

static void http_open(struct mcp_transport *transport)
{
    struct mcp_http *mcp = self(transport);
    loop_later(mcp->loop, &mcp->open_task);
}

static int http_send(struct mcp_transport *transport, const struct mcp_outgoing *message,
                     struct failure *failure)
{
    struct mcp_http *mcp = self(transport);
    if (mcp->is_closing || !mcp->target) {
        failure_set(failure, ERR_UNAVAILABLE, "the connection to the server is closed");
        return -ERR_UNAVAILABLE;
    }
    return mcp_http_post(mcp, message, failure);
}

static void http_abandon(struct mcp_transport *transport, mcp_token token)
{
    struct mcp_http *mcp = self(transport);
    list_each (link, &mcp->exchanges) {
        struct mcp_http_exchange *exchange = LIST_ITEM(link, struct mcp_http_exchange, link);
        if (token && exchange->token == token) {
            mcp_http_drop(exchange);
            return;
        }
    }
}

static void http_listen(struct mcp_transport *transport, bool is_first)
{
    struct mcp_http *mcp = self(transport);
    if (!mcp->is_closing && mcp->target && !mcp->is_modern) {
        mcp->stream.is_wanted = true;
        mcp_http_listen_start(mcp);
        if (is_first) {
            mcp_http_listen_await(mcp);
        }
    }
}

static void ignore_body(void *arg, struct slice bytes)
{
    (void)arg;
    (void)bytes;
}

static void said_goodbye(void *arg, const struct failure *failure, bool was_sent)
{
    struct mcp_http *mcp = arg;
    (void)failure; /* 405: the server ends sessions by itself */
    (void)was_sent;
    mcp->goodbye = NULL;
    tell_closed(mcp);
}

static const struct http_events goodbye_events = {.body = ignore_body, .done = said_goodbye};

static void http_close(struct mcp_transport *transport)
{
    struct mcp_http *mcp = self(transport);
    if (mcp->is_closing) {
        return;
    }
    mcp->is_closing = true;
    loop_task_cancel(&mcp->open_task);
    drop_all(mcp);
    struct http_headers *headers =
        mcp->session_id
            ? mcp_http_make_headers(mcp, MCP_HTTP_ACCEPT_ANY, (struct slice){NULL, 0}, NULL)
            : NULL;
    struct http_request request = {.method = HTTP_DELETE,
                                   .headers = headers,
                                   .body_max = MCP_HTTP_ERROR_BYTES,
                                   .deadline = loop_now(mcp->loop) + GOODBYE_US,
                                   .is_urgent = true,
                                   .may_repeat = true};
    if (!headers ||
        http_start(mcp->target, &request, &goodbye_events, mcp, &mcp->goodbye, NULL) != 0) {
        loop_later(mcp->loop, &mcp->closed_task);
    }
    (void)http_headers_unref(headers);
}

static int64_t http_pid(const struct mcp_transport *transport)
{
    (void)transport;
    return 0;
}

static const struct mcp_transport_ops http_ops = {
    .has_exchanges = true,
    .open = http_open,
    .send = http_send,
    .abandon = http_abandon,
    .set_revision = http_set_revision,
    .listen = http_listen,
    .close = http_close,
    .free = http_free_transport,
    .pid = http_pid,
};

struct mcp_transport *mcp_http_new(const struct mcp_http_options *options,
                                   const struct mcp_transport_events *events, void *arg)
{
    struct mcp_http *mcp = mem_new(sizeof *mcp);
    struct http_target_options target = {.url = options->url,
                                         .name = options->name,
                                         .connect_timeout_ms = options->connect_timeout_ms,
                                         .concurrency = options->concurrency,
                                         .ca_pem = options->ca_pem,
                                         .ca_file = options->ca_file};
    struct err fault;
    mcp->base.ops = &http_ops;
    mcp->loop = options->loop;
    mcp->events = events;
    mcp->arg = arg;
    mcp->message_bytes = options->message_bytes;
    list_init(&mcp->exchanges);
    list_init(&mcp->gone);
    loop_task_init(&mcp->open_task, tell_opened, mcp);
    loop_task_init(&mcp->closed_task, tell_closed, mcp);
    mcp_http_listen_init(mcp);
    mcp_http_fields_init(&mcp->fields, options->headers, options->header_count);
    if (http_target_new(options->http, &target, &mcp->target, &fault) == 0) {
        mcp->post_headers =
            mcp_http_make_headers(mcp, MCP_HTTP_ACCEPT_ANSWER, (struct slice){NULL, 0}, &fault);
    }
    if (!mcp->post_headers) {
        mcp->fault = mem_new(sizeof fault);
        *mcp->fault = fault;
    }
    return &mcp->base;
}
