/* SPDX-License-Identifier: MIT */
/* db.c - opens the SQLite file, brings its tables up to date, and writes batches. */
#include "store/db.h"

#include "base/log.h"
#include "base/mem.h"
#include "store/store.h"
#include "value/json.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Marks the file as ours: "TBkr". */
#define APPLICATION_ID 0x54426b72
/* Another process may hold the file for so long. */
#define BUSY_MS 2000

static const char *const migrations[] = {
#define MIGRATION(sql) sql,
#include "store/migration.def"
#undef MIGRATION
};
#define MIGRATIONS ((int)(sizeof migrations / sizeof migrations[0]))

static const char *const statements[DB_STATEMENTS] = {
#define STATEMENT(id, sql) [DB_##id] = (sql),
#include "store/statement.def"
#undef STATEMENT
};

struct db {
    sqlite3 *handle;
    char *path;
    sqlite3_stmt *prepared[DB_STATEMENTS];
    struct buf json; /* of one value */
};

struct sqlite3 *db_handle(struct db *db)
{
    return db->handle;
}

/* ---- faults ------------------------------------------------------------------------------ */

static const char *advice(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return "the disk is full";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "another process holds it";
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return "it cannot be written; look at its mode and at the disk";
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return "it is damaged; move it away, and a new one is begun";
    case SQLITE_IOERR:
        return "the disk fails, or is full";
    default:
        return "SQLite failed";
    }
}

int db_fault(struct db *db, const char *what, struct err *reterr, bool *ret_is_broken)
{
    int code = sqlite3_extended_errcode(db->handle) & 0xff;
    *ret_is_broken = code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_IOERR ||
                     code == SQLITE_READONLY || code == SQLITE_CANTOPEN;
    return err_set(reterr, ERR_UNAVAILABLE, "cannot %s %s: %s (%s)", what, db->path,
                   advice(code), sqlite3_errmsg(db->handle));
}

static int fault(struct db *db, const char *what, struct err *reterr)
{
    bool is_broken;
    return db_fault(db, what, reterr, &is_broken);
}

/* ---- modes ------------------------------------------------------------------------------- */

static int check_owner(const char *what, const char *path, const struct stat *status,
                       unsigned mode, struct err *reterr)
{
    if (status->st_uid != geteuid()) {
        return err_set(reterr, ERR_UNAVAILABLE, "the %s %s belongs to another user", what,
                       path);
    }
    if (status->st_mode & 077) {
        return err_set(reterr, ERR_UNAVAILABLE,
                       "others can get at the %s %s (mode %04o); run: chmod %o %s", what, path,
                       (unsigned)status->st_mode & 07777, mode, path);
    }
    return 0;
}

static int check_folder(const char *folder, struct err *reterr)
{
    struct stat status;
    if (stat(folder, &status) != 0) {
        return err_set(reterr, ERR_UNAVAILABLE, "cannot look at the state folder %s: %s",
                       folder, strerror(errno));
    }
    if (!S_ISDIR(status.st_mode)) {
        return err_set(reterr, ERR_UNAVAILABLE, "%s is no folder", folder);
    }
    if (status.st_uid == geteuid() && (status.st_mode & 077) && !chmod(folder, 0700)) {
        log_at(LOG_INFO, "store", "the state folder was open to others, and is closed now",
               LOG_TEXT("folder", folder));
        status.st_mode &= ~(mode_t)077;
    }
    return check_owner("state folder", folder, &status, 0700, reterr);
}

/* Made here, so that it never has another mode, and looked at before SQLite follows anything. */
static int check_file(const char *path, struct err *reterr)
{
    struct stat status;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0 && (errno == EACCES || errno == EROFS)) {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    }
    if (fd < 0) {
        return err_set(reterr, ERR_UNAVAILABLE, "cannot open %s: %s", path, strerror(errno));
    }
    int r = 0;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        r = err_set(reterr, ERR_UNAVAILABLE, "%s is no file", path);
    } else {
        r = check_owner("database", path, &status, 0600, reterr);
    }
    (void)close(fd);
    return r;
}

/* ---- opening ----------------------------------------------------------------------------- */

static int run(struct db *db, const char *sql, struct err *reterr)
{
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK) {
        return fault(db, "use", reterr);
    }
    return 0;
}

/* The first column of the first row as a number. */
static int ask_number(struct db *db, const char *sql, int *ret, struct err *reterr)
{
    sqlite3_stmt *statement = NULL;
    int r = 0;
    if (sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        r = fault(db, "read", reterr);
    } else {
        *ret = sqlite3_column_int(statement, 0);
    }
    (void)sqlite3_finalize(statement);
    return r;
}

static int migrate_one(struct db *db, int step, struct err *reterr)
{
    char mark[96];
    (void)snprintf(mark, sizeof mark, "PRAGMA user_version = %d; PRAGMA application_id = %d",
                   step, APPLICATION_ID);
    int r = run(db, "BEGIN IMMEDIATE", reterr);
    if (r == 0) {
        r = run(db, migrations[step - 1], reterr);
    }
    if (r == 0) {
        r = run(db, mark, reterr);
    }
    if (r == 0) {
        r = run(db, "COMMIT", reterr);
    }
    if (r < 0) {
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    }
    return r;
}

