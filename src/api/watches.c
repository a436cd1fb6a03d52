/* SPDX-License-Identifier: MIT */
/* watches.c - resources.subscribe and resources.unsubscribe: news of single resources. */
#include "api/api_internal.h"
#include "base/mem.h"

#define WATCHES_PER_PEER 256u

struct watch {
    struct rpc_subscriber subscriber; /* once it has started */
    struct rpc_pending pending;       /* until then */
    struct list_link link;            /* in api->watches */
    struct api *api;
    struct mcp_watch *upstream; /* NULL: ended */
    uint64_t peer;
    char *service, *uri, *agent, *user;
};

static void free_watch(struct watch *watch)
{
    if (watch->upstream) {
        mcp_unwatch(watch->upstream);
    }
    rpc_pending_drop(&watch->pending);
    rpc_unsubscribe(&watch->subscriber);
    list_remove(&watch->link);
    mem_free(watch->service);
    mem_free(watch->uri);
    mem_free(watch->agent);
    mem_free(watch->user);
    mem_free(watch);
}

void api_drop_watches(struct api *api)
{
    list_each (link, &api->watches) {
        free_watch(LIST_ITEM(link, struct watch, link));
    }
}

static void gone(struct rpc_subscriber *subscriber)
{
    free_watch(LIST_ITEM(subscriber, struct watch, subscriber));
}

static void cancelled(struct rpc_pending *pending)
{
    struct watch *watch = LIST_ITEM(pending, struct watch, pending);
    struct failure failure = {0};
    failure_set(&failure, ERR_CANCELLED, "the request was cancelled by its client");
    rpc_pending_fail(pending, &failure);
    failure_done(&failure);
    free_watch(watch);
}

/* ---- what the service says --------------------------------------------------------------- */

static void put_ok(struct buf *out)
{
    pack_put_map(out, 1);
    pack_put_key_bool(out, "ok", true);
}

static void started(void *arg, const struct failure *failure)
{
    struct watch *watch = arg;
    struct rpc_peer *peer = watch->pending.peer;
    if (failure) {
        watch->upstream = NULL;
        rpc_pending_fail(&watch->pending, failure);
        free_watch(watch);
        return;
    }
    /* Subscribed first: answering may drop a client that does not read. */
    rpc_subscribe(peer, &watch->subscriber, gone);
    struct buf *out = rpc_pending_result(&watch->pending);
    put_ok(out);
    rpc_pending_end(&watch->pending);
}

static void tell(struct watch *watch, const char *kind, struct slice uri)
{
    struct buf *out = rpc_push(&watch->subscriber, "event");
    if (out) {
        pack_put_map(out, 4u + (watch->agent[0] != '\0') + (watch->user[0] != '\0'));
        api_put_event_head(watch->api, kind, slice_of(watch->service), out);
        pack_put_key_str(out, "uri", uri);
        if (watch->agent[0]) {
            pack_put_key_text(out, "agent", watch->agent);
        }
        if (watch->user[0]) {
            pack_put_key_text(out, "user", watch->user);
        }
        rpc_push_end(&watch->subscriber);
    }
}

/* Policy may have become another one since. */
static void updated(void *arg, struct slice uri)
{
    const struct watch *watch = arg;
    if (!watch->agent[0] ||
        policy_may_use_service(calls_policy(watch->api->calls), slice_of(watch->agent),
                               slice_of(watch->service))) {
        tell(arg, "resource.updated", uri);
    }
}

static void ended(void *arg)
{
    struct watch *watch = arg;
    watch->upstream = NULL;
    if (watch->pending.peer) {
        struct failure failure = {0};
        failure_set(&failure, ERR_UNAVAILABLE, "the service was removed");
        rpc_pending_fail(&watch->pending, &failure);
        failure_done(&failure);
    } else {
        tell(watch, "resource.unwatched", slice_of(watch->uri));
    }
    free_watch(watch);
}

static const struct mcp_watch_events events = {
    .started = started, .updated = updated, .ended = ended};

/* ---- the methods ------------------------------------------------------------------------- */

enum { WATCH_URI = 6 };

/* One connection may speak for several agents and users, to each of whom a uri may be another
 * resource. */
static struct watch *find(const struct api *api, uint64_t peer,
                          const struct feature_options *options, unsigned *ret_count)
{
    struct watch *found = NULL;
    *ret_count = 0;
    list_each (link, &api->watches) {
        struct watch *watch = LIST_ITEM(link, struct watch, link);
        if (watch->peer == peer) {
            ++*ret_count;
            if (slice_is(options->service, watch->service) &&
                slice_is(options->name, watch->uri) && slice_is(options->agent, watch->agent) &&
                slice_is(options->user, watch->user)) {
                found = watch;
            }
        }
    }
    return found;
}

static bool take_uri(struct api *api, struct rpc_request *request,
                     struct feature_options *options)
{
    if (!api_take_feature(api, request, options) ||
        !api_find_service(api, request, options->service)) {
        return false;
    }
    options->name = request->args[WATCH_URI].text;
    return true;
}

/* The rules of every feature. NULL: answered. */
static struct mcp_service *take(struct api *api, struct rpc_request *request,
                                struct feature_options *options)
{
    if (!take_uri(api, request, options)) {
        return NULL;
    }
    struct failure failure = {0};
    if (!call_may_use(api->calls, options, &failure)) {
        api_refuse(api, request, options->service, &failure);
        return NULL;
    }
    return mcp_services_find(api->services, options->service);
}

void api_resources_subscribe(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    struct feature_options options;
    uint64_t peer = rpc_peer_id(request->peer);
    unsigned count;
    struct mcp_service *service = take(api, request, &options);
    if (!service) {
        return;
    }
    if (find(api, peer, &options, &count)) {
        put_ok(rpc_result(request));
        rpc_result_end(request);
        return;
    }
    if (count >= WATCHES_PER_PEER) {
        api_fail(request, ERR_OVERLOADED, "this connection has %u subscriptions already",
                 count);
        return;
    }
    struct watch *watch = mem_new(sizeof *watch);
    watch->api = api;
    watch->peer = peer;
    watch->service = mem_dup(options.service);
    watch->uri = mem_dup(options.name);
    watch->agent = mem_dup(options.agent);
    watch->user = mem_dup(options.user);
    list_append(&api->watches, &watch->link);
    rpc_keep(request, &watch->pending, cancelled);
    const struct mcp_identity identity = {
        .agent = options.agent, .user = options.user, .client = peer};
    watch->upstream = mcp_watch(service, &identity, slice_of(watch->uri), &events, watch);
}

void api_resources_unsubscribe(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    struct feature_options options;
    unsigned count;
    if (!take_uri(api, request, &options)) { /* whoever may not use it any more may end it */
        return;
    }
    struct watch *watch = find(api, rpc_peer_id(request->peer), &options, &count);
    if (!watch || watch->pending.peer) {
        api_fail(request, ERR_NOT_FOUND, "this connection has not subscribed to that resource");
        return;
    }
    free_watch(watch);
    put_ok(rpc_result(request));
    rpc_result_end(request);
}
