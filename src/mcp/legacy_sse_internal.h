/* SPDX-License-Identifier: MIT */
/*
 * legacy_sse_internal.h - what the files of the HTTP+SSE transport share.
 *
 * legacy_sse.c is the transport and its event stream, legacy_sse_post.c hands single messages over.
 *
 * Life:    events go up inside legacy_sse_enter .. legacy_sse_leave; what is freed or abandoned by one
 *          of them is destroyed by the last leave.
 */
#ifndef MCP_LEGACY_SSE_INTERNAL_H
#define MCP_LEGACY_SSE_INTERNAL_H

#include "base/list.h"
#include "mcp/http_answer.h"
#include "mcp/http_fields.h"
#include "mcp/legacy_sse.h"
#include "mcp/sse.h"

struct legacy_sse_post;

struct legacy_sse {
    struct mcp_transport base;
    struct loop *loop;
    struct http *http;
    const struct mcp_transport_events *events;
    void *arg;
    struct mcp_http_fields fields;
    struct slice ca_pem; /* ptr NULL: the system's */
    char *ca_file;
    uint32_t connect_timeout_ms, concurrency;
    size_t message_bytes;
    struct http_target *source;   /* of the event stream; NULL: the options cannot be used */
    struct http_target *endpoint; /* where messages go; NULL: not told yet */
    struct http_exchange *stream;
    int status;      /* of the stream's answer; 0: none yet */
    bool is_refused; /* and `refusal` is its body */
    struct buf refusal;
    struct sse sse;
    struct http_headers *post_headers; /* NULL: to be made anew */
    char version[32];                  /* empty: not negotiated yet */
    struct list posts, gone;
    struct legacy_sse_post *barrier; /* notifications/initialized, until it is taken */
    unsigned responses;              /* under way */
    struct loop_task open_task, closed_task;
    struct err *fault; /* of the options; NULL: none */
    unsigned depth;
    bool awaits_initialized, is_closing, is_freed;
};

/* legacy_sse.c */
void legacy_sse_enter(struct legacy_sse *sse);
void legacy_sse_leave(struct legacy_sse *sse);
/* The wire is gone: ends everything and tells so; `failure` is freed. */
void legacy_sse_lose(struct legacy_sse *sse, struct failure *failure);
struct http_headers *legacy_sse_make_headers(const struct legacy_sse *sse, bool is_post,
                                             struct err *reterr);

/* legacy_sse_post.c */
int legacy_sse_post(struct legacy_sse *sse, const struct mcp_outgoing *message,
                    struct failure *failure);
void legacy_sse_abandon(struct legacy_sse *sse, mcp_token token);
void legacy_sse_drop_posts(struct legacy_sse *sse); /* without a word */
void legacy_sse_destroy_gone(struct legacy_sse *sse);

#endif
