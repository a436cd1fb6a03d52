/* SPDX-License-Identifier: MIT */
/* once.c - the ids of calls that are carried out once: who carries out, who waits, what is on disk. */
#include "call/once.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"

#include <string.h>

/* Outcomes that the disk did not take. */
#define UNKEPT_BYTES ((size_t)64 << 20)
#define UNKEPT_US    (STORE_CLAIM_KEPT_MS * 1000)

enum entry_state {
    ENTRY_NEW,      /* nothing is on disk */
    ENTRY_CLAIMING, /* the store is asked */
    ENTRY_CLAIMED,  /* it is on disk, and carried out */
    ENTRY_ENDING,   /* its outcome, or that it is free again, is on its way to disk */
    ENTRY_UNKEPT    /* it has ended, and only this memory knows */
};

struct once_entry {
    struct onces *onces;
    struct list_link link; /* in onces->unkept */
    struct list waiting;   /* struct once */
    struct once *owner;    /* NULL: it has left */
    uint8_t fingerprint[SHA256_BYTES];
    struct store_claim claim; /* its id too */
    struct store_wait wait;
    struct buf outcome;
    mono_us ended;
    enum entry_state state;
    bool has_outcome;
};

struct onces {
    struct loop *loop;
    struct store *store;
    struct map by_id;
    struct list unkept; /* oldest first */
    size_t unkept_bytes;
};

static struct slice key_of(const struct once_entry *entry)
{
    return (struct slice){(const char *)entry->claim.id, SHA256_BYTES};
}

struct onces *onces_new(struct loop *loop, struct store *store)
{
    struct onces *onces = mem_new(sizeof *onces);
    onces->loop = loop;
    onces->store = store;
    map_init(&onces->by_id);
    list_init(&onces->unkept);
    return onces;
}

static void free_entry(struct once_entry *entry)
{
    struct onces *onces = entry->onces;
    must(!entry->owner && list_is_empty(&entry->waiting));
    if (map_get(&onces->by_id, key_of(entry)) == entry) {
        (void)map_remove(&onces->by_id, key_of(entry));
    }
    if (list_has(&entry->link)) {
        list_remove(&entry->link);
        onces->unkept_bytes -= entry->outcome.len;
    }
    buf_done(&entry->outcome);
    mem_free(entry);
}

void onces_free(struct onces *onces)
{
    struct once_entry *entry;
    size_t at = 0;
    if (!onces) {
        return;
    }
    while ((entry = map_next(&onces->by_id, &at, NULL))) {
        if (entry->state == ENTRY_CLAIMING) {
            store_forget_claim(onces->store, &entry->claim);
        } else if (entry->state == ENTRY_ENDING) {
            store_forget_wait(onces->store, &entry->wait);
        }
        free_entry(entry);
    }
    map_done(&onces->by_id);
    mem_free(onces);
}

/* ---- the calls of an id -------------------------------------------------------------------- */

/* It belongs to no id any more. */
static void detach(struct once *once)
{
    struct once_entry *entry = once->entry;
    list_remove(&once->link);
    loop_timer_cancel(once->onces->loop, &once->timer);
    loop_task_cancel(&once->task);
    once->entry = NULL;
    if (entry && entry->owner == once) {
        entry->owner = NULL;
    }
}

/* The call may be gone when it returns. */
static void tell(struct once *once, const struct once_told *told)
{
    detach(once);
    once->events->told(once->arg, told);
}

static void tell_unkept(const struct once_entry *entry, struct once *once)
{
    tell(once, &(struct once_told){.word = ONCE_OUTCOME,
                                   .outcome = buf_slice(&entry->outcome),
                                   .is_unkept = true});
}

/* Everybody hears the same, and the entry is gone: what comes later asks the disk. */
static void tell_all(struct once_entry *entry, const struct once_told *told)
{
    struct list_link *link;
    (void)map_remove(&entry->onces->by_id, key_of(entry));
    if (entry->owner) {
        tell(entry->owner, told);
    }
    while ((link = list_first(&entry->waiting))) {
        tell(LIST_ITEM(link, struct once, link), told);
    }
    free_entry(entry);
}

