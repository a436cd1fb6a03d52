/* SPDX-License-Identifier: MIT */
/* sqlite_tidy.c - pieces of activity are put; what is old goes, and the write-ahead log into the file. */
#include "store/sqlite.h"

/* When so many pages are in the log, they are taken over into the file, between two batches. */
#define LOG_PAGES_MAX      1000

#define DAY_MS             INT64_C(86400000)
#define HAPPENINGS_KEPT_MS (30 * DAY_MS)
#define HAPPENINGS_MAX     100000

/* ---- putting ----------------------------------------------------------------------------- */

static int find_next_record(struct db *db, struct err *reterr)
{
    sqlite3_stmt *ask = NULL;
    int r = sqlite_get(db, OWN_NEXT_RECORD, &ask, reterr);
    if (r < 0 || db->next_record) {
        return r;
    }
    int code = sqlite3_step(ask);
    if (code == SQLITE_ROW) {
        db->next_record = sqlite3_column_int64(ask, 0);
    } else if (code != SQLITE_DONE) {
        r = sqlite_fault(db, "read", reterr);
    }
    sqlite_reset(ask);
    if (r == 0 && db->next_record < 1) {
        db->next_record = 1;
    }
    return r;
}

int sqlite_put_records(struct db *db, const struct db_records *records, struct err *reterr)
{
    sqlite3_stmt *put = NULL;
    int r = find_next_record(db, reterr);
    if (r == 0) {
        r = sqlite_get(db, OWN_PUT_RECORDS, &put, reterr);
    }
    if (r < 0) {
        return r;
    }
    (void)sqlite3_bind_int64(put, 1, db->next_record);
    (void)sqlite3_bind_int64(put, 2, records->count);
    (void)sqlite3_bind_int64(put, 3, records->since);
    (void)sqlite3_bind_int64(put, 4, records->until);
    (void)sqlite3_bind_blob64(put, 5, records->bytes.ptr, records->bytes.len, SQLITE_STATIC);
    if (sqlite3_step(put) == SQLITE_DONE) {
        db->next_record += records->count;
    } else {
        r = sqlite_fault(db, "write to", reterr);
    }
    sqlite_reset(put);
    return r;
}

/* ---- the log ----------------------------------------------------------------------------- */

static int note_log(void *arg, sqlite3 *handle, const char *name, int pages)
{
    struct db *db = arg;
    (void)handle;
    (void)name;
    db->log_pages = pages;
    return SQLITE_OK;
}

void sqlite_watch_log(struct db *db)
{
    (void)sqlite3_wal_hook(db->handle, note_log, db);
}

bool db_is_untidy(const struct db *db)
{
    return db->log_pages >= LOG_PAGES_MAX;
}

static int take_over_log(struct db *db, struct err *reterr)
{
    int code =
        sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    db->log_pages = 0; /* the next batch says how many there are */
    return code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY
               ? 0
               : sqlite_fault(db, "write to", reterr);
}

/* ---- pruning ----------------------------------------------------------------------------- */

static int prune(struct db *db, enum sqlite_own which, int64_t first, int64_t second,
                 bool *ret_is_more, struct err *reterr)
{
    sqlite3_stmt *statement = NULL;
    int r = sqlite_get(db, which, &statement, reterr);
    if (r < 0) {
        return r;
    }
    (void)sqlite3_bind_int64(statement, 1, first);
    (void)sqlite3_bind_int64(statement, 2, second);
    if (sqlite3_step(statement) != SQLITE_DONE) {
        r = sqlite_fault(db, "write to", reterr);
    } else if (sqlite3_changes(db->handle)) {
        *ret_is_more = true;
    }
    sqlite_reset(statement);
    return r;
}

int db_tidy(struct db *db, const struct db_keep *keep, wall_ms now, bool *ret_is_more,
            struct err *reterr)
{
    *ret_is_more = false;
    if (db_is_untidy(db)) {
        *ret_is_more = true;
        return take_over_log(db, reterr);
    }
    int r = find_next_record(db, reterr);
    if (r == 0) {
        r = prune(db, OWN_PRUNE_ACTIVITY, keep->days ? now - keep->days * DAY_MS : INT64_MAX,
                  db->next_record - keep->rows, ret_is_more, reterr);
    }
    if (r == 0) {
        r = prune(db, OWN_PRUNE_HAPPENINGS, now - HAPPENINGS_KEPT_MS, HAPPENINGS_MAX,
                  ret_is_more, reterr);
    }
    if (r == 0) {
        r = prune(db, OWN_PRUNE_CLAIMS, now - STORE_CLAIM_KEPT_MS, 0, ret_is_more, reterr);
    }
    if (r == 0 && db->is_full) {
        r = sqlite_look_at_room(db, reterr);
    }
    return r;
}
