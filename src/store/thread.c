/* SPDX-License-Identifier: MIT */
/* thread.c - the one thread that touches the file: opens it, reads it, writes what is queued. */
#include "store/room.h"

#include "base/log.h"

#include <signal.h>
#include <time.h>

#define RETRY_MS    30000u
#define PATIENCE_MS 5000u
/* When old records are looked for: after something was written, and else. */
#define TIDY_SOON ((mono_us)10000000)
#define TIDY_LATE ((mono_us)3600000000)

/* ---- what came of it --------------------------------------------------------------------- */

/* Said once for as long as it lasts. */
void store_note_failure(struct store *store, const struct err *err)
{
    uint32_t retry = store->options.retry_ms ? store->options.retry_ms : RETRY_MS;
    if (!store->failure.code) {
        log_at(LOG_ERROR, "store", "nothing is kept for now; serving goes on",
               LOG_TEXT("why", err->text));
    }
    store->failure = *err;
    store->try_at = clock_mono() + (mono_us)retry * 1000;
}

static void note_success(struct store *store)
{
    if (store->failure.code) {
        log_at(LOG_INFO, "store", "the database can be used again", LOG_NOTHING);
    }
    store->failure.code = ERR_NONE;
    store->try_at = 0;
}

static bool may_try(const struct store *store)
{
    return !store->try_at || clock_mono() >= store->try_at;
}

void store_settle_waits(struct store *store, bool all)
{
    struct store_wait **place = &store->waits;
    while (*place) {
        struct store_wait *wait = *place;
        wait->is_kept = wait->upto <= store->written;
        if (!all && !wait->is_kept && wait->upto != STORE_NEVER) {
            place = &wait->next;
            continue;
        }
        *place = wait->next;
        wait->next = store->settled;
        store->settled = wait;
        store_wake_loop(store);
    }
}

/* Nothing is left to be written but what waits for another try. */
static void settle(struct store *store)
{
    store_settle_waits(store, true);
    if (store->failure.code) {
        claims_answer(store, &store->queue, &store->failure);
    }
    if (store->is_lossy) {
        store_wake_loop(store);
    }
    store->is_settled = true;
    (void)pthread_cond_broadcast(&store->idle);
}

/* ---- without the lock -------------------------------------------------------------------- */

void store_let_go(struct store *store)
{
    store->busy_since = clock_mono();
    (void)pthread_mutex_unlock(&store->lock);
}

void store_take_back(struct store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    store->busy_since = 0;
}

bool store_is_stuck(const struct store *store, struct err *reterr)
{
    uint32_t patience = store->options.patience_ms ? store->options.patience_ms : PATIENCE_MS;
    mono_us took = store->busy_since ? clock_mono() - store->busy_since : 0;
    if (took < (mono_us)patience * 1000) {
        return false;
    }
    (void)err_set(reterr, ERR_UNAVAILABLE,
                  "the disk has not answered for %lld s; look at what holds it up",
                  (long long)(took / 1000000));
    return true;
}

/* ---- the file ---------------------------------------------------------------------------- */

/* Under the lock, which is given up meanwhile. */
static bool open_file(struct store *store)
{
    struct err err = {0};
    if (store->db) {
        return true;
    }
    store_let_go(store);
    int r = db_open(store->folder, &store->db, &err);
    store_take_back(store);
    store->is_open = r == 0;
    if (r < 0) {
        store_note_failure(store, &err);
        return false;
    }
    store->bytes = db_bytes(store->db);
    return true;
}

/* A file that went wrong is looked at anew, from its modes on. */
static void close_file(struct store *store)
{
    struct db *db = store->db;
    store->db = NULL;
    store->is_open = false;
    store_let_go(store);
    db_close(db);
    store_take_back(store);
}

