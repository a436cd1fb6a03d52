/* SPDX-License-Identifier: MIT */
/* test_schema_compile.c - schemas that are wrong, endless or too large; and what cannot run away. */
#include "value/schema.h"
#include "value_test.h"

static int compile(struct slice definition, struct schema **ret, struct err *err)
{
    *ret = NULL;
    return schema_compile(definition, ret, err);
}

static const struct {
    const char *schema, *place, *words;
} wrong[] = {
    {"5", "at #:", "should hold a schema"},
    {"\"a\"", "at #:", "should hold a schema"},
    {"[]", "at #:", "should hold a schema"},
    {"{\"type\":\"strin\"}", "at #:", "\"type\" should be one or several of"},
    {"{\"type\":5}", "at #:", "\"type\" should be"},
    {"{\"type\":[\"string\",null]}", "at #:", "\"type\" should be"},
    {"{\"properties\":{\"a\":{\"type\":\"x\"}}}", "at #/properties/a:", "\"type\""},
    {"{\"properties\":{\"a\":5}}", "at #:", "\"properties\" should hold a schema"},
    {"{\"properties\":[]}", "at #:", "\"properties\" should be"},
    {"{\"items\":{\"items\":{\"minItems\":-1}}}",
     "at #/items/items:", "\"minItems\" should be"},
    {"{\"minLength\":1.5}", "at #:", "\"minLength\" should be a whole number"},
    {"{\"maxLength\":\"1\"}", "at #:", "\"maxLength\" should be a whole number"},
    {"{\"minProperties\":null}", "at #:", "\"minProperties\""},
    {"{\"minimum\":\"1\"}", "at #:", "\"minimum\" should be a number"},
    {"{\"exclusiveMaximum\":\"1\"}", "at #:", "\"exclusiveMaximum\" should be a number"},
    {"{\"uniqueItems\":1}", "at #:", "\"uniqueItems\" should be true or false"},
    {"{\"enum\":\"a\"}", "at #:", "\"enum\" should be an array"},
    {"{\"required\":\"a\"}", "at #:", "\"required\" should be an array"},
    {"{\"required\":[1]}", "at #:", "\"required\" should be an array of names"},
    {"{\"allOf\":{}}", "at #:", "\"allOf\" should be an array of schemas"},
    {"{\"anyOf\":[{},{\"oneOf\":[{},1]}]}", "at #/anyOf/1:", "\"oneOf\" should hold a schema"},
    {"{\"not\":1}", "at #:", "\"not\" should hold a schema"},
    {"{\"if\":null}", "at #:", "\"if\" should hold a schema"},
    {"{\"additionalProperties\":1}", "at #:", "\"additionalProperties\" should hold"},
    {"{\"prefixItems\":{}}", "at #:", "\"prefixItems\" should be an array of schemas"},
    {"{\"$ref\":1}", "at #:", "\"$ref\" should be text"},
    {"{\"$ref\":\"\"}", "at #:", "refers to itself without end"},
    {"{\"$ref\":\"other.json\"}",
     "at #:", "outside of the document, and nothing is fetched: other.json"},
    {"{\"$ref\":\"https://example.com/a#/b\"}", "at #:", "outside of the document"},
    {"{\"$ref\":\"#/$defs/none\"}", "at #:", "points to nothing: #/$defs/none"},
    {"{\"$ref\":\"#none\"}", "at #:", "points to nothing: #none"},
    {"{\"$ref\":\"#/allOf/7\",\"allOf\":[{}]}", "at #:", "points to nothing"},
    {"{\"$ref\":\"#/allOf/x\",\"allOf\":[{}]}", "at #:", "points to nothing"},
    {"{\"$ref\":\"#/type\",\"type\":\"object\"}", "at #:", "should hold a schema"},
    {"{\"$ref\":\"#/title/x\",\"title\":\"object\"}", "at #:", "points to nothing"},
    {"{\"$ref\":\"#\"}", "at #:", "refers to itself without end"},
    {"{\"allOf\":[{\"$ref\":\"#\"}]}", "at #:", "refers to itself without end"},
    {"{\"not\":{\"$ref\":\"#\"}}", "at #:", "refers to itself without end"},
    {"{\"properties\":{\"a\":{\"$ref\":\"#/properties/b\"},\"b\":{\"anyOf\":[{},{\"$ref\":"
     "\"#/properties/a\"}]}}}",
     "at #/properties/", "refers to itself without end"},
    {"{\"if\":{},\"else\":{\"$ref\":\"#/else\"}}", "at #", "refers to itself without end"},
};

