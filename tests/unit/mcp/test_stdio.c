/* SPDX-License-Identifier: MIT */
/* test_stdio.c - the stdio transport with real processes, kind and unkind ones. */
#include "base/log.h"
#include "base/mem.h"
#include "mcp/stdio.h"
#include "mcp/stdio_end.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND ((mono_us)1000000)

static struct loop *loop;
static struct children *children;

struct peer {
    struct mcp_transport *transport;
    unsigned opened, messages, closed;
    size_t bytes; /* of all messages */
    bool is_calling, has_failure;
    bool frees_when_opened, frees_at_message, frees_when_closed, closes_at_message, echoes;
    char last[256];
    size_t last_len;
    enum err_code code;
    bool is_retryable;
    char words[512], suggestion[256];
    struct buf details;
};

static void free_in_event(struct peer *peer)
{
    peer->transport->ops->free(peer->transport);
    peer->transport = NULL;
}

static void peer_opened(void *arg)
{
    struct peer *peer = arg;
    assert_false(peer->is_calling);
    assert_int_equal(peer->closed, 0);
    peer->opened++;
    if (peer->frees_when_opened) {
        free_in_event(peer);
    }
}

static void peer_message(void *arg, struct slice json, mcp_token token)
{
    struct peer *peer = arg;
    assert_false(peer->is_calling);
    assert_non_null(peer->transport);
    assert_int_equal(peer->opened, 1);
    assert_int_equal(peer->closed, 0);
    assert_int_equal(token, 0);
    peer->messages++;
    peer->bytes += json.len;
    peer->last_len = json.len < sizeof peer->last ? json.len : sizeof peer->last - 1;
    memcpy(peer->last, json.ptr, peer->last_len);
    peer->last[peer->last_len] = '\0';
    if (peer->closes_at_message) {
        peer->transport->ops->close(peer->transport);
    }
    if (peer->frees_at_message) {
        free_in_event(peer);
    }
}

static void copy_words(char *to, size_t size, const struct buf *from)
{
    size_t len = from->len < size - 1 ? from->len : size - 1;
    if (len) {
        memcpy(to, from->data, len);
    }
    to[len] = '\0';
}

static void peer_closed(void *arg, const struct failure *failure)
{
    struct peer *peer = arg;
    assert_false(peer->is_calling);
    assert_non_null(peer->transport);
    peer->closed++;
    peer->has_failure = failure != NULL;
    if (failure) {
        peer->code = failure->code;
        peer->is_retryable = failure->is_retryable;
        copy_words(peer->words, sizeof peer->words, &failure->message);
        copy_words(peer->suggestion, sizeof peer->suggestion, &failure->suggestion);
        buf_put_slice(&peer->details, buf_slice(&failure->details));
    }
    if (peer->frees_when_closed) {
        free_in_event(peer);
    }
}

static const struct mcp_transport_events peer_events = {
    .opened = peer_opened, .message = peer_message, .closed = peer_closed};

static const char *const plain_env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", NULL};

static void make(struct peer *peer, const char *const *argv, size_t message_bytes)
{
    struct mcp_stdio_options options = {.loop = loop,
                                        .children = children,
                                        .service = "test",
                                        .argv = argv,
                                        .env = plain_env,
                                        .message_bytes = message_bytes,
                                        .term_after = SECOND,
                                        .kill_after = SECOND};
    *peer = (struct peer){.opened = 0};
    buf_init(&peer->details, 65536);
    peer->transport = mcp_stdio_new(&options, &peer_events, peer);
}

static void open_now(struct peer *peer)
{
    peer->is_calling = true;
    peer->transport->ops->open(peer->transport);
    peer->is_calling = false;
}

static void close_now(struct peer *peer)
{
    peer->is_calling = true;
    peer->transport->ops->close(peer->transport);
    peer->is_calling = false;
}

static void start(struct peer *peer, const char *script, size_t message_bytes)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    make(peer, argv, message_bytes);
    open_now(peer);
}

