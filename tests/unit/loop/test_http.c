/* SPDX-License-Identifier: MIT */
/* test_http.c - exchanges against a scripted server: answers, faults, limits, deadlines, cancel. */
#include "loop/http.h"

#include "../http_peer.h"
#include "value/pack.h"

#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- one exchange and what it told ------------------------------------------------------ */

struct outcome {
    struct http_exchange *exchange;
    struct buf body;
    struct failure failure;
    int status;
    unsigned heads, pieces, dones;
    size_t bytes;
    bool has_failed, was_sent, counts_only;
    bool cancels_in_head, cancels_in_body;
    struct http_target *frees_in_body, *frees_in_done;
    struct outcome *cancels_other;
    char type[64], location[128];
};

struct fixture {
    struct loop *loop;
    struct http *http;
    struct peer peer;
    struct http_target *target;
};

static void note_head(void *arg, struct http_exchange *exchange, int status)
{
    struct outcome *outcome = arg;
    struct slice value;
    outcome->heads++;
    outcome->status = status;
    if (http_header(exchange, "content-type", &value)) {
        (void)snprintf(outcome->type, sizeof outcome->type, "%.*s", SLICE_ARG(value));
    }
    if (http_header(exchange, "Location", &value)) {
        (void)snprintf(outcome->location, sizeof outcome->location, "%.*s", SLICE_ARG(value));
    }
    if (outcome->cancels_in_head) {
        http_cancel(exchange);
    }
}

static void note_body(void *arg, struct slice bytes)
{
    struct outcome *outcome = arg;
    outcome->pieces++;
    outcome->bytes += bytes.len;
    if (!outcome->counts_only) {
        buf_put_slice(&outcome->body, bytes);
    }
    if (outcome->cancels_other && outcome->cancels_other->exchange) {
        http_cancel(outcome->cancels_other->exchange);
        outcome->cancels_other->exchange = NULL;
    }
    if (outcome->cancels_in_body) {
        http_cancel(outcome->exchange);
    }
    if (outcome->frees_in_body) {
        struct http_target *target = outcome->frees_in_body;
        outcome->frees_in_body = NULL;
        http_target_free(target);
    }
}

static void note_done(void *arg, const struct failure *failure, bool was_sent)
{
    struct outcome *outcome = arg;
    outcome->dones++;
    outcome->was_sent = was_sent;
    outcome->exchange = NULL;
    outcome->has_failed = failure != NULL;
    if (failure) {
        failure_copy(&outcome->failure, failure);
    }
    http_target_free(outcome->frees_in_done);
}

static const struct http_events events = {note_head, note_body, note_done};

static void outcome_init(struct outcome *outcome)
{
    *outcome = (struct outcome){.status = 0};
    buf_init(&outcome->body, 1u << 24);
}

static void outcome_clear(struct outcome *outcome)
{
    buf_done(&outcome->body);
    failure_done(&outcome->failure);
}

