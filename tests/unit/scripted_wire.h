/* SPDX-License-Identifier: MIT */
/*
 * scripted_wire.h - wires to servers that answer by themselves, each request as fate has it, for
 * tests of what stands on sessions. The clock stands still but for what the test lets pass.
 *
 * Owns:    the requests that are not yet answered; a wire is its session's, which frees it.
 * Life:    scripted_init .. scripted_new in the `connect` of the services .. scripted_done, when all are freed.
 */
#ifndef TESTS_UNIT_SCRIPTED_WIRE_H
#define TESTS_UNIT_SCRIPTED_WIRE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/service_conf.h"
#include "mcp/transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS     ((mono_us)1000)
#define S      (1000 * MS)
#define MINUTE (60 * S)

struct server; /* whatever the test knows of one */

/* What becomes of one request. */
struct fate {
    unsigned kind; /* the test's own */
    mono_us after; /* 0: in the same turn; MONO_NEVER: nothing comes */
    int64_t wait_ms;
};

struct scripted_wire {
    struct mcp_transport transport;
    struct list_link link;
    struct wires *wires;
    const struct mcp_transport_events *events;
    void *arg;
    struct server *server;
    unsigned number;  /* from 1; a higher one for each session that begins on it */
    struct list said; /* struct saying */
    struct loop_task task;
    bool is_stdio, is_opening, is_closing, is_over;
};

struct saying { /* a request that is not yet answered */
    struct list_link link;
    struct loop_timer timer;
    struct scripted_wire *wire;
    struct fate fate;
    char method[24];
    unsigned long long id;
    mcp_token token;
};

struct wires {
    struct loop *loop;
    const char *tool; /* the one that each server lists, as JSON */
    /* A request came; not called inside of what may free the wire. */
    struct fate (*asked)(const struct saying *saying, const char *json);
    /* Its time has come: saying_answer or saying_fail, or neither. `saying` is a copy. */
    void (*due)(const struct saying *saying);
    /* In place of the event `opened`; NULL: each wire opens. */
    void (*opens)(struct scripted_wire *wire);
    struct list list;
    unsigned count; /* the highest number of a wire */
};

static inline void scripted_init(struct wires *wires)
{
    list_init(&wires->list);
}

static inline void scripted_done(const struct wires *wires)
{
    assert_true(list_is_empty(&wires->list));
}

/* ---- what the server says ---------------------------------------------------------------- */

static inline bool scripted_lives(const struct wires *wires, const struct scripted_wire *wire)
{
    list_each (link, &wires->list) {
        if (LIST_ITEM(link, struct scripted_wire, link) == wire) {
            return true;
        }
    }
    return false;
}

static inline void put_result(const struct saying *saying, char *to, size_t size)
{
    const char *method = saying->method;
    if (strcmp(method, "initialize") == 0) {
        (void)snprintf(to, size,
                       "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"tools\":{}},"
                       "\"serverInfo\":{\"name\":\"scripted\",\"version\":\"1\"}}");
    } else if (strcmp(method, "tools/list") == 0) {
        (void)snprintf(to, size, "{\"tools\":[%s]}", saying->wire->wires->tool);
    } else if (strcmp(method, "tools/call") == 0) {
        (void)snprintf(to, size, "{\"content\":[]}");
    } else {
        assert_string_equal(method, "ping");
        (void)snprintf(to, size, "{}");
    }
}

static inline void saying_answer(const struct saying *saying)
{
    struct scripted_wire *wire = saying->wire;
    struct wires *wires = wire->wires;
    bool is_stdio = wire->is_stdio;
    char result[512];
    char text[600];
    put_result(saying, result, sizeof result);
    (void)snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":%s}",
                   saying->id, result);
    wire->events->message(wire->arg, slice_of(text), is_stdio ? 0 : saying->token);
    if (!is_stdio && scripted_lives(wires, wire)) {
        wire->events->exchange_ended(wire->arg, saying->token, NULL, false);
    }
}

/* The whole wire of a process, the one exchange of HTTP. Takes `failure` over. */
static inline void saying_fail(const struct saying *saying, struct failure *failure,
                               bool is_session_gone)
{
    struct scripted_wire *wire = saying->wire;
    if (wire->is_stdio) {
        wire->is_over = true;
        wire->events->closed(wire->arg, failure);
    } else {
        wire->events->exchange_ended(wire->arg, saying->token, failure, is_session_gone);
    }
    failure_done(failure);
}

/* ---- the transport ----------------------------------------------------------------------- */

static inline struct scripted_wire *scripted_of(struct mcp_transport *transport)
{
    return (struct scripted_wire *)(void *)transport;
}

static inline void saying_free(struct saying *saying)
{
    loop_timer_cancel(saying->wire->wires->loop, &saying->timer);
    list_remove(&saying->link);
    mem_free(saying);
}

static inline void saying_due(void *arg)
{
    struct saying *saying = arg;
    const struct saying copy = *saying;
    saying_free(saying); /* whoever hears of it may free the wire */
    if (!copy.wire->is_over) {
        copy.wire->wires->due(&copy);
    }
}

static inline struct saying *first_at_once(const struct scripted_wire *wire)
{
    list_each (link, &wire->said) {
        struct saying *saying = LIST_ITEM(link, struct saying, link);
        if (!saying->fate.after) {
            return saying;
        }
    }
    return NULL;
}

