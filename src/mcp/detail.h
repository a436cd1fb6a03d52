/* SPDX-License-Identifier: MIT */
/* detail.h - looks into the details of a failure: what a wire said about it. */
#ifndef MCP_DETAIL_H
#define MCP_DETAIL_H

#include "value/failure.h"

#include <stdbool.h>

/* The value under `key`, MessagePack, valid until the failure changes. */
bool detail_find(const struct failure *failure, const char *key, struct slice *ret);

/* Whether the request may have left this host: true unless the wire says that it has not. */
bool detail_was_sent(const struct failure *failure);

/* The HTTP status that was answered; 0: none. */
int64_t detail_http_status(const struct failure *failure);

#endif
