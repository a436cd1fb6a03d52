/* SPDX-License-Identifier: MIT */
/* test_health.c - the monitor with real gates and sessions: who is probed when, how soon what is back
 * is used again, and what is told. */
#include "tower.h"

#define INTERVAL (300 * S)

static void who_is_not_used_is_not_woken(void **state)
{
    (void)state;
    (void)service("idle", SERVICE_HTTP);
    apply_services();
    pass(60 * MINUTE);
    assert_int_equal(at("idle")->connects, 0);
    expect_health("idle", "\"status\":\"unknown\"");
}

static void a_critical_one_is(void **state)
{
    (void)state;
    service("critical", SERVICE_HTTP)->is_critical = true;
    apply_services();
    pass(6 * S);
    assert_int_equal(at("critical")->pings, 1);
    expect_health("critical", "\"status\":\"up\"");
    expect_health("critical", "\"priority\":\"critical\"");
    pass(20 * MINUTE);
    assert_in_range(at("critical")->pings, 4, 6);
    assert_string_equal(tower.news, "critical:unknown>up ");
}

/* Its calls say enough; behind them it is asked once an interval, while its session stands. */
static void calls_go_before_probes(void **state)
{
    (void)state;
    (void)service("used", SERVICE_HTTP);
    apply_services();
    for (int i = 0; i < 60; i++) {
        assert_true(call("used"));
        pass(30 * S);
    }
    assert_int_equal(at("used")->pings, 0);
    pass(20 * MINUTE);
    assert_in_range(at("used")->pings, 3, 5);
    assert_int_equal(at("used")->connects, 1);
    assert_string_equal(tower.news, "used:unknown>up ");
}

static void an_interval_of_none_means_none(void **state)
{
    (void)state;
    service("used", SERVICE_HTTP)->health_interval_s = 0;
    apply_services();
    assert_true(call("used"));
    pass(60 * MINUTE);
    assert_int_equal(at("used")->pings, 0);
    expect_health("used", "\"status\":\"up\"");
}

static void what_has_gone_to_sleep_is_unknown(void **state)
{
    (void)state;
    service("used", SERVICE_STDIO)->idle_stop_s = 60;
    apply_services();
    assert_true(call("used"));
    pass(10 * MINUTE);
    assert_int_equal(at("used")->pings, 0);
    assert_int_equal(at("used")->connects, 1);
    expect_health("used", "\"status\":\"unknown\"");
    assert_string_equal(tower.news, "used:unknown>up used:up>unknown ");
}

/* 5, 10 and 30 s after one failure; it is well by then. */
static void after_a_failure_it_is_asked_soon(void **state)
{
    (void)state;
    (void)service("s", SERVICE_HTTP);
    apply_services();
    assert_true(call("s"));
    at("s")->mode = FAILS;
    assert_false(call("s"));
    at("s")->mode = IS_UP;
    expect_health("s", "\"status\":\"degraded\"");
    pass(4 * S);
    assert_int_equal(at("s")->pings, 0);
    pass(2 * S);
    assert_int_equal(at("s")->pings, 1);
    expect_health("s", "\"status\":\"up\"");
    expect_health("s", "\"last_check\":{\"at\":\"");
    pass(2 * MINUTE);
    assert_int_equal(at("s")->pings, 1);
}

static void and_later_if_it_fails_again(void **state)
{
    (void)state;
    service("s", SERVICE_HTTP)->breaker.is_off = true;
    apply_services();
    assert_true(call("s"));
    at("s")->mode = FAILS;
    assert_false(call("s"));
    unsigned before = at("s")->pings;
    pass(6 * S);
    assert_int_equal(at("s")->pings - before, 1);
    pass(10 * S);
    assert_int_equal(at("s")->pings - before, 2);
    pass(25 * S);
    assert_int_equal(at("s")->pings - before, 2);
    pass(7 * S);
    assert_int_equal(at("s")->pings - before, 3);
    pass(260 * S);
    assert_int_equal(at("s")->pings - before, 3);
    pass(80 * S);
    assert_int_equal(at("s")->pings - before, 4);
}

/* ---- outages ----------------------------------------------------------------------------- */

struct outage {
    enum mode mode;
    enum service_transport transport;
    mono_us lasts;
    bool is_called; /* clients go on trying meanwhile */
};

