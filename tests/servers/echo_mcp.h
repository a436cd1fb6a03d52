/* SPDX-License-Identifier: MIT */
/*
 * echo_mcp.h - just enough of an MCP server to be called: initialize, ping, tools/list, the tool
 * `echo` {message} that gives its message back, `text` and `rows` {bytes}, whose results are of about
 * that length, and `hang`, which is never answered.
 *
 * Owns:    the answer's bytes, which are reused by the next answer.
 */
#ifndef TESTS_SERVERS_ECHO_MCP_H
#define TESTS_SERVERS_ECHO_MCP_H

#include <stdbool.h>
#include <stddef.h>

struct echo_text {
    char *data;
    size_t length, capacity;
};

/* Appends; ends the program when there is no memory. */
void echo_text_add(struct echo_text *text, const char *data, size_t length);
void echo_text_puts(struct echo_text *text, const char *data);
/* Makes room for `length` more bytes behind the text and gives its place. */
char *echo_text_room(struct echo_text *text, size_t length);

/* Appends the answer to one JSON-RPC message, on one line without its end. Nothing is appended for
 * notifications, answers, and what is no JSON-RPC message. False: a request that hangs. */
bool echo_mcp_answer(const char *json, size_t length, struct echo_text *answer);

#endif
