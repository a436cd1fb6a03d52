/* SPDX-License-Identifier: MIT */
/* test_asks.c - questions of legacy servers: to the client of that very call, and to nobody else. */
#include "caller.h"

#define ELICIT "'method':'elicitation/create','params':{'message':'Sure?','requestedSchema':{}}"
#define SAMPLE "'method':'sampling/createMessage','params':{'messages':[],'maxTokens':9}"
#define ROOTS  "'method':'roots/list'"

/* A call under way on a session of its own. */
static struct fake *calling(struct bench *bench, struct caller *caller, bool is_http,
                            unsigned capabilities)
{
    bench_init(bench, is_http);
    struct service_conf *conf = conf_new("s", "1");
    conf->transport = is_http ? SERVICE_HTTP : SERVICE_STDIO;
    apply_one(bench, conf);
    wish(bench, caller, .client = 1, .capabilities = capabilities);
    struct fake *fake = fake_at(bench, 0);
    serve_legacy(fake, "2025-11-25", "{'tools':{}}");
    answer_last(fake, "{'tools':[" ECHO_TOOL "]}");
    assert_has(last_sent(fake), "tools/call");
    assert_int_equal(bench->fake_count, 1);
    return fake;
}

static void end_call(struct bench *bench, struct caller *caller)
{
    mcp_cancel(caller->told.request, "test");
    caller_free(caller);
    bench_done(bench);
}

static void a_question_and_its_answer(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = calling(&bench, &caller, false, ALL_CAPABILITIES);
    unsigned long long call = last_id(fake);
    assert_has(fake->sent[0], "\"capabilities\":{\"elicitation\":{\"form\":{},\"url\":{}},"
                              "\"sampling\":{\"tools\":{},\"context\":{}},\"roots\":{");
    say(fake, "{'jsonrpc':'2.0','id':'e-1'," ELICIT "}");
    assert_string_equal(caller.asked, "elicitation/create {\"message\":\"Sure?\","
                                      "\"requestedSchema\":{}} ");
    assert_has(caller.told.waits, "answer client ");
    answer_ask(&caller, 0, "{\"action\":\"accept\",\"content\":{\"ok\":true,\"n\":1.5}}");
    assert_string_equal(last_sent(fake),
                        "{\"jsonrpc\":\"2.0\",\"id\":\"e-1\",\"result\":{\"action\":\"accept\","
                        "\"content\":{\"ok\":true,\"n\":1.5}}}");
    assert_int_equal(fake->kinds[fake->count - 1], MCP_RESPONSE);
    assert_has(caller.told.waits, "client answer ");
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{'done':true}}", call);
    assert_string_equal(caller.told.text, "{\"done\":true}");
    assert_int_equal(caller.declined, 0);
    assert_int_equal(caller.ended, 0);
    caller_free(&caller);
    bench_done(&bench);
}

/* Ids go back as they came, and answers in any order. */
static void several_are_open_at_once(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = calling(&bench, &caller, false, ALL_CAPABILITIES);
    say(fake, "{'jsonrpc':'2.0','id':7," ELICIT "}");
    say(fake, "{'jsonrpc':'2.0','id':'7'," SAMPLE "}");
    say(fake, "{'jsonrpc':'2.0','id':-1," ROOTS "}");
    assert_int_equal(caller.ask_count, 3);
    assert_has(caller.asked, "roots/list {} ");
    answer_ask(&caller, 2, "{\"roots\":[]}");
    assert_has(last_sent(fake), "\"id\":-1,\"result\":{\"roots\":[]}}");
    answer_ask(&caller, 0, "{\"action\":\"cancel\"}");
    assert_has(last_sent(fake), "\"id\":7,\"result\":");
    answer_ask(&caller, 1, "{\"role\":\"assistant\"}");
    assert_has(last_sent(fake), "\"id\":\"7\",\"result\":{\"role\":\"assistant\"}}");
    end_call(&bench, &caller);
}