/* From its return until the first call that succeeds. */
static mono_us time_back(const char *name, bool is_called)
{
    mono_us since = loop_now(tower.loop);
    if (!is_called) {
        pass(95 * S / 10);
    }
    while (!call(name)) {
        pass(S / 4);
        assert_true(loop_now(tower.loop) - since < 10 * MINUTE);
    }
    return loop_now(tower.loop) - since;
}

static void live_through(const struct outage *outage)
{
    assert_int_equal(tower_begin(NULL), 0);
    /* Processes that end are quarantined, and left alone for that time. */
    service("s", outage->transport)->quarantine.is_off = outage->transport == SERVICE_STDIO;
    apply_services();
    assert_true(call("s"));
    break_down("s", outage->mode);
    mono_us until = loop_now(tower.loop) + outage->lasts;
    while (loop_now(tower.loop) < until) {
        if (outage->is_called) {
            assert_false(call("s"));
        }
        pass(outage->is_called ? S : STEP);
    }
    expect_health("s", "\"status\":\"down\"");
    assert_string_equal(health_overall(tower.health), "degraded");
    at("s")->mode = IS_UP;
    mono_us took = time_back("s", outage->is_called);
    if (took > 10 * S) {
        fail_msg("mode %d, transport %d, %lld s, called %d: used again after %lld ms",
                 (int)outage->mode, (int)outage->transport, (long long)(outage->lasts / S),
                 outage->is_called, (long long)(took / MS));
    }
    pass(12 * S);
    assert_true(call("s"));
    expect_health("s", "\"status\":\"up\"");
    assert_string_equal(health_overall(tower.health), "up");
    assert_int_equal(view_of("s").breaker, BREAKER_CLOSED);
    assert_int_equal(tower_end(NULL), 0);
}

static void what_is_back_is_used_within_10_s(void **state)
{
    static const mono_us lengths[] = {S, 30 * S, 5 * MINUTE, 60 * MINUTE};
    static const enum mode modes[] = {REFUSES, HANGS, FAILS};
    static const enum service_transport transports[] = {SERVICE_HTTP, SERVICE_STDIO};
    (void)state;
    for (unsigned i = 0; i < 4 * 3 * 2 * 2; i++) {
        const struct outage outage = {modes[i / 4 % 3], transports[i / 12 % 2], lengths[i % 4],
                                      i / 24};
        live_through(&outage);
    }
}

/* Whenever it comes back: also just behind a probe that it swallowed. */
static void at_any_moment(void **state)
{
    (void)state;
    for (mono_us more = 0; more < 20 * S; more += 700 * MS) {
        const struct outage outage = {HANGS, SERVICE_HTTP, 60 * S + more, false};
        live_through(&outage);
    }
}

/* It never answers again: only a new process does. */
static void a_process_that_hangs_for_good_is_begun_anew(void **state)
{
    (void)state;
    service("s", SERVICE_STDIO)->quarantine.is_off = true;
    apply_services();
    assert_true(call("s"));
    at("s")->is_stuck_since = ++tower.wires.count;
    for (int i = 0; i < 20 && view_of("s").breaker == BREAKER_CLOSED; i++) {
        assert_false(call("s"));
    }
    assert_int_equal(view_of("s").breaker, BREAKER_OPEN);
    assert_int_equal(at("s")->connects, 1);
    pass(60 * S);
    assert_true(at("s")->connects > 1);
    assert_true(call("s"));
    expect_health("s", "\"status\":\"up\"");
}

/* But not one that works on somebody's call. */
static void a_call_under_way_is_not_ended(void **state)
{
    struct attempt long_one;
    (void)state;
    (void)service("s", SERVICE_STDIO);
    apply_services();
    assert_true(call("s"));
    at("s")->is_stuck_since = ++tower.wires.count;
    try_call_for(&long_one, "s", "", 10 * MINUTE);
    for (int i = 0; i < 20 && view_of("s").breaker == BREAKER_CLOSED; i++) {
        assert_false(call("s"));
    }
    pass(3 * MINUTE);
    assert_false(long_one.is_over);
    pass(10 * MINUTE);
    assert_true(long_one.is_over);
    assert_int_equal(long_one.code, ERR_TIMEOUT);
}

