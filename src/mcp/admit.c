/* SPDX-License-Identifier: MIT */
/* admit.c - the doors: a call gets a place, waits for one, or is refused at once. */
#include "mcp/room.h"

/* The caller's bytes are good until mcp_call returns. */
static void keep_options(struct mcp_request *request)
{
    struct buf *kept = &request->kept;
    struct slice *const parts[] = {&request->tool, &request->arguments, &request->meta,
                                   &request->user, &request->agent};
    size_t total = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        total += parts[i]->len;
    }
    if (!buf_reserve(kept, total + 1)) { /* a place to point at, also where all are empty */
        struct failure failure = {0};
        failure_set(&failure, ERR_OVERLOADED, "there is no memory for the call's arguments");
        request_withdraw(request, "no memory");
        request_fail(request, &failure, false);
        failure_done(&failure);
        return;
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const char *at = kept->data + kept->len;
        buf_put_slice(kept, *parts[i]);
        parts[i]->ptr = at;
    }
}

static bool refuse_now(struct mcp_service *service, struct failure *failure)
{
    if (service->services->is_closing) {
        failure_set(failure, ERR_SHUTTING_DOWN, "the daemon is ending");
    } else if (!service->conf->enabled) {
        failure_set(failure, ERR_DISABLED, "the service \"%.*s\" is switched off",
                    SLICE_ARG(service->conf->name));
    }
    return failure->code != ERR_NONE;
}

void service_pump(void *arg)
{
    struct mcp_service *service = arg;
    struct list_link *link;
    struct failure failure = {0};
    while (service->inflight < service->conf->concurrency &&
           (link = list_first(&service->queue))) {
        struct pending *pending = LIST_ITEM(link, struct pending, link);
        struct mcp_request *request = LIST_ITEM(pending, struct mcp_request, pending);
        list_remove(link);
        service->queued--;
        if (refuse_now(service, &failure)) {
            request_fail(request, &failure, false);
            failure_done(&failure);
            continue;
        }
        service->inflight++;
        request->has_place = true;
        request_go(request);
    }
}

static void begin_call(struct mcp_request *request)
{
    struct mcp_service *service = request->seat->service;
    struct failure failure = {0};
    if (!refuse_now(service, &failure) && service->queued >= QUEUE_MAX) {
        failure_set(&failure, ERR_OVERLOADED,
                    "%u calls to the service \"%.*s\" are waiting already", service->queued,
                    SLICE_ARG(service->conf->name));
    }
    if (failure.code) {
        request_fail(request, &failure, false);
        failure_done(&failure);
    } else if (service->queued || service->inflight >= service->conf->concurrency) {
        request_step(request, STEP_QUEUED);
        service->queued++;
        list_append(&service->queue, &request->pending.link);
    } else {
        service->inflight++;
        request->has_place = true;
        request_go(request);
    }
}

struct mcp_request *mcp_call(struct mcp_service *service, const struct mcp_identity *identity,
                             const struct mcp_call_options *options,
                             const struct mcp_call_events *events, void *arg)
{
    struct mcp_request *request =
        request_new(seat_find(service, identity), options->deadline, arg);
    request->call_events = events;
    request->tool = options->name;
    request->arguments = options->arguments;
    request->meta = options->meta;
    request->user = identity->user;
    request->agent = identity->agent;
    request->pending.is_call = true;
    request->pending.wants_progress = options->wants_progress;
    service->calls++;
    begin_call(request);
    if (request->step < STEP_ANSWER) {
        keep_options(request);
    }
    request->is_beginning = false;
    return request;
}

struct mcp_request *mcp_list_tools(struct mcp_service *service,
                                   const struct mcp_identity *identity, mono_us deadline,
                                   const struct mcp_list_events *events, void *arg)
{
    struct failure failure = {0};
    struct mcp_request *request = request_new(seat_find(service, identity), deadline, arg);
    request->list_events = events;
    if (refuse_now(service, &failure)) {
        request_fail(request, &failure, false);
        failure_done(&failure);
    } else {
        request_go(request);
    }
    request->is_beginning = false;
    return request;
}
