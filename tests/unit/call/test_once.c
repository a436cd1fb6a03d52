/* SPDX-License-Identifier: MIT */
/* test_once.c - calls with an idempotency_key: whatever breaks, the server does it once, and whoever
 * repeats hears what came of it. */
#include "keyed_client.h"

#include <sqlite3.h>

/* ---- the first outcome is everybody's ------------------------------------------------------- */

static void a_repeat_gets_the_outcome(void **state)
{
    (void)state;
    come_and_send();
    answer_last(fake, RESULT);
    char *text = heard_soon(fd);
    assert_non_null(strstr(text, "\"source\":\"live\""));
    assert_non_null(strstr(text, "\"attempts\":1"));
    assert_null(strstr(text, "warnings"));
    mem_free(text);
    size_t before = calls_at(fake);
    for (uint32_t i = 2; i < 5; i++) {
        ask(fd, i, "tools.call", KEYED("k"));
        expect_parts(heard_soon(fd), "\"text\":\"done\"", "\"source\":\"live\"",
                     "\"attempts\":0", REPEATED);
    }
    assert_int_equal(calls_at(fake), before);
    assert_int_equal(served.metrics.value[METRIC_IDEMPOTENT_REPEATS], 3);
    ask(fd, 9, "tools.call", KEYED_OTHERWISE("k"));
    expect_soon(fd, "\"code\":\"CONFLICT\"");
    ask(fd, 9, "tools.call",
        "{\"tool\":\"s/echo\",\"agent\":\"a\",\"user\":\"u\",\"arguments\":{\"text\":\"ho\"},"
        "\"idempotency_key\":\"k\"}"); /* of another user: another call */
    wait_for_call(fake, before);
    answer_last(fake, RESULT);
    expect_soon(fd, "\"attempts\":1");
}

static void a_restart_changes_nothing(void **state)
{
    (void)state;
    come_and_send();
    answer_last(fake, "{'content':[],'isError':true}");
    expect_soon(fd, "\"isError\":true");
    come_again();
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_parts(heard_soon(fd), "\"isError\":true", REPEATED);
    ask(fd, 3, "tools.call", KEYED_OTHERWISE("k"));
    expect_soon(fd, "\"code\":\"CONFLICT\"");
    assert_int_equal(served.bench.fake_count, 0);
}

/* An error that the server gave in order is an outcome too. */
static void an_error_is_an_outcome(void **state)
{
    (void)state;
    come_and_send();
    unsigned long long id = last_id(fake);
    say_on(fake, id, "{'jsonrpc':'2.0','id':%llu,'error':{'code':-32000,'message':'no money'}}",
           id);
    fake->events->exchange_ended(fake->arg, id, NULL, false);
    expect_soon(fd, "no money");
    size_t before = calls_at(fake);
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_parts(heard_soon(fd), "\"code\":\"EXTERNAL_TOOL_EXECUTION_FAILED\"", "no money",
                 "\"first_request_id\"");
    assert_int_equal(calls_at(fake), before);
}

/* ---- the disk comes first ------------------------------------------------------------------- */

/* Nothing leaves before the key is on disk, and nobody hears of an outcome before that is. */
static void the_disk_comes_first(void **state)
{
    (void)state;
    char path[160];
    sqlite3 *db = NULL;
    come_soon();
    size_t before = calls_at(fake);
    ask(fd, 1, "tools.call", KEYED("k"));
    turns(1);
    assert_int_equal(calls_at(fake), before);
    wait_for_call(fake, before);
    (void)snprintf(path, sizeof path, "%s/%s", state_folder, STORE_FILE);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    answer_last(fake, RESULT);
    ask(fd, 2, "calls.list", "{}");
    expect_heard(fd, "\"stage\":\"record\",\"waits_for\":\"disk\"");
    /* It cannot be kept for now. */
    expect_parts(heard_soon(fd), "\"text\":\"done\"", "its outcome is not on disk");
    before = calls_at(fake);
    ask(fd, 3, "tools.call", KEYED("k")); /* but it is known here */
    expect_parts(heard_soon(fd), "\"text\":\"done\"", REPEATED);
    ask(fd, 4, "tools.call", KEYED("another"));
    expect_parts(heard_soon(fd), "\"code\":\"UNAVAILABLE\",\"message\":\"nothing was sent",
                 "without idempotency_key");
    assert_int_equal(calls_at(fake), before);
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
}

