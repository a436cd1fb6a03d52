/* SPDX-License-Identifier: MIT */
/* test_listen.c - subscriptions/listen of modern servers: one stream, replaced without a gap. */
#include "watching.h"

#include "one_service.h"

#define LISTEN "\"method\":\"subscriptions/listen\""
#define ALL                                                                                    \
    "{'tools':{'listChanged':true},'prompts':{'listChanged':true},'resources':{'listChanged':" \
    "true,'subscribe':true}}"

static void discovered(struct fake *fake, const char *capabilities)
{
    char result[512];
    fake_opened(fake);
    assert_has(last_sent(fake), "server/discover");
    (void)snprintf(
        result, sizeof result,
        "{'resultType':'complete','supportedVersions':['2026-07-28'],'capabilities':%s,"
        "'ttlMs':0,'cacheScope':'public'}",
        capabilities);
    answer_last(fake, result);
}

static struct fake *discover(bool is_http, const char *capabilities)
{
    struct service_conf *conf = conf_new("s", "1");
    conf->era = SERVICE_ERA_MODERN;
    conf->idle_stop_s = 300;
    begin_as(is_http, conf);
    list_tools(&bench, &told, "s");
    struct fake *fake = fake_at(&bench, 0);
    discovered(fake, capabilities);
    return fake;
}

/* On the stream of `id`. */
static void notify(struct fake *fake, unsigned long long id, const char *method,
                   const char *members)
{
    say_on(fake, fake->bench->is_http ? id : 0,
           "{'jsonrpc':'2.0','method':'notifications/%s','params':{'_meta':{"
           "'io.modelcontextprotocol/subscriptionId':%llu}%s%s}}",
           method, id, members[0] ? "," : "", members);
}

static void acknowledge(struct fake *fake, unsigned long long id, const char *filter)
{
    char members[512];
    (void)snprintf(members, sizeof members, "'notifications':{%s}", filter);
    notify(fake, id, "subscriptions/acknowledged", members);
}

#define LISTS "'toolsListChanged':true,'promptsListChanged':true,'resourcesListChanged':true"

/* A service whose stream for lists stands; gives its id. */
static struct fake *listening(bool is_http, unsigned long long *id)
{
    struct fake *fake = discover(is_http, ALL);
    *id = id_of(sent_with(fake, LISTEN));
    assert_has(sent_with(fake, LISTEN),
               "\"notifications\":{\"toolsListChanged\":true,\"promptsListChanged\":true,"
               "\"resourcesListChanged\":true}");
    assert_has(sent_with(fake, LISTEN), "\"io.modelcontextprotocol/protocolVersion\"");
    answer_id(fake, id_of(sent_with(fake, "tools/list")), "result",
              "{'resultType':'complete','tools':[],'ttlMs':60000,'cacheScope':'public'}");
    acknowledge(fake, *id, LISTS);
    assert_int_equal(told.done, 1);
    assert_string_equal(bench.news, "");
    told_done(&told);
    return fake;
}

static void changed_lists_are_heard(void **state)
{
    (void)state;
    for (int is_http = 0; is_http < 2; is_http++) {
        unsigned long long id;
        struct fake *fake = listening(is_http, &id);
        size_t lists = count_sent(fake, "tools/list\"");
        notify(fake, id, "prompts/list_changed", "");
        notify(fake, id, "tools/list_changed", "");
        notify(fake, id, "resources/list_changed", "");
        assert_string_equal(bench.news, "s:prompts s:tools s:resources ");
        assert_int_equal(count_sent(fake, "tools/list\""), lists + 1);
        assert_int_equal(count_sent(fake, LISTEN), 1);
        (void)clear(NULL);
    }
}

