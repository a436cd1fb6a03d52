/* SPDX-License-Identifier: MIT */
/* test_once_state.c - repeats with an idempotency_key when the service, the policy or the disk is in
 * another state than the first time; and answers of which a later step was lost. */
#include "keyed_client.h"

#include "call/call_internal.h"

#define KEYED_AT(tool, key) \
    "{\"tool\":\"" tool     \
    "\",\"agent\":\"a\",\"arguments\":{\"text\":\"hi\"},\"idempotency_key\":\"" key "\"}"

static const char demo_policy[] =
    "agent 'a' { title = 'A', services = { '*' } }\n"
    "demo { when = 'unavailable', agents = '*' }\n"
    "demo_answer 's' { tool = 'echo', input = { type = 'object' },\n"
    "  result = { said = 'a demo' } }\n";

static void expect_repeat(const char *json)
{
    ask(fd, 77, "tools.call", json);
    expect_parts(heard_soon(fd), "\"text\":\"done\"", REPEATED);
}

/* ---- what policy decides now ------------------------------------------------------------------ */

/* It was carried out; that a demo answer would stand in by now is no reason to hide that. */
static void an_outcome_goes_before_a_demo(void **state)
{
    (void)state;
    calls_set_policy(served.calls, policy_of(demo_policy));
    come_and_finish();
    force_open("s");
    expect_repeat(KEYED("k"));
    ask(fd, 3, "tools.call", KEYED("another"));
    expect_soon(fd, "a demo");
    (void)gates_reset_breaker(served.gates, SLICE("s"));
    send_keyed(fd, fake, 4, KEYED("another")); /* a demo did nothing */
    answer_last(fake, RESULT);
    expect_soon(fd, "\"source\":\"live\"");
}

static void switch_off(struct service_conf *conf)
{
    conf->enabled = false;
}

static void an_outcome_outlives_its_service(void **state)
{
    (void)state;
    come_and_finish();
    configure(switch_off);
    expect_repeat(KEYED("k"));
    ask(fd, 3, "tools.call", KEYED("another"));
    expect_soon(fd, "\"code\":\"DISABLED\"");
    struct service_conf *list[] = {plain_conf("t", "t")};
    apply_served(list, 1);
    expect_repeat(KEYED("k"));
    ask(fd, 4, "tools.call", KEYED("another"));
    expect_soon(fd, "\"code\":\"NOT_FOUND\"");
}

/* Who may not call it any more may not read what came of it. */
static void a_denial_tells_nothing(void **state)
{
    (void)state;
    come_and_finish();
    calls_set_policy(served.calls,
                     policy_of("agent 'a' { title = 'A', services = { 't' } }\n"));
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, "\"code\":\"POLICY_DENIED\"");
}

/* The first one is at the server when the service is held: the repeat waits for it. */
static void who_would_get_a_demo_waits_too(void **state)
{
    (void)state;
    calls_set_policy(served.calls, policy_of(demo_policy));
    come_and_send();
    force_open("s");
    ask(fd, 2, "tools.call", KEYED("k"));
    ask(fd, 3, "calls.list", "{}");
    expect_heard(fd, "\"waits_for\":\"same key\"");
    go_wrong(fake, &unauthorized); /* nothing was done: the demo stands in after all */
    expect_soon(fd, "[1,1,{\"code\":\"AUTH_FAILED\"");
    expect_soon(fd, "a demo");
    assert_int_equal(calls_count(served.calls), 0);
}

static void who_looks_may_be_cancelled(void **state)
{
    (void)state;
    calls_set_policy(served.calls, policy_of(demo_policy));
    come_soon();
    force_open("s");
    ask(fd, 1, "tools.call", KEYED("k"));
    loop_turn(served.bench.loop, 0);
    cancel_call(fd, 1);
    expect_soon(fd, "[1,1,{\"code\":\"CANCELLED\"");
    (void)gates_reset_breaker(served.gates, SLICE("s"));
    send_keyed(fd, fake, 2, KEYED("k"));
    answer_last(fake, RESULT);
    expect_soon(fd, "\"attempts\":1");
}

/* What is harmless at one target says nothing of the one that may have done it. */
static void a_claim_is_taken_over_by_no_other_target(void **state)
{
    (void)state;
    end_rooms();
    claim_without_an_end("both");
    serve_rooms(true, state_folder);
    calls_set_policy(served.calls,
                     policy_of("agent 'a' { title = 'A', services = { '*' } }\n"
                               "operation 'both' { description = 'B', agents = { 'a' },\n"
                               "  input = { type = 'object' }, targets = {\n"
                               "  { service = 't', tool = 'echo' },\n"
                               "  { service = 's', tool = 'echo' } } }\n"));
    serve_socket();
    configure(make_harmless); /* s; that it was t which did it perhaps, nobody knows by now */
    come_soon();
    force_open("t");
    ask(fd, 1, "tools.call", KEYED_AT("both", "k"));
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    assert_int_equal(calls_at(fake), 1);
}

