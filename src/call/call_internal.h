/* SPDX-License-Identifier: MIT */
/* call_internal.h - the structs that the files of call/ share. Included only here. */
#ifndef CALL_CALL_INTERNAL_H
#define CALL_CALL_INTERNAL_H

#include "base/mem.h"
#include "call/call.h"
#include "call/dialogue.h"
#include "call/tasks.h"
#include "loop/block.h"

#define CALL_ARENA_BYTES    (512u << 20) /* copies of one request: more than limits.frame_bytes */
#define CALLS_KEPT          64u          /* ended calls kept for the next ones */
#define CALL_TIMEOUT_MAX_MS INT64_C(86400000)

/* Design 4.5: where nobody can be asked, the result says so. */
#define CALL_DECLINED_WARNING                                                      \
    "The server asked for something that this client cannot be asked, or did not " \
    "answer: it was declined."

enum call_stage { CALL_ADMIT, CALL_DECIDE, CALL_EXECUTE, CALL_AFTER, CALL_RECORD, CALL_REPLY };
enum call_source { CALL_LIVE, CALL_DEMO, CALL_POLICY, CALL_FALLBACK };

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
    struct mcp_request *upstream;
    struct dialogue dialogue;
    struct slice task; /* of the outcome, while it is answered; ptr NULL: none */
    uint64_t task_place;
    unsigned declined; /* questions of the server's that nobody could be asked */
    uint64_t client;
    unsigned capabilities;
    const char *waits_for; /* static text */
    mono_us waits_since, started, deadline;
    struct failure failure;
    struct slice fallback_from; /* the service that failed before this one; empty: none */
    struct arena arena;
    struct block *frame; /* holds the arguments of a long request; NULL: the arena does */
    unsigned attempts;
    enum call_stage stage;
    enum call_source source;
    bool may_be_done; /* it was sent, no answer came, and doing it twice would do harm */
    bool is_kept;     /* waits: everything it needs was copied */
    bool is_cached;
};

struct calls {
    struct calls_options options;
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

/* call.c */
void call_executed(struct call *call, struct slice result); /* call->failure set: failed */
bool call_keep(struct call *call); /* copies what lives in the request; false: no memory */
void call_no_memory(struct failure *failure);
/* Whether one more may begin, beside `others`; if not, *failure says why. */
bool calls_admit(const struct calls *calls, unsigned others, struct failure *failure);
void calls_maybe_drained(struct calls *calls);

/* list.c */
void listings_cancel_all(struct calls *calls);

/* Why a service cannot be asked now, for this user; nothing: *failure stays empty. */
void call_refuse_service(const struct mcp_services *services, struct slice name,
                         struct slice user, struct failure *failure);

/* feature.c */
void features_cancel_all(struct calls *calls);

/* reply.c */
/* Into an answer that was begun for `pending`: what is long stays where it lies. */
void call_put_answer(const struct calls *calls, struct rpc_pending *pending,
                     struct slice answer, struct buf *out);
/* RECORD and REPLY; the call is gone afterwards. */
void call_finish(struct call *call, struct slice result);
void call_recycle(struct call *call);

#endif
