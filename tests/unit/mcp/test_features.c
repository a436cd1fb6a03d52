/* SPDX-License-Identifier: MIT */
/*
 * test_features.c - every method that is asked of servers, in both eras: how it is written, how its
 * answer is taken, and what is checked on the way.
 */
#include "caller.h"

#define ALL_OFFERS                                                                     \
    "{'tools':{},'resources':{},'prompts':{},'completions':{},'logging':{},'tasks':{'" \
    "requests':"                                                                       \
    "{'tools':{'call':{}}}}}"
#define MODERN_OFFERS                                                             \
    "{'tools':{},'resources':{},'prompts':{},'completions':{},'extensions':{'io." \
    "modelcontextprotocol/tasks':{}}}"

/* ---- how it is written ------------------------------------------------------------------- */

static const struct {
    enum mcp_method method;
    const char *name, *arguments, *params, *about;
} requests[] = {
    {MCP_RESOURCES_LIST, "-", "{}", "\"method\":\"resources/list\",\"params\":{",
     "resources/list "},
    {MCP_RESOURCES_TEMPLATES, "-", "{}", "\"method\":\"resources/templates/list\",\"params\":{",
     "resources/templates/list "},
    {MCP_RESOURCES_READ, "file:///a b", "{}",
     "\"method\":\"resources/read\",\"params\":{\"uri\":\"file:///a b\"",
     "resources/read file:///a b"},
    {MCP_PROMPTS_LIST, "-", "{}", "\"method\":\"prompts/list\",\"params\":{", "prompts/list "},
    {MCP_PROMPTS_GET, "greet", "{\"who\":\"Ana\"}",
     "\"method\":\"prompts/"
     "get\",\"params\":{\"name\":\"greet\",\"arguments\":{\"who\":\"Ana\"}",
     "prompts/get greet"},
    {MCP_COMPLETE, "-",
     "{\"ref\":{\"type\":\"ref/prompt\",\"name\":\"greet\"},\"argument\":{\"name\":\"who\","
     "\"value\":\"A\"}}",
     "\"method\":\"completion/complete\",\"params\":{\"ref\":{\"type\":\"ref/prompt\",\"name\":"
     "\"greet\"},\"argument\":{\"name\":\"who\",\"value\":\"A\"}",
     "completion/complete "},
    {MCP_TASKS_GET, "t-1", "{}", "\"method\":\"tasks/get\",\"params\":{\"taskId\":\"t-1\"",
     "tasks/get t-1"},
    {MCP_TASKS_CANCEL, "t-1", "{}",
     "\"method\":\"tasks/cancel\",\"params\":{\"taskId\":\"t-1\"", "tasks/cancel t-1"},
};
#define REQUESTS (sizeof requests / sizeof requests[0])

static const char *list_key(enum mcp_method method)
{
    const struct method *known = method_of(method);
    return known->list_key;
}

static void every_method_goes_out_and_back(void **state)
{
    (void)state;
    for (unsigned era = 0; era < 4; era++) {
        struct bench bench;
        bool is_modern = era & 1;
        struct fake *fake = ready(&bench, era & 2, is_modern,
                                  is_modern ? MODERN_OFFERS : ALL_OFFERS, ECHO_TOOL);
        for (size_t i = 0; i < REQUESTS; i++) {
            struct caller caller = {0};
            char answer[256];
            char wanted[256];
            const char *key = list_key(requests[i].method);
            wish(&bench, &caller, .method = requests[i].method, .name = requests[i].name,
                 .arguments = requests[i].arguments, .meta = "{\"com.example/k\":[1]}");
            assert_has(last_sent(fake), requests[i].params);
            assert_has(last_sent(fake), "\"com.example/k\":[1]");
            assert_string_equal(fake->about[fake->count - 1], requests[i].about);
            assert_int_equal(strstr(last_sent(fake), "clientCapabilities") != NULL, is_modern);
            (void)snprintf(answer, sizeof answer, "{%s%s'n':%zu,'status':'working'}",
                           is_modern ? "'resultType':'complete'," : "", key ? "'items':0," : "",
                           i);
            if (key) {
                (void)snprintf(answer, sizeof answer, "{%s'%s':[%zu],'x-more':true}",
                               is_modern ? "'resultType':'complete'," : "", key, i);
            }
            answer_last(fake, answer);
            (void)snprintf(wanted, sizeof wanted, "%s", answer);
            for (char *at = wanted; *at; at++) {
                *at = *at == '\'' ? '"' : *at;
            }
            assert_int_equal(caller.told.done, 1);
            assert_string_equal(caller.told.text, wanted); /* as it came */
            assert_string_equal(caller.told.waits, "answer ");
            caller_free(&caller);
        }
        bench_done(&bench);
    }
}

