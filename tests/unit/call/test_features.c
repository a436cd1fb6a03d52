/* SPDX-License-Identifier: MIT */
/* test_features.c - questions of servers to the client of a call, resources, handles of tasks. */
#include "served.h"

#include "call/call_internal.h"
#include "rpc/rpc_internal.h"

#define RESULT "{'content':[{'type':'text','text':'done'}]}"
#define ELICIT "'method':'elicitation/create','params':{'message':'Sure?','requestedSchema':{}}"

static const char plain[] = "agent 'a' { title = 'A', services = { '*' } }\n"
                            "agent 'b' { title = 'B', services = { 't' } }\n"
                            "agent 'c' { title = 'C', services = { '*' } }\n";

static int setup(void **state)
{
    (void)state;
    return serve(plain);
}

/* A client that can be asked. */
static int connect_asked(void)
{
    int fd = connect_client();
    ask(fd, 1000, "hello", "{}");
    mem_free(heard(fd));
    return fd;
}

/* The call `msgid` is at the service "s"; `more` as `,"key":value`. */
static struct fake *call_s(int fd, uint32_t msgid, const char *more)
{
    char json[256];
    (void)snprintf(json, sizeof json,
                   "{\"tool\":\"s/echo\",\"agent\":\"a\",\"arguments\":{\"text\":\"hi\"}%s}",
                   more);
    ask(fd, msgid, "tools.call", json);
    turns(3);
    struct fake *fake = fake_number(served.bench.fake_count - 1);
    if (!fake->was_opened || fake->count == 0) {
        serve_echo(fake);
    }
    assert_non_null(strstr(last_sent(fake), "tools/call"));
    return fake;
}

/* Answers the request of `call`, whatever was sent since. */
static void answer_call(struct fake *fake, unsigned long long call, const char *result)
{
    say(fake, "{'jsonrpc':'2.0','id':%llu,'result':%s}", call, result);
}

static void respond(int fd, uint32_t msgid, const char *error, const char *result)
{
    struct buf frame;
    struct buf value;
    buf_init(&frame, 65536);
    pack_put_array(&frame, 4);
    pack_put_uint(&frame, 1);
    pack_put_uint(&frame, msgid);
    if (error) {
        pack_put_text(&frame, error);
        pack_put_nil(&frame);
    } else {
        pack_put_nil(&frame);
        buf_put_slice(&frame, pack(&value, result));
        buf_done(&value);
    }
    assert_int_equal(send(fd, frame.data, frame.len, MSG_NOSIGNAL), (ssize_t)frame.len);
    buf_done(&frame);
    turns(3);
}

/* ---- questions --------------------------------------------------------------------------- */

static void a_question_is_answered(void **state)
{
    (void)state;
    int fd = connect_asked();
    int other = connect_asked();
    struct fake *fake = call_s(fd, 7, "");
    unsigned long long call = last_id(fake);
    say(fake, "{'jsonrpc':'2.0','id':'q'," ELICIT "}");
    expect_heard(fd, "[0,1,\"elicitation.create\",[{\"message\":\"Sure?\","
                     "\"requestedSchema\":{},\"service\":\"s\",\"tool\":\"echo\","
                     "\"msgid\":7}]]");
    respond(other, 1, NULL, "{\"action\":\"accept\"}"); /* nobody asked this one */
    assert_int_equal(count_sent(fake, "\"id\":\"q\""), 0);
    respond(fd, 1, NULL, "{\"action\":\"accept\",\"content\":{\"n\":1}}");
    assert_string_equal(last_sent(fake), "{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"result\":"
                                         "{\"action\":\"accept\",\"content\":{\"n\":1}}}");
    answer_call(fake, call, RESULT);
    char *text = heard(fd);
    assert_non_null(strstr(text, "[1,7,null,"));
    assert_null(strstr(text, "warnings"));
    mem_free(text);
    text = heard(other);
    assert_string_equal(text, "");
    mem_free(text);
    (void)close(fd);
    (void)close(other);
}

