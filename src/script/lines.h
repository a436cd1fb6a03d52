/* SPDX-License-Identifier: MIT */
/*
 * lines.h - on which line of a source a key of its table was written, for faults.
 *
 * A path is the keys from the outside in, joined by dots, and the place in a list in brackets:
 * "log.level", "sendgrid.headers.x-pd-app-slug", "echo.args[2]".
 *
 * Errors:  none: 0 where even a guess is impossible. Reads any bytes, allocates nothing big.
 */
#ifndef SCRIPT_LINES_H
#define SCRIPT_LINES_H

#include "base/slice.h"

#include <stdbool.h>

/* Of the table that a Lua chunk returns, written out behind `return` or in assignments to the
 * variable that is returned. When it is made in another way, or the key comes from an expression: the best guess, which is the first line on which the last key of
 * the path is given a value, or stands as a word, within what is known of the path, then in the
 * whole chunk. */
int lines_of_lua_key(struct slice source, struct slice path);

/* Of a JSON document. */
int lines_of_json_key(struct slice source, struct slice path);

/* Every key written in the table, in order; `is_assignment` when by a statement of its own. */
typedef void lines_key_fn(void *arg, struct slice path, int line, bool is_assignment);
void lines_each_lua_key(struct slice source, lines_key_fn *each, void *arg);
void lines_each_json_key(struct slice source, lines_key_fn *each, void *arg);

/* The line (and the column in characters, from 1, if asked for) of a byte. */
int lines_of_offset(struct slice source, size_t offset, int *ret_column);

#endif
