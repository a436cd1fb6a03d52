/* SPDX-License-Identifier: MIT */
/* request.c - the way of one call or listing: session, catalogue, answer, and `done`. */
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "mcp/catalog.h"
#include "mcp/message.h"
#include "mcp/room.h"
#include "value/pack.h"

#define SPARE_MAX    256u
#define KEEP_BYTES   4096u /* of a spare request's buffers */
#define RELIST_AFTER ((mono_us)3000000)

static const char *const step_names[] = {
    [STEP_QUEUED] = "queue",
    [STEP_START] = "start",
    [STEP_LIST] = "list",
    [STEP_ANSWER] = "answer",
};

static struct mcp_request *request_of(struct pending *pending)
{
    return LIST_ITEM(pending, struct mcp_request, pending);
}

static struct mcp_services *services_of(const struct mcp_request *request)
{
    return request->seat->service->services;
}

/* ---- beginning and end ------------------------------------------------------------------- */

static void deadline_passed(void *arg);
static void tell(void *arg);
static const struct pending_ops request_ops;

struct mcp_request *request_new(struct seat *seat, mono_us deadline, void *arg)
{
    struct mcp_services *services = seat->service->services;
    struct list_link *link = list_first(&services->spare);
    struct mcp_request *request;
    if (link) {
        request = LIST_ITEM(link, struct mcp_request, owned);
        list_remove(link);
        services->spare_count--;
    } else {
        request = mem_new(sizeof *request);
        pending_init(&request->pending, &request_ops, services->core.out.max);
        buf_init(&request->kept, services->core.out.max);
        loop_timer_init(&request->deadline, deadline_passed, request);
        loop_task_init(&request->tell, tell, request);
    }
    list_append(&services->requests, &request->owned);
    request->seat = seat;
    request->arg = arg;
    request->began = loop_now(services->core.loop);
    request->is_beginning = true;
    request->pending.session = &seat->session;
    seat_use(seat);
    if (deadline != MONO_NEVER) {
        loop_timer_set(services->core.loop, &request->deadline, deadline);
    }
    return request;
}

/* Back to how request_new makes it, but for what is kept for the next one. */
static void reset(struct mcp_request *request)
{
    struct pending *pending = &request->pending;
    pending->session = NULL;
    pending->id = 0;
    pending->is_call = pending->wants_progress = pending->was_resent = false;
    pending->fault = NULL;
    buf_trim(&pending->body, KEEP_BYTES);
    buf_trim(&request->kept, KEEP_BYTES);
    request->call_events = NULL;
    request->list_events = NULL;
    request->tool = request->arguments = request->meta = (struct slice){NULL, 0};
    request->user = request->agent = (struct slice){NULL, 0};
    request->is_beginning = request->has_place = false;
}

void request_free(struct mcp_request *request)
{
    pending_done(&request->pending);
    buf_done(&request->kept);
    list_remove(&request->owned);
    mem_free(request);
}

/* Takes it out of everything. It may still tell. */
static void release(struct mcp_request *request)
{
    struct seat *seat = request->seat;
    struct mcp_service *service = seat->service;
    struct mcp_services *services = service->services;
    loop_timer_cancel(services->core.loop, &request->deadline);
    loop_task_cancel(&request->tell);
    if (request->has_place) {
        service->inflight--;
        if (service->queued) {
            loop_later(services->core.loop, &service->pump);
        }
    }
    request->catalog = mcp_catalog_unref(request->catalog);
    if (request->failure) {
        failure_done(request->failure);
        mem_free(request->failure);
        request->failure = NULL;
    }
    reset(request);
    list_remove(&request->owned);
    if (services->spare_count < SPARE_MAX) {
        list_append(&services->spare, &request->owned);
        services->spare_count++;
    } else {
        request_free(request);
    }
    seat_leave(seat);
}

static bool is_fault_of_service(enum err_code code)
{
    return code != ERR_VALIDATION_ERROR && code != ERR_NOT_FOUND && code != ERR_OVERLOADED &&
           code != ERR_DISABLED && code != ERR_SHUTTING_DOWN;
}

