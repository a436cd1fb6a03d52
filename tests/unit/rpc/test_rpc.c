/* SPDX-License-Identifier: MIT */
/* test_rpc.c - a real Unix socket, a real loop, and every way to send a frame right or wrong. */
#include "served.h"

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
         8, true},
        {"five elements",
         "\x95\x00\x09\xa4"
         "echo\x90\x90",
         10, true},
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
