/* SPDX-License-Identifier: MIT */
/* test_sharing.c - who shares a session with whom, by era, by what callers can be asked, by sharing. */
#include "caller.h"
#include "one_service.h"

static void service_of(enum service_era era, enum service_sharing sharing, bool is_given)
{
    struct service_conf *conf = conf_new("s", "1");
    conf->era = era;
    conf->sharing = sharing;
    conf->sharing_is_given = is_given;
    begin_as(false, conf);
}

/* Calls of one client who can be asked something. */
static void one_client_calls(struct caller *callers, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        wish(&bench, &callers[i], .client = 1, .capabilities = MCP_CAN_ELICIT);
    }
}

static void forget(struct caller *callers, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        caller_free(&callers[i]);
    }
}

/* Their calls are still under way. */
static void give_up(struct caller *callers, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        mcp_cancel(callers[i].told.request, "test");
    }
    forget(callers, count);
}

/* From nothing to the call of whoever waits. */
static void serve(struct fake *fake, bool is_modern)
{
    if (is_modern) {
        serve_modern(fake, "{'tools':{}}");
    } else {
        serve_legacy(fake, "2025-11-25", "{'tools':{}}");
    }
    assert_has(last_sent(fake), "tools/list");
    answer_last(fake, "{'tools':[" ECHO_TOOL "]}");
}

/* To a service of any era: the probe says what it is. */
static void refuse_probe(struct fake *fake)
{
    fake_opened(fake);
    assert_has(last_sent(fake), "server/discover");
    answer_error(fake, "{'code':-32601,'message':'Method not found'}");
    assert_has(last_sent(fake), "\"method\":\"initialize\"");
    assert_has(last_sent(fake), "\"capabilities\":{}");
    answer_last(fake, "{'protocolVersion':'2025-11-25','capabilities':{'tools':{}}}");
}

static void modern_servers_are_shared_by_all(void **state)
{
    (void)state;
    struct caller callers[4] = {{.declined = 0}};
    service_of(SERVICE_ERA_AUTO, SERVICE_SHARED, false);
    wish(&bench, &callers[0], .client = 1, .agent = "a", .user = "u",
         .capabilities = ALL_CAPABILITIES);
    wish(&bench, &callers[1], .client = 2, .agent = "b", .user = "v",
         .capabilities = MCP_CAN_ELICIT);
    struct fake *fake = fake_at(&bench, 0);
    serve(fake, true);
    wish(&bench, &callers[2], .client = 3, .agent = "c", .user = "w",
         .capabilities = MCP_CAN_LIST_ROOTS);
    wish(&bench, &callers[3], .agent = "d");
    assert_int_equal(bench.fake_count, 1);
    assert_int_equal(count_sent(fake, "tools/call"), 4); /* all at once */
    assert_int_equal(count_sent(fake, "clientCapabilities\":{\"roots\":{},"), 1);
    assert_int_equal(count_sent(fake, "clientCapabilities\":{\"elicitation\":{},"), 1);
    give_up(callers, 4);
}

static void legacy_servers_are_shared_by_those_who_cannot_be_asked(void **state)
{
    (void)state;
    struct caller callers[3] = {{.declined = 0}};
    service_of(SERVICE_ERA_LEGACY, SERVICE_SHARED, false);
    wish(&bench, &callers[0], .client = 1, .agent = "a", .user = "u");
    wish(&bench, &callers[1], .client = 2, .agent = "b", .user = "v",
         .capabilities = ALL_CAPABILITIES, .is_deaf = true);
    wish(&bench, &callers[2], .client = 0, .agent = "c", .capabilities = ALL_CAPABILITIES);
    assert_int_equal(bench.fake_count, 1);
    serve(fake_at(&bench, 0), false);
    assert_int_equal(count_sent(fake_at(&bench, 0), "tools/call"), 3);
    give_up(callers, 3);
}

