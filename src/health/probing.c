/* SPDX-License-Identifier: MIT */
/* probing.c - probes: who may be probed now, one beside another that does not answer, what came of
 * them; and the checks that wait for it. */
#include "base/mem.h"
#include "base/text.h"
#include "health/health_internal.h"

#define SECOND    ((mono_us)1000000)
#define MS        ((mono_us)1000)

#define PROBE_MAX (15 * SECOND)
/* Pings in a row that a session leaves unanswered before it is given up. */
#define UNANSWERED_MAX 3u
/* A probe that the gate did not let in is tried again after this time. */
#define HELD_BACK (1 * SECOND)
/* The same failure is written down again after this time. */
#define TELL_AGAIN_MS ((wall_ms)300000)

static struct loop *loop_of(const struct monitor *monitor)
{
    return monitor->health->options.loop;
}

/* ---- checks ------------------------------------------------------------------------------ */

void health_check_forget(struct health_check *check)
{
    if (check->health) {
        list_remove(&check->link);
        loop_timer_cancel(check->health->options.loop, &check->timer);
        check->health = NULL;
    }
}

static void end_check(void *arg)
{
    struct health_check *check = arg;
    health_check_forget(check);
    check->done(check->arg);
}

static void take_checks(struct monitor *monitor, struct list *ret)
{
    struct list_link *link;
    list_init(ret);
    while ((link = list_first(&monitor->checks))) {
        list_remove(link);
        list_append(ret, link);
    }
}

/* Whoever is told may forget others. */
static void end_checks(struct list *checks)
{
    struct list_link *link;
    while ((link = list_first(checks))) {
        end_check(LIST_ITEM(link, struct health_check, link));
    }
}

void probing_end_checks(struct monitor *monitor)
{
    list_each (link, &monitor->checks) {
        struct health_check *check = LIST_ITEM(link, struct health_check, link);
        list_remove(link);
        loop_timer_set(loop_of(monitor), &check->timer, loop_now(loop_of(monitor)));
    }
}

void probing_forget_checks(struct monitor *monitor)
{
    list_each (link, &monitor->checks) {
        health_check_forget(LIST_ITEM(link, struct health_check, link));
    }
}

bool health_check(struct health *health, struct slice service, mono_us deadline,
                  struct health_check *check)
{
    struct monitor *monitor = health_find(health, service);
    if (!monitor) {
        return false;
    }
    bool may_probe = health_may_check(monitor->conf);
    check->health = health;
    check->link = (struct list_link){NULL, NULL};
    loop_timer_init(&check->timer, end_check, check);
    loop_timer_set(health->options.loop, &check->timer,
                   may_probe ? deadline : loop_now(health->options.loop));
    if (may_probe) {
        list_append(&monitor->checks, &check->link);
        probing_want(monitor, true);
    }
    return true;
}

/* ---- what came of a round ---------------------------------------------------------------- */

static void tell(struct monitor *monitor, bool is_ok)
{
    const struct checked *last = &monitor->last;
    monitor->failed_told = is_ok ? 0 : last->at;
    monitor_note(monitor, &(struct store_happening){.at = last->at,
                                                    .service = monitor->conf->name,
                                                    .kind = "check",
                                                    .state = slice_of(is_ok ? "ok" : "failed"),
                                                    .reason = slice_of(last->error),
                                                    .took_us = last->took});
}

/* Every change is written down, and of what goes on like this a line now and then. */
static void take_result(struct monitor *monitor, const struct failure *failure, mono_us took)
{
    struct checked *last = &monitor->last;
    const struct checked before = *last;
    *last = (struct checked){.ended = loop_now(loop_of(monitor)),
                             .at = loop_wall(loop_of(monitor)),
                             .took = took,
                             .is_ok = failure == NULL};
    if (!failure) {
        monitor->steps = 0;
        if (before.ended && !before.is_ok) {
            tell(monitor, true);
        }
        return;
    }
    last->is_unreachable =
        failure->class == FAILURE_NETWORK || failure->class == FAILURE_PROCESS;
    text_copy(last->error, sizeof last->error, buf_slice(&failure->message));
    monitor->steps = monitor->was_failing ? monitor->steps + 1 : 0;
    if (!before.ended || before.is_ok || strcmp(before.error, last->error) != 0 ||
        last->at - monitor->failed_told >= TELL_AGAIN_MS) {
        tell(monitor, false);
    }
}

static void stop(struct monitor *monitor)
{
    struct health *health = monitor->health;
    list_each (link, &monitor->probes) {
        struct probe *probe = LIST_ITEM(link, struct probe, link);
        list_remove(link);
        mcp_cancel(probe->request, "it is not needed any more");
        mem_free(probe);
    }
    loop_timer_cancel(health->options.loop, &monitor->beside);
    monitor->live = 0;
    if (monitor->is_running) {
        *(monitor->is_urgent ? &health->urgent_running : &health->routine_running) -= 1;
        monitor->is_running = false;
        loop_later(health->options.loop, &health->pump);
    }
}

void probing_drop(struct monitor *monitor)
{
    list_remove(&monitor->queued);
    stop(monitor);
    gate_quit(&monitor->ticket);
}

/* The end of the daemon says nothing of a server. */
static void tell_result(struct monitor *monitor, const struct failure *failure, mono_us took)
{
    if (failure && failure->code == ERR_SHUTTING_DOWN) {
        gate_quit(&monitor->ticket);
        return;
    }
    take_result(monitor, failure, took);
    if (monitor->ticket.is_inside) {
        gate_leave(&monitor->ticket, failure);
    }
}

