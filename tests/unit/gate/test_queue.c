/* SPDX-License-Identifier: MIT */
/* test_queue.c - who waits for a place: in turn, bounded, to a deadline, and what ends the wait. */
#include "gated.h"

static enum gate_answer come_peer(struct gated *gated, struct caller *caller, uint64_t peer)
{
    const struct gate_caller who = {SLICE("agent"), SLICE("user"), peer};
    return come_as(gated, caller, "one", &who, 30 * SECOND);
}

static void a_place_is_waited_for(void **state)
{
    struct gated *gated = gated_new();
    struct caller callers[7] = {0};
    (void)state;
    gated_open(gated);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(come_peer(gated, &callers[i], 1), i < 2 ? GATE_INSIDE : GATE_WAITS);
    }
    assert_string_equal(gate_waits_for(&callers[5].ticket), "place");
    refused(gated, &callers[6], "one", ERR_OVERLOADED, -1);
    assert_true(says(&callers[6].failure, "4 calls to the service \"one\" are waiting"));
    assert_int_equal(view(gated, "one").waiting, 4);
    leave(&callers[0]);
    assert_int_equal(callers[2].turns, 0); /* not inside gate_leave */
    settle(gated);
    assert_true(callers[2].is_in);
    assert_int_equal(callers[3].turns, 0);
    gate_quit(&callers[3].ticket); /* of those that wait */
    gate_quit(&callers[1].ticket); /* of those inside */
    settle(gated);
    assert_int_equal(callers[3].turns, 0);
    assert_true(callers[4].is_in);
    leave(&callers[2]);
    gate_quit(&callers[5].ticket); /* it has a place, and was not told yet */
    settle(gated);
    assert_int_equal(callers[5].turns, 0);
    assert_int_equal(view(gated, "one").inside, 1);
    assert_int_equal(view(gated, "one").waiting, 0);
    forget(callers, 7);
    gated_free(gated);
}

static void no_queue_is_no_wait(void **state)
{
    struct gated *gated = gated_new();
    struct caller callers[3] = {0};
    (void)state;
    gated->confs[0].queue = 0;
    gated_open(gated);
    (void)come(gated, &callers[0], "one", SECOND);
    (void)come(gated, &callers[1], "one", SECOND);
    refused(gated, &callers[2], "one", ERR_OVERLOADED, -1);
    assert_true(says(&callers[2].failure, "2 calls to the service \"one\" are under way"));
    forget(callers, 3);
    gated_free(gated);
}

static void a_crowd_does_not_delay_another(void **state)
{
    struct gated *gated = gated_new();
    struct caller *crowd = mem_new(1000 * sizeof *crowd);
    struct caller few[6] = {0};
    (void)state;
    gated->confs[0].queue = 2000;
    gated->confs[0].concurrency = 1;
    gated_open(gated);
    for (unsigned i = 0; i < 1000; i++) {
        (void)come_peer(gated, &crowd[i], 1);
    }
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(come_peer(gated, &few[i], 2 + i / 2), GATE_WAITS);
    }
    unsigned ends = 0, few_in = 0;
    leave(&crowd[0]);
    settle(gated);
    for (struct caller *at = turned; at; at = at->next) {
        ends++;
        few_in += at >= few && at < few + 6;
        if (few_in == 6) {
            break;
        }
        leave(at);
        settle(gated);
    }
    assert_int_equal(few_in, 6);
    assert_in_range(ends, 6, 8); /* of four flows one each, three times at most */
    unsigned next = 1;
    for (struct caller *at = turned; at; at = at->next) { /* in the order they came */
        if (at >= crowd && at < crowd + 1000) {
            assert_ptr_equal(at, &crowd[next++]);
        }
    }
    forget(crowd, 1000);
    forget(few, 6);
    mem_free(crowd);
    gated_free(gated);
}

static void a_crowd_makes_room(void **state)
{
    struct gated *gated = gated_new();
    struct caller crowd[22] = {0}, few[5] = {0};
    unsigned waiting = 0;
    (void)state;
    gated->confs[0].queue = 20;
    gated_open(gated);
    for (unsigned i = 0; i < 22; i++) {
        assert_int_not_equal(come_peer(gated, &crowd[i], 1), GATE_REFUSED);
    }
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(come_peer(gated, &few[i], 2 + i % 2), GATE_WAITS);
        assert_int_equal(view(gated, "one").waiting, 20);
    }
    assert_int_equal(crowd[21].turns, 0); /* told later */
    settle(gated);
    for (unsigned i = 0; i < 22; i++) { /* what came last went first */
        assert_int_equal(crowd[i].is_refused, i >= 17);
    }
    assert_int_equal(crowd[21].failure.code, ERR_OVERLOADED);
    forget(crowd, 22);
    settle(gated);
    for (unsigned i = 0; i < 22; i++) { /* one each: nobody has more than another */
        waiting += come_peer(gated, &crowd[i], 100 + i) == GATE_WAITS;
    }
    settle(gated);
    assert_int_equal(waiting,
                     18); /* with two of the few: the third in line of a peer gave way */
    assert_int_equal(view(gated, "one").waiting, 20);
    forget(crowd, 22);
    forget(few, 5);
    gated_free(gated);
}

