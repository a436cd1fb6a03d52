/* SPDX-License-Identifier: MIT */
/* test_param_header.c - which `x-mcp-header` are in order, and what they make of arguments. */
#include "fake.h"

#include "mcp/param_header.h"

static int compile(const char *schema, struct param_headers **ret, struct err *err)
{
    struct buf out;
    int r = param_headers_compile(pack(&out, schema), ret, err);
    buf_done(&out); /* nobody may look at it any more */
    return r;
}

static void schemas_without_any_are_in_order(void **state)
{
    static const char *const schemas[] = {
        "{}",
        "true",
        "[]",
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}",
        "{\"properties\":{\"x-mcp-header\":{\"type\":\"string\"}}}",
        "{\"properties\":{\"a\":{\"type\":\"object\",\"default\":{\"x-mcp-header\":\"B C\"}}}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        struct param_headers *headers = (struct param_headers *)(void *)&schemas;
        assert_int_equal(compile(schemas[i], &headers, NULL), 0);
        assert_null(headers);
    }
}

static void bad_ones_are_refused(void **state)
{
#define AT(property) "{\"type\":\"object\",\"properties\":{\"a\":" property "}}"
#define HAS_HEADER   "{\"type\":\"string\",\"x-mcp-header\":\"A\"}"
    static const struct {
        const char *schema, *says;
    } cases[] = {
        {AT("{\"type\":\"string\",\"x-mcp-header\":\"Bad Header\"}"), "\"a\" is no name"},
        {AT("{\"type\":\"string\",\"x-mcp-header\":\"\"}"), "no name"},
        {AT("{\"type\":\"string\",\"x-mcp-header\":\"a\\u0000b\"}"), "no name"},
        {AT("{\"type\":\"string\",\"x-mcp-header\":\"a:b\"}"), "no name"},
        {AT("{\"type\":\"string\",\"x-mcp-header\":\"\\u00e9\"}"), "no name"},
        {AT("{\"type\":\"string\",\"x-mcp-header\":7}"), "no name"},
        {AT("{\"type\":\"number\",\"x-mcp-header\":\"A\"}"), "no integer, string"},
        {AT("{\"type\":\"object\",\"x-mcp-header\":\"A\"}"), "no integer, string"},
        {AT("{\"type\":[\"null\"],\"x-mcp-header\":\"A\"}"), "no integer, string"},
        {AT("{\"type\":[\"string\",\"number\"],\"x-mcp-header\":\"A\"}"), "no integer, string"},
        {AT("{\"x-mcp-header\":\"A\"}"), "no integer, string"},
        {AT("{\"type\":\"array\",\"items\":" HAS_HEADER "}"), "only `properties` lead"},
        {AT("{\"items\":[" HAS_HEADER "]}"), "only `properties` lead"},
        {AT("{\"anyOf\":[{},{\"properties\":{\"b\":" HAS_HEADER "}}]}"), "\"a.b\" is not on"},
        {AT("{\"not\":" HAS_HEADER "}"), "only `properties` lead"},
        {"{\"$defs\":{\"d\":" HAS_HEADER "}}", "only `properties` lead"},
        {"{\"if\":{\"properties\":{\"b\":" HAS_HEADER "}}}", "only `properties` lead"},
        {"{\"type\":\"string\",\"x-mcp-header\":\"A\"}", "only `properties` lead"},
        {"{\"properties\":{\"a\":" HAS_HEADER
         ",\"b\":{\"type\":\"integer\",\"x-mcp-header\":\"a\"}}}",
         "\"b\" is a name that another"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct param_headers *headers = NULL;
        struct err err = {0};
        assert_int_equal(compile(cases[i].schema, &headers, &err), -ERR_VALIDATION_ERROR);
        assert_null(headers);
        assert_has(err.text, cases[i].says);
    }
}

static void too_many_are_refused(void **state)
{
    (void)state;
    struct buf schema;
    struct param_headers *headers;
    struct err err = {0};
    buf_init(&schema, 1 << 20);
    buf_put_text(&schema, "{\"properties\":{\"p\":{}");
    for (unsigned i = 0; i <= PARAM_HEADERS_MAX; i++) {
        buf_printf(&schema, ",\"p%u\":{\"type\":\"string\",\"x-mcp-header\":\"H%u\"}", i, i);
    }
    buf_put_text(&schema, "}}");
    assert_int_equal(compile(buf_text(&schema), &headers, &err), -ERR_VALIDATION_ERROR);
    assert_has(err.text, "too many");
    buf_done(&schema);
}

static void values_are_found(void **state)
{
    static const char schema[] =
        "{\"type\":\"object\",\"properties\":{"
        "\"s\":{\"type\":\"string\",\"x-mcp-header\":\"Text\"},"
        "\"i\":{\"type\":\"integer\",\"x-mcp-header\":\"Number\"},"
        "\"deep\":{\"type\":\"object\",\"properties\":{\"er\":{\"properties\":{"
        "\"b\":{\"type\":[\"boolean\",\"null\"],\"x-mcp-header\":\"Deep\"}}}}}}}";
    static const struct {
        const char *arguments, *headers;
    } cases[] = {
        {"{\"s\":\"s\\u00e3o\",\"i\":-7,\"deep\":{\"er\":{\"b\":true}}}",
         "Text=s\xc3\xa3o Number=-7 Deep=true "},
        {"{\"i\":18446744073709551615,\"deep\":{\"er\":{\"b\":false}}}",
         "Number=18446744073709551615 Deep=false "},
        {"{\"s\":\"\",\"i\":5.0}", "Text= Number=5 "},
        {"{\"s\":null,\"i\":1.5,\"deep\":{\"er\":[]}}", ""},
        {"{\"b\":true}", ""},
        {"[]", ""},
    };
    (void)state;
    struct param_headers *headers = NULL;
    assert_int_equal(compile(schema, &headers, NULL), 0);
    assert_non_null(headers);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf arguments;
        struct buf text;
        struct buf all;
        struct mcp_param_header list[PARAM_HEADERS_MAX];
        buf_init(&text, 1 << 16);
        buf_init(&all, 1 << 16);
        unsigned count =
            param_headers_fill(headers, pack(&arguments, cases[i].arguments), list, &text);
        for (unsigned j = 0; j < count; j++) {
            buf_printf(&all, "%.*s=%.*s ", SLICE_ARG(list[j].name), SLICE_ARG(list[j].value));
        }
        assert_string_equal(buf_text(&all), cases[i].headers);
        buf_done(&all);
        buf_done(&text);
        buf_done(&arguments);
    }
    param_headers_free(headers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemas_without_any_are_in_order),
        cmocka_unit_test(bad_ones_are_refused),
        cmocka_unit_test(too_many_are_refused),
        cmocka_unit_test(values_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
