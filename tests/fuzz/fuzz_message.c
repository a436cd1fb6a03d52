/* SPDX-License-Identifier: MIT */
/*
 * fuzz_message.c - any bytes as what a server sends, and any order of what may befall a session.
 *
 * The first byte chooses the wire (1: HTTP), whether the handshake is made for the input (2), whether
 * the server may be of either era (4: the handshake is a modern one), and whether HTTP+SSE is tried too (8).
 * Each further line is one event: its first character says which, the rest is its text:
 *   0-9  a message, on the exchange of that request (0: on none)     E-digit  the exchange ends
 *   F-digit  it fails     H-digit-letter  it fails with an HTTP status     G-digit  its session is gone     C-digit  that call is cancelled
 *   O  the wire opens     X  the wire closes     N  a new call     L  the tools are listed
 *   T  a second passes    R  the configuration changes
 * Every call is told exactly once, or was cancelled; nothing is left behind.
 */
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "mcp/service.h"
#include "mcp/session.h"
#include "mcp/transport.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CALLS 16
#define WIRES 32

struct wire_end {
    struct mcp_transport transport;
    const struct mcp_transport_events *events;
    void *arg;
    bool is_begun, is_open, is_closing, is_closed, is_freed;
};

struct one_call {
    struct mcp_request *request;
    unsigned told, cancelled;
};

static struct house {
    struct loop *loop;
    struct mcp_services *services;
    struct wire_end wires[WIRES];
    size_t wire_count;
    struct one_call calls[CALLS];
    size_t call_count;
    unsigned configurations;
    bool is_http, may_be_modern, may_be_sse, has_ended;
} house;

static struct wire_end *end_of(struct mcp_transport *transport)
{
    return (struct wire_end *)(void *)transport;
}

static void op_open(struct mcp_transport *transport)
{
    end_of(transport)->is_begun = true;
}

static int op_send(struct mcp_transport *transport, const struct mcp_outgoing *message,
                   struct failure *failure)
{
    struct slice json = message->json;
    (void)failure;
    must(!end_of(transport)->is_closing && !end_of(transport)->is_freed);
    must(json.len > 0 && json.ptr[0] == '{' && json.ptr[json.len - 1] == '}');
    return 0;
}

static void op_abandon(struct mcp_transport *transport, mcp_token token)
{
    must(!end_of(transport)->is_freed && token != 0);
}

static void op_set_revision(struct mcp_transport *transport, const struct revision *revision)
{
    (void)revision;
    must(!end_of(transport)->is_freed);
}

static void op_listen(struct mcp_transport *transport, bool is_first)
{
    (void)is_first;
    must(!end_of(transport)->is_freed);
}

static void op_close(struct mcp_transport *transport)
{
    must(!end_of(transport)->is_closing && !end_of(transport)->is_closed);
    end_of(transport)->is_closing = true;
}

static void op_free(struct mcp_transport *transport)
{
    must(!end_of(transport)->is_freed);
    end_of(transport)->is_freed = true;
}

static const struct mcp_transport_ops stdio_ops = {.open = op_open,
                                                   .send = op_send,
                                                   .abandon = op_abandon,
                                                   .close = op_close,
                                                   .free = op_free};
static const struct mcp_transport_ops sse_ops = {.open = op_open,
                                                 .send = op_send,
                                                 .abandon = op_abandon,
                                                 .set_revision = op_set_revision,
                                                 .close = op_close,
                                                 .free = op_free};
static const struct mcp_transport_ops http_ops = {.has_exchanges = true,
                                                  .open = op_open,
                                                  .send = op_send,
                                                  .abandon = op_abandon,
                                                  .set_revision = op_set_revision,
                                                  .listen = op_listen,
                                                  .close = op_close,
                                                  .free = op_free};

static struct mcp_transport *make_wire(void *arg, const struct mcp_session *session,
                                       const struct mcp_transport_events *events,
                                       void *events_arg, struct failure *failure)
{
    (void)arg;
    if (house.wire_count == WIRES) {
        failure_set(failure, ERR_UNAVAILABLE, "no more wires");
        return NULL;
    }
    struct wire_end *wire = &house.wires[house.wire_count++];
    *wire = (struct wire_end){.events = events, .arg = events_arg};
    wire->transport.ops = session->is_sse ? &sse_ops : house.is_http ? &http_ops : &stdio_ops;
    return &wire->transport;
}

/* ---- callers ----------------------------------------------------------------------------- */

