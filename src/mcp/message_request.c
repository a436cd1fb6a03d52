/* SPDX-License-Identifier: MIT */
/* message_request.c - writes requests to servers, with what their revision wants in _meta. */
#include "mcp/message.h"
#include "mcp/service.h"
#include "value/json.h"
#include "value/pack.h"

#include <stdio.h>

#define PUT(out, literal) buf_put((out), (literal), sizeof(literal) - 1)
#define PREFIX            "io.modelcontextprotocol/"

/* Members are written with a comma before each: the first one's becomes the brace. */
static void open_object(struct buf *out, size_t start)
{
    if (out->len > start) {
        out->data[start] = '{';
    } else {
        buf_put_byte(out, '{');
    }
}

/* ---- _meta ------------------------------------------------------------------------------- */

static bool is_ours_alone(struct slice key)
{
    return slice_is(key, "progressToken") || slice_starts(key, PREFIX);
}

/* What of the caller's `meta` goes on, as members with a comma before the first. */
static int put_caller_meta(struct buf *out, struct slice meta, struct buf *scratch,
                           struct err *reterr)
{
    struct pack cursor = pack_over(meta);
    struct pack_item map;
    uint32_t count = 0;
    if (!meta.len || !pack_next(&cursor, &map) || map.type != PACK_MAP) {
        return 0;
    }
    buf_clear(scratch);
    size_t opened = pack_open(scratch);
    for (uint32_t i = 0; i < map.count; i++) {
        const char *from = (const char *)cursor.at;
        struct slice key;
        struct pack ahead = cursor;
        bool is_text = pack_next_text(&ahead, &key);
        bool is_pair = pack_skip(&cursor);
        is_pair = pack_skip(&cursor) && is_pair;
        if (!is_pair) {
            break;
        }
        if (!is_text || !is_ours_alone(key)) {
            buf_put(scratch, from, (size_t)((const char *)cursor.at - from));
            count++;
        }
    }
    pack_close_map(scratch, opened, count);
    if (scratch->overflow) {
        return err_set(reterr, ERR_OVERLOADED, "meta is too long");
    }
    if (!count) {
        return 0;
    }
    size_t start = out->len;
    int r = json_from_pack(buf_slice(scratch), "meta", out, reterr);
    if (r == 0 && !out->overflow) {
        out->data[start] = ','; /* in place of its brace: it stands behind a member */
        out->len--;
    }
    return r;
}

/* ClientCapabilities, as `initialize` and the _meta of a modern request hold them. */
void message_put_capabilities(struct buf *out, unsigned capabilities, bool takes_tasks)
{
    const char *separator = "";
    buf_put_byte(out, '{');
    if (capabilities & (MCP_CAN_ELICIT | MCP_CAN_ELICIT_URL)) {
        PUT(out, "\"elicitation\":{");
        if (capabilities & MCP_CAN_ELICIT_URL) {
            buf_put_text(out, capabilities & MCP_CAN_ELICIT ? "\"form\":{},\"url\":{}"
                                                            : "\"url\":{}");
        }
        PUT(out, "}");
        separator = ",";
    }
    if (capabilities & MCP_CAN_SAMPLE) {
        buf_put_text(out, separator);
        PUT(out, "\"sampling\":{");
        if (capabilities & MCP_CAN_SAMPLE_TOOLS) {
            PUT(out, "\"tools\":{}");
        }
        if (capabilities & MCP_CAN_SAMPLE_CONTEXT) {
            buf_put_text(out, capabilities & MCP_CAN_SAMPLE_TOOLS ? ",\"context\":{}"
                                                                  : "\"context\":{}");
        }
        PUT(out, "}");
        separator = ",";
    }
    if (capabilities & MCP_CAN_LIST_ROOTS) {
        buf_put_text(out, separator);
        PUT(out, "\"roots\":{}");
        separator = ",";
    }
    if (takes_tasks || (capabilities & MCP_CAN_SHOW_APPS)) {
        buf_put_text(out, separator);
        PUT(out, "\"extensions\":{");
        if (takes_tasks) {
            PUT(out, "\"" PREFIX "tasks\":{}");
        }
        if (capabilities & MCP_CAN_SHOW_APPS) {
            buf_put_text(out, takes_tasks ? "," : "");
            PUT(out, "\"" PREFIX "ui\":{\"mimeTypes\":[\"text/html;profile=mcp-app\"]}");
        }
        PUT(out, "}");
    }
    buf_put_byte(out, '}');
}

