/* SPDX-License-Identifier: MIT */
/* test_schema_pattern.c - regular expressions as ECMA-262 reads them, and those that would take for
 * ever. */
#include "schema_test.h"

/* Texts that match, then, after a NULL, texts that do not. */
static const struct {
    const char *pattern;
    const char *texts[20];
} cases[] = {
    {"", {"", "a"}},
    {"a", {"a", "bab", NULL, "", "b"}},
    {"^a$", {"a", NULL, "a\n", "\na", "ab"}},
    {"^[a-z0-9._%+-]+@[a-z0-9.-]+\\.[a-z]{2,}$", {"a.b@c.de", NULL, "a@b", "@b.cd", "A@b.cd"}},
    {"a|b|", {"a", "b", "", "x"}},
    {"^(?:a|b)+?$", {"ab", "b", NULL, "", "c"}},
    /* characters */
    {"^.$",
     {"a", "\xc3\xa9", "\xf0\x9f\x98\x80", "\x0b", "\xc2\x85", NULL, "\n", "\r", "\xe2\x80\xa8",
      "\xe2\x80\xa9", "ab", ""}},
    {"^\\d$", {"0", "9", NULL, "\xdb\xb1", "a"}},
    {"^\\D$", {"\xdb\xb1", "a", "\n", NULL, "0"}},
    {"^\\w$", {"_", "Z", "5", NULL, "\xc3\xa9", "-"}},
    {"^\\W$", {"\xc3\xa9", "-", NULL, "_", "a"}},
    {"^\\s$",
     {" ", "\t", "\x0b", "\x0c", "\n", "\r", "\xc2\xa0", "\xef\xbb\xbf", "\xe2\x80\x83",
      "\xe1\x9a\x80", "\xe3\x80\x80", "\xe2\x80\xa9", NULL, "a", "\xc2\x85", "\xe2\x80\x8b"}},
    {"^\\S$",
     {"a", "\xc2\x85", "\xe2\x80\x8b", "\xf0\x9f\x98\x80", NULL, " ", "\xc2\xa0",
      "\xef\xbb\xbf", "\xe2\x80\x83", "\n"}},
    {"^[\\s]$", {" ", "\xe3\x80\x80", NULL, "a"}},
    {"^[^\\S]$", {" ", "\xe3\x80\x80", NULL, "a"}},
    {"^[\\S]$", {"a", NULL, " ", "\xe3\x80\x80"}},
    {"^[\\d\\-x]$", {"1", "-", "x", NULL, "y", "\\"}},
    {"^[\\w.-]$", {"a", ".", "-", NULL, "+"}},
    {"^[\\w-.]$", {"a", ".", "-", NULL, "+"}},
    {"^[a-]$", {"a", "-", NULL, "b"}},
    {"^[-a]$", {"a", "-", NULL, "b"}},
    {"^[+--]$", {"+", ",", "-", NULL, "."}},
    {"^[]$", {NULL, "", "]", "a"}},
    {"^[^]$", {"a", "\n", "]", "\xf0\x9f\x98\x80", NULL, "", "aa"}},
    {"^[[:alpha:]]$", {"[]", ":]", "a]", NULL, "b", "]", "A"}},
    {"^[a\\]b]$", {"]", "a", NULL, "\\"}},
    {"^[\\b]$", {"\b", NULL, "b"}},
    {"^[^\\x00-\\x1f]*$", {"abc", "", NULL, "a\tb"}},
    {"^[\\u4e00-\\u9fff]+$", {"\xe4\xb8\xad\xe6\x96\x87", NULL, "a"}},
    {"^[\\u{1F600}-\\u{1F64F}]$", {"\xf0\x9f\x98\x80", NULL, "a"}},
    {"^[\\uD800-\\uDFFF]$", {NULL, "a", "\xf0\x9f\x98\x80"}},
    {"^[^\\uD800-\\uDFFF]$", {"a", "\xf0\x9f\x98\x80"}},
    {"^[\\ud7ff-\\ue000]$", {"\xed\x9f\xbf", "\xee\x80\x80", NULL, "a"}},
    {"^\xf0\x9f\x90\xb2*$",
     {"", "\xf0\x9f\x90\xb2\xf0\x9f\x90\xb2", NULL, "\xf0\x9f\x90\xb2x"}},
    /* escapes */
    {"^\\t\\n\\v\\f\\r$", {"\t\n\x0b\x0c\r", NULL, "tnvfr"}},
    {"^\\x41\\u0042\\u{43}\\u{000044}$", {"ABCD"}},
    {"^\\uD83D\\uDE00$", {"\xf0\x9f\x98\x80", NULL, "a"}},
    {"\\uD83D", {NULL, "\xf0\x9f\x98\x80", "a"}},
    {"^\\cA\\cz\\cJ$", {"\x01\x1a\n", NULL, "cAczcJ"}},
    {"^\\/\\.\\*\\+\\?\\^\\$\\|\\(\\)\\[\\]\\{\\}\\\\$", {"/.*+?^$|()[]{}\\"}},
    {"^\\-\\@\\ \\#\\\"$", {"-@ #\""}},
    {"^a{2}b{1,}c{0,1}$", {"aab", "aabbc", NULL, "ab", "aabcc"}},
    {"^a{,2}$", {"a{,2}", NULL, "a", "aa"}},
    {"^{}x{a}$", {"{}x{a}"}},
    {"^a]}$", {"a]}"}},
    {"\\bfoo\\b", {"foo", "a foo.", NULL, "food", "afoo", "_foo"}},
    {"\\Boo", {"foo", NULL, "oo"}},
    {"^\\p{L}+$", {"a\xc3\xa9\xd0\x96", NULL, "1", "a1"}},
    {"^\\p{Letter}\\p{Uppercase_Letter}\\p{Lu}$", {"aBC", NULL, "abc"}},
    {"^\\P{L}$", {"1", NULL, "a"}},
    {"^\\p{Script=Greek}+$", {"\xce\xb1\xce\xb2", NULL, "ab"}},
    {"^\\p{sc=Cyrillic}\\p{gc=Nd}\\p{General_Category=Letter}$", {"\xd0\x96\xdb\xb1z"}},
    {"^[\\p{L}\\p{Nd}_]+$", {"a\xdb\xb1_", NULL, "-"}},
    {"^\\p{Emoji}$", {"\xf0\x9f\x98\x80", NULL, "x"}},
    {"^\\p{ASCII}\\p{Any}$", {"ab", "a\xc3\xa9", NULL, "\xc3\xa9x"}},
    {"^\\p{Assigned}$", {"a", NULL, "\xcd\xb8"}},
    /* groups */
    {"^(a)(b)?\\1$", {"aa", "aba", NULL, "ab", "abb"}},
    {"^(a)|b\\1$", {"a", "b"}},
    {"^(?<x>a|b)\\k<x>$", {"aa", "bb", NULL, "ab"}},
    {"^(?=.*\\d)(?=.*[a-z]).{4,8}$", {"abc1", NULL, "abcd", "a1", "1234"}},
    {"^(?!x)a", {"ab", NULL, "xa"}},
    {"(?<=\\$)\\d+", {"$42", NULL, "42"}},
    {"(?<!\\$)\\b\\d+", {"42", NULL, "$42"}},
    {"^(?i:abc)d$", {"ABCd", NULL, "abcD"}},
    {"^(((a)b)c)\\3\\2\\1$", {"abcaababc"}},
    {"^((((((((((a))))))))))\\10$", {"aa", NULL, "a0"}},
    {"^\\0$", {NULL, "0"}},
    {"a b #c", {"a b #c", NULL, "ab"}},
};

