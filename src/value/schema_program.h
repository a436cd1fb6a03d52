/* SPDX-License-Identifier: MIT */
/*
 * schema_program.h - what a schema is compiled to. Inside value/ only.
 *
 * A program is nodes that point to one another, all in one arena. A node says which types fit and
 * has a part for each kind of value that it says more about; a missing part allows everything.
 * Keywords that apply other schemas to the same value ("in place") are the part `logic`: their
 * chains are finite and short, checked when compiling, so that a check recurses only as deep as
 * the value does, times SCHEMA_CHAIN_MAX.
 */
#ifndef VALUE_SCHEMA_PROGRAM_H
#define VALUE_SCHEMA_PROGRAM_H

#include "base/mem.h"
#include "base/slice.h"
#include "value/pack.h"

#include <stdbool.h>
#include <stdint.h>

#define SCHEMA_BYTES_MAX    ((size_t)4 << 20)
#define SCHEMA_NODES_MAX    20000u
#define SCHEMA_CHAIN_MAX    32u
#define SCHEMA_REQUIRED_MAX 512u
#define SCHEMA_DEPTH_MAX    512u /* of nested checks */

enum {
    SCHEMA_NULL = 1,
    SCHEMA_BOOLEAN = 2,
    SCHEMA_INTEGER = 4, /* a whole number, however written */
    SCHEMA_NUMBER = 8,
    SCHEMA_STRING = 16,
    SCHEMA_ARRAY = 32,
    SCHEMA_OBJECT = 64,
    SCHEMA_NEVER = 128 /* alone: no value has this type, so nothing fits */
};

/* A number, compared exactly: a whole one by sign and magnitude, else by its double. */
struct schema_number {
    bool is_whole, is_negative;
    uint64_t magnitude;
    double real;
};

/* A number as digits * 10^exponent, exactly. */
struct schema_decimal {
    uint64_t digits; /* without trailing zeros; 0 is 0 */
    int64_t exponent;
};

struct schema_pattern;

struct schema_list {
    const struct schema_node **at;
    uint32_t count;
};

/* What an object must have, or be, if it has the member `name`. */
struct schema_dependent {
    struct slice name;
    struct slice *required;
    uint32_t count;
    const struct schema_node *node; /* NULL: anything */
};

/* A schema for the members that no other keyword says anything about. */
struct schema_rest {
    const struct schema_node *node; /* NULL: anything */
};

struct schema_logic {
    struct schema_list all_of; /* $ref and $dynamicRef are of them */
    struct schema_list any_of, one_of;
    const struct schema_node *not_, *if_, *then_, *else_;
    struct schema_dependent *dependents;
    uint32_t dependent_count;
    const struct schema_rest *unevaluated_properties, *unevaluated_items; /* NULL: not said */
};

struct schema_values {
    struct pack_item *items; /* a scalar is compared by its item, */
    struct slice *bytes;     /* anything else by its bytes */
    uint32_t count;
    bool is_const;
};

struct schema_numbers {
    int64_t low, high; /* what the limits mean for an int64_t; none is between if it has to be a
                          multiple, too */
    bool has_least, has_most, has_above, has_below;
    struct schema_number least, most, above, below;
    const struct schema_decimal *multiple; /* NULL: of anything */
};

struct schema_strings {
    uint64_t least, most;
    const struct schema_pattern *pattern; /* NULL: none */
};

struct schema_contains {
    const struct schema_node *node;
    uint64_t least, most;
};

struct schema_arrays {
    uint64_t least, most;
    struct schema_list prefix;
    const struct schema_node *items; /* behind the prefix; NULL: anything */
    const struct schema_contains *contains;
    bool is_unique;
    bool is_rare;   /* unique, or contains something */
    bool has_items; /* says something about all items, if only that anything fits */
};

#define SCHEMA_SHORT    31u /* bytes of a text whose header is one byte */
#define SCHEMA_OPTIONAL UINT16_MAX

/* A name that an object's schema knows: of a property, a required one, or both. */
struct schema_field {
    uint64_t head; /* the first eight bytes, zero behind a shorter name */
    struct slice name;
    const struct schema_node *node;
    const struct schema_field *next; /* as the schema names them; NULL: none */
    uint32_t place;                  /* in that order, while compiling */
    uint64_t bit;                    /* of the first 64 required ones; 0: none */
    uint16_t required;               /* its number, or SCHEMA_OPTIONAL */
    bool is_property;                /* if not, it is an additional one */
};

/* What fewer objects have: members by pattern, and a schema for the names themselves. */
struct schema_matched {
    const struct schema_pattern *pattern;
    const struct schema_node *node; /* NULL: anything */
};

struct schema_names {
    struct schema_matched *matched;
    uint32_t count;
    const struct schema_node *every; /* of which every name is a value; NULL: anything */
};

struct schema_objects {
    uint64_t least, most;
    struct schema_field *fields;      /* by length, then bytes */
    const struct schema_field *first; /* that the schema names */
    uint32_t count;
    uint32_t required;                    /* how many */
    uint64_t required_bits;               /* of the first 64 */
    const struct schema_node *additional; /* NULL: anything */
    const struct schema_names *names;     /* NULL: none of this */
    bool has_additional; /* says something about all others, if only that anything fits */
    bool is_rare;        /* has names, or requires more than 64 */
};

struct schema_node {
    uint8_t types; /* 0: any */
    uint8_t chain; /* longest chain of in-place schemas from here; while compiling a mark too */
    /* A short text (SCHEMA_SHORT) of `text_from` bytes, or of up to `text_span` - 1 more, fits
     * whatever it says. */
    uint8_t text_from, text_span;
    bool has_rest; /* logic says unevaluatedProperties or unevaluatedItems */
    const struct schema_logic *logic;
    const struct schema_values *values;
    const struct schema_numbers *numbers;
    const struct schema_strings *strings;
    const struct schema_arrays *arrays;
    const struct schema_objects *objects;
};

struct schema {
    struct arena arena;
    const struct schema_node *root;
    struct schema_pattern *patterns; /* each regular expression once */
};

extern const struct schema_node schema_anything, schema_nothing;

#endif
