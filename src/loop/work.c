/* SPDX-License-Identifier: MIT */
/* work.c - threads that do the long work of a loop; knows nothing of what that is. */
#include "loop/work.h"

#include "base/mem.h"
#include "base/must.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#define NICE        5
#define STACK_BYTES ((size_t)256 * 1024)
/* Memory of long messages that was not needed for so long is given back. */
#define TRIM_US    1000000
#define FREE_BYTES ((size_t)1024 * 1024)

struct work_pool {
    struct loop *loop;
    struct loop_wake wake;
    pthread_mutex_t lock; /* of all below, but the threads' names */
    pthread_cond_t has_work, has_result;
    struct list waiting, finished;
    struct list told; /* finished, and `done` is about to run: the loop's, needs no lock */
    struct loop_timer trim_timer;
    struct work trim;
    bool is_trimming; /* the loop's */
    unsigned waiting_count, idle;
    bool is_woken; /* `wake` is queued */
    bool is_ending;
    pthread_t threads[WORK_THREADS];
    unsigned thread_count;
};

static void lock(struct work_pool *pool)
{
    must(pthread_mutex_lock(&pool->lock) == 0);
}

static void unlock(struct work_pool *pool)
{
    must(pthread_mutex_unlock(&pool->lock) == 0);
}

static struct work *work_of(struct list_link *link)
{
    return LIST_ITEM(link, struct work, link);
}

/* ---- the threads -------------------------------------------------------------------------- */

static void *serve(void *arg)
{
    struct work_pool *pool = arg;
    struct list_link *link;
    /* Of this thread alone: where cores are few the loop goes first. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    lock(pool);
    while (!pool->is_ending) {
        link = list_first(&pool->waiting);
        if (!link) {
            pool->idle++;
            (void)pthread_cond_wait(&pool->has_work, &pool->lock);
            pool->idle--;
            continue;
        }
        list_remove(link);
        pool->waiting_count--;
        unlock(pool);
        bool is_awaited = work_of(link)->done != NULL; /* else it is gone when it has run */
        work_of(link)->run(work_of(link));
        lock(pool);
        if (!is_awaited) {
            continue;
        }
        list_append(&pool->finished, link);
        (void)pthread_cond_signal(&pool->has_result);
        if (!pool->is_woken) {
            pool->is_woken = true;
            loop_wake(pool->loop, &pool->wake);
        }
    }
    unlock(pool);
    return NULL;
}

/* Signals are the loop's. */
static bool start_thread(struct work_pool *pool)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool is_started =
        pthread_create(&pool->threads[pool->thread_count], &attributes, serve, pool) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    pool->thread_count += is_started;
    return is_started;
}

/* ---- the loop's side ---------------------------------------------------------------------- */

static void tell(void *arg)
{
    struct work_pool *pool = arg;
    struct list_link *link;
    lock(pool);
    pool->is_woken = false;
    while ((link = list_first(&pool->finished))) {
        list_remove(link);
        list_append(&pool->told, link);
    }
    unlock(pool);
    while ((link = list_first(&pool->told))) { /* any of them may await another */
        list_remove(link);
        work_of(link)->done(work_of(link), true);
    }
}

static void trim(struct work *work)
{
    (void)work;
    mem_trim();
}

static void trimmed(struct work *work, bool has_run)
{
    (void)has_run;
    LIST_ITEM(work, struct work_pool, trim)->is_trimming = false;
}

static void time_to_trim(void *arg)
{
    struct work_pool *pool = arg;
    if (!pool->is_trimming) {
        pool->is_trimming = work_start(pool->loop, &pool->trim);
    }
}

static struct work_pool *pool_of(struct loop *loop)
{
    struct work_pool **place = loop_work_pool(loop);
    if (!*place) {
        struct work_pool *pool = mem_new(sizeof *pool);
        pool->loop = loop;
        pool->wake = (struct loop_wake){NULL, tell, pool};
        must(pthread_mutex_init(&pool->lock, NULL) == 0);
        must(pthread_cond_init(&pool->has_work, NULL) == 0);
        must(pthread_cond_init(&pool->has_result, NULL) == 0);
        list_init(&pool->waiting);
        list_init(&pool->finished);
        list_init(&pool->told);
        loop_timer_init(&pool->trim_timer, time_to_trim, pool);
        work_init(&pool->trim, trim, trimmed);
        *place = pool;
    }
    return *place;
}

