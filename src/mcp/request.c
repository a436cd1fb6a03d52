/* SPDX-License-Identifier: MIT */
/* request.c - the life of one call or listing: its beginning, its deadline, and `done`. */
#include "base/mem.h"
#include "base/must.h"
#include "mcp/ask.h"
#include "mcp/encode.h"
#include "mcp/probe_internal.h"
#include "mcp/refusal.h"
#include "mcp/task.h"

#define SPARE_MAX  256u
#define KEEP_BYTES 4096u /* of a spare request's buffers */

static const char *const step_names[] = {
    [STEP_LINE] = "queue",    [STEP_START] = "start",   [STEP_LIST] = "list",
    [STEP_ANSWER] = "answer", [STEP_CLIENT] = "client", [STEP_TASK] = "task",
};

/* ---- beginning and end ------------------------------------------------------------------- */

static void deadline_passed(void *arg);
static void tell(void *arg);

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
        list_init(&request->asks);
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
    static const struct slice nothing = {NULL, 0};
    struct pending *pending = &request->pending;
    request->seat = NULL;
    pending->session = NULL;
    pending->id = 0;
    pending->is_call = pending->wants_progress = pending->was_resent = false;
    pending->fault = NULL;
    buf_trim(&pending->body, KEEP_BYTES);
    buf_trim(&request->kept, KEEP_BYTES);
    request->call_events = NULL;
    request->list_events = NULL;
    request->method = NULL;
    request->name = request->arguments = request->meta = request->cursor = nothing;
    request->identity = (struct mcp_identity){.agent = nothing};
    request->log_level = NULL;
    request->declined = 0;
    request->answered_id = 0;
    request->task_place = 0;
    request->step = STEP_START;
    request->is_beginning = request->is_kept = false;
    request->is_page = request->wants_task = request->may_repeat = false;
    request->is_aside = request->was_sent = request->asks_task = false;
    request->was_relisted = request->is_cached = false;
}

/* What it has beside its memory. */
static void drop_parts(struct mcp_request *request, bool tells)
{
    if (request->block) {
        encode_drop(request);
        request->block = block_unref(request->block);
    }
    if (request->probe) {
        probe_drop(request);
    }
    if (request->round || request->task || request->gathering) {
        round_drop(request);
        task_drop(request, tells);
        gather_drop(request);
    }
    request->tool = NULL;
    request->catalog = mcp_catalog_unref(request->catalog);
    if (request->failure) {
        failure_done(request->failure);
        mem_free(request->failure);
        request->failure = NULL;
    }
}

void request_free(struct mcp_request *request)
{
    struct list_link *link;
    if (request->seat) {
        struct loop *loop = request->seat->service->services->core.loop;
        loop_timer_cancel(loop, &request->deadline);
        loop_task_cancel(&request->tell);
    }
    while ((link = list_first(&request->asks))) {
        ask_free(LIST_ITEM(link, struct mcp_ask, link));
    }
    drop_parts(request, false);
    pending_done(&request->pending);
    buf_done(&request->kept);
    list_remove(&request->owned);
    mem_free(request);
}

void request_release(struct mcp_request *request)
{
    struct seat *seat = request->seat;
    struct mcp_services *services = seat->service->services;
    bool is_probe = request->probe != NULL;
    loop_timer_cancel(services->core.loop, &request->deadline);
    loop_task_cancel(&request->tell);
    if (!list_is_empty(&request->asks)) {
        ask_end_all(request, false);
    }
    drop_parts(request, true);
    line_leave(request);
    reset(request);
    list_remove(&request->owned);
    if (services->spare_count < SPARE_MAX) {
        list_append(&services->spare, &request->owned);
        services->spare_count++;
    } else {
        request_free(request);
    }
    if (is_probe) {
        seat_leave_probe(seat);
    } else {
        seat_leave(seat);
    }
}

void request_sit(struct mcp_request *request, struct seat *seat)
{
    struct seat *old = request->seat;
    seat_use(seat);
    line_leave(request);
    request->seat = seat;
    request->pending.session = &seat->session;
    seat_leave(old);
}

/* ---- telling ----------------------------------------------------------------------------- */

/* What a tool says of itself is believed only where the operator does. The tool is looked for by
 * name where it was not yet: what is known of it now is good enough for one that was not sent. */
