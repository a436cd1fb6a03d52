/* SPDX-License-Identifier: MIT */
/* test_work.c - work on threads: done once, in time, and never after its owner took it back. */
#include "base/mem.h"
#include "loop/block.h"
#include "loop/work.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define WAIT_US 20000000

struct job {
    struct work work;
    struct loop *loop;
    struct job *next;    /* started by its `done` */
    struct job *awaited; /* awaited by its `done` */
    uint64_t input, output;
    pthread_t ran_in;
    unsigned told, told_run;
    pthread_mutex_t *gate; /* held while it must not go on */
};

static struct job *job_of(struct work *work)
{
    return LIST_ITEM(work, struct job, work);
}

static void run(struct work *work)
{
    struct job *job = job_of(work);
    if (job->gate) {
        (void)pthread_mutex_lock(job->gate);
        (void)pthread_mutex_unlock(job->gate);
    }
    job->output = job->input * 2;
    job->ran_in = pthread_self();
}

static void done(struct work *work, bool has_run)
{
    struct job *job = job_of(work);
    job->told++;
    job->told_run += has_run;
    if (job->next) {
        assert_true(work_start(job->loop, &job->next->work));
    }
    if (job->awaited && !job->awaited->told) {
        work_await(job->loop, &job->awaited->work);
    }
}

static void job_init(struct job *job, struct loop *loop, uint64_t input)
{
    *job = (struct job){.loop = loop, .input = input};
    work_init(&job->work, run, done);
}

static void turn_until(struct loop *loop, const unsigned *count, unsigned wanted)
{
    mono_us limit = clock_mono() + WAIT_US;
    while (*count < wanted && clock_mono() < limit) {
        loop_turn(loop, 10000);
    }
    assert_int_equal(*count, wanted);
}

static void runs_elsewhere_and_tells_on_the_loop(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct job first;
    struct job second;
    job_init(&first, loop, 21);
    job_init(&second, loop, 4);
    first.next = &second;
    assert_true(work_start(loop, &first.work));
    assert_int_equal(first.told, 0);
    turn_until(loop, &second.told, 1);
    assert_int_equal(first.told_run, 1);
    assert_int_equal(first.output, 42);
    assert_int_equal(second.output, 8);
    assert_false(pthread_equal(first.ran_in, pthread_self()));
    loop_free(loop);
    assert_int_equal(first.told + second.told, 2);
}

static void many_are_all_done_and_too_many_refused(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    static struct job jobs[WORK_WAITING + WORK_THREADS + 1];
    bool is_taken[WORK_WAITING + WORK_THREADS + 1];
    unsigned taken = 0;
    (void)pthread_mutex_lock(&gate);
    for (unsigned i = 0; i < WORK_WAITING + WORK_THREADS + 1; i++) {
        job_init(&jobs[i], loop, i);
        jobs[i].gate = &gate;
        is_taken[i] = work_start(loop, &jobs[i].work);
        taken += is_taken[i];
    }
    /* The threads may or may not have begun yet: what waits is bounded in any case. */
    assert_in_range(taken, WORK_WAITING, WORK_WAITING + WORK_THREADS);
    (void)pthread_mutex_unlock(&gate);
    for (unsigned i = 0; i < WORK_WAITING + WORK_THREADS + 1; i++) {
        turn_until(loop, &jobs[i].told, is_taken[i]);
        assert_int_equal(jobs[i].output, is_taken[i] ? 2 * i : 0);
    }
    loop_free(loop);
    (void)pthread_mutex_destroy(&gate);
}

/* Occupies every thread until `gate` is given up. */
static void occupy(struct loop *loop, struct job *jobs, pthread_mutex_t *gate)
{
    (void)pthread_mutex_lock(gate);
    for (unsigned i = 0; i < WORK_THREADS; i++) {
        job_init(&jobs[i], loop, 1);
        jobs[i].gate = gate;
        assert_true(work_start(loop, &jobs[i].work));
    }
}

static void withdrawn_before_it_began(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    struct job busy[WORK_THREADS];
    struct job job;
    occupy(loop, busy, &gate);
    job_init(&job, loop, 3);
    assert_true(work_start(loop, &job.work));
    assert_true(work_withdraw(loop, &job.work));
    assert_false(work_withdraw(loop, &job.work));
    (void)pthread_mutex_unlock(&gate);
    turn_until(loop, &busy[0].told, 1);
    turn_until(loop, &busy[1].told, 1);
    assert_false(work_withdraw(loop, &busy[0].work));
    loop_free(loop);
    assert_int_equal(job.told, 0);
    assert_int_equal(job.output, 0);
    (void)pthread_mutex_destroy(&gate);
}