static void told(void *arg)
{
    struct one_call *call = arg;
    must(!call->cancelled);
    must(++call->told == 1);
}

static void call_done(void *arg, const struct mcp_outcome *outcome)
{
    must((outcome->failure != NULL) != (outcome->result.ptr != NULL));
    must(!outcome->failure || outcome->failure->code != ERR_NONE);
    told(arg);
}

static void list_done(void *arg, struct mcp_catalog *catalog, const struct failure *failure)
{
    must((failure != NULL) != (catalog != NULL));
    told(arg);
}

static void heard(void *arg, struct slice params)
{
    struct one_call *call = arg;
    must(!call->told && !call->cancelled && params.len > 0);
}

static const struct mcp_call_events call_events = {
    .done = call_done, .progress = heard, .log = heard};
static const struct mcp_list_events list_events = {list_done};

static void begin(bool is_call)
{
    static const char arguments[] = "\x81\xa4text\xa2hi";
    struct mcp_service *service = mcp_services_find(house.services, SLICE("s"));
    const struct mcp_identity identity = {.agent = {"", 0}, .user = {"", 0}};
    mono_us deadline = loop_now(house.loop) + 5000000;
    if (house.call_count == CALLS) {
        return;
    }
    struct one_call *call = &house.calls[house.call_count++];
    *call = (struct one_call){0};
    if (!is_call) {
        call->request = mcp_list_tools(service, &identity, deadline, &list_events, call);
        return;
    }
    const struct mcp_call_options options = {.method = MCP_TOOLS_CALL,
                                             .name = SLICE("echo"),
                                             .arguments = {arguments, sizeof arguments - 1},
                                             .wants_progress = house.call_count % 2 == 0,
                                             .deadline = deadline};
    call->request = mcp_call(service, &identity, &options, &call_events, call);
}

static void cancel(size_t which)
{
    if (which < house.call_count) {
        struct one_call *call = &house.calls[which];
        if (!call->told && !call->cancelled) {
            call->cancelled = 1;
            mcp_cancel(call->request, "fuzz");
        }
    }
}

static void configure(void)
{
    static const char *const written[] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    struct service_conf *conf = mem_new(sizeof *conf);
    struct service_set set = {&conf, 1};
    conf->references = 1;
    arena_init(&conf->arena, 1 << 12);
    conf->name = conf->title = SLICE("s");
    conf->written = conf->definition = slice_of(written[house.configurations++ % 8]);
    conf->enabled = true;
    conf->timeout_ms = 3000;
    conf->connect_timeout_ms = 2000;
    conf->concurrency = 3;
    conf->idle_stop_s = 2;
    conf->era = house.may_be_modern ? SERVICE_ERA_AUTO : SERVICE_ERA_LEGACY;
    conf->transport = !house.is_http     ? SERVICE_STDIO
                      : house.may_be_sse ? SERVICE_AUTO
                                         : SERVICE_HTTP;
    mcp_services_apply(house.services, &set);
    service_conf_unref(conf);
}

/* ---- events ------------------------------------------------------------------------------ */

/* The wire that is newest and lives. */
static struct wire_end *living(void)
{
    for (size_t i = house.wire_count; i > 0; i--) {
        struct wire_end *wire = &house.wires[i - 1];
        if (wire->is_begun && !wire->is_closed && !wire->is_freed) {
            return wire;
        }
    }
    return NULL;
}

static void end_exchange(struct wire_end *wire, char how, mcp_token token)
{
    struct failure failure = {0};
    if (how != 'E') {
        failure_set(&failure, how == 'G' ? ERR_UNAVAILABLE : ERR_TIMEOUT, "fuzz");
    }
    wire->events->exchange_ended(wire->arg, token, failure.code ? &failure : NULL, how == 'G');
    failure_done(&failure);
}

/* By a letter: what a server answers in place of a message. */
static void end_with_status(struct wire_end *wire, mcp_token token, unsigned letter)
{
    static const struct {
        int status;
        enum err_code code;
    } rows[] = {{400, ERR_EXTERNAL_TOOL_EXECUTION_FAILED},
                {404, ERR_EXTERNAL_TOOL_EXECUTION_FAILED},
                {405, ERR_EXTERNAL_TOOL_EXECUTION_FAILED},
                {500, ERR_UNAVAILABLE},
                {401, ERR_AUTH_FAILED},
                {429, ERR_RATE_LIMITED},
                {200, ERR_UNAVAILABLE}};
    size_t at = letter % (sizeof rows / sizeof rows[0]);
    struct failure failure = {0};
    failure_set(&failure, rows[at].code, "fuzz");
    failure_detail_int(&failure, "http_status", rows[at].status);
    wire->events->exchange_ended(wire->arg, token, &failure, false);
    failure_done(&failure);
}

