/* SPDX-License-Identifier: MIT */
/* rate_usage.c - X-App-Usage and its kin: shares of a quota that are used, as JSON. */
#include "resilience/rate_internal.h"

#include "value/json.h"
#include "value/pack.h"

#define USAGE_BYTES 8192u
#define USAGE_DEPTH 8

/* Fractions count as a whole: nearly used up is used up. -1: no number, or none that can be. */
static int64_t number_of(const struct pack_item *item)
{
    int64_t whole;
    if (pack_as_int(item, &whole)) {
        return whole;
    }
    if (item->type == PACK_FLOAT && item->f > 0 && item->f < 1e9) {
        return (int64_t)item->f + 1;
    }
    return -1;
}

static bool is_share(struct slice key)
{
    return slice_is(key, "call_count") || slice_is(key, "total_time") ||
           slice_is(key, "total_cputime");
}

/* One map of shares, or maps of lists of them: the keys mean the same at any depth. */
void rate_read_usage(struct rate_fields *fields, struct slice text, uint32_t id)
{
    struct buf packed;
    struct err err;
    struct slice key = {NULL, 0};
    int64_t used = -1, minutes = -1;
    if (text.len > USAGE_BYTES) {
        return;
    }
    buf_init(&packed, (size_t)2 * USAGE_BYTES);
    if (json_to_pack(text, USAGE_DEPTH, &packed, &err) == 0) {
        struct pack cursor = pack_over(buf_slice(&packed));
        for (struct pack_item item; pack_next(&cursor, &item);) {
            int64_t number = number_of(&item);
            if (is_share(key)) {
                used = number > used ? number : used;
            } else if (slice_is(key, "estimated_time_to_regain_access")) {
                minutes = number > minutes ? number : minutes;
            }
            key = item.type == PACK_STR ? item.text : (struct slice){NULL, 0};
        }
    }
    buf_done(&packed);
    if (used >= 0) {
        rate_tell(fields, id, RATE_LIMIT, 100);
        rate_tell(fields, id, RATE_REMAINING, used < 100 ? 100 - used : 0);
    }
    if (minutes > 0) {
        int64_t most = RATE_WAIT_MAX_MS / 60000;
        rate_tell(fields, id, RATE_RESET, (minutes < most ? minutes : most) * 60000);
    }
}
