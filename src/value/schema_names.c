/* SPDX-License-Identifier: MIT */
/* schema_names.c - the keywords about texts and names that match, and about what names bring with
 * them. */
#include "value/schema_pattern.h"

void schema_read_pattern(struct schema_draft *d, const char *name, struct slice value)
{
    struct pack cursor = pack_over(value);
    struct slice text;
    struct schema_strings *strings = schema_strings_of(d);
    if (!pack_next_text(&cursor, &text)) {
        schema_wrong(d, name, "text");
    } else if (strings) {
        strings->pattern = schema_pattern_of(d->c, d->source, name, text);
    }
}

static struct schema_names *names_of(struct schema_draft *d)
{
    struct schema_objects *objects = schema_objects_of(d);
    if (objects && !d->names) {
        objects->names = d->names = schema_take(d->c, sizeof *d->names);
    }
    return d->names;
}

void schema_read_matched(struct schema_draft *d, const char *name, struct slice value)
{
    struct pack cursor;
    struct schema_names *names = names_of(d);
    if (pack_peek(pack_over(value)) != PACK_MAP) {
        schema_wrong(d, name, "an object of schemas");
        return;
    }
    uint32_t count = schema_count_of(value, &cursor);
    struct schema_matched *matched = schema_take(d->c, sizeof *matched * (count + (size_t)1));
    for (uint32_t i = 0; names && matched && i < count && !d->c->has_failed; i++) {
        struct slice text;
        struct slice schema;
        if (!pack_next_text(&cursor, &text) || !pack_take(&cursor, &schema)) {
            schema_wrong(d, name, "an object of schemas");
            return;
        }
        struct schema_step step = {name, text, -1};
        matched[i].pattern = schema_pattern_of(d->c, d->source, name, text);
        matched[i].node = schema_unless_anything(schema_want(d->c, d->source, step, schema));
    }
    if (names) {
        names->matched = matched;
        names->count = count;
    }
}

void schema_read_names(struct schema_draft *d, const char *name, struct slice value)
{
    struct schema_names *names = names_of(d);
    if (names) {
        names->every =
            schema_unless_anything(schema_want(d->c, d->source, schema_step_of(name), value));
    }
}

/* ---- what depends on a name -------------------------------------------------------------- */

static void read_required_names(struct schema_draft *d, const char *name, struct slice value,
                                struct schema_dependent *ret)
{
    struct pack cursor;
    uint32_t count = schema_count_of(value, &cursor);
    ret->required = schema_take(d->c, sizeof *ret->required * (count + (size_t)1));
    for (uint32_t i = 0; ret->required && i < count; i++) {
        struct slice text;
        if (!pack_next_text(&cursor, &text)) {
            schema_wrong(d, name, "an object of arrays of names");
            return;
        }
        if (!schema_keep(d->c, text, &ret->required[i])) {
            return;
        }
    }
    ret->count = count;
}

static void read_dependent(struct schema_draft *d, const char *name, struct slice key,
                           struct slice value, struct schema_dependent *ret)
{
    bool is_array = pack_peek(pack_over(value)) == PACK_ARRAY;
    struct schema_step step = {name, key, -1};
    if (!schema_keep(d->c, key, &ret->name)) {
        return;
    }
    if (is_array && strcmp(name, "dependentSchemas") != 0) {
        read_required_names(d, name, value, ret);
    } else if (strcmp(name, "dependentRequired") == 0) {
        schema_wrong(d, name, "an object of arrays of names");
    } else {
        ret->node = schema_unless_anything(schema_want(d->c, d->source, step, value));
    }
}

/* "dependencies" holds both kinds. */
void schema_read_dependents(struct schema_draft *d, const char *name, struct slice value)
{
    struct pack cursor;
    struct schema_logic *logic = schema_logic_of(d);
    if (pack_peek(pack_over(value)) != PACK_MAP) {
        schema_wrong(d, name, "an object");
        return;
    }
    uint32_t count = schema_count_of(value, &cursor);
    uint32_t before = logic ? logic->dependent_count : 0;
    struct schema_dependent *all =
        schema_take(d->c, sizeof *all * ((size_t)before + count + 1));
    if (!logic || !all) {
        return;
    }
    for (uint32_t i = 0; i < before; i++) {
        all[i] = logic->dependents[i];
    }
    for (uint32_t i = before; i < before + count && !d->c->has_failed; i++) {
        struct slice key;
        struct slice member;
        if (!pack_next_text(&cursor, &key) || !pack_take(&cursor, &member)) {
            schema_wrong(d, name, "an object");
            return;
        }
        read_dependent(d, name, key, member, &all[i]);
    }
    logic->dependents = all;
    logic->dependent_count = before + count;
}
