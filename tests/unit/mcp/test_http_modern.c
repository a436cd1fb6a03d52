/* SPDX-License-Identifier: MIT */
/* test_http_modern.c - Streamable HTTP as 2026-07-28 has it: header fields, streams that last, no
 * session. */
#include "http_fixture.h"

#include "mcp/http_internal.h"

static void set_revision(struct fixture *fixture, const char *name)
{
    const struct revision *revision = name ? revision_find(slice_of(name)) : NULL;
    assert_true(!name || revision);
    fixture->transport->ops->set_revision(fixture->transport, revision);
}

static void aim_modern(struct fixture *fixture, const char *path)
{
    aim(fixture, path);
    set_revision(fixture, "2026-07-28");
}

static int send_message(struct fixture *fixture, const struct mcp_outgoing *message)
{
    int result = fixture->transport->ops->send(fixture->transport, message, &fixture->failure);
    fixture->has_failed = result < 0;
    return result;
}

static struct mcp_outgoing request_of(struct fixture *fixture, mcp_token token)
{
    return (struct mcp_outgoing){.kind = MCP_REQUEST,
                                 .json = SLICE(REQUEST_JSON),
                                 .token = token,
                                 .deadline = loop_now(fixture->loop) + 5000000,
                                 .method = "tools/call"};
}

/* ---- values ----------------------------------------------------------------------------- */

static void test_values(void **state)
{
    static const struct {
        const char *value, *sent;
    } cases[] = {
        {"", ""},
        {"execute_sql", "execute_sql"},
        {"a b\tc~!", "a b\tc~!"},
        {"s\xc3\xa3o paulo", "=?base64?c8OjbyBwYXVsbw==?="},
        {" foo", "=?base64?IGZvbw==?="},
        {"foo ", "=?base64?Zm9vIA==?="},
        {"foo\t", "=?base64?Zm9vCQ==?="},
        {"\t", "=?base64?CQ==?="},
        {"a\r\nX-Evil: 1", "=?base64?YQ0KWC1FdmlsOiAx?="},
        {"\x7f", "=?base64?fw==?="},
        {"=?base64?x?=", "=?base64?PT9iYXNlNjQ/eD89?="},
        {"=?base64?=", "=?base64?PT9iYXNlNjQ/PQ==?="},
        {"=?base64?\?=", "=?base64?PT9iYXNlNjQ/Pz0=?="},
        {"=?base64?x", "=?base64?x"},
        {"x?=", "x?="},
        {"=?BASE64?SGk=?=", "=?BASE64?SGk=?="},
        {"9007199254740991", "9007199254740991"},
        {"true", "true"},
    };
    struct buf out;
    (void)state;
    buf_init(&out, 1000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_clear(&out);
        mcp_http_put_value(&out, slice_of(cases[i].value));
        assert_string_equal(buf_text(&out), cases[i].sent);
    }
    buf_clear(&out);
    mcp_http_put_value(&out, (struct slice){"a\0b", 3});
    assert_string_equal(buf_text(&out), "=?base64?YQBi?=");
    buf_clear(&out);
    mcp_http_put_value(&out, (struct slice){NULL, 0});
    assert_string_equal(buf_text(&out), "");
    buf_done(&out);
}

/* ---- header fields ---------------------------------------------------------------------- */

