/* SPDX-License-Identifier: MIT */
/* notice.c - what comes in: each message goes to whom it is for. What is for nobody is counted. */
#include "base/log.h"
#include "mcp/decode.h"
#include "mcp/session.h"
#include "value/pack.h"

/* After the first ones, broken messages are logged only now and then. */
#define FAULTS_LOGGED     5u
#define FAULTS_LOGGED_PER 1000u

static void note_fault(struct mcp_session *session, const char *what)
{
    session->faults++;
    if (session->faults <= FAULTS_LOGGED || session->faults % FAULTS_LOGGED_PER == 0) {
        log_at(LOG_WARN, "mcp", "the server broke the protocol",
               LOG_SLICE("service", session->conf->name), LOG_TEXT("what", what),
               LOG_INT("faults", session->faults));
    }
}

/* On an exchange the fault is its request's, which is told when the exchange ends; elsewhere
 * nobody knows whose answer that was. */
static void take_rubbish(struct mcp_session *session, const char *what, mcp_token token)
{
    struct pending *pending = pending_find(session, token);
    if (pending) {
        pending->fault = what;
    }
    note_fault(session, what);
}

/* ---- notifications ----------------------------------------------------------------------- */

static void take_progress(struct mcp_session *session, struct slice params)
{
    int64_t token = 0;
    struct pending *pending = NULL;
    if (pack_get_int(params, "progressToken", &token) && token > 0) {
        pending = pending_of_token(session, (uint64_t)token);
    }
    if (!pending || !pending->wants_progress) {
        session->dropped++;
        return;
    }
    struct buf *part = &session->core->part;
    buf_clear(part);
    message_put_progress_params(params, part);
    if (!part->overflow) {
        pending->ops->progress(pending, buf_slice(part));
    }
}

/* The call that a message of the server's belongs to which names none: the only one that the server
 * can be at, if there is no doubt. */
static struct pending *only_call(const struct mcp_session *session)
{
    if (session->calls_sent != 1 || session->given_up_count) {
        return NULL;
    }
    list_each (link, &session->sent) {
        struct pending *pending = LIST_ITEM(link, struct pending, link);
        if (pending->is_call) {
            return pending;
        }
    }
    return NULL;
}

static void take_log(struct mcp_session *session, struct slice params, mcp_token token)
{
    struct pending *pending = token ? pending_find(session, token) : only_call(session);
    if (!pending || !pending->is_call || !params.ptr) {
        session->dropped++;
        return;
    }
    pending->ops->log(pending, params);
}

/* A modern server says to which subscription a notification belongs, by the id of its request: the
 * same number, not a text that looks like it. False: it names none. */
static bool take_of_subscription(struct mcp_session *session, const struct message *message,
                                 mcp_token token)
{
    struct slice meta;
    struct slice value;
    struct pack_item item;
    uint64_t id = 0;
    if (!message->params.ptr || !pack_get(message->params, "_meta", &meta) ||
        !pack_get(meta, "io.modelcontextprotocol/subscriptionId", &value)) {
        return false;
    }
    struct pack cursor = pack_over(value);
    bool is_number = pack_next(&cursor, &item) && pack_as_uint(&item, &id);
    struct pending *pending = is_number ? pending_find(session, id) : NULL;
    if (!pending || !pending->ops->notice || (token && token != id)) {
        session->dropped++;
        return true;
    }
    pending->ops->notice(pending, message->method, message->params);
    return true;
}

/* The server ends a subscription, or takes back what it asked; it may say so anywhere. */
static void take_cancelled(struct mcp_session *session, const struct message *message)
{
    struct slice id;
    struct pack_item item;
    uint64_t number = 0;
    if (!message->params.ptr || !pack_get(message->params, "requestId", &id)) {
        session->dropped++;
        return;
    }
    if (session_is_modern(session)) {
        struct pack cursor = pack_over(id);
        struct pending *pending = pack_next(&cursor, &item) && pack_as_uint(&item, &number)
                                      ? pending_find(session, number)
                                      : NULL;
        if (pending && pending->ops->notice) {
            pending->ops->notice(pending, message->method, message->params);
        } else if (!watches_take(session, message->method, message->params)) {
            session->dropped++;
        }
    } else if (session->was_asked) {
        list_each (link, &session->sent) {
            struct pending *pending = LIST_ITEM(link, struct pending, link);
            if (pending->ops->ask_cancelled) {
                pending->ops->ask_cancelled(pending, id);
            }
        }
    } else {
        session->dropped++;
    }
}

static void take_notification(struct mcp_session *session, const struct message *message,
                              mcp_token token)
{
    if (slice_is(message->method, "notifications/progress")) {
        take_progress(session, message->params);
    } else if (slice_is(message->method, "notifications/message")) {
        take_log(session, message->params, token);
    } else if (slice_is(message->method, "notifications/cancelled")) {
        take_cancelled(session, message);
    } else if (session_is_modern(session)) {
        if (!take_of_subscription(session, message, token)) {
            session->dropped++;
        }
    } else if (!watches_take(session, message->method, message->params)) {
        session->dropped++;
    }
}

