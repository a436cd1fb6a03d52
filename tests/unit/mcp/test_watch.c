/* SPDX-License-Identifier: MIT */
/* test_watch.c - resources that clients watch at legacy servers: asked once, told, asked again. */
#include "watching.h"

#include "mcp/watch.h"

#define SUBSCRIBE   "\"method\":\"resources/subscribe\""
#define UNSUBSCRIBE "\"method\":\"resources/unsubscribe\""
#define UPDATED(uri) \
    "{'jsonrpc':'2.0','method':'notifications/resources/updated','params':{'uri':'" uri "'}}"

static void hello(struct fake *fake, const char *capabilities)
{
    char result[512];
    fake_opened(fake);
    (void)snprintf(result, sizeof result,
                   "{'protocolVersion':'2025-11-25','capabilities':%s,'serverInfo':{'name':"
                   "'fake','version':'1'}}",
                   capabilities);
    answer_last(fake, result);
}

#define CAN_SUBSCRIBE "{'resources':{'subscribe':true,'listChanged':true}}"

/* A service that a client watches file:///a of. */
static struct fake *watched(struct bench *bench, struct heard *heard, bool is_http)
{
    bench_init(bench, is_http);
    struct service_conf *conf = conf_new("s", "1");
    conf->idle_stop_s = 300;
    apply_one(bench, conf);
    watch(bench, heard, "file:///a");
    struct fake *fake = fake_at(bench, 0);
    hello(fake, CAN_SUBSCRIBE);
    assert_has(sent_with(fake, SUBSCRIBE), "\"params\":{\"uri\":\"file:///a\"}");
    assert_int_equal(heard->started, 0);
    answer_id(fake, id_of(sent_with(fake, SUBSCRIBE)), "result", "{}");
    assert_started(*heard);
    return fake;
}

static void a_uri_is_asked_for_once_and_told_to_all(void **state)
{
    (void)state;
    struct bench bench;
    struct heard a;
    struct heard b;
    struct fake *fake = watched(&bench, &a, false);
    watch(&bench, &b, "file:///a");
    assert_started(b);
    assert_int_equal(count_sent(fake, SUBSCRIBE), 1);
    say(fake, UPDATED("file:///a"));
    assert_string_equal(a.updates, "file:///a ");
    assert_string_equal(b.updates, "file:///a ");
    unwatch(&bench, &a);
    assert_int_equal(count_sent(fake, UNSUBSCRIBE), 0);
    say(fake, UPDATED("file:///a"));
    assert_string_equal(b.updates, "file:///a file:///a ");
    unwatch(&bench, &b);
    assert_has(last_sent(fake), UNSUBSCRIBE ",\"params\":{\"uri\":\"file:///a\"}");
    /* wanted again before the server has let go: asked for again when it has */
    watch(&bench, &a, "file:///a");
    assert_int_equal(count_sent(fake, SUBSCRIBE), 1);
    answer_id(fake, last_id(fake), "result", "{}");
    assert_int_equal(count_sent(fake, SUBSCRIBE), 2);
    answer_id(fake, last_id(fake), "result", "{}");
    assert_started(a);
    bench_done(&bench);
}

static void what_is_below_a_watched_uri_counts(void **state)
{
    (void)state;
    struct bench bench;
    struct heard a;
    struct heard slash;
    struct fake *fake = watched(&bench, &a, false);
    watch(&bench, &slash, "file:///d/");
    answer_id(fake, last_id(fake), "result", "{}");
    say(fake, UPDATED("file:///a/b/c"));
    say(fake, UPDATED("file:///a#x"));
    say(fake, UPDATED("file:///ab"));
    say(fake, UPDATED("file:///"));
    say(fake, UPDATED("file:///d"));
    say(fake, UPDATED("file:///d/e"));
    say(fake,
        "{'jsonrpc':'2.0','method':'notifications/resources/updated','params':{'uri':5}}");
    say(fake, "{'jsonrpc':'2.0','method':'notifications/resources/updated'}");
    assert_string_equal(a.updates, "file:///a/b/c file:///a#x ");
    assert_string_equal(slash.updates, "file:///d/e ");
    bench_done(&bench);
}

