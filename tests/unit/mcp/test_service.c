/* SPDX-License-Identifier: MIT */
/* test_service.c - services: who shares a session, states, restarts, reload and the end. */
#include "fake.h"

static struct mcp_service *only(struct bench *bench)
{
    return service_named(bench, "s");
}

static const char *state_of(struct bench *bench)
{
    return mcp_state_name(mcp_service_state(only(bench)));
}

/* Owned by the caller. */
static char *status_of(struct bench *bench)
{
    struct buf out;
    char *text = as_json(put_status(only(bench), &out));
    buf_done(&out);
    return text;
}

static void assert_status(struct bench *bench, const char *part)
{
    char *status = status_of(bench);
    assert_has(status, part);
    mem_free(status);
}

/* ---- sharing ----------------------------------------------------------------------------- */

static void users_have_their_own_sessions(void **state)
{
    (void)state;
    struct bench bench;
    struct told ana = {0};
    struct told bea = {0};
    struct told again = {0};
    bench_init(&bench, false);
    struct service_conf *conf = conf_new("s", "1");
    conf->sharing = SERVICE_PER_USER;
    apply_one(&bench, conf);
    call_with(&bench, &ana, .user = "ana", .agent = "x", .arguments = "{\"text\":\"of ana\"}");
    call_with(&bench, &bea, .user = "bea", .agent = "x", .arguments = "{\"text\":\"of bea\"}");
    call_with(&bench, &again, .user = "ana", .agent = "y");
    assert_int_equal(bench.fake_count, 2);
    assert_string_equal(fake_at(&bench, 0)->user, "ana");
    assert_string_equal(fake_at(&bench, 0)->agent,
                        ""); /* not known to a session it may outlive */
    assert_string_equal(fake_at(&bench, 1)->user, "bea");
    serve_echo(fake_at(&bench, 1));
    assert_int_equal(count_sent(fake_at(&bench, 1), "of bea"), 1);
    assert_int_equal(count_sent(fake_at(&bench, 1), "of ana"), 0);
    serve_echo(fake_at(&bench, 0));
    assert_int_equal(count_sent(fake_at(&bench, 0), "of ana"), 1);
    assert_int_equal(count_sent(fake_at(&bench, 0), "tools/call"), 2);
    /* An answer that comes to the wrong ear is nobody's. */
    unsigned long long id_of_ana = last_id(fake_at(&bench, 0));
    say(fake_at(&bench, 1), "{'jsonrpc':'2.0','id':%llu,'result':{'stolen':1}}", id_of_ana);
    assert_int_equal(again.done, 0);
    say(fake_at(&bench, 0), "{'jsonrpc':'2.0','id':%llu,'result':{'n':1}}", id_of_ana);
    assert_string_equal(again.text, "{\"n\":1}");
    assert_status(&bench, "\"sessions\":2");
    fake_dies(fake_at(&bench, 0), "gone"); /* the other one stays */
    assert_told(ana, ERR_UNAVAILABLE, "gone");
    assert_int_equal(bea.done, 0);
    assert_string_equal(state_of(&bench), "running");
    answer_last(fake_at(&bench, 1), "{'n':2}");
    assert_string_equal(bea.text, "{\"n\":2}");
    told_done(&ana);
    told_done(&bea);
    told_done(&again);
    bench_done(&bench);
}

static void templates_widen_what_is_not_shared(void **state)
{
    (void)state;
    struct bench bench;
    struct told told[4] = {0};
    bench_init(&bench, false);
    struct service_conf *conf = conf_new("s", "1");
    conf->needs_user = conf->needs_agent = true; /* though its sharing says shared */
    apply_one(&bench, conf);
    call_with(&bench, &told[0], .user = "a", .agent = "bc");
    call_with(&bench, &told[1], .user = "ab", .agent = "c");
    call_with(&bench, &told[2], .user = "a", .agent = "bc");
    call_with(&bench, &told[3], .user = "a", .agent = "x");
    assert_int_equal(bench.fake_count, 3);
    for (int i = 0; i < 4; i++) {
        mcp_cancel(told[i].request, "test");
    }
    bench_done(&bench);
}

