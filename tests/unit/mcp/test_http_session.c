/* SPDX-License-Identifier: MIT */
/* test_http_session.c - Streamable HTTP: sessions, the order of messages, the standalone stream. */
#include "http_fixture.h"

/* ---- sessions --------------------------------------------------------------------------- */

static void test_a_session(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "/session");
    assert_false(fixture->has_failed);
    fixture->transport->ops->set_revision(fixture->transport,
                                          revision_find(SLICE("2025-11-25")));
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 2, 5000000), 0);
    run_until(fixture, &fixture->ended, 2);
    const struct peer_request *seen = &fixture->peer.records[1];
    assert_string_equal(peer_header(seen, "mcp-session-id"), "abc-1");
    assert_string_equal(peer_header(seen, "mcp-protocol-version"), "2025-11-25");
    assert_string_equal(peer_header(seen, "authorization"), "Bearer s3cret");
    fixture->transport->ops->close(fixture->transport);
    fixture->transport->ops->close(fixture->transport);
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 3, 5000000), -ERR_UNAVAILABLE);
    assert_int_equal(fixture->closed, 0);
    run_until(fixture, &fixture->closed, 1);
    assert_false(fixture->closed_with_failure);
    seen = &fixture->peer.records[2];
    assert_true(peer_is(seen, "DELETE /session HTTP/1.1\r\n"));
    assert_string_equal(peer_header(seen, "mcp-session-id"), "abc-1");
    assert_string_equal(peer_header(seen, "authorization"), "Bearer s3cret");
    run_for(fixture, 20000);
    assert_int_equal(fixture->closed, 1);
}

static void test_a_session_that_is_gone(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "/session-gone");
    fixture->transport->ops->set_revision(fixture->transport,
                                          revision_find(SLICE("2025-06-18")));
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 2, 5000000), 0);
    run_until(fixture, &fixture->ended, 2);
    assert_true(fixture->is_session_gone);
    expect_failure(fixture, ERR_UNAVAILABLE, "forgotten the session");
    assert_int_equal(fixture->messages, 1); /* the JSON-RPC error was not given as an answer */
    fixture->transport->ops->set_revision(fixture->transport, NULL);
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 3, 5000000), 0);
    run_until(fixture, &fixture->ended, 3);
    assert_false(fixture->has_failed);
    assert_null(peer_header(&fixture->peer.records[2], "mcp-session-id"));
    assert_null(peer_header(&fixture->peer.records[2], "mcp-protocol-version"));
}

static void test_a_404_that_is_no_lost_session(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "/session-method");
    fixture->transport->ops->set_revision(fixture->transport,
                                          revision_find(SLICE("2025-06-18")));
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 2, 5000000), 0);
    run_until(fixture, &fixture->ended, 2);
    assert_false(fixture->is_session_gone);
    assert_int_equal(fixture->messages, 2);
}

static void expect_gone(struct fixture *fixture, const char *path, bool is_gone)
{
    ask(fixture, path);
    fixture->transport->ops->set_revision(fixture->transport,
                                          revision_find(SLICE("2025-06-18")));
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 2, 5000000), 0);
    run_until(fixture, &fixture->ended, 2);
    assert_int_equal(fixture->is_session_gone, is_gone);
}

/* What servers on the official SDKs say after a restart ... */
static void test_a_400_for_a_lost_session(void **state)
{
    expect_gone(*state, "/session-invalid", true);
}

static void test_a_400_in_words_for_a_lost_session(void **state)
{
    expect_gone(*state, "/session-plain", true);
}

/* ... and what they also say with this status and code. */
static void test_a_400_that_is_no_lost_session(void **state)
{
    expect_gone(*state, "/session-refusal", false);
}

/* "session" is within other words, too: a call that was refused is not sent again for it. */
static void test_a_400_with_other_words(void **state)
{
    expect_gone(*state, "/session-expression", false);
}

static void test_a_session_id_that_is_none(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "/session-bad");
    expect_failure(fixture, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "session id");
    assert_int_equal(fixture->messages, 0);
}

