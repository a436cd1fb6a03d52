/* SPDX-License-Identifier: MIT */
/* http_fixture.h - the Streamable HTTP transport against a scripted server: what its tests share. */
#ifndef TESTS_UNIT_MCP_HTTP_FIXTURE_H
#define TESTS_UNIT_MCP_HTTP_FIXTURE_H

#include "mcp/http.h"
#include "mcp/http_internal.h"

#include "../http_peer.h"
#include "base/mem.h"
#include "value/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define REQUEST_JSON "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"}"
#define RESULT_JSON  "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"
#define NOTE_JSON    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}"
#define SSE_HEAD                                                           \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream;charset=utf-8\r\n" \
    "Transfer-Encoding: chunked\r\n\r\n"
#define MESSAGE_BYTES 100000u

typedef struct mcp_transport *(*make_transport)(const struct mcp_http_options *,
                                                const struct mcp_transport_events *, void *);

enum inside {
    INSIDE_NOTHING,
    INSIDE_OPENED,
    INSIDE_MESSAGE,
    INSIDE_ENDED,
    INSIDE_CLOSED,
    INSIDE_LIMITS
};

struct fixture {
    make_transport make; /* NULL: Streamable HTTP */
    struct loop *loop;
    struct http *http;
    struct peer peer;
    struct mcp_transport *transport;
    mcp_token abandons; /* in the next message */
    bool answers_in_message, renews_in_message;
    unsigned cut;            /* connections that we ended, as a server counts them */
    unsigned held, released; /* answers that the server keeps until it may give them */
    uint32_t connect_timeout_ms;
    char endpoint[10000];     /* that the server of HTTP+SSE names */
    enum inside frees_inside; /* the transport, in the next event of this kind */
    unsigned opened, messages, ended, closed;
    struct buf text; /* messages, "TOKEN:JSON\n" */
    mcp_token last_token;
    bool has_failed, is_session_gone, closed_with_failure;
    unsigned limits; /* answers that said something of them */
    struct rate_fields limit;
    bool is_limited;
    struct failure failure;
};

/* ---- events ----------------------------------------------------------------------------- */

static inline void free_inside(struct fixture *fixture, enum inside inside)
{
    if (fixture->frees_inside == inside && fixture->transport) {
        fixture->frees_inside = INSIDE_NOTHING;
        fixture->transport->ops->free(fixture->transport);
        fixture->transport = NULL;
    }
}

static inline void on_opened(void *arg)
{
    struct fixture *fixture = arg;
    fixture->opened++;
    free_inside(fixture, INSIDE_OPENED);
}

static inline int send_kind(struct fixture *fixture, enum mcp_message_kind kind,
                            mcp_token token, mono_us within)
{
    struct failure failure = {0};
    const struct mcp_outgoing message = {.kind = kind,
                                         .json = SLICE(REQUEST_JSON),
                                         .token = token,
                                         .deadline = loop_now(fixture->loop) + within,
                                         .method = "tools/call"};
    int result = fixture->transport->ops->send(fixture->transport, &message, &failure);
    failure_done(&failure);
    return result;
}

static inline void on_message(void *arg, struct slice json, mcp_token token)
{
    struct fixture *fixture = arg;
    fixture->messages++;
    buf_printf(&fixture->text, "%llu:", (unsigned long long)token);
    buf_put_slice(&fixture->text, json);
    buf_put_byte(&fixture->text, '\n');
    if (fixture->abandons) {
        fixture->transport->ops->abandon(fixture->transport, fixture->abandons);
        fixture->abandons = 0;
    }
    if (fixture->answers_in_message) {
        fixture->answers_in_message = false;
        assert_int_equal(send_kind(fixture, MCP_RESPONSE, 0, 1000000), 0);
    }
    if (fixture->renews_in_message) {
        fixture->renews_in_message = false;
        fixture->transport->ops->set_revision(fixture->transport,
                                              revision_find(SLICE("2025-11-25")));
        assert_int_equal(send_kind(fixture, MCP_NOTIFICATION, 0, 1000000), 0);
        fixture->transport->ops->listen(fixture->transport, false);
        assert_int_equal(send_kind(fixture, MCP_REQUEST, 2, 5000000), 0);
    }
    free_inside(fixture, INSIDE_MESSAGE);
}

static inline void on_exchange_ended(void *arg, mcp_token token, const struct failure *failure,
                                     bool is_session_gone)
{
    struct fixture *fixture = arg;
    fixture->ended++;
    fixture->last_token = token;
    fixture->has_failed = failure != NULL;
    fixture->is_session_gone = is_session_gone;
    if (failure) {
        failure_copy(&fixture->failure, failure);
    }
    free_inside(fixture, INSIDE_ENDED);
}

