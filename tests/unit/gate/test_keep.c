/* SPDX-License-Identifier: MIT */
/* test_keep.c - what a gate remembers over restarts, with a real store, and over reloads. */
#include "gated.h"

#include "store/store.h"

#include <unistd.h>

struct kept {
    struct gated *gated;
    char folder[64];
};

/* Time stands still, but the store's thread takes its own. */
static void await_read(struct gated *gated)
{
    struct caller caller = {0};
    for (unsigned i = 0; i < 1000; i++) {
        enum gate_answer answer = come(gated, &caller, "four", MONO_NEVER);
        bool is_unread =
            answer == GATE_WAITS && strcmp(gate_waits_for(&caller.ticket), "state") == 0;
        forget(&caller, 1);
        if (!is_unread) {
            return;
        }
        loop_turn(gated->loop, 10000);
    }
    fail_msg("the store was not read");
}

static void open_kept(struct kept *kept)
{
    kept->gated->store =
        store_new(&(struct store_options){.loop = kept->gated->loop, .folder = kept->folder});
    gated_open(kept->gated);
    await_read(kept->gated);
}

static void close_kept(struct kept *kept)
{
    gates_free(kept->gated->gates);
    store_free(kept->gated->store);
    kept->gated->gates = NULL;
    kept->gated->changes[0] = '\0';
}

/* The daemon ends and comes back after `later`, with a clock that starts anywhere. */
static void restart(struct kept *kept, mono_us later)
{
    close_kept(kept);
    advance(kept->gated, later);
    open_kept(kept);
}

static struct kept *kept_new(void)
{
    struct kept *kept = mem_new(sizeof *kept);
    kept->gated = gated_new();
    (void)snprintf(kept->folder, sizeof kept->folder, "/tmp/test_gate_XXXXXX");
    assert_non_null(mkdtemp(kept->folder));
    open_kept(kept);
    return kept;
}

static void kept_free(struct kept *kept)
{
    static const char *const files[] = {STORE_FILE, STORE_FILE "-wal", STORE_FILE "-shm",
                                        STORE_FILE ".lock"};
    char path[128];
    close_kept(kept);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", kept->folder, files[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(kept->folder), 0);
    gated_free(kept->gated);
    mem_free(kept);
}

static void an_open_breaker_stays_open(void **state)
{
    struct kept *kept = kept_new();
    struct gated *gated = kept->gated;
    struct caller caller = {0};
    (void)state;
    break_it(gated, "one", 5, ERR_UNAVAILABLE, FAILURE_NETWORK);
    restart(kept, 20 * SECOND);
    assert_string_equal(changes(gated), "breaker one open 40000;");
    refused(gated, &caller, "one", ERR_CIRCUIT_OPEN, 40000);
    assert_true(says(&caller.failure, "it broke"));
    assert_int_equal(view(gated, "one").breaker_since, loop_now(gated->loop) - 20 * SECOND);
    assert_int_equal(view(gated, "two").breaker, BREAKER_CLOSED);
    advance(gated, 40 * SECOND);
    assert_int_equal(come(gated, &caller, "one", SECOND), GATE_INSIDE); /* half-open */
    gate_quit(&caller.ticket);
    restart(kept, 0);
    assert_string_equal(changes(gated), "breaker one open 0;"); /* it may be tried at once */
    succeed(gated, "one");
    succeed(gated, "one");
    assert_int_equal(view(gated, "one").breaker, BREAKER_CLOSED);
    restart(kept, 0);
    assert_string_equal(changes(gated), "");
    assert_int_equal(view(gated, "one").breaker, BREAKER_CLOSED);
    forget(&caller, 1);
    kept_free(kept);
}

