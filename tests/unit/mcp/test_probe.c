/* SPDX-License-Identifier: MIT */
/* test_probe.c - probes: what they ask, what they say of each step, and what they leave as it was. */
#include "mcp/probe.h"

#include "era.h"
#include "one_service.h"

static struct probed {
    struct mcp_request *request;
    unsigned done;
    enum err_code code;
    enum failure_class class;
    enum mcp_probe_step reached;
    mono_us took[MCP_PROBE_STEPS];
    char protocol[32], server[64], transport[8];
    int64_t tools;
    char *text, *details;
} probed; /* told of the probe of the test */

static void probe_done(void *arg, const struct mcp_probe_report *report)
{
    (void)arg;
    probed.done++;
    probed.reached = report->reached;
    memcpy(probed.took, report->took, sizeof probed.took);
    (void)snprintf(probed.protocol, sizeof probed.protocol, "%s",
                   report->protocol ? report->protocol : "-");
    (void)snprintf(probed.server, sizeof probed.server, "%s %s",
                   report->server_name ? report->server_name : "-",
                   report->server_version ? report->server_version : "-");
    (void)snprintf(probed.transport, sizeof probed.transport, "%s", report->transport);
    probed.tools = report->tools;
    if (report->failure) {
        struct told why = {0};
        told_failure(&why, report->failure);
        probed.code = why.code;
        probed.class = why.class;
        keep(&probed.text, why.text);
        keep(&probed.details, why.details);
        mem_free(why.suggestion);
    }
}

struct probe_options {
    const char *user;
    bool is_apart, lists;
    mono_us timeout; /* 0: 30 s */
};

static void probe_as(const struct probe_options *with)
{
    const struct mcp_identity identity = {.agent = {"", 0},
                                          .user = slice_of(with->user ? with->user : "")};
    const struct mcp_probe_options options = {
        .is_apart = with->is_apart,
        .lists = with->lists,
        .deadline = loop_now(bench.loop) + (with->timeout ? with->timeout : 30000 * MS)};
    unsigned before = probed.done;
    probed.request =
        mcp_probe(service_named(&bench, "s"), &identity, &options, probe_done, NULL);
    assert_non_null(probed.request);
    assert_int_equal(probed.done, before); /* never inside */
    turn(&bench);
}

#define probe(...) probe_as(&(struct probe_options){__VA_ARGS__})

static void forget_probe(void)
{
    mem_free(probed.text);
    mem_free(probed.details);
    probed = (struct probed){.request = NULL};
}

static int clear_probe(void **state)
{
    (void)clear(state);
    forget_probe();
    return 0;
}

static void advance(mono_us by)
{
    loop_advance(bench.loop, by);
}

#define assert_took(connect, handshake, ping, list)                    \
    do {                                                               \
        assert_int_equal(probed.took[MCP_PROBE_CONNECT], connect);     \
        assert_int_equal(probed.took[MCP_PROBE_HANDSHAKE], handshake); \
        assert_int_equal(probed.took[MCP_PROBE_PING], ping);           \
        assert_int_equal(probed.took[MCP_PROBE_LIST], list);           \
    } while (0)

#define assert_ended_well()                      \
    do {                                         \
        assert_int_equal(probed.done, 1);        \
        assert_int_equal(probed.code, ERR_NONE); \
    } while (0)

#define assert_failed(wanted, step, part)                             \
    do {                                                              \
        assert_int_equal(probed.done, 1);                             \
        assert_string_equal(err_name(probed.code), err_name(wanted)); \
        assert_int_equal(probed.reached, step);                       \
        assert_has(probed.text, part);                                \
    } while (0)

static void assert_counters(const char *part)
{
    struct buf map;
    char *status = as_json(put_status(service_named(&bench, "s"), &map));
    assert_has(status, part);
    mem_free(status);
    buf_done(&map);
}

/* ---- steps ------------------------------------------------------------------------------- */

