/* SPDX-License-Identifier: MIT */
/*
 * era.h - for tests of how a session begins and what it carries: one session over fake wires,
 * without services, and one request on it.
 */
#ifndef TESTS_ERA_H
#define TESTS_ERA_H

#include "fake.h"

#define TOOLS  "'capabilities':{'tools':{}}"
#define MODERN "{'resultType':'complete','supportedVersions':['2026-07-28']," TOOLS "}"
#define LEGACY "{'protocolVersion':'2025-11-25'," TOOLS "}"

struct stage {
    struct bench bench;
    struct service_conf *conf;
    struct session_known known;
    struct mcp_session session;
    /* What was told last. */
    char *failure; /* code: text */
    char *suggestion;
    unsigned failures;
};

/* One request, as a call or a subscription would be. */
struct ask {
    struct pending pending;
    unsigned ready, answered, failed;
    bool sent, is_asked, takes;
    char *text; /* of the last event */
};

static inline void stage_changed(void *arg, struct mcp_session *session,
                                 enum session_state from, const struct failure *failure)
{
    struct stage *stage = arg;
    assert_ptr_equal(session, &stage->session);
    assert_true(from != session->state);
    if (failure) {
        char *text = NULL;
        assert_true(asprintf(&text, "%s: %.*s", err_name(failure->code),
                             (int)failure->message.len, failure->message.data) > 0);
        keep(&stage->failure, mem_dup(slice_of(text)));
        keep(&stage->suggestion, mem_dup(buf_slice(&failure->suggestion)));
        free(text);
        stage->failures++;
    }
}

static inline void stage_wire(void *arg)
{
    (void)arg;
}

static const struct session_events stage_events = {
    .changed = stage_changed, .wire_leaving = stage_wire, .wire_ended = stage_wire};

static inline void stage_init(struct stage *stage, bool is_http)
{
    const struct mcp_identity nobody = {.agent = {"", 0}, .user = {"", 0}};
    *stage = (struct stage){.failures = 0};
    bench_init(&stage->bench, is_http);
    stage->conf = conf_new("s", "1");
    stage->conf->era = SERVICE_ERA_AUTO;
    stage->conf->transport = is_http ? SERVICE_HTTP : SERVICE_STDIO;
    session_init(&stage->session, &stage->bench.services->core, stage->conf, &nobody);
    stage->session.known = &stage->known;
    stage->session.events = &stage_events;
    stage->session.arg = stage;
}

static inline void stage_done(struct stage *stage)
{
    struct failure failure = {0};
    failure_set(&failure, ERR_CANCELLED, "the test is over");
    session_stop(&stage->session, &failure);
    failure_done(&failure);
    session_done(&stage->session);
    service_conf_unref(stage->conf);
    mem_free(stage->failure);
    mem_free(stage->suggestion);
    bench_done(&stage->bench);
}

/* The newest wire. */
static inline struct fake *wire_of(struct stage *stage)
{
    return fake_at(&stage->bench, stage->bench.fake_count - 1);
}

static inline struct fake *stage_start(struct stage *stage)
{
    struct failure failure = {0};
    assert_int_equal(session_start(&stage->session, &failure), 0);
    fake_opened(wire_of(stage));
    return wire_of(stage);
}

static inline bool asks(const struct fake *fake, const char *method)
{
    char wanted[64];
    (void)snprintf(wanted, sizeof wanted, "\"method\":\"%s\"", method);
    return strstr(last_sent(fake), wanted) != NULL;
}

static inline mcp_token last_token(const struct fake *fake)
{
    return fake->bench->is_http && !fake->is_sse ? last_id(fake) : 0;
}

static inline void answer_error(struct fake *fake, const char *error)
{
    say_on(fake, last_token(fake), "{'jsonrpc':'2.0','id':%llu,'error':%s}", last_id(fake),
           error);
}

