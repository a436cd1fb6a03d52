/* SPDX-License-Identifier: MIT */
/*
 * room.h - the insides of services, seats and requests, for the files that share them.
 *
 * A seat is one identity's session at a service. A request is a call or a listing; it has a seat
 * from the beginning, waits for its turn there, for the session, for the catalogue, for the answer.
 *
 * Owns:    services own seats and requests, seats embed sessions. Seats and services that nobody
 *          uses any more are freed by `reap`, never inside a callback of theirs.
 */
#ifndef MCP_ROOM_H
#define MCP_ROOM_H

#include "base/list.h"
#include "base/map.h"
#include "mcp/cache.h"
#include "mcp/core.h"
#include "mcp/method.h"
#include "mcp/news.h"
#include "mcp/pending.h"
#include "mcp/pin.h"
#include "mcp/recall.h"
#include "mcp/service.h"
#include "mcp/session.h"

/* Calls that wait for their turn at seats of one service. */
#define LINE_MAX 1024u
/* Identities at one service at once. */
#define SEATS_MAX 1024u

enum request_step {
    STEP_LINE, /* for a seat that serves one after the other */
    STEP_START,
    STEP_LIST,
    STEP_ANSWER,
    STEP_CLIENT, /* for the answers to the server's questions */
    STEP_TASK,
    STEP_TELL /* it is over; `done` runs later in this turn */
};

struct message_request;
struct gathering; /* gather.c: the pages of a list */
struct round;     /* round.c: input that a server asked for */
struct task;      /* task.c: a call that the server carries out as a task */
struct probe;     /* probe.c: whether the server answers */

struct mcp_request {
    struct pending pending;
    struct list_link owned; /* in services->requests, or on the free list */
    struct seat *seat;
    const struct mcp_call_events *call_events; /* one of the three */
    const struct mcp_list_events *list_events;
    struct probe *probe;
    void *arg;
    const struct method *method; /* of a call */
    /* The caller's; once they are needed later, in `kept`. */
    struct slice name, arguments, meta, cursor;
    struct mcp_identity identity; /* its capabilities: those that can be made use of */
    const char *log_level;
    struct buf kept;
    struct block *block;       /* holds long arguments; NULL: none */
    struct encoding *encoding; /* being written by a thread; NULL: not */
    struct loop_timer deadline;
    mono_us began;
    struct loop_task tell;
    struct failure *failure; /* to be told */
    struct mcp_catalog *catalog;
    const struct mcp_tool *tool; /* of `catalog` */
    struct list asks;            /* struct mcp_ask: what the client was asked, or is to be */
    struct gathering *gathering; /* NULL: none, likewise the next two */
    struct round *round;
    struct task *task;
    unsigned declined;
    enum request_step step, step_before; /* before the client was asked something */
    uint64_t answered_id;                /* under which it was answered last */
    bool is_beginning;                   /* still inside mcp_call: nothing may be told */
    bool is_kept;
    bool is_caller;      /* among seat->callers */
    uint64_t task_place; /* where the task that it asks for is; 0: not said */
    bool is_page, wants_task, may_repeat;
    bool is_aside;                /* nobody waits for it: what the server is told in passing */
    bool was_sent;                /* the server may have begun with it */
    bool asks_task;               /* a legacy server was asked to make a task of it */
    bool was_relisted, is_cached; /* is_cached: some of its answer was */
};