static void a_stopped_server_is_started_and_timed(void **state)
{
    (void)state;
    begin(false);
    assert_false(mcp_service_is_connected(service_named(&bench, "s")));
    probe(.lists = false);
    struct fake *fake = fake_at(&bench, 0);
    advance(3 * MS);
    fake_opened(fake);
    advance(5 * MS);
    answer_last(fake, LEGACY);
    assert_true(mcp_service_is_connected(service_named(&bench, "s")));
    assert_has(last_sent(fake), "\"method\":\"ping\"");
    advance(7 * MS);
    answer_last(fake, "{}");
    assert_ended_well();
    assert_int_equal(probed.reached, MCP_PROBE_PING);
    assert_took(3 * MS, 5 * MS, 7 * MS, -1);
    assert_string_equal(probed.protocol, "2025-11-25");
    assert_string_equal(probed.server, "- -");
    assert_string_equal(probed.transport, "stdio");
    assert_int_equal(probed.tools, -1);
    probe(.lists = false); /* it stands now */
    advance(2 * MS);
    answer_last(fake, "{}");
    assert_int_equal(probed.done, 2);
    assert_took(-1, -1, 2 * MS, -1);
    assert_int_equal(bench.fake_count, 1);
    assert_counters("\"calls\":0,\"failures\":0,\"restarts\":0");
}

static void tools_are_listed_anew(void **state)
{
    (void)state;
    struct fake *fake = stand(false);
    probe(.lists = true);
    assert_has(last_sent(fake), "\"method\":\"tools/list\"");
    unsigned long long listing = last_id(fake);
    call(&bench, &told); /* what is known is good enough meanwhile */
    assert_has(last_sent(fake), "\"method\":\"tools/call\"");
    answer_last(fake, "{}");
    assert_int_equal(told.done, 1);
    advance(4 * MS);
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{'tools':[" ECHO_TOOL ",{'name':'b'}]}}",
        listing);
    assert_ended_well();
    assert_int_equal(probed.reached, MCP_PROBE_LIST);
    assert_took(-1, -1, -1, 4 * MS);
    assert_int_equal(probed.tools, 2);
    assert_string_equal(probed.server, "fake 1.2");
    forget_probe();
    probe(.lists = true);
    answer_error(fake, "{'code':-32603,'message':'no list'}");
    assert_failed(ERR_EXTERNAL_TOOL_EXECUTION_FAILED, MCP_PROBE_LIST, "no list");
    assert_int_equal(probed.class, FAILURE_ANSWER);
    assert_int_equal(probed.tools, -1);
}

static void a_server_without_tools_is_pinged(void **state)
{
    (void)state;
    begin(false);
    probe(.lists = true);
    fake_opened(fake_at(&bench, 0));
    answer_last(fake_at(&bench, 0), "{'protocolVersion':'2024-11-05','capabilities':{}}");
    assert_has(last_sent(fake_at(&bench, 0)), "\"method\":\"ping\"");
    /* It does not know even that: it has answered. */
    answer_error(fake_at(&bench, 0), "{'code':-32601,'message':'Method not found'}");
    assert_ended_well();
    assert_int_equal(probed.tools, 0);
    probe(.lists = false);
    answer_error(fake_at(&bench, 0), "{'code':-32603,'message':'broken inside'}");
    assert_int_equal(probed.done, 2);
    assert_has(probed.text, "broken inside");
    assert_int_equal(probed.reached, MCP_PROBE_PING);
    assert_counters("\"calls\":0,\"failures\":0,\"restarts\":0");
}

static void a_modern_server_is_asked_what_it_is(void **state)
{
    (void)state;
    for (int is_http = 0; is_http < 2; is_http++) {
        struct service_conf *conf = conf_new("s", "1");
        conf->era = SERVICE_ERA_MODERN;
        conf->transport = is_http ? SERVICE_HTTP : SERVICE_STDIO;
        begin_as(is_http, conf);
        probe(.lists = false);
        struct fake *fake = fake_at(&bench, 0);
        advance(2 * MS);
        fake_opened(fake);
        advance(3 * MS);
        answer_last(fake, MODERN);
        assert_int_equal(count_sent(fake, "\"method\":\"server/discover\""), 2);
        assert_has(last_sent(fake), "io.modelcontextprotocol/protocolVersion");
        advance(MS);
        answer_last(fake, MODERN);
        assert_ended_well();
        assert_string_equal(probed.protocol, "2026-07-28");
        assert_string_equal(probed.transport, is_http ? "http" : "stdio");
        if (is_http) { /* connections are made as they are needed */
            assert_took(-1, 5 * MS, MS, -1);
        } else {
            assert_took(2 * MS, 3 * MS, MS, -1);
        }
        (void)clear_probe(NULL);
    }
}

