/* SPDX-License-Identifier: MIT */
/*
 * pack_known.h - where the long containers of a value end, so that its millions of items are not
 * passed over again for each member that is looked for.
 *
 * Whoever reads a long value on a thread of his own takes these ends along; whoever then works with
 * the value makes them known, and pack_skip and all that uses it jump.
 *
 * Life:    what is known must be taken back (NULL) before the value's memory is.
 * Thread:  known to the calling thread only.
 */
#ifndef VALUE_PACK_KNOWN_H
#define VALUE_PACK_KNOWN_H

#include "value/pack.h"

#define PACK_KNOWN_LEVELS 6u /* of nesting, from the outside */
#define PACK_KNOWN_SHARE  8u /* of all bytes, so much at least; that bounds how many there are */
#define PACK_KNOWN_MAX    (PACK_KNOWN_LEVELS * PACK_KNOWN_SHARE)

struct pack_known {
    struct slice list[PACK_KNOWN_MAX];
    unsigned count;
};

/* Measures a value that is correct. */
void pack_note_long(struct slice value, struct pack_known *ret);

/* NULL: nothing. */
void pack_know(const struct pack_known *known);

/* Inside value/: what the calling thread knows; false: not the end of the value at the cursor. */
extern _Thread_local const struct pack_known *pack_knows;
bool pack_jump(struct pack *cursor);

#endif
