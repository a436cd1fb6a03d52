/* SPDX-License-Identifier: MIT */
/* test_limits.c - what answers over HTTP say of a server's limits: heard on every one, and told once. */
#include "fake.h"

#include "http_fixture.h"
#include "mcp/legacy_sse.h"

/* ---- the wire ---------------------------------------------------------------------------- */

static bool answer_with_limits(struct peer *peer, int fd, const struct peer_request *request)
{
    static const char plenty[] = "Content-Type: application/json\r\nDate: Mon\r\nServer: x\r\n"
                                 "X-RateLimit-Limit: 100\r\nX-RateLimit-Remaining: 41\r\n"
                                 "X-RateLimit-Reset: 30\r\n";
    static const struct {
        const char *path, *status, *headers, *body;
    } answers[] = {
        {"POST /plenty", "200 OK", plenty, RESULT_JSON},
        {"POST /nothing", "200 OK",
         "Content-Type: application/json\r\nServer: x\r\nX-Powered-By: y\r\n"
         "X-Request-Id: 1\r\nReferrer-Policy: no\r\nStrict-Transport-Security: 1\r\n",
         RESULT_JSON},
        {"POST /429-bare", "429 Slow", "", ""},
        {"POST /429-reset", "429 Slow",
         "X-RateLimit-Limit: 10\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 9\r\n", ""},
        {"POST /429-new", "429 Slow", "RateLimit: \"default\";r=0;t=4\r\n", ""},
        {"POST /429", "429 Slow", "Retry-After: 7\r\nX-RateLimit-Reset: 900\r\n", ""},
        {"POST /503-when", "503 Busy", "retry-after: 2\r\n", ""},
        {"POST /503-left", "503 Busy", "X-RateLimit-Remaining: 3\r\n", ""},
        {"POST /503", "503 Busy", "", ""},
        {"POST /500", "500 Oops", "Retry-After: 5\r\n", ""},
        {"POST /note", "202 Accepted", "X-RateLimit-Remaining: 8\r\n", ""},
    };
    (void)peer;
    if (peer_is(request, "GET /sse-no")) {
        return peer_reply(fd, "429 Slow", "Retry-After: 11\r\n", "");
    }
    if (peer_is(request, "GET /sse")) {
        char byte;
        (void)peer_print(fd, SSE_HEAD);
        (void)chunk(fd, "event: endpoint\ndata: /429\n\n");
        (void)recv(fd, &byte, 1, 0);
        return false;
    }
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        if (peer_is(request, answers[i].path)) {
            return peer_reply(fd, answers[i].status, answers[i].headers, answers[i].body);
        }
    }
    return peer_json(fd, RESULT_JSON);
}

static int setup_limits(void **state)
{
    return setup_with(state, answer_with_limits);
}

static void every_answer_is_heard(void **state)
{
    static const struct {
        const char *path;
        bool is_told, is_refused;
        int64_t remaining, retry_after_ms, failure_ms; /* failure_ms -2: none */
    } cases[] = {
        {"/plenty", true, false, 41, -1, -2},      {"/nothing", false, false, -1, -1, -2},
        {"/429-bare", true, true, -1, -1, -1},     {"/429-reset", true, true, 0, -1, 9000},
        {"/429-new", true, true, 0, -1, 4000},     {"/429", true, true, -1, 7000, 7000},
        {"/503-when", true, true, -1, 2000, 2000}, {"/503", false, false, -1, -1, -1},
        {"/503-left", true, false, 3, -1, -1},     {"/500", true, false, -1, 5000, 5000},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ask(fixture, cases[i].path);
        if (fixture->limits != (cases[i].is_told ? 1 : 0)) {
            fail_msg("%s: told %u times", cases[i].path, fixture->limits);
        }
        if (cases[i].is_told) {
            assert_int_equal(fixture->is_limited, cases[i].is_refused);
            assert_int_equal(fixture->limit.remaining, cases[i].remaining);
            assert_int_equal(fixture->limit.retry_after_ms, cases[i].retry_after_ms);
        }
        assert_int_equal(fixture->has_failed, cases[i].failure_ms != -2);
        if (fixture->has_failed && fixture->failure.retry_after_ms != cases[i].failure_ms) {
            fail_msg("%s: %lld", cases[i].path, (long long)fixture->failure.retry_after_ms);
        }
    }
    aim(fixture, "/note"); /* also of what needs no answer */
    assert_int_equal(send_kind(fixture, MCP_NOTIFICATION, 0, 5000000), 0);
    run_until(fixture, &fixture->limits, 1);
    assert_int_equal(fixture->limit.remaining, 8);
}

