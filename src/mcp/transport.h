/* SPDX-License-Identifier: MIT */
/*
 * transport.h - how a session's messages reach one server: over pipes, or over HTTP.
 *
 * A transport moves complete JSON texts and knows JSON-RPC only where its wire demands it (the
 * version and session headers of HTTP). Ids, pending requests and the handshake are the session's.
 *
 * Owns:    itself; the session that made it calls close, then free. free without close drops
 *          everything at once.
 * Life:    open .. opened .. any number of send/message .. closed (at most once, also when open
 *          fails) .. free. No event runs inside open, send, abandon, close or free: events
 *          come from the loop. free may be called from inside an event, which must then return
 *          at once.
 * Errors:  handed as struct failure: code, message, suggestion, details (stderr_tail, http_status).
 */
#ifndef MCP_TRANSPORT_H
#define MCP_TRANSPORT_H

#include "base/buf.h"
#include "base/slice.h"
#include "loop/loop.h"
#include "mcp/revision.h"
#include "resilience/rate_fields.h"
#include "value/failure.h"

#include <stdbool.h>
#include <stdint.h>

struct mcp_transport {
    const struct mcp_transport_ops *ops;
};

/* Names one send; chosen by the session, unique among those that are open; 0: nothing to name
 * (notifications and responses, and messages that came on no exchange of ours). */
typedef uint64_t mcp_token;

struct mcp_transport_events {
    /* The wire stands: the first send may follow. */
    void (*opened)(void *arg);
    /* One complete JSON text, valid during the call. `token`: the exchange it came on (HTTP), 0
     * where the wire has no exchanges (stdio, the standalone stream of HTTP). */
    void (*message)(void *arg, struct slice json, mcp_token token);
    /* HTTP: the exchange of `token` ended: nothing more will come on it. `failure` NULL when
     * it ended in order (after its messages); else why: TIMEOUT, UNAVAILABLE, AUTH_FAILED,
     * EXTERNAL_TOOL_EXECUTION_FAILED (broke HTTP or SSE, too large) ... `is_session_gone`: 404 for
     * a request that carried a session id. HTTP+SSE, though it has no exchanges: the request of
     * `token` could not be handed over (`failure` never NULL). */
    void (*exchange_ended)(void *arg, mcp_token token, const struct failure *failure,
                           bool is_session_gone);
    /* The wire is gone: process ended, pipe broke, or close is complete (failure NULL). */
    void (*closed)(void *arg, const struct failure *failure);
    /* A `message` of MCP_LONG_MESSAGE and more, in a buffer that may be taken over: whoever
     * does leaves an empty one behind. NULL in the table: `message` is told. */
    void (*long_message)(void *arg, struct buf *buf, struct slice json, mcp_token token);
    /* HTTP: an answer, of whatever status, said something of the server's limits. `is_refused`: it
     * was 429, or 503 with Retry-After, and `fields` may say nothing. NULL in the table: nobody
     * wants to know. */
    void (*limits)(void *arg, const struct rate_fields *fields, bool is_refused);
};

/* From here on a message takes so long to read that others should not wait for it. */
#define MCP_LONG_MESSAGE ((size_t)256 * 1024)

/* Tells a message that lies in `*buf`, or in memory that cannot be taken over (NULL). */
static inline void mcp_tell_message(const struct mcp_transport_events *events, void *arg,
                                    struct buf *buf, struct slice json, mcp_token token)
{
    if (buf && json.len >= MCP_LONG_MESSAGE && events->long_message) {
        events->long_message(arg, buf, json, token);
    } else {
        events->message(arg, json, token);
    }
}

/* What a message is, for wires that must know. */
enum mcp_message_kind { MCP_REQUEST, MCP_NOTIFICATION, MCP_RESPONSE };

/* A header field that a modern revision wants beside the body (Mcp-Param-NAME): plain text, which
 * the transport encodes. */
struct mcp_param_header {
    struct slice name; /* what stands behind "Mcp-Param-" */
    struct slice value;
};

/* One message on its way out. */
struct mcp_outgoing {
    enum mcp_message_kind kind;
    struct slice json; /* one JSON text without a newline */
    struct buf
        *own; /* that holds it, if it is long and its memory may be taken over; or NULL */
    mcp_token token;
    mono_us deadline; /* bounds the exchange of a request; MONO_NEVER: none */
    /* What a modern revision wants in headers; other wires and revisions ignore it. */
    const char *method; /* "tools/call"; never NULL for a request */
    struct slice name;  /* tool, prompt, uri or task that it is about; ptr NULL: none */
    const struct mcp_param_header *params;
    unsigned param_count;
    bool is_stream; /* subscriptions/listen: lasts, and is not counted among the requests */
};

struct mcp_transport_ops {
    /* Answers come on an exchange of their request's own (Streamable HTTP): messages and ends have
     * tokens. False: one wire for all (stdio, HTTP+SSE). */
    bool has_exchanges;
    void (*open)(struct mcp_transport *transport);
    /* Queues one message, copied or sent before return. Refused (ERR_OVERLOADED: the server does
     * not read; ERR_UNAVAILABLE: closed; ERR_VALIDATION_ERROR: cannot stand in a header) with
     * *failure filled. */
    int (*send)(struct mcp_transport *transport, const struct mcp_outgoing *message,
                struct failure *failure);
    /* Nobody waits for `token` any more: HTTP ends the exchange, which a modern server takes as
     * cancellation; others do nothing. */
    void (*abandon)(struct mcp_transport *transport, mcp_token token);
    /* The revision for headers: a modern one before `server/discover`, NULL before `initialize`
     * (which also drops the session id), the agreed one after it. NULL in the table where the wire
     * has no headers. The session id is kept by the transport itself: it is taken from the
     * answer to the first request after set_revision(NULL). */
    void (*set_revision)(struct mcp_transport *transport, const struct revision *revision);
    /* Legacy Streamable HTTP: open the standalone GET stream for server messages; a 405 is silence.
     * `is_first`: requests wait until it stands or is refused, a quarter of a second at most, because
     * the server may ask there in the course of one. NULL in the table where there is none. */
    void (*listen)(struct mcp_transport *transport, bool is_first);
    /* In order: stdio closes stdin, then TERM, then KILL; HTTP sends DELETE for the session.
     * `closed` follows. */
    void (*close)(struct mcp_transport *transport);
    void (*free)(struct mcp_transport *transport);
    /* Reads nothing more until it is told to go on: what came waits for a message that is long to
     * read. NULL in the table: it cannot. */
    void (*hold)(struct mcp_transport *transport, bool is_held);
    /* Adds what is known of a server that does not answer: what it said beside the protocol. NULL in
     * the table: nothing. */
    void (*explain)(const struct mcp_transport *transport, struct failure *failure);
    /* For the operator: pid of a child, 0 for HTTP. */
    int64_t (*pid)(const struct mcp_transport *transport);
};

#endif
