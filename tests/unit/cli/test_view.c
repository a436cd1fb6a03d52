/* SPDX-License-Identifier: MIT */
/* test_view.c - durations, sizes, trees and indented JSON. */
#include "cli/command.h"
#include "cli/view.h"
#include "value/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct buf packed, out;

static struct slice from_json(const char *json)
{
    struct err err;
    buf_clear(&packed);
    buf_clear(&out);
    assert_int_equal(json_to_pack(slice_of(json), JSON_DEPTH_MAX, &packed, &err), 0);
    return buf_slice(&packed);
}

static void expect_out(const char *expected)
{
    assert_string_equal(buf_text(&out), expected);
    buf_clear(&out);
}

static void test_durations(void **state)
{
    (void)state;
    put_duration(&out, -1);
    expect_out("");
    put_duration(&out, 999);
    expect_out("999 ms");
    put_duration(&out, 59999);
    expect_out("59 s");
    put_duration(&out, 200000);
    expect_out("3 min 20 s");
    put_duration(&out, 600000);
    expect_out("10 min");
    put_duration(&out, 5400000);
    expect_out("1 h 30 min");
    put_duration(&out, 3600999);
    expect_out("1 h");
    put_duration(&out, 86399999);
    expect_out("23 h 59 min");
    put_duration(&out, 3 * 86400000LL + 4 * 3600000LL);
    expect_out("3 d 4 h");
}

static void test_sizes(void **state)
{
    (void)state;
    put_size(&out, 1023);
    expect_out("1023 bytes");
    put_size(&out, 1536);
    expect_out("1.5 KiB");
    put_size(&out, 12582912);
    expect_out("12.0 MiB");
}

static void test_counts(void **state)
{
    (void)state;
    put_count(&out, 0, "call");
    expect_out("0 calls");
    put_count(&out, 1, "call");
    expect_out("1 call");
}

static void test_duration_parse(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"500ms", 500},         {"10s", 10000},   {"10", 10000},
                {"1.5s", 1500},         {"2m", 120000},   {"1h", 3600000},
                {"24h", 86400000},      {"1d", 86400000}, {"90s", 90000},
                {"1h30m", 5400000},     {"1m30s", 90000}, {"1.5h", 5400000},
                {"2h0m1s5ms", 7201005}, {"1.001", 1001},  {"000000000000001s", 1000}};
    static const char *const bad[] = {"",
                                      "s",
                                      "-1",
                                      "0",
                                      "0.5ms",
                                      "25h",
                                      "1e99",
                                      "1e3",
                                      "10 s",
                                      "inf",
                                      "nan",
                                      "2d",
                                      "+1",
                                      " 1",
                                      "1w",
                                      "0x10",
                                      "1h30",
                                      "30m1h",
                                      "1h1h",
                                      "1.5h1m",
                                      "1h1.5m",
                                      "1.s",
                                      ".5s",
                                      "1.2345s",
                                      "1H",
                                      "1hm",
                                      "1d1ms",
                                      "1s1m",
                                      "24h1ms",
                                      "9999999999999999s",
                                      "999999999999999d"};
    int64_t ms;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(duration_parse(good[i].text, DURATION_DAY, &ms));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(duration_parse(bad[i], DURATION_DAY, &ms));
    }
    assert_true(duration_parse("30d", 30 * DURATION_DAY, &ms));
    assert_int_equal(ms, 30 * DURATION_DAY);
    assert_false(duration_parse("30d1ms", 30 * DURATION_DAY, &ms));
}

static void test_age(void **state)
{
    (void)state;
    struct slice map = from_json("{\"a\":\"2001-09-09T01:46:40.000Z\",\"b\":1000000000000,"
                                 "\"c\":\"soon\",\"d\":99999999999999,\"e\":null}");
    int64_t age = view_age(map, "a");
    assert_true(age > INT64_C(700000000000));
    assert_in_range(view_age(map, "b") - age, 0, 60000);
    assert_int_equal(view_age(map, "c"), -1);
    assert_int_equal(view_age(map, "d"), 0); /* to come: a clock that was set back */
    assert_int_equal(view_age(map, "e"), -1);
    assert_int_equal(view_age(map, "f"), -1);
    map = from_json("{\"a\":\"2001-09-09T01:46:40.750Z\",\"b\":1000000000000}");
    int64_t whole =
        view_age(map, "b"); /* milliseconds count: what has just begun is that old */
    assert_in_range(whole - view_age(map, "a"), 700, 750);
    assert_int_equal(view_left(map, "a"), 0);
    assert_int_equal(view_left(map, "c"), -1);
    map = from_json("{\"a\":99999999999999}");
    assert_true(view_left(map, "a") > INT64_C(70000000000000));
}

static void test_map_without(void **state)
{
    static const char *const keys[] = {"a", "c", NULL};
    struct buf rest;
    (void)state;
    struct slice map = from_json("{\"a\":1,\"b\":{\"a\":2},\"c\":[3],\"d\":4}");
    buf_init(&rest, 65536);
    put_map_without(&rest, map, keys);
    put_tree(&out, buf_slice(&rest), 0);
    expect_out("b:\n  a: 2\nd: 4\n");
    buf_clear(&rest);
    put_map_without(&rest, SLICE("\x07"), keys);
    put_tree(&out, buf_slice(&rest), 0);
    expect_out("");
    buf_done(&rest);
}

static void test_tree(void **state)
{
    (void)state;
    put_tree(&out,
             from_json("{\"a\":1,\"b\":{\"c\":[\"x\",\"y\"],\"d\":null},\"e\":[{\"f\":true},2],"
                       "\"g\":[],\"h\":\"two\\nlines\\u001b\"}"),
             0);
    expect_out("a: 1\nb:\n  c: x, y\n  d: -\ne:\n  - f: true\n  - 2\ng: []\nh: two lines?\n");
    put_tree(&out, from_json("\"alone\""), 1);
    expect_out("  alone\n");
}

static void test_indented_json(void **state)
{
    struct err err;
    (void)state;
    assert_int_equal(
        put_json(&out, from_json("{\"a\":[1,{}],\"b\":{\"c\":\"\\\"\"}}"), true, &err), 0);
    expect_out("{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {\n    \"c\": \"\\\"\"\n  }\n}");
    assert_int_equal(put_json(&out, from_json("[]"), true, &err), 0);
    expect_out("[]");
}

static void test_lists(void **state)
{
    struct slice value;
    (void)state;
    struct slice map = from_json("{\"l\":[\"a\",2,\"c\"],\"n\":5,\"t\":\"x\",\"b\":true}");
    put_joined(&out, view_get(map, "l"));
    expect_out("a, , c");
    assert_int_equal(view_count(view_get(map, "l")), 3);
    assert_int_equal(view_count(view_get(map, "n")), 0);
    assert_int_equal(view_int(map, "n", -1), 5);
    assert_int_equal(view_int(map, "t", -1), -1);
    assert_true(view_is_true(map, "b"));
    assert_false(view_is_true(map, "missing"));
    struct view_list nothing = view_list((struct slice){NULL, 0});
    assert_false(view_next(&nothing, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_counts),    cmocka_unit_test(test_duration_parse),
        cmocka_unit_test(test_age),       cmocka_unit_test(test_map_without),
        cmocka_unit_test(test_tree),      cmocka_unit_test(test_indented_json),
        cmocka_unit_test(test_lists)};
    buf_init(&packed, 65536);
    buf_init(&out, 65536);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_done(&packed);
    buf_done(&out);
    return failed;
}
