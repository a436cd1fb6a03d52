/* SPDX-License-Identifier: MIT */
/* test_once_rare.c - calls with an idempotency_key where something that rarely fails does: memory, a lever
 * that is moved meanwhile, a disk that says nothing, a client that leaves at an odd moment. */
#include "keyed_client.h"

#include <sqlite3.h>

static const char answering_policy[] = "agent 'a' { title = 'A', services = { '*' } }\n"
                                       "function on_failure(call, failure)\n"
                                       "  return answer({ said = 'by policy' })\nend\n";

static const struct wrong not_let_in = {ERR_AUTH_FAILED, FAILURE_AUTHENTICATION, false, true,
                                        -1};

#define NOT_ON_DISK "its outcome is not on disk"

/* Nothing can be written until it is free again. */
static sqlite3 *lock_disk(void)
{
    char path[160];
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof path, "%s/%s", state_folder, STORE_FILE);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void free_disk(sqlite3 *db)
{
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
}

static void wait_for_disk(void)
{
    for (unsigned i = 0; i < 5000 && calls_count(served.calls); i++) {
        wait_a_little();
    }
}

static void hears_not(const char *part)
{
    char *text = heard_soon(fd);
    if (strstr(text, part)) {
        fail_msg("%s in %s", part, text);
    }
    mem_free(text);
}

/* Once more, and it is sent once more. */
static void is_carried_out(const char *json)
{
    send_keyed(fd, fake, 50, json);
    answer_last(fake, RESULT);
    expect_soon(fd, "\"attempts\":1");
}

/* ---- memory ------------------------------------------------------------------------------- */

static void end_without_the_nth_piece(unsigned nth, bool is_lost)
{
    mem_fail_at(nth);
    if (is_lost) {
        go_wrong(fake, &reset);
    } else {
        answer_last(fake, RESULT);
    }
    mem_fail_at(0);
}

/* It was done, or may have been, and there is no memory to note that: a repeat sends nothing. */
static void without_memory_a_key_is_not_free(void **state)
{
    (void)state;
    come_soon();
    for (unsigned i = 2; i < 60; i++) {
        bool is_lost = i % 2;
        char json[200];
        (void)snprintf(json, sizeof json,
                       "{\"tool\":\"s/echo\",\"agent\":\"a\",\"arguments\":{\"text\":\"hi\"},"
                       "\"idempotency_key\":\"k%u\"}",
                       i);
        (void)gates_reset_breaker(served.gates, SLICE("s"));
        send_keyed(fd, fake, 1, json);
        size_t before = calls_at(fake);
        end_without_the_nth_piece(i / 2, is_lost);
        mem_free(heard_soon(fd));
        (void)gates_reset_breaker(served.gates, SLICE("s"));
        ask(fd, 2, "tools.call", json);
        char *text = heard_soon(fd);
        assert_int_equal(calls_at(fake), before);
        assert_int_equal(is_lost, strstr(text, "\"code\":\"OUTCOME_UNKNOWN\"") != NULL);
        mem_free(text);
    }
}

/* ---- a reload in between ------------------------------------------------------------------ */

static void make_harmful(struct service_conf *conf)
{
    static struct service_tool_retry all;
    all = (struct service_tool_retry){
        .pattern = SLICE("*"), .retry = conf->retry, .is_harmful = true};
    conf->tool_retries = &all;
    conf->tool_retry_count = 1;
}

/* It may have been done, and was to be done again: until the operator says that twice does harm. */
static void what_does_harm_by_now_is_not_sent_again(void **state)
{
    (void)state;
    configure(make_harmless);
    come_soon();
    ask(fd, 1, "tools.call", ECHO_CALL);
    turns(3);
    go_wrong(fake, &reset);
    configure(make_harmful);
    assert_false(sent_within(fake, 5000 * MS));
    char *text = heard_soon(fd);
    assert_non_null(strstr(text, "\"code\":\"OUTCOME_UNKNOWN\""));
    assert_non_null(strstr(text, "\"no_retry\":\"harmful\""));
    assert_non_null(strstr(text, "\"attempts\":1"));
    mem_free(text);
}

static void take_the_account_away(struct service_conf *conf)
{
    conf->auth = SERVICE_AUTH_OAUTH;
}

static void an_outcome_outlives_the_account(void **state)
{
    (void)state;
    come_and_finish();
    configure(take_the_account_away);
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, REPEATED);
    ask(fd, 3, "tools.call", KEYED("another"));
    expect_soon(fd, "\"code\":\"AUTH_REQUIRED\"");
}

