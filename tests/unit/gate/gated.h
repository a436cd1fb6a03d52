/* SPDX-License-Identifier: MIT */
/* gated.h - a gate room on a frozen loop, services made by hand, and callers that note their turns. */
#ifndef TESTS_UNIT_GATE_GATED_H
#define TESTS_UNIT_GATE_GATED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/slice.h"
#include "gate/gate.h"
#include "value/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND   INT64_C(1000000)
#define SERVICES 4

struct gated {
    struct loop *loop;
    struct gates *gates;
    struct store *store;
    struct service_conf confs[SERVICES];
    struct service_conf *list[SERVICES];
    struct service_set set;
    char changes[8192]; /* "kind service[/user] state left;" */
    char outcomes[256]; /* "service state;" */
};

struct caller {
    struct gate_ticket ticket;
    struct gated *gated;
    unsigned turns;
    bool is_in, is_refused;
    struct failure failure;
    struct caller *next; /* in the order of turns */
};

static const char *const services[SERVICES] = {"one", "two", "three", "four"};
static struct caller *turned, **turned_tail = &turned;

static inline void note_change(void *arg, const struct gate_change *change)
{
    static const char *const kinds[] = {"breaker", "quarantine", "rate"};
    struct gated *gated = arg;
    size_t at = strlen(gated->changes);
    if (change->kind == GATE_OUTCOME) {
        at = strlen(gated->outcomes);
        (void)snprintf(gated->outcomes + at, sizeof gated->outcomes - at, "%.*s %s;",
                       SLICE_ARG(change->service), change->state);
        return;
    }
    (void)snprintf(gated->changes + at, sizeof gated->changes - at, "%s %.*s%s%.*s %s %lld;",
                   kinds[change->kind], SLICE_ARG(change->service), change->user.len ? "/" : "",
                   SLICE_ARG(change->user), change->state, (long long)change->left_ms);
}

static inline void conf_set(struct service_conf *conf, const char *name)
{
    *conf = (struct service_conf){
        .references = 1,
        .name = slice_of(name),
        .enabled = true,
        .timeout_ms = 30000,
        .concurrency = 2,
        .queue = 4,
        .retry = {.strategy = RETRY_FIXED,
                  .max_attempts = 3,
                  .base_ms = 1000,
                  .max_ms = 30000,
                  .budget_percent = 20,
                  .budget_per_s = 1},
        .breaker = {.failures = 5, .open_ms = 60000, .probes = 1, .successes = 2},
        .quarantine = {.faults = 5, .first_ms = 30000, .max_ms = 1800000},
    };
}

static inline void gated_open(struct gated *gated)
{
    const struct gates_options options = {
        .loop = gated->loop, .store = gated->store, .changed = note_change, .arg = gated};
    gated->gates = gates_new(&options);
    gates_apply(gated->gates, &gated->set);
}

static inline struct gated *gated_new(void)
{
    struct gated *gated = mem_new(sizeof *gated);
    gated->loop = loop_new();
    loop_freeze(gated->loop);
    loop_advance(gated->loop, 100 * SECOND);
    for (size_t i = 0; i < SERVICES; i++) {
        conf_set(&gated->confs[i], services[i]);
        gated->list[i] = &gated->confs[i];
    }
    gated->set = (struct service_set){gated->list, SERVICES};
    turned = NULL;
    turned_tail = &turned;
    return gated;
}

static inline void gated_free(struct gated *gated)
{
    gates_free(gated->gates);
    for (size_t i = 0; i < SERVICES; i++) {
        assert_int_equal(gated->confs[i].references, 1);
    }
    loop_free(gated->loop);
    mem_free(gated);
}

static inline void advance(struct gated *gated, mono_us by)
{
    loop_advance(gated->loop, by);
}

/* What was queued runs, and no time passes. */
static inline void settle(struct gated *gated)
{
    loop_turn(gated->loop, 0);
}

static inline const char *changes(struct gated *gated)
{
    static char taken[sizeof gated->changes];
    settle(gated);
    memcpy(taken, gated->changes, sizeof taken);
    gated->changes[0] = '\0';
    return taken;
}

static inline void take_turn(void *arg, const struct failure *failure)
{
    struct caller *caller = arg;
    caller->turns++;
    assert_int_equal(caller->turns, 1);
    assert_true(!caller->ticket.gate == (failure != NULL));
    caller->is_in = failure == NULL;
    caller->is_refused = failure != NULL;
    if (failure) {
        failure_copy(&caller->failure, failure);
    }
    caller->next = NULL;
    *turned_tail = caller;
    turned_tail = &caller->next;
}