static void tell_failure(struct mcp_request *request, const struct failure *failure, bool sent)
{
    request->seat->service->failures += is_fault_of_service(failure->code);
    if (request->list_events) {
        request->list_events->done(request->arg, NULL, failure);
    } else {
        const struct mcp_outcome outcome = {.failure = failure, .sent = sent};
        request->call_events->done(request->arg, &outcome);
    }
    release(request);
}

static void tell(void *arg)
{
    struct mcp_request *request = arg;
    if (request->failure) {
        tell_failure(request, request->failure, false);
        return;
    }
    request->list_events->done(request->arg, request->catalog, NULL);
    release(request);
}

static void tell_later(struct mcp_request *request)
{
    request->step = STEP_TELL;
    loop_later(services_of(request)->core.loop, &request->tell);
}

void request_fail(struct mcp_request *request, const struct failure *failure, bool sent)
{
    struct failure own = {0};
    failure_copy(&own, failure);
    blame(request, &own);
    if (!request->is_beginning) {
        tell_failure(request, &own, sent);
        failure_done(&own);
        return;
    }
    must(!sent);
    request->failure = mem_new(sizeof *request->failure);
    *request->failure = own;
    tell_later(request);
}

/* ---- the steps --------------------------------------------------------------------------- */

void request_step(struct mcp_request *request, enum request_step step)
{
    request->step = step;
    if (request->call_events && request->call_events->waits_for) {
        request->call_events->waits_for(request->arg, step_names[step]);
    }
}

