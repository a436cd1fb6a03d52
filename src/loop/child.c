/* SPDX-License-Identifier: MIT */
/* child.c - the daemon's side of its child processes: orders to the helper, reports from it. */
#include "loop/child.h"

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"
#include "loop/order.h"
#include "loop/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUEUE_BYTES    ((size_t)4 * 1024 * 1024) /* starts that the helper has not taken yet */
#define SOCKET_BYTES   (1024 * 1024)
#define REPORTS_A_TURN 64

struct children {
    struct loop *loop;
    int socket; /* -1: no helper */
    struct loop_io io;
    pid_t helper; /* 0: it has not said hello yet */
    pid_t corpse; /* a helper that is still to be reaped */
    uint64_t last_id;
    struct map by_id;
    struct list alive; /* known to the helper, or on the way to it */
    struct list ended; /* are to be told so, by `tell` */
    struct loop_task tell;
    struct list orders;
    size_t order_bytes;
};

struct child {
    struct children *children; /* NULL: they were freed first */
    struct list_link link;     /* in alive or ended; in none once `ended` ran */
    uint64_t id;
    pid_t pid;
    int fds[SPAWN_STANDARD_FD];
    struct child_events events;
    void *arg;
    char *program, *cwd; /* for the words of a failed start; NULL once started */
    struct err *err;     /* why it is in `ended` */
};

/* ---- the helper ------------------------------------------------------------------------- */

int children_fork_helper(void)
{
    int ends[2];
    sigset_t all;
    sigset_t before;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return -1;
    }
    (void)sigfillset(&all);
    /* A handler of ours that ran in the helper would write to descriptors we share. */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        spawner_run(ends[1]);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        return -1;
    }
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return ends[0];
}

static void drop_order(struct children *children, struct order *order)
{
    list_remove(&order->link);
    children->order_bytes -= order->len;
    order_free(order);
}

static void reap_helper(struct children *children)
{
    if (children->corpse && waitpid(children->corpse, NULL, WNOHANG) != 0) {
        children->corpse = 0;
    }
}

static void end_with(struct child *child, const struct err *err)
{
    struct children *children = child->children;
    if (!child->err) {
        child->err = mem_new(sizeof *child->err);
        *child->err = *err;
    }
    list_remove(&child->link);
    list_append(&children->ended, &child->link);
    loop_later(children->loop, &children->tell);
}

/* The helper is gone: the children died with it (PDEATHSIG), what they started may not have. */
static void lose_helper(struct children *children)
{
    struct err err;
    if (children->socket < 0) {
        return;
    }
    loop_io_done(&children->io);
    (void)close(children->socket);
    children->socket = -1;
    if (children->helper) {
        (void)kill(children->helper, SIGKILL);
        children->corpse = children->helper;
        children->helper = 0;
        reap_helper(children);
    }
    (void)err_set(&err, ERR_UNAVAILABLE,
                  "the helper process that keeps the child processes ended, and they with it");
    list_each (link, &children->alive) {
        struct child *child = LIST_ITEM(link, struct child, link);
        if (child->pid) {
            (void)kill(-child->pid, SIGKILL);
        }
        end_with(child, &err);
    }
    for (struct list_link *link; (link = list_first(&children->orders));) {
        drop_order(children, LIST_ITEM(link, struct order, link));
    }
}

/* An order that was refused: the helper's end, or only this child's. */
static void order_failed(struct children *children, const struct order *order)
{
    struct err err;
    struct child *child = map_get_id(&children->by_id, order->head.id);
    int error = errno;
    if (error == EPIPE || error == ECONNRESET || error == ENOTCONN) {
        lose_helper(children); /* frees what is queued, this order too if it is */
    } else if (child && order->head.kind == SPAWN_START) {
        (void)err_set(&err, ERR_UNAVAILABLE, "cannot start `%.128s`: %s", child->program,
                      strerror(error));
        end_with(child, &err);
    }
}

static void send_queue(struct children *children)
{
    struct list_link *link;
    while ((link = list_first(&children->orders))) {
        struct order *order = LIST_ITEM(link, struct order, link);
        int sent = order_send(order, children->socket);
        if (sent == 0) {
            break;
        }
        if (sent < 0) {
            order_failed(children, order);
            if (children->socket < 0) {
                return;
            }
        }
        drop_order(children, order);
    }
    loop_io_want(&children->io,
                 LOOP_READ | (list_is_empty(&children->orders) ? 0u : LOOP_WRITE));
}

