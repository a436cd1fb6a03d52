/* SPDX-License-Identifier: MIT */
/* memo.c - a table of fixed size, in sets of a few: a set is one hash's place, newest first. */
#include "policy/memo.h"

#include "base/mem.h"

void memo_init(struct memo *memo)
{
    *memo = (struct memo){.entries = NULL};
    map_init(&memo->agents);
}

void memo_done(struct memo *memo)
{
    for (size_t i = 0; memo->entries && i < (size_t)MEMO_ENTRIES; i++) {
        mem_free(memo->entries[i].names);
    }
    mem_free(memo->entries);
    map_done(&memo->agents);
}

void memo_add_agent(struct memo *memo, struct slice agent, unsigned role)
{
    map_set(&memo->agents, agent, (void *)(uintptr_t)role); // NOLINT(performance-no-int-to-ptr)
}

unsigned memo_role(const struct memo *memo, struct slice agent)
{
    return (unsigned)(uintptr_t)map_get(&memo->agents, agent);
}

/* Of sums and products of hashes the highest bits are the ones to which all others lend. */
static uint64_t hash_of(const struct memo_key *key)
{
    uint64_t rest = (uint64_t)key->role << 8 | (unsigned)key->mode << 4 | (unsigned)key->state;
    return map_hash(key->tool.ptr, key->tool.len) +
           map_hash(key->service.ptr, key->service.len) * 0x9e3779b97f4a7c15u +
           rest * 0xd6e8feb86659fd93u;
}

static struct memo_entry *set_of(const struct memo *memo, uint64_t hash)
{
    return &memo->entries[(hash >> (64 - MEMO_SET_BITS)) * MEMO_WAYS];
}

static bool is_same(const struct memo_entry *entry, const struct memo_key *key)
{
    return entry->hash == key->hash && entry->role == key->role &&
           entry->mode == (unsigned)key->mode && entry->state == (unsigned)key->state &&
           slice_equal(memo_tool(entry), key->tool) &&
           slice_equal(memo_service(entry), key->service);
}

const struct memo_entry *memo_find(const struct memo *memo, struct memo_key *key)
{
    key->hash = hash_of(key);
    if (!memo->entries) {
        return NULL;
    }
    const struct memo_entry *set = set_of(memo, key->hash);
    for (unsigned i = 0; i < MEMO_WAYS; i++) {
        if (is_same(&set[i], key)) {
            return &set[i];
        }
    }
    return NULL;
}

static bool has_entries(struct memo *memo)
{
    const size_t size = sizeof *memo->entries * MEMO_ENTRIES;
    if (!memo->entries) {
        memo->entries = mem_try(size);
        if (memo->entries) {
            memset(memo->entries, 0, size);
            memo->bytes = size;
        }
    }
    return memo->entries != NULL;
}

static bool is_short(struct slice name)
{
    return name.len && name.len <= MEMO_NAME_BYTES;
}

void memo_keep(struct memo *memo, const struct memo_key *key, int demo)
{
    size_t len = key->service.len + key->tool.len;
    if (!is_short(key->service) || !is_short(key->tool) || !has_entries(memo)) {
        return;
    }
    char *names = mem_try(len);
    if (!names) {
        return;
    }
    memcpy(names, key->service.ptr, key->service.len);
    memcpy(names + key->service.len, key->tool.ptr, key->tool.len);
    struct memo_entry *set = set_of(memo, key->hash);
    struct memo_entry *oldest = &set[MEMO_WAYS - 1];
    memo->bytes += len;
    memo->bytes -= (size_t)oldest->service_len + oldest->tool_len;
    mem_free(oldest->names);
    memmove(set + 1, set, sizeof *set * (MEMO_WAYS - 1));
    *set = (struct memo_entry){key->hash,
                               names,
                               key->role,
                               demo,
                               (uint8_t)key->service.len,
                               (uint8_t)key->tool.len,
                               (uint8_t)key->mode,
                               (uint8_t)key->state};
}
