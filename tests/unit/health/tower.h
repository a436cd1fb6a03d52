/* SPDX-License-Identifier: MIT */
/*
 * tower.h - the monitor with gates and services whose servers answer by themselves, each as it is
 * told to. The clock stands still but for `pass`.
 */
#ifndef TESTS_UNIT_HEALTH_TOWER_H
#define TESTS_UNIT_HEALTH_TOWER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gate/gate.h"
#include "health/health.h"
#include "mcp/session.h"
#include "mcp/transport.h"
#include "value/json.h"
#include "value/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS      ((mono_us)1000)
#define S       (1000 * MS)
#define MINUTE  (60 * S)
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

struct tower_wire {
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
    char *json;
    mcp_token token;
    enum mcp_message_kind kind;
};

static struct tower {
    struct loop *loop;
    struct mcp_services *services;
    struct gates *gates;
    struct health *health;
    struct server servers[SERVERS];
    unsigned count;
    struct list wires;
    unsigned wire_count;
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

static inline struct tower_wire *wire_of(struct mcp_transport *transport)
{
    return (struct tower_wire *)(void *)transport;
}

static inline const char *result_of(const char *json)
{
    if (strstr(json, "\"method\":\"initialize\"")) {
        return "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"tools\":{}},"
               "\"serverInfo\":{\"name\":\"tower\",\"version\":\"1\"}}";
    }
    if (strstr(json, "\"method\":\"tools/list\"")) {
        return "{\"tools\":[{\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\"}}]}";
    }
    if (strstr(json, "\"method\":\"tools/call\"")) {
        return "{\"content\":[]}";
    }
    assert_non_null(strstr(json, "\"method\":\"ping\""));
    return "{}";
}

static inline void note_request(struct server *server, const char *json)
{
    server->calls += strstr(json, "\"method\":\"tools/call\"") != NULL;
    server->pings += strstr(json, "\"method\":\"ping\"") != NULL;
}

static inline bool is_stdio(const struct tower_wire *wire)
{
    return wire->server->conf->transport == SERVICE_STDIO;
}

static inline void answer_ok(struct tower_wire *wire, const struct saying *saying)
{
    char text[1024];
    const char *id = strstr(saying->json, "\"id\":");
    (void)snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":%s}",
                   strtoull(id + 5, NULL, 10), result_of(saying->json));
    wire->events->message(wire->arg, slice_of(text), is_stdio(wire) ? 0 : saying->token);
    if (!is_stdio(wire)) {
        wire->events->exchange_ended(wire->arg, saying->token, NULL, false);
    }
}

static inline void answer_badly(struct tower_wire *wire, const struct saying *saying)
{
    struct failure failure = {0};
    bool is_refused = wire->server->mode == REFUSES;
    const char *words = wire->server->words;
    failure_set(&failure, ERR_UNAVAILABLE, "%s",
                words        ? words
                : is_refused ? "connection refused"
                             : "the server answered 500");
    if (is_stdio(wire)) {
        failure.class = FAILURE_PROCESS;
        wire->is_over = true;
        wire->events->closed(wire->arg, &failure);
    } else {
        failure.class = is_refused ? FAILURE_NETWORK : FAILURE_SERVER;
        wire->events->exchange_ended(wire->arg, saying->token, &failure, false);
    }
    failure_done(&failure);
}

static inline void saying_free(struct saying *saying)
{
    list_remove(&saying->link);
    mem_free(saying->json);
    mem_free(saying);
}

static inline bool is_work(const char *json)
{
    return strstr(json, "\"tools/call\"") || strstr(json, "\"ping\"");
}

/* What is said to a server that hangs is never answered, also when it is back. */
static inline void answer(struct tower_wire *wire, struct saying *saying)
{
    if (saying->kind == MCP_REQUEST) {
        note_request(wire->server, saying->json);
        if (wire->number < wire->server->is_stuck_since) {
            return;
        }
        enum mode mode = wire->server->mode;
        if (mode == IS_UP || (mode == WORKS && !is_work(saying->json))) {
            answer_ok(wire, saying);
        } else if (mode == REFUSES || mode == FAILS) {
            answer_badly(wire, saying);
        }
    }
}

static inline bool wire_lives(const struct tower_wire *wire)
{
    list_each (link, &tower.wires) {
        if (LIST_ITEM(link, struct tower_wire, link) == wire) {
            return true;
        }
    }
    return false;
}

