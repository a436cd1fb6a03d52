/* SPDX-License-Identifier: MIT */
/*
 * session.h - one live conversation with one server, on behalf of one identity.
 *
 * It is started, shakes hands, sends requests, and is stopped; and may be started again. Who
 * calls, how many at once, and what the operator sees is the service's.
 *
 * Owns:    its wire, its catalogue, copies of its identity, a reference to its configuration.
 *          Pending requests belong to those who sent them; every one of them is told.
 * Life:    session_init .. start/stop any number of times .. session_done when nothing is pending.
 *          Events and answers come from the loop, but for failures of session_start and
 *          session_send, which are returned.
 */
#ifndef MCP_SESSION_H
#define MCP_SESSION_H

#include "conf/service_conf.h"
#include "mcp/core.h"
#include "mcp/handshake.h"
#include "mcp/pending.h"
#include "mcp/revision.h"
#include "mcp/service.h"

enum session_state {
    SESSION_STOPPED,
    SESSION_OPENING,   /* the wire is being made */
    SESSION_HANDSHAKE, /* `server/discover`, or `initialize` and `initialized` */
    SESSION_READY,
    SESSION_RENEWING, /* the server forgot the session: a new handshake on the same wire */
    SESSION_STATES
};

struct session_events {
    /* After each change. `failure` says why where it is a bad one: it could not start, or ended
     * by itself. */
    void (*changed)(void *arg, struct mcp_session *session, enum session_state from,
                    const struct failure *failure);
    void (*wire_leaving)(void *arg); /* a wire is let go, and closes in order ... */
    void (*wire_ended)(void *arg);   /* ... and has closed; also after session_done */
    /* A list of the server's is another now; `kind` is "tools", "prompts" or "resources". */
    void (*list_changed)(void *arg, struct mcp_session *session, const char *kind);
    /* A resource, or something below it. */
    void (*resource_updated)(void *arg, struct mcp_session *session, struct slice uri);
    /* As in mcp_transport_events; may be NULL. */
    void (*limits)(void *arg, const struct mcp_session *session,
                   const struct rate_fields *fields, bool is_refused);
    /* Whether what a list is compared with is there; if not, listing_resume comes when it is. */
    bool (*may_list)(void *arg);
    /* Makes the catalogue of `count` definitions; NULL: no memory. Without it, catalog_build. */
    struct mcp_catalog *(*listed)(void *arg, struct mcp_session *session,
                                  struct slice definitions, size_t count);
};

struct listing;
struct watches; /* watch.c: what the server tells us by itself */

/* What a server said it offers. */
enum session_offer {
    OFFERS_TOOLS = 1,
    OFFERS_TOOLS_CHANGED = 2,
    OFFERS_RESOURCES = 4,
    OFFERS_RESOURCES_CHANGED = 8,
    OFFERS_RESOURCES_SUBSCRIBE = 16,
    OFFERS_PROMPTS = 32,
    OFFERS_PROMPTS_CHANGED = 64,
    OFFERS_COMPLETIONS = 128,
    OFFERS_LOGGING = 256,
    OFFERS_TASKS = 512 /* of tools/call: capabilities.tasks of 2025-11-25, or the extension */
};

/* What was learned of a server and is good for all of its sessions, also the next ones. The
 * service's; a reload that changes the service forgets it. */
struct session_known {
    enum { KNOWN_NOTHING, KNOWN_LEGACY, KNOWN_MODERN } era;
    bool is_sse; /* transport = "auto": only HTTP+SSE is there */
    /* A start came to nothing after `server/discover` was met by silence: the next one begins
     * with `initialize`. */
    bool skips_discover;
    unsigned server_errors; /* HTTP 5xx, or nothing, in answer to `server/discover` */
};

#define GIVEN_UP_KEPT 16u

struct mcp_session {
    struct mcp_core *core;
    struct service_conf *conf;
    char *user, *agent;
    const struct session_events *events; /* NULL: nobody listens */
    void *arg;
    struct wire *wire; /* NULL: stopped */
    enum session_state state;
    uint32_t epoch;                  /* counts handshakes */
    uint64_t place;                  /* of the tasks of this epoch, over all sessions */
    const struct revision *revision; /* NULL: not agreed yet */
    unsigned offers;                 /* enum session_offer */
    unsigned capabilities;           /* enum mcp_capability that `initialize` declares */
    unsigned shown;      /* of all callers so far: what a modern server is told of them */
    unsigned listed_for; /* what it was told when it listed its tools */
    struct session_known *known; /* the service's */
    bool is_sse;                 /* the wire is HTTP+SSE, where there is no modern revision */
    bool has_exchanges;
    bool was_asked; /* a question of the server's was handed to one of its requests */
    char *server_name, *server_version, *instructions; /* NULL: not said */

    struct list sent;    /* on their way or at the server, oldest first */
    struct list waiting; /* until READY */
    struct list listers; /* until the catalogue is fresh */
    unsigned calls_sent; /* is_call in `sent` */
    /* Calls that were given up since the handshake, and not answered after all: the server may still
     * be at them. Of more than these the ids are not known. */
    uint64_t given_up[GIVEN_UP_KEPT];
    unsigned given_up_count;
    /* The only request that may use the session now, where the wire does not say to which one a
     * question of the server belongs; NULL: none, or no such session. */
    struct pending *holder;
    struct handshake handshake;
    struct loop_timer start_timer;
    mono_us start_deadline;
    mono_us opened_at; /* its wire stood */
    mono_us ready_at;

