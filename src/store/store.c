/* SPDX-License-Identifier: MIT */
/* store.c - the queue of what is to be kept, and the thread that writes it. */
#include "store/store.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "loop/loop.h"
#include "store/db.h"
#include "store/image.h"
#include "value/pack.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

/* Longer queues lose what comes. */
#define QUEUE_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define RETRY_MS        30000u

struct store {
    struct store_options options;
    char *folder;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t work; /* for the thread */
    pthread_cond_t idle; /* for whoever flushes */
    /* under the lock */
    struct db_job *queue, **queue_tail;
    size_t queued, queued_bytes;
    uint64_t lost;
    bool is_closing, wants_load, is_open, is_waking;
    bool is_settled;       /* the queue is empty, or could not be written just now */
    uint64_t put, written; /* jobs, since the start */
    struct store_wait *waits, *settled; /* the latter are told next */
    struct image *image;                /* read, and not yet handed on */
    struct err failure;                 /* code 0: none */
    struct err load_failure;            /* to be handed on */
    /* the loop's */
    struct loop_wake wake;
    struct list loads; /* struct store_load: to be told */
    /* the thread's */
    struct db *db;
    bool is_behind; /* what failed is to be tried again */
};

/* ---- the thread -------------------------------------------------------------------------- */

static void wake_loop(struct store *store)
{
    if (!store->is_waking) {
        store->is_waking = true;
        loop_wake(store->options.loop, &store->wake);
    }
}

/* Said once for as long as it is the same. Under the lock. */
static void note_failure(struct store *store, const struct err *err)
{
    if (!store->failure.code) {
        log_at(LOG_ERROR, "store", "nothing is kept for now; serving goes on",
               LOG_TEXT("why", err->text));
    }
    store->failure = *err;
    store->is_behind = true;
}

static void note_success(struct store *store)
{
    if (store->failure.code) {
        log_at(LOG_INFO, "store", "the database can be used again", LOG_NOTHING);
    }
    store->failure.code = ERR_NONE;
    store->is_behind = false;
}

/* Under the lock. With `all`, also those whose records could not be written. */
static void settle_waits(struct store *store, bool all)
{
    struct store_wait **place = &store->waits;
    while (*place) {
        struct store_wait *wait = *place;
        wait->is_kept = wait->upto <= store->written;
        if (!all && !wait->is_kept) {
            place = &wait->next;
            continue;
        }
        *place = wait->next;
        wait->next = store->settled;
        store->settled = wait;
        wake_loop(store);
    }
}

static void free_jobs(struct db_job *job)
{
    while (job) {
        struct db_job *next = job->next;
        mem_free(job);
        job = next;
    }
}

/* Under the lock, which is given up meanwhile. */
static bool open_file(struct store *store)
{
    struct err err = {0};
    if (store->db) {
        return true;
    }
    (void)pthread_mutex_unlock(&store->lock);
    int r = db_open(store->folder, &store->db, &err);
    (void)pthread_mutex_lock(&store->lock);
    store->is_open = r == 0;
    if (r < 0) {
        note_failure(store, &err);
    }
    return r == 0;
}

/* A file that went wrong is looked at anew, from its modes on. */
static void close_file(struct store *store)
{
    struct db *db = store->db;
    store->db = NULL;
    store->is_open = false;
    (void)pthread_mutex_unlock(&store->lock);
    db_close(db);
    (void)pthread_mutex_lock(&store->lock);
}

static void load(struct store *store)
{
    struct err err = {0};
    struct image *image = NULL;
    if (open_file(store)) {
        (void)pthread_mutex_unlock(&store->lock);
        image = image_read(store->db, &err);
        (void)pthread_mutex_lock(&store->lock);
        if (!image) {
            note_failure(store, &err);
            close_file(store);
        }
    }
    if (image) {
        note_success(store);
        store->wants_load = false;
        image_free(store->image);
        store->image = image;
    } else {
        store->load_failure = store->failure; /* and wanted still */
    }
    wake_loop(store);
}

