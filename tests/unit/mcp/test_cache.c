/* SPDX-License-Identifier: MIT */
/* test_cache.c - results are kept as long as their hints say, for whom they say, within a bound. */
#include "fake.h"

#include "mcp/cache.h"

struct fixture {
    struct loop *loop;
    struct cache cache;
    struct mcp_session modern, other, legacy;
    char services[2]; /* only their addresses count */
};

static const struct mcp_service *service_of(struct fixture *fixture, size_t at)
{
    return (const struct mcp_service *)(const void *)&fixture->services[at];
}

static int setup(void **state)
{
    struct fixture *fixture = mem_new(sizeof *fixture);
    fixture->loop = loop_new();
    loop_freeze(fixture->loop);
    cache_init(&fixture->cache, fixture->loop, (size_t)64 * 1024);
    fixture->modern.revision = fixture->other.revision = revision_modern();
    fixture->legacy.revision = revision_offered();
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    cache_done(&fixture->cache);
    assert_int_equal(fixture->cache.bytes, 0);
    loop_free(fixture->loop);
    mem_free(fixture);
    return 0;
}

static struct cache_key key_of(struct fixture *fixture, const struct mcp_session *session,
                               enum mcp_method method, const char *name)
{
    return (struct cache_key){.service = service_of(fixture, 0),
                              .session = session,
                              .method = method,
                              .name = slice_of(name)};
}

static void put(struct fixture *fixture, const struct cache_key *key, const char *json)
{
    struct buf result;
    cache_put(&fixture->cache, key, pack(&result, json));
    memset(result.data, 0xc1, result.len);
    buf_done(&result);
}

/* The result as JSON, or "". */
static void gives(struct fixture *fixture, const struct cache_key *key, const char *json)
{
    struct slice result;
    if (!cache_get(&fixture->cache, key, &result)) {
        assert_string_equal("", json);
        return;
    }
    char *text = as_json(result);
    assert_string_equal(text, json);
    mem_free(text);
}

#define RESULT(n, scope, ttl) \
    "{\"n\":" #n ",\"resultType\":\"complete\",\"ttlMs\":" #ttl ",\"cacheScope\":\"" scope "\"}"

static void a_result_is_kept_for_its_time(void **state)
{
    struct fixture *fixture = *state;
    struct cache_key key = key_of(fixture, &fixture->modern, MCP_RESOURCES_READ, "file:///a");
    gives(fixture, &key, "");
    put(fixture, &key, RESULT(1, "private", 1000));
    gives(fixture, &key, RESULT(1, "private", 1000));
    loop_advance(fixture->loop, 999 * MS);
    gives(fixture, &key, RESULT(1, "private", 1000));
    loop_advance(fixture->loop, 1 * MS);
    gives(fixture, &key, "");
    assert_int_equal(fixture->cache.bytes, 0);
}

static void hints_decide(void **state)
{
    static const char *const never[] = {
        "{\"n\":1}",
        "{\"n\":1,\"ttlMs\":0}",
        "{\"n\":1,\"ttlMs\":-1}",
        "{\"n\":1,\"ttlMs\":\"5\"}",
        "{\"n\":1,\"ttlMs\":5000,\"resultType\":\"input_required\"}",
        "[]",
    };
    struct fixture *fixture = *state;
    struct cache_key key = key_of(fixture, &fixture->modern, MCP_RESOURCES_READ, "file:///a");
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        put(fixture, &key, never[i]);
        gives(fixture, &key, "");
    }
    put(fixture, &key, "{\"n\":1,\"ttlMs\":5000}"); /* an absent type is complete */
    gives(fixture, &key, "{\"n\":1,\"ttlMs\":5000}");
    static const enum mcp_method methods[] = {MCP_TOOLS_CALL, MCP_PROMPTS_GET, MCP_COMPLETE,
                                              MCP_TASKS_GET};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        key.method = methods[i];
        put(fixture, &key, RESULT(1, "public", 1000));
        gives(fixture, &key, "");
    }
    key = key_of(fixture, &fixture->legacy, MCP_RESOURCES_LIST, "");
    put(fixture, &key, RESULT(1, "public", 1000));
    gives(fixture, &key, "");
}

