/* SPDX-License-Identifier: MIT */
/* stdio_end.h - the words for how a stdio server's end came about: pure. */
#ifndef MCP_STDIO_END_H
#define MCP_STDIO_END_H

#include "base/err.h"
#include "mcp/tail.h"
#include "value/failure.h"

#include <stddef.h>

enum stdio_breach {
    STDIO_WHOLE,         /* nothing but the process's own end */
    STDIO_STDIN_CLOSED,  /* by the server */
    STDIO_STDOUT_CLOSED, /* by the server */
    STDIO_LINE_TOO_LONG,
    STDIO_NO_MEMORY
};

struct stdio_end {
    enum stdio_breach breach;
    const int *status;     /* as of waitpid; NULL: the process did not end yet */
    const struct err *err; /* it could not be started, or was lost; NULL: neither */
    size_t longest;        /* line that was allowed */
    const struct tail *tail;
};

/* Fills code, message, suggestion, details {stderr_tail, exit_status or signal}. */
void stdio_end_describe(const struct stdio_end *end, struct failure *failure);

/* It does not answer. `odd_line`: the first of its standard output that is no JSON-RPC; NULL: none.
 * Adds to message and suggestion, and details {stderr_tail, stdout_line}. */
void stdio_silence_describe(const char *odd_line, const struct tail *tail,
                            struct failure *failure);

#endif
