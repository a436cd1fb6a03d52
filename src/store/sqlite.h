/* SPDX-License-Identifier: MIT */
/*
 * sqlite.h - inside store/: what the files behind db.h share.
 *
 * Errors: as in db.h. A statement that was got is reset by whoever got it.
 */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include "store/db.h"

#include <sqlite3.h>

enum sqlite_own { /* after those of enum db_statement */
                  OWN_BEFORE = DB_STATEMENTS - 1,
#define OWN(id, sql) OWN_##id,
#include "store/sqlite.def"
#undef OWN
                  SQLITE_STATEMENTS
};

struct db {
    sqlite3 *handle;
    char *path;
    int fd; /* of the same file: holds the lock against another daemon */
    bool is_writable;
    sqlite3_stmt *prepared[SQLITE_STATEMENTS];
    struct buf json; /* of one value */
    bool is_synchronous;
    size_t room; /* for outcomes, in this batch */
    int64_t bytes, bytes_max;
    bool is_full;
    int64_t next_record; /* id; 0: not known yet */
    int log_pages;       /* of the write-ahead log */
};

/* Opens and looks at the file as such, and locks it. */
int sqlite_take_file(struct db *db, const char *folder, struct err *reterr);
/* Keeps other daemons out; a lock of the process: it ends with it, however it ends, and children do
 * not inherit it. SQLite drops it with its own while it opens the file, so it is taken time and again:
 * to take what one has is nothing. */
int sqlite_lock(struct db *db, struct err *reterr);
int sqlite_migrate(struct db *db, struct err *reterr);
int sqlite_mark(struct db *db, struct err *reterr); /* writes once more which version it is */

/* What went wrong in it, in words. */
int sqlite_fault(struct db *db, const char *what, struct err *reterr);
int sqlite_run(struct db *db, const char *sql, struct err *reterr);
/* `which`: of enum db_statement or enum sqlite_own. */
int sqlite_get(struct db *db, unsigned which, sqlite3_stmt **ret, struct err *reterr);
void sqlite_reset(sqlite3_stmt *statement); /* and forgets what was bound to it */

void sqlite_watch_log(struct db *db);
int sqlite_put_records(struct db *db, const struct db_records *records, struct err *reterr);
int sqlite_look_at_room(struct db *db, struct err *reterr); /* for new claims: db->is_full */
int sqlite_carry_out_claim(struct db *db, struct db_claim *claim, struct err *reterr);

#endif
