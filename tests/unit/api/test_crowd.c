/* SPDX-License-Identifier: MIT */
/*
 * test_crowd.c - a thousand calls that wait for a service that hangs, and a hundred at once for one that
 * takes ten a second: who gets a turn, who is refused, and what others notice.
 */
#include "town.h"

/* ---- one that hangs ------------------------------------------------------------------------ */

#define PLACES  16u
#define WAITING 1000u
#define LATENCY (45 * MS)

static struct fate hangs(struct server *server, bool is_call)
{
    (void)server;
    return (struct fate){.kind = is_call ? HANGS : ANSWERS, .after = LATENCY};
}

static struct fate answers(struct server *server, bool is_call)
{
    (void)server;
    (void)is_call;
    return (struct fate){.kind = ANSWERS, .after = LATENCY};
}

static mono_us time_of_a_call(struct server *server, unsigned person)
{
    const struct heard *note = ask_for(server, person, "u", 0);
    while (!note->is_over) {
        pass(STEP);
    }
    assert_true(note->is_ok);
    return note->ended - note->began;
}

static void ask_often(struct server *server, unsigned person, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        (void)ask_for(server, person, "u", 20 * MINUTE);
        if (i % 50 == 49) {
            settle();
        }
    }
    pass(STEP);
}

static struct server *one_that_hangs(struct server **ret_other)
{
    struct server *server = server_new("hangs", SERVICE_HTTP);
    server->fate = answers;
    server->conf->concurrency = PLACES;
    server->conf->queue = WAITING;
    *ret_other = server_new("other", SERVICE_HTTP);
    (*ret_other)->fate = answers;
    apply_servers();
    persons_come(6);
    (void)time_of_a_call(server, 0);
    (void)time_of_a_call(*ret_other, 0);
    server->fate = hangs;
    return server;
}

/* Refused in the turn in which it is read. */
static void expect_overloaded(const struct heard *note)
{
    mono_us now = loop_now(town.loop);
    turns(3);
    hear_all();
    assert_true(note->is_over);
    assert_false(note->is_ok);
    assert_int_equal(strncmp(note->why, "OVERLOADED/", 11), 0);
    assert_int_equal(loop_now(town.loop), now);
}

/* How many calls of each person the server was sent, of those from `first` on. */
static void count_sent(unsigned first, unsigned count, unsigned by_person[PERSONS])
{
    memset(by_person, 0, PERSONS * sizeof *by_person);
    for (unsigned i = first; i < first + count && i < town.sent_count; i++) {
        by_person[town.sent[i].person]++;
    }
}

static void free_places(const struct server *server, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_true(answer_one_that_hangs(server));
        pass(STEP);
    }
}

static void a_crowd_that_waits(void **state)
{
    struct server *other;
    unsigned by_person[PERSONS];
    (void)state;
    town_begin(seed_told());
    struct server *server = one_that_hangs(&other);
    mono_us alone = time_of_a_call(other, 5);
    ask_often(server, 0, PLACES);
    unsigned first = town.sent_count;
    ask_often(server, 0, WAITING); /* one agent fills the queue */
    assert_int_equal(town.under_way, PLACES + WAITING);
    expect_overloaded(ask_for(server, 0, "u", 20 * MINUTE)); /* one more is too many */
    assert_int_equal(town.under_way, PLACES + WAITING);
    for (unsigned person = 1; person < 5; person++) { /* others get in, at its expense */
        ask_often(server, person, 20);
    }
    assert_int_equal(town.under_way, PLACES + WAITING);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(time_of_a_call(other, 5), alone);
    }
    free_places(server, 100);
    assert_true(time_of_a_call(other, 5) == alone);
    count_sent(first, 100 + 21, by_person);
    print_message("of the first 100 places that came free: %u for the crowd, %u %u %u %u for "
                  "the others; a call elsewhere took %lld ms, as alone\n",
                  by_person[0], by_person[1], by_person[2], by_person[3], by_person[4],
                  (long long)(alone / MS));
    for (unsigned person = 0; person < 5; person++) {
        assert_int_equal(by_person[person], 20);
    }
    assert_int_equal(server->breaker_changes + other->breaker_changes, 0);
    town_end();
}

/* ---- one that is limited -------------------------------------------------------------------- */

#define AGENTS   5u
#define A_SECOND 10u

