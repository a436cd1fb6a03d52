/* SPDX-License-Identifier: MIT */
/* test_schema_keywords.c - keywords about patterns, names, what is contained, depends or is not
 * evaluated, and what draft-07 makes of them. */
#include "schema_test.h"

#define DRAFT7 "'$schema':'http://json-schema.org/draft-07/schema#',"

static const struct schema_case numbers[] = {
    {"{'multipleOf':2}",
     {"4", "0", "-4", "4.0", "1e3", "'a'", NULL, "3", "-1", "0.5", "1e-400"}},
    {"{'multipleOf':0.01}",
     {"4.35", "0.07", "1.1", "19.99", "1", "1e300", "123456789012345678901.25", NULL, "0.075",
      "1.005", "123456789012345678901.255"}},
    {"{'multipleOf':1e-8}", {"12391239123", "1e-8", "0.00000003", NULL, "1e-9", "0.000000015"}},
    {"{'multipleOf':0.0001}", {"0.0075", NULL, "0.00751"}},
    {"{'multipleOf':7}",
     {"7", "700", "123456789012345678904", "7e40", NULL, "8", "123456789012345678901", "1e40"}},
    {"{'multipleOf':1e300}", {"1e300", "3e300", "0", "1e301", NULL, "1e299", "5"}},
    {"{'multipleOf':1.5,'minimum':3}", {"3", "4.5", "6", NULL, "1.5", "0", "3.5", "4"}},
    {"{'type':'integer','multipleOf':0.123456789}", {"123456789", NULL, "1e308", "1"}},
    {"{'multipleOf':3,'maximum':9}", {"9", "-3", NULL, "12", "10", "8"}},
    {"{'const':1e400}", {"1e400", "10e399", "0.1e401", NULL, "1e401", "-1e400"}},
    {"{'uniqueItems':true}", {"[1e400,1e401]", NULL, "[1e400,10e399]", "[1e400,0,1.0e400]"}},
};

static const struct schema_case patterns[] = {
    {"{'pattern':'^a+$'}", {"'a'", "'aaa'", "1", "null", NULL, "''", "'b'", "'ab'", "'a\\n'"}},
    {"{'pattern':'b'}", {"'abc'", "'b'", NULL, "''", "'ac'"}},
    {"{'pattern':'','type':'string'}", {"''", "'a'", NULL, "1"}},
    {"{'pattern':'^.{2}$','minLength':2,'maxLength':2}",
     {"'ab'", "'\xf0\x9f\x98\x80\xf0\x9f\x98\x80'", NULL, "'a'", "'abc'"}},
    {"{'enum':['ab','b'],'pattern':'^a'}", {"'ab'", NULL, "'b'", "'a'"}},
    {"{'not':{'pattern':'a'}}", {"'b'", NULL, "'a'", "1"}},
    {"{'patternProperties':{'^x-':{'type':'integer'},'id$':{'minimum':0}}}",
     {"{}", "{'x-a':1}", "{'x-id':1}", "{'y':'a'}", "{'myid':2}", "[]", NULL, "{'x-a':'1'}",
      "{'x-id':-1}", "{'x-id':'a'}", "{'id':-1}"}},
    {"{'patternProperties':{'^x':{}},'additionalProperties':false}",
     {"{}", "{'x':1,'xy':2}", NULL, "{'y':1}", "{'x':1,'y':2}"}},
    {"{'properties':{'a':{'type':'null'}},'patternProperties':{'a':{'enum':[null,1]}},"
     "'additionalProperties':{'type':'string'},'required':['a']}",
     {"{'a':null}", "{'a':null,'ba':1}", "{'a':null,'c':'x'}", NULL, "{}", "{'a':1}",
      "{'a':null,'ba':2}", "{'a':null,'c':1}", "{'ba':1}"}},
    {"{'patternProperties':{'':false}}", {"{}", "1", NULL, "{'a':1}", "{'':1}"}},
};

