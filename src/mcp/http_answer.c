/* SPDX-License-Identifier: MIT */
/* http_answer.c - what an answer that is no message means: statuses, and faults of the answer. */
#include "mcp/http_answer.h"

#include "base/text.h"
#include "mcp/message.h"
#include "value/json.h"
#include "value/pack.h"

#include <string.h>
#include <strings.h>

#define TEXT_BYTES 300u /* of a server's own words */

bool mcp_http_is_type(const struct http_exchange *http, const char *type)
{
    struct slice value;
    size_t length = strlen(type);
    if (!http_header(http, "content-type", &value) || value.len < length ||
        strncasecmp(value.ptr, type, length) != 0) {
        return false;
    }
    return value.len == length || strchr("; \t", value.ptr[length]);
}

static void put_details(struct failure *failure, const struct mcp_http_answer *answer,
                        const char *reason)
{
    struct slice type;
    failure_detail_text(failure, "url", http_target_name(answer->target));
    failure_detail_text(failure, "reason", reason);
    failure_detail_pack(failure, "request_sent", SLICE("\xC3"));
    if (answer->status) {
        failure_detail_int(failure, "http_status", answer->status);
    }
    if (answer->http && http_header(answer->http, "content-type", &type) &&
        type.len <= TEXT_BYTES && text_is_utf8(type)) {
        failure_detail_str(failure, "content_type", type);
    }
}

void mcp_http_explain(const struct mcp_http_answer *answer, enum err_code code,
                      const char *reason, const char *words, struct failure *failure)
{
    struct slice type = {NULL, 0};
    if (strcmp(reason, "content_type") == 0 && answer->http &&
        http_header(answer->http, "content-type", &type)) {
        type.len = type.len < TEXT_BYTES ? type.len : TEXT_BYTES;
    }
    failure_set(failure, code, "%s %s%s%.*s", http_target_name(answer->target), words,
                type.len ? " but with " : "", (int)type.len, type.len ? type.ptr : "");
    if (type.len) {
        failure_suggest(failure,
                        "Check that the service's url is the address of an MCP endpoint, "
                        "often one that ends in %s.",
                        answer->usual_path);
    }
    put_details(failure, answer, reason);
}

/* ---- limits ------------------------------------------------------------------------------ */

struct taking {
    struct rate_fields *fields;
    wall_ms now;
};

static void take_field(void *arg, struct slice name, struct slice value)
{
    const struct taking *taking = arg;
    rate_fields_take(taking->fields, name, value, taking->now, http_date);
}

static void take_limits(struct loop *loop, const struct http_exchange *http,
                        struct rate_fields *fields)
{
    struct taking taking = {fields, loop_wall(loop)};
    rate_fields_init(fields);
    http_each_wanted(http, take_field, &taking);
}

static bool is_limited(int status, const struct rate_fields *fields)
{
    return status == 429 || (status == 503 && fields->retry_after_ms >= 0);
}

int64_t mcp_http_retry_after(const struct mcp_http_answer *answer)
{
    struct rate_fields fields;
    if (!answer->http) {
        return -1;
    }
    take_limits(answer->loop, answer->http, &fields);
    return answer->status == 429 ? rate_fields_hold(&fields, true) : fields.retry_after_ms;
}

void mcp_http_tell_limits(struct loop *loop, const struct http_exchange *http, int status,
                          const struct mcp_transport_events *events, void *arg)
{
    struct rate_fields fields;
    if (!events->limits || (status != 429 && !http_has_wanted(http))) {
        return;
    }
    take_limits(loop, http, &fields);
    events->limits(arg, &fields, is_limited(status, &fields));
}

/* ---- statuses ---------------------------------------------------------------------------- */

static void explain_redirect(const struct mcp_http_answer *answer, struct failure *failure)
{
    struct slice location;
    struct buf where;
    buf_init(&where, 16384);
    if (http_header(answer->http, "location", &location)) {
        http_put_url(&where, answer->target, location);
    } else {
        buf_put_text(&where, "(nowhere)");
    }
    failure_set(failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                "%s answered %d: it redirects to %s, and redirects are not followed",
                http_target_name(answer->target), answer->status, buf_text(&where));
    failure_suggest(failure,
                    "If you trust that address with this service's credentials, make it "
                    "the service's url.");
    failure_detail_text(failure, "location", buf_text(&where));
    failure->class = FAILURE_ANSWER;
    buf_done(&where);
}

static void explain_other(const struct mcp_http_answer *answer, struct failure *failure)
{
    const char *name = http_target_name(answer->target);
    int status = answer->status;
    if (status == 404 && answer->had_session) {
        failure_set(failure, ERR_UNAVAILABLE, "%s answered 404: it has forgotten the session",
                    name);
        failure->class = FAILURE_SERVER;
        failure->is_nothing_done = true;
    } else if (status == 404 || status == 405) {
        failure_set(failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                    "%s answered %d: there is no MCP endpoint for %s at this address", name,
                    status, answer->wire);
        failure_suggest(failure, "Check the path of the service's url, often %s.",
                        answer->usual_path);
        failure->class = FAILURE_ANSWER;
    } else if (status >= 500) {
        failure_set(failure, ERR_UNAVAILABLE, "%s answered %d: the server failed", name,
                    status);
        failure->class = FAILURE_SERVER;
    } else {
        failure_set(failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                    "%s answered %d: it refused the request", name, status);
        failure->class = FAILURE_ANSWER;
    }
}

struct slice mcp_http_find_error(struct slice body, struct buf *value)
{
    struct message message;
    struct slice none = {NULL, 0};
    if (!body.len || json_to_pack(body, JSON_DEPTH_MAX, value, NULL) != 0) {
        return none;
    }
    message_read(buf_slice(value), &message);
    return message.kind == MESSAGE_ERROR ? message.error : none;
}

/* The server's own words, from a JSON-RPC error. */
static void add_error(struct failure *failure, struct slice error)
{
    struct slice text;
    if (!error.ptr) {
        return;
    }
    if (pack_get_text(error, "message", &text) && text.len) {
        buf_printf(&failure->message, ": %.*s",
                   (int)(text.len < TEXT_BYTES ? text.len : TEXT_BYTES), text.ptr);
    }
    failure_detail_pack(failure, "jsonrpc", error);
}

void mcp_http_explain_status(const struct mcp_http_answer *answer, struct slice error,
                             struct failure *failure)
{
    const char *name = http_target_name(answer->target);
    switch (answer->status) {
    case 401:
        failure_set(failure, ERR_AUTH_FAILED,
                    "%s answered 401: it does not accept the credentials", name);
        failure->is_nothing_done = true;
        break;
    case 403:
        failure_set(failure, ERR_AUTH_FAILED,
                    "%s answered 403: the credentials do not allow this", name);
        failure_suggest(failure,
                        "Check what the credentials configured for this service may do.");
        failure->class = FAILURE_ANSWER;
        break;
    case 429:
        failure_set(failure, ERR_RATE_LIMITED, "%s answered 429: too many requests", name);
        failure->is_nothing_done = true;
        break;
    default:
        if (answer->status >= 300 && answer->status < 400) {
            explain_redirect(answer, failure);
        } else {
            explain_other(answer, failure);
        }
    }
    int64_t retry_after = mcp_http_retry_after(answer);
    if (retry_after >= 0) {
        failure->retry_after_ms = retry_after;
        failure->is_nothing_done |= answer->status == 503;
    }
    add_error(failure, error);
    put_details(failure, answer, "status");
}
