/* SPDX-License-Identifier: MIT */
/* test_http_resume.c - Streamable HTTP of older revisions: streams that break before the answer. */
#include "http_fixture.h"

/* ---- the server ------------------------------------------------------------------------- */

#define ENDS "0\r\n\r\n"

static bool await_close(int fd)
{
    char byte;
    (void)recv(fd, &byte, 1, 0);
    return false;
}

/* Answers by the path; a GET also by the number of its attempt, which the fixture counts. */
static bool answer_resumed(struct fixture *fixture, int fd, const struct peer_request *request)
{
    unsigned attempt = __atomic_add_fetch(&fixture->cut, 1, __ATOMIC_SEQ_CST);
    if (peer_is(request, "GET /405")) {
        return peer_reply(fd, "405 Method Not Allowed", "Allow: POST\r\n", "");
    }
    if (peer_is(request, "GET /404")) {
        return peer_reply(fd, "404 Not Found", "", "");
    }
    if (peer_is(request, "GET /401")) {
        return peer_reply(fd, "401 Unauthorized", "", "");
    }
    if (peer_is(request, "GET /json")) {
        return peer_json(fd, RESULT_JSON);
    }
    if (peer_is(request, "GET /busy") && attempt == 1) {
        return peer_reply(fd, "503 Service Unavailable", "Retry-After: 3\r\n", "");
    }
    if (peer_is(request, "GET /reset") && attempt == 1) {
        peer_reset(fd);
        return false;
    }
    if (!peer_print(fd, SSE_HEAD)) {
        return false;
    }
    if (peer_is(request, "GET /many") && attempt < 4) {
        char event[128];
        (void)snprintf(event, sizeof event, "id: g%u\ndata: %s\n\n", attempt, NOTE_JSON);
        return chunk(fd, event) && peer_print(fd, ENDS);
    }
    if (peer_is(request, "GET /fruitless")) {
        return chunk(fd, "id: p-1\ndata:\n\n") && peer_print(fd, ENDS);
    }
    if (peer_is(request, "GET /long")) {
        return chunk_without_end(fd);
    }
    if (peer_is(request, "GET /open")) {
        char byte;
        (void)chunk(fd, ": wait\n\n");
        (void)recv(fd, &byte, 1, 0);
        (void)__atomic_add_fetch(&fixture->cut, 100, __ATOMIC_SEQ_CST);
        return false;
    }
    return chunk(fd, "id: g9\ndata: " NOTE_JSON "\n\ndata: " RESULT_JSON "\n\n") &&
           (peer_is(request, "GET /lingers") ? await_close(fd) : peer_print(fd, ENDS));
}

static bool answer_broken(struct peer *peer, int fd, const struct peer_request *request)
{
    if (peer_is(request, "GET ")) {
        return answer_resumed(peer->arg, fd, request);
    }
    if (!strstr(request->head, "mcp-session-id") && !strstr(request->head, "Mcp-Session-Id")) {
        (void)peer_print(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                             "Mcp-Session-Id: abc-1\r\nTransfer-Encoding: chunked\r\n\r\n");
    } else {
        (void)peer_print(fd, SSE_HEAD);
    }
    if (peer_is(request, "POST /no-id")) {
        return chunk(fd, "retry: 100\ndata: " NOTE_JSON "\n\n") && peer_print(fd, ENDS);
    }
    if (peer_is(request, "POST /odd-id")) {
        return chunk(fd, "id: a\x01\ndata:\n\n") && peer_print(fd, ENDS);
    }
    if (peer_is(request, "POST /default")) {
        return chunk(fd, "id: p-1\ndata:\n\n") && peer_print(fd, ENDS);
    }
    (void)chunk(fd, "id: p-1\nretry: 500\ndata:\n\n");
    if (peer_is(request, "POST /cut") || peer_is(request, "POST /reset")) {
        (void)chunk(fd, "id: p-2\ndata: " NOTE_JSON "\n\nid: p-3\ndata: half");
        return false;
    }
    return peer_print(fd, ENDS);
}

