/* SPDX-License-Identifier: MIT */
/* services.c - all services: by name, in order, taken over from a configuration, and ended. */
#include "base/mem.h"
#include "base/must.h"
#include "base/text.h"
#include "mcp/connect.h"
#include "mcp/room.h"
#include "mcp/watch.h"

#include <stdlib.h>

/* Frees what nobody uses any more, behind the callbacks that decided it. */
static void reap(void *arg)
{
    struct mcp_services *services = arg;
    struct list_link *first;
    while ((first = list_first(&services->leavers))) {
        seat_free(LIST_ITEM(first, struct seat, link));
    }
    list_each (link, &services->removed) {
        struct mcp_service *service = LIST_ITEM(link, struct mcp_service, link);
        if (service_is_gone(service)) {
            service_free(service);
        }
    }
}

static void close_all(void *arg);
static void close_overdue(void *arg);
static void wires_are_closed(void *arg);

struct mcp_services *mcp_services_new(const struct mcp_services_options *options)
{
    struct mcp_services *services = mem_new(sizeof *services);
    services->options = *options;
    core_init(&services->core, options->loop, options->message_bytes);
    services->core.connect = options->connect ? options->connect : connect_transport;
    services->core.connect_arg = options->connect ? options->arg : &services->options;
    services->core.last_wire_closed = wires_are_closed;
    services->core.last_wire_arg = services;
    map_init(&services->by_name);
    list_init(&services->removed);
    list_init(&services->leavers);
    list_init(&services->requests);
    list_init(&services->watches);
    recall_init(services);
    cache_init(&services->cache, options->loop, CACHE_BYTES_MAX);
    list_init(&services->spare);
    list_init(&services->client_seats);
    loop_task_init(&services->reap, reap, services);
    loop_task_init(&services->close_task, close_all, services);
    loop_timer_init(&services->close_timer, close_overdue, services);
    return services;
}

/* Without a word to those who made them. */
static void drop_requests(struct mcp_services *services)
{
    struct list_link *link;
    while ((link = list_first(&services->requests))) {
        struct mcp_request *request = LIST_ITEM(link, struct mcp_request, owned);
        pending_unregister(&request->pending);
        list_remove(&request->pending.link);
        request_free(request);
    }
    while ((link = list_first(&services->spare))) {
        request_free(LIST_ITEM(link, struct mcp_request, owned));
    }
}

void mcp_services_free(struct mcp_services *services)
{
    struct list_link *link;
    if (!services) {
        return;
    }
    services->core.last_wire_closed = NULL;
    services->options.state_changed = NULL;
    drop_requests(services);
    watches_drop(services);
    while ((link = list_first(&services->leavers))) {
        seat_free(LIST_ITEM(link, struct seat, link));
    }
    while ((link = list_first(&services->removed))) {
        service_free(LIST_ITEM(link, struct mcp_service, link));
    }
    for (size_t i = 0; i < services->count; i++) {
        service_free(services->list[i]);
    }
    loop_task_cancel(&services->reap);
    loop_task_cancel(&services->close_task);
    loop_timer_cancel(services->core.loop, &services->close_timer);
    core_done(&services->core);
    recall_done(services);
    cache_done(&services->cache);
    map_done(&services->by_name);
    mem_free(services->list);
    mem_free(services);
}

void mcp_services_forget_client(struct mcp_services *services, uint64_t client)
{
    list_each (link, &services->client_seats) {
        struct seat *seat = LIST_ITEM(link, struct seat, client_link);
        if (seat->client == client) {
            seat->service->stop_reason = "its client has left";
            seat_retire(seat);
        }
    }
}

/* ---- the set ----------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    struct slice left = (*(struct mcp_service *const *)a)->conf->name;
    struct slice right = (*(struct mcp_service *const *)b)->conf->name;
    size_t shorter = left.len < right.len ? left.len : right.len;
    int order = shorter ? memcmp(left.ptr, right.ptr, shorter) : 0;
    return order ? order : (left.len > right.len) - (left.len < right.len);
}

/* The service of this name goes on, anew, or not at all as it was. */
static struct mcp_service *take_over(struct mcp_services *services, struct service_conf *conf)
{
    struct mcp_service *service = map_remove(&services->by_name, conf->name);
    if (!service) {
        return service_new(services, conf);
    }
    if (!service_conf_equal(service->conf, conf)) {
        service_reconfigure(service, conf);
    } else {
        service_conf_ref(conf); /* the place in its file may be another one */
        service_conf_unref(service->conf);
        service->conf = conf;
    }
    return service;
}

