/* SPDX-License-Identifier: MIT */
/* answer.c - what a session says about a request: its answer, its loss, news on the way. */
#include "mcp/ask.h"
#include "mcp/catalog.h"
#include "mcp/message.h"
#include "mcp/probe_internal.h"
#include "mcp/refusal.h"
#include "mcp/task.h"
#include "value/pack.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Error codes of servers that mean more than a text. */
#define RESOURCE_NOT_FOUND (-32002)
#define INVALID_PARAMS     (-32602)
#define HEADER_MISMATCH    (-32020)
#define URLS_REQUIRED      (-32042)

/* The first revision with outputSchema: whose servers must answer as it says. */
#define HAS_OUTPUT "2025-06-18"

static struct mcp_request *request_of(struct pending *pending)
{
    return LIST_ITEM(pending, struct mcp_request, pending);
}

void request_break(struct mcp_request *request, const char *format, ...)
{
    struct failure failure = {0};
    char what[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    failure_set(&failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                "the server broke the protocol: %s", what);
    request_fail(request, &failure, true);
    failure_done(&failure);
}

void request_lack(struct mcp_request *request, const char *what)
{
    struct failure failure = {0};
    /* Not OVERLOADED, which says that nothing was done. */
    failure_set(&failure, ERR_UNAVAILABLE, "there is no memory for %s", what);
    failure.class = FAILURE_OF_BROKER;
    request_fail(request, &failure, true);
    failure_done(&failure);
}

/* ---- results ----------------------------------------------------------------------------- */

/* False: it does not fit, and the request has failed. */
static bool check_output(struct mcp_request *request, struct slice result)
{
    const struct mcp_session *session = request->pending.session;
    const struct schema *schema =
        catalog_output(request->catalog, request->tool, session->conf->name);
    struct slice output = {NULL, 0};
    bool is_error = false;
    if (!schema || (pack_get_bool(result, "isError", &is_error) && is_error)) {
        return true;
    }
    bool is_there = pack_get(result, "structuredContent", &output);
    if (is_there ? schema_accepts(schema, output)
                 : session->revision && strcmp(session->revision->name, HAS_OUTPUT) < 0) {
        return true;
    }
    struct failure failure = {0};
    refuse_output(request, is_there ? schema : NULL, result, &failure);
    request_fail(request, &failure, true);
    failure_done(&failure);
    return false;
}

void request_complete(struct mcp_request *request, struct slice result)
{
    if (request->tool && !check_output(request, result)) {
        return;
    }
    if (request->method && request->method->list_key &&
        !gather_page(request, result, &result)) {
        return;
    }
    bool is_cached = request->is_cached && !request->was_sent;
    const struct mcp_outcome outcome = {.result = result,
                                        .sent = !is_cached,
                                        .declined = request->declined,
                                        .is_cached = is_cached};
    request_succeed(request, &outcome);
}

static void take_type(struct mcp_request *request, struct slice type, struct slice result)
{
    unsigned traits = request->method ? request->method->traits : 0;
    bool is_modern = session_is_modern(request->pending.session);
    if (slice_is(type, "input_required") && is_modern && (traits & METHOD_HAS_ROUNDS)) {
        round_begin(request, result);
    } else if (slice_is(type, "task") && is_modern && (traits & METHOD_MAKES_TASKS)) {
        task_begin(request, result);
    } else if (slice_is(type, "task") && is_modern && (traits & METHOD_OF_TASKS)) {
        request_complete(request, result); /* the draft's own examples have it */
    } else {
        struct failure failure = {0};
        failure_set(&failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                    "the server gave a result of type \"%.*s\", which nobody asked for",
                    (int)(type.len > 64 ? 64 : type.len), type.ptr);
        request_fail(request, &failure, true);
        failure_done(&failure);
    }
}

/* Where its hints allow it. What an answer to a question went into is of this call alone, and what
 * a session says that was replaced is of a configuration that is not in force any more. */
static void keep(struct mcp_request *request, struct slice result)
{
    if (request->method && request->call_events && !request->round && !request->task &&
        !request->seat->is_retired && request_is_plain(request)) {
        const struct cache_key key = request_key(request);
        cache_put(&request->seat->service->services->cache, &key, result);
    }
}

static void take_result(struct mcp_request *request, struct slice result)
{
    struct slice type;
    struct slice task;
    if (pack_peek(pack_over(result)) != PACK_MAP) {
        request_break(request, "the result is no object");
    } else if (pack_get(result, "resultType", &type)) {
        struct pack cursor = pack_over(type);
        if (!pack_next_text(&cursor, &type)) {
            request_break(request, "`resultType` is no string");
        } else if (request->is_aside || slice_is(type, "complete")) {
            keep(request, result);
            request_complete(request, result);
        } else {
            take_type(request, type, result);
        }
    } else if (request->asks_task && pack_get(result, "task", &task)) {
        task_begin(request, task);
    } else {
        request_complete(request, result);
    }
}

/* ---- errors ------------------------------------------------------------------------------ */

/* A server of a modern revision may have other headers in mind than those of our list. */
static bool relists(struct mcp_request *request)
{
    struct mcp_session *session = request->pending.session;
    if (request->was_relisted || !request->tool || !request->is_kept ||
        !session->has_exchanges || !session_is_modern(session)) {
        return false;
    }
    request->was_relisted = true;
    session->is_catalog_stale = true;
    request_go(request);
    return true;
}

static bool is_not_found(const struct mcp_request *request, int64_t code, struct slice error)
{
    struct slice data;
    struct slice uri;
    if (!request->method || request->method != method_of(MCP_RESOURCES_READ)) {
        return false;
    }
    return code == RESOURCE_NOT_FOUND ||
           (code == INVALID_PARAMS && pack_get(error, "data", &data) &&
            pack_get(data, "uri", &uri));
}

static void fail_with_error(struct mcp_request *request, int64_t code, struct slice error)
{
    struct failure failure = {0};
    struct slice data;
    struct slice list;
    message_error_to_failure(error, &failure);
    if (is_not_found(request, code, error)) {
        failure.code = ERR_NOT_FOUND;
        failure.is_retryable = err_is_retryable(ERR_NOT_FOUND);
        failure_suggest(&failure, "`resources.list` gives the resources of this service.");
    } else if (code == URLS_REQUIRED && pack_get(error, "data", &data) &&
               pack_get(data, "elicitations", &list)) {
        failure_suggest(&failure, "Open the URLs in details.elicitations, then call again.");
        failure_detail_pack(&failure, "elicitations", list);
    }
    request_fail(request, &failure, true);
    failure_done(&failure);
}

static void take_error(struct mcp_request *request, struct slice error)
{
    int64_t code = 0;
    (void)pack_get_int(error, "code", &code);
    if (code == HEADER_MISMATCH && relists(request)) {
        return;
    }
    if (code == URLS_REQUIRED && !session_is_modern(request->pending.session) &&
        round_begin_for_urls(request, error)) {
        return;
    }
    fail_with_error(request, code, error);
}

/* ---- what the session says --------------------------------------------------------------- */

static void on_step(struct pending *pending)
{
    struct mcp_request *request = request_of(pending);
    if (request->is_aside) { /* what it was about is gone with the session */
        request_release(request);
        return;
    }
    if (request->probe) {
        probe_go(request);
        return;
    }
    ask_end_lost(request);
    if (request->task) {
        task_resume(request);
    } else {
        request_go(request);
    }
}

static bool is_status_wanted(const struct mcp_request *request)
{
    const unsigned both = METHOD_OF_TASKS | METHOD_READS;
    return request->method && (request->method->traits & both) == both;
}

static void on_answered(struct pending *pending, const struct message *message)
{
    struct mcp_request *request = request_of(pending);
    request->answered_id = pending->id;
    pending->id = 0;
    pending->was_resent = false;
    request->was_sent = true;
    if (request->probe) {
        probe_answered(request, message);
    } else if (request->task) {
        task_answered(request, message);
    } else if (message->kind == MESSAGE_ERROR) {
        take_error(request, message->error);
    } else if (is_status_wanted(request) && task_continue(request, message->result)) {
        return;
    } else {
        take_result(request, message->result);
    }
}

static void on_failed(struct pending *pending, const struct failure *failure, bool sent)
{
    struct mcp_request *request = request_of(pending);
    if (!request->task || !task_failed(request, failure)) {
        request_fail(request, failure, sent);
    }
}

static void on_progress(struct pending *pending, struct slice params)
{
    struct mcp_request *request = request_of(pending);
    if (request->call_events && request->call_events->progress) {
        request->call_events->progress(request->arg, params);
    }
}

static void on_log(struct pending *pending, struct slice params)
{
    struct mcp_request *request = request_of(pending);
    if (request->call_events && request->call_events->log) {
        request->call_events->log(request->arg, params);
    }
}

static bool on_asked(struct pending *pending, const struct message *message)
{
    return ask_take(request_of(pending), message);
}

static void on_ask_cancelled(struct pending *pending, struct slice id)
{
    ask_take_back(request_of(pending), id);
}

const struct pending_ops request_ops = {
    .ready = on_step,
    .listed = on_step,
    .answered = on_answered,
    .failed = on_failed,
    .progress = on_progress,
    .log = on_log,
    .asked = on_asked,
    .ask_cancelled = on_ask_cancelled,
};
