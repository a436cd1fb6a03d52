/* SPDX-License-Identifier: MIT */
/* test_map.c - the hash table against a plain array that does the same slowly; lists. */
#include "base/list.h"
#include "base/map.h"
#include "base_test.h"

#define KEYS 500

static int values[KEYS];

static struct slice key_of(unsigned i, char text[32])
{
    int len = snprintf(text, 32, "%s%u", i % 3 ? "key " : "", i);
    return (struct slice){text, (size_t)len};
}

/* Random changes, each compared with the array. */
static void text_keys_behave_as_an_array_would(void **state)
{
    struct map map;
    bool is_in[KEYS] = {false};
    uint64_t random = 12345;
    size_t count = 0;
    (void)state;
    map_init(&map);
    for (int step = 0; step < 200000; step++) {
        char text[32];
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned i = (unsigned)(random >> 33) % KEYS;
        struct slice key = key_of(i, text);
        assert_ptr_equal(map_get(&map, key), is_in[i] ? &values[i] : NULL);
        if ((random >> 60) % 2) {
            map_set(&map, key, &values[i]);
            count += !is_in[i];
            is_in[i] = true;
        } else {
            assert_ptr_equal(map_remove(&map, key), is_in[i] ? &values[i] : NULL);
            count -= is_in[i];
            is_in[i] = false;
        }
        assert_int_equal(map.count, count);
    }
    map_done(&map);
    assert_int_equal(map.count, 0);
}

static void ids_behave_the_same(void **state)
{
    struct map map;
    (void)state;
    map_init(&map);
    assert_null(map_get_id(&map, 0));
    assert_null(map_remove_id(&map, 0));
    for (uint64_t i = 0; i < KEYS; i++) {
        map_set_id(&map, i << 32 | i, &values[i]);
    }
    map_set_id(&map, UINT64_MAX, &values[0]);
    for (uint64_t i = 0; i < KEYS; i++) {
        assert_ptr_equal(map_get_id(&map, i << 32 | i), &values[i]);
        assert_null(map_get_id(&map, (i << 32 | i) + ((uint64_t)1 << 40) * KEYS));
    }
    assert_ptr_equal(map_remove_id(&map, UINT64_MAX), &values[0]);
    assert_null(map_get_id(&map, UINT64_MAX));
    assert_int_equal(map.count, KEYS);
    map_done(&map);
}

/* As requests do: nothing is left of those before, and the map is not made anew for them. */
static void what_comes_and_goes_leaves_nothing_behind(void **state)
{
    struct map map;
    (void)state;
    map_init(&map);
    for (uint64_t i = 0; i < 10000; i++) {
        map_set_id(&map, i, &values[0]);
        map_set_id(&map, i + 100000, &values[1]);
        assert_ptr_equal(map_remove_id(&map, i), &values[0]);
        assert_ptr_equal(map_remove_id(&map, i + 100000), &values[1]);
        assert_int_equal(map.dead, 0);
    }
    assert_int_equal(map.cap, 8);
    map_done(&map);
}

static void a_walk_sees_each_entry_once_and_may_remove_it(void **state)
{
    struct map map;
    int seen[KEYS] = {0};
    struct slice key;
    (void)state;
    map_init(&map);
    for (unsigned i = 0; i < KEYS; i++) {
        char text[32];
        map_set(&map, key_of(i, text), &values[i]);
    }
    size_t at = 0;
    for (int *value; (value = map_next(&map, &at, &key));) {
        char text[32];
        unsigned i = (unsigned)(value - values);
        assert_true(slice_equal(key, key_of(i, text)));
        seen[i]++;
        if (i % 2) {
            assert_ptr_equal(map_remove(&map, key_of(i, text)), value);
        }
    }
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(seen[i], 1);
    }
    assert_int_equal(map.count, KEYS / 2);
    at = 0;
    assert_non_null(map_next(&map, &at, NULL));
    map_done(&map);
    at = 0;
    assert_null(map_next(&map, &at, NULL));
}

