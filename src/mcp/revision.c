/* SPDX-License-Identifier: MIT */
/* revision.c - looks up protocol revisions in the table of revision.def. */
#include "mcp/revision.h"

#include "mcp/service.h"

#include <stddef.h>

#define OLD (MCP_CAN_SAMPLE | MCP_CAN_LIST_ROOTS | MCP_CAN_SHOW_APPS)
#define ALL \
    (OLD | MCP_CAN_ELICIT | MCP_CAN_ELICIT_URL | MCP_CAN_SAMPLE_TOOLS | MCP_CAN_SAMPLE_CONTEXT)

static const struct revision revisions[] = {
#define REVISION(id, name, era, has_batches, capabilities) \
    {name, era, has_batches, capabilities},
#include "mcp/revision.def"
#undef REVISION
};

#define REVISIONS (sizeof revisions / sizeof revisions[0])

static const struct revision *newest_of(enum era era)
{
    size_t i = 0;
    while (revisions[i].era != era) {
        i++;
    }
    return &revisions[i];
}

const struct revision *revision_offered(void)
{
    return newest_of(ERA_LEGACY);
}

const struct revision *revision_modern(void)
{
    return newest_of(ERA_MODERN);
}

const struct revision *revision_find(struct slice name)
{
    for (size_t i = 0; i < REVISIONS; i++) {
        if (slice_is(name, revisions[i].name)) {
            return &revisions[i];
        }
    }
    return NULL;
}

bool revision_is_newer(const struct revision *a, const struct revision *b)
{
    return a < b;
}

void revision_put_names(struct buf *out)
{
    for (size_t i = 0; i < REVISIONS; i++) {
        if (i) {
            buf_put_text(out, ", ");
        }
        buf_put_text(out, revisions[i].name);
    }
}