/* ---- the disk ----------------------------------------------------------------------------- */

/* Whether an earlier call was carried out is not known by the deadline: policy's answer would hide it. */
static void no_answer_hides_what_the_disk_did_not_tell(void **state)
{
    (void)state;
    calls_set_policy(served.calls, policy_of(answering_policy));
    come_soon();
    size_t before = calls_at(fake);
    ask(fd, 1, "tools.call", KEYED_IN(1000, "k"));
    loop_turn(served.bench.loop, 0);
    assert_int_equal(calls_count(served.calls), 1);
    loop_advance(served.bench.loop, 1000 * MS);
    expect_soon(fd, "\"code\":\"TIMEOUT\"");
    assert_int_equal(calls_at(fake), before);
    send_keyed(fd, fake, 2, KEYED("k")); /* where the disk has told, policy is asked as ever */
    go_wrong(fake, &refused);
    force_open("s");
    loop_advance(served.bench.loop, 2000 * MS);
    expect_soon(fd, "by policy");
}

/* Whoever waits hears as well that a restart may forget it; likewise who comes later. */
static void who_waits_hears_that_it_is_not_on_disk(void **state)
{
    (void)state;
    come_and_send();
    ask(fd, 2, "tools.call", KEYED("k"));
    turns(3);
    sqlite3 *db = lock_disk();
    answer_last(fake, RESULT);
    wait_for_disk();
    ask(fd, 3, "tools.call", KEYED("k"));
    char *text = heard_soon(fd);
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, NOT_ON_DISK)); at++) {
        count++;
    }
    if (count != 3) {
        fail_msg("%s", text);
    }
    mem_free(text);
    free_disk(db);
}

/* What only memory knows is forgotten after a day, as what is on disk is. */
static void after_a_day_memory_forgets_too(void **state)
{
    (void)state;
    come_and_send();
    sqlite3 *db = lock_disk();
    answer_last(fake, RESULT);
    wait_for_disk();
    expect_soon(fd, NOT_ON_DISK);
    free_disk(db);
    store_flush(served.bench.store);
    loop_advance(served.bench.loop, (mono_us)STORE_CLAIM_KEPT_MS * 1000 - 1000 * MS);
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, REPEATED);
    loop_advance(served.bench.loop, 1000 * MS);
    force_open("s");
    ask(fd, 3, "tools.call", KEYED("k"));
    expect_soon(fd, "\"code\":\"CIRCUIT_OPEN\"");
}

/* However long the disk takes, the answer comes by the deadline. */
static void a_disk_that_hangs_holds_no_answer_up(void **state)
{
    (void)state;
    come_soon();
    send_keyed(fd, fake, 1, KEYED_IN(1000, "k"));
    sqlite3 *db = lock_disk();
    answer_last(fake, RESULT);
    assert_int_equal(calls_count(served.calls), 1);
    loop_advance(served.bench.loop, 1000 * MS);
    assert_int_equal(calls_count(served.calls), 0);
    expect_soon(fd, NOT_ON_DISK);
    free_disk(db);
}

/* That nobody knows is told at once: a repeat hears the same, written or not. So is a cancelled call. */
static void what_is_not_known_waits_for_no_disk(void **state)
{
    (void)state;
    come_and_send();
    send_keyed(fd, fake, 2, KEYED("another"));
    sqlite3 *db = lock_disk();
    go_wrong(fake, &reset);
    cancel_call(fd, 1);
    assert_int_equal(calls_count(served.calls), 0);
    char *text = heard(fd);
    assert_non_null(strstr(text, "[1,2,{\"code\":\"OUTCOME_UNKNOWN\""));
    assert_non_null(strstr(text, "[1,1,{\"code\":\"CANCELLED\""));
    mem_free(text);
    free_disk(db);
}