static void without_a_store_nothing_is_sent(void **state)
{
    (void)state;
    (void)serve_at(plain_policy, true, NULL);
    fd = connect_client();
    fake = stand(fd);
    ask(fd, 1, "tools.call", KEYED("k"));
    expect_parts(heard_soon(fd), "\"code\":\"UNAVAILABLE\",\"message\":\"nothing was sent");
    assert_int_equal(calls_at(fake), 1);
    hang_up();
    (void)serve_end(NULL);
}

/* The disk does not answer: the deadline holds, and what it claims later is given back. */
static void a_slow_disk_passes_no_deadline(void **state)
{
    (void)state;
    come_soon();
    size_t before = calls_at(fake);
    ask(fd, 1, "tools.call", KEYED_IN(1000, "k"));
    loop_turn(served.bench.loop, 0);
    loop_advance(served.bench.loop, 1000 * MS);
    expect_soon(fd, "\"code\":\"TIMEOUT\"");
    assert_int_equal(calls_at(fake), before);
    send_keyed(fd, fake, 2, KEYED("k"));
    answer_last(fake, RESULT);
    expect_soon(fd, "\"attempts\":1");
}

/* ---- what nobody knows ---------------------------------------------------------------------- */

static void come_after_a_kill(void (*tune)(struct service_conf *conf))
{
    end_rooms();
    claim_without_an_end("s/echo");
    serve_rooms(true, state_folder);
    calls_set_policy(served.calls, policy_of(plain_policy));
    serve_socket();
    configure(tune);
    come_soon();
}

static void nobody_knows_after_a_kill(void **state)
{
    (void)state;
    come_after_a_kill(NULL);
    size_t before = calls_at(fake);
    for (uint32_t i = 0; i < 3; i++) {
        ask(fd, i, "tools.call", KEYED("k"));
        expect_parts(heard_soon(fd), "\"code\":\"OUTCOME_UNKNOWN\"", "\"retryable\":false",
                     "\"begun_at\":\"");
    }
    assert_int_equal(calls_at(fake), before);
}

static void what_does_no_harm_is_done_again(void **state)
{
    (void)state;
    come_after_a_kill(make_harmless);
    send_keyed(fd, fake, 1, KEYED("k"));
    answer_last(fake, RESULT);
    expect_soon(fd, "\"attempts\":1");
}

/* The answer was lost: this call hears it, and so does every repeat, over a restart too. */
static void a_lost_answer_is_not_asked_for_again(void **state)
{
    (void)state;
    come_and_send();
    go_wrong(fake, &reset);
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    size_t before = calls_at(fake);
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    assert_int_equal(calls_at(fake), before);
    come_again();
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
}

static void a_deadline_at_the_server_is_not_known(void **state)
{
    (void)state;
    come_and_send();
    loop_advance(served.bench.loop, 30000 * MS);
    expect_soon(fd, "\"code\":\"TIMEOUT\"");
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
}

/* ---- what was not done may be asked for again ------------------------------------------------ */

static void what_was_not_done_is_done(void **state)
{
    static const struct wrong told[] = {
        {ERR_AUTH_FAILED, FAILURE_AUTHENTICATION, false, true, -1},
        {ERR_RATE_LIMITED, FAILURE_RATE_LIMIT, false, true, 60000},
        {ERR_UNAVAILABLE, FAILURE_SERVER, false, true, 60000},
        {ERR_UNAVAILABLE, FAILURE_NETWORK, true, false, 60000},
    };
    (void)state;
    come_soon();
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        send_keyed(fd, fake, 1, KEYED("k"));
        go_wrong(fake, &told[i]);
        expect_soon(fd, err_name(told[i].code));
        loop_advance(served.bench.loop,
                     61000 * MS); /* the gate keeps to what the server says */
    }
    send_keyed(fd, fake, 2, KEYED("k"));
    answer_last(fake, RESULT);
    expect_soon(fd, "\"attempts\":1");
}