static inline void on_closed(void *arg, const struct failure *failure)
{
    struct fixture *fixture = arg;
    fixture->closed++;
    fixture->closed_with_failure = failure != NULL;
    if (failure) {
        failure_copy(&fixture->failure, failure);
    }
    free_inside(fixture, INSIDE_CLOSED);
}

static inline void on_limits(void *arg, const struct rate_fields *fields, bool is_refused)
{
    struct fixture *fixture = arg;
    fixture->limits++;
    fixture->limit = *fields;
    fixture->is_limited = is_refused;
    free_inside(fixture, INSIDE_LIMITS);
}

static const struct mcp_transport_events events = {.opened = on_opened,
                                                   .message = on_message,
                                                   .exchange_ended = on_exchange_ended,
                                                   .closed = on_closed,
                                                   .limits = on_limits};

/* ---- driving ---------------------------------------------------------------------------- */

static inline void run_until(struct fixture *fixture, const unsigned *count, unsigned wanted)
{
    mono_us end = clock_mono() + 20000000;
    while (*count < wanted) {
        loop_turn(fixture->loop, 20000);
        assert_true(clock_mono() < end);
    }
}

static inline void run_until_seen(struct fixture *fixture, unsigned wanted)
{
    mono_us end = clock_mono() + 20000000;
    while (peer_count(&fixture->peer) < wanted) {
        loop_turn(fixture->loop, 5000);
        assert_true(clock_mono() < end);
    }
}

static inline void run_until_cut(struct fixture *fixture, unsigned wanted)
{
    mono_us end = clock_mono() + 20000000;
    while (__atomic_load_n(&fixture->cut, __ATOMIC_SEQ_CST) < wanted) {
        loop_turn(fixture->loop, 5000);
        assert_true(clock_mono() < end);
    }
}

/* Until a broken stream of Streamable HTTP waits to be asked for again. */
static inline void run_until_waiting(struct fixture *fixture)
{
    const struct mcp_http *mcp = (const struct mcp_http *)(void *)fixture->transport;
    mono_us end = clock_mono() + 20000000;
    for (bool waits = false; !waits; assert_true(clock_mono() < end)) {
        loop_turn(fixture->loop, 5000);
        waits = loop_timer_is_set(&mcp->stream.retry);
        list_each (link, &mcp->exchanges) {
            waits = waits ||
                    loop_timer_is_set(&LIST_ITEM(link, struct mcp_http_exchange, link)->retry);
        }
    }
}

static inline void run_for(struct fixture *fixture, mono_us time)
{
    for (mono_us end = clock_mono() + time; clock_mono() < end;) {
        loop_turn(fixture->loop, 5000);
    }
}

static inline void drop(struct fixture *fixture)
{
    if (fixture->transport) {
        fixture->transport->ops->free(fixture->transport);
        fixture->transport = NULL;
    }
}

/* A new transport to `path`, opening; the record of events is cleared. */
static inline void begin(struct fixture *fixture, const char *path)
{
    char url[128];
    char secret[] = "Bearer s3cret";
    struct http_field fields[] = {{SLICE("Authorization"), slice_of(secret)},
                                  {SLICE("accept"), SLICE("text/html")}};
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", fixture->peer.port, path);
    struct mcp_http_options options = {.loop = fixture->loop,
                                       .http = fixture->http,
                                       .url = slice_of(url),
                                       .headers = fields,
                                       .header_count = 2,
                                       .connect_timeout_ms = fixture->connect_timeout_ms,
                                       .concurrency = 2,
                                       .message_bytes = MESSAGE_BYTES};
    drop(fixture);
    buf_clear(&fixture->text);
    failure_clear(&fixture->failure);
    fixture->limits = 0;
    fixture->opened = fixture->messages = fixture->ended = fixture->closed = 0;
    fixture->has_failed = fixture->is_session_gone = false;
    fixture->transport =
        (fixture->make ? fixture->make : mcp_http_new)(&options, &events, fixture);
    memset(secret, 'x', sizeof secret - 1);
    memset(url, 'x', sizeof url);
    fixture->transport->ops->open(fixture->transport);
    assert_int_equal(fixture->opened + fixture->closed, 0);
}

/* And opened. */
static inline void aim(struct fixture *fixture, const char *path)
{
    begin(fixture, path);
    run_until(fixture, &fixture->opened, 1);
}