static void start(struct fixture *fixture, const struct http_request *request,
                  struct outcome *outcome)
{
    struct err err;
    if (http_start(fixture->target, request, &events, outcome, &outcome->exchange, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(outcome->heads + outcome->pieces + outcome->dones, 0);
}

static void run_until(struct fixture *fixture, const unsigned *count, unsigned wanted)
{
    mono_us end = clock_mono() + 20000000;
    while (*count < wanted) {
        loop_turn(fixture->loop, 50000);
        assert_true(clock_mono() < end);
    }
}

static void run_for(struct fixture *fixture, mono_us time)
{
    for (mono_us end = clock_mono() + time; clock_mono() < end;) {
        loop_turn(fixture->loop, 5000);
    }
}

static struct http_request post(const char *body)
{
    return (struct http_request){
        .method = HTTP_POST, .body = slice_of(body), .deadline = clock_mono() + 10000000};
}

static struct http_target *make_target(struct fixture *fixture, const char *path,
                                       const struct http_target_options *more)
{
    struct http_target_options options =
        more ? *more : (struct http_target_options){.url = {0}};
    struct http_target *target = NULL;
    struct err err;
    char url[256];
    (void)snprintf(url, sizeof url, "http://user:pa55@127.0.0.1:%u%s?token=s3cret",
                   fixture->peer.port, path);
    options.url = slice_of(url);
    if (http_target_new(fixture->http, &options, &target, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return target;
}

static void aim(struct fixture *fixture, const char *path)
{
    http_target_free(fixture->target);
    fixture->target = make_target(fixture, path, NULL);
}

/* One POST to `path`, run to its end. */
static void exchange(struct fixture *fixture, const char *path, struct outcome *outcome)
{
    struct http_request request = post("{}");
    aim(fixture, path);
    start(fixture, &request, outcome);
    run_until(fixture, &outcome->dones, 1);
}

static void expect_failure(struct outcome *outcome, enum err_code code, const char *reason,
                           const char *words)
{
    struct buf whole;
    struct slice value;
    bool was_sent;
    buf_init(&whole, 1u << 20);
    assert_true(outcome->has_failed);
    failure_put(&outcome->failure, SLICE("r"), &whole);
    if (outcome->failure.code != code) {
        fail_msg("%s: %s", err_name(outcome->failure.code),
                 buf_text(&outcome->failure.message));
    }
    if (!strstr(buf_text(&outcome->failure.message), words)) {
        fail_msg("\"%s\" lacks \"%s\"", buf_text(&outcome->failure.message), words);
    }
    assert_true(pack_get(buf_slice(&whole), "details", &value));
    struct slice details = value;
    assert_true(pack_get_text(details, "reason", &value));
    if (!slice_is(value, reason)) {
        fail_msg("reason %.*s", SLICE_ARG(value));
    }
    assert_true(pack_get_bool(details, "request_sent", &was_sent));
    assert_int_equal(was_sent, outcome->was_sent);
    assert_null(memmem(whole.data, whole.len, "s3cret", 6));
    assert_null(memmem(whole.data, whole.len, "pa55", 4));
    buf_done(&whole);
}

/* ---- the server ------------------------------------------------------------------------- */

static bool answer_fault(int fd, const struct peer_request *request)
{
    if (peer_is(request, "POST /reset")) {
        peer_reset(fd);
        return false;
    }
    if (peer_is(request, "POST /close")) {
        return false;
    }
    if (peer_is(request, "POST /half")) {
        (void)peer_print(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        return false;
    }
    if (peer_is(request, "POST /half-chunk")) {
        (void)peer_print(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhalf");
        return false;
    }
    if (peer_is(request, "POST /bad-chunk")) {
        (void)peer_print(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf");
        return false;
    }
    if (peer_is(request, "POST /rubbish")) {
        (void)peer_print(fd, "SSH-2.0-OpenSSH_9.2\r\n");
        return false;
    }
    return peer_reply(fd, "404 Not Found", "Content-Type: text/plain\r\n", "none");
}

static bool answer_large(int fd, const struct peer_request *request)
{
    char block[16384];
    memset(block, 'x', sizeof block);
    if (peer_is(request, "POST /head-bomb")) {
        bool is_open = peer_print(fd, "HTTP/1.1 200 OK\r\n");
        for (unsigned i = 0; is_open && i < 20000; i++) {
            is_open = peer_print(fd, "X-Bomb: 0123456789012345678901234567890123456789\r\n");
        }
        return false;
    }
    if (peer_is(request, "POST /interim-bomb")) {
        bool is_open = true;
        for (unsigned i = 0; is_open && i < 20000; i++) {
            is_open = peer_print(fd, "HTTP/1.1 102 Processing\r\nX-A: 0123456789\r\n\r\n");
        }
        return false;
    }
    bool is_stated = peer_is(request, "POST /stated");
    bool is_open =
        peer_print(fd, is_stated ? "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n"
                                 : "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    for (unsigned i = 0; is_open && i < 6400; i++) {
        is_open = peer_write(fd, block, sizeof block);
    }
    return false;
}

static bool answer(struct peer *peer, int fd, const struct peer_request *request)
{
    (void)peer;
    if (peer_is(request, "POST /echo") || peer_is(request, "POST /?")) {
        return peer_json(fd, request->body);
    }
    if (peer_is(request, "POST /once-a-connection")) {
        return request->number == 1 && peer_json(fd, "{}");
    }
    if (peer_is(request, "GET /once-a-connection")) {
        return request->number == 1 && peer_json(fd, "{}");
    }
    if (peer_is(request, "GET /") || peer_is(request, "DELETE /")) {
        return peer_reply(fd, "204 No Content", "", "");
    }
    if (peer_is(request, "POST /chunked")) {
        return peer_print(fd, "HTTP/1.1 103 Early Hints\r\nContent-Type: wrong/type\r\n\r\n"
                              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                              "Content-Type: text/plain\r\n\r\n"
                              "5\r\nhello\r\n") &&
               usleep(20000) == 0 && peer_print(fd, "6\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n");
    }
    if (peer_is(request, "POST /redirect")) {
        return peer_reply(fd, "307 Temporary Redirect", "Location: http://127.0.0.1:1/evil\r\n",
                          "");
    }
    if (peer_is(request, "POST /slow")) {
        return usleep(200000) == 0 && peer_json(fd, "{}");
    }
    if (peer_is(request, "POST /never") || peer_is(request, "GET /never")) {
        (void)peer_print(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun");
        char byte;
        (void)recv(fd, &byte, 1, 0); /* until the client goes */
        return false;
    }
    if (peer_is(request, "POST /silent")) {
        char byte;
        (void)recv(fd, &byte, 1, 0);
        return false;
    }
    if (peer_is(request, "POST /head-bomb") || peer_is(request, "POST /interim-bomb") ||
        peer_is(request, "POST /stated") || peer_is(request, "POST /unstated")) {
        return answer_large(fd, request);
    }
    return answer_fault(fd, request);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->loop = loop_new();
    fixture->http = http_new(fixture->loop);
    peer_start(&fixture->peer, answer);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    http_target_free(fixture->target);
    http_free(fixture->http);
    loop_free(fixture->loop);
    peer_stop(&fixture->peer);
    free(fixture);
    return 0;
}

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
    assert_string_equal(peer_header(seen, "user-agent"), "toolbroker/" TOOLBROKER_VERSION);
    assert_null(peer_header(seen, "expect"));
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

/* ---- time ------------------------------------------------------------------------------- */

static void test_deadlines(void **state)
{
    struct fixture *fixture = *state;
    const char *paths[] = {"/silent", "/never"};
    for (unsigned i = 0; i < 2; i++) {
        struct outcome outcome;
        struct http_request request = post("{}");
        outcome_init(&outcome);
        mono_us begun = clock_mono();
        request.deadline = begun + 100000;
        aim(fixture, paths[i]);
        start(fixture, &request, &outcome);
        run_until(fixture, &outcome.dones, 1);
        expect_failure(&outcome, ERR_TIMEOUT, "timeout", "did not answer in time");
        assert_true(outcome.was_sent);
        assert_true(clock_mono() - begun < 1000000);
        outcome_clear(&outcome);
    }
}

static void test_deadline_on_a_frozen_clock(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    outcome_init(&outcome);
    aim(fixture, "/silent");
    loop_freeze(fixture->loop);
    struct http_request request = post("{}");
    request.deadline = loop_now(fixture->loop) + 3600000000;
    start(fixture, &request, &outcome);
    for (mono_us end = clock_mono() + 5000000; !peer_count(&fixture->peer);) {
        loop_turn(fixture->loop, 1000);
        assert_true(clock_mono() < end);
    }
    loop_advance(fixture->loop, 3599999999);
    assert_int_equal(outcome.dones, 0);
    loop_advance(fixture->loop, 1);
    assert_int_equal(outcome.dones, 1);
    expect_failure(&outcome, ERR_TIMEOUT, "timeout", "did not answer in time");
    outcome_clear(&outcome);
}

/* An address that swallows what is sent to it: a listener whose queue is full. */
static void test_connect_timeout(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), fillers[4];
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    for (unsigned i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&address, sizeof address);
    }
    char url[64];
    struct outcome outcome;
    struct http_request request = post("{}");
    outcome_init(&outcome);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", ntohs(address.sin_port));
    struct http_target_options options = {.url = slice_of(url), .connect_timeout_ms = 100};
    assert_int_equal(http_target_new(fixture->http, &options, &fixture->target, NULL), 0);
    start(fixture, &request, &outcome);
    run_until(fixture, &outcome.dones, 1);
    expect_failure(&outcome, ERR_UNAVAILABLE, "connect_timeout", "within 100 ms");
    assert_false(outcome.was_sent);
    outcome_clear(&outcome);
    for (unsigned i = 0; i < 4; i++) {
        (void)close(fillers[i]);
    }
    (void)close(listener);
}

/* ---- names: getaddrinfo of this program, which curl's resolver thread calls ------------- */

int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict ret)
{
    (void)service;
    (void)hints;
    (void)ret;
    if (strcmp(name, "slow.test") == 0) {
        (void)usleep(600000);
    }
    return EAI_NONAME;
}

static void test_names(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    struct http_target_options options = {.url = SLICE("https://none.test/mcp")};
    struct http_request request = post("{}");
    outcome_init(&outcome);
    assert_int_equal(http_target_new(fixture->http, &options, &fixture->target, NULL), 0);
    start(fixture, &request, &outcome);
    run_until(fixture, &outcome.dones, 1);
    expect_failure(&outcome, ERR_UNAVAILABLE, "resolve",
                   "could not resolve the host of https://none.test/mcp");
    assert_false(outcome.was_sent);
    outcome_clear(&outcome);
}

static void test_cancel_while_resolving_does_not_wait(void **state)
{
    struct fixture *fixture = *state;
    struct http_target_options options = {.url = SLICE("https://slow.test/")};
    assert_int_equal(http_target_new(fixture->http, &options, &fixture->target, NULL), 0);
    mono_us longest = 0;
    for (unsigned i = 0; i < 3; i++) {
        struct outcome outcome;
        struct http_request request = post("{}");
        outcome_init(&outcome);
        start(fixture, &request, &outcome);
        run_for(fixture, 50000);
        assert_int_equal(outcome.dones, 0);
        mono_us begun = clock_mono();
        if (i == 2) {
            http_target_free(fixture->target);
            fixture->target = NULL;
        } else {
            http_cancel(outcome.exchange);
        }
        mono_us took = clock_mono() - begun;
        longest = took > longest ? took : longest;
        run_for(fixture, 20000);
        assert_int_equal(outcome.dones, 0);
        outcome_clear(&outcome);
    }
    print_message("cancelled in mid-look-up: at most %lld us\n", (long long)longest);
    assert_true(longest < 100000);
    run_for(fixture, 700000); /* the threads end in peace */
}

/* ---- cancel, free, queue ---------------------------------------------------------------- */

static void test_cancel_at_every_stage(void **state)
{
    struct fixture *fixture = *state;
    aim(fixture, "/slow");
    for (unsigned i = 0; i < 30; i++) {
        struct outcome outcome;
        struct http_request request = post("{}");
        outcome_init(&outcome);
        start(fixture, &request, &outcome);
        for (unsigned turn = 0; turn < i % 6; turn++) {
            loop_turn(fixture->loop, 2000);
        }
        assert_int_equal(outcome.dones, 0);
        http_cancel(outcome.exchange);
        run_for(fixture, 3000);
        assert_int_equal(outcome.heads + outcome.pieces + outcome.dones, 0);
        outcome_clear(&outcome);
    }
}

static void test_cancel_inside_events(void **state)
{
    struct fixture *fixture = *state;
    struct outcome other, outcome;
    struct http_request request = post("{}");
    aim(fixture, "/never");
    for (unsigned i = 0; i < 2; i++) {
        outcome_init(&outcome);
        outcome.cancels_in_head = i == 0;
        outcome.cancels_in_body = i == 1;
        start(fixture, &request, &outcome);
        run_until(fixture, i ? &outcome.pieces : &outcome.heads, 1);
        run_for(fixture, 50000);
        assert_int_equal(outcome.pieces, i);
        assert_int_equal(outcome.dones, 0);
        outcome_clear(&outcome);
    }
    outcome_init(&other);
    outcome_init(&outcome);
    start(fixture, &request, &other);
    run_until(fixture, &other.pieces, 1);
    outcome.cancels_other = &other;
    outcome.cancels_in_body = true;
    start(fixture, &request, &outcome);
    run_until(fixture, &outcome.pieces, 1);
    run_for(fixture, 50000);
    assert_int_equal(other.dones + outcome.dones, 0);
    outcome_clear(&other);
    outcome_clear(&outcome);
}

static void test_cancel_in_the_head_of_an_empty_answer(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    struct http_request request = post("");
    outcome_init(&outcome);
    outcome.cancels_in_head = true;
    request.method = HTTP_GET;
    aim(fixture, "/");
    start(fixture, &request, &outcome);
    run_until(fixture, &outcome.heads, 1);
    run_for(fixture, 20000);
    assert_int_equal(outcome.status, 204);
    assert_int_equal(outcome.dones, 0);
    outcome_clear(&outcome);
}

static void test_free_inside_events(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned i = 0; i < 2; i++) {
        struct outcome outcome, other;
        struct http_request request = post("{}");
        outcome_init(&outcome);
        outcome_init(&other);
        aim(fixture, i ? "/echo" : "/never");
        if (i) {
            outcome.frees_in_done = fixture->target;
        } else {
            start(fixture, &request, &other);
            outcome.frees_in_body = fixture->target;
        }
        start(fixture, &request, &outcome);
        fixture->target = NULL;
        run_until(fixture, i ? &outcome.dones : &outcome.pieces, 1);
        run_for(fixture, 20000);
        assert_int_equal(other.dones, 0);
        assert_int_equal(outcome.dones, i);
        outcome_clear(&outcome);
        outcome_clear(&other);
    }
}

static void test_places_are_limited(void **state)
{
    struct fixture *fixture = *state;
    enum { COUNT = 6 };
    struct outcome outcomes[COUNT];
    struct http_target_options options = {.concurrency = 2};
    fixture->target = make_target(fixture, "/slow", &options);
    for (unsigned i = 0; i < COUNT; i++) {
        struct http_request request = post("{}");
        outcome_init(&outcomes[i]);
        request.is_urgent = i == COUNT - 1;
        start(fixture, &request, &outcomes[i]);
    }
    run_for(fixture, 50000);
    http_cancel(outcomes[3].exchange); /* waits, never starts */
    run_until(fixture, &outcomes[COUNT - 1].dones, 1);
    assert_int_equal(outcomes[2].dones + outcomes[3].dones + outcomes[4].dones, 0);
    run_until(fixture, &outcomes[4].dones, 1);
    run_until(fixture, &outcomes[2].dones, 1);
    assert_int_equal(peer_count(&fixture->peer), COUNT - 1);
    assert_int_equal(peer_connections(&fixture->peer), 3);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(outcomes[i].dones, i != 3);
        assert_false(outcomes[i].has_failed);
        outcome_clear(&outcomes[i]);
    }
}

static void test_held_and_past_its_deadline(void **state)
{
    struct fixture *fixture = *state;
    struct outcome late, later;
    struct http_request request = post("{}");
    outcome_init(&late);
    outcome_init(&later);
    aim(fixture, "/echo");
    http_target_hold(fixture->target, true);
    start(fixture, &request, &later);
    request.deadline = clock_mono() + 50000;
    start(fixture, &request, &late);
    run_until(fixture, &late.dones, 1);
    expect_failure(&late, ERR_TIMEOUT, "queue", "places");
    assert_false(late.was_sent);
    assert_int_equal(peer_count(&fixture->peer), 0);
    http_target_hold(fixture->target, false);
    run_until(fixture, &later.dones, 1);
    assert_false(later.has_failed);
    outcome_clear(&late);
    outcome_clear(&later);
}

static void test_many_at_once(void **state)
{
    struct fixture *fixture = *state;
    enum { COUNT = 400 };
    static struct outcome outcomes[COUNT];
    unsigned finished = 0;
    aim(fixture, "/echo");
    for (unsigned i = 0; i < COUNT; i++) {
        char body[32];
        (void)snprintf(body, sizeof body, "{\"n\":%u}", i);
        struct http_request request = post(body);
        outcome_init(&outcomes[i]);
        start(fixture, &request, &outcomes[i]);
    }
    for (mono_us end = clock_mono() + 20000000; finished < COUNT;) {
        loop_turn(fixture->loop, 10000);
        assert_true(clock_mono() < end);
        finished = 0;
        for (unsigned i = 0; i < COUNT; i++) {
            finished += outcomes[i].dones;
        }
    }
    for (unsigned i = 0; i < COUNT; i++) {
        char body[32];
        (void)snprintf(body, sizeof body, "{\"n\":%u}", i);
        assert_false(outcomes[i].has_failed);
        assert_string_equal(buf_text(&outcomes[i].body), body);
        outcome_clear(&outcomes[i]);
    }
    assert_true(peer_connections(&fixture->peer) <= 16);
}

/* A kept connection that the server closes wakes the loop once, not for ever. */
static void test_a_closed_idle_connection_is_quiet(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    outcome_init(&outcome);
    exchange(fixture, "/echo", &outcome);
    (void)pthread_mutex_lock(&fixture->peer.lock);
    (void)shutdown(fixture->peer.connections[0].fd, SHUT_RDWR);
    (void)pthread_mutex_unlock(&fixture->peer.lock);
    unsigned turns = 0;
    for (mono_us end = clock_mono() + 200000; clock_mono() < end; turns++) {
        loop_turn(fixture->loop, 100000);
    }
    assert_true(turns < 10);
    outcome_clear(&outcome);
    outcome_init(&outcome);
    struct http_request request = post("{}");
    start(fixture, &request, &outcome);
    run_until(fixture, &outcome.dones, 1);
    assert_false(outcome.has_failed); /* the dead one was seen before it was used */
    assert_int_equal(peer_connections(&fixture->peer), 2);
    outcome_clear(&outcome);
}

static void test_a_freed_target_closes_its_connections(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    outcome_init(&outcome);
    exchange(fixture, "/echo", &outcome);
    http_target_free(fixture->target);
    fixture->target = NULL;
    for (mono_us end = clock_mono() + 5000000;;) {
        (void)pthread_mutex_lock(&fixture->peer.lock);
        bool is_closed = fixture->peer.connections[0].fd < 0;
        (void)pthread_mutex_unlock(&fixture->peer.lock);
        if (is_closed) {
            break;
        }
        assert_true(clock_mono() < end);
        loop_turn(fixture->loop, 5000);
    }
    outcome_clear(&outcome);
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
        TEST(test_deadlines),
        TEST(test_deadline_on_a_frozen_clock),
        TEST(test_connect_timeout),
        TEST(test_names),
        TEST(test_cancel_while_resolving_does_not_wait),
        TEST(test_cancel_at_every_stage),
        TEST(test_cancel_inside_events),
        TEST(test_cancel_in_the_head_of_an_empty_answer),
        TEST(test_free_inside_events),
        TEST(test_places_are_limited),
        TEST(test_held_and_past_its_deadline),
        TEST(test_many_at_once),
        TEST(test_a_closed_idle_connection_is_quiet),
        TEST(test_a_freed_target_closes_its_connections),
        TEST(test_bad_urls_and_headers),
        TEST(test_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