/* Nobody carries it out: the first that waits does, or the id is nobody's. */
static void hand_on(struct once_entry *entry)
{
    struct list_link *link = list_first(&entry->waiting);
    if (!link) {
        if (entry->state == ENTRY_CLAIMED) { /* nothing was sent, and nobody waits to hear so */
            store_drop_claim(entry->onces->store, entry->claim.id);
        }
        free_entry(entry);
        return;
    }
    struct once *next = LIST_ITEM(link, struct once, link);
    list_remove(link);
    loop_timer_cancel(entry->onces->loop, &next->timer);
    entry->owner = next;
    loop_later(entry->onces->loop, &next->task);
}

/* What was said inside a function of its own call. */
static void run_later(void *arg)
{
    struct once *once = arg;
    struct once_entry *entry = once->entry;
    if (!entry) {
        tell(once, &(struct once_told){.word = ONCE_CONFLICT});
    } else if (entry->owner != once) { /* an outcome that only memory has */
        tell_unkept(entry, once);
    } else if (!entry->onces->store) {
        struct err err = {0};
        (void)err_set(&err, ERR_UNAVAILABLE, "there is no database");
        tell_all(entry, &(struct once_told){.word = ONCE_NO_DISK, .err = &err});
    } else {
        once->events->ours(once->arg);
    }
}

static void too_late(void *arg)
{
    struct once *once = arg;
    const struct once_entry *entry = once->entry;
    if (entry->owner != once) {
        tell(once, &(struct once_told){.word = ONCE_LATE});
    } else if (entry->state == ENTRY_CLAIMING) {
        struct err err = {0};
        (void)err_set(&err, ERR_TIMEOUT, "the database did not answer before the deadline");
        tell(once, &(struct once_told){.word = ONCE_NO_DISK, .err = &err});
    } else { /* it is done; the disk takes its time */
        detach(once);
        once->events->kept(once->arg, false);
    }
}

/* ---- outcomes that only memory has --------------------------------------------------------- */

static void forget_old(struct onces *onces)
{
    mono_us now = loop_now(onces->loop);
    list_each (link, &onces->unkept) {
        struct once_entry *entry = LIST_ITEM(link, struct once_entry, link);
        if (onces->unkept_bytes <= UNKEPT_BYTES && now - entry->ended < UNKEPT_US) {
            return;
        }
        if (list_is_empty(&entry->waiting)) {
            free_entry(entry);
        }
    }
}

static void keep_here(struct once_entry *entry)
{
    struct onces *onces = entry->onces;
    entry->state = ENTRY_UNKEPT;
    entry->ended = loop_now(onces->loop);
    list_append(&onces->unkept, &entry->link);
    onces->unkept_bytes += entry->outcome.len;
    forget_old(onces);
}

/* ---- the way ------------------------------------------------------------------------------- */

static void claimed(void *arg, const struct store_claim *claim)
{
    struct once_entry *entry = arg;
    struct once_told told = {.begun_at = claim->begun_at};
    switch (claim->state) {
    case STORE_CLAIM_IS_OURS:
        entry->state = ENTRY_CLAIMED;
        if (entry->owner) {
            loop_timer_cancel(entry->onces->loop, &entry->owner->timer);
            entry->owner->events->ours(entry->owner->arg);
        } else {
            hand_on(entry);
        }
        return;
    case STORE_CLAIM_HAS_ENDED:
        told.word = ONCE_OUTCOME;
        told.outcome = claim->outcome;
        break;
    case STORE_CLAIM_IS_OPEN:
        told.word = ONCE_UNKNOWN;
        break;
    case STORE_CLAIM_DIFFERS:
        told.word = ONCE_CONFLICT;
        break;
    case STORE_CLAIM_FAILED:
        told.word = ONCE_NO_DISK;
        told.err = &claim->error;
        break;
    }
    entry->state = ENTRY_NEW; /* the store is through with it */
    tell_all(entry, &told);
}

