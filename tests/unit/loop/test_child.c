/* SPDX-License-Identifier: MIT */
/* test_child.c - real processes through the helper: started as asked, ended with all they leave. */
#include "processes.h"

/* ---- starting ----------------------------------------------------------------------------- */

static void what_is_written_comes_back(void **state)
{
    struct run run = {.started = 0};
    const char *argv[] = {"cat", NULL};
    (void)state;
    assert_int_equal(spawn(&run, argv, plain_env, NULL), 0);
    assert_int_equal(child_pid(run.child), 0);
    wait_for(&run, &run.started);
    assert_true(child_pid(run.child) > 0);
    assert_int_equal(write(child_stdin(run.child), "hello\n", 6), 6);
    wait_for_text(&run, "hello\n");
    assert_int_equal(run.ended, 0);
    child_close_stdin(run.child);
    assert_int_equal(child_stdin(run.child), -1);
    wait_for(&run, &run.ended);
    assert_false(run.has_err);
    assert_true(WIFEXITED(run.status) && WEXITSTATUS(run.status) == 0);
    assert_int_equal(run.started, 1);
    assert_int_equal(run.ended, 1);
    child_free(run.child);
}

static void arguments_environment_and_folder_are_as_given(void **state)
{
    const char *argv[] = {"sh",   "-c",        "pwd; env; echo \"[$1][$2]\"; sleep 0",
                          "name", "two words", "\xc3\xb1\n'\"$",
                          NULL};
    const char *env[] = {"ONE=1", PATH, "EMPTY=", NULL};
    struct run run = {.started = 0};
    (void)state;
    assert_int_equal(setenv("LEAKED", "secret", 1), 0);
    assert_int_equal(spawn(&run, argv, env, "/usr"), 0);
    wait_for(&run, &run.ended);
    assert_int_equal(run.status, 0);
    assert_true(strncmp(run.out, "/usr\n", 5) == 0);
    assert_non_null(strstr(run.out, "ONE=1\n"));
    assert_non_null(strstr(run.out, "EMPTY=\n"));
    assert_non_null(strstr(run.out, "[two words][\xc3\xb1\n'\"$]"));
    assert_null(strstr(run.out, "LEAKED"));
    assert_null(strstr(run.out, "HOME"));
    child_free(run.child);
}

static void limits_hold_for_the_child_and_what_it_starts(void **state)
{
    /* paste opens all of its files before it reads one. */
    const char *argv[] = {"sh", "-c",
                          "exec 2>&1; sh -c 'ulimit -n; ulimit -Hn; ulimit -d';"
                          "n=/dev/null; paste $n $n $n $n $n && echo five;"
                          "paste $n $n $n $n $n $n $n $n $n $n $n $n $n $n $n $n $n;"
                          "dd if=/dev/zero of=/dev/null bs=64M count=1",
                          NULL};
    const struct child_options options = {
        .argv = argv, .env = plain_env, .limits = {.memory_bytes = 16 << 20, .open_files = 16}};
    struct run run = {.started = 0};
    (void)state;
    assert_int_equal(spawn_with(&run, &options), 0);
    wait_for(&run, &run.ended);
    assert_true(strncmp(run.out, "16\n16\n16384\n", 12) == 0);
    assert_non_null(strstr(run.out, "five\n"));
    assert_non_null(strstr(run.out, "Too many open files"));
    assert_non_null(strstr(run.out, "memory exhausted"));
    child_free(run.child);
}

static void limits_that_cannot_be_set_say_so(void **state)
{
    const char *argv[] = {"true", NULL};
    struct child_options options = {.argv = argv, .env = plain_env};
    struct run run = {.started = 0};
    (void)state;
    options.limits.open_files = UINT32_MAX; /* more than fs.nr_open allows anybody */
    assert_int_equal(spawn_with(&run, &options), 0);
    wait_for(&run, &run.ended);
    assert_true(run.has_err);
    assert_int_equal(run.err.code, ERR_NOT_FOUND);
    assert_non_null(strstr(run.err.text, "cannot limit `true` as configured"));
    child_free(run.child);
}