/* The last request gets a text of `filling`, which is read beside the loop. */
static void answer_long(char filling)
{
    enum { LONG = 600000 };
    struct buf buf;
    unsigned long long id = last_id(fake);
    buf_init(&buf, LONG + 300);
    buf_printf(&buf,
               "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":{\"content\":[{\"type\":\"text\","
               "\"text\":\"",
               id);
    for (size_t i = 0; i < LONG; i++) {
        buf_put_byte(&buf, (uint8_t)filling);
    }
    buf_put_text(&buf, "\"}]}}");
    mcp_tell_message(fake->events, fake->arg, &buf, buf_slice(&buf), id);
    fake->events->exchange_ended(fake->arg, id, NULL, false);
    buf_done(&buf);
}

/* It waits for the disk while others of its length come and go. */
static void a_long_result_is_held_until_it_is_on_disk(void **state)
{
    bool is_heard = false;
    (void)state;
    come_and_send();
    sqlite3 *db = lock_disk();
    answer_long('x');
    for (uint32_t i = 0; i < 3; i++) {
        size_t before = calls_at(fake);
        ask(fd, 10 + i, "tools.call", ECHO_CALL);
        wait_for_call(fake, before);
        answer_long('y');
    }
    for (unsigned i = 0; i < 20; i++) {
        wait_a_little();
    }
    free_disk(db);
    while (!is_heard) {
        char *text = heard_soon(fd);
        const char *answer = strstr(text, "[1,1,null");
        is_heard = answer != NULL;
        if (is_heard) {
            size_t len = strcspn(answer, "\n");
            assert_non_null(memmem(answer, len, "xxxxxxxx", 8));
            assert_null(memmem(answer, len, "yyyyyyyy", 8));
        }
        mem_free(text);
    }
}

static void fail_all_attempts_but_one(void)
{
    for (unsigned i = 0; i < 2; i++) {
        go_wrong(fake, &refused);
        assert_true(sent_within(fake, 5000 * MS));
    }
}

/* What policy named for this call stays so while it is asked for others. */
static void a_stand_in_keeps_its_name_while_it_waits(void **state)
{
    (void)state;
    calls_set_policy(served.calls, policy_of("agent 'a' { title = 'A', services = { '*' } }\n"
                                             "demo { when = 'unavailable', agents = '*' }\n"
                                             "demo_answer 's' { tool = 'echo',\n"
                                             "  input = { type = 'object' },\n"
                                             "  result = { said = 'a demo' } }\n"));
    come_and_send();
    fail_all_attempts_but_one();
    sqlite3 *db = lock_disk();
    go_wrong(fake, &refused);
    ask(fd, 2, "calls.list", "{}");
    expect_heard(fd, "\"stage\":\"record\"");
    for (uint32_t i = 0; i < 5; i++) { /* of other names */
        ask(fd, 3, "tools.call", "{\"tool\":\"tttttttt/zzzzzzzz\",\"agent\":\"a\"}");
        expect_heard(fd, "\"code\":\"NOT_FOUND\"");
    }
    free_disk(db);
    char *text = heard_soon(fd);
    if (!strstr(text, "\"service\":\"s\",\"tool\":\"echo\",\"source\":\"demo\"") ||
        !strstr(text, "a demo")) {
        fail_msg("%s", text);
    }
    mem_free(text);
}

/* Nothing was carried out that a restart could forget. */
static void an_answer_for_nothing_done_warns_of_nothing(void **state)
{
    (void)state;
    calls_set_policy(served.calls, policy_of(answering_policy));
    come_and_send();
    sqlite3 *db = lock_disk();
    go_wrong(fake, &not_let_in);
    wait_for_disk();
    hears_not(NOT_ON_DISK);
    free_disk(db);
}

/* ---- clients at odd moments ---------------------------------------------------------------- */

/* The daemon ends before the disk has answered: nothing was sent, and the next one may. */
static void the_end_gives_back_what_was_not_sent(void **state)
{
    (void)state;
    come_soon();
    ask(fd, 1, "tools.call", KEYED("k"));
    loop_turn(served.bench.loop, 0);
    assert_int_equal(calls_count(served.calls), 1);
    come_again();
    fake = stand_soon(fd);
    is_carried_out(KEYED("k"));
}

/* Cancelled before the disk has answered; what it claims then is given back. */
static void a_claim_that_nobody_waits_for_is_given_back(void **state)
{
    (void)state;
    come_soon();
    ask(fd, 1, "tools.call", KEYED("k"));
    loop_turn(served.bench.loop, 0);
    cancel_call(fd, 1);
    expect_soon(fd, "\"code\":\"CANCELLED\"");
    for (unsigned i = 0; i < 20; i++) { /* claimed, and given back */
        store_flush(served.bench.store);
        wait_a_little();
    }
    is_carried_out(KEYED("k"));
}

/* Who has waited for another call has a deadline of its own at the server. */
static void who_took_over_has_its_deadline(void **state)
{
    (void)state;
    come_and_send();
    ask(fd, 2, "tools.call", KEYED_IN(5000, "k"));
    turns(3);
    size_t before = calls_at(fake);
    go_wrong(fake, &not_let_in);
    expect_soon(fd, "[1,1,{\"code\":\"AUTH_FAILED\"");
    wait_for_call(fake, before);
    loop_advance(served.bench.loop, 5000 * MS);
    expect_soon(fd, "[1,2,{\"code\":\"TIMEOUT\"");
    ask(fd, 3, "tools.call", KEYED("k"));
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
}

static void what_does_no_harm_may_be_cancelled_and_done(void **state)
{
    (void)state;
    configure(make_harmless);
    come_and_send();
    cancel_call(fd, 1);
    expect_soon(fd, "\"code\":\"CANCELLED\"");
    is_carried_out(KEYED("k"));
}

/* One server said no in order; cancelled before another one was asked: no outcome. */
static void what_was_refused_and_cancelled_may_be_asked_again(void **state)
{
    static const struct wrong no = {ERR_EXTERNAL_TOOL_EXECUTION_FAILED, FAILURE_ANSWER, false,
                                    false, -1};
    (void)state;
    calls_set_policy(served.calls,
                     policy_of("agent 'a' { title = 'A', services = { '*' } }\n"
                               "function on_failure(call, failure)\n"
                               "  return use('t', 'echo', { text = 'hi' })\nend\n"));
    come_and_send();
    go_wrong(fake, &no);
    for (unsigned i = 0; i < 2000 && served.bench.fake_count < 2; i++) {
        wait_a_little();
    }
    cancel_call(fd, 1); /* the session with `t` is not there yet */
    expect_soon(fd, "\"code\":\"CANCELLED\"");
    is_carried_out(KEYED("k"));
}

/* It is done, and on its way to disk: whoever cancels hears the result all the same, when it is kept. */
static void what_is_done_cannot_be_cancelled(void **state)
{
    (void)state;
    come_and_send();
    sqlite3 *db = lock_disk();
    answer_last(fake, RESULT);
    cancel_call(fd, 1);
    assert_int_equal(calls_count(served.calls), 1);
    free_disk(db);
    hears_not(NOT_ON_DISK);
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, "\"text\":\"done\"");
}

