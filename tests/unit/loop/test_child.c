/* SPDX-License-Identifier: MIT */
/* test_child.c - real processes through the helper: started as asked, and none left over. */
#include "base/mem.h"
#include "loop/child.h"
#include "loop/loop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND ((mono_us)1000000)
#define PATH   "PATH=/usr/local/bin:/usr/bin:/bin"

/* ---- processes from outside --------------------------------------------------------------- */

/* State, parent and session as /proc has them; false if there is no such process. */
static bool look_at(pid_t pid, char *ret_state, pid_t *ret_parent, pid_t *ret_session)
{
    char path[64];
    char text[512];
    int parent = 0;
    int session = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t len = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (len <= 0) {
        return false;
    }
    text[len] = '\0';
    const char *after = strrchr(text, ')');
    if (!after || sscanf(after, ") %c %d %*d %d", ret_state, &parent, &session) != 3) {
        return false;
    }
    *ret_parent = parent;
    *ret_session = session;
    return true;
}

static bool is_gone(pid_t pid)
{
    char state;
    pid_t parent;
    pid_t session;
    return !look_at(pid, &state, &parent, &session) || state == 'Z' || state == 'X';
}

static bool goes_away(pid_t pid, mono_us within)
{
    for (mono_us limit = clock_mono() + within; !is_gone(pid); (void)usleep(5000)) {
        if (clock_mono() > limit) {
            (void)fprintf(stderr, "process %d is still there\n", (int)pid);
            return false;
        }
    }
    return true;
}

static pid_t child_of(pid_t parent_wanted)
{
    DIR *dir = opendir("/proc");
    pid_t found = 0;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char state;
        pid_t parent;
        pid_t session;
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 0 && look_at(pid, &state, &parent, &session) && parent == parent_wanted &&
            state != 'Z') {
            found = pid;
        }
    }
    (void)closedir(dir);
    return found;
}

/* ---- one child ---------------------------------------------------------------------------- */

struct run {
    struct child *child;
    unsigned started, ended;
    bool has_err, frees_itself;
    int status;
    struct err err;
    char out[8192];
    size_t out_len;
};

static struct loop *loop;
static struct children *children;

static void run_started(void *arg, pid_t pid)
{
    struct run *run = arg;
    assert_true(pid > 0);
    assert_int_equal(run->ended, 0);
    run->started++;
}

static void run_ended(void *arg, int status, const struct err *err)
{
    struct run *run = arg;
    run->ended++;
    run->status = status;
    run->has_err = err != NULL;
    if (err) {
        run->err = *err;
    }
    if (run->frees_itself) {
        child_free(run->child);
        run->child = NULL;
    }
}

static const struct child_events run_events = {run_started, run_ended};

static int spawn(struct run *run, const char *const *argv, const char *const *env,
                 const char *cwd)
{
    struct child_options options = {argv, env, cwd};
    run->child = NULL;
    return child_spawn(children, &options, &run_events, run, &run->child, &run->err);
}

static const char *const plain_env[] = {PATH, NULL};

static void spawn_shell(struct run *run, const char *script)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    *run = (struct run){.started = 0};
    assert_int_equal(spawn(run, argv, plain_env, NULL), 0);
    assert_int_equal(run->started + run->ended, 0); /* no event inside the call */
}

static void take_output(struct run *run)
{
    if (run->child && run->started) {
        ssize_t len = read(child_stdout(run->child), run->out + run->out_len,
                           sizeof run->out - 1 - run->out_len);
        run->out_len += len > 0 ? (size_t)len : 0;
        run->out[run->out_len] = '\0';
    }
}

/* Turns the loop until `*what` is not 0. */
static void wait_for(struct run *run, const unsigned *what)
{
    mono_us limit = clock_mono() + 10 * SECOND;
    while (!*what) {
        assert_true(clock_mono() < limit);
        loop_turn(loop, 10000);
        take_output(run);
    }
    take_output(run);
}

static void wait_for_text(struct run *run, const char *text)
{
    mono_us limit = clock_mono() + 10 * SECOND;
    while (!strstr(run->out, text)) {
        assert_true(clock_mono() < limit);
        loop_turn(loop, 10000);
        take_output(run);
    }
}

static void run_out(struct run *run, const char *script)
{
    spawn_shell(run, script);
    child_close_stdin(run->child);
    wait_for(run, &run->ended);
}

