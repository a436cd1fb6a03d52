/* SPDX-License-Identifier: MIT */
/* test_attempts.c - which failure is followed by another attempt, when, and what the caller hears. */
#include "one_client.h"

static int setup(void **state)
{
    (void)state;
    return serve_at(plain_policy, true, NULL);
}

static int teardown(void **state)
{
    hang_up();
    return serve_end(state);
}

/* A call is at the server. */
static void come_and_call(void (*tune)(struct service_conf *conf))
{
    come(tune);
    ask(fd, 1, "tools.call", ECHO_CALL);
    turns(3);
}

/* And could not be handed over. */
static void come_and_fail(void (*tune)(struct service_conf *conf))
{
    come_and_call(tune);
    go_wrong(fake, &refused);
}

/* ---- every failure, of what may and what may not be done twice ----------------------------- */

struct row {
    const char *name;
    const struct wrong *fault;
    bool is_harmless;
    unsigned attempts;    /* that the server sees */
    const char *code;     /* that the caller hears */
    const char *no_retry; /* NULL: nothing is said of one */
};

static const struct wrong busy_2_s = {ERR_RATE_LIMITED, FAILURE_RATE_LIMIT, false, true, 2000};
static const struct wrong busy_60_s = {ERR_RATE_LIMITED, FAILURE_RATE_LIMIT, false, true,
                                       60000};
static const struct wrong ill = {ERR_UNAVAILABLE, FAILURE_SERVER, false, false, -1};
static const struct wrong ill_1_s = {ERR_UNAVAILABLE, FAILURE_SERVER, false, true, 1000};
static const struct wrong forbidden = {
    .code = ERR_EXTERNAL_TOOL_EXECUTION_FAILED, .class = FAILURE_ANSWER, .retry_after_ms = -1};
static const struct wrong broken = {.code = ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                                    .class = FAILURE_PROTOCOL,
                                    .retry_after_ms = -1};

static const struct row rows[] = {
    {"refused", &refused, true, 3, "UNAVAILABLE", "attempts"},
    {"refused", &refused, false, 3, "UNAVAILABLE", "attempts"},
    {"reset", &reset, true, 3, "UNAVAILABLE", "attempts"},
    {"reset", &reset, false, 1, "OUTCOME_UNKNOWN", "harmful"},
    {"429", &busy, true, 3, "RATE_LIMITED", "attempts"},
    {"429", &busy, false, 3, "RATE_LIMITED", "attempts"},
    {"429, 2 s", &busy_2_s, false, 3, "RATE_LIMITED", "attempts"},
    {"429, 60 s", &busy_60_s, true, 1, "RATE_LIMITED", "deadline"},
    {"503", &ill, true, 3, "UNAVAILABLE", "attempts"},
    {"503", &ill, false, 1, "OUTCOME_UNKNOWN", "harmful"},
    {"503, 1 s", &ill_1_s, true, 3, "UNAVAILABLE", "attempts"},
    {"503, 1 s", &ill_1_s, false, 3, "UNAVAILABLE", "attempts"},
    {"401", &unauthorized, true, 1, "AUTH_FAILED", NULL},
    {"401", &unauthorized, false, 1, "AUTH_FAILED", NULL},
    {"403", &forbidden, true, 1, "EXTERNAL_TOOL_EXECUTION_FAILED", NULL},
    {"403", &forbidden, false, 1, "EXTERNAL_TOOL_EXECUTION_FAILED", NULL},
    {"broken JSON", &broken, true, 1, "EXTERNAL_TOOL_EXECUTION_FAILED", NULL},
    {"hang", &hang, true, 3, "TIMEOUT", "attempts"},
    {"hang", &hang, false, 1, "TIMEOUT", "harmful"},
};

static void one_second_an_attempt(struct service_conf *conf)
{
    conf->retry.attempt_timeout_ms = 1000;
}

static void tune_harmless(struct service_conf *conf)
{
    one_second_an_attempt(conf);
    make_harmless(conf);
}