static int setup_broken(void **state)
{
    return setup_with(state, answer_broken);
}

/* ---- driving ---------------------------------------------------------------------------- */

static void begin_one(struct fixture *fixture, const char *path, mono_us within)
{
    fixture->cut = 0;
    aim(fixture, path);
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, within), 0);
}

static void finish_one(struct fixture *fixture)
{
    run_until(fixture, &fixture->ended, 1);
    assert_int_equal(fixture->last_token, 1);
}

/* The frozen clock goes on by `time`; nothing may be asked before, `wanted` requests after it. */
static void wait_exactly(struct fixture *fixture, mono_us time, unsigned wanted)
{
    run_until_waiting(fixture);
    assert_int_equal(peer_count(&fixture->peer), wanted - 1);
    loop_advance(fixture->loop, time - 1);
    run_for(fixture, 15000);
    assert_int_equal(peer_count(&fixture->peer), wanted - 1);
    loop_advance(fixture->loop, 1);
    run_until_seen(fixture, wanted);
}

static void expect_sent(struct fixture *fixture)
{
    assert_non_null(memmem(fixture->failure.details.data, fixture->failure.details.len,
                           "request_sent\xC3", 13));
}

/* ---- resumed ---------------------------------------------------------------------------- */

/* After exactly as long as the server wishes: the conformance suite allows 50 ms less. */
static void test_the_answer_comes_later(void **state)
{
    struct fixture *fixture = *state;
    loop_freeze(fixture->loop);
    begin_one(fixture, "/mcp", 5000000);
    run_until_seen(fixture, 1);
    wait_exactly(fixture, 500000, 2);
    finish_one(fixture);
    assert_false(fixture->has_failed);
    expect_text(fixture, "1:" NOTE_JSON "\n1:" RESULT_JSON "\n");
    const struct peer_request *seen = &fixture->peer.records[1];
    assert_true(peer_is(seen, "GET /mcp HTTP/1.1\r\n"));
    assert_string_equal(peer_header(seen, "last-event-id"), "p-1");
    assert_string_equal(peer_header(seen, "mcp-session-id"), "abc-1");
    assert_string_equal(peer_header(seen, "accept"), "text/event-stream");
    assert_string_equal(peer_header(seen, "authorization"), "Bearer s3cret");
    assert_null(peer_header(seen, "mcp-protocol-version"));
    fixture->transport->ops->set_revision(fixture->transport,
                                          revision_find(SLICE("2025-11-25")));
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 2, 5000000), 0);
    run_until_seen(fixture, 3);
    wait_exactly(fixture, 500000, 4);
    run_until(fixture, &fixture->ended, 2);
    assert_false(fixture->has_failed);
    seen = &fixture->peer.records[3];
    assert_true(peer_is(seen, "GET /mcp HTTP/1.1\r\n"));
    assert_string_equal(peer_header(seen, "mcp-protocol-version"), "2025-11-25");
}

static void test_a_second_where_none_is_named(void **state)
{
    struct fixture *fixture = *state;
    loop_freeze(fixture->loop);
    begin_one(fixture, "/default", 5000000);
    run_until_seen(fixture, 1);
    wait_exactly(fixture, 1000000, 2);
    finish_one(fixture);
    assert_false(fixture->has_failed);
}

static void test_a_broken_connection(void **state)
{
    struct fixture *fixture = *state;
    begin_one(fixture, "/cut", 5000000);
    finish_one(fixture);
    assert_false(fixture->has_failed);
    expect_text(fixture, "1:" NOTE_JSON "\n1:" NOTE_JSON "\n1:" RESULT_JSON "\n");
    assert_string_equal(peer_header(&fixture->peer.records[1], "last-event-id"), "p-2");
    begin_one(fixture, "/reset", 5000000); /* and the GET fails first */
    finish_one(fixture);
    assert_false(fixture->has_failed);
}

