/* SPDX-License-Identifier: MIT */
/* schema_explain.c - says what is wrong with a value, place by place, after a check refused it. */
#include "value/schema_explainer.h"
#include "value/schema_pattern.h"
#include "value/schema_words.h"

#include <stdarg.h>
#include <stdio.h>

void explain_enter_key(struct explainer *e, struct slice key)
{
    words_put(e->path, sizeof e->path, ".");
    words_put_text(e->path, sizeof e->path, key, 64);
}

void explain_enter_index(struct explainer *e, uint32_t index)
{
    words_put(e->path, sizeof e->path, "[%u]", (unsigned)index);
}

struct schema_fault *explain_add(struct explainer *e, const struct pack *received)
{
    if (e->run.is_exhausted) {
        return NULL; /* whatever was found does not count */
    }
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

void explain_expect(struct schema_fault *fault, const char *format, ...)
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

void explain_expect_node(struct schema_fault *fault, const struct schema_node *node)
{
    if (fault) {
        words_put_node(fault->expected, sizeof fault->expected, node);
    }
}

/* Where the work ended is told at the end. */
static void note_cost(struct explainer *e)
{
    if (e->run.is_exhausted && !e->is_noted) {
        memcpy(e->costly, e->path, sizeof e->costly);
        e->is_noted = true;
    }
}

/* Some more work, to find the place further inside where it goes. */
static bool refill(struct explainer *e)
{
    if (e->refills) {
        e->refills--;
        e->run.work = e->work;
        e->run.steps = SCHEMA_STEPS_LEAST;
        e->run.is_exhausted = false;
        e->is_noted = false;
        return true;
    }
    return false;
}

bool explain_fits(struct explainer *e, const struct schema_node *node, struct pack at)
{
    bool is_fit = schema_check(&e->run, node, &at);
    note_cost(e);
    return is_fit;
}

void explain_member(struct explainer *e, const struct schema_node *node, struct pack at)
{
    if (node && !explain_fits(e, node, at) && (!e->run.is_exhausted || refill(e))) {
        explain_node(e, node, at);
    }
}

/* ---- scalars ---------------------------------------------------------------------------- */

static void explain_limit(struct explainer *e, const char *words,
                          const struct schema_number *limit, struct pack at)
{
    struct schema_fault *fault = explain_add(e, &at);
    if (fault) {
        words_put(fault->expected, sizeof fault->expected, "%s ", words);
        words_put_number(fault->expected, sizeof fault->expected, limit);
    }
}

static void explain_multiple(struct explainer *e, const struct schema_decimal *of,
                             struct pack at)
{
    struct schema_fault *fault = explain_add(e, &at);
    explain_expect(fault, "a multiple of ");
    if (fault) {
        words_put_decimal(fault->expected, sizeof fault->expected, of);
    }
}

static void explain_string(struct explainer *e, const struct schema_strings *strings,
                           const struct pack_item *item, struct pack at)
{
    explain_count(e, schema_text_length(item), strings->least, strings->most, "character", at);
    if (strings->pattern && !schema_text_matches(&e->run, strings->pattern, item)) {
        struct schema_fault *fault = explain_add(e, &at);
        explain_expect(fault, "text matching ");
        if (fault) {
            words_put_text(fault->expected, sizeof fault->expected,
                           schema_pattern_text(strings->pattern), 120);
        }
    }
}

static void explain_number(struct explainer *e, const struct schema_numbers *numbers,
                           const struct pack_item *item, struct pack at)
{
    struct schema_number value;
    if (!schema_number_of(item, &value)) {
        return;
    }
    if (numbers->multiple && !schema_is_multiple(&e->run, item, numbers->multiple)) {
        explain_multiple(e, numbers->multiple, at);
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

void explain_count(struct explainer *e, uint64_t count, uint64_t least, uint64_t most,
                   const char *unit, struct pack at)
{
    if (count >= least && count <= most) {
        return;
    }
    struct schema_fault *fault = explain_add(e, &at);
    uint64_t limit = count < least ? least : most;
    explain_expect(fault, "at %s %llu %s%s", count < least ? "least" : "most",
                   (unsigned long long)limit, unit, limit == 1 ? "" : "s");
    if (fault) {
        fault->received[0] = '\0';
        words_put(fault->received, sizeof fault->received, "%llu %s%s",
                  (unsigned long long)count, unit, count == 1 ? "" : "s");
    }
}

/* ---- schemas applied to the same value -------------------------------------------------- */

static unsigned count_faults(struct explainer *e, const struct schema_node *node,
                             struct pack at)
{
    struct schema_faults *faults = e->faults;
    unsigned before = e->count;
    e->faults = NULL;
    explain_node(e, node, at);
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
        explain_node(e, branch, at);
        return;
    }
    struct schema_fault *fault = explain_add(e, &at);
    if (!fault) {
        return;
    }
    for (uint32_t i = 0; i < list->count && i < 6; i++) {
        char words[sizeof fault->expected] = "";
        words_put_node(words, sizeof words, list->at[i]);
        if (!strstr(fault->expected, words)) {
            explain_expect(fault, "%s%s", i ? ", or " : "", words);
        }
    }
}

static void explain_any(struct explainer *e, const struct schema_list *list, uint8_t type,
                        struct pack at)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (explain_fits(e, list->at[i], at)) {
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
        found += explain_fits(e, list->at[i], at);
    }
    if (found > 1) {
        explain_expect(explain_add(e, &at),
                       "a value that fits exactly one of %u forms; this fits %u",
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
    if (logic->not_ && explain_fits(e, logic->not_, at)) {
        struct schema_fault *fault = explain_add(e, &at);
        explain_expect(fault, "anything but ");
        explain_expect_node(fault, logic->not_);
    }
    explain_dependents(e, logic, at);
    if (logic->if_) {
        explain_member(e, explain_fits(e, logic->if_, at) ? logic->then_ : logic->else_, at);
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
            explain_string(e, node->strings, item, at);
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

void explain_node(struct explainer *e, const struct schema_node *node, struct pack at)
{
    struct pack cursor = at;
    struct pack_item item;
    if (!schema_spend(&e->run, 1) || !pack_next(&cursor, &item)) {
        return;
    }
    uint8_t type = schema_type(&item);
    if (node->types && !(node->types & type)) {
        struct schema_fault *fault = explain_add(e, &at);
        if (fault) {
            words_put_types(fault->expected, sizeof fault->expected, node->types);
        }
        return; /* nothing else that is said makes sense for this type */
    }
    if (node->values && !schema_has_value(&e->run, node->values, &item, at)) {
        struct schema_fault *fault = explain_add(e, &at);
        if (fault) {
            words_put_values(fault->expected, sizeof fault->expected, node->values);
        }
        return;
    }
    if (e->run.depth == SCHEMA_DEPTH_MAX) {
        (void)schema_exhaust(&e->run);
        note_cost(e);
        return;
    }
    unsigned before = e->count;
    e->run.depth++;
    explain_parts(e, node, &item, at);
    if (node->logic) {
        explain_logic(e, node->logic, type, at);
    }
    if (node->has_rest && e->count == before) {
        explain_unevaluated(e, node, at);
    }
    e->run.depth--;
    note_cost(e);
}

/* Explaining repeats checks on its way down: how often it may do the work of one. */
#define EXPLAIN_WORK    4
#define EXPLAIN_REFILLS 4

/* The check was not finished, or its value is none. */
static void explain_cost(struct explainer *e, const char *place, struct pack at)
{
    struct pack cursor = at;
    bool is_value = pack_skip(&cursor);
    e->run.is_exhausted = false;
    e->path[0] = '\0';
    words_put(e->path, sizeof e->path, "%s", e->costly[0] ? e->costly : place);
    explain_expect(explain_add(e, &at),
                   is_value ? "a value that can be checked with bounded work; this one is too"
                              " costly"
                            : "a whole value of MessagePack");
}

void schema_explain(const struct schema *schema, struct slice value, const char *place,
                    struct schema_faults *ret)
{
    struct explainer e = {.faults = ret};
    struct pack at = pack_over(value);
    ret->count = 0;
    words_put(e.path, sizeof e.path, "%s", place);
    if (pack_peek(at) == PACK_END) {
        explain_expect(explain_add(&e, NULL), "a value");
        return;
    }
    schema_run_start(&e.run, value);
    e.work = e.run.work;
    e.refills = EXPLAIN_REFILLS;
    e.run.work *= EXPLAIN_WORK;
    if (schema_accepts(schema, value)) {
        return;
    }
    explain_node(&e, schema->root, at);
    if (e.costly[0] || !ret->count) {
        explain_cost(&e, place, at);
    }
    schema_run_end(&e.run);
}
