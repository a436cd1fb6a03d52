/* SPDX-License-Identifier: MIT */
/*
 * mem.h - memory: the only caller of malloc.
 *
 * Errors: small allocations of fixed size end the process when they fail (mem_new, mem_dup).
 *         Anything whose size came from outside goes through mem_try, a buf or an arena with a
 *         ceiling, and its failure is an error of that request alone. There is no third way.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

void *mem_new(size_t size);               /* zeroed; never NULL */
void *mem_new_raw(size_t size);           /* not zeroed; never NULL */
void *mem_try(size_t size);               /* not zeroed; NULL when there is no memory */
void *mem_resize(void *ptr, size_t size); /* like realloc; NULL leaves ptr as it was */
void mem_free(void *ptr);                 /* NULL is fine */
char *mem_dup(struct slice text);         /* a terminated copy; never NULL */
void mem_wipe(void *ptr, size_t size);    /* zeroes in a way no compiler removes */

/* Long memory comes from the system in pages of its own: it grows without being copied, and a little
 * of it is kept for the next message of megabytes until mem_trim. Any thread. */
void *mem_long_try(size_t least, size_t most, size_t *ret_size); /* NULL when there is none */
void *mem_long_resize(void *ptr, size_t size, size_t new_size);  /* as mem_resize */
void mem_long_free(void *ptr, size_t size); /* milliseconds, if it is not kept */
bool mem_long_keep(void *ptr, size_t size); /* kept, at once; false: it is not */
void mem_trim(void); /* gives back what is kept and what is free; milliseconds */
void mem_tune(void); /* first of all in a daemon: how much the heap keeps for itself */

/* Tests: the n-th mem_try or mem_resize from now on fails (0: none does). */
void mem_fail_at(unsigned long nth);
bool mem_may_take(void); /* inside base/: false for that one */

/* An arena: many small pieces, freed together. Embedded; owner calls arena_init/arena_done.
 * `ceiling` bounds the bytes taken from the heap. */
struct arena_block;
struct arena {
    struct arena_block *head;
    char *at, *end;
    size_t used, ceiling;
    size_t block; /* bytes of the next block, at least */
};

void arena_init(struct arena *arena, size_t ceiling);
void arena_init_small(struct arena *arena,
                      size_t ceiling); /* for little that is kept long: blocks begin small */
void arena_done(struct arena *arena);
void arena_clear(struct arena *arena); /* keeps one block for reuse */
void *arena_take(struct arena *arena,
                 size_t size); /* aligned to 16, not zeroed; NULL over the ceiling */
struct slice arena_copy(struct arena *arena,
                        struct slice bytes); /* ptr NULL over the ceiling */

#endif
