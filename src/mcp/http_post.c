/* SPDX-License-Identifier: MIT */
/*
 * http_post.c - one message and its answer: a POST, then one JSON text or an event stream.
 *
 * Whether an answer fits its request is the session's business; here it only matters whether a
 * stream that ends had brought one.
 */
#include "base/log.h"
#include "base/mem.h"
#include "loop/block.h"
#include "mcp/http_internal.h"
#include "mcp/message.h"
#include "value/pack.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define TELL_US        30000000 /* for a notification or response to be taken */
#define STREAM_HEAD_US 60000000 /* for the answer of a stream that lasts to begin */
#define LINGER_US      500000   /* for a stream to end after the answer */
#define RESERVED_BYTES 8388608  /* at most, on the word of a Content-Length */
#define PLAIN_BYTES    256u     /* of a refusal in words, looked at to see what it is about */
#define TELLING_BYTES  65536    /* of a message, looked at to see whether it is a response */

/* ---- the end of an exchange ------------------------------------------------------------- */

void mcp_http_destroy_exchange(struct mcp_http_exchange *exchange)
{
    exchange->mcp->responses -= exchange->kind == MCP_RESPONSE;
    list_remove(&exchange->link);
    block_done_buf(exchange->mcp->loop, &exchange->body);
    block_done_buf(exchange->mcp->loop, &exchange->sse.line);
    block_done_buf(exchange->mcp->loop, &exchange->sse.data);
    sse_done(&exchange->sse);
    mem_free(exchange);
}

/* Requests may follow once `notifications/initialized` was answered, however. */
static void release(struct mcp_http_exchange *exchange)
{
    struct mcp_http *mcp = exchange->mcp;
    if (mcp->barrier == exchange) {
        mcp->barrier = NULL;
        mcp_http_hold(mcp);
        mcp_http_listen_start(mcp);
    }
}

void mcp_http_drop(struct mcp_http_exchange *exchange)
{
    struct mcp_http *mcp = exchange->mcp;
    if (exchange->http) {
        http_cancel(exchange->http);
        exchange->http = NULL;
    }
    mcp_http_resume_stop(exchange);
    release(exchange);
    exchange->is_gone = true;
    list_remove(&exchange->link);
    if (mcp->depth) {
        list_append(&mcp->gone, &exchange->link);
    } else {
        mcp_http_destroy_exchange(exchange);
    }
}

void mcp_http_finish(struct mcp_http_exchange *exchange, struct failure *failure,
                     bool is_session_gone)
{
    struct mcp_http *mcp = exchange->mcp;
    mcp_token token = exchange->token;
    bool is_of_use = token || is_session_gone || (failure && failure->code == ERR_AUTH_FAILED);
    if (failure && exchange->kind != MCP_REQUEST) {
        log_at(LOG_DEBUG, "mcp", "a message was not taken",
               LOG_TEXT("url", http_target_name(mcp->target)),
               LOG_SLICE("why", buf_slice(&failure->message)));
    }
    mcp_http_drop(exchange);
    if (is_of_use) {
        mcp->events->exchange_ended(mcp->arg, token, failure, is_session_gone);
    }
    if (failure) {
        failure_done(failure);
    }
}

struct mcp_http_answer mcp_http_answer_of(const struct mcp_http_exchange *exchange)
{
    const struct mcp_http *mcp = exchange->mcp;
    return (struct mcp_http_answer){
        mcp->loop, mcp->target,       exchange->http,       exchange->status,
        "/mcp",    "Streamable HTTP", exchange->had_session};
}

static void fail(struct mcp_http_exchange *exchange, enum err_code code, const char *reason,
                 const char *words)
{
    struct mcp_http_answer answer = mcp_http_answer_of(exchange);
    struct failure failure = {0};
    mcp_http_explain(&answer, code, reason, words, &failure);
    mcp_http_finish(exchange, &failure, false);
}