void mcp_services_apply(struct mcp_services *services, const struct service_set *set)
{
    struct mcp_service **list = mem_new((set->count + 1) * sizeof(void *));
    for (size_t i = 0; i < set->count; i++) {
        list[i] = take_over(services, set->list[i]);
    }
    size_t at = 0;
    struct mcp_service *left;
    while ((left = map_next(&services->by_name, &at, NULL))) {
        service_remove(left);
        list_append(&services->removed, &left->link);
        loop_later(services->core.loop, &services->reap);
    }
    mem_free(services->list);
    services->list = list;
    services->count = set->count;
    if (set->count) {
        qsort(list, set->count, sizeof(struct mcp_service *), by_name);
    }
    map_done(&services->by_name);
    map_init(&services->by_name);
    for (size_t i = 0; i < services->count; i++) {
        map_set(&services->by_name, list[i]->conf->name, list[i]);
    }
}

struct block *mcp_services_block(const struct mcp_services *services, struct slice bytes)
{
    struct block *block = services->core.block;
    return block && block_holds(block, bytes) ? block : NULL;
}

struct mcp_service *mcp_services_find(const struct mcp_services *services, struct slice name)
{
    return map_get(&services->by_name, name);
}

struct mcp_service *mcp_services_next(const struct mcp_services *services, size_t *at)
{
    return *at < services->count ? services->list[(*at)++] : NULL;
}

struct slice mcp_services_near(const struct mcp_services *services, struct slice name)
{
    struct slice best = {NULL, 0};
    unsigned distance = TEXT_FAR;
    for (size_t i = 0; i < services->count; i++) {
        text_nearest(name, services->list[i]->conf->name, &best, &distance);
    }
    return best;
}

/* ---- the end ----------------------------------------------------------------------------- */

static void tell_ended(struct mcp_services *services)
{
    void (*ended)(void *arg) = services->ended;
    services->ended = NULL;
    loop_timer_cancel(services->core.loop, &services->close_timer);
    if (ended) {
        ended(services->ended_arg);
    }
}

static void wires_are_closed(void *arg)
{
    struct mcp_services *services = arg;
    if (services->is_closing && services->ended) {
        tell_ended(services);
    }
}

/* Whoever is told may cancel others, and with the last request of an old configuration its seat
 * leaves the list: so no place in the list is remembered. */
static void stop_seats(struct list *seats, const struct failure *failure)
{
    struct list todo;
    struct list_link *link;
    list_init(&todo);
    while ((link = list_first(seats))) {
        list_remove(link);
        list_append(&todo, link);
    }
    while ((link = list_first(&todo))) {
        list_remove(link);
        list_append(seats, link);
        seat_stop(LIST_ITEM(link, struct seat, link), "shutting down", failure);
    }
}

static void close_service(struct mcp_service *service, const struct failure *failure)
{
    stop_seats(&service->seats, failure);
    stop_seats(&service->retired, failure);
}

static struct mcp_request *first_open(const struct mcp_services *services)
{
    list_each (link, &services->requests) {
        struct mcp_request *request = LIST_ITEM(link, struct mcp_request, owned);
        if (request->step != STEP_TELL) {
            return request;
        }
    }
    return NULL;
}

/* What waits for its client, or for the next poll of a task, is in no list of a session. */
static void end_requests(struct mcp_services *services, const struct failure *failure)
{
    struct mcp_request *request;
    while ((request = first_open(services))) {
        request_withdraw(request, "shutting down");
        request_fail(request, failure, false);
    }
}

/* Everybody who still waits is told; then the wires close in order. */
static void close_all(void *arg)
{
    struct mcp_services *services = arg;
    struct failure failure = {0};
    failure_set(&failure, ERR_SHUTTING_DOWN, "the daemon is ending");
    watches_end(services, NULL);
    list_each (removed, &services->removed) {
        close_service(LIST_ITEM(removed, struct mcp_service, link), &failure);
    }
    for (size_t i = 0; i < services->count; i++) {
        close_service(services->list[i], &failure);
    }
    end_requests(services, &failure);
    failure_done(&failure);
    if (!services->core.wire_count) {
        tell_ended(services);
    }
}

static void close_overdue(void *arg)
{
    struct mcp_services *services = arg;
    core_drop_wires(&services->core);
    tell_ended(services);
}

void mcp_services_close(struct mcp_services *services, mono_us deadline,
                        void (*ended)(void *arg), void *arg)
{
    services->is_closing = true;
    services->ended = ended;
    services->ended_arg = arg;
    loop_timer_set(services->core.loop, &services->close_timer, deadline);
    loop_later(services->core.loop, &services->close_task);
}
