/* SPDX-License-Identifier: MIT */
/*
 * test_era.c - how a session finds out which era its server is of: each answer to
 * `server/discover`, silence and death, and what is known from then on.
 */
#include "era.h"

/* ---- stdio: answers ---------------------------------------------------------------------- */

static void a_discover_result_is_a_modern_server(void **state)
{
    (void)state;
    for (int is_http = 0; is_http < 2; is_http++) {
        struct stage stage;
        stage_init(&stage, is_http);
        stage.session.shown = MCP_CAN_ELICIT;
        struct fake *fake = stage_start(&stage);
        assert_int_equal(fake->count, 1);
        assert_string_equal(fake->about[0], "server/discover ");
        assert_has(last_sent(fake),
                   "\"method\":\"server/discover\",\"params\":{\"_meta\":{"
                   "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
                   "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"toolbroker\"");
        assert_has(last_sent(fake), "clientCapabilities\":{\"elicitation\":{}}");
        answer_last(
            fake, "{'resultType':'complete','supportedVersions':['2024-11-05','2099-01-01',"
                  "'2026-07-28'],'capabilities':{'tools':{'listChanged':true},'resources':{"
                  "'subscribe':true},'prompts':{'listChanged':1},'completions':{},'extensions'"
                  ":{'io.modelcontextprotocol/tasks':{}}},'instructions':'be kind','_meta':{"
                  "'io.modelcontextprotocol/serverInfo':{'name':'new','version':'7'}},"
                  "'serverInfo':{'name':'old'}}");
        is_modern(&stage);
        assert_int_equal(count_sent(fake, "initialize"), 0); /* nor is anything confirmed */
        assert_false(fake->is_listening);
        assert_string_equal(stage.session.server_name, "new");
        assert_string_equal(stage.session.server_version, "7");
        assert_string_equal(stage.session.instructions, "be kind");
        assert_int_equal(stage.session.offers, OFFERS_TOOLS | OFFERS_TOOLS_CHANGED |
                                                   OFFERS_RESOURCES | OFFERS_PROMPTS |
                                                   OFFERS_RESOURCES_SUBSCRIBE |
                                                   OFFERS_COMPLETIONS | OFFERS_TASKS);
        if (is_http) {
            assert_string_equal(fake->version, "2026-07-28");
        }
        stage_done(&stage);
    }
}

static void the_name_may_stand_where_it_once_stood(void **state)
{
    struct stage stage;
    (void)state;
    stage_init(&stage, false);
    answer_last(stage_start(&stage), "{'supportedVersions':['2026-07-28'],'serverInfo':{"
                                     "'name':'beta'},'capabilities':{}}");
    is_modern(&stage);
    assert_string_equal(stage.session.server_name, "beta");
    assert_null(stage.session.server_version);
    assert_int_equal(stage.session.offers, 0);
    assert_int_equal(stage.session.catalog->count, 0);
    stage_done(&stage);
}

static void every_other_answer_is_a_legacy_server(void **state)
{
    static const char *const answers[] = {
        "'error':{'code':-32601,'message':'Method not found'}",
        "'error':{'code':-32602,'message':'x','data':{'supported':['2026-07-28']}}",
        "'error':{'code':-32000,'message':'Unsupported protocol version: 2026-07-28'}",
        "'error':{'code':-32001,'message':'Session not found'}",
        "'error':{'code':-32004,'message':'beta'}",
        "'error':{'code':-32700,'message':'x'}",
        "'error':{'message':'no code'}",
        "'error':17",
        "'result':{}",
        "'result':[]",
        "'result':{'supportedVersions':'2026-07-28'}",
        "'result':{'supportedVersions':['2025-11-25']}",
        "'result':{},'error':{'code':1,'message':'x'}",
        "'neither':0",
    };
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        for (int is_http = 0; is_http < 2; is_http++) {
            struct stage stage;
            stage_init(&stage, is_http);
            struct fake *fake = stage_start(&stage);
            say_on(fake, last_token(fake), "{'jsonrpc':'2.0','id':%llu,%s}", last_id(fake),
                   answers[i]);
            assert_int_equal(fake->count, 2);
            assert_true(asks(fake, "initialize"));
            assert_string_equal(fake->about[1], "initialize ");
            if (is_http) {
                assert_string_equal(fake->version, "-");
            }
            answer_last(fake, LEGACY);
            is_legacy(&stage);
            assert_true(asks(fake, "notifications/initialized"));
            assert_int_equal(stage.bench.fake_count, 1);
            stage_done(&stage);
        }
    }
}

