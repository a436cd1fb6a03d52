/* SPDX-License-Identifier: MIT */
/* session.c - the life of one session: start, stop, failure, and the one setter of its state. */
#include "mcp/session.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "mcp/catalog.h"

#define SECOND ((mono_us)1000000)

/* How long a notification or a response to the server may take. */
#define SAY_TIMEOUT (10 * SECOND)
/* A wire that keeps deadlines itself knows better why one was missed. */
#define WIRE_SPEAKS_FIRST (SECOND / 10)
/* A session that stood this long did not fail to start. */
#define STOOD_LONG (60 * SECOND)
/* The first restart comes at once, the next ones after 250 ms, 500 ms, 1 s, 2 s. No later: how long
 * a service that fails is left alone is decided elsewhere, and one that is back is used again soon. */
#define BACK_OFF_FIRST (SECOND / 4)
#define BACK_OFF_MAX   (2 * SECOND)

void session_explain_silence(const struct mcp_session *session, struct failure *failure)
{
    const struct mcp_transport *transport = session->wire ? session->wire->transport : NULL;
    if (transport && transport->ops->explain) {
        transport->ops->explain(transport, failure);
    }
}

static void start_timed_out(void *arg)
{
    struct mcp_session *session = arg;
    struct failure failure = {0};
    const char *missing = session->state == SESSION_OPENING ? "start"
                          : session->handshake.step == ASKS_DISCOVER
                              ? "answer `server/discover`"
                              : "answer `initialize`";
    failure_set(&failure, ERR_UNAVAILABLE, "the server did not %s within %u ms", missing,
                session->conf->connect_timeout_ms);
    session_explain_silence(session, &failure);
    session_fail(session, &failure);
    failure_done(&failure);
}

static void relist(void *arg)
{
    session_forget_catalog(arg);
}

void session_init(struct mcp_session *session, struct mcp_core *core, struct service_conf *conf,
                  const struct mcp_identity *identity)
{
    *session = (struct mcp_session){.core = core, .conf = service_conf_ref(conf)};
    session->user = mem_dup(identity->user);
    session->agent = mem_dup(identity->agent);
    list_init(&session->sent);
    list_init(&session->waiting);
    list_init(&session->listers);
    loop_timer_init(&session->start_timer, start_timed_out, session);
    loop_timer_init(&session->relist_timer, relist, session);
    handshake_init(session);
}

static void let_wire_go(struct mcp_session *session)
{
    struct wire *wire = session->wire;
    if (wire) {
        session->wire = NULL;
        if (session->events) {
            session->events->wire_leaving(session->arg);
        }
        wire_let_go(wire, session->events ? session->events->wire_ended : NULL, session->arg);
    }
}

void session_done(struct mcp_session *session)
{
    handshake_stop(session);
    listing_drop(session);
    watches_done(session);
    must(!session_is_busy(session));
    let_wire_go(session);
    loop_timer_cancel(session->core->loop, &session->start_timer);
    loop_timer_cancel(session->core->loop, &session->relist_timer);
    handshake_done(session);
    mcp_catalog_unref(session->catalog);
    service_conf_unref(session->conf);
    mem_free(session->user);
    mem_free(session->agent);
    mem_free(session->server_name);
    mem_free(session->server_version);
    mem_free(session->instructions);
}

static bool is_legal(enum session_state from, enum session_state to)
{
    static const uint8_t next[SESSION_STATES] = {
        [SESSION_STOPPED] = 1u << SESSION_OPENING,
        [SESSION_OPENING] = 1u << SESSION_HANDSHAKE | 1u << SESSION_STOPPED,
        [SESSION_HANDSHAKE] =
            1u << SESSION_READY | 1u << SESSION_OPENING | 1u << SESSION_STOPPED,
        [SESSION_READY] = 1u << SESSION_RENEWING | 1u << SESSION_STOPPED,
        [SESSION_RENEWING] = 1u << SESSION_READY | 1u << SESSION_STOPPED,
    };
    return (next[from] >> to & 1u) != 0;
}

