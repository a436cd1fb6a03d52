/* SPDX-License-Identifier: MIT */
/* test_resilience.c - retry, breaker, quarantine, rate, queue, health and priority of a service. */
#include "value/pack.h"

#include "services.h"

/* One service `a` with these keys besides its command. */
static struct service_set load_keys(const char *keys)
{
    char text[4096];
    int length = snprintf(text, sizeof text, "return { a = { command = 'x',\n%s } }\n", keys);
    assert_true(length > 0 && (size_t)length < sizeof text);
    return load_lua(text);
}

static const char *fault_of_keys(const char *keys)
{
    char text[4096];
    int length = snprintf(text, sizeof text, "return { a = { command = 'x',\n%s } }\n", keys);
    assert_true(length > 0 && (size_t)length < sizeof text);
    return fault_of(text);
}

static void assert_retry(const struct retry_conf *retry, const struct retry_conf *expected)
{
    assert_int_equal(retry->strategy, expected->strategy);
    assert_int_equal(retry->max_attempts, expected->max_attempts);
    assert_int_equal(retry->base_ms, expected->base_ms);
    assert_int_equal(retry->max_ms, expected->max_ms);
    assert_int_equal(retry->attempt_timeout_ms, expected->attempt_timeout_ms);
    assert_int_equal(retry->budget_percent, expected->budget_percent);
    assert_int_equal(retry->budget_per_s, expected->budget_per_s);
}

static const struct retry_conf default_retry = {.strategy = RETRY_EXPONENTIAL_JITTER,
                                                .max_attempts = 3,
                                                .base_ms = 1000,
                                                .max_ms = 30000,
                                                .budget_percent = 20,
                                                .budget_per_s = 1};

/* ---- what is good ------------------------------------------------------------------------ */

static void the_defaults_are_those_of_the_design(void **state)
{
    (void)state;
    /* A table that says nothing is as none. */
    static const char *const ways[] = {
        "", "retry = {}, breaker = {}, quarantine = {}, health = {}, limits = {}"};
    for (size_t i = 0; i < 2; i++) {
        struct service_set set = load_keys(ways[i]);
        const struct service_conf *conf = set.list[0];
        assert_retry(&conf->retry, &default_retry);
        assert_int_equal(conf->tool_retry_count, 0);
        assert_false(conf->breaker.is_off);
        assert_int_equal(conf->breaker.failures, 5);
        assert_int_equal(conf->breaker.open_ms, 60000);
        assert_int_equal(conf->breaker.probes, 1);
        assert_int_equal(conf->breaker.successes, 2);
        assert_false(conf->quarantine.is_off);
        assert_int_equal(conf->quarantine.faults, 5);
        assert_int_equal(conf->quarantine.first_ms, 30000);
        assert_int_equal(conf->quarantine.max_ms, 1800000);
        assert_int_equal(conf->rate.count, 0);
        assert_int_equal(conf->concurrency, 1024);
        assert_int_equal(conf->queue, 1024);
        assert_int_equal(conf->memory_bytes, 0);
        assert_int_equal(conf->open_files, 0);
        assert_int_equal(conf->health_interval_s, 300);
        assert_false(conf->is_critical);
        service_set_done(&set);
    }
}

static void every_key_is_taken(void **state)
{
    (void)state;
    struct service_set set = load_keys(
        "retry = { max_attempts = 10, strategy = 'linear', base_ms = 20, max_ms = 400,\n"
        "  attempt_timeout_ms = 5000, budget_percent = 50, budget_per_s = 7 },\n"
        "breaker = { failures = 3, open_ms = 30000, probes = 4, successes = 6 },\n"
        "quarantine = { faults = 8, first_ms = 9, max_ms = 11 },\n"
        "limits = { concurrency = 3, rate = '100/min burst 20', queue = 0 },\n"
        "health = { interval_s = 86400 }, priority = 'critical'");
    const struct service_conf *conf = set.list[0];
    const struct retry_conf expected = {.strategy = RETRY_LINEAR,
                                        .max_attempts = 10,
                                        .base_ms = 20,
                                        .max_ms = 400,
                                        .attempt_timeout_ms = 5000,
                                        .budget_percent = 50,
                                        .budget_per_s = 7};
    assert_retry(&conf->retry, &expected);
    assert_int_equal(conf->breaker.failures, 3);
    assert_int_equal(conf->breaker.open_ms, 30000);
    assert_int_equal(conf->breaker.probes, 4);
    assert_int_equal(conf->breaker.successes, 6);
    assert_int_equal(conf->quarantine.faults, 8);
    assert_int_equal(conf->quarantine.first_ms, 9);
    assert_int_equal(conf->quarantine.max_ms, 11);
    assert_int_equal(conf->concurrency, 3);
    assert_int_equal(conf->rate.count, 100);
    assert_int_equal(conf->rate.burst, 20);
    assert_int_equal(conf->rate.period_us, 60000000);
    assert_int_equal(conf->queue, 0);
    assert_int_equal(conf->health_interval_s, 86400);
    assert_true(conf->is_critical);
    service_set_done(&set);
}

