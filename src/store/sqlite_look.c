/* SPDX-License-Identifier: MIT */
/* sqlite_look.c - goes back through activity and happenings. */
#include "store/sqlite.h"

/* Rows are in the order of their writing; a clock that was set may have disordered them so far. */
#define DISORDER_MS INT64_C(3600000)

/* How one row is taken: too old for any that follow to be wanted; left out; the last one wanted. */
struct taken {
    bool is_past, is_passed, is_enough;
};

static struct slice text(sqlite3_stmt *row, int at)
{
    const char *bytes = (const char *)sqlite3_column_text(row, at);
    return (struct slice){bytes, (size_t)sqlite3_column_bytes(row, at)};
}

static struct taken take_piece(const struct db_look *look, sqlite3_stmt *row)
{
    wall_ms since = sqlite3_column_int64(row, 2);
    wall_ms until = sqlite3_column_int64(row, 3);
    struct taken taken = {.is_past = look->since && until < look->since - DISORDER_MS};
    if ((look->since && until < look->since) || (look->until && since > look->until)) {
        taken.is_passed = true;
        return taken;
    }
    const char *bytes = sqlite3_column_blob(row, 4);
    struct db_piece piece = {.id = sqlite3_column_int64(row, 0),
                             .count = (uint32_t)sqlite3_column_int64(row, 1),
                             .bytes = {bytes, (size_t)sqlite3_column_bytes(row, 4)}};
    taken.is_enough = !look->visit_piece(look->arg, &piece);
    return taken;
}

static struct taken take_happening(const struct db_look *look, sqlite3_stmt *row)
{
    const char *kind = (const char *)sqlite3_column_text(row, 3);
    struct db_happening found = {
        .id = sqlite3_column_int64(row, 0),
        .happening = {.at = sqlite3_column_int64(row, 1),
                      .service = text(row, 2),
                      .kind = kind ? kind : "",
                      .state = text(row, 4),
                      .reason = text(row, 5),
                      .took_us = sqlite3_column_int64(row, 6)},
    };
    wall_ms at = found.happening.at;
    struct taken taken = {.is_past = look->since && at < look->since - DISORDER_MS};
    if ((look->since && at < look->since) || (look->until && at > look->until)) {
        taken.is_passed = true;
        return taken;
    }
    taken.is_enough = !look->visit_happening(look->arg, &found);
    return taken;
}

static int look_back(struct db *db, enum sqlite_own which, struct db_look *look,
                     struct taken (*take)(const struct db_look *look, sqlite3_stmt *row),
                     struct err *reterr)
{
    sqlite3_stmt *rows = NULL;
    struct taken taken = {0};
    uint32_t looked = 0;
    int code = SQLITE_ROW;
    int r = sqlite_get(db, which, &rows, reterr);
    if (r < 0) {
        return r;
    }
    (void)sqlite3_bind_int64(rows, 1, look->before ? look->before : INT64_MAX);
    (void)sqlite3_bind_int64(rows, 2, look->most);
    while (!taken.is_past && !taken.is_enough && (code = sqlite3_step(rows)) == SQLITE_ROW) {
        look->before = sqlite3_column_int64(rows, 0);
        looked++;
        taken = take(look, rows);
        look->passed += taken.is_passed;
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        r = sqlite_fault(db, "read", reterr);
    } else if (!taken.is_enough && (taken.is_past || looked < look->most)) {
        look->before = 0;
    }
    sqlite_reset(rows);
    return r;
}

int db_look_at_activity(struct db *db, struct db_look *look, struct err *reterr)
{
    return look_back(db, OWN_LOOK_AT_ACTIVITY, look, take_piece, reterr);
}

int db_look_at_happenings(struct db *db, struct db_look *look, struct err *reterr)
{
    return look_back(db, OWN_LOOK_AT_HAPPENINGS, look, take_happening, reterr);
}