/* ---- deadlines -------------------------------------------------------------------------------- */

/* The key is not on disk when the deadline passes: nothing is sent elsewhere either. */
static void a_stand_in_comes_not_after_the_deadline(void **state)
{
    (void)state;
    calls_set_policy(served.calls,
                     policy_of("agent 'a' { title = 'A', services = { '*' } }\n"
                               "function on_failure(call, failure)\n"
                               "  return use('t', 'echo', { text = 'hi' })\nend\n"));
    come_soon();
    size_t before = calls_at(fake);
    ask(fd, 1, "tools.call", KEYED_IN(1000, "k"));
    loop_turn(served.bench.loop, 0);
    loop_advance(served.bench.loop, 1000 * MS);
    expect_parts(heard_soon(fd), "\"code\":\"TIMEOUT\"", "was not on disk yet");
    assert_int_equal(calls_at(fake), before);
    assert_int_equal(served.bench.fake_count, 1);
}

/* Likewise behind a gate that is shut, where the disk is asked what came of an earlier call. */
static void a_look_at_the_disk_has_a_deadline(void **state)
{
    (void)state;
    come_soon();
    force_open("s");
    ask(fd, 1, "tools.call", KEYED_IN(1000, "k"));
    turn(&served.bench); /* the refusal */
    loop_advance(served.bench.loop, 0);
    assert_int_equal(calls_count(served.calls), 1);
    loop_advance(served.bench.loop, 1000 * MS);
    assert_int_equal(calls_count(served.calls), 0);
    expect_soon(fd, "\"code\":\"CIRCUIT_OPEN\"");
}

/* Nor is a demo answer given for what may have been done, as long as nobody can see whether it was. */
static void no_demo_hides_what_cannot_be_read(void **state)
{
    (void)state;
    calls_set_policy(served.calls, policy_of(demo_policy));
    come_soon();
    force_open("s");
    ask(fd, 1, "tools.call", KEYED_IN(1000, "k"));
    loop_turn(served.bench.loop, 0);
    assert_int_equal(calls_count(served.calls), 1);
    loop_advance(served.bench.loop, 1000 * MS);
    expect_parts(heard_soon(fd), "\"code\":\"UNAVAILABLE\"", "\"retryable\":true");
}

/* ---- what was sent, and of which a later step was refused ------------------------------------- */

/* The request was taken; that its answer could not be fetched (401 to the GET that resumes its
 * stream, 429 to one that asks for its task) does not mean that nothing was done. */
static void a_refusal_of_a_later_step_is_no_answer(void **state)
{
    static const struct wrong told[] = {
        {ERR_AUTH_FAILED, FAILURE_AUTHENTICATION, false, false, -1},
        {ERR_RATE_LIMITED, FAILURE_RATE_LIMIT, false, false, -1},
    };
    static const char *const keys[] = {KEYED("k0"), KEYED("k1")};
    (void)state;
    calls_set_policy(
        served.calls,
        policy_of("agent 'a' { title = 'A', services = { '*' } }\n"
                  "fallback { on = { 'AUTH_FAILED', 'RATE_LIMITED' }, to = { s = 't' } }\n"));
    come_soon();
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        size_t before = calls_at(fake);
        send_keyed(fd, fake, 1, keys[i]);
        go_wrong(fake, &told[i]);
        char *text = heard_soon(fd);
        if (!strstr(text, "\"code\":\"OUTCOME_UNKNOWN\"") ||
            !strstr(text, "\"retryable\":false")) {
            fail_msg("%s", text);
        }
        mem_free(text);
        loop_advance(served.bench.loop, 61000 * MS);
        ask(fd, 2, "tools.call", keys[i]);
        expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
        assert_int_equal(calls_at(fake), before + 1);
    }
    assert_int_equal(served.bench.fake_count, 1); /* no stand-in */
}