static int send_json(struct peer *peer, struct slice json, struct failure *failure)
{
    peer->is_calling = true;
    int result = peer->transport->ops->send(peer->transport, MCP_REQUEST, json, 1,
                                            loop_now(loop) + SECOND, failure);
    peer->is_calling = false;
    return result;
}

static void send_text(struct peer *peer, const char *json)
{
    struct failure failure = {.retry_after_ms = -1};
    assert_int_equal(send_json(peer, slice_of(json), &failure), 0);
    failure_done(&failure);
}

static void wait_for(const unsigned *what, unsigned count)
{
    mono_us limit = clock_mono() + 20 * SECOND;
    while (*what < count) {
        assert_true(clock_mono() < limit);
        loop_turn(loop, SECOND / 100);
    }
}

static void turns(mono_us time)
{
    for (mono_us limit = clock_mono() + time; clock_mono() < limit;) {
        loop_turn(loop, SECOND / 100);
    }
}

static bool is_gone(pid_t pid)
{
    return pid <= 0 || (kill(pid, 0) != 0 && errno == ESRCH);
}

static void wait_gone(pid_t pid)
{
    for (mono_us limit = clock_mono() + 5 * SECOND; !is_gone(pid); (void)usleep(2000)) {
        assert_true(clock_mono() < limit);
    }
}

static void end(struct peer *peer)
{
    pid_t pid = 0;
    if (peer->transport) {
        pid = (pid_t)peer->transport->ops->pid(peer->transport);
        peer->transport->ops->free(peer->transport);
    }
    wait_gone(pid);
    buf_done(&peer->details);
}

static bool has_detail(const struct peer *peer, const char *key, const char *value)
{
    char text[1024];
    size_t len = strlen(key) + 1;
    assert_true(len + strlen(value) < sizeof text);
    const char *at = memmem(peer->details.data, peer->details.len, key, len - 1);
    return at && memmem(at, peer->details.len - (size_t)(at - peer->details.data), value,
                        strlen(value));
}

static int set_up(void **state)
{
    (void)state;
    int socket = children_fork_helper();
    assert_true(socket >= 0);
    loop = loop_new();
    children = children_new(loop, socket);
    return 0;
}

static int take_down(void **state)
{
    (void)state;
    children_free(children);
    loop_free(loop);
    while (waitpid(-1, NULL, 0) > 0) {
    }
    return 0;
}

/* ---- messages ----------------------------------------------------------------------------- */

static void messages_go_and_come(void **state)
{
    struct peer peer;
    (void)state;
    start(&peer, "cat", 0);
    assert_int_equal(peer.opened, 0);
    wait_for(&peer.opened, 1);
    assert_true(peer.transport->ops->pid(peer.transport) > 0);
    for (unsigned i = 1; i <= 100; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "{\"id\":%u}", i);
        send_text(&peer, text);
        wait_for(&peer.messages, i);
        assert_string_equal(peer.last, text);
    }
    send_text(&peer, "[]");
    wait_for(&peer.messages, 101);
    assert_string_equal(peer.last, "[]");
    close_now(&peer);
    wait_for(&peer.closed, 1);
    assert_false(peer.has_failure);
    end(&peer);
}

static void what_is_sent_in_one_turn_is_one_write(void **state)
{
    struct peer peer;
    (void)state;
    start(
        &peer,
        "exec perl -e '$| = 1; for (;;) { my $n = sysread(STDIN, my $b, 1 << 20);"
        "exit unless $n; my $lines = ($b =~ tr/\\n//); print \"{\\\"lines\\\":$lines}\\n\"; }'",
        0);
    send_text(&peer, "{\"sent\":\"before it ran\"}");
    wait_for(&peer.messages, 1);
    assert_string_equal(peer.last, "{\"lines\":1}");
    for (int i = 0; i < 200; i++) {
        send_text(&peer, "{\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"id\":1}");
    }
    wait_for(&peer.messages, 2);
    assert_string_equal(peer.last, "{\"lines\":200}");
    end(&peer);
}

