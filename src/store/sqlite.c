/* SPDX-License-Identifier: MIT */
/* sqlite.c - a connection to the SQLite file, its statements, and the writing of batches. */
#include "store/sqlite.h"

#include "base/log.h"
#include "base/mem.h"
#include "value/json.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Another process may hold the file for so long. */
#define BUSY_MS 2000

static const char *const statements[SQLITE_STATEMENTS] = {
#define STATEMENT(id, sql) [DB_##id] = (sql),
#include "store/statement.def"
#undef STATEMENT
#define OWN(id, sql) [OWN_##id] = (sql),
#include "store/sqlite.def"
#undef OWN
};

/* ---- faults ------------------------------------------------------------------------------ */

static const char *advice(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return "the disk is full; make room";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "another process holds it; end that one, or wait for it";
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return "it cannot be written; look at its mode and at the disk";
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return "it is damaged; move it away, and a new one is begun";
    case SQLITE_ERROR: /* a table or a column that is not there */
        return "it is not as it was left; move it away, and a new one is begun";
    case SQLITE_IOERR:
        return "the disk fails, or is full";
    case SQLITE_NOMEM:
        return "there is no memory";
    default:
        return "SQLite failed";
    }
}

int sqlite_fault(struct db *db, const char *what, struct err *reterr)
{
    return err_set(reterr, ERR_UNAVAILABLE, "cannot %s %s: %s (%s)", what, db->path,
                   advice(sqlite3_errcode(db->handle)), sqlite3_errmsg(db->handle));
}

int sqlite_run(struct db *db, const char *sql, struct err *reterr)
{
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK) {
        return sqlite_fault(db, "use", reterr);
    }
    return 0;
}

/* ---- opening ----------------------------------------------------------------------------- */

static int set_up(struct db *db, struct err *reterr)
{
    static const char settings[] = "PRAGMA trusted_schema = OFF; PRAGMA cache_size = -512;"
                                   "PRAGMA temp_store = MEMORY; PRAGMA synchronous = NORMAL;"
                                   "PRAGMA journal_size_limit = 16777216";
    (void)sqlite3_extended_result_codes(db->handle, 1);
    (void)sqlite3_busy_timeout(db->handle, BUSY_MS);
    sqlite_watch_log(db);
    int r = sqlite_run(db, settings, reterr);
    if (r == 0 && !sqlite3_db_readonly(db->handle, "main")) {
        r = sqlite_run(db, "PRAGMA journal_mode = WAL", reterr);
    }
    if (r == 0) {
        r = sqlite_migrate(db, reterr);
    }
    return r == 0 ? sqlite_lock(db, reterr) : r;
}

static void note_size(struct db *db)
{
    struct stat status;
    if (fstat(db->fd, &status) == 0) {
        db->bytes = status.st_size;
    }
}

