/* SPDX-License-Identifier: MIT */
/*
 * child.h - child processes, spawned and reaped by one small helper process.
 *
 * The helper ("spawner") is forked before anything else runs. It does fork and exec, so that the
 * loop never does; it is the sub-reaper of everything that descends from the children; and when
 * the daemon dies, however it dies, the helper sees its socket close and ends them all.
 *
 * Owns:    struct child is the caller's handle, freed by child_free. The three pipe ends of the
 *          daemon's side belong to the handle until taken.
 * Life:    child_spawn .. `started` or `ended`, always in a later turn .. `ended` exactly once, when
 *          the process is gone and its group was killed .. child_free. child_free before `ended`
 *          kills the group at once and lets the helper reap it.
 * Errors:  exec failures arrive through `ended` with an err, with the system's words.
 * Units:   microseconds.
 */
#ifndef LOOP_CHILD_H
#define LOOP_CHILD_H

#include "base/err.h"
#include "loop/loop.h"

#include <stdint.h>
#include <sys/types.h>

struct children; /* the connection to the helper */
struct child;

/* Forks the helper: before threads, before curl, before any descriptor is open. Returns the
 * daemon's end of its socket, or -1. In the helper it never returns. */
int children_fork_helper(void);

/* `socket` as given by children_fork_helper. If the helper dies, all children end with an err,
 * and the next child_spawn forks a new one. */
struct children *children_new(struct loop *loop, int socket);
void children_free(struct children *children); /* ends the helper and with it every child */

/* Resource limits of the process and of what it starts; 0: those of the daemon. One that the daemon
 * itself may not set ends the start. */
struct child_limits {
    uint64_t memory_bytes; /* RLIMIT_DATA: memory that can be written, reserved or not */
    uint32_t open_files;   /* RLIMIT_NOFILE */
};

struct child_options {
    const char *const *argv; /* argv[0] is looked up in PATH of `env` */
    const char *const *env;  /* "NAME=value", complete: nothing is inherited */
    const char *cwd;         /* NULL: "/" */
    struct child_limits limits;
};

struct child_events {
    void (*started)(void *arg, pid_t pid);
    /* `err` when it could not be started or the helper was lost; else `status` as of waitpid. */
    void (*ended)(void *arg, int status, const struct err *err);
};

/* argv and env are bounded (128 KiB in total): ERR_VALIDATION_ERROR beyond it. */
int child_spawn(struct children *children, const struct child_options *options,
                const struct child_events *events, void *arg, struct child **ret,
                struct err *reterr);

/* The daemon's ends: non-blocking, close-on-exec. -1 once taken by child_close_stdin. */
int child_stdin(const struct child *child);
int child_stdout(const struct child *child);
int child_stderr(const struct child *child);
pid_t child_pid(const struct child *child); /* 0 before `started` */

void child_close_stdin(struct child *child);               /* the polite way to ask it to end */
void child_signal(struct child *child, int signal_number); /* to its whole process group */
void child_free(struct child *child);

#endif
