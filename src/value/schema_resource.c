/* SPDX-License-Identifier: MIT */
/* schema_resource.c - an index of the documents: which schemas have a URI or an anchor. What stands
 * where no keyword puts a schema, in an enum for example, is none. */
#include "value/json.h"
#include "value/schema_compiler.h"

#define URI_BYTES_MAX 2048u

/* A schema that is still to be looked at. */
struct pending {
    struct slice value;
    struct schema_resource *resource;
    struct pending *next;
};

struct indexer {
    struct schema_compiler *c;
    struct pending *first, *unused;
};

/* What a schema says about itself. */
struct identity {
    struct slice id, anchor, dynamic_anchor, dialect;
    bool has_ref;
};

static bool names_draft7(struct slice dialect, bool otherwise)
{
    static const char *const older[] = {"http://json-schema.org/draft-07/schema",
                                        "http://json-schema.org/draft-06/schema",
                                        "http://json-schema.org/draft-04/schema"};
    for (size_t i = 0; i < sizeof older / sizeof *older; i++) {
        if (slice_starts(dialect, older[i])) {
            return true;
        }
    }
    return otherwise && !dialect.len;
}

static struct slice without_fragment(struct slice uri)
{
    const char *hash = uri.len ? memchr(uri.ptr, '#', uri.len) : NULL;
    return (struct slice){uri.ptr, hash ? (size_t)(hash - uri.ptr) : uri.len};
}

/* ---- what is found ----------------------------------------------------------------------- */

static void name_resource(struct schema_compiler *c, struct schema_resource *resource,
                          struct slice base, struct slice uri)
{
    struct buf whole;
    buf_init(&whole, URI_BYTES_MAX);
    schema_uri_resolve(base, without_fragment(uri), &whole);
    struct slice kept = arena_copy(&c->scratch, buf_slice(&whole));
    if (whole.overflow || !kept.ptr) {
        (void)schema_fail(c, NULL, "\"$id\" is longer than %u bytes", URI_BYTES_MAX);
    } else {
        resource->uri = kept;
        if (kept.len && !map_get(&c->resources_by_uri, kept)) {
            map_set(&c->resources_by_uri, kept, resource);
        }
    }
    buf_done(&whole);
}

static struct schema_resource *add_resource(struct schema_compiler *c,
                                            const struct schema_document *document,
                                            struct slice value, bool is_draft7)
{
    struct schema_resource *resource = schema_take_scratch(c, sizeof *resource);
    if (resource) {
        *resource = (struct schema_resource){.value = value,
                                             .document = document,
                                             .number = c->resource_count++,
                                             .is_draft7 = is_draft7};
        map_set_id(&c->resources_at, schema_place(document, value), resource);
    }
    return resource;
}

static void add_anchor(struct schema_compiler *c, struct schema_resource *resource,
                       struct slice name, struct slice value, bool is_dynamic)
{
    struct schema_anchor *anchor = schema_take_scratch(c, sizeof *anchor);
    if (anchor) {
        *anchor = (struct schema_anchor){.name = name,
                                         .value = value,
                                         .resource = resource,
                                         .next = resource->anchors,
                                         .number = c->dynamic_count,
                                         .is_dynamic = is_dynamic};
        c->dynamic_count += is_dynamic;
        resource->anchors = anchor;
        resource->anchor_count++;
        resource->is_dynamic = resource->is_dynamic || is_dynamic;
    }
}

/* ---- the walk ---------------------------------------------------------------------------- */

static void push(struct indexer *x, struct slice value, struct schema_resource *resource)
{
    struct pending *pending = x->unused;
    enum pack_type type = pack_peek(pack_over(value));
    if (type != PACK_MAP && type != PACK_ARRAY) {
        return;
    }
    if (pending) {
        x->unused = pending->next;
    } else if (!(pending = schema_take_scratch(x->c, sizeof *pending))) {
        return;
    }
    *pending = (struct pending){value, resource, x->first};
    x->first = pending;
}

static void push_members(struct indexer *x, struct slice value,
                         struct schema_resource *resource)
{
    struct pack cursor = pack_over(value);
    bool is_map = pack_peek(cursor) == PACK_MAP;
    uint32_t count = schema_count_of(value, &cursor);
    for (struct slice member; count; count--) {
        if ((is_map && !pack_skip(&cursor)) || !pack_take(&cursor, &member)) {
            return;
        }
        push(x, member, resource);
    }
}

static void push_held(struct indexer *x, uint8_t holds, struct slice value,
                      struct schema_resource *resource)
{
    enum pack_type type = pack_peek(pack_over(value));
    bool is_one =
        holds == SCHEMA_HOLDS_ONE || (holds == SCHEMA_HOLDS_EITHER && type != PACK_ARRAY);
    if (is_one && type == PACK_MAP) {
        push(x, value, resource);
    } else if ((type == PACK_MAP && holds == SCHEMA_HOLDS_MAP) ||
               (type == PACK_ARRAY && holds != SCHEMA_HOLDS_MAP && !is_one)) {
        push_members(x, value, resource);
    }
}

static void note(struct identity *is, struct slice name, struct slice text)
{
    if (slice_is(name, "$id")) {
        is->id = text;
    } else if (slice_is(name, "$anchor")) {
        is->anchor = text;
    } else if (slice_is(name, "$dynamicAnchor")) {
        is->dynamic_anchor = text;
    } else if (slice_is(name, "$schema")) {
        is->dialect = text;
    } else if (slice_is(name, "$ref")) {
        is->has_ref = true;
    }
}

