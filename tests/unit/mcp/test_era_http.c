/* SPDX-License-Identifier: MIT */
/*
 * test_era_http.c - how a session finds out over HTTP which era its server is of: each status in
 * place of an answer to `server/discover`, and the older transport as the last way.
 */
#include "era.h"

/* ---- HTTP -------------------------------------------------------------------------------- */

static void statuses_of_legacy_servers_lead_to_initialize(void **state)
{
    static const int statuses[] = {400, 404, 405, 406, 410, 415, 422, 200, 202};
    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        struct stage stage;
        stage_init(&stage, true);
        struct fake *fake = stage_start(&stage);
        assert_string_equal(fake->version, "2026-07-28");
        end_status(fake, statuses[i]);
        assert_int_equal(fake->count, 2);
        assert_true(asks(fake, "initialize"));
        assert_string_equal(fake->version, "-");
        answer_last(fake, LEGACY);
        is_legacy(&stage);
        assert_string_equal(fake->version, "2025-11-25");
        stage_done(&stage);
    }
    struct stage stage; /* an end in order, with no message */
    stage_init(&stage, true);
    struct fake *fake = stage_start(&stage);
    fake->events->exchange_ended(fake->arg, last_id(fake), NULL, false);
    turn(&stage.bench);
    assert_true(asks(fake, "initialize"));
    stage_done(&stage);
}

static void statuses_that_say_nothing_of_the_era_fail(void **state)
{
    static const struct {
        int status;
        enum err_code code;
    } rows[] = {
        {401, ERR_AUTH_FAILED},
        {403, ERR_AUTH_FAILED},
        {401, ERR_AUTH_REQUIRED},
        {429, ERR_RATE_LIMITED},
        {302, ERR_EXTERNAL_TOOL_EXECUTION_FAILED},
        {407, ERR_EXTERNAL_TOOL_EXECUTION_FAILED},
        {0, ERR_TIMEOUT},
        {200, ERR_TIMEOUT},
        {0, ERR_UNAVAILABLE}, /* name, connection, TLS */
        {503, ERR_UNAVAILABLE},
        {0, ERR_OVERLOADED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (unsigned known = KNOWN_NOTHING; known <= KNOWN_MODERN; known += KNOWN_MODERN) {
            struct stage stage;
            stage_init(&stage, true);
            stage.known.era = known;
            struct fake *fake = stage_start(&stage);
            end_with(fake, last_id(fake), rows[i].code, rows[i].status);
            assert_int_equal(fake->count, 1);
            assert_int_equal(stage.failures, 1);
            assert_has(stage.failure, err_name(rows[i].code));
            assert_int_equal(stage.known.era, known); /* nothing is remembered, or forgotten */
            assert_int_equal(stage.session.failures, 1);
            if (rows[i].code == ERR_TIMEOUT) {
                assert_has(stage.suggestion, "era be \"legacy\"");
            }
            stage_done(&stage);
        }
    }
}

static void the_second_server_error_tries_initialize(void **state)
{
    struct stage stage;
    (void)state;
    stage_init(&stage, true);
    end_status(stage_start(&stage), 500);
    assert_has(stage.failure, "UNAVAILABLE: answered 500");
    struct fake *fake = stage_start(&stage);
    end_status(fake, 502);
    assert_true(asks(fake, "initialize"));
    end_status(fake, 500);
    assert_has(stage.failure, "answered 500 (before that, `server/discover`: answered 502)");
    assert_int_equal(stage.known.era, KNOWN_NOTHING);
    end_status(stage_start(&stage), 500); /* and so on */
    assert_int_equal(stage.failures, 3);
    fake = stage_start(&stage);
    end_status(fake, 500);
    answer_last(fake, LEGACY);
    is_legacy(&stage);
    assert_int_equal(stage.known.server_errors, 0);
    stage_done(&stage);
}

static void a_server_that_hangs_up_is_one_that_broke(void **state)
{
    struct stage stage;
    (void)state;
    stage_init(&stage, true);
    for (int i = 0; i < 2; i++) {
        struct failure failure = {0};
        struct fake *fake = stage_start(&stage);
        failure_set(&failure, ERR_UNAVAILABLE, "closed the connection");
        failure_detail_text(&failure, "reason", "closed");
        fake->events->exchange_ended(fake->arg, last_id(fake), &failure, false);
        failure_done(&failure);
        turn(&stage.bench);
        assert_int_equal(fake->count, i + 1);
    }
    assert_true(asks(wire_of(&stage), "initialize"));
    stage_done(&stage);
}

static void a_known_legacy_server_may_become_modern_over_http(void **state)
{
    struct stage stage;
    (void)state;
    stage_init(&stage, true);
    stage.known.era = KNOWN_LEGACY;
    struct fake *fake = stage_start(&stage);
    assert_true(asks(fake, "initialize"));
    end_status(fake, 400);
    assert_true(asks(fake, "server/discover"));
    assert_string_equal(fake->version, "2026-07-28");
    answer_last(fake, MODERN);
    is_modern(&stage);
    stage_done(&stage);

    stage_init(&stage, true);
    stage.known.era = KNOWN_LEGACY;
    fake = stage_start(&stage);
    end_status(fake, 401); /* says nothing */
    assert_int_equal(fake->count, 1);
    assert_int_equal(stage.known.era, KNOWN_LEGACY);
    stage_done(&stage);
}

/* ---- HTTP+SSE ---------------------------------------------------------------------------- */

static void the_older_transport_is_the_last_way(void **state)
{
    static const int statuses[] = {400, 404, 405};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct stage stage;
        stage_init(&stage, true);
        stage.conf->transport = SERVICE_AUTO;
        struct fake *first = stage_start(&stage);
        end_status(first, 404);
        end_status(first, statuses[i]);
        assert_true(first->is_closing);
        assert_int_equal(stage.bench.fake_count, 2);
        struct fake *second = wire_of(&stage);
        assert_true(second->is_sse);
        fake_opened(second);
        assert_true(asks(second, "initialize"));
        assert_string_equal(second->version, "-");
        answer_last(second, "{'protocolVersion':'2024-11-05'," TOOLS "}");
        assert_int_equal(stage.session.state, SESSION_READY);
        assert_true(stage.known.is_sse);
        assert_false(stage.session.has_exchanges);
        fake_dies(second, "gone"); /* and the next time it is the first */
        struct fake *third = stage_start(&stage);
        assert_true(third->is_sse);
        assert_true(asks(third, "initialize"));
        stage_done(&stage);
    }
}