/* Until the call is answered; how often the server was asked. */
static unsigned play(const struct wrong *fault, char **ret_text)
{
    size_t seen = calls_at(fake);
    unsigned asked = 0;
    ask(fd, 7, "tools.call", ECHO_CALL);
    for (unsigned i = 0; i < 400; i++) {
        turns(3);
        if (calls_at(fake) > seen) {
            seen = calls_at(fake);
            asked++;
            if (fault->code) {
                go_wrong(fake, fault);
            }
        }
        *ret_text = heard(fd);
        if (**ret_text) {
            return asked;
        }
        mem_free(*ret_text);
        loop_advance(served.bench.loop, 100 * MS);
    }
    fail_msg("no answer");
    return 0;
}

static void check(const struct row *row)
{
    char *text = NULL;
    char want[80];
    (void)serve_at(plain_policy, true, NULL);
    come(row->is_harmless ? tune_harmless : one_second_an_attempt);
    unsigned asked = play(row->fault, &text);
    bool is_fine = asked == row->attempts;
    (void)snprintf(want, sizeof want, "\"code\":\"%s\"", row->code);
    is_fine = is_fine && strstr(text, want);
    (void)snprintf(want, sizeof want, "\"attempts\":%u", row->attempts);
    is_fine = is_fine && strstr(text, want);
    (void)snprintf(want, sizeof want, "\"no_retry\":\"%s\"",
                   row->no_retry ? row->no_retry : "");
    is_fine = is_fine &&
              (row->no_retry ? strstr(text, want) != NULL : strstr(text, "no_retry") == NULL);
    if (!is_fine) {
        fail_msg("%s of a %s tool: asked %u times, %s", row->name,
                 row->is_harmless ? "harmless" : "writing", asked, text);
    }
    assert_int_equal(served.metrics.value[METRIC_ATTEMPTS], row->attempts + 1);
    assert_int_equal(served.metrics.value[METRIC_RETRIES], row->attempts - 1);
    mem_free(text);
    (void)teardown(NULL);
}

static void each_failure_has_its_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check(&rows[i]);
    }
}

/* ---- when -------------------------------------------------------------------------------- */

static void a_later_attempt_may_succeed(void **state)
{
    (void)state;
    come_and_fail(NULL);
    assert_false(sent_within(fake, 650 * MS)); /* a second, less a quarter */
    assert_true(sent_within(fake, 700 * MS));
    answer_last(fake, RESULT);
    expect_parts(heard(fd), "\"source\":\"live\"", "\"attempts\":2");
    assert_int_equal(served.metrics.value[METRIC_RETRIES_SUCCEEDED], 1);
}

static void what_it_waits_for_is_told(void **state)
{
    (void)state;
    come_and_fail(NULL);
    ask(fd, 2, "calls.list", "{}");
    expect_heard(fd, "\"waits_for\":\"retry\"");
}

/* The wait that the server asks for is kept to. */
static void the_servers_wait_is_kept(void **state)
{
    (void)state;
    const struct wrong later = {ERR_RATE_LIMITED, FAILURE_RATE_LIMIT, false, true, 5000};
    come_and_call(NULL);
    go_wrong(fake, &later);
    assert_false(sent_within(fake, 4900 * MS));
    assert_true(sent_within(fake, 1200 * MS));
    answer_last(fake, RESULT);
    expect_heard(fd, "\"attempts\":2");
}

/* No attempt is begun that could not be answered in time, and nothing runs after the deadline. */
static void the_deadline_bounds_all_attempts(void **state)
{
    (void)state;
    come(NULL);
    mono_us began = loop_now(served.bench.loop);
    ask(fd, 1, "tools.call", ECHO_IN(2000));
    turns(3);
    go_wrong(fake, &refused);
    assert_true(sent_within(fake, 1300 * MS));
    go_wrong(fake, &refused);
    expect_heard(fd, "\"no_retry\":\"deadline\"");
    assert_true(loop_now(served.bench.loop) - began < 2000 * MS);
    assert_false(sent_within(fake, 5000 * MS));
}

