/* SPDX-License-Identifier: MIT */
/* test_gates.c - what is kept of gates comes back as it was put last. */
#include "scratch.h"

struct gates {
    int loaded;
    char text[512];
};

static void gates_loaded(void *arg, const struct store_image *image, const struct err *err)
{
    struct gates *gates = arg;
    assert_non_null(image);
    assert_null(err);
    gates->loaded = 1;
    gates->text[0] = '\0';
    for (size_t i = 0; i < image->gate_count; i++) {
        const struct store_gate *gate = &image->gates[i];
        size_t at = strlen(gates->text);
        (void)snprintf(gates->text + at, sizeof gates->text - at,
                       "%.*s %u %u %lld %lld %.*s|%u %lld %lld %d %.*s;",
                       SLICE_ARG(gate->service), gate->breaker, gate->forced,
                       (long long)gate->breaker_since, (long long)gate->breaker_until,
                       SLICE_ARG(gate->breaker_reason), gate->quarantine_level,
                       (long long)gate->quarantine_since, (long long)gate->quarantine_until,
                       gate->is_quarantined_by_hand, SLICE_ARG(gate->quarantine_reason));
    }
}

static void gates_come_back(void **state)
{
    struct scratch *scratch = *state;
    struct gates gates = {0};
    struct store_load load = {.loaded = gates_loaded, .arg = &gates};
    store_put_gate(scratch->store, &(struct store_gate){.service = SLICE("b"), .breaker = 9});
    store_put_gate(scratch->store, &(struct store_gate){.service = SLICE("b"),
                                                        .breaker = 1,
                                                        .forced = 2,
                                                        .breaker_since = 1700000000000,
                                                        .breaker_until = 1700000060000,
                                                        .breaker_reason = SLICE("5 in a row"),
                                                        .quarantine_level = 3,
                                                        .quarantine_since = 1700000000001,
                                                        .quarantine_until = -1,
                                                        .is_quarantined_by_hand = true,
                                                        .quarantine_reason = SLICE("by hand")});
    store_put_gate(scratch->store, &(struct store_gate){.service = SLICE("a")});
    store_put_gate(scratch->store, &(struct store_gate){.service = SLICE("c")});
    store_drop_gate(scratch->store, SLICE("c"));
    store_drop_gate(scratch->store, SLICE("never"));
    scratch_reopen(scratch);
    store_load(scratch->store, &load);
    (void)scratch_await(scratch, &gates.loaded);
    assert_string_equal(gates.text, "a 0 0 0 0 |0 0 0 0 ;"
                                    "b 1 2 1700000000000 1700000060000 5 in a row|"
                                    "3 1700000000001 -1 1 by hand;");
}

int main(void)
{
    log_threshold = LOG_LEVELS;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gates_come_back, scratch_setup, scratch_teardown),
    };
    return cmocka_run_group_tests_name("gates", tests, NULL, NULL);
}
