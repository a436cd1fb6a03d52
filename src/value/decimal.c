/* SPDX-License-Identifier: MIT */
/* decimal.c - between decimal digits and doubles: exact integers where they reach, libc beyond. */
#include "value/decimal.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

/* 5^27 is the largest that fits 63 bits. */
#define FIVES 27

static const uint64_t fives[FIVES + 1] = {1,
                                          5,
                                          25,
                                          125,
                                          625,
                                          3125,
                                          15625,
                                          78125,
                                          390625,
                                          1953125,
                                          9765625,
                                          48828125,
                                          244140625,
                                          1220703125,
                                          6103515625,
                                          30517578125,
                                          152587890625,
                                          762939453125,
                                          3814697265625,
                                          19073486328125,
                                          95367431640625,
                                          476837158203125,
                                          2384185791015625,
                                          11920928955078125,
                                          59604644775390625,
                                          298023223876953125,
                                          1490116119384765625,
                                          7450580596923828125};

static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

#define TENS_EXACT     22
#define MANTISSA_BITS  53
#define MANTISSA_LIMIT ((uint64_t)1 << MANTISSA_BITS)
#define MANTISSA_LEAST (MANTISSA_LIMIT / 2)
#define EXPONENT_BIAS  1023
#define POW10_16       10000000000000000u
#define POW10_17       100000000000000000u

uint32_t decimal_count(uint64_t digits)
{
    uint32_t count = 0;
    for (; digits >= 10000; digits /= 10000) {
        count += 4;
    }
    for (; digits; digits /= 10) {
        count++;
    }
    return count;
}

struct decimal decimal_strip(struct decimal value)
{
    if (!value.digits) {
        return (struct decimal){0, 0};
    }
    while (value.digits % 100000000 == 0) {
        value.digits /= 100000000;
        value.exponent += 8;
    }
    while (value.digits % 10 == 0) {
        value.digits /= 10;
        value.exponent++;
    }
    return value;
}

static double power_of_two(int exponent)
{
    uint64_t bits = (uint64_t)(exponent + EXPONENT_BIAS) << (MANTISSA_BITS - 1);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* top * 2^exponent, where `top` has its highest or second highest bit set and `has_more` says that
 * something between top and top + 1 is meant. */
static double round_to_double(uint64_t top, int exponent, bool has_more)
{
    unsigned shift = (unsigned)(64 - MANTISSA_BITS) - (top >> 63 ? 0u : 1u);
    uint64_t half = (uint64_t)1 << (shift - 1);
    uint64_t rest = top & (2 * half - 1);
    uint64_t mantissa = top >> shift;
    if (rest > half || (rest == half && (has_more || (mantissa & 1)))) {
        mantissa++;
    }
    return (double)mantissa * power_of_two(exponent + (int)shift);
}

static double divide_exactly(uint64_t digits, unsigned tens_below)
{
    uint64_t five = fives[tens_below];
    int digits_zeros = __builtin_clzll(digits);
    int five_zeros = __builtin_clzll(five);
    wide number = (wide)(digits << digits_zeros) << 63;
    uint64_t divisor = five << five_zeros;
    uint64_t quotient = (uint64_t)(number / divisor);
    bool has_more = (wide)quotient * divisor != number;
    int exponent = five_zeros - digits_zeros - 63 - (int)tens_below;
    return round_to_double(quotient, exponent, has_more);
}

static double multiply_exactly(uint64_t digits, unsigned tens_above)
{
    wide product = (wide)digits * fives[tens_above];
    uint64_t high = (uint64_t)(product >> 64);
    int zeros = high ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)product);
    product <<= zeros;
    return round_to_double((uint64_t)(product >> 64), 64 - zeros + (int)tens_above,
                           (uint64_t)product != 0);
}

double decimal_to_double(struct decimal value)
{
    int32_t exponent = value.exponent;
    if (value.digits <= MANTISSA_LIMIT && exponent >= -TENS_EXACT && exponent <= TENS_EXACT) {
        double digits = (double)value.digits; /* both exact, so one operation rounds once */
        return exponent < 0 ? digits / tens[-exponent] : digits * tens[exponent];
    }
    if (exponent < 0 && exponent >= -FIVES) {
        return divide_exactly(value.digits, (unsigned)-exponent);
    }
    if (exponent >= 0 && exponent <= FIVES) {
        return multiply_exactly(value.digits, (unsigned)exponent);
    }
    char text[48]; /* no decimal point, so no locale matters */
    (void)snprintf(text, sizeof text, "%llue%d", (unsigned long long)value.digits, exponent);
    return strtod(text, NULL);
}

