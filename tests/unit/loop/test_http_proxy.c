/* SPDX-License-Identifier: MIT */
/* test_http_proxy.c - https through a proxy of the environment: the tunnel, its refusal, its secrets. */
#include "tls_server.h"

#include "base/mem.h"
#include "loop/http_internal.h"

#include <netdb.h>
#include <poll.h>

static struct peer proxy;

/* getaddrinfo of this program, which curl's resolver thread calls. */
int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict ret)
{
    (void)name;
    (void)service;
    (void)hints;
    (void)ret;
    return EAI_NONAME;
}

/* ---- the proxy -------------------------------------------------------------------------- */

static void pump(int a, int b)
{
    struct pollfd fds[2] = {{a, POLLIN, 0}, {b, POLLIN, 0}};
    char bytes[16384];
    bool is_open = true;
    while (is_open && poll(fds, 2, -1) > 0) {
        unsigned from = fds[0].revents ? 0 : 1;
        ssize_t got = recv(fds[from].fd, bytes, sizeof bytes, 0);
        is_open = got > 0 && peer_write(fds[1 - from].fd, bytes, (size_t)got);
    }
}

static bool tunnel(struct peer *peer, int fd, const struct peer_request *request)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *start = "CONNECT 127.0.0.1:";
    const char *credentials = peer_header(request, "proxy-authorization");
    (void)peer;
    if (!peer_is(request, start)) {
        return peer_reply(fd, "400 Bad Request", "", "");
    }
    if (!credentials || strcmp(credentials, "Basic bWU6cHIweHlwdw==") != 0) {
        return peer_reply(fd, "407 Proxy Authentication Required",
                          "Proxy-Authenticate: Basic realm=\"x\"\r\n", "");
    }
    unsigned long port = strtoul(request->head + strlen(start), NULL, 10);
    if (port == 1) {
        return peer_reply(fd, "403 Forbidden", "", "not there");
    }
    address.sin_port = htons((uint16_t)port);
    int host = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(host, (struct sockaddr *)&address, sizeof address) == 0 &&
        peer_print(fd, "HTTP/1.1 200 Connection established\r\n\r\n")) {
        pump(fd, host);
    }
    (void)close(host);
    return false;
}

static int proxy_setup(void **state)
{
    peer_start(&proxy, tunnel);
    return tls_setup(state);
}

static int proxy_teardown(void **state)
{
    (void)unsetenv("https_proxy");
    (void)unsetenv("no_proxy");
    int failed = tls_teardown(state);
    peer_stop(&proxy);
    return failed;
}

static void use_proxy(const char *credentials)
{
    char url[128];
    (void)snprintf(url, sizeof url, "http://%s127.0.0.1:%u", credentials, proxy.port);
    (void)setenv("https_proxy", url, 1);
}

/* ---- tunnels ---------------------------------------------------------------------------- */

static void test_a_tunnel(void **state)
{
    struct fixture *fixture = *state;
    const struct http_field fields[] = {{SLICE("Authorization"), SLICE("Bearer abc")}};
    struct http_headers *headers = http_headers_new(fields, 1, NULL);
    struct outcome outcomes[12];
    use_proxy("me:pr0xypw@");
    tls_aim(fixture, TLS_GOOD, "/echo");
    for (unsigned i = 0; i < 12; i++) {
        struct http_request request = post("{\"a\":1}");
        request.headers = headers;
        outcome_init(&outcomes[i]);
        start(fixture, &request, &outcomes[i]);
    }
    for (unsigned i = 0; i < 12; i++) {
        run_until(fixture, &outcomes[i].dones, 1);
        if (outcomes[i].has_failed) {
            fail_msg("%s", buf_text(&outcomes[i].failure.message));
        }
        assert_string_equal(buf_text(&outcomes[i].body), "{\"a\":1}");
        outcome_clear(&outcomes[i]);
    }
    tls_await(TLS_GOOD, "HTTP/2.0 ", 12);
    assert_int_equal(peer_count(&proxy), 1);
    assert_null(peer_header(&proxy.records[0], "authorization"));
    assert_string_equal(peer_header(&fixture->peer.records[0], "authorization"), "Bearer abc");
    assert_null(peer_header(&fixture->peer.records[0], "proxy-authorization"));
    (void)http_headers_unref(headers);
}

