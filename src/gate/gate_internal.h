/* SPDX-License-Identifier: MIT */
/*
 * gate_internal.h - what the files of this room share: a gate, those who wait at it, the users it
 * remembers.
 *
 *     gates.c   the set of gates        enter.c  in and out           queue.c  who waits
 *     users.c   users held by name      limits.c the servers' limits  lever.c  by hand, probes
 *     keep.c    over restarts           words.c  what is said         change.c what is told
 *     status.c  what is seen            limit.c  one limit, as a function of time
 *
 * Owns:    as the comments say. A gate lives as long as a ticket points to it or it is in the set.
 */
#ifndef GATE_GATE_INTERNAL_H
#define GATE_GATE_INTERNAL_H

#include "base/map.h"
#include "gate/gate.h"
#include "gate/limit.h"
#include "resilience/bucket.h"
#include "resilience/pace.h"
#include "resilience/quarantine.h"
#include "resilience/retry.h"
#include "store/store.h"

#define GATE_REASON_MAX 256u  /* bytes of a reason that are kept */
#define GATE_NAME_MAX   128u  /* bytes of a user's name that are shown */
#define GATE_USERS_MAX  1024u /* remembered at one gate */
#define GATE_POOL_MAX   256u  /* flows, and users, kept for the next ones */
#define GATE_KEPT_MAX   10000u
#define GATE_READ_US    INT64_C(500000) /* attempts wait for the store no longer */
#define GATE_UNREAD_MAX 1024u           /* of them, whatever the service's queue is */

/* Why an attempt is not inside. */
enum gate_why {
    GATE_FREE,
    GATE_GONE,
    GATE_HELD, /* quarantined */
    GATE_BROKEN,
    GATE_USER_BROKEN,
    GATE_UNREAD,
    GATE_LIMITED,
    GATE_USER_LIMITED,
    GATE_OUR_RATE,
    GATE_NO_PLACE
};

struct gates {
    struct loop *loop;
    struct store *store;
    void (*changed)(void *arg, const struct gate_change *change);
    void *arg;
    struct map map;      /* name -> struct gate: the set */
    struct list retired; /* gates that are not in the set any more, but in use */
    struct map kept;     /* name -> struct gate_kept: what is to be remembered of others */
    struct store_load load;
    struct loop_timer patience; /* with the store */
    bool is_read;               /* or not waited for any more */
    wall_ms born;
    struct list notes; /* changes to be told */
    struct loop_task telling;
    struct list idle_flows, idle_users; /* pools */
    unsigned idle_flow_count, idle_user_count;
};

struct gate_counts {
    uint64_t by_class[FAILURE_CLASSES];
    uint64_t calls, attempts;                    /* of calls that are over */
    uint64_t retries, retries_good, retries_bad; /* attempts; calls with any */
    uint64_t over_budget;
    wall_ms last_retry;
};

struct gate {
    struct gates *gates;
    struct service_conf *conf;
    struct list_link link; /* while retired */
    bool is_gone, has_probe;
    bool must_sweep;     /* something changed that may refuse those who wait */
    bool is_set_by_hand; /* in this life: what the store has is older */
    unsigned inside, waiting;
    unsigned tickets; /* that point here */
    struct breaker breaker;
    struct quarantine quarantine;
    char *breaker_reason, *quarantine_reason;
    struct gate_limit limit;
    struct pace pace;
    struct bucket bucket;
    struct retry_budget budget;
    mono_us process_at; /* the last end of a process that was counted */
    mono_us last_success, last_failure;
    bool is_failing;              /* the later of the two is the failure */
    struct list turns;            /* flows, the next one first; held ones are at their users */
    struct map flows;             /* key -> struct gate_flow: all that wait */
    size_t looked_at;             /* of flows, in search of a long one */
    struct loop_timer pump_timer; /* when a limit ends */
    struct loop_timer quarantine_end; /* to tell of it */
    struct map users;                 /* key -> struct gate_user */
    struct list user_list;            /* the one not used for longest first */
    struct gate_counts counts;
};

/* One caller's tickets, in the order they came. */
struct gate_flow {
    struct list_link link; /* in gate->turns, or in user->held, or in the pool */
    struct list tickets;
    uint64_t key;
    unsigned count;
};

/* A user whose credentials are his own. Every ticket at such a service has one; it is in gate->users
 * only if there is something to remember. */
struct gate_user {
    struct list_link link; /* in gate->user_list, or in the pool */
    struct gate *gate;
    uint64_t key;        /* a hash of the whole name */
    unsigned references; /* of tickets */
    bool is_known;       /* is in gate->users */
    struct breaker breaker;
    char *reason;
    struct gate_limit limit;
    struct pace pace;
    struct list held; /* flows that wait for this user's limit */
    struct loop_timer timer;
    size_t name_length;
    char name[GATE_NAME_MAX];
};

/* ---- gates.c ----------------------------------------------------------------------------- */

struct gate *gate_find(const struct gates *gates, struct slice service);
void gate_free_if_unused(struct gate *gate);

static inline mono_us gate_now(const struct gate *gate)
{
    return loop_now(gate->gates->loop);
}