/* What it is, is found out once, in a session of its own that ends then. */
static void clients_who_can_be_asked_have_sessions_of_their_own(void **state)
{
    (void)state;
    struct caller a = {0};
    struct caller b = {0};
    struct caller c = {0};
    service_of(SERVICE_ERA_AUTO, SERVICE_SHARED, false);
    wish(&bench, &a, .client = 1, .capabilities = MCP_CAN_ELICIT,
         .arguments = "{\"text\":\"A\"}");
    wish(&bench, &b, .client = 2, .capabilities = MCP_CAN_ELICIT,
         .arguments = "{\"text\":\"B\"}");
    assert_int_equal(bench.fake_count, 1);
    refuse_probe(fake_at(&bench, 0));
    assert_int_equal(bench.fake_count, 3);
    assert_true(fake_at(&bench, 0)->is_closing);
    assert_int_equal(count_sent(fake_at(&bench, 0), "tools/"), 0);
    serve(fake_at(&bench, 1), false);
    serve(fake_at(&bench, 2), false);
    assert_has(fake_at(&bench, 1)->sent[0], "\"method\":\"initialize\"");
    assert_has(fake_at(&bench, 1)->sent[0], "\"capabilities\":{\"elicitation\":{}}");
    assert_int_equal(count_sent(fake_at(&bench, 1), "\"text\":\"A\""), 1);
    assert_int_equal(count_sent(fake_at(&bench, 2), "\"text\":\"B\""), 1);
    /* A question in one of them is for the one, and its answer goes back there. */
    say(fake_at(&bench, 2),
        "{'jsonrpc':'2.0','id':1,'method':'elicitation/create','params':{}}");
    assert_int_equal(a.ask_count, 0);
    assert_int_equal(b.ask_count, 1);
    answer_ask(&b, 0, "{\"action\":\"accept\"}");
    assert_int_equal(count_sent(fake_at(&bench, 1), "accept"), 0);
    assert_int_equal(count_sent(fake_at(&bench, 2), "accept"), 1);
    /* The next ones go there at once; another agent of the same client, elsewhere. */
    answer_last(fake_at(&bench, 1), "{}");
    caller_free(&a);
    wish(&bench, &a, .client = 1, .capabilities = MCP_CAN_ELICIT,
         .arguments = "{\"text\":\"A\"}");
    assert_int_equal(bench.fake_count, 3);
    assert_int_equal(count_sent(fake_at(&bench, 1), "\"text\":\"A\""), 2);
    wish(&bench, &c, .client = 1, .capabilities = MCP_CAN_ELICIT, .agent = "other");
    assert_int_equal(bench.fake_count, 4);
    give_up(&a, 1);
    give_up(&b, 1);
    give_up(&c, 1);
}

static void shared_by_wish_is_shared(void **state)
{
    (void)state;
    struct caller a = {0};
    struct caller b = {0};
    service_of(SERVICE_ERA_LEGACY, SERVICE_SHARED, true);
    wish(&bench, &a, .client = 1, .capabilities = ALL_CAPABILITIES);
    wish(&bench, &b, .client = 2, .capabilities = ALL_CAPABILITIES);
    assert_int_equal(bench.fake_count, 1);
    serve(fake_at(&bench, 0), false);
    assert_has(fake_at(&bench, 0)->sent[0], "\"capabilities\":{}");
    assert_int_equal(count_sent(fake_at(&bench, 0), "tools/call"), 2);
    say(fake_at(&bench, 0), "{'jsonrpc':'2.0','id':1,'method':'roots/list'}");
    assert_has(last_sent(fake_at(&bench, 0)), "\"id\":1,\"error\":{\"code\":-32601");
    assert_int_equal(a.ask_count + b.ask_count, 0);
    give_up(&a, 1);
    give_up(&b, 1);
}

