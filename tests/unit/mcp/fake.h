/* SPDX-License-Identifier: MIT */
/*
 * fake.h - a scripted server for the tests of sessions and services: what is sent is kept, what
 * is answered is said by the test. The clock stands still but for loop_advance.
 */
#ifndef TESTS_FAKE_H
#define TESTS_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mcp/room.h"
#include "mcp/service.h"
#include "mcp/session.h"
#include "mcp/transport.h"
#include "store/store.h"
#include "value/json.h"
#include "value/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAKES 64
#define SENDS 4096
#define MS    ((mono_us)1000)

struct bench;

struct fake {
    struct mcp_transport transport;
    const struct mcp_transport_events *events;
    void *arg;
    struct bench *bench;
    char *sent[SENDS];
    mcp_token tokens[SENDS];
    enum mcp_message_kind kinds[SENDS];
    char *about[SENDS]; /* "method name Header=value ..." as the wire was told */
    size_t count;
    unsigned abandoned;
    mcp_token last_abandoned;
    char version[32]; /* set_revision; "-" for NULL */
    char user[64], agent[64];
    bool was_opened, is_listening, is_listening_first, is_closing, is_freed, refuses, is_sse;
};

struct bench {
    struct loop *loop;
    struct mcp_services *services;
    struct store *store; /* NULL: none */
    bool is_http;
    const char *cannot_connect; /* connect fails with this */
    struct fake *fakes[FAKES];
    size_t fake_count;
    char states[4096]; /* "name:state " for each change */
    char limits[512];  /* "service user remaining retry_after_ms refused " for each answer */
    char news[1024];   /* "name:kind " for each changed list, "name/tool:what " for each tool */
    bool has_ended;
};

/* What a request was told. */
struct told {
    struct mcp_request *request;
    unsigned done;
    bool sent, is_retryable, is_nothing_done, is_harmless;
    enum err_code code;
    enum failure_class class;
    int64_t retry_after_ms;
    char *text;                    /* the result, or the message, or the names of the tools */
    char *details, *suggestion;    /* JSON */
    char progress[1024], log[512]; /* JSON, each message behind the other */
    char waits[128];
    struct mcp_catalog *catalog;
    void (*then)(struct told *told); /* run inside `done` */
    void *then_arg;
};

/* ---- values ------------------------------------------------------------------------------ */

static inline char *as_json(struct slice value)
{
    struct buf out;
    buf_init(&out, (size_t)1 << 26);
    struct err err = {0};
    if (json_from_pack(value, "value", &out, &err) < 0) {
        fail_msg("not JSON: %s", err.text);
    }
    char *text = mem_dup(buf_slice(&out));
    buf_done(&out);
    return text;
}

/* Owned by `out`. */
static inline struct slice pack(struct buf *out, const char *json)
{
    struct err err = {0};
    buf_init(out, (size_t)1 << 26);
    if (json_to_pack(slice_of(json), 64, out, &err) < 0) {
        fail_msg("bad JSON in the test: %s", err.text);
    }
    return buf_slice(out);
}

/* ---- the transport ----------------------------------------------------------------------- */

static inline struct fake *fake_of(struct mcp_transport *transport)
{
    return (struct fake *)(void *)transport;
}

static inline void fake_open_op(struct mcp_transport *transport)
{
    fake_of(transport)->was_opened = true;
}

static inline char *about(const struct mcp_outgoing *message)
{
    struct buf text;
    buf_init(&text, 4096);
    assert_true(message->method || message->kind != MCP_REQUEST);
    buf_printf(&text, "%s %.*s", message->method ? message->method : "", (int)message->name.len,
               message->name.len ? message->name.ptr : "");
    for (unsigned i = 0; i < message->param_count; i++) {
        buf_printf(&text, " %.*s=%.*s", SLICE_ARG(message->params[i].name),
                   SLICE_ARG(message->params[i].value));
    }
    char *copy = mem_dup(buf_slice(&text));
    buf_done(&text);
    return copy;
}

static inline int fake_send(struct mcp_transport *transport, const struct mcp_outgoing *message,
                            struct failure *failure)
{
    struct fake *fake = fake_of(transport);
    if (fake->refuses) {
        failure_set(failure, ERR_OVERLOADED, "the server does not read");
        return -ERR_OVERLOADED;
    }
    assert_true(fake->count < SENDS);
    assert_null(memchr(message->json.ptr, '\n', message->json.len));
    fake->tokens[fake->count] = message->token;
    fake->kinds[fake->count] = message->kind;
    fake->about[fake->count] = about(message);
    fake->sent[fake->count++] = mem_dup(message->json);
    return 0;
}