/* One request to `path`, run to its end. */
static inline void ask(struct fixture *fixture, const char *path)
{
    aim(fixture, path);
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
    assert_int_equal(fixture->messages + fixture->ended, 0);
    run_until(fixture, &fixture->ended, 1);
    assert_int_equal(fixture->ended, 1);
    assert_int_equal(fixture->last_token, 1);
}

static inline void expect_text(struct fixture *fixture, const char *text)
{
    assert_string_equal(buf_text(&fixture->text), text);
}

static inline void expect_failure(struct fixture *fixture, enum err_code code,
                                  const char *words)
{
    struct buf whole;
    assert_true(fixture->has_failed);
    if (fixture->failure.code != code || !strstr(buf_text(&fixture->failure.message), words)) {
        fail_msg("%s: \"%s\" lacks \"%s\"", err_name(fixture->failure.code),
                 buf_text(&fixture->failure.message), words);
    }
    buf_init(&whole, 1u << 20);
    failure_put(&fixture->failure, SLICE("r"), &whole);
    assert_null(memmem(whole.data, whole.len, "s3cret", 6));
    buf_done(&whole);
}

static inline int64_t detail_int(struct fixture *fixture, const char *key)
{
    struct buf whole;
    struct slice details;
    int64_t value = -1;
    buf_init(&whole, 1u << 20);
    failure_put(&fixture->failure, SLICE("r"), &whole);
    assert_true(pack_get(buf_slice(&whole), "details", &details));
    assert_true(pack_get_int(details, key, &value));
    buf_done(&whole);
    return value;
}

/* ---- the server ------------------------------------------------------------------------- */

/* In one write: no other thread's chunk comes between its parts. */
static inline bool chunk(int fd, const char *text)
{
    char bytes[10240];
    int length = snprintf(bytes, sizeof bytes, "%zx\r\n%s\r\n", strlen(text), text);
    return length > 0 && (size_t)length < sizeof bytes && peer_write(fd, bytes, (size_t)length);
}

/* The n-th that is held waits until so many are released. */
static inline bool hold_back(struct peer *peer)
{
    struct fixture *fixture = peer->arg;
    unsigned mine = __atomic_add_fetch(&fixture->held, 1, __ATOMIC_SEQ_CST);
    bool is_stopping = false;
    while (!is_stopping && __atomic_load_n(&fixture->released, __ATOMIC_SEQ_CST) < mine) {
        (void)usleep(1000);
        (void)pthread_mutex_lock(&peer->lock);
        is_stopping = peer->is_stopping;
        (void)pthread_mutex_unlock(&peer->lock);
    }
    return !is_stopping;
}

static inline void release(struct fixture *fixture, unsigned count)
{
    __atomic_store_n(&fixture->released, count, __ATOMIC_SEQ_CST);
}

/* An event without an end. False: the client has left. */
static inline bool chunk_without_end(int fd)
{
    char line[1024];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    bool is_open = chunk(fd, "data: ");
    while (is_open) {
        is_open = chunk(fd, line);
    }
    return false;
}

/* A refusal whose body has no end. False: the client has left. */
static inline bool refuse_without_end(int fd)
{
    char block[4096];
    memset(block, 'x', sizeof block);
    bool is_open = peer_print(fd, "HTTP/1.1 400 Bad Request\r\n\r\n");
    while (is_open) {
        is_open = peer_write(fd, block, sizeof block);
    }
    return false;
}

static inline bool answer_events(int fd, const struct peer_request *request)
{
    if (!peer_print(fd, SSE_HEAD)) {
        return false;
    }
    if (peer_is(request, "POST /events-many")) {
        return chunk(fd, "id: 1\ndata:\n\n: hello\n\n") &&
               chunk(fd, "event: message\ndata: " NOTE_JSON "\n\ndata: {\"jsonrpc\":") &&
               usleep(10000) == 0 &&
               chunk(fd, "\"2.0\",\ndata: \"id\":1,\"result\":{}}\n\n"
                         "event: other\ndata: x\n\n") &&
               peer_print(fd, "0\r\n\r\n");
    }
    if (peer_is(request, "POST /events-unanswered")) {
        return chunk(fd, "data: " NOTE_JSON "\n\ndata: lost\n") && peer_print(fd, "0\r\n\r\n");
    }
    if (peer_is(request, "POST /events-cut")) {
        (void)chunk(fd, "data: " NOTE_JSON "\n\n");
        return false;
    }
    if (peer_is(request, "POST /events-left-open")) {
        char byte;
        (void)chunk(fd, "data: " RESULT_JSON "\n\n");
        (void)recv(fd, &byte, 1, 0);
        return false;
    }
    if (peer_is(request, "POST /events-drip")) {
        static const char text[] = "data: " RESULT_JSON "\r\n\r\n";
        for (const char *at = text; *at; at++) {
            char one[2] = {*at, 0};
            (void)usleep(1000);
            if (!chunk(fd, one)) {
                return false;
            }
        }
        return peer_print(fd, "0\r\n\r\n");
    }
    if (peer_is(request, "POST /events-endless")) {
        return chunk_without_end(fd);
    }
    return chunk(fd, "data: " RESULT_JSON "\n\n") && peer_print(fd, "0\r\n\r\n");
}

