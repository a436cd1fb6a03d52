/* SPDX-License-Identifier: MIT */
/*
 * record.h - one call as it is kept: an array in MessagePack.
 *
 * Errors:  what is read may be of a damaged file: false where it is no record.
 */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include "store/store.h"
#include "value/pack.h"

/* The longest, with all its texts. */
#define RECORD_BYTES_MAX 2048u

struct record {
    wall_ms at;
    uint64_t request_id;
    int64_t took_us;
    int64_t attempts, uid, pid;
    struct slice method, agent, user, service, tool, outcome, fallback_from;
};

/* `out` has room for RECORD_BYTES_MAX. */
void record_put(const struct store_activity *activity, struct buf *out);
/* The next one; its texts point into the bytes. */
bool record_next(struct pack *cursor, struct record *ret);

/* `text`, or what of it is within `most` bytes without a broken character at its end. */
struct slice record_cut(struct slice text, size_t most);

/* Whether it is what the query asks for, but for ids; empty texts ask for any. */
bool record_fits(const struct record *record, const struct store_query *query);
/* Appends the map that store.h promises. */
void record_put_row(const struct record *record, int64_t id, struct buf *out);

#endif
