/* SPDX-License-Identifier: MIT */
/*
 * json_text.h - strings of JSON text to MessagePack, and the output of a reader. Inside value/ only.
 *
 * The output is written through a bare pointer: before each token there is room for JSON_TEXT_SLACK
 * bytes, so that short ones need no check. The buf's ceiling is raised meanwhile and enforced at
 * the end.
 */
#ifndef VALUE_JSON_TEXT_H
#define VALUE_JSON_TEXT_H

#include "base/buf.h"
#include "value/json_chunk.h"
#include "value/pack.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define JSON_TEXT_SLACK 96

/* By how much the ceiling is raised: a string under way has a header of the longest form. */
#define JSON_TEXT_RAISE (JSON_TEXT_SLACK + 8)

struct json_text {
    const unsigned char *end; /* of the text that is read */
    unsigned char *data;      /* output: its start, the next byte, and */
    unsigned char *to;
    unsigned char *limit; /* the last place from which JSON_TEXT_SLACK bytes may be written */
    struct buf *out;
    size_t len_before, max;
    const unsigned char *fault_at;
    const char *fault;
    bool is_limit;
};

bool json_text_begin(struct json_text *text, const unsigned char *at, size_t len,
                     struct buf *out);

/* Hands the buf back: with what was written if `is_done`, else as it was. False if not done, or if
 * the ceiling turns out to be passed. */
bool json_text_end(struct json_text *text, bool is_done);

/* Makes room for `more` bytes and the slack. */
bool json_text_grow(struct json_text *text, size_t more);

/* Both return NULL. */
const unsigned char *json_text_fail(struct json_text *text, const unsigned char *at,
                                    const char *what);
const unsigned char *json_text_fail_limit(struct json_text *text, const unsigned char *at,
                                          const char *what);

/* The rest of json_text_read: for strings that are not short and plain. The first `plain` bytes are
 * known to be so. */
const unsigned char *json_text_read_long(struct json_text *text, const unsigned char *from,
                                         size_t plain);

/* Length of a string's MessagePack header, by its first byte. */
static inline uint32_t json_str_head(unsigned char lead)
{
    return lead < 0xc0 ? 1 : lead == 0xd9 ? 2 : lead == 0xda ? 3 : 5;
}

/* The same by its length. */
static inline size_t json_str_head_for(size_t len)
{
    return len < 32 ? 1 : len <= UINT8_MAX ? 2 : len <= UINT16_MAX ? 3 : 5;
}

static inline unsigned char *json_put8(unsigned char *to, uint8_t lead, uint8_t value)
{
    to[0] = lead;
    to[1] = value;
    return to + 2;
}

static inline unsigned char *json_put16(unsigned char *to, uint8_t lead, uint16_t value)
{
    uint16_t word = (uint16_t)(value << 8 | value >> 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = value;
#endif
    to[0] = lead;
    memcpy(to + 1, &word, 2);
    return to + 3;
}

static inline unsigned char *json_put32(unsigned char *to, uint8_t lead, uint32_t value)
{
    uint32_t word = __builtin_bswap32(value);
    to[0] = lead;
    memcpy(to + 1, &word, 4);
    return to + 5;
}

static inline unsigned char *json_put64(unsigned char *to, uint8_t lead, uint64_t value)
{
    uint64_t word = __builtin_bswap64(value);
    to[0] = lead;
    memcpy(to + 1, &word, 8);
    return to + 9;
}

static inline unsigned char *json_put_str_head(unsigned char *to, size_t len)
{
    if (len < 32) {
        *to = (unsigned char)(0xa0 | len);
        return to + 1;
    }
    return len <= UINT8_MAX    ? json_put8(to, 0xd9, (uint8_t)len)
           : len <= UINT16_MAX ? json_put16(to, 0xda, (uint16_t)len)
                               : json_put32(to, 0xdb, (uint32_t)len);
}

/* Reads a string, from behind its opening quote; returns the place behind the closing one, or NULL
 * with the fault set. Needs the slack. A short one is copied while it is looked at. */
static inline const unsigned char *json_text_read(struct json_text *text,
                                                  const unsigned char *at)
{
    if (text->end - at < CHUNK) {
        return json_text_read_long(text, at, 0);
    }
    unsigned char *to = text->to;
    chunk bytes = chunk_load(at);
    chunk_mask special = chunk_special(bytes);
    chunk_store(to + 1, bytes);
    if (!special) {
        return json_text_read_long(text, at, CHUNK);
    }
    size_t len = chunk_first(special);
    if (at[len] != '"') {
        return json_text_read_long(text, at, len);
    }
    *to = (unsigned char)(0xa0 | len);
    text->to = to + 1 + len;
    return at + len + 1;
}

#endif
