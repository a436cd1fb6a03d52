/* SPDX-License-Identifier: MIT */
/* queue.c - what waits to be written, and who may fill it how far. */
#include "store/room.h"

#include "base/log.h"
#include "base/mem.h"

void db_job_free(struct db_job *job)
{
    while (job) {
        struct db_job *next = job->next;
        if (job->kind == DB_CLAIM) {
            mem_free(((struct db_claim *)job)->outcome);
        }
        mem_free(job);
        job = next;
    }
}

void queue_init(struct queue *queue)
{
    *queue = (struct queue){.tail = &queue->first};
}

void queue_append(struct queue *queue, struct db_job *job)
{
    job->next = NULL;
    *queue->tail = job;
    queue->tail = &job->next;
    queue->count += job->kind != DB_CLAIM;
    queue->bytes[job->rank] += job->size;
}

void queue_prepend(struct queue *queue, const struct queue *first)
{
    if (!first->first) {
        return;
    }
    *first->tail = queue->first;
    queue->tail = queue->first ? queue->tail : first->tail;
    queue->first = first->first;
    queue->count += first->count;
    for (unsigned i = 0; i < DB_RANKS; i++) {
        queue->bytes[i] += first->bytes[i];
    }
}

bool queue_has_room(const struct store *store, const struct db_job *job)
{
    size_t total = job->size;
    size_t ordinary = store->queue.bytes[DB_ORDINARY] + store->held.bytes[DB_ORDINARY];
    for (unsigned i = 0; i < DB_RANKS; i++) {
        total += store->queue.bytes[i] + store->held.bytes[i];
    }
    switch (job->rank) {
    case DB_ORDINARY:
        return total <= QUEUE_BYTES_MAX && ordinary + job->size <= QUEUE_ORDINARY_MAX;
    case DB_MINOR:
        return total <= QUEUE_MINOR_MAX;
    default:
        return total <= QUEUE_BYTES_MAX;
    }
}

/* Under the lock. */
static bool append(struct store *store, struct db_job *job)
{
    bool has_room = job && queue_has_room(store, job);
    if (has_room) {
        queue_append(&store->queue, job);
        store->put++;
    } else {
        mem_free(job);
    }
    store_rouse(store);
    return has_room;
}

void store_put(struct store *store, struct db_job *job)
{
    (void)pthread_mutex_lock(&store->lock);
    if (!append(store, job)) {
        if (!store->lost++) {
            log_at(LOG_ERROR, "store", "the queue is full, records are lost", LOG_NOTHING);
        }
        store->lost_upto = store->put;
        store->is_lossy = true;
    }
    (void)pthread_mutex_unlock(&store->lock);
}

void store_offer(struct store *store, struct db_job *job, uint32_t records)
{
    bool is_piece = job && job->kind == DB_RECORDS;
    (void)pthread_mutex_lock(&store->lock);
    if (!append(store, job)) {
        store->dropped += records;
    } else if (is_piece) {
        store->in_pieces += records;
    }
    (void)pthread_mutex_unlock(&store->lock);
}