static void every_strategy_has_its_name(void **state)
{
    (void)state;
    static const char *const names[] = {"fixed", "linear", "exponential", "exponential_jitter"};
    for (int i = 0; i < 4; i++) {
        char keys[64];
        (void)snprintf(keys, sizeof keys, "retry = { strategy = '%s' }", names[i]);
        struct service_set set = load_keys(keys);
        assert_int_equal(set.list[0]->retry.strategy, i);
        service_set_done(&set);
    }
}

static void false_turns_off(void **state)
{
    (void)state;
    struct service_set set =
        load_keys("retry = false, breaker = false, quarantine = false, health = false,\n"
                  "limits = { rate = '0' }, priority = 'optional'");
    const struct service_conf *conf = set.list[0];
    struct retry_conf expected = default_retry;
    expected.max_attempts = 1;
    assert_retry(&conf->retry, &expected);
    assert_true(conf->breaker.is_off);
    assert_int_equal(conf->breaker.successes, 2); /* levers go on working */
    assert_true(conf->quarantine.is_off);
    assert_int_equal(conf->health_interval_s, 0);
    assert_int_equal(conf->rate.count, 0);
    assert_false(conf->is_critical);
    service_set_done(&set);
}

/* Only max_ms is written: the waits are that long, and nobody has to write the first as well. */
static void a_shorter_longest_wait_cuts_the_first(void **state)
{
    (void)state;
    struct service_set set = load_keys(
        "retry = { max_ms = 500, tools = { t = { max_ms = 100 }, u = { max_ms = 9000 } } },\n"
        "quarantine = { max_ms = 700 }");
    const struct service_conf *conf = set.list[0];
    assert_int_equal(conf->retry.base_ms, 500);
    assert_int_equal(conf->tool_retries[0].retry.base_ms, 100);
    assert_int_equal(conf->tool_retries[1].retry.base_ms, 500);
    assert_int_equal(conf->quarantine.first_ms, 700);
    service_set_done(&set);
}

/* ---- overrides --------------------------------------------------------------------------- */

static const struct retry_conf *retry_of(const struct service_conf *conf, const char *tool,
                                         bool *ret_idempotent)
{
    return service_conf_retry(conf, slice_of(tool), ret_idempotent);
}

static unsigned attempts_of(const struct service_conf *conf, const char *tool)
{
    bool is_idempotent = false;
    return retry_of(conf, tool, &is_idempotent)->max_attempts;
}

static void what_an_override_leaves_out_is_the_services(void **state)
{
    (void)state;
    struct service_set set = load_keys(
        "retry = { tools = { t = { strategy = 'fixed', attempt_timeout_ms = 0 }, u = false },\n"
        "  max_attempts = 4, base_ms = 5, attempt_timeout_ms = 6, budget_percent = 7,\n"
        "  budget_per_s = 8 }");
    const struct service_conf *conf = set.list[0];
    bool is_idempotent = true;
    struct retry_conf expected = conf->retry;
    assert_ptr_equal(retry_of(conf, "other", &is_idempotent), &conf->retry);
    assert_false(is_idempotent);
    expected.strategy = RETRY_FIXED;
    expected.attempt_timeout_ms = 0;
    assert_retry(retry_of(conf, "t", &is_idempotent), &expected);
    assert_int_equal(expected.budget_per_s, 8);
    assert_false(is_idempotent);
    assert_false(service_conf_is_harmful(conf, SLICE("t")));
    expected = conf->retry;
    expected.max_attempts = 1;
    assert_retry(retry_of(conf, "u", &is_idempotent), &expected);
    service_set_done(&set);
}

static void what_the_operator_says_of_repeating(void **state)
{
    (void)state;
    struct service_set set =
        load_keys("retry = { tools = { ['*'] = { max_attempts = 2 },\n"
                  "  ['list-*'] = { idempotent = true }, pay = { idempotent = false } } }");
    const struct service_conf *conf = set.list[0];
    bool is_idempotent = false;
    assert_int_equal(retry_of(conf, "list-deals", &is_idempotent)->max_attempts, 3);
    assert_true(is_idempotent);
    assert_false(service_conf_is_harmful(conf, SLICE("list-deals")));
    (void)retry_of(conf, "pay", &is_idempotent);
    assert_false(is_idempotent);
    assert_true(service_conf_is_harmful(conf, SLICE("pay")));
    assert_int_equal(retry_of(conf, "else", &is_idempotent)->max_attempts, 2);
    assert_false(is_idempotent);
    assert_false(service_conf_is_harmful(conf, SLICE("else")));
    service_set_done(&set);
}

