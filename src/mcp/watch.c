/* SPDX-License-Identifier: MIT */
/* watch.c - a client's wish to hear of one resource: where it sits, and what it is told. */
#include "mcp/watch.h"
#include "base/mem.h"
#include "mcp/room.h"

static struct loop *loop_of(const struct mcp_services *services)
{
    return services->core.loop;
}

/* ---- leaving ----------------------------------------------------------------------------- */

static void leave_topic(struct mcp_watch *watch)
{
    struct topic *topic = watch->topic;
    if (topic) {
        if (topic->next == &watch->in_topic) {
            topic->next = watch->in_topic.next;
        }
        list_remove(&watch->in_topic);
        watch->topic = NULL;
        watches_adjust(topic->watches);
    }
}

/* Its session may end with it. */
static void leave_seat(struct mcp_watch *watch)
{
    struct seat *seat = watch->seat;
    leave_topic(watch);
    if (seat) {
        watch->seat = NULL;
        seat_leave(seat);
    }
}

/* ---- telling ----------------------------------------------------------------------------- */

static void watch_free(struct mcp_watch *watch)
{
    leave_seat(watch);
    loop_task_cancel(&watch->tell);
    list_remove(&watch->link);
    watch->services->watch_count--;
    if (watch->failure) {
        failure_done(watch->failure);
        mem_free(watch->failure);
    }
    mem_free(watch->kept);
    mem_free(watch->uri);
    mem_free(watch);
}

/* It is gone when its client hears that it is over. */
static void tell_over(struct mcp_watch *watch)
{
    const struct mcp_watch_events *events = watch->events;
    struct failure *failure = watch->failure;
    void *arg = watch->arg;
    watch->failure = NULL;
    watch_free(watch);
    if (!failure) {
        events->ended(arg);
        return;
    }
    events->started(arg, failure);
    failure_done(failure);
    mem_free(failure);
}

static void tell(void *arg)
{
    struct mcp_watch *watch = arg;
    if (watch->is_over && (watch->is_told || watch->failure)) {
        tell_over(watch);
        return;
    }
    if (watch->is_over || (watch->is_started && watch->owes_update)) {
        loop_later(loop_of(watch->services), &watch->tell); /* for what comes after this */
    }
    if (!watch->is_told) {
        watch->is_told = true;
        watch->owes_update = false;
        watch->events->started(watch->arg, NULL);
    } else if (watch->owes_update) {
        watch->owes_update = false;
        watch->events->updated(watch->arg, (struct slice){watch->uri, watch->uri_len});
    }
}

/* In the midst of what its session is told: the seat is left when it is told itself. */
static void end(struct mcp_watch *watch, const struct failure *failure)
{
    leave_topic(watch);
    watch->service = NULL;
    watch->is_over = true;
    if (failure) {
        watch->failure = mem_new(sizeof *watch->failure);
        failure_copy(watch->failure, failure);
    }
    loop_later(loop_of(watch->services), &watch->tell);
}

void watch_started(struct mcp_watch *watch)
{
    if (!watch->is_started || watch->owes_update) {
        watch->is_started = true;
        loop_later(loop_of(watch->services), &watch->tell);
    }
}

void watch_refused(struct mcp_watch *watch, const struct failure *failure)
{
    end(watch, failure);
}

void watch_ended(struct mcp_watch *watch)
{
    end(watch, NULL);
}

/* ---- where it sits ----------------------------------------------------------------------- */

static void take_seat(struct mcp_watch *watch)
{
    struct failure failure = {0};
    struct seat *seat = seat_find(watch->service, &watch->identity, true);
    struct watches *watches = watches_of(&seat->session);
    watch->seat = seat;
    seat_use(seat);
    watch->topic = topic_get(watches, (struct slice){watch->uri, watch->uri_len});
    if (!watch->topic) {
        failure_set(&failure, ERR_OVERLOADED, "%u resources are watched there already",
                    TOPICS_MAX);
        end(watch, watch->is_started ? NULL : &failure);
        failure_done(&failure);
        return;
    }
    list_append(&watch->topic->watchers, &watch->in_topic);
    if (watch->topic->state == TOPIC_STANDS) {
        watch_started(watch);
    } else {
        watches_adjust(watches);
    }
}

/* ---- clients ----------------------------------------------------------------------------- */

