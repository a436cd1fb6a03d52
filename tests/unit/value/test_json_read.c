/* SPDX-License-Identifier: MIT */
/* test_json_read.c - JSON text that is right or wrong, case by case: RFC 8259 and our own rules. */
#include "value_test.h"

struct text {
    const char *ptr;
    size_t len;
};

#define T(literal)                     \
    {                                  \
        (literal), sizeof(literal) - 1 \
    }

/* Text that is taken, and what it becomes. */
static const struct {
    struct text json;
    const char *hex;
} accepted[] = {
    /* words */
    {T("null"), "c0"},
    {T("true"), "c3"},
    {T("false"), "c2"},
    {T(" \t\r\n null \t\r\n "), "c0"},
    /* integers of every width */
    {T("0"), "00"},
    {T("-0"), "cb 8000000000000000"},
    {T("1"), "01"},
    {T("-1"), "ff"},
    {T("127"), "7f"},
    {T("128"), "cc80"},
    {T("255"), "ccff"},
    {T("256"), "cd0100"},
    {T("65535"), "cdffff"},
    {T("65536"), "ce00010000"},
    {T("4294967295"), "ceffffffff"},
    {T("4294967296"), "cf0000000100000000"},
    {T("18446744073709551615"), "cfffffffffffffffff"},
    {T("-32"), "e0"},
    {T("-33"), "d0df"},
    {T("-128"), "d080"},
    {T("-129"), "d1ff7f"},
    {T("-32768"), "d18000"},
    {T("-32769"), "d2ffff7fff"},
    {T("-2147483648"), "d280000000"},
    {T("-2147483649"), "d3ffffffff7fffffff"},
    {T("-9223372036854775808"), "d38000000000000000"},
    {T("1234567"), "ce0012d687"},
    {T("12345678"), "ce00bc614e"},
    {T("123456789012345678"), "cf01b69b4ba630f34e"},
    {T("9007199254740993"), "cf0020000000000001"},
    /* integers that nothing else holds */
    {T("18446744073709551616"), "c714 01 3138343436373434303733373039353531363136"},
    {T("-9223372036854775809"), "c714 01 2d39323233333732303336383534373735383039"},
    {T("99999999999999999999"), "c714 01 3939393939393939393939393939393939393939"},
    {T("100000000000000000000"), "cb 4415af1d78b58c40"},
    {T("1000000000000000000000000000001"),
     "c71f 01 31303030303030303030303030303030303030303030303030303030303031"},
    /* fractions and exponents */
    {T("1.0"), "cb 3ff0000000000000"},
    {T("-1.5"), "cb bff8000000000000"},
    {T("0.1"), "cb 3fb999999999999a"},
    {T("1e0"), "cb 3ff0000000000000"},
    {T("1E5"), "cb 40f86a0000000000"},
    {T("1e+5"), "cb 40f86a0000000000"},
    {T("1e-2"), "cb 3f847ae147ae147b"},
    {T("0e0"), "cb 0000000000000000"},
    {T("0e999999999999999999999"), "cb 0000000000000000"},
    {T("-0.0"), "cb 8000000000000000"},
    {T("-0e1"), "cb 8000000000000000"},
    {T("0.000"), "cb 0000000000000000"},
    {T("1.500"), "cb 3ff8000000000000"},
    {T("123.456e1"), "cb 40934a3d70a3d70a"},
    {T("0.30000000000000004"), "cb 3fd3333333333334"},
    {T("1.7976931348623157e308"), "cb 7fefffffffffffff"},
    {T("2.2250738585072014e-308"), "cb 0010000000000000"},
    {T("9007199254740992.0"), "cb 4340000000000000"},
    {T("5e-324"), "c706 01 35652d333234"},
    {T("1e400"), "c705 01 3165343030"},
    {T("-1e400"), "c706 01 2d3165343030"},
    {T("1e-400"), "c706 01 31652d343030"},
    {T("0.1000000000000000055511151231257827"),
     "c724 01 302e31303030303030303030303030303030303535353131313531323331323537383237"},
    {T("9007199254740993.0"), "c712 01 393030373139393235343734303939332e30"},
    {T("0.30000000000000001"), "c713 01 302e3330303030303030303030303030303031"},
    /* strings */
    {T("\"\""), "a0"},
    {T("\"a\""), "a161"},
    {T("\"0123456789012345678901234567890\""),
     "bf 30313233343536373839303132333435363738393031323334353637383930"},
    {T("\"01234567890123456789012345678901\""),
     "d920 3031323334353637383930313233343536373839303132333435363738393031"},
    {T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "a8 225c2f080c0a0d09"},
    {T("\"\\u0041\\u00e9\\u4E2d\\uFFFF\""), "a9 41c3a9e4b8adefbfbf"},
    {T("\"\\u0000\""), "a100"},
    {T("\"\\u007f\\u0080\\u07ff\\u0800\""), "a8 7fc280dfbfe0a080"},
    {T("\"\\ud83d\\ude00\""), "a4 f09f9880"},
    {T("\"\\uD800\\uDC00\\uDBFF\\uDFFF\""), "a8 f0908080f48fbfbf"},
    {T("\"\\uFDD0\\uFFFE\""), "a6 efb790efbfbe"},
    {T("\"\x7f\""), "a17f"},
    {T("\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""),
     "b0 c280dfbfe0a080ed9fbfee8080efbfbf"},
    {T("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""), "a8 f0908080f48fbfbf"},
    {T("\"\xe2\x80\xa8\xe2\x80\xa9\""), "a6 e280a8e280a9"},
    {T("\"\xef\xbb\xbf\""), "a3 efbbbf"},
    {T("\"a\\/b/c\""), "a5 612f622f63"},
    /* arrays */
    {T("[]"), "90"},
    {T("[ \n]"), "90"},
    {T("[null , 1,\t\"\"]"), "93c001a0"},
    {T("[[],[[]],{}]"), "93909190 80"},
    {T("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"), "9f010101010101010101010101010101"},
    {T("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"), "dc0010 01010101010101010101010101010101"},
    /* objects */
    {T("{}"), "80"},
    {T("{ }"), "80"},
    {T("{\"\":0}"), "81a000"},
    {T("{\"a\" : {\"a\" : {\"a\":0}}}"), "81a161 81a161 81a161 00"},
    {T("{\"b\":1,\"a\":2}"), "82a16201a16102"},
    {T("{\"a\":1,\"A\":2,\"a \":3}"), "83a16101a14102a2612003"},
    {T("{\"a\":1,\"a\\u0000\":2}"), "82a16101a2610002"},
    {T("[{\"a\":1},{\"a\":1}]"), "9281a1610181a16101"},
    {T("{\"abcdefgh1\":1,\"abcdefgh2\":2}"), "82a961626364656667683101a961626364656667683202"},
};

static void text_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        struct slice json = {accepted[i].json.ptr, accepted[i].json.len};
        struct buf pack;
        struct err err = {.code = ERR_NONE};
        buf_init(&pack, TEST_BYTES_MAX);
        if (json_to_pack(json, JSON_DEPTH_MAX, &pack, &err) != 0) {
            fail_msg("case %zu, %s: %s", i, json.ptr, err.text);
        }
        assert_hex(buf_slice(&pack), accepted[i].hex);
        buf_done(&pack);
    }
}

/* Text that is refused, and the byte at which. */
static const struct {
    struct text json;
    size_t at;
} refused[] = {
    /* no value, or more than one */
    {T(""), 0},
    {T(" "), 1},
    {T("1 2"), 2},
    {T("[] []"), 3},
    {T("{}}"), 2},
    {T("[1]]"), 3},
    {T("null,"), 4},
    {T("\xef\xbb\xbf{}"), 0},
    {T("\0"), 0},
    {T("1\0"), 1},
    {T("\f1"), 0},
    {T("1\v"), 1},
    {T("\xc2\xa0"
       "1"),
     0},
    {T("/**/1"), 0},
    {T("1//"), 1},
    {T("#1"), 0},
    /* words */
    {T("nul"), 3},
    {T("nulL"), 3},
    {T("NULL"), 0},
    {T("True"), 0},
    {T("truth"), 3},
    {T("nullnull"), 4},
    {T("undefined"), 0},
    {T("NaN"), 0},
    {T("Infinity"), 0},
    {T("-Infinity"), 1},
    {T("a"), 0},
    {T("'a'"), 0},
    /* numbers */
    {T("+1"), 0},
    {T("-"), 1},
    {T("--1"), 1},
    {T("-a"), 1},
    {T("- 1"), 1},
    {T("01"), 1},
    {T("00"), 1},
    {T("-01"), 2},
    {T("007"), 1},
    {T("01234567"), 1},
    {T(".5"), 0},
    {T("-.5"), 1},
    {T("5."), 2},
    {T("5.e1"), 2},
    {T("0.e1"), 2},
    {T("1.."), 2},
    {T("1.2.3"), 3},
    {T("1e"), 2},
    {T("1e+"), 3},
    {T("1E-"), 3},
    {T("1e1.5"), 3},
    {T("1e1e1"), 3},
    {T("1e++1"), 3},
    {T("1 000"), 2},
    {T("1,000"), 1},
    {T("0x10"), 1},
    {T("1_0"), 1},
    {T("1f"), 1},
    {T("\xef\xbc\x91"), 0},
    {T("[1.]"), 3},
    {T("[-]"), 2},
    {T("[1e]"), 3},
    {T("[0123456789]"), 2},
    {T("[2.e+3]"), 3},
    /* strings */
    {T("\""), 1},
    {T("\"abc"), 4},
    {T("\"abc\\"), 5},
    {T("\"abc\\\""), 6},
    {T("\"0123456789012345678901234567890123456789"), 41},
    {T("\"\\a\""), 2},
    {T("\"\\'\""), 2},
    {T("\"\\0\""), 2},
    {T("\"\\x41\""), 2},
    {T("\"\\U0041\""), 2},
    {T("\"\\\n\""), 2},
    {T("\"\\\xc3\xa9\""), 2},
    {T("\"\\u\""), 3},
    {T("\"\\u00"), 3},
    {T("\"\\u004\""), 3},
    {T("\"\\u004g\""), 3},
    {T("\"\\u 041\""), 3},
    {T("\"\\u+041\""), 3},
    {T("\"\\ud800\""), 3},
    {T("\"\\udc00\""), 3},
    {T("\"\\ud800abc\""), 3},
    {T("\"\\ud800\\n\""), 3},
    {T("\"\\ud800\\u0041\""), 3},
    {T("\"\\ud800\\ud800\""), 3},
    {T("\"\\ud800\\"), 3},
    {T("\"\\ud800\\u\""), 3},
    {T("\"\\ud800\\udc\""), 3},
    {T("\"\\udc00\\ud800\""), 3},
    {T("\"\n\""), 1},
    {T("\"\t\""), 1},
    {T("\"\0\""), 1},
    {T("\"\x1f\""), 1},
    {T("\"0123456789abcdef\x01\""), 17},
    {T("[\"new\nline\"]"), 5},
    /* UTF-8 */
    {T("\"\x80\""), 1},
    {T("\"\xbf\""), 1},
    {T("\"\xc0\xaf\""), 1},
    {T("\"\xc1\xbf\""), 1},
    {T("\"\xc2\""), 1},
    {T("\"\xc3\x28\""), 1},
    {T("\"\xe0\x80\xaf\""), 1},
    {T("\"\xe0\x9f\xbf\""), 1},
    {T("\"\xe2\x82\""), 1},
    {T("\"\xe2\x28\xa1\""), 1},
    {T("\"\xed\xa0\x80\""), 1},
    {T("\"\xed\xbf\xbf\""), 1},
    {T("\"\xf0\x80\x80\x80\""), 1},
    {T("\"\xf0\x8f\xbf\xbf\""), 1},
    {T("\"\xf0\x9f\x98\""), 1},
    {T("\"\xf4\x90\x80\x80\""), 1},
    {T("\"\xf5\x80\x80\x80\""), 1},
    {T("\"\xf8\x88\x80\x80\x80\""), 1},
    {T("\"\xfc\x84\x80\x80\x80\x80\""), 1},
    {T("\"\xfe\""), 1},
    {T("\"\xff\""), 1},
    {T("\"plain text, then \xe9t\xe9\""), 18},
    {T("\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\""), 17},
    {T("{\"\xe9\":1}"), 2},
    {T("\xe9"), 0},
    {T("[1\xe9]"), 2},
    /* arrays */
    {T("["), 1},
    {T("[1"), 2},
    {T("[1,"), 3},
    {T("[,1]"), 1},
    {T("[1,]"), 3},
    {T("[1,,2]"), 3},
    {T("[1 2]"), 3},
    {T("[1:2]"), 2},
    {T("[1}"), 2},
    {T("]"), 0},
    {T("[\"a\""), 4},
    {T("[[]"), 3},
    {T("[,]"), 1},
    {T("[\"x\"\"y\"]"), 4},
    {T("[*]"), 1},
    /* objects */
    {T("{"), 1},
    {T("{]"), 1},
    {T("{,}"), 1},
    {T("{\"a\"}"), 4},
    {T("{\"a\":}"), 5},
    {T("{\"a\" 1}"), 5},
    {T("{\"a\"::1}"), 5},
    {T("{:1}"), 1},
    {T("{1:1}"), 1},
    {T("{null:1}"), 1},
    {T("{a:1}"), 1},
    {T("{'a':1}"), 1},
    {T("{\"a\":1,}"), 7},
    {T("{\"a\":1,,}"), 7},
    {T("{\"a\":1 \"b\":2}"), 7},
    {T("{\"a\":1]"), 6},
    {T("{\"a\":1"), 6},
    {T("{\"a"), 3},
    {T("{\"a\":"), 5},
    {T("{\"a\":1,\"b\""), 10},
    {T("{\"a\",\"b\":1}"), 4},
    {T("{[]:1}"), 1},
    {T("}"), 0},
    {T("{\"\\q\":1}"), 3},
    {T("{\"a\":/*comment*/1}"), 5},
    /* a key twice */
    {T("{\"a\":1,\"a\":1}"), 7},
    {T("{\"a\":1,\"b\":2,\"a\":3}"), 13},
    {T("{\"a\":1,\"\\u0061\":1}"), 7},
    {T("{\"\":1,\"\":1}"), 6},
    {T("{\"a\":{\"b\":1,\"c\":2},\"a\":1}"), 19},
    {T("{\"caf\xc3\xa9\":1,\"caf\\u00e9\":1}"), 11},
    {T("{\"a key of more than sixteen bytes\":1,\"a key of more than sixteen bytes\":1}"), 38},
    {T("{\"exactly16bytes__\":1,\"exactly16bytes__\":1}"), 22},
    {T("[{\"x\":{\"y\":1,\"y\":1}}]"), 13},
};

static void text_is_refused_where_it_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct slice json = {refused[i].json.ptr, refused[i].json.len};
        struct buf pack;
        struct err err = {.code = ERR_NONE};
        char place[32];
        buf_init(&pack, TEST_BYTES_MAX);
        buf_put_text(&pack, "before");
        int result = json_to_pack(json, JSON_DEPTH_MAX, &pack, &err);
        if (result != -(int)ERR_VALIDATION_ERROR || err.code != ERR_VALIDATION_ERROR) {
            fail_msg("case %zu, %.*s: %d", i, (int)json.len, json.ptr, result);
        }
        (void)snprintf(place, sizeof place, "at byte %zu:", refused[i].at);
        if (!strstr(err.text, place)) {
            fail_msg("case %zu, %.*s: not \"%s\" in \"%s\"", i, (int)json.len, json.ptr, place,
                     err.text);
        }
        assert_string_equal(buf_text(&pack), "before");
        buf_done(&pack);
    }
}

