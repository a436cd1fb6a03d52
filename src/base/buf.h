/* SPDX-License-Identifier: MIT */
/*
 * buf.h - growable bytes with a ceiling.
 *
 * Owns:    its memory; buf_done frees it.
 * Errors:  an append that would pass the ceiling, or finds no memory, changes nothing but sets
 *          `overflow`, which sticks until buf_clear: many appends, one check.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/slice.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A buffer with more room than this has it from mem_long_try. */
#define BUF_LONG ((size_t)1024 * 1024)

struct buf {
    char *data;
    size_t len, cap, max;
    bool overflow;
};

void buf_init(struct buf *buf, size_t max);
void buf_done(struct buf *buf);
void buf_trim(struct buf *buf, size_t keep); /* clears; frees the memory if cap > keep */

/* Makes room for `more` bytes behind len. False (and overflow) if that passes the ceiling. */
bool buf_reserve_slow(struct buf *buf, size_t more);

static inline bool buf_reserve(struct buf *buf, size_t more)
{
    return (buf->cap - buf->len >= more) || buf_reserve_slow(buf, more);
}

static inline void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->overflow = false;
}

static inline void buf_put(struct buf *buf, const void *bytes, size_t len)
{
    if (len && buf_reserve(buf, len)) {
        memcpy(buf->data + buf->len, bytes, len);
        buf->len += len;
    }
}

static inline void buf_put_byte(struct buf *buf, uint8_t byte)
{
    if (buf_reserve(buf, 1)) {
        buf->data[buf->len++] = (char)byte;
    }
}

static inline void buf_put_slice(struct buf *buf, struct slice bytes)
{
    buf_put(buf, bytes.ptr, bytes.len);
}

static inline struct slice buf_slice(const struct buf *buf)
{
    return (struct slice){buf->data, buf->len};
}

void buf_put_text(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_consume(struct buf *buf, size_t len); /* drops the first len bytes */
const char *
buf_text(struct buf *buf); /* terminated view; "" on overflow; valid until the next change */

#endif