/* ---- enter.c ----------------------------------------------------------------------------- */

/* What refuses at once: gone, quarantined, broken; and what would hold it past its deadline. */
enum gate_why gate_refusal(const struct gate *gate, const struct gate_user *user,
                           mono_us deadline, mono_us now);
/* What it would have to wait for, and until when (MONO_NEVER: nobody knows). */
enum gate_why gate_block(const struct gate *gate, const struct gate_user *user, mono_us now,
                         mono_us *ret_until);
/* Takes what there is to take: refused it must not be, nor blocked. */
void gate_admit(struct gate *gate, struct gate_ticket *ticket, mono_us now);
/* After any change: refuses and lets in whom it can; they are told later. */
void gate_settle(struct gate *gate);
/* The ticket points nowhere now. The gate may be gone after it. */
void gate_release(struct gate_ticket *ticket);

/* ---- queue.c ----------------------------------------------------------------------------- */

uint64_t queue_key(const struct gate_caller *caller);
/* How many go first, at most, in front of one more of this flow. */
unsigned queue_ahead(const struct gate *gate, uint64_t key);
/* It is full: the last one of a flow that is longer than this one would be is refused. */
bool queue_make_room(struct gate *gate, uint64_t key);
void queue_join(struct gate *gate, struct gate_ticket *ticket, uint64_t key);
void queue_leave(struct gate *gate, struct gate_ticket *ticket);
/* Lets in whom it can; they are told later. */
void queue_pump(struct gate *gate);
/* Those that wait for what they will not get are refused; they are told later. */
void queue_sweep(struct gate *gate);
void queue_unhold(struct gate_user *user); /* its flows take turns again */
void queue_done(struct gates *gates);      /* frees the pool */

/* ---- users.c ----------------------------------------------------------------------------- */

/* For a ticket: the user that is remembered, or one of its own. Given back with user_leave. */
struct gate_user *user_enter(struct gate *gate, struct slice name);
void user_leave(struct gate_user *user);
const struct gate_user *user_find(const struct gate *gate, struct slice name); /* or NULL */
/* The one that is remembered of a ticket; NULL: nothing is. The ticket then points to it. */
struct gate_user *user_of(struct gate_ticket *ticket);
/* The same, but from now on it is remembered; NULL: too many are. */
struct gate_user *user_remember(struct gate_ticket *ticket);
struct gate_user *user_remember_name(struct gate *gate, struct slice name);
void user_settle(struct gate_user *user); /* forgets it, if there is nothing to remember */
void users_forget(struct gate *gate);     /* all that nobody uses */
void users_done(struct gates *gates);     /* frees the pool */
struct slice user_name(const struct gate_user *user);

/* ---- limits.c ---------------------------------------------------------------------------- */

void limits_judge(struct gate_ticket *ticket, const struct failure *failure, mono_us now);
void limits_quit(struct gate_ticket *ticket);
/* When one may go as far as the server is concerned; not later than `now`: now. `user` NULL: of all. */
mono_us limits_next(const struct gate *gate, const struct gate_user *user, mono_us now);
/* One goes in, likewise. True: it is the first one behind a hold. */
bool limits_pass(struct gate *gate, struct gate_user *user, mono_us now);

/* ---- change.c ---------------------------------------------------------------------------- */

/* Each is told later, and kept where it is to be kept. `user` NULL: of all. */
void change_breaker(struct gate *gate, const struct gate_user *user);
void change_quarantine(struct gate *gate, bool has_begun);
void change_limited(struct gate *gate, const struct gate_user *user, mono_us until);
void change_outcome(struct gate *gate, const struct failure *failure);
void change_reason(char **reason, struct slice text); /* a copy, cut */
void changes_done(struct gates *gates);
void tell_changes(void *arg);

/* ---- keep.c ------------------------------------------------------------------------------ */

void keep_start(struct gates *gates);
void keep_done(struct gates *gates);
void keep_gate(struct gate *gate);    /* something to be remembered is another one now */
void keep_aside(struct gate *gate);   /* its service is gone: for when it comes back */
void keep_restore(struct gate *gate); /* what was put aside, if anything */
void quarantine_ended(void *arg);     /* gate->quarantine_end: sees whether it did */
void quarantine_watch(struct gate *gate);

/* ---- words.c ----------------------------------------------------------------------------- */

/* Fills *failure. `until`: when what is waited for ends, 0: nobody knows. */
void say_refusal(const struct gate *gate, const struct gate_user *user, enum gate_why why,
                 mono_us until, struct failure *failure);
void say_timeout(const struct gate *gate, enum gate_why why, mono_us waited,
                 struct failure *failure);
void say_unknown(struct slice service, struct failure *failure);

/* Microseconds of the loop as a time of day. */
wall_ms gate_wall(const struct gates *gates, mono_us time);

/* Up to a time, in ms rounded up; -1: there is no end. */
static inline int64_t gate_left_ms(mono_us until, mono_us now)
{
    return until == MONO_NEVER ? -1 : until > now ? (until - now + 999) / 1000 : 0;
}

#endif