static void test_closing_without_a_session(void **state)
{
    struct fixture *fixture = *state;
    aim(fixture, "/json");
    fixture->transport->ops->close(fixture->transport);
    assert_int_equal(fixture->closed, 0);
    run_until(fixture, &fixture->closed, 1);
    assert_int_equal(peer_count(&fixture->peer), 0);
}

/* ---- order, and messages that ask nothing ----------------------------------------------- */

static void test_requests_wait_for_initialized(void **state)
{
    struct fixture *fixture = *state;
    aim(fixture, "/slow-note");
    fixture->transport->ops->set_revision(fixture->transport,
                                          revision_find(SLICE("2025-11-25")));
    assert_int_equal(send_kind(fixture, MCP_NOTIFICATION, 0, 5000000), 0);
    fixture->transport->ops->listen(fixture->transport, false);
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
    run_until_seen(fixture, 1);
    run_for(fixture, 50000);
    assert_int_equal(peer_count(&fixture->peer), 1);
    release(fixture, 2);
    run_until_seen(fixture, 3);
    run_until(fixture, &fixture->ended, 1); /* of the request; the notification's is no news */
    assert_int_equal(fixture->last_token, 1);
    assert_true(peer_is(&fixture->peer.records[1], "GET ") ||
                peer_is(&fixture->peer.records[2], "GET "));
    /* Later notifications hold nothing up, though this one is not answered. */
    assert_int_equal(send_kind(fixture, MCP_NOTIFICATION, 0, 5000000), 0);
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 2, 5000000), 0);
    run_until_seen(fixture, 5);
}

static void test_the_handshake_inside_a_message(void **state)
{
    struct fixture *fixture = *state;
    aim(fixture, "/session");
    fixture->renews_in_message = true;
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
    run_until(fixture, &fixture->ended, 2);
    run_until(fixture, &fixture->messages, 3);
    assert_int_equal(peer_count(&fixture->peer), 4);
    for (unsigned i = 1; i < 4; i++) {
        assert_string_equal(peer_header(&fixture->peer.records[i], "mcp-session-id"), "abc-1");
    }
    assert_non_null(strstr(buf_text(&fixture->text), "0:" NOTE_JSON));
}

static void test_notifications_that_fail(void **state)
{
    struct fixture *fixture = *state;
    aim(fixture, "/500");
    assert_int_equal(send_kind(fixture, MCP_NOTIFICATION, 0, 5000000), 0);
    run_until_seen(fixture, 1);
    run_for(fixture, 30000);
    assert_int_equal(fixture->ended + fixture->messages, 0);
    aim(fixture, "/401");
    assert_int_equal(send_kind(fixture, MCP_RESPONSE, 0, 5000000), 0);
    run_until(fixture, &fixture->ended, 1);
    assert_int_equal(fixture->last_token, 0);
    expect_failure(fixture, ERR_AUTH_FAILED, "401");
    aim(fixture, "/events-left-open"); /* a stream where none was asked for */
    assert_int_equal(send_kind(fixture, MCP_NOTIFICATION, 0, 5000000), 0);
    run_until_seen(fixture, 3);
    run_for(fixture, 30000);
    assert_int_equal(fixture->ended + fixture->messages, 0);
}

static void test_responses_pass_requests_that_wait(void **state)
{
    struct fixture *fixture = *state;
    aim(fixture, "/never");
    for (mcp_token token = 1; token <= 5; token++) {
        assert_int_equal(send_kind(fixture, MCP_REQUEST, token, 5000000), 0);
    }
    run_until_seen(fixture, 2);
    run_for(fixture, 50000);
    assert_int_equal(peer_count(&fixture->peer), 2); /* concurrency */
    assert_int_equal(send_kind(fixture, MCP_RESPONSE, 0, 5000000), 0);
    run_until_seen(fixture, 3);
    fixture->transport->ops->abandon(fixture->transport, 1);
    run_until_seen(fixture, 4);
}

/* A server that asks and asks, and does not take our answers, gets no descriptor for each. */
static void test_responses_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    aim(fixture, "/never");
    for (int i = 0; i < 64; i++) {
        assert_int_equal(send_kind(fixture, MCP_RESPONSE, 0, 5000000), 0);
    }
    assert_int_equal(send_kind(fixture, MCP_RESPONSE, 0, 5000000), -ERR_OVERLOADED);
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
}

