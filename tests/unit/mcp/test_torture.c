/* SPDX-License-Identifier: MIT */
/*
 * test_torture.c - the n-th allocation fails, for each n: every request is told exactly once, what
 * is sent is whole, and nothing is left behind.
 */
#include "mcp/probe.h"

#include "fake.h"

struct count {
    unsigned done, failed;
};

static void count_done(void *arg, const struct mcp_outcome *outcome)
{
    struct count *count = arg;
    assert_true((outcome->failure != NULL) != (outcome->result.ptr != NULL));
    count->done++;
    count->failed += outcome->failure != NULL;
}

static void count_list(void *arg, struct mcp_catalog *catalog, const struct failure *failure)
{
    struct count *count = arg;
    assert_true((failure != NULL) != (catalog != NULL));
    count->done++;
    count->failed += failure != NULL;
}

static void count_probe(void *arg, const struct mcp_probe_report *report)
{
    struct count *count = arg;
    count->done++;
    count->failed += report->failure != NULL;
}

static void hear(void *arg, struct slice params)
{
    (void)arg;
    assert_true(params.len > 0);
}

static const struct mcp_call_events count_events = {
    .done = count_done, .progress = hear, .log = hear};
static const struct mcp_list_events count_list_events = {count_list};

enum servers { LEGACY_BY_CONF, LEGACY_BY_ANSWER, MODERN, SERVERS };

static void answer_discover(struct fake *fake, mcp_token token, unsigned long long id,
                            enum servers server)
{
    if (server == MODERN) {
        say_on(fake, token,
               "{'jsonrpc':'2.0','id':%llu,'result':{'supportedVersions':['2026-07-28'],"
               "'capabilities':{'tools':{'listChanged':true}},'instructions':'x','_meta':{"
               "'io.modelcontextprotocol/serverInfo':{'name':'x'}}}}",
               id);
    } else {
        say_on(fake, token, "{'jsonrpc':'2.0','id':%llu,'error':{'code':-32601,'message':'x'}}",
               id);
    }
}

/* What the server does with whatever it was asked last. */
static void serve_last(struct fake *fake, size_t *seen, enum servers server)
{
    while (*seen < fake->count) {
        const char *text = fake->sent[(*seen)++];
        unsigned long long id = id_of(text);
        assert_int_equal(text[0], '{');
        assert_int_equal(text[strlen(text) - 1], '}');
        mcp_token token = fake->bench->is_http ? id : 0;
        if (strstr(text, "\"server/discover\"")) {
            answer_discover(fake, token, id, server);
        } else if (strstr(text, "\"initialize\"")) {
            say_on(fake, token,
                   "{'jsonrpc':'2.0','id':%llu,'result':{'protocolVersion':'2025-11-25',"
                   "'capabilities':{'tools':{'listChanged':true}},'serverInfo':{'name':'x'}}}",
                   id);
        } else if (strstr(text, "\"tools/list\"")) {
            say_on(fake, token,
                   "{'jsonrpc':'2.0','id':%llu,'result':{'tools':[" ECHO_TOOL "]%s}}", id,
                   strstr(text, "cursor") ? "" : ",'nextCursor':'2'");
        } else if (strstr(text, "\"tools/call\"")) {
            say_on(fake, 0,
                   "{'jsonrpc':'2.0','method':'notifications/progress','params':{"
                   "'progressToken':%llu,'progress':1}}",
                   id);
            say_on(fake, token, "{'jsonrpc':'2.0','id':%llu,'result':{'content':[]}}", id);
        }
        if (strstr(text, "\"ping\"")) {
            say_on(fake, token, "{'jsonrpc':'2.0','id':%llu,'result':{}}", id);
        }
        if (token) {
            fake->events->exchange_ended(fake->arg, token, NULL, false);
            turn(fake->bench);
        }
    }
}

/* One that pings, and one that lists. */
static void probe(struct bench *bench, const struct mcp_identity *identity,
                  struct count *counts)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct mcp_probe_options options = {
            .lists = i == 1, .deadline = loop_now(bench->loop) + 1000 * MS};
        (void)mcp_probe(service_named(bench, "s"), identity, &options, count_probe, &counts[i]);
    }
}

/* How many of the calls failed. */
static unsigned run_with(unsigned long nth, bool is_http, enum servers server)
{
    static const char arguments[] = "\x81\xa4text\xa2hi";
    static const char meta[] = "\x81\xa1k\xa1v";
    const struct mcp_identity identity = {.agent = {"agent", 5}, .user = {"user", 4}};
    struct bench bench;
    struct count calls[3] = {0};
    struct count list = {0};
    struct count probes[2] = {0};
    bench_init(&bench, is_http);
    struct service_conf *conf = conf_new("s", "1");
    conf->sharing = SERVICE_PER_USER;
    conf->era = server == LEGACY_BY_CONF ? SERVICE_ERA_LEGACY : SERVICE_ERA_AUTO;
    conf->transport = is_http ? SERVICE_HTTP : SERVICE_STDIO;
    apply_one(&bench, conf);
    struct loop_timer warm; /* the loop's own table of timers may not fail: let it be there */
    loop_timer_init(&warm, NULL, NULL);
    loop_timer_set(bench.loop, &warm, MONO_NEVER);
    mem_fail_at(nth);
    for (size_t i = 0; i < 3; i++) {
        const struct mcp_call_options options = {.method = MCP_TOOLS_CALL,
                                                 .name = SLICE("echo"),
                                                 .arguments = {arguments, sizeof arguments - 1},
                                                 .meta = {meta, sizeof meta - 1},
                                                 .wants_progress = true,
                                                 .deadline = loop_now(bench.loop) + 1000 * MS};
        (void)mcp_call(service_named(&bench, "s"), &identity, &options, &count_events,
                       &calls[i]);
    }
    (void)mcp_list_tools(service_named(&bench, "s"), &identity,
                         loop_now(bench.loop) + 1000 * MS, &count_list_events, &list);
    probe(&bench, &identity, probes);
    turn(&bench);
    fake_opened(fake_at(&bench, 0));
    size_t seen = 0;
    serve_last(fake_at(&bench, 0), &seen, server);
    loop_advance(bench.loop, 1001 * MS);
    mem_fail_at(0);
    loop_timer_cancel(bench.loop, &warm);
    unsigned failed = list.failed + probes[0].failed + probes[1].failed;
    assert_int_equal(list.done, 1);
    assert_int_equal(probes[0].done, 1);
    assert_int_equal(probes[1].done, 1);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(calls[i].done, 1);
        failed += calls[i].failed;
    }
    bench_done(&bench);
    return failed;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2 * SERVERS; i++) {
        bool is_http = i % 2 != 0;
        enum servers server = i / 2;
        unsigned failed = 0;
        for (unsigned long nth = 1; nth < 180; nth++) {
            failed += run_with(nth, is_http, server) > 0;
        }
        assert_true(failed > 5); /* it does hit something */
        assert_int_equal(run_with(1000000, is_http, server), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