static void wrong_schemas_are_refused_with_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct buf definition = pack_of(wrong[i].schema);
        struct schema *schema;
        struct err err = {.code = ERR_NONE};
        assert_int_equal(compile(buf_slice(&definition), &schema, &err),
                         -(int)ERR_VALIDATION_ERROR);
        assert_null(schema);
        assert_int_equal(err.code, ERR_VALIDATION_ERROR);
        if (!strstr(err.text, wrong[i].place) || !strstr(err.text, wrong[i].words)) {
            fail_msg("%s: %s", wrong[i].schema, err.text);
        }
        assert_int_equal(compile(buf_slice(&definition), &schema, NULL),
                         -(int)ERR_VALIDATION_ERROR);
        buf_done(&definition);
    }
}

static void bytes_that_are_no_value_are_refused(void **state)
{
    static const struct slice malformed[] = {
        {"", 0}, {"\xc1", 1}, {"\x81\xa4type", 6}, {"\xdf\xff\xff\xff\xff", 5}};
    struct schema *schema;
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        assert_int_equal(compile(malformed[i], &schema, &err), -(int)ERR_VALIDATION_ERROR);
    }
    /* Keys that are no text. */
    assert_int_equal(compile(SLICE("\x81\x01\x02"), &schema, &err), -(int)ERR_VALIDATION_ERROR);
    schema_free(NULL);
}

static void every_beginning_of_a_schema_is_refused(void **state)
{
    struct buf definition =
        pack_of("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":[\"string\",\"null\"]},"
                "\"b\":{\"$ref\":"
                "\"#/$defs/x\"}},\"required\":[\"a\"],\"$defs\":{\"x\":{\"enum\":[1,2]}}}");
    struct schema *schema;
    (void)state;
    for (size_t len = 0; len < definition.len; len++) {
        assert_int_equal(compile((struct slice){definition.data, len}, &schema, NULL),
                         -(int)ERR_VALIDATION_ERROR);
    }
    buf_done(&definition);
}

/* ---- bombs ------------------------------------------------------------------------------ */

static void chains_are_limited(void **state)
{
    (void)state;
    for (unsigned length = 20; length < 60; length++) {
        struct buf json;
        struct schema *schema;
        buf_init(&json, TEST_BYTES_MAX);
        buf_put_text(&json, "{\"$ref\":\"#/$defs/0\",\"$defs\":{");
        for (unsigned i = 0; i < length; i++) {
            buf_printf(&json, "\"%u\":{\"$ref\":\"#/$defs/%u\"},", i, i + 1);
        }
        buf_printf(&json, "\"%u\":{\"type\":\"string\"}}}", length);
        struct buf definition = pack_of(buf_text(&json));
        int result = compile(buf_slice(&definition), &schema, NULL);
        assert_int_equal(result, length <= 30 ? 0 : -(int)ERR_VALIDATION_ERROR);
        schema_free(schema);
        buf_done(&definition);
        buf_done(&json);
    }
}

/* Each definition applies the next one twice: 2^28 checks of one number. */
static void put_doubling(struct buf *json, unsigned levels, const char *keyword)
{
    buf_put_text(json, "{\"$ref\":\"#/$defs/0\",\"$defs\":{");
    for (unsigned i = 0; i < levels; i++) {
        buf_printf(json,
                   "\"%u\":{\"%s\":[{\"$ref\":\"#/$defs/%u\"},{\"$ref\":\"#/$defs/%u\"}]},", i,
                   keyword, i + 1, i + 1);
    }
    buf_printf(json, "\"%u\":{\"type\":\"integer\"}}}", levels);
}

static void work_is_limited(void **state)
{
    static const char *const keywords[] = {"allOf", "anyOf", "oneOf"};
    (void)state;
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        struct buf json;
        struct schema *schema;
        struct schema_faults faults;
        buf_init(&json, TEST_BYTES_MAX);
        put_doubling(&json, 14, keywords[i]);
        struct buf definition = pack_of(buf_text(&json));
        assert_int_equal(compile(buf_slice(&definition), &schema, NULL), 0);
        assert_false(schema_accepts(schema, SLICE("\xa1x")));
        schema_explain(schema, SLICE("\xa1x"), "value", &faults);
        assert_true(faults.count > 0);
        schema_free(schema);
        buf_done(&definition);
        buf_done(&json);
    }
}

