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

void revision_put_names(struct buf *out)
{
    for (size_t i = 0; i < REVISIONS; i++) {
        if (i) {
            buf_put_text(out, ", ");
        }
        buf_put_text(out, revisions[i].name);
    }
}
