/* SPDX-License-Identifier: MIT */
/* reply.c - RECORD and REPLY: the end of every call, exactly once. */
#include "base/log.h"
#include "base/text.h"
#include "call/call_internal.h"

#include <stdio.h>

static const char *const source_names[] = {"live", "demo", "fallback", "fallback"};

static const char *const stage_names[] = {"admit", "decide", "execute",
                                          "after", "record", "reply"};

static const enum metric source_metrics[] = {METRIC_CALLS_LIVE, METRIC_CALLS_DEMO,
                                             METRIC_CALLS_POLICY, METRIC_CALLS_FALLBACK};

const char *call_source(const struct call *call)
{
    if (!call->repeats) {
        return call->is_cached ? "cache" : source_names[call->source];
    }
    struct slice source = call->repeats->source;
    return slice_is(source, "cache")      ? "cache"
           : slice_is(source, "demo")     ? "demo"
           : slice_is(source, "fallback") ? "fallback"
                                          : "live";
}

static void count(const struct call *call, mono_us took)
{
    struct metrics *metrics = call->calls->room.metrics;
    enum err_code code = call->failure.code;
    metrics_latency(metrics, took);
    if (code == ERR_NONE) {
        metrics_add(metrics, source_metrics[call->source], 1);
    } else {
        metrics_add(metrics, METRIC_CALLS_FAILED, 1);
        metrics_add(metrics, METRIC_CALLS_DENIED, code == ERR_POLICY_DENIED);
        metrics_add(metrics, METRIC_CALLS_CANCELLED, code == ERR_CANCELLED);
        metrics_add(metrics, METRIC_CALLS_TIMED_OUT, code == ERR_TIMEOUT);
    }
}

static void record(struct call *call, const char *id)
{
    struct calls *calls = call->calls;
    enum err_code code = call->failure.code;
    struct slice tool = call->decision.tool.len ? call->decision.tool : call->view.tool;
    const char *outcome = code == ERR_NONE ? call_source(call) : err_name(code);
    mono_us took = loop_now(calls->room.loop) - call->started;
    call->stage = CALL_RECORD;
    count(call, took);
    log_at(LOG_INFO, "call", code == ERR_NONE ? "call answered" : "call failed",
           LOG_TEXT("request_id", id), LOG_SLICE("agent", call->view.agent),
           LOG_SLICE("user", call->view.user), LOG_SLICE("service", call->decision.service),
           LOG_SLICE("tool", tool), LOG_TEXT("outcome", outcome), LOG_INT("us", took),
           LOG_INT("attempts", call->attempts));
    if (calls->options.store) {
        store_put_activity(calls->options.store,
                           &(struct store_activity){.at = loop_wall(calls->room.loop),
                                                    .request_id = call->pending.id,
                                                    .took_us = took,
                                                    .attempts = call->attempts,
                                                    .uid = (uint32_t)call->peer.uid,
                                                    .pid = (uint32_t)call->peer.pid,
                                                    .method = SLICE("tools.call"),
                                                    .agent = call->view.agent,
                                                    .user = call->view.user,
                                                    .service = call->decision.service,
                                                    .tool = tool,
                                                    .fallback_from = call->fallback_from,
                                                    .outcome = outcome});
    }
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
    const struct mcp_service *service = mcp_services_find(call->calls->room.services, name);
    policy_message(call->policy, call->view.locale, name,
                   service ? mcp_service_conf(service)->title : name, &call->failure);
    if (call->is_kept) {
        rpc_pending_fail(&call->pending, &call->failure);
    } else {
        rpc_fail(call->request, &call->failure);
    }
}

static uint32_t count_warnings(const struct call *call)
{
    return call->hop_count + (call->decision.warning.len ? 1u : 0) + (call->declined ? 1u : 0) +
           (call->repeats ? 1u : 0) + (call->is_unkept ? 1u : 0);
}

