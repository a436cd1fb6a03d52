/* SPDX-License-Identifier: MIT */
/* test_catalog.c - tools/list: pages, cursors, changes; and what the arguments are checked by. */
#include "fake.h"

#include "mcp/catalog.h"

/* A standing session whose tools are yet to be listed, for `told`. */
static struct fake *before_listing(struct bench *bench, struct told *told)
{
    bench_init(bench, false);
    apply_one(bench, conf_new("s", "1"));
    list_tools(bench, told, "s");
    struct fake *fake = fake_at(bench, 0);
    shake_hands(fake, "2025-11-25");
    return fake;
}

static void pages_are_gathered_in_order(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    struct fake *fake = before_listing(&bench, &told);
    assert_has(last_sent(fake), "\"method\":\"tools/list\",\"params\":{}}");
    answer_last(fake,
                "{'tools':[{'name':'z'},{'name':'b','x-vendor':[1.5,{'k':null}]}],'nextCursor':"
                "'p 2\\n'}");
    assert_has(last_sent(fake),
               "\"method\":\"tools/list\",\"params\":{\"cursor\":\"p 2\\n\"}}");
    answer_last(fake,
                "{'tools':[{'name':'a'}],'nextCursor':''}"); /* the empty cursor is a cursor */
    assert_has(last_sent(fake), "\"params\":{\"cursor\":\"\"}}");
    answer_last(fake, "{'tools':[],'nextCursor':null}");
    assert_int_equal(told.done, 1);
    assert_string_equal(told.text, "z b a ");
    char *definition = as_json(told.catalog->tools[1].definition);
    assert_string_equal(definition, "{\"name\":\"b\",\"x-vendor\":[1.5,{\"k\":null}]}");
    mem_free(definition);
    told_done(&told);
    bench_done(&bench);
}

static void the_list_is_kept(void **state)
{
    (void)state;
    struct bench bench;
    struct told a = {0};
    struct told b = {0};
    struct fake *fake = before_listing(&bench, &a);
    list_tools(&bench, &b, "s"); /* waits for the same listing */
    answer_last(fake, "{'tools':[{'name':'x'}]}");
    assert_string_equal(a.text, "x ");
    assert_string_equal(b.text, "x ");
    assert_ptr_equal(a.catalog, b.catalog);
    size_t sent = fake->count;
    told_done(&b);
    list_tools(&bench, &b, "s");
    assert_string_equal(b.text, "x ");
    assert_int_equal(fake->count, sent);
    told_done(&a);
    told_done(&b);
    bench_done(&bench);
}

static void endless_cursors_end(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    struct fake *fake = before_listing(&bench, &told);
    answer_last(fake, "{'tools':[],'nextCursor':'a'}");
    answer_last(fake, "{'tools':[],'nextCursor':'b'}");
    answer_last(fake, "{'tools':[],'nextCursor':'a'}");
    assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "the same cursor again");
    assert_has(told.details, "\"service\":\"s\"");
    told_done(&told);
    list_tools(&bench, &told, "s"); /* the session goes on, the next one tries again */
    for (int i = 0; i < 1000 && !told.done; i++) {
        char result[64];
        (void)snprintf(result, sizeof result, "{'tools':[],'nextCursor':'%d'}", i);
        answer_last(fake, result);
    }
    assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "more than 1000 pages");
    told_done(&told);
    bench_done(&bench);
}

static void broken_pages_fail_the_listing(void **state)
{
    static const struct {
        const char *page, *says;
    } cases[] = {
        {"{}", "holds no tools"},
        {"[]", "holds no tools"},
        {"{'tools':{}}", "no array"},
        {"{'tools':[],'nextCursor':5}", "no string"},
    };
    (void)state;
    struct bench bench;
    struct told told = {0};
    struct fake *fake = before_listing(&bench, &told);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        answer_last(fake, cases[i].page);
        assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, cases[i].says);
        told_done(&told);
        list_tools(&bench, &told, "s");
    }
    say(fake, "{'jsonrpc':'2.0','id':%llu,'error':{'code':-32603,'message':'Oops'}}",
        last_id(fake));
    assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "error -32603: Oops");
    assert_has(told.details, "\"jsonrpc\":{\"code\":-32603");
    told_done(&told);
    bench_done(&bench);
}

