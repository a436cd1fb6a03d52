/* SPDX-License-Identifier: MIT */
/* cache.c - keeps results for as long as their server said, and forgets them when it says so. */
#include "mcp/cache.h"

#include "base/buf.h"
#include "base/mem.h"
#include "mcp/session.h"
#include "value/pack.h"

#define TTL_MAX_MS ((int64_t)24 * 3600 * 1000)
#define KEY_MAX    ((size_t)80 * 1024)

/* Behind it in the same memory: its key, its name (part of the key), its result. */
struct entry {
    struct list_link link;
    const struct mcp_service *service;
    const struct mcp_session *session; /* NULL: public */
    enum mcp_method method;
    mono_us until;
    struct slice key, name, result;
    size_t size;
};

static bool may_be_kept(enum mcp_method method)
{
    return method == MCP_RESOURCES_LIST || method == MCP_RESOURCES_TEMPLATES ||
           method == MCP_RESOURCES_READ || method == MCP_PROMPTS_LIST;
}

/* ---- entries ----------------------------------------------------------------------------- */

static void drop(struct cache *cache, struct entry *entry)
{
    (void)map_remove(&cache->by_key, entry->key);
    list_remove(&entry->link);
    cache->bytes -= entry->size;
    mem_free(entry);
}

/* Lengths stand before what has any, so that nothing runs together. */
static bool put_key(struct buf *out, const struct cache_key *key, bool is_public)
{
    const struct {
        const void *service, *session;
        size_t name_len;
        uint32_t method, has_cursor, capabilities, unused;
    } head = {key->service,
              is_public ? NULL : (const void *)key->session,
              key->name.len,
              (uint32_t)key->method,
              key->cursor.ptr != NULL,
              key->capabilities,
              0};
    buf_clear(out);
    buf_put(out, &head, sizeof head);
    if (key->name.ptr) {
        buf_put_slice(out, key->name);
    }
    if (key->cursor.ptr) {
        buf_put_slice(out, key->cursor);
    }
    return !out->overflow;
}

static struct entry *find(struct cache *cache, const struct cache_key *key, struct buf *bytes,
                          bool is_public)
{
    return put_key(bytes, key, is_public) ? map_get(&cache->by_key, buf_slice(bytes)) : NULL;
}

static struct entry *entry_new(const struct cache_key *key, struct slice bytes,
                               struct slice result)
{
    size_t size = sizeof(struct entry) + bytes.len + key->name.len + result.len;
    struct entry *entry = mem_try(size);
    if (!entry) {
        return NULL;
    }
    char *at = (char *)(entry + 1);
    *entry = (struct entry){.service = key->service,
                            .method = key->method,
                            .key = {at, bytes.len},
                            .name = {at + bytes.len, key->name.len},
                            .result = {at + bytes.len + key->name.len, result.len},
                            .size = size};
    memcpy(at, bytes.ptr, bytes.len);
    if (key->name.len) {
        memcpy(at + bytes.len, key->name.ptr, key->name.len);
    }
    memcpy(at + bytes.len + key->name.len, result.ptr, result.len);
    return entry;
}

static void make_room(struct cache *cache, size_t more)
{
    struct list_link *oldest;
    while (
        (cache->bytes + more > cache->bytes_max || cache->by_key.count >= CACHE_ENTRIES_MAX) &&
        (oldest = list_first(&cache->entries))) {
        drop(cache, LIST_ITEM(oldest, struct entry, link));
    }
}

/* ---- life -------------------------------------------------------------------------------- */

void cache_init(struct cache *cache, struct loop *loop, size_t bytes_max)
{
    *cache = (struct cache){.loop = loop, .bytes_max = bytes_max};
    map_init(&cache->by_key);
    list_init(&cache->entries);
}

void cache_done(struct cache *cache)
{
    struct list_link *link;
    while ((link = list_first(&cache->entries))) {
        drop(cache, LIST_ITEM(link, struct entry, link));
    }
    map_done(&cache->by_key);
}

/* ---- asking and keeping ------------------------------------------------------------------ */

