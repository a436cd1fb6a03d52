/* SPDX-License-Identifier: MIT */
/* test_quarantine.c - longer each time, over after one good call: by example and by chance. */
#include "resilience/quarantine.h"

#include "chance.h"

#define S INT64_C(1000000)

static const struct quarantine_conf usual = {.faults = 5, .first_ms = 30000, .max_ms = 1800000};

static void faults(struct quarantine *quarantine, unsigned count, mono_us now)
{
    for (unsigned i = 0; i < count; i++) {
        assert_false(quarantine_tell(quarantine, &usual, QUARANTINE_FAULT, now));
    }
}

static void expect_left(const struct quarantine *quarantine, mono_us now, mono_us expected)
{
    mono_us left = -1;
    assert_int_equal(quarantine_holds(quarantine, now, &left), expected != 0);
    assert_int_equal(left, expected ? expected : -1);
}

static void five_in_a_row_begin_one(void **state)
{
    struct quarantine quarantine = {0};
    (void)state;
    faults(&quarantine, 4, S);
    assert_false(quarantine_tell(&quarantine, &usual, QUARANTINE_GOOD, S));
    faults(&quarantine, 4, S);
    assert_false(quarantine_tell(&quarantine, &usual, QUARANTINE_NEUTRAL, S));
    expect_left(&quarantine, S, 0);
    assert_true(quarantine_tell(&quarantine, &usual, QUARANTINE_FAULT, S));
    expect_left(&quarantine, S, 30 * S);
    expect_left(&quarantine, 31 * S - 1, 1);
    expect_left(&quarantine, 31 * S, 0);
    assert_int_equal(quarantine.since, S);
    assert_false(quarantine.is_by_hand);
}

static void each_is_twice_as_long(void **state)
{
    static const int seconds[] = {30, 60, 120, 240, 480, 960, 1800, 1800, 1800};
    struct quarantine quarantine = {0};
    mono_us now = 1;
    (void)state;
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        faults(&quarantine, 4, now);
        assert_true(quarantine_tell(&quarantine, &usual, QUARANTINE_FAULT, now));
        expect_left(&quarantine, now, seconds[i] * S);
        now += seconds[i] * S;
        expect_left(&quarantine, now, 0);
        assert_int_equal(quarantine.level, i + 1);
    }
    assert_false(quarantine_tell(&quarantine, &usual, QUARANTINE_GOOD, now));
    assert_int_equal(quarantine.level, 0);
    faults(&quarantine, 4, now);
    assert_true(quarantine_tell(&quarantine, &usual, QUARANTINE_FAULT, now));
    expect_left(&quarantine, now, 30 * S);
}

/* Answers to what was sent before it began. */
static void nothing_late_lengthens_or_ends_it(void **state)
{
    struct quarantine quarantine = {0};
    (void)state;
    faults(&quarantine, 4, S);
    assert_true(quarantine_tell(&quarantine, &usual, QUARANTINE_FAULT, S));
    faults(&quarantine, 20, 2 * S);
    expect_left(&quarantine, 2 * S, 29 * S);
    assert_int_equal(quarantine.faults, 0);
    assert_false(quarantine_tell(&quarantine, &usual, QUARANTINE_GOOD, 3 * S));
    expect_left(&quarantine, 3 * S, 28 * S);
    assert_int_equal(quarantine.level, 0);
}

static void by_hand(void **state)
{
    struct quarantine quarantine = {0};
    (void)state;
    assert_false(quarantine_release(&quarantine, 1));
    quarantine_begin(&quarantine, S, 601 * S);
    assert_true(quarantine.is_by_hand);
    expect_left(&quarantine, S, 600 * S);
    assert_true(quarantine_release(&quarantine, 2 * S));
    expect_left(&quarantine, 2 * S, 0);
    assert_false(quarantine_release(&quarantine, 2 * S));

    quarantine_begin(&quarantine, S, MONO_NEVER);
    expect_left(&quarantine, INT64_C(1) << 62, MONO_NEVER);
    expect_left(&quarantine, MONO_NEVER, MONO_NEVER);
    assert_true(quarantine_release(&quarantine, MONO_NEVER));

    quarantine_begin(&quarantine, S, 2 * S); /* over, and begun by itself after that */
    faults(&quarantine, 4, 2 * S);
    assert_true(quarantine_tell(&quarantine, &usual, QUARANTINE_FAULT, 2 * S));
    assert_false(quarantine.is_by_hand);
    expect_left(&quarantine, 2 * S, 30 * S); /* one by hand does not count */
}

static void release_starts_over(void **state)
{
    struct quarantine quarantine = {0};
    (void)state;
    for (int i = 0; i < 3; i++) {
        faults(&quarantine, 4, i * 1000 * S);
        assert_true(quarantine_tell(&quarantine, &usual, QUARANTINE_FAULT, i * 1000 * S));
    }
    assert_true(quarantine_release(&quarantine, 2001 * S));
    faults(&quarantine, 4, 2001 * S);
    assert_true(quarantine_tell(&quarantine, &usual, QUARANTINE_FAULT, 2001 * S));
    expect_left(&quarantine, 2001 * S, 30 * S);
}

