/* SPDX-License-Identifier: MIT */
/* schema_shape.c - the keywords about the members of arrays and objects. */
#include "value/schema_compiler.h"

#include <stdlib.h>

static struct schema_arrays *arrays_of(struct schema_draft *d)
{
    if (!d->arrays && (d->arrays = schema_take(d->c, sizeof *d->arrays))) {
        d->arrays->most = UINT64_MAX;
        d->node->arrays = d->arrays;
    }
    return d->arrays;
}

struct schema_objects *schema_objects_of(struct schema_draft *d)
{
    if (!d->objects && (d->objects = schema_take(d->c, sizeof *d->objects))) {
        d->objects->most = UINT64_MAX;
        d->node->objects = d->objects;
    }
    return d->objects;
}

void schema_read_array_limit(struct schema_draft *d, const char *name, struct slice value)
{
    uint64_t count;
    struct schema_arrays *arrays = arrays_of(d);
    if (arrays && schema_read_count(d, name, value, &count)) {
        *(strcmp(name, "minItems") == 0 ? &arrays->least : &arrays->most) = count;
    }
}

void schema_read_object_limit(struct schema_draft *d, const char *name, struct slice value)
{
    uint64_t count;
    struct schema_objects *objects = schema_objects_of(d);
    if (objects && schema_read_count(d, name, value, &count)) {
        *(strcmp(name, "minProperties") == 0 ? &objects->least : &objects->most) = count;
    }
}

/* ---- arrays ----------------------------------------------------------------------------- */

void schema_read_prefix(struct schema_draft *d, const char *name, struct slice value)
{
    struct schema_arrays *arrays = arrays_of(d);
    if (arrays) {
        schema_want_list(d, name, value, &arrays->prefix);
    }
}

/* One schema for all; in drafts before 2020-12 also a list of schemas, then additionalItems is
 * what items is today. */
void schema_read_items(struct schema_draft *d, const char *name, struct slice value)
{
    struct schema_arrays *arrays = arrays_of(d);
    if (!arrays) {
        return;
    }
    if (pack_peek(pack_over(value)) == PACK_ARRAY) {
        d->has_array_items = true;
        schema_want_list(d, name, value, &arrays->prefix);
    } else {
        arrays->items =
            schema_unless_anything(schema_want(d->c, d->source, schema_step_of(name), value));
        arrays->has_items = true;
    }
}

void schema_read_additional_items(struct schema_draft *d, const char *name, struct slice value)
{
    (void)name;
    d->additional_items = value;
}

void schema_read_contains(struct schema_draft *d, const char *name, struct slice value)
{
    (void)name;
    (void)arrays_of(d);
    d->contains = value;
}

void schema_read_least_contained(struct schema_draft *d, const char *name, struct slice value)
{
    (void)name;
    d->least_contained = value;
}

void schema_read_most_contained(struct schema_draft *d, const char *name, struct slice value)
{
    (void)name;
    d->most_contained = value;
}

static void finish_contains(struct schema_draft *d)
{
    struct schema_contains *contains = schema_take(d->c, sizeof *contains);
    if (!contains) {
        return;
    }
    *contains = (struct schema_contains){NULL, 1, UINT64_MAX};
    bool is_read =
        (!d->least_contained.ptr ||
         schema_read_count(d, "minContains", d->least_contained, &contains->least)) &&
        (!d->most_contained.ptr ||
         schema_read_count(d, "maxContains", d->most_contained, &contains->most));
    if (is_read) {
        contains->node = schema_want(d->c, d->source, schema_step_of("contains"), d->contains);
        d->arrays->contains = contains;
    }
}

void schema_finish_arrays(struct schema_draft *d)
{
    if (d->has_array_items && d->additional_items.ptr) {
        d->arrays->items = schema_unless_anything(schema_want(
            d->c, d->source, schema_step_of("additionalItems"), d->additional_items));
        d->arrays->has_items = true;
    }
    if (d->contains.ptr) {
        finish_contains(d);
    }
    d->arrays->is_rare = d->arrays->is_unique || d->arrays->contains;
}

void schema_read_unique(struct schema_draft *d, const char *name, struct slice value)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    struct schema_arrays *arrays = arrays_of(d);
    if (!pack_next(&cursor, &item) || item.type != PACK_BOOL) {
        schema_wrong(d, name, "true or false");
    } else if (arrays) {
        arrays->is_unique = item.b;
    }
}

/* ---- objects ---------------------------------------------------------------------------- */

void schema_read_properties(struct schema_draft *d, const char *name, struct slice value)
{
    if (pack_peek(pack_over(value)) != PACK_MAP) {
        schema_wrong(d, name, "an object of schemas");
        return;
    }
    (void)schema_objects_of(d);
    d->properties = value;
}

void schema_read_required(struct schema_draft *d, const char *name, struct slice value)
{
    if (pack_peek(pack_over(value)) != PACK_ARRAY) {
        schema_wrong(d, name, "an array of names");
        return;
    }
    (void)schema_objects_of(d);
    d->required = value;
}

