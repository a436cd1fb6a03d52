/* SPDX-License-Identifier: MIT */
/*
 * room.h - the insides of services, seats and requests, for the files that share them.
 *
 * A seat is one identity's session at a service. A request is a call or a listing; it has a seat
 * from the beginning, waits for a place, for the session, for the catalogue, for the answer.
 *
 * Owns:    services own seats and requests, seats embed sessions. Seats and services that nobody
 *          uses any more are freed by `reap`, never inside a callback of theirs.
 */
#ifndef MCP_ROOM_H
#define MCP_ROOM_H

#include "base/list.h"
#include "base/map.h"
#include "mcp/core.h"
#include "mcp/news.h"
#include "mcp/pending.h"
#include "mcp/service.h"
#include "mcp/session.h"

/* Calls that wait for a place at one service. */
#define QUEUE_MAX 1024u
/* Identities at one service at once. */
#define SEATS_MAX 1024u

enum request_step {
    STEP_QUEUED, /* for a place */
    STEP_START,
    STEP_LIST,
    STEP_ANSWER,
    STEP_TELL /* it is over; `done` runs later in this turn */
};

struct mcp_request {
    struct pending pending;
    struct list_link owned; /* in services->requests, or on the free list */
    struct seat *seat;
    const struct mcp_call_events *call_events; /* one of the two */
    const struct mcp_list_events *list_events;
    void *arg;
    struct slice tool, arguments, meta, user,
        agent; /* the caller's; once it waits, in `kept` */
    struct buf kept;
    struct loop_timer deadline;
    mono_us began;
    struct loop_task tell;
    struct failure *failure; /* to be told */
    struct mcp_catalog *catalog;
    enum request_step step;
    bool is_beginning; /* still inside mcp_call: nothing may be told */
    bool has_place;
};

struct seat {
    struct mcp_session session;
    struct mcp_service *service;
    struct list_link link; /* in service->seats, service->retired, or services->leavers */
    char *key;             /* of service->by_key; NULL: shared */
    size_t key_len;
    unsigned users; /* requests */
    mono_us idle_since;
    struct loop_timer idle_timer;
    bool is_retired;
};

struct mcp_service {
    struct mcp_services *services;
    struct service_conf *conf;
    struct list_link link; /* in services->removed */
    struct list seats, retired;
    struct map by_key;
    struct seat *shared; /* the only seat, where all share one */
    unsigned seat_count;
    struct list queue;
    unsigned queued, inflight;
    struct loop_task pump;
    unsigned in_state[SESSION_STATES]; /* seats that are not retired */
    unsigned wires_leaving;
    enum mcp_state state;
    wall_ms since;
    const char *reason;      /* of the state, static text */
    const char *stop_reason; /* of the stop under way */
    bool has_failed;         /* the last start or life ended badly */
    struct failure *last_error;
    uint64_t calls, failures, restarts;
    uint64_t faults, dropped; /* of seats that are gone */
    bool by_user, by_agent, is_removed;
    struct session_known known;
    struct news news;
};

struct mcp_services {
    struct mcp_services_options options;
    struct mcp_core core;
    struct mcp_service **list; /* by name */
    size_t count;
    struct map by_name;
    struct list removed;  /* services that go when their requests have ended */
    struct list leavers;  /* seats to be freed */
    struct list requests; /* all that live */
    struct list watches;  /* all of clients, also those that are over and not yet told */
    unsigned watch_count;
    struct list spare;    /* requests to be used again */
    unsigned spare_count;
    struct loop_task reap;
    bool is_closing;
    struct loop_task close_task;
    struct loop_timer close_timer;
    void (*ended)(void *arg);
    void *ended_arg;
};

/* service.c */
struct mcp_service *service_new(struct mcp_services *services, struct service_conf *conf);
void service_free(struct mcp_service *service); /* with all it has; tells nobody */
void service_reconfigure(struct mcp_service *service, struct service_conf *conf);
void service_remove(struct mcp_service *service);
bool service_is_gone(const struct mcp_service *service);
void service_note_failure(struct mcp_service *service, const struct failure *failure);
void service_update_state(struct mcp_service *service, const char *reason);

/* seat.c */
struct seat *seat_find(struct mcp_service *service, const struct mcp_identity *identity);
void seat_use(struct seat *seat);
void seat_leave(struct seat *seat);
void seat_retire(struct seat *seat);
void seat_stop(struct seat *seat, const char *reason, const struct failure *failure);
void seat_free(struct seat *seat);

/* request.c */
struct mcp_request *request_new(struct seat *seat, mono_us deadline, void *arg);
void request_step(struct mcp_request *request, enum request_step step);
/* Out of whatever list it waits in; the server is told if it has it. */
void request_withdraw(struct mcp_request *request, const char *reason);
void request_go(struct mcp_request *request); /* the next step, as far as it gets */
void request_fail(struct mcp_request *request, const struct failure *failure, bool sent);
void request_free(struct mcp_request *request);

/* admit.c */
void service_pump(void *arg); /* of a struct mcp_service: starts what waits and has a place */

/* refusal.c: failures of this room, with service and tool in their details */
void refuse_unknown_tool(const struct mcp_request *request, struct failure *failure);
void refuse_arguments(const struct mcp_request *request, const struct schema *schema,
                      struct failure *failure);
void refuse_timeout(const struct mcp_request *request, struct failure *failure);
void refuse_back_off(const struct mcp_request *request, struct failure *failure);
void blame(const struct mcp_request *request, struct failure *failure);

#endif
