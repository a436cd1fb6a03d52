/* SPDX-License-Identifier: MIT */
/*
 * test_breaker_model.c - the circuit breaker against a naive model: one that remembers everything that
 * was said since the last change, and reads it all again each time.
 */
#include "resilience/breaker.h"

#include "chance.h"

#define REMEMBERED 512u
#define TICKETS    24u

struct ticket {
    bool is_out;
    uint32_t epoch;
    unsigned period; /* of the model */
};

struct model {
    enum breaker_state state;
    enum breaker_force forced;
    mono_us changed, last_pass;
    unsigned period;
    enum breaker_outcome said[REMEMBERED];
    unsigned count;
    struct ticket tickets[TICKETS];
};

static void change(struct model *model, enum breaker_state state, mono_us now)
{
    model->state = state;
    model->changed = now;
    model->period++;
    model->count = 0;
}

/* How many of `outcome` stand at the end of what was said, without others between them. */
static unsigned in_a_row(const struct model *model, enum breaker_outcome outcome)
{
    unsigned run = 0;
    for (unsigned i = 0; i < model->count; i++) {
        if (model->said[i] != BREAKER_NEUTRAL) {
            run = model->said[i] == outcome ? run + 1 : 0;
        }
    }
    return run;
}

static bool is_inside(const struct model *model, const struct ticket *ticket)
{
    return ticket->is_out && ticket->period == model->period;
}

static unsigned inside(const struct model *model)
{
    unsigned count = 0;
    for (unsigned i = 0; i < TICKETS; i++) {
        count += is_inside(model, &model->tickets[i]);
    }
    return count;
}

static bool are_lost(const struct model *model, const struct breaker_conf *conf, mono_us now)
{
    mono_us ms = conf->open_ms > BREAKER_LOST_MS ? conf->open_ms : BREAKER_LOST_MS;
    return now - model->last_pass >= ms * 1000;
}

static bool passes(const struct model *model, const struct breaker_conf *conf, mono_us now)
{
    if (model->forced != BREAKER_BY_ITSELF || conf->is_off) {
        return model->forced != BREAKER_FORCED_OPEN;
    }
    switch (model->state) {
    case BREAKER_OPEN:
        return now - model->changed >= (mono_us)conf->open_ms * 1000;
    case BREAKER_HALF_OPEN:
        return inside(model) < conf->probes || are_lost(model, conf, now);
    default:
        return true;
    }
}

static void pass(struct model *model, const struct breaker_conf *conf, mono_us now)
{
    if (model->forced != BREAKER_BY_ITSELF) {
        return;
    }
    if (conf->is_off && model->state != BREAKER_CLOSED) {
        change(model, BREAKER_CLOSED, now);
    } else if (model->state == BREAKER_OPEN) {
        change(model, BREAKER_HALF_OPEN, now);
    } else if (model->state == BREAKER_HALF_OPEN && inside(model) >= conf->probes) {
        model->period++;
    }
    model->last_pass = now;
}

static void say(struct model *model, const struct breaker_conf *conf, unsigned period,
                enum breaker_outcome outcome, mono_us now)
{
    if (period != model->period || model->forced != BREAKER_BY_ITSELF) {
        return;
    }
    if (model->count == REMEMBERED) {
        memmove(model->said, model->said + 1, sizeof model->said - sizeof *model->said);
        model->count--;
    }
    model->said[model->count++] = outcome;
    if (conf->is_off && model->state != BREAKER_CLOSED) {
        change(model, BREAKER_CLOSED, now);
    } else if (model->state == BREAKER_CLOSED && !conf->is_off && outcome == BREAKER_FAILURE &&
               in_a_row(model, BREAKER_FAILURE) >= conf->failures) {
        change(model, BREAKER_OPEN, now);
    } else if (model->state == BREAKER_HALF_OPEN && outcome == BREAKER_FAILURE) {
        change(model, BREAKER_OPEN, now);
    } else if (model->state == BREAKER_HALF_OPEN &&
               in_a_row(model, BREAKER_SUCCESS) >= conf->successes) {
        change(model, BREAKER_CLOSED, now);
    }
}

