/* SPDX-License-Identifier: MIT */
/* test_schema.c - which values fit which schemas, keyword by keyword. */
#include "schema_test.h"

static const struct schema_case cases[] = {
    /* booleans and the empty schema */
    {"true", {"null", "1", "[]", "{}"}},
    {"{}", {"null", "1", "\"a\"", "[[]]"}},
    {"false", {NULL, "null", "1", "{}"}},
    {"{\"unknown keyword\":1,\"title\":\"t\",\"default\":3}", {"null", "\"a\""}},
    /* type */
    {"{\"type\":\"null\"}", {"null", NULL, "0", "\"\"", "false", "{}", "[]"}},
    {"{\"type\":\"boolean\"}", {"true", "false", NULL, "0", "\"true\"", "null"}},
    {"{\"type\":\"string\"}", {"\"\"", "\"1\"", NULL, "1", "null", "[]", "{}", "true"}},
    {"{\"type\":\"number\"}",
     {"1", "-1", "1.5", "1e400", "123456789012345678901", NULL, "\"1\"", "null", "true"}},
    {"{\"type\":\"integer\"}",
     {"0", "-5", "3.0", "18446744073709551615", "1e3", "1e300", "123456789012345678901", "-2.0",
      "12300000000000000000000001.0", "1.5e400", NULL, "3.5", "\"3\"", "1e-400",
      "0.1000000000000000055511", "null", "12345678901234567890.5"}},
    {"{\"type\":\"array\"}", {"[]", "[1]", NULL, "{}", "\"[]\"", "null"}},
    {"{\"type\":\"object\"}", {"{}", "{\"a\":1}", NULL, "[]", "null", "1"}},
    {"{\"type\":[\"string\",\"null\"]}", {"\"a\"", "null", NULL, "1", "[]"}},
    {"{\"type\":[\"integer\",\"string\"]}", {"1", "\"a\"", "2.0", NULL, "1.5", "null"}},
    /* const and enum */
    {"{\"const\":5}", {"5", "5.0", NULL, "6", "\"5\"", "5.5", "null"}},
    {"{\"const\":\"a\"}", {"\"a\"", NULL, "\"A\"", "\"\"", "\"ab\"", "null"}},
    {"{\"const\":null}", {"null", NULL, "0", "false", "\"\""}},
    {"{\"const\":false}", {"false", NULL, "0", "true", "null"}},
    {"{\"const\":0}", {"0", "0.0", "-0.0", "-0", NULL, "false", "null", "1e-300"}},
    {"{\"const\":{\"a\":1,\"b\":[2,{\"c\":null}]}}",
     {"{\"a\":1,\"b\":[2,{\"c\":null}]}", "{\"b\":[2.0,{\"c\":null}],\"a\":1.0}", NULL,
      "{\"a\":1}", "{\"a\":1,\"b\":[{\"c\":null},2]}", "{\"a\":1,\"b\":[2,{\"c\":0}]}",
      "{\"a\":1,\"b\":[2,{\"c\":null}],\"d\":1}", "[]"}},
    {"{\"const\":9007199254740993}",
     {"9007199254740993", NULL, "9007199254740992", "9007199254740992.0"}},
    {"{\"const\":18446744073709551616}",
     {"18446744073709551616", NULL, "18446744073709551615"}},
    {"{\"enum\":[\"a\",\"b\",1,null,[1]]}",
     {"\"a\"", "\"b\"", "1", "1.0", "null", "[1]", "[1.0]", NULL, "\"c\"", "2", "[]", "[1,1]",
      "true"}},
    {"{\"enum\":[]}", {NULL, "null", "1"}},
    {"{\"enum\":[1,2],\"const\":2}", {"2", NULL, "1", "3"}},
    {"{\"const\":\"01234567890123456789012345678901234567890\"}",
     {"\"01234567890123456789012345678901234567890\"", NULL,
      "\"01234567890123456789012345678901234567891\""}},
    /* numbers */
    {"{\"minimum\":1}",
     {"1", "1.0", "2", "1e400", "\"a\"", "null", NULL, "0", "0.99", "-1e400"}},
    {"{\"maximum\":1.5}", {"1.5", "1", "-5", "[9]", NULL, "2", "1.51", "18446744073709551615"}},
    {"{\"exclusiveMinimum\":0}", {"0.001", "1", NULL, "0", "-0.0", "-1"}},
    {"{\"exclusiveMaximum\":10}", {"9", "9.999", NULL, "10", "10.0", "11"}},
    {"{\"minimum\":-3,\"maximum\":3}", {"-3", "3", "0", NULL, "-4", "4", "-3.5"}},
    {"{\"minimum\":-2.5}", {"-2.5", "-2", "0", NULL, "-3", "-2.6"}},
    {"{\"minimum\":9007199254740993}",
     {"9007199254740993", "9007199254740994", NULL, "9007199254740992", "9007199254740992.0"}},
    {"{\"maximum\":18446744073709551615}",
     {"18446744073709551615", "0", NULL, "18446744073709551616", "18446744073709551616.5",
      "1e20"}},
    {"{\"minimum\":-9223372036854775808}",
     {"-9223372036854775808", "0", NULL, "-9223372036854775809", "-1e19"}},
    {"{\"minimum\":5,\"exclusiveMinimum\":true}", {"5.5", "6", NULL, "5", "4"}},
    {"{\"maximum\":5,\"exclusiveMaximum\":false}", {"5", NULL, "5.5"}},
    /* strings */
    {"{\"minLength\":2}",
     {"\"ab\"", "\"abc\"", "\"\xc3\xa9\xc3\xa9\"", "1", NULL, "\"a\"", "\"\"", "\"\xc3\xa9\"",
      "\"\xf0\x9f\x98\x80\""}},
    {"{\"maxLength\":2}",
     {"\"\"", "\"ab\"", "\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\"", "[1,2,3]", NULL, "\"abc\"",
      "\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\""}},
    {"{\"minLength\":2.0,\"maxLength\":3}", {"\"ab\"", "\"abc\"", NULL, "\"a\"", "\"abcd\""}},
    /* arrays */
    {"{\"minItems\":1,\"maxItems\":2}", {"[1]", "[1,2]", "{}", NULL, "[]", "[1,2,3]"}},
    {"{\"items\":{\"type\":\"integer\"}}",
     {"[]", "[1,2]", "{\"a\":\"b\"}", NULL, "[\"a\"]", "[1,null]", "[1.5]"}},
    {"{\"items\":false}", {"[]", NULL, "[1]"}},
    {"{\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}",
     {"[]", "[\"a\"]", "[\"a\",1]", "[\"a\",1,null]", NULL, "[1]", "[\"a\",\"b\"]"}},
    {"{\"prefixItems\":[{\"type\":\"string\"}],\"items\":{\"type\":\"integer\"}}",
     {"[]", "[\"a\"]", "[\"a\",1,2]", NULL, "[1]", "[\"a\",\"b\"]"}},
    {"{\"prefixItems\":[true,true],\"items\":false}", {"[1,2]", NULL, "[1,2,3]"}},
    {"{\"$schema\":\"http://json-schema.org/draft-07/"
     "schema#\",\"items\":[{\"type\":\"string\"}],"
     "\"additionalItems\":{\"type\":\"null\"}}",
     {"[]", "[\"a\"]", "[\"a\",null]", NULL, "[1]", "[\"a\",1]"}},
    {"{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"items\":{\"type\":\"string\"},"
     "\"additionalItems\":false}",
     {"[]", "[\"a\",\"b\"]", NULL, "[1]"}},
    {"{\"uniqueItems\":true}",
     {"[]", "[1,2]", "[1,\"1\",true,null,[1],{\"a\":1}]", "[{\"a\":1},{\"a\":2}]",
      "[[1,2],[2,1]]", "[0,false]", "[1,2,3,4,5,6,7,8,9,10,11,12]", "{\"a\":1}", NULL, "[1,1]",
      "[1,1.0]", "[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1}]", "[\"a\",\"b\",\"a\"]", "[[1],[1.0]]",
      "[1,2,3,4,5,6,7,8,9,10,11,1]", "[1,2,3,4,5,6,7,8,9,{\"a\":0},10,{\"a\":-0.0}]",
      "[null,1,2,3,4,5,6,7,8,null]", "[1,2,3,4,5,6,7,8,9,\"a\",\"a\"]"}},
    {"{\"uniqueItems\":false}", {"[1,1]"}},
    /* objects */
    {"{\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"}}}",
     {"{}", "{\"a\":1}", "{\"a\":1,\"b\":\"x\",\"c\":null}", "[]", "1", NULL, "{\"a\":\"1\"}",
      "{\"b\":1}", "{\"c\":1,\"a\":null}"}},
    {"{\"required\":[\"a\",\"b\"]}",
     {"{\"a\":1,\"b\":2}", "{\"b\":null,\"x\":1,\"a\":null}", "[]", "\"a\"", NULL, "{}",
      "{\"a\":1}", "{\"b\":1}", "{\"A\":1,\"B\":1}"}},
    {"{\"required\":[]}", {"{}"}},
    {"{\"required\":[\"a\",\"a\"]}", {"{\"a\":1}", NULL, "{}"}},
    {"{\"properties\":{\"a\":{}},\"additionalProperties\":false}",
     {"{}", "{\"a\":1}", "[1]", NULL, "{\"b\":1}", "{\"a\":1,\"aa\":1}", "{\"\":1}"}},
    {"{\"properties\":{\"a\":{}},\"additionalProperties\":{\"type\":\"integer\"}}",
     {"{}", "{\"a\":\"x\",\"b\":1}", NULL, "{\"b\":\"x\"}"}},
    {"{\"required\":[\"a\"],\"additionalProperties\":false}", {NULL, "{\"a\":1}", "{}"}},
    {"{\"required\":[\"a\"],\"additionalProperties\":{\"type\":\"null\"}}",
     {"{\"a\":null}", NULL, "{\"a\":1}"}},
    {"{\"properties\":{\"a\":false}}", {"{}", "{\"b\":1}", NULL, "{\"a\":1}", "{\"a\":null}"}},
    {"{\"properties\":{\"\":{\"type\":\"null\"}}}", {"{\"\":null}", NULL, "{\"\":1}"}},
    {"{\"minProperties\":1,\"maxProperties\":2}",
     {"{\"a\":1}", "{\"a\":1,\"b\":2}", "[]", NULL, "{}", "{\"a\":1,\"b\":2,\"c\":3}"}},
    {"{\"patternProperties\":{\"^x\":{}},\"additionalProperties\":false}",
     {"{\"x1\":1}", "{}"}},
    {"{\"properties\":{\"toString\":{\"type\":\"string\"},\"__proto__\":{\"type\":\"null\"}}}",
     {"{}", "{\"__proto__\":null}", NULL, "{\"__proto__\":1}", "{\"toString\":1}"}},
    /* names that differ little: beyond eight bytes, and more than a handful */
    {"{\"properties\":{\"property_one\":{\"type\":\"null\"},\"property_two\":{\"type\":"
     "\"boolean\"},"
     "\"property\":{\"type\":\"string\"}}}",
     {"{\"property_one\":null,\"property_two\":true,\"property\":\"\"}", NULL,
      "{\"property_one\":true}", "{\"property_two\":null}", "{\"property\":null}"}},
    {"{\"properties\":{\"a\":{\"const\":1},\"b\":{\"const\":2},\"c\":{\"const\":3},\"d\":{"
     "\"const\":4},"
     "\"e\":{\"const\":5},\"f\":{\"const\":6},\"g\":{\"const\":7},\"h\":{\"const\":8},\"ii\":{"
     "\"const\":9},"
     "\"jj\":{\"const\":10},\"k\":{\"const\":11}},\"required\":[\"jj\",\"a\"],"
     "\"additionalProperties\":false}",
     {"{\"jj\":10,\"a\":1}", "{\"k\":11,\"jj\":10,\"ii\":9,\"h\":8,\"g\":7,\"f\":6,\"a\":1}",
      NULL, "{\"jj\":10}", "{\"jj\":10,\"a\":2}", "{\"jj\":10,\"a\":1,\"kk\":11}",
      "{\"jj\":11,\"a\":1}", "{\"jj\":10,\"a\":1,\"c\":4}", "{\"jj\":10,\"a\":1,\"\":4}"}},
    /* schemas on the same value */
    {"{\"allOf\":[{\"type\":\"integer\"},{\"minimum\":3}]}",
     {"3", "4.0", NULL, "2", "3.5", "\"a\""}},
    {"{\"allOf\":[]}", {"1"}},
    {"{\"allOf\":[true,false]}", {NULL, "1"}},
    {"{\"anyOf\":[{\"type\":\"integer\"},{\"minimum\":3}]}",
     {"1", "3.5", "\"a\"", NULL, "1.5"}},
    {"{\"anyOf\":[false,true]}", {"1"}},
    {"{\"anyOf\":[false,false]}", {NULL, "1"}},
    {"{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":3}]}", {"1", "3.5", NULL, "3", "1.5"}},
    {"{\"oneOf\":[true,true]}", {NULL, "1"}},
    {"{\"oneOf\":[true,false,true]}", {NULL, "1"}},
    {"{\"not\":{\"type\":\"string\"}}", {"1", "null", NULL, "\"a\""}},
    {"{\"not\":{}}", {NULL, "1"}},
    {"{\"not\":{\"not\":{\"type\":\"string\"}}}", {"\"a\"", NULL, "1"}},
    {"{\"if\":{\"type\":\"integer\"},\"then\":{\"minimum\":10},\"else\":{\"type\":\"string\"}}",
     {"10", "\"a\"", NULL, "9", "null", "1.5"}},
    {"{\"if\":{\"type\":\"integer\"},\"then\":{\"minimum\":10}}", {"10", "null", NULL, "9"}},
    {"{\"if\":{\"type\":\"integer\"},\"else\":false}", {"1", NULL, "null"}},
    {"{\"if\":false,\"then\":false}", {"1"}},
    {"{\"then\":false,\"else\":false}", {"1"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"anyOf\":[{\"required\":[\"a\"]},"
     "{\"required\":[\"b\"]}]}",
     {"{\"a\":1}", "{\"b\":1}", "{\"a\":1,\"b\":1}", NULL, "{}", "{\"c\":1}", "[]"}},
    /* references */
    {"{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"type\":\"integer\"}}}", {"1", NULL, "\"a\""}},
    {"{\"$ref\":\"#/definitions/a\",\"definitions\":{\"a\":{\"$ref\":\"#/definitions/b\"},"
     "\"b\":{\"type\":\"integer\"}}}",
     {"1", NULL, "\"a\""}},
    {"{\"$ref\":\"#/$defs/a\",\"minimum\":3,\"$defs\":{\"a\":{\"type\":\"integer\"}}}",
     {"3", NULL, "2", "3.5"}},
    {"{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"properties\":{\"x\":{\"$ref\":"
     "\"#/definitions/a\",\"minimum\":3}},\"definitions\":{\"a\":{\"type\":\"integer\"}}}",
     {"{\"x\":2}", NULL, "{\"x\":\"2\"}"}},
    {"{\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"$ref\":\"#/properties/a\"}}}",
     {"{\"b\":null}", NULL, "{\"b\":1}", "{\"a\":1}"}},
    {"{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},\"next\":{\"$ref\":\"#"
     "\"}},"
     "\"additionalProperties\":false}",
     {"{}", "{\"v\":1,\"next\":{\"v\":2,\"next\":{}}}", NULL, "{\"next\":{\"next\":{\"w\":1}}}",
      "{\"next\":1}"}},
    {"{\"$defs\":{\"tree\":{\"type\":\"array\",\"items\":{\"anyOf\":[{\"type\":\"integer\"},{"
     "\"$ref\":"
     "\"#/$defs/tree\"}]}}},\"$ref\":\"#/$defs/tree\"}",
     {"[]", "[1,[2,[3],[]]]", NULL, "[1,[2,[\"3\"]]]", "1"}},
    {"{\"$defs\":{\"a/b\":{\"type\":\"null\"},\"c~d\":{\"type\":\"boolean\"},\"e f\":{\"type\":"
     "\"integer\"},\"%\":{\"type\":\"string\"}},\"properties\":{\"1\":{\"$ref\":\"#/$defs/"
     "a~1b\"},\"2\":"
     "{\"$ref\":\"#/$defs/c~0d\"},\"3\":{\"$ref\":\"#/$defs/e%20f\"},\"4\":{\"$ref\":\"#/$defs/"
     "%25\"}}}",
     {"{\"1\":null,\"2\":true,\"3\":1,\"4\":\"\"}", NULL, "{\"1\":1}", "{\"2\":1}",
      "{\"3\":null}", "{\"4\":1}"}},
    {"{\"prefixItems\":[{\"type\":\"integer\"},{\"$ref\":\"#/prefixItems/0\"}]}",
     {"[1,2]", NULL, "[1,\"2\"]"}},
    {"{\"$ref\":\"#thing\",\"$defs\":{\"x\":{\"$anchor\":\"thing\",\"type\":\"integer\"}}}",
     {"1", NULL, "\"a\""}},
    {"{\"$id\":\"https://example.com/s\",\"$ref\":\"https://example.com/s#/$defs/"
     "a\",\"$defs\":{\"a\":"
     "{\"type\":\"integer\"}}}",
     {"1", NULL, "\"a\""}},
    {"{\"properties\":{\"$ref\":{\"type\":\"string\"}}}",
     {"{\"$ref\":\"a\"}", NULL, "{\"$ref\":1}"}},
    {"{\"allOf\":[{\"$ref\":\"#/$defs/t\"}],\"$defs\":{\"t\":true,\"f\":false}}", {"1"}},
    {"{\"$ref\":\"#/$defs/f\",\"$defs\":{\"t\":true,\"f\":false}}", {NULL, "1"}},
};

