/* SPDX-License-Identifier: MIT */
/*
 * ask.h - what servers ask in the course of a request, and how the client's answers get back.
 *
 * A legacy server sends requests of its own; a modern one answers with what it wants to know, and
 * the request is sent again with that: a round.
 *
 * Owns:    a request owns its asks and its round.
 * Life:    ask_new .. ask_tell .. mcp_answer, or ask_end_all when the request ends.
 */
#ifndef MCP_ASK_H
#define MCP_ASK_H

#include "mcp/room.h"

struct message;
struct message_request;

#define ASKS_MAX 16u /* of one request at once */

enum ask_kind { ASK_ELICIT, ASK_SAMPLE, ASK_ROOTS, ASK_KINDS };

struct mcp_ask {
    struct list_link link; /* in request->asks */
    struct mcp_request *request;
    enum ask_kind kind;
    struct slice params; /* of a round: in its memory */
    struct slice key;    /* of a round, in its memory; else the JSON-RPC id, in `own` */
    char *own;
    uint32_t epoch; /* of the session that asks */
    bool is_of_round;
    bool is_told; /* the client has it */
};

/* ask.c */
bool ask_kind_of(struct slice method, enum ask_kind *ret);
const char *ask_method(enum ask_kind kind);
/* Whether a client with these capabilities takes it. */
bool ask_is_declared(enum ask_kind kind, struct slice params, unsigned capabilities);
struct mcp_ask *ask_new(struct mcp_request *request, enum ask_kind kind, struct slice params);
void ask_free(struct mcp_ask *ask);
/* Hands it to the client, which may do anything in return: the last thing a function does. */
void ask_tell(struct mcp_ask *ask);
/* A request of a legacy server; false: it is none of these. */
bool ask_take(struct mcp_request *request, const struct message *message);
void ask_take_back(struct mcp_request *request, struct slice id);
/* The request is over: a legacy server gets defaults, and if it `tells`, the client an end. */
void ask_end_all(struct mcp_request *request, bool tells);
/* The session is another one now: what the old one asked is not waited for any more. */
void ask_end_lost(struct mcp_request *request);

/* round.c */
/* A result that asks for input. */
void round_begin(struct mcp_request *request, struct slice result);
/* The same of a task; false: there is nothing in it that was not answered yet. */
bool round_begin_for_task(struct mcp_request *request, struct slice input_requests);
/* An error -32042; false: it names nothing that the client could open. */
bool round_begin_for_urls(struct mcp_request *request, struct slice error);
void round_answered(struct mcp_ask *ask, struct slice result); /* frees it */
/* What is sent beside the method's own params. */
void round_add(const struct mcp_request *request, struct message_request *message);
void round_drop(struct mcp_request *request);

#endif