static void test_the_fields_of_a_request(void **state)
{
    struct fixture *fixture = *state;
    const struct mcp_param_header params[] = {{SLICE("Region"), SLICE("s\xc3\xa3o paulo")},
                                              {SLICE("Limit"), SLICE("42")},
                                              {SLICE("Empty"), SLICE("")}};
    aim_modern(fixture, "/json");
    struct mcp_outgoing message = request_of(fixture, 1);
    message.name = SLICE("execute_sql");
    message.params = params;
    message.param_count = 3;
    assert_int_equal(send_message(fixture, &message), 0);
    run_until(fixture, &fixture->ended, 1);
    message = request_of(fixture, 2);
    message.method = "tools/list";
    assert_int_equal(send_message(fixture, &message), 0);
    run_until(fixture, &fixture->ended, 2);
    assert_false(fixture->has_failed);
    expect_text(fixture, "1:" RESULT_JSON "\n2:" RESULT_JSON "\n");
    const struct peer_request *seen = &fixture->peer.records[0];
    assert_string_equal(peer_header(seen, "mcp-protocol-version"), "2026-07-28");
    assert_string_equal(peer_header(seen, "mcp-method"), "tools/call");
    assert_string_equal(peer_header(seen, "mcp-name"), "execute_sql");
    assert_string_equal(peer_header(seen, "mcp-param-region"), "=?base64?c8OjbyBwYXVsbw==?=");
    assert_string_equal(peer_header(seen, "mcp-param-limit"), "42");
    assert_string_equal(peer_header(seen, "mcp-param-empty"), "");
    assert_string_equal(peer_header(seen, "accept"), "application/json, text/event-stream");
    assert_string_equal(peer_header(seen, "authorization"), "Bearer s3cret");
    seen = &fixture->peer.records[1];
    assert_string_equal(peer_header(seen, "mcp-method"), "tools/list");
    assert_null(peer_header(seen, "mcp-name"));
    assert_null(strstr(seen->head, "Mcp-Param"));
}

static void test_what_cannot_stand_in_a_header(void **state)
{
    struct fixture *fixture = *state;
    char *large = malloc(70000);
    assert_non_null(large);
    memset(large, 'x', 70000);
    const struct mcp_param_header params[] = {{SLICE("Bad Header"), SLICE("1")},
                                              {SLICE("Large"), {large, 70000}},
                                              {SLICE("Large"), {large, 60000}}};
    aim_modern(fixture, "/json");
    for (unsigned i = 0; i < 3; i++) {
        struct mcp_outgoing message = request_of(fixture, 1);
        message.params = &params[i];
        message.param_count = 1;
        assert_int_equal(send_message(fixture, &message), -ERR_VALIDATION_ERROR);
        expect_failure(fixture, ERR_VALIDATION_ERROR, i ? "bytes" : "Mcp-Param-Bad Header");
    }
    struct mcp_outgoing message = request_of(fixture, 1);
    message.name = (struct slice){large, 70000};
    assert_int_equal(send_message(fixture, &message), -ERR_VALIDATION_ERROR);
    message = request_of(fixture, 0);
    message.kind = MCP_RESPONSE;
    assert_int_equal(send_message(fixture, &message), -ERR_VALIDATION_ERROR);
    message = request_of(fixture, 1); /* nothing of it stays behind */
    assert_int_equal(send_message(fixture, &message), 0);
    run_until(fixture, &fixture->ended, 1);
    assert_int_equal(peer_count(&fixture->peer), 1);
    free(large);
}

/* ---- no session ------------------------------------------------------------------------- */

static void test_no_session_no_stream_no_goodbye(void **state)
{
    struct fixture *fixture = *state;
    aim_modern(fixture, "/session"); /* which gives an id to whom has none */
    for (mcp_token token = 1; token <= 2; token++) {
        assert_int_equal(send_kind(fixture, MCP_REQUEST, token, 5000000), 0);
        run_until(fixture, &fixture->ended, (unsigned)token);
    }
    fixture->transport->ops->listen(fixture->transport, false);
    run_for(fixture, 30000);
    fixture->transport->ops->close(fixture->transport);
    run_until(fixture, &fixture->closed, 1);
    run_for(fixture, 30000);
    assert_int_equal(peer_count(&fixture->peer), 2);
    assert_null(peer_header(&fixture->peer.records[1], "mcp-session-id"));
}

static void test_no_barrier(void **state)
{
    struct fixture *fixture = *state;
    aim_modern(fixture, "/never");
    assert_int_equal(send_kind(fixture, MCP_NOTIFICATION, 0, 30000000), 0);
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 30000000), 0);
    run_until_seen(fixture, 2);
    assert_string_equal(peer_header(&fixture->peer.records[0], "mcp-method"), "tools/call");
    assert_string_equal(peer_header(&fixture->peer.records[1], "mcp-method"), "tools/call");
}

