/* SPDX-License-Identifier: MIT */
/* ask.c - questions of servers: to the client of the call they came in, and its answers back. */
#include "mcp/ask.h"

#include "base/mem.h"
#include "mcp/message.h"
#include "value/pack.h"

#define ID_BYTES 1024u

#define REJECTED (-1) /* what the protocol says for a sampling request that the user refuses */

bool ask_kind_of(struct slice method, enum ask_kind *ret)
{
    for (unsigned kind = 0; kind < ASK_KINDS; kind++) {
        if (slice_is(method, ask_method((enum ask_kind)kind))) {
            *ret = (enum ask_kind)kind;
            return true;
        }
    }
    return false;
}

const char *ask_method(enum ask_kind kind)
{
    static const char *const names[ASK_KINDS] = {[ASK_ELICIT] = "elicitation/create",
                                                 [ASK_SAMPLE] = "sampling/createMessage",
                                                 [ASK_ROOTS] = "roots/list"};
    return names[kind];
}

bool ask_is_declared(enum ask_kind kind, struct slice params, unsigned capabilities)
{
    struct slice value;
    switch (kind) {
    case ASK_ELICIT:
        if (pack_get_text(params, "mode", &value) && !slice_is(value, "form")) {
            return slice_is(value, "url") && (capabilities & MCP_CAN_ELICIT_URL);
        }
        return (capabilities & MCP_CAN_ELICIT) != 0;
    case ASK_SAMPLE:
        if (pack_get(params, "tools", &value) || pack_get(params, "toolChoice", &value)) {
            return (capabilities & MCP_CAN_SAMPLE) && (capabilities & MCP_CAN_SAMPLE_TOOLS);
        }
        return (capabilities & MCP_CAN_SAMPLE) != 0;
    case ASK_ROOTS:
        return (capabilities & MCP_CAN_LIST_ROOTS) != 0;
    default:
        return false;
    }
}

/* ---- life -------------------------------------------------------------------------------- */

struct mcp_ask *ask_new(struct mcp_request *request, enum ask_kind kind, struct slice params)
{
    struct mcp_ask *ask = mem_new(sizeof *ask);
    ask->request = request;
    ask->kind = kind;
    ask->params = params;
    ask->epoch = request->pending.session->epoch;
    list_append(&request->asks, &ask->link);
    return ask;
}

void ask_free(struct mcp_ask *ask)
{
    list_remove(&ask->link);
    mem_free(ask->own);
    mem_free(ask);
}

void ask_tell(struct mcp_ask *ask)
{
    static const char empty_map = '\x80';
    struct mcp_request *request = ask->request;
    struct slice params = ask->params.len ? ask->params : (struct slice){&empty_map, 1};
    ask->is_told = true;
    if (request->step != STEP_CLIENT) {
        request->step_before = request->step;
        request_step(request, STEP_CLIENT);
    }
    request->call_events->asked(request->arg, ask, ask_method(ask->kind), params);
}

/* ---- what a legacy server gets ----------------------------------------------------------- */

static void put_default(struct buf *out, struct slice id, enum ask_kind kind, bool is_over)
{
    static const char decline[] = "\x81\xa6"
                                  "action\xa7"
                                  "decline";
    static const char cancel[] = "\x81\xa6"
                                 "action\xa6"
                                 "cancel";
    switch (kind) {
    case ASK_ELICIT:
        (void)message_put_result(out, id,
                                 is_over ? (struct slice){cancel, sizeof cancel - 1}
                                         : (struct slice){decline, sizeof decline - 1});
        break;
    case ASK_SAMPLE:
        message_put_refusal(out, id, REJECTED, "User rejected sampling request");
        break;
    default:
        message_put_refusal(out, id, JSONRPC_METHOD_NOT_FOUND, "Roots not supported");
        break;
    }
}

static void answer_default(struct mcp_session *session, struct slice id, enum ask_kind kind,
                           bool is_over)
{
    put_default(core_out(session->core), id, kind, is_over);
    session_say(session, MCP_RESPONSE);
}

