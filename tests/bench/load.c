/* SPDX-License-Identifier: MIT */
/*
 * load.c - drives a server with N connections of depth P and tells rate, latency and the
 * server's CPU time: one program for every protocol, so that only the servers differ.
 */
#include "value/pack.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES  (1u << 18)
#define PIDS_MAX    16
#define DEPTH_MAX   4096
#define CLIENTS_MAX 20000

enum protocol { PROTO_RPC, PROTO_REDIS, PROTO_HTTP };

struct client {
    int fd;
    uint64_t *sent_ns; /* ring of `depth` */
    uint64_t sent, received;
    char *rest;
    size_t rest_len, rest_cap;
    struct pack_scan scan;
};

static struct {
    enum protocol protocol;
    struct sockaddr_storage address;
    socklen_t address_len;
    char *request;
    size_t request_len;
    const char *must_hold; /* every reply holds this text */
    unsigned connections, depth;
    double seconds;
    int pids[PIDS_MAX];
    unsigned pid_count;
    int idle_connections;
    size_t id_at; /* of the JSON-RPC id in an HTTP request; 0: none to number */
} args = {.connections = 1, .depth = 1, .seconds = 2};

static struct client *clients;
static uint32_t *latencies;
static size_t latency_count, latency_cap;
static uint64_t total, wrong;
static uint32_t numbers;

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

struct cpu {
    uint64_t all, loops; /* ns on a CPU: of every thread, and of the first of each process */
};

static void add_cpu(int pid, struct cpu *cpu)
{
    char path[300];
    (void)snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *folder = opendir(path);
    if (!folder) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, entry->d_name);
        FILE *file = fopen(path, "r");
        char line[128];
        if (file && fgets(line, sizeof line, file)) {
            uint64_t ns = strtoull(line, NULL, 10);
            cpu->all += ns;
            cpu->loops += strtol(entry->d_name, NULL, 10) == pid ? ns : 0;
        }
        if (file) {
            (void)fclose(file);
        }
    }
    (void)closedir(folder);
}

static struct cpu cpu_of_all(void)
{
    struct cpu cpu = {0};
    for (unsigned i = 0; i < args.pid_count; i++) {
        add_cpu(args.pids[i], &cpu);
    }
    return cpu;
}

static double us_each(uint64_t ns, uint64_t count)
{
    return count ? (double)ns / 1e3 / (double)count : 0.0;
}

static int connect_one(void)
{
    int fd = socket(args.address.ss_family, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&args.address, args.address_len) != 0) {
        die("connect");
    }
    if (args.address.ss_family == AF_INET) {
        int one = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

static void send_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            (void)sched_yield();
        } else {
            die("send");
        }
    }
}

/* An RPC request carries its number as a four-byte msgid, an HTTP one as its JSON-RPC id of ten
 * digits, if it has such: servers that keep sessions mix up calls of one id. */
static void number_request(char *request, uint32_t number)
{
    if (args.protocol == PROTO_RPC) {
        number = htonl(number);
        memcpy(request + 3, &number, 4);
    } else if (args.id_at) {
        char digits[11];
        (void)snprintf(digits, sizeof digits, "%010u", 1000000000u + number % 1000000000u);
        memcpy(request + args.id_at, digits, 10);
    }
}

/* `count` requests in one write. */
static void send_requests(struct client *client, unsigned count)
{
    static char *batch;
    static size_t cap;
    size_t len = args.request_len * count;
    if (!batch || cap < len) {
        batch = realloc(batch, len);
        cap = len;
        if (!batch) {
            die("memory");
        }
    }
    uint64_t now = now_ns();
    for (unsigned i = 0; i < count; i++) {
        char *to = batch + i * args.request_len;
        memcpy(to, args.request, args.request_len);
        number_request(to, args.protocol == PROTO_RPC ? (uint32_t)client->sent : ++numbers);
        client->sent_ns[client->sent++ % args.depth] = now;
    }
    send_all(client->fd, batch, len);
}

/* ---- where a reply ends: its length, 0 when it is not whole yet ----------------------------- */

static size_t rpc_reply(struct client *client, const char *bytes, size_t len)
{
    static const struct pack_limits limits = {1u << 30, 64, 1u << 30};
    size_t length = 0;
    if (pack_scan(&client->scan, (struct slice){bytes, len}, &limits) == PACK_SCAN_DONE) {
        length = client->scan.at;
        PACK_SCAN_START(&client->scan);
        if (length < 4 || (unsigned char)bytes[1] != 1) {
            return length; /* a notification: not counted as a reply */
        }
    }
    return length;
}

