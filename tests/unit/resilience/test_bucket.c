/* SPDX-License-Identifier: MIT */
/* test_bucket.c - token buckets: never more than told in any window, never less; how rates are written. */
#include "resilience/bucket.h"

#include "chance.h"

#define S INT64_C(1000000)

static const struct rate_conf ten = {.count = 10, .period_us = S};

static unsigned take_all(struct bucket *bucket, const struct rate_conf *conf, mono_us now)
{
    unsigned count = 0;
    while (count < 100000 && bucket_take(bucket, conf, now, NULL)) {
        count++;
    }
    return count;
}

static void a_burst_and_then_the_rate(void **state)
{
    struct bucket bucket = {0};
    mono_us wait = -1;
    (void)state;
    assert_int_equal(take_all(&bucket, &ten, 5), 10);
    assert_false(bucket_take(&bucket, &ten, 5, &wait));
    assert_int_equal(wait, S / 10);
    assert_int_equal(bucket_wait(&bucket, &ten, 5 + S / 10 - 1), 1);
    assert_int_equal(take_all(&bucket, &ten, 5 + S / 10), 1);
    assert_int_equal(take_all(&bucket, &ten, 5 + S), 9);
    assert_int_equal(take_all(&bucket, &ten, 100 * S), 10); /* it holds no more */
}

static void a_burst_of_its_own(void **state)
{
    const struct rate_conf few = {10, 2, S}, many = {10, 50, S};
    struct bucket bucket = {0};
    (void)state;
    assert_int_equal(take_all(&bucket, &few, 0), 2);
    assert_int_equal(take_all(&bucket, &few, S / 10), 1);
    bucket = (struct bucket){0};
    assert_int_equal(take_all(&bucket, &many, 0), 50);
    assert_int_equal(take_all(&bucket, &many, S), 10);
}

static void what_is_given_back_is_there_again(void **state)
{
    struct bucket bucket = {0};
    (void)state;
    assert_int_equal(take_all(&bucket, &ten, 0), 10);
    bucket_give_back(&bucket, &ten, 0);
    assert_int_equal(take_all(&bucket, &ten, 0), 1);
    for (int i = 0; i < 30; i++) {
        bucket_give_back(&bucket, &ten, 1); /* more than was taken */
    }
    assert_int_equal(take_all(&bucket, &ten, 1), 10);
}

static void no_limit(void **state)
{
    const struct rate_conf none = {0}, no_period = {.count = 5};
    struct bucket bucket = {.full_at = INT64_MAX};
    (void)state;
    assert_int_equal(take_all(&bucket, &none, 0), 100000);
    assert_int_equal(take_all(&bucket, &no_period, 0), 100000);
    assert_int_equal(bucket_wait(&bucket, &none, 0), 0);
    bucket_give_back(&bucket, &none, 0);
    assert_int_equal(bucket.full_at, INT64_MAX);
}

/* A third of a second is no whole number of microseconds, and nothing is lost by that. */
static void fractions_add_up(void **state)
{
    const struct rate_conf odd = {.count = 700001, .burst = 1, .period_us = S};
    struct bucket bucket = {0};
    mono_us now = 0, wait = 0;
    (void)state;
    for (unsigned i = 0; i < 700001; i++) {
        if (!bucket_take(&bucket, &odd, now, &wait)) {
            now += wait;
            assert_true(bucket_take(&bucket, &odd, now, NULL));
        }
    }
    /* The last of them: 700000 / 700001 of a second, if nobody came late. But whoever waits for a
     * whole microsecond comes up to one late, and the bucket of one is full by then. */
    assert_true(now >= S - 2);
    bucket = (struct bucket){0};
    const struct rate_conf two = {.count = 700001, .burst = 3, .period_us = S};
    now = 0;
    for (unsigned i = 0; i < 700001; i++) {
        if (!bucket_take(&bucket, &two, now, &wait)) {
            now += wait;
            assert_true(bucket_take(&bucket, &two, now, NULL));
        }
    }
    assert_in_range(now, S - 5, S); /* one more is kept for them: the rate is met */
}

