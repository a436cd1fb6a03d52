/* SPDX-License-Identifier: MIT */
/* text.c - UTF-8, base64, globs and nearness of names. */
#include "base/text.h"

#include <stdint.h>
#include <string.h>

/* One multi-byte sequence; 0 when it is not well-formed (RFC 3629 section 4). */
static size_t sequence_length(const unsigned char *at, size_t room)
{
    unsigned char lead = at[0];
    unsigned char min = 0x80;
    unsigned char max = 0xbf;
    size_t len = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || room < len) {
        return 0;
    }
    if (lead == 0xe0) {
        min = 0xa0;
    } else if (lead == 0xed) {
        max = 0x9f;
    } else if (lead == 0xf0) {
        min = 0x90;
    } else if (lead == 0xf4) {
        max = 0x8f;
    }
    if (at[1] < min || at[1] > max) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

/* Whether a text of at least eight bytes is ASCII: the last word may overlap the one before. */
static bool is_ascii(const char *at, size_t len)
{
    uint64_t all = 0;
    uint64_t word;
    for (size_t i = 0; i + 8 < len; i += 8) {
        memcpy(&word, at + i, 8);
        all |= word;
    }
    memcpy(&word, at + len - 8, 8);
    return !((all | word) & 0x8080808080808080u);
}

bool text_is_utf8(struct slice text)
{
    const unsigned char *at = (const unsigned char *)text.ptr;
    size_t left = text.len;
    if (left >= 8 && left <= 64 && is_ascii(text.ptr, left)) {
        return true;
    }
    while (left) {
        uint64_t word;
        if (left >= 8) {
            memcpy(&word, at, 8);
            if (!(word & 0x8080808080808080u)) {
                at += 8;
                left -= 8;
                continue;
            }
        }
        size_t step = *at < 0x80 ? 1 : sequence_length(at, left);
        if (!step) {
            return false;
        }
        at += step;
        left -= step;
    }
    return true;
}

size_t text_utf8_step(struct slice text)
{
    const unsigned char *at = (const unsigned char *)text.ptr;
    return !text.len ? 0 : *at < 0x80 ? 1 : sequence_length(at, text.len);
}

void text_copy(char *out, size_t size, struct slice text)
{
    while (text.len) {
        size_t step = text_utf8_step(text);
        size_t len = step ? step : 1;
        if (len >= size) {
            break;
        }
        memcpy(out, step ? text.ptr : "?", len);
        out += len;
        size -= len;
        text.ptr += len;
        text.len -= len;
    }
    *out = '\0';
}

struct slice text_cut(struct slice text, size_t max)
{
    if (text.len <= max) {
        return text;
    }
    /* Behind the first byte of a character are three at the most. */
    for (int i = 0; i < 3 && max && ((unsigned char)text.ptr[max] & 0xc0) == 0x80; i++) {
        max--;
    }
    return (struct slice){text.ptr, max};
}

void text_put_base64(struct buf *out, struct slice bytes)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = (const unsigned char *)bytes.ptr;
    size_t left = bytes.len;
    if (!buf_reserve(out, (left / 3 + 1) * 4)) {
        return;
    }
    char *to = out->data + out->len;
    for (; left >= 3; left -= 3, at += 3) {
        *to++ = digits[at[0] >> 2];
        *to++ = digits[(at[0] & 3) << 4 | at[1] >> 4];
        *to++ = digits[(at[1] & 15) << 2 | at[2] >> 6];
        *to++ = digits[at[2] & 63];
    }
    if (left) {
        unsigned second = left == 2 ? at[1] : 0u;
        *to++ = digits[at[0] >> 2];
        *to++ = digits[(at[0] & 3u) << 4 | second >> 4];
        *to++ = (char)(left == 2 ? digits[(second & 15) << 2] : '=');
        *to++ = '=';
    }
    out->len = (size_t)(to - out->data);
}

bool text_glob(struct slice pattern, struct slice name)
{
    size_t p = 0;
    size_t n = 0;
    size_t star = SIZE_MAX;
    size_t mark = 0;
    while (n < name.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            mark = n;
        } else if (p < pattern.len && pattern.ptr[p] == name.ptr[n]) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*') {
        p++;
    }
    return p == pattern.len;
}

#define NAME_MAX_BYTES 64

unsigned text_distance(struct slice a, struct slice b, unsigned limit)
{
    unsigned row[NAME_MAX_BYTES + 1];
    if (a.len > NAME_MAX_BYTES || b.len > NAME_MAX_BYTES) {
        return limit + 1;
    }
    for (size_t k = 0; k <= b.len; k++) {
        row[k] = (unsigned)k;
    }
    for (size_t i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t k = 1; k <= b.len; k++) {
            unsigned cost = diagonal + (a.ptr[i - 1] != b.ptr[k - 1]);
            diagonal = row[k];
            if (row[k] + 1 < cost) {
                cost = row[k] + 1;
            }
            if (row[k - 1] + 1 < cost) {
                cost = row[k - 1] + 1;
            }
            row[k] = cost;
        }
    }
    return row[b.len] > limit ? limit + 1 : row[b.len];
}

void text_nearest(struct slice wanted, struct slice candidate, struct slice *best,
                  unsigned *distance)
{
    unsigned limit = wanted.len < 4 ? 1 : wanted.len < 8 ? 2 : TEXT_FAR - 1;
    unsigned found = text_distance(wanted, candidate, limit);
    if (found <= limit && found < *distance) {
        *distance = found;
        *best = candidate;
    }
}
