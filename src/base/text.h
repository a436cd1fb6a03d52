/* SPDX-License-Identifier: MIT */
/* text.h - UTF-8, base64, globs and nearness of names: pure functions over slices. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>

/* Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool text_is_utf8(struct slice text);

/* Length of the well-formed sequence at the start of `text`, 1 for ASCII; 0 if there is none. */
size_t text_utf8_step(struct slice text);

/* Copies `text` to `out` of `size` bytes (at least 1), with a zero behind it: as many whole
 * characters as there is room for, and for each byte that is part of none a `?`. */
void text_copy(char *out, size_t size, struct slice text);

/* At most `max` bytes of `text`, which is UTF-8: no character is cut in two. */
struct slice text_cut(struct slice text, size_t max);

/* Appends standard base64 with padding (RFC 4648 section 4). */
void text_put_base64(struct buf *out, struct slice bytes);

/* Whether `name` fits `pattern`, in which `*` stands for any run of characters. Linear memory,
 * time bounded by the product of both lengths. */
bool text_glob(struct slice pattern, struct slice name);

/* Edit distance of two names, or `limit` + 1 when it is more. Names over 64 bytes never match. */
unsigned text_distance(struct slice a, struct slice b, unsigned limit);

/* Picks the candidate that is nearest to `wanted` and near enough to suggest, by calling it for
 * each. Start with *best = {0}, *distance = TEXT_FAR. */
#define TEXT_FAR 4u
void text_nearest(struct slice wanted, struct slice candidate, struct slice *best,
                  unsigned *distance);

#endif
