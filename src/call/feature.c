/* SPDX-License-Identifier: MIT */
/* feature.c - resources, prompts, completion and tasks: one request to one service, and its answer. */
#include "base/log.h"
#include "call/call_internal.h"

#include <stdio.h>

struct feature {
    struct rpc_pending pending;
    struct list_link link; /* in calls->features */
    struct calls *calls;
    struct policy *policy;
    const char *method; /* as the socket calls it */
    struct arena arena;
    struct feature_options options; /* copied into the arena */
    struct slice id;                /* tasks: the server's */
    struct slice tool;              /* tasks: what made it ... */
    uint64_t place;                 /* ... and where it is */
    struct attempt attempt;
    struct attempt_options sent; /* what the attempts carry */
    struct policy_peer peer;
    struct share_taken share;
    struct dialogue dialogue;
    unsigned attempts;
    mono_us started;
};

/* ---- the end ----------------------------------------------------------------------------- */

static void free_feature(struct feature *feature)
{
    struct calls *calls = feature->calls;
    dialogue_end(&feature->dialogue);
    attempt_cancel(&feature->attempt, "by its client");
    attempt_done(&feature->attempt);
    shares_give_back(&calls->shares, &feature->share);
    rpc_pending_drop(&feature->pending);
    (void)policy_unref(feature->policy);
    list_remove(&feature->link);
    arena_done(&feature->arena);
    mem_free(feature);
    calls->listing_count--;
    calls_maybe_drained(calls);
}

static void record(const struct feature *feature, const char *outcome)
{
    struct calls *calls = feature->calls;
    const struct feature_options *options = &feature->options;
    mono_us took = loop_now(calls->room.loop) - feature->started;
    char id[RPC_ID_TEXT];
    rpc_id_text(feature->pending.id, id);
    log_at(LOG_INFO, "call", "request answered", LOG_TEXT("request_id", id),
           LOG_TEXT("method", feature->method), LOG_SLICE("agent", options->agent),
           LOG_SLICE("user", options->user), LOG_SLICE("service", options->service),
           LOG_TEXT("outcome", outcome), LOG_INT("us", took),
           LOG_INT("attempts", feature->attempts));
    if (calls->options.store) {
        store_put_activity(calls->options.store,
                           &(struct store_activity){.at = loop_wall(calls->room.loop),
                                                    .request_id = feature->pending.id,
                                                    .took_us = took,
                                                    .attempts = feature->attempts,
                                                    .uid = (uint32_t)feature->peer.uid,
                                                    .pid = (uint32_t)feature->peer.pid,
                                                    .method = slice_of(feature->method),
                                                    .agent = options->agent,
                                                    .user = options->user,
                                                    .service = options->service,
                                                    .tool = options->name,
                                                    .outcome = outcome});
    }
}

static void end(struct feature *feature, struct failure *failure)
{
    const struct mcp_service *service =
        mcp_services_find(feature->calls->room.services, feature->options.service);
    record(feature, err_name(failure->code));
    if (feature->pending.peer) {
        policy_message(feature->policy, feature->options.locale, feature->options.service,
                       service ? mcp_service_conf(service)->title : feature->options.service,
                       failure);
    }
    dialogue_end(&feature->dialogue);
    rpc_pending_fail(&feature->pending, failure);
    failure_done(failure);
    free_feature(feature);
}

static void cancel(struct feature *feature, const char *reason)
{
    struct failure failure = {0};
    feature->attempts = attempt_under_way(&feature->attempt);
    failure_set(&failure, ERR_CANCELLED, "the request was cancelled: %s", reason);
    end(feature, &failure);
}

static void cancelled(struct rpc_pending *pending)
{
    cancel(LIST_ITEM(pending, struct feature, pending),
           pending->peer ? "by its client" : "its client disconnected");
}

void features_cancel_all(struct calls *calls)
{
    struct list_link *link;
    while ((link = list_first(&calls->features))) {
        cancel(LIST_ITEM(link, struct feature, link), "the daemon is ending");
    }
}

/* ---- the answer -------------------------------------------------------------------------- */

/* Lists are given as `tools.list` gives its own: the list under its name, not the result around. */
static const char *list_key(enum mcp_method method)
{
    switch (method) {
    case MCP_RESOURCES_LIST:
        return "resources";
    case MCP_RESOURCES_TEMPLATES:
        return "resourceTemplates";
    case MCP_PROMPTS_LIST:
        return "prompts";
    default:
        return NULL;
    }
}

static uint32_t put_list(const char *key, struct slice result, struct buf *out)
{
    struct slice value;
    pack_put_text(out, key);
    if (pack_get(result, key, &value)) {
        buf_put_slice(out, value);
    } else {
        pack_put_array(out, 0);
    }
    if (!pack_get_text(result, "nextCursor", &value)) {
        return 1;
    }
    pack_put_key_str(out, "nextCursor", value);
    return 2;
}

