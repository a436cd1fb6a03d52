/* SPDX-License-Identifier: MIT */
/* test_once_rare.c - calls with an idempotency_key where something that rarely fails does: memory, a lever
 * that is moved meanwhile, a disk that says nothing. */
#include "keying.h"

#define KEYED_NUMBER(json, i)                                                              \
    (void)snprintf(json, sizeof(json),                                                     \
                   "{\"tool\":\"s/echo\",\"agent\":\"a\",\"arguments\":{\"text\":\"hi\"}," \
                   "\"idempotency_key\":\"k%u\"}",                                         \
                   (unsigned)(i))

/* ---- memory ------------------------------------------------------------------------------- */

static void end_without_the_nth_piece(struct fake *fake, unsigned nth, bool is_lost)
{
    mem_fail_at(nth);
    if (is_lost) {
        go_wrong(fake, &reset);
    } else {
        answer_last(fake, RESULT);
    }
    mem_fail_at(0);
}

/* It was done, or may have been, and there is no memory to note that: a repeat sends nothing. */
static void without_memory_a_key_is_not_free(void **state)
{
    char json[200];
    (void)state;
    int fd = connect_client();
    struct fake *fake = stand_soon(fd);
    for (unsigned i = 2; i < 60; i++) {
        bool is_lost = i % 2;
        KEYED_NUMBER(json, i);
        (void)gates_reset_breaker(served.gates, SLICE("s"));
        send_keyed(fd, fake, 1, json);
        size_t before = calls_at(fake);
        end_without_the_nth_piece(fake, i / 2, is_lost);
        mem_free(heard_soon(fd));
        (void)gates_reset_breaker(served.gates, SLICE("s"));
        ask(fd, 2, "tools.call", json);
        char *text = heard_soon(fd);
        assert_int_equal(calls_at(fake), before);
        assert_int_equal(is_lost, strstr(text, "\"code\":\"OUTCOME_UNKNOWN\"") != NULL);
        mem_free(text);
    }
    (void)close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(without_memory_a_key_is_not_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
