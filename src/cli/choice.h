/* SPDX-License-Identifier: MIT */
/*
 * choice.h - the values that a form's field offers, in any of the ways schemas write them.
 *
 * Life: points into the schema.
 */
#ifndef CLI_CHOICE_H
#define CLI_CHOICE_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct choices {
    uint32_t count;      /* 0: the field offers none */
    struct slice values; /* array: of the values, or of {const, title} */
    struct slice titles; /* array of texts beside `values`, or empty */
    bool is_titled;      /* `values` are {const, title} */
};

struct choices choices_of(struct slice property);

/* A numbered list. */
void choices_put(const struct choices *choices, struct buf *out);

/* From a value, a title or a number of the list; false: it is none of them. */
bool choices_read_one(const struct choices *choices, struct slice text, struct buf *out);

/* The same with commas between, as an array. */
bool choices_read_all(const struct choices *choices, struct slice text, struct buf *out);

#endif
