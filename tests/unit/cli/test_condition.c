/* SPDX-License-Identifier: MIT */
/* test_condition.c - from fixed statuses of services to words, marks and what to do. */
#include "cli/condition.h"
#include "value/json.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* No time is given as `since` but one that is to come, which is an age of 0 ms: words do not depend
 * on when the test runs. */
#define NOW "\"2999-01-01T00:00:00.000Z\""

static struct buf packed;
static struct cli cli;

static struct slice from_json(const char *json)
{
    struct err err;
    buf_clear(&packed);
    assert_int_equal(json_to_pack(slice_of(json), JSON_DEPTH_MAX, &packed, &err), 0);
    return buf_slice(&packed);
}

static void expect_condition(const char *json, enum mark mark, const char *word,
                             bool needs_attention)
{
    struct condition condition = condition_of(from_json(json));
    assert_int_equal(condition.mark, mark);
    assert_true(slice_is(condition.word, word));
    assert_int_equal(condition.needs_attention, needs_attention);
}

static void expect_words(void (*put)(struct cli *cli, struct slice service), const char *json,
                         const char *expected)
{
    put(&cli, from_json(json));
    assert_string_equal(buf_text(&cli.out), expected);
    buf_clear(&cli.out);
}

static void test_marks(void **state)
{
    (void)state;
    expect_condition("{\"state\":\"running\"}", MARK_GOOD, "running", false);
    expect_condition("{\"state\":\"stopped\"}", MARK_NONE, "stopped", false);
    expect_condition("{\"state\":\"starting\"}", MARK_WARN, "starting", true);
    expect_condition("{\"state\":\"error\"}", MARK_BAD, "error", true);
    expect_condition("{\"state\":\"stopped\",\"last_error\":{\"code\":\"TIMEOUT\"}}", MARK_WARN,
                     "stopped", true);
    expect_condition("{\"state\":\"running\",\"last_error\":{\"code\":\"TIMEOUT\"}}", MARK_GOOD,
                     "running", false);
    expect_condition("{\"state\":\"running\",\"tools_withheld\":[\"a\"]}", MARK_WARN, "running",
                     true);
    expect_condition("{\"state\":\"running\",\"breaker\":{\"state\":\"closed\"}}", MARK_GOOD,
                     "running", false);
    expect_condition("{\"state\":\"running\",\"breaker\":{\"state\":\"open\"}}", MARK_BAD,
                     "breaker open", true);
    expect_condition("{\"state\":\"error\",\"breaker\":{\"state\":\"half_open\"}}", MARK_WARN,
                     "half-open", true);
    expect_condition("{\"state\":\"running\",\"limited\":{\"left_ms\":1}}", MARK_WARN,
                     "rate limited", true);
    expect_condition("{\"state\":\"running\",\"users_held\":2}", MARK_WARN, "running", true);
    expect_condition("{\"state\":\"running\",\"users_held\":0}", MARK_GOOD, "running", false);
    expect_condition("{\"state\":\"stopped\",\"quarantine\":{\"level\":1},"
                     "\"breaker\":{\"state\":\"open\"}}",
                     MARK_PAUSED, "quarantined", true);
    expect_condition("{\"enabled\":false,\"state\":\"stopped\",\"quarantine\":{\"level\":1}}",
                     MARK_PAUSED, "disabled", false);
}

static void test_breaker(void **state)
{
    (void)state;
    expect_words(condition_put,
                 "{\"name\":\"crm\",\"state\":\"stopped\",\"breaker\":{\"state\":\"open\","
                 "\"since\":" NOW ",\"left_ms\":40000,\"failures\":5,"
                 "\"reason\":\"5 failures in a row\"},\"last_error\":{\"code\":\"UNAVAILABLE\","
                 "\"message\":\"connection refused\",\"suggestion\":\"Start it.\"}}",
                 "crm: breaker open for 0 ms, tried again within 40 s: 5 failures in a row "
                 "(UNAVAILABLE)\n"
                 "    why  connection refused\n"
                 "    do   Start it.\n"
                 "    do   toolbroker test crm  # what is wrong now\n"
                 "    do   toolbroker breaker crm reset  # uses it again at once\n");
    expect_words(condition_put,
                 "{\"name\":\"crm\",\"state\":\"stopped\",\"breaker\":{\"state\":\"open\","
                 "\"left_ms\":1000,\"failures\":7,\"reason\":\"refused\"},"
                 "\"last_error\":{\"message\":\"refused\"}}",
                 "crm: breaker open, tried again within 1 s: 7 failures in a row\n"
                 "    why  refused\n"
                 "    do   toolbroker test crm  # what is wrong now\n"
                 "    do   toolbroker breaker crm reset  # uses it again at once\n");
    expect_words(condition_put,
                 "{\"name\":\"crm\",\"state\":\"running\",\"breaker\":{\"state\":\"open\","
                 "\"forced\":\"open\",\"since\":" NOW ",\"reason\":\"maintenance\"}}",
                 "crm: breaker held open by hand for 0 ms, until it is told otherwise: "
                 "maintenance\n"
                 "    do   toolbroker test crm  # what is wrong now\n"
                 "    do   toolbroker breaker crm auto  # leaves it to the breaker again\n");
    expect_words(
        condition_put,
        "{\"name\":\"crm\",\"state\":\"running\",\"breaker\":{\"state\":\"half_open\"}}",
        "crm: breaker half-open, trying whether it is back\n"
        "    do   toolbroker test crm  # what is wrong now\n");
}

