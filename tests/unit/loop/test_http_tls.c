/* SPDX-License-Identifier: MIT */
/* test_http_tls.c - TLS against `openssl s_server` with a certificate of its own: who is believed. */
#include "http_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

/* The server, its certificate (for 127.0.0.1 alone), and the folder of both. */
struct server {
    pid_t pid;
    int in, out;
    unsigned port;
    char folder[32], certificate[64], key[64];
};

static struct server server;

static pid_t run(const char *const *argv, int in, int out)
{
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    if (in >= 0) {
        (void)posix_spawn_file_actions_adddup2(&actions, in, 0);
    }
    if (out >= 0) {
        (void)posix_spawn_file_actions_adddup2(&actions, out, 1);
    }
    if (posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ) != 0) {
        pid = -1;
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static int start_server(void **state)
{
    int in[2], out[2], status = -1;
    (void)state;
    (void)snprintf(server.folder, sizeof server.folder, "/tmp/tls-test-XXXXXX");
    assert_non_null(mkdtemp(server.folder));
    (void)snprintf(server.certificate, sizeof server.certificate, "%s/cert.pem", server.folder);
    (void)snprintf(server.key, sizeof server.key, "%s/key.pem", server.folder);
    const char *make[] = {"openssl",
                          "req",
                          "-x509",
                          "-newkey",
                          "ec",
                          "-pkeyopt",
                          "ec_paramgen_curve:prime256v1",
                          "-nodes",
                          "-keyout",
                          server.key,
                          "-out",
                          server.certificate,
                          "-days",
                          "2",
                          "-subj",
                          "/CN=test",
                          "-addext",
                          "subjectAltName=IP:127.0.0.1",
                          NULL};
    pid_t pid = run(make, -1, -1);
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    const char *serve[] = {"openssl", "s_server",         "-accept", "127.0.0.1:0", "-www",
                           "-cert",   server.certificate, "-key",    server.key,    NULL};
    server.pid = run(serve, in[0], out[1]);
    assert_true(server.pid > 0);
    (void)close(in[0]);
    (void)close(out[1]);
    server.in = in[1];
    server.out = out[0];
    char text[512];
    size_t length = 0;
    const char *found = NULL;
    while (!found) { /* ACCEPT 127.0.0.1:40123 */
        ssize_t got = read(server.out, text + length, sizeof text - 1 - length);
        assert_true(got > 0);
        length += (size_t)got;
        text[length] = '\0';
        found = strstr(text, "ACCEPT 127.0.0.1:");
        found = found && strchr(found, '\n') ? found : NULL;
    }
    server.port = (unsigned)strtoul(found + strlen("ACCEPT 127.0.0.1:"), NULL, 10);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    (void)kill(server.pid, SIGKILL);
    (void)waitpid(server.pid, NULL, 0);
    (void)close(server.in);
    (void)close(server.out);
    (void)unlink(server.certificate);
    (void)unlink(server.key);
    return rmdir(server.folder);
}

static void get(struct fixture *fixture, const char *host, const char *ca_file,
                struct outcome *outcome)
{
    char url[64];
    struct http_request request = post("");
    (void)snprintf(url, sizeof url, "https://%s:%u/", host, server.port);
    struct http_target_options options = {.url = slice_of(url), .ca_file = ca_file};
    http_target_free(fixture->target);
    assert_int_equal(http_target_new(fixture->http, &options, &fixture->target, NULL), 0);
    request.method = HTTP_GET;
    outcome_init(outcome);
    start(fixture, &request, outcome);
    run_until(fixture, &outcome->dones, 1);
}

static void expect_distrust(struct outcome *outcome, const char *words)
{
    expect_failure(outcome, ERR_UNAVAILABLE, "tls", words);
    assert_false(outcome->failure.is_retryable);
    assert_false(outcome->was_sent);
}

static void test_a_certificate_that_is_trusted(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    get(fixture, "127.0.0.1", server.certificate, &outcome);
    if (outcome.has_failed) {
        fail_msg("%s", buf_text(&outcome.failure.message));
    }
    assert_int_equal(outcome.status, 200);
    assert_non_null(strstr(buf_text(&outcome.body), "TLSv1."));
    outcome_clear(&outcome);
}

/* A connection that one target trusted is not given to another that does not. */
static void test_a_certificate_that_is_not_trusted(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    get(fixture, "127.0.0.1", server.certificate, &outcome);
    assert_false(outcome.has_failed);
    outcome_clear(&outcome);
    (void)loop_lag_max(fixture->loop);
    get(fixture, "127.0.0.1", NULL, &outcome);
    print_message("longest turn with the system's certificates, first time: %lld us\n",
                  (long long)loop_lag_max(fixture->loop));
    expect_distrust(&outcome, "certificate");
    outcome_clear(&outcome);
    get(fixture, "127.0.0.1", NULL, &outcome);
    print_message("and the second time: %lld us\n", (long long)loop_lag_max(fixture->loop));
    expect_distrust(&outcome, "certificate");
    outcome_clear(&outcome);
}

static void test_a_certificate_of_another_name(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    get(fixture, "localhost", server.certificate, &outcome);
    expect_distrust(&outcome, "localhost");
    outcome_clear(&outcome);
}

static void test_a_ca_file_that_is_none(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    get(fixture, "127.0.0.1", "/nonexistent/ca.pem", &outcome);
    expect_distrust(&outcome, "/nonexistent/ca.pem");
    outcome_clear(&outcome);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_certificate_that_is_trusted),
        TEST(test_a_certificate_that_is_not_trusted),
        TEST(test_a_certificate_of_another_name),
        TEST(test_a_ca_file_that_is_none),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
