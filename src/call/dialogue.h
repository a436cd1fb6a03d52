/* SPDX-License-Identifier: MIT */
/*
 * dialogue.h - what passes between a server and the client of one call while it runs: progress and
 * log notes to the client, and questions of the server (elicitation, sampling, roots).
 *
 * Owns:    the open questions. Embedded in a call.
 * Life:    dialogue_init .. notes and questions .. dialogue_end, before the call is answered.
 *          Telling a client that does not read may drop it: the call's pending is cancelled then,
 *          inside the function that told, and the dialogue may be gone when it returns.
 * Thread:  the loop thread.
 */
#ifndef CALL_DIALOGUE_H
#define CALL_DIALOGUE_H

#include "mcp/service.h"
#include "rpc/rpc.h"

struct dialogue {
    struct rpc_pending *pending;
    struct slice service, tool; /* named in the questions; what embeds this keeps them */
    struct list open;
};

/* Nothing is allocated. */
void dialogue_init(struct dialogue *dialogue, struct rpc_pending *pending);

/* A note of the server, with the call's msgid in front. */
void dialogue_note(struct dialogue *dialogue, const char *method, struct slice params);

/* As mcp_call_events has them. */
void dialogue_asked(struct dialogue *dialogue, struct mcp_ask *ask, const char *method,
                    struct slice params);
void dialogue_ask_ended(struct dialogue *dialogue, const struct mcp_ask *ask);

/* The client has left, and the call goes on: its open questions get the default answer. */
void dialogue_abandon(struct dialogue *dialogue);

/* Takes back what is still open. */
void dialogue_end(struct dialogue *dialogue);

#endif
