/* SPDX-License-Identifier: MIT */
/* schema_check_rare.c - checks of keywords that few schemas use: names by pattern, contains, and what
 * depends on a member. */
#include "base/text.h"
#include "value/schema_pattern.h"

/* ---- texts ------------------------------------------------------------------------------- */

bool schema_text_matches(struct schema_run *run, const struct schema_pattern *pattern,
                         const struct pack_item *item)
{
    if (item->type == PACK_STR) {
        return schema_pattern_fits(run, pattern, item->text);
    }
    struct buf base64; /* what binary data becomes */
    buf_init(&base64, item->text.len / 3 * 4 + 64);
    text_put_base64(&base64, item->text);
    bool is_fit = base64.overflow ? schema_exhaust(run)
                                  : schema_pattern_fits(run, pattern, buf_slice(&base64));
    buf_done(&base64);
    return is_fit;
}

/* ---- members by name --------------------------------------------------------------------- */

static bool fits(struct schema_run *run, const struct schema_node *node, struct pack at)
{
    return !node || schema_check(run, node, &at);
}

static bool check_named_member(struct schema_run *run, const struct schema_objects *objects,
                               const struct schema_field *field, struct slice name,
                               struct pack value)
{
    const struct schema_names *names = objects->names;
    bool is_known = field && field->is_property;
    if (is_known && !fits(run, field->node, value)) {
        return false;
    }
    for (uint32_t i = 0; names && i < names->count; i++) {
        if (schema_pattern_fits(run, names->matched[i].pattern, name)) {
            is_known = true;
            if (!fits(run, names->matched[i].node, value)) {
                return false;
            }
        }
    }
    return is_known || fits(run, objects->additional, value);
}

static bool has_all(const uint64_t *seen, uint32_t required)
{
    for (; required >= 64; required -= 64) {
        if (~*seen++) {
            return false;
        }
    }
    return !required || *seen == ((uint64_t)1 << required) - 1;
}

bool schema_check_object_rare(struct schema_run *run, const struct schema_objects *objects,
                              uint32_t count, struct pack *cursor)
{
    uint64_t seen[SCHEMA_REQUIRED_MAX / 64] = {0};
    for (; count; count--) {
        struct pack key = *cursor;
        struct slice name;
        if (!pack_next_text(cursor, &name) ||
            (objects->names && !fits(run, objects->names->every, key))) {
            return false;
        }
        const struct schema_field *field = schema_find_field(objects, name);
        if (field && field->required != SCHEMA_OPTIONAL) {
            seen[field->required / 64] |= (uint64_t)1 << (field->required % 64);
        }
        if (!check_named_member(run, objects, field, name, *cursor) ||
            !schema_skip(run, cursor)) {
            return false;
        }
    }
    return has_all(seen, objects->required);
}

bool schema_find_member(struct schema_run *run, uint32_t count, struct pack cursor,
                        struct slice name, struct pack *ret)
{
    for (; count; count--) {
        struct slice key;
        if (!schema_spend(run, 1) || !pack_next_text(&cursor, &key)) {
            return false;
        }
        if (slice_equal(key, name)) {
            *ret = cursor;
            return true;
        }
        if (!schema_skip(run, &cursor)) {
            return false;
        }
    }
    return false;
}

bool schema_check_dependent(struct schema_run *run, const struct schema_dependent *dependent,
                            struct pack start)
{
    struct pack cursor = start;
    struct pack member;
    struct pack_item item;
    bool is_there = pack_next(&cursor, &item) && item.type == PACK_MAP &&
                    schema_find_member(run, item.count, cursor, dependent->name, &member);
    if (!is_there) {
        return !run->is_exhausted;
    }
    for (uint32_t i = 0; i < dependent->count; i++) {
        if (!schema_find_member(run, item.count, cursor, dependent->required[i], &member)) {
            return false;
        }
    }
    return fits(run, dependent->node, start);
}

/* ---- items ------------------------------------------------------------------------------- */

uint64_t schema_count_contained(struct schema_run *run, const struct schema_contains *contains,
                                uint32_t count, struct pack cursor)
{
    uint64_t found = 0;
    for (; count && !run->is_exhausted; count--) {
        found += fits(run, contains->node, cursor);
        if (!schema_skip(run, &cursor)) {
            break;
        }
    }
    return found;
}