static inline bool answer_status(int fd, const struct peer_request *request)
{
    static const struct {
        const char *path, *status, *headers, *body;
    } answers[] = {
        {"POST /401", "401 Unauthorized", "WWW-Authenticate: Bearer\r\n", "no"},
        {"POST /403", "403 Forbidden", "Content-Type: application/json\r\n",
         "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32000,\"message\":\"not "
         "you\"}}"},
        {"POST /429-date", "429 Too Many Requests",
         "Retry-After: Fri, 31 Dec 2049 23:59:59 GMT\r\n", ""},
        {"POST /429-rubbish", "429 Too Many Requests", "Retry-After: soon\r\n", ""},
        {"POST /429", "429 Too Many Requests", "Retry-After: 7\r\n", ""},
        {"POST /503", "503 Service Unavailable", "Retry-After: 2\r\n", "<html>"},
        {"POST /500", "500 Internal Server Error", "Content-Type: application/json\r\n",
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32603,\"message\":\"oops\"}}"},
        {"POST /400", "400 Bad Request", "Content-Type: application/json\r\n",
         "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32000,\"message\":\"bad\"}}"},
        {"POST /418", "418 I'm a teapot", "", "short and stout"},
        {"POST /404", "404 Not Found", "", ""},
        {"POST /307", "307 Temporary Redirect",
         "Location: https://user:s3cret@evil.test/x?key=s3cret\r\n", ""},
        {"POST /html", "200 OK", "Content-Type: text/html\r\n", "<html>"},
        {"POST /202", "202 Accepted", "", ""},
        {"POST /204", "204 No Content", "", ""},
        {"POST /empty-json", "200 OK", "Content-Type: application/json\r\n", ""},
        {"POST /upper", "200 OK", "CONTENT-TYPE: Application/JSON; charset=utf-8\r\n", "{}"},
        {"POST /prefix", "200 OK", "Content-Type: application/jsonp\r\n", "{}"},
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        if (peer_is(request, answers[i].path)) {
            return peer_reply(fd, answers[i].status, answers[i].headers, answers[i].body);
        }
    }
    return peer_json(fd, RESULT_JSON);
}

