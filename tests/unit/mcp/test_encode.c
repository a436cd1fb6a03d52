/* SPDX-License-Identifier: MIT */
/* test_encode.c - long arguments: written by a thread, whatever ends meanwhile. */
#include "fake.h"

#include "loop/block.h"
#include "loop/work.h"

#define LONG     ((size_t)1 << 20)
#define WAIT_US  20000
#define PATIENCE 500

static void turn_until_sent(struct bench *bench, const struct fake *fake, size_t wanted)
{
    for (int i = 0; i < PATIENCE && fake->count < wanted; i++) {
        loop_turn(bench->loop, WAIT_US);
    }
    assert_int_equal(fake->count, wanted);
}

static void turn_until(struct bench *bench, const unsigned *count, unsigned wanted)
{
    for (int i = 0; i < PATIENCE && *count < wanted; i++) {
        loop_turn(bench->loop, WAIT_US);
    }
    assert_int_equal(*count, wanted);
}

/* {"text": "abc..."} of `len` bytes, with `last` at its end. */
static struct block *make_arguments(struct bench *bench, size_t len, char last)
{
    struct buf text;
    struct buf map;
    buf_init(&text, len + 1);
    buf_init(&map, len + 100);
    while (text.len < len) {
        buf_put_byte(&text, (uint8_t)('a' + text.len % 26));
    }
    text.data[len - 1] = last;
    pack_put_map(&map, 1);
    pack_put_key_str(&map, "text", buf_slice(&text));
    buf_done(&text);
    return block_new(bench->loop, &map);
}

/* As the call room does: the block is given away. */
static void call_long(struct bench *bench, struct told *told, struct block *block,
                      mono_us timeout)
{
    static const struct mcp_identity identity;
    const struct mcp_call_options options = {
        .method = MCP_TOOLS_CALL,
        .name = SLICE("echo"),
        .arguments = buf_slice(&block->bytes),
        .block = block,
        .deadline = loop_now(bench->loop) + timeout,
    };
    told->request =
        mcp_call(service_named(bench, "s"), &identity, &options, &call_events, told);
    assert_non_null(told->request);
    assert_int_equal(told->done, 0);
    (void)block_unref(block);
}

static void assert_sent_whole(const char *json, size_t len)
{
    const char *at = strstr(json, "\"text\":\"");
    assert_non_null(at);
    at += 8;
    for (size_t i = 0; i + 1 < len; i++) {
        if (at[i] != (char)('a' + i % 26)) {
            fail_msg("wrong at %zu", i);
        }
    }
    assert_memory_equal(at + len - 1, "!\"", 2);
}

static void is_sent_whole_and_later(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct bench bench;
        struct told told = {0};
        struct fake *fake = standing(&bench, i);
        size_t before = fake->count;
        call_long(&bench, &told, make_arguments(&bench, LONG, '!'), 30000 * MS);
        assert_int_equal(fake->count, before);
        turn_until_sent(&bench, fake, before + 1);
        assert_sent_whole(last_sent(fake), LONG);
        answer_last(fake, "{'n':1}");
        assert_string_equal(told.text, "{\"n\":1}");
        told_done(&told);
        bench_done(&bench);
    }
}

static void others_need_not_wait(void **state)
{
    (void)state;
    struct bench bench;
    struct told slow = {0};
    struct told quick = {0};
    struct fake *fake = standing(&bench, false);
    size_t before = fake->count;
    call_long(&bench, &slow, make_arguments(&bench, 4 * LONG, '!'), 30000 * MS);
    call(&bench, &quick);
    answer_last(fake, "{'n':2}");
    assert_string_equal(quick.text, "{\"n\":2}");
    turn_until_sent(&bench, fake, before + 2);
    answer_last(fake, "{'n':1}");
    assert_string_equal(slow.text, "{\"n\":1}");
    told_done(&slow);
    told_done(&quick);
    bench_done(&bench);
}

static void what_json_cannot_hold_is_refused(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    struct fake *fake = standing(&bench, false);
    size_t before = fake->count;
    call_long(&bench, &told, make_arguments(&bench, LONG, (char)0xff), 30000 * MS);
    turn_until(&bench, &told.done, 1);
    assert_told(told, ERR_VALIDATION_ERROR, "arguments.text");
    assert_false(told.sent);
    assert_int_equal(fake->count, before);
    told_done(&told);
    bench_done(&bench);
}

