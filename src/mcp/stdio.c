/* SPDX-License-Identifier: MIT */
/* stdio.c - the stdio transport: moves lines through the pipes of a child; knows no JSON-RPC. */
#include "mcp/stdio.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "loop/block.h"
#include "mcp/command.h"
#include "mcp/lines.h"
#include "mcp/stdio_end.h"
#include "mcp/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define QUEUE_BYTES     ((size_t)4 * 1024 * 1024)
#define QUEUE_FIRST     1024u /* also what an idle service keeps */
#define QUEUE_MOVE      ((size_t)65536)
#define WRITE_AT_ONCE   ((size_t)32768) /* larger messages are not gathered, to save the copy */
#define WIDE_PIPE       262144
#define READS_AT_END    64 /* what a pipe holds, and more if somebody still writes */
#define CLOSE_AFTER_US  2000000
#define END_WAIT_US     300000 /* for the process's end, once a pipe is closed */
#define SKIP_LOG_US     10000000
#define SKIP_LOG_BYTES  200
#define MESSAGE_DEFAULT ((size_t)64 * 1024 * 1024)

enum state {
    STATE_NEW,
    STATE_STARTING,
    STATE_OPEN,
    STATE_BROKEN, /* the wire is of no use; the process's end is awaited, to say how it ended */
    STATE_CLOSING, /* as asked: stdin is closed, TERM, KILL follow */
    STATE_CLOSED   /* `closed` was told */
};

enum got { GOT_SOME, GOT_NOTHING, GOT_END, GOT_FREED };

struct stdio {
    struct mcp_transport transport;
    struct loop *loop;
    struct children *children;
    struct child *child;
    const struct mcp_transport_events *events;
    void *arg;
    enum state state;
    enum stdio_breach breach;
    int close_step;
    bool is_stdin_wide, is_stdout_wide;
    bool is_readable;          /* stdout has not ended and is of use */
    bool is_held;              /* but is not read now */
    bool is_opened;            /* `opened` was told: not if it was closed before */
    bool is_telling, is_freed; /* freed while an event runs: the memory goes when it returns */
    struct loop_io to_child, from_child, errors;
    struct loop_turn_end flush;
    struct loop_timer timer;
    struct loop_task start_failed;
    struct err *start_err;
    struct buf queue; /* from queue_at: not written yet */
    size_t queue_at, queue_max;
    struct lines lines;
    struct tail tail;
    uint64_t skipped;
    char *odd_line; /* the first of them; NULL: none */
    mono_us skip_logged;
    mono_us term_after, kill_after;
    char *service;
    struct command *command; /* until open */
    struct child_limits limits;
};

/* One for all: a whole line is used up before the next read, by whichever transport. */
static char scratch[LINES_SCRATCH];

static struct stdio *stdio_of(struct mcp_transport *transport)
{
    return (struct stdio *)(void *)transport;
}

/* ---- events ------------------------------------------------------------------------------ */

static void release(struct stdio *stdio)
{
    command_free(stdio->command);
    block_done_buf(stdio->loop, &stdio->queue);
    block_done_buf(stdio->loop, &stdio->lines.rest);
    lines_done(&stdio->lines);
    tail_done(&stdio->tail);
    mem_free(stdio->start_err);
    mem_free(stdio->service);
    mem_free(stdio->odd_line);
    mem_free(stdio);
}

/* After an event: false if the transport was freed in it, and is gone now. */
static bool told(struct stdio *stdio)
{
    stdio->is_telling = false;
    if (stdio->is_freed) {
        release(stdio);
        return false;
    }
    return true;
}

static void stop_io(struct stdio *stdio)
{
    loop_io_done(&stdio->to_child);
    loop_io_done(&stdio->from_child);
    loop_io_done(&stdio->errors);
    loop_remove_turn_end(&stdio->flush);
    loop_timer_cancel(stdio->loop, &stdio->timer);
    loop_task_cancel(&stdio->start_failed);
}

/* ---- the end ----------------------------------------------------------------------------- */

