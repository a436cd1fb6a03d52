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

/* ---- what is known ----------------------------------------------------------------------- */

struct picture {
    struct gate_view view;
    mono_us now;
    bool is_connected, is_off; /* disabled, or not linked */
    bool has_erred;            /* its sessions cannot start, though they are begun again */
    mono_us success, failure;  /* the last of each, calls and probes */
    bool is_failing;
};

static void look(const struct monitor *monitor, struct picture *ret)
{
    const struct health *health = monitor->health;
    const struct checked *last = &monitor->last;
    const struct mcp_service *service =
        mcp_services_find(health->options.services, monitor->conf->name);
    *ret = (struct picture){.now = loop_now(health->options.loop)};
    (void)gates_view(health->options.gates, monitor->conf->name, &ret->view);
    ret->is_connected = service && mcp_service_is_connected(service);
    ret->has_erred = monitor->has_erred;
    ret->is_off = !monitor->conf->enabled || !health_is_linked(monitor->conf);
    ret->success = ret->view.last_success;
    ret->failure = ret->view.last_failure;
    ret->is_failing =
        ret->failure > ret->success ||
        (ret->failure && ret->failure == ret->success && ret->view.failures_in_row > 0);
    mono_us answered = ret->success > ret->failure ? ret->success : ret->failure;
    if (last->ended && last->ended >= answered) {
        ret->is_failing = !last->is_ok;
    }
    if (last->ended && last->is_ok && last->ended > ret->success) {
        ret->success = last->ended;
    }
    if (last->ended && !last->is_ok && last->ended > ret->failure) {
        ret->failure = last->ended;
    }
}

static mono_us answered(const struct picture *picture)
{
    return picture->success > picture->failure ? picture->success : picture->failure;
}

static bool is_open(const struct gate_view *view)
{
    return view->forced == BREAKER_BY_ITSELF && view->breaker != BREAKER_CLOSED;
}

/* Half-open, and something has succeeded since. */
static bool is_returning(const struct picture *picture)
{
    return picture->view.breaker == BREAKER_HALF_OPEN && !picture->is_failing &&
           picture->success >= picture->view.breaker_since;
}

static mono_us interval(const struct monitor *monitor)
{
    return monitor->conf->health_interval_s * SECOND / 1000 * monitor->jitter;
}

static bool is_asleep(const struct monitor *monitor, const struct picture *picture)
{
    mono_us kept = interval(monitor);
    return !picture->is_connected && kept && picture->now >= answered(picture) + kept;
}

/* ---- status ------------------------------------------------------------------------------ */

/* Appends what the gate has to say to `reason`. */
static enum health_status at_the_gate(const struct monitor *monitor,
                                      const struct picture *picture, const char **ret_reason)
{
    const struct gate_view *view = &picture->view;
    if (view->is_quarantined) {
        *ret_reason = view->is_quarantined_by_hand ? "quarantined by hand" : "quarantined";
        return HEALTH_DOWN;
    }
    if (view->forced == BREAKER_FORCED_OPEN) {
        *ret_reason = "its circuit breaker was opened by hand";
        return HEALTH_DOWN;
    }
    if (is_open(view) && !is_returning(picture)) {
        *ret_reason = "its circuit breaker is open";
        return HEALTH_DOWN;
    }
    if (is_open(view)) {
        *ret_reason = "its circuit breaker is half-open: it answers again";
        return HEALTH_DEGRADED;
    }
    if (monitor->limited_until > picture->now) {
        *ret_reason = "the server limits the rate of requests";
        return HEALTH_DEGRADED;
    }
    if (view->users_held) {
        *ret_reason = "some users are held back: refused credentials, or a limit";
        return HEALTH_DEGRADED;
    }
    return HEALTH_UP;
}

static enum health_status by_answers(const struct monitor *monitor,
                                     const struct picture *picture, const char **ret_reason)
{
    bool is_checked = monitor->last.ended && monitor->last.ended >= answered(picture);
    if (!answered(picture)) {
        *ret_reason = "it was not used yet";
        return HEALTH_UNKNOWN;
    }
    if (is_asleep(monitor, picture)) {
        *ret_reason = "it was not used of late";
        return HEALTH_UNKNOWN;
    }
    if (!picture->is_failing) {
        return HEALTH_UP;
    }
    *ret_reason = is_checked                ? monitor->last.error
                  : monitor->why_failing[0] ? monitor->why_failing
                                            : "the last call failed";
    return (is_checked && monitor->last.is_unreachable) || picture->has_erred ? HEALTH_DOWN
                                                                              : HEALTH_DEGRADED;
}

static enum health_status judge_status(const struct monitor *monitor,
                                       const struct picture *picture, const char **ret_reason)
{
    *ret_reason = "";
    if (!monitor->conf->enabled) {
        return HEALTH_DISABLED;
    }
    if (picture->is_off) {
        *ret_reason = "no account is linked";
        return HEALTH_NOT_LINKED;
    }
    enum health_status status = at_the_gate(monitor, picture, ret_reason);
    return status == HEALTH_UP ? by_answers(monitor, picture, ret_reason) : status;
}

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
        .is_asleep = is_asleep(monitor, picture),
        .is_held = view->is_quarantined,
        .held_until = view->quarantine_left_ms < 0
                          ? MONO_NEVER
                          : picture->now + view->quarantine_left_ms * MS,
        .was_held = monitor->was_held,
        .is_open = is_open(view),
        .is_half_open = view->breaker == BREAKER_HALF_OPEN,
        .is_returning = is_returning(picture),
        .opened = monitor->is_out ? monitor->opened : view->breaker_since,
        .tries = monitor->tries,
        .tried = monitor->tried,
        .is_failing = picture->is_failing,
        .steps = monitor->steps,
        .answered = answered(picture),
        .interval = interval(monitor),
        .first = monitor->first,
        .not_before = later(monitor->limited_until, monitor->held_back),
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