static void a_wait_ends_at_its_deadline(void **state)
{
    struct gated *gated = gated_new();
    struct caller callers[4] = {0};
    (void)state;
    gated->confs[0].concurrency = 1;
    gated_open(gated);
    (void)come(gated, &callers[0], "one", 30 * SECOND);
    (void)come(gated, &callers[1], "one", 3 * SECOND);
    (void)come(gated, &callers[2], "one", 2 * SECOND);
    (void)come(gated, &callers[3], "one", MONO_NEVER);
    advance(gated, 2 * SECOND - 1);
    assert_false(callers[2].is_refused);
    advance(gated, 1);
    assert_true(callers[2].is_refused);
    assert_int_equal(callers[2].failure.code, ERR_TIMEOUT);
    assert_int_equal(callers[2].failure.class, FAILURE_OF_BROKER);
    assert_true(says(&callers[2].failure, "got no place: as many calls as its limit allows "
                                          "were under way within 2000 ms"));
    assert_false(callers[1].is_refused);
    advance(gated, SECOND);
    assert_true(callers[1].is_refused);
    advance(gated, 1000 * SECOND);
    assert_int_equal(callers[3].turns, 0);
    leave(&callers[0]);
    settle(gated);
    assert_true(callers[3].is_in);
    leave(&callers[3]);
    assert_int_equal(view(gated, "one").inside, 0);
    forget(callers, 4);
    gated_free(gated);
}

static void who_waits_hears_of_the_breaker(void **state)
{
    struct gated *gated = gated_new();
    struct caller callers[8] = {0};
    (void)state;
    gated->confs[0].breaker.failures = 2;
    gated_open(gated);
    for (unsigned i = 0; i < 6; i++) {
        (void)come_peer(gated, &callers[i], i % 3);
    }
    leave_with(&callers[0], ERR_UNAVAILABLE, FAILURE_NETWORK, "lost");
    settle(gated);
    assert_true(callers[2].is_in);
    leave_with(&callers[1], ERR_UNAVAILABLE, FAILURE_NETWORK, "lost again");
    assert_int_equal(view(gated, "one").waiting, 0);
    for (unsigned i = 3; i < 6; i++) {
        assert_int_equal(callers[i].turns, 0);
    }
    gate_quit(&callers[4].ticket); /* it is to be told, and will not be */
    settle(gated);
    assert_int_equal(callers[4].turns, 0);
    assert_true(callers[3].is_refused && callers[5].is_refused);
    assert_int_equal(callers[5].failure.code, ERR_CIRCUIT_OPEN);
    assert_int_equal(callers[5].failure.retry_after_ms, GATE_LOOK_MS);
    assert_true(says(&callers[5].failure, "lost again"));
    assert_true(gates_reset_breaker(gated->gates, SLICE("one")));
    (void)come_peer(gated, &callers[6], 1);
    (void)come_peer(gated, &callers[7], 1);
    assert_int_equal(callers[7].turns, 0);
    assert_true(gates_quarantine(gated->gates, SLICE("one"), 7000, SLICE("now")));
    settle(gated);
    assert_int_equal(callers[7].failure.code, ERR_QUARANTINED);
    assert_int_equal(callers[7].failure.retry_after_ms, 7000);
    assert_true(callers[6].is_in); /* who is inside stays */
    forget(callers, 8);
    gated_free(gated);
}

