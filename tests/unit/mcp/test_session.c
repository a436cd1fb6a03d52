/* SPDX-License-Identifier: MIT */
/* test_session.c - one session: handshake, answers, notifications, and every way to lose one. */
#include "one_service.h"

/* ---- handshake --------------------------------------------------------------------------- */

static void handshake_agrees_on_each_version(void **state)
{
    static const char *const versions[] = {"2025-11-25", "2025-06-18", "2025-03-26",
                                           "2024-11-05"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        for (int is_http = 0; is_http < 2; is_http++) {
            struct fake *fake = begin_call(is_http);
            assert_int_equal(fake->count, 0);
            fake_opened(fake);
            assert_has(last_sent(fake),
                       "\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},"
                       "\"clientInfo\":{\"name\":\"toolbroker\"");
            if (is_http) {
                assert_string_equal(fake->version, "-");
            }
            say_on(fake, is_http ? last_id(fake) : 0,
                   "{'jsonrpc':'2.0','id':%llu,'result':{'protocolVersion':'%s','capabilities':"
                   "{'tools':{}},'serverInfo':{'name':'x','version':'1'}}}",
                   last_id(fake), versions[i]);
            assert_string_equal(
                fake->sent[1],
                "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
            assert_int_equal(fake->kinds[1], MCP_NOTIFICATION);
            assert_has(fake->sent[2], "\"method\":\"tools/list\",\"params\":{}}");
            if (is_http) {
                assert_string_equal(fake->version, versions[i]);
            }
            assert_false(fake->is_listening); /* it announced no list changes */
            assert_string_equal(told.waits, "start list ");
            mcp_cancel(told.request, "test");
            (void)clear(NULL);
        }
    }
}

static void unknown_version_names_both(void **state)
{
    (void)state;
    struct fake *fake = begin_call(false);
    fake_opened(fake);
    answer_last(fake, "{'protocolVersion':'1999-01-01','capabilities':{}}");
    assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "1999-01-01");
    assert_has(told.text, "2025-11-25, 2025-06-18, 2025-03-26, 2024-11-05");
    assert_has(told.details, "\"service\":\"s\",\"tool\":\"echo\"");
    assert_false(told.sent);
    assert_true(fake->is_closing);
    assert_int_equal(fake->count, 1); /* no initialized after a refusal */
    assert_string_equal(bench.states, "s:starting s:error ");
}

static void missing_version_is_refused(void **state)
{
    (void)state;
    struct fake *fake = begin_call(false);
    fake_opened(fake);
    answer_last(fake, "[]");
    assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "(none)");
}

static void refusal_with_an_offer_is_taken_once(void **state)
{
    (void)state;
    struct fake *fake = begin_call(false);
    fake_opened(fake);
    say(fake,
        "{'jsonrpc':'2.0','id':%llu,'error':{'code':-32602,'message':'Unsupported protocol "
        "version','data':{'supported':['2030-01-01','2025-03-26'],'requested':'2025-11-25'}}}",
        last_id(fake));
    assert_int_equal(fake->count, 2);
    assert_has(fake->sent[1], "\"protocolVersion\":\"2025-03-26\"");
    assert_true(id_of(fake->sent[1]) != id_of(fake->sent[0]));
    say(fake,
        "{'jsonrpc':'2.0','id':%llu,'error':{'code':-32602,'message':'No','data':{'supported':["
        "'2024-11-05']}}}",
        last_id(fake));
    assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "error -32602: No");
    assert_has(told.details, "\"jsonrpc\":{\"code\":-32602,\"message\":\"No\",\"data\":");
    assert_has(told.details, "\"requested_version\":\"2025-03-26\"");
}

static void silent_server_fails_at_the_connect_timeout(void **state)
{
    (void)state;
    struct fake *fake = begin_call(false);
    fake_opened(fake);
    loop_advance(bench.loop, 9999 * MS);
    assert_int_equal(told.done, 0);
    loop_advance(bench.loop, 2 * MS);
    assert_told(told, ERR_UNAVAILABLE, "did not answer `initialize` within 10000 ms");
    assert_true(fake->is_closing);
    assert_int_equal(count_sent(fake, "cancelled"), 0); /* never for initialize */
}

