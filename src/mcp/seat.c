/* SPDX-License-Identifier: MIT */
/* seat.c - which session serves whom, and when a session that nobody uses goes. */
#include "base/mem.h"
#include "base/must.h"
#include "mcp/room.h"

#define SECOND ((mono_us)1000000)

/* A stopped seat of a user or agent is forgotten after this time; a shared one never is. */
#define SEAT_KEPT (60 * SECOND)

static struct loop *loop_of(const struct seat *seat)
{
    return seat->session.core->loop;
}

/* ---- stopping ---------------------------------------------------------------------------- */

void seat_stop(struct seat *seat, const char *reason, const struct failure *failure)
{
    seat->service->stop_reason = reason;
    session_stop(&seat->session, failure);
}

static void stop_unused(struct seat *seat, const char *reason)
{
    struct failure failure = {0};
    failure_set(&failure, ERR_UNAVAILABLE, "the connection was ended: %s", reason);
    failure.class = FAILURE_OF_BROKER;
    seat_stop(seat, reason, &failure);
    failure_done(&failure);
}

/* Nobody finds it any more. */
static void forget_key(struct seat *seat)
{
    struct mcp_service *service = seat->service;
    if (seat->key) {
        (void)map_remove(&service->by_key, (struct slice){seat->key, seat->key_len});
    } else if (service->shared == seat) {
        service->shared = NULL;
    }
    list_remove(&seat->client_link);
    service->seat_count--;
    service->in_state[seat->session.state]--;
    seat->is_retired = true;
    /* What it still learns is of a configuration that may not be the service's any more. */
    seat->known = service->known;
    seat->session.known = &seat->known;
    list_remove(&seat->link);
    list_append(&service->retired, &seat->link);
}

static void go_away(struct seat *seat, const char *reason)
{
    struct mcp_service *service = seat->service;
    struct mcp_services *services = service->services;
    stop_unused(seat, reason);
    list_remove(&seat->link);
    list_append(&services->leavers, &seat->link);
    loop_later(services->core.loop, &services->reap);
    if (!service->is_removed) {
        service_update_state(service, reason);
    }
}

static void arm(struct seat *seat, mono_us since)
{
    const struct service_conf *conf = seat->session.conf;
    if (loop_timer_is_set(&seat->idle_timer)) {
        return;
    }
    bool is_stopped = seat->session.state == SESSION_STOPPED;
    mono_us wait = conf->idle_stop_s ? conf->idle_stop_s * SECOND : SEAT_KEPT;
    if (is_stopped ? seat->key != NULL : conf->idle_stop_s > 0) {
        loop_timer_set(loop_of(seat), &seat->idle_timer, since + wait);
    }
}

static void idle_passed(void *arg)
{
    struct seat *seat = arg;
    const struct service_conf *conf = seat->session.conf;
    mono_us due =
        seat->idle_since + (conf->idle_stop_s ? conf->idle_stop_s * SECOND : SEAT_KEPT);
    if (seat->users) {
        return; /* the last user's leaving sets it again */
    }
    if (seat->session.state != SESSION_STOPPED && due < seat->busy_until) {
        due = seat->busy_until;
    }
    /* With the seat the count of failures would be forgotten that makes restarts rarer. */
    if (seat->session.failures > 1 && due < seat->session.not_before + SEAT_KEPT &&
        seat->session.state == SESSION_STOPPED) {
        due = seat->session.not_before + SEAT_KEPT;
    }
    if (loop_now(loop_of(seat)) < due) {
        loop_timer_set(loop_of(seat), &seat->idle_timer, due);
        return;
    }
    if (seat->session.state != SESSION_STOPPED && conf->idle_stop_s) {
        stop_unused(seat, "idle");
    }
    if (seat->key && seat->session.state == SESSION_STOPPED) {
        forget_key(seat);
        go_away(seat, "idle");
    }
}

/* ---- the session's news ------------------------------------------------------------------ */

void seat_note_failure(struct seat *seat, const struct failure *failure, const char *reason)
{
    if (!seat->last_error) {
        seat->last_error = mem_new(sizeof *seat->last_error);
    }
    failure_copy(seat->last_error, failure);
    /* What a caller has left out says nothing of the service. */
    if (failure->class != FAILURE_OF_CALLER) {
        service_note_failure(seat->service, failure);
    }
    service_update_state(seat->service, reason);
}