/* Refused, answered with nonsense, or asked of somebody who cannot be: declined, and said so. */
static void a_question_is_declined(void **state)
{
    static const struct {
        const char *error, *result;
    } cases[] = {{"no", NULL},
                 {NULL, "{\"action\":\"dance\"}"},
                 {NULL, "{\"content\":{}}"},
                 {NULL, "[\"accept\"]"},
                 {NULL, "null"}};
    (void)state;
    int fd = connect_asked();
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fake *fake = call_s(fd, i, "");
        unsigned long long call = last_id(fake);
        say(fake, "{'jsonrpc':'2.0','id':%u," ELICIT "}", 500 + i);
        mem_free(heard(fd));
        respond(fd, i + 1, cases[i].error, cases[i].result);
        assert_non_null(strstr(last_sent(fake), "\"result\":{\"action\":\"decline\"}"));
        answer_call(fake, call, RESULT);
        expect_heard(fd, "\"warnings\":[\"The server asked for something");
    }
    int deaf = connect_client();
    struct fake *fake = call_s(deaf, 1, "");
    unsigned long long call = last_id(fake);
    say(fake, "{'jsonrpc':'2.0','id':9," ELICIT "}");
    assert_non_null(strstr(last_sent(fake), "\"id\":9,\"result\":{\"action\":\"decline\"}"));
    answer_call(fake, call, RESULT);
    char *text = heard(deaf);
    assert_non_null(strstr(text, "\"warnings\":["));
    assert_null(strstr(text, "elicitation.create"));
    mem_free(text);
    (void)close(fd);
    (void)close(deaf);
}

static void a_question_is_taken_back(void **state)
{
    (void)state;
    int fd = connect_asked();
    struct fake *fake = call_s(fd, 7, "");
    unsigned long long call = last_id(fake);
    say(fake, "{'jsonrpc':'2.0','id':'q'," ELICIT "}");
    mem_free(heard(fd));
    say(fake,
        "{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':'q'}}");
    expect_heard(fd, "[2,\"cancel\",[{\"msgid\":1}]]");
    size_t sent = fake->count;
    respond(fd, 1, NULL, "{\"action\":\"accept\"}");
    assert_int_equal(fake->count, sent);
    answer_call(fake, call, RESULT);
    expect_heard(fd, "[1,7,null,");
    (void)close(fd);
}

static void a_question_ends_with_its_call(void **state)
{
    (void)state;
    int fd = connect_asked();
    struct fake *fake = call_s(fd, 7, "");
    say(fake, "{'jsonrpc':'2.0','id':'q'," ELICIT "}");
    mem_free(heard(fd));
    cancel_call(fd, 7);
    char *text = heard(fd);
    assert_non_null(strstr(text, "[2,\"cancel\",[{\"msgid\":1}]]"));
    assert_non_null(strstr(text, "\"code\":\"CANCELLED\""));
    mem_free(text);
    assert_int_equal(count_sent(fake, "\"action\":\"cancel\""), 1);
    assert_int_equal(count_sent(fake, "notifications/cancelled"), 1);
    respond(fd, 1, NULL, "{\"action\":\"accept\"}");
    assert_int_equal(count_sent(fake, "\"accept\""), 0);
    assert_int_equal(calls_count(served.calls), 0);
    (void)close(fd);
}

static void a_client_leaves_with_a_question_open(void **state)
{
    (void)state;
    int fd = connect_asked();
    struct fake *fake = call_s(fd, 7, "");
    say(fake, "{'jsonrpc':'2.0','id':'q'," ELICIT "}");
    turns(2);
    (void)close(fd);
    turns(4);
    assert_int_equal(calls_count(served.calls), 0);
    assert_int_equal(rpc_server_connections(served.server), 0);
    assert_int_equal(count_sent(fake, "notifications/cancelled"), 1);
}

/* ---- clients that do not read ------------------------------------------------------------ */

static struct rpc_peer *only_peer(void)
{
    struct list_link *link = list_first(&served.server->peers);
    assert_non_null(link);
    return LIST_ITEM(link, struct rpc_peer, link);
}

static void tell_progress(struct fake *fake, unsigned long long call, size_t len)
{
    static unsigned long at = 100000;
    char *word = mem_new(len + 1);
    memset(word, 'x', len);
    say(fake,
        "{'jsonrpc':'2.0','method':'notifications/progress','params':{'progressToken':%llu,"
        "'progress':%lu,'message':'%s'}}",
        call, ++at, word);
    mem_free(word);
}

