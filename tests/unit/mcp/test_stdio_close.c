/* SPDX-License-Identifier: MIT */
/* test_stdio_close.c - stdio transports that are closed and freed, at any time. */
#include "stdio_fixture.h"

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
    term_after = kill_after = 19 * SECOND; /* what is not needed is far away */
    assert_true(time_to_close("echo '{}'; exec cat") < 15 * SECOND);
    term_after = SECOND;
    mono_us with_term = time_to_close("echo '{}'; exec sleep 1000");
    assert_true(with_term >= SECOND && with_term < 15 * SECOND);
    kill_after = SECOND;
    mono_us with_kill = time_to_close("trap '' TERM; echo '{}'; while :; do sleep 0.05; done");
    assert_true(with_kill >= 2 * SECOND);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_sent_before_close_still_goes),
        TEST(closing_asks_then_tells_then_kills),
        TEST(closing_and_freeing_from_inside_events),
        TEST(freeing_at_any_time_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