static void agents_have_their_own_sessions(void **state)
{
    (void)state;
    struct bench bench;
    struct told a = {0};
    struct told b = {0};
    bench_init(&bench, false);
    struct service_conf *conf = conf_new("s", "1");
    conf->sharing = SERVICE_PER_AGENT;
    apply_one(&bench, conf);
    call_with(&bench, &a, .user = "u", .agent = "one");
    call_with(&bench, &b, .user = "v", .agent = "one");
    assert_int_equal(bench.fake_count, 1);
    assert_string_equal(fake_at(&bench, 0)->agent, "one");
    assert_string_equal(fake_at(&bench, 0)->user, "");
    mcp_cancel(a.request, "test");
    mcp_cancel(b.request, "test");
    bench_done(&bench);
}

static void sessions_of_many_users_are_bounded(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    bench_init(&bench, false);
    bench.cannot_connect = "no";
    struct service_conf *conf = conf_new("s", "1");
    conf->sharing = SERVICE_PER_USER;
    apply_one(&bench, conf);
    for (int i = 0; i < 3000; i++) {
        char user[16];
        (void)snprintf(user, sizeof user, "u%d", i);
        call_with(&bench, &told, .user = user);
        assert_int_equal(told.done, 1);
        told_done(&told);
    }
    assert_int_equal(only(&bench)->seat_count, SEATS_MAX);
    loop_advance(bench.loop, 120000 * MS); /* and forgotten in time */
    assert_int_equal(only(&bench)->seat_count, 0);
    bench_done(&bench);
}

/* ---- states and status ------------------------------------------------------------------- */

static void status_says_what_is_known(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    bench_init(&bench, false);
    apply_one(&bench, conf_new("s", "1"));
    assert_status(&bench,
                  "{\"name\":\"s\",\"title\":\"s\",\"transport\":\"stdio\",\"enabled\":true,"
                  "\"state\":\"stopped\",\"since\":\"20");
    call(&bench, &told);
    assert_status(&bench, "\"state\":\"starting\"");
    assert_status(&bench, "\"reason\":\"wanted by a call\"");
    serve_echo(fake_at(&bench, 0));
    assert_status(&bench, "\"state\":\"running\"");
    assert_status(&bench,
                  "\"pid\":4711,\"protocol\":\"2025-11-25\",\"server\":{\"name\":\"fake\","
                  "\"version\":\"1.2\"},\"tools\":1,\"calls\":1,"
                  "\"failures\":0,\"restarts\":0}");
    say(fake_at(&bench, 0), "{rubbish");
    say(fake_at(&bench, 0), "{'jsonrpc':'2.0','id':77,'result':{}}");
    assert_status(&bench, "\"protocol_faults\":1,\"messages_dropped\":1}");
    fake_dies(fake_at(&bench, 0), "was killed by signal 9");
    told_done(&told);
    assert_status(&bench, "\"state\":\"error\"");
    assert_status(&bench, "\"reason\":\"ended by itself\"");
    assert_status(&bench, "\"is_over\":false,\"stderr_tail\":\"last words\"}");
    assert_status(&bench,
                  "\"last_error\":{\"code\":\"UNAVAILABLE\",\"message\":\"was killed by "
                  "signal 9\",\"suggestion\":\"Try again later");
    assert_status(&bench, "\"failures\":1");
    call(&bench, &told);
    assert_status(&bench, "\"restarts\":1");
    serve_echo(fake_at(&bench, 1));
    told_done(&told);
    assert_status(&bench, "\"state\":\"running\"");
    assert_status(&bench, "\"last_error\":{\"code\":\"UNAVAILABLE\"");
    assert_status(&bench, "\"is_over\":true,");
    bench_done(&bench);
}

