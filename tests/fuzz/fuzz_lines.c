/* SPDX-License-Identifier: MIT */
/*
 * fuzz_lines.c - what a stdio server writes, cut into lines in pieces of any size, against a plain
 * reading of the same bytes. Input: the limit, the size of a piece, then the bytes.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/text.h"
#include "mcp/lines.h"
#include "mcp/tail.h"

#include <stdint.h>

/* The next line of `text`: 1, 0 at its end, or the error. */
static int plain_next(struct slice *text, size_t longest, struct slice *ret)
{
    const char *newline = text->len ? memchr(text->ptr, '\n', text->len) : NULL;
    size_t len = newline ? (size_t)(newline - text->ptr) : text->len;
    if (len > longest) {
        return -(int)ERR_EXTERNAL_TOOL_EXECUTION_FAILED;
    }
    *ret = (struct slice){text->ptr, len};
    text->ptr += newline ? len + 1 : len;
    text->len -= newline ? len + 1 : len;
    return newline != NULL;
}

static int take_piece(struct lines *lines, struct slice piece, struct slice *plain,
                      char *scratch)
{
    size_t size;
    struct slice line;
    struct slice wanted;
    struct buf taken;
    int got;
    char *room = lines_room(lines, scratch, &size);
    must(room != NULL && size >= piece.len);
    memcpy(room, piece.ptr, piece.len);
    lines_got(lines, room, piece.len);
    while ((got = lines_next(lines, &line)) > 0) {
        must(plain_next(plain, lines->longest, &wanted) == 1);
        must(slice_equal(line, wanted));
        if (wanted.len % 3 == 0 && lines_take(lines, line, &taken)) {
            must(line.ptr >= taken.data && line.ptr + line.len <= taken.data + taken.len);
            must(slice_equal(line, wanted));
            buf_done(&taken);
        }
    }
    if (got == 0) {
        got = lines_keep(lines);
        memset(scratch, '\n', LINES_SCRATCH); /* whatever still points there shows */
    }
    return got;
}

static void check_lines(struct slice text, size_t longest, size_t step, char *scratch)
{
    struct lines lines;
    struct slice plain = text;
    struct slice line;
    int got = 0;
    lines_init(&lines, longest);
    while (text.len && got == 0) {
        struct slice piece = {text.ptr, text.len < step ? text.len : step};
        text.ptr += piece.len;
        text.len -= piece.len;
        got = take_piece(&lines, piece, &plain, scratch);
    }
    /* No line is left out, and an error comes only where the plain reading has it next. */
    must(plain_next(&plain, longest, &line) == got);
    lines_done(&lines);
}

static void check_tail(struct slice text, size_t step)
{
    struct tail tail;
    struct buf out;
    tail_init(&tail);
    buf_init(&out, TAIL_TEXT_BYTES);
    while (text.len) {
        struct slice piece = {text.ptr, text.len < step ? text.len : step};
        text.ptr += piece.len;
        text.len -= piece.len;
        tail_add(&tail, piece);
    }
    tail_put_text(&tail, &out);
    must(!out.overflow && text_is_utf8(buf_slice(&out)));
    for (size_t i = 0; i < out.len; i++) {
        must((unsigned char)out.data[i] >= 0x20 || out.data[i] == '\n');
    }
    buf_done(&out);
    tail_done(&tail);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char scratch[LINES_SCRATCH];
    if (size < 2) {
        return 0;
    }
    struct slice text = {(const char *)data + 2, size - 2};
    size_t step = data[1] ? data[1] : 4096;
    check_lines(text, data[0] ? data[0] : 65536, step, scratch);
    check_tail(text, step);
    return 0;
}