/* A retry within the call belongs to the same claim. */
static void retries_are_of_one_claim(void **state)
{
    (void)state;
    come_and_send();
    go_wrong(fake, &busy);
    assert_true(sent_within(fake, 1500 * MS));
    answer_last(fake, RESULT);
    expect_soon(fd, "\"attempts\":2");
    loop_advance(served.bench.loop, 1000 * MS); /* the pace behind a 429 */
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, REPEATED);
}

/* So does a stand-in: one claim, and its outcome is that of the call. */
static void a_stand_in_is_of_one_claim(void **state)
{
    (void)state;
    calls_set_policy(served.calls,
                     policy_of("agent 'a' { title = 'A', services = { '*' } }\n"
                               "fallback { on = { 'AUTH_FAILED' }, to = { s = 't' } }\n"));
    come_and_send();
    go_wrong(fake, &unauthorized);
    turns(3);
    struct fake *other = fake_number(1);
    serve_echo(other);
    wait_for_call(other, 0);
    answer_last(other, RESULT);
    expect_soon(fd, "\"service\":\"t\",\"tool\":\"echo\",\"source\":\"fallback\"");
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_parts(heard_soon(fd), "\"service\":\"t\",\"tool\":\"echo\",\"source\":\"fallback\"",
                 "\"fallback_from\":\"s\"", REPEATED);
    assert_int_equal(calls_at(fake) + calls_at(other), 3);
}

/* ---- behind a gate that is shut --------------------------------------------------------------- */

static void an_outcome_passes_a_shut_gate(void **state)
{
    (void)state;
    come_and_finish();
    force_open("s");
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, REPEATED);
    ask(fd, 3, "tools.call", KEYED("another"));
    expect_soon(fd, "\"code\":\"CIRCUIT_OPEN\"");
    (void)gates_reset_breaker(served.gates, SLICE("s"));
    send_keyed(fd, fake, 4, KEYED("another")); /* nothing had been claimed for good */
    answer_last(fake, RESULT);
    expect_soon(fd, "\"attempts\":1");
}

/* What nobody knows is not claimed anew behind a shut gate either. */
static void a_shut_gate_forgets_no_claim(void **state)
{
    (void)state;
    come_after_a_kill(NULL);
    force_open("s");
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    (void)gates_force_breaker(served.gates, SLICE("s"), BREAKER_BY_ITSELF, SLICE(""));
    ask(fd, 3, "tools.call", KEYED("k"));
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    assert_int_equal(calls_at(fake), 1);
}

/* ---- what cannot be kept, and what is no key ----------------------------------------------------- */

