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
#include "mcp/approval.h"
#include "mcp/tool.h"
#include "value/failure.h"

#include <stdbool.h>
#include <stdint.h>

struct http;        /* loop/http.h */
struct rate_fields; /* resilience/rate_fields.h */
struct store;       /* store/store.h */
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
    /* Keeps approved tools and what was learned of servers over a restart; outlives the services.
     * NULL: only in memory. */
    struct store *store;
    /* Told after each change of a service's state, for log and events. */
    void (*state_changed)(void *arg, const struct mcp_service *service);
    /* A list of the server's is another now; `kind` is "tools", "prompts" or "resources". */
    void (*list_changed)(void *arg, const struct mcp_service *service, const char *kind);
    /* A tool is not as it was approved; `what`: "new", or the changed members ("description,
     * inputSchema"). Once a change. */
    void (*tool_changed)(void *arg, const struct mcp_service *service, struct slice tool,
                         const char *what);
    /* An answer over HTTP said something of the server's limits. `user`: whose credential it was;
     * empty: all share one. `is_refused`: it was 429, or 503 with Retry-After. */
    void (*rate_told)(void *arg, const struct mcp_service *service, struct slice user,
                      const struct rate_fields *fields, bool is_refused);
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

/* What holds `bytes` of an answer while it is told, if it is a long one: whoever wants them for
 * longer takes a reference instead of a copy. NULL: copy them. */
struct block *mcp_services_block(const struct mcp_services *services, struct slice bytes);

struct mcp_service *mcp_services_find(const struct mcp_services *services, struct slice name);
/* In order of name; start with *at = 0. Near: the name most like it, or empty. */
struct mcp_service *mcp_services_next(const struct mcp_services *services, size_t *at);
struct slice mcp_services_near(const struct mcp_services *services, struct slice name);

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
/* Words for its state, perhaps none; in error the failure's, which may be cut inside a character. */
struct slice mcp_service_why(const struct mcp_service *service);
/* Appends pairs of services.status for one service and returns how many; the caller writes the map
 * around them, `state` being its own word for it or NULL: {name, title, transport, enabled, state,
 * since (RFC 3339), sessions, era ("modern", "legacy", "unknown"), transport_used? (of "auto"), reason?,
 * last_error? {code, message, suggestion, time, is_over, stderr_tail?}, pid?, protocol?, server? {name,
 * version}, tools?, tool_warnings? [{tool, warnings: [text]}], tools_left_out? [{tool, reason}],
 * tools_withheld? [name], calls, failures, restarts, protocol_faults?, messages_dropped?}. */
uint32_t mcp_service_put_status(const struct mcp_service *service, const char *state,
                                struct buf *out);

/* ---- tools ------------------------------------------------------------------------------- */

/* What a client can be asked in the course of its calls (its `hello`), and what it shows. */
enum mcp_capability {
    MCP_CAN_ELICIT = 1,     /* forms */
    MCP_CAN_ELICIT_URL = 2, /* URL mode, 2025-11-25 */
    MCP_CAN_SAMPLE = 4,
    MCP_CAN_SAMPLE_TOOLS = 8,    /* sampling.tools, 2025-11-25 */
    MCP_CAN_SAMPLE_CONTEXT = 16, /* sampling.context */
    MCP_CAN_LIST_ROOTS = 32,
    MCP_CAN_SHOW_APPS = 64 /* extension io.modelcontextprotocol/ui */
};

/* Who asks: picks the session. A legacy server learns of capabilities once, when its session
 * begins, so that a caller with some has sessions of its own there (but for sharing = "shared",
 * where none are declared); a modern one learns them with each request. */
