/* SPDX-License-Identifier: MIT */
/*
 * gate.h - the door to each service: quarantine, circuit breaker, the server's own limits, ours, and
 * places. Every attempt enters before anything is sent, and leaves with what came of it.
 *
 * In this order: quarantined? breaker open? (of the service, and of this user where credentials are
 * his) the server's limit reached? our rate? a place free? Limits and places are waited for, in a
 * bounded queue that serves callers in turn (one each of every peer, agent and user), as long as
 * the deadline allows; the rest is refused at once, with the time left. Behind a refusal (429) attempts
 * go at the pace that the server was seen to take.
 *
 * Owns:    struct gates owns one gate for each service; tickets belong to their owners, who take them
 *          out (gate_leave, gate_quit) before they free them.
 * Life:    gates_apply after each load of services. A gate keeps its state over a reload; that of a
 *          service that is gone goes when nobody is inside any more, and who waits is refused. State
 *          that matters (breaker, quarantine, levers) outlives both, and a restart through the
 *          store; until that is read, or half a second, attempts wait.
 * Thread:  the loop thread. `turn` never runs inside gate_enter, gate_leave or gate_quit.
 * Errors:  CIRCUIT_OPEN, QUARANTINED, RATE_LIMITED (the server's), OVERLOADED (ours), each with
 *          retry_after_ms where there is an end; all of class FAILURE_OF_BROKER, and nothing was sent.
 */
#ifndef GATE_GATE_H
#define GATE_GATE_H

#include "base/buf.h"
#include "base/list.h"
#include "base/slice.h"
#include "conf/service_conf.h"
#include "loop/loop.h"
#include "resilience/breaker.h"
#include "resilience/rate_fields.h"
#include "value/failure.h"

#include <stdbool.h>
#include <stdint.h>

struct gates;
struct gate;
struct gate_flow;
struct gate_user;
struct store; /* store/store.h */

/* While a breaker is open the service is probed at least so often: that is when to come back. */
#define GATE_LOOK_MS 5000

enum gate_change_kind {
    GATE_BREAKER,
    GATE_QUARANTINE,
    GATE_RATE,
    GATE_OUTCOME /* attempts fail that did not before, or the other way round; the first answer */
};

/* Something that an operator wants to know: an event, a line of the log, a record. */
struct gate_change {
    enum gate_change_kind kind;
    struct slice service;
    struct slice user; /* of whom alone; empty: of all */
    const char *state; /* breaker: "open", "half_open", "closed"; quarantine: "begun", "ended";
                           rate: "limited"; outcome: "failing", "answering" */
    struct slice reason; /* words; valid during the call */
    int64_t left_ms;     /* -1: no end is known */
};

struct gates_options {
    struct loop *loop;
    struct store *store; /* NULL: nothing survives a restart. Outlives the gates */
    void (*changed)(void *arg, const struct gate_change *change); /* may be NULL */
    void *arg;
};

struct gates *gates_new(const struct gates_options *options);
void gates_free(struct gates *gates); /* nobody may be inside or wait */
void gates_apply(struct gates *gates, const struct service_set *set);

/* ---- one attempt ------------------------------------------------------------------------- */

struct gate_caller {
    struct slice agent, user; /* copied where they are needed later */
    uint64_t peer;            /* the connection */
};

/* Embedded in its owner; zeroed before the first use. All attempts of a call have the same. */
struct gate_ticket {
    struct list_link link;
    struct gate *gate; /* NULL: neither inside nor waiting */
    struct gate_flow *flow;
    struct gate_user *user;
    struct loop_timer timer;
    struct loop_task task;
    mono_us since, deadline;
    uint32_t epoch, user_epoch;
    bool is_inside, is_probe, is_retry;
    bool has_counted; /* an earlier attempt of this call, as a failure */
    bool is_first[2]; /* behind the end of a limit: of the service, of the user */
    unsigned refusal; /* why it will not get in, until it is told */
    /* While it waits: it is inside now (NULL), or will not get in. */
    void (*turn)(void *arg, const struct failure *failure);
    void *arg;
};