static void fail_too_long(struct mcp_http_exchange *exchange)
{
    char words[80];
    (void)snprintf(words, sizeof words,
                   "sent a message of more than the %zu bytes that are taken",
                   exchange->mcp->message_bytes);
    struct mcp_http_answer answer = mcp_http_answer_of(exchange);
    struct failure failure = {0};
    mcp_http_explain(&answer, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "too_large", words, &failure);
    failure.class = FAILURE_OF_BROKER;
    mcp_http_finish(exchange, &failure, false);
}

/* ---- what is an answer ------------------------------------------------------------------ */

/* Passes over a string; `at` is behind its opening quote. NULL: it does not end. */
static const char *skip_string(const char *at, const char *end)
{
    for (; at < end; at++) {
        if (*at == '\\') {
            at++;
        } else if (*at == '"') {
            return at + 1;
        }
    }
    return NULL;
}

/* Passes over the value of a member: to the comma or brace behind it. */
static const char *skip_value(const char *at, const char *end)
{
    unsigned depth = 0;
    while (at && at < end) {
        char c = *at;
        if (c == '"') {
            at = skip_string(at + 1, end);
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}')) {
            return at;
        }
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        at++;
    }
    return NULL;
}

/* Whether a message is a response, by the first of its members that tells; strict reading is done
 * by the session. In a batch, at least its end is in order. What is long and does not tell soon has
 * something else than a method before all that is long: a result. */
static bool is_response(struct slice json)
{
    bool is_long = json.len > TELLING_BYTES;
    const char *at = json.ptr, *end = json.ptr + (is_long ? TELLING_BYTES : json.len);
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) {
        at++;
    }
    if (at < end && *at == '[') {
        return true;
    }
    while (at && (at = memchr(at, '"', (size_t)(end - at)))) {
        const char *name = at + 1;
        at = skip_string(name, end);
        if (!at) {
            return is_long;
        }
        struct slice key = {name, (size_t)(at - 1 - name)};
        if (slice_is(key, "result") || slice_is(key, "error")) {
            return true;
        }
        if (slice_is(key, "method")) {
            return false;
        }
        at = skip_value(at, end);
    }
    return is_long;
}

/* ---- the answer's beginning ------------------------------------------------------------- */

/* The answer to a message that asks for none. */
static void head_of_told(struct mcp_http_exchange *exchange)
{
    release(exchange);
    if (mcp_http_is_type(exchange->http, "text/event-stream")) {
        mcp_http_finish(exchange, NULL,
                        false); /* a stream that nobody asked for, and that may last */
    }
}

static void head_of_request(struct mcp_http_exchange *exchange)
{
    struct slice type;
    int64_t length = http_content_length(exchange->http);
    if (mcp_http_is_type(exchange->http, "application/json")) {
        exchange->form = MCP_HTTP_JSON;
        if (length > 0 && (uint64_t)length > exchange->mcp->message_bytes) {
            fail_too_long(exchange);
        }
    } else if (mcp_http_is_type(exchange->http, "text/event-stream")) {
        exchange->form = MCP_HTTP_EVENTS;
    } else if (http_header(exchange->http, "content-type", &type) && length != 0 &&
               exchange->status != 202) {
        fail(exchange, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "content_type",
             "answered with neither JSON nor an event stream");
    }
}

/* The session id comes with the answer to `initialize`. False: the exchange has failed. */
static bool take_session(struct mcp_http_exchange *exchange)
{
    struct slice id;
    if (exchange->opens_session && exchange->epoch == exchange->mcp->epoch &&
        http_header(exchange->http, "mcp-session-id", &id) &&
        !mcp_http_take_session_id(exchange->mcp, id)) {
        fail(exchange, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "session_id",
             "gave a session id that is empty, too long, or not visible ASCII");
        return false;
    }
    return true;
}