static void write_queue(struct store *store)
{
    struct err err = {0};
    struct db_job *jobs = store->queue;
    if (!open_file(store)) {
        return;
    }
    struct db_job **tail = store->queue_tail;
    size_t count = store->queued;
    size_t bytes = store->queued_bytes;
    store->queue = NULL;
    store->queue_tail = &store->queue;
    (void)pthread_mutex_unlock(&store->lock);
    int r = db_write(store->db, jobs, &err);
    if (r == 0) {
        free_jobs(jobs);
    }
    (void)pthread_mutex_lock(&store->lock);
    if (r == 0) {
        store->queued -= count;
        store->queued_bytes -= bytes;
        store->written += count;
        settle_waits(store, false);
        note_success(store);
        return;
    }
    *tail = store->queue; /* what came meanwhile stays behind it */
    if (!store->queue) {
        store->queue_tail = tail;
    }
    store->queue = jobs;
    note_failure(store, &err);
    close_file(store);
}

static bool has_work(const struct store *store)
{
    return store->queue || store->wants_load;
}

/* Until there is work; after a failure, until it is time for another try. */
static void await_work(struct store *store)
{
    struct timespec until;
    uint32_t wait = store->options.retry_ms ? store->options.retry_ms : RETRY_MS;
    settle_waits(store, true);
    store->is_settled = true;
    (void)pthread_cond_broadcast(&store->idle);
    if (!store->is_behind) {
        (void)pthread_cond_wait(&store->work, &store->lock);
        return;
    }
    wall_ms when = clock_mono() / 1000 + wait;
    until = (struct timespec){when / 1000, when % 1000 * 1000000};
    while (!store->is_closing &&
           pthread_cond_timedwait(&store->work, &store->lock, &until) != ETIMEDOUT) {
        settle_waits(store, true); /* what came meanwhile cannot be written either */
        store->is_settled = true;
        (void)pthread_cond_broadcast(&store->idle);
    }
    store->is_behind = false;
}

static void *work(void *arg)
{
    struct store *store = arg;
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, NULL);
    (void)pthread_mutex_lock(&store->lock);
    for (;;) {
        if (store->is_closing && (!store->queue || store->is_behind)) {
            break;
        }
        if (store->is_behind || !has_work(store)) {
            await_work(store);
            continue;
        }
        if (store->wants_load && !store->is_closing) {
            load(store);
        }
        if (store->queue && !store->is_behind) {
            write_queue(store);
        }
    }
    store->is_settled = true;
    (void)pthread_cond_broadcast(&store->idle);
    (void)pthread_mutex_unlock(&store->lock);
    db_close(store->db);
    return NULL;
}

/* Under the lock. */
static void rouse(struct store *store)
{
    store->is_settled = false;
    if (store->has_thread) {
        (void)pthread_cond_signal(&store->work);
        return;
    }
    store->has_thread = pthread_create(&store->thread, NULL, work, store) == 0;
    if (!store->has_thread) {
        struct err err = {0};
        (void)err_set(&err, ERR_UNAVAILABLE, "there is no thread to use the database with");
        note_failure(store, &err);
        store->is_settled = true;
        store->load_failure = err;
        wake_loop(store);
    }
}

/* ---- life -------------------------------------------------------------------------------- */

/* One after the other: whoever is told may forget another one. */
static void tell_waits(struct store *store)
{
    for (;;) {
        (void)pthread_mutex_lock(&store->lock);
        struct store_wait *wait = store->settled;
        store->settled = wait ? wait->next : NULL;
        (void)pthread_mutex_unlock(&store->lock);
        if (!wait) {
            return;
        }
        wait->done(wait->arg, wait->is_kept);
    }
}

