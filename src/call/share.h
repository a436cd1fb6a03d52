/* SPDX-License-Identifier: MIT */
/*
 * share.h - how much of the daemon one agent, and one client process, may have: calls at once, and
 * calls in a time.
 *
 * Owns:    what is counted: at most SHARES_KEPT agents and processes that rest, the one that was
 *          used longest ago goes first; who has calls under way is always known.
 * Life:    embedded in struct calls. A share taken is given back, once.
 * Thread:  the loop thread.
 */
#ifndef CALL_SHARE_H
#define CALL_SHARE_H

#include "base/list.h"
#include "base/map.h"
#include "base/slice.h"
#include "resilience/bucket.h"
#include "value/failure.h"

#include <sys/types.h>

#define SHARES_KEPT 4096u

/* The settings limits.agent_calls, .agent_rate, .peer_calls, .peer_rate; 0: no limit. */
struct share_limits {
    uint32_t agent_calls, peer_calls;
    struct rate_conf agent_rate, peer_rate;
};

struct share; /* of one agent, or of one process */

struct share_table {
    struct map by_key;
    struct list resting; /* no call under way; longest first */
    unsigned rest_count;
};

struct shares {
    struct share_table agents, peers;
};

struct share_ask {      /* one call: of whom */
    struct slice agent; /* empty: of none */
    uid_t uid;
    pid_t pid;
    mono_us now;
};

struct share_taken { /* zeroed: nothing */
    struct share *agent, *peer;
};

void shares_init(struct shares *shares);
void shares_done(struct shares *shares);

/* False: *failure is OVERLOADED and says whose limit it is; nothing is taken. */
bool shares_take(struct shares *shares, const struct share_limits *limits,
                 const struct share_ask *ask, struct share_taken *ret, struct failure *failure);
/* Whether something of this agent's is counted already. */
bool shares_know(const struct shares *shares, struct slice agent);
void shares_give_back(struct shares *shares, struct share_taken *taken);

#endif