void session_set_state(struct mcp_session *session, enum session_state state,
                       const struct failure *failure)
{
    enum session_state from = session->state;
    must(is_legal(from, state));
    session->state = state;
    if (session->events) {
        session->events->changed(session->arg, session, from, failure);
    }
}

static mono_us back_off(unsigned failures)
{
    if (failures < 2) {
        return 0;
    }
    unsigned doublings = failures - 2 > 10 ? 10 : failures - 2;
    mono_us wait = BACK_OFF_FIRST << doublings;
    return wait < BACK_OFF_MAX ? wait : BACK_OFF_MAX;
}

static void count_failure(struct mcp_session *session)
{
    mono_us now = loop_now(session->core->loop);
    if (session->state == SESSION_READY && now - session->ready_at >= STOOD_LONG) {
        session->failures = 0;
    }
    session->failures++;
    session->not_before = now + back_off(session->failures);
}

void session_limit_start(struct mcp_session *session)
{
    struct loop *loop = session->core->loop;
    session->start_deadline =
        loop_now(loop) + (mono_us)session->conf->connect_timeout_ms * 1000;
    loop_timer_set(loop, &session->start_timer,
                   session->start_deadline + (session->has_exchanges ? WIRE_SPEAKS_FIRST : 0));
}

static int open_wire(struct mcp_session *session, struct failure *failure)
{
    session->wire = wire_new(session->core, session, failure);
    if (!session->wire) {
        return -(int)failure->code;
    }
    struct mcp_transport *transport = session->wire->transport;
    session->has_exchanges = transport->ops->has_exchanges;
    if (session->state != SESSION_OPENING) {
        session_set_state(session, SESSION_OPENING, NULL);
    }
    transport->ops->open(transport);
    return 0;
}

int session_start(struct mcp_session *session, struct failure *failure)
{
    enum service_transport transport = session->conf->transport;
    must(session->state == SESSION_STOPPED);
    session->is_sse =
        transport == SERVICE_SSE || (transport == SERVICE_AUTO && session->known->is_sse);
    handshake_begin(session);
    int r = open_wire(session, failure);
    if (r < 0) {
        count_failure(session);
        return r;
    }
    session->is_catalog_stale = true;
    session_limit_start(session);
    return 0;
}

void session_reopen(struct mcp_session *session)
{
    struct failure failure = {0};
    handshake_stop(session);
    let_wire_go(session);
    if (open_wire(session, &failure) < 0) {
        session_fail(session, &failure);
    }
    failure_done(&failure);
}

/* ---- the ends ---------------------------------------------------------------------------- */

static void move_all(struct list *from, struct list *to)
{
    struct list_link *link;
    while ((link = list_first(from))) {
        list_remove(link);
        list_append(to, link);
    }
}

static void tell_all(struct list *list, const struct failure *failure, bool sent)
{
    struct list_link *link;
    while ((link = list_first(list))) {
        struct pending *pending = LIST_ITEM(link, struct pending, link);
        list_remove(link);
        pending->ops->failed(pending, failure, sent);
    }
}

/* Everybody who waits is told. They may begin new requests meanwhile, which must not be told
 * too, and give up others, of which a new wire must not hear: so the lists are emptied first. */
static void fail_all(struct mcp_session *session, const struct failure *failure)
{
    struct list lost;
    struct list unsent;
    struct list_link *link;
    struct failure end = {0};
    list_init(&lost);
    list_init(&unsent);
    while ((link = list_first(&session->sent))) {
        struct pending *pending = LIST_ITEM(link, struct pending, link);
        pending_unregister(pending);
        list_append(&lost, link);
    }
    move_all(&session->listers, &unsent);
    move_all(&session->waiting, &unsent);
    failure_copy(&end, failure);
    end.is_nothing_done = false; /* which was said of another request, if of any */
    tell_all(&lost, &end, true);
    tell_all(&unsent, failure, false);
    failure_done(&end);
}

