/* SPDX-License-Identifier: MIT */
/* pending.c - requests on their way: sent under our own ids, matched with answers, given up. */
#include "mcp/pending.h"

#include "base/log.h"
#include "base/must.h"
#include "mcp/detail.h"
#include "mcp/session.h"
#include "value/pack.h"

#include <string.h>

/* An error that is longer is not kept until the status of its exchange is known. */
#define REFUSAL_BYTES ((size_t)65536)

void pending_init(struct pending *pending, const struct pending_ops *ops, size_t body_max)
{
    *pending = (struct pending){.ops = ops};
    buf_init(&pending->body, body_max);
    buf_init(&pending->refusal, REFUSAL_BYTES);
}

void pending_done(struct pending *pending)
{
    must(!pending->is_sent && !list_has(&pending->link));
    buf_done(&pending->body);
    buf_done(&pending->refusal);
}

void pending_unregister(struct pending *pending)
{
    if (!pending->is_sent) {
        return;
    }
    struct mcp_session *session = pending->session;
    (void)map_remove_id(&session->core->by_id, pending->id);
    list_remove(&pending->link);
    session->calls_sent -= pending->is_call;
    pending->is_sent = false;
    buf_trim(&pending->refusal, 0);
}

/* Keeps what was sent where the server may say that it never looked at it. */
static int keep_body(struct mcp_session *session, struct pending *pending, struct slice json,
                     bool is_long, struct failure *failure)
{
    if (!session->has_exchanges || !pending->body.max || pending->body.data == json.ptr) {
        return 0;
    }
    buf_clear(&pending->body);
    if (is_long) { /* it is written anew instead */
        return 0;
    }
    buf_put_slice(&pending->body, json);
    if (pending->body.overflow) {
        failure_set(failure, ERR_OVERLOADED, "the request is too long to be sent");
        return -ERR_OVERLOADED;
    }
    return 0;
}

int session_send(struct mcp_session *session, struct pending *pending,
                 const struct mcp_outgoing *message, struct failure *failure)
{
    struct slice json = message->json;
    uint64_t id = message->token;
    must(session->wire && !pending->is_sent && !list_has(&pending->link));
    const struct buf *out = &session->core->out;
    if (json.ptr == out->data && out->overflow) {
        failure_set(failure, ERR_OVERLOADED, "there is no memory to build the request");
        return -ERR_OVERLOADED;
    }
    int r = keep_body(session, pending, json, message->own != NULL, failure);
    if (r < 0) {
        return r;
    }
    struct mcp_transport *transport = session->wire->transport;
    r = transport->ops->send(transport, message, failure);
    if (r < 0) {
        return r;
    }
    pending->session = session;
    pending->id = id;
    pending->epoch = session->epoch;
    pending->method = message->method;
    pending->revision = session->revision;
    pending->fault = NULL;
    pending->is_sent = true;
    session->calls_sent += pending->is_call;
    list_append(&session->sent, &pending->link);
    map_set_id(&session->core->by_id, id, pending);
    return 0;
}

static void note_given_up(struct mcp_session *session, uint64_t id)
{
    if (session->given_up_count < GIVEN_UP_KEPT) {
        session->given_up[session->given_up_count] = id;
    }
    session->given_up_count += session->given_up_count <= GIVEN_UP_KEPT; /* more is too many */
}

static void note_late_answer(struct mcp_session *session, uint64_t id)
{
    unsigned count = session->given_up_count;
    for (unsigned i = 0; i < count && count <= GIVEN_UP_KEPT; i++) {
        if (session->given_up[i] == id) {
            session->given_up[i] = session->given_up[--session->given_up_count];
            return;
        }
    }
}

/* A server that forgot the session forgot the request with it. A modern one learns of it over HTTP
 * by the end of the exchange. */
static void tell_cancelled(struct mcp_session *session, const struct pending *pending,
                           const char *reason)
{
    if (pending == &session->handshake.asked || pending->epoch != session->epoch ||
        (session_is_modern(session) && session->has_exchanges)) {
        return;
    }
    if (pending->is_call) {
        note_given_up(session, pending->id);
    }
    message_put_cancelled(core_out(session->core), pending->id, reason);
    session_say(session, MCP_NOTIFICATION);
}

