/* SPDX-License-Identifier: MIT */
/* test_once_crowd.c - the same idempotency_key several times at once, clients that leave or cancel, and
 * the end of the daemon in between. */
#include "keyed_client.h"

/* ---- at the same time -------------------------------------------------------------------------- */

static void a_repeat_waits_for_the_first(void **state)
{
    (void)state;
    come_and_send();
    size_t before = calls_at(fake);
    ask(fd, 2, "tools.call", KEYED("k"));
    ask(fd, 3, "tools.call", KEYED("k"));
    ask(fd, 4, "tools.call", KEYED_OTHERWISE("k"));
    expect_soon(fd, "[1,4,{\"code\":\"CONFLICT\"");
    ask(fd, 5, "calls.list", "{}");
    expect_heard(fd, "\"waits_for\":\"same key\"");
    cancel_call(fd, 3);
    expect_heard(fd, "[1,3,{\"code\":\"CANCELLED\"");
    answer_last(fake, RESULT);
    struct buf all;
    buf_init(&all, 1 << 20);
    for (unsigned i = 0; i < 100 && calls_count(served.calls); i++) {
        char *text = heard(fd);
        buf_put_text(&all, text);
        mem_free(text);
        wait_a_little();
    }
    char *text = heard(fd);
    buf_put_text(&all, text);
    mem_free(text);
    assert_non_null(strstr(buf_text(&all), "[1,1,null"));
    assert_non_null(strstr(buf_text(&all), "[1,2,null"));
    assert_non_null(strstr(buf_text(&all), REPEATED));
    buf_done(&all);
    assert_int_equal(calls_at(fake), before);
}

/* Who waits has a deadline of his own. */
static void a_repeat_waits_until_its_deadline(void **state)
{
    (void)state;
    come_and_send();
    ask(fd, 2, "tools.call", KEYED_IN(1000, "k"));
    turns(3);
    loop_advance(served.bench.loop, 1000 * MS);
    expect_soon(fd, "[1,2,{\"code\":\"TIMEOUT\"");
    answer_last(fake, RESULT);
    expect_soon(fd, "[1,1,null");
}

/* The first came to nothing: who waits is carried out. */
static void who_waits_takes_over(void **state)
{
    (void)state;
    come_and_send();
    ask(fd, 2, "tools.call", KEYED("k"));
    turns(3);
    size_t before = calls_at(fake);
    go_wrong(fake, &unauthorized);
    expect_soon(fd, "[1,1,{\"code\":\"AUTH_FAILED\"");
    wait_for_call(fake, before);
    answer_last(fake, RESULT);
    expect_soon(fd, "[1,2,null");
}

/* Cancelled while the key is claimed: who waits has it then. */
static void who_waits_takes_the_claim_over(void **state)
{
    (void)state;
    come_soon();
    size_t before = calls_at(fake);
    ask(fd, 1, "tools.call", KEYED("k"));
    ask(fd, 2, "tools.call", KEYED("k"));
    loop_turn(served.bench.loop, 0);
    cancel_call(fd, 1);
    expect_soon(fd, "[1,1,{\"code\":\"CANCELLED\"");
    wait_for_call(fake, before);
    answer_last(fake, RESULT);
    expect_soon(fd, "[1,2,null");
}

/* ---- clients that leave -------------------------------------------------------------------------- */

static void who_leaves_finds_the_outcome(void **state)
{
    (void)state;
    come_and_send();
    hang_up();
    turns(5);
    assert_int_equal(calls_count(served.calls), 1);
    assert_int_equal(count_sent(fake, "notifications/cancelled"), 0);
    answer_last(fake, RESULT);
    wait_for_all_to_end();
    fd = connect_client();
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_parts(heard_soon(fd), "\"text\":\"done\"", REPEATED);
}

/* With a question of the server's open, which nobody will answer: it is declined. */
static void who_leaves_with_a_question_open(void **state)
{
    (void)state;
    unsigned long long id = come_and_be_asked();
    hang_up();
    turns(5);
    assert_int_equal(count_sent(fake, "\"action\":\"decline\""), 1);
    assert_int_equal(calls_count(served.calls), 1);
    say_on(fake, id, "{'jsonrpc':'2.0','id':%llu,'result':{'content':[]}}", id);
    fake->events->exchange_ended(fake->arg, id, NULL, false);
    wait_for_all_to_end();
}

static void a_cancelled_call_is_not_known(void **state)
{
    (void)state;
    come_and_send();
    cancel_call(fd, 1);
    expect_soon(fd, "\"code\":\"CANCELLED\"");
    assert_int_equal(count_sent(fake, "notifications/cancelled"), 1);
    size_t before = calls_at(fake);
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    assert_int_equal(calls_at(fake), before);
}

/* The end of the daemon meets calls at every stage. */
static void the_end_meets_every_stage(void **state)
{
    (void)state;
    come_soon();
    send_keyed(fd, fake, 1, KEYED("sent"));
    ask(fd, 2, "tools.call", KEYED("sent"));
    send_keyed(fd, fake, 3, KEYED("answered"));
    answer_last(fake, RESULT);
    ask(fd, 4, "tools.call", KEYED("claiming"));
    loop_turn(served.bench.loop, 0);
    calls_cancel_all(served.calls);
    assert_int_equal(calls_count(served.calls), 0);
    expect_heard(fd, "[1,3,null");
    come_again();
    ask(fd, 5, "tools.call", KEYED("sent"));
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    ask(fd, 6, "tools.call", KEYED("answered"));
    expect_soon(fd, REPEATED);
    hang_up();
    turns(3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_repeat_waits_for_the_first),  TEST(a_repeat_waits_until_its_deadline),
        TEST(who_waits_takes_over),          TEST(who_waits_takes_the_claim_over),
        TEST(who_leaves_finds_the_outcome),  TEST(who_leaves_with_a_question_open),
        TEST(a_cancelled_call_is_not_known), TEST(the_end_meets_every_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