/* ---- one step ---------------------------------------------------------------------------- */

static void step_ask(struct model *model, struct breaker *breaker,
                     const struct breaker_conf *conf, mono_us now)
{
    struct ticket *ticket = &model->tickets[chance_to(TICKETS - 1)];
    struct breaker before = *breaker;
    mono_us wait = -1, would = -1;
    bool may = passes(model, conf, now);
    assert_int_equal(breaker_would_pass(breaker, conf, now, &would), may);
    assert_memory_equal(&before, breaker, sizeof before);
    uint32_t epoch = 0;
    assert_int_equal(breaker_ask(breaker, conf, now, &epoch, &wait), may);
    if (!may) {
        assert_memory_equal(&before, breaker, sizeof before);
        assert_true(wait > 0 && wait == would);
        if (wait != MONO_NEVER && model->state == BREAKER_OPEN) { /* exactly so long */
            assert_false(breaker_would_pass(breaker, conf, now + wait - 1, NULL));
            assert_true(breaker_would_pass(breaker, conf, now + wait, NULL));
        }
        return;
    }
    pass(model, conf, now);
    /* A probe that is still out keeps its place, and so its ticket; among calls one may get lost. */
    for (unsigned i = 0; i < TICKETS && is_inside(model, ticket); i++) {
        ticket = &model->tickets[i];
    }
    assert_true(!is_inside(model, ticket) || model->state == BREAKER_CLOSED);
    *ticket = (struct ticket){true, epoch, model->period};
}

static void step_tell(struct model *model, struct breaker *breaker,
                      const struct breaker_conf *conf, mono_us now)
{
    struct ticket *ticket = &model->tickets[chance_to(TICKETS - 1)];
    if (!ticket->is_out) {
        return;
    }
    enum breaker_outcome outcome = chance_of(15)   ? BREAKER_NEUTRAL
                                   : chance_of(60) ? BREAKER_FAILURE
                                                   : BREAKER_SUCCESS;
    enum breaker_state before = breaker->state;
    bool has_changed = breaker_tell(breaker, conf, ticket->epoch, outcome, now);
    assert_int_equal(has_changed, breaker->state != before);
    ticket->is_out = false;
    say(model, conf, ticket->period, outcome, now);
}

static void step_lever(struct model *model, struct breaker *breaker, mono_us now)
{
    bool may = model->forced == BREAKER_BY_ITSELF && model->state == BREAKER_OPEN;
    switch (chance_to(9)) {
    case 0:
        breaker_reset(breaker, now);
        model->forced = BREAKER_BY_ITSELF;
        change(model, BREAKER_CLOSED, now);
        break;
    case 1:
    case 2:
    case 3:
        model->forced = (enum breaker_force)chance_to(2);
        breaker_set_force(breaker, model->forced, now);
        change(model, BREAKER_CLOSED, now);
        break;
    default:
        assert_int_equal(breaker_try_early(breaker, now), may);
        if (may) {
            change(model, BREAKER_HALF_OPEN, now);
        }
    }
}

static void agree(const struct model *model, const struct breaker *breaker,
                  const struct breaker_conf *conf)
{
    assert_int_equal(breaker->forced, model->forced);
    assert_int_equal(breaker_effective(breaker),
                     model->forced == BREAKER_FORCED_OPEN     ? BREAKER_OPEN
                     : model->forced == BREAKER_FORCED_CLOSED ? BREAKER_CLOSED
                                                              : model->state);
    if (breaker_effective(breaker) == BREAKER_HALF_OPEN) {
        assert_true(breaker->probing <= conf->probes);
        assert_int_equal(breaker->probing, inside(model));
        assert_true(breaker->successes < conf->successes);
    }
    if (model->period) {
        assert_int_equal(breaker->since, model->changed);
    }
}