static void a_reload_holds_at_once(void **state)
{
    struct gated *gated = gated_new();
    struct caller callers[6] = {0};
    struct service_conf wider;
    (void)state;
    gated_open(gated);
    for (unsigned i = 0; i < 6; i++) {
        (void)come(gated, &callers[i], "one", 30 * SECOND);
    }
    conf_set(&wider, "one");
    wider.concurrency = 5;
    gated->list[0] = &wider;
    gates_apply(gated->gates, &gated->set);
    settle(gated);
    assert_true(callers[4].is_in);
    assert_int_equal(callers[5].turns, 0);
    gated->list[0] = &gated->confs[0];
    gates_apply(gated->gates, &gated->set);
    leave(&callers[0]);
    leave(&callers[1]);
    leave(&callers[2]);
    settle(gated);
    assert_int_equal(callers[5].turns, 0);
    leave(&callers[3]);
    settle(gated);
    assert_true(callers[5].is_in);
    assert_int_equal(wider.references, 1);
    forget(callers, 6);
    gated_free(gated);
}

static void a_service_that_goes_refuses_who_waits(void **state)
{
    struct gated *gated = gated_new();
    struct caller callers[4] = {0};
    (void)state;
    gated_open(gated);
    for (unsigned i = 0; i < 3; i++) {
        (void)come(gated, &callers[i], "one", 30 * SECOND);
    }
    gated->set = (struct service_set){gated->list + 1, SERVICES - 1};
    gates_apply(gated->gates, &gated->set);
    assert_int_equal(come(gated, &callers[3], "one", SECOND), GATE_REFUSED);
    assert_int_equal(callers[3].failure.code, ERR_NOT_FOUND);
    assert_int_equal(callers[2].turns, 0);
    settle(gated);
    assert_int_equal(callers[2].failure.code, ERR_NOT_FOUND);
    assert_true(callers[0].is_in);
    gated->set = (struct service_set){gated->list, SERVICES};
    gates_apply(gated->gates, &gated->set); /* another gate, though the name is the same */
    assert_int_equal(view(gated, "one").inside, 0);
    assert_int_equal(come(gated, &callers[3], "one", SECOND), GATE_INSIDE);
    for (unsigned i = 0; i < 2; i++) {
        leave_with(&callers[i], ERR_UNAVAILABLE, FAILURE_NETWORK, "late");
    }
    assert_int_equal(view(gated, "one").failures_in_row, 0);
    assert_int_equal(view(gated, "one").inside, 1);
    forget(callers, 4);
    gated_free(gated);
}

/* ---- turns that do things ---------------------------------------------------------------- */

static void come_back(void *arg, const struct failure *failure)
{
    struct caller *caller = arg;
    const struct gate_caller who = {SLICE("agent"), SLICE("user"), 1};
    struct failure second = {0};
    caller->turns++;
    if (failure) {
        enum gate_answer answer =
            gate_enter(caller->gated->gates, SLICE("one"), &who,
                       loop_now(caller->gated->loop) + SECOND, true, &caller->ticket, &second);
        caller->is_refused = answer == GATE_REFUSED;
    } else if (caller->turns == 1) {
        gate_quit(&caller->ticket);
        enum gate_answer answer =
            gate_enter(caller->gated->gates, SLICE("one"), &who,
                       loop_now(caller->gated->loop) + SECOND, true, &caller->ticket, &second);
        caller->is_in = answer == GATE_INSIDE;
    }
    failure_done(&second);
}

static void a_turn_may_quit_and_come_again(void **state)
{
    struct gated *gated = gated_new();
    struct caller callers[6] = {0};
    (void)state;
    gated_open(gated);
    for (unsigned i = 0; i < 6; i++) {
        (void)come_peer(gated, &callers[i], 1);
        callers[i].ticket.turn = i < 2 ? take_turn : come_back;
    }
    leave(&callers[0]);
    leave(&callers[1]);
    settle(gated); /* the first two quit at once and stand behind the others */
    for (unsigned i = 2; i < 6; i++) {
        assert_int_equal(callers[i].turns, i < 4 ? 2 : 1);
    }
    assert_int_equal(view(gated, "one").inside + view(gated, "one").waiting, 4);
    assert_true(
        gates_force_breaker(gated->gates, SLICE("one"), BREAKER_FORCED_OPEN, SLICE("")));
    settle(gated);
    assert_int_equal(view(gated, "one").waiting, 0);
    assert_int_equal(view(gated, "one").inside, 2);
    forget(callers, 6);
    gated_free(gated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_is_waited_for),
        cmocka_unit_test(no_queue_is_no_wait),
        cmocka_unit_test(a_crowd_does_not_delay_another),
        cmocka_unit_test(a_crowd_makes_room),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
        cmocka_unit_test(who_waits_hears_of_the_breaker),
        cmocka_unit_test(a_reload_holds_at_once),
        cmocka_unit_test(a_service_that_goes_refuses_who_waits),
        cmocka_unit_test(a_turn_may_quit_and_come_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