static void private_results_are_of_one_session(void **state)
{
    struct fixture *fixture = *state;
    struct cache_key mine = key_of(fixture, &fixture->modern, MCP_RESOURCES_LIST, "");
    struct cache_key theirs = key_of(fixture, &fixture->other, MCP_RESOURCES_LIST, "");
    put(fixture, &mine, RESULT(1, "private", 1000));
    gives(fixture, &theirs, "");
    put(fixture, &theirs, RESULT(2, "public", 1000));
    gives(fixture, &theirs, RESULT(2, "public", 1000));
    gives(fixture, &mine, RESULT(1, "private", 1000)); /* one's own comes first */
    put(fixture, &mine, RESULT(3, "public", 1000));
    gives(fixture, &theirs, RESULT(3, "public", 1000));
    theirs.service = service_of(fixture, 1);
    gives(fixture, &theirs, "");
    put(fixture, &mine, "{\"ttlMs\":1000,\"cacheScope\":\"shared?\"}"); /* unknown: private */
    theirs.service = service_of(fixture, 0);
    gives(fixture, &theirs, "");
}

static void every_part_of_a_question_counts(void **state)
{
    struct fixture *fixture = *state;
    struct cache_key key = key_of(fixture, &fixture->modern, MCP_RESOURCES_LIST, "");
    put(fixture, &key, RESULT(1, "public", 1000));
    struct cache_key other = key;
    other.cursor = SLICE("");
    gives(fixture, &other, "");
    other.cursor = SLICE("p2");
    put(fixture, &other, RESULT(2, "public", 1000));
    gives(fixture, &other, RESULT(2, "public", 1000));
    gives(fixture, &key, RESULT(1, "public", 1000));
    other = key;
    other.capabilities = MCP_CAN_SHOW_APPS;
    gives(fixture, &other, "");
    other = key;
    other.method = MCP_RESOURCES_TEMPLATES;
    gives(fixture, &other, "");
    other.method = MCP_RESOURCES_READ;
    other.name = SLICE("ab");
    other.cursor = SLICE("c");
    put(fixture, &other, RESULT(3, "public", 1000));
    other.name = SLICE("a");
    other.cursor = SLICE("bc");
    gives(fixture, &other, "");
}

static void what_changed_is_forgotten_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct cache *cache = &fixture->cache;
    struct cache_key list = key_of(fixture, &fixture->modern, MCP_RESOURCES_LIST, "");
    struct cache_key prompts = key_of(fixture, &fixture->modern, MCP_PROMPTS_LIST, "");
    struct cache_key a = key_of(fixture, &fixture->modern, MCP_RESOURCES_READ, "file:///a");
    struct cache_key b = key_of(fixture, &fixture->other, MCP_RESOURCES_READ, "file:///b");
    struct cache_key below =
        key_of(fixture, &fixture->other, MCP_RESOURCES_READ, "file:///a/x");
    const struct cache_key *keys[] = {&list, &prompts, &a, &b, &below};
    for (size_t i = 0; i < 5; i++) {
        put(fixture, keys[i], RESULT(1, "private", 1000));
    }
    cache_list_changed(cache, service_of(fixture, 1), "resources");
    cache_list_changed(cache, service_of(fixture, 0), "tools");
    gives(fixture, &list, RESULT(1, "private", 1000));
    cache_list_changed(cache, service_of(fixture, 0), "resources");
    gives(fixture, &list, "");
    gives(fixture, &prompts, RESULT(1, "private", 1000));
    cache_list_changed(cache, service_of(fixture, 0), "prompts");
    gives(fixture, &prompts, "");
    cache_updated(cache, service_of(fixture, 0), SLICE("file:///a/x"));
    gives(fixture, &a, "");
    gives(fixture, &below, "");
    gives(fixture, &b, RESULT(1, "private", 1000));
    cache_forget_session(cache, &fixture->other);
    gives(fixture, &b, "");
    put(fixture, &list, RESULT(1, "public", 1000));
    cache_forget_session(cache, &fixture->modern);
    gives(fixture, &list, RESULT(1, "public", 1000)); /* it was for all */
    cache_forget_service(cache, service_of(fixture, 0));
    gives(fixture, &list, "");
}

