/* SPDX-License-Identifier: MIT */
/*
 * schema_compiler.h - what lasts while a schema is compiled. Inside value/ only.
 *
 * Each schema in the document is a source, found by its place in the document, so that one that is
 * referred to twice is compiled once. Sources wait in a list: nothing recurses.
 * Errors:  the first failure is kept in the compiler and ends everything.
 */
#ifndef VALUE_SCHEMA_COMPILER_H
#define VALUE_SCHEMA_COMPILER_H

#include "base/err.h"
#include "base/map.h"
#include "value/schema_program.h"

/* Where a schema stands in its parent: "/keyword", "/keyword/key" or "/keyword/3". */
struct schema_step {
    const char *keyword;
    struct slice key;
    int32_t index; /* -1: none */
};

struct schema_source {
    struct schema_node *node;
    struct slice value;
    const struct schema_source *parent;
    struct schema_step step;
    struct schema_source *next;
};

struct schema_compiler {
    struct schema *schema;
    struct slice document;
    struct slice root_id;
    struct arena scratch;
    struct map by_place;
    struct schema_source *first, *last;
    uint32_t count;
    bool is_draft7;
    bool has_failed;
    uint64_t work; /* left for walking the document */
    struct err *reterr;
};

/* Zeroed memory of the program; NULL (and failed) when it grows too large. */
void *schema_take(struct schema_compiler *c, size_t size);

/* The first failure is told, with the place of `source`. Returns NULL. */
void *schema_fail(struct schema_compiler *c, const struct schema_source *source,
                  const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The node for the schema `value`, which will be compiled if it is new; NULL on failure. */
const struct schema_node *schema_want(struct schema_compiler *c,
                                      const struct schema_source *parent,
                                      struct schema_step step, struct slice value);

/* ---- one schema while its keywords are read --------------------------------------------- */

/* One schema while its keywords are read: the parts of its node, made when first needed. */
struct schema_draft {
    struct schema_compiler *c;
    struct schema_source *source;
    struct schema_node *node;
    struct schema_logic *logic;
    struct schema_numbers *numbers;
    struct schema_strings *strings;
    struct schema_arrays *arrays;
    struct schema_objects *objects;
    /* Keywords that only make sense together. */
    struct slice properties, required, additional_items;
    bool is_above, is_below; /* draft-04: the limits exclude themselves */
    bool has_patterns;       /* patternProperties: what they match is not known here */
    bool has_array_items;    /* the older form of prefixItems */
    const struct schema_node *additional;
};

typedef void schema_keyword_fn(struct schema_draft *d, const char *name, struct slice value);

static inline struct schema_step schema_step_of(const char *keyword)
{
    return (struct schema_step){keyword, {NULL, 0}, -1};
}

/* Fails with: "name" should be ... */
void schema_wrong(struct schema_draft *d, const char *name, const char *expected);

bool schema_read_count(struct schema_draft *d, const char *name, struct slice value,
                       uint64_t *ret);

/* Makes a list longer by `count` nodes, which the caller sets at *ret. */
bool schema_append(struct schema_compiler *c, struct schema_list *list, uint32_t count,
                   const struct schema_node ***ret);

/* Appends the schemas of an array to a list. */
void schema_want_list(struct schema_draft *d, const char *name, struct slice value,
                      struct schema_list *list);

/* schema_shape.c: keywords about the members of arrays and objects, and what is left to do when
 * all keywords are read. */
schema_keyword_fn schema_read_array_limit, schema_read_object_limit, schema_read_prefix,
    schema_read_items, schema_read_additional_items, schema_read_unique, schema_read_properties,
    schema_read_required, schema_read_additional, schema_read_patterns;
void schema_finish_arrays(struct schema_draft *d);
void schema_finish_objects(struct schema_draft *d);

/* schema_keyword.c: fills the node of a source whose value is a map. */
void schema_compile_keywords(struct schema_compiler *c, struct schema_source *source);

/* schema_ref.c: the schema that `ref` names; false (and failed) if there is none. */
bool schema_resolve(struct schema_compiler *c, const struct schema_source *source,
                    struct slice ref, struct slice *ret);

#endif
