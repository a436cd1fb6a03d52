/* SPDX-License-Identifier: MIT */
/* test_claim.c - what is to be done once is claimed once, over restarts, the day after, and where the
 * database cannot be used. */
#include "scratch.h"

#include "store/db.h"

#include <fcntl.h>
#include <sys/resource.h>

struct asker {
    struct store_claim claim;
    int answered; /* state + 1 */
    char outcome[64];
    size_t outcome_len;
    char error[320];
    enum err_code code;
    wall_ms begun_at;
    struct scratch *scratch;
    struct store_claim *forgets;
};

static void done(void *arg, const struct store_claim *claim)
{
    struct asker *asker = arg;
    assert_ptr_equal(claim, &asker->claim);
    assert_int_equal(asker->answered, 0);
    asker->answered = (int)claim->state + 1;
    asker->outcome_len = claim->outcome.len;
    asker->begun_at = claim->begun_at;
    (void)snprintf(asker->outcome, sizeof asker->outcome, "%.*s", SLICE_ARG(claim->outcome));
    if (claim->state == STORE_CLAIM_FAILED) {
        (void)snprintf(asker->error, sizeof asker->error, "%s", claim->error.text);
        asker->code = claim->error.code;
    }
    if (asker->forgets) {
        store_forget_claim(asker->scratch->store, asker->forgets);
    }
}

static void prepare(struct asker *asker, struct scratch *scratch, const char *id,
                    const char *what)
{
    memset(asker, 0, sizeof *asker);
    asker->scratch = scratch;
    asker->claim.done = done;
    asker->claim.arg = asker;
    sha256(slice_of(id), asker->claim.id);
    sha256(slice_of(what), asker->claim.fingerprint);
}

static void ask(struct asker *asker, struct scratch *scratch, const char *id, const char *what)
{
    prepare(asker, scratch, id, what);
    store_claim(scratch->store, &asker->claim);
}

static void answer_is(struct asker *asker, enum store_claim_state state)
{
    assert_int_equal(scratch_await(asker->scratch, &asker->answered) - 1, state);
}

static enum store_claim_state claim(struct scratch *scratch, const char *id, const char *what)
{
    struct asker asker;
    ask(&asker, scratch, id, what);
    return (enum store_claim_state)(scratch_await(scratch, &asker.answered) - 1);
}

static void put_outcome(struct scratch *scratch, const char *id, const char *outcome)
{
    uint8_t hash[SHA256_BYTES];
    sha256(slice_of(id), hash);
    store_put_outcome(scratch->store, hash, slice_of(outcome));
}

static void drop(struct scratch *scratch, const char *id)
{
    uint8_t hash[SHA256_BYTES];
    sha256(slice_of(id), hash);
    store_drop_claim(scratch->store, hash);
}

static void told(void *arg, bool is_kept)
{
    *(int *)arg = is_kept ? 1 : 2;
}

/* Whether what was put so far is kept. */
static bool await_kept(struct scratch *scratch)
{
    int kept = 0;
    struct store_wait wait = {.done = told, .arg = &kept};
    store_await(scratch->store, &wait);
    return scratch_await(scratch, &kept) == 1;
}

/* ---- room -------------------------------------------------------------------------------- */

#define LONG_OUTCOME 300000

/* How many ids could be claimed, each with a long outcome, before one was refused. */
static int fill(struct scratch *scratch, struct asker *refused)
{
    char *outcome = mem_new(LONG_OUTCOME + 1);
    char id[16];
    int count = 0;
    memset(outcome, 'o', LONG_OUTCOME);
    for (;; count++) {
        (void)snprintf(id, sizeof id, "long%d", count);
        ask(refused, scratch, id, "what");
        if (scratch_await(scratch, &refused->answered) - 1 != STORE_CLAIM_IS_OURS) {
            break;
        }
        put_outcome(scratch, id, outcome);
        assert_true(await_kept(scratch));
        assert_true(count < 100);
    }
    mem_free(outcome);
    return count;
}

