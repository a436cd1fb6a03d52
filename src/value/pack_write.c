/* SPDX-License-Identifier: MIT */
/* pack_write.c - writes MessagePack in its shortest forms. */
#include "value/pack.h"

#include "base/word.h"

static size_t put16(char *to, uint8_t lead, uint16_t value)
{
    to[0] = (char)lead;
    to[1] = (char)(value >> 8);
    to[2] = (char)value;
    return 3;
}

static size_t put32(char *to, uint8_t lead, uint32_t value)
{
    uint32_t word = __builtin_bswap32(value);
    to[0] = (char)lead;
    memcpy(to + 1, &word, 4);
    return 5;
}

static size_t put64(char *to, uint8_t lead, uint64_t value)
{
    uint64_t word = __builtin_bswap64(value);
    to[0] = (char)lead;
    memcpy(to + 1, &word, 8);
    return 9;
}

static size_t put8(char *to, uint8_t lead, uint8_t value)
{
    to[0] = (char)lead;
    to[1] = (char)value;
    return 2;
}

void pack_put_nil(struct buf *out)
{
    buf_put_byte(out, 0xc0);
}

void pack_put_bool(struct buf *out, bool value)
{
    buf_put_byte(out, value ? 0xc3 : 0xc2);
}

void pack_put_uint(struct buf *out, uint64_t value)
{
    char bytes[9];
    size_t len;
    if (value < 0x80) {
        buf_put_byte(out, (uint8_t)value);
        return;
    }
    if (value <= UINT8_MAX) {
        len = put8(bytes, 0xcc, (uint8_t)value);
    } else if (value <= UINT16_MAX) {
        len = put16(bytes, 0xcd, (uint16_t)value);
    } else if (value <= UINT32_MAX) {
        len = put32(bytes, 0xce, (uint32_t)value);
    } else {
        len = put64(bytes, 0xcf, value);
    }
    buf_put(out, bytes, len);
}

void pack_put_int(struct buf *out, int64_t value)
{
    char bytes[9];
    size_t len;
    if (value >= 0) {
        pack_put_uint(out, (uint64_t)value);
        return;
    }
    if (value >= -32) {
        buf_put_byte(out, (uint8_t)value);
        return;
    }
    if (value >= INT8_MIN) {
        len = put8(bytes, 0xd0, (uint8_t)value);
    } else if (value >= INT16_MIN) {
        len = put16(bytes, 0xd1, (uint16_t)value);
    } else if (value >= INT32_MIN) {
        len = put32(bytes, 0xd2, (uint32_t)value);
    } else {
        len = put64(bytes, 0xd3, (uint64_t)value);
    }
    buf_put(out, bytes, len);
}

/* Always float64: a float32 that comes back would be a change that somebody can see. */
void pack_put_float(struct buf *out, double value)
{
    char bytes[9];
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    buf_put(out, bytes, put64(bytes, 0xcb, bits));
}

/* Header and body, or nothing. */
static void put_sized(struct buf *out, const char *head, size_t head_len, struct slice body)
{
    if (body.len > UINT32_MAX) {
        out->overflow = true;
        return;
    }
    if (!buf_reserve(out, head_len + body.len)) {
        return;
    }
    memcpy(out->data + out->len, head, head_len);
    if (body.len) {
        memcpy(out->data + out->len + head_len, body.ptr, body.len);
    }
    out->len += head_len + body.len;
}

/* Nearly all texts. */
static void put_short_str(struct buf *out, struct slice text)
{
    if (!buf_reserve(out, 1 + text.len)) {
        return;
    }
    char *to = out->data + out->len;
    to[0] = (char)(0xa0 | text.len);
    if (text.len) {
        word_copy(to + 1, text.ptr, text.len);
    }
    out->len += 1 + text.len;
}

void pack_put_str(struct buf *out, struct slice text)
{
    char head[5];
    size_t len;
    if (text.len < 32) {
        put_short_str(out, text);
        return;
    }
    if (text.len <= UINT8_MAX) {
        len = put8(head, 0xd9, (uint8_t)text.len);
    } else if (text.len <= UINT16_MAX) {
        len = put16(head, 0xda, (uint16_t)text.len);
    } else {
        len = put32(head, 0xdb, (uint32_t)text.len);
    }
    put_sized(out, head, len, text);
}

void pack_put_text(struct buf *out, const char *text)
{
    pack_put_str(out, slice_of(text));
}

void pack_put_bin(struct buf *out, struct slice bytes)
{
    char head[5];
    size_t len;
    if (bytes.len <= UINT8_MAX) {
        len = put8(head, 0xc4, (uint8_t)bytes.len);
    } else if (bytes.len <= UINT16_MAX) {
        len = put16(head, 0xc5, (uint16_t)bytes.len);
    } else {
        len = put32(head, 0xc6, (uint32_t)bytes.len);
    }
    put_sized(out, head, len, bytes);
}

void pack_put_ext(struct buf *out, int8_t type, struct slice bytes)
{
    char head[6];
    size_t len;
    if (bytes.len && bytes.len <= 16 && (bytes.len & (bytes.len - 1)) == 0) {
        head[0] = (char)(0xd4 + __builtin_ctz((unsigned)bytes.len));
        len = 1;
    } else if (bytes.len <= UINT8_MAX) {
        len = put8(head, 0xc7, (uint8_t)bytes.len);
    } else if (bytes.len <= UINT16_MAX) {
        len = put16(head, 0xc8, (uint16_t)bytes.len);
    } else {
        len = put32(head, 0xc9, (uint32_t)bytes.len);
    }
    head[len++] = (char)type;
    put_sized(out, head, len, bytes);
}

static void put_count(struct buf *out, uint32_t count, uint8_t fix, uint8_t lead)
{
    char head[5];
    if (count < 16) {
        buf_put_byte(out, (uint8_t)(fix | count));
    } else if (count <= UINT16_MAX) {
        buf_put(out, head, put16(head, lead, (uint16_t)count));
    } else {
        buf_put(out, head, put32(head, (uint8_t)(lead + 1), count));
    }
}

void pack_put_array(struct buf *out, uint32_t count)
{
    put_count(out, count, 0x90, 0xdc);
}

void pack_put_map(struct buf *out, uint32_t count)
{
    put_count(out, count, 0x80, 0xde);
}

size_t pack_open(struct buf *out)
{
    size_t opened = out->len;
    buf_put(out, "\xc0\xc0\xc0\xc0\xc0", 5);
    return opened;
}

void pack_close_map(struct buf *out, size_t opened, uint32_t count)
{
    if (!out->overflow) {
        (void)put32(out->data + opened, 0xdf, count);
    }
}

void pack_close_array(struct buf *out, size_t opened, uint32_t count)
{
    if (!out->overflow) {
        (void)put32(out->data + opened, 0xdd, count);
    }
}

void pack_put_key_text(struct buf *out, const char *key, const char *value)
{
    pack_put_text(out, key);
    pack_put_text(out, value);
}

void pack_put_key_str(struct buf *out, const char *key, struct slice value)
{
    pack_put_text(out, key);
    pack_put_str(out, value);
}

void pack_put_key_int(struct buf *out, const char *key, int64_t value)
{
    pack_put_text(out, key);
    pack_put_int(out, value);
}

void pack_put_key_bool(struct buf *out, const char *key, bool value)
{
    pack_put_text(out, key);
    pack_put_bool(out, value);
}
