/* SPDX-License-Identifier: MIT */
/* test_pack.c - the cursor and the writers, with msgpack-c as oracle for every width. */
#include "value_test.h"

#include <math.h>
#include <msgpack.h>

/* ---- written by us, read by msgpack-c, and the other way round --------------------------- */

static const int64_t integers[] = {
    0,         1,          31,         32,          127,       128,    129,
    255,       256,        257,        32767,       32768,     65535,  65536,
    INT32_MAX, 2147483648, UINT32_MAX, 4294967296,  INT64_MAX, -1,     -31,
    -32,       -33,        -127,       -128,        -129,      -32767, -32768,
    -32769,    -65536,     INT32_MIN,  -2147483649, INT64_MIN};

static msgpack_object unpack(msgpack_unpacked *unpacked, const struct buf *buf)
{
    msgpack_unpacked_init(unpacked);
    size_t at = 0;
    assert_int_equal(msgpack_unpack_next(unpacked, buf->data, buf->len, &at),
                     MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(at, buf->len);
    return unpacked->data;
}

static struct pack_item item_of(struct slice bytes)
{
    struct pack cursor = pack_over(bytes);
    struct pack_item item;
    assert_int_equal(pack_peek(cursor) != PACK_END, 1);
    assert_true(pack_next(&cursor, &item));
    return item;
}

static void integers_are_what_msgpack_makes_of_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        struct buf ours;
        msgpack_sbuffer theirs;
        msgpack_packer packer;
        msgpack_unpacked unpacked;
        buf_init(&ours, 100);
        msgpack_sbuffer_init(&theirs);
        msgpack_packer_init(&packer, &theirs, msgpack_sbuffer_write);
        pack_put_int(&ours, integers[i]);
        (void)msgpack_pack_int64(&packer, integers[i]);
        assert_int_equal(ours.len, theirs.size);
        assert_memory_equal(ours.data, theirs.data, ours.len);
        msgpack_object object = unpack(&unpacked, &ours);
        assert_true(integers[i] < 0 ? object.via.i64 == integers[i]
                                    : object.via.u64 == (uint64_t)integers[i]);
        struct pack_item item = item_of(buf_slice(&ours));
        int64_t value;
        assert_int_equal(item.type, integers[i] < 0 ? PACK_INT : PACK_UINT);
        assert_true(pack_as_int(&item, &value) && value == integers[i]);
        msgpack_unpacked_destroy(&unpacked);
        msgpack_sbuffer_destroy(&theirs);
        buf_done(&ours);
    }
}

static void integers_of_every_legal_width_are_read(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        int64_t value;
    } cases[] = {
        {"\xcc\x05", 2, 5},
        {"\xcd\x00\x05", 3, 5},
        {"\xce\x00\x00\x00\x05", 5, 5},
        {"\xcf\x00\x00\x00\x00\x00\x00\x00\x05", 9, 5},
        {"\xd0\x05", 2, 5},
        {"\xd1\x00\x05", 3, 5},
        {"\xd2\x00\x00\x00\x05", 5, 5},
        {"\xd3\x00\x00\x00\x00\x00\x00\x00\x05", 9, 5},
        {"\xd0\xfb", 2, -5},
        {"\xd1\xff\xfb", 3, -5},
        {"\xd2\xff\xff\xff\xfb", 5, -5},
        {"\xd3\xff\xff\xff\xff\xff\xff\xff\xfb", 9, -5},
        {"\xca\x40\xa0\x00\x00", 5, 5},
        {"\xcb\x40\x14\x00\x00\x00\x00\x00\x00", 9, 5},
        {"\xcb\xc0\x14\x00\x00\x00\x00\x00\x00", 9, -5},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pack_item item = item_of((struct slice){cases[i].bytes, cases[i].len});
        int64_t value;
        uint64_t positive;
        assert_true(pack_as_int(&item, &value));
        assert_int_equal(value, cases[i].value);
        assert_int_equal(pack_as_uint(&item, &positive), cases[i].value >= 0);
    }
}

static void what_is_no_integer_is_not_taken_for_one(void **state)
{
    const double floats[] = {
        0.5,      -0.5,     9223372036854775808.0, -9223372036854777856.0, 1e300, NAN,
        INFINITY, -INFINITY};
    int64_t value;
    (void)state;
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        struct pack_item item = {.type = PACK_FLOAT, .f = floats[i]};
        assert_false(pack_as_int(&item, &value));
    }
    struct pack_item item = {.type = PACK_UINT, .u = (uint64_t)INT64_MAX + 1};
    uint64_t positive;
    assert_false(pack_as_int(&item, &value));
    assert_true(pack_as_uint(&item, &positive));
    item = (struct pack_item){.type = PACK_FLOAT, .f = 18446744073709551616.0};
    assert_false(pack_as_uint(&item, &positive));
    item = (struct pack_item){.type = PACK_INT, .i = -1};
    assert_false(pack_as_uint(&item, &positive));
    item = (struct pack_item){.type = PACK_FLOAT, .f = -9223372036854775808.0};
    assert_true(pack_as_int(&item, &value) && value == INT64_MIN);
    item = (struct pack_item){.type = PACK_NIL};
    assert_false(pack_as_int(&item, &value));
}