static void what_a_client_lists_is_what_it_calls(void **state)
{
    (void)state;
    struct caller caller = {0};
    const struct wish who = {.client = 1, .capabilities = MCP_CAN_ELICIT};
    const struct mcp_identity identity = identity_of(&who);
    service_of(SERVICE_ERA_AUTO, SERVICE_SHARED, false);
    (void)mcp_list_tools(service_named(&bench, "s"), &identity, MONO_NEVER, &list_events,
                         &told);
    turn(&bench);
    refuse_probe(fake_at(&bench, 0));
    assert_int_equal(bench.fake_count, 2);
    serve_legacy(fake_at(&bench, 1), "2025-11-25", "{'tools':{}}");
    answer_last(fake_at(&bench, 1), "{'tools':[{'name':'ask-me'}]}");
    assert_string_equal(told.text, "ask-me ");
    wish(&bench, &caller, .name = "ask-me", .client = 1, .capabilities = MCP_CAN_ELICIT);
    assert_int_equal(bench.fake_count, 2);
    assert_has(last_sent(fake_at(&bench, 1)), "tools/call");
    give_up(&caller, 1);
}

/* ---- one after the other ----------------------------------------------------------------- */

static void calls_of_one_client_wait_in_line(void **state)
{
    (void)state;
    struct caller callers[4] = {{.declined = 0}};
    struct caller other = {0};
    service_of(SERVICE_ERA_LEGACY, SERVICE_SHARED, false);
    for (int i = 0; i < 4; i++) {
        char arguments[32];
        (void)snprintf(arguments, sizeof arguments, "{\"text\":\"%d\"}", i);
        wish(&bench, &callers[i], .client = 1, .capabilities = MCP_CAN_ELICIT,
             .arguments = arguments);
    }
    struct fake *fake = fake_at(&bench, 0);
    serve(fake, false);
    assert_int_equal(count_sent(fake, "tools/call"), 1);
    assert_string_equal(callers[1].told.waits, "queue ");
    say(fake, "{'jsonrpc':'2.0','id':1,'method':'elicitation/create','params':{}}");
    assert_int_equal(callers[0].ask_count, 1);
    mcp_cancel(callers[1].told.request, "test"); /* while it waits: the server knows nothing */
    assert_int_equal(count_sent(fake, "notifications/cancelled"), 0);
    caller_free(&callers[1]);
    answer_ask(&callers[0], 0, "{\"action\":\"accept\"}");
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{}}",
        id_of(fake->sent[sent_at(fake, "tools/call")]));
    assert_int_equal(callers[0].told.done, 1);
    turn(&bench);
    assert_int_equal(count_sent(fake, "tools/call"), 2);
    assert_has(last_sent(fake), "\"text\":\"2\"");
    say(fake, "{'jsonrpc':'2.0','id':2,'method':'elicitation/create','params':{}}");
    assert_int_equal(callers[2].ask_count, 1);
    mcp_cancel(callers[2].told.request, "test");
    turn(&bench);
    /* What it asks now may still be about that: the next one waits until it has got the word. */
    assert_int_equal(count_sent(fake, "\"text\":\"3\""), 0);
    size_t ping = sent_at(fake, "\"method\":\"ping\"");
    assert_true(ping > sent_at(fake, "notifications/cancelled"));
    say(fake, "{'jsonrpc':'2.0','id':3,'method':'elicitation/create','params':{}}");
    assert_has(last_sent(fake), "\"id\":3,\"error\"");
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{}}", id_of(fake->sent[ping]));
    turn(&bench);
    assert_has(last_sent(fake), "\"text\":\"3\"");
    fake_dies(fake, "killed");
    assert_told(callers[3].told, ERR_UNAVAILABLE, "killed");
    wish(&bench, &other, .client = 2, .capabilities = MCP_CAN_ELICIT);
    assert_int_equal(bench.fake_count, 2);
    mcp_cancel(other.told.request, "test");
    forget(callers, 4);
    caller_free(&other);
    assert_int_equal(service_named(&bench, "s")->in_line, 0);
}