/* The text ends exactly where memory does, so that a byte read too far is seen. */
static int read_at_the_edge(struct slice json, uint32_t depth, struct buf *pack)
{
    char *copy = malloc(json.len ? json.len : 1);
    assert_non_null(copy);
    memcpy(copy, json.ptr, json.len);
    int result = json_to_pack((struct slice){copy, json.len}, depth, pack, NULL);
    free(copy);
    return result;
}

static void every_beginning_of_a_text_is_refused(void **state)
{
    static const char text[] = "{\"name\":\"caf\xc3\xa9 \xe4\xb8\xad\\u00e9\\ud83d\\ude00 and "
                               "then a longer piece of text\","
                               "\"numbers\":[1,-22,3.5e-7,123456789012345678901,0.1],\"deep\":["
                               "[[{\"a key that is longer\""
                               ":true,\"b\":false,\"c\":null}]]],\"\xf0\x9f\x98\x80\":\"\"}";
    struct buf pack;
    (void)state;
    buf_init(&pack, TEST_BYTES_MAX);
    for (size_t len = 0; len < sizeof text - 1; len++) {
        assert_int_equal(read_at_the_edge((struct slice){text, len}, JSON_DEPTH_MAX, &pack),
                         -(int)ERR_VALIDATION_ERROR);
        assert_int_equal(pack.len, 0);
    }
    assert_int_equal(
        read_at_the_edge((struct slice){text, sizeof text - 1}, JSON_DEPTH_MAX, &pack), 0);
    buf_done(&pack);
}

