/* SPDX-License-Identifier: MIT */
/* queue.c - rows as jobs, and the queue of them: who may fill it how far. */
#include "store/room.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"

#include <string.h>

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

void store_put(struct store *store, struct db_job *job)
{
    (void)pthread_mutex_lock(&store->lock);
    if (!job || !queue_has_room(store, job)) {
        if (!store->lost++) {
            log_at(LOG_ERROR, "store", "the queue is full, records are lost", LOG_NOTHING);
        }
        store->lost_upto = store->put;
        store->is_lossy = true;
        mem_free(job);
    } else {
        queue_append(&store->queue, job);
        store->put++;
    }
    store_rouse(store);
    (void)pthread_mutex_unlock(&store->lock);
}

/* ---- rows -------------------------------------------------------------------------------- */

static bool has_bytes(const struct db_value *value)
{
    return value->type == DB_TEXT || value->type == DB_BLOB || value->type == DB_JSON;
}

/* One piece of memory with all its bytes; NULL: there is none. */
static struct db_row *row_new(enum db_statement statement, const struct db_value *values,
                              unsigned count)
{
    must(count <= DB_VALUES_MAX);
    size_t head = sizeof(struct db_row) + count * sizeof values[0];
    size_t size = head;
    for (unsigned i = 0; i < count; i++) {
        size += has_bytes(&values[i]) ? values[i].bytes.len : 0;
    }
    struct db_row *row = mem_try(size);
    if (!row) {
        return NULL;
    }
    *row = (struct db_row){
        .job = {.kind = DB_ROW, .size = size}, .statement = statement, .count = count};
    char *at = (char *)row + head;
    for (unsigned i = 0; i < count; i++) {
        row->values[i] = values[i];
        if (has_bytes(&values[i]) && values[i].bytes.len) {
            memcpy(at, values[i].bytes.ptr, values[i].bytes.len);
            row->values[i].bytes.ptr = at;
            at += values[i].bytes.len;
        }
    }
    return row;
}

static void put(struct store *store, enum db_statement statement, const struct db_value *values,
                unsigned count)
{
    struct db_row *row = row_new(statement, values, count);
    store_put(store, row ? &row->job : NULL);
}

static struct db_value text(struct slice bytes)
{
    return (struct db_value){DB_TEXT, 0, bytes};
}

static struct db_value blob(const void *bytes, size_t len)
{
    return (struct db_value){DB_BLOB, 0, {bytes, len}};
}

static struct db_value hash_or_null(const uint8_t *hash)
{
    return hash ? blob(hash, SHA256_BYTES) : (struct db_value){.type = DB_NULL};
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

void store_put_gate(struct store *store, const struct store_gate *gate)
{
    const struct db_value values[] = {
        text(gate->service),
        number(gate->breaker),
        number(gate->forced),
        number(gate->breaker_since),
        number(gate->breaker_until),
        text(gate->breaker_reason),
        number(gate->quarantine_level),
        number(gate->quarantine_since),
        number(gate->quarantine_until),
        number(gate->is_quarantined_by_hand),
        text(gate->quarantine_reason),
    };
    put(store, DB_PUT_GATE, values, sizeof values / sizeof values[0]);
}

void store_drop_gate(struct store *store, struct slice service)
{
    const struct db_value values[] = {text(service)};
    put(store, DB_DROP_GATE, values, 1);
}

/* ---- outcomes ---------------------------------------------------------------------------- */

static void put_of_claim(struct store *store, struct db_row *row, bool must_hit)
{
    if (row) {
        row->job.rank = DB_OUTCOMES;
        row->job.is_durable = true;
        row->must_hit = must_hit;
    }
    store_put(store, row ? &row->job : NULL);
}

void store_put_outcome(struct store *store, const uint8_t id[SHA256_BYTES],
                       struct slice outcome)
{
    const struct db_value values[] = {
        blob(id, SHA256_BYTES), blob(store->owner, DB_OWNER_BYTES),
        number(loop_wall(store->options.loop)), blob(outcome.ptr, outcome.len)};
    put_of_claim(store,
                 outcome.len <= STORE_OUTCOME_MAX ? row_new(DB_PUT_OUTCOME, values, 4) : NULL,
                 true);
}

void store_drop_claim(struct store *store, const uint8_t id[SHA256_BYTES])
{
    const struct db_value values[] = {blob(id, SHA256_BYTES),
                                      blob(store->owner, DB_OWNER_BYTES)};
    put_of_claim(store, row_new(DB_DROP_CLAIM, values, 2), false);
}
