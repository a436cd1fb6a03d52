/* SPDX-License-Identifier: MIT */
/*
 * test_half_hour.c - thirty minutes of a service that fails by chance, and of one that comes and goes:
 * what the callers hear, how long it takes, and what it costs. TOOLBROKER_SEED repeats a run.
 */
#include "town.h"

#define HALF_HOUR (30 * MINUTE)

/* ---- figures ----------------------------------------------------------------------------- */

struct figures {
    unsigned calls, succeeded, attempts, retries;
    mono_us longest;
    struct {
        char why[56];
        unsigned count;
    } reasons[REASONS];
    unsigned reason_count;
};

static void count_reason(struct figures *figures, const char *why)
{
    for (unsigned i = 0; i < figures->reason_count; i++) {
        if (strcmp(figures->reasons[i].why, why) == 0) {
            figures->reasons[i].count++;
            return;
        }
    }
    assert_true(figures->reason_count < REASONS);
    (void)snprintf(figures->reasons[figures->reason_count].why, sizeof figures->reasons[0].why,
                   "%s", why);
    figures->reasons[figures->reason_count++].count = 1;
}

static struct figures figures_of(const struct server *server)
{
    struct figures figures = {0};
    for (uint32_t i = 0; i < town.note_count; i++) {
        const struct heard *note = &town.notes[i];
        if (note->server != server) {
            continue;
        }
        assert_true(note->is_over);
        mono_us took = note->ended - note->began;
        assert_true(took <= note->timeout + STEP);
        figures.calls++;
        figures.succeeded += note->is_ok;
        figures.attempts += note->sent;
        figures.retries += note->sent > 1 ? note->sent - 1 : 0;
        figures.longest = took > figures.longest ? took : figures.longest;
        if (!note->is_ok) {
            count_reason(&figures, note->why);
        }
    }
    return figures;
}

static double percent(unsigned part, unsigned whole)
{
    return whole ? 100.0 * part / whole : 100.0;
}

static void print_figures(const char *title, const struct server *server,
                          const struct figures *figures)
{
    print_message("%-8s %6u calls  %5.2f %%  %6u attempts  %5u retries  longest %4.1f s  "
                  "opened %u for %.0f s  probes %u (%u failed)\n",
                  title, figures->calls, percent(figures->succeeded, figures->calls),
                  figures->attempts, figures->retries, (double)figures->longest / 1e6,
                  server->opened, (double)server->open_for / 1e6, server->probes,
                  server->failed_probes);
    for (unsigned i = 0; i < figures->reason_count; i++) {
        print_message("           %5.2f %%  %s\n",
                      percent(figures->reasons[i].count, figures->calls),
                      figures->reasons[i].why);
    }
}

/* ---- the budget ---------------------------------------------------------------------------- */

/* A retry is taken from the budget when it is decided on, and sent after its wait: a back-off, or what the
 * server asks for and those before it in line. */
#define LONGEST_WAIT (10 * S)

static unsigned calls_between(const struct server *server, mono_us from, mono_us to)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < town.note_count; i++) {
        const struct heard *note = &town.notes[i];
        count += note->server == server && note->began >= from && note->began < to;
    }
    return count;
}

static unsigned retries_between(const struct server *server, mono_us from, mono_us to)
{
    unsigned count = 0;
    for (unsigned i = 0; i < town.sent_count; i++) {
        const struct sent *sent = &town.sent[i];
        count += sent->server == server && sent->is_retry && sent->at >= from && sent->at < to;
    }
    return count;
}

/* 20 % of the calls, one a second, and what may be saved up: ten of each. */
static double budget_of(unsigned calls, mono_us time)
{
    return 0.2 * calls + (double)time / 1e6 + 20;
}

static void check_budget(const struct server *server, mono_us began)
{
    mono_us now = loop_now(town.loop);
    for (mono_us from = began; from < now; from += 10 * S) {
        unsigned retries = retries_between(server, from, from + MINUTE);
        unsigned calls = calls_between(server, from - LONGEST_WAIT, from + MINUTE);
        if (retries > budget_of(calls, MINUTE + LONGEST_WAIT)) {
            fail_msg("%u retries of %u calls in a minute", retries, calls);
        }
    }
    assert_true(retries_between(server, began, now) <=
                budget_of(calls_between(server, began, now), now - began));
}

/* ---- a service that fails by chance --------------------------------------------------------- */

#define SHARE_THAT_FAILS 0.3

static struct fate by_chance(struct server *server, bool is_call)
{
    static const enum fate_kind kinds[] = {REFUSED, CONNECTS_LATE, LOST, FAILS, BUSY, BUSY_FOR};
    struct fate fate = {.kind = ANSWERS, .after = chance_time(5 * MS, 300 * MS)};
    (void)server;
    (void)is_call;
    if (chance_of(SHARE_THAT_FAILS)) {
        fate.kind = kinds[chance() % (sizeof kinds / sizeof *kinds)];
        fate.wait_ms = 1000 * (int64_t)(1 + chance() % 3);
        if (fate.kind == CONNECTS_LATE) {
            fate.after = chance_time(2 * S, 10 * S);
        }
    }
    return fate;
}