static const struct schema_case names[] = {
    {"{'propertyNames':{'maxLength':3}}",
     {"{}", "{'abc':1}", "[]", NULL, "{'abcd':1}", "{'a':1,'abcde':2}"}},
    {"{'propertyNames':{'pattern':'^[a-z]+$'}}", {"{'ab':1}", NULL, "{'A':1}", "{'':1}"}},
    {"{'propertyNames':{'enum':['a','b']}}", {"{'a':1,'b':2}", NULL, "{'c':1}"}},
    {"{'propertyNames':false}", {"{}", "1", NULL, "{'a':1}"}},
    {"{'propertyNames':true}", {"{}", "{'a':1}"}},
    {"{'dependentRequired':{'a':['b','c'],'d':[]}}",
     {"{}", "{'b':1}", "{'a':1,'b':2,'c':3}", "{'d':1}", "'a'", NULL, "{'a':1}",
      "{'a':1,'b':2}"}},
    {"{'dependentSchemas':{'a':{'properties':{'b':{'type':'null'}},'required':['b']},"
     "'never':false}}",
     {"{}", "{'b':1}", "{'a':1,'b':null}", "['a']", NULL, "{'a':1}", "{'a':1,'b':1}",
      "{'never':1}"}},
    {"{'dependencies':{'a':['b'],'c':{'minProperties':3}}}",
     {"{}", "{'a':1,'b':2}", "{'c':1,'d':2,'e':3}", NULL, "{'a':1}", "{'c':1}",
      "{'a':1,'c':2,'d':3}"}},
    {"{'minProperties':1,'maxProperties':2}",
     {"{'a':1}", "{'a':1,'b':2}", "[]", NULL, "{}", "{'a':1,'b':2,'c':3}"}},
};

static const struct schema_case arrays[] = {
    {"{'contains':{'type':'integer'}}", {"[1]", "['a',1]", "{}", NULL, "[]", "['a']"}},
    {"{'contains':{'const':5},'minContains':2,'maxContains':3}",
     {"[5,5]", "[5,1,5,5]", NULL, "[5]", "[]", "[5,5,5,5]"}},
    {"{'contains':{'const':5},'minContains':0}", {"[]", "[1]", "[5]"}},
    {"{'contains':{'const':5},'minContains':0,'maxContains':1}",
     {"[]", "[1]", "[5]", NULL, "[5,5]"}},
    {"{'minContains':2,'maxContains':0}", {"[]", "[1]", "[5,5,5]"}},
    {"{'contains':true}", {"[1]", NULL, "[]"}},
    {"{'contains':false}", {"1", NULL, "[1]", "[]"}},
    {"{'contains':{'type':'null'},'uniqueItems':true,'items':{'type':['null','integer']}}",
     {"[null]", "[1,null]", NULL, "[1]", "[null,null]", "[null,'a']"}},
    {"{'prefixItems':[{'type':'null'}],'items':false}",
     {"[]", "[null]", NULL, "[1]", "[null,1]"}},
    {"{'items':[{'type':'null'}],'additionalItems':{'type':'integer'}}",
     {"[]", "[null]", "[null,1]", NULL, "[1]", "[null,'a']"}},
    {"{'items':{'type':'null'},'additionalItems':false}", {"[null,null]", NULL, "[1]"}},
};

