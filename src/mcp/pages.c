/* SPDX-License-Identifier: MIT */
/* pages.c - follows the cursors of a list, none of them twice. */
#include "mcp/pages.h"

#include "value/pack.h"

#define PAGES_MAX    1000u
#define CURSOR_BYTES ((size_t)64 * 1024)

void pages_init(struct pages *pages)
{
    *pages = (struct pages){.count = 0};
    buf_init(&pages->cursor, CURSOR_BYTES);
    map_init(&pages->followed);
}

void pages_done(struct pages *pages)
{
    buf_done(&pages->cursor);
    map_done(&pages->followed);
}

void pages_restart(struct pages *pages)
{
    pages->count = 0;
    pages->has_cursor = false;
    map_done(&pages->followed);
    map_init(&pages->followed);
}

bool pages_take(struct pages *pages, struct slice result, const char **fault)
{
    static char followed;
    struct slice value;
    struct slice cursor;
    if (!pack_get(result, "nextCursor", &value) || pack_peek(pack_over(value)) == PACK_NIL) {
        return false;
    }
    if (!pack_get_text(result, "nextCursor", &cursor)) {
        *fault = "`nextCursor` is no string";
    } else if (map_get_id(&pages->followed, map_hash(cursor.ptr, cursor.len))) {
        *fault = "the server gives the same cursor again and again";
    } else if (++pages->count >= PAGES_MAX) {
        *fault = "there are more than 1000 pages";
    } else {
        buf_clear(&pages->cursor);
        buf_put_slice(&pages->cursor, cursor);
        if (pages->cursor.overflow) {
            *fault = "`nextCursor` is longer than 64 KiB";
            return false;
        }
        map_set_id(&pages->followed, map_hash(cursor.ptr, cursor.len), &followed);
        pages->has_cursor = true;
        return true;
    }
    return false;
}

struct slice pages_cursor(const struct pages *pages)
{
    if (!pages->has_cursor) {
        return (struct slice){NULL, 0};
    }
    return pages->cursor.len ? buf_slice(&pages->cursor) : SLICE("");
}