struct seat {
    struct mcp_session session;
    struct mcp_service *service;
    struct list_link link; /* in service->seats, service->retired, or services->leavers */
    struct list_link client_link; /* in services->client_seats */
    char *key;                    /* of service->by_key; NULL: shared, or for one call */
    size_t key_len;
    uint64_t client;  /* whose it is; 0: nobody's alone */
    unsigned users;   /* requests */
    unsigned probes;  /* of them */
    struct list line; /* requests that wait until there is no caller */
    unsigned callers; /* of a seat whose session can be asked: requests that use it now */
    struct loop_task advance;
    mono_us idle_since;
    mono_us busy_until; /* a task of the server's lives that long */
    uint64_t place;     /* the service's when it began */
    struct loop_timer idle_timer;
    const char *log_level; /* that was set in the session of `log_epoch` */
    uint32_t log_epoch;
    uint64_t calls;             /* that were sent */
    struct failure *last_error; /* of its own session; NULL: none yet */
    bool is_own;                /* its session declares capabilities, or is for one call */
    bool is_for_one_call;
    struct session_known known; /* once it is retired */
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
    unsigned in_line;                  /* at its seats */
    unsigned in_state[SESSION_STATES]; /* seats that are not retired */
    unsigned wires_leaving;
    enum mcp_state state;
    wall_ms since, last_error_at;
    const char *reason;      /* of the state, static text */
    const char *stop_reason; /* of the stop under way */
    bool has_failed;         /* the last start or life ended badly */
    struct failure *last_error;
    uint64_t calls, failures, restarts;
    uint64_t faults, dropped; /* of seats that are gone */
    uint64_t place; /* of tasks that outlive sessions, while the configuration stays */
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
    struct cache cache;
    struct recall recall;
    struct pins pins;
    struct list spare;        /* requests to be used again */
    struct list client_seats; /* seats of one client */
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
/* The seat of a call, or of a listing. */
struct seat *seat_find(struct mcp_service *service, const struct mcp_identity *identity,
                       bool is_listing);
/* The one of the identity's own at a legacy server. */
struct seat *seat_find_own(struct mcp_service *service, const struct mcp_identity *identity);
/* A new one, that nobody else finds. */
struct seat *seat_for_one_call(struct mcp_service *service,
                               const struct mcp_identity *identity);
/* Whether this identity has one of its own where the server is a legacy one. */
bool seat_is_wanted(const struct mcp_service *service, const struct mcp_identity *identity);
void seat_use(struct seat *seat);
void seat_leave(struct seat *seat);
void seat_leave_probe(struct seat *seat); /* which was no use of it: its idle time goes on */
void seat_retire(struct seat *seat);
void seat_stop(struct seat *seat, const char *reason, const struct failure *failure);
/* It was started only to learn what the server is. */
void seat_stop_probe(struct seat *seat);
/* Its session could not start, or ended by itself: `reason` says which, in static words. */
void seat_note_failure(struct seat *seat, const struct failure *failure, const char *reason);
void seat_free(struct seat *seat);

/* line.c: one request at a time, where the wire does not say whom a question is for */
void line_init(struct seat *seat);
/* Whether the request may go on; else it waits in line and goes on by itself, or has failed. */
bool line_take(struct mcp_request *request);
void line_leave(struct mcp_request *request); /* lets go of its seat's session */
/* It was given up, and the server told so: the next one has to wait until the server knows. */
void line_settle(struct mcp_request *request);

/* request.c */
struct mcp_request *request_new(struct seat *seat, mono_us deadline, void *arg);
void request_step(struct mcp_request *request, enum request_step step);
/* Takes another seat, before anything was sent. */
void request_sit(struct mcp_request *request, struct seat *seat);
/* Out of whatever list it waits in; the server is told if it has it. */
void request_withdraw(struct mcp_request *request, const char *reason);
void request_fail(struct mcp_request *request, const struct failure *failure, bool sent);
void request_succeed(struct mcp_request *request, const struct mcp_outcome *outcome);
void request_give_catalog(struct mcp_request *request);
void request_go_later(struct mcp_request *request); /* behind the call that began it */
void request_release(struct mcp_request *request);  /* its end; nothing is told */
void request_free(struct mcp_request *request);     /* with all it has; nothing is sent */

/* step.c */
void request_go(struct mcp_request *request); /* the next step, as far as it gets */
/* What the request is, without what rounds and tasks add to it. */
void request_describe(const struct mcp_request *request, struct message_request *ret);
/* Sends a step of it; what cannot be sent fails the request. */
void request_send(struct mcp_request *request, const struct message_request *message);
void request_send_call(struct mcp_request *request); /* with what rounds have added */
struct cache_key request_key(const struct mcp_request *request);
/* Whether its key says all that the result depends on: what the client put into `_meta` may do
 * anything, but for traces. */
bool request_is_plain(const struct mcp_request *request);
/* Something that the server is told on the same session, and nobody waits for. */
struct mcp_request *request_send_aside(struct seat *seat, const struct message_request *message,
                                       mono_us timeout);
#define ASIDE_TIMEOUT ((mono_us)10000000)

/* answer.c */
extern const struct pending_ops request_ops;
/* A result in the end: checked, and told. */
void request_complete(struct mcp_request *request, struct slice result);
void request_break(struct mcp_request *request, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* "the server broke the protocol: ..." */
void request_lack(struct mcp_request *request, const char *what); /* no memory for it */

/* gather.c */
/* One page more. True: `*ret` is the whole result. Else another page is asked for, or it failed. */
bool gather_page(struct mcp_request *request, struct slice result, struct slice *ret);
struct slice gather_cursor(const struct mcp_request *request);
void gather_drop(struct mcp_request *request);

/* admit.c */
void request_begin(struct mcp_request *request); /* or it is refused */

#endif
