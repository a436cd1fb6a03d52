/* SPDX-License-Identifier: MIT */
/* json_read.c - JSON text to MessagePack in one pass, without recursion; strings are in
 * json_text.c, numbers in json_number.c. */
#include "value/json.h"

#include "value/json_digits.h"
#include "value/json_keys.h"
#include "value/json_number.h"
#include "value/json_text.h"

#include <stdbool.h>

/* Longer text is refused: places in it are kept in 32 bits. */
#define JSON_BYTES_MAX ((size_t)1 << 30)

/* The first one is no level, but what the whole value is in. */
struct level {
    size_t opened; /* where the header is, from the start of the output */
    uint32_t count;
    bool is_map;
    struct json_keys_level keys;
};

struct reader {
    struct json_text text;
    const unsigned char *begin;
    struct level *level;      /* the innermost that is open */
    struct level *level_last; /* the innermost that may be opened */
    struct level levels[JSON_DEPTH_MAX + 1];
    struct json_keys keys;
};

static const unsigned char *fail(struct reader *r, const unsigned char *at, const char *what)
{
    return json_text_fail(&r->text, at, what);
}

static inline const unsigned char *skip_space(const unsigned char *at, const unsigned char *end)
{
    while (at < end && *at <= ' ' &&
           (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    return at;
}

static inline bool reserve(struct reader *r)
{
    return r->text.to <= r->text.limit || json_text_grow(&r->text, 0);
}

/* ---- scalars ---------------------------------------------------------------------------- */

static void put_uint(struct json_text *text, uint64_t value)
{
    unsigned char *to = text->to;
    if (value < 0x80) {
        *to = (unsigned char)value;
        text->to = to + 1;
    } else if (value <= UINT8_MAX) {
        text->to = json_put8(to, 0xcc, (uint8_t)value);
    } else if (value <= UINT16_MAX) {
        text->to = json_put16(to, 0xcd, (uint16_t)value);
    } else if (value <= UINT32_MAX) {
        text->to = json_put32(to, 0xce, (uint32_t)value);
    } else {
        text->to = json_put64(to, 0xcf, value);
    }
}

static void put_negative(struct json_text *text, int64_t value)
{
    unsigned char *to = text->to;
    if (value >= -32) {
        *to = (unsigned char)value;
        text->to = to + 1;
    } else if (value >= INT8_MIN) {
        text->to = json_put8(to, 0xd0, (uint8_t)value);
    } else if (value >= INT16_MIN) {
        text->to = json_put16(to, 0xd1, (uint16_t)value);
    } else if (value >= INT32_MIN) {
        text->to = json_put32(to, 0xd2, (uint32_t)value);
    } else {
        text->to = json_put64(to, 0xd3, (uint64_t)value);
    }
}

static const unsigned char *put_number_text(struct reader *r, const unsigned char *at,
                                            const unsigned char *end)
{
    size_t len = (size_t)(end - at);
    if (r->text.limit - r->text.to < (ptrdiff_t)len && !json_text_grow(&r->text, len)) {
        return NULL;
    }
    unsigned char *to = r->text.to;
    if (len <= 16 && (len & (len - 1)) == 0) {
        *to++ = (unsigned char)(0xd4 + __builtin_ctz((unsigned)len));
    } else if (len <= UINT8_MAX) {
        to = json_put8(to, 0xc7, (uint8_t)len);
    } else if (len <= UINT16_MAX) {
        to = json_put16(to, 0xc8, (uint16_t)len);
    } else {
        to = json_put32(to, 0xc9, (uint32_t)len);
    }
    *to++ = PACK_EXT_NUMBER;
    memcpy(to, at, len);
    r->text.to = to + len;
    return end;
}

static const unsigned char *read_any_number(struct reader *r, const unsigned char *at)
{
    struct json_number number;
    uint64_t bits;
    json_number_read(at, r->text.end, &number);
    switch (number.kind) {
    case JSON_NUMBER_BAD:
        return fail(r, number.end, "this is no number");
    case JSON_NUMBER_UINT:
        put_uint(&r->text, number.u);
        break;
    case JSON_NUMBER_INT:
        put_negative(&r->text, number.i);
        break;
    case JSON_NUMBER_FLOAT:
        memcpy(&bits, &number.f, sizeof bits);
        r->text.to = json_put64(r->text.to, 0xcb, bits);
        break;
    case JSON_NUMBER_TEXT:
        return put_number_text(r, at, number.end);
    }
    return number.end;
}

/* Up to seven digits without sign, point or exponent are the common case. */
static inline const unsigned char *read_number(struct reader *r, const unsigned char *at)
{
    if (r->text.end - at < 9) {
        return read_any_number(r, at);
    }
    uint64_t word = digits_load(at);
    unsigned count = digits_count(word);
    unsigned char next = at[count];
    bool is_short = count > 0 && count < 8 && (*at != '0' || count == 1);
    if (!is_short || next == '.' || (next | 0x20) == 'e') {
        return read_any_number(r, at);
    }
    put_uint(&r->text, digits_value(word, count));
    return at + count;
}

static const unsigned char *read_word(struct reader *r, const unsigned char *at,
                                      struct slice word, unsigned char byte)
{
    for (size_t i = 0; i < word.len; i++, at++) {
        if (at == r->text.end || *at != (unsigned char)word.ptr[i]) {
            return fail(r, at, "this is no value");
        }
    }
    *r->text.to++ = byte;
    return at;
}

static const unsigned char *read_scalar(struct reader *r, const unsigned char *at)
{
    switch (*at) {
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return read_number(r, at);
    case 't':
        return read_word(r, at, SLICE("true"), 0xc3);
    case 'f':
        return read_word(r, at, SLICE("false"), 0xc2);
    case 'n':
        return read_word(r, at, SLICE("null"), 0xc0);
    default:
        return fail(r, at, "a value is expected");
    }
}

/* ---- objects and arrays ----------------------------------------------------------------- */

static const unsigned char *fail_keys(struct reader *r, const unsigned char *at,
                                      enum json_keys_result result)
{
    if (result == JSON_KEYS_NO_MEMORY) {
        return json_text_fail_limit(&r->text, at, "there is no memory for its keys");
    }
    return fail(r, at, "the object has a key twice");
}

/* What this value has become so far: keys are found from here. */
static const unsigned char *output(const struct reader *r)
{
    return r->text.data + r->text.len_before;
}

static inline const unsigned char *read_colon(struct reader *r, const unsigned char *at)
{
    at = skip_space(at, r->text.end);
    if (at == r->text.end || *at != ':') {
        return fail(r, at, "a colon is expected");
    }
    return skip_space(at + 1, r->text.end);
}

/* A key that is not short and plain; at the quote. */
static const unsigned char *read_long_key(struct reader *r, const unsigned char *at)
{
    const unsigned char *from = at;
    if (at == r->text.end || *at != '"') {
        return fail(r, at, "a key in quotes is expected");
    }
    size_t start = (size_t)(r->text.to - output(r));
    at = json_text_read(&r->text, at + 1);
    if (!at) {
        return NULL;
    }
    const unsigned char *base = output(r);
    size_t body = start + json_str_head(base[start]);
    size_t len = (size_t)(r->text.to - base) - body;
    struct json_key key = {(uint32_t)body, (uint32_t)len, json_key_tag_of(base + body, len)};
    enum json_keys_result result = json_keys_add(&r->keys, &r->level->keys, base, key);
    return result == JSON_KEYS_OK ? read_colon(r, at) : fail_keys(r, from, result);
}

/* At the quote of a key; gives the place of its value. Most keys fit a chunk. */
static inline const unsigned char *read_key(struct reader *r, const unsigned char *at)
{
    if (!reserve(r)) {
        return NULL;
    }
    if (r->text.end - at <= CHUNK || *at != '"') {
        return read_long_key(r, at);
    }
    chunk bytes = chunk_load(at + 1);
    chunk_mask special = chunk_special(bytes);
    size_t len = special ? chunk_first(special) : 0;
    if (!special || at[1 + len] != '"') {
        return read_long_key(r, at);
    }
    uint64_t low;
    uint64_t high;
    unsigned char *to = r->text.to;
    const unsigned char *base = output(r);
    *to = (unsigned char)(0xa0 | len);
    chunk_store(to + 1, bytes);
    r->text.to = to + 1 + len;
    chunk_words(bytes, len, &low, &high);
    struct json_key key = {(uint32_t)(to + 1 - base), (uint32_t)len,
                           json_key_tag(low, high, len)};
    enum json_keys_result result = json_keys_add(&r->keys, &r->level->keys, base, key);
    if (result != JSON_KEYS_OK) {
        return fail_keys(r, at, result);
    }
    return read_colon(r, at + len + 2);
}

/* At the bracket; gives the place of the first member, or behind an empty one. */
static inline const unsigned char *open_level(struct reader *r, const unsigned char *at,
                                              bool is_map)
{
    if (r->level == r->level_last) {
        return json_text_fail_limit(&r->text, at, "it is nested too deeply");
    }
    size_t opened = (size_t)(r->text.to - r->text.data);
    *r->text.to++ = is_map ? 0x80 : 0x90;
    at = skip_space(at + 1, r->text.end);
    if (at < r->text.end && *at == (is_map ? '}' : ']')) {
        return at + 1;
    }
    struct level *level = ++r->level;
    level->opened = opened;
    level->count = 1;
    level->is_map = is_map;
    json_keys_open(&r->keys, &level->keys);
    return at;
}

/* One byte was left for the header: fifteen members are all that it can count. */
static bool put_long_header(struct reader *r, const struct level *level)
{
    if (!reserve(r)) {
        return false;
    }
    unsigned char *head = r->text.data + level->opened;
    size_t more = level->count <= UINT16_MAX ? 2 : 4;
    memmove(head + 1 + more, head + 1, (size_t)(r->text.to - head - 1));
    r->text.to += more;
    if (more == 2) {
        (void)json_put16(head, level->is_map ? 0xde : 0xdc, (uint16_t)level->count);
    } else {
        (void)json_put32(head, level->is_map ? 0xdf : 0xdd, level->count);
    }
    return true;
}

static inline bool close_level(struct reader *r, const unsigned char *at)
{
    struct level *level = r->level--;
    if (level->is_map) {
        struct slice twice;
        enum json_keys_result result =
            json_keys_close(&r->keys, &level->keys, output(r), &twice);
        if (result != JSON_KEYS_OK) {
            return fail_keys(r, at, result) != NULL;
        }
    }
    if (level->count > 15) {
        return put_long_header(r, level);
    }
    r->text.data[level->opened] |= (unsigned char)level->count;
    return true;
}

static const unsigned char *fail_member(struct reader *r, const unsigned char *at)
{
    if (at == r->text.end) {
        return fail(r, at, "it ends too early");
    }
    return fail(r, at,
                r->level->is_map ? "a comma or } is expected" : "a comma or ] is expected");
}

/* Behind a value: passes over what ends, up to the place of the next member. With no level left that
 * is the end of the text. */
static inline const unsigned char *next_place(struct reader *r, const unsigned char *at)
{
    const unsigned char *end = r->text.end;
    while (r->level != r->levels) {
        at = skip_space(at, end);
        if (at == end) {
            return fail_member(r, at);
        }
        if (*at == ',') {
            r->level->count++;
            return skip_space(at + 1, end);
        }
        if (*at != (r->level->is_map ? '}' : ']')) {
            return fail_member(r, at);
        }
        if (!close_level(r, at)) {
            return NULL;
        }
        at++;
    }
    return at;
}

/* At a key or value; gives the place of the next, or behind the last. */
static inline const unsigned char *read_member(struct reader *r, const unsigned char *at)
{
    if (r->level->is_map && !(at = read_key(r, at))) {
        return NULL;
    }
    if (at == r->text.end) {
        return fail(r, at, "it ends too early");
    }
    if (!reserve(r)) {
        return NULL;
    }
    if (*at == '"') {
        at = json_text_read(&r->text, at + 1);
    } else if (*at == '{' || *at == '[') {
        struct level *outer = r->level;
        at = open_level(r, at, *at == '{');
        if (r->level != outer) {
            return at;
        }
    } else {
        at = read_scalar(r, at);
    }
    return at ? next_place(r, at) : NULL;
}

static bool read_document(struct reader *r)
{
    const unsigned char *at = skip_space(r->begin, r->text.end);
    do {
        at = read_member(r, at);
    } while (at && r->level != r->levels);
    if (!at) {
        return false;
    }
    at = skip_space(at, r->text.end);
    return at == r->text.end || fail(r, at, "something follows the value") != NULL;
}

static int report(const struct reader *r, struct err *reterr)
{
    const struct json_text *text = &r->text;
    size_t offset = (size_t)(text->fault_at - r->begin);
    if (text->is_limit) {
        return err_set(reterr, ERR_OVERLOADED, "JSON cannot be taken at byte %zu: %s", offset,
                       text->fault);
    }
    return err_set(reterr, ERR_VALIDATION_ERROR, "JSON is wrong at byte %zu: %s", offset,
                   text->fault);
}

int json_to_pack(struct slice json, uint32_t depth, struct buf *out, struct err *reterr)
{
    struct reader r;
    if (json.len > JSON_BYTES_MAX) {
        return err_set(reterr, ERR_OVERLOADED, "JSON is too long: %zu bytes, at most %zu",
                       json.len, JSON_BYTES_MAX);
    }
    r.begin = (const unsigned char *)(json.len ? json.ptr : "");
    r.level = r.levels;
    r.level_last = r.levels + (depth < JSON_DEPTH_MAX ? depth : JSON_DEPTH_MAX);
    r.levels[0].is_map = false;
    json_keys_init(&r.keys);
    bool is_done = json_text_begin(&r.text, r.begin, json.len, out) && read_document(&r);
    if (!json_text_end(&r.text, is_done)) {
        is_done = false;
    }
    json_keys_done(&r.keys);
    return is_done ? 0 : report(&r, reterr);
}
