/* SPDX-License-Identifier: MIT */
/* test_limit.c - one limit of a server as a function of time. */
#include "gated.h"

#include "gate/limit.h"

#define MS INT64_C(1000)

static void a_hold_ends_with_one(void **state)
{
    struct gate_limit limit = {0};
    mono_us now = 50 * SECOND;
    (void)state;
    assert_true(limit_next(&limit, now) <= now);
    assert_false(limit_pass(&limit, now));
    assert_true(limit_hold(&limit, now + 10 * SECOND, now));
    assert_int_equal(limit_next(&limit, now), now + 10 * SECOND);
    assert_false(limit_hold(&limit, now + 5 * SECOND, now + SECOND)); /* never shortened */
    assert_int_equal(limit_next(&limit, now + SECOND), now + 10 * SECOND);
    now += 10 * SECOND;
    assert_true(limit_next(&limit, now) <= now);
    assert_true(limit_pass(&limit, now));
    assert_int_equal(limit_next(&limit, now), now + SECOND);
    assert_false(limit_good(&limit, now - 15 * SECOND, now)); /* it had gone in before */
    assert_int_equal(limit_next(&limit, now), now + SECOND);
    assert_true(limit_good(&limit, now, now + MS));
    assert_true(limit_next(&limit, now + MS) <= now + MS);
    assert_false(limit_pass(&limit, now + MS));
    assert_true(limit_hold(&limit, now + SECOND, now + 2 * MS)); /* it was free */
}

static void a_second_is_enough(void **state)
{
    struct gate_limit limit = {0};
    mono_us now = 50 * SECOND;
    (void)state;
    (void)limit_hold(&limit, now + SECOND, now);
    now += SECOND;
    assert_true(limit_pass(&limit, now));
    assert_true(limit_next(&limit, now + 999 * MS) > now + 999 * MS);
    now += SECOND;
    assert_true(limit_next(&limit, now) <= now);
    assert_false(limit_pass(&limit, now));
    assert_true(limit_next(&limit, now) <= now);
    assert_false(limit.is_active);
}

static void one_that_is_given_up_is_followed_by_another(void **state)
{
    struct gate_limit limit = {0};
    mono_us now = 50 * SECOND;
    (void)state;
    (void)limit_hold(&limit, now + SECOND, now);
    now += SECOND;
    assert_true(limit_pass(&limit, now));
    limit_quit(&limit);
    assert_true(limit_next(&limit, now) <= now);
    assert_true(limit_pass(&limit, now));
}

static void unknown_ends_double(void **state)
{
    static const int64_t seconds[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    struct gate_limit limit = {0};
    mono_us now = 50 * SECOND;
    (void)state;
    for (unsigned i = 0; i < 9; i++) {
        mono_us entered = now;
        now += MS;
        assert_int_equal(limit_hold_unknown(&limit, entered, now), i == 0);
        assert_int_equal(limit_next(&limit, now), now + seconds[i] * SECOND);
        assert_false(limit_hold_unknown(&limit, entered, now + MS)); /* of the same crowd */
        assert_int_equal(limit_next(&limit, now), now + seconds[i] * SECOND);
        now += seconds[i] * SECOND;
        assert_true(limit_pass(&limit, now));
    }
    assert_true(limit_good(&limit, now, now + MS));
    assert_true(limit_hold_unknown(&limit, now + MS, now + 2 * MS));
    assert_int_equal(limit_next(&limit, now), now + 2 * MS + SECOND);
}

static void what_remains_is_counted(void **state)
{
    struct gate_limit limit = {0};
    mono_us now = 50 * SECOND;
    (void)state;
    limit_allow(&limit, 3, now + 10 * SECOND, now);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(limit_next(&limit, now) <= now);
        assert_false(limit_settle(&limit, now));
        assert_false(limit_pass(&limit, now));
    }
    assert_int_equal(limit_next(&limit, now), now + 10 * SECOND);
    assert_false(limit_is_held(&limit, now)); /* others inside may bring better news */
    limit_allow(&limit, 1, now + 10 * SECOND, now);
    assert_true(limit_next(&limit, now) <= now);
    assert_false(limit_pass(&limit, now));
    assert_true(limit_settle(&limit, now));
    assert_true(limit_is_held(&limit, now));
    now += 10 * SECOND;
    assert_false(limit_is_held(&limit, now));
    limit_allow(&limit, 2, now + SECOND, now);
    assert_true(limit_pass(&limit, now)); /* the first one behind it */
    now += SECOND;
    assert_false(limit_pass(&limit, now));
    assert_false(limit.is_active);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hold_ends_with_one),
        cmocka_unit_test(a_second_is_enough),
        cmocka_unit_test(one_that_is_given_up_is_followed_by_another),
        cmocka_unit_test(unknown_ends_double),
        cmocka_unit_test(what_remains_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
