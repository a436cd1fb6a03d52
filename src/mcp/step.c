/* SPDX-License-Identifier: MIT */
/* step.c - what a request does next: wait for the session, for the tools, or be sent. */
#include "base/must.h"
#include "mcp/ask.h"
#include "mcp/catalog.h"
#include "mcp/encode.h"
#include "mcp/message.h"
#include "mcp/param_header.h"
#include "mcp/refusal.h"
#include "mcp/task.h"
#include "value/pack.h"

#define RELIST_AFTER ((mono_us)3000000)

/* ---- sending ----------------------------------------------------------------------------- */

void request_describe(const struct mcp_request *request, struct message_request *ret)
{
    const struct method *method = request->method;
    const struct mcp_session *session = request->pending.session;
    *ret =
        (struct message_request){.method = method->wire,
                                 .name_key = method->name_key,
                                 .name = request->name,
                                 .has_arguments = (method->traits & METHOD_HAS_ARGUMENTS) != 0,
                                 .arguments = request->arguments,
                                 .cursor = request->cursor,
                                 .envelope = {.revision = session->revision,
                                              .wants_progress = request->pending.wants_progress,
                                              .meta = request->meta}};
    if (method->traits & METHOD_HAS_MEMBERS) {
        ret->members = request->arguments;
    }
    if (session_is_modern(session)) {
        ret->envelope.capabilities = request->identity.capabilities;
        ret->envelope.takes_tasks =
            (method->traits & (METHOD_MAKES_TASKS | METHOD_OF_TASKS)) != 0;
        ret->envelope.log_level = request->log_level;
    }
}

/* Whether it was written to core->out. */
static bool put(struct mcp_session *session, uint64_t id, const struct message_request *message,
                struct failure *failure)
{
    struct mcp_core *core = session->core;
    struct buf *out = core_out(core);
    struct err err = {0};
    if (message_put_request(out, id, message, &core->part, &err) < 0) {
        failure_from_err(failure, &err);
        return false;
    }
    if (out->overflow || out->len > core->message_bytes) {
        failure_set(failure, ERR_OVERLOADED, "the call is longer than %zu bytes",
                    core->message_bytes);
        failure->is_retryable = false;
        return false;
    }
    return true;
}

/* With the arguments that a modern server wants in headers too. */
static void send_with_headers(struct mcp_request *request, const struct mcp_outgoing *outgoing,
                              struct failure *failure)
{
    struct mcp_session *session = request->pending.session;
    struct mcp_param_header params[PARAM_HEADERS_MAX];
    struct mcp_outgoing whole = *outgoing;
    buf_clear(&session->core->part);
    whole.params = params;
    whole.param_count = param_headers_fill(catalog_headers(request->catalog, request->tool),
                                           request->arguments, params, &session->core->part);
    (void)session_send(session, &request->pending, &whole, failure);
}

static void send_built(struct mcp_request *request, const struct message_request *message,
                       uint64_t id, struct buf *json, struct failure *failure)
{
    struct mcp_session *session = request->pending.session;
    struct mcp_outgoing outgoing = {.kind = MCP_REQUEST,
                                    .json = buf_slice(json),
                                    .own = json->cap > BUF_LONG ? json : NULL,
                                    .token = id,
                                    .deadline = request->deadline.place ? request->deadline.when
                                                                        : MONO_NEVER,
                                    .method = message->method};
    if (message->name_key) {
        outgoing.name = message->name;
    }
    if (request->tool && session->has_exchanges && session_is_modern(session)) {
        send_with_headers(request, &outgoing, failure);
    } else {
        (void)session_send(session, &request->pending, &outgoing, failure);
    }
}

static void fail_with(struct mcp_request *request, struct failure *failure)
{
    request_fail(request, failure, false);
    failure_done(failure);
}

void request_send(struct mcp_request *request, const struct message_request *message)
{
    struct mcp_session *session = request->pending.session;
    struct failure failure = {0};
    if (request->block && encode_start(request, message)) {
        return;
    }
    uint64_t id = session_next_id(session);
    if (put(session, id, message, &failure)) {
        send_built(request, message, id, &session->core->out, &failure);
    }
    if (failure.code) {
        fail_with(request, &failure);
    }
}

