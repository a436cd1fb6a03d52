/* SPDX-License-Identifier: MIT */
/* once_id.c - who asked with which key, and what was asked, as digests. */
#include "base/mem.h"
#include "call/once.h"
#include "value/pack.h"

#include <stdlib.h>
#include <string.h>

/* Longer arguments are compared byte for byte: sorting them would hold the loop. */
#define SORTED_MAX ((size_t)256 * 1024)

void once_id(struct slice agent, struct slice user, struct slice key, uint8_t out[SHA256_BYTES])
{
    struct digest digest;
    digest_init(&digest);
    digest_add_field(&digest, agent);
    digest_add_field(&digest, user);
    digest_add_field(&digest, key);
    digest_end(&digest, out);
}

/* ---- arguments in one form ----------------------------------------------------------------- */

struct member {
    struct slice key, value;
};

static int by_key(const void *a, const void *b)
{
    struct slice left = ((const struct member *)a)->key;
    struct slice right = ((const struct member *)b)->key;
    size_t shorter = left.len < right.len ? left.len : right.len;
    int order = shorter ? memcmp(left.ptr, right.ptr, shorter) : 0;
    return order ? order : (left.len > right.len) - (left.len < right.len);
}

static bool put_sorted(struct buf *out, struct pack *cursor);

static bool put_map(struct buf *out, struct pack *cursor, uint32_t count)
{
    struct member *members = mem_try((count ? count : 1) * sizeof *members);
    bool is_fine = members != NULL;
    for (uint32_t i = 0; is_fine && i < count; i++) {
        is_fine = pack_take(cursor, &members[i].key) && pack_take(cursor, &members[i].value);
    }
    if (is_fine) {
        qsort(members, count, sizeof *members, by_key);
        pack_put_map(out, count);
    }
    for (uint32_t i = 0; is_fine && i < count; i++) {
        struct pack key = pack_over(members[i].key);
        struct pack value = pack_over(members[i].value);
        is_fine = put_sorted(out, &key) && put_sorted(out, &value);
    }
    mem_free(members);
    return is_fine;
}

/* Numbers that are equal are written alike: 1 and 1.0, whatever their width. */
static void put_number(struct buf *out, const struct pack_item *item)
{
    int64_t number = 0;
    uint64_t natural = 0;
    if (pack_as_int(item, &number)) {
        pack_put_int(out, number);
    } else if (pack_as_uint(item, &natural)) {
        pack_put_uint(out, natural);
    } else {
        pack_put_float(out, item->f);
    }
}

/* Nesting is bounded by limits.frame_depth. */
static bool put_sorted(struct buf *out, struct pack *cursor) /* NOLINT(misc-no-recursion) */
{
    struct pack_item item;
    const struct pack before = *cursor;
    struct slice whole;
    if (!pack_next(cursor, &item)) {
        return false;
    }
    switch (item.type) {
    case PACK_MAP:
        return put_map(out, cursor, item.count);
    case PACK_ARRAY:
        pack_put_array(out, item.count);
        for (uint32_t i = 0; i < item.count; i++) {
            if (!put_sorted(out, cursor)) {
                return false;
            }
        }
        return true;
    case PACK_INT:
    case PACK_UINT:
    case PACK_FLOAT:
        put_number(out, &item);
        return true;
    case PACK_STR:
        pack_put_str(out, item.text);
        return true;
    default:
        *cursor = before;
        if (!pack_take(cursor, &whole)) {
            return false;
        }
        buf_put_slice(out, whole);
        return true;
    }
}

void once_fingerprint(struct slice service, struct slice tool, struct slice arguments,
                      uint8_t out[SHA256_BYTES])
{
    struct digest digest;
    struct buf sorted;
    const char *slash = service.len || !tool.len ? NULL : memchr(tool.ptr, '/', tool.len);
    if (slash) {
        service = (struct slice){tool.ptr, (size_t)(slash - tool.ptr)};
        tool = (struct slice){slash + 1, tool.len - service.len - 1};
    }
    buf_init(&sorted, 2 * SORTED_MAX);
    struct pack cursor = pack_over(arguments);
    bool is_sorted = arguments.len && arguments.len <= SORTED_MAX &&
                     put_sorted(&sorted, &cursor) && !sorted.overflow;
    if (!arguments.len) {
        pack_put_map(&sorted, 0); /* none given is none */
        is_sorted = true;
    }
    digest_init(&digest);
    digest_add_field(&digest, service);
    digest_add_field(&digest, tool);
    digest_add_field(&digest, is_sorted ? buf_slice(&sorted) : arguments);
    digest_end(&digest, out);
    buf_done(&sorted);
}
