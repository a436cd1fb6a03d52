/* SPDX-License-Identifier: MIT */
/* test_breaker.c - the circuit breaker by example: every arrow of its picture, levers, late answers. */
#include "resilience/breaker.h"

#include "chance.h"

#define S INT64_C(1000000)

static const struct breaker_conf usual = {
    .failures = 3, .open_ms = 60000, .probes = 1, .successes = 2};

/* One attempt that passes, and its end. */
static bool attempt(struct breaker *breaker, const struct breaker_conf *conf,
                    enum breaker_outcome outcome, mono_us now)
{
    uint32_t epoch = 0;
    assert_true(breaker_ask(breaker, conf, now, &epoch, NULL));
    return breaker_tell(breaker, conf, epoch, outcome, now);
}

static struct breaker opened(const struct breaker_conf *conf, mono_us now)
{
    struct breaker breaker = {0};
    for (uint32_t i = 0; i < conf->failures; i++) {
        assert_int_equal(attempt(&breaker, conf, BREAKER_FAILURE, now),
                         i + 1 == conf->failures);
    }
    assert_int_equal(breaker_effective(&breaker), BREAKER_OPEN);
    return breaker;
}

static void refuses(struct breaker *breaker, const struct breaker_conf *conf, mono_us now,
                    mono_us wait)
{
    uint32_t epoch = 77;
    mono_us told = -1, would = -1;
    assert_false(breaker_would_pass(breaker, conf, now, &would));
    assert_false(breaker_ask(breaker, conf, now, &epoch, &told));
    assert_int_equal(told, wait);
    assert_int_equal(would, wait);
    assert_int_equal(epoch, 77);
}

static void opens_after_failures_in_a_row(void **state)
{
    struct breaker breaker = {0};
    (void)state;
    assert_int_equal(breaker_effective(&breaker), BREAKER_CLOSED);
    for (int round = 0; round < 5; round++) { /* a success starts the count over */
        assert_false(attempt(&breaker, &usual, BREAKER_FAILURE, 1));
        assert_false(attempt(&breaker, &usual, BREAKER_FAILURE, 1));
        assert_int_equal(breaker.failures, 2);
        assert_false(attempt(&breaker, &usual, BREAKER_SUCCESS, 1));
        assert_int_equal(breaker.failures, 0);
    }
    assert_false(attempt(&breaker, &usual, BREAKER_FAILURE, 2));
    assert_false(attempt(&breaker, &usual, BREAKER_NEUTRAL, 2)); /* says nothing */
    assert_false(attempt(&breaker, &usual, BREAKER_FAILURE, 2));
    assert_true(attempt(&breaker, &usual, BREAKER_FAILURE, 5 * S));
    assert_int_equal(breaker.failures, 3);
    assert_int_equal(breaker.since, 5 * S);
    refuses(&breaker, &usual, 5 * S, 60 * S);
    refuses(&breaker, &usual, 65 * S - 1, 1);
    assert_true(breaker_would_pass(&breaker, &usual, 65 * S, NULL));
    assert_int_equal(breaker_effective(&breaker), BREAKER_OPEN); /* looking changes nothing */
}

static void half_open_closes_after_successes(void **state)
{
    struct breaker breaker = opened(&usual, 0);
    uint32_t first, second = 0;
    (void)state;
    assert_true(breaker_ask(&breaker, &usual, 60 * S, &first, NULL));
    assert_int_equal(breaker_effective(&breaker), BREAKER_HALF_OPEN);
    refuses(&breaker, &usual, 60 * S, BREAKER_LOOK_AGAIN_US); /* the only place is taken */
    assert_false(breaker_tell(&breaker, &usual, first, BREAKER_SUCCESS, 61 * S));
    assert_true(breaker_ask(&breaker, &usual, 61 * S, &second, NULL));
    assert_true(breaker_tell(&breaker, &usual, second, BREAKER_SUCCESS, 62 * S));
    assert_int_equal(breaker_effective(&breaker), BREAKER_CLOSED);
    assert_int_equal(breaker.failures, 0);
    assert_int_equal(breaker.since, 62 * S);
}

