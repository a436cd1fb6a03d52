/* SPDX-License-Identifier: MIT */
/* schema_ref.c - what a $ref names: a schema with that URI inside the document or a metaschema, and
 * in it an anchor or what a JSON pointer (RFC 6901) leads to. Nothing is ever fetched. */
#include "value/schema_compiler.h"

#define TOKEN_BYTES 512

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of a fragment, %XX decoded. */
static char take_byte(struct slice *rest)
{
    char byte = rest->ptr[0];
    size_t used = 1;
    if (byte == '%' && rest->len >= 3) {
        int high = hex_digit(rest->ptr[1]);
        int low = hex_digit(rest->ptr[2]);
        if (high >= 0 && low >= 0) {
            byte = (char)(high << 4 | low);
            used = 3;
        }
    }
    rest->ptr += used;
    rest->len -= used;
    return byte;
}

/* The next token of a pointer, behind its slash; false if it is too long. */
static bool take_token(struct slice *rest, char token[TOKEN_BYTES], size_t *ret_len)
{
    size_t len = 0;
    while (rest->len && rest->ptr[0] != '/') {
        char byte = take_byte(rest);
        if (byte == '~' && rest->len && (rest->ptr[0] == '0' || rest->ptr[0] == '1')) {
            byte = take_byte(rest) == '0' ? '~' : '/';
        }
        if (len == TOKEN_BYTES) {
            return false;
        }
        token[len++] = byte;
    }
    *ret_len = len;
    return true;
}

static bool take_member(struct pack cursor, uint32_t count, struct slice name,
                        struct slice *ret)
{
    for (; count; count--) {
        struct slice key;
        if (!pack_next_text(&cursor, &key)) {
            return false;
        }
        if (slice_equal(key, name)) {
            return pack_take(&cursor, ret);
        }
        if (!pack_skip(&cursor)) {
            return false;
        }
    }
    return false;
}

static bool take_element(struct pack cursor, uint32_t count, struct slice name,
                         struct slice *ret)
{
    uint32_t index = 0;
    if (!name.len || name.len > 7) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] < '0' || name.ptr[i] > '9') {
            return false;
        }
        index = index * 10 + (uint32_t)(name.ptr[i] - '0');
    }
    if (index >= count) {
        return false;
    }
    while (index--) {
        if (!pack_skip(&cursor)) {
            return false;
        }
    }
    return pack_take(&cursor, ret);
}

/* Follows a pointer from the root of a resource. On the way it may come into another one. */
static bool resolve_pointer(struct schema_compiler *c, struct slice pointer,
                            struct schema_target *target)
{
    const struct schema_document *document = target->resource->document;
    while (pointer.len) {
        char token[TOKEN_BYTES];
        struct slice name = {token, 0};
        struct pack cursor = pack_over(target->value);
        struct pack_item item;
        pointer.ptr++;
        pointer.len--;
        if (!take_token(&pointer, token, &name.len) || !schema_walk(c, target->value.len) ||
            !pack_next(&cursor, &item)) {
            return false;
        }
        bool is_there =
            (item.type == PACK_MAP && take_member(cursor, item.count, name, &target->value)) ||
            (item.type == PACK_ARRAY && take_element(cursor, item.count, name, &target->value));
        if (!is_there) {
            return false;
        }
        const struct schema_resource *inner = schema_resource_at(c, document, target->value);
        target->resource = inner ? inner : target->resource;
    }
    return true;
}

static bool resolve_anchor(struct schema_compiler *c, struct slice fragment,
                           struct schema_target *target)
{
    char token[TOKEN_BYTES];
    struct slice name = {token, 0};
    if (!take_token(&fragment, token, &name.len) || fragment.len) {
        return false;
    }
    target->anchor = schema_anchor_of(c, target->resource, name);
    if (target->anchor) {
        target->value = target->anchor->value;
        target->resource = target->anchor->resource;
    }
    return target->anchor != NULL;
}

#define URI_BYTES_MAX 4096u

static const struct schema_resource *
find_resource(struct schema_compiler *c, const struct schema_source *source, struct slice uri)
{
    const struct schema_resource *resource = source->resource;
    if (uri.len) {
        struct buf whole;
        buf_init(&whole, URI_BYTES_MAX);
        schema_uri_resolve(source->resource->uri, uri, &whole);
        resource = whole.overflow ? NULL : schema_resource_named(c, buf_slice(&whole));
        buf_done(&whole);
    }
    return resource;
}

static bool resolve_anew(struct schema_compiler *c, const struct schema_source *source,
                         const char *keyword, struct slice ref, struct schema_target *ret)
{
    const char *hash = ref.len ? memchr(ref.ptr, '#', ref.len) : NULL;
    struct slice uri = {ref.ptr, hash ? (size_t)(hash - ref.ptr) : ref.len};
    struct slice fragment = {NULL, 0};
    if (hash) {
        fragment = (struct slice){hash + 1, ref.len - uri.len - 1};
    }
    struct slice shown = {ref.len ? ref.ptr : "", ref.len > 80 ? 80 : ref.len};
    const struct schema_resource *resource = find_resource(c, source, uri);
    if (!resource) {
        (void)schema_fail(c, source,
                          "\"%s\" points outside of the document, and nothing is fetched: %.*s",
                          keyword, SLICE_ARG(shown));
        return false;
    }
    *ret = (struct schema_target){resource->value, resource, NULL};
    bool is_pointer = !fragment.len || fragment.ptr[0] == '/';
    bool is_found =
        is_pointer ? resolve_pointer(c, fragment, ret) : resolve_anchor(c, fragment, ret);
    if (!is_found) {
        (void)schema_fail(c, source, "\"%s\" points to %s: %.*s", keyword,
                          c->work ? "nothing" : "what takes too long to find",
                          SLICE_ARG(shown));
    }
    return is_found;
}

/* Most references are made several times. */
bool schema_resolve(struct schema_compiler *c, const struct schema_source *source,
                    const char *keyword, struct slice ref, struct schema_target *ret)
{
    uint64_t key = map_hash(ref.ptr, ref.len) ^ (uint64_t)source->resource->number << 32;
    struct schema_reference *known = map_get_id(&c->references, key);
    if (known && known->from == source->resource && slice_equal(known->text, ref)) {
        *ret = known->target;
        return true;
    }
    if (!resolve_anew(c, source, keyword, ref, ret)) {
        return false;
    }
    struct schema_reference *reference = schema_take_scratch(c, sizeof *reference);
    if (reference) {
        *reference = (struct schema_reference){ref, source->resource, *ret};
        map_set_id(&c->references, key, reference);
    }
    return reference != NULL;
}