static void a_server_that_answers_no_ping_is_not_waited_for(void **state)
{
    (void)state;
    struct caller caller = {0};
    service_of(SERVICE_ERA_LEGACY, SERVICE_SHARED, false);
    wish(&bench, &caller, .client = 1, .capabilities = MCP_CAN_ELICIT);
    struct fake *fake = fake_at(&bench, 0);
    serve(fake, false);
    give_up(&caller, 1);
    wish(&bench, &caller, .client = 1, .capabilities = MCP_CAN_ELICIT);
    loop_advance(bench.loop, 1999 * MS);
    turn(&bench);
    assert_int_equal(count_sent(fake, "tools/call"), 1);
    loop_advance(bench.loop, MS);
    turn(&bench);
    assert_int_equal(count_sent(fake, "tools/call"), 2);
    give_up(&caller, 1);
}

static void a_line_stops_nobody_else(void **state)
{
    (void)state;
    struct caller mine[3] = {{.declined = 0}};
    struct caller other = {0};
    service_of(SERVICE_ERA_LEGACY, SERVICE_SHARED, false);
    one_client_calls(mine, 3);
    wish(&bench, &other, .client = 2, .capabilities = MCP_CAN_ELICIT);
    assert_int_equal(bench.fake_count, 2);
    serve(fake_at(&bench, 1), false);
    assert_has(last_sent(fake_at(&bench, 1)), "tools/call");
    loop_advance(bench.loop, 9000 * MS);
    serve(fake_at(&bench, 0), false);
    loop_advance(bench.loop, 21000 * MS);
    assert_told(mine[1].told, ERR_TIMEOUT, "busy with other calls of this client");
    assert_int_equal(mine[1].told.class, FAILURE_OF_BROKER);
    assert_false(mine[1].told.sent);
    assert_told(mine[0].told, ERR_TIMEOUT, "did not answer");
    assert_int_equal(mine[0].told.class, FAILURE_NETWORK);
    forget(mine, 3);
    caller_free(&other);
}

static void a_line_has_an_end(void **state)
{
    (void)state;
    struct caller *callers = mem_new((LINE_MAX + 2) * sizeof *callers);
    service_of(SERVICE_ERA_LEGACY, SERVICE_SHARED, false);
    one_client_calls(callers, LINE_MAX + 2);
    assert_int_equal(service_named(&bench, "s")->in_line, LINE_MAX);
    assert_told(callers[LINE_MAX + 1].told, ERR_OVERLOADED, "1024 calls wait for their turn");
    assert_int_equal(callers[LINE_MAX + 1].told.class, FAILURE_OF_BROKER);
    struct fake *fake = fake_at(&bench, 0);
    serve(fake, false);
    for (unsigned i = 0; i < LINE_MAX + 1; i++) {
        assert_int_equal(callers[i].told.done, 0);
        answer_last(fake, "{}");
        assert_int_equal(callers[i].told.done, 1);
        turn(&bench);
    }
    forget(callers, LINE_MAX + 2);
    mem_free(callers);
}

/* Who waits in line is refused when its turn comes. */
static void switching_off_ends_a_line(void **state)
{
    (void)state;
    struct caller first = {0};
    struct caller next = {0};
    service_of(SERVICE_ERA_LEGACY, SERVICE_SHARED, false);
    wish(&bench, &first, .client = 1, .capabilities = MCP_CAN_ELICIT);
    wish(&bench, &next, .client = 1, .capabilities = MCP_CAN_ELICIT);
    serve(fake_at(&bench, 0), false);
    struct service_conf *conf = conf_new("s", "2");
    conf->enabled = false;
    apply_one(&bench, conf);
    answer_last(fake_at(&bench, 0), "{}");
    turn(&bench);
    assert_int_equal(first.told.code, ERR_NONE);
    assert_int_equal(first.told.done, 1);
    assert_told(next.told, ERR_DISABLED, "switched off");
    caller_free(&first);
    caller_free(&next);
}

