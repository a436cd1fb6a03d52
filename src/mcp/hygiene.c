/* SPDX-License-Identifier: MIT */
/* hygiene.c - looks through the names and texts of a tool for what people cannot see. */
#include "mcp/hygiene.h"

#include "base/text.h"
#include "value/pack.h"

#include <inttypes.h>
#include <stdio.h>

/* At most so many texts for one tool. */
#define WARNINGS_MAX 8u

static const struct hidden {
    uint32_t from, to;
    const char *kind;
} hidden[] = {
    {0x0000, 0x001f, "a control character"},
    {0x007f, 0x009f, "a control character"},
    {0x00ad, 0x00ad, "an invisible character"},
    {0x034f, 0x034f, "an invisible character"},
    {0x061c, 0x061c, "a change of the writing direction"},
    {0x115f, 0x1160, "an invisible character"},
    {0x17b4, 0x17b5, "an invisible character"},
    {0x180b, 0x180f, "an invisible character"},
    {0x200b, 0x200d, "a zero-width character"},
    {0x200e, 0x200f, "a change of the writing direction"},
    {0x2028, 0x2029, "a hidden line break"},
    {0x202a, 0x202e, "a change of the writing direction"},
    {0x2060, 0x2064, "a zero-width character"},
    {0x2066, 0x2069, "a change of the writing direction"},
    {0x206a, 0x206f, "an invisible character"},
    {0x3164, 0x3164, "an invisible character"},
    {0xfeff, 0xfeff, "a zero-width character"},
    {0xffa0, 0xffa0, "an invisible character"},
    {0xfff9, 0xfffb, "an invisible character"},
    {0xe0000, 0xe007f, "an invisible tag character"},
    {0xe0100, 0xe01ef, "an invisible character"},
};

static const char *kind_of(uint32_t point)
{
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        if (point >= hidden[i].from && point <= hidden[i].to) {
            return hidden[i].kind;
        }
    }
    return NULL;
}

/* Well-formed already: `step` bytes. */
static uint32_t decode(const unsigned char *at, size_t step)
{
    static const unsigned char lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t point = at[0] & lead_bits[step];
    for (size_t i = 1; i < step; i++) {
        point = point << 6 | (at[i] & 0x3fu);
    }
    return point;
}

static bool is_plain_ascii(unsigned char c)
{
    return c >= 0x20 && c < 0x7f;
}

/* Joiners shape letters of some scripts and join emoji: they are at home between characters that
 * are no ASCII. */
static bool is_joiner_at_home(struct slice text, size_t at)
{
    return at > 0 && at + 3 < text.len && ((unsigned char)text.ptr[at - 1] & 0x80) &&
           ((unsigned char)text.ptr[at + 3] & 0x80);
}

const char *hygiene_find_hidden(struct slice text, bool is_line, uint32_t *ret_point)
{
    size_t at = 0;
    while (at < text.len) {
        unsigned char c = (unsigned char)text.ptr[at];
        if (is_plain_ascii(c) || (!is_line && (c == '\n' || c == '\t' || c == '\r'))) {
            at++;
            continue;
        }
        size_t step = text_utf8_step((struct slice){text.ptr + at, text.len - at});
        if (!step) {
            *ret_point = c;
            return "a byte that is no UTF-8";
        }
        uint32_t point = decode((const unsigned char *)text.ptr + at, step);
        const char *kind = kind_of(point);
        if (kind && !((point == 0x200c || point == 0x200d) && is_joiner_at_home(text, at))) {
            *ret_point = point;
            return kind;
        }
        at += step;
    }
    return NULL;
}

/* ---- one tool ---------------------------------------------------------------------------- */

struct report {
    struct buf *out;
    unsigned count;
};

static void say(struct report *report, const char *text)
{
    if (report->count < WARNINGS_MAX) {
        pack_put_text(report->out, text);
        report->count++;
    }
}

static void check_hidden(struct report *report, const char *what, struct slice text,
                         bool is_line)
{
    uint32_t point = 0;
    char line[160];
    const char *kind = hygiene_find_hidden(text, is_line, &point);
    if (kind) {
        (void)snprintf(line, sizeof line, "%s holds %s (U+%04" PRIX32 ")", what, kind, point);
        say(report, line);
    }
}

static void check_length(struct report *report, const char *what, struct slice text, size_t max)
{
    char line[160];
    if (text.len > max) {
        (void)snprintf(line, sizeof line, "%s is %zu bytes long; more than %zu are unusual",
                       what, text.len, max);
        say(report, line);
    }
}

static bool is_name_byte(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '.' || c == '-';
}

static void check_name(struct report *report, struct slice name)
{
    check_length(report, "the name", name, HYGIENE_NAME_MAX);
    check_hidden(report, "the name", name, true);
    for (size_t i = 0; i < name.len; i++) {
        if (!is_name_byte((unsigned char)name.ptr[i])) {
            say(report, "the name has other characters than letters, digits, \"_\", \".\" "
                        "and \"-\"");
            return;
        }
    }
}

static void check_title(struct report *report, const char *what, struct slice map)
{
    struct slice title;
    if (pack_get_text(map, "title", &title)) {
        check_length(report, what, title, HYGIENE_TITLE_MAX);
        check_hidden(report, what, title, true);
    }
}

/* Every text inside, keys too: the first that hides anything is enough. */
static void check_all(struct report *report, const char *what, struct slice value)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    unsigned before = report->count;
    while (report->count == before && pack_next(&cursor, &item)) {
        if (item.type == PACK_STR) {
            check_hidden(report, what, item.text, false);
        }
    }
}

unsigned hygiene_check_tool(struct slice definition, struct buf *out)
{
    struct report report = {out, 0};
    struct slice part;
    size_t opened = pack_open(out);
    if (pack_get_text(definition, "name", &part)) {
        check_name(&report, part);
    }
    check_title(&report, "the title", definition);
    if (pack_get(definition, "annotations", &part)) {
        check_title(&report, "annotations.title", part);
    }
    if (pack_get_text(definition, "description", &part)) {
        check_length(&report, "the description", part, HYGIENE_DESCRIPTION_MAX);
        check_hidden(&report, "the description", part, false);
    }
    if (pack_get(definition, "inputSchema", &part)) {
        check_all(&report, "inputSchema", part);
    }
    if (pack_get(definition, "outputSchema", &part)) {
        check_all(&report, "outputSchema", part);
    }
    if (report.count) {
        pack_close_array(out, opened, report.count);
    } else {
        out->len = opened;
    }
    return report.count;
}
