/* SPDX-License-Identifier: MIT */
/* tail.c - keeps the end of a stream of bytes and makes printable text of it. */
#include "mcp/tail.h"

#include "base/text.h"

#include <stdint.h>

void tail_init(struct tail *tail)
{
    *tail = (struct tail){.is_cut = false};
    buf_init(&tail->bytes, TAIL_BYTES);
}

void tail_done(struct tail *tail)
{
    buf_done(&tail->bytes);
}

void tail_add(struct tail *tail, struct slice bytes)
{
    if (bytes.len > TAIL_BYTES) {
        bytes = (struct slice){bytes.ptr + bytes.len - TAIL_BYTES, TAIL_BYTES};
        tail->is_cut = true;
    }
    if (tail->bytes.len + bytes.len > TAIL_BYTES) {
        buf_consume(&tail->bytes, tail->bytes.len + bytes.len - TAIL_BYTES);
        tail->is_cut = true;
    }
    buf_put_slice(&tail->bytes, bytes);
    tail->bytes.overflow = false; /* no memory for it: then it is not kept */
}

/* Length of the terminal sequence that starts with the ESC at the start of `text`. */
static size_t escape_length(struct slice text)
{
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    bool is_csi = text.len > 1 && bytes[1] == '[';
    size_t at = is_csi ? 2 : 1;
    if (text.len > 1 && bytes[1] == ']') { /* OSC: text up to BEL or ESC \, on one line */
        while (at < text.len && bytes[at] != '\a' && bytes[at] != 0x1b && bytes[at] != '\n') {
            at++;
        }
        return at < text.len && bytes[at] == '\a' ? at + 1 : at;
    }
    /* parameters (of CSI) and intermediates, then one final byte */
    while (at < text.len && bytes[at] >= 0x20 && bytes[at] < (is_csi ? 0x40 : 0x30)) {
        at++;
    }
    return at < text.len && bytes[at] >= 0x30 && bytes[at] < 0x7f ? at + 1 : at;
}

/* Appends what stands for the start of `text`, and returns how much of it that was. */
static size_t put_step(struct buf *out, struct slice text)
{
    unsigned char first = (unsigned char)text.ptr[0];
    size_t step = text_utf8_step(text);
    if (step == 0) {
        buf_put(out, "\xef\xbf\xbd", 3);
        return 1;
    }
    if (first == 0x1b) {
        return escape_length(text);
    }
    /* U+0080 to U+009F are control characters too */
    bool is_c1 = first == 0xc2 && (unsigned char)text.ptr[1] < 0xa0;
    if (first == '\t') {
        buf_put_byte(out, ' ');
    } else if (first == '\n' || (first >= 0x20 && first != 0x7f && !is_c1)) {
        buf_put(out, text.ptr, step);
    }
    return step;
}

void tail_put_text(const struct tail *tail, struct buf *out)
{
    struct slice text = buf_slice(&tail->bytes);
    if (tail->is_cut) {
        const char *newline = memchr(text.ptr, '\n', text.len);
        if (newline && newline + 1 < text.ptr + text.len) {
            text.len -= (size_t)(newline + 1 - text.ptr);
            text.ptr = newline + 1;
        }
    }
    size_t before = out->len;
    while (text.len) {
        size_t step = put_step(out, text);
        text.ptr += step;
        text.len -= step;
    }
    while (out->len > before && out->data[out->len - 1] == '\n') {
        out->len--;
    }
}