/* A string of each length, with something special at each place. */
static void strings_of_all_lengths(void **state)
{
    static const struct {
        const char *json, *plain;
    } pieces[] = {{"x", "x"},
                  {"\\n", "\n"},
                  {"\xc3\xa9", "\xc3\xa9"},
                  {"\xe4\xb8\xad", "\xe4\xb8\xad"},
                  {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
                  {"\\ud83d\\ude00", "\xf0\x9f\x98\x80"}};
    (void)state;
    for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
        for (size_t len = 0; len < 80; len++) {
            for (size_t place = 0; place <= len; place += len > 40 ? 7 : 1) {
                struct buf json;
                struct buf wanted;
                struct buf pack;
                char filler[80];
                buf_init(&json, 1000);
                buf_init(&wanted, 1000);
                buf_init(&pack, 1000);
                memset(filler, 'a' + (int)(len % 26), sizeof filler);
                buf_put_text(&json, "\"");
                buf_put(&json, filler, place);
                buf_put_text(&json, pieces[p].json);
                buf_put(&json, filler, len - place);
                buf_put_text(&json, "\"");
                struct buf body;
                buf_init(&body, 1000);
                buf_put(&body, filler, place);
                buf_put_text(&body, pieces[p].plain);
                buf_put(&body, filler, len - place);
                pack_put_str(&wanted, buf_slice(&body));
                assert_int_equal(read_at_the_edge(buf_slice(&json), 1, &pack), 0);
                assert_int_equal(pack.len, wanted.len);
                assert_memory_equal(pack.data, wanted.data, wanted.len);
                buf_done(&json);
                buf_done(&wanted);
                buf_done(&pack);
                buf_done(&body);
            }
        }
    }
}

