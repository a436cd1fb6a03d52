/* SPDX-License-Identifier: MIT */
/* test_attempts.c - which failure is followed by another attempt, when, and what the caller hears. */
#include "attempting.h"

static int setup(void **state)
{
    (void)state;
    return serve_at(plain_policy, true, NULL);
}

/* ---- every failure, of what may and what may not be done twice ----------------------------- */

struct row {
    const char *name;
    struct wrong fault;
    bool is_harmless;
    unsigned attempts;    /* that the server sees */
    const char *code;     /* that the caller hears */
    const char *no_retry; /* NULL: nothing is said of one */
};

static const struct row rows[] = {
    {"refused",
     {ERR_UNAVAILABLE, FAILURE_NETWORK, true, false, -1},
     true,
     3,
     "UNAVAILABLE",
     "attempts"},
    {"refused",
     {ERR_UNAVAILABLE, FAILURE_NETWORK, true, false, -1},
     false,
     3,
     "UNAVAILABLE",
     "attempts"},
    {"reset",
     {ERR_UNAVAILABLE, FAILURE_NETWORK, false, false, -1},
     true,
     3,
     "UNAVAILABLE",
     "attempts"},
    {"reset",
     {ERR_UNAVAILABLE, FAILURE_NETWORK, false, false, -1},
     false,
     1,
     "OUTCOME_UNKNOWN",
     "harmful"},
    {"429",
     {ERR_RATE_LIMITED, FAILURE_RATE_LIMIT, false, true, -1},
     true,
     3,
     "RATE_LIMITED",
     "attempts"},
    {"429",
     {ERR_RATE_LIMITED, FAILURE_RATE_LIMIT, false, true, -1},
     false,
     3,
     "RATE_LIMITED",
     "attempts"},
    {"429, 2 s",
     {ERR_RATE_LIMITED, FAILURE_RATE_LIMIT, false, true, 2000},
     false,
     3,
     "RATE_LIMITED",
     "attempts"},
    {"429, 60 s",
     {ERR_RATE_LIMITED, FAILURE_RATE_LIMIT, false, true, 60000},
     true,
     1,
     "RATE_LIMITED",
     "deadline"},
    {"503",
     {ERR_UNAVAILABLE, FAILURE_SERVER, false, false, -1},
     true,
     3,
     "UNAVAILABLE",
     "attempts"},
    {"503",
     {ERR_UNAVAILABLE, FAILURE_SERVER, false, false, -1},
     false,
     1,
     "OUTCOME_UNKNOWN",
     "harmful"},
    {"503, 1 s",
     {ERR_UNAVAILABLE, FAILURE_SERVER, false, true, 1000},
     true,
     3,
     "UNAVAILABLE",
     "attempts"},
    {"503, 1 s",
     {ERR_UNAVAILABLE, FAILURE_SERVER, false, true, 1000},
     false,
     3,
     "UNAVAILABLE",
     "attempts"},
    {"401",
     {ERR_AUTH_FAILED, FAILURE_AUTHENTICATION, false, true, -1},
     true,
     1,
     "AUTH_FAILED",
     NULL},
    {"401",
     {ERR_AUTH_FAILED, FAILURE_AUTHENTICATION, false, true, -1},
     false,
     1,
     "AUTH_FAILED",
     NULL},
    {"403",
     {ERR_EXTERNAL_TOOL_EXECUTION_FAILED, FAILURE_ANSWER, false, false, -1},
     true,
     1,
     "EXTERNAL_TOOL_EXECUTION_FAILED",
     NULL},
    {"403",
     {ERR_EXTERNAL_TOOL_EXECUTION_FAILED, FAILURE_ANSWER, false, false, -1},
     false,
     1,
     "EXTERNAL_TOOL_EXECUTION_FAILED",
     NULL},
    {"broken JSON",
     {ERR_EXTERNAL_TOOL_EXECUTION_FAILED, FAILURE_PROTOCOL, false, false, -1},
     true,
     1,
     "EXTERNAL_TOOL_EXECUTION_FAILED",
     NULL},
    {"hang", {.retry_after_ms = -1}, true, 3, "TIMEOUT", "attempts"},
    {"hang", {.retry_after_ms = -1}, false, 1, "TIMEOUT", "harmful"},
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
static unsigned play(int fd, struct fake *fake, const struct wrong *fault, char **ret_text)
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
    configure(row->is_harmless ? tune_harmless : one_second_an_attempt);
    int fd = connect_client();
    struct fake *fake = stand(fd);
    unsigned asked = play(fd, fake, &row->fault, &text);
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
    (void)close(fd);
    (void)serve_end(NULL);
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
    int fd = connect_client();
    struct fake *fake = stand(fd);
    ask(fd, 1, "tools.call", ECHO_CALL);
    turns(3);
    go_wrong(fake, &refused);
    assert_false(sent_within(fake, 650 * MS)); /* a second, less a quarter */
    assert_true(sent_within(fake, 700 * MS));
    answer_last(fake, RESULT);
    char *text = heard(fd);
    assert_non_null(strstr(text, "\"source\":\"live\""));
    assert_non_null(strstr(text, "\"attempts\":2"));
    mem_free(text);
    assert_int_equal(served.metrics.value[METRIC_RETRIES_SUCCEEDED], 1);
    (void)close(fd);
}