static void a_child_starts_with_a_clean_slate(void **state)
{
    struct run run;
    struct sigaction before;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t blocked;
    int leaked = open("/dev/null", O_RDWR); /* no close-on-exec */
    (void)state;
    children_free(children); /* the helper is to be forked with all this in the way */
    assert_int_equal(sigaction(SIGUSR2, &ignore, &before), 0);
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGUSR1);
    assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, NULL), 0);
    children = children_new(loop, children_fork_helper());
    run_out(&run, "ls -d /proc/$$/fd/*; grep Sig /proc/self/status; cat /proc/$$/stat");
    assert_non_null(strstr(run.out, "/fd/2\n"));
    assert_null(strstr(run.out, "/fd/3\n"));
    assert_null(strstr(run.out, "/fd/4\n"));
    assert_non_null(strstr(run.out, "SigBlk:\t0000000000000000"));
    assert_non_null(strstr(run.out, "SigIgn:\t0000000000000000"));
    char ids[64]; /* of its own group and session */
    (void)snprintf(ids, sizeof ids, " %d %d ", (int)child_pid(run.child),
                   (int)child_pid(run.child));
    const char *stat = strstr(run.out, " (sh) ");
    assert_non_null(stat);
    assert_non_null(strstr(stat, ids));
    child_free(run.child);
    assert_int_equal(sigprocmask(SIG_UNBLOCK, &blocked, NULL), 0);
    assert_int_equal(sigaction(SIGUSR2, &before, NULL), 0);
    (void)close(leaked);
}

static void failing_to_start_is_said_in_words(void **state)
{
    const char *missing[] = {"no-such-program-anywhere", "--flag", NULL};
    const char *folder[] = {"/usr", NULL};
    const char *shell[] = {"sh", NULL};
    const char *nothing[] = {NULL};
    struct run run = {.started = 0};
    (void)state;
    assert_int_equal(spawn(&run, missing, plain_env, NULL), 0);
    wait_for(&run, &run.ended);
    assert_true(run.has_err);
    assert_int_equal(run.started, 0);
    assert_int_equal(run.err.code, ERR_NOT_FOUND);
    assert_string_equal(run.err.text,
                        "cannot start `no-such-program-anywhere`: No such file or directory");
    child_free(run.child);

    run = (struct run){.started = 0};
    assert_int_equal(spawn(&run, folder, plain_env, NULL), 0);
    wait_for(&run, &run.ended);
    assert_string_equal(run.err.text, "cannot start `/usr`: Permission denied");
    child_free(run.child);

    run = (struct run){.started = 0};
    assert_int_equal(spawn(&run, shell, plain_env, "/no/such/folder"), 0);
    wait_for(&run, &run.ended);
    assert_string_equal(
        run.err.text,
        "cannot start `sh` in the folder `/no/such/folder`: No such file or directory");
    child_free(run.child);

    assert_int_equal(spawn(&run, nothing, plain_env, NULL), -ERR_VALIDATION_ERROR);
    assert_null(run.child);
}

static void the_program_is_looked_up_in_the_given_path(void **state)
{
    char folder[] = "/tmp/toolbroker-child-XXXXXX";
    char program[64];
    char path[96];
    const char *argv[] = {"only-here", NULL};
    const char *env[] = {"A=1", path, NULL};
    struct run run = {.started = 0};
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(program, sizeof program, "%s/only-here", folder);
    (void)snprintf(path, sizeof path, "PATH=/nonexistent::%s:/usr/bin", folder);
    int fd = open(program, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "#!/bin/sh\necho found\n", 21), 21);
    assert_int_equal(close(fd), 0);

    assert_int_equal(spawn(&run, argv, env, NULL), 0); /* there, but may not run */
    wait_for(&run, &run.ended);
    assert_string_equal(run.err.text, "cannot start `only-here`: Permission denied");
    child_free(run.child);

    /* one that may run is found behind one that may not */
    char other[] = "/tmp/toolbroker-child-XXXXXX";
    char ls[64];
    assert_non_null(mkdtemp(other));
    (void)snprintf(ls, sizeof ls, "%s/only-here", other);
    assert_int_equal(symlink("/bin/true", ls), 0);
    (void)snprintf(path, sizeof path, "PATH=%s:%s", folder, other);
    run = (struct run){.started = 0};
    assert_int_equal(spawn(&run, argv, env, NULL), 0);
    wait_for(&run, &run.ended);
    assert_false(run.has_err);
    child_free(run.child);
    (void)unlink(ls);
    (void)rmdir(other);

    (void)snprintf(path, sizeof path, "PATH=/nonexistent::%s:/usr/bin", folder);
    assert_int_equal(chmod(program, 0700), 0);
    run = (struct run){.started = 0};
    assert_int_equal(spawn(&run, argv, env, NULL), 0);
    wait_for(&run, &run.ended);
    assert_string_equal(run.out, "found\n");
    child_free(run.child);
    (void)unlink(program);
    (void)rmdir(folder);
}

