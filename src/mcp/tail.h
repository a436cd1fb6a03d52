/* SPDX-License-Identifier: MIT */
/*
 * tail.h - the last of what a server wrote to its stderr, for the words of its end.
 *
 * Owns:    at most TAIL_BYTES, and nothing before the first byte.
 */
#ifndef MCP_TAIL_H
#define MCP_TAIL_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>

#define TAIL_BYTES      ((size_t)4096)
#define TAIL_TEXT_BYTES (3 * TAIL_BYTES) /* no text that is made of it is longer */

struct tail {
    struct buf bytes;
    bool is_cut; /* older ones were dropped */
};

void tail_init(struct tail *tail);
void tail_done(struct tail *tail);
void tail_add(struct tail *tail, struct slice bytes);

/* Appends the last whole lines as printable UTF-8: no control characters but newlines between
 * lines, no terminal sequences; what is no UTF-8 becomes U+FFFD. */
void tail_put_text(const struct tail *tail, struct buf *out);

#endif