static void watches_may_end_one_another(void **state)
{
    (void)state;
    struct bench bench;
    struct heard heard[4];
    struct fake *fake = watched(&bench, &heard[0], false);
    for (size_t i = 1; i < 4; i++) {
        watch(&bench, &heard[i], "file:///a");
    }
    heard[0].unwatch = &heard[1].watch;
    heard[2].unwatch = &heard[2].watch;
    say(fake, UPDATED("file:///a"));
    assert_string_equal(heard[0].updates, "file:///a ");
    assert_string_equal(heard[1].updates, "");
    assert_string_equal(heard[2].updates, "file:///a ");
    assert_string_equal(heard[3].updates, "file:///a ");
    assert_null(heard[1].watch);
    assert_null(heard[2].watch);
    bench_done(&bench);
}

static void a_server_that_cannot_says_so_once(void **state)
{
    (void)state;
    struct bench bench;
    struct heard heard;
    bench_init(&bench, false);
    apply_one(&bench, conf_new("s", "1"));
    watch(&bench, &heard, "file:///a");
    hello(fake_at(&bench, 0), "{'resources':{}}");
    assert_int_equal(heard.started, 1);
    assert_int_equal(heard.code, ERR_NOT_FOUND);
    assert_has(heard.message, "does not tell of changes");
    assert_int_equal(count_sent(fake_at(&bench, 0), SUBSCRIBE), 0);
    bench_done(&bench);
}

static void a_refusal_is_of_one_uri(void **state)
{
    (void)state;
    struct bench bench;
    struct heard a;
    struct heard b;
    struct fake *fake = watched(&bench, &a, false);
    watch(&bench, &b, "file:///secret");
    answer_id(fake, last_id(fake), "error", "{'code':-32602,'message':'No such resource'}");
    assert_int_equal(b.code, ERR_EXTERNAL_TOOL_EXECUTION_FAILED);
    assert_has(b.message, "No such resource");
    assert_null(b.watch);
    say(fake, UPDATED("file:///a"));
    assert_string_equal(a.updates, "file:///a ");
    bench_done(&bench);
}

static void silence_is_a_timeout(void **state)
{
    (void)state;
    struct bench bench;
    struct heard a;
    struct heard b;
    struct fake *fake = watched(&bench, &a, false);
    watch(&bench, &b, "file:///b");
    loop_advance(bench.loop, 30001 * MS);
    turn(&bench);
    assert_int_equal(b.code, ERR_TIMEOUT);
    assert_has(last_sent(fake), "notifications/cancelled");
    bench_done(&bench);
}

static void a_watched_session_is_not_idle_and_comes_back(void **state)
{
    (void)state;
    struct bench bench;
    struct heard heard;
    struct fake *fake = watched(&bench, &heard, false);
    loop_advance(bench.loop, 4000 * 1000 * MS);
    turn(&bench);
    assert_false(fake->is_closing);
    fake_dies(fake, "it crashed");
    turn(&bench);
    assert_int_equal(bench.fake_count, 2); /* the first restart comes at once */
    struct fake *second = fake_at(&bench, 1);
    hello(second, CAN_SUBSCRIBE);
    assert_string_equal(heard.updates, "");
    answer_id(second, id_of(sent_with(second, SUBSCRIBE)), "result", "{}");
    assert_string_equal(heard.updates, "file:///a "); /* who knows what happened meanwhile */
    assert_int_equal(heard.started, 1);
    fake_dies(second, "it crashed again");
    turn(&bench);
    assert_int_equal(bench.fake_count, 2);
    loop_advance(bench.loop, 250 * MS);
    turn(&bench);
    assert_int_equal(bench.fake_count, 3);
    assert_int_equal(heard.ended, 0);
    bench_done(&bench);
}

static void a_server_that_cannot_start_refuses_new_watches_and_keeps_old_ones(void **state)
{
    (void)state;
    struct bench bench;
    struct heard old;
    struct heard new;
    struct fake *fake = watched(&bench, &old, false);
    bench.cannot_connect = "there is no such program";
    fake_dies(fake, "it crashed");
    turn(&bench);
    watch(&bench, &new, "file:///b");
    loop_advance(bench.loop, 1000 * MS);
    turn(&bench);
    assert_int_equal(new.code, ERR_UNAVAILABLE);
    assert_int_equal(old.ended, 0);
    bench.cannot_connect = NULL;
    for (int i = 0; i < 300 && bench.fake_count < 2; i++) {
        loop_advance(bench.loop, 100 * MS);
        turn(&bench);
    }
    hello(fake_at(&bench, 1), CAN_SUBSCRIBE);
    answer_last(fake_at(&bench, 1), "{}");
    assert_string_equal(old.updates, "file:///a ");
    bench_done(&bench);
}