static void values_fit_or_do_not(void **state)
{
    (void)state;
    ASSERT_CASES(cases);
}

/* ---- what JSON has no word for ---------------------------------------------------------- */

static bool accepts(const char *definition, const struct buf *value)
{
    struct schema *schema = schema_of(definition);
    bool is_fit = schema_accepts(schema, buf_slice(value));
    schema_free(schema);
    return is_fit;
}

static void values_that_only_messagepack_has(void **state)
{
    struct buf value;
    (void)state;
    buf_init(&value, 1000);
    pack_put_bin(&value, SLICE("12345")); /* eight characters of base64 */
    assert_true(accepts("{\"type\":\"string\"}", &value));
    assert_true(accepts("{\"minLength\":8,\"maxLength\":8}", &value));
    assert_false(accepts("{\"maxLength\":7}", &value));
    assert_false(accepts("{\"type\":\"object\"}", &value));
    buf_clear(&value);
    pack_put_ext(&value, 5, SLICE("x"));
    assert_false(
        accepts("{\"type\":[\"string\",\"number\",\"null\",\"object\",\"array\",\"boolean\"]}",
                &value));
    assert_true(accepts("{}", &value));
    assert_true(accepts("{\"minimum\":3}", &value));
    buf_clear(&value);
    pack_put_ext(&value, PACK_EXT_NUMBER, SLICE("no number"));
    assert_false(accepts("{\"type\":\"number\"}", &value));
    buf_clear(&value);
    pack_put_map(&value, 1);
    pack_put_int(&value, 5);
    pack_put_int(&value, 6);
    assert_false(accepts("{\"properties\":{\"a\":{}}}", &value));
    buf_clear(&value);
    pack_put_float(&value, (double)0x7fffffff * 1e300 * 1e300); /* infinite */
    assert_false(accepts("{\"maximum\":1e308}", &value));
    assert_true(accepts("{\"minimum\":1e308}", &value));
    buf_done(&value);
}

