/* SPDX-License-Identifier: MIT */
/* test_limits.c - servers' limits and our own rate: waited for, refused, and no crowd behind them. */
#include "gated.h"

#define CROWD 100

static struct rate_fields fields(int64_t remaining, int64_t reset_ms, int64_t retry_after_ms)
{
    struct rate_fields ret;
    rate_fields_init(&ret);
    ret.remaining = remaining;
    ret.reset_ms = reset_ms;
    ret.retry_after_ms = retry_after_ms;
    return ret;
}

static void hint(struct gated *gated, const char *user, int64_t remaining, int64_t reset_ms)
{
    struct rate_fields told = fields(remaining, reset_ms, -1);
    gates_hint(gated->gates, SLICE("one"), slice_of(user), &told, false);
}

static unsigned inside_of(const struct caller *callers, unsigned count)
{
    unsigned inside = 0;
    for (unsigned i = 0; i < count; i++) {
        inside += callers[i].is_in && callers[i].ticket.gate;
    }
    return inside;
}

static void limit_now(struct gated *gated, int64_t retry_after_ms)
{
    struct caller caller = {0};
    assert_int_equal(come(gated, &caller, "one", 30 * SECOND), GATE_INSIDE);
    advance(gated, 1000);
    leave_limited(&caller, retry_after_ms);
}

static void a_hold_is_waited_for_or_refused(void **state)
{
    struct gated *gated = gated_new();
    struct caller brief = {0}, patient = {0};
    (void)state;
    gated_open(gated);
    limit_now(gated, 10000);
    assert_string_equal(changes(gated), "rate one limited 10000;");
    assert_int_equal(come(gated, &brief, "one", 10 * SECOND), GATE_REFUSED);
    assert_int_equal(brief.failure.code, ERR_RATE_LIMITED);
    assert_int_equal(brief.failure.class, FAILURE_OF_BROKER);
    assert_int_equal(brief.failure.retry_after_ms, 10000);
    assert_int_equal(come(gated, &patient, "one", 10 * SECOND + 1), GATE_WAITS);
    assert_string_equal(gate_waits_for(&patient.ticket), "rate limit");
    assert_true(gates_would_pass(gated->gates, SLICE("one"), SLICE("u"), NULL)); /* it passes */
    advance(gated, 10 * SECOND - 1);
    assert_int_equal(patient.turns, 0);
    advance(gated, 1);
    assert_true(patient.is_in);
    assert_int_equal(view(gated, "one").breaker, BREAKER_CLOSED); /* a limit is no failure */
    leave(&patient);
    forget(&brief, 1);
    forget(&patient, 1);
    gated_free(gated);
}

/* What services.status says of it, in attempts a minute. */
static void expect_limited(struct gated *gated, int64_t least, int64_t most)
{
    struct buf out;
    struct slice limited;
    int64_t pace = 0;
    buf_init(&out, 4096);
    uint32_t pairs = gates_put_status(gated->gates, SLICE("one"), &out);
    struct buf map;
    buf_init(&map, 4096);
    pack_put_map(&map, pairs);
    buf_put_slice(&map, buf_slice(&out));
    assert_true(pack_get(buf_slice(&map), "limited", &limited));
    assert_true(pack_get_int(limited, "per_min", &pace));
    assert_in_range(pace, least, most);
    buf_done(&out);
    buf_done(&map);
}

static void no_crowd_behind_a_hold(void **state)
{
    struct gated *gated = gated_new();
    struct caller crowd[CROWD] = {0}, late = {0};
    (void)state;
    gated->confs[0].concurrency = gated->confs[0].queue = 2 * CROWD;
    gated_open(gated);
    limit_now(gated, 5000);
    for (unsigned i = 0; i < CROWD; i++) {
        assert_int_equal(come(gated, &crowd[i], "one", 30 * SECOND), GATE_WAITS);
    }
    advance(gated, 5 * SECOND);
    assert_int_equal(inside_of(crowd, CROWD), 1);
    assert_int_equal(come(gated, &late, "one", 30 * SECOND),
                     GATE_WAITS); /* nor does a newcomer */
    advance(gated, SECOND / 2);
    assert_int_equal(inside_of(crowd, CROWD), 1);
    leave(&crowd[0]);
    settle(gated);
    assert_int_equal(inside_of(crowd, CROWD), 1); /* the next one */
    assert_string_equal(gate_waits_for(&crowd[CROWD - 1].ticket), "rate limit");
    advance(gated, SECOND);
    assert_in_range(inside_of(crowd, CROWD), 4, 6); /* and the others at a pace */
    expect_limited(gated, 240, 300);
    assert_false(late.is_in);
    advance(gated, 25 * SECOND);
    assert_int_equal(inside_of(crowd, CROWD), CROWD - 1);
    assert_true(late.is_in);
    forget(crowd, CROWD);
    forget(&late, 1);
    gated_free(gated);
}

