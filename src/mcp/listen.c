/* SPDX-License-Identifier: MIT */
/* listen.c - subscriptions/listen: one lasting request for all that a modern server is to tell. */
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "mcp/detail.h"
#include "mcp/watch.h"
#include "value/pack.h"

#define SECOND ((mono_us)1000000)
/* After a stream that stood this long, the next one comes soon. */
#define STOOD_LONG (60 * SECOND)
/* The uris of one stream, as JSON. */
#define FILTER_BYTES_MAX (TOPICS_MAX * (TOPIC_URI_MAX + 8))

static const struct kind {
    unsigned offer;
    const char *filter, *method, *name;
} kinds[] = {
    {OFFERS_TOOLS_CHANGED, "toolsListChanged", "notifications/tools/list_changed", "tools"},
    {OFFERS_PROMPTS_CHANGED, "promptsListChanged", "notifications/prompts/list_changed",
     "prompts"},
    {OFFERS_RESOURCES_CHANGED, "resourcesListChanged", "notifications/resources/list_changed",
     "resources"},
};

#define KINDS (sizeof kinds / sizeof kinds[0])

struct listen {
    struct pending pending;
    struct list_link link; /* in watches->leaving */
    struct watches *watches;
    struct loop_timer deadline; /* of the acknowledgement */
    unsigned asked, accepted;   /* kinds, enum session_offer */
    unsigned topics;            /* asked for, then accepted */
    bool is_acknowledged, is_cancelled;
    mono_us since;
};

static struct loop *loop_of(const struct watches *watches)
{
    return watches->session->core->loop;
}

/* ---- one stream -------------------------------------------------------------------------- */

static void not_acknowledged(void *arg);
static const struct pending_ops listen_ops;

/* No topic points to it any more. What stood in it is lost. */
static void forget_topics(struct listen *listen)
{
    struct topic *topic;
    size_t at = 0;
    while ((topic = map_next(&listen->watches->topics, &at, NULL))) {
        if (topic->asked == listen) {
            topic->asked = NULL;
            topic->state = topic->stands ? TOPIC_STANDS : TOPIC_IDLE;
        }
        if (topic->stands == listen) {
            topic->stands = NULL;
            topic_lost(topic);
        }
    }
}

/* It is in no list of the session any more. */
static void listen_free(struct listen *listen)
{
    struct watches *watches = listen->watches;
    loop_timer_cancel(loop_of(watches), &listen->deadline);
    list_remove(&listen->link);
    watches->current = watches->current == listen ? NULL : watches->current;
    watches->next = watches->next == listen ? NULL : watches->next;
    pending_done(&listen->pending);
    mem_free(listen);
}

static void listen_drop(struct listen *listen)
{
    pending_unregister(&listen->pending);
    list_remove(&listen->pending.link);
    forget_topics(listen);
    listen_free(listen);
}

void listen_lost(struct watches *watches)
{
    struct list_link *link;
    while ((link = list_first(&watches->leaving))) {
        listen_drop(LIST_ITEM(link, struct listen, link));
    }
    if (watches->next) {
        listen_drop(watches->next);
    }
    if (watches->current) {
        listen_drop(watches->current);
    }
}

/* ---- opening ----------------------------------------------------------------------------- */

static unsigned kinds_wanted(const struct watches *watches)
{
    unsigned wanted = 0;
    for (size_t i = 0; i < KINDS; i++) {
        wanted |= watches->session->offers & kinds[i].offer;
    }
    return wanted;
}

/* Appends {notifications: {...}}, and notes which topics are in it. */
static void put_filter(struct listen *listen, struct buf *out)
{
    struct topic *topic;
    size_t at = 0;
    pack_put_map(out, 1);
    pack_put_text(out, "notifications");
    size_t opened = pack_open(out);
    uint32_t count = 0;
    for (size_t i = 0; i < KINDS; i++) {
        if (listen->asked & kinds[i].offer) {
            pack_put_key_bool(out, kinds[i].filter, true);
            count++;
        }
    }
    size_t before = out->len;
    pack_put_text(out, "resourceSubscriptions");
    size_t array = pack_open(out);
    while ((topic = map_next(&listen->watches->topics, &at, NULL))) {
        if (!list_is_empty(&topic->watchers)) {
            pack_put_str(out, (struct slice){topic->uri, topic->len});
            topic->asked = listen;
            topic->state = topic->stands ? TOPIC_STANDS : TOPIC_ASKED;
            listen->topics++;
        }
    }
    pack_close_array(out, array, listen->topics);
    if (listen->topics) {
        count++;
    } else if (!out->overflow) {
        out->len = before;
    }
    pack_close_map(out, opened, count);
}

