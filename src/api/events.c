/* SPDX-License-Identifier: MIT */
/* events.c - the method events.subscribe: news of services, to the connections that want them. */
#include "api/api_internal.h"
#include "base/mem.h"

static const char *const kinds[] = {
    "service.state",   "service.breaker",      "service.quarantine",
    "service.health",  "service.rate_limited", "tools.changed",
    "prompts.changed", "resources.changed",    "tool.changed"};
#define KINDS (sizeof kinds / sizeof kinds[0])

struct listener {
    struct rpc_subscriber subscriber;
    struct list_link link; /* in api->listeners */
    unsigned wanted;       /* a bit for each of `kinds` */
    char *agent;           /* empty: all services */
};

static void free_listener(struct listener *listener)
{
    rpc_unsubscribe(&listener->subscriber);
    list_remove(&listener->link);
    mem_free(listener->agent);
    mem_free(listener);
}

static void gone(struct rpc_subscriber *subscriber)
{
    free_listener(LIST_ITEM(subscriber, struct listener, subscriber));
}

void api_drop_listeners(struct api *api)
{
    list_each (link, &api->listeners) {
        free_listener(LIST_ITEM(link, struct listener, link));
    }
}

void api_put_event_head(struct api *api, const char *kind, struct slice service,
                        struct buf *out)
{
    char time[CLOCK_TEXT];
    clock_format(loop_wall(api->options.loop), time);
    pack_put_key_text(out, "kind", kind);
    pack_put_key_text(out, "time", time);
    pack_put_key_str(out, "service", service);
}

static void put_detail(const struct api_detail *detail, struct buf *out)
{
    if (detail->value.ptr) {
        pack_put_key_str(out, detail->key, detail->value);
    } else {
        pack_put_key_int(out, detail->key, detail->number);
    }
}

void api_tell_event(struct api *api, const char *kind, const struct mcp_service *service,
                    const struct api_detail *details, unsigned count)
{
    struct slice name = mcp_service_conf(service)->name;
    unsigned bit = 0;
    while (bit < KINDS && strcmp(kinds[bit], kind) != 0) {
        bit++;
    }
    list_each (link, &api->listeners) {
        struct listener *listener = LIST_ITEM(link, struct listener, link);
        struct buf *out;
        if (!(listener->wanted >> bit & 1u) ||
            (listener->agent[0] && !policy_may_use_service(calls_policy(api->calls),
                                                           slice_of(listener->agent), name)) ||
            !(out = rpc_push(&listener->subscriber, "event"))) {
            continue;
        }
        pack_put_map(out, 3 + count);
        api_put_event_head(api, kind, name, out);
        for (unsigned i = 0; i < count; i++) {
            put_detail(&details[i], out);
        }
        rpc_push_end(&listener->subscriber);
    }
}

/* ---- events.subscribe -------------------------------------------------------------------- */

/* False: answered. */
static bool read_kinds(struct rpc_request *request, unsigned *ret)
{
    struct pack cursor = pack_over(request->args[0].text);
    struct pack_item list;
    *ret = 0;
    if (!pack_next(&cursor, &list) || list.type != PACK_ARRAY) {
        api_fail(request, ERR_INVALID_REQUEST, "parameter `kinds` must be a list of texts");
        return false;
    }
    for (uint32_t i = 0; i < list.count; i++) {
        struct slice name = {NULL, 0};
        size_t kind = 0;
        if (!pack_next_text(&cursor, &name)) {
            api_fail(request, ERR_INVALID_REQUEST, "parameter `kinds` must be a list of texts");
            return false;
        }
        while (kind < KINDS && !slice_is(name, kinds[kind])) {
            kind++;
        }
        if (kind == KINDS) {
            api_fail(request, ERR_INVALID_REQUEST,
                     "no event is of kind `%.*s`; there are service.state, service.breaker, "
                     "service.quarantine, service.health, service.rate_limited, tools.changed, "
                     "prompts.changed, resources.changed and tool.changed",
                     (int)(name.len < 64 ? name.len : 64), name.ptr);
            return false;
        }
        *ret |= 1u << kind;
    }
    return true;
}

static struct listener *find(struct api *api, const struct rpc_peer *peer)
{
    list_each (link, &api->listeners) {
        struct listener *listener = LIST_ITEM(link, struct listener, link);
        if (listener->subscriber.peer == peer) {
            return listener;
        }
    }
    return NULL;
}

void api_events_subscribe(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    unsigned wanted;
    if (!read_kinds(request, &wanted)) {
        return;
    }
    struct slice agent = request->args[1].text;
    if (agent.len && !api_knows_agent(api, request, agent)) {
        return;
    }
    struct listener *listener = find(api, request->peer);
    if (listener) {
        free_listener(listener); /* the new set replaces the old one */
    }
    if (wanted) {
        listener = mem_new(sizeof *listener);
        listener->wanted = wanted;
        listener->agent = mem_dup(agent);
        rpc_subscribe(request->peer, &listener->subscriber, gone);
        list_append(&api->listeners, &listener->link);
    }
    struct buf *out = rpc_result(request);
    pack_put_map(out, 1);
    pack_put_text(out, "kinds");
    pack_put_array(out, (uint32_t)__builtin_popcount(wanted));
    for (unsigned i = 0; i < KINDS; i++) {
        if (wanted >> i & 1u) {
            pack_put_text(out, kinds[i]);
        }
    }
    rpc_result_end(request);
}