static void put_formatted(struct buf *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void put_formatted(struct buf *out, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct slice whole = {text, len < (int)sizeof text ? (size_t)len : sizeof text - 1};
    pack_put_str(out, text_is_utf8(whole) ? whole : SLICE("a service could not be used"));
}

/* What came after the last of the services that could not be used. */
static const char *last_resort(const struct call *call)
{
    return call->source == CALL_POLICY                    ? "policy answered in its place"
           : call->decision.verdict == POLICY_DEMO_ANSWER ? "a demo answer stood in for it"
                                                          : NULL;
}

static void put_hops(const struct call *call, struct buf *out)
{
    for (unsigned i = 0; i < call->hop_count; i++) {
        const struct call_hop *hop = &call->hops[i];
        bool is_last = i + 1 == call->hop_count;
        const char *resort = is_last ? last_resort(call) : NULL;
        struct slice next = resort    ? slice_of(resort)
                            : is_last ? call->decision.service
                                      : call->hops[i + 1].service;
        put_formatted(out, "%.*s could not be used (%s): %.*s%s.", SLICE_ARG(hop->service),
                      err_name(hop->code), SLICE_ARG(next), resort ? "" : " stood in for it");
    }
}

static void put_repeat(const struct recorded *repeats, struct buf *out)
{
    char time[CLOCK_TEXT];
    clock_format(repeats->at, time);
    put_formatted(out,
                  "This is the outcome of an earlier call with the same idempotency_key, of %s "
                  "(request_id %.*s).",
                  time, SLICE_ARG(repeats->request_id));
}

static void put_warnings(const struct call *call, struct buf *out)
{
    uint32_t count = count_warnings(call);
    if (!count) {
        return;
    }
    pack_put_literal(out, "warnings");
    pack_put_array(out, count);
    if (call->decision.warning.len) {
        pack_put_str(out, call->decision.warning);
    }
    put_hops(call, out);
    if (call->declined) {
        pack_put_str(out, SLICE(CALL_DECLINED_WARNING));
    }
    if (call->repeats) {
        put_repeat(call->repeats, out);
    }
    if (call->is_unkept) {
        pack_put_str(out, SLICE("It was carried out, but its outcome is not on disk: after a "
                                "restart of the daemon a repeat with this idempotency_key may "
                                "not find it."));
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
                     struct block *block, struct slice answer, struct buf *out)
{
    if (!block && pending->peer) {
        block = mcp_services_block(calls->room.services, answer);
    }
    if (block && pending->peer) {
        rpc_pending_put(pending, block, answer);
    } else {
        buf_put_slice(out, answer);
    }
}

static void put_result(struct call *call, const char *id, struct slice result, struct buf *out)
{
    const struct policy_decision *decision = &call->decision;
    mono_us took = loop_now(call->calls->room.loop) - call->started;
    pack_put_map(out, 7u + (call->options.wants_text && result.ptr) +
                          (call->fallback_from.len != 0) + (count_warnings(call) != 0));
    pack_put_literal(out, "request_id");
    pack_put_short(out, id, RPC_ID_TEXT - 1);
    pack_put_literal(out, "service");
    pack_put_str(out, decision->service);
    pack_put_literal(out, "tool");
    pack_put_str(out, decision->tool);
    pack_put_literal(out, "source");
    pack_put_text(out, call_source(call));
    if (call->task.ptr) {
        put_task(call, out);
    } else {
        pack_put_literal(out, "result");
        call_put_answer(call->calls, &call->pending, call->block, result, out);
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

static void reply_result(struct call *call, const char *id, struct slice result)
{
    if (!call->is_kept) {
        put_result(call, id, result, rpc_result(call->request));
        rpc_result_end(call->request);
        return;
    }
    struct buf *out = rpc_pending_result(&call->pending);
    if (out) {
        put_result(call, id, result, out);
        rpc_pending_end(&call->pending);
    }
}

void call_finish(struct call *call, struct slice result)
{
    dialogue_end(&call->dialogue);
    if (!call->keyed || !keyed_settle(call, result)) {
        call_close(call, result);
    }
}

void call_close(struct call *call, struct slice result)
{
    char id[RPC_ID_TEXT];
    rpc_id_text(call->pending.id, id);
    record(call, id);
    call->stage = CALL_REPLY;
    if (call->failure.code != ERR_NONE) {
        reply_failure(call);
    } else {
        reply_result(call, id, result);
    }
    call_recycle(call);
}

void calls_put(const struct calls *calls, struct buf *out)
{
    mono_us now = loop_now(calls->room.loop);
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
