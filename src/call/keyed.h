/* SPDX-License-Identifier: MIT */
/*
 * keyed.h - what an idempotency_key changes in the way of a call: it may wait for an earlier one, claims
 * its key before it leaves, and keeps its outcome before it is answered.
 *
 * Owns:    a struct keyed belongs to its call, from keyed_new to keyed_free.
 * Thread:  the loop thread.
 */
#ifndef CALL_KEYED_H
#define CALL_KEYED_H

#include "call/attempt.h"
#include "call/once.h"

struct call;
struct keyed;

/* Whether the key can be one, and goes with what else is asked; if not, *failure says why. */
bool keyed_check(struct slice key, bool wants_task, struct failure *failure);

struct keyed *keyed_new(struct call *call, struct slice key);
void keyed_free(struct keyed *keyed); /* NULL is fine */

/* Policy has decided. True: what it decided could hide what came of an earlier call (a demo answer, a
 * service that is out of use), so that is looked for first; call_follow runs if there is nothing. */
bool keyed_decided(struct call *call);

/* EXECUTE begins. False: an earlier call has the key; call_attempt runs if it comes to nothing, else
 * the call is answered with its outcome. */
bool keyed_begin(struct call *call);

/* The first attempt is about to leave. False: the key is being claimed, attempt_go_on follows. */
bool keyed_leaving(struct call *call);

/* An attempt has ended. True: the gate refused it before anything was claimed, and the disk is asked
 * whether an earlier call has an outcome (call_executed follows if not); or there is no time left to
 * hear that from the disk, and the call is answered. */
bool keyed_attempted(struct call *call, const struct attempt_end *end);

/* The end of the call, with its failure or this result. True: call_close runs when it is on disk. */
bool keyed_settle(struct call *call, struct slice result);

/* The client has left, or cancels. True: the call goes on all the same. */
bool keyed_goes_on(struct call *call, bool has_left);

/* It is cancelled. `may_be_done`: the server may do it. True: it has ended already, and is answered. */
bool keyed_cancelled(struct call *call, bool may_be_done);

#endif
