/* SPDX-License-Identifier: MIT */
/* test_enter.c - the order of checks, breakers and quarantine, levers, probes, and what is said. */
#include "gated.h"

#include "value/json.h"

static void goes_in_and_out(void **state)
{
    struct gated *gated = gated_new();
    struct caller caller = {0};
    (void)state;
    gated_open(gated);
    assert_int_equal(come(gated, &caller, "one", SECOND), GATE_INSIDE);
    assert_int_equal(view(gated, "one").inside, 1);
    assert_int_equal(view(gated, "two").inside, 0);
    leave(&caller);
    assert_int_equal(view(gated, "one").inside, 0);
    assert_int_equal(view(gated, "one").last_success, loop_now(gated->loop));
    gate_quit(&caller.ticket); /* outside: nothing */
    assert_int_equal(come(gated, &caller, "one", SECOND), GATE_INSIDE);
    gate_quit(&caller.ticket);
    assert_int_equal(view(gated, "one").inside, 0);
    assert_null(gate_waits_for(&caller.ticket));
    assert_int_equal(come(gated, &caller, "five", SECOND), GATE_REFUSED);
    assert_int_equal(caller.failure.code, ERR_NOT_FOUND);
    assert_string_equal(changes(gated), "");
    forget(&caller, 1);
    gated_free(gated);
}

static void a_breaker_opens_and_closes(void **state)
{
    struct gated *gated = gated_new();
    struct caller caller = {0}, other = {0};
    struct slice value;
    (void)state;
    gated_open(gated);
    break_it(gated, "one", 4, ERR_UNAVAILABLE, FAILURE_NETWORK);
    succeed(gated, "one"); /* in a row only */
    break_it(gated, "one", 4, ERR_UNAVAILABLE, FAILURE_NETWORK);
    assert_int_equal(view(gated, "one").failures_in_row, 4);
    assert_string_equal(changes(gated), "");
    break_it(gated, "one", 1, ERR_UNAVAILABLE, FAILURE_SERVER);
    assert_string_equal(changes(gated), "breaker one open 60000;");
    advance(gated, 20 * SECOND);
    refused(gated, &caller, "one", ERR_CIRCUIT_OPEN, 40000);
    assert_true(says(&caller.failure, "\"one\"") && says(&caller.failure, "it broke"));
    assert_true(says(&caller.failure, "40 s"));
    assert_true(suggests(&caller.failure, "toolbroker breaker one reset"));
    assert_true(detail(&caller.failure, "breaker", "state", &value));
    assert_true(detail(&caller.failure, "breaker", "since", &value));
    assert_true(detail(&caller.failure, "breaker", "left_ms", &value));
    assert_true(detail(&caller.failure, "breaker", "failures", &value));
    assert_true(detail(&caller.failure, "breaker", "reason", &value));
    assert_int_equal(come(gated, &other, "two", SECOND), GATE_INSIDE); /* its own only */
    leave(&other);
    advance(gated, 40 * SECOND);
    assert_int_equal(come(gated, &other, "one", SECOND), GATE_INSIDE);
    assert_string_equal(changes(gated), "breaker one half_open -1;");
    assert_int_equal(come(gated, &caller, "one", SECOND), GATE_REFUSED);
    assert_int_equal(caller.failure.code, ERR_CIRCUIT_OPEN);
    assert_true(caller.failure.retry_after_ms > 0);
    assert_true(says(&caller.failure, "half open"));
    leave(&other);
    succeed(gated, "one");
    assert_string_equal(changes(gated), "breaker one closed -1;");
    assert_int_equal(view(gated, "one").breaker, BREAKER_CLOSED);
    forget(&caller, 1);
    forget(&other, 1);
    gated_free(gated);
}

/* The next attempt of one call ends like this. */
static void fail_again(struct gated *gated, struct caller *caller, bool is_retry,
                       enum failure_class class)
{
    const struct gate_caller who = {.peer = 1};
    assert_int_equal(gate_enter(gated->gates, SLICE("one"), &who,
                                loop_now(gated->loop) + 30 * SECOND, is_retry, &caller->ticket,
                                &caller->failure),
                     GATE_INSIDE);
    leave_with(caller, ERR_UNAVAILABLE, class, "it broke");
}

