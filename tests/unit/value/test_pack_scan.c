/* SPDX-License-Identifier: MIT */
/* test_pack_scan.c - the measurement of bytes from outside: limits, pieces, claims. */
#include "value_test.h"

static const struct pack_limits wide = {1 << 20, 64, 100000};

static enum pack_scan_result scan_all(struct slice bytes, const struct pack_limits *limits,
                                      size_t *ret_len)
{
    struct pack_scan scan;
    PACK_SCAN_START(&scan);
    enum pack_scan_result result = pack_scan(&scan, bytes, limits);
    *ret_len = scan.at;
    return result;
}

static void a_value_is_measured_exactly(void **state)
{
    static const char *const texts[] = {"null",
                                        "[]",
                                        "{}",
                                        "\"text\"",
                                        "[1,2,[3,[4]],{}]",
                                        "{\"a\":{\"b\":[null,true,1.5]}}",
                                        "123456789012345678901",
                                        "[[[[[[[[[[]]]]]]]]]]"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf pack = pack_of(texts[i]);
        size_t whole = pack.len;
        size_t len;
        buf_put_text(&pack, "\xc1 what follows is not looked at");
        assert_int_equal(scan_all(buf_slice(&pack), &wide, &len), PACK_SCAN_DONE);
        assert_int_equal(len, whole);
        buf_done(&pack);
    }
}

static void pieces_of_any_size_give_the_same(void **state)
{
    struct buf pack =
        pack_of("{\"a\":[1,\"a string of more than thirty-two bytes, so that it has "
                "a header\",[],{}],\"b\":1.5,\"c\":{\"d\":[[null]]}}");
    (void)state;
    for (size_t piece = 1; piece <= pack.len; piece++) {
        struct pack_scan scan;
        PACK_SCAN_START(&scan);
        for (size_t len = 0; len < pack.len; len += piece) {
            /* The piece ends where memory does. */
            char *copy = malloc(len ? len : 1);
            assert_non_null(copy);
            memcpy(copy, pack.data, len);
            size_t before = scan.at;
            assert_int_equal(pack_scan(&scan, (struct slice){copy, len}, &wide),
                             PACK_SCAN_MORE);
            assert_true(scan.at >= before);
            free(copy);
        }
        assert_int_equal(pack_scan(&scan, buf_slice(&pack), &wide), PACK_SCAN_DONE);
        assert_int_equal(scan.at, pack.len);
        assert_int_equal(pack_scan(&scan, buf_slice(&pack), &wide), PACK_SCAN_DONE);
    }
    buf_done(&pack);
}

static void the_limits_hold_exactly(void **state)
{
    struct buf pack =
        pack_of("{\"a\":[1,2,{\"b\":[]}],\"c\":\"text\"}"); /* depth 4, items 10 */
    size_t len;
    struct pack_limits limits = {pack.len, 4, 10};
    (void)state;
    /* map, "a", array, 1, 2, map, "b", array, "c", "text" */
    assert_int_equal(scan_all(buf_slice(&pack), &limits, &len), PACK_SCAN_DONE);
    limits.items = 9;
    assert_int_equal(scan_all(buf_slice(&pack), &limits, &len), PACK_SCAN_TOO_MANY);
    limits = (struct pack_limits){pack.len, 3, 10};
    assert_int_equal(scan_all(buf_slice(&pack), &limits, &len), PACK_SCAN_TOO_DEEP);
    limits = (struct pack_limits){pack.len - 1, 4, 10};
    assert_int_equal(scan_all(buf_slice(&pack), &limits, &len), PACK_SCAN_TOO_LONG);
    limits = (struct pack_limits){100, 64, 0};
    assert_int_equal(scan_all(buf_slice(&pack), &limits, &len), PACK_SCAN_TOO_MANY);
    limits = (struct pack_limits){0, 64, 10};
    assert_int_equal(scan_all(SLICE("\xc0"), &limits, &len), PACK_SCAN_TOO_LONG);
    limits = (struct pack_limits){100, 0, 10};
    assert_int_equal(scan_all(SLICE("\x90"), &limits, &len), PACK_SCAN_TOO_DEEP);
    assert_int_equal(scan_all(SLICE("\xc0"), &limits, &len), PACK_SCAN_DONE);
    buf_done(&pack);
}

static void depth_is_limited_whatever_the_limits_say(void **state)
{
    char bytes[PACK_DEPTH_MAX + 2];
    struct pack_limits limits = {1000, UINT32_MAX, 1000};
    size_t len;
    (void)state;
    memset(bytes, 0x91, sizeof bytes);
    bytes[PACK_DEPTH_MAX] = (char)0xc0;
    assert_int_equal(scan_all((struct slice){bytes, PACK_DEPTH_MAX + 1}, &limits, &len),
                     PACK_SCAN_DONE);
    bytes[PACK_DEPTH_MAX] = (char)0x91;
    assert_int_equal(scan_all((struct slice){bytes, PACK_DEPTH_MAX + 1}, &limits, &len),
                     PACK_SCAN_TOO_DEEP);
}

