/* SPDX-License-Identifier: MIT */
/*
 * test_return.c - services that were gone for a second or for most of an hour, and how soon after their
 * return a call succeeds: each kind of outage, with and without calls meanwhile, all in one town.
 */
#include "town.h"

#define SOON (10 * S)

enum traffic {
    QUIET, /* nobody calls during the outage */
    BURST, /* its breaker opens, then nobody calls */
    STEADY /* a call every second or so */
};

struct outage {
    const char *name;
    enum fate_kind kind;
    enum service_transport transport;
    bool is_anew; /* it has forgotten its sessions when it is back */
};

static const struct outage outages[] = {
    {"refused", REFUSED, SERVICE_HTTP, true}, {"late", CONNECTS_LATE, SERVICE_HTTP, false},
    {"hangs", HANGS, SERVICE_HTTP, true},     {"fails", FAILS, SERVICE_HTTP, false},
    {"lost", LOST, SERVICE_HTTP, true},       {"stuck", HANGS, SERVICE_STDIO, false},
    {"exits", EXITS, SERVICE_STDIO, true}};
#define OUTAGES (sizeof outages / sizeof *outages)

static const char *const traffics[] = {"quiet", "burst", "steady"};

struct fellow {
    struct server *server;
    const struct outage *outage;
    enum traffic traffic;
    bool is_per_user;
    mono_us free_at; /* when its quarantine is over, if there is one */
    uint32_t first;  /* note since the return */
};

static struct fellow fellows[SERVERS];
static unsigned fellow_count;

static struct fate by_outage(struct server *server, bool is_call)
{
    (void)is_call;
    if (!server->is_down) {
        return (struct fate){.kind = ANSWERS, .after = 30 * MS};
    }
    return (struct fate){.kind = server->outage,
                         .after = server->outage == CONNECTS_LATE ? 6 * S : 50 * MS};
}

static void fellow_new(const struct outage *outage, enum traffic traffic, bool is_per_user)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%s_%s_%s", outage->name, traffics[traffic],
                   is_per_user ? "own" : "all");
    struct server *server = server_new(name, outage->transport);
    server->fate = by_outage;
    server->outage = outage->kind;
    if (is_per_user) {
        server->conf->needs_user = true;
        server->conf->sharing = SERVICE_PER_USER;
    }
    fellows[fellow_count++] = (struct fellow){server, outage, traffic, is_per_user, 0, 0};
}

static void call_fellow(const struct fellow *fellow, unsigned number)
{
    (void)ask_for(fellow->server, number % 2, number % 2 ? "ana" : "bo", 0);
}

static void call_all(unsigned number)
{
    for (unsigned i = 0; i < fellow_count; i++) {
        call_fellow(&fellows[i], number);
    }
}

static void break_down(mono_us lasts)
{
    mono_us every = lasts > 10 * MINUTE ? 3 * S : S;
    mono_us end = loop_now(town.loop) + lasts;
    for (unsigned i = 0; i < fellow_count; i++) {
        fellows[i].server->is_down = true;
    }
    for (unsigned number = 0; loop_now(town.loop) < end; number++) {
        for (unsigned i = 0; i < fellow_count; i++) {
            if (fellows[i].traffic == STEADY || (fellows[i].traffic == BURST && number < 6)) {
                call_fellow(&fellows[i], number);
            }
        }
        mono_us left = end - loop_now(town.loop);
        pass(left < every ? left : every);
    }
}

static void come_back(void)
{
    for (unsigned i = 0; i < fellow_count; i++) {
        struct fellow *fellow = &fellows[i];
        struct gate_view view = {0};
        assert_true(gates_view(town.gates, slice_of(fellow->server->name), &view));
        fellow->server->is_down = false;
        if (fellow->outage->is_anew) {
            fellow->server->first_wire = town.wires.count + 1;
        }
        fellow->free_at = loop_now(town.loop);
        if (view.is_quarantined) {
            fellow->free_at += view.quarantine_left_ms * MS;
        }
    }
}

/* From `since`; MONO_NEVER: not yet. */
static mono_us first_success(const struct server *server, mono_us since)
{
    for (uint32_t i = 0; i < town.note_count; i++) {
        const struct heard *note = &town.notes[i];
        if (note->server == server && note->is_ok && note->ended > since) {
            return note->ended;
        }
    }
    return MONO_NEVER;
}

static unsigned check_return(mono_us lasts, mono_us back)
{
    mono_us longest = 0;
    unsigned faults = 0;
    for (unsigned i = 0; i < fellow_count; i++) {
        const struct fellow *fellow = &fellows[i];
        const struct server *server = fellow->server;
        mono_us took = first_success(server, back) - fellow->free_at;
        bool is_late = took > SOON;
        faults += is_late;
        longest = took > longest ? took : longest;
        if (is_late) {
            print_message("%-20s away %4lld s, used again after %.1f s (%.1f s of quarantine; "
                          "opened %u)\n",
                          server->name, (long long)(lasts / S), (double)took / 1e6,
                          (double)(fellow->free_at - back) / 1e6, server->opened);
        }
    }
    print_message("%u services away for %lld s: used again after %.1f s at most\n",
                  fellow_count, (long long)(lasts / S), (double)longest / 1e6);
    return faults;
}

static void live_through(mono_us lasts)
{
    town_begin(seed_told());
    fellow_count = 0;
    for (size_t i = 0; i < OUTAGES * 6; i++) {
        fellow_new(&outages[i / 6], (enum traffic)(i % 3), i / 3 % 2);
    }
    apply_servers();
    persons_come(2);
    town.step = 50 * MS;
    call_all(0);
    call_all(1);
    pass(2 * S);
    break_down(lasts);
    come_back();
    mono_us back = loop_now(town.loop);
    for (unsigned number = 0; loop_now(town.loop) < back + SOON + S; number++) {
        call_all(number);
        pass(500 * MS);
    }
    mono_us last = back;
    for (unsigned i = 0; i < fellow_count; i++) {
        last = fellows[i].free_at > last ? fellows[i].free_at : last;
    }
    while (loop_now(town.loop) < last + SOON + S) {
        for (unsigned i = 0; i < fellow_count; i++) {
            if (fellows[i].free_at > back) {
                call_fellow(&fellows[i], town.note_count);
            }
        }
        pass(S);
    }
    unsigned faults = check_return(lasts, back);
    pass_until_answered();
    town_end();
    assert_int_equal(faults, 0);
}

static void after_a_second(void **state)
{
    (void)state;
    live_through(S);
}

static void after_ten_seconds(void **state)
{
    (void)state;
    live_through(10 * S);
}

static void after_45_seconds(void **state)
{
    (void)state;
    live_through(45 * S);
}

static void after_five_minutes(void **state)
{
    (void)state;
    live_through(5 * MINUTE);
}

static void after_40_minutes(void **state)
{
    (void)state;
    live_through(40 * MINUTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_second),   cmocka_unit_test(after_ten_seconds),
        cmocka_unit_test(after_45_seconds), cmocka_unit_test(after_five_minutes),
        cmocka_unit_test(after_40_minutes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