static void lines_end_with_the_daemon(void **state)
{
    (void)state;
    struct caller callers[3] = {{.declined = 0}};
    service_of(SERVICE_ERA_LEGACY, SERVICE_SHARED, false);
    one_client_calls(callers, 3);
    mcp_services_close(bench.services, loop_now(bench.loop) + 1000 * MS, NULL, NULL);
    turn(&bench);
    turn(&bench);
    for (int i = 0; i < 3; i++) {
        assert_told(callers[i].told, ERR_SHUTTING_DOWN, "");
        caller_free(&callers[i]);
    }
}

/* ---- one for each ------------------------------------------------------------------------ */

static void one_session_a_call(void **state)
{
    (void)state;
    for (unsigned is_modern = 0; is_modern < 2; is_modern++) {
        struct caller a = {0};
        struct caller b = {0};
        service_of(is_modern ? SERVICE_ERA_MODERN : SERVICE_ERA_LEGACY, SERVICE_PER_CALL, true);
        wish(&bench, &a, .client = 1, .capabilities = MCP_CAN_ELICIT);
        wish(&bench, &b, .client = 1, .capabilities = MCP_CAN_ELICIT);
        assert_int_equal(bench.fake_count, 2);
        serve(fake_at(&bench, 0), is_modern);
        serve(fake_at(&bench, 1), is_modern);
        assert_true(count_sent(fake_at(&bench, 0), "\"elicitation\":{}") > 0);
        assert_int_equal(service_named(&bench, "s")->seat_count, 2);
        assert_int_equal(mcp_service_state(service_named(&bench, "s")), MCP_RUNNING);
        answer_last(fake_at(&bench, 0), "{'n':1}");
        assert_string_equal(a.told.text, "{\"n\":1}");
        turn(&bench);
        assert_true(fake_at(&bench, 0)->is_closing);
        assert_false(fake_at(&bench, 1)->is_closing);
        caller_free(&a);
        wish(&bench, &a, .client = 1, .capabilities = MCP_CAN_ELICIT);
        assert_int_equal(bench.fake_count, 3);
        mcp_cancel(a.told.request, "test");
        mcp_cancel(b.told.request, "test");
        turn(&bench);
        assert_true(fake_at(&bench, 1)->is_closing);
        assert_true(fake_at(&bench, 2)->is_closing);
        assert_int_equal(service_named(&bench, "s")->seat_count, 0);
        caller_free(&a);
        caller_free(&b);
        fake_closed(fake_at(&bench, 0));
        fake_closed(fake_at(&bench, 1));
        fake_closed(fake_at(&bench, 2));
        assert_int_equal(mcp_service_state(service_named(&bench, "s")), MCP_STOPPED);
        (void)clear(NULL);
    }
}

static void users_and_agents_are_kept_apart_whoever_asks(void **state)
{
    (void)state;
    struct caller callers[6] = {{.declined = 0}};
    service_of(SERVICE_ERA_LEGACY, SERVICE_PER_USER, true);
    wish(&bench, &callers[0], .client = 1, .user = "ana");
    wish(&bench, &callers[1], .client = 2, .user = "ana");
    wish(&bench, &callers[2], .client = 2, .user = "bea");
    assert_int_equal(bench.fake_count, 2);
    wish(&bench, &callers[3], .client = 1, .user = "ana", .capabilities = MCP_CAN_ELICIT);
    wish(&bench, &callers[4], .client = 2, .user = "ana", .capabilities = MCP_CAN_ELICIT);
    assert_int_equal(bench.fake_count, 4);
    wish(&bench, &callers[5], .client = 2, .user = "ana", .capabilities = MCP_CAN_SAMPLE);
    assert_int_equal(bench.fake_count, 5);
    assert_string_equal(fake_at(&bench, 3)->user, "ana");
    give_up(callers, 6);
}

