/* SPDX-License-Identifier: MIT */
/*
 * test_notice.c - what a session does with messages in either era: whom a question or a notification
 * is for, how a request is taken back, and a server whose era is another one suddenly.
 */
#include "era.h"

static struct fake *modern_stage(struct stage *stage, bool is_http)
{
    stage_init(stage, is_http);
    struct fake *fake = stage_start(stage);
    answer_last(fake, MODERN);
    is_modern(stage);
    return fake;
}

static struct fake *legacy_stage(struct stage *stage, bool is_http, unsigned capabilities)
{
    stage_init(stage, is_http);
    stage->session.capabilities = capabilities;
    stage->known.era = KNOWN_LEGACY;
    struct fake *fake = stage_start(stage);
    answer_last(fake, LEGACY);
    is_legacy(stage);
    return fake;
}

/* ---- questions --------------------------------------------------------------------------- */

static void capabilities_are_declared_as_the_revision_knows_them(void **state)
{
    struct stage stage;
    (void)state;
    stage_init(&stage, false);
    stage.known.era = KNOWN_LEGACY;
    stage.session.capabilities = MCP_CAN_ELICIT | MCP_CAN_ELICIT_URL | MCP_CAN_SAMPLE |
                                 MCP_CAN_SAMPLE_TOOLS | MCP_CAN_LIST_ROOTS;
    struct fake *fake = stage_start(&stage);
    assert_has(last_sent(fake), "\"protocolVersion\":\"2025-11-25\",\"capabilities\":{"
                                "\"elicitation\":{\"form\":{},\"url\":{}},\"sampling\":{"
                                "\"tools\":{}},\"roots\":{}},\"clientInfo\"");
    answer_error(fake, "{'code':-32602,'message':'x','data':{'supported':['2025-06-18']}}");
    assert_has(last_sent(fake), "\"protocolVersion\":\"2025-06-18\",\"capabilities\":{"
                                "\"elicitation\":{},\"sampling\":{},\"roots\":{}}");
    stage_done(&stage);

    stage_init(&stage, false);
    stage.known.era = KNOWN_LEGACY;
    stage.session.capabilities = MCP_CAN_ELICIT | MCP_CAN_LIST_ROOTS;
    fake = stage_start(&stage);
    answer_error(fake, "{'code':-32602,'message':'x','data':{'supported':['2025-03-26']}}");
    assert_has(last_sent(fake), "\"capabilities\":{\"roots\":{}}");
    stage_done(&stage);
}

static void legacy_servers_offer_what_they_name(void **state)
{
    struct stage stage;
    (void)state;
    stage_init(&stage, true);
    stage.known.era = KNOWN_LEGACY;
    struct fake *fake = stage_start(&stage);
    answer_last(fake, "{'protocolVersion':'2025-11-25','capabilities':{'resources':{"
                      "'listChanged':true},'prompts':{'listChanged':false},'logging':{},"
                      "'completions':17,'tasks':{'requests':{'tools':{'call':{}}}}},"
                      "'instructions':'be kind'}");
    assert_int_equal(stage.session.offers, OFFERS_RESOURCES | OFFERS_RESOURCES_CHANGED |
                                               OFFERS_PROMPTS | OFFERS_LOGGING | OFFERS_TASKS);
    assert_string_equal(stage.session.instructions, "be kind");
    assert_true(fake->is_listening); /* lists change */
    stage_done(&stage);
}

static void questions_that_nobody_declared_are_refused(void **state)
{
    static const char *const rows[][2] = {
        {"roots/list", "\"code\":-32601,\"message\":\"Roots not supported\""},
        {"sampling/createMessage", "\"code\":-32601,\"message\":\"Sampling not supported\""},
        {"elicitation/create", "\"code\":-32601,\"message\":\"Elicitation not supported\""},
        {"tasks/get", "\"code\":-32601,\"message\":\"Method not found\""},
    };
    struct stage stage;
    struct ask ask;
    (void)state;
    struct fake *fake = legacy_stage(&stage, false, 0);
    ask_init(&ask);
    ask.takes = false;
    (void)ask_send(&stage, &ask, "tools/call");
    stage.session.holder = &ask.pending;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t dropped = stage.session.dropped;
        say(fake, "{'jsonrpc':'2.0','id':'q','method':'%s','params':{}}", rows[i][0]);
        assert_has(last_sent(fake), rows[i][1]);
        assert_has(last_sent(fake), "\"id\":\"q\"");
        assert_int_equal(stage.session.dropped, dropped + 1);
    }
    /* Whoever takes it declines it, and its answer says so. */
    size_t sent = fake->count;
    ask.takes = true;
    say(fake, "{'jsonrpc':'2.0','id':'q','method':'roots/list','params':{}}");
    assert_true(ask.is_asked);
    assert_int_equal(fake->count, sent);
    session_forget(&ask.pending, "test");
    ask_done(&ask);
    stage_done(&stage);
}