static void put_self_description(struct buf *out, const struct message_envelope *envelope)
{
    PUT(out, ",\"" PREFIX "protocolVersion\":");
    json_put_str(out, slice_of(envelope->revision->name));
    PUT(out, ",\"" PREFIX "clientInfo\":{\"name\":\"toolbroker\",\"version\":"
             "\"" TOOLBROKER_VERSION "\"},\"" PREFIX "clientCapabilities\":");
    message_put_capabilities(out, envelope->capabilities, envelope->takes_tasks);
    if (envelope->log_level) {
        PUT(out, ",\"" PREFIX "logLevel\":");
        json_put_str(out, slice_of(envelope->log_level));
    }
}

static int put_meta(struct buf *out, uint64_t id, const struct message_envelope *envelope,
                    struct buf *scratch, struct err *reterr)
{
    size_t key = out->len;
    PUT(out, ",\"_meta\":");
    size_t start = out->len;
    if (envelope->revision && envelope->revision->era == ERA_MODERN) {
        put_self_description(out, envelope);
    }
    if (envelope->wants_progress) {
        PUT(out, ",\"progressToken\":");
        message_put_number(out, id);
    }
    int r = put_caller_meta(out, envelope->meta, scratch, reterr);
    if (out->overflow || r < 0) {
        return r;
    }
    if (out->len == start) {
        out->len = key;
        return 0;
    }
    open_object(out, start);
    buf_put_byte(out, '}');
    return 0;
}

/* ---- params ------------------------------------------------------------------------------ */

static int put_value(struct buf *out, const char *key, struct slice value, const char *place,
                     struct err *reterr)
{
    buf_put_byte(out, ',');
    json_put_str(out, slice_of(key));
    buf_put_byte(out, ':');
    return json_from_pack(value, place, out, reterr);
}

static int put_members(struct buf *out, struct slice members, struct err *reterr)
{
    struct pack cursor = pack_over(members);
    struct pack_item map;
    if (!members.ptr || !pack_next(&cursor, &map) || map.type != PACK_MAP) {
        return 0;
    }
    for (uint32_t i = 0; i < map.count; i++) {
        struct slice key;
        struct slice value;
        char place[64];
        if (!pack_next_text(&cursor, &key) || !pack_take(&cursor, &value)) {
            return err_set(reterr, ERR_VALIDATION_ERROR, "params has a key that is no text");
        }
        (void)snprintf(place, sizeof place, "%.*s", (int)(key.len < 60 ? key.len : 60),
                       key.ptr);
        buf_put_byte(out, ',');
        json_put_str(out, key);
        buf_put_byte(out, ':');
        int r = json_from_pack(value, place, out, reterr);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int put_params(struct buf *out, const struct message_request *request,
                      struct err *reterr)
{
    int r = 0;
    if (request->name_key) {
        PUT(out, ",\"");
        buf_put_text(out, request->name_key);
        PUT(out, "\":");
        json_put_str(out, request->name);
    }
    if (request->has_arguments && !request->arguments.len) {
        PUT(out, ",\"arguments\":{}");
    } else if (request->has_arguments) {
        r = put_value(out, "arguments", request->arguments, "arguments", reterr);
    }
    if (r == 0) {
        r = put_members(out, request->members, reterr);
    }
    if (request->cursor.ptr) {
        PUT(out, ",\"cursor\":");
        json_put_str(out, request->cursor);
    }
    if (r == 0 && request->input_responses.ptr) {
        r = put_value(out, "inputResponses", request->input_responses, "inputResponses",
                      reterr);
    }
    if (request->request_state.ptr) {
        PUT(out, ",\"requestState\":");
        json_put_str(out, request->request_state);
    }
    if (request->task_ttl_ms) {
        PUT(out, ",\"task\":{\"ttl\":");
        message_put_number(out, (uint64_t)request->task_ttl_ms);
        PUT(out, "}");
    }
    return r;
}

int message_put_request(struct buf *out, uint64_t id, const struct message_request *request,
                        struct buf *scratch, struct err *reterr)
{
    PUT(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    message_put_number(out, id);
    PUT(out, ",\"method\":\"");
    buf_put_text(out, request->method);
    PUT(out, "\",\"params\":");
    size_t start = out->len;
    int r = put_params(out, request, reterr);
    if (r == 0) {
        r = put_meta(out, id, &request->envelope, scratch, reterr);
    }
    if (r < 0 || out->overflow) {
        return r;
    }
    open_object(out, start);
    PUT(out, "}}");
    return 0;
}

/* ---- answers ----------------------------------------------------------------------------- */

int message_put_result(struct buf *out, struct slice id, struct slice result)
{
    PUT(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    int r = json_from_pack(id, "id", out, NULL);
    if (r == 0) {
        PUT(out, ",\"result\":");
        r = json_from_pack(result, "result", out, NULL);
    }
    PUT(out, "}");
    return r;
}