static void a_new_session_on_the_same_wire_is_asked_anew(void **state)
{
    (void)state;
    struct bench bench;
    struct heard heard;
    struct told told = {0};
    struct fake *fake = watched(&bench, &heard, true);
    list_tools(&bench, &told, "s"); /* there are none */
    struct heard second;
    watch(&bench, &second, "file:///b");
    unsigned long long id = last_id(fake);
    fake->events->exchange_ended(fake->arg, id, NULL, true); /* 404: the session is gone */
    turn(&bench);
    assert_has(last_sent(fake), "initialize");
    answer_last(fake, "{'protocolVersion':'2025-11-25','capabilities':" CAN_SUBSCRIBE "}");
    assert_int_equal(count_sent(fake, SUBSCRIBE), 4);
    for (size_t i = fake->count - 2; i < fake->count; i++) {
        if (strstr(fake->sent[i], SUBSCRIBE)) {
            answer_id(fake, id_of(fake->sent[i]), "result", "{}");
        }
    }
    assert_started(second);
    assert_string_equal(heard.updates, "file:///a ");
    told_done(&told);
    bench_done(&bench);
}

static void a_changed_configuration_moves_watches(void **state)
{
    (void)state;
    struct bench bench;
    struct heard heard;
    struct fake *fake = watched(&bench, &heard, false);
    apply_one(&bench, conf_new("s", "2"));
    assert_true(fake->is_closing);
    assert_int_equal(bench.fake_count, 2);
    hello(fake_at(&bench, 1), CAN_SUBSCRIBE);
    answer_last(fake_at(&bench, 1), "{}");
    assert_string_equal(heard.updates, "file:///a ");
    apply(&bench, NULL, 0);
    assert_int_equal(heard.ended, 1);
    assert_null(heard.watch);
    bench_done(&bench);
}

static void nobody_is_forgotten_at_the_end(void **state)
{
    (void)state;
    struct bench bench;
    struct heard a;
    struct heard b;
    (void)watched(&bench, &a, false);
    watch(&bench, &b, "file:///b");
    mcp_services_close(bench.services, loop_now(bench.loop) + 1000 * MS, NULL, NULL);
    turn(&bench);
    turn(&bench);
    assert_int_equal(a.ended, 1);
    assert_int_equal(b.code, ERR_SHUTTING_DOWN);
    struct heard late;
    watch(&bench, &late, "file:///c");
    assert_int_equal(late.code, ERR_SHUTTING_DOWN);
    bench_done(&bench);
}

static void users_have_watches_of_their_own(void **state)
{
    (void)state;
    struct bench bench;
    struct heard ana;
    struct heard ben;
    bench_init(&bench, false);
    struct service_conf *conf = conf_new("s", "1");
    conf->sharing = SERVICE_PER_USER;
    apply_one(&bench, conf);
    watch_as(&bench, &ana, "file:///a", "ana");
    watch_as(&bench, &ben, "file:///a", "ben");
    for (size_t i = 0; i < 2; i++) {
        hello(fake_at(&bench, i), CAN_SUBSCRIBE);
        answer_last(fake_at(&bench, i), "{}");
    }
    assert_started(ana);
    assert_started(ben);
    say(fake_at(&bench, 1), UPDATED("file:///a"));
    assert_string_equal(ana.updates, "");
    assert_string_equal(ben.updates, "file:///a ");
    bench_done(&bench);
}

