/* SPDX-License-Identifier: MIT */
/* schema_evaluate.c - checks a value and notes which of its members some keyword looked at: what
 * unevaluatedProperties and unevaluatedItems are about. Each schema is checked once. */
#include "value/schema_pattern.h"

/* The value that is looked at. */
struct marker {
    struct schema_run *run;
    struct pack start, members; /* the value, and behind its header */
    uint32_t count;
    bool is_map;
};

static bool evaluate(struct marker *m, const struct schema_node *node, uint64_t *bits);

static bool fits(const struct marker *m, const struct schema_node *node, struct pack at)
{
    return !node || schema_check(m->run, node, &at);
}

/* ---- marks ------------------------------------------------------------------------------- */

static size_t words_of(uint32_t count)
{
    return (size_t)count / 64 + 1;
}

static bool marks_init(struct schema_run *run, uint32_t count, struct schema_marks *marks)
{
    size_t words = words_of(count);
    bool is_many = words > sizeof marks->few / sizeof *marks->few;
    marks->count = count;
    marks->bits = is_many ? mem_try(words * sizeof *marks->bits) : marks->few;
    if (!marks->bits || !schema_spend(run, words)) {
        return schema_exhaust(run);
    }
    memset(marks->bits, 0, words * sizeof *marks->bits);
    return true;
}

void schema_marks_done(struct schema_marks *marks)
{
    if (marks->bits != marks->few) {
        mem_free(marks->bits);
    }
    marks->bits = NULL;
}

static void mark(uint64_t *bits, uint32_t place)
{
    bits[place / 64] |= (uint64_t)1 << (place % 64);
}

static void mark_first(const struct marker *m, uint64_t *bits, uint32_t count)
{
    count = count < m->count ? count : m->count;
    memset(bits, 0xff, (size_t)count / 64 * sizeof *bits);
    bits[count / 64] |= ((uint64_t)1 << (count % 64)) - 1;
}

/* ---- the node's own keywords ------------------------------------------------------------- */

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

static void mark_members(const struct marker *m, const struct schema_objects *objects,
                         uint64_t *bits)
{
    struct pack cursor = m->members;
    if (objects->has_additional) {
        mark_first(m, bits, m->count);
        return;
    }
    for (uint32_t i = 0; i < m->count && schema_spend(m->run, 1); i++) {
        struct slice name;
        if (!pack_next_text(&cursor, &name) || !schema_skip(m->run, &cursor)) {
            return;
        }
        const struct schema_field *field = schema_find_field(objects, name);
        if ((field && field->is_property) || is_matched(m->run, objects->names, name)) {
            mark(bits, i);
        }
    }
}

static void mark_items(const struct marker *m, const struct schema_arrays *arrays,
                       uint64_t *bits)
{
    struct pack cursor = m->members;
    mark_first(m, bits, arrays->has_items ? m->count : arrays->prefix.count);
    for (uint32_t i = 0; arrays->contains && i < m->count && schema_spend(m->run, 1); i++) {
        if (fits(m, arrays->contains->node, cursor)) {
            mark(bits, i);
        }
        if (!schema_skip(m->run, &cursor)) {
            return;
        }
    }
}

static bool evaluate_own(const struct marker *m, const struct schema_node *node, uint64_t *bits)
{
    struct schema_node own = *node;
    own.logic = NULL;
    own.has_rest = false;
    if (!fits(m, &own, m->start)) {
        return false;
    }
    if (m->is_map && node->objects) {
        mark_members(m, node->objects, bits);
    } else if (!m->is_map && node->arrays) {
        mark_items(m, node->arrays, bits);
    }
    return true;
}

/* ---- schemas applied to the same value --------------------------------------------------- */

/* One that need not fit: only if it does, its marks count. */
static bool evaluate_branch(struct marker *m, const struct schema_node *node, uint64_t *bits)
{
    struct schema_marks marks;
    bool is_fit = marks_init(m->run, m->count, &marks) && evaluate(m, node, marks.bits);
    for (size_t i = 0; is_fit && i < words_of(m->count); i++) {
        bits[i] |= marks.bits[i];
    }
    schema_marks_done(&marks);
    return is_fit;
}

static bool evaluate_list(struct marker *m, const struct schema_list *list, uint32_t most,
                          uint64_t *bits)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < list->count && found <= most; i++) {
        found += evaluate_branch(m, list->at[i], bits);
    }
    return !list->count || (found && found <= most);
}

