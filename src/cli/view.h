/* SPDX-License-Identifier: MIT */
/*
 * view.h - reading the daemon's answers, and showing values to people.
 *
 * Life: everything read points into the answer.
 */
#ifndef CLI_VIEW_H
#define CLI_VIEW_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "value/pack.h"

#include <stdbool.h>
#include <stdint.h>

/* The value under `key` of a map; empty if there is none. */
struct slice view_get(struct slice map, const char *key);
struct slice view_text(struct slice map, const char *key); /* only a string, else empty */
int64_t view_int(struct slice map, const char *key, int64_t otherwise);
bool view_is_true(struct slice map, const char *key);

/* Milliseconds since the time under `key`, "2026-11-21T09:45:00.123Z" or Unix milliseconds; -1 if it
 * is neither. */
int64_t view_age(struct slice map, const char *key);
int64_t view_left(struct slice map, const char *key); /* until then; 0 once it has passed */

/* A walk over an array; a value that is none is an empty one. */
struct view_list {
    struct pack cursor;
    uint32_t left;
};

struct view_list view_list(struct slice array);
bool view_next(struct view_list *list, struct slice *ret);
uint32_t view_count(struct slice array);

/* "a, b, c" from an array of strings. */
void put_joined(struct buf *out, struct slice array);

/* "42 ms", "7 s", "10 min", "3 min 20 s", "5 h 12 min", "3 d 4 h"; "" when negative. */
void put_duration(struct buf *out, int64_t ms);

/* "12.3 MiB". */
void put_size(struct buf *out, int64_t bytes);

/* "1 call", "2 calls". */
void put_count(struct buf *out, int64_t count, const char *thing);

/* JSON, in one line or indented. 0, or what json_from_pack says. */
int put_json(struct buf *out, struct slice value, bool is_indented, struct err *reterr);

/* The map without these keys, of which the last is NULL. */
void put_map_without(struct buf *out, struct slice map, const char *const *keys);

/* A map as lines of "key: value", nested by indentation: for people, not for parsing. */
void put_tree(struct buf *out, struct slice value, unsigned indent);

#endif
