/* SPDX-License-Identifier: MIT */
/* param_header.c - finds `x-mcp-header` in a tool's inputSchema, and its values in arguments. */
#include "mcp/param_header.h"

#include "base/mem.h"
#include "value/pack.h"

#include <stdio.h>
#include <strings.h>

#define KEYWORD   "x-mcp-header"
#define DEPTH_MAX 64u
#define NUMBER    24 /* bytes of an integer's text */

struct param {
    struct slice name;
    const struct slice *path;
    unsigned depth;
};

struct param_headers {
    unsigned count;
    struct param list[];
};

/* ---- finding ----------------------------------------------------------------------------- */

struct search {
    struct param found[PARAM_HEADERS_MAX];
    struct slice paths[PARAM_HEADERS_MAX * 8]; /* of what was found, one behind the other */
    unsigned count, used;
    struct slice at[DEPTH_MAX]; /* names of properties from the root to here */
    unsigned depth;
    size_t bytes; /* of all names */
    struct err *err;
};

static int refuse(struct search *search, const char *why)
{
    struct buf place;
    buf_init(&place, 256);
    for (unsigned i = 0; i < search->depth && place.len < 160; i++) {
        buf_printf(&place, "%s%.*s", i ? "." : "",
                   (int)(search->at[i].len < 64 ? search->at[i].len : 64), search->at[i].ptr);
    }
    int r = err_set(search->err, ERR_VALIDATION_ERROR, "`" KEYWORD "` at \"%s\" %s",
                    buf_text(&place), why);
    buf_done(&place);
    return r;
}

/* RFC 9110: 1*tchar */
static bool is_token(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!is_alnum && (!c || !strchr("!#$%&'*+-.^_`|~", c))) {
            return false;
        }
    }
    return text.len > 0;
}

