/* SPDX-License-Identifier: MIT */
/*
 * encode.h - a request whose arguments are long is written as JSON by a thread.
 *
 * Owns:    what the thread works on, with a reference to the memory of the arguments.
 * Life:    encode_start .. request_send_encoded, or encode_drop.
 */
#ifndef MCP_ENCODE_H
#define MCP_ENCODE_H

#include "mcp/message.h"
#include "mcp/room.h"

/* False: it is not long, or no thread can be had. True: request_send_encoded follows. */
bool encode_start(struct mcp_request *request, const struct message_request *message);
void encode_drop(struct mcp_request *request);

/* step.c: what a thread wrote; the memory of `json` is taken over. A failure fails the request. */
void request_send_encoded(struct mcp_request *request, const struct message_request *message,
                          uint64_t id, struct buf *json, const struct failure *failure);

#endif