/* Notes of the server until what waits for the client leaves less room than any message needs. */
static void fill(struct fake *fake, unsigned long long call)
{
    enum { LEN = 3000, LEFT = 4 };
    size_t room = served.limits.peer_buffer_bytes;
    size_t waiting = 0;
    size_t more = 0;
    for (int i = 0; i < 1000; i++) {
        waiting = rpc_waiting(only_peer());
        tell_progress(fake, call, LEN);
        more = rpc_waiting(only_peer()) - waiting;
        if (waiting && more > LEN && more < 2 * LEN &&
            room - rpc_waiting(only_peer()) < 5 * LEN) {
            break;
        }
    }
    waiting = rpc_waiting(only_peer());
    assert_in_range(room - waiting, 2 * LEN, 6 * LEN);
    tell_progress(fake, call, room - waiting - LEFT - (more - LEN));
    assert_int_equal(room - rpc_waiting(only_peer()), LEFT);
    assert_int_equal(rpc_server_connections(served.server), 1);
}

static struct fake *ask_full_client(int fd, unsigned long long *ret_call)
{
    served.limits.peer_buffer_bytes = 65536;
    served.limits.reply_bytes = 65536;
    struct fake *fake = call_s(fd, 7, "");
    *ret_call = last_id(fake);
    say(fake, "{'jsonrpc':'2.0','id':'q'," ELICIT "}");
    fill(fake, *ret_call);
    return fake;
}

/* There is no room to tell that the question is over: the call goes its way all the same. */
static void a_call_of_a_full_client_ends(void **state)
{
    unsigned long long call;
    (void)state;
    int fd = connect_asked();
    struct fake *fake = ask_full_client(fd, &call);
    answer_call(fake, call, RESULT);
    turns(3);
    assert_int_equal(calls_count(served.calls), 0);
    (void)close(fd);
    turns(3);
    assert_int_equal(rpc_server_connections(served.server), 0);
}

static void a_question_to_a_full_client_is_taken_back(void **state)
{
    unsigned long long call;
    (void)state;
    int fd = connect_asked();
    struct fake *fake = ask_full_client(fd, &call);
    say(fake,
        "{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':'q'}}");
    turns(3);
    (void)close(fd);
    turns(3);
    assert_int_equal(calls_count(served.calls), 0);
    assert_int_equal(rpc_server_connections(served.server), 0);
}

static void a_call_with_a_full_client_is_cancelled(void **state)
{
    unsigned long long call;
    (void)state;
    int fd = connect_asked();
    (void)ask_full_client(fd, &call);
    calls_cancel_all(served.calls);
    assert_int_equal(calls_count(served.calls), 0);
    turns(3);
    (void)close(fd);
    turns(3);
    assert_int_equal(rpc_server_connections(served.server), 0);
}

/* ---- notes ------------------------------------------------------------------------------- */

/* To which call a note belongs is for the daemon to say, not for the server. */
static void a_server_names_no_other_call(void **state)
{
    (void)state;
    int fd = connect_client();
    struct fake *fake = call_s(fd, 7, "");
    unsigned long long call = last_id(fake);
    say(fake,
        "{'jsonrpc':'2.0','method':'notifications/progress','params':{'progressToken':%llu,"
        "'msgid':8,'progress':1}}",
        call);
    say(fake, "{'jsonrpc':'2.0','method':'notifications/message','params':{'level':'info',"
              "'data':'x','msgid':8}}");
    char *text = heard(fd);
    assert_non_null(strstr(text, "[2,\"progress\",[{\"msgid\":7,\"progress\":1}]]"));
    assert_non_null(
        strstr(text, "[2,\"log\",[{\"msgid\":7,\"level\":\"info\",\"data\":\"x\"}]]"));
    mem_free(text);
    answer_call(fake, call, RESULT);
    mem_free(heard(fd));
    (void)close(fd);
}

/* ---- resources --------------------------------------------------------------------------- */

