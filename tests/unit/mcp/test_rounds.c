/* SPDX-License-Identifier: MIT */
/* test_rounds.c - modern servers that want input first: the client is asked, the call sent again. */
#include "caller.h"

#define OFFERS "{'tools':{},'prompts':{},'resources':{}}"

static struct fake *calling(struct bench *bench, struct caller *caller, unsigned capabilities)
{
    struct fake *fake = ready(bench, true, true, OFFERS, ECHO_TOOL);
    wish(bench, caller, .client = 1, .capabilities = capabilities, .meta = "{\"k\":7}",
         .log_level = "info");
    return fake;
}

static void input_is_asked_for_and_sent(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = calling(&bench, &caller, ALL_CAPABILITIES);
    unsigned long long first = last_id(fake);
    assert_has(last_sent(fake),
               "\"io.modelcontextprotocol/clientCapabilities\":{\"elicitation\":{"
               "\"form\":{},\"url\":{}},\"sampling\":{");
    answer_last(fake, "{'resultType':'input_required','inputRequests':{"
                      "'sure':{'method':'elicitation/create','params':{'mode':'form','message':"
                      "'m','requestedSchema':{}}},"
                      "'roots':{'method':'roots/list'}},'requestState':'v1.\\u00e9\\n\\\"k'}");
    assert_string_equal(caller.asked, "elicitation/create {\"mode\":\"form\",\"message\":\"m\","
                                      "\"requestedSchema\":{}} roots/list {} ");
    assert_has(caller.told.waits, "answer client ");
    size_t sent = fake->count;
    answer_ask(&caller, 1, "{\"roots\":[]}");
    turn(&bench);
    assert_int_equal(fake->count, sent); /* all of them first */
    answer_ask(&caller, 0, "{\"action\":\"accept\",\"content\":{\"ok\":true}}");
    turn(&bench);
    assert_int_equal(fake->count, sent + 1);
    assert_true(last_id(fake) > first);
    assert_has(
        last_sent(fake),
        "\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{\"text\":"
        "\"hi\"},\"inputResponses\":{\"roots\":{\"roots\":[]},\"sure\":{\"action\":"
        "\"accept\",\"content\":{\"ok\":true}}},\"requestState\":\"v1.\xc3\xa9\\n\\\"k\","
        "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"");
    assert_has(last_sent(fake), "\"io.modelcontextprotocol/logLevel\":\"info\"");
    assert_has(last_sent(fake), "\"k\":7");
    assert_string_equal(fake->about[fake->count - 1], "tools/call echo");
    /* Another round, without a state: then none is sent. */
    answer_last(fake, "{'resultType':'input_required','inputRequests':{'more':{'method':"
                      "'elicitation/create','params':{'mode':'url','url':'https://x','message':"
                      "''}}}}");
    answer_ask(&caller, 2, "{\"action\":\"accept\"}");
    turn(&bench);
    assert_has(last_sent(fake),
               "\"inputResponses\":{\"more\":{\"action\":\"accept\"}},\"_meta\"");
    assert_null(strstr(last_sent(fake), "requestState"));
    answer_last(fake, "{'resultType':'complete','content':[]}");
    assert_string_equal(caller.told.text, "{\"resultType\":\"complete\",\"content\":[]}");
    assert_int_equal(caller.declined, 0);
    assert_int_equal(caller.ended, 0);
    caller_free(&caller);
    /* Nothing of it reaches the next call. */
    wish(&bench, &caller, .client = 1, .capabilities = ALL_CAPABILITIES);
    assert_null(strstr(last_sent(fake), "inputResponses"));
    mcp_cancel(caller.told.request, "test");
    caller_free(&caller);
    bench_done(&bench);
}

static void prompts_and_resources_ask_too(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {.says = "{\"action\":\"accept\"}"};
    struct fake *fake = ready(&bench, false, true, OFFERS, ECHO_TOOL);
    const enum mcp_method methods[] = {MCP_PROMPTS_GET, MCP_RESOURCES_READ};
    for (size_t i = 0; i < 2; i++) {
        caller.says = "{\"action\":\"accept\"}";
        wish(&bench, &caller, .method = methods[i], .name = "file:///x", .client = 1,
             .capabilities = MCP_CAN_ELICIT);
        answer_last(fake, "{'resultType':'input_required','inputRequests':{'a':{'method':"
                          "'elicitation/create','params':{'message':'m'}}}}");
        turn(&bench);
        assert_has(last_sent(fake), "\"file:///x\"");
        assert_has(last_sent(fake), "\"inputResponses\":{\"a\":{\"action\":\"accept\"}}");
        answer_last(fake, "{}");
        assert_int_equal(caller.told.done, 1);
        caller_free(&caller);
    }
    bench_done(&bench);
}

/* A server that is busy asks for patience: the state goes back to it, not at once. */
static void a_state_without_questions_is_sent_later(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = calling(&bench, &caller, 0);
    for (unsigned i = 0; i < 3; i++) {
        size_t sent = fake->count;
        answer_last(fake, "{'resultType':'input_required','requestState':''}");
        loop_advance(bench.loop, (250 << i) * MS - MS);
        turn(&bench);
        assert_int_equal(fake->count, sent);
        loop_advance(bench.loop, MS);
        turn(&bench);
        assert_int_equal(fake->count, sent + 1);
        assert_has(last_sent(fake), "\"requestState\":\"\"");
        assert_null(strstr(last_sent(fake), "inputResponses"));
    }
    answer_last(fake, "{'resultType':'input_required','requestState':'x'}");
    mcp_cancel(caller.told.request, "test"); /* while it waits */
    loop_advance(bench.loop, 10000 * MS);
    caller_free(&caller);
    bench_done(&bench);
}

static void endless_rounds_are_stopped(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {.says = "{\"action\":\"accept\"}"};
    struct fake *fake = calling(&bench, &caller, MCP_CAN_ELICIT);
    size_t sent = fake->count;
    for (int i = 0; i < 11; i++) {
        assert_int_equal(caller.told.done, 0);
        answer_last(fake, "{'resultType':'input_required','inputRequests':{'a':{'method':"
                          "'elicitation/create','params':{'message':'m'}}}}");
        turn(&bench);
    }
    assert_int_equal(fake->count, sent + 10);
    assert_int_equal(caller.told.done, 1);
    assert_int_equal(caller.told.code, ERR_NONE); /* a result, which the model sees */
    assert_has(caller.told.text, "\"isError\":true");
    assert_has(caller.told.text, "asked for input 10 times");
    caller_free(&caller);
    caller.says = "{\"action\":\"accept\"}";
    wish(&bench, &caller, .method = MCP_PROMPTS_GET, .client = 1,
         .capabilities = MCP_CAN_ELICIT);
    for (int i = 0; i < 11; i++) {
        answer_last(fake, "{'resultType':'input_required','inputRequests':{'a':{'method':"
                          "'elicitation/create','params':{'message':'m'}}}}");
        turn(&bench);
    }
    assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "again and again");
    caller_free(&caller);
    bench_done(&bench);
}

