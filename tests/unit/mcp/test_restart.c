/* SPDX-License-Identifier: MIT */
/* test_restart.c - servers that crash: when they are started again, and what is said meanwhile. */
#include "one_service.h"

static void crash_loops_back_off(void **state)
{
    (void)state;
    fake_dies(begin_call(false), "exited with status 1");
    assert_told(told, ERR_UNAVAILABLE, "exited with status 1");
    assert_has(told.details, "\"stderr_tail\":\"last words\"");
    told_done(&told);
    call(&bench, &told); /* the first restart comes at once */
    assert_int_equal(bench.fake_count, 2);
    fake_dies(fake_at(&bench, 1), "exited with status 1");
    told_done(&told);
    for (int i = 0; i < 1000; i++) { /* then it waits, and says so without waiting */
        call(&bench, &told);
        assert_told(told, ERR_UNAVAILABLE, "failed 2 times in a row");
        assert_has(told.text, "exited with status 1");
        assert_has(told.details, "\"stderr_tail\":\"last words\"");
        assert_in_range(told.retry_after_ms, 1, 251);
        told_done(&told);
    }
    assert_int_equal(bench.fake_count, 2);
    loop_advance(bench.loop, 251 * MS);
    call(&bench, &told);
    assert_int_equal(bench.fake_count, 3);
    fake_dies(fake_at(&bench, 2), "exited with status 1");
    told_done(&told);
    loop_advance(bench.loop, 251 * MS);
    call(&bench, &told);
    assert_told(told, ERR_UNAVAILABLE, "failed 3 times in a row");
    told_done(&told);
    loop_advance(bench.loop, 251 * MS);
    call(&bench, &told);
    serve_echo(fake_at(&bench, 3));
    answer_last(fake_at(&bench, 3), "{}"); /* one good call, and all is forgotten */
    told_done(&told);
    call(&bench, &told);
    fake_dies(fake_at(&bench, 3), "crashed");
    told_done(&told);
    call(&bench, &told);
    assert_int_equal(bench.fake_count, 5);
    mcp_cancel(told.request, "test");
}

static void a_server_that_stood_long_did_not_fail_to_start(void **state)
{
    (void)state;
    begin(false);
    for (size_t i = 0; i < 4; i++) {
        list_tools(&bench, &told, "s"); /* also of a server that has been stopped: it crashed */
        assert_int_equal(told.done, 0);
        assert_int_equal(bench.fake_count, i + 1);
        serve_echo(fake_at(&bench, i));
        assert_string_equal(told.text, "echo ");
        told_done(&told);
        loop_advance(bench.loop, 60000 * MS);
        fake_dies(fake_at(&bench, i), "crashed");
    }
}

/* To be forgotten as an idle user would begin the count anew. */
static void a_user_who_waits_does_not_shorten_the_back_off(void **state)
{
    (void)state;
    struct service_conf *conf = conf_new("s", "1");
    conf->sharing = SERVICE_PER_USER;
    conf->idle_stop_s = 1;
    begin_as(false, conf);
    for (size_t i = 0; i < 6; i++) {
        call_with(&bench, &told, .user = "ana");
        fake_dies(fake_at(&bench, i), "exited with status 1");
        told_done(&told);
        if (i < 5) {
            loop_advance(bench.loop, i < 1 ? MS : ((mono_us)250 << (i - 1)) * MS);
        }
    }
    loop_advance(bench.loop, 1500 * MS);
    call_with(&bench, &told, .user = "ana");
    assert_told(told, ERR_UNAVAILABLE, "failed 6 times in a row");
    assert_in_range(told.retry_after_ms, 400, 501); /* 2 s, and never more */
    assert_int_equal(told.class, FAILURE_OF_BROKER);
    told_done(&told);
    loop_advance(bench.loop, 501 * MS);
    call_with(&bench, &told, .user = "ana");
    assert_int_equal(bench.fake_count, 7);
    mcp_cancel(told.request, "test");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(crash_loops_back_off),
        TEST(a_server_that_stood_long_did_not_fail_to_start),
        TEST(a_user_who_waits_does_not_shorten_the_back_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
