/* SPDX-License-Identifier: MIT */
/* test_once_rare.c - calls with an idempotency_key where something that rarely fails does: memory, a lever
 * that is moved meanwhile, a disk that says nothing. */
#include "keying.h"

#include <sqlite3.h>

#define KEYED_NUMBER(json, i)                                                              \
    (void)snprintf(json, sizeof(json),                                                     \
                   "{\"tool\":\"s/echo\",\"agent\":\"a\",\"arguments\":{\"text\":\"hi\"}," \
                   "\"idempotency_key\":\"k%u\"}",                                         \
                   (unsigned)(i))

/* ---- memory ------------------------------------------------------------------------------- */

static void end_without_the_nth_piece(struct fake *fake, unsigned nth, bool is_lost)
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
    char json[200];
    (void)state;
    int fd = connect_client();
    struct fake *fake = stand_soon(fd);
    for (unsigned i = 2; i < 60; i++) {
        bool is_lost = i % 2;
        KEYED_NUMBER(json, i);
        (void)gates_reset_breaker(served.gates, SLICE("s"));
        send_keyed(fd, fake, 1, json);
        size_t before = calls_at(fake);
        end_without_the_nth_piece(fake, i / 2, is_lost);
        mem_free(heard_soon(fd));
        (void)gates_reset_breaker(served.gates, SLICE("s"));
        ask(fd, 2, "tools.call", json);
        char *text = heard_soon(fd);
        assert_int_equal(calls_at(fake), before);
        assert_int_equal(is_lost, strstr(text, "\"code\":\"OUTCOME_UNKNOWN\"") != NULL);
        mem_free(text);
    }
    (void)close(fd);
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
    int fd = connect_client();
    configure(make_harmless);
    struct fake *fake = stand_soon(fd);
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
    (void)close(fd);
}

/* ---- the disk ----------------------------------------------------------------------------- */

static const char answering_policy[] = "agent 'a' { title = 'A', services = { '*' } }\n"
                                       "function on_failure(call, failure)\n"
                                       "  return answer({ said = 'by policy' })\nend\n";

/* Whether an earlier call was carried out is not known by the deadline: policy's answer would hide it. */
static void no_answer_hides_what_the_disk_did_not_tell(void **state)
{
    (void)state;
    calls_set_policy(served.calls, policy_of(answering_policy));
    int fd = connect_client();
    struct fake *fake = stand_soon(fd);
    size_t before = calls_at(fake);
    ask(fd, 1, "tools.call",
        "{\"tool\":\"s/echo\",\"agent\":\"a\",\"timeout_ms\":1000,"
        "\"arguments\":{\"text\":\"hi\"},\"idempotency_key\":\"k\"}");
    loop_turn(served.bench.loop, 0);
    assert_int_equal(calls_count(served.calls), 1);
    loop_advance(served.bench.loop, 1000 * MS);
    char *text = heard_soon(fd);
    if (!strstr(text, "\"code\":\"TIMEOUT\"")) {
        fail_msg("%s", text);
    }
    mem_free(text);
    assert_int_equal(calls_at(fake), before);
    send_keyed(fd, fake, 2, KEYED("k")); /* where the disk has told, policy is asked as ever */
    go_wrong(fake, &refused);
    (void)gates_force_breaker(served.gates, SLICE("s"), BREAKER_FORCED_OPEN, SLICE("by hand"));
    loop_advance(served.bench.loop, 2000 * MS);
    expect_soon(fd, "by policy");
    (void)close(fd);
}

/* Whoever waits hears as well that a restart may forget it. */
static void who_waits_hears_that_it_is_not_on_disk(void **state)
{
    char path[160];
    sqlite3 *db = NULL;
    (void)state;
    int fd = connect_client();
    struct fake *fake = stand_soon(fd);
    send_keyed(fd, fake, 1, KEYED("k"));
    ask(fd, 2, "tools.call", KEYED("k"));
    turns(3);
    (void)snprintf(path, sizeof path, "%s/%s", state_folder, STORE_FILE);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    answer_last(fake, RESULT);
    for (unsigned i = 0; i < 5000 && calls_count(served.calls); i++) {
        wait_a_little();
    }
    ask(fd, 3, "tools.call", KEYED("k"));
    char *text = heard_soon(fd);
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, "its outcome is not on disk")); at++) {
        count++;
    }
    if (count != 3) {
        fail_msg("%s", text);
    }
    mem_free(text);
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    (void)close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(without_memory_a_key_is_not_free),
        TEST(what_does_harm_by_now_is_not_sent_again),
        TEST(no_answer_hides_what_the_disk_did_not_tell),
        TEST(who_waits_hears_that_it_is_not_on_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
