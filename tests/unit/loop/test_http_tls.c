/* SPDX-License-Identifier: MIT */
/* test_http_tls.c - whom a target believes over TLS, and the words when it does not. */
#include "tls_server.h"

#include <curl/curl.h>

static void get(struct fixture *fixture, struct outcome *outcome)
{
    struct http_request request = post("{}");
    outcome_init(outcome);
    start(fixture, &request, outcome);
    run_until(fixture, &outcome->dones, 1);
}

static void expect_trust(struct outcome *outcome)
{
    if (outcome->has_failed) {
        fail_msg("%s", buf_text(&outcome->failure.message));
    }
    assert_int_equal(outcome->status, 200);
    outcome_clear(outcome);
}

static void expect_distrust(struct outcome *outcome, const char *words, const char *advice)
{
    expect_failure(outcome, ERR_UNAVAILABLE, "tls", words);
    if (!strstr(buf_text(&outcome->failure.suggestion), advice)) {
        fail_msg("\"%s\" lacks \"%s\"", buf_text(&outcome->failure.suggestion), advice);
    }
    assert_false(outcome->failure.is_retryable);
    assert_false(outcome->was_sent);
    outcome_clear(outcome);
}

static void test_a_certificate_that_is_trusted(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    tls_aim(fixture, TLS_ONE, "/echo");
    get(fixture, &outcome);
    expect_trust(&outcome);
    tls_await(TLS_ONE, "HTTP/1.1 ", 1);
}

/* A connection that one target trusted is not given to another that does not. */
static void test_a_certificate_that_is_not_trusted(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    struct http_target_options options = {.url = {0}};
    tls_aim(fixture, TLS_GOOD, "/echo");
    get(fixture, &outcome);
    expect_trust(&outcome);
    struct http_target *trusting = fixture->target;
    fixture->target = NULL;
    for (unsigned i = 0; i < 2; i++) {
        tls_aim_with(fixture, TLS_GOOD, "127.0.0.1", "/echo", options);
        (void)loop_lag_max(fixture->loop);
        get(fixture, &outcome);
        print_message("longest turn with the system's certificates: %lld us\n",
                      (long long)loop_lag_max(fixture->loop));
        expect_distrust(&outcome, "signed by nobody who is trusted", "ca_file");
    }
    http_target_free(trusting);
    assert_int_equal(peer_count(&fixture->peer), 1);
}

static void test_a_certificate_of_another_name(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    struct http_target_options options = {.ca_pem = slice_of(tls.ca)};
    tls_aim_with(fixture, TLS_GOOD, "localhost", "/echo", options);
    get(fixture, &outcome);
    expect_distrust(&outcome, "its certificate is for another host",
                    "as the certificate names");
}

static void test_a_certificate_that_has_expired(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    tls_aim(fixture, TLS_EXPIRED, "/echo");
    get(fixture, &outcome);
    expect_distrust(&outcome, "its certificate has expired", "Renew");
}

/* An authority that signed something else: the system's are not asked besides. */
static void test_another_authority(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    char other[4096];
    tls_run_to_end("cd \"$0\" && openssl req -x509 -newkey ec -pkeyopt "
                   "ec_paramgen_curve:prime256v1 -nodes -keyout other.key -out other.pem "
                   "-days 2 -subj /CN=test-ca");
    assert_true(tls_read("other.pem", other, sizeof other) > 100);
    struct http_target_options options = {.ca_pem = slice_of(other), .ca_file = "/x/other.pem"};
    tls_aim_with(fixture, TLS_GOOD, "127.0.0.1", "/echo", options);
    get(fixture, &outcome);
    expect_failure(&outcome, ERR_UNAVAILABLE, "tls", "no secure connection");
    assert_false(outcome.failure.is_retryable);
    outcome_clear(&outcome);
}

static void test_authorities_that_are_none(void **state)
{
    static const char *const texts[] = {
        "", "rubbish", "-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct outcome outcome;
        struct http_target_options options = {.ca_pem = slice_of(texts[i]),
                                              .ca_file = "/x/none.pem"};
        tls_aim_with(fixture, TLS_GOOD, "127.0.0.1", "/echo", options);
        get(fixture, &outcome);
        expect_distrust(&outcome, "/x/none.pem holds no certificate", "PEM");
    }
}

/* A server that speaks no TLS: the handshake fails, nothing of the request is sent. */
static void test_a_server_without_tls(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    unsigned port = tls.ports[TLS_GOOD];
    tls.ports[TLS_GOOD] = fixture->peer.port;
    tls_aim(fixture, TLS_GOOD, "/echo");
    tls.ports[TLS_GOOD] = port;
    struct http_request request = post("{}");
    outcome_init(&outcome);
    request.deadline = clock_mono() + 500000;
    start(fixture, &request, &outcome);
    run_until(fixture, &outcome.dones, 1);
    assert_true(outcome.has_failed);
    assert_false(outcome.was_sent);
    outcome_clear(&outcome);
}

/* A libcurl that looks names up where it is called would hold the loop: it is not used. */
static bool has_slow_names;

curl_version_info_data *curl_version_info(CURLversion age)
{
    static curl_version_info_data slow = {.age = CURLVERSION_FIRST, .version = "x"};
    static const char *protocols[] = {NULL};
    (void)age;
    slow.features = has_slow_names ? 0 : CURL_VERSION_ASYNCHDNS;
    slow.protocols = protocols;
    slow.capath = "/etc/ssl/certs";
    return &slow;
}

static void test_a_curl_with_slow_names(void **state)
{
    struct fixture *fixture = *state;
    struct http_target_options options = {.url = SLICE("http://127.0.0.1/")};
    struct err err;
    has_slow_names = true;
    int failed = http_target_new(fixture->http, &options, &fixture->target, &err);
    has_slow_names = false;
    assert_int_equal(failed, -ERR_INTERNAL);
    assert_non_null(strstr(err.text, "threaded resolver"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tls_setup, tls_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_certificate_that_is_trusted),
        TEST(test_a_certificate_that_is_not_trusted),
        TEST(test_a_certificate_of_another_name),
        TEST(test_a_certificate_that_has_expired),
        TEST(test_another_authority),
        TEST(test_authorities_that_are_none),
        TEST(test_a_server_without_tls),
        TEST(test_a_curl_with_slow_names),
    };
    return cmocka_run_group_tests(tests, tls_make_certificates, tls_remove_certificates);
}