/* The last thing that happens: tells `closed`. `status` NULL: the process may still be there. */
static void finish(struct stdio *stdio, const int *status, const struct err *err)
{
    struct failure failure = {.retry_after_ms = -1};
    bool is_asked_for = stdio->state == STATE_CLOSING;
    stop_io(stdio);
    stdio->state = STATE_CLOSED;
    stdio->is_telling = true;
    if (!is_asked_for) {
        struct stdio_end end = {.breach = stdio->breach,
                                .status = status,
                                .err = err,
                                .longest = stdio->lines.longest,
                                .tail = &stdio->tail};
        stdio_end_describe(&end, &failure);
    }
    if (!status && !err && stdio->child) {
        child_signal(stdio->child, SIGTERM);
    }
    stdio->events->closed(stdio->arg, is_asked_for ? NULL : &failure);
    failure_done(&failure);
    (void)told(stdio);
}

/* Ends the use of the wire. How the process ends says more than a closed pipe: it is given a
 * moment for that. */
static void break_off(struct stdio *stdio, enum stdio_breach breach)
{
    loop_io_done(&stdio->to_child);
    loop_remove_turn_end(&stdio->flush);
    block_done_buf(stdio->loop, &stdio->queue);
    stdio->queue_at = 0;
    child_close_stdin(stdio->child);
    if (breach != STDIO_STDIN_CLOSED) {
        stdio->is_readable = false;
        loop_io_done(&stdio->from_child);
    }
    if (breach == STDIO_LINE_TOO_LONG || breach == STDIO_NO_MEMORY) {
        child_signal(stdio->child, SIGKILL);
    }
    if (stdio->state == STATE_OPEN) {
        stdio->state = STATE_BROKEN;
        stdio->breach = breach;
        loop_timer_set(stdio->loop, &stdio->timer, loop_now(stdio->loop) + END_WAIT_US);
    }
}

/* ---- reading ----------------------------------------------------------------------------- */

static void skip(struct stdio *stdio, struct slice line)
{
    mono_us now = loop_now(stdio->loop);
    char text[SKIP_LOG_BYTES + 1];
    stdio->skipped++;
    if (!stdio->odd_line) {
        text_copy(text, sizeof text, line);
        stdio->odd_line = mem_dup(slice_of(text));
    }
    if (stdio->skipped == 1 || now - stdio->skip_logged >= SKIP_LOG_US) {
        stdio->skip_logged = now;
        line.len = line.len < SKIP_LOG_BYTES ? line.len : SKIP_LOG_BYTES;
        log_at(LOG_WARN, "mcp", "line on stdout is no JSON-RPC, skipped",
               LOG_TEXT("service", stdio->service), LOG_INT("skipped", stdio->skipped),
               LOG_SLICE("line", line));
    }
}

/* False if the transport was freed in it. */
static bool take_line(struct stdio *stdio, struct slice line)
{
    while (line.len && (line.ptr[0] == ' ' || line.ptr[0] == '\t')) {
        line.ptr++;
        line.len--;
    }
    if (line.len && line.ptr[line.len - 1] == '\r') {
        line.len--;
    }
    if (!line.len || !stdio->is_opened) {
        return true;
    }
    if (line.ptr[0] != '{' && line.ptr[0] != '[') {
        skip(stdio, line);
        return true;
    }
    struct loop *loop = stdio->loop;
    struct buf buf;
    bool is_apart = line.len >= MCP_LONG_MESSAGE && lines_take(&stdio->lines, line, &buf);
    stdio->is_telling = true;
    mcp_tell_message(stdio->events, stdio->arg, is_apart ? &buf : NULL, line, 0);
    if (is_apart) {
        block_done_buf(loop, &buf);
    }
    return told(stdio);
}

/* A pipe holds 64 KiB: a larger message takes a switch of processes for each of them. The memory
 * for wide pipes is rationed by the system, so only those get one that need it. */
static void widen(int fd, bool *is_wide)
{
    if (!*is_wide) {
        *is_wide = true;
        (void)fcntl(fd, F_SETPIPE_SZ, WIDE_PIPE);
    }
}