/* A session that stands and does not answer: a process that hangs for good comes back by being begun
 * anew alone. Whether it does so is asked a few times, and only in an outage. */
static bool must_renew(struct monitor *monitor, const struct failure *failure)
{
    const struct mcp_service *service =
        mcp_services_find(monitor->health->options.services, monitor->conf->name);
    if (failure && failure->code == ERR_TIMEOUT && monitor->is_early && service &&
        mcp_service_is_connected(service)) {
        monitor->unanswered++;
    } else {
        monitor->unanswered = 0;
    }
    return monitor->unanswered >= UNANSWERED_MAX;
}

static void renew(struct monitor *monitor)
{
    struct mcp_service *service =
        mcp_services_find(monitor->health->options.services, monitor->conf->name);
    stop(monitor);
    monitor->unanswered = 0;
    mcp_service_renew(service);
}

static void conclude(struct monitor *monitor, const struct failure *failure, mono_us took)
{
    struct list checks;
    tell_result(monitor, failure, took);
    if (must_renew(monitor, failure)) {
        renew(monitor);
    } else if (list_is_empty(&monitor->probes) || !failure ||
               !gate_probe(monitor->health->options.gates, monitor->conf->name,
                           &monitor->ticket)) {
        stop(monitor);
    } else if (!loop_timer_is_set(&monitor->beside)) { /* those beside it are the next round */
        loop_timer_set(loop_of(monitor), &monitor->beside, loop_now(loop_of(monitor)));
    }
    monitor->jitter = 900 + (unsigned)(health_random(monitor->health) % 201);
    take_checks(monitor, &checks);
    monitor_refresh(monitor);
    end_checks(&checks);
}

/* ---- a round ----------------------------------------------------------------------------- */

static void probed(void *arg, const struct mcp_probe_report *report);

/* In an outage a probe must not wait for a session that was begun before the server was back; and
 * where each user has sessions of his own, nobody's is begun. */
static void begin_probe(struct monitor *monitor, struct mcp_service *service)
{
    const struct service_conf *conf = monitor->conf;
    mono_us now = loop_now(loop_of(monitor));
    mono_us patience = (mono_us)conf->connect_timeout_ms * MS + 5 * SECOND;
    const struct mcp_identity nobody = {.agent = SLICE(""), .user = SLICE("")};
    struct probe *probe = mem_new(sizeof *probe);
    const struct mcp_probe_options options = {
        .is_apart = conf->sharing != SERVICE_SHARED ||
                    (monitor->is_early && !mcp_service_is_connected(service)),
        .deadline = now + (patience < PROBE_MAX ? patience : PROBE_MAX),
    };
    probe->monitor = monitor;
    probe->began = now;
    list_append(&monitor->probes, &probe->link);
    monitor->live++;
    monitor->tried = now;
    monitor->tries++;
    if (monitor->is_early) {
        loop_timer_set(loop_of(monitor), &monitor->beside, now + PLAN_EARLY_US);
    }
    probe->request = mcp_probe(service, &nobody, &options, probed, probe);
}

void probing_beside(void *arg)
{
    struct monitor *monitor = arg;
    struct mcp_service *service =
        mcp_services_find(monitor->health->options.services, monitor->conf->name);
    if (service && monitor->live < PROBES_BESIDE) {
        begin_probe(monitor, service);
    }
}

static void probed(void *arg, const struct mcp_probe_report *report)
{
    struct probe *probe = arg;
    struct monitor *monitor = probe->monitor;
    mono_us took = loop_now(loop_of(monitor)) - probe->began;
    list_remove(&probe->link);
    mem_free(probe);
    monitor->live--;
    conclude(monitor, report->failure, took);
}

static void begin(struct monitor *monitor)
{
    struct health *health = monitor->health;
    struct mcp_service *service =
        mcp_services_find(health->options.services, monitor->conf->name);
    struct gate_view view = {0};
    (void)gates_view(health->options.gates, monitor->conf->name, &view);
    bool is_inside =
        service && gate_probe(health->options.gates, monitor->conf->name, &monitor->ticket);
    if (!service || (!is_inside && list_is_empty(&monitor->checks))) {
        monitor->held_back = loop_now(loop_of(monitor)) + HELD_BACK;
        probing_end_checks(monitor);
        monitor_refresh(monitor);
        return;
    }
    *(monitor->is_urgent ? &health->urgent_running : &health->routine_running) += 1;
    monitor->is_running = true;
    monitor->is_early =
        view.forced == BREAKER_BY_ITSELF && view.breaker != BREAKER_CLOSED && is_inside;
    monitor->was_held = view.is_quarantined;
    begin_probe(monitor, service);
}

/* One that is held meanwhile does not run, and leaves its place to the next one. */
static void begin_first(struct list *list, const unsigned *running, unsigned max)
{
    struct list_link *link;
    while (*running < max && (link = list_first(list))) {
        list_remove(link);
        begin(LIST_ITEM(link, struct monitor, queued));
    }
}

void probing_pump(void *arg)
{
    struct health *health = arg;
    begin_first(&health->urgent, &health->urgent_running, URGENT_MAX);
    begin_first(&health->routine, &health->routine_running, ROUTINE_MAX);
}

void probing_want(struct monitor *monitor, bool is_urgent)
{
    struct health *health = monitor->health;
    if (monitor->is_running) {
        return;
    }
    if (list_has(&monitor->queued)) {
        is_urgent |= monitor->is_urgent;
        list_remove(&monitor->queued);
    }
    monitor->is_urgent = is_urgent;
    list_append(is_urgent ? &health->urgent : &health->routine, &monitor->queued);
    loop_later(health->options.loop, &health->pump);
}