static void how_it_ended_is_reported(void **state)
{
    struct run run;
    (void)state;
    run_out(&run, "exit 3");
    assert_true(WIFEXITED(run.status) && WEXITSTATUS(run.status) == 3);
    child_free(run.child);
    run_out(&run, "kill -9 $$");
    assert_true(WIFSIGNALED(run.status) && WTERMSIG(run.status) == SIGKILL);
    child_free(run.child);
}

static void arguments_are_bounded(void **state)
{
    enum { BIG = 65536, A = 40960, B = 16384 };
    char *big = mem_new(BIG + 1);
    const char *fits[] = {"sh", "-c", "echo ${#A} ${#B} ${#0}", big, NULL};
    char *a = mem_new(A + 3);
    char *b = mem_new(B + 3);
    const char *env[] = {a, b, NULL};
    struct run run = {.started = 0};
    (void)state;
    memset(big, 'x', BIG);
    memset(a, 'x', A + 2);
    memset(b, 'x', B + 2);
    a[0] = 'A';
    b[0] = 'B';
    a[1] = b[1] = '=';
    assert_int_equal(spawn(&run, fits, env, NULL), 0);
    wait_for(&run, &run.ended);
    assert_string_equal(run.out, "40960 16384 65536\n");
    child_free(run.child);

    const char *too_much[] = {"sh", "-c", "true", big, big, NULL};
    assert_int_equal(spawn(&run, too_much, env, NULL), -ERR_VALIDATION_ERROR);
    const char **many = mem_new(5001 * sizeof *many);
    for (int i = 0; i < 5000; i++) {
        many[i] = "x";
    }
    assert_int_equal(spawn(&run, many, plain_env, NULL), -ERR_VALIDATION_ERROR);
    mem_free(many);
    mem_free(big);
    mem_free(a);
    mem_free(b);
}

static void many_at_once_are_told_apart(void **state)
{
    enum { COUNT = 150 };
    struct run *runs = mem_new(COUNT * sizeof *runs);
    char script[32];
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(script, sizeof script, "echo $$; exit %d", i);
        spawn_shell(&runs[i], script);
    }
    for (int i = 0; i < COUNT; i++) {
        char pid[32];
        wait_for(&runs[i], &runs[i].ended);
        assert_int_equal(runs[i].started, 1);
        assert_int_equal(WEXITSTATUS(runs[i].status), i);
        (void)snprintf(pid, sizeof pid, "%d\n", (int)child_pid(runs[i].child));
        assert_string_equal(runs[i].out, pid);
        child_free(runs[i].child);
    }
    mem_free(runs);
}

/* ---- ending ------------------------------------------------------------------------------- */

static void signals_go_to_the_whole_group(void **state)
{
    struct run run;
    (void)state;
    spawn_shell(&run, "sleep 1000 & echo \"A=$!;\"; wait");
    pid_t sleeper = printed(&run, "A");
    child_signal(run.child, SIGTERM);
    wait_for(&run, &run.ended);
    assert_true(WIFSIGNALED(run.status) && WTERMSIG(run.status) == SIGTERM);
    assert_true(goes_away(sleeper, 5 * SECOND));
    child_signal(run.child, SIGTERM); /* nobody is there any more */
    child_free(run.child);
}

static void one_that_ignores_term_is_killed(void **state)
{
    struct run run;
    (void)state;
    spawn_shell(&run, "trap '' TERM HUP INT; echo \"A=$$;\"; while :; do sleep 0.05; done");
    pid_t pid = printed(&run, "A");
    child_signal(run.child, SIGTERM);
    for (int i = 0; i < 20; i++) {
        loop_turn(loop, 10000);
    }
    assert_int_equal(run.ended, 0);
    assert_false(is_gone(pid));
    child_signal(run.child, SIGKILL);
    wait_for(&run, &run.ended);
    assert_true(WIFSIGNALED(run.status) && WTERMSIG(run.status) == SIGKILL);
    child_free(run.child);
}

static void a_stopped_one_ends_with_term(void **state)
{
    struct run run;
    (void)state;
    spawn_shell(&run, "echo \"A=$$;\"; kill -STOP $$; sleep 1000");
    (void)printed(&run, "A");
    child_signal(run.child, SIGTERM);
    wait_for(&run, &run.ended);
    child_free(run.child);
}