bool work_start(struct loop *loop, struct work *work)
{
    struct work_pool *pool = pool_of(loop);
    bool is_taken = false;
    lock(pool);
    if (pool->waiting_count >= pool->idle && pool->thread_count < WORK_THREADS &&
        !pool->is_ending) {
        (void)start_thread(pool);
    }
    if (pool->thread_count && pool->waiting_count < WORK_WAITING && !pool->is_ending) {
        list_append(&pool->waiting, &work->link);
        pool->waiting_count++;
        is_taken = true;
        (void)pthread_cond_signal(&pool->has_work);
    }
    unlock(pool);
    return is_taken;
}

static bool is_in(const struct list *list, const struct work *work)
{
    list_each (link, list) {
        if (link == &work->link) {
            return true;
        }
    }
    return false;
}

/* Under the lock. */
static bool take_back(struct work_pool *pool, struct work *work)
{
    bool is_waiting = is_in(&pool->waiting, work);
    if (is_waiting) {
        list_remove(&work->link);
        pool->waiting_count--;
    }
    return is_waiting;
}

bool work_withdraw(struct loop *loop, struct work *work)
{
    struct work_pool *pool = pool_of(loop);
    lock(pool);
    bool is_back = take_back(pool, work);
    unlock(pool);
    return is_back;
}

void work_await(struct loop *loop, struct work *work)
{
    struct work_pool *pool = pool_of(loop);
    lock(pool);
    bool is_back = take_back(pool, work);
    while (!is_back && !is_in(&pool->finished, work) && !is_in(&pool->told, work)) {
        (void)pthread_cond_wait(&pool->has_result, &pool->lock);
    }
    list_remove(&work->link);
    unlock(pool);
    if (is_back) {
        work->run(work);
    }
}

static void leave(struct work *work)
{
    if (work->done) {
        work->done(work, false);
    } else {
        work->run(work);
    }
}

void work_pool_free(struct work_pool *pool)
{
    struct list_link *link;
    if (!pool) {
        return;
    }
    loop_timer_cancel(pool->loop, &pool->trim_timer);
    lock(pool);
    pool->is_ending = true;
    (void)pthread_cond_broadcast(&pool->has_work);
    unlock(pool);
    for (unsigned i = 0; i < pool->thread_count; i++) {
        (void)pthread_join(pool->threads[i], NULL);
    }
    if (pool->is_woken) {
        loop_unwake(pool->loop, &pool->wake);
    }
    while ((link = list_first(&pool->finished))) {
        list_remove(link);
        work_of(link)->done(work_of(link), true);
    }
    while ((link = list_first(&pool->waiting))) {
        list_remove(link);
        leave(work_of(link));
    }
    (void)pthread_cond_destroy(&pool->has_work);
    (void)pthread_cond_destroy(&pool->has_result);
    (void)pthread_mutex_destroy(&pool->lock);
    mem_free(pool);
}

/* ---- memory ------------------------------------------------------------------------------- */

/* Lies in the memory that is to be freed. */
struct freeing {
    struct work work;
    size_t size;
};

static void free_itself(struct work *work)
{
    struct freeing *freeing = LIST_ITEM(work, struct freeing, work);
    mem_long_free(freeing, freeing->size);
}

void work_free_long(struct loop *loop, void *memory, size_t size)
{
    loop_timer_set(loop, &pool_of(loop)->trim_timer, loop_now(loop) + TRIM_US);
    if (mem_long_keep(memory, size)) {
        return;
    }
    struct freeing *freeing = memory;
    work_init(&freeing->work, free_itself, NULL);
    freeing->size = size;
    if (!work_start(loop, &freeing->work)) {
        mem_long_free(memory, size);
    }
}
