/* SPDX-License-Identifier: MIT */
/*
 * terminal.h - where the tool's words go: width, colour, and text that cannot command a terminal.
 *
 * Life:    struct terminal is a value, made once by terminal_of.
 * Rule:    whatever came from outside is written with put_clean or put_raw, never put as it is:
 *          a tool's description must not move the cursor or change colours.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdio.h>

enum paint { PAINT_NONE, PAINT_BOLD, PAINT_DIM, PAINT_GREEN, PAINT_RED, PAINT_YELLOW };

struct terminal {
    bool is_terminal;
    bool has_color;
    unsigned width; /* columns; 0: unlimited */
};

/* How `stream` looks. Colour only on a terminal, and not with NO_COLOR, TERM=dumb or
 * `no_color`. */
struct terminal terminal_of(FILE *stream, bool no_color);

/* Columns that the text takes, wide and combining characters counted as they are shown. */
unsigned text_width(struct slice text);

/* One line of clean text, at most `columns` wide (0: any), cut with an ellipsis. Control
 * characters and broken UTF-8 become `?`, runs of white space one blank. */
void put_clean(struct buf *out, struct slice text, unsigned columns);

/* Several lines: the same, but line feeds and tabs stay and nothing is cut. */
void put_lines(struct buf *out, struct slice text);

void put_paint(struct buf *out, const struct terminal *terminal, enum paint paint);
void put_plain(struct buf *out, const struct terminal *terminal); /* ends put_paint */

#endif
