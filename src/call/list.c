/* SPDX-License-Identifier: MIT */
/* list.c - `tools.list`: every allowed service is asked at once; one that fails empties nothing. */
#include "base/must.h"
#include "call/call_internal.h"

#define LIST_TIMEOUT_US 15000000

struct list_part {
    struct listing *listing;
    struct slice service; /* the name, in the listing's arena */
    bool is_demo;
    struct mcp_request *request; /* NULL: answered */
    struct mcp_catalog *catalog;
    struct failure failure;
};

struct listing {
    struct rpc_pending pending;
    struct list_link link;
    struct calls *calls;
    struct policy *policy;
    struct arena arena;
    struct list_options options;
    struct slice locale;
    struct list_part *parts;
    uint64_t client;
    unsigned capabilities;
    size_t count, missing;
    bool has_no_memory;
    struct loop_task finish;
};

static void free_listing(struct listing *listing)
{
    struct calls *calls = listing->calls;
    for (size_t i = 0; i < listing->count; i++) {
        struct list_part *part = &listing->parts[i];
        if (part->request) {
            mcp_cancel(part->request, "its client disconnected");
        }
        (void)mcp_catalog_unref(part->catalog);
        failure_done(&part->failure);
    }
    loop_task_cancel(&listing->finish);
    rpc_pending_drop(&listing->pending);
    (void)policy_unref(listing->policy);
    list_remove(&listing->link);
    mem_free(listing->parts);
    arena_done(&listing->arena);
    mem_free(listing);
    calls->listing_count--;
    calls_maybe_drained(calls);
}

/* ---- writing -------------------------------------------------------------------------------- */

static bool is_brief_key(struct slice key)
{
    return slice_is(key, "title") || slice_is(key, "description");
}

/* The definition as it came, its name made "service/name"; brief: name, title, description. */
static void put_tool(const struct list_part *part, struct slice definition,
                     struct slice warnings, struct buf *out)
{
    bool is_brief = part->listing->options.is_brief;
    struct pack cursor = pack_over(definition);
    struct pack_item map;
    struct slice tool = {NULL, 0};
    (void)pack_get_text(definition, "name", &tool);
    size_t opened = pack_open(out);
    uint32_t count = 2;
    pack_put_text(out, "name");
    size_t len = part->service.len + 1 + tool.len;
    char *name = mem_try(len);
    if (name) {
        memcpy(name, part->service.ptr, part->service.len);
        name[part->service.len] = '/';
        memcpy(name + part->service.len + 1, tool.ptr, tool.len);
    }
    pack_put_str(out, (struct slice){name, name ? len : 0});
    mem_free(name);
    pack_put_key_str(out, "service", part->service);
    if (part->is_demo) {
        pack_put_key_bool(out, "demo", true);
        count++;
    }
    if (warnings.len) {
        pack_put_text(out, "warnings");
        buf_put_slice(out, warnings);
        count++;
    }
    (void)pack_next(&cursor, &map);
    for (uint32_t i = 0; map.type == PACK_MAP && i < map.count; i++) {
        struct slice key;
        struct slice value;
        if (!pack_next_text(&cursor, &key) || !pack_take(&cursor, &value)) {
            break;
        }
        if (slice_is(key, "name") || slice_is(key, "service") || slice_is(key, "demo") ||
            (warnings.len && slice_is(key, "warnings")) || (is_brief && !is_brief_key(key))) {
            continue;
        }
        pack_put_str(out, key);
        buf_put_slice(out, value);
        count++;
    }
    pack_close_map(out, opened, count);
}

static uint32_t put_catalog(const struct list_part *part, struct buf *out)
{
    const struct listing *listing = part->listing;
    uint32_t count = 0;
    for (size_t i = 0; i < part->catalog->count; i++) {
        const struct mcp_tool *tool = &part->catalog->tools[i];
        if (!listing->options.agent.len ||
            policy_may_use_tool(listing->policy, listing->options.agent, part->service,
                                tool->name)) {
            put_tool(part, tool->definition, tool->warnings, out);
            count++;
        }
    }
    return count;
}

