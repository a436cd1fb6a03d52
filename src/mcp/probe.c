/* SPDX-License-Identifier: MIT */
/* probe.c - a request that no caller wants an answer to: is the server there, and how long did it take. */
#include "mcp/probe.h"

#include "base/mem.h"
#include "base/must.h"
#include "mcp/detail.h"
#include "mcp/probe_internal.h"
#include "value/pack.h"

struct probe {
    struct mcp_request *request;
    struct mcp_probe_options options;
    enum mcp_probe_step step;
    mono_us began, step_began;
    mono_us took[MCP_PROBE_STEPS];
    uint32_t epoch;   /* of the session when it began */
    bool waits;       /* for the session to stand */
    bool has_wire;    /* which it had from the beginning */
    bool has_started; /* the session, for itself */
    bool has_listed;
    void (*done)(void *arg, const struct mcp_probe_report *report);
};

static mono_us now_of(const struct mcp_request *request)
{
    return loop_now(request->seat->session.core->loop);
}

/* ---- times ------------------------------------------------------------------------------- */

/* Over Streamable HTTP connections are made as they are needed: of the handshake, the first time. */
static bool is_connect_seen(const struct probe *probe)
{
    const struct mcp_session *session = &probe->request->seat->session;
    return !probe->has_wire && !session->has_exchanges;
}

/* The wire stands since the probe began: what of the time until now was spent on what. */
static void note_handshake(struct probe *probe)
{
    const struct mcp_session *session = &probe->request->seat->session;
    mono_us from = probe->began;
    if (is_connect_seen(probe)) {
        from = session->opened_at;
        probe->took[MCP_PROBE_CONNECT] = from - probe->began;
    }
    probe->took[MCP_PROBE_HANDSHAKE] = now_of(probe->request) - from;
    probe->step = MCP_PROBE_HANDSHAKE;
}

static void begin_step(struct probe *probe, enum mcp_probe_step step)
{
    if (probe->step != step) {
        probe->step = step;
        probe->step_began = now_of(probe->request);
    }
}

/* ---- the end ----------------------------------------------------------------------------- */

static void note_failed_start(struct probe *probe, const struct failure *failure)
{
    const struct mcp_session *session = &probe->request->seat->session;
    bool has_stood = probe->has_wire || session->epoch != probe->epoch;
    if (has_stood && !(session->has_exchanges && !detail_was_sent(failure))) {
        note_handshake(probe);
    } else {
        probe->took[MCP_PROBE_CONNECT] = now_of(probe->request) - probe->began;
    }
}

static void note_end(struct probe *probe, const struct failure *failure)
{
    if (probe->step >= MCP_PROBE_PING) {
        probe->took[probe->step] = now_of(probe->request) - probe->step_began;
    } else if (probe->waits) {
        note_failed_start(probe, failure);
    }
}

static const char *transport_of(const struct mcp_session *session)
{
    if (session->conf->transport == SERVICE_STDIO) {
        return "stdio";
    }
    return session->is_sse || session->conf->transport == SERVICE_SSE ? "sse" : "http";
}

static int64_t tools_of(const struct probe *probe)
{
    const struct mcp_session *session = &probe->request->seat->session;
    bool has_none = probe->options.lists && probe->step == MCP_PROBE_PING &&
                    !(session->offers & OFFERS_TOOLS);
    if (probe->has_listed) {
        return (int64_t)session->catalog->count;
    }
    return has_none ? 0 : -1;
}

void probe_tell(struct mcp_request *request, const struct failure *failure)
{
    struct probe *probe = request->probe;
    const struct mcp_session *session = &request->seat->session;
    note_end(probe, failure);
    struct mcp_probe_report report = {.failure = failure,
                                      .reached = probe->step,
                                      .transport = transport_of(session),
                                      .tools = tools_of(probe)};
    memcpy(report.took, probe->took, sizeof report.took);
    if (probe->step > MCP_PROBE_CONNECT && session->revision) {
        report.protocol = session->revision->name;
        report.server_name = session->server_name;
        report.server_version = session->server_version;
    }
    probe->done(request->arg, &report);
}

void probe_drop(struct mcp_request *request)
{
    struct probe *probe = request->probe;
    request->probe = NULL;
    if (probe->has_started) {
        request->seat->idle_since = now_of(request);
    }
    mem_free(probe);
}

static void succeed(struct mcp_request *request)
{
    probe_tell(request, NULL);
    request_release(request);
}

/* ---- steps ------------------------------------------------------------------------------- */

