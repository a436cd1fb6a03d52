/* SPDX-License-Identifier: MIT */
/* sqlite_open.c - the file as such: modes, the lock against a second daemon, the steps of the schema. */
#include "store/sqlite.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Marks the file as ours: "TBkr". */
#define APPLICATION_ID 0x54426b72
/* The byte that a running daemon locks: behind those that SQLite locks, beyond all data of its page. */
#define LOCKED_BYTE 0x40000400

static const char *const migrations[] = {
#define MIGRATION(sql) sql,
#include "store/migration.def"
#undef MIGRATION
};
#define MIGRATIONS ((int)(sizeof migrations / sizeof migrations[0]))

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
static int open_file(struct db *db, struct err *reterr)
{
    struct stat status;
    db->is_writable = true;
    db->fd = open(db->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (db->fd < 0 && (errno == EACCES || errno == EROFS)) {
        db->is_writable = false;
        db->fd = open(db->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    }
    if (db->fd < 0) {
        return err_set(reterr, ERR_UNAVAILABLE, "cannot open %s: %s", db->path,
                       strerror(errno));
    }
    if (fstat(db->fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return err_set(reterr, ERR_UNAVAILABLE, "%s is no file", db->path);
    }
    return check_owner("database", db->path, &status, 0600, reterr);
}

int sqlite_lock(struct db *db, struct err *reterr)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCKED_BYTE, .l_len = 1};
    if (!db->is_writable || fcntl(db->fd, F_SETLK, &lock) == 0 ||
        (errno != EAGAIN && errno != EACCES)) {
        return 0; /* a file system that knows no locks is for SQLite to refuse */
    }
    int holder = fcntl(db->fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? lock.l_pid : 0;
    return err_set(reterr, ERR_UNAVAILABLE,
                   "another daemon (process %d) keeps its state in %.*s; end it, or give one "
                   "of them another folder with --state",
                   holder, (int)(strlen(db->path) - sizeof STORE_FILE), db->path);
}

int sqlite_take_file(struct db *db, const char *folder, struct err *reterr)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", folder, STORE_FILE);
    if (len < 0 || (size_t)len >= sizeof path) {
        return err_set(reterr, ERR_UNAVAILABLE, "the path of the state folder is too long");
    }
    db->path = mem_dup(slice_of(path));
    int r = check_folder(folder, reterr);
    if (r == 0) {
        r = open_file(db, reterr);
    }
    return r == 0 ? sqlite_lock(db, reterr) : r;
}

/* ---- the schema -------------------------------------------------------------------------- */

/* The first column of the first row as a number. */
static int ask_number(struct db *db, const char *sql, int *ret, struct err *reterr)
{
    sqlite3_stmt *statement = NULL;
    int r = 0;
    if (sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        r = sqlite_fault(db, "read", reterr);
    } else {
        *ret = sqlite3_column_int(statement, 0);
    }
    (void)sqlite3_finalize(statement);
    return r;
}

static int mark(struct db *db, int step, struct err *reterr)
{
    char sql[96];
    (void)snprintf(sql, sizeof sql, "PRAGMA user_version = %d; PRAGMA application_id = %d",
                   step, APPLICATION_ID);
    return sqlite_run(db, sql, reterr);
}

int sqlite_mark(struct db *db, struct err *reterr)
{
    return mark(db, MIGRATIONS, reterr);
}

static int migrate_one(struct db *db, int step, struct err *reterr)
{
    int r = sqlite_run(db, "BEGIN IMMEDIATE", reterr);
    if (r == 0) {
        r = sqlite_run(db, migrations[step - 1], reterr);
    }
    if (r == 0) {
        r = mark(db, step, reterr);
    }
    if (r == 0) {
        r = sqlite_run(db, "COMMIT", reterr);
    }
    if (r < 0) {
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    }
    return r;
}

int sqlite_migrate(struct db *db, struct err *reterr)
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
        return err_set(reterr, ERR_UNAVAILABLE,
                       "%s is the database of another program; move it away, or name another "
                       "folder with --state",
                       db->path);
    }
    if (version < 0 || (!version && tables)) {
        return err_set(
            reterr, ERR_UNAVAILABLE,
            "cannot use %s: it is damaged; move it away, and a new one is begun (its "
            "version is %d)",
            db->path, version);
    }
    if (version > MIGRATIONS) {
        return err_set(reterr, ERR_UNAVAILABLE,
                       "%s was written by a newer toolbroker (its version is %d, ours is %d); "
                       "run that one, or name another folder with --state",
                       db->path, version, MIGRATIONS);
    }
    for (int step = version + 1; r == 0 && step <= MIGRATIONS; step++) {
        r = migrate_one(db, step, reterr);
    }
    return r;
}
