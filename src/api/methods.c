/* SPDX-License-Identifier: MIT */
/* methods.c - the table of methods: it dispatches, checks parameters, and describes itself. */
#include "api/api_internal.h"
#include "value/json.h"

#include <stdarg.h>
#include <stdio.h>

#define NAME(text)               \
    {                            \
        (text), sizeof(text) - 1 \
    }

static const struct rpc_param hello_params[] = {
    {NAME("client"), RPC_TEXT, false, NULL, "name of the program, for the log"},
    {NAME("version"), RPC_TEXT, false, NULL, "its version"},
    {NAME("agent"), RPC_TEXT, false, NULL, "agent of calls that name none"},
    {NAME("user"), RPC_TEXT, false, NULL, "user of calls that name none"},
    {NAME("locale"), RPC_TEXT, false, NULL, "language of messages to people, as \"es\""},
    {NAME("capabilities"), RPC_MAP, false, NULL,
     "what the client can be asked: elicitation {form, url}, sampling, roots"},
};
static const struct rpc_param tools_list_params[] = {
    {NAME("agent"), RPC_TEXT, false, NULL,
     "whose tools; without one an administrator sees all"},
    {NAME("user"), RPC_TEXT, false, NULL, "on whose behalf"},
    {NAME("service"), RPC_TEXT, false, NULL, "only this service"},
    {NAME("detail"), RPC_TEXT, false, "brief|full", "brief: name, title and description only"},
};
static const struct rpc_param tools_call_params[] = {
    {NAME("tool"), RPC_TEXT, true, NULL, "an operation, or service/tool"},
    {NAME("service"), RPC_TEXT, false, NULL, "the service, when `tool` does not name it"},
    {NAME("arguments"), RPC_MAP, false, NULL, "the tool's arguments"},
    {NAME("agent"), RPC_TEXT, false, NULL, "the kind of caller that policy speaks of"},
    {NAME("user"), RPC_TEXT, false, NULL, "on whose behalf"},
    {NAME("locale"), RPC_TEXT, false, NULL, "language of user_message"},
    {NAME("timeout_ms"), RPC_INT, false, NULL, "deadline; default: the service's"},
    {NAME("format"), RPC_TEXT, false, "mcp|human", "human: with `text` for people"},
    {NAME("demo"), RPC_TEXT, false, "policy|never|only", "whether a demo answer may stand in"},
    {NAME("meta"), RPC_MAP, false, NULL,
     "passed to the server as _meta: traceparent, vendor keys"},
    {NAME("log_level"), RPC_TEXT, false,
     "debug|info|notice|warning|error|critical|alert|emergency",
     "least severe log messages of the server that are wanted"},
    {NAME("task"), RPC_BOOL, false, NULL,
     "answer with the handle of a task, where the server makes one, instead of its result"},
    {NAME("idempotency_key"), RPC_TEXT, false, NULL,
     "1 to 255 bytes: a repeat of the same call within 24 hours gets the first outcome"},
};

/* Every feature of one service begins with these. */
#define FEATURE_PARAMS                                                                      \
    {NAME("service"), RPC_TEXT, true, NULL, "the service"},                                 \
        {NAME("agent"), RPC_TEXT, false, NULL, "the kind of caller that policy speaks of"}, \
        {NAME("user"), RPC_TEXT, false, NULL, "on whose behalf"},                           \
        {NAME("locale"), RPC_TEXT, false, NULL, "language of user_message"},                \
        {NAME("timeout_ms"), RPC_INT, false, NULL, "deadline; default: the service's"},     \
    {                                                                                       \
        NAME("meta"), RPC_MAP, false, NULL, "passed to the server as _meta"                 \
    }