static inline void wire_run(void *arg)
{
    struct tower_wire *wire = arg;
    struct list_link *link;
    if (wire->is_closing && !wire->is_over) {
        wire->is_over = true;
        wire->events->closed(wire->arg, NULL);
        return;
    }
    if (wire->is_opening) {
        wire->is_opening = false;
        wire->events->opened(wire->arg);
    }
    while (wire_lives(wire) && (link = list_first(&wire->said))) {
        struct saying *saying = LIST_ITEM(link, struct saying, link);
        struct saying copy = *saying;
        list_remove(&saying->link);
        answer(wire, &copy);
        mem_free(copy.json);
        mem_free(saying);
    }
}

static inline void wire_open_op(struct mcp_transport *transport)
{
    struct tower_wire *wire = wire_of(transport);
    wire->is_opening = true;
    loop_later(tower.loop, &wire->task);
}

static inline int wire_send(struct mcp_transport *transport, const struct mcp_outgoing *message,
                            struct failure *failure)
{
    struct tower_wire *wire = wire_of(transport);
    struct saying *saying = mem_new(sizeof *saying);
    (void)failure;
    saying->json = mem_dup(message->json);
    saying->token = message->token;
    saying->kind = message->kind;
    list_append(&wire->said, &saying->link);
    loop_later(tower.loop, &wire->task);
    return 0;
}

static inline void wire_abandon(struct mcp_transport *transport, mcp_token token)
{
    struct tower_wire *wire = wire_of(transport);
    list_each (link, &wire->said) {
        struct saying *saying = LIST_ITEM(link, struct saying, link);
        if (saying->token == token) {
            saying_free(saying);
        }
    }
}

static inline void wire_set_revision(struct mcp_transport *transport,
                                     const struct revision *revision)
{
    (void)transport;
    (void)revision;
}

static inline void wire_close(struct mcp_transport *transport)
{
    struct tower_wire *wire = wire_of(transport);
    wire->is_closing = true;
    loop_later(tower.loop, &wire->task);
}

static inline void wire_free(struct mcp_transport *transport)
{
    struct tower_wire *wire = wire_of(transport);
    struct list_link *link;
    loop_task_cancel(&wire->task);
    list_remove(&wire->link);
    while ((link = list_first(&wire->said))) {
        saying_free(LIST_ITEM(link, struct saying, link));
    }
    mem_free(wire);
}

static const struct mcp_transport_ops http_ops = {.has_exchanges = true,
                                                  .open = wire_open_op,
                                                  .send = wire_send,
                                                  .abandon = wire_abandon,
                                                  .set_revision = wire_set_revision,
                                                  .close = wire_close,
                                                  .free = wire_free};
static const struct mcp_transport_ops stdio_ops = {.open = wire_open_op,
                                                   .send = wire_send,
                                                   .abandon = wire_abandon,
                                                   .close = wire_close,
                                                   .free = wire_free};

static inline struct mcp_transport *tower_connect(void *arg, const struct mcp_session *session,
                                                  const struct mcp_transport_events *events,
                                                  void *events_arg, struct failure *failure)
{
    struct server *server = server_named(session->conf->name);
    struct tower_wire *wire = mem_new(sizeof *wire);
    (void)arg;
    (void)failure;
    server->connects++;
    wire->number = ++tower.wire_count;
    wire->transport.ops = server->conf->transport == SERVICE_STDIO ? &stdio_ops : &http_ops;
    wire->events = events;
    wire->arg = events_arg;
    wire->server = server;
    list_init(&wire->said);
    loop_task_init(&wire->task, wire_run, wire);
    list_append(&tower.wires, &wire->link);
    return &wire->transport;
}

/* ---- services ---------------------------------------------------------------------------- */

static inline struct service_conf *service(const char *name, enum service_transport transport)
{
    struct service_conf *conf = mem_new(sizeof *conf);
    struct server *server = &tower.servers[tower.count++];
    assert_true(tower.count <= SERVERS);
    (void)snprintf(server->name, sizeof server->name, "%s", name);
    conf->references = 1;
    arena_init_small(&conf->arena, 1 << 16);
    conf->name = slice_of(server->name);
    conf->title = slice_of(server->name);
    service_conf_set_defaults(conf);
    conf->definition = conf->written = SLICE("\x80");
    conf->enabled = true;
    conf->transport = transport;
    conf->era = SERVICE_ERA_LEGACY;
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
    list_init(&tower.wires);
    tower.loop = loop_new();
    loop_freeze(tower.loop);
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
    assert_true(list_is_empty(&tower.wires));
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