static void lines_that_are_no_json_are_skipped(void **state)
{
    struct peer peer;
    (void)state;
    log_set(LOG_ERROR, LOG_FORMAT_TEXT);
    start(&peer,
          "printf 'Welcome to the server!\\n\\n\\r\\n   \\n{\"a\":1}\\r\\nDEBUG 1\\nnull\\n'"
          "' \\t{\"b\":2}\\n\\000\\377\\n{\"c\":3}\\n\"text\"\\n17\\n'; cat",
          0);
    wait_for(&peer.messages, 3);
    assert_string_equal(peer.last, "{\"c\":3}");
    assert_int_equal(peer.bytes, 21);
    turns(SECOND / 20);
    assert_int_equal(mcp_stdio_skipped(peer.transport), 6);
    send_text(&peer, "{\"d\":4}");
    wait_for(&peer.messages, 4);
    assert_string_equal(peer.last, "{\"d\":4}");
    assert_int_equal(peer.closed, 0);
    log_set(LOG_INFO, LOG_FORMAT_TEXT);
    end(&peer);
}

static void one_byte_at_a_time_is_a_message_too(void **state)
{
    struct peer peer;
    (void)state;
    start(
        &peer,
        "exec perl -e '$| = 1; for my $c (split //, \"{\\\"slow\\\":true}\\n{\\\"x\\\":1}\\n\")"
        "{ print $c; select undef, undef, undef, 0.002 } sleep 100'",
        0);
    wait_for(&peer.messages, 2);
    assert_string_equal(peer.last, "{\"x\":1}");
    assert_int_equal(peer.bytes, 13 + 7);
    end(&peer);
}

static void large_messages_pass_whole_both_ways(void **state)
{
    const size_t len = 5 * (size_t)1000 * 1000;
    char *big = mem_try(len);
    struct peer peer;
    struct failure failure = {.retry_after_ms = -1};
    (void)state;
    assert_non_null(big);
    memset(big, 'x', len);
    big[0] = '{';
    big[len - 1] = '}';
    start(&peer, "exec cat", 8 * (size_t)1024 * 1024);
    wait_for(&peer.opened, 1);
    assert_int_equal(send_json(&peer, (struct slice){big, len}, &failure), 0);
    send_text(&peer, "{\"behind\":1}");
    wait_for(&peer.messages, 2);
    assert_int_equal(peer.bytes, len + 12);
    assert_string_equal(peer.last, "{\"behind\":1}");
    mem_free(big);
    end(&peer);
}

static void a_flood_of_one_does_not_starve_another(void **state)
{
    struct peer flood;
    struct peer echo;
    (void)state;
    start(&flood, "exec yes '{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}'", 0);
    start(&echo, "exec cat", 0);
    wait_for(&echo.opened, 1);
    wait_for(&flood.messages, 10000);
    mono_us before = clock_mono();
    for (unsigned i = 1; i <= 50; i++) {
        send_text(&echo, "{}");
        wait_for(&echo.messages, i);
    }
    assert_true(clock_mono() - before < 5 * SECOND);
    end(&flood);
    end(&echo);
}

/* ---- servers that misbehave --------------------------------------------------------------- */

static void a_line_without_end_ends_the_process(void **state)
{
    struct rusage before;
    struct rusage after;
    struct peer peer;
    (void)state;
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    start(&peer,
          "trap '' TERM; echo '{\"first\":1}'; echo trouble >&2; printf '{\"x\":\"'; "
          "head -c 100000000 /dev/zero | tr '\\0' a; echo '\"}'; echo '{\"after\":1}'; cat",
          1048576);
    wait_for(&peer.messages, 1);
    pid_t pid = (pid_t)peer.transport->ops->pid(peer.transport);
    wait_for(&peer.closed, 1);
    assert_true(is_gone(pid));
    assert_int_equal(peer.messages, 1);
    assert_true(peer.has_failure);
    assert_int_equal(peer.code, ERR_EXTERNAL_TOOL_EXECUTION_FAILED);
    assert_string_equal(peer.words,
                        "the server wrote a line longer than 1048576 bytes, and was ended");
    assert_true(has_detail(&peer, "stderr_tail", "trouble"));
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_true(after.ru_maxrss - before.ru_maxrss < 32768);
    end(&peer);

    start(&peer, "head -c 200000 /dev/zero | tr '\\0' a; echo; echo '{}'; cat", 1000);
    wait_for(&peer.closed, 1); /* also when the whole of it came in one read */
    assert_int_equal(peer.messages, 0);
    assert_int_equal(peer.code, ERR_EXTERNAL_TOOL_EXECUTION_FAILED);
    end(&peer);
}

