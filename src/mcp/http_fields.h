/* SPDX-License-Identifier: MIT */
/*
 * http_fields.h - the configured header fields of a service, beside those of the transports.
 *
 * Owns:    copies of names and values, which hold credentials: wiped at the end.
 * Life:    embedded; mcp_http_fields_init .. mcp_http_fields_done.
 */
#ifndef MCP_HTTP_FIELDS_H
#define MCP_HTTP_FIELDS_H

#include "loop/http.h"

#include <stddef.h>

struct mcp_http_fields {
    struct http_field *list; /* names and values in `text` */
    size_t count;
    char *text;
    size_t text_size;
};

/* Copies what was configured, except what the transports say themselves. */
void mcp_http_fields_init(struct mcp_http_fields *fields, const struct http_field *configured,
                          size_t count);
void mcp_http_fields_done(struct mcp_http_fields *fields);

/* The header lines of a request: `own`, then what was configured. NULL: *reterr says why. */
struct http_headers *mcp_http_fields_join(const struct mcp_http_fields *fields,
                                          const struct http_field *own, size_t count,
                                          struct err *reterr);

#endif
