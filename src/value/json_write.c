/* SPDX-License-Identifier: MIT */
/* json_write.c - MessagePack to JSON text in one pass, without recursion. */
#include "value/json.h"

#include "base/text.h"
#include "value/json_chunk.h"
#include "value/json_keys.h"
#include "value/json_number.h"
#include "value/pack.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

struct level {
    uint32_t left, done; /* members to come, members begun */
    bool is_map;
    struct slice key; /* of the member under way */
    struct json_keys_level keys;
};

struct writer {
    struct slice value;
    struct pack cursor;
    struct buf *out;
    uint32_t depth;
    struct level levels[PACK_DEPTH_MAX];
    struct json_keys keys;
    const char *place; /* name of the whole */
    struct err *reterr;
};

/* ---- where a fault is ------------------------------------------------------------------- */

static size_t put_key_place(char *path, size_t room, struct slice key)
{
    struct slice name = text_cut(key, 60);
    int written = text_is_utf8(name) ? snprintf(path, room, ".%.*s", SLICE_ARG(name))
                                     : snprintf(path, room, ".(key)");
    return written > 0 ? (size_t)written : 0;
}

/* "arguments.items[2].email"; cut where it does not fit. */
static void put_place(const struct writer *w, char *path, size_t room)
{
    size_t at = (size_t)snprintf(path, room, "%.40s", w->place);
    for (uint32_t i = 0; i < w->depth && at < room; i++) {
        const struct level *level = &w->levels[i];
        if (!level->done) {
            continue;
        }
        if (level->is_map) {
            at += put_key_place(path + at, room - at, level->key);
        } else {
            at += (size_t)snprintf(path + at, room - at, "[%u]", (unsigned)(level->done - 1));
        }
    }
}

static bool fail(struct writer *w, const char *what)
{
    char path[200];
    put_place(w, path, sizeof path);
    (void)err_set(w->reterr, ERR_VALIDATION_ERROR, "%s %s", path, what);
    return false;
}

/* ---- strings ---------------------------------------------------------------------------- */

/* The longest beginning that is UTF-8 and needs no escape. */
static size_t plain_run(struct slice text)
{
    const unsigned char *from = (const unsigned char *)(text.len ? text.ptr : "");
    const unsigned char *at = from;
    const unsigned char *end = from + text.len;
    while (at < end) {
        chunk_mask special = chunk_special(chunk_load_within(at, end));
        if (!special) {
            at += CHUNK;
            continue;
        }
        at += chunk_first(special);
        if (at >= end || *at < 0x80) {
            break;
        }
        while (at < end && *at >= 0x80) {
            size_t step = text_utf8_step((struct slice){(const char *)at, (size_t)(end - at)});
            if (!step) {
                return (size_t)(at - from);
            }
            at += step;
        }
    }
    return at < end ? (size_t)(at - from) : text.len;
}

