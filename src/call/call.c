/* SPDX-License-Identifier: MIT */
/* call.c - the way of one call: each stage hands on to the next, none goes back. */
#include "call/call_internal.h"

#include <string.h>

static void tell_drained(void *arg);

struct calls *calls_new(const struct calls_options *options)
{
    static const struct share_limits no_limits;
    struct calls *calls = mem_new(sizeof *calls);
    calls->options = *options;
    if (!options->shares) {
        calls->options.shares = &no_limits;
    }
    calls->room = (struct attempt_room){.loop = options->loop,
                                        .gates = options->gates,
                                        .services = options->services,
                                        .metrics = options->metrics};
    attempt_room_seed(&calls->room);
    calls->onces = onces_new(options->loop, options->store);
    shares_init(&calls->shares);
    list_init(&calls->live);
    list_init(&calls->kept);
    list_init(&calls->listings);
    list_init(&calls->features);
    tasks_init(&calls->tasks, options->loop);
    loop_task_init(&calls->drained_task, tell_drained, calls);
    return calls;
}

static void free_call(struct call *call)
{
    attempt_done(&call->attempt);
    arena_done(&call->arena);
    failure_done(&call->failure);
    mem_free(call);
}

void calls_free(struct calls *calls)
{
    if (!calls) {
        return;
    }
    calls_cancel_all(calls); /* those whose clients have left */
    list_each (link, &calls->kept) {
        free_call(LIST_ITEM(link, struct call, link));
    }
    onces_free(calls->onces);
    shares_done(&calls->shares);
    loop_task_cancel(&calls->drained_task);
    tasks_done(&calls->tasks);
    (void)policy_unref(calls->policy);
    mem_free(calls);
}

void calls_set_policy(struct calls *calls, struct policy *policy)
{
    (void)policy_unref(calls->policy);
    calls->policy = policy;
}

struct policy *calls_policy(const struct calls *calls)
{
    return calls->policy;
}

unsigned calls_count(const struct calls *calls)
{
    return calls->count;
}

/* ---- the life of a call ------------------------------------------------------------------- */

static struct call *take(struct calls *calls)
{
    struct list_link *link = list_first(&calls->kept);
    struct call *call;
    if (link) {
        list_remove(link);
        calls->kept_count--;
        call = LIST_ITEM(link, struct call, link);
    } else {
        call = mem_new(sizeof *call);
        arena_init(&call->arena, CALL_ARENA_BYTES);
        attempt_init(&call->attempt, &calls->room);
        call->calls = calls;
    }
    list_append(&calls->live, &call->link);
    calls->count++;
    return call;
}

/* Keeps the memory of the arena and of the failure's texts for the next call. */
void call_recycle(struct call *call)
{
    struct calls *calls = call->calls;
    list_remove(&call->link);
    calls->count--;
    call->policy = policy_unref(call->policy);
    call->frame = block_unref(call->frame);
    if (call->keyed) {
        keyed_free(call->keyed);
        call->keyed = NULL;
    }
    shares_give_back(&calls->shares, &call->share);
    arena_clear(&call->arena);
    failure_clear(&call->failure);
    if (calls->kept_count < CALLS_KEPT) {
        list_append(&calls->kept, &call->link);
        calls->kept_count++;
    } else {
        free_call(call);
    }
    calls_maybe_drained(calls);
}

static void tell_drained(void *arg)
{
    struct calls *calls = arg;
    calls->drained(calls->drained_arg);
}

void calls_maybe_drained(struct calls *calls)
{
    if (calls->is_draining && !calls->is_drained && !calls->count && !calls->listing_count) {
        calls->is_drained = true; /* what is refused from now on ends here too */
        loop_later(calls->options.loop, &calls->drained_task);
    }
}

void calls_drain(struct calls *calls, void (*drained)(void *arg), void *arg)
{
    calls->is_draining = true;
    calls->drained = drained;
    calls->drained_arg = arg;
    calls_maybe_drained(calls);
}

/* ---- ending early --------------------------------------------------------------------------- */

static void cancel(struct call *call, const char *reason)
{
    bool may_be_done = attempt_may_be_done(&call->attempt);
    dialogue_end(&call->dialogue);
    call->attempts += attempt_under_way(&call->attempt);
    attempt_cancel(&call->attempt, reason);
    if (call->keyed && keyed_cancelled(call, may_be_done)) {
        return;
    }
    failure_set(&call->failure, ERR_CANCELLED, "the call was cancelled: %s", reason);
    call_finish(call, (struct slice){NULL, 0});
}

static void cancelled(struct rpc_pending *pending)
{
    struct call *call = LIST_ITEM(pending, struct call, pending);
    bool has_left = !pending->peer;
    if (call->keyed && keyed_goes_on(call, has_left)) {
        if (has_left) {
            dialogue_abandon(&call->dialogue);
        }
        return;
    }
    cancel(call, has_left ? "its client disconnected" : "by its client");
}