static void test_quarantine(void **state)
{
    (void)state;
    expect_words(condition_put,
                 "{\"name\":\"crm\",\"state\":\"quarantined\",\"quarantine\":{\"since\":" NOW
                 ",\"left_ms\":119000,\"by_hand\":false,\"level\":3,"
                 "\"reason\":\"5 protocol violations in a row\"}}",
                 "crm: quarantined for 0 ms, 1 min 59 s left, number 3 in a row: 5 protocol "
                 "violations in a row\n"
                 "    do   toolbroker test crm  # what is wrong now\n"
                 "    do   toolbroker release crm  # uses it again at once\n");
    expect_words(
        condition_put,
        "{\"name\":\"c\\u001brm\",\"state\":\"quarantined\",\"quarantine\":{\"by_hand\":true,"
        "\"level\":1,\"reason\":\"answers\\nnonsense\"},\"breaker\":{\"state\":\"open\","
        "\"left_ms\":9000}}",
        "c?rm: quarantined by hand, until it is released: answers nonsense\n"
        "    and  breaker open, tried again within 9 s\n"
        "    do   toolbroker test c?rm  # what is wrong now\n"
        "    do   toolbroker release c?rm  # uses it again at once\n"
        "    do   toolbroker breaker c?rm reset  # uses it again at once\n");
}

static void test_limits(void **state)
{
    (void)state;
    expect_words(
        condition_put,
        "{\"name\":\"crm\",\"state\":\"running\",\"limited\":{\"left_ms\":12000},"
        "\"waiting\":7,\"users_held\":1}",
        "crm: rate limited by the service, 12 s left, 7 calls wait\n"
        "    and  held back for 1 user, for whom the breaker is open or the limit is reached\n"
        "    do   nothing: calls wait for it as long as their deadlines allow\n"
        "    do   toolbroker activity --outcome failed --service crm  # whose calls, and "
        "why\n");
    expect_condition("{\"state\":\"running\",\"limited\":{\"per_min\":480}}", MARK_GOOD,
                     "running", false); /* calls are slower, and nothing is wrong */
}

static void test_remarks(void **state)
{
    (void)state;
    expect_words(condition_put_remarks, "{\"name\":\"crm\",\"state\":\"running\"}", "");
    expect_words(
        condition_put_remarks,
        "{\"name\":\"crm\",\"state\":\"running\",\"retries\":{\"refused_by_budget\":3},"
        "\"breaker\":{\"state\":\"closed\",\"forced\":\"closed\",\"reason\":\"a demo\"}}",
        "crm: breaker held closed by hand: a demo; `toolbroker breaker crm auto` ends "
        "that\n"
        "crm: 3 retries left out, because its retry budget was spent: too many of its "
        "calls fail\n");
}

static void test_numbers(void **state)
{
    (void)state;
    expect_words(condition_put_numbers, "{\"name\":\"crm\"}", "");
    expect_words(condition_put_numbers,
                 "{\"waiting\":20,\"inflight\":1,\"limited\":{\"per_min\":480}}",
                 "now        1 call under way, 20 wait for a place or a limit; paced at 480 a "
                 "minute, learned from refusals\n");
    expect_words(
        condition_put_numbers,
        "{\"breaker\":{\"state\":\"closed\",\"failures\":1},\"waiting\":1,\"inflight\":4,"
        "\"retries\":{\"attempts\":12,\"succeeded\":9,\"failed\":3,"
        "\"average_attempts\":1.035,\"refused_by_budget\":2},"
        "\"failures_by_class\":{\"network\":3,\"protocol\":0,\"server\":2}}",
        "breaker    closed, 1 failure in a row\n"
        "now        4 calls under way, 1 waits for a place or a limit\n"
        "retries    12 made; 9 calls saved by them, 3 not; 1.03 attempts a call; 2 left out "
        "(budget)\n"
        "failures   network 3, server 2\n");
}

static int set_up(void **state)
{
    (void)state;
    buf_init(&packed, 65536);
    buf_init(&cli.out, 65536);
    return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : 1;
}

static int take_down(void **state)
{
    (void)state;
    buf_done(&packed);
    buf_done(&cli.out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_marks),      cmocka_unit_test(test_breaker),
        cmocka_unit_test(test_quarantine), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_remarks),    cmocka_unit_test(test_numbers)};
    return cmocka_run_group_tests(tests, set_up, take_down);
}