/* Those who are told that it failed are told again when it could be read. */
static void tell_loads(struct store *store, const struct store_image *image,
                       const struct err *err)
{
    struct list_link *link;
    struct list told;
    list_init(&told);
    while ((link = list_first(&store->loads))) {
        struct store_load *load = LIST_ITEM(link, struct store_load, link);
        list_remove(link);
        if (!image) {
            list_append(&told, link);
        }
        load->loaded(load->arg, image, err);
    }
    while ((link = list_first(&told))) {
        list_remove(link);
        list_append(&store->loads, link);
    }
}

static void woken(void *arg)
{
    struct store *store = arg;
    (void)pthread_mutex_lock(&store->lock);
    struct image *image = store->image;
    struct err err = store->load_failure;
    store->image = NULL;
    store->load_failure.code = ERR_NONE;
    store->is_waking = false;
    (void)pthread_mutex_unlock(&store->lock);
    tell_waits(store);
    if (image) {
        tell_loads(store, &image->rows, NULL);
        image_free(image);
    } else if (err.code) {
        tell_loads(store, NULL, &err);
    }
}

struct store *store_new(const struct store_options *options)
{
    struct store *store = mem_new(sizeof *store);
    pthread_condattr_t monotonic;
    store->options = *options;
    store->folder = mem_dup(slice_of(options->folder));
    store->queue_tail = &store->queue;
    list_init(&store->loads);
    store->is_settled = true;
    store->wake = (struct loop_wake){NULL, woken, store};
    (void)pthread_mutex_init(&store->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&store->work, &monotonic);
    (void)pthread_cond_init(&store->idle, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return store;
}

void store_free(struct store *store)
{
    if (!store) {
        return;
    }
    (void)pthread_mutex_lock(&store->lock);
    store->is_closing = true;
    store->is_behind = false; /* one more try */
    (void)pthread_cond_signal(&store->work);
    (void)pthread_mutex_unlock(&store->lock);
    if (store->has_thread) {
        (void)pthread_join(store->thread, NULL);
    }
    loop_unwake(store->options.loop, &store->wake);
    if (store->queued) {
        log_at(LOG_ERROR, "store", "records were not kept", LOG_INT("records", store->queued),
               LOG_TEXT("why", store->failure.text));
    }
    free_jobs(store->queue);
    image_free(store->image);
    (void)pthread_mutex_destroy(&store->lock);
    (void)pthread_cond_destroy(&store->work);
    (void)pthread_cond_destroy(&store->idle);
    mem_free(store->folder);
    mem_free(store);
}

void store_flush(struct store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    while (!store->is_settled) {
        (void)pthread_cond_wait(&store->idle, &store->lock);
    }
    (void)pthread_mutex_unlock(&store->lock);
}

void store_await(struct store *store, struct store_wait *wait)
{
    (void)pthread_mutex_lock(&store->lock);
    wait->upto = store->put;
    wait->next = store->waits;
    store->waits = wait;
    rouse(store);
    if (!store->has_thread) {
        settle_waits(store, true);
    }
    (void)pthread_mutex_unlock(&store->lock);
}

static void unlink_wait(struct store_wait **list, const struct store_wait *wait)
{
    while (*list && *list != wait) {
        list = &(*list)->next;
    }
    if (*list) {
        *list = wait->next;
    }
}

void store_forget_wait(struct store *store, struct store_wait *wait)
{
    (void)pthread_mutex_lock(&store->lock);
    unlink_wait(&store->waits, wait);
    unlink_wait(&store->settled, wait);
    (void)pthread_mutex_unlock(&store->lock);
}

void store_load(struct store *store, struct store_load *load)
{
    list_append(&store->loads, &load->link);
    (void)pthread_mutex_lock(&store->lock);
    store->wants_load = true;
    rouse(store);
    (void)pthread_mutex_unlock(&store->lock);
}

void store_forget_load(struct store_load *load)
{
    list_remove(&load->link);
}

void store_put_status(struct store *store, struct buf *out)
{
    (void)pthread_mutex_lock(&store->lock);
    bool has_failed = store->failure.code != ERR_NONE;
    size_t opened = pack_open(out);
    pack_put_key_text(out, "state", has_failed ? "failed" : store->is_open ? "open" : "closed");
    if (has_failed) {
        pack_put_key_text(out, "reason", store->failure.text);
    }
    pack_put_key_int(out, "queued", (int64_t)store->queued);
    if (store->lost) {
        pack_put_key_int(out, "lost", (int64_t)store->lost);
    }
    pack_close_map(out, opened, 2u + has_failed + (store->lost > 0));
    (void)pthread_mutex_unlock(&store->lock);
}

/* ---- the queue --------------------------------------------------------------------------- */

static bool has_bytes(const struct db_value *value)
{
    return value->type == DB_TEXT || value->type == DB_BLOB || value->type == DB_JSON;
}

/* One piece of memory with all its bytes; NULL: there is none. */
static struct db_job *job_new(enum db_statement statement, const struct db_value *values,
                              unsigned count)
{
    size_t size = sizeof(struct db_job);
    must(count <= DB_VALUES_MAX);
    for (unsigned i = 0; i < count; i++) {
        size += has_bytes(&values[i]) ? values[i].bytes.len : 0;
    }
    struct db_job *job = mem_try(size);
    if (!job) {
        return NULL;
    }
    *job = (struct db_job){.statement = statement, .count = count, .size = size};
    char *at = (char *)(job + 1);
    for (unsigned i = 0; i < count; i++) {
        job->values[i] = values[i];
        if (has_bytes(&values[i]) && values[i].bytes.len) {
            memcpy(at, values[i].bytes.ptr, values[i].bytes.len);
            job->values[i].bytes.ptr = at;
            at += values[i].bytes.len;
        }
    }
    return job;
}

static void put(struct store *store, enum db_statement statement, const struct db_value *values,
                unsigned count)
{
    struct db_job *job = job_new(statement, values, count);
    (void)pthread_mutex_lock(&store->lock);
    if (!job || store->queued_bytes + job->size > QUEUE_BYTES_MAX) {
        if (!store->lost++) {
            log_at(LOG_ERROR, "store", "the queue is full, records are lost", LOG_NOTHING);
        }
        mem_free(job);
    } else {
        *store->queue_tail = job;
        store->queue_tail = &job->next;
        store->queued++;
        store->put++;
        store->queued_bytes += job->size;
        rouse(store);
    }
    (void)pthread_mutex_unlock(&store->lock);
}

static struct db_value text(struct slice bytes)
{
    return (struct db_value){DB_TEXT, 0, bytes};
}

static struct db_value hash_or_null(const uint8_t *hash)
{
    return hash ? (struct db_value){DB_BLOB, 0, {(const char *)hash, SHA256_BYTES}}
                : (struct db_value){.type = DB_NULL};
}

static struct db_value definition(struct slice bytes)
{
    return (struct db_value){
        bytes.len && bytes.len <= STORE_DEFINITION_MAX * 2 ? DB_JSON : DB_NULL, 0, bytes};
}

static struct db_value number(int64_t value)
{
    return (struct db_value){.type = DB_INT, .number = value};
}

void store_put_pin(struct store *store, const struct store_pin *pin)
{
    const struct db_value values[] = {
        text(pin->service),           text(pin->tool),          hash_or_null(pin->hash),
        definition(pin->definition),  number(pin->approved_at), text(pin->approved_by),
        hash_or_null(pin->seen_hash), definition(pin->seen),    number(pin->is_gone),
    };
    put(store, DB_PUT_PIN, values, sizeof values / sizeof values[0]);
}

void store_drop_pin(struct store *store, struct slice service, struct slice tool)
{
    const struct db_value values[] = {text(service), text(tool)};
    put(store, DB_DROP_PIN, values, 2);
}

void store_put_era(struct store *store, const struct store_era *era)
{
    const struct db_value values[] = {text(era->service), hash_or_null(era->configuration),
                                      number(era->is_modern), number(era->is_sse)};
    put(store, DB_PUT_ERA, values, 4);
}