static void switched_off(void **state)
{
    struct quarantine_conf off = usual;
    struct quarantine quarantine = {0};
    (void)state;
    off.is_off = true;
    for (int i = 0; i < 100; i++) {
        assert_false(quarantine_tell(&quarantine, &off, QUARANTINE_FAULT, i));
    }
    quarantine_begin(&quarantine, 100, 200);
    expect_left(&quarantine, 100, 100);
}

static void counts_end_at_their_end(void **state)
{
    struct quarantine_conf off = usual;
    struct quarantine quarantine = {.faults = UINT32_MAX, .level = UINT32_MAX};
    (void)state;
    off.is_off = true;
    assert_false(quarantine_tell(&quarantine, &off, QUARANTINE_FAULT, 1));
    assert_int_equal(quarantine.faults, UINT32_MAX);
    assert_true(quarantine_tell(&quarantine, &usual, QUARANTINE_FAULT, 1));
    assert_int_equal(quarantine.level, UINT32_MAX);
    expect_left(&quarantine, 1, 1800 * S);
}

/* ---- by chance --------------------------------------------------------------------------- */

struct model { /* remembers all that was said */
    unsigned faults, quarantines;
    mono_us until;
};

/* min(first * 2^level, max), by other means. */
static mono_us length(const struct quarantine_conf *conf, unsigned level)
{
    uint64_t most = (uint64_t)conf->max_ms * 1000, first = (uint64_t)conf->first_ms * 1000;
    return (mono_us)(level > 32 || first > most >> level ? (first ? most : 0) : first << level);
}

static void fault(struct model *model, struct quarantine *quarantine,
                  const struct quarantine_conf *conf, mono_us now)
{
    bool holds = now < model->until;
    model->faults += !holds;
    bool begins = !holds && model->faults >= conf->faults;
    assert_int_equal(quarantine_tell(quarantine, conf, QUARANTINE_FAULT, now), begins);
    if (begins) {
        model->faults = 0;
        model->until = now + length(conf, model->quarantines++);
    }
}

static void run(mono_us now, unsigned steps)
{
    const struct quarantine_conf conf = {.faults = 1 + (uint32_t)chance_to(6),
                                         .first_ms = (uint32_t)chance_size(UINT32_MAX),
                                         .max_ms = (uint32_t)chance_size(UINT32_MAX)};
    struct model model = {.until = INT64_MIN};
    struct quarantine quarantine = {0};
    for (unsigned i = 0; i < steps; i++) {
        mono_us left = 0;
        bool holds = now < model.until;
        assert_int_equal(quarantine_holds(&quarantine, now, &left), holds);
        assert_true(left == (holds ? model.until - now : 0));
        assert_true(left <= (mono_us)conf.max_ms * 1000 || quarantine.is_by_hand);
        now += holds && chance_of(20) ? left : (mono_us)chance_size((uint64_t)1 << 24);
        unsigned what = (unsigned)chance_to(99);
        if (what < 80) {
            fault(&model, &quarantine, &conf, now);
        } else if (what < 85) {
            assert_false(quarantine_tell(&quarantine, &conf, QUARANTINE_GOOD, now));
            model.faults = model.quarantines = 0;
        } else if (what < 95) {
            assert_false(quarantine_tell(&quarantine, &conf, QUARANTINE_NEUTRAL, now));
        } else if (what < 98) {
            model.until = now + (mono_us)chance_size((uint64_t)1 << 32);
            model.faults = 0;
            quarantine_begin(&quarantine, now, model.until);
        } else {
            assert_int_equal(quarantine_release(&quarantine, now), now < model.until);
            model = (struct model){.until = INT64_MIN};
        }
    }
}

static void agrees_with_the_model(void **state)
{
    (void)state;
    for (unsigned i = 0; i < STEPS / 200; i++) {
        run(1 + (mono_us)chance_size(INT64_MAX / 2), 200);
    }
}

/* Any times at all: nothing overflows (the sanitizer looks on). */
static void nonsense_is_survived(void **state)
{
    struct quarantine quarantine = {0};
    (void)state;
    for (unsigned i = 0; i < STEPS; i++) {
        struct quarantine_conf conf = {chance_of(10), (uint32_t)chance_size(9),
                                       (uint32_t)chance_size(UINT32_MAX),
                                       (uint32_t)chance_size(UINT32_MAX)};
        mono_us now = (mono_us)chance(), left = 1;
        (void)quarantine_tell(&quarantine, &conf, (enum quarantine_outcome)chance_to(2), now);
        (void)quarantine_holds(&quarantine, now, &left);
        assert_true(left > 0);
        if (chance_of(1)) {
            quarantine_begin(&quarantine, now, (mono_us)chance());
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_in_a_row_begin_one),
        cmocka_unit_test(each_is_twice_as_long),
        cmocka_unit_test(nothing_late_lengthens_or_ends_it),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(release_starts_over),
        cmocka_unit_test(switched_off),
        cmocka_unit_test(counts_end_at_their_end),
        cmocka_unit_test_setup(agrees_with_the_model, chance_restart),
        cmocka_unit_test_setup(nonsense_is_survived, chance_restart),
    };
    return cmocka_run_group_tests(tests, chance_setup, NULL);
}