static void what_is_not_offered_is_not_asked_for(void **state)
{
    static const char *const nouns[] = {"resources", "resources",   "resources", "prompts",
                                        "prompts",   "completions", "tasks",     "tasks"};
    (void)state;
    for (unsigned is_modern = 0; is_modern < 2; is_modern++) {
        struct bench bench;
        struct fake *fake = ready(&bench, false, is_modern, "{'tools':{}}", ECHO_TOOL);
        size_t sent = fake->count;
        for (size_t i = 0; i < REQUESTS; i++) {
            struct caller caller = {0};
            char text[64];
            wish(&bench, &caller, .method = requests[i].method, .name = requests[i].name,
                 .arguments = requests[i].arguments);
            (void)snprintf(text, sizeof text, "\"s\" offers no %s", nouns[i]);
            assert_told(caller.told, ERR_NOT_FOUND, text);
            assert_has(caller.told.details, "\"service\":\"s\"");
            assert_false(caller.told.is_retryable);
            assert_false(caller.told.sent);
            caller_free(&caller);
        }
        assert_int_equal(fake->count, sent);
        bench_done(&bench);
    }
}

/* There was no capability for it. */
static void the_first_revision_completes_without_a_word(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    bench_init(&bench, false);
    apply_one(&bench, conf_new("s", "1"));
    wish(&bench, &caller, .method = MCP_COMPLETE, .arguments = "{\"ref\":{}}");
    serve_legacy(fake_at(&bench, 0), "2024-11-05", "{'prompts':{}}");
    assert_has(last_sent(fake_at(&bench, 0)), "completion/complete");
    answer_last(fake_at(&bench, 0), "{'completion':{'values':[]}}");
    assert_string_equal(caller.told.text, "{\"completion\":{\"values\":[]}}");
    caller_free(&caller);
    bench_done(&bench);
}

/* ---- lists ------------------------------------------------------------------------------- */

static void lists_are_gathered(void **state)
{
    (void)state;
    for (unsigned is_modern = 0; is_modern < 2; is_modern++) {
        struct bench bench;
        struct caller caller = {0};
        struct fake *fake = ready(&bench, false, is_modern, MODERN_OFFERS, ECHO_TOOL);
        wish(&bench, &caller, .method = MCP_PROMPTS_LIST, .meta = "{\"k\":1}");
        answer_last(fake, "{'_meta':{'v':7},'prompts':[{'name':'a'}],'nextCursor':'p\\n2'}");
        assert_has(last_sent(fake), "\"cursor\":\"p\\n2\"");
        assert_has(last_sent(fake), "\"k\":1");
        answer_last(fake, "{'prompts':[{'name':'b'},{'name':'c'}],'nextCursor':''}");
        assert_has(last_sent(fake), "\"params\":{\"cursor\":\"\"");
        assert_int_equal(caller.told.done, 0);
        answer_last(fake, "{'prompts':[],'nextCursor':null}");
        assert_string_equal(caller.told.text,
                            "{\"prompts\":[{\"name\":\"a\"},{\"name\":\"b\"},{"
                            "\"name\":\"c\"}],\"_meta\":{\"v\":7}}");
        caller_free(&caller);
        bench_done(&bench);
    }
}

