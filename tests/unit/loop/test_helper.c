/* SPDX-License-Identifier: MIT */
/* test_helper.c - the helper process itself: a full socket, its death, and the daemon's death. */
#include "processes.h"

#include <pthread.h>

/* ---- the helper --------------------------------------------------------------------------- */

static void a_full_socket_never_blocks_and_the_queue_is_bounded(void **state)
{
    enum { COUNT = 400 };
    pid_t helper = child_of(getpid());
    struct run *runs = mem_new(COUNT * sizeof *runs);
    char *big = mem_new(30001);
    const char *argv[] = {"sh", "-c", "exit 7", big, NULL};
    int made = 0;
    int result = 0;
    (void)state;
    memset(big, 'x', 30000);
    assert_true(helper > 0);
    assert_int_equal(kill(helper, SIGSTOP), 0);
    mono_us before = clock_mono();
    while (made < COUNT && (result = spawn(&runs[made], argv, plain_env, NULL)) == 0) {
        made++;
    }
    assert_true(clock_mono() - before < 5 * SECOND);
    assert_int_equal(result, -ERR_OVERLOADED);
    assert_true(made > 100);
    loop_turn(loop, 10000);
    child_free(runs[0].child); /* freed while its order waits, in the socket or the queue */
    child_free(runs[made - 1].child);
    runs[0].child = runs[made - 1].child = NULL;
    assert_int_equal(kill(helper, SIGCONT), 0);
    for (int i = 1; i < made - 1; i++) {
        wait_for(&runs[i], &runs[i].ended);
        assert_false(runs[i].has_err);
        assert_int_equal(WEXITSTATUS(runs[i].status), 7);
        child_free(runs[i].child);
    }
    assert_int_equal(runs[0].ended + runs[made - 1].ended, 0);
    mem_free(big);
    mem_free(runs);
}

static bool must_stop;

/* Has the allocator's locks most of the time: a helper that is forked now must not need them. */
static void *allocate(void *arg)
{
    size_t size = 0;
    while (!__atomic_load_n(&must_stop, __ATOMIC_RELAXED)) {
        mem_free(mem_new(100 + size++ % 5000));
    }
    return arg;
}

static void a_new_helper_is_forked_from_many_threads(void **state)
{
    enum { THREADS = 3, TIMES = 20 };
    pthread_t threads[THREADS];
    struct run run;
    (void)state;
    must_stop = false;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, allocate, NULL), 0);
    }
    for (int i = 0; i < TIMES; i++) {
        pid_t helper = child_of(getpid());
        spawn_shell(&run, "cat");
        wait_for(&run, &run.started);
        assert_int_equal(kill(helper, SIGKILL), 0);
        wait_for(&run, &run.ended);
        assert_true(run.has_err);
        child_free(run.child);
        run_out(&run, "echo served");
        assert_string_equal(run.out, "served\n");
        child_free(run.child);
    }
    __atomic_store_n(&must_stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

static void when_the_helper_dies_all_end_and_a_new_one_serves(void **state)
{
    struct run one;
    struct run two;
    pid_t helper = child_of(getpid());
    (void)state;
    spawn_shell(&one, "trap '' TERM; sleep 1000 & echo \"A=$!;B=$$;\"; wait; sleep 1000");
    spawn_shell(&two, "cat");
    pid_t grandchild = printed(&one, "A");
    pid_t shell = printed(&one, "B");
    wait_for(&two, &two.started);
    assert_int_equal(kill(helper, SIGKILL), 0);
    wait_for(&one, &one.ended);
    wait_for(&two, &two.ended);
    assert_true(one.has_err && two.has_err);
    assert_int_equal(one.err.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(one.err.text, "helper"));
    assert_true(goes_away(shell, 5 * SECOND));
    assert_true(goes_away(grandchild, 5 * SECOND));
    assert_true(goes_away(child_pid(two.child), 5 * SECOND));
    child_free(one.child);
    child_free(two.child);
    for (int i = 0; i < 2; i++) {
        run_out(&one, "echo again");
        assert_false(one.has_err);
        assert_string_equal(one.out, "again\n");
        child_free(one.child);
    }
    assert_true(child_of(getpid()) != helper);
}

static void children_die_with_the_helper_when_no_daemon_looks(void **state)
{
    struct run run;
    pid_t helper = child_of(getpid());
    (void)state;
    spawn_shell(&run, "trap '' TERM; echo \"A=$$;\"; while :; do sleep 0.1; done");
    pid_t shell = printed(&run, "A");
    assert_int_equal(kill(helper, SIGKILL), 0);
    assert_true(goes_away(shell, 5 * SECOND)); /* the loop does not turn */
    wait_for(&run, &run.ended);
    assert_true(run.has_err);
    child_free(run.child);
}

/* How many descriptors it has, or 0 if one is none of the socket, the signals and /dev/null. */
static unsigned own_descriptors(pid_t helper)
{
    char path[64];
    char target[128];
    unsigned sockets = 0;
    unsigned others = 0;
    unsigned strange = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)helper);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
        if (len > 0) {
            target[len] = '\0';
            bool is_socket = strncmp(target, "socket:", 7) == 0;
            bool is_other = strcmp(target, "/dev/null") == 0 ||
                            strcmp(target, "anon_inode:[signalfd]") == 0;
            sockets += is_socket;
            others += is_other;
            strange += !is_socket && !is_other;
        }
    }
    (void)closedir(dir);
    return sockets == 1 && strange == 0 ? sockets + others : 0;
}

