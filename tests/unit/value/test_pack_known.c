/* SPDX-License-Identifier: MIT */
/* test_pack_known.c - what is known of a long value changes nothing but the time to pass over it. */
#include "value_test.h"

#include "value/pack_known.h"

#define LONG 100000u /* bytes, from which on a value gets no deeper */

static uint32_t seed;

static uint32_t chance(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static void put_scalar(struct buf *out)
{
    static const char text[100] = "some text";
    switch (chance(4)) {
    case 0:
        pack_put_int(out, (int64_t)chance(100000) - 50000);
        break;
    case 1:
        pack_put_str(out, (struct slice){text, chance(sizeof text)});
        break;
    case 2:
        pack_put_float(out, 1.5);
        break;
    default:
        pack_put_nil(out);
        break;
    }
}

static void put_value(struct buf *out, uint32_t depth)
{
    uint32_t count = chance(depth > 6 ? 60 : 12);
    if (!depth || out->len > LONG || chance(3) == 0) {
        put_scalar(out);
    } else if (chance(2)) {
        pack_put_array(out, count);
        while (count--) {
            put_value(out, depth - 1);
        }
    } else {
        pack_put_map(out, count);
        while (count--) {
            put_scalar(out);
            put_value(out, depth - 1);
        }
    }
}

/* Each value inside, in the order of their bytes, passed over with and without what is known. */
static void compare(struct slice value, const struct pack_known *known)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    do {
        struct pack plain = cursor;
        struct pack jumping = cursor;
        pack_know(NULL);
        bool is_there = pack_skip(&plain);
        pack_know(known);
        assert_int_equal(pack_skip(&jumping), is_there);
        assert_ptr_equal(jumping.at, plain.at);
    } while (pack_next(&cursor, &item));
    pack_know(NULL);
}

static void jumps_to_where_skipping_leads(void **state)
{
    (void)state;
    struct buf out;
    struct pack_known known;
    unsigned noted = 0;
    buf_init(&out, (size_t)1 << 24);
    for (seed = 1; seed < 300; seed++) {
        uint32_t first = seed;
        buf_clear(&out);
        put_value(&out, 8);
        pack_note_long(buf_slice(&out), &known);
        assert_in_range(known.count, 0, PACK_KNOWN_MAX);
        noted += known.count;
        for (unsigned i = 0; i < known.count; i++) {
            struct pack one = pack_over(known.list[i]);
            assert_true(known.list[i].len * PACK_KNOWN_SHARE > out.len);
            assert_true(pack_skip(&one) && one.at == one.end);
        }
        compare(buf_slice(&out), &known);
        seed = first;
    }
    assert_true(noted > 300);
    buf_done(&out);
}

/* A cursor that ends before a container does must not be led behind its end. */
static void a_cut_value_ends_the_cursor(void **state)
{
    (void)state;
    struct buf out;
    struct pack_known known;
    buf_init(&out, 1000);
    pack_put_array(&out, 2);
    pack_put_array(&out, 3);
    pack_put_text(&out, "a");
    pack_put_text(&out, "b");
    pack_put_text(&out, "c");
    pack_put_int(&out, 1);
    pack_note_long(buf_slice(&out), &known);
    assert_int_equal(known.count, 2);
    for (size_t len = 1; len < out.len; len++) {
        struct pack cursor = pack_over((struct slice){out.data, len});
        pack_know(&known);
        assert_false(pack_skip(&cursor));
        assert_ptr_equal(cursor.at, cursor.end);
        pack_know(NULL);
    }
    buf_done(&out);
}

static void members_are_found_behind_millions(void **state)
{
    (void)state;
    struct buf out;
    struct pack_known known;
    bool is_error = false;
    buf_init(&out, (size_t)1 << 24);
    pack_put_map(&out, 2);
    pack_put_text(&out, "rows");
    pack_put_array(&out, 2000000);
    for (uint32_t i = 0; i < 2000000; i++) {
        pack_put_uint(&out, i % 100);
    }
    pack_put_key_bool(&out, "isError", true);
    pack_note_long(buf_slice(&out), &known);
    pack_know(&known);
    for (unsigned i = 0; i < 100000; i++) { /* minutes, if each passed over them all */
        assert_true(pack_get_bool(buf_slice(&out), "isError", &is_error) && is_error);
        assert_false(pack_get_bool(buf_slice(&out), "absent", &is_error));
    }
    pack_know(NULL);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jumps_to_where_skipping_leads),
        cmocka_unit_test(a_cut_value_ends_the_cursor),
        cmocka_unit_test(members_are_found_behind_millions),
    };
    return cmocka_run_group_tests_name("pack_known", tests, NULL, NULL);
}
