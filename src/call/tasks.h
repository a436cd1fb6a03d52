/* SPDX-License-Identifier: MIT */
/*
 * tasks.h - the tasks of servers whose handles were given to clients.
 *
 * A handle is ours: it cannot be guessed, and it is good only for whom it was given to, because
 * a server that is shared cannot tell its callers apart (protocol section 4, state-handle hijack).
 *
 * Owns:    copies of all it keeps; at most TASKS_MAX, the oldest goes first; kept for a day.
 * Life:    embedded; not kept over a restart.
 * Thread:  the loop thread.
 */
#ifndef CALL_TASKS_H
#define CALL_TASKS_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/slice.h"
#include "loop/loop.h"

#include <stdint.h>
#include <sys/types.h>

#define TASKS_MAX   4096u
#define TASK_HANDLE 33 /* 32 hexadecimal digits */

struct task_key {
    uid_t uid;
    struct slice agent, user;
};

struct task {
    struct list_link link; /* in tasks->all, oldest first */
    char handle[TASK_HANDLE];
    uid_t uid;
    char *agent, *user, *service, *tool, *id; /* `id`: the server's ... */
    uint64_t place;                           /* ... and where it means this task */
    mono_us expires;
};

struct tasks {
    struct loop *loop;
    struct map by_handle;
    struct list all;
    unsigned count;
};

void tasks_init(struct tasks *tasks, struct loop *loop);
void tasks_done(struct tasks *tasks);

const struct task *tasks_add(struct tasks *tasks, const struct task_key *key,
                             struct slice service, struct slice tool, struct slice id,
                             uint64_t place);
/* NULL: none, or somebody else's. Good until the next tasks_add. */
const struct task *tasks_find(struct tasks *tasks, const struct task_key *key,
                              struct slice handle);

/* Appends {id: `handle`, service, tool} and the rest of `state`, a map of the server's in either
 * wire form, under names of our own; without the result. */
void task_put(struct slice handle, struct slice service, struct slice tool, struct slice state,
              struct buf *out);

#endif
