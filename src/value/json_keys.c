/* SPDX-License-Identifier: MIT */
/* json_keys.c - finds a key that an object has twice. */
#include "value/json_keys.h"

#include "base/map.h"
#include "base/mem.h"

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

bool json_keys_grow(struct json_keys *keys)
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

uint32_t json_key_tag_of(const unsigned char *at, size_t len)
{
    uint64_t words[2] = {0, 0};
    if (len < 16) {
        memcpy(words, at, len);
    } else {
        memcpy(&words[0], at, 8);
        memcpy(&words[1], at + len - 8, 8);
    }
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    words[0] = __builtin_bswap64(words[0]); /* as chunk_words has them */
    words[1] = __builtin_bswap64(words[1]);
#endif
    return json_key_tag(words[0], words[1], len);
}

enum json_keys_result json_keys_compare(const struct json_keys *keys,
                                        const struct json_keys_level *level,
                                        const unsigned char *base)
{
    const struct json_key *key = &keys->list[keys->count - 1];
    const struct json_key *from = &keys->list[level->first];
    if (keys->count - level->first > JSON_KEYS_FEW) {
        return JSON_KEYS_OK; /* that is left to json_keys_close */
    }
    for (; from < key; from++) {
        if (from->tag == key->tag && from->len == key->len &&
            memcmp(base + from->at, base + key->at, key->len) == 0) {
            return JSON_KEYS_TWICE;
        }
    }
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
