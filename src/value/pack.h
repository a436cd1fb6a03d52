/* SPDX-License-Identifier: MIT */
/*
 * pack.h - MessagePack, the one form in which a value lives here.
 *
 * There is no tree: a value is the slice of its encoding, read by a cursor and written to a buf.
 * What the socket brings, what JSON becomes, what Lua sees and what a schema checks is the same
 * bytes. https://github.com/msgpack/msgpack/blob/master/spec.md
 *
 * Life:    everything read from a cursor points into the bytes under it.
 * Errors:  a cursor never reads past its end: malformed or truncated bytes end it (PACK_END).
 *          Bytes from outside are first measured with pack_scan, which enforces the limits.
 */
#ifndef VALUE_PACK_H
#define VALUE_PACK_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pack_type {
    PACK_END, /* no more bytes, or bytes that are no MessagePack */
    PACK_NIL,
    PACK_BOOL,
    PACK_INT,  /* negative integers: `i` */
    PACK_UINT, /* all others: `u` */
    PACK_FLOAT,
    PACK_STR,
    PACK_BIN,
    PACK_EXT,
    PACK_ARRAY, /* `count` elements follow */
    PACK_MAP    /* `count` pairs follow */
};

/* A number that no int64, uint64 or float64 holds exactly: its decimal text (JSON grammar). */
#define PACK_EXT_NUMBER 1

struct pack_item {
    enum pack_type type;
    int8_t ext; /* PACK_EXT: its type */
    union {
        bool b;
        int64_t i;
        uint64_t u;
        double f;
        struct slice text; /* STR, BIN, EXT */
        uint32_t count;    /* ARRAY, MAP */
    };
};

struct pack {
    const unsigned char *at, *end;
};

static inline struct pack pack_over(struct slice bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.ptr;
    return (struct pack){at, at ? at + bytes.len : at};
}

/* Reads one item: a scalar whole, of an array or map only the header. PACK_END and false at the
 * end and at the first malformed byte. */
bool pack_next_any(struct pack *cursor, struct pack_item *ret);

static inline bool pack_next(struct pack *cursor, struct pack_item *ret)
{
    /* Small integers and short strings are most of what there is. */
    if (cursor->at < cursor->end) {
        unsigned char lead = *cursor->at;
        if (lead < 0x80) {
            ret->type = PACK_UINT;
            ret->u = lead;
            cursor->at++;
            return true;
        }
        size_t len = lead & 31u;
        if ((lead & 0xe0) == 0xa0 && (size_t)(cursor->end - cursor->at) > len) {
            ret->type = PACK_STR;
            ret->text.ptr = (const char *)cursor->at + 1;
            ret->text.len = len;
            cursor->at += 1 + len;
            return true;
        }
    }
    return pack_next_any(cursor, ret);
}

/* Passes over one whole value, children included, without recursion. */
bool pack_skip(struct pack *cursor);

/* Passes over one whole value and gives its bytes. */
bool pack_take(struct pack *cursor, struct slice *ret);

/* What a value is, without moving. */
enum pack_type pack_peek(struct pack cursor);

/* Reads a string that is text; false (cursor undefined) if the next item is none. */
static inline bool pack_next_text(struct pack *cursor, struct slice *ret)
{
    struct pack_item item;
    if (!pack_next(cursor, &item) || item.type != PACK_STR) {
        return false;
    }
    *ret = item.text;
    return true;
}

/* The bytes of the value under `key` of the map `value`; false if there is none or it is no map.
 * Linear; the last of duplicate keys wins nowhere, the first does. */
bool pack_get(struct slice value, const char *key, struct slice *ret);
bool pack_get_text(struct slice value, const char *key, struct slice *ret); /* only a string */
bool pack_get_int(struct slice value, const char *key, int64_t *ret);
bool pack_get_bool(struct slice value, const char *key, bool *ret);