/* Writes `to` wherever `from`, of the same length, stands. */
static void replace_all(struct buf *text, const char *from, const char *to)
{
    size_t len = strlen(from);
    for (size_t at = 0; at + len <= text->len; at++) {
        bool is_here = memcmp(text->data + at, from, len) == 0;
        for (size_t i = 0; is_here && i < len; i++) {
            text->data[at + i] = to[i];
        }
    }
}

/* "not" must not turn exhaustion into acceptance. */
static void exhausted_is_refused_whatever_it_would_mean(void **state)
{
    struct buf json;
    struct schema *schema;
    struct schema_faults faults;
    struct buf value;
    (void)state;
    buf_init(&json, TEST_BYTES_MAX);
    buf_put_text(&json, "{\"not\":");
    put_doubling(&json, 14, "allOf");
    buf_put_text(&json, "}");
    /* References are from the root, so the definitions are, too. */
    replace_all(&json, "#/$defs", "#/not/d");
    replace_all(&json, "\"$defs\"", "\"d\"    ");
    struct buf definition = pack_of(buf_text(&json));
    assert_int_equal(compile(buf_slice(&definition), &schema, NULL), 0);
    assert_true(schema_accepts(schema, SLICE("\xa1x"))); /* refused at the first leaf */
    assert_false(schema_accepts(schema, SLICE("\x05")));
    schema_free(schema);
    buf_done(&definition);
    buf_done(&json);

    /* Objects in which every member is looked at twice at each level: 2^40. */
    definition = pack_of(
        "{\"$defs\":{\"n\":{\"anyOf\":[{\"properties\":{\"a\":{\"$ref\":\"#/$defs/n\"},"
        "\"z\":false}},{\"properties\":{\"a\":{\"$ref\":\"#/$defs/n\"},\"z\":false}}]}},"
        "\"not\":{\"$ref\":\"#/$defs/n\"}}");
    buf_init(&value, TEST_BYTES_MAX);
    for (int i = 0; i < 40; i++) {
        pack_put_map(&value, 1);
        pack_put_text(&value, "a");
    }
    pack_put_map(&value, 1);
    pack_put_key_int(&value, "z", 1);
    assert_int_equal(compile(buf_slice(&definition), &schema, NULL), 0);
    assert_false(schema_accepts(schema, buf_slice(&value)));
    schema_explain(schema, buf_slice(&value), "value", &faults);
    assert_int_equal(faults.count, 1);
    assert_non_null(strstr(faults.list[0].expected, "bounded work"));
    schema_free(schema);
    buf_done(&definition);
    buf_done(&value);
}

static void large_values_have_work_in_proportion(void **state)
{
    struct buf definition = pack_of(
        "{\"type\":\"array\",\"uniqueItems\":true,\"items\":{\"type\":\"object\","
        "\"properties\":{\"id\":"
        "{\"type\":\"integer\",\"minimum\":0},\"name\":{\"type\":\"string\",\"maxLength\":20}},"
        "\"required\":[\"id\"],\"additionalProperties\":false}}");
    struct schema *schema;
    struct buf value;
    (void)state;
    assert_int_equal(compile(buf_slice(&definition), &schema, NULL), 0);
    buf_init(&value, TEST_BYTES_MAX);
    pack_put_array(&value, 100000);
    for (int i = 0; i < 100000; i++) {
        pack_put_map(&value, 2);
        pack_put_key_int(&value, "id", i);
        pack_put_key_text(&value, "name", "a name");
    }
    assert_true(schema_accepts(schema, buf_slice(&value)));
    schema_free(schema);
    buf_done(&definition);
    buf_done(&value);
}