static void test_again_and_again(void **state)
{
    struct fixture *fixture = *state;
    loop_freeze(fixture->loop);
    begin_one(fixture, "/many", 60000000);
    run_until_seen(fixture, 1);
    for (unsigned i = 0; i < 4; i++) {
        wait_exactly(fixture, 500000, i + 2); /* each brought something: no growing waits */
    }
    finish_one(fixture);
    assert_false(fixture->has_failed);
    assert_int_equal(fixture->messages, 5);
    assert_string_equal(peer_header(&fixture->peer.records[1], "last-event-id"), "p-1");
    assert_string_equal(peer_header(&fixture->peer.records[4], "last-event-id"), "g3");
}

static void test_growing_waits(void **state)
{
    struct fixture *fixture = *state;
    static const mono_us waits[] = {500000,  1000000,  2000000,  4000000,
                                    8000000, 16000000, 30000000, 30000000};
    loop_freeze(fixture->loop);
    begin_one(fixture, "/fruitless", 100000000);
    run_until_seen(fixture, 1);
    for (unsigned i = 0; i < sizeof waits / sizeof *waits; i++) {
        wait_exactly(fixture, waits[i], i + 2);
    }
    run_for(fixture, 30000);
    assert_int_equal(fixture->ended, 0);
    loop_advance(fixture->loop, 8500000); /* the deadline */
    finish_one(fixture);
    expect_failure(fixture, ERR_TIMEOUT, "did not answer in time");
    expect_sent(fixture);
    run_for(fixture, 30000);
    assert_int_equal(peer_count(&fixture->peer), 9);
}

static void test_a_server_that_is_busy(void **state)
{
    struct fixture *fixture = *state;
    loop_freeze(fixture->loop);
    begin_one(fixture, "/busy", 60000000);
    run_until_seen(fixture, 1);
    wait_exactly(fixture, 500000, 2);
    wait_exactly(fixture, 3000000, 3);
    finish_one(fixture);
    assert_false(fixture->has_failed);
}

static void test_the_answer_without_an_end(void **state)
{
    struct fixture *fixture = *state;
    begin_one(fixture, "/lingers", 10000000);
    run_until(fixture, &fixture->messages, 2);
    finish_one(fixture); /* it does not end as long as we do not */
    assert_false(fixture->has_failed);
}

/* ---- not resumed ------------------------------------------------------------------------ */

static void test_what_cannot_be_resumed(void **state)
{
    static const struct {
        const char *path;
        enum err_code code;
        unsigned requests;
        const char *words;
        int64_t status;
    } cases[] = {
        {"/no-id", ERR_UNAVAILABLE, 1, "ended the stream before the answer", 200},
        {"/405", ERR_UNAVAILABLE, 2, "answered 405 when asked to resume it", 200},
        {"/404", ERR_UNAVAILABLE, 2, "answered 404 when asked to resume it", 200},
        {"/json", ERR_UNAVAILABLE, 2, "answered 200 when asked to resume it", 200},
        {"/401", ERR_AUTH_FAILED, 2, "answered 401", 401},
        {"/long", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, 2, "100000 bytes", 200},
        {"/odd-id", ERR_UNAVAILABLE, 1, "Last-Event-ID", 200},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned seen = peer_count(&fixture->peer);
        begin_one(fixture, cases[i].path, 5000000);
        finish_one(fixture);
        expect_failure(fixture, cases[i].code, cases[i].words);
        expect_sent(fixture);
        assert_false(fixture->is_session_gone); /* or the request would be sent once more */
        assert_int_equal(detail_int(fixture, "http_status"), cases[i].status);
        assert_int_equal(peer_count(&fixture->peer), seen + cases[i].requests);
    }
}

