/* SPDX-License-Identifier: MIT */
/* test_http.c - exchanges: answers, faults told apart, limits, what is refused. */
#include "http_fixture.h"

#include "base/mem.h"
#include "loop/http_internal.h"

/* ---- answers ---------------------------------------------------------------------------- */

static void test_post_and_reuse(void **state)
{
    struct fixture *fixture = *state;
    const struct http_field fields[] = {{SLICE("Content-Type"), SLICE("application/json")},
                                        {SLICE("X-Empty"), SLICE("")},
                                        {SLICE("Authorization"), SLICE("Bearer abc")}};
    struct http_headers *headers = http_headers_new(fields, 3, NULL);
    assert_non_null(headers);
    aim(fixture, "/echo");
    for (unsigned i = 0; i < 20; i++) {
        struct outcome outcome;
        struct http_request request = post("{\"a\":1}");
        outcome_init(&outcome);
        request.headers = headers;
        start(fixture, &request, &outcome);
        run_until(fixture, &outcome.dones, 1);
        assert_false(outcome.has_failed);
        assert_true(outcome.was_sent);
        assert_int_equal(outcome.status, 200);
        assert_int_equal(outcome.heads, 1);
        assert_string_equal(outcome.type, "application/json");
        assert_string_equal(buf_text(&outcome.body), "{\"a\":1}");
        outcome_clear(&outcome);
    }
    assert_int_equal(peer_connections(&fixture->peer), 1);
    const struct peer_request *seen = &fixture->peer.records[19];
    assert_true(peer_is(seen, "POST /echo?token=s3cret HTTP/1.1\r\n"));
    assert_string_equal(peer_header(seen, "authorization"), "Bearer abc");
    assert_string_equal(peer_header(seen, "x-empty"), "");
    assert_string_equal(peer_header(seen, "content-type"), "application/json");
    assert_string_equal(seen->head + strlen(seen->head) - 2, "\r\n");
    char expected[512];
    (void)snprintf(
        expected, sizeof expected,
        "POST /echo?token=s3cret HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
        "Content-Type: application/json\r\nX-Empty: \r\nAuthorization: Bearer abc\r\n"
        "User-Agent: toolbroker/" TOOLBROKER_VERSION " HTTP/1.1\r\n"
        "Authorization: Basic dXNlcjpwYTU1\r\nContent-Length: 7\r\n\r\n",
        fixture->peer.port);
    assert_string_equal(seen->head, expected);
    (void)http_headers_unref(headers);
}

static void test_methods_share_a_handle(void **state)
{
    struct fixture *fixture = *state;
    const enum http_method methods[] = {HTTP_GET, HTTP_POST,   HTTP_DELETE, HTTP_POST,
                                        HTTP_GET, HTTP_DELETE, HTTP_GET,    HTTP_POST};
    const char *starts[] = {"POST /", "GET /", "DELETE /"};
    aim(fixture, "/");
    for (unsigned i = 0; i < 8; i++) {
        struct outcome outcome;
        struct http_request request = post("body");
        outcome_init(&outcome);
        request.method = methods[i];
        start(fixture, &request, &outcome);
        run_until(fixture, &outcome.dones, 1);
        assert_false(outcome.has_failed);
        assert_int_equal(outcome.status, methods[i] == HTTP_POST ? 200 : 204);
        assert_true(peer_is(&fixture->peer.records[i], starts[methods[i]]));
        assert_int_equal(fixture->peer.records[i].body_length, methods[i] == HTTP_POST ? 4 : 0);
        outcome_clear(&outcome);
    }
    assert_int_equal(peer_connections(&fixture->peer), 1);
}

static void test_large_bodies_both_ways(void **state)
{
    struct fixture *fixture = *state;
    enum { SIZE = 3 << 20 };
    char *body = malloc(SIZE + 1);
    assert_non_null(body);
    for (size_t i = 0; i < SIZE; i++) {
        body[i] = (char)('a' + i % 25);
    }
    body[SIZE] = '\0';
    aim(fixture, "/echo");
    for (unsigned i = 0; i < 2; i++) {
        struct outcome outcome;
        struct http_request request = post(body);
        outcome_init(&outcome);
        start(fixture, &request, &outcome);
        run_until(fixture, &outcome.dones, 1);
        assert_false(outcome.has_failed);
        assert_int_equal(outcome.body.len, SIZE);
        assert_memory_equal(outcome.body.data, body, SIZE);
        outcome_clear(&outcome);
    }
    free(body);
}

