/* SPDX-License-Identifier: MIT */
/* test_legacy_sse.c - the HTTP+SSE transport of 2024-11-05 against a scripted server. */
#include "http_fixture.h"

#include "mcp/legacy_sse.h"

#include <errno.h>

/* ---- the server ------------------------------------------------------------------------- */

/* The one event stream that is open, for the POSTs to write to; under the peer's lock. */
static int stream_fd = -1;

static bool hold(struct peer *peer, int fd)
{
    struct fixture *fixture = peer->arg;
    char byte;
    (void)recv(fd, &byte, 1, 0);
    (void)pthread_mutex_lock(&peer->lock);
    stream_fd = stream_fd == fd ? -1 : stream_fd; /* the next one may be open already */
    (void)pthread_mutex_unlock(&peer->lock);
    (void)__atomic_add_fetch(&fixture->cut, 1, __ATOMIC_SEQ_CST);
    return false;
}

/* Under the lock: a POST whose client has gone may have come late, and the stream be the next one's. */
static bool may_speak(int fd)
{
    char byte;
    return stream_fd >= 0 && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* On behalf of the POST that came by `fd`. */
static bool say(struct peer *peer, int fd, const char *text)
{
    (void)pthread_mutex_lock(&peer->lock);
    bool is_said = may_speak(fd) && chunk(stream_fd, text);
    (void)pthread_mutex_unlock(&peer->lock);
    return is_said;
}

static bool name_endpoint(struct peer *peer, int fd, const char *url)
{
    char event[10000];
    (void)snprintf(event, sizeof event, ": hello\n\nevent: endpoint\ndata: %s\n\n", url);
    (void)pthread_mutex_lock(&peer->lock); /* a client that has read it may POST at once */
    bool is_open = peer_print(fd, SSE_HEAD) && chunk(fd, event);
    stream_fd = is_open ? fd : -1;
    (void)pthread_mutex_unlock(&peer->lock);
    return is_open && hold(peer, fd);
}

/* "GET /to/URL" names URL, in which %P is our port and %L a long text. */
static bool name_wanted_endpoint(struct peer *peer, int fd, const struct peer_request *request)
{
    struct fixture *fixture = peer->arg;
    return name_endpoint(peer, fd, fixture->endpoint) && request;
}

static bool answer_get(struct peer *peer, int fd, const struct peer_request *request)
{
    char byte;
    if (peer_is(request, "GET /a/sse")) {
        return name_wanted_endpoint(peer, fd, request);
    }
    if (peer_is(request, "GET /silent")) {
        (void)peer_print(fd, SSE_HEAD);
        (void)chunk(fd, "data: " NOTE_JSON "\n\n");
        (void)recv(fd, &byte, 1, 0);
        return false;
    }
    if (peer_is(request, "GET /never")) {
        (void)recv(fd, &byte, 1, 0);
        return false;
    }
    if (peer_is(request, "GET /ends")) {
        return peer_print(fd, SSE_HEAD) && chunk(fd, ": nothing\n\n") &&
               peer_print(fd, "0\r\n\r\n");
    }
    if (peer_is(request, "GET /405")) {
        return peer_reply(fd, "405 Method Not Allowed", "Allow: POST\r\n",
                          "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000,\"message\":"
                          "\"Method not allowed.\"},\"id\":null}");
    }
    if (peer_is(request, "GET /")) { /* as the POSTs of the fixture are answered */
        char head[64];
        const struct peer_request other = {.head = head};
        (void)snprintf(head, sizeof head, "POST %.40s", request->head + 4);
        return answer_status(fd, &other);
    }
    return false;
}

static bool answer_post(struct peer *peer, int fd, const struct peer_request *request)
{
    char byte;
    if (peer_is(request, "POST /a/messages?text")) { /* as 2024-11-05 servers do it */
        return say(peer, fd, "data: " RESULT_JSON "\n\n") &&
               peer_reply(fd, "202 Accepted", "Content-Type: text/plain\r\n", "Accepted");
    }
    if (peer_is(request, "POST /a/messages?empty")) {
        return peer_reply(fd, "204 No Content", "", "") &&
               say(peer, fd,
                   ":\n\nevent: message\ndata: " RESULT_JSON "\n\n"
                   "event: other\ndata: {}\n\nevent: endpoint\ndata: /x\n\n");
    }
    if (peer_is(request, "POST /a/messages?late")) {
        return say(peer, fd, "data: " RESULT_JSON "\n\n") && hold_back(peer) &&
               peer_reply(fd, "200 OK", "", "");
    }
    if (peer_is(request, "POST /a/messages?stream")) {
        (void)peer_print(fd, SSE_HEAD);
        (void)recv(fd, &byte, 1, 0);
        return false;
    }
    if (peer_is(request, "POST /a/messages?gone")) {
        return peer_reply(fd, "404 Not Found", "", "Could not find session");
    }
    if (peer_is(request, "POST /a/messages?ends")) {
        (void)say(peer, fd, "data: " NOTE_JSON "\n\n");
        (void)pthread_mutex_lock(&peer->lock);
        (void)(may_speak(fd) && peer_print(stream_fd, "0\r\n\r\n"));
        (void)pthread_mutex_unlock(&peer->lock);
        (void)recv(fd, &byte, 1, 0);
        return false;
    }
    if (peer_is(request, "POST /a/messages?endless")) {
        return refuse_without_end(fd);
    }
    if (peer_is(request, "POST /a/messages?long")) {
        char line[2048];
        memset(line, 'x', sizeof line - 1);
        line[sizeof line - 1] = '\0';
        bool is_open = say(peer, fd, "data: ");
        while (is_open) {
            is_open = say(peer, fd, line);
        }
        return false;
    }
    return answer(peer, fd, request);
}

static bool answer_legacy(struct peer *peer, int fd, const struct peer_request *request)
{
    return peer_is(request, "GET ") ? answer_get(peer, fd, request)
                                    : answer_post(peer, fd, request);
}

/* ---- driving ---------------------------------------------------------------------------- */

static int setup_legacy(void **state)
{
    int result = setup_with(state, answer_legacy);
    struct fixture *fixture = *state;
    fixture->make = mcp_legacy_sse_new;
    fixture->connect_timeout_ms = 5000;
    return result;
}

static void aim_at(struct fixture *fixture, const char *endpoint)
{
    (void)snprintf(fixture->endpoint, sizeof fixture->endpoint, "%s", endpoint);
    aim(fixture, "/a/sse");
}

/* Opens to `path`, which must not stand. */
static void fail_to_open(struct fixture *fixture, const char *path)
{
    begin(fixture, path);
    run_until(fixture, &fixture->closed, 1);
    run_for(fixture, 5000);
    assert_int_equal(fixture->closed, 1);
    assert_int_equal(fixture->opened, 0);
    fixture->has_failed = fixture->closed_with_failure;
}

static void set_revision(struct fixture *fixture, const char *name)
{
    fixture->transport->ops->set_revision(fixture->transport,
                                          name ? revision_find(slice_of(name)) : NULL);
}

static const struct peer_request *last_seen(struct fixture *fixture)
{
    return &fixture->peer.records[peer_count(&fixture->peer) - 1];
}

/* ---- messages --------------------------------------------------------------------------- */

static void test_messages(void **state)
{
    struct fixture *fixture = *state;
    aim_at(fixture, "/a/messages?text");
    assert_false(fixture->transport->ops->has_exchanges);
    assert_int_equal(fixture->transport->ops->pid(fixture->transport), 0);
    const struct peer_request *seen = last_seen(fixture);
    assert_true(peer_is(seen, "GET /a/sse HTTP/1.1\r\n"));
    assert_string_equal(peer_header(seen, "accept"), "text/event-stream");
    assert_string_equal(peer_header(seen, "authorization"), "Bearer s3cret");
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
    run_until(fixture, &fixture->messages, 1);
    seen = last_seen(fixture);
    assert_true(peer_is(seen, "POST /a/messages?text HTTP/1.1\r\n"));
    assert_string_equal(peer_header(seen, "content-type"), "application/json");
    assert_string_equal(peer_header(seen, "authorization"), "Bearer s3cret");
    assert_string_equal(seen->body, REQUEST_JSON);
    assert_null(peer_header(seen, "mcp-protocol-version"));
    assert_null(peer_header(seen, "mcp-method"));
    set_revision(fixture, "2024-11-05");
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 2, 5000000), 0);
    run_until(fixture, &fixture->messages, 2);
    assert_string_equal(peer_header(last_seen(fixture), "mcp-protocol-version"), "2024-11-05");
    set_revision(fixture, NULL);
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 3, 5000000), 0);
    run_until(fixture, &fixture->messages, 3);
    assert_null(peer_header(last_seen(fixture), "mcp-protocol-version"));
    expect_text(fixture, "0:" RESULT_JSON "\n0:" RESULT_JSON "\n0:" RESULT_JSON "\n");
    run_for(fixture, 20000);
    assert_int_equal(fixture->ended + fixture->closed, 0);
}