/* An item as an integer: any width, and a float64 with an integral value. */
bool pack_as_int(const struct pack_item *item, int64_t *ret);
bool pack_as_uint(const struct pack_item *item, uint64_t *ret);

/* ---- measuring bytes from outside ------------------------------------------------------- */

#define PACK_DEPTH_MAX 64

struct pack_limits {
    size_t bytes;   /* of the whole value */
    uint32_t depth; /* of nesting, at most PACK_DEPTH_MAX */
    uint32_t items; /* values in total, headers included */
};

/* A resumable measurement of one value that arrives in pieces: nothing is read twice, nothing
 * is allocated. Start zeroed (PACK_SCAN_START). */
struct pack_scan {
    size_t
        at; /* bytes understood so far; past what has arrived while a string's body is awaited */
    uint32_t depth;
    uint32_t items;                /* values seen or announced by a header */
    uint32_t missing;              /* of these, not yet seen */
    uint32_t left[PACK_DEPTH_MAX]; /* values missing at each open level */
};

#define PACK_SCAN_START(scan) \
    ((scan)->at = 0, (scan)->depth = 0, (scan)->items = 0, (scan)->missing = 0)

enum pack_scan_result {
    PACK_SCAN_MORE,      /* a correct beginning: come back with more bytes */
    PACK_SCAN_DONE,      /* scan->at is the length of the value */
    PACK_SCAN_MALFORMED, /* byte 0xc1: no MessagePack */
    PACK_SCAN_TOO_LONG,  /* would pass limits->bytes, by what its headers claim */
    PACK_SCAN_TOO_DEEP,
    PACK_SCAN_TOO_MANY
};

/* `bytes` is everything of this value that has arrived, from its first byte. A header that
 * claims more than the limits fails as soon as it is read, before its content arrives. */
enum pack_scan_result pack_scan(struct pack_scan *scan, struct slice bytes,
                                const struct pack_limits *limits);

/* ---- writing --------------------------------------------------------------------------- */

/* All writers use the shortest encoding and append to `out` (see buf.h for overflow). */
void pack_put_nil(struct buf *out);
void pack_put_bool(struct buf *out, bool value);
void pack_put_int(struct buf *out, int64_t value);
void pack_put_uint(struct buf *out, uint64_t value);
void pack_put_float(struct buf *out, double value);
void pack_put_str(struct buf *out, struct slice text);
void pack_put_text(struct buf *out, const char *text);
void pack_put_bin(struct buf *out, struct slice bytes);
void pack_put_ext(struct buf *out, int8_t type, struct slice bytes);
void pack_put_array(struct buf *out, uint32_t count);
void pack_put_map(struct buf *out, uint32_t count);

/* A value that has passed pack_scan, without the members of its maps, at any depth, that are nil. */
void pack_put_pruned(struct buf *out, struct slice value);

/* A map or array whose count is known only at its end: open, put, close with what open gave and
 * the count. Costs up to four more bytes than the shortest form. */
size_t pack_open(struct buf *out);
void pack_close_map(struct buf *out, size_t opened, uint32_t count);
void pack_close_array(struct buf *out, size_t opened, uint32_t count);

/* A key that is known when this is compiled: header and text in a few stores. */
#define pack_put_literal(out, literal) pack_put_short((out), (literal), sizeof(literal) - 1)

static inline void pack_put_short(struct buf *out, const char *text, size_t len)
{
    if (len > 31) {
        pack_put_str(out, (struct slice){text, len});
    } else if (buf_reserve(out, 32)) {
        char *to = out->data + out->len;
        to[0] = (char)(0xa0 | len);
        memcpy(to + 1, text, len);
        out->len += len + 1;
    }
}

/* Key and value in one line. */
void pack_put_key_text(struct buf *out, const char *key, const char *value);
void pack_put_key_str(struct buf *out, const char *key, struct slice value);
void pack_put_key_int(struct buf *out, const char *key, int64_t value);
void pack_put_key_bool(struct buf *out, const char *key, bool value);

#endif