static void versions_that_we_do_not_speak_are_named(void **state)
{
    static const char *const answers[][2] = {
        {"'result':{'supportedVersions':['2030-01-01','2031-01-01']}",
         "speaks MCP 2030-01-01, 2031-01-01, and toolbroker was offering 2026-07-28"},
        {"'result':{'supportedVersions':[]}", "speaks MCP (none)"},
        {"'result':{'supportedVersions':[17]}", "speaks MCP (none)"},
        {"'error':{'code':-32022,'message':'x','data':{'supported':['2030-01-01']}}",
         "speaks MCP 2030-01-01"},
        {"'error':{'code':-32022,'message':'x'}", "speaks MCP (none)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct stage stage;
        stage_init(&stage, false);
        struct fake *fake = stage_start(&stage);
        say(fake, "{'jsonrpc':'2.0','id':%llu,%s}", last_id(fake), answers[i][0]);
        assert_int_equal(fake->count, 1); /* never `initialize` */
        assert_int_equal(stage.session.state, SESSION_STOPPED);
        assert_has(stage.failure, "EXTERNAL_TOOL_EXECUTION_FAILED: ");
        assert_has(stage.failure, answers[i][1]);
        assert_has(stage.failure, "it speaks 2026-07-28, 2025-11-25");
        stage_done(&stage);
    }
}

static void a_version_error_is_a_modern_server(void **state)
{
    struct stage stage;
    (void)state;
    stage_init(&stage, true);
    struct fake *fake = stage_start(&stage);
    /* The very one that was asked for, which happens; then it is right. */
    answer_error(fake, "{'code':-32022,'message':'x','data':{'supported':['2026-07-28']}}");
    assert_int_equal(fake->count, 2);
    assert_true(asks(fake, "server/discover"));
    assert_true(id_of(fake->sent[1]) != id_of(fake->sent[0]));
    end_with(fake, id_of(fake->sent[0]), ERR_EXTERNAL_TOOL_EXECUTION_FAILED, 400);
    answer_last(fake, MODERN);
    is_modern(&stage);
    stage_done(&stage);

    stage_init(&stage, false);
    fake = stage_start(&stage);
    answer_error(fake, "{'code':-32022,'message':'x','data':{'supported':['2026-07-28']}}");
    answer_error(fake, "{'code':-32022,'message':'x','data':{'supported':['2026-07-28']}}");
    assert_int_equal(fake->count, 2);
    assert_has(stage.failure, "the server speaks MCP 2026-07-28, and toolbroker was offering");
    stage_done(&stage);

    stage_init(&stage, false); /* both eras, but another modern revision than ours */
    fake = stage_start(&stage);
    answer_error(fake, "{'code':-32022,'message':'x','data':{'supported':['2030-01-01',"
                       "'2025-11-25']}}");
    assert_true(asks(fake, "initialize"));
    answer_last(fake, LEGACY);
    is_legacy(&stage);
    stage_done(&stage);
}

static void an_error_about_our_request_is_our_fault(void **state)
{
    static const int codes[] = {-32020, -32021};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct stage stage;
        char error[96];
        stage_init(&stage, true);
        struct fake *fake = stage_start(&stage);
        (void)snprintf(error, sizeof error, "{'code':%d,'message':'Header mismatch'}",
                       codes[i]);
        answer_error(fake, error);
        assert_int_equal(fake->count, 1);
        assert_int_equal(stage.known.era, KNOWN_MODERN);
        assert_has(stage.failure, "Header mismatch (to `server/discover`)");
        assert_has(stage.suggestion, "report it as a fault of toolbroker");
        stage_done(&stage);
    }
}

/* ---- stdio: silence and death ------------------------------------------------------------ */

static void silence_leads_to_initialize_on_the_same_pipe(void **state)
{
    struct stage stage;
    (void)state;
    stage_init(&stage, false);
    struct fake *fake = stage_start(&stage);
    say(fake, "npm notice: this is no message"); /* a line that nobody can place is no answer */
    say(fake, "{'jsonrpc':'2.0','id':null,'error':{'code':-32700,'message':'Parse error'}}");
    loop_advance(stage.bench.loop, 2999 * MS);
    assert_int_equal(fake->count, 1);
    loop_advance(stage.bench.loop, 1 * MS);
    assert_int_equal(fake->count, 2);
    assert_true(asks(fake, "initialize"));
    uint64_t dropped = stage.session.dropped;
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':" MODERN "}", id_of(fake->sent[0]));
    assert_int_equal(stage.session.dropped, dropped + 1); /* too late */
    assert_int_equal(stage.session.state, SESSION_HANDSHAKE);
    answer_last(fake, LEGACY);
    is_legacy(&stage);
    assert_int_equal(stage.bench.fake_count, 1);
    loop_advance(stage.bench.loop, 20000 * MS); /* no timer is left */
    is_legacy(&stage);
    stage_done(&stage);
}

