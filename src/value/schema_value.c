/* SPDX-License-Identifier: MIT */
/* schema_value.c - numbers and values compared as JSON Schema compares them. */
#include "value/schema_run.h"

#include "base/map.h"
#include "value/decimal.h"
#include "value/json_number.h"

#include <math.h>

#define TWO_TO_64 18446744073709551616.0

/* Zero is never negative, so that signs decide where they differ. */
static struct schema_number of_real(double value)
{
    double size = fabs(value);
    if (size < TWO_TO_64 && size == floor(size)) {
        return (struct schema_number){true, value < 0, (uint64_t)size, value};
    }
    return (struct schema_number){false, value < 0, 0, value};
}

/* Digits and nothing else, as far as a uint64_t goes. */
static bool whole_of_text(struct slice text, uint64_t *ret)
{
    uint64_t value = 0;
    for (size_t i = text.ptr[0] == '-'; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.ptr[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return false;
        }
    }
    *ret = value;
    return true;
}

/* Other text that no double holds: near enough for a comparison with a limit, and infinite where it is
 * beyond all doubles. */
static struct schema_number of_text(struct slice text)
{
    uint64_t digits = 0;
    int64_t exponent = 0;
    bool is_behind_point = false;
    size_t i = text.len && text.ptr[0] == '-';
    for (; i < text.len && (text.ptr[i] | 0x20) != 'e'; i++) {
        if (text.ptr[i] == '.') {
            is_behind_point = true;
        } else if (digits < 10000000000000000u) {
            digits = digits * 10 + (uint64_t)(text.ptr[i] - '0');
            exponent -= is_behind_point;
        } else {
            exponent += !is_behind_point;
        }
    }
    int64_t power = 0;
    bool is_small = i + 1 < text.len && text.ptr[i + 1] == '-';
    for (i++; i < text.len; i++) {
        if (text.ptr[i] >= '0' && text.ptr[i] <= '9' && power < 1000000000000) {
            power = power * 10 + (text.ptr[i] - '0');
        }
    }
    exponent += is_small ? -power : power;
    double size = 0;
    if (digits && exponent > 400) {
        size = HUGE_VAL;
    } else if (digits && exponent >= -400) {
        size = decimal_to_double((struct decimal){digits, (int32_t)exponent});
    }
    return of_real(text.ptr[0] == '-' ? -size : size);
}

bool schema_number_of(const struct pack_item *item, struct schema_number *ret)
{
    switch (item->type) {
    case PACK_UINT:
        *ret = (struct schema_number){true, false, item->u, (double)item->u};
        return true;
    case PACK_INT:
        *ret = (struct schema_number){true, true, 0 - (uint64_t)item->i, (double)item->i};
        return true;
    case PACK_FLOAT:
        *ret = of_real(item->f);
        return true;
    case PACK_EXT:
        if (item->ext != PACK_EXT_NUMBER || !json_number_is(item->text)) {
            return false;
        }
        *ret = of_text(item->text);
        if (whole_of_text(item->text, &ret->magnitude)) {
            ret->is_whole = true;
            ret->is_negative = item->text.ptr[0] == '-' && ret->magnitude != 0;
        }
        return true;
    default:
        return false;
    }
}

static int compare_sizes(const struct schema_number *a, const struct schema_number *b)
{
    if (a->is_whole && b->is_whole) {
        return a->magnitude < b->magnitude ? -1 : a->magnitude > b->magnitude;
    }
    if (!a->is_whole && !b->is_whole) {
        return fabs(a->real) < fabs(b->real) ? -1 : fabs(a->real) > fabs(b->real);
    }
    /* The other one has a fraction, or is beyond 2^64: its whole part decides, and exactly. */
    const struct schema_number *whole = a->is_whole ? a : b;
    double size = fabs(a->is_whole ? b->real : a->real);
    bool is_less = !(size < TWO_TO_64) || whole->magnitude <= (uint64_t)size;
    return is_less == (whole == a) ? -1 : 1;
}

int schema_number_compare(const struct schema_number *a, const struct schema_number *b)
{
    if (a->is_negative == b->is_negative) {
        return a->is_negative ? compare_sizes(b, a) : compare_sizes(a, b);
    }
    return a->is_negative ? -1 : 1;
}