static void wire_that_never_opens_fails_too(void **state)
{
    (void)state;
    (void)begin_call(false);
    loop_advance(bench.loop, 10001 * MS);
    assert_told(told, ERR_UNAVAILABLE, "did not start");
}

static void server_without_tools_has_an_empty_catalogue(void **state)
{
    (void)state;
    begin(false);
    list_tools(&bench, &told, "s");
    struct fake *fake = fake_at(&bench, 0);
    fake_opened(fake);
    answer_last(fake, "{'protocolVersion':'2025-06-18','capabilities':{'prompts':{}}}");
    assert_int_equal(told.done, 1);
    assert_string_equal(told.text, "");
    assert_int_equal(count_sent(fake, "tools/list"), 0);
}

static void listens_on_http_when_lists_change(void **state)
{
    (void)state;
    struct fake *fake = stand(true);
    assert_true(fake->is_listening);
}

/* ---- answers ----------------------------------------------------------------------------- */

static void result_and_tool_failure_are_relayed(void **state)
{
    (void)state;
    struct fake *fake = stand(false);
    call_with(&bench, &told, .arguments = "{\"text\":\"a\\nb\",\"n\":12345678901234567890}");
    assert_has(last_sent(fake),
               "\"method\":\"tools/call\",\"params\":{\"name\":\"echo\","
               "\"arguments\":{\"text\":\"a\\nb\",\"n\":12345678901234567890}");
    answer_last(fake,
                "{'content':[{'type':'text','text':'no'}],'isError':true,'structuredContent':"
                "null,'x':1.5}");
    assert_int_equal(told.done, 1);
    assert_true(told.sent);
    assert_string_equal(told.waits, "answer ");
    assert_string_equal(told.text,
                        "{\"content\":[{\"type\":\"text\",\"text\":\"no\"}],\"isError\":"
                        "true,\"structuredContent\":null,\"x\":1.5}");
}

static void protocol_error_becomes_a_failure(void **state)
{
    (void)state;
    struct fake *fake = stand_call(false);
    say(fake,
        "{'jsonrpc':'2.0','id':%llu,'error':{'code':-32000,'message':'Sheep','data':{'a':[1]}}"
        "}",
        last_id(fake));
    assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "error -32000: Sheep");
    assert_has(told.details,
               "\"jsonrpc\":{\"code\":-32000,\"message\":\"Sheep\",\"data\":{\"a\":[1]}}");
    assert_has(told.details, "\"service\":\"s\",\"tool\":\"echo\"");
    assert_true(told.sent);
}

static void broken_answers_fail_the_call(void **state)
{
    static const struct {
        const char *answer, *says;
    } cases[] = {
        {"{'jsonrpc':'2.0','id':%llu,'result':{},'error':{'code':1,'message':''}}",
         "both a result and an error"},
        {"{'jsonrpc':'2.0','id':%llu}", "neither a result nor an error"},
        {"{'id':%llu,'result':{}}", "without \"jsonrpc\""},
        {"{'jsonrpc':'2.0','id':%llu,'result':[]}", "the result is no object"},
        {"{'jsonrpc':'2.0','id':%llu,'result':'yes'}", "the result is no object"},
        {"{'jsonrpc':'2.0','id':%llu,'result':{'resultType':'foo'}}", "of type \"foo\""},
    };
    (void)state;
    for (int is_http = 0; is_http < 2; is_http++) {
        struct fake *fake = stand(is_http);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            call(&bench, &told);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            say_on(fake, is_http ? last_id(fake) : 0, cases[i].answer, last_id(fake));
#pragma GCC diagnostic pop
            assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, cases[i].says);
            assert_true(told.sent);
            told_done(&told);
        }
        (void)clear(NULL);
    }
}

