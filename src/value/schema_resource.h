/* SPDX-License-Identifier: MIT */
/*
 * schema_resource.h - what references in a schema may name: documents, the schemas in them that have
 * a URI or an anchor, and which of these a $dynamicRef means. Inside value/ only.
 *
 * What a $dynamicRef means depends on the resources that were entered on the way to it, outermost
 * first. That is settled here, not in a check: the anchors bound on the way are a scope, and a
 * schema is compiled once for each scope in which it is reached. Where nothing in the document is
 * a $dynamicAnchor, there is one.
 *
 * Life:    as long as the compiler.
 * Errors:  kept in the compiler.
 */
#ifndef VALUE_SCHEMA_RESOURCE_H
#define VALUE_SCHEMA_RESOURCE_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct schema_compiler;
struct schema_source;

/* A document: the schema itself, or a metaschema that it refers to. */
struct schema_document {
    struct slice bytes;
    uint32_t base; /* the place of its first byte */
};

struct schema_anchor {
    struct slice name, value;
    const struct schema_resource *resource;
    const struct schema_anchor *next;
    uint32_t number; /* of a dynamic one */
    bool is_dynamic;
};

/* A schema with a URI of its own, or the root of a document. */
struct schema_resource {
    struct slice uri; /* without a fragment; empty if it has none */
    struct slice value;
    const struct schema_document *document;
    const struct schema_anchor *anchors;
    uint32_t number, anchor_count;
    bool is_draft7, is_dynamic; /* has dynamic anchors */
};

/* The dynamic anchors that are bound, the names all different, by number. */
struct schema_scope {
    uint32_t number, count;
    struct schema_scope *next;
    const struct schema_anchor *bound[];
};

/* A schema that a reference found. */
struct schema_target {
    struct slice value;
    const struct schema_resource *resource;
    const struct schema_anchor *anchor; /* if it was found by one */
};

/* A reference that was resolved. */
struct schema_reference {
    struct slice text;
    const struct schema_resource *from;
    struct schema_target target;
};

/* schema_resource.c: what the documents hold under which name. */
bool schema_index(struct schema_compiler *c, struct slice bytes, struct slice uri,
                  struct schema_resource **ret);
const struct schema_resource *schema_resource_at(const struct schema_compiler *c,
                                                 const struct schema_document *document,
                                                 struct slice value);
const struct schema_resource *schema_resource_named(struct schema_compiler *c,
                                                    struct slice uri);
const struct schema_anchor *schema_anchor_of(struct schema_compiler *c,
                                             const struct schema_resource *resource,
                                             struct slice name);

static inline uint64_t schema_place(const struct schema_document *document, struct slice value)
{
    return document->base + (uint64_t)(value.ptr - document->bytes.ptr);
}

/* schema_scope.c: the scope inside `resource`, entered from `scope`; NULL on failure. */
const struct schema_scope *schema_enter(struct schema_compiler *c,
                                        const struct schema_scope *scope,
                                        const struct schema_resource *resource);
const struct schema_anchor *schema_bound(const struct schema_scope *scope, struct slice name);

/* schema_ref.c: the schema that `ref` names; false (and failed) if there is none. */
bool schema_resolve(struct schema_compiler *c, const struct schema_source *source,
                    const char *keyword, struct slice ref, struct schema_target *ret);

/* schema_uri.c: appends a reference without fragment, as seen from a base (RFC 3986, 5.2). */
void schema_uri_resolve(struct slice base_uri, struct slice ref_uri, struct buf *out);

/* schema_meta.c: appends the text of a metaschema; false if there is none of that name. */
bool schema_meta(struct slice uri, struct buf *out);

#endif
