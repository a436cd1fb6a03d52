/* SPDX-License-Identifier: MIT */
/* test_judge.c - what each end of an attempt says of a service. */
#include "resilience/judge.h"

#include "chance.h"

#define S INT64_C(1000000)

static void by_class(void **state)
{
    static const struct judgement expected[FAILURE_CLASSES] = {
        [FAILURE_OF_CALLER] = {BREAKER_NEUTRAL, QUARANTINE_NEUTRAL, false},
        [FAILURE_OF_BROKER] = {BREAKER_NEUTRAL, QUARANTINE_NEUTRAL, false},
        [FAILURE_NETWORK] = {BREAKER_FAILURE, QUARANTINE_NEUTRAL, false},
        [FAILURE_PROCESS] = {BREAKER_FAILURE, QUARANTINE_FAULT, false},
        [FAILURE_PROTOCOL] = {BREAKER_FAILURE, QUARANTINE_FAULT, false},
        [FAILURE_SERVER] = {BREAKER_FAILURE, QUARANTINE_NEUTRAL, false},
        [FAILURE_RATE_LIMIT] = {BREAKER_NEUTRAL, QUARANTINE_NEUTRAL, false},
        [FAILURE_AUTHENTICATION] = {BREAKER_FAILURE, QUARANTINE_NEUTRAL, true},
        [FAILURE_ANSWER] = {BREAKER_SUCCESS, QUARANTINE_GOOD, false},
    };
    (void)state;
    for (unsigned i = 0; i < FAILURE_CLASSES; i++) {
        const struct failure failure = {.code = ERR_UNAVAILABLE,
                                        .class = (enum failure_class)i};
        struct judgement judgement = judge(&failure, 0, 5 * S);
        assert_int_equal(judgement.breaker, expected[i].breaker);
        assert_int_equal(judgement.quarantine, expected[i].quarantine);
        assert_int_equal(judgement.is_of_user, expected[i].is_of_user);
    }
}

static void success(void **state)
{
    struct judgement judgement = judge(NULL, 0, 5 * S);
    (void)state;
    assert_int_equal(judgement.breaker, BREAKER_SUCCESS);
    assert_int_equal(judgement.quarantine, QUARANTINE_GOOD);
    assert_false(judgement.is_of_user);
}

static void a_caller_in_a_hurry_proves_nothing(void **state)
{
    struct failure failure = {.retry_after_ms = -1};
    (void)state;
    failure_set(&failure, ERR_TIMEOUT, "no answer");
    assert_int_equal(judge(&failure, 5 * S - 1, 5 * S).breaker, BREAKER_NEUTRAL);
    assert_int_equal(judge(&failure, 5 * S, 5 * S).breaker, BREAKER_FAILURE);
    assert_int_equal(judge(&failure, 5 * S, 5 * S).quarantine, QUARANTINE_NEUTRAL);
    failure_set(&failure, ERR_UNAVAILABLE, "no connection"); /* that takes no patience */
    assert_int_equal(judge(&failure, 0, 5 * S).breaker, BREAKER_FAILURE);
    failure_done(&failure);
}

static void patience(void **state)
{
    (void)state;
    assert_int_equal(judge_patience(0), 0);
    assert_int_equal(judge_patience(1), 500);
    assert_int_equal(judge_patience(4000), 2 * S);
    assert_int_equal(judge_patience(10000), 5 * S);
    assert_int_equal(judge_patience(30000), 5 * S);
    assert_int_equal(judge_patience(UINT32_MAX), 5 * S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_class),
        cmocka_unit_test(success),
        cmocka_unit_test(a_caller_in_a_hurry_proves_nothing),
        cmocka_unit_test(patience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
