/* SPDX-License-Identifier: MIT */
/* test_tasks.c - calls that servers carry out as tasks, in both wire forms. */
#include "caller.h"

#define MODERN_OFFERS "{'tools':{},'extensions':{'io.modelcontextprotocol/tasks':{}}}"
#define LEGACY_OFFERS "{'tools':{},'tasks':{'cancel':{},'requests':{'tools':{'call':{}}}}}"
#define TOOLS                                                                                \
    "{'name':'must','execution':{'taskSupport':'required'},'outputSchema':{'type':'object'," \
    "'required':['n']}},{'name':'may','execution':{'taskSupport':'optional'}},{'name':'echo'}"

static struct fake *calling(struct bench *bench, struct caller *caller, bool is_http,
                            bool is_modern)
{
    struct fake *fake =
        ready(bench, is_http, is_modern, is_modern ? MODERN_OFFERS : LEGACY_OFFERS, TOOLS);
    wish(bench, caller, .name = "must", .timeout = 60000 * MS);
    return fake;
}

/* Passes the time until the next poll, which comes at `ms` and not before. */
static void await_poll(struct fake *fake, mono_us ms)
{
    size_t sent = fake->count;
    loop_advance(fake->bench->loop, ms * MS - 1);
    turn(fake->bench);
    assert_int_equal(fake->count, sent);
    loop_advance(fake->bench->loop, 1);
    turn(fake->bench);
    assert_int_equal(fake->count, sent + 1);
    assert_has(last_sent(fake), "\"method\":\"tasks/get\",\"params\":{\"taskId\":\"tk\"");
    assert_string_equal(fake->about[fake->count - 1], "tasks/get tk");
}

/* ---- modern ------------------------------------------------------------------------------ */

static void a_modern_task_is_polled(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = calling(&bench, &caller, true, true);
    assert_has(last_sent(fake), "\"extensions\":{\"io.modelcontextprotocol/tasks\":{}}");
    assert_null(strstr(last_sent(fake), "\"task\":{"));
    answer_last(fake, "{'resultType':'task','taskId':'tk','status':'working','ttlMs':null,"
                      "'pollIntervalMs':2000}");
    assert_has(caller.told.waits, "answer task ");
    await_poll(fake, 2000);
    assert_has(last_sent(fake), "\"extensions\":{\"io.modelcontextprotocol/tasks\":{}}");
    assert_null(strstr(last_sent(fake), "progressToken"));
    answer_last(fake, "{'resultType':'complete','taskId':'tk','status':'working',"
                      "'pollIntervalMs':1}");
    await_poll(fake, 100); /* not faster */
    answer_last(fake, "{'resultType':'task','taskId':'tk','status':'working',"
                      "'pollIntervalMs':900000}");
    await_poll(fake, 30000); /* not slower */
    answer_last(fake, "{'resultType':'complete','taskId':'tk','status':'working'}");
    await_poll(fake, 1000);
    size_t sent = fake->count;
    answer_last(fake, "{'resultType':'complete','taskId':'tk','status':'completed','result':{"
                      "'resultType':'complete','structuredContent':{'n':1}}}");
    assert_string_equal(caller.told.text,
                        "{\"resultType\":\"complete\",\"structuredContent\":{\"n\":1}}");
    assert_int_equal(fake->count, sent); /* it has ended: there is nothing to cancel */
    caller_free(&caller);
    bench_done(&bench);
}

