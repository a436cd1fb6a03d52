/* SPDX-License-Identifier: MIT */
/* test_schema_explain.c - what people are told about a value that does not fit. */
#include "base/text.h"
#include "value/schema.h"
#include "value_test.h"

/* "field | expected | received" for each fault. */
static void assert_faults(const char *definition, const char *json, const char *const wanted[],
                          size_t count)
{
    struct buf schema_pack = pack_of(definition);
    struct buf value = pack_of(json);
    struct schema *schema;
    struct schema_faults faults;
    assert_int_equal(schema_compile(buf_slice(&schema_pack), &schema, NULL), 0);
    schema_explain(schema, buf_slice(&value), "arguments", &faults);
    for (size_t i = 0; i < faults.count || i < count; i++) {
        char text[sizeof faults.list[0] + 8] = "nothing more";
        if (i < faults.count) {
            (void)snprintf(text, sizeof text, "%s | %s | %s", faults.list[i].field,
                           faults.list[i].expected, faults.list[i].received);
        }
        if (i >= count || strcmp(text, wanted[i]) != 0) {
            fail_msg("%s against %s: \"%s\", not \"%s\"", json, definition, text,
                     i < count ? wanted[i] : "nothing more");
        }
    }
    schema_free(schema);
    buf_done(&schema_pack);
    buf_done(&value);
}

static const char tool[] =
    "{\"type\":\"object\",\"properties\":{\"email\":{\"type\":\"string\",\"minLength\":6},"
    "\"count\":{\"type\":\"integer\",\"minimum\":1,\"exclusiveMaximum\":10},"
    "\"kind\":{\"enum\":[\"a\",\"b\",3,null]},\"tags\":{\"type\":\"array\",\"items\":{"
    "\"type\":"
    "\"string\"},\"uniqueItems\":true,\"maxItems\":2},\"on\":{\"type\":[\"boolean\","
    "\"null\"]},"
    "\"place\":{\"type\":\"object\",\"properties\":{\"city\":{\"const\":\"Lima\"}}}},"
    "\"required\":[\"email\",\"kind\"],\"additionalProperties\":false}";
static const struct {
    const char *json;
    const char *faults[6];
} told[] = {
    {"{}",
     {"arguments.kind | one of: a, b, 3, null (required) | nothing",
      "arguments.email | string (required) | nothing"}},
    {"[]", {"arguments | object | array of 0 items"}},
    {"null", {"arguments | object | null"}},
    {"{\"email\":7,\"kind\":\"a\"}", {"arguments.email | string | integer 7"}},
    {"{\"email\":-7,\"kind\":\"a\"}", {"arguments.email | string | integer -7"}},
    {"{\"email\":1.5,\"kind\":\"a\"}", {"arguments.email | string | number 1.5"}},
    {"{\"email\":1e400,\"kind\":\"a\"}", {"arguments.email | string | number 1e400"}},
    {"{\"email\":true,\"kind\":\"a\"}", {"arguments.email | string | boolean true"}},
    {"{\"email\":{\"a\":1},\"kind\":\"a\"}", {"arguments.email | string | object of 1 fields"}},
    {"{\"email\":\"a@b\",\"kind\":\"a\"}",
     {"arguments.email | at least 6 characters | 3 characters"}},
    {"{\"email\":\"a@b.com\",\"kind\":\"c\"}",
     {"arguments.kind | one of: a, b, 3, null | string \"c\""}},
    {"{\"email\":\"a@b.com\",\"kind\":\"a\",\"count\":0}",
     {"arguments.count | at least 1 | integer 0"}},
    {"{\"email\":\"a@b.com\",\"kind\":\"a\",\"count\":10.0}",
     {"arguments.count | less than 10 | number 10.0"}},
    {"{\"email\":\"a@b.com\",\"kind\":\"a\",\"count\":\"5\"}",
     {"arguments.count | integer | string \"5\""}},
    {"{\"email\":\"a@b.com\",\"kind\":\"a\",\"tags\":[\"x\",2]}",
     {"arguments.tags[1] | string | integer 2"}},
    {"{\"email\":\"a@b.com\",\"kind\":\"a\",\"tags\":[\"x\",\"y\",\"x\"]}",
     {"arguments.tags | at most 2 items | 3 items",
      "arguments.tags | items that all differ | array of 3 items"}},
    {"{\"email\":\"a@b.com\",\"kind\":\"a\",\"on\":1}",
     {"arguments.on | boolean or null | integer 1"}},
    {"{\"email\":\"a@b.com\",\"kind\":\"a\",\"place\":{\"city\":\"Quito\"}}",
     {"arguments.place.city | exactly Lima | string \"Quito\""}},
    {"{\"email\":\"a@b.com\",\"kind\":\"a\",\"emial\":1}",
     {"arguments.emial | no field of this name; perhaps email | integer 1"}},
    {"{\"email\":\"a@b.com\",\"kind\":\"a\",\"zzzzzz\":1}",
     {"arguments.zzzzzz | no field of this name; there are on, kind, tags, count, email, "
      "place "
      "| integer 1"}},
    {"{\"email\":\"0123456789012345678901234567890123456789 and more\",\"kind\":"
     "\"a much longer text than anybody wants to see in a message\\u0007\"}",
     {"arguments.kind | one of: a, b, 3, null | string \"a much longer text than anybody "
      "wants "
      "to...\""}},
};

static void faults_have_place_expectation_and_what_came(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        size_t count = 0;
        while (count < 6 && told[i].faults[count]) {
            count++;
        }
        assert_faults(tool, told[i].json, told[i].faults, count);
    }
}