static void no_answer_is_the_default(void **state)
{
    static const struct {
        const char *question, *answer;
    } cases[] = {
        {ELICIT, "\"id\":5,\"result\":{\"action\":\"decline\"}}"},
        {SAMPLE,
         "\"id\":5,\"error\":{\"code\":-1,\"message\":\"User rejected sampling request"},
        {ROOTS, "\"id\":5,\"error\":{\"code\":-32601,"},
    };
    static const char *const answers[] = {NULL, "[1]", "\"accept\""};
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = calling(&bench, &caller, false, ALL_CAPABILITIES);
    unsigned long long call = last_id(fake);
    unsigned count = 0;
    for (size_t i = 0; i < 9; i++) {
        say(fake, "{'jsonrpc':'2.0','id':5,%s}", cases[i / 3].question);
        answer_ask(&caller, count++, answers[i % 3]);
        assert_has(last_sent(fake), cases[i / 3].answer);
    }
    /* JSON has no text for it */
    say(fake, "{'jsonrpc':'2.0','id':5," ELICIT "}");
    struct mcp_ask *ask = caller.asks[count];
    caller.asks[count] = NULL;
    mcp_answer(ask, (struct slice){"\x81\xa1x\xa1\xff", 5});
    assert_has(last_sent(fake), cases[0].answer);
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{}}", call);
    assert_int_equal(caller.declined, 10);
    caller_free(&caller);
    bench_done(&bench);
}

static void what_was_not_declared_is_declined(void **state)
{
    static const struct {
        unsigned capabilities;
        const char *question, *answer;
    } cases[] = {
        {MCP_CAN_ELICIT,
         "'method':'elicitation/create','params':{'mode':'url','url':'https://x','message':''}",
         "\"action\":\"decline\""},
        {MCP_CAN_ELICIT_URL, ELICIT, "\"action\":\"decline\""},
        {MCP_CAN_ELICIT, "'method':'elicitation/create','params':{'mode':'dance'}",
         "\"action\":\"decline\""},
        {MCP_CAN_SAMPLE,
         "'method':'sampling/createMessage','params':{'messages':[],'tools':[{'name':'t'}]}",
         "\"code\":-1,"},
        {MCP_CAN_SAMPLE, ROOTS, "-32601"},
        {MCP_CAN_LIST_ROOTS, SAMPLE, "\"code\":-1,"},
        {ALL_CAPABILITIES, "'method':'brew/coffee'", "-32601"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench bench;
        struct caller caller = {0};
        struct fake *fake = calling(&bench, &caller, false, cases[i].capabilities);
        size_t sent = fake->count;
        say(fake, "{'jsonrpc':'2.0','id':'q',%s}", cases[i].question);
        assert_int_equal(caller.ask_count, 0);
        assert_int_equal(fake->count, sent + 1);
        assert_has(last_sent(fake), "\"id\":\"q\"");
        assert_has(last_sent(fake), cases[i].answer);
        end_call(&bench, &caller);
    }
}

static void too_many_are_declined(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = calling(&bench, &caller, false, ALL_CAPABILITIES);
    unsigned long long call = last_id(fake);
    for (int i = 0; i < 20; i++) {
        say(fake, "{'jsonrpc':'2.0','id':%d," ELICIT "}", i);
    }
    assert_int_equal(caller.ask_count, 16);
    assert_int_equal(count_sent(fake, "decline"), 4);
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{}}", call);
    assert_int_equal(caller.declined, 4);
    assert_int_equal(caller.ended, 16);
    caller_free(&caller);
    bench_done(&bench);
}

static void a_server_takes_a_question_back(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = calling(&bench, &caller, false, ALL_CAPABILITIES);
    say(fake, "{'jsonrpc':'2.0','id':'1'," ELICIT "}");
    say(fake, "{'jsonrpc':'2.0','id':1," ELICIT "}");
    size_t sent = fake->count;
    say(fake, "{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':1}}");
    assert_int_equal(caller.ended, 1);
    assert_non_null(caller.asks[0]);
    assert_null(caller.asks[1]);
    say(fake, "{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':99}}");
    assert_int_equal(caller.ended, 1);
    assert_int_equal(fake->count, sent);
    answer_ask(&caller, 0, "{\"action\":\"accept\"}");
    assert_has(last_sent(fake), "\"id\":\"1\"");
    end_call(&bench, &caller);
}

/* The next call waits until the server knows that the last one was given up. */
static void answer_ping(struct fake *fake)
{
    size_t ping = sent_at(fake, "\"method\":\"ping\"");
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{}}", id_of(fake->sent[ping]));
    turn(fake->bench);
}