/* One call whose attempts all fail is one failure in a row; but a trial is a trial. */
static void a_call_that_fails_counts_once(void **state)
{
    struct gated *gated = gated_new();
    (void)state;
    gated_open(gated);
    for (unsigned call = 1; call < 5; call++) {
        struct caller caller = {0};
        fail_again(gated, &caller, false, FAILURE_NETWORK);
        fail_again(gated, &caller, true, FAILURE_NETWORK);
        fail_again(gated, &caller, true, FAILURE_NETWORK);
        assert_int_equal(view(gated, "one").failures_in_row, call);
        forget(&caller, 1);
    }
    assert_int_equal(view(gated, "one").breaker, BREAKER_CLOSED);
    struct caller caller = {0};
    fail_again(gated, &caller, false, FAILURE_NETWORK);
    assert_int_equal(view(gated, "one").breaker, BREAKER_OPEN);
    advance(gated, 60 * SECOND);
    fail_again(gated, &caller, true, FAILURE_NETWORK);
    assert_int_equal(view(gated, "one").breaker, BREAKER_OPEN);
    forget(&caller, 1);
    gated_free(gated);
}

/* The first attempt came to nothing here (a start that has to wait a moment), and the next one found
 * that the server is broken: that is a failure of the call's as well as any. */
static void a_retry_counts_where_nothing_was_counted(void **state)
{
    struct gated *gated = gated_new();
    (void)state;
    gated_open(gated);
    for (unsigned call = 1; call <= 5; call++) {
        struct caller caller = {0};
        fail_again(gated, &caller, false, FAILURE_OF_BROKER);
        fail_again(gated, &caller, true, FAILURE_NETWORK);
        assert_int_equal(view(gated, "one").failures_in_row, call);
        forget(&caller, 1);
    }
    assert_int_equal(view(gated, "one").breaker, BREAKER_OPEN);
    gated_free(gated);
}

static void what_began_before_says_nothing(void **state)
{
    struct gated *gated = gated_new();
    struct caller old = {0}, trial = {0};
    (void)state;
    gated->confs[0].concurrency = 10;
    gated_open(gated);
    assert_int_equal(come(gated, &old, "one", SECOND), GATE_INSIDE);
    break_it(gated, "one", 5, ERR_UNAVAILABLE, FAILURE_NETWORK);
    advance(gated, 60 * SECOND);
    assert_int_equal(come(gated, &trial, "one", SECOND), GATE_INSIDE);
    leave_with(&old, ERR_UNAVAILABLE, FAILURE_NETWORK, "long ago");
    assert_int_equal(view(gated, "one").breaker, BREAKER_HALF_OPEN);
    gate_quit(&trial.ticket); /* says nothing, and gives the trial to another */
    assert_int_equal(view(gated, "one").breaker, BREAKER_HALF_OPEN);
    assert_int_equal(come(gated, &trial, "one", SECOND), GATE_INSIDE);
    leave_with(&trial, ERR_UNAVAILABLE, FAILURE_NETWORK, "again");
    assert_int_equal(view(gated, "one").breaker, BREAKER_OPEN);
    gated_free(gated);
}

static void callers_faults_do_not_count(void **state)
{
    static const enum failure_class harmless[] = {FAILURE_OF_CALLER, FAILURE_OF_BROKER,
                                                  FAILURE_ANSWER};
    struct gated *gated = gated_new();
    struct caller caller = {0};
    (void)state;
    gated_open(gated);
    for (unsigned i = 0; i < 3; i++) {
        break_it(gated, "one", 20, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, harmless[i]);
    }
    assert_int_equal(view(gated, "one").breaker, BREAKER_CLOSED);
    for (unsigned i = 0; i < 20; i++) { /* a caller in a hurry proves nothing */
        assert_int_equal(come(gated, &caller, "one", SECOND), GATE_INSIDE);
        advance(gated, SECOND);
        leave_with(&caller, ERR_TIMEOUT, FAILURE_NETWORK, "late");
    }
    assert_int_equal(view(gated, "one").breaker, BREAKER_CLOSED);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(come(gated, &caller, "one", SECOND), GATE_INSIDE);
        advance(gated, 6 * SECOND);
        leave_with(&caller, ERR_TIMEOUT, FAILURE_NETWORK, "late");
    }
    assert_int_equal(view(gated, "one").breaker, BREAKER_OPEN);
    gated_free(gated);
}

