/* SPDX-License-Identifier: MIT */
/* test_news.c - what the monitor tells of servers that say odd things, die often, or are another
 * one after a reload. */
#include "base/text.h"
#include "tower.h"

static void checked(void *arg)
{
    ++*(unsigned *)arg;
}

/* ---- what a server says -------------------------------------------------------------------- */

static void expect_utf8(struct slice pack)
{
    struct pack cursor = pack_over(pack);
    struct pack_item item;
    while (cursor.at < cursor.end && pack_next(&cursor, &item)) {
        if (item.type == PACK_STR && !text_is_utf8(item.text)) {
            fail_msg("not UTF-8: %.*s", SLICE_ARG(item.text));
        }
    }
}

/* Wherever it is cut, and whatever bytes are in it: what clients get is text. */
static void words_of_servers_are_cut_between_characters(void **state)
{
    char words[512];
    struct buf out;
    (void)state;
    service("s", SERVICE_HTTP)->is_critical = true;
    at("s")->words = words;
    at("s")->mode = REFUSES;
    for (size_t i = 0; i < 4; i++) {
        size_t len = i;
        memset(words, 'x', i);
        while (len + 4 < sizeof words) {
            memcpy(words + len, "\xf0\x9f\x94\xa5", 4);
            len += 4;
        }
        words[len] = '\0';
        if (i == 3) {
            words[10] = '\xe9';
        }
        apply_services();
        (void)call("s");
        pass(6 * S);
        buf_init(&out, 1 << 20);
        assert_true(health_put(tower.health, SLICE("s"), &out));
        health_put_recent(tower.health,
                          &(struct health_span){.service = SLICE("s"), .limit = 1000}, &out);
        assert_false(out.overflow);
        expect_utf8(buf_slice(&out));
        buf_done(&out);
    }
}

/* ---- flapping ------------------------------------------------------------------------------ */

/* Each call begins it anew, and each start fails: that is one outage, told once. */
static void starts_in_vain_are_no_news(void **state)
{
    (void)state;
    struct service_conf *conf = service("dead", SERVICE_STDIO);
    conf->breaker.is_off = conf->quarantine.is_off = true;
    at("dead")->mode = REFUSES;
    apply_services();
    for (int i = 0; i < 600; i++) {
        assert_false(call("dead"));
        pass(S);
    }
    assert_true(at("dead")->connects > 100);
    assert_string_equal(tower.news, "dead:unknown>down ");
    at("dead")->mode = IS_UP;
    pass(3 * S);
    assert_true(call("dead"));
    assert_string_equal(tower.news, "dead:unknown>down dead:down>up ");
}

/* ---- calls --------------------------------------------------------------------------------- */

static void the_first_answer_is_news(void **state)
{
    (void)state;
    (void)service("s", SERVICE_STDIO);
    apply_services();
    pass(60 * S);
    assert_true(call("s"));
    turns();
    assert_string_equal(tower.news, "s:unknown>up ");
    assert_int_equal(at("s")->pings, 0); /* it has just answered */
    pass(60 * S);
    assert_int_equal(at("s")->pings, 0);
}

/* A server of one thread that works on a call answers no pings meanwhile, and is well. */
static void one_that_works_on_a_call_is_not_asked(void **state)
{
    struct attempt long_one;
    (void)state;
    service("s", SERVICE_STDIO)->breaker.failures = 3;
    apply_services();
    pass(60 * S);
    for (int i = 0; i < 2; i++) {
        at("s")->mode = WORKS;
        try_call_for(&long_one, "s", "", 30 * MINUTE);
        pass(29 * MINUTE);
        bool is_over = long_one.is_over;
        enum breaker_state breaker = view_of("s").breaker;
        if (!is_over) {
            mcp_cancel(long_one.request, "it was enough");
            gate_quit(&long_one.ticket);
        }
        assert_false(is_over);
        assert_int_equal(at("s")->pings, 0);
        assert_int_equal(breaker, BREAKER_CLOSED);
        assert_null(strstr(tower.news, "down"));
        assert_null(strstr(tower.news, "degraded"));
        at("s")->mode = IS_UP;
        assert_true(call("s"));
        pass(10 * S);
        expect_health("s", "\"status\":\"up\"");
    }
    pass(10 * MINUTE);
    assert_in_range(at("s")->pings, 1, 3);
}

/* A limit of his own says nothing of his credentials. */
static void a_user_who_is_limited_is_not_refused(void **state)
{
    struct rate_fields fields;
    struct service_conf *conf = service("theirs", SERVICE_HTTP);
    (void)state;
    conf->sharing = SERVICE_PER_USER;
    conf->needs_user = true;
    apply_services();
    assert_true(call_as("theirs", "ana", NULL));
    rate_fields_init(&fields);
    fields.retry_after_ms = 60000;
    gates_hint(tower.gates, SLICE("theirs"), SLICE("ana"), &fields, true);
    turns();
    expect_health("theirs", "\"status\":\"degraded\"");
    expect_health("theirs", "or a limit");
    pass(59 * S);
    expect_health("theirs", "\"status\":\"degraded\"");
    pass(2 * S);
    assert_non_null(strstr(tower.news, "theirs:degraded>up "));
}

