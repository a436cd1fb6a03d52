/* SPDX-License-Identifier: MIT */
/*
 * caller.h - a client for the tests of requests, that can be asked something: what it is told and
 * asked is kept, what it answers is said by the test.
 */
#ifndef TESTS_CALLER_H
#define TESTS_CALLER_H

#include "fake.h"

#define CALLER_ASKS 32

struct caller {
    struct told told;
    struct mcp_ask *asks[CALLER_ASKS]; /* NULL: it has ended */
    unsigned ask_count, ended, declined;
    char asked[4096]; /* "method params " of each */
    char *task;       /* JSON */
    const char *says; /* every question is answered at once with this; NULL: not */
    bool leaves;      /* and every question makes it give the call up */
};

struct wish {
    const char *service, *name, *arguments, *meta, *cursor, *user, *agent, *log_level;
    enum mcp_method method;
    uint64_t client;
    unsigned capabilities;
    bool is_page, wants_task, may_repeat, is_deaf; /* is_deaf: its events have no `asked` */
    mono_us timeout;                               /* 0: 30 s */
};

#define ALL_CAPABILITIES                                                           \
    (MCP_CAN_ELICIT | MCP_CAN_ELICIT_URL | MCP_CAN_SAMPLE | MCP_CAN_SAMPLE_TOOLS | \
     MCP_CAN_SAMPLE_CONTEXT | MCP_CAN_LIST_ROOTS)

static inline void caller_done(void *arg, const struct mcp_outcome *outcome)
{
    struct caller *caller = arg;
    caller->declined = outcome->declined;
    for (unsigned i = 0; i < caller->ask_count; i++) {
        assert_null(caller->asks[i]); /* none is open any more */
    }
    if (outcome->task.ptr) {
        assert_null(outcome->result.ptr);
        keep(&caller->task, as_json(outcome->task));
        caller->told.done++;
        return;
    }
    call_done(&caller->told, outcome);
}

static inline void answer_ask(struct caller *caller, unsigned at, const char *result)
{
    struct buf value;
    assert_true(at < caller->ask_count);
    struct mcp_ask *ask = caller->asks[at];
    assert_non_null(ask);
    caller->asks[at] = NULL;
    if (!result) {
        mcp_answer(ask, (struct slice){NULL, 0});
        return;
    }
    mcp_answer(ask, pack(&value, result));
    memset(value.data, 0xc1, value.cap); /* nobody may look at it any more */
    buf_done(&value);
}

static inline void caller_asked(void *arg, struct mcp_ask *ask, const char *method,
                                struct slice params)
{
    struct caller *caller = arg;
    size_t at = strlen(caller->asked);
    char *text = as_json(params);
    (void)snprintf(caller->asked + at, sizeof caller->asked - at, "%s %s ", method, text);
    mem_free(text);
    assert_true(caller->ask_count < CALLER_ASKS);
    caller->asks[caller->ask_count++] = ask;
    if (caller->leaves) {
        caller->asks[caller->ask_count - 1] = NULL;
        mcp_cancel(caller->told.request, "test");
    } else if (caller->says) {
        answer_ask(caller, caller->ask_count - 1, caller->says);
    }
}

static inline void caller_ask_ended(void *arg, struct mcp_ask *ask)
{
    struct caller *caller = arg;
    caller->ended++;
    for (unsigned i = 0; i < caller->ask_count; i++) {
        if (caller->asks[i] == ask) {
            caller->asks[i] = NULL;
            return;
        }
    }
    fail_msg("a question ended that was not open");
}

static const struct mcp_call_events caller_events = {.done = caller_done,
                                                     .progress = call_progress,
                                                     .log = call_log,
                                                     .waits_for = call_waits,
                                                     .asked = caller_asked,
                                                     .ask_ended = caller_ask_ended};
static const struct mcp_call_events deaf_events = {
    .done = caller_done, .progress = call_progress, .log = call_log, .waits_for = call_waits};

static inline struct mcp_identity identity_of(const struct wish *wish)
{
    return (struct mcp_identity){.agent = slice_of(wish->agent ? wish->agent : ""),
                                 .user = slice_of(wish->user ? wish->user : ""),
                                 .client = wish->client,
                                 .capabilities = wish->capabilities};
}