static void one_dead_child_is_one_fault(void **state)
{
    struct gated *gated = gated_new();
    struct caller callers[10] = {0};
    (void)state;
    gated->confs[0].concurrency = 10;
    gated_open(gated);
    for (unsigned death = 1; death <= 5; death++) {
        for (unsigned i = 0; i < 10; i++) {
            assert_int_equal(come(gated, &callers[i], "one", SECOND), GATE_INSIDE);
        }
        advance(gated, 1000);
        for (unsigned i = 0; i < 10; i++) {
            leave_with(&callers[i], ERR_UNAVAILABLE, FAILURE_PROCESS, "it died");
        }
        assert_int_equal(view(gated, "one").breaker == BREAKER_OPEN, death == 5);
        assert_int_equal(view(gated, "one").is_quarantined, death == 5);
    }
    gated_free(gated);
}

static void a_service_that_misbehaves_is_quarantined(void **state)
{
    struct gated *gated = gated_new();
    struct caller caller = {0};
    struct slice value;
    bool was_held;
    (void)state;
    gated->confs[0].breaker.is_off = true;
    gated_open(gated);
    break_it(gated, "one", 5, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, FAILURE_PROTOCOL);
    assert_string_equal(changes(gated), "quarantine one begun 30000;");
    refused(gated, &caller, "one", ERR_QUARANTINED, 30000);
    assert_true(says(&caller.failure, "it broke"));
    assert_true(suggests(&caller.failure, "toolbroker release one"));
    assert_true(detail(&caller.failure, "quarantine", "left_ms", &value));
    assert_true(detail(&caller.failure, "quarantine", "reason", &value));
    assert_false(gates_would_pass(gated->gates, SLICE("one"), SLICE("u"), &caller.failure));
    assert_false(gate_probe(gated->gates, SLICE("one"), &caller.ticket));
    advance(gated, 29 * SECOND);
    assert_string_equal(changes(gated), "");
    advance(gated, SECOND); /* nobody looks: it is told all the same */
    assert_string_equal(changes(gated), "quarantine one ended -1;");
    break_it(gated, "one", 5, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, FAILURE_PROTOCOL);
    assert_string_equal(changes(gated), "quarantine one begun 60000;");
    assert_true(gates_release(gated->gates, SLICE("one"), &was_held));
    assert_true(was_held);
    assert_string_equal(changes(gated), "quarantine one ended -1;");
    assert_true(gates_release(gated->gates, SLICE("one"), &was_held));
    assert_false(was_held);
    assert_false(gates_release(gated->gates, SLICE("nine"), &was_held));
    assert_string_equal(changes(gated), "");
    break_it(gated, "one", 5, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, FAILURE_PROTOCOL);
    assert_string_equal(changes(gated), "quarantine one begun 30000;");
    advance(gated, 3600 * SECOND);
    succeed(gated, "one"); /* one good call starts over */
    break_it(gated, "one", 5, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, FAILURE_PROTOCOL);
    assert_string_equal(changes(gated), "quarantine one ended -1;quarantine one begun 30000;");
    forget(&caller, 1);
    gated_free(gated);
}

