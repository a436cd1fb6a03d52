/* SPDX-License-Identifier: MIT */
/*
 * http_peer.h - a small HTTP/1.1 server on threads, for tests: each request is answered by a
 * function of the test, which writes raw bytes.
 *
 * Owns:    the listening socket, its threads, and the record of requests.
 * Life:    peer_start .. peer_stop, which closes every connection and joins the threads.
 */
#ifndef TESTS_UNIT_HTTP_PEER_H
#define TESTS_UNIT_HTTP_PEER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEER_CONNECTIONS 512
#define PEER_RECORDS     2048

struct peer_request {
    char *head, *body; /* terminated; head with all its lines */
    size_t body_length;
    unsigned connection, number; /* of the request on its connection, from 1 */
};

struct peer {
    int listener;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    /* Writes the answer; false: close the connection. */
    bool (*answer)(struct peer *peer, int fd, const struct peer_request *request);
    void *arg;
    bool is_stopping;
    struct {
        pthread_t thread;
        int fd;
    } connections[PEER_CONNECTIONS];
    unsigned connection_count, record_count;
    struct peer_request records[PEER_RECORDS];
};

struct peer_thread {
    struct peer *peer;
    unsigned index;
    int fd;
};

static inline bool peer_write(int fd, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length) {
        ssize_t written = send(fd, at, length, MSG_NOSIGNAL);
        if (written <= 0) {
            return false;
        }
        at += written;
        length -= (size_t)written;
    }
    return true;
}

static inline bool peer_print(int fd, const char *text)
{
    return peer_write(fd, text, strlen(text));
}

/* A whole answer with Content-Length. `headers`: further lines, each with its CRLF. */
static inline bool peer_reply(int fd, const char *status, const char *headers, const char *body)
{
    char head[8192];
    int length = snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n",
                          status, headers, strlen(body));
    return length > 0 && (size_t)length < sizeof head && peer_write(fd, head, (size_t)length) &&
           peer_print(fd, body);
}

static inline bool peer_json(int fd, const char *body)
{
    return peer_reply(fd, "200 OK", "Content-Type: application/json\r\n", body);
}

/* Ends with RST instead of FIN. */
static inline void peer_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

/* The value of a header line, or NULL; in a buffer that the next call of the thread reuses. */
static inline const char *peer_header(const struct peer_request *request, const char *name)
{
    static _Thread_local char value[4096];
    size_t length = strlen(name);
    for (const char *line = request->head; (line = strstr(line, "\r\n"));) {
        line += 2;
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            const char *at = line + length + 1;
            at += *at == ' ';
            size_t size = strcspn(at, "\r");
            size = size < sizeof value ? size : sizeof value - 1;
            memcpy(value, at, size);
            value[size] = '\0';
            return value;
        }
    }
    return NULL;
}

static inline bool peer_is(const struct peer_request *request, const char *start)
{
    return strncmp(request->head, start, strlen(start)) == 0;
}

/* Reads one request; false at the end of the connection. */
static inline bool peer_read(int fd, struct peer_request *request)
{
    size_t cap = 65536, length = 0, head = 0, body = 0;
    char *bytes = calloc(1, cap);
    while (bytes && (!head || length < head + body)) {
        if (length + 1 >= cap) {
            cap *= 2;
            char *more = realloc(bytes, cap);
            if (!more) {
                break;
            }
            bytes = more;
        }
        ssize_t got = recv(fd, bytes + length, cap - length - 1, 0);
        if (got <= 0) {
            free(bytes);
            return false;
        }
        length += (size_t)got;
        bytes[length] = '\0';
        char *end = head ? NULL : strstr(bytes, "\r\n\r\n");
        if (end) {
            head = (size_t)(end - bytes) + 4;
            request->head = strndup(bytes, head);
            const char *value = peer_header(request, "content-length");
            body = value ? strtoul(value, NULL, 10) : 0;
        }
    }
    if (!bytes || !request->head) {
        free(bytes);
        return false;
    }
    memmove(bytes, bytes + head, length - head);
    bytes[length - head] = '\0';
    request->body = bytes;
    request->body_length = body;
    return true;
}