/* The tool is carried out as a task; that its state was refused says nothing of what it does. */
static void a_task_that_goes_on_is_not_known(void **state)
{
    (void)state;
    fd = connect_client();
    ask(fd, 1, "tools.call", KEYED("k"));
    for (unsigned i = 0; i < 2000 && !served.bench.fake_count; i++) {
        wait_a_little();
    }
    fake = fake_number(0);
    fake_opened(fake);
    answer_last(fake, "{'protocolVersion':'2025-11-25','capabilities':{'tools':{},'tasks':{"
                      "'requests':{'tools':{'call':{}}}}},'serverInfo':{'name':'f',"
                      "'version':'1'}}");
    answer_last(fake, "{'tools':[{'name':'echo','inputSchema':{'type':'object'},"
                      "'execution':{'taskSupport':'required'}}]}");
    wait_for_call(fake, 0);
    answer_last(fake, "{'task':{'taskId':'tk','status':'working','ttl':60000}}");
    loop_advance(served.bench.loop, 1000 * MS);
    turns(2);
    assert_int_equal(count_sent(fake, "\"tasks/get\""), 1);
    unsigned long long id = last_id(fake);
    struct failure refused_it = {0};
    failure_set(&refused_it, ERR_AUTH_FAILED, "403"); /* as http_answer.c has it */
    refused_it.class = FAILURE_ANSWER;
    fake->events->exchange_ended(fake->arg, id, &refused_it, false);
    failure_done(&refused_it);
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    assert_int_equal(calls_at(fake), 1);
}

/* The server has the request and asks; nobody answers in time. */
static void a_question_that_nobody_answers_leaves_it_unknown(void **state)
{
    (void)state;
    (void)come_and_be_asked();
    loop_advance(served.bench.loop, 30000 * MS);
    char *text = heard_soon(fd);
    if (!strstr(text, "[1,1,")) { /* the question is taken back */
        mem_free(text);
        text = heard_soon(fd);
    }
    assert_non_null(strstr(text, "\"code\":\"TIMEOUT\""));
    assert_non_null(strstr(text, "\"retryable\":false"));
    mem_free(text);
    ask(fd, 2, "tools.call", KEYED("k"));
    expect_soon(fd, "\"code\":\"OUTCOME_UNKNOWN\"");
    assert_int_equal(calls_at(fake), 2);
}

/* ---- who is blamed ---------------------------------------------------------------------------- */

/* A stand-in that may not follow was not asked: the failure is that of the one that was. */
static void a_stand_in_that_is_not_asked_is_not_named(void **state)
{
    (void)state;
    calls_set_policy(served.calls,
                     policy_of("agent 'a' { title = 'A', services = { '*' } }\n"
                               "message('en', 'outcome_unknown', 'ask {title}')\n"
                               "function on_failure(call, failure)\n"
                               "  return use('t', 'echo', { text = 'hi' })\nend\n"));
    come_and_send();
    ask(fd, 2, "calls.list", "{}");
    expect_heard(fd, "\"service\":\"s\"");
    go_wrong(fake, &reset);
    char *text = heard_soon(fd);
    assert_non_null(strstr(text, "\"code\":\"OUTCOME_UNKNOWN\""));
    if (!strstr(text, "ask s")) {
        fail_msg("%s", text);
    }
    mem_free(text);
}

/* ---- one attempt ------------------------------------------------------------------------------ */

static void note_end(void *arg, const struct attempt_end *end)
{
    *(enum err_code *)arg = end->failure ? end->failure->code : ERR_NONE;
    assert_false(end->was_sent);
}

/* However late the loop is, nothing is sent that is given up in the same moment. */
static void nothing_is_sent_after_the_deadline(void **state)
{
    static const struct attempt_events events = {.done = note_end};
    (void)state;
    come_soon();
    enum err_code code = ERR_COUNT;
    struct buf arguments;
    struct attempt attempt;
    const struct attempt_options options = {
        .service = SLICE("s"),
        .call = {.method = MCP_TOOLS_CALL,
                 .name = SLICE("echo"),
                 .arguments = pack(&arguments, "{\"text\":\"hi\"}"),
                 .deadline = loop_now(served.bench.loop)}};
    attempt_init(&attempt, &served.calls->room);
    attempt_start(&attempt, &options, &events, &code);
    turns(3);
    assert_int_equal(code, ERR_TIMEOUT);
    assert_int_equal(calls_at(fake), 1);
    struct gate_view view;
    assert_true(gates_view(served.gates, SLICE("s"), &view));
    assert_int_equal(view.inside, 0);
    attempt_done(&attempt);
    buf_done(&arguments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_outcome_goes_before_a_demo),
        TEST(an_outcome_outlives_its_service),
        TEST(a_denial_tells_nothing),
        TEST(who_would_get_a_demo_waits_too),
        TEST(who_looks_may_be_cancelled),
        TEST(a_claim_is_taken_over_by_no_other_target),
        TEST(a_stand_in_comes_not_after_the_deadline),
        TEST(a_look_at_the_disk_has_a_deadline),
        TEST(no_demo_hides_what_cannot_be_read),
        TEST(a_refusal_of_a_later_step_is_no_answer),
        TEST(a_task_that_goes_on_is_not_known),
        TEST(a_question_that_nobody_answers_leaves_it_unknown),
        TEST(nothing_is_sent_after_the_deadline),
        TEST(a_stand_in_that_is_not_asked_is_not_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
