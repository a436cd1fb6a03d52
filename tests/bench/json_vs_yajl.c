/* SPDX-License-Identifier: MIT */
/*
 * json_vs_yajl.c - JSON to MessagePack beside a bare yajl parse with empty callbacks, kind by kind.
 *
 * Interleaved rounds, medians. yajl only reads; json_to_pack also checks for duplicate keys and
 * writes its result. Prints MB/s of both and the ratio; exits 1 if the two disagree on a document.
 */
#include "base/clock.h"
#include "value/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <yajl_parse.h>

#define ROUNDS         9
#define ROUND_US       15000
#define DOCUMENT_BYTES ((size_t)57 * 1024)
#define BYTES_LARGE    ((size_t)64 << 20)

/* ---- documents: the same in every run --------------------------------------------------- */

static uint64_t random_state = 88172645463325252u;

static uint32_t pick(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % below;
}

static const char *const words[] = {
    "the",  "contact",  "record",  "identifier", "of",     "a",       "value", "returned",
    "by",   "list",     "message", "to",         "update", "with",    "given", "field",
    "when", "calendar", "event",   "optional",   "status", "maximum", "page",  "results",
    "in",   "format",   "ISO",     "date",       "and",    "service", "user",  "account"};

static const char *word(void)
{
    return words[pick(sizeof words / sizeof *words)];
}

static void put_sentence(struct buf *out, uint32_t count)
{
    while (count--) {
        buf_printf(out, "%s%s", word(), count ? " " : ".");
    }
}

static void put_property(struct buf *out, uint32_t number)
{
    static const char *const types[] = {"string", "integer", "boolean", "number"};
    buf_printf(out, "\"%s_%s%u\":{\"type\":\"%s\",\"description\":\"", word(), word(), number,
               types[pick(4)]);
    put_sentence(out, 6 + pick(14));
    buf_put_text(out, "\"");
    if (pick(4) == 0) {
        buf_printf(out, ",\"enum\":[\"%s\",\"%s-%s\",\"%s_x\"]", "first", word(), word(),
                   word());
    } else if (pick(4) == 0) {
        buf_printf(out, ",\"minimum\":%u,\"maximum\":%u,\"default\":%u", 1, 100 + pick(900),
                   pick(100));
    }
    buf_put_text(out, "}");
}

static void put_tool(struct buf *out, uint32_t number)
{
    uint32_t properties = 2 + pick(7);
    buf_printf(out, "{\"name\":\"%s-%s-%u\",\"title\":\"%s %s\",\"description\":\"", word(),
               word(), number, word(), word());
    put_sentence(out, 20 + pick(40));
    buf_put_text(out, "\\n\\n[See the documentation](https://developers.example.com/docs)\","
                      "\"inputSchema\":{\"type\":\"object\",\"properties\":{");
    for (uint32_t i = 0; i < properties; i++) {
        buf_put_text(out, i ? "," : "");
        put_property(out, i);
    }
    buf_put_text(out, "},\"required\":[\"instructions\"],\"additionalProperties\":false,"
                      "\"$schema\":\"http://json-schema.org/draft-07/schema#\"},"
                      "\"annotations\":{\"readOnlyHint\":true,\"destructiveHint\":false,"
                      "\"idempotentHint\":true,\"openWorldHint\":true}}");
}

static void tools_list(struct buf *out)
{
    buf_put_text(out, "{\"jsonrpc\":\"2.0\",\"id\":17,\"result\":{\"tools\":[");
    for (uint32_t i = 0; out->len < DOCUMENT_BYTES; i++) {
        buf_put_text(out, i ? "," : "");
        put_tool(out, i);
    }
    buf_put_text(out, "]}}");
}

typedef void element_fn(struct buf *out, uint32_t number);

static void array_of(struct buf *out, element_fn *element)
{
    buf_put_text(out, "[");
    for (uint32_t i = 0; out->len < DOCUMENT_BYTES; i++) {
        buf_put_text(out, i ? "," : "");
        element(out, i);
    }
    buf_put_text(out, "]");
}

static void put_small_integer(struct buf *out, uint32_t number)
{
    buf_printf(out, "%u", pick(number % 3 ? 1000 : 100000));
}

static void put_large_integer(struct buf *out, uint32_t number)
{
    buf_printf(out, "%s%u%09u", number % 2 ? "-" : "", 1 + pick(900000000), pick(1000000000));
}

static void put_price(struct buf *out, uint32_t number)
{
    (void)number;
    buf_printf(out, "%u.%02u", pick(10000), pick(100));
}

static void put_coordinate(struct buf *out, uint32_t number)
{
    buf_printf(out, "[%s%u.%015u,%.17g]", number % 2 ? "-" : "", pick(180), pick(1000000000),
               (double)pick(1000000) / 7919);
}

