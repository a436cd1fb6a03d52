/* SPDX-License-Identifier: MIT */
/* levers.c - the methods services.breaker, services.quarantine and services.release: what an
 * operator does to the door of a service. */
#include "api/api_internal.h"
#include "base/mem.h"

#include <stdio.h>

#define QUARANTINE_MAX_MS (INT64_C(366) * 86400000)
#define REASON_MAX        512u

/* A lever is acknowledged when it outlives the daemon. */
struct lever {
    struct rpc_pending pending;
    struct store_wait wait;
    struct api *api;
    char *service;
};

static void lever_free(struct lever *lever)
{
    rpc_pending_drop(&lever->pending);
    mem_free(lever->service);
    mem_free(lever);
}

static void fail_gone(struct lever *lever)
{
    struct failure failure = {0};
    failure_set(&failure, ERR_NOT_FOUND, "the service `%s` was removed meanwhile",
                lever->service);
    rpc_pending_fail(&lever->pending, &failure);
    failure_done(&failure);
}

static void lever_kept(void *arg, bool is_kept)
{
    struct lever *lever = arg;
    const struct mcp_service *service =
        mcp_services_find(lever->api->services, slice_of(lever->service));
    struct buf *out = service ? rpc_pending_result(&lever->pending) : NULL;
    if (out) {
        struct api_status status = api_put_status(lever->api, service, out);
        pack_put_key_bool(out, "kept", is_kept);
        pack_close_map(out, status.opened, status.count + 1);
        rpc_pending_end(&lever->pending);
    } else if (!service) {
        fail_gone(lever);
    }
    lever_free(lever);
}

/* It is pulled all the same. */
static void lever_left(struct rpc_pending *pending)
{
    struct lever *lever = LIST_ITEM(pending, struct lever, pending);
    store_forget_wait(lever->api->store, &lever->wait);
    if (pending->peer) {
        struct failure failure = {0};
        failure_set(&failure, ERR_CANCELLED,
                    "the request was cancelled by its client; what it asked for is done");
        rpc_pending_fail(pending, &failure);
        failure_done(&failure);
    }
    lever_free(lever);
}

static void answer(struct api *api, struct rpc_request *request, struct slice service)
{
    struct lever *lever = mem_new(sizeof *lever);
    lever->api = api;
    lever->service = mem_dup(service);
    lever->wait = (struct store_wait){.done = lever_kept, .arg = lever};
    rpc_keep(request, &lever->pending, lever_left);
    store_await(api->store, &lever->wait);
}

/* What is shown to people; who it was is said where they said nothing. */
static struct slice reason_of(const struct rpc_request *request, const struct rpc_value *given,
                              char text[REASON_MAX])
{
    if (given->text.len) {
        return (struct slice){given->text.ptr,
                              given->text.len < REASON_MAX ? given->text.len : REASON_MAX};
    }
    (void)snprintf(text, REASON_MAX, "by hand (uid %u)",
                   (unsigned)rpc_identity(request->peer)->uid);
    return slice_of(text);
}

static void log_lever(const struct rpc_request *request, struct slice service,
                      struct slice what, struct slice reason)
{
    log_at(LOG_INFO, "service", "lever", LOG_SLICE("service", service),
           LOG_TEXT("method", request->method->name), LOG_SLICE("action", what),
           LOG_SLICE("reason", reason), LOG_INT("uid", rpc_identity(request->peer)->uid));
}

enum { BREAKER_SERVICE, BREAKER_ACTION, BREAKER_REASON };

void api_services_breaker(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    const struct rpc_value *args = request->args;
    struct slice service = args[BREAKER_SERVICE].text;
    struct slice action = args[BREAKER_ACTION].text;
    char text[REASON_MAX];
    struct slice reason = reason_of(request, &args[BREAKER_REASON], text);
    if (!api_find_service(api, request, service)) {
        return;
    }
    log_lever(request, service, action, reason);
    if (slice_is(action, "reset")) {
        (void)gates_reset_breaker(api->gates, service);
    } else {
        enum breaker_force force = slice_is(action, "open")    ? BREAKER_FORCED_OPEN
                                   : slice_is(action, "close") ? BREAKER_FORCED_CLOSED
                                                               : BREAKER_BY_ITSELF;
        (void)gates_force_breaker(api->gates, service, force, reason);
    }
    answer(api, request, service);
}

enum { QUARANTINE_SERVICE, QUARANTINE_FOR, QUARANTINE_REASON };

void api_services_quarantine(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    const struct rpc_value *args = request->args;
    struct slice service = args[QUARANTINE_SERVICE].text;
    char text[REASON_MAX];
    struct slice reason = reason_of(request, &args[QUARANTINE_REASON], text);
    if (!api_find_service(api, request, service) ||
        !api_check_range(request, QUARANTINE_FOR, 1, QUARANTINE_MAX_MS)) {
        return;
    }
    log_lever(request, service, SLICE("quarantine"), reason);
    (void)gates_quarantine(api->gates, service,
                           args[QUARANTINE_FOR].given ? args[QUARANTINE_FOR].number : 0,
                           reason);
    answer(api, request, service);
}

void api_services_release(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    struct slice service = request->args[0].text;
    bool was_held;
    if (!api_find_service(api, request, service)) {
        return;
    }
    log_lever(request, service, SLICE("release"), SLICE(""));
    (void)gates_release(api->gates, service, &was_held);
    answer(api, request, service);
}