static bool put_request(struct listen *listen, uint64_t id, struct failure *failure)
{
    struct mcp_session *session = listen->watches->session;
    struct buf filter;
    struct err err = {0};
    buf_init(&filter, FILTER_BYTES_MAX);
    put_filter(listen, &filter);
    const struct message_request request = {.method = "subscriptions/listen",
                                            .members = buf_slice(&filter),
                                            .envelope = {.revision = session->revision}};
    bool is_put = !filter.overflow && message_put_request(core_out(session->core), id, &request,
                                                          &session->core->part, &err) == 0;
    if (!is_put) {
        failure_set(failure, ERR_VALIDATION_ERROR, "the watched uris cannot be sent: %s",
                    filter.overflow ? "they are too long" : err.text);
    }
    buf_done(&filter);
    return is_put;
}

static void open_failed(struct listen *listen, const struct failure *failure, bool is_final);

static void open_stream(struct watches *watches)
{
    struct mcp_session *session = watches->session;
    struct listen *listen = mem_new(sizeof *listen);
    struct failure failure = {0};
    uint64_t id = session_next_id(session);
    watches->next = listen;
    listen->watches = watches;
    listen->asked = kinds_wanted(watches);
    pending_init(&listen->pending, &listen_ops, 0);
    listen->pending.session = session;
    loop_timer_init(&listen->deadline, not_acknowledged, listen);
    if (put_request(listen, id, &failure)) {
        const struct mcp_outgoing message = {.kind = MCP_REQUEST,
                                             .json = buf_slice(&session->core->out),
                                             .token = id,
                                             .deadline = MONO_NEVER,
                                             .method = "subscriptions/listen",
                                             .is_stream = true};
        (void)session_send(session, &listen->pending, &message, &failure);
    }
    if (failure.code) {
        open_failed(listen, &failure, false);
        failure_done(&failure);
        return;
    }
    loop_timer_set(loop_of(watches), &listen->deadline,
                   loop_now(loop_of(watches)) + (mono_us)session->conf->timeout_ms * 1000);
}

/* ---- ending ------------------------------------------------------------------------------ */

/* Taken back by us: the server is told. */
static void give_up(struct listen *listen, const char *reason)
{
    session_forget(&listen->pending, reason);
    forget_topics(listen);
    listen_free(listen);
}

static void refuse_topics(struct watches *watches, const struct failure *failure, bool all)
{
    struct topic *topic;
    size_t at = 0;
    while ((topic = map_next(&watches->topics, &at, NULL))) {
        topic_refused(topic, failure, all);
    }
}

/* `is_final`: the server knows no subscriptions, or will not hear of this one. The pending request
 * is in no list any more. */
static void open_failed(struct listen *listen, const struct failure *failure, bool is_final)
{
    struct watches *watches = listen->watches;
    if (is_final && !watches->has_none) {
        watches->has_none = true;
        log_at(LOG_INFO, "mcp", "the server offers no subscriptions; it is not asked again",
               LOG_SLICE("service", watches->session->conf->name),
               LOG_SLICE("why", buf_slice(&failure->message)));
    }
    struct topic *topic;
    size_t at = 0;
    while ((topic = map_next(&watches->topics, &at, NULL))) {
        if (topic->asked == listen) {
            topic_refused(topic, failure, is_final);
        }
    }
    forget_topics(listen);
    listen_free(listen);
    if (is_final) {
        refuse_topics(watches, failure, true);
        watches_adjust(watches);
    } else {
        watches_back_off(watches);
    }
}

/* It stood and is over, in whatever form. */
static void stream_ended(struct listen *listen)
{
    struct watches *watches = listen->watches;
    bool stood_long = loop_now(loop_of(watches)) - listen->since >= STOOD_LONG;
    log_at(LOG_DEBUG, "mcp", "the server ended a subscription",
           LOG_SLICE("service", watches->session->conf->name),
           LOG_INT("stood_long", stood_long));
    forget_topics(listen);
    listen_free(listen);
    if (stood_long) {
        watches->failures = 0;
    }
    watches_back_off(watches);
}

