/* SPDX-License-Identifier: MIT */
/* detail.c - finds details of a failure. */
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

static bool find_item(const struct failure *failure, const char *key, struct pack_item *ret)
{
    struct slice value;
    if (!detail_find(failure, key, &value)) {
        return false;
    }
    struct pack cursor = pack_over(value);
    return pack_next(&cursor, ret);
}

bool detail_was_sent(const struct failure *failure)
{
    struct pack_item item;
    return !find_item(failure, "request_sent", &item) || item.type != PACK_BOOL || item.b;
}

int64_t detail_http_status(const struct failure *failure)
{
    struct pack_item item;
    int64_t status = 0;
    return find_item(failure, "http_status", &item) && pack_as_int(&item, &status) ? status : 0;
}