static void quarantine_and_its_level_stay(void **state)
{
    struct kept *kept = kept_new();
    struct gated *gated = kept->gated;
    (void)state;
    gated->confs[0].breaker.is_off = true;
    break_it(gated, "one", 5, ERR_UNAVAILABLE, FAILURE_PROCESS);
    restart(kept, 10 * SECOND);
    assert_string_equal(changes(gated), "quarantine one begun 20000;");
    advance(gated, 20 * SECOND);
    assert_string_equal(changes(gated), "quarantine one ended -1;");
    restart(kept, SECOND);
    assert_string_equal(changes(gated), "");
    break_it(gated, "one", 5, ERR_UNAVAILABLE, FAILURE_PROCESS);
    assert_string_equal(changes(gated), "quarantine one begun 60000;");
    restart(kept, 61 * SECOND); /* it ends while nobody is there */
    assert_string_equal(changes(gated), "");
    succeed(gated, "one");
    restart(kept, SECOND);
    break_it(gated, "one", 5, ERR_UNAVAILABLE, FAILURE_PROCESS);
    assert_string_equal(changes(gated), "quarantine one begun 30000;");
    kept_free(kept);
}

static void levers_stay(void **state)
{
    struct kept *kept = kept_new();
    struct gated *gated = kept->gated;
    struct caller caller = {0};
    (void)state;
    assert_true(gates_force_breaker(gated->gates, SLICE("one"), BREAKER_FORCED_OPEN,
                                    SLICE("moved away")));
    assert_true(
        gates_force_breaker(gated->gates, SLICE("two"), BREAKER_FORCED_CLOSED, SLICE("x")));
    assert_true(gates_quarantine(gated->gates, SLICE("three"), 0, SLICE("not now")));
    restart(kept, 1000000 * SECOND);
    assert_string_equal(gated->changes[0] ? "told" : "", "told");
    refused(gated, &caller, "one", ERR_CIRCUIT_OPEN, -1);
    assert_true(says(&caller.failure, "moved away"));
    assert_int_equal(view(gated, "two").forced, BREAKER_FORCED_CLOSED);
    refused(gated, &caller, "three", ERR_QUARANTINED, -1);
    assert_true(says(&caller.failure, "not now") && says(&caller.failure, "by hand"));
    assert_true(gates_reset_breaker(gated->gates, SLICE("one")));
    assert_true(gates_reset_breaker(gated->gates, SLICE("two")));
    assert_true(gates_release(gated->gates, SLICE("three"), &(bool){false}));
    restart(kept, SECOND);
    assert_string_equal(changes(gated), "");
    assert_int_equal(view(gated, "two").forced, BREAKER_BY_ITSELF);
    forget(&caller, 1);
    kept_free(kept);
}

/* The clock was hours ahead when it was written, or is hours behind now: no time lasts longer than it
 * was to last. */
static void a_clock_that_was_set_lengthens_nothing(void **state)
{
    struct kept *kept = kept_new();
    struct gated *gated = kept->gated;
    (void)state;
    const wall_ms then = loop_wall(gated->loop) + INT64_C(3600000) * 9;
    const struct store_gate row = {.service = SLICE("one"),
                                   .quarantine_since = then,
                                   .quarantine_until = then + 600000,
                                   .is_quarantined_by_hand = true,
                                   .quarantine_reason = SLICE("ten minutes")};
    store_put_gate(gated->store, &row);
    restart(kept, SECOND);
    assert_string_equal(changes(gated), "quarantine one begun 600000;");
    advance(gated, 600 * SECOND);
    assert_string_equal(changes(gated), "quarantine one ended -1;");
    kept_free(kept);
}

static void other_services_stay_in_the_file(void **state)
{
    struct kept *kept = kept_new();
    struct gated *gated = kept->gated;
    (void)state;
    break_it(gated, "one", 5, ERR_UNAVAILABLE, FAILURE_NETWORK);
    assert_true(gates_quarantine(gated->gates, SLICE("two"), 60000, SLICE("")));
    gated->set = (struct service_set){gated->list + 2, SERVICES - 2};
    gates_apply(gated->gates, &gated->set);
    assert_false(gates_view(gated->gates, SLICE("one"), &(struct gate_view){0}));
    restart(kept, 10 * SECOND);
    assert_string_equal(changes(gated), "");
    gated->set = (struct service_set){gated->list, SERVICES};
    gates_apply(gated->gates, &gated->set); /* here again: known from the file */
    assert_string_equal(changes(gated), "breaker one open 50000;quarantine two begun 50000;");
    gated->set = (struct service_set){gated->list + 2, SERVICES - 2};
    gates_apply(gated->gates, &gated->set);
    advance(gated, 10 * SECOND);
    gated->set = (struct service_set){gated->list, SERVICES};
    gates_apply(gated->gates, &gated->set); /* and from memory */
    assert_string_equal(changes(gated), "breaker one open 40000;quarantine two begun 40000;");
    kept_free(kept);
}

