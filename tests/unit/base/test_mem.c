/* SPDX-License-Identifier: MIT */
/* test_mem.c - the allocator that fails on order, and arenas. */
#include "base/mem.h"
#include "base_test.h"

static void the_nth_allocation_fails(void **state)
{
    void *first;
    void *third;
    (void)state;
    mem_fail_at(2);
    first = mem_try(10);
    assert_non_null(first);
    assert_null(mem_try(10));
    third = mem_try(10);
    assert_non_null(third);
    mem_fail_at(1);
    assert_null(mem_resize(first, 100)); /* and leaves it as it was */
    mem_fail_at(0);
    mem_free(first);
    mem_free(third);
    mem_free(NULL);
}

static void new_memory_is_zero_and_never_empty(void **state)
{
    char *bytes = mem_new(100);
    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(bytes[i], 0);
    }
    mem_free(bytes);
    bytes = mem_new(0);
    assert_non_null(bytes);
    mem_free(bytes);
    bytes = mem_try(0);
    assert_non_null(bytes);
    mem_free(bytes);
}

static void copies_are_terminated(void **state)
{
    char *copy = mem_dup(SLICE("abc"));
    (void)state;
    assert_string_equal(copy, "abc");
    mem_wipe(copy, 3);
    assert_memory_equal(copy, "\0\0\0\0", 4);
    mem_free(copy);
    copy = mem_dup((struct slice){NULL, 0});
    assert_string_equal(copy, "");
    mem_free(copy);
}

static void arenas_give_aligned_pieces_up_to_their_ceiling(void **state)
{
    struct arena arena;
    size_t given = 0;
    (void)state;
    arena_init(&arena, 100000);
    for (size_t size = 0;; size = (size * 7 + 3) % 3000) {
        char *piece = arena_take(&arena, size);
        if (!piece) {
            break;
        }
        assert_int_equal((uintptr_t)piece % 16, 0);
        memset(piece, 0x55, size);
        given += size;
        assert_true(arena.used <= 100000);
    }
    assert_true(given > 50000);
    arena_done(&arena);
    assert_int_equal(arena.used, 0);
    assert_int_equal(arena.ceiling, 100000);
    arena_done(&arena);
}

static void small_arenas_begin_small(void **state)
{
    struct arena arena;
    (void)state;
    arena_init_small(&arena, 100000);
    assert_non_null(arena_take(&arena, 100));
    assert_true(arena.used < 1000);
    for (unsigned i = 0; i < 500; i++) {
        assert_non_null(arena_take(&arena, 100));
    }
    assert_true(arena.used <= 65000);
    arena_done(&arena);
    assert_int_equal(arena.used, 0);
}

static void arenas_refuse_what_can_never_fit(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena, 10000);
    assert_null(arena_take(&arena, 10001));
    assert_null(arena_take(&arena, SIZE_MAX));
    assert_null(arena_take(&arena, SIZE_MAX - 15));
    assert_null(arena_copy(&arena, (struct slice){"x", SIZE_MAX}).ptr);
    assert_non_null(arena_take(&arena, 9000));
    assert_null(arena_take(&arena, 2000)); /* a block of 4096 would pass it */
    arena_done(&arena);
}

static void cleared_arenas_are_used_again(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena, 50000);
    for (int round = 0; round < 1000; round++) {
        struct slice copy = arena_copy(&arena, SLICE("some text"));
        assert_true(slice_is(copy, "some text"));
        assert_non_null(arena_take(&arena, 20000));
        arena_clear(&arena);
        assert_true(arena.used <= 4096);
    }
    struct slice empty = arena_copy(&arena, (struct slice){NULL, 0});
    assert_non_null(empty.ptr);
    assert_int_equal(empty.len, 0);
    mem_fail_at(1);
    assert_null(arena_take(&arena, 5000));
    mem_fail_at(0);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nth_allocation_fails),
        cmocka_unit_test(new_memory_is_zero_and_never_empty),
        cmocka_unit_test(copies_are_terminated),
        cmocka_unit_test(arenas_give_aligned_pieces_up_to_their_ceiling),
        cmocka_unit_test(small_arenas_begin_small),
        cmocka_unit_test(arenas_refuse_what_can_never_fit),
        cmocka_unit_test(cleared_arenas_are_used_again),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