/* The service is started anew for the second one, and that takes too long. */
static void an_attempt_without_time_hides_nothing(void **state)
{
    (void)state;
    come(make_harmless);
    ask(fd, 1, "tools.call", ECHO_IN(2000));
    turns(3);
    fake_dies(fake, "the process ended");
    turns(3);
    assert_false(sent_within(fake, 2100 * MS));
    expect_parts(heard(fd), "\"code\":\"UNAVAILABLE\",\"message\":\"the process ended\"",
                 "\"no_retry\":\"deadline\"", "\"attempts\":2");
}

static void no_budget(struct service_conf *conf)
{
    conf->retry.budget_percent = 0;
    conf->retry.budget_per_s = 0;
}

static void the_budget_bounds_retries(void **state)
{
    (void)state;
    come_and_fail(no_budget);
    expect_heard(fd, "\"no_retry\":\"budget\"");
    assert_int_equal(served.metrics.value[METRIC_RETRIES_REFUSED], 1);
    assert_int_equal(calls_at(fake), 2);
}

/* What a server's limit refused goes at the pace of that limit, and is no load on top. */
static void a_limit_takes_nothing_from_the_budget(void **state)
{
    const struct wrong limited = {ERR_RATE_LIMITED, FAILURE_RATE_LIMIT, false, true, 1000};
    (void)state;
    come_and_call(no_budget);
    go_wrong(fake, &limited);
    assert_true(sent_within(fake, 3000 * MS));
    answer_last(fake, RESULT);
    expect_heard(fd, "\"attempts\":2");
    assert_int_equal(served.metrics.value[METRIC_RETRIES_REFUSED], 0);
}

/* ---- the gate ---------------------------------------------------------------------------- */

static void one_failure_opens(struct service_conf *conf)
{
    conf->breaker.failures = 1;
}

/* What the caller hears is what went wrong, and why there was no other attempt. */
static void a_breaker_that_opens_ends_the_attempts(void **state)
{
    (void)state;
    come_and_fail(one_failure_opens);
    assert_false(sent_within(fake, 2000 * MS));
    expect_parts(heard(fd), "\"code\":\"UNAVAILABLE\",\"message\":\"it went wrong\"",
                 "\"no_retry\":\"CIRCUIT_OPEN\"", "\"retry_after_ms\":");
    ask(fd, 2, "tools.call", ECHO_CALL);
    expect_heard(fd, "\"code\":\"CIRCUIT_OPEN\"");
    assert_int_equal(calls_at(fake), 2);
}

static void a_held_service_is_in_no_list(void **state)
{
    (void)state;
    come(NULL);
    assert_true(gates_quarantine(served.gates, SLICE("s"), 60000, SLICE("it misbehaves")));
    size_t before = fake->count;
    ask(fd, 1, "tools.list", "{\"agent\":\"a\",\"service\":\"s\"}");
    expect_heard(fd, "\"tools\":[],\"unavailable\":[{\"service\":\"s\",\"error\":{\"code\":"
                     "\"QUARANTINED\"");
    ask(fd, 2, "resources.read", "{\"agent\":\"a\",\"service\":\"s\",\"name\":\"x:1\"}");
    expect_heard(fd, "\"code\":\"QUARANTINED\"");
    ask(fd, 3, "tools.call", ECHO_CALL);
    expect_heard(fd, "\"code\":\"QUARANTINED\"");
    assert_int_equal(fake->count, before);
}

/* A stand-in answers for a service that is held back, and the answer says so in words. */
static void a_stand_in_is_told_in_words(void **state)
{
    (void)state;
    calls_set_policy(served.calls, policy_of("agent 'a' { title = 'A', services = { '*' } }\n"
                                             "fallback { to = { s = 't' } }\n"));
    fd = connect_client();
    (void)gates_force_breaker(served.gates, SLICE("s"), BREAKER_FORCED_OPEN, SLICE("by hand"));
    ask(fd, 1, "tools.call", ECHO_CALL);
    turns(3);
    fake = fake_number(0);
    serve_echo(fake);
    answer_last(fake, RESULT);
    expect_parts(heard(fd), "\"service\":\"t\",\"tool\":\"echo\",\"source\":\"fallback\"",
                 "\"warnings\":[\"s could not be used (CIRCUIT_OPEN): t stood in for it.\"]");
}