static void complete_result_type_and_null_error_pass(void **state)
{
    (void)state;
    struct fake *fake = stand_call(false);
    say(fake, "{'jsonrpc':'2.0','id':%llu.0,'error':null,'result':{'resultType':'complete'}}",
        last_id(fake));
    assert_int_equal(told.done, 1);
    assert_string_equal(told.text, "{\"resultType\":\"complete\"}");
}

static void rubbish_and_strange_ids_are_dropped(void **state)
{
    (void)state;
    struct fake *fake = stand_call(false);
    unsigned long long id = last_id(fake);
    size_t sent = fake->count;
    say(fake, "{broken");
    say(fake, "{'a':1,'a':2}");
    say(fake, "[]");
    say(fake, "[{'jsonrpc':'2.0','id':%llu,'result':{}}]", id); /* no batches in 2025-11-25 */
    say(fake, "{'jsonrpc':'2.0','id':'%llu','result':{}}", id); /* a string is another id */
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{}}", id + 1);
    say(fake, "{'jsonrpc':'2.0','id':-%llu,'result':{}}", id);
    say(fake, "{'jsonrpc':'2.0','id':null,'error':{'code':-32700,'message':'Parse'}}");
    say(fake, "{'jsonrpc':'2.0','method':17}");
    say(fake, "{'jsonrpc':'2.0','method':'notifications/unheard_of'}");
    assert_int_equal(told.done, 0);
    assert_int_equal(fake->count, sent);
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{'n':1}}", id);
    assert_int_equal(told.done, 1);
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{'n':2}}", id); /* twice */
    assert_int_equal(told.done, 1);
    assert_string_equal(told.text, "{\"n\":1}");
}

static void a_broken_answer_fails_its_own_call_only(void **state)
{
    (void)state;
    struct told a = {0};
    struct told b = {0};
    struct fake *fake = stand(false);
    call(&bench, &a);
    unsigned long long first = last_id(fake);
    call(&bench, &b);
    unsigned long long second = last_id(fake);
    say(fake, "{'jsonrpc':'2.0','result':{'rows':[{'id':%llu},\xff", first);
    say(fake, "{'jsonrpc':'2.0','error':{'code':1,'data':{'id':%llu},,", first);
    say(fake, "{'jsonrpc':'2.0','id':%llu,'method':'x','params':{'result':1,,", first);
    say(fake, "{'jsonrpc':'2.0','id':%llu,", first);
    say(fake, "['id':%llu,'result'", first);
    assert_int_equal(a.done + b.done, 0);
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{'id':%llu,\xff", second, first);
    assert_int_equal(a.done, 0);
    assert_told(b, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "a message that is no JSON");
    assert_true(b.sent);
    mcp_cancel(a.request, "test");
    told_done(&b);
}

static void batches_count_where_the_revision_has_them(void **state)
{
    (void)state;
    struct told a = {0};
    struct told b = {0};
    begin(false);
    call(&bench, &a);
    struct fake *fake = fake_at(&bench, 0);
    shake_hands(fake, "2025-03-26");
    answer_last(fake, "{'tools':[" ECHO_TOOL "]}");
    unsigned long long first = last_id(fake);
    call(&bench, &b);
    unsigned long long second = last_id(fake);
    say(fake,
        "[{'jsonrpc':'2.0','id':%llu,'result':{'n':2}},{'jsonrpc':'2.0','method':'x'},17,[],"
        "{'jsonrpc':'2.0','id':7,'method':'ping'},{'jsonrpc':'2.0','id':%llu,'result':{'n':1}}"
        "]",
        second, first);
    assert_string_equal(a.text, "{\"n\":1}");
    assert_string_equal(b.text, "{\"n\":2}");
    assert_string_equal(last_sent(fake), "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}");
    told_done(&a);
    told_done(&b);
}

static void colliding_calls_get_their_own_answers(void **state)
{
    enum { CALLS = 50 };
    (void)state;
    struct told all[CALLS] = {0};
    struct fake *fake = stand(false);
    unsigned long long ids[CALLS];
    for (int i = 0; i < CALLS; i++) {
        call(&bench, &all[i]);
        ids[i] = last_id(fake);
        for (int j = 0; j < i; j++) {
            assert_true(ids[j] != ids[i]);
        }
    }
    for (int i = CALLS - 1; i >= 0; i--) {
        int at = (i * 7) % CALLS;
        say(fake,
            "{'jsonrpc':'2.0','method':'notifications/progress','params':{'progressToken':%llu,"
            "'progress':%d}}",
            ids[at], at);
    }
    for (int i = 0; i < CALLS; i++) {
        int at = (i * 3) % CALLS;
        say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{'n':%d}}", ids[at], at);
    }
    for (int i = 0; i < CALLS; i++) {
        char want[64];
        (void)snprintf(want, sizeof want, "{\"n\":%d}", i);
        assert_int_equal(all[i].done, 1);
        assert_string_equal(all[i].text, want);
        (void)snprintf(want, sizeof want, "{\"progress\":%d}", i);
        assert_string_equal(all[i].progress, want);
        told_done(&all[i]);
    }
}

