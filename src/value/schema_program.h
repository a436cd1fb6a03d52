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

/* Work that one check may do, in visits of a node or steps over a value. */
#define SCHEMA_WORK_LEAST    100000u
#define SCHEMA_WORK_PER_BYTE 4u

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

struct schema_list {
    const struct schema_node **at;
    uint32_t count;
};

struct schema_logic {
    struct schema_list all_of; /* $ref is one of them */
    struct schema_list any_of, one_of;
    const struct schema_node *not_, *if_, *then_, *else_;
};

struct schema_values {
    struct pack_item *items; /* a scalar is compared by its item, */
    struct slice *bytes;     /* anything else by its bytes */
    uint32_t count;
    bool is_const;
};

struct schema_numbers {
    int64_t low, high; /* what the limits mean for an int64_t */
    bool has_least, has_most, has_above, has_below;
    struct schema_number least, most, above, below;
};

struct schema_strings {
    uint64_t least, most;
};

struct schema_arrays {
    uint64_t least, most;
    struct schema_list prefix;
    const struct schema_node *items; /* behind the prefix; NULL: anything */
    bool is_unique;
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
    uint16_t required;               /* its bit, or SCHEMA_OPTIONAL */
    bool is_property;                /* if not, it is an additional one */
};

struct schema_objects {
    uint64_t least, most;
    struct schema_field *fields;      /* by length, then bytes */
    const struct schema_field *first; /* that the schema names */
    uint32_t count;
    uint32_t required;                    /* how many */
    const struct schema_node *additional; /* NULL: anything */
};

struct schema_node {
    uint8_t types; /* 0: any */
    uint8_t chain; /* longest chain of in-place schemas from here; while compiling a mark too */
    /* A short text (SCHEMA_SHORT) of `text_from` bytes, or of up to `text_span` - 1 more, fits
     * whatever it says. */
    uint8_t text_from, text_span;
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
};

extern const struct schema_node schema_anything, schema_nothing;

/* One check under way. */
struct schema_run {
    uint64_t work; /* left */
    uint32_t depth;
    bool is_exhausted; /* sticky: nothing that was found counts then */
};

static inline bool schema_spend(struct schema_run *run, uint64_t work)
{
    if (__builtin_expect(run->work < work, 0)) {
        run->is_exhausted = true;
        return false;
    }
    run->work -= work;
    return true;
}

void schema_run_start(struct schema_run *run, struct slice value);

/* Whether the value at the cursor fits; if so the cursor is behind it. */
bool schema_check(struct schema_run *run, const struct schema_node *node, struct pack *cursor);

/* Pieces of it that explaining needs too. */
bool schema_has_value(struct schema_run *run, const struct schema_values *values,
                      const struct pack_item *item, struct pack start);
bool schema_is_unique(struct schema_run *run, uint32_t count, struct pack cursor);
uint64_t schema_text_length(const struct pack_item *item);
const struct schema_field *schema_find_field(const struct schema_objects *objects,
                                             struct slice name);
uint8_t schema_type(const struct pack_item *item);

/* schema_value.c: values as JSON sees them: 1 is 1.0, the order of keys does not matter. */
bool schema_number_of(const struct pack_item *item, struct schema_number *ret);
int schema_number_compare(const struct schema_number *a, const struct schema_number *b);
bool schema_equal(struct schema_run *run, struct pack a, struct pack b);
uint64_t schema_hash(struct pack *cursor);

#endif