/* A probe, the handshake of a server that turns out to be older, and back again. */
static void test_changes_of_revision(void **state)
{
    struct fixture *fixture = *state;
    static const char *const revisions[] = {"2026-07-28", NULL, "2025-11-25", "2026-07-28",
                                            NULL};
    static const char *const versions[] = {"2026-07-28", NULL, "2025-11-25", "2026-07-28",
                                           NULL};
    static const char *const sessions[] = {NULL, NULL, "abc-1", NULL, NULL};
    aim(fixture, "/session");
    for (unsigned i = 0; i < 5; i++) {
        set_revision(fixture, revisions[i]);
        assert_int_equal(send_kind(fixture, MCP_REQUEST, i + 1, 5000000), 0);
        run_until(fixture, &fixture->ended, i + 1);
        assert_false(fixture->has_failed);
        const struct peer_request *seen = &fixture->peer.records[i];
        const char *value = peer_header(seen, "mcp-protocol-version");
        assert_true(versions[i] ? value && strcmp(value, versions[i]) == 0 : !value);
        value = peer_header(seen, "mcp-session-id");
        assert_true(sessions[i] ? value && strcmp(value, sessions[i]) == 0 : !value);
        value = peer_header(seen, "mcp-method");
        assert_true(versions[i] && strcmp(versions[i], "2026-07-28") == 0 ? value != NULL
                                                                          : !value);
    }
}

/* What probing the era rests on. */
static void test_statuses_of_a_probe(void **state)
{
    static const struct {
        const char *path;
        int64_t status;
        unsigned messages; /* the JSON-RPC body, first */
        bool has_jsonrpc;  /* in the details instead */
    } cases[] = {
        {"/400", 400, 1, false}, {"/401", 401, 0, false}, {"/403", 403, 0, true},
        {"/404", 404, 0, false}, {"/405", 405, 0, false}, {"/406", 406, 1, false},
        {"/415", 415, 0, false}, {"/429", 429, 0, false}, {"/500", 500, 1, false},
        {"/503", 503, 0, false}, {"/cut", 401, 0, false}, {"/endless", 400, 0, false},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aim_modern(fixture, cases[i].path);
        assert_int_equal(send_kind(fixture, MCP_REQUEST, 1, 5000000), 0);
        run_until(fixture, &fixture->ended, 1);
        assert_true(fixture->has_failed);
        assert_false(fixture->is_session_gone);
        assert_int_equal(detail_int(fixture, "http_status"), cases[i].status);
        assert_int_equal(fixture->messages, cases[i].messages);
        assert_int_equal(memmem(fixture->failure.details.data, fixture->failure.details.len,
                                "not you", 7) != NULL,
                         cases[i].has_jsonrpc);
    }
}

/* ---- streams ---------------------------------------------------------------------------- */

static struct mcp_outgoing listen_of(mcp_token token)
{
    return (struct mcp_outgoing){.kind = MCP_REQUEST,
                                 .json = SLICE(REQUEST_JSON),
                                 .token = token,
                                 .deadline = MONO_NEVER,
                                 .method = "subscriptions/listen",
                                 .is_stream = true};
}

/* Subscriptions take none of the places for requests, of which there are two. */
static void test_streams_that_last(void **state)
{
    struct fixture *fixture = *state;
    aim_modern(fixture, "/keep-alive");
    for (mcp_token token = 1; token <= 4; token++) {
        struct mcp_outgoing message = listen_of(token);
        assert_int_equal(send_message(fixture, &message), 0);
    }
    run_until(fixture, &fixture->messages, 4);
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 5, 5000000), 0);
    run_until(fixture, &fixture->messages, 5);
    assert_int_equal(fixture->ended, 0);
    fixture->transport->ops->abandon(fixture->transport, 5);
    for (mcp_token token = 1; token <= 4; token++) {
        fixture->transport->ops->abandon(fixture->transport, token);
    }
    run_until_cut(fixture, 5); /* the server saw */
    assert_int_equal(fixture->ended, 0);
}

/* Hours of comments: nothing counts but the deadline of the request. */
static void test_comments_keep_a_stream(void **state)
{
    struct fixture *fixture = *state;
    aim_modern(fixture, "/keep-alive");
    loop_freeze(fixture->loop);
    struct mcp_outgoing listen = listen_of(1), call = request_of(fixture, 2);
    call.deadline = MONO_NEVER;
    assert_int_equal(send_message(fixture, &listen), 0);
    assert_int_equal(send_message(fixture, &call), 0);
    run_until(fixture, &fixture->messages, 2);
    for (unsigned i = 0; i < 20; i++) {
        loop_advance(fixture->loop, (mono_us)1800 * 1000000);
        run_for(fixture, 5000);
    }
    assert_int_equal(fixture->ended, 0);
}

