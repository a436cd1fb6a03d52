/* SPDX-License-Identifier: MIT */
/* test_share.c - what one agent and one client process may have, and what is remembered of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "call/share.h"

#include <stdio.h>

#define SECOND INT64_C(1000000)

struct room {
    struct shares shares;
    struct share_limits limits;
    struct failure failure;
};

static int setup(void **state)
{
    static struct room room;
    room = (struct room){.limits = {0}};
    shares_init(&room.shares);
    *state = &room;
    return 0;
}

static int teardown(void **state)
{
    struct room *room = *state;
    shares_done(&room->shares);
    failure_done(&room->failure);
    return 0;
}

static bool take(struct room *room, const char *agent, pid_t pid, mono_us now,
                 struct share_taken *ret)
{
    const struct share_ask ask = {
        .agent = slice_of(agent), .uid = 1000, .pid = pid, .now = now};
    *ret = (struct share_taken){NULL, NULL};
    return shares_take(&room->shares, &room->limits, &ask, ret, &room->failure);
}

static void without_a_limit_nothing_is_counted(void **state)
{
    struct room *room = *state;
    struct share_taken taken;
    for (int i = 0; i < 1000; i++) {
        assert_true(take(room, "a", 1, 0, &taken));
        assert_null(taken.agent);
        assert_null(taken.peer);
    }
    assert_int_equal(room->shares.agents.by_key.count, 0);
}

static void calls_at_once_are_given_back(void **state)
{
    struct room *room = *state;
    struct share_taken a;
    struct share_taken b;
    struct share_taken c;
    room->limits.agent_calls = 2;
    assert_true(take(room, "a", 1, 0, &a));
    assert_true(take(room, "a", 2, 0, &b));
    assert_false(take(room, "a", 3, 0, &c));
    assert_int_equal(room->failure.code, ERR_OVERLOADED);
    assert_int_equal(room->failure.retry_after_ms, -1);
    assert_true(take(room, "b", 3, 0, &c)); /* of another agent */
    shares_give_back(&room->shares, &c);
    shares_give_back(&room->shares, &a);
    shares_give_back(&room->shares, &a); /* once */
    assert_true(take(room, "a", 3, 0, &c));
    shares_give_back(&room->shares, &b);
    shares_give_back(&room->shares, &c);
}

static void a_rate_says_when(void **state)
{
    struct room *room = *state;
    struct share_taken taken;
    room->limits.peer_rate = (struct rate_conf){.count = 2, .period_us = 10 * SECOND};
    for (int i = 0; i < 2; i++) {
        assert_true(take(room, "a", 1, SECOND, &taken));
        shares_give_back(&room->shares, &taken);
    }
    assert_false(take(room, "a", 1, SECOND, &taken));
    assert_int_equal(room->failure.retry_after_ms, 5000);
    assert_true(take(room, "a", 2, SECOND, &taken)); /* another process */
    shares_give_back(&room->shares, &taken);
    assert_true(take(room, "a", 1, 6 * SECOND, &taken));
    shares_give_back(&room->shares, &taken);
}

/* Who is refused for the one limit pays nothing of the other. */
static void a_refusal_takes_nothing(void **state)
{
    struct room *room = *state;
    struct share_taken first;
    struct share_taken taken;
    room->limits.agent_rate = (struct rate_conf){.count = 2, .period_us = 100 * SECOND};
    room->limits.peer_calls = 1;
    assert_true(take(room, "a", 1, 0, &first));
    for (int i = 0; i < 10; i++) {
        assert_false(take(room, "a", 1, 0, &taken));
    }
    shares_give_back(&room->shares, &first);
    assert_true(take(room, "a", 1, 0, &taken));
    shares_give_back(&room->shares, &taken);
    assert_false(take(room, "a", 1, 0, &taken)); /* two, in all */
}

/* Nor is a place of the agent's kept by who had none of the client's. */
static void a_refusal_keeps_no_place(void **state)
{
    struct room *room = *state;
    struct share_taken first;
    struct share_taken taken;
    room->limits.agent_calls = 2;
    room->limits.peer_calls = 1;
    assert_true(take(room, "a", 1, 0, &first));
    for (int i = 0; i < 10; i++) {
        assert_false(take(room, "a", 1, 0, &taken));
    }
    assert_true(take(room, "a", 2, 0, &taken));
    shares_give_back(&room->shares, &taken);
    shares_give_back(&room->shares, &first);
}

/* However many there are: those that rest are forgotten, the oldest first, those with calls never. */
static void tables_are_bounded(void **state)
{
    struct room *room = *state;
    struct share_taken held;
    struct share_taken taken;
    room->limits.peer_calls = 1;
    assert_true(take(room, "a", 1, 0, &held));
    for (pid_t pid = 2; pid < 20000; pid++) {
        assert_true(take(room, "a", pid, 0, &taken));
        shares_give_back(&room->shares, &taken);
    }
    assert_int_equal(room->shares.peers.rest_count, SHARES_KEPT);
    assert_int_equal(room->shares.peers.by_key.count, SHARES_KEPT + 1);
    assert_false(take(room, "a", 1, 0, &taken));
    shares_give_back(&room->shares, &held);
    assert_true(take(room, "a", 1, 0, &taken));
    shares_give_back(&room->shares, &taken);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(without_a_limit_nothing_is_counted),
        TEST(calls_at_once_are_given_back),
        TEST(a_rate_says_when),
        TEST(a_refusal_takes_nothing),
        TEST(a_refusal_keeps_no_place),
        TEST(tables_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
