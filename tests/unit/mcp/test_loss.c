/* SPDX-License-Identifier: MIT */
/* test_loss.c - requests that end without an answer: cancelled, late, lost with their server. */
#include "one_service.h"

static void cancel_tells_the_server(void **state)
{
    (void)state;
    struct fake *fake = stand_call(true);
    unsigned long long id = last_id(fake);
    mcp_cancel(told.request, "the client \"left\"");
    char want[160];
    (void)snprintf(want, sizeof want,
                   "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{"
                   "\"requestId\":%llu,\"reason\":\"the client \\\"left\\\"\"}}",
                   id);
    assert_string_equal(last_sent(fake), want);
    assert_int_equal(fake->kinds[fake->count - 1], MCP_NOTIFICATION);
    assert_int_equal(fake->last_abandoned, id);
    say_on(fake, id, "{'jsonrpc':'2.0','id':%llu,'result':{}}", id); /* late: dropped */
    assert_int_equal(told.done, 0);
}

static void deadline_tells_caller_and_server(void **state)
{
    (void)state;
    struct fake *fake = stand(false);
    call_with(&bench, &told, .timeout = 500 * MS);
    unsigned long long id = last_id(fake);
    loop_advance(bench.loop, 499 * MS);
    assert_int_equal(told.done, 0);
    loop_advance(bench.loop, MS);
    assert_told(told, ERR_TIMEOUT, "\"s\" did not answer within 500 ms");
    assert_true(told.sent);
    assert_has(last_sent(fake), "notifications/cancelled");
    assert_has(last_sent(fake), "\"reason\":\"timeout\"");
    assert_has(told.details, "\"service\":\"s\",\"tool\":\"echo\"");
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{}}", id);
    assert_int_equal(told.done, 1);
    told_done(&told);
    call(&bench, &told); /* the session goes on */
    answer_last(fake, "{'n':1}");
    assert_string_equal(told.text, "{\"n\":1}");
}

static void exit_fails_all_and_the_next_call_starts_anew(void **state)
{
    (void)state;
    struct told a = {0};
    struct told b = {0};
    struct told c = {0};
    struct fake *fake = stand(false);
    call(&bench, &a);
    call(&bench, &b);
    fake_dies(fake, "the process was killed by signal 9");
    assert_told(a, ERR_UNAVAILABLE, "killed by signal 9");
    assert_told(b, ERR_UNAVAILABLE, "killed by signal 9");
    assert_true(a.sent);
    assert_has(a.details, "\"stderr_tail\":\"last words\"");
    assert_true(fake->is_freed);
    assert_string_equal(bench.states, "s:starting s:running s:error ");
    call(&bench, &c);
    fake = fake_at(&bench, 1);
    serve_echo(fake);
    answer_last(fake, "{'n':3}");
    assert_string_equal(c.text, "{\"n\":3}");
    assert_string_equal(bench.states, "s:starting s:running s:error s:starting s:running ");
    told_done(&a);
    told_done(&b);
    told_done(&c);
}

static void call_again(struct told *one)
{
    one->then = NULL;
    call(one->then_arg, one + 1);
}

static void a_call_made_while_failing_is_not_failed_too(void **state)
{
    (void)state;
    struct told all[2] = {0};
    struct fake *fake = stand(false);
    call(&bench, &all[0]);
    all[0].then = call_again;
    all[0].then_arg = &bench;
    fake_dies(fake, "gone");
    assert_int_equal(all[0].done, 1);
    assert_int_equal(all[1].done, 0);
    serve_echo(fake_at(&bench, 1));
    answer_last(fake_at(&bench, 1), "{'n':4}");
    assert_string_equal(all[1].text, "{\"n\":4}");
    told_done(&all[0]);
    told_done(&all[1]);
}

static void call_again_and_cancel_the_next_one(struct told *one)
{
    one->then = NULL;
    call(one->then_arg, one + 2);
    mcp_cancel(one[1].request, "test");
}

static void a_call_cancelled_while_failing_is_not_heard_of_by_the_new_server(void **state)
{
    (void)state;
    struct told all[3] = {0};
    struct fake *fake = stand(false);
    call(&bench, &all[0]);
    call(&bench, &all[1]);
    all[0].then = call_again_and_cancel_the_next_one;
    all[0].then_arg = &bench;
    fake_dies(fake, "gone");
    assert_int_equal(all[1].done, 0);
    fake = fake_at(&bench, 1);
    assert_int_equal(fake->count, 0);
    serve_echo(fake);
    answer_last(fake, "{'n':5}");
    assert_string_equal(all[2].text, "{\"n\":5}");
    assert_int_equal(count_sent(fake, "cancelled"), 0);
    told_done(&all[0]);
    told_done(&all[1]);
    told_done(&all[2]);
}

static void refused_send_is_told_later(void **state)
{
    (void)state;
    struct fake *fake = stand(false);
    fake->refuses = true;
    call(&bench, &told);
    assert_told(told, ERR_OVERLOADED, "does not read");
    assert_false(told.sent);
    assert_true(told.is_retryable);
}

static void a_call_that_is_too_long_will_not_get_shorter(void **state)
{
    (void)state;
    struct fake *fake = stand(false);
    size_t sent = fake->count;
    const size_t text = (size_t)17 << 20;
    char *arguments = mem_new(text + 32);
    char *at = arguments + sprintf(arguments, "{\"text\":\"");
    memset(at, 'x', text);
    memcpy(at + text, "\"}", 3);
    call_with(&bench, &told, .arguments = arguments);
    mem_free(arguments);
    assert_told(told, ERR_OVERLOADED, "longer than 16777216 bytes");
    assert_false(told.is_retryable || told.sent);
    assert_int_equal(fake->count, sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cancel_tells_the_server),
        TEST(deadline_tells_caller_and_server),
        TEST(exit_fails_all_and_the_next_call_starts_anew),
        TEST(a_call_made_while_failing_is_not_failed_too),
        TEST(a_call_cancelled_while_failing_is_not_heard_of_by_the_new_server),
        TEST(refused_send_is_told_later),
        TEST(a_call_that_is_too_long_will_not_get_shorter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