static void modern_tasks_end_in_many_ways(void **state)
{
    static const struct {
        const char *status, *says;
        enum err_code code;
        bool is_cancelled;
    } cases[] = {
        {"'status':'completed','result':{'structuredContent':{}}", "was carried out",
         ERR_EXTERNAL_TOOL_EXECUTION_FAILED, false},
        {"'status':'completed','result':{'isError':true}", "{\"isError\":true}", ERR_NONE,
         false},
        {"'status':'completed','result':7", "the result of the task is no object",
         ERR_EXTERNAL_TOOL_EXECUTION_FAILED, false},
        {"'status':'completed'", "it gave no `result`", ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
         true},
        {"'status':'failed','error':{'code':-32603,'message':'Burnt'}", "-32603: Burnt",
         ERR_EXTERNAL_TOOL_EXECUTION_FAILED, false},
        {"'status':'cancelled','statusMessage':'by hand'", "cancelled the task: by hand",
         ERR_CANCELLED, false},
        {"'status':'dancing'", "status \"dancing\"", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, true},
        {"'n':1", "status \"\"", ERR_EXTERNAL_TOOL_EXECUTION_FAILED, true},
    };
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = calling(&bench, &caller, true, true);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char status[256];
        if (i) {
            wish(&bench, &caller, .name = "must");
        }
        answer_last(fake, "{'resultType':'task','taskId':'tk','status':'working'}");
        await_poll(fake, 1000);
        size_t sent = fake->count;
        (void)snprintf(status, sizeof status, "{'resultType':'complete','taskId':'tk',%s}",
                       cases[i].status);
        answer_last(fake, status);
        assert_told(caller.told, cases[i].code, cases[i].says);
        assert_true(caller.told.sent);
        assert_int_equal(fake->count, sent + cases[i].is_cancelled);
        if (cases[i].is_cancelled) {
            assert_has(last_sent(fake), "\"method\":\"tasks/cancel\"");
        }
        caller_free(&caller);
    }
    /* What ended before it was given away tells the rest when it is asked. */
    wish(&bench, &caller, .name = "may");
    answer_last(fake, "{'resultType':'task','taskId':'tk','status':'completed'}");
    assert_has(last_sent(fake), "tasks/get");
    answer_last(fake, "{'taskId':'tk','status':'completed','result':{'n':5}}");
    assert_string_equal(caller.told.text, "{\"n\":5}");
    caller_free(&caller);
    wish(&bench, &caller, .name = "may");
    answer_last(fake, "{'resultType':'task','status':'working'}");
    assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "its task has no id");
    caller_free(&caller);
    bench_done(&bench);
}

static void who_gives_up_cancels_the_task(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 8; kind++) {
        bool is_modern = kind & 1;
        bool polls = kind & 2;
        bool is_deadline = kind & 4;
        struct bench bench;
        struct caller caller = {0};
        struct fake *fake = calling(&bench, &caller, true, is_modern);
        answer_last(fake, is_modern ? "{'resultType':'task','taskId':'tk','status':'working'}"
                                    : "{'task':{'taskId':'tk','status':'working','ttl':1000}}");
        if (polls) {
            await_poll(fake, 1000);
        }
        if (is_deadline) {
            loop_advance(bench.loop, 59000 * MS);
            for (int i = 0; i < 60 && !caller.told.done; i++) {
                if (strstr(last_sent(fake), "tasks/get") && !polls) {
                    answer_last(fake, "{'taskId':'tk','status':'working'}");
                }
                loop_advance(bench.loop, 1000 * MS);
            }
            assert_told(caller.told, ERR_TIMEOUT, "had not finished the task");
            assert_true(caller.told.sent);
        } else {
            mcp_cancel(caller.told.request, "test");
        }
        assert_int_equal(count_sent(fake, "notifications/cancelled"), 0);
        assert_int_equal(
            count_sent(fake, "\"method\":\"tasks/cancel\",\"params\":{\"taskId\":\"tk\""), 1);
        answer_error(fake, "{'code':-32602,'message':'It has ended'}"); /* nobody minds */
        caller_free(&caller);
        bench_done(&bench);
    }
}

static void modern_tasks_ask_too(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = ready(&bench, true, true, MODERN_OFFERS, TOOLS);
    wish(&bench, &caller, .name = "may", .client = 1, .capabilities = ALL_CAPABILITIES);
    answer_last(fake, "{'resultType':'task','taskId':'tk','status':'input_required'}");
    await_poll(fake, 1000);
    answer_last(fake, "{'taskId':'tk','status':'input_required','inputRequests':{'a':{'method':"
                      "'elicitation/create','params':{'message':'m'}}}}");
    assert_int_equal(caller.ask_count, 1);
    size_t sent = fake->count;
    loop_advance(bench.loop, 5000 * MS);
    assert_int_equal(fake->count, sent);
    answer_ask(&caller, 0, "{\"action\":\"accept\"}");
    turn(&bench);
    assert_has(last_sent(fake), "\"method\":\"tasks/update\",\"params\":{\"taskId\":\"tk\","
                                "\"inputResponses\":{\"a\":{\"action\":\"accept\"}},\"_meta\"");
    assert_string_equal(fake->about[fake->count - 1], "tasks/update tk");
    answer_last(fake, "{'resultType':'complete'}");
    await_poll(fake, 100);
    /* It was told, and does not know it yet; something else is new. */
    answer_last(fake, "{'taskId':'tk','status':'input_required','inputRequests':{'a':{'method':"
                      "'elicitation/create','params':{'message':'m'}}}}");
    await_poll(fake, 1000);
    answer_last(fake, "{'taskId':'tk','status':'input_required','inputRequests':{'a':{'method':"
                      "'elicitation/create','params':{'message':'m'}},'b':{'method':"
                      "'sampling/createMessage','params':{}}}}");
    assert_int_equal(caller.ask_count, 2);
    assert_has(caller.asked, "sampling/createMessage {} ");
    answer_ask(&caller, 1, NULL); /* has no form for "no": the task is given up */
    turn(&bench);
    assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "the client did not give it");
    assert_has(last_sent(fake), "tasks/cancel");
    caller_free(&caller);
    bench_done(&bench);
}

