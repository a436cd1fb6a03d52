/* SPDX-License-Identifier: MIT */
/*
 * message.h - JSON-RPC messages of MCP: built as JSON text, read from MessagePack.
 *
 * Pure: bytes in, bytes out; who waits for what is pending.c's.
 *
 * Life:    the slices of a struct message point into the value it was read from.
 * Errors:  builders append; the caller looks at out->overflow once.
 */
#ifndef MCP_MESSAGE_H
#define MCP_MESSAGE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "value/failure.h"

#include <stdbool.h>
#include <stdint.h>

#define JSONRPC_METHOD_NOT_FOUND (-32601)

enum message_kind {
    MESSAGE_RESULT,
    MESSAGE_ERROR,
    MESSAGE_REQUEST,
    MESSAGE_NOTIFICATION,
    MESSAGE_BATCH, /* `params` is the array */
    MESSAGE_INVALID /* no JSON-RPC; `fault` says why, `number` may still name a request of ours */
};

struct message {
    enum message_kind kind;
    struct slice method;
    struct slice params, result, error; /* MessagePack; ptr NULL: not there */
    struct slice id;                    /* as it came, MessagePack; ptr NULL: none, or null */
    uint64_t number; /* the id if it is one that we could have given, else 0 */
    const char *fault;
};

/* Classifies one value that json_to_pack made. Never fails: what is no message is INVALID. */
void message_read(struct slice value, struct message *ret);

/* Of a text that is no JSON: the id that it seems to answer, or 0. A guess from its beginning,
 * so that a caller learns of a broken answer at once and not at its deadline. */
uint64_t message_guess_answer(struct slice text);

/* ---- building ---------------------------------------------------------------------------- */

void message_put_initialize(struct buf *out, uint64_t id, const char *version);
void message_put_initialized(struct buf *out);
void message_put_cancelled(struct buf *out, uint64_t id, const char *reason);

/* tools/list; `cursor` ptr NULL: the first page. */
void message_put_list(struct buf *out, uint64_t id, struct slice cursor);

struct message_call {
    struct slice tool;
    struct slice arguments; /* MessagePack map, or empty */
    struct slice meta;      /* MessagePack map, or empty */
    bool wants_progress;    /* the id serves as progress token */
};

/* tools/call. Protocol keys of `meta` are left out; `scratch` is used for that. -ERR_VALIDATION_ERROR
 * when arguments or meta hold what JSON cannot. */
int message_put_call(struct buf *out, uint64_t id, const struct message_call *call,
                     struct buf *scratch, struct err *reterr);

/* The answer to a request of the server: an empty result, or an error. `id` is MessagePack. */
void message_put_empty_result(struct buf *out, struct slice id);
void message_put_refusal(struct buf *out, struct slice id, int code, const char *text);

/* ---- results ----------------------------------------------------------------------------- */

/* Appends `params` as a map without its progressToken. */
void message_put_progress_params(struct slice params, struct buf *out);

/* An `error` member as a failure: EXTERNAL_TOOL_EXECUTION_FAILED with details.jsonrpc. */
void message_error_to_failure(struct slice error, struct failure *failure);

#endif