static struct schema *schema_of_pattern(const char *pattern, struct err *err)
{
    struct buf definition;
    struct schema *schema = NULL;
    buf_init(&definition, TEST_BYTES_MAX);
    pack_put_map(&definition, 1);
    pack_put_key_text(&definition, "pattern", pattern);
    *err = (struct err){.code = ERR_NONE};
    (void)schema_compile(buf_slice(&definition), &schema, err);
    buf_done(&definition);
    return schema;
}

static bool accepts(const struct schema *schema, struct slice text)
{
    struct schema_faults faults;
    struct buf value;
    buf_init(&value, TEST_BYTES_MAX);
    pack_put_str(&value, text);
    bool is_fit = schema_accepts(schema, buf_slice(&value));
    schema_explain(schema, buf_slice(&value), "text", &faults);
    assert_int_equal(faults.count, !is_fit);
    buf_done(&value);
    return is_fit;
}

static void assert_matches(const char *pattern, const char *const texts[20])
{
    struct err err;
    struct schema *schema = schema_of_pattern(pattern, &err);
    bool is_fit = true;
    if (!schema) {
        fail_msg("%s: %s", pattern, err.text);
    }
    for (size_t k = 0; k < 20 && (texts[k] || is_fit); k++) {
        if (!texts[k]) {
            is_fit = false;
        } else if (accepts(schema, slice_of(texts[k])) != is_fit) {
            fail_msg("/%s/ should%s match \"%s\"", pattern, is_fit ? "" : " not", texts[k]);
        }
    }
    schema_free(schema);
}