static void a_file_that_is_large_enough_takes_no_new_claims(void **state)
{
    struct scratch *scratch = *state;
    struct asker asker;
    assert_int_equal(claim(scratch, "before", "what"), STORE_CLAIM_IS_OURS);
    store_bound(scratch->store, 20 * LONG_OUTCOME);
    assert_in_range(fill(scratch, &asker), 18, 40);
    answer_is(&asker, STORE_CLAIM_FAILED);
    assert_int_equal(asker.code, ERR_OVERLOADED);
    assert_non_null(strstr(asker.error, "store.database_bytes"));
    scratch_status_has(scratch, "\"state\":\"full\",\"reason\":\"the database holds");
    put_outcome(scratch, "before", "is kept");
    assert_true(await_kept(scratch));
    assert_int_equal(claim(scratch, "before", "what"), STORE_CLAIM_HAS_ENDED);
    assert_int_equal(claim(scratch, "long0", "what"), STORE_CLAIM_HAS_ENDED);
    assert_int_equal(claim(scratch, "new", "what"), STORE_CLAIM_FAILED);
    store_bound(scratch->store, 40 * LONG_OUTCOME);
    assert_int_equal(claim(scratch, "new", "what"), STORE_CLAIM_IS_OURS);
    scratch_status_has(scratch, "\"state\":\"open\"");
}

static void what_is_old_makes_room(void **state)
{
    struct scratch *scratch = *state;
    struct asker asker;
    store_bound(scratch->store, 20 * LONG_OUTCOME);
    int count = fill(scratch, &asker);
    scratch_run(scratch, "UPDATE claims SET begun_at = 1");
    for (int64_t left = count; left;) {
        store_keep_activity(scratch->store, 30, 1000); /* has a look at once */
        store_flush(scratch->store);
        left = scratch_ask(scratch, "SELECT count(*) FROM claims");
    }
    scratch_status_has(scratch, "\"state\":\"open\"");
    assert_int_equal(claim(scratch, "new", "what"), STORE_CLAIM_IS_OURS);
}

/* ---- once -------------------------------------------------------------------------------- */

static void a_claim_is_had_once(void **state)
{
    struct scratch *scratch = *state;
    struct asker asker;
    ask(&asker, scratch, "id", "what");
    assert_int_equal(asker.answered, 0); /* never inside */
    answer_is(&asker, STORE_CLAIM_IS_OURS);
    assert_int_equal(claim(scratch, "id", "other"), STORE_CLAIM_DIFFERS);
    assert_int_equal(claim(scratch, "id", "what"), STORE_CLAIM_IS_OPEN);
    assert_int_equal(claim(scratch, "id2", "what"), STORE_CLAIM_IS_OURS);
    put_outcome(scratch, "id", "it is done");
    ask(&asker, scratch, "id", "what");
    answer_is(&asker, STORE_CLAIM_HAS_ENDED);
    assert_string_equal(asker.outcome, "it is done");
    assert_true(asker.begun_at > 0);
    assert_int_equal(claim(scratch, "id", "other"), STORE_CLAIM_DIFFERS);
    drop(scratch, "id"); /* has ended: stays */
    drop(scratch, "id2");
    assert_int_equal(claim(scratch, "id", "what"), STORE_CLAIM_HAS_ENDED);
    assert_int_equal(claim(scratch, "id2", "other"), STORE_CLAIM_IS_OURS);
}

static void outcomes_come_back_over_a_restart(void **state)
{
    struct scratch *scratch = *state;
    struct asker asker;
    assert_int_equal(claim(scratch, "ended", "what"), STORE_CLAIM_IS_OURS);
    assert_int_equal(claim(scratch, "empty", "what"), STORE_CLAIM_IS_OURS);
    assert_int_equal(claim(scratch, "open", "what"), STORE_CLAIM_IS_OURS);
    put_outcome(scratch, "ended", "first");
    put_outcome(scratch, "empty", "");
    assert_true(await_kept(scratch));
    scratch_reopen(scratch);
    ask(&asker, scratch, "ended", "what");
    answer_is(&asker, STORE_CLAIM_HAS_ENDED);
    assert_string_equal(asker.outcome, "first");
    ask(&asker, scratch, "empty", "what");
    answer_is(&asker, STORE_CLAIM_HAS_ENDED);
    assert_int_equal(asker.outcome_len, 0);
    assert_int_equal(claim(scratch, "open", "what"), STORE_CLAIM_IS_OPEN);
    drop(scratch, "open"); /* of another life: not ours to drop, nor to end */
    put_outcome(scratch, "open", "not ours");
    assert_int_equal(claim(scratch, "open", "what"), STORE_CLAIM_IS_OPEN);
    scratch_status_has(scratch, "\"lost\":1");
}

