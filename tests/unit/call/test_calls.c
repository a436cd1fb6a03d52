/* SPDX-License-Identifier: MIT */
/* test_calls.c - a call's way with everything that may come between: stand-ins, clients that
 * leave or do not read, no memory, and the end of the daemon. */
#include "served.h"

#define ECHO_CALL "{\"tool\":\"s/echo\",\"agent\":\"a\",\"arguments\":{\"text\":\"hi\"}}"
#define RESULT    "{'content':[{'type':'text','text':'done'}]}"

static const char plain[] = "agent 'a' { title = 'A', services = { '*' } }\n"
                            "fallback { on = { 'UNAVAILABLE' }, to = { s = 't' } }\n";

static int setup(void **state)
{
    (void)state;
    return serve(plain);
}

static void count_drained(void *arg)
{
    (void)arg;
    served.drained++;
}

/* The service "s" is running and the call is sent there. */
static struct fake *call_s(int fd, uint32_t msgid)
{
    ask(fd, msgid, "tools.call", ECHO_CALL);
    turns(3);
    struct fake *fake = fake_number(0);
    if (!fake->was_opened || fake->count == 0) {
        serve_echo(fake);
    }
    assert_non_null(strstr(last_sent(fake), "tools/call"));
    return fake;
}

/* ---- the way ------------------------------------------------------------------------------- */

static void an_answer_comes_back(void **state)
{
    (void)state;
    int fd = connect_client();
    answer_last(call_s(fd, 7), RESULT);
    char *text = heard(fd);
    assert_non_null(strstr(text, "[1,7,null,{\"request_id\":"));
    assert_non_null(strstr(text, "\"source\":\"live\""));
    assert_non_null(strstr(text, "\"attempts\":1"));
    mem_free(text);
    assert_int_equal(calls_count(served.calls), 0);
    (void)close(fd);
}

/* The first service is gone before the call is sent; while the stand-in is started, others ask the
 * same policy. */
static void a_stand_in_is_named(void **state)
{
    (void)state;
    struct service_conf *list[] = {plain_conf("s", "s"), plain_conf("t", "t")};
    list[0]->retry.max_attempts = 1;
    apply_served(list, 2);
    int fd = connect_client();
    ask(fd, 1, "tools.call", ECHO_CALL);
    turns(3);
    fake_opened(fake_number(0));
    fake_dies(fake_number(0), "no such program");
    turns(2);
    assert_int_equal(served.bench.fake_count, 2);
    for (uint32_t i = 2; i < 12; i++) {
        ask(fd, i, "tools.call",
            "{\"tool\":\"nothing/of_that_name\",\"agent\":\"a\",\"arguments\":{}}");
    }
    mem_free(heard(fd));
    serve_echo(fake_number(1));
    assert_non_null(strstr(last_sent(fake_number(1)), "\"text\":\"hi\""));
    answer_last(fake_number(1), RESULT);
    char *text = heard(fd);
    assert_non_null(
        strstr(text, "\"service\":\"t\",\"tool\":\"echo\",\"source\":\"fallback\""));
    assert_non_null(strstr(text, "\"fallback_from\":\"s\""));
    assert_non_null(strstr(text, "s could not be used (UNAVAILABLE): t stood in for it."));
    mem_free(text);
    (void)close(fd);
}

