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

/* The newer keywords; ' stands for ". */
static const struct {
    const char *schema, *json;
    const char *faults[6];
} newer[] = {
    {"{'properties':{'items':{'items':{'properties':{'email':{'type':'string',"
     "'pattern':'^\\\\S+@\\\\S+$'}}}}}}",
     "{'items':[{'email':'a@b'},{},{'email':'nobody'}]}",
     {"arguments.items[2].email | text matching ^\\S+@\\S+$ | string \"nobody\""}},
    {"{'required':['a'],'properties':{'a':{'type':'string','pattern':'^x'}}}",
     "{}",
     {"arguments.a | text matching ^x (required) | nothing"}},
    {"{'items':{'multipleOf':0.01}}",
     "[0.25,0.255]",
     {"arguments[1] | a multiple of 0.01 | number 0.255"}},
    {"{'multipleOf':1500}", "7", {"arguments | a multiple of 1500 | integer 7"}},
    {"{'multipleOf':1e-320}", "1e-321", {"arguments | a multiple of 1e-320 | number 1e-321"}},
    {"{'patternProperties':{'^n_':{'type':'integer'}},'additionalProperties':false}",
     "{'n_a':'x','m':1}",
     {"arguments.n_a | integer | string \"x\"",
      "arguments.m | no field of this name | integer 1"}},
    {"{'propertyNames':{'pattern':'^[a-z]+$'}}",
     "{'a':1,'B':2}",
     {"arguments.B | a name that is: text matching ^[a-z]+$ | string \"B\""}},
    {"{'propertyNames':{'maxLength':3}}",
     "{'abcd':1}",
     {"arguments.abcd | a name that is: text of up to 3 characters | string \"abcd\""}},
    {"{'propertyNames':{'minLength':2}}",
     "{'a':1}",
     {"arguments.a | a name that is: text of 2 or more characters | string \"a\""}},
    {"{'propertyNames':{'minLength':2,'maxLength':3}}",
     "{'a':1}",
     {"arguments.a | a name that is: text of 2 to 3 characters | string \"a\""}},
    {"{'contains':{'type':'integer'}}",
     "['a','b']",
     {"arguments | at least 1 of the items to be: integer | 0 of 2 items"}},
    {"{'contains':{'const':'x'},'minContains':0,'maxContains':1}",
     "['x','y','x']",
     {"arguments | at most 1 of the items to be: exactly x | 2 of 3 items"}},
    {"{'dependentRequired':{'card':['address','city']}}",
     "{'card':1,'city':2}",
     {"arguments.address | a value (required beside card) | nothing"}},
    {"{'dependentSchemas':{'card':{'properties':{'n':{'minimum':1}}}}}",
     "{'card':1,'n':0}",
     {"arguments.n | at least 1 | integer 0"}},
    {"{'allOf':[{'properties':{'name':true}}],'unevaluatedProperties':false,"
     "'properties':{'mail':true}}",
     "{'name':1,'mial':2}",
     {"arguments.mial | no field of this name; perhaps mail | integer 2"}},
    {"{'allOf':[{'properties':{'a':{'type':'null'}}}],'unevaluatedProperties':false}",
     "{'a':1,'b':2}",
     {"arguments.a | null | integer 1"}},
    {"{'prefixItems':[true],'unevaluatedItems':{'type':'null'}}",
     "[1,null,2]",
     {"arguments[2] | null | integer 2"}},
    {"{'prefixItems':[true],'unevaluatedItems':false}",
     "[1,2]",
     {"arguments[1] | nothing | integer 2"}},
    {"{'minProperties':2}", "{'a':1}", {"arguments | at least 2 fields | 1 field"}},
    {"{'$ref':'#/$defs/x','$defs':{'x':{'properties':{'a':{'$dynamicRef':'#t'}}},"
     "'y':{'$dynamicAnchor':'t','type':'boolean'}}}",
     "{'a':1}",
     {"arguments.a | boolean | integer 1"}},
};

static struct buf quoted(const char *text)
{
    struct buf json;
    buf_init(&json, TEST_BYTES_MAX);
    for (; *text; text++) {
        buf_put_byte(&json, (uint8_t)(*text == '\'' ? '"' : *text));
    }
    return json;
}

static void newer_keywords_are_explained(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof newer / sizeof *newer; i++) {
        size_t count = 0;
        while (count < 6 && newer[i].faults[count]) {
            count++;
        }
        struct buf definition = quoted(newer[i].schema);
        struct buf json = quoted(newer[i].json);
        assert_faults(buf_text(&definition), buf_text(&json), newer[i].faults, count);
        buf_done(&definition);
        buf_done(&json);
    }
}

/* The place where the work ended is told. */
static void what_is_too_costly_has_a_place(void **state)
{
    struct buf json;
    (void)state;
    buf_init(&json, TEST_BYTES_MAX);
    buf_put_text(&json, "{\"a\":1,\"list\":[\"b\",\"");
    for (int i = 0; i < 50; i++) {
        buf_put_byte(&json, 'a');
    }
    buf_put_text(&json, "!\"]}");
    struct buf definition = pack_of("{\"properties\":{\"list\":{\"items\":{\"pattern\":"
                                    "\"^(b|(a+)+)$\"}}}}");
    struct buf value = pack_of(buf_text(&json));
    struct schema *schema;
    struct schema_faults faults;
    assert_int_equal(schema_compile(buf_slice(&definition), &schema, NULL), 0);
    assert_false(schema_accepts(schema, buf_slice(&value)));
    schema_explain(schema, buf_slice(&value), "arguments", &faults);
    assert_int_equal(faults.count, 1);
    assert_string_equal(faults.list[0].field, "arguments.list[1]");
    assert_string_equal(
        faults.list[0].expected,
        "a value that can be checked with bounded work; this one is too costly");
    schema_free(schema);
    buf_done(&definition);
    buf_done(&value);
    buf_done(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_have_place_expectation_and_what_came),
        cmocka_unit_test(branches_are_explained_where_one_was_meant),
        cmocka_unit_test(no_more_faults_than_there_is_room_for),
        cmocka_unit_test(what_is_cut_is_cut_at_a_character),
        cmocka_unit_test(newer_keywords_are_explained),
        cmocka_unit_test(what_is_too_costly_has_a_place),
    };
    return cmocka_run_group_tests_name("schema_explain", tests, NULL, NULL);
}