static bool can_hear(const struct mcp_ask *ask)
{
    const struct mcp_session *session = ask->request->pending.session;
    return session->wire && session->state == SESSION_READY && session->epoch == ask->epoch;
}

/* For what it waited for before it was asked. */
static void wait_on(struct mcp_request *request)
{
    if (list_is_empty(&request->asks) && request->step == STEP_CLIENT) {
        request_step(request, request->step_before);
    }
}

static void answer_legacy(struct mcp_ask *ask, struct slice result)
{
    struct mcp_request *request = ask->request;
    struct mcp_session *session = request->pending.session;
    if (pack_peek(pack_over(result)) != PACK_MAP) {
        result = (struct slice){NULL, 0};
    }
    if (can_hear(ask) && result.ptr) {
        struct buf *out = core_out(session->core);
        if (message_put_result(out, ask->key, result) == 0 && !out->overflow &&
            out->len <= session->core->message_bytes) {
            session_say(session, MCP_RESPONSE);
        } else { /* no text can be made of it */
            result.ptr = NULL;
        }
    }
    if (!result.ptr) {
        request->declined++;
        if (can_hear(ask)) {
            answer_default(session, ask->key, ask->kind, false);
        }
    }
    ask_free(ask);
    wait_on(request);
}

void mcp_answer(struct mcp_ask *ask, struct slice result)
{
    if (ask->is_of_round) {
        round_answered(ask, result);
    } else {
        answer_legacy(ask, result);
    }
}

/* ---- what a legacy server asks ----------------------------------------------------------- */

static unsigned count_asks(const struct mcp_request *request)
{
    unsigned count = 0;
    list_each (link, &request->asks) {
        count++;
    }
    return count;
}

bool ask_take(struct mcp_request *request, const struct message *message)
{
    enum ask_kind kind;
    if (!request->call_events || !ask_kind_of(message->method, &kind) || !message->id.ptr ||
        message->id.len > ID_BYTES) {
        return false;
    }
    unsigned declared = request->identity.capabilities & request->pending.session->capabilities;
    if (!request->call_events->asked || count_asks(request) >= ASKS_MAX ||
        !ask_is_declared(kind, message->params, declared)) {
        request->declined++;
        answer_default(request->pending.session, message->id, kind, false);
        return true;
    }
    struct mcp_ask *ask = ask_new(request, kind, message->params);
    ask->own = mem_dup(message->id);
    ask->key = (struct slice){ask->own, message->id.len};
    ask_tell(ask);
    return true;
}

void ask_take_back(struct mcp_request *request, struct slice id)
{
    list_each (link, &request->asks) {
        struct mcp_ask *ask = LIST_ITEM(link, struct mcp_ask, link);
        if (!ask->is_of_round && slice_equal(ask->key, id)) {
            list_remove(&ask->link);
            wait_on(request);
            request->call_events->ask_ended(request->arg, ask);
            ask_free(ask);
            return;
        }
    }
}

static void end_one(struct mcp_ask *ask, bool tells)
{
    struct mcp_request *request = ask->request;
    list_remove(&ask->link);
    if (!ask->is_of_round && can_hear(ask)) {
        answer_default(request->pending.session, ask->key, ask->kind, true);
    }
    if (tells && ask->is_told && request->call_events->ask_ended) {
        request->call_events->ask_ended(request->arg, ask);
    }
    ask_free(ask);
}

void ask_end_all(struct mcp_request *request, bool tells)
{
    struct list_link *link;
    while ((link = list_first(&request->asks))) {
        end_one(LIST_ITEM(link, struct mcp_ask, link), tells);
    }
}

void ask_end_lost(struct mcp_request *request)
{
    list_each (link, &request->asks) {
        struct mcp_ask *ask = LIST_ITEM(link, struct mcp_ask, link);
        if (!ask->is_of_round && ask->epoch != request->pending.session->epoch) {
            end_one(ask, true);
        }
    }
}
