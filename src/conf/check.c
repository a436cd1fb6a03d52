/* SPDX-License-Identifier: MIT */
/* check.c - typed values out of a configuration table, and words for those that do not fit. */
#include "conf/check.h"

#include "base/buf.h"
#include "base/text.h"
#include "value/pack.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES    1024
#define EXPECT_BYTES  320
#define RECEIVE_BYTES 128
#define QUOTE_BYTES   60
#define RATE_BYTES    64

void check_init(struct check *check, const struct source *source, struct faults *faults)
{
    check->source = source;
    check->faults = faults;
    check->path[0] = '\0';
    check->length = 0;
}

/* ---- where ------------------------------------------------------------------------------- */

/* A path that is too long is cut: it serves people, and the line becomes a guess. */
static size_t extend(struct check *check, int added)
{
    size_t before = check->length;
    size_t room = CHECK_PATH - 1 - before;
    check->length += added < 0 ? 0 : (size_t)added < room ? (size_t)added : room;
    check->path[check->length] = '\0';
    return before;
}

size_t check_enter(struct check *check, struct slice key)
{
    return extend(check, snprintf(check->path + check->length, CHECK_PATH - check->length,
                                  "%s%.*s", check->length ? "." : "", SLICE_ARG(key)));
}

size_t check_enter_item(struct check *check, unsigned n)
{
    return extend(check,
                  snprintf(check->path + check->length, CHECK_PATH - check->length, "[%u]", n));
}

void check_leave(struct check *check, size_t entered)
{
    check->length = entered;
    check->path[entered] = '\0';
}

/* ---- faults ------------------------------------------------------------------------------ */

void check_fault(const struct check *check, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    /* A fault that is only counted needs no line, which costs reading the whole file. */
    struct slice path = {check->path, check->length};
    int line = check->faults->kept < FAULTS_MAX ? source_line(check->source, path) : 0;
    faults_add(check->faults, check->source->file, line, "%s", length < 0 ? "" : text);
}

static void describe_number(const struct pack_item *item, char text[RECEIVE_BYTES])
{
    if (item->type == PACK_INT) {
        (void)snprintf(text, RECEIVE_BYTES, "the number %lld", (long long)item->i);
    } else if (item->type == PACK_UINT) {
        (void)snprintf(text, RECEIVE_BYTES, "the number %llu", (unsigned long long)item->u);
    } else {
        (void)snprintf(text, RECEIVE_BYTES, "the number %.14g", item->f);
    }
}

static const char *kind_of(enum pack_type type)
{
    switch (type) {
    case PACK_INT:
    case PACK_UINT:
    case PACK_FLOAT:
        return "a number";
    case PACK_BOOL:
        return "a boolean";
    case PACK_STR:
    case PACK_BIN:
        return "a string";
    case PACK_ARRAY:
        return "a list";
    case PACK_MAP:
        return "a table";
    case PACK_NIL:
        return "null";
    default:
        return "a value of another kind";
    }
}

static void describe(struct slice value, bool is_secret, char text[RECEIVE_BYTES])
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    if (!pack_next(&cursor, &item)) {
        item.type = PACK_NIL;
    }
    bool is_number = item.type == PACK_INT || item.type == PACK_UINT || item.type == PACK_FLOAT;
    if (is_number && !is_secret) {
        describe_number(&item, text);
    } else if (item.type == PACK_BOOL) {
        (void)snprintf(text, RECEIVE_BYTES, "%s", item.b ? "true" : "false");
    } else if (item.type == PACK_STR && !is_secret) {
        bool is_long = item.text.len > QUOTE_BYTES;
        (void)snprintf(text, RECEIVE_BYTES, "the string \"%.*s%s\"",
                       is_long ? QUOTE_BYTES : (int)item.text.len, item.text.ptr,
                       is_long ? "..." : "");
    } else {
        (void)snprintf(text, RECEIVE_BYTES, "%s", kind_of(item.type));
    }
}

void check_mismatch(const struct check *check, const char *expected, struct slice value,
                    bool is_secret)
{
    char received[RECEIVE_BYTES];
    describe(value, is_secret, received);
    check_fault(check, "%s must be %s, not %s", check->length ? check->path : "the whole",
                expected, received);
}

/* The next of the names separated by "|"; false when there is none left. */
static bool next_name(const char **names, struct slice *ret)
{
    if (!**names) {
        return false;
    }
    *ret = (struct slice){*names, strcspn(*names, "|")};
    *names += ret->len;
    *names += **names == '|';
    return true;
}

void check_unknown(const struct check *check, struct slice key, const char *names)
{
    struct slice best = {NULL, 0};
    unsigned distance = TEXT_FAR;
    struct slice name;
    while (next_name(&names, &name)) {
        text_nearest(key, name, &best, &distance);
    }
    if (best.ptr) {
        check_fault(check, "unknown key `%s`, did you mean `%.*s`?", check->path,
                    SLICE_ARG(best));
    } else {
        check_fault(check, "unknown key `%s`", check->path);
    }
}

/* ---- values ------------------------------------------------------------------------------ */

