/* SPDX-License-Identifier: MIT */
/*
 * tool.h - the tools of one server, as it listed them.
 *
 * Life:    a catalogue is immutable and counted; slices of a tool live as long as its catalogue.
 * Thread:  the loop thread.
 */
#ifndef MCP_TOOL_H
#define MCP_TOOL_H

#include "base/slice.h"
#include "value/schema.h"

#include <stdbool.h>
#include <stddef.h>

struct mcp_tool {
    struct slice name;
    struct slice definition; /* the server's own map, MessagePack, unchanged */
    struct slice warnings; /* MessagePack array of texts: what is odd about its names and texts;
                                empty: nothing */
    bool says_harmless;    /* its readOnlyHint or idempotentHint: twice does no harm, it says */
    /* Compiled by the first call; NULL before, and for one that cannot be compiled: said once in
     * the log, nothing is checked then. */
    struct schema *input, *output;
};

/* Immutable, counted. Sessions of one service that get the same list share it. */
struct mcp_catalog {
    unsigned references;
    size_t count;
    struct mcp_tool *tools; /* in the server's order; what is withheld is not among them */
};

struct mcp_catalog *mcp_catalog_ref(struct mcp_catalog *catalog);
struct mcp_catalog *mcp_catalog_unref(struct mcp_catalog *catalog); /* always NULL */
const struct mcp_tool *mcp_catalog_find(const struct mcp_catalog *catalog, struct slice name);

#endif
