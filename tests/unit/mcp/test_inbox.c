/* SPDX-License-Identifier: MIT */
/* test_inbox.c - long messages: read by a thread, in order, and freed whatever ends meanwhile. */
#include "one_service.h"

#include "loop/block.h"
#include "loop/work.h"

#define LONG     ((size_t)1 << 20)
#define WAIT_US  20000
#define PATIENCE 500

static struct mcp_transport_ops ops; /* those of the fake, and `hold` */
static unsigned held, released;

static void note_hold(struct mcp_transport *transport, bool is_held)
{
    (void)transport;
    held += is_held;
    released += !is_held;
}

static void can_hold(struct fake *fake)
{
    ops = *fake->transport.ops;
    ops.hold = note_hold;
    fake->transport.ops = &ops;
    held = released = 0;
}

/* Says the answer to request `id` with a text of `len` bytes in a buffer that is taken over. */
static void say_long(struct fake *fake, mcp_token token, unsigned long long id, size_t len)
{
    struct buf buf;
    buf_init(&buf, len + 200);
    buf_printf(&buf, "..{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":{\"text\":\"", id);
    for (size_t i = 0; i < len; i++) {
        buf_put_byte(&buf, (uint8_t)('a' + i % 26));
    }
    buf_put_text(&buf, "\"}}");
    struct slice json = {buf.data + 2, buf.len - 2};
    fake->events->long_message(fake->arg, &buf, json, token);
    assert_null(buf.data);
}

static void turn_until(const unsigned *count, unsigned wanted)
{
    for (int i = 0; i < PATIENCE && *count < wanted; i++) {
        loop_turn(bench.loop, WAIT_US);
    }
    assert_int_equal(*count, wanted);
}

static void assert_long(const struct told *one, size_t len)
{
    static const char head[] = "{\"text\":\"";
    assert_int_equal(one->code, 0);
    assert_int_equal(strlen(one->text), len + sizeof head - 1 + 2);
    for (size_t i = 0; i < len; i++) {
        if (one->text[sizeof head - 1 + i] != (char)('a' + i % 26)) {
            fail_msg("wrong at %zu", i);
        }
    }
}

static void arrives_whole_and_later(void **state)
{
    (void)state;
    struct fake *fake = stand_call(false);
    say_long(fake, 0, last_id(fake), LONG);
    assert_int_equal(told.done, 0);
    turn_until(&told.done, 1);
    assert_long(&told, LONG);
}

static unsigned order[8], order_count;

static void note_order(struct told *one)
{
    order[order_count++] = *(const unsigned *)one->then_arg;
}

static void keeps_order_on_one_wire(void **state)
{
    (void)state;
    struct told all[4] = {{0}};
    static const unsigned numbers[4] = {0, 1, 2, 3};
    unsigned long long ids[4];
    struct fake *fake = stand(false);
    order_count = 0;
    for (unsigned i = 0; i < 4; i++) {
        all[i].then = note_order;
        all[i].then_arg = (void *)&numbers[i];
        call(&bench, &all[i]);
        ids[i] = last_id(fake);
    }
    say_long(fake, 0, ids[0], LONG);
    say(fake,
        "{'jsonrpc':'2.0','method':'notifications/progress','params':{'progressToken':%llu,"
        "'progress':1}}",
        ids[1]);
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{'n':1}}", ids[1]);
    say_long(fake, 0, ids[2], LONG + 7);
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{'n':3}}", ids[3]);
    turn_until(&all[3].done, 1);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(order[i], i);
    }
    assert_long(&all[0], LONG);
    assert_string_equal(all[1].progress, "{\"progress\":1}");
    assert_string_equal(all[1].text, "{\"n\":1}");
    assert_long(&all[2], LONG + 7);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(all[i].done, 1);
        told_done(&all[i]);
    }
}

static void exchanges_do_not_wait_for_one_another(void **state)
{
    (void)state;
    struct told slow = {0};
    struct told quick = {0};
    struct fake *fake = stand(true);
    call(&bench, &slow);
    unsigned long long first = last_id(fake);
    call(&bench, &quick);
    unsigned long long second = last_id(fake);
    say_long(fake, first, first, LONG);
    fake->events->exchange_ended(fake->arg, first, NULL, false);
    fake->events->message(fake->arg, slice_of("{}"), first); /* behind it: no matter */
    struct buf text;
    buf_init(&text, 1000);
    buf_printf(&text, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":{\"n\":2}}", second);
    fake->events->message(fake->arg, buf_slice(&text), second);
    buf_done(&text);
    assert_int_equal(quick.done, 1);
    assert_int_equal(slow.done, 0);
    turn_until(&slow.done, 1);
    assert_long(&slow, LONG); /* and not that its exchange ended without an answer */
    told_done(&slow);
    told_done(&quick);
}