struct newcomer {
    struct gated *gated;
    struct caller caller;
    enum gate_answer answer;
};

static void come_now(void *arg)
{
    struct newcomer *newcomer = arg;
    newcomer->answer = come(newcomer->gated, &newcomer->caller, "one", 30 * SECOND);
}

static void see_that_nobody_overtakes(bool is_of_users)
{
    struct gated *gated = gated_new();
    struct caller caller = {0};
    struct newcomer newcomer = {.gated = gated, .answer = GATE_REFUSED};
    struct loop_timer timer;
    gated->confs[0].needs_user = is_of_users;
    gated_open(gated);
    loop_timer_init(&timer, come_now, &newcomer); /* runs just before the gate's own */
    loop_timer_set(gated->loop, &timer, loop_now(gated->loop) + 5 * SECOND + 1000);
    limit_now(gated, 5000);
    assert_int_equal(come(gated, &caller, "one", 30 * SECOND), GATE_WAITS);
    advance(gated, 5 * SECOND);
    assert_int_equal(newcomer.answer, GATE_WAITS);
    assert_true(caller.is_in);
    assert_int_equal(newcomer.caller.turns, 0);
    leave(&caller);
    advance(gated, SECOND / 2);
    assert_true(newcomer.caller.is_in);
    forget(&caller, 1);
    forget(&newcomer.caller, 1);
    gated_free(gated);
}

static void nobody_overtakes_in_the_turn_of_the_end(void **state)
{
    (void)state;
    see_that_nobody_overtakes(false);
    see_that_nobody_overtakes(true);
}

static void the_first_one_is_limited_again(void **state)
{
    struct gated *gated = gated_new();
    struct caller crowd[CROWD] = {0};
    unsigned sent = 0;
    (void)state;
    gated->confs[0].concurrency = gated->confs[0].queue = 2 * CROWD;
    gated_open(gated);
    limit_now(gated, -1);
    for (unsigned i = 0; i < CROWD; i++) {
        assert_int_equal(come(gated, &crowd[i], "one", 3600 * SECOND), GATE_WAITS);
    }
    for (unsigned i = 0; i < 30000; i++) { /* five minutes in which all is refused */
        for (unsigned k = 0; k < CROWD; k++) {
            if (crowd[k].is_in && crowd[k].ticket.gate) {
                sent++;
                leave_limited(&crowd[k], -1);
            }
        }
        advance(gated, SECOND / 100);
    }
    assert_in_range(sent, 5, 12); /* after 1, 2, 4 .. 60, 60 s */
    assert_string_equal(changes(gated), "rate one limited 1000;"); /* one edge */
    forget(crowd, CROWD);
    gated_free(gated);
}

static void those_who_wait_hear_of_a_long_hold(void **state)
{
    struct gated *gated = gated_new();
    struct caller inside[2] = {0}, brief = {0}, patient = {0};
    (void)state;
    gated_open(gated);
    (void)come(gated, &inside[0], "one", SECOND);
    (void)come(gated, &inside[1], "one", SECOND);
    (void)come(gated, &brief, "one", 30 * SECOND);
    (void)come(gated, &patient, "one", 90 * SECOND);
    leave_limited(&inside[0], 60000);
    settle(gated);
    assert_true(brief.is_refused);
    assert_int_equal(brief.failure.code, ERR_RATE_LIMITED);
    assert_int_equal(brief.failure.retry_after_ms, 60000);
    assert_int_equal(patient.turns, 0);
    advance(gated, 60 * SECOND);
    assert_true(patient.is_in);
    forget(inside, 2);
    forget(&brief, 1);
    forget(&patient, 1);
    gated_free(gated);
}