enum gate_answer { GATE_INSIDE, GATE_WAITS, GATE_REFUSED };

/* `is_retry`: not the first attempt of its call. REFUSED: *failure says why. The service must be one
 * of the set; else NOT_FOUND. */
enum gate_answer gate_enter(struct gates *gates, struct slice service,
                            const struct gate_caller *caller, mono_us deadline, bool is_retry,
                            struct gate_ticket *ticket, struct failure *failure);
/* From inside: what came of it; `failure` NULL: it succeeded. */
void gate_leave(struct gate_ticket *ticket, const struct failure *failure);
/* From inside or waiting: it was given up, which says nothing about the service. Outside: nothing. */
void gate_quit(struct gate_ticket *ticket);
/* What a waiting ticket waits for: "rate limit", "place", "state"; static text for calls.list. One
 * that is inside: "place"; outside: NULL. */
const char *gate_waits_for(const struct gate_ticket *ticket);

/* Whether the budget of the service has room for one more attempt; takes it. */
bool gates_may_retry(struct gates *gates, struct slice service);
/* A call is over: for the statistics. */
void gates_count_call(struct gates *gates, struct slice service, unsigned attempts,
                      bool has_succeeded);
/* What the server says of its limits, with any answer, before the attempt leaves. `user`: whose
 * credential it was; empty: all share one. */
void gates_hint(struct gates *gates, struct slice service, struct slice user,
                const struct rate_fields *fields, bool is_refused);

/* ---- looking ----------------------------------------------------------------------------- */

/* Whether attempts of this user would be let in; if not *failure (which may be NULL) says why.
 * Limits and places do not count: they pass. */
bool gates_would_pass(const struct gates *gates, struct slice service, struct slice user,
                      struct failure *failure);

struct gate_view {
    enum breaker_state breaker; /* what is in force */
    enum breaker_force forced;
    mono_us breaker_since;
    int64_t breaker_left_ms; /* -1: no end is known */
    bool is_quarantined, is_quarantined_by_hand;
    int64_t quarantine_left_ms;
    mono_us last_success, last_failure; /* of real attempts; 0: none yet */
    mono_us limited_until;              /* by the server, all callers; 0: it is not */
    uint32_t failures_in_row;
    unsigned inside, waiting;
    unsigned users_held; /* users whose own breaker is not closed, or who are limited */
    mono_us users_until; /* when the first of their limits ends; 0: there is none */
};
bool gates_view(const struct gates *gates, struct slice service, struct gate_view *ret);

/* Appends pairs of services.status, and returns how many: breaker {state, forced?, since, left_ms?,
 * failures, reason?}, quarantine? {since, left_ms?, by_hand, level, reason}, limited? {left_ms?,
 * per_min?: the pace, learned from refusals}, waiting, inflight, users_held? (how many), retries
 * {attempts, succeeded, failed, average_attempts, last?, refused_by_budget}, failures_by_class
 * {network, ...}. */
uint32_t gates_put_status(const struct gates *gates, struct slice service, struct buf *out);

/* ---- levers and probes ------------------------------------------------------------------- */

/* False: no such service. `reason` is shown to people. */
bool gates_force_breaker(struct gates *gates, struct slice service, enum breaker_force force,
                         struct slice reason);
bool gates_reset_breaker(struct gates *gates, struct slice service); /* those of users too */
bool gates_quarantine(struct gates *gates, struct slice service, int64_t ms, /* 0: no end */
                      struct slice reason);
bool gates_release(struct gates *gates, struct slice service, bool *ret_was_held);

/* A probe of the monitor: an attempt that half-opens an open breaker ahead of time, waits for
 * nothing, and counts neither as a call nor as a fault for the quarantine. False: quarantined, forced
 * open, or another probe is inside. */
bool gate_probe(struct gates *gates, struct slice service, struct gate_ticket *ticket);
/* Where the monitor cannot probe (credentials are the users'): the next call may try, also beside one
 * that tries already. */
void gates_try_early(struct gates *gates, struct slice service);

#endif