static void test_chunked_after_an_interim_answer(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    outcome_init(&outcome);
    exchange(fixture, "/chunked", &outcome);
    assert_false(outcome.has_failed);
    assert_int_equal(outcome.status, 200);
    assert_int_equal(outcome.heads, 1);
    assert_string_equal(outcome.type, "text/plain");
    assert_string_equal(buf_text(&outcome.body), "hello world");
    assert_true(outcome.pieces >= 2);
    outcome_clear(&outcome);
}

static void test_redirects_are_not_followed(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    struct buf text;
    outcome_init(&outcome);
    buf_init(&text, 1024);
    exchange(fixture, "/redirect", &outcome);
    assert_false(outcome.has_failed);
    assert_int_equal(outcome.status, 307);
    assert_string_equal(outcome.location, "http://127.0.0.1:1/evil");
    http_put_url(&text, fixture->target, SLICE("../other?x=1#y"));
    assert_non_null(strstr(buf_text(&text), "/other"));
    assert_null(strstr(buf_text(&text), "x=1"));
    assert_null(strstr(buf_text(&text), "pa55"));
    buf_done(&text);
    outcome_clear(&outcome);
}

/* ---- faults ----------------------------------------------------------------------------- */

static void test_faults(void **state)
{
    static const struct {
        const char *path;
        enum err_code code;
        const char *reason, *words;
    } faults[] = {
        {"/reset", ERR_UNAVAILABLE, "reset", "reset"},
        {"/close", ERR_UNAVAILABLE, "closed", "closed the connection without an answer"},
        {"/half", ERR_UNAVAILABLE, "closed", "half-way"},
        {"/half-chunk", ERR_UNAVAILABLE, "closed", "half-way"},
        {"/bad-chunk", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "protocol", "chunk"},
        {"/rubbish", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "protocol",
         "as an HTTP server should"},
        {"/head-bomb", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "too_large",
         "65536 bytes of headers"},
        {"/interim-bomb", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "too_large", "of headers"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct outcome outcome;
        outcome_init(&outcome);
        exchange(fixture, faults[i].path, &outcome);
        expect_failure(&outcome, faults[i].code, faults[i].reason, faults[i].words);
        assert_true(outcome.was_sent);
        outcome_clear(&outcome);
    }
}

static void test_refused(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    struct http_target_options options = {.url = SLICE("http://127.0.0.1:1/x?key=s3cret")};
    struct http_request request = post("{}");
    outcome_init(&outcome);
    assert_int_equal(http_target_new(fixture->http, &options, &fixture->target, NULL), 0);
    start(fixture, &request, &outcome);
    run_until(fixture, &outcome.dones, 1);
    expect_failure(&outcome, ERR_UNAVAILABLE, "refused",
                   "could not connect to http://127.0.0.1:1/x: Connection refused");
    assert_true(outcome.failure.is_retryable);
    assert_false(outcome.was_sent);
    outcome_clear(&outcome);
}

static void test_limits_of_the_body(void **state)
{
    struct fixture *fixture = *state;
    const char *paths[] = {"/stated", "/unstated"};
    for (unsigned i = 0; i < 2; i++) {
        struct outcome outcome;
        struct http_request request = post("{}");
        outcome_init(&outcome);
        outcome.counts_only = true;
        request.body_max = 1000000;
        aim(fixture, paths[i]);
        start(fixture, &request, &outcome);
        run_until(fixture, &outcome.dones, 1);
        expect_failure(&outcome, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "too_large",
                       "1000000 bytes");
        assert_true(outcome.bytes <= 1000000);
        outcome_clear(&outcome);
    }
}

static void test_a_dead_connection_is_not_given_a_post_twice(void **state)
{
    struct fixture *fixture = *state;
    aim(fixture, "/once-a-connection");
    for (unsigned i = 0; i < 3; i++) {
        struct outcome outcome;
        struct http_request request = post("{}");
        outcome_init(&outcome);
        request.method = i == 2 ? HTTP_GET : HTTP_POST;
        request.may_repeat = i == 2;
        start(fixture, &request, &outcome);
        run_until(fixture, &outcome.dones, 1);
        if (i ==
            1) { /* the server reads the second request of the connection, then closes it */
            expect_failure(&outcome, ERR_UNAVAILABLE, "closed",
                           "when the request had been sent");
            assert_true(outcome.was_sent);
        } else {
            assert_false(outcome.has_failed);
        }
        outcome_clear(&outcome);
    }
    assert_int_equal(peer_count(&fixture->peer), 3);
    struct outcome again;
    struct http_request request = post("{}");
    outcome_init(&again);
    request.method = HTTP_GET;
    request.may_repeat = true;
    start(fixture, &request, &again);
    run_until(fixture, &again.dones, 1);
    assert_false(again.has_failed); /* seen twice, answered once */
    assert_int_equal(peer_count(&fixture->peer), 5);
    outcome_clear(&again);
}

/* ---- what is refused -------------------------------------------------------------------- */

static void test_bad_urls_and_headers(void **state)
{
    struct fixture *fixture = *state;
    const char *urls[] = {
        "",        "x",           "127.0.0.1:80",       "ftp://host/",   "file:///etc/passwd",
        "http://", "http://a b/", "http://host:99999/", "gopher://x/_y", "http://h\r\nX: y/"};
    const struct http_field fields[] = {
        {SLICE("X-Y"), SLICE("a\r\nZ: s3cret")},
        {SLICE("X-Y"), SLICE("a\0b")},
        {SLICE("X Y"), SLICE("a")},
        {SLICE(""), SLICE("a")},
        {SLICE("X:Y"), SLICE("a")},
        {SLICE("hOST"), SLICE("a")},
        {SLICE("Content-Length"), SLICE("1")},
        {SLICE("Transfer-Encoding"), SLICE("chunked")},
    };
    struct err err;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct http_target_options options = {.url = slice_of(urls[i])};
        struct http_target *target = NULL;
        if (http_target_new(fixture->http, &options, &target, &err) != -ERR_VALIDATION_ERROR) {
            fail_msg("%s was taken", urls[i]);
        }
        assert_null(target);
    }
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        assert_null(http_headers_new(&fields[i], 1, &err));
        assert_int_equal(err.code, ERR_VALIDATION_ERROR);
        assert_null(strstr(err.text, "s3cret"));
    }
}

