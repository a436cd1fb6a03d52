/* SPDX-License-Identifier: MIT */
/* topics.c - the uris that a session watches: asked for, lost, asked for again, given up. */
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "mcp/watch.h"
#include "value/pack.h"

#include <stdio.h>

static void adjust(void *arg);
static void retry_passed(void *arg);
static const struct pending_ops waiter_ops;
static const struct pending_ops topic_ops;

#define SECOND         ((mono_us)1000000)
#define BACK_OFF_FIRST (SECOND / 4)
#define BACK_OFF_MAX   (60 * SECOND)

static struct loop *loop_of(const struct watches *watches)
{
    return watches->session->core->loop;
}

/* ---- life -------------------------------------------------------------------------------- */

struct watches *watches_of(struct mcp_session *session)
{
    if (!session->watches) {
        struct watches *watches = mem_new(sizeof *watches);
        session->watches = watches;
        watches->session = session;
        map_init(&watches->topics);
        list_init(&watches->leaving);
        pending_init(&watches->waiter, &waiter_ops, 0);
        watches->waiter.session = session;
        loop_task_init(&watches->adjust, adjust, watches);
        loop_timer_init(&watches->retry, retry_passed, watches);
    }
    return session->watches;
}

static void topic_withdraw(struct topic *topic)
{
    loop_timer_cancel(loop_of(topic->watches), &topic->deadline);
    pending_unregister(&topic->pending);
    list_remove(&topic->pending.link);
}

static void topic_free(struct topic *topic)
{
    must(list_is_empty(&topic->watchers));
    topic_withdraw(topic);
    pending_done(&topic->pending);
    topic->watches->count--;
    mem_free(topic->uri);
    mem_free(topic);
}

void watches_done(struct mcp_session *session)
{
    struct watches *watches = session->watches;
    struct topic *topic;
    size_t at = 0;
    if (!watches) {
        return;
    }
    session->watches = NULL;
    listen_lost(watches);
    while ((topic = map_next(&watches->topics, &at, NULL))) {
        topic_free(topic);
    }
    map_done(&watches->topics);
    list_remove(&watches->waiter.link);
    pending_done(&watches->waiter);
    loop_task_cancel(&watches->adjust);
    loop_timer_cancel(session->core->loop, &watches->retry);
    mem_free(watches);
}

static void timed_out(void *arg);

struct topic *topic_get(struct watches *watches, struct slice uri)
{
    struct topic *topic = map_get(&watches->topics, uri);
    if (topic || watches->count >= TOPICS_MAX) {
        return topic;
    }
    topic = mem_new(sizeof *topic);
    topic->watches = watches;
    topic->uri = mem_dup(uri);
    topic->len = uri.len;
    list_init(&topic->watchers);
    pending_init(&topic->pending, &topic_ops, 0);
    topic->pending.session = watches->session;
    loop_timer_init(&topic->deadline, timed_out, topic);
    map_set(&watches->topics, uri, topic);
    watches->count++;
    return topic;
}

void watches_adjust(struct watches *watches)
{
    loop_later(loop_of(watches), &watches->adjust);
}

void watches_back_off(struct watches *watches)
{
    unsigned doublings = watches->failures > 10 ? 10 : watches->failures;
    mono_us wait = BACK_OFF_FIRST << doublings;
    watches->failures++;
    watches->not_before =
        loop_now(loop_of(watches)) + (wait < BACK_OFF_MAX ? wait : BACK_OFF_MAX);
    watches_adjust(watches);
}

bool watches_are_wanted(const struct watches *watches)
{
    const struct topic *topic;
    size_t at = 0;
    while ((topic = map_next(&watches->topics, &at, NULL))) {
        if (!list_is_empty(&topic->watchers)) {
            return true;
        }
    }
    return false;
}

/* ---- telling those who watch ------------------------------------------------------------- */

