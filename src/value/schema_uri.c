/* SPDX-License-Identifier: MIT */
/* schema_uri.c - references to URIs, resolved as RFC 3986 section 5.2 says. */
#include "value/schema_compiler.h"

struct uri {
    struct slice scheme, authority, path, query;
    bool has_authority, has_query;
};

static bool is_scheme(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_other = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
        if (!is_letter && !(i && is_other)) {
            return false;
        }
    }
    return text.len != 0;
}

/* Takes what stands before the first of `ends`, or all. */
static struct slice take_until(struct slice *rest, const char *ends)
{
    size_t len = 0;
    while (len < rest->len && !strchr(ends, rest->ptr[len])) {
        len++;
    }
    struct slice part = {rest->ptr, len};
    *rest = (struct slice){rest->ptr + len, rest->len - len};
    return part;
}

static struct uri split(struct slice text)
{
    struct uri uri = {.has_query = false};
    struct slice rest = {text.ptr ? text.ptr : "", text.len};
    text = rest;
    struct slice scheme = take_until(&rest, ":/?");
    if (rest.len && rest.ptr[0] == ':' && is_scheme(scheme)) {
        uri.scheme = scheme;
        rest = (struct slice){rest.ptr + 1, rest.len - 1};
    } else {
        rest = text;
    }
    if (slice_starts(rest, "//")) {
        rest = (struct slice){rest.ptr + 2, rest.len - 2};
        uri.authority = take_until(&rest, "/?");
        uri.has_authority = true;
    }
    uri.path = take_until(&rest, "?");
    if (rest.len) {
        uri.query = (struct slice){rest.ptr + 1, rest.len - 1};
        uri.has_query = true;
    }
    return uri;
}

/* Appends a path without its "." and ".." segments. */
static void put_path(struct buf *out, struct slice path)
{
    size_t begin = out->len;
    bool is_absolute = path.len && path.ptr[0] == '/';
    struct slice rest = path;
    while (rest.len) {
        bool has_slash = rest.ptr[0] == '/';
        rest = (struct slice){rest.ptr + has_slash, rest.len - has_slash};
        struct slice segment = take_until(&rest, "/");
        bool is_up = slice_is(segment, "..");
        if (is_up) {
            while (out->len > begin && out->data[out->len - 1] != '/') {
                out->len--;
            }
            out->len -= out->len > begin;
        }
        if (!is_up && !slice_is(segment, ".")) {
            if (has_slash && (out->len > begin || is_absolute)) {
                buf_put_byte(out, '/');
            }
            buf_put_slice(out, segment);
        } else if (!rest.len) {
            buf_put_byte(out, '/');
        }
    }
}

static void put_merged(struct buf *out, const struct uri *base, struct slice path)
{
    struct buf whole;
    buf_init(&whole, out->max);
    size_t keep = base->path.len;
    while (keep && base->path.ptr[keep - 1] != '/') {
        keep--;
    }
    if (!base->path.len && base->has_authority) {
        buf_put_byte(&whole, '/');
    }
    buf_put(&whole, base->path.ptr, keep);
    buf_put_slice(&whole, path);
    put_path(out, buf_slice(&whole));
    out->overflow = out->overflow || whole.overflow;
    buf_done(&whole);
}

void schema_uri_resolve(struct slice base_uri, struct slice ref_uri, struct buf *out)
{
    struct uri base = split(base_uri);
    struct uri ref = split(ref_uri);
    const struct uri *from = ref.scheme.len || ref.has_authority ? &ref : &base;
    struct slice scheme = ref.scheme.len ? ref.scheme : base.scheme;
    if (scheme.len) {
        buf_put_slice(out, scheme);
        buf_put_byte(out, ':');
    }
    if (from->has_authority) {
        buf_put_text(out, "//");
        buf_put_slice(out, from->authority);
    }
    bool is_whole = from == &ref || slice_starts(ref.path, "/");
    if (from == &ref && ref.scheme.len && !ref.has_authority && !slice_starts(ref.path, "/")) {
        buf_put_slice(out, ref.path); /* a URN: its path has no segments */
    } else if (is_whole) {
        put_path(out, ref.path);
    } else if (ref.path.len) {
        put_merged(out, &base, ref.path);
    } else {
        buf_put_slice(out, base.path);
        if (!ref.has_query && base.has_query) {
            ref.query = base.query;
            ref.has_query = true;
        }
    }
    if (ref.has_query) {
        buf_put_byte(out, '?');
        buf_put_slice(out, ref.query);
    }
}