static void an_exchange_that_fails_behind_it_is_no_failure(void **state)
{
    (void)state;
    struct failure failure = {0};
    struct fake *fake = stand_call(true);
    unsigned long long id = last_id(fake);
    say_long(fake, id, id, LONG);
    failure_set(&failure, ERR_UNAVAILABLE, "the connection broke");
    fake->events->exchange_ended(fake->arg, id, &failure, false);
    failure_done(&failure);
    turn_until(&told.done, 1);
    assert_long(&told, LONG);
}

static void the_end_of_the_wire_waits(void **state)
{
    (void)state;
    struct told lost = {0};
    struct fake *fake = stand_call(false);
    unsigned long long id = last_id(fake);
    call(&bench, &lost);
    say_long(fake, 0, id, LONG);
    fake_breaks(fake, "it was killed");
    assert_int_equal(lost.done, 0);
    turn_until(&lost.done, 1);
    assert_long(&told, LONG);
    assert_told(lost, ERR_UNAVAILABLE, "it was killed");
    told_done(&told);
    told_done(&lost);
    call(&bench, &told); /* a new wire */
    serve_echo(fake_at(&bench, 1));
    answer_last(fake_at(&bench, 1), "{'n':1}");
    assert_string_equal(told.text, "{\"n\":1}");
}

static void what_is_no_json_is_told_to_its_caller(void **state)
{
    (void)state;
    struct buf buf;
    struct fake *fake = stand_call(false);
    buf_init(&buf, 2 * LONG);
    buf_printf(&buf, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":{\"text\":\"", last_id(fake));
    while (buf.len < LONG) {
        buf_put_text(&buf, "text that does not end ");
    }
    fake->events->long_message(fake->arg, &buf, buf_slice(&buf), 0);
    turn_until(&told.done, 1);
    assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "no JSON");
}

static void a_cancelled_call_is_told_nothing(void **state)
{
    (void)state;
    struct told other = {0};
    struct fake *fake = stand_call(false);
    unsigned long long id = last_id(fake);
    say_long(fake, 0, id, LONG);
    mcp_cancel(told.request, "the client left");
    call(&bench, &other);
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{'n':1}}", last_id(fake));
    turn_until(&other.done, 1);
    assert_int_equal(told.done, 0);
    told_done(&other);
}

/* In each state: waiting for a thread, with a thread, done and not told. */
static void the_services_end_first(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct fake *fake = stand_call(i % 2);
        unsigned long long id = last_id(fake);
        for (unsigned k = 0; k < 4; k++) {
            mcp_token token = i % 2 ? id + k : 0;
            say_long(fake, token, id + k, LONG);
            fake->events->message(fake->arg, SLICE("{}"), token);
        }
        struct failure failure = {0};
        failure_set(&failure, ERR_UNAVAILABLE, "broken");
        fake->events->exchange_ended(fake->arg, 0, &failure, false);
        if (i % 3 == 0) {
            loop_turn(bench.loop, i % 5 ? 0 : WAIT_US);
        } else if (i % 3 == 1) {
            fake->events->closed(fake->arg, &failure);
        }
        failure_done(&failure);
        if (!told.done) {
            mcp_cancel(told.request, "the end");
        }
        (void)clear(NULL);
    }
}

static void stops_inside(struct told *one)
{
    (void)one;
    struct service_set none = {NULL, 0};
    mcp_services_apply(bench.services, &none); /* the session ends, its wire is let go */
}

static void the_session_ends_while_it_is_told(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct told other = {0};
        struct fake *fake = stand(false);
        told.then = stops_inside;
        call(&bench, &told);
        unsigned long long id = last_id(fake);
        call(&bench, &other);
        say_long(fake, 0, i ? id + 1000 : id, LONG);
        say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{}}", id);
        say_long(fake, 0, id + 1, LONG);
        turn_until(&told.done, 1);
        turn_until(&other.done, 1);
        told_done(&other);
        (void)clear(NULL);
    }
}

/* 16 MiB may wait in these tests (message_bytes): then the transport is held, until less does. */
static void a_flood_holds_the_transport(void **state)
{
    (void)state;
    struct told all[8] = {{0}};
    unsigned long long ids[8];
    struct fake *fake = stand(false);
    can_hold(fake);
    for (unsigned i = 0; i < 8; i++) {
        call(&bench, &all[i]);
        ids[i] = last_id(fake);
    }
    for (unsigned i = 0; i < 8; i++) {
        say_long(fake, 0, ids[i], 4 * LONG);
    }
    assert_int_equal(held, 1);
    assert_int_equal(released, 0);
    turn_until(&all[7].done, 1);
    turn_until(&released, 1);
    for (unsigned i = 0; i < 8; i++) {
        assert_long(&all[i], 4 * LONG);
        told_done(&all[i]);
    }
}