/* What a caller leaves out is told to him, and is no error of the service. */
static void who_is_not_named_is_told(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    bench_init(&bench, false);
    struct service_conf *conf = conf_new("s", "1");
    conf->transport = SERVICE_HTTP;
    conf->sharing = SERVICE_PER_USER;
    conf->needs_user = true;
    struct template_piece piece = {.kind = TEMPLATE_USER};
    conf->url = (struct template){.place = TEMPLATE_IN_URL, .count = 1, .pieces = &piece};
    apply_one(&bench, conf);
    call(&bench, &told);
    assert_told(told, ERR_INVALID_REQUEST,
                "the url of the service \"s\" holds ${user}, and no user was named");
    told_done(&told);
    assert_int_equal(bench.fake_count, 0);
    assert_string_equal(state_of(&bench), "stopped");
    char *status = status_of(&bench);
    assert_null(strstr(status, "last_error"));
    mem_free(status);
    bench_done(&bench);
}

static void disabled_services_refuse(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    bench_init(&bench, false);
    struct service_conf *conf = conf_new("s", "1");
    conf->enabled = false;
    apply_one(&bench, conf);
    assert_string_equal(state_of(&bench), "disabled");
    call(&bench, &told);
    assert_told(told, ERR_DISABLED, "\"s\" is switched off");
    told_done(&told);
    list_tools(&bench, &told, "s");
    assert_told(told, ERR_DISABLED, "\"s\" is switched off");
    assert_has(told.details, "\"service\":\"s\"");
    assert_int_equal(bench.fake_count, 0);
    told_done(&told);
    bench_done(&bench);
}

static void idle_sessions_stop(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    bench_init(&bench, false);
    struct service_conf *conf = conf_new("s", "1");
    conf->idle_stop_s = 60;
    conf->timeout_ms = 900000;
    apply_one(&bench, conf);
    call_with(&bench, &told, .timeout = 900000 * MS);
    struct fake *fake = fake_at(&bench, 0);
    serve_echo(fake);
    loop_advance(bench.loop, 300000 * MS); /* in use: not idle */
    assert_false(fake->is_closing);
    answer_last(fake, "{}");
    told_done(&told);
    loop_advance(bench.loop, 30000 * MS);
    call(&bench, &told);
    answer_last(fake, "{}");
    told_done(&told);
    loop_advance(bench.loop, 59000 * MS);
    assert_false(fake->is_closing);
    loop_advance(bench.loop, 1001 * MS);
    assert_true(fake->is_closing);
    assert_string_equal(state_of(&bench), "stopping");
    list_tools(&bench, &told, "s"); /* what is known needs no server */
    assert_string_equal(told.text, "echo ");
    assert_int_equal(bench.fake_count, 1);
    told_done(&told);
    call(&bench, &told); /* nor does the next call wait for the old one's end */
    assert_int_equal(bench.fake_count, 2);
    fake_closed(fake);
    assert_true(fake->is_freed);
    serve_echo(fake_at(&bench, 1));
    answer_last(fake_at(&bench, 1), "{'n':1}");
    assert_string_equal(told.text, "{\"n\":1}");
    assert_string_equal(bench.states, "s:starting s:running s:stopping s:starting s:running ");
    told_done(&told);
    loop_advance(bench.loop, 61000 * MS);
    fake_closed(fake_at(&bench, 1));
    assert_string_equal(state_of(&bench), "stopped");
    bench_done(&bench);
}

static void what_cannot_connect_says_why(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    bench_init(&bench, false);
    bench.cannot_connect = "the environment variable TOKEN is not set";
    apply_one(&bench, conf_new("s", "1"));
    call(&bench, &told);
    assert_told(told, ERR_UNAVAILABLE, "TOKEN is not set");
    assert_has(told.details, "\"service\":\"s\",\"tool\":\"echo\"");
    assert_string_equal(state_of(&bench), "error");
    assert_status(&bench, "TOKEN is not set");
    told_done(&told);
    bench_done(&bench);
}

/* ---- reload ------------------------------------------------------------------------------ */

