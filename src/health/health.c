/* SPDX-License-Identifier: MIT */
/* health.c - how each service is, and when it is looked at next. Probes are probing.c's. */
#include "base/mem.h"
#include "base/text.h"
#include "health/health_internal.h"
#include "value/pack.h"

#include <stdio.h>

#define SECOND ((mono_us)1000000)
#define MS     ((mono_us)1000)

/* What the store knew of breakers is read by then. */
#define FIRST_LOOK (SECOND)
/* Critical services are looked at for the first time over this span. */
#define FIRST_SPAN (4 * SECOND)
/* One that is at work is left alone, and it is looked at then whether it still is. */
#define LOOK_AGAIN (10 * SECOND)

const char *health_status_name(enum health_status status)
{
    static const char *const names[] = {
        [HEALTH_UNKNOWN] = "unknown",       [HEALTH_UP] = "up",
        [HEALTH_DEGRADED] = "degraded",     [HEALTH_DOWN] = "down",
        [HEALTH_NOT_LINKED] = "not_linked", [HEALTH_DISABLED] = "disabled",
    };
    return names[status];
}

/* Any numbers will do that are not the same for all (xorshift64). */
uint64_t health_random(struct health *health)
{
    health->random ^= health->random << 13;
    health->random ^= health->random >> 7;
    health->random ^= health->random << 17;
    return health->random;
}

struct monitor *health_find(const struct health *health, struct slice service)
{
    return map_get(&health->monitors, service);
}

bool health_may_probe(const struct service_conf *conf)
{
    return !service_conf_needs_user(conf) && !service_conf_needs_agent(conf);
}

/* Credentials that are a user's are asked for with the user's calls. */
bool health_is_linked(const struct service_conf *conf)
{
    struct slice nobody = {"", 0};
    return conf->auth == SERVICE_AUTH_NONE || !health_may_probe(conf) ||
           service_conf_has_credentials(conf, nobody);
}

bool health_may_check(const struct service_conf *conf)
{
    return conf->enabled && health_may_probe(conf) && health_is_linked(conf);
}

/* ---- status ------------------------------------------------------------------------------ */

static void set_status(struct monitor *monitor, enum health_status status, const char *reason)
{
    const struct health_options *options = &monitor->health->options;
    enum health_status from = monitor->status;
    (void)snprintf(monitor->reason, sizeof monitor->reason, "%s", reason);
    if (status == from) {
        return;
    }
    monitor->status = status;
    monitor->since = loop_wall(options->loop);
    monitor_note(monitor,
                 &(struct store_happening){.at = monitor->since,
                                           .service = monitor->conf->name,
                                           .kind = "health",
                                           .state = slice_of(health_status_name(status)),
                                           .reason = slice_of(reason),
                                           .took_us = -1});
    if (options->changed) {
        options->changed(options->arg, monitor->conf->name, from, status);
    }
}

/* ---- schedule ---------------------------------------------------------------------------- */

static mono_us later(mono_us a, mono_us b)
{
    return a > b ? a : b;
}

static enum plan_action next(const struct monitor *monitor, const struct picture *picture,
                             mono_us *ret_when)
{
    const struct gate_view *view = &picture->view;
    struct plan_facts facts = {
        .may_probe = health_may_probe(monitor->conf),
        .is_critical = monitor->conf->is_critical,
        .is_connected = picture->is_connected,
        .is_asleep = picture_is_asleep(monitor, picture),
        .is_held = view->is_quarantined,
        .held_until = view->quarantine_left_ms < 0
                          ? MONO_NEVER
                          : picture->now + view->quarantine_left_ms * MS,
        .was_held = monitor->was_held,
        .is_open = picture_is_open(view),
        .is_half_open = view->breaker == BREAKER_HALF_OPEN,
        .is_returning = picture_is_returning(picture),
        .opened = monitor->is_out ? monitor->opened : view->breaker_since,
        .tries = monitor->tries,
        .tried = monitor->tried,
        .is_failing = picture->is_failing,
        .steps = monitor->steps,
        .answered = picture_answered(picture),
        .interval = monitor_interval(monitor),
        .first = monitor->first,
        .not_before = later(view->limited_until, monitor->held_back),
    };
    if (picture->is_off || view->forced == BREAKER_FORCED_OPEN || monitor->is_running ||
        list_has(&monitor->queued)) {
        return PLAN_NOTHING;
    }
    return plan(&facts, ret_when);
}

static void act(struct monitor *monitor, enum plan_action action)
{
    const struct health_options *options = &monitor->health->options;
    if (action == PLAN_TRY_EARLY) {
        monitor->tries++;
        monitor->tried = loop_now(options->loop);
        gates_try_early(options->gates, monitor->conf->name);
    } else if (action == PLAN_PROBE) {
        probing_want(monitor, monitor->is_out);
    }
}

/* When a limit ends that the status tells of; 0: there is none. */
static mono_us limits_end(const struct gate_view *view)
{
    bool is_first = view->users_until && view->users_until < view->limited_until;
    return is_first || !view->limited_until ? view->users_until : view->limited_until;
}