static void a_short_time_to_start_is_shared_out(void **state)
{
    struct stage stage;
    (void)state;
    stage_init(&stage, false);
    stage.conf->connect_timeout_ms = 1000;
    struct fake *fake = stage_start(&stage);
    loop_advance(stage.bench.loop, 299 * MS);
    assert_int_equal(fake->count, 1);
    loop_advance(stage.bench.loop, 1 * MS);
    assert_true(asks(fake, "initialize"));
    stage_done(&stage);
}

static void silence_to_both_starts_the_child_again(void **state)
{
    struct stage stage;
    (void)state;
    stage_init(&stage, false);
    struct fake *first = stage_start(&stage);
    loop_advance(stage.bench.loop, 3000 * MS);
    loop_advance(stage.bench.loop, 4500 * MS);
    assert_true(first->is_closing);
    assert_int_equal(stage.bench.fake_count, 2);
    assert_int_equal(stage.session.state, SESSION_OPENING);
    struct fake *second = wire_of(&stage);
    fake_opened(second);
    assert_int_equal(second->count, 1);
    assert_true(asks(second, "initialize")); /* without what silenced the first one */
    fake_closed(first);
    answer_last(second, LEGACY);
    is_legacy(&stage);
    stage_done(&stage);

    stage_init(&stage, false);
    (void)stage_start(&stage);
    loop_advance(stage.bench.loop, 3000 * MS);
    loop_advance(stage.bench.loop, 4500 * MS);
    fake_opened(wire_of(&stage));
    loop_advance(stage.bench.loop, 2499 * MS);
    assert_int_equal(stage.failures, 0);
    loop_advance(stage.bench.loop, 2 * MS);
    assert_has(stage.failure,
               "UNAVAILABLE: the server did not answer `initialize` within 10000 "
               "ms (before that, `server/discover`: no answer within 3000 ms; "
               "`initialize`: no answer within 7500 ms)");
    assert_int_equal(stage.bench.fake_count, 2); /* once only */
    /* The next one has all of the time for `initialize`: perhaps the server is just slow. */
    assert_true(stage.known.skips_discover);
    struct fake *third = stage_start(&stage);
    assert_true(asks(third, "initialize"));
    loop_advance(stage.bench.loop, 9999 * MS);
    assert_int_equal(third->count, 1);
    answer_last(third, LEGACY);
    is_legacy(&stage);
    assert_false(stage.known.skips_discover);
    stage_done(&stage);
}

static void a_child_that_dies_of_the_question_is_started_again(void **state)
{
    struct stage stage;
    (void)state;
    stage_init(&stage, false);
    (void)stage_start(&stage);
    fake_dies(wire_of(&stage), "exited with status 3");
    assert_int_equal(stage.failures, 0);
    assert_int_equal(stage.bench.fake_count, 2);
    fake_opened(wire_of(&stage));
    assert_true(asks(wire_of(&stage), "initialize"));
    answer_last(wire_of(&stage), LEGACY);
    is_legacy(&stage);
    stage_done(&stage);

    stage_init(&stage, false);
    (void)stage_start(&stage);
    fake_dies(wire_of(&stage), "exited with status 3");
    fake_opened(wire_of(&stage));
    fake_dies(wire_of(&stage), "exited with status 4");
    assert_int_equal(stage.bench.fake_count, 2);
    assert_has(stage.failure,
               "exited with status 4 (before that, `server/discover`: exited with "
               "status 3)");
    stage_done(&stage);

    stage_init(&stage, false); /* twice in the same way: said once */
    (void)stage_start(&stage);
    fake_dies(wire_of(&stage), "exited with status 3");
    fake_opened(wire_of(&stage));
    fake_dies(wire_of(&stage), "exited with status 3");
    assert_string_equal(stage.failure, "UNAVAILABLE: exited with status 3");
    stage_done(&stage);

    stage_init(&stage, false); /* one that never stood was not asked anything */
    struct failure failure = {0};
    assert_int_equal(session_start(&stage.session, &failure), 0);
    fake_dies(wire_of(&stage), "cannot start");
    assert_int_equal(stage.bench.fake_count, 1);
    assert_string_equal(stage.failure, "UNAVAILABLE: cannot start");
    stage_done(&stage);

    stage_init(&stage, false); /* an answer, and then death of `initialize` */
    answer_error(stage_start(&stage), "{'code':-32601,'message':'x'}");
    fake_dies(wire_of(&stage), "exited with status 3");
    fake_opened(wire_of(&stage));
    assert_true(asks(wire_of(&stage), "initialize"));
    answer_last(wire_of(&stage), LEGACY);
    is_legacy(&stage);
    stage_done(&stage);
}

