/* SPDX-License-Identifier: MIT */
/* mcp_json.h - an entry of a standard `mcpServers` file as a service. Only for conf/. */
#ifndef CONF_MCP_JSON_H
#define CONF_MCP_JSON_H

#include "base/buf.h"
#include "conf/check.h"

/* Appends the table of a service (as in services.lua) made of the entry at check's path. False,
 * and faults, when that cannot be. Keys that other tools keep there are passed over. */
bool mcp_json_service(struct check *check, struct slice entry, struct buf *out);

#endif