    struct mcp_catalog *catalog; /* NULL: never listed */
    bool is_catalog_stale;
    mono_us catalog_at;
    mono_us
        catalog_until; /* fresh for listings up to this time; MONO_NEVER for legacy servers */
    struct listing *listing;
    struct watches *watches; /* NULL: none */
    struct loop_timer relist_timer;
    mono_us changes_since; /* when the window began in which `changes` are counted */
    unsigned changes;

    unsigned failures;  /* to start, or ends by itself, since an answer came */
    mono_us not_before; /* no start before this: it failed too often */
    uint64_t faults;    /* messages that broke the protocol */
    uint64_t dropped;   /* messages that nobody waits for */
};

static inline bool session_is_modern(const struct mcp_session *session)
{
    return session->revision && session->revision->era == ERA_MODERN;
}

void session_init(struct mcp_session *session, struct mcp_core *core, struct service_conf *conf,
                  const struct mcp_identity *identity);
void session_done(struct mcp_session *session);

/* From STOPPED. A failure is in *failure; nothing was changed but the count of failures. */
int session_start(struct mcp_session *session, struct failure *failure);

/* Closes the wire in order. What is pending fails with `failure`. */
void session_stop(struct mcp_session *session, const struct failure *failure);

/* Whether anybody waits for anything. */
bool session_is_busy(const struct mcp_session *session);

/* Wait for READY (starting is the caller's), or for the catalogue (READY, stale). */
void session_await_ready(struct mcp_session *session, struct pending *pending);
void session_await_catalog(struct mcp_session *session, struct pending *pending);
static inline bool session_has_catalog(const struct mcp_session *session)
{
    return session->catalog && !session->is_catalog_stale;
}
/* Whether it may also be shown to a client: calls use what is there, however old. */
static inline bool session_has_fresh_catalog(const struct mcp_session *session)
{
    return session_has_catalog(session) &&
           (!(session->offers & OFFERS_TOOLS) ||
            loop_now(session->core->loop) <= session->catalog_until);
}
/* The server may have other tools now. */
void session_forget_catalog(struct mcp_session *session);

/* Sends one request, whose id (message->token) is from session_next_id. In READY only. */
static inline uint64_t session_next_id(struct mcp_session *session)
{
    return ++session->core->last_id;
}
int session_send(struct mcp_session *session, struct pending *pending,
                 const struct mcp_outgoing *message, struct failure *failure);

/* Nobody waits for it any more: takes it out, and tells the server if it has it. `reason` NULL:
 * the server is told nothing. */
void session_forget(struct pending *pending, const char *reason);

/* ---- between the files of the session ----------------------------------------------------- */

/* session.c */
void session_set_state(struct mcp_session *session, enum session_state state,
                       const struct failure *failure);
void session_fail(struct mcp_session *session, const struct failure *failure);
/* Adds what is known of a server that does not become ready. */
void session_explain_silence(const struct mcp_session *session, struct failure *failure);
void session_became_ready(struct mcp_session *session);
void session_limit_start(struct mcp_session *session);
void session_say(struct mcp_session *session, enum mcp_message_kind kind);
/* Lets go of the wire and makes another one, during the handshake. */
void session_reopen(struct mcp_session *session);
/* The wire closed by itself; it is not the session's any more. */
void session_wire_lost(struct mcp_session *session, const struct failure *failure);

/* Those who wait for a session that is stopped look again. */
void session_start_waiting(struct mcp_session *session);

/* pending.c */
void pending_register(struct mcp_session *session, struct pending *pending, uint64_t id);
void pending_unregister(struct pending *pending);
/* The request of this very session that waits for an answer to `id`, or NULL. */
struct pending *pending_find(const struct mcp_session *session, uint64_t id);
/* Likewise, that wants the progress of this token: tasks outlive the request that made them. */
struct pending *pending_of_token(const struct mcp_session *session, uint64_t token);
void session_exchange_ended(struct mcp_session *session, mcp_token token,
                            const struct failure *failure, bool is_session_gone);
void session_take_answer(struct mcp_session *session, const struct message *message,
                         mcp_token token);
void session_resume(struct mcp_session *session); /* READY: what waits goes on */

/* notice.c: everything that comes in */
void session_take_message(struct mcp_session *session, struct slice json, mcp_token token);
struct decoded;
void session_take_decoded(struct mcp_session *session, const struct decoded *decoded,
                          mcp_token token);

/* listing.c */
void listing_start(struct mcp_session *session);
void listing_drop(struct mcp_session *session);
void listing_resume(struct mcp_session *session);

/* watch.c */
/* The session is READY, also after RENEWING: what is watched is asked for (again). Before anything
 * that waits is sent. */
void watches_began(struct mcp_session *session);
/* It ended: the wire is gone, and nothing of it will be answered. */
void watches_lost(struct mcp_session *session);
void watches_done(struct mcp_session *session); /* session_done */
/* A notification that came by itself: a list changed, a resource was updated (legacy), or
 * `notifications/cancelled` for a subscription (modern). False: it is none of these. */
bool watches_take(struct mcp_session *session, struct slice method, struct slice params);

#endif