static void a_question_goes_to_the_request_that_it_belongs_to(void **state)
{
    (void)state;
    for (int is_http = 0; is_http < 2; is_http++) {
        struct stage stage;
        struct ask ask;
        struct ask other;
        struct fake *fake = legacy_stage(&stage, is_http, MCP_CAN_ELICIT | MCP_CAN_LIST_ROOTS);
        ask_init(&ask);
        ask_init(&other);
        ask.takes = true;
        mcp_token id = ask_send(&stage, &ask, "tools/call");
        mcp_token other_id = ask_send(&stage, &other, "tools/call");
        size_t sent = fake->count;
        stage.session.holder = is_http ? NULL : &ask.pending;
        say_on(fake, is_http ? id : 0, "{'jsonrpc':'2.0','id':5,'method':'roots/list'}");
        assert_true(ask.is_asked && !other.is_asked);
        assert_string_equal(ask.text, "roots/list");
        assert_int_equal(fake->count, sent); /* the answer is its own business */
        say(fake, "{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':5}"
                  "}");
        assert_string_equal(ask.text, "5");
        /* To nobody, or to one who does not want it. */
        stage.session.holder = is_http ? NULL : &other.pending;
        say_on(fake, is_http ? other_id : 0,
               "{'jsonrpc':'2.0','id':6,'method':"
               "'elicitation/create','params':{}}");
        assert_true(other.is_asked);
        assert_has(last_sent(fake), "\"id\":6,\"error\":{\"code\":-32602,");
        stage.session.holder = NULL;
        say(fake, "{'jsonrpc':'2.0','id':7,'method':'elicitation/create','params':{}}");
        assert_has(last_sent(fake), "\"id\":7,\"error\":{\"code\":-32602,");
        assert_has(last_sent(fake), "No request of this client is under way");
        session_forget(&ask.pending, "test");
        session_forget(&other.pending, "test");
        ask_done(&ask);
        ask_done(&other);
        stage_done(&stage);
    }
}

static void a_question_on_the_stream_of_no_request_is_for_the_only_call(void **state)
{
    struct stage stage;
    struct ask ask;
    struct ask other;
    (void)state;
    struct fake *fake = legacy_stage(&stage, true, MCP_CAN_LIST_ROOTS);
    ask_init(&ask);
    ask_init(&other);
    ask.takes = ask.pending.is_call = other.pending.is_call = true;
    (void)ask_send(&stage, &ask, "tools/call");
    say(fake, "{'jsonrpc':'2.0','id':5,'method':'roots/list'}");
    assert_true(ask.is_asked);
    ask.is_asked = false;
    (void)ask_send(&stage, &other, "tools/call"); /* now nobody knows */
    say(fake, "{'jsonrpc':'2.0','id':6,'method':'roots/list'}");
    assert_false(ask.is_asked || other.is_asked);
    assert_has(last_sent(fake), "\"id\":6,\"error\":{\"code\":-32602,");
    session_forget(&ask.pending, "test");
    session_forget(&other.pending, "test");
    ask_done(&ask);
    ask_done(&other);
    stage_done(&stage);
}

static void modern_servers_do_not_ask(void **state)
{
    (void)state;
    for (int is_http = 0; is_http < 2; is_http++) {
        struct stage stage;
        struct ask ask;
        struct fake *fake = modern_stage(&stage, is_http);
        ask_init(&ask);
        ask.takes = true;
        stage.session.capabilities = MCP_CAN_ELICIT;
        stage.session.holder = &ask.pending;
        mcp_token id = ask_send(&stage, &ask, "tools/call");
        size_t sent = fake->count;
        say_on(fake, is_http ? id : 0, "{'jsonrpc':'2.0','id':5,'method':'ping'}");
        say_on(fake, is_http ? id : 0,
               "{'jsonrpc':'2.0','id':6,'method':'elicitation/create','params':{}}");
        assert_int_equal(fake->count, sent);
        assert_int_equal(stage.session.faults, 2);
        assert_false(ask.is_asked);
        if (is_http) { /* and if that was all, it is why the request failed */
            fake->events->exchange_ended(fake->arg, id, NULL, false);
            assert_has(ask.text, "a request, which modern servers do not send");
        } else {
            session_forget(&ask.pending, "test");
        }
        ask_done(&ask);
        stage_done(&stage);
    }
}