/* The session may have become another one meanwhile. */
void request_send_encoded(struct mcp_request *request, const struct message_request *message,
                          uint64_t id, struct buf *json, const struct failure *failure)
{
    struct mcp_session *session = request->pending.session;
    struct failure own = {0};
    if (failure) {
        failure_copy(&own, failure);
    } else if (session->state == SESSION_STOPPED) {
        failure_set(&own, ERR_UNAVAILABLE, "the server ended before the call was sent");
    } else if (session->state != SESSION_READY) {
        session_await_ready(session, &request->pending);
    } else {
        send_built(request, message, id, json, &own);
    }
    if (own.code) {
        fail_with(request, &own);
    }
}

/* A server that logs all the time is told how much is wanted now. */
static void set_log_level(struct mcp_request *request)
{
    struct seat *seat = request->seat;
    struct mcp_session *session = &seat->session;
    if (session_is_modern(session) || !(session->offers & OFFERS_LOGGING) ||
        (seat->log_epoch == session->epoch && seat->log_level == request->log_level)) {
        return;
    }
    struct buf members;
    buf_init(&members, 64);
    pack_put_map(&members, 1);
    pack_put_key_text(&members, "level", request->log_level);
    const struct message_request message = {.method = "logging/setLevel",
                                            .members = buf_slice(&members)};
    if (!members.overflow) {
        seat->log_level = request->log_level;
        seat->log_epoch = session->epoch;
        (void)request_send_aside(seat, &message, ASIDE_TIMEOUT);
    }
    buf_done(&members);
}

bool request_is_plain(const struct mcp_request *request)
{
    struct pack cursor = pack_over(request->meta);
    struct pack_item map;
    struct slice key;
    struct slice value;
    if (!request->meta.len || !pack_next(&cursor, &map) || map.type != PACK_MAP) {
        return true;
    }
    for (uint32_t i = 0; i < map.count; i++) {
        if (!pack_next_text(&cursor, &key) || !pack_take(&cursor, &value) ||
            !(slice_is(key, "traceparent") || slice_is(key, "tracestate") ||
              slice_is(key, "baggage"))) {
            return false;
        }
    }
    return true;
}

struct cache_key request_key(const struct mcp_request *request)
{
    const struct service_conf *conf = request->pending.session->conf;
    return (struct cache_key){
        .service = request->seat->service,
        .session = request->pending.session,
        .method = request->method->id,
        .name = request->name,
        .cursor = request->gathering ? gather_cursor(request) : request->cursor,
        .capabilities = request->identity.capabilities,
        .is_apart = service_conf_needs_user(conf) || service_conf_needs_agent(conf)};
}

/* Whether a modern server has answered this before, and lets it be used again. */
static bool is_known(struct mcp_request *request)
{
    struct slice result;
    const struct cache_key key = request_key(request);
    if (request->round || !request_is_plain(request) ||
        !cache_get(&request->seat->service->services->cache, &key, &result)) {
        return false;
    }
    if (request->is_beginning) {
        request_go_later(request);
        return true;
    }
    request->is_cached = true;
    request_complete(request, result);
    return true;
}

void request_send_call(struct mcp_request *request)
{
    if (!task_is_here(request) ||
        ((request->method->traits & METHOD_READS) && is_known(request))) {
        return;
    }
    struct message_request message;
    request_describe(request, &message);
    if (request->gathering) {
        message.cursor = gather_cursor(request);
    }
    if (request->round) {
        round_add(request, &message);
    }
    message.task_ttl_ms = request->tool ? task_ttl(request) : 0;
    request->asks_task = message.task_ttl_ms != 0;
    request_step(request, STEP_ANSWER);
    request->seat->calls++;
    request_send(request, &message);
}