static const struct rpc_param page_params[] = {
    FEATURE_PARAMS,
    {NAME("page"), RPC_BOOL, false, NULL, "one page with nextCursor; without it: all of them"},
    {NAME("cursor"), RPC_TEXT, false, NULL, "nextCursor of the page before; implies page"},
};
static const struct rpc_param uri_params[] = {
    FEATURE_PARAMS,
    {NAME("uri"), RPC_TEXT, true, NULL, "the resource"},
};
static const struct rpc_param prompt_params[] = {
    FEATURE_PARAMS,
    {NAME("prompt"), RPC_TEXT, true, NULL, "the prompt's name"},
    {NAME("arguments"), RPC_MAP, false, NULL, "the prompt's arguments, all of them text"},
};
static const struct rpc_param complete_params[] = {
    FEATURE_PARAMS,
    {NAME("ref"), RPC_MAP, true, NULL,
     "{type = \"ref/prompt\", name} or {type = \"ref/resource\", uri}"},
    {NAME("argument"), RPC_MAP, true, NULL, "{name, value}: what is typed so far"},
    {NAME("context"), RPC_MAP, false, NULL, "{arguments}: what is known of the others"},
};
static const struct rpc_param task_params[] = {
    {NAME("task"), RPC_TEXT, true, NULL, "the handle that tools.call gave"},
    {NAME("agent"), RPC_TEXT, false, NULL, "that the call was made as"},
    {NAME("user"), RPC_TEXT, false, NULL, "that the call was made for"},
    {NAME("locale"), RPC_TEXT, false, NULL, "language of user_message"},
    {NAME("timeout_ms"), RPC_INT, false, NULL, "deadline; default: the service's"},
    {NAME("meta"), RPC_MAP, false, NULL, "passed to the server as _meta"},
};
static const struct rpc_param approvals_params[] = {
    {NAME("service"), RPC_TEXT, false, NULL, "its name; all without it"},
    {NAME("all"), RPC_BOOL, false, NULL, "what is approved too, not only what waits for it"},
};
static const struct rpc_param approve_params[] = {
    {NAME("service"), RPC_TEXT, true, NULL, "its name"},
    {NAME("tool"), RPC_TEXT, false, NULL, "one tool; all of the service without it"},
};
static const struct rpc_param events_params[] = {
    {NAME("kinds"), RPC_ANY, true, NULL,
     "list of: service.state, service.breaker, service.quarantine, service.health, "
     "service.rate_limited, tools.changed, prompts.changed, resources.changed, tool.changed; "
     "empty: none any more"},
    {NAME("agent"), RPC_TEXT, false, NULL, "only of services that this agent may use"},
};
static const struct rpc_param service_params[] = {
    {NAME("service"), RPC_TEXT, true, NULL, "its name"},
};
static const struct rpc_param service_filter_params[] = {
    {NAME("service"), RPC_TEXT, false, NULL, "its name; all without it"},
};
static const struct rpc_param test_params[] = {
    {NAME("service"), RPC_TEXT, true, NULL, "its name"},
    {NAME("agent"), RPC_TEXT, false, NULL, "as whom to connect, where that matters"},
    {NAME("user"), RPC_TEXT, false, NULL, "on whose behalf, where that matters"},
    {NAME("timeout_ms"), RPC_INT, false, NULL, "for all of it; default: the service's"},
};
static const struct rpc_param breaker_params[] = {
    {NAME("service"), RPC_TEXT, true, NULL, "its name"},
    {NAME("action"), RPC_TEXT, true, "open|close|reset|auto",
     "open, close: held so until `auto`; reset: closed now, those of users too, and by itself"},
    {NAME("reason"), RPC_TEXT, false, NULL, "shown to whoever is refused"},
};
static const struct rpc_param quarantine_params[] = {
    {NAME("service"), RPC_TEXT, true, NULL, "its name"},
    {NAME("for_ms"), RPC_INT, false, NULL, "for how long; without it until it is released"},
    {NAME("reason"), RPC_TEXT, false, NULL, "shown to whoever is refused"},
};
static const struct rpc_param check_params[] = {
    {NAME("service"), RPC_TEXT, false, NULL, "its name; all without it"},
    {NAME("timeout_ms"), RPC_INT, false, NULL, "for all of it; default 16000"},
};
static const struct rpc_param history_params[] = {
    {NAME("service"), RPC_TEXT, false, NULL, "its name; all without it"},
    {NAME("since"), RPC_ANY, false, NULL, "RFC 3339, or milliseconds since 1970"},
    {NAME("until"), RPC_ANY, false, NULL, "likewise"},
    {NAME("limit"), RPC_INT, false, NULL, "at most so many: 1 to 1000, default 100"},
    {NAME("before"), RPC_INT, false, NULL, "`next` of the page before"},
};
static const struct rpc_param activity_params[] = {
    {NAME("service"), RPC_TEXT, false, NULL, "only this one"},
    {NAME("since"), RPC_ANY, false, NULL, "RFC 3339, or milliseconds since 1970"},
    {NAME("until"), RPC_ANY, false, NULL, "likewise"},
    {NAME("limit"), RPC_INT, false, NULL, "at most so many: 1 to 1000, default 100"},
    {NAME("before"), RPC_INT, false, NULL, "`next` of the page before"},
    {NAME("agent"), RPC_TEXT, false, NULL, "only this one"},
    {NAME("user"), RPC_TEXT, false, NULL, "only this one"},
    {NAME("tool"), RPC_TEXT, false, NULL, "only this one, by the service's own name"},
    {NAME("outcome"), RPC_TEXT, false, NULL,
     "live, demo, cache, fallback, the name of an error, or failed: any error"},
};
static const struct rpc_param agent_params[] = {
    {NAME("agent"), RPC_TEXT, true, NULL, "its name"},
};
static const struct rpc_param folder_params[] = {
    {NAME("folder"), RPC_TEXT, false, NULL,
     "a configuration folder; default: the daemon's own"},
};
/* A single parameter without a name: any map (see args.c). */
static const struct rpc_param any_params[] = {{NAME(""), RPC_ANY, false, NULL, "any map"}};