/* Probes keep nobody awake. */
static void an_idle_session_ends_though_it_is_probed(void **state)
{
    (void)state;
    service("s", SERVICE_STDIO)->idle_stop_s = 700;
    apply_services();
    assert_true(call("s"));
    pass(11 * MINUTE);
    assert_int_equal(at("s")->pings, 2);
    expect_health("s", "\"status\":\"up\"");
    pass(20 * MINUTE);
    assert_in_range(at("s")->pings, 2, 3);
    assert_int_equal(at("s")->connects, 1);
    expect_health("s", "\"status\":\"unknown\"");
}

/* One that ends whenever it is begun: quarantined, asked soon behind it, and used again. */
static void behind_a_quarantine_it_is_asked_soon(void **state)
{
    struct gate_view view = {0};
    (void)state;
    (void)service("s", SERVICE_STDIO);
    apply_services();
    assert_true(call("s"));
    at("s")->mode = REFUSES;
    for (int i = 0; i < 60 && !view.is_quarantined; i++) {
        assert_false(call("s"));
        pass(S);
        view = view_of("s");
    }
    assert_true(view.is_quarantined);
    at("s")->mode = IS_UP;
    unsigned before = at("s")->connects;
    pass(view.quarantine_left_ms * MS - S);
    assert_int_equal(at("s")->connects, before);
    pass(3 * S);
    assert_true(at("s")->connects > before);
    pass(3 * S);
    assert_true(call("s"));
}

static void one_that_flaps_is_alone_in_it(void **state)
{
    (void)state;
    (void)service("flaps", SERVICE_HTTP);
    (void)service("steady", SERVICE_HTTP);
    apply_services();
    assert_true(call("flaps"));
    assert_true(call("steady"));
    for (int i = 0; i < 40; i++) {
        at("flaps")->mode = i % 2 ? IS_UP : REFUSES;
        for (int j = 0; j < 30; j++) {
            (void)call("flaps");
            assert_true(call("steady"));
            pass(S);
        }
    }
    assert_int_equal(at("steady")->pings, 0);
    assert_int_equal(at("steady")->connects, 1);
    assert_int_equal(at("steady")->calls, 1201);
    assert_true(at("flaps")->calls > 300); /* and it was used when it was there */
    assert_null(strstr(strstr(tower.news, "steady:unknown>up ") + 1, "steady:"));
}

/* Nothing can be asked in the name of a user: his next call is let through early. */
static void for_users_calls_try_early(void **state)
{
    (void)state;
    struct service_conf *conf = service("theirs", SERVICE_HTTP);
    conf->sharing = SERVICE_PER_USER;
    conf->needs_user = true;
    apply_services();
    assert_true(call_as("theirs", "ana", NULL));
    at("theirs")->mode = REFUSES;
    enum err_code code = ERR_NONE;
    for (int i = 0; i < 10 && code != ERR_CIRCUIT_OPEN; i++) {
        assert_false(call_as("theirs", "ana", &code));
    }
    assert_int_equal(code, ERR_CIRCUIT_OPEN);
    pass(5 * MINUTE);
    assert_int_equal(at("theirs")->pings, 0);
    at("theirs")->mode = IS_UP;
    mono_us since = loop_now(tower.loop);
    while (!call_as("theirs", "ana", &code)) {
        pass(S / 4);
    }
    assert_true(loop_now(tower.loop) - since <= 10 * S);
}

static void users_calls_that_fail_do_not_end_it(void **state)
{
    (void)state;
    struct service_conf *conf = service("theirs", SERVICE_HTTP);
    conf->sharing = SERVICE_PER_USER;
    conf->needs_user = true;
    apply_services();
    assert_true(call_as("theirs", "ana", NULL));
    at("theirs")->mode = REFUSES;
    for (int i = 0; i < 20 * 60; i++) {
        assert_false(call_as("theirs", "ana", NULL));
        pass(S);
    }
    at("theirs")->mode = IS_UP;
    mono_us since = loop_now(tower.loop);
    while (!call_as("theirs", "ana", NULL)) {
        pass(S / 4);
    }
    assert_true(loop_now(tower.loop) - since <= 10 * S);
}

/* ---- quarantine, levers, limits ---------------------------------------------------------- */

