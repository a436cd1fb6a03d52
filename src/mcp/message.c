/* SPDX-License-Identifier: MIT */
/* message.c - builds and classifies the JSON-RPC messages of MCP; knows nothing of waiting. */
#include "mcp/message.h"

#include "base/text.h"
#include "value/json.h"
#include "value/pack.h"

#include <string.h>

#define GUESS_BYTES       1024u

#define PUT(out, literal) buf_put((out), (literal), sizeof(literal) - 1)

/* The most of an error's `data` that is handed on in details. */
#define ERROR_DATA_BYTES 32768u

void message_put_number(struct buf *out, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    buf_put(out, digits + at, sizeof digits - at);
}

/* ---- building ---------------------------------------------------------------------------- */

static void put_head(struct buf *out, uint64_t id)
{
    PUT(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    message_put_number(out, id);
}

void message_put_initialize(struct buf *out, uint64_t id, const struct revision *revision,
                            unsigned capabilities)
{
    put_head(out, id);
    PUT(out, ",\"method\":\"initialize\",\"params\":{\"protocolVersion\":");
    json_put_str(out, slice_of(revision->name));
    PUT(out, ",\"capabilities\":");
    message_put_capabilities(out, capabilities & revision->capabilities, false);
    PUT(out, ",\"clientInfo\":{\"name\":\"toolbroker\",\"version\":"
             "\"" TOOLBROKER_VERSION "\"}}}");
}

void message_put_initialized(struct buf *out)
{
    PUT(out, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
}

void message_put_cancelled(struct buf *out, uint64_t id, const char *reason)
{
    PUT(out, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{"
             "\"requestId\":");
    message_put_number(out, id);
    PUT(out, ",\"reason\":");
    json_put_str(out, slice_of(reason));
    PUT(out, "}}");
}

/* An id came as JSON, so that it can be written as JSON; the largest is bounded by its message. */
static void put_answer_head(struct buf *out, struct slice id)
{
    PUT(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    if (json_from_pack(id, "id", out, NULL) < 0) {
        PUT(out, "null");
    }
}

void message_put_empty_result(struct buf *out, struct slice id)
{
    put_answer_head(out, id);
    PUT(out, ",\"result\":{}}");
}

void message_put_refusal(struct buf *out, struct slice id, int code, const char *text)
{
    put_answer_head(out, id);
    buf_printf(out, ",\"error\":{\"code\":%d,\"message\":", code);
    json_put_str(out, slice_of(text));
    PUT(out, "}}");
}

/* ---- reading ----------------------------------------------------------------------------- */

static bool is_nil(struct slice value)
{
    return value.len == 1 && (unsigned char)value.ptr[0] == 0xc0;
}

static bool is_version_2(struct slice value)
{
    static const char version[] = {'\xa3', '2', '.', '0'};
    return slice_equal(value, (struct slice){version, sizeof version});
}

/* Takes one member; false when `value` cannot stand under `key`. */
static bool take_member(struct message *message, struct slice key, struct slice value,
                        bool *has_version)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    if (slice_is(key, "jsonrpc")) {
        *has_version = is_version_2(value);
        return true;
    }
    if (is_nil(value)) {
        return true; /* as if it were not there: several servers write both result and error */
    }
    if (slice_is(key, "id")) {
        message->id = value;
        if (!pack_next(&cursor, &item) ||
            (item.type != PACK_STR && item.type != PACK_INT && item.type != PACK_UINT &&
             item.type != PACK_FLOAT && item.type != PACK_EXT)) {
            return false;
        }
        if (!pack_as_uint(&item, &message->number)) {
            message->number = 0;
        }
    } else if (slice_is(key, "method")) {
        return pack_next_text(&cursor, &message->method);
    } else if (slice_is(key, "params")) {
        message->params = value;
    } else if (slice_is(key, "result")) {
        message->result = value;
    } else if (slice_is(key, "error")) {
        message->error = value;
    }
    return true;
}

static void classify(struct message *message)
{
    if (message->method.ptr) {
        if (message->result.ptr || message->error.ptr) {
            message->fault = "a message with both a method and an answer";
        } else {
            message->kind = message->id.ptr ? MESSAGE_REQUEST : MESSAGE_NOTIFICATION;
        }
    } else if (message->result.ptr && message->error.ptr) {
        message->fault = "an answer with both a result and an error";
    } else if (message->error.ptr) {
        message->kind = MESSAGE_ERROR;
    } else if (!message->result.ptr) {
        message->fault = "an answer with neither a result nor an error";
    } else if (!message->id.ptr) {
        message->fault = "a result without an id";
    } else {
        message->kind = MESSAGE_RESULT;
    }
}

void message_read(struct slice value, struct message *ret)
{
    *ret = (struct message){.kind = MESSAGE_INVALID};
    struct pack cursor = pack_over(value);
    struct pack_item head;
    if (!pack_next(&cursor, &head) || (head.type != PACK_MAP && head.type != PACK_ARRAY)) {
        ret->fault = "a message that is no object";
        return;
    }
    if (head.type == PACK_ARRAY) {
        ret->kind = MESSAGE_BATCH;
        ret->params = value;
        return;
    }
    bool has_version = false;
    for (uint32_t i = 0; i < head.count; i++) {
        struct slice key;
        struct slice member;
        if (!pack_next_text(&cursor, &key) || !pack_take(&cursor, &member)) {
            ret->fault = "a message that is no object";
            return;
        }
        if (!take_member(ret, key, member, &has_version)) {
            ret->fault = "a message whose id or method has a wrong type";
        }
    }
    if (!has_version) {
        ret->fault = "a message without \"jsonrpc\": \"2.0\"";
    }
    if (!ret->fault) {
        classify(ret);
    }
}

uint64_t message_guess_answer(struct slice text)
{
    static const char key[] = "\"id\":";
    size_t len = text.len < GUESS_BYTES ? text.len : GUESS_BYTES;
    const char *at =
        len && text.ptr[0] == '{' ? memmem(text.ptr, len, key, sizeof key - 1) : NULL;
    uint64_t id = 0;
    /* With a method it is a message of ours that the server prints, or one of its own. Inside a
     * result, an id is part of what some tool said, and may be the number of another's call. */
    if (!at || memmem(text.ptr, len, "\"method\"", 8)) {
        return 0;
    }
    size_t before = (size_t)(at - text.ptr);
    if (memmem(text.ptr, before, "\"result\"", 8) || memmem(text.ptr, before, "\"error\"", 7) ||
        (!memmem(at, len - before, "\"result\"", 8) &&
         !memmem(at, len - before, "\"error\"", 7))) {
        return 0;
    }
    for (at += sizeof key - 1; at < text.ptr + len && *at == ' '; at++) {
    }
    for (; at < text.ptr + len && *at >= '0' && *at <= '9' && id < UINT64_MAX / 16; at++) {
        id = id * 10 + (uint64_t)(*at - '0');
    }
    return id;
}

void message_put_progress_params(struct slice params, struct buf *out)
{
    uint32_t count = 0;
    size_t opened = pack_open(out);
    struct pack cursor = pack_over(params);
    struct pack_item map;
    struct slice key;
    struct slice value;
    if (pack_next(&cursor, &map) && map.type == PACK_MAP) {
        for (uint32_t i = 0; i < map.count; i++) {
            if (!pack_next_text(&cursor, &key) || !pack_take(&cursor, &value)) {
                break;
            }
            if (!slice_is(key, "progressToken")) {
                pack_put_str(out, key);
                buf_put_slice(out, value);
                count++;
            }
        }
    }
    pack_close_map(out, opened, count);
}

/* It was no JSON, no request, of no method, or with wrong parameters: it was not carried out. */
static bool says_nothing_done(int64_t code)
{
    return code == -32700 || (code <= -32600 && code >= -32602);
}

void message_error_to_failure(struct slice error, struct failure *failure)
{
    struct slice text;
    struct slice data;
    int64_t code = 0;
    bool has_code = pack_get_int(error, "code", &code);
    if (!pack_get_text(error, "message", &text)) {
        text = SLICE("no message");
    }
    if (has_code) {
        failure_set(failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                    "the server answered with error %lld: %.*s", (long long)code,
                    SLICE_ARG(text));
    } else {
        failure_set(failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                    "the server answered with an error without a code: %.*s", SLICE_ARG(text));
    }
    failure->class = FAILURE_ANSWER;
    failure->is_nothing_done = has_code && says_nothing_done(code);
    bool has_data = pack_get(error, "data", &data) && data.len <= ERROR_DATA_BYTES;
    struct buf map;
    buf_init(&map, FAILURE_DETAILS_BYTES);
    pack_put_map(&map, (has_code ? 1u : 0u) + 1u + (has_data ? 1u : 0u));
    if (has_code) {
        pack_put_key_int(&map, "code", code);
    }
    pack_put_key_str(&map, "message", text_cut(text, FAILURE_TEXT_BYTES));
    if (has_data) {
        pack_put_text(&map, "data");
        buf_put_slice(&map, data);
    }
    if (!map.overflow) {
        failure_detail_pack(failure, "jsonrpc", buf_slice(&map));
    }
    buf_done(&map);
}