/* ---- ending early, at each stage ---------------------------------------------------------- */

static void one_place(struct service_conf *conf)
{
    conf->concurrency = 1;
}

static void a_call_is_cancelled_before_the_gate(void **state)
{
    (void)state;
    come(one_place);
    ask(fd, 1, "tools.call", ECHO_CALL);
    ask(fd, 2, "tools.call", ECHO_CALL);
    turns(3);
    ask(fd, 3, "calls.list", "{}");
    expect_heard(fd, "\"waits_for\":\"place\"");
    cancel_call(fd, 2);
    expect_heard(fd, "[1,2,{\"code\":\"CANCELLED\"");
    assert_int_equal(count_sent(fake, "notifications/cancelled"), 0);
    answer_last(fake, RESULT);
    expect_heard(fd, "[1,1,null");
    ask(fd, 4, "tools.call", ECHO_CALL); /* the place is free */
    turns(3);
    answer_last(fake, RESULT);
    expect_heard(fd, "[1,4,null");
}

static void a_call_is_cancelled_at_the_server(void **state)
{
    (void)state;
    come_and_call(one_place);
    cancel_call(fd, 1);
    expect_heard(fd, "\"code\":\"CANCELLED\"");
    assert_int_equal(count_sent(fake, "notifications/cancelled"), 1);
    ask(fd, 2, "tools.call", ECHO_CALL);
    turns(3);
    assert_int_equal(calls_at(fake), 3);
    hang_up();
    turns(3);
    assert_int_equal(calls_count(served.calls), 0);
}

static void a_call_is_cancelled_between_attempts(void **state)
{
    (void)state;
    come_and_fail(NULL);
    cancel_call(fd, 1);
    expect_heard(fd, "\"code\":\"CANCELLED\"");
    assert_false(sent_within(fake, 5000 * MS));
    ask(fd, 2, "tools.call", ECHO_CALL);
    turns(3);
    go_wrong(fake, &refused);
    hang_up();
    turns(3);
    assert_int_equal(calls_count(served.calls), 0);
    assert_false(sent_within(fake, 5000 * MS));
}

/* Refused inside gate_enter: told in a later turn, and cancelled before that. */
static void a_call_is_cancelled_while_it_is_refused(void **state)
{
    (void)state;
    fd = connect_client();
    (void)gates_force_breaker(served.gates, SLICE("s"), BREAKER_FORCED_OPEN, SLICE("by hand"));
    for (uint32_t i = 0; i < 5; i++) {
        ask(fd, i, "tools.call", ECHO_CALL);
    }
    loop_turn(served.bench.loop, 0);
    calls_cancel_all(served.calls);
    assert_int_equal(calls_count(served.calls), 0);
}

/* ---- a reload in between ------------------------------------------------------------------ */

static void no_retries(struct service_conf *conf)
{
    conf->retry.max_attempts = 1;
}

static void the_next_attempt_goes_by_the_new_rules(void **state)
{
    (void)state;
    come_and_fail(NULL);
    configure(no_retries);
    assert_true(sent_within(fake, 1300 * MS)); /* that was decided before */
    go_wrong(fake, &refused);
    expect_heard(fd, "\"attempts\":2");
}

static void a_service_may_go_between_attempts(void **state)
{
    (void)state;
    come_and_fail(NULL);
    struct service_conf *list[] = {plain_conf("t", "t")};
    apply_served(list, 1);
    loop_advance(served.bench.loop, 1300 * MS);
    expect_parts(heard(fd), "\"code\":\"UNAVAILABLE\",\"message\":\"it went wrong\"");
}

/* ---- people ------------------------------------------------------------------------------ */

