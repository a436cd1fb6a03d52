/* SPDX-License-Identifier: MIT */
/* terminal.c - the look of text: width in columns, colour, and no control characters. */
#include "cli/terminal.h"

#include "base/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

static unsigned columns_of(int fd)
{
    struct winsize size;
    const char *given = getenv("COLUMNS");
    long columns = given ? strtol(given, NULL, 10) : 0;
    if (columns < 20 || columns > 10000) {
        columns = ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
    }
    return columns >= 20 ? (unsigned)columns : 80;
}

struct terminal terminal_of(FILE *stream, bool no_color)
{
    struct terminal terminal = {.is_terminal = isatty(fileno(stream)) == 1};
    const char *term = getenv("TERM");
    if (terminal.is_terminal) {
        bool is_dumb = !term || !*term || strcmp(term, "dumb") == 0;
        terminal.has_color = !no_color && !is_set("NO_COLOR") && !is_dumb;
        terminal.width = columns_of(fileno(stream));
    }
    return terminal;
}

/* One character of well-formed UTF-8. */
static wchar_t decode(const char *at, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)at;
    uint32_t value = len == 1 ? bytes[0] : bytes[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        value = value << 6 | (bytes[i] & 0x3fu);
    }
    return (wchar_t)value;
}

/* Characters that reorder or hide what follows: they have no place in a table. */
static bool is_treacherous(wchar_t character)
{
    uint32_t value = (uint32_t)character;
    return (value >= 0x80 && value < 0xa0) || value == 0x061c ||
           (value >= 0x200b && value <= 0x200f && value != 0x200d) ||
           (value >= 0x2028 && value <= 0x202e) || (value >= 0x2060 && value <= 0x206f) ||
           value == 0xfeff;
}

/* The character at the start of `text`: its bytes, and its columns, -1 if it must not be shown. */
static size_t next_character(struct slice text, int *ret_columns)
{
    size_t step = text_utf8_step(text);
    if (step == 0) {
        *ret_columns = -1;
        return 1;
    }
    if (step == 1) {
        unsigned char byte = (unsigned char)*text.ptr;
        *ret_columns = byte < 0x20 || byte == 0x7f ? -1 : 1;
        return 1;
    }
    wchar_t character = decode(text.ptr, step);
    int columns = wcwidth(character);
    /* The C library knows no width for what is newer than itself: show it as one column. */
    *ret_columns = is_treacherous(character) ? -1 : columns < 0 ? 1 : columns;
    return step;
}

unsigned text_width(struct slice text)
{
    unsigned width = 0;
    while (text.len) {
        int columns;
        size_t step = next_character(text, &columns);
        width += columns < 0 ? 1u : (unsigned)columns;
        text.ptr += step;
        text.len -= step;
    }
    return width;
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

/* What one line shows of the start of a text. */
struct piece {
    size_t step; /* bytes of the text that it stands for */
    unsigned columns;
    struct slice shown;
};

static struct piece next_piece(struct slice text)
{
    struct piece piece = {.step = 1, .columns = 1, .shown = SLICE("?")};
    if (is_space(*text.ptr)) {
        while (piece.step < text.len && is_space(text.ptr[piece.step])) {
            piece.step++;
        }
        piece.shown = SLICE(" ");
        return piece;
    }
    int columns;
    piece.step = next_character(text, &columns);
    if (columns >= 0) {
        piece.columns = (unsigned)columns;
        piece.shown = (struct slice){text.ptr, piece.step};
    }
    return piece;
}

static struct slice trim(struct slice text)
{
    while (text.len && is_space(text.ptr[text.len - 1])) {
        text.len--;
    }
    while (text.len && is_space(*text.ptr)) {
        text.ptr++;
        text.len--;
    }
    return text;
}

void put_clean(struct buf *out, struct slice text, unsigned columns)
{
    size_t fits = out->len; /* where to cut to make room for the ellipsis */
    unsigned width = 0;
    text = trim(text);
    while (text.len) {
        struct piece piece = next_piece(text);
        if (columns && width + piece.columns > columns) {
            out->len = fits;
            buf_put_text(out, "…");
            return;
        }
        buf_put_slice(out, piece.shown);
        width += piece.columns;
        if (width < columns) {
            fits = out->len;
        }
        text.ptr += piece.step;
        text.len -= piece.step;
    }
}

void put_lines(struct buf *out, struct slice text)
{
    while (text.len) {
        int columns;
        size_t step = next_character(text, &columns);
        if (columns >= 0 || *text.ptr == '\n' || *text.ptr == '\t') {
            buf_put(out, text.ptr, step);
        } else if (*text.ptr != '\r') {
            buf_put_byte(out, '?');
        }
        text.ptr += step;
        text.len -= step;
    }
}

void put_paint(struct buf *out, const struct terminal *terminal, enum paint paint)
{
    static const char *const codes[] = {
        [PAINT_NONE] = "",          [PAINT_BOLD] = "\033[1m", [PAINT_DIM] = "\033[2m",
        [PAINT_GREEN] = "\033[32m", [PAINT_RED] = "\033[31m", [PAINT_YELLOW] = "\033[33m"};
    if (terminal->has_color) {
        buf_put_text(out, codes[paint]);
    }
}

void put_plain(struct buf *out, const struct terminal *terminal)
{
    if (terminal->has_color) {
        buf_put_text(out, "\033[0m");
    }
}