/* Curl gets ready with the first target: without memory for that there is none yet, later there is. */
static void test_curl_without_memory(void **state)
{
    struct fixture *fixture = *state;
    struct http_target_options options = {.url = SLICE("http://127.0.0.1/")};
    struct outcome outcome;
    struct err err;
    unsigned long nth = 0;
    int failed;
    assert_null(fixture->http->multi);
    do {
        mem_fail_at(++nth);
        failed = http_target_new(fixture->http, &options, &fixture->target, &err);
        mem_fail_at(0);
    } while (failed == -ERR_OVERLOADED);
    assert_true(nth > 1);
    outcome_init(&outcome);
    exchange(fixture, "/echo", &outcome);
    assert_false(outcome.has_failed);
    outcome_clear(&outcome);
}

/* The peer stands for a proxy: it is given the whole URL. */
static void test_a_proxy_of_the_environment(void **state)
{
    struct fixture *fixture = *state;
    const struct http_field fields[] = {{SLICE("User-Agent"), SLICE("mine/1")},
                                        {SLICE("X-Last"), SLICE("1")}};
    char proxy[64];
    (void)snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", fixture->peer.port);
    (void)setenv("http_proxy", proxy, 1);
    (void)setenv("no_proxy", "other.test,127.0.0.1", 1);
    for (unsigned i = 0; i < 2; i++) {
        struct http_target_options options = {.url = SLICE("http://service.test:8080/x?y=1")};
        struct http_request request = post("{}");
        struct outcome outcome;
        outcome_init(&outcome);
        http_target_free(fixture->target);
        if (i) {
            fixture->target =
                make_target(fixture, "/echo", NULL); /* 127.0.0.1: without a proxy */
        } else {
            assert_int_equal(http_target_new(fixture->http, &options, &fixture->target, NULL),
                             0);
        }
        request.headers = http_headers_new(fields, 2, NULL);
        start(fixture, &request, &outcome);
        request.headers = http_headers_unref(request.headers);
        run_until(fixture, &outcome.dones, 1);
        assert_int_equal(outcome.status, i ? 200 : 404);
        const struct peer_request *seen = &fixture->peer.records[i];
        assert_true(peer_is(seen, i ? "POST /echo?token=s3cret HTTP/1.1\r\nHost: 127.0.0.1:"
                                    : "POST http://service.test:8080/x?y=1 HTTP/1.1\r\n"
                                      "Host: service.test:8080\r\n"));
        assert_string_equal(peer_header(seen, "user-agent"), "mine/1 HTTP/1.1");
        assert_string_equal(peer_header(seen, "x-last"), "1");
        outcome_clear(&outcome);
    }
    (void)unsetenv("http_proxy");
    (void)unsetenv("no_proxy");
}

