/* SPDX-License-Identifier: MIT */
/* schema_check_rare.c - checks of keywords that few schemas use: names by pattern, contains, what
 * depends on a member, and what nothing else evaluated. */
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

/* ---- what is evaluated ------------------------------------------------------------------- */

struct marker {
    struct schema_run *run;
    struct schema_marks *marks;
    struct pack start, members; /* the value, and behind its header */
    uint32_t count;
    bool is_map;
};

static void set(struct marker *m, uint32_t place)
{
    m->marks->bits[place / 64] |= (uint64_t)1 << (place % 64);
}

static void set_first(struct marker *m, uint32_t count)
{
    for (uint32_t i = 0; i < count && i < m->count; i++) {
        set(m, i);
    }
}

static bool is_matched(struct schema_run *run, const struct schema_names *names,
                       struct slice name)
{
    for (uint32_t i = 0; names && i < names->count; i++) {
        if (schema_pattern_fits(run, names->matched[i].pattern, name)) {
            return true;
        }
    }
    return false;
}

static void mark_members(struct marker *m, const struct schema_objects *objects)
{
    struct pack cursor = m->members;
    if (objects->has_additional) {
        set_first(m, m->count);
        return;
    }
    for (uint32_t i = 0; i < m->count && schema_spend(m->run, 1); i++) {
        struct slice name;
        if (!pack_next_text(&cursor, &name) || !schema_skip(m->run, &cursor)) {
            return;
        }
        const struct schema_field *field = schema_find_field(objects, name);
        if ((field && field->is_property) || is_matched(m->run, objects->names, name)) {
            set(m, i);
        }
    }
}

static void mark_items(struct marker *m, const struct schema_arrays *arrays)
{
    struct pack cursor = m->members;
    set_first(m, arrays->has_items ? m->count : arrays->prefix.count);
    for (uint32_t i = 0; arrays->contains && i < m->count && schema_spend(m->run, 1); i++) {
        if (fits(m->run, arrays->contains->node, cursor)) {
            set(m, i);
        }
        if (!schema_skip(m->run, &cursor)) {
            return;
        }
    }
}

static void mark_node(struct marker *m, const struct schema_node *node);

static void mark_if_fits(struct marker *m, const struct schema_node *node)
{
    if (fits(m->run, node, m->start)) {
        mark_node(m, node);
    }
}

static void mark_logic(struct marker *m, const struct schema_logic *logic)
{
    for (uint32_t i = 0; i < logic->all_of.count; i++) {
        mark_node(m, logic->all_of.at[i]);
    }
    for (uint32_t i = 0; i < logic->any_of.count; i++) {
        mark_if_fits(m, logic->any_of.at[i]);
    }
    for (uint32_t i = 0; i < logic->one_of.count; i++) {
        mark_if_fits(m, logic->one_of.at[i]);
    }
    for (uint32_t i = 0; i < logic->dependent_count && m->is_map; i++) {
        struct pack member;
        const struct schema_dependent *dependent = &logic->dependents[i];
        if (dependent->node &&
            schema_find_member(m->run, m->count, m->members, dependent->name, &member)) {
            mark_node(m, dependent->node);
        }
    }
    if (logic->if_) {
        bool is_fit = fits(m->run, logic->if_, m->start);
        const struct schema_node *next = is_fit ? logic->then_ : logic->else_;
        if (is_fit) {
            mark_node(m, logic->if_);
        }
        if (next) {
            mark_node(m, next);
        }
    }
}

/* As for the outermost node, but what nothing evaluates is evaluated by its unevaluated... */
static void mark_all_of(struct marker *m, const struct schema_node *node)
{
    if (m->is_map && node->objects) {
        mark_members(m, node->objects);
    } else if (!m->is_map && node->arrays) {
        mark_items(m, node->arrays);
    }
    if (node->logic) {
        mark_logic(m, node->logic);
    }
}

/* Of a node that fits. Chains of nodes are short, see SCHEMA_CHAIN_MAX. */
static void mark_node(struct marker *m, const struct schema_node *node)
{
    const struct schema_logic *logic = node->logic;
    bool is_rest = logic && (m->is_map ? logic->unevaluated_properties != NULL
                                       : logic->unevaluated_items != NULL);
    if (!schema_spend(m->run, 1)) {
        return;
    }
    if (is_rest) {
        set_first(m, m->count); /* what nothing else evaluates, this does */
    } else {
        mark_all_of(m, node);
    }
}

bool schema_mark(struct schema_run *run, const struct schema_node *node, struct pack start,
                 struct schema_marks *ret)
{
    struct pack cursor = start;
    struct pack_item item;
    ret->bits = ret->few;
    ret->count = 0;
    if (!pack_next(&cursor, &item) || (item.type != PACK_MAP && item.type != PACK_ARRAY) ||
        (size_t)(cursor.end - cursor.at) < item.count) {
        return false;
    }
    size_t words = (size_t)item.count / 64 + 1;
    if (words > sizeof ret->few / sizeof *ret->few) {
        ret->bits = mem_try(words * sizeof *ret->bits);
    }
    if (!ret->bits || !schema_spend(run, words)) {
        return schema_exhaust(run);
    }
    memset(ret->bits, 0, words * sizeof *ret->bits);
    ret->count = item.count;
    struct marker m = {run, ret, start, cursor, item.count, item.type == PACK_MAP};
    mark_all_of(&m, node);
    return !run->is_exhausted;
}

void schema_marks_done(struct schema_marks *marks)
{
    if (marks->bits != marks->few) {
        mem_free(marks->bits);
    }
    marks->bits = NULL;
}

static bool check_rest(struct schema_run *run, const struct schema_rest *rest,
                       const struct schema_marks *marks, struct pack cursor, bool is_map)
{
    for (uint32_t i = 0; i < marks->count; i++) {
        if (is_map && !schema_skip(run, &cursor)) {
            return false;
        }
        if (!schema_is_marked(marks, i) && !fits(run, rest->node, cursor)) {
            return false;
        }
        if (!schema_skip(run, &cursor)) {
            return false;
        }
    }
    return true;
}

bool schema_check_unevaluated(struct schema_run *run, const struct schema_node *node,
                              struct pack start)
{
    struct schema_marks marks;
    struct pack cursor = start;
    struct pack_item item;
    if (!pack_next(&cursor, &item)) {
        return false;
    }
    const struct schema_rest *rest = item.type == PACK_MAP ? node->logic->unevaluated_properties
                                     : item.type == PACK_ARRAY ? node->logic->unevaluated_items
                                                               : NULL;
    if (!rest || !rest->node) {
        return true;
    }
    bool is_fit = schema_mark(run, node, start, &marks) &&
                  check_rest(run, rest, &marks, cursor, item.type == PACK_MAP);
    schema_marks_done(&marks);
    return is_fit;
}