/* `count` values, none of them a tool. */
static void answer_with_many(struct fake *fake, size_t count, const char *rest)
{
    char *page = mem_new(2 * count + 64);
    char *at = page + sprintf(page, "{'tools':[0");
    for (size_t i = 1; i < count; i++, at += 2) {
        at[0] = ',';
        at[1] = '0';
    }
    (void)sprintf(at, "]%s}", rest);
    answer_last(fake, page);
    mem_free(page);
}

static void a_catalogue_has_a_largest_size(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    struct fake *fake = before_listing(&bench, &told);
    answer_with_many(fake, CATALOG_TOOLS_MAX, "");
    assert_int_equal(told.code, ERR_NONE);
    assert_int_equal(told.done, 1);
    told_done(&told);
    say(fake, "{'jsonrpc':'2.0','method':'notifications/tools/list_changed'}");
    list_tools(&bench, &told, "s");
    answer_with_many(fake, CATALOG_TOOLS_MAX, ",'nextCursor':'a'");
    assert_int_equal(told.done, 0);
    answer_last(fake, "{'tools':[0]}");
    assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "more than 20000 of them");
    told_done(&told);
    const size_t text = (size_t)8 << 20;
    char *page = mem_new(text + 64);
    list_tools(&bench, &told, "s");
    for (int i = 0; i < 4; i++) {
        char *at = page + sprintf(page, "{'tools':['");
        memset(at, 'x', text);
        (void)sprintf(at + text, "'],'nextCursor':'%d'}", i);
        assert_int_equal(told.done, 0);
        answer_last(fake, page);
    }
    mem_free(page);
    assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "longer than 32 MiB");
    told_done(&told);
    bench_done(&bench);
}

static void silent_listing_times_out(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    bench_init(&bench, false);
    struct service_conf *conf = conf_new("s", "1");
    conf->timeout_ms = 2000;
    apply_one(&bench, conf);
    list_tools(&bench, &told, "s");
    struct fake *fake = fake_at(&bench, 0);
    shake_hands(fake, "2025-11-25");
    loop_advance(bench.loop, 2001 * MS);
    assert_told(told, ERR_TIMEOUT, "did not list its tools within 2000 ms");
    assert_has(last_sent(fake), "notifications/cancelled");
    told_done(&told);
    bench_done(&bench);
}

static void odd_tools_are_left_out(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    struct fake *fake = before_listing(&bench, &told);
    answer_last(fake,
                "{'tools':[17,{'name':''},{'name':5},{'title':'x'},{'name':'ok'},{'name':'ok',"
                "'description':'second'},{'name':'\\u00fc /:'}]}");
    assert_string_equal(told.text, "ok \xc3\xbc /: ");
    assert_int_equal(catalog_absent(told.catalog).nameless, 5);
    told_done(&told);
    bench_done(&bench);
}

static void index_finds_every_tool(void **state)
{
    enum { TOOLS = 3000 };
    (void)state;
    struct buf definitions;
    buf_init(&definitions, 1 << 20);
    for (int i = 0; i < TOOLS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%d", i);
        pack_put_map(&definitions, 1);
        pack_put_key_text(&definitions, "name", name);
    }
    struct mcp_catalog *catalog = catalog_build(buf_slice(&definitions), TOOLS, NULL);
    buf_done(&definitions);
    assert_int_equal(catalog_absent(catalog).nameless, 0);
    assert_int_equal(catalog->count, TOOLS);
    for (int i = 0; i < TOOLS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%d", i);
        assert_ptr_equal(mcp_catalog_find(catalog, slice_of(name)), &catalog->tools[i]);
    }
    assert_null(mcp_catalog_find(catalog, SLICE("t3000")));
    assert_null(mcp_catalog_find(catalog, SLICE("")));
    assert_null(mcp_catalog_unref(catalog));
    catalog = catalog_empty();
    assert_null(mcp_catalog_find(catalog, SLICE("t")));
    mcp_catalog_unref(catalog);
}

static void no_memory_for_a_catalogue_is_an_error_of_that_listing(void **state)
{
    (void)state;
    mem_fail_at(1);
    assert_null(catalog_build((struct slice){NULL, 0}, 0, NULL));
    mem_fail_at(0);
}

/* ---- building ---------------------------------------------------------------------------- */

static struct mcp_catalog *build(const char *json, const struct catalog_rules *rules)
{
    struct buf tools;
    struct slice array = pack(&tools, json);
    struct pack cursor = pack_over(array);
    struct pack_item head;
    assert_true(pack_next(&cursor, &head) && head.type == PACK_ARRAY);
    struct slice definitions = {(const char *)cursor.at, (size_t)(cursor.end - cursor.at)};
    struct mcp_catalog *catalog = catalog_build(definitions, head.count, rules);
    assert_non_null(catalog);
    assert_true(catalog_is_of(catalog, definitions, head.count,
                              rules ? rules : &(struct catalog_rules){false}));
    buf_done(&tools);
    return catalog;
}

