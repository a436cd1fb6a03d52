/* SPDX-License-Identifier: MIT */
/*
 * once.h - calls with an idempotency_key: carried out once in 24 hours, whatever breaks in between
 * (design section 3.3).
 *
 * The key is claimed on disk before anything is sent, and the outcome is on disk before it is
 * answered; so after a kill at any moment a repeat gets the recorded outcome, or is carried out if
 * nothing had been sent, or OUTCOME_UNKNOWN. A repeat while the first is under way waits for it.
 *
 *     once_begin -> IS_OURS -> once_claim -> `ours` -> (carried out) -> once_end -> `kept`
 *               \-> WAITS  -> `told` the outcome, or `ours` when the first came to nothing
 *
 * Owns:    struct onces owns what is under way, by id, and the outcomes that the disk did not take:
 *          64 MiB and 24 hours of them at most.
 * Life:    struct once is embedded in its call, from once_begin until `told`, `kept`, or once_part.
 *          An id goes on without its call where the disk has not answered yet.
 * Thread:  the loop thread; the disk is the store's. No event runs inside a function of this header.
 */
#ifndef CALL_ONCE_H
#define CALL_ONCE_H

#include "base/buf.h"
#include "base/list.h"
#include "base/slice.h"
#include "loop/loop.h"
#include "store/store.h"

#include <stdbool.h>

#define ONCE_KEY_MAX 255u /* bytes of an idempotency_key */

/* ---- ids --------------------------------------------------------------------------------- */

/* SHA-256 of who asks (agent, user) and the key, and of what is asked (service, tool, arguments): lengths
 * are hashed with the texts, so that no two askers or calls look alike. */
void once_id(struct slice agent, struct slice user, struct slice key,
             uint8_t out[SHA256_BYTES]);
/* `service` may be empty, with `tool` an operation or "service/tool". The order of members and the
 * width of numbers in the arguments make no difference, unless these are very long. */
void once_fingerprint(struct slice service, struct slice tool, struct slice arguments,
                      uint8_t out[SHA256_BYTES]);

/* ---- what is under way --------------------------------------------------------------------- */

struct onces;
struct once_entry;

struct onces *onces_new(struct loop *loop,
                        struct store *store); /* store NULL: all is refused */
/* No call may hold an id; before the store is freed. */
void onces_free(struct onces *onces);

enum once_word {
    ONCE_OUTCOME, /* `outcome`: what was put for an earlier call */
    ONCE_UNKNOWN, /* an earlier one was begun at `begun_at`, and nobody knows what became of it */
    ONCE_CONFLICT, /* the id belongs to another call */
    ONCE_NO_DISK,  /* `err`: nothing can be claimed */
    ONCE_LATE      /* the deadline passed while the earlier one was still under way */
};

struct once_told { /* valid during the event */
    enum once_word word;
    struct slice outcome;
    bool is_unkept; /* only this memory has it, as far as is known */
    wall_ms begun_at;
    const struct err *err;
};

struct once_events {
    /* The id is on disk (after once_claim), or nobody's any more (after ONCE_WAITS). */
    void (*ours)(void *arg);
    /* It is over for this call: what came of an earlier one. */
    void (*told)(void *arg, const struct once_told *told);
    /* It is over: what once_end was given is on disk, or cannot be, or not in time. */
    void (*kept)(void *arg, bool is_kept);
};

struct once {
    struct list_link link; /* in entry->waiting */
    struct once_entry *entry;
    struct onces *onces;
    struct loop_timer timer;
    struct loop_task task;
    const struct once_events *events;
    void *arg;
    mono_us deadline;
};

struct once_ask {
    const uint8_t *id, *fingerprint;
    mono_us deadline;
    const struct once_events *events;
    void *arg;
};

enum once_begun { ONCE_IS_OURS, ONCE_WAITS };
enum once_begun once_begin(struct onces *onces, struct once *once, const struct once_ask *ask);

/* Ours: claims the id on disk. True: it is there already. Else `ours` or `told` will say. */
bool once_claim(struct once *once, bool may_take_over);

/* Being claimed: where the disk has not answered by the deadline, `told` says ONCE_NO_DISK. */
void once_hurry(struct once *once);

bool once_is_claimed(const struct once *once);

/* Claimed: what came of it; ptr NULL: nothing was done, the id is free again. `kept` will say when that
 * is on disk. */
void once_end(struct once *once, struct slice outcome);

/* The call goes away; what is under way for it goes on. What is claimed is ended first. */
void once_part(struct once *once);

#endif
