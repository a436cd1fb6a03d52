/* SPDX-License-Identifier: MIT */
/* stdio_end.c - says how a stdio server ended. */
#include "mcp/stdio_end.h"

#include <string.h>
#include <sys/wait.h>

static void describe_status(struct failure *failure, int status)
{
    if (WIFSIGNALED(status)) {
        const char *name = sigdescr_np(WTERMSIG(status));
        failure_set(failure, ERR_UNAVAILABLE, "the process was killed by signal %d (%s)",
                    WTERMSIG(status), name ? name : "unknown");
        failure_detail_int(failure, "signal", WTERMSIG(status));
    } else {
        failure_set(failure, ERR_UNAVAILABLE, "the process ended with status %d",
                    WEXITSTATUS(status));
        failure_detail_int(failure, "exit_status", WEXITSTATUS(status));
    }
    failure->class = FAILURE_PROCESS;
}

static void describe_breach(const struct stdio_end *end, struct failure *failure)
{
    switch (end->breach) {
    case STDIO_LINE_TOO_LONG:
        failure_set(failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                    "the server wrote a line longer than %zu bytes, and was ended",
                    end->longest);
        failure->class = FAILURE_PROTOCOL;
        break;
    case STDIO_NO_MEMORY:
        /* Not OVERLOADED, which says that nothing was done. */
        failure_set(failure, ERR_UNAVAILABLE,
                    "no memory for a message of the server, which was ended");
        failure->class = FAILURE_OF_BROKER;
        break;
    case STDIO_STDIN_CLOSED:
        failure_set(failure, ERR_UNAVAILABLE,
                    "the process closed its standard input, but did not end");
        failure->class = FAILURE_PROCESS;
        break;
    default:
        failure_set(failure, ERR_UNAVAILABLE,
                    "the process closed its standard output, but did not end");
        failure->class = FAILURE_PROCESS;
        break;
    }
}

#define READ_TAIL "Read what the server said last (details.stderr_tail)."

static bool add_tail(const struct tail *tail, struct failure *failure)
{
    struct buf text;
    buf_init(&text, TAIL_TEXT_BYTES);
    tail_put_text(tail, &text);
    bool has_any = text.len > 0;
    if (has_any) {
        failure_detail_str(failure, "stderr_tail", buf_slice(&text));
    }
    buf_done(&text);
    return has_any;
}

void stdio_end_describe(const struct stdio_end *end, struct failure *failure)
{
    bool is_ours = end->breach == STDIO_LINE_TOO_LONG || end->breach == STDIO_NO_MEMORY;
    if (end->err) {
        failure_set(failure, ERR_UNAVAILABLE, "%s", end->err->text);
        failure->class = end->err->code == ERR_OVERLOADED ? FAILURE_OF_BROKER : FAILURE_PROCESS;
        if (end->err->code != ERR_UNAVAILABLE && end->err->code != ERR_OVERLOADED) {
            failure->is_retryable = false;
            failure_suggest(failure, "Install the program, or correct `command`, `args`, `env` "
                                     "or `cwd` of this service.");
        }
    } else if (end->status && !is_ours) {
        describe_status(failure, *end->status);
    } else {
        describe_breach(end, failure);
    }
    if (add_tail(end->tail, failure) && !end->err && !is_ours) {
        failure_suggest(failure, READ_TAIL);
    }
}

void stdio_silence_describe(const char *odd_line, const struct tail *tail,
                            struct failure *failure)
{
    if (add_tail(tail, failure)) {
        failure_suggest(failure, READ_TAIL);
    }
    if (odd_line) {
        buf_printf(&failure->message, "; it wrote what is no JSON-RPC: \"%s\"", odd_line);
        failure_suggest(failure, "Check `command` and `args`: an MCP server over stdio writes "
                                 "nothing but JSON-RPC to its standard output.");
        failure_detail_text(failure, "stdout_line", odd_line);
    }
}