static void a_key_twice_does_not_count_twice(void **state)
{
    struct buf value;
    (void)state;
    buf_init(&value, 1000);
    pack_put_map(&value, 2);
    pack_put_key_int(&value, "a", 1);
    pack_put_key_int(&value, "a", 1);
    assert_false(accepts("{\"required\":[\"a\",\"b\"]}", &value));
    assert_true(accepts("{\"required\":[\"a\"]}", &value));
    buf_done(&value);
}

static void malformed_values_never_fit(void **state)
{
    static const struct slice malformed[] = {{"", 0},
                                             {"\xc1", 1},
                                             {"\x92\x01", 2},
                                             {"\x81\xa1", 2},
                                             {"\xdf\xff\xff\xff\xff", 5},
                                             {"\xdd\xff\xff\xff\xff", 5}};
    static const char *const schemas[] = {"{}",
                                          "{\"type\":[\"array\",\"object\",\"null\"]}",
                                          "{\"uniqueItems\":true}",
                                          "{\"items\":{\"type\":\"integer\"}}",
                                          "{\"properties\":{\"a\":{}},\"required\":[\"a\"]}",
                                          "{\"const\":[1,2]}",
                                          "{\"enum\":[{}]}"};
    (void)state;
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        struct schema *schema = schema_of(schemas[i]);
        for (size_t k = 0; k < sizeof malformed / sizeof *malformed; k++) {
            struct schema_faults faults;
            assert_false(schema_accepts(schema, malformed[k]));
            schema_explain(schema, malformed[k], "value", &faults);
        }
        schema_free(schema);
    }
}

