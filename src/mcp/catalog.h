/* SPDX-License-Identifier: MIT */
/*
 * catalog.h - builds catalogues of tools, and what only this room may see of one.
 *
 * A catalogue is one piece of memory: the tools, an index by name, the definitions. Schemas are
 * compiled when a tool is first called, because most tools never are.
 *
 * Owns:    struct mcp_catalog (tool.h) owns all of it; counted references.
 */
#ifndef MCP_CATALOG_H
#define MCP_CATALOG_H

#include "base/buf.h"
#include "mcp/param_header.h"
#include "mcp/tool.h"

#include <stdbool.h>
#include <stdint.h>

#define CATALOG_TOOLS_MAX 20000u
#define CATALOG_BYTES_MAX ((size_t)32 * 1024 * 1024)

/* What keeps a tool out of a catalogue, beside having no name, or one that is taken. */
struct catalog_rules {
    bool has_headers; /* x-mcp-header counts: Streamable HTTP with a modern revision */
    bool (*withholds)(void *arg, struct slice tool, struct slice definition); /* or NULL */
    void *arg;
};

/* `definitions`: `count` MessagePack maps, one behind the other; copied. `rules` NULL: none. NULL: no
 * memory. */
struct mcp_catalog *catalog_build(struct slice definitions, size_t count,
                                  const struct catalog_rules *rules);
struct mcp_catalog *catalog_empty(void);

/* From the same definitions, by other rules. */
struct mcp_catalog *catalog_rebuild(const struct mcp_catalog *catalog,
                                    const struct catalog_rules *rules);

/* What it was built from, withheld tools and all. */
struct slice catalog_definitions(const struct mcp_catalog *catalog, size_t *ret_count);

/* Whether it was built from just these, with the same `has_headers`. */
bool catalog_is_of(const struct mcp_catalog *catalog, struct slice definitions, size_t count,
                   const struct catalog_rules *rules);

/* What is not in it: how many had no name of their own; how many were left out for their headers,
 * as pairs of texts tool, reason; the names of those withheld. MessagePack without an outer header. */
struct catalog_absent {
    size_t nameless;
    size_t left_out_count, withheld_count;
    struct slice left_out, withheld;
};
struct catalog_absent catalog_absent(const struct mcp_catalog *catalog);
bool catalog_withholds(const struct mcp_catalog *catalog, struct slice tool);

/* The compiled inputSchema, or outputSchema; NULL: it has none, or none that can be compiled (logged
 * once). */
const struct schema *catalog_input(const struct mcp_catalog *catalog,
                                   const struct mcp_tool *tool, struct slice service);
const struct schema *catalog_output(const struct mcp_catalog *catalog,
                                    const struct mcp_tool *tool, struct slice service);

/* Arguments that go into headers as well; NULL: none. */
const struct param_headers *catalog_headers(const struct mcp_catalog *catalog,
                                            const struct mcp_tool *tool);

#endif