/* ---- requests ---------------------------------------------------------------------------- */

/* What a server may ask of a client, and what the client must have declared for it. */
static const struct question {
    const char *method;
    unsigned capabilities;
    const char *refusal;
} questions[] = {
    {"elicitation/create", MCP_CAN_ELICIT | MCP_CAN_ELICIT_URL, "Elicitation not supported"},
    {"sampling/createMessage", MCP_CAN_SAMPLE, "Sampling not supported"},
    {"roots/list", MCP_CAN_LIST_ROOTS, "Roots not supported"},
};

/* The request in whose course the server asks: the one of the exchange; else the only one that uses
 * the session now, or that was sent. */
static struct pending *asked_of(const struct mcp_session *session, mcp_token token)
{
    if (token) {
        return pending_find(session, token);
    }
    return session->holder ? session->holder : only_call(session);
}

static void refuse(struct mcp_session *session, const struct message *message, int code,
                   const char *text)
{
    session->dropped++;
    message_put_refusal(core_out(session->core), message->id, code, text);
    session_say(session, MCP_RESPONSE);
}

static void take_question(struct mcp_session *session, const struct message *message,
                          const struct question *question, mcp_token token)
{
    struct pending *pending = asked_of(session, token);
    bool is_declared = (session->capabilities & question->capabilities) != 0;
    session->was_asked |= is_declared;
    if (pending && pending->ops->asked && pending->ops->asked(pending, message)) {
        return; /* also what was not declared: it is declined, and the call's answer says so */
    }
    if (is_declared) {
        refuse(session, message, JSONRPC_INVALID_PARAMS,
               "No request of this client is under way that this could belong to");
    } else {
        refuse(session, message, JSONRPC_METHOD_NOT_FOUND, question->refusal);
    }
}

static void take_request(struct mcp_session *session, const struct message *message,
                         mcp_token token)
{
    if (session_is_modern(session)) {
        take_rubbish(session, "a request, which modern servers do not send", token);
        return;
    }
    if (slice_is(message->method, "ping")) {
        message_put_empty_result(core_out(session->core), message->id);
        session_say(session, MCP_RESPONSE);
        return;
    }
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        if (slice_is(message->method, questions[i].method)) {
            take_question(session, message, &questions[i], token);
            return;
        }
    }
    refuse(session, message, JSONRPC_METHOD_NOT_FOUND, "Method not found");
}

/* ---- messages ---------------------------------------------------------------------------- */

static void take_one(struct mcp_session *session, const struct message *message,
                     mcp_token token)
{
    switch (message->kind) {
    case MESSAGE_RESULT:
    case MESSAGE_ERROR:
        session_take_answer(session, message, token);
        break;
    case MESSAGE_REQUEST:
        take_request(session, message, token);
        break;
    case MESSAGE_NOTIFICATION:
        take_notification(session, message, token);
        break;
    case MESSAGE_INVALID:
        if (message->number && !message->method.ptr) {
            session_take_answer(session, message, token);
            break;
        }
        take_rubbish(session, message->fault, token);
        break;
    case MESSAGE_BATCH:
        take_rubbish(session, "a batch of messages", token);
        break;
    }
}

static void take_batch(struct mcp_session *session, struct slice array, mcp_token token)
{
    struct pack cursor = pack_over(array);
    struct pack_item head;
    struct slice value;
    struct message message;
    if (!pack_next(&cursor, &head) || !head.count) {
        take_rubbish(session, "an empty batch", token);
        return;
    }
    for (uint32_t i = 0; i < head.count && pack_take(&cursor, &value); i++) {
        message_read(value, &message);
        take_one(session, &message, token);
    }
}

void session_take_decoded(struct mcp_session *session, const struct decoded *decoded,
                          mcp_token token)
{
    const struct message *message = &decoded->message;
    if (decoded->why.code) {
        log_at(LOG_DEBUG, "mcp", "a message that could not be read",
               LOG_SLICE("service", session->conf->name), LOG_TEXT("why", decoded->why.text));
    }
    bool is_batch =
        message->kind == MESSAGE_BATCH && session->revision && session->revision->has_batches;
    if (is_batch) {
        take_batch(session, message->params, token);
    } else {
        take_one(session, message, token);
    }
}

void session_take_message(struct mcp_session *session, struct slice json, mcp_token token)
{
    struct mcp_core *core = session->core;
    struct decoded decoded;
    buf_clear(&core->in);
    decode_message(json, token != 0, &core->in, &decoded);
    session_take_decoded(session, &decoded, token);
    core_trim(core);
}