/* ---- notifications ----------------------------------------------------------------------- */

#define ABOUT(id) "'params':{'_meta':{'io.modelcontextprotocol/subscriptionId':" id "}}"

static void notifications_of_a_subscription_carry_its_id(void **state)
{
    (void)state;
    for (int is_http = 0; is_http < 2; is_http++) {
        struct stage stage;
        struct ask ask;
        struct ask call;
        struct fake *fake = modern_stage(&stage, is_http);
        ask_init(&ask);
        ask_init(&call);
        unsigned long long id = ask_send(&stage, &ask, "subscriptions/listen");
        unsigned long long call_id = ask_send(&stage, &call, "tools/call");
        mcp_token token = is_http ? id : 0;
        const char *changed = "notifications/tools/list_changed";
        say_on(fake, token, "{'jsonrpc':'2.0','method':'%s'," ABOUT("%llu") "}", changed, id);
        assert_string_equal(ask.text, changed);
        keep(&ask.text, NULL);
        uint64_t dropped = stage.session.dropped;
        say_on(fake, token, "{'jsonrpc':'2.0','method':'%s'," ABOUT("'%llu'") "}", changed, id);
        say_on(fake, token, "{'jsonrpc':'2.0','method':'%s'," ABOUT("%llu") "}", changed,
               id + 100);
        say_on(fake, token, "{'jsonrpc':'2.0','method':'%s'," ABOUT("null") "}", changed);
        say_on(fake, token, "{'jsonrpc':'2.0','method':'%s'}", changed);
        say_on(fake, token, "{'jsonrpc':'2.0','method':'%s','params':{}}", changed);
        assert_int_equal(stage.session.dropped, dropped + 5);
        if (is_http) { /* on the exchange of another request */
            say_on(fake, call_id, "{'jsonrpc':'2.0','method':'%s'," ABOUT("%llu") "}", changed,
                   id);
            assert_int_equal(stage.session.dropped, dropped + 6);
        }
        assert_null(ask.text);
        say_on(fake, token,
               "{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':%llu}"
               "}",
               id);
        assert_string_equal(ask.text, "notifications/cancelled");
        session_forget(&ask.pending, "test");
        session_forget(&call.pending, "test");
        ask_done(&ask);
        ask_done(&call);
        stage_done(&stage);
    }
}

static void a_request_is_taken_back_as_its_era_has_it(void **state)
{
    static const bool says[2][2] = {{true, true}, {true, false}}; /* [modern][HTTP] */
    (void)state;
    for (int modern = 0; modern < 2; modern++) {
        for (int is_http = 0; is_http < 2; is_http++) {
            struct stage stage;
            struct ask ask;
            struct fake *fake =
                modern ? modern_stage(&stage, is_http) : legacy_stage(&stage, is_http, 0);
            ask_init(&ask);
            mcp_token id = ask_send(&stage, &ask, "tools/call");
            session_forget(&ask.pending, "test");
            assert_int_equal(count_sent(fake, "notifications/cancelled"),
                             says[modern][is_http]);
            assert_int_equal(fake->last_abandoned, id);
            (void)ask_send(&stage, &ask, "tools/call");
            if (is_http) {
                end_with(fake, ask.pending.id, ERR_TIMEOUT, 0);
                assert_int_equal(ask.failed, 1);
                assert_int_equal(count_sent(fake, "\"reason\":\"timeout\""), !modern);
            } else {
                session_forget(&ask.pending, "test");
            }
            ask_done(&ask);
            stage_done(&stage);
        }
    }
}

/* ---- a server of another era ------------------------------------------------------------- */

