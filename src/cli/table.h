/* SPDX-License-Identifier: MIT */
/*
 * table.h - rows and columns: fitted to a terminal, whole when piped.
 *
 * Owns:    copies of its cells. Embedded; table_init/table_done.
 * Rule:    on a terminal too narrow for it, columns are left out as `drop` says, and the last one is
 *          cut to the width, or where it must not be (`is_below`) stands in a line of its own.
 *          Elsewhere nothing is. Marks and colours appear on terminals only.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "base/buf.h"
#include "base/slice.h"
#include "cli/terminal.h"

#include <stdbool.h>
#include <stdint.h>

#define TABLE_COLUMNS 12

struct table {
    unsigned columns;
    const char *const *titles;
    uint32_t right;    /* bit n: column n is set to the right (numbers) */
    const char *drop;  /* "ca": first the third column, then the first; NULL: none */
    unsigned least;    /* so wide the last column is at least; 0: a dozen */
    bool is_below;     /* what does not fit there is put below its row, if that has a mark */
    struct buf cells;  /* every cell's text, clean */
    struct buf bounds; /* uint32_t: where each cell ends */
    struct buf marks;  /* one byte a row: enum mark */
    unsigned widths[TABLE_COLUMNS];
};

enum mark { MARK_NONE, MARK_GOOD, MARK_BAD, MARK_WARN, MARK_PAUSED };

void table_init(struct table *table, const char *const *titles, unsigned columns,
                uint32_t right);
void table_done(struct table *table);

/* One row: first table_row, then exactly as many table_cell as there are columns. */
void table_row(struct table *table, enum mark mark);
void table_cell(struct table *table, struct slice text);
void table_text(struct table *table, const char *text);
void table_int(struct table *table, int64_t number); /* negative: an empty cell */

void table_put(const struct table *table, const struct terminal *terminal, struct buf *out);

/* "✓ " in its colour; nothing when piped. */
void put_mark(struct buf *out, const struct terminal *terminal, enum mark mark);

#endif