static void the_oldest_make_room(void **state)
{
    struct fixture *fixture = *state;
    char json[8192];
    char name[16];
    int at = sprintf(json, "{\"ttlMs\":100000,\"cacheScope\":\"public\",\"x\":\"");
    memset(json + at, 'x', 6000);
    (void)sprintf(json + at + 6000, "\"}");
    for (int i = 0; i < 30; i++) {
        (void)snprintf(name, sizeof name, "u%d", i);
        struct cache_key key = key_of(fixture, &fixture->modern, MCP_RESOURCES_READ, name);
        put(fixture, &key, json);
        struct cache_key first = key_of(fixture, &fixture->modern, MCP_RESOURCES_READ, "u0");
        gives(fixture, &first, json); /* what is used stays */
        assert_true(fixture->cache.bytes <= (size_t)64 * 1024);
    }
    struct cache_key second = key_of(fixture, &fixture->modern, MCP_RESOURCES_READ, "u1");
    gives(fixture, &second, "");
    struct cache_key last = key_of(fixture, &fixture->modern, MCP_RESOURCES_READ, "u29");
    gives(fixture, &last, json);
    char *huge = mem_new(CACHE_RESULT_MAX + 128);
    at = sprintf(huge, "{\"ttlMs\":100000,\"x\":\"");
    memset(huge + at, 'x', CACHE_RESULT_MAX);
    (void)sprintf(huge + (size_t)at + CACHE_RESULT_MAX, "\"}");
    put(fixture, &second, huge);
    gives(fixture, &second, "");
    gives(fixture, &last, json);
    mem_free(huge);
}

/* ---- calls ------------------------------------------------------------------------------- */

struct asked {
    unsigned done;
    bool is_cached, sent;
    char *text;
};

static void asked_done(void *arg, const struct mcp_outcome *outcome)
{
    struct asked *asked = arg;
    asked->done++;
    asked->is_cached = outcome->is_cached;
    asked->sent = outcome->sent;
    asked->text = outcome->failure ? mem_dup(buf_slice(&outcome->failure->message))
                                   : as_json(outcome->result);
}

static const struct mcp_call_events asked_events = {.done = asked_done};

static const char *asked_meta; /* JSON, or NULL */

static void ask_for(struct bench *bench, const char *user, struct asked *asked,
                    enum mcp_method method, const char *uri)
{
    struct buf meta = {0};
    char name[64];
    const struct mcp_identity identity = {.agent = {"", 0}, .user = slice_of(user)};
    mem_free(asked->text);
    *asked = (struct asked){.done = 0};
    (void)snprintf(name, sizeof name, "%s", uri);
    const struct mcp_call_options options = {.method = method,
                                             .name = slice_of(name),
                                             .meta = asked_meta ? pack(&meta, asked_meta)
                                                                : (struct slice){NULL, 0},
                                             .deadline = loop_now(bench->loop) + 1000 * MS};
    (void)mcp_call(service_named(bench, "s"), &identity, &options, &asked_events, asked);
    assert_int_equal(asked->done, 0); /* never inside */
    memset(name, '!', sizeof name);
    buf_done(&meta);
    turn(bench);
}

static void ask(struct bench *bench, struct asked *asked, enum mcp_method method,
                const char *uri)
{
    ask_for(bench, "", asked, method, uri);
}

