/* SPDX-License-Identifier: MIT */
/* schema_keyword.c - what each keyword of JSON Schema adds to the node of its schema. A keyword
 * that is not in the table at the end says nothing, as the specification wants. */
#include "value/schema_compiler.h"

/* ---- for all keywords ------------------------------------------------------------------ */

void schema_wrong(struct schema_draft *d, const char *name, const char *expected)
{
    (void)schema_fail(d->c, d->source, "\"%s\" should be %s", name, expected);
}

bool schema_read_count(struct schema_draft *d, const char *name, struct slice value,
                       uint64_t *ret)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    if (!pack_next(&cursor, &item) || !pack_as_uint(&item, ret)) {
        schema_wrong(d, name, "a whole number that is not negative");
        return false;
    }
    return true;
}

/* Lists are short and grow seldom: each time they are copied. */
bool schema_append(struct schema_compiler *c, struct schema_list *list, uint32_t count,
                   const struct schema_node ***ret)
{
    const struct schema_node **at =
        schema_take(c, sizeof(void *) * ((size_t)list->count + count + 1));
    if (!at) {
        return false;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        at[i] = list->at[i];
    }
    *ret = at + list->count;
    *list = (struct schema_list){at, list->count + count};
    return true;
}

void schema_want_list(struct schema_draft *d, const char *name, struct slice value,
                      struct schema_list *list)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    const struct schema_node **at;
    if (!pack_next(&cursor, &item) || item.type != PACK_ARRAY) {
        schema_wrong(d, name, "an array of schemas");
        return;
    }
    if (!schema_append(d->c, list, item.count, &at)) {
        return;
    }
    for (uint32_t i = 0; i < item.count; i++) {
        struct schema_step step = {name, {NULL, 0}, (int32_t)i};
        struct slice schema;
        if (!pack_take(&cursor, &schema) ||
            !(at[i] = schema_want(d->c, d->source, step, schema))) {
            return;
        }
    }
}

/* ---- the parts -------------------------------------------------------------------------- */

struct schema_logic *schema_logic_of(struct schema_draft *d)
{
    if (!d->logic) {
        d->node->logic = d->logic = schema_take(d->c, sizeof *d->logic);
    }
    return d->logic;
}

struct schema_strings *schema_strings_of(struct schema_draft *d)
{
    if (!d->strings && (d->strings = schema_take(d->c, sizeof *d->strings))) {
        d->strings->most = UINT64_MAX;
        d->node->strings = d->strings;
    }
    return d->strings;
}

/* ---- type, const, enum ------------------------------------------------------------------ */

static uint8_t type_named(struct slice name)
{
    static const struct {
        const char *name;
        uint8_t type;
    } types[] = {{"string", SCHEMA_STRING},   {"number", SCHEMA_NUMBER},
                 {"integer", SCHEMA_INTEGER}, {"boolean", SCHEMA_BOOLEAN},
                 {"object", SCHEMA_OBJECT},   {"array", SCHEMA_ARRAY},
                 {"null", SCHEMA_NULL}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (slice_is(name, types[i].name)) {
            return types[i].type;
        }
    }
    return 0;
}

static void read_type(struct schema_draft *d, const char *name, struct slice value)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    uint32_t count = 1;
    if (pack_peek(cursor) == PACK_ARRAY && pack_next(&cursor, &item)) {
        count = item.count;
    }
    uint8_t types = 0;
    for (; count; count--) {
        uint8_t type = 0;
        if (pack_next(&cursor, &item) && item.type == PACK_STR) {
            type = type_named(item.text);
        }
        if (!type) {
            schema_wrong(
                d, name,
                "one or several of string, number, integer, boolean, object, array, null");
            return;
        }
        types |= type;
    }
    d->node->types = types ? types : SCHEMA_NEVER;
}

/* `count` values one after the other. */
static void add_values(struct schema_draft *d, struct slice all, uint32_t count, bool is_const)
{
    struct schema_values *values = schema_take(d->c, sizeof *values);
    struct pack_item *items = schema_take(d->c, sizeof *items * (count ? count : 1));
    struct slice *bytes = schema_take(d->c, sizeof *bytes * (count ? count : 1));
    if (!values || !items || !bytes || !schema_keep(d->c, all, &all)) {
        return;
    }
    struct pack cursor = pack_over(all);
    for (uint32_t i = 0; i < count; i++) {
        struct pack at = cursor;
        if (!pack_take(&cursor, &bytes[i]) || !pack_next(&at, &items[i])) {
            return;
        }
    }
    *values = (struct schema_values){items, bytes, count, is_const};
    if (!d->node->values) {
        d->node->values = values;
        return;
    }
    /* Both const and enum: the second is a schema of its own on the same value. */
    struct schema_node *other = schema_take(d->c, sizeof *other);
    struct schema_logic *logic = schema_logic_of(d);
    const struct schema_node **at;
    if (other && logic && schema_append(d->c, &logic->all_of, 1, &at)) {
        other->values = values;
        *at = other;
    }
}

