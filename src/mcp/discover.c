/* SPDX-License-Identifier: MIT */
/*
 * discover.c - `server/discover`: the beginning with a modern server, and what an answer to it
 * says of the era of any other.
 *
 * A DiscoverResult, and the errors that only modern revisions have, come of a modern server: one
 * never falls back from them. Every other answer comes of a legacy one. Over HTTP some failures say
 * nothing of the era: credentials, limits, the network.
 */
#include "mcp/detail.h"
#include "mcp/handshake.h"
#include "mcp/session.h"
#include "value/pack.h"

#define HEADER_MISMATCH     (-32020)
#define MISSING_CAPABILITY  (-32021)
#define UNSUPPORTED_VERSION (-32022)

/* So many of them (HTTP 5xx, or no answer), and `initialize` is tried once: some legacy servers break at what they do not
 * know. */
#define SERVER_ERRORS 2u

void discover_send(struct mcp_session *session, const struct revision *revision)
{
    struct mcp_transport *transport = session->wire->transport;
    uint64_t id = session_next_id(session);
    const struct message_request request = {
        .method = "server/discover",
        .envelope = {.revision = revision, .capabilities = session->shown}};
    if (transport->ops->set_revision) {
        transport->ops->set_revision(transport, revision);
    }
    (void)message_put_request(core_out(session->core), id, &request, &session->core->part,
                              NULL);
    handshake_ask(session, ASKS_DISCOVER, revision, id);
}

/* ---- versions ---------------------------------------------------------------------------- */

/* What of a server's list we speak, newest first. */
struct mutual {
    const struct revision *modern, *legacy;
    struct buf theirs; /* their names, for people */
};

static void look_at(struct mutual *mutual, struct slice name)
{
    const struct revision *revision = revision_find(name);
    if (mutual->theirs.len < 256 && name.len <= 64) {
        buf_printf(&mutual->theirs, "%s%.*s", mutual->theirs.len ? ", " : "", SLICE_ARG(name));
    }
    if (!revision) {
        return;
    }
    const struct revision **best =
        revision->era == ERA_MODERN ? &mutual->modern : &mutual->legacy;
    if (!*best || revision_is_newer(revision, *best)) {
        *best = revision;
    }
}

/* False: it is no list of versions. */
static bool find_mutual(struct slice value, struct mutual *ret)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    struct slice name;
    *ret = (struct mutual){.modern = NULL};
    buf_init(&ret->theirs, 512);
    if (!value.ptr || !pack_next(&cursor, &item) || item.type != PACK_ARRAY) {
        return false;
    }
    for (uint32_t i = 0; i < item.count && pack_next_text(&cursor, &name); i++) {
        look_at(ret, name);
    }
    return true;
}

static void fall_back(struct mcp_session *session, const char *why)
{
    struct failure failure = {0};
    failure_set(&failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "%s", why);
    handshake_fall_back(session, &failure);
    failure_done(&failure);
}

/* None that is modern: the handshake of one that is legacy, if we speak one that the server has. */
static void leave_modern(struct mcp_session *session, struct mutual *mutual)
{
    if (mutual->legacy && session->conf->era != SERVICE_ERA_MODERN) {
        fall_back(session, "the server offers only revisions with a handshake");
    } else {
        handshake_refuse_versions(session, mutual->theirs.len ? buf_slice(&mutual->theirs)
                                                              : SLICE("(none)"));
    }
}

/* ---- answers ----------------------------------------------------------------------------- */

static void take_result(struct mcp_session *session, struct slice result)
{
    struct slice list = {NULL, 0};
    struct mutual mutual;
    (void)pack_get(result, "supportedVersions", &list);
    if (!find_mutual(list, &mutual)) {
        fall_back(session, "an answer that names no versions");
    } else if (!mutual.modern) {
        leave_modern(session, &mutual);
    } else {
        offers_take(session, result);
        handshake_agreed(session, mutual.modern);
        session_became_ready(session);
    }
    buf_done(&mutual.theirs);
}

