/* SPDX-License-Identifier: MIT */
/* test_http_h2.c - HTTP/2 with nginx: one connection for many, and what becomes of each when it ends. */
#include "tls_server.h"

#include "base/mem.h"
#include "loop/http_internal.h"

/* ---- many exchanges --------------------------------------------------------------------- */

enum { MANY_MAX = 400 };

static struct outcome many[MANY_MAX];

static void start_many(struct fixture *fixture, unsigned from, unsigned count,
                       enum http_method method)
{
    for (unsigned i = from; i < from + count; i++) {
        char body[32];
        (void)snprintf(body, sizeof body, "{\"n\":%u}", i);
        struct http_request request = post(body);
        request.method = method;
        outcome_init(&many[i]);
        start(fixture, &request, &many[i]);
    }
}

static unsigned count_done(unsigned from, unsigned count)
{
    unsigned done = 0;
    for (unsigned i = from; i < from + count; i++) {
        done += many[i].dones;
    }
    return done;
}

static void end_many(struct fixture *fixture, unsigned from, unsigned count)
{
    for (mono_us end = clock_mono() + 30000000; count_done(from, count) < count;) {
        loop_turn(fixture->loop, 10000);
        assert_true(clock_mono() < end);
    }
}

static void clear_many(unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++) {
        outcome_clear(&many[i]);
    }
}

static void expect_echoes(unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++) {
        char body[32];
        (void)snprintf(body, sizeof body, "{\"n\":%u}", i);
        if (many[i].has_failed) {
            fail_msg("%u: %s", i, buf_text(&many[i].failure.message));
        }
        assert_int_equal(many[i].dones, 1);
        assert_string_equal(buf_text(&many[i].body), body);
    }
}

static void aim_wide(struct fixture *fixture, enum tls_port port, const char *path,
                     uint32_t concurrency)
{
    struct http_target_options options = {.ca_pem = slice_of(tls.ca),
                                          .concurrency = concurrency};
    tls_aim_with(fixture, port, "127.0.0.1", path, options);
}

/* Connections that nginx wrote down for a port. */
static unsigned count_connections(enum tls_port port)
{
    static char text[1 << 20];
    char start[32];
    unsigned long seen[64];
    unsigned count = 0;
    (void)tls_read("access.log", text, sizeof text);
    (void)snprintf(start, sizeof start, "%u HTTP/2.0 ", tls.ports[port]);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, start, strlen(start)) == 0) {
            unsigned long number = strtoul(line + strlen(start), NULL, 10);
            unsigned i = 0;
            while (i < count && seen[i] != number) {
                i++;
            }
            if (i == count && count < 64) {
                seen[count++] = number;
            }
        }
    }
    return count;
}

/* ---- what is sent ----------------------------------------------------------------------- */

