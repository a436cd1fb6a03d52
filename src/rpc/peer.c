/* SPDX-License-Identifier: MIT */
/* peer.c - one client connection: bytes in, frames cut, bytes out, back-pressure. */
#include "base/log.h"
#include "base/mem.h"
#include "rpc/rpc_internal.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static void ready(void *arg, unsigned events);

struct rpc_peer *rpc_peer_new(struct rpc_server *server, int fd,
                              const struct rpc_identity *identity)
{
    struct rpc_peer *peer = mem_new(sizeof *peer);
    peer->server = server;
    peer->id = ++server->last_peer;
    peer->identity = *identity;
    list_init(&peer->pending);
    buf_init(&peer->out, server->options.limits->peer_buffer_bytes);
    loop_io_init(&peer->io, server->options.loop, fd, ready, peer);
    loop_io_want(&peer->io, LOOP_READ);
    return peer;
}

/* ---- the end of a connection -------------------------------------------------------------- */

static void give_back_out(struct rpc_peer *peer)
{
    struct rpc_server *server = peer->server;
    if (peer->out.data && peer->out.cap <= RPC_SPARE_BYTES &&
        server->spare_count < RPC_SPARES) {
        server->spares[server->spare_count++] = peer->out;
        buf_init(&peer->out, peer->out.max);
    } else {
        block_done_buf(server->options.loop, &peer->out);
    }
    peer->out_at = 0;
}

static void drop_partial(struct rpc_peer *peer)
{
    if (peer->partial) {
        block_done_buf(peer->server->options.loop, &peer->partial->bytes);
        (void)block_unref(peer->partial->block);
        mem_free(peer->partial);
        peer->partial = NULL;
    }
}

static void cancel_all(struct rpc_peer *peer)
{
    struct list_link *link;
    while ((link = list_first(&peer->pending))) {
        struct rpc_pending *pending = LIST_ITEM(link, struct rpc_pending, link);
        list_remove(link);
        pending->peer = NULL;
        pending->cancelled(pending);
    }
    peer->inflight = 0;
    rpc_drop_dialogue(peer);
}

void rpc_peer_free(struct rpc_peer *peer)
{
    peer->is_closing = true; /* nothing more is written for it */
    cancel_all(peer);
    loop_io_done(&peer->io);
    (void)close(peer->io.fd);
    list_remove(&peer->dirty);
    list_remove(&peer->link);
    drop_partial(peer);
    rpc_drop_pieces(peer, 0);
    give_back_out(peer);
    mem_free(peer->defaults);
    if (peer->server->options.peer_gone) {
        peer->server->options.peer_gone(peer->server->options.arg, peer->id);
    }
    rpc_server_forget(peer->server, &peer->identity);
    mem_free(peer);
}

void rpc_peer_close(struct rpc_peer *peer)
{
    if (peer->is_closing) {
        return;
    }
    peer->is_closing = true;
    cancel_all(peer);
    loop_io_want(&peer->io, 0);
    /* The turn's end writes what is there and frees it. */
    if (!list_has(&peer->dirty)) {
        list_append(&peer->server->dirty, &peer->dirty);
    }
}

/* ---- out ---------------------------------------------------------------------------------- */

/* So much waits for the peer to read it that no more of its requests are handled. */
bool rpc_peer_is_full(const struct rpc_peer *peer)
{
    return rpc_waiting(peer) > peer->server->options.limits->peer_buffer_bytes / 4;
}

static void pause_or_resume(struct rpc_peer *peer)
{
    bool must_write = rpc_waiting(peer) || peer->is_behind;
    bool may_read = !peer->is_closing && !peer->is_behind && !rpc_peer_is_full(peer);
    loop_io_want(&peer->io, (must_write ? LOOP_WRITE : 0) | (may_read ? LOOP_READ : 0));
}

/* Frees the peer when it was closing and nothing is left to write, or writing fails. */
void rpc_peer_flush(struct rpc_peer *peer)
{
    size_t sent = 0;
    while (rpc_waiting(peer)) {
        ssize_t n = sent < RPC_WRITE_BYTES ? rpc_send(peer) : 0;
        bool must_wait = n == 0 || (n < 0 && errno == EAGAIN);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (must_wait && !peer->is_closing) {
            /* Bytes that are written make room for others, also when there are always some that
             * are not. */
            rpc_forget_sent(peer);
            pause_or_resume(peer);
            return;
        }
        if (n <= 0) {
            rpc_peer_free(peer);
            return;
        }
        sent += (size_t)n;
    }
    give_back_out(peer);
    if (peer->is_closing) {
        rpc_peer_free(peer);
        return;
    }
    pause_or_resume(peer);
}