static void the_number_of_schemas_is_limited(void **state)
{
    struct buf json;
    struct schema *schema;
    struct err err = {.code = ERR_NONE};
    (void)state;
    buf_init(&json, TEST_BYTES_MAX);
    buf_put_text(&json, "{\"properties\":{");
    for (unsigned i = 0; i < 25000; i++) {
        buf_printf(&json, "%s\"%u\":{\"type\":\"null\"}", i ? "," : "", i);
    }
    buf_put_text(&json, "}}");
    struct buf definition = pack_of(buf_text(&json));
    assert_int_equal(compile(buf_slice(&definition), &schema, &err),
                     -(int)ERR_VALIDATION_ERROR);
    assert_non_null(strstr(err.text, "more than 20000 schemas"));
    buf_done(&definition);
    buf_clear(&json);
    buf_put_text(&json, "{\"required\":[");
    for (unsigned i = 0; i < 600; i++) {
        buf_printf(&json, "%s\"%u\"", i ? "," : "", i);
    }
    buf_put_text(&json, "]}");
    definition = pack_of(buf_text(&json));
    assert_int_equal(compile(buf_slice(&definition), &schema, &err),
                     -(int)ERR_VALIDATION_ERROR);
    assert_non_null(strstr(err.text, "more than 512 names"));
    buf_done(&definition);
    buf_done(&json);
}

/* A document with a long text, and references to `names` definitions behind it. */
static struct buf pack_of_references(unsigned names, unsigned references)
{
    struct buf json;
    buf_init(&json, TEST_BYTES_MAX);
    buf_put_text(&json, "{\"x\":\"");
    for (unsigned i = 0; i < 100000; i++) {
        buf_put_text(&json, "0123456789");
    }
    buf_put_text(&json, "\",\"$defs\":{");
    for (unsigned i = 0; i < names; i++) {
        buf_printf(&json, "%s\"a%u\":{}", i ? "," : "", i);
    }
    buf_put_text(&json, "},\"allOf\":[");
    for (unsigned i = 0; i < references; i++) {
        buf_printf(&json, "%s{\"$ref\":\"#/$defs/a%u\"}", i ? "," : "", i % names);
    }
    buf_put_text(&json, "]}");
    struct buf definition = pack_of(buf_text(&json));
    buf_done(&json);
    return definition;
}

/* Many references, each of which would walk a long document. */
static void resolving_is_limited(void **state)
{
    struct schema *schema;
    struct err err = {.code = ERR_NONE};
    (void)state;
    struct buf definition = pack_of_references(1000, 1000);
    assert_int_equal(compile(buf_slice(&definition), &schema, &err),
                     -(int)ERR_VALIDATION_ERROR);
    assert_non_null(strstr(err.text, "takes too long to find"));
    buf_done(&definition);

    /* The same reference again costs nothing. */
    definition = pack_of_references(3, 10000);
    assert_int_equal(compile(buf_slice(&definition), &schema, &err), 0);
    assert_true(schema_accepts(schema, SLICE("\x01")));
    schema_free(schema);
    buf_done(&definition);
}

/* ---- hostile documents ------------------------------------------------------------------- */

/* `begin`, then `unit` with its number in it `count` times, commas between, then `end`. */
static struct buf pack_of_many(const char *begin, const char *unit, unsigned count,
                               const char *end)
{
    struct buf json;
    buf_init(&json, TEST_BYTES_MAX);
    buf_put_text(&json, begin);
    for (unsigned i = 0; i < count; i++) {
        buf_put_text(&json, i ? "," : "");
        for (const char *c = unit; *c; c++) {
            if (*c == '@') {
                buf_printf(&json, "%u", i);
            } else {
                buf_put_byte(&json, (uint8_t)*c);
            }
        }
    }
    buf_put_text(&json, end);
    struct buf pack = pack_of(buf_text(&json));
    buf_done(&json);
    return pack;
}

