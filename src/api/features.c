/* SPDX-License-Identifier: MIT */
/* features.c - the methods resources.*, prompts.*, complete and tasks.*, but for subscriptions. */
#include "api/api_internal.h"

enum {
    FEATURE_SERVICE, /* tasks: the handle */
    FEATURE_AGENT,
    FEATURE_USER,
    FEATURE_LOCALE,
    FEATURE_TIMEOUT,
    FEATURE_META,
    FEATURE_FIRST, /* page, uri, prompt, ref */
    FEATURE_SECOND,
    FEATURE_THIRD
};

bool api_take_feature(struct api *api, struct rpc_request *request, struct feature_options *ret)
{
    const struct rpc_value *args = request->args;
    struct rpc_defaults defaults = rpc_defaults(request->peer);
    *ret = (struct feature_options){
        .service = args[FEATURE_SERVICE].text,
        .agent = api_or_default(&args[FEATURE_AGENT], defaults.agent),
        .user = api_or_default(&args[FEATURE_USER], defaults.user),
        .locale = api_or_default(&args[FEATURE_LOCALE], defaults.locale),
        .meta = args[FEATURE_META].text,
        .timeout_ms = args[FEATURE_TIMEOUT].number,
    };
    if (!api_check_timeout(request, &args[FEATURE_TIMEOUT])) {
        return false;
    }
    if (!ret->agent.len && !rpc_identity(request->peer)->is_admin) {
        api_fail(request, ERR_INVALID_REQUEST,
                 "`%s` needs an agent: as parameter, or in `hello`", request->method->name);
        return false;
    }
    return !ret->agent.len || (api_may_speak(api, request, ret->agent, ret->user) &&
                               api_knows_agent(api, request, ret->agent));
}

static bool take(struct api *api, struct rpc_request *request, enum mcp_method method,
                 struct feature_options *ret)
{
    if (!api_take_feature(api, request, ret) || !api_find_service(api, request, ret->service)) {
        return false;
    }
    ret->method = method;
    return true;
}

static void list(struct api *api, struct rpc_request *request, enum mcp_method method)
{
    const struct rpc_value *page = &request->args[FEATURE_FIRST];
    const struct rpc_value *cursor = &request->args[FEATURE_SECOND];
    struct feature_options options;
    if (take(api, request, method, &options)) {
        options.is_page = cursor->given || (page->given && page->number);
        if (cursor->given) {
            options.cursor = cursor->text.len ? cursor->text : SLICE("");
        }
        call_feature(api->calls, request, &options);
    }
}

void api_resources_list(void *arg, struct rpc_request *request)
{
    list(arg, request, MCP_RESOURCES_LIST);
}

void api_resources_templates(void *arg, struct rpc_request *request)
{
    list(arg, request, MCP_RESOURCES_TEMPLATES);
}

void api_prompts_list(void *arg, struct rpc_request *request)
{
    list(arg, request, MCP_PROMPTS_LIST);
}

void api_resources_read(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    struct feature_options options;
    if (take(api, request, MCP_RESOURCES_READ, &options)) {
        options.name = request->args[FEATURE_FIRST].text;
        call_feature(api->calls, request, &options);
    }
}

void api_prompts_get(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    struct feature_options options;
    if (take(api, request, MCP_PROMPTS_GET, &options)) {
        options.name = request->args[FEATURE_FIRST].text;
        options.arguments = request->args[FEATURE_SECOND].text;
        call_feature(api->calls, request, &options);
    }
}

void api_complete(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    const struct rpc_value *args = request->args;
    struct feature_options options;
    struct buf params;
    if (!take(api, request, MCP_COMPLETE, &options)) {
        return;
    }
    buf_init(&params, api->limits.frame.bytes + 64);
    pack_put_map(&params, args[FEATURE_THIRD].given ? 3 : 2);
    pack_put_text(&params, "ref");
    buf_put_slice(&params, args[FEATURE_FIRST].text);
    pack_put_text(&params, "argument");
    buf_put_slice(&params, args[FEATURE_SECOND].text);
    if (args[FEATURE_THIRD].given) {
        pack_put_text(&params, "context");
        buf_put_slice(&params, args[FEATURE_THIRD].text);
    }
    options.arguments = buf_slice(&params);
    if (params.overflow) {
        api_fail(request, ERR_OVERLOADED, "the daemon has no memory for this request");
    } else {
        call_feature(api->calls, request, &options);
    }
    buf_done(&params);
}

/* ---- tasks ------------------------------------------------------------------------------- */

static void task(struct api *api, struct rpc_request *request, enum mcp_method method)
{
    struct feature_options options;
    if (api_take_feature(api, request, &options)) {
        options.method = method;
        options.name = options.service;
        options.service = (struct slice){NULL, 0};
        call_feature(api->calls, request, &options);
    }
}

void api_tasks_get(void *arg, struct rpc_request *request)
{
    task(arg, request, MCP_TASKS_GET);
}

void api_tasks_cancel(void *arg, struct rpc_request *request)
{
    task(arg, request, MCP_TASKS_CANCEL);
}
