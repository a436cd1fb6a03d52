/* SPDX-License-Identifier: MIT */
/* test_buf.c - growable bytes: ceilings to the byte, sticky overflow, no memory. */
#include "base/buf.h"
#include "base/mem.h"
#include "base_test.h"

static void appends_add_up(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 1000);
    assert_string_equal(buf_text(&buf), "");
    buf_put(&buf, "abc", 3);
    buf_put(&buf, NULL, 0);
    buf_put_byte(&buf, 'd');
    buf_put_text(&buf, "ef");
    buf_put_slice(&buf, SLICE("gh"));
    buf_printf(&buf, "%d-%s", 42, "x");
    assert_string_equal(buf_text(&buf), "abcdefgh42-x");
    assert_true(slice_is(buf_slice(&buf), "abcdefgh42-x"));
    buf_consume(&buf, 3);
    assert_string_equal(buf_text(&buf), "defgh42-x");
    buf_consume(&buf, 0);
    assert_int_equal(buf.len, 9);
    buf_consume(&buf, 100);
    assert_int_equal(buf.len, 0);
    buf_done(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.max, 1000);
}

static void the_ceiling_holds_to_the_byte(void **state)
{
    (void)state;
    for (size_t max = 0; max < 300; max++) {
        struct buf buf;
        buf_init(&buf, max);
        for (size_t i = 0; i < max; i++) {
            buf_put_byte(&buf, 'x');
            assert_false(buf.overflow);
        }
        assert_int_equal(buf.len, max);
        assert_true(buf.cap <= max);
        buf_put_byte(&buf, 'y');
        assert_true(buf.overflow);
        assert_int_equal(buf.len, max);
        buf_done(&buf);
    }
}

static void overflow_sticks_until_it_is_cleared(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 100);
    buf_put_text(&buf, "kept");
    char large[200] = {0};
    buf_put(&buf, large, sizeof large);
    assert_true(buf.overflow);
    assert_int_equal(buf.len, 4);
    assert_false(buf_reserve_slow(&buf, 1));
    buf_clear(&buf);
    assert_false(buf.overflow);
    buf_put_text(&buf, "again");
    assert_string_equal(buf_text(&buf), "again");
    buf_done(&buf);
}

static void printf_needs_its_terminator_within_the_ceiling(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 6);
    buf_printf(&buf, "%s", "12345");
    assert_false(buf.overflow);
    assert_int_equal(buf.len, 5);
    buf_printf(&buf, "%s", "6789");
    assert_true(buf.overflow);
    assert_int_equal(buf.len, 5);
    assert_string_equal(buf_text(&buf), "12345");
    buf_done(&buf);
    buf_init(&buf, 100000);
    for (int i = 0; i < 1000; i++) {
        buf_printf(&buf, "%s", "0123456789");
    }
    assert_int_equal(buf.len, 10000);
    assert_memory_equal(buf.data + 9990, "0123456789", 10);
    buf_done(&buf);
}

static void text_of_a_full_buffer_is_empty_rather_than_unterminated(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 3);
    buf_put_text(&buf, "abc");
    assert_string_equal(buf_text(&buf), "");
    assert_int_equal(buf.len, 3);
    buf_done(&buf);
}

static void trimming_frees_what_is_large(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 10000);
    buf_put_text(&buf, "small");
    char *data = buf.data;
    buf_trim(&buf, 1000);
    assert_ptr_equal(buf.data, data);
    assert_int_equal(buf.len, 0);
    assert_true(buf_reserve(&buf, 5000));
    buf_trim(&buf, 1000);
    assert_null(buf.data);
    assert_int_equal(buf.cap, 0);
    buf_done(&buf);
}

static void no_memory_is_overflow(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, SIZE_MAX);
    buf_put_text(&buf, "kept");
    mem_fail_at(1);
    assert_false(buf_reserve(&buf, 100000));
    mem_fail_at(0);
    assert_true(buf.overflow);
    assert_memory_equal(buf.data, "kept", 4);
    buf_done(&buf);
    buf_init(&buf, SIZE_MAX - 1);
    assert_false(buf_reserve(&buf, SIZE_MAX));
    assert_true(buf.overflow);
    buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_add_up),
        cmocka_unit_test(the_ceiling_holds_to_the_byte),
        cmocka_unit_test(overflow_sticks_until_it_is_cleared),
        cmocka_unit_test(printf_needs_its_terminator_within_the_ceiling),
        cmocka_unit_test(text_of_a_full_buffer_is_empty_rather_than_unterminated),
        cmocka_unit_test(trimming_frees_what_is_large),
        cmocka_unit_test(no_memory_is_overflow),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
