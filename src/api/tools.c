/* SPDX-License-Identifier: MIT */
/* tools.c - the methods tools.list and tools.call. */
#include "api/api_internal.h"

enum { LIST_AGENT, LIST_USER, LIST_SERVICE, LIST_DETAIL };

/* The same rule as for calls, and before anything is said of what there is. */
bool api_may_speak(struct api *api, struct rpc_request *request, struct slice agent,
                   struct slice user)
{
    const struct rpc_identity *identity = rpc_identity(request->peer);
    struct policy_peer peer = {identity->uid, identity->gid, identity->pid,
                               identity->is_trusted, identity->is_admin};
    if (policy_peer_may(calls_policy(api->calls), &peer, agent, user)) {
        return true;
    }
    struct failure failure = {0};
    failure_set(&failure, ERR_POLICY_DENIED, "this peer may not speak as agent `%.*s`",
                SLICE_ARG(agent));
    failure_suggest(&failure,
                    "Run the caller as the daemon's user or in the socket's group, or "
                    "let `peer_may` allow it.");
    failure_detail_text(&failure, "rule", "peer_may");
    failure_detail_str(&failure, "agent", agent);
    api_refuse(api, request, (struct slice){NULL, 0}, &failure);
    return false;
}

void api_tools_list(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    struct rpc_defaults defaults = rpc_defaults(request->peer);
    struct list_options options = {
        .agent = api_or_default(&request->args[LIST_AGENT], defaults.agent),
        .user = api_or_default(&request->args[LIST_USER], defaults.user),
        .service = request->args[LIST_SERVICE].text,
        .is_brief = slice_is(request->args[LIST_DETAIL].text, "brief"),
    };
    if (!options.agent.len && !rpc_identity(request->peer)->is_admin) {
        api_fail(request, ERR_INVALID_REQUEST,
                 "`tools.list` needs an agent: as parameter, or in `hello`");
        return;
    }
    if (options.agent.len && (!api_may_speak(api, request, options.agent, options.user) ||
                              !api_knows_agent(api, request, options.agent))) {
        return;
    }
    if (options.service.len && !api_find_service(api, request, options.service)) {
        return;
    }
    call_list_tools(api->calls, request, &options);
}

enum {
    CALL_TOOL,
    CALL_SERVICE,
    CALL_ARGUMENTS,
    CALL_AGENT,
    CALL_USER,
    CALL_LOCALE,
    CALL_TIMEOUT,
    CALL_FORMAT,
    CALL_DEMO,
    CALL_META,
    CALL_LOG_LEVEL,
    CALL_TASK,
    CALL_KEY
};

bool api_check_timeout(struct rpc_request *request, const struct rpc_value *timeout)
{
    if (!timeout->given || timeout->number > 0) {
        return true;
    }
    struct failure failure = {0};
    failure_set(&failure, ERR_INVALID_REQUEST, "parameter `timeout_ms` must be at least 1");
    failure_detail_text(&failure, "field", "timeout_ms");
    failure_detail_text(&failure, "expected", "at least 1");
    failure_detail_int(&failure, "received", timeout->number);
    rpc_fail(request, &failure);
    failure_done(&failure);
    return false;
}

/* The text of a request goes with its frame; the call keeps this one. */
static const char *api_log_level(struct slice text)
{
    static const char *const levels[] = {"debug", "info",     "notice", "warning",
                                         "error", "critical", "alert",  "emergency"};
    for (size_t i = 0; text.len && i < sizeof levels / sizeof levels[0]; i++) {
        if (slice_is(text, levels[i])) {
            return levels[i];
        }
    }
    return NULL;
}

void api_tools_call(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    const struct rpc_value *args = request->args;
    struct rpc_defaults defaults = rpc_defaults(request->peer);
    struct call_options options = {
        .service = args[CALL_SERVICE].text,
        .tool = args[CALL_TOOL].text,
        .agent = api_or_default(&args[CALL_AGENT], defaults.agent),
        .user = api_or_default(&args[CALL_USER], defaults.user),
        .locale = api_or_default(&args[CALL_LOCALE], defaults.locale),
        .arguments = args[CALL_ARGUMENTS].text,
        .meta = args[CALL_META].text,
        .timeout_ms = args[CALL_TIMEOUT].number,
        .log_level = api_log_level(args[CALL_LOG_LEVEL].text),
        .wants_task = args[CALL_TASK].given && args[CALL_TASK].number,
        .wants_text = slice_is(args[CALL_FORMAT].text, "human"),
        .demo = slice_is(args[CALL_DEMO].text, "never")  ? POLICY_DEMO_NEVER
                : slice_is(args[CALL_DEMO].text, "only") ? POLICY_DEMO_ONLY
                                                         : POLICY_DEMO_BY_POLICY,
    };
    if (!api_check_timeout(request, &args[CALL_TIMEOUT])) {
        return;
    }
    if (args[CALL_KEY].given) { /* an empty one is one too, and refused */
        options.idempotency_key = args[CALL_KEY].text.len ? args[CALL_KEY].text : SLICE("");
    }
    call_start(api->calls, request, &options);
}
