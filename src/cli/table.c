/* SPDX-License-Identifier: MIT */
/* table.c - lays out rows and columns. */
#include "cli/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CELLS_BYTES 67108864u
#define GAP         2u
#define LAST_MIN    12u /* a last column is never cut below this */

void table_init(struct table *table, const char *const *titles, unsigned columns,
                uint32_t right)
{
    *table = (struct table){.columns = columns, .titles = titles, .right = right};
    buf_init(&table->cells, CELLS_BYTES);
    buf_init(&table->bounds, CELLS_BYTES);
    buf_init(&table->marks, CELLS_BYTES);
    for (unsigned i = 0; i < columns; i++) {
        table->widths[i] = text_width(slice_of(titles[i]));
    }
}

void table_done(struct table *table)
{
    buf_done(&table->cells);
    buf_done(&table->bounds);
    buf_done(&table->marks);
}

void table_row(struct table *table, enum mark mark)
{
    buf_put_byte(&table->marks, (uint8_t)mark);
}

static size_t cell_count(const struct table *table)
{
    return table->bounds.len / sizeof(uint32_t);
}

static struct slice cell_at(const struct table *table, size_t index)
{
    uint32_t begin = 0;
    uint32_t end;
    const char *bounds = table->bounds.data;
    if (index) {
        memcpy(&begin, bounds + (index - 1) * sizeof begin, sizeof begin);
    }
    memcpy(&end, bounds + index * sizeof end, sizeof end);
    return (struct slice){table->cells.data + begin, end - begin};
}

void table_cell(struct table *table, struct slice text)
{
    size_t column = cell_count(table) % table->columns;
    put_clean(&table->cells, text, 0);
    uint32_t end = (uint32_t)table->cells.len;
    buf_put(&table->bounds, &end, sizeof end);
    unsigned width = text_width(cell_at(table, cell_count(table) - 1));
    if (width > table->widths[column]) {
        table->widths[column] = width;
    }
}

void table_text(struct table *table, const char *text)
{
    table_cell(table, slice_of(text));
}

void table_int(struct table *table, int64_t number)
{
    char text[24] = "";
    if (number >= 0) {
        (void)snprintf(text, sizeof text, "%" PRId64, number);
    }
    table_text(table, text);
}

void put_mark(struct buf *out, const struct terminal *terminal, enum mark mark)
{
    static const struct {
        const char *text;
        enum paint paint;
    } marks[] = {[MARK_NONE] = {" ", PAINT_NONE},
                 [MARK_GOOD] = {"✓", PAINT_GREEN},
                 [MARK_BAD] = {"✗", PAINT_RED},
                 [MARK_WARN] = {"⚠", PAINT_YELLOW},
                 [MARK_PAUSED] = {"⏸", PAINT_DIM}};
    if (terminal->is_terminal) {
        put_paint(out, terminal, marks[mark].paint);
        buf_put_text(out, marks[mark].text);
        put_plain(out, terminal);
        buf_put_byte(out, ' ');
    }
}

static void put_blanks(struct buf *out, unsigned count)
{
    while (count--) {
        buf_put_byte(out, ' ');
    }
}

/* One row from `cells(i)`; the last column goes without padding. */
static void put_row(const struct table *table, const struct slice *cells, unsigned last,
                    struct buf *out)
{
    for (unsigned i = 0; i < table->columns; i++) {
        bool is_last = i + 1 == table->columns;
        unsigned room = is_last && last ? last : table->widths[i];
        bool is_right = table->right >> i & 1u;
        unsigned width = text_width(cells[i]);
        unsigned pad = width < room ? room - width : 0;
        put_blanks(out, is_right ? pad : 0);
        put_clean(out, cells[i], is_last ? last : 0);
        put_blanks(out, is_last ? 0 : GAP + (is_right ? 0 : pad));
    }
    while (out->len && out->data[out->len - 1] == ' ') {
        out->len--;
    }
    buf_put_byte(out, '\n');
}

/* Columns left for the last one on this terminal; 0: any. */
static unsigned last_width(const struct table *table, const struct terminal *terminal,
                           bool marked)
{
    unsigned used = marked ? 2 : 0;
    if (!terminal->width) {
        return 0;
    }
    for (unsigned i = 0; i + 1 < table->columns; i++) {
        used += table->widths[i] + GAP;
    }
    unsigned left = terminal->width > used ? terminal->width - used : 0;
    if (left >= table->widths[table->columns - 1]) {
        return 0;
    }
    return left > LAST_MIN ? left : LAST_MIN;
}

void table_put(const struct table *table, const struct terminal *terminal, struct buf *out)
{
    struct slice cells[TABLE_COLUMNS];
    bool marked = false;
    for (size_t row = 0; row < table->marks.len; row++) {
        marked = marked || table->marks.data[row] != MARK_NONE;
    }
    unsigned last = last_width(table, terminal, marked);
    for (unsigned i = 0; i < table->columns; i++) {
        cells[i] = slice_of(table->titles[i]);
    }
    put_blanks(out, marked && terminal->is_terminal ? 2 : 0);
    put_paint(out, terminal, PAINT_BOLD);
    put_row(table, cells, last, out);
    put_plain(out, terminal);
    for (size_t row = 0; row < table->marks.len; row++) {
        for (unsigned i = 0; i < table->columns; i++) {
            cells[i] = cell_at(table, row * table->columns + i);
        }
        if (marked) {
            put_mark(out, terminal, (enum mark)table->marks.data[row]);
        }
        put_row(table, cells, last, out);
    }
}
