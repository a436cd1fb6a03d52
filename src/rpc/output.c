/* SPDX-License-Identifier: MIT */
/*
 * output.c - what waits to be written to a connection: a buffer, and long pieces of memory that stand
 * between two of its bytes and are not copied.
 */
#include "base/mem.h"
#include "rpc/rpc_internal.h"

#include <sys/socket.h>

struct piece {
    struct list_link link;
    struct block *block;
    struct slice left; /* of its bytes, to be written */
    size_t at;         /* in peer->out: what it stands before */
};

static struct piece *piece_of(struct list_link *link)
{
    return LIST_ITEM(link, struct piece, link);
}

static void drop_piece(struct rpc_pieces *pieces, struct piece *piece)
{
    pieces->bytes -= piece->left.len;
    pieces->count--;
    list_remove(&piece->link);
    (void)block_unref(piece->block);
    mem_free(piece);
}

void rpc_put_block(struct rpc_peer *peer, struct block *block, struct slice bytes)
{
    struct buf *out = &peer->out;
    if (out->overflow || out->len > out->max || bytes.len > out->max - out->len) {
        out->overflow = true;
        return;
    }
    if (!bytes.len) { /* it would be left behind when all is written */
        return;
    }
    if (!peer->pieces) {
        int room = RPC_SOCKET_BYTES; /* else each 200 KB are a switch of processes */
        peer->pieces = mem_new(sizeof *peer->pieces);
        list_init(&peer->pieces->list);
        (void)setsockopt(peer->io.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    }
    struct piece *piece = mem_new(sizeof *piece);
    piece->block = block_ref(block);
    piece->left = bytes;
    piece->at = out->len;
    list_append(&peer->pieces->list, &piece->link);
    peer->pieces->bytes += bytes.len;
    peer->pieces->count++;
    out->max -= bytes.len; /* the answer's ceiling counts them too */
}

void rpc_drop_pieces(struct rpc_peer *peer, unsigned kept)
{
    struct rpc_pieces *pieces = peer->pieces;
    if (!pieces) {
        return;
    }
    while (pieces->count > kept) {
        drop_piece(pieces, piece_of(pieces->list.head.prev));
    }
    if (!pieces->count) {
        mem_free(pieces);
        peer->pieces = NULL;
    }
}

/* The next bytes, as far as one piece of memory goes and what stands before and behind it. */
static ssize_t send_pieces(struct rpc_peer *peer)
{
    const struct piece *piece = piece_of(list_first(&peer->pieces->list));
    const struct list_link *next = piece->link.next;
    size_t until = next == &peer->pieces->list.head
                       ? peer->out.len
                       : LIST_ITEM(next, const struct piece, link)->at;
    size_t most = piece->left.len < RPC_WRITE_BYTES ? piece->left.len : RPC_WRITE_BYTES;
    struct iovec parts[3] = {
        {peer->out.data + peer->out_at, piece->at - peer->out_at},
        {(void *)piece->left.ptr, most},
        {peer->out.data + piece->at, most == piece->left.len ? until - piece->at : 0},
    };
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
    return sendmsg(peer->io.fd, &message, MSG_NOSIGNAL);
}

static void note_sent(struct rpc_peer *peer, size_t len)
{
    struct piece *piece = piece_of(list_first(&peer->pieces->list));
    size_t before = piece->at - peer->out_at;
    before = len < before ? len : before;
    peer->out_at += before;
    len -= before;
    size_t of_piece = len < piece->left.len ? len : piece->left.len;
    piece->left.ptr += of_piece;
    piece->left.len -= of_piece;
    peer->pieces->bytes -= of_piece;
    if (!piece->left.len) {
        drop_piece(peer->pieces, piece);
        peer->out_at += len - of_piece;
    }
    rpc_drop_pieces(peer, peer->pieces->count);
}

ssize_t rpc_send(struct rpc_peer *peer)
{
    if (!peer->pieces) {
        ssize_t n = send(peer->io.fd, peer->out.data + peer->out_at,
                         peer->out.len - peer->out_at, MSG_NOSIGNAL);
        peer->out_at += n > 0 ? (size_t)n : 0;
        return n;
    }
    ssize_t n = send_pieces(peer);
    if (n > 0) {
        note_sent(peer, (size_t)n);
    }
    return n;
}

void rpc_forget_sent(struct rpc_peer *peer)
{
    size_t len = peer->out_at;
    if (len < peer->out.len - len) { /* moving would cost more than it gives */
        return;
    }
    buf_consume(&peer->out, len);
    peer->out_at = 0;
    if (peer->pieces) {
        list_each (link, &peer->pieces->list) {
            piece_of(link)->at -= len;
        }
    }
}
