/* SPDX-License-Identifier: MIT */
/* json_number.c - reads and writes numbers of JSON text. */
#include "value/json_number.h"

#include "value/decimal.h"
#include "value/json_digits.h"

#include <math.h>

#define DIGITS_KEPT 19 /* always fit a uint64_t */

/* What a number's text says, collected in one pass. */
struct parts {
    uint64_t digits; /* the first DIGITS_KEPT significant ones */
    uint32_t count;  /* how many these are */
    int64_t exponent;
    uint32_t dropped; /* digits behind them, the first of which is `next` */
    uint32_t next;
    bool has_dropped_nonzero;
    bool is_negative;
    bool is_integer; /* by its grammar: neither fraction nor exponent */
};

static bool is_digit(const unsigned char *at, const unsigned char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

/* Digits past those that are kept; there is one at least. */
static const unsigned char *drop_digits(struct parts *parts, const unsigned char *at,
                                        const unsigned char *end, int step)
{
    const unsigned char *from = at;
    if (!parts->dropped) {
        parts->next = *at - (unsigned)'0';
    }
    while (end - at >= 8 && digits_count(digits_load(at)) == 8) {
        parts->has_dropped_nonzero |= digits_value(digits_load(at), 8) != 0;
        at += 8;
    }
    for (; is_digit(at, end); at++) {
        parts->has_dropped_nonzero |= *at != '0';
    }
    parts->dropped += (uint32_t)(at - from);
    parts->exponent += (step + 1) * (at - from);
    return at;
}

/* A run of digits; each moves the exponent by `step` if it is kept, by `step` + 1 if not. */
static const unsigned char *read_digits(struct parts *parts, const unsigned char *at,
                                        const unsigned char *end, int step)
{
    uint64_t digits = parts->digits;
    const unsigned char *from = at;
    if (!digits) {
        while (at < end && *at == '0') {
            at++;
        }
    }
    const unsigned char *first = at;
    const unsigned char *last =
        end - at > DIGITS_KEPT - (int)parts->count ? at + (DIGITS_KEPT - parts->count) : end;
    while (last - at >= 8 && digits_count(digits_load(at)) == 8) {
        digits = digits * 100000000 + digits_value(digits_load(at), 8);
        at += 8;
    }
    for (; is_digit(at, last); at++) {
        digits = digits * 10 + (*at - (unsigned)'0');
    }
    parts->digits = digits;
    parts->count += (uint32_t)(at - first);
    parts->exponent += step * (at - from);
    return is_digit(at, end) ? drop_digits(parts, at, end, step) : at;
}

/* Behind 'e'. Saturates far beyond what the digits of any text could make up for. */
static const unsigned char *read_exponent(struct parts *parts, const unsigned char *at,
                                          const unsigned char *end)
{
    bool is_negative = at < end && *at == '-';
    int64_t value = 0;
    if (at < end && (*at == '-' || *at == '+')) {
        at++;
    }
    for (; is_digit(at, end); at++) {
        if (value < 1000000000000) {
            value = value * 10 + (*at - '0');
        }
    }
    parts->exponent += is_negative ? -value : value;
    return at;
}

/* False if it is no number; *ret_end is behind it, or at the byte that is wrong. */
static bool read_parts(const unsigned char *at, const unsigned char *end, struct parts *parts,
                       const unsigned char **ret_end)
{
    *parts = (struct parts){.is_integer = true, .is_negative = at < end && *at == '-'};
    at += parts->is_negative;
    const unsigned char *from = at;
    at = read_digits(parts, at, end, 0);
    *ret_end = at;
    if (at == from) {
        return false;
    }
    if (*from == '0' && at != from + 1) {
        *ret_end = from + 1;
        return false;
    }
    if (at < end && *at == '.') {
        parts->is_integer = false;
        from = at + 1;
        *ret_end = at = read_digits(parts, from, end, -1);
        if (at == from) {
            return false;
        }
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        parts->is_integer = false;
        *ret_end = at = read_exponent(parts, at + 1, end);
        return at[-1] >= '0' && at[-1] <= '9';
    }
    return true;
}

static bool as_integer(const struct parts *parts, struct json_number *ret)
{
    uint64_t value = parts->digits;
    if (parts->dropped > 1 ||
        (parts->dropped && (__builtin_mul_overflow(value, 10u, &value) ||
                            __builtin_add_overflow(value, parts->next, &value)))) {
        return false;
    }
    if (!parts->is_negative) {
        ret->kind = JSON_NUMBER_UINT;
        ret->u = value;
        return true;
    }
    if (value == 0 || value > (uint64_t)INT64_MAX + 1) {
        return false; /* -0 is a float's */
    }
    ret->kind = JSON_NUMBER_INT;
    ret->i = (int64_t)(0 - value);
    return true;
}

static bool survives(struct decimal wanted, uint32_t count, double found)
{
    int64_t magnitude = (int64_t)wanted.exponent + count;
    if (count <= 15 && magnitude > -306 && magnitude < 308) {
        return true; /* a double holds any 15 digits, where it has its full precision */
    }
    if (!isfinite(found) || found == 0) {
        return false;
    }
    wanted = decimal_strip(wanted);
    struct decimal digits = decimal_of_double(found);
    return digits.digits == wanted.digits && digits.exponent == wanted.exponent;
}

static bool as_float(const struct parts *parts, struct json_number *ret)
{
    double value = 0;
    if (parts->has_dropped_nonzero) {
        return false;
    }
    if (parts->digits) {
        if (parts->exponent < -400 || parts->exponent > 400) {
            return false;
        }
        struct decimal wanted = {parts->digits, (int32_t)parts->exponent};
        uint32_t count = parts->count;
        if (count > 15) {
            wanted = decimal_strip(wanted);
            count = decimal_count(wanted.digits);
        }
        if (count > DECIMAL_DIGITS_MAX) {
            return false;
        }
        value = decimal_to_double(wanted);
        if (!survives(wanted, count, value)) {
            return false;
        }
    }
    ret->kind = JSON_NUMBER_FLOAT;
    ret->f = parts->is_negative ? -value : value;
    return true;
}

void json_number_read(const unsigned char *at, const unsigned char *end,
                      struct json_number *ret)
{
    struct parts parts;
    if (!read_parts(at, end, &parts, &ret->end)) {
        ret->kind = JSON_NUMBER_BAD;
        return;
    }
    if (parts.is_integer && as_integer(&parts, ret)) {
        return;
    }
    if (!as_float(&parts, ret)) {
        ret->kind = JSON_NUMBER_TEXT;
    }
}

bool json_number_is(struct slice text)
{
    const unsigned char *at = (const unsigned char *)text.ptr;
    const unsigned char *end;
    struct parts parts;
    return text.len && read_parts(at, at + text.len, &parts, &end) && end == at + text.len;
}

static char *put_digits(char *to, uint64_t digits, uint32_t count)
{
    for (uint32_t i = count; i; digits /= 10) {
        to[--i] = (char)('0' + digits % 10);
    }
    return to + count;
}

static char *put_zeros(char *to, uint32_t count)
{
    memset(to, '0', count);
    return to + count;
}

/* d.ddde-7 */
static char *put_scientific(char *to, uint64_t digits, uint32_t count, int32_t power)
{
    char *first = to++;
    to = put_digits(to, digits, count);
    *first = first[1];
    first[1] = '.';
    if (count == 1) {
        to = first + 1;
    }
    *to++ = 'e';
    if (power < 0) {
        *to++ = '-';
        power = -power;
    }
    return put_digits(to, (uint64_t)power, power >= 100 ? 3 : power >= 10 ? 2 : 1);
}

#define PLAIN_DIGITS 17 /* more places before the point, and it is written with an exponent */
#define PLAIN_ZEROS  5  /* likewise zeros behind it */

size_t json_number_write(double value, char text[JSON_NUMBER_TEXT_BYTES])
{
    char *to = text;
    if (signbit(value)) {
        *to++ = '-';
        value = -value;
    }
    if (value == 0) {
        *to++ = '0';
        *to++ = '.';
        *to++ = '0';
        return (size_t)(to - text);
    }
    struct decimal decimal = decimal_of_double(value);
    uint32_t count = decimal_count(decimal.digits);
    int32_t point = (int32_t)count + decimal.exponent; /* digits before it */
    if (point > PLAIN_DIGITS || point < -PLAIN_ZEROS) {
        to = put_scientific(to, decimal.digits, count, point - 1);
    } else if (decimal.exponent >= 0) {
        to = put_digits(to, decimal.digits, count);
        to = put_zeros(to, (uint32_t)decimal.exponent);
        *to++ = '.';
        *to++ = '0';
    } else if (point > 0) {
        to = put_digits(to, decimal.digits, count) + 1;
        uint32_t behind = (uint32_t)-decimal.exponent;
        memmove(to - behind, to - 1 - behind, behind);
        to[-1 - (int32_t)behind] = '.';
    } else {
        *to++ = '0';
        *to++ = '.';
        to = put_zeros(to, (uint32_t)-point);
        to = put_digits(to, decimal.digits, count);
    }
    return (size_t)(to - text);
}
