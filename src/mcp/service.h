/* SPDX-License-Identifier: MIT */
/*
 * service.h - the MCP servers as registered here, and calls to them.
 *
 * A service has a configuration, a state and sessions: one for all callers, or one for each user or
 * agent, as its sharing and its templates say. Sessions start on demand and stop when idle.
 *
 * Owns:    struct mcp_services owns its services, they own their sessions, sessions own pending
 *          requests. Callers hold a struct mcp_request only until its `done`, or until they cancel it.
 *          A service pointer is good until the next mcp_services_apply, or while a request of the
 *          caller's is under way there.
 * Life:    mcp_call .. waits_for (also inside mcp_call) .. progress/log .. done exactly once, never
 *          inside mcp_call; after mcp_cancel `done` never runs. Tables of events are kept, not
 *          copied. mcp_services_free ends requests without a word: close first.
 * Errors:  struct failure with details {service, tool, ...}; the codes of design section 3.1.
 * Thread:  the loop thread.
 */
#ifndef MCP_SERVICE_H
#define MCP_SERVICE_H

#include "base/slice.h"
#include "conf/service_conf.h"
#include "loop/child.h"
#include "loop/loop.h"
#include "value/failure.h"
#include "value/schema.h"

#include <stdbool.h>
#include <stdint.h>

struct http; /* loop/http.h */
struct mcp_session;
struct mcp_transport;
struct mcp_transport_events;
struct mcp_services;
struct mcp_service;
struct mcp_request;

struct mcp_services_options {
    struct loop *loop;
    struct children *children;
    struct http *http;
    size_t message_bytes;     /* longest message of a server */
    const char *state_folder; /* cwd of children that name none */
    /* Told after each change of a service's state, for log and events. */
    void (*state_changed)(void *arg, const struct mcp_service *service);
    void *arg;
    /* Tests: makes the transports in place of stdio and HTTP, with `arg`; NULL: as configured.
     * Events go to `events_arg`. */
    struct mcp_transport *(*connect)(void *arg, const struct mcp_session *session,
                                     const struct mcp_transport_events *events,
                                     void *events_arg, struct failure *failure);
};

struct mcp_services *mcp_services_new(const struct mcp_services_options *options);
/* Ends every session in order, then calls `ended`; at `deadline` the rest is killed. */
void mcp_services_close(struct mcp_services *services, mono_us deadline,
                        void (*ended)(void *arg), void *arg);
void mcp_services_free(struct mcp_services *services);

/* Takes over a new set: unchanged services go on; changed ones start anew for the next call, while
 * the requests under way end on the old session; removed ones end likewise. */
void mcp_services_apply(struct mcp_services *services, const struct service_set *set);

struct mcp_service *mcp_services_find(const struct mcp_services *services, struct slice name);
/* In order of name; start with *at = 0. */
struct mcp_service *mcp_services_next(const struct mcp_services *services, size_t *at);
struct slice mcp_services_near(const struct mcp_services *services,
                               struct slice name); /* or empty */

/* ---- one service ------------------------------------------------------------------------- */

enum mcp_state {
    MCP_STOPPED,
    MCP_STARTING,
    MCP_RUNNING,
    MCP_STOPPING,
    MCP_ERROR,
    MCP_DISABLED
};

const char *mcp_state_name(enum mcp_state state);
const struct service_conf *mcp_service_conf(const struct mcp_service *service);
enum mcp_state mcp_service_state(const struct mcp_service *service);
/* Appends the map of services.status for one service: {name, title, transport, enabled, state,
 * since (RFC 3339), reason?, last_error? {code, message, suggestion}, pid?, sessions, protocol?, server? {name, version},
 * tools?, inflight, calls, failures, restarts, protocol_faults?, messages_dropped?}: the last two where
 * there are any. */
void mcp_service_put_status(const struct mcp_service *service, struct buf *out);

/* ---- tools ------------------------------------------------------------------------------- */

struct mcp_tool {
    struct slice name;
    struct slice definition; /* the server's own map, MessagePack, unchanged */
    struct schema *input;    /* compiled by the first call; NULL before, and for one that cannot
                                be compiled: said once in the log, nothing is checked then */
};

/* Immutable, counted. */
struct mcp_catalog {
    unsigned references;
    size_t count;
    struct mcp_tool *tools; /* in the server's order */
};

struct mcp_catalog *mcp_catalog_ref(struct mcp_catalog *catalog);
struct mcp_catalog *mcp_catalog_unref(struct mcp_catalog *catalog); /* always NULL */
const struct mcp_tool *mcp_catalog_find(const struct mcp_catalog *catalog, struct slice name);

/* Who asks: picks the session. */
struct mcp_identity {
    struct slice agent, user;
};

struct mcp_list_events {
    /* The catalogue (borrowed for the call; ref it to keep it), or a failure. */
    void (*done)(void *arg, struct mcp_catalog *catalog, const struct failure *failure);
};

/* Lists the tools, starting the service if need be; what is cached and valid is given without
 * asking the server. `done` runs later, never inside. */
struct mcp_request *mcp_list_tools(struct mcp_service *service,
                                   const struct mcp_identity *identity, mono_us deadline,
                                   const struct mcp_list_events *events, void *arg);

/* ---- calls ------------------------------------------------------------------------------- */

struct mcp_call_options {
    struct slice tool;      /* the server's own name of it */
    struct slice arguments; /* MessagePack map; empty: {} */
    struct slice
        meta; /* MessagePack map for params._meta, or empty; protocol keys in it are left out */
    bool wants_progress;
    mono_us deadline;
};

struct mcp_call_events {
    /* `result`: the MCP result, MessagePack, valid during the call; or `failure`. `sent`: the
     * request may have reached the server. */
    void (*done)(void *arg, struct slice result, const struct failure *failure, bool sent);
    void (*progress)(void *arg, struct slice params); /* MessagePack, without the token */
    void (*log)(void *arg, struct slice params);
    /* Static text: "queue", "start", "list", "answer". */
    void (*waits_for)(void *arg, const char *what);
};

/* Starts the service if need be, finds the tool (NOT_FOUND with near names), checks the arguments
 * against its inputSchema (VALIDATION_ERROR), sends, waits. Options are read before return. */
struct mcp_request *mcp_call(struct mcp_service *service, const struct mcp_identity *identity,
                             const struct mcp_call_options *options,
                             const struct mcp_call_events *events, void *arg);

/* The server is told (notifications/cancelled) if the request was sent. `reason` is static text. */
void mcp_cancel(struct mcp_request *request, const char *reason);

#endif
