/* SPDX-License-Identifier: MIT */
/*
 * approval.h - tools as they were approved, and what has changed since (design section 4.4).
 *
 * A service's tools are trusted when they are first seen; from then on a new one, or one whose name, texts,
 * schemas or annotations are others, waits for approval: withheld where the service says pin =
 * "strict", else only told.
 *
 * Life:    after store/ has been read; before that nothing is known, and nothing is approved.
 * Thread:  the loop thread.
 */
#ifndef MCP_APPROVAL_H
#define MCP_APPROVAL_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct mcp_services;

/* Appends an array of {service, hash (of what is current, also where its definition is too long to be
 * kept), tool, state, approved_at? (RFC 3339), approved_by?, approved? and
 * current? (definitions), differences: [{member, approved?, current?}], withheld}; `state` is "approved",
 * "changed", "new" or "gone". `service` empty: of all services. Without `all`, only what waits for
 * approval: changed and new. */
void mcp_pins_put(const struct mcp_services *services, struct slice service, bool all,
                  struct buf *out);

/* Approves `tool`, or with an empty one all of the service, as they are now; `who` is kept with
 * it. Returns how many were not approved before. */
size_t mcp_pin_approve(struct mcp_services *services, struct slice service, struct slice tool,
                       struct slice who);

#endif
