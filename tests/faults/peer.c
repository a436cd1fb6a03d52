/* SPDX-License-Identifier: MIT */
/*
 * peer.c - an MCP server (2025-06-18) that goes wrong as its slot of the board says.
 *   fault_peer BOARD http        listens on loopback ports, which it writes on the board
 *   fault_peer BOARD stdio SLOT
 * Over HTTP the slot is the number at the end of the path.
 */
#include "board.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PEERS         128
#define IN_BYTES      65536
#define OUT_BYTES     4096
#define DRIP_MS       5
#define TLS_HANDSHAKE 0x16 /* the first byte of a record (RFC 8446, section 5.1) */

static struct board *board;

/* ---- messages ---------------------------------------------------------------------------- */

static const char tools[] =
    "{\"tools\":[{\"name\":\"read\",\"description\":\"reads\",\"inputSchema\":{\"type\":"
    "\"object\"},"
    "\"annotations\":{\"readOnlyHint\":true}},{\"name\":\"write\",\"description\":\"writes\","
    "\"inputSchema\":{\"type\":\"object\"}}]}";

/* The id as it stands in the message; our client sends numbers. */
static long id_of(const char *json)
{
    const char *at = strstr(json, "\"id\":");
    return at ? strtol(at + 5, NULL, 10) : -1;
}

static enum fault_id strike(struct slot *slot)
{
    int times = atomic_load(&slot->times);
    atomic_fetch_add(&slot->calls, 1);
    if (times == 0) {
        return FAULT_NONE;
    }
    if (times > 0) {
        atomic_store(&slot->times, times - 1);
    }
    return (enum fault_id)atomic_load(&slot->fault);
}

/* The answer to anything but tools/call; empty: none is due. */
static void answer(const char *json, char out[OUT_BYTES])
{
    const char *result = "{}";
    out[0] = '\0';
    if (id_of(json) < 0) {
        return;
    }
    if (strstr(json, "\"initialize\"")) {
        result = "{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"tools\":{}},"
                 "\"serverInfo\":{\"name\":\"fault\",\"version\":\"1\"}}";
    } else if (strstr(json, "\"tools/list\"")) {
        result = tools;
    }
    (void)snprintf(out, OUT_BYTES, "{\"jsonrpc\":\"2.0\",\"id\":%ld,\"result\":%s}",
                   id_of(json), result);
}

static void answer_call(const char *json, long wrong, char out[OUT_BYTES])
{
    (void)snprintf(
        out, OUT_BYTES,
        "{\"jsonrpc\":\"2.0\",\"id\":%ld,\"result\":{\"content\":[{\"type\":\"text\","
        "\"text\":\"done\"}]}}",
        id_of(json) + wrong);
}

/* ---- stdio ------------------------------------------------------------------------------- */

static void call_stdio(struct slot *slot, const char *line)
{
    char out[OUT_BYTES];
    enum fault_id fault = strike(slot);
    if (fault == FAULT_EXITS) {
        (void)fprintf(stderr, "giving up\n");
        _exit(3);
    }
    if (fault == FAULT_KILLED) {
        (void)raise(SIGKILL);
    }
    atomic_fetch_add(&slot->done, 1);
    answer_call(line, 0, out);
    (void)printf("%s\n", out);
}

static int serve_stdio(struct slot *slot)
{
    static char line[IN_BYTES], out[OUT_BYTES];
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        if (strstr(line, "\"tools/call\"")) {
            call_stdio(slot, line);
            continue;
        }
        answer(line, out);
        if (out[0]) {
            (void)printf("%s\n", out);
        }
        if (strstr(line, "\"tools/list\"") && atomic_load(&slot->fault) == FAULT_DEAF &&
            atomic_load(&slot->times)) {
            for (;;) {
                (void)pause();
            }
        }
    }
    return 0;
}

/* ---- HTTP -------------------------------------------------------------------------------- */

struct peer {
    int fd;
    size_t in_len, out_len, out_at;
    bool drips, ends; /* ends: closed when all is written */
    char in[IN_BYTES], out[OUT_BYTES * 2];
};

static struct peer *peers[PEERS];