/* Takes the order over. */
static void give_order(struct children *children, struct order *order)
{
    bool is_first = list_is_empty(&children->orders);
    list_append(&children->orders, &order->link);
    children->order_bytes += order->len;
    if (is_first) {
        send_queue(children);
    }
}

/* ---- reports ---------------------------------------------------------------------------- */

static void tell_ended(struct children *children, struct child *child, int status)
{
    const struct err *err = child->err;
    list_remove(&child->link);
    (void)map_remove_id(&children->by_id, child->id);
    child->events.ended(child->arg, status, err); /* may free the child */
}

static void tell(void *arg)
{
    struct children *children = arg;
    struct list_link *link;
    while ((link = list_first(&children->ended))) {
        tell_ended(children, LIST_ITEM(link, struct child, link), 0);
    }
}

/* Whether it is the configuration that must change, and not the moment. */
static bool is_lasting(const struct spawn_report *report)
{
    return (report->stage == SPAWN_AT_CWD || report->stage == SPAWN_AT_LIMITS ||
            report->stage == SPAWN_AT_EXEC) &&
           report->error != EAGAIN && report->error != ENOMEM && report->error != EMFILE &&
           report->error != ENFILE && report->error != ETXTBSY && report->error != EIO;
}

static void start_failed(struct child *child, const struct spawn_report *report)
{
    struct err err;
    enum err_code code = is_lasting(report) ? ERR_NOT_FOUND : ERR_UNAVAILABLE;
    const char *words = strerror(report->error);
    if (report->stage == SPAWN_AT_CWD) {
        (void)err_set(&err, code, "cannot start `%.128s` in the folder `%.96s`: %s",
                      child->program, child->cwd, words);
    } else if (report->stage == SPAWN_AT_LIMITS) {
        (void)err_set(&err, code, "cannot limit `%.128s` as configured: %s", child->program,
                      words);
    } else if (report->stage == SPAWN_AT_TABLE && report->error == EAGAIN) {
        (void)err_set(&err, ERR_OVERLOADED,
                      "cannot start `%.128s`: there are %u child processes already",
                      child->program, SPAWN_CHILDREN);
    } else {
        (void)err_set(&err, code, "cannot start `%.128s`: %s", child->program, words);
    }
    end_with(child, &err);
}

static void forget_words(struct child *child)
{
    mem_free(child->program);
    mem_free(child->cwd);
    child->program = child->cwd = NULL;
}

static void take_report(struct children *children, const struct spawn_report *report)
{
    if (report->kind == SPAWN_HELLO) {
        children->helper = report->pid;
        return;
    }
    struct child *child = map_get_id(&children->by_id, report->id);
    if (!child || child->err) {
        return; /* freed, or its end is being told */
    }
    if (report->kind == SPAWN_STARTED) {
        child->pid = report->pid;
        forget_words(child);
        child->events.started(child->arg, report->pid);
    } else if (report->stage != SPAWN_RAN) {
        start_failed(child, report);
    } else {
        tell_ended(children, child, report->status);
    }
}

static void socket_ready(void *arg, unsigned events)
{
    struct children *children = arg;
    struct spawn_report report;
    for (int i = 0; i < REPORTS_A_TURN && children->socket >= 0; i++) {
        ssize_t len = recv(children->socket, &report, sizeof report, MSG_DONTWAIT);
        if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
            break;
        }
        if (len != (ssize_t)sizeof report) {
            lose_helper(children);
            return;
        }
        take_report(children, &report);
    }
    if ((events & LOOP_WRITE) && children->socket >= 0) {
        send_queue(children);
    }
}

/* ---- the whole -------------------------------------------------------------------------- */

static void connect_helper(struct children *children, int socket)
{
    int bytes = SOCKET_BYTES;
    children->socket = socket;
    if (socket >= 0) {
        (void)fcntl(socket, F_SETFL, O_NONBLOCK);
        /* As much of it as the system allows: a start must fit in any case. */
        (void)setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
        loop_io_init(&children->io, children->loop, socket, socket_ready, children);
        loop_io_want(&children->io, LOOP_READ);
    }
}

struct children *children_new(struct loop *loop, int socket)
{
    struct children *children = mem_new(sizeof *children);
    children->loop = loop;
    map_init(&children->by_id);
    list_init(&children->alive);
    list_init(&children->ended);
    list_init(&children->orders);
    loop_task_init(&children->tell, tell, children);
    connect_helper(children, socket);
    return children;
}

