/* SPDX-License-Identifier: MIT */
/*
 * echo_http.c - the echo server over Streamable HTTP: one thread, epoll, kept connections.
 *   echo_http [--port N] [--sse]
 * listens on the loopback address (port 0: any), prints `listening PORT`, and answers a POST in
 * JSON, or as an event stream with --sse or when the path's query is `sse`.
 */
#include "echo_mcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 65536, EVENTS = 64 };

struct peer {
    int fd;
    bool is_writing; /* waits until it can write, and reads no more until then */
    size_t written;
    struct echo_text in, out;
};

static int poller;
static bool always_sse;

static void peer_free(struct peer *peer)
{
    (void)close(peer->fd);
    free(peer->in.data);
    free(peer->out.data);
    free(peer);
}

static void put_status(struct echo_text *out, const char *status)
{
    echo_text_puts(out, "HTTP/1.1 ");
    echo_text_puts(out, status);
    echo_text_puts(out, "\r\nContent-Length: 0\r\n\r\n");
}

static void put_answer(struct echo_text *out, const struct echo_text *answer, bool is_sse)
{
    char head[160];
    int length;
    if (is_sse) { /* one chunk: "data: " answer and two line ends */
        length = snprintf(head, sizeof head,
                          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n%zx\r\ndata: ",
                          answer->length + 8);
    } else {
        length = snprintf(head, sizeof head,
                          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                          "Content-Length: %zu\r\n\r\n",
                          answer->length);
    }
    echo_text_add(out, head, (size_t)length);
    echo_text_add(out, answer->data, answer->length);
    if (is_sse) {
        echo_text_puts(out, "\n\n\r\n0\r\n\r\n");
    }
}

static size_t content_length(const char *head, const char *end)
{
    static const char name[] = "\ncontent-length:";
    for (const char *at = head; (at = memchr(at, '\n', (size_t)(end - at))); at++) {
        if ((size_t)(end - at) > sizeof name && strncasecmp(at, name, sizeof name - 1) == 0) {
            return strtoul(at + sizeof name - 1, NULL, 10);
        }
    }
    return 0;
}

static void answer_request(struct peer *peer, const char *head, const char *body, size_t length)
{
    static struct echo_text answer;
    if (strncmp(head, "POST ", 5) != 0) {
        put_status(&peer->out,
                   strncmp(head, "DELETE ", 7) == 0 ? "200 OK" : "405 Method Not Allowed");
        return;
    }
    const char *path_end = memchr(head + 5, ' ', (size_t)(body - head - 5));
    bool is_sse = always_sse || (path_end && strncmp(path_end - 4, "?sse", 4) == 0);
    answer.length = 0;
    if (!echo_mcp_answer(body, length, &answer)) {
        return;
    }
    if (answer.length > 0) {
        put_answer(&peer->out, &answer, is_sse);
    } else {
        put_status(&peer->out, "202 Accepted");
    }
}

/* Answers every request that is complete and keeps the rest. */
static void answer_requests(struct peer *peer)
{
    char *at = peer->in.data, *end = peer->in.data + peer->in.length;
    while (at < end) {
        char *head_end = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
        if (!head_end) {
            break;
        }
        char *body = head_end + 4;
        size_t length = content_length(at, body);
        if ((size_t)(end - body) < length) {
            break;
        }
        answer_request(peer, at, body, length);
        at = body + length;
    }
    peer->in.length = (size_t)(end - at);
    memmove(peer->in.data, at, peer->in.length);
}

static void want(struct peer *peer, bool is_writing)
{
    if (peer->is_writing != is_writing) {
        struct epoll_event event = {.events = is_writing ? EPOLLOUT : EPOLLIN,
                                    .data.ptr = peer};
        (void)epoll_ctl(poller, EPOLL_CTL_MOD, peer->fd, &event);
        peer->is_writing = is_writing;
    }
}

/* False: the peer is gone. */
static bool peer_write(struct peer *peer)
{
    while (peer->written < peer->out.length) {
        ssize_t count = send(peer->fd, peer->out.data + peer->written,
                             peer->out.length - peer->written, MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR) {
            want(peer, true);
            return errno == EAGAIN;
        }
        peer->written += count > 0 ? (size_t)count : 0;
    }
    peer->written = peer->out.length = 0;
    want(peer, false);
    return true;
}

static bool peer_read(struct peer *peer)
{
    ssize_t count = recv(peer->fd, echo_text_room(&peer->in, READ_BYTES), READ_BYTES, 0);
    if (count <= 0) {
        return count < 0 && (errno == EAGAIN || errno == EINTR);
    }
    peer->in.length += (size_t)count;
    answer_requests(peer);
    return peer_write(peer);
}

static void accept_peer(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    struct peer *peer = fd < 0 ? NULL : calloc(1, sizeof *peer);
    if (!peer) {
        return;
    }
    peer->fd = fd;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0) {
        peer_free(peer);
    }
} /* NOLINT(clang-analyzer-unix.Malloc): epoll holds it */

static int listen_on(unsigned port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        return -1;
    }
    printf("listening %u\n", ntohs(address.sin_port));
    (void)fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    unsigned long port = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--sse") == 0) {
            always_sse = true;
        } else if (strcmp(argv[i], "--port") == 0 && i + 1 < argc) {
            port = strtoul(argv[++i], NULL, 10);
        }
    }
    int listener = listen_on((unsigned)port);
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (listener < 0 || poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) != 0) {
        perror("echo_http");
        return 1;
    }
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct peer *peer = events[i].data.ptr;
            if (!peer) {
                accept_peer(listener);
            } else if (!(peer->is_writing ? peer_write(peer) : peer_read(peer))) {
                peer_free(peer);
            }
        }
    }
}
