/* SPDX-License-Identifier: MIT */
/* activity.c - records of calls, gathered on the loop and handed to the thread in pieces. */
#include "store/room.h"

#include "base/mem.h"

#include <string.h>

/* A piece is handed over when it is so long, or its first record so old. */
#define PIECE_BYTES ((size_t)64 * 1024)
#define PIECE_US    ((mono_us)250000)

static void is_due(void *store)
{
    activity_hand_over(store);
}

void activity_init(struct store *store)
{
    struct activity *activity = &store->activity;
    record_writer_init(&activity->writer, PIECE_BYTES);
    loop_timer_init(&activity->timer, is_due, store);
    activity->is_kept = true;
    store->keep = (struct db_keep){.days = 30, .rows = 1000000};
}

void activity_done(struct store *store)
{
    loop_timer_cancel(store->options.loop, &store->activity.timer);
    record_writer_done(&store->activity.writer);
}

static struct db_job *piece_new(const struct record_writer *writer)
{
    size_t size = sizeof(struct db_records) + writer->out.len;
    struct db_records *piece = mem_try(size);
    if (!piece) {
        return NULL;
    }
    *piece = (struct db_records){
        .job = {.kind = DB_RECORDS, .rank = DB_MINOR, .size = size},
        .count = writer->count,
        .since = writer->since,
        .until = writer->until,
        .bytes = {(const char *)(piece + 1), writer->out.len},
    };
    memcpy(piece + 1, writer->out.data, writer->out.len);
    return &piece->job;
}

/* Where there is no room they are counted, and that is all. */
void activity_hand_over(struct store *store)
{
    struct record_writer *writer = &store->activity.writer;
    if (writer->count) {
        loop_timer_cancel(store->options.loop, &store->activity.timer);
        store_offer(store, piece_new(writer), writer->count);
        writer->count = 0;
    }
}

/* The first of a piece: there is time for what is done once for all of them. */
static bool begin(struct store *store)
{
    struct activity *activity = &store->activity;
    if (!activity->is_kept) {
        return false;
    }
    if (!record_writer_begin(&activity->writer)) {
        store_offer(store, NULL, 1);
        return false;
    }
    loop_timer_set(store->options.loop, &activity->timer,
                   loop_now(store->options.loop) + PIECE_US);
    return true;
}

void store_put_activity(struct store *store, const struct store_activity *activity)
{
    struct record_writer *writer = &store->activity.writer;
    if (!writer->count && !begin(store)) {
        return;
    }
    record_write(writer, activity);
    if (writer->out.len >= PIECE_BYTES) {
        activity_hand_over(store);
    }
}

void store_keep_activity(struct store *store, int64_t days, int64_t rows)
{
    store->activity.is_kept = days > 0;
    (void)pthread_mutex_lock(&store->lock);
    store->keep = (struct db_keep){days > 0 ? days : 0, rows > 0 ? rows : 0};
    store->tidy_at = 0;
    if (store->has_thread) {
        store_rouse(store);
    }
    (void)pthread_mutex_unlock(&store->lock);
}