static void let_go(struct list *list)
{
    list_each (link, list) {
        LIST_ITEM(link, struct child, link)->children = NULL;
        list_remove(link);
    }
}

void children_free(struct children *children)
{
    if (!children) {
        return;
    }
    for (struct list_link *link; (link = list_first(&children->orders));) {
        drop_order(children, LIST_ITEM(link, struct order, link));
    }
    let_go(&children->alive);
    let_go(&children->ended);
    loop_task_cancel(&children->tell);
    if (children->socket >= 0) {
        loop_io_done(&children->io);
        (void)close(children->socket); /* from here on the helper ends them, and itself */
    }
    reap_helper(children);
    map_done(&children->by_id);
    mem_free(children);
}

/* ---- one child -------------------------------------------------------------------------- */

/* Ours do not block; the child's do, as programs expect. */
static int make_pipes(int *ours, int *theirs)
{
    for (int i = 0; i < SPAWN_STANDARD_FD; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) {
            return -1;
        }
        ours[i] = ends[i == 0 ? 1 : 0];
        theirs[i] = ends[i == 0 ? 0 : 1];
        if (fcntl(ours[i], F_SETFL, O_NONBLOCK) != 0) {
            return -1;
        }
    }
    return 0;
}

static int ready_for_start(struct children *children, const char *program, size_t len,
                           struct err *reterr)
{
    if (children->socket < 0) {
        reap_helper(children);
        connect_helper(children, children_fork_helper());
    }
    if (children->socket < 0) {
        return err_set(reterr, ERR_UNAVAILABLE, "cannot start `%.128s`: no helper process: %s",
                       program, strerror(errno));
    }
    if (children->order_bytes + len > QUEUE_BYTES) {
        return err_set(reterr, ERR_OVERLOADED,
                       "cannot start `%.128s`: too many processes wait to be started", program);
    }
    return 0;
}

static void close_ours(struct child *child)
{
    for (int i = 0; i < SPAWN_STANDARD_FD; i++) {
        if (child->fds[i] >= 0) {
            (void)close(child->fds[i]);
            child->fds[i] = -1;
        }
    }
}

int child_spawn(struct children *children, const struct child_options *options,
                const struct child_events *events, void *arg, struct child **ret,
                struct err *reterr)
{
    struct order *order = NULL;
    int failed = order_new_start(options, &order, reterr);
    if (failed) {
        return failed;
    }
    failed = ready_for_start(children, options->argv[0], order->len, reterr);
    if (failed) {
        order_free(order);
        return failed;
    }
    struct child *child = mem_new(sizeof *child);
    *child = (struct child){.children = children,
                            .id = ++children->last_id,
                            .fds = {-1, -1, -1},
                            .events = *events,
                            .arg = arg};
    if (make_pipes(child->fds, order->fds) != 0) {
        failed = err_set(reterr, ERR_UNAVAILABLE, "cannot start `%.128s`: pipe: %s",
                         options->argv[0], strerror(errno));
        order_free(order);
        close_ours(child);
        mem_free(child);
        return failed;
    }
    child->program = mem_dup(slice_of(options->argv[0]));
    child->cwd = mem_dup(slice_of(options->cwd ? options->cwd : "/"));
    order->head.id = child->id;
    map_set_id(&children->by_id, child->id, child);
    list_append(&children->alive, &child->link);
    *ret = child;
    give_order(children, order);
    return 0;
}

int child_stdin(const struct child *child)
{
    return child->fds[0];
}

int child_stdout(const struct child *child)
{
    return child->fds[1];
}

int child_stderr(const struct child *child)
{
    return child->fds[2];
}

pid_t child_pid(const struct child *child)
{
    return child->pid;
}

void child_close_stdin(struct child *child)
{
    if (child->fds[0] >= 0) {
        (void)close(child->fds[0]);
        child->fds[0] = -1;
    }
}

void child_signal(struct child *child, int signal_number)
{
    struct children *children = child->children;
    if (!list_has(&child->link) || !children || children->socket < 0 || child->err) {
        return;
    }
    struct order *order = order_new_signal(child->id, signal_number);
    give_order(children, order);
}

void child_free(struct child *child)
{
    if (!child) {
        return;
    }
    child_signal(child, SIGKILL);
    if (child->children) {
        (void)map_remove_id(&child->children->by_id, child->id);
    }
    list_remove(&child->link);
    close_ours(child);
    forget_words(child);
    mem_free(child->err);
    mem_free(child);
}
