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

static struct schema_logic *logic_of(struct schema_draft *d)
{
    if (!d->logic) {
        d->node->logic = d->logic = schema_take(d->c, sizeof *d->logic);
    }
    return d->logic;
}

static struct schema_numbers *numbers_of(struct schema_draft *d)
{
    if (!d->numbers) {
        d->node->numbers = d->numbers = schema_take(d->c, sizeof *d->numbers);
    }
    return d->numbers;
}

static struct schema_strings *strings_of(struct schema_draft *d)
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

static void add_values(struct schema_draft *d, struct pack cursor, uint32_t count,
                       bool is_const)
{
    struct schema_values *values = schema_take(d->c, sizeof *values);
    struct pack_item *items = schema_take(d->c, sizeof *items * (count ? count : 1));
    struct slice *bytes = schema_take(d->c, sizeof *bytes * (count ? count : 1));
    if (!values || !items || !bytes) {
        return;
    }
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
    struct schema_logic *logic = logic_of(d);
    const struct schema_node **at;
    if (other && logic && schema_append(d->c, &logic->all_of, 1, &at)) {
        other->values = values;
        *at = other;
    }
}

static void read_const(struct schema_draft *d, const char *name, struct slice value)
{
    (void)name;
    add_values(d, pack_over(value), 1, true);
}

static void read_enum(struct schema_draft *d, const char *name, struct slice value)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    if (!pack_next(&cursor, &item) || item.type != PACK_ARRAY) {
        schema_wrong(d, name, "an array of values");
        return;
    }
    add_values(d, cursor, item.count, false);
}

/* ---- limits ----------------------------------------------------------------------------- */

static void read_string_limit(struct schema_draft *d, const char *name, struct slice value)
{
    uint64_t count;
    struct schema_strings *strings = strings_of(d);
    if (strings && schema_read_count(d, name, value, &count)) {
        *(strcmp(name, "minLength") == 0 ? &strings->least : &strings->most) = count;
    }
}

static void read_number_limit(struct schema_draft *d, const char *name, struct slice value)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    struct schema_number number;
    struct schema_numbers *numbers = numbers_of(d);
    bool is_least = strstr(name, "inimum") != NULL;
    bool is_exclusive = name[0] == 'e';
    if (!numbers || !pack_next(&cursor, &item)) {
        return;
    }
    if (is_exclusive && item.type == PACK_BOOL) {
        *(is_least ? &d->is_above : &d->is_below) = item.b;
        return;
    }
    if (!schema_number_of(&item, &number)) {
        schema_wrong(d, name, "a number");
    } else if (is_least && is_exclusive) {
        numbers->above = number;
        numbers->has_above = true;
    } else if (is_exclusive) {
        numbers->below = number;
        numbers->has_below = true;
    } else if (is_least) {
        numbers->least = number;
        numbers->has_least = true;
    } else {
        numbers->most = number;
        numbers->has_most = true;
    }
}

static struct schema_number number_of(int64_t value)
{
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    return (struct schema_number){true, value < 0, size, (double)value};
}

static bool is_high_enough(const struct schema_numbers *numbers, int64_t value)
{
    struct schema_number number = number_of(value);
    return (!numbers->has_least || schema_number_compare(&number, &numbers->least) >= 0) &&
           (!numbers->has_above || schema_number_compare(&number, &numbers->above) > 0);
}

static bool is_too_high(const struct schema_numbers *numbers, int64_t value)
{
    struct schema_number number = number_of(value);
    return (numbers->has_most && schema_number_compare(&number, &numbers->most) > 0) ||
           (numbers->has_below && schema_number_compare(&number, &numbers->below) >= 0);
}

