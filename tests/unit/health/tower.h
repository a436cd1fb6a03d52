/* SPDX-License-Identifier: MIT */
/*
 * tower.h - the monitor with gates and services whose servers answer by themselves, each as it is
 * told to. The clock stands still but for `pass`.
 */
#ifndef TESTS_UNIT_HEALTH_TOWER_H
#define TESTS_UNIT_HEALTH_TOWER_H

#include "gate/gate.h"
#include "health/health.h"
#include "mcp/session.h"
#include "value/json.h"
#include "value/pack.h"

#include "../scripted_wire.h"

#define SERVERS 1024u
#define STEP    (100 * MS)

/* WORKS: as a server of one thread on a call, it takes sessions and answers nothing else. */
enum mode { IS_UP, REFUSES, HANGS, FAILS, WORKS };

struct server {
    char name[32];
    enum mode mode;
    struct service_conf *conf;
    unsigned connects, pings, calls; /* that reached it, whatever it did then */
    unsigned is_stuck_since; /* wires made before this one never answer again; 0: none */
    const char *words;       /* of its failures; NULL: as usual */
};

static struct tower {
    struct loop *loop;
    struct mcp_services *services;
    struct gates *gates;
    struct health *health;
    struct server servers[SERVERS];
    unsigned count;
    struct wires wires;
    char news[8192]; /* "name:from>to " for each change of status */
} tower;

static inline struct server *server_named(struct slice name)
{
    for (unsigned i = 0; i < tower.count; i++) {
        if (slice_is(name, tower.servers[i].name)) {
            return &tower.servers[i];
        }
    }
    fail_msg("no server");
    return NULL;
}

static inline struct server *at(const char *name)
{
    return server_named(slice_of(name));
}

/* ---- the wire ---------------------------------------------------------------------------- */

static inline bool is_work(const struct saying *saying)
{
    return strcmp(saying->method, "tools/call") == 0 || strcmp(saying->method, "ping") == 0;
}

/* What is said to a server that hangs is never answered, also when it is back. */
static inline struct fate fate_of(const struct saying *saying, const char *json)
{
    struct server *server = saying->wire->server;
    bool hangs = server->mode == HANGS || (server->mode == WORKS && is_work(saying)) ||
                 saying->wire->number < server->is_stuck_since;
    (void)json;
    server->calls += strcmp(saying->method, "tools/call") == 0;
    server->pings += strcmp(saying->method, "ping") == 0;
    return (struct fate){.kind = server->mode, .after = hangs ? MONO_NEVER : 0};
}

static inline void answer_badly(const struct saying *saying)
{
    struct failure failure = {0};
    bool is_refused = saying->fate.kind == REFUSES;
    const char *words = saying->wire->server->words;
    failure_set(&failure, ERR_UNAVAILABLE, "%s",
                words        ? words
                : is_refused ? "connection refused"
                             : "the server answered 500");
    failure.class = saying->wire->is_stdio ? FAILURE_PROCESS
                    : is_refused           ? FAILURE_NETWORK
                                           : FAILURE_SERVER;
    saying_fail(saying, &failure, false);
}

static inline void answer(const struct saying *saying)
{
    if (saying->fate.kind == REFUSES || saying->fate.kind == FAILS) {
        answer_badly(saying);
    } else {
        saying_answer(saying);
    }
}

static inline struct mcp_transport *tower_connect(void *arg, const struct mcp_session *session,
                                                  const struct mcp_transport_events *events,
                                                  void *events_arg, struct failure *failure)
{
    struct server *server = server_named(session->conf->name);
    (void)arg;
    (void)failure;
    server->connects++;
    return scripted_new(&tower.wires, server, session->conf, events, events_arg);
}

/* ---- services ---------------------------------------------------------------------------- */

static inline struct service_conf *service(const char *name, enum service_transport transport)
{
    struct server *server = &tower.servers[tower.count++];
    assert_true(tower.count <= SERVERS);
    assert_true(snprintf(server->name, sizeof server->name, "%s", name) <
                (int)sizeof server->name);
    struct service_conf *conf = scripted_conf(server->name, transport);
    conf->idle_stop_s = 0;
    server->conf = conf;
    return conf;
}

static inline void state_changed(void *arg, const struct mcp_service *changed)
{
    (void)arg;
    if (tower.health) {
        health_state_changed(tower.health, changed);
    }
}

static inline void gate_changed(void *arg, const struct gate_change *change)
{
    (void)arg;
    if (tower.health) {
        (void)health_gate_changed(tower.health, change);
    }
}

static inline void status_changed(void *arg, struct slice name, enum health_status from,
                                  enum health_status to)
{
    size_t len = strlen(tower.news);
    (void)arg;
    (void)snprintf(tower.news + len, sizeof tower.news - len, "%.*s:%s>%s ", SLICE_ARG(name),
                   health_status_name(from), health_status_name(to));
}

static inline int tower_begin(void **state)
{
    (void)state;
    memset(&tower, 0, sizeof tower);
    tower.loop = loop_new();
    loop_freeze(tower.loop);
    tower.wires =
        (struct wires){.loop = tower.loop,
                       .tool = "{\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\"}}",
                       .asked = fate_of,
                       .due = answer};
    scripted_init(&tower.wires);
    tower.gates =
        gates_new(&(struct gates_options){.loop = tower.loop, .changed = gate_changed});
    tower.services = mcp_services_new(&(struct mcp_services_options){
        .loop = tower.loop,
        .message_bytes = (size_t)1 << 20,
        .state_folder = "/",
        .state_changed = state_changed,
        .connect = tower_connect,
    });
    tower.health = health_new(&(struct health_options){.loop = tower.loop,
                                                       .gates = tower.gates,
                                                       .services = tower.services,
                                                       .changed = status_changed});
    return 0;
}

