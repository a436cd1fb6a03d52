/* SPDX-License-Identifier: MIT */
/* test_stdio.c - the stdio transport with real processes, kind and unkind ones. */
#include "stdio_fixture.h"

#include "mcp/stdio_end.h"

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
    struct failure failure = {0}; /* what is said when it answers nothing */
    failure_set(&failure, ERR_UNAVAILABLE, "no answer");
    peer.transport->ops->explain(peer.transport, &failure);
    assert_string_equal(buf_text(&failure.message),
                        "no answer; it wrote what is no JSON-RPC: \"Welcome to the server!\"");
    assert_non_null(strstr(buf_text(&failure.suggestion), "`command` and `args`"));
    failure_done(&failure);
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
    assert_true(clock_mono() - before < 15 * SECOND);
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
    assert_true(clock_mono() - before < 15 * SECOND);
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
    start(&peer,
          "trap 'echo \"{\\\"last\\\":1}\"; exit 5' USR1; exec 0<&-; echo '{\"a\":1}';"
          "while :; do sleep 0.02; done",
          0);
    wait_for(&peer.messages, 1);
    send_text(&peer, "{}");
    assert_int_equal(kill((pid_t)peer.transport->ops->pid(peer.transport), SIGUSR1), 0);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