/* ---- sessions ---------------------------------------------------------------------------- */

static void a_probe_apart_leaves_the_shared_session_alone(void **state)
{
    (void)state;
    struct fake *shared = stand(false);
    size_t sent = shared->count;
    probe(.is_apart = true, .lists = true);
    assert_int_equal(bench.fake_count, 2);
    struct fake *apart = fake_at(&bench, 1);
    serve_echo(apart);
    assert_ended_well();
    assert_int_equal(probed.tools, 1);
    turn(&bench);
    assert_true(apart->is_closing);
    fake_closed(apart);
    assert_true(apart->is_freed);
    assert_int_equal(shared->count, sent);
    call(&bench, &told);
    answer_last(shared, "{}");
    assert_int_equal(told.done, 1);
    probe(.is_apart = true);
    fake_dies(fake_at(&bench, 2), "no more");
    assert_int_equal(probed.done, 2);
    assert_int_equal(probed.reached, MCP_PROBE_CONNECT);
    assert_string_equal(mcp_state_name(mcp_service_state(service_named(&bench, "s"))),
                        "running");
}

static void credentials_are_those_of_the_identity(void **state)
{
    (void)state;
    struct service_conf *conf = conf_new("s", "1");
    conf->sharing = SERVICE_PER_USER;
    begin_as(false, conf);
    probe(.user = "ana", .is_apart = true);
    assert_string_equal(fake_at(&bench, 0)->user, "ana");
    mcp_cancel(probed.request, "test");
    probe(.user = "bea");
    assert_string_equal(fake_at(&bench, 1)->user, "bea");
    shake_hands(fake_at(&bench, 1), "2025-11-25");
    assert_has(last_sent(fake_at(&bench, 1)), "\"method\":\"ping\"");
}

static void idle_time_goes_on(void **state)
{
    (void)state;
    struct service_conf *conf = conf_new("s", "1");
    conf->idle_stop_s = 10;
    begin_as(false, conf);
    call(&bench, &told);
    struct fake *fake = fake_at(&bench, 0);
    serve_echo(fake);
    answer_last(fake, "{}");
    told_done(&told);
    for (int i = 0; i < 3; i++) {
        advance(3000 * MS);
        probe(.lists = false);
        answer_last(fake, "{}");
    }
    assert_int_equal(probed.done, 3);
    advance(999 * MS);
    assert_false(fake->is_closing);
    probe(.lists = false); /* over the end of its time */
    advance(2000 * MS);
    assert_false(fake->is_closing);
    answer_last(fake, "{}");
    assert_int_equal(probed.done, 4);
    advance(0);
    turn(&bench);
    assert_true(fake->is_closing);
}

static void a_call_beside_a_probe_is_use(void **state)
{
    (void)state;
    struct service_conf *conf = conf_new("s", "1");
    conf->idle_stop_s = 10;
    begin_as(false, conf);
    probe(.lists = false);
    struct fake *fake = fake_at(&bench, 0);
    fake_opened(fake);
    answer_last(fake, LEGACY);
    unsigned long long ping = last_id(fake);
    advance(6000 * MS);
    call(&bench, &told);
    answer_last(fake, "{'tools':[" ECHO_TOOL "]}");
    answer_last(fake, "{}");
    assert_int_equal(told.done, 1);
    advance(1000 * MS);
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{}}", ping);
    assert_int_equal(probed.done, 1);
    advance(9000 * MS);
    assert_false(fake->is_closing);
    advance(1001 * MS);
    turn(&bench);
    assert_true(fake->is_closing);
}

