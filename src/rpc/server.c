/* SPDX-License-Identifier: MIT */
/* server.c - the listening socket: who connects, whether they may, and the table of methods. */
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "rpc/rpc_internal.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 64
#define ACCEPT_PAUSE_US  100000
#define GROUPS_MAX       1024

static void flush_dirty(void *arg)
{
    struct rpc_server *server = arg;
    struct list_link *link;
    while ((link = list_first(&server->dirty))) {
        struct rpc_peer *peer = LIST_ITEM(link, struct rpc_peer, dirty);
        list_remove(&peer->dirty);
        rpc_peer_flush(peer);
    }
}

static bool is_in_group(int fd, gid_t gid)
{
    gid_t groups[GROUPS_MAX];
    socklen_t size = sizeof groups;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) != 0) {
        return false;
    }
    for (size_t i = 0; i < size / sizeof groups[0]; i++) {
        if (groups[i] == gid) {
            return true;
        }
    }
    return false;
}

static bool identify(const struct rpc_server *server, int fd, struct rpc_identity *ret)
{
    struct ucred cred;
    socklen_t size = sizeof cred;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) != 0) {
        return false;
    }
    bool is_admin = cred.uid == geteuid() || cred.uid == 0;
    *ret = (struct rpc_identity){
        .uid = cred.uid,
        .gid = cred.gid,
        .pid = cred.pid,
        .is_admin = is_admin,
        .is_trusted =
            is_admin || cred.gid == server->socket_gid || is_in_group(fd, server->socket_gid),
    };
    return true;
}

/* How many connections one user id has; freed with the last of them. */
struct uid_count {
    uint32_t connections;
};

static struct uid_count *count_of(struct rpc_server *server, uid_t uid)
{
    struct uid_count *count = map_get_id(&server->uids, (uint64_t)uid);
    if (!count) {
        count = mem_new(sizeof *count);
        map_set_id(&server->uids, (uint64_t)uid, count);
    }
    return count;
}

void rpc_server_forget(struct rpc_server *server, const struct rpc_identity *identity)
{
    struct uid_count *count = count_of(server, identity->uid);
    server->connections--;
    if (--count->connections == 0) {
        mem_free(map_remove_id(&server->uids, (uint64_t)identity->uid));
    }
}

