/* SPDX-License-Identifier: MIT */
/*
 * memo.h - decisions that a policy made before and need not be asked for again.
 *
 * While no function of the operator has a say (no peer_may, before_call or demo_answer hook), the
 * decision on a service's tool for a trusted peer follows from five things alone: the rules that
 * the agent shares with others (its role), the two names, the demo mode, and the state of that
 * service. Remembered is that the tool is called, or which demo answer stands in; never a failure,
 * and nothing about arguments, which are checked in every call.
 *
 * Owns:    copies of names. Names come from callers: at most MEMO_ENTRIES decisions are kept, of
 *          which the oldest of a set gives way, and no name is longer than MEMO_NAME_BYTES.
 * Life:    embedded in a policy, and nothing in it outlasts that: a reload makes a new one. Agents
 *          are added while the policy is loaded; a policy with such hooks adds none.
 *          What memo_find returns is valid until memo_keep.
 * Errors:  none; without memory nothing is remembered.
 */
#ifndef POLICY_MEMO_H
#define POLICY_MEMO_H

#include "base/map.h"
#include "base/slice.h"
#include "policy/policy.h"

#define MEMO_SET_BITS    8
#define MEMO_WAYS        4
#define MEMO_ENTRIES     ((size_t)MEMO_WAYS << MEMO_SET_BITS)
#define MEMO_NAME_BYTES  128u
#define MEMO_AGENT_BYTES 96u /* what an agent costs here besides its name, about */

struct memo_entry {
    uint64_t hash;
    char *names;   /* service and tool, in one piece */
    unsigned role; /* 0: free */
    int demo;      /* its number, or -1: the tool is called */
    uint8_t service_len, tool_len, mode, state;
};

struct memo {
    struct map agents; /* -> number of the role, from 1 */
    struct memo_entry *entries;
    size_t bytes; /* of entries and names */
};

struct memo_key {
    uint64_t hash;
    unsigned role;
    struct slice service, tool;
    enum policy_demo mode;
    enum policy_service state;
};

void memo_init(struct memo *memo);
void memo_done(struct memo *memo);

/* `role` from 1: the same for all agents whose rules are the same. */
void memo_add_agent(struct memo *memo, struct slice agent, unsigned role);

/* The role of an agent whose decisions may be remembered; 0: they may not. */
unsigned memo_role(const struct memo *memo, struct slice agent);

/* Fills the key's hash from its other fields. NULL: not remembered. */
const struct memo_entry *memo_find(const struct memo *memo, struct memo_key *key);

/* For a key that memo_find just did not find. */
void memo_keep(struct memo *memo, const struct memo_key *key, int demo);

static inline struct slice memo_service(const struct memo_entry *entry)
{
    return (struct slice){entry->names, entry->service_len};
}

static inline struct slice memo_tool(const struct memo_entry *entry)
{
    return (struct slice){entry->names + entry->service_len, entry->tool_len};
}

#endif
