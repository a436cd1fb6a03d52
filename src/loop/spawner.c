/* SPDX-License-Identifier: MIT */
/* spawner.c - the helper process: starts children, reaps them, and ends them all with the daemon. */
#include "loop/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ORDERS_A_ROUND  64
#define SWEEP_FIRST_MS  10
#define SWEEP_LAST_MS   30000
#define KILL_ROUND_MS   20
#define EXEC_PIPES_AT   2 /* in `polled`, behind the socket and the signals */
#define REFUSAL_WAIT_MS 1000
#define STRINGS_MAX     (SPAWN_TEXTS_MAX + 2) /* and the two NULLs */

enum slot_state { SLOT_FREE, SLOT_STARTING, SLOT_RUNNING, SLOT_ENDED };

struct slot {
    uint64_t id;
    pid_t pid; /* ours until reaped, that is until SLOT_ENDED */
    int exec_pipe;
    int status, error;
    enum spawn_stage stage;
    enum slot_state state;
    bool tells_started, tells_ended; /* reports that are still to be sent */
    bool is_swept;                   /* no process of its session is left */
};

/* All that the helper knows; it must not allocate, so this is here and not on any heap. */
static struct {
    int signal_fd;
    int sweep_wait_ms; /* -1: nothing to sweep */
    bool has_children;
    size_t slot_high; /* slots from here on are free */
    struct slot slots[SPAWN_CHILDREN];
    struct pollfd polled[EXEC_PIPES_AT + SPAWN_CHILDREN];
    char text[SPAWN_TEXT_BYTES];
    char *strings[STRINGS_MAX];
} helper;

/* Nothing that the daemon had set up may run here. */
static void default_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) {
        (void)sigaction(number, &action, NULL);
    }
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the table -------------------------------------------------------------------------- */

static bool is_alive(const struct slot *slot)
{
    return slot->state == SLOT_STARTING || slot->state == SLOT_RUNNING;
}

static struct slot *slot_of_pid(pid_t pid)
{
    for (size_t i = 0; i < helper.slot_high; i++) {
        if (helper.slots[i].pid == pid && is_alive(&helper.slots[i])) {
            return &helper.slots[i];
        }
    }
    return NULL;
}

static struct slot *slot_of_id(uint64_t id)
{
    for (size_t i = 0; i < helper.slot_high; i++) {
        if (helper.slots[i].id == id && is_alive(&helper.slots[i])) {
            return &helper.slots[i];
        }
    }
    return NULL;
}

static struct slot *take_slot(uint64_t id)
{
    size_t at = 0;
    while (at < helper.slot_high && helper.slots[at].state != SLOT_FREE) {
        at++;
    }
    if (at == SPAWN_CHILDREN) {
        return NULL;
    }
    if (at == helper.slot_high) {
        helper.slot_high++;
    }
    helper.slots[at] = (struct slot){.id = id, .exec_pipe = -1};
    return &helper.slots[at];
}

static void drop_if_over(struct slot *slot)
{
    if (slot->state == SLOT_ENDED && slot->is_swept && !slot->tells_started &&
        !slot->tells_ended) {
        slot->state = SLOT_FREE;
    }
    while (helper.slot_high && helper.slots[helper.slot_high - 1].state == SLOT_FREE) {
        helper.slot_high--;
    }
}

/* ---- reports ---------------------------------------------------------------------------- */