static enum got take_lines(struct stdio *stdio)
{
    struct slice line;
    int got;
    while ((got = lines_next(&stdio->lines, &line)) > 0) {
        if (!take_line(stdio, line)) {
            return GOT_FREED;
        }
    }
    got = got < 0 ? got : lines_keep(&stdio->lines);
    if (got < 0) {
        break_off(stdio, got == -(int)ERR_OVERLOADED ? STDIO_NO_MEMORY : STDIO_LINE_TOO_LONG);
        return GOT_END;
    }
    if (stdio->lines.is_long) {
        widen(child_stdout(stdio->child), &stdio->is_stdout_wide);
    }
    return GOT_SOME;
}

/* One read, however much there is: others have their turn too. */
static enum got read_stdout(struct stdio *stdio)
{
    size_t size;
    char *room = lines_room(&stdio->lines, scratch, &size);
    if (!room) {
        break_off(stdio, STDIO_NO_MEMORY);
        return GOT_END;
    }
    ssize_t len = read(child_stdout(stdio->child), room, size);
    if (len > 0) {
        lines_got(&stdio->lines, room, (size_t)len);
        return take_lines(stdio);
    }
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return GOT_NOTHING;
    }
    return GOT_END;
}

static void stdout_ready(void *arg, unsigned events)
{
    struct stdio *stdio = arg;
    (void)events;
    if (read_stdout(stdio) == GOT_END) {
        stdio->is_readable = false;
        loop_io_done(&stdio->from_child);
        if (stdio->state == STATE_OPEN) {
            break_off(stdio, STDIO_STDOUT_CLOSED);
        }
    }
}

static void log_errors(const struct stdio *stdio, struct slice bytes)
{
    while (bytes.len) {
        const char *newline = memchr(bytes.ptr, '\n', bytes.len);
        size_t len = newline ? (size_t)(newline - bytes.ptr) : bytes.len;
        log_at(LOG_DEBUG, "mcp", "stderr of a server", LOG_TEXT("service", stdio->service),
               LOG_SLICE("line", ((struct slice){bytes.ptr, len})));
        len += newline != NULL;
        bytes.ptr += len;
        bytes.len -= len;
    }
}

static enum got read_stderr(struct stdio *stdio)
{
    ssize_t len = read(child_stderr(stdio->child), scratch, sizeof scratch);
    if (len > 0) {
        struct slice bytes = {scratch, (size_t)len};
        tail_add(&stdio->tail, bytes);
        if (log_threshold <= LOG_DEBUG) {
            log_errors(stdio, bytes);
        }
        return GOT_SOME;
    }
    return len < 0 && (errno == EAGAIN || errno == EINTR) ? GOT_NOTHING : GOT_END;
}

static void stderr_ready(void *arg, unsigned events)
{
    struct stdio *stdio = arg;
    (void)events;
    if (read_stderr(stdio) == GOT_END) {
        loop_io_done(&stdio->errors);
    }
}

/* ---- writing ----------------------------------------------------------------------------- */

static void close_stdin(struct stdio *stdio)
{
    loop_io_done(&stdio->to_child);
    child_close_stdin(stdio->child);
}

static void write_queue(struct stdio *stdio)
{
    size_t len = stdio->queue.len - stdio->queue_at;
    ssize_t written = 0;
    if (len) {
        written = write(child_stdin(stdio->child), stdio->queue.data + stdio->queue_at, len);
        if (written < 0 && errno != EAGAIN && errno != EINTR) {
            break_off(stdio, STDIO_STDIN_CLOSED);
            return;
        }
    }
    stdio->queue_at += written > 0 ? (size_t)written : 0;
    if (stdio->queue_at < stdio->queue.len) {
        loop_io_want(&stdio->to_child, LOOP_WRITE);
        return;
    }
    block_trim_buf(stdio->loop, &stdio->queue, QUEUE_FIRST);
    stdio->queue_at = 0;
    loop_io_want(&stdio->to_child, 0);
    if (stdio->state == STATE_CLOSING) {
        close_stdin(stdio);
    }
}

