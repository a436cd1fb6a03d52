/* SPDX-License-Identifier: MIT */
/*
 * decimal.c - between decimal digits and doubles.
 *
 * A power of ten is known to 128 bits, a product with it to all but its last few units: where that
 * decides the rounding it is right, and where it does not (once in 2^60, or at an exact tie) the C
 * library is asked, in a way that no locale can change.
 */
#include "value/decimal.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

/* mantissa * 2^exponent, with the mantissa's highest bit set; too small by less than UNITS of the
 * mantissa. */
struct scaled {
    wide mantissa;
    int exponent;
};

#define UNITS    16

#define STEP     27 /* between the powers of the table; 5^26 fits 64 bits */
#define STEP_LOW (-13)

static const struct {
    uint64_t high, low;
    int exponent;
} steps[] = {
    {0x8049a4ac0c5811aeu, 0x205b896d777d6278u, -1293}, /* 1e-351 */
    {0xcf42894a5dce35eau, 0x52064cac828675b9u, -1204}, /* 1e-324 */
    {0xa76c582338ed2621u, 0xaf2af2b80af6f24eu, -1114}, /* 1e-297 */
    {0x873e4f75e2224e68u, 0x5a7744a6e804a291u, -1024}, /* 1e-270 */
    {0xda7f5bf590966848u, 0xaf39a475506a899eu, -935},  /* 1e-243 */
    {0xb080392cc4349decu, 0xbd8d794d96aacfb3u, -845},  /* 1e-216 */
    {0x8e938662882af53eu, 0x547eb47b7282ee9cu, -755},  /* 1e-189 */
    {0xe65829b3046b0afau, 0x0cb4a5a3112a5112u, -666},  /* 1e-162 */
    {0xba121a4650e4ddebu, 0x92f34d62616ce413u, -576},  /* 1e-135 */
    {0x964e858c91ba2655u, 0x3a6a07f8d510f86fu, -486},  /* 1e-108 */
    {0xf2d56790ab41c2a2u, 0xfae27299423fb9c3u, -397},  /* 1e-81 */
    {0xc428d05aa4751e4cu, 0xaa97e14c3c26b886u, -307},  /* 1e-54 */
    {0x9e74d1b791e07e48u, 0x775ea264cf55347du, -217},  /* 1e-27 */
    {0x8000000000000000u, 0x0000000000000000u, -127},  /* 1e0 */
    {0xcecb8f27f4200f3au, 0x0000000000000000u, -38},   /* 1e27 */
    {0xa70c3c40a64e6c51u, 0x999090b65f67d924u, 52},    /* 1e54 */
    {0x86f0ac99b4e8dafdu, 0x69a028bb3ded71a3u, 142},   /* 1e81 */
    {0xda01ee641a708de9u, 0xe80e6f4820cc9495u, 231},   /* 1e108 */
    {0xb01ae745b101e9e4u, 0x5ec05dcff72e7f8fu, 321},   /* 1e135 */
    {0x8e41ade9fbebc27du, 0x14588f13be847307u, 411},   /* 1e162 */
    {0xe5d3ef282a242e81u, 0x8f1668c8a86da5fau, 500},   /* 1e189 */
    {0xb9a74a0637ce2ee1u, 0x6d953e2bd7173692u, 590},   /* 1e216 */
    {0x95f83d0a1fb69cd9u, 0x4abdaf101564f98eu, 680},   /* 1e243 */
    {0xf24a01a73cf2dccfu, 0xbc633b39673c8cecu, 769},   /* 1e270 */
    {0xc3b8358109e84f07u, 0x0a862f80ec4700c8u, 859},   /* 1e297 */
};

#define STEPS ((int)(sizeof steps / sizeof *steps))

static const uint64_t fives[STEP] = {1,
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
                                     1490116119384765625};

static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

#define TENS_EXACT     22
#define MANTISSA_BITS  53
#define MANTISSA_LIMIT ((uint64_t)1 << MANTISSA_BITS)
#define MANTISSA_LEAST (MANTISSA_LIMIT / 2)
#define FIELD_BITS     (MANTISSA_BITS - 1)
#define EXPONENT_BIAS  1023
#define EXPONENT_TOP   2047

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

/* ---- products of 128 bits --------------------------------------------------------------- */

static struct scaled multiply(struct scaled a, uint64_t factor)
{
    int zeros = __builtin_clzll(factor);
    factor <<= zeros;
    wide low = (wide)(uint64_t)a.mantissa * factor;
    wide product = (wide)(uint64_t)(a.mantissa >> 64) * factor + (low >> 64);
    a.exponent += 64 - zeros;
    if (!(product >> 127)) {
        product = product << 1 | (uint64_t)low >> 63;
        a.exponent--;
    }
    a.mantissa = product;
    return a;
}

static bool power_of_ten(int power, struct scaled *ret)
{
    int step = (power + 2 * STEP * -STEP_LOW) / STEP + 2 * STEP_LOW; /* rounds down */
    int rest = power - step * STEP;
    int index = step - STEP_LOW;
    if (index < 0 || index >= STEPS) {
        return false;
    }
    struct scaled start = {(wide)steps[index].high << 64 | steps[index].low,
                           steps[index].exponent};
    *ret = rest ? multiply(start, fives[rest]) : start;
    ret->exponent += rest;
    return true;
}

/* ---- digits to double ------------------------------------------------------------------- */