static void what_breaks_the_rules_fails(void **state)
{
    static const struct {
        const char *rest, *says;
    } cases[] = {
        {"", "does not say which"},
        {",'requestState':7", "`requestState` is no string"},
        {",'requestState':null", "`requestState` is no string"},
        {",'inputRequests':[1]", "`inputRequests` is no object"},
        {",'inputRequests':{'a':{'method':'brew/coffee'}}", "no input request"},
        {",'inputRequests':{'a':{}}", "no input request"},
        {",'inputRequests':{'a':5}", "no input request"},
        {",'inputRequests':{'a':{'method':'roots/list','params':[]}}", "are no object"},
        {",'inputRequests':{'a':{'method':'roots/list'}}", "did not declare"},
        {",'inputRequests':{'a':{'method':'sampling/createMessage','params':{}}}",
         "did not declare"},
        {",'inputRequests':{'ok':{'method':'elicitation/create','params':{}},'a':{'method':"
         "'elicitation/create','params':{'mode':'url'}}}",
         "did not declare"},
        {",'inputRequests':{'1':{'method':'elicitation/create'},'2':{'method':'elicitation/"
         "create'"
         "},'3':{'method':'elicitation/create'},'4':{'method':'elicitation/"
         "create'},'5':{'method':"
         "'elicitation/create'},'6':{'method':'elicitation/create'},'7':{'method':"
         "'elicitation/create'},'8':{'method':'elicitation/create'},'9':{'method':"
         "'elicitation/create'},'a':{'method':'elicitation/create'},'b':{'method':"
         "'elicitation/create'},'c':{'method':'elicitation/create'},'d':{'method':"
         "'elicitation/create'},'e':{'method':'elicitation/create'},'f':{'method':"
         "'elicitation/create'},'g':{'method':'elicitation/create'},'h':{'method':"
         "'elicitation/create'}}",
         "more than 16"},
    };
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = ready(&bench, false, true, OFFERS, ECHO_TOOL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char result[2048];
        wish(&bench, &caller, .client = 1, .capabilities = MCP_CAN_ELICIT);
        (void)snprintf(result, sizeof result, "{'resultType':'input_required'%s}",
                       cases[i].rest);
        answer_last(fake, result);
        turn(&bench);
        assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, cases[i].says);
        assert_int_equal(caller.ask_count, 0);
        caller_free(&caller);
    }
    bench_done(&bench);
}