static int migrate(struct db *db, struct err *reterr)
{
    int version = 0;
    int application = 0;
    int tables = 0;
    int r = ask_number(db, "PRAGMA user_version", &version, reterr);
    if (r == 0) {
        r = ask_number(db, "PRAGMA application_id", &application, reterr);
    }
    if (r == 0) {
        r = ask_number(db, "SELECT count(*) FROM sqlite_schema", &tables, reterr);
    }
    if (r < 0) {
        return r;
    }
    if (application != APPLICATION_ID && (application || version || tables)) {
        return err_set(reterr, ERR_UNAVAILABLE, "%s is the database of another program",
                       db->path);
    }
    if (version > MIGRATIONS) {
        return err_set(reterr, ERR_UNAVAILABLE,
                       "%s was written by a newer toolbroker (its version is %d, ours is %d)",
                       db->path, version, MIGRATIONS);
    }
    for (int step = version + 1; r == 0 && step <= MIGRATIONS; step++) {
        r = migrate_one(db, step, reterr);
    }
    return r;
}

static int set_up(struct db *db, struct err *reterr)
{
    static const char settings[] = "PRAGMA trusted_schema = OFF; PRAGMA cache_size = -512;"
                                   "PRAGMA temp_store = MEMORY; PRAGMA synchronous = NORMAL";
    (void)sqlite3_extended_result_codes(db->handle, 1);
    (void)sqlite3_busy_timeout(db->handle, BUSY_MS);
    int r = run(db, settings, reterr);
    if (r == 0 && !sqlite3_db_readonly(db->handle, "main")) {
        r = run(db, "PRAGMA journal_mode = WAL", reterr);
    }
    return r == 0 ? migrate(db, reterr) : r;
}

int db_open(const char *folder, struct db **ret, struct err *reterr)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", folder, STORE_FILE);
    if (len < 0 || (size_t)len >= sizeof path) {
        return err_set(reterr, ERR_UNAVAILABLE, "the path of the state folder is too long");
    }
    int r = check_folder(folder, reterr);
    if (r == 0) {
        r = check_file(path, reterr);
    }
    if (r < 0) {
        return r;
    }
    struct db *db = mem_new(sizeof *db);
    db->path = mem_dup(slice_of(path));
    buf_init(&db->json, STORE_DEFINITION_MAX);
    if (sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        r = fault(db, "open", reterr);
    } else {
        r = set_up(db, reterr);
    }
    if (r < 0) {
        db_close(db);
        return r;
    }
    *ret = db;
    return 0;
}

void db_close(struct db *db)
{
    if (!db) {
        return;
    }
    for (size_t i = 0; i < DB_STATEMENTS; i++) {
        (void)sqlite3_finalize(db->prepared[i]);
    }
    (void)sqlite3_close_v2(db->handle);
    buf_done(&db->json);
    mem_free(db->path);
    mem_free(db);
}

/* ---- writing ----------------------------------------------------------------------------- */

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
    switch (value->type) {
    case DB_INT:
        return sqlite3_bind_int64(statement, at, value->number) == SQLITE_OK;
    case DB_TEXT:
        return sqlite3_bind_text64(statement, at, value->bytes.len ? value->bytes.ptr : "",
                                   value->bytes.len, SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK;
    case DB_BLOB:
        return sqlite3_bind_blob64(statement, at, value->bytes.ptr, value->bytes.len,
                                   SQLITE_STATIC) == SQLITE_OK;
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

static int carry_out(struct db *db, const struct db_job *job, struct err *reterr)
{
    sqlite3_stmt **statement = &db->prepared[job->statement];
    if (!*statement &&
        sqlite3_prepare_v3(db->handle, statements[job->statement], -1,
                           SQLITE_PREPARE_PERSISTENT, statement, NULL) != SQLITE_OK) {
        return fault(db, "write to", reterr);
    }
    bool is_bound = true;
    for (unsigned i = 0; i < job->count; i++) {
        is_bound = bind(db, *statement, (int)i + 1, &job->values[i]) && is_bound;
    }
    int code = is_bound ? sqlite3_step(*statement) : sqlite3_errcode(db->handle);
    int r = 0;
    if (code != SQLITE_DONE && is_fault_of_job(code)) {
        log_at(LOG_ERROR, "store", "a record cannot be kept",
               LOG_TEXT("why", sqlite3_errmsg(db->handle)));
    } else if (code != SQLITE_DONE) {
        r = fault(db, "write to", reterr);
    }
    (void)sqlite3_reset(*statement);
    (void)sqlite3_clear_bindings(*statement);
    return r;
}

int db_write(struct db *db, const struct db_job *jobs, struct err *reterr)
{
    int r = run(db, "BEGIN IMMEDIATE", reterr);
    if (r < 0) {
        return r;
    }
    for (const struct db_job *job = jobs; r == 0 && job; job = job->next) {
        r = carry_out(db, job, reterr);
    }
    if (r == 0) {
        r = run(db, "COMMIT", reterr);
    }
    if (r < 0) { /* SQLite may have rolled back already */
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    }
    return r;
}
