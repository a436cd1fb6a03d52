/* SPDX-License-Identifier: MIT */
/*
 * schema_run.h - a check under way: what is spent on it, and its pieces. Inside value/ only.
 *
 * Units:   work is visits of a node and steps over a value, and some nanoseconds each. A check may
 *          do SCHEMA_WORK_LEAST and SCHEMA_WORK_PER_BYTE for each byte of the value. Steps of
 *          regular expressions, some tens of nanoseconds each, have limits of their own, the
 *          last one absolute: 2 ms for a small value, some 100 ms for the largest. A check that needs
 *          more accepts nothing.
 */
#ifndef VALUE_SCHEMA_RUN_H
#define VALUE_SCHEMA_RUN_H

#include "value/schema_program.h"

#define SCHEMA_WORK_LEAST     100000u
#define SCHEMA_WORK_PER_BYTE  4u

#define SCHEMA_STEPS_LEAST    50000u
#define SCHEMA_STEPS_PER_BYTE 2u
#define SCHEMA_STEPS_MAX      2000000u

/* What plain schemas do not need is kept away from what they do. */
#define SCHEMA_RARE __attribute__((cold, noinline))

/* One check under way. */
struct schema_run {
    uint64_t work;  /* left */
    uint64_t steps; /* of regular expressions, left; given with the matcher */
    uint32_t depth;
    bool is_exhausted;              /* sticky: nothing that was found counts then */
    bool is_special;                /* exhausted, or has a matcher */
    struct schema_matcher *matcher; /* what matching patterns needs, made for the first one */
};

static inline bool schema_exhaust(struct schema_run *run)
{
    run->is_exhausted = true;
    run->is_special = true;
    run->work = 0; /* what is still to do ends soon */
    run->steps = 0;
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
SCHEMA_RARE void schema_run_end(struct schema_run *run);

/* Whether the value at the cursor fits; if so the cursor is behind it. */
bool schema_check(struct schema_run *run, const struct schema_node *node, struct pack *cursor);

/* Pieces of it that explaining needs too. */
bool schema_has_value(struct schema_run *run, const struct schema_values *values,
                      const struct pack_item *item, struct pack start);
bool schema_is_unique(struct schema_run *run, uint32_t count, struct pack cursor);
bool schema_skip(struct schema_run *run, struct pack *cursor);
uint64_t schema_text_length(const struct pack_item *item);
SCHEMA_RARE bool schema_text_matches(struct schema_run *run,
                                     const struct schema_pattern *pattern,
                                     const struct pack_item *item);
const struct schema_field *schema_find_field(const struct schema_objects *objects,
                                             struct slice name);
uint8_t schema_type(const struct pack_item *item);

/* schema_check_rare.c: keywords that few schemas use. `count` and `cursor` are of an array or
 * object, behind its header. */
SCHEMA_RARE bool schema_check_object_rare(struct schema_run *run,
                                          const struct schema_objects *objects, uint32_t count,
                                          struct pack *cursor);
SCHEMA_RARE uint64_t schema_count_contained(struct schema_run *run,
                                            const struct schema_contains *contains,
                                            uint32_t count, struct pack cursor);
SCHEMA_RARE bool schema_find_member(struct schema_run *run, uint32_t count, struct pack cursor,
                                    struct slice name, struct pack *ret);
SCHEMA_RARE bool schema_check_dependent(struct schema_run *run,
                                        const struct schema_dependent *dependent,
                                        struct pack start);

/* schema_evaluate.c: which members of a value are evaluated, a bit for each. */
struct schema_marks {
    uint64_t *bits;
    uint32_t count;
    uint64_t few[4];
};

/* As schema_check, for a node with has_rest and an array or object. */
SCHEMA_RARE bool schema_check_evaluating(struct schema_run *run, const struct schema_node *node,
                                         struct pack start, struct pack *cursor);

/* Whether the value fits, unevaluatedItems and unevaluatedProperties of the node itself left out;
 * then what it evaluates is marked. Ended by schema_marks_done in any case. */
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

/* schema_decimal.c. False if the item is no number, or has more than 19 digits. */
bool schema_decimal_of(const struct pack_item *item, struct schema_decimal *ret);
SCHEMA_RARE bool schema_is_multiple(struct schema_run *run, const struct pack_item *item,
                                    const struct schema_decimal *of);
bool schema_equal(struct schema_run *run, struct pack a, struct pack b);
uint64_t schema_hash(struct pack *cursor);

/* Of numbers as text, by JSON's grammar: whether they are the same, and a hash that is then the
 * same. */
bool schema_same_number(struct slice a, struct slice b);
uint64_t schema_number_hash(struct slice text);

#endif