struct mcp_identity {
    struct slice agent, user;
    uint64_t client;       /* the connection; 0: nobody can be asked */
    unsigned capabilities; /* of enum mcp_capability */
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

/* What can be asked of a server; mcp/method.def says how each is written. */
enum mcp_method {
    MCP_TOOLS_CALL,
    MCP_RESOURCES_LIST,
    MCP_RESOURCES_TEMPLATES,
    MCP_RESOURCES_READ,
    MCP_PROMPTS_LIST,
    MCP_PROMPTS_GET,
    MCP_COMPLETE,
    MCP_TASKS_GET,    /* by the handle that an outcome gave */
    MCP_TASKS_CANCEL, /* likewise */
    MCP_METHODS
};

struct mcp_call_options {
    enum mcp_method method;
    struct slice name; /* tool or prompt by the server's own name, uri of a resource, task id */
    struct slice
        arguments; /* MessagePack map. CALL, GET: the arguments; empty: {}. COMPLETE: all of
                               params */
    struct block
        *block; /* what holds the arguments, if a reference will do for a copy; or NULL */
    struct slice cursor; /* lists: ptr NULL, from the beginning; "" is a cursor too */
    bool is_page;        /* lists: one page, with the server's nextCursor; else all of them */
    struct slice
        meta; /* MessagePack map for params._meta, or empty; protocol keys in it are left out */
    const char *log_level; /* one of MCP's eight, static; NULL: what the server sends anyhow */
    bool wants_progress;
    bool
        wants_task; /* the handle of a task, where the server makes one, instead of its result */
    uint64_t task_place; /* TASKS_*: as the outcome had it that gave the handle; 0: not known */
    bool may_repeat;     /* policy: doing it twice does no harm */
    mono_us deadline;
};

/* A question of the server's, to the client of one call. */
struct mcp_ask;

struct mcp_outcome {
    struct slice
        result; /* the MCP result, MessagePack, valid during the call; ptr NULL: failure */
    const struct failure *failure;
    bool sent;         /* the request may have reached the server */
    struct slice task; /* wants_task: {id, status, ...} MessagePack, instead of a result */
    /* Where it is: another process, session or server may have another task of the same id. */
    uint64_t task_place;
    unsigned declined; /* questions that nobody could be asked: answered by default */
    bool is_cached;
    bool is_under_way; /* it failed, but a task that it began at the server may go on */
    bool
        is_harmless; /* twice does no harm: it reads, is annotated so and trusted, may_repeat */
};

struct mcp_call_events {
    void (*done)(void *arg, const struct mcp_outcome *outcome);
    void (*progress)(void *arg, struct slice params); /* MessagePack, without the token */
    void (*log)(void *arg, struct slice params);
    /* Static text: "queue" (of one session), "start", "list", "answer", "client", "task". */
    void (*waits_for)(void *arg, const char *what);
    /* The server asks: `method` is "elicitation/create", "sampling/createMessage" or "roots/list",
     * `params` MessagePack, valid during the call. To be answered with mcp_answer, now or
     * later, but not after ask_ended or done. Only what the identity is capable of gets here. */
    void (*asked)(void *arg, struct mcp_ask *ask, const char *method, struct slice params);
    /* The server takes it back, or the call ends: `ask` is gone after it. */
    void (*ask_ended)(void *arg, struct mcp_ask *ask);
};

/* Starts the service if need be. TOOLS_CALL finds the tool (NOT_FOUND with near names), checks the
 * arguments against its inputSchema (VALIDATION_ERROR), sends, waits, checks structuredContent
 * against its outputSchema. Options are read before return. */
struct mcp_request *mcp_call(struct mcp_service *service, const struct mcp_identity *identity,
                             const struct mcp_call_options *options,
                             const struct mcp_call_events *events, void *arg);

/* The MCP result of a question, MessagePack; ptr NULL: the client cannot or will not (the server
 * gets the default: decline). `ask` is gone then. */
void mcp_answer(struct mcp_ask *ask, struct slice result);

/* The server is told (notifications/cancelled) if the request was sent. `reason` is static text.
 * Its asks are gone, without ask_ended. */
void mcp_cancel(struct mcp_request *request, const char *reason);

/* A client's connection has closed: its sessions go. */
void mcp_services_forget_client(struct mcp_services *services, uint64_t client);

/* ---- news -------------------------------------------------------------------------------- */

/* Asks the server to tell of changes of one resource, or ends that. One watch a resource, client and
 * session, counted there; `updated` runs for each notification of the uri or of what is
 * below it, and after the session was begun anew. Owned by the caller, ended with
 * mcp_unwatch; `service` is gone when its `ended` runs (removed, or it cannot be watched). */
struct mcp_watch;
struct mcp_watch_events {
    void (*started)(void *arg, const struct failure *failure); /* once; a failure ends it */
    void (*updated)(void *arg, struct slice uri);
    void (*ended)(void *arg); /* by itself; the watch is gone */
};
struct mcp_watch *mcp_watch(struct mcp_service *service, const struct mcp_identity *identity,
                            struct slice uri, const struct mcp_watch_events *events, void *arg);
void mcp_unwatch(struct mcp_watch *watch);

#endif
