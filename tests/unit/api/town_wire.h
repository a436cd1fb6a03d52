/* SPDX-License-Identifier: MIT */
/* town_wire.h - the servers of a town: what they are told, and what they say, each as fate has it. */
#ifndef TESTS_UNIT_API_TOWN_WIRE_H
#define TESTS_UNIT_API_TOWN_WIRE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "call/call_internal.h"
#include "gate/gate.h"
#include "health/health_internal.h"
#include "mcp/session.h"
#include "mcp/transport.h"
#include "policy/policy.h"
#include "rpc/rpc.h"
#include "store/store.h"
#include "value/pack.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MS       ((mono_us)1000)
#define S        (1000 * MS)
#define MINUTE   (60 * S)
#define STEP     (20 * MS)
#define SERVERS  64u
#define PERSONS  8u
#define CALLS    120000u
#define REASONS  24u
#define SENT_MAX 300000u

/* What becomes of one request. */
enum fate_kind {
    ANSWERS,
    REFUSED,       /* nothing listens there: not sent */
    CONNECTS_LATE, /* no connection in time: not sent */
    LOST,          /* sent, then the connection was reset */
    FAILS,         /* 500 */
    BUSY,          /* 503 */
    BUSY_FOR,      /* 503 with Retry-After */
    LIMITED_FOR,   /* 429 with Retry-After */
    FORGOTTEN,     /* 404: it does not know the session */
    HANGS,         /* nothing comes, ever */
    EXITS,         /* a process ends */
    FATES
};

struct fate {
    enum fate_kind kind;
    mono_us after;
    int64_t wait_ms;
};

struct server {
    char name[32];
    struct service_conf *conf;
    struct fate (*fate)(struct server *server, bool is_call);
    bool is_down; /* what the fates of outages go by */
    enum fate_kind outage;
    unsigned first_wire; /* older ones are not known any more: it was begun anew since */
    unsigned connects, calls, probes, failed_probes;
    unsigned by_fate[FATES]; /* of calls */
    unsigned window_calls;   /* of fates that count */
    mono_us window;
    unsigned breaker_changes, opened, quarantines, limited, news, status_changes;
    mono_us open_since, open_for;
};

struct line {
    struct mcp_transport transport;
    struct list_link link;
    const struct mcp_transport_events *events;
    void *arg;
    struct server *server;
    unsigned number;
    struct list said; /* struct saying: not yet answered */
    struct loop_task task;
    bool is_opening, is_closing, is_over;
};

struct saying {
    struct list_link link;
    struct loop_timer timer;
    struct line *wire;
    struct fate fate;
    char method[24];
    unsigned long long id;
    mcp_token token;
};

struct heard { /* of one call; its msgid is its index */
    struct server *server;
    unsigned person;
    mono_us began, ended, timeout;
    bool is_over, is_ok;
    char why[56];  /* "CODE/no_retry" */
    unsigned sent; /* attempts, as the wire saw them */
    int64_t retry_after_ms;
};

struct person {
    int fd;
    char agent[16];
    struct buf in;
};

struct sent {
    mono_us at;
    const struct server *server;
    unsigned person;
    bool is_retry;
};

static struct town {
    struct loop *loop;
    struct store *store;
    struct mcp_services *services;
    struct gates *gates;
    struct health *health;
    struct calls *calls;
    struct rpc_server *rpc;
    struct rpc_limits limits;
    struct metrics metrics;
    struct share_limits shares;
    uint32_t calls_max;
    struct sockaddr_un address;
    char folder[64];
    struct server servers[SERVERS];
    unsigned server_count;
    struct list wires;
    unsigned wire_count;
    struct person persons[PERSONS];
    unsigned person_count;
    struct heard notes[CALLS];
    uint32_t note_count, under_way;
    struct sent sent[SENT_MAX];
    unsigned sent_count;
    uint64_t seed, random;
    mono_us step; /* of `pass` */
} town;

/* ---- chance ------------------------------------------------------------------------------ */

