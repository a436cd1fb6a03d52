/* SPDX-License-Identifier: MIT */
/* sqlite_claim.c - claims: what is known of an id, and the row of one that is new. */
#include "store/sqlite.h"

#include "base/mem.h"

#include <string.h>

static struct slice column(sqlite3_stmt *row, int at)
{
    const char *bytes = sqlite3_column_blob(row, at);
    return (struct slice){bytes, (size_t)sqlite3_column_bytes(row, at)};
}

static void take_outcome(struct db *db, struct db_claim *claim, struct slice outcome)
{
    claim->outcome = outcome.len <= db->room ? mem_try(outcome.len) : NULL;
    if (!claim->outcome) {
        claim->state = STORE_CLAIM_FAILED;
        (void)err_set(&claim->error, ERR_OVERLOADED,
                      "there is no memory just now for the outcome that was kept");
        return;
    }
    db->room -= outcome.len;
    if (outcome.len) {
        memcpy(claim->outcome, outcome.ptr, outcome.len);
    }
    claim->outcome_len = outcome.len;
    claim->state = STORE_CLAIM_HAS_ENDED;
}

/* Whether the row answers the claim; else it is as good as none. */
static bool does_answer(struct db *db, struct db_claim *claim, sqlite3_stmt *row)
{
    struct slice fingerprint = column(row, 0);
    claim->begun_at = sqlite3_column_int64(row, 1);
    bool has_ended = sqlite3_column_type(row, 2) != SQLITE_NULL;
    if (claim->begun_at <= claim->now - STORE_CLAIM_KEPT_MS) {
        return false;
    }
    if (!slice_equal(fingerprint,
                     (struct slice){(const char *)claim->fingerprint, SHA256_BYTES})) {
        claim->state = STORE_CLAIM_DIFFERS;
    } else if (has_ended) {
        take_outcome(db, claim, column(row, 3));
    } else if (claim->may_take_over) {
        return false;
    } else {
        claim->state = STORE_CLAIM_IS_OPEN;
    }
    return true;
}

static int look_up(struct db *db, struct db_claim *claim, bool *ret_is_answered,
                   struct err *reterr)
{
    sqlite3_stmt *find = NULL;
    int r = sqlite_get(db, OWN_FIND_CLAIM, &find, reterr);
    if (r < 0) {
        return r;
    }
    int code = sqlite3_bind_blob(find, 1, claim->id, SHA256_BYTES, SQLITE_STATIC);
    code = code == SQLITE_OK ? sqlite3_step(find) : code;
    if (code == SQLITE_ROW) {
        *ret_is_answered = does_answer(db, claim, find);
    } else if (code != SQLITE_DONE) {
        r = sqlite_fault(db, "read", reterr);
    }
    sqlite_reset(find);
    return r;
}

bool db_is_full(const struct db *db, struct err *reterr)
{
    if (db->is_full) {
        (void)err_set(reterr, ERR_OVERLOADED,
                      "the database holds as much as store.database_bytes allows (%lld): no "
                      "new idempotency_key is taken until old outcomes go, 24 hours after "
                      "they came",
                      (long long)db->bytes_max);
    }
    return db->is_full;
}

/* The file never shrinks; what is free in it is asked for only where it has grown so far. */
int sqlite_look_at_room(struct db *db, struct err *reterr)
{
    sqlite3_stmt *ask = NULL;
    db->is_full = false;
    int r = db->bytes < db->bytes_max ? 0 : sqlite_get(db, OWN_USED_BYTES, &ask, reterr);
    if (!ask) {
        return r;
    }
    if (sqlite3_step(ask) == SQLITE_ROW) {
        db->is_full = sqlite3_column_int64(ask, 0) >= db->bytes_max;
    } else {
        r = sqlite_fault(db, "read", reterr);
    }
    sqlite_reset(ask);
    return r;
}

static int begin(struct db *db, struct db_claim *claim, struct err *reterr)
{
    sqlite3_stmt *put = NULL;
    int r = sqlite_look_at_room(db, reterr);
    if (r == 0 && db_is_full(db, &claim->error)) {
        claim->state = STORE_CLAIM_FAILED;
        return 0;
    }
    r = r < 0 ? r : sqlite_get(db, OWN_BEGIN_CLAIM, &put, reterr);
    if (r < 0) {
        return r;
    }
    claim->state = STORE_CLAIM_IS_OURS;
    claim->begun_at = claim->now;
    (void)sqlite3_bind_blob(put, 1, claim->id, SHA256_BYTES, SQLITE_STATIC);
    (void)sqlite3_bind_blob(put, 2, claim->fingerprint, SHA256_BYTES, SQLITE_STATIC);
    (void)sqlite3_bind_blob(put, 3, claim->owner, DB_OWNER_BYTES, SQLITE_STATIC);
    (void)sqlite3_bind_int64(put, 4, claim->now);
    if (sqlite3_step(put) != SQLITE_DONE) {
        r = sqlite_fault(db, "write to", reterr);
    }
    sqlite_reset(put);
    return r;
}

int sqlite_carry_out_claim(struct db *db, struct db_claim *claim, struct err *reterr)
{
    bool is_answered = false;
    mem_free(claim->outcome); /* of a try in vain */
    claim->outcome = NULL;
    claim->outcome_len = 0;
    int r = look_up(db, claim, &is_answered, reterr);
    return r < 0 || is_answered ? r : begin(db, claim, reterr);
}
