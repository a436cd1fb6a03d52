/* SPDX-License-Identifier: MIT */
/* schema_words.c - what is said about a value or a schema, in few words. */
#include "value/schema_words.h"

#include "base/text.h"
#include "value/decimal.h"
#include "value/json.h"
#include "value/json_number.h"
#include "value/schema_pattern.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define RECEIVED_BYTES 40
#define LISTED_BYTES   48
#define LISTED_VALUES  12

/* Drops a character that was cut in two at the end. */
static void mend_end(char *text)
{
    size_t len = strlen(text);
    size_t at = len;
    while (at && len - at < 3 && ((unsigned char)text[at - 1] & 0xc0) == 0x80) {
        at--;
    }
    if (at && (unsigned char)text[at - 1] >= 0xc0) {
        struct slice last = {text + at - 1, len - at + 1};
        if (!text_utf8_step(last)) {
            text[at - 1] = '\0';
        }
    }
}

void words_put(char *text, size_t room, const char *format, ...)
{
    size_t len = strlen(text);
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text + len, room - len, format, args);
    va_end(args);
    if (length > 0 && (size_t)length >= room - len) {
        mend_end(text);
    }
}

void words_put_text(char *text, size_t room, struct slice from, size_t most)
{
    size_t at = strlen(text);
    size_t written = 0;
    while (from.len && written < most) {
        size_t step = text_utf8_step(from);
        if (at + (step ? step : 1) >= room) {
            break;
        }
        if (step > 1) {
            memcpy(text + at, from.ptr, step);
        } else {
            bool is_control = (unsigned char)from.ptr[0] < 0x20 || from.ptr[0] == 0x7f;
            char shown = from.ptr[0];
            if (!step) {
                shown = '?';
            } else if (is_control) {
                shown = ' ';
            }
            text[at] = shown;
            step = 1;
        }
        at += step;
        written += step;
        from.ptr += step;
        from.len -= step;
    }
    text[at] = '\0';
    if (from.len) {
        words_put(text, room, "...");
    }
}

void words_put_types(char *text, size_t room, uint8_t types)
{
    static const struct {
        uint8_t type;
        const char *name;
    } names[] = {{SCHEMA_STRING, "string"},   {SCHEMA_NUMBER, "number"},
                 {SCHEMA_INTEGER, "integer"}, {SCHEMA_BOOLEAN, "boolean"},
                 {SCHEMA_OBJECT, "object"},   {SCHEMA_ARRAY, "array"},
                 {SCHEMA_NULL, "null"},       {SCHEMA_NEVER, "nothing"}};
    const char *between = "";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (types & names[i].type) {
            words_put(text, room, "%s%s", between, names[i].name);
            between = " or ";
        }
    }
}

static void put_json(char *text, size_t room, struct slice value)
{
    struct buf json;
    buf_init(&json, 4096);
    if (json_from_pack(value, "value", &json, NULL) == 0) {
        words_put_text(text, room, buf_slice(&json), LISTED_BYTES);
    } else {
        words_put(text, room, "a value");
    }
    buf_done(&json);
}

void words_put_values(char *text, size_t room, const struct schema_values *values)
{
    words_put(text, room, values->is_const ? "exactly " : "one of: ");
    for (uint32_t i = 0; i < values->count; i++) {
        if (i == LISTED_VALUES) {
            words_put(text, room, ", and %u more", (unsigned)(values->count - i));
            return;
        }
        words_put(text, room, i ? ", " : "");
        if (values->items[i].type == PACK_STR) {
            words_put_text(text, room, values->items[i].text, LISTED_BYTES);
        } else {
            put_json(text, room, values->bytes[i]);
        }
    }
}

static void put_real(char *text, size_t room, double value)
{
    char digits[JSON_NUMBER_TEXT_BYTES];
    if (isfinite(value)) {
        words_put_text(text, room, (struct slice){digits, json_number_write(value, digits)},
                       64);
    } else {
        words_put(text, room, isnan(value) ? "NaN" : value < 0 ? "-infinity" : "infinity");
    }
}

