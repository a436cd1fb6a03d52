/* SPDX-License-Identifier: MIT */
/* test_flow.c - how much may wait for a client, what is throttled, and who may call what. */
#include "served.h"

#define SINK_BYTES (8u << 20)

static void ask(struct buf *frames, uint32_t msgid, const char *method, int64_t size)
{
    put_request(frames, msgid, method);
    pack_put_array(frames, 1);
    pack_put_map(frames, size >= 0);
    if (size >= 0) {
        pack_put_key_int(frames, "size", size);
    }
}

/* Reads at most `most` bytes to the end of `sink`. */
static void read_some(int fd, struct buf *sink, size_t most)
{
    assert_true(buf_reserve(sink, most));
    ssize_t n = recv(fd, sink->data + sink->len, most, 0);
    assert_true(n > 0 || (n < 0 && errno == EAGAIN)); /* not closed */
    sink->len += n > 0 ? (size_t)n : 0;
}

/* How many whole messages there are; they are dropped. */
static unsigned count_messages(struct buf *sink)
{
    struct pack cursor = pack_over(buf_slice(sink));
    struct slice message;
    unsigned count = 0;
    size_t len = 0;
    while (pack_take(&cursor, &message)) {
        len += message.len;
        count++;
    }
    buf_consume(sink, len);
    return count;
}

/* Something always waits, and it is read all the time: after many times what may wait, the client
 * is still there. */
static void a_slow_reader_is_not_dropped(void **state)
{
    struct buf frames;
    struct buf sink;
    unsigned sent = 0;
    unsigned got = 0;
    (void)state;
    int fd = connect_client();
    buf_init(&frames, 65536);
    buf_init(&sink, SINK_BYTES);
    while (got < 100) {
        for (; sent < got + 4 && sent < 100; sent++) {
            buf_clear(&frames);
            ask(&frames, sent, "large", 400000);
            send_bytes(fd, frames.data, frames.len);
        }
        read_some(fd, &sink, 100000);
        turns(1);
        got += count_messages(&sink);
    }
    assert_int_equal(fixture.metrics.value[METRIC_PEERS_DROPPED], 0);
    buf_done(&frames);
    buf_done(&sink);
    (void)close(fd);
}

/* Requests of one write whose answers are longer than what may wait: throttled, none lost. */
static void pipelined_requests_wait_for_their_reader(void **state)
{
    struct buf frames;
    struct buf sink;
    unsigned got = 0;
    (void)state;
    int fd = connect_client();
    buf_init(&frames, 65536);
    buf_init(&sink, SINK_BYTES);
    for (uint32_t i = 0; i < 100; i++) {
        ask(&frames, i, "large", 200000);
    }
    send_bytes(fd, frames.data, frames.len);
    turns(5);
    unsigned begun = (unsigned)fixture.metrics.value[METRIC_REQUESTS];
    assert_true(begun < 20); /* a quarter of 4 MiB, and what the socket itself holds */
    for (unsigned i = 0; i < 10000 && got < 100; i++) {
        read_some(fd, &sink, 50000);
        turns(1);
        got += count_messages(&sink);
    }
    assert_int_equal(got, 100);
    assert_int_equal(fixture.metrics.value[METRIC_PEERS_DROPPED], 0);
    buf_done(&frames);
    buf_done(&sink);
    (void)close(fd);
    expect_served();
}

/* Whoever leaves while requests wait takes them along. */
static void a_throttled_client_may_leave(void **state)
{
    struct buf frames;
    (void)state;
    int fd = connect_client();
    buf_init(&frames, 65536);
    for (uint32_t i = 0; i < 100; i++) {
        ask(&frames, i, "large", 200000);
    }
    send_bytes(fd, frames.data, frames.len);
    (void)close(fd);
    turns(5);
    assert_int_equal(rpc_server_connections(fixture.server), 0);
    buf_done(&frames);
}

