/* SPDX-License-Identifier: MIT */
/*
 * revision.h - the protocol revisions that we speak, as data (revision.def).
 *
 * Life: static, for ever.
 */
#ifndef MCP_REVISION_H
#define MCP_REVISION_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>

enum era { ERA_LEGACY, ERA_MODERN };

struct revision {
    const char *name;
    enum era era;
    bool has_batches;
    unsigned capabilities; /* enum mcp_capability: those that can be declared in it */
};

/* What `initialize` asks for: the newest that has a handshake. What `server/discover` asks with:
 * the newest that has none. */
const struct revision *revision_offered(void);
const struct revision *revision_modern(void);

/* NULL when we do not speak it. */
const struct revision *revision_find(struct slice name);

bool revision_is_newer(const struct revision *a, const struct revision *b);

/* Appends "2025-11-25, 2025-06-18, ..." for messages. */
void revision_put_names(struct buf *out);

#endif
