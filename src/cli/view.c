/* SPDX-License-Identifier: MIT */
/* view.c - reading answers, and writing values as people and as JSON readers want them. */
#include "cli/view.h"

#include "base/clock.h"
#include "cli/terminal.h"
#include "value/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct slice view_get(struct slice map, const char *key)
{
    struct slice value;
    return pack_get(map, key, &value) ? value : (struct slice){NULL, 0};
}

struct slice view_text(struct slice map, const char *key)
{
    struct slice text;
    return pack_get_text(map, key, &text) ? text : (struct slice){NULL, 0};
}

int64_t view_int(struct slice map, const char *key, int64_t otherwise)
{
    int64_t number;
    return pack_get_int(map, key, &number) ? number : otherwise;
}

bool view_is_true(struct slice map, const char *key)
{
    bool value;
    return pack_get_bool(map, key, &value) && value;
}

/* Milliseconds since 1970, of "2026-11-21T09:45:00.123Z" or a number; -1 if it is neither. */
static int64_t moment(struct slice map, const char *key)
{
    struct slice text = view_text(map, key);
    char copy[CLOCK_TEXT];
    struct tm parts = {0};
    if (!text.len || text.len >= sizeof copy) {
        return view_int(map, key, -1);
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    const char *rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &parts);
    if (!rest) {
        return -1;
    }
    int64_t ms = *rest == '.' ? strtol(rest + 1, NULL, 10) : 0;
    return (int64_t)timegm(&parts) * 1000 + (ms > 0 && ms < 1000 ? ms : 0);
}

int64_t view_age(struct slice map, const char *key)
{
    int64_t since = moment(map, key);
    int64_t age = clock_wall() - since;
    return since < 0 ? -1 : age < 0 ? 0 : age;
}

int64_t view_left(struct slice map, const char *key)
{
    int64_t until = moment(map, key);
    int64_t left = until - clock_wall();
    return until < 0 ? -1 : left < 0 ? 0 : left;
}

struct view_list view_list(struct slice array)
{
    struct view_list list = {pack_over(array), 0};
    struct pack_item item;
    if (array.len && pack_next(&list.cursor, &item) && item.type == PACK_ARRAY) {
        list.left = item.count;
    }
    return list;
}

bool view_next(struct view_list *list, struct slice *ret)
{
    if (list->left == 0) {
        return false;
    }
    list->left--;
    return pack_take(&list->cursor, ret);
}

uint32_t view_count(struct slice array)
{
    return view_list(array).left;
}

static struct slice as_text(struct slice value)
{
    struct pack cursor = pack_over(value);
    struct slice text;
    return pack_next_text(&cursor, &text) ? text : (struct slice){NULL, 0};
}

void put_joined(struct buf *out, struct slice array)
{
    struct view_list list = view_list(array);
    struct slice value;
    for (bool is_first = true; view_next(&list, &value); is_first = false) {
        buf_put_text(out, is_first ? "" : ", ");
        put_clean(out, as_text(value), 0);
    }
}

void put_duration(struct buf *out, int64_t ms)
{
    static const struct {
        const char *name;
        int64_t s;
    } units[] = {{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}};
    int64_t s = ms / 1000;
    unsigned unit = 0;
    if (ms < 0) {
        return;
    }
    if (ms < 1000) {
        buf_printf(out, "%" PRId64 " ms", ms);
        return;
    }
    while (s < units[unit].s) {
        unit++;
    }
    buf_printf(out, "%" PRId64 " %s", s / units[unit].s, units[unit].name);
    int64_t rest = unit < 3 ? s % units[unit].s / units[unit + 1].s : 0;
    if (rest) {
        buf_printf(out, " %" PRId64 " %s", rest, units[unit + 1].name);
    }
}

void put_size(struct buf *out, int64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes;
    unsigned unit = 0;
    while (size >= 1024 && unit < 4) {
        size /= 1024;
        unit++;
    }
    buf_printf(out, unit ? "%.1f %s" : "%.0f %s", size, units[unit]);
}

void put_count(struct buf *out, int64_t count, const char *thing)
{
    buf_printf(out, "%" PRId64 " %s%s", count, thing, count == 1 ? "" : "s");
}

/* ---- JSON ------------------------------------------------------------------------------- */

static void put_line(struct buf *out, unsigned indent)
{
    buf_printf(out, "\n%*s", (int)indent * 2, "");
}

