/* SPDX-License-Identifier: MIT */
/*
 * lines.h - cuts what a server writes into lines, without copying those that come whole.
 *
 * Owns:    only the beginning of a line whose end has not come. A line points into the scratch
 *          buffer of the read, or into that beginning, until lines_keep.
 * Life:    lines_init .. (lines_room, read, lines_got, lines_next until 0, lines_keep)* .. done.
 * Errors:  -ERR_EXTERNAL_TOOL_EXECUTION_FAILED for a line over the limit, -ERR_OVERLOADED when
 *          there is no memory for it: nothing after it can be told apart, so reading ends there.
 */
#ifndef MCP_LINES_H
#define MCP_LINES_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

#define LINES_SCRATCH 262144u
#define LINES_SHORT   65536u /* as much is read at once while lines are shorter than this */

struct lines {
    struct buf rest;
    size_t longest;
    const char *at, *end; /* what has been read and not been taken */
    size_t searched;      /* so far into it, there is no newline */
    bool is_long;         /* the last line was longer than LINES_SHORT: the next may be too */
};

void lines_init(struct lines *lines, size_t longest);
void lines_done(struct lines *lines);

/* Where to read to, and how much: as many short lines as are a fair share of a turn, or a good part
 * of a long one. It is `scratch`, of LINES_SCRATCH bytes, if nothing is kept. NULL: no memory. */
char *lines_room(struct lines *lines, char *scratch, size_t *ret_size);
void lines_got(struct lines *lines, const char *room, size_t len);

/* 1: a line without its newline; 0: no whole one is left; negative: an error as above. */
int lines_next(struct lines *lines, struct slice *ret);

/* Hands over the memory in which the line lies that was given last; what stands behind it is kept.
 * False: it lies in scratch, or there is no memory to keep the rest in. */
bool lines_take(struct lines *lines, struct slice line, struct buf *ret);

/* Before the scratch buffer is used again. 0 or -ERR_OVERLOADED. */
int lines_keep(struct lines *lines);

#endif
