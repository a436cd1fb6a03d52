/* SPDX-License-Identifier: MIT */
/*
 * attempt.h - the one loop of a request to a service: enter the gate, send, look at what came, and
 * perhaps once more.
 *
 *     attempt_start -> gate -> mcp_call -> judged -> done
 *                       ^                    |
 *                       +---- back-off <-----+  allowed, harmless, in time, within the budget
 *
 * Owns:    its ticket, its timer and the request upstream. What the options point to is the caller's
 *          and stays until `done`, or until attempt_cancel.
 * Life:    embedded in its owner; attempt_start .. done exactly once, never inside attempt_start; after
 *          attempt_cancel `done` never runs. The owner may free itself inside `done`.
 * Thread:  the loop thread.
 * Errors:  the last attempt's failure, made honest: OUTCOME_UNKNOWN where it may have been done and a
 *          repeat could do it twice; details `attempts`, and `no_retry` (why it was not tried again)
 *          where another attempt would have been of use: "harmful", "attempts", "deadline",
 *          "budget", "asked" (a person was), or the code with which the gate refused.
 */
#ifndef CALL_ATTEMPT_H
#define CALL_ATTEMPT_H

#include "gate/gate.h"
#include "mcp/service.h"
#include "observe/metrics.h"

struct attempt_room { /* what all attempts share; outlives them */
    struct loop *loop;
    struct gates *gates;
    struct mcp_services *services;
    struct metrics *metrics;
    uint64_t random; /* state of the generator for jitter; never 0. Tests may set it */
};

void attempt_room_seed(struct attempt_room *room);

struct attempt_end {
    const struct mcp_outcome
        *outcome;                  /* of the last attempt; NULL: the gate did not let it in */
    const struct failure *failure; /* NULL: it succeeded */
    bool may_be_done;  /* it was sent, no answer came, and doing it twice would do harm */
    bool was_sent;     /* any attempt may have reached the server */
    bool is_harmless;  /* as far as known: doing it twice would do none */
    unsigned declined; /* questions that nobody could be asked, in all attempts */
    unsigned attempts;
};

struct attempt_events { /* any but `done` may be NULL */
    /* As in mcp_call_events; the request is over when `done` returns. */
    void (*done)(void *arg, const struct attempt_end *end);
    void (*progress)(void *arg, struct slice params);
    void (*log)(void *arg, struct slice params);
    void (*waits_for)(void *arg, const char *what); /* also "rate limit", "place", "retry" */
    void (*asked)(void *arg, struct mcp_ask *ask, const char *method, struct slice params);
    void (*ask_ended)(void *arg, struct mcp_ask *ask);
    /* Just before the first attempt leaves: false holds it back until attempt_go_on
     * (idempotency keys are claimed then). */
    bool (*leaving)(void *arg);
};

struct attempt_options {
    struct slice service; /* by name: it may be another one after a reload */
    struct mcp_identity identity;
    struct mcp_call_options call; /* `deadline` bounds all attempts; `may_repeat`: harmless */
    uint64_t peer;
};

enum attempt_state {
    ATTEMPT_IDLE,
    ATTEMPT_WAITS, /* before the gate */
    ATTEMPT_HELD,  /* inside, until attempt_go_on */
    ATTEMPT_SENT,
    ATTEMPT_BACKS_OFF,
    ATTEMPT_TELLS /* it is over; `done` runs later in this turn */
};

struct attempt {
    struct gate_ticket ticket;
    struct mcp_request *upstream;
    struct loop_timer timer; /* back-off; how long it may be held back */
    struct loop_task task;
    struct attempt_room *room;
    const struct attempt_options *options;
    const struct attempt_events *events;
    void *arg;
    struct failure failure; /* of the last attempt */
    unsigned count;         /* attempts made */
    unsigned declined;
    enum attempt_state state;
    bool has_left;     /* `leaving` has let it go */
    bool is_out;       /* the request of this attempt may be at the server */
    bool was_sent;     /* that of any */
    bool may_be_done;  /* and no answer said that nothing was done */
    bool is_under_way; /* a task of the server's goes on, as far as is known */
    bool was_asked;    /* in this attempt a question came for the client */
    bool is_harmless;
    bool is_harmful; /* the operator says so, whatever the server does */
};

void attempt_init(struct attempt *attempt, struct attempt_room *room);
void attempt_done(struct attempt *attempt); /* not under way */
void attempt_start(struct attempt *attempt, const struct attempt_options *options,
                   const struct attempt_events *events, void *arg);
void attempt_go_on(struct attempt *attempt);
void attempt_cancel(struct attempt *attempt, const char *reason); /* not under way: nothing */

/* Attempts that were made, while it is under way. */
static inline unsigned attempt_under_way(const struct attempt *attempt)
{
    return attempt->state == ATTEMPT_IDLE ? 0 : attempt->count;
}

/* While it is under way: whether a request may be at the server, or something may be done already. */
static inline bool attempt_may_be_done(const struct attempt *attempt)
{
    return attempt->state != ATTEMPT_IDLE && (attempt->is_out || attempt->may_be_done);
}

#endif