static void half_open_opens_at_any_failure(void **state)
{
    struct breaker breaker = opened(&usual, 0);
    (void)state;
    assert_int_equal(breaker.failures, 3);
    assert_false(attempt(&breaker, &usual, BREAKER_SUCCESS, 60 * S));
    assert_int_equal(breaker.failures, 0);
    assert_true(attempt(&breaker, &usual, BREAKER_FAILURE, 61 * S));
    assert_int_equal(breaker.failures, 1);
    refuses(&breaker, &usual, 61 * S, 60 * S);
    /* and the success before it counts no more */
    assert_false(attempt(&breaker, &usual, BREAKER_SUCCESS, 121 * S));
    assert_true(attempt(&breaker, &usual, BREAKER_SUCCESS, 121 * S));
}

static void neutral_gives_back_the_place(void **state)
{
    struct breaker breaker = opened(&usual, 0);
    (void)state;
    for (int i = 0; i < 10; i++) {
        assert_false(attempt(&breaker, &usual, BREAKER_NEUTRAL, 60 * S + i));
    }
    assert_int_equal(breaker_effective(&breaker), BREAKER_HALF_OPEN);
    assert_false(attempt(&breaker, &usual, BREAKER_SUCCESS, 61 * S));
    assert_false(attempt(&breaker, &usual, BREAKER_NEUTRAL, 61 * S));
    assert_true(attempt(&breaker, &usual, BREAKER_SUCCESS, 61 * S));
}

static void several_probes_at_once(void **state)
{
    struct breaker_conf conf = usual;
    conf.probes = 3;
    struct breaker breaker = opened(&conf, 0);
    uint32_t epochs[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_true(breaker_ask(&breaker, &conf, 60 * S, &epochs[i], NULL));
    }
    refuses(&breaker, &conf, 60 * S, BREAKER_LOOK_AGAIN_US);
    assert_true(breaker_tell(&breaker, &conf, epochs[1], BREAKER_FAILURE, 61 * S));
    /* The other two began before it opened again. */
    assert_false(breaker_tell(&breaker, &conf, epochs[0], BREAKER_SUCCESS, 61 * S));
    assert_false(breaker_tell(&breaker, &conf, epochs[2], BREAKER_FAILURE, 62 * S));
    refuses(&breaker, &conf, 62 * S, 59 * S);
}

static void late_answers_are_not_heard(void **state)
{
    struct breaker breaker = {0};
    uint32_t before;
    (void)state;
    assert_true(breaker_ask(&breaker, &usual, 0, &before, NULL));
    for (int i = 0; i < 3; i++) {
        (void)attempt(&breaker, &usual, BREAKER_FAILURE, 0);
    }
    assert_false(breaker_tell(&breaker, &usual, before, BREAKER_SUCCESS, 1));
    assert_int_equal(breaker_effective(&breaker), BREAKER_OPEN);
    uint32_t probe;
    assert_true(breaker_ask(&breaker, &usual, 60 * S, &probe, NULL));
    assert_false(breaker_tell(&breaker, &usual, before, BREAKER_FAILURE, 60 * S));
    assert_false(breaker_tell(&breaker, &usual, before, BREAKER_SUCCESS, 60 * S));
    assert_int_equal(breaker.successes, 0);
    assert_int_equal(breaker.probing, 1);
    assert_false(breaker_tell(&breaker, &usual, probe, BREAKER_SUCCESS, 60 * S));
    assert_true(attempt(&breaker, &usual, BREAKER_SUCCESS, 60 * S));
    assert_false(breaker_tell(&breaker, &usual, before, BREAKER_FAILURE, 60 * S));
    assert_int_equal(breaker.failures, 0);
}

static void a_lost_probe_locks_nothing(void **state)
{
    struct breaker_conf conf = usual;
    conf.open_ms = 20000;
    struct breaker breaker = opened(&conf, 0);
    uint32_t lost, next = 0;
    (void)state;
    assert_true(breaker_ask(&breaker, &conf, 20 * S, &lost, NULL));
    refuses(&breaker, &conf, 40 * S - 1, 1);
    refuses(&breaker, &conf, 30 * S, BREAKER_LOOK_AGAIN_US);
    assert_true(breaker_ask(&breaker, &conf, 40 * S, &next, NULL));
    assert_int_not_equal(lost, next);
    assert_int_equal(breaker.probing, 1);
    assert_false(breaker_tell(&breaker, &conf, lost, BREAKER_FAILURE, 41 * S)); /* too late */
    assert_int_equal(breaker_effective(&breaker), BREAKER_HALF_OPEN);
    assert_false(breaker_tell(&breaker, &conf, next, BREAKER_SUCCESS, 41 * S));
    assert_true(attempt(&breaker, &conf, BREAKER_SUCCESS, 41 * S));
}

