/* SPDX-License-Identifier: MIT */
/* claim.c - claims on their way to the thread and back. */
#include "store/room.h"

#include "base/mem.h"

#include <string.h>

/* While the database fails, a claim is let through so often, to see whether it still does. */
#define CLAIM_TRY_US ((mono_us)1000000)

struct asked_claim {
    struct db_claim claim; /* first: it is a job */
    struct list_link link;
    struct store_claim *asker; /* NULL: forgotten */
    bool is_answered;          /* under the lock */
};

/* ---- asking ------------------------------------------------------------------------------ */

static struct asked_claim *asked_new(const struct store *store, struct store_claim *claim)
{
    struct asked_claim *asked = mem_new(sizeof *asked);
    asked->claim.job = (struct db_job){
        .kind = DB_CLAIM, .rank = DB_OUTCOMES, .is_durable = true, .size = sizeof *asked};
    memcpy(asked->claim.id, claim->id, SHA256_BYTES);
    memcpy(asked->claim.fingerprint, claim->fingerprint, SHA256_BYTES);
    memcpy(asked->claim.owner, store->owner, DB_OWNER_BYTES);
    asked->claim.now = loop_wall(store->options.loop);
    asked->claim.may_take_over = claim->may_take_over;
    asked->asker = claim;
    return asked;
}

static void answer(struct store *store, struct asked_claim *asked)
{
    asked->is_answered = true;
    asked->claim.job.next = NULL;
    *store->answered_tail = &asked->claim.job;
    store->answered_tail = &asked->claim.job.next;
    store_wake_loop(store);
}

static void fail(struct store *store, struct asked_claim *asked, const struct err *err)
{
    struct db_claim *claim = &asked->claim;
    mem_free(claim->outcome);
    claim->outcome = NULL;
    claim->outcome_len = 0;
    claim->state = STORE_CLAIM_FAILED;
    claim->error = *err;
    answer(store, asked);
}

/* While it fails, nobody waits for one more try but one claim now and then. */
static bool may_ask(struct store *store)
{
    mono_us now = loop_now(store->options.loop);
    if (!store->failure.code) {
        return true;
    }
    if (now < store->claim_at) {
        return false;
    }
    store->claim_at = now + CLAIM_TRY_US;
    store->try_at = 0;
    return true;
}

void store_claim(struct store *store, struct store_claim *claim)
{
    struct asked_claim *asked = asked_new(store, claim);
    list_append(&store->claims, &asked->link);
    struct err err = {0};
    (void)pthread_mutex_lock(&store->lock);
    store_rouse(store);
    if (store_is_stuck(store, &err)) {
        fail(store, asked, &err);
    } else if (!store->has_thread || !may_ask(store)) {
        fail(store, asked, &store->failure);
    } else if (!queue_has_room(store, &asked->claim.job)) {
        (void)err_set(&err, ERR_OVERLOADED,
                      "the disk is too slow: %zu MiB wait to be written to the database",
                      QUEUE_BYTES_MAX >> 20);
        fail(store, asked, &err);
    } else {
        queue_append(&store->queue, &asked->claim.job);
    }
    (void)pthread_mutex_unlock(&store->lock);
}

/* What it may claim yet, or has claimed without anybody having heard of it, is given back: nothing was
 * done. */
void store_forget_claim(struct store *store, struct store_claim *claim)
{
    list_each (link, &store->claims) {
        struct asked_claim *asked = LIST_ITEM(link, struct asked_claim, link);
        if (asked->asker != claim) {
            continue;
        }
        asked->asker = NULL;
        (void)pthread_mutex_lock(&store->lock);
        bool is_ours = !asked->is_answered || asked->claim.state == STORE_CLAIM_IS_OURS;
        (void)pthread_mutex_unlock(&store->lock);
        if (is_ours) {
            claim_give_back(store, &asked->claim);
        }
    }
}

/* ---- answering --------------------------------------------------------------------------- */

void claims_answer(struct store *store, struct queue *queue, const struct err *err)
{
    struct db_job *job = queue->first;
    queue_init(queue);
    for (struct db_job *next; job; job = next) {
        next = job->next;
        if (job->kind != DB_CLAIM) {
            queue_append(queue, job);
        } else if (err) {
            fail(store, (struct asked_claim *)job, err);
        } else {
            store->outcome_bytes += ((struct db_claim *)job)->outcome_len;
            answer(store, (struct asked_claim *)job);
        }
    }
}

static void tell(struct asked_claim *asked)
{
    struct store_claim *claim = asked->asker;
    asked->asker = NULL;
    if (claim) {
        claim->state = asked->claim.state;
        claim->begun_at = asked->claim.begun_at;
        claim->outcome = (struct slice){asked->claim.outcome, asked->claim.outcome_len};
        claim->error = asked->claim.error;
        claim->done(claim->arg, claim);
    }
}

/* One after the other: whoever is told may forget another one. */
void claims_tell(struct store *store)
{
    for (;;) {
        (void)pthread_mutex_lock(&store->lock);
        struct db_job *job = store->answered;
        if (job) {
            store->answered = job->next;
            store->answered_tail = store->answered ? store->answered_tail : &store->answered;
            store->outcome_bytes -= ((struct db_claim *)job)->outcome_len;
            job->next = NULL;
        }
        (void)pthread_mutex_unlock(&store->lock);
        if (!job) {
            return;
        }
        struct asked_claim *asked = (struct asked_claim *)job;
        list_remove(&asked->link);
        tell(asked);
        db_job_free(job);
    }
}
