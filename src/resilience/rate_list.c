/* SPDX-License-Identifier: MIT */
/* rate_list.c - RateLimit and RateLimit-Policy: lists of quotas by the grammar of RFC 9651. */
#include "resilience/rate_internal.h"

enum value_kind { VALUE_NUMBER, VALUE_NAME, VALUE_OTHER };

struct value {
    enum value_kind kind;
    struct slice text;          /* NAME: a string without its quotes, or a token */
    int64_t whole, thousandths; /* NUMBER */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return (c >= 'a' && c <= 'z') || c == '*';
}

static bool is_alpha(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool is_in_token(char c)
{
    return is_alpha(c) || is_digit(c) || (c && strchr("!#$%&'+-.^_`|~:/", c));
}

static bool is_in_key(char c)
{
    return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.';
}

static bool is_in_bytes(char c)
{
    return is_alpha(c) || is_digit(c) || c == '+' || c == '/' || c == '=';
}

static bool is_escaped(char c)
{
    return c == '"' || c == '\\';
}

/* The run of bytes at the start that `is_in` says yes to; may be empty. */
static struct slice take_run(struct slice *text, bool (*is_in)(char c))
{
    struct slice run = {text->ptr, 0};
    while (run.len < text->len && is_in(text->ptr[run.len])) {
        run.len++;
    }
    text->ptr += run.len;
    text->len -= run.len;
    return run;
}

static bool take_key(struct slice *text, struct slice *ret)
{
    if (!text->len || !is_lower(*text->ptr)) {
        return false;
    }
    *ret = take_run(text, is_in_key);
    return true;
}

/* Behind the opening quote, up to and with the closing one. */
static bool take_string(struct slice *text, struct slice *ret)
{
    struct slice string = {text->ptr, 0};
    for (; string.len < text->len; string.len++) {
        unsigned char c = (unsigned char)text->ptr[string.len];
        if (c == '"') {
            text->ptr += string.len + 1;
            text->len -= string.len + 1;
            *ret = string;
            return true;
        }
        if (c < 0x20 || c > 0x7e) {
            return false;
        }
        if (c == '\\') {
            string.len++;
            if (string.len == text->len || !is_escaped(text->ptr[string.len])) {
                return false;
            }
        }
    }
    return false;
}

static bool take_value(struct slice *text, struct value *ret)
{
    struct slice ignored;
    ret->kind = VALUE_OTHER;
    if (!text->len) {
        return false;
    }
    char first = *text->ptr;
    if (is_digit(first)) {
        ret->kind = VALUE_NUMBER;
        return rate_take_number(text, &ret->whole, &ret->thousandths);
    }
    if (is_alpha(first)) {
        ret->kind = VALUE_NAME;
        ret->text = take_run(text, is_in_token);
        return true;
    }
    text->ptr++;
    text->len--;
    switch (first) {
    case '"':
        ret->kind = VALUE_NAME;
        return take_string(text, &ret->text);
    case '%': /* a display string */
        return rate_take_byte(text, '"') && take_string(text, &ignored);
    case ':':
        (void)take_run(text, is_in_bytes);
        return rate_take_byte(text, ':');
    case '?':
        return rate_take_byte(text, '0') || rate_take_byte(text, '1');
    case '@':
        (void)rate_take_byte(text, '-');
        return take_run(text, is_digit).len > 0;
    case '-': /* no number here can be below zero */
        return rate_take_number(text, &ret->whole, &ret->thousandths);
    default:
        return false;
    }
}

static uint32_t id_of(struct slice name)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < name.len; i++) {
        hash = (hash ^ (unsigned char)name.ptr[i]) * 16777619u;
    }
    return hash | RATE_ID_OF_LIST;
}

/* r and t are of RateLimit, q is of RateLimit-Policy. A window (w) is no reset: a quota may come
 * back piece by piece. */
static void tell_parameter(struct rate_fields *fields, uint32_t id, struct slice key,
                           const struct value *value, wall_ms now)
{
    if (value->kind != VALUE_NUMBER) {
        return;
    }
    if (slice_is(key, "r")) {
        rate_tell(fields, id, RATE_REMAINING, value->whole);
    } else if (slice_is(key, "q")) {
        rate_tell(fields, id, RATE_LIMIT, value->whole);
    } else if (slice_is(key, "t")) {
        rate_tell(fields, id, RATE_RESET, rate_wait_of(value->whole, value->thousandths, now));
    }
}

/* `name` NULL: of something that is no quota. */
static bool take_parameters(struct rate_fields *fields, struct slice *text,
                            const struct slice *name, wall_ms now)
{
    while (rate_take_byte(text, ';')) {
        struct slice key;
        struct value value = {.kind = VALUE_OTHER};
        rate_skip_space(text);
        if (!take_key(text, &key) || (rate_take_byte(text, '=') && !take_value(text, &value))) {
            return false;
        }
        if (name) {
            tell_parameter(fields, id_of(*name), key, &value, now);
        }
    }
    return true;
}

/* limit=100, remaining=50, reset=5: as draft -07 had it. */
static void tell_member(struct rate_fields *fields, uint32_t id, struct slice key,
                        const struct value *value, wall_ms now)
{
    if (value->kind != VALUE_NUMBER) {
        return;
    }
    if (slice_is(key, "limit")) {
        rate_tell(fields, id, RATE_LIMIT, value->whole);
    } else if (slice_is(key, "remaining")) {
        rate_tell(fields, id, RATE_REMAINING, value->whole);
    } else if (slice_is(key, "reset")) {
        rate_tell(fields, id, RATE_RESET, rate_wait_of(value->whole, value->thousandths, now));
    }
}

static bool take_item(struct rate_fields *fields, struct slice *text, uint32_t dictionary_id,
                      wall_ms now)
{
    struct value item, value;
    if (!take_value(text, &item)) {
        return false;
    }
    bool is_named = item.kind == VALUE_NAME;
    if (is_named && rate_take_byte(text, '=')) {
        if (!take_value(text, &value)) {
            return false;
        }
        tell_member(fields, dictionary_id, item.text, &value, now);
        is_named = false;
    }
    return take_parameters(fields, text, is_named ? &item.text : NULL, now);
}

bool rate_read_list(struct rate_fields *fields, struct slice text, uint32_t dictionary_id,
                    wall_ms now)
{
    rate_skip_space(&text);
    while (text.len) {
        if (!take_item(fields, &text, dictionary_id, now)) {
            return false;
        }
        rate_skip_space(&text);
        if (!text.len) {
            return true;
        }
        if (!rate_take_byte(&text, ',')) {
            return false;
        }
        rate_skip_space(&text);
        if (!text.len) { /* a comma at the end */
            return false;
        }
    }
    return true;
}
