/* SPDX-License-Identifier: MIT */
/*
 * core.h - what all sessions share: the loop, ids, scratch buffers, who waits for which answer.
 *
 * Shared, so that the memory a call touches is the same and warm however many services there are.
 *
 * Owns:    the buffers. The pending requests in `by_id` belong to those who sent them.
 * Life:    embedded in struct mcp_services; outlives every session and wire.
 */
#ifndef MCP_CORE_H
#define MCP_CORE_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "conf/service_conf.h"
#include "loop/block.h"
#include "loop/loop.h"
#include "mcp/inbox.h"
#include "mcp/transport.h"
#include "value/failure.h"

#include <stddef.h>
#include <stdint.h>

struct mcp_session;

struct mcp_core {
    struct loop *loop;
    size_t message_bytes;
    uint64_t last_id;    /* of requests, over all sessions: none is ever used twice */
    uint64_t last_place; /* where tasks are, likewise: see mcp_outcome */
    struct map by_id;    /* struct pending: sent, and waiting for an answer */
    struct map by_token; /* struct pending: of a task, by the progress token of what made it */
    struct buf in;       /* the message that is being handled, MessagePack */
    struct buf out;      /* the message that is being built, JSON */
    struct buf part;     /* a piece of one of them */
    struct block *block; /* holds the long message that is being handled; else NULL */
    struct list wires;   /* every wire that is not yet closed */
    unsigned wire_count;

    /* Makes the transport of a session; NULL with *failure filled. */
    struct mcp_transport *(*connect)(void *arg, const struct mcp_session *session,
                                     const struct mcp_transport_events *events,
                                     void *events_arg, struct failure *failure);
    void *connect_arg;
    /* All wires are closed: for whoever waits to end. May be NULL. */
    void (*last_wire_closed)(void *arg);
    void *last_wire_arg;
};

void core_init(struct mcp_core *core, struct loop *loop, size_t message_bytes);
void core_done(struct mcp_core *core); /* frees wires that are left */

/* Ends every wire at once. Sessions that have one are stopped before. */
void core_drop_wires(struct mcp_core *core);

/* Gives memory back that a large message took; after each message. */
void core_trim(struct mcp_core *core);

/* The cleared `out`. */
static inline struct buf *core_out(struct mcp_core *core)
{
    buf_clear(&core->out);
    return &core->out;
}

/* ---- wires ------------------------------------------------------------------------------- */

/* A transport and the session it serves: a session can let go of a wire that is slow to close
 * and open another one. */
struct wire {
    struct list_link link; /* in core->wires */
    struct mcp_core *core;
    struct mcp_session *session; /* NULL: let go, closing */
    struct mcp_transport *transport;
    struct inbox inbox;
    /* Told when a wire that was let go is closed; the second argument is `ended_arg`. */
    void (*ended)(void *arg);
    void *ended_arg;
    struct loop_task free_task;
};

/* NULL with *failure filled. Events go to `session`. */
struct wire *wire_new(struct mcp_core *core, struct mcp_session *session,
                      struct failure *failure);
/* Closes it in order and frees it when that is done, then tells `ended`. */
void wire_let_go(struct wire *wire, void (*ended)(void *arg), void *arg);
/* It closed, and all that came before that was handed over. */
void wire_closed(struct wire *wire, const struct failure *failure);
/* It closed by itself: only frees it, behind the running callback. */
void wire_drop(struct wire *wire);

#endif
