/* SPDX-License-Identifier: MIT */
/* listing.c - tools/list, page by page, into a catalogue; one at a time for all who wait for it. */
#include "base/log.h"
#include "base/mem.h"
#include "mcp/catalog.h"
#include "mcp/pages.h"
#include "mcp/session.h"
#include "value/pack.h"

/* A server that says "changed" all the time is listed at most this often. */
#define CHANGES_WINDOW ((mono_us)1000000)
#define CHANGES_MAX    8u
/* A list is asked for again after a day, whatever its server says. */
#define TTL_MAX_MS ((int64_t)24 * 3600 * 1000)

struct listing {
    struct pending pending;
    struct mcp_session *session;
    struct loop_timer deadline;
    struct buf definitions;
    size_t count;
    struct pages pages;
    mono_us until; /* its pages are fresh so long */
    bool is_outdated;
    bool is_waiting; /* all is here, but not yet what it is to be compared with */
};

static void free_listing(struct listing *listing)
{
    pending_unregister(&listing->pending);
    list_remove(&listing->pending.link);
    pending_done(&listing->pending);
    loop_timer_cancel(listing->session->core->loop, &listing->deadline);
    buf_done(&listing->definitions);
    pages_done(&listing->pages);
    mem_free(listing);
}

void listing_drop(struct mcp_session *session)
{
    struct listing *listing = session->listing;
    if (listing) {
        session->listing = NULL;
        free_listing(listing);
    }
}

static void fail(struct listing *listing, const struct failure *failure)
{
    struct mcp_session *session = listing->session;
    struct list waiting;
    struct list_link *link;
    struct failure own = {0};
    failure_copy(&own, failure);
    if (list_is_empty(&session->listers)) { /* else those who wait are told */
        log_at(LOG_WARN, "mcp", "the tools could not be listed",
               LOG_SLICE("service", session->conf->name),
               LOG_SLICE("why", buf_slice(&own.message)));
    }
    listing_drop(session);
    list_init(&waiting);
    while ((link = list_first(&session->listers))) {
        list_remove(link);
        list_append(&waiting, link);
    }
    while ((link = list_first(&waiting))) {
        struct pending *pending = LIST_ITEM(link, struct pending, link);
        list_remove(link);
        pending->ops->failed(pending, &own, false);
    }
    failure_done(&own);
}

static void fail_with(struct listing *listing, const char *why)
{
    struct failure failure = {0};
    failure_set(&failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                "the server's tools could not be listed: %s", why);
    fail(listing, &failure);
    failure_done(&failure);
}

static void ask(struct listing *listing)
{
    struct mcp_session *session = listing->session;
    struct failure failure = {0};
    if (session->state != SESSION_READY) {
        session_await_ready(session, &listing->pending);
        return;
    }
    struct buf *out = core_out(session->core);
    uint64_t id = session_next_id(session);
    const struct message_request request = {
        .method = "tools/list",
        .cursor = pages_cursor(&listing->pages),
        .envelope = {.revision = session->revision, .capabilities = session->listed_for}};
    (void)message_put_request(out, id, &request, &session->core->part, NULL);
    const struct mcp_outgoing message = {.kind = MCP_REQUEST,
                                         .json = buf_slice(out),
                                         .token = id,
                                         .deadline = listing->deadline.when,
                                         .method = "tools/list"};
    if (session_send(session, &listing->pending, &message, &failure) < 0) {
        fail(listing, &failure);
    }
    failure_done(&failure);
}

/* From the first page on: at the beginning, and when what was gathered is of no use any more. */
static void begin(struct listing *listing)
{
    buf_clear(&listing->definitions);
    listing->count = 0;
    listing->until = MONO_NEVER;
    listing->is_outdated = listing->is_waiting = false;
    pages_restart(&listing->pages);
    listing->session->listed_for = listing->session->shown; /* all of its pages */
    ask(listing);
}

/* ---- pages ------------------------------------------------------------------------------- */

static const char *take_tools(struct listing *listing, struct slice result)
{
    struct slice tools;
    struct pack_item head;
    if (!pack_get(result, "tools", &tools)) {
        return "the answer holds no tools";
    }
    struct pack cursor = pack_over(tools);
    if (!pack_next(&cursor, &head) || head.type != PACK_ARRAY) {
        return "`tools` is no array";
    }
    if (head.count > CATALOG_TOOLS_MAX - listing->count) {
        return "there are more than 20000 of them";
    }
    listing->count += head.count;
    buf_put(&listing->definitions, cursor.at, (size_t)(cursor.end - cursor.at));
    return listing->definitions.overflow ? "they are longer than 32 MiB" : NULL;
}

/* How long a modern server lets a page be kept; the whole list is as fresh as its oldest page. What a
 * legacy server listed is good until it says otherwise. */
