/* SPDX-License-Identifier: MIT */
/*
 * news.h - what the sessions of a service learn, for all who use the service: lists and changes.
 *
 * Owns:    timers and the newest catalogue; embedded in struct mcp_service.
 * Life:    news_init .. news_done, with the service.
 */
#ifndef MCP_NEWS_H
#define MCP_NEWS_H

#include "base/buf.h"
#include "loop/loop.h"
#include "mcp/tool.h"

#include <stdbool.h>
#include <stdint.h>

struct mcp_service;
struct mcp_session;

/* The kinds of lists that a server may say it has changed. */
enum news_kind { NEWS_TOOLS, NEWS_PROMPTS, NEWS_RESOURCES, NEWS_KINDS };

/* How often clients are told of one kind: a server that says it all the time, or in all of its
 * sessions, is not repeated each time. */
struct news_window {
    struct mcp_service *service;
    enum news_kind kind;
    struct loop_timer timer;
    mono_us since; /* when the window began in which they are counted */
    unsigned count;
};

struct news {
    struct mcp_catalog *newest; /* what was listed last; NULL: nothing yet */
    struct news_window windows[NEWS_KINDS];
};

void news_init(struct mcp_service *service);
void news_forget(struct mcp_service *service); /* it is configured anew */
void news_done(struct mcp_service *service);

/* ---- for struct session_events; `arg` is the service -------------------------------------- */

void news_list_changed(void *arg, struct mcp_session *session, const char *kind);
void news_resource_updated(void *arg, struct mcp_session *session, struct slice uri);

/* tools.c: what a session listed becomes a catalogue of the service. */
bool tools_may_list(void *arg);
struct mcp_catalog *tools_listed(void *arg, struct mcp_session *session,
                                 struct slice definitions, size_t count);

/* After an approval: its catalogues are made anew from what was listed. */
void tools_rebuild(struct mcp_service *service);
/* What tools are compared with has changed: what is listed is looked at again. */
void tools_look_again(struct mcp_service *service);

/* Appends the pairs of services.status about them; returns how many. */
uint32_t tools_put_status(const struct mcp_catalog *catalog, struct buf *out);

#endif