struct mcp_request *request_send_aside(struct seat *seat, const struct message_request *message,
                                       mono_us timeout)
{
    mono_us until = loop_now(seat->session.core->loop) + timeout;
    struct mcp_request *request = request_new(seat, until, NULL);
    request->is_aside = true;
    request->step = STEP_ANSWER;
    request_send(request, message);
    request->is_beginning = false;
    return request;
}

/* The server never looked at it, because it had forgotten the session: the same bytes again. */
static void send_again(struct mcp_request *request)
{
    struct pending *pending = &request->pending;
    struct failure failure = {0};
    request_step(request, STEP_ANSWER);
    const struct mcp_outgoing message = {
        .kind = MCP_REQUEST,
        .json = buf_slice(&pending->body),
        .token = pending->id,
        .deadline = request->deadline.place ? request->deadline.when : MONO_NEVER,
        .method = pending->method,
        .name = request->name};
    if (session_send(pending->session, pending, &message, &failure) < 0) {
        request_fail(request, &failure, false);
    }
    failure_done(&failure);
}

/* The session was begun anew in between, perhaps with another revision: then other bytes. */
static bool is_lost(const struct mcp_request *request)
{
    return request->pending.was_resent && request->pending.id;
}

static bool can_be_sent_again(const struct mcp_request *request)
{
    const struct revision *then = request->pending.revision;
    const struct revision *now = request->pending.session->revision;
    return then && then->era == ERA_LEGACY && now->era == ERA_LEGACY && !request->gathering &&
           request->pending.body.len;
}

static void fail_lost(struct mcp_request *request)
{
    struct failure failure = {0};
    failure_set(&failure, ERR_UNAVAILABLE,
                "the server was replaced by one of another revision meanwhile");
    request_fail(request, &failure, false);
    failure_done(&failure);
}

/* ---- calling ----------------------------------------------------------------------------- */

static void wait_for_start(struct mcp_request *request)
{
    struct mcp_session *session = request->pending.session;
    struct mcp_service *service = request->seat->service;
    struct failure failure = {0};
    if (session->state == SESSION_STOPPED && !recall_must_wait(service)) {
        bool is_again = session->failures > 0;
        if (loop_now(session->core->loop) < session->not_before) {
            refuse_back_off(request, &failure);
        } else if (session_start(session, &failure) < 0) {
            seat_note_failure(request->seat, &failure, "could not start");
        } else {
            service->restarts += is_again;
        }
    }
    if (failure.code) {
        fail_with(request, &failure);
        return;
    }
    request_step(request, STEP_START);
    session_await_ready(session, &request->pending);
}

static void wait_for_catalog(struct mcp_request *request)
{
    request_step(request, STEP_LIST);
    session_await_catalog(request->pending.session, &request->pending);
}

/* Models write null for what they leave out: it counts as left out, and is sent as it came. */
static bool accepts_without_nulls(const struct schema *schema, struct slice arguments,
                                  struct buf *scratch)
{
    buf_clear(scratch);
    pack_put_pruned(scratch, arguments);
    return !scratch->overflow && schema_accepts(schema, buf_slice(scratch));
}

static void call_found(struct mcp_request *request, const struct mcp_tool *tool)
{
    static const char empty_map = '\x80';
    struct mcp_session *session = request->pending.session;
    const struct schema *schema = catalog_input(session->catalog, tool, session->conf->name);
    struct slice arguments =
        request->arguments.len ? request->arguments : (struct slice){&empty_map, 1};
    if (schema && !schema_accepts(schema, arguments) &&
        !accepts_without_nulls(schema, arguments, &session->core->part)) {
        struct failure failure = {0};
        refuse_arguments(request, schema, &failure);
        fail_with(request, &failure);
        return;
    }
    /* The name is needed for what may be said later, and the caller's may not be kept. */
    mcp_catalog_unref(request->catalog);
    request->catalog = mcp_catalog_ref(session->catalog);
    request->tool = tool;
    if (!request->is_kept) {
        request->name = tool->name;
    }
    request_send_call(request);
}