static void long_strings_have_the_right_header(void **state)
{
    static const size_t lengths[] = {255, 256, 257, 300, 65535, 65536, 70000};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (size_t escapes = 0; escapes < 3; escapes++) { /* none, first, last */
            struct buf json;
            struct buf pack;
            struct buf wanted;
            char *body = malloc(lengths[i]);
            assert_non_null(body);
            memset(body, 'y', lengths[i]);
            buf_init(&json, TEST_BYTES_MAX);
            buf_init(&pack, TEST_BYTES_MAX);
            buf_init(&wanted, TEST_BYTES_MAX);
            buf_put_text(&json, escapes == 1 ? "\"\\t" : "\"");
            buf_put(&json, body, lengths[i] - (escapes ? 1 : 0));
            buf_put_text(&json, escapes == 2 ? "\\t\"" : "\"");
            body[escapes == 2 ? lengths[i] - 1 : 0] = escapes ? '\t' : 'y';
            pack_put_str(&wanted, (struct slice){body, lengths[i]});
            assert_int_equal(read_at_the_edge(buf_slice(&json), 1, &pack), 0);
            assert_int_equal(pack.len, wanted.len);
            assert_memory_equal(pack.data, wanted.data, wanted.len);
            buf_done(&json);
            buf_done(&pack);
            buf_done(&wanted);
            free(body);
        }
    }
}

