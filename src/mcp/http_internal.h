/* SPDX-License-Identifier: MIT */
/*
 * http_internal.h - what the files of the Streamable HTTP transport share.
 *
 * http.c is the transport: its operations, headers and session id. http_post.c leads one message
 * and its answer, http_resume.c asks again for a stream that broke, http_listen.c has the
 * standalone stream, http_modern.c the header fields of 2026-07-28.
 *
 * Life:    events go up inside mcp_http_enter .. mcp_http_leave; what is freed or abandoned by one of
 *          them is destroyed by the last leave.
 */
#ifndef MCP_HTTP_INTERNAL_H
#define MCP_HTTP_INTERNAL_H

#include "base/list.h"
#include "mcp/http.h"
#include "mcp/http_answer.h"
#include "mcp/http_fields.h"
#include "mcp/sse.h"

/* When a broken stream is asked for again: as the server wishes, and ever later when the attempts
 * bring nothing. */
struct mcp_http_pace {
    mono_us begun; /* of the last attempt */
    uint64_t mark; /* what the last event id was then */
    unsigned fruitless;
    bool has_brought; /* a message */
};

struct mcp_http_stream { /* the standalone GET stream */
    struct http_exchange *http;
    struct sse sse;
    struct loop_timer retry;
    struct loop_task task;
    struct mcp_http_pace pace;
    struct loop_timer patience; /* how long requests wait for it */
    bool is_awaited;            /* they do */
    bool is_wanted;
    bool has_stood; /* it was accepted once: worth another try */
};

struct mcp_http {
    struct mcp_transport base;
    struct loop *loop;
    struct http_target *target;
    const struct mcp_transport_events *events;
    void *arg;
    struct mcp_http_fields fields;
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
    bool is_modern, awaits_initialized, is_closing, is_freed;
};

enum mcp_http_form { MCP_HTTP_NOTHING, MCP_HTTP_JSON, MCP_HTTP_EVENTS, MCP_HTTP_ERROR };

struct mcp_http_exchange {
    struct list_link link;
    struct mcp_http *mcp;
    struct http_exchange *http; /* NULL while a broken stream waits to be asked for again */
    mcp_token token;
    enum mcp_message_kind kind;
    enum mcp_http_form form; /* of the body that comes */
    int status;
    unsigned epoch;
    mono_us deadline;
    bool had_session;   /* the request carried a session id */
    bool opens_session; /* sent before a version was agreed on: `initialize` */
    bool is_modern;
    bool is_stream; /* it lasts */
    bool is_answered, is_gone;
    struct buf body;
    struct sse sse;
    struct loop_timer retry;
    struct mcp_http_pace pace;
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
/* Tells how it ended and drops it; `failure` is freed. */
void mcp_http_finish(struct mcp_http_exchange *exchange, struct failure *failure,
                     bool is_session_gone);
void mcp_http_feed(struct mcp_http_exchange *exchange, struct slice bytes); /* of its events */
struct mcp_http_answer mcp_http_answer_of(const struct mcp_http_exchange *exchange);

/* http_resume.c */
/* Whether a stream that ended before its answer can be asked for again. */
bool mcp_http_can_resume(const struct mcp_http_exchange *exchange);
void mcp_http_resume(struct mcp_http_exchange *exchange);
void mcp_http_resume_init(struct mcp_http_exchange *exchange);
void mcp_http_resume_stop(struct mcp_http_exchange *exchange);
void mcp_http_pace_begin(struct mcp_http_pace *pace, const struct sse *sse, mono_us now);
/* How long to wait now that an attempt has ended. */
mono_us mcp_http_pace_next(struct mcp_http_pace *pace, const struct sse *sse, mono_us now);

/* http_listen.c */
void mcp_http_listen_init(struct mcp_http *mcp);
void mcp_http_listen_start(struct mcp_http *mcp);
void mcp_http_listen_await(struct mcp_http *mcp); /* requests wait until it stands */
/* Requests wait while `initialized` is on its way, or the stream that is awaited. */
void mcp_http_hold(struct mcp_http *mcp);
void mcp_http_listen_stop(struct mcp_http *mcp); /* and forget its last event id */

/* http_modern.c */
/* Header fields that describe one message: the list and what it points into. */
struct mcp_http_extra {
    struct http_field *list;
    size_t count;
    struct buf text;
};
int mcp_http_extra_init(struct mcp_http_extra *extra, const struct mcp_outgoing *message,
                        struct err *reterr);
void mcp_http_extra_done(struct mcp_http_extra *extra);
/* Appends a value as Mcp-Name and Mcp-Param-* carry it: plain, or "=?base64?...?=". */
void mcp_http_put_value(struct buf *out, struct slice value);

#endif