static void one_page_is_given_as_it_is(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = ready(&bench, false, false, ALL_OFFERS, ECHO_TOOL);
    wish(&bench, &caller, .method = MCP_RESOURCES_LIST, .is_page = true, .cursor = "");
    assert_has(last_sent(fake), "\"params\":{\"cursor\":\"\"");
    answer_last(fake, "{'resources':[1],'nextCursor':'x'}");
    assert_string_equal(caller.told.text, "{\"resources\":[1],\"nextCursor\":\"x\"}");
    caller_free(&caller);
    wish(&bench, &caller, .method = MCP_RESOURCES_LIST, .is_page = true);
    assert_null(strstr(last_sent(fake), "cursor"));
    mcp_cancel(caller.told.request, "test");
    caller_free(&caller);
    bench_done(&bench);
}

static void lists_that_never_end_are_ended(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = ready(&bench, false, false, ALL_OFFERS, ECHO_TOOL);
    wish(&bench, &caller, .method = MCP_RESOURCES_LIST);
    answer_last(fake, "{'resources':[1],'nextCursor':'x'}");
    answer_last(fake, "{'resources':[2],'nextCursor':'x'}");
    assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "the same cursor again");
    caller_free(&caller);
    wish(&bench, &caller, .method = MCP_RESOURCES_TEMPLATES);
    answer_last(fake, "{'resources':[2]}");
    assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                "`resourceTemplates` is no array");
    caller_free(&caller);
    bench_done(&bench);
}

/* Cursors of a session that is gone are of no use in the next one. */
static void a_new_session_is_listed_from_the_beginning(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = ready(&bench, true, false, ALL_OFFERS, ECHO_TOOL);
    wish(&bench, &caller, .method = MCP_RESOURCES_LIST);
    answer_last(fake, "{'resources':['old'],'nextCursor':'x'}");
    assert_has(last_sent(fake), "\"cursor\":\"x\"");
    struct failure failure = {0};
    failure_set(&failure, ERR_UNAVAILABLE, "answered 404");
    fake->events->exchange_ended(fake->arg, last_id(fake), &failure, true);
    failure_done(&failure);
    turn(&bench);
    assert_has(last_sent(fake), "initialize");
    answer_last(fake, "{'protocolVersion':'2025-11-25','capabilities':{'resources':{}}}");
    assert_has(last_sent(fake), "resources/list");
    assert_null(strstr(last_sent(fake), "cursor"));
    answer_last(fake, "{'resources':['new']}");
    assert_string_equal(caller.told.text, "{\"resources\":[\"new\"]}");
    caller_free(&caller);
    bench_done(&bench);
}

/* ---- errors ------------------------------------------------------------------------------ */

static void a_missing_resource_is_not_found(void **state)
{
    static const struct {
        const char *error;
        enum err_code code;
    } cases[] = {
        {"{'code':-32002,'message':'Resource not found'}", ERR_NOT_FOUND},
        {"{'code':-32602,'message':'Resource not found','data':{'uri':'x'}}", ERR_NOT_FOUND},
        {"{'code':-32602,'message':'Bad params'}", ERR_EXTERNAL_TOOL_EXECUTION_FAILED},
        {"{'code':-32603,'message':'Oops'}", ERR_EXTERNAL_TOOL_EXECUTION_FAILED},
    };
    (void)state;
    struct bench bench;
    struct fake *fake = ready(&bench, false, true, MODERN_OFFERS, ECHO_TOOL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct caller caller = {0};
        wish(&bench, &caller, .method = MCP_RESOURCES_READ, .name = "file:///nope");
        answer_error(fake, cases[i].error);
        assert_told(caller.told, cases[i].code, "the server answered with error");
        assert_has(caller.told.details, "\"uri\":\"file:///nope\"");
        assert_has(caller.told.details, "\"jsonrpc\":{\"code\":");
        caller_free(&caller);
    }
    bench_done(&bench);
}