static void read_const(struct schema_draft *d, const char *name, struct slice value)
{
    (void)name;
    add_values(d, value, 1, true);
}

static void read_enum(struct schema_draft *d, const char *name, struct slice value)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    if (!pack_next(&cursor, &item) || item.type != PACK_ARRAY) {
        schema_wrong(d, name, "an array of values");
        return;
    }
    const struct slice all = {(const char *)cursor.at, (size_t)(cursor.end - cursor.at)};
    add_values(d, all, item.count, false);
}

/* ---- limits ----------------------------------------------------------------------------- */

static void read_string_limit(struct schema_draft *d, const char *name, struct slice value)
{
    uint64_t count;
    struct schema_strings *strings = schema_strings_of(d);
    if (strings && schema_read_count(d, name, value, &count)) {
        *(strcmp(name, "minLength") == 0 ? &strings->least : &strings->most) = count;
    }
}

/* ---- schemas inside --------------------------------------------------------------------- */

static void read_in_place_list(struct schema_draft *d, const char *name, struct slice value)
{
    struct schema_logic *logic = schema_logic_of(d);
    if (logic) {
        schema_want_list(d, name, value,
                         name[1] == 'l'   ? &logic->all_of
                         : name[0] == 'a' ? &logic->any_of
                                          : &logic->one_of);
    }
}

static void read_in_place(struct schema_draft *d, const char *name, struct slice value)
{
    struct schema_logic *logic = schema_logic_of(d);
    const struct schema_node *node = schema_want(d->c, d->source, schema_step_of(name), value);
    if (!logic || !node) {
        return;
    }
    switch (name[0]) {
    case 'n':
        logic->not_ = node;
        break;
    case 'i':
        logic->if_ = node;
        break;
    case 't':
        logic->then_ = node;
        break;
    default:
        logic->else_ = node;
    }
}

static void read_ref(struct schema_draft *d, const char *name, struct slice value)
{
    struct pack cursor = pack_over(value);
    struct slice ref;
    struct schema_target target;
    if (!pack_next_text(&cursor, &ref)) {
        schema_wrong(d, name, "text");
        return;
    }
    struct schema_logic *logic = schema_logic_of(d);
    const struct schema_node **at;
    if (!logic || !schema_resolve(d->c, d->source, name, ref, &target)) {
        return;
    }
    if (name[1] == 'd' && target.anchor && target.anchor->is_dynamic) {
        const struct schema_anchor *outer = schema_bound(d->source->scope, target.anchor->name);
        if (outer) {
            target = (struct schema_target){outer->value, outer->resource, outer};
        }
    }
    if (schema_append(d->c, &logic->all_of, 1, &at)) {
        *at = schema_want_target(d->c, d->source, schema_step_of(name), &target);
    }
}

static void read_unevaluated(struct schema_draft *d, const char *name, struct slice value)
{
    struct schema_logic *logic = schema_logic_of(d);
    struct schema_rest *rest = schema_take(d->c, sizeof *rest);
    if (logic && rest) {
        rest->node =
            schema_unless_anything(schema_want(d->c, d->source, schema_step_of(name), value));
        d->node->has_rest = true;
        *(strcmp(name, "unevaluatedItems") == 0 ? &logic->unevaluated_items
                                                : &logic->unevaluated_properties) = rest;
    }
}

/* ---- the table -------------------------------------------------------------------------- */

enum { DRAFT7 = 1, LATEST = 2, BOTH = DRAFT7 | LATEST };

#define KEYWORD(name, read, dialects, holds)                               \
    {                                                                      \
        (name), (read), sizeof(name) - 1, (dialects), SCHEMA_HOLDS_##holds \
    }

