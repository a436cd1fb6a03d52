/* SPDX-License-Identifier: MIT */
/* handshake.c - `initialize`, the agreement on a protocol version, and `initialized`. */
#include "base/log.h"
#include "base/mem.h"
#include "mcp/session.h"
#include "value/pack.h"

/* Names that servers give themselves are for display only. */
#define NAME_BYTES 256u

static void send_initialize(struct mcp_session *session, const char *version)
{
    struct failure failure = {0};
    uint64_t id = session_next_id(session);
    struct buf *out = core_out(session->core);
    session->asked_version = version;
    message_put_initialize(out, id, version);
    const struct mcp_outgoing message = {.kind = MCP_REQUEST,
                                         .json = buf_slice(out),
                                         .token = id,
                                         .deadline = session->start_deadline,
                                         .method = "initialize"};
    if (session_send(session, &session->hello, &message, &failure) < 0) {
        session_fail(session, &failure);
    }
    failure_done(&failure);
}

void handshake_start(struct mcp_session *session)
{
    struct mcp_transport *transport = session->wire->transport;
    session->epoch++;
    session->calls_given_up = 0;
    session->revision = NULL;
    if (transport->ops->set_revision) {
        transport->ops->set_revision(transport, NULL);
    }
    if (session->state == SESSION_OPENING) {
        session_set_state(session, SESSION_HANDSHAKE, NULL);
    }
    if (!loop_timer_is_set(&session->start_timer)) {
        session_limit_start(session);
    }
    send_initialize(session, revision_offered()->name);
}

/* ---- the answer -------------------------------------------------------------------------- */

static void refuse_version(struct mcp_session *session, struct slice version)
{
    struct failure failure = {0};
    struct buf names;
    buf_init(&names, 256);
    revision_put_names(&names);
    failure_set(&failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                "the server speaks MCP %.*s, and toolbroker was offering %s (it speaks %s)",
                (int)(version.len > NAME_BYTES ? NAME_BYTES : version.len), version.ptr,
                session->asked_version, buf_text(&names));
    failure_suggest(&failure, "Use a release of the server that speaks one of these versions.");
    buf_done(&names);
    session_fail(session, &failure);
    failure_done(&failure);
}

static void keep_name(char **to, struct slice info, const char *key)
{
    struct slice text;
    mem_free(*to);
    *to = NULL;
    if (pack_get_text(info, key, &text) && text.len <= NAME_BYTES) {
        *to = mem_dup(text);
    }
}

static void take_capabilities(struct mcp_session *session, struct slice result)
{
    struct slice map;
    struct slice tools;
    bool tells_changes = false;
    session->offers = 0;
    if (pack_get(result, "capabilities", &map) && pack_get(map, "tools", &tools) &&
        pack_peek(pack_over(tools)) == PACK_MAP) {
        session->offers = OFFERS_TOOLS;
        if (pack_get_bool(tools, "listChanged", &tells_changes) && tells_changes) {
            session->offers |= OFFERS_TOOLS_CHANGED;
        }
    }
    if (!pack_get(result, "serverInfo", &map)) {
        map = (struct slice){NULL, 0};
    }
    keep_name(&session->server_name, map, "name");
    keep_name(&session->server_version, map, "version");
}

/* The requests behind it stay behind it: on HTTP, where POSTs have no order of their own, the
 * transport holds them until it was accepted. */
static void send_initialized(struct mcp_session *session)
{
    struct failure failure = {0};
    struct mcp_transport *transport = session->wire->transport;
    struct buf *out = core_out(session->core);
    message_put_initialized(out);
    const struct mcp_outgoing message = {.kind = MCP_NOTIFICATION,
                                         .json = buf_slice(out),
                                         .deadline = session->start_deadline,
                                         .method = "notifications/initialized"};
    if (out->overflow) {
        failure_set(&failure, ERR_OVERLOADED, "there is no memory to begin the session");
        session_fail(session, &failure);
    } else if (transport->ops->send(transport, &message, &failure) < 0) {
        session_fail(session, &failure);
    } else {
        session_became_ready(session);
    }
    failure_done(&failure);
}

static void take_result(struct mcp_session *session, struct slice result)
{
    struct slice version = {"(none)", 6};
    (void)pack_get_text(result, "protocolVersion", &version);
    session->revision = revision_find(version);
    if (!session->revision || session->revision->era != ERA_LEGACY) {
        refuse_version(session, version);
        return;
    }
    take_capabilities(session, result);
    struct mcp_transport *transport = session->wire->transport;
    if (transport->ops->set_revision) {
        transport->ops->set_revision(transport, session->revision);
    }
    send_initialized(session);
}

/* A version of error.data.supported that we speak and have not asked for. */
static const struct revision *other_offer(const struct mcp_session *session, struct slice error)
{
    struct slice data;
    struct slice list;
    struct slice name;
    struct pack_item item;
    if (!pack_get(error, "data", &data) || !pack_get(data, "supported", &list)) {
        return NULL;
    }
    struct pack cursor = pack_over(list);
    if (!pack_next(&cursor, &item) || item.type != PACK_ARRAY) {
        return NULL;
    }
    for (uint32_t i = 0; i < item.count && pack_next_text(&cursor, &name); i++) {
        const struct revision *revision = revision_find(name);
        if (revision && revision->era == ERA_LEGACY &&
            !slice_is(name, session->asked_version)) {
            return revision;
        }
    }
    return NULL;
}

static void take_error(struct mcp_session *session, struct slice error)
{
    bool is_first = session->asked_version == revision_offered()->name;
    const struct revision *other = is_first ? other_offer(session, error) : NULL;
    if (other) {
        send_initialize(session, other->name);
        return;
    }
    struct failure failure = {0};
    struct buf names;
    buf_init(&names, 256);
    revision_put_names(&names);
    message_error_to_failure(error, &failure);
    failure_detail_text(&failure, "requested_version", session->asked_version);
    failure_suggest(
        &failure,
        "The server refused `initialize` for MCP %s; toolbroker speaks %s. Look at the "
        "server's own log.",
        session->asked_version, buf_text(&names));
    buf_done(&names);
    session_fail(session, &failure);
    failure_done(&failure);
}

static void hello_answered(struct pending *pending, const struct message *message)
{
    if (message->kind == MESSAGE_ERROR) {
        take_error(pending->session, message->error);
    } else {
        take_result(pending->session, message->result);
    }
}

static void hello_failed(struct pending *pending, const struct failure *failure, bool sent)
{
    (void)sent;
    session_fail(pending->session, failure);
}

static const struct pending_ops hello_ops = {.answered = hello_answered,
                                             .failed = hello_failed};

void handshake_init(struct mcp_session *session)
{
    pending_init(&session->hello, &hello_ops, 0);
    session->hello.session = session;
}
