/* SPDX-License-Identifier: MIT */
/*
 * mem_long.c - memory of megabytes, in pages of its own.
 *
 * Fresh pages cost more than to fill them: a few that were used are kept. Under AddressSanitizer all
 * of it comes from the heap, where it is watched.
 */
#include "base/mem.h"

#include "base/must.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>

/* Kept: so many pieces, and of each the first so many bytes with their pages. */
#define KEPT_MAX   4u
#define KEPT_BYTES ((size_t)8 * 1024 * 1024)

#ifdef __SANITIZE_ADDRESS__
#define IS_WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_WATCHED 1
#endif
#endif
#ifndef IS_WATCHED
#define IS_WATCHED 0
#endif

static struct {
    pthread_mutex_t lock;
    struct {
        void *ptr;
        size_t size;
    } list[KEPT_MAX];
    unsigned count;
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *map(size_t size)
{
    void *ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return ptr == MAP_FAILED ? NULL : ptr;
}

static void *take_kept(size_t *ret_size)
{
    void *ptr = NULL;
    (void)pthread_mutex_lock(&kept.lock);
    if (kept.count) {
        ptr = kept.list[--kept.count].ptr;
        *ret_size = kept.list[kept.count].size;
    }
    (void)pthread_mutex_unlock(&kept.lock);
    return ptr;
}

void *mem_long_try(size_t least, size_t most, size_t *ret_size)
{
    size_t size = 0;
    *ret_size = least;
    if (IS_WATCHED) {
        return mem_try(least);
    }
    if (!mem_may_take()) {
        return NULL;
    }
    void *ptr = take_kept(&size);
    if (!ptr) {
        return map(least);
    }
    *ret_size = size < least ? least : size > most ? most : size;
    void *fitting = *ret_size == size ? ptr : mremap(ptr, size, *ret_size, MREMAP_MAYMOVE);
    if (fitting == MAP_FAILED) {
        (void)munmap(ptr, size);
        return NULL;
    }
    return fitting;
}

void *mem_long_resize(void *ptr, size_t size, size_t new_size)
{
    if (IS_WATCHED) {
        return mem_resize(ptr, new_size);
    }
    if (!mem_may_take()) {
        return NULL;
    }
    void *moved = mremap(ptr, size, new_size, MREMAP_MAYMOVE);
    return moved == MAP_FAILED ? NULL : moved;
}

bool mem_long_keep(void *ptr, size_t size)
{
    bool is_kept = false;
    if (!IS_WATCHED && size <= KEPT_BYTES) {
        (void)pthread_mutex_lock(&kept.lock);
        is_kept = kept.count < KEPT_MAX;
        if (is_kept) {
            kept.list[kept.count].ptr = ptr;
            kept.list[kept.count++].size = size;
        }
        (void)pthread_mutex_unlock(&kept.lock);
    }
    return is_kept;
}

void mem_long_free(void *ptr, size_t size)
{
    if (IS_WATCHED) {
        mem_free(ptr);
        return;
    }
    if (size > KEPT_BYTES && ptr) {
        (void)munmap((char *)ptr + KEPT_BYTES, size - KEPT_BYTES);
        size = KEPT_BYTES;
    }
    if (ptr && !mem_long_keep(ptr, size)) {
        (void)munmap(ptr, size);
    }
}

void mem_trim(void)
{
    void *ptr;
    size_t size = 0;
    while ((ptr = take_kept(&size))) {
        (void)munmap(ptr, size);
    }
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

/* By itself glibc learns from what is freed that it should keep megabytes, and gives the last pages of
 * the heap back so eagerly that an answer of 100 KB takes new ones each time. */
void mem_tune(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_MMAP_THRESHOLD, 2 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 2 << 20);
#endif
}