static void test_a_host_without_a_proxy(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    struct http_request request = post("{}");
    outcome_init(&outcome);
    use_proxy("me:pr0xypw@");
    (void)setenv("no_proxy", "localhost,127.0.0.0/8", 1);
    tls_aim(fixture, TLS_ONE, "/echo");
    start(fixture, &request, &outcome);
    run_until(fixture, &outcome.dones, 1);
    assert_int_equal(outcome.status, 200);
    assert_int_equal(peer_count(&proxy), 0);
    outcome_clear(&outcome);
}

/* ---- what goes wrong -------------------------------------------------------------------- */

static void expect_no_way(struct fixture *fixture, unsigned port, const char *reason,
                          const char *words, const char *advice)
{
    struct outcome outcome;
    struct http_request request = post("{}");
    char url[64];
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u/echo", port);
    struct http_target_options options = {.url = slice_of(url)};
    http_target_free(fixture->target);
    assert_int_equal(http_target_new(fixture->http, &options, &fixture->target, NULL), 0);
    outcome_init(&outcome);
    start(fixture, &request, &outcome);
    run_until(fixture, &outcome.dones, 1);
    expect_failure(&outcome, ERR_UNAVAILABLE, reason, words);
    assert_false(outcome.was_sent);
    const char *message = buf_text(&outcome.failure.message);
    if (strstr(message, "pr0xypw") || strstr(message, "me:") || strstr(message, "wrong")) {
        fail_msg("%s", message);
    }
    if (!strstr(buf_text(&outcome.failure.suggestion), advice)) {
        fail_msg("%s", buf_text(&outcome.failure.suggestion));
    }
    outcome_clear(&outcome);
}

static void test_a_proxy_that_refuses(void **state)
{
    struct fixture *fixture = *state;
    char words[128];
    (void)snprintf(words, sizeof words,
                   "the proxy http://127.0.0.1:%u answered 407 when asked for a way to "
                   "https://127.0.0.1:%u/echo",
                   proxy.port, tls.ports[TLS_GOOD]);
    use_proxy("me:wrong@");
    expect_no_way(fixture, tls.ports[TLS_GOOD], "proxy", words, "user and password");
    use_proxy("");
    expect_no_way(fixture, tls.ports[TLS_GOOD], "proxy", words, "user and password");
    use_proxy("me:pr0xypw@");
    expect_no_way(fixture, 1, "proxy", "answered 403", "what the proxy allows");
    assert_int_equal(peer_count(&fixture->peer), 0);
}

static void test_a_proxy_that_is_not_there(void **state)
{
    struct fixture *fixture = *state;
    (void)setenv("https_proxy", "http://me:pr0xypw@127.0.0.1:1", 1);
    expect_no_way(fixture, tls.ports[TLS_GOOD], "proxy",
                  "could not connect to the proxy http://127.0.0.1:1 on the way to https://",
                  "no_proxy");
    (void)setenv("https_proxy", "me:pr0xypw@none.test:3128", 1);
    expect_no_way(fixture, tls.ports[TLS_GOOD], "resolve",
                  "could not resolve the host of the proxy http://none.test:3128", "proxy");
    assert_int_equal(peer_count(&fixture->peer), 0);
}

static void test_names_of_proxies(void **state)
{
    static const struct {
        const char *proxy, *name;
    } cases[] = {
        {"http://me:pw@host:3128", "http://host:3128"},
        {"me:pw@host:3128", "http://host:3128"},
        {"host", "http://host"},
        {"socks5h://me:pw@host:1080/x?y", "socks5h://host:1080"},
        {"https://[::1]:3128/", "https://[::1]:3128"},
        {"http://me:pw@ho st:1", "(not a URL)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *name = http_proxy_name(cases[i].proxy);
        assert_string_equal(name, cases[i].name);
        mem_free(name);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, proxy_setup, proxy_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_tunnel),
        TEST(test_a_host_without_a_proxy),
        TEST(test_a_proxy_that_refuses),
        TEST(test_a_proxy_that_is_not_there),
        TEST(test_names_of_proxies),
    };
    return cmocka_run_group_tests(tests, tls_make_certificates, tls_remove_certificates);
}