static void test_events_and_answers_of_all_kinds(void **state)
{
    struct fixture *fixture = *state;
    const char *endpoints[] = {"/a/messages?empty", "/a/messages?late"};
    for (unsigned i = 0; i < 2; i++) {
        aim_at(fixture, endpoints[i]);
        assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
        run_until(fixture, &fixture->messages, 1);
        expect_text(fixture, "0:" RESULT_JSON "\n");
        run_for(fixture, 20000);
        assert_int_equal(fixture->opened, 1);
        assert_int_equal(fixture->messages, 1);
        assert_int_equal(fixture->ended + fixture->closed, 0);
    }
    aim_at(fixture, "/a/messages?stream"); /* nobody reads it */
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
    run_for(fixture, 30000);
    assert_int_equal(fixture->ended + fixture->closed + fixture->messages, 0);
}

/* ---- the endpoint ----------------------------------------------------------------------- */

static void test_endpoints(void **state)
{
    static const struct {
        const char *endpoint, *path; /* %u: the port */
    } cases[] = {
        {"/messages?sessionId=1&x=%%2F", "/messages?sessionId=1&x=%2F"},
        {"messages", "/a/messages"},
        {"../b/messages/", "/b/messages/"},
        {"?session=1", "/a/sse?session=1"},
        {"http://127.0.0.1:%u/m", "/m"},
        {"HTTP://127.0.0.1:%u/m", "/m"},
        {"//127.0.0.1:%u/m", "/m"},
        {"http://evil:guess@127.0.0.1:%u/m#x", "/m"},
        {"/m//evil.test/", "/m//evil.test/"},
        {"/\\evil.test/m", "/\\evil.test/m"},
        {"/a b", "/a%20b"},
        {"/m?u=http://evil.test/", "/m?u=http://evil.test/"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char endpoint[256], start[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(endpoint, sizeof endpoint, cases[i].endpoint, fixture->peer.port);
#pragma GCC diagnostic pop
        aim_at(fixture, endpoint);
        unsigned seen = peer_count(&fixture->peer);
        assert_int_equal(send_kind(fixture, MCP_NOTIFICATION, 0, 5000000), 0);
        run_until_seen(fixture, seen + 1);
        (void)snprintf(start, sizeof start, "POST %s HTTP/1.1\r\n", cases[i].path);
        if (!peer_is(last_seen(fixture), start)) {
            fail_msg("%s led to %.60s", endpoint, last_seen(fixture)->head);
        }
        assert_string_equal(peer_header(last_seen(fixture), "authorization"), "Bearer s3cret");
    }
}

static void test_endpoints_elsewhere(void **state)
{
    struct fixture *fixture = *state;
    char other[64], same_host[64], later[64];
    (void)snprintf(other, sizeof other, "https://127.0.0.1:%u/m", fixture->peer.port);
    (void)snprintf(same_host, sizeof same_host, "http://127.0.0.1:%u/m",
                   fixture->peer.port ^ 1u);
    (void)snprintf(later, sizeof later, "http://127.0.0.1:%u@evil.test/m?key=x",
                   fixture->peer.port);
    const char *endpoints[] = {other,
                               same_host,
                               later,
                               "http://localhost/m",
                               "http://127.0.0.1/m",
                               "//evil.test/m",
                               "http://evil.test/m",
                               "https://evil.test"};
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        unsigned seen = peer_count(&fixture->peer);
        (void)snprintf(fixture->endpoint, sizeof fixture->endpoint, "%s", endpoints[i]);
        fail_to_open(fixture, "/a/sse");
        expect_failure(fixture, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "another origin");
        assert_int_equal(detail_int(fixture, "http_status"), 200);
        assert_int_equal(peer_count(&fixture->peer), seen + 1);
        assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 1000000), -ERR_UNAVAILABLE);
        assert_null(
            memmem(fixture->failure.details.data, fixture->failure.details.len, "key=x", 5));
    }
}