static struct fake *serve_resources(int fd, uint32_t msgid, const char *method,
                                    const char *json)
{
    ask(fd, msgid, method, json);
    turns(3);
    struct fake *fake = fake_number(0);
    if (!fake->count) {
        fake_opened(fake);
        answer_last(fake, "{'protocolVersion':'2025-11-25','capabilities':{'tools':{},"
                          "'resources':{}},'serverInfo':{'name':'fake','version':'1'}}");
    }
    return fake;
}

static void lists_are_whole_or_pages(void **state)
{
    (void)state;
    int fd = connect_client();
    struct fake *fake =
        serve_resources(fd, 1, "resources.list", "{\"service\":\"s\",\"agent\":\"a\"}");
    answer_last(fake, "{'resources':[{'uri':'x:1','name':'1'}],'nextCursor':'c2'}");
    assert_non_null(strstr(last_sent(fake), "\"cursor\":\"c2\""));
    answer_last(fake, "{'resources':[{'uri':'x:2','name':'2'}]}");
    char *text = heard(fd);
    assert_non_null(strstr(text, "\"resources\":[{\"uri\":\"x:1\",\"name\":\"1\"},"
                                 "{\"uri\":\"x:2\",\"name\":\"2\"}]"));
    assert_null(strstr(text, "nextCursor"));
    mem_free(text);
    (void)serve_resources(fd, 2, "resources.list",
                          "{\"service\":\"s\",\"agent\":\"a\",\"cursor\":\"\"}");
    answer_last(fake, "{'resources':[],'nextCursor':'c2'}");
    expect_heard(fd, "\"resources\":[],\"nextCursor\":\"c2\"}");
    (void)serve_resources(fd, 3, "resources.list",
                          "{\"service\":\"s\",\"agent\":\"a\",\"cursor\":\"c2\"}");
    assert_non_null(strstr(last_sent(fake), "\"cursor\":\"c2\""));
    answer_last(fake, "{'resources':[]}");
    expect_heard(fd, "[1,3,null,");
    (void)close(fd);
}

static void policy_rules_resources_too(void **state)
{
    (void)state;
    int fd = connect_client();
    ask(fd, 1, "resources.read", "{\"service\":\"s\",\"agent\":\"b\",\"name\":\"x:1\"}");
    expect_heard(fd, "[1,1,{\"code\":\"POLICY_DENIED\"");
    ask(fd, 2, "resources.read", "{\"service\":\"s\",\"agent\":\"none\",\"name\":\"x:1\"}");
    expect_heard(fd, "[1,2,{\"code\":\"POLICY_DENIED\"");
    ask(fd, 3, "resources.read", "{\"service\":\"no\",\"agent\":\"a\",\"name\":\"x:1\"}");
    expect_heard(fd, "[1,3,{\"code\":\"NOT_FOUND\"");
    assert_int_equal(served.bench.fake_count, 0);
    (void)close(fd);
}

/* The service goes, or the daemon does, while it is asked. */
static void requests_end_with_their_service(void **state)
{
    (void)state;
    int fd = connect_client();
    (void)serve_resources(fd, 1, "resources.read",
                          "{\"service\":\"s\",\"agent\":\"a\",\"name\":\"x:1\"}");
    struct service_conf *list[] = {conf_new("t", "t")};
    apply(&served.bench, list, 1);
    ask(fd, 2, "resources.read", "{\"service\":\"s\",\"agent\":\"a\",\"name\":\"x:1\"}");
    expect_heard(fd, "[1,2,{\"code\":\"NOT_FOUND\"");
    answer_last(fake_number(0), "{'contents':[]}");
    expect_heard(fd, "[1,1,null,");
    ask(fd, 3, "resources.read", "{\"service\":\"t\",\"agent\":\"a\",\"name\":\"x:1\"}");
    turns(3);
    calls_cancel_all(served.calls);
    expect_heard(fd, "[1,3,{\"code\":\"CANCELLED\"");
    ask(fd, 4, "resources.read", "{\"service\":\"t\",\"agent\":\"a\",\"name\":\"x:1\"}");
    turns(3);
    cancel_call(fd, 4);
    expect_heard(fd, "[1,4,{\"code\":\"CANCELLED\"");
    ask(fd, 5, "resources.read", "{\"service\":\"t\",\"agent\":\"a\",\"name\":\"x:1\"}");
    turns(3);
    (void)close(fd);
    turns(3);
    assert_int_equal(served.calls->listing_count, 0);
}