/* Lua gives its keys in no order, and these stand the wrong way round. */
static void the_most_special_override_wins(void **state)
{
    (void)state;
    static const char *const order[] = {
        "delete-lead", "aa", "delete-*-now", "delete-*", "*lead", "d*ete", "*"};
    struct service_set set = load_keys(
        "retry = { tools = { ['*'] = { max_attempts = 1 }, ['d*ete'] = { max_attempts = 8 },\n"
        "  ['delete-*'] = { max_attempts = 2 }, ['*lead'] = { max_attempts = 7 },\n"
        "  ['delete-*-now'] = { max_attempts = 4 }, ['aa'] = { max_attempts = 6 },\n"
        "  ['delete-lead'] = { max_attempts = 5 } } }");
    const struct service_conf *conf = set.list[0];
    assert_int_equal(conf->tool_retry_count, 7);
    for (size_t i = 0; i < 7; i++) {
        assert_true(slice_is(conf->tool_retries[i].pattern, order[i]));
    }
    assert_int_equal(attempts_of(conf, "delete-lead"), 5);
    assert_int_equal(attempts_of(conf, "delete-lead-now"), 4);
    assert_int_equal(attempts_of(conf, "delete-all"), 2);
    assert_int_equal(attempts_of(conf, "new-lead"), 7);
    assert_int_equal(attempts_of(conf, "dxete"), 8);
    assert_int_equal(attempts_of(conf, "aa"), 6);
    assert_int_equal(attempts_of(conf, "b"), 1);
    service_set_done(&set);
    /* Of the same length: by their bytes. */
    set = load_keys("retry = { tools = { ['lis*'] = { max_attempts = 4 },\n"
                    "  ['*ist'] = { max_attempts = 2 }, ['l*st'] = { max_attempts = 3 } } }");
    assert_int_equal(attempts_of(set.list[0], "list"), 2);
    assert_int_equal(attempts_of(set.list[0], "lost"), 3);
    assert_int_equal(attempts_of(set.list[0], "lise"), 4);
    service_set_done(&set);
}

/* ---- reload ------------------------------------------------------------------------------ */

static bool goes_on(const char *before, const char *after)
{
    struct service_set first = load_keys(before);
    struct service_set second = load_keys(after);
    bool is_equal = service_conf_equal(first.list[0], second.list[0]);
    assert_true(service_conf_equal(second.list[0], first.list[0]) == is_equal);
    service_set_done(&first);
    service_set_done(&second);
    return is_equal;
}

static void sessions_go_on_when_only_these_change(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "retry = false",
        "retry = { max_attempts = 5, tools = { t = { idempotent = true } } }",
        "breaker = false",
        "breaker = { failures = 2 }",
        "quarantine = { faults = 2 }",
        "health = { interval_s = 1 }",
        "priority = 'critical'",
        "limits = { rate = '10/s' }",
        "limits = { queue = 5 }",
        "limits = {}",
        "limits = { rate = '10/s', queue = 5 }, retry = {}, health = false",
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        assert_true(goes_on("", changes[i]));
    }
    assert_true(goes_on("limits = { concurrency = 3, queue = 1 }",
                        "limits = { rate = '1/s', concurrency = 3 }"));
    assert_false(goes_on("limits = { concurrency = 3 }", "limits = { concurrency = 4 }"));
    assert_false(goes_on("", "limits = { concurrency = 4, queue = 5 }"));
    assert_false(goes_on("", "limits = { open_files = 64 }"));
    assert_false(goes_on("", "timeout_ms = 5, retry = false"));
    assert_false(goes_on("retry = false", "retry = false, env = { A = 'b' }"));
}