static void what_it_waits_for_is_told(void **state)
{
    (void)state;
    int fd = connect_client();
    struct fake *fake = stand(fd);
    ask(fd, 1, "tools.call", ECHO_CALL);
    turns(3);
    go_wrong(fake, &refused);
    ask(fd, 2, "calls.list", "{}");
    expect_heard(fd, "\"waits_for\":\"retry\"");
    (void)close(fd);
}

/* The wait that the server asks for is kept to. */
static void the_servers_wait_is_kept(void **state)
{
    (void)state;
    const struct wrong later = {ERR_RATE_LIMITED, FAILURE_RATE_LIMIT, false, true, 5000};
    int fd = connect_client();
    struct fake *fake = stand(fd);
    ask(fd, 1, "tools.call", ECHO_CALL);
    turns(3);
    go_wrong(fake, &later);
    assert_false(sent_within(fake, 4900 * MS));
    assert_true(sent_within(fake, 1200 * MS));
    answer_last(fake, RESULT);
    expect_heard(fd, "\"attempts\":2");
    (void)close(fd);
}

/* No attempt is begun that could not be answered in time, and nothing runs after the deadline. */
static void the_deadline_bounds_all_attempts(void **state)
{
    (void)state;
    int fd = connect_client();
    struct fake *fake = stand(fd);
    mono_us began = loop_now(served.bench.loop);
    ask(fd, 1, "tools.call",
        "{\"tool\":\"s/"
        "echo\",\"agent\":\"a\",\"timeout_ms\":2000,\"arguments\":{\"text\":\"hi\"}}");
    turns(3);
    go_wrong(fake, &refused);
    assert_true(sent_within(fake, 1300 * MS));
    go_wrong(fake, &refused);
    expect_heard(fd, "\"no_retry\":\"deadline\"");
    assert_true(loop_now(served.bench.loop) - began < 2000 * MS);
    assert_false(sent_within(fake, 5000 * MS));
    (void)close(fd);
}

/* The service is started anew for the second one, and that takes too long. */
static void an_attempt_without_time_hides_nothing(void **state)
{
    (void)state;
    configure(make_harmless);
    int fd = connect_client();
    struct fake *fake = stand(fd);
    ask(fd, 1, "tools.call",
        "{\"tool\":\"s/"
        "echo\",\"agent\":\"a\",\"timeout_ms\":2000,\"arguments\":{\"text\":\"hi\"}}");
    turns(3);
    fake_dies(fake, "the process ended");
    turns(3);
    assert_false(sent_within(fake, 2100 * MS));
    char *text = heard(fd);
    assert_non_null(strstr(text, "\"code\":\"UNAVAILABLE\",\"message\":\"the process ended\""));
    assert_non_null(strstr(text, "\"no_retry\":\"deadline\""));
    assert_non_null(strstr(text, "\"attempts\":2"));
    mem_free(text);
    (void)close(fd);
}

static void no_budget(struct service_conf *conf)
{
    conf->retry.budget_percent = 0;
    conf->retry.budget_per_s = 0;
}

static void the_budget_bounds_retries(void **state)
{
    (void)state;
    configure(no_budget);
    int fd = connect_client();
    struct fake *fake = stand(fd);
    ask(fd, 1, "tools.call", ECHO_CALL);
    turns(3);
    go_wrong(fake, &refused);
    expect_heard(fd, "\"no_retry\":\"budget\"");
    assert_int_equal(served.metrics.value[METRIC_RETRIES_REFUSED], 1);
    assert_int_equal(calls_at(fake), 2);
    (void)close(fd);
}