static void setting_replaces_and_empty_keys_are_keys(void **state)
{
    struct map map;
    (void)state;
    map_init(&map);
    map_set(&map, (struct slice){NULL, 0}, &values[1]);
    map_set(&map, SLICE("a"), &values[2]);
    map_set(&map, SLICE("a\0b"), &values[3]);
    map_set(&map, SLICE("a"), &values[4]);
    assert_int_equal(map.count, 3);
    assert_ptr_equal(map_get(&map, SLICE("")), &values[1]);
    assert_ptr_equal(map_get(&map, SLICE("a")), &values[4]);
    assert_ptr_equal(map_get(&map, SLICE("a\0b")), &values[3]);
    map_done(&map);
}

static void the_hash_depends_on_every_byte_and_the_length(void **state)
{
    char bytes[40] = {0};
    (void)state;
    for (size_t len = 0; len < sizeof bytes; len++) {
        uint64_t hash = map_hash(bytes, len);
        assert_true(hash == map_hash(bytes, len));
        assert_true(hash != map_hash(bytes, len + 1) || len + 1 == sizeof bytes);
        for (size_t i = 0; i < len; i++) {
            bytes[i] ^= 1;
            assert_true(hash != map_hash(bytes, len));
            bytes[i] ^= 1;
        }
    }
}

/* ---- lists ------------------------------------------------------------------------------ */

struct node {
    int number;
    struct list_link link;
};

/* Nor may one undo the other: whoever sees the same hash again believes it is the same text. */
static void short_texts_of_different_lengths_have_different_hashes(void **state)
{
    enum { COUNT = 11111 };
    (void)state;
    struct map seen;
    map_init(&seen);
    for (int i = 0; i < COUNT; i++) {
        char text[16];
        int len = snprintf(text, sizeof text, "%d", i);
        uint64_t hash = map_hash(text, (size_t)len);
        assert_null(map_get_id(&seen, hash));
        map_set_id(&seen, hash, &seen);
    }
    map_done(&seen);
    assert_true(map_hash("7", 1) != map_hash("47", 2));
    assert_true(map_hash("bbbb", 4) != map_hash("cbbbb", 5));
}

static void lists_keep_order_and_let_go(void **state)
{
    struct list list;
    struct node nodes[5] = {{.number = 0}};
    int sum = 0;
    (void)state;
    list_init(&list);
    assert_true(list_is_empty(&list));
    assert_null(list_first(&list));
    for (int i = 0; i < 5; i++) {
        nodes[i].number = i;
        assert_false(list_has(&nodes[i].link));
        list_append(&list, &nodes[i].link);
        assert_true(list_has(&nodes[i].link));
    }
    list_remove(&nodes[0].link);
    list_remove(&nodes[0].link); /* in no list: nothing happens */
    assert_ptr_equal(list_first(&list), &nodes[1].link);
    list_each (link, &list) {
        struct node *node = LIST_ITEM(link, struct node, link);
        sum = sum * 10 + node->number;
        if (node->number % 2) {
            list_remove(link);
        }
    }
    assert_int_equal(sum, 1234);
    assert_ptr_equal(list_first(&list), &nodes[2].link);
    list_remove(&nodes[2].link);
    list_remove(&nodes[4].link);
    assert_true(list_is_empty(&list));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_keys_behave_as_an_array_would),
        cmocka_unit_test(ids_behave_the_same),
        cmocka_unit_test(what_comes_and_goes_leaves_nothing_behind),
        cmocka_unit_test(a_walk_sees_each_entry_once_and_may_remove_it),
        cmocka_unit_test(setting_replaces_and_empty_keys_are_keys),
        cmocka_unit_test(the_hash_depends_on_every_byte_and_the_length),
        cmocka_unit_test(short_texts_of_different_lengths_have_different_hashes),
        cmocka_unit_test(lists_keep_order_and_let_go),
    };
    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