#define REGION(name)                                                                      \
    "{\"name\":\"" name                                                                   \
    "\",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"r\":{\"type\":\"string\"," \
    "\"x-mcp-header\":\"Region\"}}}}"
#define BAD_HEADER                                                                            \
    "{\"name\":\"bad\",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"r\":{\"type\":" \
    "\"string\",\"x-mcp-header\":\"Bad Header\"}}}}"

static void bad_headers_leave_a_tool_out_only_where_they_count(void **state)
{
    (void)state;
    const struct catalog_rules rules = {.has_headers = true};
    const char *json = "[" REGION("good") "," BAD_HEADER ",{\"name\":\"plain\"}]";
    struct mcp_catalog *catalog = build(json, &rules);
    assert_int_equal(catalog->count, 2);
    assert_null(mcp_catalog_find(catalog, SLICE("bad")));
    assert_non_null(catalog_headers(catalog, mcp_catalog_find(catalog, SLICE("good"))));
    assert_null(catalog_headers(catalog, mcp_catalog_find(catalog, SLICE("plain"))));
    const struct catalog_absent absent = catalog_absent(catalog);
    assert_int_equal(absent.left_out_count, 1);
    struct pack cursor = pack_over(absent.left_out);
    struct slice text;
    assert_true(pack_next_text(&cursor, &text) && slice_is(text, "bad"));
    assert_true(pack_next_text(&cursor, &text) && text.len > 10);
    mcp_catalog_unref(catalog);
    catalog = build(json, NULL);
    assert_int_equal(catalog->count, 3);
    assert_null(catalog_headers(catalog, mcp_catalog_find(catalog, SLICE("good"))));
    mcp_catalog_unref(catalog);
}

static bool withholds_b(void *arg, struct slice tool, struct slice definition)
{
    (void)definition;
    ++*(int *)arg;
    return slice_is(tool, "b");
}

static void withheld_tools_are_not_found_and_come_back(void **state)
{
    (void)state;
    int asked = 0;
    struct catalog_rules rules = {.withholds = withholds_b, .arg = &asked};
    struct mcp_catalog *catalog =
        build("[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"c\"}]", &rules);
    assert_int_equal(asked, 3);
    assert_int_equal(catalog->count, 2);
    assert_null(mcp_catalog_find(catalog, SLICE("b")));
    assert_true(catalog_withholds(catalog, SLICE("b")));
    assert_false(catalog_withholds(catalog, SLICE("a")));
    assert_int_equal(catalog_absent(catalog).withheld_count, 1);
    rules.withholds = NULL;
    struct mcp_catalog *all = catalog_rebuild(catalog, &rules);
    mcp_catalog_unref(catalog);
    assert_int_equal(all->count, 3);
    assert_non_null(mcp_catalog_find(all, SLICE("b")));
    assert_false(catalog_withholds(all, SLICE("b")));
    mcp_catalog_unref(all);
}

static void schemas_are_compiled_once_and_when_used(void **state)
{
    (void)state;
    struct mcp_catalog *catalog = build(
        "[{\"name\":\"a\",\"inputSchema\":{\"type\":\"object\"},\"outputSchema\":{\"type\":"
        "\"array\"}},{\"name\":\"b\"},{\"name\":\"c\",\"outputSchema\":{\"type\":5}}]",
        NULL);
    const struct mcp_tool *a = mcp_catalog_find(catalog, SLICE("a"));
    const struct mcp_tool *c = mcp_catalog_find(catalog, SLICE("c"));
    assert_null(a->output);
    const struct schema *output = catalog_output(catalog, a, SLICE("s"));
    assert_non_null(output);
    assert_null(a->input);
    assert_true(schema_accepts(output, (struct slice){"\x90", 1}));
    assert_false(schema_accepts(output, (struct slice){"\x80", 1}));
    assert_ptr_equal(catalog_output(catalog, a, SLICE("s")), output);
    assert_non_null(catalog_input(catalog, a, SLICE("s")));
    assert_null(catalog_output(catalog, mcp_catalog_find(catalog, SLICE("b")), SLICE("s")));
    assert_null(catalog_output(catalog, c, SLICE("s")));
    assert_null(catalog_output(catalog, c, SLICE("s")));
    mcp_catalog_unref(catalog);
}