static int put_indented(struct buf *out, struct pack *cursor, unsigned indent,
                        struct err *reterr)
{
    struct pack at = *cursor;
    struct pack_item item;
    struct slice value;
    (void)pack_next(&at, &item);
    bool is_map = item.type == PACK_MAP;
    if ((!is_map && item.type != PACK_ARRAY) || item.count == 0) {
        return pack_take(cursor, &value) ? json_from_pack(value, "result", out, reterr) : 0;
    }
    uint32_t count = item.count;
    buf_put_byte(out, is_map ? '{' : '[');
    for (uint32_t i = 0; i < count; i++) {
        put_line(out, indent + 1);
        int failed = 0;
        if (is_map) {
            failed = pack_take(&at, &value) ? json_from_pack(value, "result", out, reterr) : 0;
            buf_put_text(out, ": ");
        }
        failed = failed ? failed : put_indented(out, &at, indent + 1, reterr);
        if (failed) {
            return failed;
        }
        buf_put_text(out, i + 1 < count ? "," : "");
    }
    put_line(out, indent);
    buf_put_byte(out, is_map ? '}' : ']');
    *cursor = at;
    return 0;
}

int put_json(struct buf *out, struct slice value, bool is_indented, struct err *reterr)
{
    struct pack cursor = pack_over(value);
    size_t begin = out->len;
    int failed = json_from_pack(value, "result", out, reterr);
    if (!failed && is_indented) {
        /* The whole was checked by the first writing: keys unique, text UTF-8. */
        out->len = begin;
        failed = put_indented(out, &cursor, 0, reterr);
    }
    return failed;
}

void put_map_without(struct buf *out, struct slice map, const char *const *keys)
{
    struct pack cursor = pack_over(map);
    struct pack_item item;
    size_t opened = pack_open(out);
    uint32_t count = 0;
    if (!pack_next(&cursor, &item) || item.type != PACK_MAP) {
        item.count = 0;
    }
    for (uint32_t left = item.count; left; left--) {
        struct slice key;
        struct slice value;
        const char *const *out_of = keys;
        if (!pack_next_text(&cursor, &key) || !pack_take(&cursor, &value)) {
            break;
        }
        while (*out_of && !slice_is(key, *out_of)) {
            out_of++;
        }
        if (!*out_of) {
            pack_put_str(out, key);
            buf_put_slice(out, value);
            count++;
        }
    }
    pack_close_map(out, opened, count);
}

/* ---- for people ------------------------------------------------------------------------- */

static bool is_scalar(struct slice value)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    (void)pack_next(&cursor, &item);
    return (item.type != PACK_MAP && item.type != PACK_ARRAY) || item.count == 0;
}

static void put_scalar(struct buf *out, struct slice value)
{
    struct pack cursor = pack_over(value);
    struct slice text;
    struct err ignored;
    if (pack_next_text(&cursor, &text)) {
        put_clean(out, text, 0);
    } else if (pack_peek(pack_over(value)) == PACK_NIL) {
        buf_put_byte(out, '-');
    } else if (json_from_pack(value, "", out, &ignored) != 0) {
        buf_put_byte(out, '?');
    }
}

static bool is_list_of_scalars(struct slice value)
{
    struct view_list list = view_list(value);
    struct slice element;
    if (pack_peek(pack_over(value)) != PACK_ARRAY) {
        return false;
    }
    while (view_next(&list, &element)) {
        if (!is_scalar(element)) {
            return false;
        }
    }
    return true;
}

static void put_branch(struct buf *out, struct slice value, unsigned indent)
{
    struct view_list list = view_list(value);
    struct slice element;
    if (is_scalar(value)) {
        buf_put_byte(out, ' ');
        put_scalar(out, value);
        buf_put_byte(out, '\n');
    } else if (is_list_of_scalars(value)) {
        for (bool is_first = true; view_next(&list, &element); is_first = false) {
            buf_put_text(out, is_first ? " " : ", ");
            put_scalar(out, element);
        }
        buf_put_byte(out, '\n');
    } else {
        buf_put_byte(out, '\n');
        put_tree(out, value, indent + 1);
    }
}

void put_tree(struct buf *out, struct slice value, unsigned indent)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    if (!pack_next(&cursor, &item) || (item.type != PACK_MAP && item.type != PACK_ARRAY)) {
        buf_printf(out, "%*s", (int)indent * 2, "");
        put_scalar(out, value);
        buf_put_byte(out, '\n');
        return;
    }
    bool is_map = item.type == PACK_MAP;
    for (uint32_t left = item.count; left; left--) {
        struct slice key = {NULL, 0};
        struct slice child;
        if ((is_map && !pack_take(&cursor, &key)) || !pack_take(&cursor, &child)) {
            return;
        }
        size_t begin = out->len;
        bool is_nested = pack_peek(pack_over(child)) == PACK_MAP && !is_scalar(child);
        if (!is_map && is_nested) {
            /* "- key: value": the first of the child's lines gets the dash. */
            put_tree(out, child, indent + 1);
            size_t dash = begin + (size_t)indent * 2;
            if (dash < out->len) {
                out->data[dash] = '-';
            }
            continue;
        }
        buf_printf(out, "%*s", (int)indent * 2, "");
        if (is_map) {
            put_scalar(out, key);
            buf_put_byte(out, ':');
        } else {
            buf_put_byte(out, '-');
        }
        put_branch(out, child, indent);
    }
}