static void what_was_not_accepted_is_not_heard(void **state)
{
    (void)state;
    struct fake *fake = discover(false, ALL);
    unsigned long long id = id_of(sent_with(fake, LISTEN));
    notify(fake, id, "tools/list_changed", ""); /* the acknowledgement is to be first */
    acknowledge(fake, id, "'promptsListChanged':true,'toolsListChanged':false");
    notify(fake, id, "tools/list_changed", "");
    notify(fake, id, "resources/list_changed", "");
    notify(fake, id, "prompts/list_changed", "");
    assert_string_equal(bench.news, "s:prompts ");
    /* without an id, with another one's, with a text that looks like ours */
    say(fake, "{'jsonrpc':'2.0','method':'notifications/prompts/list_changed'}");
    say(fake,
        "{'jsonrpc':'2.0','method':'notifications/prompts/list_changed','params':{'_meta':{"
        "'io.modelcontextprotocol/subscriptionId':'%llu'}}}",
        id);
    notify(fake, id + 1, "prompts/list_changed", "");
    assert_string_equal(bench.news, "s:prompts ");
}

static void no_offer_no_stream(void **state)
{
    (void)state;
    struct heard heard;
    struct fake *fake = discover(false, "{'tools':{},'resources':{}}");
    assert_int_equal(count_sent(fake, LISTEN), 0);
    watch(&bench, &heard, "file:///a");
    assert_int_equal(heard.code, ERR_NOT_FOUND);
    assert_int_equal(count_sent(fake, LISTEN), 0);
}

static void watched_uris_join_in_a_new_stream_before_the_old_one_ends(void **state)
{
    (void)state;
    for (int is_http = 0; is_http < 2; is_http++) {
        unsigned long long old;
        struct heard a;
        struct heard b;
        struct fake *fake = listening(is_http, &old);
        watch(&bench, &a, "file:///a");
        unsigned long long id = id_of(sent_with(fake, LISTEN));
        assert_true(id != old);
        assert_has(sent_with(fake, LISTEN), "\"resourceSubscriptions\":[\"file:///a\"]");
        watch(&bench, &b, "file:///b"); /* looked at when the one under way stands */
        assert_int_equal(count_sent(fake, LISTEN), 2);
        notify(fake, old, "prompts/list_changed", ""); /* the old one still counts */
        assert_string_equal(bench.news, "s:prompts ");
        assert_int_equal(fake->abandoned, 0);
        acknowledge(fake, id, LISTS ",'resourceSubscriptions':['file:///a']");
        assert_started(a);
        assert_int_equal(fake->abandoned, 1);
        assert_int_equal(fake->last_abandoned, old);
        assert_int_equal(count_sent(fake, "notifications/cancelled"), is_http ? 0 : 1);
        assert_string_equal(bench.news, "s:prompts "); /* there was no gap */
        assert_int_equal(count_sent(fake, LISTEN), 3);
        unsigned long long third = id_of(sent_with(fake, LISTEN));
        notify(fake, id, "resources/updated", "'uri':'file:///a/x'");
        assert_string_equal(a.updates, "file:///a/x ");
        acknowledge(fake, third, LISTS ",'resourceSubscriptions':['file:///b','file:///a']");
        assert_started(b);
        assert_string_equal(a.updates, "file:///a/x ");
        notify(fake, third, "resources/updated", "'uri':'file:///b'");
        assert_string_equal(b.updates, "file:///b ");
        unwatch(&bench, &a);
        assert_has(sent_with(fake, LISTEN), "\"resourceSubscriptions\":[\"file:///b\"]");
        (void)clear(NULL);
    }
}

static void a_refused_uri_ends_its_watch_alone(void **state)
{
    (void)state;
    unsigned long long id;
    struct heard a;
    struct heard b;
    struct fake *fake = listening(false, &id);
    watch(&bench, &a, "file:///a");
    watch(&bench, &b, "file:///b");
    acknowledge(fake, id_of(sent_with(fake, LISTEN)),
                LISTS ",'resourceSubscriptions':['file:///a']");
    acknowledge(fake, id_of(sent_with(fake, LISTEN)),
                LISTS ",'resourceSubscriptions':['file:///a']");
    assert_started(a);
    assert_int_equal(b.code, ERR_NOT_FOUND);
    assert_int_equal(count_sent(fake, LISTEN), 3); /* what was accepted is all that is wanted */
}

