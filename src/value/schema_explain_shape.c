/* SPDX-License-Identifier: MIT */
/* schema_explain_shape.c - says what is wrong with the members of arrays and objects. */
#include "base/text.h"
#include "value/schema_explainer.h"
#include "value/schema_pattern.h"
#include "value/schema_words.h"

/* ---- arrays ----------------------------------------------------------------------------- */

static void explain_contains(struct explainer *e, const struct schema_contains *contains,
                             uint32_t count, struct pack items, struct pack at)
{
    uint64_t found = schema_count_contained(&e->run, contains, count, items);
    if (found >= contains->least && found <= contains->most) {
        return;
    }
    bool is_few = found < contains->least;
    struct schema_fault *fault = explain_add(e, &at);
    explain_expect(fault, "at %s %llu of the items to be: ", is_few ? "least" : "most",
                   (unsigned long long)(is_few ? contains->least : contains->most));
    explain_expect_node(fault, contains->node);
    if (fault) {
        fault->received[0] = '\0';
        words_put(fault->received, sizeof fault->received, "%llu of %u items",
                  (unsigned long long)found, (unsigned)count);
    }
}

void explain_array(struct explainer *e, const struct schema_arrays *arrays, uint32_t count,
                   struct pack at)
{
    struct pack cursor = at;
    struct pack_item item;
    (void)pack_next(&cursor, &item);
    explain_count(e, count, arrays->least, arrays->most, "item", at);
    if (arrays->is_unique && !schema_is_unique(&e->run, count, cursor)) {
        explain_expect(explain_add(e, &at), "items that all differ");
    }
    if (arrays->contains) {
        explain_contains(e, arrays->contains, count, cursor, at);
    }
    size_t len = strlen(e->path);
    for (uint32_t i = 0; i < count && !e->run.is_exhausted; i++) {
        explain_enter_index(e, i);
        explain_member(e, i < arrays->prefix.count ? arrays->prefix.at[i] : arrays->items,
                       cursor);
        e->path[len] = '\0';
        if (!pack_skip(&cursor)) {
            return;
        }
    }
}

/* ---- objects ---------------------------------------------------------------------------- */

/* `objects` NULL: no names are known. */
static void explain_unknown(struct explainer *e, const struct schema_objects *objects,
                            struct slice name, struct pack at)
{
    struct slice best = {NULL, 0};
    unsigned distance = TEXT_FAR;
    struct schema_fault *fault = explain_add(e, &at);
    if (!fault) {
        return;
    }
    uint32_t count = objects ? objects->count : 0;
    for (uint32_t i = 0; i < count; i++) {
        text_nearest(name, objects->fields[i].name, &best, &distance);
    }
    explain_expect(fault, "no field of this name");
    if (best.ptr && distance < name.len) {
        explain_expect(fault, "; perhaps ");
        words_put_text(fault->expected, sizeof fault->expected, best, 64);
        return;
    }
    for (uint32_t i = 0; i < count && i < 8; i++) {
        explain_expect(fault, i ? ", " : "; there are ");
        words_put_text(fault->expected, sizeof fault->expected, objects->fields[i].name, 32);
    }
}

static void explain_missing(struct explainer *e, const struct schema_objects *objects,
                            const bool *seen)
{
    size_t len = strlen(e->path);
    for (uint32_t i = 0; i < objects->count; i++) {
        const struct schema_field *field = &objects->fields[i];
        if (field->required == SCHEMA_OPTIONAL || seen[field->required]) {
            continue;
        }
        explain_enter_key(e, field->name);
        struct schema_fault *fault = explain_add(e, NULL);
        if (fault) {
            words_put_node(fault->expected, sizeof fault->expected, field->node);
            explain_expect(fault, " (required)");
        }
        e->path[len] = '\0';
    }
}

static void explain_name(struct explainer *e, const struct schema_node *every, struct pack key)
{
    if (every && !explain_fits(e, every, key)) {
        struct schema_fault *fault = explain_add(e, &key);
        explain_expect(fault, "a name that is: ");
        explain_expect_node(fault, every);
    }
}

