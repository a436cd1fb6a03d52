/* SPDX-License-Identifier: MIT */
/* share.c - counts the calls of each agent and each client process, where there is a limit. */
#include "call/share.h"

#include "base/mem.h"

struct share {
    struct list_link link; /* in table->resting */
    struct bucket bucket;
    unsigned live;
    struct slice key; /* ours */
};

struct process {
    int64_t pid, uid;
};

struct claim { /* one of the two: whose, and how much of it */
    struct share_table *table;
    struct slice key;              /* the name of an agent, or the bytes of struct process */
    const struct process *process; /* NULL: an agent's */
    uint32_t calls_max;
    const struct rate_conf *rate;
    const char *who;                      /* "agent", "client process" */
    const char *calls_limit, *rate_limit; /* by the names of settings */
    struct share *share;
};

static void table_init(struct share_table *table)
{
    map_init(&table->by_key);
    list_init(&table->resting);
    table->rest_count = 0;
}

static void drop(struct share_table *table, struct share *share)
{
    if (list_has(&share->link)) {
        list_remove(&share->link);
        table->rest_count--;
    }
    (void)map_remove(&table->by_key, share->key);
    mem_free((char *)share->key.ptr);
    mem_free(share);
}

static void table_done(struct share_table *table)
{
    struct share *share;
    size_t at = 0;
    while ((share = map_next(&table->by_key, &at, NULL))) {
        drop(table, share);
    }
    map_done(&table->by_key);
}

void shares_init(struct shares *shares)
{
    table_init(&shares->agents);
    table_init(&shares->peers);
}

void shares_done(struct shares *shares)
{
    table_done(&shares->agents);
    table_done(&shares->peers);
}

static void rest(struct share_table *table, struct share *share)
{
    if (list_has(&share->link)) {
        list_remove(&share->link);
        table->rest_count--;
    }
    list_append(&table->resting, &share->link);
    if (++table->rest_count > SHARES_KEPT) {
        drop(table, LIST_ITEM(list_first(&table->resting), struct share, link));
    }
}

static struct share *find(struct share_table *table, struct slice key)
{
    struct share *share = map_get(&table->by_key, key);
    if (!share) {
        share = mem_new(sizeof *share);
        share->key = (struct slice){mem_dup(key), key.len};
        map_set(&table->by_key, key, share);
        rest(table, share);
    }
    return share;
}

/* ---- taking ------------------------------------------------------------------------------- */

static void refuse(const struct claim *claim, const char *limit, mono_us wait,
                   struct failure *failure)
{
    if (claim->process) {
        failure_set(failure, ERR_OVERLOADED,
                    "the %s `%lld of uid %lld` has reached its share, %s", claim->who,
                    (long long)claim->process->pid, (long long)claim->process->uid, limit);
    } else {
        failure_set(failure, ERR_OVERLOADED, "the %s `%.*s` has reached its share, %s",
                    claim->who, SLICE_ARG(claim->key), limit);
    }
    failure_suggest(failure,
                    "Call again when calls of this %s have ended, or let the operator "
                    "raise %s.",
                    claim->who, limit);
    failure_detail_text(failure, "limit", limit);
    if (wait) {
        failure_suggest(failure,
                        "Wait for retry_after_ms, then call again; or let the operator "
                        "raise %s.",
                        limit);
        failure->retry_after_ms = (wait + 999) / 1000;
    }
}

static bool take(struct claim *claim, mono_us now, struct failure *failure)
{
    mono_us wait = 0;
    if (!claim->calls_max && !claim->rate->count) {
        return true;
    }
    struct share *share = find(claim->table, claim->key);
    if (claim->calls_max && share->live >= claim->calls_max) {
        refuse(claim, claim->calls_limit, 0, failure);
        return false;
    }
    if (claim->rate->count && !bucket_take(&share->bucket, claim->rate, now, &wait)) {
        refuse(claim, claim->rate_limit, wait > 0 ? wait : 1, failure);
        return false;
    }
    if (share->live++ == 0) {
        list_remove(&share->link);
        claim->table->rest_count--;
    }
    claim->share = share;
    return true;
}

static void give_back(struct share_table *table, struct share **share)
{
    if (*share && --(*share)->live == 0) {
        rest(table, *share);
    }
    *share = NULL;
}

bool shares_take(struct shares *shares, const struct share_limits *limits,
                 const struct share_ask *ask, struct share_taken *ret, struct failure *failure)
{
    const struct process process = {ask->pid, ask->uid};
    if (!limits->agent_calls && !limits->agent_rate.count && !limits->peer_calls &&
        !limits->peer_rate.count) {
        return true;
    }
    struct claim by_agent = {.table = &shares->agents,
                             .key = ask->agent,
                             .calls_max = limits->agent_calls,
                             .rate = &limits->agent_rate,
                             .who = "agent",
                             .calls_limit = "limits.agent_calls",
                             .rate_limit = "limits.agent_rate"};
    struct claim by_peer = {.table = &shares->peers,
                            .key = {(const char *)&process, sizeof process},
                            .process = &process,
                            .calls_max = limits->peer_calls,
                            .rate = &limits->peer_rate,
                            .who = "client process",
                            .calls_limit = "limits.peer_calls",
                            .rate_limit = "limits.peer_rate"};
    if (ask->agent.len && !take(&by_agent, ask->now, failure)) {
        return false;
    }
    if (!take(&by_peer, ask->now, failure)) {
        if (by_agent.share && limits->agent_rate.count) {
            bucket_give_back(&by_agent.share->bucket, &limits->agent_rate, ask->now);
        }
        give_back(&shares->agents, &by_agent.share);
        return false;
    }
    ret->agent = by_agent.share;
    ret->peer = by_peer.share;
    return true;
}

bool shares_know(const struct shares *shares, struct slice agent)
{
    return map_get(&shares->agents.by_key, agent) != NULL;
}

void shares_give_back(struct shares *shares, struct share_taken *taken)
{
    give_back(&shares->agents, &taken->agent);
    give_back(&shares->peers, &taken->peer);
}
