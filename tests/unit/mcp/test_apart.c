/* SPDX-License-Identifier: MIT */
/* test_apart.c - what is of one caller alone and must not reach another. */
#include "caller.h"
#include "one_service.h"

#define OFFERS "{'tools':{},'resources':{}}"
#define TOOLS  "{'name':'echo'}"

static void the_last_words_of_a_process_are_its_users(void **state)
{
    (void)state;
    struct service_conf *conf = conf_new("s", "1");
    conf->sharing = SERVICE_PER_USER;
    begin_as(false, conf);
    for (int i = 0; i < 2; i++) {
        call_with(&bench, &told, .user = "bob");
        fake_opened(fake_at(&bench, bench.fake_count - 1));
        fake_dies(fake_at(&bench, bench.fake_count - 1), "bob's trouble");
        told_done(&told);
    }
    call_with(&bench, &told, .user = "alice");
    fake_opened(fake_at(&bench, bench.fake_count - 1));
    fake_dies(fake_at(&bench, bench.fake_count - 1), "alice's secret");
    told_done(&told);
    call_with(&bench, &told, .user = "bob");
    assert_told(told, ERR_UNAVAILABLE, "2 times in a row");
    assert_null(strstr(told.text, "alice"));
    assert_has(told.text, "bob's trouble");
}

static void all_pages_of_a_list_are_for_the_same_clients(void **state)
{
    (void)state;
    struct told first = {0};
    struct told second = {0};
    struct service_conf *conf = conf_new("s", "1");
    conf->transport = SERVICE_HTTP;
    conf->era = SERVICE_ERA_MODERN;
    begin_as(true, conf);
    list_tools(&bench, &first, "s");
    struct fake *fake = fake_at(&bench, 0);
    serve_modern(fake, OFFERS);
    const struct mcp_identity identity = {
        .agent = {"", 0}, .user = {"", 0}, .client = 7, .capabilities = MCP_CAN_ELICIT};
    second.request = mcp_list_tools(service_named(&bench, "s"), &identity,
                                    loop_now(bench.loop) + 30000 * MS, &list_events, &second);
    turn(&bench);
    answer_last(fake, "{'resultType':'complete','tools':[{'name':'a'}],'nextCursor':'2'}");
    answer_last(fake, "{'resultType':'complete','tools':[{'name':'b'}]}");
    assert_int_equal(first.done, 1);
    assert_int_equal(second.done, 0);
    assert_has(last_sent(fake), "elicitation");
    answer_last(
        fake, "{'resultType':'complete','tools':[{'name':'a'},{'name':'asks'},{'name':'b'}]}");
    assert_int_equal(second.done, 1);
    assert_string_equal(second.text, "a asks b ");
    told_done(&first);
    told_done(&second);
}

static void a_late_answer_to_something_else_clears_no_doubt(void **state)
{
    (void)state;
    struct caller one = {0};
    struct caller two = {0};
    struct fake *fake = ready(&bench, false, false, "{'tools':{},'logging':{}}", TOOLS);
    wish(&bench, &one, .log_level = "debug");
    unsigned long long level = id_of(fake->sent[sent_at(fake, "logging/setLevel")]);
    loop_advance(bench.loop, 10001 * MS); /* that was not answered in time */
    turn(&bench);
    mcp_cancel(one.told.request, "test");
    wish(&bench, &two, .name = "echo");
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':{}}", level);
    say(fake, "{'jsonrpc':'2.0','method':'notifications/"
              "message','params':{'level':'debug','data':'of the first'}}");
    assert_string_equal(two.told.log, "");
    answer_last(fake, "{'content':[]}");
    caller_free(&one);
    caller_free(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_last_words_of_a_process_are_its_users),
        TEST(all_pages_of_a_list_are_for_the_same_clients),
        TEST(a_late_answer_to_something_else_clears_no_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
