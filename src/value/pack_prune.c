/* SPDX-License-Identifier: MIT */
/* pack_prune.c - a value without the members of its maps that are nil. */
#include "value/pack.h"

static void prune(struct pack *cursor, struct buf *out)
{
    const unsigned char *from = cursor->at;
    struct pack_item item;
    if (!pack_next(cursor, &item)) {
        return;
    }
    if (item.type == PACK_ARRAY) {
        pack_put_array(out, item.count);
        for (uint32_t i = 0; i < item.count; i++) {
            prune(cursor, out);
        }
        return;
    }
    if (item.type != PACK_MAP) {
        buf_put(out, from, (size_t)(cursor->at - from));
        return;
    }
    size_t opened = pack_open(out);
    uint32_t count = 0;
    for (uint32_t i = 0; i < item.count; i++) {
        struct slice key;
        if (!pack_take(cursor, &key)) {
            break;
        }
        if (pack_peek(*cursor) == PACK_NIL) {
            (void)pack_skip(cursor);
            continue;
        }
        buf_put_slice(out, key);
        prune(cursor, out);
        count++;
    }
    pack_close_map(out, opened, count);
}

void pack_put_pruned(struct buf *out, struct slice value)
{
    struct pack cursor = pack_over(value);
    prune(&cursor, out);
}
