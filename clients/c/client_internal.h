/* SPDX-License-Identifier: MIT */
/* client_internal.h - the client's body, for the files of this folder only. */
#ifndef CLIENT_INTERNAL_H
#define CLIENT_INTERNAL_H

#include "toolbroker/client.h"

#include "channel.h"
#include "question.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/slice.h"
#include "value/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is added to the eventfd: either can be told from a sum of both. */
#define WAKE_ANSWER UINT64_C(1)
#define WAKE_CANCEL (UINT64_C(1) << 32)

struct tb_client {
    struct channel channel;
    int wake; /* eventfd that tb_cancel and tb_answer write to: WAKE_* */
    char *socket;
    struct buf hello_params; /* MessagePack map, the same on every connection */
    struct buf hello;        /* the daemon's answer to it */
    int connect_ms, reconnect_ms;
    size_t send_max; /* the daemon's limit for one frame; 0 until it said so */
    tb_notify_fn *notify;
    void *notify_arg;
    struct questions questions;
    uint32_t next_msgid;
    bool was_connected;
    bool is_greeting; /* `hello` is under way: the caller's own request was not sent yet */
    bool is_busy;     /* a function waits; the callback may not start another */

    struct buf out;    /* the frame being sent */
    struct buf params; /* of tb_call_json */
    struct buf json;   /* its result */
    struct buf map;    /* the last error as the wire has it */
    struct buf texts;  /* its texts, each terminated */
    struct tb_error error;
};

/* One request on the open connection; the answer's bytes are those of tb_call. */
enum tb_status exchange(struct tb_client *client, const char *method, struct slice params,
                        mono_us deadline, struct tb_bytes *ret, bool *ret_unsent);

/* A frame that has no answer. */
enum tb_status exchange_notify(struct tb_client *client, const char *method,
                               struct slice params, mono_us deadline);

/* Hands over notifications until something else happens. */
enum tb_status exchange_listen(struct tb_client *client, mono_us deadline);

/* Sets the client's last error and returns `status`. */
enum tb_status fail_remote(struct tb_client *client, struct slice map);
enum tb_status fail_local(struct tb_client *client, enum tb_status status, enum err_code code,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));
/* No answer in time: the call may still have been carried out, so a repeat could do it twice. */
enum tb_status fail_unanswered(struct tb_client *client);
/* The last failure, of a call with an idempotency_key whose answer was lost or late: a repeat with
 * that key does it once. */
enum tb_status fail_repeatable(struct tb_client *client, enum tb_status status);
enum tb_status fail_unreachable(struct tb_client *client, const struct err *err);

#endif
