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
#include "value/schema_resource.h"

/* Where a schema stands in its parent: "/keyword", "/keyword/key" or "/keyword/3". */
struct schema_step {
    const char *keyword;
    struct slice key;
    int32_t index; /* -1: none */
};

struct schema_source {
    struct schema_node *node;
    struct slice value;
    const struct schema_resource *resource;
    const struct schema_scope *scope;
    const struct schema_source *parent;
    struct schema_step step;
    struct schema_source *next;
};

struct schema_compiler {
    struct schema *schema;
    struct arena scratch;
    struct map by_place; /* sources, by scope and place */
    struct schema_source *first, *last;
    uint32_t count;
    bool has_failed;
    uint64_t work; /* left for walking the document */
    struct err *reterr;
    struct schema_resource *root;
    struct map resources_at, resources_by_uri;
    uint32_t resource_count, dynamic_count;
    uint32_t places; /* given to documents so far */
    struct schema_scope *scopes;
    uint32_t scope_count;
    struct map scopes_entered; /* by scope and resource */
    struct map references;     /* by a hash of resource and text */
    struct map patterns;       /* by text */
    size_t pattern_bytes, pattern_code;
};

/* Zeroed memory of the program; NULL (and failed) when it grows too large. */
void *schema_take(struct schema_compiler *c, size_t size);

/* The first failure is told, with the place of `source`. Returns NULL. */
void *schema_fail(struct schema_compiler *c, const struct schema_source *source,
                  const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Temporary memory, zeroed; as above. */
void *schema_take_scratch(struct schema_compiler *c, size_t size);

/* Bytes of the document that the program keeps. */
bool schema_keep(struct schema_compiler *c, struct slice bytes, struct slice *ret);

/* Whether there is work left for walking so many bytes of the document. */
bool schema_walk(struct schema_compiler *c, size_t bytes);

/* The node for the schema `value`, which will be compiled if it is new; NULL on failure. */
const struct schema_node *schema_want(struct schema_compiler *c,
                                      const struct schema_source *parent,
                                      struct schema_step step, struct slice value);

/* The same for one that a reference found. */
const struct schema_node *schema_want_target(struct schema_compiler *c,
                                             const struct schema_source *parent,
                                             struct schema_step step,
                                             const struct schema_target *target);

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
    struct schema_names *names;
    /* Keywords that only make sense together. */
    struct slice properties, required, additional_items;
    struct slice contains, least_contained, most_contained;
    bool is_above, is_below; /* draft-04: the limits exclude themselves */
    bool has_array_items;    /* the older form of prefixItems */
};

typedef void schema_keyword_fn(struct schema_draft *d, const char *name, struct slice value);

static inline struct schema_step schema_step_of(const char *keyword)
{
    return (struct schema_step){keyword, {NULL, 0}, -1};
}

/* NULL where everything fits, which spares the check. */
static inline const struct schema_node *schema_unless_anything(const struct schema_node *node)
{
    return node == &schema_anything ? NULL : node;
}

static inline uint32_t schema_count_of(struct slice value, struct pack *ret_cursor)
{
    struct pack_item item;
    *ret_cursor = pack_over(value);
    return pack_next(ret_cursor, &item) ? item.count : 0;
}

/* The parts of the node, made when first needed; NULL on failure. */
struct schema_logic *schema_logic_of(struct schema_draft *d);
struct schema_strings *schema_strings_of(struct schema_draft *d);
struct schema_objects *schema_objects_of(struct schema_draft *d);

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

/* What a keyword holds that may be a schema. */
enum schema_holds {
    SCHEMA_HOLDS_NONE,
    SCHEMA_HOLDS_ONE,
    SCHEMA_HOLDS_LIST,
    SCHEMA_HOLDS_MAP,
    SCHEMA_HOLDS_EITHER /* one, or a list, or a map of schemas and lists of names */
};

struct schema_keyword {
    const char *name;
    schema_keyword_fn *read; /* NULL: says nothing about a value */
    uint8_t length, dialects, holds;
};

/* schema_keyword.c. NULL: the dialect does not know it. */
const struct schema_keyword *schema_keyword_of(struct slice name, bool is_draft7);

/* Fills the node of a source whose value is a map. */
void schema_compile_keywords(struct schema_compiler *c, struct schema_source *source);

/* schema_bounds.c: numbers. */
schema_keyword_fn schema_read_number_limit, schema_read_multiple;
void schema_finish_numbers(struct schema_draft *d);

/* schema_shape.c: keywords about the members of arrays and objects, and what is left to do when
 * all keywords are read. */
schema_keyword_fn schema_read_array_limit, schema_read_object_limit, schema_read_prefix,
    schema_read_items, schema_read_additional_items, schema_read_unique, schema_read_contains,
    schema_read_least_contained, schema_read_most_contained, schema_read_properties,
    schema_read_required, schema_read_additional;
void schema_finish_arrays(struct schema_draft *d);
void schema_finish_objects(struct schema_draft *d);

/* schema_names.c: keywords about names and about what depends on them. */
schema_keyword_fn schema_read_pattern, schema_read_matched, schema_read_names,
    schema_read_dependents;

#endif