static inline void fake_abandon(struct mcp_transport *transport, mcp_token token)
{
    fake_of(transport)->abandoned++;
    fake_of(transport)->last_abandoned = token;
}

static inline void fake_set_revision(struct mcp_transport *transport,
                                     const struct revision *revision)
{
    struct fake *fake = fake_of(transport);
    (void)snprintf(fake->version, sizeof fake->version, "%s", revision ? revision->name : "-");
}

static inline void fake_listen(struct mcp_transport *transport, bool is_first)
{
    fake_of(transport)->is_listening_first = is_first;
    fake_of(transport)->is_listening = true;
}

static inline void fake_close_op(struct mcp_transport *transport)
{
    fake_of(transport)->is_closing = true;
}

static inline void fake_free(struct mcp_transport *transport)
{
    fake_of(transport)->is_freed = true;
}

static inline int64_t fake_pid(const struct mcp_transport *transport)
{
    (void)transport;
    return 4711;
}

static const struct mcp_transport_ops fake_stdio_ops = {.open = fake_open_op,
                                                        .send = fake_send,
                                                        .abandon = fake_abandon,
                                                        .close = fake_close_op,
                                                        .free = fake_free,
                                                        .pid = fake_pid};
static const struct mcp_transport_ops fake_http_ops = {.has_exchanges = true,
                                                       .open = fake_open_op,
                                                       .send = fake_send,
                                                       .abandon = fake_abandon,
                                                       .set_revision = fake_set_revision,
                                                       .listen = fake_listen,
                                                       .close = fake_close_op,
                                                       .free = fake_free};

/* HTTP+SSE: headers, but one wire for all. */
static const struct mcp_transport_ops fake_sse_ops = {.open = fake_open_op,
                                                      .send = fake_send,
                                                      .abandon = fake_abandon,
                                                      .set_revision = fake_set_revision,
                                                      .close = fake_close_op,
                                                      .free = fake_free};

static inline struct mcp_transport *fake_connect(void *arg, const struct mcp_session *session,
                                                 const struct mcp_transport_events *events,
                                                 void *events_arg, struct failure *failure)
{
    struct bench *bench = arg;
    if (bench->cannot_connect) {
        failure_set(failure, ERR_UNAVAILABLE, "%s", bench->cannot_connect);
        return NULL;
    }
    assert_true(bench->fake_count < FAKES);
    struct fake *fake = mem_new(sizeof *fake);
    fake->is_sse = session->is_sse;
    fake->transport.ops = fake->is_sse     ? &fake_sse_ops
                          : bench->is_http ? &fake_http_ops
                                           : &fake_stdio_ops;
    fake->events = events;
    fake->arg = events_arg;
    fake->bench = bench;
    (void)snprintf(fake->user, sizeof fake->user, "%s", session->user);
    (void)snprintf(fake->agent, sizeof fake->agent, "%s", session->agent);
    bench->fakes[bench->fake_count++] = fake;
    return &fake->transport;
}

/* ---- what the server does ---------------------------------------------------------------- */

static inline void turn(struct bench *bench)
{
    loop_turn(bench->loop, 0);
}

static inline void fake_opened(struct fake *fake)
{
    assert_true(fake->was_opened);
    fake->events->opened(fake->arg);
    turn(fake->bench);
}

