/* SPDX-License-Identifier: MIT */
/* table.c - lays out rows and columns. */
#include "cli/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CELLS_BYTES 67108864u
#define GAP         2u
#define LAST_MIN    12u /* a last column is never cut below this */
#define BELOW       6u  /* blanks before what stands below its row */

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

/* How a table is put on one terminal. */
struct fit {
    uint32_t hidden; /* bit n: column n */
    unsigned last;   /* the column that is cut, or put below */
    unsigned room;   /* its columns; 0: any */
    bool is_marked;
};

/* Without the last column. */
static unsigned width_before(const struct table *table, const struct fit *fit)
{
    unsigned used = fit->is_marked ? 2 : 0;
    for (unsigned i = 0; i < fit->last; i++) {
        used += fit->hidden >> i & 1u ? 0 : table->widths[i] + GAP;
    }
    return used;
}

static bool fits(const struct table *table, const struct terminal *terminal,
                 const struct fit *fit)
{
    unsigned least = table->least ? table->least : LAST_MIN;
    unsigned width = table->widths[fit->last];
    unsigned used = width_before(table, fit);
    if (table->is_below && fit->last + 1 == table->columns) {
        return used + text_width(slice_of(table->titles[fit->last])) <= terminal->width;
    }
    return used + (width < least ? width : least) <= terminal->width;
}

static struct fit fit_to(const struct table *table, const struct terminal *terminal)
{
    struct fit fit = {.last = table->columns - 1};
    for (size_t row = 0; row < table->marks.len; row++) {
        fit.is_marked |= table->marks.data[row] != MARK_NONE;
    }
    if (!terminal->width) {
        return fit;
    }
    for (const char *next = table->drop; next && *next && !fits(table, terminal, &fit);
         next++) {
        fit.hidden |= 1u << (unsigned)(*next - 'a');
        while (fit.hidden >> fit.last & 1u) {
            fit.last--;
        }
    }
    unsigned used = width_before(table, &fit);
    unsigned least = table->least ? table->least : LAST_MIN;
    unsigned left = terminal->width > used ? terminal->width - used : 0;
    left = left > least ? left : least;
    if (left < table->widths[fit.last]) {
        fit.room = left;
    }
    return fit;
}

static void end_line(struct buf *out)
{
    while (out->len && out->data[out->len - 1] == ' ') {
        out->len--;
    }
    buf_put_byte(out, '\n');
}

/* One row from `cells(i)`; the last column goes without padding. */
static void put_row(const struct table *table, const struct slice *cells, const struct fit *fit,
                    bool may_be_below, struct buf *out)
{
    bool is_below = may_be_below && fit->room && text_width(cells[fit->last]) > fit->room;
    for (unsigned i = 0; i < fit->last + !is_below; i++) {
        bool is_last = i == fit->last;
        unsigned room = is_last && fit->room ? fit->room : table->widths[i];
        bool is_right = table->right >> i & 1u;
        unsigned width = text_width(cells[i]);
        unsigned pad = width < room ? room - width : 0;
        if (fit->hidden >> i & 1u) {
            continue;
        }
        put_blanks(out, is_right ? pad : 0);
        put_clean(out, cells[i], is_last ? fit->room : 0);
        put_blanks(out, is_last ? 0 : GAP + (is_right ? 0 : pad));
    }
    end_line(out);
    if (is_below) {
        put_blanks(out, BELOW);
        put_clean(out, cells[fit->last], 0);
        end_line(out);
    }
}

void table_put(const struct table *table, const struct terminal *terminal, struct buf *out)
{
    struct slice cells[TABLE_COLUMNS] = {{NULL, 0}};
    struct fit fit = fit_to(table, terminal);
    for (unsigned i = 0; i < table->columns; i++) {
        cells[i] = slice_of(table->titles[i]);
    }
    put_blanks(out, fit.is_marked && terminal->is_terminal ? 2 : 0);
    put_paint(out, terminal, PAINT_BOLD);
    put_row(table, cells, &fit, false, out);
    put_plain(out, terminal);
    for (size_t row = 0; row < table->marks.len; row++) {
        for (unsigned i = 0; i < table->columns; i++) {
            cells[i] = cell_at(table, row * table->columns + i);
        }
        enum mark mark = (enum mark)table->marks.data[row];
        if (fit.is_marked) {
            put_mark(out, terminal, mark);
        }
        put_row(table, cells, &fit, table->is_below && mark != MARK_NONE, out);
    }
}