static struct figures live(uint64_t seed, double calls_per_s, const char *title)
{
    town_begin(seed);
    struct server *server = server_new("s", SERVICE_HTTP);
    server->fate = by_chance;
    apply_servers();
    persons_come(5);
    mono_us began = loop_now(town.loop);
    double share = calls_per_s * (double)STEP / 1e6;
    while (loop_now(town.loop) < began + HALF_HOUR) {
        if (chance_of(share)) {
            (void)ask_for(server, (unsigned)(chance() % 5), "u", 0);
        }
        pass(STEP);
    }
    pass_until_answered();
    struct figures figures = figures_of(server);
    print_figures(title, server, &figures);
    check_budget(server, began);
    assert_int_equal(server->quarantines, 0);
    town_end();
    return figures;
}

#define SEEDS 4u
#define GOAL  95.0

static void most_calls_succeed(void **state)
{
    static const struct {
        double calls_per_s;
        const char *title;
    } rates[] = {{0.2, "0.2/s"}, {1, "1/s"}, {2, "2/s"}};
    uint64_t seed = seed_told();
    (void)state;
    for (unsigned i = 0; i < sizeof rates / sizeof *rates; i++) {
        unsigned calls = 0, succeeded = 0;
        for (unsigned k = 0; k < SEEDS; k++) {
            struct figures figures = live(seed + k, rates[i].calls_per_s, rates[i].title);
            calls += figures.calls;
            succeeded += figures.succeeded;
        }
        print_message("%-8s %5.2f %% of %u calls\n", rates[i].title, percent(succeeded, calls),
                      calls);
        assert_true(percent(succeeded, calls) >= GOAL);
    }
}

/* More calls than the budget has retries for: it holds, whatever becomes of them. */
static void the_budget_holds_under_load(void **state)
{
    uint64_t seed = seed_told();
    (void)state;
    (void)live(seed, 10, "10/s");
}

/* ---- one that comes and goes --------------------------------------------------------------- */

#define STEADY  3u
#define LATENCY (45 * MS)
#define FLAP    (7 * S)
#define FLAPS   (HALF_HOUR / FLAP)

static struct fate steadily(struct server *server, bool is_call)
{
    (void)server;
    (void)is_call;
    return (struct fate){.kind = ANSWERS, .after = LATENCY};
}

static struct fate while_up(struct server *server, bool is_call)
{
    static const enum fate_kind kinds[] = {REFUSED, LOST, FAILS, HANGS};
    (void)is_call;
    if (!server->is_down) {
        return (struct fate){.kind = ANSWERS, .after = LATENCY};
    }
    return (struct fate){.kind = kinds[chance() % 4], .after = 20 * MS};
}

/* Traffic of two a second for each, for `time`; the flapping one is there if `flaps`. */
static void live_beside(mono_us time, bool flaps)
{
    static const char *const names[] = {"a", "b", "c", "flaps"};
    for (unsigned i = 0; i < STEADY + flaps; i++) {
        server_new(names[i], SERVICE_HTTP)->fate = i < STEADY ? steadily : while_up;
    }
    apply_servers();
    persons_come(4);
    for (unsigned i = 0; i < town.server_count; i++) {
        (void)ask_for(&town.servers[i], i, "u", 0); /* from now on they have sessions */
    }
    pass_until_answered();
    mono_us began = loop_now(town.loop);
    for (unsigned step = 0; loop_now(town.loop) < began + time; step++) {
        if (flaps) {
            town.servers[STEADY].is_down = (loop_now(town.loop) - began) / FLAP % 2;
        }
        if (step % (S / 2 / STEP) == 0) {
            for (unsigned i = 0; i < town.server_count; i++) {
                (void)ask_for(&town.servers[i], (unsigned)(chance() % 4), "u", 0);
            }
        }
        pass(STEP);
    }
    pass_until_answered();
}

static mono_us longest_of(const struct server *server)
{
    mono_us longest = 0;
    for (uint32_t i = town.server_count; i < town.note_count; i++) {
        const struct heard *note = &town.notes[i];
        if (note->server == server) {
            mono_us took = note->ended - note->began;
            assert_true(note->is_ok);
            longest = took > longest ? took : longest;
        }
    }
    return longest;
}

static void one_that_flaps_is_alone_in_it(void **state)
{
    uint64_t seed = seed_told();
    (void)state;
    town_begin(seed);
    live_beside(MINUTE, false);
    mono_us alone = longest_of(&town.servers[0]);
    town_end();
    town_begin(seed);
    live_beside(HALF_HOUR, true);
    for (unsigned i = 0; i < STEADY; i++) {
        assert_int_equal(longest_of(&town.servers[i]), alone);
        assert_int_equal(town.servers[i].breaker_changes, 0);
        assert_true(town.servers[i].status_changes <= 1); /* it is known from now on */
    }
    const struct server *flaps = &town.servers[STEADY];
    struct figures figures = figures_of(flaps);
    print_figures("flaps", flaps, &figures);
    print_message("%u flaps: %u changes of its breaker, %u of them told, %u of its status\n",
                  (unsigned)FLAPS, flaps->breaker_changes, flaps->news, flaps->status_changes);
    assert_int_equal(flaps->quarantines, 0);
    assert_true(flaps->status_changes <= 3 * FLAPS);
    assert_true(flaps->news <= 3 * FLAPS);
    town_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(most_calls_succeed),
        cmocka_unit_test(the_budget_holds_under_load),
        cmocka_unit_test(one_that_flaps_is_alone_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
