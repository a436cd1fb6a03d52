/* SPDX-License-Identifier: MIT */
/* test_rpc.c - a real Unix socket, a real loop, and every way to send a frame right or wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "rpc/rpc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define KEPT_MAX 512

static struct fixture {
    struct loop *loop;
    struct rpc_server *server;
    struct rpc_limits limits;
    struct metrics metrics;
    struct sockaddr_un address;
    struct rpc_pending kept[KEPT_MAX];
    unsigned kept_count, cancelled_count, gone_count;
    char folder[64];
} fixture;

/* ---- methods under test ----------------------------------------------------------------------- */

static void handle_echo(void *arg, struct rpc_request *request)
{
    struct buf *out = rpc_result(request);
    (void)arg;
    if (request->args[0].given) {
        buf_put_slice(out, request->args[0].text);
    } else {
        pack_put_map(out, 0);
    }
    rpc_result_end(request);
}

static void kept_cancelled(struct rpc_pending *pending)
{
    fixture.cancelled_count++;
    if (!pending->peer) {
        fixture.gone_count++;
        return;
    }
    struct failure failure = {0};
    failure_set(&failure, ERR_CANCELLED, "cancelled");
    rpc_pending_fail(pending, &failure);
    failure_done(&failure);
}

static void handle_keep(void *arg, struct rpc_request *request)
{
    (void)arg;
    assert_true(fixture.kept_count < KEPT_MAX);
    rpc_keep(request, &fixture.kept[fixture.kept_count++], kept_cancelled);
}

static void handle_typed(void *arg, struct rpc_request *request)
{
    struct buf *out = rpc_result(request);
    (void)arg;
    pack_put_int(out, request->args[1].number);
    rpc_result_end(request);
}

static void handle_large(void *arg, struct rpc_request *request)
{
    size_t size = (size_t)request->args[0].number;
    struct buf *out = rpc_result(request);
    char *zeros = mem_new(size);
    (void)arg;
    pack_put_bin(out, (struct slice){zeros, size});
    mem_free(zeros);
    rpc_result_end(request);
}

#define NAME(text)               \
    {                            \
        (text), sizeof(text) - 1 \
    }

static const struct rpc_param any_params[] = {{NAME(""), RPC_ANY, false, NULL, ""}};
static const struct rpc_param typed_params[] = {
    {NAME("name"), RPC_TEXT, true, NULL, ""},
    {{"count", sizeof("count") - 1}, RPC_INT, false, NULL, ""},
    {NAME("flag"), RPC_BOOL, false, NULL, ""},
    {{"map", sizeof("map") - 1}, RPC_MAP, false, NULL, ""},
    {NAME("format"), RPC_TEXT, false, "mcp|human", ""},
};
static const struct rpc_param size_params[] = {{NAME("size"), RPC_INT, true, NULL, ""}};
static const struct rpc_method methods[] = {
    {"echo", "", any_params, 1, RPC_CLIENT, handle_echo, "{}"},
    {"keep", "", NULL, 0, RPC_CLIENT, handle_keep, "{}"},
    {"typed", "", typed_params, 5, RPC_CLIENT, handle_typed, "{}"},
    {"large", "", size_params, 1, RPC_CLIENT, handle_large, "{}"},
};

/* ---- fixture and client ------------------------------------------------------------------------ */

static int setup(void **state)
{
    (void)state;
    memset(&fixture, 0, sizeof fixture);
    fixture.limits = (struct rpc_limits){
        .frame = {.bytes = 1u << 20, .depth = 32, .items = 10000},
        .reply_bytes = 1u << 20,
        .peer_buffer_bytes = 4u << 20,
        .connections = 100,
        .connections_per_uid = 100,
        .inflight = 16,
    };
    fixture.loop = loop_new();
    fixture.server = rpc_server_new(&(struct rpc_options){
        .loop = fixture.loop,
        .limits = &fixture.limits,
        .methods = methods,
        .method_count = sizeof methods / sizeof methods[0],
        .metrics = &fixture.metrics,
    });
    (void)snprintf(fixture.folder, sizeof fixture.folder, "/tmp/test_rpc.XXXXXX");
    assert_non_null(mkdtemp(fixture.folder));
    fixture.address.sun_family = AF_UNIX;
    (void)snprintf(fixture.address.sun_path, sizeof fixture.address.sun_path, "%s/s",
                   fixture.folder);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&fixture.address, sizeof fixture.address), 0);
    assert_int_equal(listen(fd, 64), 0);
    rpc_server_listen(fixture.server, fd);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rpc_server_free(fixture.server);
    loop_free(fixture.loop);
    (void)unlink(fixture.address.sun_path);
    (void)rmdir(fixture.folder);
    return 0;
}