static void wait_for_start(struct mcp_request *request)
{
    struct mcp_session *session = request->pending.session;
    struct mcp_service *service = request->seat->service;
    struct failure failure = {0};
    if (session->state == SESSION_STOPPED) {
        bool is_again = session->failures > 0;
        if (loop_now(session->core->loop) < session->not_before) {
            refuse_back_off(request, &failure);
        } else if (session_start(session, &failure) < 0) {
            service_note_failure(service, &failure);
        } else {
            service->restarts += is_again;
        }
    }
    if (failure.code) {
        request_fail(request, &failure, false);
        failure_done(&failure);
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

static void give_catalog(struct mcp_request *request)
{
    request->catalog = mcp_catalog_ref(request->pending.session->catalog);
    if (request->is_beginning) {
        tell_later(request);
    } else {
        tell(request);
    }
}

/* Whether it was written to core->out. */
static bool put_call(struct mcp_request *request, uint64_t id, struct failure *failure)
{
    struct mcp_core *core = request->pending.session->core;
    struct buf *out = core_out(core);
    struct err err = {0};
    const struct message_request call = {
        .method = "tools/call",
        .name_key = "name",
        .name = request->tool,
        .has_arguments = true,
        .arguments = request->arguments,
        .envelope = {.revision = request->pending.session->revision,
                     .wants_progress = request->pending.wants_progress,
                     .meta = request->meta}};
    if (message_put_request(out, id, &call, &core->part, &err) < 0) {
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

static void send_call(struct mcp_request *request, const struct mcp_tool *tool)
{
    static const char empty_map = '\x80';
    struct mcp_session *session = request->pending.session;
    struct failure failure = {0};
    struct slice arguments =
        request->arguments.len ? request->arguments : (struct slice){&empty_map, 1};
    const struct schema *schema = catalog_input(session->catalog, tool, session->conf->name);
    uint64_t id = session_next_id(session);
    if (schema && !schema_accepts(schema, arguments)) {
        refuse_arguments(request, schema, &failure);
    } else if (put_call(request, id, &failure)) {
        request_step(request, STEP_ANSWER);
        const struct mcp_outgoing message = {
            .kind = MCP_REQUEST,
            .json = buf_slice(&session->core->out),
            .token = id,
            .deadline = request->deadline.place ? request->deadline.when : MONO_NEVER,
            .method = "tools/call",
            .name = tool->name};
        (void)session_send(session, &request->pending, &message, &failure);
        /* The name is needed for what may be said later, and the caller's is not kept. */
        request->catalog = mcp_catalog_ref(session->catalog);
        request->tool = tool->name;
    }
    if (failure.code) {
        request_fail(request, &failure, false);
        failure_done(&failure);
    }
}

static void call_tool(struct mcp_request *request)
{
    struct mcp_session *session = request->pending.session;
    const struct mcp_tool *tool = mcp_catalog_find(session->catalog, request->tool);
    if (tool) {
        send_call(request, tool);
        return;
    }
    /* A server may have got new tools and said nothing. A list that was just made is not old. */
    bool is_old = loop_now(session->core->loop) - session->catalog_at > RELIST_AFTER;
    if ((session->offers & OFFERS_TOOLS) && is_old) {
        session->is_catalog_stale = true;
        wait_for_catalog(request);
        return;
    }
    struct failure failure = {0};
    refuse_unknown_tool(request, &failure);
    request_fail(request, &failure, false);
    failure_done(&failure);
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
        .method = "tools/call",
        .name = request->tool};
    if (session_send(pending->session, pending, &message, &failure) < 0) {
        request_fail(request, &failure, false);
    }
    failure_done(&failure);
}

void request_go(struct mcp_request *request)
{
    struct mcp_session *session = request->pending.session;
    bool is_ready = session->state == SESSION_READY;
    /* What is known of a server that was stopped is good until it is started again. */
    bool is_stopped = session->state == SESSION_STOPPED && request->list_events;
    if ((is_ready || is_stopped) && session_has_fresh_catalog(session) &&
        request->list_events) {
        give_catalog(request);
    } else if (!is_ready) {
        wait_for_start(request);
    } else if (request->pending.was_resent && request->pending.id) {
        send_again(request);
    } else if (!session_has_catalog(session) || request->list_events) {
        wait_for_catalog(request);
    } else {
        call_tool(request);
    }
}

/* ---- what the session says --------------------------------------------------------------- */

static void on_step(struct pending *pending)
{
    request_go(request_of(pending));
}

static void on_answered(struct pending *pending, const struct message *message)
{
    struct mcp_request *request = request_of(pending);
    struct failure failure = {0};
    struct slice type;
    if (message->kind == MESSAGE_ERROR) {
        message_error_to_failure(message->error, &failure);
    } else if (pack_peek(pack_over(message->result)) != PACK_MAP) {
        failure_set(&failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                    "the server broke the protocol: the result is no object");
    } else if (pack_get_text(message->result, "resultType", &type) &&
               !slice_is(type, "complete")) {
        failure_set(&failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                    "the server gave a result of type \"%.*s\", which nobody asked for",
                    (int)(type.len > 64 ? 64 : type.len), type.ptr);
    }
    if (failure.code) {
        request_fail(request, &failure, true);
        failure_done(&failure);
        return;
    }
    const struct mcp_outcome outcome = {.result = message->result, .sent = true};
    request->call_events->done(request->arg, &outcome);
    release(request);
}

static void on_failed(struct pending *pending, const struct failure *failure, bool sent)
{
    request_fail(request_of(pending), failure, sent);
}

static void on_progress(struct pending *pending, struct slice params)
{
    struct mcp_request *request = request_of(pending);
    if (request->call_events->progress) {
        request->call_events->progress(request->arg, params);
    }
}

static void on_log(struct pending *pending, struct slice params)
{
    struct mcp_request *request = request_of(pending);
    if (request->call_events->log) {
        request->call_events->log(request->arg, params);
    }
}

static const struct pending_ops request_ops = {
    .ready = on_step,
    .listed = on_step,
    .answered = on_answered,
    .failed = on_failed,
    .progress = on_progress,
    .log = on_log,
};

/* ---- giving up --------------------------------------------------------------------------- */

/* Out of whatever list it waits in; the server is told if it has it. */
void request_withdraw(struct mcp_request *request, const char *reason)
{
    if (request->step == STEP_QUEUED) {
        request->seat->service->queued--;
        list_remove(&request->pending.link);
    } else if (request->step != STEP_TELL) {
        session_forget(&request->pending, reason);
    }
}

static void deadline_passed(void *arg)
{
    struct mcp_request *request = arg;
    struct failure failure = {0};
    bool sent = request->pending.is_sent;
    if (request->step == STEP_TELL) {
        return;
    }
    refuse_timeout(request, &failure);
    request_withdraw(request, "timeout");
    request_fail(request, &failure, sent);
    failure_done(&failure);
}

void mcp_cancel(struct mcp_request *request, const char *reason)
{
    request_withdraw(request, reason);
    release(request);
}