static void changed(void *arg, struct mcp_session *session, enum session_state from,
                    const struct failure *failure)
{
    struct mcp_service *service = arg;
    struct seat *seat = LIST_ITEM(session, struct seat, session);
    if (seat->is_retired) {
        return;
    }
    service->in_state[from]--;
    service->in_state[session->state]++;
    if (session->state == SESSION_OPENING) {
        seat->calls = 0;
    }
    if (failure) {
        seat_note_failure(seat, failure,
                          from == SESSION_READY ? "ended by itself" : "could not start");
    } else if (session->state == SESSION_STOPPED) {
        service->has_failed = false;
        service_update_state(service, service->stop_reason);
    } else if (session->state == SESSION_READY) {
        service->has_failed = false;
        recall_ready(service);
        service_update_state(service, "ready");
    } else {
        service_update_state(service, seat->probes && seat->users == seat->probes
                                          ? "wanted by a probe"
                                          : "wanted by a call");
    }
    if (session->state == SESSION_STOPPED && !seat->users) {
        arm(seat, loop_now(loop_of(seat)));
    }
}

static void wire_leaving(void *arg)
{
    ((struct mcp_service *)arg)->wires_leaving++;
}

static void wire_ended(void *arg)
{
    struct mcp_service *service = arg;
    service->wires_leaving--;
    if (service->is_removed) {
        loop_later(service->services->core.loop, &service->services->reap);
    } else {
        service_update_state(service, service->stop_reason);
    }
}

/* Limits go by credential. */
static void limits(void *arg, const struct mcp_session *session,
                   const struct rate_fields *fields, bool is_refused)
{
    const struct mcp_service *service = arg;
    const struct mcp_services_options *options = &service->services->options;
    if (options->rate_told && !service->is_removed) {
        options->rate_told(
            options->arg, service,
            slice_of(service_conf_needs_user(session->conf) ? session->user : ""), fields,
            is_refused);
    }
}

static const struct session_events seat_events = {
    .changed = changed,
    .wire_leaving = wire_leaving,
    .wire_ended = wire_ended,
    .list_changed = news_list_changed,
    .resource_updated = news_resource_updated,
    .limits = limits,
    .may_list = tools_may_list,
    .listed = tools_listed,
};

/* ---- finding and leaving ----------------------------------------------------------------- */

static struct seat *seat_new(struct mcp_service *service, const struct mcp_identity *identity)
{
    static const struct slice nobody = {"", 0};
    struct seat *seat = mem_new(sizeof *seat);
    const struct mcp_identity known = {
        .agent = service->by_agent ? identity->agent : nobody,
        .user = service->by_user ? identity->user : nobody,
    };
    seat->service = service;
    recall_want(service->services);
    session_init(&seat->session, &service->services->core, service->conf, &known);
    seat->place = service->place;
    seat->session.known = &service->known;
    seat->session.events = &seat_events;
    seat->session.arg = service;
    loop_timer_init(&seat->idle_timer, idle_passed, seat);
    line_init(seat);
    list_append(&service->seats, &seat->link);
    service->seat_count++;
    service->in_state[SESSION_STOPPED]++;
    return seat;
}

/* Seats in use are as many as there are requests; of the others no more than SEATS_MAX stay. */
static void make_room(struct mcp_service *service)
{
    struct seat *oldest = NULL;
    if (service->seat_count < SEATS_MAX) {
        return;
    }
    list_each (link, &service->seats) {
        struct seat *seat = LIST_ITEM(link, struct seat, link);
        if (!seat->users && (!oldest || seat->idle_since < oldest->idle_since)) {
            oldest = seat;
        }
    }
    if (oldest) {
        forget_key(oldest);
        go_away(oldest, "too many users");
    }
}

/* Whom a seat is for. Those of callers who can be asked something are told apart by all of it. */
struct seat_key {
    uint64_t client;
    unsigned capabilities;
    struct slice user, agent;
};

static void declare(struct mcp_service *service, struct seat *seat, uint64_t client,
                    unsigned capabilities)
{
    seat->is_own = true;
    seat->client = client;
    seat->session.capabilities = capabilities;
    if (client) {
        list_append(&service->services->client_seats, &seat->client_link);
    }
}