static bool send_report(const struct spawn_report *report)
{
    return send(SPAWN_SOCKET_FD, report, sizeof *report, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static void say_hello(void)
{
    struct spawn_report report;
    memset(&report, 0, sizeof report);
    report.kind = SPAWN_HELLO;
    report.pid = getpid();
    (void)send_report(&report);
}

/* True if something is left for when the socket takes more. */
static bool report_slot(struct slot *slot)
{
    struct spawn_report report;
    memset(&report, 0, sizeof report);
    report.id = slot->id;
    report.pid = slot->pid;
    if (slot->tells_started) {
        report.kind = SPAWN_STARTED;
        if (!send_report(&report)) {
            return true;
        }
        slot->tells_started = false;
    }
    if (slot->tells_ended) {
        report.kind = SPAWN_ENDED;
        report.status = slot->status;
        report.stage = slot->stage;
        report.error = slot->error;
        if (!send_report(&report)) {
            return true;
        }
        slot->tells_ended = false;
    }
    drop_if_over(slot);
    return false;
}

static bool report_all(void)
{
    for (size_t i = 0; i < helper.slot_high; i++) {
        if (helper.slots[i].state != SLOT_FREE && report_slot(&helper.slots[i])) {
            return true;
        }
    }
    return false;
}

/* For a start that has no slot, so that nobody waits for it for ever. */
static void report_refusal(uint64_t id, int error)
{
    struct pollfd socket = {.fd = SPAWN_SOCKET_FD, .events = POLLOUT};
    struct spawn_report report;
    memset(&report, 0, sizeof report);
    report.kind = SPAWN_ENDED;
    report.id = id;
    report.stage = SPAWN_AT_TABLE;
    report.error = error;
    (void)poll(&socket, 1, REFUSAL_WAIT_MS);
    (void)send_report(&report);
}

/* ---- starting --------------------------------------------------------------------------- */

static _Noreturn void run_child(pid_t parent, const struct spawn_order *order, const int *fds,
                                int report_fd)
{
    char *const *argv = helper.strings + 1;
    (void)setsid();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(127); /* the helper was killed before the line above */
    }
    const struct spawn_program program = {.argv = argv,
                                          .env = argv + order->argc + 1,
                                          .cwd = helper.strings[0],
                                          .memory_bytes = order->memory_bytes,
                                          .open_files = order->open_files};
    spawner_exec(&program, fds, report_fd);
}

static void start_in(struct slot *slot, const struct spawn_order *order, const int *fds)
{
    int pipe_fds[2];
    pid_t self = getpid();
    pid_t pid = -1;
    if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) == 0) {
        pid = _Fork();
        if (pid == 0) {
            run_child(self, order, fds, pipe_fds[1]);
        }
        slot->error = errno;
        (void)close(pipe_fds[1]);
        if (pid < 0) {
            (void)close(pipe_fds[0]);
        }
    } else {
        slot->error = errno;
    }
    if (pid < 0) {
        slot->stage = SPAWN_AT_FORK;
        slot->state = SLOT_ENDED;
        slot->is_swept = true;
        slot->tells_ended = true;
        return;
    }
    slot->error = 0;
    slot->pid = pid;
    slot->exec_pipe = pipe_fds[0];
    slot->state = SLOT_STARTING;
}

/* Cuts the text into cwd, argv, NULL, env, NULL. */
static bool split_text(const struct spawn_order *order)
{
    char *at = helper.text;
    char *end = helper.text + order->text_bytes;
    size_t to = 0;
    if (order->argc == 0 || order->argc > SPAWN_TEXTS_MAX || order->envc > SPAWN_TEXTS_MAX ||
        order->argc + order->envc > SPAWN_TEXTS_MAX - 1) {
        return false;
    }
    for (size_t i = 0; i < 1 + (size_t)order->argc + order->envc; i++) {
        char *stop = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;
        if (!stop) {
            return false;
        }
        helper.strings[to++] = at;
        if (i == order->argc) {
            helper.strings[to++] = NULL;
        }
        at = stop + 1;
    }
    helper.strings[to] = NULL;
    return at == end;
}

static void start(const struct spawn_order *order, const int *fds)
{
    bool has_fds = fds[SPAWN_STANDARD_FD - 1] >= 0;
    struct slot *slot = has_fds && split_text(order) ? take_slot(order->id) : NULL;
    if (slot) {
        start_in(slot, order, fds);
    } else {
        report_refusal(order->id, has_fds ? EAGAIN : EMFILE);
    }
}

/* What the new process said: nothing and end of file once it is the program. */
static void read_exec_pipe(struct slot *slot)
{
    struct spawn_failure failure;
    if (slot->exec_pipe < 0) {
        return;
    }
    ssize_t len = read(slot->exec_pipe, &failure, sizeof failure);
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (len == (ssize_t)sizeof failure) {
        slot->stage = failure.stage;
        slot->error = failure.error;
    } else {
        slot->state = SLOT_RUNNING;
        slot->tells_started = true;
    }
    (void)close(slot->exec_pipe);
    slot->exec_pipe = -1;
}

/* ---- ending ----------------------------------------------------------------------------- */

