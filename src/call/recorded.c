/* SPDX-License-Identifier: MIT */
/* recorded.c - writes and reads the outcome of a keyed call; it decides nothing. */
#include "call/recorded.h"

#include "value/pack.h"

#include <string.h>

#define VERSION 1

static void put_failure(const struct failure *failure, struct buf *out)
{
    pack_put_map(out, 5u + (failure->details_count != 0));
    pack_put_key_text(out, "code", err_name(failure->code));
    pack_put_key_str(out, "message", buf_slice(&failure->message));
    pack_put_key_str(out, "suggestion", buf_slice(&failure->suggestion));
    pack_put_key_bool(out, "retryable", failure->is_retryable);
    pack_put_key_int(out, "retry_after_ms", failure->retry_after_ms);
    if (failure->details_count) {
        pack_put_text(out, "details");
        pack_put_map(out, failure->details_count);
        buf_put_slice(out, buf_slice(&failure->details));
    }
}

void recorded_put(const struct recorded *recorded, const struct failure *failure,
                  struct buf *out, size_t *ret_result)
{
    pack_put_map(out, 7u + (recorded->fallback_from.len != 0));
    pack_put_key_int(out, "version", VERSION);
    pack_put_key_int(out, "at", recorded->at);
    pack_put_key_str(out, "request_id", recorded->request_id);
    pack_put_key_str(out, "service", recorded->service);
    pack_put_key_str(out, "tool", recorded->tool);
    pack_put_key_str(out, "source", recorded->source);
    if (recorded->fallback_from.len) {
        pack_put_key_str(out, "fallback_from", recorded->fallback_from);
    }
    if (failure) {
        pack_put_text(out, "error");
        put_failure(failure, out);
    } else if (recorded->too_long) {
        pack_put_key_int(out, "too_long", (int64_t)recorded->too_long);
    } else {
        pack_put_text(out, "result");
        if (ret_result) {
            *ret_result = out->len;
        }
        buf_put_slice(out, recorded->result);
    }
}

static enum err_code code_of(struct slice name)
{
    for (int code = ERR_NONE + 1; code < ERR_COUNT; code++) {
        if (slice_is(name, err_name((enum err_code)code))) {
            return (enum err_code)code;
        }
    }
    return ERR_NONE;
}

static void read_details(struct slice details, struct failure *failure)
{
    struct pack cursor = pack_over(details);
    struct pack_item map;
    if (!details.ptr || !pack_next(&cursor, &map) || map.type != PACK_MAP) {
        return;
    }
    for (uint32_t i = 0; i < map.count; i++) {
        struct slice key;
        struct slice value;
        char name[256];
        if (!pack_next_text(&cursor, &key) || !pack_take(&cursor, &value)) {
            return;
        }
        if (key.len < sizeof name) {
            memcpy(name, key.ptr, key.len);
            name[key.len] = '\0';
            failure_detail_pack(failure, name, value);
        }
    }
}

static bool read_failure(struct slice error, struct failure *failure)
{
    struct slice name = {NULL, 0};
    struct slice message = {"", 0};
    struct slice suggestion = {"", 0};
    struct slice details = {NULL, 0};
    int64_t retry_after_ms = -1;
    (void)pack_get_text(error, "code", &name);
    (void)pack_get_text(error, "message", &message);
    (void)pack_get_text(error, "suggestion", &suggestion);
    (void)pack_get_int(error, "retry_after_ms", &retry_after_ms);
    (void)pack_get(error, "details", &details);
    enum err_code code = code_of(name);
    if (code == ERR_NONE) {
        return false;
    }
    failure_set(failure, code, "%.*s", SLICE_ARG(message));
    failure_suggest(failure, "%.*s", SLICE_ARG(suggestion));
    failure->is_retryable = false;
    (void)pack_get_bool(error, "retryable", &failure->is_retryable);
    failure->retry_after_ms = retry_after_ms;
    read_details(details, failure);
    return true;
}

bool recorded_read(struct slice bytes, struct recorded *ret, struct failure *failure)
{
    struct slice error;
    int64_t version = 0;
    int64_t too_long = 0;
    memset(ret, 0, sizeof *ret);
    if (!pack_get_int(bytes, "version", &version) || version != VERSION ||
        !pack_get_int(bytes, "at", &ret->at) ||
        !pack_get_text(bytes, "request_id", &ret->request_id) ||
        !pack_get_text(bytes, "service", &ret->service) ||
        !pack_get_text(bytes, "tool", &ret->tool) ||
        !pack_get_text(bytes, "source", &ret->source)) {
        return false;
    }
    (void)pack_get_text(bytes, "fallback_from", &ret->fallback_from);
    if (pack_get(bytes, "error", &error)) {
        return read_failure(error, failure);
    }
    if (pack_get_int(bytes, "too_long", &too_long)) {
        ret->too_long = too_long > 0 ? (uint64_t)too_long : 1;
        return true;
    }
    return pack_get(bytes, "result", &ret->result);
}