static void by_hand(void **state)
{
    struct gated *gated = gated_new();
    struct caller caller = {0};
    struct slice one = SLICE("one");
    (void)state;
    gated_open(gated);
    assert_false(gates_quarantine(gated->gates, SLICE("nine"), 0, SLICE("")));
    assert_false(
        gates_force_breaker(gated->gates, SLICE("nine"), BREAKER_FORCED_OPEN, SLICE("")));
    assert_false(gates_reset_breaker(gated->gates, SLICE("nine")));
    assert_true(gates_quarantine(gated->gates, one, 600000, SLICE("upgrade at 5")));
    refused(gated, &caller, "one", ERR_QUARANTINED, 600000);
    assert_true(says(&caller.failure, "by hand") && says(&caller.failure, "upgrade at 5"));
    assert_true(gates_quarantine(gated->gates, one, 0, SLICE("for good")));
    refused(gated, &caller, "one", ERR_QUARANTINED, -1);
    advance(gated, 100000 * SECOND);
    refused(gated, &caller, "one", ERR_QUARANTINED, -1);
    assert_false(caller.failure.is_retryable);
    assert_true(gates_release(gated->gates, one, &(bool){false}));
    assert_string_equal(changes(gated), "quarantine one begun 600000;quarantine one begun -1;"
                                        "quarantine one ended -1;");
    assert_true(gates_force_breaker(gated->gates, one, BREAKER_FORCED_OPEN, SLICE("no more")));
    refused(gated, &caller, "one", ERR_CIRCUIT_OPEN, -1);
    assert_true(says(&caller.failure, "by hand") && says(&caller.failure, "no more"));
    assert_false(gate_probe(gated->gates, one, &caller.ticket));
    assert_int_equal(view(gated, "one").forced, BREAKER_FORCED_OPEN);
    assert_true(gates_force_breaker(gated->gates, one, BREAKER_FORCED_CLOSED, SLICE("use it")));
    break_it(gated, "one", 20, ERR_UNAVAILABLE, FAILURE_NETWORK);
    assert_int_equal(view(gated, "one").breaker, BREAKER_CLOSED);
    assert_true(gates_reset_breaker(gated->gates, one));
    break_it(gated, "one", 5, ERR_UNAVAILABLE, FAILURE_NETWORK);
    assert_int_equal(view(gated, "one").breaker, BREAKER_OPEN);
    assert_true(gates_reset_breaker(gated->gates, one));
    succeed(gated, "one");
    assert_string_equal(changes(gated), "breaker one open -1;breaker one closed -1;"
                                        "breaker one closed -1;breaker one open 60000;"
                                        "breaker one closed -1;");
    forget(&caller, 1);
    gated_free(gated);
}

static void quarantine_goes_before_the_breaker(void **state)
{
    struct gated *gated = gated_new();
    struct caller caller = {0};
    (void)state;
    gated->confs[0].concurrency = 1;
    gated_open(gated);
    struct caller inside = {0};
    assert_int_equal(come(gated, &inside, "one", SECOND), GATE_INSIDE);
    leave_limited(&inside, 50000);
    refused(gated, &caller, "one", ERR_RATE_LIMITED, 50000);
    assert_true(
        gates_force_breaker(gated->gates, SLICE("one"), BREAKER_FORCED_OPEN, SLICE("x")));
    refused(gated, &caller, "one", ERR_CIRCUIT_OPEN, -1);
    assert_true(gates_quarantine(gated->gates, SLICE("one"), 1000, SLICE("y")));
    refused(gated, &caller, "one", ERR_QUARANTINED, 1000);
    forget(&caller, 1);
    gated_free(gated);
}

/* ---- users ------------------------------------------------------------------------------- */

static void refuse_user(struct gated *gated, const char *user, unsigned times)
{
    struct caller caller = {0};
    for (unsigned i = 0; i < times; i++) {
        assert_int_equal(come_user(gated, &caller, "one", user, SECOND), GATE_INSIDE);
        leave_with(&caller, ERR_AUTH_FAILED, FAILURE_AUTHENTICATION, "401 for this one");
    }
}

static void a_credential_breaks_for_its_user_alone(void **state)
{
    struct gated *gated = gated_new();
    struct caller caller = {0}, old[5] = {0};
    (void)state;
    gated->confs[0].needs_user = true;
    gated->confs[0].concurrency = 20;
    gated_open(gated);
    refuse_user(gated, "ana", 4);
    assert_int_equal(come_user(gated, &caller, "one", "ana", SECOND), GATE_INSIDE);
    leave(&caller); /* it was good for once: nothing is to be remembered */
    refuse_user(gated, "ana", 5);
    assert_string_equal(changes(gated), "breaker one/ana open 60000;");
    assert_int_equal(come_user(gated, &caller, "one", "ana", SECOND), GATE_REFUSED);
    assert_int_equal(caller.failure.code, ERR_CIRCUIT_OPEN);
    assert_int_equal(caller.failure.retry_after_ms, 60000);
    assert_true(says(&caller.failure, "ana") && says(&caller.failure, "401 for this one"));
    assert_false(gates_would_pass(gated->gates, SLICE("one"), SLICE("ana"), NULL));
    assert_true(gates_would_pass(gated->gates, SLICE("one"), SLICE("eva"), NULL));
    assert_int_equal(come_user(gated, &caller, "one", "eva", SECOND), GATE_INSIDE);
    leave(&caller);
    assert_int_equal(view(gated, "one").breaker, BREAKER_CLOSED);
    for (unsigned i = 0; i < 5; i++) { /* all inside before the first one fails */
        assert_int_equal(come_user(gated, &old[i], "one", "lea", SECOND), GATE_INSIDE);
    }
    for (unsigned i = 0; i < 5; i++) {
        leave_with(&old[i], ERR_AUTH_FAILED, FAILURE_AUTHENTICATION, "401");
    }
    assert_string_equal(changes(gated), "breaker one/lea open 60000;");
    assert_true(gates_reset_breaker(gated->gates, SLICE("one")));
    assert_int_equal(come_user(gated, &caller, "one", "ana", SECOND), GATE_INSIDE);
    leave(&caller);
    forget(&caller, 1);
    gated_free(gated);
}