/* A connection over a limit is told why before it is closed: [2, "error", [{...}]]. */
static void refuse(int fd, const char *limit, uint32_t value)
{
    struct failure failure = {0};
    struct buf out;
    buf_init(&out, 4096);
    failure_set(&failure, ERR_OVERLOADED, "the daemon has %u connections, its %s", value,
                limit);
    pack_put_array(&out, 3);
    pack_put_uint(&out, 2);
    pack_put_text(&out, "error");
    pack_put_array(&out, 1);
    failure_put(&failure, SLICE(""), &out);
    if (!out.overflow) {
        (void)send(fd, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    buf_done(&out);
    failure_done(&failure);
    log_at(LOG_WARN, "rpc", "connection refused", LOG_TEXT("limit", limit),
           LOG_INT("value", value));
}

static void admit(struct rpc_server *server, int fd)
{
    const struct rpc_limits *limits = server->options.limits;
    struct rpc_identity identity;
    if (!identify(server, fd, &identity)) {
        (void)close(fd);
        return;
    }
    if (server->connections >= limits->connections) {
        refuse(fd, "limits.connections", limits->connections);
        (void)close(fd);
        return;
    }
    struct uid_count *of_uid = count_of(server, identity.uid);
    if (of_uid->connections >= limits->connections_per_uid) {
        refuse(fd, "limits.connections_per_uid", limits->connections_per_uid);
        (void)close(fd);
        return;
    }
    of_uid->connections++;
    struct rpc_peer *peer = rpc_peer_new(server, fd, &identity);
    list_append(&server->peers, &peer->link);
    server->connections++;
    metrics_add(server->options.metrics, METRIC_CONNECTIONS_ACCEPTED, 1);
}

static void accept_ready(void *arg, unsigned events)
{
    struct rpc_server *server = arg;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(server->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(server, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_at(LOG_ERROR, "rpc", "cannot accept", LOG_TEXT("cause", strerror(errno)));
            loop_io_want(&server->listener, 0);
            loop_timer_set(server->options.loop, &server->accept_pause,
                           loop_now(server->options.loop) + ACCEPT_PAUSE_US);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static void accept_again(void *arg)
{
    struct rpc_server *server = arg;
    if (server->is_listening) {
        loop_io_want(&server->listener, LOOP_READ);
    }
}

struct rpc_server *rpc_server_new(const struct rpc_options *options)
{
    struct rpc_server *server = mem_new(sizeof *server);
    server->options = *options;
    list_init(&server->peers);
    list_init(&server->dirty);
    map_init(&server->methods);
    map_init(&server->uids);
    for (unsigned i = 0; i < options->method_count; i++) {
        const struct rpc_method *method = &options->methods[i];
        must(method->param_count <= RPC_PARAMS_MAX);
        must(!map_get(&server->methods, slice_of(method->name)));
        map_set(&server->methods, slice_of(method->name), (void *)method);
    }
    uint32_t boot = 0;
    must(getrandom(&boot, sizeof boot, 0) == sizeof boot);
    server->id_base = (uint64_t)boot << 32;
    server->read_buffer = mem_new(RPC_READ_BYTES);
    server->turn_end = (struct loop_turn_end){{NULL, NULL}, flush_dirty, server};
    loop_add_turn_end(options->loop, &server->turn_end);
    loop_timer_init(&server->accept_pause, accept_again, server);
    return server;
}

void rpc_server_free(struct rpc_server *server)
{
    if (!server) {
        return;
    }
    rpc_server_stop_listening(server);
    list_each (link, &server->peers) {
        rpc_peer_free(LIST_ITEM(link, struct rpc_peer, link));
    }
    loop_timer_cancel(server->options.loop, &server->accept_pause);
    loop_remove_turn_end(&server->turn_end);
    for (unsigned i = 0; i < server->spare_count; i++) {
        buf_done(&server->spares[i]);
    }
    map_done(&server->methods);
    map_done(&server->uids);
    mem_free(server->read_buffer);
    mem_free(server);
}

void rpc_server_listen(struct rpc_server *server, int fd)
{
    struct stat info;
    must(!server->is_listening);
    server->socket_gid = getegid();
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    /* The group of the socket's file, which an operator may have changed, not that of the inode
     * behind the descriptor. */
    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
        address.ss_family == AF_UNIX && size > offsetof(struct sockaddr, sa_data) &&
        stat(((struct sockaddr *)&address)->sa_data, &info) == 0) {
        server->socket_gid = info.st_gid;
    }
    loop_io_init(&server->listener, server->options.loop, fd, accept_ready, server);
    loop_io_want(&server->listener, LOOP_READ);
    server->is_listening = true;
}

void rpc_server_stop_listening(struct rpc_server *server)
{
    if (server->is_listening) {
        loop_io_done(&server->listener);
        (void)close(server->listener.fd);
        server->is_listening = false;
    }
}

unsigned rpc_server_connections(const struct rpc_server *server)
{
    return server->connections;
}

bool rpc_server_flush(struct rpc_server *server)
{
    flush_dirty(server);
    list_each (link, &server->peers) {
        const struct rpc_peer *peer = LIST_ITEM(link, struct rpc_peer, link);
        if (rpc_waiting(peer)) {
            return true;
        }
    }
    return false;
}

/* Eight digits at once: spreads the nibbles over a word, then turns each into its digit. */
static void put_hex(uint32_t number, char *to)
{
    uint64_t x = number;
    x = (x | x << 16) & 0x0000ffff0000ffffu;
    x = (x | x << 8) & 0x00ff00ff00ff00ffu;
    x = (x | x << 4) & 0x0f0f0f0f0f0f0f0fu;
    uint64_t letters = (x + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
    x = htobe64(x + 0x3030303030303030u + letters * ('a' - '0' - 10));
    memcpy(to, &x, 8);
}

void rpc_id_text(uint64_t id, char text[RPC_ID_TEXT])
{
    put_hex((uint32_t)(id >> 32), text);
    put_hex((uint32_t)id, text + 8);
    text[16] = '\0';
}
