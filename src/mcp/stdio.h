/* SPDX-License-Identifier: MIT */
/*
 * stdio.h - the stdio transport: one child process, one JSON text a line.
 *
 * The contract is that of transport.h; what is particular here:
 *
 * - What is sent within one turn of the loop is written at its end, at once. What the server does
 *   not read waits, at most 4 MiB (or one message, if that is longer): then send refuses.
 * - `opened` comes when the program runs; a program that cannot be started gives `closed`.
 * - Lines that cannot be JSON-RPC are skipped and counted; one longer than message_bytes ends the
 *   process (EXTERNAL_TOOL_EXECUTION_FAILED), for there is no telling what follows it.
 * - `closed` waits for the process's end, for a moment, so that it can say how it ended. Messages
 *   that were written before the end are delivered before `closed`.
 * - details of failures: stderr_tail (the last lines, printable), exit_status or signal.
 *
 * Owns:    the child and its pipes. free kills the child's process group at once.
 * Thread:  the loop thread only.
 */
#ifndef MCP_STDIO_H
#define MCP_STDIO_H

#include "loop/child.h"
#include "mcp/transport.h"

#include <stddef.h>
#include <stdint.h>

struct mcp_stdio_options {
    struct loop *loop;
    struct children *children;
    const char *service;     /* its name, for log lines; NULL: none */
    const char *const *argv; /* the command first, looked up in PATH of `env` */
    const char *const *env;  /* "NAME=value", expanded, complete: nothing is inherited */
    const char *cwd;         /* NULL: "/" */
    struct child_limits limits;
    size_t message_bytes; /* longest line of the server */
    mono_us term_after;   /* close: from closing stdin to TERM; 0: 2 s */
    mono_us kill_after;   /* and from TERM to KILL; 0: 2 s */
};

/* Options are copied (and wiped after open); `events` (the table) is kept. Never NULL. */
struct mcp_transport *mcp_stdio_new(const struct mcp_stdio_options *options,
                                    const struct mcp_transport_events *events, void *arg);

/* Lines of the server that were skipped so far. */
uint64_t mcp_stdio_skipped(const struct mcp_transport *transport);

#endif