/* A header alone is enough to refuse what it claims. */
static void claims_fail_at_once(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        enum pack_scan_result result;
    } cases[] = {
        {"\xdd\xff\xff\xff\xff", 5, PACK_SCAN_TOO_MANY},     /* array of 4 billion */
        {"\xdf\xff\xff\xff\xff", 5, PACK_SCAN_TOO_MANY},     /* map of 4 billion pairs */
        {"\xdd\x00\x01\x86\xa0", 5, PACK_SCAN_TOO_MANY},     /* 100000, and the array itself */
        {"\xdf\x80\x00\x00\x00", 5, PACK_SCAN_TOO_MANY},     /* twice 2^31 */
        {"\xdb\xff\xff\xff\xff", 5, PACK_SCAN_TOO_LONG},     /* string */
        {"\xc6\xff\xff\xff\xff", 5, PACK_SCAN_TOO_LONG},     /* bin */
        {"\xc9\xff\xff\xff\xff", 5, PACK_SCAN_TOO_LONG},     /* ext */
        {"\xdb\x00\x10\x00\x00", 5, PACK_SCAN_TOO_LONG},     /* the limit, and a header */
        {"\x92\xdb\x00\x0f\xff\xfa", 6, PACK_SCAN_TOO_LONG}, /* and a sibling of one byte */
        {"\xc1", 1, PACK_SCAN_MALFORMED},
        {"\x92\x01\xc1", 3, PACK_SCAN_MALFORMED},
        {"\x81\xa1k\xc1", 4, PACK_SCAN_MALFORMED},
    };
    size_t len;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(scan_all((struct slice){cases[i].bytes, cases[i].len}, &wide, &len),
                         cases[i].result);
    }
    /* Ten missing values need ten bytes. */
    struct pack_limits limits = {10, 64, 1000};
    assert_int_equal(scan_all(SLICE("\x9a"), &limits, &len), PACK_SCAN_TOO_LONG);
    assert_int_equal(scan_all(SLICE("\x99"), &limits, &len), PACK_SCAN_MORE);
    assert_int_equal(scan_all(SLICE("\x99\x94"), &limits, &len), PACK_SCAN_TOO_LONG);
}

static void nothing_yet_is_a_correct_beginning(void **state)
{
    size_t len;
    (void)state;
    assert_int_equal(scan_all((struct slice){NULL, 0}, &wide, &len), PACK_SCAN_MORE);
    assert_int_equal(len, 0);
    assert_int_equal(scan_all(SLICE("\xdb\x00\x00"), &wide, &len), PACK_SCAN_MORE);
    assert_int_equal(len, 0);
}

/* What the scan takes, the cursor can walk. */
static void what_is_scanned_can_be_skipped(void **state)
{
    struct random random = {3};
    unsigned done = 0;
    (void)state;
    for (int i = 0; i < 200000; i++) {
        char bytes[24];
        size_t len = 1 + random_below(&random, sizeof bytes);
        for (size_t k = 0; k < len; k++) {
            /* Mostly small containers and scalars, so that some are whole. */
            uint32_t kind = random_below(&random, 4);
            bytes[k] = (char)(kind == 0   ? 0x80 + random_below(&random, 0x24)
                              : kind == 1 ? 0xc0 + random_below(&random, 0x20)
                                          : random_below(&random, 0x100));
        }
        struct slice slice = {bytes, len};
        size_t measured;
        struct pack cursor = pack_over(slice);
        bool is_done = scan_all(slice, &wide, &measured) == PACK_SCAN_DONE;
        struct slice taken;
        bool is_taken = pack_take(&cursor, &taken);
        assert_int_equal(is_done, is_taken); /* no limit is within reach of 24 bytes */
        assert_true(!is_done || taken.len == measured);
        done += is_done;
    }
    assert_true(done > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_measured_exactly),
        cmocka_unit_test(pieces_of_any_size_give_the_same),
        cmocka_unit_test(the_limits_hold_exactly),
        cmocka_unit_test(depth_is_limited_whatever_the_limits_say),
        cmocka_unit_test(claims_fail_at_once),
        cmocka_unit_test(nothing_yet_is_a_correct_beginning),
        cmocka_unit_test(what_is_scanned_can_be_skipped),
    };
    return cmocka_run_group_tests_name("pack_scan", tests, NULL, NULL);
}