static void a_form_can_be_declined_and_nothing_else(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = calling(&bench, &caller, ALL_CAPABILITIES);
    answer_last(fake, "{'resultType':'input_required','inputRequests':{'a':{'method':"
                      "'elicitation/create','params':{}}}}");
    answer_ask(&caller, 0, NULL);
    turn(&bench);
    assert_has(last_sent(fake), "\"inputResponses\":{\"a\":{\"action\":\"decline\"}}");
    answer_last(fake,
                "{'resultType':'input_required','inputRequests':{'a':{'method':"
                "'elicitation/create','params':{}},'b':{'method':'sampling/createMessage',"
                "'params':{}}}}");
    size_t sent = fake->count;
    answer_ask(&caller, 2, NULL);
    turn(&bench);
    assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                "it asked for `sampling/createMessage`");
    assert_int_equal(caller.ended, 1); /* the other one */
    assert_int_equal(caller.declined, 2);
    assert_false(caller.told.is_retryable);
    assert_int_equal(fake->count, sent);
    caller_free(&caller);
    bench_done(&bench);
}

static void who_cannot_be_asked_declares_nothing(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = ready(&bench, false, true, OFFERS, ECHO_TOOL);
    wish(&bench, &caller, .client = 1, .capabilities = ALL_CAPABILITIES | MCP_CAN_SHOW_APPS,
         .is_deaf = true);
    assert_null(strstr(last_sent(fake), "elicitation"));
    assert_has(last_sent(fake), "\"io.modelcontextprotocol/ui\"");
    answer_last(fake, "{'resultType':'input_required','inputRequests':{'a':{'method':"
                      "'elicitation/create','params':{}}}}");
    assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "did not declare");
    caller_free(&caller);
    wish(&bench, &caller, .client = 0, .capabilities = ALL_CAPABILITIES);
    assert_null(strstr(last_sent(fake), "elicitation"));
    mcp_cancel(caller.told.request, "test");
    caller_free(&caller);
    bench_done(&bench);
}

static void a_call_may_end_while_it_asks(void **state)
{
    static const char question[] =
        "{'resultType':'input_required','inputRequests':{'a':{'method':'elicitation/create',"
        "'params':{}},'b':{'method':'elicitation/create','params':{}}}}";
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = calling(&bench, &caller, ALL_CAPABILITIES);
    size_t sent = fake->count;
    answer_last(fake, question);
    assert_int_equal(caller.ask_count, 2);
    mcp_cancel(caller.told.request, "test");
    caller_free(&caller);

    caller.leaves = true;
    wish(&bench, &caller, .client = 1, .capabilities = ALL_CAPABILITIES);
    answer_last(fake, question);
    assert_int_equal(caller.ask_count, 1); /* it left at the first */
    caller_free(&caller);

    wish(&bench, &caller, .client = 1, .capabilities = ALL_CAPABILITIES, .timeout = 90 * MS);
    answer_last(fake, question);
    answer_ask(&caller, 0, "{\"action\":\"accept\"}");
    loop_advance(bench.loop, 90 * MS);
    assert_told(caller.told, ERR_TIMEOUT, "had asked the client something");
    assert_int_equal(caller.ended, 1);
    assert_int_equal(fake->count, sent + 2); /* the two calls, and nothing about them */
    caller_free(&caller);
    bench_done(&bench);
}

static void ask_about(struct fake *fake, unsigned long long id, const char *who)
{
    say_on(
        fake, id,
        "{'jsonrpc':'2.0','id':%llu,'result':{'resultType':'input_required','inputRequests':{"
        "'k':{'method':'elicitation/create','params':{}}},'requestState':'of %s'}}",
        id, who);
}

/* Two calls at once, the same keys and states: each gets its own. */
static void rounds_do_not_mix(void **state)
{
    (void)state;
    struct bench bench;
    struct caller a = {0};
    struct caller b = {0};
    struct fake *fake = calling(&bench, &a, ALL_CAPABILITIES);
    unsigned long long of_a = last_id(fake);
    wish(&bench, &b, .client = 2, .capabilities = ALL_CAPABILITIES);
    unsigned long long of_b = last_id(fake);
    ask_about(fake, of_a, "a");
    ask_about(fake, of_b, "b");
    answer_ask(&b, 0, "{\"action\":\"accept\",\"content\":{\"who\":\"b\"}}");
    turn(&bench);
    assert_has(last_sent(fake), "{\"who\":\"b\"}}},\"requestState\":\"of b\"");
    answer_ask(&a, 0, "{\"action\":\"accept\",\"content\":{\"who\":\"a\"}}");
    turn(&bench);
    assert_has(last_sent(fake), "{\"who\":\"a\"}}},\"requestState\":\"of a\"");
    mcp_cancel(a.told.request, "test");
    mcp_cancel(b.told.request, "test");
    caller_free(&a);
    caller_free(&b);
    bench_done(&bench);
}