#define FAULTS(...)                     \
    (const char *const[]){__VA_ARGS__}, \
        sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

static void branches_are_explained_where_one_was_meant(void **state)
{
    static const char by_type[] =
        "{\"anyOf\":[{\"type\":\"integer\",\"minimum\":5},{\"type\":\"string\"}]}";
    static const char by_kind[] =
        "{\"oneOf\":[{\"$ref\":\"#/$defs/a\"},{\"$ref\":\"#/$defs/"
        "b\"}],\"$defs\":{\"a\":{\"type\":\"object\","
        "\"properties\":{\"kind\":{\"const\":\"a\"},\"x\":{\"type\":\"integer\"},\"y\":{"
        "\"type\":\"null\"}},"
        "\"required\":[\"kind\",\"x\"]},\"b\":{\"type\":\"object\",\"properties\":{\"kind\":{"
        "\"const\":\"b\"},"
        "\"z\":{\"type\":\"integer\"}},\"required\":[\"kind\",\"z\"]}}}";
    (void)state;
    assert_faults(by_type, "3", FAULTS("arguments | at least 5 | integer 3"));
    assert_faults(by_type, "null", FAULTS("arguments | integer, or string | null"));
    assert_faults(by_kind, "{\"kind\":\"a\",\"x\":\"1\"}",
                  FAULTS("arguments.x | integer | string \"1\""));
    assert_faults(by_kind, "{\"kind\":\"b\",\"z\":null}",
                  FAULTS("arguments.z | integer | null"));
    assert_faults(by_kind, "7", FAULTS("arguments | object | integer 7"));
    assert_faults(
        "{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"},{\"type\":\"null\"}]}", "3",
        FAULTS("arguments | a value that fits exactly one of 3 forms; this fits 2 | integer "
               "3"));
    assert_faults("{\"not\":{\"type\":\"string\"}}", "\"a\"",
                  FAULTS("arguments | anything but string | string \"a\""));
    assert_faults("{\"properties\":{\"a\":false}}", "{\"a\":1}",
                  FAULTS("arguments.a | nothing | integer 1"));
    assert_faults(
        "{\"allOf\":[{\"minimum\":3},{\"type\":\"number\",\"maximum\":1}]}", "2",
        FAULTS("arguments | at least 3 | integer 2", "arguments | at most 1 | integer 2"));
    assert_faults("{\"if\":{\"required\":[\"a\"]},\"then\":{\"required\":[\"b\"]}}",
                  "{\"a\":1}", FAULTS("arguments.b | a value (required) | nothing"));
    assert_faults("{\"minProperties\":1}", "{}",
                  FAULTS("arguments | at least 1 field | 0 fields"));
    assert_faults("{\"maximum\":2.5}", "3", FAULTS("arguments | at most 2.5 | integer 3"));
}

static void no_more_faults_than_there_is_room_for(void **state)
{
    struct buf schema_pack = pack_of("{\"items\":{\"type\":\"string\"}}");
    struct buf value = pack_of("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]");
    struct schema *schema;
    struct schema_faults faults;
    (void)state;
    assert_int_equal(schema_compile(buf_slice(&schema_pack), &schema, NULL), 0);
    schema_explain(schema, buf_slice(&value), "a", &faults);
    assert_int_equal(faults.count, SCHEMA_FAULTS);
    assert_string_equal(faults.list[SCHEMA_FAULTS - 1].field, "a[15]");
    schema_free(schema);
    buf_done(&schema_pack);
    buf_done(&value);
}

/* Keys and texts of any kind, cut anywhere, never leave broken UTF-8. */
static void what_is_cut_is_cut_at_a_character(void **state)
{
    struct random random = {77};
    struct buf schema_pack =
        pack_of("{\"additionalProperties\":{\"additionalProperties\":{\"enum\":"
                "[\"\xc3\xb1\xc3\xb1\xc3\xb1\xc3\xb1\xc3\xb1\"]}}}");
    struct schema *schema;
    (void)state;
    assert_int_equal(schema_compile(buf_slice(&schema_pack), &schema, NULL), 0);
    for (int i = 0; i < 3000; i++) {
        struct buf value;
        struct schema_faults faults;
        char text[200];
        size_t len = random_below(&random, sizeof text);
        for (size_t k = 0; k < len; k++) {
            static const char bytes[] = "a\xc3\xb1\xf0\x9f\x98\x80\xe4\xb8\xad\xff\n\0";
            text[k] = bytes[random_below(&random, sizeof bytes)];
        }
        buf_init(&value, 10000);
        pack_put_map(&value, 1);
        pack_put_str(&value, (struct slice){text, len});
        pack_put_map(&value, 1);
        pack_put_str(&value, (struct slice){text + len / 3, len - len / 3});
        pack_put_str(&value, (struct slice){text, len / 2});
        schema_explain(schema, buf_slice(&value), "arguments", &faults);
        assert_int_equal(faults.count, 1);
        assert_true(text_is_utf8(slice_of(faults.list[0].field)));
        assert_true(text_is_utf8(slice_of(faults.list[0].expected)));
        assert_true(text_is_utf8(slice_of(faults.list[0].received)));
        buf_done(&value);
    }
    schema_free(schema);
    buf_done(&schema_pack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_have_place_expectation_and_what_came),
        cmocka_unit_test(branches_are_explained_where_one_was_meant),
        cmocka_unit_test(no_more_faults_than_there_is_room_for),
        cmocka_unit_test(what_is_cut_is_cut_at_a_character),
    };
    return cmocka_run_group_tests_name("schema_explain", tests, NULL, NULL);
}