static void signal_slot(const struct slot *slot, int number)
{
    /* Before its setsid a new process has no group of its own yet. */
    if (kill(-slot->pid, number) != 0 && errno == ESRCH) {
        (void)kill(slot->pid, number);
    }
    if (number == SIGTERM) {
        (void)kill(-slot->pid, SIGCONT); /* one that is stopped could not end */
    }
}

/* Reaps all that ended. A child is looked at before it is reaped, for until then nobody else can
 * have its number, and the group that is killed is surely its own. */
static void reap(void)
{
    for (siginfo_t info;;) {
        int status = 0;
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
            helper.has_children = errno != ECHILD;
            return;
        }
        helper.has_children = true;
        if (info.si_pid == 0) {
            return;
        }
        struct slot *slot = slot_of_pid(info.si_pid);
        if (slot) {
            read_exec_pipe(slot);
            (void)kill(-slot->pid, SIGKILL);
        }
        (void)waitpid(info.si_pid, &status, 0);
        if (slot) {
            slot->status = status;
            slot->state = SLOT_ENDED;
            slot->tells_ended = true;
        }
    }
}

static void sweep_process(void *arg, pid_t pid)
{
    pid_t session = getsid(pid);
    (void)arg;
    for (size_t i = 0; session > 0 && i < helper.slot_high; i++) {
        struct slot *slot = &helper.slots[i];
        if (slot->state == SLOT_ENDED && slot->pid == session) {
            slot->is_swept = false;
            (void)kill(pid, SIGKILL);
        }
    }
}

/* Kills what left its child's process group but not its session. The number of a session is not
 * given to anything new while a process is in it, so it means that child until it is swept. */
static void sweep(void)
{
    bool is_needed = false;
    for (size_t i = 0; i < helper.slot_high; i++) {
        struct slot *slot = &helper.slots[i];
        if (slot->state == SLOT_ENDED && !slot->is_swept) {
            slot->is_swept = true;
            is_needed = true;
        }
    }
    if (!is_needed) {
        helper.sweep_wait_ms = -1;
        return;
    }
    (void)spawner_each_process(sweep_process, NULL);
    bool is_left = false;
    for (size_t i = helper.slot_high; i-- > 0;) {
        is_left = is_left || (helper.slots[i].state == SLOT_ENDED && !helper.slots[i].is_swept);
        drop_if_over(&helper.slots[i]);
    }
    int wait = helper.sweep_wait_ms < 0 ? SWEEP_FIRST_MS : helper.sweep_wait_ms * 2;
    helper.sweep_wait_ms = !is_left ? -1 : wait < SWEEP_LAST_MS ? wait : SWEEP_LAST_MS;
}

static void end_orphan(void *arg, pid_t pid)
{
    if (spawner_parent_of(pid) == getpid() && !slot_of_pid(pid)) {
        (void)kill(pid, *(const int *)arg);
    }
}

static void signal_all(int number)
{
    for (size_t i = 0; i < helper.slot_high; i++) {
        if (is_alive(&helper.slots[i])) {
            signal_slot(&helper.slots[i], number);
        }
    }
    (void)spawner_each_process(end_orphan, &number);
}

static void drain_signals(void)
{
    struct signalfd_siginfo info[16];
    while (read(helper.signal_fd, info, sizeof info) == (ssize_t)sizeof info) {
    }
}

static void reap_until(int64_t deadline)
{
    struct pollfd signals = {.fd = helper.signal_fd, .events = POLLIN};
    reap();
    for (int64_t left; helper.has_children && (left = deadline - now_ms()) > 0; reap()) {
        (void)poll(&signals, 1, (int)left);
        drain_signals();
    }
}

/* The daemon is gone. Whatever descends from the children is ours once its parents are dead: when
 * there is nothing left to reap, nothing is left at all. */
static _Noreturn void end_all(void)
{
    int64_t start = now_ms();
    signal_all(SIGTERM);
    reap_until(start + SPAWN_END_MS);
    while (helper.has_children && now_ms() - start < SPAWN_GIVE_UP_MS) {
        signal_all(SIGKILL);
        reap_until(now_ms() + KILL_ROUND_MS);
    }
    _exit(0);
}

/* ---- orders ----------------------------------------------------------------------------- */