static void turns(unsigned count)
{
    while (count--) {
        loop_turn(fixture.loop, 0);
    }
}

static int connect_client(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&fixture.address, sizeof fixture.address),
                     0);
    turns(2);
    return fd;
}

static void send_bytes(int fd, const void *bytes, size_t len)
{
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
    turns(3);
}

/* What the server has sent so far, up to `room`; -1 when it closed. */
static ssize_t receive(int fd, char *to, size_t room)
{
    turns(2);
    ssize_t n = recv(fd, to, room, 0);
    return n < 0 && errno == EAGAIN ? 0 : n == 0 ? -1 : n;
}

static void put_request(struct buf *out, uint32_t msgid, const char *method)
{
    pack_put_array(out, 4);
    pack_put_uint(out, 0);
    pack_put_uint(out, msgid);
    pack_put_text(out, method);
}

struct answer {
    uint64_t msgid;
    char code[40]; /* empty: a result */
    struct slice error, result;
    char bytes[8192];
};

/* The next answer, which must be the only thing there. */
static void expect_answer(int fd, struct answer *ret)
{
    struct pack_item item;
    struct slice code;
    ssize_t n = receive(fd, ret->bytes, sizeof ret->bytes);
    assert_true(n > 0);
    struct pack cursor = pack_over((struct slice){ret->bytes, (size_t)n});
    assert_true(pack_next(&cursor, &item) && item.type == PACK_ARRAY && item.count == 4);
    assert_true(pack_next(&cursor, &item) && item.u == 1);
    assert_true(pack_next(&cursor, &item) && pack_as_uint(&item, &ret->msgid));
    assert_true(pack_take(&cursor, &ret->error));
    assert_true(pack_take(&cursor, &ret->result));
    assert_true(cursor.at == cursor.end);
    ret->code[0] = '\0';
    if (pack_get_text(ret->error, "code", &code)) {
        (void)snprintf(ret->code, sizeof ret->code, "%.*s", SLICE_ARG(code));
    }
}

static void expect_closed(int fd)
{
    char bytes[4096];
    ssize_t n;
    while ((n = receive(fd, bytes, sizeof bytes)) > 0) {
    }
    assert_int_equal(n, -1);
    (void)close(fd);
}

/* A fresh client is served: nothing that another did harmed the server. */
static void expect_served(void)
{
    static const char ping[] = "\x94\x00\x07\xa4"
                               "echo\x90";
    struct answer answer;
    int fd = connect_client();
    send_bytes(fd, ping, sizeof ping - 1);
    expect_answer(fd, &answer);
    assert_int_equal(answer.msgid, 7);
    assert_string_equal(answer.code, "");
    (void)close(fd);
    turns(2);
}

/* ---- tests --------------------------------------------------------------------------------------- */

static void test_echo_one_byte_at_a_time(void **state)
{
    struct buf frame;
    struct answer answer;
    int fd = connect_client();
    (void)state;
    buf_init(&frame, 4096);
    put_request(&frame, 4294967295u, "echo");
    pack_put_array(&frame, 1);
    pack_put_map(&frame, 1);
    pack_put_key_text(&frame, "clave", "valor ñ");
    for (size_t i = 0; i < frame.len; i++) {
        send_bytes(fd, frame.data + i, 1);
    }
    expect_answer(fd, &answer);
    assert_int_equal(answer.msgid, 4294967295u);
    struct slice value;
    assert_true(pack_get_text(answer.result, "clave", &value));
    assert_true(slice_is(value, "valor ñ"));
    buf_done(&frame);
    (void)close(fd);
}

static void test_pipelined_and_split(void **state)
{
    struct buf frames;
    char bytes[65536];
    int fd = connect_client();
    (void)state;
    buf_init(&frames, 1u << 20);
    for (uint32_t i = 0; i < 1000; i++) {
        put_request(&frames, i, "echo");
        pack_put_array(&frames, 0);
    }
    size_t half = frames.len / 2 + 3;
    send_bytes(fd, frames.data, half);
    send_bytes(fd, frames.data + half, frames.len - half);
    ssize_t n = receive(fd, bytes, sizeof bytes);
    assert_true(n > 0);
    struct pack cursor = pack_over((struct slice){bytes, (size_t)n});
    for (uint32_t i = 0; i < 1000; i++) {
        struct pack_item item;
        uint64_t msgid;
        assert_true(pack_next(&cursor, &item) && item.count == 4);
        assert_true(pack_skip(&cursor) && pack_next(&cursor, &item));
        assert_true(pack_as_uint(&item, &msgid));
        assert_int_equal(msgid, i);
        assert_true(pack_skip(&cursor) && pack_skip(&cursor));
    }
    assert_true(cursor.at == cursor.end);
    buf_done(&frames);
    (void)close(fd);
}

