/* SPDX-License-Identifier: MIT */
/*
 * http_socket.c - curl's sockets on the loop, kept registered while a connection waits for its next
 * exchange: two system calls less for each.
 */
#include "base/mem.h"
#include "loop/http_internal.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct http_socket {
    struct loop_io io;
    struct http *http;
    const struct http_target *target; /* that opened it */
    /* Curl tells when it closes this one. Not so with what is still connecting, and with the
     * pipes of its resolver: they are gone when it does not watch them any more. */
    bool is_established;
    bool is_parked; /* curl does not watch it: kept registered for the next exchange */
};

/* A connection that is in nobody's use becomes readable when the server closes it. Curl looks
 * before it uses one again; until then the loop must not be woken by it. */
static void socket_ready(void *arg, unsigned events)
{
    struct http_socket *socket = arg;
    if (socket->is_parked) {
        loop_io_want(&socket->io, 0);
        return;
    }
    socket->http->kicks = 0;
    http_act(socket->http, socket->io.fd,
             (events & LOOP_READ ? CURL_CSELECT_IN : 0) |
                 (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0));
}

static struct http_socket *find_socket(const struct http *http, curl_socket_t fd)
{
    return fd >= 0 && (size_t)fd < http->socket_cap ? http->sockets[fd] : NULL;
}

static void remove_socket(struct http *http, struct http_socket *socket)
{
    if (socket) {
        http->sockets[socket->io.fd] = NULL;
        loop_io_done(&socket->io);
        mem_free(socket);
    }
}

static struct http_socket *add_socket(struct http *http, curl_socket_t fd)
{
    if ((size_t)fd >=
        http->socket_cap) { /* small, as there are few descriptors: it must not fail */
        size_t cap = ((size_t)fd + 64) & ~(size_t)63;
        struct http_socket **sockets = mem_new(cap * sizeof(void *));
        if (http->socket_cap) {
            memcpy(sockets, http->sockets, http->socket_cap * sizeof(void *));
        }
        mem_free(http->sockets);
        http->sockets = sockets;
        http->socket_cap = cap;
    }
    remove_socket(http, http->sockets[fd]); /* of a connection that failed unwatched */
    struct http_socket *socket = mem_new(sizeof *socket);
    socket->http = http;
    loop_io_init(&socket->io, http->loop, fd, socket_ready, socket);
    http->sockets[fd] = socket;
    return socket;
}

int http_on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *per_socket)
{
    struct http *http = arg;
    struct http_socket *socket = find_socket(http, fd);
    (void)easy;
    (void)per_socket;
    if (what == CURL_POLL_REMOVE) {
        if (socket && socket->is_established) {
            socket->is_parked = true;
        } else {
            remove_socket(http, socket);
        }
        return 0;
    }
    if (!socket) {
        socket = add_socket(http, fd);
    }
    socket->is_parked = false;
    loop_io_want(&socket->io, (what & CURL_POLL_IN ? LOOP_READ : 0) |
                                  (what & CURL_POLL_OUT ? LOOP_WRITE : 0));
    return 0;
}

curl_socket_t http_on_open_socket(void *arg, curlsocktype purpose,
                                  struct curl_sockaddr *address)
{
    struct http_exchange *exchange = arg;
    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    address->protocol);
    if (fd < 0) {
        return CURL_SOCKET_BAD;
    }
    struct http_socket *socket = add_socket(exchange->target->http, fd);
    socket->target = exchange->target;
    exchange->is_connecting = true;
    if (exchange->tries) {
        http_gate_reopening(exchange);
    }
    return fd;
}

static bool has_local_port(int fd, int port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t length = sizeof address;
    if (getsockname(fd, &address.any, &length) != 0) {
        return false;
    }
    return ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port
                                                  : address.v6.sin6_port) == port;
}

/* Of the sockets that an exchange opened, curl says only by the port which one it goes on with. */
void http_note_established(const struct http_exchange *exchange, int local_port)
{
    const struct http *http = exchange->target->http;
    for (size_t fd = 0; fd < http->socket_cap; fd++) {
        struct http_socket *socket = http->sockets[fd];
        if (socket && socket->target == exchange->target && !socket->is_established &&
            has_local_port((int)fd, local_port)) {
            socket->is_established = true;
        }
    }
}

int http_on_close_socket(void *arg, curl_socket_t fd)
{
    struct http *http = arg;
    remove_socket(http, find_socket(http, fd));
    return close(fd);
}

/* The server is told at once that kept connections of a target are not used any more; curl drops
 * them when it next looks through its cache. */
void http_forget_target(struct http *http, const struct http_target *target)
{
    for (size_t fd = 0; fd < http->socket_cap; fd++) {
        struct http_socket *socket = http->sockets[fd];
        if (socket && socket->target == target) {
            socket->target = NULL;
            if (socket->is_parked) {
                loop_io_want(&socket->io, 0);
                (void)shutdown((int)fd, SHUT_RDWR);
            }
        }
    }
}

void http_forget_sockets(struct http *http)
{
    for (size_t fd = 0; fd < http->socket_cap; fd++) {
        remove_socket(http, http->sockets[fd]);
    }
    mem_free(http->sockets);
}