/* The request may have been carried out: no code that invites to send it again as it is. */
static void an_answer_without_memory_is_a_lost_one(void **state)
{
    struct failure failure = {.retry_after_ms = -1};
    struct tail tail;
    (void)state;
    tail_init(&tail);
    stdio_end_describe(&(struct stdio_end){.breach = STDIO_NO_MEMORY, .tail = &tail}, &failure);
    assert_int_equal(failure.code, ERR_UNAVAILABLE);
    assert_non_null(memmem(failure.message.data, failure.message.len, "no memory", 9));
    failure_done(&failure);
}

static void one_that_never_reads_is_not_sent_more_than_fits(void **state)
{
    struct failure failure = {.retry_after_ms = -1};
    const size_t len = 100000;
    char *json = mem_new(len);
    struct peer peer;
    unsigned sent = 0;
    int result;
    (void)state;
    memset(json, 'x', len);
    start(&peer, "exec sleep 1000", 0);
    wait_for(&peer.opened, 1);
    while ((result = send_json(&peer, (struct slice){json, len}, &failure)) == 0) {
        assert_true(++sent < 1000);
        loop_turn(loop, 0);
    }
    assert_int_equal(result, -ERR_OVERLOADED);
    assert_true(sent * len > 4000000);
    assert_int_equal(failure.code, ERR_OVERLOADED);
    assert_true(failure.is_retryable);
    assert_non_null(memmem(failure.message.data, failure.message.len, "does not read", 13));
    char *huge = mem_try(70 * (size_t)1024 * 1024);
    assert_non_null(huge);
    memset(huge, 'x', 70 * (size_t)1024 * 1024);
    assert_int_equal(send_json(&peer, (struct slice){huge, 70 * (size_t)1024 * 1024}, &failure),
                     -ERR_OVERLOADED);
    assert_false(failure.is_retryable);
    close_now(&peer); /* what waits is given up */
    wait_for(&peer.closed, 1);
    assert_false(peer.has_failure);
    mem_free(huge);
    mem_free(json);
    failure_done(&failure);
    end(&peer);
}

static void how_a_process_ended_is_said(void **state)
{
    struct peer peer;
    struct failure failure = {.retry_after_ms = -1};
    (void)state;
    start(&peer,
          "echo '{\"a\":1}'; printf 'Error: \\033[31mno\\033[0m \\303\\261 "
          "key\\007\\377\\r\\n' >&2;"
          "echo '  at main' >&2; exit 3",
          0);
    wait_for(&peer.closed, 1);
    assert_int_equal(peer.messages, 1);
    assert_string_equal(peer.words, "the process ended with status 3");
    assert_int_equal(peer.code, ERR_UNAVAILABLE);
    assert_true(peer.is_retryable);
    assert_true(has_detail(&peer, "exit_status", "\x03"));
    assert_true(
        has_detail(&peer, "stderr_tail", "Error: no \xc3\xb1 key\xef\xbf\xbd\n  at main"));
    assert_non_null(strstr(peer.suggestion, "stderr_tail"));
    assert_int_equal(send_json(&peer, SLICE("{}"), &failure), -ERR_UNAVAILABLE);
    end(&peer);

    start(&peer, "echo '{\"a\":1}'; read line; kill -9 $$", 0);
    wait_for(&peer.messages, 1);
    send_text(&peer, "{}");
    wait_for(&peer.closed, 1);
    assert_string_equal(peer.words, "the process was killed by signal 9 (Killed)");
    assert_true(has_detail(&peer, "signal", "\x09"));
    assert_false(has_detail(&peer, "stderr_tail", ""));
    failure_done(&failure);
    end(&peer);
}

