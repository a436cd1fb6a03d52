/* SPDX-License-Identifier: MIT */
/* initialize.c - the handshake of legacy servers: `initialize`, a version, and `initialized`. */
#include "mcp/detail.h"
#include "mcp/handshake.h"
#include "mcp/session.h"
#include "value/pack.h"

#define UNSUPPORTED_VERSION (-32022)

void initialize_send(struct mcp_session *session, const struct revision *revision)
{
    struct mcp_transport *transport = session->wire->transport;
    uint64_t id = session_next_id(session);
    if (transport->ops->set_revision) {
        transport->ops->set_revision(transport, NULL);
    }
    message_put_initialize(core_out(session->core), id, revision, session->capabilities);
    handshake_ask(session, ASKS_INITIALIZE, revision, id);
}

/* ---- the result -------------------------------------------------------------------------- */

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
    const struct revision *revision = revision_find(version);
    if (!revision || revision->era != ERA_LEGACY) {
        handshake_refuse_versions(session, version);
        return;
    }
    offers_take(session, result);
    handshake_agreed(session, revision);
    send_initialized(session);
}

/* ---- a refusal --------------------------------------------------------------------------- */

/* The first version of error.data.supported of that era that we speak and have not asked for. */
static const struct revision *other_offer(const struct mcp_session *session, struct slice error,
                                          enum era era)
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
        if (revision && revision->era == era && revision != session->handshake.revision) {
            return revision;
        }
    }
    return NULL;
}

static void explain_refusal(const struct mcp_session *session, struct slice error,
                            struct failure *failure)
{
    struct buf names;
    buf_init(&names, 256);
    revision_put_names(&names);
    message_error_to_failure(error, failure);
    failure_detail_text(failure, "requested_version", session->handshake.revision->name);
    failure_suggest(failure,
                    "The server refused `initialize` for MCP %s; toolbroker speaks %s. Look at "
                    "the server's own log.",
                    session->handshake.revision->name, buf_text(&names));
    buf_done(&names);
}

static void take_error(struct mcp_session *session, struct slice error)
{
    int64_t code = 0;
    const struct revision *other = other_offer(session, error, ERA_LEGACY);
    (void)pack_get_int(error, "code", &code);
    if (other && !session->handshake.has_chosen) {
        session->handshake.has_chosen = true;
        initialize_send(session, other);
        return;
    }
    struct failure failure = {0};
    bool says_modern =
        code == UNSUPPORTED_VERSION || other_offer(session, error, ERA_MODERN) != NULL;
    explain_refusal(session, error, &failure);
    if (!handshake_may_be_modern(session, &failure, says_modern) &&
        !handshake_tries_sse(session, &failure)) {
        session_fail(session, &failure);
    }
    failure_done(&failure);
}

void initialize_answered(struct mcp_session *session, const struct message *message)
{
    if (message->kind == MESSAGE_ERROR) {
        take_error(session, message->error);
    } else {
        take_result(session, message->result);
    }
}

/* Over HTTP a server may refuse with a status alone: a modern one whose era was another before,
 * or one that has only the older transport. */
void initialize_failed(struct mcp_session *session, const struct failure *failure)
{
    int64_t status = detail_http_status(failure);
    bool is_refused = status == 400 || status == 404 || status == 405;
    if (is_refused && (handshake_may_be_modern(session, failure, false) ||
                       handshake_tries_sse(session, failure))) {
        return;
    }
    struct failure own = {0};
    failure_copy(&own, failure);
    if (is_refused && session->conf->transport == SERVICE_HTTP) {
        failure_suggest(&own,
                        "Check the path of the service's url, often /mcp. If the server has "
                        "only the older HTTP+SSE, let the service's transport be \"auto\".");
    }
    session_fail(session, &own);
    failure_done(&own);
}