static void warnings_stand_at_their_tools(void **state)
{
    (void)state;
    struct mcp_catalog *catalog =
        build("[{\"name\":\"a "
              "b\"},{\"name\":\"fine\"},{\"name\":\"c\",\"description\":\"x\\u200by\"}]",
              NULL);
    char *first = as_json(catalog->tools[0].warnings);
    char *third = as_json(catalog->tools[2].warnings);
    assert_has(first, "the name has other characters");
    assert_int_equal(catalog->tools[1].warnings.len, 0);
    assert_string_equal(third, "[\"the description holds a zero-width character (U+200B)\"]");
    mem_free(first);
    mem_free(third);
    mcp_catalog_unref(catalog);
}

static struct mcp_request *list_as(struct bench *bench, struct told *told, const char *user)
{
    const struct mcp_identity identity = {.agent = {"", 0}, .user = slice_of(user)};
    told->request = mcp_list_tools(service_named(bench, "s"), &identity,
                                   loop_now(bench->loop) + 30000 * MS, &list_events, told);
    turn(bench);
    return told->request;
}

static void equal_lists_are_one_catalogue(void **state)
{
    (void)state;
    struct bench bench;
    struct told told[3] = {{0}};
    bench_init(&bench, false);
    struct service_conf *conf = conf_new("s", "1");
    conf->sharing = SERVICE_PER_USER;
    apply_one(&bench, conf);
    static const char *const users[] = {"ana", "ben", "cyd"};
    for (size_t i = 0; i < 3; i++) {
        (void)list_as(&bench, &told[i], users[i]);
        shake_hands(fake_at(&bench, i), "2025-11-25");
        answer_last(fake_at(&bench, i), i < 2 ? "{'tools':[" ECHO_TOOL "]}" : "{'tools':[]}");
        assert_int_equal(told[i].done, 1);
    }
    assert_ptr_equal(told[0].catalog, told[1].catalog);
    assert_ptr_not_equal(told[0].catalog, told[2].catalog);
    for (size_t i = 0; i < 3; i++) {
        told_done(&told[i]);
    }
    bench_done(&bench);
}

/* ---- freshness --------------------------------------------------------------------------- */

static struct fake *modern(struct bench *bench, struct told *told, const char *page)
{
    bench_init(bench, false);
    struct service_conf *conf = conf_new("s", "1");
    conf->era = SERVICE_ERA_MODERN;
    apply_one(bench, conf);
    list_tools(bench, told, "s");
    struct fake *fake = fake_at(bench, 0);
    fake_opened(fake);
    answer_last(fake, "{'resultType':'complete','supportedVersions':['2026-07-28'],"
                      "'capabilities':{'tools':{}},'ttlMs':0,'cacheScope':'public'}");
    assert_has(last_sent(fake), "\"method\":\"tools/list\"");
    assert_has(last_sent(fake), "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"");
    answer_last(fake, page);
    assert_int_equal(told->done, 1);
    return fake;
}

static void a_list_is_shown_for_as_long_as_it_keeps(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    struct fake *fake = modern(&bench, &told,
                               "{'resultType':'complete','tools':[" ECHO_TOOL
                               "],'ttlMs':60000,'cacheScope':'public'}");
    size_t sent = fake->count;
    loop_advance(bench.loop, 60000 * MS);
    told_done(&told);
    list_tools(&bench, &told, "s");
    assert_int_equal(told.done, 1);
    assert_int_equal(fake->count, sent);
    told_done(&told);
    loop_advance(bench.loop, 1 * MS);
    list_tools(&bench, &told, "s");
    assert_int_equal(told.done, 0);
    assert_has(last_sent(fake), "tools/list");
    answer_last(fake, "{'resultType':'complete','tools':[],'ttlMs':0,'cacheScope':'public'}");
    assert_string_equal(told.text, "");
    told_done(&told);
    bench_done(&bench);
}

static void what_does_not_keep_is_shown_to_those_who_wait_and_used_by_calls(void **state)
{
    static const char *const hints[] = {"", ",'ttlMs':0", ",'ttlMs':-5", ",'ttlMs':'x'"};
    (void)state;
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        struct bench bench;
        struct told told = {0};
        struct told call = {0};
        char page[512];
        (void)snprintf(page, sizeof page, "{'resultType':'complete','tools':[" ECHO_TOOL "]%s}",
                       hints[i]);
        struct fake *fake = modern(&bench, &told, page);
        assert_string_equal(told.text, "echo ");
        told_done(&told);
        loop_advance(bench.loop, 1 * MS);
        size_t lists = count_sent(fake, "tools/list\"");
        call_with(&bench, &call, .tool = "echo");
        assert_has(last_sent(fake), "tools/call");
        assert_int_equal(count_sent(fake, "tools/list\""), lists);
        list_tools(&bench, &told, "s");
        assert_int_equal(count_sent(fake, "tools/list\""), lists + 1);
        answer_last(fake, page);
        assert_string_equal(told.text, "echo ");
        told_done(&told);
        told_done(&call);
        bench_done(&bench);
    }
}

