/* SPDX-License-Identifier: MIT */
/* processes.h - for tests of child processes: running one through the helper, and looking at any
 * process from outside. */
#ifndef TESTS_LOOP_PROCESSES_H
#define TESTS_LOOP_PROCESSES_H

#include "../child_processes.h"

#include "base/mem.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECOND ((mono_us)1000000)
#define PATH   "PATH=/usr/local/bin:/usr/bin:/bin"

/* ---- processes from outside --------------------------------------------------------------- */

/* State, parent and group as /proc has them; false if there is no such process. */
static inline bool look_at(pid_t pid, char *ret_state, pid_t *ret_parent, pid_t *ret_group)
{
    char path[64];
    char text[512];
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
    if (!after || strlen(after) < 4) {
        return false;
    }
    char *at;
    *ret_state = after[2];
    *ret_parent = (pid_t)strtol(after + 3, &at, 10);
    *ret_group = (pid_t)strtol(at, NULL, 10);
    return true;
}

static inline bool is_gone(pid_t pid)
{
    char state;
    pid_t parent;
    pid_t group;
    return !look_at(pid, &state, &parent, &group) || state == 'Z' || state == 'X';
}

static inline bool goes_away(pid_t pid, mono_us within)
{
    for (mono_us limit = clock_mono() + within; !is_gone(pid); (void)usleep(5000)) {
        if (clock_mono() > limit) {
            (void)fprintf(stderr, "process %d is still there\n", (int)pid);
            return false;
        }
    }
    return true;
}

static inline pid_t child_of(pid_t parent_wanted)
{
    DIR *dir = opendir("/proc");
    pid_t found = 0;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char state;
        pid_t parent;
        pid_t group;
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 0 && look_at(pid, &state, &parent, &group) && parent == parent_wanted &&
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

static inline void run_started(void *arg, pid_t pid)
{
    struct run *run = arg;
    assert_true(pid > 0);
    assert_int_equal(run->ended, 0);
    run->started++;
}

static inline void run_ended(void *arg, int status, const struct err *err)
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

static inline int spawn_with(struct run *run, const struct child_options *options)
{
    run->child = NULL;
    return child_spawn(children, options, &run_events, run, &run->child, &run->err);
}

static inline int spawn(struct run *run, const char *const *argv, const char *const *env,
                        const char *cwd)
{
    const struct child_options options = {.argv = argv, .env = env, .cwd = cwd};
    return spawn_with(run, &options);
}

static const char *const plain_env[] = {PATH, NULL};

static inline void spawn_shell(struct run *run, const char *script)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    *run = (struct run){.started = 0};
    assert_int_equal(spawn(run, argv, plain_env, NULL), 0);
    assert_int_equal(run->started + run->ended, 0); /* no event inside the call */
}

static inline void take_output(struct run *run)
{
    if (run->child && run->started) {
        ssize_t len = read(child_stdout(run->child), run->out + run->out_len,
                           sizeof run->out - 1 - run->out_len);
        run->out_len += len > 0 ? (size_t)len : 0;
        run->out[run->out_len] = '\0';
    }
}

/* Turns the loop until `*what` is not 0. */
static inline void wait_for(struct run *run, const unsigned *what)
{
    mono_us limit = clock_mono() + 20 * SECOND;
    while (!*what) {
        assert_true(clock_mono() < limit);
        loop_turn(loop, 10000);
        take_output(run);
    }
    take_output(run);
}

static inline void wait_for_text(struct run *run, const char *text)
{
    mono_us limit = clock_mono() + 20 * SECOND;
    while (!strstr(run->out, text)) {
        assert_true(clock_mono() < limit);
        loop_turn(loop, 10000);
        take_output(run);
    }
}

static inline void run_out(struct run *run, const char *script)
{
    spawn_shell(run, script);
    child_close_stdin(run->child);
    wait_for(run, &run->ended);
}

/* The number that the script printed as NAME=number; */
static inline pid_t printed(struct run *run, const char *name)
{
    char wanted[32];
    (void)snprintf(wanted, sizeof wanted, "%s=", name);
    wait_for_text(run, wanted);
    const char *at = strstr(run->out, wanted);
    mono_us limit = clock_mono() + 20 * SECOND;
    while (!strchr(at, ';')) {
        assert_true(clock_mono() < limit);
        loop_turn(loop, 10000);
        take_output(run);
    }
    return (pid_t)strtol(at + strlen(wanted), NULL, 10);
}

#endif