static void on_head(void *arg, struct http_exchange *http, int status)
{
    struct mcp_http_exchange *exchange = arg;
    struct mcp_http *mcp = exchange->mcp;
    mcp_http_enter(mcp);
    exchange->status = status;
    mcp_http_tell_limits(mcp->loop, http, status, mcp->events, mcp->arg);
    if (exchange->is_gone) {
        mcp_http_leave(mcp);
        return;
    }
    if (status < 200 || status > 299) {
        exchange->form = MCP_HTTP_ERROR;
        buf_init(&exchange->body, MCP_HTTP_ERROR_BYTES);
    } else if (take_session(exchange)) {
        if (exchange->is_stream) {
            http_set_deadline(http, MONO_NEVER);
        }
        if (exchange->kind == MCP_REQUEST) {
            head_of_request(exchange);
        } else {
            head_of_told(exchange);
        }
    }
    mcp_http_leave(mcp);
}

/* ---- the answer's body ------------------------------------------------------------------ */

/* `buf` as in mcp_tell_message. */
static void tell(struct mcp_http_exchange *exchange, struct buf *buf, struct slice json)
{
    mcp_tell_message(exchange->mcp->events, exchange->mcp->arg, buf, json, exchange->token);
}

static bool on_event(void *arg, const struct sse_event *event)
{
    struct mcp_http_exchange *exchange = arg;
    if (event->type.len && !slice_is(event->type, "message")) {
        return true;
    }
    exchange->pace.has_brought = true;
    bool is_first = !exchange->is_answered && is_response(event->data);
    exchange->is_answered = exchange->is_answered || is_first;
    tell(exchange, event->buf, event->data);
    if (exchange->is_gone) {
        return false;
    }
    if (is_first) {
        http_set_deadline(exchange->http, loop_now(exchange->mcp->loop) + LINGER_US);
    }
    return true;
}

void mcp_http_feed(struct mcp_http_exchange *exchange, struct slice bytes)
{
    if (sse_feed(&exchange->sse, bytes, on_event, exchange) == SSE_TOO_LONG) {
        fail_too_long(exchange);
    }
}

static void body_of_json(struct mcp_http_exchange *exchange, struct slice bytes)
{
    int64_t length = http_content_length(exchange->http);
    if (!exchange->body.len && (int64_t)bytes.len == length) {
        exchange->is_answered = true; /* all of it at once: no need to keep it */
        tell(exchange, NULL, bytes);
        return;
    }
    if (!exchange->body.len && length > 0) {
        (void)buf_reserve(&exchange->body,
                          (size_t)(length < RESERVED_BYTES ? length : RESERVED_BYTES));
    }
    buf_put_slice(&exchange->body, bytes);
    if (exchange->body.overflow) {
        fail_too_long(exchange);
    }
}

/* ---- the answer's end ------------------------------------------------------------------- */

static bool says_no_such_method(struct slice error)
{
    int64_t code = 0;
    return error.ptr && pack_get_int(error, "code", &code) && code == JSONRPC_METHOD_NOT_FOUND;
}

/* Servers that are built on the SDKs answer so, and not 404, for a session that they do not have
 * (any more): "Bad Request: No valid session ID provided", "Server not initialized"; those in
 * Python without any JSON. A call is sent again for it, so nothing else may read like it. */
