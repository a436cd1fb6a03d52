/* SPDX-License-Identifier: MIT */
/* schema_compile.c - from a schema document to a program; what single keywords mean is in
 * schema_keyword.c. */
#include "value/schema.h"

#include "value/schema_pattern.h"

#include <stdarg.h>
#include <stdio.h>

#define PROGRAM_BYTES_MAX ((size_t)32 << 20)
#define SCRATCH_BYTES_MAX ((size_t)16 << 20)
#define DOCUMENT_WORK     ((uint64_t)32 << 20)

const struct schema_node schema_anything = {.types = 0};
const struct schema_node schema_nothing = {.types = SCHEMA_NEVER};

void *schema_take(struct schema_compiler *c, size_t size)
{
    void *ptr = c->has_failed ? NULL : arena_take(&c->schema->arena, size);
    if (!ptr) {
        return schema_fail(c, NULL, "it is too large");
    }
    memset(ptr, 0, size);
    return ptr;
}

void *schema_take_scratch(struct schema_compiler *c, size_t size)
{
    void *ptr = c->has_failed ? NULL : arena_take(&c->scratch, size);
    if (!ptr) {
        return schema_fail(c, NULL, "it is too large");
    }
    memset(ptr, 0, size);
    return ptr;
}

bool schema_keep(struct schema_compiler *c, struct slice bytes, struct slice *ret)
{
    *ret = arena_copy(&c->schema->arena, bytes);
    if (!ret->ptr) {
        (void)schema_fail(c, NULL, "it is too large");
    }
    return ret->ptr != NULL;
}

bool schema_walk(struct schema_compiler *c, size_t bytes)
{
    bool is_left = c->work > bytes;
    c->work -= is_left ? bytes : c->work;
    return is_left;
}

/* ---- faults ----------------------------------------------------------------------------- */

#define PATH_STEPS 24

static size_t put_step(char *text, size_t room, const struct schema_step *step)
{
    int len = 0;
    if (step->index >= 0) {
        len = snprintf(text, room, "/%s/%d", step->keyword, step->index);
    } else if (step->key.ptr) {
        len = snprintf(text, room, "/%s/%.*s", step->keyword,
                       (int)(step->key.len > 64 ? 64 : step->key.len), step->key.ptr);
    } else {
        len = snprintf(text, room, "/%s", step->keyword);
    }
    return len > 0 ? (size_t)len : 0;
}

static void put_path(char *text, size_t room, const struct schema_source *source)
{
    const struct schema_source *steps[PATH_STEPS];
    size_t count = 0;
    for (; source && source->parent && count < PATH_STEPS; source = source->parent) {
        steps[count++] = source;
    }
    size_t at = (size_t)snprintf(text, room, "#%s", source && source->parent ? "/..." : "");
    while (count && at < room) {
        at += put_step(text + at, room - at, &steps[--count]->step);
    }
}

void *schema_fail(struct schema_compiler *c, const struct schema_source *source,
                  const char *format, ...)
{
    char path[160];
    char text[160] = "";
    va_list args;
    if (c->has_failed) {
        return NULL;
    }
    c->has_failed = true;
    put_path(path, sizeof path, source);
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)err_set(c->reterr, ERR_VALIDATION_ERROR, "schema at %s: %s", path, text);
    return NULL;
}

/* ---- sources ---------------------------------------------------------------------------- */

static struct schema_source *add_source(struct schema_compiler *c,
                                        const struct schema_source *from)
{
    if (c->count == SCHEMA_NODES_MAX) {
        return schema_fail(c, from->parent, "there are more than %u schemas in it",
                           SCHEMA_NODES_MAX);
    }
    struct schema_source *source = schema_take_scratch(c, sizeof *source);
    struct schema_node *node = schema_take(c, sizeof *node);
    if (!node || !source) {
        return NULL;
    }
    *source = *from;
    source->node = node;
    if (c->last) {
        c->last->next = source;
    } else {
        c->first = source;
    }
    c->last = source;
    c->count++;
    return source;
}

const struct schema_node *schema_want_target(struct schema_compiler *c,
                                             const struct schema_source *parent,
                                             struct schema_step step,
                                             const struct schema_target *target)
{
    struct pack cursor = pack_over(target->value);
    struct pack_item item;
    if (c->has_failed) {
        return NULL;
    }
    (void)pack_next(&cursor, &item);
    if (item.type == PACK_BOOL) {
        return item.b ? &schema_anything : &schema_nothing;
    }
    if (item.type != PACK_MAP) {
        return schema_fail(c, parent, "\"%s\" should hold a schema: an object or a boolean",
                           step.keyword);
    }
    if (!item.count) {
        return &schema_anything;
    }
    const struct schema_scope *scope =
        schema_enter(c, parent ? parent->scope : NULL, target->resource);
    if (!scope) {
        return NULL;
    }
    uint64_t place =
        (uint64_t)scope->number << 32 | schema_place(target->resource->document, target->value);
    struct schema_source *source = map_get_id(&c->by_place, place);
    if (!source) {
        const struct schema_source from = {.value = target->value,
                                           .resource = target->resource,
                                           .scope = scope,
                                           .parent = parent,
                                           .step = step};
        source = add_source(c, &from);
        if (source) {
            map_set_id(&c->by_place, place, source);
        }
    }
    return source ? source->node : NULL;
}