static void test_the_end_of_a_stream(void **state)
{
    struct fixture *fixture = *state;
    aim_modern(fixture, "/events-many");
    struct mcp_outgoing message = listen_of(1);
    assert_int_equal(send_message(fixture, &message), 0);
    run_until(fixture, &fixture->ended, 1);
    assert_false(fixture->has_failed);
    assert_int_equal(fixture->messages, 2);
    aim_modern(fixture, "/events-left-open"); /* the result, but no end */
    assert_int_equal(send_message(fixture, &message), 0);
    run_until(fixture, &fixture->ended, 1);
    assert_false(fixture->has_failed);
}

/* A stream that breaks is a failure, whatever event ids it gave: there is no resumption. */
static void test_no_resumption(void **state)
{
    struct fixture *fixture = *state;
    aim_modern(fixture, "/with-ids");
    struct mcp_outgoing message = listen_of(1);
    assert_int_equal(send_kind(fixture, MCP_REQUEST, 2, 5000000), 0);
    run_until(fixture, &fixture->ended, 1);
    expect_failure(fixture, ERR_UNAVAILABLE, "before the answer");
    assert_non_null(memmem(fixture->failure.details.data, fixture->failure.details.len,
                           "request_sent\xC3", 13));
    assert_int_equal(send_message(fixture, &message), 0);
    run_until(fixture, &fixture->ended, 2);
    expect_failure(fixture, ERR_UNAVAILABLE, "before the answer");
    run_for(fixture, 300000);
    assert_int_equal(peer_count(&fixture->peer), 2);
}

/* ---- the server ------------------------------------------------------------------------- */

static bool keep_alive(struct fixture *fixture, int fd)
{
    bool is_open = peer_print(fd, SSE_HEAD) && chunk(fd, "data: " NOTE_JSON "\n\n");
    while (is_open) {
        is_open = usleep(2000) == 0 && chunk(fd, ": still here\n\n");
    }
    (void)__atomic_add_fetch(&fixture->cut, 1, __ATOMIC_SEQ_CST);
    return false;
}

static bool answer_modern(struct peer *peer, int fd, const struct peer_request *request)
{
    if (peer_is(request, "POST /keep-alive")) {
        return keep_alive(peer->arg, fd);
    }
    if (peer_is(request, "POST /with-ids")) {
        return peer_print(fd, SSE_HEAD) &&
               chunk(fd, "id: 1\nretry: 1\ndata: " NOTE_JSON "\n\n") &&
               peer_print(fd, "0\r\n\r\n");
    }
    if (peer_is(request, "POST /405")) {
        return peer_reply(fd, "405 Method Not Allowed", "", "");
    }
    if (peer_is(request, "POST /406")) {
        return peer_reply(
            fd, "406 Not Acceptable", "Content-Type: application/json\r\n",
            "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000,\"message\":\"no\"},\"id\":null}");
    }
    if (peer_is(request, "POST /415")) {
        return peer_reply(fd, "415 Unsupported Media Type", "", "");
    }
    if (peer_is(request, "POST /cut")) {
        (void)peer_print(fd, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 99\r\n\r\nhalf");
        return false;
    }
    if (peer_is(request, "POST /endless")) {
        return refuse_without_end(fd);
    }
    return answer(peer, fd, request);
}

static int setup_modern(void **state)
{
    return setup_with(state, answer_modern);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_modern, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        TEST(test_the_fields_of_a_request),
        TEST(test_what_cannot_stand_in_a_header),
        TEST(test_no_session_no_stream_no_goodbye),
        TEST(test_no_barrier),
        TEST(test_changes_of_revision),
        TEST(test_statuses_of_a_probe),
        TEST(test_streams_that_last),
        TEST(test_comments_keep_a_stream),
        TEST(test_the_end_of_a_stream),
        TEST(test_no_resumption),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