static void a_shared_credential_breaks_for_all(void **state)
{
    struct gated *gated = gated_new();
    (void)state;
    gated_open(gated);
    refuse_user(gated, "ana", 5);
    assert_string_equal(changes(gated), "breaker one open 60000;");
    gated_free(gated);
}

static void users_remembered_are_bounded(void **state)
{
    struct gated *gated = gated_new();
    char name[32];
    (void)state;
    gated->confs[0].needs_user = true;
    gated->confs[0].breaker.failures = 1;
    gated_open(gated);
    for (unsigned i = 0; i < 3000; i++) {
        (void)snprintf(name, sizeof name, "user %u", i);
        refuse_user(gated, name, 1);
    }
    assert_false(gates_would_pass(gated->gates, SLICE("one"), SLICE("user 2999"), NULL));
    assert_false(gates_would_pass(gated->gates, SLICE("one"), SLICE("user 1976"), NULL));
    assert_true(gates_would_pass(gated->gates, SLICE("one"), SLICE("user 1975"), NULL));
    gated_free(gated);
}

/* ---- probes ------------------------------------------------------------------------------ */

static void a_probe_opens_early(void **state)
{
    struct gated *gated = gated_new();
    struct caller caller = {0}, probe = {0}, second = {0};
    struct slice one = SLICE("one");
    (void)state;
    gated->confs[0].concurrency = 1;
    gated->confs[0].breaker.successes = 1;
    gated_open(gated);
    assert_true(gate_probe(gated->gates, one, &probe.ticket));
    assert_false(gate_probe(gated->gates, one, &second.ticket));
    assert_int_equal(come(gated, &caller, "one", SECOND), GATE_INSIDE); /* takes no place */
    leave(&caller);
    leave(&probe);
    assert_int_equal(view(gated, "one").inside, 0);
    break_it(gated, "one", 5, ERR_UNAVAILABLE, FAILURE_NETWORK);
    mono_us failed = view(gated, "one").last_failure;
    advance(gated, SECOND);
    assert_true(gate_probe(gated->gates, one, &probe.ticket));
    assert_string_equal(changes(gated), "breaker one open 60000;breaker one half_open -1;");
    assert_int_equal(come(gated, &caller, "one", SECOND), GATE_REFUSED);
    leave_with(&probe, ERR_UNAVAILABLE, FAILURE_NETWORK, "no");
    assert_string_equal(changes(gated), "breaker one open 60000;");
    assert_int_equal(view(gated, "one").last_failure, failed); /* of real attempts */
    assert_true(gate_probe(gated->gates, one, &probe.ticket));
    leave(&probe);
    assert_string_equal(changes(gated), "breaker one half_open -1;breaker one closed -1;");
    break_it(gated, "one", 5, ERR_UNAVAILABLE, FAILURE_NETWORK);
    gates_try_early(gated->gates, one);
    succeed(gated, "one");
    assert_int_equal(view(gated, "one").breaker, BREAKER_CLOSED);
    forget(&caller, 1);
    gated_free(gated);
}

static void outcomes_are_told_on_edges(void **state)
{
    struct gated *gated = gated_new();
    struct caller probe = {0};
    (void)state;
    gated_open(gated);
    succeed(gated, "one"); /* the first one is an edge too */
    succeed(gated, "one");
    break_it(gated, "one", 2, ERR_UNAVAILABLE, FAILURE_NETWORK);
    assert_true(gate_probe(gated->gates, SLICE("one"), &probe.ticket));
    leave(&probe); /* no attempt */
    break_it(gated, "one", 1, ERR_VALIDATION_ERROR, FAILURE_OF_CALLER);
    settle(gated);
    assert_string_equal(gated->outcomes, "one answering;one failing;");
    break_it(gated, "one", 1, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, FAILURE_ANSWER);
    succeed(gated, "one");
    settle(gated);
    assert_string_equal(gated->outcomes, "one answering;one failing;one answering;");
    gated_free(gated);
}