static void test_every_width_of_msgid(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        uint64_t msgid;
    } widths[] = {
        {"\x05", 1, 5},
        {"\xcc\x05", 2, 5},
        {"\xcd\x00\x05", 3, 5},
        {"\xce\xff\xff\xff\xff", 5, 4294967295u},
        {"\xcf\x00\x00\x00\x00\x00\x00\x00\x05", 9, 5},
        {"\xd0\x05", 2, 5},
        {"\xd2\x00\x00\x00\x05", 5, 5},
        {"\xd3\x00\x00\x00\x00\x00\x00\x00\x05", 9, 5},
        {"\xcb\x40\x14\x00\x00\x00\x00\x00\x00", 9, 5}, /* 5.0 */
    };
    (void)state;
    int fd = connect_client();
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        struct buf frame;
        struct answer answer;
        buf_init(&frame, 4096);
        buf_put(&frame, "\x94\x00", 2);
        buf_put(&frame, widths[i].bytes, widths[i].len);
        buf_put(&frame,
                "\xa4"
                "echo\x90",
                6);
        send_bytes(fd, frame.data, frame.len);
        expect_answer(fd, &answer);
        assert_int_equal(answer.msgid, widths[i].msgid);
        buf_done(&frame);
    }
    (void)close(fd);
}