static void all_it_wrote_comes_before_its_end(void **state)
{
    struct peer peer;
    (void)state;
    start(&peer,
          "perl -e 'for my $i (1 .. 1500) { print \"{\\\"number\\\":\\\"of this one is "
          "$i\\\"}\\n\" }"
          "print STDERR \"x\" x 100, \"\\n\" for 1 .. 100'; printf '{\"cut of'; exit 0",
          0);
    (void)usleep(300000); /* start and end are both reported before anything is read */
    wait_for(&peer.closed, 1);
    assert_int_equal(peer.messages, 1500);
    assert_string_equal(peer.last, "{\"number\":\"of this one is 1500\"}");
    assert_string_equal(peer.words, "the process ended with status 0");
    end(&peer);
}

static void closed_pipes_of_a_living_process(void **state)
{
    struct failure failure = {.retry_after_ms = -1};
    struct peer peer;
    (void)state;
    start(&peer, "echo '{\"a\":1}'; exec 1>&-; sleep 1000", 0);
    wait_for(&peer.messages, 1);
    mono_us before = clock_mono();
    wait_for(&peer.closed, 1);
    assert_true(clock_mono() - before < 3 * SECOND);
    assert_int_equal(peer.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(peer.words, "standard output"));
    end(&peer);

    start(&peer, "exec 0<&-; echo '{\"a\":1}'; sleep 1000", 0);
    wait_for(&peer.messages, 1);
    send_text(&peer, "{}");
    wait_for(&peer.closed, 1);
    assert_non_null(strstr(peer.words, "standard input"));
    assert_int_equal(send_json(&peer, SLICE("{}"), &failure), -ERR_UNAVAILABLE);
    end(&peer);

    /* a pipe that breaks because it ends is an end, with its status */
    start(&peer, "exec 1>&-; sleep 0.1; exit 4", 0);
    wait_for(&peer.closed, 1);
    assert_string_equal(peer.words, "the process ended with status 4");
    end(&peer);
    start(&peer, "exec 0<&-; echo '{\"a\":1}'; sleep 0.1; echo '{\"last\":1}'; exit 5", 0);
    wait_for(&peer.messages, 1);
    send_text(&peer, "{}");
    wait_for(&peer.closed, 1);
    assert_string_equal(peer.last, "{\"last\":1}");
    assert_string_equal(peer.words, "the process ended with status 5");
    failure_done(&failure);
    end(&peer);
}

static void stderr_never_blocks_the_server(void **state)
{
    struct peer peer;
    (void)state;
    start(&peer,
          "head -c 10000000 /dev/zero | tr '\\0' e >&2; echo 'the last line' >&2; "
          "echo '{\"done\":1}'; read line; exit 1",
          0);
    wait_for(&peer.messages, 1);
    send_text(&peer, "{}");
    wait_for(&peer.closed, 1);
    assert_true(has_detail(&peer, "stderr_tail", "the last line"));
    assert_true(peer.details.len < 5000);
    end(&peer);
}