static void open_questions_end_with_their_call(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = calling(&bench, &caller, false, ALL_CAPABILITIES);
    unsigned long long call = last_id(fake);
    say(fake, "{'jsonrpc':'2.0','id':'e'," ELICIT "}");
    say(fake, "{'jsonrpc':'2.0','id':'s'," SAMPLE "}");
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{}}", call);
    assert_int_equal(caller.ended, 2);
    assert_int_equal(caller.told.done, 1);
    assert_int_equal(count_sent(fake, "\"id\":\"e\",\"result\":{\"action\":\"cancel\"}"), 1);
    assert_int_equal(count_sent(fake, "\"id\":\"s\",\"error\":{\"code\":-1"), 1);
    caller_free(&caller);

    wish(&bench, &caller, .client = 1, .capabilities = ALL_CAPABILITIES);
    say(fake, "{'jsonrpc':'2.0','id':'f'," ELICIT "}");
    mcp_cancel(caller.told.request, "test"); /* by the client: it knows */
    assert_int_equal(caller.ended, 0);
    assert_int_equal(count_sent(fake, "\"id\":\"f\",\"result\":{\"action\":\"cancel\"}"), 1);
    assert_int_equal(count_sent(fake, "notifications/cancelled"), 1);
    caller_free(&caller);
    answer_ping(fake);

    wish(&bench, &caller, .client = 1, .capabilities = ALL_CAPABILITIES, .timeout = 50 * MS);
    say(fake, "{'jsonrpc':'2.0','id':'g'," ELICIT "}");
    loop_advance(bench.loop, 50 * MS);
    assert_told(caller.told, ERR_TIMEOUT, "had asked the client something");
    assert_int_equal(caller.ended, 1);
    caller_free(&caller);
    answer_ping(fake);

    wish(&bench, &caller, .client = 1, .capabilities = ALL_CAPABILITIES);
    say(fake, "{'jsonrpc':'2.0','id':'h'," ELICIT "}");
    size_t sent = fake->count;
    fake_dies(fake, "killed");
    assert_told(caller.told, ERR_UNAVAILABLE, "killed");
    assert_int_equal(caller.ended, 1);
    assert_int_equal(fake->count, sent); /* nobody hears it */
    caller_free(&caller);
    bench_done(&bench);
}

static void a_client_may_answer_or_leave_at_once(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {.says = "{\"action\":\"accept\"}"};
    struct fake *fake = calling(&bench, &caller, false, ALL_CAPABILITIES);
    say(fake, "{'jsonrpc':'2.0','id':'e'," ELICIT "}");
    assert_has(last_sent(fake), "\"id\":\"e\",\"result\":{\"action\":\"accept\"}}");
    caller.leaves = true;
    say(fake, "{'jsonrpc':'2.0','id':'f'," ELICIT "}");
    assert_int_equal(count_sent(fake, "\"id\":\"f\",\"result\":{\"action\":\"cancel\"}"), 1);
    caller_free(&caller);
    bench_done(&bench);
}

/* Over HTTP the exchange says whose question it is, however many calls there are. */
static void exchanges_tell_whose_it_is(void **state)
{
    (void)state;
    struct bench bench;
    struct caller a = {0};
    struct caller b = {0};
    struct fake *fake = calling(&bench, &a, true, ALL_CAPABILITIES);
    unsigned long long of_a = last_id(fake);
    wish(&bench, &b, .client = 1, .capabilities = ALL_CAPABILITIES);
    assert_int_equal(bench.fake_count, 1);
    unsigned long long of_b = last_id(fake);
    assert_true(of_a != of_b); /* both at once */
    say_on(fake, of_b, "{'jsonrpc':'2.0','id':'q'," ELICIT "}");
    assert_int_equal(a.ask_count, 0);
    assert_int_equal(b.ask_count, 1);
    say_on(fake, of_a, "{'jsonrpc':'2.0','id':'q'," ELICIT "}"); /* the same id */
    assert_int_equal(a.ask_count, 1);
    answer_ask(&a, 0, "{\"action\":\"accept\"}");
    assert_int_equal(fake->tokens[fake->count - 1], 0);
    size_t sent = fake->count;
    say(fake, "{'jsonrpc':'2.0','id':'r'," ELICIT "}"); /* nobody knows whose */
    assert_int_equal(fake->count, sent + 1);
    assert_has(last_sent(fake), "\"id\":\"r\",\"error\"");
    answer_ask(&b, 0, NULL);
    mcp_cancel(a.told.request, "test");
    mcp_cancel(b.told.request, "test");
    caller_free(&a);
    caller_free(&b);
    bench_done(&bench);
}