/* A modern server may have tools only for clients that it can ask: its list is made for all who
 * share it, and calls say what their own client can. */
static bool is_listed_for(const struct mcp_session *session, unsigned capabilities)
{
    return !session_is_modern(session) || (capabilities & ~session->listed_for) == 0;
}

static void call_tool(struct mcp_request *request)
{
    struct mcp_session *session = request->pending.session;
    const struct mcp_tool *tool = mcp_catalog_find(session->catalog, request->name);
    if (tool) {
        call_found(request, tool);
        return;
    }
    /* A server may have got new tools and said nothing. A list that was just made is not old. */
    bool is_old = loop_now(session->core->loop) - session->catalog_at > RELIST_AFTER;
    bool is_for_others = !is_listed_for(session, request->identity.capabilities);
    if ((session->offers & OFFERS_TOOLS) && (is_old || is_for_others) &&
        !catalog_withholds(session->catalog, request->name)) {
        session->is_catalog_stale = true;
        wait_for_catalog(request);
        return;
    }
    struct failure failure = {0};
    refuse_unknown_tool(request, &failure);
    fail_with(request, &failure);
}

/* The first revision has completions and no capability that says so. */
static bool is_offered(const struct mcp_request *request)
{
    const struct mcp_session *session = request->pending.session;
    unsigned offer = request->method->offer;
    return !offer || (session->offers & offer) ||
           (offer == OFFERS_COMPLETIONS &&
            slice_is(slice_of(session->revision->name), "2024-11-05"));
}

static void call_other(struct mcp_request *request)
{
    if (is_offered(request)) {
        request_send_call(request);
        return;
    }
    struct failure failure = {0};
    refuse_method(request, &failure);
    fail_with(request, &failure);
}

/* ---- the seat ---------------------------------------------------------------------------- */

/* At a legacy server a caller that can be asked something has a session of its own. */
static bool must_move(const struct mcp_request *request)
{
    const struct seat *seat = request->seat;
    return request->identity.capabilities && !seat->is_own && !request->is_aside &&
           !session_is_modern(&seat->session) && !request->pending.was_resent &&
           (request->is_kept || request->is_beginning) &&
           seat_is_wanted(seat->service, &request->identity);
}

static void move(struct mcp_request *request)
{
    struct seat *old = request->seat;
    request_sit(request, seat_find_own(old->service, &request->identity));
    seat_stop_probe(old);
    request_go(request);
}

static bool can_give_catalog(const struct mcp_session *session)
{
    /* What is known of a server that was stopped is good until it is started again. */
    return (session->state == SESSION_READY || session->state == SESSION_STOPPED) &&
           session_has_fresh_catalog(session);
}

static void go_on_ready(struct mcp_request *request)
{
    struct mcp_session *session = request->pending.session;
    bool needs_catalog = request->list_events || request->method->offer == OFFERS_TOOLS;
    if (must_move(request)) {
        move(request);
    } else if (is_lost(request) && can_be_sent_again(request)) {
        send_again(request);
    } else if (is_lost(request) && !request->is_kept) {
        fail_lost(request);
    } else if (request->list_events || (needs_catalog && !session_has_catalog(session))) {
        wait_for_catalog(request);
    } else {
        gather_drop(request); /* a new session has other cursors */
        if (request->log_level) {
            set_log_level(request);
        }
        if (needs_catalog) {
            call_tool(request);
        } else {
            call_other(request);
        }
    }
}

void request_go(struct mcp_request *request)
{
    struct mcp_session *session = request->pending.session;
    session->shown |= request->identity.capabilities;
    if (request->list_events && !is_listed_for(session, request->identity.capabilities)) {
        session->is_catalog_stale = true;
    }
    if (request->list_events && !must_move(request) && can_give_catalog(session)) {
        request_give_catalog(request);
    } else if (!request->list_events && !line_take(request)) {
        return; /* it waits in line, or there is no room */
    } else if (session->state != SESSION_READY) {
        wait_for_start(request);
    } else {
        go_on_ready(request);
    }
}