/* Whatever has happened: if all goes well from now on, it is closed in bounded time. */
static void is_not_stuck(struct breaker breaker, const struct breaker_conf *conf, mono_us now)
{
    uint32_t epoch;
    mono_us wait = 0;
    if (breaker.forced != BREAKER_BY_ITSELF) {
        return;
    }
    mono_us last = now + 1000 * (mono_us)(conf->open_ms > BREAKER_LOST_MS ? conf->open_ms
                                                                          : BREAKER_LOST_MS);
    for (uint32_t done = 0; breaker.state != BREAKER_CLOSED && done < conf->successes;) {
        if (breaker_ask(&breaker, conf, now, &epoch, &wait)) {
            (void)breaker_tell(&breaker, conf, epoch, BREAKER_SUCCESS, now);
            done++;
        } else {
            now += wait;
            assert_true(now <= last);
        }
    }
    assert_int_equal(breaker.state, BREAKER_CLOSED);
}

/* Near the settings' own times, so that each edge is met from both sides. */
static mono_us some_time(const struct breaker_conf *conf)
{
    mono_us open = (mono_us)conf->open_ms * 1000;
    switch (chance_to(9)) {
    case 0:
        return open;
    case 1:
        return open - (open > 0);
    case 2:
        return (mono_us)BREAKER_LOST_MS * 1000 - 1 + (mono_us)chance_to(2);
    case 3:
        return (mono_us)chance_to((uint64_t)open * 2);
    default:
        return (mono_us)chance_size(1u << 20);
    }
}

static void run(mono_us now, unsigned steps)
{
    struct model model = {0};
    struct breaker breaker = {0};
    struct breaker_conf conf = {.is_off = chance_of(10),
                                .failures = 1 + (uint32_t)chance_to(6),
                                .open_ms = (uint32_t)chance_size(100000),
                                .probes = 1 + (uint32_t)chance_to(3),
                                .successes = 1 + (uint32_t)chance_to(3)};
    for (unsigned i = 0; i < steps; i++) {
        now += chance_of(60) ? 0 : some_time(&conf);
        conf.is_off ^= chance_of(1) && chance_of(20); /* a reload */
        if (chance_of(48)) {
            step_ask(&model, &breaker, &conf, now);
        } else if (chance_of(97)) {
            step_tell(&model, &breaker, &conf, now);
        } else {
            step_lever(&model, &breaker, now);
        }
        agree(&model, &breaker, &conf);
        is_not_stuck(breaker, &conf, now);
    }
}

static void agrees_with_the_model(void **state)
{
    (void)state;
    for (unsigned i = 0; i < STEPS / 400; i++) {
        run((mono_us)chance_size(INT64_MAX / 2), 400);
    }
    run(0, STEPS);
}

static void at_the_ends_of_time(void **state)
{
    /* 400 steps of at most 200 s each, and what is added to the last one. */
    const mono_us longest = INT64_C(100000000000);
    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        run(INT64_MAX - longest, 400);
        run(INT64_MIN, 400);
    }
}

/* Any settings, any times: nothing overflows (the sanitizer looks on), and places are kept. */
static void nonsense_is_survived(void **state)
{
    (void)state;
    for (unsigned i = 0; i < STEPS / 100; i++) {
        struct breaker breaker = {0};
        struct breaker_conf conf = {
            chance_of(10), (uint32_t)chance_size(UINT32_MAX), (uint32_t)chance_size(UINT32_MAX),
            (uint32_t)chance_size(UINT32_MAX), (uint32_t)chance_size(UINT32_MAX)};
        uint32_t epoch = 0;
        for (unsigned j = 0; j < 100; j++) {
            mono_us now = (mono_us)chance(), wait = 1;
            (void)breaker_ask(&breaker, &conf, now, &epoch, &wait);
            assert_true(wait > 0);
            (void)breaker_tell(&breaker, &conf, epoch, (enum breaker_outcome)chance_to(2), now);
            if (chance_of(5)) {
                (void)breaker_try_early(&breaker, now);
            }
            assert_true(breaker.probing <= (conf.probes ? conf.probes : 1));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(agrees_with_the_model, chance_restart),
        cmocka_unit_test_setup(at_the_ends_of_time, chance_restart),
        cmocka_unit_test_setup(nonsense_is_survived, chance_restart),
    };
    return cmocka_run_group_tests(tests, chance_setup, NULL);
}
