/* SPDX-License-Identifier: MIT */
/* approvals.c - the methods tools.approvals and tools.approve: tools as an operator accepted them. */
#include "api/api_internal.h"

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

void api_tools_approve(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    const struct rpc_value *args = request->args;
    if (!api_find_service(api, request, args[APPROVE_SERVICE].text)) {
        return;
    }
    char who[32];
    (void)snprintf(who, sizeof who, "uid %u", (unsigned)rpc_identity(request->peer)->uid);
    size_t count = mcp_pin_approve(api->services, args[APPROVE_SERVICE].text,
                                   args[APPROVE_TOOL].text, slice_of(who));
    struct buf *out = rpc_result(request);
    pack_put_map(out, 1);
    pack_put_key_int(out, "approved", (int64_t)count);
    rpc_result_end(request);
}