static void three_ways_in_vain_are_all_told(void **state)
{
    struct stage stage;
    (void)state;
    stage_init(&stage, true);
    stage.conf->transport = SERVICE_AUTO;
    struct fake *fake = stage_start(&stage);
    end_status(fake, 404);
    end_status(fake, 405);
    fake_dies(wire_of(&stage), "http://h/ answered 406 to the event stream");
    assert_int_equal(stage.bench.fake_count, 2);
    assert_has(stage.failure,
               "answered 406 to the event stream (before that, `server/discover`: "
               "answered 404; `initialize`: answered 405)");
    assert_false(stage.known.is_sse);
    struct fake *again = stage_start(&stage);
    assert_false(again->is_sse);
    stage_done(&stage);

    stage_init(&stage, true); /* not where it was not asked for */
    fake = stage_start(&stage);
    end_status(fake, 404);
    end_status(fake, 404);
    assert_int_equal(stage.bench.fake_count, 1);
    assert_int_equal(stage.failures, 1);
    assert_has(stage.suggestion, "let the service's transport be \"auto\"");
    stage_done(&stage);

    stage_init(&stage, true); /* nor when credentials are the matter */
    stage.conf->transport = SERVICE_AUTO;
    fake = stage_start(&stage);
    end_status(fake, 404);
    end_status(fake, 403);
    assert_int_equal(stage.bench.fake_count, 1);
    assert_has(stage.failure, "AUTH_FAILED");
    stage_done(&stage);
}

static void a_server_that_left_the_older_transport_is_found(void **state)
{
    struct stage stage;
    struct failure failure = {0};
    (void)state;
    stage_init(&stage, true);
    stage.conf->transport = SERVICE_AUTO;
    stage.known = (struct session_known){.era = KNOWN_LEGACY, .is_sse = true};
    assert_int_equal(session_start(&stage.session, &failure), 0);
    assert_true(wire_of(&stage)->is_sse);
    fake_dies(wire_of(&stage), "answered 405");
    assert_int_equal(stage.bench.fake_count, 2);
    struct fake *fake = wire_of(&stage);
    assert_false(fake->is_sse);
    fake_opened(fake);
    answer_last(fake, LEGACY);
    is_legacy(&stage);
    assert_false(stage.known.is_sse);
    stage_done(&stage);

    stage_init(&stage, true);
    stage.conf->transport = SERVICE_SSE;
    assert_int_equal(session_start(&stage.session, &failure), 0);
    assert_true(wire_of(&stage)->is_sse);
    fake_dies(wire_of(&stage), "answered 405");
    assert_int_equal(stage.bench.fake_count, 1);
    stage_done(&stage);
}

static void what_an_older_exchange_says_is_no_news_of_the_era(void **state)
{
    (void)state;
    struct stage stage;
    struct ask one;
    struct ask two;
    stage_init(&stage, true);
    struct fake *fake = stage_start(&stage);
    answer_last(fake, MODERN);
    is_modern(&stage);
    ask_init(&one);
    ask_init(&two);
    mcp_token first = ask_send(&stage, &one, "prompts/list");
    mcp_token second = ask_send(&stage, &two, "prompts/list");
    end_with(fake, first, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, 400);
    assert_true(asks(fake, "server/discover"));
    answer_last(fake, "{}"); /* names no versions */
    assert_true(asks(fake, "initialize"));
    answer_last(fake, LEGACY);
    is_legacy(&stage);
    end_with(fake, second, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, 400);
    is_legacy(&stage);
    assert_int_equal(two.ready, 1);
    ask_done(&one);
    ask_done(&two);
    stage_done(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_of_legacy_servers_lead_to_initialize),
        cmocka_unit_test(statuses_that_say_nothing_of_the_era_fail),
        cmocka_unit_test(the_second_server_error_tries_initialize),
        cmocka_unit_test(a_server_that_hangs_up_is_one_that_broke),
        cmocka_unit_test(a_known_legacy_server_may_become_modern_over_http),
        cmocka_unit_test(the_older_transport_is_the_last_way),
        cmocka_unit_test(three_ways_in_vain_are_all_told),
        cmocka_unit_test(a_server_that_left_the_older_transport_is_found),
        cmocka_unit_test(what_an_older_exchange_says_is_no_news_of_the_era),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