static bool is_harmless(const struct mcp_request *request)
{
    const struct mcp_session *session = &request->seat->session;
    const struct mcp_tool *tool = request->tool;
    if (request->may_repeat || (request->method->traits & METHOD_READS)) {
        return true;
    }
    if (!session->conf->trust_annotations) {
        return false;
    }
    if (!tool && session->catalog && request->name.len &&
        request->method->offer == OFFERS_TOOLS) {
        tool = mcp_catalog_find(session->catalog, request->name);
    }
    return tool && tool->says_harmless;
}

static bool is_fault_of_service(enum failure_class class)
{
    return class != FAILURE_OF_CALLER && class != FAILURE_OF_BROKER;
}

static void tell_failure(struct mcp_request *request, const struct failure *failure, bool sent)
{
    request->seat->service->failures +=
        is_fault_of_service(failure->class) && !request->is_aside && !request->probe;
    if (request->probe) {
        probe_tell(request, failure);
    } else if (request->list_events) {
        request->list_events->done(request->arg, NULL, failure);
    } else if (!request->is_aside) {
        const struct mcp_outcome outcome = {.failure = failure,
                                            .sent = sent,
                                            .declined = request->declined,
                                            .is_under_way = task_goes_on(request),
                                            .is_harmless = is_harmless(request)};
        ask_end_all(request, true);
        request->call_events->done(request->arg, &outcome);
    }
    request_release(request);
}

/* What a cache has is told behind the call that asked for it; it may be gone by then. */
static void go_on(struct mcp_request *request)
{
    struct failure failure = {0};
    request->step = STEP_START;
    if (request->is_kept) {
        request_go(request);
        return;
    }
    failure_set(&failure, ERR_OVERLOADED, "there is no memory for the call's arguments");
    request_fail(request, &failure, false);
    failure_done(&failure);
}

static void tell(void *arg)
{
    struct mcp_request *request = arg;
    if (request->failure) {
        tell_failure(request, request->failure, false);
        return;
    }
    if (request->call_events) {
        go_on(request);
        return;
    }
    request->list_events->done(request->arg, request->catalog, NULL);
    request_release(request);
}

static void tell_later(struct mcp_request *request)
{
    request->step = STEP_TELL;
    loop_later(request->seat->service->services->core.loop, &request->tell);
}

void request_fail(struct mcp_request *request, const struct failure *failure, bool sent)
{
    struct failure own = {0};
    failure_copy(&own, failure);
    blame(request, &own);
    if (request->round || request->task) { /* an earlier step of it may have done something */
        own.is_nothing_done = false;
    }
    if (!request->is_beginning) {
        tell_failure(request, &own, sent || request->was_sent);
        failure_done(&own);
        return;
    }
    must(!sent);
    request->failure = mem_new(sizeof *request->failure);
    *request->failure = own;
    tell_later(request);
}

void request_succeed(struct mcp_request *request, const struct mcp_outcome *outcome)
{
    if (!request->is_aside) {
        struct mcp_outcome own = *outcome;
        own.is_harmless = is_harmless(request);
        if (!list_is_empty(&request->asks)) {
            ask_end_all(request, true);
        }
        request->call_events->done(request->arg, &own);
    }
    request_release(request);
}

void request_go_later(struct mcp_request *request)
{
    tell_later(request);
}

void request_give_catalog(struct mcp_request *request)
{
    request->catalog = mcp_catalog_ref(request->pending.session->catalog);
    if (request->is_beginning) {
        tell_later(request);
    } else {
        tell(request);
    }
}

void request_step(struct mcp_request *request, enum request_step step)
{
    request->step = step;
    if (request->call_events && request->call_events->waits_for) {
        request->call_events->waits_for(request->arg, step_names[step]);
    }
}

/* ---- giving up --------------------------------------------------------------------------- */

void request_withdraw(struct mcp_request *request, const char *reason)
{
    if (request->step == STEP_LINE) {
        line_leave(request);
    } else if (request->task) {
        session_forget(&request->pending, NULL); /* the task is cancelled as a whole */
    } else if (request->step != STEP_TELL) {
        bool is_sent = request->pending.is_sent;
        session_forget(&request->pending, reason);
        if (is_sent) {
            line_settle(request);
        }
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
    request_release(request);
}
