/* SPDX-License-Identifier: MIT */
/* loop.c - libevent behind our own timers, task queue and turn ends: nobody else calls it. */
#include "loop/loop.h"

#include "base/mem.h"
#include "base/must.h"
#include "loop/work.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SIGNALS_MAX 8

_Static_assert(sizeof(struct event) <= sizeof(((struct loop_io *)0)->storage),
               "loop_io.storage holds a struct event");

struct signal_watch {
    struct event event;
    struct loop *loop;
    void (*caught)(void *arg, int signal_number);
    void *arg;
};

struct loop {
    struct event_base *base;
    struct event timer_event; /* armed for the head of the heap */
    mono_us armed_for;
    mono_us now;
    mono_us lag_max;
    wall_ms wall; /* as it was first asked for in this turn; 0: not yet */
    wall_ms frozen_wall;
    mono_us frozen_since; /* `now` when frozen_wall was read */
    bool is_frozen, must_stop, is_firing;
    bool has_time; /* `now` was read in this turn */
    bool is_in_turn;
    struct loop_timer **heap; /* from 1 */
    size_t heap_count, heap_cap;
    struct list later;
    struct list turn_ends; /* have run in this turn */
    struct list ends_due;  /* are to run at the end of this turn */
    struct signal_watch signals[SIGNALS_MAX];
    unsigned signal_count;
    pthread_mutex_t wake_lock;
    struct loop_wake *wakes, **wakes_tail;
    struct loop_io wake_io;
    int wake_fd;
    struct work_pool *work_pool;
};

static void run_wakes(void *arg, unsigned events)
{
    struct loop *loop = arg;
    uint64_t count;
    (void)events;
    if (read(loop->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN) {
        must(errno == EINTR);
    }
    (void)pthread_mutex_lock(&loop->wake_lock);
    struct loop_wake *wake = loop->wakes;
    loop->wakes = NULL;
    loop->wakes_tail = &loop->wakes;
    (void)pthread_mutex_unlock(&loop->wake_lock);
    while (wake) {
        struct loop_wake *next = wake->next;
        wake->run(wake->arg);
        wake = next;
    }
}

void loop_wake(struct loop *loop, struct loop_wake *wake)
{
    uint64_t one = 1;
    wake->next = NULL;
    (void)pthread_mutex_lock(&loop->wake_lock);
    bool is_first = loop->wakes == NULL;
    *loop->wakes_tail = wake;
    loop->wakes_tail = &wake->next;
    (void)pthread_mutex_unlock(&loop->wake_lock);
    if (is_first) { /* whoever found the queue empty wakes the loop for all that join it */
        (void)!write(loop->wake_fd, &one, sizeof one);
    }
}

void loop_unwake(struct loop *loop, struct loop_wake *wake)
{
    (void)pthread_mutex_lock(&loop->wake_lock);
    struct loop_wake **place = &loop->wakes;
    while (*place && *place != wake) {
        place = &(*place)->next;
    }
    if (*place) {
        *place = wake->next;
        loop->wakes_tail = wake->next ? loop->wakes_tail : place;
    }
    (void)pthread_mutex_unlock(&loop->wake_lock);
}

struct work_pool **loop_work_pool(struct loop *loop)
{
    return &loop->work_pool;
}

static void timer_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    ((struct loop *)arg)->armed_for = MONO_NEVER; /* the turn itself runs what is due */
}

struct loop *loop_new(void)
{
    struct loop *loop = mem_new(sizeof *loop);
    struct event_config *config = event_config_new();
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that is gone is EPIPE, not the end of us */
    must(config != NULL);
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    must(loop->base != NULL);
    (void)event_assign(&loop->timer_event, loop->base, -1, 0, timer_due, loop);
    loop->armed_for = MONO_NEVER;
    loop->now = clock_mono();
    list_init(&loop->later);
    list_init(&loop->turn_ends);
    list_init(&loop->ends_due);
    (void)pthread_mutex_init(&loop->wake_lock, NULL);
    loop->wakes_tail = &loop->wakes;
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    must(loop->wake_fd >= 0);
    loop_io_init(&loop->wake_io, loop, loop->wake_fd, run_wakes, loop);
    loop_io_want(&loop->wake_io, LOOP_READ);
    return loop;
}

void loop_free(struct loop *loop)
{
    if (!loop) {
        return;
    }
    work_pool_free(loop->work_pool);
    loop_io_done(&loop->wake_io);
    (void)close(loop->wake_fd);
    for (unsigned i = 0; i < loop->signal_count; i++) {
        (void)event_del(&loop->signals[i].event);
    }
    (void)event_del(&loop->timer_event);
    event_base_free(loop->base);
    (void)pthread_mutex_destroy(&loop->wake_lock);
    mem_free(loop->heap);
    mem_free(loop);
}

/* ---- time and turns --------------------------------------------------------------------- */

static void refresh(struct loop *loop)
{
    if (!loop->has_time && !loop->is_frozen) {
        loop->now = clock_mono();
    }
    loop->has_time = true;
}

mono_us loop_now(const struct loop *loop)
{
    return loop->now;
}

