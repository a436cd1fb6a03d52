/* SPDX-License-Identifier: MIT */
/*
 * param_header.h - arguments of a tool that a modern server wants in HTTP headers as well.
 *
 * A property of the inputSchema says so with `x-mcp-header: "NAME"`: its value is then sent as
 * Mcp-Param-NAME too. A tool that says so against the rules must not be called over HTTP.
 *
 * Owns:    struct param_headers owns all it needs: the schema's bytes may go after compiling.
 * Life:    immutable after param_headers_compile; param_headers_free(NULL) is fine.
 * Errors:  compile: ERR_VALIDATION_ERROR names the rule and the place in the schema.
 */
#ifndef MCP_PARAM_HEADER_H
#define MCP_PARAM_HEADER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "mcp/transport.h"

/* More of one tool are an error. */
#define PARAM_HEADERS_MAX 64u

struct param_headers;

/* `input_schema` is MessagePack. *ret is NULL when the schema asks for none. */
int param_headers_compile(struct slice input_schema, struct param_headers **ret,
                          struct err *reterr);
void param_headers_free(struct param_headers *headers);

/* Fills `ret` (of PARAM_HEADERS_MAX) with the headers of `arguments`, MessagePack; what is absent,
 * null or no integer, boolean or string is left out. Texts that are made here are appended to
 * `text`, and all are good as long as `arguments` and `text` are. Returns their count; 0 with
 * text->overflow set when there is no memory. */
unsigned param_headers_fill(const struct param_headers *headers, struct slice arguments,
                            struct mcp_param_header *ret, struct buf *text);

#endif
