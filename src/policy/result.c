/* SPDX-License-Identifier: MIT */
/* result.c - makes a tool's result (MCP) of what policy answered, and marks demo answers. */
#include "policy/policy_internal.h"
#include "value/json.h"
#include "value/pack.h"

#define DEMO_MARK  "toolbroker/demo"
#define TEXT_BYTES (4u << 20)

static bool is_content(struct slice value)
{
    struct pack cursor = pack_over(value);
    struct pack_item list;
    if (!pack_next(&cursor, &list) || list.type != PACK_ARRAY) {
        return false;
    }
    for (uint32_t i = 0; i < list.count; i++) {
        struct slice item;
        struct slice type;
        if (!pack_take(&cursor, &item) || !pack_get_text(item, "type", &type)) {
            return false;
        }
    }
    return true;
}

static bool is_map(struct slice value)
{
    return pack_peek(pack_over(value)) == PACK_MAP;
}

/* Appends the pairs of a map but those with these keys; returns how many. */
static uint32_t put_pairs(struct buf *out, struct slice map, const char *but, const char *nor)
{
    struct pack cursor = pack_over(map);
    struct pack_item header;
    uint32_t count = 0;
    if (!pack_next(&cursor, &header) || header.type != PACK_MAP) {
        return 0;
    }
    for (uint32_t i = 0; i < header.count; i++) {
        struct slice key;
        struct slice value;
        if (!pack_next_text(&cursor, &key) || !pack_take(&cursor, &value)) {
            break;
        }
        if (!slice_is(key, but) && !slice_is(key, nor)) {
            pack_put_str(out, key);
            buf_put_slice(out, value);
            count++;
        }
    }
    return count;
}

static void put_text_content(struct buf *out, struct slice text)
{
    pack_put_text(out, "content");
    pack_put_array(out, 1);
    pack_put_map(out, 2);
    pack_put_key_text(out, "type", "text");
    pack_put_key_str(out, "text", text);
}

/* Clients that do not read structured content find the same as JSON text. */
static int put_json_content(struct buf *out, struct slice value, struct err *reterr)
{
    struct buf json;
    buf_init(&json, TEXT_BYTES);
    int result = json_from_pack(value, "result", &json, reterr);
    if (!result && json.overflow) {
        result = err_set(reterr, ERR_VALIDATION_ERROR, "longer than %u bytes", TEXT_BYTES);
    }
    if (!result) {
        put_text_content(out, buf_slice(&json));
    }
    buf_done(&json);
    return result;
}

static uint32_t put_mark(struct buf *out, struct slice meta)
{
    pack_put_text(out, "_meta");
    size_t opened = pack_open(out);
    uint32_t count = put_pairs(out, meta, DEMO_MARK, "");
    pack_put_key_bool(out, DEMO_MARK, true);
    pack_close_map(out, opened, count + 1);
    return 1;
}

static int put_map_result(struct slice value, bool is_demo, struct buf *out, struct err *reterr)
{
    struct slice content;
    struct slice structured;
    struct slice meta = {NULL, 0};
    bool has_content = pack_get(value, "content", &content) && is_content(content);
    bool has_structured =
        pack_get(value, "structuredContent", &structured) && is_map(structured);
    size_t opened = pack_open(out);
    uint32_t count = 1;
    int result = 0;
    if (has_content) {
        pack_put_text(out, "content");
        buf_put_slice(out, content);
    } else {
        result = put_json_content(out, has_structured ? structured : value, reterr);
    }
    if (has_content || has_structured) {
        (void)pack_get(value, "_meta", &meta);
        count += put_pairs(out, value, "content", is_demo ? "_meta" : "content");
    } else {
        pack_put_text(out, "structuredContent");
        buf_put_slice(out, value);
        count++;
    }
    if (is_demo) {
        count += put_mark(out, meta);
    }
    pack_close_map(out, opened, count);
    return result;
}

int result_put(struct slice value, bool is_demo, struct buf *out, struct err *reterr)
{
    struct pack cursor = pack_over(value);
    struct slice text;
    if (is_map(value)) {
        return put_map_result(value, is_demo, out, reterr);
    }
    if (!pack_next_text(&cursor, &text)) {
        return err_set(reterr, ERR_VALIDATION_ERROR, "neither a text nor a table with keys");
    }
    pack_put_map(out, is_demo ? 2 : 1);
    put_text_content(out, text);
    if (is_demo) {
        (void)put_mark(out, (struct slice){NULL, 0});
    }
    return 0;
}