static void the_definition_shows_what_is_written(void **state)
{
    (void)state;
    struct service_set set = load_keys(
        "retry = { max_attempts = 2, tools = { ['get-*'] = { idempotent = true } } },\n"
        "breaker = false, limits = { rate = '10/s', queue = 5 }, priority = 'critical'");
    struct slice shown = set.list[0]->definition;
    struct slice value;
    struct slice text;
    int64_t number = 0;
    bool is_set = true;
    assert_true(pack_get(shown, "retry", &value));
    assert_true(pack_get_int(value, "max_attempts", &number) && number == 2);
    assert_true(pack_get(value, "tools", &value) && pack_get(value, "get-*", &value));
    assert_true(pack_get_bool(value, "idempotent", &is_set) && is_set);
    assert_true(pack_get_bool(shown, "breaker", &is_set) && !is_set);
    assert_true(pack_get(shown, "limits", &value));
    assert_true(pack_get_text(value, "rate", &text) && slice_is(text, "10/s"));
    assert_true(pack_get_int(value, "queue", &number) && number == 5);
    assert_true(pack_get_text(shown, "priority", &text) && slice_is(text, "critical"));
    assert_false(pack_get(shown, "quarantine", &value));
    struct pack whole = pack_over(shown);
    assert_true(pack_skip(&whole) && whole.at == whole.end);
    service_set_done(&set);
}

/* ---- what is not ------------------------------------------------------------------------- */

static void faults_of_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *group, *key;
        long min, max;
    } numbers[] = {
        {"retry", "max_attempts", 1, 10},      {"retry", "base_ms", 1, 3600000},
        {"retry", "max_ms", 1, 3600000},       {"retry", "attempt_timeout_ms", 0, 86400000},
        {"retry", "budget_percent", 0, 100},   {"retry", "budget_per_s", 0, 1000000},
        {"breaker", "failures", 1, 1000000},   {"breaker", "open_ms", 1, 86400000},
        {"breaker", "probes", 1, 65536},       {"breaker", "successes", 1, 65536},
        {"quarantine", "faults", 1, 1000000},  {"quarantine", "first_ms", 1, 86400000},
        {"quarantine", "max_ms", 1, 86400000}, {"health", "interval_s", 0, 86400},
        {"limits", "concurrency", 1, 65536},   {"limits", "queue", 0, 65536},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        long beyond[] = {numbers[i].min - 1, numbers[i].max + 1};
        for (int k = 0; k < 2; k++) {
            char keys[128];
            char expected[256];
            (void)snprintf(keys, sizeof keys, "%s = {\n %s = %ld }", numbers[i].group,
                           numbers[i].key, beyond[k]);
            (void)snprintf(expected, sizeof expected,
                           "3: a.%s.%s must be an integer from %ld to %ld, not the number "
                           "%ld\n",
                           numbers[i].group, numbers[i].key, numbers[i].min, numbers[i].max,
                           beyond[k]);
            assert_string_equal(fault_of_keys(keys), expected);
        }
    }
}

static void faults_of_tables(void **state)
{
    (void)state;
    assert_string_equal(
        fault_of_keys("retry = true,\n"
                      "breaker = 'off',\n"
                      "quarantine = 0,\n"
                      "health = { 60 },\n"
                      "priority = 'high',\n"
                      "limits = false"),
        "2: a.retry must be a table or false, not true\n"
        "3: a.breaker must be a table or false, not a string\n"
        "4: a.quarantine must be a table or false, not a number\n"
        "5: a.health must be a table or false, not a list\n"
        "6: a.priority must be one of \"critical\", \"optional\", not the string \"high\"\n"
        "7: a.limits must be a table of names and values, not false\n");
    assert_string_equal(
        fault_of_keys("retry = { max_atempts = 1,\n"
                      " strategy = 'random',\n"
                      " idempotent = true },\n"
                      "breaker = { failure = 1,\n"
                      " interval_s = 1 },\n"
                      "quarantine = { fault = 1 },\n"
                      "health = { intervals = 1 },\n"
                      "limits = { rates = '1/s',\n"
                      " opn_files = 3 }"),
        "2: unknown key `a.retry.max_atempts`, did you mean `max_attempts`?\n"
        "3: a.retry.strategy must be one of \"fixed\", \"linear\", \"exponential\", "
        "\"exponential_jitter\", not the string \"random\"\n"
        "4: a.retry.idempotent is said of single tools: in retry.tools\n"
        "5: unknown key `a.breaker.failure`, did you mean `failures`?\n"
        "6: unknown key `a.breaker.interval_s`\n"
        "7: unknown key `a.quarantine.fault`, did you mean `faults`?\n"
        "8: unknown key `a.health.intervals`, did you mean `interval_s`?\n"
        "9: unknown key `a.limits.rates`, did you mean `rate`?\n"
        "10: unknown key `a.limits.opn_files`, did you mean `open_files`?\n");
}