void calls_cancel_all(struct calls *calls)
{
    struct list_link *link;
    while ((link = list_first(&calls->live))) {
        cancel(LIST_ITEM(link, struct call, link), "the daemon is ending");
    }
    listings_cancel_all(calls);
    features_cancel_all(calls);
}

/* ---- what a waiting call keeps ---------------------------------------------------------------- */

/* `kept` holds what `params` did; other texts are the connection's. */
static bool keep_text(struct call *call, struct slice params, struct slice kept,
                      struct slice *text)
{
    if (text->len && slice_holds(params, *text)) {
        text->ptr = kept.ptr + (text->ptr - params.ptr);
    } else if (text->len) {
        *text = arena_copy(&call->arena, *text);
    }
    return !text->len || text->ptr;
}

/* A request is copied as a whole: its texts are nearly all of it. */
bool call_keep(struct call *call)
{
    struct slice *const texts[] = {
        &call->view.agent,  &call->view.user,    &call->view.service,  &call->view.tool,
        &call->view.locale, &call->options.meta, &call->view.arguments};
    if (call->is_kept) {
        return true;
    }
    const struct slice params = call->request->params;
    struct slice kept = params;
    struct block *frame = rpc_request_block(call->request);
    if (frame) {
        call->frame = block_ref(frame);
    } else if (!(kept = arena_copy(&call->arena, params)).ptr) {
        return false;
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (!keep_text(call, params, kept, texts[i])) {
            return false;
        }
    }
    rpc_keep(call->request, &call->pending, cancelled);
    dialogue_init(&call->dialogue, &call->pending);
    call->is_kept = true;
    return true;
}

void call_no_memory(struct failure *failure)
{
    failure_set(failure, ERR_OVERLOADED, "the daemon has no memory for this request");
}

/* ---- the stages --------------------------------------------------------------------------------- */

static enum policy_service service_state(void *arg, struct slice name)
{
    struct call *call = arg;
    return call_service_state(call->calls, name, call->view.user);
}

enum policy_service call_service_state(const struct calls *calls, struct slice name,
                                       struct slice user)
{
    const struct mcp_service *service = mcp_services_find(calls->room.services, name);
    if (!service) {
        return POLICY_SERVICE_UNKNOWN;
    }
    const struct service_conf *conf = mcp_service_conf(service);
    if (!conf->enabled) {
        return POLICY_SERVICE_DISABLED;
    }
    if (!service_conf_has_credentials(conf, user)) {
        return POLICY_SERVICE_NO_CREDENTIALS;
    }
    return mcp_service_state(service) == MCP_ERROR ||
                   !gates_would_pass(calls->room.gates, name, user, NULL)
               ? POLICY_SERVICE_UNAVAILABLE
               : POLICY_SERVICE_USABLE;
}

void call_refuse_service(const struct calls *calls, struct slice name, struct slice user,
                         struct failure *failure)
{
    switch (call_service_state(calls, name, user)) {
    case POLICY_SERVICE_UNKNOWN:
        failure_set(failure, ERR_NOT_FOUND, "no service `%.*s`", SLICE_ARG(name));
        break;
    case POLICY_SERVICE_NO_CREDENTIALS:
        failure_set(failure, ERR_AUTH_REQUIRED, "no account of this user is linked to `%.*s`",
                    SLICE_ARG(name));
        break;
    case POLICY_SERVICE_DISABLED:
        failure_set(failure, ERR_DISABLED, "`%.*s` is switched off", SLICE_ARG(name));
        break;
    case POLICY_SERVICE_UNAVAILABLE: /* in error: it is tried; held back: it is not */
        (void)gates_would_pass(calls->room.gates, name, user, failure);
        return;
    case POLICY_SERVICE_USABLE:
        return;
    }
    failure_detail_str(failure, "service", name);
}

bool calls_admit(const struct calls *calls, unsigned others, struct failure *failure)
{
    if (calls->is_draining) {
        failure_set(failure, ERR_SHUTTING_DOWN, "the daemon is ending");
        return false;
    }
    if (others >= *calls->options.calls_max) {
        failure_set(failure, ERR_OVERLOADED,
                    "the daemon has %u calls under way, its limits.calls",
                    *calls->options.calls_max);
        return false;
    }
    return true;
}

/* Also after a failure, with the stand-in that policy named. */
void call_follow(struct call *call)
{
    switch (call->decision.verdict) {
    case POLICY_CALL:
        call_execute(call);
        return;
    case POLICY_DEMO_ANSWER:
        call->source = CALL_DEMO;
        call_finish(call, call->decision.result);
        return;
    case POLICY_ANSWER:
        call->source = CALL_POLICY;
        call->decision.warning =
            SLICE("This answer was given by policy: no service was called.");
        call_finish(call, call->decision.result);
        return;
    case POLICY_FAIL:
        call_finish(call, (struct slice){NULL, 0});
        return;
    }
}