/* Fewer than three, when our own table of descriptors is full, are taken only to be closed. */
static void take_fds(struct msghdr *message, int *fds)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    if (control && control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS) {
        size_t bytes = control->cmsg_len - CMSG_LEN(0);
        size_t room = sizeof(int) * SPAWN_STANDARD_FD;
        memcpy(fds, CMSG_DATA(control), bytes < room ? bytes : room);
    }
}

static void carry_out(const struct spawn_order *order, const int *fds)
{
    struct slot *slot;
    if (order->kind == SPAWN_START) {
        start(order, fds);
    } else if (order->kind == SPAWN_SIGNAL && (slot = slot_of_id(order->id))) {
        signal_slot(slot, order->signal_number);
    }
    for (int i = 0; i < SPAWN_STANDARD_FD; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
}

/* False when there is none for now. */
static bool take_order(void)
{
    struct spawn_order order;
    union {
        struct cmsghdr aligned;
        char bytes[CMSG_SPACE(sizeof(int) * SPAWN_STANDARD_FD)];
    } control;
    struct iovec parts[] = {{&order, sizeof order}, {helper.text, sizeof helper.text}};
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = 2,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    int fds[SPAWN_STANDARD_FD] = {-1, -1, -1};
    ssize_t len = recvmsg(SPAWN_SOCKET_FD, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (len < (ssize_t)sizeof order) {
        end_all();
    }
    take_fds(&message, fds);
    if ((size_t)len - sizeof order != order.text_bytes) {
        order.argc = 0; /* cut short: refused as no proper start */
    }
    carry_out(&order, fds);
    explicit_bzero(helper.text, (size_t)len - sizeof order); /* env may hold secrets */
    return true;
}

/* ---- the helper's own loop -------------------------------------------------------------- */

static nfds_t prepare_poll(bool wants_to_send)
{
    nfds_t count = EXEC_PIPES_AT;
    helper.polled[0] = (struct pollfd){
        .fd = SPAWN_SOCKET_FD, .events = (short)(POLLIN | (wants_to_send ? POLLOUT : 0))};
    helper.polled[1] = (struct pollfd){.fd = helper.signal_fd, .events = POLLIN};
    for (size_t i = 0; i < helper.slot_high; i++) {
        if (helper.slots[i].state == SLOT_STARTING && helper.slots[i].exec_pipe >= 0) {
            helper.polled[count++] =
                (struct pollfd){.fd = helper.slots[i].exec_pipe, .events = POLLIN};
        }
    }
    return count;
}

static void become_helper(int socket)
{
    sigset_t set;
    (void)sigfillset(&set);
    (void)sigprocmask(SIG_SETMASK, &set, NULL); /* only KILL and STOP reach the helper */
    default_signals();
    (void)setsid();
    (void)prctl(PR_SET_NAME, "toolbroker-child");
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)!chdir("/");
    if (socket != SPAWN_SOCKET_FD) {
        (void)dup2(socket, SPAWN_SOCKET_FD);
    }
    (void)fcntl(SPAWN_SOCKET_FD, F_SETFD, FD_CLOEXEC);
    closefrom(SPAWN_SOCKET_FD + 1);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < SPAWN_STANDARD_FD; fd++) {
        /* No pipe end of a child may come to lie here, so without /dev/null the socket does. */
        (void)dup2(null >= 0 ? null : SPAWN_SOCKET_FD, fd);
    }
    if (null >= SPAWN_STANDARD_FD) {
        (void)close(null);
    }
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    helper.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (helper.signal_fd < 0) {
        _exit(1); /* the daemon sees the socket close */
    }
}

_Noreturn void spawner_run(int socket)
{
    become_helper(socket);
    helper.sweep_wait_ms = -1;
    say_hello();
    for (bool wants_to_send = false;;) {
        nfds_t count = prepare_poll(wants_to_send);
        (void)poll(helper.polled, count, helper.sweep_wait_ms);
        for (int i = 0; i < ORDERS_A_ROUND && take_order(); i++) {
        }
        for (size_t i = 0; i < helper.slot_high; i++) {
            if (helper.slots[i].state == SLOT_STARTING) {
                read_exec_pipe(&helper.slots[i]);
            }
        }
        drain_signals();
        reap();
        wants_to_send = report_all();
        sweep();
    }
}