/* What a server's limit refused goes at the pace of that limit, and is no load on top. */
static void a_limit_takes_nothing_from_the_budget(void **state)
{
    const struct wrong limited = {ERR_RATE_LIMITED, FAILURE_RATE_LIMIT, false, true, 1000};
    (void)state;
    configure(no_budget);
    int fd = connect_client();
    struct fake *fake = stand(fd);
    ask(fd, 1, "tools.call", ECHO_CALL);
    turns(3);
    go_wrong(fake, &limited);
    assert_true(sent_within(fake, 3000 * MS));
    answer_last(fake, RESULT);
    expect_heard(fd, "\"attempts\":2");
    assert_int_equal(served.metrics.value[METRIC_RETRIES_REFUSED], 0);
    (void)close(fd);
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
    configure(one_failure_opens);
    int fd = connect_client();
    struct fake *fake = stand(fd);
    ask(fd, 1, "tools.call", ECHO_CALL);
    turns(3);
    go_wrong(fake, &refused);
    assert_false(sent_within(fake, 2000 * MS));
    char *text = heard(fd);
    assert_non_null(strstr(text, "\"code\":\"UNAVAILABLE\",\"message\":\"it went wrong\""));
    assert_non_null(strstr(text, "\"no_retry\":\"CIRCUIT_OPEN\""));
    assert_non_null(strstr(text, "\"retry_after_ms\":"));
    mem_free(text);
    ask(fd, 2, "tools.call", ECHO_CALL);
    expect_heard(fd, "\"code\":\"CIRCUIT_OPEN\"");
    assert_int_equal(calls_at(fake), 2);
    (void)close(fd);
}

static void a_held_service_is_in_no_list(void **state)
{
    (void)state;
    int fd = connect_client();
    struct fake *fake = stand(fd);
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
    (void)close(fd);
}

/* A stand-in answers for a service that is held back, and the answer says so in words. */
static void a_stand_in_is_told_in_words(void **state)
{
    (void)state;
    calls_set_policy(served.calls, policy_of("agent 'a' { title = 'A', services = { '*' } }\n"
                                             "fallback { to = { s = 't' } }\n"));
    int fd = connect_client();
    (void)gates_force_breaker(served.gates, SLICE("s"), BREAKER_FORCED_OPEN, SLICE("by hand"));
    ask(fd, 1, "tools.call", ECHO_CALL);
    turns(3);
    struct fake *fake = fake_number(0);
    serve_echo(fake);
    answer_last(fake, RESULT);
    char *text = heard(fd);
    assert_non_null(
        strstr(text, "\"service\":\"t\",\"tool\":\"echo\",\"source\":\"fallback\""));
    assert_non_null(strstr(
        text, "\"warnings\":[\"s could not be used (CIRCUIT_OPEN): t stood in for it.\"]"));
    mem_free(text);
    (void)close(fd);
}

/* ---- ending early, at each stage ---------------------------------------------------------- */

static void one_place(struct service_conf *conf)
{
    conf->concurrency = 1;
}

static void a_call_is_cancelled_before_the_gate(void **state)
{
    (void)state;
    configure(one_place);
    int fd = connect_client();
    struct fake *fake = stand(fd);
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
    (void)close(fd);
}

static void a_call_is_cancelled_at_the_server(void **state)
{
    (void)state;
    configure(one_place);
    int fd = connect_client();
    struct fake *fake = stand(fd);
    ask(fd, 1, "tools.call", ECHO_CALL);
    turns(3);
    cancel_call(fd, 1);
    expect_heard(fd, "\"code\":\"CANCELLED\"");
    assert_int_equal(count_sent(fake, "notifications/cancelled"), 1);
    ask(fd, 2, "tools.call", ECHO_CALL);
    turns(3);
    assert_int_equal(calls_at(fake), 3);
    (void)close(fd);
    turns(3);
    assert_int_equal(calls_count(served.calls), 0);
}

static void a_call_is_cancelled_between_attempts(void **state)
{
    (void)state;
    int fd = connect_client();
    struct fake *fake = stand(fd);
    ask(fd, 1, "tools.call", ECHO_CALL);
    turns(3);
    go_wrong(fake, &refused);
    cancel_call(fd, 1);
    expect_heard(fd, "\"code\":\"CANCELLED\"");
    assert_false(sent_within(fake, 5000 * MS));
    ask(fd, 2, "tools.call", ECHO_CALL);
    turns(3);
    go_wrong(fake, &refused);
    (void)close(fd);
    turns(3);
    assert_int_equal(calls_count(served.calls), 0);
    assert_false(sent_within(fake, 5000 * MS));
}

