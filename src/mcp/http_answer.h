/* SPDX-License-Identifier: MIT */
/*
 * http_answer.h - words for answers that are none: statuses, and faults of the answer itself.
 *
 * Both transports over HTTP explain with it, so that one cause has one description.
 */
#ifndef MCP_HTTP_ANSWER_H
#define MCP_HTTP_ANSWER_H

#include "loop/http.h"
#include "mcp/transport.h"
#include "resilience/rate_fields.h"
#include "value/failure.h"

#include <stdbool.h>

/* Enough for a JSON-RPC error in the body of an answer with an error status. */
#define MCP_HTTP_ERROR_BYTES 65536u

struct mcp_http_answer {
    struct loop *loop;
    const struct http_target *target;
    const struct http_exchange *http; /* NULL: it is over */
    int status;                       /* 0: none came */
    const char *usual_path;           /* how the paths of such servers often end */
    const char *wire;                 /* what was spoken, for people: "HTTP+SSE" */
    bool had_session;                 /* the request named a session */
};

bool mcp_http_is_type(const struct http_exchange *http, const char *type);

/* The JSON-RPC error in the body of an error status, as MessagePack in `value`; or none. */
struct slice mcp_http_find_error(struct slice body, struct buf *value);

/* What an answer's status means; `error`: the JSON-RPC error of its body, MessagePack, or empty. */
void mcp_http_explain_status(const struct mcp_http_answer *answer, struct slice error,
                             struct failure *failure);

/* A fault of the answer itself: EXTERNAL_TOOL_EXECUTION_FAILED, or another `code`. */
void mcp_http_explain(const struct mcp_http_answer *answer, enum err_code code,
                      const char *reason, const char *words, struct failure *failure);

/* How long the server wants to be left alone, in milliseconds; -1: it does not say. Like the next
 * one only where the exchange's events have rate_fields_is_one as `is_wanted`. */
int64_t mcp_http_retry_after(const struct mcp_http_answer *answer);

/* In `head`: tells events->limits if the answer says anything of them. */
void mcp_http_tell_limits(struct loop *loop, const struct http_exchange *http, int status,
                          const struct mcp_transport_events *events, void *arg);

#endif