static void close_wire(struct wire_end *wire)
{
    struct failure failure = {0};
    wire->is_closed = true;
    if (!wire->is_closing) {
        failure_set(&failure, ERR_UNAVAILABLE, "fuzz");
    }
    wire->events->closed(wire->arg, failure.code ? &failure : NULL);
    failure_done(&failure);
}

static void on_wire(struct wire_end *wire, char what, struct slice rest)
{
    mcp_token digit = rest.len && rest.ptr[0] >= '0' ? (mcp_token)(rest.ptr[0] - '0') : 0;
    if (what == 'X') {
        close_wire(wire);
    } else if (wire->is_closing) {
        return;                  /* nothing else comes from a wire that was told to close */
    } else if (!wire->is_open) { /* nothing comes before that either */
        if (what == 'O') {
            wire->is_open = true;
            wire->events->opened(wire->arg);
        }
    } else if (what >= '0' && what <= '9') {
        bool has_exchanges = wire->transport.ops->has_exchanges;
        wire->events->message(wire->arg, rest, has_exchanges ? (mcp_token)(what - '0') : 0);
    } else if (house.is_http && what == 'H') {
        end_with_status(wire, digit, rest.len > 1 ? (unsigned char)rest.ptr[1] : 0u);
    } else if (house.is_http && (what == 'E' || what == 'F' || what == 'G')) {
        end_exchange(wire, what, digit);
    }
}

static void event(struct slice line)
{
    struct wire_end *wire = living();
    struct slice rest = {line.ptr + 1, line.len - 1};
    switch (line.ptr[0]) {
    case 'N':
    case 'L':
        begin(line.ptr[0] == 'N');
        break;
    case 'C':
        cancel(rest.len && rest.ptr[0] >= '0' ? (size_t)(rest.ptr[0] - '0') : CALLS);
        break;
    case 'T':
        loop_advance(house.loop, 1000000);
        break;
    case 'R':
        configure();
        break;
    default:
        if (wire) {
            on_wire(wire, line.ptr[0], rest);
        }
    }
    loop_turn(house.loop, 0);
}

static void script(const char *text)
{
    event(slice_of(text));
}

static void note_end(void *arg)
{
    (void)arg;
    house.has_ended = true;
}

static void run(struct slice input)
{
    while (input.len) {
        const char *stop = memchr(input.ptr, '\n', input.len);
        size_t len = stop ? (size_t)(stop - input.ptr) : input.len;
        if (len) {
            event((struct slice){input.ptr, len});
        }
        len += stop != NULL;
        input.ptr += len;
        input.len -= len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) {
        return 0;
    }
    memset(&house, 0, sizeof house);
    log_threshold = LOG_ERROR;
    house.is_http = (data[0] & 1) != 0;
    house.may_be_modern = (data[0] & 4) != 0;
    house.may_be_sse = (data[0] & 8) != 0;
    house.loop = loop_new();
    loop_freeze(house.loop);
    house.services = mcp_services_new(&(struct mcp_services_options){
        .loop = house.loop, .message_bytes = 1 << 20, .connect = make_wire});
    configure();
    script("N");
    script("N");
    if (data[0] &
        2) { /* requests 1 and 2 are the handshake and tools/list, 3 and 4 the calls */
        script("O");
        script(house.may_be_modern
                   ? "1{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"supportedVersions\":["
                     "\"2026-07-28\"],\"capabilities\":{\"tools\":{}}}}"
                   : "1{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":"
                     "\"2025-03-26\",\"capabilities\":{\"tools\":{\"listChanged\":true}}}}");
        script("2{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"tools\":[{\"name\":\"echo\"}]}}");
    }
    run((struct slice){(const char *)data + 1, size - 1});
    mcp_services_close(house.services, loop_now(house.loop) + 1000000, note_end, NULL);
    loop_turn(house.loop, 0);
    loop_advance(house.loop, 2000000);
    must(house.has_ended);
    for (size_t i = 0; i < house.call_count; i++) {
        must(house.calls[i].told + house.calls[i].cancelled == 1);
    }
    mcp_services_free(house.services);
    for (size_t i = 0; i < house.wire_count; i++) {
        must(house.wires[i].is_freed);
    }
    loop_free(house.loop);
    return 0;
}