static void results_of_unknown_types_are_refused(void **state)
{
    static const struct {
        bool is_modern;
        enum mcp_method method;
        const char *result, *says;
    } cases[] = {
        {true, MCP_TOOLS_CALL, "{'resultType':'foo'}", "of type \"foo\""},
        {true, MCP_TOOLS_CALL, "{'resultType':7}", "`resultType` is no string"},
        {true, MCP_PROMPTS_LIST, "{'resultType':'input_required'}", "nobody asked for"},
        {true, MCP_PROMPTS_GET, "{'resultType':'task','taskId':'t'}", "nobody asked for"},
        {false, MCP_TOOLS_CALL, "{'resultType':'input_required','requestState':'s'}",
         "nobody asked for"},
        {false, MCP_TOOLS_CALL, "{'resultType':'task','taskId':'t'}", "nobody asked for"},
        {false, MCP_TOOLS_CALL, "[1]", "the result is no object"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench bench;
        struct caller caller = {0};
        struct fake *fake = ready(&bench, false, cases[i].is_modern, ALL_OFFERS, ECHO_TOOL);
        wish(&bench, &caller, .method = cases[i].method);
        answer_last(fake, cases[i].result);
        assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, cases[i].says);
        caller_free(&caller);
        wish(&bench, &caller, .name = "echo"); /* absent: complete */
        answer_last(fake, "{'content':[]}");
        assert_string_equal(caller.told.text, "{\"content\":[]}");
        caller_free(&caller);
        bench_done(&bench);
    }
}

/* ---- log levels -------------------------------------------------------------------------- */

static void log_levels_are_asked_for(void **state)
{
    static const char *const debug = "debug";
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = ready(&bench, false, true, MODERN_OFFERS, ECHO_TOOL);
    wish(&bench, &caller, .log_level = debug);
    assert_has(last_sent(fake), "\"io.modelcontextprotocol/logLevel\":\"debug\"");
    assert_int_equal(count_sent(fake, "setLevel"), 0);
    answer_last(fake, "{}");
    caller_free(&caller);
    bench_done(&bench);

    fake = ready(&bench, false, false, ALL_OFFERS, ECHO_TOOL);
    for (int i = 0; i < 2; i++) {
        wish(&bench, &caller, .log_level = debug);
        assert_int_equal(count_sent(fake,
                                    "\"method\":\"logging/setLevel\",\"params\":{\"level\":"
                                    "\"debug\"}"),
                         1); /* once a session */
        assert_has(last_sent(fake), "tools/call");
        answer_last(fake, "{}");
        assert_int_equal(caller.told.done, 1);
        caller_free(&caller);
    }
    say(fake, "{'jsonrpc':'2.0','id':%llu,'error':{'code':-32601,'message':'No'}}",
        id_of(fake->sent[sent_at(fake, "setLevel")])); /* nobody waits for that */
    wish(&bench, &caller, .log_level = "error");
    assert_int_equal(count_sent(fake, "\"level\":\"error\""), 1);
    mcp_cancel(caller.told.request, "test");
    caller_free(&caller);
    assert_int_equal(service_named(&bench, "s")->failures, 0);
    bench_done(&bench);
}

/* ---- structured results ------------------------------------------------------------------ */

#define ROOM_TOOL                                                                            \
    "{'name':'book','outputSchema':{'type':['object','array','null'],'properties':{'room':{" \
    "'type':'string'}},'required':['room']}}"

static void structured_results_are_checked(void **state)
{
    static const struct {
        const char *result, *says, *details;
    } cases[] = {
        {"{'content':[],'structuredContent':{'room':'a'}}", NULL, NULL},
        {"{'structuredContent':[1,2]}", NULL, NULL},
        {"{'structuredContent':null}", NULL, NULL}, /* is there */
        {"{'content':[],'isError':true}", NULL, NULL},
        {"{'structuredContent':{'room':7},'content':[{'n':1}]}",
         "\"book\" was carried out, but its result does not fit",
         "\"field\":\"result.structuredContent.room\",\"expected\":\"string\",\"received\":"
         "\"integer 7\""},
        {"{'structuredContent':7}", "was carried out",
         "\"field\":\"result.structuredContent\""},
        {"{'content':[{'n':1}]}", "was carried out", "\"received\":\"nothing\""},
        {"{'content':[{'n':1}],'isError':false}", "was carried out",
         "\"result\":{\"content\":[{"},
    };
    (void)state;
    for (unsigned is_modern = 0; is_modern < 2; is_modern++) {
        struct bench bench;
        struct fake *fake = ready(&bench, false, is_modern, ALL_OFFERS, ROOM_TOOL);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct caller caller = {0};
            wish(&bench, &caller, .name = "book", .arguments = "{}");
            answer_last(fake, cases[i].result);
            assert_int_equal(caller.told.done, 1);
            if (cases[i].says) {
                assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, cases[i].says);
                assert_has(caller.told.details, cases[i].details);
                assert_has(caller.told.details, "\"errors\":[{");
                assert_false(caller.told.is_retryable);
                assert_true(caller.told.sent);
            } else {
                assert_int_equal(caller.told.code, ERR_NONE);
            }
            caller_free(&caller);
        }
        bench_done(&bench);
    }
}