bool check_string(const struct check *check, struct slice value, bool is_secret,
                  struct slice *ret)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    if (!pack_next(&cursor, &item) || item.type != PACK_STR || !text_is_utf8(item.text)) {
        check_mismatch(check, "a text", value, is_secret);
        return false;
    }
    if (item.text.len && memchr(item.text.ptr, '\0', item.text.len)) {
        check_fault(check, "%s must not hold a NUL character", check->path);
        return false;
    }
    *ret = item.text;
    return true;
}

bool check_text(const struct check *check, struct slice value, bool is_secret,
                struct slice *ret)
{
    struct slice text;
    if (!check_string(check, value, is_secret, &text)) {
        return false;
    }
    if (text.len == 0) {
        check_fault(check, "%s must not be empty", check->path);
        return false;
    }
    *ret = text;
    return true;
}

bool check_choice(const struct check *check, struct slice value, const char *choices,
                  unsigned *ret_index)
{
    struct pack cursor = pack_over(value);
    struct slice text = {NULL, 0};
    bool is_text = pack_next_text(&cursor, &text);
    struct buf expected;
    buf_init(&expected, EXPECT_BYTES);
    buf_put_text(&expected, "one of ");
    struct slice name;
    unsigned index = 0;
    for (const char *names = choices; next_name(&names, &name); index++) {
        if (is_text && slice_equal(name, text)) {
            buf_done(&expected);
            *ret_index = index;
            return true;
        }
        buf_printf(&expected, "%s\"%.*s\"", index ? ", " : "", SLICE_ARG(name));
    }
    check_mismatch(check, buf_text(&expected), value, false);
    buf_done(&expected);
    return false;
}

bool check_int(const struct check *check, struct slice value, int64_t min, int64_t max,
               int64_t *ret)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    int64_t number = 0;
    if (pack_next(&cursor, &item) && pack_as_int(&item, &number) && number >= min &&
        number <= max) {
        *ret = number;
        return true;
    }
    char expected[EXPECT_BYTES];
    (void)snprintf(expected, sizeof expected, "an integer from %lld to %lld", (long long)min,
                   (long long)max);
    check_mismatch(check, expected, value, false);
    return false;
}

bool check_bool(const struct check *check, struct slice value, bool *ret)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    if (pack_next(&cursor, &item) && item.type == PACK_BOOL) {
        *ret = item.b;
        return true;
    }
    check_mismatch(check, "true or false", value, false);
    return false;
}

bool check_rate(const struct check *check, struct slice value, struct rate_conf *ret)
{
    struct pack cursor = pack_over(value);
    struct slice text;
    char terminated[RATE_BYTES];
    if (pack_next_text(&cursor, &text) && text.len > 0 && text.len < sizeof terminated &&
        !memchr(text.ptr, '\0', text.len)) {
        memcpy(terminated, text.ptr, text.len);
        terminated[text.len] = '\0';
        if (rate_parse(terminated, ret)) {
            return true;
        }
    }
    check_mismatch(check,
                   "a rate such as \"10/s\", \"100/min\", \"5000/h\" or \"1000/day\", with "
                   "\" burst N\" behind it if wanted",
                   value, false);
    return false;
}

uint32_t check_count(struct slice value)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    bool is_counted =
        pack_next(&cursor, &item) && (item.type == PACK_ARRAY || item.type == PACK_MAP);
    return is_counted ? item.count : 0;
}

/* Lua has one empty table, which is an empty list as well. */
static bool is_kind(struct slice value, enum pack_type type)
{
    enum pack_type found = pack_peek(pack_over(value));
    return found == type ||
           ((found == PACK_ARRAY || found == PACK_MAP) && check_count(value) == 0);
}

bool check_map(const struct check *check, struct slice value, const char *expected)
{
    if (is_kind(value, PACK_MAP)) {
        return true;
    }
    check_mismatch(check, expected, value, true);
    return false;
}

bool check_each_key(struct check *check, struct slice value, check_each_fn *each, void *arg)
{
    if (!check_map(check, value, "a table of names and values")) {
        return false;
    }
    struct pack cursor = pack_over(value);
    struct pack_item item;
    (void)pack_next(&cursor, &item);
    for (uint32_t left = check_count(value); left; left--) {
        struct slice key;
        struct slice inner;
        if (!pack_next_text(&cursor, &key) || !pack_take(&cursor, &inner)) {
            check_fault(check, "%s has a key that is no text", check->path);
            return false;
        }
        size_t entered = check_enter(check, key);
        each(arg, check, key, inner);
        check_leave(check, entered);
    }
    return true;
}

bool check_each_item(struct check *check, struct slice value, check_each_fn *each, void *arg)
{
    if (!is_kind(value, PACK_ARRAY)) {
        check_mismatch(check, "a list", value, true);
        return false;
    }
    struct pack cursor = pack_over(value);
    struct pack_item item;
    (void)pack_next(&cursor, &item);
    uint32_t count = check_count(value);
    for (uint32_t i = 1; i <= count; i++) {
        struct slice inner;
        if (!pack_take(&cursor, &inner)) {
            return false;
        }
        size_t entered = check_enter_item(check, i);
        each(arg, check, (struct slice){NULL, 0}, inner);
        check_leave(check, entered);
    }
    return true;
}
