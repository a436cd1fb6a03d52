/* SPDX-License-Identifier: MIT */
/*
 * room.h - inside store/: what its files share. The loop puts, the thread writes, the lock is between.
 *
 * Owns:    everything in struct store. A job in the queue, or on its way back, is the store's; the
 *          claims and queries of its callers are only pointed at, by the loop alone.
 */
#ifndef STORE_ROOM_H
#define STORE_ROOM_H

#include "base/list.h"
#include "loop/loop.h"
#include "store/db.h"
#include "store/image.h"
#include "store/record.h"
#include "store/store.h"

#include <pthread.h>

/* What the queue holds at most; of it, ordinary rows; minor records are not taken when it holds more
 * than half. The rest is for outcomes, and for claims that are free again. */
#define QUEUE_BYTES_MAX    ((size_t)64 * 1024 * 1024)
#define QUEUE_ORDINARY_MAX ((size_t)16 * 1024 * 1024)
#define QUEUE_MINOR_MAX    (QUEUE_BYTES_MAX / 2)
/* Outcomes that were read, on their way back to the loop, all together. */
#define OUTCOMES_MAX ((size_t)64 * 1024 * 1024)

#define STORE_NEVER  UINT64_MAX /* `upto` of a wait for what is lost */

struct queue {
    struct db_job *first, **tail;
    size_t count; /* of records: claims do not count */
    size_t bytes[DB_RANKS];
};

/* Records of calls that were not handed over yet. The loop's. */
struct activity {
    struct record_writer writer;
    struct loop_timer timer;
    bool is_kept;
};

struct asked_query;

struct store {
    struct store_options options;
    char *folder, *path;
    uint8_t owner[DB_OWNER_BYTES]; /* this life of the daemon */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work; /* for the thread */
    pthread_cond_t idle; /* for whoever flushes */

    /* under the lock */
    bool has_thread, is_closing, wants_load, is_open, is_waking;
    bool is_settled; /* the queue is empty, or could not be written just now */
    struct queue queue;
    struct queue held;      /* what the thread writes just now: its figures */
    uint64_t put, written;  /* records, since the start */
    uint64_t lost, dropped; /* rows; records of activity and what happened */
    uint64_t in_pieces;     /* records of activity that wait to be written */
    uint64_t lost_upto;     /* what was put before the last of them */
    bool is_lossy;          /* one was lost, and whoever put it may be about to wait for it */
    struct store_wait *waits, *settled; /* the latter are told next */
    struct db_job *answered;            /* claims, to be told */
    struct db_job **answered_tail;
    size_t outcome_bytes; /* of these */
    struct asked_query *queries, *told_queries;
    unsigned query_count; /* of those that are not answered */
    struct db_keep keep;
    mono_us tidy_at;
    struct image *image;     /* read, and not yet handed on */
    struct err failure;      /* code 0: none */
    struct err load_failure; /* to be handed on */
    mono_us try_at;          /* not before: what failed is tried again */
    mono_us busy_since;      /* the thread is at the file; 0: it is not */
    struct err fullness;     /* code 0: there is room for new claims */
    int64_t bytes;           /* of the file */
    int64_t bytes_max;

    /* the loop's */
    struct loop_wake wake;
    struct list loads;  /* struct store_load: to be told */
    struct list claims; /* struct asked_claim: not told yet */
    struct list asked_queries;
    struct activity activity;
    mono_us claim_at; /* while it fails: not before, one claim is let through to see */

    /* the thread's */
    struct db *db;
};

/* ---- store.c: under the lock -------------------------------------------------------------- */

void store_rouse(struct store *store); /* starts the thread, or wakes it */
void store_wake_loop(struct store *store);

/* ---- queue.c ------------------------------------------------------------------------------ */

void queue_init(struct queue *queue);
void queue_append(struct queue *queue, struct db_job *job);
void queue_prepend(struct queue *queue, const struct queue *first);       /* takes it over */
bool queue_has_room(const struct store *store, const struct db_job *job); /* under the lock */
/* Puts a job behind the others; it is freed and counted as lost where there is no room (or it is NULL:
 * there was no memory for it). */
void store_put(struct store *store, struct db_job *job);
/* The same for what is not worth as much: it is counted as dropped. */
void store_offer(struct store *store, struct db_job *job, uint32_t records);

/* ---- thread.c ----------------------------------------------------------------------------- */

void *store_work(void *arg); /* the thread; of the store */
/* Under the lock: those that wait for what is written are told, with `all` also the others. */
void store_settle_waits(struct store *store, bool all);
void store_note_failure(struct store *store, const struct err *err);
void store_let_go(
    struct store *store); /* the thread gives up the lock, for what may take long */
void store_take_back(struct store *store);
/* Under the lock: whether the thread waits for the disk for too long. */
bool store_is_stuck(const struct store *store, struct err *reterr);

/* ---- claim.c ------------------------------------------------------------------------------ */

/* Under the lock: hands the claims of the queue back to the loop; the others stay. With `err`, nothing
 * was claimed. */
void claims_answer(struct store *store, struct queue *queue, const struct err *err);
void claims_tell(struct store *store); /* on the loop */

/* ---- row.c ---------------------------------------------------------------------------------- */

/* The id is free again, if it was this claim that has it. */
void claim_give_back(struct store *store, const struct db_claim *claim);

/* ---- activity.c: on the loop -------------------------------------------------------------- */

void activity_init(struct store *store);
void activity_done(struct store *store);
void activity_hand_over(struct store *store); /* what was gathered, to the thread */

/* ---- query.c ------------------------------------------------------------------------------ */

/* Under the lock, on the thread: whether the first can be looked at, now that what was put before it
 * is written or cannot be; one slice of it. */
bool queries_wait(const struct store *store);
void queries_work(struct store *store);
void queries_tell(struct store *store); /* on the loop */
void queries_free(struct store *store);

#endif
