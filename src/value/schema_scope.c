/* SPDX-License-Identifier: MIT */
/* schema_scope.c - dynamic scopes: which dynamic anchors are bound where a schema is compiled. */
#include "value/schema_compiler.h"

#define DYNAMIC_MAX 64u
#define SCOPES_MAX  256u

const struct schema_anchor *schema_bound(const struct schema_scope *scope, struct slice name)
{
    for (uint32_t i = 0; i < scope->count; i++) {
        if (slice_equal(scope->bound[i]->name, name)) {
            return scope->bound[i];
        }
    }
    return NULL;
}

/* In the order of their numbers, so that equal scopes look alike. */
static void bind(struct schema_scope *scope, const struct schema_anchor *anchor)
{
    uint32_t at = scope->count++;
    for (; at && scope->bound[at - 1]->number > anchor->number; at--) {
        scope->bound[at] = scope->bound[at - 1];
    }
    scope->bound[at] = anchor;
}

static bool is_equal(const struct schema_scope *a, const struct schema_scope *b)
{
    uint32_t i = 0;
    while (a->count == b->count && i < a->count && a->bound[i] == b->bound[i]) {
        i++;
    }
    return a->count == b->count && i == a->count;
}

static struct schema_scope *find_equal(const struct schema_compiler *c,
                                       const struct schema_scope *wanted)
{
    struct schema_scope *scope = c->scopes;
    while (scope && !is_equal(scope, wanted)) {
        scope = scope->next;
    }
    return scope;
}

static struct schema_scope *make_scope(struct schema_compiler *c,
                                       const struct schema_scope *outer,
                                       const struct schema_resource *resource)
{
    size_t most = (outer ? outer->count : 0) + (resource ? resource->anchor_count : 0);
    struct schema_scope *scope = schema_take_scratch(c, sizeof *scope + most * sizeof(void *));
    if (!scope) {
        return NULL;
    }
    for (uint32_t i = 0; outer && i < outer->count; i++) {
        scope->bound[scope->count++] = outer->bound[i];
    }
    const struct schema_anchor *anchor = resource ? resource->anchors : NULL;
    for (; anchor; anchor = anchor->next) {
        if (anchor->is_dynamic && !schema_bound(scope, anchor->name)) {
            bind(scope, anchor);
        }
    }
    struct schema_scope *known = find_equal(c, scope);
    if (known) {
        return known;
    }
    if (c->scope_count == SCOPES_MAX) {
        return schema_fail(c, NULL, "its dynamic anchors are bound in more than %u ways",
                           SCOPES_MAX);
    }
    scope->number = c->scope_count++;
    scope->next = c->scopes;
    return c->scopes = scope;
}

const struct schema_scope *schema_enter(struct schema_compiler *c,
                                        const struct schema_scope *scope,
                                        const struct schema_resource *resource)
{
    if (scope && !resource->is_dynamic) {
        return scope;
    }
    if (!scope) {
        scope = make_scope(c, NULL, NULL);
        return scope && resource->is_dynamic ? schema_enter(c, scope, resource) : scope;
    }
    if (c->dynamic_count > DYNAMIC_MAX) {
        return schema_fail(c, NULL, "there are more than %u dynamic anchors", DYNAMIC_MAX);
    }
    uint64_t key = (uint64_t)(scope->number + 1) << 32 | resource->number;
    struct schema_scope *inner = map_get_id(&c->scopes_entered, key);
    if (!inner && (inner = make_scope(c, scope, resource))) {
        map_set_id(&c->scopes_entered, key, inner);
    }
    return inner;
}