static const struct schema_keyword keywords[] = {
    KEYWORD("type", read_type, BOTH, NONE),
    KEYWORD("properties", schema_read_properties, BOTH, MAP),
    KEYWORD("required", schema_read_required, BOTH, NONE),
    KEYWORD("additionalProperties", schema_read_additional, BOTH, ONE),
    KEYWORD("items", schema_read_items, BOTH, EITHER),
    KEYWORD("enum", read_enum, BOTH, NONE),
    KEYWORD("const", read_const, BOTH, NONE),
    KEYWORD("minimum", schema_read_number_limit, BOTH, NONE),
    KEYWORD("maximum", schema_read_number_limit, BOTH, NONE),
    KEYWORD("exclusiveMinimum", schema_read_number_limit, BOTH, NONE),
    KEYWORD("exclusiveMaximum", schema_read_number_limit, BOTH, NONE),
    KEYWORD("multipleOf", schema_read_multiple, BOTH, NONE),
    KEYWORD("minLength", read_string_limit, BOTH, NONE),
    KEYWORD("maxLength", read_string_limit, BOTH, NONE),
    KEYWORD("pattern", schema_read_pattern, BOTH, NONE),
    KEYWORD("minItems", schema_read_array_limit, BOTH, NONE),
    KEYWORD("maxItems", schema_read_array_limit, BOTH, NONE),
    KEYWORD("uniqueItems", schema_read_unique, BOTH, NONE),
    KEYWORD("prefixItems", schema_read_prefix, LATEST, LIST),
    KEYWORD("additionalItems", schema_read_additional_items, BOTH, ONE),
    KEYWORD("unevaluatedItems", read_unevaluated, LATEST, ONE),
    KEYWORD("contains", schema_read_contains, BOTH, ONE),
    KEYWORD("minContains", schema_read_least_contained, LATEST, NONE),
    KEYWORD("maxContains", schema_read_most_contained, LATEST, NONE),
    KEYWORD("minProperties", schema_read_object_limit, BOTH, NONE),
    KEYWORD("maxProperties", schema_read_object_limit, BOTH, NONE),
    KEYWORD("patternProperties", schema_read_matched, BOTH, MAP),
    KEYWORD("propertyNames", schema_read_names, BOTH, ONE),
    KEYWORD("unevaluatedProperties", read_unevaluated, LATEST, ONE),
    KEYWORD("dependentRequired", schema_read_dependents, LATEST, NONE),
    KEYWORD("dependentSchemas", schema_read_dependents, LATEST, MAP),
    KEYWORD("dependencies", schema_read_dependents, BOTH, MAP),
    KEYWORD("allOf", read_in_place_list, BOTH, LIST),
    KEYWORD("anyOf", read_in_place_list, BOTH, LIST),
    KEYWORD("oneOf", read_in_place_list, BOTH, LIST),
    KEYWORD("not", read_in_place, BOTH, ONE),
    KEYWORD("if", read_in_place, BOTH, ONE),
    KEYWORD("then", read_in_place, BOTH, ONE),
    KEYWORD("else", read_in_place, BOTH, ONE),
    KEYWORD("$ref", read_ref, BOTH, NONE),
    KEYWORD("$dynamicRef", read_ref, LATEST, NONE),
    KEYWORD("$defs", NULL, LATEST, MAP),
    KEYWORD("definitions", NULL, BOTH, MAP),
    KEYWORD("contentSchema", NULL, LATEST, ONE),
};

const struct schema_keyword *schema_keyword_of(struct slice name, bool is_draft7)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        const struct schema_keyword *keyword = &keywords[i];
        if (keyword->length == name.len && memcmp(keyword->name, name.ptr, name.len) == 0) {
            return keyword->dialects & (is_draft7 ? DRAFT7 : LATEST) ? keyword : NULL;
        }
    }
    return NULL;
}

/* Says which short texts need no further look: a character has one to four bytes. */
static void find_fitting_texts(struct schema_node *node)
{
    bool is_simple =
        !node->logic && !node->values && !(node->strings && node->strings->pattern);
    if (!is_simple || (node->types && !(node->types & SCHEMA_STRING))) {
        return;
    }
    uint64_t least = node->strings ? node->strings->least : 0;
    uint64_t most = node->strings ? node->strings->most : SCHEMA_SHORT;
    most = most < SCHEMA_SHORT ? most : SCHEMA_SHORT;
    if (least <= most / 4) {
        node->text_from = (uint8_t)(least * 4);
        node->text_span = (uint8_t)(most - least * 4 + 1);
    }
}

void schema_compile_keywords(struct schema_compiler *c, struct schema_source *source)
{
    struct schema_draft d = {.c = c, .source = source, .node = source->node};
    struct slice ref;
    struct pack cursor = pack_over(source->value);
    struct pack_item item;
    (void)pack_next(&cursor, &item);
    bool is_draft7 = source->resource->is_draft7;
    if (is_draft7 && pack_get(source->value, "$ref", &ref)) {
        read_ref(&d, "$ref", ref); /* there it stands for everything beside it */
        return;
    }
    for (uint32_t left = item.count; left && !c->has_failed; left--) {
        struct slice name;
        struct slice value;
        if (!pack_next_text(&cursor, &name) || !pack_take(&cursor, &value)) {
            (void)schema_fail(c, source, "its keys should be text");
            return;
        }
        const struct schema_keyword *keyword = schema_keyword_of(name, is_draft7);
        if (keyword && keyword->read) {
            keyword->read(&d, keyword->name, value);
        }
    }
    if (d.numbers) {
        schema_finish_numbers(&d);
    }
    if (d.arrays && !c->has_failed) {
        schema_finish_arrays(&d);
    }
    if (d.objects && !c->has_failed) {
        schema_finish_objects(&d);
    }
    find_fitting_texts(source->node);
}
