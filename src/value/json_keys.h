/* SPDX-License-Identifier: MIT */
/*
 * json_keys.h - finds a key that an object has twice, while it is read or written. Inside value/
 * only.
 *
 * Owns:    its list, once it has outgrown the first entries; json_keys_done frees it.
 * Rule:    small objects are compared key by key, larger ones when they end, through a table with a
 *          seeded hash: linear whatever the keys are.
 */
#ifndef VALUE_JSON_KEYS_H
#define VALUE_JSON_KEYS_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_KEYS_FEW   32
#define JSON_KEYS_FIRST 64

enum json_keys_result { JSON_KEYS_OK, JSON_KEYS_TWICE, JSON_KEYS_NO_MEMORY };

struct json_key {
    uint32_t at, len; /* where its bytes are, from `base` */
    uint32_t tag;
};

struct json_keys {
    struct json_key *list;
    uint32_t count, cap;
    struct json_key first[JSON_KEYS_FIRST];
};

/* The keys of one open object; zero, but for `first`. */
struct json_keys_level {
    uint64_t seen;  /* one bit a tag: a clear bit spares the comparison */
    uint32_t first; /* in the list */
};

void json_keys_init(struct json_keys *keys);
void json_keys_done(struct json_keys *keys);

bool json_keys_grow(struct json_keys *keys);

/* The last key that was added against those before it. */
enum json_keys_result json_keys_compare(const struct json_keys *keys,
                                        const struct json_keys_level *level,
                                        const unsigned char *base);

/* A cheap mark to tell keys apart by: of keys under 16 bytes both words are the key itself with
 * zeros behind it, of longer ones the first eight and the last eight bytes. Nothing depends on its
 * being hard to guess, because no more than JSON_KEYS_FEW keys are compared by it. */
static inline uint32_t json_key_tag(uint64_t low, uint64_t high, size_t len)
{
    uint64_t mixed = (low ^ (high << 23 | high >> 41) ^ len) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(mixed >> 32);
}

uint32_t json_key_tag_of(const unsigned char *at, size_t len);

/* Adds a key, whose bytes are at base + key.at. */
static inline enum json_keys_result json_keys_add(struct json_keys *keys,
                                                  struct json_keys_level *level,
                                                  const unsigned char *base,
                                                  struct json_key key)
{
    uint64_t bit = (uint64_t)1 << (key.tag >> 26);
    if (keys->count == keys->cap && !json_keys_grow(keys)) {
        return JSON_KEYS_NO_MEMORY;
    }
    keys->list[keys->count++] = key;
    if (level->seen & bit) {
        return json_keys_compare(keys, level, base);
    }
    level->seen |= bit;
    return JSON_KEYS_OK;
}

static inline void json_keys_open(const struct json_keys *keys, struct json_keys_level *level)
{
    level->seen = 0;
    level->first = keys->count;
}

enum json_keys_result json_keys_check_many(const struct json_keys *keys, uint32_t first,
                                           const unsigned char *base, struct slice *ret_twice);

/* The object ends: looks for duplicates where that was put off, and forgets its keys. */
static inline enum json_keys_result json_keys_close(struct json_keys *keys,
                                                    const struct json_keys_level *level,
                                                    const unsigned char *base,
                                                    struct slice *ret_twice)
{
    enum json_keys_result result = JSON_KEYS_OK;
    if (keys->count - level->first > JSON_KEYS_FEW) {
        result = json_keys_check_many(keys, level->first, base, ret_twice);
    }
    keys->count = level->first;
    return result;
}

#endif