static struct fake *begin(struct bench *bench, size_t at)
{
    struct fake *fake = fake_at(bench, at);
    fake_opened(fake);
    answer_last(fake, "{'resultType':'complete','supportedVersions':['2026-07-28'],"
                      "'capabilities':{'resources':{}},'ttlMs':0,'cacheScope':'public'}");
    return fake;
}

static struct fake *modern_service(struct bench *bench)
{
    bench_init(bench, false);
    struct service_conf *conf = conf_new("s", "1");
    conf->era = SERVICE_ERA_MODERN;
    apply_one(bench, conf);
    struct asked asked = {0};
    ask(bench, &asked, MCP_RESOURCES_READ, "file:///first");
    struct fake *fake = begin(bench, 0);
    answer_last(fake,
                "{'resultType':'complete','contents':[],'ttlMs':0,'cacheScope':'public'}");
    assert_int_equal(asked.done, 1);
    mem_free(asked.text);
    return fake;
}

static void what_is_kept_is_not_asked_for(void **state)
{
    (void)state;
    struct bench bench;
    struct asked asked = {0};
    struct fake *fake = modern_service(&bench);
    ask(&bench, &asked, MCP_RESOURCES_READ, "file:///a");
    answer_last(fake,
                "{'resultType':'complete','contents':[],'ttlMs':5000,'cacheScope':'private'}");
    assert_false(asked.is_cached);
    assert_true(asked.sent);
    size_t sent = fake->count;
    ask(&bench, &asked, MCP_RESOURCES_READ, "file:///a");
    assert_int_equal(asked.done, 1);
    assert_true(asked.is_cached);
    assert_false(asked.sent);
    assert_has(asked.text, "\"ttlMs\":5000");
    assert_int_equal(fake->count, sent);
    loop_advance(bench.loop, 5000 * MS);
    ask(&bench, &asked, MCP_RESOURCES_READ, "file:///a");
    assert_int_equal(fake->count, sent + 1);
    assert_has(last_sent(fake), "\"uri\":\"file:///a\"");
    answer_last(fake,
                "{'resultType':'complete','contents':[],'ttlMs':0,'cacheScope':'private'}");
    assert_false(asked.is_cached);
    mem_free(asked.text);
    bench_done(&bench);
}

static void lists_are_kept_page_by_page(void **state)
{
    (void)state;
    struct bench bench;
    struct asked asked = {0};
    struct fake *fake = modern_service(&bench);
    ask(&bench, &asked, MCP_RESOURCES_LIST, "");
    answer_last(fake,
                "{'resultType':'complete','resources':[{'uri':'a:1','name':'1'}],'nextCursor':"
                "'p2','ttlMs':9000,'cacheScope':'public'}");
    answer_last(fake,
                "{'resultType':'complete','resources':[{'uri':'a:2','name':'2'}],'ttlMs':2000,"
                "'cacheScope':'public'}");
    assert_has(asked.text, "a:1");
    assert_has(asked.text, "a:2");
    size_t sent = fake->count;
    ask(&bench, &asked, MCP_RESOURCES_LIST, "");
    assert_true(asked.is_cached);
    assert_has(asked.text, "a:1");
    assert_has(asked.text, "a:2");
    assert_int_equal(fake->count, sent);
    loop_advance(bench.loop, 3000 * MS); /* the second page is stale, the first is not */
    ask(&bench, &asked, MCP_RESOURCES_LIST, "");
    assert_int_equal(fake->count, sent + 1);
    assert_has(last_sent(fake), "\"cursor\":\"p2\"");
    answer_last(fake,
                "{'resultType':'complete','resources':[],'ttlMs':0,'cacheScope':'public'}");
    assert_false(asked.is_cached);
    assert_has(asked.text, "a:1");
    mem_free(asked.text);
    bench_done(&bench);
}

#define PUBLIC "'resultType':'complete','ttlMs':9000,'cacheScope':'public'"