void words_put_number(char *text, size_t room, const struct schema_number *number)
{
    if (number->is_whole) {
        words_put(text, room, "%s%llu", number->is_negative ? "-" : "",
                  (unsigned long long)number->magnitude);
    } else {
        put_real(text, room, number->real);
    }
}

static void put_strings(char *text, size_t room, const struct schema_strings *strings)
{
    if (strings->pattern) {
        words_put(text, room, "text matching ");
        words_put_text(text, room, schema_pattern_text(strings->pattern), LISTED_BYTES);
    } else if (strings->least && strings->most != UINT64_MAX) {
        words_put(text, room, "text of %llu to %llu characters",
                  (unsigned long long)strings->least, (unsigned long long)strings->most);
    } else if (strings->least) {
        words_put(text, room, "text of %llu or more characters",
                  (unsigned long long)strings->least);
    } else {
        words_put(text, room, "text of up to %llu characters",
                  (unsigned long long)strings->most);
    }
}

void words_put_decimal(char *text, size_t room, const struct schema_decimal *decimal)
{
    uint64_t whole = decimal->digits;
    int64_t left = decimal->exponent;
    while (left > 0 && !__builtin_mul_overflow(whole, 10u, &whole)) {
        left--;
    }
    if (!left) {
        words_put(text, room, "%llu", (unsigned long long)whole);
    } else if (decimal->digits < 100000000000000000u && left > -300 && left < 0) {
        put_real(text, room,
                 decimal_to_double((struct decimal){decimal->digits, (int32_t)left}));
    } else {
        words_put(text, room, "%llue%lld", (unsigned long long)decimal->digits,
                  (long long)decimal->exponent);
    }
}

void words_put_node(char *text, size_t room, const struct schema_node *node)
{
    /* A reference says what it refers to; chains are finite. */
    while (node && !node->types && !node->values && node->logic &&
           node->logic->all_of.count == 1) {
        node = node->logic->all_of.at[0];
    }
    if (node && node->values) {
        words_put_values(text, room, node->values);
    } else if (node && node->strings && !(node->types & (uint8_t)~SCHEMA_STRING) &&
               (node->strings->pattern || !node->types)) {
        put_strings(text, room, node->strings);
    } else if (node && node->types) {
        words_put_types(text, room, node->types);
    } else {
        words_put(text, room, "a value");
    }
}

void words_put_received(char *text, size_t room, struct pack at)
{
    struct pack_item item;
    (void)pack_next(&at, &item);
    switch (item.type) {
    case PACK_NIL:
        words_put(text, room, "null");
        break;
    case PACK_BOOL:
        words_put(text, room, "boolean %s", item.b ? "true" : "false");
        break;
    case PACK_INT:
        words_put(text, room, "integer %lld", (long long)item.i);
        break;
    case PACK_UINT:
        words_put(text, room, "integer %llu", (unsigned long long)item.u);
        break;
    case PACK_FLOAT:
        words_put(text, room, "number ");
        put_real(text, room, item.f);
        break;
    case PACK_STR:
        words_put(text, room, "string \"");
        words_put_text(text, room, item.text, RECEIVED_BYTES);
        words_put(text, room, "\"");
        break;
    case PACK_BIN:
        words_put(text, room, "%zu bytes of binary data", item.text.len);
        break;
    case PACK_EXT:
        words_put(text, room, item.ext == PACK_EXT_NUMBER ? "number " : "an extension type");
        if (item.ext == PACK_EXT_NUMBER) {
            words_put_text(text, room, item.text, RECEIVED_BYTES);
        }
        break;
    case PACK_ARRAY:
        words_put(text, room, "array of %u items", (unsigned)item.count);
        break;
    case PACK_MAP:
        words_put(text, room, "object of %u fields", (unsigned)item.count);
        break;
    case PACK_END:
        words_put(text, room, "nothing");
    }
}
