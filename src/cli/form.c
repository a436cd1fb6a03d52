/* SPDX-License-Identifier: MIT */
/* form.c - a form of a server, field by field: what it may hold is told, checked, and asked again. */
#include "cli/ask.h"
#include "cli/choice.h"
#include "cli/view.h"

#include "value/json.h"
#include "value/pack.h"
#include "value/schema.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define FIELD_BYTES ((size_t)1048576)
#define SAY_BYTES   4194304u

enum kind { KIND_TEXT, KIND_BOOL, KIND_NUMBER, KIND_CHOICE, KIND_CHOICES, KIND_JSON };

struct field {
    struct slice name, property, fallback; /* fallback: the default's value, or empty */
    enum kind kind;
    bool is_required;
    struct choices choices;
};

static enum kind kind_of(const struct field *field)
{
    struct slice type = view_text(field->property, "type");
    if (field->choices.count) {
        return slice_is(type, "array") ? KIND_CHOICES : KIND_CHOICE;
    }
    if (slice_is(type, "boolean")) {
        return KIND_BOOL;
    }
    if (slice_is(type, "integer") || slice_is(type, "number")) {
        return KIND_NUMBER;
    }
    return slice_is(type, "string") ? KIND_TEXT : KIND_JSON;
}

static bool is_required(struct slice schema, struct slice name)
{
    struct view_list list = view_list(view_get(schema, "required"));
    struct slice entry;
    while (view_next(&list, &entry)) {
        struct pack cursor = pack_over(entry);
        struct slice text;
        if (pack_next_text(&cursor, &text) && slice_equal(text, name)) {
            return true;
        }
    }
    return false;
}

/* ---- what a field may hold, in words ------------------------------------------------------ */

static void put_limit(struct buf *out, struct slice property, const char *key,
                      const char *words)
{
    struct slice value = view_get(property, key);
    struct err ignored;
    if (value.len) {
        buf_printf(out, ", %s ", words);
        (void)put_json(out, value, false, &ignored);
    }
}

static void put_kind(struct buf *out, const struct field *field)
{
    static const char *const words[] = {
        [KIND_TEXT] = "text",     [KIND_BOOL] = "yes or no",
        [KIND_NUMBER] = "number", [KIND_CHOICE] = "one of these",
        [KIND_JSON] = "JSON",     [KIND_CHOICES] = "any of these, with commas between"};
    struct slice type = view_text(field->property, "type");
    struct slice format = view_text(field->property, "format");
    buf_put_text(out, slice_is(type, "integer") ? "whole number" : words[field->kind]);
    if (format.len) {
        buf_put_text(out, ", ");
        put_clean(out, format, 60);
    }
    put_limit(out, field->property, "minimum", "at least");
    put_limit(out, field->property, "maximum", "at most");
    put_limit(out, field->property, "exclusiveMinimum", "more than");
    put_limit(out, field->property, "exclusiveMaximum", "less than");
    put_limit(out, field->property, "minLength", "characters at least");
    put_limit(out, field->property, "maxLength", "characters at most");
    put_limit(out, field->property, "pattern", "fitting");
    put_limit(out, field->property, "minItems", "items at least");
    put_limit(out, field->property, "maxItems", "items at most");
}

static void put_fallback(struct buf *out, const struct field *field)
{
    struct pack cursor = pack_over(field->fallback);
    struct slice text;
    struct err ignored;
    if (pack_next_text(&cursor, &text)) {
        put_clean(out, text, 200);
        return;
    }
    struct buf json;
    buf_init(&json, FIELD_BYTES);
    (void)put_json(&json, field->fallback, false, &ignored);
    put_clean(out, buf_slice(&json), 200);
    buf_done(&json);
}

static void say_field(struct asker *asker, const struct field *field)
{
    struct buf text;
    struct slice title = view_text(field->property, "title");
    struct slice description = view_text(field->property, "description");
    buf_init(&text, SAY_BYTES);
    buf_put_text(&text, "\n  ");
    put_paint(&text, asker_terminal(asker), PAINT_BOLD);
    put_clean(&text, title.len ? title : field->name, 0);
    put_plain(&text, asker_terminal(asker));
    buf_put_text(&text, " (");
    put_kind(&text, field);
    buf_put_text(&text, field->is_required ? ", required)\n" : ")\n");
    if (description.len) {
        buf_put_text(&text, "  ");
        put_clean(&text, description, 0);
        buf_put_byte(&text, '\n');
    }
    choices_put(&field->choices, &text);
    if (field->fallback.len) {
        buf_put_text(&text,
                     field->is_required ? "  Enter takes: " : "  Enter takes (- none): ");
        put_fallback(&text, field);
        buf_put_byte(&text, '\n');
    } else if (!field->is_required) {
        buf_put_text(&text, "  Enter leaves it out.\n");
    }
    asker_say(asker, &text);
    buf_done(&text);
}

/* ---- what was typed ----------------------------------------------------------------------- */

