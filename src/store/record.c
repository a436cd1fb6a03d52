/* SPDX-License-Identifier: MIT */
/* record.c - writes and reads the record of one call. */
#include "store/record.h"

#include <stdio.h>

#define FIELDS   13u
#define TEXT_MAX 255u

struct slice record_cut(struct slice text, size_t most)
{
    if (text.len <= most) {
        return text;
    }
    for (unsigned i = 0; i < 3 && most && ((unsigned char)text.ptr[most] & 0xc0) == 0x80; i++) {
        most--;
    }
    return (struct slice){text.ptr, most};
}

static inline void put_text(struct buf *out, struct slice text)
{
    pack_put_str(out, record_cut(text, TEXT_MAX));
}

void record_put(const struct store_activity *activity, struct buf *out)
{
    pack_put_array(out, FIELDS);
    pack_put_int(out, activity->at);
    pack_put_uint(out, activity->request_id);
    pack_put_int(out, activity->took_us);
    pack_put_uint(out, activity->attempts);
    pack_put_uint(out, activity->uid);
    pack_put_uint(out, activity->pid);
    put_text(out, activity->method);
    put_text(out, activity->agent);
    put_text(out, activity->user);
    put_text(out, activity->service);
    put_text(out, activity->tool);
    put_text(out, slice_of(activity->outcome));
    put_text(out, activity->fallback_from);
}

static bool next_int(struct pack *cursor, int64_t *ret)
{
    struct pack_item item;
    return pack_next(cursor, &item) && pack_as_int(&item, ret);
}

static bool next_uint(struct pack *cursor, uint64_t *ret)
{
    struct pack_item item;
    return pack_next(cursor, &item) && pack_as_uint(&item, ret);
}

bool record_next(struct pack *cursor, struct record *ret)
{
    struct pack_item item;
    return pack_next(cursor, &item) && item.type == PACK_ARRAY && item.count == FIELDS &&
           next_int(cursor, &ret->at) && next_uint(cursor, &ret->request_id) &&
           next_int(cursor, &ret->took_us) && next_int(cursor, &ret->attempts) &&
           next_int(cursor, &ret->uid) && next_int(cursor, &ret->pid) &&
           pack_next_text(cursor, &ret->method) && pack_next_text(cursor, &ret->agent) &&
           pack_next_text(cursor, &ret->user) && pack_next_text(cursor, &ret->service) &&
           pack_next_text(cursor, &ret->tool) && pack_next_text(cursor, &ret->outcome) &&
           pack_next_text(cursor, &ret->fallback_from);
}

/* ---- asking ------------------------------------------------------------------------------ */

static bool has_failed(struct slice outcome)
{
    return !slice_is(outcome, "live") && !slice_is(outcome, "demo") &&
           !slice_is(outcome, "cache") && !slice_is(outcome, "fallback");
}

static bool is_wanted(struct slice text, struct slice wanted)
{
    return !wanted.len || slice_equal(text, wanted);
}

bool record_fits(const struct record *record, const struct store_query *query)
{
    return (!query->since || record->at >= query->since) &&
           (!query->until || record->at <= query->until) &&
           is_wanted(record->service, query->service) &&
           is_wanted(record->agent, query->agent) && is_wanted(record->user, query->user) &&
           is_wanted(record->tool, query->tool) &&
           (slice_is(query->outcome, "failed") ? has_failed(record->outcome)
                                               : is_wanted(record->outcome, query->outcome));
}

void record_put_row(const struct record *record, int64_t id, struct buf *out)
{
    char time[CLOCK_TEXT];
    char request[17];
    clock_format(record->at, time);
    (void)snprintf(request, sizeof request, "%016llx", (unsigned long long)record->request_id);
    pack_put_map(out, 13u + (record->fallback_from.len > 0));
    pack_put_key_int(out, "id", id);
    pack_put_key_text(out, "time", time);
    pack_put_key_text(out, "request_id", request);
    pack_put_key_str(out, "method", record->method);
    pack_put_key_str(out, "agent", record->agent);
    pack_put_key_str(out, "user", record->user);
    pack_put_key_str(out, "service", record->service);
    pack_put_key_str(out, "tool", record->tool);
    pack_put_key_str(out, "outcome", record->outcome);
    pack_put_key_int(out, "ms", record->took_us / 1000);
    pack_put_key_int(out, "attempts", record->attempts);
    pack_put_key_int(out, "uid", record->uid);
    pack_put_key_int(out, "pid", record->pid);
    if (record->fallback_from.len) {
        pack_put_key_str(out, "fallback_from", record->fallback_from);
    }
}
