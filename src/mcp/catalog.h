/* SPDX-License-Identifier: MIT */
/*
 * catalog.h - builds catalogues of tools, and what only this room may see of one.
 *
 * A catalogue is one piece of memory: the tools, an index by name, the definitions. Schemas are
 * compiled when a tool is first called, because most tools never are.
 *
 * Owns:    struct mcp_catalog (service.h) owns all of it; counted references.
 */
#ifndef MCP_CATALOG_H
#define MCP_CATALOG_H

#include "mcp/service.h"

#include <stdint.h>

#define CATALOG_TOOLS_MAX 20000u
#define CATALOG_BYTES_MAX ((size_t)32 * 1024 * 1024)

/* `definitions`: `count` MessagePack maps, one behind the other; copied. What has no name, and
 * second tools of one name, are left out: `*ret_dropped` counts them. NULL: no memory. */
struct mcp_catalog *catalog_build(struct slice definitions, size_t count, size_t *ret_dropped);
struct mcp_catalog *catalog_empty(void);

/* The compiled inputSchema; NULL: it has none, or none that can be compiled (logged once). */
const struct schema *catalog_input(const struct mcp_catalog *catalog,
                                   const struct mcp_tool *tool, struct slice service);

#endif