static void the_quarantined_is_left_alone(void **state)
{
    (void)state;
    (void)service("s", SERVICE_HTTP);
    apply_services();
    assert_true(call("s"));
    assert_true(gates_quarantine(tower.gates, SLICE("s"), 600000, SLICE("a test")));
    pass(595 * S);
    assert_int_equal(at("s")->pings, 0);
    expect_health("s", "\"status\":\"down\"");
    expect_health("s", "\"reason\":\"quarantined by hand\"");
    pass(10 * S);
    assert_int_equal(at("s")->pings, 1);
    expect_health("s", "\"status\":\"up\"");
    bool was_held;
    assert_true(gates_quarantine(tower.gates, SLICE("s"), 0, SLICE("for ever")));
    pass(60 * MINUTE);
    assert_int_equal(at("s")->pings, 1);
    assert_true(gates_release(tower.gates, SLICE("s"), &was_held));
    pass(2 * S);
    assert_int_equal(at("s")->pings, 2);
}

static void what_is_held_open_is_not_probed(void **state)
{
    (void)state;
    (void)service("s", SERVICE_HTTP);
    apply_services();
    assert_true(call("s"));
    assert_true(
        gates_force_breaker(tower.gates, SLICE("s"), BREAKER_FORCED_OPEN, SLICE("a test")));
    pass(30 * MINUTE);
    assert_int_equal(at("s")->pings, 0);
    expect_health("s", "\"status\":\"down\"");
    assert_true(gates_force_breaker(tower.gates, SLICE("s"), BREAKER_BY_ITSELF, SLICE("")));
    pass(S);
    assert_true(call("s"));
    expect_health("s", "\"status\":\"up\"");
}

static void a_limit_of_the_server_is_kept(void **state)
{
    (void)state;
    service("s", SERVICE_HTTP)->is_critical = true;
    apply_services();
    pass(6 * S);
    unsigned before = at("s")->pings;
    struct rate_fields fields;
    rate_fields_init(&fields);
    fields.retry_after_ms = 1200000;
    gates_hint(tower.gates, SLICE("s"), SLICE(""), &fields, true);
    pass(S);
    expect_health("s", "\"status\":\"degraded\"");
    pass(1190 * S);
    assert_int_equal(at("s")->pings, before);
    pass(15 * S);
    assert_int_equal(at("s")->pings, before + 1);
    expect_health("s", "\"status\":\"up\"");
}

/* ---- who has no status ------------------------------------------------------------------- */

static void the_disabled_and_the_unlinked_are_not_down(void **state)
{
    (void)state;
    service("off", SERVICE_HTTP)->enabled = false;
    struct service_conf *conf = service("unlinked", SERVICE_HTTP);
    conf->auth = SERVICE_AUTH_OAUTH;
    conf->is_critical = true;
    apply_services();
    pass(30 * MINUTE);
    expect_health("off", "\"status\":\"disabled\"");
    expect_health("unlinked", "\"status\":\"not_linked\"");
    assert_int_equal(at("unlinked")->connects, 0);
    assert_string_equal(health_overall(tower.health), "up");
}

static void a_critical_one_that_is_down_is_the_whole(void **state)
{
    (void)state;
    service("c", SERVICE_HTTP)->is_critical = true;
    at("c")->mode = REFUSES;
    apply_services();
    pass(6 * S);
    expect_health("c", "\"status\":\"down\"");
    expect_health("c", "connection refused");
    assert_string_equal(health_overall(tower.health), "down");
    at("c")->mode = IS_UP;
    pass(60 * S);
    assert_string_equal(health_overall(tower.health), "up");
}

/* ---- checks ------------------------------------------------------------------------------ */

static void checked(void *arg)
{
    ++*(unsigned *)arg;
}

static void a_check_asks_now(void **state)
{
    (void)state;
    unsigned done = 0;
    struct health_check one = {.done = checked, .arg = &done};
    struct health_check two = {.done = checked, .arg = &done};
    (void)service("s", SERVICE_HTTP);
    apply_services();
    mono_us deadline = loop_now(tower.loop) + 16 * S;
    assert_false(health_check(tower.health, SLICE("nobody"), deadline, &one));
    assert_true(health_check(tower.health, SLICE("s"), deadline, &one));
    assert_true(health_check(tower.health, SLICE("s"), deadline, &two));
    assert_int_equal(done, 0);
    turns();
    assert_int_equal(done, 2);
    assert_int_equal(at("s")->pings, 1); /* one for both */
    expect_health("s", "\"status\":\"up\"");
    at("s")->mode = REFUSES;
    assert_true(health_check(tower.health, SLICE("s"), deadline, &one));
    turns();
    assert_int_equal(done, 3);
    expect_health("s", "\"status\":\"down\"");
    at("s")->mode = IS_UP;
    assert_true(gates_quarantine(tower.gates, SLICE("s"), 0, SLICE("a test")));
    assert_true(health_check(tower.health, SLICE("s"), deadline, &one));
    turns();
    assert_int_equal(done, 4);
    expect_health("s", "\"status\":\"down\"");
    expect_health("s", "\"ok\":true"); /* the truth, held or not */
}

