/* SPDX-License-Identifier: MIT */
/* pack_read.c - the cursor over MessagePack: items, skipping, and fields of a map. */
#include "value/pack.h"

#include "value/pack_extent.h"
#include "value/pack_known.h"

static bool no_item(struct pack *cursor, struct pack_item *ret)
{
    cursor->at = cursor->end;
    ret->type = PACK_END;
    return false;
}

static bool put_bytes(struct pack *cursor, struct pack_item *ret, size_t head, uint32_t len)
{
    if ((size_t)(cursor->end - cursor->at) - head < len) {
        return no_item(cursor, ret);
    }
    ret->text = (struct slice){(const char *)cursor->at + head, len};
    cursor->at += head + len;
    return true;
}

static bool put_ext(struct pack *cursor, struct pack_item *ret, size_t head, uint32_t len)
{
    ret->type = PACK_EXT;
    ret->ext = (int8_t)cursor->at[head - 1];
    return put_bytes(cursor, ret, head, len);
}

static bool put_int(struct pack *cursor, struct pack_item *ret, size_t size, int64_t value)
{
    if (value < 0) {
        ret->type = PACK_INT;
        ret->i = value;
    } else {
        ret->type = PACK_UINT;
        ret->u = (uint64_t)value;
    }
    cursor->at += size;
    return true;
}

static bool put_uint(struct pack *cursor, struct pack_item *ret, size_t size, uint64_t value)
{
    ret->type = PACK_UINT;
    ret->u = value;
    cursor->at += size;
    return true;
}

static bool put_float(struct pack *cursor, struct pack_item *ret, size_t size, double value)
{
    ret->type = PACK_FLOAT;
    ret->f = value;
    cursor->at += size;
    return true;
}

static bool put_count(struct pack *cursor, struct pack_item *ret, size_t size, uint32_t count)
{
    ret->count = count;
    cursor->at += size;
    return true;
}

