/* SPDX-License-Identifier: MIT */
/* answer.c - responses and notifications, written into the output of their connection. */
#include "base/log.h"
#include "rpc/rpc_internal.h"

static void mark_dirty(struct rpc_peer *peer)
{
    if (!list_has(&peer->dirty)) {
        list_append(&peer->server->dirty, &peer->dirty);
    }
}

/* A peer that reads gets everything up to this length; a longer message is an error of its call. */
static size_t longest(const struct rpc_limits *limits)
{
    size_t half = limits->peer_buffer_bytes / 2;
    return limits->reply_bytes < half ? limits->reply_bytes : half;
}

/* Where the next message starts. Its own ceiling keeps one message within `most` bytes and all
 * that wait within limits.peer_buffer_bytes. */
static struct buf *begin(struct rpc_peer *peer, size_t most)
{
    struct rpc_server *server = peer->server;
    const struct rpc_limits *limits = server->options.limits;
    struct buf *out = &peer->out;
    if (!out->data && server->spare_count) {
        *out = server->spares[--server->spare_count];
        buf_clear(out);
    }
    out->max = limits->peer_buffer_bytes;
    if (!out->data && !buf_reserve(out, RPC_OUT_BYTES)) {
        out->overflow = false; /* no memory: the message's own parts will find out */
    }
    size_t ceiling = peer->out_at + limits->peer_buffer_bytes;
    if (peer->pieces) {
        ceiling -= peer->pieces->bytes < ceiling ? peer->pieces->bytes : ceiling;
        peer->pieces->begun = peer->pieces->count;
    }
    peer->is_crowded = true;
    if (out->len < ceiling && most < ceiling - out->len) {
        ceiling = out->len + most;
        peer->is_crowded = false;
    }
    out->max = ceiling;
    peer->begun = out->len;
    return out;
}

/* False when the message did not fit: it is taken back. */
static bool end_or_leave(struct rpc_peer *peer)
{
    struct buf *out = &peer->out;
    bool fits =
        !out->overflow && out->len <= out->max; /* there may be room beyond the ceiling */
    if (!fits) {
        out->overflow = false;
        out->len = peer->begun;
        if (peer->pieces) {
            rpc_drop_pieces(peer, peer->pieces->begun);
        }
    }
    out->max = peer->server->options.limits->peer_buffer_bytes;
    mark_dirty(peer);
    return fits;
}

/* Likewise, and the peer is dropped if it was its not reading that filled the buffer. */
static bool end(struct rpc_peer *peer)
{
    bool fits = end_or_leave(peer);
    size_t waiting = rpc_waiting(peer);
    if (!fits && waiting > peer->server->options.limits->peer_buffer_bytes / 2 &&
        !peer->is_closing && peer->is_crowded) {
        metrics_add(peer->server->options.metrics, METRIC_PEERS_DROPPED, 1);
        log_at(LOG_WARN, "rpc", "client does not read its answers, connection closed",
               LOG_INT("pid", peer->identity.pid), LOG_INT("waiting_bytes", waiting),
               LOG_TEXT("limit", "limits.peer_buffer_bytes"));
        rpc_peer_close(peer);
    }
    return fits;
}

static void put_error(struct rpc_peer *peer, uint32_t msgid, uint64_t id,
                      const struct failure *failure)
{
    char text[RPC_ID_TEXT];
    rpc_id_text(id, text);
    pack_put_array(&peer->out, 4);
    pack_put_uint(&peer->out, 1);
    pack_put_uint(&peer->out, msgid);
    failure_put(failure, (struct slice){text, RPC_ID_TEXT - 1}, &peer->out);
    pack_put_nil(&peer->out);
}

void rpc_put_error(struct rpc_peer *peer, uint32_t msgid, uint64_t id,
                   const struct failure *failure)
{
    metrics_add(peer->server->options.metrics, METRIC_REQUESTS_FAILED, 1);
    size_t most = peer->server->options.limits->peer_buffer_bytes;
    (void)begin(peer, most);
    put_error(peer, msgid, id, failure);
    if (!end(peer) && !peer->is_closing) { /* a small buffer: what happened matters most */
        struct failure brief = *failure;
        brief.details_count = 0;
        (void)begin(peer, most);
        put_error(peer, msgid, id, &brief);
        (void)end(peer);
    }
}