void session_forget(struct pending *pending, const char *reason)
{
    struct mcp_session *session = pending->session;
    if (!pending->is_sent) {
        list_remove(&pending->link);
        return;
    }
    pending_unregister(pending);
    if (session->wire) {
        struct mcp_transport *transport = session->wire->transport;
        if (reason) {
            tell_cancelled(session, pending, reason);
        }
        transport->ops->abandon(transport, pending->id);
    }
}

/* ---- answers ----------------------------------------------------------------------------- */

struct pending *pending_find(const struct mcp_session *session, uint64_t id)
{
    struct pending *pending = id ? map_get_id(&session->core->by_id, id) : NULL;
    return pending && pending->session == session ? pending : NULL;
}

struct pending *pending_of_token(const struct mcp_session *session, uint64_t token)
{
    struct pending *pending = pending_find(session, token);
    if (!pending && session->core->by_token.count) {
        pending = map_get_id(&session->core->by_token, token);
    }
    return pending && pending->session == session ? pending : NULL;
}

static void fail_with_fault(struct pending *pending, const char *fault)
{
    struct failure failure = {0};
    failure_set(&failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                "the server broke the protocol: it sent %s", fault);
    pending_unregister(pending);
    pending->ops->failed(pending, &failure, true);
    failure_done(&failure);
}

/* The pending request that a response belongs to. On an exchange of its own only the answer to
 * that exchange's request counts. */
static struct pending *match(struct mcp_session *session, const struct message *message,
                             mcp_token token)
{
    struct pending *pending = pending_find(session, token ? token : message->number);
    if (!pending) {
        session->dropped++;
        note_late_answer(session, message->number);
        return NULL;
    }
    bool is_for_exchange = token && message->kind == MESSAGE_ERROR && !message->id.ptr;
    if (pending->id != message->number && !is_for_exchange) {
        session->faults++;
        pending->fault = message->fault ? message->fault : "an answer to another id";
        return NULL;
    }
    return pending;
}

static bool is_core(const struct mcp_session *session, const char *method)
{
    return (strncmp(method, "tools/", 6) == 0 && (session->offers & OFFERS_TOOLS)) ||
           (strncmp(method, "prompts/", 8) == 0 && (session->offers & OFFERS_PROMPTS)) ||
           (strncmp(method, "resources/", 10) == 0 && (session->offers & OFFERS_RESOURCES));
}

static bool is_modern(const struct pending *pending)
{
    return pending->revision && pending->revision->era == ERA_MODERN;
}

static bool is_legacy(const struct mcp_session *session, const struct pending *pending)
{
    return pending->revision && pending->revision->era == ERA_LEGACY &&
           session->conf->era == SERVICE_ERA_AUTO && pending != &session->handshake.asked;
}

/* What a server of this era cannot answer, or hardly: its place was taken by another one perhaps,
 * which the status will say. */
static bool is_of_other_era(const struct mcp_session *session, const struct pending *pending,
                            const struct message *message)
{
    int64_t code = 0;
    if (message->kind != MESSAGE_ERROR || pending->was_resent ||
        !pack_get_int(message->error, "code", &code)) {
        return false;
    }
    if (!is_modern(pending)) {
        return is_legacy(session, pending) && code <= -32020 && code >= -32022;
    }
    return (code <= -32000 && code > -32020) || code == -32600 ||
           (code == JSONRPC_METHOD_NOT_FOUND && is_core(session, pending->method));
}

void session_take_answer(struct mcp_session *session, const struct message *message,
                         mcp_token token)
{
    struct pending *pending = match(session, message, token);
    if (!pending) {
        log_at(LOG_DEBUG, "mcp", "an answer that nobody waits for",
               LOG_SLICE("service", session->conf->name), LOG_INT("id", message->number));
        return;
    }
    if (message->kind == MESSAGE_INVALID) {
        session->faults++;
        fail_with_fault(pending, message->fault);
        return;
    }
    if (token && is_of_other_era(session, pending, message)) {
        buf_clear(&pending->refusal);
        buf_put_slice(&pending->refusal, message->error);
        if (!pending->refusal.overflow) {
            return;
        }
    }
    if (pending->is_call) {
        session->failures = 0;
    }
    pending_unregister(pending);
    pending->ops->answered(pending, message);
}