/* Each user has a server of their own, though under one name. */
static void servers_of_users_are_apart(void **state)
{
    (void)state;
    struct bench bench;
    struct asked asked = {0};
    bench_init(&bench, false);
    struct service_conf *conf = conf_new("s", "1");
    conf->era = SERVICE_ERA_MODERN;
    conf->needs_user = true;
    apply_one(&bench, conf);
    ask_for(&bench, "ann", &asked, MCP_RESOURCES_READ, "file:///a");
    answer_last(begin(&bench, 0), "{'contents':[{'uri':'file:///a','text':'ann'}]," PUBLIC "}");
    assert_has(asked.text, "ann");
    ask_for(&bench, "ben", &asked, MCP_RESOURCES_READ, "file:///a");
    assert_int_equal(asked.done, 0);
    answer_last(begin(&bench, 1), "{'contents':[{'uri':'file:///a','text':'ben'}]," PUBLIC "}");
    assert_has(asked.text, "ben");
    ask_for(&bench, "ann", &asked, MCP_RESOURCES_READ, "file:///a");
    assert_true(asked.is_cached);
    assert_has(asked.text, "ann");
    mem_free(asked.text);
    bench_done(&bench);
}

/* What was asked before a reload is answered, and is of the configuration before it. */
static void a_reload_is_not_overtaken(void **state)
{
    (void)state;
    struct bench bench;
    struct asked before = {0};
    struct asked after = {0};
    struct fake *fake = modern_service(&bench);
    ask(&bench, &before, MCP_RESOURCES_READ, "file:///a");
    struct service_conf *conf = conf_new("s", "2");
    conf->era = SERVICE_ERA_MODERN;
    apply_one(&bench, conf);
    answer_last(fake, "{'contents':[{'uri':'file:///a','text':'old'}]," PUBLIC "}");
    assert_has(before.text, "old");
    ask(&bench, &after, MCP_RESOURCES_READ, "file:///a");
    assert_int_equal(after.done, 0);
    answer_last(begin(&bench, 1), "{'contents':[{'uri':'file:///a','text':'new'}]," PUBLIC "}");
    assert_has(after.text, "new");
    assert_false(after.is_cached);
    mem_free(before.text);
    mem_free(after.text);
    bench_done(&bench);
}

static void what_meta_may_change_is_not_kept(void **state)
{
    (void)state;
    struct bench bench;
    struct asked asked = {0};
    struct fake *fake = modern_service(&bench);
    asked_meta = "{\"traceparent\":\"00-1\"}";
    ask(&bench, &asked, MCP_RESOURCES_READ, "file:///a");
    answer_last(fake, "{'contents':[]," PUBLIC "}");
    ask(&bench, &asked, MCP_RESOURCES_READ, "file:///a");
    assert_true(asked.is_cached);
    for (int i = 0; i < 2; i++) {
        asked_meta = i ? "{\"com.example/tenant\":\"b\"}" : "{\"com.example/tenant\":\"a\"}";
        ask(&bench, &asked, MCP_RESOURCES_READ, "file:///a");
        assert_int_equal(asked.done, 0);
        assert_has(last_sent(fake), "com.example/tenant");
        answer_last(fake, "{'contents':[]," PUBLIC "}");
        assert_false(asked.is_cached);
    }
    asked_meta = NULL;
    mem_free(asked.text);
    bench_done(&bench);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_result_is_kept_for_its_time),
        TEST(hints_decide),
        TEST(private_results_are_of_one_session),
        TEST(every_part_of_a_question_counts),
        TEST(what_changed_is_forgotten_at_once),
        TEST(the_oldest_make_room),
        cmocka_unit_test(what_is_kept_is_not_asked_for),
        cmocka_unit_test(lists_are_kept_page_by_page),
        cmocka_unit_test(servers_of_users_are_apart),
        cmocka_unit_test(a_reload_is_not_overtaken),
        cmocka_unit_test(what_meta_may_change_is_not_kept),
    };
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