/* The first int64_t for which `holds`, which then holds for all above it; false if there is none. */
static bool first_integer(const struct schema_numbers *numbers,
                          bool (*holds)(const struct schema_numbers *numbers, int64_t value),
                          int64_t *ret)
{
    int64_t low = INT64_MIN;
    int64_t high = INT64_MAX;
    while (low < high) {
        int64_t middle = (int64_t)((uint64_t)low + ((uint64_t)high - (uint64_t)low) / 2);
        if (holds(numbers, middle)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *ret = low;
    return holds(numbers, low);
}

/* Integers are what is mostly checked: for them the limits become two. */
static void bound_integers(struct schema_numbers *numbers)
{
    int64_t too_high;
    bool has_low = first_integer(numbers, is_high_enough, &numbers->low);
    numbers->high = INT64_MAX;
    if (first_integer(numbers, is_too_high, &too_high)) {
        has_low = has_low && too_high != INT64_MIN;
        numbers->high = too_high == INT64_MIN ? INT64_MIN : too_high - 1;
    }
    if (!has_low) {
        numbers->low = 1;
        numbers->high = 0;
    }
}

/* Draft-04 said "exclusiveMinimum": true beside "minimum". */
static void finish_numbers(struct schema_draft *d)
{
    struct schema_numbers *numbers = d->numbers;
    if (d->is_above && numbers->has_least) {
        numbers->above = numbers->least;
        numbers->has_above = true;
        numbers->has_least = false;
    }
    if (d->is_below && numbers->has_most) {
        numbers->below = numbers->most;
        numbers->has_below = true;
        numbers->has_most = false;
    }
    bound_integers(numbers);
}

/* ---- schemas inside --------------------------------------------------------------------- */

static void read_in_place_list(struct schema_draft *d, const char *name, struct slice value)
{
    struct schema_logic *logic = logic_of(d);
    if (logic) {
        schema_want_list(d, name, value,
                         name[1] == 'l'   ? &logic->all_of
                         : name[0] == 'a' ? &logic->any_of
                                          : &logic->one_of);
    }
}

static void read_in_place(struct schema_draft *d, const char *name, struct slice value)
{
    struct schema_logic *logic = logic_of(d);
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
    struct slice target;
    if (!pack_next_text(&cursor, &ref)) {
        schema_wrong(d, name, "text");
        return;
    }
    struct schema_logic *logic = logic_of(d);
    const struct schema_node **at;
    if (logic && schema_resolve(d->c, d->source, ref, &target) &&
        schema_append(d->c, &logic->all_of, 1, &at)) {
        *at = schema_want(d->c, d->source, schema_step_of(name), target);
    }
}

/* ---- the table -------------------------------------------------------------------------- */

static const struct keyword {
    const char *name;
    schema_keyword_fn *read;
} keywords[] = {
    {"type", read_type},
    {"const", read_const},
    {"enum", read_enum},
    {"minLength", read_string_limit},
    {"maxLength", read_string_limit},
    {"minimum", read_number_limit},
    {"maximum", read_number_limit},
    {"exclusiveMinimum", read_number_limit},
    {"exclusiveMaximum", read_number_limit},
    {"minItems", schema_read_array_limit},
    {"maxItems", schema_read_array_limit},
    {"uniqueItems", schema_read_unique},
    {"prefixItems", schema_read_prefix},
    {"items", schema_read_items},
    {"additionalItems", schema_read_additional_items},
    {"minProperties", schema_read_object_limit},
    {"maxProperties", schema_read_object_limit},
    {"properties", schema_read_properties},
    {"required", schema_read_required},
    {"additionalProperties", schema_read_additional},
    {"patternProperties", schema_read_patterns},
    {"allOf", read_in_place_list},
    {"anyOf", read_in_place_list},
    {"oneOf", read_in_place_list},
    {"not", read_in_place},
    {"if", read_in_place},
    {"then", read_in_place},
    {"else", read_in_place},
    {"$ref", read_ref},
};

static const struct keyword *find_keyword(struct slice name)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        if (slice_is(name, keywords[i].name)) {
            return &keywords[i];
        }
    }
    return NULL;
}

/* Says which short texts need no further look: a character has one to four bytes. */
static void find_fitting_texts(struct schema_node *node)
{
    bool is_simple = !node->logic && !node->values;
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
    if (c->is_draft7 && pack_get(source->value, "$ref", &ref)) {
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
        const struct keyword *keyword = find_keyword(name);
        if (keyword) {
            keyword->read(&d, keyword->name, value);
        }
    }
    if (d.numbers) {
        finish_numbers(&d);
    }
    if (d.arrays) {
        schema_finish_arrays(&d);
    }
    if (d.objects && !c->has_failed) {
        schema_finish_objects(&d);
    }
    find_fitting_texts(source->node);
}