/* However often it has failed lately: that a server is back is what is to be found out. */
static void await(struct probe *probe)
{
    struct mcp_request *request = probe->request;
    struct mcp_session *session = &request->seat->session;
    struct failure failure = {0};
    probe->waits = true;
    if (session->state == SESSION_STOPPED && !recall_must_wait(request->seat->service)) {
        bool is_again = session->failures > 0;
        probe->has_started = true;
        if (session_start(session, &failure) < 0) {
            seat_note_failure(request->seat, &failure, "could not start");
            request_fail(request, &failure, false);
            failure_done(&failure);
            return;
        }
        request->seat->service->restarts += is_again;
    }
    request_step(request, STEP_START);
    session_await_ready(session, &request->pending);
}

static void ping(struct probe *probe)
{
    struct mcp_request *request = probe->request;
    const struct mcp_session *session = &request->seat->session;
    struct message_request message = {.method = "ping"};
    if (session_is_modern(session)) {
        message.method = "server/discover";
        message.envelope.revision = session->revision;
        message.envelope.capabilities = session->shown;
    }
    begin_step(probe, MCP_PROBE_PING);
    request_step(request, STEP_ANSWER);
    request_send(request, &message);
}

static void list(struct probe *probe)
{
    begin_step(probe, MCP_PROBE_LIST);
    request_step(probe->request, STEP_LIST);
    session_await_catalog(&probe->request->seat->session, &probe->request->pending);
}

void probe_go(struct mcp_request *request)
{
    struct probe *probe = request->probe;
    const struct mcp_session *session = &request->seat->session;
    if (probe->step == MCP_PROBE_LIST) {
        probe->has_listed = true;
        succeed(request);
        return;
    }
    if (session->state != SESSION_READY) {
        await(probe);
        return;
    }
    if (probe->waits && probe->step < MCP_PROBE_PING) {
        note_handshake(probe);
    }
    probe->waits = false;
    if (probe->options.lists && (session->offers & OFFERS_TOOLS)) {
        list(probe);
    } else {
        ping(probe);
    }
}

/* A server that does not know `ping` has answered, too. */
void probe_answered(struct mcp_request *request, const struct message *message)
{
    struct failure failure = {0};
    int64_t code = 0;
    bool is_error = message->kind == MESSAGE_ERROR;
    if (is_error) {
        (void)pack_get_int(message->error, "code", &code);
    }
    if (!is_error ||
        (code == JSONRPC_METHOD_NOT_FOUND && !session_is_modern(&request->seat->session))) {
        succeed(request);
        return;
    }
    message_error_to_failure(message->error, &failure);
    request_fail(request, &failure, true);
    failure_done(&failure);
}

/* ---- the interface ----------------------------------------------------------------------- */

static struct probe *probe_new(struct mcp_request *request,
                               const struct mcp_probe_options *options)
{
    struct probe *probe = mem_new(sizeof *probe);
    const struct mcp_session *session = &request->seat->session;
    probe->request = request;
    probe->options = *options;
    probe->began = now_of(request);
    probe->epoch = session->epoch;
    probe->has_wire = session->state != SESSION_STOPPED && session->state != SESSION_OPENING;
    for (unsigned i = 0; i < MCP_PROBE_STEPS; i++) {
        probe->took[i] = -1;
    }
    return probe;
}

struct mcp_request *mcp_probe(struct mcp_service *service, const struct mcp_identity *identity,
                              const struct mcp_probe_options *options,
                              void (*done)(void *arg, const struct mcp_probe_report *report),
                              void *arg)
{
    const struct mcp_identity nobody_asked = {.agent = identity->agent, .user = identity->user};
    struct seat *seat = options->is_apart ? seat_for_one_call(service, &nobody_asked)
                                          : seat_find(service, &nobody_asked, true);
    struct mcp_request *request = request_new(seat, options->deadline, arg);
    seat->probes++;
    request->probe = probe_new(request, options);
    request->probe->done = done;
    request_begin(request);
    request->is_beginning = false;
    return request;
}

bool mcp_service_is_connected(const struct mcp_service *service)
{
    const struct seat *seat = service->shared;
    return seat &&
           (seat->session.state == SESSION_READY || seat->session.state == SESSION_RENEWING);
}

void mcp_service_renew(struct mcp_service *service)
{
    struct seat *seat = service->shared;
    struct failure failure = {0};
    if (!mcp_service_is_connected(service) || seat->users > seat->probes) {
        return;
    }
    failure_set(&failure, ERR_UNAVAILABLE, "the server did not answer pings");
    seat_stop(seat, "did not answer pings", &failure);
    failure_done(&failure);
}
