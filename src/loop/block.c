/* SPDX-License-Identifier: MIT */
/* block.c - counted references to a long piece of memory. */
#include "loop/block.h"

#include "base/mem.h"
#include "loop/work.h"

void block_done_buf(struct loop *loop, struct buf *buf)
{
    if (buf->cap <= BUF_LONG) {
        buf_done(buf);
        return;
    }
    work_free_long(loop, buf->data, buf->cap);
    *buf = (struct buf){.max = buf->max};
}

void block_trim_buf(struct loop *loop, struct buf *buf, size_t keep)
{
    if (buf->cap > keep) {
        block_done_buf(loop, buf);
    }
    buf_clear(buf);
}

struct block *block_new(struct loop *loop, struct buf *bytes)
{
    struct block *block = mem_new(sizeof *block);
    *block = (struct block){.loop = loop, .references = 1, .bytes = *bytes};
    *bytes = (struct buf){.max = bytes->max};
    return block;
}

struct block *block_ref(struct block *block)
{
    block->references++;
    return block;
}

struct block *block_unref(struct block *block)
{
    if (block && !--block->references) {
        block_done_buf(block->loop, &block->bytes);
        mem_free(block);
    }
    return NULL;
}
