/* SPDX-License-Identifier: MIT */
/* detail.c - finds one detail of a failure. */
#include "mcp/detail.h"

#include "value/pack.h"

bool detail_find(const struct failure *failure, const char *key, struct slice *ret)
{
    struct pack cursor = pack_over(buf_slice(&failure->details));
    struct slice name;
    struct slice value;
    for (uint32_t i = 0; i < failure->details_count; i++) {
        if (!pack_next_text(&cursor, &name) || !pack_take(&cursor, &value)) {
            return false;
        }
        if (slice_is(name, key)) {
            *ret = value;
            return true;
        }
    }
    return false;
}
