/* SPDX-License-Identifier: MIT */
/* test_durable.c - what is told to be on disk outlives a power cut: it is synchronised first. What is only
 * written behind is not, for that costs milliseconds. */
#include "scratch.h"

#include <stdatomic.h>
#include <sys/syscall.h>

static atomic_uint syncs;

/* In the place of the C library's: SQLite calls these. */
int fdatasync(int fd)
{
    atomic_fetch_add(&syncs, 1);
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

int main(void)
{
    log_threshold = LOG_LEVELS;
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_claim_and_its_outcome_are_synchronised),
        TEST(what_is_written_behind_is_not),
    };
    return cmocka_run_group_tests_name("durable", tests, NULL, NULL);
}