struct buf *rpc_out_begin(struct rpc_peer *peer, uint32_t msgid, uint64_t id)
{
    struct buf *out = begin(peer, longest(peer->server->options.limits));
    peer->begun_id = id;
    peer->begun_msgid = msgid;
    pack_put_array(out, 4);
    pack_put_uint(out, 1);
    pack_put_uint(out, msgid);
    pack_put_nil(out);
    return out;
}

void rpc_out_end(struct rpc_peer *peer)
{
    if (end(peer) || peer->is_closing) {
        return;
    }
    struct failure failure = {0};
    const struct rpc_limits *limits = peer->server->options.limits;
    size_t most = longest(limits);
    const char *limit =
        most < limits->reply_bytes ? "half of limits.peer_buffer_bytes" : "limits.reply_bytes";
    failure_set(&failure, ERR_OVERLOADED, "the result is longer than %s (%zu)", limit, most);
    failure.is_retryable = false;
    failure_suggest(&failure, "Ask for less, or let the operator raise %s.",
                    most < limits->reply_bytes ? "limits.peer_buffer_bytes" : limit);
    rpc_put_error(peer, peer->begun_msgid, peer->begun_id, &failure);
    failure_done(&failure);
}

struct buf *rpc_result(struct rpc_request *request)
{
    return rpc_out_begin(request->peer, request->msgid, request->id);
}

void rpc_result_end(struct rpc_request *request)
{
    rpc_out_end(request->peer);
}

void rpc_fail(struct rpc_request *request, const struct failure *failure)
{
    rpc_put_error(request->peer, request->msgid, request->id, failure);
}

void rpc_keep(struct rpc_request *request, struct rpc_pending *pending,
              void (*cancelled)(struct rpc_pending *pending))
{
    *pending = (struct rpc_pending){
        .peer = request->peer,
        .id = request->id,
        .msgid = request->msgid,
        .cancelled = cancelled,
    };
    list_append(&request->peer->pending, &pending->link);
    request->peer->inflight++;
}

void rpc_pending_drop(struct rpc_pending *pending)
{
    if (pending->peer) {
        list_remove(&pending->link);
        pending->peer->inflight--;
        pending->peer = NULL;
    }
}

struct buf *rpc_pending_result(struct rpc_pending *pending)
{
    return pending->peer ? rpc_out_begin(pending->peer, pending->msgid, pending->id) : NULL;
}

void rpc_pending_put(struct rpc_pending *pending, struct block *block, struct slice bytes)
{
    rpc_put_block(pending->peer, block, bytes);
}

void rpc_pending_end(struct rpc_pending *pending)
{
    struct rpc_peer *peer = pending->peer;
    rpc_pending_drop(pending);
    rpc_out_end(peer);
}

void rpc_pending_fail(struct rpc_pending *pending, const struct failure *failure)
{
    struct rpc_peer *peer = pending->peer;
    if (peer) {
        rpc_pending_drop(pending);
        rpc_put_error(peer, pending->msgid, pending->id, failure);
    }
}

struct buf *rpc_message_begin(struct rpc_peer *peer)
{
    return begin(peer, longest(peer->server->options.limits));
}

bool rpc_message_end(struct rpc_peer *peer)
{
    return end(peer);
}

void rpc_message_end_or_leave(struct rpc_peer *peer)
{
    (void)end_or_leave(peer);
}

struct buf *rpc_notice_begin(struct rpc_peer *peer, const char *method)
{
    struct buf *out = rpc_message_begin(peer);
    pack_put_array(out, 3);
    pack_put_uint(out, 2);
    pack_put_text(out, method);
    pack_put_array(out, 1);
    return out;
}

struct buf *rpc_notify(struct rpc_pending *pending, const char *method)
{
    return pending->peer ? rpc_notice_begin(pending->peer, method) : NULL;
}

void rpc_notify_end(struct rpc_pending *pending)
{
    (void)end(pending->peer);
}
