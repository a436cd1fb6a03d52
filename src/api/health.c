/* SPDX-License-Identifier: MIT */
/* health.c - the methods health.get, health.check and metrics.get: how services are. */
#include "api/api_internal.h"
#include "base/mem.h"

/* A probe takes 15 s at most. */
#define CHECK_TIMEOUT_MS 16000

static void put_health(struct api *api, struct slice name, struct buf *out)
{
    const struct mcp_service *service;
    uint32_t count = 0;
    pack_put_map(out, 2);
    pack_put_key_text(out, "status", health_overall(api->health));
    pack_put_text(out, "services");
    size_t opened = pack_open(out);
    if (name.len) {
        count += health_put(api->health, name, out);
    } else {
        for (size_t at = 0; (service = mcp_services_next(api->services, &at));) {
            count += health_put(api->health, mcp_service_conf(service)->name, out);
        }
    }
    pack_close_array(out, opened, count);
}

void api_health_get(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    struct slice name = request->args[0].text;
    if (request->args[0].given && !api_find_service(api, request, name)) {
        return;
    }
    put_health(api, name, rpc_result(request));
    rpc_result_end(request);
}

/* ---- health.check ------------------------------------------------------------------------ */

struct checking {
    struct rpc_pending pending;
    struct api *api;
    char *service; /* empty: all */
    size_t left, count;
    struct health_check checks[];
};

static void checking_free(struct checking *checking)
{
    for (size_t i = 0; i < checking->count; i++) {
        health_check_forget(&checking->checks[i]);
    }
    rpc_pending_drop(&checking->pending);
    mem_free(checking->service);
    mem_free(checking);
}

static void one_checked(void *arg)
{
    struct checking *checking = arg;
    if (--checking->left) {
        return;
    }
    struct buf *out = rpc_pending_result(&checking->pending);
    if (out) {
        put_health(checking->api, slice_of(checking->service), out);
        rpc_pending_end(&checking->pending);
    }
    checking_free(checking);
}

/* The probes go on: they are the monitor's. */
static void checking_left(struct rpc_pending *pending)
{
    struct checking *checking = LIST_ITEM(pending, struct checking, pending);
    if (pending->peer) {
        struct failure failure = {0};
        failure_set(&failure, ERR_CANCELLED, "the request was cancelled by its client");
        rpc_pending_fail(pending, &failure);
        failure_done(&failure);
    }
    checking_free(checking);
}

static void check(struct checking *checking, struct slice service, mono_us deadline)
{
    struct health_check *one = &checking->checks[checking->count];
    one->done = one_checked;
    one->arg = checking;
    if (health_check(checking->api->health, service, deadline, one)) {
        checking->count++;
        checking->left++;
    }
}

enum { CHECK_SERVICE, CHECK_TIMEOUT };

void api_health_check(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    const struct rpc_value *args = request->args;
    const struct mcp_service *service;
    struct slice name = args[CHECK_SERVICE].text;
    size_t count = 0;
    if (!api_check_timeout(request, &args[CHECK_TIMEOUT]) ||
        (args[CHECK_SERVICE].given && !api_find_service(api, request, name))) {
        return;
    }
    for (size_t at = 0; !name.len && mcp_services_next(api->services, &at); count++) {
    }
    if (!name.len && !count) {
        put_health(api, name, rpc_result(request));
        rpc_result_end(request);
        return;
    }
    count = name.len ? 1 : count;
    struct checking *checking = mem_new(sizeof *checking + count * sizeof *checking->checks);
    mono_us deadline =
        loop_now(api->options.loop) +
        api_wait_us(args[CHECK_TIMEOUT].given ? args[CHECK_TIMEOUT].number : CHECK_TIMEOUT_MS);
    checking->api = api;
    checking->service = mem_dup(name);
    rpc_keep(request, &checking->pending, checking_left);
    if (name.len) {
        check(checking, name, deadline);
    }
    for (size_t at = 0; !name.len && (service = mcp_services_next(api->services, &at));) {
        check(checking, mcp_service_conf(service)->name, deadline);
    }
    if (!checking->left) { /* the monitor knows none of them */
        checking->left = 1;
        one_checked(checking);
    }
}

/* ---- metrics.get ------------------------------------------------------------------------- */

void api_metrics_get(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    const struct mcp_service *service;
    struct buf *out = rpc_result(request);
    uint32_t count = 0;
    pack_put_map(out, 2);
    pack_put_text(out, "counters");
    metrics_put(&api->metrics, out);
    pack_put_text(out, "services");
    size_t opened = pack_open(out);
    for (size_t at = 0; (service = mcp_services_next(api->services, &at)); count++) {
        size_t map = pack_open(out);
        pack_put_key_str(out, "name", mcp_service_conf(service)->name);
        pack_close_map(out, map,
                       1 + gates_put_status(api->gates, mcp_service_conf(service)->name, out));
    }
    pack_close_array(out, opened, count);
    rpc_result_end(request);
}
