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
#include "mcp/revision.h"
#include "value/failure.h"

#include <stdbool.h>
#include <stdint.h>

#define JSONRPC_METHOD_NOT_FOUND (-32601)
#define JSONRPC_INVALID_PARAMS   (-32602)

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

void message_put_number(struct buf *out, uint64_t number); /* in decimal digits */

/* `capabilities`: of enum mcp_capability; those that `revision` does not know are left out. */
void message_put_initialize(struct buf *out, uint64_t id, const struct revision *revision,
                            unsigned capabilities);
void message_put_initialized(struct buf *out);
void message_put_cancelled(struct buf *out, uint64_t id, const char *reason);

/* What a request carries in params._meta. */
struct message_envelope {
    const struct revision
        *revision;         /* a modern one describes itself and the client; NULL: legacy */
    unsigned capabilities; /* enum mcp_capability, declared to a modern server */
    bool takes_tasks;      /* and that a task may be the answer */
    const char *log_level; /* modern: log messages from this level on; NULL: none */
    bool wants_progress;   /* the id serves as progress token */
    struct slice
        meta; /* MessagePack map of the caller's, or empty; protocol keys are left out */
};

/* Members with ptr NULL are left out. Values are MessagePack. */
struct message_request {
    const char *method;
    const char *name_key; /* "name", "uri", "taskId"; NULL: no name */
    struct slice name;    /* text */
    bool has_arguments;   /* `arguments` is written, {} when empty */
    struct slice arguments;
    struct slice members; /* a map whose members stand in params as they are */
    struct slice cursor;  /* text */
    struct slice input_responses, request_state; /* value, text */
    int64_t task_ttl_ms;                         /* the member `task` of 2025-11-25; 0: none */
    struct message_envelope envelope;
};

/* Appends one request. `scratch` is used for _meta. -ERR_VALIDATION_ERROR when a value holds what
 * JSON cannot, with its place ("arguments.x"). */
void message_put_capabilities(struct buf *out, unsigned capabilities, bool takes_tasks);
int message_put_request(struct buf *out, uint64_t id, const struct message_request *request,
                        struct buf *scratch, struct err *reterr);

/* The answer to a request of the server: an empty result, or an error. `id` is MessagePack. */
void message_put_empty_result(struct buf *out, struct slice id);
/* -ERR_VALIDATION_ERROR: `result`, MessagePack, holds what JSON cannot; `out` is of no use then. */
int message_put_result(struct buf *out, struct slice id, struct slice result);
void message_put_refusal(struct buf *out, struct slice id, int code, const char *text);

/* ---- results ----------------------------------------------------------------------------- */

/* Appends `params` as a map without its progressToken. */
void message_put_progress_params(struct slice params, struct buf *out);

/* An `error` member as a failure: EXTERNAL_TOOL_EXECUTION_FAILED with details.jsonrpc. */
void message_error_to_failure(struct slice error, struct failure *failure);

#endif
