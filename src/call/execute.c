/* SPDX-License-Identifier: MIT */
/* execute.c - EXECUTE: the attempts at the service that policy named. */
#include "call/call_internal.h"

void call_wait(struct call *call, const char *what)
{
    call->waits_for = what;
    call->waits_since = loop_now(call->calls->room.loop);
}

static void waits_for(void *arg, const char *what)
{
    call_wait(arg, what);
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

static bool leaving(void *arg)
{
    struct call *call = arg;
    return !call->keyed || keyed_leaving(call);
}

static void done(void *arg, const struct attempt_end *end)
{
    static const struct slice nothing = {NULL, 0};
    struct call *call = arg;
    const struct mcp_outcome *outcome = end->outcome;
    bool has_succeeded = outcome && !end->failure;
    call->attempts += end->attempts;
    call->declined += end->declined;
    call->task = has_succeeded ? outcome->task : nothing;
    call->task_place = has_succeeded ? outcome->task_place : 0;
    call->is_cached = has_succeeded && outcome->is_cached;
    if (end->failure) {
        failure_copy(&call->failure, end->failure);
        call->may_be_done |= end->may_be_done;
    }
    if (!call->keyed || !keyed_attempted(call, end)) {
        call_executed(call, has_succeeded ? outcome->result : nothing);
    }
}

static const struct attempt_events events = {.done = done,
                                             .progress = progressed,
                                             .log = logged,
                                             .waits_for = waits_for,
                                             .asked = asked,
                                             .ask_ended = ask_ended,
                                             .leaving = leaving};

static void no_such_service(struct call *call, struct slice name)
{
    struct slice near = mcp_services_near(call->calls->room.services, name);
    failure_set(&call->failure, ERR_NOT_FOUND, "no service `%.*s`", SLICE_ARG(name));
    if (near.len) {
        failure_suggest(&call->failure, "Did you mean `%.*s`?", SLICE_ARG(near));
    }
    failure_detail_str(&call->failure, "service", name);
    call->decision.verdict = POLICY_FAIL;
    if (!call->keyed || !keyed_decided(call)) {
        call_finish(call, (struct slice){NULL, 0});
    }
}

static bool keep(struct call *call, struct slice *text)
{
    struct slice copy = arena_copy(&call->arena, *text);
    if (!copy.ptr) {
        return false;
    }
    *text = copy;
    return true;
}

/* The decision points into the policy, which other calls ask while this one waits. */
static bool keep_target(struct call *call)
{
    struct policy_decision *decision = &call->decision;
    return keep(call, &decision->service) && keep(call, &decision->tool) &&
           (!decision->has_arguments || keep(call, &decision->arguments));
}

static void fill_options(struct call *call)
{
    const struct policy_decision *decision = &call->decision;
    struct attempt_options *sent = &call->sent;
    sent->service = decision->service;
    sent->identity.agent = call->view.agent;
    sent->identity.user = call->view.user;
    sent->call = (struct mcp_call_options){
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
}

void call_set_deadline(struct call *call, const struct mcp_service *service)
{
    if (!call->deadline) {
        int64_t ms = service ? mcp_service_conf(service)->timeout_ms : CALL_TIMEOUT_MS;
        ms = call->options.timeout_ms > 0 ? call->options.timeout_ms : ms;
        ms = ms < CALL_TIMEOUT_MAX_MS ? ms : CALL_TIMEOUT_MAX_MS;
        call->deadline = call->started + ms * 1000;
    }
}

void call_attempt(struct call *call)
{
    attempt_start(&call->attempt, &call->sent, &events, call);
}

void call_execute(struct call *call)
{
    struct policy_decision *decision = &call->decision;
    struct mcp_service *service =
        mcp_services_find(call->calls->room.services, decision->service);
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
    call_set_deadline(call, service);
    fill_options(call);
    call_wait(call, "start");
    if (!call->keyed || keyed_begin(call)) {
        call_attempt(call);
    }
}
