/* SPDX-License-Identifier: MIT */
/* test_http_fields.c - header lines of one request alone, beside those of its target. */
#include "http_fixture.h"

#include "base/mem.h"

#include <strings.h>

static void send_one(struct fixture *fixture, struct http_headers *headers,
                     const struct http_field *extra, size_t count)
{
    struct outcome outcome;
    struct http_request request = post("{}");
    outcome_init(&outcome);
    request.headers = headers;
    request.extra = extra;
    request.extra_count = count;
    start(fixture, &request, &outcome);
    run_until(fixture, &outcome.dones, 1);
    assert_false(outcome.has_failed);
    outcome_clear(&outcome);
}

static void expect_head(struct fixture *fixture, unsigned number, const char *lines)
{
    char expected[512];
    (void)snprintf(expected, sizeof expected,
                   "POST /echo?token=s3cret HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s"
                   "Authorization: Basic dXNlcjpwYTU1\r\nContent-Length: 2\r\n\r\n",
                   fixture->peer.port, lines);
    assert_string_equal(fixture->peer.records[number].head, expected);
}

/* They reach the wire of their own request, and no other's, on whatever handle it runs. */
static void test_lines_of_one_request(void **state)
{
    struct fixture *fixture = *state;
    const struct http_field fields[] = {{SLICE("X-All"), SLICE("1")}};
    const struct http_field agents[] = {{SLICE("User-Agent"), SLICE("mine/1")},
                                        {SLICE("X-All"), SLICE("1")}};
    const struct http_field extra[] = {{SLICE("Mcp-Method"), SLICE("tools/call")},
                                       {SLICE("Mcp-Param-Empty"), SLICE("")},
                                       {SLICE("Mcp-Name"), SLICE("caf\xC3\xA9")}};
    struct http_headers *headers = http_headers_new(fields, 1, NULL);
    struct http_headers *with_agent = http_headers_new(agents, 2, NULL);
    aim(fixture, "/echo");
#define AGENT "User-Agent: toolbroker/" TOOLBROKER_VERSION " HTTP/1.1\r\n"
#define EXTRA "Mcp-Method: tools/call\r\nMcp-Param-Empty: \r\nMcp-Name: caf\xC3\xA9\r\n"
    send_one(fixture, headers, extra, 3);
    expect_head(fixture, 0, "X-All: 1\r\n" EXTRA AGENT);
    send_one(fixture, headers, NULL, 0);
    expect_head(fixture, 1, "X-All: 1\r\n" AGENT);
    send_one(fixture, headers, extra, 1);
    expect_head(fixture, 2, "X-All: 1\r\nMcp-Method: tools/call\r\n" AGENT);
    send_one(fixture, NULL, extra, 3);
    expect_head(fixture, 3, EXTRA AGENT);
    send_one(fixture, NULL, NULL, 0);
    expect_head(fixture, 4, AGENT);
    send_one(fixture, with_agent, extra, 3);
    expect_head(fixture, 5, "X-All: 1\r\n" EXTRA "User-Agent: mine/1 HTTP/1.1\r\n");
    assert_int_equal(peer_connections(&fixture->peer), 1);
    (void)http_headers_unref(headers);
    (void)http_headers_unref(with_agent);
}

/* What the caller gave may change before curl looks at it. */
static void test_lines_are_copied(void **state)
{
    struct fixture *fixture = *state;
    char value[] = "first";
    struct http_field extra = {SLICE("Mcp-Name"), slice_of(value)};
    struct http_request request = post("{}");
    struct outcome outcome;
    outcome_init(&outcome);
    aim(fixture, "/echo");
    request.extra = &extra;
    request.extra_count = 1;
    http_target_hold(fixture->target, true);
    start(fixture, &request, &outcome);
    memset(value, 'x', sizeof value - 1);
    extra.name = SLICE("Other");
    http_target_hold(fixture->target, false);
    run_until(fixture, &outcome.dones, 1);
    assert_string_equal(peer_header(&fixture->peer.records[0], "mcp-name"), "first");
    outcome_clear(&outcome);
}