static inline bool answer_large(int fd, const struct peer_request *request)
{
    char block[16384];
    memset(block, ' ', sizeof block);
    size_t blocks = peer_is(request, "POST /large-fits") ? 6 : 6400;
    bool is_stated = peer_is(request, "POST /large-stated");
    bool is_open =
        peer_print(fd, is_stated ? "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                   "Content-Length: 104857600\r\n\r\n"
                                 : "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                   "Connection: close\r\n\r\n");
    for (size_t i = 0; is_open && i < blocks; i++) {
        is_open = peer_write(fd, block, sizeof block);
    }
    return false;
}

/* A server with a session, as the SDKs make it: the id in the answer to initialize. */
static inline bool answer_session(int fd, const struct peer_request *request)
{
    const char *session = peer_header(request, "mcp-session-id");
    if (peer_is(request, "DELETE ")) {
        return peer_reply(fd, "405 Method Not Allowed", "", "");
    }
    if (peer_is(request, "GET ")) {
        char byte;
        (void)peer_print(fd, SSE_HEAD);
        (void)chunk(fd, "data: " NOTE_JSON "\n\n");
        (void)recv(fd, &byte, 1, 0);
        return false;
    }
    if (peer_is(request, "POST /session-bad")) {
        return peer_reply(fd, "200 OK",
                          "Content-Type: application/json\r\nMcp-Session-Id: a b\r\n",
                          RESULT_JSON);
    }
    if (!session) {
        return peer_reply(fd, "200 OK",
                          "Content-Type: application/json\r\nMCP-SESSION-ID: abc-1\r\n",
                          RESULT_JSON);
    }
    if (peer_is(request, "POST /session-gone")) {
        return peer_reply(fd, "404 Not Found", "Content-Type: application/json\r\n",
                          "{\"jsonrpc\":\"2.0\",\"id\":null,"
                          "\"error\":{\"code\":-32001,\"message\":\"Session not found\"}}");
    }
    if (peer_is(request, "POST /session-invalid")) { /* as servers on the SDKs say it */
        return peer_reply(
            fd, "400 Bad Request", "Content-Type: application/json\r\n",
            "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32000,\"message\":"
            "\"Bad Request: No valid session ID provided\"}}");
    }
    if (peer_is(request, "POST /session-plain")) { /* likewise, those in Python */
        return peer_reply(fd, "400 Bad Request", "Content-Type: text/plain; charset=utf-8\r\n",
                          "Bad Request: No valid session ID provided");
    }
    if (peer_is(request, "POST /session-expression")) {
        return peer_reply(
            fd, "400 Bad Request", "Content-Type: application/json\r\n",
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32000,"
            "\"message\":\"no valid expression: compression is not initialized\"}}");
    }
    if (peer_is(request, "POST /session-refusal")) {
        return peer_reply(fd, "400 Bad Request", "Content-Type: application/json\r\n",
                          "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32000,"
                          "\"message\":\"no such order\"}}");
    }
    if (peer_is(request, "POST /session-method")) {
        return peer_reply(fd, "404 Not Found", "Content-Type: application/json\r\n",
                          "{\"jsonrpc\":\"2.0\",\"id\":1,"
                          "\"error\":{\"code\":-32601,\"message\":\"no\"}}");
    }
    return peer_json(fd, RESULT_JSON);
}

static inline bool answer(struct peer *peer, int fd, const struct peer_request *request)
{
    if (peer_is(request, "POST /events")) {
        return answer_events(fd, request);
    }
    if (peer_is(request, "POST /large")) {
        return answer_large(fd, request);
    }
    if (peer_is(request, "POST /slow-note")) {
        return hold_back(peer) && peer_reply(fd, "202 Accepted", "", "");
    }
    if (peer_is(request, "POST /never")) {
        char byte;
        (void)recv(fd, &byte, 1, 0);
        return false;
    }
    if (peer_is(request, "GET /405")) {
        return peer_reply(fd, "405 Method Not Allowed", "Allow: POST\r\n", "");
    }
    if (peer_is(request, "GET /stream-ends")) {
        return peer_print(fd, SSE_HEAD) &&
               chunk(fd, "id: e-1\nretry: 250\ndata: " NOTE_JSON "\n\n") &&
               peer_print(fd, "0\r\n\r\n");
    }
    if (strstr(request->head, "/session")) {
        return answer_session(fd, request);
    }
    return answer_status(fd, request);
}

static inline int setup_with(void **state,
                             bool (*answers)(struct peer *, int, const struct peer_request *))
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->loop = loop_new();
    fixture->http = http_new(fixture->loop);
    buf_init(&fixture->text, 1u << 22);
    peer_start(&fixture->peer, answers);
    fixture->peer.arg = fixture;
    *state = fixture;
    return 0;
}

static inline int setup(void **state)
{
    return setup_with(state, answer);
}

static inline int teardown(void **state)
{
    struct fixture *fixture = *state;
    drop(fixture);
    http_free(fixture->http);
    loop_free(fixture->loop);
    peer_stop(&fixture->peer);
    buf_done(&fixture->text);
    failure_done(&fixture->failure);
    free(fixture);
    return 0;
}

/* ---- a test of both transports ------------------------------------------------------------ */

static inline void test_options_that_cannot_be_used(void **state)
{
    struct fixture *fixture = *state;
    struct http_field bad = {SLICE("X-Y"), SLICE("s3cret\r\nX: 1")};
    const struct mcp_http_options options[] = {{.loop = fixture->loop,
                                                .http = fixture->http,
                                                .url = SLICE("ftp://x/"),
                                                .message_bytes = 9},
                                               {.loop = fixture->loop,
                                                .http = fixture->http,
                                                .url = SLICE("http://127.0.0.1/"),
                                                .headers = &bad,
                                                .header_count = 1,
                                                .message_bytes = 9}};
    for (unsigned i = 0; i < 2; i++) {
        fixture->closed = 0;
        fixture->transport =
            (fixture->make ? fixture->make : mcp_http_new)(&options[i], &events, fixture);
        fixture->transport->ops->open(fixture->transport);
        run_until(fixture, &fixture->closed, 1);
        fixture->has_failed = fixture->closed_with_failure;
        expect_failure(fixture, ERR_VALIDATION_ERROR, i ? "header" : "url");
        fixture->transport->ops->close(fixture->transport);
        run_for(fixture, 5000);
        assert_int_equal(fixture->closed, 1);
        drop(fixture);
    }
}

#endif
