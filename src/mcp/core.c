/* SPDX-License-Identifier: MIT */
/* core.c - shared scratch memory, and wires: the transports with the session each one serves. */
#include "mcp/core.h"

#include "base/mem.h"
#include "base/must.h"
#include "mcp/session.h"

/* Scratch memory that is kept between messages. */
#define SCRATCH_KEEP ((size_t)256 * 1024)
/* MessagePack is longer than its JSON by at most this factor: "1.5," becomes nine bytes. */
#define PACK_PER_JSON 3u

void core_init(struct mcp_core *core, struct loop *loop, size_t message_bytes)
{
    *core = (struct mcp_core){.loop = loop, .message_bytes = message_bytes};
    map_init(&core->by_id);
    map_init(&core->by_token);
    buf_init(&core->in, message_bytes * PACK_PER_JSON);
    buf_init(&core->out, message_bytes * PACK_PER_JSON);
    buf_init(&core->part, message_bytes * PACK_PER_JSON);
    list_init(&core->wires);
}

static void wire_free(struct wire *wire)
{
    list_remove(&wire->link);
    loop_task_cancel(&wire->free_task);
    inbox_done(&wire->inbox);
    if (wire->transport) {
        wire->transport->ops->free(wire->transport);
    }
    wire->core->wire_count--;
    mem_free(wire);
}

void core_drop_wires(struct mcp_core *core)
{
    struct list_link *link;
    while ((link = list_first(&core->wires))) {
        wire_free(LIST_ITEM(link, struct wire, link));
    }
}

void core_done(struct mcp_core *core)
{
    core_drop_wires(core);
    map_done(&core->by_id);
    map_done(&core->by_token);
    buf_done(&core->in);
    buf_done(&core->out);
    buf_done(&core->part);
}

void core_trim(struct mcp_core *core)
{
    block_trim_buf(core->loop, &core->in, SCRATCH_KEEP);
    if (core->out.cap > SCRATCH_KEEP) {
        block_trim_buf(core->loop, &core->out, SCRATCH_KEEP);
    }
    if (core->part.cap > SCRATCH_KEEP) {
        block_trim_buf(core->loop, &core->part, SCRATCH_KEEP);
    }
}

/* ---- wires ------------------------------------------------------------------------------- */

static void on_opened(void *arg)
{
    struct wire *wire = arg;
    if (wire->session) {
        handshake_wire_stands(wire->session);
    }
}

static void on_message(void *arg, struct slice json, mcp_token token)
{
    struct wire *wire = arg;
    if (wire->session &&
        (inbox_is_empty(&wire->inbox) || !inbox_keep_message(&wire->inbox, json, token)) &&
        wire->session) {
        session_take_message(wire->session, json, token);
    }
}

static void on_long_message(void *arg, struct buf *buf, struct slice json, mcp_token token)
{
    struct wire *wire = arg;
    if (wire->session) {
        inbox_take_long(&wire->inbox, buf, json, token);
    }
}

static void on_exchange_ended(void *arg, mcp_token token, const struct failure *failure,
                              bool is_session_gone)
{
    struct wire *wire = arg;
    if (wire->session && (inbox_is_empty(&wire->inbox) ||
                          !inbox_keep_end(&wire->inbox, token, failure, is_session_gone))) {
        session_exchange_ended(wire->session, token, failure, is_session_gone);
    }
}

static void on_limits(void *arg, const struct rate_fields *fields, bool is_refused)
{
    const struct wire *wire = arg;
    struct mcp_session *session = wire->session;
    if (session && session->events && session->events->limits) {
        session->events->limits(session->arg, session, fields, is_refused);
    }
}

void wire_closed(struct wire *wire, const struct failure *failure)
{
    struct mcp_session *session = wire->session;
    struct failure own = {0};
    if (failure) {
        failure_copy(&own, failure);
    } else {
        failure_set(&own, ERR_UNAVAILABLE, "the server closed the connection");
    }
    session->wire = NULL;
    wire_drop(wire);
    session_wire_lost(session, &own);
    failure_done(&own);
}

static void on_closed(void *arg, const struct failure *failure)
{
    struct wire *wire = arg;
    if (!wire->session) {
        loop_later(wire->core->loop, &wire->free_task);
    } else if (!inbox_keep_closed(&wire->inbox, failure)) {
        wire_closed(wire, failure);
    }
}

static const struct mcp_transport_events wire_events = {
    .opened = on_opened,
    .message = on_message,
    .long_message = on_long_message,
    .exchange_ended = on_exchange_ended,
    .closed = on_closed,
    .limits = on_limits,
};

static void free_later(void *arg)
{
    struct wire *wire = arg;
    struct mcp_core *core = wire->core;
    void (*ended)(void *ended_arg) = wire->ended;
    void *ended_arg = wire->ended_arg;
    wire_free(wire);
    if (ended) {
        ended(ended_arg);
    }
    if (!core->wire_count && core->last_wire_closed) {
        core->last_wire_closed(core->last_wire_arg);
    }
}

struct wire *wire_new(struct mcp_core *core, struct mcp_session *session,
                      struct failure *failure)
{
    struct wire *wire = mem_new(sizeof *wire);
    wire->core = core;
    wire->session = session;
    inbox_init(&wire->inbox, wire);
    loop_task_init(&wire->free_task, free_later, wire);
    wire->transport = core->connect(core->connect_arg, session, &wire_events, wire, failure);
    if (!wire->transport) {
        mem_free(wire);
        return NULL;
    }
    list_append(&core->wires, &wire->link);
    core->wire_count++;
    return wire;
}

void wire_let_go(struct wire *wire, void (*ended)(void *arg), void *arg)
{
    wire->session = NULL;
    wire->ended = ended;
    wire->ended_arg = arg;
    struct mcp_transport *transport = wire->transport;
    bool is_held = wire->inbox.is_held, has_closed = wire->inbox.has_closed;
    inbox_done(&wire->inbox);
    if (has_closed) {
        loop_later(wire->core->loop, &wire->free_task);
        return;
    }
    if (is_held) {
        transport->ops->hold(transport, false);
    }
    transport->ops->close(transport);
}

void wire_drop(struct wire *wire)
{
    wire->session = NULL;
    loop_later(wire->core->loop, &wire->free_task);
}