static void attempts_wait_for_what_is_kept(void **state)
{
    struct kept *kept = kept_new();
    struct gated *gated = kept->gated;
    struct caller callers[2] = {0};
    (void)state;
    break_it(gated, "one", 5, ERR_UNAVAILABLE, FAILURE_NETWORK);
    close_kept(kept);
    gated->store =
        store_new(&(struct store_options){.loop = gated->loop, .folder = kept->folder});
    gated_open(gated);
    assert_int_equal(come(gated, &callers[0], "one", 30 * SECOND), GATE_WAITS);
    assert_int_equal(come(gated, &callers[1], "two", 30 * SECOND), GATE_WAITS);
    assert_string_equal(gate_waits_for(&callers[0].ticket), "state");
    await_read(gated);
    settle(gated);
    assert_int_equal(callers[0].failure.code, ERR_CIRCUIT_OPEN);
    assert_true(callers[1].is_in);
    forget(callers, 2);
    kept_free(kept);
}

static void what_comes_late_still_counts(void **state)
{
    struct kept *kept = kept_new();
    struct gated *gated = kept->gated;
    struct caller caller = {0};
    (void)state;
    break_it(gated, "one", 5, ERR_UNAVAILABLE, FAILURE_NETWORK);
    assert_true(gates_quarantine(gated->gates, SLICE("two"), 0, SLICE("")));
    close_kept(kept);
    gated->store =
        store_new(&(struct store_options){.loop = gated->loop, .folder = kept->folder});
    gated_open(gated);
    advance(gated, SECOND); /* the store's answer is not looked at */
    assert_int_equal(come(gated, &caller, "one", SECOND), GATE_INSIDE);
    assert_true(gates_release(gated->gates, SLICE("two"), &(bool){false}));
    for (unsigned i = 0; i < 1000 && !view(gated, "one").breaker; i++) {
        loop_turn(gated->loop, 10000);
    }
    assert_string_equal(changes(gated), "breaker one open 59000;"); /* a hand goes before */
    assert_int_equal(view(gated, "two").is_quarantined, false);
    leave(&caller); /* it says nothing of that */
    assert_int_equal(view(gated, "one").breaker, BREAKER_OPEN);
    forget(&caller, 1);
    kept_free(kept);
}

static void but_not_for_ever(void **state)
{
    struct gated *gated = gated_new();
    struct caller callers[3] = {0};
    (void)state;
    /* No turn of the loop sees the store's answer: only time passes. */
    gated->store = store_new(
        &(struct store_options){.loop = gated->loop, .folder = "/proc/nowhere/at/all"});
    gated_open(gated);
    assert_int_equal(come(gated, &callers[0], "one", 30 * SECOND), GATE_WAITS);
    assert_int_equal(come(gated, &callers[1], "one", SECOND / 10), GATE_WAITS);
    advance(gated, SECOND / 10);
    assert_int_equal(callers[1].failure.code, ERR_TIMEOUT);
    advance(gated, SECOND / 2 - SECOND / 10 - 1);
    assert_int_equal(callers[0].turns, 0);
    advance(gated, 1);
    assert_true(callers[0].is_in);
    assert_int_equal(come(gated, &callers[2], "two", SECOND), GATE_INSIDE);
    forget(callers, 3);
    gates_free(gated->gates);
    store_free(gated->store);
    gated->gates = NULL;
    gated_free(gated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_breaker_stays_open),
        cmocka_unit_test(quarantine_and_its_level_stay),
        cmocka_unit_test(levers_stay),
        cmocka_unit_test(a_clock_that_was_set_lengthens_nothing),
        cmocka_unit_test(other_services_stay_in_the_file),
        cmocka_unit_test(attempts_wait_for_what_is_kept),
        cmocka_unit_test(what_comes_late_still_counts),
        cmocka_unit_test(but_not_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