/* A person was asked in the attempt that failed: not once more. */
static void nobody_is_asked_twice(void **state)
{
    (void)state;
    configure(make_harmless);
    fd = connect_client();
    ask(fd, 1, "hello", "{}");
    mem_free(heard(fd));
    fake = stand(fd);
    ask(fd, 2, "tools.call", ECHO_CALL);
    turns(3);
    unsigned long long id = last_id(fake);
    ask_person(fake, id);
    expect_heard(fd, "elicitation.create");
    struct failure failure = {0};
    failure_set(&failure, ERR_UNAVAILABLE, "it went wrong");
    fake->events->exchange_ended(fake->arg, id, &failure, false);
    failure_done(&failure);
    turns(2);
    expect_heard(fd, "\"no_retry\":\"asked\"");
    assert_false(sent_within(fake, 5000 * MS));
}

/* ---- other requests, and limits ------------------------------------------------------------ */

/* Reading does no harm twice. */
static void resources_are_read_again(void **state)
{
    (void)state;
    fd = connect_client();
    ask(fd, 1, "resources.read", "{\"agent\":\"a\",\"service\":\"s\",\"name\":\"x:1\"}");
    turns(3);
    fake = fake_number(0);
    fake_opened(fake);
    answer_last(fake, "{'protocolVersion':'2025-11-25','capabilities':{'resources':{}},"
                      "'serverInfo':{'name':'fake','version':'1'}}");
    turns(2);
    assert_int_equal(count_sent(fake, "resources/read"), 1);
    go_wrong(fake, &reset);
    for (unsigned i = 0; i < 30 && count_sent(fake, "resources/read") < 2; i++) {
        loop_advance(served.bench.loop, 50 * MS);
        turns(2);
    }
    assert_int_equal(count_sent(fake, "resources/read"), 2);
    answer_last(fake, "{'contents':[]}");
    expect_heard(fd, "\"result\":{\"contents\":[]}");
}

static void each_agent_has_its_share(void **state)
{
    (void)state;
    served.shares.agent_calls = 1;
    come(NULL);
    ask(fd, 1, "tools.call", ECHO_CALL);
    ask(fd, 2, "tools.call", ECHO_CALL);
    expect_heard(fd, "[1,2,{\"code\":\"OVERLOADED\"");
    answer_last(fake, RESULT);
    expect_heard(fd, "[1,1,null");
    served.shares =
        (struct share_limits){.peer_rate = {.count = 2, .burst = 2, .period_us = 10000 * MS}};
    for (uint32_t i = 3; i < 6; i++) {
        ask(fd, i, "tools.call", ECHO_CALL);
    }
    expect_parts(heard(fd), "[1,5,{\"code\":\"OVERLOADED\"", "\"retry_after_ms\":5000",
                 "limits.peer_rate");
    assert_int_equal(served.metrics.value[METRIC_SHARES_REFUSED], 2);
    assert_int_equal(hang.code, ERR_NONE);
    hang_up();
    turns(3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failure_has_its_rule),
        TEST(a_later_attempt_may_succeed),
        TEST(what_it_waits_for_is_told),
        TEST(the_servers_wait_is_kept),
        TEST(the_deadline_bounds_all_attempts),
        TEST(an_attempt_without_time_hides_nothing),
        TEST(the_budget_bounds_retries),
        TEST(a_limit_takes_nothing_from_the_budget),
        TEST(a_breaker_that_opens_ends_the_attempts),
        TEST(a_held_service_is_in_no_list),
        TEST(a_stand_in_is_told_in_words),
        TEST(a_call_is_cancelled_before_the_gate),
        TEST(a_call_is_cancelled_at_the_server),
        TEST(a_call_is_cancelled_between_attempts),
        TEST(a_call_is_cancelled_while_it_is_refused),
        TEST(the_next_attempt_goes_by_the_new_rules),
        TEST(a_service_may_go_between_attempts),
        TEST(nobody_is_asked_twice),
        TEST(resources_are_read_again),
        TEST(each_agent_has_its_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