/* Frames that end their connection; `answered`: with an error that carries msgid 9 first. */
static void test_malformed_frames(void **state)
{
    static const struct {
        const char *name, *bytes;
        size_t len;
        bool answered;
    } cases[] = {
        {"no array", "\x01", 1, false},
        {"a map", "\x81\x00\x01", 3, false},
        {"a byte that is no MessagePack", "\xc1", 1, false},
        {"an empty array", "\x90", 1, false},
        {"array of 4 billion", "\xdd\xff\xff\xff\xff", 5, false},
        {"map of 4 billion",
         "\x94\x00\x09\xa4"
         "echo\x91\xdf\xff\xff\xff\xff",
         14, true},
        {"text of 4 billion", "\x94\x00\x09\xdb\xff\xff\xff\xff", 8, true},
        {"kind 3",
         "\x94\x03\x09\xa4"
         "echo\x90",
         9, false},
        {"kind is text",
         "\x94\xa1x\x09\xa4"
         "echo\x90",
         10, false},
        {"msgid negative",
         "\x94\x00\xff\xa4"
         "echo\x90",
         9, false},
        {"msgid 2^32",
         "\x94\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xa4"
         "echo\x90",
         17, false},
        {"msgid 1.5",
         "\x94\x00\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xa4"
         "echo\x90",
         17, false},
        {"msgid text",
         "\x94\x00\xa1x\xa4"
         "echo\x90",
         10, false},
        {"method is a number", "\x94\x00\x09\x07\x90", 5, true},
        {"three elements",
         "\x93\x00\x09\xa4"
         "echo",
         8, false},
        {"five elements",
         "\x95\x00\x09\xa4"
         "echo\x90\x90",
         10, false},
        {"garbage behind",
         "\x94\x00\x09\xa4"
         "echo\x90\xc1\xc1",
         11, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("%s\n", cases[i].name);
        int fd = connect_client();
        send_bytes(fd, cases[i].bytes, cases[i].len);
        if (cases[i].answered) {
            struct answer answer;
            expect_answer(fd, &answer);
            assert_int_equal(answer.msgid, 9);
        }
        expect_closed(fd);
        expect_served();
    }
    assert_int_equal(rpc_server_connections(fixture.server), 0);
}

static void test_too_deep_and_too_long(void **state)
{
    struct buf frame;
    struct answer answer;
    (void)state;
    buf_init(&frame, 1u << 20);
    put_request(&frame, 9, "echo");
    for (int i = 0; i < 1000; i++) {
        pack_put_array(&frame, 1);
    }
    pack_put_nil(&frame);
    int fd = connect_client();
    send_bytes(fd, frame.data, frame.len);
    expect_answer(fd, &answer);
    assert_string_equal(answer.code, "OVERLOADED");
    expect_closed(fd);
    buf_clear(&frame);
    put_request(&frame, 9, "echo");
    pack_put_array(&frame, 1);
    pack_put_map(&frame, 1);
    pack_put_text(&frame, "x");
    buf_put(&frame, "\xc6\x00\x20\x00\x00", 5); /* bin of 2 MiB, of which nothing comes */
    fd = connect_client();
    send_bytes(fd, frame.data, frame.len);
    expect_answer(fd, &answer);
    assert_string_equal(answer.code, "OVERLOADED");
    expect_closed(fd);
    buf_done(&frame);
    expect_served();
}

/* Mistakes that are of one request alone: the connection goes on. */
static void test_bad_params(void **state)
{
    static const struct {
        const char *method, *params;
        size_t len;
        const char *code;
    } cases[] = {
        {"typed", "\x01", 1, "INVALID_REQUEST"},
        {"typed", "\x80", 1, "INVALID_REQUEST"},
        {"typed", "\x91\x05", 2, "INVALID_REQUEST"},
        {"typed", "\x92\x80\x80", 3, "INVALID_REQUEST"},
        {"typed", "\x90", 1, "INVALID_REQUEST"}, /* `name` is missing */
        {"typed", "\x91\x81\xa4name\x05", 8, "INVALID_REQUEST"},
        {"typed", "\x91\x81\xa4name\xa2\xc3\x28", 10, "INVALID_REQUEST"}, /* not UTF-8 */
        {"typed", "\x91\x81\xa4nane\xa1x", 9, "INVALID_REQUEST"},
        {"typed", "\x91\x82\xa4name\xa1x\xa4name\xa1y", 16, "INVALID_REQUEST"},
        {"typed",
         "\x91\x82\xa4name\xa1x\xa5"
         "count\xa1y",
         17, "INVALID_REQUEST"},
        {"typed",
         "\x91\x82\xa4name\xa1x\xa4"
         "flag\x01",
         15, "INVALID_REQUEST"},
        {"typed", "\x91\x82\xa4name\xa1x\xa3map\x90", 14, "INVALID_REQUEST"},
        {"typed",
         "\x91\x82\xa4name\xa1x\xa6"
         "format\xa3pdf",
         20, "INVALID_REQUEST"},
        {"typed", "\x91\x81\x01\x02", 4, "INVALID_REQUEST"},
        {"eco", "\x90", 1, "METHOD_NOT_FOUND"},
        {"\xc3\x28", "\x90", 1, "INVALID_REQUEST"},
        {"echo", "\x91\xc0", 2, ""},
        {"typed",
         "\x91\x82\xa4name\xa1x\xa5"
         "count\xcb\x40\x14\x00\x00\x00\x00\x00\x00",
         24, ""},
        {"typed",
         "\x91\x82\xa4name\xa1x\xa4"
         "flag\xc0",
         15, ""},
    };
    (void)state;
    int fd = connect_client();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf frame;
        struct answer answer;
        buf_init(&frame, 4096);
        put_request(&frame, (uint32_t)i, cases[i].method);
        buf_put(&frame, cases[i].params, cases[i].len);
        send_bytes(fd, frame.data, frame.len);
        print_message("case %zu\n", i);
        expect_answer(fd, &answer);
        assert_int_equal(answer.msgid, i);
        assert_string_equal(answer.code, cases[i].code);
        buf_done(&frame);
    }
    (void)close(fd);
}

static void test_error_has_exactly_its_keys(void **state)
{
    struct buf frame;
    struct answer answer;
    struct slice value;
    struct pack_item item;
    (void)state;
    int fd = connect_client();
    buf_init(&frame, 4096);
    put_request(&frame, 1, "ecko");
    pack_put_array(&frame, 0);
    send_bytes(fd, frame.data, frame.len);
    expect_answer(fd, &answer);
    assert_string_equal(answer.code, "METHOD_NOT_FOUND");
    assert_true(pack_get_text(answer.error, "suggestion", &value));
    assert_true(slice_starts(value, "Did you mean `echo`?"));
    assert_true(pack_get_text(answer.error, "request_id", &value));
    assert_int_equal(value.len, 16);
    assert_true(pack_get_text(answer.error, "message", &value));
    assert_true(pack_get_text(answer.error, "user_message", &value));
    struct pack cursor = pack_over(answer.error);
    assert_true(pack_next(&cursor, &item));
    assert_int_equal(item.count, 6);
    buf_done(&frame);
    (void)close(fd);
}

