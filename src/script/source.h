/* SPDX-License-Identifier: MIT */
/*
 * source.h - a file of the configuration as it was read: bytes that nobody but the daemon's user
 * or root could have written, because such files name commands to be executed.
 *
 * Owns:    its text. Embedded: source_read or source_of_text, then source_done.
 * Thread:  reading waits for the disk: off the loop.
 */
#ifndef SCRIPT_SOURCE_H
#define SCRIPT_SOURCE_H

#include "base/buf.h"
#include "script/fault.h"
#include "script/lines.h"

#include <stdbool.h>

#define SOURCE_BYTES (1u << 20) /* the longest file */

struct source {
    char *file;   /* as it is named in faults */
    bool is_json; /* else Lua */
    struct buf text;
};

/* Reads a file. -ERR_NOT_FOUND and no fault when there is none; -ERR_VALIDATION_ERROR and a
 * fault when it cannot be read, is too long, or when the file, the folder it is in, or the folder
 * that a symbolic link leads to can be written by anybody but its owner, who must be root or the
 * daemon's user. */
int source_read(const char *file, struct source *ret, struct faults *faults);

/* The same for text that is part of the program. */
void source_of_text(const char *name, struct slice text, struct source *ret);

void source_done(struct source *source);

/* The line of a key, or all keys (see lines.h). */
int source_line(const struct source *source, struct slice path);
void source_each_key(const struct source *source, lines_key_fn *each, void *arg);

/* Makes one MessagePack value of the source. Lua runs in a fresh sandbox and must return one
 * table; JSON must be one object. -ERR_VALIDATION_ERROR with a fault that has the line. */
int source_table(const struct source *source, struct buf *out, struct faults *faults);

#endif