static bool refuse_service(const struct mcp_service *service, struct failure *failure)
{
    if (service->services->is_closing) {
        failure_set(failure, ERR_SHUTTING_DOWN, "the daemon is ending");
    } else if (service->is_removed || !service->conf->enabled) {
        failure_set(failure, ERR_DISABLED, "the service \"%.*s\" is switched off",
                    SLICE_ARG(service->conf->name));
    }
    return failure->code != ERR_NONE;
}

static bool refuse(const struct mcp_service *service, struct slice uri, struct failure *failure)
{
    if (refuse_service(service, failure)) {
        return true;
    }
    if (!uri.len || uri.len > TOPIC_URI_MAX) {
        failure_set(failure, ERR_VALIDATION_ERROR,
                    "uri is to be 1 to %zu bytes long, and is %zu", TOPIC_URI_MAX, uri.len);
        failure_detail_text(failure, "field", "uri");
    } else if (service->services->watch_count >= WATCHES_MAX) {
        failure_set(failure, ERR_OVERLOADED, "%u resources are watched already", WATCHES_MAX);
    }
    return failure->code != ERR_NONE;
}

/* The client's bytes are good until mcp_watch returns. */
static void keep_identity(struct mcp_watch *watch, const struct mcp_identity *identity)
{
    size_t agent = identity->agent.len;
    watch->identity = *identity;
    watch->kept = mem_new(agent + identity->user.len + 1);
    if (agent) {
        memcpy(watch->kept, identity->agent.ptr, agent);
    }
    if (identity->user.len) {
        memcpy(watch->kept + agent, identity->user.ptr, identity->user.len);
    }
    watch->identity.agent.ptr = watch->kept;
    watch->identity.user.ptr = watch->kept + agent;
}

struct mcp_watch *mcp_watch(struct mcp_service *service, const struct mcp_identity *identity,
                            struct slice uri, const struct mcp_watch_events *events, void *arg)
{
    struct mcp_watch *watch = mem_new(sizeof *watch);
    struct failure failure = {0};
    watch->services = service->services;
    watch->service = service;
    watch->events = events;
    watch->arg = arg;
    loop_task_init(&watch->tell, tell, watch);
    bool is_refused = refuse(service, uri, &failure);
    list_append(&watch->services->watches, &watch->link);
    watch->services->watch_count++;
    if (is_refused) {
        failure_detail_str(&failure, "service", service->conf->name);
        end(watch, &failure);
        failure_done(&failure);
        return watch;
    }
    watch->uri = mem_dup(uri);
    watch->uri_len = uri.len;
    keep_identity(watch, identity);
    take_seat(watch);
    return watch;
}

void mcp_unwatch(struct mcp_watch *watch)
{
    watch_free(watch);
}

/* ---- services ---------------------------------------------------------------------------- */

static void move(struct mcp_watch *watch)
{
    struct failure failure = {0};
    if (refuse_service(watch->service, &failure)) {
        end(watch, watch->is_started ? NULL : &failure);
        failure_done(&failure);
    } else {
        take_seat(watch);
    }
}

void watches_move(struct mcp_service *service)
{
    list_each (link, &service->services->watches) {
        struct mcp_watch *watch = LIST_ITEM(link, struct mcp_watch, link);
        if (watch->service == service) {
            leave_seat(watch);
            watch->owes_update |= watch->is_started;
            move(watch);
        }
    }
}

void watches_end(struct mcp_services *services, const struct mcp_service *service)
{
    struct failure failure = {0};
    failure_set(&failure, service ? ERR_NOT_FOUND : ERR_SHUTTING_DOWN, "%s",
                service ? "the service was removed" : "the daemon is ending");
    list_each (link, &services->watches) {
        struct mcp_watch *watch = LIST_ITEM(link, struct mcp_watch, link);
        if (watch->service && (!service || watch->service == service)) {
            end(watch, watch->is_started ? NULL : &failure);
        }
    }
    failure_done(&failure);
}

void watches_drop(struct mcp_services *services)
{
    list_each (link, &services->watches) {
        struct mcp_watch *watch = LIST_ITEM(link, struct mcp_watch, link);
        list_remove(&watch->in_topic); /* topics and seats go by themselves */
        watch->topic = NULL;
        watch->seat = NULL;
        watch_free(watch);
    }
}
