/* SPDX-License-Identifier: MIT */
/* test_plan.c - when a service is looked at next, for all that can be known of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "health/plan.h"

#include <stdio.h>

#define S ((mono_us)1000000)

#define EXPECT(action, when, ...) \
    expect_plan((action), (when), &(struct plan_facts){__VA_ARGS__}, __LINE__)

static void expect_plan(enum plan_action action, mono_us when, const struct plan_facts *facts,
                        int line)
{
    mono_us got = -1;
    enum plan_action what = plan(facts, &got);
    if (what != action || (action != PLAN_NOTHING && got != when)) {
        fail_msg("line %d: action %d at %lld, not %d at %lld", line, (int)what, (long long)got,
                 (int)action, (long long)when);
    }
}

#define WELL .may_probe = true, .is_connected = true, .answered = 100 * S, .interval = 300 * S

static void all_is_well(void **state)
{
    (void)state;
    EXPECT(PLAN_PROBE, 400 * S, WELL);
    EXPECT(PLAN_NOTHING, 0, .may_probe = true, .is_connected = true, .answered = 100 * S);
    EXPECT(PLAN_PROBE, 7 * S, .may_probe = true, .is_critical = true, .interval = 300 * S,
           .first = 7 * S);
    EXPECT(PLAN_PROBE, 400 * S, .may_probe = true, .is_critical = true, .answered = 100 * S,
           .interval = 300 * S, .first = 7 * S);
}

static void who_sleeps_is_not_woken(void **state)
{
    (void)state;
    EXPECT(PLAN_NOTHING, 0, .may_probe = true, .interval = 300 * S, .first = 7 * S);
    EXPECT(PLAN_LOOK, 400 * S, .may_probe = true, .answered = 100 * S, .interval = 300 * S);
    EXPECT(PLAN_NOTHING, 0, .may_probe = true, .answered = 100 * S, .interval = 300 * S,
           .is_asleep = true);
}

static void after_a_failure_sooner(void **state)
{
    (void)state;
    EXPECT(PLAN_PROBE, 105 * S, WELL, .is_failing = true, .steps = 0);
    EXPECT(PLAN_PROBE, 110 * S, WELL, .is_failing = true, .steps = 1);
    EXPECT(PLAN_PROBE, 130 * S, WELL, .is_failing = true, .steps = 2);
    EXPECT(PLAN_PROBE, 400 * S, WELL, .is_failing = true, .steps = 3);
    EXPECT(PLAN_PROBE, 400 * S, WELL, .is_failing = true, .steps = 1000000);
    /* one without a session is looked after too, but not for ever */
    EXPECT(PLAN_PROBE, 105 * S, .may_probe = true, .answered = 100 * S, .interval = 300 * S,
           .is_failing = true);
    EXPECT(PLAN_LOOK, 400 * S, .may_probe = true, .answered = 100 * S, .interval = 300 * S,
           .is_failing = true, .steps = 3);
}

#define OPEN WELL, .is_open = true, .is_failing = true, .opened = 50 * S

static void an_open_breaker_is_probed_early(void **state)
{
    (void)state;
    EXPECT(PLAN_PROBE, 51 * S, OPEN);
    EXPECT(PLAN_PROBE, 53 * S, OPEN, .tries = 1, .tried = 51 * S);
    EXPECT(PLAN_PROBE, 58 * S, OPEN, .tries = 2, .tried = 53 * S);
    EXPECT(PLAN_PROBE, 99998 * S, OPEN, .tries = 9999, .tried = 99993 * S);
    EXPECT(PLAN_PROBE, 58 * S, OPEN, .tries = 7, .tried = 53 * S, .is_half_open = true);
    EXPECT(PLAN_PROBE, 53 * S, OPEN, .tries = 7, .tried = 53 * S, .is_half_open = true,
           .is_returning = true);
}