static void what_does_no_harm_is_taken_over(void **state)
{
    struct scratch *scratch = *state;
    struct asker asker;
    assert_int_equal(claim(scratch, "id", "what"), STORE_CLAIM_IS_OURS);
    scratch_reopen(scratch);
    prepare(&asker, scratch, "id", "what");
    asker.claim.may_take_over = true;
    store_claim(scratch->store, &asker.claim);
    answer_is(&asker, STORE_CLAIM_IS_OURS);
    put_outcome(scratch, "id", "second try");
    assert_true(await_kept(scratch));
    prepare(&asker, scratch, "id", "what");
    asker.claim.may_take_over = true;
    store_claim(scratch->store, &asker.claim);
    answer_is(&asker, STORE_CLAIM_HAS_ENDED);
    assert_string_equal(asker.outcome, "second try");
    prepare(&asker, scratch, "id", "other");
    asker.claim.may_take_over = true;
    store_claim(scratch->store, &asker.claim);
    answer_is(&asker, STORE_CLAIM_DIFFERS);
}

static void after_a_day_it_is_as_if_it_had_never_been(void **state)
{
    struct scratch *scratch = *state;
    loop_freeze(scratch->loop);
    assert_int_equal(claim(scratch, "id", "what"), STORE_CLAIM_IS_OURS);
    put_outcome(scratch, "id", "old");
    loop_advance(scratch->loop, (mono_us)(STORE_CLAIM_KEPT_MS - 1) * 1000);
    assert_int_equal(claim(scratch, "id", "other"), STORE_CLAIM_DIFFERS);
    assert_int_equal(claim(scratch, "id", "what"), STORE_CLAIM_HAS_ENDED);
    loop_advance(scratch->loop, 1000);
    assert_int_equal(claim(scratch, "id", "other"), STORE_CLAIM_IS_OURS);
    assert_int_equal(claim(scratch, "id", "other"), STORE_CLAIM_IS_OPEN);
}

static void the_second_of_one_batch_sees_the_first(void **state)
{
    struct scratch *scratch = *state;
    struct asker askers[3];
    sqlite3 *db = NULL;
    assert_int_equal(claim(scratch, "opens the file", ""), STORE_CLAIM_IS_OURS);
    db = scratch_sqlite(scratch); /* holds the first up, so that the others gather */
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    struct asker first;
    ask(&first, scratch, "first", "");
    loop_turn(scratch->loop, 50000);
    ask(&askers[0], scratch, "id", "what");
    ask(&askers[1], scratch, "id", "what");
    ask(&askers[2], scratch, "id", "other");
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    answer_is(&first, STORE_CLAIM_IS_OURS);
    answer_is(&askers[0], STORE_CLAIM_IS_OURS);
    answer_is(&askers[1], STORE_CLAIM_IS_OPEN);
    answer_is(&askers[2], STORE_CLAIM_DIFFERS);
}

static void thousands_share_few_transactions(void **state)
{
    struct scratch *scratch = *state;
    enum { MANY = 3000 };
    struct asker *askers = mem_new(MANY * sizeof *askers);
    for (int i = 0; i < MANY; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", i);
        ask(&askers[i], scratch, id, "what");
    }
    for (int i = 0; i < MANY; i++) {
        answer_is(&askers[i], STORE_CLAIM_IS_OURS);
    }
    mem_free(askers);
    assert_int_equal(scratch_ask(scratch, "SELECT count(*) FROM claims"), MANY);
}

/* ---- forgetting -------------------------------------------------------------------------- */