/* ---- exchanges of HTTP ------------------------------------------------------------------- */

static void renew(struct mcp_session *session, struct pending *pending)
{
    if (pending->was_resent) {
        struct failure failure = {0};
        failure_set(&failure, ERR_UNAVAILABLE,
                    "the server forgot the session, and again the new one");
        failure.class = FAILURE_SERVER;
        failure.is_nothing_done = true;
        pending->ops->failed(pending, &failure, false);
        failure_done(&failure);
        return;
    }
    pending->was_resent = true;
    if (session->state == SESSION_READY && pending->epoch != session->epoch) {
        pending->ops->ready(
            pending); /* it was sent under the old session; the new one stands */
        return;
    }
    list_append(&session->waiting, &pending->link);
    if (session->state == SESSION_READY) {
        log_at(LOG_INFO, "mcp", "the server does not know the session, a new one is begun",
               LOG_SLICE("service", session->conf->name));
        session_set_state(session, SESSION_RENEWING, NULL);
        handshake_begin(session);
        handshake_wire_stands(session);
    }
}

/* A status with which no modern server answers a request that it carried out; from a legacy one,
 * beside an error that only a modern server knows. */
static bool is_era_lost(const struct mcp_session *session, const struct pending *pending,
                        const struct failure *failure)
{
    int64_t status = failure ? detail_http_status(failure) : 0;
    if (is_legacy(session, pending)) {
        return pending->refusal.len && status == 400;
    }
    return is_modern(pending) && !pending->was_resent &&
           strcmp(pending->method, "subscriptions/listen") != 0 &&
           (status == 400 || status == 404 || status == 405);
}

/* The error that was kept is the answer after all. */
static void give_refusal(struct mcp_session *session, struct pending *pending)
{
    struct buf kept = pending->refusal;
    buf_init(&pending->refusal, REFUSAL_BYTES);
    const struct message message = {
        .kind = MESSAGE_ERROR, .error = buf_slice(&kept), .number = pending->id};
    session->failures = pending->is_call ? 0 : session->failures;
    pending_unregister(pending);
    pending->ops->answered(pending, &message);
    buf_done(&kept);
}

void session_exchange_ended(struct mcp_session *session, mcp_token token,
                            const struct failure *failure, bool is_session_gone)
{
    struct pending *pending = pending_find(session, token);
    if (!pending) {
        return; /* it has its answer, or nobody waits for it any more */
    }
    if (is_session_gone && pending != &session->handshake.asked) {
        pending_unregister(pending);
        renew(session, pending);
        return;
    }
    if (is_era_lost(session, pending, failure)) {
        if (pending->epoch == session->epoch) { /* else it was asked anew since then */
            session->known->era = KNOWN_NOTHING;
        }
        pending_unregister(pending);
        renew(session, pending);
        return;
    }
    if (pending->refusal.len) {
        give_refusal(session, pending);
        return;
    }
    if (!failure || (pending->fault && failure->code == ERR_UNAVAILABLE)) {
        session->faults += !pending->fault;
        fail_with_fault(pending, pending->fault ? pending->fault : "no answer to the request");
        return;
    }
    bool sent = detail_was_sent(failure);
    pending_unregister(pending);
    if (failure->code == ERR_TIMEOUT && sent) {
        tell_cancelled(session, pending, "timeout");
    }
    pending->ops->failed(pending, failure, sent);
}

void session_resume(struct mcp_session *session)
{
    struct list_link *link;
    while (session->state == SESSION_READY && (link = list_first(&session->waiting))) {
        struct pending *pending = LIST_ITEM(link, struct pending, link);
        list_remove(link);
        pending->ops->ready(pending);
    }
}