static void test_lines_arrive(void **state)
{
    struct fixture *fixture = *state;
    const struct http_field fields[] = {{SLICE("Content-Type"), SLICE("application/json")},
                                        {SLICE("X-Empty"), SLICE("")},
                                        {SLICE("X-Blank"), SLICE("  ")},
                                        {SLICE("X-Colon"), SLICE(" a: b ; c\t")},
                                        {SLICE("Authorization"), SLICE("Bearer abc")}};
    const struct http_field agents[] = {{SLICE("User-Agent"), SLICE("mine/1")}};
    const struct http_field extra[] = {{SLICE("Mcp-Method"), SLICE("tools/call")},
                                       {SLICE("Mcp-Name"), SLICE("caf\xC3\xA9")}};
    struct http_headers *headers = http_headers_new(fields, 5, NULL);
    struct http_headers *with_agent = http_headers_new(agents, 1, NULL);
    tls_aim(fixture, TLS_GOOD, "/echo?a=b");
    for (unsigned i = 0; i < 6; i++) {
        struct outcome outcome;
        struct http_request request = post("{\"a\":1}");
        outcome_init(&outcome);
        request.headers = i == 4 ? NULL : i == 5 ? with_agent : headers;
        request.extra = extra;
        request.extra_count = i % 2 ? 2 : 0;
        start(fixture, &request, &outcome);
        run_until(fixture, &outcome.dones, 1);
        assert_false(outcome.has_failed);
        assert_string_equal(buf_text(&outcome.body), "{\"a\":1}");
        assert_string_equal(outcome.type, "application/json");
        outcome_clear(&outcome);
        const struct peer_request *seen = &fixture->peer.records[i];
        assert_true(peer_is(seen, "POST /echo?a=b HTTP/1.1\r\n"));
        assert_string_equal(peer_header(seen, "user-agent"),
                            i == 5 ? "mine/1" : "toolbroker/" TOOLBROKER_VERSION);
        assert_null(peer_header(seen, "expect"));
        assert_null(peer_header(seen, "accept"));
        if (i < 4) {
            assert_string_equal(peer_header(seen, "content-type"), "application/json");
            assert_string_equal(peer_header(seen, "x-empty"), "");
            assert_string_equal(peer_header(seen, "x-blank"), "");
            assert_string_equal(peer_header(seen, "x-colon"), "a: b ; c");
            assert_string_equal(peer_header(seen, "authorization"), "Bearer abc");
        } else {
            assert_null(peer_header(seen, "content-type"));
        }
        if (i % 2) {
            assert_string_equal(peer_header(seen, "mcp-method"), "tools/call");
            assert_string_equal(peer_header(seen, "mcp-name"), "caf\xC3\xA9");
        } else {
            assert_null(peer_header(seen, "mcp-method"));
        }
    }
    tls_await(TLS_GOOD, "HTTP/2.0 ", 6);
    assert_int_equal(count_connections(TLS_GOOD), 1);
    (void)http_headers_unref(headers);
    (void)http_headers_unref(with_agent);
}

static void test_methods_and_large_bodies(void **state)
{
    struct fixture *fixture = *state;
    enum { SIZE = 3 << 20 };
    const enum http_method methods[] = {HTTP_GET, HTTP_POST, HTTP_DELETE, HTTP_POST};
    char *body = malloc(SIZE + 1);
    assert_non_null(body);
    for (size_t i = 0; i < SIZE; i++) {
        body[i] = (char)('a' + i % 25);
    }
    body[SIZE] = '\0';
    for (unsigned i = 0; i < 4; i++) {
        struct outcome outcome;
        struct http_request request = post(body);
        bool is_post = methods[i] == HTTP_POST;
        outcome_init(&outcome);
        request.method = methods[i];
        tls_aim(fixture, TLS_GOOD, is_post ? "/echo" : "/");
        start(fixture, &request, &outcome);
        run_until(fixture, &outcome.dones, 1);
        assert_false(outcome.has_failed);
        assert_int_equal(outcome.status, is_post ? 200 : 204);
        assert_int_equal(outcome.body.len, is_post ? SIZE : 0);
        assert_true(!is_post || memcmp(outcome.body.data, body, SIZE) == 0);
        outcome_clear(&outcome);
    }
    free(body);
}

/* ---- one connection for many ------------------------------------------------------------ */

/* Without a connection yet: one is opened, and all 64 use it at the same time. */
static void test_many_share_a_connection(void **state)
{
    struct fixture *fixture = *state;
    aim_wide(fixture, TLS_GOOD, "/together", 64);
    expect_together(64);
    start_many(fixture, 0, 64, HTTP_POST);
    end_many(fixture, 0, 64);
    for (unsigned i = 0; i < 64; i++) {
        assert_false(many[i].has_failed);
    }
    clear_many(0, 64);
    tls_await(TLS_GOOD, "HTTP/2.0 ", 64);
    assert_int_equal(count_connections(TLS_GOOD), 1);
}

static void test_targets_share_a_connection(void **state)
{
    struct fixture *fixture = *state;
    struct http_target *others[4];
    for (unsigned i = 0; i < 4; i++) {
        tls_aim(fixture, TLS_GOOD, "/echo");
        others[i] = fixture->target;
        start_many(fixture, i * 8, 8, HTTP_POST);
        fixture->target = NULL;
    }
    end_many(fixture, 0, 32);
    expect_echoes(0, 32);
    clear_many(0, 32);
    for (unsigned i = 0; i < 4; i++) {
        http_target_free(others[i]);
    }
    assert_int_equal(count_connections(TLS_GOOD), 1);
}

