/* SPDX-License-Identifier: MIT */
/* test_torture.c - random steps of many callers, levers and reloads: nobody is lost, nobody is told
 * twice, no bound is passed. TOOLBROKER_SEED repeats a run. */
#include "gated.h"

#define STEPS   100000
#define CALLERS 400
#define USERS   1500

struct torture {
    struct gated *gated;
    uint64_t random;
    struct caller callers[CALLERS];
    unsigned service[CALLERS], generation[CALLERS];
    struct service_conf variants[SERVICES][3];
    unsigned generations[SERVICES];
    bool is_there[SERVICES];
    unsigned most_inside[SERVICES], most_waiting[SERVICES]; /* that may be */
    struct service_conf *list[SERVICES];
    unsigned told, refused, entered, left;
};

static unsigned below(struct torture *torture, unsigned bound)
{
    torture->random ^= torture->random << 13;
    torture->random ^= torture->random >> 7;
    torture->random ^= torture->random << 17;
    return (unsigned)(torture->random % bound);
}

static bool is_inside(const struct caller *caller)
{
    return caller->ticket.gate && caller->ticket.is_inside;
}

static bool is_waiting(const struct caller *caller)
{
    return caller->ticket.gate && caller->ticket.flow;
}

/* ---- steps ------------------------------------------------------------------------------- */

static void step_come(struct torture *torture, unsigned i)
{
    struct caller *caller = &torture->callers[i];
    unsigned service = below(torture, SERVICES);
    char user[32];
    (void)snprintf(user, sizeof user, "user %u", below(torture, below(torture, 2) ? 5 : USERS));
    const struct gate_caller who = {SLICE("agent"), slice_of(user), below(torture, 4)};
    mono_us within = (mono_us)below(torture, 120) * SECOND + below(torture, 1000);
    enum gate_answer answer = come_as(torture->gated, caller, services[service], &who, within);
    torture->entered += answer == GATE_INSIDE;
    torture->refused += answer == GATE_REFUSED;
    torture->service[i] = service;
    torture->generation[i] = torture->generations[service];
    if (!torture->is_there[service]) {
        assert_int_equal(answer, GATE_REFUSED);
    }
}

static void step_leave(struct torture *torture, unsigned i)
{
    static const struct {
        enum err_code code;
        enum failure_class class;
    } ends[] = {
        {ERR_UNAVAILABLE, FAILURE_NETWORK},
        {ERR_UNAVAILABLE, FAILURE_PROCESS},
        {ERR_AUTH_FAILED, FAILURE_AUTHENTICATION},
        {ERR_EXTERNAL_TOOL_EXECUTION_FAILED, FAILURE_PROTOCOL},
        {ERR_EXTERNAL_TOOL_EXECUTION_FAILED, FAILURE_ANSWER},
        {ERR_CANCELLED, FAILURE_OF_CALLER},
    };
    struct caller *caller = &torture->callers[i];
    unsigned how = below(torture, 20);
    torture->left++;
    if (how == 0 && torture->service[i] != 0) {
        leave_limited(caller, below(torture, 3) ? (int64_t)below(torture, 20000) : -1);
    } else if (how < 6) {
        leave_with(caller, ends[how % 6].code, ends[how % 6].class, "it broke");
    } else {
        leave(caller);
    }
}

static void step_hint(struct torture *torture)
{
    struct rate_fields told;
    char user[32];
    unsigned service = 1 + below(torture, SERVICES - 1);
    rate_fields_init(&told);
    told.remaining = below(torture, 12);
    told.reset_ms = below(torture, 10000);
    (void)snprintf(user, sizeof user, "user %u", below(torture, 5));
    gates_hint(torture->gated->gates, slice_of(services[service]), slice_of(user), &told,
               below(torture, 10) == 0);
}

static void step_lever(struct torture *torture)
{
    struct gates *gates = torture->gated->gates;
    struct slice service = slice_of(services[below(torture, SERVICES)]);
    switch (below(torture, 6)) {
    case 0:
        (void)gates_force_breaker(gates, service, (enum breaker_force)below(torture, 3),
                                  SLICE("by chance"));
        break;
    case 1:
        (void)gates_quarantine(gates, service, below(torture, 20000), SLICE("by chance"));
        break;
    case 2:
        gates_try_early(gates, service);
        break;
    default:
        (void)gates_reset_breaker(gates, service);
        (void)gates_release(gates, service, &(bool){false});
        break;
    }
}

static void step_probe(struct torture *torture)
{
    struct caller probe = {0};
    struct slice service = slice_of(services[below(torture, SERVICES)]);
    if (gate_probe(torture->gated->gates, service, &probe.ticket)) {
        settle(torture->gated);
        if (below(torture, 2)) {
            leave(&probe);
        } else {
            leave_with(&probe, ERR_UNAVAILABLE, FAILURE_NETWORK, "no");
        }
    }
}