static void a_broken_poll_is_tried_again(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = calling(&bench, &caller, true, true);
    answer_last(fake, "{'resultType':'task','taskId':'tk','status':'working'}");
    for (int i = 0; i < 3; i++) {
        struct failure failure = {0};
        assert_int_equal(caller.told.done, 0);
        await_poll(fake, 1000);
        failure_set(&failure, ERR_UNAVAILABLE, "the stream broke");
        fake->events->exchange_ended(fake->arg, last_id(fake), &failure, false);
        failure_done(&failure);
        turn(&bench);
    }
    assert_told(caller.told, ERR_UNAVAILABLE, "the stream broke");
    assert_has(last_sent(fake), "tasks/cancel");
    caller_free(&caller);
    bench_done(&bench);
}

static void a_task_dies_with_its_process(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = calling(&bench, &caller, false, true);
    answer_last(fake, "{'resultType':'task','taskId':'tk','status':'working'}");
    fake_dies(fake, "killed");
    loop_advance(bench.loop, 1000 * MS);
    assert_told(caller.told, ERR_UNAVAILABLE, "was lost while it was at the task");
    assert_true(caller.told.sent);
    assert_int_equal(bench.fake_count, 1);
    caller_free(&caller);
    bench_done(&bench);
}

/* ---- 2025-11-25 -------------------------------------------------------------------------- */

static void a_legacy_task_is_asked_for(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = calling(&bench, &caller, false, false);
    assert_has(last_sent(fake), "\"name\":\"must\",\"arguments\":{\"text\":\"hi\"},\"task\":{"
                                "\"ttl\":120000}");
    answer_last(fake, "{'task':{'taskId':'tk','status':'working','pollInterval':500,'ttl':1}}");
    await_poll(fake, 500);
    answer_last(fake, "{'taskId':'tk','status':'completed'}");
    assert_has(last_sent(fake), "\"method\":\"tasks/result\",\"params\":{\"taskId\":\"tk\"}");
    answer_last(fake, "{'structuredContent':{'n':1},'_meta':{}}");
    assert_string_equal(caller.told.text, "{\"structuredContent\":{\"n\":1},\"_meta\":{}}");
    assert_int_equal(count_sent(fake, "tasks/cancel"), 0);
    caller_free(&caller);
    /* one that answers at once after all */
    wish(&bench, &caller, .name = "must");
    answer_last(fake, "{'structuredContent':{'n':2}}");
    assert_string_equal(caller.told.text, "{\"structuredContent\":{\"n\":2}}");
    caller_free(&caller);
    wish(&bench, &caller, .name = "may"); /* nobody wants a handle */
    assert_null(strstr(last_sent(fake), "\"task\""));
    mcp_cancel(caller.told.request, "test");
    assert_has(last_sent(fake), "notifications/cancelled");
    caller_free(&caller);
    wish(&bench, &caller, .name = "must"); /* before there is a task */
    mcp_cancel(caller.told.request, "test");
    assert_int_equal(count_sent(fake, "notifications/cancelled"), 2);
    assert_int_equal(count_sent(fake, "tasks/cancel"), 0);
    caller_free(&caller);
    bench_done(&bench);
}

