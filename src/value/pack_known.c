/* SPDX-License-Identifier: MIT */
/* pack_known.c - finds the long containers of a value, and remembers them for a while. */
#include "value/pack_known.h"

#include "value/pack_extent.h"

_Thread_local const struct pack_known *pack_knows;

void pack_know(const struct pack_known *known)
{
    pack_knows = known && known->count ? known : NULL;
}

bool pack_jump(struct pack *cursor)
{
    for (unsigned i = 0; i < pack_knows->count; i++) {
        const struct slice *one = &pack_knows->list[i];
        if (one->ptr == (const char *)cursor->at) {
            bool is_inside = one->len <= (size_t)(cursor->end - cursor->at);
            cursor->at += is_inside ? one->len : 0;
            return is_inside;
        }
    }
    return false;
}

static void note(struct pack_known *known, const char *from, const unsigned char *to,
                 size_t least)
{
    size_t len = (size_t)((const char *)to - from);
    if (len >= least && known->count < PACK_KNOWN_MAX) {
        known->list[known->count++] = (struct slice){from, len};
    }
}

void pack_note_long(struct slice value, struct pack_known *ret)
{
    struct {
        const char *from;
        uint64_t left;
    } open[PACK_KNOWN_LEVELS];
    struct pack cursor = pack_over(value);
    size_t least = value.len / PACK_KNOWN_SHARE + 1;
    unsigned depth = 0;
    ret->count = 0;
    do {
        struct pack_extent extent;
        const unsigned char *at = cursor.at;
        size_t room = (size_t)(cursor.end - at);
        if (!room || pack_measure(at, room, &extent) != PACK_EXTENT_OK ||
            extent.length > room) {
            return;
        }
        if (extent.children && depth < PACK_KNOWN_LEVELS) {
            open[depth].from = (const char *)at;
            open[depth++].left = extent.children;
            cursor.at += extent.length;
            continue;
        }
        if (!pack_skip(&cursor)) {
            return;
        }
        while (depth && !--open[depth - 1].left) {
            depth--;
            note(ret, open[depth].from, cursor.at, least);
        }
    } while (depth);
}
