/* SPDX-License-Identifier: MIT */
/*
 * http_memory.c - curl's memory, wiped when it is freed: credentials pass through its requests and
 * headers, and its own code leaves them in the heap.
 */
#include "base/mem.h"
#include "loop/http_internal.h"

#include <stdint.h>
#include <string.h>

#define SMALL_BYTES 2048u

struct block {
    size_t size;
    _Alignas(16) char bytes[];
};

static struct block *block_of(void *bytes)
{
    return (struct block *)(void *)((char *)bytes - offsetof(struct block, bytes));
}

/* Curl does not survive everywhere when a small allocation fails: as everywhere in the house, that
 * ends the process, and a large one fails alone. */
static void *take(size_t size)
{
    if (size > SIZE_MAX - sizeof(struct block)) {
        return NULL;
    }
    size_t whole = sizeof(struct block) + size;
    struct block *block = size <= SMALL_BYTES ? mem_new_raw(whole) : mem_try(whole);
    if (!block) {
        return NULL;
    }
    block->size = size;
    return block->bytes;
}

/* Its receive buffer is new for each exchange, and to wipe it costs as much as all the rest; what
 * it holds is given away anyway. Curl takes it with one byte more. */
static bool is_receive_buffer(size_t size)
{
    return size == HTTP_RECEIVE_BYTES + 1 || size == HTTP_RECEIVE_LARGE + 1;
}

static void give_back(void *bytes)
{
    if (bytes) {
        struct block *block = block_of(bytes);
        mem_wipe(block->bytes, is_receive_buffer(block->size) ? 0 : block->size);
        mem_free(block);
    }
}

static void *resize(void *bytes, size_t size)
{
    void *other = take(size);
    if (other && bytes) {
        size_t kept = block_of(bytes)->size;
        memcpy(other, bytes, kept < size ? kept : size);
        give_back(bytes);
    }
    return other;
}

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = take(size);
    if (copy) {
        memcpy(copy, text, size);
    }
    return copy;
}

static void *take_zeroed(size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size) {
        return NULL;
    }
    void *bytes = take(count * size);
    if (bytes) {
        memset(bytes, 0, count * size);
    }
    return bytes;
}

CURLcode http_init_curl(void)
{
    return curl_global_init_mem(CURL_GLOBAL_DEFAULT, take, give_back, resize, copy_text,
                                take_zeroed);
}
