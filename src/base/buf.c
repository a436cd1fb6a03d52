/* SPDX-License-Identifier: MIT */
/* buf.c - growable bytes with a ceiling. */
#include "base/buf.h"

#include "base/mem.h"

#include <stdio.h>

void buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf){.max = max};
}

void buf_done(struct buf *buf)
{
    if (buf->cap > BUF_LONG) {
        mem_long_free(buf->data, buf->cap);
    } else {
        mem_free(buf->data);
    }
    *buf = (struct buf){.max = buf->max};
}

void buf_trim(struct buf *buf, size_t keep)
{
    if (buf->cap > keep) {
        buf_done(buf);
    }
    buf_clear(buf);
}

/* `*cap` is what it shall hold, and on return what it does. NULL: no memory. */
static char *resize(struct buf *buf, size_t *cap)
{
    if (*cap <= BUF_LONG) {
        return mem_resize(buf->data, *cap);
    }
    if (buf->cap > BUF_LONG) {
        return mem_long_resize(buf->data, buf->cap, *cap);
    }
    char *data = mem_long_try(*cap, buf->max, cap);
    if (data && buf->data) {
        memcpy(data, buf->data, buf->len);
        mem_free(buf->data);
    }
    return data;
}

bool buf_reserve_slow(struct buf *buf, size_t more)
{
    if (buf->overflow || more > buf->max || buf->len > buf->max - more) {
        buf->overflow = true;
        return false;
    }
    size_t need = buf->len + more;
    size_t cap = buf->cap ? buf->cap : buf->max < 64 ? buf->max : 64;
    while (cap < need) {
        cap = cap > buf->max / 2 ? buf->max : cap * 2;
    }
    char *data = resize(buf, &cap);
    if (!data) {
        buf->overflow = true;
        return false;
    }
    buf->data = data;
    buf->cap = cap;
    return true;
}

void buf_put_text(struct buf *buf, const char *text)
{
    buf_put(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    size_t room = buf->cap - buf->len;
    int length = vsnprintf(room ? buf->data + buf->len : NULL, room, format, args);
    va_end(args);
    if (length < 0) {
        buf->overflow = true;
    } else if ((size_t)length < room) {
        buf->len += (size_t)length;
    } else if (buf_reserve(buf, (size_t)length + 1)) {
        (void)vsnprintf(buf->data + buf->len, (size_t)length + 1, format, again);
        buf->len += (size_t)length;
    }
    va_end(again);
}

void buf_consume(struct buf *buf, size_t len)
{
    if (len >= buf->len) {
        buf->len = 0;
    } else if (len) {
        memmove(buf->data, buf->data + len, buf->len - len);
        buf->len -= len;
    }
}

const char *buf_text(struct buf *buf)
{
    if (!buf_reserve(buf, 1)) {
        return "";
    }
    buf->data[buf->len] = '\0';
    return buf->data;
}