/* ---- clients that leave ------------------------------------------------------------------ */

static void sessions_go_with_their_client(void **state)
{
    (void)state;
    struct caller a = {0};
    struct caller b = {0};
    struct caller c = {0};
    service_of(SERVICE_ERA_LEGACY, SERVICE_SHARED, false);
    wish(&bench, &a, .client = 1, .capabilities = MCP_CAN_ELICIT);
    wish(&bench, &b, .client = 2, .capabilities = MCP_CAN_ELICIT);
    wish(&bench, &c, .agent = "c");
    for (size_t i = 0; i < 3; i++) {
        serve(fake_at(&bench, i), false);
    }
    answer_last(fake_at(&bench, 0), "{}");
    assert_int_equal(a.told.done, 1);
    mcp_services_forget_client(bench.services, 1);
    mcp_services_forget_client(bench.services, 2); /* its call goes on until it is cancelled */
    mcp_services_forget_client(bench.services, 7);
    turn(&bench);
    assert_true(fake_at(&bench, 0)->is_closing);
    assert_false(fake_at(&bench, 1)->is_closing);
    mcp_cancel(b.told.request, "the client left");
    turn(&bench);
    assert_true(fake_at(&bench, 1)->is_closing);
    assert_false(fake_at(&bench, 2)->is_closing);
    assert_int_equal(service_named(&bench, "s")->seat_count, 1);
    mcp_cancel(c.told.request, "test");
    caller_free(&a);
    caller_free(&b);
    caller_free(&c);
}

static void sessions_of_many_clients_are_bounded(void **state)
{
    (void)state;
    struct caller caller = {0};
    service_of(SERVICE_ERA_LEGACY, SERVICE_SHARED, false);
    bench.cannot_connect = "no";
    for (unsigned i = 1; i < 1500; i++) {
        wish(&bench, &caller, .client = i, .capabilities = MCP_CAN_ELICIT);
        assert_int_equal(caller.told.done, 1);
        caller_free(&caller);
    }
    assert_int_equal(service_named(&bench, "s")->seat_count, SEATS_MAX);
    loop_advance(bench.loop, 120000 * MS);
    assert_int_equal(service_named(&bench, "s")->seat_count, 0);
}

/* ---- the operator ------------------------------------------------------------------------ */

static void a_reload_moves_who_waits(void **state)
{
    (void)state;
    struct caller callers[3] = {{.declined = 0}};
    service_of(SERVICE_ERA_LEGACY, SERVICE_SHARED, false);
    one_client_calls(callers, 3);
    serve(fake_at(&bench, 0), false);
    apply_one(&bench, conf_new("s", "2"));
    assert_false(fake_at(&bench, 0)->is_closing); /* what is under way ends there */
    answer_last(fake_at(&bench, 0), "{}");
    turn(&bench);
    assert_int_equal(callers[0].told.done, 1);
    for (int i = 1; i < 3; i++) {
        struct fake *fake = fake_at(&bench, bench.fake_count - 1);
        if (!strstr(last_sent(fake), "tools/call")) {
            serve(fake, false);
        }
        assert_has(last_sent(fake), "tools/call");
        answer_last(fake, "{}");
        turn(&bench);
        assert_int_equal(callers[i].told.done, 1);
    }
    turn(&bench);
    assert_true(fake_at(&bench, 0)->is_closing);
    forget(callers, 3);
}

static char *status_of(void)
{
    struct buf out;
    char *text = as_json(put_status(service_named(&bench, "s"), &out));
    buf_done(&out);
    return text;
}