static void a_flood_that_cannot_be_held_is_read_at_once(void **state)
{
    (void)state;
    struct told next = {0};
    struct fake *fake = stand_call(true);
    unsigned long long id = last_id(fake);
    struct buf note;
    buf_init(&note, LONG);
    buf_put_text(&note,
                 "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\",\"params\":{\"t\":\"");
    while (note.len < 100000) {
        buf_put_text(&note, "note ");
    }
    buf_put_text(&note, "\"}}");
    say_long(fake, id, id, LONG);
    for (int i = 0; i < 400; i++) { /* 40 MB on the same exchange, within one turn */
        fake->events->message(fake->arg, buf_slice(&note), id);
    }
    assert_int_equal(told.done, 1);
    fake->events->exchange_ended(fake->arg, id, NULL, false);
    assert_long(&told, LONG);
    turn_until(&told.done, 1);
    call(&bench, &next);
    answer_last(fake, "{'n':1}");
    assert_int_equal(next.done, 1);
    buf_done(&note);
    told_done(&told);
    told_done(&next);
}

/* More long messages than may wait for a thread: the loop reads them itself. */
static void more_than_threads_take(void **state)
{
    (void)state;
    enum { CALLS = WORK_WAITING + 20 };
    static struct told all[CALLS];
    unsigned long long ids[CALLS];
    struct fake *fake = stand(true);
    memset(all, 0, sizeof all);
    for (unsigned i = 0; i < CALLS; i++) {
        call(&bench, &all[i]);
        ids[i] = last_id(fake);
    }
    for (unsigned i = 0; i < CALLS; i++) {
        say_long(fake, ids[i], ids[i], LONG / 2 + i);
        fake->events->exchange_ended(fake->arg, ids[i], NULL, false);
    }
    for (unsigned i = 0; i < CALLS; i++) {
        turn_until(&all[i].done, 1);
        assert_long(&all[i], LONG / 2 + i);
        told_done(&all[i]);
    }
}

static struct block *kept;
static struct slice kept_result;

static void keep_block(void *arg, const struct mcp_outcome *outcome)
{
    (void)arg;
    struct block *block = mcp_services_block(bench.services, outcome->result);
    assert_non_null(block);
    assert_null(mcp_services_block(bench.services, SLICE("elsewhere")));
    kept = block_ref(block);
    kept_result = outcome->result;
}

static void its_memory_can_be_kept(void **state)
{
    (void)state;
    static const struct mcp_call_events events = {.done = keep_block};
    static const struct mcp_identity identity;
    struct buf arguments;
    struct fake *fake = stand(false);
    const struct mcp_call_options options = {
        .method = MCP_TOOLS_CALL,
        .name = SLICE("echo"),
        .arguments = pack(&arguments, "{\"text\":\"hi\"}"),
        .deadline = loop_now(bench.loop) + 30000 * MS,
    };
    kept = NULL;
    assert_non_null(mcp_call(service_named(&bench, "s"), &identity, &options, &events, NULL));
    buf_done(&arguments);
    say_long(fake, 0, last_id(fake), LONG);
    for (int i = 0; i < PATIENCE && !kept; i++) {
        loop_turn(bench.loop, WAIT_US);
    }
    assert_non_null(kept);
    assert_null(mcp_services_block(bench.services, kept_result));
    char *text = as_json(kept_result); /* still there */
    assert_true(strlen(text) > LONG);
    mem_free(text);
    kept = block_unref(kept);
}

static void no_memory_to_wait_in_makes_the_loop_wait(void **state)
{
    (void)state;
    struct fake *fake = stand_call(false);
    say_long(fake, 0, last_id(fake), LONG);
    assert_int_equal(told.done, 0);
    mem_fail_at(1); /* the copy of what comes behind it */
    fake->events->message(fake->arg,
                          SLICE("{\"jsonrpc\":\"2.0\",\"id\":\"s\",\"method\":\"ping\"}"), 0);
    mem_fail_at(0);
    assert_int_equal(told.done, 1);
    assert_has(last_sent(fake), "\"id\":\"s\",\"result\":{}");
    assert_long(&told, LONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(arrives_whole_and_later),
        TEST(keeps_order_on_one_wire),
        TEST(exchanges_do_not_wait_for_one_another),
        TEST(an_exchange_that_fails_behind_it_is_no_failure),
        TEST(the_end_of_the_wire_waits),
        TEST(what_is_no_json_is_told_to_its_caller),
        TEST(a_cancelled_call_is_told_nothing),
        TEST(the_services_end_first),
        TEST(the_session_ends_while_it_is_told),
        TEST(a_flood_holds_the_transport),
        TEST(a_flood_that_cannot_be_held_is_read_at_once),
        TEST(more_than_threads_take),
        TEST(its_memory_can_be_kept),
        TEST(no_memory_to_wait_in_makes_the_loop_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