static void flush(void *arg)
{
    struct stdio *stdio = arg;
    loop_remove_turn_end(&stdio->flush);
    write_queue(stdio);
}

static void stdin_ready(void *arg, unsigned events)
{
    (void)events;
    write_queue(arg);
}

static bool may_write(const struct stdio *stdio)
{
    return stdio->child && child_pid(stdio->child) && !stdio->to_child.wanted;
}

/* What is sent before the program runs waits for it, and what waits for the pipe goes first. */
static void flush_soon(struct stdio *stdio)
{
    if (may_write(stdio) && !list_has(&stdio->flush.link)) {
        loop_add_turn_end(stdio->loop, &stdio->flush);
    }
}

/* How much of the message and its newline could be written; an error shows at the next write. */
static size_t write_at_once(struct stdio *stdio, struct slice json)
{
    struct iovec parts[] = {{(void *)json.ptr, json.len}, {"\n", 1}};
    widen(child_stdin(stdio->child), &stdio->is_stdin_wide);
    ssize_t written = writev(child_stdin(stdio->child), parts, 2);
    return written > 0 ? (size_t)written : 0;
}

/* Queues a message, of which `written` bytes are gone: there is room for it. */
static void put_rest(struct stdio *stdio, struct slice json, size_t written)
{
    if (written > json.len) {
        block_trim_buf(stdio->loop, &stdio->queue, QUEUE_FIRST);
        return;
    }
    buf_put(&stdio->queue, json.ptr + written, json.len - written);
    buf_put_byte(&stdio->queue, '\n');
    if (written) {
        loop_io_want(&stdio->to_child, LOOP_WRITE);
    }
}

/* A long message that nothing waits before becomes the queue itself. */
static bool take_over(struct stdio *stdio, const struct mcp_outgoing *message)
{
    struct buf *own = message->own;
    size_t max = stdio->queue.max;
    if (!own || own->data != message->json.ptr || stdio->queue_at < stdio->queue.len) {
        return false;
    }
    own->len = message->json.len;
    buf_put_byte(own, '\n');
    if (own->overflow) {
        return false;
    }
    block_done_buf(stdio->loop, &stdio->queue);
    stdio->queue = *own;
    stdio->queue.max = max;
    stdio->queue_at = 0;
    *own = (struct buf){.max = own->max};
    if (stdio->child) {
        widen(child_stdin(stdio->child), &stdio->is_stdin_wide);
    }
    return true;
}

static int enqueue(struct stdio *stdio, const struct mcp_outgoing *message,
                   struct failure *failure)
{
    struct slice json = message->json;
    struct buf *queue = &stdio->queue;
    size_t waiting = queue->len - stdio->queue_at;
    if (json.len >= stdio->queue_max) {
        failure_set(failure, ERR_OVERLOADED,
                    "the message is %zu bytes long, and this server is sent at most %zu",
                    json.len, stdio->queue_max - 1);
        failure->is_retryable = false;
        return -(int)ERR_OVERLOADED;
    }
    if (waiting && waiting + json.len >= stdio->queue_max) {
        failure_set(failure, ERR_OVERLOADED, "the server does not read: %zu bytes wait for it",
                    waiting);
        failure->class = FAILURE_NETWORK;
        return -(int)ERR_OVERLOADED;
    }
    if (take_over(stdio, message)) {
        return 0;
    }
    if (stdio->queue_at > QUEUE_MOVE && stdio->queue_at > waiting) {
        buf_consume(queue, stdio->queue_at);
        stdio->queue_at = 0;
    }
    size_t room = json.len + 1;
    if (!buf_reserve(queue, queue->cap || room > QUEUE_FIRST ? room : QUEUE_FIRST)) {
        queue->overflow = false;
        failure_set(failure, ERR_OVERLOADED, "no memory for a message to the server");
        return -(int)ERR_OVERLOADED;
    }
    if (!waiting && json.len >= WRITE_AT_ONCE && may_write(stdio)) {
        put_rest(stdio, json, write_at_once(stdio, json));
    } else {
        put_rest(stdio, json, 0);
    }
    return 0;
}

