/* SPDX-License-Identifier: MIT */
/*
 * probe_internal.h - a request that only looks whether its server answers: what the room needs of it.
 */
#ifndef MCP_PROBE_INTERNAL_H
#define MCP_PROBE_INTERNAL_H

#include "mcp/message.h"
#include "mcp/room.h"

/* What it waited for has come, or the session is to be looked at once more. */
void probe_go(struct mcp_request *request);
void probe_answered(struct mcp_request *request, const struct message *message);
/* Tells its end; the request is released by the caller. */
void probe_tell(struct mcp_request *request, const struct failure *failure);
void probe_drop(struct mcp_request *request);

#endif
