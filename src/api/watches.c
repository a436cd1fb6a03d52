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
    char *service, *uri;
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
        pack_put_map(out, 4);
        api_put_event_head(watch->api, kind, slice_of(watch->service), out);
        pack_put_key_str(out, "uri", uri);
        rpc_push_end(&watch->subscriber);
    }
}

static void updated(void *arg, struct slice uri)
{
    tell(arg, "resource.updated", uri);
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
        free_watch(watch);
        return;
    }
    struct rpc_subscriber *subscriber = &watch->subscriber;
    tell(watch, "resource.unwatched", slice_of(watch->uri));
    if (subscriber->peer) {
        free_watch(watch);
    }
}

static const struct mcp_watch_events events = {
    .started = started, .updated = updated, .ended = ended};

/* ---- the methods ------------------------------------------------------------------------- */

enum { WATCH_URI = 6 };

static struct watch *find(const struct api *api, uint64_t peer, struct slice service,
                          struct slice uri, unsigned *ret_count)
{
    struct watch *found = NULL;
    *ret_count = 0;
    list_each (link, &api->watches) {
        struct watch *watch = LIST_ITEM(link, struct watch, link);
        if (watch->peer == peer) {
            ++*ret_count;
            if (slice_is(service, watch->service) && slice_is(uri, watch->uri)) {
                found = watch;
            }
        }
    }
    return found;
}

/* The rules of every feature. NULL: answered. */
static struct mcp_service *take(struct api *api, struct rpc_request *request,
                                struct feature_options *options)
{
    if (!api_take_feature(api, request, options) ||
        !api_find_service(api, request, options->service)) {
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
    struct slice uri = request->args[WATCH_URI].text;
    uint64_t peer = rpc_peer_id(request->peer);
    unsigned count;
    struct mcp_service *service = take(api, request, &options);
    if (!service) {
        return;
    }
    if (find(api, peer, options.service, uri, &count)) {
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
    watch->uri = mem_dup(uri);
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
    if (!take(api, request, &options)) {
        return;
    }
    struct watch *watch = find(api, rpc_peer_id(request->peer), options.service,
                               request->args[WATCH_URI].text, &count);
    if (!watch || watch->pending.peer) {
        api_fail(request, ERR_NOT_FOUND, "this connection has not subscribed to that resource");
        return;
    }
    free_watch(watch);
    put_ok(rpc_result(request));
    rpc_result_end(request);
}
