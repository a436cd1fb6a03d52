/* SPDX-License-Identifier: MIT */
/*
 * work.h - what takes longer than a turn of the loop may: done by a thread, told on the loop.
 *
 * Every loop has at most WORK_THREADS threads for it, which begin with the first work and end with
 * the loop.
 *
 * Owns:    a struct work is embedded in what it works on, and is the pool's from work_start until
 *          `done`. Whoever loses interest withdraws it, or lets it run and drops the result then.
 * Life:    work_start .. `run` on a thread .. `done` on the loop, in a later turn. When the loop is
 *          freed, what runs is waited for, and every `done` that is due runs there.
 * Thread:  all but `run` the loop thread. `run` uses nothing but what its owner put into it: no
 *          loop, no log, no libevent, curl or Lua.
 */
#ifndef LOOP_WORK_H
#define LOOP_WORK_H

#include "loop/loop.h"

#define WORK_THREADS 2u
#define WORK_WAITING 64u /* beside those that run */

struct work {
    struct list_link link;
    void (*run)(struct work *work);
    /* `has_run` false: the loop ended before it began. NULL: nobody waits for it, and `run` may
     * free it. */
    void (*done)(struct work *work, bool has_run);
};

static inline void work_init(struct work *work, void (*run)(struct work *work),
                             void (*done)(struct work *work, bool has_run))
{
    *work = (struct work){{NULL, NULL}, run, done};
}

/* False: too much waits already, or there is no thread. Then it is the caller's to do or to leave. */
bool work_start(struct loop *loop, struct work *work);

/* True: it had not begun, and is the caller's again; `done` will not run. */
bool work_withdraw(struct loop *loop, struct work *work);

/* Waits for it, or does it here if it had not begun; the caller's again, `done` will not run. Holds
 * the loop: for floods that cannot be held back otherwise. */
void work_await(struct loop *loop, struct work *work);

/* mem_long_free by a thread: to give megabytes back takes the system milliseconds. What is kept for
 * the next message is given back a while after the last one. */
void work_free_long(struct loop *loop, void *memory, size_t size);

/* loop.c: the pool of a loop, NULL until the first work. */
struct work_pool;
struct work_pool **loop_work_pool(struct loop *loop);
void work_pool_free(struct work_pool *pool);

#endif
