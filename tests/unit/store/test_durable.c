/* SPDX-License-Identifier: MIT */
/* test_durable.c - what is told to be on disk outlives a power cut: it is synchronised first. What is only
 * written behind is not, for that costs milliseconds. */
#include "scratch.h"

#include <stdatomic.h>
#include <sys/syscall.h>

static atomic_uint syncs;
static atomic_bool hangs;

/* In the place of the C library's: SQLite calls these. */
int fdatasync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    while (atomic_load(&hangs)) {
        (void)usleep(1000);
    }
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fsync, fd);
}

static void claimed(void *arg, const struct store_claim *claim)
{
    *(int *)arg = claim->state == STORE_CLAIM_IS_OURS ? 1 : 2;
}

static void kept(void *arg, bool is_kept)
{
    *(int *)arg = is_kept ? 1 : 2;
}

static void claim(struct scratch *scratch, const char *id)
{
    int answered = 0;
    struct store_claim claim = {.done = claimed, .arg = &answered};
    sha256(slice_of(id), claim.id);
    store_claim(scratch->store, &claim);
    assert_int_equal(scratch_await(scratch, &answered), 1);
}

static void put_outcome(struct scratch *scratch, const char *id)
{
    int answered = 0;
    uint8_t hash[SHA256_BYTES];
    struct store_wait wait = {.done = kept, .arg = &answered};
    sha256(slice_of(id), hash);
    store_put_outcome(scratch->store, hash, SLICE("done"));
    store_await(scratch->store, &wait);
    assert_int_equal(scratch_await(scratch, &answered), 1);
}

static void put_ordinary(struct scratch *scratch)
{
    store_put_gate(scratch->store, &(struct store_gate){.service = SLICE("s")});
    store_put_activity(
        scratch->store,
        &(struct store_activity){.at = clock_wall(), .tool = SLICE("echo"), .outcome = "live"});
    store_flush(scratch->store);
}

static void a_claim_and_its_outcome_are_synchronised(void **state)
{
    struct scratch *scratch = *state;
    claim(scratch, "opens the file");
    for (int i = 0; i < 10; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", i);
        put_ordinary(scratch); /* back to what is not synchronised */
        unsigned before = atomic_load(&syncs);
        claim(scratch, id);
        assert_true(atomic_load(&syncs) > before);
        put_ordinary(scratch);
        before = atomic_load(&syncs);
        put_outcome(scratch, id);
        assert_true(atomic_load(&syncs) > before);
    }
}

static void what_is_written_behind_is_not(void **state)
{
    struct scratch *scratch = *state;
    claim(scratch, "opens the file");
    put_ordinary(scratch);
    unsigned before = atomic_load(&syncs);
    for (int i = 0; i < 20; i++) {
        put_ordinary(scratch);
    }
    assert_int_equal(atomic_load(&syncs), before);
}

struct asker {
    struct store_claim claim;
    int answered; /* state + 1 */
    char error[320];
};

static void told(void *arg, const struct store_claim *claim)
{
    struct asker *asker = arg;
    asker->answered = (int)claim->state + 1;
    if (claim->state == STORE_CLAIM_FAILED) {
        (void)snprintf(asker->error, sizeof asker->error, "%s", claim->error.text);
        assert_int_equal(claim->error.code, ERR_UNAVAILABLE);
    }
}

static void ask(struct asker *asker, struct scratch *scratch, const char *id)
{
    *asker = (struct asker){.claim = {.done = told, .arg = asker}};
    sha256(slice_of(id), asker->claim.id);
    store_claim(scratch->store, &asker->claim);
}

/* Whoever asks behind one that the disk does not answer is refused at once: it would hold a place
 * of its service for nothing. */
static void a_disk_that_hangs_takes_no_more_claims(void **state)
{
    struct scratch *scratch = *state;
    struct asker first;
    struct asker second;
    scratch_close(scratch);
    scratch->store = store_new(&(struct store_options){
        .loop = scratch->loop, .folder = scratch->folder, .patience_ms = 100});
    claim(scratch, "opens the file");
    atomic_store(&hangs, true);
    ask(&first, scratch, "first");
    for (int i = 0; i < 20; i++) {
        loop_turn(scratch->loop, 10000);
    }
    assert_int_equal(first.answered, 0);
    ask(&second, scratch, "second");
    loop_turn(scratch->loop, 10000);
    assert_int_equal(second.answered - 1, STORE_CLAIM_FAILED);
    assert_non_null(strstr(second.error, "the disk has not answered for"));
    scratch_status_has(scratch, "\"failed\"");
    scratch_status_has(scratch, "the disk has not answered for");
    atomic_store(&hangs, false);
    assert_int_equal(scratch_await(scratch, &first.answered) - 1, STORE_CLAIM_IS_OURS);
    claim(scratch, "second");
    scratch_status_has(scratch, "\"open\"");
}

static int teardown(void **state)
{
    atomic_store(&hangs, false); /* or the thread would never end */
    return scratch_teardown(state);
}

int main(void)
{
    log_threshold = LOG_LEVELS;
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_claim_and_its_outcome_are_synchronised),
        TEST(what_is_written_behind_is_not),
        TEST(a_disk_that_hangs_takes_no_more_claims),
    };
    return cmocka_run_group_tests_name("durable", tests, NULL, NULL);
}