static bool equal_scalars(const struct pack_item *a, const struct pack_item *b)
{
    struct schema_number x;
    struct schema_number y;
    if (schema_number_of(a, &x)) {
        if (a->type == PACK_EXT && schema_number_of(b, &y) && b->type == PACK_EXT) {
            return schema_same_number(a->text, b->text);
        }
        return a->type != PACK_EXT && b->type != PACK_EXT && schema_number_of(b, &y) &&
               schema_number_compare(&x, &y) == 0;
    }
    if (a->type != b->type) {
        return false;
    }
    switch (a->type) {
    case PACK_NIL:
        return true;
    case PACK_BOOL:
        return a->b == b->b;
    case PACK_EXT:
        return a->ext == b->ext && slice_equal(a->text, b->text);
    default:
        return slice_equal(a->text, b->text);
    }
}

static bool skip_member(struct pack *cursor)
{
    bool has_key = pack_skip(cursor);
    return has_key && pack_skip(cursor);
}

/* The value under `key` of a map whose header is behind the cursor. */
static bool find_member(struct pack cursor, uint32_t count, struct slice key, struct pack *ret)
{
    for (; count; count--) {
        struct slice name;
        struct pack ahead = cursor;
        if (pack_next_text(&ahead, &name) && slice_equal(name, key)) {
            *ret = ahead;
            return true;
        }
        if (!skip_member(&cursor)) {
            return false;
        }
    }
    return false;
}

static bool equal_at(struct schema_run *run, struct pack *a, struct pack *b, uint32_t depth);

static bool equal_maps(struct schema_run *run, struct pack *a, struct pack *b, uint32_t count,
                       uint32_t depth)
{
    struct pack members = *b;
    for (uint32_t i = 0; i < count; i++) {
        struct slice key;
        struct slice other;
        struct pack value = *b;
        if (!pack_next_text(a, &key)) {
            return false;
        }
        /* Mostly in the same order. */
        if (!pack_next_text(&value, &other) || !slice_equal(key, other)) {
            if (!schema_spend(run, count) || !find_member(members, count, key, &value)) {
                return false;
            }
        }
        if (!equal_at(run, a, &value, depth) || !skip_member(b)) {
            return false;
        }
    }
    return true;
}

static bool equal_at(struct schema_run *run, struct pack *a, struct pack *b, uint32_t depth)
{
    struct pack_item x;
    struct pack_item y;
    if (!schema_spend(run, 1) || depth > PACK_DEPTH_MAX || !pack_next(a, &x) ||
        !pack_next(b, &y)) {
        return false;
    }
    if (x.type != PACK_ARRAY && x.type != PACK_MAP) {
        return equal_scalars(&x, &y);
    }
    if (x.type != y.type || x.count != y.count) {
        return false;
    }
    if (x.type == PACK_MAP) {
        return equal_maps(run, a, b, x.count, depth + 1);
    }
    for (uint32_t i = 0; i < x.count; i++) {
        if (!equal_at(run, a, b, depth + 1)) {
            return false;
        }
    }
    return true;
}

bool schema_equal(struct schema_run *run, struct pack a, struct pack b)
{
    return equal_at(run, &a, &b, 0);
}

static uint64_t hash_scalar(const struct pack_item *item)
{
    struct schema_number number;
    if (item->type == PACK_EXT) {
        bool is_number = schema_number_of(item, &number);
        return is_number ? schema_number_hash(item->text)
                         : map_hash(item->text.ptr, item->text.len);
    }
    if (schema_number_of(item, &number)) {
        double real = number.real == 0 ? 0 : number.real; /* -0 is 0 */
        return map_hash(&real, sizeof real);
    }
    if (item->type == PACK_STR || item->type == PACK_BIN) {
        return map_hash(item->text.ptr, item->text.len) + item->type;
    }
    return map_hash("tf", item->type == PACK_BOOL ? 1u + item->b : 0u);
}

static uint64_t hash_at(struct pack *cursor, uint32_t depth)
{
    struct pack_item item;
    uint64_t hash = 0;
    if (depth > PACK_DEPTH_MAX || !pack_next(cursor, &item)) {
        return 0;
    }
    if (item.type == PACK_MAP) {
        for (uint32_t i = 0; i < item.count; i++) { /* a sum: order does not matter */
            uint64_t pair[2] = {hash_at(cursor, depth + 1), 0};
            pair[1] = hash_at(cursor, depth + 1);
            hash += map_hash(pair, sizeof pair);
        }
        return hash;
    }
    if (item.type == PACK_ARRAY) {
        for (uint32_t i = 0; i < item.count; i++) {
            uint64_t pair[2] = {hash, hash_at(cursor, depth + 1)};
            hash = map_hash(pair, sizeof pair);
        }
        return hash;
    }
    return hash_scalar(&item);
}

uint64_t schema_hash(struct pack *cursor)
{
    return hash_at(cursor, 0);
}
