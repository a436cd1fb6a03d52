/* SPDX-License-Identifier: MIT */
/* test_once.c - calls with an idempotency_key: whatever breaks, the server does it once, and whoever
 * repeats hears what came of it. */
#include "keying.h"

#include <sqlite3.h>

/* ---- the first outcome is everybody's ------------------------------------------------------- */

static void a_repeat_gets_the_outcome(void **state)
{
    (void)state;
    int fd = connect_client();
    struct fake *fake = stand_soon(fd);
    send_keyed(fd, fake, 1, KEYED("k"));
    answer_last(fake, RESULT);
    char *text = heard_soon(fd);
    assert_non_null(strstr(text, "\"source\":\"live\""));
    assert_non_null(strstr(text, "\"attempts\":1"));
    assert_null(strstr(text, "warnings"));
    mem_free(text);
    size_t before = calls_at(fake);
    for (uint32_t i = 2; i < 5; i++) {
        ask(fd, i, "tools.call", KEYED("k"));
        text = heard_soon(fd);
        assert_non_null(strstr(text, "\"text\":\"done\""));
        assert_non_null(strstr(text, "\"source\":\"live\""));
        assert_non_null(strstr(text, "\"attempts\":0"));
        assert_non_null(strstr(text, REPEATED));
        mem_free(text);
    }
    assert_int_equal(calls_at(fake), before);
    assert_int_equal(served.metrics.value[METRIC_IDEMPOTENT_REPEATS], 3);
    ask(fd, 9, "tools.call", KEYED_OTHERWISE("k"));
    expect_soon(fd, "\"code\":\"CONFLICT\"");
    ask(fd, 9, "tools.call",
        "{\"tool\":\"s/echo\",\"agent\":\"a\",\"user\":\"u\",\"arguments\":{\"text\":\"ho\"},"
        "\"idempotency_key\":\"k\"}"); /* of another user: another call */
    for (unsigned i = 0; i < 2000 && calls_at(fake) == before; i++) {
        wait_a_little();
    }
    answer_last(fake, RESULT);
    expect_soon(fd, "\"attempts\":1");
    (void)close(fd);
}

static void a_restart_changes_nothing(void **state)
{
    (void)state;
    int fd = connect_client();
    struct fake *fake = stand_soon(fd);
    send_keyed(fd, fake, 1, KEYED("k"));
    answer_last(fake, "{'content':[],'isError':true}");
    expect_soon(fd, "\"isError\":true");
    (void)close(fd);
    fd = restart();
    ask(fd, 2, "tools.call", KEYED("k"));
    char *text = heard_soon(fd);
    assert_non_null(strstr(text, "\"isError\":true"));
    assert_non_null(strstr(text, REPEATED));
    mem_free(text);
    ask(fd, 3, "tools.call", KEYED_OTHERWISE("k"));
    expect_soon(fd, "\"code\":\"CONFLICT\"");
    assert_int_equal(served.bench.fake_count, 0);
    (void)close(fd);
}

/* An error that the server gave in order is an outcome too. */
static void an_error_is_an_outcome(void **state)
{
    (void)state;
    int fd = connect_client();
    struct fake *fake = stand_soon(fd);
    send_keyed(fd, fake, 1, KEYED("k"));
    unsigned long long id = last_id(fake);
    say_on(fake, id, "{'jsonrpc':'2.0','id':%llu,'error':{'code':-32000,'message':'no money'}}",
           id);
    fake->events->exchange_ended(fake->arg, id, NULL, false);
    expect_soon(fd, "no money");
    size_t before = calls_at(fake);
    ask(fd, 2, "tools.call", KEYED("k"));
    char *text = heard_soon(fd);
    assert_non_null(strstr(text, "\"code\":\"EXTERNAL_TOOL_EXECUTION_FAILED\""));
    assert_non_null(strstr(text, "no money"));
    assert_non_null(strstr(text, "\"first_request_id\""));
    mem_free(text);
    assert_int_equal(calls_at(fake), before);
    (void)close(fd);
}

/* ---- the disk comes first ------------------------------------------------------------------- */

/* Nothing leaves before the key is on disk, and nobody hears of an outcome before that is. */
static void the_disk_comes_first(void **state)
{
    (void)state;
    char path[160];
    sqlite3 *db = NULL;
    int fd = connect_client();
    struct fake *fake = stand_soon(fd);
    size_t before = calls_at(fake);
    ask(fd, 1, "tools.call", KEYED("k"));
    turns(1);
    assert_int_equal(calls_at(fake), before);
    for (unsigned i = 0; i < 2000 && calls_at(fake) == before; i++) {
        wait_a_little();
    }
    (void)snprintf(path, sizeof path, "%s/%s", state_folder, STORE_FILE);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    answer_last(fake, RESULT);
    ask(fd, 2, "calls.list", "{}");
    expect_heard(fd, "\"stage\":\"record\",\"waits_for\":\"disk\"");
    char *text = heard_soon(fd); /* it cannot be kept for now */
    assert_non_null(strstr(text, "\"text\":\"done\""));
    assert_non_null(strstr(text, "its outcome is not on disk"));
    mem_free(text);
    before = calls_at(fake);
    ask(fd, 3, "tools.call", KEYED("k")); /* but it is known here */
    text = heard_soon(fd);
    assert_non_null(strstr(text, "\"text\":\"done\""));
    assert_non_null(strstr(text, REPEATED));
    mem_free(text);
    ask(fd, 4, "tools.call", KEYED("another"));
    text = heard_soon(fd);
    assert_non_null(strstr(text, "\"code\":\"UNAVAILABLE\",\"message\":\"nothing was sent"));
    assert_non_null(strstr(text, "without idempotency_key"));
    mem_free(text);
    assert_int_equal(calls_at(fake), before);
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    (void)close(fd);
}