static void a_new_rate_holds_at_once(void **state)
{
    const struct rate_conf slow = {1000, 0, 86400 * S};
    struct bucket bucket = {0};
    (void)state;
    assert_int_equal(take_all(&bucket, &slow, 0), 1000);
    assert_int_equal(bucket_wait(&bucket, &ten, 0), S / 10); /* and not most of a day */
    assert_int_equal(take_all(&bucket, &ten, 0), 0);
    assert_int_equal(take_all(&bucket, &ten, S / 10), 1);
    assert_int_equal(take_all(&bucket, &ten, 2 * S), 10);
}

/* ---- by chance --------------------------------------------------------------------------- */

static struct rate_conf some_rate(void)
{
    static const mono_us periods[] = {S, 60 * S, 3600 * S, 86400 * S};
    return (struct rate_conf){1 + (uint32_t)chance_size(RATE_MOST - 1),
                              (uint32_t)chance_size(chance_of(50) ? 20 : RATE_MOST),
                              periods[chance_to(3)]};
}

/* What may be taken is a line that rises with time and has a ceiling: counted in whole numbers, in
 * count-ths of a microsecond, with none of the bucket's own arithmetic. Exact as long as it fits. */
struct line {
    uint64_t room, most, one, rise;
};

static struct line line_of(const struct rate_conf *conf)
{
    uint64_t burst = conf->burst ? conf->burst : conf->count, one = (uint64_t)conf->period_us;
    return (struct line){burst * one, burst * one, one, conf->count};
}

static void pass_time(struct line *line, uint64_t span)
{
    uint64_t missing = line->most - line->room;
    line->room = missing / line->rise < span ? line->most : line->room + span * line->rise;
}

static void one_run(mono_us now, unsigned steps)
{
    const struct rate_conf conf = some_rate();
    struct line line = line_of(&conf);
    struct bucket bucket = {0};
    for (unsigned i = 0; i < steps; i++) {
        mono_us wait = 0, told = 0;
        if (chance_of(5)) {
            bucket_give_back(&bucket, &conf, now);
            line.room = line.most - line.room < line.one ? line.most : line.room + line.one;
        }
        bool may = line.room >= line.one;
        told = bucket_wait(&bucket, &conf, now);
        assert_int_equal(bucket_take(&bucket, &conf, now, &wait), may);
        assert_true(told == wait && (wait == 0) == may);
        if (may) {
            line.room -= line.one;
        } else { /* exactly when there is one: not sooner, not later */
            uint64_t missing = line.one - line.room;
            assert_true((uint64_t)wait == (missing + line.rise - 1) / line.rise);
        }
        mono_us span = chance_of(30)   ? wait
                       : chance_of(10) ? (mono_us)chance_size((uint64_t)conf.period_us * 2)
                       : chance_of(50)
                           ? (mono_us)chance_size((uint64_t)conf.period_us / conf.count)
                           : 0;
        pass_time(&line, (uint64_t)span);
        now += span;
    }
}

static void gives_exactly_what_there_is(void **state)
{
    (void)state;
    for (unsigned i = 0; i < STEPS / 200; i++) {
        one_run((mono_us)chance_size(INT64_MAX / 2), 200);
    }
}

/* Somebody who takes whatever he can get: over each window of a long run. */
static void no_window_has_more(void **state)
{
    enum { TAKES = 2000 };
    static mono_us at[TAKES];
    (void)state;
    for (unsigned run = 0; run < 12; run++) {
        struct rate_conf conf = {1 + (uint32_t)chance_size(1000),
                                 1 + (uint32_t)chance_size(100),
                                 1 + (mono_us)chance_size(3600 * S)};
        struct bucket bucket = {0};
        mono_us now = (mono_us)chance_size(1u << 30), wait = 0;
        for (unsigned i = 0; i < TAKES; i++) {
            while (!bucket_take(&bucket, &conf, now, &wait)) {
                now += wait;
            }
            at[i] = now;
            now += chance_of(5) ? (mono_us)chance_size((uint64_t)conf.period_us) : 0;
        }
        for (unsigned i = 0; i < TAKES; i++) {
            for (unsigned j = i; j < TAKES; j++) {
                double most =
                    conf.burst + (double)(at[j] - at[i]) * conf.count / (double)conf.period_us;
                if (j - i + 1 > most + 1e-6) {
                    fail_msg("%u in %" PRId64 " us", j - i + 1, at[j] - at[i]);
                }
            }
        }
    }
}