static void there_are_bounds(void **state)
{
    (void)state;
    struct bench bench;
    struct heard first;
    struct heard *many = mem_new((TOPICS_MAX + 1) * sizeof *many);
    (void)watched(&bench, &first, false);
    char *longest = mem_new(TOPIC_URI_MAX + 2);
    memset(longest, 'x', TOPIC_URI_MAX + 1);
    struct heard heard;
    watch(&bench, &heard, longest);
    assert_int_equal(heard.code, ERR_VALIDATION_ERROR);
    watch(&bench, &heard, "");
    assert_int_equal(heard.code, ERR_VALIDATION_ERROR);
    mem_free(longest);
    for (unsigned i = 0; i < TOPICS_MAX; i++) {
        char uri[32];
        (void)snprintf(uri, sizeof uri, "file:///%u", i);
        watch(&bench, &many[i], uri);
        assert_int_equal(many[i].code, i < TOPICS_MAX - 1 ? 0 : ERR_OVERLOADED);
    }
    mem_free(many);
    bench_done(&bench);
}

/* ---- lists ------------------------------------------------------------------------------- */

#define CHANGED(kind) "{'jsonrpc':'2.0','method':'notifications/" kind "/list_changed'}"

static void changed_lists_are_told_once_each(void **state)
{
    (void)state;
    struct bench bench;
    struct fake *fake = standing(&bench, false);
    say(fake, CHANGED("tools"));
    say(fake, CHANGED("prompts"));
    say(fake, CHANGED("resources"));
    say(fake, CHANGED("roots"));
    assert_string_equal(bench.news, "s:tools s:prompts s:resources ");
    bench.news[0] = '\0';
    loop_advance(bench.loop, 2000 * MS);
    for (int i = 0; i < 100; i++) {
        say(fake, CHANGED("prompts"));
    }
    assert_int_equal(strlen(bench.news), 8 * strlen("s:prompts "));
    loop_advance(bench.loop, 1000 * MS); /* the last one is not lost */
    assert_int_equal(strlen(bench.news), 9 * strlen("s:prompts "));
    loop_advance(bench.loop, 10000 * MS);
    assert_int_equal(strlen(bench.news), 9 * strlen("s:prompts "));
    bench_done(&bench);
}

static void the_session_may_be_forgotten_again_and_again(void **state)
{
    (void)state;
    struct bench bench;
    struct heard heard;
    bench_init(&bench, true);
    apply_one(&bench, conf_new("s", "1"));
    watch(&bench, &heard, "file:///a");
    for (size_t i = 0; i < 3; i++) {
        struct fake *fake = fake_at(&bench, i);
        struct failure failure = {0};
        hello(fake, CAN_SUBSCRIBE);
        failure_set(&failure, ERR_UNAVAILABLE, "who is this");
        fake->events->exchange_ended(fake->arg, id_of(sent_with(fake, SUBSCRIBE)), &failure,
                                     true);
        failure_done(&failure);
        turn(&bench);
        assert_has(last_sent(fake), "\"initialize\"");
        answer_last(fake, "{'protocolVersion':'2025-11-25','capabilities':" CAN_SUBSCRIBE "}");
        assert_int_equal(count_sent(fake, SUBSCRIBE), 2);
        answer_id(fake, id_of(sent_with(fake, SUBSCRIBE)), "result", "{}");
        assert_started(heard);
        fake_dies(fake, "the end");
        loop_advance(bench.loop, 300 * MS);
        turn(&bench);
    }
    unwatch(&bench, &heard);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_uri_is_asked_for_once_and_told_to_all),
        cmocka_unit_test(what_is_below_a_watched_uri_counts),
        cmocka_unit_test(watches_may_end_one_another),
        cmocka_unit_test(a_server_that_cannot_says_so_once),
        cmocka_unit_test(a_refusal_is_of_one_uri),
        cmocka_unit_test(silence_is_a_timeout),
        cmocka_unit_test(a_watched_session_is_not_idle_and_comes_back),
        cmocka_unit_test(a_server_that_cannot_start_refuses_new_watches_and_keeps_old_ones),
        cmocka_unit_test(a_new_session_on_the_same_wire_is_asked_anew),
        cmocka_unit_test(a_changed_configuration_moves_watches),
        cmocka_unit_test(nobody_is_forgotten_at_the_end),
        cmocka_unit_test(users_have_watches_of_their_own),
        cmocka_unit_test(there_are_bounds),
        cmocka_unit_test(changed_lists_are_told_once_each),
        cmocka_unit_test(the_session_may_be_forgotten_again_and_again),
    };
    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
