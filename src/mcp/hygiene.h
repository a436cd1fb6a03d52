/* SPDX-License-Identifier: MIT */
/*
 * hygiene.h - what is odd about a tool's names and texts: reported, never changed.
 *
 * A description is read by models: what people cannot see in it may be meant for the model alone.
 *
 * Pure: bytes in, bytes out.
 */
#ifndef MCP_HYGIENE_H
#define MCP_HYGIENE_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define HYGIENE_NAME_MAX        128u
#define HYGIENE_TITLE_MAX       256u
#define HYGIENE_DESCRIPTION_MAX 8192u

/* `definition` is a tool's map, MessagePack. Appends an array of texts for people, if there is
 * anything to say; returns how many. */
unsigned hygiene_check_tool(struct slice definition, struct buf *out);

/* What kind of character `text` holds that is not seen, or that changes the direction of what is:
 * static text, with its code point; NULL: none. Line breaks and tabs count only with `is_line`. */
const char *hygiene_find_hidden(struct slice text, bool is_line, uint32_t *ret_point);

#endif