static void put_names(struct buf *value, unsigned count, unsigned left_out)
{
    buf_clear(value);
    pack_put_map(value, left_out < count ? count - 1 : count);
    for (unsigned i = 0; i < count; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%u", i);
        if (i != left_out) {
            pack_put_key_int(value, name, 1);
        }
    }
}

static void hundreds_of_names_may_be_required(void **state)
{
    struct buf definition;
    struct buf value;
    (void)state;
    buf_init(&definition, TEST_BYTES_MAX);
    buf_init(&value, TEST_BYTES_MAX);
    for (unsigned count = 62; count <= 512; count += 2) {
        buf_clear(&definition);
        buf_put_text(&definition, "{\"required\":[");
        for (unsigned i = 0; i < count; i++) {
            buf_printf(&definition, "%s\"n%u\"", i ? "," : "", i);
        }
        buf_put_text(&definition, "]}");
        struct schema *schema = schema_of(buf_text(&definition));
        for (unsigned left_out = count - 2; left_out <= count; left_out++) {
            put_names(&value, count, left_out);
            assert_int_equal(schema_accepts(schema, buf_slice(&value)), left_out == count);
        }
        schema_free(schema);
    }
    buf_done(&definition);
    buf_done(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_fit_or_do_not),
        cmocka_unit_test(values_that_only_messagepack_has),
        cmocka_unit_test(a_key_twice_does_not_count_twice),
        cmocka_unit_test(malformed_values_never_fit),
        cmocka_unit_test(hundreds_of_names_may_be_required),
    };
    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