static void a_result_may_be_too_long(void **state)
{
    enum { LONG = STORE_OUTCOME_MAX + 10 };
    (void)state;
    come_and_send();
    char *json = mem_new(LONG + 200);
    unsigned long long id = last_id(fake);
    int head = snprintf(json, 200,
                        "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":{\"content\":[],"
                        "\"x\":\"",
                        id);
    memset(json + head, 'x', LONG);
    (void)snprintf(json + head + LONG, 100, "\"}}");
    fake->events->message(fake->arg, slice_of(json), id);
    fake->events->exchange_ended(fake->arg, id, NULL, false);
    mem_free(json);
    for (unsigned i = 0; i < 2000 && calls_count(served.calls); i++) {
        static char bytes[1 << 16];
        wait_a_little();
        while (recv(fd, bytes, sizeof bytes, 0) > 0) {
            turns(1);
        }
    }
    assert_int_equal(calls_count(served.calls), 0);
    hang_up();
    fd = connect_client();
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_parts(heard_soon(fd), "\"code\":\"CONFLICT\"", "was carried out at 20",
                 "too long to be kept");
}

static void keys_have_bounds(void **state)
{
    char json[600];
    char key[257];
    (void)state;
    fd = connect_client();
    memset(key, 'k', 256);
    key[256] = '\0';
    (void)snprintf(json, sizeof json,
                   "{\"tool\":\"s/echo\",\"agent\":\"a\",\"idempotency_key\":\"%s\"}", key);
    ask(fd, 1, "tools.call", json);
    expect_heard(fd, "\"code\":\"INVALID_REQUEST\"");
    ask(fd, 2, "tools.call", "{\"tool\":\"s/echo\",\"agent\":\"a\",\"idempotency_key\":\"\"}");
    expect_heard(fd, "\"code\":\"INVALID_REQUEST\"");
    ask(fd, 3, "tools.call",
        "{\"tool\":\"s/echo\",\"agent\":\"a\",\"idempotency_key\":\"k\",\"task\":true}");
    expect_heard(fd, "do not go together");
    ask(fd, 4, "tools.call", "{\"tool\":\"s/no\",\"agent\":\"b\",\"idempotency_key\":\"k\"}");
    expect_heard(fd, "\"code\":\"NOT_FOUND\"");
    assert_int_equal(served.bench.fake_count, 0);
}

/* ---- ids ----------------------------------------------------------------------------------------- */

static void fingerprint(const char *service, const char *tool, const char *arguments,
                        uint8_t out[SHA256_BYTES])
{
    struct buf value;
    once_fingerprint(slice_of(service), slice_of(tool), pack(&value, arguments), out);
    buf_done(&value);
}

static void the_same_call_looks_the_same(void **state)
{
    uint8_t a[SHA256_BYTES];
    uint8_t b[SHA256_BYTES];
    (void)state;
    fingerprint("", "s/echo", "{\"a\":1,\"b\":{\"x\":[1,2],\"y\":null}}", a);
    fingerprint("s", "echo", "{\"b\":{\"y\":null,\"x\":[1,2.0]},\"a\":1.0}", b);
    assert_memory_equal(a, b, SHA256_BYTES);
    static const char *const others[] = {"{\"a\":1,\"b\":{\"x\":[2,1],\"y\":null}}",
                                         "{\"a\":\"1\",\"b\":{\"x\":[1,2],\"y\":null}}",
                                         "{\"a\":1.5,\"b\":{\"x\":[1,2],\"y\":null}}",
                                         "{\"a\":1,\"b\":{\"x\":[1,2]},\"y\":null}", "{}"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        fingerprint("s", "echo", others[i], b);
        assert_memory_not_equal(a, b, SHA256_BYTES);
    }
    fingerprint("", "echo", "{}", a);
    fingerprint("e", "cho", "{}", b);
    assert_memory_not_equal(a, b, SHA256_BYTES);
    once_id(SLICE("ab"), SLICE("c"), SLICE("k"), a);
    once_id(SLICE("a"), SLICE("bc"), SLICE("k"), b);
    assert_memory_not_equal(a, b, SHA256_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_repeat_gets_the_outcome),
        TEST(a_restart_changes_nothing),
        TEST(an_error_is_an_outcome),
        TEST(the_disk_comes_first),
        cmocka_unit_test(without_a_store_nothing_is_sent),
        TEST(a_slow_disk_passes_no_deadline),
        TEST(nobody_knows_after_a_kill),
        TEST(what_does_no_harm_is_done_again),
        TEST(a_lost_answer_is_not_asked_for_again),
        TEST(a_deadline_at_the_server_is_not_known),
        TEST(what_was_not_done_is_done),
        TEST(retries_are_of_one_claim),
        TEST(a_stand_in_is_of_one_claim),
        TEST(an_outcome_passes_a_shut_gate),
        TEST(a_shut_gate_forgets_no_claim),
        TEST(a_result_may_be_too_long),
        TEST(keys_have_bounds),
        cmocka_unit_test(the_same_call_looks_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
