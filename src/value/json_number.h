/* SPDX-License-Identifier: MIT */
/*
 * json_number.h - numbers of JSON text and the doubles they become, exactly. Inside value/ only.
 *
 * Rule: a number survives if it comes back digit for digit; whether one does is decided here.
 */
#ifndef VALUE_JSON_NUMBER_H
#define VALUE_JSON_NUMBER_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum json_number_kind {
    JSON_NUMBER_BAD,  /* not JSON's grammar: `end` is at the byte that is wrong */
    JSON_NUMBER_UINT, /* `u` */
    JSON_NUMBER_INT,  /* `i`, negative */
    JSON_NUMBER_FLOAT,
    JSON_NUMBER_TEXT /* nothing holds it: its text is what it is */
};

struct json_number {
    enum json_number_kind kind;
    const unsigned char *end; /* behind the number */
    union {
        uint64_t u;
        int64_t i;
        double f;
    };
};

/* Reads the number that begins at `at`; at < end. Stops at the first byte that cannot belong to
 * it. */
void json_number_read(const unsigned char *at, const unsigned char *end,
                      struct json_number *ret);

/* Whether the whole text is one number by JSON's grammar. */
bool json_number_is(struct slice text);

/* The shortest digits that give the finite double back, with ".0" or an exponent, so that it is
 * seen not to be an integer. Returns the length. */
#define JSON_NUMBER_TEXT_BYTES 32
size_t json_number_write(double value, char text[JSON_NUMBER_TEXT_BYTES]);

#endif