static void test_bad_lines_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static char large[70000];
    memset(large, 'a', sizeof large);
    const struct http_field fields[] = {
        {SLICE("Mcp-Param-X"), SLICE("s3cret\r\nEvil: 1")},
        {SLICE("Mcp-Param-X"), SLICE("s3cret\nEvil: 1")},
        {SLICE("Mcp-Param-X"), SLICE("s3cret\0")},
        {SLICE("Mcp-Param-X"), SLICE("s3cret\x7F")},
        {SLICE("Mcp Param"), SLICE("s3cret")},
        {SLICE(""), SLICE("s3cret")},
        {SLICE("Host"), SLICE("s3cret")},
        {SLICE("Content-Length"), SLICE("0")},
        {SLICE("user-agent"), SLICE("s3cret")},
        {SLICE("Mcp-Param-X"), {large, sizeof large}},
    };
    aim(fixture, "/echo");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct http_request request = post("{}");
        struct http_exchange *none = NULL;
        struct err err;
        request.extra = &fields[i];
        request.extra_count = 1;
        assert_int_equal(http_start(fixture->target, &request, &events, NULL, &none, &err),
                         -ERR_VALIDATION_ERROR);
        assert_int_equal(err.code, ERR_VALIDATION_ERROR);
        assert_null(none);
        assert_null(strstr(err.text, "s3cret"));
        assert_int_equal(http_start(fixture->target, &request, &events, NULL, &none, NULL),
                         -ERR_VALIDATION_ERROR);
    }
    run_for(fixture, 20000);
    assert_int_equal(peer_count(&fixture->peer), 0);
    send_one(fixture, NULL, NULL, 0);
}

static void test_lines_without_memory(void **state)
{
    struct fixture *fixture = *state;
    const struct http_field extra = {SLICE("Mcp-Name"), SLICE("x")};
    struct http_request request = post("{}");
    struct http_exchange *none = NULL;
    struct err err;
    aim(fixture, "/echo");
    request.extra = &extra;
    request.extra_count = 1;
    mem_fail_at(1);
    int failed = http_start(fixture->target, &request, &events, NULL, &none, &err);
    mem_fail_at(0);
    assert_int_equal(failed, -ERR_OVERLOADED);
    send_one(fixture, NULL, &extra, 1);
}

/* ---- of answers -------------------------------------------------------------------------- */

static char seen[512];
static bool has_any;

static bool is_wanted(struct slice name)
{
    return name.len >= 8 && strncasecmp(name.ptr, "x-wanted", 8) == 0;
}

static void see(void *arg, struct slice name, struct slice value)
{
    size_t at = strlen(seen);
    assert_ptr_equal(arg, seen);
    (void)snprintf(seen + at, sizeof seen - at, "%.*s=%.*s;", SLICE_ARG(name),
                   SLICE_ARG(value));
}

static void look(void *arg, struct http_exchange *http, int status)
{
    note_head(arg, http, status);
    has_any = http_has_wanted(http);
    http_each_wanted(http, see, seen);
}

static const struct http_events looking = {look, note_body, note_done, is_wanted};

static void ask_for(struct fixture *fixture, const char *path, const struct http_events *table)
{
    struct outcome outcome;
    struct http_request request = post("{}");
    struct err err;
    aim(fixture, path);
    outcome_init(&outcome);
    seen[0] = '\0';
    has_any = false;
    assert_int_equal(
        http_start(fixture->target, &request, table, &outcome, &outcome.exchange, &err), 0);
    run_until(fixture, &outcome.dones, 1);
    assert_false(outcome.has_failed);
    outcome_clear(&outcome);
}

static void test_wanted_fields(void **state)
{
    static const struct http_events wants_nothing = {look, note_body, note_done, NULL};
    struct fixture *fixture = *state;
    ask_for(fixture, "/wanted", &looking);
    assert_true(has_any);
    assert_string_equal(seen, "x-wanted-1=a;X-WANTED-2=b:c;X-Wanted-1=again;x-wanted-3=;");
    ask_for(fixture, "/echo", &looking);
    assert_false(has_any);
    assert_string_equal(seen, "");
    ask_for(fixture, "/wanted", &wants_nothing);
    assert_false(has_any);
    assert_string_equal(seen, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_lines_of_one_request),  TEST(test_lines_are_copied),
        TEST(test_bad_lines_are_refused), TEST(test_lines_without_memory),
        TEST(test_wanted_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