wall_ms loop_wall(struct loop *loop)
{
    if (loop->is_frozen) {
        return loop->frozen_wall + (loop->now - loop->frozen_since) / 1000;
    }
    if (!loop->is_in_turn) {
        return clock_wall();
    }
    if (!loop->wall) {
        loop->wall = clock_wall();
    }
    return loop->wall;
}

static void wake_after(struct loop *loop, mono_us wait)
{
    struct timeval tv = {.tv_sec = (time_t)(wait / 1000000), .tv_usec = wait % 1000000};
    (void)event_add(&loop->timer_event, &tv);
}

/* Sees to it that the wait ends when the first timer is due; the flags for that wait. */
static int arm(struct loop *loop)
{
    mono_us when = loop->heap_count ? loop->heap[1]->when : MONO_NEVER;
    if (loop->is_frozen || when == loop->armed_for) {
        return 0;
    }
    /* A timer that is armed too early costs one empty turn; moving it costs more, and deadlines
     * of calls are set and cancelled all the time. */
    if (loop->armed_for < when && loop->armed_for > loop->now) {
        return 0;
    }
    if (when == MONO_NEVER) {
        loop->armed_for = when;
        (void)event_del(&loop->timer_event);
        return 0;
    }
    mono_us now = clock_mono(); /* loop->now is as old as the turn that ended was long */
    if (when <= now) {
        return EVLOOP_NONBLOCK;
    }
    loop->armed_for = when;
    wake_after(loop, when - now);
    return 0;
}

static void run_timers(struct loop *loop)
{
    loop->is_firing = true;
    while (loop->heap_count && loop->heap[1]->when <= loop->now) {
        struct loop_timer *timer = loop->heap[1];
        loop_timer_cancel(loop, timer);
        timer->fire(timer->arg);
    }
    loop->is_firing = false;
}

static void run_later(struct loop *loop)
{
    struct list_link *link;
    while ((link = list_first(&loop->later))) {
        struct loop_task *task = LIST_ITEM(link, struct loop_task, link);
        list_remove(link);
        task->run(task->arg);
    }
}

/* Any of these callbacks may take any other out, or add one, which then still runs now. */
static void run_turn_ends(struct loop *loop)
{
    struct list_link *link;
    while ((link = list_first(&loop->turn_ends))) {
        list_remove(link);
        list_append(&loop->ends_due, link);
    }
    while ((link = list_first(&loop->ends_due))) {
        struct loop_turn_end *end = LIST_ITEM(link, struct loop_turn_end, link);
        list_remove(link);
        list_append(&loop->turn_ends, link);
        end->run(end->arg);
    }
}

static void end_turn(struct loop *loop)
{
    do {
        run_later(loop);
        run_turn_ends(loop);
    } while (!list_is_empty(&loop->later));
}

static void turn(struct loop *loop, int flags)
{
    flags |= arm(loop);
    if (!list_is_empty(&loop->later) || !list_is_empty(&loop->ends_due)) {
        flags |= EVLOOP_NONBLOCK; /* queued between the turns */
    }
    loop->has_time = false;
    loop->wall = 0;
    loop->is_in_turn = true;
    must(event_base_loop(loop->base, EVLOOP_ONCE | flags) >= 0);
    refresh(loop);
    run_timers(loop);
    end_turn(loop);
    loop->is_in_turn = false;
    mono_us took = (loop->is_frozen ? loop->now : clock_mono()) - loop->now;
    if (took > loop->lag_max) {
        loop->lag_max = took;
    }
}

void loop_run(struct loop *loop)
{
    while (!loop->must_stop) {
        turn(loop, 0);
    }
    loop->must_stop = false;
}

void loop_stop(struct loop *loop)
{
    loop->must_stop = true;
}

static void nothing(void *arg)
{
    (void)arg;
}

void loop_turn(struct loop *loop, mono_us max_wait)
{
    struct loop_timer limit;
    loop_timer_init(&limit, nothing, NULL);
    loop->has_time = false;
    refresh(loop);
    if (max_wait <= 0) {
        turn(loop, EVLOOP_NONBLOCK);
    } else if (loop->is_frozen) {
        wake_after(loop, max_wait);
        turn(loop, 0);
        (void)event_del(&loop->timer_event);
    } else {
        loop_timer_set(loop, &limit, loop->now + max_wait);
        turn(loop, 0);
        loop_timer_cancel(loop, &limit);
    }
}

void loop_freeze(struct loop *loop)
{
    if (!loop->is_frozen) {
        loop->frozen_wall = clock_wall();
        loop->frozen_since = loop->now;
        loop->is_frozen = true;
    }
    (void)event_del(&loop->timer_event);
    loop->armed_for = MONO_NEVER;
}

void loop_advance(struct loop *loop, mono_us by)
{
    must(loop->is_frozen);
    mono_us until = loop->now + by;
    end_turn(loop);
    while (loop->heap_count && loop->heap[1]->when <= until) {
        if (loop->heap[1]->when > loop->now) {
            loop->now = loop->heap[1]->when;
        }
        run_timers(loop);
        end_turn(loop);
    }
    loop->now = until;
}