static const struct schema_case unevaluated[] = {
    {"{'properties':{'a':true},'unevaluatedProperties':false}",
     {"{}", "{'a':1}", "[1]", "3", NULL, "{'b':1}", "{'a':1,'b':2}"}},
    {"{'allOf':[{'properties':{'a':true}},{'patternProperties':{'^x':true}}],"
     "'unevaluatedProperties':{'type':'integer'}}",
     {"{'a':'s','xy':'t','n':1}", NULL, "{'n':'s'}", "{'a':1,'n':null}"}},
    {"{'anyOf':[{'properties':{'a':{'const':1}},'required':['a']},"
     "{'properties':{'b':true},'required':['b']}],'unevaluatedProperties':false}",
     {"{'a':1}", "{'b':1}", "{'a':1,'b':2}", NULL, "{}", "{'a':2}", "{'a':2,'b':1}",
      "{'a':1,'c':1}"}},
    {"{'oneOf':[{'properties':{'a':{'const':1}},'required':['a']},"
     "{'properties':{'b':true},'required':['b']}],'unevaluatedProperties':false}",
     {"{'a':1}", "{'b':1}", NULL, "{'a':1,'b':2}", "{'b':1,'a':2}", "{'c':1}"}},
    {"{'if':{'properties':{'k':{'const':'x'}},'required':['k']},'then':{'properties':{'x':true}"
     "},"
     "'else':{'properties':{'y':true}},'unevaluatedProperties':false}",
     {"{'k':'x','x':1}", "{'y':1}", NULL, "{'k':'x','y':1}", "{'k':'z','y':1}", "{'x':1}"}},
    {"{'not':{'not':{'properties':{'a':true},'required':['a']}},'unevaluatedProperties':false}",
     {NULL, "{'a':1}", "{'b':1}"}},
    {"{'dependentSchemas':{'a':{'properties':{'b':true}}},'properties':{'a':true},"
     "'unevaluatedProperties':false}",
     {"{'a':1,'b':2}", "{'a':1}", NULL, "{'b':2}", "{'a':1,'c':1}"}},
    {"{'$ref':'#/$defs/base','properties':{'b':true},'unevaluatedProperties':false,"
     "'$defs':{'base':{'properties':{'a':{'type':'integer'}}}}}",
     {"{'a':1,'b':2}", NULL, "{'a':'1'}", "{'c':1}"}},
    {"{'allOf':[{'properties':{'a':true},'unevaluatedProperties':true}],"
     "'unevaluatedProperties':false}",
     {"{'a':1,'z':2}"}},
    {"{'allOf':[{'properties':{'a':true}},{'unevaluatedProperties':false}]}",
     {"{}", NULL, "{'a':1}"}},
    {"{'allOf':[{'additionalProperties':{'type':'integer'}}],'unevaluatedProperties':false}",
     {"{'a':1}", NULL, "{'a':'x'}"}},
    {"{'properties':{'a':{'properties':{'b':true},'unevaluatedProperties':false}}}",
     {"{'a':{'b':1},'c':1}", NULL, "{'a':{'c':1}}"}},
    {"{'prefixItems':[true],'unevaluatedItems':false}", {"[]", "[1]", "{}", NULL, "[1,2]"}},
    {"{'prefixItems':[true],'contains':{'type':'null'},'unevaluatedItems':{'type':'string'}}",
     {"[1,null,'a']", "[1,'b',null]", NULL, "[1,'a']", "[1,null,2]"}},
    {"{'allOf':[{'prefixItems':[true,{'type':'integer'}]},{'prefixItems':[true]}],"
     "'unevaluatedItems':false}",
     {"[1,2]", "['a']", NULL, "[1,'a']", "[1,2,3]"}},
    {"{'anyOf':[{'items':{'type':'integer'}},true],'unevaluatedItems':false}",
     {"[1,2]", "[]", NULL, "[1,'a']"}},
    {"{'oneOf':[{'prefixItems':[{'const':1}],'minItems':1},{'prefixItems':[{'const':2},true],"
     "'minItems':1}],'unevaluatedItems':false}",
     {"[1]", "[2,3]", NULL, "[1,2]", "[3]", "[2,3,4]"}},
};

