/* SPDX-License-Identifier: MIT */
/* row.c - rows as jobs: what of them goes into which parameter. */
#include "store/room.h"

#include "base/mem.h"
#include "base/must.h"
#include "base/text.h"

#include <string.h>

#define REASON_MAX 1024u

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

/* ---- what happened ----------------------------------------------------------------------- */

void store_put_happening(struct store *store, const struct store_happening *happening)
{
    const struct db_value values[] = {
        number(happening->at),
        text(text_cut(happening->service, RECORD_TEXT_MAX)),
        text(slice_of(happening->kind)),
        text(text_cut(happening->state, RECORD_TEXT_MAX)),
        text(text_cut(happening->reason, REASON_MAX)),
        number(happening->took_us),
    };
    struct db_row *row = row_new(DB_PUT_HAPPENING, values, sizeof values / sizeof values[0]);
    if (row) {
        row->job.rank = DB_MINOR;
    }
    store_offer(store, row ? &row->job : NULL, 1);
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

void claim_give_back(struct store *store, const struct db_claim *claim)
{
    const struct db_value values[] = {blob(claim->id, SHA256_BYTES),
                                      blob(store->owner, DB_OWNER_BYTES), number(claim->now)};
    put_of_claim(store, row_new(DB_GIVE_BACK_CLAIM, values, 3), false);
}

void store_drop_claim(struct store *store, const uint8_t id[SHA256_BYTES])
{
    const struct db_value values[] = {blob(id, SHA256_BYTES),
                                      blob(store->owner, DB_OWNER_BYTES)};
    put_of_claim(store, row_new(DB_DROP_CLAIM, values, 2), false);
}