static void drop(struct peer **place, bool resets)
{
    if (resets) {
        const struct linger at_once = {.l_onoff = 1};
        (void)setsockopt((*place)->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    (void)close((*place)->fd);
    free(*place);
    *place = NULL;
}

static void put(struct peer *peer, const char *status, const char *fields, const char *body,
                size_t claimed)
{
    int len = snprintf(peer->out + peer->out_len, sizeof peer->out - peer->out_len,
                       "HTTP/1.1 %s\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n%s\r\n%s",
                       status, claimed, fields, body);
    peer->out_len += (size_t)len;
}

static void put_json(struct peer *peer, const char *body)
{
    put(peer, "200 OK", "", body, strlen(body));
}

static void put_limit(struct peer *peer, enum fault_id fault)
{
    char fields[200];
    time_t until = (time_t)(atomic_load(&board->wall_ms) / 1000 + 2);
    if (fault == FAULT_LIMIT_DATE) {
        struct tm parts;
        (void)gmtime_r(&until, &parts);
        (void)strftime(fields, sizeof fields, "Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n",
                       &parts);
    } else if (fault == FAULT_LIMIT_RESET) {
        (void)snprintf(fields, sizeof fields,
                       "X-RateLimit-Limit: 10\r\nX-RateLimit-Remaining: 0\r\n"
                       "X-RateLimit-Reset: %lld\r\n",
                       (long long)until);
    } else {
        (void)snprintf(fields, sizeof fields, "Retry-After: 2\r\n");
    }
    put(peer, "429 Too Many Requests", fields, "{}", 2);
}

/* False: the connection is to be reset. */
static bool call_http(struct peer *peer, struct slot *slot, const char *json)
{
    char out[OUT_BYTES];
    enum fault_id fault = strike(slot);
    answer_call(json, fault == FAULT_WRONG_ID ? 7 : 0, out);
    switch (fault) {
    case FAULT_RESET_AFTER:
        atomic_fetch_add(&slot->done, 1); /* the worst: it was done, and nobody is told */
        return false;
    case FAULT_STATUS_500:
        put(peer, "500 Internal Server Error", "", "oops", 4);
        return true;
    case FAULT_STATUS_502:
        put(peer, "502 Bad Gateway", "", "oops", 4);
        return true;
    case FAULT_STATUS_503:
        put(peer, "503 Service Unavailable", "", "", 0);
        return true;
    case FAULT_STATUS_503_AFTER:
        put(peer, "503 Service Unavailable", "Retry-After: 2\r\n", "", 0);
        return true;
    case FAULT_LIMIT_SECONDS:
    case FAULT_LIMIT_DATE:
    case FAULT_LIMIT_RESET:
        put_limit(peer, fault);
        return true;
    case FAULT_STATUS_401:
        put(peer, "401 Unauthorized", "WWW-Authenticate: Bearer\r\n", "", 0);
        return true;
    case FAULT_STATUS_403:
        put(peer, "403 Forbidden", "", "", 0);
        return true;
    default:
        break;
    }
    atomic_fetch_add(&slot->done, 1);
    switch (fault) {
    case FAULT_HANG:
        return true;
    case FAULT_TRUNCATED:
        put(peer, "200 OK", "", "{\"jsonrpc\":\"2.0\",", 200);
        peer->ends = true;
        return true;
    case FAULT_BAD_JSON:
        put_json(peer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{]}");
        return true;
    case FAULT_DRIP:
        put(peer, "200 OK", "", out, 4000);
        peer->drips = true;
        return true;
    default:
        put_json(peer, out);
        return true;
    }
}

/* One complete request, if there is one. False: to be reset. */
static bool take_request(struct peer *peer)
{
    char *end = memmem(peer->in, peer->in_len, "\r\n\r\n", 4);
    if (!end) {
        return true;
    }
    *end = '\0';
    const char *length = strcasestr(peer->in, "\ncontent-length:");
    size_t body = length ? strtoul(length + 16, NULL, 10) : 0;
    size_t head = (size_t)(end + 4 - peer->in);
    if (peer->in_len < head + body) {
        *end = '\r';
        return true;
    }
    char json[IN_BYTES + 1], out[OUT_BYTES];
    memcpy(json, peer->in + head, body);
    json[body] = '\0';
    const char *path = strchr(peer->in, '/');
    size_t number = path ? strtoul(path + strcspn(path, "0123456789 "), NULL, 10) : 0;
    struct slot *slot = &board->slots[number % SLOTS];
    bool is_post = strncmp(peer->in, "POST ", 5) == 0;
    peer->in_len -= head + body;
    memmove(peer->in, peer->in + head + body, peer->in_len);
    if (!is_post) {
        put(peer, "405 Method Not Allowed", "", "", 0);
        return true;
    }
    if (strstr(json, "\"tools/call\"")) {
        return call_http(peer, slot, json);
    }
    answer(json, out);
    if (out[0]) {
        put_json(peer, out);
    } else {
        put(peer, "202 Accepted", "", "", 0);
    }
    return true;
}

static void write_some(struct peer **place)
{
    struct peer *peer = *place;
    size_t left = peer->out_len - peer->out_at;
    ssize_t count = send(peer->fd, peer->out + peer->out_at, peer->drips && left ? 1 : left,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN) {
        drop(place, false);
        return;
    }
    peer->out_at += count > 0 ? (size_t)count : 0;
    if (peer->out_at == peer->out_len) {
        peer->out_at = peer->out_len = 0;
        if (peer->ends) {
            drop(place, false);
        }
    }
}

static void read_some(struct peer **place)
{
    struct peer *peer = *place;
    ssize_t count =
        recv(peer->fd, peer->in + peer->in_len, sizeof peer->in - peer->in_len, MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN)) {
        drop(place, false);
        return;
    }
    peer->in_len += count > 0 ? (size_t)count : 0;
    if (peer->in_len && peer->in[0] == TLS_HANDSHAKE && !peer->ends) {
        put(peer, "400 Bad Request", "", "", 0); /* as web servers do */
        peer->ends = true;
        return;
    }
    if (!take_request(peer)) {
        drop(place, true);
    }
}

static int listener(_Atomic int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        perror("fault_peer");
        exit(1);
    }
    atomic_store(ret_port, ntohs(address.sin_port));
    return fd;
}