static bool is_date(struct slice text, const char *format)
{
    char copy[64];
    struct tm parts = {0};
    if (text.len >= sizeof copy) {
        return false;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    const char *end = strptime(copy, format, &parts);
    if (!end) {
        return false;
    }
    struct tm same = parts;
    time_t moment = timegm(&same); /* moves 31 February to March */
    return same.tm_mday == parts.tm_mday && moment != (time_t)-1 &&
           (strchr(format, 'T') ? *end == 'Z' || *end == '.' || *end == '+' || *end == '-'
                                : *end == '\0');
}

/* What is wrong with the text as one of this format; NULL: nothing. Schemas do not check it. */
static const char *fault_of_format(struct slice format, struct slice text)
{
    if (slice_is(format, "date")) {
        return is_date(text, "%Y-%m-%d") ? NULL : "write a date as 2026-11-21";
    }
    if (slice_is(format, "date-time")) {
        return is_date(text, "%Y-%m-%dT%H:%M:%S") ? NULL
                                                  : "write a time as 2026-11-21T14:00:00Z";
    }
    const char *at = memchr(text.ptr, '@', text.len);
    bool has_blank = memchr(text.ptr, ' ', text.len) != NULL;
    if (slice_is(format, "email")) {
        bool is_good = at && at != text.ptr && at + 1 != text.ptr + text.len && !has_blank;
        return is_good ? NULL : "write an address as name@example.com";
    }
    if (slice_is(format, "uri")) {
        const char *colon = memchr(text.ptr, ':', text.len);
        return colon && colon != text.ptr && !has_blank ? NULL
                                                        : "write it as https://example.com/";
    }
    return NULL;
}

/* Appends the value; what is wrong with the text, or NULL. */
static const char *read_value(const struct field *field, struct slice text, struct buf *out)
{
    struct err ignored;
    switch (field->kind) {
    case KIND_TEXT: {
        const char *fault = fault_of_format(view_text(field->property, "format"), text);
        pack_put_str(out, text);
        return fault;
    }
    case KIND_BOOL:
        pack_put_bool(out, is_yes(text));
        return is_yes(text) || is_no(text) ? NULL : "write yes or no";
    case KIND_CHOICE:
        return choices_read_one(&field->choices, text, out) ? NULL
                                                            : "write one of the numbers above";
    case KIND_CHOICES:
        return choices_read_all(&field->choices, text, out) ? NULL : "write numbers as: 1, 3";
    default:
        if (json_to_pack(text, JSON_DEPTH_MAX, out, &ignored) != 0) {
            return field->kind == KIND_NUMBER ? "write a number" : "write JSON";
        }
        return NULL;
    }
}

/* Whether the value fits the field's schema; if not, says why. */
static bool check(struct asker *asker, const struct field *field, struct slice value)
{
    struct schema *schema;
    struct err ignored;
    if (schema_compile(field->property, &schema, &ignored) != 0) {
        return true; /* the server's own schema is of no use: it has to check */
    }
    bool fits = schema_accepts(schema, value);
    if (!fits) {
        struct schema_faults faults;
        struct buf text;
        schema_explain(schema, value, "it", &faults);
        buf_init(&text, SAY_BYTES);
        for (unsigned i = 0; i < faults.count; i++) {
            buf_put_text(&text, "  not possible: must be ");
            put_clean(&text, slice_of(faults.list[i].expected), 0);
            buf_put_text(&text, ", is ");
            put_clean(&text, slice_of(faults.list[i].received), 0);
            buf_put_byte(&text, '\n');
        }
        asker_say(asker, &text);
        buf_done(&text);
    }
    schema_free(schema);
    return fits;
}

/* True: the line settles the field; *ret_given: `value` has what it is. */
static bool take_line(struct asker *asker, const struct field *field, struct slice line,
                      struct buf *value, bool *ret_given)
{
    const char *fault = NULL;
    *ret_given = false;
    buf_clear(value);
    if (!line.len && field->fallback.len) {
        buf_put_slice(value, field->fallback);
        *ret_given = true;
        return true;
    }
    if (!field->is_required && (!line.len || (field->fallback.len && slice_is(line, "-")))) {
        return true;
    }
    fault = line.len ? read_value(field, line, value) : "it is required";
    if (!fault && !value->overflow) {
        *ret_given = check(asker, field, buf_slice(value));
        return *ret_given;
    }
    struct buf text;
    buf_init(&text, SAY_BYTES);
    buf_printf(&text, "  not possible: %s\n", fault ? fault : "it is too long");
    asker_say(asker, &text);
    buf_done(&text);
    return false;
}

static enum line_end fill_field(struct asker *asker, const struct field *field,
                                struct buf *value, bool *ret_given)
{
    struct buf line;
    struct buf text;
    enum line_end end;
    buf_init(&line, FIELD_BYTES);
    buf_init(&text, SAY_BYTES);
    say_field(asker, field);
    do {
        buf_put_text(&text, "  > ");
        asker_say(asker, &text);
        end = asker_line(asker, &line);
    } while (end == LINE_READ && !take_line(asker, field, buf_slice(&line), value, ret_given));
    buf_done(&line);
    buf_done(&text);
    return end;
}

enum line_end form_fill(struct asker *asker, struct slice schema, struct buf *ret)
{
    struct pack cursor = pack_over(view_get(schema, "properties"));
    struct pack_item fields;
    struct buf value;
    enum line_end end = LINE_READ;
    uint32_t count = 0;
    (void)pack_next(&cursor, &fields);
    buf_init(&value, FIELD_BYTES);
    size_t opened = pack_open(ret);
    for (uint32_t i = 0; i < fields.count && end == LINE_READ; i++) {
        struct field field = {.kind = KIND_TEXT};
        bool is_given = false;
        if (!pack_next_text(&cursor, &field.name) || !pack_take(&cursor, &field.property)) {
            break;
        }
        field.fallback = view_get(field.property, "default");
        field.is_required = is_required(schema, field.name);
        field.choices = choices_of(field.property);
        field.kind = kind_of(&field);
        end = fill_field(asker, &field, &value, &is_given);
        if (end == LINE_READ && is_given) {
            pack_put_str(ret, field.name);
            buf_put_slice(ret, buf_slice(&value));
            count++;
        }
    }
    pack_close_map(ret, opened, count);
    buf_done(&value);
    return end;
}