static bool is_taken(const struct search *search, struct slice name)
{
    for (unsigned i = 0; i < search->count; i++) {
        struct slice other = search->found[i].name;
        if (other.len == name.len && strncasecmp(other.ptr, name.ptr, name.len) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_plain_type(struct slice type)
{
    return slice_is(type, "integer") || slice_is(type, "string") || slice_is(type, "boolean");
}

/* One of the three, which may also be null. */
static bool has_plain_type(struct slice schema)
{
    struct slice type;
    struct slice one;
    struct pack_item head;
    bool is_plain = false;
    if (pack_get_text(schema, "type", &type)) {
        return is_plain_type(type);
    }
    if (!pack_get(schema, "type", &type)) {
        return false;
    }
    struct pack cursor = pack_over(type);
    if (!pack_next(&cursor, &head) || head.type != PACK_ARRAY) {
        return false;
    }
    for (uint32_t i = 0; i < head.count; i++) {
        if (!pack_next_text(&cursor, &one) || (!is_plain_type(one) && !slice_is(one, "null"))) {
            return false;
        }
        is_plain |= !slice_is(one, "null");
    }
    return is_plain;
}

static int take(struct search *search, struct slice schema, struct slice name_value,
                bool is_reachable)
{
    struct slice name;
    struct pack cursor = pack_over(name_value);
    if (!is_reachable || !search->depth) {
        return refuse(search, "is not on a property that only `properties` lead to");
    }
    if (!pack_next_text(&cursor, &name) || !is_token(name)) {
        return refuse(search, "is no name for a header");
    }
    if (is_taken(search, name)) {
        return refuse(search, "is a name that another property has");
    }
    if (!has_plain_type(schema)) {
        return refuse(search, "is on a property that is no integer, string or boolean");
    }
    if (search->count == PARAM_HEADERS_MAX ||
        search->used + search->depth > sizeof search->paths / sizeof search->paths[0]) {
        return refuse(search, "is one of too many");
    }
    struct slice *path = &search->paths[search->used];
    search->bytes += name.len;
    for (unsigned i = 0; i < search->depth; i++) {
        path[i] = search->at[i];
        search->bytes += path[i].len;
    }
    search->used += search->depth;
    search->found[search->count++] = (struct param){name, path, search->depth};
    return 0;
}

static int look_at(struct search *search, struct slice schema, bool is_reachable);

/* A map from names to schemas. */
static int look_at_members(struct search *search, struct slice members, bool is_reachable)
{
    struct pack cursor = pack_over(members);
    struct pack_item head;
    struct slice name;
    struct slice schema;
    int r = 0;
    if (!pack_next(&cursor, &head) || head.type != PACK_MAP) {
        return 0;
    }
    for (uint32_t i = 0; i < head.count && r == 0; i++) {
        if (!pack_next_text(&cursor, &name) || !pack_take(&cursor, &schema)) {
            return 0;
        }
        if (search->depth == DEPTH_MAX) {
            return refuse(search, "would be nested too deep");
        }
        search->at[search->depth++] = name;
        r = look_at(search, schema, is_reachable);
        search->depth--;
    }
    return r;
}

/* A schema, or an array of them. */
static int look_at_value(struct search *search, struct slice value)
{
    struct pack cursor = pack_over(value);
    struct pack_item head;
    struct slice schema;
    int r = 0;
    if (!pack_next(&cursor, &head)) {
        return 0;
    }
    if (head.type != PACK_ARRAY) {
        return look_at(search, value, false);
    }
    for (uint32_t i = 0; i < head.count && r == 0 && pack_take(&cursor, &schema); i++) {
        r = look_at(search, schema, false);
    }
    return r;
}

/* What a keyword holds; everything that is not named here holds no schemas. */
static int look_into(struct search *search, struct slice keyword, struct slice value)
{
    static const char *const maps[] = {"patternProperties", "$defs", "definitions",
                                       "dependentSchemas"};
    static const char *const values[] = {"items",
                                         "prefixItems",
                                         "additionalItems",
                                         "allOf",
                                         "anyOf",
                                         "oneOf",
                                         "not",
                                         "if",
                                         "then",
                                         "else",
                                         "contains",
                                         "additionalProperties",
                                         "propertyNames",
                                         "unevaluatedItems",
                                         "unevaluatedProperties"};
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
        if (slice_is(keyword, maps[i])) {
            return look_at_members(search, value, false);
        }
    }
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if (slice_is(keyword, values[i])) {
            return look_at_value(search, value);
        }
    }
    return 0;
}

static int look_at(struct search *search, struct slice schema, bool is_reachable)
{
    struct pack cursor = pack_over(schema);
    struct pack_item head;
    struct slice keyword;
    struct slice value;
    int r = 0;
    if (!pack_next(&cursor, &head) || head.type != PACK_MAP) {
        return 0;
    }
    for (uint32_t i = 0; i < head.count && r == 0; i++) {
        if (!pack_next_text(&cursor, &keyword) || !pack_take(&cursor, &value)) {
            return 0;
        }
        if (slice_is(keyword, KEYWORD)) {
            r = take(search, schema, value, is_reachable);
        } else if (slice_is(keyword, "properties")) {
            r = look_at_members(search, value, is_reachable);
        } else {
            r = look_into(search, keyword, value);
        }
    }
    return r;
}

/* ---- keeping ----------------------------------------------------------------------------- */

static struct slice keep(char **at, struct slice text)
{
    struct slice kept = {*at, text.len};
    if (text.len) {
        memcpy(*at, text.ptr, text.len);
    }
    *at += text.len;
    return kept;
}

/* One piece of memory: the list, the paths, the names. */
static struct param_headers *keep_all(const struct search *search)
{
    size_t list = sizeof(struct param_headers) + search->count * sizeof(struct param);
    size_t paths = search->used * sizeof(struct slice);
    struct param_headers *headers = mem_try(list + paths + search->bytes);
    if (!headers) {
        return NULL;
    }
    struct slice *path = (struct slice *)(void *)((char *)headers + list);
    char *bytes = (char *)path + paths;
    headers->count = search->count;
    for (unsigned i = 0; i < search->count; i++) {
        const struct param *found = &search->found[i];
        headers->list[i] = (struct param){keep(&bytes, found->name), path, found->depth};
        for (unsigned j = 0; j < found->depth; j++) {
            *path++ = keep(&bytes, found->path[j]);
        }
    }
    return headers;
}

int param_headers_compile(struct slice input_schema, struct param_headers **ret,
                          struct err *reterr)
{
    *ret = NULL;
    /* Nearly no schema has one. */
    if (!input_schema.len ||
        !memmem(input_schema.ptr, input_schema.len, KEYWORD, sizeof KEYWORD - 1)) {
        return 0;
    }
    struct search *search = mem_new_raw(sizeof *search);
    search->count = search->used = search->depth = 0;
    search->bytes = 0;
    search->err = reterr;
    int r = look_at(search, input_schema, true);
    if (r == 0 && search->count) {
        *ret = keep_all(search);
        if (!*ret) {
            r = err_set(reterr, ERR_OVERLOADED, "there is no memory for the tool's headers");
        }
    }
    mem_free(search);
    return r;
}

void param_headers_free(struct param_headers *headers)
{
    mem_free(headers);
}

/* ---- values ------------------------------------------------------------------------------ */

static bool find(struct slice arguments, const struct param *param, struct slice *ret)
{
    *ret = arguments;
    for (unsigned depth = 0; depth < param->depth; depth++) {
        struct pack cursor = pack_over(*ret);
        struct pack_item head;
        struct slice key;
        bool found = false;
        if (!pack_next(&cursor, &head) || head.type != PACK_MAP) {
            return false;
        }
        for (uint32_t i = 0; i < head.count && !found; i++) {
            if (!pack_next_text(&cursor, &key) || !pack_take(&cursor, ret)) {
                return false;
            }
            found = slice_equal(key, param->path[depth]);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

/* False: it is nothing that goes into a header. `number` is room for its text. */
static bool as_text(struct slice value, char number[NUMBER], struct slice *ret)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    int64_t integer;
    if (!pack_next(&cursor, &item)) {
        return false;
    }
    switch (item.type) {
    case PACK_STR:
        *ret = item.text;
        return true;
    case PACK_BOOL:
        *ret = item.b ? SLICE("true") : SLICE("false");
        return true;
    case PACK_INT:
    case PACK_UINT:
    case PACK_FLOAT:
        if (item.type == PACK_UINT) {
            (void)snprintf(number, NUMBER, "%llu", (unsigned long long)item.u);
        } else if (pack_as_int(&item, &integer)) {
            (void)snprintf(number, NUMBER, "%lld", (long long)integer);
        } else {
            return false;
        }
        *ret = slice_of(number);
        return true;
    default:
        return false;
    }
}

unsigned param_headers_fill(const struct param_headers *headers, struct slice arguments,
                            struct mcp_param_header *ret, struct buf *text)
{
    unsigned count = 0;
    /* What is pointed to must not move: there is room for every number before the first. */
    if (!headers || !buf_reserve(text, headers->count * (size_t)NUMBER)) {
        return 0;
    }
    for (unsigned i = 0; i < headers->count; i++) {
        struct slice value;
        struct slice shown;
        char number[NUMBER];
        if (!find(arguments, &headers->list[i], &value) || !as_text(value, number, &shown)) {
            continue;
        }
        if (shown.ptr == number) {
            const char *at = text->data + text->len;
            buf_put_slice(text, shown);
            shown.ptr = at;
        }
        ret[count++] = (struct mcp_param_header){headers->list[i].name, shown};
    }
    return count;
}