/* A double as whole * 10^-scale + remainder / unit, all of it exact: `whole` has 17 digits. */
struct scaled {
    uint64_t whole;
    wide remainder, unit;
    wide ulp;      /* one unit in the last place of the double, in the same unit */
    bool is_even;  /* the mantissa: the ends of its interval belong to it */
    bool is_power; /* the mantissa is the least: the interval below is half as wide */
};

static bool scale_up(uint64_t mantissa, int exponent, int scale, struct scaled *ret)
{
    int shift = -(exponent + scale);
    wide product = (wide)mantissa * fives[scale];
    ret->ulp = fives[scale];
    ret->unit = 1;
    ret->remainder = 0;
    if (shift <= 0) {
        ret->ulp <<= -shift;
        ret->whole = (uint64_t)(product << -shift);
        return true;
    }
    if (shift > 63) {
        return false;
    }
    ret->unit = (wide)1 << shift;
    ret->whole = (uint64_t)(product >> shift);
    ret->remainder = product & (ret->unit - 1);
    return true;
}

static void scale_down(uint64_t mantissa, int exponent, int scale, struct scaled *ret)
{
    ret->ulp = (wide)1 << (exponent - scale);
    ret->unit = fives[scale];
    wide number = mantissa * ret->ulp;
    ret->whole = (uint64_t)(number / ret->unit);
    ret->remainder = number - ret->whole * ret->unit;
}

/* Rounds to 17 - dropped digits; true if what comes out lies in the double's interval. */
static bool round_scaled(const struct scaled *scaled, uint64_t dropped, uint64_t *ret)
{
    wide unit = scaled->unit * dropped;
    wide rest = (scaled->whole % dropped) * scaled->unit + scaled->remainder;
    uint64_t digits = scaled->whole / dropped;
    bool is_up = 2 * rest > unit || (2 * rest == unit && (digits & 1));
    wide distance = is_up ? unit - rest : rest;
    wide reach = distance * (scaled->is_power && !is_up ? 4 : 2);
    *ret = digits + is_up;
    return reach < scaled->ulp || (reach == scaled->ulp && scaled->is_even);
}

static struct decimal shortest(const struct scaled *scaled, int scale)
{
    uint64_t digits;
    if (round_scaled(scaled, 100, &digits)) {
        return decimal_strip((struct decimal){digits, 2 - scale});
    }
    if (round_scaled(scaled, 10, &digits)) {
        return decimal_strip((struct decimal){digits, 1 - scale});
    }
    (void)round_scaled(scaled, 1, &digits);
    return decimal_strip((struct decimal){digits, -scale});
}

static struct decimal shortest_by_libc(double value)
{
    struct decimal found = {0, 0};
    for (int precision = 14; precision <= 16; precision++) {
        char text[48];
        (void)snprintf(text, sizeof text, "%.*e", precision, value);
        const char *at = text;
        found = (struct decimal){0, -precision};
        for (; *at != 'e'; at++) {
            if (*at >= '0' && *at <= '9') { /* not the locale's decimal point */
                found.digits = found.digits * 10 + (uint64_t)(*at - '0');
            }
        }
        found.exponent += (int32_t)strtol(at + 1, NULL, 10);
        found = decimal_strip(found);
        if (decimal_to_double(found) == value) {
            break;
        }
    }
    return found;
}

struct decimal decimal_of_double(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t mantissa = (bits & (MANTISSA_LEAST - 1)) | MANTISSA_LEAST;
    int exponent = (int)(bits >> (MANTISSA_BITS - 1)) - EXPONENT_BIAS - (MANTISSA_BITS - 1);
    /* floor(log10(2^x)) for the x in question; one too small for some values, hence the loop. */
    int power = ((exponent + MANTISSA_BITS - 1) * 78913) >> 18;
    struct scaled scaled = {.is_even = (mantissa & 1) == 0,
                            .is_power = mantissa == MANTISSA_LEAST};
    for (int scale = 16 - power; scale >= 15 - power; scale--) {
        if (scale > FIVES || scale < -FIVES) {
            break;
        }
        if (scale < 0) {
            scale_down(mantissa, exponent, -scale, &scaled);
        } else if (!scale_up(mantissa, exponent, scale, &scaled)) {
            break;
        }
        if (scaled.whole < POW10_17) {
            return shortest(&scaled, scale);
        }
    }
    return shortest_by_libc(value);
}
