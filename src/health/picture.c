/* SPDX-License-Identifier: MIT */
/* picture.c - how a service is, from what the gate, the sessions and the last check say. */
#include "health/health_internal.h"
#include "value/pack.h"

#define SECOND ((mono_us)1000000)
#define MS     ((mono_us)1000)

/* ---- what is known ----------------------------------------------------------------------- */

void picture_take(const struct monitor *monitor, struct picture *ret)
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

mono_us picture_answered(const struct picture *picture)
{
    return picture->success > picture->failure ? picture->success : picture->failure;
}

bool picture_is_open(const struct gate_view *view)
{
    return view->forced == BREAKER_BY_ITSELF && view->breaker != BREAKER_CLOSED;
}

/* Half-open, and something has succeeded since. */
bool picture_is_returning(const struct picture *picture)
{
    return picture->view.breaker == BREAKER_HALF_OPEN && !picture->is_failing &&
           picture->success >= picture->view.breaker_since;
}

mono_us monitor_interval(const struct monitor *monitor)
{
    return monitor->conf->health_interval_s * SECOND / 1000 * monitor->jitter;
}

bool picture_is_asleep(const struct monitor *monitor, const struct picture *picture)
{
    mono_us kept = monitor_interval(monitor);
    return !picture->is_connected && kept && picture->now >= picture_answered(picture) + kept;
}

/* ---- status ------------------------------------------------------------------------------ */

/* Appends what the gate has to say to `reason`. */
static enum health_status at_the_gate(const struct picture *picture, const char **ret_reason)
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
    if (picture_is_open(view) && !picture_is_returning(picture)) {
        *ret_reason = "its circuit breaker is open";
        return HEALTH_DOWN;
    }
    if (picture_is_open(view)) {
        *ret_reason = "its circuit breaker is half-open: it answers again";
        return HEALTH_DEGRADED;
    }
    if (view->limited_until) {
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
    bool is_checked = monitor->last.ended && monitor->last.ended >= picture_answered(picture);
    if (!picture_answered(picture)) {
        *ret_reason = "not known yet";
        return HEALTH_UNKNOWN;
    }
    if (picture_is_asleep(monitor, picture)) {
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

enum health_status picture_judge(const struct monitor *monitor, const struct picture *picture,
                                 const char **ret_reason)
{
    *ret_reason = "";
    if (!monitor->conf->enabled) {
        return HEALTH_DISABLED;
    }
    if (picture->is_off) {
        *ret_reason = monitor->why_not_linked;
        return HEALTH_NOT_LINKED;
    }
    enum health_status status = at_the_gate(picture, ret_reason);
    return status == HEALTH_UP ? by_answers(monitor, picture, ret_reason) : status;
}

/* ---- looking ----------------------------------------------------------------------------- */

static void put_time(const struct health *health, const char *key, mono_us when,
                     struct buf *out)
{
    char text[CLOCK_TEXT];
    struct loop *loop = health->options.loop;
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

/* A probe that is not answered yet, and when there will be one. */
static uint32_t put_checks(const struct monitor *monitor, struct buf *out)
{
    struct list_link *first = list_first(&monitor->probes);
    uint32_t count = 0;
    if (first) {
        put_time(monitor->health, "checking_since", LIST_ITEM(first, struct probe, link)->began,
                 out);
        count++;
    }
    if (loop_timer_is_set(&monitor->timer) && monitor->action == PLAN_PROBE) {
        put_time(monitor->health, "next_check", monitor->timer.when, out);
        count++;
    }
    return count;
}

static uint32_t put_times(const struct monitor *monitor, const struct picture *picture,
                          struct buf *out)
{
    uint32_t count = 0;
    if (picture->success) {
        put_time(monitor->health, "last_success", picture->success, out);
        count++;
    }
    if (picture->failure) {
        put_time(monitor->health, "last_failure", picture->failure, out);
        count++;
    }
    if (monitor->last.ended) {
        put_last(&monitor->last, out);
        count++;
    }
    return count + put_checks(monitor, out);
}

/* Three pairs at most. */
static uint32_t put_status(const struct monitor *monitor, enum health_status status,
                           const char *reason, struct buf *out)
{
    char since[CLOCK_TEXT];
    clock_format(monitor->since, since);
    pack_put_key_text(out, "status", health_status_name(status));
    pack_put_key_text(out, "since", since);
    if (reason[0]) {
        pack_put_key_text(out, "reason", reason);
    }
    return 2u + (reason[0] != '\0');
}

uint32_t health_put_status(const struct health *health, struct slice service, struct buf *out)
{
    const struct monitor *monitor = health_find(health, service);
    struct picture picture;
    const char *reason;
    if (!monitor) {
        return 0;
    }
    picture_take(monitor, &picture);
    enum health_status status = picture_judge(monitor, &picture, &reason);
    pack_put_text(out, "health");
    size_t opened = pack_open(out);
    uint32_t count = put_status(monitor, status, reason, out);
    pack_close_map(out, opened, count + put_checks(monitor, out));
    return 1;
}

bool health_put(const struct health *health, struct slice service, struct buf *out)
{
    const struct monitor *monitor = health_find(health, service);
    struct picture picture;
    const char *reason;
    if (!monitor) {
        return false;
    }
    picture_take(monitor, &picture);
    enum health_status status = picture_judge(monitor, &picture, &reason);
    size_t opened = pack_open(out);
    pack_put_key_str(out, "service", monitor->conf->name);
    uint32_t count = 3 + put_status(monitor, status, reason, out);
    pack_put_key_text(out, "priority", monitor->conf->is_critical ? "critical" : "optional");
    pack_put_key_text(out, "breaker", breaker_state_name(picture.view.breaker));
    count += put_times(monitor, &picture, out);
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
        picture_take(monitor, &picture);
        enum health_status status = picture_judge(monitor, &picture, &reason);
        if (status == HEALTH_DOWN && monitor->conf->is_critical) {
            return "down";
        }
        is_degraded |=
            status == HEALTH_DOWN || (status == HEALTH_DEGRADED && monitor->conf->is_critical);
    }
    return is_degraded ? "degraded" : "up";
}
