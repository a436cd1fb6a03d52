/* SPDX-License-Identifier: MIT */
/* schema_explain.c - says what is wrong with a value, place by place, after a check refused it. */
#include "value/schema.h"

#include "base/text.h"
#include "value/schema_program.h"
#include "value/schema_words.h"

#include <stdarg.h>
#include <stdio.h>

struct explainer {
    struct schema_run run;
    struct schema_faults *faults; /* NULL while faults are only counted, to compare branches */
    unsigned count;
    char path[sizeof((struct schema_fault *)0)->field];
};

/* The place of a member while it is looked at; the caller keeps the length to go back to. */
static void enter_key(struct explainer *e, struct slice key)
{
    words_put(e->path, sizeof e->path, ".");
    words_put_text(e->path, sizeof e->path, key, 64);
}

static void enter_index(struct explainer *e, uint32_t index)
{
    words_put(e->path, sizeof e->path, "[%u]", (unsigned)index);
}

/* Starts a fault whose `expected` the caller writes; NULL if it is only counted. */
static struct schema_fault *add_fault(struct explainer *e, const struct pack *received)
{
    e->count++;
    if (!e->faults || e->faults->count == SCHEMA_FAULTS) {
        return NULL;
    }
    struct schema_fault *fault = &e->faults->list[e->faults->count++];
    memcpy(fault->field, e->path, sizeof fault->field);
    fault->expected[0] = '\0';
    fault->received[0] = '\0';
    if (received) {
        words_put_received(fault->received, sizeof fault->received, *received);
    } else {
        words_put(fault->received, sizeof fault->received, "nothing");
    }
    return fault;
}

