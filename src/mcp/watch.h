/* SPDX-License-Identifier: MIT */
/*
 * watch.h - what a session is told by its server: the insides that watch.c, topics.c and listen.c share.
 *
 * A topic is one uri that clients of a session watch. Legacy servers are asked for each
 * (resources/subscribe); modern ones have one stream for all of them and for changed lists
 * (subscriptions/listen), which is replaced when they change.
 *
 * Owns:    a session owns its struct watches, that owns topics and streams. Watches are their clients'.
 * Life:    made when first needed; topics without watchers go in `adjust`, never in between.
 */
#ifndef MCP_WATCH_H
#define MCP_WATCH_H

#include "base/list.h"
#include "base/map.h"
#include "mcp/pending.h"
#include "mcp/service.h"
#include "mcp/session.h"

/* Uris that are watched in one session, and the longest of them. */
#define TOPICS_MAX    1024u
#define TOPIC_URI_MAX ((size_t)8192)
/* Watches of all clients. */
#define WATCHES_MAX 16384u

struct listen;
struct seat;

enum topic_state {
    TOPIC_IDLE, /* nothing was asked, or it was lost */
    TOPIC_ASKED, /* legacy: subscribe is under way; modern: in a stream that is not acknowledged */
    TOPIC_STANDS,
    TOPIC_ENDING /* legacy: unsubscribe is under way */
};

struct topic {
    struct pending pending; /* legacy */
    struct loop_timer deadline;
    struct watches *watches;
    struct list watchers;          /* mcp_watch.in_topic */
    struct list_link *next;        /* of them, while they are told */
    struct listen *asked, *stands; /* modern: the streams that hold it */
    enum topic_state state;
    char *uri;
    size_t len;
};

struct watches {
    struct mcp_session *session;
    struct map topics;
    unsigned count;
    struct pending waiter; /* for READY, when it is us who wants the session */
    struct loop_task adjust;
    struct loop_timer retry;
    unsigned failures;  /* in a row, of asking while the session stood */
    mono_us not_before; /* the next try */
    /* modern */
    struct listen *current, *next;
    struct list leaving; /* streams to be ended */
    bool has_none;       /* the server knows no subscriptions */
    bool has_stood;      /* a stream stood once: with a new one there was a gap */
};

/* What it tells, it tells from a task of its own: nobody is called in the midst of something. But
 * for notifications, which are passed on as they come. */
struct mcp_watch {
    struct list_link link, in_topic; /* `link` in services->watches */
    struct mcp_services *services;
    struct mcp_service *service; /* NULL: over */
    struct seat *seat;
    struct topic *topic;
    const struct mcp_watch_events *events;
    void *arg;
    struct mcp_identity identity; /* its texts are in `kept` */
    char *uri, *kept;
    size_t uri_len;
    struct loop_task tell;
    struct failure *failure;  /* why it could not start */
    bool is_started, is_told; /* it stands; `started` was run */
    bool owes_update;         /* nobody was listening for a while */
    bool is_over;
};

/* ---- topics.c ---------------------------------------------------------------------------- */

struct watches *watches_of(struct mcp_session *session); /* made if need be */
/* NULL: there are too many. */
struct topic *topic_get(struct watches *watches, struct slice uri);
/* Whatever is to be asked or given up is looked at later in this turn. */
void watches_adjust(struct watches *watches);
bool watches_are_wanted(const struct watches *watches); /* somebody watches something */
void topic_started(struct topic *topic);
void topic_lost(struct topic *topic); /* it stood */
/* Those who wait for the start are told; with `all`, so are the others, that it ended. They leave. */
void topic_refused(struct topic *topic, const struct failure *failure, bool all);
/* A uri, or something below it, has changed. */
void watches_updated(struct watches *watches, struct slice uri);
/* Asking came to nothing, though the session stands: the next try is later. */
void watches_back_off(struct watches *watches);

/* ---- listen.c ---------------------------------------------------------------------------- */

/* In READY, of a modern session. */
void listen_adjust(struct watches *watches);
void listen_lost(struct watches *watches); /* the wire is gone, or the session */

/* ---- watch.c ----------------------------------------------------------------------------- */

void watch_started(struct mcp_watch *watch); /* its topic stands, perhaps again */
void watch_refused(struct mcp_watch *watch, const struct failure *failure);
void watch_ended(struct mcp_watch *watch);

/* Of one service that is configured anew: they move to other seats. */
void watches_move(struct mcp_service *service);
/* Of one service that goes, or of all when NULL. */
void watches_end(struct mcp_services *services, const struct mcp_service *service);
void watches_drop(struct mcp_services *services); /* without a word */

#endif