static void take_peer(int fd, bool resets)
{
    size_t place = 0;
    while (place < PEERS && peers[place]) {
        place++;
    }
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (peer < 0 || place == PEERS) {
        (void)close(peer);
        return;
    }
    peers[place] = calloc(1, sizeof *peers[place]);
    if (!peers[place]) {
        exit(1);
    }
    peers[place]->fd = peer;
    if (resets) {
        drop(&peers[place], true);
    }
}

static void serve_http(void)
{
    int good = listener(&board->port), bad = listener(&board->resetting_port);
    pid_t parent = getppid();
    while (getppid() == parent) {
        struct pollfd fds[PEERS + 2] = {{good, POLLIN, 0}, {bad, POLLIN, 0}};
        struct peer **at[PEERS + 2] = {NULL};
        nfds_t count = 2;
        for (size_t i = 0; i < PEERS; i++) {
            if (peers[i]) {
                bool waits = peers[i]->out_len > peers[i]->out_at && !peers[i]->drips;
                at[count] = &peers[i];
                fds[count++] =
                    (struct pollfd){peers[i]->fd, (short)(POLLIN | (waits ? POLLOUT : 0)), 0};
            }
        }
        if (poll(fds, count, DRIP_MS) < 0) {
            continue;
        }
        for (nfds_t i = 2; i < count; i++) {
            bool has_output = (*at[i])->out_len > (*at[i])->out_at;
            if (has_output && ((*at[i])->drips || (fds[i].revents & POLLOUT))) {
                write_some(at[i]);
            }
            if (*at[i] && (fds[i].revents & (POLLIN | POLLHUP | POLLERR))) {
                read_some(at[i]);
            }
        }
        if (fds[0].revents) {
            take_peer(good, false);
        }
        if (fds[1].revents) {
            take_peer(bad, true);
        }
    }
}

int main(int argc, char **argv)
{
    int fd = argc > 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
    board = fd < 0 ? MAP_FAILED
                   : mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (board == MAP_FAILED) {
        (void)fprintf(stderr, "usage: fault_peer BOARD http | stdio SLOT\n");
        return 2;
    }
    if (strcmp(argv[2], "stdio") == 0 && argc > 3) {
        return serve_stdio(&board->slots[strtoul(argv[3], NULL, 10) % SLOTS]);
    }
    serve_http();
    return 0;
}
