/* SPDX-License-Identifier: MIT */
/* schema_ref.c - what a $ref names inside the document: JSON pointers (RFC 6901) and anchors. */
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

static bool spend(struct schema_compiler *c, size_t bytes)
{
    bool is_left = c->work > bytes;
    c->work -= is_left ? bytes : c->work;
    return is_left;
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

static bool resolve_pointer(struct schema_compiler *c, struct slice pointer, struct slice *ret)
{
    struct slice value = c->document;
    while (pointer.len) {
        char token[TOKEN_BYTES];
        struct slice name = {token, 0};
        struct pack cursor = pack_over(value);
        struct pack_item item;
        pointer.ptr++;
        pointer.len--;
        if (!take_token(&pointer, token, &name.len) || !spend(c, value.len) ||
            !pack_next(&cursor, &item)) {
            return false;
        }
        bool is_there =
            (item.type == PACK_MAP && take_member(cursor, item.count, name, &value)) ||
            (item.type == PACK_ARRAY && take_element(cursor, item.count, name, &value));
        if (!is_there) {
            return false;
        }
    }
    *ret = value;
    return true;
}

/* The map that says "$anchor": name. Walks the document item by item, with the maps that are open
 * on a stack. */
static bool resolve_anchor(struct schema_compiler *c, struct slice name, struct slice *ret)
{
    struct {
        const unsigned char *from;
        uint64_t left;
    } open[PACK_DEPTH_MAX + 1];
    uint32_t depth = 0;
    struct pack cursor = pack_over(c->document);
    if (!spend(c, c->document.len)) {
        return false;
    }
    while (cursor.at < cursor.end) {
        const unsigned char *from = cursor.at;
        struct pack_item item;
        struct slice value;
        struct pack ahead;
        if (!pack_next(&cursor, &item) || depth > PACK_DEPTH_MAX) {
            return false;
        }
        ahead = cursor;
        if (depth && open[depth - 1].from && open[depth - 1].left % 2 == 0 &&
            item.type == PACK_STR && slice_is(item.text, "$anchor") &&
            pack_next_text(&ahead, &value) && slice_equal(value, name)) {
            struct pack found = {open[depth - 1].from, cursor.end};
            return pack_take(&found, ret);
        }
        if (depth) {
            open[depth - 1].left--;
        }
        if ((item.type == PACK_MAP || item.type == PACK_ARRAY) && depth < PACK_DEPTH_MAX) {
            bool is_map = item.type == PACK_MAP;
            open[depth].from = is_map ? from : NULL;
            open[depth++].left = (uint64_t)item.count << is_map;
        }
        while (depth && !open[depth - 1].left) {
            depth--;
        }
    }
    return false;
}

bool schema_resolve(struct schema_compiler *c, const struct schema_source *source,
                    struct slice ref, struct slice *ret)
{
    struct slice rest = ref;
    if (c->root_id.len && rest.len >= c->root_id.len &&
        memcmp(rest.ptr, c->root_id.ptr, c->root_id.len) == 0) {
        rest.ptr += c->root_id.len;
        rest.len -= c->root_id.len;
    }
    bool is_inside = rest.len ? rest.ptr[0] == '#' : ref.len != 0;
    if (!is_inside) {
        (void)schema_fail(c, source, "\"$ref\" points outside of the document: %.*s",
                          (int)(ref.len > 80 ? 80 : ref.len), ref.ptr);
        return false;
    }
    if (rest.len) {
        rest.ptr++;
        rest.len--;
    }
    bool is_found = !rest.len || rest.ptr[0] == '/' ? resolve_pointer(c, rest, ret)
                                                    : resolve_anchor(c, rest, ret);
    if (!is_found) {
        (void)schema_fail(c, source, "\"$ref\" points to nothing: %.*s",
                          (int)(ref.len > 80 ? 80 : ref.len), ref.ptr);
    }
    return is_found;
}