/* The place of a modern server was taken by a legacy one. */
static void an_era_that_was_lost_is_found_out_again(void **state)
{
    static const struct {
        const char *error; /* NULL: only a status */
        int status;
    } rows[] = {
        {NULL, 400},
        {NULL, 404},
        {NULL, 405},
        {"{'code':-32000,'message':'Bad Request: Unsupported protocol version'}", 400},
        {"{'code':-32001,'message':'Session not found'}", 404},
        {"{'code':-32600,'message':'x'}", 400},
        {"{'code':-32601,'message':'Method not found'}", 404},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct stage stage;
        struct ask both[2];
        struct fake *fake = modern_stage(&stage, true);
        for (size_t j = 0; j < 2; j++) {
            ask_init(&both[j]);
            mcp_token id = ask_send(&stage, &both[j], "tools/call");
            assert_ptr_equal(both[j].pending.revision, revision_modern());
            if (rows[i].error) {
                say_on(fake, id, "{'jsonrpc':'2.0','id':%llu,'error':%s}",
                       (unsigned long long)id, rows[i].error);
            }
        }
        assert_int_equal(both[0].answered, 0);
        end_with(fake, both[0].pending.id, code_of_status(rows[i].status), rows[i].status);
        assert_int_equal(stage.session.state, SESSION_RENEWING);
        assert_int_equal(stage.known.era, KNOWN_NOTHING);
        assert_true(asks(fake, "server/discover"));
        end_with(fake, both[1].pending.id, code_of_status(rows[i].status), rows[i].status);
        end_status(fake, 400);
        assert_true(asks(fake, "initialize"));
        answer_last(fake, LEGACY);
        is_legacy(&stage);
        for (size_t j = 0; j < 2; j++) {
            assert_int_equal(both[j].failed + both[j].answered, 0);
            assert_int_equal(both[j].ready, 1); /* to be sent again, once */
            ask_done(&both[j]);
        }
        stage_done(&stage);
    }
}

static void errors_of_modern_servers_are_answers(void **state)
{
    static const struct {
        const char *error;
        const char *method;
        int status; /* 0: the exchange ends in order */
    } rows[] = {
        {"{\"code\":-32601,\"message\":\"Unknown tool\"}", "tools/call", 0},
        {"{\"code\":-32000,\"message\":\"x\"}", "tools/call", 0},
        {"{\"code\":-32602,\"message\":\"x\"}", "tools/call", 400},
        {"{\"code\":-32020,\"message\":\"x\"}", "tools/call", 400},
        {"{\"code\":-32603,\"message\":\"x\"}", "tools/call", 500},
        {"{\"code\":-32601,\"message\":\"x\"}", "prompts/get", 404},
        {"{\"code\":-32601,\"message\":\"x\"}", "subscriptions/listen", 404},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct stage stage;
        struct ask ask;
        struct fake *fake = modern_stage(&stage, true);
        ask_init(&ask);
        mcp_token id = ask_send(&stage, &ask, rows[i].method);
        say_on(fake, id, "{'jsonrpc':'2.0','id':%llu,'error':%s}", (unsigned long long)id,
               rows[i].error);
        if (rows[i].status) {
            end_with(fake, id, code_of_status(rows[i].status), rows[i].status);
        } else {
            fake->events->exchange_ended(fake->arg, id, NULL, false);
        }
        assert_int_equal(ask.answered, 1);
        assert_int_equal(ask.failed, 0);
        assert_string_equal(ask.text, rows[i].error);
        is_modern(&stage);
        ask_done(&ask);
        stage_done(&stage);
    }
}

static void an_era_is_doubted_once_for_each_request(void **state)
{
    struct stage stage;
    struct ask ask;
    (void)state;
    struct fake *fake = modern_stage(&stage, true);
    ask_init(&ask);
    (void)ask_send(&stage, &ask, "tools/call");
    end_status(fake, 404);
    answer_last(fake, MODERN);
    is_modern(&stage);
    assert_int_equal(ask.ready, 1);
    (void)ask_send(&stage, &ask, "tools/call");
    end_status(fake, 404);
    is_modern(&stage);
    assert_int_equal(ask.failed, 1);
    assert_string_equal(ask.text, "answered 404");
    ask.pending.was_resent = false;
    mcp_token id = ask_send(&stage, &ask, "tools/call");
    answer_error(fake, "{'code':-32601,'message':'x'}");
    session_forget(&ask.pending, "test"); /* given up before the status is known */
    end_with(fake, id, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, 404);
    is_modern(&stage);
    ask_done(&ask);
    stage_done(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capabilities_are_declared_as_the_revision_knows_them),
        cmocka_unit_test(legacy_servers_offer_what_they_name),
        cmocka_unit_test(questions_that_nobody_declared_are_refused),
        cmocka_unit_test(a_question_goes_to_the_request_that_it_belongs_to),
        cmocka_unit_test(a_question_on_the_stream_of_no_request_is_for_the_only_call),
        cmocka_unit_test(modern_servers_do_not_ask),
        cmocka_unit_test(notifications_of_a_subscription_carry_its_id),
        cmocka_unit_test(a_request_is_taken_back_as_its_era_has_it),
        cmocka_unit_test(an_era_that_was_lost_is_found_out_again),
        cmocka_unit_test(errors_of_modern_servers_are_answers),
        cmocka_unit_test(an_era_is_doubted_once_for_each_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
