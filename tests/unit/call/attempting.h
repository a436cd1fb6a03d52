/* SPDX-License-Identifier: MIT */
/*
 * attempting.h - calls over a scripted HTTP server whose answers go wrong as the test says, under a
 * clock that stands still but for what the test lets pass.
 */
#ifndef TESTS_UNIT_CALL_ATTEMPTING_H
#define TESTS_UNIT_CALL_ATTEMPTING_H

#include "served.h"

#define ECHO_CALL "{\"tool\":\"s/echo\",\"agent\":\"a\",\"arguments\":{\"text\":\"hi\"}}"
#define ECHO_IN(ms)                                            \
    "{\"tool\":\"s/echo\",\"agent\":\"a\",\"timeout_ms\":" #ms \
    ",\"arguments\":{\"text\":\"hi\"}}"
#define RESULT "{'content':[{'type':'text','text':'done'}]}"

static const char plain_policy[] = "agent 'a' { title = 'A', services = { '*' } }\n";

/* How an exchange ends. */
struct wrong {
    enum err_code code; /* ERR_NONE: it does not; the test waits */
    enum failure_class class;
    bool is_unsent, is_nothing_done;
    int64_t retry_after_ms; /* -1: none */
};

static const struct wrong refused = {ERR_UNAVAILABLE, FAILURE_NETWORK, true, false, -1};
static const struct wrong reset = {ERR_UNAVAILABLE, FAILURE_NETWORK, false, false, -1};
static const struct wrong busy = {ERR_RATE_LIMITED, FAILURE_RATE_LIMIT, false, true, -1};
static const struct wrong unauthorized = {ERR_AUTH_FAILED, FAILURE_AUTHENTICATION, false, true,
                                          -1};
static const struct wrong hang = {.retry_after_ms = -1};

/* The last request that was sent ends like this. */
static inline void go_wrong(struct fake *fake, const struct wrong *fault)
{
    struct failure failure = {0};
    const char no = '\xc2';
    failure_set(&failure, fault->code, "it went wrong");
    failure.class = fault->class;
    failure.is_nothing_done = fault->is_nothing_done;
    failure.retry_after_ms = fault->retry_after_ms;
    if (fault->is_unsent) {
        failure_detail_pack(&failure, "request_sent", (struct slice){&no, 1});
    }
    fake->events->exchange_ended(fake->arg, last_id(fake), &failure, false);
    failure_done(&failure);
    turn(fake->bench);
}

/* The one service `s`; `tune` may change what is configured. */
static inline void configure(void (*tune)(struct service_conf *conf))
{
    struct service_conf *list[] = {plain_conf("s", "s"), plain_conf("t", "t")};
    if (tune) {
        tune(list[0]);
    }
    apply_served(list, 2);
}

/* The operator says that twice does no harm. */
static inline void make_harmless(struct service_conf *conf)
{
    static struct service_tool_retry all;
    all = (struct service_tool_retry){
        .pattern = SLICE("*"), .retry = conf->retry, .is_idempotent = true};
    conf->tool_retries = &all;
    conf->tool_retry_count = 1;
}

/* A session with `s` stands, so that from now on only calls are sent. */
static inline struct fake *stand(int fd)
{
    ask(fd, 1000, "tools.call", ECHO_CALL);
    turns(3);
    struct fake *fake = fake_number(0);
    serve_echo(fake);
    answer_last(fake, RESULT);
    mem_free(heard(fd));
    assert_int_equal(count_sent(fake, "\"tools/call\""), 1);
    return fake;
}

/* A turn that waits for the disk, too. */
static inline void wait_a_little(void)
{
    loop_turn(served.bench.loop, 2000);
    turns(1);
}

/* Whatever the client was sent last. */
static inline char *heard_soon(int fd)
{
    for (unsigned i = 0; i < 2000; i++) {
        char *text = heard(fd);
        if (*text) {
            return text;
        }
        mem_free(text);
        wait_a_little();
    }
    ask(fd, 9999, "calls.list", "{}"); /* what it waits for */
    fail_msg("no answer: %s", heard(fd));
    return NULL;
}

static inline void expect_soon(int fd, const char *part)
{
    char *text = heard_soon(fd);
    if (!strstr(text, part)) {
        fail_msg("no %s in %s", part, text);
    }
    mem_free(text);
}

/* `text` is freed. */
static inline void expect_each(char *text, const char *const *parts, int line)
{
    for (; *parts; parts++) {
        if (!strstr(text, *parts)) {
            fail_msg("line %d: no %s in %s", line, *parts, text);
        }
    }
    mem_free(text);
}

#define expect_parts(text, ...) \
    expect_each((text), (const char *const[]){__VA_ARGS__, NULL}, __LINE__)

/* In the course of request `id`, which waits for what a person says. */
static inline void ask_person(struct fake *fake, unsigned long long id)
{
    say_on(
        fake, id,
        "{'jsonrpc':'2.0','id':'q','method':'elicitation/create','params':{'message':'Sure?',"
        "'requestedSchema':{'type':'object','properties':{}}}}");
}

static inline size_t calls_at(const struct fake *fake)
{
    return count_sent(fake, "\"tools/call\"");
}

/* Lets time pass until the server is sent one more call, or until `most` has passed. */
static inline bool sent_within(const struct fake *fake, mono_us most)
{
    size_t before = calls_at(fake);
    for (mono_us passed = 0; passed <= most && calls_at(fake) == before; passed += 50 * MS) {
        loop_advance(served.bench.loop, 50 * MS);
        turns(3);
    }
    return calls_at(fake) > before;
}

#endif
