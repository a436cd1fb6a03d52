/* SPDX-License-Identifier: MIT */
/*
 * channel.h - one Unix socket with deadlines: bytes out, whole MessagePack values in.
 *
 * Owns:    the socket and the bytes that came in. Embedded; channel_init/channel_done.
 * Life:    a frame points into the channel until the next channel_wait or channel_close.
 * Errors:  a function that ends the connection says so by its result; the channel is closed then.
 * Units:   deadlines are absolute, of clock_mono(); MONO_NEVER waits for ever.
 */
#ifndef CLIENT_CHANNEL_H
#define CLIENT_CHANNEL_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/slice.h"
#include "value/pack.h"

#include <stdbool.h>
#include <stddef.h>

enum channel_end {
    CHANNEL_OK,
    CHANNEL_TIMEOUT,
    CHANNEL_WOKEN,    /* the wake descriptor was written to; its sum is in `woken` */
    CHANNEL_CLOSED,   /* the peer went away */
    CHANNEL_MALFORMED /* what came in is no MessagePack, or passes a limit */
};

struct channel {
    int fd;   /* -1: closed */
    int wake; /* an eventfd that ends waits early; not owned */
    uint64_t woken;
    struct buf in;
    size_t start; /* first byte of `in` that belongs to no frame handed out */
    struct pack_scan scan;
    struct pack_limits limits;
};

void channel_init(struct channel *channel, int wake, size_t frame_bytes);
void channel_done(struct channel *channel);
void channel_close(struct channel *channel);

/* One attempt. -ERR_UNAVAILABLE when nobody listens there, -ERR_TIMEOUT when nobody accepts in
 * time, -ERR_INVALID_REQUEST when the path cannot work. */
int channel_open(struct channel *channel, const char *path, mono_us deadline,
                 struct err *reterr);

/* Whether the peer is still there, as far as can be seen without waiting. */
bool channel_is_alive(struct channel *channel);

/* Sends all of `bytes`, taking in what arrives meanwhile. Not interrupted by the wake descriptor,
 * because half a frame is the end of a connection. *ret_sent says how much went out. */
enum channel_end channel_send(struct channel *channel, struct slice bytes, mono_us deadline,
                              size_t *ret_sent);

/* The next whole value that is here already; true and *ret, or false and *ret_end: CHANNEL_OK
 * when more bytes are needed, else CHANNEL_MALFORMED. */
bool channel_next(struct channel *channel, struct slice *ret, enum channel_end *ret_end);

/* Waits until bytes have arrived. */
enum channel_end channel_wait(struct channel *channel, mono_us deadline);

#endif
