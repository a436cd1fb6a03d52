/* SPDX-License-Identifier: MIT */
/*
 * connect.h - from a configured service and an identity to the transport that reaches its server.
 *
 * Errors:  NULL with *failure filled when a value cannot be expanded or credentials are missing;
 *          no secret is in it.
 */
#ifndef MCP_CONNECT_H
#define MCP_CONNECT_H

#include "mcp/service.h"
#include "mcp/session.h"

/* core->connect; `arg` is the struct mcp_services_options. */
struct mcp_transport *connect_transport(void *arg, const struct mcp_session *session,
                                        const struct mcp_transport_events *events,
                                        void *events_arg, struct failure *failure);

#endif
