/* SPDX-License-Identifier: MIT */
/* town_wire.h - the servers of a town: what they are told, and what they say, each as fate has it. */
#ifndef TESTS_UNIT_API_TOWN_WIRE_H
#define TESTS_UNIT_API_TOWN_WIRE_H

#include "base/log.h"
#include "call/call_internal.h"
#include "gate/gate.h"
#include "health/health_internal.h"
#include "mcp/session.h"
#include "policy/policy.h"
#include "rpc/rpc.h"
#include "store/store.h"
#include "value/pack.h"

#include "../scripted_wire.h"

#include <dirent.h>
#include <inttypes.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

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
    struct wires wires;
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

static inline void answer_badly(const struct saying *saying)
{
    struct scripted_wire *wire = saying->wire;
    struct failure failure = {0};
    struct rate_fields fields;
    fill_failure(&saying->fate, &failure);
    if (!wire->is_stdio && failure.retry_after_ms >= 0) {
        rate_fields_init(&fields);
        fields.retry_after_ms = failure.retry_after_ms;
        wire->events->limits(wire->arg, &fields, true);
    }
    saying_fail(saying, &failure, saying->fate.kind == FORGOTTEN);
}

static inline void answer(const struct saying *saying)
{
    if (saying->fate.kind == ANSWERS) {
        saying_answer(saying);
    } else {
        answer_badly(saying);
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

static inline struct fate fate_of(const struct scripted_wire *wire, bool is_call)
{
    struct server *server = wire->server;
    struct fate fate = {.kind = ANSWERS, .after = 5 * MS};
    if (server->fate) {
        fate = server->fate(server, is_call);
    }
    if (fate.kind == ANSWERS && wire->number < server->first_wire) {
        fate.kind = wire->is_stdio ? EXITS : FORGOTTEN;
    }
    if (fate.kind == HANGS) {
        fate.after = MONO_NEVER;
    }
    return fate;
}

static inline struct fate take_asked(const struct saying *saying, const char *json)
{
    struct server *server = saying->wire->server;
    bool is_call = strcmp(saying->method, "tools/call") == 0;
    struct fate fate = fate_of(saying->wire, is_call);
    if (is_call) {
        note_sent(server, json);
        server->by_fate[fate.kind]++;
    } else if (strcmp(saying->method, "ping") == 0) {
        server->probes++;
        server->failed_probes += fate.kind != ANSWERS;
    }
    return fate;
}

/* A process that exits at once never gets so far as to open. */
static inline void open_or_exit(struct scripted_wire *wire)
{
    const struct server *server = wire->server;
    if (wire->is_stdio && server->is_down && server->outage == EXITS) {
        answer_badly(&(struct saying){.wire = wire, .fate = {.kind = EXITS}});
    } else {
        wire->events->opened(wire->arg);
    }
}

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
    (void)arg;
    (void)failure;
    server->connects++;
    return scripted_new(&town.wires, server, session->conf, events, events_arg);
}

/* Answers the oldest call that hangs at `server`; false: none does. */
static inline bool answer_one_that_hangs(const struct server *server)
{
    list_each (link, &town.wires.list) {
        const struct scripted_wire *wire = LIST_ITEM(link, struct scripted_wire, link);
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