#define COUNT(array)  (unsigned)(sizeof(array) / sizeof((array)[0]))
#define PARAMS(array) (array), COUNT(array)
#define NO_PARAMS     NULL, 0

/* Results that several methods have. */
#define LEVER_RESULT                                                                        \
    "{\"type\":\"object\",\"required\":[\"name\",\"state\",\"breaker\",\"kept\"],"          \
    "\"properties\":{\"kept\":{\"type\":\"boolean\",\"description\":\"false: it cannot be " \
    "written, and holds until the daemon ends\"}}}"
#define EVENTS_RESULT                                                                       \
    "{\"type\":\"object\",\"required\":[\"events\"],\"properties\":{\"events\":{\"type\":"  \
    "\"array\",\"items\":{\"type\":\"object\",\"required\":[\"time\",\"service\",\"kind\"," \
    "\"state\"]}},\"next\":{\"type\":\"integer\"},\"from\":{\"const\":\"memory\","          \
    "\"description\":\"the database cannot be read: what memory has of late\"}}}"
#define HEALTH_RESULT                                                                         \
    "{\"type\":\"object\",\"required\":[\"status\",\"services\"],\"properties\":{\"status\":" \
    "{\"enum\":[\"up\",\"degraded\",\"down\"]},\"services\":{\"type\":\"array\",\"items\":"   \
    "{\"type\":\"object\",\"required\":[\"service\",\"status\",\"since\",\"priority\","       \
    "\"breaker\"]}}}}"

const struct rpc_method api_methods[] = {
#define METHOD(name, function, role, params, summary, result) \
    {name, summary, params, role, function, result},
#include "api/method.def"
#undef METHOD
};

const unsigned api_method_count = COUNT(api_methods);

struct slice api_or_default(const struct rpc_value *value, struct slice fallback)
{
    return value->given ? value->text : fallback;
}

