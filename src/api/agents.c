/* SPDX-License-Identifier: MIT */
/* agents.c - the methods agents.list, agents.get, policy.check and policy.reload. */
#include "api/api_internal.h"

void api_agents_list(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    struct buf *out = rpc_result(request);
    pack_put_map(out, 1);
    pack_put_text(out, "agents");
    policy_put_agents(calls_policy(api->calls), out);
    rpc_result_end(request);
}

/* The agent's map into `ret`, or the request answered with why not. */
static bool find_agent(struct api *api, struct rpc_request *request, struct slice name,
                       struct buf *ret)
{
    struct slice near = {NULL, 0};
    if (policy_put_agent(calls_policy(api->calls), name, ret, &near)) {
        return true;
    }
    struct failure failure = {0};
    failure_set(&failure, ERR_NOT_FOUND, "no agent `%.*s`", SLICE_ARG(name));
    if (near.len) {
        failure_suggest(&failure, "Did you mean `%.*s`?", SLICE_ARG(near));
    } else {
        failure_suggest(&failure, "`agents.list` names every agent.");
    }
    failure_detail_str(&failure, "agent", name);
    api_refuse(api, request, (struct slice){NULL, 0}, &failure);
    return false;
}

bool api_knows_agent(struct api *api, struct rpc_request *request, struct slice name)
{
    struct buf unused;
    buf_init(&unused, 16u << 20);
    bool is_known = policy_has_agent(calls_policy(api->calls), name) ||
                    find_agent(api, request, name, &unused);
    buf_done(&unused);
    return is_known;
}

void api_agents_get(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    struct buf agent;
    buf_init(&agent, 16u << 20);
    if (find_agent(api, request, request->args[0].text, &agent)) {
        buf_put_slice(rpc_result(request), buf_slice(&agent));
        rpc_result_end(request);
    }
    buf_done(&agent);
}

void api_policy_check(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    const struct rpc_value *folder = &request->args[0];
    if (!folder->given) {
        api_load(api, api->options.config_folder, false, request);
        return;
    }
    if (!folder->text.len || memchr(folder->text.ptr, '\0', folder->text.len)) {
        api_fail(request, ERR_INVALID_REQUEST, "parameter `folder` must be a path");
        return;
    }
    char *path = mem_dup(folder->text);
    api_load(api, path, false, request);
    mem_free(path);
}

void api_policy_reload(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    api_load(api, api->options.config_folder, true, request);
}
