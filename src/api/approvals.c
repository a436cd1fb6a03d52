/* SPDX-License-Identifier: MIT */
/* approvals.c - the methods tools.approvals and tools.approve: tools as an operator accepted them. */
#include "api/api_internal.h"
#include "store/store.h"

#include <stdio.h>

enum { APPROVALS_SERVICE, APPROVALS_ALL };

void api_tools_approvals(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    const struct rpc_value *args = request->args;
    if (args[APPROVALS_SERVICE].given &&
        !api_find_service(api, request, args[APPROVALS_SERVICE].text)) {
        return;
    }
    struct buf *out = rpc_result(request);
    pack_put_map(out, 1);
    pack_put_text(out, "tools");
    mcp_pins_put(api->services, args[APPROVALS_SERVICE].text,
                 args[APPROVALS_ALL].given && args[APPROVALS_ALL].number, out);
    rpc_result_end(request);
}

enum { APPROVE_SERVICE, APPROVE_TOOL };

/* An approval is acknowledged when it outlives the daemon. */
struct approval {
    struct rpc_pending pending;
    struct store_wait wait;
    struct api *api;
    size_t count;
};

static void approval_free(struct approval *approval)
{
    rpc_pending_drop(&approval->pending);
    mem_free(approval);
}

static void approval_kept(void *arg, bool is_kept)
{
    struct approval *approval = arg;
    struct buf *out = rpc_pending_result(&approval->pending);
    if (out) {
        pack_put_map(out, 2);
        pack_put_key_int(out, "approved", (int64_t)approval->count);
        pack_put_key_bool(out, "kept", is_kept);
        rpc_pending_end(&approval->pending);
    }
    approval_free(approval);
}

/* It is approved all the same. */
static void approval_left(struct rpc_pending *pending)
{
    struct approval *approval = LIST_ITEM(pending, struct approval, pending);
    store_forget_wait(approval->api->store, &approval->wait);
    if (pending->peer) {
        struct failure failure = {0};
        failure_set(&failure, ERR_CANCELLED,
                    "the request was cancelled by its client; the approval stands");
        rpc_pending_fail(pending, &failure);
        failure_done(&failure);
    }
    approval_free(approval);
}

void api_tools_approve(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    const struct rpc_value *args = request->args;
    if (!api_find_service(api, request, args[APPROVE_SERVICE].text)) {
        return;
    }
    char who[32];
    (void)snprintf(who, sizeof who, "uid %u", (unsigned)rpc_identity(request->peer)->uid);
    struct approval *approval = mem_new(sizeof *approval);
    approval->api = api;
    approval->wait = (struct store_wait){.done = approval_kept, .arg = approval};
    approval->count = mcp_pin_approve(api->services, args[APPROVE_SERVICE].text,
                                      args[APPROVE_TOOL].text, slice_of(who));
    rpc_keep(request, &approval->pending, approval_left);
    store_await(api->store, &approval->wait);
}
