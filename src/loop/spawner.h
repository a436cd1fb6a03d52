/* SPDX-License-Identifier: MIT */
/*
 * spawner.h - inside loop/: the helper process, and what it and child.c say to each other.
 *
 * One SOCK_SEQPACKET message each: orders to the helper (a head, then text; the three pipe ends of
 * a start come with it), reports from it. Orders are carried out in the order they were sent.
 * Thread:  the helper has one, and may have been forked from a process with many: everything in
 *          spawner*.c uses fixed buffers and async-signal-safe calls only.
 */
#ifndef LOOP_SPAWNER_H
#define LOOP_SPAWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SPAWN_TEXT_BYTES  131072u /* argv, env and cwd with their terminators */
#define SPAWN_TEXTS_MAX   4096u   /* entries of argv and env together */
#define SPAWN_CHILDREN    4096u   /* at once */
#define SPAWN_END_MS      2000    /* from TERM to KILL when the daemon is gone */
#define SPAWN_GIVE_UP_MS  10000   /* then what no signal ends is left alone */
#define SPAWN_SOCKET_FD   3
#define SPAWN_EXEC_FD     3 /* in a new child, until exec */
#define SPAWN_STANDARD_FD 3 /* how many standard descriptors there are */

enum spawn_order_kind { SPAWN_START = 1, SPAWN_SIGNAL };

struct spawn_order {
    enum spawn_order_kind kind;
    int signal_number;
    uint64_t id; /* of the child, chosen by the daemon, never used again */
    uint32_t argc, envc;
    uint32_t text_bytes; /* cwd, argv, env, each with its terminator, follow */
    uint32_t open_files; /* limits; 0: as inherited */
    uint64_t memory_bytes;
};

enum spawn_stage {
    SPAWN_RAN,
    SPAWN_AT_TABLE,
    SPAWN_AT_FORK,
    SPAWN_AT_CWD,
    SPAWN_AT_LIMITS,
    SPAWN_AT_EXEC
};

struct spawn_report {
    enum { SPAWN_HELLO = 1, SPAWN_STARTED, SPAWN_ENDED } kind;
    pid_t pid; /* of the child; of the helper in HELLO */
    uint64_t id;
    int status;             /* as of waitpid */
    enum spawn_stage stage; /* where it failed to start; SPAWN_RAN: it did not */
    int error;              /* errno of that */
};

struct spawn_failure { /* what a new process writes when it cannot become the program */
    enum spawn_stage stage;
    int error;
};

/* The helper: everything from here to its end. `socket` is its end. */
_Noreturn void spawner_run(int socket);

struct spawn_program {
    char *const *argv, *const *env;
    const char *cwd;
    uint64_t memory_bytes; /* 0: as inherited, likewise */
    uint32_t open_files;
};

/* In the new process, in which every signal has its default: becomes the program, or says why not on `report_fd` and exits.
 * `fds` are its standard descriptors, all above SPAWN_EXEC_FD. */
_Noreturn void spawner_exec(const struct spawn_program *program, const int *fds, int report_fd);

/* Calls `seen` for the id of every process in /proc. False if /proc is not ours to read. */
bool spawner_each_process(void (*seen)(void *arg, pid_t pid), void *arg);

/* The parent of a process as /proc says, or -1. */
pid_t spawner_parent_of(pid_t pid);

#endif