/* A member under its name: `at` is the value. */
static void explain_named(struct explainer *e, const struct schema_objects *objects,
                          const struct schema_field *field, struct slice name, struct pack at)
{
    const struct schema_names *names = objects->names;
    bool is_known = field && field->is_property;
    if (is_known) {
        explain_member(e, field->node, at);
    }
    for (uint32_t i = 0; names && i < names->count; i++) {
        if (schema_pattern_fits(&e->run, names->matched[i].pattern, name)) {
            is_known = true;
            explain_member(e, names->matched[i].node, at);
        }
    }
    if (!is_known && objects->additional == &schema_nothing) {
        explain_unknown(e, objects, name, at);
    } else if (!is_known) {
        explain_member(e, objects->additional, at);
    }
}

void explain_object(struct explainer *e, const struct schema_objects *objects, uint32_t count,
                    struct pack at)
{
    bool seen[SCHEMA_REQUIRED_MAX] = {false};
    struct pack cursor = at;
    struct pack_item item;
    (void)pack_next(&cursor, &item);
    explain_count(e, count, objects->least, objects->most, "field", at);
    size_t len = strlen(e->path);
    for (uint32_t left = count; left && !e->run.is_exhausted; left--) {
        struct pack key = cursor;
        struct slice name;
        if (!pack_next_text(&cursor, &name)) {
            explain_expect(explain_add(e, &at), "only text as keys");
            return;
        }
        const struct schema_field *field = schema_find_field(objects, name);
        if (field && field->required != SCHEMA_OPTIONAL) {
            seen[field->required] = true;
        }
        explain_enter_key(e, name);
        explain_name(e, objects->names ? objects->names->every : NULL, key);
        explain_named(e, objects, field, name, cursor);
        e->path[len] = '\0';
        if (!pack_skip(&cursor)) {
            return;
        }
    }
    explain_missing(e, objects, seen);
}

/* ---- what depends on others --------------------------------------------------------------- */

static void explain_dependent(struct explainer *e, const struct schema_dependent *dependent,
                              uint32_t count, struct pack members)
{
    size_t len = strlen(e->path);
    for (uint32_t i = 0; i < dependent->count; i++) {
        struct pack member;
        if (schema_find_member(&e->run, count, members, dependent->required[i], &member)) {
            continue;
        }
        explain_enter_key(e, dependent->required[i]);
        struct schema_fault *fault = explain_add(e, NULL);
        explain_expect(fault, "a value (required beside ");
        if (fault) {
            words_put_text(fault->expected, sizeof fault->expected, dependent->name, 64);
        }
        explain_expect(fault, ")");
        e->path[len] = '\0';
    }
}

void explain_dependents(struct explainer *e, const struct schema_logic *logic, struct pack at)
{
    struct pack members = at;
    struct pack_item item;
    struct pack member;
    if (!pack_next(&members, &item) || item.type != PACK_MAP) {
        return;
    }
    for (uint32_t i = 0; i < logic->dependent_count; i++) {
        const struct schema_dependent *dependent = &logic->dependents[i];
        if (schema_find_member(&e->run, item.count, members, dependent->name, &member)) {
            explain_dependent(e, dependent, item.count, members);
            explain_member(e, dependent->node, at);
        }
    }
}

void explain_unevaluated(struct explainer *e, const struct schema_node *node, struct pack at)
{
    struct schema_marks marks;
    struct pack cursor = at;
    struct pack_item item;
    (void)pack_next(&cursor, &item);
    bool is_map = item.type == PACK_MAP;
    const struct schema_rest *rest =
        is_map ? node->logic->unevaluated_properties : node->logic->unevaluated_items;
    size_t len = strlen(e->path);
    bool is_marked = rest && rest->node && schema_mark(&e->run, node, at, &marks);
    for (uint32_t i = 0; is_marked && i < marks.count && !e->run.is_exhausted; i++) {
        struct slice name = {NULL, 0};
        if (is_map && !pack_next_text(&cursor, &name)) {
            break;
        }
        if (is_map) {
            explain_enter_key(e, name);
        } else {
            explain_enter_index(e, i);
        }
        if (!schema_is_marked(&marks, i) && rest->node == &schema_nothing && is_map) {
            explain_unknown(e, node->objects, name, cursor);
        } else if (!schema_is_marked(&marks, i)) {
            explain_member(e, rest->node, cursor);
        }
        e->path[len] = '\0';
        if (!pack_skip(&cursor)) {
            break;
        }
    }
    if (rest && rest->node) {
        schema_marks_done(&marks);
    }
}
