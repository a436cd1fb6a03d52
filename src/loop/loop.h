/* SPDX-License-Identifier: MIT */
/*
 * loop.h - the one event loop: descriptors, timers, signals, and what runs at a turn's end.
 *
 * Owns:    nothing of its callers: io, timers and tasks are embedded in their owners, who take
 *          them out before they free themselves.
 * Thread:  the loop thread only, but for loop_wake.
 * Rules:   nothing that runs here blocks. A completion never runs inside the call that started
 *          it: it is queued with loop_later. Time is read once a turn: loop_now().
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include "base/clock.h"
#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

/* Also ignores SIGPIPE in the whole process: writing to a peer that is gone gives EPIPE. */
struct loop *loop_new(void);
void loop_free(struct loop *loop);

/* Runs turns until loop_stop, and may be run again. A turn: wait, descriptors and signals, timers,
 * later tasks, turn ends. What was queued between turns does not wait. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Tests: one turn that waits at most `max_wait` microseconds, real ones also when frozen. */
void loop_turn(struct loop *loop, mono_us max_wait);

/* The time of this turn, read when its first descriptor is ready; that of day when it is first asked for.
 * Tests may take the clock over: it then stands still but for loop_advance, which also runs the timers
 * that come due. */
mono_us loop_now(const struct loop *loop);
wall_ms loop_wall(struct loop *loop);
void loop_freeze(struct loop *loop);
void loop_advance(struct loop *loop, mono_us by);

/* How long the last turns took, for `daemon.info`: the longest since it was last asked. */
mono_us loop_lag_max(struct loop *loop);

/* ---- descriptors ------------------------------------------------------------------------ */

#define LOOP_READ  1u
#define LOOP_WRITE 2u

/* Embedded in its owner; the storage is libevent's. Level-triggered. */
struct loop_io {
    _Alignas(16) unsigned char storage[128];
    struct loop *loop;
    void (*ready)(void *arg, unsigned events);
    void *arg;
    int fd;
    unsigned wanted;
};

/* `fd` must be non-blocking; it stays the caller's. loop_io_want(0) pauses, loop_io_done ends:
 * after it `ready` never runs. Changing what is wanted costs a system call; same costs nothing. */
void loop_io_init(struct loop_io *io, struct loop *loop, int fd,
                  void (*ready)(void *arg, unsigned events), void *arg);
void loop_io_want(struct loop_io *io, unsigned events);
void loop_io_done(struct loop_io *io);

/* ---- timers ----------------------------------------------------------------------------- */

struct loop_timer {
    mono_us when;
    void (*fire)(void *arg);
    void *arg;
    size_t place; /* in the heap, from 1; 0 = not set */
};

static inline void loop_timer_init(struct loop_timer *timer, void (*fire)(void *arg), void *arg)
{
    *timer = (struct loop_timer){0, fire, arg, 0};
}

/* Sets or moves; fires once, at the first turn that is not before `when`. Set from inside a timer,
 * it fires in a later turn. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, mono_us when);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer); /* not set: nothing */

static inline bool loop_timer_is_set(const struct loop_timer *timer)
{
    return timer->place != 0;
}

/* ---- later ------------------------------------------------------------------------------ */

struct loop_task {
    struct list_link link;
    void (*run)(void *arg);
    void *arg;
};

static inline void loop_task_init(struct loop_task *task, void (*run)(void *arg), void *arg)
{
    *task = (struct loop_task){{NULL, NULL}, run, arg};
}

/* Runs once, behind the running callback, in this turn. Queued already: nothing. */
void loop_later(struct loop *loop, struct loop_task *task);
void loop_task_cancel(struct loop_task *task);

/* Runs at the end of this turn and of every later one, for work that is gathered: one write for
 * many messages. Adding it again runs it once more in this turn; it may remove itself, or any
 * other. Owners with nothing gathered take theirs out: a turn costs what is in. */
struct loop_turn_end {
    struct list_link link;
    void (*run)(void *arg);
    void *arg;
};
void loop_add_turn_end(struct loop *loop, struct loop_turn_end *end);
void loop_remove_turn_end(struct loop_turn_end *end);

/* ---- signals and other threads ---------------------------------------------------------- */

/* One handler a signal, until loop_free. */
void loop_signal(struct loop *loop, int signal_number, void (*caught)(void *arg, int),
                 void *arg);

/* From any thread: run(arg) on the loop thread, soon; `wake` is the caller's again then, and not
 * to be queued twice before. The queue is bounded by its callers. */
struct loop_wake {
    struct loop_wake *next;
    void (*run)(void *arg);
    void *arg;
};
void loop_wake(struct loop *loop, struct loop_wake *wake);
/* On the loop thread, between turns: it will not run, if it is queued. */
void loop_unwake(struct loop *loop, struct loop_wake *wake);

#endif
