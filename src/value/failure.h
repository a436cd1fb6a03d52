/* SPDX-License-Identifier: MIT */
/*
 * failure.h - a failed call with everything its caller is told: the error map of the socket.
 *
 * Owns:    its texts and details; failure_done frees them. A zeroed struct is "no failure".
 * Life:    rooms below fill one, call/ adds what policy says (user_message) and writes it out.
 */
#ifndef VALUE_FAILURE_H
#define VALUE_FAILURE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define FAILURE_TEXT_BYTES    2048u  /* message, suggestion, user_message: each is cut there */
#define FAILURE_DETAILS_BYTES 65536u /* details are left out beyond it */

/* Whose doing it is: what it says of a service, and how it is counted (design section 7). */
enum failure_class {
    FAILURE_OF_CALLER, /* arguments, names, permissions, its own cancel: no fault of the service */
    FAILURE_OF_BROKER, /* a limit of ours, memory, the end of the daemon */
    FAILURE_NETWORK,   /* no connection, or it was lost; no answer in time */
    FAILURE_PROCESS,   /* a child that could not start, or ended */
    FAILURE_PROTOCOL,  /* an answer that breaks HTTP, JSON-RPC or MCP */
    FAILURE_SERVER,    /* 5xx */
    FAILURE_RATE_LIMIT,
    FAILURE_AUTHENTICATION, /* 401 */
    FAILURE_ANSWER,         /* an error that the server gave in order: JSON-RPC, 4xx */
    FAILURE_CLASSES
};
const char *failure_class_name(enum failure_class class); /* "caller", "network", ... */

struct failure {
    enum err_code code;
    enum failure_class class; /* set from the code; a room that knows better changes it */
    bool is_nothing_done;     /* the answer itself says so: 401, 429, 503 with Retry-After */
    bool is_retryable;        /* set from the code; a room that knows better changes it */
    int64_t retry_after_ms;   /* -1: not known */
    struct buf message, suggestion, user_message;
    struct buf details; /* key/value pairs, MessagePack, without the map header */
    uint32_t details_count;
};

/* Clears, then sets code and message; suggestion and retryable come from the table. */
void failure_set(struct failure *failure, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void failure_from_err(struct failure *failure, const struct err *err);
void failure_suggest(struct failure *failure, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void failure_tell_user(struct failure *failure, struct slice text);

/* Details; a key that is there already is not looked for: set each once. */
void failure_detail_str(struct failure *failure, const char *key, struct slice value);
void failure_detail_text(struct failure *failure, const char *key, const char *value);
void failure_detail_int(struct failure *failure, const char *key, int64_t value);
void failure_detail_pack(struct failure *failure, const char *key, struct slice value);

void failure_copy(struct failure *to, const struct failure *from); /* clears `to` first */
void failure_clear(struct failure *failure);
void failure_done(struct failure *failure);

/* Appends the map of design section 3.1: exactly its keys. An empty user_message is written as
 * the message. Text that is not UTF-8 is mended. */
void failure_put(const struct failure *failure, struct slice request_id, struct buf *out);

#endif