static double by_libc(struct decimal value)
{
    char text[48]; /* no decimal point, so no locale matters */
    (void)snprintf(text, sizeof text, "%llue%d", (unsigned long long)value.digits,
                   value.exponent);
    return strtod(text, NULL);
}

double decimal_to_double(struct decimal value)
{
    int32_t power = value.exponent;
    if (value.digits <= MANTISSA_LIMIT && power >= -TENS_EXACT && power <= TENS_EXACT) {
        double digits = (double)value.digits; /* both exact, so one operation rounds once */
        return power < 0 ? digits / tens[-power] : digits * tens[power];
    }
    struct scaled scaled;
    if (!value.digits || !power_of_ten(power, &scaled)) {
        return by_libc(value);
    }
    scaled = multiply(scaled, value.digits);
    const int spare = 128 - MANTISSA_BITS;
    wide half = (wide)1 << (spare - 1);
    wide rest = scaled.mantissa & (2 * half - 1);
    uint64_t mantissa = (uint64_t)(scaled.mantissa >> spare);
    int field = scaled.exponent + spare + FIELD_BITS + EXPONENT_BIAS;
    if ((rest <= half && rest + UNITS >= half) || field < 1 || field >= EXPONENT_TOP - 1) {
        return by_libc(value);
    }
    /* A mantissa that is rounded up to the next power of two carries into the exponent. */
    uint64_t bits = ((uint64_t)(field - 1) << FIELD_BITS) + mantissa + (rest > half);
    double found;
    memcpy(&found, &bits, sizeof found);
    return found;
}

/* ---- double to digits ------------------------------------------------------------------- */

/* A double as (whole + rest / unit) * 10^-scale; `whole` has 17 or 18 digits. */
struct places {
    uint64_t whole;
    wide rest, unit;
    wide ulp;      /* what one unit in the double's last place is, in the same units */
    bool is_power; /* the mantissa is the least: the interval below is half as wide */
};

enum rounding { ROUNDING_FITS, ROUNDING_DIFFERS, ROUNDING_UNSURE };

static bool is_close(wide a, wide b)
{
    return (a > b ? a - b : b - a) <= (wide)8 * UNITS;
}

/* Drops digits: whether what is left still gives the double back. */
static inline enum rounding round_places(const struct places *places, uint64_t dropped,
                                         uint64_t *ret)
{
    wide unit = places->unit * dropped;
    wide rest = (places->whole % dropped) * places->unit + places->rest;
    uint64_t digits = places->whole / dropped;
    bool is_up = 2 * rest > unit;
    wide distance = is_up ? unit - rest : rest;
    wide reach = distance * (places->is_power && !is_up ? 4 : 2);
    *ret = digits + is_up;
    if (is_close(2 * rest, unit) || is_close(reach, places->ulp)) {
        return ROUNDING_UNSURE;
    }
    return reach < places->ulp ? ROUNDING_FITS : ROUNDING_DIFFERS;
}

/* The divisors are constants where they are used, for the compiler to multiply instead. */
static bool shortest(const struct places *places, int scale, struct decimal *ret)
{
    struct decimal found = {0, 2 - scale};
    enum rounding rounding = round_places(places, 100, &found.digits);
    if (rounding == ROUNDING_DIFFERS) {
        found.exponent = 1 - scale;
        rounding = round_places(places, 10, &found.digits);
    }
    if (rounding == ROUNDING_DIFFERS) {
        found.exponent = -scale;
        rounding = round_places(places, 1, &found.digits) == ROUNDING_UNSURE ? ROUNDING_UNSURE
                                                                             : ROUNDING_FITS;
    }
    *ret = decimal_strip(found);
    return rounding == ROUNDING_FITS;
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

#define POW10_17 100000000000000000u

/* False where the places are not sure, or the value is too small for its full precision. */
static bool place_digits(uint64_t mantissa, int exponent, struct decimal *ret)
{
    /* floor(log10(2^x)): right, or one too small. */
    int power = ((exponent + FIELD_BITS) * 78913) >> 18;
    struct places places = {.is_power = mantissa == MANTISSA_LEAST};
    for (int scale = 16 - power; scale >= 15 - power; scale--) {
        struct scaled ten;
        if (!power_of_ten(scale, &ten)) {
            return false;
        }
        struct scaled value = multiply(ten, mantissa);
        value.exponent += exponent;
        int behind = -value.exponent; /* bits behind the point */
        places.whole = (uint64_t)(value.mantissa >> behind);
        if (places.whole >= POW10_17) {
            continue;
        }
        places.unit = (wide)1 << behind;
        places.rest = value.mantissa & (places.unit - 1);
        places.ulp = ten.mantissa >> -(ten.exponent + exponent + behind);
        return shortest(&places, scale, ret);
    }
    return false;
}

struct decimal decimal_of_double(double value)
{
    uint64_t bits;
    struct decimal found;
    if (value < (double)MANTISSA_LIMIT && value == floor(value)) {
        return decimal_strip((struct decimal){(uint64_t)value, 0});
    }
    memcpy(&bits, &value, sizeof bits);
    int field = (int)(bits >> FIELD_BITS);
    uint64_t mantissa = (bits & (MANTISSA_LEAST - 1)) | MANTISSA_LEAST;
    if (field && place_digits(mantissa, field - EXPONENT_BIAS - FIELD_BITS, &found)) {
        return found;
    }
    return shortest_by_libc(value);
}
