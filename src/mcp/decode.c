/* SPDX-License-Identifier: MIT */
/* decode.c - reads one JSON-RPC message, whatever it is; never fails. */
#include "mcp/decode.h"

#include "value/json.h"

void decode_message(struct slice json, bool is_on_exchange, struct buf *pack,
                    struct decoded *ret)
{
    ret->why.code = ERR_NONE;
    if (json_to_pack(json, JSON_DEPTH_MAX, pack, &ret->why) == 0) {
        message_read(buf_slice(pack), &ret->message);
        return;
    }
    ret->message =
        (struct message){.kind = MESSAGE_INVALID,
                         .number = is_on_exchange ? 0 : message_guess_answer(json),
                         .fault = ret->why.code == ERR_OVERLOADED
                                      ? "a message that is too long or nested too deep"
                                      : "a message that is no JSON"};
}