/* ---- many members ----------------------------------------------------------------------- */

static void put_numbered(struct buf *json, bool is_map, uint32_t count, uint32_t twice)
{
    buf_put_text(json, is_map ? "{" : "[");
    for (uint32_t i = 0; i < count; i++) {
        buf_put_text(json, i ? "," : "");
        if (is_map) {
            buf_printf(json, "\"a common beginning %u\":", (unsigned)(i == twice ? 0 : i));
        }
        buf_printf(json, "%u", (unsigned)i % 100);
    }
    buf_put_text(json, is_map ? "}" : "]");
}

static void many_members_are_counted(void **state)
{
    static const uint32_t counts[] = {0, 1, 15, 16, 17, 31, 32, 33, 34, 65535, 65536, 70000};
    (void)state;
    for (size_t i = 0; i < 2 * (sizeof counts / sizeof *counts); i++) {
        bool is_map = i % 2;
        uint32_t count = counts[i / 2];
        struct buf json;
        struct buf pack;
        struct buf head;
        buf_init(&json, TEST_BYTES_MAX);
        buf_init(&pack, TEST_BYTES_MAX);
        buf_init(&head, 16);
        put_numbered(&json, is_map, count, UINT32_MAX);
        assert_int_equal(json_to_pack(buf_slice(&json), 1, &pack, NULL), 0);
        if (is_map) {
            pack_put_map(&head, count);
        } else {
            pack_put_array(&head, count);
        }
        assert_memory_equal(pack.data, head.data, head.len);
        struct pack cursor = pack_over(buf_slice(&pack));
        struct pack_item item;
        assert_true(pack_next(&cursor, &item));
        for (uint32_t k = 0; k < count; k++) {
            struct slice key;
            assert_true(!is_map || pack_next_text(&cursor, &key));
            assert_true(pack_next(&cursor, &item));
            assert_int_equal(item.u, k % 100);
        }
        assert_false(pack_next(&cursor, &item));
        buf_done(&json);
        buf_done(&pack);
        buf_done(&head);
    }
}