/* ---- changes ----------------------------------------------------------------------------- */

#define CHANGED "{'jsonrpc':'2.0','method':'notifications/tools/list_changed'}"

static void a_change_lists_anew(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    struct fake *fake = standing(&bench, false);
    size_t before = count_sent(fake, "tools/list");
    say(fake, CHANGED);
    assert_int_equal(count_sent(fake, "tools/list"), before + 1);
    call_with(&bench, &told, .tool = "fresh", .arguments = "{}"); /* waits for the new list */
    assert_string_equal(told.waits, "list ");
    answer_last(fake, "{'tools':[{'name':'fresh'}]}");
    assert_has(last_sent(fake), "\"name\":\"fresh\"");
    answer_last(fake, "{'n':1}");
    assert_string_equal(told.text, "{\"n\":1}");
    told_done(&told);
    bench_done(&bench);
}

static void a_change_during_a_listing_begins_it_again(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    struct fake *fake = before_listing(&bench, &told);
    unsigned long long first = last_id(fake);
    say(fake, CHANGED);
    say(fake,
        "{'jsonrpc':'2.0','id':%llu,'result':{'tools':[{'name':'old'}],'nextCursor':'2'}}",
        first);
    assert_int_equal(told.done, 0);
    assert_true(last_id(fake) != first);
    assert_has(last_sent(fake), "\"params\":{}}");
    answer_last(fake, "{'tools':[{'name':'new'}]}");
    assert_string_equal(told.text, "new ");
    told_done(&told);
    bench_done(&bench);
}

static void a_storm_of_changes_is_bounded(void **state)
{
    (void)state;
    struct bench bench;
    struct fake *fake = standing(&bench, false);
    loop_advance(bench.loop, 5000 * MS);
    size_t before = count_sent(fake, "tools/list");
    for (int i = 0; i < 500; i++) {
        say(fake, CHANGED);
        if (strstr(last_sent(fake), "tools/list")) {
            answer_last(fake, "{'tools':[" ECHO_TOOL "]}");
            say(fake, "{'jsonrpc':'2.0','id':1,'method':'ping'}");
        }
    }
    assert_int_equal(count_sent(fake, "tools/list") - before, 8);
    loop_advance(bench.loop, 1000 * MS); /* the last change is not lost */
    assert_int_equal(count_sent(fake, "tools/list") - before, 9);
    bench_done(&bench);
}

/* ---- arguments --------------------------------------------------------------------------- */

static void arguments_are_checked_before_anything_is_sent(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    struct fake *fake = standing(&bench, false);
    size_t sent = fake->count;
    call_with(&bench, &told, .arguments = "{\"text\":5}");
    assert_told(told, ERR_VALIDATION_ERROR, "arguments.text");
    assert_has(told.details, "\"field\":\"arguments.text\",\"expected\":\"");
    assert_has(told.details, "\"errors\":[{\"field\":\"arguments.text\"");
    assert_has(told.details, "\"service\":\"s\",\"tool\":\"echo\"");
    assert_false(told.sent);
    told_done(&told);
    call_with(&bench, &told, .arguments = "{}");
    assert_told(told, ERR_VALIDATION_ERROR, "text");
    assert_int_equal(fake->count, sent);
    told_done(&told);
    bench_done(&bench);
}