static void take_freshness(struct listing *listing, struct slice result)
{
    struct mcp_session *session = listing->session;
    mono_us now = loop_now(session->core->loop);
    int64_t ttl_ms = 0;
    if (!session_is_modern(session)) {
        return;
    }
    if (!pack_get_int(result, "ttlMs", &ttl_ms) || ttl_ms < 0) {
        ttl_ms = 0;
    }
    ttl_ms = ttl_ms < TTL_MAX_MS ? ttl_ms : TTL_MAX_MS;
    mono_us until = now + ttl_ms * 1000;
    listing->until = until < listing->until ? until : listing->until;
}

static struct mcp_catalog *make_catalog(struct listing *listing)
{
    struct mcp_session *session = listing->session;
    struct slice definitions = buf_slice(&listing->definitions);
    if (session->events && session->events->listed) {
        return session->events->listed(session->arg, session, definitions, listing->count);
    }
    return catalog_build(definitions, listing->count, NULL);
}

static void finish(struct listing *listing)
{
    struct mcp_session *session = listing->session;
    struct list_link *link;
    if (session->events && session->events->may_list &&
        !session->events->may_list(session->arg)) {
        listing->is_waiting = true;
        return;
    }
    struct mcp_catalog *catalog = make_catalog(listing);
    if (!catalog) {
        struct failure failure = {0};
        failure_set(&failure, ERR_UNAVAILABLE, "there is no memory for the server's tools");
        failure.class = FAILURE_OF_BROKER;
        fail(listing, &failure);
        failure_done(&failure);
        return;
    }
    mcp_catalog_unref(session->catalog);
    session->catalog = catalog;
    session->is_catalog_stale = false;
    session->catalog_at = loop_now(session->core->loop);
    /* Those who wait now are shown it, however short it keeps. */
    session->catalog_until =
        listing->until > session->catalog_at ? listing->until : session->catalog_at;
    listing_drop(session);
    while (session_has_catalog(session) && (link = list_first(&session->listers))) {
        struct pending *pending = LIST_ITEM(link, struct pending, link);
        list_remove(link);
        pending->ops->listed(pending);
    }
}

void listing_resume(struct mcp_session *session)
{
    struct listing *listing = session->listing;
    if (listing && listing->is_waiting) {
        listing->is_waiting = false;
        if (listing->is_outdated) {
            begin(listing);
        } else {
            finish(listing);
        }
    }
}

static void answered(struct pending *pending, const struct message *message)
{
    struct listing *listing = LIST_ITEM(pending, struct listing, pending);
    const char *fault = NULL;
    if (message->kind == MESSAGE_ERROR) {
        struct failure failure = {0};
        message_error_to_failure(message->error, &failure);
        fail(listing, &failure);
        failure_done(&failure);
        return;
    }
    if (listing->is_outdated) {
        begin(listing);
        return;
    }
    fault = take_tools(listing, message->result);
    take_freshness(listing, message->result);
    bool has_more = !fault && pages_take(&listing->pages, message->result, &fault);
    if (fault) {
        fail_with(listing, fault);
    } else if (has_more) {
        ask(listing);
    } else {
        finish(listing);
    }
}

static void failed(struct pending *pending, const struct failure *failure, bool sent)
{
    (void)sent;
    fail(LIST_ITEM(pending, struct listing, pending), failure);
}

/* The session is a new one: its cursors are too. */
static void ready(struct pending *pending)
{
    begin(LIST_ITEM(pending, struct listing, pending));
}

static void timed_out(void *arg)
{
    struct listing *listing = arg;
    struct failure failure = {0};
    failure_set(&failure, ERR_TIMEOUT, "the server did not list its tools within %u ms",
                listing->session->conf->timeout_ms);
    session_forget(&listing->pending, "timeout");
    fail(listing, &failure);
    failure_done(&failure);
}

static const struct pending_ops listing_ops = {
    .ready = ready, .answered = answered, .failed = failed};

void listing_start(struct mcp_session *session)
{
    if (session->listing) {
        return;
    }
    struct loop *loop = session->core->loop;
    struct listing *listing = mem_new(sizeof *listing);
    session->listing = listing;
    listing->session = session;
    pending_init(&listing->pending, &listing_ops, 0);
    listing->pending.session = session;
    buf_init(&listing->definitions, CATALOG_BYTES_MAX);
    pages_init(&listing->pages);
    loop_timer_init(&listing->deadline, timed_out, listing);
    loop_timer_set(loop, &listing->deadline,
                   loop_now(loop) + (mono_us)session->conf->timeout_ms * 1000);
    begin(listing);
}

/* ---- changes ----------------------------------------------------------------------------- */

void session_forget_catalog(struct mcp_session *session)
{
    struct loop *loop = session->core->loop;
    if (!(session->offers & OFFERS_TOOLS) || session->state != SESSION_READY) {
        return;
    }
    if (loop_now(loop) - session->changes_since >= CHANGES_WINDOW) {
        session->changes_since = loop_now(loop);
        session->changes = 0;
    }
    if (++session->changes > CHANGES_MAX) {
        loop_timer_set(loop, &session->relist_timer, session->changes_since + CHANGES_WINDOW);
        return;
    }
    session->is_catalog_stale = true;
    if (session->listing) {
        session->listing->is_outdated = true;
    } else {
        listing_start(session);
    }
}
