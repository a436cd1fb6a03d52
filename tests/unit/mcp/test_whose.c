/* SPDX-License-Identifier: MIT */
/* test_whose.c - whose doing a failure is, and whether it says that nothing was done. */
#include "fake.h"

#include "http_fixture.h"

/* ---- statuses ---------------------------------------------------------------------------- */

/* "POST /s/503", or "POST /s/503/after" with Retry-After. */
static bool answer_with_status(struct peer *peer, int fd, const struct peer_request *request)
{
    (void)peer;
    char status[32];
    const char *at = strstr(request->head, "/s/");
    bool says_when = strstr(request->head, "/after") != NULL;
    assert_non_null(at);
    (void)snprintf(status, sizeof status, "%.3s Something", at + 3);
    return peer_reply(fd, status, says_when ? "Retry-After: 2\r\n" : "", "");
}

static int setup_statuses(void **state)
{
    return setup_with(state, answer_with_status);
}

struct meaning {
    enum err_code code;
    enum failure_class class;
    bool is_nothing_done;
};

static struct meaning meaning_of(int status, bool says_when)
{
    if (status == 401) {
        return (struct meaning){ERR_AUTH_FAILED, FAILURE_AUTHENTICATION, true};
    }
    if (status == 403) {
        return (struct meaning){ERR_AUTH_FAILED, FAILURE_ANSWER, false};
    }
    if (status == 429) {
        return (struct meaning){ERR_RATE_LIMITED, FAILURE_RATE_LIMIT, true};
    }
    if (status < 500) {
        return (struct meaning){ERR_EXTERNAL_TOOL_EXECUTION_FAILED, FAILURE_ANSWER, false};
    }
    return (struct meaning){ERR_UNAVAILABLE, FAILURE_SERVER, status == 503 && says_when};
}

static void ask_each(struct fixture *fixture, bool says_when)
{
    const struct failure *failure = &fixture->failure;
    for (int status = 300; status < 600; status++) {
        char path[32];
        struct meaning wanted = meaning_of(status, says_when);
        (void)snprintf(path, sizeof path, "/s/%d%s", status, says_when ? "/after" : "");
        ask(fixture, path);
        if (!fixture->has_failed || failure->code != wanted.code ||
            failure->class != wanted.class ||
            failure->is_nothing_done != wanted.is_nothing_done) {
            fail_msg("%s: %s %s %d", path, err_name(failure->code),
                     failure_class_name(failure->class), failure->is_nothing_done);
        }
        assert_int_equal(failure->retry_after_ms, says_when ? 2000 : -1);
    }
}

static void every_status_has_its_class(void **state)
{
    ask_each(*state, false);
}

static void every_status_with_retry_after_too(void **state)
{
    ask_each(*state, true);
}

static void a_long_answer_is_no_fault_of_the_server(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "/large-stated");
    expect_failure(fixture, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "more than the");
    assert_int_equal(fixture->failure.class, FAILURE_OF_BROKER);
    ask(fixture, "/events-endless");
    assert_int_equal(fixture->failure.class, FAILURE_OF_BROKER);
    ask(fixture, "/html");
    assert_int_equal(fixture->failure.class, FAILURE_PROTOCOL);
    ask(fixture, "/202");
    assert_int_equal(fixture->failure.class, FAILURE_PROTOCOL);
    ask(fixture, "/events-cut");
    assert_int_equal(fixture->failure.class, FAILURE_NETWORK);
}

/* ---- answers ----------------------------------------------------------------------------- */

static void errors_in_order_are_answers(void **state)
{
    (void)state;
    static const struct {
        int code;
        bool is_nothing_done;
    } errors[] = {{-32700, true},  {-32600, true},  {-32601, true},  {-32602, true},
                  {-32603, false}, {-32000, false}, {-32599, false}, {1, false}};
    struct bench bench;
    struct told told = {0};
    struct fake *fake = standing(&bench, false);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        call(&bench, &told);
        say(fake, "{'jsonrpc':'2.0','id':%llu,'error':{'code':%d,'message':'no'}}",
            last_id(fake), errors[i].code);
        assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "no");
        assert_int_equal(told.class, FAILURE_ANSWER);
        assert_int_equal(told.is_nothing_done, errors[i].is_nothing_done);
        assert_true(told.sent);
        told_done(&told);
    }
    call(&bench, &told);
    say(fake, "{'jsonrpc':'2.0','id':%llu}", last_id(fake));
    assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "broke the protocol");
    assert_int_equal(told.class, FAILURE_PROTOCOL);
    told_done(&told);
    call_with(&bench, &told, .arguments = "{}");
    assert_told(told, ERR_VALIDATION_ERROR, "text");
    assert_int_equal(told.class, FAILURE_OF_CALLER);
    told_done(&told);
    bench_done(&bench);
}