static void a_key_twice_is_found_among_many(void **state)
{
    static const uint32_t counts[] = {2, 3, 31, 32, 33, 40, 64, 65, 1000, 5000};
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct buf json;
        struct buf pack;
        buf_init(&json, TEST_BYTES_MAX);
        buf_init(&pack, TEST_BYTES_MAX);
        put_numbered(&json, true, counts[i], counts[i] - 1);
        assert_int_equal(json_to_pack(buf_slice(&json), 1, &pack, NULL),
                         -(int)ERR_VALIDATION_ERROR);
        buf_done(&json);
        buf_done(&pack);
    }
}

/* ---- limits ----------------------------------------------------------------------------- */

static void put_nested(struct buf *json, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++) {
        buf_put_text(json, i % 2 ? "[" : "{\"a\":");
    }
    buf_put_text(json, "1");
    for (unsigned i = depth; i--;) {
        buf_put_text(json, i % 2 ? "]" : "}");
    }
}

static void nesting_is_limited(void **state)
{
    static const struct {
        unsigned nested;
        uint32_t limit;
        bool is_fine;
    } cases[] = {{0, 0, true},     {1, 0, false},     {1, 1, true},       {2, 1, false},
                 {10, 10, true},   {11, 10, false},   {64, 64, true},     {65, 64, false},
                 {64, 1000, true}, {65, 1000, false}, {100000, 64, false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf json;
        struct buf pack;
        struct err err = {.code = ERR_NONE};
        buf_init(&json, TEST_BYTES_MAX);
        buf_init(&pack, TEST_BYTES_MAX);
        put_nested(&json, cases[i].nested);
        int result = json_to_pack(buf_slice(&json), cases[i].limit, &pack, &err);
        assert_int_equal(result, cases[i].is_fine ? 0 : -(int)ERR_OVERLOADED);
        assert_true(cases[i].is_fine || strstr(err.text, "too deep"));
        buf_done(&json);
        buf_done(&pack);
    }
}

/* An empty array or object is a level like any other. */
static void empty_levels_count(void **state)
{
    struct buf pack;
    (void)state;
    buf_init(&pack, 100);
    assert_int_equal(json_to_pack(SLICE("[]"), 0, &pack, NULL), -(int)ERR_OVERLOADED);
    assert_int_equal(json_to_pack(SLICE("[[]]"), 1, &pack, NULL), -(int)ERR_OVERLOADED);
    assert_int_equal(json_to_pack(SLICE("[[]]"), 2, &pack, NULL), 0);
    buf_done(&pack);
}

static void the_ceiling_holds_to_the_byte(void **state)
{
    static const char *const texts[] = {
        "\"0123456789012345678901234567890123456789\"",
        "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]",
        "{\"a\":1.5,\"b\":123456789012345678901234567890,\"c\":[true,false,null]}",
        "\"\\u00e9\\n\\t\\\"escaped, and then some more text\\ud83d\\ude00\"",
        "\"caf\xc3\xa9 \xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad\"",
        "-5",
        "\"x\""};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf whole = pack_of(texts[i]);
        for (size_t max = 0; max <= whole.len + 2; max++) {
            struct buf pack;
            struct err err = {.code = ERR_NONE};
            buf_init(&pack, max + 3);
            buf_put_text(&pack, "abc");
            int result = json_to_pack(slice_of(texts[i]), JSON_DEPTH_MAX, &pack, &err);
            assert_int_equal(result, max < whole.len ? -(int)ERR_OVERLOADED : 0);
            assert_int_equal(pack.len, max < whole.len ? 3 : 3 + whole.len);
            assert_int_equal(pack.max, max + 3);
            assert_true(pack.cap <= pack.max);
            assert_false(pack.overflow);
            buf_done(&pack);
        }
        buf_done(&whole);
    }
}