static void put_escape(struct buf *out, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    static const char short_forms[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    char text[] = "\\u00..";
    text[4] = digits[byte >> 4];
    text[5] = digits[byte & 15];
    char plain = (char)byte;
    if (byte < 0x20) {
        plain = short_forms[byte];
    }
    if (plain) {
        text[1] = plain;
    }
    buf_put(out, text, plain ? 2 : 6);
}

/* False at text that is not UTF-8, unless `may_mend` it. */
static bool put_str(struct buf *out, struct slice text, bool may_mend)
{
    buf_put_byte(out, '"');
    for (;;) {
        size_t plain = plain_run(text);
        buf_put(out, text.ptr, plain);
        if (plain == text.len) {
            break;
        }
        unsigned char byte = (unsigned char)text.ptr[plain];
        if (byte < 0x80) {
            put_escape(out, byte);
        } else if (may_mend) {
            buf_put(out, "\xef\xbf\xbd", 3);
        } else {
            return false;
        }
        text.ptr += plain + 1;
        text.len -= plain + 1;
    }
    buf_put_byte(out, '"');
    return true;
}

void json_put_str(struct buf *out, struct slice text)
{
    (void)put_str(out, text, true);
}

/* ---- scalars ---------------------------------------------------------------------------- */

static void put_uint(struct buf *out, uint64_t value, bool is_negative)
{
    char text[24];
    char *at = text + sizeof text;
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    if (is_negative) {
        *--at = '-';
    }
    buf_put(out, at, (size_t)(text + sizeof text - at));
}

static bool put_float(struct writer *w, double value)
{
    char text[JSON_NUMBER_TEXT_BYTES];
    if (!isfinite(value)) {
        return fail(w, isnan(value) ? "is not a number (NaN), which JSON cannot say"
                                    : "is infinite, which JSON cannot say");
    }
    buf_put(w->out, text, json_number_write(value, text));
    return true;
}

static bool put_ext(struct writer *w, const struct pack_item *item)
{
    if (item->ext != PACK_EXT_NUMBER) {
        return fail(w, "is of a MessagePack extension type, which JSON cannot say");
    }
    if (!json_number_is(item->text)) {
        return fail(w, "should be a number (extension type 1), but its text is none");
    }
    buf_put_slice(w->out, item->text);
    return true;
}

static bool put_text(struct writer *w, struct slice text)
{
    return put_str(w->out, text, false) || fail(w, "is not UTF-8 text");
}

static bool open_level(struct writer *w, const struct pack_item *item)
{
    if (w->depth == PACK_DEPTH_MAX) {
        return fail(w, "is nested too deeply");
    }
    struct level *level = &w->levels[w->depth++];
    level->is_map = item->type == PACK_MAP;
    level->left = item->count;
    level->done = 0;
    json_keys_open(&w->keys, &level->keys);
    buf_put_byte(w->out, level->is_map ? '{' : '[');
    return true;
}

static bool put_item(struct writer *w, const struct pack_item *item)
{
    switch (item->type) {
    case PACK_NIL:
        buf_put(w->out, "null", 4);
        return true;
    case PACK_BOOL:
        buf_put_text(w->out, item->b ? "true" : "false");
        return true;
    case PACK_INT:
        put_uint(w->out, 0 - (uint64_t)item->i, true);
        return true;
    case PACK_UINT:
        put_uint(w->out, item->u, false);
        return true;
    case PACK_FLOAT:
        return put_float(w, item->f);
    case PACK_STR:
        return put_text(w, item->text);
    case PACK_BIN:
        buf_put_byte(w->out, '"');
        text_put_base64(w->out, item->text);
        buf_put_byte(w->out, '"');
        return true;
    case PACK_EXT:
        return put_ext(w, item);
    case PACK_ARRAY:
    case PACK_MAP:
        return open_level(w, item);
    case PACK_END:
        break;
    }
    return fail(w, "is not MessagePack");
}

/* ---- maps and arrays -------------------------------------------------------------------- */

static bool fail_keys(struct writer *w, enum json_keys_result result)
{
    if (result == JSON_KEYS_NO_MEMORY) {
        (void)err_set(w->reterr, ERR_OVERLOADED, "there is no memory for the keys of %.40s",
                      w->place);
        return false;
    }
    return fail(w, "stands twice in its map");
}

static bool put_key(struct writer *w, struct level *level)
{
    struct pack_item item;
    if (!pack_next(&w->cursor, &item) || item.type != PACK_STR) {
        level->key = SLICE("(key)");
        return fail(w, "is not text, as JSON wants its keys");
    }
    level->key = item.text;
    const unsigned char *base = (const unsigned char *)w->value.ptr;
    uint32_t at = (uint32_t)(item.text.ptr - w->value.ptr);
    struct json_key key = {at, (uint32_t)item.text.len,
                           json_key_tag_of(base + at, item.text.len)};
    enum json_keys_result result = json_keys_add(&w->keys, &level->keys, base, key);
    if (result != JSON_KEYS_OK) {
        return fail_keys(w, result);
    }
    if (!put_text(w, item.text)) {
        return false;
    }
    buf_put_byte(w->out, ':');
    return true;
}

static bool close_level(struct writer *w, struct level *level)
{
    struct slice twice;
    const unsigned char *base = (const unsigned char *)w->value.ptr;
    enum json_keys_result result = json_keys_close(&w->keys, &level->keys, base, &twice);
    if (result != JSON_KEYS_OK) {
        level->key = twice;
        return fail_keys(w, result);
    }
    buf_put_byte(w->out, level->is_map ? '}' : ']');
    w->depth--;
    return true;
}

/* Behind a value: closes what is complete and begins the next member. */
static bool next_member(struct writer *w)
{
    while (w->depth) {
        struct level *level = &w->levels[w->depth - 1];
        if (level->left) {
            if (level->done++) {
                buf_put_byte(w->out, ',');
            }
            level->left--;
            return !level->is_map || put_key(w, level);
        }
        if (!close_level(w, level)) {
            return false;
        }
    }
    return true;
}

static bool write_value(struct writer *w)
{
    do {
        struct pack_item item;
        (void)pack_next(&w->cursor, &item);
        if (!put_item(w, &item) || !next_member(w)) {
            return false;
        }
    } while (w->depth && !w->out->overflow);
    return true;
}

int json_from_pack(struct slice value, const char *place, struct buf *out, struct err *reterr)
{
    struct writer w;
    struct err unseen;
    size_t before = out->len;
    if (out->overflow || value.len > UINT32_MAX) {
        return err_set(reterr, ERR_OVERLOADED, "%.40s is too long", place);
    }
    w.value = value;
    w.cursor = pack_over(value);
    w.out = out;
    w.depth = 0;
    w.place = place;
    w.reterr = reterr ? reterr : &unseen;
    json_keys_init(&w.keys);
    bool is_done = write_value(&w);
    json_keys_done(&w.keys);
    if (is_done && !out->overflow) {
        return 0;
    }
    out->len = before;
    out->overflow = false;
    if (!is_done) {
        return -(int)w.reterr->code;
    }
    return err_set(reterr, ERR_OVERLOADED, "%.40s is too long: over %zu bytes as JSON", place,
                   out->max);
}
