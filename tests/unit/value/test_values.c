/* SPDX-License-Identifier: MIT */
/* test_values.c - random values through JSON and back are the same bytes; msgpack-c agrees. */
#include "value_test.h"

#include <math.h>
#include <msgpack.h>

/* Each is written by our writers and by msgpack-c's: the bytes must not differ. */
struct pair {
    struct buf ours;
    msgpack_sbuffer theirs;
    msgpack_packer packer;
    struct random *random;
    uint32_t budget;
};

static void put_text(struct pair *pair)
{
    static const char *const pieces[] = {"a",
                                         "Z9",
                                         "\"",
                                         "\\",
                                         "/",
                                         "\n",
                                         "\x01",
                                         "\x1f",
                                         "\x7f",
                                         "\xc2\x80",
                                         "\xc3\xb1",
                                         "\xe4\xb8\xad",
                                         "\xed\x9f\xbf",
                                         "\xf0\x9f\x98\x80",
                                         "\xf4\x8f\xbf\xbf",
                                         "plain words of some length "};
    struct buf text;
    buf_init(&text, TEST_BYTES_MAX);
    for (uint32_t i = random_below(pair->random, 12); i; i--) {
        buf_put_text(&text, pieces[random_below(pair->random, sizeof pieces / sizeof *pieces)]);
    }
    if (random_below(pair->random, 10) == 0) {
        buf_put_byte(&text, 0);
    }
    pack_put_str(&pair->ours, buf_slice(&text));
    (void)msgpack_pack_str_with_body(&pair->packer, text.len ? text.data : "", text.len);
    buf_done(&text);
}

static void put_number(struct pair *pair)
{
    uint64_t bits = random_next(pair->random);
    double real;
    switch (random_below(pair->random, 4)) {
    case 0:
        bits >>= random_below(pair->random, 64);
        pack_put_uint(&pair->ours, bits);
        (void)msgpack_pack_uint64(&pair->packer, bits);
        break;
    case 1:
        bits = (uint64_t)((int64_t)bits >> random_below(pair->random, 63));
        pack_put_int(&pair->ours, (int64_t)bits);
        (void)msgpack_pack_int64(&pair->packer, (int64_t)bits);
        break;
    default:
        memcpy(&real, &bits, sizeof real);
        if (!isfinite(real) || bits % 3 == 0) {
            real = (double)(int32_t)bits / 100;
        }
        pack_put_float(&pair->ours, real);
        (void)msgpack_pack_double(&pair->packer, real);
    }
}

static void put_value(struct pair *pair, unsigned depth);