static void nonsense_is_survived(void **state)
{
    struct bucket bucket = {0};
    (void)state;
    for (unsigned i = 0; i < STEPS; i++) {
        struct rate_conf conf = {(uint32_t)chance_size(UINT32_MAX),
                                 (uint32_t)chance_size(UINT32_MAX), (mono_us)chance()};
        mono_us now = (mono_us)chance(), wait = 1;
        if (!bucket_take(&bucket, &conf, now, &wait)) {
            assert_true(wait > 0);
        }
        if (chance_of(30)) {
            bucket_give_back(&bucket, &conf, now);
        }
        if (chance_of(5)) {
            bucket = (struct bucket){(mono_us)chance(), (uint32_t)chance()};
        }
    }
}

/* ---- how rates are written ---------------------------------------------------------------- */

static void rates(void **state)
{
    static const struct {
        const char *text;
        struct rate_conf conf;
    } good[] = {
        {"10/s", {10, 0, S}},
        {"100/min", {100, 0, 60 * S}},
        {"5000/h", {5000, 0, 3600 * S}},
        {"1000/day", {1000, 0, 86400 * S}},
        {"909/s burst 99", {909, 99, S}},
        {"1/s burst 20", {1, 20, S}},
        {"1000000/s burst 1000000", {1000000, 1000000, S}},
        {"0", {0, 0, 0}},
    };
    static const char *const bad[] = {"",
                                      " ",
                                      "10",
                                      "/s",
                                      "10/",
                                      "10/sec",
                                      "10/m",
                                      "10 /s",
                                      "10/ s",
                                      " 10/s",
                                      "10/s ",
                                      "-1/s",
                                      "+1/s",
                                      "0/s",
                                      "00",
                                      "01/s",
                                      "1.5/s",
                                      "1000001/s",
                                      "99999999999999999999/s",
                                      "10/s burst",
                                      "10/s burst ",
                                      "10/s burst 0",
                                      "10/s burst -1",
                                      "10/s burst 1000001",
                                      "10/s  burst 5",
                                      "10/s burst 5 ",
                                      "10/s burst 5/s",
                                      "10/sburst 5",
                                      "0 burst 5",
                                      "10/S",
                                      "ten/s",
                                      "10/min/s",
                                      "4294967297/s",
                                      "10/s burst 18446744073709551617"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct rate_conf conf = {7, 7, 7};
        if (!rate_parse(good[i].text, &conf)) {
            fail_msg("%s is refused", good[i].text);
        }
        assert_int_equal(conf.count, good[i].conf.count);
        assert_int_equal(conf.burst, good[i].conf.burst);
        assert_int_equal(conf.period_us, good[i].conf.period_us);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rate_conf conf = {7, 7, 7};
        if (rate_parse(bad[i], &conf)) {
            fail_msg("\"%s\" is taken", bad[i]);
        }
        assert_int_equal(conf.count, 7); /* nothing is written */
        assert_int_equal(conf.period_us, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_and_then_the_rate),
        cmocka_unit_test(a_burst_of_its_own),
        cmocka_unit_test(what_is_given_back_is_there_again),
        cmocka_unit_test(no_limit),
        cmocka_unit_test(fractions_add_up),
        cmocka_unit_test(a_new_rate_holds_at_once),
        cmocka_unit_test_setup(gives_exactly_what_there_is, chance_restart),
        cmocka_unit_test_setup(no_window_has_more, chance_restart),
        cmocka_unit_test_setup(nonsense_is_survived, chance_restart),
        cmocka_unit_test(rates),
    };
    return cmocka_run_group_tests(tests, chance_setup, NULL);
}
