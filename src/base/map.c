/* SPDX-License-Identifier: MIT */
/* map.c - open addressing with linear probing and a seeded hash. */
#include "base/map.h"

#include "base/mem.h"
#include "base/must.h"
#include "base/word.h"

#include <sys/random.h>

/* An entry is free (value NULL, !dead), dead (removed), or holds a value; text NULL = id key. */
struct map_entry {
    uint64_t hash;
    char *text;
    size_t len_or_dead;
    void *value;
};

#define DEAD SIZE_MAX

static uint64_t seed(void)
{
    static uint64_t value;
    if (!value) {
        if (getrandom(&value, sizeof value, GRND_NONBLOCK) != sizeof value) {
            value = (uint64_t)(uintptr_t)&value * 0x9e3779b97f4a7c15u;
        }
        value |= 1;
    }
    return value;
}

__extension__ typedef unsigned __int128 wide;

static uint64_t mix(uint64_t a, uint64_t b)
{
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The last word of a longer text overlaps the one before. */
uint64_t map_hash(const void *bytes, size_t len)
{
    const char *at = bytes;
    const uint64_t secret = seed();
    uint64_t hash = secret;
    uint64_t word = 0;
    if (len >= 8) {
        const char *end = at + len;
        for (; end - at >= 8; at += 8) {
            hash = mix(hash ^ word_load(at), 0x9e3779b97f4a7c15u ^ secret);
        }
        word = at < end ? word_load(end - 8) : 0;
    } else if (len) {
        word = word_load_few(at, len);
    }
    /* The length is no part of what is multiplied: there it could undo a difference of the text. */
    return mix(hash ^ word, (0xd6e8feb86659fd93u ^ secret) + len);
}

void map_init(struct map *map)
{
    *map = (struct map){0};
}

void map_done(struct map *map)
{
    for (size_t i = 0; i < map->cap; i++) {
        mem_free(map->entries[i].text);
    }
    mem_free(map->entries);
    *map = (struct map){0};
}

static bool is_free(const struct map_entry *entry)
{
    return !entry->value && entry->len_or_dead != DEAD;
}

/* Of an entry with the same hash. */
static inline bool same(const struct map_entry *entry, const struct slice *text)
{
    if (!entry->value || !entry->text != !text) {
        return false;
    }
    return !text || (entry->len_or_dead == text->len &&
                     (!text->len || word_equal(entry->text, text->ptr, text->len)));
}

static struct map_entry *find(const struct map *map, uint64_t hash, const struct slice *text)
{
    const size_t last = map->cap - 1;
    if (!map->cap) {
        return NULL;
    }
    for (size_t i = hash & last;; i = (i + 1) & last) {
        struct map_entry *entry = &map->entries[i];
        if (entry->hash == hash && same(entry, text)) {
            return entry;
        }
        if (is_free(entry)) {
            return NULL;
        }
    }
}

static void grow(struct map *map)
{
    if ((map->count + map->dead + 1) * 4 <= map->cap * 3) {
        return;
    }
    size_t cap = 8;
    while (cap < map->count * 2 + 2) {
        cap *= 2;
    }
    struct map_entry *entries = mem_new(cap * sizeof *entries);
    for (size_t i = 0; i < map->cap; i++) {
        if (map->entries[i].value) {
            size_t at = map->entries[i].hash & (cap - 1);
            while (entries[at].value) {
                at = (at + 1) & (cap - 1);
            }
            entries[at] = map->entries[i];
        }
    }
    mem_free(map->entries);
    map->entries = entries;
    map->cap = cap;
    map->dead = 0;
}

static void set(struct map *map, uint64_t hash, const struct slice *text, void *value)
{
    must(value != NULL);
    struct map_entry *entry = find(map, hash, text);
    if (entry) {
        entry->value = value;
        return;
    }
    grow(map);
    size_t at = hash & (map->cap - 1);
    while (!is_free(&map->entries[at])) {
        at = (at + 1) & (map->cap - 1);
    }
    map->entries[at] =
        (struct map_entry){hash, text ? mem_dup(*text) : NULL, text ? text->len : 0, value};
    map->count++;
}

/* A removed entry at the end of its run is free again, and so are the dead ones before it: a map whose
 * entries come and go is not searched, nor made anew, for what was there once. */
static void free_run_end(struct map *map, size_t at)
{
    const size_t last = map->cap - 1;
    if (!is_free(&map->entries[(at + 1) & last])) {
        return;
    }
    for (; !map->entries[at].value && map->entries[at].len_or_dead == DEAD;
         at = (at - 1) & last) {
        map->entries[at].len_or_dead = 0;
        map->dead--;
    }
}

static void *take(struct map *map, uint64_t hash, const struct slice *text)
{
    struct map_entry *entry = find(map, hash, text);
    if (!entry) {
        return NULL;
    }
    void *value = entry->value;
    mem_free(entry->text);
    *entry = (struct map_entry){.len_or_dead = DEAD};
    map->count--;
    map->dead++;
    free_run_end(map, (size_t)(entry - map->entries));
    return value;
}

void *map_get(const struct map *map, struct slice key)
{
    struct map_entry *entry = find(map, map_hash(key.ptr, key.len), &key);
    return entry ? entry->value : NULL;
}

void map_set(struct map *map, struct slice key, void *value)
{
    set(map, map_hash(key.ptr, key.len), &key, value);
}

void *map_remove(struct map *map, struct slice key)
{
    return take(map, map_hash(key.ptr, key.len), &key);
}

/* Id keys must hash one to one, because only the hash is compared: mixing by multiplication
 * is not one to one, so the key itself is stored as hash and spread here. */
static uint64_t spread(uint64_t key)
{
    key ^= key >> 32;
    key *= 0x9e3779b97f4a7c15u;
    key ^= key >> 29;
    return key;
}

void *map_get_id(const struct map *map, uint64_t key)
{
    struct map_entry *entry = find(map, spread(key), NULL);
    return entry ? entry->value : NULL;
}

void map_set_id(struct map *map, uint64_t key, void *value)
{
    set(map, spread(key), NULL, value);
}

void *map_remove_id(struct map *map, uint64_t key)
{
    return take(map, spread(key), NULL);
}

void *map_next(const struct map *map, size_t *at, struct slice *ret_key)
{
    while (*at < map->cap) {
        struct map_entry *entry = &map->entries[(*at)++];
        if (entry->value) {
            if (ret_key) {
                *ret_key = (struct slice){entry->text, entry->text ? entry->len_or_dead : 0};
            }
            return entry->value;
        }
    }
    return NULL;
}