static void test_endpoints_that_are_none(void **state)
{
    struct fixture *fixture = *state;
    char large[9000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    const char *endpoints[] = {"http://",  "http://[::1/m", "http://127.0.0.1:99999/",
                               "mailto:x", "/a\x01",        large};
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        (void)snprintf(fixture->endpoint, sizeof fixture->endpoint, "%s", endpoints[i]);
        fail_to_open(fixture, "/a/sse");
        expect_failure(fixture, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "is no URL");
    }
}

/* ---- streams that do not stand ---------------------------------------------------------- */

static void test_refused_streams(void **state)
{
    static const struct {
        const char *path;
        enum err_code code;
        const char *words;
        int64_t status, retry_after_ms;
    } cases[] = {
        {"/401", ERR_AUTH_FAILED, "answered 401: it does not accept the credentials", 401, -1},
        {"/403", ERR_AUTH_FAILED, "do not allow this: not you", 403, -1},
        {"/404", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "no MCP endpoint", 404, -1},
        {"/405", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "no MCP endpoint", 405, -1},
        {"/429-date", ERR_RATE_LIMITED, "too many requests", 429, 86400000},
        {"/429", ERR_RATE_LIMITED, "too many requests", 429, 7000},
        {"/503", ERR_UNAVAILABLE, "answered 503", 503, 2000},
        {"/500", ERR_UNAVAILABLE, "the server failed: oops", 500, -1},
        {"/307", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "redirects to https://evil.test/x, and",
         307, -1},
        {"/html", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "no event stream but with text/html", 200,
         -1},
        {"/empty-json", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "no event stream", 200, -1},
        {"/204", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "no event stream", 204, -1},
        {"/ends", ERR_UNAVAILABLE, "before it named its endpoint", 200, -1},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fail_to_open(fixture, cases[i].path);
        expect_failure(fixture, cases[i].code, cases[i].words);
        assert_int_equal(detail_int(fixture, "http_status"), cases[i].status);
        assert_int_equal(fixture->failure.retry_after_ms, cases[i].retry_after_ms);
        assert_int_equal(fixture->messages + fixture->ended, 0);
    }
}

