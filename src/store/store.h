/* SPDX-License-Identifier: MIT */
/*
 * store.h - what survives a restart: one SQLite database in the state folder.
 *
 * Written behind: a put is queued and returns; one thread writes what has gathered in one
 * transaction, and is the only one that ever touches the file. Readers have their own copy in
 * memory: it is read once, by store_load.
 *
 * Owns:    the thread, the file, the queue. Everything handed over is copied.
 * Life:    store_new touches nothing. The first load or put starts the thread, which opens the file.
 *          store_free writes what is queued and waits for it; waits are dropped without a word.
 * Thread:  the loop thread.
 * Errors:  never fatal. A database that cannot be used (modes, locked, read-only, full, damaged, newer)
 *          is said once in the log and in store_put_status, and tried again from time to time;
 *          meanwhile the queue is kept up to its bound.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct store;

#define STORE_FILE "toolbroker.db"
/* A definition that is longer, as JSON, is not kept: only its hash. */
#define STORE_DEFINITION_MAX ((size_t)256 * 1024)

struct store_options {
    struct loop *loop;
    const char *folder;   /* ours; made 0700 */
    uint32_t retry_ms;    /* between two tries of what fails; 0: 30 s */
    uint32_t patience_ms; /* behind a disk that takes longer nothing is claimed; 0: 5 s */
};

struct store *store_new(const struct store_options *options);
void store_free(struct store *store);  /* NULL is fine */
void store_flush(struct store *store); /* waits until what is queued is written, or cannot be */

/* For what is to be acknowledged: `done` runs on the loop, later, when all that was put so far is
 * written (it outlives a kill then), or cannot be for now. Asked for in the same callback as the put,
 * it also tells of a record that was lost (no room, no memory, nothing that it belongs to).
 * Embedded in its owner. */
struct store_wait {
    struct store_wait *next;
    uint64_t upto;
    bool is_kept;
    void (*done)(void *arg, bool is_kept);
    void *arg;
};
void store_await(struct store *store, struct store_wait *wait);
void store_forget_wait(struct store *store, struct store_wait *wait);

/* Appends {state: "closed"|"open"|"failed", reason?, queued, lost?, activity_queued?,
 * activity_dropped?, bytes?, path}: records that wait to be written, that found no room (of activity,
 * what happened among them), the size of the file. */
void store_put_status(struct store *store, struct buf *out);

/* ---- rows -------------------------------------------------------------------------------- */

/* A tool as it was approved, and as it was last seen where that is another one. */
struct store_pin {
    struct slice service, tool;
    const uint8_t *hash;     /* NULL: never approved */
    struct slice definition; /* MessagePack; empty: not kept */
    wall_ms approved_at;
    struct slice approved_by;
    const uint8_t *seen_hash; /* NULL: as approved, or gone */
    struct slice seen;
    bool is_gone;
};

/* How a server is spoken to, as long as its configuration is the one with this hash. */
struct store_era {
    struct slice service;
    const uint8_t *configuration;
    bool is_modern, is_sse;
};

/* What a gate has to say after a restart: its breaker, its quarantine, levers. Times are of the wall
 * clock; 0: not set; -1: no end. */
struct store_gate {
    struct slice service;
    unsigned breaker, forced; /* enum breaker_state, enum breaker_force */
    wall_ms breaker_since, breaker_until;
    struct slice breaker_reason;
    unsigned quarantine_level;
    wall_ms quarantine_since, quarantine_until;
    bool is_quarantined_by_hand;
    struct slice quarantine_reason;
};

struct store_image {
    struct store_pin *pins; /* by service */
    size_t pin_count;
    struct store_era *eras;
    size_t era_count;
    struct store_gate *gates;
    size_t gate_count;
};

/* Reads all of it on the thread, then calls `loaded` on the loop; the image is valid during the
 * call. With an error (image NULL) it may be called again, when the file could be read at last.
 * Embedded in its owner, who takes it back before it is freed; several may wait. */
struct store_load {
    struct list_link link;
    void (*loaded)(void *arg, const struct store_image *image, const struct err *err);
    void *arg;
};
void store_load(struct store *store, struct store_load *load);
void store_forget_load(struct store_load *load); /* `loaded` is not called any more */

void store_put_pin(struct store *store, const struct store_pin *pin); /* replaces */
void store_drop_pin(struct store *store, struct slice service, struct slice tool);
void store_put_era(struct store *store, const struct store_era *era);    /* replaces */
void store_put_gate(struct store *store, const struct store_gate *gate); /* replaces */
void store_drop_gate(struct store *store, struct slice service);

/* ---- what is done once ------------------------------------------------------------------- */