static void whoever_hears_may_free_the_wire(void **state)
{
    static const char *const paths[] = {"/plenty", "/429", "/503-when"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        aim(fixture, paths[i]);
        fixture->frees_inside = INSIDE_LIMITS;
        assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
        run_until(fixture, &fixture->limits, 1);
        run_for(fixture, 20000);
        assert_null(fixture->transport);
        assert_int_equal(fixture->messages + fixture->ended, 0);
    }
}

static void the_older_transport_hears_too(void **state)
{
    struct fixture *fixture = *state;
    fixture->make = mcp_legacy_sse_new;
    begin(fixture, "/sse-no");
    run_until(fixture, &fixture->closed, 1);
    assert_int_equal(fixture->limits, 1);
    assert_true(fixture->is_limited);
    assert_int_equal(fixture->failure.retry_after_ms, 11000);
    aim(fixture, "/sse");
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
    run_until(fixture, &fixture->ended, 1);
    assert_int_equal(fixture->limits, 1);
    assert_int_equal(fixture->limit.retry_after_ms, 7000);
    aim(fixture, "/sse");
    fixture->frees_inside = INSIDE_LIMITS;
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
    run_until(fixture, &fixture->limits, 1);
    run_for(fixture, 20000);
    assert_int_equal(fixture->ended, 0);
    begin(fixture, "/sse-no");
    fixture->frees_inside = INSIDE_LIMITS;
    run_until(fixture, &fixture->limits, 1);
    run_for(fixture, 20000);
    assert_int_equal(fixture->closed, 0);
}

/* ---- the service ------------------------------------------------------------------------- */

static void tell(struct fake *fake, int64_t remaining, bool is_refused)
{
    struct rate_fields fields;
    rate_fields_init(&fields);
    fields.remaining = remaining;
    fake->events->limits(fake->arg, &fields, is_refused);
}

static void limits_are_told_by_credential(void **state)
{
    (void)state;
    struct bench bench;
    struct told ana = {0};
    struct told all = {0};
    bench_init(&bench, true);
    struct service_conf *own = conf_new("own", "1");
    struct service_conf *one = conf_new("one", "1");
    own->sharing = one->sharing =
        SERVICE_PER_USER; /* of which one uses the user's credential */
    own->needs_user = true;
    apply(&bench, (struct service_conf *[]){own, one}, 2);
    call_with(&bench, &ana, .service = "own", .user = "ana");
    call_with(&bench, &all, .service = "one", .user = "ana");
    tell(fake_at(&bench, 0), 5, false);
    tell(fake_at(&bench, 1), 0, true);
    assert_string_equal(bench.limits, "own 'ana' 5 -1 0; one '' 0 -1 1; ");
    mcp_cancel(ana.request, "test");
    mcp_cancel(all.request, "test");
    struct fake *fake = fake_at(&bench, 0);
    apply(&bench, NULL, 0); /* its wire closes: nobody is told any more */
    bench.limits[0] = '\0';
    assert_true(fake->is_closing);
    tell(fake, 1, true);
    assert_string_equal(bench.limits, "");
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_answer_is_heard, setup_limits, teardown),
        cmocka_unit_test_setup_teardown(whoever_hears_may_free_the_wire, setup_limits,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_older_transport_hears_too, setup_limits, teardown),
        cmocka_unit_test(limits_are_told_by_credential),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
