/* SPDX-License-Identifier: MIT */
/* frame.c - one complete frame: a request is dispatched, `cancel` obeyed, the rest refused. */
#include "base/log.h"
#include "base/text.h"
#include "rpc/rpc_internal.h"

enum { KIND_REQUEST = 0, KIND_RESPONSE = 1, KIND_NOTIFICATION = 2 };

/* A frame that is MessagePack but no RPC message: told if there is a msgid to tell it to. */
static bool refuse_envelope(struct rpc_peer *peer, const uint64_t *msgid, const char *cause)
{
    metrics_add(peer->server->options.metrics, METRIC_FRAMES_REFUSED, 1);
    log_at(LOG_WARN, "rpc", "not an RPC message, connection closed", LOG_TEXT("cause", cause),
           LOG_INT("pid", peer->identity.pid), LOG_INT("uid", peer->identity.uid));
    if (msgid) {
        struct failure failure = {0};
        failure_set(&failure, ERR_INVALID_REQUEST, "%s", cause);
        failure_suggest(&failure,
                        "Send [0, msgid, method, [parameters]]; the connection was closed.");
        rpc_put_error(peer, (uint32_t)*msgid, peer->server->id_base | ++peer->server->id_count,
                      &failure);
        failure_done(&failure);
    }
    return false;
}

static void fail(struct rpc_request *request, enum err_code code, const char *message)
{
    struct failure failure = {0};
    failure_set(&failure, code, "%s", message);
    rpc_fail(request, &failure);
    failure_done(&failure);
}

static void no_such_method(struct rpc_request *request, struct slice name)
{
    const struct rpc_options *options = &request->peer->server->options;
    struct slice near = {NULL, 0};
    unsigned distance = TEXT_FAR;
    if (!text_is_utf8(name)) {
        fail(request, ERR_INVALID_REQUEST, "the method's name is not UTF-8");
        return;
    }
    for (unsigned i = 0; i < options->method_count; i++) {
        text_nearest(name, slice_of(options->methods[i].name), &near, &distance);
    }
    struct failure failure = {0};
    failure_set(&failure, ERR_METHOD_NOT_FOUND, "no method `%.*s`",
                (int)(name.len > 128 ? 128 : name.len), name.ptr);
    if (near.ptr) {
        failure_suggest(&failure, "Did you mean `%.*s`? `describe` lists every method.",
                        SLICE_ARG(near));
    }
    rpc_fail(request, &failure);
    failure_done(&failure);
}

/* params: an array of at most one map; absent map and empty array are the same. They end the
 * message, and the frame was measured: what is left of it is the map. */
static bool take_params(struct pack *cursor, struct slice *ret)
{
    struct pack_item item;
    size_t left = (size_t)(cursor->end - cursor->at);
    *ret = (struct slice){NULL, 0};
    if (left > 1 && cursor->at[0] == 0x91 && (cursor->at[1] & 0xf0) == 0x80) {
        *ret = (struct slice){(const char *)cursor->at + 1, left - 1};
        return true; /* as nearly all are encoded */
    }
    if (!pack_next(cursor, &item) || item.type != PACK_ARRAY || item.count > 1) {
        return false;
    }
    if (item.count == 0 || pack_peek(*cursor) == PACK_NIL) {
        return true;
    }
    *ret = (struct slice){(const char *)cursor->at, (size_t)(cursor->end - cursor->at)};
    return pack_peek(*cursor) == PACK_MAP;
}

static bool has_role(const struct rpc_identity *identity, enum rpc_role role)
{
    return role == RPC_ANYBODY || identity->is_admin ||
           (role == RPC_CLIENT && identity->is_trusted);
}

static void needs_role(struct rpc_request *request)
{
    struct failure failure = {0};
    if (request->method->role == RPC_ADMIN) {
        failure_set(&failure, ERR_POLICY_DENIED, "`%s` needs the admin role",
                    request->method->name);
        failure_suggest(&failure, "Call it as root or as the daemon's own user.");
        failure_detail_text(&failure, "rule", "role: admin");
    } else {
        failure_set(&failure, ERR_POLICY_DENIED, "`%s` is for trusted peers",
                    request->method->name);
        failure_suggest(&failure,
                        "Call it as the daemon's user or as a member of the socket's group.");
        failure_detail_text(&failure, "rule", "role: client");
    }
    rpc_fail(request, &failure);
    failure_done(&failure);
}

static const struct rpc_method *find_method(struct rpc_server *server, struct slice name)
{
    if (server->last_method && slice_equal(server->last_name, name)) {
        return server->last_method;
    }
    const struct rpc_method *method = map_get(&server->methods, name);
    if (method) {
        server->last_method = method;
        server->last_name = slice_of(method->name);
    }
    return method;
}

