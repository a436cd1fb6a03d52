/* SPDX-License-Identifier: MIT */
/* channel.c - poll, send and recv of the client; knows frames, but not what they mean. */
#include "channel.h"

#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_BYTES    65536u
#define KEEP_BYTES    1048576u /* an emptied buffer above this is given back */
#define FRAME_ITEMS   16777216u
#define ACCEPT_NAP_MS 10

void channel_init(struct channel *channel, int wake, size_t frame_bytes)
{
    *channel = (struct channel){.fd = -1, .wake = wake};
    channel->limits = (struct pack_limits){
        .bytes = frame_bytes, .depth = PACK_DEPTH_MAX, .items = FRAME_ITEMS};
    buf_init(&channel->in, frame_bytes + READ_BYTES);
}

void channel_done(struct channel *channel)
{
    channel_close(channel);
    buf_done(&channel->in);
}

void channel_close(struct channel *channel)
{
    if (channel->fd >= 0) {
        (void)close(channel->fd);
    }
    channel->fd = -1;
    channel->start = 0;
    PACK_SCAN_START(&channel->scan);
    buf_trim(&channel->in, KEEP_BYTES);
}

/* Milliseconds for poll, rounded up so that a wait never ends before its deadline. */
static int poll_ms(mono_us deadline)
{
    if (deadline == MONO_NEVER) {
        return -1;
    }
    mono_us left = deadline - clock_mono();
    if (left <= 0) {
        return 0;
    }
    return left > (mono_us)INT32_MAX * 1000 ? INT32_MAX : (int)((left + 999) / 1000);
}

static int open_failed(int error, const char *path, struct err *reterr)
{
    switch (error) {
    case ENOENT:
        return err_set(reterr, ERR_UNAVAILABLE, "no daemon: there is no socket at %s", path);
    case ECONNREFUSED:
        return err_set(reterr, ERR_UNAVAILABLE, "no daemon: nobody listens at %s", path);
    case EACCES:
    case EPERM:
        return err_set(reterr, ERR_POLICY_DENIED, "this user may not open the socket %s", path);
    default:
        return err_set(reterr, ERR_UNAVAILABLE, "cannot connect to %s: %s", path,
                       strerror(error));
    }
}

int channel_open(struct channel *channel, const char *path, mono_us deadline,
                 struct err *reterr)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof address.sun_path) {
        return err_set(reterr, ERR_INVALID_REQUEST,
                       "the socket path has %zu bytes; 1 to %zu are possible", len,
                       sizeof address.sun_path - 1);
    }
    memcpy(address.sun_path, path, len);
    channel_close(channel);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return err_set(reterr, ERR_UNAVAILABLE, "cannot make a socket: %s", strerror(errno));
    }
    /* EAGAIN: the daemon is there, but its queue of connections is full. */
    while (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        if (error == EINTR) {
            continue;
        }
        if (error == EAGAIN && clock_mono() < deadline) {
            (void)poll(NULL, 0, ACCEPT_NAP_MS);
            continue;
        }
        (void)close(fd);
        return error == EAGAIN ? err_set(reterr, ERR_TIMEOUT,
                                         "the daemon at %s accepts no connections", path)
                               : open_failed(error, path, reterr);
    }
    channel->fd = fd;
    return 0;
}

/* Makes room and receives once. */
static enum channel_end take_in(struct channel *channel)
{
    struct buf *in = &channel->in;
    if (channel->start == in->len) {
        buf_trim(in, KEEP_BYTES);
        channel->start = 0;
    } else if (channel->start > 0 && in->cap - in->len < READ_BYTES) {
        buf_consume(in, channel->start);
        channel->start = 0;
    }
    size_t room = in->max - in->len;
    room = room < READ_BYTES ? room : READ_BYTES;
    if (room == 0 || !buf_reserve(in, room)) {
        return CHANNEL_MALFORMED;
    }
    ssize_t got = recv(channel->fd, in->data + in->len, in->cap - in->len, 0);
    if (got > 0) {
        in->len += (size_t)got;
        return CHANNEL_OK;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return CHANNEL_OK;
    }
    return CHANNEL_CLOSED;
}

static enum channel_end end_with(struct channel *channel, enum channel_end end)
{
    channel_close(channel);
    return end;
}

bool channel_is_alive(struct channel *channel)
{
    if (channel->fd < 0) {
        return false;
    }
    struct pollfd watched = {.fd = channel->fd, .events = POLLIN};
    while (poll(&watched, 1, 0) > 0) {
        if (take_in(channel) != CHANNEL_OK) {
            channel_close(channel);
            return false;
        }
        if (channel->in.len - channel->start >= READ_BYTES) {
            break;
        }
    }
    return true;
}

enum channel_end channel_send(struct channel *channel, struct slice bytes, mono_us deadline,
                              size_t *ret_sent)
{
    *ret_sent = 0;
    while (*ret_sent < bytes.len) {
        ssize_t sent =
            send(channel->fd, bytes.ptr + *ret_sent, bytes.len - *ret_sent, MSG_NOSIGNAL);
        if (sent >= 0) {
            *ret_sent += (size_t)sent;
            continue;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EAGAIN) {
            return end_with(channel, CHANNEL_CLOSED);
        }
        /* A peer that waits for us to read would otherwise never read again. */
        bool has_room = channel->in.len - channel->start < channel->limits.bytes;
        struct pollfd watched = {.fd = channel->fd,
                                 .events = (short)(has_room ? POLLOUT | POLLIN : POLLOUT)};
        int ready = poll(&watched, 1, poll_ms(deadline));
        if (ready == 0) {
            return *ret_sent ? end_with(channel, CHANNEL_TIMEOUT) : CHANNEL_TIMEOUT;
        }
        if (ready > 0 && (watched.revents & POLLIN) && take_in(channel) != CHANNEL_OK) {
            return end_with(channel, CHANNEL_CLOSED);
        }
    }
    return CHANNEL_OK;
}

bool channel_next(struct channel *channel, struct slice *ret, enum channel_end *ret_end)
{
    struct buf *in = &channel->in;
    *ret_end = CHANNEL_OK;
    if (channel->start == in->len) {
        return false;
    }
    struct slice bytes = {in->data + channel->start, in->len - channel->start};
    enum pack_scan_result result = pack_scan(&channel->scan, bytes, &channel->limits);
    if (result == PACK_SCAN_DONE) {
        *ret = (struct slice){bytes.ptr, channel->scan.at};
        channel->start += channel->scan.at;
        PACK_SCAN_START(&channel->scan);
        return true;
    }
    if (result != PACK_SCAN_MORE) {
        *ret_end = end_with(channel, CHANNEL_MALFORMED);
    }
    return false;
}

enum channel_end channel_wait(struct channel *channel, mono_us deadline)
{
    for (;;) {
        struct pollfd watched[2] = {{.fd = channel->fd, .events = POLLIN},
                                    {.fd = channel->wake, .events = POLLIN}};
        int ready = poll(watched, 2, poll_ms(deadline));
        if (ready == 0) {
            return CHANNEL_TIMEOUT;
        }
        if (ready < 0) {
            continue; /* EINTR: a handler that wants an end calls tb_cancel */
        }
        if (watched[1].revents) {
            channel->woken = 0;
            (void)!read(channel->wake, &channel->woken, sizeof channel->woken);
            return CHANNEL_WOKEN;
        }
        enum channel_end end = take_in(channel);
        return end == CHANNEL_OK ? CHANNEL_OK : end_with(channel, end);
    }
}