/* What was sent and got no answer is not sent to another service. */
static void a_lost_answer_is_no_reason_to_repeat(void **state)
{
    (void)state;
    int fd = connect_client();
    fake_dies(call_s(fd, 1), "killed");
    expect_heard(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    assert_int_equal(served.bench.fake_count, 1);
    (void)close(fd);
}

/* Not even if the operator's fallback names that code. */
static void a_lost_answer_is_repeated_nowhere(void **state)
{
    (void)state;
    int fd = connect_client();
    calls_set_policy(served.calls,
                     policy_of("agent 'a' { title = 'A', services = { '*' } }\n"
                               "fallback { on = { 'OUTCOME_UNKNOWN' }, to = { s = 't' } }\n"));
    fake_dies(call_s(fd, 1), "killed");
    expect_heard(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    assert_int_equal(served.bench.fake_count, 1);
    (void)close(fd);
}

/* ---- clients that leave ------------------------------------------------------------------------ */

static void cancel_and_disconnect_reach_the_server(void **state)
{
    (void)state;
    int fd = connect_client();
    struct fake *fake = call_s(fd, 1);
    cancel_call(fd, 1);
    expect_heard(fd, "\"code\":\"CANCELLED\"");
    assert_int_equal(count_sent(fake, "notifications/cancelled"), 1);
    call_s(fd, 2);
    (void)close(fd);
    turns(3);
    assert_int_equal(count_sent(fake, "notifications/cancelled"), 2);
    assert_int_equal(calls_count(served.calls), 0);
}

/* The client is dropped inside the server's note, for not reading: its calls end there. */
static void a_note_may_end_its_own_call(void **state)
{
    (void)state;
    served.limits.peer_buffer_bytes = 65536;
    served.limits.reply_bytes = 65536;
    int fd = connect_client();
    struct fake *fake = call_s(fd, 1);
    call_s(fd, 2);
    char *word = mem_new(30001);
    memset(word, 'x', 30000);
    for (int i = 0; i < 100 && calls_count(served.calls); i++) {
        say(fake,
            "{'jsonrpc':'2.0','method':'notifications/progress','params':{'progressToken':%llu,"
            "'progress':%d,'message':'%s'}}",
            last_id(fake), i, word);
    }
    mem_free(word);
    assert_int_equal(calls_count(served.calls), 0);
    assert_int_equal(served.metrics.value[METRIC_PEERS_DROPPED], 1);
    turns(2);
    assert_int_equal(rpc_server_connections(served.server), 0);
    (void)close(fd);
}

/* ---- no memory ------------------------------------------------------------------------------------ */

/* Whichever allocation fails: the server gets the arguments whole, or the caller an error. */
static void no_call_goes_out_without_its_arguments(void **state)
{
    enum { WORD = 9000 };
    (void)state;
    int fd = connect_client();
    answer_last(call_s(fd, 1), RESULT);
    mem_free(heard(fd));
    char *word = mem_new(WORD + 1);
    memset(word, 'x', WORD);
    char *json = mem_new(WORD + 200);
    (void)snprintf(json, WORD + 200,
                   "{\"tool\":\"s/echo\",\"agent\":\"a\",\"arguments\":{\"text\":\"%s\"}}",
                   word);
    for (unsigned long nth = 1; nth < 12; nth++) {
        struct fake *fake = fake_number(0);
        size_t before = fake->count;
        ask(fd, 2, "tools.call", json);
        mem_fail_at(nth);
        turns(3);
        mem_fail_at(0);
        if (fake->count > before) {
            assert_non_null(strstr(last_sent(fake), word));
            answer_last(fake, RESULT);
        }
        expect_heard(fd, fake->count > before
                             ? "\"service\":\"s\",\"tool\":\"echo\",\"source\":\"live\""
                             : "\"code\":\"OVERLOADED\"");
    }
    mem_free(json);
    mem_free(word);
    (void)close(fd);
}

/* ---- the end ------------------------------------------------------------------------------------ */

/* Told once, though calls are refused in the very turn, and later. */
static void drained_is_told_once(void **state)
{
    (void)state;
    int fd = connect_client();
    calls_drain(served.calls, count_drained, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        ask(fd, i, "tools.call", ECHO_CALL);
    }
    turns(3);
    assert_int_equal(served.drained, 1);
    ask(fd, 9, "tools.call", ECHO_CALL);
    turns(3);
    assert_int_equal(served.drained, 1);
    expect_heard(fd, "\"code\":\"SHUTTING_DOWN\"");
    (void)close(fd);
}

static void lists_end_with_the_rest(void **state)
{
    (void)state;
    int fd = connect_client();
    ask(fd, 1, "tools.list", "{\"agent\":\"a\"}");
    ask(fd, 2, "tools.list", "{\"agent\":\"a\"}");
    turns(3);
    call_s(fd, 3);
    calls_drain(served.calls, count_drained, NULL);
    turns(2);
    assert_int_equal(served.drained, 0);
    ask(fd, 4, "tools.list", "{\"agent\":\"a\"}");
    expect_heard(fd, "[1,4,{\"code\":\"SHUTTING_DOWN\"");
    calls_cancel_all(served.calls);
    turns(2);
    assert_int_equal(served.drained, 1);
    char *text = heard(fd);
    size_t told = 0;
    for (const char *at = text; (at = strstr(at, "\"code\":\"CANCELLED\"")); at++) {
        told++;
    }
    assert_int_equal(told, 3);
    mem_free(text);
    (void)close(fd);
}

static void lists_count_as_calls(void **state)
{
    (void)state;
    served.calls_max = 2;
    int fd = connect_client();
    for (uint32_t i = 0; i < 3; i++) {
        ask(fd, i, "tools.list", "{\"agent\":\"a\"}");
    }
    expect_heard(fd, "[1,2,{\"code\":\"OVERLOADED\"");
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_answer_comes_back, setup, serve_end),
        cmocka_unit_test_setup_teardown(a_stand_in_is_named, setup, serve_end),
        cmocka_unit_test_setup_teardown(a_lost_answer_is_no_reason_to_repeat, setup, serve_end),
        cmocka_unit_test_setup_teardown(a_lost_answer_is_repeated_nowhere, setup, serve_end),
        cmocka_unit_test_setup_teardown(cancel_and_disconnect_reach_the_server, setup,
                                        serve_end),
        cmocka_unit_test_setup_teardown(a_note_may_end_its_own_call, setup, serve_end),
        cmocka_unit_test_setup_teardown(no_call_goes_out_without_its_arguments, setup,
                                        serve_end),
        cmocka_unit_test_setup_teardown(drained_is_told_once, setup, serve_end),
        cmocka_unit_test_setup_teardown(lists_end_with_the_rest, setup, serve_end),
        cmocka_unit_test_setup_teardown(lists_count_as_calls, setup, serve_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
