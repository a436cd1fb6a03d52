/* SPDX-License-Identifier: MIT */
/* http_fixture.h - exchanges against a scripted server: what the tests of loop/http share. */
#ifndef TESTS_UNIT_LOOP_HTTP_FIXTURE_H
#define TESTS_UNIT_LOOP_HTTP_FIXTURE_H

#include "loop/http.h"

#include "../http_peer.h"
#include "value/pack.h"

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
    struct http_target *target, *other; /* NULL: none */
};

static inline void note_head(void *arg, struct http_exchange *exchange, int status)
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

static inline void note_body(void *arg, struct slice bytes)
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

static inline void note_done(void *arg, const struct failure *failure, bool was_sent)
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

static const struct http_events events = {note_head, note_body, note_done, NULL};

static inline void outcome_init(struct outcome *outcome)
{
    *outcome = (struct outcome){.status = 0};
    buf_init(&outcome->body, 1u << 24);
}

static inline void outcome_clear(struct outcome *outcome)
{
    buf_done(&outcome->body);
    failure_done(&outcome->failure);
}

static inline void start(struct fixture *fixture, const struct http_request *request,
                         struct outcome *outcome)
{
    struct err err;
    if (http_start(fixture->target, request, &events, outcome, &outcome->exchange, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(outcome->heads + outcome->pieces + outcome->dones, 0);
}

static inline void run_until(struct fixture *fixture, const unsigned *count, unsigned wanted)
{
    mono_us end = clock_mono() + 20000000;
    while (*count < wanted) {
        loop_turn(fixture->loop, 50000);
        assert_true(clock_mono() < end);
    }
}

static inline void run_until_peer_has(struct fixture *fixture, unsigned wanted)
{
    for (mono_us end = clock_mono() + 20000000; peer_count(&fixture->peer) < wanted;) {
        loop_turn(fixture->loop, 10000);
        assert_true(clock_mono() < end);
    }
}

static inline void run_for(struct fixture *fixture, mono_us time)
{
    for (mono_us end = clock_mono() + time; clock_mono() < end;) {
        loop_turn(fixture->loop, 5000);
    }
}

static inline struct http_request post(const char *body)
{
    return (struct http_request){
        .method = HTTP_POST, .body = slice_of(body), .deadline = clock_mono() + 10000000};
}

static inline struct http_target *make_target(struct fixture *fixture, const char *path,
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

static inline void aim(struct fixture *fixture, const char *path)
{
    http_target_free(fixture->target);
    fixture->target = make_target(fixture, path, NULL);
}

/* One POST to `path`, run to its end. */
static inline void exchange(struct fixture *fixture, const char *path, struct outcome *outcome)
{
    struct http_request request = post("{}");
    aim(fixture, path);
    start(fixture, &request, outcome);
    run_until(fixture, &outcome->dones, 1);
}

static inline void expect_failure(struct outcome *outcome, enum err_code code,
                                  const char *reason, const char *words)
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

static inline bool answer_fault(int fd, const struct peer_request *request)
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

static inline bool answer_large(int fd, const struct peer_request *request)
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

static unsigned together_wanted, together_count;

static inline void expect_together(unsigned count)
{
    __atomic_store_n(&together_count, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&together_wanted, count, __ATOMIC_SEQ_CST);
}

/* Until so many are asked at the same time: one after another they would wait for ever. */
static inline bool meet(struct peer *peer)
{
    bool is_stopping = false;
    (void)__atomic_add_fetch(&together_count, 1, __ATOMIC_SEQ_CST);
    while (!is_stopping && __atomic_load_n(&together_count, __ATOMIC_SEQ_CST) <
                               __atomic_load_n(&together_wanted, __ATOMIC_SEQ_CST)) {
        (void)usleep(1000);
        (void)pthread_mutex_lock(&peer->lock);
        is_stopping = peer->is_stopping;
        (void)pthread_mutex_unlock(&peer->lock);
    }
    return !is_stopping;
}

static inline bool answer(struct peer *peer, int fd, const struct peer_request *request)
{
    if (peer_is(request, "POST /together")) {
        return meet(peer) && peer_json(fd, "{}");
    }
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
    if (peer_is(request, "POST /wanted")) {
        return peer_print(fd, "HTTP/1.1 103 Early Hints\r\nX-Wanted-0: early\r\n\r\n") &&
               peer_reply(fd, "503 Busy",
                          "x-wanted-1: a\r\nX-Other: no\r\nX-WANTED-2:   b:c \r\n"
                          "X-Wanted-1: again\r\nx-wanted-3:\r\n",
                          "busy");
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

static inline int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->loop = loop_new();
    fixture->http = http_new(fixture->loop);
    peer_start(&fixture->peer, answer);
    *state = fixture;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *fixture = *state;
    http_target_free(fixture->target);
    http_target_free(fixture->other);
    http_free(fixture->http);
    loop_free(fixture->loop);
    peer_stop(&fixture->peer);
    free(fixture);
    return 0;
}

#endif