static size_t redis_reply(const char *bytes, size_t len)
{
    const char *end = memchr(bytes, '\n', len);
    if (!end) {
        return 0;
    }
    size_t line = (size_t)(end - bytes) + 1;
    if (bytes[0] != '$') {
        return line;
    }
    size_t whole = line + strtoul(bytes + 1, NULL, 10) + 2;
    return whole <= len ? whole : 0;
}

static const char *find(const char *bytes, size_t len, const char *text)
{
    return memmem(bytes, len, text, strlen(text));
}

static size_t http_reply(const char *bytes, size_t len)
{
    const char *body = find(bytes, len, "\r\n\r\n");
    if (!body) {
        return 0;
    }
    size_t head = (size_t)(body - bytes) + 4;
    const char *length = find(bytes, head, "ontent-Length: ");
    if (!length) {
        length = find(bytes, head, "ontent-length: ");
    }
    if (length) {
        size_t whole = head + strtoul(length + 15, NULL, 10);
        return whole <= len ? whole : 0;
    }
    const char *end = find(body, len - (size_t)(body - bytes), "\r\n0\r\n\r\n");
    return end ? (size_t)(end - bytes) + 7 : 0;
}

static size_t reply_length(struct client *client, const char *bytes, size_t len)
{
    return args.protocol == PROTO_RPC     ? rpc_reply(client, bytes, len)
           : args.protocol == PROTO_REDIS ? redis_reply(bytes, len)
                                          : http_reply(bytes, len);
}

static bool is_right(const char *bytes, size_t len)
{
    return !args.must_hold || find(bytes, len, args.must_hold);
}