static void a_cancelled_one_is_not_sent(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    struct told next = {0};
    struct fake *fake = standing(&bench, true);
    size_t before = fake->count;
    for (int i = 0; i < 10; i++) {
        call_long(&bench, &told, make_arguments(&bench, LONG, '!'), 30000 * MS);
        mcp_cancel(told.request, "the client left");
        for (int k = 0; k < 3; k++) {
            loop_turn(bench.loop, i % 2 ? 1000 : 0);
        }
        assert_int_equal(fake->count, before);
    }
    call(&bench, &next);
    answer_last(fake, "{'n':1}");
    assert_int_equal(next.done, 1);
    assert_int_equal(told.done, 0);
    told_done(&next);
    bench_done(&bench);
}

static void its_deadline_holds(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    struct fake *fake = standing(&bench, false);
    size_t before = fake->count;
    call_long(&bench, &told, make_arguments(&bench, 8 * LONG, '!'), 1 * MS);
    loop_advance(bench.loop, 2 * MS);
    assert_told(told, ERR_TIMEOUT, "did not answer");
    assert_false(told.sent);
    for (int k = 0; k < 5; k++) {
        loop_turn(bench.loop, 1000);
    }
    assert_int_equal(fake->count, before);
    told_done(&told);
    bench_done(&bench);
}

static void the_server_ends_meanwhile(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    struct fake *fake = standing(&bench, false);
    call_long(&bench, &told, make_arguments(&bench, LONG, '!'), 30000 * MS);
    fake_dies(fake, "it was killed");
    turn_until(&bench, &told.done, 1);
    assert_told(told, ERR_UNAVAILABLE, "");
    assert_false(told.sent); /* so that it may be done elsewhere, or again */
    told_done(&told);
    bench_done(&bench);
}

/* Over legacy HTTP the server can forget the session: what was long is written anew. */
static void a_forgotten_session_gets_it_again(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    struct failure failure = {0};
    struct fake *fake = standing(&bench, true);
    size_t before = fake->count;
    call_long(&bench, &told, make_arguments(&bench, 2 * LONG, '!'), 30000 * MS);
    turn_until_sent(&bench, fake, before + 1);
    failure_set(&failure, ERR_UNAVAILABLE, "no such session");
    fake->events->exchange_ended(fake->arg, last_id(fake), &failure, true);
    failure_done(&failure);
    turn(&bench);
    assert_has(last_sent(fake), "initialize");
    answer_last(fake, "{'protocolVersion':'2025-11-25','capabilities':{'tools':{}},"
                      "'serverInfo':{'name':'fake','version':'1'}}");
    assert_has(last_sent(fake), "tools/list");
    answer_last(fake, "{'tools':[" ECHO_TOOL "]}");
    turn_until_sent(&bench, fake, before + 5);
    assert_sent_whole(last_sent(fake), 2 * LONG);
    answer_last(fake, "{'n':1}");
    assert_string_equal(told.text, "{\"n\":1}");
    told_done(&told);
    bench_done(&bench);
}

static void the_services_end_first(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct bench bench;
        struct told told[4] = {{0}};
        (void)standing(&bench, i % 2);
        for (unsigned k = 0; k < 4; k++) {
            call_long(&bench, &told[k], make_arguments(&bench, LONG, '!'), 30000 * MS);
        }
        if (i % 3) {
            loop_turn(bench.loop, i % 5 ? 0 : 5000);
        }
        for (unsigned k = 0; k < 4 && i % 4; k++) {
            mcp_cancel(told[k].request, "the end");
        }
        bench_done(&bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_sent_whole_and_later),
        cmocka_unit_test(others_need_not_wait),
        cmocka_unit_test(what_json_cannot_hold_is_refused),
        cmocka_unit_test(a_cancelled_one_is_not_sent),
        cmocka_unit_test(its_deadline_holds),
        cmocka_unit_test(the_server_ends_meanwhile),
        cmocka_unit_test(a_forgotten_session_gets_it_again),
        cmocka_unit_test(the_services_end_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
