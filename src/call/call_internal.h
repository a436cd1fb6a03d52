/* SPDX-License-Identifier: MIT */
/* call_internal.h - the structs that the files of call/ share. Included only here. */
#ifndef CALL_CALL_INTERNAL_H
#define CALL_CALL_INTERNAL_H

#include "base/mem.h"
#include "call/attempt.h"
#include "call/call.h"
#include "call/dialogue.h"
#include "call/keyed.h"
#include "call/recorded.h"
#include "call/tasks.h"
#include "loop/block.h"

#define CALL_ARENA_BYTES    (512u << 20) /* copies of one request: more than limits.frame_bytes */
#define CALLS_KEPT          64u          /* ended calls kept for the next ones */
#define CALL_TIMEOUT_MS     INT64_C(30000) /* where no service says how long */
#define CALL_TIMEOUT_MAX_MS INT64_C(86400000)
#define CALL_HOPS_MAX       8u /* as many stand-ins as policy names at most */

/* Design 4.5: where nobody can be asked, the result says so. */
#define CALL_DECLINED_WARNING                                                      \
    "The server asked for something that this client cannot be asked, or did not " \
    "answer: it was declined."

enum call_stage { CALL_ADMIT, CALL_DECIDE, CALL_EXECUTE, CALL_AFTER, CALL_RECORD, CALL_REPLY };
enum call_source { CALL_LIVE, CALL_DEMO, CALL_POLICY, CALL_FALLBACK };

/* A service that could not be used, so that something stood in. */
struct call_hop {
    struct slice service;
    enum err_code code;
};

struct call {
    struct rpc_pending pending;  /* holds nothing while is_kept is false */
    struct rpc_request *request; /* only until call_start returns */
    struct list_link link;       /* in calls->live, or calls->kept */
    struct calls *calls;
    struct policy *policy;
    struct policy_peer peer;
    struct policy_call view; /* what policy sees */
    struct policy_decision decision;
    struct call_options options;
    struct attempt attempt;
    struct attempt_options sent;    /* what the attempts carry */
    struct keyed *keyed;            /* NULL: no idempotency_key */
    const struct recorded *repeats; /* while it is answered: the outcome of an earlier call */
    struct block *block;            /* holds the result while it is answered; or NULL */
    struct share_taken share;
    struct dialogue dialogue;
    struct slice task; /* of the outcome, while it is answered; ptr NULL: none */
    uint64_t task_place;
    unsigned declined;     /* questions of the server's that nobody could be asked */
    const char *waits_for; /* static text */
    mono_us waits_since, started, deadline;
    struct failure failure;
    struct slice fallback_from; /* the service that failed before this one; empty: none */
    struct arena arena;
    struct block *frame; /* holds the arguments of a long request; NULL: the arena does */
    struct call_hop hops[CALL_HOPS_MAX];
    unsigned hop_count;
    unsigned attempts;
    enum call_stage stage;
    enum call_source source;
    bool may_be_done; /* it was sent, no answer came, and doing it twice would do harm */
    bool is_kept;     /* waits: everything it needs was copied */
    bool is_cached;
    bool is_unkept; /* a repeat after a restart will not find its outcome */
};

struct calls {
    struct calls_options options;
    struct attempt_room room;
    struct onces *onces;
    struct shares shares;
    struct policy *policy;
    struct list live, kept;
    struct list listings, features;
    struct tasks tasks;
    unsigned count, kept_count, listing_count;
    bool is_draining, is_drained;
    void (*drained)(void *arg);
    void *drained_arg;
    struct loop_task drained_task;
};

/* execute.c: talks to the decided service, comes back through call_executed. */
void call_execute(struct call *call);
void call_attempt(struct call *call);                /* what call_execute has prepared */
void call_wait(struct call *call, const char *what); /* what it waits for from now on */

void call_set_deadline(struct call *call, const struct mcp_service *service); /* may be NULL */

/* call.c */
void call_follow(struct call *call);                        /* where policy's verdict leads */
void call_executed(struct call *call, struct slice result); /* call->failure set: failed */
bool call_keep(struct call *call); /* copies what lives in the request; false: no memory */
void call_no_memory(struct failure *failure);
/* Whether one more may begin, beside `others`; if not, *failure says why. */
bool calls_admit(const struct calls *calls, unsigned others, struct failure *failure);
/* Likewise, of what this agent and this client may have; calls->shares takes it back. */
bool calls_take_share(struct calls *calls, const struct policy_peer *peer, struct slice agent,
                      struct share_taken *ret, struct failure *failure);
void calls_maybe_drained(struct calls *calls);

/* list.c */
void listings_cancel_all(struct calls *calls);

/* Why a service cannot be asked now, for this user, with the detail `service`; nothing: *failure stays
 * empty. */
void call_refuse_service(const struct calls *calls, struct slice name, struct slice user,
                         struct failure *failure);

/* feature.c */
void features_cancel_all(struct calls *calls);

/* reply.c */
/* Into an answer that was begun for `pending`: what is long stays where it lies, in `block` or, if that
 * is NULL, where the servers' answers are. */
void call_put_answer(const struct calls *calls, struct rpc_pending *pending,
                     struct block *block, struct slice answer, struct buf *out);
const char *call_source(const struct call *call); /* "live", "demo", "cache", "fallback" */
/* The end: keeps the outcome of a keyed call first, then call_close. */
void call_finish(struct call *call, struct slice result);
/* RECORD and REPLY; the call is gone afterwards. */
void call_close(struct call *call, struct slice result);
void call_recycle(struct call *call);

#endif
