/* SPDX-License-Identifier: MIT */
/*
 * db.h - the seam to the database: what is written and read, and nothing of how.
 *
 * sqlite*.c stand behind it. What is written comes as jobs, in batches; each file of store/ that
 * makes jobs says what they mean.
 *
 * Owns:    struct db its connection. Jobs belong to whoever made them (db_job_free).
 * Thread:  the store's, all of it but the making of jobs. Blocks.
 * Errors:  -code with words for the operator: what failed, why, what to do. After db_write, db_tidy and
 *          db_read_image it is to be closed, and opened anew to be tried again.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

struct db;
struct image;

/* ---- jobs -------------------------------------------------------------------------------- */

enum db_job_kind { DB_ROW, DB_CLAIM, DB_RECORDS };

/* Who may fill the queue how far. */
enum db_rank { DB_ORDINARY, DB_OUTCOMES, DB_MINOR, DB_RANKS };

/* One thing to be carried out, and the next one of its batch: the head of one of those below, with
 * its bytes behind it. */
struct db_job {
    struct db_job *next;
    enum db_job_kind kind;
    enum db_rank rank;
    bool is_durable; /* its batch must outlive a power cut too */
    bool is_lost;    /* the answer: it can never be carried out */
    size_t size;
};

/* Rows that are put and dropped: statement.def. */
enum db_statement {
#define STATEMENT(id, sql) DB_##id,
#include "store/statement.def"
#undef STATEMENT
    DB_STATEMENTS
};

enum db_type { DB_NULL, DB_INT, DB_TEXT, DB_BLOB, DB_JSON /* MessagePack, kept as JSON */ };

struct db_value {
    enum db_type type;
    int64_t number;
    struct slice bytes;
};

#define DB_VALUES_MAX 11u

struct db_row {
    struct db_job job;
    enum db_statement statement;
    bool must_hit; /* lost, where it changes nothing */
    unsigned count;
    struct db_value values[];
};

#define DB_OWNER_BYTES 16u

struct db_claim {
    struct db_job job;
    uint8_t id[SHA256_BYTES], fingerprint[SHA256_BYTES];
    uint8_t owner[DB_OWNER_BYTES]; /* this life of the daemon */
    wall_ms now;
    bool may_take_over;
    /* the answer, which holds once the batch is written */
    enum store_claim_state state;
    wall_ms begun_at;
    char *outcome; /* of its own memory */
    size_t outcome_len;
    struct err error;
};

/* Records of calls (record.h) that were gathered in a moment: kept in one piece. */
struct db_records {
    struct db_job job;
    uint32_t count;
    wall_ms since, until; /* the earliest and the latest */
    struct slice bytes;
};

void db_job_free(struct db_job *job); /* and all that follow */

/* ---- the database ------------------------------------------------------------------------ */

/* Makes the file where there is none. Our own folder is closed to others (0700); a file that others
 * could get at is refused, and so is one of a newer version, of another program, or of a daemon
 * that runs. */
int db_open(const char *folder, struct db **ret, struct err *reterr);
void db_close(struct db *db);
int64_t db_bytes(const struct db *db); /* of its file, when it was last written */

struct db_bounds {
    size_t outcomes; /* bytes of them that are read for claims; the other claims fail */
    int64_t file;    /* bytes of it, free ones left out, from which on no new id is claimed */
};

/* All of them in one transaction, or none; of no job, whether it can be written. A job that can never be
 * carried out is left out, and logged.
 * -ERR_NOT_FOUND: nothing was written, because the file is not in its place any more. */
int db_write(struct db *db, struct db_job *jobs, const struct db_bounds *bounds,
             struct err *reterr);
bool db_is_full(const struct db *db,
                struct err *reterr); /* the last new id was refused for it */

/* All rows at once; NULL with *reterr. */
struct image *db_read_image(struct db *db, struct err *reterr);

/* ---- looking back ------------------------------------------------------------------------ */

struct db_piece { /* as it was put */
    int64_t id;   /* of its first record; the others follow */
    uint32_t count;
    struct slice bytes;
};

struct db_happening {
    int64_t id;
    struct store_happening happening;
};

/* Goes through what is kept, the latest first, and leaves out what `since` and `until` (0: no bound)
 * exclude as a whole. Nothing that is visited outlives the visit. */
struct db_look {
    wall_ms since, until;
    uint32_t most;                                                /* to be looked at */
    bool (*visit_piece)(void *arg, const struct db_piece *piece); /* false: enough */
    bool (*visit_happening)(void *arg, const struct db_happening *happening);
    void *arg;
    int64_t before; /* an id; 0: from the latest. Afterwards, where to go on; 0: that was all */
    uint32_t passed; /* afterwards: left out */
};
int db_look_at_activity(struct db *db, struct db_look *look, struct err *reterr);
int db_look_at_happenings(struct db *db, struct db_look *look, struct err *reterr);

/* ---- keeping house ----------------------------------------------------------------------- */

struct db_keep {
    int64_t days, rows; /* of activity */
};

/* Whether db_tidy is to be called soon, for the sake of the log of what was written. */
bool db_is_untidy(const struct db *db);
/* A little of what is to be done now and then; what is too old or too much goes. Whether more is
 * left: *ret_is_more. */
int db_tidy(struct db *db, const struct db_keep *keep, wall_ms now, bool *ret_is_more,
            struct err *reterr);

#endif