/* A stream that stays open for hours holds up nobody, and is held up by nobody. */
static void test_a_long_stream_beside_many(void **state)
{
    struct fixture *fixture = *state;
    struct outcome stream;
    struct http_request request = post("");
    outcome_init(&stream);
    request.deadline = MONO_NEVER;
    request.is_urgent = true;
    tls_aim(fixture, TLS_GOOD, "/never");
    start(fixture, &request, &stream);
    fixture->other = fixture->target;
    fixture->target = NULL;
    run_until(fixture, &stream.pieces, 1);
    aim_wide(fixture, TLS_GOOD, "/echo", 16);
    for (unsigned round = 0; round < 5; round++) {
        start_many(fixture, 0, 40, HTTP_POST);
        end_many(fixture, 0, 40);
        expect_echoes(0, 40);
        clear_many(0, 40);
    }
    assert_int_equal(stream.dones, 0);
    assert_int_equal(count_connections(TLS_GOOD), 1);
    http_cancel(stream.exchange);
    start_many(fixture, 0, 1, HTTP_POST);
    end_many(fixture, 0, 1);
    expect_echoes(0, 1);
    clear_many(0, 1);
    assert_int_equal(count_connections(TLS_GOOD), 1);
    outcome_clear(&stream);
}

/* Each with a connection of its own, and those not one after another. */
static void test_many_with_a_server_of_http_1(void **state)
{
    struct fixture *fixture = *state;
    aim_wide(fixture, TLS_ONE, "/together", 16);
    expect_together(1);
    start_many(fixture, 0, 1, HTTP_POST);
    end_many(fixture, 0, 1);
    expect_together(16);
    start_many(fixture, 1, 32, HTTP_POST);
    end_many(fixture, 1, 32);
    for (unsigned i = 0; i < 33; i++) {
        assert_false(many[i].has_failed);
    }
    clear_many(0, 33);
    tls_await(TLS_ONE, "HTTP/1.1 ", 33);
}

/* More streams than the server takes at once go over further connections, from the first on. */
static void test_few_streams_a_connection(void **state)
{
    struct fixture *fixture = *state;
    aim_wide(fixture, TLS_NARROW, "/echo", 16);
    start_many(fixture, 0, 100, HTTP_POST);
    end_many(fixture, 0, 100);
    expect_echoes(0, 100);
    clear_many(0, 100);
    assert_int_equal(peer_count(&fixture->peer), 100);
    tls_await(TLS_NARROW, "HTTP/2.0 ", 100);
    print_message("connections for 16 at once, two streams each: %u\n",
                  count_connections(TLS_NARROW));
}

/* ---- ends ------------------------------------------------------------------------------- */

/* After ten requests of a connection nginx begins no more and says so: what it did not begin is
 * repeated, though nobody allowed it, and nothing is done twice. */
static void test_what_was_not_begun_is_repeated(void **state)
{
    struct fixture *fixture = *state;
    aim_wide(fixture, TLS_SHORT, "/echo", 16);
    start_many(fixture, 0, MANY_MAX, HTTP_POST);
    end_many(fixture, 0, MANY_MAX);
    expect_echoes(0, MANY_MAX);
    clear_many(0, MANY_MAX);
    assert_int_equal(peer_count(&fixture->peer), MANY_MAX);
    tls_await(TLS_SHORT, "HTTP/2.0 ", MANY_MAX);
    assert_true(count_connections(TLS_SHORT) >= 40);
}