bool cache_get(struct cache *cache, const struct cache_key *key, struct slice *ret_result)
{
    struct buf bytes;
    if (!may_be_kept(key->method) || !cache->by_key.count) {
        return false;
    }
    buf_init(&bytes, KEY_MAX);
    struct entry *entry = find(cache, key, &bytes, false);
    if (!entry) {
        entry = find(cache, key, &bytes, true);
    }
    buf_done(&bytes);
    if (!entry) {
        return false;
    }
    if (loop_now(cache->loop) >= entry->until) {
        drop(cache, entry);
        return false;
    }
    list_remove(&entry->link);
    list_append(&cache->entries, &entry->link);
    *ret_result = entry->result;
    return true;
}

/* How long it may be kept; 0: not at all. */
static int64_t ttl_of(struct slice result)
{
    struct slice type;
    int64_t ttl_ms = 0;
    if ((pack_get_text(result, "resultType", &type) && !slice_is(type, "complete")) ||
        !pack_get_int(result, "ttlMs", &ttl_ms) || ttl_ms <= 0) {
        return 0;
    }
    return ttl_ms < TTL_MAX_MS ? ttl_ms : TTL_MAX_MS;
}

void cache_put(struct cache *cache, const struct cache_key *key, struct slice result)
{
    struct slice scope;
    struct buf bytes;
    int64_t ttl_ms = ttl_of(result);
    if (!may_be_kept(key->method) || !ttl_ms || result.len > CACHE_RESULT_MAX ||
        !session_is_modern(key->session)) {
        return;
    }
    bool is_public = !key->is_apart && pack_get_text(result, "cacheScope", &scope) &&
                     slice_is(scope, "public");
    buf_init(&bytes, KEY_MAX);
    for (int i = 0; i < 2; i++) { /* it may have had the other scope before */
        struct entry *old = find(cache, key, &bytes, i == 0);
        if (old) {
            drop(cache, old);
        }
    }
    struct entry *entry =
        put_key(&bytes, key, is_public) ? entry_new(key, buf_slice(&bytes), result) : NULL;
    buf_done(&bytes);
    if (!entry) {
        return;
    }
    entry->session = is_public ? NULL : key->session;
    entry->until = loop_now(cache->loop) + ttl_ms * 1000;
    make_room(cache, entry->size);
    map_set(&cache->by_key, entry->key, entry);
    list_append(&cache->entries, &entry->link);
    cache->bytes += entry->size;
}

/* ---- forgetting -------------------------------------------------------------------------- */

static bool is_of_list(const struct entry *entry, const char *kind)
{
    switch (entry->method) {
    case MCP_RESOURCES_LIST:
    case MCP_RESOURCES_TEMPLATES:
        return strcmp(kind, "resources") == 0;
    case MCP_PROMPTS_LIST:
        return strcmp(kind, "prompts") == 0;
    default:
        return false;
    }
}

void cache_list_changed(struct cache *cache, const struct mcp_service *service,
                        const char *kind)
{
    list_each (link, &cache->entries) {
        struct entry *entry = LIST_ITEM(link, struct entry, link);
        if (entry->service == service && is_of_list(entry, kind)) {
            drop(cache, entry);
        }
    }
}

static bool begins_with(struct slice text, struct slice beginning)
{
    return text.len >= beginning.len &&
           (!beginning.len || memcmp(text.ptr, beginning.ptr, beginning.len) == 0);
}

/* A few too many are forgotten: what only begins alike is asked for again. */
void cache_updated(struct cache *cache, const struct mcp_service *service, struct slice uri)
{
    list_each (link, &cache->entries) {
        struct entry *entry = LIST_ITEM(link, struct entry, link);
        if (entry->service == service && entry->method == MCP_RESOURCES_READ &&
            (begins_with(entry->name, uri) || begins_with(uri, entry->name))) {
            drop(cache, entry);
        }
    }
}

void cache_forget_service(struct cache *cache, const struct mcp_service *service)
{
    list_each (link, &cache->entries) {
        struct entry *entry = LIST_ITEM(link, struct entry, link);
        if (entry->service == service) {
            drop(cache, entry);
        }
    }
}

void cache_forget_session(struct cache *cache, const struct mcp_session *session)
{
    list_each (link, &cache->entries) {
        struct entry *entry = LIST_ITEM(link, struct entry, link);
        if (entry->session == session) {
            drop(cache, entry);
        }
    }
}