static void expressions_match_as_in_ecma_262(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_matches(cases[i].pattern, cases[i].texts);
    }
}

static const struct {
    const char *pattern, *words;
} wrong[] = {
    {"(", "missing closing parenthesis"},
    {")", "unmatched closing parenthesis"},
    {"[", "at byte 0: a class that does not end"},
    {"a[b", "at byte 1: a class that does not end"},
    {"*a", "at byte 0: nothing to repeat"},
    {"a**", "at byte 2: nothing to repeat"},
    {"a++", "nothing to repeat"},
    {"a?+", "nothing to repeat"},
    {"a{2}{3}", "nothing to repeat"},
    {"(*ACCEPT)", "nothing to repeat"},
    {"(*LIMIT_MATCH=9)a", "nothing to repeat"},
    {"a|*", "nothing to repeat"},
    {"(?:+)", "nothing to repeat"},
    {"^*", "nothing to repeat"},
    {"\\", "a backslash at the end"},
    {"\\a", "an escape that ECMA-262 does not have"},
    {"\\Z", "an escape that ECMA-262 does not have"},
    {"\\A", "does not have"},
    {"\\Qa\\E", "does not have"},
    {"\\R", "does not have"},
    {"\\K", "does not have"},
    {"\\h", "does not have"},
    {"\\C", "does not have"},
    {"\\X", "does not have"},
    {"\\G", "does not have"},
    {"[\\B]", "does not have"},
    {"\\N", "does not have"},
    {"\\1", "a group that is not there"},
    {"(a)\\2", "a group that is not there"},
    {"\\01", "an octal escape"},
    {"\\k<a>", "non-existent"},
    {"\\ka", "\\k without a name"},
    {"\\xg0", "\\x without two digits"},
    {"\\u12", "\\u without a character"},
    {"\\u{110000}", "\\u without a character"},
    {"\\u{}", "\\u without a character"},
    {"\\c1", "no control character"},
    {"\\p", "no property"},
    {"\\p{", "no property"},
    {"\\p{}", "no property"},
    {"\\pL", "no property"},
    {"\\p{Nonsense}", "unknown property"},
    {"[b-a]", "a range out of order"},
    {"a{2,1}", "counts out of order"},
    {"a{65536}", "a count above 65535"},
    {"(?P<a>b)", "a kind of group that ECMA-262 does not have"},
    {"(?>a)", "a kind of group"},
    {"(?R)", "a kind of group"},
    {"(?1)", "a kind of group"},
    {"(?i)a", "a kind of group"},
    {"(?#a)", "a kind of group"},
    {"(?C1)a", "a kind of group"},
    {"(?(1)a|b)", "a kind of group"},
    {"(?|a|b)", "a kind of group"},
    {"(?<>a)", "no name of a group"},
    {"(?<a", "no name of a group"},
    {"(?<a>b)(?<a>c)", "two named"},
    {"(?<=a*)b", "lookbehind"},
    {"(?<=a{256})b", "looks back more than 255"},
    {"\xff", "no UTF-8"},
    {"a\xed\xa0\x80", "no UTF-8"},
};