static void test_a_server_that_dies(void **state)
{
    struct fixture *fixture = *state;
    aim_wide(fixture, TLS_GOOD, "/echo", 16);
    start_many(fixture, 0, 1, HTTP_POST);
    end_many(fixture, 0, 1);
    aim_wide(fixture, TLS_GOOD, "/silent", 16);
    start_many(fixture, 1, 12, HTTP_POST);
    run_until_peer_has(fixture, 13);
    tls_stop();
    end_many(fixture, 1, 12);
    for (unsigned i = 1; i < 13; i++) {
        assert_true(many[i].has_failed);
        assert_true(many[i].was_sent);
        assert_int_equal(many[i].failure.code, ERR_UNAVAILABLE);
        if (i == 1) {
            print_message("%s\n", buf_text(&many[i].failure.message));
        }
    }
    start_many(fixture, 20, 4, HTTP_POST); /* nobody listens any more */
    end_many(fixture, 20, 4);
    for (unsigned i = 20; i < 24; i++) {
        expect_failure(&many[i], ERR_UNAVAILABLE, "refused", "Connection refused");
    }
    clear_many(0, 13);
    clear_many(20, 4);
    assert_int_equal(peer_count(&fixture->peer), 13);
}

/* A stream that ends early, by the deadline or by its caller, takes no other with it. */
static void test_one_stream_ends_early(void **state)
{
    struct fixture *fixture = *state;
    struct outcome late, dropped;
    struct http_request request = post("{}");
    outcome_init(&late);
    outcome_init(&dropped);
    aim_wide(fixture, TLS_GOOD, "/slow", 16);
    start_many(fixture, 0, 4, HTTP_POST);
    fixture->other = fixture->target;
    fixture->target = NULL;
    aim_wide(fixture, TLS_GOOD, "/silent", 16);
    start(fixture, &request, &dropped);
    start(fixture, &request, &late);
    run_until_peer_has(fixture, 6);
    http_cancel(dropped.exchange);
    http_set_deadline(late.exchange, clock_mono() + 20000);
    run_until(fixture, &late.dones, 1);
    expect_failure(&late, ERR_TIMEOUT, "timeout", "did not answer in time");
    end_many(fixture, 0, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_false(many[i].has_failed);
    }
    assert_int_equal(dropped.dones, 0);
    clear_many(0, 4);
    outcome_clear(&late);
    outcome_clear(&dropped);
    tls_await(TLS_GOOD, "HTTP/2.0 ", 6);
    assert_int_equal(count_connections(TLS_GOOD), 1);
}

/* A server that resets a stream, here because its own upstream broke off. */
static void test_faults_of_streams(void **state)
{
    static const struct {
        const char *path, *reason;
    } faults[] = {{"/half", NULL}, {"/half-chunk", NULL}, {"/head-bomb", NULL}, {"/echo", ""}};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct outcome outcome;
        struct http_request request = post("{}");
        outcome_init(&outcome);
        aim_wide(fixture, TLS_GOOD, faults[i].path, 16);
        start(fixture, &request, &outcome);
        run_until(fixture, &outcome.dones, 1);
        print_message("%s: %d, %s\n", faults[i].path, outcome.status,
                      outcome.has_failed ? buf_text(&outcome.failure.message) : "fine");
        assert_int_equal(outcome.has_failed || outcome.status == 502, faults[i].reason == NULL);
        assert_true(outcome.was_sent);
        outcome_clear(&outcome);
    }
}

/* ---- the gate --------------------------------------------------------------------------- */

static void test_cancel_while_a_connection_is_opened(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned i = 0; i < 12; i++) {
        aim_wide(fixture, TLS_GOOD, "/echo", 16);
        start_many(fixture, 0, 8, HTTP_POST);
        for (unsigned turn = 0; turn < i % 4; turn++) {
            loop_turn(fixture->loop, 1000);
        }
        unsigned gone = i % 3;
        if (!many[gone].dones) {
            http_cancel(many[gone].exchange);
        }
        if (i < 8) {
            for (mono_us end = clock_mono() + 10000000; count_done(0, 8) < 7;) {
                loop_turn(fixture->loop, 10000);
                assert_true(clock_mono() < end);
            }
        }
        http_target_free(fixture->target);
        fixture->target = NULL;
        clear_many(0, 8);
        run_for(fixture, 2000);
    }
}