static void unchanged_services_go_on(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    struct fake *fake = standing(&bench, false);
    call(&bench, &told);
    struct mcp_service *before = only(&bench);
    apply_one(&bench, conf_new("s", "1"));
    assert_ptr_equal(only(&bench), before);
    answer_last(fake, "{'n':1}");
    assert_string_equal(told.text, "{\"n\":1}");
    told_done(&told);
    call(&bench, &told);
    assert_int_equal(bench.fake_count, 1);
    answer_last(fake, "{}");
    told_done(&told);
    bench_done(&bench);
}

static void changed_services_start_anew_for_the_next_call(void **state)
{
    (void)state;
    struct bench bench;
    struct told under_way = {0};
    struct told next = {0};
    struct fake *fake = standing(&bench, false);
    call(&bench, &under_way);
    apply_one(&bench, conf_new("s", "2"));
    assert_false(fake->is_closing);
    assert_string_equal(state_of(&bench), "stopped");
    call(&bench, &next);
    assert_int_equal(bench.fake_count, 2);
    answer_last(fake, "{'from':'old'}");
    assert_string_equal(under_way.text, "{\"from\":\"old\"}");
    assert_true(fake->is_closing); /* nobody needs it any more */
    serve_echo(fake_at(&bench, 1));
    answer_last(fake_at(&bench, 1), "{'from':'new'}");
    assert_string_equal(next.text, "{\"from\":\"new\"}");
    fake_closed(fake);
    told_done(&under_way);
    told_done(&next);
    bench_done(&bench);
}

static void removed_services_end_after_their_calls(void **state)
{
    (void)state;
    struct bench bench;
    struct told under_way = {0};
    struct told waiting = {0};
    struct fake *fake = standing(&bench, false);
    call(&bench, &under_way);
    apply(&bench, NULL, 0);
    assert_null(mcp_services_find(bench.services, SLICE("s")));
    size_t at = 0;
    assert_null(mcp_services_next(bench.services, &at));
    assert_false(fake->is_closing);
    answer_last(fake, "{'n':1}");
    assert_string_equal(under_way.text, "{\"n\":1}");
    assert_true(fake->is_closing);
    apply_one(&bench, conf_new("s", "1")); /* back before the old one has gone */
    call(&bench, &waiting);
    assert_int_equal(bench.fake_count, 2);
    fake_closed(fake);
    mcp_cancel(waiting.request, "test");
    told_done(&under_way);
    bench_done(&bench);
}

static void names_are_sorted_and_near_ones_found(void **state)
{
    static const char *const names[] = {"zoho", "a", "pipedrive", "ab", "A"};
    (void)state;
    struct bench bench;
    struct service_conf *list[5];
    char order[64] = "";
    bench_init(&bench, false);
    for (size_t i = 0; i < 5; i++) {
        list[i] = conf_new(names[i], "1");
    }
    apply(&bench, list, 5);
    const struct mcp_service *service;
    for (size_t at = 0; (service = mcp_services_next(bench.services, &at));) {
        (void)strncat(order, mcp_service_conf(service)->name.ptr, 20);
        (void)strncat(order, " ", 2);
    }
    assert_string_equal(order, "A a ab pipedrive zoho ");
    assert_true(slice_is(mcp_services_near(bench.services, SLICE("pipdrive")), "pipedrive"));
    assert_int_equal(mcp_services_near(bench.services, SLICE("nothing like it")).len, 0);
    bench_done(&bench);
}

/* ---- the end ----------------------------------------------------------------------------- */

static void note_end(void *arg)
{
    ((struct bench *)arg)->has_ended = true;
}

static void close_tells_all_and_waits(void **state)
{
    (void)state;
    struct bench bench;
    struct told sent = {0};
    struct told late = {0};
    struct fake *fake = standing(&bench, false);
    call(&bench, &sent);
    mcp_services_close(bench.services, loop_now(bench.loop) + 5000 * MS, note_end, &bench);
    assert_int_equal(sent.done, 0);
    turn(&bench);
    assert_told(sent, ERR_SHUTTING_DOWN, "the daemon is ending");
    assert_true(fake->is_closing);
    call(&bench, &late);
    assert_told(late, ERR_SHUTTING_DOWN, "the daemon is ending");
    assert_false(bench.has_ended);
    fake_closed(fake);
    assert_true(bench.has_ended);
    told_done(&sent);
    told_done(&late);
    bench_done(&bench);
}