static void set_timer(struct monitor *monitor, const struct picture *picture)
{
    struct loop *loop = monitor->health->options.loop;
    mono_us when = MONO_NEVER;
    monitor->action = next(monitor, picture, &when);
    mono_us limited = limits_end(&picture->view);
    if (limited && (monitor->action == PLAN_NOTHING || limited < when)) {
        monitor->action = PLAN_LOOK; /* it is no longer limited then */
        when = limited;
    }
    if (monitor->action == PLAN_NOTHING) {
        loop_timer_cancel(loop, &monitor->timer);
    } else {
        loop_timer_set(loop, &monitor->timer, later(when, picture->now));
    }
}

void monitor_refresh(struct monitor *monitor)
{
    struct picture picture;
    const char *reason;
    picture_take(monitor, &picture);
    monitor->was_held |= picture.view.is_quarantined;
    monitor->was_failing = picture.is_failing;
    enum health_status status = picture_judge(monitor, &picture, &reason);
    set_status(monitor, status, reason);
    set_timer(monitor, &picture);
}

/* A probe that was begun before the outage has patience for a server that answers slowly; what is
 * asked now is whether it is back. */
static void refresh(void *arg)
{
    struct monitor *monitor = arg;
    bool must_restart = monitor->is_new_outage && monitor->is_running;
    monitor->is_new_outage = false;
    if (must_restart) {
        probing_drop(monitor);
        if (!list_is_empty(&monitor->checks)) {
            probing_want(monitor, true);
        }
    }
    monitor_refresh(monitor);
}

/* A server of one thread that works on a call cannot answer a probe meanwhile; and that call will
 * tell how it is. */
static bool is_at_work(const struct picture *picture)
{
    return picture->view.inside && !picture->is_failing && !picture_is_open(&picture->view) &&
           picture->is_connected;
}

static void due(void *arg)
{
    struct monitor *monitor = arg;
    struct picture picture;
    mono_us when = MONO_NEVER;
    picture_take(monitor, &picture);
    enum plan_action action = next(monitor, &picture, &when);
    if (action == PLAN_PROBE && is_at_work(&picture)) {
        monitor->held_back = picture.now + LOOK_AGAIN;
    } else if (action == monitor->action && when <= picture.now) {
        act(monitor, action);
    }
    monitor_refresh(monitor);
}

/* ---- news -------------------------------------------------------------------------------- */

static void later_refresh(struct monitor *monitor)
{
    loop_later(monitor->health->options.loop, &monitor->refresh);
}

/* Whether this is more than a turn of an outage that is known. */
static bool take_breaker(struct monitor *monitor, const struct gate_change *change)
{
    bool was_out = monitor->is_out;
    bool is_closed = strcmp(change->state, "closed") == 0;
    if (change->user.len) {
        return strcmp(change->state, "half_open") != 0;
    }
    if (!is_closed && !was_out) {
        monitor->opened = loop_now(monitor->health->options.loop);
        monitor->is_new_outage = true;
        monitor->tries = 0;
    }
    monitor->is_out = !is_closed;
    return monitor->is_out != was_out;
}

/* The status tells of it, and why. */
static void take_outcome(struct monitor *monitor, const struct gate_change *change)
{
    text_copy(monitor->why_failing, sizeof monitor->why_failing, change->reason);
    if (!monitor->was_failing) {
        monitor->steps = 0;
    }
}

static const char *kind_of(enum gate_change_kind kind)
{
    static const char *const names[] = {[GATE_BREAKER] = "breaker",
                                        [GATE_QUARANTINE] = "quarantine",
                                        [GATE_RATE] = "rate",
                                        [GATE_OUTCOME] = "health"};
    return names[kind];
}

bool health_gate_changed(struct health *health, const struct gate_change *change)
{
    struct monitor *monitor = health_find(health, change->service);
    struct loop *loop = health->options.loop;
    if (!monitor) {
        return true;
    }
    if (change->kind == GATE_OUTCOME) {
        take_outcome(monitor, change);
        later_refresh(monitor);
        return false;
    }
    bool is_news = change->kind != GATE_BREAKER || take_breaker(monitor, change);
    if (is_news) {
        monitor_note(monitor, &(struct store_happening){.at = loop_wall(loop),
                                                        .service = monitor->conf->name,
                                                        .kind = kind_of(change->kind),
                                                        .state = slice_of(change->state),
                                                        .reason = change->reason,
                                                        .took_us = -1});
    }
    later_refresh(monitor);
    return is_news;
}

const char *health_reason(const struct health *health, struct slice service)
{
    const struct monitor *monitor = health_find(health, service);
    return monitor ? monitor->reason : "";
}

