/* SPDX-License-Identifier: MIT */
/* decimal.h - between decimal digits and doubles, correctly rounded both ways. Inside value/
 * only. */
#ifndef VALUE_DECIMAL_H
#define VALUE_DECIMAL_H

#include <stdint.h>

/* digits * 10^exponent; no trailing zero in the digits unless they are 0. */
struct decimal {
    uint64_t digits;
    int32_t exponent;
};

#define DECIMAL_DIGITS_MAX 17

uint32_t decimal_count(uint64_t digits); /* of decimal digits; 0 for 0 */
struct decimal decimal_strip(struct decimal value);

/* The nearest double, ties to even; infinite if it is too large. At most 17 digits, exponent
 * within +-400. */
double decimal_to_double(struct decimal value);

/* The first of 15, 16 and 17 significant digits that gives `value` back, stripped. `value` is
 * finite and positive. */
struct decimal decimal_of_double(double value);

#endif
