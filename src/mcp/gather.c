/* SPDX-License-Identifier: MIT */
/* gather.c - all pages of a list as one result, for callers that did not ask for one page. */
#include "base/mem.h"
#include "mcp/pages.h"
#include "mcp/room.h"
#include "value/pack.h"

#define ITEMS_MAX   100000u
#define ITEMS_BYTES ((size_t)64 * 1024 * 1024)

struct gathering {
    struct pages pages;
    struct buf rest; /* of the first page, all members but the items and the cursor */
    uint32_t rest_count;
    struct buf items;
    uint32_t count;
    struct buf whole;
};

static bool open_items(struct slice result, const char *key, struct pack *ret, uint32_t *count)
{
    struct slice value;
    struct pack_item head;
    if (!pack_get(result, key, &value)) {
        return false;
    }
    *ret = pack_over(value);
    if (!pack_next(ret, &head) || head.type != PACK_ARRAY) {
        return false;
    }
    *count = head.count;
    return true;
}

static bool has_more(struct slice result)
{
    struct slice cursor;
    return pack_get(result, "nextCursor", &cursor) && pack_peek(pack_over(cursor)) != PACK_NIL;
}

static void keep_rest(struct gathering *gathering, struct slice result, const char *list_key)
{
    struct pack cursor = pack_over(result);
    struct pack_item head;
    struct slice key;
    struct slice value;
    if (!pack_next(&cursor, &head) || head.type != PACK_MAP) {
        return;
    }
    for (uint32_t i = 0; i < head.count; i++) {
        if (!pack_next_text(&cursor, &key) || !pack_take(&cursor, &value)) {
            return;
        }
        if (!slice_is(key, list_key) && !slice_is(key, "nextCursor")) {
            pack_put_str(&gathering->rest, key);
            buf_put_slice(&gathering->rest, value);
            gathering->rest_count++;
        }
    }
}

static struct gathering *gathering_new(struct slice result, const char *list_key)
{
    struct gathering *gathering = mem_new(sizeof *gathering);
    pages_init(&gathering->pages);
    buf_init(&gathering->rest, ITEMS_BYTES);
    buf_init(&gathering->items, ITEMS_BYTES);
    buf_init(&gathering->whole, 3 * ITEMS_BYTES);
    keep_rest(gathering, result, list_key);
    return gathering;
}

void gather_drop(struct mcp_request *request)
{
    struct gathering *gathering = request->gathering;
    if (gathering) {
        request->gathering = NULL;
        pages_done(&gathering->pages);
        buf_done(&gathering->rest);
        buf_done(&gathering->items);
        buf_done(&gathering->whole);
        mem_free(gathering);
    }
}

struct slice gather_cursor(const struct mcp_request *request)
{
    return pages_cursor(&request->gathering->pages);
}

static bool build(struct gathering *gathering, const char *list_key, struct slice *ret)
{
    struct buf *whole = &gathering->whole;
    pack_put_map(whole, gathering->rest_count + 1);
    pack_put_text(whole, list_key);
    pack_put_array(whole, gathering->count);
    buf_put_slice(whole, buf_slice(&gathering->items));
    buf_put_slice(whole, buf_slice(&gathering->rest));
    *ret = buf_slice(whole);
    return !whole->overflow;
}

/* What is wrong with the page, or NULL. */
static const char *take_page(struct gathering *gathering, struct pack items, uint32_t count)
{
    if (count > ITEMS_MAX - gathering->count) {
        return "there are more than 100000 of them";
    }
    gathering->count += count;
    buf_put(&gathering->items, items.at, (size_t)(items.end - items.at));
    return gathering->items.overflow || gathering->rest.overflow ? "they are longer than 64 MiB"
                                                                 : NULL;
}

bool gather_page(struct mcp_request *request, struct slice result, struct slice *ret)
{
    const struct method *method = request->method;
    const char *fault = NULL;
    struct pack items;
    uint32_t count = 0;
    if (!open_items(result, method->list_key, &items, &count)) {
        request_break(request, "`%s` is no array", method->list_key);
        return false;
    }
    if (request->is_page || (!request->gathering && !has_more(result))) {
        *ret = result;
        return true;
    }
    if (!request->is_kept) { /* the next page is asked for with what the caller gave */
        request_lack(request, "its pages");
        return false;
    }
    if (!request->gathering) {
        request->gathering = gathering_new(result, method->list_key);
    }
    fault = take_page(request->gathering, items, count);
    if (!fault && pages_take(&request->gathering->pages, result, &fault)) {
        request_send_call(request);
        return false;
    }
    if (!fault && !build(request->gathering, method->list_key, ret)) {
        fault = "there is no memory for them";
    }
    if (fault) {
        struct failure failure = {0};
        failure_set(&failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                    "the server's %s could not be listed: %s", method->noun, fault);
        request_fail(request, &failure, true);
        failure_done(&failure);
    }
    return !fault;
}