/* The server does not take the version that we asked with, and says which it takes: perhaps the
 * very same, which is believed once. */
static void take_refused_version(struct mcp_session *session, struct slice error)
{
    struct slice data;
    struct slice list = {NULL, 0};
    struct mutual mutual;
    if (pack_get(error, "data", &data)) {
        (void)pack_get(data, "supported", &list);
    }
    (void)find_mutual(list, &mutual);
    if (mutual.modern && !session->handshake.has_chosen) {
        session->handshake.has_chosen = true;
        discover_send(session, mutual.modern);
    } else {
        leave_modern(session, &mutual);
    }
    buf_done(&mutual.theirs);
}

static void take_our_fault(struct mcp_session *session, struct slice error)
{
    struct failure failure = {0};
    session->known->era = KNOWN_MODERN;
    message_error_to_failure(error, &failure);
    buf_printf(&failure.message, " (to `server/discover`)");
    failure_suggest(
        &failure,
        "This is a modern MCP server (%s) that does not accept how toolbroker asks: "
        "report it as a fault of toolbroker, with details.jsonrpc.",
        session->handshake.revision->name);
    session_fail(session, &failure);
    failure_done(&failure);
}

void discover_answered(struct mcp_session *session, const struct message *message)
{
    int64_t code = 0;
    if (message->kind != MESSAGE_ERROR) {
        take_result(session, message->result);
        return;
    }
    (void)pack_get_int(message->error, "code", &code);
    if (code == UNSUPPORTED_VERSION) {
        take_refused_version(session, message->error);
    } else if (code == HEADER_MISMATCH || code == MISSING_CAPABILITY) {
        take_our_fault(session, message->error);
    } else {
        struct failure failure = {0};
        message_error_to_failure(message->error, &failure);
        handshake_fall_back(session, &failure);
        failure_done(&failure);
    }
}

/* ---- failures ---------------------------------------------------------------------------- */

/* A connection that was taken and closed without a word is a server that broke, too. */
static bool is_server_error(const struct failure *failure, int64_t status)
{
    struct slice value;
    struct slice reason;
    if (!detail_find(failure, "reason", &value)) {
        return status >= 500;
    }
    struct pack cursor = pack_over(value);
    return status >= 500 ||
           (status == 0 && pack_next_text(&cursor, &reason) && slice_is(reason, "closed"));
}

static bool is_of_legacy_server(struct mcp_session *session, const struct failure *failure)
{
    int64_t status = detail_http_status(failure);
    switch (failure->code) {
    case ERR_AUTH_REQUIRED:
    case ERR_AUTH_FAILED:
    case ERR_RATE_LIMITED:
    case ERR_TIMEOUT:
    case ERR_OVERLOADED:
        return false;
    default:
        break;
    }
    if (is_server_error(failure, status)) {
        return ++session->known->server_errors % SERVER_ERRORS == 0;
    }
    if (status == 0) { /* it answered, but with no message; else nothing was heard of it */
        return failure->code == ERR_EXTERNAL_TOOL_EXECUTION_FAILED;
    }
    /* Redirects and proxies are not the server; 408 and 425 are a matter of time. */
    return status < 300 || (status >= 400 && status != 407 && status != 408 && status != 425);
}

void discover_failed(struct mcp_session *session, const struct failure *failure)
{
    if (is_of_legacy_server(session, failure)) {
        handshake_fall_back(session, failure);
        return;
    }
    struct failure own = {0};
    failure_copy(&own, failure);
    if (own.code == ERR_TIMEOUT && session->conf->era == SERVICE_ERA_AUTO) {
        failure_suggest(&own,
                        "Try again later. If this server never answers `server/discover`, "
                        "let the service's era be \"legacy\".");
    }
    session_fail(session, &own);
    failure_done(&own);
}
