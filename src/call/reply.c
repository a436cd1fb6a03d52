/* SPDX-License-Identifier: MIT */
/* reply.c - RECORD and REPLY: the end of every call, exactly once. */
#include "base/log.h"
#include "call/call_internal.h"

static const char *const source_names[] = {"live", "demo", "fallback", "fallback"};

static const char *const stage_names[] = {"admit", "decide", "execute",
                                          "after", "record", "reply"};

static const enum metric source_metrics[] = {METRIC_CALLS_LIVE, METRIC_CALLS_DEMO,
                                             METRIC_CALLS_POLICY, METRIC_CALLS_FALLBACK};

static void record(struct call *call)
{
    struct metrics *metrics = call->calls->options.metrics;
    enum err_code code = call->failure.code;
    mono_us took = loop_now(call->calls->options.loop) - call->started;
    char id[RPC_ID_TEXT];
    call->stage = CALL_RECORD;
    rpc_id_text(call->pending.id, id);
    metrics_latency(metrics, took);
    if (code == ERR_NONE) {
        metrics_add(metrics, source_metrics[call->source], 1);
    } else {
        metrics_add(metrics, METRIC_CALLS_FAILED, 1);
        metrics_add(metrics, METRIC_CALLS_DENIED, code == ERR_POLICY_DENIED);
        metrics_add(metrics, METRIC_CALLS_CANCELLED, code == ERR_CANCELLED);
        metrics_add(metrics, METRIC_CALLS_TIMED_OUT, code == ERR_TIMEOUT);
    }
    log_at(LOG_INFO, "call", code == ERR_NONE ? "call answered" : "call failed",
           LOG_TEXT("request_id", id), LOG_SLICE("agent", call->view.agent),
           LOG_SLICE("user", call->view.user), LOG_SLICE("service", call->decision.service),
           LOG_SLICE("tool", call->decision.tool.len ? call->decision.tool : call->view.tool),
           LOG_TEXT("outcome", code == ERR_NONE ? source_names[call->source] : err_name(code)),
           LOG_INT("us", took), LOG_INT("attempts", call->attempts));
}

/* The service that a failure is about: the decided one, else the one that was asked for. */
static struct slice service_of(const struct call *call)
{
    struct slice asked = call->view.service;
    const char *slash =
        call->view.tool.len ? memchr(call->view.tool.ptr, '/', call->view.tool.len) : NULL;
    if (call->decision.service.len) {
        return call->decision.service;
    }
    if (!asked.len && slash) {
        asked = (struct slice){call->view.tool.ptr, (size_t)(slash - call->view.tool.ptr)};
    }
    return asked;
}

static void reply_failure(struct call *call)
{
    if (call->is_kept && !call->pending.peer) {
        return; /* nobody reads it */
    }
    struct slice name = service_of(call);
    const struct mcp_service *service = mcp_services_find(call->calls->options.services, name);
    policy_message(call->policy, call->view.locale, name,
                   service ? mcp_service_conf(service)->title : name, &call->failure);
    if (call->is_kept) {
        rpc_pending_fail(&call->pending, &call->failure);
    } else {
        rpc_fail(call->request, &call->failure);
    }
}

static void put_warnings(const struct call *call, struct buf *out)
{
    uint32_t count = (call->decision.warning.len != 0 ? 1u : 0) + (call->declined ? 1u : 0);
    if (!count) {
        return;
    }
    pack_put_literal(out, "warnings");
    pack_put_array(out, count);
    if (call->decision.warning.len) {
        pack_put_str(out, call->decision.warning);
    }
    if (call->declined) {
        pack_put_str(out, SLICE(CALL_DECLINED_WARNING));
    }
}

/* The server's task under a handle of ours. */
static void put_task(struct call *call, struct buf *out)
{
    struct slice id = {NULL, 0};
    (void)pack_get_text(call->task, "id", &id);
    const struct task_key key = {
        .uid = call->peer.uid, .agent = call->view.agent, .user = call->view.user};
    const struct task *task = tasks_add(&call->calls->tasks, &key, call->decision.service,
                                        call->decision.tool, id, call->task_place);
    pack_put_literal(out, "task");
    task_put(slice_of(task->handle), call->decision.service, call->decision.tool, call->task,
             out);
}