static void note_latency(uint64_t ns)
{
    if (latency_count < latency_cap) {
        latencies[latency_count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
    }
}

static unsigned take_replies(struct client *client, const char *bytes, size_t len,
                             size_t *ret_used)
{
    unsigned count = 0;
    size_t used = 0;
    uint64_t now = now_ns();
    for (size_t length; used < len && (length = reply_length(client, bytes + used, len - used));
         used += length) {
        bool is_note = args.protocol == PROTO_RPC && (unsigned char)bytes[used + 1] == 2;
        if (is_note) {
            continue;
        }
        /* Every reply is measured and counted; every sixteenth is read, so that the client is not
         * what is measured. */
        wrong += client->received % 16 == 0 && !is_right(bytes + used, length);
        note_latency(now - client->sent_ns[client->received++ % args.depth]);
        count++;
    }
    *ret_used = used;
    return count;
}

/* The client's own buffer, of so many bytes at least. */
static char *room(struct client *client, size_t bytes)
{
    if (client->rest_cap < bytes) {
        client->rest_cap = bytes * 2;
        client->rest = realloc(client->rest, client->rest_cap);
        if (!client->rest) {
            die("memory");
        }
    }
    return client->rest;
}

static void receive(struct client *client, bool send_more)
{
    static char buffer[READ_BYTES];
    bool is_more = client->rest_len > 0; /* of a reply whose beginning is there */
    char *bytes = is_more ? room(client, client->rest_len + READ_BYTES) : buffer;
    ssize_t n = recv(client->fd, bytes + client->rest_len, READ_BYTES, 0);
    if (n <= 0) {
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        die("server closed");
    }
    size_t len = client->rest_len + (size_t)n;
    size_t used = 0;
    unsigned count = take_replies(client, bytes, len, &used);
    total += count;
    client->rest_len = len - used;
    if (client->rest_len) {
        memmove(is_more ? bytes : room(client, client->rest_len), bytes + used,
                client->rest_len);
    }
    if (count && send_more) {
        send_requests(client, count);
    }
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Sorted before. */
static double latency_us(unsigned percent)
{
    size_t at = latency_count * percent / 100;
    return latency_count ? (double)latencies[at] / 1e3 : 0.0;
}

static void parse_address(const char *unix_path, const char *port)
{
    if (unix_path) {
        struct sockaddr_un *address = (struct sockaddr_un *)&args.address;
        address->sun_family = AF_UNIX;
        (void)snprintf(address->sun_path, sizeof address->sun_path, "%s", unix_path);
        args.address_len = sizeof *address;
    } else {
        struct sockaddr_in *address = (struct sockaddr_in *)&args.address;
        address->sin_family = AF_INET;
        address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address->sin_port = htons((uint16_t)strtoul(port, NULL, 10));
        args.address_len = sizeof *address;
    }
}

static void read_request(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        die(path);
    }
    args.request_len = (size_t)ftell(file);
    rewind(file);
    args.request = malloc(args.request_len);
    if (!args.request || fread(args.request, 1, args.request_len, file) != args.request_len) {
        die(path);
    }
    (void)fclose(file);
}

static void parse_pids(char *list)
{
    for (char *at = strtok_r(list, ",", &list); at && args.pid_count < PIDS_MAX;
         at = strtok_r(NULL, ",", &list)) {
        args.pids[args.pid_count++] = (int)strtol(at, NULL, 10);
    }
}

static void parse(int argc, char **argv)
{
    const char *unix_path = NULL;
    const char *port = NULL;
    int name;
    while ((name = getopt(argc, argv, "u:t:p:r:c:d:s:P:m:i:")) != -1) {
        switch (name) {
        case 'u':
            unix_path = optarg;
            break;
        case 't':
            port = optarg;
            break;
        case 'p':
            args.protocol = optarg[0] == 'h'                       ? PROTO_HTTP
                            : optarg[0] == 'r' && optarg[1] == 'e' ? PROTO_REDIS
                                                                   : PROTO_RPC;
            break;
        case 'r':
            read_request(optarg);
            break;
        case 'c':
            args.connections = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'd':
            args.depth = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 's':
            args.seconds = strtod(optarg, NULL);
            break;
        case 'P':
            parse_pids(optarg);
            break;
        case 'm':
            args.must_hold = optarg;
            break;
        case 'i':
            args.idle_connections = (int)strtol(optarg, NULL, 10);
            break;
        default:
            break;
        }
    }
    if ((!unix_path && !port) || !args.request || !args.connections || !args.depth ||
        args.connections > CLIENTS_MAX || args.depth > DEPTH_MAX) {
        (void)fputs("usage: load (-u SOCKET | -t PORT) -p rpc|redis|http -r REQUEST_FILE [-c "
                    "CONNECTIONS] [-d DEPTH] [-s SECONDS] [-P PID,...] [-m TEXT] [-i IDLE]\n",
                    stderr);
        exit(2);
    }
    parse_address(unix_path, port);
    const char *id = memmem(args.request, args.request_len, "\"id\": 1000000000", 16);
    args.id_at = args.protocol == PROTO_HTTP && id ? (size_t)(id - args.request) + 6 : 0;
}

/* One pass over ready sockets. */
static void turn(int poller, bool send_more)
{
    struct epoll_event events[256];
    int count = epoll_wait(poller, events, 256, 100);
    for (int i = 0; i < count; i++) {
        receive(events[i].data.ptr, send_more);
    }
}

static void drain(int poller)
{
    uint64_t limit = now_ns() + 10000000000u;
    for (unsigned i = 0; i < args.connections; i++) {
        while (clients[i].received < clients[i].sent && now_ns() < limit) {
            turn(poller, false);
        }
        wrong += clients[i].sent - clients[i].received;
    }
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    latency_cap = 1u << 22;
    latencies = malloc(latency_cap * sizeof *latencies);
    clients = calloc(args.connections, sizeof *clients);
    int poller = epoll_create1(0);
    if (!latencies || !clients || poller < 0) {
        die("memory");
    }
    for (int i = 0; i < args.idle_connections; i++) {
        (void)connect_one(); /* kept open until we end */
    }
    for (unsigned i = 0; i < args.connections; i++) {
        clients[i].fd = connect_one();
        clients[i].sent_ns = calloc(args.depth, sizeof *clients[i].sent_ns);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};
        (void)epoll_ctl(poller, EPOLL_CTL_ADD, clients[i].fd, &event);
        send_requests(&clients[i], args.depth);
    }
    uint64_t warm = now_ns() + (uint64_t)(args.seconds * 0.2e9);
    while (now_ns() < warm) {
        turn(poller, true);
    }
    total = 0;
    latency_count = 0;
    struct cpu before = cpu_of_all();
    uint64_t began = now_ns();
    uint64_t until = began + (uint64_t)(args.seconds * 1e9);
    while (now_ns() < until) {
        turn(poller, true);
    }
    double took = (double)(now_ns() - began) / 1e9;
    struct cpu after = cpu_of_all();
    uint64_t measured = total;
    drain(poller);
    qsort(latencies, latency_count, sizeof *latencies, by_size);
    (void)printf("{\"requests\": %" PRIu64 ", \"per_second\": %.0f, \"p50_us\": %.1f, "
                 "\"p99_us\": %.1f, \"cpu_us\": %.3f, \"loop_us\": %.3f, \"wrong\": %" PRIu64
                 "}\n",
                 measured, (double)measured / took, latency_us(50), latency_us(99),
                 us_each(after.all - before.all, measured),
                 us_each(after.loops - before.loops, measured), wrong);
    return wrong ? 1 : 0;
}