static void status_says_what_the_server_is(void **state)
{
    (void)state;
    struct caller a = {0};
    struct caller b = {0};
    service_of(SERVICE_ERA_AUTO, SERVICE_SHARED, false);
    char *text = status_of();
    assert_has(text, "\"transport\":\"stdio\"");
    assert_has(text, "\"era\":\"unknown\"");
    assert_null(strstr(text, "transport_used"));
    mem_free(text);
    wish(&bench, &a, .client = 1, .capabilities = MCP_CAN_ELICIT);
    refuse_probe(fake_at(&bench, 0));
    serve(fake_at(&bench, 1), false);
    wish(&bench, &b, .client = 1, .capabilities = MCP_CAN_ELICIT);
    text = status_of();
    assert_has(text, "\"sessions\":1,\"era\":\"legacy\"");
    assert_has(text, "\"protocol\":\"2025-11-25\"");
    assert_has(text, "\"calls\":2,\"failures\":0,\"restarts\":0}");
    assert_int_equal(service_named(&bench, "s")->in_line, 1);
    mem_free(text);
    give_up(&a, 1);
    give_up(&b, 1);
    (void)clear(NULL);

    service_of(SERVICE_ERA_AUTO, SERVICE_SHARED, false);
    ((struct service_conf *)(uintptr_t)mcp_service_conf(service_named(&bench, "s")))
        ->transport = SERVICE_AUTO;
    wish(&bench, &a, .agent = "x");
    serve(fake_at(&bench, 0), true);
    text = status_of();
    assert_has(text, "\"transport\":\"auto\"");
    assert_has(text, "\"era\":\"modern\",\"transport_used\":\"http\"");
    mem_free(text);
    give_up(&a, 1);
}

/* Services may be freed in the midst of everything: nobody is told, and nothing is left. */
static void everything_may_be_dropped(void **state)
{
    static const char *const answers[] = {
        "{'resultType':'input_required','inputRequests':{'a':{'method':'elicitation/create',"
        "'params':{}}},'requestState':'s'}",
        "{'resultType':'input_required','requestState':'s'}",
        "{'resultType':'task','taskId':'t','status':'working'}",
        "{'resultType':'task','taskId':'t','status':'input_required','inputRequests':{'a':{"
        "'method':'elicitation/create','params':{}}}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct caller caller = {0};
        service_of(SERVICE_ERA_MODERN, SERVICE_SHARED, false);
        wish(&bench, &caller, .client = 1, .capabilities = MCP_CAN_ELICIT);
        serve(fake_at(&bench, 0), true);
        answer_last(fake_at(&bench, 0), answers[i]);
        (void)clear(NULL);
        assert_int_equal(caller.told.done, 0);
        caller_free(&caller);
    }
    struct caller callers[3] = {{.declined = 0}};
    service_of(SERVICE_ERA_LEGACY, SERVICE_SHARED, false);
    one_client_calls(callers, 3);
    serve(fake_at(&bench, 0), false);
    say(fake_at(&bench, 0),
        "{'jsonrpc':'2.0','id':1,'method':'elicitation/create','params':{}}");
    assert_int_equal(callers[0].ask_count, 1);
    (void)clear(NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(callers[i].told.done, 0);
        caller_free(&callers[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(modern_servers_are_shared_by_all),
        TEST(legacy_servers_are_shared_by_those_who_cannot_be_asked),
        TEST(clients_who_can_be_asked_have_sessions_of_their_own),
        TEST(shared_by_wish_is_shared),
        TEST(what_a_client_lists_is_what_it_calls),
        TEST(calls_of_one_client_wait_in_line),
        TEST(a_server_that_answers_no_ping_is_not_waited_for),
        TEST(a_line_stops_nobody_else),
        TEST(a_line_has_an_end),
        TEST(switching_off_ends_a_line),
        TEST(lines_end_with_the_daemon),
        TEST(one_session_a_call),
        TEST(users_and_agents_are_kept_apart_whoever_asks),
        TEST(sessions_go_with_their_client),
        TEST(sessions_of_many_clients_are_bounded),
        TEST(a_reload_moves_who_waits),
        TEST(status_says_what_the_server_is),
        TEST(everything_may_be_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
