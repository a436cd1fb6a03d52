/* SPDX-License-Identifier: MIT */
/* test_http.c - Streamable HTTP: JSON and event-stream answers, statuses, limits, use inside events. */
#include "http_fixture.h"

/* ---- answers ---------------------------------------------------------------------------- */

static void test_json(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "/json");
    assert_false(fixture->has_failed);
    expect_text(fixture, "1:" RESULT_JSON "\n");
    const struct peer_request *seen = &fixture->peer.records[0];
    assert_string_equal(seen->body, REQUEST_JSON);
    assert_string_equal(peer_header(seen, "accept"), "application/json, text/event-stream");
    assert_string_equal(peer_header(seen, "content-type"), "application/json");
    assert_string_equal(peer_header(seen, "authorization"), "Bearer s3cret");
    assert_null(strstr(seen->head, "text/html")); /* the configured Accept is left out */
    assert_null(peer_header(seen, "mcp-session-id"));
    assert_null(peer_header(seen, "mcp-protocol-version"));
    ask(fixture, "/upper");
    assert_false(fixture->has_failed);
    expect_text(fixture, "1:{}\n");
    ask(fixture, "/large-fits");
    assert_false(fixture->has_failed);
    assert_int_equal(fixture->text.len, 6 * 16384 + 3);
}

static void test_events(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "/events");
    assert_false(fixture->has_failed);
    expect_text(fixture, "1:" RESULT_JSON "\n");
    ask(fixture, "/events-many");
    assert_false(fixture->has_failed);
    expect_text(fixture, "1:" NOTE_JSON "\n1:{\"jsonrpc\":\"2.0\",\n\"id\":1,\"result\":{}}\n");
}

static void test_events_split_and_left_open(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "/events-drip");
    assert_false(fixture->has_failed);
    expect_text(fixture, "1:" RESULT_JSON "\n");
    mono_us begun = clock_mono();
    ask(fixture, "/events-left-open");
    assert_false(
        fixture->has_failed); /* answered: the server was given half a second to end it */
    assert_true(clock_mono() - begun < 4500000);
    expect_text(fixture, "1:" RESULT_JSON "\n");
}

static void test_events_that_end_too_early(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "/events-unanswered");
    expect_failure(fixture, ERR_UNAVAILABLE, "ended the stream before the answer");
    expect_text(fixture, "1:" NOTE_JSON "\n");
    ask(fixture, "/events-cut");
    expect_failure(fixture, ERR_UNAVAILABLE, "half-way");
    expect_text(fixture, "1:" NOTE_JSON "\n");
}

static void test_too_large(void **state)
{
    struct fixture *fixture = *state;
    const char *paths[] = {"/large-stated", "/large", "/events-endless"};
    for (unsigned i = 0; i < 3; i++) {
        ask(fixture, paths[i]);
        expect_failure(fixture, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "100000 bytes");
        assert_int_equal(fixture->messages, 0);
    }
}

/* ---- statuses --------------------------------------------------------------------------- */

static void test_statuses(void **state)
{
    static const struct {
        const char *path;
        enum err_code code;
        const char *words;
        int64_t status, retry_after_ms;
        unsigned messages;
    } cases[] = {
        {"/401", ERR_AUTH_FAILED, "answered 401: it does not accept the credentials", 401, -1,
         0},
        {"/403", ERR_AUTH_FAILED, "do not allow this: not you", 403, -1, 0},
        {"/429", ERR_RATE_LIMITED, "too many requests", 429, 7000, 0},
        {"/429-date", ERR_RATE_LIMITED, "too many requests", 429, 86400000, 0},
        {"/429-rubbish", ERR_RATE_LIMITED, "too many requests", 429, -1, 0},
        {"/503", ERR_UNAVAILABLE, "answered 503", 503, 2000, 0},
        {"/500", ERR_UNAVAILABLE, "answered 500: the server failed: oops", 500, -1, 1},
        {"/400", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "answered 400", 400, -1, 1},
        {"/418", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "answered 418", 418, -1, 0},
        {"/404", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "no MCP endpoint", 404, -1, 0},
        {"/307", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "redirects to https://evil.test/x, and",
         307, -1, 0},
        {"/html", ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
         "neither JSON nor an event stream but with text/html", 200, -1, 0},
        {"/prefix", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "but with application/jsonp", 200, -1,
         0},
        {"/202", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "without answering it", 202, -1, 0},
        {"/204", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "without answering it", 204, -1, 0},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ask(fixture, cases[i].path);
        expect_failure(fixture, cases[i].code, cases[i].words);
        assert_int_equal(detail_int(fixture, "http_status"), cases[i].status);
        assert_int_equal(fixture->failure.retry_after_ms, cases[i].retry_after_ms);
        assert_int_equal(fixture->messages, cases[i].messages);
        assert_false(fixture->is_session_gone);
    }
}

static void test_timeout_and_abandon(void **state)
{
    struct fixture *fixture = *state;
    aim(fixture, "/never");
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 500000), 0);
    run_until(fixture, &fixture->ended, 1);
    expect_failure(fixture, ERR_TIMEOUT, "did not answer in time");
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 2, 5000000), 0);
    run_until_seen(fixture, 2);
    fixture->transport->ops->abandon(fixture->transport, 2);
    fixture->transport->ops->abandon(fixture->transport, 2);
    fixture->transport->ops->abandon(fixture->transport, 0);
    run_for(fixture, 50000);
    assert_int_equal(fixture->ended, 1);
}

/* ---- inside events ---------------------------------------------------------------------- */

static void test_abandon_free_and_send_inside_a_message(void **state)
{
    const char *paths[] = {"/json", "/events-many", "/events-left-open", "/400"};
    struct fixture *fixture = *state;
    for (unsigned i = 0; i < 4; i++) {
        aim(fixture, paths[i]);
        fixture->abandons = 1;
        assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
        run_until(fixture, &fixture->messages, 1);
        run_for(fixture, 30000);
        assert_int_equal(fixture->messages, 1);
        assert_int_equal(fixture->ended, 0);

        aim(fixture, paths[i]);
        fixture->answers_in_message = true;
        assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
        run_until(fixture, &fixture->ended, 1);

        aim(fixture, paths[i]);
        fixture->frees_inside = INSIDE_MESSAGE;
        assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
        assert_int_equal(send_kind(fixture, MCP_REQUEST, 2, 5000000), 0);
        run_until(fixture, &fixture->messages, 1);
        run_for(fixture, 30000);
        assert_int_equal(fixture->messages, 1);
        assert_int_equal(fixture->ended, 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_json),
        TEST(test_events),
        TEST(test_events_split_and_left_open),
        TEST(test_events_that_end_too_early),
        TEST(test_too_large),
        TEST(test_statuses),
        TEST(test_timeout_and_abandon),
        TEST(test_abandon_free_and_send_inside_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