static void ended(void *arg, bool is_kept)
{
    struct once_entry *entry = arg;
    struct once *owner = entry->owner;
    entry->state = ENTRY_NEW;
    if (owner) { /* it may be answered from what is kept here */
        detach(owner);
        owner->events->kept(owner->arg, is_kept);
    }
    if (!entry->has_outcome) {
        hand_on(entry);
        return;
    }
    if (is_kept) {
        tell_all(entry, &(struct once_told){.word = ONCE_OUTCOME,
                                            .outcome = buf_slice(&entry->outcome)});
        return;
    }
    struct list_link *link;
    while ((link = list_first(&entry->waiting))) {
        tell_unkept(entry, LIST_ITEM(link, struct once, link));
    }
    keep_here(entry);
}

static struct once_entry *new_entry(struct onces *onces, const struct once_ask *ask)
{
    struct once_entry *entry = mem_new(sizeof *entry);
    entry->onces = onces;
    list_init(&entry->waiting);
    memcpy(entry->claim.id, ask->id, SHA256_BYTES);
    memcpy(entry->claim.fingerprint, ask->fingerprint, SHA256_BYTES);
    memcpy(entry->fingerprint, ask->fingerprint, SHA256_BYTES);
    entry->claim.done = claimed;
    entry->claim.arg = entry;
    entry->wait.done = ended;
    entry->wait.arg = entry;
    buf_init(&entry->outcome, STORE_OUTCOME_MAX);
    map_set(&onces->by_id, key_of(entry), entry);
    return entry;
}

enum once_begun once_begin(struct onces *onces, struct once *once, const struct once_ask *ask)
{
    forget_old(onces);
    struct slice id = {(const char *)ask->id, SHA256_BYTES};
    struct once_entry *entry = map_get(&onces->by_id, id);
    *once = (struct once){
        .onces = onces, .events = ask->events, .arg = ask->arg, .deadline = ask->deadline};
    loop_timer_init(&once->timer, too_late, once);
    loop_task_init(&once->task, run_later, once);
    if (!entry) {
        once->entry = new_entry(onces, ask);
        once->entry->owner = once;
        return ONCE_IS_OURS;
    }
    if (memcmp(entry->fingerprint, ask->fingerprint, SHA256_BYTES) != 0) {
        loop_later(onces->loop, &once->task);
        return ONCE_WAITS;
    }
    once->entry = entry;
    list_append(&entry->waiting, &once->link);
    if (entry->state == ENTRY_UNKEPT) {
        loop_later(onces->loop, &once->task);
    } else {
        loop_timer_set(onces->loop, &once->timer, ask->deadline);
    }
    return ONCE_WAITS;
}

bool once_claim(struct once *once, bool may_take_over)
{
    struct once_entry *entry = once->entry;
    must(entry && entry->owner == once);
    if (entry->state == ENTRY_CLAIMED) {
        return true;
    }
    must(entry->state == ENTRY_NEW);
    if (!entry->onces->store) {
        loop_later(entry->onces->loop, &once->task);
        return false;
    }
    entry->state = ENTRY_CLAIMING;
    entry->claim.may_take_over = may_take_over;
    store_claim(entry->onces->store, &entry->claim);
    return false;
}

void once_hurry(struct once *once)
{
    must(once->entry && once->entry->owner == once);
    loop_timer_set(once->onces->loop, &once->timer, once->deadline);
}

bool once_is_claimed(const struct once *once)
{
    const struct once_entry *entry = once->entry;
    return entry && entry->owner == once && entry->state == ENTRY_CLAIMED;
}

void once_end(struct once *once, struct slice outcome)
{
    struct once_entry *entry = once->entry;
    must(entry && entry->owner == once && entry->state == ENTRY_CLAIMED);
    entry->state = ENTRY_ENDING;
    entry->has_outcome = outcome.ptr != NULL;
    if (outcome.ptr) {
        buf_put_slice(&entry->outcome, outcome);
        store_put_outcome(entry->onces->store, entry->claim.id, outcome);
    } else {
        store_drop_claim(entry->onces->store, entry->claim.id);
    }
    store_await(entry->onces->store, &entry->wait);
    loop_timer_set(entry->onces->loop, &once->timer, once->deadline);
}

void once_part(struct once *once)
{
    struct once_entry *entry = once->entry;
    bool is_owner = entry && entry->owner == once;
    must(!once_is_claimed(once));
    detach(once);
    if (is_owner && entry->state == ENTRY_NEW) {
        hand_on(entry);
    }
}