/* ---- numbers ----------------------------------------------------------------------------- */

static void the_budget_bounds_retries(void **state)
{
    struct gated *gated = gated_new();
    unsigned allowed = 0;
    (void)state;
    gated->confs[0].retry.budget_per_s = 0;
    gated_open(gated);
    while (gates_may_retry(gated->gates, SLICE("one"))) {
        assert_true(++allowed < 1000);
    }
    for (unsigned i = 0; i < 100; i++) {
        succeed(gated, "one");
    }
    for (allowed = 0; gates_may_retry(gated->gates, SLICE("one")); allowed++) {
        assert_true(allowed < 1000);
    }
    assert_in_range(allowed, 1, 20);
    assert_false(gates_may_retry(gated->gates, SLICE("nine")));
    gated_free(gated);
}

static void the_status_says_it_all(void **state)
{
    struct gated *gated = gated_new();
    struct caller caller = {0};
    struct buf out, json;
    (void)state;
    buf_init(&out, 1 << 20);
    buf_init(&json, 1 << 20);
    gated_open(gated);
    succeed(gated, "one");
    break_it(gated, "one", 5, ERR_UNAVAILABLE, FAILURE_NETWORK);
    gates_count_call(gated->gates, SLICE("one"), 1, true);
    gates_count_call(gated->gates, SLICE("one"), 3, true);
    gates_count_call(gated->gates, SLICE("one"), 3, false);
    assert_true(gates_quarantine(gated->gates, SLICE("one"), 5000, SLICE("look at it")));
    assert_true(gates_quarantine(gated->gates, SLICE("two"), 0, SLICE("")));
    pack_put_map(&json, 0);
    uint32_t pairs = gates_put_status(gated->gates, SLICE("one"), &out);
    buf_clear(&json);
    pack_put_map(&json, pairs);
    buf_put_slice(&json, buf_slice(&out));
    buf_clear(&out);
    assert_int_equal(json_from_pack(buf_slice(&json), "status", &out, NULL), 0);
    const char *text = buf_text(&out);
    assert_non_null(strstr(text, "\"breaker\":{\"state\":\"open\",\"since\":\"20"));
    assert_non_null(strstr(text, "\"left_ms\":60000,\"failures\":5,\"reason\":\"it broke\"}"));
    assert_non_null(strstr(text, "\"left_ms\":5000,\"by_hand\":true,\"level\":0,"
                                 "\"reason\":\"look at it\"}"));
    assert_non_null(strstr(text, "\"waiting\":0,\"inflight\":0"));
    assert_non_null(strstr(text, "\"retries\":{\"attempts\":0,\"succeeded\":1,\"failed\":1,"
                                 "\"average_attempts\":2.333,\"refused_by_budget\":0}"));
    assert_non_null(strstr(text, "\"network\":5"));
    assert_int_equal(gates_put_status(gated->gates, SLICE("nine"), &out), 0);
    buf_done(&out);
    buf_done(&json);
    forget(&caller, 1);
    gated_free(gated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_in_and_out),
        cmocka_unit_test(a_breaker_opens_and_closes),
        cmocka_unit_test(a_call_that_fails_counts_once),
        cmocka_unit_test(a_retry_counts_where_nothing_was_counted),
        cmocka_unit_test(what_began_before_says_nothing),
        cmocka_unit_test(callers_faults_do_not_count),
        cmocka_unit_test(one_dead_child_is_one_fault),
        cmocka_unit_test(a_service_that_misbehaves_is_quarantined),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(quarantine_goes_before_the_breaker),
        cmocka_unit_test(a_credential_breaks_for_its_user_alone),
        cmocka_unit_test(a_shared_credential_breaks_for_all),
        cmocka_unit_test(users_remembered_are_bounded),
        cmocka_unit_test(a_probe_opens_early),
        cmocka_unit_test(outcomes_are_told_on_edges),
        cmocka_unit_test(the_budget_bounds_retries),
        cmocka_unit_test(the_status_says_it_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
