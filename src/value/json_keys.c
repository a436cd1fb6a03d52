/* SPDX-License-Identifier: MIT */
/* json_keys.c - finds a key that an object has twice. */
#include "value/json_keys.h"

#include "base/map.h"
#include "base/mem.h"

#include <stdbool.h>
#include <string.h>

void json_keys_init(struct json_keys *keys)
{
    keys->list = keys->first;
    keys->count = 0;
    keys->cap = JSON_KEYS_FIRST;
}

void json_keys_done(struct json_keys *keys)
{
    if (keys->list != keys->first) {
        mem_free(keys->list);
    }
    json_keys_init(keys);
}

static bool grow(struct json_keys *keys)
{
    if (keys->cap > UINT32_MAX / 2) {
        return false;
    }
    bool is_own = keys->list != keys->first;
    size_t size = sizeof *keys->list * keys->cap;
    struct json_key *list = mem_resize(is_own ? keys->list : NULL, 2 * size);
    if (!list) {
        return false;
    }
    if (!is_own) {
        memcpy(list, keys->first, size);
    }
    keys->list = list;
    keys->cap *= 2;
    return true;
}

static uint64_t load(const unsigned char *at, size_t len)
{
    uint64_t word = 0;
    memcpy(&word, at, len);
    return word;
}

/* At most seven bytes, by one load of eight where so many may be read. */
static uint64_t load_short(const unsigned char *at, uint32_t len, const unsigned char *end)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (len && end - at >= 8) {
        return load(at, 8) & (UINT64_MAX >> (64 - 8 * len));
    }
#else
    (void)end;
#endif
    return load(at, len);
}

/* Cheap and good enough to tell a handful of keys apart; nothing depends on its being hard to
 * guess, because no more than JSON_KEYS_FEW keys are compared by it. */
static uint32_t tag_of(const unsigned char *at, uint32_t len, const unsigned char *end)
{
    uint64_t mixed;
    if (len >= 8) {
        uint64_t tail = load(at + len - 8, 8);
        mixed = load(at, 8) ^ (tail << 23 | tail >> 41);
    } else {
        mixed = load_short(at, len, end);
    }
    mixed = (mixed ^ len) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(mixed >> 32);
}

static bool is_twice(const struct json_key *from, const struct json_key *key,
                     const unsigned char *base)
{
    for (; from < key; from++) {
        if (from->tag == key->tag && from->len == key->len &&
            memcmp(base + from->at, base + key->at, key->len) == 0) {
            return true;
        }
    }
    return false;
}

enum json_keys_result json_keys_add(struct json_keys *keys, struct json_keys_level *level,
                                    const unsigned char *base, struct json_key key,
                                    const unsigned char *end)
{
    if (keys->count == keys->cap && !grow(keys)) {
        return JSON_KEYS_NO_MEMORY;
    }
    key.tag = tag_of(base + key.at, key.len, end);
    struct json_key *slot = &keys->list[keys->count++];
    *slot = key;
    uint64_t bit = (uint64_t)1 << (key.tag >> 26);
    if ((level->seen & bit) && keys->count - level->first <= JSON_KEYS_FEW &&
        is_twice(&keys->list[level->first], slot, base)) {
        return JSON_KEYS_TWICE;
    }
    level->seen |= bit;
    return JSON_KEYS_OK;
}

enum json_keys_result json_keys_check_many(const struct json_keys *keys, uint32_t first,
                                           const unsigned char *base, struct slice *ret_twice)
{
    size_t cap = (size_t)4 * JSON_KEYS_FEW;
    while (cap < 2 * (size_t)(keys->count - first)) {
        cap *= 2;
    }
    uint32_t *table = mem_try(cap * sizeof *table);
    if (!table) {
        return JSON_KEYS_NO_MEMORY;
    }
    memset(table, 0, cap * sizeof *table);
    enum json_keys_result result = JSON_KEYS_OK;
    for (uint32_t i = first; i < keys->count && result == JSON_KEYS_OK; i++) {
        const struct json_key *key = &keys->list[i];
        uint64_t hash = map_hash(base + key->at, key->len);
        size_t slot = hash & (cap - 1);
        while (table[slot] && result == JSON_KEYS_OK) {
            const struct json_key *other = &keys->list[table[slot] - 1];
            if (other->tag == key->tag && other->len == key->len &&
                memcmp(base + other->at, base + key->at, key->len) == 0) {
                *ret_twice = (struct slice){(const char *)base + key->at, key->len};
                result = JSON_KEYS_TWICE;
            }
            slot = (slot + 1) & (cap - 1);
        }
        table[slot] = i + 1;
    }
    mem_free(table);
    return result;
}