/* Appends to what a fault expects; nothing where it is only counted. */
static void expect(struct schema_fault *fault, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void expect(struct schema_fault *fault, const char *format, ...)
{
    if (fault) {
        char words[sizeof fault->expected];
        va_list args;
        va_start(args, format);
        (void)vsnprintf(words, sizeof words, format, args);
        va_end(args);
        words_put(fault->expected, sizeof fault->expected, "%s", words);
    }
}

static bool fits(struct explainer *e, const struct schema_node *node, struct pack at)
{
    return schema_check(&e->run, node, &at);
}

static void explain(struct explainer *e, const struct schema_node *node, struct pack at);

/* ---- scalars ---------------------------------------------------------------------------- */

static void explain_limit(struct explainer *e, const char *words,
                          const struct schema_number *limit, struct pack at)
{
    struct schema_fault *fault = add_fault(e, &at);
    if (fault) {
        words_put(fault->expected, sizeof fault->expected, "%s ", words);
        words_put_number(fault->expected, sizeof fault->expected, limit);
    }
}

static void explain_number(struct explainer *e, const struct schema_numbers *numbers,
                           const struct pack_item *item, struct pack at)
{
    struct schema_number value;
    if (!schema_number_of(item, &value)) {
        return;
    }
    if (numbers->has_least && schema_number_compare(&value, &numbers->least) < 0) {
        explain_limit(e, "at least", &numbers->least, at);
    }
    if (numbers->has_most && schema_number_compare(&value, &numbers->most) > 0) {
        explain_limit(e, "at most", &numbers->most, at);
    }
    if (numbers->has_above && schema_number_compare(&value, &numbers->above) <= 0) {
        explain_limit(e, "more than", &numbers->above, at);
    }
    if (numbers->has_below && schema_number_compare(&value, &numbers->below) >= 0) {
        explain_limit(e, "less than", &numbers->below, at);
    }
}

static void explain_count(struct explainer *e, uint64_t count, uint64_t least, uint64_t most,
                          const char *unit, struct pack at)
{
    if (count >= least && count <= most) {
        return;
    }
    struct schema_fault *fault = add_fault(e, &at);
    uint64_t limit = count < least ? least : most;
    expect(fault, "at %s %llu %s%s", count < least ? "least" : "most",
           (unsigned long long)limit, unit, limit == 1 ? "" : "s");
    if (fault) {
        fault->received[0] = '\0';
        words_put(fault->received, sizeof fault->received, "%llu %s%s",
                  (unsigned long long)count, unit, count == 1 ? "" : "s");
    }
}

/* ---- arrays and objects ----------------------------------------------------------------- */

static void explain_member(struct explainer *e, const struct schema_node *node, struct pack at)
{
    if (node && !fits(e, node, at)) {
        explain(e, node, at);
    }
}

static void explain_array(struct explainer *e, const struct schema_arrays *arrays,
                          uint32_t count, struct pack at)
{
    struct pack cursor = at;
    struct pack_item item;
    (void)pack_next(&cursor, &item);
    explain_count(e, count, arrays->least, arrays->most, "item", at);
    if (arrays->is_unique && !schema_is_unique(&e->run, count, cursor)) {
        expect(add_fault(e, &at), "items that all differ");
    }
    size_t len = strlen(e->path);
    for (uint32_t i = 0; i < count && !e->run.is_exhausted; i++) {
        enter_index(e, i);
        explain_member(e, i < arrays->prefix.count ? arrays->prefix.at[i] : arrays->items,
                       cursor);
        e->path[len] = '\0';
        if (!pack_skip(&cursor)) {
            return;
        }
    }
}

static void explain_unknown(struct explainer *e, const struct schema_objects *objects,
                            struct slice name, struct pack at)
{
    struct slice best = {NULL, 0};
    unsigned distance = TEXT_FAR;
    struct schema_fault *fault = add_fault(e, &at);
    if (!fault) {
        return;
    }
    for (uint32_t i = 0; i < objects->count; i++) {
        text_nearest(name, objects->fields[i].name, &best, &distance);
    }
    expect(fault, "no field of this name");
    if (best.ptr && distance < name.len) {
        expect(fault, "; perhaps ");
        words_put_text(fault->expected, sizeof fault->expected, best, 64);
        return;
    }
    for (uint32_t i = 0; i < objects->count && i < 8; i++) {
        expect(fault, i ? ", " : "; there are ");
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
        enter_key(e, field->name);
        struct schema_fault *fault = add_fault(e, NULL);
        if (fault) {
            words_put_node(fault->expected, sizeof fault->expected, field->node);
            expect(fault, " (required)");
        }
        e->path[len] = '\0';
    }
}

static void explain_object(struct explainer *e, const struct schema_objects *objects,
                           uint32_t count, struct pack at)
{
    bool seen[SCHEMA_REQUIRED_MAX] = {false};
    struct pack cursor = at;
    struct pack_item item;
    (void)pack_next(&cursor, &item);
    explain_count(e, count, objects->least, objects->most, "field", at);
    size_t len = strlen(e->path);
    for (uint32_t left = count; left && !e->run.is_exhausted; left--) {
        struct slice name;
        if (!pack_next_text(&cursor, &name)) {
            expect(add_fault(e, &at), "only text as keys");
            return;
        }
        const struct schema_field *field = schema_find_field(objects, name);
        if (field && field->required != SCHEMA_OPTIONAL) {
            seen[field->required] = true;
        }
        enter_key(e, name);
        if (field && field->is_property) {
            explain_member(e, field->node, cursor);
        } else if (objects->additional == &schema_nothing) {
            explain_unknown(e, objects, name, cursor);
        } else {
            explain_member(e, objects->additional, cursor);
        }
        e->path[len] = '\0';
        if (!pack_skip(&cursor)) {
            return;
        }
    }
    explain_missing(e, objects, seen);
}

/* ---- schemas applied to the same value -------------------------------------------------- */

static unsigned count_faults(struct explainer *e, const struct schema_node *node,
                             struct pack at)
{
    struct schema_faults *faults = e->faults;
    unsigned before = e->count;
    e->faults = NULL;
    explain(e, node, at);
    unsigned found = e->count - before;
    e->faults = faults;
    e->count = before;
    return found;
}

/* Whether the value has the type that the schema is about, where it is about one. */
static bool is_about(const struct schema_node *node, uint8_t type)
{
    while (!node->types && node->logic && node->logic->all_of.count == 1) {
        node = node->logic->all_of.at[0];
    }
    return !node->types || (node->types & type);
}

/* The branch that the value was probably meant for: alone in its type, or the one with the fewest
 * faults. */
static const struct schema_node *nearest_branch(struct explainer *e,
                                                const struct schema_list *list, uint8_t type,
                                                struct pack at)
{
    const struct schema_node *best = NULL;
    unsigned least = 0;
    bool is_tie = false;
    for (uint32_t i = 0; i < list->count; i++) {
        if (!is_about(list->at[i], type)) {
            continue;
        }
        unsigned found = count_faults(e, list->at[i], at);
        if (!best || found < least) {
            best = list->at[i];
            least = found;
            is_tie = false;
        } else if (found == least) {
            is_tie = true;
        }
    }
    return is_tie ? NULL : best;
}

static void explain_branches(struct explainer *e, const struct schema_list *list, uint8_t type,
                             struct pack at)
{
    const struct schema_node *branch = nearest_branch(e, list, type, at);
    if (branch) {
        explain(e, branch, at);
        return;
    }
    struct schema_fault *fault = add_fault(e, &at);
    if (!fault) {
        return;
    }
    for (uint32_t i = 0; i < list->count && i < 6; i++) {
        char words[sizeof fault->expected] = "";
        words_put_node(words, sizeof words, list->at[i]);
        if (!strstr(fault->expected, words)) {
            expect(fault, "%s%s", i ? ", or " : "", words);
        }
    }
}

static void explain_any(struct explainer *e, const struct schema_list *list, uint8_t type,
                        struct pack at)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (fits(e, list->at[i], at)) {
            return;
        }
    }
    if (list->count) {
        explain_branches(e, list, type, at);
    }
}