static void end(struct mcp_session *session, const struct failure *failure, bool is_fault)
{
    loop_timer_cancel(session->core->loop, &session->start_timer);
    loop_timer_cancel(session->core->loop, &session->relist_timer);
    handshake_stop(session);
    listing_drop(session);
    session->is_catalog_stale |= is_fault;
    let_wire_go(session);
    watches_lost(session);
    if (session->state != SESSION_STOPPED) {
        session_set_state(session, SESSION_STOPPED, is_fault ? failure : NULL);
    }
    fail_all(session, failure);
}

void session_fail(struct mcp_session *session, const struct failure *failure)
{
    struct failure own = {0}; /* the one given may be part of what ends here */
    failure_copy(&own, failure);
    if (session->state != SESSION_READY && session->state != SESSION_STOPPED) {
        handshake_failed(session, &own);
    }
    count_failure(session);
    end(session, &own, true);
    failure_done(&own);
}

void session_wire_lost(struct mcp_session *session, const struct failure *failure)
{
    if (!handshake_takes_loss(session, failure)) {
        session_fail(session, failure);
    }
}

void session_stop(struct mcp_session *session, const struct failure *failure)
{
    end(session, failure, false);
}

/* ---- while it stands --------------------------------------------------------------------- */

void session_became_ready(struct mcp_session *session)
{
    struct mcp_transport *transport = session->wire->transport;
    loop_timer_cancel(session->core->loop, &session->start_timer);
    session->ready_at = loop_now(session->core->loop);
    if (session->offers & OFFERS_TOOLS) {
        session->is_catalog_stale = true;
    } else {
        mcp_catalog_unref(session->catalog);
        session->catalog = catalog_empty();
        session->is_catalog_stale = false;
    }
    bool may_be_asked = session->capabilities != 0;
    if (!session_is_modern(session) && transport->ops->listen &&
        (may_be_asked ||
         (session->offers & (OFFERS_TOOLS_CHANGED | OFFERS_PROMPTS_CHANGED |
                             OFFERS_RESOURCES_CHANGED | OFFERS_RESOURCES_SUBSCRIBE)) != 0)) {
        transport->ops->listen(transport, may_be_asked);
    }
    session_set_state(session, SESSION_READY, NULL);
    if (session->state == SESSION_READY) {
        watches_began(session);
    }
    session_resume(session);
}

bool session_is_busy(const struct mcp_session *session)
{
    return !list_is_empty(&session->sent) || !list_is_empty(&session->waiting) ||
           !list_is_empty(&session->listers);
}

void session_await_ready(struct mcp_session *session, struct pending *pending)
{
    pending->session = session;
    list_append(&session->waiting, &pending->link);
}

void session_await_catalog(struct mcp_session *session, struct pending *pending)
{
    pending->session = session;
    list_append(&session->listers, &pending->link);
    listing_start(session);
}

void session_say(struct mcp_session *session, enum mcp_message_kind kind)
{
    struct failure failure = {0};
    struct buf *out = &session->core->out;
    if (!session->wire || out->overflow) {
        return;
    }
    struct mcp_transport *transport = session->wire->transport;
    const struct mcp_outgoing message = {.kind = kind,
                                         .json = buf_slice(out),
                                         .deadline =
                                             loop_now(session->core->loop) + SAY_TIMEOUT};
    if (transport->ops->send(transport, &message, &failure) < 0) {
        log_at(LOG_DEBUG, "mcp", "a message to the server was not sent",
               LOG_SLICE("service", session->conf->name),
               LOG_SLICE("why", buf_slice(&failure.message)));
    }
    failure_done(&failure);
}

void session_start_waiting(struct mcp_session *session)
{
    struct list waiting;
    struct list_link *link;
    if (session->state != SESSION_STOPPED) {
        return;
    }
    list_init(&waiting);
    move_all(&session->waiting, &waiting);
    while ((link = list_first(&waiting))) {
        struct pending *pending = LIST_ITEM(link, struct pending, link);
        list_remove(link);
        pending->ops->ready(pending);
    }
}