/* Whoever is shown demo answers only must not get at the service by another way. */
static void demo_is_not_passed_by(void **state)
{
    (void)state;
    int fd = connect_client();
    calls_set_policy(served.calls, policy_of("agent 'a' { title = 'A', services = { '*' } }\n"
                                             "demo { when = 'always', agents = 'a' }\n"));
    ask(fd, 1, "resources.read", "{\"service\":\"s\",\"agent\":\"a\",\"name\":\"x:1\"}");
    expect_heard(fd, "[1,1,{\"code\":\"NOT_FOUND\",\"message\":\"agent `a` gets demo");
    assert_int_equal(served.bench.fake_count, 0);
    (void)close(fd);
}

/* ---- tasks ------------------------------------------------------------------------------- */

#define TASK_TOOL                                                            \
    "{'tools':[{'name':'echo','inputSchema':{'type':'object'},'execution':{" \
    "'taskSupport':'optional'}}]}"
#define TASK                                                            \
    "'taskId':'t-1','status':'working','ttl':60000,'pollInterval':100," \
    "'createdAt':'2026-01-01T00:00:00Z','lastUpdatedAt':'2026-01-01T00:00:00Z'"

static void begin_tasks(struct fake *fake)
{
    fake_opened(fake);
    answer_last(fake, "{'protocolVersion':'2025-11-25','capabilities':{'tools':{},'tasks':{"
                      "'cancel':{},'requests':{'tools':{'call':{}}}}},"
                      "'serverInfo':{'name':'fake','version':'1'}}");
}

static struct fake *serve_tasks(int fd, uint32_t msgid)
{
    ask(fd, msgid, "tools.call",
        "{\"tool\":\"s/echo\",\"agent\":\"a\",\"user\":\"u\",\"arguments\":{},\"task\":true}");
    turns(3);
    struct fake *fake = fake_number(0);
    begin_tasks(fake);
    answer_last(fake, TASK_TOOL);
    assert_non_null(strstr(last_sent(fake), "tools/call"));
    return fake;
}

static void a_handle_is_good_for_its_owner(void **state)
{
    char handle[TASK_HANDLE] = "";
    char json[256];
    (void)state;
    int fd = connect_client();
    struct fake *fake = serve_tasks(fd, 1);
    answer_last(fake, "{'task':{" TASK "}}");
    char *text = heard(fd);
    const char *at = strstr(text, "\"task\":{\"id\":\"");
    assert_non_null(at);
    memcpy(handle, at + 14, TASK_HANDLE - 1);
    assert_null(strstr(text, "t-1"));
    mem_free(text);
    static const char *const others[] = {"\"agent\":\"c\",\"user\":\"u\"",
                                         "\"agent\":\"a\",\"user\":\"v\"", "\"agent\":\"a\"",
                                         "\"user\":\"u\""};
    size_t sent = fake->count;
    for (uint32_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        (void)snprintf(json, sizeof json, "{\"name\":\"%s\",%s}", handle, others[i]);
        ask(fd, 10 + i, "tasks.get", json);
        expect_heard(fd, "\"code\":\"NOT_FOUND\"");
    }
    (void)snprintf(json, sizeof json, "{\"name\":\"%s\",\"agent\":\"a\",\"user\":\"u\"}",
                   handle);
    int other = connect_client();
    ask(other, 1, "hello", "{\"uid\":54321}");
    mem_free(heard(other));
    ask(other, 2, "tasks.get", json);
    expect_heard(other, "[1,2,{\"code\":\"NOT_FOUND\"");
    ask(other, 3, "tasks.get", "{\"name\":\"t-1\",\"agent\":\"a\",\"user\":\"u\"}");
    expect_heard(other, "[1,3,{\"code\":\"NOT_FOUND\"");
    assert_int_equal(fake->count, sent);
    ask(fd, 20, "tasks.get", json);
    turns(3);
    assert_non_null(strstr(last_sent(fake), "tasks/get"));
    assert_non_null(strstr(last_sent(fake), "\"t-1\""));
    answer_last(fake, "{" TASK "}");
    text = heard(fd);
    assert_non_null(strstr(text, "\"status\":\"working\""));
    assert_non_null(strstr(text, handle));
    assert_null(strstr(text, "t-1"));
    mem_free(text);
    calls_set_policy(served.calls,
                     policy_of("agent 'a' { title = 'A', services = { 't' } }\n"));
    ask(fd, 21, "tasks.get", json);
    expect_heard(fd, "[1,21,{\"code\":\"POLICY_DENIED\"");
    (void)snprintf(json, sizeof json, "{\"uid\":%u}", (unsigned)getuid());
    ask(other, 4, "hello", json);
    mem_free(heard(other));
    (void)close(fd);
    (void)close(other);
}