static void legacy_tasks_fail_and_end(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = calling(&bench, &caller, false, false);
    answer_last(fake, "{'task':{'taskId':'tk','status':'failed'}}");
    assert_has(last_sent(fake), "tasks/result");
    answer_last(fake, "{'isError':true}"); /* which a failed one may be */
    assert_string_equal(caller.told.text, "{\"isError\":true}");
    caller_free(&caller);
    wish(&bench, &caller, .name = "must");
    answer_last(fake, "{'task':{'taskId':'tk','status':'completed'}}");
    answer_error(fake, "{'code':-32000,'message':'Lost it'}");
    assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "Lost it");
    caller_free(&caller);
    wish(&bench, &caller, .name = "must");
    answer_last(fake, "{'task':{'taskId':'tk','status':'working'}}");
    await_poll(fake, 1000);
    answer_error(fake, "{'code':-32602,'message':'No such task'}");
    assert_told(caller.told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "No such task");
    assert_int_equal(count_sent(fake, "tasks/cancel"), 0);
    caller_free(&caller);
    bench_done(&bench);
}

/* It asks in the course of `tasks/result`. */
static void legacy_tasks_ask_too(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    bench_init(&bench, false);
    apply_one(&bench, conf_new("s", "1"));
    wish(&bench, &caller, .name = "must", .client = 1, .capabilities = ALL_CAPABILITIES);
    struct fake *fake = fake_at(&bench, 0);
    serve_legacy(fake, "2025-11-25", LEGACY_OFFERS);
    answer_last(fake, "{'tools':[" TOOLS "]}");
    answer_last(fake, "{'task':{'taskId':'tk','status':'input_required'}}");
    assert_has(last_sent(fake), "tasks/result");
    unsigned long long id = last_id(fake);
    say(fake,
        "{'jsonrpc':'2.0','id':'e','method':'elicitation/create','params':{'message':'m'}}");
    assert_int_equal(caller.ask_count, 1);
    answer_ask(&caller, 0, "{\"action\":\"accept\"}");
    assert_has(last_sent(fake), "\"id\":\"e\",\"result\":{\"action\":\"accept\"}");
    assert_has(caller.told.waits, "task client task ");
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{'structuredContent':{'n':1}}}", id);
    assert_has(caller.told.text, "{\"n\":1}");
    caller_free(&caller);
    bench_done(&bench);
}

static void servers_without_tasks_get_none(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = ready(&bench, false, false, "{'tools':{}}", TOOLS);
    wish(&bench, &caller, .name = "must", .wants_task = true);
    assert_null(strstr(last_sent(fake), "\"task\":"));
    answer_last(fake,
                "{'task':{'taskId':'tk'},'structuredContent':{'n':1}}"); /* its own affair */
    assert_has(caller.told.text, "\"task\":{");
    caller_free(&caller);
    bench_done(&bench);
}

/* ---- handles ----------------------------------------------------------------------------- */

static void handles_are_given_at_once(void **state)
{
    static const char *const answers[] = {
        "{'task':{'taskId':'tk','status':'working','createdAt':'c','lastUpdatedAt':'l','ttl':9,"
        "'pollInterval':8,'statusMessage':'m'}}",
        "{'resultType':'task','taskId':'tk','status':'working','createdAt':'c','lastUpdatedAt':"
        "'l','ttlMs':9,'pollIntervalMs':8,'statusMessage':'m'}",
    };
    (void)state;
    for (unsigned is_modern = 0; is_modern < 2; is_modern++) {
        struct bench bench;
        struct caller caller = {0};
        struct fake *fake =
            ready(&bench, false, is_modern, is_modern ? MODERN_OFFERS : LEGACY_OFFERS, TOOLS);
        wish(&bench, &caller, .name = "may", .wants_task = true);
        assert_int_equal(strstr(last_sent(fake), "\"task\":{\"ttl\":3600000}") != NULL,
                         !is_modern);
        answer_last(fake, answers[is_modern]);
        assert_int_equal(caller.told.done, 1);
        assert_string_equal(caller.task,
                            "{\"id\":\"tk\",\"status\":\"working\",\"status_message\":\"m\","
                            "\"created_at\":\"c\",\"last_updated_at\":\"l\",\"ttl_ms\":9,"
                            "\"poll_interval_ms\":8}");
        assert_int_equal(count_sent(fake, "tasks/"), 0);
        caller_free(&caller);
        wish(&bench, &caller, .name = "may", .wants_task = true);
        answer_last(fake, "{'n':1}"); /* no task was made of it */
        assert_string_equal(caller.told.text, "{\"n\":1}");
        caller_free(&caller);
        bench_done(&bench);
    }
}

