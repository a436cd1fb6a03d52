/* SPDX-License-Identifier: MIT */
/* revision.c - looks up protocol revisions in the table of revision.def. */
#include "mcp/revision.h"

#include <stddef.h>

static const struct revision revisions[] = {
#define REVISION(id, name, era, has_batches) {name, era, has_batches},
#include "mcp/revision.def"
#undef REVISION
};

#define REVISIONS (sizeof revisions / sizeof revisions[0])

const struct revision *revision_offered(void)
{
    size_t i = 0;
    while (revisions[i].era != ERA_LEGACY) {
        i++;
    }
    return &revisions[i];
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

void revision_put_names(struct buf *out)
{
    for (size_t i = 0; i < REVISIONS; i++) {
        if (i) {
            buf_put_text(out, ", ");
        }
        buf_put_text(out, revisions[i].name);
    }
}
