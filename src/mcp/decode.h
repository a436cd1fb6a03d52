/* SPDX-License-Identifier: MIT */
/*
 * decode.h - one text of a server becomes a message. Pure: on the loop, or on a thread.
 *
 * Life:    the message points into `pack`, which the caller owns.
 */
#ifndef MCP_DECODE_H
#define MCP_DECODE_H

#include "mcp/message.h"
#include "value/pack.h"

struct decoded {
    struct message message; /* INVALID also where the text is no JSON ... */
    struct err why;         /* ... with the reason here; else ERR_NONE */
};

/* `is_on_exchange`: it is known which request it answers, if any, so that nothing must be guessed. */
void decode_message(struct slice json, bool is_on_exchange, struct buf *pack,
                    struct decoded *ret);

#endif