/* Refused inside gate_enter: told in a later turn, and cancelled before that. */
static void a_call_is_cancelled_while_it_is_refused(void **state)
{
    (void)state;
    int fd = connect_client();
    (void)gates_force_breaker(served.gates, SLICE("s"), BREAKER_FORCED_OPEN, SLICE("by hand"));
    for (uint32_t i = 0; i < 5; i++) {
        ask(fd, i, "tools.call", ECHO_CALL);
    }
    loop_turn(served.bench.loop, 0);
    calls_cancel_all(served.calls);
    assert_int_equal(calls_count(served.calls), 0);
    (void)close(fd);
}

/* ---- a reload in between ------------------------------------------------------------------ */

static void no_retries(struct service_conf *conf)
{
    conf->retry.max_attempts = 1;
}

static void the_next_attempt_goes_by_the_new_rules(void **state)
{
    (void)state;
    int fd = connect_client();
    struct fake *fake = stand(fd);
    ask(fd, 1, "tools.call", ECHO_CALL);
    turns(3);
    go_wrong(fake, &refused);
    configure(no_retries);
    assert_true(sent_within(fake, 1300 * MS)); /* that was decided before */
    go_wrong(fake, &refused);
    expect_heard(fd, "\"attempts\":2");
    (void)close(fd);
}

static void a_service_may_go_between_attempts(void **state)
{
    (void)state;
    int fd = connect_client();
    struct fake *fake = stand(fd);
    ask(fd, 1, "tools.call", ECHO_CALL);
    turns(3);
    go_wrong(fake, &refused);
    struct service_conf *list[] = {plain_conf("t", "t")};
    apply_served(list, 1);
    loop_advance(served.bench.loop, 1300 * MS);
    char *text = heard(fd);
    assert_non_null(strstr(text, "\"code\":\"UNAVAILABLE\",\"message\":\"it went wrong\""));
    mem_free(text);
    (void)close(fd);
}

/* ---- people ------------------------------------------------------------------------------ */

/* A person was asked in the attempt that failed: not once more. */
static void nobody_is_asked_twice(void **state)
{
    (void)state;
    configure(make_harmless);
    int fd = connect_client();
    ask(fd, 1, "hello", "{}");
    mem_free(heard(fd));
    struct fake *fake = stand(fd);
    ask(fd, 2, "tools.call", ECHO_CALL);
    turns(3);
    unsigned long long id = last_id(fake);
    say_on(
        fake, id,
        "{'jsonrpc':'2.0','id':'q','method':'elicitation/create','params':{'message':'Sure?',"
        "'requestedSchema':{'type':'object','properties':{}}}}");
    expect_heard(fd, "elicitation.create");
    struct failure failure = {0};
    failure_set(&failure, ERR_UNAVAILABLE, "it went wrong");
    fake->events->exchange_ended(fake->arg, id, &failure, false);
    failure_done(&failure);
    turns(2);
    expect_heard(fd, "\"no_retry\":\"asked\"");
    assert_false(sent_within(fake, 5000 * MS));
    (void)close(fd);
}

/* ---- other requests, and limits ------------------------------------------------------------ */

/* Reading does no harm twice. */
static void resources_are_read_again(void **state)
{
    (void)state;
    int fd = connect_client();
    ask(fd, 1, "resources.read", "{\"agent\":\"a\",\"service\":\"s\",\"name\":\"x:1\"}");
    turns(3);
    struct fake *fake = fake_number(0);
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
    (void)close(fd);
}

static void each_agent_has_its_share(void **state)
{
    (void)state;
    served.shares.agent_calls = 1;
    int fd = connect_client();
    struct fake *fake = stand(fd);
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
    char *text = heard(fd);
    assert_non_null(strstr(text, "[1,5,{\"code\":\"OVERLOADED\""));
    assert_non_null(strstr(text, "\"retry_after_ms\":5000"));
    assert_non_null(strstr(text, "limits.peer_rate"));
    mem_free(text);
    assert_int_equal(served.metrics.value[METRIC_SHARES_REFUSED], 2);
    assert_int_equal(hang.code, ERR_NONE);
    (void)close(fd);
    turns(3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, serve_end)
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
