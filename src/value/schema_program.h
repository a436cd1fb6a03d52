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

/* Work that one check may do, in visits of a node, steps over a value, or steps of a regular
 * expression: some milliseconds for a small value. */
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
    int64_t low, high; /* what the limits mean for an int64_t */
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
    uint16_t required;               /* its bit, or SCHEMA_OPTIONAL */
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
    const struct schema_node *additional; /* NULL: anything */
    const struct schema_names *names;     /* NULL: none of this */
    bool has_additional; /* says something about all others, if only that anything fits */
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
    struct schema_pattern *patterns; /* each regular expression once */
};

extern const struct schema_node schema_anything, schema_nothing;

/* One check under way. */
struct schema_run {
    uint64_t work; /* left */
    uint32_t depth;
    bool is_exhausted;              /* sticky: nothing that was found counts then */
    struct schema_matcher *matcher; /* what matching patterns needs, made for the first one */
};

static inline bool schema_exhaust(struct schema_run *run)
{
    run->is_exhausted = true;
    run->work = 0; /* what is still to do ends soon */
    return false;
}

static inline bool schema_spend(struct schema_run *run, uint64_t work)
{
    if (__builtin_expect(run->work < work, 0)) {
        return schema_exhaust(run);
    }
    run->work -= work;
    return true;
}

void schema_run_start(struct schema_run *run, struct slice value);
void schema_run_end(struct schema_run *run);

/* Whether the value at the cursor fits; if so the cursor is behind it. */
bool schema_check(struct schema_run *run, const struct schema_node *node, struct pack *cursor);

/* Pieces of it that explaining needs too. */
bool schema_has_value(struct schema_run *run, const struct schema_values *values,
                      const struct pack_item *item, struct pack start);
bool schema_is_unique(struct schema_run *run, uint32_t count, struct pack cursor);
bool schema_skip(struct schema_run *run, struct pack *cursor);
uint64_t schema_text_length(const struct pack_item *item);
bool schema_text_matches(struct schema_run *run, const struct schema_pattern *pattern,
                         const struct pack_item *item);
const struct schema_field *schema_find_field(const struct schema_objects *objects,
                                             struct slice name);
uint8_t schema_type(const struct pack_item *item);

static inline bool schema_has_all(const uint64_t *seen, uint32_t required)
{
    for (; required >= 64; required -= 64) {
        if (~*seen++) {
            return false;
        }
    }
    return !required || *seen == ((uint64_t)1 << required) - 1;
}

/* schema_check_rare.c: keywords that few schemas use. `count` and `cursor` are of an array or
 * object, behind its header. */
bool schema_check_named(struct schema_run *run, const struct schema_objects *objects,
                        uint32_t count, struct pack *cursor);
uint64_t schema_count_contained(struct schema_run *run, const struct schema_contains *contains,
                                uint32_t count, struct pack cursor);
bool schema_find_member(struct schema_run *run, uint32_t count, struct pack cursor,
                        struct slice name, struct pack *ret);
bool schema_check_dependent(struct schema_run *run, const struct schema_dependent *dependent,
                            struct pack start);
bool schema_check_unevaluated(struct schema_run *run, const struct schema_node *node,
                              struct pack start);

/* Which members of a value are evaluated: a bit for each. */
struct schema_marks {
    uint64_t *bits;
    uint32_t count;
    uint64_t few[4];
};

/* Marks what the keywords of `node`, which fits the value, and of the schemas it applies in
 * place evaluate, its own unevaluatedItems and unevaluatedProperties left out. False if there
 * is no memory, or the work is exhausted. Ended by schema_marks_done in any case. */
bool schema_mark(struct schema_run *run, const struct schema_node *node, struct pack start,
                 struct schema_marks *ret);
void schema_marks_done(struct schema_marks *marks);

static inline bool schema_is_marked(const struct schema_marks *marks, uint32_t place)
{
    return marks->bits[place / 64] >> (place % 64) & 1;
}

/* schema_value.c: values as JSON sees them: 1 is 1.0, the order of keys does not matter. */
bool schema_number_of(const struct pack_item *item, struct schema_number *ret);
int schema_number_compare(const struct schema_number *a, const struct schema_number *b);

/* schema_multiple.c. False if the item is no number, or has more than 19 digits. */
bool schema_decimal_of(const struct pack_item *item, struct schema_decimal *ret);
bool schema_is_multiple(struct schema_run *run, const struct pack_item *item,
                        const struct schema_decimal *of);
bool schema_equal(struct schema_run *run, struct pack a, struct pack b);
uint64_t schema_hash(struct pack *cursor);

#endif
