/* SPDX-License-Identifier: MIT */
/* test_crash.c - a writer that is killed at any moment: the file opens clean, and what was acknowledged is
 * in it. */
#include "scratch.h"

#include <signal.h>
#include <time.h>

#define ROUNDS 100
#define SLOTS  8u

/* What the writer says before it is killed: which claim, and whether its outcome is kept too. */
struct note {
    uint32_t round, number;
    uint32_t is_kept;
};

/* One caller after the other in this place: claims, ends, waits, and begins anew. */
struct slot {
    struct store_claim claim;
    struct store_wait wait;
    struct writer *writer;
    uint32_t number;
    struct loop_task next;
};

struct writer {
    struct scratch *scratch;
    struct store *store;
    int fd;
    uint32_t round, count;
    struct slot slots[SLOTS];
};

static void id_of(uint32_t round, uint32_t number, uint8_t id[SHA256_BYTES])
{
    char text[32];
    (void)snprintf(text, sizeof text, "%u/%u", round, number);
    sha256(slice_of(text), id);
}

/* Of any length, to several hundred KiB now and then. */
static size_t outcome_of(uint32_t number, char **ret)
{
    size_t len = number % 50 == 7 ? 300000 : number * 37 % 900 + 4;
    char *bytes = mem_new(len);
    memset(bytes, 'a' + (int)(number % 26), len);
    memcpy(bytes, &number, sizeof number);
    *ret = bytes;
    return len;
}

static void say(const struct slot *slot, bool is_kept)
{
    struct note note = {slot->writer->round, slot->number, is_kept};
    if (write(slot->writer->fd, &note, sizeof note) != sizeof note) {
        _exit(1);
    }
}

static void kept(void *arg, bool is_kept)
{
    struct slot *slot = arg;
    if (!is_kept) {
        _exit(2);
    }
    say(slot, true);
    loop_later(slot->writer->scratch->loop, &slot->next);
}

static void claimed(void *arg, const struct store_claim *claim)
{
    struct slot *slot = arg;
    struct store *store = slot->writer->store;
    char *outcome;
    if (claim->state != STORE_CLAIM_IS_OURS) {
        _exit(3);
    }
    say(slot, false);
    size_t len = outcome_of(slot->number, &outcome);
    store_put_outcome(store, claim->id, (struct slice){outcome, len});
    mem_free(outcome);
    store_await(store, &slot->wait);
    for (int i = 0; i < 200; i++) {
        store_put_activity(store, &(struct store_activity){.at = clock_wall(),
                                                           .request_id = slot->number,
                                                           .tool = SLICE("echo"),
                                                           .outcome = "live"});
    }
    store_put_gate(store, &(struct store_gate){.service = SLICE("s"), .breaker = slot->number});
}

static void begin(void *arg)
{
    struct slot *slot = arg;
    slot->number = slot->writer->count++;
    slot->claim = (struct store_claim){.done = claimed, .arg = slot};
    slot->wait = (struct store_wait){.done = kept, .arg = slot};
    id_of(slot->writer->round, slot->number, slot->claim.id);
    store_claim(slot->writer->store, &slot->claim);
}

_Noreturn static void write_for_ever(struct scratch *scratch, uint32_t round, int fd)
{
    struct writer writer = {.scratch = scratch, .fd = fd, .round = round};
    scratch_open(scratch);
    writer.store = scratch->store;
    store_keep_activity(writer.store, 30, 20000); /* old ones go meanwhile */
    for (unsigned i = 0; i < SLOTS; i++) {
        writer.slots[i].writer = &writer;
        loop_task_init(&writer.slots[i].next, begin, &writer.slots[i]);
        begin(&writer.slots[i]);
    }
    for (;;) {
        loop_turn(scratch->loop, 100000);
    }
}

/* ---- afterwards -------------------------------------------------------------------------- */

static void is_there(sqlite3 *db, const struct note *note)
{
    static sqlite3_stmt *row;
    uint8_t id[SHA256_BYTES];
    char *outcome;
    if (!db) {
        (void)sqlite3_finalize(row);
        row = NULL;
        return;
    }
    if (!row) {
        assert_int_equal(
            sqlite3_prepare_v2(db, "SELECT ended_at, outcome FROM claims WHERE id = ?1", -1,
                               &row, NULL),
            SQLITE_OK);
    }
    id_of(note->round, note->number, id);
    assert_int_equal(sqlite3_bind_blob(row, 1, id, SHA256_BYTES, SQLITE_STATIC), SQLITE_OK);
    if (sqlite3_step(row) != SQLITE_ROW) {
        fail_msg("claim %u of round %u was acknowledged, and is gone", note->number,
                 note->round);
    }
    if (note->is_kept) {
        size_t len = outcome_of(note->number, &outcome);
        if (sqlite3_column_bytes(row, 1) != (int)len ||
            memcmp(sqlite3_column_blob(row, 1), outcome, len) != 0) {
            fail_msg("outcome %u of round %u was acknowledged, and is another one now",
                     note->number, note->round);
        }
        mem_free(outcome);
    }
    (void)sqlite3_reset(row);
}

static void pause_for(long us)
{
    const struct timespec time = {us / 1000000, us % 1000000 * 1000};
    (void)nanosleep(&time, NULL);
}

/* How many notes there were. */
static unsigned one_round(struct scratch *scratch, uint32_t round, long us)
{
    int fds[2];
    unsigned count = 0;
    int status = 0;
    struct note note;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(fds[0]);
        write_for_ever(scratch, round, fds[1]);
    }
    (void)close(fds[1]);
    if (round % 3) { /* else it may not have opened the file yet */
        if (read(fds[0], &note, sizeof note) != sizeof note) {
            (void)waitpid(child, &status, 0);
            fail_msg("the writer of round %u ended by itself, with status %#x", round,
                     (unsigned)status);
        }
        count++;
    }
    pause_for(us);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    sqlite3 *db = scratch_sqlite(scratch);
    if (count) {
        is_there(db, &note);
    }
    while (read(fds[0], &note, sizeof note) == sizeof note) {
        is_there(db, &note);
        count++;
    }
    is_there(NULL, NULL);
    (void)sqlite3_close(db);
    (void)close(fds[0]);
    return count;
}

static void a_killed_writer_leaves_all_that_it_acknowledged(void **state)
{
    struct scratch *scratch = *state;
    (void)umask(077); /* looking at a file that is not there yet makes one */
    uint32_t seed = 4711;
    unsigned notes = 0;
    store_flush(scratch->store);
    scratch_close(scratch); /* no thread is there to be forked */
    for (uint32_t round = 0; round < ROUNDS; round++) {
        seed = seed * 1664525 + 1013904223;
        notes += one_round(scratch, round, (long)(seed >> 8) % 40000);
        if (access(scratch->path, F_OK) == 0) {
            scratch_is_sound(scratch);
        }
    }
    print_message("%u were acknowledged in %d rounds\n", notes, ROUNDS);
    assert_true(notes > ROUNDS / 2);
    assert_true(scratch_ask(scratch, "SELECT count(*) FROM claims") > ROUNDS / 2);
    scratch_open(scratch); /* and the store goes on with it */
    store_put_gate(scratch->store, &(struct store_gate){.service = SLICE("last")});
    store_flush(scratch->store);
    scratch_status_has(scratch, "\"open\"");
    assert_int_equal(scratch_ask(scratch, "SELECT count(*) FROM gates"), 2);
}

int main(void)
{
    log_threshold = LOG_LEVELS;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_killed_writer_leaves_all_that_it_acknowledged,
                                        scratch_setup, scratch_teardown),
    };
    return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