static inline void *peer_connection(void *arg)
{
    struct peer_thread *self = arg;
    struct peer *peer = self->peer;
    bool is_open = true;
    for (unsigned number = 1; is_open; number++) {
        struct peer_request request = {.connection = self->index, .number = number};
        if (!peer_read(self->fd, &request)) {
            break;
        }
        (void)pthread_mutex_lock(&peer->lock);
        bool is_recorded = peer->record_count < PEER_RECORDS;
        if (is_recorded) {
            peer->records[peer->record_count++] = request;
        }
        (void)pthread_mutex_unlock(&peer->lock);
        is_open = peer->answer(peer, self->fd, &request);
        if (!is_recorded) {
            free(request.head);
            free(request.body);
        }
    }
    (void)pthread_mutex_lock(&peer->lock);
    (void)close(self->fd);
    peer->connections[self->index].fd = -1;
    (void)pthread_mutex_unlock(&peer->lock);
    free(self);
    return NULL;
}

static inline void *peer_accept(void *arg)
{
    struct peer *peer = arg;
    for (;;) {
        int fd = accept(peer->listener, NULL, NULL);
        (void)pthread_mutex_lock(&peer->lock);
        struct peer_thread *self = calloc(1, sizeof *self);
        if (fd < 0 || peer->is_stopping || peer->connection_count == PEER_CONNECTIONS ||
            !self) {
            if (fd >= 0) {
                (void)close(fd);
            }
            free(self);
            (void)pthread_mutex_unlock(&peer->lock);
            return NULL;
        }
        int one = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        *self = (struct peer_thread){peer, peer->connection_count++, fd};
        peer->connections[self->index].fd = fd;
        (void)pthread_create(&peer->connections[self->index].thread, NULL, peer_connection,
                             self);
        (void)pthread_mutex_unlock(&peer->lock);
    }
}

static inline void peer_start(struct peer *peer,
                              bool (*answer)(struct peer *, int, const struct peer_request *))
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    *peer = (struct peer){.answer = answer};
    (void)pthread_mutex_init(&peer->lock, NULL);
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->listener < 0 ||
        bind(peer->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(peer->listener, 128) != 0 ||
        getsockname(peer->listener, (struct sockaddr *)&address, &length) != 0) {
        abort();
    }
    peer->port = ntohs(address.sin_port);
    (void)pthread_create(&peer->thread, NULL, peer_accept, peer);
}

static inline unsigned peer_count(struct peer *peer)
{
    (void)pthread_mutex_lock(&peer->lock);
    unsigned count = peer->record_count;
    (void)pthread_mutex_unlock(&peer->lock);
    return count;
}

static inline unsigned peer_connections(struct peer *peer)
{
    (void)pthread_mutex_lock(&peer->lock);
    unsigned count = peer->connection_count;
    (void)pthread_mutex_unlock(&peer->lock);
    return count;
}

static inline void peer_stop(struct peer *peer)
{
    (void)pthread_mutex_lock(&peer->lock);
    peer->is_stopping = true;
    (void)pthread_mutex_unlock(&peer->lock);
    (void)shutdown(peer->listener, SHUT_RDWR);
    (void)pthread_join(peer->thread, NULL);
    (void)close(peer->listener);
    for (unsigned i = 0; i < peer->connection_count; i++) {
        (void)pthread_mutex_lock(&peer->lock);
        if (peer->connections[i].fd >= 0) {
            (void)shutdown(peer->connections[i].fd, SHUT_RDWR);
        }
        (void)pthread_mutex_unlock(&peer->lock);
        (void)pthread_join(peer->connections[i].thread, NULL);
    }
    for (unsigned i = 0; i < peer->record_count; i++) {
        free(peer->records[i].head);
        free(peer->records[i].body);
    }
    (void)pthread_mutex_destroy(&peer->lock);
}

#endif
