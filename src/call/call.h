/* SPDX-License-Identifier: MIT */
/*
 * call.h - one tool call's way through the rooms: ADMIT, DECIDE, EXECUTE, AFTER, RECORD, REPLY.
 *
 * A call goes one way. ADMIT holds the limits; DECIDE asks policy once; EXECUTE is the only stage
 * that talks to servers and the only one that waits; after a failure policy may name a stand-in, and
 * EXECUTE runs again; RECORD runs exactly once for every call that was admitted; REPLY writes
 * the one answer.
 *
 * Owns:    struct calls owns the live calls; a call owns its copies, its policy and its request
 *          upstream. Nobody outside keeps a pointer to a call.
 * Life:    call_start .. exactly one answer (none if the client is gone) .. freed. A call with an
 *          idempotency_key goes on at its server when the client has left, so that a repeat finds
 *          its outcome.
 * Thread:  the loop thread.
 */
#ifndef CALL_CALL_H
#define CALL_CALL_H

#include "call/share.h"
#include "gate/gate.h"
#include "mcp/service.h"
#include "observe/metrics.h"
#include "policy/policy.h"
#include "rpc/rpc.h"

struct calls;
struct store; /* store/store.h */

struct calls_options {
    struct loop *loop;
    struct mcp_services *services;
    struct gates *gates;
    /* Keeps idempotency keys and the record of calls; NULL: such keys are refused, nothing is
     * recorded. Outlives the calls. */
    struct store *store;
    struct metrics *metrics;
    const uint32_t *calls_max;         /* limits.calls; read at each call */
    const struct share_limits *shares; /* likewise; NULL: no limits */
};

struct calls *calls_new(const struct calls_options *options);
/* Before what its options name; no client is there any more. Calls that go on without one end. */
void calls_free(struct calls *calls);

/* The policy of calls that start from now on; takes over the reference. */
void calls_set_policy(struct calls *calls, struct policy *policy);
struct policy *calls_policy(const struct calls *calls); /* borrowed */

/* What `tools.call` was given. Texts point into the request. */
struct call_options {
    struct slice service, tool, agent, user, locale;
    struct slice arguments, meta; /* MessagePack maps, or empty */
    struct slice idempotency_key; /* ptr NULL: none */
    int64_t timeout_ms;           /* 0: the service's own */
    const char *log_level;        /* static text; NULL: not said */
    enum policy_demo demo;
    bool wants_text; /* format = "human" */
    bool
        wants_task; /* the handle of a task instead of its result, where the server makes one */
};

/* Answers the request, now or later. */
void call_start(struct calls *calls, struct rpc_request *request,
                const struct call_options *options);

/* Answers `tools.list`: operations and every allowed service's tools. An empty agent (an
 * administrator's view): all services, unfiltered. An empty service: all. */
struct list_options {
    struct slice agent, user, service;
    bool is_brief;
};
void call_list_tools(struct calls *calls, struct rpc_request *request,
                     const struct list_options *options);

/* Answers `resources.*`, `prompts.*`, `complete` and `tasks.*`: one request to one service. */
struct feature_options {
    enum mcp_method method;
    struct slice service, agent, user, locale;
    struct slice name;            /* uri, prompt, or the handle of a task */
    struct slice arguments, meta; /* MessagePack maps, or empty */
    struct slice cursor;
    bool is_page;
    int64_t timeout_ms; /* 0: the service's own */
};
/* Whether policy and what is known of the service allow it; if not, *failure says why. */
bool call_may_use(const struct calls *calls, const struct feature_options *options,
                  struct failure *failure);
void call_feature(struct calls *calls, struct rpc_request *request,
                  const struct feature_options *options);

/* ---- for the operator ----------------------------------------------------------------------- */

unsigned calls_count(const struct calls *calls);
void calls_put(const struct calls *calls, struct buf *out); /* the array of calls.list */

/* No call is taken any more (SHUTTING_DOWN); `drained` runs when the last is answered, in a later
 * turn. calls_cancel_all ends those that are left. */
void calls_drain(struct calls *calls, void (*drained)(void *arg), void *arg);
void calls_cancel_all(struct calls *calls);

/* What policy wants to know of a service, for a user. */
enum policy_service call_service_state(const struct calls *calls, struct slice name,
                                       struct slice user);

#endif