static void faults_of_overrides(void **state)
{
    (void)state;
    assert_string_equal(
        fault_of_keys("retry = { tools = {\n"
                      " t = { max_attempts = 11 },\n"
                      " ['get-*'] = { budget_percent = 3,\n"
                      "   idempotent = 'yes',\n"
                      "   tools = {} },\n"
                      " [''] = { max_attempts = 1 },\n"
                      " u = true,\n"
                      " v = { strategy = 1,\n"
                      "   idempotant = true } } }"),
        "3: a.retry.tools.t.max_attempts must be an integer from 1 to 10, not the number 11\n"
        "4: a.retry.tools.get-*.budget_percent is of the whole service: it cannot stand in "
        "retry.tools\n"
        "5: a.retry.tools.get-*.idempotent must be true or false, not the string \"yes\"\n"
        "6: a.retry.tools.get-*.tools is of the whole service: it cannot stand in retry.tools\n"
        "7: a.retry.tools. holds an empty name: `*` stands for every tool\n"
        "8: a.retry.tools.u must be a table or false, not true\n"
        "9: a.retry.tools.v.strategy must be one of \"fixed\", \"linear\", \"exponential\", "
        "\"exponential_jitter\", not the number 1\n"
        "10: unknown key `a.retry.tools.v.idempotant`, did you mean `idempotent`?\n");
    assert_string_equal(fault_of_keys("retry = {\n tools = { 'get' } }"),
                        "3: a.retry.tools must be a table of tools, not a list\n");
    assert_string_equal(
        fault_of("local tools = {}\n"
                 "for i = 1, 257 do tools['t' .. i] = { max_attempts = 1 } end\n"
                 "return { a = { command = 'x',\n retry = {\n tools = tools } } }"),
        "5: a.retry.tools has more than 256 elements\n");
}

static void faults_of_first_and_longest(void **state)
{
    (void)state;
    assert_string_equal(
        fault_of_keys("retry = {\n base_ms = 5000,\n max_ms = 4000 },\n"
                      "quarantine = {\n first_ms = 1800001 }"),
        "3: a.retry.base_ms is 5000, which is more than the max_ms of 4000 beside it\n"
        "6: a.quarantine.first_ms is 1800001, which is more than the max_ms of 1800000 beside "
        "it\n");
    assert_string_equal(
        fault_of_keys("retry = { max_ms = 4000, tools = { t = {\n base_ms = 4001 } } }"),
        "3: a.retry.tools.t.base_ms is 4001, which is more than the max_ms of 4000 beside "
        "it\n");
}

static void faults_of_rates(void **state)
{
    (void)state;
    static const char *const rates[] = {"''",
                                        "'many'",
                                        "'10'",
                                        "'10/fortnight'",
                                        "'-1/s'",
                                        "true",
                                        "'1.5/s'",
                                        "'10/s burst'",
                                        "'10/s burst x'",
                                        "'99999999999/s'",
                                        "{ 10 }",
                                        "'10/s\\0'",
                                        "('1'):rep(80) .. '/s'"};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        char keys[128];
        (void)snprintf(keys, sizeof keys, "limits = {\n rate = %s }", rates[i]);
        const char *fault = fault_of_keys(keys);
        if (strncmp(fault, "3: a.limits.rate must be a rate such as \"10/s\", \"100/min\", ",
                    58) != 0) {
            fail_msg("%s: %s", rates[i], fault);
        }
    }
}

static void rates_that_are_taken(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t count, burst;
        mono_us period_us;
    } rates[] = {
        {"10/s", 10, 0, 1000000},
        {"100/min", 100, 0, 60000000},
        {"5000/h burst 50", 5000, 50, 3600000000},
        {"1000/day", 1000, 0, 86400000000},
    };
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        char keys[128];
        (void)snprintf(keys, sizeof keys, "limits = { rate = '%s' }", rates[i].text);
        struct service_set set = load_keys(keys);
        assert_int_equal(set.list[0]->rate.count, rates[i].count);
        assert_int_equal(set.list[0]->rate.burst, rates[i].burst);
        assert_int_equal(set.list[0]->rate.period_us, rates[i].period_us);
        service_set_done(&set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        folder_test(the_defaults_are_those_of_the_design),
        folder_test(every_key_is_taken),
        folder_test(every_strategy_has_its_name),
        folder_test(false_turns_off),
        folder_test(a_shorter_longest_wait_cuts_the_first),
        folder_test(what_an_override_leaves_out_is_the_services),
        folder_test(what_the_operator_says_of_repeating),
        folder_test(the_most_special_override_wins),
        folder_test(sessions_go_on_when_only_these_change),
        folder_test(the_definition_shows_what_is_written),
        folder_test(faults_of_numbers),
        folder_test(faults_of_tables),
        folder_test(faults_of_overrides),
        folder_test(faults_of_first_and_longest),
        folder_test(faults_of_rates),
        folder_test(rates_that_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