void call_put_answer(const struct calls *calls, struct rpc_pending *pending,
                     struct slice answer, struct buf *out)
{
    struct block *block =
        pending->peer ? mcp_services_block(calls->options.services, answer) : NULL;
    if (block) {
        rpc_pending_put(pending, block, answer);
    } else {
        buf_put_slice(out, answer);
    }
}

static void put_result(struct call *call, struct slice result, struct buf *out)
{
    const struct policy_decision *decision = &call->decision;
    char id[RPC_ID_TEXT];
    mono_us took = loop_now(call->calls->options.loop) - call->started;
    rpc_id_text(call->pending.id, id);
    pack_put_map(out, 7u + (call->options.wants_text && result.ptr) +
                          (call->fallback_from.len != 0) +
                          (decision->warning.len != 0 || call->declined != 0));
    pack_put_literal(out, "request_id");
    pack_put_short(out, id, RPC_ID_TEXT - 1);
    pack_put_literal(out, "service");
    pack_put_str(out, decision->service);
    pack_put_literal(out, "tool");
    pack_put_str(out, decision->tool);
    pack_put_literal(out, "source");
    pack_put_text(out, call->is_cached ? "cache" : source_names[call->source]);
    if (call->task.ptr) {
        put_task(call, out);
    } else {
        pack_put_literal(out, "result");
        call_put_answer(call->calls, &call->pending, result, out);
    }
    pack_put_literal(out, "execution_time_ms");
    pack_put_int(out, took / 1000);
    pack_put_literal(out, "attempts");
    pack_put_uint(out, call->attempts);
    if (call->options.wants_text && result.ptr) {
        struct buf text;
        buf_init(&text, 16u << 20);
        policy_human_text(call->policy, call->view.locale, result, &text);
        pack_put_key_str(out, "text", buf_slice(&text));
        buf_done(&text);
    }
    if (call->fallback_from.len) {
        pack_put_key_str(out, "fallback_from", call->fallback_from);
    }
    put_warnings(call, out);
}

static void reply_result(struct call *call, struct slice result)
{
    if (!call->is_kept) {
        put_result(call, result, rpc_result(call->request));
        rpc_result_end(call->request);
        return;
    }
    struct buf *out = rpc_pending_result(&call->pending);
    if (out) {
        put_result(call, result, out);
        rpc_pending_end(&call->pending);
    }
}

void call_finish(struct call *call, struct slice result)
{
    dialogue_end(&call->dialogue);
    record(call);
    call->stage = CALL_REPLY;
    if (call->failure.code != ERR_NONE) {
        reply_failure(call);
    } else {
        reply_result(call, result);
    }
    call_recycle(call);
}

void calls_put(const struct calls *calls, struct buf *out)
{
    mono_us now = loop_now(calls->options.loop);
    pack_put_array(out, calls->count);
    list_each (link, &calls->live) {
        const struct call *call = LIST_ITEM(link, struct call, link);
        char id[RPC_ID_TEXT];
        rpc_id_text(call->pending.id, id);
        pack_put_map(out, 10);
        pack_put_key_str(out, "request_id", (struct slice){id, RPC_ID_TEXT - 1});
        pack_put_key_text(out, "method", "tools.call");
        pack_put_key_str(out, "service", call->decision.service);
        pack_put_key_str(out, "tool",
                         call->decision.tool.len ? call->decision.tool : call->view.tool);
        pack_put_key_str(out, "agent", call->view.agent);
        pack_put_key_str(out, "user", call->view.user);
        pack_put_key_text(out, "stage", stage_names[call->stage]);
        pack_put_key_text(out, "waits_for", call->waits_for ? call->waits_for : "");
        pack_put_key_int(out, "since_ms", (now - call->waits_since) / 1000);
        pack_put_key_int(out, "deadline_ms", (call->deadline - now) / 1000);
    }
}