static void older_servers_need_not_be_structured(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    bench_init(&bench, false);
    apply_one(&bench, conf_new("s", "1"));
    wish(&bench, &caller, .name = "book");
    struct fake *fake = fake_at(&bench, 0);
    serve_legacy(fake, "2025-03-26", "{'tools':{}}");
    answer_last(fake, "{'tools':[" ROOM_TOOL "]}");
    answer_last(fake, "{'content':[]}");
    assert_string_equal(caller.told.text, "{\"content\":[]}");
    caller_free(&caller);
    wish(&bench, &caller, .name = "book");
    answer_last(fake, "{'structuredContent':7}");
    assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "was carried out");
    caller_free(&caller);
    bench_done(&bench);
}

static void a_long_result_is_not_shown(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = ready(&bench, false, true, ALL_OFFERS, ROOM_TOOL);
    char *long_one = mem_new(40000);
    size_t head = (size_t)sprintf(long_one, "{'text':'");
    memset(long_one + head, 'x', 33000);
    (void)strcpy(long_one + head + 33000, "'}");
    wish(&bench, &caller, .name = "book");
    answer_last(fake, long_one);
    assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "was carried out");
    assert_null(strstr(caller.told.details, "\"result\":"));
    mem_free(long_one);
    caller_free(&caller);
    bench_done(&bench);
}

/* ---- headers ----------------------------------------------------------------------------- */

#define SQL_TOOL(header)                                                                    \
    "{'name':'sql','inputSchema':{'type':'object','properties':{'region':{'type':'string'," \
    "'x-mcp-header':'" header "'},'n':{'type':'integer','x-mcp-header':'N'}}}}"

static void arguments_go_into_headers(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = ready(&bench, true, true, "{'tools':{}}", SQL_TOOL("Region"));
    wish(&bench, &caller, .name = "sql", .arguments = "{\"n\":7,\"region\":\"eu west\"}");
    assert_string_equal(fake->about[fake->count - 1], "tools/call sql Region=eu west N=7");
    answer_error(fake, "{'code':-32020,'message':'Header mismatch'}");
    assert_has(last_sent(fake), "tools/list"); /* the server has another list in mind */
    answer_last(fake, "{'resultType':'complete','tools':[" SQL_TOOL("Place") "]}");
    assert_string_equal(fake->about[fake->count - 1], "tools/call sql Place=eu west N=7");
    assert_has(last_sent(fake), "\"arguments\":{\"n\":7,\"region\":\"eu west\"}");
    answer_error(fake, "{'code':-32020,'message':'Header mismatch'}"); /* once */
    assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "-32020");
    caller_free(&caller);
    bench_done(&bench);

    fake =
        ready(&bench, false, true, "{'tools':{}}", SQL_TOOL("Bad Header")); /* stdio has none */
    wish(&bench, &caller, .name = "sql", .arguments = "{\"n\":7,\"region\":\"eu west\"}");
    assert_string_equal(fake->about[fake->count - 1], "tools/call sql");
    answer_last(fake, "{}");
    caller_free(&caller);
    bench_done(&bench);
}

/* ---- harm -------------------------------------------------------------------------------- */

static void break_stream(struct fake *fake)
{
    struct failure failure = {0};
    failure_set(&failure, ERR_UNAVAILABLE, "the stream broke");
    fake->events->exchange_ended(fake->arg, last_id(fake), &failure, false);
    failure_done(&failure);
    turn(fake->bench);
}