static void ended_with(struct listen *listen, const struct failure *failure, bool is_final)
{
    if (list_has(&listen->link)) { /* its successor stands */
        forget_topics(listen);
        listen_free(listen);
    } else if (listen->is_acknowledged && !is_final) {
        stream_ended(listen);
    } else {
        struct failure own = {0};
        if (failure) {
            failure_copy(&own, failure);
        } else {
            failure_set(&own, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                        "the server ended the subscription before it stood");
        }
        open_failed(listen, &own, is_final);
        failure_done(&own);
    }
}

static void not_acknowledged(void *arg)
{
    struct listen *listen = arg;
    struct failure failure = {0};
    failure_set(&failure, ERR_TIMEOUT,
                "the server did not acknowledge the subscription in time");
    session_forget(&listen->pending, "timeout");
    open_failed(listen, &failure, false);
    failure_done(&failure);
}

/* ---- what comes -------------------------------------------------------------------------- */

static unsigned kinds_accepted(struct slice filter)
{
    unsigned accepted = 0;
    for (size_t i = 0; i < KINDS; i++) {
        bool is_accepted = false;
        if (pack_get_bool(filter, kinds[i].filter, &is_accepted) && is_accepted) {
            accepted |= kinds[i].offer;
        }
    }
    return accepted;
}

static void accept_topics(struct listen *listen, struct slice filter)
{
    struct slice array;
    struct slice uri;
    struct pack_item head;
    listen->topics = 0;
    if (!pack_get(filter, "resourceSubscriptions", &array)) {
        return;
    }
    struct pack cursor = pack_over(array);
    if (!pack_next(&cursor, &head) || head.type != PACK_ARRAY) {
        return;
    }
    for (uint32_t i = 0; i < head.count && pack_next_text(&cursor, &uri); i++) {
        struct topic *topic = map_get(&listen->watches->topics, uri);
        if (topic && topic->asked == listen) {
            topic->asked = NULL;
            topic->stands = listen;
            listen->topics++;
            topic_started(topic);
        }
    }
}

/* What was asked and not accepted stands nowhere. */
static void refuse_rest(struct listen *listen)
{
    struct failure failure = {0};
    struct topic *topic;
    size_t at = 0;
    failure_set(&failure, ERR_NOT_FOUND,
                "the server does not tell of changes of this resource");
    failure_suggest(&failure, "Read the resource again when you need it.");
    while ((topic = map_next(&listen->watches->topics, &at, NULL))) {
        if (topic->asked == listen) {
            topic->asked = NULL;
            topic->stands = NULL;
            topic->state = TOPIC_IDLE;
            topic_refused(topic, &failure, true);
        }
    }
    failure_done(&failure);
}

/* Nobody listened for a while: whatever could have been said may have happened. */
static void make_up(struct watches *watches, unsigned accepted)
{
    struct mcp_session *session = watches->session;
    for (size_t i = 0; i < KINDS; i++) {
        if (accepted & kinds[i].offer) {
            (void)watches_take(session, slice_of(kinds[i].method), (struct slice){NULL, 0});
        }
    }
}

static void acknowledged(struct listen *listen, struct slice params)
{
    struct watches *watches = listen->watches;
    struct listen *old = watches->current;
    struct slice filter = {NULL, 0};
    (void)pack_get(params, "notifications", &filter);
    loop_timer_cancel(loop_of(watches), &listen->deadline);
    listen->is_acknowledged = true;
    listen->since = loop_now(loop_of(watches));
    listen->accepted = listen->asked & kinds_accepted(filter);
    watches->next = NULL;
    watches->current = listen;
    bool had_gap = !old && watches->has_stood;
    watches->has_stood = true;
    accept_topics(listen, filter);
    refuse_rest(listen);
    if (old) {
        list_append(&watches->leaving, &old->link);
    }
    if (had_gap) {
        make_up(watches, listen->accepted);
    }
    watches_adjust(watches);
}

static void take_change(struct listen *listen, struct slice method, struct slice params)
{
    struct mcp_session *session = listen->watches->session;
    if (slice_is(method, "notifications/resources/updated") && listen->topics) {
        session->dropped += !watches_take(session, method, params);
        return;
    }
    for (size_t i = 0; i < KINDS; i++) {
        if (slice_is(method, kinds[i].method) && (listen->accepted & kinds[i].offer)) {
            (void)watches_take(session, method, params);
            return;
        }
    }
    session->dropped++; /* nobody asked for it */
}

