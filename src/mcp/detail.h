/* SPDX-License-Identifier: MIT */
/* detail.h - looks into the details of a failure: what a wire said about it. */
#ifndef MCP_DETAIL_H
#define MCP_DETAIL_H

#include "value/failure.h"

#include <stdbool.h>

/* The value under `key`, MessagePack, valid until the failure changes. */
bool detail_find(const struct failure *failure, const char *key, struct slice *ret);

#endif