static void a_probe_does_not_wait_for_the_back_off(void **state)
{
    (void)state;
    begin(false);
    for (size_t i = 0; i < 6; i++) {
        probe(.lists = false);
        fake_dies(fake_at(&bench, i), "died");
        assert_failed(ERR_UNAVAILABLE, MCP_PROBE_CONNECT, "died");
        assert_has(probed.details, "\"stderr_tail\":\"last words\",\"service\":\"s\"");
        forget_probe();
    }
    call(&bench, &told); /* which a call does */
    assert_told(told, ERR_UNAVAILABLE, "failed 6 times in a row");
    told_done(&told);
    probe(.lists = false);
    fake_opened(fake_at(&bench, 6));
    answer_last(fake_at(&bench, 6), LEGACY);
    call(&bench, &told); /* and now not either */
    assert_int_equal(bench.fake_count, 7);
    assert_int_equal(told.done, 0);
    mcp_cancel(told.request, "test");
    mcp_cancel(probed.request, "test");
    assert_counters("\"calls\":2,\"failures\":0,\"restarts\":6");
}

/* ---- failures ---------------------------------------------------------------------------- */

static void a_failure_names_its_step(void **state)
{
    (void)state;
    begin(false);
    bench.cannot_connect = "no way";
    probe(.lists = true);
    assert_failed(ERR_UNAVAILABLE, MCP_PROBE_CONNECT, "no way");
    assert_took(0, -1, -1, -1);
    forget_probe();
    bench.cannot_connect = NULL;
    probe(.lists = true);
    struct fake *fake = fake_at(&bench, 0);
    advance(2 * MS);
    fake_opened(fake);
    advance(3 * MS);
    fake_dies(fake, "died in the middle");
    assert_failed(ERR_UNAVAILABLE, MCP_PROBE_HANDSHAKE, "died in the middle");
    assert_took(2 * MS, 3 * MS, -1, -1);
    assert_string_equal(probed.protocol, "-");
    forget_probe();
    probe(.lists = false);
    fake = fake_at(&bench, 1);
    fake_opened(fake);
    answer_last(fake, LEGACY);
    advance(4 * MS);
    fake_dies(fake, "died of a ping");
    assert_failed(ERR_UNAVAILABLE, MCP_PROBE_PING, "died of a ping");
    assert_took(0, 0, 4 * MS, -1);
    assert_string_equal(probed.protocol, "2025-11-25");
    forget_probe();
    struct service_conf *conf = conf_new("s", "2");
    conf->enabled = false;
    apply_one(&bench, conf);
    probe(.lists = false);
    assert_failed(ERR_DISABLED, MCP_PROBE_CONNECT, "switched off");
    assert_took(-1, -1, -1, -1);
    assert_int_equal(bench.fake_count, 2);
}

static void silence_ends_at_the_deadline(void **state)
{
    (void)state;
    begin(false);
    probe(.timeout = 100 * MS);
    struct fake *fake = fake_at(&bench, 0);
    advance(100 * MS);
    assert_failed(ERR_TIMEOUT, MCP_PROBE_CONNECT, "was not ready within 100 ms");
    assert_took(100 * MS, -1, -1, -1);
    forget_probe();
    probe(.timeout = 100 * MS);
    fake_opened(fake);
    advance(100 * MS);
    assert_failed(ERR_TIMEOUT, MCP_PROBE_HANDSHAKE, "was not ready");
    assert_took(0, 100 * MS, -1, -1);
    forget_probe();
    probe(.timeout = 100 * MS); /* while another one has it begin */
    advance(10 * MS);
    answer_last(fake, LEGACY);
    advance(90 * MS);
    assert_failed(ERR_TIMEOUT, MCP_PROBE_PING, "did not answer within 100 ms");
    assert_int_equal(probed.class, FAILURE_NETWORK);
    assert_took(-1, 10 * MS, 90 * MS, -1);
    assert_has(last_sent(fake), "notifications/cancelled");
    forget_probe();
    probe(.timeout = 100 * MS, .lists = true);
    advance(100 * MS);
    assert_failed(ERR_TIMEOUT, MCP_PROBE_LIST, "had not listed its tools");
}