static const struct {
    const char *begin, *unit;
    unsigned count;
    const char *end, *words;
} hostile[] = {
    {"{\"anyOf\":[", "{\"$id\":\"http://e.example/@\",\"type\":\"null\"}", 25000, "]}",
     "more than 20000 schemas"},
    {"{\"patternProperties\":{", "\"^@$\":{\"type\":\"null\"}", 25000, "}}",
     "regular expressions are longer"},
    {"{\"dependentSchemas\":{", "\"@\":{\"type\":\"null\"}", 25000, "}}",
     "more than 20000 schemas"},
    {"{\"anyOf\":[", "{\"$dynamicAnchor\":\"a@\",\"$id\":\"@\"}", 100, "]}",
     "more than 64 dynamic anchors"},
    {"{\"$dynamicAnchor\":\"n\",\"anyOf\":[",
     "{\"$id\":\"a@\",\"$dynamicAnchor\":\"m@\",\"items\":{\"$ref\":\"a0\"},"
     "\"contains\":{\"$ref\":\"a1\"},\"not\":{\"items\":{\"$ref\":\"a2\"}},"
     "\"prefixItems\":[{\"$ref\":\"a3\"},{\"$ref\":\"a4\"},{\"$ref\":\"a5\"},"
     "{\"$ref\":\"a6\"},{\"$ref\":\"a7\"},{\"$ref\":\"a8\"},{\"$ref\":\"a9\"}]}",
     60, "]}", "bound in more than 256 ways"},
};

static void hostile_documents_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        struct buf definition =
            pack_of_many(hostile[i].begin, hostile[i].unit, hostile[i].count, hostile[i].end);
        struct schema *schema;
        struct err err = {.code = ERR_NONE};
        assert_int_equal(compile(buf_slice(&definition), &schema, &err),
                         -(int)ERR_VALIDATION_ERROR);
        if (!strstr(err.text, hostile[i].words)) {
            fail_msg("%s: %s", hostile[i].words, err.text);
        }
        buf_done(&definition);
    }
}

static void documents_nest_as_deep_as_values(void **state)
{
    struct buf definition;
    struct schema *schema;
    (void)state;
    for (unsigned depth = 60; depth < 70; depth++) {
        buf_init(&definition, TEST_BYTES_MAX);
        for (unsigned i = 1; i < depth; i++) {
            pack_put_map(&definition, 1);
            pack_put_text(&definition, "items");
        }
        pack_put_map(&definition, 0);
        int result = compile(buf_slice(&definition), &schema, NULL);
        assert_int_equal(result, depth <= PACK_DEPTH_MAX ? 0 : -(int)ERR_VALIDATION_ERROR);
        schema_free(schema);
        buf_done(&definition);
    }
}