static void a_forgotten_claim_is_free_again(void **state)
{
    struct scratch *scratch = *state;
    for (int round = 0; round < 200; round++) {
        struct asker *asker = mem_new(sizeof *asker);
        ask(asker, scratch, "id", "what");
        if (round % 2) {
            (void)usleep(
                (useconds_t)(round * 20)); /* asked, being written, or on its way back */
        }
        store_forget_claim(scratch->store, &asker->claim);
        assert_int_equal(asker->answered, 0);
        mem_free(asker);
        if (round % 7 == 0) {
            loop_turn(scratch->loop, 0);
        }
    }
    assert_int_equal(claim(scratch, "id", "another"), STORE_CLAIM_IS_OURS);
    assert_int_equal(scratch_ask(scratch, "SELECT count(*) FROM claims"), 1);
}

static void an_outcome_is_not_forgotten_with_its_asker(void **state)
{
    struct scratch *scratch = *state;
    struct asker asker;
    assert_int_equal(claim(scratch, "id", "what"), STORE_CLAIM_IS_OURS);
    put_outcome(scratch, "id", "kept");
    ask(&asker, scratch, "id", "what");
    store_forget_claim(scratch->store, &asker.claim);
    ask(&asker, scratch, "id", "what");
    store_flush(scratch->store);
    store_forget_claim(scratch->store, &asker.claim); /* answered, but not told */
    assert_int_equal(claim(scratch, "id", "what"), STORE_CLAIM_HAS_ENDED);
    assert_int_equal(asker.answered, 0);
}

/* What it did not get itself is not given back: the id was begun by another one, which goes on. */
static void who_forgets_gives_nothing_of_others_back(void **state)
{
    struct scratch *scratch = *state;
    struct asker asker;
    loop_freeze(scratch->loop);
    assert_int_equal(claim(scratch, "id", "what"), STORE_CLAIM_IS_OURS);
    for (int round = 0; round < 20; round++) {
        loop_advance(scratch->loop, 5000);
        ask(&asker, scratch, "id", "what");
        if (round % 2) {
            store_flush(scratch->store); /* answered, but not told */
        }
        store_forget_claim(scratch->store, &asker.claim);
        assert_int_equal(claim(scratch, "id", "what"), STORE_CLAIM_IS_OPEN);
    }
}

static void who_is_told_may_forget_another(void **state)
{
    struct scratch *scratch = *state;
    struct asker first;
    struct asker second;
    prepare(&first, scratch, "1", "what");
    prepare(&second, scratch, "2", "what");
    first.forgets = &second.claim;
    store_claim(scratch->store, &first.claim);
    store_claim(scratch->store, &second.claim);
    store_flush(scratch->store);
    answer_is(&first, STORE_CLAIM_IS_OURS);
    loop_turn(scratch->loop, 10000);
    assert_int_equal(second.answered, 0);
    assert_int_equal(claim(scratch, "2", "other"), STORE_CLAIM_IS_OURS);
}

static void who_still_waits_at_the_end_is_not_told(void **state)
{
    struct scratch *scratch = *state;
    struct asker askers[50];
    for (int i = 0; i < 50; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", i);
        ask(&askers[i], scratch, id, "what");
    }
    scratch_close(scratch);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(askers[i].answered, 0);
    }
}

/* ---- outcomes ---------------------------------------------------------------------------- */

static void the_longest_outcome_is_kept(void **state)
{
    struct scratch *scratch = *state;
    struct asker asker;
    char *bytes = mem_new(STORE_OUTCOME_MAX + 1);
    memset(bytes, 'x', STORE_OUTCOME_MAX + 1);
    ask(&asker, scratch, "id", "what");
    answer_is(&asker, STORE_CLAIM_IS_OURS);
    store_put_outcome(scratch->store, asker.claim.id,
                      (struct slice){bytes, STORE_OUTCOME_MAX + 1});
    assert_false(await_kept(scratch)); /* longer: lost, and said so */
    assert_true(await_kept(scratch));
    store_put_outcome(scratch->store, asker.claim.id, (struct slice){bytes, STORE_OUTCOME_MAX});
    assert_true(await_kept(scratch));
    scratch_reopen(scratch);
    ask(&asker, scratch, "id", "what");
    answer_is(&asker, STORE_CLAIM_HAS_ENDED);
    assert_int_equal(asker.outcome_len, STORE_OUTCOME_MAX);
    mem_free(bytes);
}