/* The result, not the client, is what is wrong. */
static void a_result_longer_than_the_buffer_is_an_error_of_its_call(void **state)
{
    struct answer answer;
    struct buf frames;
    (void)state;
    fixture.limits.reply_bytes = 1u << 30;
    fixture.limits.peer_buffer_bytes = 65536;
    int fd = connect_client();
    buf_init(&frames, 65536);
    ask(&frames, 5, "large", 1000000);
    send_bytes(fd, frames.data, frames.len);
    expect_answer(fd, &answer);
    assert_string_equal(answer.code, "OVERLOADED");
    buf_done(&frames);
    (void)close(fd);
    turns(2);
    assert_int_equal(fixture.metrics.value[METRIC_PEERS_DROPPED], 0);
}

/* The ceiling holds, too, where the buffer has room because it was larger once. */
static void a_larger_buffer_does_not_raise_the_ceiling(void **state)
{
    struct buf frames;
    struct buf sink;
    (void)state;
    fixture.limits.reply_bytes = 1000000;
    int fd = connect_client();
    buf_init(&frames, 65536);
    buf_init(&sink, SINK_BYTES);
    ask(&frames, 1, "large", 900000);
    ask(&frames, 2, "keep", -1);
    send_bytes(fd, frames.data, frames.len);
    fixture.limits.reply_bytes = 10000;
    struct buf *out = rpc_pending_result(&fixture.kept[0]);
    char *zeros = mem_new(50000);
    pack_put_bin(out, (struct slice){zeros, 50000});
    rpc_pending_end(&fixture.kept[0]);
    for (unsigned i = 0; i < 100; i++) {
        read_some(fd, &sink, 100000);
        turns(1);
    }
    assert_true(sink.len > 900000 && sink.len < 900000 + 10000);
    mem_free(zeros);
    buf_done(&frames);
    buf_done(&sink);
    (void)close(fd);
}

/* Whatever is too long, a request is answered. */
static void an_error_is_told_also_where_it_is_too_long(void **state)
{
    static const size_t buffers[] = {65536, 4u << 20};
    (void)state;
    fixture.limits.reply_bytes = 4096;
    for (size_t i = 0; i < 2; i++) {
        static char bytes[100000];
        struct slice message = {NULL, 0};
        struct slice error = {NULL, 0};
        struct slice code = {NULL, 0};
        struct buf frames;
        fixture.limits.peer_buffer_bytes = buffers[i];
        int fd = connect_client();
        buf_init(&frames, 65536);
        ask(&frames, 1, "fail", -1);
        send_bytes(fd, frames.data, frames.len);
        ssize_t n = receive(fd, bytes, sizeof bytes);
        assert_true(n > 0);
        struct pack cursor = pack_over((struct slice){bytes, (size_t)n});
        struct pack inner = cursor;
        struct pack_item item;
        assert_true(pack_take(&cursor, &message) && cursor.at == cursor.end);
        assert_true(pack_next(&inner, &item) && pack_skip(&inner) && pack_skip(&inner));
        assert_true(pack_take(&inner, &error) && pack_get_text(error, "code", &code));
        assert_true(slice_is(code, "INTERNAL"));
        buf_done(&frames);
        (void)close(fd);
        turns(2);
    }
}

/* ---- roles ------------------------------------------------------------------------------------ */

static void expect_code(int fd, const char *method, const char *code)
{
    struct answer answer;
    struct buf frames;
    buf_init(&frames, 65536);
    ask(&frames, 1, method, -1);
    send_bytes(fd, frames.data, frames.len);
    expect_answer(fd, &answer);
    assert_string_equal(answer.code, code);
    buf_done(&frames);
}

static void who_is_not_trusted_is_told_little(void **state)
{
    (void)state;
    int fd = connect_client();
    expect_code(fd, "rule", "");
    expect_code(fd, "distrust", "");
    expect_code(fd, "hello", "");
    expect_code(fd, "echo", "POLICY_DENIED");
    expect_code(fd, "rule", "POLICY_DENIED");
    (void)close(fd);
    expect_served();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_slow_reader_is_not_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(pipelined_requests_wait_for_their_reader, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_throttled_client_may_leave, setup, teardown),
        cmocka_unit_test_setup_teardown(a_result_longer_than_the_buffer_is_an_error_of_its_call,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_larger_buffer_does_not_raise_the_ceiling, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_error_is_told_also_where_it_is_too_long, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(who_is_not_trusted_is_told_little, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