static bool is_of_task(enum mcp_method method)
{
    return method == MCP_TASKS_GET || method == MCP_TASKS_CANCEL;
}

/* The state of a task, and its result where it has one. */
static uint32_t put_task(struct feature *feature, struct slice state, struct buf *out)
{
    struct slice value;
    uint32_t count = 0;
    if (pack_get(state, "status", &value)) { /* else the server only says that it heard */
        pack_put_text(out, "task");
        task_put(feature->options.name, feature->options.service, feature->tool, state, out);
        count++;
    }
    if (pack_get(state, "result", &value)) {
        pack_put_text(out, "result");
        call_put_answer(feature->calls, &feature->pending, NULL, value, out);
        count++;
    }
    return count;
}

static void put_answer(struct feature *feature, const struct mcp_outcome *outcome,
                       unsigned declined, struct buf *out)
{
    char id[RPC_ID_TEXT];
    const char *key = list_key(feature->options.method);
    uint32_t count = 4;
    rpc_id_text(feature->pending.id, id);
    size_t opened = pack_open(out);
    pack_put_key_str(out, "request_id", (struct slice){id, RPC_ID_TEXT - 1});
    pack_put_key_str(out, "service", feature->options.service);
    pack_put_key_text(out, "source", outcome->is_cached ? "cache" : "live");
    pack_put_key_int(out, "execution_time_ms",
                     (loop_now(feature->calls->room.loop) - feature->started) / 1000);
    if (is_of_task(feature->options.method)) {
        count += put_task(feature, outcome->result, out);
    } else if (key) {
        count += put_list(key, outcome->result, out);
    } else if (outcome->result.ptr) {
        pack_put_text(out, "result");
        call_put_answer(feature->calls, &feature->pending, NULL, outcome->result, out);
        count++;
    }
    if (declined) {
        pack_put_text(out, "warnings");
        pack_put_array(out, 1);
        pack_put_str(out, SLICE(CALL_DECLINED_WARNING));
        count++;
    }
    pack_close_map(out, opened, count);
}

static void done(void *arg, const struct attempt_end *told)
{
    struct feature *feature = arg;
    const struct mcp_outcome *outcome = told->outcome;
    feature->attempts = told->attempts;
    if (told->failure) {
        struct failure failure = {0};
        failure_copy(&failure, told->failure);
        end(feature, &failure);
        return;
    }
    record(feature, outcome->is_cached ? "cache" : "live");
    dialogue_end(&feature->dialogue);
    struct buf *out = rpc_pending_result(&feature->pending);
    if (out) {
        put_answer(feature, outcome, told->declined, out);
        rpc_pending_end(&feature->pending);
    }
    free_feature(feature);
}

static void progressed(void *arg, struct slice params)
{
    dialogue_note(&((struct feature *)arg)->dialogue, "progress", params);
}

static void logged(void *arg, struct slice params)
{
    dialogue_note(&((struct feature *)arg)->dialogue, "log", params);
}

static void asked(void *arg, struct mcp_ask *ask, const char *method, struct slice params)
{
    dialogue_asked(&((struct feature *)arg)->dialogue, ask, method, params);
}

static void ask_ended(void *arg, struct mcp_ask *ask)
{
    dialogue_ask_ended(&((struct feature *)arg)->dialogue, ask);
}

static const struct attempt_events events = {.done = done,
                                             .progress = progressed,
                                             .log = logged,
                                             .asked = asked,
                                             .ask_ended = ask_ended};

/* ---- asking ------------------------------------------------------------------------------ */

static bool keep(struct feature *feature)
{
    struct slice *const texts[] = {&feature->options.service,
                                   &feature->options.agent,
                                   &feature->options.user,
                                   &feature->options.locale,
                                   &feature->options.name,
                                   &feature->options.arguments,
                                   &feature->options.meta,
                                   &feature->options.cursor,
                                   &feature->id,
                                   &feature->tool};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i]->len) {
            *texts[i] = arena_copy(&feature->arena, *texts[i]);
            if (!texts[i]->ptr) {
                return false;
            }
        }
    }
    return true;
}

