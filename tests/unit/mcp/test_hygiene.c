/* SPDX-License-Identifier: MIT */
/* test_hygiene.c - what is odd about tools: hidden characters, names, lengths. */
#include "fake.h"

#include "mcp/hygiene.h"

/* The warnings as JSON; "" for none. Owned by the caller. */
static char *warnings_of(const char *json)
{
    struct buf tool;
    struct buf out;
    buf_init(&out, 65536);
    unsigned count = hygiene_check_tool(pack(&tool, json), &out);
    buf_done(&tool);
    assert_int_equal(count > 0, out.len > 0);
    char *text = out.len ? as_json(buf_slice(&out)) : mem_dup(SLICE(""));
    buf_done(&out);
    return text;
}

static void odd_tools_are_reported(void **state)
{
    static const struct {
        const char *tool, *says;
    } cases[] = {
        {"{\"name\":\"a b\"}", "the name has other characters"},
        {"{\"name\":\"a/b\"}", "the name has other characters"},
        {"{\"name\":\"\xc3\xbc\"}", "the name has other characters"},
        {"{\"name\":\"a\\u200bb\"}", "the name holds a zero-width character (U+200B)"},
        {"{\"name\":\"a\\nb\"}", "the name holds a control character (U+000A)"},
        {"{\"name\":\"a\",\"title\":\"x\\u202ey\"}",
         "the title holds a change of the writing direction (U+202E)"},
        {"{\"name\":\"a\",\"title\":\"x\\ny\"}", "the title holds a control character"},
        {"{\"name\":\"a\",\"annotations\":{\"title\":\"\\ufeff\"}}", "annotations.title holds"},
        {"{\"name\":\"a\",\"description\":\"\\u0000\"}",
         "the description holds a control character (U+0000)"},
        {"{\"name\":\"a\",\"description\":\"x\\u001b[2J\"}", "a control character (U+001B)"},
        {"{\"name\":\"a\",\"description\":\"hi\\udb40\\udc41\"}",
         "an invisible tag character (U+E0041)"},
        {"{\"name\":\"a\",\"description\":\"\\u2066x\\u2069\"}", "U+2066"},
        {"{\"name\":\"a\",\"description\":\"x\\u200dy\"}", "U+200D"},
        {"{\"name\":\"a\",\"inputSchema\":{\"properties\":{\"p\":{\"description\":\"\\u2060\"}}"
         "}}",
         "inputSchema holds a zero-width character (U+2060)"},
        {"{\"name\":\"a\",\"inputSchema\":{\"properties\":{\"p\\u200bq\":{}}}}",
         "inputSchema holds"},
        {"{\"name\":\"a\",\"outputSchema\":{\"title\":\"\\u200e\"}}", "outputSchema holds"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = warnings_of(cases[i].tool);
        assert_has(text, cases[i].says);
        mem_free(text);
    }
}

static void ordinary_tools_are_not(void **state)
{
    static const char *const tools[] = {
        "{\"name\":\"read_file-2.x\",\"description\":\"Reads.\\n\\n\\t- one\\r\\n\"}",
        "{\"name\":\"a\",\"title\":\"Gr\xc3\xbc\xc3\x9f\x65 \xe6\x97\xa5\xe6\x9c\xac\"}",
        /* a family of emoji is joined by U+200D; Persian uses U+200C */
        ("{\"name\":\"a\",\"description\":\"\\ud83d\\udc68\\u200d\\ud83d\\udc69 "
         "\\u0645\\u06cc\\u200c\\u062e\"}"),
        "{\"name\":\"a\",\"inputSchema\":{\"type\":\"object\",\"x\":[1,null,{\"y\":\"z\"}]}}",
        "{}",
        "{\"name\":5,\"description\":[]}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof tools / sizeof tools[0]; i++) {
        char *text = warnings_of(tools[i]);
        assert_string_equal(text, "");
        mem_free(text);
    }
}

static char *tool_with(const char *member, size_t len)
{
    char *json = mem_new(len + 64);
    int at = sprintf(json, "{\"%s\":\"", member);
    memset(json + at, 'x', len);
    (void)sprintf(json + (size_t)at + len, "\"}");
    return json;
}

static void long_texts_are_reported_from_their_limit_on(void **state)
{
    static const struct {
        const char *member;
        size_t limit;
    } cases[] = {{"name", HYGIENE_NAME_MAX},
                 {"title", HYGIENE_TITLE_MAX},
                 {"description", HYGIENE_DESCRIPTION_MAX}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t over = 0; over < 2; over++) {
            char *json = tool_with(cases[i].member, cases[i].limit + over);
            char *text = warnings_of(json);
            assert_int_equal(strstr(text, "bytes long") != NULL, over);
            mem_free(text);
            mem_free(json);
        }
    }
}

static void one_tool_says_only_so_much(void **state)
{
    (void)state;
    char *text = warnings_of(
        "{\"name\":\"\\u200b\",\"title\":\"\\u200b\",\"annotations\":{\"title\":\"\\u200b\"},"
        "\"description\":\"\\u200b\",\"inputSchema\":\"\\u200b\",\"outputSchema\":"
        "\"\\u200b\"}");
    unsigned commas = 0;
    for (const char *at = text; *at; at++) {
        commas += at[0] == ',' && at[1] == '"';
    }
    assert_int_equal(commas, 6);
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_tools_are_reported),
        cmocka_unit_test(ordinary_tools_are_not),
        cmocka_unit_test(long_texts_are_reported_from_their_limit_on),
        cmocka_unit_test(one_tool_says_only_so_much),
    };
    return cmocka_run_group_tests_name("hygiene", tests, NULL, NULL);
}