/* `format` with every ' as ". */
static inline void say_on(struct fake *fake, mcp_token token, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static inline void say_on(struct fake *fake, mcp_token token, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    assert_true(vasprintf(&text, format, args) >= 0);
    va_end(args);
    for (char *at = text; *at; at++) {
        if (*at == '\'') {
            *at = '"';
        }
    }
    fake->events->message(fake->arg, slice_of(text), token);
    free(text);
    turn(fake->bench);
}

#define say(fake, ...) say_on((fake), 0, __VA_ARGS__)

static inline const char *last_sent(const struct fake *fake)
{
    return fake->count ? fake->sent[fake->count - 1] : "";
}

static inline unsigned long long id_of(const char *json)
{
    const char *at = strstr(json, "\"id\":");
    return at ? strtoull(at + 5, NULL, 10) : 0;
}

static inline unsigned long long last_id(const struct fake *fake)
{
    return id_of(last_sent(fake));
}

static inline size_t count_sent(const struct fake *fake, const char *part)
{
    size_t count = 0;
    for (size_t i = 0; i < fake->count; i++) {
        count += strstr(fake->sent[i], part) != NULL;
    }
    return count;
}

/* Answers request `id`: on its exchange where there are any, which then ends. `member`: "result" or
 * "error". */
static inline void answer_id(struct fake *fake, unsigned long long id, const char *member,
                             const char *value)
{
    mcp_token token = fake->bench->is_http && !fake->is_sse ? id : 0;
    say_on(fake, token, "{'jsonrpc':'2.0','id':%llu,'%s':%s}", id, member, value);
    if (token) {
        fake->events->exchange_ended(fake->arg, token, NULL, false);
        turn(fake->bench);
    }
}

static inline void answer_last(struct fake *fake, const char *result)
{
    answer_id(fake, last_id(fake), "result", result);
}

static inline void shake_hands(struct fake *fake, const char *version)
{
    char result[512];
    fake_opened(fake);
    assert_non_null(strstr(last_sent(fake), "\"method\":\"initialize\""));
    (void)snprintf(result, sizeof result,
                   "{'protocolVersion':'%s','capabilities':{'tools':{'listChanged':true}},"
                   "'serverInfo':{'name':'fake','version':'1.2'}}",
                   version);
    answer_last(fake, result);
}

#define ECHO_TOOL                                                                 \
    "{'name':'echo','inputSchema':{'type':'object','properties':{'text':{'type':" \
    "'string'}},'required':['text']}}"

/* From nothing to a listed catalogue with the tool `echo`, for the request that waits. */
static inline void serve_echo(struct fake *fake)
{
    shake_hands(fake, "2025-11-25");
    assert_non_null(strstr(last_sent(fake), "\"method\":\"tools/list\""));
    answer_last(fake, "{'tools':[" ECHO_TOOL "]}");
}

/* No turn is made. */
static inline void fake_breaks(struct fake *fake, const char *why)
{
    struct failure failure = {0};
    failure_set(&failure, ERR_UNAVAILABLE, "%s", why);
    failure_detail_text(&failure, "stderr_tail", "last words");
    fake->events->closed(fake->arg, &failure);
    failure_done(&failure);
}

static inline void fake_dies(struct fake *fake, const char *why)
{
    fake_breaks(fake, why);
    turn(fake->bench);
}

static inline void fake_closed(struct fake *fake)
{
    assert_true(fake->is_closing);
    fake->events->closed(fake->arg, NULL);
    turn(fake->bench);
}

/* ---- services and requests --------------------------------------------------------------- */

/* Of a legacy server over stdio; other eras are test_era.c's. */
static inline struct service_conf *conf_new(const char *name, const char *written)
{
    struct service_conf *conf = mem_new(sizeof *conf);
    conf->references = 1;
    arena_init(&conf->arena, 1 << 16);
    conf->name = slice_of(name);
    conf->title = slice_of(name);
    conf->definition = conf->written = slice_of(written);
    conf->enabled = true;
    conf->timeout_ms = 30000;
    conf->connect_timeout_ms = 10000;
    conf->concurrency = 100;
    conf->era = SERVICE_ERA_LEGACY;
    return conf;
}

static inline void note_state(void *arg, const struct mcp_service *service)
{
    struct bench *bench = arg;
    size_t at = strlen(bench->states);
    (void)snprintf(bench->states + at, sizeof bench->states - at, "%.*s:%s ",
                   (int)mcp_service_conf(service)->name.len,
                   mcp_service_conf(service)->name.ptr,
                   mcp_state_name(mcp_service_state(service)));
}

static inline void note_news(struct bench *bench, const struct mcp_service *service,
                             struct slice tool, const char *what)
{
    size_t at = strlen(bench->news);
    (void)snprintf(bench->news + at, sizeof bench->news - at, "%.*s%s%.*s:%s ",
                   SLICE_ARG(mcp_service_conf(service)->name), tool.len ? "/" : "",
                   SLICE_ARG(tool), what);
}

static inline void note_list(void *arg, const struct mcp_service *service, const char *kind)
{
    note_news(arg, service, (struct slice){NULL, 0}, kind);
}

static inline void note_tool(void *arg, const struct mcp_service *service, struct slice tool,
                             const char *what)
{
    note_news(arg, service, tool, what);
}

static inline void note_limits(void *arg, const struct mcp_service *service, struct slice user,
                               const struct rate_fields *fields, bool is_refused)
{
    struct bench *bench = arg;
    size_t at = strlen(bench->limits);
    (void)snprintf(bench->limits + at, sizeof bench->limits - at, "%.*s '%.*s' %lld %lld %d; ",
                   SLICE_ARG(mcp_service_conf(service)->name), SLICE_ARG(user),
                   (long long)fields->remaining, (long long)fields->retry_after_ms, is_refused);
}

static inline void bench_init_at(struct bench *bench, bool is_http, const char *state_folder)
{
    *bench = (struct bench){.is_http = is_http};
    bench->loop = loop_new();
    loop_freeze(bench->loop);
    if (state_folder) {
        bench->store = store_new(&(struct store_options){
            .loop = bench->loop, .folder = state_folder, .retry_ms = 20});
    }
    bench->services = mcp_services_new(&(struct mcp_services_options){
        .loop = bench->loop,
        .message_bytes = (size_t)1 << 24,
        .state_folder = "/",
        .store = bench->store,
        .state_changed = note_state,
        .list_changed = note_list,
        .tool_changed = note_tool,
        .rate_told = note_limits,
        .arg = bench,
        .connect = fake_connect,
    });
}

static inline void bench_init(struct bench *bench, bool is_http)
{
    bench_init_at(bench, is_http, NULL);
}

/* Takes over the references. */
static inline void apply(struct bench *bench, struct service_conf **list, size_t count)
{
    struct service_set set = {list, count};
    mcp_services_apply(bench->services, &set);
    for (size_t i = 0; i < count; i++) {
        service_conf_unref(list[i]);
    }
    turn(bench);
}

static inline void apply_one(struct bench *bench, struct service_conf *conf)
{
    apply(bench, &conf, 1);
}

static inline void bench_done(struct bench *bench)
{
    mcp_services_free(bench->services);
    for (size_t i = 0; i < bench->fake_count; i++) {
        struct fake *fake = bench->fakes[i];
        assert_true(fake->is_freed);
        for (size_t j = 0; j < fake->count; j++) {
            mem_free(fake->sent[j]);
            mem_free(fake->about[j]);
        }
        mem_free(fake);
    }
    store_free(bench->store);
    loop_free(bench->loop);
}

static inline void keep(char **to, char *text)
{
    mem_free(*to);
    *to = text;
}

static inline void told_failure(struct told *told, const struct failure *failure)
{
    struct buf map;
    told->code = failure->code;
    told->class = failure->class;
    told->is_nothing_done = failure->is_nothing_done;
    told->retry_after_ms = failure->retry_after_ms;
    told->is_retryable = failure->is_retryable;
    keep(&told->text, mem_dup(buf_slice(&failure->message)));
    keep(&told->suggestion, mem_dup(buf_slice(&failure->suggestion)));
    buf_init(&map, (size_t)1 << 20);
    pack_put_map(&map, failure->details_count);
    buf_put_slice(&map, buf_slice(&failure->details));
    keep(&told->details, as_json(buf_slice(&map)));
    buf_done(&map);
}

static inline void call_done(void *arg, const struct mcp_outcome *outcome)
{
    struct told *told = arg;
    told->done++;
    told->sent = outcome->sent;
    told->is_harmless = outcome->is_harmless;
    if (outcome->failure) {
        told_failure(told, outcome->failure);
    } else {
        keep(&told->text, as_json(outcome->result));
    }
    if (told->then) {
        told->then(told);
    }
}

static inline void list_done(void *arg, struct mcp_catalog *catalog,
                             const struct failure *failure)
{
    struct told *told = arg;
    told->done++;
    if (failure) {
        told_failure(told, failure);
        return;
    }
    struct buf names;
    buf_init(&names, (size_t)1 << 20);
    for (size_t i = 0; i < catalog->count; i++) {
        buf_put_slice(&names, catalog->tools[i].name);
        buf_put_byte(&names, ' ');
    }
    keep(&told->text, mem_dup(buf_slice(&names)));
    buf_done(&names);
    mcp_catalog_unref(told->catalog);
    told->catalog = mcp_catalog_ref(catalog);
}

static inline void put_to(char *to, size_t size, struct slice value)
{
    char *text = as_json(value);
    size_t at = strlen(to);
    (void)snprintf(to + at, size - at, "%s", text);
    mem_free(text);
}

static inline void call_progress(void *arg, struct slice params)
{
    struct told *told = arg;
    put_to(told->progress, sizeof told->progress, params);
}

static inline void call_log(void *arg, struct slice params)
{
    struct told *told = arg;
    put_to(told->log, sizeof told->log, params);
}

static inline void call_waits(void *arg, const char *what)
{
    struct told *told = arg;
    size_t at = strlen(told->waits);
    (void)snprintf(told->waits + at, sizeof told->waits - at, "%s ", what);
}

static const struct mcp_call_events call_events = {
    .done = call_done, .progress = call_progress, .log = call_log, .waits_for = call_waits};
static const struct mcp_list_events list_events = {list_done};

static inline struct mcp_service *service_named(struct bench *bench, const char *name)
{
    struct mcp_service *service = mcp_services_find(bench->services, slice_of(name));
    assert_non_null(service);
    return service;
}

/* The map of services.status, as this room writes it; owned by `out`. */
static inline struct slice put_status(const struct mcp_service *service, struct buf *out)
{
    buf_init(out, 1 << 20);
    size_t opened = pack_open(out);
    pack_close_map(out, opened, mcp_service_put_status(service, NULL, out));
    return buf_slice(out);
}

struct call_options {
    const char *service, *tool, *arguments, *meta, *user, *agent;
    mono_us timeout; /* 0: 30 s */
};

static inline void call_as(struct bench *bench, struct told *told,
                           const struct call_options *with)
{
    struct buf arguments;
    struct buf meta;
    const struct mcp_identity identity = {.agent = slice_of(with->agent ? with->agent : ""),
                                          .user = slice_of(with->user ? with->user : "")};
    buf_init(&arguments, 0);
    buf_init(&meta, 0);
    struct mcp_call_options options = {
        .method = MCP_TOOLS_CALL,
        .name = slice_of(with->tool ? with->tool : "echo"),
        .arguments = pack(&arguments, with->arguments ? with->arguments : "{\"text\":\"hi\"}"),
        .wants_progress = true,
        .deadline = loop_now(bench->loop) + (with->timeout ? with->timeout : 30000 * MS),
    };
    if (with->meta) {
        options.meta = pack(&meta, with->meta);
    }
    told->request = mcp_call(service_named(bench, with->service ? with->service : "s"),
                             &identity, &options, &call_events, told);
    assert_non_null(told->request);
    assert_int_equal(told->done, 0); /* never inside mcp_call */
    if (arguments.data) {
        memset(arguments.data, 0xc1, arguments.cap); /* nobody may look at it any more */
    }
    buf_done(&arguments);
    buf_done(&meta);
    turn(bench);
}

#define call_with(bench, told, ...) \
    call_as((bench), (told), &(struct call_options){__VA_ARGS__})

static inline void call(struct bench *bench, struct told *told)
{
    call_as(bench, told, &(struct call_options){.tool = "echo"});
}

static inline void list_tools(struct bench *bench, struct told *told, const char *service)
{
    const struct mcp_identity identity = {.agent = {"", 0}, .user = {"", 0}};
    told->request = mcp_list_tools(service_named(bench, service), &identity,
                                   loop_now(bench->loop) + 30000 * MS, &list_events, told);
    assert_non_null(told->request);
    assert_int_equal(told->done, 0);
    turn(bench);
}

static inline void told_done(struct told *told)
{
    mem_free(told->text);
    mem_free(told->details);
    mem_free(told->suggestion);
    mcp_catalog_unref(told->catalog);
    *told = (struct told){0};
}

static inline struct fake *fake_at(struct bench *bench, size_t at)
{
    assert_true(at < bench->fake_count);
    return bench->fakes[at];
}

/* A service `s` whose session stands, with the tool `echo`. */
static inline struct fake *standing(struct bench *bench, bool is_http)
{
    struct told told = {0};
    bench_init(bench, is_http);
    apply_one(bench, conf_new("s", "1"));
    call_with(bench, &told, .arguments = "{\"text\":\"first\"}");
    struct fake *fake = fake_at(bench, 0);
    serve_echo(fake);
    assert_non_null(strstr(last_sent(fake), "\"method\":\"tools/call\""));
    answer_last(fake, "{'content':[]}");
    assert_int_equal(told.done, 1);
    assert_string_equal(told.text, "{\"content\":[]}");
    told_done(&told);
    return fake;
}

static inline void has(const char *text, const char *part, const char *file, int line)
{
    if (!text || !strstr(text, part)) {
        print_error("\"%s\" is not in \"%s\"\n", part, text ? text : "(null)");
        _fail(file, line);
    }
}

static inline void was_told(const struct told *told, enum err_code code, const char *part,
                            const char *file, int line)
{
    _assert_int_equal(told->done, 1, file, line);
    _assert_string_equal(err_name(told->code), err_name(code), file, line);
    has(told->text, part, file, line);
}

#define assert_has(text, part)        has((text), (part), __FILE__, __LINE__)
#define assert_told(told, code, part) was_told(&(told), (code), (part), __FILE__, __LINE__)

#endif