static void test_no_endpoint_in_time(void **state)
{
    struct fixture *fixture = *state;
    fixture->connect_timeout_ms = 600;
    fail_to_open(fixture, "/silent");
    expect_failure(fixture, ERR_UNAVAILABLE,
                   "did not name its endpoint for messages within 600 ms");
    assert_int_equal(fixture->messages, 0);
    fail_to_open(fixture, "/never");
    expect_failure(fixture, ERR_UNAVAILABLE, "did not answer within 600 ms");
}

/* ---- messages that are not taken -------------------------------------------------------- */

static void test_requests_that_are_not_taken(void **state)
{
    static const struct {
        const char *endpoint;
        enum err_code code;
        const char *words;
        int64_t status, retry_after_ms;
    } cases[] = {
        {"/401", ERR_AUTH_FAILED, "answered 401", 401, -1},
        {"/403", ERR_AUTH_FAILED, "do not allow this: not you", 403, -1},
        {"/400", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "it refused the request: bad", 400, -1},
        {"/429", ERR_RATE_LIMITED, "answered 429", 429, 7000},
        {"/429-date", ERR_RATE_LIMITED, "answered 429", 429, 86400000},
        {"/503", ERR_UNAVAILABLE, "answered 503", 503, 2000},
        {"/500", ERR_UNAVAILABLE, "answered 500", 500, -1},
        {"/a/messages?endless", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "answered 400", 400, -1},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aim_at(fixture, cases[i].endpoint);
        assert_int_equal(send_kind(fixture, MCP_REQUEST, 7, 5000000), 0);
        assert_int_equal(fixture->ended, 0);
        run_until(fixture, &fixture->ended, 1);
        assert_int_equal(fixture->last_token, 7);
        assert_false(fixture->is_session_gone);
        expect_failure(fixture, cases[i].code, cases[i].words);
        assert_int_equal(detail_int(fixture, "http_status"), cases[i].status);
        assert_int_equal(fixture->failure.retry_after_ms, cases[i].retry_after_ms);
        assert_int_equal(fixture->messages + fixture->closed, 0);
    }
    aim_at(fixture, "/never");
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 500000), 0);
    run_until(fixture, &fixture->ended, 1);
    expect_failure(fixture, ERR_TIMEOUT, "did not answer in time");
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 2, 5000000), 0);
    run_for(fixture, 30000);
    fixture->transport->ops->abandon(fixture->transport, 2);
    fixture->transport->ops->abandon(fixture->transport, 2);
    fixture->transport->ops->abandon(fixture->transport, 0);
    run_for(fixture, 30000);
    assert_int_equal(fixture->ended, 1);
}