/* ---- what the server asks and tells ------------------------------------------------------ */

static void pings_are_answered_and_other_asks_refused(void **state)
{
    (void)state;
    struct fake *fake = stand(false);
    say(fake, "{'jsonrpc':'2.0','id':'p\\u00e9 1','method':'ping'}");
    assert_string_equal(last_sent(fake),
                        "{\"jsonrpc\":\"2.0\",\"id\":\"p\xc3\xa9 1\",\"result\":{}}");
    assert_int_equal(fake->kinds[fake->count - 1], MCP_RESPONSE);
    say(fake, "{'jsonrpc':'2.0','id':0,'method':'sampling/createMessage','params':{}}");
    assert_string_equal(last_sent(fake),
                        "{\"jsonrpc\":\"2.0\",\"id\":0,\"error\":{\"code\":-32601,"
                        "\"message\":\"Sampling not supported\"}}");
}

static void ping_during_the_handshake_is_answered(void **state)
{
    (void)state;
    struct fake *fake = begin_call(false);
    fake_opened(fake);
    say(fake, "{'jsonrpc':'2.0','id':1,'method':'ping'}");
    assert_string_equal(last_sent(fake), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
    mcp_cancel(told.request, "test");
}

static void progress_needs_the_wish_and_the_token(void **state)
{
    (void)state;
    struct fake *fake = stand(false);
    call_with(&bench, &told,
              .meta = "{\"traceparent\":\"00-1-2-03\",\"progressToken\":\"mine\",\"com.example/"
                      "x\":{\"a\":"
                      "1},\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}");
    unsigned long long id = last_id(fake);
    char want[128];
    (void)snprintf(want, sizeof want,
                   "\"_meta\":{\"progressToken\":%llu,\"traceparent\":\"00-1-2-03\","
                   "\"com.example/x\":{\"a\":1}}}}",
                   id);
    assert_has(last_sent(fake), want);
    say(fake,
        "{'jsonrpc':'2.0','method':'notifications/progress','params':{'progress':0.5,"
        "'progressToken':%llu,'total':2,'message':'half'}}",
        id);
    say(fake, "{'jsonrpc':'2.0','method':'notifications/progress','params':{'progress':1,"
              "'progressToken':'mine'}}");
    say(fake,
        "{'jsonrpc':'2.0','method':'notifications/progress','params':{'progress':1,"
        "'progressToken':%llu}}",
        id + 1);
    say(fake, "{'jsonrpc':'2.0','method':'notifications/progress'}");
    assert_string_equal(told.progress, "{\"progress\":0.5,\"total\":2,\"message\":\"half\"}");
    answer_last(fake, "{}");
    say(fake,
        "{'jsonrpc':'2.0','method':'notifications/progress','params':{'progress':2,"
        "'progressToken':%llu}}",
        id); /* late */
    assert_string_equal(told.progress, "{\"progress\":0.5,\"total\":2,\"message\":\"half\"}");
}

static void log_messages_reach_only_the_one_they_can_be_for(void **state)
{
#define LOG \
    "{'jsonrpc':'2.0','method':'notifications/message','params':{'level':'info','data':%d}}"
    (void)state;
    struct told a = {0};
    struct told b = {0};
    struct fake *fake = stand(true);
    say(fake, LOG, 0); /* nobody calls */
    call(&bench, &a);
    unsigned long long first = last_id(fake);
    say(fake, LOG, 1); /* one call: its own */
    call(&bench, &b);
    unsigned long long second = last_id(fake);
    say(fake, LOG, 2); /* two calls: whose? */
    say_on(fake, second, LOG, 3);
    say_on(fake, first, LOG, 4);
    assert_string_equal(a.log,
                        "{\"level\":\"info\",\"data\":1}{\"level\":\"info\",\"data\":4}");
    assert_string_equal(b.log, "{\"level\":\"info\",\"data\":3}");
    mcp_cancel(a.request, "test");
    mcp_cancel(b.request, "test");
}

static void one_server_cannot_speak_for_another(void **state)
{
    (void)state;
    struct told a = {0};
    struct told b = {0};
    bench_init(&bench, false);
    struct service_conf *both[] = {conf_new("s", "1"), conf_new("t", "1")};
    apply(&bench, both, 2);
    call(&bench, &a);
    struct fake *fake = fake_at(&bench, 0);
    serve_echo(fake);
    unsigned long long id = last_id(fake);
    call_with(&bench, &b, .service = "t");
    struct fake *other = fake_at(&bench, 1);
    serve_echo(other);
    say(other,
        "{'jsonrpc':'2.0','method':'notifications/progress','params':{'progressToken':%llu,"
        "'progress':1}}",
        id);
    say_on(other, id, LOG, 1);
    say_on(other, id, "{broken");
    say(other, "{'jsonrpc':'2.0','id':%llu,'result':{'n':1}}", id);
    say(other, "{'jsonrpc':'2.0','id':%llu}", id);
    assert_string_equal(a.progress, "");
    assert_string_equal(a.log, "");
    assert_int_equal(a.done, 0);
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{'n':2}}", id);
    assert_string_equal(a.text, "{\"n\":2}");
    mcp_cancel(b.request, "test");
    told_done(&a);
}