static void test_hosts_without_a_proxy(void **state)
{
    static const struct {
        const char *list, *host;
        bool is_direct;
    } cases[] = {
        {"*", "a.test", true},
        {"a.test", "a.test", true},
        {"A.Test", "a.tEST", true},
        {".a.test", "a.test", true},
        {"a.test", "b.a.test", true},
        {".a.test", "b.a.test", true},
        {"a.test", "ba.test", false},
        {"a.test", "test", false},
        {"b.a.test", "a.test", false},
        {" x.test , a.test", "a.test", true},
        {"x.test a.test", "a.test", true},
        {"", "a.test", false},
        {",, ,", "a.test", false},
        {".", "a.test", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1", "127.0.0.10", false},
        {"0.0.1", "127.0.0.1", false},
        {"10.0.0.0/8", "10.200.3.4", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.1.240.0/20", "10.1.255.7", true},
        {"10.1.240.0/20", "10.1.239.7", false},
        {"10.0.0.0/33", "10.0.0.0", false},
        {"10.0.0.0/", "10.0.0.0", false},
        {"10.0.0.0/x", "10.0.0.0", false},
        {"10.0.0.1/32", "10.0.0.1", true},
        {"::1", "[::1]", true},
        {"[::1]", "[::1]", true},
        {"0:0::1", "[::1]", true},
        {"fd00::/8", "[fd12::3]", true},
        {"fd00::/8", "[fe12::3]", false},
        {"fd00::/8", "10.0.0.1", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (http_is_direct(cases[i].list, slice_of(cases[i].host)) != cases[i].is_direct) {
            fail_msg("%s, %s", cases[i].list, cases[i].host);
        }
    }
}

static void test_tls(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    struct http_request request = post("{}");
    char url[64];
    outcome_init(&outcome);
    /* A server that speaks no TLS: the handshake fails, nothing of the request is sent. */
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u/", fixture->peer.port);
    struct http_target_options options = {.url = slice_of(url)};
    assert_int_equal(http_target_new(fixture->http, &options, &fixture->target, NULL), 0);
    request.deadline = clock_mono() + 500000;
    start(fixture, &request, &outcome);
    run_until(fixture, &outcome.dones, 1);
    assert_true(outcome.has_failed);
    assert_false(outcome.was_sent);
    outcome_clear(&outcome);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_post_and_reuse),
        TEST(test_methods_share_a_handle),
        TEST(test_large_bodies_both_ways),
        TEST(test_chunked_after_an_interim_answer),
        TEST(test_redirects_are_not_followed),
        TEST(test_faults),
        TEST(test_refused),
        TEST(test_limits_of_the_body),
        TEST(test_a_dead_connection_is_not_given_a_post_twice),
        TEST(test_bad_urls_and_headers),
        TEST(test_curl_without_memory),
        TEST(test_a_proxy_of_the_environment),
        TEST(test_hosts_without_a_proxy),
        TEST(test_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