static uint32_t put_demo(const struct list_part *part, struct buf *out)
{
    const struct listing *listing = part->listing;
    struct buf tools;
    uint32_t count = 0;
    buf_init(&tools, 16u << 20);
    uint32_t total = policy_put_demo_tools(listing->policy, part->service, &tools);
    struct pack cursor = pack_over(buf_slice(&tools));
    for (uint32_t i = 0; i < total; i++) {
        struct slice definition;
        struct slice name;
        if (pack_take(&cursor, &definition) && pack_get_text(definition, "name", &name) &&
            (!listing->options.agent.len ||
             policy_may_use_tool(listing->policy, listing->options.agent, part->service,
                                 name))) {
            put_tool(part, definition, (struct slice){NULL, 0}, out);
            count++;
        }
    }
    buf_done(&tools);
    return count;
}

static void put_unavailable(struct listing *listing, struct buf *out)
{
    char id[RPC_ID_TEXT];
    size_t opened = pack_open(out);
    uint32_t count = 0;
    rpc_id_text(listing->pending.id, id);
    for (size_t i = 0; i < listing->count; i++) {
        struct list_part *part = &listing->parts[i];
        if (part->failure.code == ERR_NONE) {
            continue;
        }
        const struct mcp_service *service =
            mcp_services_find(listing->calls->options.services, part->service);
        policy_message(listing->policy, listing->locale, part->service,
                       service ? mcp_service_conf(service)->title : part->service,
                       &part->failure);
        pack_put_map(out, 2);
        pack_put_key_str(out, "service", part->service);
        pack_put_text(out, "error");
        failure_put(&part->failure, (struct slice){id, RPC_ID_TEXT - 1}, out);
        count++;
    }
    pack_close_array(out, opened, count);
}

static void finish(void *arg)
{
    struct listing *listing = arg;
    struct buf *out = rpc_pending_result(&listing->pending);
    if (out) {
        pack_put_map(out, 2);
        pack_put_text(out, "tools");
        size_t opened = pack_open(out);
        uint32_t count = 0;
        if (listing->options.agent.len && !listing->options.service.len) {
            count = policy_put_operations(listing->policy, listing->options.agent, out);
        }
        for (size_t i = 0; i < listing->count; i++) {
            const struct list_part *part = &listing->parts[i];
            count += part->is_demo   ? put_demo(part, out)
                     : part->catalog ? put_catalog(part, out)
                                     : 0;
        }
        pack_close_array(out, opened, count);
        pack_put_text(out, "unavailable");
        put_unavailable(listing, out);
        rpc_pending_end(&listing->pending);
    }
    free_listing(listing);
}

/* ---- asking --------------------------------------------------------------------------------- */

static void part_done(void *arg, struct mcp_catalog *catalog, const struct failure *failure)
{
    struct list_part *part = arg;
    struct listing *listing = part->listing;
    part->request = NULL;
    if (failure) {
        failure_copy(&part->failure, failure);
    } else {
        part->catalog = mcp_catalog_ref(catalog);
    }
    if (--listing->missing == 0) {
        finish(listing);
    }
}

static const struct mcp_list_events list_events = {part_done};

static void end(struct listing *listing, struct failure *failure)
{
    if (listing->pending.peer) {
        policy_message(listing->policy, listing->locale, listing->options.service,
                       listing->options.service, failure);
    }
    rpc_pending_fail(&listing->pending, failure);
    failure_done(failure);
    free_listing(listing);
}

static void cancel(struct listing *listing, const char *reason)
{
    struct failure failure = {0};
    failure_set(&failure, ERR_CANCELLED, "the request was cancelled: %s", reason);
    end(listing, &failure);
}

static void cancelled(struct rpc_pending *pending)
{
    cancel(LIST_ITEM(pending, struct listing, pending), "by its client");
}

void listings_cancel_all(struct calls *calls)
{
    struct list_link *link;
    while ((link = list_first(&calls->listings))) {
        cancel(LIST_ITEM(link, struct listing, link), "the daemon is ending");
    }
}

