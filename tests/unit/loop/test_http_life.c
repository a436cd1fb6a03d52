/* SPDX-License-Identifier: MIT */
/* test_http_life.c - exchanges in time: deadlines, names, cancelling anywhere, places, kept connections. */
#include "http_fixture.h"

#include "base/mem.h"

#include <netdb.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

/* ---- time ------------------------------------------------------------------------------- */

static void test_deadlines(void **state)
{
    struct fixture *fixture = *state;
    const char *paths[] = {"/silent", "/never"};
    for (unsigned i = 0; i < 2; i++) {
        struct outcome outcome;
        struct http_request request = post("{}");
        outcome_init(&outcome);
        aim(fixture, paths[i]);
        start(fixture, &request, &outcome);
        run_until_peer_has(fixture, i + 1);
        mono_us begun = clock_mono();
        http_set_deadline(outcome.exchange, begun + 100000);
        run_until(fixture, &outcome.dones, 1);
        expect_failure(&outcome, ERR_TIMEOUT, "timeout", "did not answer in time");
        assert_true(outcome.was_sent);
        assert_in_range(clock_mono() - begun, 90000, 5000000);
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
    run_until_peer_has(fixture, 1);
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
        (void)usleep(2000000);
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
    assert_true(longest < 1000000);
    run_for(fixture, 2300000); /* the threads end in peace */
}

static void test_free_while_resolving(void **state)
{
    struct fixture *fixture = *state;
    struct http_target_options options = {.url = SLICE("https://slow.test/")};
    struct http_request request = post("{}");
    struct outcome outcome;
    outcome_init(&outcome);
    assert_int_equal(http_target_new(fixture->http, &options, &fixture->target, NULL), 0);
    start(fixture, &request, &outcome);
    run_for(fixture, 50000);
    mono_us begun = clock_mono();
    http_target_free(fixture->target);
    fixture->target = NULL;
    http_free(fixture->http);
    fixture->http = NULL;
    assert_true(clock_mono() - begun < 1000000);
    outcome_clear(&outcome);
    (void)usleep(2300000); /* the thread comes back, and finds nothing to break */
}

/* ---- cancel, free, queue ---------------------------------------------------------------- */

static void test_cancel_at_every_stage(void **state)
{
    struct fixture *fixture = *state;
    aim(fixture, "/silent");
    for (unsigned i = 0; i < 30; i++) {
        struct outcome outcome;
        struct http_request request = post("{}");
        outcome_init(&outcome);
        start(fixture, &request, &outcome);
        for (unsigned turn = 0; turn < i % 6; turn++) {
            loop_turn(fixture->loop, 2000);
        }
        if (outcome.dones) {
            fail_msg("%u: %s", i, buf_text(&outcome.failure.message));
        }
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
    fixture->target = make_target(fixture, "/together", &options);
    expect_together(COUNT); /* who has come is kept there */
    for (unsigned i = 0; i < COUNT; i++) {
        struct http_request request = post(i == COUNT - 1 ? "urgent" : "{}");
        outcome_init(&outcomes[i]);
        request.is_urgent = i == COUNT - 1;
        start(fixture, &request, &outcomes[i]);
    }
    run_until_peer_has(fixture, 3);
    run_for(fixture, 50000);
    assert_int_equal(peer_count(&fixture->peer), 3);
    bool has_urgent = false;
    for (unsigned i = 0; i < 3; i++) {
        has_urgent = has_urgent || strcmp(fixture->peer.records[i].body, "urgent") == 0;
    }
    assert_true(has_urgent);
    http_cancel(outcomes[3].exchange); /* waits, never starts */
    expect_together(0);
    run_until(fixture, &outcomes[COUNT - 1].dones, 1);
    run_until(fixture, &outcomes[4].dones, 1);
    run_until(fixture, &outcomes[2].dones, 1);
    run_until(fixture, &outcomes[1].dones, 1);
    run_until(fixture, &outcomes[0].dones, 1);
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

/* Each allocation of an exchange that may fail does, curl's larger ones too: it ends once, and the
 * next works. */
static void test_without_memory(void **state)
{
    struct fixture *fixture = *state;
    unsigned failures = 0;
    for (unsigned long nth = 1; nth <= 12; nth++) {
        struct outcome outcome;
        struct http_request request = post("{\"a\":1}");
        struct err err;
        outcome_init(&outcome);
        (void)buf_reserve(&outcome.body, 64);
        aim(fixture, "/echo");
        mem_fail_at(nth);
        int failed =
            http_start(fixture->target, &request, &events, &outcome, &outcome.exchange, &err);
        if (failed) {
            assert_int_equal(failed, -ERR_OVERLOADED);
        } else {
            run_until(fixture, &outcome.dones, 1);
        }
        mem_fail_at(0);
        run_for(fixture, 500);
        assert_int_equal(outcome.dones, failed ? 0 : 1);
        failures += failed || outcome.has_failed;
        outcome_clear(&outcome);
        outcome_init(&outcome);
        start(fixture, &request, &outcome);
        run_until(fixture, &outcome.dones, 1);
        if (outcome.has_failed) {
            fail_msg("after %lu: %s", nth, buf_text(&outcome.failure.message));
        }
        assert_string_equal(buf_text(&outcome.body), "{\"a\":1}");
        outcome_clear(&outcome);
    }
    assert_true(failures >= 4);
}

static unsigned registrations;

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    registrations++;
    return (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
}

static void test_a_kept_connection_stays_registered(void **state)
{
    struct fixture *fixture = *state;
    unsigned before = 0;
    aim(fixture, "/echo");
    for (unsigned i = 0; i < 20; i++) {
        struct outcome outcome;
        struct http_request request = post("{}");
        outcome_init(&outcome);
        start(fixture, &request, &outcome);
        run_until(fixture, &outcome.dones, 1);
        outcome_clear(&outcome);
        before = i ? before : registrations;
    }
    assert_true(before > 0);
    assert_int_equal(registrations, before);
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_deadlines),
        TEST(test_deadline_on_a_frozen_clock),
        TEST(test_connect_timeout),
        TEST(test_names),
        TEST(test_cancel_while_resolving_does_not_wait),
        TEST(test_free_while_resolving),
        TEST(test_cancel_at_every_stage),
        TEST(test_cancel_inside_events),
        TEST(test_cancel_in_the_head_of_an_empty_answer),
        TEST(test_free_inside_events),
        TEST(test_places_are_limited),
        TEST(test_held_and_past_its_deadline),
        TEST(test_many_at_once),
        TEST(test_without_memory),
        TEST(test_a_kept_connection_stays_registered),
        TEST(test_a_closed_idle_connection_is_quiet),
        TEST(test_a_freed_target_closes_its_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