static void test_notifications_that_are_not_taken(void **state)
{
    struct fixture *fixture = *state;
    aim_at(fixture, "/500");
    assert_int_equal(send_kind(fixture, MCP_NOTIFICATION, 0, 5000000), 0);
    run_until_seen(fixture, 2);
    run_for(fixture, 30000);
    assert_int_equal(fixture->ended + fixture->messages + fixture->closed, 0);
    aim_at(fixture, "/401");
    assert_int_equal(send_kind(fixture, MCP_RESPONSE, 0, 5000000), 0);
    run_until(fixture, &fixture->ended, 1);
    assert_int_equal(fixture->last_token, 0);
    expect_failure(fixture, ERR_AUTH_FAILED, "401");
}

static void test_a_session_that_is_gone(void **state)
{
    struct fixture *fixture = *state;
    aim_at(fixture, "/a/messages?gone");
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
    run_until(fixture, &fixture->closed, 1);
    assert_int_equal(fixture->ended, 1);
    expect_failure(fixture, ERR_UNAVAILABLE, "forgotten the session");
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 2, 5000000), -ERR_UNAVAILABLE);
}

/* ---- order and limits ------------------------------------------------------------------- */

static void test_requests_wait_for_initialized(void **state)
{
    struct fixture *fixture = *state;
    aim_at(fixture, "/a/messages?late");
    set_revision(fixture, "2024-11-05");
    assert_int_equal(send_kind(fixture, MCP_NOTIFICATION, 0, 5000000), 0);
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
    run_until_seen(fixture, 2);
    run_for(fixture, 50000);
    assert_int_equal(peer_count(&fixture->peer), 2);
    release(fixture, 2); /* and the request's answer */
    run_until_seen(fixture, 3);
    assert_int_equal(send_kind(fixture, MCP_NOTIFICATION, 0, 5000000),
                     0); /* holds nothing up */
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 2, 5000000), 0);
    run_until_seen(fixture, 5);
}

static void test_responses_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    aim_at(fixture, "/never");
    for (int i = 0; i < 64; i++) {
        assert_int_equal(send_kind(fixture, MCP_RESPONSE, 0, 5000000), 0);
    }
    assert_int_equal(send_kind(fixture, MCP_RESPONSE, 0, 5000000), -ERR_OVERLOADED);
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
}

static void test_too_long(void **state)
{
    struct fixture *fixture = *state;
    aim_at(fixture, "/a/messages?long");
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
    run_until(fixture, &fixture->closed, 1);
    fixture->has_failed = fixture->closed_with_failure;
    expect_failure(fixture, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "100000 bytes");
}

static void test_idle_for_hours(void **state)
{
    struct fixture *fixture = *state;
    aim_at(fixture, "/a/messages?text");
    loop_freeze(fixture->loop);
    for (unsigned i = 0; i < 10; i++) {
        loop_advance(fixture->loop, (mono_us)3600 * 1000000);
        run_for(fixture, 5000);
    }
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
    run_until(fixture, &fixture->messages, 1);
    assert_int_equal(fixture->ended + fixture->closed, 0);
}