static inline void scripted_run(void *arg)
{
    struct scripted_wire *wire = arg;
    struct wires *wires = wire->wires;
    bool is_opening = wire->is_opening;
    struct saying *saying;
    wire->is_opening = false;
    if (wire->is_closing && !wire->is_over) {
        wire->is_over = true;
        wire->events->closed(wire->arg, NULL);
    } else if (is_opening && wires->opens) {
        wires->opens(wire);
    } else if (is_opening) {
        wire->events->opened(wire->arg);
    }
    while (scripted_lives(wires, wire) && (saying = first_at_once(wire))) {
        saying_due(saying);
    }
}

static inline void scripted_open(struct mcp_transport *transport)
{
    struct scripted_wire *wire = scripted_of(transport);
    wire->is_opening = true;
    loop_later(wire->wires->loop, &wire->task);
}

static inline void scripted_close(struct mcp_transport *transport)
{
    struct scripted_wire *wire = scripted_of(transport);
    wire->is_closing = true;
    loop_later(wire->wires->loop, &wire->task);
}

static inline void take_request(struct scripted_wire *wire, const char *json, mcp_token token)
{
    struct loop *loop = wire->wires->loop;
    struct saying *saying = mem_new(sizeof *saying);
    const char *method = strstr(json, "\"method\":\"") + strlen("\"method\":\"");
    const char *id = strstr(json, "\"id\":");
    (void)snprintf(saying->method, sizeof saying->method, "%.*s", (int)strcspn(method, "\""),
                   method);
    saying->id = strtoull(id + 5, NULL, 10);
    saying->token = token;
    saying->wire = wire;
    loop_timer_init(&saying->timer, saying_due, saying);
    list_append(&wire->said, &saying->link);
    saying->fate = wire->wires->asked(saying, json);
    if (!saying->fate.after) {
        loop_later(loop, &wire->task);
    } else if (saying->fate.after != MONO_NEVER) {
        loop_timer_set(loop, &saying->timer, loop_now(loop) + saying->fate.after);
    }
}

static inline int scripted_send(struct mcp_transport *transport,
                                const struct mcp_outgoing *message, struct failure *failure)
{
    (void)failure;
    if (message->kind == MCP_REQUEST) {
        char *json = mem_dup(message->json);
        take_request(scripted_of(transport), json, message->token);
        mem_free(json);
    }
    return 0;
}

static inline void scripted_abandon(struct mcp_transport *transport, mcp_token token)
{
    list_each (link, &scripted_of(transport)->said) {
        struct saying *saying = LIST_ITEM(link, struct saying, link);
        if (saying->token == token) {
            saying_free(saying);
        }
    }
}

/* Before `initialize`: the id of the session is dropped. */
static inline void scripted_set_revision(struct mcp_transport *transport,
                                         const struct revision *revision)
{
    struct scripted_wire *wire = scripted_of(transport);
    if (!revision) {
        wire->number = ++wire->wires->count;
    }
}

static inline void scripted_free(struct mcp_transport *transport)
{
    struct scripted_wire *wire = scripted_of(transport);
    struct list_link *link;
    loop_task_cancel(&wire->task);
    list_remove(&wire->link);
    while ((link = list_first(&wire->said))) {
        saying_free(LIST_ITEM(link, struct saying, link));
    }
    mem_free(wire);
}

static inline struct mcp_transport *scripted_new(struct wires *wires, struct server *server,
                                                 const struct service_conf *conf,
                                                 const struct mcp_transport_events *events,
                                                 void *events_arg)
{
    static const struct mcp_transport_ops http = {.has_exchanges = true,
                                                  .open = scripted_open,
                                                  .send = scripted_send,
                                                  .abandon = scripted_abandon,
                                                  .set_revision = scripted_set_revision,
                                                  .close = scripted_close,
                                                  .free = scripted_free};
    static const struct mcp_transport_ops stdio = {.open = scripted_open,
                                                   .send = scripted_send,
                                                   .abandon = scripted_abandon,
                                                   .close = scripted_close,
                                                   .free = scripted_free};
    struct scripted_wire *wire = mem_new(sizeof *wire);
    wire->wires = wires;
    wire->number = ++wires->count;
    wire->is_stdio = conf->transport == SERVICE_STDIO;
    wire->transport.ops = wire->is_stdio ? &stdio : &http;
    wire->events = events;
    wire->arg = events_arg;
    wire->server = server;
    list_init(&wire->said);
    loop_task_init(&wire->task, scripted_run, wire);
    list_append(&wires->list, &wire->link);
    return &wire->transport;
}

/* ---- services ---------------------------------------------------------------------------- */

/* All as it is where nothing is written. `name` is borrowed. */
static inline struct service_conf *scripted_conf(const char *name,
                                                 enum service_transport transport)
{
    struct service_conf *conf = mem_new(sizeof *conf);
    conf->references = 1;
    arena_init_small(&conf->arena, 1 << 16);
    conf->name = conf->title = slice_of(name);
    service_conf_set_defaults(conf);
    conf->definition = conf->written = SLICE("\x80");
    conf->transport = transport;
    conf->era = SERVICE_ERA_LEGACY;
    return conf;
}

#endif
