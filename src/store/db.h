/* SPDX-License-Identifier: MIT */
/*
 * db.h - the SQLite file: opened with care, brought up to date, written in batches.
 *
 * Owns:    the connection and its statements.
 * Thread:  the store's, all of it. Blocks.
 * Errors:  -code with words for the operator; the connection stays usable where SQLite's does.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct db;
struct sqlite3;

enum db_statement {
#define STATEMENT(id, sql) DB_##id,
#include "store/statement.def"
#undef STATEMENT
    DB_STATEMENTS
};

enum db_type { DB_NULL, DB_INT, DB_TEXT, DB_BLOB, DB_JSON /* MessagePack, kept as JSON */ };

struct db_value {
    enum db_type type;
    int64_t number;
    struct slice bytes;
};

#define DB_VALUES_MAX 9u

/* One statement to be carried out, and the next one of its batch. */
struct db_job {
    struct db_job *next;
    enum db_statement statement;
    unsigned count;
    struct db_value values[DB_VALUES_MAX];
    size_t size; /* with its bytes, which stand behind it */
};

/* Makes the file where there is none. Our own folder is closed to others (0700); a file that others
 * could get at is refused, and so is one of a newer version or another program. */
int db_open(const char *folder, struct db **ret, struct err *reterr);
void db_close(struct db *db);

/* All of them in one transaction, or none. A job that can never be carried out is left out, and
 * logged. */
int db_write(struct db *db, const struct db_job *jobs, struct err *reterr);

struct sqlite3 *db_handle(struct db *db);
/* What went wrong in it, in words. Whether only closing and opening it anew can help: *ret_is_broken. */
int db_fault(struct db *db, const char *what, struct err *reterr, bool *ret_is_broken);

#endif