/* Between two attempts nothing is under way that a repeat would want to find. */
static void who_leaves_between_attempts_ends_the_call(void **state)
{
    (void)state;
    come_and_send();
    go_wrong(fake, &busy);
    assert_int_equal(calls_count(served.calls), 1);
    hang_up();
    turns(3);
    assert_int_equal(calls_count(served.calls), 0);
    fd = connect_client();
    assert_false(sent_within(fake, 30000 * MS));
    is_carried_out(KEYED("k"));
}

/* ---- what is an outcome ---------------------------------------------------------------------- */

/* What breaks the protocol may have done it; a repeat hears what it was, with its details. */
static void a_broken_answer_is_an_outcome(void **state)
{
    static const struct wrong broken = {ERR_EXTERNAL_TOOL_EXECUTION_FAILED, FAILURE_PROTOCOL,
                                        false, false, -1};
    (void)state;
    come_and_send();
    go_wrong(fake, &broken);
    expect_soon(fd, "\"code\":\"EXTERNAL_TOOL_EXECUTION_FAILED\"");
    size_t before = calls_at(fake);
    ask(fd, 2, "tools.call", KEYED("k"));
    char *text = heard_soon(fd);
    assert_non_null(strstr(text, "\"code\":\"EXTERNAL_TOOL_EXECUTION_FAILED\""));
    assert_non_null(strstr(text, "\"first_request_id\":"));
    assert_non_null(strstr(text, "\"attempts\":1"));
    mem_free(text);
    assert_int_equal(calls_at(fake), before);
}

/* A server that gives the call up has not said what it did until then. */
static void what_the_server_gave_up_is_not_known(void **state)
{
    static const struct wrong given_up = {ERR_CANCELLED, FAILURE_OF_CALLER, false, false, -1};
    static const struct wrong too_long = {ERR_OVERLOADED, FAILURE_OF_BROKER, false, false, -1};
    (void)state;
    come_and_send();
    go_wrong(fake, &given_up);
    expect_soon(fd, "\"code\":\"CANCELLED\"");
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    send_keyed(fd, fake, 3, KEYED("another"));
    go_wrong(fake, &too_long); /* its answer, for us */
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
}

