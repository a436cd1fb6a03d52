/* SPDX-License-Identifier: MIT */
/*
 * http.h - the Streamable HTTP transport, revisions 2025-03-26 to 2026-07-28.
 *
 * Each message is a POST; the answer is one JSON text or an event stream. The contract is that of
 * transport.h; what is particular here:
 *
 * - A modern revision has no session: no session id, no standalone stream, no DELETE at the end, and
 *   no order of messages to keep. It has header fields that repeat what the body says.
 * - Legacy: requests that follow the first notification after set_revision
 *   (`notifications/initialized`) wait until the server has answered it: POSTs have no order of
 *   their own.
 * - Legacy: a stream that ends before the answer, but gave an event id, is asked for again with a GET
 *   that names the id, after as long as the server wished, until the request's deadline. What comes
 *   on it belongs to the request. Where the server offers that no more, it is a failure.
 * - A stream that lasts (is_stream) takes none of the places for requests; its answer must begin
 *   within a minute, its end has no deadline.
 * - At most `concurrency` requests are under way; the rest waits within its deadline.
 *   Notifications and responses never wait for requests.
 * - A failed notification or response is reported by exchange_ended with its token, also when that
 *   is 0, only if the session is gone or the server refused the credentials; else it is logged.
 * - An error status whose body is a JSON-RPC error gives that as a message first, then
 *   exchange_ended with the failure of the status. Not so 401, 403, 429, 503 and the 404 of a lost
 *   session: there the status says more, and the error goes into details.jsonrpc.
 * - A stream that stays open after the answer is ended half a second later.
 * - details of failures: url, http_status, reason, request_sent (whether the request may have
 *   reached the server), content_type.
 */
#ifndef MCP_HTTP_H
#define MCP_HTTP_H

#include "loop/http.h"
#include "mcp/transport.h"

#include <stddef.h>
#include <stdint.h>

struct mcp_http_options {
    struct loop *loop;
    struct http *http;
    struct slice url; /* expanded */
    struct slice
        name; /* what messages call it: without secrets; empty: the url without its query */
    const struct http_field
        *headers; /* expanded, credentials included; copied, wiped at the end */
    size_t header_count;
    uint32_t connect_timeout_ms;
    uint32_t concurrency;
    size_t message_bytes; /* longest message of the server */
    /* Certificates to trust instead of the system's, and where they are from: as in
     * http_target_options; they outlive the transport. */
    struct slice ca_pem;
    const char *ca_file;
};

/* Options are read before return; `events` (the table) is kept. A url or header that cannot be used is reported by `closed`
 * after open. Never NULL. */
struct mcp_transport *mcp_http_new(const struct mcp_http_options *options,
                                   const struct mcp_transport_events *events, void *arg);

#endif
