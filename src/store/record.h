/* SPDX-License-Identifier: MIT */
/*
 * record.h - calls as they are kept: pieces of many records, in MessagePack.
 *
 * A record is an array of numbers and texts. Numbers that go on from record to record (times, ids) are
 * the difference from the record before it; a text that was in the piece before may be its number
 * among the texts of the piece. So a record takes some 30 bytes instead of 100.
 *
 * Owns:    a writer its bytes, a reader what was read last.
 * Errors:  what is read may be of a damaged file: it ends at what is no record.
 */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include "store/store.h"
#include "value/pack.h"

/* The longest, with all its texts. */
#define RECORD_BYTES_MAX 2048u
#define RECORD_TEXT_MAX  255u
#define RECORD_WORDS     256u /* texts that are remembered */

struct record {
    wall_ms at;
    uint64_t request_id;
    int64_t took_us, attempts, uid, pid;
    struct slice method, agent, user, service, tool, outcome, fallback_from;
};

/* ---- writing ----------------------------------------------------------------------------- */

struct record_last { /* what differences are from; all 0 before the first */
    uint64_t at, request_id, uid, pid;
};

struct record_writer {
    struct buf out;
    uint32_t count; /* records in it */
    wall_ms since, until;
    struct record_last last;
    uint32_t words; /* texts that have a number */
    struct record_word {
        uint32_t at;
        uint16_t len, number; /* len 0: none is remembered */
    } remembered[RECORD_WORDS];
};

/* A piece may be as long as `bytes`, and one record more: where there is room for it. */
void record_writer_init(struct record_writer *writer, size_t bytes);
void record_writer_done(struct record_writer *writer);
bool record_writer_begin(
    struct record_writer *writer); /* empties it; false: there is no memory */
void record_write(struct record_writer *writer, const struct store_activity *activity);

/* ---- reading ----------------------------------------------------------------------------- */

struct record_reader { /* zeroed before the first use */
    struct record *records;
    uint32_t count;
    struct slice *words;
    size_t room; /* for pieces of so many bytes */
};

/* The records of a piece, `most` of them; their texts point into it. False: there is no memory. */
bool record_read(struct record_reader *reader, struct slice piece, uint32_t most);
void record_reader_done(struct record_reader *reader);

/* Whether it is what the query asks for, but for ids; empty texts ask for any. */
bool record_fits(const struct record *record, const struct store_query *query);
/* Appends the map that store.h promises. */
void record_put_row(const struct record *record, int64_t id, struct buf *out);

#endif