static void what_ecma_262_does_not_know_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err err;
        struct schema *schema = schema_of_pattern(wrong[i].pattern, &err);
        if (schema || err.code != ERR_VALIDATION_ERROR || !strstr(err.text, "\"pattern\"") ||
            !strstr(err.text, wrong[i].words)) {
            fail_msg("/%s/: \"%s\", not \"%s\"", wrong[i].pattern, err.text, wrong[i].words);
        }
    }
    assert_refused("{'pattern':1}", "\"pattern\" should be text");
    assert_refused("{'properties':{'a':{'pattern':'('}}}", "#/properties/a");
    assert_refused("{'patternProperties':{'(':true}}", "\"patternProperties\"");
    assert_refused("{'patternProperties':[]}", "\"patternProperties\" should be");
    assert_refused("{'patternProperties':{'a':1}}", "should hold a schema");
}

/* ---- what would take for ever ------------------------------------------------------------ */

static struct buf repeated(const char *unit, unsigned count, const char *end)
{
    struct buf text;
    buf_init(&text, TEST_BYTES_MAX);
    for (unsigned i = 0; i < count; i++) {
        buf_put_text(&text, unit);
    }
    buf_put_text(&text, end);
    return text;
}

static const struct {
    const char *begin, *unit, *end, *subject;
    unsigned count, length;
} costly[] = {
    {"^", "(a+)+", "$", "a", 1, 40},
    {"^", "(a|aa)+", "$", "a", 1, 100},
    {"^", "(.*a){20}", "$", "a", 1, 60},
    {"", "a?", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a", 40, 39},
    {"", "([a-z]+)*", "[0-9]", "a", 1, 64},
    {"", "[a-z]*[12]", "", "a", 1, 60000},
    {"", "(?=[a-z]*)", "[0-9]", "a", 300, 3000},
    {"", "(a*)(a*)\\1\\2", "[0-9]", "a", 3, 400},
    {"", "(\\w+\\s?)*", "$", "word ", 1, 50},
    {"", "(a)?", "[12]", "a", 500, 2000},
    {"", "[\\s\\S]*?", "[0-9]", "a", 40, 500},
    {"^", "(?:(?:a|b|ab)*)*", "$", "ab", 3, 60},
};

static void assert_costly(const char *pattern, struct slice subject, bool is_not)
{
    struct buf definition;
    struct buf value;
    struct schema *schema = NULL;
    struct schema_faults faults;
    buf_init(&definition, TEST_BYTES_MAX);
    buf_init(&value, TEST_BYTES_MAX);
    pack_put_map(&definition, 1);
    if (is_not) {
        pack_put_text(&definition, "not");
        pack_put_map(&definition, 1);
    }
    pack_put_key_text(&definition, "pattern", pattern);
    pack_put_str(&value, subject);
    assert_int_equal(schema_compile(buf_slice(&definition), &schema, NULL), 0);
    if (schema_accepts(schema, buf_slice(&value))) {
        fail_msg("%s accepts", pattern);
    }
    schema_explain(schema, buf_slice(&value), "text", &faults);
    if (faults.count != 1 || !strstr(faults.list[0].expected, "too costly")) {
        fail_msg("%s: %s", pattern, faults.list[0].expected);
    }
    schema_free(schema);
    buf_done(&definition);
    buf_done(&value);
}

static void no_expression_takes_long(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof costly / sizeof *costly; i++) {
        struct buf pattern = repeated(costly[i].unit, costly[i].count, costly[i].end);
        struct buf subject = repeated(costly[i].subject, costly[i].length, "!");
        struct buf whole = repeated(costly[i].begin, 1, buf_text(&pattern));
        assert_costly(buf_text(&whole), buf_slice(&subject), false);
        /* "not" must not make a check that was not finished a good one. */
        assert_costly(buf_text(&whole), buf_slice(&subject), true);
        buf_done(&whole);
        buf_done(&subject);
        buf_done(&pattern);
    }
}

/* As long as there is something to it in proportion, long text is fine. */
static void long_texts_match_plain_expressions(void **state)
{
    static const char *const plain[] = {"^[\\s\\S]*$",
                                        "^(?:[a-z]{4})*(?:(?:[a-z]{2}==)|(?:[a-z]{3}=))?$",
                                        "^[a-z]+$", "z$", "^(?!.*\\d).*$"};
    (void)state;
    struct buf subject = repeated("abcd", 250000, "abcz");
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        struct err err;
        struct schema *schema = schema_of_pattern(plain[i], &err);
        if (!accepts(schema, buf_slice(&subject))) {
            fail_msg("/%s/ does not match", plain[i]);
        }
        schema_free(schema);
    }
    buf_done(&subject);
}