/* Whoever is told may end any watch, also the next one: whoever takes it out moves `next` on. */

static struct mcp_watch *next_watcher(struct topic *topic)
{
    struct list_link *link = topic->next;
    if (!link || link == &topic->watchers.head) {
        topic->next = NULL;
        return NULL;
    }
    topic->next = link->next;
    return LIST_ITEM(link, struct mcp_watch, in_topic);
}

void topic_started(struct topic *topic)
{
    topic->state = TOPIC_STANDS;
    list_each (link, &topic->watchers) {
        watch_started(LIST_ITEM(link, struct mcp_watch, in_topic));
    }
}

void topic_lost(struct topic *topic)
{
    topic->state = TOPIC_IDLE;
    list_each (link, &topic->watchers) {
        struct mcp_watch *watch = LIST_ITEM(link, struct mcp_watch, in_topic);
        watch->owes_update |= watch->is_started;
    }
}

void topic_refused(struct topic *topic, const struct failure *failure, bool all)
{
    list_each (link, &topic->watchers) {
        struct mcp_watch *watch = LIST_ITEM(link, struct mcp_watch, in_topic);
        if (!watch->is_started) {
            watch_refused(watch, failure);
        } else if (all) {
            watch_ended(watch);
        }
    }
}

static void tell_updated(struct watches *watches, struct slice key, struct slice uri)
{
    struct topic *topic = map_get(&watches->topics, key);
    struct mcp_watch *watch;
    if (!topic) {
        return;
    }
    topic->next = topic->watchers.head.next;
    while ((watch = next_watcher(topic))) {
        if (watch->is_told && !watch->is_over) {
            watch->events->updated(watch->arg, uri);
        }
    }
}

static bool is_divider(char c)
{
    return c == '/' || c == '#' || c == '?';
}

/* What is watched are the beginnings of `uri` that end at a divider. Each is looked up anew: those who
 * are told may change everything. */
void watches_updated(struct watches *watches, struct slice uri)
{
    size_t len = uri.len < TOPIC_URI_MAX ? uri.len : TOPIC_URI_MAX;
    tell_updated(watches, uri, uri);
    for (size_t i = 1; i < len; i++) {
        if (!is_divider(uri.ptr[i])) {
            continue;
        }
        tell_updated(watches, (struct slice){uri.ptr, i}, uri);
        if (i + 1 < uri.len) {
            tell_updated(watches, (struct slice){uri.ptr, i + 1}, uri);
        }
    }
}

/* ---- legacy: one request a uri ----------------------------------------------------------- */

static void settled(struct topic *topic, const struct failure *failure, bool is_answer);

static void ask(struct topic *topic, const char *method, enum topic_state state)
{
    struct mcp_session *session = topic->watches->session;
    struct loop *loop = session->core->loop;
    struct buf *out = core_out(session->core);
    struct failure failure = {0};
    uint64_t id = session_next_id(session);
    struct slice uri = {topic->uri, topic->len};
    mono_us deadline = loop_now(loop) + (mono_us)session->conf->timeout_ms * 1000;
    const struct message_request request = {.method = method,
                                            .name_key = "uri",
                                            .name = uri,
                                            .envelope = {.revision = session->revision}};
    (void)message_put_request(out, id, &request, &session->core->part, NULL);
    const struct mcp_outgoing message = {.kind = MCP_REQUEST,
                                         .json = buf_slice(out),
                                         .token = id,
                                         .deadline = deadline,
                                         .method = method};
    topic->state = state;
    if (session_send(session, &topic->pending, &message, &failure) < 0) {
        settled(topic, &failure, false);
    } else {
        loop_timer_set(loop, &topic->deadline, deadline);
    }
    failure_done(&failure);
}