/* Result, error, bare close, cancelled: it is opened anew, and what may have been missed is made up. */
static void ends_of_any_form_are_followed_by_a_new_stream(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        unsigned long long id;
        bool is_http = form == 2;
        struct fake *fake = listening(is_http, &id);
        size_t lists = count_sent(fake, "tools/list\"");
        if (form == 0) {
            answer_id(fake, id, "result", "{'resultType':'complete'}");
        } else if (form == 1) {
            answer_id(fake, id, "error", "{'code':-32603,'message':'restarting'}");
        } else if (form == 2) {
            fake->events->exchange_ended(fake->arg, id, NULL, false);
        } else {
            say(fake,
                "{'jsonrpc':'2.0','method':'notifications/"
                "cancelled','params':{'requestId':%llu}}",
                id);
        }
        turn(&bench);
        assert_int_equal(count_sent(fake, LISTEN), 1);
        loop_advance(bench.loop, 250 * MS);
        turn(&bench);
        assert_int_equal(count_sent(fake, LISTEN), 2);
        assert_int_equal(count_sent(fake, "notifications/cancelled"), 0);
        assert_string_equal(bench.news, "");
        acknowledge(fake, id_of(sent_with(fake, LISTEN)), LISTS);
        assert_string_equal(bench.news, "s:tools s:prompts s:resources ");
        assert_int_equal(count_sent(fake, "tools/list\""), lists + 1);
        (void)clear(NULL);
    }
}

static void a_stream_that_always_ends_is_tried_less_and_less(void **state)
{
    (void)state;
    unsigned long long id;
    struct fake *fake = listening(false, &id);
    unsigned long long seen = 0;
    for (int i = 0; i < 6000; i++) { /* ten minutes */
        id = id_of(sent_with(fake, LISTEN));
        if (id != seen) {
            seen = id;
            answer_id(fake, id, "result", "{'resultType':'complete'}");
        }
        loop_advance(bench.loop, 100 * MS);
        turn(&bench);
    }
    assert_in_range(count_sent(fake, LISTEN), 12, 20);
}

static void a_server_without_subscriptions_is_asked_once(void **state)
{
    (void)state;
    for (int form = 0; form < 3; form++) {
        struct heard heard;
        struct fake *fake = discover(form > 0, ALL);
        unsigned long long id = id_of(sent_with(fake, LISTEN));
        if (form < 2) {
            say_on(fake, form ? id : 0,
                   "{'jsonrpc':'2.0','id':%llu,'error':{'code':-32601,'message':'No'}}", id);
        }
        struct failure failure = {0};
        failure_set(&failure, ERR_UNAVAILABLE, "HTTP 404");
        failure_detail_int(&failure, "http_status", 404);
        if (form) {
            fake->events->exchange_ended(fake->arg, id, &failure, false);
        }
        failure_done(&failure);
        turn(&bench);
        loop_advance(bench.loop, 20000 * MS);
        turn(&bench);
        watch(&bench, &heard, "file:///a");
        assert_int_equal(heard.code, ERR_NOT_FOUND);
        assert_int_equal(count_sent(fake, LISTEN), 1);
        assert_string_equal(bench.states, "s:starting s:running ");
        (void)clear(NULL);
    }
}

static void silence_instead_of_an_acknowledgement_is_given_up(void **state)
{
    (void)state;
    unsigned long long id;
    struct heard heard;
    struct fake *fake = listening(false, &id);
    watch(&bench, &heard, "file:///a");
    loop_advance(bench.loop, 30001 * MS);
    turn(&bench);
    assert_int_equal(heard.code, ERR_TIMEOUT);
    notify(fake, id, "prompts/list_changed", ""); /* the one before it goes on */
    assert_string_equal(bench.news, "s:prompts ");
}