static void long_outcomes_at_once_are_bounded(void **state)
{
    struct scratch *scratch = *state;
    enum { MANY = 20 };
    struct asker *askers = mem_new(MANY * sizeof *askers);
    char *bytes = mem_new(STORE_OUTCOME_MAX);
    unsigned ended = 0;
    ask(&askers[0], scratch, "id", "what");
    answer_is(&askers[0], STORE_CLAIM_IS_OURS);
    store_put_outcome(scratch->store, askers[0].claim.id,
                      (struct slice){bytes, STORE_OUTCOME_MAX});
    mem_free(bytes);
    store_flush(scratch->store);
    for (int i = 0; i < MANY; i++) {
        ask(&askers[i], scratch, "id", "what");
    }
    store_flush(scratch->store);
    for (int i = 0; i < MANY; i++) {
        int answer = scratch_await(scratch, &askers[i].answered) - 1;
        ended += answer == STORE_CLAIM_HAS_ENDED;
        if (answer == STORE_CLAIM_FAILED) {
            assert_int_equal(askers[i].code, ERR_OVERLOADED);
        }
    }
    assert_int_equal(ended, 64 / 8); /* of 64 MiB */
    mem_free(askers);
    assert_int_equal(claim(scratch, "id", "what"), STORE_CLAIM_HAS_ENDED);
}

static void an_outcome_of_nothing_is_lost(void **state)
{
    struct scratch *scratch = *state;
    put_outcome(scratch, "never claimed", "x");
    assert_false(await_kept(scratch));
    scratch_status_has(scratch, "\"lost\":1");
    assert_true(await_kept(scratch));
    put_outcome(scratch, "never claimed", "x");
    store_flush(scratch->store); /* also where it is known before anybody waits */
    assert_false(await_kept(scratch));
}

static void outcomes_have_room_when_the_queue_is_full_of_others(void **state)
{
    struct scratch *scratch = *state;
    struct asker asker;
    char *text = mem_new(200001);
    memset(text, 'x', 200000);
    ask(&asker, scratch, "id", "what");
    answer_is(&asker, STORE_CLAIM_IS_OURS);
    sqlite3 *db = scratch_sqlite(scratch);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    for (int i = 0; i < 120; i++) {
        store_put_gate(scratch->store, &(struct store_gate){.service = SLICE("s"),
                                                            .breaker_reason = {text, 200000}});
    }
    scratch_status_has(scratch, "\"lost\":");
    loop_turn(scratch->loop, 0);
    put_outcome(scratch, "id", "it is done");
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    store_flush(scratch->store);
    assert_int_equal(claim(scratch, "id", "what"), STORE_CLAIM_HAS_ENDED);
    mem_free(text);
}

/* What was answered is what a repeat hears, whoever says otherwise later. */
static void the_first_outcome_stays(void **state)
{
    struct scratch *scratch = *state;
    struct asker asker;
    assert_int_equal(claim(scratch, "id", "what"), STORE_CLAIM_IS_OURS);
    put_outcome(scratch, "id", "first");
    assert_true(await_kept(scratch));
    put_outcome(scratch, "id", "second");
    assert_false(await_kept(scratch));
    ask(&asker, scratch, "id", "what");
    answer_is(&asker, STORE_CLAIM_HAS_ENDED);
    assert_string_equal(asker.outcome, "first");
}

/* Of several in one batch only those that were lost, and what was put behind them, are not told kept. */
static void a_lost_one_hides_no_earlier_one(void **state)
{
    struct scratch *scratch = *state;
    int kept[2] = {0, 0};
    struct store_wait waits[2] = {{.done = told, .arg = &kept[0]},
                                  {.done = told, .arg = &kept[1]}};
    struct asker first;
    assert_int_equal(claim(scratch, "id", "what"), STORE_CLAIM_IS_OURS);
    sqlite3 *db = scratch_sqlite(scratch); /* holds the first up, so that the others gather */
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    ask(&first, scratch, "first", "");
    loop_turn(scratch->loop, 50000);
    put_outcome(scratch, "id", "it is done");
    store_await(scratch->store, &waits[0]);
    put_outcome(scratch, "never claimed", "x");
    store_await(scratch->store, &waits[1]);
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    assert_int_equal(scratch_await(scratch, &kept[0]), 1);
    assert_int_equal(scratch_await(scratch, &kept[1]), 2);
    answer_is(&first, STORE_CLAIM_IS_OURS);
}

