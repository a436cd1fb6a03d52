/* SPDX-License-Identifier: MIT */
/*
 * json.h - JSON text to MessagePack and back, each in one pass.
 *
 * Reading is strict RFC 8259: one value, white space around it, UTF-8 only. Where it leaves a choice,
 * text that two readers could take for different things is refused: a byte order mark, escapes of
 * lone surrogates, a key twice in an object (compared after unescaping). Numbers survive: an integer that fits becomes
 * int64/uint64, a number that a float64 gives back digit for digit becomes float64 (also 1.0 and
 * -0), anything else becomes ext PACK_EXT_NUMBER with its text. Key order is kept.
 *
 * Errors:  ERR_VALIDATION_ERROR with the byte offset and what is wrong there; limits passed are
 *          ERR_OVERLOADED ("too deep", "too long"). On failure `out` is as long as before.
 */
#ifndef VALUE_JSON_H
#define VALUE_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 64

/* Appends the value to `out`. Nesting over `depth` (at most JSON_DEPTH_MAX) is an error. */
int json_to_pack(struct slice json, uint32_t depth, struct buf *out, struct err *reterr);

/* Appends JSON text without white space. `value` must have passed pack_scan. Strings must be
 * UTF-8, map keys strings and unique, floats finite, ext type 1 a number by JSON's grammar: else
 * ERR_VALIDATION_ERROR, with the place ("arguments.items[2].email" when `place` is "arguments").
 * bin becomes base64 text. */
int json_from_pack(struct slice value, const char *place, struct buf *out, struct err *reterr);

/* Appends `text` as a JSON string with quotes; text must be UTF-8. */
void json_put_str(struct buf *out, struct slice text);

#endif