static double load_float(const unsigned char *at)
{
    uint32_t bits = pack_load32(at);
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static double load_double(const unsigned char *at)
{
    uint64_t bits = pack_load64(at);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool next_number(struct pack *cursor, struct pack_item *ret)
{
    const unsigned char *at = cursor->at;
    switch (at[0]) {
    case 0xca:
        return put_float(cursor, ret, 5, load_float(at + 1));
    case 0xcb:
        return put_float(cursor, ret, 9, load_double(at + 1));
    case 0xcc:
        return put_uint(cursor, ret, 2, at[1]);
    case 0xcd:
        return put_uint(cursor, ret, 3, pack_load16(at + 1));
    case 0xce:
        return put_uint(cursor, ret, 5, pack_load32(at + 1));
    case 0xcf:
        return put_uint(cursor, ret, 9, pack_load64(at + 1));
    case 0xd0:
        return put_int(cursor, ret, 2, (int8_t)at[1]);
    case 0xd1:
        return put_int(cursor, ret, 3, (int16_t)pack_load16(at + 1));
    case 0xd2:
        return put_int(cursor, ret, 5, (int32_t)pack_load32(at + 1));
    default:
        return put_int(cursor, ret, 9, (int64_t)pack_load64(at + 1));
    }
}

static bool next_sized(struct pack *cursor, struct pack_item *ret, struct pack_form form)
{
    const unsigned char *at = cursor->at;
    unsigned char lead = at[0];
    uint32_t counted = form.field == 1   ? at[1]
                       : form.field == 2 ? pack_load16(at + 1)
                                         : pack_load32(at + 1);
    size_t head = (size_t)form.field + form.fixed;
    if (form.kind != PACK_FORM_BYTES) {
        ret->type = form.kind == PACK_FORM_ARRAY ? PACK_ARRAY : PACK_MAP;
        return put_count(cursor, ret, head, counted);
    }
    if (form.fixed == 2) {
        return put_ext(cursor, ret, head, counted);
    }
    ret->type = lead >= 0xd9 ? PACK_STR : PACK_BIN;
    return put_bytes(cursor, ret, head, counted);
}

/* Lead bytes 0xc0 to 0xdf. */
static bool next_long(struct pack *cursor, struct pack_item *ret)
{
    unsigned char lead = cursor->at[0];
    struct pack_form form = pack_forms[lead & 31];
    if (form.kind == PACK_FORM_NONE ||
        (size_t)(cursor->end - cursor->at) < (size_t)form.field + form.fixed) {
        return no_item(cursor, ret);
    }
    if (form.field) {
        return next_sized(cursor, ret, form);
    }
    if (lead >= 0xd4) {
        return put_ext(cursor, ret, 2, form.fixed - 2u);
    }
    if (lead >= 0xca) {
        return next_number(cursor, ret);
    }
    ret->type = lead == 0xc0 ? PACK_NIL : PACK_BOOL;
    ret->b = lead == 0xc3;
    cursor->at++;
    return true;
}

bool pack_next_any(struct pack *cursor, struct pack_item *ret)
{
    if (cursor->at == cursor->end) {
        ret->type = PACK_END;
        return false;
    }
    unsigned char lead = *cursor->at;
    switch (lead >> 5) {
    case 0:
    case 1:
    case 2:
    case 3:
        return put_uint(cursor, ret, 1, lead);
    case 4:
        ret->type = lead < 0x90 ? PACK_MAP : PACK_ARRAY;
        return put_count(cursor, ret, 1, lead & 15);
    case 5:
        ret->type = PACK_STR;
        return put_bytes(cursor, ret, 1, lead & 31);
    case 6:
        return next_long(cursor, ret);
    default:
        return put_int(cursor, ret, 1, (int8_t)lead);
    }
}

bool pack_skip(struct pack *cursor)
{
    const unsigned char *at = cursor->at;
    uint64_t missing = 1;
    if (pack_knows && pack_jump(cursor)) {
        return true;
    }
    while (missing) {
        size_t room = (size_t)(cursor->end - at);
        struct pack_extent extent;
        if (!room || pack_measure(at, room, &extent) != PACK_EXTENT_OK ||
            extent.length > room) {
            cursor->at = cursor->end;
            return false;
        }
        at += extent.length;
        missing += extent.children;
        missing--;
    }
    cursor->at = at;
    return true;
}

bool pack_take(struct pack *cursor, struct slice *ret)
{
    const unsigned char *from = cursor->at;
    if (!pack_skip(cursor)) {
        return false;
    }
    *ret = (struct slice){(const char *)from, (size_t)(cursor->at - from)};
    return true;
}

enum pack_type pack_peek(struct pack cursor)
{
    struct pack_item item;
    (void)pack_next(&cursor, &item);
    return item.type;
}

bool pack_get(struct slice value, const char *key, struct slice *ret)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    if (!pack_next(&cursor, &item) || item.type != PACK_MAP) {
        return false;
    }
    size_t len = strlen(key);
    for (uint32_t left = item.count; left; left--) {
        struct pack ahead = cursor;
        struct pack_item name;
        bool is_scalar = pack_next(&ahead, &name) && name.type < PACK_ARRAY;
        if (is_scalar) {
            cursor = ahead;
        } else if (!pack_skip(&cursor)) {
            return false;
        }
        if (is_scalar && name.type == PACK_STR && name.text.len == len &&
            memcmp(name.text.ptr, key, len) == 0) {
            return pack_take(&cursor, ret);
        }
        if (!pack_skip(&cursor)) {
            return false;
        }
    }
    return false;
}

static bool get_item(struct slice value, const char *key, struct pack_item *ret)
{
    struct slice found;
    if (!pack_get(value, key, &found)) {
        return false;
    }
    struct pack cursor = pack_over(found);
    return pack_next(&cursor, ret);
}

bool pack_get_text(struct slice value, const char *key, struct slice *ret)
{
    struct pack_item item;
    if (!get_item(value, key, &item) || item.type != PACK_STR) {
        return false;
    }
    *ret = item.text;
    return true;
}

bool pack_get_int(struct slice value, const char *key, int64_t *ret)
{
    struct pack_item item;
    return get_item(value, key, &item) && pack_as_int(&item, ret);
}

bool pack_get_bool(struct slice value, const char *key, bool *ret)
{
    struct pack_item item;
    if (!get_item(value, key, &item) || item.type != PACK_BOOL) {
        return false;
    }
    *ret = item.b;
    return true;
}

#define TWO_TO_63 9223372036854775808.0
#define TWO_TO_64 18446744073709551616.0

bool pack_as_int(const struct pack_item *item, int64_t *ret)
{
    if (item->type == PACK_INT) {
        *ret = item->i;
        return true;
    }
    if (item->type == PACK_UINT && item->u <= INT64_MAX) {
        *ret = (int64_t)item->u;
        return true;
    }
    if (item->type == PACK_FLOAT && item->f >= -TWO_TO_63 && item->f < TWO_TO_63 &&
        (double)(int64_t)item->f == item->f) {
        *ret = (int64_t)item->f;
        return true;
    }
    return false;
}

bool pack_as_uint(const struct pack_item *item, uint64_t *ret)
{
    if (item->type == PACK_UINT) {
        *ret = item->u;
        return true;
    }
    if (item->type == PACK_FLOAT && item->f >= 0 && item->f < TWO_TO_64 &&
        (double)(uint64_t)item->f == item->f) {
        *ret = (uint64_t)item->f;
        return true;
    }
    return false;
}