/* A server asks by itself as soon as it may: that belongs to the only call there is. */
static void roots_are_asked_for_at_the_beginning(void **state)
{
    (void)state;
    for (unsigned is_http = 0; is_http < 2; is_http++) {
        struct bench bench;
        struct caller caller = {.says = "{\"roots\":[{\"uri\":\"file:///home\"}]}"};
        bench_init(&bench, is_http);
        struct service_conf *conf = conf_new("s", "1");
        conf->transport = is_http ? SERVICE_HTTP : SERVICE_STDIO;
        apply_one(&bench, conf);
        wish(&bench, &caller, .client = 1, .capabilities = MCP_CAN_LIST_ROOTS);
        struct fake *fake = fake_at(&bench, 0);
        serve_legacy(fake, "2025-11-25", "{'tools':{}}");
        say(fake,
            "{'jsonrpc':'2.0','id':0," ROOTS "}"); /* on the stream of its own, or on none */
        assert_int_equal(caller.ask_count, 1);
        assert_has(last_sent(fake),
                   "\"id\":0,\"result\":{\"roots\":[{\"uri\":\"file:///home\"}]}}");
        assert_has(caller.told.waits, "list client list ");
        mcp_cancel(caller.told.request, "test");
        caller_free(&caller);
        bench_done(&bench);
    }
}

/* Asked while a client only listed the tools: its first call begins the session anew. */
static void what_was_asked_of_nobody_is_asked_again(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    struct caller caller = {.says = "{\"roots\":[]}"};
    const struct wish who = {.client = 1, .capabilities = MCP_CAN_LIST_ROOTS};
    const struct mcp_identity identity = identity_of(&who);
    bench_init(&bench, false);
    apply_one(&bench, conf_new("s", "1"));
    (void)mcp_list_tools(service_named(&bench, "s"), &identity, MONO_NEVER, &list_events,
                         &told);
    turn(&bench);
    serve_legacy(fake_at(&bench, 0), "2025-11-25", "{'tools':{}}");
    unsigned long long list = last_id(fake_at(&bench, 0));
    say(fake_at(&bench, 0), "{'jsonrpc':'2.0','id':0," ROOTS "}");
    assert_has(last_sent(fake_at(&bench, 0)), "\"id\":0,\"error\"");
    say(fake_at(&bench, 0), "{'jsonrpc':'2.0','id':%llu,'result':{'tools':[" ECHO_TOOL "]}}",
        list);
    assert_string_equal(told.text, "echo ");
    wish(&bench, &caller, .client = 1, .capabilities = MCP_CAN_LIST_ROOTS);
    assert_int_equal(bench.fake_count, 2);
    assert_true(fake_at(&bench, 0)->is_closing);
    serve_legacy(fake_at(&bench, 1), "2025-11-25", "{'tools':{}}");
    say(fake_at(&bench, 1), "{'jsonrpc':'2.0','id':0," ROOTS "}");
    assert_has(last_sent(fake_at(&bench, 1)), "\"id\":0,\"result\":{\"roots\":[]}");
    mcp_cancel(caller.told.request, "test");
    caller_free(&caller);
    told_done(&told);
    bench_done(&bench);
}

/* ---- pages to be opened ------------------------------------------------------------------ */

#define PAGES                                                                            \
    "{'code':-32042,'message':'Open these','data':{'elicitations':[{'mode':'url','url':" \
    "'https://a/1','message':'Log "                                                      \
    "in','elicitationId':'i1'},{'mode':'url','url':'https://a/2',"                       \
    "'message':'Agree'}]}}"

