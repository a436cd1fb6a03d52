/* SPDX-License-Identifier: MIT */
/*
 * map.h - a hash table from text, or from a 64-bit number, to pointers.
 *
 * Owns:    copies of text keys; never the values.
 * Life:    embedded; map_init/map_done. Iteration is in no particular order.
 * Errors:  none; growth that finds no memory ends the process, so callers bound the count.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/slice.h"

#include <stddef.h>
#include <stdint.h>

struct map_entry;
struct map {
    struct map_entry *entries;
    size_t count, cap, dead;
};

void map_init(struct map *map);
void map_done(struct map *map);

void *map_get(const struct map *map, struct slice key);
void map_set(struct map *map, struct slice key, void *value); /* value not NULL; replaces */
void *map_remove(struct map *map, struct slice key);          /* the value that was there */

void *map_get_id(const struct map *map, uint64_t key);
void map_set_id(struct map *map, uint64_t key, void *value);
void *map_remove_id(struct map *map, uint64_t key);

/* Walks: start with *at = 0; NULL at the end. ret_key may be NULL. The current entry may be
 * removed while walking, nothing may be added. */
void *map_next(const struct map *map, size_t *at, struct slice *ret_key);

/* A hash of bytes, seeded per process, so that nobody outside can choose collisions. */
uint64_t map_hash(const void *bytes, size_t len);

#endif