static void what_a_child_leaves_behind_is_killed_with_it(void **state)
{
    struct run run;
    (void)state;
    /* one in its group, and one that left the group but not the session */
    spawn_shell(&run, "sleep 1000 & echo \"A=$!;\";"
                      "perl -e 'setpgrp(0, 0); $SIG{TERM} = \"IGNORE\"; $| = 1;"
                      "print \"B=$$;\"; sleep 1000' & read line; exit 5");
    pid_t in_group = printed(&run, "A");
    pid_t in_session = printed(&run, "B");
    assert_false(is_gone(in_group));
    assert_false(is_gone(in_session));
    child_close_stdin(run.child);
    wait_for(&run, &run.ended);
    assert_int_equal(WEXITSTATUS(run.status), 5);
    assert_true(goes_away(in_group, 5 * SECOND));
    assert_true(goes_away(in_session, 5 * SECOND));
    child_free(run.child);
}

static void the_session_of_one_child_is_not_that_of_another(void **state)
{
    struct run one;
    struct run other;
    (void)state;
    spawn_shell(&other, "perl -e 'setpgrp(0, 0); $| = 1; print \"A=$$;\"; sleep 1000'& wait");
    pid_t kept = printed(&other, "A");
    run_out(&one, "(sleep 1000 &) ; exit 0");
    for (int i = 0; i < 20; i++) {
        loop_turn(loop, 10000);
    }
    assert_false(is_gone(kept));
    assert_int_equal(other.ended, 0);
    child_free(one.child);
    child_free(other.child);
    assert_true(goes_away(kept, 5 * SECOND));
}

static void freeing_it_kills_it_and_says_nothing_more(void **state)
{
    struct run run;
    (void)state;
    spawn_shell(&run, "trap '' TERM; sleep 1000 & echo \"A=$!;B=$$;\"; wait; sleep 1000");
    pid_t sleeper = printed(&run, "A");
    pid_t shell = printed(&run, "B");
    child_free(run.child);
    run.child = NULL;
    assert_true(goes_away(shell, 5 * SECOND));
    assert_true(goes_away(sleeper, 5 * SECOND));
    for (int i = 0; i < 10; i++) {
        loop_turn(loop, 10000);
    }
    assert_int_equal(run.ended, 0);

    spawn_shell(&run, "sleep 1000"); /* at once, before it can have started */
    child_free(run.child);
    run.child = NULL;
    for (int i = 0; i < 10; i++) {
        loop_turn(loop, 10000);
    }
    assert_int_equal(run.started + run.ended, 0);

    run_out(&run, "exit 0");
    child_free(run.child);
    spawn_shell(&run, "exit 0");
    run.frees_itself = true;
    wait_for(&run, &run.ended);
    assert_null(run.child);
}

static void nothing_is_left_unreaped(void **state)
{
    struct run run;
    char state_letter;
    pid_t parent;
    pid_t group;
    (void)state;
    /* an orphan that ends while its child lives on, is adopted and must be reaped */
    spawn_shell(&run, "(sleep 0.1 & echo \"A=$!;\"); cat");
    pid_t orphan = printed(&run, "A");
    mono_us limit = clock_mono() + 5 * SECOND;
    while (look_at(orphan, &state_letter, &parent, &group)) {
        assert_true(clock_mono() < limit);
        loop_turn(loop, 10000);
    }
    child_close_stdin(run.child);
    wait_for(&run, &run.ended);
    assert_false(look_at(child_pid(run.child), &state_letter, &parent, &group));
    child_free(run.child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_comes_back),
        TEST(arguments_environment_and_folder_are_as_given),
        TEST(limits_hold_for_the_child_and_what_it_starts),
        TEST(limits_that_cannot_be_set_say_so),
        TEST(a_child_starts_with_a_clean_slate),
        TEST(failing_to_start_is_said_in_words),
        TEST(the_program_is_looked_up_in_the_given_path),
        TEST(how_it_ended_is_reported),
        TEST(arguments_are_bounded),
        TEST(many_at_once_are_told_apart),
        TEST(signals_go_to_the_whole_group),
        TEST(one_that_ignores_term_is_killed),
        TEST(a_stopped_one_ends_with_term),
        TEST(what_a_child_leaves_behind_is_killed_with_it),
        TEST(the_session_of_one_child_is_not_that_of_another),
        TEST(freeing_it_kills_it_and_says_nothing_more),
        TEST(nothing_is_left_unreaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
