/* SPDX-License-Identifier: MIT */
/*
 * pending.h - one request to a server, from the wish to send it until its answer.
 *
 * Owns:    its body. Embedded in what asks (a call, the handshake, a listing).
 * Life:    pending_init .. in a session's list, or sent .. exactly one of answered/failed, or
 *          session_forget .. pending_done.
 */
#ifndef MCP_PENDING_H
#define MCP_PENDING_H

#include "base/buf.h"
#include "base/list.h"
#include "loop/loop.h"
#include "mcp/message.h"
#include "mcp/transport.h"

#include <stdbool.h>
#include <stdint.h>

struct mcp_session;
struct pending;

/* Any of them may be NULL where it cannot happen. The pending is in no list when `ready`,
 * `listed`, `answered` or `failed` runs, and may be freed there. */
struct pending_ops {
    void (*ready)(struct pending *pending);  /* the session waited for stands */
    void (*listed)(struct pending *pending); /* its catalogue is fresh */
    /* The answer: a result or an error, in bytes valid during the call. */
    void (*answered)(struct pending *pending, const struct message *message);
    /* `sent`: it may have reached the server. */
    void (*failed)(struct pending *pending, const struct failure *failure, bool sent);
    void (*progress)(struct pending *pending, struct slice params);
    void (*log)(struct pending *pending, struct slice params);
    /* A request of a legacy server in the course of this one. False: it is refused. */
    bool (*asked)(struct pending *pending, const struct message *request);
    /* The server takes back what it asked; `id` as it came. Told to every request of the session
     * that can be asked: each knows its own ids. No request is to be ended or forgotten inside. */
    void (*ask_cancelled)(struct pending *pending, struct slice id);
    /* Modern: a notification of the subscription that this request is (the id in its _meta is
     * this one's), or `notifications/cancelled` for it. Not to be ended or forgotten inside. */
    void (*notice)(struct pending *pending, struct slice method, struct slice params);
};

struct pending {
    const struct pending_ops *ops;
    struct mcp_session *session; /* NULL: none chosen yet */
    struct list_link link;       /* in one of the session's lists, or a list of its owner */
    uint64_t id;                 /* 0: never sent */
    uint32_t epoch;              /* of the session, when it was sent */
    bool is_sent;                /* in core->by_id: an answer is expected */
    bool is_call;                /* a log message may be meant for it */
    bool wants_progress;
    bool was_resent;    /* once after a session that was gone; not again */
    const char *fault;  /* what came on its exchange instead of an answer, static text */
    const char *method; /* as it was sent last */
    const struct revision *revision; /* likewise: another one wants the request built anew */
    struct buf body;                 /* what was sent, where the wire may lose its session */
    struct buf refusal; /* an error of the server, until the status of its exchange is known */
};

void pending_init(struct pending *pending, const struct pending_ops *ops, size_t body_max);
void pending_done(struct pending *pending);

#endif
