/* SPDX-License-Identifier: MIT */
/* sqlite_image.c - reads the tables. A row that makes no sense is left out: nobody else writes here. */
#include "store/image.h"

#include "base/mem.h"
#include "store/sqlite.h"
#include "value/json.h"

#include <string.h>

#define IMAGE_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define ROWS_MAX        200000

struct reader {
    struct db *db;
    struct image *image;
    struct buf pack; /* one definition */
    sqlite3_stmt *row;
    bool has_no_memory;
};

static struct slice keep(struct reader *reader, const void *bytes, size_t len)
{
    static const struct slice empty = {"", 0};
    if (!bytes || !len) {
        return empty;
    }
    struct slice copy = arena_copy(&reader->image->arena, (struct slice){bytes, len});
    reader->has_no_memory |= !copy.ptr;
    return copy.ptr ? copy : empty;
}

static struct slice take_text(struct reader *reader, int column)
{
    const void *bytes = sqlite3_column_text(reader->row, column);
    return keep(reader, bytes, (size_t)sqlite3_column_bytes(reader->row, column));
}

static const uint8_t *take_hash(struct reader *reader, int column)
{
    const void *bytes = sqlite3_column_blob(reader->row, column);
    if (!bytes || sqlite3_column_bytes(reader->row, column) != SHA256_BYTES) {
        return NULL;
    }
    return (const uint8_t *)keep(reader, bytes, SHA256_BYTES).ptr;
}

static struct slice take_definition(struct reader *reader, int column)
{
    const void *bytes = sqlite3_column_text(reader->row, column);
    size_t len = (size_t)sqlite3_column_bytes(reader->row, column);
    buf_clear(&reader->pack);
    if (!bytes ||
        json_to_pack((struct slice){bytes, len}, JSON_DEPTH_MAX, &reader->pack, NULL) < 0) {
        return (struct slice){"", 0};
    }
    return keep(reader, reader->pack.data, reader->pack.len);
}

static void take_pin(struct reader *reader, void *to)
{
    sqlite3_stmt *row = reader->row;
    *(struct store_pin *)to = (struct store_pin){
        .service = take_text(reader, 0),
        .tool = take_text(reader, 1),
        .hash = take_hash(reader, 2),
        .definition = take_definition(reader, 3),
        .approved_at = sqlite3_column_int64(row, 4),
        .approved_by = take_text(reader, 5),
        .seen_hash = take_hash(reader, 6),
        .seen = take_definition(reader, 7),
        .is_gone = sqlite3_column_int(row, 8) != 0,
    };
}

static void take_era(struct reader *reader, void *to)
{
    *(struct store_era *)to = (struct store_era){
        .service = take_text(reader, 0),
        .configuration = take_hash(reader, 1),
        .is_modern = sqlite3_column_int(reader->row, 2) != 0,
        .is_sse = sqlite3_column_int(reader->row, 3) != 0,
    };
}

static void take_gate(struct reader *reader, void *to)
{
    sqlite3_stmt *row = reader->row;
    *(struct store_gate *)to = (struct store_gate){
        .service = take_text(reader, 0),
        .breaker = (unsigned)sqlite3_column_int(row, 1),
        .forced = (unsigned)sqlite3_column_int(row, 2),
        .breaker_since = sqlite3_column_int64(row, 3),
        .breaker_until = sqlite3_column_int64(row, 4),
        .breaker_reason = take_text(reader, 5),
        .quarantine_level = (unsigned)sqlite3_column_int(row, 6),
        .quarantine_since = sqlite3_column_int64(row, 7),
        .quarantine_until = sqlite3_column_int64(row, 8),
        .is_quarantined_by_hand = sqlite3_column_int(row, 9) != 0,
        .quarantine_reason = take_text(reader, 10),
    };
}

static const struct table {
    const char *count, *rows;
    size_t size;
    void (*take)(struct reader *reader, void *to);
} pins = {"SELECT count(*) FROM pins",
          "SELECT service, tool, hash, definition, approved_at, approved_by, seen_hash, seen, "
          "is_gone FROM pins ORDER BY service, tool",
          sizeof(struct store_pin), take_pin},
  eras = {"SELECT count(*) FROM eras",
          "SELECT service, configuration, is_modern, is_sse FROM eras ORDER BY service",
          sizeof(struct store_era), take_era},
  gates = {"SELECT count(*) FROM gates",
           "SELECT service, breaker, forced, breaker_since, breaker_until, breaker_reason, "
           "quarantine_level, quarantine_since, quarantine_until, is_quarantined_by_hand, "
           "quarantine_reason FROM gates ORDER BY service",
           sizeof(struct store_gate), take_gate};

static int fault(struct reader *reader, struct err *reterr)
{
    return sqlite_fault(reader->db, "read", reterr);
}

static int count_rows(struct reader *reader, const char *sql, size_t *ret, struct err *reterr)
{
    sqlite3_stmt *statement = NULL;
    int r = 0;
    if (sqlite3_prepare_v2(reader->db->handle, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        r = fault(reader, reterr);
    } else {
        int64_t count = sqlite3_column_int64(statement, 0);
        *ret = count < ROWS_MAX ? (size_t)count : ROWS_MAX;
    }
    (void)sqlite3_finalize(statement);
    return r;
}

static int read_table(struct reader *reader, const struct table *table, void **ret,
                      size_t *ret_count, struct err *reterr)
{
    size_t room = 0;
    int r = count_rows(reader, table->count, &room, reterr);
    if (r < 0) {
        return r;
    }
    char *rows = arena_take(&reader->image->arena, (room + 1) * table->size);
    if (!rows || sqlite3_prepare_v2(reader->db->handle, table->rows, -1, &reader->row, NULL) !=
                     SQLITE_OK) {
        return rows ? fault(reader, reterr)
                    : err_set(reterr, ERR_UNAVAILABLE, "there is no memory to read it");
    }
    size_t count = 0;
    int code = SQLITE_ROW;
    while (count < room && (code = sqlite3_step(reader->row)) == SQLITE_ROW) {
        table->take(reader, rows + count * table->size);
        count++;
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        r = fault(reader, reterr);
    } else if (reader->has_no_memory) {
        r = err_set(reterr, ERR_UNAVAILABLE, "it holds more than %zu bytes", IMAGE_BYTES_MAX);
    }
    (void)sqlite3_finalize(reader->row);
    reader->row = NULL;
    *ret = rows;
    *ret_count = count;
    return r;
}

struct image *db_read_image(struct db *db, struct err *reterr)
{
    struct reader reader = {.db = db, .image = mem_new(sizeof *reader.image)};
    struct store_image *rows = &reader.image->rows;
    void *list = NULL;
    arena_init(&reader.image->arena, IMAGE_BYTES_MAX);
    buf_init(&reader.pack, STORE_DEFINITION_MAX * 3);
    int r = read_table(&reader, &pins, &list, &rows->pin_count, reterr);
    rows->pins = list;
    if (r == 0) {
        r = read_table(&reader, &eras, &list, &rows->era_count, reterr);
        rows->eras = list;
    }
    if (r == 0) {
        r = read_table(&reader, &gates, &list, &rows->gate_count, reterr);
        rows->gates = list;
    }
    buf_done(&reader.pack);
    if (r < 0) {
        image_free(reader.image);
        return NULL;
    }
    return reader.image;
}

void image_free(struct image *image)
{
    if (image) {
        arena_done(&image->arena);
        mem_free(image);
    }
}