/* What draft-07 does not know says nothing there. */
static const struct schema_case draft7[] = {
    {"{" DRAFT7 "'prefixItems':[false],'minContains':5,'dependentRequired':{'a':['b']},"
     "'dependentSchemas':{'a':false},'unevaluatedProperties':false,'unevaluatedItems':false}",
     {"[1]", "{'a':1}"}},
    {"{" DRAFT7 "'contains':{'const':1},'minContains':2,'maxContains':0}",
     {"[1]", NULL, "[]", "[2]"}},
    {"{" DRAFT7 "'items':[{'type':'null'},{}],'additionalItems':false}",
     {"[]", "[null,1]", NULL, "[1]", "[null,1,2]"}},
    {"{" DRAFT7 "'dependencies':{'a':['b'],'c':{'required':['d']},'e':true,'f':false}}",
     {"{'a':1,'b':1}", "{'c':1,'d':1}", "{'e':1}", NULL, "{'a':1}", "{'c':1}", "{'f':1}"}},
    {"{" DRAFT7 "'properties':{'a':{'$ref':'#/definitions/t','minimum':9,'type':'null'}},"
     "'definitions':{'t':{'type':'integer'}}}",
     {"{'a':1}", NULL, "{'a':null}"}},
    {"{" DRAFT7 "'format':'email','contentEncoding':'base64'}", {"'%'", "1"}},
    {"{'format':'email','contentEncoding':'base64','contentSchema':false}", {"'%'", "1"}},
};

static void numbers_are_multiples_in_decimal(void **state)
{
    (void)state;
    ASSERT_CASES(numbers);
}

static void patterns_match_texts_and_names(void **state)
{
    (void)state;
    ASSERT_CASES(patterns);
}

static void names_have_schemas_and_bring_others_with_them(void **state)
{
    (void)state;
    ASSERT_CASES(names);
}

static void arrays_contain(void **state)
{
    (void)state;
    ASSERT_CASES(arrays);
}

static void what_no_keyword_looked_at_is_unevaluated(void **state)
{
    (void)state;
    ASSERT_CASES(unevaluated);
}

static void draft_07_is_another_dialect(void **state)
{
    (void)state;
    ASSERT_CASES(draft7);
}

/* More members than marks have place without memory of their own, and more required names than
 * one word has bits. */
static void there_may_be_many_members(void **state)
{
    struct buf json;
    struct schema_faults faults;
    (void)state;
    buf_init(&json, TEST_BYTES_MAX);
    buf_put_text(&json, "{'unevaluatedProperties':false,'anyOf':[{'properties':{'p0':true}},"
                        "{'patternProperties':{'[1-9]$':true}},{'required':['none']}],"
                        "'properties':{");
    for (unsigned i = 0; i < 1000; i += 10) {
        buf_printf(&json, "%s'p%u':{}", i ? "," : "", i);
    }
    buf_put_text(&json, "},'required':[");
    for (unsigned i = 0; i < 200; i++) {
        buf_printf(&json, "%s'p%u'", i ? "," : "", i);
    }
    buf_put_text(&json, "]}");
    struct schema *schema = schema_of(buf_text(&json));
    buf_done(&json);
    for (unsigned left_out = 0; left_out < 1000; left_out += 99) {
        struct buf value;
        buf_init(&value, TEST_BYTES_MAX);
        pack_put_map(&value, 1000);
        for (unsigned i = 0; i < 1000; i++) {
            char name[16];
            bool is_other = i == left_out && left_out;
            (void)snprintf(name, sizeof name, "%c%u", is_other ? 'q' : 'p', i);
            pack_put_key_int(&value, name, 1);
        }
        bool is_fit = left_out >= 200 || left_out == 0;
        is_fit = is_fit && left_out % 10 != 0 ? true : is_fit && left_out == 0;
        assert_int_equal(schema_accepts(schema, buf_slice(&value)), is_fit);
        schema_explain(schema, buf_slice(&value), "arguments", &faults);
        assert_int_equal(faults.count == 0, is_fit);
        buf_done(&value);
    }
    schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_multiples_in_decimal),
        cmocka_unit_test(patterns_match_texts_and_names),
        cmocka_unit_test(names_have_schemas_and_bring_others_with_them),
        cmocka_unit_test(arrays_contain),
        cmocka_unit_test(what_no_keyword_looked_at_is_unevaluated),
        cmocka_unit_test(draft_07_is_another_dialect),
        cmocka_unit_test(there_may_be_many_members),
    };
    return cmocka_run_group_tests_name("schema_keywords", tests, NULL, NULL);
}