/* A package that was being downloaded while we asked: the server is modern, and was only late. */
static void a_late_modern_server_is_found(void **state)
{
    static const char *const refusals[] = {
        "{'code':-32022,'message':'x','data':{'supported':['2026-07-28']}}",
        "{'code':-32602,'message':'x','data':{'supported':['2026-07-28']}}",
        "{'code':-32601,'message':'Method not found'}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct stage stage;
        stage_init(&stage, false);
        struct fake *fake = stage_start(&stage);
        loop_advance(stage.bench.loop, 3000 * MS);
        answer_error(fake, refusals[i]);
        assert_int_equal(fake->count, 3);
        assert_true(asks(fake, "server/discover"));
        answer_last(fake, MODERN);
        is_modern(&stage);
        assert_int_equal(stage.bench.fake_count, 1);
        stage_done(&stage);
    }
}

static void a_server_that_refuses_both_fails_with_both(void **state)
{
    struct stage stage;
    (void)state;
    stage_init(&stage, false);
    struct fake *fake = stage_start(&stage);
    loop_advance(stage.bench.loop, 3000 * MS);
    answer_error(fake, "{'code':-32000,'message':'Broken'}");
    answer_error(fake, "{'code':-32601,'message':'Unknown'}");
    assert_int_equal(fake->count, 3);
    assert_has(stage.failure,
               "error -32000: Broken (before that, `server/discover`: no answer "
               "within 3000 ms; `server/discover`: the server answered with error "
               "-32601: Unknown)");
    stage_done(&stage);

    stage_init(&stage, false); /* it had answered: the second question would not help */
    fake = stage_start(&stage);
    answer_error(fake, "{'code':-32601,'message':'Unknown'}");
    answer_error(fake, "{'code':-32000,'message':'Broken'}");
    assert_int_equal(fake->count, 2);
    assert_has(stage.failure, "error -32000: Broken (before that, `server/discover`: ");
    stage_done(&stage);

    stage_init(&stage, false); /* silent again */
    fake = stage_start(&stage);
    loop_advance(stage.bench.loop, 3000 * MS);
    answer_error(fake, "{'code':-32000,'message':'Broken'}");
    loop_advance(stage.bench.loop, 3000 * MS);
    assert_has(stage.failure, "error -32000: Broken");
    stage_done(&stage);
}

/* ---- what is known ----------------------------------------------------------------------- */

static void a_known_era_is_not_asked_for_again(void **state)
{
    struct stage stage;
    (void)state;
    stage_init(&stage, false);
    answer_error(stage_start(&stage), "{'code':-32601,'message':'x'}");
    answer_last(wire_of(&stage), LEGACY);
    fake_dies(wire_of(&stage), "crashed");
    struct fake *fake = stage_start(&stage);
    assert_true(asks(fake, "initialize"));
    loop_advance(stage.bench.loop, 9000 * MS); /* nor is it in a hurry */
    assert_int_equal(fake->count, 1);
    answer_last(fake, LEGACY);
    is_legacy(&stage);
    /* Replaced by a modern release. */
    fake_dies(fake, "crashed");
    fake = stage_start(&stage);
    answer_error(fake, "{'code':-32601,'message':'no such method'}");
    assert_true(asks(fake, "server/discover"));
    answer_last(fake, MODERN);
    is_modern(&stage);
    /* Known as modern: what it offers is asked for, with all the time there is. */
    fake_dies(fake, "crashed");
    fake = stage_start(&stage);
    assert_true(asks(fake, "server/discover"));
    loop_advance(stage.bench.loop, 9000 * MS);
    assert_int_equal(fake->count, 1);
    answer_last(fake, MODERN);
    is_modern(&stage);
    /* Replaced by a legacy release. */
    fake_dies(fake, "crashed");
    fake = stage_start(&stage);
    answer_error(fake, "{'code':-32601,'message':'x'}");
    answer_last(fake, LEGACY);
    is_legacy(&stage);
    stage_done(&stage);
}