static void an_output_that_does_not_fit_is_an_answer(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    bench_init(&bench, false);
    apply_one(&bench, conf_new("s", "1"));
    call_with(&bench, &told, .arguments = "{}");
    struct fake *fake = fake_at(&bench, 0);
    shake_hands(fake, "2025-11-25");
    answer_last(fake, "{'tools':[{'name':'echo','inputSchema':{'type':'object'},"
                      "'outputSchema':{'type':'object','required':['n']}}]}");
    answer_last(fake, "{'content':[],'structuredContent':{}}");
    assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "outputSchema");
    assert_int_equal(told.class, FAILURE_ANSWER);
    assert_false(told.is_nothing_done);
    told_done(&told);
    bench_done(&bench);
}

/* ---- ends -------------------------------------------------------------------------------- */

static void what_was_under_way_is_not_excused_by_another_answer(void **state)
{
    (void)state;
    struct bench bench;
    struct told lost = {0};
    struct told gone = {0};
    struct told unsent = {0};
    struct failure failure = {0};
    struct fake *fake = standing(&bench, true);
    call(&bench, &lost);
    call(&bench, &gone);
    failure_set(&failure, ERR_UNAVAILABLE, "forgotten");
    fake->events->exchange_ended(fake->arg, last_id(fake), &failure, true);
    turn(&bench);
    call(&bench, &unsent);
    assert_has(last_sent(fake), "\"method\":\"initialize\"");
    failure_set(&failure, ERR_AUTH_FAILED, "refused");
    failure.is_nothing_done = true;
    failure_detail_int(&failure, "http_status", 401);
    fake->events->exchange_ended(fake->arg, last_id(fake), &failure, false);
    turn(&bench);
    failure_done(&failure);
    assert_told(lost, ERR_AUTH_FAILED, "refused");
    assert_true(lost.sent);
    assert_false(lost.is_nothing_done);
    assert_told(gone, ERR_AUTH_FAILED, "refused");
    assert_false(gone.sent); /* the server said so, with its 404 */
    assert_told(unsent, ERR_AUTH_FAILED, "refused");
    assert_false(unsent.sent);
    assert_int_equal(unsent.class, FAILURE_AUTHENTICATION);
    told_done(&lost);
    told_done(&gone);
    told_done(&unsent);
    bench_done(&bench);
}

/* A server that takes no session is not well, though it refuses in order. */
static void a_refused_session_is_a_fault(void **state)
{
    (void)state;
    static const struct {
        enum err_code code;
        enum failure_class class, wanted;
    } refusals[] = {
        {ERR_EXTERNAL_TOOL_EXECUTION_FAILED, FAILURE_ANSWER, FAILURE_SERVER},
        {ERR_AUTH_FAILED, FAILURE_ANSWER, FAILURE_AUTHENTICATION},
        {ERR_AUTH_FAILED, FAILURE_AUTHENTICATION, FAILURE_AUTHENTICATION},
        {ERR_UNAVAILABLE, FAILURE_NETWORK, FAILURE_NETWORK},
        {ERR_RATE_LIMITED, FAILURE_RATE_LIMIT, FAILURE_RATE_LIMIT},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct bench bench;
        struct told told = {0};
        struct failure failure = {0};
        bench_init(&bench, true);
        apply_one(&bench, conf_new("s", "1"));
        call(&bench, &told);
        struct fake *fake = fake_at(&bench, 0);
        fake_opened(fake);
        failure_set(&failure, refusals[i].code, "refused");
        failure.class = refusals[i].class;
        fake->events->exchange_ended(fake->arg, last_id(fake), &failure, false);
        turn(&bench);
        failure_done(&failure);
        assert_told(told, refusals[i].code, "refused");
        assert_int_equal(told.class, refusals[i].wanted);
        assert_false(told.sent);
        told_done(&told);
        bench_done(&bench);
    }
}

static void what_is_refused_without_the_server_is_ours(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    bench_init(&bench, false);
    apply_one(&bench, conf_new("s", "1"));
    for (int i = 0; i < 2; i++) {
        call(&bench, &told);
        fake_dies(fake_at(&bench, bench.fake_count - 1), "died");
        assert_told(told, ERR_UNAVAILABLE, "died");
        told_done(&told);
    }
    call(&bench, &told); /* too soon */
    assert_told(told, ERR_UNAVAILABLE, "not started again so soon");
    assert_int_equal(told.class, FAILURE_OF_BROKER);
    assert_true(told.retry_after_ms > 0 && told.retry_after_ms <= 251);
    struct buf map;
    char *status = as_json(put_status(service_named(&bench, "s"), &map));
    assert_has(status, "\"calls\":3,\"failures\":2");
    mem_free(status);
    buf_done(&map);
    told_done(&told);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_status_has_its_class, setup_statuses, teardown),
        cmocka_unit_test_setup_teardown(every_status_with_retry_after_too, setup_statuses,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_long_answer_is_no_fault_of_the_server, setup,
                                        teardown),
        cmocka_unit_test(errors_in_order_are_answers),
        cmocka_unit_test(an_output_that_does_not_fit_is_an_answer),
        cmocka_unit_test(what_was_under_way_is_not_excused_by_another_answer),
        cmocka_unit_test(a_refused_session_is_a_fault),
        cmocka_unit_test(what_is_refused_without_the_server_is_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