static void scalars_come_back(void **state)
{
    struct buf buf;
    struct pack_item item;
    (void)state;
    buf_init(&buf, 1000);
    pack_put_nil(&buf);
    pack_put_bool(&buf, true);
    pack_put_bool(&buf, false);
    pack_put_float(&buf, -2.5);
    pack_put_text(&buf, "text");
    pack_put_uint(&buf, UINT64_MAX);
    struct pack cursor = pack_over(buf_slice(&buf));
    assert_true(pack_next(&cursor, &item) && item.type == PACK_NIL);
    assert_true(pack_next(&cursor, &item) && item.type == PACK_BOOL && item.b);
    assert_true(pack_next(&cursor, &item) && item.type == PACK_BOOL && !item.b);
    assert_true(pack_next(&cursor, &item) && item.type == PACK_FLOAT && item.f == -2.5);
    assert_true(pack_next(&cursor, &item) && item.type == PACK_STR);
    assert_true(slice_is(item.text, "text"));
    assert_true(pack_next(&cursor, &item) && item.u == UINT64_MAX);
    assert_false(pack_next(&cursor, &item));
    assert_int_equal(item.type, PACK_END);
    item = item_of((struct slice){"\xca\x3f\xc0\x00\x00", 5});
    assert_true(item.type == PACK_FLOAT && item.f == 1.5);
    buf_done(&buf);
}

static void sized_values_have_msgpacks_header(void **state)
{
    static const size_t sizes[] = {0,  1,  2,   3,   4,   5,   8,     15,    16,    17,
                                   31, 32, 100, 255, 256, 257, 65535, 65536, 100000};
    char *bytes = calloc(1, 100000);
    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < 3 * (sizeof sizes / sizeof *sizes); i++) {
        size_t size = sizes[i / 3];
        struct buf ours;
        msgpack_sbuffer theirs;
        msgpack_packer packer;
        buf_init(&ours, TEST_BYTES_MAX);
        msgpack_sbuffer_init(&theirs);
        msgpack_packer_init(&packer, &theirs, msgpack_sbuffer_write);
        if (i % 3 == 0) {
            pack_put_str(&ours, (struct slice){bytes, size});
            (void)msgpack_pack_str_with_body(&packer, bytes, size);
        } else if (i % 3 == 1) {
            pack_put_bin(&ours, (struct slice){bytes, size});
            (void)msgpack_pack_bin_with_body(&packer, bytes, size);
        } else {
            pack_put_ext(&ours, -7, (struct slice){bytes, size});
            (void)msgpack_pack_ext_with_body(&packer, bytes, size, -7);
        }
        assert_int_equal(ours.len, theirs.size);
        assert_memory_equal(ours.data, theirs.data, ours.len);
        struct pack_item item = item_of(buf_slice(&ours));
        assert_int_equal(item.type, i % 3 == 0 ? PACK_STR : i % 3 == 1 ? PACK_BIN : PACK_EXT);
        assert_int_equal(item.text.len, size);
        assert_true(item.type != PACK_EXT || item.ext == -7);
        /* One byte less, and there is no such value. */
        struct pack cursor = pack_over((struct slice){ours.data, ours.len - 1});
        assert_false(pack_next(&cursor, &item));
        assert_ptr_equal(cursor.at, cursor.end);
        msgpack_sbuffer_destroy(&theirs);
        buf_done(&ours);
    }
    free(bytes);
}

static void counts_have_msgpacks_header(void **state)
{
    static const uint32_t counts[] = {0, 1, 15, 16, 255, 65535, 65536, UINT32_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct buf ours;
        msgpack_sbuffer theirs;
        msgpack_packer packer;
        buf_init(&ours, 100);
        msgpack_sbuffer_init(&theirs);
        msgpack_packer_init(&packer, &theirs, msgpack_sbuffer_write);
        pack_put_array(&ours, counts[i]);
        pack_put_map(&ours, counts[i]);
        (void)msgpack_pack_array(&packer, counts[i]);
        (void)msgpack_pack_map(&packer, counts[i]);
        assert_int_equal(ours.len, theirs.size);
        assert_memory_equal(ours.data, theirs.data, ours.len);
        struct pack cursor = pack_over(buf_slice(&ours));
        struct pack_item item;
        assert_true(pack_next(&cursor, &item) && item.type == PACK_ARRAY);
        assert_int_equal(item.count, counts[i]);
        assert_true(pack_next(&cursor, &item) && item.type == PACK_MAP);
        assert_int_equal(item.count, counts[i]);
        msgpack_sbuffer_destroy(&theirs);
        buf_done(&ours);
    }
}

