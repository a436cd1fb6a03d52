/* SPDX-License-Identifier: MIT */
/* schema_decimal.c - numbers in decimal: 0.3 is a multiple of 0.1, whatever doubles say, and 1e400 is
 * 10e399. */
#include "value/schema_run.h"

#include "base/map.h"
#include "value/decimal.h"
#include "value/json_number.h"

#include <math.h>

__extension__ typedef unsigned __int128 wide;

#define DIGITS_MAX   19u
#define EXPONENT_MAX 1000000000000

static struct schema_decimal strip(uint64_t digits, int64_t exponent)
{
    while (digits && digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    return (struct schema_decimal){digits, digits ? exponent : 0};
}

/* A number's text, cut: its digits without zeros at either end, a point among them not counted,
 * and the exponent of the last one. */
struct digits {
    struct slice text;
    uint64_t count;
    int64_t exponent;
};

static struct digits digits_of(struct slice text)
{
    struct digits digits = {{NULL, 0}, 0, 0};
    const char *last = NULL;
    uint64_t seen = 0;
    int64_t behind = 0; /* the point, up to the digit at hand */
    int64_t last_behind = 0;
    bool is_behind = false;
    size_t i = text.len && text.ptr[0] == '-';
    for (; i < text.len && (text.ptr[i] | 0x20) != 'e'; i++) {
        if (text.ptr[i] == '.') {
            is_behind = true;
            continue;
        }
        behind += is_behind;
        seen += digits.text.ptr != NULL;
        if (text.ptr[i] != '0') {
            if (!digits.text.ptr) {
                digits.text.ptr = text.ptr + i;
                seen = 1;
            }
            last = text.ptr + i;
            digits.count = seen;
            last_behind = behind;
            digits.exponent = 0;
        } else if (last && !is_behind) {
            digits.exponent++;
        }
    }
    int64_t power = 0;
    bool is_small = i + 1 < text.len && text.ptr[i + 1] == '-';
    for (i++; i < text.len; i++) {
        if (text.ptr[i] >= '0' && text.ptr[i] <= '9' && power < EXPONENT_MAX) {
            power = power * 10 + (text.ptr[i] - '0');
        }
    }
    if (!last) {
        return (struct digits){{NULL, 0}, 0, 0};
    }
    digits.text.len = (size_t)(last - digits.text.ptr) + 1;
    digits.exponent += (is_small ? -power : power) - last_behind;
    return digits;
}

bool schema_decimal_of(const struct pack_item *item, struct schema_decimal *ret)
{
    switch (item->type) {
    case PACK_UINT:
        *ret = strip(item->u, 0);
        return true;
    case PACK_INT:
        *ret = strip(0 - (uint64_t)item->i, 0);
        return true;
    case PACK_FLOAT: {
        double size = fabs(item->f);
        struct decimal decimal = {0, 0};
        if (!isfinite(size)) {
            return false;
        }
        if (size > 0) {
            decimal = decimal_of_double(size);
        }
        *ret = strip(decimal.digits, decimal.exponent);
        return true;
    }
    case PACK_EXT: {
        if (item->ext != PACK_EXT_NUMBER || !json_number_is(item->text)) {
            return false;
        }
        struct digits digits = digits_of(item->text);
        uint64_t value = 0;
        for (size_t i = 0; i < digits.text.len && digits.count <= DIGITS_MAX; i++) {
            char c = digits.text.ptr[i];
            value = c == '.' ? value : value * 10 + (uint64_t)(c - '0');
        }
        *ret = (struct schema_decimal){value, digits.exponent};
        return digits.count <= DIGITS_MAX;
    }
    default:
        return false;
    }
}

static uint64_t multiply(uint64_t a, uint64_t b, uint64_t modulus)
{
    return (uint64_t)((wide)a * b % modulus);
}

/* digits * 10^power modulo `modulus`. */
static uint64_t scale(uint64_t digits, uint64_t power, uint64_t modulus)
{
    uint64_t result = digits % modulus;
    for (uint64_t base = 10 % modulus; power; power >>= 1) {
        if (power & 1) {
            result = multiply(result, base, modulus);
        }
        base = multiply(base, base, modulus);
    }
    return result;
}

/* Digits do not end with a zero, so they cannot make up for an exponent below the divisor's. */
bool schema_is_multiple(struct schema_run *run, const struct pack_item *item,
                        const struct schema_decimal *of)
{
    struct schema_decimal value;
    if (schema_decimal_of(item, &value)) {
        int64_t power = value.exponent - of->exponent;
        return !value.digits ||
               (power >= 0 && scale(value.digits, (uint64_t)power, of->digits) == 0);
    }
    if (item->type != PACK_EXT) {
        return item->type != PACK_FLOAT; /* infinite: of nothing; no number: of anything */
    }
    if (item->ext != PACK_EXT_NUMBER || !json_number_is(item->text)) {
        return true;
    }
    if (!schema_spend(run, item->text.len / 8)) {
        return false;
    }
    struct digits digits = digits_of(item->text);
    int64_t power = digits.exponent - of->exponent;
    uint64_t rest = 0;
    for (size_t i = 0; i < digits.text.len; i++) {
        if (digits.text.ptr[i] != '.') {
            wide next = (wide)rest * 10 + (unsigned)(digits.text.ptr[i] - '0');
            rest = (uint64_t)(next % of->digits);
        }
    }
    return power >= 0 && scale(rest, (uint64_t)power, of->digits) == 0;
}

/* The digits at `at` and behind it without a point. */
static size_t skip_point(struct slice text, size_t at)
{
    return at + (at < text.len && text.ptr[at] == '.');
}

bool schema_same_number(struct slice a, struct slice b)
{
    struct digits x = digits_of(a);
    struct digits y = digits_of(b);
    bool has_same_sign = (a.ptr[0] == '-') == (b.ptr[0] == '-');
    if (x.count != y.count || x.exponent != y.exponent || (x.count && !has_same_sign)) {
        return false;
    }
    size_t i = 0;
    size_t k = 0;
    for (uint64_t left = x.count; left; left--) {
        i = skip_point(x.text, i);
        k = skip_point(y.text, k);
        if (x.text.ptr[i++] != y.text.ptr[k++]) {
            return false;
        }
    }
    return true;
}

uint64_t schema_number_hash(struct slice text)
{
    struct digits digits = digits_of(text);
    uint64_t hash = (uint64_t)digits.exponent + digits.count;
    for (size_t i = 0; i < digits.text.len; i++) {
        if (digits.text.ptr[i] != '.') {
            hash = hash * 31 + (unsigned char)digits.text.ptr[i];
        }
    }
    return map_hash(&hash, sizeof hash);
}