static void a_check_ends_in_time(void **state)
{
    (void)state;
    unsigned done = 0;
    struct health_check one = {.done = checked, .arg = &done};
    (void)service("s", SERVICE_HTTP);
    apply_services();
    at("s")->mode = HANGS;
    assert_true(health_check(tower.health, SLICE("s"), loop_now(tower.loop) + 2 * S, &one));
    pass(19 * S / 10);
    assert_int_equal(done, 0);
    pass(S / 2);
    assert_int_equal(done, 1);
    expect_health("s", "\"checking_since\":\""); /* it was not answered: no news is no answer */
    assert_true(health_check(tower.health, SLICE("s"), loop_now(tower.loop) + 60 * S, &one));
    health_check_forget(&one);
    pass(60 * S);
    assert_int_equal(done, 1);
}

static void nobody_is_asked_where_users_are_needed(void **state)
{
    (void)state;
    unsigned done = 0;
    struct health_check one = {.done = checked, .arg = &done};
    service("s", SERVICE_HTTP)->needs_user = true;
    apply_services();
    assert_true(health_check(tower.health, SLICE("s"), loop_now(tower.loop) + 16 * S, &one));
    assert_int_equal(done, 0);
    loop_advance(tower.loop, STEP);
    turns();
    assert_int_equal(done, 1);
    assert_int_equal(at("s")->connects, 0);
}

/* What is under way then is dropped: see that nothing is left or used. */
static void the_end_comes_in_the_midst_of_it(void **state)
{
    static struct health_check one;
    static unsigned done;
    (void)state;
    (void)service("hangs", SERVICE_HTTP);
    (void)service("asked", SERVICE_STDIO);
    apply_services();
    assert_true(call("hangs"));
    break_down("hangs", HANGS);
    at("asked")->mode = HANGS;
    one = (struct health_check){.done = checked, .arg = &done};
    assert_true(
        health_check(tower.health, SLICE("asked"), loop_now(tower.loop) + 60 * S, &one));
    pass(7 * S);
    assert_int_equal(done, 0);
}

/* ---- many -------------------------------------------------------------------------------- */

/* Probes of many are spread, and those who hang keep nobody else waiting. */
static void a_thousand_are_spread(void **state)
{
    char names[1000][8];
    unsigned most = 0;
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(names[i], sizeof names[i], "s%03u", i);
        service(names[i], SERVICE_HTTP)->is_critical = true;
    }
    apply_services();
    unsigned before = 0;
    for (int second = 0; second < 1000; second++) {
        unsigned pings = 0;
        loop_advance(tower.loop, S);
        turns();
        turns();
        for (unsigned i = 0; i < 1000; i++) {
            pings += tower.servers[i].pings;
        }
        if (second > 10) {
            most = pings - before > most ? pings - before : most;
        }
        before = pings;
    }
    assert_in_range(before, 3500, 4500);
    assert_true(most < 100);
    for (unsigned i = 0; i < 1000; i++) {
        assert_in_range(tower.servers[i].pings, 3, 5);
    }
}

static void those_that_hang_keep_nobody_waiting(void **state)
{
    char names[30][8];
    (void)state;
    for (unsigned i = 0; i < 30; i++) {
        (void)snprintf(names[i], sizeof names[i], "h%02u", i);
        service(names[i], SERVICE_HTTP)->breaker.failures = 1;
    }
    (void)service("s", SERVICE_HTTP);
    apply_services();
    assert_true(call("s"));
    for (unsigned i = 0; i < 30; i++) {
        break_down(names[i], HANGS);
    }
    pass(5 * MINUTE);
    break_down("s", REFUSES);
    pass(20 * S);
    at("s")->mode = IS_UP;
    assert_true(time_back("s", false) <= 10 * S);
}