static void expressions_have_limits(void **state)
{
    struct err err;
    (void)state;
    struct buf pattern = repeated("a", 8193, "");
    assert_null(schema_of_pattern(buf_text(&pattern), &err));
    assert_non_null(strstr(err.text, "longer than 8192 bytes"));
    buf_done(&pattern);
    pattern = repeated("(?:", 100, "");
    assert_null(schema_of_pattern(buf_text(&pattern), &err));
    buf_done(&pattern);
    assert_null(schema_of_pattern("((((a{0,99}){0,99}){0,99}){0,99}){0,99}", &err));
    assert_non_null(strstr(err.text, "too large"));

    struct buf json;
    buf_init(&json, TEST_BYTES_MAX);
    buf_put_text(&json, "{'patternProperties':{");
    for (unsigned i = 0; i < 100; i++) {
        struct buf one = repeated("abcdefghij", 100, "");
        buf_printf(&json, "%s'%u%s':true", i ? "," : "", i, buf_text(&one));
        buf_done(&one);
    }
    buf_put_text(&json, "}}");
    assert_refused(buf_text(&json), "or 65536 in all");

    /* The same one again costs nothing. */
    buf_clear(&json);
    buf_put_text(&json, "{'items':[");
    for (unsigned i = 0; i < 1000; i++) {
        buf_printf(&json, "%s{'pattern':'^[a-z]{1,64}-[a-z]{1,64}-[a-z]{1,64}-[a-z]{1,64}$'}",
                   i ? "," : "");
    }
    buf_put_text(&json, "]}");
    schema_free(schema_of(buf_text(&json)));
    buf_done(&json);
}

/* Text from MessagePack may be anything. */
static void bytes_that_are_no_text_match_nothing(void **state)
{
    struct err err;
    struct buf value;
    (void)state;
    struct schema *schema = schema_of_pattern("", &err);
    assert_false(accepts(schema, SLICE("\xff")));
    assert_false(accepts(schema, SLICE("a\xc3")));
    assert_false(accepts(schema, SLICE("\xed\xa0\x80")));
    assert_true(accepts(schema, (struct slice){"\0", 1}));
    schema_free(schema);
    schema = schema_of_pattern("^MTIz$", &err); /* "123" as JSON will have it */
    buf_init(&value, 100);
    pack_put_bin(&value, SLICE("123"));
    assert_true(schema_accepts(schema, buf_slice(&value)));
    buf_clear(&value);
    pack_put_bin(&value, SLICE("1234"));
    assert_false(schema_accepts(schema, buf_slice(&value)));
    buf_done(&value);
    schema_free(schema);
}

static void no_memory_is_an_error_or_a_refusal(void **state)
{
    struct buf definition = pack_of_quoted("{'pattern':'^(a|b)*$','patternProperties':{'x':"
                                           "{'pattern':'y'}},'propertyNames':{'pattern':'z'}}");
    struct buf value = pack_of_quoted("'abab'");
    struct schema *schema = NULL;
    int result = -1;
    (void)state;
    for (unsigned long nth = 1; result != 0; nth++) {
        struct err err = {.code = ERR_NONE};
        mem_fail_at(nth);
        result = schema_compile(buf_slice(&definition), &schema, &err);
        mem_fail_at(0);
        assert_true(result == 0 || err.code == ERR_VALIDATION_ERROR);
        assert_true(nth < 1000);
    }
    bool is_fit = false;
    for (unsigned long nth = 1; !is_fit; nth++) {
        mem_fail_at(nth);
        is_fit = schema_accepts(schema, buf_slice(&value));
        mem_fail_at(0);
        assert_true(nth < 100);
    }
    schema_free(schema);
    buf_done(&definition);
    buf_done(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_match_as_in_ecma_262),
        cmocka_unit_test(what_ecma_262_does_not_know_is_refused),
        cmocka_unit_test(no_expression_takes_long),
        cmocka_unit_test(long_texts_match_plain_expressions),
        cmocka_unit_test(expressions_have_limits),
        cmocka_unit_test(bytes_that_are_no_text_match_nothing),
        cmocka_unit_test(no_memory_is_an_error_or_a_refusal),
    };
    return cmocka_run_group_tests_name("schema_pattern", tests, NULL, NULL);
}