/* Large, but in proportion: compiled, and a check is bounded. */
static void many_branches_are_bounded(void **state)
{
    static const struct {
        const char *begin, *unit, *end;
    } many[] = {
        {"{\"unevaluatedProperties\":false,\"anyOf\":[",
         "{\"properties\":{\"p@\":true,\"a\":true},\"required\":[\"a\"]}", "]}"},
        {"{\"unevaluatedProperties\":false,\"oneOf\":[",
         "{\"anyOf\":[{\"properties\":{\"p@\":{\"type\":\"null\"}}}],"
         "\"required\":[\"p@\"]}",
         "]}"},
        {"{\"dependentSchemas\":{", "\"p@\":{\"required\":[\"a\"]}", "}}"},
        {"{\"allOf\":[", "{\"$ref\":\"#/$defs/x@\"},{\"required\":[\"p@\"]}",
         "],\"$defs\":{\"y\":{}}}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof many / sizeof *many; i++) {
        struct buf definition = pack_of_many(many[i].begin, many[i].unit, 4000, many[i].end);
        struct buf value = pack_of_many("{", "\"p@\":@", 4000, "}");
        struct schema *schema;
        struct schema_faults faults;
        struct err err = {.code = ERR_NONE};
        if (compile(buf_slice(&definition), &schema, &err) == 0) {
            assert_false(schema_accepts(schema, buf_slice(&value)));
            schema_explain(schema, buf_slice(&value), "value", &faults);
            assert_true(faults.count > 0);
        } else {
            assert_non_null(strstr(err.text, "points to nothing"));
        }
        schema_free(schema);
        buf_done(&definition);
        buf_done(&value);
    }
}

/* Each level is looked at once, not once more for each that it is in. */
static void recursion_with_unevaluated_is_linear(void **state)
{
    struct buf definition =
        pack_of("{\"$defs\":{\"n\":{\"unevaluatedProperties\":false,\"anyOf\":["
                "{\"properties\":{\"a\":{\"$ref\":\"#/$defs/n\"}}},"
                "{\"properties\":{\"b\":{\"$ref\":\"#/$defs/n\"}}}],\"if\":"
                "{\"properties\":{\"z\":{\"type\":\"object\"}}},\"then\":true}},"
                "\"$ref\":\"#/$defs/n\"}");
    struct schema *schema;
    (void)state;
    assert_int_equal(compile(buf_slice(&definition), &schema, NULL), 0);
    for (int is_wrong = 0; is_wrong < 2; is_wrong++) {
        struct buf value;
        buf_init(&value, TEST_BYTES_MAX);
        for (int i = 0; i < 55; i++) {
            pack_put_map(&value, 1);
            pack_put_text(&value, i % 2 ? "a" : "b");
        }
        pack_put_map(&value, (uint32_t)is_wrong);
        if (is_wrong) {
            pack_put_key_int(&value, "c", 1);
        }
        assert_int_equal(schema_accepts(schema, buf_slice(&value)), !is_wrong);
        buf_done(&value);
    }
    schema_free(schema);
    buf_done(&definition);
}

static void no_memory_is_an_error_and_leaks_nothing(void **state)
{
    struct buf json;
    (void)state;
    buf_init(&json, TEST_BYTES_MAX);
    buf_put_text(&json, "{\"type\":\"object\",\"required\":[\"p1\"],\"properties\":{");
    for (unsigned i = 0; i < 60; i++) {
        buf_printf(
            &json,
            "%s\"p%u\":{\"type\":\"string\",\"enum\":[\"a\",\"b\"],\"anyOf\":[{},{\"$ref\":"
            "\"#/$defs/x\"}]}",
            i ? "," : "", i);
    }
    buf_put_text(&json, "},\"$defs\":{\"x\":{\"items\":{\"minimum\":1}}}}");
    struct buf definition = pack_of(buf_text(&json));
    int result = -1;
    for (unsigned long nth = 1; result != 0; nth++) {
        struct schema *schema;
        struct err err = {.code = ERR_NONE};
        mem_fail_at(nth);
        result = compile(buf_slice(&definition), &schema, &err);
        mem_fail_at(0);
        assert_true(result == 0 || (err.code == ERR_VALIDATION_ERROR && !schema));
        assert_true(nth < 1000);
        schema_free(schema);
    }
    buf_done(&definition);
    buf_done(&json);
}

/* Many items and no memory for the table that finds equal ones: refused, not let through. */
static void no_memory_while_checking_is_no_acceptance(void **state)
{
    struct buf definition = pack_of("{\"uniqueItems\":true}");
    struct buf value = pack_of("[1,2,3,4,5,6,7,8,9,10,11,12]");
    struct schema *schema;
    struct schema_faults faults;
    (void)state;
    assert_int_equal(compile(buf_slice(&definition), &schema, NULL), 0);
    mem_fail_at(1);
    assert_false(schema_accepts(schema, buf_slice(&value)));
    mem_fail_at(1);
    schema_explain(schema, buf_slice(&value), "value", &faults);
    mem_fail_at(0);
    assert_true(faults.count > 0);
    assert_true(schema_accepts(schema, buf_slice(&value)));
    schema_free(schema);
    buf_done(&definition);
    buf_done(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_schemas_are_refused_with_their_place),
        cmocka_unit_test(bytes_that_are_no_value_are_refused),
        cmocka_unit_test(every_beginning_of_a_schema_is_refused),
        cmocka_unit_test(chains_are_limited),
        cmocka_unit_test(work_is_limited),
        cmocka_unit_test(exhausted_is_refused_whatever_it_would_mean),
        cmocka_unit_test(large_values_have_work_in_proportion),
        cmocka_unit_test(the_number_of_schemas_is_limited),
        cmocka_unit_test(resolving_is_limited),
        cmocka_unit_test(hostile_documents_are_refused),
        cmocka_unit_test(documents_nest_as_deep_as_values),
        cmocka_unit_test(many_branches_are_bounded),
        cmocka_unit_test(recursion_with_unevaluated_is_linear),
        cmocka_unit_test(no_memory_is_an_error_and_leaks_nothing),
        cmocka_unit_test(no_memory_while_checking_is_no_acceptance),
    };
    return cmocka_run_group_tests_name("schema_compile", tests, NULL, NULL);
}
