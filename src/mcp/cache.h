/* SPDX-License-Identifier: MIT */
/*
 * cache.h - results that a modern server lets be kept for a while: lists and resources.
 *
 * What it calls public is given to every session of the service that asks in the same way, what is
 * private to the session that got it. Pages are kept each by itself. A change that the server tells of ends them at once.
 *
 * Owns:    copies of keys and results, within a bound; what was not used longest goes first.
 * Life:    cache_init .. cache_done. Sessions and services are forgotten before they are freed.
 * Thread:  the loop thread.
 */
#ifndef MCP_CACHE_H
#define MCP_CACHE_H

#include "base/list.h"
#include "base/map.h"
#include "base/slice.h"
#include "loop/loop.h"
#include "mcp/service.h"

#include <stdbool.h>
#include <stddef.h>

struct mcp_session;

#define CACHE_BYTES_MAX   ((size_t)16 * 1024 * 1024)
#define CACHE_RESULT_MAX  ((size_t)2 * 1024 * 1024) /* a longer one is not kept */
#define CACHE_ENTRIES_MAX 8192u

struct cache {
    struct loop *loop;
    struct map by_key;
    struct list entries; /* the one that was not used longest first */
    size_t bytes, bytes_max;
};

/* What was asked: all that the result depends on. */
struct cache_key {
    const struct mcp_service *service;
    const struct mcp_session *session;
    enum mcp_method method;
    struct slice name;     /* uri; or empty */
    struct slice cursor;   /* ptr NULL: the first page */
    unsigned capabilities; /* as declared with the request */
    bool is_apart; /* user or agent are part of where and how the server is asked: nothing
                              of it is for others, whatever the server calls it */
};

void cache_init(struct cache *cache, struct loop *loop, size_t bytes_max);
void cache_done(struct cache *cache);

/* A result that is fresh; valid until the cache is called again, or the loop's next turn. */
bool cache_get(struct cache *cache, const struct cache_key *key, struct slice *ret_result);

/* Keeps a copy where the method, the session's revision and the hints of the result allow it. Not
 * to be called for an answer to a request that had inputResponses or requestState. */
void cache_put(struct cache *cache, const struct cache_key *key, struct slice result);

/* A list is another one: "tools", "prompts" or "resources". */
void cache_list_changed(struct cache *cache, const struct mcp_service *service,
                        const char *kind);
/* A resource is another one, and what is above or below it may be. */
void cache_updated(struct cache *cache, const struct mcp_service *service, struct slice uri);
void cache_forget_service(struct cache *cache, const struct mcp_service *service);
void cache_forget_session(struct cache *cache, const struct mcp_session *session);

#endif