/* Those who wait for another's connection wait no longer than for one of their own. */
static void test_the_gate_has_an_end(void **state)
{
    struct fixture *fixture = *state;
    struct http_target_options options = {.url = {0}, .connect_timeout_ms = 1000};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0); /* takes connections, says nothing */
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    unsigned port = tls.ports[TLS_GOOD];
    tls.ports[TLS_GOOD] = ntohs(address.sin_port);
    tls_aim_with(fixture, TLS_GOOD, "127.0.0.1", "/", options);
    tls.ports[TLS_GOOD] = port;
    mono_us begun = clock_mono();
    start_many(fixture, 0, 8, HTTP_POST);
    end_many(fixture, 0, 8);
    assert_true(clock_mono() - begun < 4000000); /* not one after another */
    for (unsigned i = 0; i < 8; i++) {
        expect_failure(&many[i], ERR_UNAVAILABLE, "connect_timeout", "within 1000 ms");
        assert_false(many[i].was_sent);
    }
    clear_many(0, 8);
    (void)close(listener);
}

/* ---- curl's notes ----------------------------------------------------------------------- */

static void note(struct http_exchange *exchange, const char *text)
{
    char copy[256];
    (void)snprintf(copy, sizeof copy, "%s", text);
    (void)http_on_note(NULL, CURLINFO_TEXT, copy, strlen(copy), exchange);
}

/* Words of the server, or of a caller, that look like curl's. */
static void test_notes(void **state)
{
    struct fixture *fixture = *state;
    tls_aim(fixture, TLS_GOOD, "/echo");
    struct http_request request = post("{}");
    struct outcome outcome;
    outcome_init(&outcome);
    start(fixture, &request, &outcome);
    struct http_exchange *exchange = outcome.exchange;
    exchange->stage = HTTP_ACTIVE;
    note(exchange, "Using Stream ID: 7 (easy handle 0x1)\n");
    assert_int_equal(exchange->stream, 7);
    note(exchange, "[HTTP/2] [9] OPENED stream for https://127.0.0.1/\n");
    assert_int_equal(exchange->stream, 9);
    note(exchange, "[HTTP/2] [11] [x: OPENED]\n");
    note(exchange, "h2h3 [mcp-name: Using Stream ID: 1]\n");
    assert_int_equal(exchange->stream, 9);
    note(exchange, "h2h3 [mcp-name: recveived GOAWAY, error=0, last_stream=1]\n");
    note(exchange, "h2h3 [mcp-name: REFUSED_STREAM, retrying a fresh connect]\n");
    note(exchange, "recveived GOAWAY, error=0, last_stream=9\n");
    note(exchange, "recveived GOAWAY, error=0, last_stream=\n");
    note(exchange, "recveived GOAWAY, error=x, last_stream=1\n");
    note(exchange, "recveived GOAWAY");
    note(exchange, "HTTP/2 stream 9 was not closed cleanly: refused by server\n");
    assert_false(exchange->is_refused);
    note(exchange, "recveived GOAWAY, error=0, last_stream=7\n");
    assert_true(exchange->is_refused);
    exchange->is_refused = false;
    note(exchange, "received GOAWAY, error=0, last_stream=7\n");
    assert_true(exchange->is_refused);
    exchange->is_refused = false;
    note(exchange, "REFUSED_STREAM, retrying a fresh connect\n");
    assert_true(exchange->is_refused);
    exchange->is_refused = false;
    note(exchange, "HTTP/2 stream 9 refused by server, try again on a new connection\n");
    assert_true(exchange->is_refused);
    exchange->is_refused = false;
    exchange->stage = HTTP_STARTING;
    run_until(fixture, &outcome.dones, 1);
    assert_false(outcome.has_failed);
    outcome_clear(&outcome);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tls_setup, tls_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_lines_arrive),
        TEST(test_methods_and_large_bodies),
        TEST(test_many_share_a_connection),
        TEST(test_targets_share_a_connection),
        TEST(test_a_long_stream_beside_many),
        TEST(test_many_with_a_server_of_http_1),
        TEST(test_few_streams_a_connection),
        TEST(test_what_was_not_begun_is_repeated),
        TEST(test_a_server_that_dies),
        TEST(test_one_stream_ends_early),
        TEST(test_faults_of_streams),
        TEST(test_cancel_while_a_connection_is_opened),
        TEST(test_the_gate_has_an_end),
        TEST(test_notes),
    };
    return cmocka_run_group_tests(tests, tls_make_certificates, tls_remove_certificates);
}