/* Sessions come and go; what is written down is that they cannot, and that they can again. */
bool health_state_changed(struct health *health, const struct mcp_service *service)
{
    struct monitor *monitor = health_find(health, mcp_service_conf(service)->name);
    enum mcp_state state = mcp_service_state(service);
    if (!monitor) {
        return true;
    }
    char reason[REASON_BYTES] = "";
    if (state == MCP_ERROR) {
        text_copy(reason, sizeof reason, mcp_service_why(service));
        text_copy(monitor->why_failing, sizeof monitor->why_failing, slice_of(reason));
    }
    bool is_known = monitor->has_erred && (state == MCP_STARTING || state == MCP_ERROR);
    if (state == MCP_RUNNING &&
        !monitor->conf->is_critical) { /* which is an answer of a kind */
        monitor->first = loop_now(health->options.loop) + monitor_interval(monitor);
    }
    if (state == MCP_ERROR ? !monitor->has_erred : state == MCP_RUNNING && monitor->has_erred) {
        monitor->has_erred = state == MCP_ERROR;
        monitor_note(monitor,
                     &(struct store_happening){.at = loop_wall(health->options.loop),
                                               .service = monitor->conf->name,
                                               .kind = "state",
                                               .state = slice_of(mcp_state_name(state)),
                                               .reason = slice_of(reason),
                                               .took_us = -1});
    }
    later_refresh(monitor);
    return !is_known;
}

/* ---- life -------------------------------------------------------------------------------- */

struct health *health_new(const struct health_options *options)
{
    struct health *health = mem_new(sizeof *health);
    health->options = *options;
    map_init(&health->monitors);
    list_init(&health->urgent);
    list_init(&health->routine);
    loop_task_init(&health->pump, probing_pump, health);
    health->random = (uint64_t)loop_wall(options->loop) * 0x9e3779b97f4a7c15u | 1u;
    return health;
}

/* The daemon's environment does not change. */
static void note_credentials(struct monitor *monitor)
{
    struct slice missing = service_conf_missing_env(monitor->conf);
    (void)snprintf(monitor->why_not_linked, sizeof monitor->why_not_linked,
                   missing.ptr ? "the daemon's environment has no %.*s"
                               : "no account is linked",
                   SLICE_ARG(missing));
}

static struct monitor *monitor_new(struct health *health, struct service_conf *conf)
{
    struct monitor *monitor = mem_new(sizeof *monitor);
    mono_us now = loop_now(health->options.loop);
    monitor->health = health;
    monitor->conf = service_conf_ref(conf);
    note_credentials(monitor);
    monitor->since = loop_wall(health->options.loop);
    monitor->jitter = 900 + (unsigned)(health_random(health) % 201);
    monitor->first = now + FIRST_LOOK + (mono_us)(health_random(health) % FIRST_SPAN);
    list_init(&monitor->probes);
    list_init(&monitor->checks);
    loop_timer_init(&monitor->timer, due, monitor);
    loop_task_init(&monitor->refresh, refresh, monitor);
    loop_timer_init(&monitor->beside, probing_beside, monitor);
    return monitor;
}

static void monitor_free(struct monitor *monitor)
{
    struct loop *loop = monitor->health->options.loop;
    probing_drop(monitor);
    loop_timer_cancel(loop, &monitor->timer);
    loop_task_cancel(&monitor->refresh);
    notes_done(&monitor->notes);
    service_conf_unref(monitor->conf);
    mem_free(monitor);
}

void health_free(struct health *health)
{
    struct monitor *monitor;
    size_t at = 0;
    if (!health) {
        return;
    }
    while ((monitor = map_next(&health->monitors, &at, NULL))) {
        probing_forget_checks(monitor);
        monitor_free(monitor);
    }
    loop_task_cancel(&health->pump);
    map_done(&health->monitors);
    mem_free(health);
}

/* A probe under way is of a server that may be another one now. */
static void reconfigure(struct monitor *monitor, struct service_conf *conf)
{
    bool is_same = service_conf_equal(monitor->conf, conf);
    bool was_wanted = monitor->is_running || list_has(&monitor->queued);
    service_conf_ref(conf);
    service_conf_unref(monitor->conf);
    monitor->conf = conf;
    note_credentials(monitor);
    if (is_same) {
        return;
    }
    probing_drop(monitor);
    monitor->last = (struct checked){0};
    monitor->steps = 0;
    monitor->has_erred = false;
    if (!health_may_check(conf)) {
        probing_end_checks(monitor);
    } else if (was_wanted) {
        probing_want(monitor, !list_is_empty(&monitor->checks));
    }
}

void health_apply(struct health *health, const struct service_set *set)
{
    struct map old = health->monitors;
    struct monitor *monitor;
    size_t at = 0;
    map_init(&health->monitors);
    for (size_t i = 0; i < set->count; i++) {
        monitor = map_remove(&old, set->list[i]->name);
        if (monitor) {
            reconfigure(monitor, set->list[i]);
        } else {
            monitor = monitor_new(health, set->list[i]);
        }
        map_set(&health->monitors, monitor->conf->name, monitor);
        later_refresh(monitor);
    }
    while ((monitor = map_next(&old, &at, NULL))) {
        probing_end_checks(monitor);
        monitor_free(monitor);
    }
    map_done(&old);
}