static struct seat *find_keyed(struct mcp_service *service, const struct mcp_identity *identity,
                               const struct seat_key *parts)
{
    char small[256];
    /* The length keeps "a" and "bc" apart from "ab" and "c". */
    struct {
        uint64_t client;
        size_t user;
        size_t capabilities;
    } head = {parts->client, parts->user.len, parts->capabilities};
    struct slice key = {small, sizeof head + parts->user.len + parts->agent.len};
    char *bytes = key.len > sizeof small ? mem_new(key.len) : small;
    key.ptr = bytes;
    memcpy(bytes, &head, sizeof head);
    if (parts->user.len) {
        memcpy(bytes + sizeof head, parts->user.ptr, parts->user.len);
    }
    if (parts->agent.len) {
        memcpy(bytes + sizeof head + parts->user.len, parts->agent.ptr, parts->agent.len);
    }
    struct seat *seat = map_get(&service->by_key, key);
    if (!seat) {
        make_room(service);
        seat = seat_new(service, identity);
        seat->key = mem_dup(key);
        seat->key_len = key.len;
        map_set(&service->by_key, key, seat);
        if (parts->capabilities) {
            declare(service, seat, parts->client, parts->capabilities);
        }
    }
    if (bytes != small) {
        mem_free(bytes);
    }
    return seat;
}

static bool is_legacy(const struct mcp_service *service)
{
    const struct service_conf *conf = service->conf;
    return conf->era == SERVICE_ERA_LEGACY || conf->transport == SERVICE_SSE ||
           service->known.era == KNOWN_LEGACY;
}

bool seat_is_wanted(const struct mcp_service *service, const struct mcp_identity *identity)
{
    const struct service_conf *conf = service->conf;
    return identity->capabilities &&
           !(conf->sharing == SERVICE_SHARED && conf->sharing_is_given);
}

struct seat *seat_find_own(struct mcp_service *service, const struct mcp_identity *identity)
{
    const struct seat_key key = {identity->client, identity->capabilities, identity->user,
                                 identity->agent};
    return find_keyed(service, identity, &key);
}

/* Found by nobody else, and gone with its call. */
struct seat *seat_for_one_call(struct mcp_service *service, const struct mcp_identity *identity)
{
    make_room(service);
    struct seat *seat = seat_new(service, identity);
    seat->is_for_one_call = true;
    declare(service, seat, identity->client, identity->capabilities);
    return seat;
}

struct seat *seat_find(struct mcp_service *service, const struct mcp_identity *identity,
                       bool is_listing)
{
    if (service->conf->sharing == SERVICE_PER_CALL && !is_listing) {
        return seat_for_one_call(service, identity);
    }
    if (identity->capabilities && is_legacy(service) && seat_is_wanted(service, identity)) {
        return seat_find_own(service, identity);
    }
    if (service->by_user || service->by_agent) {
        static const struct slice all = {NULL, 0};
        const struct seat_key key = {.user = service->by_user ? identity->user : all,
                                     .agent = service->by_agent ? identity->agent : all};
        return find_keyed(service, identity, &key);
    }
    if (!service->shared) {
        service->shared = seat_new(service, identity);
    }
    return service->shared;
}

void seat_use(struct seat *seat)
{
    seat->users++;
}

static void look_after(struct seat *seat)
{
    if (seat->users) {
        return;
    }
    if (seat->is_retired) {
        go_away(seat, seat->service->stop_reason);
    } else if (seat->is_for_one_call) {
        forget_key(seat);
        go_away(seat, "its call is over");
    } else {
        arm(seat, seat->idle_since);
    }
}

void seat_leave(struct seat *seat)
{
    must(seat->users > seat->probes);
    if (--seat->users == seat->probes) {
        seat->idle_since = loop_now(loop_of(seat));
    }
    look_after(seat);
}

void seat_leave_probe(struct seat *seat)
{
    must(seat->probes > 0);
    seat->users--;
    seat->probes--;
    look_after(seat);
}

void seat_stop_probe(struct seat *seat)
{
    if (!seat->users && !seat->calls && !seat->is_retired && !seat->session.catalog &&
        seat->session.state == SESSION_READY) {
        stop_unused(seat, "it was only asked what it is");
    }
}

void seat_retire(struct seat *seat)
{
    forget_key(seat);
    if (!seat->users) {
        go_away(seat, seat->service->stop_reason);
    }
}

void seat_free(struct seat *seat)
{
    loop_timer_cancel(loop_of(seat), &seat->idle_timer);
    loop_task_cancel(&seat->advance);
    list_remove(&seat->client_link);
    seat->service->faults += seat->session.faults;
    seat->service->dropped += seat->session.dropped;
    cache_forget_session(&seat->service->services->cache, &seat->session);
    session_done(&seat->session);
    list_remove(&seat->link);
    if (seat->last_error) {
        failure_done(seat->last_error);
        mem_free(seat->last_error);
    }
    mem_free(seat->key);
    mem_free(seat);
}
