/* SPDX-License-Identifier: MIT */
/*
 * health.h - how the services are: from real calls first, else from cheap probes.
 *
 * A service whose last real answer is younger than its interval is not probed, nor one that works on
 * a call while all is well. One that nobody uses is not woken for it (critical ones are). After a
 * failure, and while a breaker is open, probes come sooner: 1 s, 2 s, then every 5 s, so that a
 * service that is back is used again within 10 s. Where credentials are the users' nobody can be
 * probed for: then a call may try ahead of time.
 *
 * Owns:    a monitor for each service, its probe and its ring of what happened.
 * Life:    health_apply after each load of services.
 * Thread:  the loop thread.
 */
#ifndef HEALTH_HEALTH_H
#define HEALTH_HEALTH_H

#include "gate/gate.h"
#include "mcp/service.h"

struct health;

enum health_status {
    HEALTH_UNKNOWN, /* never used, never probed, or asleep */
    HEALTH_UP,
    HEALTH_DEGRADED,   /* answers, but calls fail: half-open, rate limited, users held */
    HEALTH_DOWN,       /* breaker open, quarantined, could not be reached */
    HEALTH_NOT_LINKED, /* nobody's account is linked: not down */
    HEALTH_DISABLED
};
const char *health_status_name(enum health_status status); /* "unknown", "up", ... */

struct health_options {
    struct loop *loop;
    struct gates *gates;
    struct mcp_services *services;
    struct store *store; /* NULL: history is in memory only */
    void (*changed)(void *arg, struct slice service, enum health_status from,
                    enum health_status to); /* may be NULL */
    void *arg;
};

struct health *health_new(const struct health_options *options);
void health_free(struct health *health); /* checks under way are dropped without a word */
void health_apply(struct health *health, const struct service_set *set);
/* False: nobody needs to be told. A turn of an outage that is known (half-open for a probe, open again
 * after it), or what the status says. */
bool health_gate_changed(struct health *health, const struct gate_change *change);
/* False: nobody needs to be told: a turn of starts that fail again and again. */
bool health_state_changed(struct health *health, const struct mcp_service *service);

/* Appends one map of health.get: {service, status, since, reason?, priority, breaker, last_success?,
 * last_failure?, last_check? {at, ok, ms, error?}, checking_since?, next_check?}. False: no such
 * service. */
bool health_put(const struct health *health, struct slice service, struct buf *out);
/* Appends a pair of services.status, health {status, since, reason?, checking_since?, next_check?};
 * the count of pairs. */
uint32_t health_put_status(const struct health *health, struct slice service, struct buf *out);
/* Words for its status of now; "" where it needs none. Until anything changes. */
const char *health_reason(const struct health *health, struct slice service);
/* Appends an array of what happened of late to `service`, or to all (empty), newest first, as far as memory has it (64 a
 * service): {time, service, kind, state, reason?, ms?}. */
struct health_span {
    struct slice service;
    wall_ms since, until; /* 0: no bound */
    uint32_t limit;
};
void health_put_recent(const struct health *health, const struct health_span *span,
                       struct buf *out);
/* The whole: "up", "degraded" (an optional one is down), "down" (a critical one is). */
const char *health_overall(const struct health *health);

/* Really checks, now: a probe of `service` (its breaker and quarantine learn of it; one that is in
 * quarantine or forced open is probed all the same); `done` runs later, with the new state to be
 * had from health_put. Where nobody can be probed for it says what is known. The check is the
 * caller's until then. */
struct health_check {
    struct list_link link;
    void (*done)(void *arg);
    void *arg;
    struct loop_timer timer; /* of its deadline, or of the end of a check that takes no time */
    struct health *health;
};
bool health_check(struct health *health, struct slice service, mono_us deadline,
                  struct health_check *check); /* false: no such service */
void health_check_forget(struct health_check *check);

#endif