static bool has_demo(const struct listing *listing, const struct list_part *part)
{
    struct buf unused;
    buf_init(&unused, 16u << 20);
    uint32_t count = policy_put_demo_tools(listing->policy, part->service, &unused);
    buf_done(&unused);
    return count != 0;
}

/* What is known without asking the service; true when it must be asked. */
static bool must_ask(struct listing *listing, struct list_part *part)
{
    const struct list_options *options = &listing->options;
    enum policy_service state =
        call_service_state(listing->calls, part->service, options->user);
    if (options->agent.len && policy_would_demo(listing->policy, options->agent, state) &&
        (state != POLICY_SERVICE_NO_CREDENTIALS || has_demo(listing, part))) {
        part->is_demo = true;
        return false;
    }
    call_refuse_service(listing->calls, part->service, options->user, &part->failure);
    return part->failure.code == ERR_NONE;
}

static struct slice keep(struct listing *listing, struct slice text)
{
    struct slice copy = arena_copy(&listing->arena, text);
    listing->has_no_memory |= !copy.ptr;
    return copy;
}

static void add_parts(struct listing *listing)
{
    const struct mcp_services *services = listing->calls->options.services;
    const struct list_options *options = &listing->options;
    const struct mcp_service *service;
    size_t total = 0;
    for (size_t at = 0; mcp_services_next(services, &at);) {
        total++;
    }
    listing->parts = mem_new((total ? total : 1) * sizeof *listing->parts);
    for (size_t at = 0; (service = mcp_services_next(services, &at));) {
        struct slice name = mcp_service_conf(service)->name;
        if ((!options->service.len || slice_equal(options->service, name)) &&
            (!options->agent.len ||
             policy_may_use_service(listing->policy, options->agent, name))) {
            struct list_part *part = &listing->parts[listing->count++];
            part->listing = listing;
            part->service = keep(listing, name);
        }
    }
}

static struct listing *new_listing(struct calls *calls, const struct rpc_request *request,
                                   const struct list_options *options)
{
    struct listing *listing = mem_new(sizeof *listing);
    listing->calls = calls;
    listing->policy = policy_ref(calls->policy);
    arena_init(&listing->arena, CALL_ARENA_BYTES);
    listing->options = *options;
    listing->options.agent = keep(listing, options->agent);
    listing->options.user = keep(listing, options->user);
    listing->options.service = keep(listing, options->service);
    listing->locale = keep(listing, rpc_defaults(request->peer).locale);
    listing->client = rpc_peer_id(request->peer);
    listing->capabilities = rpc_defaults(request->peer).capabilities;
    loop_task_init(&listing->finish, finish, listing);
    list_append(&calls->listings, &listing->link);
    calls->listing_count++;
    return listing;
}

static void ask_services(struct listing *listing)
{
    struct calls *calls = listing->calls;
    const struct mcp_identity identity = {.agent = listing->options.agent,
                                          .user = listing->options.user,
                                          .client = listing->client,
                                          .capabilities = listing->capabilities};
    mono_us deadline = loop_now(calls->options.loop) + LIST_TIMEOUT_US;
    for (size_t i = 0; i < listing->count; i++) {
        struct list_part *part = &listing->parts[i];
        if (must_ask(listing, part)) {
            struct mcp_service *service =
                mcp_services_find(calls->options.services, part->service);
            listing->missing++;
            part->request = mcp_list_tools(service, &identity, deadline, &list_events, part);
        }
    }
    if (listing->missing == 0) {
        loop_later(calls->options.loop, &listing->finish);
    }
}

void call_list_tools(struct calls *calls, struct rpc_request *request,
                     const struct list_options *options)
{
    struct failure failure = {0};
    unsigned others = calls->count + calls->listing_count;
    struct listing *listing = new_listing(calls, request, options);
    rpc_keep(request, &listing->pending, cancelled);
    if (!calls_admit(calls, others, &failure)) {
        end(listing, &failure);
        return;
    }
    add_parts(listing);
    if (listing->has_no_memory) {
        call_no_memory(&failure);
        end(listing, &failure);
        return;
    }
    ask_services(listing);
}