/* The server may still be at what was given up, and say things about it. */
static void log_messages_wait_for_the_answer_of_a_call_given_up(void **state)
{
    (void)state;
    struct told a = {0};
    struct told b = {0};
    struct fake *fake = stand(false);
    call(&bench, &a);
    unsigned long long first = last_id(fake);
    mcp_cancel(a.request, "test");
    call(&bench, &b);
    say(fake, LOG, 1);
    assert_string_equal(b.log, "");
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{}}", first); /* late: it is over now */
    say(fake, LOG, 2);
    assert_string_equal(b.log, "{\"level\":\"info\",\"data\":2}");
    mcp_cancel(b.request, "test");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(handshake_agrees_on_each_version),
        TEST(unknown_version_names_both),
        TEST(missing_version_is_refused),
        TEST(refusal_with_an_offer_is_taken_once),
        TEST(silent_server_fails_at_the_connect_timeout),
        TEST(wire_that_never_opens_fails_too),
        TEST(server_without_tools_has_an_empty_catalogue),
        TEST(listens_on_http_when_lists_change),
        TEST(result_and_tool_failure_are_relayed),
        TEST(protocol_error_becomes_a_failure),
        TEST(broken_answers_fail_the_call),
        TEST(complete_result_type_and_null_error_pass),
        TEST(rubbish_and_strange_ids_are_dropped),
        TEST(a_broken_answer_fails_its_own_call_only),
        TEST(batches_count_where_the_revision_has_them),
        TEST(colliding_calls_get_their_own_answers),
        TEST(pings_are_answered_and_other_asks_refused),
        TEST(ping_during_the_handshake_is_answered),
        TEST(progress_needs_the_wish_and_the_token),
        TEST(log_messages_reach_only_the_one_they_can_be_for),
        TEST(one_server_cannot_speak_for_another),
        TEST(log_messages_wait_for_the_answer_of_a_call_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