/* No for now is no outcome: a 403 that the operator may lift, a limit that passes. */
static void what_may_be_let_in_later_is_no_outcome(void **state)
{
    static const struct wrong told[] = {
        {ERR_AUTH_FAILED, FAILURE_ANSWER, false, false, -1},
        {ERR_RATE_LIMITED, FAILURE_ANSWER, false, false, -1},
    };
    (void)state;
    come_soon();
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        send_keyed(fd, fake, 1, KEYED("k"));
        go_wrong(fake, &told[i]);
        expect_soon(fd, err_name(told[i].code));
        loop_advance(served.bench.loop, 61000 * MS);
    }
    is_carried_out(KEYED("k"));
}

/* What never left is no outcome, even where the server's list says no. */
static void what_never_left_is_no_outcome(void **state)
{
    static const char nope[] =
        "{\"tool\":\"s/nope\",\"agent\":\"a\",\"idempotency_key\":\"k\"}";
    (void)state;
    come_soon();
    for (uint32_t i = 0; i < 2; i++) {
        ask(fd, i, "tools.call", nope);
        char *text = heard_soon(fd);
        assert_non_null(strstr(text, "\"code\":\"NOT_FOUND\""));
        assert_null(strstr(text, "first_request_id"));
        mem_free(text);
    }
    is_carried_out(KEYED("k")); /* the key is free for another call */
}

/* ---- one attempt ------------------------------------------------------------------------------ */

static void give_attempts_long(struct service_conf *conf)
{
    conf->retry.attempt_timeout_ms = 60000;
}

static void an_attempt_is_no_longer_than_its_call(void **state)
{
    (void)state;
    configure(give_attempts_long);
    come_soon();
    send_keyed(fd, fake, 1, KEYED_IN(1000, "k"));
    loop_advance(served.bench.loop, 1000 * MS);
    expect_soon(fd, "\"code\":\"TIMEOUT\"");
}

/* ---- ids -------------------------------------------------------------------------------------- */

static bool look_the_same(const char *tool, const char *a, const char *other_tool,
                          const char *b)
{
    uint8_t one[SHA256_BYTES];
    uint8_t other[SHA256_BYTES];
    struct buf value;
    once_fingerprint(SLICE("s"), slice_of(tool), *a ? pack(&value, a) : SLICE(""), one);
    if (*a) {
        buf_done(&value);
    }
    once_fingerprint(SLICE("s"), slice_of(other_tool), pack(&value, b), other);
    buf_done(&value);
    return memcmp(one, other, SHA256_BYTES) == 0;
}

static void other_tools_are_other_calls(void **state)
{
    (void)state;
    assert_true(look_the_same("echo", "", "echo", "{}"));
    assert_true(look_the_same("echo", "{\"a\":1}", "echo", "{\"a\":1}"));
    assert_false(look_the_same("echo", "{\"a\":1}", "send", "{\"a\":1}"));
    assert_false(look_the_same("echo", "", "echo", "{\"a\":1}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_memory_a_key_is_not_free),
        TEST(what_does_harm_by_now_is_not_sent_again),
        TEST(an_outcome_outlives_the_account),
        TEST(no_answer_hides_what_the_disk_did_not_tell),
        TEST(who_waits_hears_that_it_is_not_on_disk),
        TEST(after_a_day_memory_forgets_too),
        TEST(a_disk_that_hangs_holds_no_answer_up),
        TEST(what_is_not_known_waits_for_no_disk),
        TEST(a_long_result_is_held_until_it_is_on_disk),
        TEST(a_stand_in_keeps_its_name_while_it_waits),
        TEST(an_answer_for_nothing_done_warns_of_nothing),
        TEST(the_end_gives_back_what_was_not_sent),
        TEST(a_claim_that_nobody_waits_for_is_given_back),
        TEST(who_took_over_has_its_deadline),
        TEST(what_does_no_harm_may_be_cancelled_and_done),
        TEST(what_was_refused_and_cancelled_may_be_asked_again),
        TEST(what_is_done_cannot_be_cancelled),
        TEST(who_leaves_between_attempts_ends_the_call),
        TEST(a_broken_answer_is_an_outcome),
        TEST(what_the_server_gave_up_is_not_known),
        TEST(what_may_be_let_in_later_is_no_outcome),
        TEST(what_never_left_is_no_outcome),
        TEST(an_attempt_is_no_longer_than_its_call),
        cmocka_unit_test(other_tools_are_other_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