static void the_helper_keeps_to_itself(void **state)
{
    char path[64];
    char text[64];
    pid_t helper = child_of(getpid());
    struct run run;
    (void)state;
    run_out(&run, "exit 0");
    child_free(run.child);
    assert_int_equal(getsid(helper), helper);
    (void)snprintf(path, sizeof path, "/proc/%d/comm", (int)helper);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = read(fd, text, sizeof text - 1);
    (void)close(fd);
    assert_true(len > 0);
    text[len] = '\0';
    assert_string_equal(text, "toolbroker-chil\n"); /* the kernel keeps 15 bytes */
    mono_us limit = clock_mono() + 5 * SECOND;
    while (own_descriptors(helper) != 5) { /* it may be looking through /proc just now */
        assert_true(clock_mono() < limit);
        (void)usleep(1000);
    }
    assert_int_equal(kill(helper, SIGTERM), 0); /* as the terminal or a manager might */
    assert_int_equal(kill(helper, SIGINT), 0);
    assert_int_equal(kill(helper, SIGHUP), 0);
    run_out(&run, "echo here");
    assert_string_equal(run.out, "here\n");
    child_free(run.child);
    assert_int_equal(child_of(getpid()), helper);
}

/* ---- the daemon's death ------------------------------------------------------------------- */

static const char stubborn[] =
    /* ignores TERM; a daemon of its own session, twice forked; one in another group; and one
     * behind an intermediate that only shows when that was killed */
    "trap '' TERM HUP INT; "
    "(setsid sh -c 'trap \"\" TERM; sleep 1000 & echo \"A=$$;B=$!;\"; wait; sleep 1000' &) ; "
    "perl -e 'setpgrp(0, 0); $SIG{TERM} = \"IGNORE\"; $| = 1; print \"C=$$;\";"
    "  if (!fork) { use POSIX; POSIX::setsid(); print \"D=$$;\"; } sleep 1000' & "
    "echo \"E=$$;\"; while :; do sleep 1; done";

static _Noreturn void play_daemon(int report_fd)
{
    static const char names[] = "ABCDE";
    struct run run;
    pid_t pids[sizeof names] = {0};
    int socket = children_fork_helper();
    loop = loop_new();
    children = children_new(loop, socket);
    spawn_shell(&run, stubborn);
    for (size_t i = 0; names[i]; i++) {
        char name[2] = {names[i], '\0'};
        pids[i] = printed(&run, name);
    }
    pids[sizeof names - 1] = child_of(getpid());
    (void)!write(report_fd, pids, sizeof pids);
    for (;;) {
        loop_turn(loop, SECOND);
    }
}

static void nothing_outlives_a_daemon_that_was_killed(void **state)
{
    enum { PIDS = 6 };
    pid_t pids[PIDS];
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t daemon = fork();
    assert_true(daemon >= 0);
    if (daemon == 0) {
        play_daemon(ends[1]);
    }
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], pids, sizeof pids), sizeof pids);
    (void)close(ends[0]);
    for (int i = 0; i < PIDS; i++) {
        assert_true(pids[i] > 0);
        assert_false(is_gone(pids[i]));
    }
    mono_us before = clock_mono();
    assert_int_equal(kill(daemon, SIGKILL), 0);
    assert_int_equal(waitpid(daemon, NULL, 0), daemon);
    for (int i = 0; i < PIDS; i++) {
        assert_true(goes_away(pids[i], 6 * SECOND));
    }
    assert_true(clock_mono() - before >= 1500000); /* they had their time after TERM */
}

static void what_ends_with_term_ends_at_once_with_the_daemon(void **state)
{
    struct run run;
    (void)state;
    spawn_shell(&run, "trap 'exit 0' TERM; (sleep 1000 & echo \"A=$!;\"); echo \"B=$$;\";"
                      "while :; do sleep 0.02; done");
    pid_t orphan = printed(&run, "A");
    pid_t shell = printed(&run, "B");
    mono_us before = clock_mono();
    children_free(children);
    children = NULL;
    assert_true(goes_away(orphan, 5 * SECOND));
    assert_true(goes_away(shell, 5 * SECOND));
    while (waitpid(-1, NULL, 0) > 0) {
    }
    assert_true(clock_mono() - before < 1500000);
    child_free(run.child); /* after the connection is gone: only the handle */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_full_socket_never_blocks_and_the_queue_is_bounded),
        TEST(a_new_helper_is_forked_from_many_threads),
        TEST(when_the_helper_dies_all_end_and_a_new_one_serves),
        TEST(children_die_with_the_helper_when_no_daemon_looks),
        TEST(the_helper_keeps_to_itself),
        TEST(nothing_outlives_a_daemon_that_was_killed),
        TEST(what_ends_with_term_ends_at_once_with_the_daemon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