int db_open(const char *folder, struct db **ret, struct err *reterr)
{
    struct db *db = mem_new(sizeof *db);
    db->fd = -1;
    buf_init(&db->json, STORE_DEFINITION_MAX);
    int r = sqlite_take_file(db, folder, reterr);
    if (r == 0 &&
        sqlite3_open_v2(db->path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK) {
        r = sqlite_fault(db, "open", reterr);
    }
    if (r == 0) {
        r = set_up(db, reterr);
    }
    if (r < 0) {
        db_close(db);
        return r;
    }
    note_size(db);
    *ret = db;
    return 0;
}

void db_close(struct db *db)
{
    if (!db) {
        return;
    }
    for (size_t i = 0; i < SQLITE_STATEMENTS; i++) {
        (void)sqlite3_finalize(db->prepared[i]);
    }
    (void)sqlite3_close_v2(db->handle);
    if (db->fd >= 0) {
        (void)close(db->fd); /* last: it ends every lock of the process on the file */
    }
    buf_done(&db->json);
    mem_free(db->path);
    mem_free(db);
}

int64_t db_bytes(const struct db *db)
{
    return db->bytes;
}

int sqlite_get(struct db *db, unsigned which, sqlite3_stmt **ret, struct err *reterr)
{
    sqlite3_stmt **statement = &db->prepared[which];
    if (!*statement &&
        sqlite3_prepare_v3(db->handle, statements[which], -1, SQLITE_PREPARE_PERSISTENT,
                           statement, NULL) != SQLITE_OK) {
        return sqlite_fault(db, "use", reterr);
    }
    *ret = *statement;
    return 0;
}

void sqlite_reset(sqlite3_stmt *statement)
{
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
}

/* ---- rows -------------------------------------------------------------------------------- */

/* False: it cannot be kept, and the value is NULL then. */
static bool bind_json(struct db *db, sqlite3_stmt *statement, int at, struct slice value)
{
    buf_clear(&db->json);
    if (!value.len || json_from_pack(value, "definition", &db->json, NULL) < 0 ||
        db->json.overflow) {
        return sqlite3_bind_null(statement, at) == SQLITE_OK;
    }
    return sqlite3_bind_text64(statement, at, db->json.data, db->json.len, SQLITE_TRANSIENT,
                               SQLITE_UTF8) == SQLITE_OK;
}

static bool bind(struct db *db, sqlite3_stmt *statement, int at, const struct db_value *value)
{
    const char *bytes = value->bytes.len ? value->bytes.ptr : "";
    switch (value->type) {
    case DB_INT:
        return sqlite3_bind_int64(statement, at, value->number) == SQLITE_OK;
    case DB_TEXT:
        return sqlite3_bind_text64(statement, at, bytes, value->bytes.len, SQLITE_STATIC,
                                   SQLITE_UTF8) == SQLITE_OK;
    case DB_BLOB:
        return sqlite3_bind_blob64(statement, at, bytes, value->bytes.len, SQLITE_STATIC) ==
               SQLITE_OK;
    case DB_JSON:
        return bind_json(db, statement, at, value->bytes);
    case DB_NULL:
        break;
    }
    return sqlite3_bind_null(statement, at) == SQLITE_OK;
}

static bool is_fault_of_job(int code)
{
    code &= 0xff;
    return code == SQLITE_CONSTRAINT || code == SQLITE_TOOBIG || code == SQLITE_MISMATCH ||
           code == SQLITE_RANGE;
}

static void lose(struct db_job *job, const char *why)
{
    job->is_lost = true;
    log_at(LOG_ERROR, "store", "a record cannot be kept", LOG_TEXT("why", why));
}

static int carry_out_row(struct db *db, struct db_row *row, struct err *reterr)
{
    sqlite3_stmt *statement = NULL;
    int r = sqlite_get(db, row->statement, &statement, reterr);
    if (r < 0) {
        return r;
    }
    bool is_bound = true;
    for (unsigned i = 0; i < row->count; i++) {
        is_bound = bind(db, statement, (int)i + 1, &row->values[i]) && is_bound;
    }
    int code = is_bound ? sqlite3_step(statement) : sqlite3_errcode(db->handle);
    if (code != SQLITE_DONE && is_fault_of_job(code)) {
        lose(&row->job, sqlite3_errmsg(db->handle));
    } else if (code != SQLITE_DONE) {
        r = sqlite_fault(db, "write to", reterr);
    } else if (row->must_hit && !sqlite3_changes(db->handle)) {
        lose(&row->job, "what it belongs to is gone");
    }
    sqlite_reset(statement);
    return r;
}

/* ---- batches ----------------------------------------------------------------------------- */

static int carry_out(struct db *db, struct db_job *job, struct err *reterr)
{
    job->is_lost = false;
    switch (job->kind) {
    case DB_ROW:
        return carry_out_row(db, (struct db_row *)job, reterr);
    case DB_CLAIM:
        return sqlite_carry_out_claim(db, (struct db_claim *)job, reterr);
    case DB_RECORDS:
        return sqlite_put_records(db, (const struct db_records *)job, reterr);
    }
    return 0;
}

/* Set outside of transactions, and only where it changes. */
static int set_synchronous(struct db *db, const struct db_job *jobs, struct err *reterr)
{
    bool is_durable = false;
    for (const struct db_job *job = jobs; job && !is_durable; job = job->next) {
        is_durable = job->is_durable;
    }
    if (is_durable == db->is_synchronous) {
        return 0;
    }
    db->is_synchronous = is_durable;
    return sqlite_run(
        db, is_durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", reterr);
}

/* A file that was moved away or removed would take everything, and keep nothing. */
static int check_place(struct db *db, struct err *reterr)
{
    struct stat here;
    struct stat there;
    if (fstat(db->fd, &here) == 0 && stat(db->path, &there) == 0 &&
        here.st_ino == there.st_ino && here.st_dev == there.st_dev) {
        db->bytes = here.st_size;
        return sqlite_lock(db, reterr);
    }
    return err_set(reterr, ERR_NOT_FOUND, "%s was moved away or removed while it was in use",
                   db->path);
}

int db_write(struct db *db, struct db_job *jobs, const struct db_bounds *bounds,
             struct err *reterr)
{
    int r = check_place(db, reterr);
    db->room = bounds->outcomes;
    db->bytes_max = bounds->file;
    if (r == 0) {
        r = set_synchronous(db, jobs, reterr);
    }
    if (r == 0) {
        r = sqlite_run(db, "BEGIN IMMEDIATE", reterr);
    }
    if (r < 0) {
        return r;
    }
    if (!jobs) {
        r = sqlite_mark(db, reterr); /* something is written, to see whether it can be */
    }
    for (struct db_job *job = jobs; r == 0 && job; job = job->next) {
        r = carry_out(db, job, reterr);
    }
    if (r == 0) {
        r = sqlite_run(db, "COMMIT", reterr);
    }
    if (r < 0) { /* SQLite may have rolled back already */
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    }
    return r;
}