static void set_timer(struct monitor *monitor, const struct picture *picture)
{
    struct loop *loop = monitor->health->options.loop;
    mono_us when = MONO_NEVER;
    monitor->action = next(monitor, picture, &when);
    if (monitor->limited_until > picture->now && monitor->action == PLAN_NOTHING) {
        monitor->action = PLAN_LOOK; /* it is no longer limited then */
        when = monitor->limited_until;
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
    look(monitor, &picture);
    monitor->was_held |= picture.view.is_quarantined;
    monitor->was_failing = picture.is_failing;
    enum health_status status = judge_status(monitor, &picture, &reason);
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
    return picture->view.inside && !picture->is_failing && !is_open(&picture->view) &&
           picture->is_connected;
}

static void due(void *arg)
{
    struct monitor *monitor = arg;
    struct picture picture;
    mono_us when = MONO_NEVER;
    look(monitor, &picture);
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
    if (change->kind == GATE_RATE && change->left_ms > 0 && !change->user.len) {
        monitor->limited_until = loop_now(loop) + change->left_ms * MS;
    }
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

/* Sessions come and go; what is written down is that they cannot, and that they can again. */
void health_state_changed(struct health *health, const struct mcp_service *service)
{
    struct monitor *monitor = health_find(health, mcp_service_conf(service)->name);
    enum mcp_state state = mcp_service_state(service);
    if (!monitor) {
        return;
    }
    if (state == MCP_RUNNING &&
        !monitor->conf->is_critical) { /* which is an answer of a kind */
        monitor->first = loop_now(health->options.loop) + interval(monitor);
    }
    if (state == MCP_ERROR ? !monitor->has_erred : state == MCP_RUNNING && monitor->has_erred) {
        monitor->has_erred = state == MCP_ERROR;
        monitor_note(monitor,
                     &(struct store_happening){.at = loop_wall(health->options.loop),
                                               .service = monitor->conf->name,
                                               .kind = "state",
                                               .state = slice_of(mcp_state_name(state)),
                                               .took_us = -1});
    }
    later_refresh(monitor);
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

static struct monitor *monitor_new(struct health *health, struct service_conf *conf)
{
    struct monitor *monitor = mem_new(sizeof *monitor);
    mono_us now = loop_now(health->options.loop);
    monitor->health = health;
    monitor->conf = service_conf_ref(conf);
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

/* ---- looking ----------------------------------------------------------------------------- */

static void put_time(const struct health *health, const char *key, mono_us when,
                     struct buf *out)
{
    char text[CLOCK_TEXT];
    const struct loop *loop = health->options.loop;
    clock_format(loop_wall(loop) + (when - loop_now(loop)) / MS, text);
    pack_put_key_text(out, key, text);
}

static void put_last(const struct checked *last, struct buf *out)
{
    char text[CLOCK_TEXT];
    clock_format(last->at, text);
    pack_put_text(out, "last_check");
    pack_put_map(out, 3u + !last->is_ok);
    pack_put_key_text(out, "at", text);
    pack_put_key_bool(out, "ok", last->is_ok);
    pack_put_key_int(out, "ms", last->took / MS);
    if (!last->is_ok) {
        pack_put_key_text(out, "error", last->error);
    }
}

static uint32_t put_times(const struct monitor *monitor, const struct gate_view *view,
                          struct buf *out)
{
    const struct health *health = monitor->health;
    uint32_t count = 0;
    if (view->last_success) {
        put_time(health, "last_success", view->last_success, out);
        count++;
    }
    if (view->last_failure) {
        put_time(health, "last_failure", view->last_failure, out);
        count++;
    }
    if (monitor->last.ended) {
        put_last(&monitor->last, out);
        count++;
    }
    if (loop_timer_is_set(&monitor->timer) && monitor->action == PLAN_PROBE) {
        put_time(health, "next_check", monitor->timer.when, out);
        count++;
    }
    return count;
}

bool health_put(const struct health *health, struct slice service, struct buf *out)
{
    const struct monitor *monitor = health_find(health, service);
    char since[CLOCK_TEXT];
    struct picture picture;
    const char *reason;
    if (!monitor) {
        return false;
    }
    look(monitor, &picture);
    enum health_status status = judge_status(monitor, &picture, &reason);
    clock_format(monitor->since, since);
    size_t opened = pack_open(out);
    uint32_t count = 5;
    pack_put_key_str(out, "service", monitor->conf->name);
    pack_put_key_text(out, "status", health_status_name(status));
    pack_put_key_text(out, "since", since);
    pack_put_key_text(out, "priority", monitor->conf->is_critical ? "critical" : "optional");
    pack_put_key_text(out, "breaker", breaker_state_name(picture.view.breaker));
    if (reason[0]) {
        pack_put_key_text(out, "reason", reason);
        count++;
    }
    count += put_times(monitor, &picture.view, out);
    pack_close_map(out, opened, count);
    return true;
}

const char *health_overall(const struct health *health)
{
    const struct monitor *monitor;
    bool is_degraded = false;
    size_t at = 0;
    while ((monitor = map_next(&health->monitors, &at, NULL))) {
        struct picture picture;
        const char *reason;
        look(monitor, &picture);
        enum health_status status = judge_status(monitor, &picture, &reason);
        if (status == HEALTH_DOWN && monitor->conf->is_critical) {
            return "down";
        }
        is_degraded |=
            status == HEALTH_DOWN || (status == HEALTH_DEGRADED && monitor->conf->is_critical);
    }
    return is_degraded ? "degraded" : "up";
}