static void what_does_no_harm_is_told(void **state)
{
    static const char *const read_only =
        "{'name':'echo','annotations':{'readOnlyHint':true}},{'name':'add','annotations':{"
        "'idempotentHint':false}},{'name':'put','annotations':{'readOnlyHint':false,"
        "'idempotentHint':true}}";
    static const struct {
        enum mcp_method method;
        const char *name;
        bool may_repeat, trusts, is_harmless;
    } cases[] = {
        {MCP_TOOLS_CALL, "echo", false, false, false},
        {MCP_TOOLS_CALL, "echo", false, true, true},
        {MCP_TOOLS_CALL, "put", false, true, true},
        {MCP_TOOLS_CALL, "put", false, false, false},
        {MCP_TOOLS_CALL, "add", false, true, false},
        {MCP_TOOLS_CALL, "add", true, false, true},
        {MCP_RESOURCES_READ, "file:///x", false, false, true},
        {MCP_PROMPTS_LIST, "-", false, false, true},
        {MCP_TASKS_CANCEL, "t", false, false, false},
    };
    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        size_t at = i / 2;
        struct bench bench;
        struct caller caller = {0};
        struct fake *fake = ready(&bench, true, true, MODERN_OFFERS, read_only);
        ((struct service_conf *)(uintptr_t)mcp_service_conf(service_named(&bench, "s")))
            ->trust_annotations = cases[at].trusts;
        wish(&bench, &caller, .method = cases[at].method, .name = cases[at].name,
             .may_repeat = cases[at].may_repeat);
        size_t sent = fake->count;
        if (i % 2) {
            break_stream(fake); /* whether it is asked again is not decided here */
            assert_told(caller.told, ERR_UNAVAILABLE, "the stream broke");
            assert_true(caller.told.sent);
        } else {
            answer_last(fake, "{'prompts':[]}");
            assert_int_equal(caller.told.done, 1);
        }
        assert_int_equal(fake->count, sent);
        assert_int_equal(caller.told.is_harmless, cases[at].is_harmless);
        caller_free(&caller);
        bench_done(&bench);
    }
}

/* Also when it never got as far as its tool. */
static void harm_is_known_before_the_answer(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    bench_init(&bench, false);
    struct service_conf *conf = conf_new("s", "1");
    conf->trust_annotations = true;
    apply_one(&bench, conf);
    call_with(&bench, &told, .arguments = "{}");
    shake_hands(fake_at(&bench, 0), "2025-11-25");
    answer_last(fake_at(&bench, 0),
                "{'tools':[{'name':'echo','annotations':{'readOnlyHint':true"
                "}}]}");
    fake_dies(fake_at(&bench, 0), "killed");
    assert_told(told, ERR_UNAVAILABLE, "killed");
    assert_true(told.is_harmless);
    told_done(&told);
    call_with(&bench, &told, .arguments = "{}");
    fake_dies(fake_at(&bench, 1), "killed again"); /* before it listed anything */
    assert_told(told, ERR_UNAVAILABLE, "killed again");
    assert_true(told.is_harmless);
    assert_false(told.sent);
    told_done(&told);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_goes_out_and_back),
        cmocka_unit_test(what_is_not_offered_is_not_asked_for),
        cmocka_unit_test(the_first_revision_completes_without_a_word),
        cmocka_unit_test(lists_are_gathered),
        cmocka_unit_test(one_page_is_given_as_it_is),
        cmocka_unit_test(lists_that_never_end_are_ended),
        cmocka_unit_test(a_new_session_is_listed_from_the_beginning),
        cmocka_unit_test(a_missing_resource_is_not_found),
        cmocka_unit_test(results_of_unknown_types_are_refused),
        cmocka_unit_test(log_levels_are_asked_for),
        cmocka_unit_test(structured_results_are_checked),
        cmocka_unit_test(older_servers_need_not_be_structured),
        cmocka_unit_test(a_long_result_is_not_shown),
        cmocka_unit_test(arguments_go_into_headers),
        cmocka_unit_test(what_does_no_harm_is_told),
        cmocka_unit_test(harm_is_known_before_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