static bool evaluate_dependents(struct marker *m, const struct schema_logic *logic,
                                uint64_t *bits)
{
    for (uint32_t i = 0; i < logic->dependent_count; i++) {
        struct schema_dependent dependent = logic->dependents[i];
        const struct schema_node *node = dependent.node;
        struct pack member;
        dependent.node = NULL;
        if (!schema_check_dependent(m->run, &dependent, m->start)) {
            return false;
        }
        bool is_there =
            node && m->is_map &&
            schema_find_member(m->run, m->count, m->members, dependent.name, &member);
        if (is_there && !evaluate(m, node, bits)) {
            return false;
        }
    }
    return true;
}

static bool evaluate_logic(struct marker *m, const struct schema_logic *logic, uint64_t *bits)
{
    for (uint32_t i = 0; i < logic->all_of.count; i++) {
        if (!evaluate(m, logic->all_of.at[i], bits)) {
            return false;
        }
    }
    if (!evaluate_list(m, &logic->any_of, UINT32_MAX, bits) ||
        !evaluate_list(m, &logic->one_of, 1, bits) ||
        (logic->not_ && fits(m, logic->not_, m->start)) ||
        !evaluate_dependents(m, logic, bits)) {
        return false;
    }
    if (!logic->if_) {
        return true;
    }
    bool is_then = evaluate_branch(m, logic->if_, bits);
    const struct schema_node *next = is_then ? logic->then_ : logic->else_;
    return !next || evaluate(m, next, bits);
}

/* ---- the rest ---------------------------------------------------------------------------- */

static bool check_rest(const struct marker *m, const struct schema_node *node,
                       const struct schema_marks *marks)
{
    struct pack cursor = m->members;
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->is_map && !schema_skip(m->run, &cursor)) {
            return false;
        }
        if (!schema_is_marked(marks, i) && !fits(m, node, cursor)) {
            return false;
        }
        if (!schema_skip(m->run, &cursor)) {
            return false;
        }
    }
    return true;
}

static bool evaluate_inside(struct marker *m, const struct schema_node *node, uint64_t *bits)
{
    return evaluate_own(m, node, bits) &&
           (!node->logic || evaluate_logic(m, node->logic, bits));
}

static const struct schema_rest *rest_of(const struct marker *m, const struct schema_node *node)
{
    if (!node->has_rest) {
        return NULL;
    }
    return m->is_map ? node->logic->unevaluated_properties : node->logic->unevaluated_items;
}

/* Whether the value fits; if so its members that the node evaluates are marked. Chains of nodes
 * are short, see SCHEMA_CHAIN_MAX. */
static bool evaluate(struct marker *m, const struct schema_node *node, uint64_t *bits)
{
    const struct schema_rest *rest = rest_of(m, node);
    struct schema_marks marks;
    if (!schema_spend(m->run, 1)) {
        return false;
    }
    if (!rest) {
        return evaluate_inside(m, node, bits);
    }
    bool is_fit = marks_init(m->run, m->count, &marks) &&
                  evaluate_inside(m, node, marks.bits) &&
                  (!rest->node || check_rest(m, rest->node, &marks));
    schema_marks_done(&marks);
    if (is_fit) {
        mark_first(m, bits, m->count); /* what nothing else evaluates, this does */
    }
    return is_fit;
}

static bool start_marker(struct schema_run *run, struct pack start, struct marker *ret)
{
    struct pack_item item;
    *ret = (struct marker){.run = run, .start = start, .members = start};
    bool is_read = pack_next(&ret->members, &item) &&
                   (item.type == PACK_MAP || item.type == PACK_ARRAY) &&
                   (size_t)(ret->members.end - ret->members.at) >= item.count;
    ret->count = is_read ? item.count : 0;
    ret->is_map = item.type == PACK_MAP;
    return is_read;
}

bool schema_mark(struct schema_run *run, const struct schema_node *node, struct pack start,
                 struct schema_marks *ret)
{
    struct marker m;
    ret->bits = ret->few;
    return start_marker(run, start, &m) && marks_init(run, m.count, ret) &&
           evaluate_inside(&m, node, ret->bits) && !run->is_exhausted;
}

bool schema_check_evaluating(struct schema_run *run, const struct schema_node *node,
                             struct pack start, struct pack *cursor)
{
    struct marker m;
    struct schema_marks marks = {.bits = NULL};
    bool is_fit = start_marker(run, start, &m) && marks_init(run, m.count, &marks) &&
                  evaluate(&m, node, marks.bits);
    schema_marks_done(&marks);
    *cursor = start;
    return is_fit && schema_skip(run, cursor);
}