static void put_members(struct pair *pair, unsigned depth, bool is_map)
{
    uint32_t count = random_below(pair->random, random_below(pair->random, 8) ? 6 : 60);
    count = pair->budget < count ? 0 : count;
    pair->budget -= count;
    if (is_map) {
        pack_put_map(&pair->ours, count);
        (void)msgpack_pack_map(&pair->packer, count);
    } else {
        pack_put_array(&pair->ours, count);
        (void)msgpack_pack_array(&pair->packer, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (is_map) {
            char key[64];
            int len = snprintf(key, sizeof key, "%.*s%u", (int)random_below(pair->random, 20),
                               "key \xc3\xa9 \"of\" any length", (unsigned)i);
            /* Cutting may have left half a character. */
            for (int k = 0; k < len; k++) {
                key[k] = (char)((unsigned char)key[k] < 0x80 ? key[k] : '_');
            }
            pack_put_text(&pair->ours, key);
            (void)msgpack_pack_str_with_body(&pair->packer, key, (size_t)len);
        }
        put_value(pair, depth + 1);
    }
}

static void put_value(struct pair *pair, unsigned depth)
{
    switch (random_below(pair->random, depth < 12 ? 8 : 6)) {
    case 0:
        pack_put_nil(&pair->ours);
        (void)msgpack_pack_nil(&pair->packer);
        break;
    case 1:
        pack_put_bool(&pair->ours, true);
        (void)msgpack_pack_true(&pair->packer);
        break;
    case 2:
    case 3:
        put_number(pair);
        break;
    case 4:
    case 5:
        put_text(pair);
        break;
    case 6:
        put_members(pair, depth, false);
        break;
    default:
        put_members(pair, depth, true);
    }
}

/* What was put before, and what JSON has made of it, as MessagePack. */
static void assert_same_value(const struct buf *before, const struct buf *json,
                              const struct buf *after)
{
    struct pack a = pack_over(buf_slice(before));
    struct pack b = pack_over(buf_slice(after));
    struct pack_item x;
    struct pack_item y;
    while (pack_next(&a, &x)) {
        assert_true(pack_next(&b, &y));
        if (x.type == PACK_FLOAT && y.type == PACK_EXT) {
            /* Subnormal: fewer digits than a double's fifteen identify it. */
            fail_msg("%.17g became text in %.*s", x.f, 60, json->data);
        }
        assert_int_equal(x.type, y.type);
        switch (x.type) {
        case PACK_STR:
            assert_int_equal(x.text.len, y.text.len);
            assert_memory_equal(x.text.ptr, y.text.ptr, x.text.len);
            break;
        case PACK_ARRAY:
        case PACK_MAP:
            assert_int_equal(x.count, y.count);
            break;
        case PACK_FLOAT:
            assert_memory_equal(&x.f, &y.f, sizeof x.f);
            break;
        case PACK_UINT:
        case PACK_INT:
            assert_true(x.u == y.u);
            break;
        default:
            assert_true(x.type != PACK_BOOL || x.b == y.b);
        }
    }
    assert_false(pack_next(&b, &y));
    /* Both are in the shortest form: the bytes are the same, too. */
    assert_int_equal(before->len, after->len);
    assert_memory_equal(before->data, after->data, before->len);
}

static void values_survive_json(void **state)
{
    struct random random = {2024};
    static const struct pack_limits limits = {1 << 24, 64, 1 << 20};
    (void)state;
    for (int i = 0; i < 4000; i++) {
        struct pair pair = {.random = &random, .budget = 400};
        struct buf json;
        struct buf after;
        struct buf again;
        struct err err = {.code = ERR_NONE};
        struct pack_scan scan;
        buf_init(&pair.ours, TEST_BYTES_MAX);
        buf_init(&json, TEST_BYTES_MAX);
        buf_init(&after, TEST_BYTES_MAX);
        buf_init(&again, TEST_BYTES_MAX);
        msgpack_sbuffer_init(&pair.theirs);
        msgpack_packer_init(&pair.packer, &pair.theirs, msgpack_sbuffer_write);
        put_value(&pair, 0);
        assert_int_equal(pair.ours.len, pair.theirs.size);
        assert_memory_equal(pair.ours.data, pair.theirs.data, pair.ours.len);
        PACK_SCAN_START(&scan);
        assert_int_equal(pack_scan(&scan, buf_slice(&pair.ours), &limits), PACK_SCAN_DONE);
        assert_int_equal(scan.at, pair.ours.len);
        if (json_from_pack(buf_slice(&pair.ours), "value", &json, &err) != 0 ||
            json_to_pack(buf_slice(&json), JSON_DEPTH_MAX, &after, &err) != 0) {
            fail_msg("%s in %.*s", err.text, 2000, buf_text(&json));
        }
        assert_same_value(&pair.ours, &json, &after);
        assert_int_equal(json_from_pack(buf_slice(&after), "value", &again, NULL), 0);
        assert_string_equal(buf_text(&json), buf_text(&again));
        msgpack_sbuffer_destroy(&pair.theirs);
        buf_done(&pair.ours);
        buf_done(&json);
        buf_done(&after);
        buf_done(&again);
    }
}

/* White space between any two tokens changes nothing. */
static void white_space_changes_nothing(void **state)
{
    static const char tight[] =
        "{\"a\":[1,-2.5,{\"b\":null},[],{}],\"c d\":\"e f\",\"t\":true}";
    struct random random = {8};
    struct buf wanted = pack_of(tight);
    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct buf json;
        bool is_in_string = false;
        buf_init(&json, TEST_BYTES_MAX);
        for (const char *at = tight; *at; at++) {
            is_in_string ^= *at == '"';
            bool is_inside = is_in_string || strchr("truenulsfa0123456789.", *at);
            buf_put_byte(&json, (uint8_t)*at);
            for (uint32_t n = random_below(&random, 4); n && !is_inside && *at != '-'; n--) {
                buf_put_byte(&json, (uint8_t) " \t\r\n"[random_below(&random, 4)]);
            }
        }
        struct buf pack = pack_of(buf_text(&json));
        assert_int_equal(pack.len, wanted.len);
        assert_memory_equal(pack.data, wanted.data, wanted.len);
        buf_done(&json);
        buf_done(&pack);
    }
    buf_done(&wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_survive_json),
        cmocka_unit_test(white_space_changes_nothing),
    };
    return cmocka_run_group_tests_name("values", tests, NULL, NULL);
}
