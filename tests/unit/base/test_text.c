/* SPDX-License-Identifier: MIT */
/* test_text.c - UTF-8 by its whole grammar, base64, globs, nearness of names. */
#include "base/text.h"
#include "base_test.h"

/* A code point as UTF-8 would have it, were all of them allowed. */
static size_t encode(uint32_t point, char to[4])
{
    if (point < 0x80) {
        to[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        to[0] = (char)(0xc0 | point >> 6);
        to[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        to[0] = (char)(0xe0 | point >> 12);
        to[1] = (char)(0x80 | (point >> 6 & 0x3f));
        to[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | point >> 18);
    to[1] = (char)(0x80 | (point >> 12 & 0x3f));
    to[2] = (char)(0x80 | (point >> 6 & 0x3f));
    to[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

static void every_code_point_is_right_or_wrong(void **state)
{
    (void)state;
    for (uint32_t point = 0; point < 0x1fffff; point++) {
        char bytes[4];
        size_t len = encode(point, bytes);
        bool is_fine = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
        struct slice text = {bytes, len};
        if (text_is_utf8(text) != is_fine || text_utf8_step(text) != (is_fine ? len : 0)) {
            fail_msg("U+%04X", (unsigned)point);
        }
        text.len--;
        if (len > 1 && text_is_utf8(text)) {
            fail_msg("U+%04X, cut", (unsigned)point);
        }
    }
}

/* All pairs of bytes, and overlong forms: nothing but what encode() makes. */
static void nothing_else_is_utf8(void **state)
{
    static const char *const wrong[] = {"\xc0\x80",
                                        "\xc1\xbf",
                                        "\xe0\x80\x80",
                                        "\xe0\x9f\xbf",
                                        "\xf0\x80\x80\x80",
                                        "\xf0\x8f\xbf\xbf",
                                        "\xf5\x80\x80\x80",
                                        "\xff",
                                        "\xfe",
                                        "\x80",
                                        "\xbf"};
    (void)state;
    for (unsigned pair = 0; pair < 0x10000; pair++) {
        unsigned char high = (unsigned char)(pair >> 8);
        unsigned char low = (unsigned char)pair;
        char bytes[2] = {(char)high, (char)low};
        bool is_fine = (high < 0x80 && low < 0x80) ||
                       (high >= 0xc2 && high <= 0xdf && low >= 0x80 && low <= 0xbf);
        assert_int_equal(text_is_utf8((struct slice){bytes, 2}), is_fine);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(text_is_utf8(slice_of(wrong[i])));
        assert_int_equal(text_utf8_step(slice_of(wrong[i])), 0);
    }
    assert_true(text_is_utf8((struct slice){NULL, 0}));
    assert_int_equal(text_utf8_step((struct slice){NULL, 0}), 0);
}

/* Words of eight bytes are looked at together: errors at each place of long text. */
static void errors_are_found_at_every_place(void **state)
{
    (void)state;
    for (size_t len = 1; len < 40; len++) {
        for (size_t place = 0; place < len; place++) {
            char *text = malloc(len);
            assert_non_null(text);
            memset(text, 'a', len);
            assert_true(text_is_utf8((struct slice){text, len}));
            text[place] = (char)0xe9;
            assert_false(text_is_utf8((struct slice){text, len}));
            free(text);
        }
    }
}

static void base64_is_that_of_rfc_4648(void **state)
{
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xfb\xff\xbf", "+/+/"}};
    struct buf out;
    (void)state;
    buf_init(&out, 100);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_clear(&out);
        text_put_base64(&out, slice_of(cases[i][0]));
        assert_string_equal(buf_text(&out), cases[i][1]);
    }
    buf_done(&out);
    buf_init(&out, 7);
    text_put_base64(&out, SLICE("foobar"));
    assert_true(out.overflow);
    buf_done(&out);
}

static void globs_match_runs(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool is_match;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"a", "a", true},
        {"a", "", false},
        {"*", "", true},
        {"*", "anything/at all", true},
        {"a*", "a", true},
        {"a*", "ab", true},
        {"a*", "ba", false},
        {"*a", "ba", true},
        {"*a", "ab", false},
        {"a*b", "ab", true},
        {"a*b", "axxb", true},
        {"a*b", "axxbc", false},
        {"*/*delete*", "s/tool-delete-x", true},
        {"*/*delete*", "s/tool", false},
        {"*/*delete*", "delete", false},
        {"a*b*c", "abbbc", true},
        {"a*b*c", "acb", false},
        {"**", "x", true},
        {"*x*", "aaxaa", true},
        {"*ab", "aab", true},
        {"*aab", "aaab", true},
        {"?", "a", false},
        {"[a]", "a", false},
        {"a.c", "abc", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (text_glob(slice_of(cases[i].pattern), slice_of(cases[i].name)) !=
            cases[i].is_match) {
            fail_msg("%s and %s", cases[i].pattern, cases[i].name);
        }
    }
    /* The worst case is a product of lengths, not a power. */
    char name[5000];
    memset(name, 'a', sizeof name);
    assert_false(text_glob(SLICE("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"),
                           (struct slice){name, sizeof name}));
}

static void a_cut_is_between_characters(void **state)
{
    static const char text[] = "a\xc3\xa9\xf0\x9f\x94\xa5z"; /* of 1, 2, 4 and 1 bytes */
    static const size_t cut[] = {0, 1, 1, 3, 3, 3, 3, 7, 8, 8};
    (void)state;
    for (size_t max = 0; max < sizeof cut / sizeof *cut; max++) {
        struct slice got = text_cut(SLICE("a\xc3\xa9\xf0\x9f\x94\xa5z"), max);
        assert_int_equal(got.len, cut[max]);
        assert_memory_equal(got.ptr, text, got.len);
    }
    /* What is no text loses no more than a character has. */
    assert_int_equal(text_cut(SLICE("\x80\x80\x80\x80\x80\x80\x80\x80"), 6).len, 3);
    assert_int_equal(text_cut(SLICE("\x80\x80\x80"), 2).len, 0);
}

static void nearness_of_names(void **state)
{
    static const char *const names[] = {"tools.list", "tools.call", "services.list", "ping"};
    static const char *const cases[][2] = {{"tool.list", "tools.list"},
                                           {"tools.cal", "tools.call"},
                                           {"toolscall", "tools.call"},
                                           {"pong", "ping"},
                                           {"xyz", NULL},
                                           {"quite another thing", NULL}};
    (void)state;
    assert_int_equal(text_distance(SLICE("kitten"), SLICE("sitting"), 10), 3);
    assert_int_equal(text_distance(SLICE(""), SLICE("abc"), 10), 3);
    assert_int_equal(text_distance(SLICE("abc"), SLICE("abc"), 10), 0);
    assert_int_equal(text_distance(SLICE("abcdef"), SLICE("uvwxyz"), 2), 3);
    char name[100] = {0};
    assert_int_equal(text_distance((struct slice){name, 65}, SLICE("a"), 3), 4);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct slice best = {NULL, 0};
        unsigned distance = TEXT_FAR;
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            text_nearest(slice_of(cases[i][0]), slice_of(names[k]), &best, &distance);
        }
        assert_true(cases[i][1] ? slice_is(best, cases[i][1]) : best.ptr == NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_right_or_wrong),
        cmocka_unit_test(nothing_else_is_utf8),
        cmocka_unit_test(errors_are_found_at_every_place),
        cmocka_unit_test(base64_is_that_of_rfc_4648),
        cmocka_unit_test(globs_match_runs),
        cmocka_unit_test(a_cut_is_between_characters),
        cmocka_unit_test(nearness_of_names),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
