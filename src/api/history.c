/* SPDX-License-Identifier: MIT */
/* history.c - the methods services.events, health.history and activity.query: what the database has
 * of what happened. */
#include "api/api_internal.h"
#include "base/mem.h"

#include <stdio.h>

#define LIMIT_DEFAULT 100
#define MOMENT_MAX    INT64_C(253402300799999)

/* The first parameters of each of them; activity.query has more. */
enum {
    HISTORY_SERVICE,
    HISTORY_SINCE,
    HISTORY_UNTIL,
    HISTORY_LIMIT,
    HISTORY_BEFORE,
    ACTIVITY_AGENT,
    ACTIVITY_USER,
    ACTIVITY_TOOL,
    ACTIVITY_OUTCOME
};

enum history_kind { HISTORY_ALL, HISTORY_HEALTH, HISTORY_CALLS };

struct history {
    struct rpc_pending pending;
    struct store_query query;
    struct api *api;
    char *service;
    enum history_kind kind;
};

static void history_free(struct history *history)
{
    rpc_pending_drop(&history->pending);
    mem_free(history->service);
    mem_free(history);
}

/* ---- answering --------------------------------------------------------------------------- */

static bool is_of_health(struct slice row)
{
    struct slice kind;
    return pack_get_text(row, "kind", &kind) &&
           (slice_is(kind, "check") || slice_is(kind, "health"));
}

static void put_those_of_health(struct slice rows, struct buf *out)
{
    struct pack cursor = pack_over(rows);
    struct pack_item list = {0};
    struct slice row;
    uint32_t count = 0;
    size_t opened = pack_open(out);
    (void)pack_next(&cursor, &list);
    for (uint32_t i = 0; i < list.count && pack_take(&cursor, &row); i++) {
        if (is_of_health(row)) {
            buf_put_slice(out, row);
            count++;
        }
    }
    pack_close_array(out, opened, count);
}

static void put_rows(enum history_kind kind, struct slice rows, struct buf *out)
{
    pack_put_text(out, kind == HISTORY_CALLS ? "calls" : "events");
    if (kind == HISTORY_HEALTH) {
        put_those_of_health(rows, out);
    } else {
        buf_put_slice(out, rows);
    }
}

/* The database cannot be read: what memory has is better than nothing. */
static void put_recent(const struct history *history, struct buf *out)
{
    struct buf rows;
    buf_init(&rows, history->api->limits.reply_bytes);
    const struct health_span span = {.service = slice_of(history->service),
                                     .since = history->query.since,
                                     .until = history->query.until,
                                     .limit = history->query.limit};
    health_put_recent(history->api->health, &span, &rows);
    pack_put_map(out, 2);
    put_rows(history->kind, buf_slice(&rows), out);
    pack_put_key_text(out, "from", "memory");
    buf_done(&rows);
}

static void fail(struct history *history, const struct err *err)
{
    struct failure failure = {0};
    failure_from_err(&failure, err);
    rpc_pending_fail(&history->pending, &failure);
    failure_done(&failure);
}

static void queried(void *arg, struct slice rows, int64_t next, const struct err *err)
{
    struct history *history = arg;
    if (err && (history->kind == HISTORY_CALLS || history->query.before)) {
        fail(history, err);
        history_free(history);
        return;
    }
    struct buf *out = rpc_pending_result(&history->pending);
    if (out && err) {
        put_recent(history, out);
        rpc_pending_end(&history->pending);
    } else if (out) {
        pack_put_map(out, 1u + (next != 0));
        put_rows(history->kind, rows, out);
        if (next) {
            pack_put_key_int(out, "next", next);
        }
        rpc_pending_end(&history->pending);
    }
    history_free(history);
}

static void history_left(struct rpc_pending *pending)
{
    struct history *history = LIST_ITEM(pending, struct history, pending);
    store_forget_query(history->api->store, &history->query);
    if (pending->peer) {
        struct failure failure = {0};
        failure_set(&failure, ERR_CANCELLED, "the request was cancelled by its client");
        rpc_pending_fail(pending, &failure);
        failure_done(&failure);
    }
    history_free(history);
}

/* ---- asking ------------------------------------------------------------------------------ */

/* Milliseconds since 1970, to the end of the year 9999. */
static bool take_number(struct slice value, wall_ms *ret)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    return pack_next(&cursor, &item) && pack_as_int(&item, ret) && *ret >= 0 &&
           *ret <= MOMENT_MAX;
}