static void without_a_store_nothing_is_sent(void **state)
{
    (void)state;
    (void)serve_at(plain_policy, true, NULL);
    int fd = connect_client();
    struct fake *fake = stand(fd);
    ask(fd, 1, "tools.call", KEYED("k"));
    char *text = heard_soon(fd);
    assert_non_null(strstr(text, "\"code\":\"UNAVAILABLE\",\"message\":\"nothing was sent"));
    mem_free(text);
    assert_int_equal(calls_at(fake), 1);
    (void)close(fd);
    (void)serve_end(NULL);
}

/* The disk does not answer: the deadline holds, and what it claims later is given back. */
static void a_slow_disk_passes_no_deadline(void **state)
{
    (void)state;
    int fd = connect_client();
    struct fake *fake = stand_soon(fd);
    size_t before = calls_at(fake);
    ask(fd, 1, "tools.call",
        "{\"tool\":\"s/"
        "echo\",\"agent\":\"a\",\"timeout_ms\":1000,\"arguments\":{\"text\":\"hi\"},"
        "\"idempotency_key\":\"k\"}");
    loop_turn(served.bench.loop, 0);
    loop_advance(served.bench.loop, 1000 * MS);
    expect_soon(fd, "\"code\":\"TIMEOUT\"");
    assert_int_equal(calls_at(fake), before);
    send_keyed(fd, fake, 2, KEYED("k"));
    answer_last(fake, RESULT);
    expect_soon(fd, "\"attempts\":1");
    (void)close(fd);
}

/* ---- what nobody knows ---------------------------------------------------------------------- */

/* As if the daemon had been killed behind its claim. */
static void claim_without_an_end(void)
{
    struct buf arguments;
    struct store_claim claim = {0};
    struct loop *loop = loop_new();
    struct store *store = store_new(
        &(struct store_options){.loop = loop, .folder = state_folder, .retry_ms = 20});
    once_id(SLICE("a"), SLICE(""), SLICE("k"), claim.id);
    once_fingerprint(SLICE(""), SLICE("s/echo"), pack(&arguments, "{\"text\":\"hi\"}"),
                     claim.fingerprint);
    buf_done(&arguments);
    store_claim(store, &claim);
    store_flush(store);
    store_free(store);
    loop_free(loop);
}

static int begin_after_a_kill(void (*tune)(struct service_conf *conf))
{
    end_rooms();
    claim_without_an_end();
    serve_rooms(true, state_folder);
    calls_set_policy(served.calls, policy_of(plain_policy));
    serve_socket();
    configure(tune);
    return connect_client();
}

static void nobody_knows_after_a_kill(void **state)
{
    (void)state;
    int fd = begin_after_a_kill(NULL);
    struct fake *fake = stand_soon(fd);
    size_t before = calls_at(fake);
    for (uint32_t i = 0; i < 3; i++) {
        ask(fd, i, "tools.call", KEYED("k"));
        char *text = heard_soon(fd);
        assert_non_null(strstr(text, "\"code\":\"OUTCOME_UNKNOWN\""));
        assert_non_null(strstr(text, "\"retryable\":false"));
        assert_non_null(strstr(text, "\"begun_at\":\""));
        mem_free(text);
    }
    assert_int_equal(calls_at(fake), before);
    (void)close(fd);
}

static void what_does_no_harm_is_done_again(void **state)
{
    (void)state;
    int fd = begin_after_a_kill(make_harmless);
    struct fake *fake = stand_soon(fd);
    send_keyed(fd, fake, 1, KEYED("k"));
    answer_last(fake, RESULT);
    expect_soon(fd, "\"attempts\":1");
    (void)close(fd);
}

/* The answer was lost: this call hears it, and so does every repeat, over a restart too. */
static void a_lost_answer_is_not_asked_for_again(void **state)
{
    (void)state;
    int fd = connect_client();
    struct fake *fake = stand_soon(fd);
    send_keyed(fd, fake, 1, KEYED("k"));
    go_wrong(fake, &reset);
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    size_t before = calls_at(fake);
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    assert_int_equal(calls_at(fake), before);
    (void)close(fd);
    fd = restart();
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    (void)close(fd);
}