static void what_remains_goes_and_no_more(void **state)
{
    struct gated *gated = gated_new();
    struct caller crowd[CROWD] = {0};
    (void)state;
    gated->confs[0].concurrency = 50;
    gated->confs[0].queue = CROWD;
    gated_open(gated);
    hint(gated, "", 90, 60000);
    (void)come(gated, &crowd[0], "one", 90 * SECOND);
    (void)come(gated, &crowd[1], "one", 90 * SECOND);
    hint(gated, "", 7,
         20000); /* says the answer of the first; the second was not counted yet */
    leave(&crowd[0]);
    for (unsigned i = 2; i < CROWD; i++) {
        (void)come(gated, &crowd[i], "one", 90 * SECOND);
    }
    assert_int_equal(inside_of(crowd, CROWD), 7); /* the second and six more */
    for (unsigned i = 1; i < 8; i++) {
        assert_string_equal(changes(gated), "");
        leave(&crowd[i]);
    }
    assert_string_equal(changes(gated), "rate one limited 20000;");
    advance(gated, 20 * SECOND - 1);
    assert_int_equal(inside_of(crowd, CROWD), 0);
    advance(gated, 1);
    assert_int_equal(inside_of(crowd, CROWD), 1);
    hint(gated, "", 20, 20000);
    leave(&crowd[8]);
    settle(gated);
    assert_int_equal(inside_of(crowd, CROWD), 20);
    hint(gated, "", 1000, 20000); /* nobody needs to count */
    settle(gated);
    assert_int_equal(inside_of(crowd, CROWD), 50);
    forget(crowd, CROWD);
    gated_free(gated);
}

static void a_quota_that_is_used_up_holds(void **state)
{
    struct gated *gated = gated_new();
    struct caller caller = {0};
    struct rate_fields told = fields(-1, -1, 30000);
    (void)state;
    gated_open(gated);
    hint(gated, "", 0, 4000);
    assert_string_equal(changes(gated), "rate one limited 4000;");
    assert_int_equal(come(gated, &caller, "one", 3 * SECOND), GATE_REFUSED);
    gates_hint(gated->gates, SLICE("two"), SLICE(""), &told, true); /* 503 with Retry-After */
    assert_int_equal(come(gated, &caller, "two", 3 * SECOND), GATE_REFUSED);
    assert_int_equal(caller.failure.retry_after_ms, 30000);
    told = fields(-1, -1, -1);
    gates_hint(gated->gates, SLICE("three"), SLICE(""), &told, true); /* 429, and no more */
    assert_int_equal(come(gated, &caller, "three", SECOND / 2), GATE_REFUSED);
    assert_int_equal(caller.failure.retry_after_ms, 1000);
    told = fields(-1, -1, -1);
    gates_hint(gated->gates, SLICE("four"), SLICE(""), &told, false);
    gates_hint(gated->gates, SLICE("nine"), SLICE(""), &told, true);
    assert_int_equal(come(gated, &caller, "four", SECOND), GATE_INSIDE);
    forget(&caller, 1);
    gated_free(gated);
}

static void a_user_is_held_alone(void **state)
{
    struct gated *gated = gated_new();
    struct caller ana[4] = {0}, eva = {0}, brief = {0};
    (void)state;
    gated->confs[0].needs_user = true;
    gated->confs[0].concurrency = 10;
    gated->confs[0].queue = 10;
    gated_open(gated);
    (void)come_user(gated, &ana[0], "one", "ana", 30 * SECOND);
    leave_limited(&ana[0], 10000);
    assert_string_equal(changes(gated), "rate one/ana limited 10000;");
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(come_user(gated, &ana[i], "one", "ana", 30 * SECOND), GATE_WAITS);
    }
    assert_string_equal(gate_waits_for(&ana[0].ticket), "rate limit");
    assert_int_equal(come_user(gated, &brief, "one", "ana", SECOND), GATE_REFUSED);
    assert_int_equal(brief.failure.code, ERR_RATE_LIMITED);
    assert_true(says(&brief.failure, "this user"));
    settle(gated);
    assert_int_equal(come_user(gated, &eva, "one", "eva", SECOND), GATE_INSIDE);
    leave(&eva);
    advance(gated, 10 * SECOND);
    assert_int_equal(inside_of(ana, 4), 1);
    leave(&ana[0]);
    advance(gated, 250000);
    assert_int_equal(inside_of(ana, 4), 1);
    assert_string_equal(gate_waits_for(&ana[3].ticket), "rate limit");
    assert_int_equal(come_user(gated, &eva, "one", "eva", SECOND),
                     GATE_INSIDE); /* no pace for her */
    leave(&eva);
    advance(gated, SECOND);
    assert_int_equal(inside_of(ana, 4), 3);
    hint(gated, "ana", 0, 60000);
    assert_int_equal(come_user(gated, &brief, "one", "ana", 30 * SECOND), GATE_REFUSED);
    assert_int_equal(come_user(gated, &eva, "one", "eva", SECOND), GATE_INSIDE);
    forget(ana, 4);
    forget(&eva, 1);
    forget(&brief, 1);
    gated_free(gated);
}