/* ---- in ----------------------------------------------------------------------------------- */

static void refuse_frame(struct rpc_peer *peer, enum pack_scan_result result)
{
    static const char *const causes[] = {
        [PACK_SCAN_MALFORMED] = "not MessagePack",
        [PACK_SCAN_TOO_LONG] = "longer than limits.frame_bytes",
        [PACK_SCAN_TOO_DEEP] = "deeper than limits.frame_depth",
        [PACK_SCAN_TOO_MANY] = "more values than limits.frame_items",
    };
    metrics_add(peer->server->options.metrics, METRIC_FRAMES_REFUSED, 1);
    log_at(LOG_WARN, "rpc", "malformed frame, connection closed",
           LOG_TEXT("cause", causes[result]), LOG_INT("pid", peer->identity.pid),
           LOG_INT("uid", peer->identity.uid));
}

/* A frame that fails its measure is answered if its beginning shows a request with a msgid:
 * the client's caller learns why, then the connection ends. */
static void answer_refused(struct rpc_peer *peer, struct slice bytes,
                           enum pack_scan_result result)
{
    struct pack cursor = pack_over(bytes);
    struct pack_item item;
    uint64_t kind;
    uint64_t msgid;
    if (!pack_next(&cursor, &item) || item.type != PACK_ARRAY || item.count != 4 ||
        !pack_next(&cursor, &item) || !pack_as_uint(&item, &kind) || kind != 0 ||
        !pack_next(&cursor, &item) || !pack_as_uint(&item, &msgid) || msgid > UINT32_MAX) {
        return;
    }
    struct failure failure = {0};
    failure_set(
        &failure, result == PACK_SCAN_MALFORMED ? ERR_INVALID_REQUEST : ERR_OVERLOADED,
        result == PACK_SCAN_MALFORMED  ? "the frame is not MessagePack"
        : result == PACK_SCAN_TOO_LONG ? "the frame is longer than limits.frame_bytes (%zu)"
        : result == PACK_SCAN_TOO_DEEP ? "the frame nests deeper than limits.frame_depth"
                                       : "the frame holds more values than "
                                         "limits.frame_items",
        peer->server->options.limits->frame.bytes);
    failure.is_retryable = false;
    failure_suggest(&failure, "Send a smaller or correct request; the connection was closed.");
    rpc_put_error(peer, (uint32_t)msgid, peer->server->id_base | ++peer->server->id_count,
                  &failure);
    failure_done(&failure);
}

/* Room for `more` bytes behind those that wait; false: the connection is closed. */
static bool reserve_partial(struct rpc_peer *peer, size_t more)
{
    struct buf *bytes = &peer->partial->bytes;
    size_t max = peer->server->options.limits->frame.bytes + RPC_READ_BYTES;
    bytes->max = bytes->max > max ? bytes->max : max; /* a reload may have raised the limit */
    if (buf_reserve(bytes, more)) {
        return true;
    }
    log_at(LOG_ERROR, "rpc", "no memory for a frame, connection closed",
           LOG_INT("pid", peer->identity.pid), LOG_INT("bytes", bytes->len));
    rpc_peer_close(peer);
    return false;
}

static void keep_partial(struct rpc_peer *peer, struct slice rest, const struct pack_scan *scan)
{
    peer->partial = mem_new(sizeof *peer->partial);
    peer->partial->scan = *scan;
    if (reserve_partial(peer, rest.len)) {
        buf_put_slice(&peer->partial->bytes, rest);
    }
}

/* Handles the complete frames in `bytes`, until too many answers wait; gives the length of what
 * was handled. `scan` is where the measurement of the first frame stands, and on return of the one
 * that is left. */
static size_t cut(struct rpc_peer *peer, struct slice bytes, struct pack_scan *scan)
{
    size_t done = 0;
    peer->is_behind = false;
    while (done < bytes.len && !peer->is_closing) {
        if (rpc_peer_is_full(peer)) {
            peer->is_behind = true;
            break;
        }
        struct slice rest = {bytes.ptr + done, bytes.len - done};
        enum pack_scan_result result =
            pack_scan(scan, rest, &peer->server->options.limits->frame);
        if (result == PACK_SCAN_MORE) {
            break;
        }
        if (result != PACK_SCAN_DONE) {
            refuse_frame(peer, result);
            answer_refused(peer, rest, result);
            rpc_peer_close(peer);
            break;
        }
        struct slice frame = {rest.ptr, scan->at};
        done += scan->at;
        PACK_SCAN_START(scan);
        if (!rpc_frame(peer, frame)) {
            rpc_peer_close(peer);
        }
    }
    return done;
}