static void pages_are_opened_and_the_call_repeated(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = calling(&bench, &caller, false, ALL_CAPABILITIES);
    unsigned long long first = last_id(fake);
    answer_error(fake, PAGES);
    turn(&bench);
    assert_int_equal(caller.ask_count, 2);
    assert_has(caller.asked, "elicitation/create {\"mode\":\"url\",\"url\":\"https://a/1\"");
    answer_ask(&caller, 1, "{\"action\":\"accept\"}");
    size_t sent = fake->count;
    answer_ask(&caller, 0, "{\"action\":\"accept\"}");
    turn(&bench);
    assert_int_equal(fake->count, sent + 1);
    assert_true(last_id(fake) > first);
    assert_has(last_sent(fake), "\"method\":\"tools/call\",\"params\":{\"name\":\"echo\","
                                "\"arguments\":{\"text\":\"hi\"},\"_meta\"");
    answer_error(fake, PAGES); /* and no more than once */
    assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "-32042");
    assert_has(caller.told.details,
               "\"elicitations\":[{\"mode\":\"url\",\"url\":\"https://a/1\"");
    caller_free(&caller);
    bench_done(&bench);
}

static void pages_that_nobody_opens_are_named(void **state)
{
    static const char *const bad[] = {
        "{'code':-32042,'message':'Open'}",
        "{'code':-32042,'message':'Open','data':{'elicitations':[]}}",
        ("{'code':-32042,'message':'O','data':{'elicitations':[{'mode':'url'},{'mode':'form'}]}"
         "}"),
        "{'code':-32042,'message':'Open','data':{'elicitations':{}}}",
    };
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = calling(&bench, &caller, false, ALL_CAPABILITIES);
    answer_error(fake, PAGES);
    turn(&bench);
    answer_ask(&caller, 0, "{\"action\":\"accept\"}");
    answer_ask(&caller, 1, "{\"action\":\"decline\"}");
    turn(&bench);
    assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "the user did not agree");
    assert_has(caller.told.details, "https://a/2");
    caller_free(&caller);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        wish(&bench, &caller, .client = 1, .capabilities = ALL_CAPABILITIES);
        answer_error(fake, bad[i]);
        assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "-32042");
        assert_int_equal(caller.ask_count, 0);
        caller_free(&caller);
    }
    bench_done(&bench);
    fake = calling(&bench, &caller, false, MCP_CAN_ELICIT);
    answer_error(fake, PAGES);
    assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "-32042");
    assert_has(caller.told.details, "\"elicitations\":[");
    caller_free(&caller);
    bench_done(&bench);
}

static void questions_of_a_forgotten_session_end(void **state)
{
    static const char ask[] = "{'jsonrpc':'2.0','id':1,'method':'roots/list'}";
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct failure failure = {0};
    bench_init(&bench, true);
    struct service_conf *conf = conf_new("s", "1");
    conf->transport = SERVICE_HTTP;
    apply_one(&bench, conf);
    wish(&bench, &caller, .client = 7, .capabilities = ALL_CAPABILITIES);
    struct fake *fake = fake_at(&bench, 0);
    serve_echo(fake);
    say_on(fake, last_id(fake), "%s", ask);
    failure_set(&failure, ERR_UNAVAILABLE, "who is this");
    fake->events->exchange_ended(fake->arg, id_of(fake->sent[sent_at(fake, "tools/call")]),
                                 &failure, true);
    failure_done(&failure);
    turn(&bench);
    answer_last(fake, "{'protocolVersion':'2025-11-25','capabilities':{'tools':{}}}");
    assert_int_equal(caller.ended, 1); /* nobody would hear the answer */
    size_t at = sent_at(fake, "tools/call");
    say_on(fake, fake->tokens[at], "%s", ask);
    assert_int_equal(caller.ask_count, 2);
    say(fake, "{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':1}}");
    assert_int_equal(caller.ended, 2);
    assert_null(caller.asks[1]);
    mcp_cancel(caller.told.request, "test");
    caller_free(&caller);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_and_its_answer),
        cmocka_unit_test(several_are_open_at_once),
        cmocka_unit_test(no_answer_is_the_default),
        cmocka_unit_test(what_was_not_declared_is_declined),
        cmocka_unit_test(too_many_are_declined),
        cmocka_unit_test(a_server_takes_a_question_back),
        cmocka_unit_test(open_questions_end_with_their_call),
        cmocka_unit_test(a_client_may_answer_or_leave_at_once),
        cmocka_unit_test(exchanges_tell_whose_it_is),
        cmocka_unit_test(roots_are_asked_for_at_the_beginning),
        cmocka_unit_test(what_was_asked_of_nobody_is_asked_again),
        cmocka_unit_test(pages_are_opened_and_the_call_repeated),
        cmocka_unit_test(pages_that_nobody_opens_are_named),
        cmocka_unit_test(questions_of_a_forgotten_session_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