static void a_lost_session_is_begun_again_for_those_who_watch(void **state)
{
    (void)state;
    unsigned long long id;
    struct heard heard;
    struct fake *fake = listening(false, &id);
    watch(&bench, &heard, "file:///a");
    acknowledge(fake, id_of(sent_with(fake, LISTEN)),
                LISTS ",'resourceSubscriptions':['file:///a']");
    assert_started(heard);
    fake_dies(fake, "it crashed");
    turn(&bench);
    struct fake *second = fake_at(&bench, 1);
    discovered(second, ALL);
    assert_has(sent_with(second, LISTEN), "\"resourceSubscriptions\":[\"file:///a\"]");
    acknowledge(second, id_of(sent_with(second, LISTEN)),
                LISTS ",'resourceSubscriptions':['file:///a']");
    assert_string_equal(heard.updates, "file:///a ");
    assert_string_equal(bench.news, "s:tools s:prompts s:resources ");
    assert_int_equal(heard.ended, 0);
}

static void an_unwatched_session_is_idle_all_the_same(void **state)
{
    (void)state;
    unsigned long long id;
    struct fake *fake = listening(false, &id);
    loop_advance(bench.loop, 301 * 1000 * MS);
    turn(&bench);
    assert_true(fake->is_closing);
    loop_advance(bench.loop, 301 * 1000 * MS);
    turn(&bench);
    assert_int_equal(bench.fake_count, 1);
}

/* A client that has left is the last who holds its session: a refusal ends it. */
static void refused_after_its_client_has_left(int how)
{
    struct heard heard = {0};
    struct service_conf *conf = conf_new("s", "1");
    conf->era = SERVICE_ERA_AUTO;
    begin_as(false, conf);
    service_named(&bench, "s")->known.era = KNOWN_LEGACY;
    const struct mcp_identity identity = {
        .agent = {"", 0}, .user = {"", 0}, .client = 7, .capabilities = MCP_CAN_ELICIT};
    heard.watch = mcp_watch(service_named(&bench, "s"), &identity, SLICE("file:///a"),
                            &heard_events, &heard);
    turn(&bench);
    struct fake *fake = fake_at(&bench, 0);
    fake_opened(fake);
    say(fake, "{'jsonrpc':'2.0','id':%llu,'error':{'code':-32022,'message':'modern'}}",
        last_id(fake));
    answer_last(fake, "{'resultType':'complete','supportedVersions':['2026-07-28'],'"
                      "capabilities':{'resources':{'subscribe':true}}}");
    assert_has(last_sent(fake), "subscriptions/listen");
    unsigned long long id = last_id(fake);
    mcp_services_forget_client(bench.services, 7);
    if (how == 0) {
        say(fake,
            "{'jsonrpc':'2.0','method':'notifications/subscriptions/"
            "acknowledged','params':{'_meta':{'io.modelcontextprotocol/"
            "subscriptionId':%llu},'notifications':{}}}",
            id);
    } else if (how == 1) {
        say(fake, "{'jsonrpc':'2.0','id':%llu,'error':{'code':-32601,'message':'x'}}", id);
    } else {
        loop_advance(bench.loop, 30001 * MS);
        turn(&bench);
    }
    turn(&bench);
    assert_int_equal(heard.started, 1);
}

static void the_last_watch_may_be_refused(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        refused_after_its_client_has_left(how);
        (void)clear(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(changed_lists_are_heard),
        TEST(what_was_not_accepted_is_not_heard),
        TEST(no_offer_no_stream),
        TEST(watched_uris_join_in_a_new_stream_before_the_old_one_ends),
        TEST(a_refused_uri_ends_its_watch_alone),
        TEST(ends_of_any_form_are_followed_by_a_new_stream),
        TEST(a_stream_that_always_ends_is_tried_less_and_less),
        TEST(a_server_without_subscriptions_is_asked_once),
        TEST(silence_instead_of_an_acknowledgement_is_given_up),
        TEST(a_lost_session_is_begun_again_for_those_who_watch),
        TEST(an_unwatched_session_is_idle_all_the_same),
        TEST(the_last_watch_may_be_refused),
    };
    return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}