static void a_short_open_time_loses_no_slow_probe(void **state)
{
    struct breaker_conf conf = usual;
    conf.open_ms = 100;
    struct breaker breaker = opened(&conf, 0);
    uint32_t slow;
    (void)state;
    assert_true(breaker_ask(&breaker, &conf, S, &slow, NULL));
    refuses(&breaker, &conf, 10 * S, BREAKER_LOOK_AGAIN_US);
    assert_true(breaker_tell(&breaker, &conf, slow, BREAKER_FAILURE, 10 * S));
}

static void one_more_beside_a_probe_that_is_not_told(void **state)
{
    struct breaker breaker = {0};
    uint32_t slow, next;
    (void)state;
    breaker_one_more(&breaker); /* closed: nothing */
    assert_int_equal(breaker.probing, 0);
    breaker = opened(&usual, 0);
    breaker_one_more(&breaker); /* open: nothing */
    refuses(&breaker, &usual, 59 * S, S);
    assert_true(breaker_ask(&breaker, &usual, 60 * S, &slow, NULL));
    refuses(&breaker, &usual, 65 * S, BREAKER_LOOK_AGAIN_US);
    breaker_one_more(&breaker);
    assert_true(breaker_ask(&breaker, &usual, 65 * S, &next, NULL));
    refuses(&breaker, &usual, 65 * S, BREAKER_LOOK_AGAIN_US);
    /* both are heard */
    assert_false(breaker_tell(&breaker, &usual, next, BREAKER_SUCCESS, 66 * S));
    assert_true(breaker_tell(&breaker, &usual, slow, BREAKER_SUCCESS, 67 * S));
    assert_int_equal(breaker_effective(&breaker), BREAKER_CLOSED);
}

static void an_early_trial(void **state)
{
    struct breaker breaker = {0};
    (void)state;
    assert_false(breaker_try_early(&breaker, 1));
    breaker = opened(&usual, 0);
    assert_true(breaker_try_early(&breaker, 3 * S));
    assert_false(breaker_try_early(&breaker, 3 * S));
    assert_int_equal(breaker_effective(&breaker), BREAKER_HALF_OPEN);
    assert_true(attempt(&breaker, &usual, BREAKER_FAILURE, 4 * S));
    refuses(&breaker, &usual, 4 * S, 60 * S);
    assert_true(breaker_try_early(&breaker, 5 * S));
    assert_false(attempt(&breaker, &usual, BREAKER_SUCCESS, 5 * S));
    assert_true(attempt(&breaker, &usual, BREAKER_SUCCESS, 5 * S));
}

static void levers_go_before_all(void **state)
{
    struct breaker breaker = {0};
    uint32_t epoch, before;
    (void)state;
    assert_true(breaker_ask(&breaker, &usual, 0, &before, NULL));
    breaker_set_force(&breaker, BREAKER_FORCED_OPEN, 1);
    assert_int_equal(breaker_effective(&breaker), BREAKER_OPEN);
    refuses(&breaker, &usual, INT64_C(1) << 60, MONO_NEVER);
    assert_false(breaker_try_early(&breaker, 2));
    assert_false(breaker_tell(&breaker, &usual, before, BREAKER_SUCCESS, 2));

    breaker_set_force(&breaker, BREAKER_FORCED_CLOSED, 3);
    for (int i = 0; i < 100; i++) {
        assert_false(attempt(&breaker, &usual, BREAKER_FAILURE, 4));
    }
    assert_int_equal(breaker_effective(&breaker), BREAKER_CLOSED);
    assert_true(breaker_ask(&breaker, &usual, 5, &epoch, NULL));

    breaker_set_force(&breaker, BREAKER_BY_ITSELF, 6);
    assert_int_equal(breaker.failures, 0);
    assert_false(breaker_tell(&breaker, &usual, epoch, BREAKER_FAILURE, 7));
    assert_int_equal(breaker.failures, 0);
    assert_false(attempt(&breaker, &usual, BREAKER_FAILURE, 8));
    assert_false(attempt(&breaker, &usual, BREAKER_FAILURE, 8));
    assert_true(attempt(&breaker, &usual, BREAKER_FAILURE, 8));
}