static int stdio_send(struct mcp_transport *transport, const struct mcp_outgoing *message,
                      struct failure *failure)
{
    struct stdio *stdio = stdio_of(transport);
    if (stdio->state != STATE_STARTING && stdio->state != STATE_OPEN) {
        failure_set(failure, ERR_UNAVAILABLE, "the process of this server has ended");
        failure->class = FAILURE_PROCESS;
        return -(int)ERR_UNAVAILABLE;
    }
    if (!message->own && memchr(message->json.ptr, '\n', message->json.len)) {
        failure_set(failure, ERR_INTERNAL, "a message to the server holds a newline");
        return -(int)ERR_INTERNAL;
    }
    int failed = enqueue(stdio, message, failure);
    if (!failed) {
        flush_soon(stdio);
    }
    return failed;
}

/* ---- the child --------------------------------------------------------------------------- */

static void child_started(void *arg, pid_t pid)
{
    struct stdio *stdio = arg;
    (void)pid;
    stdio->is_readable = true;
    loop_io_want(&stdio->from_child, LOOP_READ);
    loop_io_want(&stdio->errors, LOOP_READ);
    if (stdio->queue.len) {
        flush_soon(stdio);
    }
    if (stdio->state == STATE_CLOSING) {
        return;
    }
    stdio->state = STATE_OPEN;
    stdio->is_opened = true;
    stdio->is_telling = true;
    stdio->events->opened(stdio->arg);
    (void)told(stdio);
}

static void child_ended(void *arg, int status, const struct err *err)
{
    struct stdio *stdio = arg;
    enum got got = GOT_SOME;
    loop_io_done(&stdio->to_child);
    /* What it wrote before its end is still in the pipes. */
    bool is_readable = !err && stdio->breach <= STDIO_STDIN_CLOSED;
    for (int i = 0; i < READS_AT_END && got == GOT_SOME && is_readable; i++) {
        got = read_stdout(stdio);
    }
    if (got == GOT_FREED) {
        return;
    }
    for (int i = 0; i < READS_AT_END && !err && read_stderr(stdio) == GOT_SOME; i++) {
    }
    finish(stdio, err ? NULL : &status, err);
}

static void start_failed(void *arg)
{
    struct stdio *stdio = arg;
    finish(stdio, NULL, stdio->start_err);
}

static void time_is_up(void *arg)
{
    struct stdio *stdio = arg;
    if (stdio->state == STATE_BROKEN) {
        finish(stdio, NULL, NULL);
        return;
    }
    switch (stdio->close_step++) {
    case 0:
        close_stdin(stdio);
        child_signal(stdio->child, SIGTERM);
        break;
    case 1:
        log_at(LOG_INFO, "mcp", "server did not end when asked to, killed",
               LOG_TEXT("service", stdio->service));
        child_signal(stdio->child, SIGKILL);
        break;
    default:
        finish(stdio, NULL, NULL);
        return;
    }
    loop_timer_set(stdio->loop, &stdio->timer, loop_now(stdio->loop) + stdio->kill_after);
}

static void stdio_open(struct mcp_transport *transport)
{
    static const struct child_events events = {child_started, child_ended};
    struct stdio *stdio = stdio_of(transport);
    struct err err;
    struct child_options options = command_options(stdio->command);
    options.limits = stdio->limits;
    stdio->state = STATE_STARTING;
    if (child_spawn(stdio->children, &options, &events, stdio, &stdio->child, &err) != 0) {
        stdio->start_err = mem_new(sizeof err);
        *stdio->start_err = err;
        loop_later(stdio->loop, &stdio->start_failed);
    } else {
        loop_io_init(&stdio->to_child, stdio->loop, child_stdin(stdio->child), stdin_ready,
                     stdio);
        loop_io_init(&stdio->from_child, stdio->loop, child_stdout(stdio->child), stdout_ready,
                     stdio);
        loop_io_init(&stdio->errors, stdio->loop, child_stderr(stdio->child), stderr_ready,
                     stdio);
    }
    command_free(stdio->command);
    stdio->command = NULL;
}