static inline int tower_end(void **state)
{
    (void)state;
    health_free(tower.health);
    tower.health = NULL;
    mcp_services_free(tower.services);
    gates_free(tower.gates);
    scripted_done(&tower.wires);
    for (unsigned i = 0; i < tower.count; i++) {
        service_conf_unref(tower.servers[i].conf);
    }
    loop_free(tower.loop);
    return 0;
}

/* Time goes by in small steps, with turns enough for what each brings about. */
static inline void turns(void)
{
    for (int i = 0; i < 8; i++) {
        loop_turn(tower.loop, 0);
    }
}

static inline void pass(mono_us time)
{
    for (mono_us gone = 0; gone < time; gone += STEP) {
        loop_advance(tower.loop, STEP);
        turns();
    }
}

/* All services that were made. */
static inline void apply_services(void)
{
    struct service_conf **list = mem_new((tower.count + 1) * sizeof *list);
    for (unsigned i = 0; i < tower.count; i++) {
        list[i] = tower.servers[i].conf;
    }
    struct service_set set = {list, tower.count};
    gates_apply(tower.gates, &set);
    mcp_services_apply(tower.services, &set);
    health_apply(tower.health, &set);
    mem_free(list);
    turns();
}

/* ---- calls ------------------------------------------------------------------------------- */

struct attempt {
    struct gate_ticket ticket;
    struct mcp_request *request;
    bool is_over, is_ok;
    enum err_code code;
};

static inline void attempt_over(void *arg, const struct mcp_outcome *outcome)
{
    struct attempt *attempt = arg;
    attempt->is_over = true;
    attempt->is_ok = !outcome->failure;
    attempt->code = outcome->failure ? outcome->failure->code : ERR_NONE;
    gate_leave(&attempt->ticket, outcome->failure);
}

/* One attempt of a user, as calls make them, that waits for nothing. */
static inline void try_call_for(struct attempt *attempt, const char *name, const char *user,
                                mono_us time)
{
    static const struct mcp_call_events events = {.done = attempt_over};
    const struct gate_caller caller = {SLICE("a"), slice_of(user), 1};
    struct failure failure = {0};
    mono_us deadline = loop_now(tower.loop) + time;
    *attempt = (struct attempt){0};
    enum gate_answer answered = gate_enter(tower.gates, slice_of(name), &caller, deadline,
                                           false, &attempt->ticket, &failure);
    if (answered == GATE_REFUSED) {
        attempt->is_over = true;
        attempt->code = failure.code;
    } else {
        assert_int_equal(answered, GATE_INSIDE);
        attempt->request =
            mcp_call(mcp_services_find(tower.services, slice_of(name)),
                     &(struct mcp_identity){.agent = SLICE("a"), .user = slice_of(user)},
                     &(struct mcp_call_options){
                         .method = MCP_TOOLS_CALL, .name = SLICE("echo"), .deadline = deadline},
                     &events, attempt);
    }
    failure_done(&failure);
}

/* The same to its end; whether it succeeded. */
static inline bool call_as(const char *name, const char *user, enum err_code *ret_code)
{
    struct attempt attempt;
    try_call_for(&attempt, name, user, 8 * S);
    turns();
    while (!attempt.is_over) {
        pass(STEP);
    }
    if (ret_code) {
        *ret_code = attempt.code;
    }
    return attempt.is_ok;
}

static inline bool call(const char *name)
{
    return call_as(name, "", NULL);
}

/* Calls until the breaker is open. */
static inline void break_down(const char *name, enum mode mode)
{
    struct gate_view view;
    at(name)->mode = mode;
    for (int i = 0; i < 20; i++) {
        assert_false(call(name));
        assert_true(gates_view(tower.gates, slice_of(name), &view));
        if (view.breaker != BREAKER_CLOSED) {
            return;
        }
        pass(3 * S); /* a session that cannot start is not begun again at once */
    }
    fail_msg("the breaker of %s did not open", name);
}

static inline struct gate_view view_of(const char *name)
{
    struct gate_view view = {0};
    assert_true(gates_view(tower.gates, slice_of(name), &view));
    return view;
}

/* ---- what the monitor says --------------------------------------------------------------- */

/* As JSON; to be freed. */
static inline char *health_of(const char *name)
{
    struct buf map;
    struct buf json;
    struct err err = {0};
    buf_init(&map, 65536);
    buf_init(&json, 65536);
    assert_true(health_put(tower.health, slice_of(name), &map));
    if (json_from_pack(buf_slice(&map), "health", &json, &err) < 0) {
        fail_msg("not JSON: %s", err.text);
    }
    char *text = mem_dup(buf_slice(&json));
    buf_done(&map);
    buf_done(&json);
    return text;
}

static inline void expect_in_health(const char *name, const char *part, int line)
{
    char *text = health_of(name);
    if (!strstr(text, part)) {
        fail_msg("line %d: no %s in %s", line, part, text);
    }
    mem_free(text);
}

#define expect_health(name, part) expect_in_health((name), (part), __LINE__)

#endif
