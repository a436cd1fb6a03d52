/* SPDX-License-Identifier: MIT */
/* test_json_write.c - MessagePack to JSON: what comes out, what JSON cannot say, and where. */
#include "value_test.h"

#include <math.h>

static struct buf empty(void)
{
    struct buf buf;
    buf_init(&buf, TEST_BYTES_MAX);
    return buf;
}

static void values_are_written_without_space(void **state)
{
    static const struct {
        const char *pack;
        size_t len;
        const char *json;
    } cases[] = {
        {"\xc0", 1, "null"},
        {"\xc2", 1, "false"},
        {"\xc3", 1, "true"},
        {"\x00", 1, "0"},
        {"\xff", 1, "-1"},
        {"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9, "18446744073709551615"},
        {"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9, "-9223372036854775808"},
        {"\xca\x3f\xc0\x00\x00", 5, "1.5"},
        {"\xcb\x40\x08\x00\x00\x00\x00\x00\x00", 9, "3.0"},
        {"\xcb\x80\x00\x00\x00\x00\x00\x00\x00", 9, "-0.0"},
        {"\xa0", 1, "\"\""},
        {"\xa4text", 5, "\"text\""},
        {"\xa6\x22\\/\n\t\x01", 7, "\"\\\"\\\\/\\n\\t\\u0001\""},
        {"\xa5\x00\x08\x0c\r\x1f", 6, "\"\\u0000\\b\\f\\r\\u001f\""},
        {"\xa1\x7f", 2, "\"\x7f\""},
        {"\xa9\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80", 10,
         "\"\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80\""},
        {"\xc4\x00", 2, "\"\""},
        {"\xc4\x01\xff", 3, "\"/w==\""},
        {"\xc4\x05hello", 7, "\"aGVsbG8=\""},
        {"\xd4\x01\x37", 3, "7"},
        {"\xc7\x05\x01\x31\x65\x34\x30\x30", 8, "1e400"},
        {"\x90", 1, "[]"},
        {"\x80", 1, "{}"},
        {"\x93\x01\x90\x92\xc0\x80", 6, "[1,[],[null,{}]]"},
        {"\x82\xa1"
         "b\x01\xa1"
         "a\x81\xa0\x90",
         9, "{\"b\":1,\"a\":{\"\":[]}}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf json = empty();
        struct err err = {.code = ERR_NONE};
        if (json_from_pack((struct slice){cases[i].pack, cases[i].len}, "value", &json, &err) !=
            0) {
            fail_msg("case %zu: %s", i, err.text);
        }
        assert_string_equal(buf_text(&json), cases[i].json);
        buf_done(&json);
    }
}

/* A special character at each place of strings of each length. */
static void strings_of_all_lengths(void **state)
{
    static const struct {
        const char *plain, *json;
    } pieces[] = {{"x", "x"}, {"\"", "\\\""}, {"\x02", "\\u0002"}, {"\xc3\xa9", "\xc3\xa9"}};
    (void)state;
    for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
        for (size_t len = 0; len < 70; len++) {
            for (size_t place = 0; place <= len; place++) {
                struct buf text = empty();
                struct buf wanted = empty();
                struct buf json = empty();
                char filler[70];
                memset(filler, 'z', sizeof filler);
                buf_put_text(&wanted, "\"");
                buf_put(&wanted, filler, place);
                buf_put_text(&wanted, pieces[p].json);
                buf_put(&wanted, filler, len - place);
                buf_put_text(&wanted, "\"");
                buf_put(&text, filler, place);
                buf_put_text(&text, pieces[p].plain);
                buf_put(&text, filler, len - place);
                /* Of its own size, so that a byte too far is seen. */
                char *copy = malloc(text.len);
                assert_non_null(copy);
                memcpy(copy, text.data, text.len);
                json_put_str(&json, (struct slice){copy, text.len});
                assert_string_equal(buf_text(&json), buf_text(&wanted));
                free(copy);
                buf_done(&text);
                buf_done(&wanted);
                buf_done(&json);
            }
        }
    }
}

static void text_that_is_not_utf8_is_mended_where_nobody_can_refuse(void **state)
{
    struct buf json = empty();
    (void)state;
    json_put_str(&json, SLICE("a\xff"
                              "b\xc3"));
    assert_string_equal(buf_text(&json), "\"a\xef\xbf\xbd"
                                         "b\xef\xbf\xbd\"");
    buf_done(&json);
}

static void what_json_cannot_say_is_an_error_with_its_place(void **state)
{
    static const struct {
        const char *pack;
        size_t len;
        const char *place;
    } cases[] = {
        {"\xa1\xff", 2, "arguments is not UTF-8"},
        {"\x92\x01\xa1\x80", 4, "arguments[1] is not UTF-8"},
        {"\x81\xa5items\x93\x01\x02\x81\xa5"
         "email\xa1\xfe",
         19, "arguments.items[2].email is not UTF-8"},
        {"\x81\x01\x02", 3, "arguments.(key) is not text"},
        {"\x81\xa1"
         "a\x81\xc0\xc0",
         6, "arguments.a.(key) is not text"},
        {"\x81\xa1\xff\x01", 4, "arguments.(key) is not UTF-8"},
        {"\x82\xa1"
         "a\x01\xa1"
         "a\x02",
         7, "arguments.a stands twice"},
        {"\x91\x82\xa1"
         "a\x01\xa1"
         "a\x02",
         8, "arguments[0].a stands twice"},
        {"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", 9, "arguments is not a number (NaN)"},
        {"\x91\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", 10, "arguments[0] is infinite"},
        {"\xca\xff\x80\x00\x00", 5, "arguments is infinite"},
        {"\xd6\xff\x00\x00\x00\x00", 6, "arguments is of a MessagePack extension type"},
        {"\xd4\x02\x31", 3, "arguments is of a MessagePack extension type"},
        {"\xd4\x01\x78", 3, "arguments should be a number"},
        {"\xc7\x00\x01", 3, "arguments should be a number"},
        {"\xd5\x01\x30\x31", 4, "arguments should be a number"},
        {"\xd5\x01\x31\x2e", 4, "arguments should be a number"},
        {"\xd5\x01\x31\x20", 4, "arguments should be a number"},
        {"", 0, "arguments is not MessagePack"},
        {"\x92\x01", 2, "arguments[1] is not MessagePack"},
        {"\x91\xc1", 2, "arguments[0] is not MessagePack"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf json = empty();
        struct err err = {.code = ERR_NONE};
        buf_put_text(&json, "before");
        struct slice pack = {cases[i].pack, cases[i].len};
        assert_int_equal(json_from_pack(pack, "arguments", &json, &err),
                         -(int)ERR_VALIDATION_ERROR);
        assert_int_equal(err.code, ERR_VALIDATION_ERROR);
        if (strncmp(err.text, cases[i].place, strlen(cases[i].place)) != 0) {
            fail_msg("case %zu: %s", i, err.text);
        }
        assert_string_equal(buf_text(&json), "before");
        assert_int_equal(json_from_pack(pack, "arguments", &json, NULL),
                         -(int)ERR_VALIDATION_ERROR);
        buf_done(&json);
    }
}

static void a_key_twice_is_found_among_many(void **state)
{
    static const uint32_t counts[] = {2, 31, 32, 33, 64, 65, 3000};
    (void)state;
    for (size_t i = 0; i < 2 * (sizeof counts / sizeof *counts); i++) {
        uint32_t count = counts[i / 2];
        struct buf pack = empty();
        struct buf json = empty();
        struct err err = {.code = ERR_NONE};
        pack_put_map(&pack, count);
        for (uint32_t k = 0; k < count; k++) {
            char key[32];
            (void)snprintf(key, sizeof key, "key %u",
                           (unsigned)(i % 2 && k == count - 1 ? 0 : k));
            pack_put_text(&pack, key);
            pack_put_nil(&pack);
        }
        int result = json_from_pack(buf_slice(&pack), "m", &json, &err);
        assert_int_equal(result, i % 2 ? -(int)ERR_VALIDATION_ERROR : 0);
        assert_true(!(i % 2) || strstr(err.text, "m.key 0 stands twice"));
        buf_done(&pack);
        buf_done(&json);
    }
}

static void long_places_are_cut(void **state)
{
    struct buf pack = empty();
    struct buf json = empty();
    struct err err = {.code = ERR_NONE};
    (void)state;
    for (int i = 0; i < 40; i++) {
        pack_put_map(&pack, 1);
        pack_put_text(
            &pack, "a key of some length, as keys go, \xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
                   "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9");
    }
    pack_put_float(&pack, NAN);
    assert_int_equal(json_from_pack(buf_slice(&pack), "arguments", &json, &err),
                     -(int)ERR_VALIDATION_ERROR);
    assert_non_null(strstr(err.text, "arguments.a key of some length"));
    assert_non_null(strstr(err.text, "NaN"));
    buf_done(&pack);
    buf_done(&json);
}

static void the_ceiling_holds_to_the_byte(void **state)
{
    struct buf pack =
        pack_of("{\"a\":[1,2.5,null,true],\"text\":\"caf\xc3\xa9\\n\\u0001\",\"e\":{}}");
    struct buf whole = empty();
    (void)state;
    assert_int_equal(json_from_pack(buf_slice(&pack), "v", &whole, NULL), 0);
    for (size_t max = 0; max <= whole.len + 1; max++) {
        struct buf json;
        struct err err = {.code = ERR_NONE};
        buf_init(&json, max + 2);
        buf_put_text(&json, "ab");
        int result = json_from_pack(buf_slice(&pack), "v", &json, &err);
        assert_int_equal(result, max < whole.len ? -(int)ERR_OVERLOADED : 0);
        assert_int_equal(json.len, max < whole.len ? 2 : 2 + whole.len);
        assert_false(json.overflow);
        buf_done(&json);
    }
    buf_done(&pack);
    buf_done(&whole);
}

static void no_memory_is_an_error_and_leaks_nothing(void **state)
{
    struct buf pack = empty();
    (void)state;
    pack_put_map(&pack, 200);
    for (uint32_t k = 0; k < 200; k++) {
        char key[16];
        (void)snprintf(key, sizeof key, "key %u", (unsigned)k);
        pack_put_key_text(&pack, key, "value");
    }
    int result = -1;
    for (unsigned long nth = 1; result != 0; nth++) {
        struct buf json = empty();
        struct err err = {.code = ERR_NONE};
        mem_fail_at(nth);
        result = json_from_pack(buf_slice(&pack), "v", &json, &err);
        mem_fail_at(0);
        assert_true(result == 0 || err.code == ERR_OVERLOADED);
        assert_true(result == 0 || json.len == 0);
        assert_true(nth < 100);
        buf_done(&json);
    }
    buf_done(&pack);
}

static void nesting_up_to_the_limit_is_written(void **state)
{
    struct buf pack = empty();
    struct buf json = empty();
    (void)state;
    for (unsigned i = 0; i < PACK_DEPTH_MAX; i++) {
        pack_put_array(&pack, 1);
    }
    size_t len = pack.len;
    pack_put_nil(&pack);
    assert_int_equal(json_from_pack(buf_slice(&pack), "v", &json, NULL), 0);
    pack.len = len;
    pack_put_array(&pack, 0); /* one more: pack_scan would not have let it through */
    assert_int_equal(json_from_pack(buf_slice(&pack), "v", &json, NULL),
                     -(int)ERR_VALIDATION_ERROR);
    buf_done(&pack);
    buf_done(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_written_without_space),
        cmocka_unit_test(strings_of_all_lengths),
        cmocka_unit_test(text_that_is_not_utf8_is_mended_where_nobody_can_refuse),
        cmocka_unit_test(what_json_cannot_say_is_an_error_with_its_place),
        cmocka_unit_test(a_key_twice_is_found_among_many),
        cmocka_unit_test(long_places_are_cut),
        cmocka_unit_test(the_ceiling_holds_to_the_byte),
        cmocka_unit_test(no_memory_is_an_error_and_leaks_nothing),
        cmocka_unit_test(nesting_up_to_the_limit_is_written),
    };
    return cmocka_run_group_tests_name("json_write", tests, NULL, NULL);
}