/* Over HTTP the connection is made for the first message. */
static void what_never_left_did_not_connect(void **state)
{
    (void)state;
    for (int was_sent = 0; was_sent < 2; was_sent++) {
        struct failure failure = {0};
        struct service_conf *conf = conf_new("s", "1");
        conf->transport = SERVICE_HTTP;
        begin_as(true, conf);
        probe(.lists = true);
        struct fake *fake = fake_at(&bench, 0);
        fake_opened(fake);
        advance(6 * MS);
        failure_set(&failure, ERR_UNAVAILABLE, "refused");
        failure_detail_pack(&failure, "request_sent", was_sent ? SLICE("\xC3") : SLICE("\xC2"));
        fake->events->exchange_ended(fake->arg, last_id(fake), &failure, false);
        failure_done(&failure);
        turn(&bench);
        assert_failed(ERR_UNAVAILABLE, was_sent ? MCP_PROBE_HANDSHAKE : MCP_PROBE_CONNECT,
                      "refused");
        if (was_sent) {
            assert_took(-1, 6 * MS, -1, -1);
        } else {
            assert_took(6 * MS, -1, -1, -1);
        }
        (void)clear_probe(NULL);
    }
}

static void a_forgotten_session_is_renewed(void **state)
{
    (void)state;
    struct failure failure = {0};
    struct fake *fake = stand(true);
    probe(.lists = false);
    failure_set(&failure, ERR_UNAVAILABLE, "forgotten");
    fake->events->exchange_ended(fake->arg, last_id(fake), &failure, true);
    failure_done(&failure);
    turn(&bench);
    assert_true(mcp_service_is_connected(service_named(&bench, "s")));
    assert_has(last_sent(fake), "\"method\":\"initialize\"");
    answer_last(fake, LEGACY);
    assert_has(last_sent(fake), "\"method\":\"ping\"");
    advance(MS);
    answer_last(fake, "{}");
    assert_ended_well();
    assert_took(-1, -1, MS, -1);
}

/* ---- ends -------------------------------------------------------------------------------- */

static void note_end(void *arg)
{
    ((struct bench *)arg)->has_ended = true;
}

/* In each of its steps: cancelled, dropped with the services, or ended with them. */
static void it_can_be_given_up_anywhere(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4 * 3 * 2; i++) {
        unsigned step = i % 4, way = i / 4 % 3;
        begin(false);
        probe(.is_apart = i >= 12, .lists = step == 3);
        struct fake *fake = fake_at(&bench, 0);
        if (step >= 1) {
            fake_opened(fake);
        }
        if (step >= 2) {
            answer_last(fake, LEGACY);
        }
        if (way == 0) {
            mcp_cancel(probed.request, "test");
            turn(&bench);
            assert_int_equal(probed.done, 0);
        } else if (way == 1) {
            mcp_services_close(bench.services, loop_now(bench.loop) + 1000 * MS, note_end,
                               &bench);
            turn(&bench);
            assert_int_equal(probed.done, 1);
            assert_int_equal(probed.code, ERR_SHUTTING_DOWN);
            advance(1001 * MS);
            assert_true(bench.has_ended);
        }
        (void)clear_probe(NULL);
    }
}

int main(void)
{
#define PROBE(name) cmocka_unit_test_teardown(name, clear_probe)
    const struct CMUnitTest tests[] = {
        PROBE(a_stopped_server_is_started_and_timed),
        PROBE(tools_are_listed_anew),
        PROBE(a_server_without_tools_is_pinged),
        PROBE(a_modern_server_is_asked_what_it_is),
        PROBE(a_probe_apart_leaves_the_shared_session_alone),
        PROBE(credentials_are_those_of_the_identity),
        PROBE(idle_time_goes_on),
        PROBE(a_call_beside_a_probe_is_use),
        PROBE(a_probe_does_not_wait_for_the_back_off),
        PROBE(a_failure_names_its_step),
        PROBE(silence_ends_at_the_deadline),
        PROBE(what_never_left_did_not_connect),
        PROBE(a_forgotten_session_is_renewed),
        PROBE(it_can_be_given_up_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