/* ADMIT: what the daemon, this agent and this client may have at once, and a key that can be one. */
static bool admit(struct call *call)
{
    struct calls *calls = call->calls;
    struct failure *failure = &call->failure;
    const struct call_options *options = &call->options;
    if (!calls_admit(calls, calls->count - 1 + calls->listing_count, failure)) {
        return false;
    }
    if (options->idempotency_key.ptr) {
        if (!keyed_check(options->idempotency_key, options->wants_task, failure)) {
            return false;
        }
        call->keyed = keyed_new(call, options->idempotency_key);
    }
    return calls_take_share(calls, &call->peer, call->view.agent, &call->share, failure);
}

bool calls_take_share(struct calls *calls, const struct policy_peer *peer, struct slice agent,
                      struct share_taken *ret, struct failure *failure)
{
    const struct share_limits *limits = calls->options.shares;
    bool is_agent = agent.len && (limits->agent_calls || limits->agent_rate.count) &&
                    (shares_know(&calls->shares, agent) ||
                     policy_has_agent(calls->policy, agent)); /* else it is denied */
    const struct share_ask ask = {.agent = is_agent ? agent : (struct slice){NULL, 0},
                                  .uid = peer->uid,
                                  .pid = peer->pid,
                                  .now = loop_now(calls->room.loop)};
    if (shares_take(&calls->shares, limits, &ask, ret, failure)) {
        return true;
    }
    metrics_add(calls->room.metrics, METRIC_SHARES_REFUSED, 1);
    return false;
}

void call_start(struct calls *calls, struct rpc_request *request,
                const struct call_options *options)
{
    const struct rpc_identity *identity = rpc_identity(request->peer);
    struct call *call = take(calls);
    call->request = request;
    call->policy = policy_ref(calls->policy);
    call->options = *options;
    call->peer = (struct policy_peer){identity->uid, identity->gid, identity->pid,
                                      identity->is_trusted, identity->is_admin};
    call->view = (struct policy_call){.peer = &call->peer,
                                      .agent = options->agent,
                                      .user = options->user,
                                      .service = options->service,
                                      .tool = options->tool,
                                      .locale = options->locale,
                                      .arguments = options->arguments,
                                      .demo = options->demo,
                                      .service_state = service_state,
                                      .arg = call};
    call->pending = (struct rpc_pending){.id = request->id, .msgid = request->msgid};
    call->sent = (struct attempt_options){
        .identity = {.client = rpc_peer_id(request->peer),
                     .capabilities = rpc_defaults(request->peer).capabilities},
        .peer = rpc_peer_id(request->peer)};
    call->task = (struct slice){NULL, 0};
    call->declined = 0;
    call->is_cached = false;
    dialogue_init(&call->dialogue, &call->pending);
    call->started = request->started;
    call->deadline = 0;
    call->fallback_from = (struct slice){NULL, 0};
    call->attempts = call->hop_count = 0;
    call->source = CALL_LIVE;
    call->repeats = NULL;
    call->block = NULL;
    call->is_kept = call->may_be_done = call->is_unkept = false;
    memset(&call->decision, 0, sizeof call->decision);
    call->stage = CALL_ADMIT;
    metrics_add(calls->options.metrics, METRIC_CALLS, 1);
    if (!admit(call)) {
        call_finish(call, (struct slice){NULL, 0});
        return;
    }
    call->stage = CALL_DECIDE;
    policy_decide(call->policy, &call->view, &call->decision, &call->failure);
    if (!call->keyed || !keyed_decided(call)) {
        call_follow(call);
    }
}

/* Whether a repeat elsewhere could do it twice is for policy to say: it names stand-ins only for
 * codes that say that nothing was done, or for operations it declared idempotent. */
void call_executed(struct call *call, struct slice result)
{
    if (call->failure.code != ERR_NONE) {
        const struct policy_decision tried = call->decision; /* kept when it was */
        struct slice failed = tried.service;
        policy_on_failure(call->policy, &call->view, &call->decision, &call->failure);
        /* Whatever policy names: what may have been done already is not done again elsewhere, and
         * nothing is begun behind the deadline. */
        bool may_follow =
            call->decision.verdict != POLICY_CALL ||
            (!call->may_be_done && loop_now(call->calls->room.loop) < call->deadline);
        if (call->decision.verdict != POLICY_FAIL && may_follow) {
            call->fallback_from = failed;
            if (call->hop_count < CALL_HOPS_MAX) {
                call->hops[call->hop_count++] = (struct call_hop){failed, call->failure.code};
            }
            call->source = CALL_FALLBACK;
            failure_clear(&call->failure);
            call_follow(call);
            return;
        }
        call->decision = tried;
    } else if (policy_has_after_call(call->policy)) {
        call->stage = CALL_AFTER;
        policy_after_call(call->policy, &call->view, &call->decision, result, &call->failure);
        if (call->decision.verdict == POLICY_ANSWER) {
            result = call->decision.result;
        }
    }
    call_finish(call, result);
}