static void what_cannot_be_started_is_said(void **state)
{
    const char *missing[] = {"no-such-server-anywhere", NULL};
    const char *nothing[] = {NULL};
    struct peer peer;
    (void)state;
    make(&peer, missing, 0);
    open_now(&peer);
    wait_for(&peer.closed, 1);
    assert_int_equal(peer.opened, 0);
    assert_string_equal(peer.words,
                        "cannot start `no-such-server-anywhere`: No such file or directory");
    assert_int_equal(peer.code, ERR_UNAVAILABLE);
    assert_false(peer.is_retryable);
    assert_non_null(strstr(peer.suggestion, "Install"));
    close_now(&peer);
    turns(SECOND / 50);
    assert_int_equal(peer.closed, 1);
    end(&peer);

    make(&peer, nothing, 0); /* refused at once, and still told later */
    open_now(&peer);
    assert_int_equal(peer.closed, 0);
    wait_for(&peer.closed, 1);
    assert_string_equal(peer.words, "no command to start");
    close_now(&peer);
    turns(SECOND / 50);
    assert_int_equal(peer.closed, 1);
    end(&peer);

    make(&peer, nothing, 0);
    open_now(&peer);
    close_now(&peer);
    wait_for(&peer.closed, 1);
    assert_false(peer.has_failure);
    end(&peer);
}

static void when_the_helper_dies_the_wire_is_closed(void **state)
{
    struct peer peer;
    char command[64];
    (void)state;
    start(&peer, "cat", 0);
    wait_for(&peer.opened, 1);
    (void)snprintf(command, sizeof command, "ps -o ppid= -p %d",
                   (int)peer.transport->ops->pid(peer.transport));
    FILE *ps = popen(command, "re");
    char line[32];
    assert_non_null(ps);
    assert_non_null(fgets(line, sizeof line, ps));
    (void)pclose(ps);
    assert_int_equal(kill((pid_t)strtol(line, NULL, 10), SIGKILL), 0);
    wait_for(&peer.closed, 1);
    assert_int_equal(peer.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(peer.words, "helper"));
    end(&peer);
}

/* ---- closing and freeing ------------------------------------------------------------------ */

static void what_was_sent_before_close_still_goes(void **state)
{
    struct peer peer;
    (void)state;
    start(&peer, "exec cat", 0);
    wait_for(&peer.opened, 1);
    send_text(&peer, "{\"last\":\"words\"}");
    close_now(&peer);
    close_now(&peer);
    struct failure failure = {.retry_after_ms = -1};
    assert_int_equal(send_json(&peer, SLICE("{}"), &failure), -ERR_UNAVAILABLE);
    wait_for(&peer.closed, 1);
    assert_int_equal(peer.messages, 1);
    assert_string_equal(peer.last, "{\"last\":\"words\"}");
    assert_false(peer.has_failure);
    turns(SECOND / 20);
    assert_int_equal(peer.closed, 1);
    failure_done(&failure);
    end(&peer);

    start(&peer, "exec cat", 0); /* also if it was not running yet */
    send_text(&peer, "{\"early\":1}");
    close_now(&peer);
    wait_for(&peer.closed, 1);
    assert_int_equal(peer.opened, 0);
    end(&peer);
}

static mono_us time_to_close(const char *script)
{
    struct peer peer;
    start(&peer, script, 0);
    wait_for(&peer.messages, 1);
    pid_t pid = (pid_t)peer.transport->ops->pid(peer.transport);
    mono_us before = clock_mono();
    close_now(&peer);
    wait_for(&peer.closed, 1);
    assert_true(is_gone(pid));
    assert_false(peer.has_failure);
    mono_us took = clock_mono() - before;
    end(&peer);
    return took;
}

static void closing_asks_then_tells_then_kills(void **state)
{
    (void)state;
    log_set(LOG_ERROR, LOG_FORMAT_TEXT);
    assert_true(time_to_close("echo '{}'; exec cat") < SECOND);
    mono_us with_term = time_to_close("echo '{}'; exec sleep 1000");
    assert_true(with_term >= SECOND && with_term < 2 * SECOND);
    mono_us with_kill = time_to_close("trap '' TERM; echo '{}'; while :; do sleep 0.05; done");
    assert_true(with_kill >= 2 * SECOND && with_kill < 5 * SECOND);
    log_set(LOG_INFO, LOG_FORMAT_TEXT);
}