/* As JavaScript and Python write a double: the fewest digits that give it back. */
static void put_shortest(struct buf *out, double value)
{
    char text[40];
    for (int precision = 15; precision <= 17; precision++) {
        (void)snprintf(text, sizeof text, "%.*g", precision, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    buf_put_text(out, text);
}

static void put_fraction(struct buf *out, uint32_t number)
{
    put_shortest(out, ((double)pick(1 << 30) * 3.7 + number) / 4e9);
}

static void put_any_double(struct buf *out, uint32_t number)
{
    put_shortest(
        out, ldexp(1 + (double)pick(1 << 30) / 1073741825.0, (int)(number * 37 % 1900) - 950));
}

static void put_uuid(struct buf *out, uint32_t number)
{
    buf_printf(out, "\"%08x-%04x-4%03x-a%03x-%012x\"", pick(1 << 30), pick(1 << 16),
               pick(1 << 12), pick(1 << 12), number);
}

static void put_scientific(struct buf *out, uint32_t number)
{
    buf_printf(out, "%u.%06ue%s%u", 1 + pick(9), pick(1000000), number % 2 ? "-" : "",
               pick(300));
}

static void put_huge_integer(struct buf *out, uint32_t number)
{
    (void)number;
    buf_printf(out, "%u%09u%09u%09u", 1 + pick(9), pick(1000000000), pick(1000000000),
               pick(1000000000));
}

static void put_escapes(struct buf *out, uint32_t number)
{
    (void)number;
    buf_printf(out, "\"%s \\\"%s\\\"\\n\\t%s\\\\%s\\u00e9 %s\\r\\n\"", word(), word(), word(),
               word(), word());
}

static void put_unicode_escapes(struct buf *out, uint32_t number)
{
    buf_put_text(out, "\"");
    for (uint32_t i = 0; i < 8; i++) {
        buf_put_text(out, number % 2 ? "\\ud83d\\ude00" : "\\u4e2d\\u6587");
    }
    buf_put_text(out, "\"");
}

static void put_nested(struct buf *out, uint32_t number)
{
    for (int i = 0; i < 60; i++) {
        buf_put_text(out, i % 2 ? "[" : "{\"a\":");
    }
    buf_printf(out, "%u", number % 10);
    for (int i = 60; i--;) {
        buf_put_text(out, i % 2 ? "]" : "}");
    }
}

static void put_flat_nested(struct buf *out, uint32_t number)
{
    (void)number;
    buf_put_text(out, "[[[[[[[[]]]],[]]]],{}]");
}

static void put_short_string(struct buf *out, uint32_t number)
{
    buf_printf(out, "\"%c%s\"", 'a' + (int)(number % 26), number % 3 ? word() : "");
}

static void put_small_object(struct buf *out, uint32_t number)
{
    buf_printf(out, "{\"id\":%u,\"ok\":true,\"x\":null,\"k\":\"v\"}", number);
}

static void put_spanish(struct buf *out, uint32_t number)
{
    static const char *const phrases[] = {
        "Ups, hubo un error al conectarse: inténtelo más tarde, señor Núñez",
        "La reunión está programada para mañana a las nueve", "¿Cuántos años tiene el niño?",
        "Acción número quince: añadir contactos"};
    buf_printf(out, "\"%s\"", phrases[number % 4]);
}

static void put_chinese(struct buf *out, uint32_t number)
{
    static const char *const phrases[] = {"我们的服务现在不可用请稍后再试谢谢您的理解",
                                          "日程安排已经更新，会议将于明天上午九点开始。"};
    buf_printf(out, "\"%s\"", phrases[number % 2]);
}

static void put_emoji(struct buf *out, uint32_t number)
{
    (void)number;
    buf_put_text(out, "\"😀😃😄😁😆😅😂🤣\"");
}

static void put_indented(struct buf *out, uint32_t number)
{
    buf_printf(
        out,
        "\n        {\n            \"id\": %u,\n            \"name\": \"%s\",\n"
        "            \"values\": [\n                1,\n                2\n            ]\n"
        "        }",
        number, word());
}

static void many_keys(struct buf *out)
{
    buf_put_text(out, "{");
    for (uint32_t i = 0; out->len < DOCUMENT_BYTES; i++) {
        buf_printf(out, "%s\"%s_%u\":%u", i ? "," : "", word(), i, i % 7);
    }
    buf_put_text(out, "}");
}

static void long_text(struct buf *out)
{
    buf_put_text(out, "{\"text\":\"");
    while (out->len < DOCUMENT_BYTES) {
        put_sentence(out, 30);
    }
    buf_put_text(out, "\"}");
}

static void small_answer(struct buf *out)
{
    buf_put_text(out,
                 "{\"jsonrpc\":\"2.0\",\"id\":4711,\"result\":{\"content\":[{\"type\":\"text\","
                 "\"text\":\"Echo: hello world\"}],\"isError\":false}}");
}

static const struct document {
    const char *name;
    element_fn *element;
    void (*whole)(struct buf *out);
} documents[] = {
    {"tools list, 57 KB", NULL, tools_list},
    {"answer of one call", NULL, small_answer},
    {"long plain text", NULL, long_text},
    {"short strings", put_short_string, NULL},
    {"UUIDs", put_uuid, NULL},
    {"small objects", put_small_object, NULL},
    {"object, thousands of keys", NULL, many_keys},
    {"indented", put_indented, NULL},
    {"small integers", put_small_integer, NULL},
    {"large integers", put_large_integer, NULL},
    {"integers of 28 digits", put_huge_integer, NULL},
    {"prices", put_price, NULL},
    {"coordinates, 15-17 digits", put_coordinate, NULL},
    {"doubles from 0 to 1", put_fraction, NULL},
    {"doubles of any size", put_any_double, NULL},
    {"numbers with exponents", put_scientific, NULL},
    {"strings with escapes", put_escapes, NULL},
    {"\\u escapes only", put_unicode_escapes, NULL},
    {"nested 60 deep", put_nested, NULL},
    {"empty arrays and objects", put_flat_nested, NULL},
    {"Spanish", put_spanish, NULL},
    {"Chinese", put_chinese, NULL},
    {"emoji", put_emoji, NULL},
};

/* ---- the two ---------------------------------------------------------------------------- */

static int on_null(void *context)
{
    (void)context;
    return 1;
}

static int on_boolean(void *context, int value)
{
    (void)context;
    (void)value;
    return 1;
}

static int on_text(void *context, const unsigned char *text, size_t len)
{
    (void)context;
    (void)text;
    (void)len;
    return 1;
}

static int on_number(void *context, const char *text, size_t len)
{
    (void)context;
    (void)text;
    (void)len;
    return 1;
}

static int on_integer(void *context, long long value)
{
    (void)context;
    (void)value;
    return 1;
}

static int on_double(void *context, double value)
{
    (void)context;
    (void)value;
    return 1;
}

/* Numbers become long long and double, as ours do; where a document has numbers beyond those, yajl
 * only hands their text over, which is less work than ours. */
static const yajl_callbacks typed = {on_null, on_boolean, on_integer, on_double,
                                     NULL,    on_text,    on_null,    on_text,
                                     on_null, on_null,    on_null};
static const yajl_callbacks textual = {on_null,   on_boolean, NULL,    NULL,
                                       on_number, on_text,    on_null, on_text,
                                       on_null,   on_null,    on_null};

static bool run_yajl(const struct buf *json, const yajl_callbacks *callbacks)
{
    yajl_handle handle = yajl_alloc(callbacks, NULL, NULL);
    yajl_status status = yajl_parse(handle, (const unsigned char *)json->data, json->len);
    if (status == yajl_status_ok) {
        status = yajl_complete_parse(handle);
    }
    yajl_free(handle);
    return status == yajl_status_ok;
}

static bool run_ours(const struct buf *json, struct buf *pack)
{
    struct err err;
    buf_clear(pack);
    if (json_to_pack(buf_slice(json), JSON_DEPTH_MAX, pack, &err) != 0) {
        (void)fprintf(stderr, "json_to_pack: %s\n", err.text);
        return false;
    }
    return true;
}

/* Megabytes a second of one round. */
static double measure(const struct buf *json, struct buf *pack, const yajl_callbacks *callbacks)
{
    mono_us start = clock_mono();
    mono_us passed = 0;
    double bytes = 0;
    do {
        for (size_t done = 0; done < DOCUMENT_BYTES; done += json->len) {
            if (!(callbacks ? run_yajl(json, callbacks) : run_ours(json, pack))) {
                exit(1);
            }
            bytes += (double)json->len;
        }
        passed = clock_mono() - start;
    } while (passed < ROUND_US);
    return bytes / (double)passed;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof *values, compare);
    return values[ROUNDS / 2];
}

static void run_document(const struct document *document)
{
    struct buf json;
    struct buf pack;
    double ours[ROUNDS];
    double yajl[ROUNDS];
    buf_init(&json, BYTES_LARGE);
    buf_init(&pack, BYTES_LARGE);
    if (document->whole) {
        document->whole(&json);
    } else {
        array_of(&json, document->element);
    }
    const yajl_callbacks *callbacks = run_yajl(&json, &typed) ? &typed : &textual;
    for (int i = 0; i < ROUNDS; i++) {
        ours[i] = measure(&json, &pack, NULL);
        yajl[i] = measure(&json, NULL, callbacks);
    }
    double our_speed = median(ours);
    double yajl_speed = median(yajl);
    printf("%-28s %7zu %9.0f %9.0f %8.2f%s\n", document->name, json.len, our_speed, yajl_speed,
           our_speed / yajl_speed, callbacks == &typed ? "" : "  (yajl: numbers as text)");
    buf_done(&json);
    buf_done(&pack);
}

int main(void)
{
    printf("%-28s %7s %9s %9s %8s\n", "JSON to MessagePack", "bytes", "ours MB/s", "yajl MB/s",
           "ratio");
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        run_document(&documents[i]);
    }
    return 0;
}