/* SplitMix64: any seed is a good one. */
static inline uint64_t chance(void)
{
    uint64_t x = town.random += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static inline bool chance_of(double share)
{
    return (double)(chance() >> 11) / (double)(UINT64_C(1) << 53) < share;
}

/* From `least` to `most`. */
static inline mono_us chance_time(mono_us least, mono_us most)
{
    return least + (mono_us)(chance() % (uint64_t)(most - least + 1));
}

static inline uint64_t seed_told(void)
{
    const char *text = getenv("TOOLBROKER_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)clock_mono();
    print_message("TOOLBROKER_SEED=%" PRIu64 "\n", seed);
    return seed;
}

/* ---- the wire ---------------------------------------------------------------------------- */

static inline struct line *wire_of(struct mcp_transport *transport)
{
    return (struct line *)(void *)transport;
}

static inline bool wire_lives(const struct line *wire)
{
    list_each (link, &town.wires) {
        if (LIST_ITEM(link, struct line, link) == wire) {
            return true;
        }
    }
    return false;
}

static inline bool is_stdio(const struct line *wire)
{
    return wire->server->conf->transport == SERVICE_STDIO;
}

static inline const char *result_of(const char *method)
{
    if (strcmp(method, "initialize") == 0) {
        return "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"tools\":{}},"
               "\"serverInfo\":{\"name\":\"town\",\"version\":\"1\"}}";
    }
    if (strcmp(method, "tools/list") == 0) {
        return "{\"tools\":[{\"name\":\"look\",\"inputSchema\":{\"type\":\"object\"},"
               "\"annotations\":{\"readOnlyHint\":true}}]}";
    }
    return strcmp(method, "tools/call") == 0 ? "{\"content\":[]}" : "{}";
}

static inline void answer_ok(struct line *wire, const struct saying *saying)
{
    char text[512];
    (void)snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":%s}",
                   saying->id, result_of(saying->method));
    wire->events->message(wire->arg, slice_of(text), is_stdio(wire) ? 0 : saying->token);
    if (wire_lives(wire) && !is_stdio(wire)) {
        wire->events->exchange_ended(wire->arg, saying->token, NULL, false);
    }
}

/* As mcp/http_answer.c and loop/http_failure.c tell it. */
static const struct {
    enum err_code code;
    enum failure_class class;
    bool is_sent, is_nothing_done;
    const char *words;
} failures[FATES] = {
    [REFUSED] = {ERR_UNAVAILABLE, FAILURE_NETWORK, false, false, "connection refused"},
    [CONNECTS_LATE] = {ERR_TIMEOUT, FAILURE_NETWORK, false, false, "no connection in time"},
    [LOST] = {ERR_UNAVAILABLE, FAILURE_NETWORK, true, false, "connection reset"},
    [FAILS] = {ERR_UNAVAILABLE, FAILURE_SERVER, true, false, "answered 500"},
    [BUSY] = {ERR_UNAVAILABLE, FAILURE_SERVER, true, false, "answered 503"},
    [BUSY_FOR] = {ERR_UNAVAILABLE, FAILURE_SERVER, true, true, "answered 503 with Retry-After"},
    [LIMITED_FOR] = {ERR_RATE_LIMITED, FAILURE_RATE_LIMIT, true, true, "answered 429"},
    [FORGOTTEN] = {ERR_UNAVAILABLE, FAILURE_SERVER, true, true, "answered 404"},
    [EXITS] = {ERR_UNAVAILABLE, FAILURE_PROCESS, true, false, "the process ended"},
};

static inline void fill_failure(const struct fate *fate, struct failure *failure)
{
    failure_set(failure, failures[fate->kind].code, "%s", failures[fate->kind].words);
    failure->class = failures[fate->kind].class;
    failure->is_nothing_done = failures[fate->kind].is_nothing_done;
    failure_detail_pack(failure, "request_sent",
                        failures[fate->kind].is_sent ? SLICE("\xC3") : SLICE("\xC2"));
    if (fate->kind == BUSY_FOR || fate->kind == LIMITED_FOR) {
        failure->retry_after_ms = fate->wait_ms;
    }
}

static inline void answer_badly(struct line *wire, const struct saying *saying)
{
    struct failure failure = {0};
    struct rate_fields fields;
    fill_failure(&saying->fate, &failure);
    if (is_stdio(wire)) {
        wire->is_over = true;
        wire->events->closed(wire->arg, &failure);
        failure_done(&failure);
        return;
    }
    if (failure.retry_after_ms >= 0) {
        rate_fields_init(&fields);
        fields.retry_after_ms = failure.retry_after_ms;
        wire->events->limits(wire->arg, &fields, true);
    }
    wire->events->exchange_ended(wire->arg, saying->token, &failure,
                                 saying->fate.kind == FORGOTTEN);
    failure_done(&failure);
}

static inline void saying_free(struct saying *saying)
{
    loop_timer_cancel(town.loop, &saying->timer);
    list_remove(&saying->link);
    mem_free(saying);
}

static inline void saying_due(void *arg)
{
    struct saying *saying = arg;
    struct line *wire = saying->wire;
    const struct saying copy = *saying;
    saying_free(saying);
    if (copy.fate.kind == ANSWERS) {
        answer_ok(wire, &copy);
    } else {
        answer_badly(wire, &copy);
    }
}

static inline void note_sent(struct server *server, const char *json)
{
    const char *at = strstr(json, "\"n\":");
    unsigned long n = at ? strtoul(at + 4, NULL, 10) : CALLS;
    assert_true(n < town.note_count);
    assert_true(town.sent_count < SENT_MAX);
    town.sent[town.sent_count++] = (struct sent){loop_now(town.loop), server,
                                                 town.notes[n].person, town.notes[n].sent > 0};
    town.notes[n].sent++;
    server->calls++;
}

static inline struct fate fate_of(struct line *wire, bool is_call)
{
    struct server *server = wire->server;
    struct fate fate = {.kind = ANSWERS, .after = 5 * MS};
    if (server->fate) {
        fate = server->fate(server, is_call);
    }
    if (fate.kind == ANSWERS && wire->number < server->first_wire) {
        fate.kind = is_stdio(wire) ? EXITS : FORGOTTEN;
    }
    return fate;
}

static inline void take_request(struct line *wire, const char *json, mcp_token token)
{
    struct server *server = wire->server;
    struct saying *saying = mem_new(sizeof *saying);
    const char *method = strstr(json, "\"method\":\"") + strlen("\"method\":\"");
    const char *id = strstr(json, "\"id\":");
    (void)snprintf(saying->method, sizeof saying->method, "%.*s", (int)strcspn(method, "\""),
                   method);
    bool is_call = strcmp(saying->method, "tools/call") == 0;
    saying->id = strtoull(id + 5, NULL, 10);
    saying->token = token;
    saying->wire = wire;
    saying->fate = fate_of(wire, is_call);
    loop_timer_init(&saying->timer, saying_due, saying);
    list_append(&wire->said, &saying->link);
    if (is_call) {
        note_sent(server, json);
        server->by_fate[saying->fate.kind]++;
    } else if (strcmp(saying->method, "ping") == 0) {
        server->probes++;
        server->failed_probes += saying->fate.kind != ANSWERS;
    }
    if (saying->fate.kind != HANGS) {
        loop_timer_set(town.loop, &saying->timer, loop_now(town.loop) + saying->fate.after);
    }
}

static inline int wire_send(struct mcp_transport *transport, const struct mcp_outgoing *message,
                            struct failure *failure)
{
    (void)failure;
    if (message->kind == MCP_REQUEST) {
        char *json = mem_dup(message->json);
        take_request(wire_of(transport), json, message->token);
        mem_free(json);
    }
    return 0;
}

/* A process that exits at once never gets so far as to open. */
static inline void wire_run(void *arg)
{
    struct line *wire = arg;
    bool is_opening = wire->is_opening;
    wire->is_opening = false;
    if (wire->is_closing && !wire->is_over) {
        wire->is_over = true;
        wire->events->closed(wire->arg, NULL);
    } else if (is_opening && is_stdio(wire) && wire->server->is_down &&
               wire->server->outage == EXITS) {
        const struct saying none = {.fate = {.kind = EXITS}};
        answer_badly(wire, &none);
    } else if (is_opening) {
        wire->events->opened(wire->arg);
    }
}

static inline void wire_open(struct mcp_transport *transport)
{
    struct line *wire = wire_of(transport);
    wire->is_opening = true;
    loop_later(town.loop, &wire->task);
}

static inline void wire_abandon(struct mcp_transport *transport, mcp_token token)
{
    list_each (link, &wire_of(transport)->said) {
        struct saying *saying = LIST_ITEM(link, struct saying, link);
        if (saying->token == token) {
            saying_free(saying);
        }
    }
}

/* Before `initialize`: the id of the session is dropped. */
static inline void wire_set_revision(struct mcp_transport *transport,
                                     const struct revision *revision)
{
    if (!revision) {
        wire_of(transport)->number = ++town.wire_count;
    }
}

static inline void wire_close(struct mcp_transport *transport)
{
    struct line *wire = wire_of(transport);
    wire->is_closing = true;
    loop_later(town.loop, &wire->task);
}

static inline void wire_free(struct mcp_transport *transport)
{
    struct line *wire = wire_of(transport);
    struct list_link *link;
    loop_task_cancel(&wire->task);
    list_remove(&wire->link);
    while ((link = list_first(&wire->said))) {
        saying_free(LIST_ITEM(link, struct saying, link));
    }
    mem_free(wire);
}

static const struct mcp_transport_ops http_wire = {.has_exchanges = true,
                                                   .open = wire_open,
                                                   .send = wire_send,
                                                   .abandon = wire_abandon,
                                                   .set_revision = wire_set_revision,
                                                   .close = wire_close,
                                                   .free = wire_free};
static const struct mcp_transport_ops stdio_wire = {.open = wire_open,
                                                    .send = wire_send,
                                                    .abandon = wire_abandon,
                                                    .close = wire_close,
                                                    .free = wire_free};

static inline struct server *server_named(struct slice name)
{
    for (unsigned i = 0; i < town.server_count; i++) {
        if (slice_is(name, town.servers[i].name)) {
            return &town.servers[i];
        }
    }
    fail_msg("no server");
    return NULL;
}

static inline struct mcp_transport *town_connect(void *arg, const struct mcp_session *session,
                                                 const struct mcp_transport_events *events,
                                                 void *events_arg, struct failure *failure)
{
    struct server *server = server_named(session->conf->name);
    struct line *wire = mem_new(sizeof *wire);
    (void)arg;
    (void)failure;
    server->connects++;
    wire->number = ++town.wire_count;
    wire->transport.ops = server->conf->transport == SERVICE_STDIO ? &stdio_wire : &http_wire;
    wire->events = events;
    wire->arg = events_arg;
    wire->server = server;
    list_init(&wire->said);
    loop_task_init(&wire->task, wire_run, wire);
    list_append(&town.wires, &wire->link);
    return &wire->transport;
}

/* Answers the oldest call that hangs at `server`; false: none does. */
static inline bool answer_one_that_hangs(const struct server *server)
{
    list_each (link, &town.wires) {
        const struct line *wire = LIST_ITEM(link, struct line, link);
        list_each (said, &wire->said) {
            struct saying *saying = LIST_ITEM(said, struct saying, link);
            if (wire->server == server && saying->fate.kind == HANGS) {
                saying->fate.kind = ANSWERS;
                loop_timer_set(town.loop, &saying->timer, loop_now(town.loop));
                return true;
            }
        }
    }
    return false;
}

#endif