static void load(struct store *store)
{
    struct err err = {0};
    struct image *image = NULL;
    if (open_file(store)) {
        store_let_go(store);
        image = db_read_image(store->db, &err);
        store_take_back(store);
        if (!image) {
            store_note_failure(store, &err);
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
    store_wake_loop(store);
}

/* Whoever waits for one of those that could not be kept, is told so. */
static void count_records(struct store *store, const struct queue *batch)
{
    uint64_t at = store->written;
    for (const struct db_job *job = batch->first; job; job = job->next) {
        at++;
        if (job->kind == DB_RECORDS) {
            store->in_pieces -= ((const struct db_records *)job)->count;
        }
        if (!job->is_lost) {
            continue;
        }
        store->lost++;
        store->lost_upto = at;
        store->is_lossy = true;
        for (struct store_wait *wait = store->waits; wait; wait = wait->next) {
            wait->upto = wait->upto >= at ? STORE_NEVER : wait->upto;
        }
    }
}

static void note_room(struct store *store)
{
    store->fullness.code = ERR_NONE;
    (void)db_is_full(store->db, &store->fullness);
}

static void note_written(struct store *store, struct queue *batch)
{
    store->bytes = db_bytes(store->db);
    note_room(store);
    claims_answer(store, batch, NULL);
    count_records(store, batch);
    store->written += batch->count;
    store_settle_waits(store, false);
    note_success(store);
    mono_us soon = clock_mono() + TIDY_SOON;
    store->tidy_at = soon < store->tidy_at ? soon : store->tidy_at;
    store_let_go(store);
    db_job_free(batch->first);
    store_take_back(store);
}

/* Without the lock. A file that is not in its place any more is begun anew. */
static int write_batch(struct store *store, struct db_job *jobs, const struct db_bounds *bounds,
                       struct err *reterr)
{
    int r = db_write(store->db, jobs, bounds, reterr);
    if (r != -ERR_NOT_FOUND) {
        return r;
    }
    log_at(LOG_WARN, "store",
           "the database was moved away while it was in use; one is begun anew",
           LOG_TEXT("path", store->path));
    db_close(store->db);
    store->db = NULL;
    r = db_open(store->folder, &store->db, reterr);
    if (r == 0) {
        r = db_write(store->db, jobs, bounds, reterr);
    }
    if (r == -ERR_NOT_FOUND) { /* again: then later */
        reterr->code = ERR_UNAVAILABLE;
    }
    return r;
}

/* With an empty queue: to see whether the file can be written again. */
static void write_queue(struct store *store)
{
    struct err err = {0};
    if (!open_file(store)) {
        return;
    }
    struct queue batch = store->queue;
    const struct db_bounds bounds = {OUTCOMES_MAX - store->outcome_bytes, store->bytes_max};
    queue_init(&store->queue);
    store->held = batch;
    store_let_go(store);
    int r = write_batch(store, batch.first, &bounds, &err);
    store_take_back(store);
    queue_init(&store->held);
    if (r == 0) {
        note_written(store, &batch);
        return;
    }
    claims_answer(store, &batch, &err);
    queue_prepend(&store->queue, &batch);
    store_note_failure(store, &err);
    close_file(store);
}

/* A little of it, so that nobody waits long. */
static void tidy(struct store *store)
{
    struct err err = {0};
    struct db_keep keep = store->keep;
    bool has_more = false;
    store_let_go(store);
    int r = db_tidy(store->db, &keep, clock_wall(), &has_more, &err);
    store_take_back(store);
    store->tidy_at = has_more ? 0 : clock_mono() + TIDY_LATE;
    if (r < 0) {
        store_note_failure(store, &err);
        close_file(store);
    } else {
        note_room(store);
    }
}

/* ---- work -------------------------------------------------------------------------------- */

static bool has_writing(const struct store *store)
{
    return may_try(store) && (store->queue.first || store->failure.code);
}

static bool has_tidying(const struct store *store)
{
    return store->db && !store->failure.code && !store->is_closing &&
           (db_is_untidy(store->db) || clock_mono() >= store->tidy_at);
}

/* Until it is roused, or until it is time for another try, or to tidy up. */
static void await_work(struct store *store)
{
    mono_us when = store->try_at ? store->try_at : store->db ? store->tidy_at : 0;
    if (!when) {
        (void)pthread_cond_wait(&store->work, &store->lock);
        return;
    }
    struct timespec until = {when / 1000000, when % 1000000 * 1000};
    (void)pthread_cond_timedwait(&store->work, &store->lock, &until);
}

/* In the order of what is waited for. False: there was nothing to do. */
static bool work_a_little(struct store *store)
{
    bool has_worked = false;
    if (store->wants_load && !store->is_closing && may_try(store)) {
        load(store);
        has_worked = true;
    }
    if (has_writing(store)) {
        write_queue(store);
        has_worked = true;
    }
    if (!has_worked) {
        settle(store);
    }
    if (queries_wait(store)) {
        queries_work(store);
        has_worked = true;
    }
    if (has_tidying(store)) {
        tidy(store);
        has_worked = true;
    }
    return has_worked;
}

void *store_work(void *arg)
{
    struct store *store = arg;
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, NULL);
    (void)pthread_mutex_lock(&store->lock);
    store->tidy_at = clock_mono() + TIDY_SOON;
    while (!store->is_closing || (store->queue.first && may_try(store))) {
        if (!work_a_little(store)) {
            await_work(store);
        }
    }
    settle(store);
    (void)pthread_mutex_unlock(&store->lock);
    db_close(store->db);
    return NULL;
}
