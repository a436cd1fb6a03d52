/* SPDX-License-Identifier: MIT */
/*
 * pages.h - which page of a list comes next, and a guard against lists that never end.
 *
 * Owns:    the next cursor, and the hashes of those that were followed.
 * Life:    embedded; pages_init .. pages_take after each page .. pages_done.
 */
#ifndef MCP_PAGES_H
#define MCP_PAGES_H

#include "base/buf.h"
#include "base/map.h"
#include "base/slice.h"

#include <stdbool.h>

struct pages {
    struct map followed;
    struct buf cursor; /* the next one */
    unsigned count;
    bool has_cursor;
};

void pages_init(struct pages *pages);
void pages_done(struct pages *pages);
void pages_restart(struct pages *pages); /* from the first page on */

/* Whether `result` says that there is another page; false also when its cursor cannot be followed:
 * then *fault says why, static text. */
bool pages_take(struct pages *pages, struct slice result, const char **fault);

/* Of the next page; ptr NULL for the first one. Valid until the next pages_take. */
struct slice pages_cursor(const struct pages *pages);

#endif
