/* SPDX-License-Identifier: MIT */
/*
 * test_live.c - services with real processes and real HTTP on a running clock.
 *
 * The stdio server is this program itself, started with a word that says what it is to do.
 */
#include "fake.h"

#include "../http_peer.h"
#include "loop/child.h"
#include "loop/http.h"

#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#define SECOND ((mono_us)1000000)

/* ---- the server -------------------------------------------------------------------------- */

static void serve_line(const char *line)
{
    unsigned long long id = id_of(line);
    if (strstr(line, "\"initialize\"")) {
        printf(
            "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":{\"protocolVersion\":\"2025-11-25\","
            "\"capabilities\":{\"tools\":{}},\"serverInfo\":{\"name\":\"self\"}}}\n",
            id);
    } else if (strstr(line, "\"tools/list\"")) {
        printf(
            "a banner that is no JSON\n{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":{\"tools\":["
            "{\"name\":\"echo\"},{\"name\":\"die\"},{\"name\":\"hang\"},{\"name\":\"env\"},"
            "{\"name\":\"rubbish\"}]}}\n",
            id);
    } else if (strstr(line, "\"name\":\"die\"")) {
        (void)fprintf(stderr, "about to die\n");
        (void)raise(SIGKILL);
    } else if (strstr(line, "\"name\":\"rubbish\"")) {
        printf("{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":{oops\n", id);
    } else if (strstr(line, "\"name\":\"env\"")) {
        printf("{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":{\"env\":\"", id);
        for (char **one = environ; *one; one++) {
            printf("%.*s ", (int)strcspn(*one, "="), *one);
        }
        printf("\",\"given\":\"%s\"}}\n", getenv("GIVEN") ? getenv("GIVEN") : "");
    } else if (strstr(line, "\"name\":\"echo\"")) {
        const char *text = strstr(line, "\"n\":");
        printf("{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":{\"n\":%d}}\n", id,
               text ? (int)strtol(text + 4, NULL, 10) : -1);
    }
    (void)fflush(stdout);
}

static int serve(const char *how)
{
    static char line[1 << 16];
    if (strcmp(how, "exits") == 0) {
        (void)fprintf(stderr, "no such option\n");
        return 3;
    }
    while (fgets(line, sizeof line, stdin)) {
        if (strcmp(how, "silent") != 0) {
            serve_line(line);
        }
    }
    return 0;
}

/* ---- the house --------------------------------------------------------------------------- */

struct live {
    struct bench bench;
    struct children *children;
    struct http *http;
    char self[4096];
    const char *argv[3];
};

static int setup(void **state)
{
    struct live *live = mem_new(sizeof *live);
    int socket = children_fork_helper();
    assert_true(socket >= 0);
    assert_true(readlink("/proc/self/exe", live->self, sizeof live->self - 1) > 0);
    live->bench.loop = loop_new();
    live->children = children_new(live->bench.loop, socket);
    live->http = http_new(live->bench.loop);
    live->bench.services = mcp_services_new(&(struct mcp_services_options){
        .loop = live->bench.loop,
        .children = live->children,
        .http = live->http,
        .message_bytes = (size_t)1 << 24,
        .state_folder = "/",
        .state_changed = note_state,
        .arg = &live->bench,
    });
    *state = live;
    return 0;
}

static void note_end(void *arg)
{
    ((struct bench *)arg)->has_ended = true;
}

/* Turns until `*flag`, at most ten seconds. */
static void turn_until(struct live *live, const unsigned *count, unsigned wanted)
{
    mono_us end = clock_mono() + 10 * SECOND;
    while (*count < wanted && clock_mono() < end) {
        loop_turn(live->bench.loop, SECOND / 20);
    }
    assert_int_equal(*count, wanted);
}

static int teardown(void **state)
{
    struct live *live = *state;
    mcp_services_close(live->bench.services, loop_now(live->bench.loop) + 5 * SECOND, note_end,
                       &live->bench);
    mono_us end = clock_mono() + 10 * SECOND;
    while (!live->bench.has_ended && clock_mono() < end) {
        loop_turn(live->bench.loop, SECOND / 20);
    }
    assert_true(live->bench.has_ended);
    mcp_services_free(live->bench.services);
    http_free(live->http);
    children_free(live->children);
    loop_free(live->bench.loop);
    mem_free(live);
    return 0;
}

static struct service_conf *stdio_conf(struct live *live, const char *how)
{
    struct service_conf *conf = conf_new("s", how);
    live->argv[0] = live->self;
    live->argv[1] = how;
    live->argv[2] = NULL;
    conf->argv = live->argv;
    return conf;
}

static int64_t pid_of(struct live *live)
{
    struct buf out;
    int64_t pid = 0;
    (void)pack_get_int(put_status(service_named(&live->bench, "s"), &out), "pid", &pid);
    buf_done(&out);
    return pid;
}

/* ---- stdio ------------------------------------------------------------------------------- */

static void a_thousand_calls_at_once(void **state)
{
    enum { CALLS = 1000 };
    struct live *live = *state;
    struct told *told = mem_new(CALLS * sizeof *told);
    unsigned done = 0;
    apply_one(&live->bench, stdio_conf(live, "kind"));
    for (int i = 0; i < CALLS; i++) {
        char arguments[32];
        (void)snprintf(arguments, sizeof arguments, "{\"n\":%d}", i);
        call_with(&live->bench, &told[i], .arguments = arguments);
    }
    for (int i = 0; i < CALLS; i++) {
        char want[32];
        (void)snprintf(want, sizeof want, "{\"n\":%d}", i);
        turn_until(live, &told[i].done, 1);
        assert_string_equal(told[i].text, want);
        done += told[i].done;
        told_done(&told[i]);
    }
    assert_int_equal(done, CALLS);
    int64_t pid = pid_of(live);
    assert_true(pid > 0 && kill((pid_t)pid, 0) == 0);
    mem_free(told);
}

static void killed_in_mid_call(void **state)
{
    struct live *live = *state;
    struct told dying = {0};
    struct told hanging = {0};
    struct told next = {0};
    apply_one(&live->bench, stdio_conf(live, "kind"));
    call_with(&live->bench, &hanging, .tool = "hang");
    call_with(&live->bench, &dying, .tool = "die");
    turn_until(live, &dying.done, 1);
    turn_until(live, &hanging.done, 1);
    assert_told(dying, ERR_UNAVAILABLE, "");
    assert_told(hanging, ERR_UNAVAILABLE, "");
    assert_true(dying.sent);
    assert_has(dying.details, "\"stderr_tail\":\"about to die");
    assert_has(dying.details, "\"service\":\"s\",\"tool\":\"die\"");
    call_with(&live->bench, &next, .arguments = "{\"n\":7}");
    turn_until(live, &next.done, 1);
    assert_string_equal(next.text, "{\"n\":7}");
    told_done(&dying);
    told_done(&hanging);
    told_done(&next);
}

static void a_broken_answer_ends_at_once_and_silence_at_the_deadline(void **state)
{
    struct live *live = *state;
    struct told rubbish = {0};
    struct told hanging = {0};
    struct told next = {0};
    apply_one(&live->bench, stdio_conf(live, "kind"));
    call(&live->bench, &next);
    turn_until(live, &next.done, 1);
    told_done(&next);
    mono_us began = clock_mono();
    call_with(&live->bench, &rubbish, .tool = "rubbish", .timeout = 20000 * MS);
    call_with(&live->bench, &hanging, .tool = "hang", .timeout = 300 * MS);
    call_with(&live->bench, &next, .arguments = "{\"n\":1}");
    turn_until(live, &next.done, 1);
    assert_string_equal(next.text, "{\"n\":1}");
    turn_until(live, &rubbish.done, 1);
    turn_until(live, &hanging.done, 1);
    assert_in_range(clock_mono() - began, 290 * MS, 15000 * MS);
    assert_told(rubbish, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "a message that is no JSON");
    assert_told(hanging, ERR_TIMEOUT, "did not answer");
    told_done(&rubbish);
    told_done(&hanging);
    told_done(&next);
}

static void one_that_exits_at_once(void **state)
{
    struct live *live = *state;
    struct told told = {0};
    apply_one(&live->bench, stdio_conf(live, "exits"));
    for (int i = 0; i < 2; i++) {
        call(&live->bench, &told);
        turn_until(live, &told.done, 1);
        assert_told(told, ERR_UNAVAILABLE, "3");
        assert_has(told.details, "\"stderr_tail\":\"no such option");
        told_done(&told);
    }
    call(&live->bench, &told);
    assert_told(told, ERR_UNAVAILABLE, "in a row");
    told_done(&told);
}

static void one_that_never_answers_initialize(void **state)
{
    struct live *live = *state;
    struct told told = {0};
    struct service_conf *conf = stdio_conf(live, "silent");
    conf->connect_timeout_ms = 200;
    apply_one(&live->bench, conf);
    call(&live->bench, &told);
    turn_until(live, &told.done, 1);
    assert_told(told, ERR_UNAVAILABLE, "did not answer `initialize` within 200 ms");
    told_done(&told);
}

static void a_program_that_is_not_there(void **state)
{
    struct live *live = *state;
    struct told told = {0};
    struct service_conf *conf = stdio_conf(live, "kind");
    live->argv[0] = "/nonexistent/program";
    apply_one(&live->bench, conf);
    call(&live->bench, &told);
    turn_until(live, &told.done, 1);
    assert_told(told, ERR_UNAVAILABLE, "/nonexistent/program");
    told_done(&told);
}

static void children_get_only_their_environment(void **state)
{
    static struct template_piece piece = {TEMPLATE_TEXT, {"yes", 3}};
    static struct template_pair given = {{"GIVEN", 5},
                                         {{"yes", 3}, &piece, 1, TEMPLATE_IN_ENV}};
    struct live *live = *state;
    struct told told = {0};
    struct service_conf *conf = stdio_conf(live, "kind");
    conf->env = &given;
    conf->env_count = 1;
    (void)setenv("TOOLBROKER_TEST_SECRET", "s3cret", 1);
    (void)setenv("TZ", "UTC", 1);
    apply_one(&live->bench, conf);
    call_with(&live->bench, &told, .tool = "env");
    turn_until(live, &told.done, 1);
    assert_has(told.text, "\"given\":\"yes\"");
    assert_has(told.text, "PATH ");
    assert_has(told.text, "TZ ");
    assert_null(strstr(told.text, "TOOLBROKER_TEST_SECRET"));
    told_done(&told);
}

static void cancel_and_reload_with_real_processes(void **state)
{
    struct live *live = *state;
    struct told hanging = {0};
    struct told next = {0};
    apply_one(&live->bench, stdio_conf(live, "kind"));
    call(&live->bench, &next);
    turn_until(live, &next.done, 1);
    told_done(&next);
    pid_t old = (pid_t)pid_of(live);
    call_with(&live->bench, &hanging, .tool = "hang");
    apply_one(&live->bench, stdio_conf(live, "kind again"));
    call_with(&live->bench, &next, .arguments = "{\"n\":2}");
    turn_until(live, &next.done, 1);
    assert_string_equal(next.text, "{\"n\":2}");
    assert_true((pid_t)pid_of(live) != old);
    assert_int_equal(kill(old, 0), 0); /* the call under way keeps it */
    mcp_cancel(hanging.request, "test");
    mono_us end = clock_mono() + 10 * SECOND;
    while (kill(old, 0) == 0 && clock_mono() < end) {
        loop_turn(live->bench.loop, SECOND / 20);
    }
    assert_int_equal(kill(old, 0), -1);
    told_done(&next);
}

/* ---- HTTP -------------------------------------------------------------------------------- */

struct site { /* written by the peer's threads */
    _Atomic unsigned initializes, calls, deletes, unauthorized;
    bool has_forgotten; /* the session is gone once */
};

static bool http_answer(struct peer *peer, int fd, const struct peer_request *request)
{
    struct site *site = peer->arg;
    char body[512];
    unsigned long long id = id_of(request->body);
    site->unauthorized += strstr(request->head, "Authorization: Bearer t0ken\r\n") == NULL;
    if (strncmp(request->head, "DELETE", 6) == 0) {
        site->deletes++;
        return peer_reply(fd, "200 OK", "", "");
    }
    if (strncmp(request->head, "GET", 3) == 0) {
        return peer_reply(fd, "405 Method Not Allowed", "", "");
    }
    if (strstr(request->body, "\"initialize\"")) {
        char session[64];
        (void)snprintf(session, sizeof session,
                       "Content-Type: application/json\r\nMcp-Session-Id: n%u\r\n",
                       ++site->initializes);
        (void)snprintf(body, sizeof body,
                       "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":{\"protocolVersion\":"
                       "\"2025-06-18\",\"capabilities\":{\"tools\":{\"listChanged\":true}}}}",
                       id);
        return peer_reply(fd, "200 OK", session, body);
    }
    if (strstr(request->body, "notifications/")) {
        return peer_reply(fd, "202 Accepted", "", "");
    }
    if (strstr(request->body, "tools/list")) {
        (void)snprintf(body, sizeof body,
                       "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":{\"tools\":[{\"name\":"
                       "\"echo\"}]}}",
                       id);
        return peer_reply(fd, "200 OK", "Content-Type: application/json\r\n", body);
    }
    unsigned number = ++site->calls;
    if (number == 2 && !site->has_forgotten) {
        site->has_forgotten = true;
        return peer_reply(fd, "404 Not Found", "", "");
    }
    (void)snprintf(
        body, sizeof body,
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{"
        "\"progressToken\":%llu,\"progress\":1}}\n\n"
        "data: {\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":{\"n\":%u}}\n\n",
        id, id, number);
    return peer_reply(fd, "200 OK", "Content-Type: text/event-stream\r\n", body);
}

static void sessions_over_http(void **state)
{
    static struct template_piece token = {TEMPLATE_TEXT, {"t0ken", 5}};
    struct live *live = *state;
    struct peer *peer = mem_new(sizeof *peer);
    struct site site = {0};
    struct told told = {0};
    char url[64];
    peer_start(peer, http_answer);
    peer->arg = &site;
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/mcp", peer->port);
    struct template_piece piece = {TEMPLATE_TEXT, slice_of(url)};
    struct service_conf *conf = conf_new("s", "http");
    conf->transport = SERVICE_HTTP;
    conf->url = (struct template){slice_of(url), &piece, 1, TEMPLATE_IN_URL};
    conf->auth = SERVICE_AUTH_BEARER;
    conf->auth_token = (struct template){{"t0ken", 5}, &token, 1, TEMPLATE_IN_HEADER};
    conf->has_token = true;
    apply_one(&live->bench, conf);
    for (unsigned i = 1; i <= 3; i++) {
        char want[32];
        call(&live->bench, &told);
        turn_until(live, &told.done, 1);
        (void)snprintf(want, sizeof want, "{\"n\":%u}", i > 1 ? i + 1 : i);
        assert_string_equal(told.text, want);
        assert_string_equal(told.progress, "{\"progress\":1}");
        told_done(&told);
    }
    assert_int_equal(site.initializes, 2); /* the second call's session was gone */
    apply(&live->bench, NULL, 0);
    mono_us end = clock_mono() + 10 * SECOND;
    while (!site.deletes && clock_mono() < end) {
        loop_turn(live->bench.loop, SECOND / 20);
    }
    assert_int_equal(site.deletes, 1);
    peer_stop(peer);
    assert_int_equal(site.unauthorized, 0);
    mem_free(peer);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_thousand_calls_at_once),
        TEST(killed_in_mid_call),
        TEST(a_broken_answer_ends_at_once_and_silence_at_the_deadline),
        TEST(one_that_exits_at_once),
        TEST(one_that_never_answers_initialize),
        TEST(a_program_that_is_not_there),
        TEST(children_get_only_their_environment),
        TEST(cancel_and_reload_with_real_processes),
        TEST(sessions_over_http),
    };
    if (argc > 1) {
        return serve(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
