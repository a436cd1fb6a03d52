/* SPDX-License-Identifier: MIT */
/* test_pace.c - the pace behind refusals: near the rate that a server takes, whichever that is. */
#include "resilience/pace.h"

#include "chance.h"

#define S  INT64_C(1000000)
#define MS INT64_C(1000)

/* Takes so many in each window of its own clock. */
struct taker {
    unsigned most;
    mono_us window, began;
    unsigned count;
};

static bool takes(struct taker *taker, mono_us now)
{
    if (now - taker->began >= taker->window) {
        taker->began = now - (now - taker->began) % taker->window;
        taker->count = 0;
    }
    return ++taker->count <= taker->most;
}

struct run {
    unsigned taken, refused;
};

/* There is always one more that wants to go, and answers are there at once. Behind a refusal nothing goes
 * until the window ends. */
static struct run press(struct pace *pace, struct taker *taker, mono_us *now, mono_us during)
{
    struct run run = {0};
    mono_us end = *now + during;
    while (*now < end) {
        mono_us next = pace_next(pace, *now);
        if (next > *now) {
            *now = next;
            continue;
        }
        if (pace_is_active(pace)) {
            pace_pass(pace, *now);
        }
        mono_us since = *now;
        *now += MS;
        if (takes(taker, *now)) {
            run.taken++;
            pace_good(pace, *now);
        } else {
            run.refused++;
            pace_refused(pace, since, *now);
            *now = taker->began + taker->window;
        }
    }
    return run;
}

static void free_until_refused(void **state)
{
    struct pace pace = {0};
    (void)state;
    for (mono_us now = 50 * S; now < 60 * S; now += MS) {
        assert_int_equal(pace_next(&pace, now), 0);
        pace_good(&pace, now);
        assert_false(pace_is_active(&pace));
    }
    assert_int_equal(pace_rate(&pace, 60 * S), 0);
}

static void a_fifth_less_then_flat_then_steep_then_free(void **state)
{
    struct pace pace = {0};
    mono_us now = 50 * S;
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        pace_good(&pace, now);
    }
    pace_refused(&pace, now - MS, now);
    assert_true(pace_is_active(&pace));
    now += 2 * S; /* as the server asked for */
    assert_int_equal(pace_next(&pace, now), 0);
    pace_pass(&pace, now);
    assert_in_range(pace_rate(&pace, now), 79900, 80100);
    assert_in_range(pace_next(&pace, now), now + 12 * MS, now + 13 * MS);
    uint32_t before = 0;
    for (unsigned ms = 0; ms < 60000; ms += 100) {
        uint32_t rate = pace_rate(&pace, now + ms * MS);
        if (rate == 0) {
            assert_in_range(ms, 10000, 23000);
            break;
        }
        assert_true(rate >= before);
        before = rate;
        if (ms == 3000) { /* the rate that was refused, again */
            assert_in_range(rate, 99900, 100100);
        }
    }
    now += 60 * S;
    assert_int_equal(pace_rate(&pace, now), 0);
    assert_int_equal(pace_next(&pace, now), 0);
    pace_pass(&pace, now);
    assert_false(pace_is_active(&pace));
}

static void a_run_of_refusals_is_one(void **state)
{
    struct pace pace = {0};
    mono_us now = 50 * S;
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        pace_good(&pace, now);
    }
    pace_refused(&pace, now, now + MS);
    pace_good(&pace, now + 2 * MS); /* had gone in before */
    pace_refused(&pace, now, now + 3 * MS);
    pace_pass(&pace, now + S);
    assert_int_equal(pace.most, 11000);
    pace_refused(&pace, now, now + S + MS); /* a late one of the same run */
    assert_false(pace.is_refused);
    pace_refused(&pace, now + S, now + S + 2 * MS);
    assert_true(pace.is_refused);
}

static void at_least_one_a_second(void **state)
{
    struct pace pace = {0};
    mono_us now = 50 * S;
    (void)state;
    pace_refused(&pace, now, now + MS);
    pace_pass(&pace, now + 2 * MS); /* nothing is known of it */
    assert_in_range(pace_rate(&pace, now), PACE_FIRST * 4 / 5 - 10, PACE_FIRST * 4 / 5 + 1);
    for (unsigned i = 0; i < 50; i++) { /* nothing is ever taken */
        now += 2 * MS;
        pace_refused(&pace, now, now + MS);
        now += 2 * MS;
        pace_pass(&pace, now);
        assert_in_range(pace_rate(&pace, now), PACE_LEAST * 4 / 5, PACE_LEAST * 4 / 5 + 1);
        assert_true(pace_next(&pace, now) <= now + 1250 * MS);
    }
}

/* Of a server that takes `most` a window, under pressure: how much of that it is asked for, and how often
 * more. */
static void finds_the_rate(unsigned most, mono_us window)
{
    struct taker taker = {.most = most, .window = window};
    struct pace pace = {0};
    mono_us now = (mono_us)chance_to(1000 * S);
    (void)press(&pace, &taker, &now, 60 * S);
    struct run run = press(&pace, &taker, &now, 600 * S);
    double could = (double)most * 600e6 / (double)window;
    print_message("%4u in %5lld ms: %5.1f %% used, %.1f %% of what it was sent refused\n", most,
                  (long long)(window / MS), 100.0 * run.taken / could,
                  100.0 * run.refused / (run.taken + run.refused));
    assert_true(run.taken <= could + most);
    assert_true(run.taken >= could * 0.85);
    assert_true(run.refused * 5 <= run.taken);
}

static void finds_any_rate(void **state)
{
    static const unsigned mosts[] = {1, 2, 5, 10, 50, 200, 500};
    (void)state;
    for (unsigned i = 0; i < sizeof mosts / sizeof *mosts; i++) {
        finds_the_rate(mosts[i], S);
        finds_the_rate(mosts[i] * 10, 10 * S);
        finds_the_rate(mosts[i] * 60, 60 * S);
    }
}

/* Whatever happens in whatever order: no time goes wrong, and one may go in 1.25 s at the latest. */
static void never_stuck(void **state)
{
    struct pace pace = {0};
    mono_us now = (mono_us)chance_to(S);
    (void)state;
    for (unsigned i = 0; i < STEPS; i++) {
        now += (mono_us)chance_size(100 * S);
        if (chance_of(30)) {
            pace_good(&pace, now);
        } else if (chance_of(10)) {
            pace_refused(&pace, now - (mono_us)chance_size((uint64_t)now), now);
        } else if (pace_next(&pace, now) <= now && pace_is_active(&pace)) {
            pace_pass(&pace, now);
        }
        assert_true(pace_next(&pace, now) <= now + 1250 * MS);
        assert_true(pace_rate(&pace, now) < PACE_MOST);
        assert_true(!pace.most || (pace.most >= PACE_LEAST && pace.most <= PACE_MOST));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(free_until_refused, chance_restart),
        cmocka_unit_test_setup(a_fifth_less_then_flat_then_steep_then_free, chance_restart),
        cmocka_unit_test_setup(a_run_of_refusals_is_one, chance_restart),
        cmocka_unit_test_setup(at_least_one_a_second, chance_restart),
        cmocka_unit_test_setup(finds_any_rate, chance_restart),
        cmocka_unit_test_setup(never_stuck, chance_restart),
    };
    return cmocka_run_group_tests(tests, chance_setup, NULL);
}
