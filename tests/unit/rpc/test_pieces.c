/* SPDX-License-Identifier: MIT */
/* test_pieces.c - long pieces of answers, which are not copied: every byte once and in its place. */
#include "served.h"

#include "loop/block.h"

#define SINK_BYTES ((size_t)64 << 20)

static uint32_t seed;

static uint32_t chance(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static struct block *make_block(size_t len)
{
    struct buf bytes;
    buf_init(&bytes, len + 8);
    while (bytes.len < len) {
        buf_put_byte(&bytes, (uint8_t)chance(256));
    }
    return block_new(fixture.loop, &bytes);
}

/* Sends one request that is kept; gives its pending. */
static struct rpc_pending *ask(int fd, uint32_t msgid)
{
    struct buf frame;
    buf_init(&frame, 100);
    put_request(&frame, msgid, "keep");
    pack_put_array(&frame, 0);
    send_bytes(fd, frame.data, frame.len);
    buf_done(&frame);
    return &fixture.kept[fixture.kept_count - 1];
}

static void expect_head(struct buf *wanted, uint32_t msgid)
{
    pack_put_array(wanted, 4);
    pack_put_uint(wanted, 1);
    pack_put_uint(wanted, msgid);
    pack_put_nil(wanted);
}

/* Answers with an array of small texts and pieces, and appends the same to `wanted`. */
static void answer(struct rpc_pending *pending, struct buf *wanted)
{
    uint32_t parts = chance(5);
    struct buf *out = rpc_pending_result(pending);
    assert_non_null(out);
    expect_head(wanted, pending->msgid);
    pack_put_array(out, parts);
    pack_put_array(wanted, parts);
    for (uint32_t i = 0; i < parts; i++) {
        struct block *block = make_block(1 + chance(chance(2) ? 100000 : 100));
        struct slice piece = buf_slice(&block->bytes);
        size_t cut = chance((uint32_t)piece.len);
        pack_put_text(out, "head");
        pack_put_text(wanted, "head");
        /* Two pieces of one block without a byte between them: they need not be values here. */
        rpc_pending_put(pending, block, (struct slice){piece.ptr, cut});
        rpc_pending_put(pending, block, (struct slice){piece.ptr + cut, piece.len - cut});
        buf_put_slice(wanted, piece);
        assert_int_equal(block->references, cut ? 3 : 2);
        (void)block_unref(block);
    }
    pack_put_text(out, "tail");
    pack_put_text(wanted, "tail");
    rpc_pending_end(pending);
}

static void read_some(int fd, struct buf *sink, size_t most)
{
    assert_true(buf_reserve(sink, most));
    ssize_t n = recv(fd, sink->data + sink->len, most, 0);
    assert_true(n > 0 || (n < 0 && errno == EAGAIN));
    sink->len += n > 0 ? (size_t)n : 0;
}

static void every_byte_in_its_place(void **state)
{
    (void)state;
    struct buf wanted;
    struct buf sink;
    buf_init(&wanted, SINK_BYTES);
    buf_init(&sink, SINK_BYTES);
    for (seed = 1; seed < 40; seed++) {
        uint32_t first = seed;
        int fd = connect_client();
        fixture.kept_count = 0;
        buf_clear(&wanted);
        buf_clear(&sink);
        for (uint32_t i = 0; i < 12; i++) {
            answer(ask(fd, i), &wanted);
            if (chance(3)) {
                turns(1);
                read_some(fd, &sink, 1 + chance(200000));
            }
        }
        for (int i = 0; i < 10000 && sink.len < wanted.len; i++) {
            turns(1);
            read_some(fd, &sink, 1 + chance(300000));
        }
        assert_true(slice_equal(buf_slice(&sink), buf_slice(&wanted)));
        (void)close(fd);
        turns(3);
        seed = first;
    }
    buf_done(&wanted);
    buf_done(&sink);
}

static void one_that_is_too_long_is_an_error_of_its_call(void **state)
{
    (void)state;
    struct answer got;
    int fd = connect_client();
    struct block *block = make_block(fixture.limits.reply_bytes - 5);
    for (size_t len = block->bytes.len; len > block->bytes.len - 8; len -= 4) {
        struct rpc_pending *pending = ask(fd, 5);
        struct buf *out = rpc_pending_result(pending);
        pack_put_array(out, 1);
        rpc_pending_put(pending, block, (struct slice){block->bytes.data, len});
        pack_put_text(out, "behind it");
        rpc_pending_end(pending);
        assert_int_equal(block->references, 1);
        expect_answer(fd, &got);
        assert_string_equal(got.code, "OVERLOADED");
    }
    block = block_unref(block);
    (void)close(fd);
    expect_served();
}

/* As much as fits waits; one more, and who does not read is dropped with all of it. */
static void who_does_not_read_is_dropped(void **state)
{
    (void)state;
    int fd = connect_client();
    struct block *block = make_block(900000);
    for (uint32_t i = 0; i < 10; i++) { /* asked before any is answered: then nothing is read */
        (void)ask(fd, i);
    }
    unsigned answered = 0;
    for (; answered < 10 && !fixture.metrics.value[METRIC_PEERS_DROPPED]; answered++) {
        struct rpc_pending *pending = &fixture.kept[answered];
        struct buf *out = rpc_pending_result(pending);
        assert_non_null(out);
        rpc_pending_put(pending, block, buf_slice(&block->bytes));
        rpc_pending_end(pending);
        turns(1);
    }
    assert_in_range(answered, 5, 7); /* 4 MiB, and what the socket holds */
    turns(2);
    assert_int_equal(rpc_server_connections(fixture.server), 0);
    assert_int_equal(block->references, 1);
    block = block_unref(block);
    (void)close(fd);
    expect_served();
}

static void who_leaves_takes_it_along(void **state)
{
    (void)state;
    struct block *block = make_block(900000);
    for (int i = 0; i < 3; i++) {
        int fd = connect_client();
        struct rpc_pending *pending = ask(fd, 1);
        (void)rpc_pending_result(pending);
        rpc_pending_put(pending, block, buf_slice(&block->bytes));
        rpc_pending_end(pending);
        turns((unsigned)i);
        (void)close(fd);
        turns(3);
        assert_int_equal(rpc_server_connections(fixture.server), 0);
        assert_int_equal(block->references, 1);
    }
    block = block_unref(block);
}

/* One turn writes a bounded part, however fast it is read. */
static void others_have_their_turn(void **state)
{
    (void)state;
    struct buf sink;
    struct answer got;
    static const char ping[] = "\x94\x00\x07\xa4"
                               "echo\x90";
    int fd = connect_client();
    int other = connect_client();
    struct block *block = make_block(1000000);
    struct rpc_pending *pending = ask(fd, 1);
    buf_init(&sink, SINK_BYTES);
    (void)rpc_pending_result(pending);
    rpc_pending_put(pending, block, buf_slice(&block->bytes));
    rpc_pending_end(pending);
    block = block_unref(block);
    turns(1);
    read_some(fd, &sink, SINK_BYTES / 2);
    assert_in_range(sink.len, 1, 600000);
    send_bytes(other, ping, sizeof ping - 1);
    expect_answer(other, &got);
    for (int i = 0; i < 100 && sink.len < 1000006; i++) {
        turns(1);
        read_some(fd, &sink, 1000000);
    }
    assert_in_range(sink.len, 1000001, 1000010);
    buf_done(&sink);
    (void)close(fd);
    (void)close(other);
}

/* The frame's memory is the handler's from then on; frames before and behind it are not harmed. */
static void a_long_frame_can_be_kept(void **state)
{
    (void)state;
    for (seed = 1; seed < 30; seed++) {
        uint32_t first = seed;
        size_t len = 200000 + chance(400000);
        uint32_t behind = chance(4);
        struct block *text = make_block(len);
        struct buf frames;
        char answers[4096];
        size_t got = 0;
        int fd = connect_client();
        buf_init(&frames, 1u << 20);
        put_request(&frames, 1, "echo");
        pack_put_array(&frames, 0);
        put_request(&frames, 2, "lend");
        pack_put_array(&frames, 1);
        pack_put_map(&frames, 1);
        pack_put_text(&frames, "");
        pack_put_bin(&frames, buf_slice(&text->bytes));
        for (uint32_t i = 0; i < behind; i++) {
            put_request(&frames, 3 + i, "echo");
            pack_put_array(&frames, 0);
        }
        for (size_t at = 0, n; at < frames.len; at += n) {
            n = 1 + chance(150000);
            n = n < frames.len - at ? n : frames.len - at;
            send_bytes(fd, frames.data + at, n);
        }
        for (int i = 0; i < 20; i++) {
            ssize_t n = receive(fd, answers + got, sizeof answers - got);
            assert_true(n >= 0);
            got += (size_t)n;
        }
        struct pack cursor = pack_over((struct slice){answers, got});
        struct slice one;
        unsigned count = 0;
        while (pack_take(&cursor, &one)) {
            count++;
        }
        assert_int_equal(count, 2 + behind);
        assert_int_equal(fixture.lent != NULL, len > 262144);
        if (fixture.lent) {
            assert_true(fixture.lent_params.len > len);
            assert_memory_equal(fixture.lent_params.ptr + fixture.lent_params.len - len,
                                text->bytes.data, len);
            assert_int_equal(fixture.lent->references, 1);
            fixture.lent = block_unref(fixture.lent);
        }
        (void)block_unref(text);
        buf_done(&frames);
        (void)close(fd);
        turns(2);
        seed = first;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_byte_in_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_is_too_long_is_an_error_of_its_call, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(who_does_not_read_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(who_leaves_takes_it_along, setup, teardown),
        cmocka_unit_test_setup_teardown(others_have_their_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_frame_can_be_kept, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