static void test_the_deadline_while_waiting(void **state)
{
    struct fixture *fixture = *state;
    loop_freeze(fixture->loop);
    begin_one(fixture, "/mcp", 200000);
    run_until_waiting(fixture);
    loop_advance(fixture->loop, 200000);
    finish_one(fixture);
    expect_failure(fixture, ERR_TIMEOUT, "did not answer in time");
    expect_sent(fixture);
    begin_one(fixture, "/open", 700000); /* and while the stream is open again */
    run_until_waiting(fixture);
    loop_advance(fixture->loop, 500000);
    run_until_seen(fixture, 3);
    loop_advance(fixture->loop, 200000);
    finish_one(fixture);
    expect_failure(fixture, ERR_TIMEOUT, "did not answer in time");
    expect_sent(fixture);
}

static void test_another_session(void **state)
{
    struct fixture *fixture = *state;
    begin_one(fixture, "/mcp", 5000000);
    run_until_waiting(fixture);
    fixture->transport->ops->set_revision(fixture->transport, NULL);
    finish_one(fixture);
    expect_failure(fixture, ERR_UNAVAILABLE, "the session");
    expect_sent(fixture);
    assert_int_equal(peer_count(&fixture->peer), 1);
}

static void test_abandon_close_and_free(void **state)
{
    struct fixture *fixture = *state;
    const struct mcp_transport_ops *ops = NULL;
    for (unsigned i = 0; i < 3; i++) { /* while it waits */
        begin_one(fixture, "/mcp", 5000000);
        run_until_waiting(fixture);
        ops = fixture->transport->ops;
        if (i == 0) {
            ops->abandon(fixture->transport, 1);
        } else if (i == 1) {
            ops->close(fixture->transport);
        } else {
            drop(fixture);
        }
        run_for(fixture, 700000);
        assert_int_equal(fixture->ended, 0);
    }
    assert_true(peer_is(&fixture->peer.records[2], "DELETE "));
    unsigned seen = peer_count(&fixture->peer);
    begin_one(fixture, "/open", 5000000); /* while it is open */
    run_until_seen(fixture, seen + 2);
    run_for(fixture, 30000);
    fixture->transport->ops->abandon(fixture->transport, 1);
    run_until_cut(fixture, 100);
    assert_int_equal(fixture->ended, 0);
    assert_in_range(__atomic_load_n(&fixture->cut, __ATOMIC_SEQ_CST), 100, 200);
    begin_one(fixture, "/mcp", 5000000); /* inside a message of the resumed stream */
    fixture->frees_inside = INSIDE_MESSAGE;
    run_until(fixture, &fixture->messages, 1);
    run_for(fixture, 30000);
    assert_int_equal(fixture->messages, 1);
    assert_int_equal(fixture->ended, 0);
    begin_one(fixture, "/405", 5000000); /* and when it fails */
    fixture->frees_inside = INSIDE_ENDED;
    run_until(fixture, &fixture->ended, 1);
    assert_null(fixture->transport);
}

/* The server's wish is kept by the standalone stream as well. */
static void test_the_standalone_stream(void **state)
{
    struct fixture *fixture = *state;
    loop_freeze(fixture->loop);
    aim(fixture, "/fruitless");
    fixture->transport->ops->listen(fixture->transport, false);
    run_until_seen(fixture, 1);
    wait_exactly(fixture, 1000000, 2); /* it named no time, but an id */
    wait_exactly(fixture, 1000000, 3);
    wait_exactly(fixture, 2000000, 4);
    assert_null(peer_header(&fixture->peer.records[0], "last-event-id"));
    assert_string_equal(peer_header(&fixture->peer.records[1], "last-event-id"), "p-1");
    assert_int_equal(fixture->messages + fixture->ended,
                     0); /* priming events are no messages */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_broken, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_answer_comes_later),
        TEST(test_a_second_where_none_is_named),
        TEST(test_a_broken_connection),
        TEST(test_again_and_again),
        TEST(test_growing_waits),
        TEST(test_a_server_that_is_busy),
        TEST(test_the_answer_without_an_end),
        TEST(test_what_cannot_be_resumed),
        TEST(test_the_deadline_while_waiting),
        TEST(test_another_session),
        TEST(test_abandon_close_and_free),
        TEST(test_the_standalone_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
