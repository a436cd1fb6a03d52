/* SPDX-License-Identifier: MIT */
/* diff.c - the longest common lines of two texts, and what lies between them. */
#include "cli/diff.h"

#include "base/mem.h"

#include <stdint.h>
#include <string.h>

#define CELLS_MAX 4194304u /* of the table of common lengths; larger texts are shown whole */
#define LINES_MAX 65536u   /* the last one then has the rest */
#define AROUND    3u

struct lines {
    struct slice *list;
    size_t count;
};

static struct lines split(struct slice text)
{
    struct lines lines = {NULL, text.len ? 1 : 0};
    for (size_t i = 0; i < text.len && lines.count < LINES_MAX; i++) {
        lines.count += text.ptr[i] == '\n' && i + 1 < text.len;
    }
    lines.list = mem_new((lines.count + 1) * sizeof *lines.list);
    for (size_t at = 0; at < lines.count; at++) {
        const char *end = memchr(text.ptr, '\n', text.len);
        bool is_last = at + 1 == lines.count;
        size_t len = end && !is_last ? (size_t)(end - text.ptr) : text.len;
        lines.list[at] = (struct slice){text.ptr, len};
        len += end && !is_last ? 1 : 0;
        text.ptr += len;
        text.len -= len;
    }
    return lines;
}

/* One step of the way from `before` to `after`. */
struct step {
    char sign; /* ' ', '-' or '+' */
    struct slice line;
};

struct steps {
    struct step *list;
    size_t count;
};

static void take(struct steps *steps, char sign, struct slice line)
{
    steps->list[steps->count++] = (struct step){sign, line};
}

/* lengths[i * width + j]: how many lines the rest of a from i and of b from j have in common. */
static uint16_t *common_lengths(const struct lines *a, const struct lines *b)
{
    size_t width = b->count + 1;
    if (a->count > UINT16_MAX || b->count > UINT16_MAX || (a->count + 1) * width > CELLS_MAX) {
        return NULL;
    }
    uint16_t *lengths = mem_try((a->count + 1) * width * sizeof *lengths);
    if (!lengths) {
        return NULL;
    }
    memset(lengths, 0, (a->count + 1) * width * sizeof *lengths);
    for (size_t i = a->count; i-- > 0;) {
        for (size_t j = b->count; j-- > 0;) {
            uint16_t down = lengths[(i + 1) * width + j];
            uint16_t right = lengths[i * width + j + 1];
            lengths[i * width + j] = slice_equal(a->list[i], b->list[j])
                                         ? (uint16_t)(lengths[(i + 1) * width + j + 1] + 1)
                                         : (down > right ? down : right);
        }
    }
    return lengths;
}

static struct steps steps_of(const struct lines *a, const struct lines *b)
{
    struct steps steps = {mem_new((a->count + b->count + 1) * sizeof(struct step)), 0};
    uint16_t *lengths = common_lengths(a, b);
    size_t width = b->count + 1;
    size_t i = 0;
    size_t j = 0;
    while (lengths && i < a->count && j < b->count) {
        if (slice_equal(a->list[i], b->list[j])) {
            take(&steps, ' ', a->list[i++]);
            j++;
        } else if (lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]) {
            take(&steps, '-', a->list[i++]);
        } else {
            take(&steps, '+', b->list[j++]);
        }
    }
    while (i < a->count) {
        take(&steps, '-', a->list[i++]);
    }
    while (j < b->count) {
        take(&steps, '+', b->list[j++]);
    }
    mem_free(lengths);
    return steps;
}

static bool is_near_change(const struct steps *steps, size_t at)
{
    size_t first = at > AROUND ? at - AROUND : 0;
    for (size_t i = first; i < steps->count && i <= at + AROUND; i++) {
        if (steps->list[i].sign != ' ') {
            return true;
        }
    }
    return false;
}

static void put_step(struct buf *out, const struct terminal *terminal, const struct step *step)
{
    enum paint paint = step->sign == '-'   ? PAINT_RED
                       : step->sign == '+' ? PAINT_GREEN
                                           : PAINT_NONE;
    buf_put_text(out, "    ");
    put_paint(out, terminal, paint);
    buf_put_byte(out, (uint8_t)step->sign);
    buf_put_byte(out, ' ');
    put_lines(out, step->line);
    put_plain(out, terminal);
    buf_put_byte(out, '\n');
}

void diff_put(struct buf *out, const struct terminal *terminal, struct slice before,
              struct slice after)
{
    struct lines a = split(before);
    struct lines b = split(after);
    struct steps steps = steps_of(&a, &b);
    bool is_shown = true;
    for (size_t i = 0; i < steps.count; i++) {
        if (is_near_change(&steps, i)) {
            put_step(out, terminal, &steps.list[i]);
            is_shown = true;
        } else if (is_shown) {
            buf_put_text(out, "      ...\n");
            is_shown = false;
        }
    }
    mem_free(steps.list);
    mem_free(a.list);
    mem_free(b.list);
}