static void handles_give_their_results(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = ready(&bench, false, false, LEGACY_OFFERS, TOOLS);
    wish(&bench, &caller, .method = MCP_TASKS_GET, .name = "tk");
    answer_last(fake, "{'taskId':'tk','status':'working'}");
    assert_string_equal(caller.told.text, "{\"taskId\":\"tk\",\"status\":\"working\"}");
    caller_free(&caller);
    wish(&bench, &caller, .method = MCP_TASKS_GET, .name = "tk");
    answer_last(fake, "{'taskId':'tk','status':'completed'}");
    assert_has(last_sent(fake), "\"method\":\"tasks/result\",\"params\":{\"taskId\":\"tk\"}");
    answer_last(fake, "{'content':[]}");
    assert_string_equal(caller.told.text, "{\"taskId\":\"tk\",\"status\":\"completed\","
                                          "\"result\":{\"content\":[]}}");
    caller_free(&caller);
    wish(&bench, &caller, .method = MCP_TASKS_GET, .name = "tk");
    answer_last(fake, "{'taskId':'tk','status':'failed'}");
    answer_error(fake, "{'code':-32000,'message':'Burnt'}");
    assert_string_equal(caller.told.text,
                        "{\"taskId\":\"tk\",\"status\":\"failed\",\"error\":{\"code\":-32000,"
                        "\"message\":\"Burnt\"}}");
    caller_free(&caller);
    wish(&bench, &caller, .method = MCP_TASKS_GET,
         .name = "tk"); /* given up: no harm is done */
    answer_last(fake, "{'taskId':'tk','status':'completed'}");
    mcp_cancel(caller.told.request, "test");
    assert_int_equal(count_sent(fake, "tasks/cancel"), 0);
    caller_free(&caller);
    wish(&bench, &caller, .method = MCP_TASKS_CANCEL, .name = "tk");
    answer_last(fake, "{'taskId':'tk','status':'cancelled'}");
    assert_has(caller.told.text, "cancelled");
    caller_free(&caller);
    bench_done(&bench);
}

static void a_modern_handle_may_ask(void **state)
{
    static const char status[] = "{'resultType':'complete','taskId':'tk','status':'input_"
                                 "required','inputRequests':{'a':{"
                                 "'method':'elicitation/create','params':{}}}}";
    (void)state;
    struct bench bench;
    struct caller caller = {.says = "{\"action\":\"accept\"}"};
    struct fake *fake = ready(&bench, false, true, MODERN_OFFERS, TOOLS);
    wish(&bench, &caller, .method = MCP_TASKS_GET, .name = "tk", .client = 1,
         .capabilities = MCP_CAN_ELICIT);
    answer_last(fake, status);
    turn(&bench);
    assert_has(last_sent(fake), "\"method\":\"tasks/update\"");
    answer_last(fake, "{}");
    await_poll(fake, 100);
    answer_last(fake, "{'taskId':'tk','status':'working'}");
    assert_string_equal(caller.told.text, "{\"taskId\":\"tk\",\"status\":\"working\"}");
    assert_int_equal(count_sent(fake, "tasks/cancel"), 0);
    caller_free(&caller);
    wish(&bench, &caller, .method = MCP_TASKS_GET,
         .name = "tk"); /* who cannot be asked sees it */
    answer_last(fake, status);
    assert_has(caller.told.text, "input_required");
    caller_free(&caller);
    bench_done(&bench);
}

static void a_session_stays_as_long_as_its_task(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    bench_init(&bench, false);
    struct service_conf *conf = conf_new("s", "1");
    conf->idle_stop_s = 10;
    apply_one(&bench, conf);
    wish(&bench, &caller, .name = "may", .wants_task = true);
    struct fake *fake = fake_at(&bench, 0);
    serve_legacy(fake, "2025-11-25", LEGACY_OFFERS);
    answer_last(fake, "{'tools':[" TOOLS "]}");
    answer_last(fake, "{'task':{'taskId':'tk','status':'working','ttl':60000}}");
    assert_non_null(caller.task);
    loop_advance(bench.loop, 59000 * MS);
    assert_false(fake->is_closing);
    loop_advance(bench.loop, 12000 * MS);
    assert_true(fake->is_closing);
    caller_free(&caller);
    bench_done(&bench);
}

static void end_status(struct fake *fake, int status, bool gone)
{
    struct failure failure = {0};
    failure_set(&failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "answered %d", status);
    failure_detail_int(&failure, "http_status", status);
    fake->events->exchange_ended(fake->arg, last_id(fake), &failure, gone);
    failure_done(&failure);
    turn(fake->bench);
}

