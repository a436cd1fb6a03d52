/* SPDX-License-Identifier: MIT */
/* schema_test.h - what the tests of schemas share: JSON with ' for ", and tables of values that fit
 * a schema, then, after a NULL, of values that do not. */
#ifndef TESTS_SCHEMA_TEST_H
#define TESTS_SCHEMA_TEST_H

#include "value/schema.h"
#include "value_test.h"

#define VALUES_MAX 24

struct schema_case {
    const char *schema;
    const char *values[VALUES_MAX];
};

static inline struct buf pack_of_quoted(const char *text)
{
    struct buf json;
    buf_init(&json, TEST_BYTES_MAX);
    for (; *text; text++) {
        buf_put_byte(&json, (uint8_t)(*text == '\'' ? '"' : *text));
    }
    struct buf pack = pack_of(buf_text(&json));
    buf_done(&json);
    return pack;
}

static inline struct schema *schema_of(const char *text)
{
    struct buf definition = pack_of_quoted(text);
    struct schema *schema = NULL;
    struct err err = {.code = ERR_NONE};
    if (schema_compile(buf_slice(&definition), &schema, &err) != 0) {
        fail_msg("%s: %s", text, err.text);
    }
    /* The schema needs nothing of it any more. */
    memset(definition.data, 0xc1, definition.len);
    buf_done(&definition);
    return schema;
}

/* Why a schema is refused; it must be. */
static inline void assert_refused(const char *text, const char *words)
{
    struct buf definition = pack_of_quoted(text);
    struct schema *schema = NULL;
    struct err err = {.code = ERR_NONE};
    if (schema_compile(buf_slice(&definition), &schema, &err) != -(int)ERR_VALIDATION_ERROR ||
        schema || !strstr(err.text, words)) {
        fail_msg("%s: \"%s\", not \"%s\"", text, err.text, words);
    }
    buf_done(&definition);
}

/* What is said about a value agrees with whether it fits. */
static inline void assert_fits(const struct schema *schema, const char *definition,
                               const char *json, bool is_fit)
{
    struct buf value = pack_of_quoted(json);
    struct schema_faults faults;
    if (schema_accepts(schema, buf_slice(&value)) != is_fit) {
        fail_msg("%s %s %s", json, is_fit ? "should fit" : "should not fit", definition);
    }
    schema_explain(schema, buf_slice(&value), "arguments", &faults);
    if ((faults.count == 0) != is_fit) {
        fail_msg("%s against %s: %u faults", json, definition, faults.count);
    }
    for (unsigned i = 0; i < faults.count; i++) {
        assert_int_equal(strncmp(faults.list[i].field, "arguments", 9), 0);
        assert_true(faults.list[i].expected[0] && faults.list[i].received[0]);
        assert_null(strstr(faults.list[i].expected, "costly"));
    }
    buf_done(&value);
}

static inline void assert_cases(const struct schema_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct schema *schema = schema_of(cases[i].schema);
        bool is_fit = true;
        bool was_end = false;
        for (size_t k = 0; k < VALUES_MAX; k++) {
            const char *value = cases[i].values[k];
            if (value) {
                assert_fits(schema, cases[i].schema, value, is_fit);
            } else if (was_end) {
                break;
            } else {
                is_fit = false;
            }
            was_end = !value;
        }
        schema_free(schema);
    }
}

#define ASSERT_CASES(cases) assert_cases((cases), sizeof(cases) / sizeof *(cases))

#endif