static void maps_and_arrays_are_closed_with_their_count(void **state)
{
    struct buf buf;
    msgpack_unpacked unpacked;
    (void)state;
    buf_init(&buf, 1000);
    size_t map = pack_open(&buf);
    pack_put_text(&buf, "list");
    size_t list = pack_open(&buf);
    pack_put_int(&buf, 1);
    pack_put_int(&buf, 2);
    pack_close_array(&buf, list, 2);
    pack_put_key_text(&buf, "text", "t");
    pack_put_key_int(&buf, "int", -5);
    pack_put_key_bool(&buf, "bool", true);
    pack_put_key_str(&buf, "str", SLICE("s"));
    pack_close_map(&buf, map, 5);
    msgpack_object object = unpack(&unpacked, &buf);
    assert_int_equal(object.type, MSGPACK_OBJECT_MAP);
    assert_int_equal(object.via.map.size, 5);
    assert_int_equal(object.via.map.ptr[0].val.via.array.size, 2);
    assert_int_equal(object.via.map.ptr[2].val.via.i64, -5);
    msgpack_unpacked_destroy(&unpacked);
    buf_done(&buf);
    /* Closing what did not fit touches nothing. */
    buf_init(&buf, 3);
    map = pack_open(&buf);
    pack_close_map(&buf, map, 0);
    pack_close_array(&buf, map, 0);
    assert_true(buf.overflow);
    assert_int_equal(buf.len, 0);
    buf_done(&buf);
}

static void a_writer_leaves_no_half_value_behind(void **state)
{
    (void)state;
    for (size_t max = 0; max < 6; max++) {
        struct buf buf;
        buf_init(&buf, max);
        pack_put_text(&buf, "value");
        assert_int_equal(buf.len, 0);
        assert_true(buf.overflow);
        buf_clear(&buf);
        pack_put_uint(&buf, UINT64_MAX);
        assert_int_equal(buf.len, 0);
        buf_done(&buf);
    }
}

/* ---- moving over values ----------------------------------------------------------------- */

static void values_are_skipped_and_taken_whole(void **state)
{
    struct buf pack = pack_of("[{\"a\":[1,[2,{\"b\":null}]],\"c\":\"text\"},\"next\",1.5]");
    struct pack cursor = pack_over(buf_slice(&pack));
    struct pack_item item;
    struct slice taken;
    (void)state;
    assert_true(pack_next(&cursor, &item));
    assert_int_equal(pack_peek(cursor), PACK_MAP);
    assert_true(pack_take(&cursor, &taken));
    assert_ptr_equal(taken.ptr, pack.data + 1);
    assert_int_equal((unsigned char)taken.ptr[0], 0x82);
    assert_true(pack_next_text(&cursor, &taken) && slice_is(taken, "next"));
    assert_true(pack_skip(&cursor));
    assert_false(pack_skip(&cursor));
    assert_false(pack_take(&cursor, &taken));
    assert_int_equal(pack_peek(cursor), PACK_END);
    /* Every shorter beginning has nothing to skip. */
    for (size_t len = 0; len < pack.len; len++) {
        cursor = pack_over((struct slice){pack.data, len});
        assert_false(pack_skip(&cursor));
        assert_ptr_equal(cursor.at, cursor.end);
    }
    buf_done(&pack);
}

static void skipping_needs_no_stack(void **state)
{
    size_t depth = 1000000;
    char *bytes = malloc(depth + 1);
    (void)state;
    assert_non_null(bytes);
    memset(bytes, 0x91, depth);
    bytes[depth] = 1;
    struct pack cursor = pack_over((struct slice){bytes, depth + 1});
    assert_true(pack_skip(&cursor));
    assert_ptr_equal(cursor.at, cursor.end);
    cursor = pack_over((struct slice){bytes, depth});
    assert_false(pack_skip(&cursor));
    free(bytes);
}

static void malformed_bytes_end_the_cursor(void **state)
{
    static const char *const malformed[] = {"\xc1", "\x92\x01\xc1", "\xd9", "\xda\x01",
                                            "\xdf\xff"};
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        struct pack cursor = pack_over(slice_of(malformed[i]));
        assert_false(pack_skip(&cursor));
    }
    struct pack cursor = pack_over(SLICE("\xc1\x01"));
    struct pack_item item;
    assert_false(pack_next(&cursor, &item));
    assert_false(pack_next(&cursor, &item));
    assert_int_equal(item.type, PACK_END);
    cursor = pack_over((struct slice){NULL, 0});
    assert_false(pack_next(&cursor, &item));
    assert_false(pack_skip(&cursor));
    assert_int_equal(pack_peek(cursor), PACK_END);
}