const struct schema_node *schema_want(struct schema_compiler *c,
                                      const struct schema_source *parent,
                                      struct schema_step step, struct slice value)
{
    const struct schema_resource *inner =
        schema_resource_at(c, parent->resource->document, value);
    const struct schema_target target = {value, inner ? inner : parent->resource, NULL};
    return schema_want_target(c, parent, step, &target);
}

/* ---- chains of schemas that apply to the same value ------------------------------------- */

static int measure(const struct schema_node *node, unsigned depth);

static int measure_list(const struct schema_list *list, unsigned depth, int longest)
{
    for (uint32_t i = 0; i < list->count && longest >= 0; i++) {
        int found = measure(list->at[i], depth);
        longest = found < 0 ? -1 : found > longest ? found : longest;
    }
    return longest;
}

static int measure_one(const struct schema_node *node, unsigned depth, int longest)
{
    int found = node && longest >= 0 ? measure(node, depth) : longest;
    return found < 0 ? -1 : found > longest ? found : longest;
}

/* The longest chain that begins at `node`; -1 if one is endless or too long. Goes no deeper than
 * SCHEMA_CHAIN_MAX, and each node is measured once. */
static int measure(const struct schema_node *node, unsigned depth)
{
    const struct schema_logic *logic = node->logic;
    if (!logic || node->chain) {
        return logic ? node->chain : 1;
    }
    if (depth == SCHEMA_CHAIN_MAX) {
        return -1;
    }
    int longest = measure_list(&logic->all_of, depth + 1, 0);
    longest = measure_list(&logic->any_of, depth + 1, longest);
    longest = measure_list(&logic->one_of, depth + 1, longest);
    longest = measure_one(logic->not_, depth + 1, longest);
    longest = measure_one(logic->if_, depth + 1, longest);
    longest = measure_one(logic->then_, depth + 1, longest);
    longest = measure_one(logic->else_, depth + 1, longest);
    for (uint32_t i = 0; i < logic->dependent_count; i++) {
        longest = measure_one(logic->dependents[i].node, depth + 1, longest);
    }
    if (longest < 0 || (unsigned)longest >= SCHEMA_CHAIN_MAX) {
        return -1;
    }
    /* Only nodes that came from a source have logic, and those are still ours to write. */
    ((struct schema_node *)node)->chain = (uint8_t)(longest + 1);
    return longest + 1;
}

static void check_chains(struct schema_compiler *c)
{
    for (struct schema_source *source = c->first; source; source = source->next) {
        if (measure(source->node, 0) < 0) {
            (void)schema_fail(
                c, source, "it refers to itself without end, or through more than %u schemas",
                SCHEMA_CHAIN_MAX);
            return;
        }
    }
}

/* ---- the whole -------------------------------------------------------------------------- */

static void compile(struct schema_compiler *c, struct slice definition)
{
    struct schema_step step = {"", {NULL, 0}, -1};
    if (!schema_index(c, definition, (struct slice){NULL, 0}, &c->root)) {
        return;
    }
    const struct schema_target root = {c->root->value, c->root, NULL};
    c->schema->root = schema_want_target(c, NULL, step, &root);
    for (struct schema_source *source = c->first; source && !c->has_failed;
         source = source->next) {
        schema_compile_keywords(c, source);
    }
    if (!c->has_failed) {
        check_chains(c);
    }
}

static void start(struct schema_compiler *c)
{
    arena_init_small(&c->schema->arena, PROGRAM_BYTES_MAX);
    arena_init(&c->scratch, SCRATCH_BYTES_MAX);
    map_init(&c->by_place);
    map_init(&c->resources_at);
    map_init(&c->resources_by_uri);
    map_init(&c->scopes_entered);
    map_init(&c->references);
    map_init(&c->patterns);
    c->work = DOCUMENT_WORK;
    c->places = 1;
}

static void end(struct schema_compiler *c)
{
    map_done(&c->by_place);
    map_done(&c->resources_at);
    map_done(&c->resources_by_uri);
    map_done(&c->scopes_entered);
    map_done(&c->references);
    map_done(&c->patterns);
    arena_done(&c->scratch);
}

int schema_compile(struct slice definition, struct schema **ret, struct err *reterr)
{
    static const struct pack_limits limits = {SCHEMA_BYTES_MAX, PACK_DEPTH_MAX, UINT32_MAX};
    struct pack_scan scan;
    PACK_SCAN_START(&scan);
    if (pack_scan(&scan, definition, &limits) != PACK_SCAN_DONE) {
        return err_set(reterr, ERR_VALIDATION_ERROR,
                       "schema: it is no complete value of at most %zu bytes and %d levels",
                       SCHEMA_BYTES_MAX, PACK_DEPTH_MAX);
    }
    struct schema *schema = mem_new(sizeof *schema);
    struct schema_compiler c = {.schema = schema, .reterr = reterr};
    start(&c);
    compile(&c, (struct slice){definition.ptr, scan.at});
    end(&c);
    if (c.has_failed) {
        schema_free(schema);
        return -(int)ERR_VALIDATION_ERROR;
    }
    *ret = schema;
    return 0;
}

void schema_free(struct schema *schema)
{
    if (schema) {
        schema_patterns_free(schema->patterns);
        arena_done(&schema->arena);
        mem_free(schema);
    }
}