/* Who watched before hears that it is over where the server says so; else it is tried again. */
static void settled(struct topic *topic, const struct failure *failure, bool is_answer)
{
    struct watches *watches = topic->watches;
    bool was_asked = topic->state == TOPIC_ASKED;
    loop_timer_cancel(loop_of(watches), &topic->deadline);
    topic->state = TOPIC_IDLE;
    topic->pending.was_resent = false;
    if (was_asked && !failure) {
        watches->failures = 0;
        topic_started(topic);
    } else if (was_asked) {
        topic_refused(topic, failure, is_answer);
    }
    if (failure && !is_answer) {
        watches_back_off(watches);
    }
    watches_adjust(watches);
}

static void on_answered(struct pending *pending, const struct message *message)
{
    struct topic *topic = LIST_ITEM(pending, struct topic, pending);
    if (message->kind == MESSAGE_ERROR) {
        struct failure failure = {0};
        message_error_to_failure(message->error, &failure);
        settled(topic, &failure, true);
        failure_done(&failure);
        return;
    }
    settled(topic, NULL, true);
}

static void on_failed(struct pending *pending, const struct failure *failure, bool sent)
{
    (void)sent;
    settled(LIST_ITEM(pending, struct topic, pending), failure, false);
}

/* The server had forgotten the session and never looked at it. */
static void on_ready(struct pending *pending)
{
    struct topic *topic = LIST_ITEM(pending, struct topic, pending);
    loop_timer_cancel(loop_of(topic->watches), &topic->deadline);
    topic->state = TOPIC_IDLE;
    watches_adjust(topic->watches);
}

static const struct pending_ops topic_ops = {
    .ready = on_ready, .answered = on_answered, .failed = on_failed};

static void timed_out(void *arg)
{
    struct topic *topic = arg;
    struct failure failure = {0};
    failure_set(&failure, ERR_TIMEOUT, "the server did not answer within %u ms",
                topic->watches->session->conf->timeout_ms);
    session_forget(&topic->pending, "timeout");
    settled(topic, &failure, false);
    failure_done(&failure);
}

static void refuse_all(struct watches *watches)
{
    struct failure failure = {0};
    struct topic *topic;
    size_t at = 0;
    failure_set(&failure, ERR_NOT_FOUND,
                "the service \"%.*s\" does not tell of changes of its resources",
                SLICE_ARG(watches->session->conf->name));
    failure_suggest(&failure, "Read the resource again when you need it.");
    while ((topic = map_next(&watches->topics, &at, NULL))) {
        topic_refused(topic, &failure, true);
    }
    failure_done(&failure);
}

static void adjust_legacy(struct watches *watches)
{
    struct mcp_session *session = watches->session;
    struct topic *topic;
    size_t at = 0;
    if (loop_now(loop_of(watches)) < watches->not_before) {
        loop_timer_set(loop_of(watches), &watches->retry, watches->not_before);
        return;
    }
    /* Whoever is refused may have been the last user of a session that then ends. */
    while (session->state == SESSION_READY && (topic = map_next(&watches->topics, &at, NULL))) {
        bool is_wanted = !list_is_empty(&topic->watchers);
        if (is_wanted && topic->state == TOPIC_IDLE) {
            ask(topic, "resources/subscribe", TOPIC_ASKED);
        } else if (!is_wanted && topic->state == TOPIC_STANDS) {
            ask(topic, "resources/unsubscribe", TOPIC_ENDING);
        }
    }
}

/* ---- the session ------------------------------------------------------------------------- */

static void start_session(struct watches *watches)
{
    struct mcp_session *session = watches->session;
    struct failure failure = {0};
    if (session->state == SESSION_STOPPED) {
        if (loop_now(loop_of(watches)) < session->not_before) {
            loop_timer_set(loop_of(watches), &watches->retry, session->not_before);
            return;
        }
        if (session_start(session, &failure) < 0) {
            waiter_ops.failed(&watches->waiter, &failure, false);
            failure_done(&failure);
            return;
        }
    }
    if (!list_has(&watches->waiter.link)) {
        session_await_ready(session, &watches->waiter);
    }
}

