/* SPDX-License-Identifier: MIT */
/*
 * http_internal.h - what the files of the Streamable HTTP transport share.
 *
 * http.c is the transport: its operations, headers and session id. http_post.c leads one message
 * and its answer, http_listen.c the standalone stream, http_status.c finds words for answers that
 * are none.
 *
 * Life:    events go up inside mcp_http_enter .. mcp_http_leave; what is freed or abandoned by one of
 *          them is destroyed by the last leave.
 */
#ifndef MCP_HTTP_INTERNAL_H
#define MCP_HTTP_INTERNAL_H

#include "base/list.h"
#include "mcp/http.h"
#include "mcp/sse.h"

/* Enough for a JSON-RPC error in the body of an answer with an error status. */
#define MCP_HTTP_ERROR_BYTES 65536u

struct mcp_http_stream { /* the standalone GET stream */
    struct http_exchange *http;
    struct sse sse;
    struct loop_timer retry;
    struct loop_task task;
    mono_us wait;
    bool is_wanted;
    bool has_stood; /* it was accepted once: worth another try */
};

struct mcp_http {
    struct mcp_transport base;
    struct loop *loop;
    struct http_target *target;
    const struct mcp_transport_events *events;
    void *arg;
    struct http_field *fields; /* names and values in `text` */
    size_t field_count;
    char *text;
    size_t text_size;
    size_t message_bytes;
    struct http_headers *post_headers; /* NULL: to be made anew */
    char *session_id;                  /* NULL: none */
    char version[32];                  /* empty: not negotiated yet */
    unsigned epoch;                    /* counts sessions */
    struct list exchanges, gone;
    struct mcp_http_exchange *barrier; /* notifications/initialized, until it is answered */
    struct mcp_http_stream stream;
    struct http_exchange *goodbye; /* DELETE */
    struct loop_task open_task, closed_task;
    struct err *fault; /* of the options; NULL: none */
    unsigned depth;
    unsigned responses; /* under way */
    bool awaits_initialized, is_closing, is_freed;
};

enum mcp_http_form { MCP_HTTP_NOTHING, MCP_HTTP_JSON, MCP_HTTP_EVENTS, MCP_HTTP_ERROR };

struct mcp_http_exchange {
    struct list_link link;
    struct mcp_http *mcp;
    struct http_exchange *http;
    mcp_token token;
    enum mcp_message_kind kind;
    enum mcp_http_form form; /* of the body that comes */
    int status;
    unsigned epoch;
    bool had_session;   /* the request carried a session id */
    bool opens_session; /* sent before a version was agreed on: `initialize` */
    bool is_answered, is_gone;
    struct buf body;
    struct sse sse;
};

/* http.c */
void mcp_http_enter(struct mcp_http *mcp);
void mcp_http_leave(struct mcp_http *mcp);
enum mcp_http_accept { MCP_HTTP_ACCEPT_ANSWER, MCP_HTTP_ACCEPT_EVENTS, MCP_HTTP_ACCEPT_ANY };
struct http_headers *mcp_http_make_headers(const struct mcp_http *mcp,
                                           enum mcp_http_accept accept,
                                           struct slice last_event_id, struct err *reterr);
bool mcp_http_take_session_id(struct mcp_http *mcp, struct slice id); /* false: not valid */

/* http_post.c */
int mcp_http_post(struct mcp_http *mcp, const struct mcp_outgoing *message,
                  struct failure *failure);
void mcp_http_drop(struct mcp_http_exchange *exchange); /* without a word */
void mcp_http_destroy_exchange(struct mcp_http_exchange *exchange);

/* http_listen.c */
void mcp_http_listen_init(struct mcp_http *mcp);
void mcp_http_listen_start(struct mcp_http *mcp);
void mcp_http_listen_stop(struct mcp_http *mcp); /* and forget its last event id */

/* http_status.c */
bool mcp_http_is_type(const struct http_exchange *http, const char *type);
/* What an answer's status means; `error`: the JSON-RPC error of its body, MessagePack, or empty. */
void mcp_http_explain_status(const struct mcp_http_exchange *exchange, struct slice error,
                             struct failure *failure);
/* A fault of the answer itself: EXTERNAL_TOOL_EXECUTION_FAILED, or UNAVAILABLE with `code`. */
void mcp_http_explain(const struct mcp_http_exchange *exchange, enum err_code code,
                      const char *reason, const char *words, struct failure *failure);

#endif