static void apply(struct torture *torture, bool all)
{
    struct service_set set = {torture->list, 0};
    for (unsigned i = 0; i < SERVICES; i++) {
        bool is_there = all || below(torture, 8) != 0;
        struct gate_view now = {0};
        (void)gates_view(torture->gated->gates, slice_of(services[i]), &now);
        torture->generations[i] += torture->is_there[i] && !is_there;
        torture->is_there[i] = is_there;
        if (is_there) {
            struct service_conf *conf = &torture->variants[i][below(torture, 3)];
            torture->list[set.count++] = conf;
            torture->most_inside[i] =
                now.inside > conf->concurrency ? now.inside : conf->concurrency;
            torture->most_waiting[i] = now.waiting > conf->queue ? now.waiting : conf->queue;
        }
    }
    gates_apply(torture->gated->gates, &set);
}

/* ---- what always holds ------------------------------------------------------------------- */

static void check(struct torture *torture)
{
    unsigned inside[SERVICES] = {0}, waiting[SERVICES] = {0};
    for (unsigned i = 0; i < CALLERS; i++) {
        unsigned service = torture->service[i];
        bool is_now = torture->generation[i] == torture->generations[service];
        inside[service] += is_now && is_inside(&torture->callers[i]);
        waiting[service] += is_now && is_waiting(&torture->callers[i]);
    }
    for (unsigned i = 0; i < SERVICES; i++) {
        struct gate_view now;
        if (!torture->is_there[i]) {
            continue;
        }
        assert_true(gates_view(torture->gated->gates, slice_of(services[i]), &now));
        assert_int_equal(now.inside, inside[i]);
        assert_int_equal(now.waiting, waiting[i]);
        assert_true(now.inside <= torture->most_inside[i]);
        assert_true(now.waiting <= torture->most_waiting[i]);
    }
    if (torture->is_there[0]) { /* it has no limits: nobody waits beside a free place */
        struct gate_view now = view(torture->gated, services[0]);
        assert_true(!now.waiting || now.inside >= torture->variants[0][0].concurrency);
    }
}

/* Who was told to be inside is, and who was refused is not. */
static void check_told(struct torture *torture)
{
    settle(torture->gated);
    for (struct caller *at = turned; at; at = at->next) {
        torture->told++;
        assert_true(at->is_in != at->is_refused);
        assert_true(at->is_in == is_inside(at));
        assert_true(at->is_in || at->failure.code != ERR_NONE);
    }
    turned = NULL;
    turned_tail = &turned;
}

static void step(struct torture *torture)
{
    unsigned what = below(torture, 1000);
    unsigned i = below(torture, CALLERS);
    struct caller *caller = &torture->callers[i];
    if (what < 880) {
        if (!caller->ticket.gate) {
            step_come(torture, i);
        } else if (is_inside(caller)) {
            step_leave(torture, i);
        } else if (below(torture, 20) == 0) {
            gate_quit(&caller->ticket);
        }
    } else if (what < 900) {
        gate_quit(&caller->ticket);
    } else if (what < 980) {
        advance(torture->gated, (mono_us)below(torture, 1 << below(torture, 24)) + 1);
    } else if (what < 985) {
        step_hint(torture);
    } else if (what < 990) {
        step_probe(torture);
    } else if (what < 993) {
        step_lever(torture);
    } else if (what < 996) {
        apply(torture, false);
    }
}

static void set_variants(struct torture *torture)
{
    for (unsigned i = 0; i < SERVICES; i++) {
        for (unsigned k = 0; k < 3; k++) {
            struct service_conf *conf = &torture->variants[i][k];
            conf_set(conf, services[i]);
            conf->concurrency = i == 0 ? 10 : 4 + 10 * k;
            conf->queue = i == 0 ? 30 : 20 * k;
            conf->breaker.open_ms = 5000;
            conf->needs_user = i == 1 || (i == 2 && k == 1);
            conf->rate = i == 3 ? (struct rate_conf){50, k, SECOND} : (struct rate_conf){0};
        }
    }
}

static uint64_t seed_of_run(void)
{
    const char *text = getenv("TOOLBROKER_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)clock_mono();
    print_message("TOOLBROKER_SEED=%llu\n", (unsigned long long)seed);
    return seed | 1;
}

static void nothing_is_lost(void **state)
{
    struct torture *torture = mem_new(sizeof *torture);
    (void)state;
    torture->gated = gated_new();
    torture->random = seed_of_run() * UINT64_C(0x9e3779b97f4a7c15);
    set_variants(torture);
    gated_open(torture->gated);
    apply(torture, true);
    for (unsigned i = 0; i < STEPS; i++) {
        step(torture);
        check(torture);
        check_told(torture);
        torture->gated->changes[0] = torture->gated->outcomes[0] = '\0';
    }
    apply(torture, true);
    advance(torture->gated, 200 * SECOND); /* longer than any deadline */
    check_told(torture);
    for (unsigned i = 0; i < CALLERS; i++) {
        assert_false(is_waiting(&torture->callers[i]));
        assert_true(!torture->callers[i].ticket.gate || is_inside(&torture->callers[i]));
    }
    assert_true(torture->entered > 1000 && torture->refused > 1000 && torture->told > 1000);
    print_message("%u entered at once, %u were refused, %u told later, %u left\n",
                  torture->entered, torture->refused, torture->told, torture->left);
    forget(torture->callers, CALLERS);
    gated_free(torture->gated);
    mem_free(torture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