static void read_identity(struct slice value, struct identity *ret)
{
    struct pack cursor;
    *ret = (struct identity){.has_ref = false};
    for (uint32_t left = schema_count_of(value, &cursor); left; left--) {
        struct slice name;
        struct slice text;
        if (!pack_next_text(&cursor, &name)) {
            return;
        }
        struct pack at = cursor;
        if (slice_starts(name, "$") && pack_next_text(&at, &text)) {
            note(ret, name, text);
        }
        if (!pack_skip(&cursor)) {
            return;
        }
    }
}

/* The resource that a schema belongs to, which may begin with it. */
static struct schema_resource *identify(struct schema_compiler *c, struct slice value,
                                        struct schema_resource *resource)
{
    struct identity is;
    read_identity(value, &is);
    bool is_root = value.ptr == resource->value.ptr;
    bool is_draft7 = names_draft7(is.dialect, resource->is_draft7);
    if (is_draft7 && is.has_ref && !is_root) {
        return resource; /* what stands beside a reference there says nothing */
    }
    if (is.id.len && is.id.ptr[0] == '#') {
        is.anchor = is_draft7 ? (struct slice){is.id.ptr + 1, is.id.len - 1} : is.anchor;
    } else if (is.id.len) {
        struct slice base = resource->uri;
        resource = is_root ? resource : add_resource(c, resource->document, value, is_draft7);
        if (!resource) {
            return NULL;
        }
        name_resource(c, resource, base, is.id);
    }
    if (is.anchor.len) {
        add_anchor(c, resource, is.anchor, value, false);
    }
    if (is.dynamic_anchor.len && !is_draft7) {
        add_anchor(c, resource, is.dynamic_anchor, value, true);
    }
    return resource;
}

static void walk(struct schema_compiler *c, struct schema_resource *root)
{
    struct indexer x = {.c = c};
    push(&x, root->value, root);
    while (x.first && !c->has_failed) {
        struct pending *pending = x.first;
        struct slice value = pending->value;
        struct schema_resource *resource = pending->resource;
        struct pack cursor;
        x.first = pending->next;
        pending->next = x.unused;
        x.unused = pending;
        if (pack_peek(pack_over(value)) != PACK_MAP) {
            continue;
        }
        if (!schema_walk(c, value.len)) {
            (void)schema_fail(c, NULL, "it is too large");
            return;
        }
        resource = identify(c, value, resource);
        for (uint32_t left = schema_count_of(value, &cursor); left && resource; left--) {
            struct slice name;
            struct slice member;
            if (!pack_next_text(&cursor, &name) || !pack_take(&cursor, &member)) {
                break; /* told where the schema itself is compiled */
            }
            const struct schema_keyword *keyword = schema_keyword_of(name, resource->is_draft7);
            if (keyword && keyword->holds) {
                push_held(&x, keyword->holds, member, resource);
            }
        }
    }
}

static bool says(struct slice bytes, const char *word)
{
    return bytes.len && memmem(bytes.ptr, bytes.len, word, strlen(word)) != NULL;
}

bool schema_index(struct schema_compiler *c, struct slice bytes, struct slice uri,
                  struct schema_resource **ret)
{
    struct schema_document *document = schema_take_scratch(c, sizeof *document);
    struct slice dialect;
    if (!document) {
        return false;
    }
    *document = (struct schema_document){bytes, c->places};
    c->places += (uint32_t)bytes.len + 1;
    bool is_draft7 = pack_get_text(bytes, "$schema", &dialect) && names_draft7(dialect, false);
    if (!(*ret = add_resource(c, document, bytes, is_draft7))) {
        return false;
    }
    if (uri.len) {
        name_resource(c, *ret, uri, uri);
    }
    if (says(bytes, "$id") || says(bytes, "$anchor") || says(bytes, "$dynamicAnchor")) {
        walk(c, *ret);
    }
    return !c->has_failed;
}

/* ---- looking up -------------------------------------------------------------------------- */

const struct schema_resource *schema_resource_at(const struct schema_compiler *c,
                                                 const struct schema_document *document,
                                                 struct slice value)
{
    return map_get_id(&c->resources_at, schema_place(document, value));
}

static bool read_meta(struct schema_compiler *c, struct slice uri)
{
    struct schema_resource *resource;
    struct slice bytes = {NULL, 0};
    struct buf text;
    struct buf pack;
    buf_init(&text, SCHEMA_BYTES_MAX);
    buf_init(&pack, SCHEMA_BYTES_MAX);
    if (schema_meta(uri, &text) &&
        json_to_pack(buf_slice(&text), JSON_DEPTH_MAX, &pack, NULL) == 0) {
        bytes = arena_copy(&c->scratch, buf_slice(&pack));
    }
    buf_done(&text);
    buf_done(&pack);
    return bytes.ptr && schema_index(c, bytes, (struct slice){NULL, 0}, &resource);
}

const struct schema_resource *schema_resource_named(struct schema_compiler *c, struct slice uri)
{
    const struct schema_resource *resource = map_get(&c->resources_by_uri, uri);
    if (!resource && read_meta(c, uri)) {
        resource = map_get(&c->resources_by_uri, uri);
    }
    return resource;
}

const struct schema_anchor *schema_anchor_of(struct schema_compiler *c,
                                             const struct schema_resource *resource,
                                             struct slice name)
{
    if (!schema_walk(c, resource->anchor_count)) {
        return NULL;
    }
    const struct schema_anchor *anchor = resource->anchors;
    while (anchor && !slice_equal(anchor->name, name)) {
        anchor = anchor->next;
    }
    return anchor;
}