/* ---- reloads ------------------------------------------------------------------------------- */

static struct service_conf *anew(const struct service_conf *old)
{
    struct service_conf *conf = mem_new(sizeof *conf);
    *conf = *old;
    conf->references = 1;
    arena_init_small(&conf->arena, 1 << 16);
    conf->definition = conf->written = SLICE("\x81\x01\x02"); /* sessions are others */
    return conf;
}

/* A probe of `s` that hangs is under way for somebody, whose `done` counts. */
static struct service_conf *probe_hangs(unsigned *done)
{
    static struct health_check one;
    one = (struct health_check){.done = checked, .arg = done};
    struct service_conf *conf = service("s", SERVICE_HTTP);
    at("s")->mode = HANGS;
    apply_services();
    assert_true(health_check(tower.health, SLICE("s"), loop_now(tower.loop) + 60 * S, &one));
    turns();
    assert_int_equal(at("s")->connects, 1);
    return conf;
}

/* A probe is under way, or wanted, and the service is disabled: it is not probed any more. */
static void what_is_disabled_meanwhile_is_not_probed(void **state)
{
    static unsigned done;
    (void)state;
    done = 0;
    struct service_conf *old = probe_hangs(&done);
    struct service_conf *conf = anew(old);
    conf->enabled = false;
    at("s")->conf = conf;
    apply_services();
    pass(2 * S);
    assert_int_equal(done, 1); /* there is nothing to wait for */
    expect_health("s", "\"status\":\"disabled\"");
    char *text = health_of("s");
    assert_null(strstr(text, "last_check"));
    mem_free(text);
    service_conf_unref(old);
}

/* The same where credentials are the users' now: nobody's session is begun. */
static void what_is_of_users_meanwhile_is_not_probed(void **state)
{
    static unsigned done;
    (void)state;
    done = 0;
    struct service_conf *old = probe_hangs(&done);
    struct service_conf *conf = anew(old);
    conf->needs_user = true;
    conf->sharing = SERVICE_PER_USER;
    at("s")->conf = conf;
    apply_services();
    pass(2 * S);
    assert_int_equal(at("s")->connects, 1);
    assert_int_equal(done, 1);
    service_conf_unref(old);
}

/* ---- many -------------------------------------------------------------------------------- */

static unsigned count_checked(const char *letter, unsigned count)
{
    unsigned checked_count = 0;
    for (unsigned i = 0; i < count; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%s%u", letter, i);
        char *text = health_of(name);
        checked_count += strstr(text, "last_check") != NULL;
        mem_free(text);
    }
    return checked_count;
}

/* Eight are probed at a time. Those whose turn comes when they are held take nobody's place. */
static void those_that_are_held_meanwhile_take_no_place(void **state)
{
    static const char *const letters[] = {"h", "q"};
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%s%u", letters[i / 8], i % 8);
        struct service_conf *conf = service(name, SERVICE_HTTP);
        conf->is_critical = true;
        conf->connect_timeout_ms = 60000;
        at(name)->mode = i < 8 ? HANGS : IS_UP;
        if (i % 8 == 7) {
            apply_services();
            pass(51 * S / 10);
        }
    }
    service("last", SERVICE_HTTP)->is_critical = true;
    apply_services();
    pass(51 * S / 10);
    assert_int_equal(count_checked("h", 8) + count_checked("q", 8), 0);
    assert_int_equal(at("last")->connects, 0);
    for (unsigned i = 0; i < 8; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "q%u", i);
        assert_true(gates_quarantine(tower.gates, slice_of(name), 0, SLICE("a test")));
    }
    while (!count_checked("h", 8)) {
        pass(STEP);
    }
    assert_true(count_checked("h", 8) < 8);
    assert_int_equal(at("last")->pings, 1);
}

/* A limit that the server names anew before it is over goes on: so the gate holds, and so it is told. */
static void a_limit_that_goes_on_is_told(void **state)
{
    (void)state;
    struct rate_fields fields;
    (void)service("s", SERVICE_HTTP);
    apply_services();
    assert_true(call("s"));
    rate_fields_init(&fields);
    fields.retry_after_ms = 5000;
    for (int i = 0; i < 3; i++) {
        gates_hint(tower.gates, SLICE("s"), SLICE(""), &fields, true);
        pass(4 * S);
        expect_health("s", "\"reason\":\"the server limits the rate of requests\"");
    }
    pass(2 * S);
    expect_health("s", "\"status\":\"up\"");
    assert_non_null(strstr(tower.news, "s:degraded>up "));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tower_begin, tower_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(words_of_servers_are_cut_between_characters),
        TEST(starts_in_vain_are_no_news),
        TEST(the_first_answer_is_news),
        TEST(one_that_works_on_a_call_is_not_asked),
        TEST(a_user_who_is_limited_is_not_refused),
        TEST(what_is_disabled_meanwhile_is_not_probed),
        TEST(what_is_of_users_meanwhile_is_not_probed),
        TEST(those_that_are_held_meanwhile_take_no_place),
        TEST(a_limit_that_goes_on_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