/* Where what waits has reached its bound, nothing is begun of which nothing could be written. */
static void a_full_queue_takes_no_claim(void **state)
{
    struct scratch *scratch = *state;
    struct asker first;
    struct asker asker;
    char *bytes = mem_new(STORE_OUTCOME_MAX);
    assert_int_equal(claim(scratch, "id", "what"), STORE_CLAIM_IS_OURS);
    sqlite3 *db = scratch_sqlite(scratch);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    ask(&first, scratch, "first", "");
    for (size_t len = STORE_OUTCOME_MAX; len; len /= 2) { /* to the brim */
        for (int i = 0; i < 8; i++) {
            store_put_outcome(scratch->store, first.claim.id, (struct slice){bytes, len});
        }
    }
    ask(&asker, scratch, "another", "");
    loop_turn(scratch->loop, 0);
    assert_int_equal(asker.answered - 1, STORE_CLAIM_FAILED);
    assert_int_equal(asker.code, ERR_OVERLOADED);
    assert_non_null(strstr(asker.error, "the disk is too slow"));
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    answer_is(&first, STORE_CLAIM_IS_OURS);
    store_flush(scratch->store);
    assert_int_equal(claim(scratch, "another", ""), STORE_CLAIM_IS_OURS);
    mem_free(bytes);
}

/* ---- a database that cannot be used ------------------------------------------------------ */

static void fails_at_once(struct scratch *scratch, const char *part)
{
    struct asker asker;
    mono_us before = clock_mono();
    ask(&asker, scratch, "id", "what");
    answer_is(&asker, STORE_CLAIM_FAILED);
    assert_int_equal(asker.code, ERR_UNAVAILABLE);
    if (!strstr(asker.error, part)) {
        fail_msg("\"%s\" is not in \"%s\"", part, asker.error);
    }
    assert_true(clock_mono() - before < 10000000);
}

static void without_a_database_nothing_is_claimed(void **state)
{
    struct scratch *scratch = *state;
    scratch_close(scratch);
    char garbage[8192];
    memset(garbage, 'g', sizeof garbage);
    int fd = open(scratch->path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, garbage, sizeof garbage), sizeof garbage);
    (void)close(fd);
    scratch->store =
        store_new(&(struct store_options){.loop = scratch->loop, .folder = scratch->folder});
    for (int i = 0; i < 5; i++) {
        fails_at_once(scratch, "it is damaged; move it away"); /* not after half a minute */
    }
    assert_int_equal(unlink(scratch->path), 0);
    for (int i = 0; i < 1500; i++) { /* a second later one is let through to see */
        enum store_claim_state answer = claim(scratch, "id", "what");
        if (answer == STORE_CLAIM_IS_OURS) {
            break;
        }
        assert_int_equal(answer, STORE_CLAIM_FAILED);
        loop_turn(scratch->loop, 10000);
        (void)usleep(10000);
    }
    assert_int_equal(claim(scratch, "id", "what"), STORE_CLAIM_IS_OPEN);
    scratch_status_has(scratch, "\"open\"");
}

static void a_locked_database_claims_nothing_until_it_is_free(void **state)
{
    struct scratch *scratch = *state;
    struct asker asker;
    assert_int_equal(claim(scratch, "before", "what"), STORE_CLAIM_IS_OURS);
    sqlite3 *db = scratch_sqlite(scratch);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    ask(&asker, scratch, "id", "what");
    answer_is(&asker, STORE_CLAIM_FAILED);
    assert_non_null(strstr(asker.error, "another process holds it"));
    put_outcome(scratch, "before", "it is done");
    assert_false(await_kept(scratch)); /* not yet */
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    for (int i = 0; i < 3000 && strstr(scratch_status(scratch->store), "failed"); i++) {
        (void)usleep(10000); /* it heals by itself */
    }
    scratch_status_has(scratch, "\"open\"");
    assert_int_equal(claim(scratch, "id", "what"), STORE_CLAIM_IS_OURS);
    assert_int_equal(claim(scratch, "before", "what"), STORE_CLAIM_HAS_ENDED);
    put_outcome(scratch, "id", "it is done");
    assert_true(await_kept(scratch)); /* what failed once was counted once */
}