static void reset_closes_whatever_it_was(void **state)
{
    struct breaker breaker = opened(&usual, 0);
    (void)state;
    breaker_reset(&breaker, 1);
    assert_int_equal(breaker_effective(&breaker), BREAKER_CLOSED);
    assert_int_equal(breaker.failures, 0);
    breaker_set_force(&breaker, BREAKER_FORCED_OPEN, 2);
    breaker_reset(&breaker, 3);
    assert_int_equal(breaker.forced, BREAKER_BY_ITSELF);
    assert_false(attempt(&breaker, &usual, BREAKER_SUCCESS, 4));
}

static void switched_off(void **state)
{
    struct breaker_conf off = usual;
    struct breaker breaker = {0};
    (void)state;
    off.is_off = true;
    for (int i = 0; i < 100; i++) {
        assert_false(attempt(&breaker, &off, BREAKER_FAILURE, i));
    }
    breaker_set_force(&breaker, BREAKER_FORCED_OPEN, 200);
    refuses(&breaker, &off, 201, MONO_NEVER);

    breaker = opened(&usual, 0); /* and switched off by a reload, while it is open */
    assert_true(breaker_would_pass(&breaker, &off, 1, NULL));
    assert_false(attempt(&breaker, &off, BREAKER_FAILURE, 1));
    assert_int_equal(breaker_effective(&breaker), BREAKER_CLOSED);

    breaker = opened(&usual, 0); /* or while a probe is out */
    uint32_t probe;
    assert_true(breaker_ask(&breaker, &usual, 60 * S, &probe, NULL));
    assert_true(breaker_tell(&breaker, &off, probe, BREAKER_FAILURE, 61 * S));
    assert_int_equal(breaker_effective(&breaker), BREAKER_CLOSED);
}

/* What no caller should do: it must not make places out of nothing. */
static void told_twice(void **state)
{
    struct breaker breaker = opened(&usual, 0);
    uint32_t probe;
    (void)state;
    assert_true(breaker_ask(&breaker, &usual, 60 * S, &probe, NULL));
    assert_false(breaker_tell(&breaker, &usual, probe, BREAKER_NEUTRAL, 60 * S));
    assert_false(breaker_tell(&breaker, &usual, probe, BREAKER_NEUTRAL, 60 * S));
    assert_int_equal(breaker.probing, 0);
    assert_true(breaker_ask(&breaker, &usual, 60 * S, &probe, NULL));
    refuses(&breaker, &usual, 60 * S, BREAKER_LOOK_AGAIN_US);
}

static void counts_end_at_their_end(void **state)
{
    struct breaker_conf off = usual;
    struct breaker breaker = {.failures = UINT32_MAX - 1};
    (void)state;
    off.is_off = true;
    for (int i = 0; i < 3; i++) {
        assert_false(attempt(&breaker, &off, BREAKER_FAILURE, i));
    }
    assert_int_equal(breaker.failures, UINT32_MAX);
}

/* Settings of 0 mean 1: nothing divides by them, and nothing is locked for ever. */
static void zeros(void **state)
{
    const struct breaker_conf none = {0};
    struct breaker breaker = {0};
    (void)state;
    assert_true(attempt(&breaker, &none, BREAKER_FAILURE, 5));
    assert_true(attempt(&breaker, &none, BREAKER_SUCCESS, 5)); /* half-open at once */
    assert_int_equal(breaker_effective(&breaker), BREAKER_CLOSED);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(breaker_state_name(BREAKER_CLOSED), "closed");
    assert_string_equal(breaker_state_name(BREAKER_OPEN), "open");
    assert_string_equal(breaker_state_name(BREAKER_HALF_OPEN), "half_open");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_after_failures_in_a_row),
        cmocka_unit_test(half_open_closes_after_successes),
        cmocka_unit_test(half_open_opens_at_any_failure),
        cmocka_unit_test(neutral_gives_back_the_place),
        cmocka_unit_test(several_probes_at_once),
        cmocka_unit_test(late_answers_are_not_heard),
        cmocka_unit_test(a_lost_probe_locks_nothing),
        cmocka_unit_test(a_short_open_time_loses_no_slow_probe),
        cmocka_unit_test(one_more_beside_a_probe_that_is_not_told),
        cmocka_unit_test(an_early_trial),
        cmocka_unit_test(levers_go_before_all),
        cmocka_unit_test(reset_closes_whatever_it_was),
        cmocka_unit_test(switched_off),
        cmocka_unit_test(told_twice),
        cmocka_unit_test(counts_end_at_their_end),
        cmocka_unit_test(zeros),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