bool call_may_use(const struct calls *calls, const struct feature_options *options,
                  struct failure *failure)
{
    if (options->agent.len &&
        !policy_may_use_service(calls->policy, options->agent, options->service)) {
        failure_set(failure, ERR_POLICY_DENIED, "agent `%.*s` may not use service `%.*s`",
                    SLICE_ARG(options->agent), SLICE_ARG(options->service));
        failure_suggest(failure, "`agents.get` says what this agent may use.");
        char rule[256];
        (void)snprintf(rule, sizeof rule, "agent %.*s: services",
                       (int)(options->agent.len < 200 ? options->agent.len : 200),
                       options->agent.ptr);
        failure_detail_text(failure, "rule", rule);
        failure_detail_str(failure, "agent", options->agent);
        failure_detail_str(failure, "service", options->service);
    } else {
        call_refuse_service(calls, options->service, options->user, failure);
    }
    if (failure->code == ERR_NONE && options->agent.len &&
        policy_would_demo(calls->policy, options->agent, POLICY_SERVICE_USABLE)) {
        failure_set(failure, ERR_NOT_FOUND,
                    "agent `%.*s` gets demo answers only, and there are none of this kind",
                    SLICE_ARG(options->agent));
        failure_suggest(failure, "Tools have demo answers; or let the operator change `demo` "
                                 "for this agent.");
        failure_detail_str(failure, "service", options->service);
    }
    return failure->code == ERR_NONE;
}

/* The service and the server's id that a handle stands for. */
static bool find_task(struct feature *feature, uid_t uid, struct failure *failure)
{
    struct feature_options *options = &feature->options;
    const struct task_key key = {.uid = uid, .agent = options->agent, .user = options->user};
    const struct task *task = tasks_find(&feature->calls->tasks, &key, options->name);
    if (!task) {
        failure_set(failure, ERR_NOT_FOUND, "no task `%.*s` of this agent and user",
                    (int)(options->name.len < 64 ? options->name.len : 64), options->name.ptr);
        failure_suggest(failure, "Handles are kept for a day, and not over a restart of the "
                                 "daemon; give the agent and user that the call had.");
        return false;
    }
    options->service = slice_of(task->service);
    feature->id = slice_of(task->id);
    feature->tool = slice_of(task->tool);
    feature->place = task->place;
    return true;
}

static void ask(struct feature *feature, const struct mcp_service *service,
                const struct mcp_identity *identity)
{
    const struct feature_options *given = &feature->options;
    int64_t ms =
        given->timeout_ms > 0 ? given->timeout_ms : mcp_service_conf(service)->timeout_ms;
    ms = ms < CALL_TIMEOUT_MAX_MS ? ms : CALL_TIMEOUT_MAX_MS;
    feature->sent = (struct attempt_options){
        .service = given->service,
        .identity = *identity,
        .peer = identity->client,
        .call =
            {
                .method = given->method,
                .name = is_of_task(given->method) ? feature->id : given->name,
                .arguments = given->arguments,
                .cursor = given->cursor,
                .is_page = given->is_page,
                .meta = given->meta,
                .task_place = feature->place,
                .wants_progress = true,
                .deadline = feature->started + ms * 1000,
            },
    };
    feature->dialogue.service = given->service;
    feature->dialogue.tool = is_of_task(given->method) ? feature->tool : given->name;
    attempt_start(&feature->attempt, &feature->sent, &events, feature);
}

static struct feature *feature_new(struct calls *calls, struct rpc_request *request,
                                   const struct feature_options *options)
{
    struct feature *feature = mem_new(sizeof *feature);
    feature->calls = calls;
    feature->policy = policy_ref(calls->policy);
    feature->method = request->method->name;
    feature->started = request->started;
    feature->options = *options;
    arena_init(&feature->arena, CALL_ARENA_BYTES);
    list_append(&calls->features, &feature->link);
    calls->listing_count++;
    const struct rpc_identity *peer = rpc_identity(request->peer);
    feature->peer = (struct policy_peer){.uid = peer->uid, .gid = peer->gid, .pid = peer->pid};
    attempt_init(&feature->attempt, &calls->room);
    rpc_keep(request, &feature->pending, cancelled);
    dialogue_init(&feature->dialogue, &feature->pending);
    return feature;
}

void call_feature(struct calls *calls, struct rpc_request *request,
                  const struct feature_options *options)
{
    struct failure failure = {0};
    unsigned others = calls->count + calls->listing_count;
    struct feature *feature = feature_new(calls, request, options);
    bool is_fine =
        calls_admit(calls, others, &failure) &&
        calls_take_share(calls, &feature->peer, options->agent, &feature->share, &failure) &&
        (!is_of_task(options->method) ||
         find_task(feature, rpc_identity(request->peer)->uid, &failure));
    if (is_fine && !keep(feature)) {
        call_no_memory(&failure);
        is_fine = false;
    }
    if (!is_fine || !call_may_use(calls, &feature->options, &failure)) {
        end(feature, &failure);
        return;
    }
    const struct mcp_identity identity = {.agent = feature->options.agent,
                                          .user = feature->options.user,
                                          .client = rpc_peer_id(request->peer),
                                          .capabilities =
                                              rpc_defaults(request->peer).capabilities};
    ask(feature, mcp_services_find(calls->room.services, feature->options.service), &identity);
}
