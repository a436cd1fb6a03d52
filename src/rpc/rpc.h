/* SPDX-License-Identifier: MIT */
/*
 * rpc.h - MessagePack-RPC towards clients: connections, frames, requests and their answers.
 *
 * Bytes come in through one shared buffer, frames are measured before anything is made of them,
 * the method table checks the parameters, and a handler answers at once or keeps a pending.
 *
 * Owns:    the listening socket and every connection.
 * Life:    a handler runs inside the reading of its frame: slices of the request are valid until
 *          it returns. It answers exactly once: rpc_result/rpc_fail now, or rpc_keep and later
 *          rpc_pending_result/rpc_pending_fail. When the client goes away or sends `cancel`, the
 *          pending's `cancelled` runs; with a client that is gone, answering is a no-op.
 * Thread:  the loop thread.
 */
#ifndef RPC_RPC_H
#define RPC_RPC_H

#include "base/buf.h"
#include "base/list.h"
#include "base/slice.h"
#include "loop/loop.h"
#include "observe/metrics.h"
#include "value/failure.h"
#include "value/pack.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct block;
struct rpc_server;
struct rpc_peer;

#define RPC_PARAMS_MAX 14
#define RPC_ID_TEXT    17

struct rpc_limits {
    struct pack_limits frame;
    size_t reply_bytes, peer_buffer_bytes;
    uint32_t connections, connections_per_uid, inflight;
};

enum rpc_param_type { RPC_TEXT, RPC_INT, RPC_BOOL, RPC_MAP, RPC_ANY };

struct rpc_param {
    struct slice name;
    enum rpc_param_type type;
    bool required;
    const char *choices; /* TEXT: "a|b|c", or NULL for any */
    const char *text;    /* for `describe` */
};

struct rpc_value {
    bool given;
    struct slice text; /* TEXT: the text; MAP, ANY: the encoded value */
    int64_t number;    /* INT, BOOL */
};

/* One request while its handler runs. */
struct rpc_request {
    struct rpc_peer *peer;
    uint64_t id;     /* our own, for logs and answers: rpc_id_text */
    uint32_t msgid;  /* the client's */
    mono_us started; /* when its frame was read */
    const struct rpc_method *method;
    struct slice params;                   /* the parameter map as it came, or an empty slice */
    struct rpc_value args[RPC_PARAMS_MAX]; /* in the order of the method's params */
};

/* Who may call a method: everybody who can connect, where the handler asks policy itself or tells
 * nothing; peers that are trusted; administrators. */
enum rpc_role { RPC_ANYBODY, RPC_CLIENT, RPC_ADMIN };

struct rpc_method {
    const char *name, *summary;
    const struct rpc_param *params;
    unsigned param_count;
    enum rpc_role role; /* who may call it */
    void (*handle)(void *arg, struct rpc_request *request);
    const char *result; /* JSON Schema of the result, as JSON */
};

/* A request that is answered later: embedded in what works on it. */
struct rpc_pending {
    struct list_link link;
    struct rpc_peer *peer; /* NULL: the client is gone */
    uint64_t id;
    uint32_t msgid;
    /* The client went away, or cancelled: stop the work. By `cancel` an answer is still wanted. */
    void (*cancelled)(struct rpc_pending *pending);
};

struct rpc_identity { /* who is at the other end */
    uid_t uid;
    gid_t gid;
    pid_t pid;
    bool is_trusted; /* our own uid, root, or in the socket's group */
    bool is_admin;   /* our own uid, or root */
};

struct rpc_options {
    struct loop *loop;
    const struct rpc_limits *limits; /* read at each use: a reload changes them */
    const struct rpc_method *methods;
    unsigned method_count;
    /* A connection has closed, its requests were cancelled. May be NULL. */
    void (*peer_gone)(void *arg, uint64_t peer_id);
    void *arg; /* of the handlers */
    struct metrics *metrics;
};

struct rpc_server *rpc_server_new(const struct rpc_options *options);
void rpc_server_free(struct rpc_server *server); /* closes every connection */

/* Accepts on `fd` (a listening Unix socket; owned from here on). */
void rpc_server_listen(struct rpc_server *server, int fd);
void rpc_server_stop_listening(struct rpc_server *server);
unsigned rpc_server_connections(const struct rpc_server *server);

/* Writes what is waiting, as far as sockets take it: before the end. True: not all of it. */
bool rpc_server_flush(struct rpc_server *server);

/* What holds the frame of a long request, while its handler runs: whoever wants its bytes for longer
 * takes a reference instead of a copy. NULL: copy them. */
