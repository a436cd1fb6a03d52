/* SPDX-License-Identifier: MIT */
/*
 * handshake.h - how a session begins: which era the server is of, and the agreement with it.
 *
 * `server/discover` is asked first, unless the era is known or configured. What says that the
 * server is a legacy one leads to `initialize`; the tables are in discover.c and initialize.c.
 * One question is under way at a time. Only for the files of the session.
 *
 * Life:    handshake_init .. (handshake_begin .. handshake_wire_stands .. ready, session_fail or
 *          handshake_stop) any number of times .. handshake_done.
 */
#ifndef MCP_HANDSHAKE_H
#define MCP_HANDSHAKE_H

#include "base/buf.h"
#include "base/slice.h"
#include "loop/loop.h"
#include "mcp/pending.h"
#include "mcp/revision.h"
#include "value/failure.h"

#include <stdbool.h>
#include <stdint.h>

struct mcp_session;

enum handshake_step { ASKS_NOTHING, ASKS_DISCOVER, ASKS_INITIALIZE };

struct handshake {
    struct pending asked; /* the question */
    enum handshake_step step;
    const struct revision *revision; /* that it asks for */
    struct loop_timer patience; /* how long it is waited for before something else is tried */
    mono_us began;
    /* Of this beginning: */
    bool skips_discover;
    bool was_discover_sent;   /* on this wire */
    bool was_discover_silent; /* it was not answered in time */
    bool was_discover_answered;
    bool has_chosen;   /* a version that the server had offered was asked for */
    bool has_reopened; /* another wire was made */
    struct failure
        refusal;         /* of `initialize`, while `server/discover` is asked because of it */
    struct buf attempts; /* what was tried in vain, for the words of a failure */
};

void handshake_init(struct mcp_session *session);
void handshake_done(struct mcp_session *session);

/* A new beginning, on whichever wire. */
void handshake_begin(struct mcp_session *session);
/* The wire stands: asks the first question. */
void handshake_wire_stands(struct mcp_session *session);
/* Nothing is asked any more. */
void handshake_stop(struct mcp_session *session);
/* The wire was lost: true if another one is being made. */
bool handshake_takes_loss(struct mcp_session *session, const struct failure *failure);
/* The session did not come to stand: adds to `failure` what was tried before. */
void handshake_failed(struct mcp_session *session, struct failure *failure);

/* ---- between its files -------------------------------------------------------------------- */

/* handshake.c */

/* Sends what stands in core->out. */
void handshake_ask(struct mcp_session *session, enum handshake_step step,
                   const struct revision *revision, uint64_t id);
/* `server/discover` was answered as by a legacy server: goes on with `initialize`, if it may. */
void handshake_fall_back(struct mcp_session *session, const struct failure *why);
/* `initialize` was refused: true if `server/discover` is asked because of that. */
bool handshake_may_be_modern(struct mcp_session *session, const struct failure *why,
                             bool says_modern);
/* Neither way of Streamable HTTP worked: true if HTTP+SSE is tried. */
bool handshake_tries_sse(struct mcp_session *session, const struct failure *why);
/* Both sides agree. */
void handshake_agreed(struct mcp_session *session, const struct revision *revision);
/* "the server speaks MCP `theirs`, ...": ends the session. */
void handshake_refuse_versions(struct mcp_session *session, struct slice theirs);

/* discover.c */
void discover_send(struct mcp_session *session, const struct revision *revision);
void discover_answered(struct mcp_session *session, const struct message *message);
void discover_failed(struct mcp_session *session, const struct failure *failure);

/* initialize.c */
void initialize_send(struct mcp_session *session, const struct revision *revision);
void initialize_answered(struct mcp_session *session, const struct message *message);
void initialize_failed(struct mcp_session *session, const struct failure *failure);

/* offers.c: what a server says of itself */
void offers_take(struct mcp_session *session, struct slice result);

#endif