/* Ten in a second of its own clock; more are told to come back in two. */
static struct fate ten_a_second(struct server *server, bool is_call)
{
    mono_us now = loop_now(town.loop);
    struct fate fate = {.kind = ANSWERS, .after = 50 * MS};
    if (!is_call) {
        return fate;
    }
    if (now - server->window >= S) {
        server->window = now;
        server->window_calls = 0;
    }
    if (++server->window_calls > A_SECOND) {
        fate.kind = LIMITED_FOR;
        fate.wait_ms = 2000;
    }
    return fate;
}

struct turns_had {
    unsigned succeeded[AGENTS], refused;
    mono_us sum[AGENTS];
};

static struct turns_had shares_of(uint32_t first)
{
    struct turns_had shares = {0};
    for (uint32_t i = first; i < town.note_count; i++) {
        const struct heard *note = &town.notes[i];
        assert_true(note->ended - note->began <= note->timeout + STEP);
        shares.succeeded[note->person] += note->is_ok;
        shares.sum[note->person] += note->ended - note->began;
        if (!note->is_ok) {
            shares.refused++;
            assert_int_equal(strncmp(note->why, "RATE_LIMITED/", 13), 0);
        }
    }
    return shares;
}

static mono_us most_of(const mono_us times[AGENTS])
{
    mono_us most = 0;
    for (unsigned i = 0; i < AGENTS; i++) {
        most = times[i] > most ? times[i] : most;
    }
    return most;
}

static mono_us least_of(const mono_us times[AGENTS])
{
    mono_us least = MONO_NEVER;
    for (unsigned i = 0; i < AGENTS; i++) {
        least = times[i] < least ? times[i] : least;
    }
    return least;
}

/* Of all agents at the same time: none is read before the others. */
static void ask_a_hundred(struct server *server)
{
    for (unsigned i = 0; i < 100; i++) {
        (void)ask_for(server, i % AGENTS, "u", 0);
        turns(1);
    }
}

static struct turns_had a_hundred_at_once(const char *title,
                                          void (*tune)(struct service_conf *conf))
{
    town_begin(seed_told());
    struct server *server = server_new("s", SERVICE_HTTP);
    server->fate = ten_a_second;
    tune(server->conf);
    apply_servers();
    persons_come(AGENTS);
    (void)ask_for(server, 0, "u", 0);
    pass(3 * S);
    uint32_t first = town.note_count;
    ask_a_hundred(server);
    pass_until_answered();
    struct turns_had shares = shares_of(first);
    print_message("%s: %u of 100 succeeded, the server refused %u; mean time of agents %.1f to "
                  "%.1f s\n",
                  title, 100 - shares.refused, server->by_fate[LIMITED_FOR],
                  (double)least_of(shares.sum) / 20e6, (double)most_of(shares.sum) / 20e6);
    town_end();
    return shares;
}

static void ten_evenly(struct service_conf *conf)
{
    assert_true(rate_parse("10/s burst 1", &conf->rate));
}

/* Ten at once and ten in the second behind: more than the server takes, once. */
static void ten_and_ten(struct service_conf *conf)
{
    assert_true(rate_parse("10/s", &conf->rate));
}

static void expect_fair(const struct turns_had *shares)
{
    assert_int_equal(shares->refused, 0);
    assert_true(most_of(shares->sum) * 2 <= least_of(shares->sum) * 3);
}

static void a_limit_that_is_known(void **state)
{
    struct turns_had shares;
    (void)state;
    shares = a_hundred_at_once("10/s burst 1 of ours", ten_evenly);
    expect_fair(&shares);
    shares = a_hundred_at_once("10/s of ours", ten_and_ten);
    expect_fair(&shares);
}

static void as_it_comes(struct service_conf *conf)
{
    (void)conf;
}

static void ten_places(struct service_conf *conf)
{
    conf->concurrency = 10;
}

/* Nothing is known of it beforehand: the pace is learned from what it refuses. */
static void a_limit_that_is_not_known(void **state)
{
    struct turns_had shares;
    (void)state;
    shares = a_hundred_at_once("1024 places", as_it_comes);
    expect_fair(&shares);
    shares = a_hundred_at_once("ten places", ten_places);
    expect_fair(&shares);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crowd_that_waits),
        cmocka_unit_test(a_limit_that_is_known),
        cmocka_unit_test(a_limit_that_is_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