static void closing_and_freeing_from_inside_events(void **state)
{
    const char *missing[] = {"no-such-server-anywhere", NULL};
    struct peer peer;
    (void)state;
    start(&peer, "printf '{}\\n{}\\n{}\\n'; sleep 1000", 0);
    pid_t pid = 0;
    peer.frees_when_opened = true;
    wait_for(&peer.opened, 1);
    turns(SECOND / 50);
    assert_int_equal(peer.messages + peer.closed, 0);
    end(&peer);

    start(&peer, "printf '{}\\n{}\\n{}\\n'; sleep 1000", 0);
    wait_for(&peer.opened, 1);
    pid = (pid_t)peer.transport->ops->pid(peer.transport);
    peer.frees_at_message = true;
    if (peer.messages == 0) {
        wait_for(&peer.messages, 1);
        assert_int_equal(peer.messages, 1);
        turns(SECOND / 50);
        assert_int_equal(peer.messages + peer.closed, 1);
        wait_gone(pid);
    }
    end(&peer);

    start(&peer, "read line; printf '{}\\n{}\\n{}\\n'; exit 0", 0);
    peer.frees_at_message = true; /* while what it left in the pipe is read */
    send_text(&peer, "{}");
    (void)usleep(100000);
    wait_for(&peer.messages, 1);
    turns(SECOND / 50);
    assert_int_equal(peer.messages, 1);
    end(&peer);

    start(&peer, "exit 1", 0);
    peer.frees_when_closed = true;
    wait_for(&peer.closed, 1);
    end(&peer);

    make(&peer, missing, 0);
    peer.frees_when_closed = true;
    open_now(&peer);
    wait_for(&peer.closed, 1);
    end(&peer);

    start(&peer, "printf '{}\\n{}\\n{}\\n'; exec cat", 0);
    peer.closes_at_message = true;
    wait_for(&peer.closed, 1);
    assert_false(peer.has_failure);
    assert_int_equal(peer.messages, 3);
    end(&peer);
}

static void freeing_at_any_time_leaves_nothing(void **state)
{
    const char *cat[] = {"cat", NULL};
    struct peer peer;
    (void)state;
    make(&peer, cat, 0);
    end(&peer);
    make(&peer, cat, 0);
    close_now(&peer);
    wait_for(&peer.closed, 1);
    assert_false(peer.has_failure);
    end(&peer);
    make(&peer, cat, 0);
    open_now(&peer);
    end(&peer);
    make(&peer, cat, 0);
    open_now(&peer);
    send_text(&peer, "{}");
    end(&peer);
    turns(SECOND / 20);
    assert_int_equal(peer.opened + peer.messages + peer.closed, 0);
    start(&peer, "cat", 0);
    wait_for(&peer.opened, 1);
    send_text(&peer, "{}"); /* its turn end is still to come */
    end(&peer);
    turns(SECOND / 20);
    struct failure failure = {.retry_after_ms = -1};
    start(&peer, "cat", 0);
    assert_int_equal(send_json(&peer, SLICE("{\n}"), &failure), -ERR_INTERNAL);
    failure_done(&failure);
    end(&peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, take_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_go_and_come),
        TEST(what_is_sent_in_one_turn_is_one_write),
        TEST(lines_that_are_no_json_are_skipped),
        TEST(one_byte_at_a_time_is_a_message_too),
        TEST(large_messages_pass_whole_both_ways),
        TEST(a_flood_of_one_does_not_starve_another),
        TEST(a_line_without_end_ends_the_process),
        TEST(an_answer_without_memory_is_a_lost_one),
        TEST(one_that_never_reads_is_not_sent_more_than_fits),
        TEST(how_a_process_ended_is_said),
        TEST(all_it_wrote_comes_before_its_end),
        TEST(closed_pipes_of_a_living_process),
        TEST(stderr_never_blocks_the_server),
        TEST(what_cannot_be_started_is_said),
        TEST(when_the_helper_dies_the_wire_is_closed),
        TEST(what_was_sent_before_close_still_goes),
        TEST(closing_asks_then_tells_then_kills),
        TEST(closing_and_freeing_from_inside_events),
        TEST(freeing_at_any_time_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
