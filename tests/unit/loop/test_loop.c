/* SPDX-License-Identifier: MIT */
/* test_loop.c - timers, tasks, turn ends, descriptors, wakes and signals of the loop. */
#include "base/mem.h"
#include "loop/loop.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND 1000000

/* ---- timers ------------------------------------------------------------------------------ */

struct timed {
    struct loop_timer timer;
    struct loop *loop;
    unsigned fired;
    mono_us fired_at, wanted;
};

static mono_us last_fired;

static void fire(void *arg)
{
    struct timed *timed = arg;
    timed->fired++;
    timed->fired_at = loop_now(timed->loop);
    assert_false(loop_timer_is_set(&timed->timer));
    assert_true(timed->fired_at >= last_fired);
    last_fired = timed->fired_at;
}

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void timers_fire_in_order_whatever_was_moved_or_cancelled(void **state)
{
    enum { COUNT = 3000 };
    struct loop *loop = loop_new();
    struct timed *timed = mem_new(COUNT * sizeof *timed);
    unsigned seed = 7;
    (void)state;
    loop_freeze(loop);
    last_fired = 0;
    for (size_t i = 0; i < COUNT; i++) {
        timed[i].loop = loop;
        loop_timer_init(&timed[i].timer, fire, &timed[i]);
    }
    for (int i = 0; i < 10 * COUNT; i++) {
        struct timed *one = &timed[next_random(&seed) % COUNT];
        if (next_random(&seed) % 4 == 0) {
            loop_timer_cancel(loop, &one->timer);
            one->wanted = 0;
        } else {
            one->wanted = loop_now(loop) + 1 + (mono_us)(next_random(&seed) % 5000);
            loop_timer_set(loop, &one->timer, one->wanted);
        }
    }
    loop_advance(loop, 2500);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(timed[i].fired, timed[i].wanted && timed[i].wanted <= loop_now(loop));
    }
    loop_advance(loop, 2500);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(timed[i].fired, timed[i].wanted != 0);
        assert_int_equal(timed[i].fired_at, timed[i].wanted);
    }
    mem_free(timed);
    loop_free(loop);
}

static void again_at_once(void *arg)
{
    struct timed *timed = arg;
    timed->fired++;
    loop_timer_set(timed->loop, &timed->timer, loop_now(timed->loop));
}

static void a_timer_that_sets_itself_lets_the_turn_end(void **state)
{
    struct timed timed = {.loop = loop_new()};
    (void)state;
    loop_timer_init(&timed.timer, again_at_once, &timed);
    loop_timer_set(timed.loop, &timed.timer, loop_now(timed.loop));
    for (unsigned turns = 1; turns <= 3; turns++) {
        loop_turn(timed.loop, SECOND);
        assert_int_equal(timed.fired, turns);
    }
    loop_timer_cancel(timed.loop, &timed.timer);
    loop_free(timed.loop);
}

static void fire_and_stop(void *arg)
{
    struct timed *timed = arg;
    fire(timed);
    loop_stop(timed->loop);
}

static void busy_for_a_while(void *arg)
{
    mono_us until = clock_mono() + 1000000;
    struct timed *timed = arg;
    loop_timer_set(timed->loop, &timed->timer, loop_now(timed->loop) + 1010000);
    timed->wanted = loop_now(timed->loop) + 1010000;
    while (clock_mono() < until) {
    }
}

static void a_long_turn_does_not_delay_the_timers_set_in_it(void **state)
{
    struct timed timed = {.loop = loop_new()};
    struct loop_task task;
    (void)state;
    last_fired = 0;
    loop_timer_init(&timed.timer, fire_and_stop, &timed);
    loop_task_init(&task, busy_for_a_while, &timed);
    loop_later(timed.loop, &task);
    loop_run(timed.loop);
    assert_true(timed.fired_at >= timed.wanted);
    assert_true(timed.fired_at < timed.wanted + 900000);
    assert_true(loop_lag_max(timed.loop) >= 1000000);
    assert_int_equal(loop_lag_max(timed.loop), 0);
    loop_free(timed.loop);
}