/* Those who have waited for a first start are told; for the others it is tried again. */
static void start_failed(struct pending *pending, const struct failure *failure, bool sent)
{
    struct watches *watches = LIST_ITEM(pending, struct watches, waiter);
    struct topic *topic;
    size_t at = 0;
    (void)sent;
    while ((topic = map_next(&watches->topics, &at, NULL))) {
        topic_refused(topic, failure, false);
    }
    watches_adjust(watches);
}

static void on_session_ready(struct pending *pending)
{
    watches_adjust(LIST_ITEM(pending, struct watches, waiter));
}

static const struct pending_ops waiter_ops = {.ready = on_session_ready,
                                              .failed = start_failed};

static void retry_passed(void *arg)
{
    adjust(arg);
}

static void sweep(struct watches *watches)
{
    struct topic *topic;
    size_t at = 0;
    while ((topic = map_next(&watches->topics, &at, NULL))) {
        if (topic->state == TOPIC_IDLE && list_is_empty(&topic->watchers)) {
            (void)map_remove(&watches->topics, (struct slice){topic->uri, topic->len});
            topic_free(topic);
        }
    }
}

static void adjust(void *arg)
{
    struct watches *watches = arg;
    struct mcp_session *session = watches->session;
    bool is_wanted = watches_are_wanted(watches);
    if (session->state != SESSION_READY) {
        if (is_wanted) {
            start_session(watches);
        }
    } else if (is_wanted && !(session->offers & OFFERS_RESOURCES_SUBSCRIBE)) {
        refuse_all(watches);
        watches_adjust(watches);
        return;
    } else if (session_is_modern(session)) {
        listen_adjust(watches);
    } else {
        adjust_legacy(watches);
    }
    sweep(watches);
}

void watches_began(struct mcp_session *session)
{
    const unsigned changes =
        OFFERS_TOOLS_CHANGED | OFFERS_PROMPTS_CHANGED | OFFERS_RESOURCES_CHANGED;
    struct topic *topic;
    size_t at = 0;
    if (!session->watches && !(session_is_modern(session) && (session->offers & changes))) {
        return;
    }
    struct watches *watches = watches_of(session);
    watches->has_none = false;
    while ((topic = map_next(&watches->topics, &at, NULL))) {
        if (topic->state == TOPIC_STANDS) { /* in a session that the server forgot */
            topic_lost(topic);
        }
    }
    list_remove(&watches->waiter.link);
    adjust(watches);
}

void watches_lost(struct mcp_session *session)
{
    struct watches *watches = session->watches;
    struct topic *topic;
    size_t at = 0;
    if (!watches) {
        return;
    }
    listen_lost(watches);
    watches->failures = 0; /* a new session has its own back-off */
    watches->not_before = 0;
    while ((topic = map_next(&watches->topics, &at, NULL))) {
        if (topic->state == TOPIC_STANDS) {
            topic_lost(topic);
        }
    }
    watches_adjust(watches);
}

bool watches_take(struct mcp_session *session, struct slice method, struct slice params)
{
    static const char *const kinds[] = {"tools", "prompts", "resources"};
    struct slice uri;
    char name[64];
    if (slice_is(method, "notifications/resources/updated")) {
        if (!pack_get_text(params, "uri", &uri)) {
            return false;
        }
        if (session->events && session->events->resource_updated) {
            session->events->resource_updated(session->arg, session, uri);
        }
        if (session->watches) {
            watches_updated(session->watches, uri);
        }
        return true;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        (void)snprintf(name, sizeof name, "notifications/%s/list_changed", kinds[i]);
        if (!slice_is(method, name)) {
            continue;
        }
        if (i == 0) {
            session_forget_catalog(session);
        }
        if (session->events && session->events->list_changed) {
            session->events->list_changed(session->arg, session, kinds[i]);
        }
        return true;
    }
    return false;
}