/* ---- the standalone stream -------------------------------------------------------------- */

static void test_no_stream_is_silence(void **state)
{
    struct fixture *fixture = *state;
    const char *paths[] = {"/405", "/html", "/none"};
    for (unsigned i = 0; i < 3; i++) {
        unsigned seen = peer_count(&fixture->peer);
        aim(fixture, paths[i]);
        fixture->transport->ops->listen(fixture->transport, false);
        run_until_seen(fixture, seen + 1);
        run_for(fixture, 50000);
        assert_int_equal(fixture->messages + fixture->ended + fixture->closed, 0);
        assert_int_equal(peer_count(&fixture->peer), seen + 1);
        assert_string_equal(peer_header(&fixture->peer.records[seen], "accept"),
                            "text/event-stream");
        assert_string_equal(peer_header(&fixture->peer.records[seen], "authorization"),
                            "Bearer s3cret");
    }
}

/* What the server asks on that stream may belong to the very first request. */
static void test_requests_wait_for_the_stream(void **state)
{
    struct fixture *fixture = *state;
    const char *paths[] = {"/405", "/stream-ends", "/html", "/never"};
    for (unsigned i = 0; i < 4; i++) {
        unsigned seen = peer_count(&fixture->peer);
        aim(fixture, paths[i]);
        fixture->transport->ops->listen(fixture->transport, true);
        assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
        run_until_seen(fixture, seen + 2);
        assert_string_equal(peer_header(&fixture->peer.records[seen], "accept"),
                            "text/event-stream");
        assert_string_equal(peer_header(&fixture->peer.records[seen + 1], "accept"),
                            "application/json, text/event-stream");
        fixture->transport->ops->abandon(fixture->transport, 1);
        run_for(fixture, 20000);
    }
}

static void test_a_stream_comes_back(void **state)
{
    struct fixture *fixture = *state;
    aim(fixture, "/stream-ends");
    loop_freeze(fixture->loop);
    fixture->transport->ops->listen(fixture->transport, false);
    run_until(fixture, &fixture->messages, 1);
    expect_text(fixture, "0:" NOTE_JSON "\n");
    run_until_waiting(fixture);
    loop_advance(fixture->loop, 249999);
    run_for(fixture, 20000);
    assert_int_equal(peer_count(&fixture->peer), 1);
    loop_advance(fixture->loop, 1);
    run_until(fixture, &fixture->messages, 2);
    assert_null(peer_header(&fixture->peer.records[0], "last-event-id"));
    assert_string_equal(peer_header(&fixture->peer.records[1], "last-event-id"), "e-1");
    assert_int_equal(fixture->ended + fixture->closed, 0);
    fixture->transport->ops->set_revision(fixture->transport, NULL); /* another session */
    loop_advance(fixture->loop, 3600000000);
    run_for(fixture, 20000);
    assert_int_equal(peer_count(&fixture->peer), 2);
}

static void test_free_inside_a_message_of_the_stream(void **state)
{
    struct fixture *fixture = *state;
    aim(fixture, "/stream-ends");
    fixture->frees_inside = INSIDE_MESSAGE;
    fixture->transport->ops->listen(fixture->transport, false);
    run_until(fixture, &fixture->messages, 1);
    run_for(fixture, 20000);
    assert_int_equal(fixture->messages, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_session),
        TEST(test_a_session_that_is_gone),
        TEST(test_a_404_that_is_no_lost_session),
        TEST(test_a_400_for_a_lost_session),
        TEST(test_a_400_in_words_for_a_lost_session),
        TEST(test_a_400_that_is_no_lost_session),
        TEST(test_a_400_with_other_words),
        TEST(test_a_session_id_that_is_none),
        TEST(test_closing_without_a_session),
        TEST(test_options_that_cannot_be_used),
        TEST(test_requests_wait_for_initialized),
        TEST(test_the_handshake_inside_a_message),
        TEST(test_notifications_that_fail),
        TEST(test_responses_pass_requests_that_wait),
        TEST(test_responses_are_bounded),
        TEST(test_no_stream_is_silence),
        TEST(test_requests_wait_for_the_stream),
        TEST(test_a_stream_comes_back),
        TEST(test_free_inside_a_message_of_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
