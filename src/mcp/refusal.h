/* SPDX-License-Identifier: MIT */
/*
 * refusal.h - the failures that the room of requests finds itself: their words and their details.
 *
 * Life:    each fills `failure`, which is the caller's.
 */
#ifndef MCP_REFUSAL_H
#define MCP_REFUSAL_H

#include "mcp/room.h"

/* Adds whose failure it is: the service, and the tool, prompt, uri or task. */
void blame(const struct mcp_request *request, struct failure *failure);

void refuse_unknown_tool(const struct mcp_request *request, struct failure *failure);
void refuse_arguments(const struct mcp_request *request, const struct schema *schema,
                      struct failure *failure);
/* `schema` NULL: nothing came where there should have been something. */
void refuse_output(const struct mcp_request *request, const struct schema *schema,
                   struct slice result, struct failure *failure);
void refuse_method(const struct mcp_request *request, struct failure *failure);
void refuse_timeout(const struct mcp_request *request, struct failure *failure);
void refuse_back_off(const struct mcp_request *request, struct failure *failure);

#endif
