/* SPDX-License-Identifier: MIT */
/* lines.c - cuts bytes into lines; knows nothing of where they come from or what they hold. */
#include "mcp/lines.h"

#include "base/err.h"

#define KEPT_WHEN_IDLE 1024u
#define ROOM_LEAST     16384u

void lines_init(struct lines *lines, size_t longest)
{
    *lines = (struct lines){.longest = longest};
    buf_init(&lines->rest, longest + LINES_SCRATCH + 1);
}

void lines_done(struct lines *lines)
{
    buf_done(&lines->rest);
}

char *lines_room(struct lines *lines, char *scratch, size_t *ret_size)
{
    struct buf *rest = &lines->rest;
    size_t most = lines->is_long ? LINES_SCRATCH : LINES_SHORT;
    *ret_size = most;
    if (!rest->len) {
        return scratch;
    }
    size_t least = rest->len < ROOM_LEAST ? ROOM_LEAST : rest->len < most ? rest->len : most;
    if (!buf_reserve(rest, least)) {
        return NULL;
    }
    size_t room = rest->cap - rest->len;
    *ret_size = room < most ? room : most;
    return rest->data + rest->len;
}

void lines_got(struct lines *lines, const char *room, size_t len)
{
    lines->at = room;
    lines->end = room + len;
    lines->searched = 0;
    if (lines->rest.len) {
        lines->at = lines->rest.data;
        lines->searched = lines->rest.len;
        lines->rest.len += len;
    }
}

int lines_next(struct lines *lines, struct slice *ret)
{
    size_t left = (size_t)(lines->end - lines->at);
    const char *from = lines->at + lines->searched;
    const char *newline =
        left > lines->searched ? memchr(from, '\n', left - lines->searched) : NULL;
    size_t len = newline ? (size_t)(newline - lines->at) : left;
    if (len > lines->longest) {
        return -(int)ERR_EXTERNAL_TOOL_EXECUTION_FAILED;
    }
    lines->searched = newline ? 0 : left;
    lines->is_long = len >= LINES_SHORT || (!newline && lines->is_long);
    if (!newline) {
        return 0;
    }
    *ret = (struct slice){lines->at, len};
    lines->at = newline + 1;
    return 1;
}

bool lines_take(struct lines *lines, struct slice line, struct buf *ret)
{
    const struct buf *rest = &lines->rest;
    size_t left = (size_t)(lines->end - lines->at);
    struct buf kept;
    if (!rest->len || line.ptr < rest->data || line.ptr >= rest->data + rest->len) {
        return false;
    }
    buf_init(&kept, rest->max);
    buf_put(&kept, lines->at, left);
    if (kept.overflow) {
        return false;
    }
    *ret = *rest;
    lines->rest = kept;
    lines->at = kept.data ? kept.data : "";
    lines->end = lines->at + left;
    return true;
}

int lines_keep(struct lines *lines)
{
    size_t left = (size_t)(lines->end - lines->at);
    if (lines->rest.len) {
        buf_consume(&lines->rest, lines->rest.len - left);
    } else {
        buf_put(&lines->rest, lines->at, left);
    }
    lines->at = lines->end = NULL;
    if (lines->rest.overflow) {
        return -(int)ERR_OVERLOADED;
    }
    if (!lines->rest.len) {
        buf_trim(&lines->rest, KEPT_WHEN_IDLE);
    }
    return 0;
}