static void a_deadline_at_the_server_is_not_known(void **state)
{
    (void)state;
    int fd = connect_client();
    struct fake *fake = stand_soon(fd);
    send_keyed(fd, fake, 1, KEYED("k"));
    loop_advance(served.bench.loop, 30000 * MS);
    expect_soon(fd, "\"code\":\"TIMEOUT\"");
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    (void)close(fd);
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
    int fd = connect_client();
    struct fake *fake = stand_soon(fd);
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
    (void)close(fd);
}

/* A retry within the call belongs to the same claim. */
static void retries_are_of_one_claim(void **state)
{
    (void)state;
    int fd = connect_client();
    struct fake *fake = stand_soon(fd);
    send_keyed(fd, fake, 1, KEYED("k"));
    go_wrong(fake, &busy);
    assert_true(sent_within(fake, 1500 * MS));
    answer_last(fake, RESULT);
    expect_soon(fd, "\"attempts\":2");
    loop_advance(served.bench.loop, 1000 * MS); /* the pace behind a 429 */
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, REPEATED);
    (void)close(fd);
}

/* So does a stand-in: one claim, and its outcome is that of the call. */
static void a_stand_in_is_of_one_claim(void **state)
{
    (void)state;
    calls_set_policy(served.calls,
                     policy_of("agent 'a' { title = 'A', services = { '*' } }\n"
                               "fallback { on = { 'AUTH_FAILED' }, to = { s = 't' } }\n"));
    const struct wrong told = {ERR_AUTH_FAILED, FAILURE_AUTHENTICATION, false, true, -1};
    int fd = connect_client();
    struct fake *fake = stand_soon(fd);
    send_keyed(fd, fake, 1, KEYED("k"));
    go_wrong(fake, &told);
    turns(3);
    struct fake *other = fake_number(1);
    serve_echo(other);
    for (unsigned i = 0; i < 2000 && !calls_at(other); i++) {
        wait_a_little();
    }
    answer_last(other, RESULT);
    expect_soon(fd, "\"service\":\"t\",\"tool\":\"echo\",\"source\":\"fallback\"");
    ask(fd, 2, "tools.call", KEYED("k"));
    char *text = heard_soon(fd);
    assert_non_null(
        strstr(text, "\"service\":\"t\",\"tool\":\"echo\",\"source\":\"fallback\""));
    assert_non_null(strstr(text, "\"fallback_from\":\"s\""));
    assert_non_null(strstr(text, REPEATED));
    mem_free(text);
    assert_int_equal(calls_at(fake) + calls_at(other), 3);
    (void)close(fd);
}

/* ---- behind a gate that is shut --------------------------------------------------------------- */

static void an_outcome_passes_a_shut_gate(void **state)
{
    (void)state;
    int fd = connect_client();
    struct fake *fake = stand_soon(fd);
    send_keyed(fd, fake, 1, KEYED("k"));
    answer_last(fake, RESULT);
    mem_free(heard_soon(fd));
    (void)gates_force_breaker(served.gates, SLICE("s"), BREAKER_FORCED_OPEN, SLICE("by hand"));
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, REPEATED);
    ask(fd, 3, "tools.call", KEYED("another"));
    expect_soon(fd, "\"code\":\"CIRCUIT_OPEN\"");
    (void)gates_reset_breaker(served.gates, SLICE("s"));
    send_keyed(fd, fake, 4, KEYED("another")); /* nothing had been claimed for good */
    answer_last(fake, RESULT);
    expect_soon(fd, "\"attempts\":1");
    (void)close(fd);
}

/* What nobody knows is not claimed anew behind a shut gate either. */
static void a_shut_gate_forgets_no_claim(void **state)
{
    (void)state;
    int fd = begin_after_a_kill(NULL);
    struct fake *fake = stand_soon(fd);
    (void)gates_force_breaker(served.gates, SLICE("s"), BREAKER_FORCED_OPEN, SLICE("by hand"));
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    (void)gates_force_breaker(served.gates, SLICE("s"), BREAKER_BY_ITSELF, SLICE(""));
    ask(fd, 3, "tools.call", KEYED("k"));
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    assert_int_equal(calls_at(fake), 1);
    (void)close(fd);
}

/* ---- what cannot be kept, and what is no key ----------------------------------------------------- */

static void a_result_may_be_too_long(void **state)
{
    enum { LONG = STORE_OUTCOME_MAX + 10 };
    (void)state;
    int fd = connect_client();
    struct fake *fake = stand_soon(fd);
    send_keyed(fd, fake, 1, KEYED("k"));
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
    (void)close(fd);
    fd = connect_client();
    ask(fd, 2, "tools.call", KEYED("k"));
    char *text = heard_soon(fd);
    assert_non_null(strstr(text, "\"code\":\"CONFLICT\""));
    assert_non_null(strstr(text, "was carried out at 20"));
    assert_non_null(strstr(text, "too long to be kept"));
    mem_free(text);
    (void)close(fd);
}

static void keys_have_bounds(void **state)
{
    char json[600];
    char key[257];
    (void)state;
    int fd = connect_client();
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
    (void)close(fd);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
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