static void a_buffer_that_has_overflowed_stays_so(void **state)
{
    struct buf pack;
    (void)state;
    buf_init(&pack, 2);
    buf_put_text(&pack, "too long");
    assert_true(pack.overflow);
    assert_int_equal(json_to_pack(SLICE("1"), 1, &pack, NULL), -(int)ERR_OVERLOADED);
    assert_true(pack.overflow);
    assert_int_equal(pack.max, 2);
    buf_done(&pack);
}

static void no_memory_is_an_error_and_leaks_nothing(void **state)
{
    struct buf json;
    (void)state;
    buf_init(&json, TEST_BYTES_MAX);
    buf_put_text(&json, "[");
    put_numbered(&json, true, 300, UINT32_MAX);
    buf_put_text(&json, ",");
    put_numbered(&json, false, 300, 0);
    buf_put_text(&json, ",\"0123456789\\n\"]");
    int result = -1;
    for (unsigned long nth = 1; result != 0; nth++) {
        struct buf pack;
        struct err err = {.code = ERR_NONE};
        buf_init(&pack, TEST_BYTES_MAX);
        mem_fail_at(nth);
        result = json_to_pack(buf_slice(&json), JSON_DEPTH_MAX, &pack, &err);
        mem_fail_at(0);
        assert_true(result == 0 || err.code == ERR_OVERLOADED);
        assert_true(result == 0 || pack.len == 0);
        assert_int_equal(pack.max, TEST_BYTES_MAX);
        assert_true(nth < 100);
        buf_done(&pack);
    }
    buf_done(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_taken),
        cmocka_unit_test(text_is_refused_where_it_is_wrong),
        cmocka_unit_test(every_beginning_of_a_text_is_refused),
        cmocka_unit_test(strings_of_all_lengths),
        cmocka_unit_test(long_strings_have_the_right_header),
        cmocka_unit_test(many_members_are_counted),
        cmocka_unit_test(a_key_twice_is_found_among_many),
        cmocka_unit_test(nesting_is_limited),
        cmocka_unit_test(empty_levels_count),
        cmocka_unit_test(the_ceiling_holds_to_the_byte),
        cmocka_unit_test(a_buffer_that_has_overflowed_stays_so),
        cmocka_unit_test(no_memory_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("json_read", tests, NULL, NULL);
}