/* The exchange ends with a failure; `status` 0: none came. */
static inline void end_with(struct fake *fake, mcp_token token, enum err_code code, int status)
{
    struct failure failure = {0};
    failure_set(&failure, code, "answered %d", status);
    if (status) {
        failure_detail_int(&failure, "http_status", status);
    }
    fake->events->exchange_ended(fake->arg, token, &failure, false);
    failure_done(&failure);
    turn(fake->bench);
}

static inline enum err_code code_of_status(int status)
{
    return status == 401 || status == 403 ? ERR_AUTH_FAILED
           : status == 429                ? ERR_RATE_LIMITED
           : status >= 500                ? ERR_UNAVAILABLE
                                          : ERR_EXTERNAL_TOOL_EXECUTION_FAILED;
}

static inline void end_status(struct fake *fake, int status)
{
    end_with(fake, last_token(fake), code_of_status(status), status);
}

static inline void is_modern(const struct stage *stage)
{
    assert_int_equal(stage->session.state, SESSION_READY);
    assert_string_equal(stage->session.revision->name, "2026-07-28");
    assert_int_equal(stage->known.era, KNOWN_MODERN);
}

static inline void is_legacy(const struct stage *stage)
{
    assert_int_equal(stage->session.state, SESSION_READY);
    assert_string_equal(stage->session.revision->name, "2025-11-25");
    assert_int_equal(stage->known.era, KNOWN_LEGACY);
}

/* ---- a request --------------------------------------------------------------------------- */

static inline struct ask *ask_of(struct pending *pending)
{
    return LIST_ITEM(pending, struct ask, pending);
}

static inline void ask_ready(struct pending *pending)
{
    ask_of(pending)->ready++;
}

static inline void ask_answered(struct pending *pending, const struct message *message)
{
    struct ask *ask = ask_of(pending);
    ask->answered++;
    keep(&ask->text,
         as_json(message->kind == MESSAGE_ERROR ? message->error : message->result));
}

static inline void ask_failed(struct pending *pending, const struct failure *failure, bool sent)
{
    struct ask *ask = ask_of(pending);
    ask->failed++;
    ask->sent = sent;
    keep(&ask->text, mem_dup(buf_slice(&failure->message)));
}

static inline bool ask_asked(struct pending *pending, const struct message *request)
{
    struct ask *ask = ask_of(pending);
    ask->is_asked = true;
    keep(&ask->text, mem_dup(request->method));
    return ask->takes;
}

static inline void ask_taken_back(struct pending *pending, struct slice id)
{
    keep(&ask_of(pending)->text, as_json(id));
}

static inline void ask_notice(struct pending *pending, struct slice method, struct slice params)
{
    struct ask *ask = ask_of(pending);
    assert_true(params.len > 0);
    keep(&ask->text, mem_dup(method));
}

static const struct pending_ops ask_ops = {.ready = ask_ready,
                                           .answered = ask_answered,
                                           .failed = ask_failed,
                                           .asked = ask_asked,
                                           .ask_cancelled = ask_taken_back,
                                           .notice = ask_notice};

static inline void ask_init(struct ask *ask)
{
    *ask = (struct ask){.ready = 0};
    pending_init(&ask->pending, &ask_ops, 1 << 16);
}

static inline void ask_done(struct ask *ask)
{
    pending_done(&ask->pending);
    mem_free(ask->text);
}

static inline mcp_token ask_send(struct stage *stage, struct ask *ask, const char *method)
{
    struct failure failure = {0};
    char json[256];
    mcp_token id = session_next_id(&stage->session);
    (void)snprintf(json, sizeof json, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"%s\"}",
                   (unsigned long long)id, method);
    const struct mcp_outgoing message = {.kind = MCP_REQUEST,
                                         .json = slice_of(json),
                                         .token = id,
                                         .deadline = MONO_NEVER,
                                         .method = method};
    assert_int_equal(session_send(&stage->session, &ask->pending, &message, &failure), 0);
    return id;
}

#endif