static void a_held_user_may_be_given_up(void **state)
{
    struct gated *gated = gated_new();
    struct caller ana[3] = {0};
    (void)state;
    gated->confs[0].needs_user = true;
    gated->confs[0].concurrency = 1;
    gated_open(gated);
    (void)come_user(gated, &ana[0], "one", "ana", 30 * SECOND);
    leave_limited(&ana[0], 10000);
    (void)come_user(gated, &ana[0], "one", "ana", 30 * SECOND);
    (void)come_user(gated, &ana[1], "one", "ana", 12 * SECOND);
    (void)come_user(gated, &ana[2], "one", "ana", 30 * SECOND);
    gate_quit(&ana[2].ticket);
    advance(gated, 10 * SECOND);
    assert_int_equal(inside_of(ana, 3), 1);
    gate_quit(&ana[0].ticket); /* the one that went first: another may, at the pace */
    settle(gated);
    assert_false(ana[1].is_in);
    advance(gated, 250000);
    assert_true(ana[1].is_in);
    gated->set.count = 0;
    gates_apply(gated->gates, &gated->set);
    gate_quit(&ana[1].ticket);
    forget(ana, 3);
    gated_free(gated);
}

/* ---- our own rate ------------------------------------------------------------------------ */

static void our_rate_is_kept(void **state)
{
    struct gated *gated = gated_new();
    struct caller crowd[CROWD] = {0};
    unsigned inside = 0, waiting = 0, refusals = 0;
    (void)state;
    gated->confs[0].rate = (struct rate_conf){10, 5, SECOND};
    gated->confs[0].concurrency = gated->confs[0].queue = CROWD;
    gated_open(gated);
    for (unsigned i = 0; i < CROWD; i++) {
        enum gate_answer answer = come(gated, &crowd[i], "one", 2 * SECOND);
        inside += answer == GATE_INSIDE;
        waiting += answer == GATE_WAITS;
        refusals += answer == GATE_REFUSED;
    }
    assert_int_equal(inside, 5);
    assert_in_range(waiting, 17, 20); /* as many as two seconds bring */
    assert_int_equal(inside + waiting + refusals, CROWD);
    assert_int_equal(crowd[CROWD - 1].failure.code, ERR_OVERLOADED);
    assert_in_range(crowd[CROWD - 1].failure.retry_after_ms, 1800, 2200);
    assert_true(says(&crowd[CROWD - 1].failure, "limited to 10 in 1000 ms"));
    for (unsigned i = 1; i <= 10; i++) {
        advance(gated, SECOND / 10);
        assert_int_equal(inside_of(crowd, CROWD), 5 + i);
    }
    advance(gated, SECOND);
    for (unsigned i = 0; i < CROWD; i++) { /* what was let wait got in */
        assert_true(crowd[i].is_in || crowd[i].failure.code == ERR_OVERLOADED);
    }
    forget(crowd, CROWD);
    gated_free(gated);
}

static void a_probe_is_not_limited(void **state)
{
    struct gated *gated = gated_new();
    struct caller probe = {0}, caller = {0};
    (void)state;
    gated->confs[0].rate = (struct rate_conf){1, 1, 60 * SECOND};
    gated_open(gated);
    limit_now(gated, 60000);
    assert_true(gate_probe(gated->gates, SLICE("one"), &probe.ticket));
    leave(&probe);
    assert_int_equal(come(gated, &caller, "one", 70 * SECOND), GATE_WAITS);
    advance(gated, 60 * SECOND);
    assert_true(caller.is_in);
    leave(&caller);
    forget(&caller, 1);
    gated_free(gated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hold_is_waited_for_or_refused),
        cmocka_unit_test(no_crowd_behind_a_hold),
        cmocka_unit_test(nobody_overtakes_in_the_turn_of_the_end),
        cmocka_unit_test(the_first_one_is_limited_again),
        cmocka_unit_test(those_who_wait_hear_of_a_long_hold),
        cmocka_unit_test(what_remains_goes_and_no_more),
        cmocka_unit_test(a_quota_that_is_used_up_holds),
        cmocka_unit_test(a_user_is_held_alone),
        cmocka_unit_test(a_held_user_may_be_given_up),
        cmocka_unit_test(our_rate_is_kept),
        cmocka_unit_test(a_probe_is_not_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