static void received(struct rpc_peer *peer, struct slice bytes)
{
    struct pack_scan scan;
    PACK_SCAN_START(&scan);
    size_t done = cut(peer, bytes, &scan);
    if (!peer->is_closing && done < bytes.len) {
        keep_partial(peer, (struct slice){bytes.ptr + done, bytes.len - done}, &scan);
    }
}

struct block *rpc_request_block(const struct rpc_request *request)
{
    struct rpc_partial *partial = request->peer->partial;
    if (partial && !partial->block && partial->bytes.len >= RPC_LONG_FRAME) {
        partial->block = block_new(request->peer->server->options.loop, &partial->bytes);
    }
    return partial && partial->block && block_holds(partial->block, request->params)
               ? partial->block
               : NULL;
}

/* What is behind the frames that were handled, if their memory was lent. */
static void take_rest(struct rpc_peer *peer, struct slice rest)
{
    struct rpc_partial *partial = peer->partial;
    if (rest.ptr && reserve_partial(peer, rest.len)) {
        buf_put_slice(&partial->bytes, rest);
    }
    partial->block = block_unref(partial->block);
}

static void received_more(struct rpc_peer *peer)
{
    struct rpc_partial *partial = peer->partial;
    struct slice bytes = buf_slice(&partial->bytes);
    size_t done = cut(peer, bytes, &partial->scan);
    if (peer->is_closing || done == bytes.len) {
        drop_partial(peer);
    } else if (partial->block) {
        take_rest(peer, (struct slice){bytes.ptr + done, bytes.len - done});
    } else if (done) {
        buf_consume(&partial->bytes, done);
    }
}

/* One read; false when there is nothing more to read now. */
static bool read_once(struct rpc_peer *peer)
{
    struct rpc_partial *partial = peer->partial;
    char *to = peer->server->read_buffer;
    if (partial) {
        if (!reserve_partial(peer, RPC_READ_BYTES / 4)) {
            return false;
        }
        to = partial->bytes.data + partial->bytes.len;
    }
    size_t room = partial ? partial->bytes.cap - partial->bytes.len : RPC_READ_BYTES;
    ssize_t n = recv(peer->io.fd, to, room, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (n <= 0) {
        rpc_peer_close(peer);
        return false;
    }
    if (partial) {
        partial->bytes.len += (size_t)n;
        received_more(peer);
    } else {
        received(peer, (struct slice){to, (size_t)n});
    }
    return !peer->is_closing && !peer->is_behind && (size_t)n == room;
}

static void ready(void *arg, unsigned events)
{
    struct rpc_peer *peer = arg;
    if (peer->is_behind && !rpc_peer_is_full(peer)) {
        received_more(peer);
    }
    if (events & LOOP_READ && !peer->is_behind && !peer->is_closing) {
        for (unsigned i = 0; i < RPC_IO_TURNS && read_once(peer); i++) {
        }
    }
    /* Answers made above go out now, in one write; a closed peer is freed here. */
    if (rpc_waiting(peer) || peer->is_closing) {
        list_remove(&peer->dirty);
        rpc_peer_flush(peer);
    } else {
        pause_or_resume(peer);
    }
}

/* ---- who it is ------------------------------------------------------------------------------ */

const struct rpc_identity *rpc_identity(const struct rpc_peer *peer)
{
    return &peer->identity;
}

uint64_t rpc_peer_id(const struct rpc_peer *peer)
{
    return peer->id;
}

struct rpc_defaults rpc_defaults(const struct rpc_peer *peer)
{
    return peer->defaults ? *peer->defaults : (struct rpc_defaults){.agent = {NULL, 0}};
}

static struct slice copy_into(char **at, struct slice text)
{
    struct slice copy = {*at, text.len};
    if (text.len) {
        memcpy(*at, text.ptr, text.len);
    }
    *at += text.len;
    return copy;
}

void rpc_set_defaults(struct rpc_peer *peer, const struct rpc_defaults *defaults)
{
    size_t len =
        defaults->client.len + defaults->agent.len + defaults->user.len + defaults->locale.len;
    mem_free(peer->defaults);
    peer->defaults = NULL;
    if (!len && !defaults->capabilities) {
        return;
    }
    /* The texts live behind the struct, in one piece. */
    peer->defaults = mem_new(sizeof *peer->defaults + len);
    peer->defaults->capabilities = defaults->capabilities;
    char *at = (char *)(peer->defaults + 1);
    peer->defaults->client = copy_into(&at, defaults->client);
    peer->defaults->agent = copy_into(&at, defaults->agent);
    peer->defaults->user = copy_into(&at, defaults->user);
    peer->defaults->locale = copy_into(&at, defaults->locale);
}
