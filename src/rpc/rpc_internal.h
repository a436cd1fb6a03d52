/* SPDX-License-Identifier: MIT */
/* rpc_internal.h - the structs that the files of rpc/ share. Included only here. */
#ifndef RPC_RPC_INTERNAL_H
#define RPC_RPC_INTERNAL_H

#include "base/map.h"
#include "loop/block.h"
#include "rpc/rpc.h"

#define RPC_READ_BYTES   65536u
#define RPC_OUT_BYTES    4096u  /* what an output buffer starts with */
#define RPC_SPARE_BYTES  16384u /* one up to this size is kept for the next peer */
#define RPC_SPARES       32u
#define RPC_LONG_FRAME   262144u /* from here on its memory can be kept instead of copied */
#define RPC_WRITE_BYTES  ((size_t)262144) /* of one peer in one turn, likewise */
#define RPC_SOCKET_BYTES 1048576 /* of the system's, for a peer that gets long answers */
#define RPC_IO_TURNS     4u /* reads of one peer in one turn, so that none starves the others */

/* The part of a frame that has come so far; exists only while one is incomplete. */
struct rpc_partial {
    struct buf bytes;
    struct block *block; /* that holds them while a long frame is handled; NULL: `bytes` does */
    struct pack_scan scan;
};

/* What we say to a peer unasked; most peers never have it. */
struct rpc_dialogue {
    struct list questions, subscribers;
    uint32_t count;   /* of open questions */
    uint32_t last_id; /* of questions */
};

/* Long pieces of answers, each of which stands before a byte of the output. */
struct rpc_pieces {
    struct list list;
    size_t bytes;
    unsigned count;
    unsigned begun; /* how many there were when the answer being made began */
};

struct rpc_peer {
    struct loop_io io; /* first: its storage wants alignment */
    struct rpc_server *server;
    struct list_link link;  /* in server->peers */
    struct list_link dirty; /* in server->dirty: has output to write at the turn's end */
    struct list pending;
    struct rpc_partial *partial;   /* NULL: none */
    struct rpc_defaults *defaults; /* NULL: no hello, or it named nothing */
    struct buf out;
    struct rpc_pieces *pieces; /* that stand in `out`; NULL: none */
    size_t out_at;             /* bytes of `out` already written */
    size_t begun;              /* where in `out` the answer being made starts */
    uint64_t begun_id;
    uint32_t begun_msgid;
    uint32_t inflight;
    struct rpc_dialogue *dialogue; /* NULL: none */
    uint64_t id;
    struct rpc_identity identity;
    bool is_crowded; /* what waits is what bounds the answer being made */
    bool is_behind;  /* requests wait in `partial` until enough of `out` is read */
    bool is_closing; /* no more reading; freed at the turn's end, after one try to write */
};

struct rpc_server {
    struct rpc_options options;
    struct map methods;                   /* name -> struct rpc_method */
    const struct rpc_method *last_method; /* most requests name the same as the one before */
    struct slice last_name;
    struct map uids; /* uid -> struct uid_count */
    struct list peers, dirty;
    struct loop_turn_end turn_end;
    struct loop_io listener;
    bool is_listening;
    struct loop_timer accept_pause; /* out of descriptors: rest, then accept again */
    gid_t socket_gid;
    unsigned connections;
    uint64_t id_base;
    uint64_t last_peer;
    uint32_t id_count;
    struct buf spares[RPC_SPARES];
    unsigned spare_count;
    char *read_buffer;
};

/* frame.c: handles one complete frame. False: the connection must be closed. */
bool rpc_frame(struct rpc_peer *peer, struct slice frame);

/* peer.c */
struct rpc_peer *rpc_peer_new(struct rpc_server *server, int fd,
                              const struct rpc_identity *identity);
void rpc_peer_close(struct rpc_peer *peer); /* cancels its calls; frees it now or soon */
void rpc_peer_free(struct rpc_peer *peer);
void rpc_peer_flush(struct rpc_peer *peer);
/* So much waits for the peer to read it that no more is to be added unasked. */
bool rpc_peer_is_full(const struct rpc_peer *peer);

/* output.c */
static inline size_t rpc_waiting(const struct rpc_peer *peer)
{
    return peer->out.len - peer->out_at + (peer->pieces ? peer->pieces->bytes : 0);
}
void rpc_put_block(struct rpc_peer *peer, struct block *block, struct slice bytes);
void rpc_drop_pieces(struct rpc_peer *peer, unsigned kept); /* all behind the first `kept` */
ssize_t rpc_send(struct rpc_peer *peer);                    /* one write; as send(2) */
void rpc_forget_sent(struct rpc_peer *peer);

/* answer.c */
struct buf *rpc_out_begin(struct rpc_peer *peer, uint32_t msgid, uint64_t id);
void rpc_out_end(struct rpc_peer *peer);
void rpc_put_error(struct rpc_peer *peer, uint32_t msgid, uint64_t id,
                   const struct failure *failure);

/* A message that is no answer; rpc_message_end: false when it did not fit and was taken back. */
struct buf *rpc_message_begin(struct rpc_peer *peer);
struct buf *rpc_notice_begin(struct rpc_peer *peer, const char *method);
bool rpc_message_end(struct rpc_peer *peer);
/* Left out when it does not fit: nothing is cancelled inside, whoever calls may be in the middle of
 * ending what it is about. */
void rpc_message_end_or_leave(struct rpc_peer *peer);

/* question.c: a response of the client's, from its msgid on. False: malformed. */
bool rpc_take_response(struct rpc_peer *peer, struct pack *cursor);
void rpc_drop_dialogue(struct rpc_peer *peer); /* the connection closes */

/* server.c: a peer is gone: the counts go down. */
void rpc_server_forget(struct rpc_server *server, const struct rpc_identity *identity);

/* args.c: checks the parameters against the method's table; false: refused and answered. */
bool rpc_take_args(struct rpc_request *request);

#endif