/* False: it is no moment, and the request is answered. */
static bool take_moment(struct rpc_request *request, unsigned param, wall_ms *ret)
{
    const struct rpc_value *value = &request->args[param];
    struct slice name = request->method->params[param].name;
    struct pack cursor = pack_over(value->text);
    struct slice text;
    *ret = 0;
    if (!value->given || take_number(value->text, ret)) {
        return true;
    }
    if (pack_next_text(&cursor, &text) && api_parse_moment(text, ret)) {
        return true;
    }
    struct failure failure = {0};
    failure_set(&failure, ERR_INVALID_REQUEST, "parameter `%.*s` is no moment",
                SLICE_ARG(name));
    failure_suggest(&failure, "Write 2026-11-21T09:45:00Z, or milliseconds since 1970.");
    failure_detail_str(&failure, "field", name);
    failure_detail_text(&failure, "expected", "RFC 3339, or an integer");
    rpc_fail(request, &failure);
    failure_done(&failure);
    return false;
}

/* NULL: it is answered. */
static struct history *take(struct api *api, struct rpc_request *request,
                            enum history_kind kind)
{
    const struct rpc_value *args = request->args;
    wall_ms since;
    wall_ms until;
    if (!take_moment(request, HISTORY_SINCE, &since) ||
        !take_moment(request, HISTORY_UNTIL, &until) ||
        !api_check_range(request, HISTORY_LIMIT, 1, STORE_QUERY_LIMIT) ||
        !api_check_range(request, HISTORY_BEFORE, 1, INT64_MAX)) {
        return NULL;
    }
    struct history *history = mem_new(sizeof *history);
    history->api = api;
    history->kind = kind;
    history->service = mem_dup(args[HISTORY_SERVICE].text);
    history->query = (struct store_query){
        .since = since,
        .until = until,
        .before = args[HISTORY_BEFORE].number,
        .limit =
            args[HISTORY_LIMIT].given ? (uint32_t)args[HISTORY_LIMIT].number : LIMIT_DEFAULT,
        .service = args[HISTORY_SERVICE].text,
        .done = queried,
        .arg = history,
    };
    rpc_keep(request, &history->pending, history_left);
    return history;
}

/* Services that are gone have a history too. */
static void happenings(struct api *api, struct rpc_request *request, enum history_kind kind)
{
    struct history *history = take(api, request, kind);
    if (history) {
        store_query_happenings(api->store, &history->query);
    }
}

void api_services_events(void *arg, struct rpc_request *request)
{
    happenings(arg, request, HISTORY_ALL);
}

void api_health_history(void *arg, struct rpc_request *request)
{
    happenings(arg, request, HISTORY_HEALTH);
}

static bool is_outcome(struct slice text)
{
    static const char *const others[] = {"live", "demo", "cache", "fallback", "failed"};
    bool is_any = false;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        is_any |= slice_is(text, others[i]);
    }
    for (int code = ERR_NONE + 1; code < ERR_COUNT; code++) {
        is_any |= slice_is(text, err_name((enum err_code)code));
    }
    return is_any;
}

/* A slip must not look as if nothing had happened. */
static bool check_outcome(struct rpc_request *request, const struct rpc_value *outcome)
{
    struct failure failure = {0};
    if (!outcome->text.len || is_outcome(outcome->text)) {
        return true;
    }
    failure_set(&failure, ERR_INVALID_REQUEST, "no call has the outcome `%.*s`",
                SLICE_ARG(outcome->text));
    failure_suggest(&failure, "Ask for live, demo, cache, fallback, failed (any error), or an "
                              "error's name as TIMEOUT; `describe` lists them.");
    failure_detail_text(&failure, "field", "outcome");
    rpc_fail(request, &failure);
    failure_done(&failure);
    return false;
}

void api_activity_query(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    const struct rpc_value *args = request->args;
    if (!check_outcome(request, &args[ACTIVITY_OUTCOME])) {
        return;
    }
    struct history *history = take(api, request, HISTORY_CALLS);
    if (history) {
        history->query.agent = args[ACTIVITY_AGENT].text;
        history->query.user = args[ACTIVITY_USER].text;
        history->query.tool = args[ACTIVITY_TOOL].text;
        history->query.outcome = args[ACTIVITY_OUTCOME].text;
        store_query_activity(api->store, &history->query);
    }
}
