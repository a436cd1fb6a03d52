/* SPDX-License-Identifier: MIT */
/* scratch.h - a store in a scratch folder, for the tests of this room. */
#ifndef TEST_SCRATCH_H
#define TEST_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "store/store.h"
#include "value/json.h"
#include "value/pack.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct scratch {
    char folder[64], path[128];
    struct loop *loop;
    struct store *store;
};

static inline void scratch_open(struct scratch *scratch)
{
    scratch->store = store_new(&(struct store_options){
        .loop = scratch->loop, .folder = scratch->folder, .retry_ms = 20});
}

static inline void scratch_close(struct scratch *scratch)
{
    store_free(scratch->store);
    scratch->store = NULL;
}

static inline void scratch_reopen(struct scratch *scratch)
{
    scratch_close(scratch);
    scratch_open(scratch);
}

static inline int scratch_setup(void **state)
{
    struct scratch *scratch = mem_new(sizeof *scratch);
    (void)snprintf(scratch->folder, sizeof scratch->folder, "/tmp/toolbroker-store-XXXXXX");
    assert_non_null(mkdtemp(scratch->folder));
    (void)snprintf(scratch->path, sizeof scratch->path, "%s/%s", scratch->folder, STORE_FILE);
    scratch->loop = loop_new();
    scratch_open(scratch);
    *state = scratch;
    return 0;
}

static inline int scratch_teardown(void **state)
{
    struct scratch *scratch = *state;
    static const char *const files[] = {"", "-wal", "-shm", "-journal"};
    store_free(scratch->store);
    loop_free(scratch->loop);
    (void)chmod(scratch->folder, 0700);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[160];
        (void)snprintf(path, sizeof path, "%s%s", scratch->path, files[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(scratch->folder), 0);
    mem_free(scratch);
    return 0;
}

/* The status as JSON, in a buffer of this function. */
static inline const char *scratch_status(struct store *store)
{
    static char text[2048];
    struct buf pack;
    struct buf json;
    buf_init(&pack, 4096);
    buf_init(&json, sizeof text - 1);
    store_put_status(store, &pack);
    assert_int_equal(json_from_pack(buf_slice(&pack), "status", &json, NULL), 0);
    (void)snprintf(text, sizeof text, "%s", buf_text(&json));
    buf_done(&pack);
    buf_done(&json);
    return text;
}

static inline void scratch_status_has(struct scratch *scratch, const char *part)
{
    if (!strstr(scratch_status(scratch->store), part)) {
        fail_msg("\"%s\" is not in %s", part, scratch_status(scratch->store));
    }
}

static inline sqlite3 *scratch_sqlite(struct scratch *scratch)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(scratch->path, &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 5000);
    return db;
}

/* The first column of the first row, by a connection of its own. */
static inline int64_t scratch_ask(struct scratch *scratch, const char *sql)
{
    sqlite3 *db = scratch_sqlite(scratch);
    sqlite3_stmt *row = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &row, NULL) != SQLITE_OK ||
        sqlite3_step(row) != SQLITE_ROW) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    }
    int64_t number = sqlite3_column_int64(row, 0);
    (void)sqlite3_finalize(row);
    (void)sqlite3_close(db);
    return number;
}

static inline void scratch_run(struct scratch *scratch, const char *sql)
{
    sqlite3 *db = scratch_sqlite(scratch);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    }
    (void)sqlite3_close(db);
}

/* PRAGMA integrity_check, with words where it fails. */
static inline void scratch_is_sound(struct scratch *scratch)
{
    sqlite3 *db = scratch_sqlite(scratch);
    sqlite3_stmt *row = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &row, NULL), 0);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(row, 0), "ok");
    (void)sqlite3_finalize(row);
    (void)sqlite3_close(db);
}

/* Turns of the loop until *what is not 0. */
static inline int scratch_await(struct scratch *scratch, const volatile int *what)
{
    for (int i = 0; i < 6000 && !*what; i++) {
        loop_turn(scratch->loop, 10000);
    }
    assert_int_not_equal(*what, 0);
    return *what;
}

#endif