static void stdio_close(struct mcp_transport *transport)
{
    struct stdio *stdio = stdio_of(transport);
    if (stdio->state == STATE_CLOSING || stdio->state == STATE_CLOSED) {
        return;
    }
    stdio->state = STATE_CLOSING;
    if (!stdio->child) { /* never opened, or it could not be */
        loop_later(stdio->loop, &stdio->start_failed);
        return;
    }
    if (stdio->queue_at == stdio->queue.len) {
        close_stdin(stdio); /* else when all is written */
    }
    loop_timer_set(stdio->loop, &stdio->timer, loop_now(stdio->loop) + stdio->term_after);
}

static void stdio_free(struct mcp_transport *transport)
{
    struct stdio *stdio = stdio_of(transport);
    if (!transport || stdio->is_freed) {
        return;
    }
    stop_io(stdio);
    child_free(stdio->child);
    stdio->child = NULL;
    stdio->is_freed = true;
    if (!stdio->is_telling) {
        release(stdio);
    }
}

static void stdio_abandon(struct mcp_transport *transport, mcp_token token)
{
    (void)transport;
    (void)token;
}

static void stdio_hold(struct mcp_transport *transport, bool is_held)
{
    struct stdio *stdio = stdio_of(transport);
    stdio->is_held = is_held;
    if (stdio->is_readable && stdio->state != STATE_CLOSED) {
        loop_io_want(&stdio->from_child, is_held ? 0 : LOOP_READ);
    }
}

static void stdio_explain(const struct mcp_transport *transport, struct failure *failure)
{
    const struct stdio *stdio = (const struct stdio *)(const void *)transport;
    stdio_silence_describe(stdio->odd_line, &stdio->tail, failure);
}

static int64_t stdio_pid(const struct mcp_transport *transport)
{
    const struct stdio *stdio = (const struct stdio *)(const void *)transport;
    return stdio->child ? child_pid(stdio->child) : 0;
}

struct mcp_transport *mcp_stdio_new(const struct mcp_stdio_options *options,
                                    const struct mcp_transport_events *events, void *arg)
{
    static const struct mcp_transport_ops ops = {.open = stdio_open,
                                                 .send = stdio_send,
                                                 .abandon = stdio_abandon,
                                                 .close = stdio_close,
                                                 .free = stdio_free,
                                                 .hold = stdio_hold,
                                                 .explain = stdio_explain,
                                                 .pid = stdio_pid};
    struct stdio *stdio = mem_new(sizeof *stdio);
    size_t longest = options->message_bytes ? options->message_bytes : MESSAGE_DEFAULT;
    stdio->transport.ops = &ops;
    stdio->loop = options->loop;
    stdio->children = options->children;
    stdio->events = events;
    stdio->arg = arg;
    stdio->term_after = options->term_after ? options->term_after : CLOSE_AFTER_US;
    stdio->kill_after = options->kill_after ? options->kill_after : CLOSE_AFTER_US;
    stdio->service = mem_dup(slice_of(options->service));
    stdio->command = command_new(options->argv, options->env, options->cwd);
    stdio->limits = options->limits;
    stdio->queue_max = longest > QUEUE_BYTES ? longest : QUEUE_BYTES;
    buf_init(&stdio->queue, 2 * stdio->queue_max + 2 * QUEUE_MOVE);
    lines_init(&stdio->lines, longest);
    tail_init(&stdio->tail);
    stdio->flush = (struct loop_turn_end){{NULL, NULL}, flush, stdio};
    loop_timer_init(&stdio->timer, time_is_up, stdio);
    loop_task_init(&stdio->start_failed, start_failed, stdio);
    return &stdio->transport;
}

uint64_t mcp_stdio_skipped(const struct mcp_transport *transport)
{
    return ((const struct stdio *)(const void *)transport)->skipped;
}
