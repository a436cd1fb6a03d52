/* SPDX-License-Identifier: MIT */
/*
 * legacy_sse.h - the HTTP+SSE transport of revision 2024-11-05.
 *
 * A GET opens the event stream on which everything of the server comes; its first event names the
 * endpoint to which each message is POSTed. The contract is that of transport.h; what is particular
 * here:
 *
 * - `opened` follows the endpoint event, which must come within the connect timeout. An endpoint of
 *   another origin than the URL's is refused: the credentials must not go there.
 * - One wire for all: messages have token 0, answers are matched by their ids. A request that could
 *   not be handed over is reported by exchange_ended with its token and a failure.
 * - A failed notification or response is reported by exchange_ended, also when its token is 0, only
 *   if the server refused the credentials; else it is logged.
 * - Requests that follow the first notification after set_revision (`notifications/initialized`)
 *   wait until the server has taken it.
 * - The end of the stream is the end of the session: `closed` with UNAVAILABLE. So is a POST that
 *   the server answers with 404: it does not know the session any more.
 * - details of failures: url, http_status, reason, request_sent, content_type, endpoint.
 */
#ifndef MCP_LEGACY_SSE_H
#define MCP_LEGACY_SSE_H

#include "mcp/http.h"

/* As mcp_http_new: options are read before return, `events` is kept, a url or header that cannot be
 * used is reported by `closed` after open. Never NULL. */
struct mcp_transport *mcp_legacy_sse_new(const struct mcp_http_options *options,
                                         const struct mcp_transport_events *events, void *arg);

#endif