/* The number that the script printed as NAME=number; */
static pid_t printed(struct run *run, const char *name)
{
    char wanted[32];
    (void)snprintf(wanted, sizeof wanted, "%s=", name);
    wait_for_text(run, wanted);
    wait_for_text(run, ";");
    const char *at = strstr(run->out, wanted);
    return (pid_t)strtol(at + strlen(wanted), NULL, 10);
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
    while (waitpid(-1, NULL, 0) > 0) { /* the helper, and with it everything */
    }
    assert_int_equal(errno, ECHILD);
    return 0;
}

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
    int pid = 0;
    int group = 0;
    int session = 0;
    const char *stat = strstr(run.out, " (sh) ");
    assert_non_null(stat);
    assert_int_equal(sscanf(stat, " (sh) %*c %*d %d %d", &group, &session), 2);
    pid = (int)child_pid(run.child);
    assert_int_equal(group, pid);
    assert_int_equal(session, pid);
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
    const size_t len = 120 * 1024;
    char *big = mem_new(64 * 1024 + 1);
    const char *fits[] = {"sh", "-c", "echo ${#A} ${#B} ${#0}", big, NULL};
    char *a = mem_new(40 * 1024 + 3);
    char *b = mem_new(16 * 1024 + 3);
    const char *env[] = {a, b, NULL};
    struct run run = {.started = 0};
    (void)state;
    memset(big, 'x', 64 * 1024);
    memset(a, 'x', 40 * 1024 + 2);
    memset(b, 'x', 16 * 1024 + 2);
    memcpy(a, "A=", 2);
    memcpy(b, "B=", 2);
    assert_true(64 * 1024 + 40 * 1024 + 16 * 1024 <= len);
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
    assert_true(goes_away(sleeper, SECOND));
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
    assert_true(goes_away(in_group, SECOND));
    assert_true(goes_away(in_session, SECOND));
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
    assert_true(goes_away(kept, SECOND));
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
    assert_true(goes_away(shell, SECOND));
    assert_true(goes_away(sleeper, SECOND));
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
    pid_t session;
    (void)state;
    /* an orphan that ends while its child lives on, is adopted and must be reaped */
    spawn_shell(&run, "(sleep 0.1 & echo \"A=$!;\"); cat");
    pid_t orphan = printed(&run, "A");
    mono_us limit = clock_mono() + 5 * SECOND;
    while (look_at(orphan, &state_letter, &parent, &session)) {
        assert_true(clock_mono() < limit);
        loop_turn(loop, 10000);
    }
    child_close_stdin(run.child);
    wait_for(&run, &run.ended);
    assert_false(look_at(child_pid(run.child), &state_letter, &parent, &session));
    child_free(run.child);
}

/* ---- the helper --------------------------------------------------------------------------- */

static void a_full_socket_never_blocks_and_the_queue_is_bounded(void **state)
{
    enum { COUNT = 400 };
    pid_t helper = child_of(getpid());
    struct run *runs = mem_new(COUNT * sizeof *runs);
    char *big = mem_new(30 * 1024 + 1);
    const char *argv[] = {"sh", "-c", "exit 7", big, NULL};
    int made = 0;
    int result = 0;
    (void)state;
    memset(big, 'x', 30 * 1024);
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
    assert_true(goes_away(shell, SECOND));
    assert_true(goes_away(grandchild, SECOND));
    assert_true(goes_away(child_pid(two.child), SECOND));
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

static void the_helper_keeps_to_itself(void **state)
{
    char path[64];
    char target[128];
    char text[64];
    pid_t helper = child_of(getpid());
    struct run run;
    DIR *dir;
    unsigned sockets = 0;
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
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)helper);
    dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        len = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
        assert_true(len > 0);
        target[len] = '\0';
        sockets += strncmp(target, "socket:", 7) == 0;
        assert_true(strncmp(target, "socket:", 7) == 0 || strcmp(target, "/dev/null") == 0 ||
                    strcmp(target, "anon_inode:[signalfd]") == 0);
    }
    (void)closedir(dir);
    assert_int_equal(sockets, 1);
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
    assert_true(goes_away(orphan, SECOND));
    assert_true(goes_away(shell, SECOND));
    while (waitpid(-1, NULL, 0) > 0) {
    }
    assert_true(clock_mono() - before < 1500000);
    child_free(run.child); /* after the connection is gone: only the handle */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, take_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_comes_back),
        TEST(arguments_environment_and_folder_are_as_given),
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
        TEST(a_full_socket_never_blocks_and_the_queue_is_bounded),
        TEST(when_the_helper_dies_all_end_and_a_new_one_serves),
        TEST(the_helper_keeps_to_itself),
        TEST(nothing_outlives_a_daemon_that_was_killed),
        TEST(what_ends_with_term_ends_at_once_with_the_daemon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
