/* SPDX-License-Identifier: MIT */
/* mem.c - allocation, wiping, and arenas. */
#include "base/mem.h"

#include "base/must.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK       4096u
#define ARENA_BLOCK_SMALL 256u

struct arena_block {
    struct arena_block *next;
    size_t size;
    _Alignas(16) char bytes[];
};

static _Thread_local unsigned long fail_countdown; /* a test's own thread */

void mem_fail_at(unsigned long nth)
{
    fail_countdown = nth;
}

static bool must_fail(void)
{
    return fail_countdown != 0 && --fail_countdown == 0;
}

bool mem_may_take(void)
{
    return !must_fail();
}

void *mem_new(size_t size)
{
    void *ptr = calloc(1, size ? size : 1);
    must(ptr != NULL);
    return ptr;
}

void *mem_new_raw(size_t size)
{
    void *ptr = malloc(size ? size : 1);
    must(ptr != NULL);
    return ptr;
}

void *mem_try(size_t size)
{
    return must_fail() ? NULL : malloc(size ? size : 1);
}

void *mem_resize(void *ptr, size_t size)
{
    return must_fail() ? NULL : realloc(ptr, size ? size : 1);
}

void mem_free(void *ptr)
{
    free(ptr);
}

char *mem_dup(struct slice text)
{
    char *copy = mem_new(text.len + 1);
    if (text.len) {
        memcpy(copy, text.ptr, text.len);
    }
    return copy;
}

void mem_wipe(void *ptr, size_t size)
{
    explicit_bzero(ptr, size);
}

void arena_init(struct arena *arena, size_t ceiling)
{
    *arena = (struct arena){.ceiling = ceiling, .block = ARENA_BLOCK};
}

void arena_init_small(struct arena *arena, size_t ceiling)
{
    *arena = (struct arena){.ceiling = ceiling, .block = ARENA_BLOCK_SMALL};
}

void arena_done(struct arena *arena)
{
    for (struct arena_block *block = arena->head, *next; block; block = next) {
        next = block->next;
        mem_free(block);
    }
    *arena = (struct arena){.ceiling = arena->ceiling, .block = arena->block};
}

void arena_clear(struct arena *arena)
{
    struct arena_block *kept = NULL;
    for (struct arena_block *block = arena->head, *next; block; block = next) {
        next = block->next;
        if (!kept && block->size == ARENA_BLOCK) {
            kept = block;
        } else {
            mem_free(block);
        }
    }
    *arena = (struct arena){.ceiling = arena->ceiling, .block = arena->block};
    if (kept) {
        kept->next = NULL;
        arena->head = kept;
        arena->at = kept->bytes;
        arena->end = kept->bytes + kept->size;
        arena->used = kept->size;
    }
}

static bool arena_grow(struct arena *arena, size_t size)
{
    size_t room = size > arena->block ? size : arena->block;
    if (room > arena->ceiling || arena->used > arena->ceiling - room) {
        return false;
    }
    struct arena_block *block = mem_try(sizeof *block + room);
    if (!block) {
        return false;
    }
    block->size = room;
    block->next = arena->head;
    arena->head = block;
    arena->at = block->bytes;
    arena->end = block->bytes + room;
    arena->used += room;
    if (arena->block < ARENA_BLOCK) {
        arena->block *= 2;
    }
    return true;
}

void *arena_take(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX - 15) {
        return NULL;
    }
    size_t room = ((size ? size : 1) + 15) & ~(size_t)15;
    if ((size_t)(arena->end - arena->at) < room && !arena_grow(arena, room)) {
        return NULL;
    }
    void *ptr = arena->at;
    arena->at += room;
    return ptr;
}

struct slice arena_copy(struct arena *arena, struct slice bytes)
{
    char *copy = arena_take(arena, bytes.len ? bytes.len : 1);
    if (!copy) {
        return (struct slice){NULL, 0};
    }
    if (bytes.len) {
        memcpy(copy, bytes.ptr, bytes.len);
    }
    return (struct slice){copy, bytes.len};
}