static void close_has_a_deadline(void **state)
{
    (void)state;
    struct bench bench;
    struct fake *fake = standing(&bench, false);
    mcp_services_close(bench.services, loop_now(bench.loop) + 5000 * MS, note_end, &bench);
    turn(&bench);
    loop_advance(bench.loop, 4999 * MS);
    assert_false(bench.has_ended);
    assert_false(fake->is_freed);
    loop_advance(bench.loop, 2 * MS);
    assert_true(bench.has_ended);
    assert_true(fake->is_freed);
    bench_done(&bench);
}

static void close_with_nothing_ends_at_once(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, false);
    mcp_services_close(bench.services, loop_now(bench.loop) + 5000 * MS, note_end, &bench);
    assert_false(bench.has_ended);
    turn(&bench);
    assert_true(bench.has_ended);
    bench_done(&bench);
}

static void cancel_another(struct told *told)
{
    struct told *other = told->then_arg;
    told->then = NULL;
    if (other->request && !other->done) {
        mcp_cancel(other->request, "test");
        other->request = NULL;
    }
}

static void whoever_is_told_may_cancel_others(void **state)
{
    (void)state;
    struct bench bench;
    struct told told[4] = {0};
    bench_init(&bench, false);
    for (int i = 0; i < 4; i++) { /* each in an old configuration's session of its own */
        static const char *const written[] = {"0", "1", "2", "3"};
        apply_one(&bench, conf_new("s", written[i]));
        call(&bench, &told[i]);
        serve_echo(fake_at(&bench, (size_t)i));
        told[i].then = cancel_another;
        told[i].then_arg = &told[(i + 1) % 4];
    }
    assert_int_equal(bench.fake_count, 4);
    mcp_services_close(bench.services, loop_now(bench.loop) + 5000 * MS, note_end, &bench);
    turn(&bench);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(told[i].done, told[i].request != NULL);
        fake_closed(fake_at(&bench, (size_t)i));
        told_done(&told[i]);
    }
    assert_true(bench.has_ended);
    bench_done(&bench);
}

static void free_in_the_middle_leaves_nothing(void **state)
{
    (void)state;
    struct bench bench;
    struct told told[4] = {0};
    bench_init(&bench, false);
    apply_one(&bench, conf_new("s", "1"));
    for (int i = 0; i < 4; i++) {
        call(&bench, &told[i]);
        if (i == 0) {
            serve_echo(fake_at(&bench, 0));
        }
    }
    apply_one(&bench, conf_new("s", "2"));
    bench_done(&bench);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(told[i].done, 0);
    }
}

static void an_idle_service_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct mcp_service) + sizeof(struct seat) + sizeof(struct wire) < 2048);
    assert_true(sizeof(struct mcp_request) < 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_have_their_own_sessions),
        cmocka_unit_test(templates_widen_what_is_not_shared),
        cmocka_unit_test(agents_have_their_own_sessions),
        cmocka_unit_test(sessions_of_many_users_are_bounded),
        cmocka_unit_test(status_says_what_is_known),
        cmocka_unit_test(who_is_not_named_is_told),
        cmocka_unit_test(disabled_services_refuse),
        cmocka_unit_test(idle_sessions_stop),
        cmocka_unit_test(what_cannot_connect_says_why),
        cmocka_unit_test(unchanged_services_go_on),
        cmocka_unit_test(changed_services_start_anew_for_the_next_call),
        cmocka_unit_test(removed_services_end_after_their_calls),
        cmocka_unit_test(names_are_sorted_and_near_ones_found),
        cmocka_unit_test(close_tells_all_and_waits),
        cmocka_unit_test(close_has_a_deadline),
        cmocka_unit_test(close_with_nothing_ends_at_once),
        cmocka_unit_test(whoever_is_told_may_cancel_others),
        cmocka_unit_test(free_in_the_middle_leaves_nothing),
        cmocka_unit_test(an_idle_service_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