static inline enum gate_answer come_as(struct gated *gated, struct caller *caller,
                                       const char *service, const struct gate_caller *who,
                                       mono_us within)
{
    mono_us deadline = within == MONO_NEVER ? within : loop_now(gated->loop) + within;
    failure_done(&caller->failure);
    memset(&caller->failure, 0, sizeof caller->failure);
    caller->gated = gated;
    caller->turns = 0;
    caller->is_in = caller->is_refused = false;
    caller->ticket.turn = take_turn;
    caller->ticket.arg = caller;
    enum gate_answer answer = gate_enter(gated->gates, slice_of(service), who, deadline, false,
                                         &caller->ticket, &caller->failure);
    assert_true((answer == GATE_REFUSED) == (caller->failure.code != ERR_NONE));
    assert_true((answer == GATE_REFUSED) == (caller->ticket.gate == NULL));
    caller->is_in = answer == GATE_INSIDE;
    caller->is_refused = answer == GATE_REFUSED;
    return answer;
}

static inline enum gate_answer come(struct gated *gated, struct caller *caller,
                                    const char *service, mono_us within)
{
    const struct gate_caller who = {SLICE("agent"), SLICE("user"), 1};
    return come_as(gated, caller, service, &who, within);
}

static inline enum gate_answer come_user(struct gated *gated, struct caller *caller,
                                         const char *service, const char *user, mono_us within)
{
    const struct gate_caller who = {SLICE("agent"), slice_of(user), 1};
    return come_as(gated, caller, service, &who, within);
}

static inline void leave(struct caller *caller)
{
    gate_leave(&caller->ticket, NULL);
    assert_null(caller->ticket.gate);
}

static inline void leave_with(struct caller *caller, enum err_code code,
                              enum failure_class class, const char *message)
{
    struct failure failure = {0};
    failure_set(&failure, code, "%s", message);
    failure.class = class;
    gate_leave(&caller->ticket, &failure);
    failure_done(&failure);
}

static inline void leave_limited(struct caller *caller, int64_t retry_after_ms)
{
    struct failure failure = {0};
    failure_set(&failure, ERR_RATE_LIMITED, "429");
    failure.retry_after_ms = retry_after_ms;
    gate_leave(&caller->ticket, &failure);
    failure_done(&failure);
}

/* So many attempts that end like this, each in a turn of its own. */
static inline void break_it(struct gated *gated, const char *service, unsigned times,
                            enum err_code code, enum failure_class class)
{
    struct caller caller = {0};
    for (unsigned i = 0; i < times; i++) {
        assert_int_equal(come(gated, &caller, service, 30 * SECOND), GATE_INSIDE);
        advance(gated, 1000);
        leave_with(&caller, code, class, "it broke");
    }
}

static inline void succeed(struct gated *gated, const char *service)
{
    struct caller caller = {0};
    assert_int_equal(come(gated, &caller, service, 30 * SECOND), GATE_INSIDE);
    advance(gated, 1000);
    leave(&caller);
}

/* details.breaker.left_ms */
static inline int64_t breaker_left(const struct failure *failure)
{
    struct buf all;
    struct slice breaker;
    int64_t left = -1;
    buf_init(&all, 100000);
    pack_put_map(&all, failure->details_count);
    buf_put_slice(&all, buf_slice(&failure->details));
    assert_true(pack_get(buf_slice(&all), "breaker", &breaker));
    assert_true(pack_get_int(breaker, "left_ms", &left));
    buf_done(&all);
    return left;
}

/* Refused at once, with this code and time left; what it said is left in caller->failure, to be
 * freed. Who asks is told to come back when an open breaker is probed next. */
static inline void refused(struct gated *gated, struct caller *caller, const char *service,
                           enum err_code code, int64_t left_ms)
{
    bool is_probed = code == ERR_CIRCUIT_OPEN && left_ms > GATE_LOOK_MS;
    int64_t retry_after_ms = is_probed ? GATE_LOOK_MS : left_ms;
    assert_int_equal(come(gated, caller, service, 30 * SECOND), GATE_REFUSED);
    assert_int_equal(caller->failure.code, code);
    assert_int_equal(caller->failure.class, FAILURE_OF_BROKER);
    assert_int_equal(caller->failure.retry_after_ms, retry_after_ms);
    if (is_probed) {
        assert_int_equal(breaker_left(&caller->failure), left_ms);
    }
}

static inline void forget(struct caller *callers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        gate_quit(&callers[i].ticket);
        failure_done(&callers[i].failure);
    }
}

static inline bool says(struct failure *failure, const char *words)
{
    return strstr(buf_text(&failure->message), words) != NULL;
}

static inline bool suggests(struct failure *failure, const char *words)
{
    return strstr(buf_text(&failure->suggestion), words) != NULL;
}

/* A member of details[key], as text. */
static inline bool detail(const struct failure *failure, const char *key, const char *member,
                          struct slice *ret)
{
    struct buf all;
    struct slice value = {NULL, 0};
    buf_init(&all, 100000);
    pack_put_map(&all, failure->details_count);
    buf_put_slice(&all, buf_slice(&failure->details));
    bool is_there = pack_get(buf_slice(&all), key, &value) &&
                    pack_get(value, member, ret); /* points into the copy: only whether */
    buf_done(&all);
    return is_there;
}

static inline struct gate_view view(struct gated *gated, const char *service)
{
    struct gate_view ret;
    assert_true(gates_view(gated->gates, slice_of(service), &ret));
    return ret;
}

#endif