/* The first round may have done something, so that an answer to the second excuses nothing. */
static void a_broken_round_fails(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {.says = "{\"action\":\"accept\"}"};
    struct fake *fake = ready(&bench, true, true, OFFERS, ECHO_TOOL);
    wish(&bench, &caller, .client = 1, .capabilities = MCP_CAN_ELICIT, .may_repeat = true);
    answer_last(fake, "{'resultType':'input_required','inputRequests':{'a':{'method':"
                      "'elicitation/create','params':{}}},'requestState':'s'}");
    turn(&bench);
    size_t sent = fake->count;
    struct failure failure = {0};
    failure_set(&failure, ERR_UNAVAILABLE, "answered 503");
    failure.class = FAILURE_SERVER;
    failure.is_nothing_done = true;
    fake->events->exchange_ended(fake->arg, last_id(fake), &failure, false);
    failure_done(&failure);
    turn(&bench);
    assert_int_equal(fake->count, sent);
    assert_told(caller.told, ERR_UNAVAILABLE, "answered 503");
    assert_int_equal(caller.told.class, FAILURE_SERVER);
    assert_false(caller.told.is_nothing_done);
    assert_true(caller.told.sent && caller.told.is_harmless);
    caller_free(&caller);
    bench_done(&bench);
}

static void note_end(void *arg)
{
    ((struct bench *)arg)->has_ended = true;
}

static void pages_are_opened_though_a_question_was_open(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    bench_init(&bench, false);
    apply_one(&bench, conf_new("s", "1"));
    wish(&bench, &caller, .client = 7, .capabilities = ALL_CAPABILITIES);
    struct fake *fake = fake_at(&bench, 0);
    serve_echo(fake);
    unsigned long long id = last_id(fake);
    say(fake, "{'jsonrpc':'2.0','id':1,'method':'elicitation/"
              "create','params':{'message':'m','requestedSchema':{}}}");
    assert_int_equal(caller.ask_count, 1);
    say(fake,
        "{'jsonrpc':'2.0','id':%llu,'error':{'code':-32042,'message':'x','data':{'elicitations'"
        ":[{'mode':'url','url':'https://x','elicitationId':'e','message':'m'}]}}}",
        id);
    turn(&bench);
    assert_int_equal(caller.ask_count, 2);
    assert_int_equal(caller.ended, 1);
    answer_ask(&caller, 1, "{\"action\":\"accept\"}");
    turn(&bench);
    turn(&bench);
    assert_int_equal(count_sent(fake, "tools/call"), 2);
    answer_last(fake, "{'content':[]}");
    assert_told(caller.told, ERR_NONE, "content");
    caller_free(&caller);
    bench_done(&bench);
}

static void who_is_asked_at_the_end_is_told_of_it(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = ready(&bench, false, true, "{'tools':{}}", ECHO_TOOL);
    wish(&bench, &caller, .client = 7, .capabilities = ALL_CAPABILITIES);
    answer_last(fake, "{'resultType':'input_required','inputRequests':{'k':{'method':'"
                      "elicitation/create','params':{'message':'m','requestedSchema':{}}}}}");
    turn(&bench);
    assert_int_equal(caller.ask_count, 1);
    mcp_services_close(bench.services, loop_now(bench.loop) + 1000 * MS, note_end, &bench);
    turn(&bench);
    turn(&bench);
    fake_closed(fake);
    turn(&bench);
    if (caller.asks[0]) {
        answer_ask(&caller, 0, "{\"action\":\"accept\"}");
    }
    turn(&bench);
    turn(&bench);
    assert_int_equal(bench.fake_count, 1);
    assert_true(bench.has_ended);
    assert_told(caller.told, ERR_SHUTTING_DOWN, "ending");
    caller_free(&caller);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(input_is_asked_for_and_sent),
        cmocka_unit_test(prompts_and_resources_ask_too),
        cmocka_unit_test(a_state_without_questions_is_sent_later),
        cmocka_unit_test(endless_rounds_are_stopped),
        cmocka_unit_test(what_breaks_the_rules_fails),
        cmocka_unit_test(a_form_can_be_declined_and_nothing_else),
        cmocka_unit_test(who_cannot_be_asked_declares_nothing),
        cmocka_unit_test(a_call_may_end_while_it_asks),
        cmocka_unit_test(rounds_do_not_mix),
        cmocka_unit_test(a_broken_round_fails),
        cmocka_unit_test(pages_are_opened_though_a_question_was_open),
        cmocka_unit_test(who_is_asked_at_the_end_is_told_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