/* ---- what is old goes ---------------------------------------------------------------------- */

/* A little at a time, however long the outcomes are: claims wait behind it. */
static void long_outcomes_go_a_few_at_a_time(void **state)
{
    struct scratch *scratch = *state;
    struct db *db = NULL;
    struct err err = {0};
    const struct db_keep keep = {.days = 1, .rows = 1};
    bool has_more = true;
    int64_t left = 12;
    assert_int_equal(claim(scratch, "young", "what"), STORE_CLAIM_IS_OURS);
    scratch_close(scratch);
    scratch_run(scratch,
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 12) "
                "INSERT INTO claims SELECT randomblob(32), x'00', x'00', i, i, "
                "zeroblob(1048576) FROM n");
    assert_int_equal(db_open(scratch->folder, &db, &err), 0);
    for (int i = 0; i < 100 && has_more; i++) {
        assert_int_equal(db_tidy(db, &keep, clock_wall(), &has_more, &err), 0);
        int64_t now = scratch_ask(scratch, "SELECT count(*) FROM claims WHERE begun_at < 1000");
        assert_in_range(left - now, 0, 1);
        left = now;
    }
    assert_int_equal(left, 0);
    assert_false(has_more);
    db_close(db);
    scratch_open(scratch);
    assert_int_equal(claim(scratch, "young", "what"), STORE_CLAIM_IS_OPEN);
}

/* And many short ones at once, or they would never be done with. */
static void short_outcomes_go_together(void **state)
{
    struct scratch *scratch = *state;
    struct db *db = NULL;
    struct err err = {0};
    const struct db_keep keep = {.days = 1, .rows = 1};
    bool has_more = true;
    int slices = 0;
    assert_int_equal(claim(scratch, "young", "what"), STORE_CLAIM_IS_OURS);
    scratch_close(scratch);
    scratch_run(scratch,
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) "
                "INSERT INTO claims SELECT randomblob(32), x'00', x'00', i, "
                "nullif(i % 2 * i, 0), iif(i % 2, zeroblob(500), NULL) FROM n");
    assert_int_equal(db_open(scratch->folder, &db, &err), 0);
    for (; slices < 100 && has_more; slices++) {
        assert_int_equal(db_tidy(db, &keep, clock_wall(), &has_more, &err), 0);
    }
    assert_in_range(slices, 5, 15);
    db_close(db);
    assert_int_equal(scratch_ask(scratch, "SELECT count(*) FROM claims"), 1);
}

int main(void)
{
    log_threshold = LOG_LEVELS;
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_claim_is_had_once),
        TEST(a_file_that_is_large_enough_takes_no_new_claims),
        TEST(what_is_old_makes_room),
        TEST(outcomes_come_back_over_a_restart),
        TEST(what_does_no_harm_is_taken_over),
        TEST(after_a_day_it_is_as_if_it_had_never_been),
        TEST(the_second_of_one_batch_sees_the_first),
        TEST(thousands_share_few_transactions),
        TEST(a_forgotten_claim_is_free_again),
        TEST(an_outcome_is_not_forgotten_with_its_asker),
        TEST(who_forgets_gives_nothing_of_others_back),
        TEST(who_is_told_may_forget_another),
        TEST(who_still_waits_at_the_end_is_not_told),
        TEST(the_longest_outcome_is_kept),
        TEST(long_outcomes_at_once_are_bounded),
        TEST(an_outcome_of_nothing_is_lost),
        TEST(a_full_queue_takes_no_claim),
        TEST(the_first_outcome_stays),
        TEST(a_lost_one_hides_no_earlier_one),
        TEST(outcomes_have_room_when_the_queue_is_full_of_others),
        TEST(without_a_database_nothing_is_claimed),
        TEST(a_locked_database_claims_nothing_until_it_is_free),
        TEST(long_outcomes_go_a_few_at_a_time),
        TEST(short_outcomes_go_together),
    };
    return cmocka_run_group_tests_name("claim", tests, NULL, NULL);
}