/* Models write null for what they leave out. */
static void null_in_an_optional_argument_is_left_out(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    bench_init(&bench, false);
    apply_one(&bench, conf_new("s", "1"));
    call_with(&bench, &told, .tool = "t",
              .arguments = "{\"text\":\"x\",\"note\":null,\"deep\":[{\"note\":null}]}");
    struct fake *fake = fake_at(&bench, 0);
    shake_hands(fake, "2025-11-25");
    answer_last(fake,
                "{'tools':[{'name':'t','inputSchema':{'type':'object','required':['text'],"
                "'properties':{'text':{'type':'string'},'note':{'type':'string'},'deep':{"
                "'type':'array','items':{'properties':{'note':{'type':'string'}}}}}}}]}");
    assert_has(last_sent(fake), "\"note\":null,\"deep\":[{\"note\":null}]}"); /* as they came */
    answer_last(fake, "{'content':[]}");
    assert_int_equal(told.code, ERR_NONE);
    told_done(&told);
    call_with(&bench, &told, .tool = "t", .arguments = "{\"text\":null}");
    assert_told(told, ERR_VALIDATION_ERROR, "arguments.text");
    told_done(&told);
    call_with(&bench, &told, .tool = "t",
              .arguments = "{\"text\":\"x\",\"note\":null,\"deep\":5}");
    assert_told(told, ERR_VALIDATION_ERROR, "arguments.");
    told_done(&told);
    bench_done(&bench);
}

static void useless_schemas_check_nothing(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    bench_init(&bench, false);
    apply_one(&bench, conf_new("s", "1"));
    call_with(&bench, &told, .tool = "odd", .arguments = "{\"a\":1}");
    struct fake *fake = fake_at(&bench, 0);
    shake_hands(fake, "2025-11-25");
    answer_last(fake, "{'tools':[{'name':'odd','inputSchema':{'type':'no such type'}}]}");
    assert_has(last_sent(fake), "\"name\":\"odd\",\"arguments\":{\"a\":1}");
    answer_last(fake, "{}");
    assert_int_equal(told.done, 1);
    told_done(&told);
    bench_done(&bench);
}

static void unknown_tools_name_near_ones(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    struct fake *fake = standing(&bench, false);
    size_t sent = fake->count;
    call_with(&bench, &told, .tool = "ehco");
    assert_told(told, ERR_NOT_FOUND, "the service \"s\" has no tool \"ehco\"");
    assert_has(told.suggestion, "\"echo\"");
    assert_has(told.details, "\"near\":[\"echo\"]");
    assert_has(told.details, "\"tool\":\"ehco\"");
    assert_int_equal(fake->count, sent);
    told_done(&told);
    loop_advance(bench.loop, 4000 * MS); /* the list is old: it is asked for again, once */
    call_with(&bench, &told, .tool = "late", .arguments = "{}");
    assert_int_equal(fake->count, sent + 1);
    assert_has(last_sent(fake), "tools/list");
    answer_last(fake, "{'tools':[{'name':'late'}]}");
    assert_has(last_sent(fake), "\"name\":\"late\"");
    answer_last(fake, "{}");
    assert_int_equal(told.done, 1);
    told_done(&told);
    loop_advance(bench.loop, 4000 * MS);
    call_with(&bench, &told, .tool = "never");
    answer_last(fake, "{'tools':[]}");
    assert_told(told, ERR_NOT_FOUND, "never");
    told_done(&told);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_gathered_in_order),
        cmocka_unit_test(the_list_is_kept),
        cmocka_unit_test(endless_cursors_end),
        cmocka_unit_test(broken_pages_fail_the_listing),
        cmocka_unit_test(a_catalogue_has_a_largest_size),
        cmocka_unit_test(silent_listing_times_out),
        cmocka_unit_test(odd_tools_are_left_out),
        cmocka_unit_test(index_finds_every_tool),
        cmocka_unit_test(no_memory_for_a_catalogue_is_an_error_of_that_listing),
        cmocka_unit_test(bad_headers_leave_a_tool_out_only_where_they_count),
        cmocka_unit_test(withheld_tools_are_not_found_and_come_back),
        cmocka_unit_test(schemas_are_compiled_once_and_when_used),
        cmocka_unit_test(warnings_stand_at_their_tools),
        cmocka_unit_test(equal_lists_are_one_catalogue),
        cmocka_unit_test(a_list_is_shown_for_as_long_as_it_keeps),
        cmocka_unit_test(what_does_not_keep_is_shown_to_those_who_wait_and_used_by_calls),
        cmocka_unit_test(a_change_lists_anew),
        cmocka_unit_test(a_change_during_a_listing_begins_it_again),
        cmocka_unit_test(a_storm_of_changes_is_bounded),
        cmocka_unit_test(arguments_are_checked_before_anything_is_sent),
        cmocka_unit_test(null_in_an_optional_argument_is_left_out),
        cmocka_unit_test(useless_schemas_check_nothing),
        cmocka_unit_test(unknown_tools_name_near_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
