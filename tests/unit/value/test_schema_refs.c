/* SPDX-License-Identifier: MIT */
/* test_schema_refs.c - references: URIs, anchors and dynamic anchors inside the document, the
 * metaschemas, and everything else, which is refused. */
#include "schema_test.h"

#define DRAFT7 "'$schema':'http://json-schema.org/draft-07/schema#',"

static const struct schema_case inside[] = {
    /* a URI of its own, and what is relative to it */
    {"{'$id':'https://e.example/root','properties':{'a':{'$ref':'item'},'b':{'$ref':'/x/y'},"
     "'c':{'$ref':'https://e.example/root#/$defs/i/properties/z'},'d':{'$ref':'item#part'}},"
     "'$defs':{'i':{'$id':'item','type':'object','properties':{'z':{'type':'null'},"
     "'w':{'$anchor':'part','type':'boolean'}}},'j':{'$id':'x/./k/../y','type':'integer'}}}",
     {"{'a':{}}", "{'b':1}", "{'c':null}", "{'d':true}", NULL, "{'a':1}", "{'b':'1'}",
      "{'c':1}", "{'d':1}"}},
    {"{'$id':'urn:uuid:1','$ref':'urn:uuid:1#/$defs/a','$defs':{'a':{'type':'null'}}}",
     {"null", NULL, "1"}},
    {"{'$id':'urn:example:a','$ref':'#b','$defs':{'x':{'$anchor':'b','type':'null'}}}",
     {"null", NULL, "1"}},
    {"{'$defs':{'node':{'$id':'node','properties':{'next':{'$ref':'node'},"
     "'all':{'$ref':'#/properties/next'}},'additionalProperties':false}},'$ref':'node'}",
     {"{'next':{'next':{}}}", "{'all':{}}", NULL, "{'next':{'other':1}}"}},
    {"{'$id':'http://e.example/a/b?q','allOf':[{'$ref':'?r'},{'$ref':'../c'}],"
     "'$defs':{'q':{'$id':'?r','type':'integer'},'c':{'$id':'http://e.example/c',"
     "'minimum':2}}}",
     {"2", NULL, "1", "2.5"}},
    {"{'$id':'file:///x','$ref':'//h/p','$defs':{'a':{'$id':'file://h/p','type':'null'}}}",
     {"null", NULL, "1"}},
    /* anchors belong to a resource */
    {"{'$id':'http://e.example/r','allOf':[{'$ref':'#a'}],'$defs':{'one':{'$id':'inner',"
     "'$defs':{'x':{'$anchor':'a','type':'string'}}},'two':{'$anchor':'a','type':'null'}}}",
     {"null", NULL, "'s'"}},
    {"{'$ref':'#%C3%A9','$defs':{'x':{'$anchor':'\xc3\xa9','type':'null'}}}",
     {"null", NULL, "1"}},
    /* what is no schema has no URI and no anchor */
    {"{'enum':[{'$id':'http://e.example/i','$anchor':'x','type':'null'},1],"
     "'properties':{'$id':true,'$anchor':{'$anchor':'x','type':'integer'}},"
     "'allOf':[{'if':{'type':'object'},'then':{'properties':{'a':{'$ref':'#x'}}}}]}",
     {"1", NULL, "2", "{'$id':'http://e.example/i','$anchor':'x','type':'null'}"}},
    /* a pointer to where no keyword puts a schema */
    {"{'components':{'x':{'type':'null'}},'$ref':'#/components/x'}", {"null", NULL, "1"}},
    /* draft-07: a fragment alone is an anchor, and beside $ref nothing counts */
    {"{" DRAFT7 "'allOf':[{'$ref':'#a'}],'definitions':{'x':{'$id':'#a','type':'null'}}}",
     {"null", NULL, "1"}},
    {"{" DRAFT7 "'$id':'http://e.example/','allOf':[{'$id':'sub/','$ref':'x'}],"
     "'definitions':{'x':{'$id':'x','type':'null'},'y':{'$id':'sub/x','type':'integer'}}}",
     {"null", NULL, "1"}},
    /* one dialect inside the other */
    {"{'$defs':{'old':{'$id':'http://e.example/old','$schema':"
     "'http://json-schema.org/draft-07/schema#','prefixItems':[false],"
     "'items':[{'type':'null'}]}},'$ref':'http://e.example/old'}",
     {"[null]", NULL, "[1]"}},
};