void schema_read_additional(struct schema_draft *d, const char *name, struct slice value)
{
    struct schema_objects *objects = schema_objects_of(d);
    if (objects) {
        objects->additional =
            schema_unless_anything(schema_want(d->c, d->source, schema_step_of(name), value));
        objects->has_additional = true;
    }
}

static int compare_fields(const void *a, const void *b)
{
    const struct schema_field *x = a;
    const struct schema_field *y = b;
    if (x->name.len != y->name.len) {
        return x->name.len < y->name.len ? -1 : 1;
    }
    return memcmp(x->name.ptr, y->name.ptr, x->name.len);
}

static void set_field(struct schema_field *field, struct slice name, uint32_t place,
                      bool is_property)
{
    *field = (struct schema_field){.name = name,
                                   .place = place,
                                   .required = is_property ? SCHEMA_OPTIONAL : 0,
                                   .is_property = is_property};
    memcpy(&field->head, name.ptr, name.len < 8 ? name.len : 8);
}

/* Names of properties and required names, in whatever order. */
static bool collect_fields(struct schema_draft *d, struct schema_field *fields,
                           uint32_t *ret_count)
{
    struct pack cursor;
    struct schema_field *field = fields;
    for (uint32_t left = schema_count_of(d->properties, &cursor); left; left--, field++) {
        struct slice name;
        struct slice schema;
        if (!pack_next_text(&cursor, &name) || !pack_take(&cursor, &schema)) {
            schema_wrong(d, "properties", "an object of schemas");
            return false;
        }
        set_field(field, name, (uint32_t)(field - fields), true);
        struct schema_step step = {"properties", name, -1};
        field->node = schema_unless_anything(schema_want(d->c, d->source, step, schema));
    }
    for (uint32_t left = schema_count_of(d->required, &cursor); left; left--, field++) {
        struct slice name;
        if (!pack_next_text(&cursor, &name)) {
            schema_wrong(d, "required", "an array of names");
            return false;
        }
        set_field(field, name, (uint32_t)(field - fields), false);
    }
    *ret_count = (uint32_t)(field - fields);
    return !d->c->has_failed;
}

/* Makes one field of those with the same name, and numbers the required ones. */
static void merge_fields(struct schema_compiler *c, struct schema_objects *objects,
                         struct schema_field *fields, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!kept || compare_fields(&fields[kept - 1], &fields[i]) != 0) {
            fields[kept++] = fields[i];
            continue;
        }
        struct schema_field *field = &fields[kept - 1];
        if (fields[i].place < field->place) {
            field->place = fields[i].place;
        }
        if (fields[i].is_property) {
            field->is_property = true;
            field->node = fields[i].node;
        }
        if (fields[i].required != SCHEMA_OPTIONAL) {
            field->required = 0;
        }
    }
    for (uint32_t i = 0; i < kept; i++) {
        if (fields[i].required != SCHEMA_OPTIONAL) {
            uint32_t number = objects->required++;
            fields[i].required = (uint16_t)number;
            fields[i].bit = number < 64 ? (uint64_t)1 << number : 0;
            objects->required_bits |= fields[i].bit;
        }
        (void)schema_keep(c, fields[i].name, &fields[i].name);
    }
    objects->fields = fields;
    objects->count = kept;
}

/* Links the fields in the order in which the schema names them: callers mostly keep to it. */
static void order_fields(struct schema_draft *d, uint32_t places)
{
    struct schema_objects *objects = d->objects;
    uint32_t *by_place = arena_take(&d->c->scratch, places * sizeof *by_place);
    if (!by_place) {
        (void)schema_fail(d->c, d->source, "it is too large");
        return;
    }
    memset(by_place, 0, places * sizeof *by_place);
    for (uint32_t i = 0; i < objects->count; i++) {
        by_place[objects->fields[i].place] = i + 1;
    }
    for (uint32_t place = places; place--;) {
        if (by_place[place]) {
            struct schema_field *field = &objects->fields[by_place[place] - 1];
            field->next = objects->first;
            objects->first = field;
        }
    }
}

void schema_finish_objects(struct schema_draft *d)
{
    struct pack cursor;
    uint32_t required = schema_count_of(d->required, &cursor);
    uint32_t count = schema_count_of(d->properties, &cursor);
    d->objects->is_rare = d->names != NULL;
    if (required > SCHEMA_REQUIRED_MAX) {
        (void)schema_fail(d->c, d->source, "more than %u names are required",
                          SCHEMA_REQUIRED_MAX);
        return;
    }
    if (!count && !required) {
        return;
    }
    struct schema_field *fields =
        schema_take(d->c, sizeof *fields * ((size_t)count + required));
    if (fields && collect_fields(d, fields, &count)) {
        qsort(fields, count, sizeof *fields, compare_fields);
        merge_fields(d->c, d->objects, fields, count);
        order_fields(d, count);
        d->objects->is_rare = d->objects->is_rare || d->objects->required > 64;
    }
}