static void a_reload_drops_what_is_gone(void **state)
{
    (void)state;
    unsigned done = 0;
    struct health_check one = {.done = checked, .arg = &done};
    (void)service("gone", SERVICE_HTTP);
    apply_services();
    at("gone")->mode = HANGS;
    assert_true(health_check(tower.health, SLICE("gone"), loop_now(tower.loop) + 16 * S, &one));
    turns();
    struct service_set none = {NULL, 0};
    gates_apply(tower.gates, &none);
    mcp_services_apply(tower.services, &none);
    health_apply(tower.health, &none);
    pass(S);
    assert_int_equal(done, 1);
    struct buf out;
    buf_init(&out, 4096);
    assert_false(health_put(tower.health, SLICE("gone"), &out));
    buf_done(&out);
    assert_string_equal(health_overall(tower.health), "up");
}

static void the_last_events_are_in_memory(void **state)
{
    struct buf rows;
    struct buf json;
    struct err err = {0};
    (void)state;
    service("s", SERVICE_HTTP)->quarantine.is_off = true;
    apply_services();
    for (int i = 0; i < 40; i++) {
        at("s")->mode = i % 2 ? IS_UP : REFUSES;
        for (int j = 0; j < 20; j++) {
            (void)call("s");
            pass(S);
        }
    }
    buf_init(&rows, 1 << 20);
    buf_init(&json, 1 << 20);
    struct health_span span = {.service = SLICE("s"), .limit = 1000};
    health_put_recent(tower.health, &span, &rows);
    struct pack cursor = pack_over(buf_slice(&rows));
    struct pack_item list;
    assert_true(pack_next(&cursor, &list));
    assert_int_equal(list.count, 64);
    assert_int_equal(json_from_pack(buf_slice(&rows), "rows", &json, &err), 0);
    assert_non_null(strstr(buf_text(&json), "\"kind\":\"breaker\",\"state\":\"open\""));
    assert_non_null(strstr(buf_text(&json), "\"kind\":\"breaker\",\"state\":\"closed\""));
    assert_non_null(strstr(buf_text(&json), "\"kind\":\"health\",\"state\":\"down\""));
    assert_non_null(strstr(buf_text(&json), "\"kind\":\"check\",\"state\":\"failed\""));
    assert_null(strstr(buf_text(&json), "half_open"));
    buf_clear(&rows);
    span = (struct health_span){.limit = 3};
    health_put_recent(tower.health, &span, &rows);
    cursor = pack_over(buf_slice(&rows));
    assert_true(pack_next(&cursor, &list));
    assert_int_equal(list.count, 3);
    buf_clear(&rows);
    span = (struct health_span){.limit = 1000, .since = loop_wall(tower.loop) + 1};
    health_put_recent(tower.health, &span, &rows);
    span = (struct health_span){.limit = 1000, .until = 1};
    health_put_recent(tower.health, &span, &rows);
    assert_int_equal(rows.len, 2); /* two arrays of nothing */
    buf_done(&rows);
    buf_done(&json);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tower_begin, tower_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_is_not_used_is_not_woken),
        TEST(a_critical_one_is),
        TEST(calls_go_before_probes),
        TEST(an_interval_of_none_means_none),
        TEST(what_has_gone_to_sleep_is_unknown),
        TEST(after_a_failure_it_is_asked_soon),
        TEST(and_later_if_it_fails_again),
        cmocka_unit_test(what_is_back_is_used_within_10_s),
        cmocka_unit_test(at_any_moment),
        TEST(a_process_that_hangs_for_good_is_begun_anew),
        TEST(a_call_under_way_is_not_ended),
        TEST(an_idle_session_ends_though_it_is_probed),
        TEST(behind_a_quarantine_it_is_asked_soon),
        TEST(the_end_comes_in_the_midst_of_it),
        TEST(one_that_flaps_is_alone_in_it),
        TEST(for_users_calls_try_early),
        TEST(users_calls_that_fail_do_not_end_it),
        TEST(the_quarantined_is_left_alone),
        TEST(what_is_held_open_is_not_probed),
        TEST(a_limit_of_the_server_is_kept),
        TEST(the_disabled_and_the_unlinked_are_not_down),
        TEST(a_critical_one_that_is_down_is_the_whole),
        TEST(a_check_asks_now),
        TEST(a_check_ends_in_time),
        TEST(nobody_is_asked_where_users_are_needed),
        TEST(a_thousand_are_spread),
        TEST(those_that_hang_keep_nobody_waiting),
        TEST(a_reload_drops_what_is_gone),
        TEST(the_last_events_are_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