/* A new process of the server's may give the same id to another's task. */
static void a_handle_ends_with_the_session(void **state)
{
    char handle[TASK_HANDLE] = "";
    char json[256];
    (void)state;
    int fd = connect_client();
    struct fake *fake = serve_tasks(fd, 1);
    answer_last(fake, "{'task':{" TASK "}}");
    char *text = heard(fd);
    memcpy(handle, strstr(text, "\"task\":{\"id\":\"") + 14, TASK_HANDLE - 1);
    mem_free(text);
    (void)snprintf(json, sizeof json, "{\"name\":\"%s\",\"agent\":\"a\",\"user\":\"u\"}",
                   handle);
    /* The same user, by another process of the server's: that of a client that can be asked. */
    int asked = connect_asked();
    ask(asked, 1, "tasks.get", json);
    turns(3);
    struct fake *other = fake_number(served.bench.fake_count - 1);
    assert_ptr_not_equal(other, fake);
    begin_tasks(other);
    expect_heard(asked, "[1,1,{\"code\":\"NOT_FOUND\"");
    assert_int_equal(count_sent(other, "tasks/get"), 0);
    fake_dies(fake, "killed");
    loop_advance(served.bench.loop, 60000 * MS);
    size_t count = served.bench.fake_count;
    ask(fd, 2, "tasks.get", json);
    turns(3);
    assert_int_equal(served.bench.fake_count, count + 1);
    begin_tasks(fake_number(count));
    expect_heard(fd, "[1,2,{\"code\":\"NOT_FOUND\"");
    assert_int_equal(count_sent(fake_number(count), "tasks/get"), 0);
    (void)close(fd);
    (void)close(asked);
}

/* What policy wants to see of each result cannot be had by asking for a handle instead. */
static void after_call_is_not_passed_by(void **state)
{
    (void)state;
    int fd = connect_client();
    calls_set_policy(
        served.calls,
        policy_of("agent 'a' { title = 'A', services = { '*' } }\n"
                  "function after_call(call, result)\n"
                  "  if result.content[1].text == 'done' then return deny('no') end\n"
                  "end\n"));
    struct fake *fake = serve_tasks(fd, 1);
    assert_null(strstr(last_sent(fake), "\"task\":{"));
    answer_last(fake, RESULT);
    expect_heard(fd, "\"code\":\"POLICY_DENIED\"");
    (void)close(fd);
    turns(3);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, serve_end)
    const struct CMUnitTest tests[] = {
        TEST(a_question_is_answered),
        TEST(a_question_is_declined),
        TEST(a_question_is_taken_back),
        TEST(a_question_ends_with_its_call),
        TEST(a_client_leaves_with_a_question_open),
        TEST(a_call_of_a_full_client_ends),
        TEST(a_question_to_a_full_client_is_taken_back),
        TEST(a_call_with_a_full_client_is_cancelled),
        TEST(a_server_names_no_other_call),
        TEST(lists_are_whole_or_pages),
        TEST(policy_rules_resources_too),
        TEST(requests_end_with_their_service),
        TEST(demo_is_not_passed_by),
        TEST(a_handle_is_good_for_its_owner),
        TEST(a_handle_ends_with_the_session),
        TEST(after_call_is_not_passed_by),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