static void test_cancel_and_disconnect(void **state)
{
    static const char cancel_one[] = "\x93\x02\xa6"
                                     "cancel\x91\x81\xa5msgid\x01";
    struct buf frames;
    struct answer answer;
    (void)state;
    int fd = connect_client();
    buf_init(&frames, 4096);
    for (uint32_t i = 0; i < 3; i++) {
        put_request(&frames, i, "keep");
        pack_put_array(&frames, 0);
    }
    send_bytes(fd, frames.data, frames.len);
    assert_int_equal(fixture.kept_count, 3);
    send_bytes(fd, cancel_one, sizeof cancel_one - 1);
    expect_answer(fd, &answer);
    assert_int_equal(answer.msgid, 1);
    assert_string_equal(answer.code, "CANCELLED");
    struct buf *out = rpc_pending_result(&fixture.kept[2]);
    assert_non_null(out);
    pack_put_bool(out, true);
    rpc_pending_end(&fixture.kept[2]);
    expect_answer(fd, &answer);
    assert_int_equal(answer.msgid, 2);
    (void)close(fd);
    turns(3);
    assert_int_equal(fixture.gone_count, 1);
    assert_null(rpc_pending_result(&fixture.kept[0]));
    buf_done(&frames);
}

static void test_inflight_limit(void **state)
{
    struct buf frames;
    struct answer answer;
    (void)state;
    int fd = connect_client();
    buf_init(&frames, 65536);
    for (uint32_t i = 0; i <= fixture.limits.inflight; i++) {
        put_request(&frames, i, "keep");
        pack_put_array(&frames, 0);
    }
    send_bytes(fd, frames.data, frames.len);
    expect_answer(fd, &answer);
    assert_int_equal(answer.msgid, fixture.limits.inflight);
    assert_string_equal(answer.code, "OVERLOADED");
    buf_done(&frames);
    (void)close(fd);
    turns(2);
}

static void test_connection_limit(void **state)
{
    char bytes[1024];
    (void)state;
    fixture.limits.connections = 1;
    int first = connect_client();
    int second = connect_client();
    assert_true(receive(second, bytes, sizeof bytes) > 0);
    expect_closed(second);
    (void)close(first);
    turns(3);
    expect_served();
}

static void request_large(int fd, uint32_t msgid, int64_t size)
{
    struct buf frame;
    buf_init(&frame, 4096);
    put_request(&frame, msgid, "large");
    pack_put_array(&frame, 1);
    pack_put_map(&frame, 1);
    pack_put_key_int(&frame, "size", size);
    send_bytes(fd, frame.data, frame.len);
    buf_done(&frame);
}

static void test_reply_too_long(void **state)
{
    struct answer answer;
    (void)state;
    int fd = connect_client();
    request_large(fd, 3, 2 << 20);
    expect_answer(fd, &answer);
    assert_int_equal(answer.msgid, 3);
    assert_string_equal(answer.code, "OVERLOADED");
    (void)close(fd);
}

/* A client that never reads is first not read from any more, then, as answers of calls under way
 * come in, dropped. */
static void test_peer_that_does_not_read(void **state)
{
    (void)state;
    fixture.limits.inflight = KEPT_MAX;
    int fd = connect_client();
    struct buf frames;
    buf_init(&frames, 1u << 20);
    for (uint32_t i = 0; i < 32; i++) {
        put_request(&frames, i, "keep");
        pack_put_array(&frames, 0);
    }
    send_bytes(fd, frames.data, frames.len);
    char *zeros = mem_new(512u << 10);
    unsigned answered = 0;
    for (; answered < 32; answered++) {
        struct buf *out = rpc_pending_result(&fixture.kept[answered]);
        if (!out) {
            break;
        }
        pack_put_bin(out, (struct slice){zeros, 512u << 10});
        rpc_pending_end(&fixture.kept[answered]);
        turns(1);
    }
    assert_true(answered > 4 && answered < 32);
    assert_int_equal(fixture.metrics.value[METRIC_PEERS_DROPPED], 1);
    turns(2);
    assert_int_equal(rpc_server_connections(fixture.server), 0);
    mem_free(zeros);
    buf_done(&frames);
    (void)close(fd);
    expect_served();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_echo_one_byte_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipelined_and_split, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_width_of_msgid, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_deep_and_too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_params, setup, teardown),
        cmocka_unit_test_setup_teardown(test_error_has_exactly_its_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_and_disconnect, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inflight_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connection_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reply_too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer_that_does_not_read, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