void api_fail(struct rpc_request *request, enum err_code code, const char *format, ...)
{
    char text[FAILURE_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct failure failure = {0};
    failure_set(&failure, code, "%s", text);
    rpc_fail(request, &failure);
    failure_done(&failure);
}

void api_refuse(struct api *api, struct rpc_request *request, struct slice service,
                struct failure *failure)
{
    const struct mcp_service *found = mcp_services_find(api->services, service);
    policy_message(calls_policy(api->calls), rpc_defaults(request->peer).locale, service,
                   found ? mcp_service_conf(found)->title : service, failure);
    rpc_fail(request, failure);
    failure_done(failure);
}

bool api_check_range(struct rpc_request *request, unsigned param, int64_t least, int64_t most)
{
    const struct rpc_value *value = &request->args[param];
    if (!value->given || (value->number >= least && value->number <= most)) {
        return true;
    }
    struct slice name = request->method->params[param].name;
    struct failure failure = {0};
    char expected[64];
    (void)snprintf(expected, sizeof expected, "%lld to %lld", (long long)least,
                   (long long)most);
    failure_set(&failure, ERR_INVALID_REQUEST, "parameter `%.*s` must be %s", SLICE_ARG(name),
                expected);
    failure_detail_str(&failure, "field", name);
    failure_detail_text(&failure, "expected", expected);
    failure_detail_int(&failure, "received", value->number);
    rpc_fail(request, &failure);
    failure_done(&failure);
    return false;
}

/* ---- describe ------------------------------------------------------------------------------ */

static void put_param_type(const struct rpc_param *param, struct buf *out)
{
    static const char *const types[] = {"string", "integer", "boolean", "object", "any"};
    pack_put_key_text(out, "type", types[param->type]);
    if (param->choices) {
        size_t opened;
        uint32_t count = 0;
        pack_put_text(out, "enum");
        opened = pack_open(out);
        for (const char *at = param->choices; *at; count++) {
            size_t len = strcspn(at, "|");
            pack_put_str(out, (struct slice){at, len});
            at += len + (at[len] == '|');
        }
        pack_close_array(out, opened, count);
    }
}

static void put_method(const struct rpc_method *method, struct buf *out)
{
    pack_put_map(out, 5);
    pack_put_key_text(out, "name", method->name);
    pack_put_key_text(out, "summary", method->summary);
    pack_put_key_text(out, "role", method->role == RPC_ADMIN ? "admin" : "client");
    pack_put_text(out, "params");
    pack_put_array(out, method->param_count);
    for (unsigned i = 0; i < method->param_count; i++) {
        const struct rpc_param *param = &method->params[i];
        pack_put_map(out, param->choices ? 5 : 4);
        pack_put_key_str(out, "name", param->name);
        put_param_type(param, out);
        pack_put_key_bool(out, "required", param->required);
        pack_put_key_text(out, "text", param->text);
    }
    pack_put_text(out, "result");
    if (json_to_pack(slice_of(method->result), JSON_DEPTH_MAX, out, NULL) != 0) {
        pack_put_nil(out);
    }
}

static void put_notification(struct buf *out, const char *name, const char *sender,
                             const char *text)
{
    pack_put_map(out, 3);
    pack_put_key_text(out, "name", name);
    pack_put_key_text(out, "from", sender);
    pack_put_key_text(out, "text", text);
}

static void put_errors(struct buf *out)
{
    pack_put_array(out, ERR_COUNT - 1);
    for (int code = ERR_NONE + 1; code < ERR_COUNT; code++) {
        pack_put_map(out, 4);
        pack_put_key_text(out, "code", err_name((enum err_code)code));
        pack_put_key_bool(out, "retryable", err_is_retryable((enum err_code)code));
        pack_put_key_text(out, "when", err_when((enum err_code)code));
        pack_put_key_text(out, "suggestion", err_suggestion((enum err_code)code));
    }
}

void api_describe(void *arg, struct rpc_request *request)
{
    struct buf *out = rpc_result(request);
    (void)arg;
    pack_put_map(out, 4);
    pack_put_text(out, "methods");
    pack_put_array(out, api_method_count);
    for (unsigned i = 0; i < api_method_count; i++) {
        put_method(&api_methods[i], out);
    }
    pack_put_text(out, "notifications");
    pack_put_array(out, 6);
    put_notification(out, "cancel", "client", "{msgid}: ends that request");
    put_notification(out, "progress", "daemon",
                     "{msgid, progress, total?, message?}: how far a call has come");
    put_notification(out, "log", "daemon",
                     "{msgid, level, data, ...}: a server's note on a call");
    put_notification(out, "event", "daemon",
                     "{kind, time, service, ...}: news of events.subscribe and of "
                     "resources.subscribe (kind resource.updated, with uri)");
    put_notification(out, "cancel", "daemon",
                     "{msgid}: a request of the daemon's is taken back");
    put_notification(out, "error", "daemon",
                     "an error: why a connection is not served, before it is closed");
    pack_put_text(out, "requests");
    pack_put_array(out, 3);
    put_notification(out, "elicitation.create", "daemon",
                     "{mode?, message, requestedSchema or url, service, tool, msgid}: a server "
                     "asks the call's user; answer {action, content?}");
    put_notification(out, "sampling.create", "daemon",
                     "{messages, maxTokens, ..., service, tool, msgid}: a server asks for a "
                     "model's answer; answer {role, content, model, stopReason?}");
    put_notification(out, "roots.list", "daemon",
                     "{service, tool, msgid}: a server asks for the client's folders; answer "
                     "{roots}");
    pack_put_text(out, "errors");
    put_errors(out);
    rpc_result_end(request);
}