static void every_first_byte_is_read_or_refused_within_bounds(void **state)
{
    (void)state;
    for (unsigned lead = 0; lead < 256; lead++) {
        for (size_t len = 1; len <= 20; len++) {
            /* Of its own size, so that a byte too far is seen. */
            unsigned char *bytes = calloc(1, len);
            assert_non_null(bytes);
            bytes[0] = (unsigned char)lead;
            struct slice slice = {(const char *)bytes, len};
            struct pack cursor = pack_over(slice);
            struct pack_item item;
            while (pack_next(&cursor, &item)) {
                assert_true(cursor.at <= cursor.end);
            }
            cursor = pack_over(slice);
            while (pack_skip(&cursor)) {
                assert_true(cursor.at <= cursor.end);
            }
            free(bytes);
        }
    }
}

static void fields_are_found_by_key(void **state)
{
    struct buf pack =
        pack_of("{\"a\":{\"a\":7},\"n\":-5,\"f\":3.0,\"half\":0.5,\"t\":\"text\",\"b\":true}");
    struct slice map = buf_slice(&pack);
    struct slice found;
    int64_t number = 0;
    bool flag = false;
    (void)state;
    assert_true(pack_get(map, "a", &found));
    assert_true(pack_get_int(found, "a", &number) && number == 7);
    assert_true(pack_get_int(map, "n", &number) && number == -5);
    assert_true(pack_get_int(map, "f", &number) && number == 3);
    assert_false(pack_get_int(map, "half", &number));
    assert_false(pack_get_int(map, "t", &number));
    assert_true(pack_get_text(map, "t", &found) && slice_is(found, "text"));
    assert_false(pack_get_text(map, "n", &found));
    assert_true(pack_get_bool(map, "b", &flag) && flag);
    assert_false(pack_get_bool(map, "t", &flag));
    assert_false(pack_get(map, "missing", &found));
    assert_false(pack_get(map, "", &found));
    assert_false(pack_get(SLICE("\x91\x01"), "a", &found));
    assert_false(pack_get((struct slice){NULL, 0}, "a", &found));
    buf_done(&pack);
    /* Keys of other types are passed over; the first of two wins. */
    struct slice odd = {"\x84\x01\x02\x92\x01\x02\x03\xa1k\x05\xa1k\x06", 13};
    assert_true(pack_get_int(odd, "k", &number) && number == 5);
}

static void nil_members_are_left_out_at_any_depth(void **state)
{
    static const char value[] = "\x83\xa1"
                                "a\xc0\xa1"
                                "b\x92\xc0\x81\xa1"
                                "c\xc0\xa1"
                                "d\x01";
    static const char want[] = "\xa1"
                               "b\x92\xc0";
    struct buf out;
    struct slice inner;
    (void)state;
    buf_init(&out, 1024);
    pack_put_pruned(&out, (struct slice){value, sizeof value - 1});
    struct slice pruned = buf_slice(&out);
    assert_false(pack_get(pruned, "a", &inner));
    assert_true(pack_get(pruned, "b", &inner)); /* nil in an array is an element */
    assert_int_equal(pack_peek(pack_over(inner)), PACK_ARRAY);
    assert_non_null(memmem(pruned.ptr, pruned.len, want, sizeof want - 1));
    assert_null(memchr(pruned.ptr, 'c', pruned.len));
    struct pack cursor = pack_over(pruned);
    assert_true(pack_skip(&cursor) && cursor.at == cursor.end);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_what_msgpack_makes_of_them),
        cmocka_unit_test(integers_of_every_legal_width_are_read),
        cmocka_unit_test(what_is_no_integer_is_not_taken_for_one),
        cmocka_unit_test(scalars_come_back),
        cmocka_unit_test(sized_values_have_msgpacks_header),
        cmocka_unit_test(counts_have_msgpacks_header),
        cmocka_unit_test(maps_and_arrays_are_closed_with_their_count),
        cmocka_unit_test(a_writer_leaves_no_half_value_behind),
        cmocka_unit_test(values_are_skipped_and_taken_whole),
        cmocka_unit_test(skipping_needs_no_stack),
        cmocka_unit_test(malformed_bytes_end_the_cursor),
        cmocka_unit_test(every_first_byte_is_read_or_refused_within_bounds),
        cmocka_unit_test(fields_are_found_by_key),
        cmocka_unit_test(nil_members_are_left_out_at_any_depth),
    };
    return cmocka_run_group_tests_name("pack", tests, NULL, NULL);
}