static inline void wish_for(struct bench *bench, struct caller *caller, const struct wish *wish)
{
    struct buf arguments;
    struct buf meta;
    char *name = mem_dup(slice_of(wish->name ? wish->name : "echo"));
    const struct mcp_identity identity = identity_of(wish);
    struct mcp_call_options options = {
        .method = wish->method,
        .name = slice_of(name),
        .arguments = pack(&arguments, wish->arguments ? wish->arguments : "{\"text\":\"hi\"}"),
        .meta = pack(&meta, wish->meta ? wish->meta : "{}"),
        .cursor = slice_of(wish->cursor),
        .is_page = wish->is_page,
        .wants_task = wish->wants_task,
        .may_repeat = wish->may_repeat,
        .log_level = wish->log_level,
        .wants_progress = true,
        .deadline = loop_now(bench->loop) + (wish->timeout ? wish->timeout : 30000 * MS),
    };
    caller->told.request =
        mcp_call(service_named(bench, wish->service ? wish->service : "s"), &identity, &options,
                 wish->is_deaf ? &deaf_events : &caller_events, caller);
    assert_non_null(caller->told.request);
    assert_int_equal(caller->told.done, 0);
    memset(arguments.data, 0xc1, arguments.cap); /* nobody may look at it any more */
    memset(meta.data, 0xc1, meta.cap);
    memset(name, 'X', strlen(name));
    buf_done(&arguments);
    buf_done(&meta);
    mem_free(name);
    turn(bench);
}

#define wish(bench, caller, ...) wish_for((bench), (caller), &(struct wish){__VA_ARGS__})

static inline void caller_free(struct caller *caller)
{
    told_done(&caller->told);
    mem_free(caller->task);
    *caller = (struct caller){0};
}

/* ---- servers ----------------------------------------------------------------------------- */

static inline void serve_legacy(struct fake *fake, const char *version, const char *offers)
{
    char result[1024];
    fake_opened(fake);
    assert_non_null(strstr(last_sent(fake), "\"method\":\"initialize\""));
    (void)snprintf(result, sizeof result,
                   "{'protocolVersion':'%s','capabilities':%s,'serverInfo':{'name':'fake'}}",
                   version, offers);
    answer_last(fake, result);
}

static inline void serve_modern(struct fake *fake, const char *offers)
{
    char result[1024];
    fake_opened(fake);
    assert_non_null(strstr(last_sent(fake), "\"method\":\"server/discover\""));
    (void)snprintf(result, sizeof result,
                   "{'resultType':'complete','supportedVersions':['2026-07-28'],"
                   "'capabilities':%s,'ttlMs':0,'cacheScope':'private'}",
                   offers);
    answer_last(fake, result);
}

/* The answer to whatever was sent last that matches `part`. */
static inline size_t sent_at(const struct fake *fake, const char *part)
{
    for (size_t i = fake->count; i-- > 0;) {
        if (strstr(fake->sent[i], part)) {
            return i;
        }
    }
    fail_msg("\"%s\" was not sent", part);
    return 0;
}

static inline void answer_error(struct fake *fake, const char *error)
{
    answer_id(fake, last_id(fake), "error", error);
}

/* A service `s` of that era whose session stands and has listed `tools`, for callers who cannot be
 * asked anything. */
static inline struct fake *ready(struct bench *bench, bool is_http, bool is_modern,
                                 const char *offers, const char *tools)
{
    struct told told = {0};
    char list[4096];
    bench_init(bench, is_http);
    struct service_conf *conf = conf_new("s", "1");
    conf->transport = is_http ? SERVICE_HTTP : SERVICE_STDIO;
    conf->era = is_modern ? SERVICE_ERA_MODERN : SERVICE_ERA_LEGACY;
    apply_one(bench, conf);
    list_tools(bench, &told, "s");
    struct fake *fake = fake_at(bench, 0);
    if (is_modern) {
        serve_modern(fake, offers);
    } else {
        serve_legacy(fake, "2025-11-25", offers);
    }
    assert_non_null(strstr(last_sent(fake), "\"method\":\"tools/list\""));
    (void)snprintf(list, sizeof list, "{'resultType':'complete','tools':[%s]}", tools);
    answer_last(fake, list);
    assert_int_equal(told.code, ERR_NONE);
    assert_int_equal(told.done, 1);
    told_done(&told);
    return fake;
}

#endif