static void a_frozen_clock_stands_still_while_descriptors_work(void **state)
{
    struct loop *loop = loop_new();
    struct timed timed = {.loop = loop};
    (void)state;
    last_fired = 0;
    loop_freeze(loop);
    mono_us now = loop_now(loop);
    wall_ms wall = loop_wall(loop);
    loop_timer_init(&timed.timer, fire, &timed);
    loop_timer_set(loop, &timed.timer, now + 5000);
    mono_us before = clock_mono();
    loop_turn(loop, 20000);
    assert_true(clock_mono() - before >= 15000);
    assert_int_equal(timed.fired, 0);
    assert_int_equal(loop_now(loop), now);
    assert_int_equal(loop_wall(loop), wall);
    loop_advance(loop, 60 * (mono_us)SECOND);
    assert_int_equal(timed.fired, 1);
    assert_int_equal(timed.fired_at, now + 5000);
    assert_int_equal(loop_now(loop), now + 60 * (mono_us)SECOND);
    assert_int_equal(loop_wall(loop), wall + 60000);
    loop_free(loop);
}

/* ---- later and turn ends ----------------------------------------------------------------- */

static char order[64];

static void note(char letter)
{
    size_t len = strlen(order);
    assert_true(len + 1 < sizeof order);
    order[len] = letter;
    order[len + 1] = '\0';
}

struct step {
    struct loop_task task;
    struct loop_turn_end end;
    struct loop *loop;
    struct step *other;
    char letter;
    unsigned left;
};

static void run_step(void *arg)
{
    struct step *step = arg;
    note(step->letter);
    if (step->other) {
        loop_later(step->loop, &step->other->task);
    }
}

static void tasks_run_once_in_order_and_those_they_queue_too(void **state)
{
    struct loop *loop = loop_new();
    struct step steps[4] = {{.letter = 'a'}, {.letter = 'b'}, {.letter = 'c'}, {.letter = 'd'}};
    (void)state;
    order[0] = '\0';
    for (int i = 0; i < 4; i++) {
        steps[i].loop = loop;
        loop_task_init(&steps[i].task, run_step, &steps[i]);
    }
    steps[0].other = &steps[3];
    loop_later(loop, &steps[0].task);
    loop_later(loop, &steps[1].task);
    loop_later(loop, &steps[0].task);
    loop_later(loop, &steps[2].task);
    loop_task_cancel(&steps[2].task);
    mono_us before = clock_mono();
    loop_turn(loop,
              5 * (mono_us)SECOND); /* queued between turns: there is nothing to wait for */
    assert_true(clock_mono() - before < 4 * (mono_us)SECOND);
    assert_string_equal(order, "abd");
    loop_turn(loop, 0);
    assert_string_equal(order, "abd");
    loop_free(loop);
}

static void end_and_remove_other(void *arg)
{
    struct step *step = arg;
    note(step->letter);
    if (step->other) {
        loop_remove_turn_end(&step->other->end);
    }
}

static void end_and_add_other(void *arg)
{
    struct step *step = arg;
    note(step->letter);
    loop_remove_turn_end(&step->end);
    loop_add_turn_end(step->loop, &step->other->end);
}

static void end_and_leave(void *arg)
{
    struct step *step = arg;
    note(step->letter);
    loop_remove_turn_end(&step->end);
}

static void end_and_queue(void *arg)
{
    struct step *step = arg;
    note(step->letter);
    if (step->left && step->left--) {
        loop_later(step->loop, &step->other->task);
    }
}

static void turn_ends_may_remove_and_add_each_other(void **state)
{
    struct loop *loop = loop_new();
    struct step a = {.letter = 'a', .loop = loop};
    struct step b = {.letter = 'b', .loop = loop};
    struct step c = {.letter = 'c', .loop = loop};
    (void)state;
    order[0] = '\0';
    a.other = &b;
    a.end = (struct loop_turn_end){{NULL, NULL}, end_and_remove_other, &a};
    b.end = (struct loop_turn_end){{NULL, NULL}, end_and_leave, &b};
    loop_add_turn_end(loop, &a.end);
    loop_add_turn_end(loop, &b.end); /* its neighbour takes it out before it ran */
    loop_turn(loop, 0);
    assert_string_equal(order, "a");
    loop_turn(loop, 0);
    assert_string_equal(order, "aa");
    loop_remove_turn_end(&a.end);

    order[0] = '\0';
    c.other = &b;
    c.end = (struct loop_turn_end){{NULL, NULL}, end_and_add_other, &c};
    loop_add_turn_end(loop, &c.end); /* the last one adds another: it runs in this turn */
    loop_turn(loop, 0);
    assert_string_equal(order, "cb");
    loop_turn(loop, 0);
    assert_string_equal(order, "cb");
    loop_free(loop);
}

