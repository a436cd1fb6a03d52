/* SPDX-License-Identifier: MIT */
/* store.c - the store's life, who waits for it, and how it says that it is. */
#include "store/room.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "value/pack.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

void store_wake_loop(struct store *store)
{
    if (!store->is_waking) {
        store->is_waking = true;
        loop_wake(store->options.loop, &store->wake);
    }
}

void store_rouse(struct store *store)
{
    store->is_settled = false;
    if (store->has_thread) {
        (void)pthread_cond_signal(&store->work);
        return;
    }
    store->has_thread = pthread_create(&store->thread, NULL, store_work, store) == 0;
    if (!store->has_thread) {
        struct err err = {0};
        (void)err_set(&err, ERR_UNAVAILABLE, "there is no thread to use the database with");
        store_note_failure(store, &err);
        store->is_settled = true;
        store->load_failure = err;
        store_wake_loop(store);
    }
}

/* ---- told on the loop -------------------------------------------------------------------- */

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
    if (store->written >= store->lost_upto) {
        store->is_lossy = false; /* whoever put it has had his turn to wait for it */
    }
    (void)pthread_mutex_unlock(&store->lock);
    tell_waits(store);
    claims_tell(store);
    queries_tell(store);
    if (image) {
        tell_loads(store, &image->rows, NULL);
        image_free(image);
    } else if (err.code) {
        tell_loads(store, NULL, &err);
    }
}

static char *path_of(const char *folder)
{
    size_t size = strlen(folder) + sizeof "/" STORE_FILE;
    char *path = mem_new(size);
    (void)snprintf(path, size, "%s/%s", folder, STORE_FILE);
    return path;
}

struct store *store_new(const struct store_options *options)
{
    struct store *store = mem_new(sizeof *store);
    store->bytes_max = INT64_MAX;
    pthread_condattr_t monotonic;
    store->options = *options;
    store->folder = mem_dup(slice_of(options->folder));
    store->path = path_of(store->folder);
    queue_init(&store->queue);
    queue_init(&store->held);
    store->answered_tail = &store->answered;
    list_init(&store->loads);
    list_init(&store->claims);
    list_init(&store->asked_queries);
    activity_init(store);
    must(getrandom(store->owner, sizeof store->owner, 0) == sizeof store->owner);
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
    activity_hand_over(store);
    activity_done(store);
    (void)pthread_mutex_lock(&store->lock);
    store->is_closing = true;
    store->try_at = 0; /* one more try */
    claims_answer(store, &store->queue, &store->failure);
    (void)pthread_cond_signal(&store->work);
    (void)pthread_mutex_unlock(&store->lock);
    if (store->has_thread) {
        (void)pthread_join(store->thread, NULL);
    }
    loop_unwake(store->options.loop, &store->wake);
    if (store->queue.count) {
        log_at(LOG_ERROR, "store", "records were not kept",
               LOG_INT("records", store->queue.count), LOG_TEXT("why", store->failure.text));
    }
    db_job_free(store->queue.first);
    db_job_free(store->answered);
    queries_free(store);
    image_free(store->image);
    (void)pthread_mutex_destroy(&store->lock);
    (void)pthread_cond_destroy(&store->work);
    (void)pthread_cond_destroy(&store->idle);
    mem_free(store->folder);
    mem_free(store->path);
    mem_free(store);
}

void store_flush(struct store *store)
{
    activity_hand_over(store);
    (void)pthread_mutex_lock(&store->lock);
    while (!store->is_settled) {
        (void)pthread_cond_wait(&store->idle, &store->lock);
    }
    (void)pthread_mutex_unlock(&store->lock);
}

void store_await(struct store *store, struct store_wait *wait)
{
    (void)pthread_mutex_lock(&store->lock);
    wait->upto = store->is_lossy ? STORE_NEVER : store->put;
    wait->next = store->waits;
    store->waits = wait;
    store_rouse(store);
    if (!store->has_thread) {
        store_settle_waits(store, true);
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
    if (store->failure.code) { /* as it is now; and again when it can be read */
        store->load_failure = store->failure;
        store_wake_loop(store);
    }
    store_rouse(store);
    (void)pthread_mutex_unlock(&store->lock);
}

void store_forget_load(struct store_load *load)
{
    list_remove(&load->link);
}

void store_bound(struct store *store, int64_t bytes)
{
    (void)pthread_mutex_lock(&store->lock);
    store->bytes_max = bytes;
    (void)pthread_mutex_unlock(&store->lock);
}

/* Under the lock; how many pairs. */
static uint32_t put_status(const struct store *store, struct buf *out)
{
    struct err stuck = {0};
    const struct err *wrong = store_is_stuck(store, &stuck) ? &stuck
                              : store->failure.code         ? &store->failure
                              : store->fullness.code        ? &store->fullness
                                                            : NULL;
    uint64_t gathered = store->in_pieces + store->activity.writer.count;
    if (wrong) {
        pack_put_key_text(out, "state", wrong == &store->fullness ? "full" : "failed");
        pack_put_key_text(out, "reason", wrong->text);
    } else {
        pack_put_key_text(out, "state", store->is_open ? "open" : "closed");
    }
    pack_put_key_int(out, "queued", (int64_t)(store->queue.count + store->held.count));
    if (store->lost) {
        pack_put_key_int(out, "lost", (int64_t)store->lost);
    }
    if (gathered) {
        pack_put_key_int(out, "activity_queued", (int64_t)gathered);
    }
    if (store->dropped) {
        pack_put_key_int(out, "activity_dropped", (int64_t)store->dropped);
    }
    if (store->bytes) {
        pack_put_key_int(out, "bytes", store->bytes);
    }
    return 2u + (wrong != NULL) + (store->lost > 0) + (gathered > 0) + (store->dropped > 0) +
           (store->bytes > 0);
}

void store_put_status(struct store *store, struct buf *out)
{
    size_t opened = pack_open(out);
    (void)pthread_mutex_lock(&store->lock);
    uint32_t count = put_status(store, out);
    (void)pthread_mutex_unlock(&store->lock);
    pack_put_key_text(out, "path", store->path);
    pack_close_map(out, opened, count + 1);
}