/* How long a claim and its outcome are kept, and the longest outcome. */
#define STORE_CLAIM_KEPT_MS INT64_C(86400000)
#define STORE_OUTCOME_MAX   ((size_t)8 * 1024 * 1024)

enum store_claim_state {
    STORE_CLAIM_IS_OURS,   /* it is on disk now: go on */
    STORE_CLAIM_HAS_ENDED, /* `outcome` is what was put */
    STORE_CLAIM_IS_OPEN, /* an earlier life of the daemon began it, and nobody knows what became of it */
    STORE_CLAIM_DIFFERS, /* the same id with another fingerprint */
    STORE_CLAIM_FAILED   /* the database cannot be used: `error`. Nothing was claimed */
};

/* Claims `id` on disk, durably (synchronised, a power cut included), or says what is known of it. The
 * loop goes on meanwhile; many claims share one transaction. Who claims an id that he has claimed
 * and not ended is told IS_OPEN. Embedded in its owner. */
struct store_claim {
    struct store_claim *next;
    uint8_t id[SHA256_BYTES], fingerprint[SHA256_BYTES];
    bool may_take_over; /* IS_OPEN counts as never begun: doing it twice does no harm */
    void (*done)(void *arg, const struct store_claim *claim);
    void *arg;
    /* the answer, valid during `done` */
    enum store_claim_state state;
    struct slice outcome; /* as it was put */
    wall_ms begun_at;
    struct err error;
};
void store_claim(struct store *store, struct store_claim *claim);
/* `done` is not called any more. What was claimed and not told is free again: nothing was done. */
void store_forget_claim(struct store *store, struct store_claim *claim);

/* What came of a claim of this life; written behind, durably: store_await says when. An outcome
 * that is longer than STORE_OUTCOME_MAX is the caller's to shorten. */
void store_put_outcome(struct store *store, const uint8_t id[SHA256_BYTES],
                       struct slice outcome);
/* Nothing was done: the id is free again, unless it has ended. */
void store_drop_claim(struct store *store, const uint8_t id[SHA256_BYTES]);

/* How large the file may become, free pages left out, before claims of new ids fail (OVERLOADED); what
 * was claimed before is kept all the same. At first there is no bound. May be called again. */
void store_bound(struct store *store, int64_t bytes);

/* ---- activity ---------------------------------------------------------------------------- */

/* One call that ended. Texts are copied, and cut at 255 bytes. */
struct store_activity {
    wall_ms at; /* when it ended */
    uint64_t request_id;
    int64_t took_us;
    uint32_t attempts, uid, pid;
    struct slice method, agent, user, service, tool, fallback_from;
    const char
        *outcome; /* "live", "demo", "cache", "fallback", or the name of an error; static */
};

/* Gathered on the loop, and handed to the thread every quarter of a second or 64 KiB: under a
 * microsecond of the loop. A kill loses what was not handed over yet. */
void store_put_activity(struct store *store, const struct store_activity *activity);
/* How long records are kept: days and rows; 0 days: none are. May be called again. */
void store_keep_activity(struct store *store, int64_t days, int64_t rows);

/* Rows in reverse order of time, read on the thread; `done` gets them as MessagePack: an array of
 * maps {id, time, request_id, method, agent, user, service, tool, outcome, ms, attempts, uid, pid,
 * fallback_from?}. At most `limit` rows and STORE_QUERY_MAX looked at; `*next`: the id to go on
 * `before`, 0: that was all. */
#define STORE_QUERY_LIMIT 1000u
#define STORE_QUERY_MAX   200000u
struct store_query {
    struct store_query *next_query;
    wall_ms since, until; /* 0: no bound */
    int64_t before;       /* id; 0: from the newest */
    uint32_t limit;
    struct slice agent, user, service, tool,
        outcome; /* empty: any; copied. outcome "failed": any error */
    void (*done)(void *arg, struct slice rows, int64_t next, const struct err *err);
    void *arg;
};
void store_query_activity(struct store *store, struct store_query *query);
void store_forget_query(struct store *store, struct store_query *query);

/* ---- what happened to services ----------------------------------------------------------- */

/* A check, a change of state, of a breaker, of a quarantine. Kept 30 days, 100 000 rows at most. */
struct store_happening {
    wall_ms at;
    struct slice service;
    const char *kind; /* "check", "health", "state", "breaker", "quarantine", "rate"; static */
    struct slice state;  /* "ok", "failed", "open", ... */
    struct slice reason; /* words, cut at 1024 bytes; empty: none */
    int64_t took_us;     /* of a check; -1: no time */
};
void store_put_happening(struct store *store, const struct store_happening *happening);
/* As store_query_activity, by service, since, until, before, limit: {id, time, service, kind, state,
 * reason?, ms?}. */
void store_query_happenings(struct store *store, struct store_query *query);

#endif
