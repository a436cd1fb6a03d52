/* SPDX-License-Identifier: MIT */
/*
 * recorded.h - the outcome of a keyed call as it lies in the store: MessagePack, so that a later version
 * of the daemon can read what this one wrote.
 *
 * Owns:    nothing: what is read points into the bytes.
 */
#ifndef CALL_RECORDED_H
#define CALL_RECORDED_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/slice.h"
#include "value/failure.h"

#include <stdint.h>

struct recorded {
    wall_ms at; /* when it ended */
    struct slice request_id, service, tool, source;
    struct slice fallback_from; /* empty: none */
    struct slice result;        /* ptr NULL: it failed, or the result was too long */
    uint64_t too_long;          /* bytes of such a result; 0: it is there */
};

/* Appends it; with a failure that one is its outcome. The result goes last: ret_result, if it is not
 * NULL, is where it begins in `out`. */
void recorded_put(const struct recorded *recorded, const struct failure *failure,
                  struct buf *out, size_t *ret_result);

/* False: it is none. With a recorded failure, *failure is that; else it is not touched. */
bool recorded_read(struct slice bytes, struct recorded *ret, struct failure *failure);

#endif