static void dispatch(struct rpc_request *request, struct slice name)
{
    struct rpc_peer *peer = request->peer;
    struct rpc_server *server = peer->server;
    request->method = find_method(server, name);
    if (!request->method) {
        no_such_method(request, name);
    } else if (!has_role(&peer->identity, request->method->role)) {
        needs_role(request);
    } else if (peer->inflight >= server->options.limits->inflight) {
        fail(request, ERR_OVERLOADED,
             "this connection has as many requests under way as limits.inflight allows");
    } else if (rpc_take_args(request)) {
        request->method->handle(server->options.arg, request);
    }
}

static bool handle_request(struct rpc_peer *peer, struct pack *cursor)
{
    struct rpc_server *server = peer->server;
    struct pack_item item;
    uint64_t msgid;
    struct slice name;
    if (!pack_next(cursor, &item) || !pack_as_uint(&item, &msgid) || msgid > UINT32_MAX) {
        return refuse_envelope(peer, NULL, "msgid is not an integer from 0 to 4294967295");
    }
    if (!pack_next_text(cursor, &name)) {
        return refuse_envelope(peer, &msgid, "the method's name is not text");
    }
    struct rpc_request request; /* args are set by rpc_parse_args: no need to zero them all */
    request.peer = peer;
    request.id = server->id_base | ++server->id_count;
    request.msgid = (uint32_t)msgid;
    request.started = loop_now(server->options.loop);
    request.method = NULL;
    metrics_add(server->options.metrics, METRIC_REQUESTS, 1);
    if (!take_params(cursor, &request.params)) {
        fail(&request, ERR_INVALID_REQUEST, "params must be an array of at most one map");
        return true;
    }
    dispatch(&request, name);
    return true;
}

/* [2, "cancel", [{msgid}]]: ends that request; it is answered as CANCELLED by its owner. */
static void cancel(struct rpc_peer *peer, struct slice params)
{
    struct slice value;
    struct pack_item item;
    uint64_t msgid;
    if (!params.ptr || !pack_get(params, "msgid", &value)) {
        return;
    }
    struct pack cursor = pack_over(value);
    if (!pack_next(&cursor, &item) || !pack_as_uint(&item, &msgid)) {
        return;
    }
    list_each (link, &peer->pending) {
        struct rpc_pending *pending = LIST_ITEM(link, struct rpc_pending, link);
        if (pending->msgid == msgid) {
            pending->cancelled(pending);
            return;
        }
    }
}

static bool handle_notification(struct rpc_peer *peer, struct pack *cursor)
{
    struct slice name;
    struct slice params;
    if (!pack_next_text(cursor, &name) || !take_params(cursor, &params)) {
        return refuse_envelope(peer, NULL, "not a proper notification");
    }
    if (slice_is(name, "cancel")) {
        cancel(peer, params);
    } else {
        log_at(LOG_DEBUG, "rpc", "unknown notification ignored", LOG_SLICE("method", name));
    }
    return true;
}

bool rpc_frame(struct rpc_peer *peer, struct slice frame)
{
    struct pack cursor = pack_over(frame);
    struct pack_item item;
    uint64_t kind;
    uint64_t msgid;
    uint32_t count;
    if (frame.len > 2 && memcmp(frame.ptr, "\x94\x00", 2) == 0) {
        cursor.at += 2; /* the shortest and usual encoding of a request's beginning */
        return handle_request(peer, &cursor);
    }
    if (!pack_next(&cursor, &item) || item.type != PACK_ARRAY) {
        return refuse_envelope(peer, NULL, "not an array");
    }
    count = item.count;
    if (!count || !pack_next(&cursor, &item) || !pack_as_uint(&item, &kind)) {
        return refuse_envelope(peer, NULL, "the message's kind is not 0, 1 or 2");
    }
    if (kind == KIND_REQUEST && count == 4) {
        return handle_request(peer, &cursor);
    }
    if (kind == KIND_NOTIFICATION && count == 3) {
        return handle_notification(peer, &cursor);
    }
    if (kind == KIND_RESPONSE && count == 4) {
        return rpc_take_response(peer, &cursor) ||
               refuse_envelope(peer, NULL, "not a proper response");
    }
    bool has_msgid = kind == KIND_REQUEST && count > 1 && pack_next(&cursor, &item) &&
                     pack_as_uint(&item, &msgid) && msgid <= UINT32_MAX;
    return refuse_envelope(peer, has_msgid ? &msgid : NULL,
                           "the message's kind and length do not fit");
}
