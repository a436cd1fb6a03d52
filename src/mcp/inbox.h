/* SPDX-License-Identifier: MIT */
/*
 * inbox.h - what came on a wire and waits, because a long message before it is still being read.
 *
 * A long message is read by a thread (loop/work.h). What comes behind it in the same order, that is
 * with the same token, waits until it has been handed to the session; exchanges of HTTP do not wait
 * for one another. As much as one message of the longest kind may wait: then the transport is held,
 * and where that is not possible the loop waits for the thread.
 *
 * Owns:    everything that waits. When the session lets the wire go, all of it is dropped; what a
 *          thread still works on is freed when it is done.
 * Life:    embedded in a wire: inbox_init .. inbox_done. A session may let its wire go inside
 *          whatever it is handed.
 */
#ifndef MCP_INBOX_H
#define MCP_INBOX_H

#include "base/buf.h"
#include "base/list.h"
#include "mcp/transport.h"

#include <stdbool.h>
#include <stddef.h>

struct wire;

struct inbox {
    struct wire *wire;
    struct list readings; /* long messages, each with what waits behind it */
    size_t waiting_bytes;
    bool is_held;
    bool has_closed; /* `closed` waits for all of them; `failure` is empty if it had none */
    struct failure failure;
};

void inbox_init(struct inbox *inbox, struct wire *wire);
void inbox_done(struct inbox *inbox); /* also to drop all of it; may be used again */

static inline bool inbox_is_empty(const struct inbox *inbox)
{
    return list_is_empty(&inbox->readings);
}

/* A long message; the memory of `buf` is taken over. */
void inbox_take_long(struct inbox *inbox, struct buf *buf, struct slice json, mcp_token token);

/* False: nothing is before it, the session can have it now. */
bool inbox_keep_message(struct inbox *inbox, struct slice json, mcp_token token);
bool inbox_keep_end(struct inbox *inbox, mcp_token token, const struct failure *failure,
                    bool is_session_gone);
bool inbox_keep_closed(struct inbox *inbox, const struct failure *failure);

#endif
