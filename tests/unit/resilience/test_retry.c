/* SPDX-License-Identifier: MIT */
/* test_retry.c - waits, verdicts over all classes and flags, and a budget that is a share. */
#include "resilience/retry.h"

#include "chance.h"

#define S  INT64_C(1000000)
#define MS INT64_C(1000)

static const struct retry_conf usual = {.strategy = RETRY_EXPONENTIAL_JITTER,
                                        .max_attempts = 3,
                                        .base_ms = 1000,
                                        .max_ms = 30000,
                                        .budget_percent = 20,
                                        .budget_per_s = 1};

/* ---- waits ------------------------------------------------------------------------------- */

static void waits_by_strategy(void **state)
{
    static const struct {
        enum retry_strategy strategy;
        int ms[8]; /* behind attempts 1 to 8 */
    } table[] = {
        {RETRY_FIXED, {1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000}},
        {RETRY_LINEAR, {1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000}},
        {RETRY_EXPONENTIAL, {1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct retry_conf conf = usual;
        conf.strategy = table[i].strategy;
        for (unsigned attempt = 1; attempt <= 8; attempt++) {
            assert_int_equal(retry_wait(&conf, attempt, chance()),
                             table[i].ms[attempt - 1] * MS);
        }
        assert_int_equal(retry_wait(&conf, 0, 0), 1000 * MS);
    }
}

static void jitter_is_a_quarter_more_or_less(void **state)
{
    (void)state;
    assert_int_equal(retry_wait(&usual, 1, 0), 750 * MS);
    assert_int_equal(retry_wait(&usual, 1, UINT32_MAX), 1250 * MS);
    assert_int_equal(retry_wait(&usual, 3, 0), 3000 * MS);
    assert_int_equal(retry_wait(&usual, 3, UINT32_MAX), 5000 * MS);
    assert_int_equal(retry_wait(&usual, 30, 0), 22500 * MS);
    assert_int_equal(retry_wait(&usual, 30, UINT32_MAX),
                     30000 * MS); /* max_ms is the longest */
}

/* Evenly, and at the ceiling too: many that fail together do not come back together. */
static void jitter_is_spread(void **state)
{
    (void)state;
    for (unsigned attempt = 1; attempt < 40; attempt += 13) {
        mono_us least = retry_wait(&usual, attempt, 0);
        mono_us most = retry_wait(&usual, attempt, UINT32_MAX);
        unsigned in[10] = {0};
        for (unsigned i = 0; i < 20000; i++) {
            mono_us wait = retry_wait(&usual, attempt, chance());
            assert_in_range(wait, least, most);
            in[(wait - least) * 9 / (most - least)]++;
        }
        for (unsigned i = 0; i < 9; i++) {
            assert_in_range(in[i], 1900, 2600);
        }
    }
}

static struct retry_conf some_conf(void)
{
    return (struct retry_conf){.strategy = (enum retry_strategy)chance_to(3),
                               .max_attempts = (uint32_t)chance_size(20),
                               .base_ms = (uint32_t)chance_size(UINT32_MAX),
                               .max_ms = (uint32_t)chance_size(UINT32_MAX),
                               .budget_percent = (uint32_t)chance_size(300),
                               .budget_per_s = (uint32_t)chance_size(100)};
}

/* What is told of the strategy, with wide numbers. */
static void waits_are_bounded_and_rise(void **state)
{
    (void)state;
    for (unsigned i = 0; i < STEPS; i++) {
        const struct retry_conf conf = some_conf();
        unsigned attempt = 1 + (unsigned)chance_size(UINT32_MAX - 2);
        uint64_t random = chance();
        mono_us wait = retry_wait(&conf, attempt, random), max = conf.max_ms * MS;
        assert_in_range(wait, 0, max);
        assert_true(retry_wait(&conf, attempt + 1, random) >= wait);
        long double plain = conf.base_ms * (long double)MS;
        if (conf.strategy == RETRY_LINEAR) {
            plain *= attempt;
        } else if (conf.strategy != RETRY_FIXED) {
            for (unsigned j = 1; j < attempt && plain < (long double)max && plain > 0; j++) {
                plain *= 2;
            }
        }
        plain = plain < (long double)max ? plain : (long double)max;
        bool has_jitter = conf.strategy == RETRY_EXPONENTIAL_JITTER;
        assert_true(wait >= (has_jitter ? plain * 3 / 4 : plain));
        assert_true(wait <= (has_jitter ? plain * 5 / 4 : plain));
    }
}

/* ---- verdicts ---------------------------------------------------------------------------- */

static enum retry_verdict decide(const struct retry_conf *conf, const struct failure *failure,
                                 bool may_have_been_done, bool is_harmless, unsigned attempts)
{
    const struct retry_facts facts = {.failure = failure,
                                      .may_have_been_done = may_have_been_done,
                                      .is_harmless = is_harmless,
                                      .attempts = attempts,
                                      .deadline = 3600 * S};
    mono_us at = -1;
    enum retry_verdict verdict = retry_decide(conf, &facts, &at);
    assert_int_equal(at >= 0, verdict == RETRY_YES);
    return verdict;
}

static bool is_of_use(const struct failure *failure)
{
    enum failure_class class = failure->class;
    return failure->is_retryable &&
           (class == FAILURE_NETWORK || class == FAILURE_PROCESS || class == FAILURE_SERVER ||
            class == FAILURE_RATE_LIMIT ||
            (class == FAILURE_OF_BROKER && failure->code == ERR_UNAVAILABLE &&
             failure->retry_after_ms >= 0));
}

/* Every code, every class, every flag. */
static void the_whole_product(void **state)
{
    unsigned yes = 0, harmful = 0;
    (void)state;
    for (unsigned i = 0; i < (unsigned)FAILURE_CLASSES * ERR_COUNT * 64; i++) {
        unsigned bits = i % 64, rest = i / 64;
        bool may_have_been_done = bits & 1, is_harmless = bits & 2;
        struct failure failure = {.code = (enum err_code)(rest % ERR_COUNT),
                                  .class = (enum failure_class)(rest / ERR_COUNT),
                                  .is_nothing_done = bits & 4,
                                  .is_retryable = bits & 8,
                                  .retry_after_ms = bits & 16 ? 5000 : -1};
        unsigned attempts = bits & 32 ? 3 : 1;
        enum retry_verdict verdict =
            decide(&usual, &failure, may_have_been_done, is_harmless, attempts);
        bool is_harmful = may_have_been_done && !is_harmless && !failure.is_nothing_done;
        if (!is_of_use(&failure)) {
            assert_int_equal(verdict, RETRY_USELESS);
        } else if (is_harmful) {
            assert_int_equal(verdict, RETRY_HARMFUL);
        } else {
            assert_int_equal(verdict, attempts == 3 ? RETRY_EXHAUSTED : RETRY_YES);
        }
        yes += verdict == RETRY_YES;
        harmful += verdict == RETRY_HARMFUL;
    }
    assert_true(yes > 100 && harmful > 100);
}

static void what_rooms_say_by_code(void **state)
{
    static const struct {
        enum err_code code;
        enum retry_verdict verdict;
    } table[] = {
        {ERR_UNAVAILABLE, RETRY_YES},       {ERR_TIMEOUT, RETRY_YES},
        {ERR_RATE_LIMITED, RETRY_YES},      {ERR_OVERLOADED, RETRY_USELESS},
        {ERR_CIRCUIT_OPEN, RETRY_USELESS},  {ERR_QUARANTINED, RETRY_USELESS},
        {ERR_AUTH_FAILED, RETRY_USELESS},   {ERR_AUTH_REQUIRED, RETRY_USELESS},
        {ERR_CANCELLED, RETRY_USELESS},     {ERR_VALIDATION_ERROR, RETRY_USELESS},
        {ERR_NOT_FOUND, RETRY_USELESS},     {ERR_POLICY_DENIED, RETRY_USELESS},
        {ERR_SHUTTING_DOWN, RETRY_USELESS}, {ERR_EXTERNAL_TOOL_EXECUTION_FAILED, RETRY_USELESS},
    };
    struct failure failure = {.retry_after_ms = -1};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        failure_set(&failure, table[i].code, "x");
        assert_int_equal(decide(&usual, &failure, false, false, 1), table[i].verdict);
    }
    failure_set(&failure, ERR_RATE_LIMITED, "by the gate, which has waited already");
    failure.class = FAILURE_OF_BROKER;
    assert_int_equal(decide(&usual, &failure, false, false, 1), RETRY_USELESS);
    failure_done(&failure);
}

static void attempts_are_counted(void **state)
{
    struct retry_conf conf = usual;
    const struct failure failure = {
        .class = FAILURE_NETWORK, .is_retryable = true, .retry_after_ms = -1};
    (void)state;
    assert_int_equal(decide(&conf, &failure, false, false, 2), RETRY_YES);
    assert_int_equal(decide(&conf, &failure, false, false, 3), RETRY_EXHAUSTED);
    conf.max_attempts = 1;
    assert_int_equal(decide(&conf, &failure, false, false, 1), RETRY_EXHAUSTED);
    conf.max_attempts = 0;
    assert_int_equal(decide(&conf, &failure, false, false, 1), RETRY_EXHAUSTED);
}

static mono_us at_of(const struct retry_conf *conf, int64_t retry_after_ms, uint64_t random)
{
    const struct failure failure = {
        .class = FAILURE_SERVER, .is_retryable = true, .retry_after_ms = retry_after_ms};
    const struct retry_facts facts = {.failure = &failure,
                                      .attempts = 1,
                                      .now = 5 * S,
                                      .deadline = 3600 * S,
                                      .random = random};
    mono_us at = -1;
    assert_int_equal(retry_decide(conf, &facts, &at), RETRY_YES);
    return at;
}

static void the_server_is_obeyed(void **state)
{
    struct retry_conf fixed = usual;
    fixed.strategy = RETRY_FIXED;
    (void)state;
    assert_int_equal(at_of(&fixed, -1, 0), 6 * S);
    assert_int_equal(at_of(&fixed, 0, 0), 6 * S); /* shorter than ours: ours */
    assert_int_equal(at_of(&fixed, 1500, 0), 5 * S + 1500 * MS);
    assert_int_equal(at_of(&fixed, 60000, 0), 65 * S); /* beyond max_ms: that is of ours */
    assert_int_equal(at_of(&usual, 2000, 0), 7 * S);
    assert_int_equal(at_of(&usual, 2000, UINT32_MAX), 7 * S + 500 * MS);
    assert_int_equal(at_of(&usual, 60000, UINT32_MAX), 66 * S); /* one second more at most */
}

static void nothing_passes_the_deadline(void **state)
{
    struct retry_conf fixed = usual;
    fixed.strategy = RETRY_FIXED;
    const struct failure failure = {
        .class = FAILURE_NETWORK, .is_retryable = true, .retry_after_ms = -1};
    const struct failure told = {
        .class = FAILURE_RATE_LIMIT, .is_retryable = true, .retry_after_ms = INT64_MAX};
    struct retry_facts facts = {
        .failure = &failure, .attempts = 1, .now = 10 * S, .deadline = 11 * S + 1};
    mono_us at = -1;
    (void)state;
    assert_int_equal(retry_decide(&fixed, &facts, &at), RETRY_YES);
    assert_int_equal(at, 11 * S);
    at = -1;
    facts.deadline = 11 * S; /* to begin at the deadline is of no use */
    assert_int_equal(retry_decide(&fixed, &facts, &at), RETRY_TOO_LATE);
    facts.deadline = MONO_NEVER;
    facts.failure = &told;
    assert_int_equal(retry_decide(&fixed, &facts, &at), RETRY_TOO_LATE);
    assert_int_equal(at, -1);
}

/* Calls from their first failure to their end. */
static void waits_of_a_call_end_before_its_deadline(void **state)
{
    unsigned retries = 0;
    (void)state;
    for (unsigned i = 0; i < STEPS; i++) {
        struct retry_conf conf = some_conf();
        conf.base_ms = (uint32_t)chance_size(100000);
        mono_us start = (mono_us)chance_size(INT64_MAX);
        mono_us length = (mono_us)chance_size((uint64_t)3600 * S);
        mono_us deadline = start > INT64_MAX - length ? INT64_MAX : start + length;
        const struct failure failure = {
            .class = FAILURE_NETWORK,
            .is_retryable = true,
            .retry_after_ms = chance_of(50) ? -1 : (int64_t)chance_size(INT64_MAX)};
        struct retry_facts facts = {.failure = &failure, .now = start, .deadline = deadline};
        for (facts.attempts = 1;; facts.attempts++) {
            mono_us at = -1;
            facts.random = chance();
            if (retry_decide(&conf, &facts, &at) != RETRY_YES) {
                assert_int_equal(at, -1);
                break;
            }
            assert_true(at >= facts.now && at < deadline);
            assert_true((at - facts.now) / MS >= failure.retry_after_ms);
            facts.now = at;
            retries++;
        }
        assert_true(facts.attempts <= (conf.max_attempts ? conf.max_attempts : 1));
    }
    assert_true(retries > 1000);
}

/* ---- the budget -------------------------------------------------------------------------- */

static unsigned take_all(struct retry_budget *budget, const struct retry_conf *conf,
                         mono_us now)
{
    unsigned count = 0;
    while (count < 100000 && retry_budget_take(budget, conf, now)) {
        count++;
    }
    return count;
}

static void a_share_of_the_calls(void **state)
{
    struct retry_conf conf = usual;
    struct retry_budget budget = {0};
    (void)state;
    assert_int_equal(take_all(&budget, &conf, 100 * S), 20); /* 10, and 10 s of 1 a second */
    assert_int_equal(take_all(&budget, &conf, 103 * S), 3);
    for (int i = 0; i < 25; i++) {
        retry_budget_call(&budget, &conf, 103 * S);
    }
    assert_int_equal(take_all(&budget, &conf, 103 * S), 5);
    for (int i = 0; i < 10000; i++) {
        retry_budget_call(&budget, &conf, 103 * S);
    }
    assert_int_equal(take_all(&budget, &conf, 103 * S), 20); /* it holds no more */
    conf.budget_per_s = 0;
    budget = (struct retry_budget){0};
    assert_int_equal(take_all(&budget, &conf, 0), 10);
    assert_int_equal(take_all(&budget, &conf, INT64_MAX), 0); /* time earns nothing */
    conf.budget_percent = 0;
    budget = (struct retry_budget){0};
    assert_int_equal(take_all(&budget, &conf, 0), 0); /* no budget is no retry */
    conf.budget_per_s = 2;
    assert_int_equal(take_all(&budget, &conf, 0), 20);
}

/* Over each window of a long run: no more than what it holds and what was earned meanwhile. */
static void no_window_has_more_than_its_share(void **state)
{
    enum { MOMENTS = 3000 };
    static struct {
        mono_us at;
        unsigned calls, retries; /* until then */
    } seen[MOMENTS + 1];
    (void)state;
    for (unsigned run = 0; run < 40; run++) {
        const struct retry_conf conf = some_conf();
        struct retry_budget budget = {0};
        double most = (conf.budget_percent ? 10 : 0) + 10.0 * conf.budget_per_s;
        seen[0].at = (mono_us)chance_size(1u << 30);
        seen[0].calls = seen[0].retries = 0;
        unsigned eager = 5 + (unsigned)chance_to(90);
        for (unsigned i = 1; i <= MOMENTS; i++) {
            seen[i] = seen[i - 1];
            seen[i].at += chance_of(50) ? 0 : (mono_us)chance_size(S);
            if (chance_of(eager)) {
                seen[i].retries += retry_budget_take(&budget, &conf, seen[i].at);
            } else {
                retry_budget_call(&budget, &conf, seen[i].at);
                seen[i].calls++;
            }
        }
        for (unsigned i = 0; i <= MOMENTS; i++) {
            for (unsigned j = i + 1; j <= MOMENTS; j += 1 + j / 16) {
                double earned = (seen[j].calls - seen[i].calls) * conf.budget_percent / 100.0 +
                                (double)(seen[j].at - seen[i].at) / 1e6 * conf.budget_per_s;
                assert_true(seen[j].retries - seen[i].retries <= most + earned + 1e-6);
            }
        }
    }
}

/* A server that fails every time, for an hour: its load grows by the share, and not more. */
static void an_outage_costs_its_share(void **state)
{
    struct retry_conf conf = usual;
    struct retry_budget budget = {0};
    unsigned calls = 0, retries = 0;
    (void)state;
    for (mono_us now = 0; now < 3600 * S; now += 10 * MS) { /* 100 calls a second */
        retry_budget_call(&budget, &conf, now);
        calls++;
        for (unsigned i = 1; i < conf.max_attempts; i++) {
            retries += retry_budget_take(&budget, &conf, now);
        }
    }
    double share = (retries - 3600.0 - 20) / calls; /* without the free ones */
    assert_true(share < 0.2 && share > 0.199);
}

static void any_time_is_survived(void **state)
{
    struct retry_budget budget = {0};
    (void)state;
    for (unsigned i = 0; i < STEPS; i++) {
        struct retry_conf conf = some_conf();
        conf.budget_percent = (uint32_t)chance_size(UINT32_MAX);
        conf.budget_per_s = (uint32_t)chance_size(UINT32_MAX);
        if (chance_of(50)) {
            retry_budget_call(&budget, &conf, (mono_us)chance());
        } else {
            (void)retry_budget_take(&budget, &conf, (mono_us)chance());
        }
        assert_true(budget.spent >= 0);
        if (chance_of(2)) {
            budget.at = INT64_MIN;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(waits_by_strategy, chance_restart),
        cmocka_unit_test(jitter_is_a_quarter_more_or_less),
        cmocka_unit_test_setup(jitter_is_spread, chance_restart),
        cmocka_unit_test_setup(waits_are_bounded_and_rise, chance_restart),
        cmocka_unit_test(the_whole_product),
        cmocka_unit_test(what_rooms_say_by_code),
        cmocka_unit_test(attempts_are_counted),
        cmocka_unit_test(the_server_is_obeyed),
        cmocka_unit_test(nothing_passes_the_deadline),
        cmocka_unit_test_setup(waits_of_a_call_end_before_its_deadline, chance_restart),
        cmocka_unit_test(a_share_of_the_calls),
        cmocka_unit_test_setup(no_window_has_more_than_its_share, chance_restart),
        cmocka_unit_test(an_outage_costs_its_share),
        cmocka_unit_test_setup(any_time_is_survived, chance_restart),
    };
    return cmocka_run_group_tests(tests, chance_setup, NULL);
}