/* Not to be ended here: `adjust` sees to it. */
static void on_notice(struct pending *pending, struct slice method, struct slice params)
{
    struct listen *listen = LIST_ITEM(pending, struct listen, pending);
    struct watches *watches = listen->watches;
    if (slice_is(method, "notifications/cancelled")) {
        listen->is_cancelled = true;
        watches_adjust(watches);
    } else if (list_has(&listen->link)) {
        return; /* its successor has heard it too */
    } else if (slice_is(method, "notifications/subscriptions/acknowledged")) {
        if (!listen->is_acknowledged) {
            acknowledged(listen, params);
        }
    } else if (listen->is_acknowledged) {
        take_change(listen, method, params);
    } else {
        watches->session->faults++; /* the acknowledgement is to be the first */
    }
}

static bool is_unknown_method(struct slice error)
{
    int64_t code = 0;
    return pack_get_int(error, "code", &code) && code == JSONRPC_METHOD_NOT_FOUND;
}

static void on_answered(struct pending *pending, const struct message *message)
{
    struct listen *listen = LIST_ITEM(pending, struct listen, pending);
    struct failure failure = {0};
    if (message->kind == MESSAGE_ERROR) {
        message_error_to_failure(message->error, &failure);
        ended_with(listen, &failure, is_unknown_method(message->error));
        failure_done(&failure);
        return;
    }
    ended_with(listen, NULL, false);
}

/* 404 without a body that says more, and 405, mean the same as -32601. */
static bool is_not_there(const struct failure *failure)
{
    int64_t status = detail_http_status(failure);
    return status == 404 || status == 405 || status == 501;
}

static void on_failed(struct pending *pending, const struct failure *failure, bool sent)
{
    (void)sent;
    ended_with(LIST_ITEM(pending, struct listen, pending), failure, is_not_there(failure));
}

static void on_ready(struct pending *pending)
{
    struct listen *listen = LIST_ITEM(pending, struct listen, pending);
    struct watches *watches = listen->watches;
    forget_topics(listen);
    listen_free(listen);
    watches_adjust(watches);
}

static const struct pending_ops listen_ops = {
    .ready = on_ready, .answered = on_answered, .failed = on_failed, .notice = on_notice};

/* ---- what is wanted ---------------------------------------------------------------------- */

static void end_cancelled(struct watches *watches)
{
    struct listen *const streams[] = {watches->current, watches->next};
    struct mcp_transport *transport = watches->session->wire->transport;
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        struct listen *listen = streams[i];
        if (listen && listen->is_cancelled) {
            uint64_t id = listen->pending.id;
            pending_unregister(&listen->pending);
            transport->ops->abandon(transport, id);
            ended_with(listen, NULL, false);
        }
    }
}

static bool is_what_is_wanted(const struct watches *watches, unsigned wanted)
{
    const struct listen *current = watches->current;
    const struct topic *topic;
    size_t at = 0;
    unsigned held = 0;
    if (!current) {
        return false;
    }
    while ((topic = map_next(&watches->topics, &at, NULL))) {
        bool is_watched = !list_is_empty(&topic->watchers);
        if (is_watched && topic->stands != current) {
            return false;
        }
        held += is_watched;
    }
    return current->asked == wanted && held == current->topics;
}

void listen_adjust(struct watches *watches)
{
    struct list_link *link;
    unsigned wanted = kinds_wanted(watches);
    bool is_wanted = wanted || watches_are_wanted(watches);
    while ((link = list_first(&watches->leaving))) {
        give_up(LIST_ITEM(link, struct listen, link), "another subscription stands in for it");
    }
    end_cancelled(watches);
    if (watches->has_none && is_wanted) {
        struct failure failure = {0};
        failure_set(&failure, ERR_NOT_FOUND, "the server offers no subscriptions");
        failure_suggest(&failure, "Read the resource again when you need it.");
        refuse_topics(watches, &failure, true);
        failure_done(&failure);
        return;
    }
    if (watches->next || is_what_is_wanted(watches, wanted)) {
        return; /* when the next one stands, it is looked at again */
    }
    if (!is_wanted) {
        if (watches->current) {
            give_up(watches->current, "nobody listens any more");
        }
        return;
    }
    if (loop_now(loop_of(watches)) < watches->not_before) {
        loop_timer_set(loop_of(watches), &watches->retry, watches->not_before);
        return;
    }
    open_stream(watches);
}