static const struct schema_case dynamic[] = {
    /* the outermost of the resources that were entered */
    {"{'$id':'http://e.example/strings','$ref':'list','$defs':{'item':{'$dynamicAnchor':'i',"
     "'type':'string'},'list':{'$id':'list','type':'array','items':{'$dynamicRef':'#i'},"
     "'$defs':{'default':{'$dynamicAnchor':'i'}}}}}",
     {"['a']", "[]", NULL, "[1]"}},
    {"{'$id':'http://e.example/l','type':'array','items':{'$dynamicRef':'#i'},"
     "'$defs':{'default':{'$dynamicAnchor':'i','type':'integer'}}}",
     {"[1]", NULL, "['a']"}},
    /* one list of strings, one of numbers, in the same document */
    {"{'properties':{'s':{'$ref':'strings'},'n':{'$ref':'numbers'}},'$defs':{"
     "'s':{'$id':'strings','$ref':'list','$defs':{'i':{'$dynamicAnchor':'i','type':'string'}}},"
     "'n':{'$id':'numbers','$ref':'list','$defs':{'i':{'$dynamicAnchor':'i','type':'number'}}},"
     "'l':{'$id':'list','items':{'$dynamicRef':'#i'},'$defs':{'d':{'$dynamicAnchor':'i'}}}}}",
     {"{'s':['a'],'n':[1]}", "{'s':[]}", NULL, "{'s':[1]}", "{'n':['a']}"}},
    /* without a dynamic anchor where it leads first, it is a $ref */
    {"{'$id':'http://e.example/r','$ref':'list','$defs':{'item':{'$dynamicAnchor':'i',"
     "'type':'string'},'list':{'$id':'list','items':{'$dynamicRef':'#i'},"
     "'$defs':{'default':{'$anchor':'i','type':'integer'}}}}}",
     {"[1]", NULL, "['a']"}},
    {"{'items':{'$dynamicRef':'#/$defs/a'},'$defs':{'a':{'$dynamicAnchor':'x','type':'null'}}}",
     {"[null]", NULL, "[1]"}},
    /* a tree that a stricter one extends */
    {"{'$id':'http://e.example/strict','$dynamicAnchor':'node','$ref':'tree',"
     "'unevaluatedProperties':false,'$defs':{'tree':{'$id':'tree','$dynamicAnchor':'node',"
     "'type':'object','properties':{'data':true,'children':{'type':'array',"
     "'items':{'$dynamicRef':'#node'}}}}}}",
     {"{'children':[{'data':1}]}", NULL, "{'children':[{'daat':1}]}", "{'daat':1}"}},
};

static const struct schema_case metaschemas[] = {
    {"{'$ref':'https://json-schema.org/draft/2020-12/schema'}",
     {"true", "{}", "{'type':'object','properties':{'a':{'minLength':1}}}",
      "{'$defs':{'x':{'anyOf':[{'$ref':'#'}]}}}", NULL, "1", "{'type':'x'}",
      "{'properties':{'a':{'minLength':-1}}}", "{'$defs':{'x':{'anyOf':[]}}}",
      "{'$defs':{'x':{'anyOf':[{'$ref':1}]}}}", "{'pattern':1}", "{'required':['a','a']}",
      "{'dependentRequired':{'a':1}}", "{'items':[{}]}", "{'$anchor':'1a'}",
      "{'multipleOf':0}"}},
    {"{'$ref':'https://json-schema.org/draft/2020-12/meta/validation'}",
     {"{'minimum':1}", "{'items':5}", NULL, "{'minimum':'1'}"}},
    {"{'$ref':'http://json-schema.org/draft-07/schema#'}",
     {"true", "{'items':[{}]}", "{'definitions':{'a':{'type':['null','string']}}}", NULL, "[]",
      "{'items':[]}", "{'definitions':{'a':{'type':[]}}}", "{'definitions':{'a':{'not':1}}}",
      "{'dependencies':{'a':1}}", "{'multipleOf':0}"}},
};

static void references_lead_to_what_is_inside(void **state)
{
    (void)state;
    ASSERT_CASES(inside);
}

static void dynamic_references_depend_on_the_way(void **state)
{
    (void)state;
    ASSERT_CASES(dynamic);
}

static void the_metaschemas_are_known(void **state)
{
    (void)state;
    ASSERT_CASES(metaschemas);
}

static void other_references_are_refused(void **state)
{
    static const struct {
        const char *schema, *words;
    } refused[] = {
        {"{'$ref':'https://example.com/s'}", "nothing is fetched: https://example.com/s"},
        {"{'$ref':'other.json'}", "nothing is fetched: other.json"},
        {"{'$ref':'file:///etc/passwd'}", "nothing is fetched"},
        {"{'properties':{'a':{'$ref':'http://127.0.0.1/a'}}}", "#/properties/a"},
        {"{'$dynamicRef':'other#x'}", "\"$dynamicRef\" points outside"},
        {"{'$dynamicRef':'#x'}", "\"$dynamicRef\" points to nothing: #x"},
        {"{'$dynamicRef':1}", "\"$dynamicRef\" should be text"},
        {"{'$ref':'#/$defs/b','$defs':{'a':1}}", "points to nothing"},
        {"{'$ref':'#a','$defs':{'x':{'$id':'y','$anchor':'a'}}}", "points to nothing: #a"},
        {"{'$id':'http://e.example/','$ref':'a','$defs':{'x':{'$id':'b'}}}", "fetched: a"},
        {"{'const':{'$id':'http://e.example/x'},'$ref':'http://e.example/x'}", "fetched"},
        {"{'enum':[{'$anchor':'x'}],'$ref':'#x'}", "points to nothing"},
        {"{'default':{'$anchor':'x'},'$ref':'#x'}", "points to nothing"},
        {"{'$ref':'http://json-schema.org/draft-07/schema#/definitions/none'}", "to nothing"},
        {"{'$ref':'http://json-schema.org/draft-04/schema#'}", "nothing is fetched"},
        {"{'$ref':'https://json-schema.org/draft/2020-12/none'}", "nothing is fetched"},
        {"{'$id':'http://e.example/r','$ref':'r'}", "refers to itself without end"},
        {"{'$dynamicAnchor':'a','$dynamicRef':'#a'}", "refers to itself without end"},
        {"{'dependentSchemas':{'a':{'$ref':'#'}}}", "refers to itself without end"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_refused(refused[i].schema, refused[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_lead_to_what_is_inside),
        cmocka_unit_test(dynamic_references_depend_on_the_way),
        cmocka_unit_test(the_metaschemas_are_known),
        cmocka_unit_test(other_references_are_refused),
    };
    return cmocka_run_group_tests_name("schema_refs", tests, NULL, NULL);
}