static void nobody_else_s_credentials(void **state)
{
    (void)state;
    EXPECT(PLAN_TRY_EARLY, 51 * S, .is_open = true, .opened = 50 * S);
    EXPECT(PLAN_TRY_EARLY, 58 * S, .is_open = true, .opened = 50 * S, .tries = 2,
           .tried = 53 * S);
    /* a call that tries may wait long for its answer: one more beside it */
    EXPECT(PLAN_TRY_EARLY, 58 * S, .is_open = true, .is_half_open = true, .opened = 50 * S,
           .tries = 2, .tried = 53 * S);
    EXPECT(PLAN_TRY_EARLY, 56 * S, .is_open = true, .is_half_open = true, .opened = 50 * S,
           .tries = 1, .tried = 51 * S);
    EXPECT(PLAN_TRY_EARLY, 58 * S, .is_open = true, .is_half_open = true, .is_returning = true,
           .opened = 50 * S, .tries = 2, .tried = 53 * S);
    EXPECT(PLAN_NOTHING, 0, .is_connected = true, .answered = 100 * S, .interval = 300 * S);
    EXPECT(PLAN_NOTHING, 0, .is_connected = true, .is_failing = true, .answered = 100 * S,
           .interval = 300 * S);
    EXPECT(PLAN_LOOK, 400 * S, .answered = 100 * S, .interval = 300 * S);
}

static void a_quarantine_is_waited_out(void **state)
{
    (void)state;
    EXPECT(PLAN_NOTHING, 0, OPEN, .is_held = true, .held_until = MONO_NEVER);
    EXPECT(PLAN_LOOK, 90 * S + S / 2, OPEN, .is_held = true, .held_until = 90 * S);
    EXPECT(PLAN_PROBE, 0, WELL, .was_held = true);
    EXPECT(PLAN_PROBE, 0, .may_probe = true, .was_held = true);
    EXPECT(PLAN_NOTHING, 0, .was_held = true);
}

static void what_the_server_forbids_is_waited_out(void **state)
{
    (void)state;
    EXPECT(PLAN_PROBE, 500 * S, WELL, .not_before = 500 * S);
    EXPECT(PLAN_PROBE, 500 * S, OPEN, .not_before = 500 * S);
    EXPECT(PLAN_PROBE, 400 * S, WELL, .not_before = 300 * S);
}

/* Whatever is known: an outage is never left alone for more than five seconds, nobody is probed
 * whose credentials are a user's or who is held, and what sleeps stays asleep. */
static void in_all_cases(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 1u << 10; bits++) {
        for (unsigned tries = 0; tries < 4; tries++) {
            const struct plan_facts facts = {
                .may_probe = bits & 1,
                .is_critical = bits & 2,
                .is_connected = bits & 4,
                .is_asleep = bits & 8,
                .is_held = bits & 16,
                .held_until = 1000 * S,
                .was_held = bits & 32,
                .is_open = bits & 64,
                .is_half_open = (bits & 192) == 192,
                .is_returning = (bits & 448) == 448,
                .is_failing = bits & 512,
                .opened = 100 * S,
                .tries = tries,
                .tried = 100 * S,
                .steps = tries,
                .answered = 100 * S,
                .interval = 300 * S,
            };
            mono_us when = -1;
            enum plan_action action = plan(&facts, &when);
            assert_true(action == PLAN_NOTHING || when >= 0);
            assert_true(action != PLAN_PROBE || (facts.may_probe && !facts.is_held));
            if (facts.is_open && !facts.is_held && facts.may_probe) {
                assert_int_equal(action, PLAN_PROBE);
                assert_true(when <= 100 * S + PLAN_EARLY_US);
            }
            if (action == PLAN_TRY_EARLY) { /* changes nothing by itself: never at once again */
                assert_true(when > 100 * S && when <= 100 * S + PLAN_EARLY_US);
            }
            if (facts.is_asleep && !facts.is_connected && !facts.is_critical &&
                !facts.is_failing && !facts.is_open && !facts.is_held && !facts.was_held) {
                assert_int_equal(action, PLAN_NOTHING);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_well),
        cmocka_unit_test(who_sleeps_is_not_woken),
        cmocka_unit_test(after_a_failure_sooner),
        cmocka_unit_test(an_open_breaker_is_probed_early),
        cmocka_unit_test(nobody_else_s_credentials),
        cmocka_unit_test(a_quarantine_is_waited_out),
        cmocka_unit_test(what_the_server_forbids_is_waited_out),
        cmocka_unit_test(in_all_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