static void a_modern_server_that_falls_silent_is_forgotten(void **state)
{
    struct stage stage;
    (void)state;
    stage_init(&stage, false);
    stage.known.era = KNOWN_MODERN;
    (void)stage_start(&stage);
    loop_advance(stage.bench.loop, 10001 * MS);
    assert_has(stage.failure, "did not answer `server/discover` within 10000 ms");
    assert_int_equal(stage.known.era, KNOWN_NOTHING);
    stage_done(&stage);
}

static void a_configured_era_is_not_argued_with(void **state)
{
    struct stage stage;
    (void)state;
    stage_init(&stage, false);
    stage.conf->era = SERVICE_ERA_LEGACY;
    struct fake *fake = stage_start(&stage);
    assert_true(asks(fake, "initialize"));
    answer_error(fake, "{'code':-32022,'message':'x','data':{'supported':['2026-07-28']}}");
    assert_int_equal(fake->count, 1);
    assert_has(stage.failure, "error -32022: x");
    stage_done(&stage);

    for (int is_http = 0; is_http < 2; is_http++) {
        stage_init(&stage, is_http);
        stage.conf->era = SERVICE_ERA_MODERN;
        fake = stage_start(&stage);
        answer_error(fake, "{'code':-32601,'message':'Method not found'}");
        assert_int_equal(fake->count, 1);
        assert_has(stage.failure, "error -32601: Method not found (to `server/discover`)");
        assert_has(stage.suggestion, "let the service's era be \"auto\"");
        stage_done(&stage);
    }
    stage_init(&stage, false);
    stage.conf->era = SERVICE_ERA_MODERN;
    answer_last(stage_start(&stage), "{'supportedVersions':['2025-11-25']}");
    assert_has(stage.failure, "the server speaks MCP 2025-11-25");
    stage_done(&stage);

    stage_init(&stage, false);
    stage.conf->era = SERVICE_ERA_MODERN;
    (void)stage_start(&stage);
    loop_advance(stage.bench.loop, 9999 * MS);
    assert_int_equal(stage.failures, 0);
    fake_dies(wire_of(&stage), "exited with status 3");
    assert_int_equal(stage.bench.fake_count, 1);
    assert_string_equal(stage.failure, "UNAVAILABLE: exited with status 3");
    stage_done(&stage);
}

static void a_child_that_does_not_begin_as_legacy_is_asked_anew(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct stage stage;
        stage_init(&stage, false);
        stage.known.era = KNOWN_LEGACY;
        struct fake *fake = stage_start(&stage);
        assert_true(asks(fake, "initialize"));
        if (i) {
            fake_dies(fake, "usage: no initialize");
        } else {
            loop_advance(stage.bench.loop, 10001 * MS);
            turn(&stage.bench);
        }
        assert_int_equal(stage.session.state, SESSION_STOPPED);
        fake = stage_start(&stage);
        assert_true(asks(fake, "server/discover"));
        stage_done(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_discover_result_is_a_modern_server),
        cmocka_unit_test(the_name_may_stand_where_it_once_stood),
        cmocka_unit_test(every_other_answer_is_a_legacy_server),
        cmocka_unit_test(versions_that_we_do_not_speak_are_named),
        cmocka_unit_test(a_version_error_is_a_modern_server),
        cmocka_unit_test(an_error_about_our_request_is_our_fault),
        cmocka_unit_test(silence_leads_to_initialize_on_the_same_pipe),
        cmocka_unit_test(a_short_time_to_start_is_shared_out),
        cmocka_unit_test(silence_to_both_starts_the_child_again),
        cmocka_unit_test(a_child_that_dies_of_the_question_is_started_again),
        cmocka_unit_test(a_late_modern_server_is_found),
        cmocka_unit_test(a_server_that_refuses_both_fails_with_both),
        cmocka_unit_test(a_known_era_is_not_asked_for_again),
        cmocka_unit_test(a_modern_server_that_falls_silent_is_forgotten),
        cmocka_unit_test(a_configured_era_is_not_argued_with),
        cmocka_unit_test(a_child_that_does_not_begin_as_legacy_is_asked_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
