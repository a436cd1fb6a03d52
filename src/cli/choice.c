/* SPDX-License-Identifier: MIT */
/* choice.c - enum, oneOf and anyOf of a form's field: shown as a numbered list, and read. */
#include "cli/choice.h"

#include "cli/terminal.h"
#include "cli/view.h"
#include "value/pack.h"

#include <inttypes.h>

#define SHOWN_MAX 200u

struct choices choices_of(struct slice property)
{
    struct slice items = view_get(property, "items");
    struct slice from = slice_is(view_text(property, "type"), "array") ? items : property;
    struct choices choices = {.values = view_get(from, "enum")};
    if (view_count(choices.values)) {
        choices.titles = view_get(from, "enumNames");
    } else {
        struct slice one_of = view_get(from, "oneOf");
        choices.values = view_count(one_of) ? one_of : view_get(from, "anyOf");
        choices.is_titled = true;
    }
    choices.count = view_count(choices.values);
    return choices;
}

/* What is sent for an element of `values`. */
static struct slice value_of(const struct choices *choices, struct slice element)
{
    return choices->is_titled ? view_get(element, "const") : element;
}

static struct slice text_of(struct slice value)
{
    struct pack cursor = pack_over(value);
    struct slice text;
    return pack_next_text(&cursor, &text) ? text : (struct slice){NULL, 0};
}

void choices_put(const struct choices *choices, struct buf *out)
{
    struct view_list list = view_list(choices->values);
    struct view_list titles = view_list(choices->titles);
    struct slice element;
    for (uint32_t i = 1; i <= SHOWN_MAX && view_next(&list, &element); i++) {
        struct slice title = {NULL, 0};
        struct slice value = value_of(choices, element);
        struct err ignored;
        if (choices->is_titled) {
            title = view_text(element, "title");
        } else if (view_next(&titles, &title)) {
            title = text_of(title);
        }
        buf_printf(out, "    %" PRIu32 ") ", i);
        if (title.len) {
            put_clean(out, title, 0);
        } else if (text_of(value).ptr) {
            put_clean(out, text_of(value), 0);
        } else {
            (void)put_json(out, value, false, &ignored);
        }
        buf_put_byte(out, '\n');
    }
    if (list.left) {
        buf_printf(out, "    and %" PRIu32 " more\n", list.left);
    }
}

static uint32_t number_of(struct slice text)
{
    uint32_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || number > 1000000) {
            return 0;
        }
        number = number * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    return number;
}

/* A value itself goes before a title, and that before a place in the list. */
bool choices_read_one(const struct choices *choices, struct slice text, struct buf *out)
{
    struct slice by_title = {NULL, 0};
    struct slice by_number = {NULL, 0};
    struct view_list list = view_list(choices->values);
    struct view_list titles = view_list(choices->titles);
    struct slice element;
    uint32_t wanted = number_of(text);
    for (uint32_t i = 1; view_next(&list, &element); i++) {
        struct slice title = choices->is_titled ? view_text(element, "title") : SLICE("");
        struct slice value = value_of(choices, element);
        struct slice entry;
        if (view_next(&titles, &entry)) {
            title = text_of(entry);
        }
        if (text_of(value).ptr && slice_equal(text_of(value), text)) {
            buf_put_slice(out, value);
            return true;
        }
        by_title = title.len && slice_equal(title, text) ? value : by_title;
        by_number = i == wanted ? value : by_number;
    }
    buf_put_slice(out, by_title.len ? by_title : by_number);
    return by_title.len || by_number.len;
}

static struct slice trim(struct slice text)
{
    while (text.len && *text.ptr == ' ') {
        text.ptr++;
        text.len--;
    }
    while (text.len && text.ptr[text.len - 1] == ' ') {
        text.len--;
    }
    return text;
}

bool choices_read_all(const struct choices *choices, struct slice text, struct buf *out)
{
    uint32_t count = 0;
    size_t opened = pack_open(out);
    bool is_good = true;
    while (text.len && is_good) {
        const char *comma = memchr(text.ptr, ',', text.len);
        size_t len = comma ? (size_t)(comma - text.ptr) : text.len;
        is_good = choices_read_one(choices, trim((struct slice){text.ptr, len}), out);
        count++;
        len += comma ? 1 : 0;
        text.ptr += len;
        text.len -= len;
    }
    pack_close_array(out, opened, count);
    return is_good;
}