/* ---- ends ------------------------------------------------------------------------------- */

static void test_the_end_of_the_stream(void **state)
{
    struct fixture *fixture = *state;
    aim_at(fixture, "/a/messages?ends");
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
    run_until(fixture, &fixture->closed, 1);
    assert_int_equal(fixture->messages, 1);
    fixture->has_failed = fixture->closed_with_failure;
    expect_failure(fixture, ERR_UNAVAILABLE, "and the session with it");
    run_for(fixture, 20000);
    assert_int_equal(fixture->closed, 1);
    assert_int_equal(fixture->ended, 0); /* all are told by `closed` */
}

static void test_close(void **state)
{
    struct fixture *fixture = *state;
    aim_at(fixture, "/a/messages?text");
    fixture->transport->ops->close(fixture->transport);
    fixture->transport->ops->close(fixture->transport);
    assert_int_equal(fixture->closed, 0);
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), -ERR_UNAVAILABLE);
    run_until(fixture, &fixture->closed, 1);
    assert_false(fixture->closed_with_failure);
    mono_us end = clock_mono() + 5000000;
    while (!__atomic_load_n(&fixture->cut, __ATOMIC_SEQ_CST)) { /* the server sees the end */
        loop_turn(fixture->loop, 5000);
        assert_true(clock_mono() < end);
    }
    assert_int_equal(peer_count(&fixture->peer), 1);
    assert_int_equal(fixture->closed, 1);
    begin(fixture, "/a/sse"); /* before it has opened */
    fixture->transport->ops->close(fixture->transport);
    run_until(fixture, &fixture->closed, 1);
    run_for(fixture, 20000);
    assert_int_equal(fixture->opened, 0);
}

static void test_free_inside_events(void **state)
{
    static const struct {
        const char *endpoint;
        enum inside inside;
    } cases[] = {
        {"/a/messages?text", INSIDE_OPENED},   {"http://evil.test/", INSIDE_CLOSED},
        {"/a/messages?text", INSIDE_MESSAGE},  {"/a/messages?ends", INSIDE_MESSAGE},
        {"/a/messages?ends", INSIDE_CLOSED},   {"/401", INSIDE_ENDED},
        {"/a/messages?endless", INSIDE_ENDED}, {"/a/messages?gone", INSIDE_ENDED},
        {"/a/messages?gone", INSIDE_CLOSED},   {"/a/messages?long", INSIDE_CLOSED},
        {"/a/messages?text", INSIDE_MESSAGE},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)snprintf(fixture->endpoint, sizeof fixture->endpoint, "%s", cases[i].endpoint);
        begin(fixture, "/a/sse");
        fixture->frees_inside = cases[i].inside;
        mono_us end = clock_mono() + 20000000;
        for (bool is_sent = false; fixture->transport;) {
            loop_turn(fixture->loop, 20000);
            assert_true(clock_mono() < end);
            if (fixture->transport && fixture->opened && !is_sent) {
                is_sent = true;
                assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
                assert_int_equal(send_kind(fixture, MCP_REQUEST, 2, 5000000), 0);
            }
        }
        unsigned told = fixture->messages + fixture->ended + fixture->closed;
        run_for(fixture, 10000);
        assert_int_equal(fixture->messages + fixture->ended + fixture->closed, told);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_legacy, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_messages),
        TEST(test_events_and_answers_of_all_kinds),
        TEST(test_endpoints),
        TEST(test_endpoints_elsewhere),
        TEST(test_endpoints_that_are_none),
        TEST(test_refused_streams),
        TEST(test_no_endpoint_in_time),
        TEST(test_options_that_cannot_be_used),
        TEST(test_requests_that_are_not_taken),
        TEST(test_notifications_that_are_not_taken),
        TEST(test_a_session_that_is_gone),
        TEST(test_requests_wait_for_initialized),
        TEST(test_responses_are_bounded),
        TEST(test_too_long),
        TEST(test_idle_for_hours),
        TEST(test_the_end_of_the_stream),
        TEST(test_close),
        TEST(test_free_inside_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