static void a_task_from_a_turn_end_is_followed_by_all_turn_ends(void **state)
{
    struct loop *loop = loop_new();
    struct step task = {.letter = 't', .loop = loop};
    struct step a = {.letter = 'a', .loop = loop};
    struct step b = {.letter = 'b', .loop = loop, .left = 1};
    (void)state;
    order[0] = '\0';
    loop_task_init(&task.task, run_step, &task);
    a.end = (struct loop_turn_end){{NULL, NULL}, end_and_remove_other, &a};
    b.other = &task;
    b.end = (struct loop_turn_end){{NULL, NULL}, end_and_queue, &b};
    loop_add_turn_end(loop, &a.end);
    loop_add_turn_end(loop, &b.end);
    loop_turn(loop, 0);
    assert_string_equal(order, "abtab");
    loop_remove_turn_end(&a.end);
    loop_remove_turn_end(&b.end);
    loop_free(loop);
}

/* ---- descriptors ------------------------------------------------------------------------- */

struct end {
    struct loop_io io;
    int fds[2];
    unsigned ready, events;
    struct end *ends; /* these are done with when this one is ready */
};

static void pipe_ready(void *arg, unsigned events)
{
    struct end *end = arg;
    end->ready++;
    end->events = events;
    if (end->ends) {
        loop_io_done(&end->ends->io);
    }
}

static void open_end(struct end *end, struct loop *loop)
{
    *end = (struct end){.ends = NULL};
    assert_int_equal(pipe2(end->fds, O_NONBLOCK | O_CLOEXEC), 0);
    loop_io_init(&end->io, loop, end->fds[0], pipe_ready, end);
}

static void close_end(struct end *end)
{
    loop_io_done(&end->io);
    (void)close(end->fds[0]);
    (void)close(end->fds[1]);
}

static void descriptors_are_watched_as_wanted(void **state)
{
    struct loop *loop = loop_new();
    struct end end;
    char byte;
    (void)state;
    open_end(&end, loop);
    assert_int_equal(write(end.fds[1], "x", 1), 1);
    loop_turn(loop, 0);
    assert_int_equal(end.ready, 0); /* nothing was wanted */
    loop_io_want(&end.io, LOOP_READ);
    loop_turn(loop, SECOND);
    loop_turn(loop, SECOND);
    assert_int_equal(end.ready, 2); /* not read: level-triggered */
    assert_int_equal(end.events, LOOP_READ);
    loop_io_want(&end.io, 0);
    loop_turn(loop, 1000);
    assert_int_equal(end.ready, 2);
    loop_io_want(&end.io, LOOP_READ);
    loop_turn(loop, SECOND);
    assert_int_equal(end.ready, 3);
    assert_int_equal(read(end.fds[0], &byte, 1), 1);
    loop_turn(loop, 1000);
    assert_int_equal(end.ready, 3);
    close_end(&end);

    open_end(&end, loop);
    loop_io_init(&end.io, loop, end.fds[1], pipe_ready, &end);
    loop_io_want(&end.io, LOOP_WRITE);
    loop_turn(loop, SECOND);
    assert_int_equal(end.ready, 1);
    assert_int_equal(end.events, LOOP_WRITE);
    close_end(&end);
    loop_free(loop);
}