static void awaited_in_each_state(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    struct job busy[WORK_THREADS];
    struct job waiting;
    struct job running;
    occupy(loop, busy, &gate);
    job_init(&waiting, loop, 5);
    assert_true(work_start(loop, &waiting.work));
    work_await(loop, &waiting.work); /* done here */
    assert_int_equal(waiting.output, 10);
    (void)pthread_mutex_unlock(&gate);
    turn_until(loop, &busy[0].told, 1);
    turn_until(loop, &busy[1].told, 1);
    for (unsigned i = 0; i < 200; i++) {
        job_init(&running, loop, i);
        assert_true(work_start(loop, &running.work));
        work_await(loop, &running.work);
        assert_int_equal(running.output, 2 * i);
        assert_int_equal(running.told, 0);
    }
    loop_free(loop);
    assert_int_equal(running.told + waiting.told, 0);
    (void)pthread_mutex_destroy(&gate);
}

/* In every second round both have finished, and the first is told of: the second is not any more. */
static void awaited_while_it_is_about_to_be_told(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    unsigned told = 0;
    for (unsigned i = 0; i < 200; i++) {
        struct job first;
        struct job second;
        job_init(&first, loop, 1);
        job_init(&second, loop, 2);
        first.awaited = &second;
        assert_true(work_start(loop, &first.work));
        assert_true(work_start(loop, &second.work));
        if (i % 2) {
            mono_us until = clock_mono() + 500;
            while (clock_mono() < until) {
            }
        }
        turn_until(loop, &first.told, 1);
        assert_int_equal(second.output, 4);
        loop_turn(loop, 0);
        assert_true(second.told <= 1);
        told += second.told;
    }
    assert_true(told < 200);
    loop_free(loop);
}

static void the_loop_ends_first(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        struct loop *loop = loop_new();
        struct job jobs[20];
        for (unsigned k = 0; k < 20; k++) {
            job_init(&jobs[k], loop, 7);
            assert_true(work_start(loop, &jobs[k].work));
        }
        if (i % 2) {
            loop_turn(loop, 0);
        }
        loop_free(loop);
        for (unsigned k = 0; k < 20; k++) {
            assert_int_equal(jobs[k].told, 1);
            assert_int_equal(jobs[k].output, jobs[k].told_run ? 14 : 0);
        }
    }
}

static void memory_is_given_back(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    for (unsigned i = 0; i < 100; i++) {
        size_t size = 0;
        char *memory = mem_long_try((size_t)(i % 2 ? 3 : 20) << 20, SIZE_MAX, &size);
        assert_non_null(memory);
        memset(memory, 'x', size);
        work_free_long(loop, memory, size); /* kept, by a thread, here, or when the loop ends */
    }
    struct buf buf;
    buf_init(&buf, (size_t)8 << 20);
    (void)buf_reserve(&buf, (size_t)4 << 20);
    buf_put_text(&buf, "0123456789");
    struct block *block = block_new(loop, &buf);
    assert_null(buf.data);
    assert_true(block_holds(block, (struct slice){block->bytes.data + 2, 8}));
    assert_false(block_holds(block, (struct slice){block->bytes.data + 2, 9}));
    assert_false(block_holds(block, SLICE("0123")));
    assert_ptr_equal(block_ref(block), block);
    assert_null(block_unref(block));
    assert_memory_equal(block->bytes.data, "0123456789", 10);
    assert_null(block_unref(block));
    assert_null(block_unref(NULL));
    buf_put_text(&buf, "short");
    block_done_buf(loop, &buf);
    block_done_buf(loop, &buf);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_elsewhere_and_tells_on_the_loop),
        cmocka_unit_test(many_are_all_done_and_too_many_refused),
        cmocka_unit_test(withdrawn_before_it_began),
        cmocka_unit_test(awaited_in_each_state),
        cmocka_unit_test(awaited_while_it_is_about_to_be_told),
        cmocka_unit_test(the_loop_ends_first),
        cmocka_unit_test(memory_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