static void explain_one(struct explainer *e, const struct schema_list *list, uint8_t type,
                        struct pack at)
{
    unsigned found = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        found += fits(e, list->at[i], at);
    }
    if (found > 1) {
        expect(add_fault(e, &at), "a value that fits exactly one of %u forms; this fits %u",
               (unsigned)list->count, found);
    } else if (!found && list->count) {
        explain_branches(e, list, type, at);
    }
}

static void explain_logic(struct explainer *e, const struct schema_logic *logic, uint8_t type,
                          struct pack at)
{
    for (uint32_t i = 0; i < logic->all_of.count; i++) {
        explain_member(e, logic->all_of.at[i], at);
    }
    explain_any(e, &logic->any_of, type, at);
    explain_one(e, &logic->one_of, type, at);
    if (logic->not_ && fits(e, logic->not_, at)) {
        struct schema_fault *fault = add_fault(e, &at);
        expect(fault, "anything but ");
        if (fault) {
            words_put_node(fault->expected, sizeof fault->expected, logic->not_);
        }
    }
    if (logic->if_) {
        explain_member(e, fits(e, logic->if_, at) ? logic->then_ : logic->else_, at);
    }
}

/* ---- the whole -------------------------------------------------------------------------- */

static void explain_parts(struct explainer *e, const struct schema_node *node,
                          const struct pack_item *item, struct pack at)
{
    switch (item->type) {
    case PACK_MAP:
        if (node->objects) {
            explain_object(e, node->objects, item->count, at);
        }
        break;
    case PACK_ARRAY:
        if (node->arrays) {
            explain_array(e, node->arrays, item->count, at);
        }
        break;
    case PACK_STR:
    case PACK_BIN:
        if (node->strings) {
            explain_count(e, schema_text_length(item), node->strings->least,
                          node->strings->most, "character", at);
        }
        break;
    case PACK_INT:
    case PACK_UINT:
    case PACK_FLOAT:
    case PACK_EXT:
        if (node->numbers) {
            explain_number(e, node->numbers, item, at);
        }
        break;
    default:
        break;
    }
}

static void explain(struct explainer *e, const struct schema_node *node, struct pack at)
{
    struct pack cursor = at;
    struct pack_item item;
    if (!schema_spend(&e->run, 1) || !pack_next(&cursor, &item)) {
        return;
    }
    uint8_t type = schema_type(&item);
    if (node->types && !(node->types & type)) {
        struct schema_fault *fault = add_fault(e, &at);
        if (fault) {
            words_put_types(fault->expected, sizeof fault->expected, node->types);
        }
        return; /* nothing else that is said makes sense for this type */
    }
    if (node->values && !schema_has_value(&e->run, node->values, &item, at)) {
        struct schema_fault *fault = add_fault(e, &at);
        if (fault) {
            words_put_values(fault->expected, sizeof fault->expected, node->values);
        }
        return;
    }
    if (e->run.depth == SCHEMA_DEPTH_MAX) {
        e->run.is_exhausted = true;
        return;
    }
    e->run.depth++;
    explain_parts(e, node, &item, at);
    if (node->logic) {
        explain_logic(e, node->logic, type, at);
    }
    e->run.depth--;
}

/* Explaining repeats checks on its way down. */
#define EXPLAIN_WORK 8

void schema_explain(const struct schema *schema, struct slice value, const char *place,
                    struct schema_faults *ret)
{
    struct explainer e = {.faults = ret};
    struct pack at = pack_over(value);
    ret->count = 0;
    words_put(e.path, sizeof e.path, "%s", place);
    if (pack_peek(at) == PACK_END) {
        expect(add_fault(&e, NULL), "a value");
        return;
    }
    schema_run_start(&e.run, value);
    e.run.work *= EXPLAIN_WORK;
    if (schema_accepts(schema, value)) {
        return;
    }
    explain(&e, schema->root, at);
    schema_run_end(&e.run);
    if (!ret->count) {
        struct pack cursor = at;
        e.path[0] = '\0';
        words_put(e.path, sizeof e.path, "%s", place);
        expect(add_fault(&e, &at), pack_skip(&cursor)
                                       ? "a value that can be checked with bounded work"
                                       : "a whole value of MessagePack");
    }
}