struct block *rpc_request_block(const struct rpc_request *request);

/* ---- answering ---------------------------------------------------------------------------- */

/* Begins a result: append exactly one MessagePack value to the buffer, then rpc_result_end. */
struct buf *rpc_result(struct rpc_request *request);
void rpc_result_end(struct rpc_request *request);
void rpc_fail(struct rpc_request *request, const struct failure *failure);

/* Keeps the request: `pending` is filled and stays its owner's until it is answered. */
void rpc_keep(struct rpc_request *request, struct rpc_pending *pending,
              void (*cancelled)(struct rpc_pending *pending));
/* NULL when the client is gone; then there is nothing to do but rpc_pending_drop. */
struct buf *rpc_pending_result(struct rpc_pending *pending);
/* Appends to the result that was begun, without copying: a reference to the block is kept until all
 * is written. */
void rpc_pending_put(struct rpc_pending *pending, struct block *block, struct slice bytes);
void rpc_pending_end(struct rpc_pending *pending);
void rpc_pending_fail(struct rpc_pending *pending, const struct failure *failure);
void rpc_pending_drop(struct rpc_pending *pending);

/* A notification about a pending request; begin, append the parameter map, end. NULL: gone. */
struct buf *rpc_notify(struct rpc_pending *pending, const char *method);
void rpc_notify_end(struct rpc_pending *pending);

/* ---- asking the client --------------------------------------------------------------------- */

#define RPC_QUESTIONS_MAX 64 /* open ones at one peer */

/* A request to the client in the course of one of its own: embedded in what asks. */
struct rpc_question {
    struct list_link link;
    struct rpc_peer *peer; /* NULL: not open */
    uint32_t msgid;        /* ours, unique among the open ones of the peer */
    /* The answer: one of both is there, MessagePack, valid during the call (`error` is whatever the
     * client sent). The question is closed. When the client goes away nothing runs:
     * the pending's `cancelled` does. */
    void (*answered)(struct rpc_question *question, struct slice error, struct slice result);
};

/* Begins a request; append the parameter map, end. NULL: the client is gone, or has
 * RPC_QUESTIONS_MAX open. */
struct buf *rpc_ask(struct rpc_pending *pending, struct rpc_question *question,
                    const char *method,
                    void (*answered)(struct rpc_question *question, struct slice error,
                                     struct slice result));
/* RPC_TOO_LONG: it was not sent, and the question is closed. RPC_GONE: the client did not read and
 * was dropped, its pendings were cancelled, and what embeds the question may be freed. */
enum rpc_asked { RPC_ASKED, RPC_TOO_LONG, RPC_GONE };
enum rpc_asked rpc_ask_end(struct rpc_question *question);

/* Takes it back: the client gets the notification `cancel` {msgid}, if it has room for it; it is
 * never dropped inside. Not open: nothing. */
void rpc_question_drop(struct rpc_question *question);

/* ---- news ----------------------------------------------------------------------------------- */

/* Who gets notifications that belong to no request, while its connection stands. */
struct rpc_subscriber {
    struct list_link link;
    struct rpc_peer *peer;                           /* NULL: none */
    void (*gone)(struct rpc_subscriber *subscriber); /* the connection closes */
};
void rpc_subscribe(struct rpc_peer *peer, struct rpc_subscriber *subscriber,
                   void (*gone)(struct rpc_subscriber *subscriber));
void rpc_unsubscribe(struct rpc_subscriber *subscriber); /* not subscribed: nothing */
/* Begin, append the parameter map, end. NULL: the peer does not read what it has already. What is
 * too long is left out; the peer is never dropped inside. */
struct buf *rpc_push(struct rpc_subscriber *subscriber, const char *method);
void rpc_push_end(struct rpc_subscriber *subscriber);

/* ---- the peer ----------------------------------------------------------------------------- */

const struct rpc_identity *rpc_identity(const struct rpc_peer *peer);
uint64_t rpc_peer_id(const struct rpc_peer *peer); /* never 0, never used again */

/* What `hello` said, as defaults of later calls; empty slices when it said nothing. */
struct rpc_defaults {
    struct slice agent, user, locale, client;
    unsigned capabilities; /* what it can be asked: bits that the rooms above give a meaning */
};
struct rpc_defaults rpc_defaults(const struct rpc_peer *peer);
void rpc_set_defaults(struct rpc_peer *peer, const struct rpc_defaults *defaults); /* copied */

/* 16 hexadecimal digits. */
void rpc_id_text(uint64_t id, char text[RPC_ID_TEXT]);

#endif