static void a_poll_is_sent_again_as_it_was(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = ready(&bench, true, true, MODERN_OFFERS, TOOLS);
    wish(&bench, &caller, .name = "must", .timeout = 60000 * MS);
    answer_last(fake, "{'resultType':'task','taskId':'tk','status':'working'}");
    loop_advance(bench.loop, 1000 * MS);
    turn(&bench);
    assert_string_equal(fake->about[fake->count - 1], "tasks/get tk");
    end_status(fake, 404, false);
    assert_has(last_sent(fake), "server/discover");
    answer_last(fake, "{'resultType':'complete','supportedVersions':['2026-07-28'],'"
                      "capabilities':" MODERN_OFFERS "}");
    loop_advance(bench.loop, 1000 * MS);
    turn(&bench);
    assert_has(last_sent(fake), "tasks/get");
    assert_string_equal(fake->about[fake->count - 1], "tasks/get tk");
    answer_last(fake,
                "{'taskId':'tk','status':'completed','result':{'structuredContent':{'n':5}}}");
    assert_told(caller.told, ERR_NONE, "{\"n\":5}");
    caller_free(&caller);
    bench_done(&bench);
}

static void a_legacy_task_ends_with_its_session(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = ready(&bench, true, false, LEGACY_OFFERS, TOOLS);
    wish(&bench, &caller, .name = "must", .timeout = 60000 * MS);
    answer_last(fake, "{'task':{'taskId':'tk','status':'working'}}");
    loop_advance(bench.loop, 1000 * MS);
    turn(&bench);
    assert_has(last_sent(fake), "tasks/get");
    end_status(fake, 404, true);
    assert_has(last_sent(fake), "initialize");
    size_t before = count_sent(fake, "tasks/");
    answer_last(fake, "{'protocolVersion':'2025-11-25','capabilities':" LEGACY_OFFERS "}");
    assert_int_equal(count_sent(fake, "tasks/"), before);
    assert_told(caller.told, ERR_UNAVAILABLE, "lost");
    caller_free(&caller);
    bench_done(&bench);
}

static void progress_lives_through_a_legacy_task(void **state)
{
    (void)state;
    struct bench bench;
    struct caller caller = {0};
    struct fake *fake = ready(&bench, false, false, LEGACY_OFFERS, TOOLS);
    wish(&bench, &caller, .name = "must", .timeout = 60000 * MS);
    unsigned long long id = last_id(fake);
    answer_last(fake, "{'task':{'taskId':'tk','status':'working'}}");
    say(fake,
        "{'jsonrpc':'2.0','method':'notifications/"
        "progress','params':{'progressToken':%llu,'progress':1}}",
        id);
    assert_string_equal(caller.told.progress, "{\"progress\":1}");
    loop_advance(bench.loop, 1000 * MS);
    turn(&bench);
    assert_has(last_sent(fake), "tasks/get");
    say(fake,
        "{'jsonrpc':'2.0','method':'notifications/"
        "progress','params':{'progressToken':%llu,'progress':2}}",
        id);
    assert_string_equal(caller.told.progress, "{\"progress\":1}{\"progress\":2}");
    mcp_cancel(caller.told.request, "test");
    say(fake,
        "{'jsonrpc':'2.0','method':'notifications/"
        "progress','params':{'progressToken':%llu,'progress':3}}",
        id);
    assert_string_equal(caller.told.progress, "{\"progress\":1}{\"progress\":2}");
    caller_free(&caller);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_modern_task_is_polled),
        cmocka_unit_test(modern_tasks_end_in_many_ways),
        cmocka_unit_test(who_gives_up_cancels_the_task),
        cmocka_unit_test(modern_tasks_ask_too),
        cmocka_unit_test(a_broken_poll_is_tried_again),
        cmocka_unit_test(a_task_dies_with_its_process),
        cmocka_unit_test(a_legacy_task_is_asked_for),
        cmocka_unit_test(legacy_tasks_fail_and_end),
        cmocka_unit_test(legacy_tasks_ask_too),
        cmocka_unit_test(servers_without_tasks_get_none),
        cmocka_unit_test(handles_are_given_at_once),
        cmocka_unit_test(handles_give_their_results),
        cmocka_unit_test(a_modern_handle_may_ask),
        cmocka_unit_test(a_session_stays_as_long_as_its_task),
        cmocka_unit_test(a_poll_is_sent_again_as_it_was),
        cmocka_unit_test(a_legacy_task_ends_with_its_session),
        cmocka_unit_test(progress_lives_through_a_legacy_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