static void what_is_done_with_is_not_called_in_the_same_turn(void **state)
{
    struct loop *loop = loop_new();
    struct end a;
    struct end b;
    (void)state;
    open_end(&a, loop);
    open_end(&b, loop);
    a.ends = &b;
    b.ends = &a;
    assert_int_equal(write(a.fds[1], "x", 1), 1);
    assert_int_equal(write(b.fds[1], "x", 1), 1);
    loop_io_want(&a.io, LOOP_READ);
    loop_io_want(&b.io, LOOP_READ);
    loop_turn(loop, SECOND);
    assert_int_equal(a.ready + b.ready, 1);
    close_end(&a);
    close_end(&b);
    loop_free(loop);
}

/* ---- wakes and signals ------------------------------------------------------------------- */

enum { THREADS = 4, WAKES = 20000 };

struct sender {
    pthread_t thread;
    struct loop *loop;
    struct note {
        struct loop_wake wake;
        struct sender *sender;
        unsigned number;
    } * notes;
    unsigned seen;
};

static void woken(void *arg)
{
    struct note *one = arg;
    assert_int_equal(one->number, one->sender->seen);
    one->sender->seen++;
}

static void *send_wakes(void *arg)
{
    struct sender *sender = arg;
    for (unsigned i = 0; i < WAKES; i++) {
        sender->notes[i] = (struct note){{NULL, woken, &sender->notes[i]}, sender, i};
        loop_wake(sender->loop, &sender->notes[i].wake);
    }
    return NULL;
}

static void wakes_from_threads_all_arrive_in_order(void **state)
{
    struct sender senders[THREADS];
    struct loop *loop = loop_new();
    unsigned seen = 0;
    (void)state;
    for (int i = 0; i < THREADS; i++) {
        senders[i] = (struct sender){.loop = loop};
        senders[i].notes = mem_new(WAKES * sizeof *senders[i].notes);
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_wakes, &senders[i]), 0);
    }
    mono_us limit = clock_mono() + 20 * (mono_us)SECOND;
    while (seen < THREADS * WAKES && clock_mono() < limit) {
        loop_turn(loop, SECOND);
        seen = 0;
        for (int i = 0; i < THREADS; i++) {
            seen += senders[i].seen;
        }
    }
    assert_int_equal(seen, THREADS * WAKES);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
        mem_free(senders[i].notes);
    }
    loop_free(loop);
}

struct caught {
    struct loop *loop;
    int number;
    mono_us at;
};

static void signal_came(void *arg, int number)
{
    struct caught *caught = arg;
    caught->number = number;
    caught->at = loop_now(caught->loop);
    loop_stop(caught->loop);
}

static void *signal_in_a_moment(void *arg)
{
    (void)usleep(80000);
    (void)kill(getpid(), SIGUSR1);
    return arg;
}

static void a_signal_wakes_the_loop_and_sees_the_right_time(void **state)
{
    struct caught caught = {.loop = loop_new()};
    pthread_t thread;
    (void)state;
    loop_signal(caught.loop, SIGUSR1, signal_came, &caught);
    for (int i = 1; i <= 2; i++) { /* and a loop that was stopped can run again */
        caught.number = 0;
        mono_us before = clock_mono();
        assert_int_equal(pthread_create(&thread, NULL, signal_in_a_moment, NULL), 0);
        loop_run(caught.loop);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(caught.number, SIGUSR1);
        assert_true(caught.at >= before + 80000);
    }
    loop_free(caught.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order_whatever_was_moved_or_cancelled),
        cmocka_unit_test(a_timer_that_sets_itself_lets_the_turn_end),
        cmocka_unit_test(a_long_turn_does_not_delay_the_timers_set_in_it),
        cmocka_unit_test(a_frozen_clock_stands_still_while_descriptors_work),
        cmocka_unit_test(tasks_run_once_in_order_and_those_they_queue_too),
        cmocka_unit_test(turn_ends_may_remove_and_add_each_other),
        cmocka_unit_test(a_task_from_a_turn_end_is_followed_by_all_turn_ends),
        cmocka_unit_test(descriptors_are_watched_as_wanted),
        cmocka_unit_test(what_is_done_with_is_not_called_in_the_same_turn),
        cmocka_unit_test(wakes_from_threads_all_arrive_in_order),
        cmocka_unit_test(a_signal_wakes_the_loop_and_sees_the_right_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