mono_us loop_lag_max(struct loop *loop)
{
    mono_us lag = loop->lag_max;
    loop->lag_max = 0;
    return lag;
}

/* ---- descriptors ------------------------------------------------------------------------ */

static struct event *event_in(struct loop_io *io)
{
    return (struct event *)(void *)io->storage;
}

static void io_ready(evutil_socket_t fd, short what, void *arg)
{
    struct loop_io *io = arg;
    (void)fd;
    refresh(io->loop);
    io->ready(io->arg, (what & EV_READ ? LOOP_READ : 0) | (what & EV_WRITE ? LOOP_WRITE : 0));
}

void loop_io_init(struct loop_io *io, struct loop *loop, int fd,
                  void (*ready)(void *arg, unsigned events), void *arg)
{
    io->loop = loop;
    io->ready = ready;
    io->arg = arg;
    io->fd = fd;
    io->wanted = 0;
    (void)event_assign(event_in(io), loop->base, fd, 0, io_ready, io);
}

void loop_io_want(struct loop_io *io, unsigned events)
{
    if (events == io->wanted) {
        return;
    }
    if (io->wanted) {
        (void)event_del(event_in(io));
    }
    io->wanted = events;
    if (events) {
        short what = (short)(EV_PERSIST | (events & LOOP_READ ? EV_READ : 0) |
                             (events & LOOP_WRITE ? EV_WRITE : 0));
        (void)event_assign(event_in(io), io->loop->base, io->fd, what, io_ready, io);
        (void)event_add(event_in(io), NULL);
    }
}

void loop_io_done(struct loop_io *io)
{
    if (io->wanted) {
        (void)event_del(event_in(io));
        io->wanted = 0;
    }
}

/* ---- timers: a binary heap -------------------------------------------------------------- */

static void place(struct loop *loop, size_t at, struct loop_timer *timer)
{
    loop->heap[at] = timer;
    timer->place = at;
}

static void sift_up(struct loop *loop, size_t at, struct loop_timer *timer)
{
    for (; at > 1 && loop->heap[at / 2]->when > timer->when; at /= 2) {
        place(loop, at, loop->heap[at / 2]);
    }
    place(loop, at, timer);
}

static void sift_down(struct loop *loop, size_t at, struct loop_timer *timer)
{
    for (size_t child; (child = at * 2) <= loop->heap_count; at = child) {
        if (child < loop->heap_count && loop->heap[child + 1]->when < loop->heap[child]->when) {
            child++;
        }
        if (loop->heap[child]->when >= timer->when) {
            break;
        }
        place(loop, at, loop->heap[child]);
    }
    place(loop, at, timer);
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, mono_us when)
{
    if (loop->is_firing && when <= loop->now) {
        when = loop->now + 1; /* else a timer that sets itself would never let the turn end */
    }
    if (timer->place && timer->when == when) {
        return;
    }
    loop_timer_cancel(loop, timer);
    timer->when = when;
    if (loop->heap_count + 2 > loop->heap_cap) {
        size_t cap = loop->heap_cap ? loop->heap_cap * 2 : 64;
        struct loop_timer **heap = mem_resize(loop->heap, cap * sizeof(void *));
        must(heap != NULL);
        loop->heap = heap;
        loop->heap_cap = cap;
    }
    sift_up(loop, ++loop->heap_count, timer);
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
    size_t at = timer->place;
    if (!at) {
        return;
    }
    timer->place = 0;
    struct loop_timer *last = loop->heap[loop->heap_count--];
    if (last != timer) {
        if (at > 1 && loop->heap[at / 2]->when > last->when) {
            sift_up(loop, at, last);
        } else {
            sift_down(loop, at, last);
        }
    }
}

/* ---- later, turn ends, signals ---------------------------------------------------------- */

void loop_later(struct loop *loop, struct loop_task *task)
{
    if (!list_has(&task->link)) {
        list_append(&loop->later, &task->link);
    }
}

void loop_task_cancel(struct loop_task *task)
{
    list_remove(&task->link);
}

void loop_add_turn_end(struct loop *loop, struct loop_turn_end *end)
{
    list_remove(&end->link);
    list_append(&loop->ends_due, &end->link);
}

void loop_remove_turn_end(struct loop_turn_end *end)
{
    list_remove(&end->link);
}

static void signal_caught(evutil_socket_t number, short what, void *arg)
{
    struct signal_watch *watch = arg;
    (void)what;
    refresh(watch->loop);
    watch->caught(watch->arg, (int)number);
}

void loop_signal(struct loop *loop, int signal_number, void (*caught)(void *arg, int),
                 void *arg)
{
    must(loop->signal_count < SIGNALS_MAX);
    struct signal_watch *watch = &loop->signals[loop->signal_count++];
    watch->loop = loop;
    watch->caught = caught;
    watch->arg = arg;
    (void)event_assign(&watch->event, loop->base, signal_number, EV_SIGNAL | EV_PERSIST,
                       signal_caught, watch);
    (void)event_add(&watch->event, NULL);
}
