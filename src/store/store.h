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
    const char *folder; /* ours; made 0700 */
    uint32_t retry_ms;  /* between two tries of what fails; 0: 30 s */
};

struct store *store_new(const struct store_options *options);
void store_free(struct store *store);  /* NULL is fine */
void store_flush(struct store *store); /* waits until what is queued is written, or cannot be */

/* For what is to be acknowledged: `done` runs on the loop, later, when all that was put so far is
 * written (it outlives a kill then), or cannot be for now. Embedded in its owner. */
struct store_wait {
    struct store_wait *next;
    uint64_t upto;
    bool is_kept;
    void (*done)(void *arg, bool is_kept);
    void *arg;
};
void store_await(struct store *store, struct store_wait *wait);
void store_forget_wait(struct store *store, struct store_wait *wait);

/* Appends {state: "closed"|"open"|"failed", reason?, queued, lost?}. */
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

struct store_image {
    struct store_pin *pins; /* by service */
    size_t pin_count;
    struct store_era *eras;
    size_t era_count;
};

/* Reads all of it on the thread, then calls `loaded` on the loop; the image is valid during the
 * call. With an error (image NULL) it may be called again, when the file could be read at last. */
void store_load(struct store *store,
                void (*loaded)(void *arg, const struct store_image *image,
                               const struct err *err),
                void *arg);

void store_forget_load(struct store *store); /* `loaded` is not called any more */

void store_put_pin(struct store *store, const struct store_pin *pin); /* replaces */
void store_drop_pin(struct store *store, struct slice service, struct slice tool);
void store_put_era(struct store *store, const struct store_era *era); /* replaces */

#endif
