/* SPDX-License-Identifier: MIT */
/* execute.c - EXECUTE: one attempt at the service that policy named. */
#include "call/call_internal.h"

static void waits_for(void *arg, const char *what)
{
    struct call *call = arg;
    call->waits_for = what;
    call->waits_since = loop_now(call->calls->options.loop);
}

static void progressed(void *arg, struct slice params)
{
    struct call *call = arg;
    dialogue_note(&call->dialogue, "progress", params);
}

static void logged(void *arg, struct slice params)
{
    struct call *call = arg;
    dialogue_note(&call->dialogue, "log", params);
}

static void asked(void *arg, struct mcp_ask *ask, const char *method, struct slice params)
{
    struct call *call = arg;
    dialogue_asked(&call->dialogue, ask, method, params);
}

static void ask_ended(void *arg, struct mcp_ask *ask)
{
    struct call *call = arg;
    dialogue_ask_ended(&call->dialogue, ask);
}

/* The request went out and no answer came: whoever repeats it may do it twice. */
static void judge_lost_answer(struct call *call)
{
    struct failure *failure = &call->failure;
    if (failure->code == ERR_UNAVAILABLE) {
        failure->code = ERR_OUTCOME_UNKNOWN;
        failure->is_retryable = false;
        failure_suggest(failure, "%s", err_suggestion(ERR_OUTCOME_UNKNOWN));
    } else if (failure->code == ERR_TIMEOUT) {
        failure->is_retryable = false;
        failure_suggest(failure,
                        "The server may still have done it: check before calling again, "
                        "or give a larger timeout_ms.");
    }
}

static void done(void *arg, const struct mcp_outcome *outcome)
{
    struct call *call = arg;
    const struct failure *failure = outcome->failure;
    call->upstream = NULL;
    call->declined += outcome->declined;
    call->task = failure ? (struct slice){NULL, 0} : outcome->task;
    call->task_place = outcome->task_place;
    call->is_cached = outcome->is_cached;
    if (failure) {
        failure_copy(&call->failure, failure);
        if (outcome->sent && !call->decision.is_idempotent) {
            judge_lost_answer(call);
            call->may_be_done =
                failure->code == ERR_UNAVAILABLE || failure->code == ERR_TIMEOUT;
        }
    }
    call_executed(call, outcome->result);
}

static const struct mcp_call_events events = {.done = done,
                                              .progress = progressed,
                                              .log = logged,
                                              .waits_for = waits_for,
                                              .asked = asked,
                                              .ask_ended = ask_ended};

static void no_such_service(struct call *call, struct slice name)
{
    struct slice near = mcp_services_near(call->calls->options.services, name);
    failure_set(&call->failure, ERR_NOT_FOUND, "no service `%.*s`", SLICE_ARG(name));
    if (near.len) {
        failure_suggest(&call->failure, "Did you mean `%.*s`?", SLICE_ARG(near));
    }
    failure_detail_str(&call->failure, "service", name);
    call_finish(call, (struct slice){NULL, 0});
}

/* The decision points into the policy, which other calls ask while this one waits. */
static bool keep_target(struct call *call)
{
    struct policy_decision *decision = &call->decision;
    struct slice service = arena_copy(&call->arena, decision->service);
    struct slice tool = arena_copy(&call->arena, decision->tool);
    if (!service.ptr || !tool.ptr) {
        return false;
    }
    decision->service = service;
    decision->tool = tool;
    return true;
}

void call_execute(struct call *call)
{
    struct calls *calls = call->calls;
    struct policy_decision *decision = &call->decision;
    struct mcp_service *service = mcp_services_find(calls->options.services, decision->service);
    call->stage = CALL_EXECUTE;
    if (!service) {
        no_such_service(call, decision->service);
        return;
    }
    if (!call_keep(call) || !keep_target(call)) {
        call_no_memory(&call->failure);
        call_finish(call, (struct slice){NULL, 0});
        return;
    }
    if (!call->deadline) {
        int64_t ms = call->options.timeout_ms > 0 ? call->options.timeout_ms
                                                  : mcp_service_conf(service)->timeout_ms;
        ms = ms < CALL_TIMEOUT_MAX_MS ? ms : CALL_TIMEOUT_MAX_MS;
        call->deadline = call->started + ms * 1000;
    }
    call->attempts++;
    struct mcp_identity identity = {.agent = call->view.agent,
                                    .user = call->view.user,
                                    .client = call->client,
                                    .capabilities = call->capabilities};
    struct mcp_call_options options = {
        .method = MCP_TOOLS_CALL,
        .name = decision->tool,
        .arguments = decision->has_arguments ? decision->arguments : call->view.arguments,
        .block = call->frame,
        .meta = call->options.meta,
        .wants_progress = true,
        .log_level = call->options.log_level,
        /* What policy wants to see of results is waited for. */
        .wants_task = call->options.wants_task && !policy_has_after_call(call->policy),
        .may_repeat = decision->is_idempotent,
        .deadline = call->deadline,
    };
    call->dialogue.service = decision->service;
    call->dialogue.tool = decision->tool;
    waits_for(call, "start");
    call->upstream = mcp_call(service, &identity, &options, &events, call);
}