static bool says_no_session(struct slice words)
{
    static const char *const phrases[] = {"session id", "session-id", "server not initialized"};
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++) {
        size_t len = strlen(phrases[i]);
        for (size_t at = 0; at + len <= words.len; at++) {
            if (strncasecmp(words.ptr + at, phrases[i], len) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool is_session_dead(const struct mcp_http_exchange *exchange, struct slice body,
                            struct slice error)
{
    struct slice words = {NULL, 0};
    if (!exchange->had_session) {
        return false;
    }
    if (exchange->status == 404) {
        return !says_no_such_method(error);
    }
    if (error.ptr) {
        (void)pack_get_text(error, "message", &words);
    } else if (body.len <= PLAIN_BYTES && mcp_http_is_type(exchange->http, "text/plain")) {
        words = body;
    }
    return exchange->status == 400 && says_no_session(words);
}

/* Statuses that say more than a JSON-RPC error beside them: whom to blame, and when to come back. */
static bool is_telling(int status)
{
    return status == 401 || status == 403 || status == 429 || status == 503;
}

static void end_with_status(struct mcp_http_exchange *exchange)
{
    struct mcp_http_answer answer = mcp_http_answer_of(exchange);
    struct failure failure = {0};
    struct buf value;
    buf_init(&value, (size_t)4 * MCP_HTTP_ERROR_BYTES);
    struct slice body =
        exchange->body.overflow ? (struct slice){NULL, 0} : buf_slice(&exchange->body);
    struct slice error = mcp_http_find_error(body, &value);
    bool is_session_gone = is_session_dead(exchange, body, error);
    if (error.ptr && exchange->kind == MCP_REQUEST && !is_session_gone &&
        !is_telling(exchange->status)) {
        tell(exchange, NULL, buf_slice(&exchange->body));
    }
    if (!exchange->is_gone) {
        mcp_http_explain_status(&answer, error, &failure);
        mcp_http_finish(exchange, &failure, is_session_gone);
    }
    buf_done(&value);
}

static void on_body(void *arg, struct slice bytes)
{
    struct mcp_http_exchange *exchange = arg;
    struct mcp_http *mcp = exchange->mcp;
    mcp_http_enter(mcp);
    switch (exchange->form) {
    case MCP_HTTP_JSON:
        body_of_json(exchange, bytes);
        break;
    case MCP_HTTP_EVENTS:
        mcp_http_feed(exchange, bytes);
        break;
    case MCP_HTTP_ERROR:
        buf_put_slice(&exchange->body, bytes);
        if (exchange->body.overflow) { /* no JSON-RPC error: nothing to wait for */
            end_with_status(exchange);
        }
        break;
    case MCP_HTTP_NOTHING:
        break;
    }
    mcp_http_leave(mcp);
}

static void end_in_order(struct mcp_http_exchange *exchange)
{
    if (exchange->kind != MCP_REQUEST && exchange->form != MCP_HTTP_ERROR) {
        mcp_http_finish(exchange, NULL, false);
        return;
    }
    switch (exchange->form) {
    case MCP_HTTP_ERROR:
        end_with_status(exchange);
        return;
    case MCP_HTTP_NOTHING:
        fail(exchange, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "no_answer",
             "took the request without answering it");
        return;
    case MCP_HTTP_EVENTS:
        if (!exchange->is_answered && mcp_http_can_resume(exchange)) {
            mcp_http_resume(exchange);
            return;
        }
        if (!exchange->is_answered) {
            fail(exchange, ERR_UNAVAILABLE, "stream_ended",
                 "ended the stream before the answer");
            return;
        }
        break;
    case MCP_HTTP_JSON:
        if (!exchange->is_answered) {
            tell(exchange, &exchange->body, buf_slice(&exchange->body));
        }
        break;
    }
    if (!exchange->is_gone) {
        mcp_http_finish(exchange, NULL, false);
    }
}

static void on_done(void *arg, const struct failure *failure, bool was_sent)
{
    struct mcp_http_exchange *exchange = arg;
    struct mcp_http *mcp = exchange->mcp;
    (void)was_sent; /* is in the details */
    mcp_http_enter(mcp);
    if (failure && exchange->form == MCP_HTTP_ERROR) {
        end_with_status(exchange); /* its status says more than how its body broke off */
    } else if (failure && !exchange->is_answered && failure->code == ERR_UNAVAILABLE &&
               mcp_http_can_resume(exchange)) {
        mcp_http_resume(exchange);
    } else if (failure && !exchange->is_answered) {
        struct failure copy = {0};
        failure_copy(&copy, failure);
        mcp_http_finish(exchange, &copy, false);
    } else if (failure) {
        mcp_http_finish(exchange, NULL, false);
    } else {
        end_in_order(exchange);
    }
    mcp_http_leave(mcp);
}

/* ---- the message ------------------------------------------------------------------------ */

static const struct http_events post_events = {on_head, on_body, on_done, rate_fields_is_one};

/* The header lines that every POST of this revision and session has. */
static struct http_headers *common_headers(struct mcp_http *mcp, struct err *reterr)
{
    if (!mcp->post_headers) {
        mcp->post_headers =
            mcp_http_make_headers(mcp, MCP_HTTP_ACCEPT_ANSWER, (struct slice){NULL, 0}, reterr);
    }
    return mcp->post_headers;
}

static int start(struct mcp_http_exchange *exchange, const struct mcp_outgoing *message,
                 struct err *reterr)
{
    struct mcp_http *mcp = exchange->mcp;
    struct mcp_http_extra extra = {0};
    struct http_request request = {
        .method = HTTP_POST,
        .headers = common_headers(mcp, reterr),
        .body = message->json,
        .own = message->own,
        .deadline = exchange->deadline,
        .is_urgent = exchange->kind != MCP_REQUEST || exchange->is_stream,
        /* What a client tells, or asks before anything else, does nothing twice. */
        .may_repeat =
            exchange->kind != MCP_REQUEST || exchange->opens_session || exchange->is_stream,
    };
    if (!request.headers) {
        return -(int)reterr->code;
    }
    if (exchange->is_modern) {
        int r = mcp_http_extra_init(&extra, message, reterr);
        if (r < 0) {
            return r;
        }
        request.extra = extra.list;
        request.extra_count = extra.count;
    }
    int r = http_start(mcp->target, &request, &post_events, exchange, &exchange->http, reterr);
    mcp_http_extra_done(&extra);
    return r;
}

static struct mcp_http_exchange *new_exchange(struct mcp_http *mcp,
                                              const struct mcp_outgoing *message)
{
    struct mcp_http_exchange *exchange = mem_new(sizeof *exchange);
    mono_us now = loop_now(mcp->loop), limit = message->deadline;
    exchange->mcp = mcp;
    exchange->kind = message->kind;
    exchange->token = message->token;
    exchange->epoch = mcp->epoch;
    exchange->is_modern = mcp->is_modern;
    exchange->is_stream = message->is_stream;
    exchange->had_session = mcp->session_id != NULL;
    exchange->opens_session = message->kind == MCP_REQUEST && !mcp->version[0];
    if (message->is_stream) {
        limit = now + STREAM_HEAD_US;
    } else if (message->kind != MCP_REQUEST && limit > now + TELL_US) {
        limit = now + TELL_US;
    }
    exchange->deadline = limit;
    buf_init(&exchange->body, mcp->message_bytes);
    sse_init(&exchange->sse, mcp->message_bytes);
    mcp_http_resume_init(exchange);
    list_append(&mcp->exchanges, &exchange->link);
    mcp->responses += message->kind == MCP_RESPONSE;
    return exchange;
}

/* Each question of the server costs a request of ours: a flood of them must not take every
 * descriptor. */
#define RESPONSES_MAX 64u

int mcp_http_post(struct mcp_http *mcp, const struct mcp_outgoing *message,
                  struct failure *failure)
{
    struct err err = {ERR_NONE, ""};
    if (message->kind == MCP_RESPONSE && mcp->responses >= RESPONSES_MAX) {
        failure_set(failure, ERR_OVERLOADED, "the server asks faster than it takes answers");
        return -ERR_OVERLOADED;
    }
    if (message->kind == MCP_RESPONSE && mcp->is_modern) {
        failure_set(failure, ERR_VALIDATION_ERROR, "a server of revision %s takes no responses",
                    mcp->version);
        return -ERR_VALIDATION_ERROR;
    }
    struct mcp_http_exchange *exchange = new_exchange(mcp, message);
    if (start(exchange, message, &err) != 0) {
        failure_from_err(failure, &err);
        mcp_http_destroy_exchange(exchange);
        return -(int)err.code;
    }
    if (message->kind == MCP_NOTIFICATION && mcp->awaits_initialized) {
        mcp->awaits_initialized = false;
        mcp->barrier = exchange;
        mcp_http_hold(mcp);
    }
    return 0;
}
