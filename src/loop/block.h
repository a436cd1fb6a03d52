/* SPDX-License-Identifier: MIT */
/*
 * block.h - a long piece of memory that several hold and nobody changes, so that it need not be copied.
 *
 * Owns:    its bytes; freed with the last reference, by a thread if that takes long.
 * Thread:  the loop thread.
 */
#ifndef LOOP_BLOCK_H
#define LOOP_BLOCK_H

#include "base/buf.h"
#include "loop/loop.h"

struct block {
    struct loop *loop;
    unsigned references;
    struct buf bytes;
};

/* Takes the memory of `bytes` over, which is empty then. */
struct block *block_new(struct loop *loop, struct buf *bytes);
struct block *block_ref(struct block *block);
struct block *block_unref(struct block *block); /* NULL is fine; always NULL */

static inline bool block_holds(const struct block *block, struct slice bytes)
{
    return slice_holds(buf_slice(&block->bytes), bytes);
}

/* The same for a buffer of one's own: frees its memory, by a thread if that takes long. */
void block_done_buf(struct loop *loop, struct buf *buf);
void block_trim_buf(struct loop *loop, struct buf *buf, size_t keep); /* as buf_trim */

#endif
