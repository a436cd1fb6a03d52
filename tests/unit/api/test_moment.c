/* SPDX-License-Identifier: MIT */
/* test_moment.c - moments in parameters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/api_internal.h"

static void expect_moment(const char *text, wall_ms expected)
{
    wall_ms got = -1;
    if (!api_parse_moment(slice_of(text), &got) || got != expected) {
        fail_msg("%s is %lld, not %lld", text, (long long)got, (long long)expected);
    }
}

static void moments_are_read(void **state)
{
    (void)state;
    expect_moment("1970-01-01T00:00:00Z", 0);
    expect_moment("1970-01-01", 0);
    expect_moment("2000-02-29T12:30:15.250Z", 951827415250);
    expect_moment("2026-11-21T09:45:00Z", 1795254300000);
    expect_moment("2026-11-21t09:45:00z", 1795254300000);
    expect_moment("2026-11-21 09:45:00Z", 1795254300000);
    expect_moment("2026-11-21T10:45:00+01:00", 1795254300000);
    expect_moment("2026-11-21T04:15:00-05:30", 1795254300000);
    expect_moment("2026-11-21T09:45:00.1239999Z", 1795254300123);
    expect_moment("1990-12-31T23:59:60Z", 662688000000); /* a leap second */
    expect_moment("9999-12-31T23:59:59Z", 253402300799000);
}

static void others_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "2026",
        "2026-11",
        "2026-13-01",
        "2026-00-01",
        "2026-02-29",
        "2026-04-31",
        "1969-12-31T23:59:59Z",
        "2026-11-21T",
        "2026-11-21T09:45Z",
        "2026-11-21T09:45:00",
        "2026-11-21T24:00:00Z",
        "2026-11-21T09:60:00Z",
        "2026-11-21T09:45:61Z",
        "2026-11-21T09:45:00.Z",
        "2026-11-21T09:45:00+0100",
        "2026-11-21T09:45:00+24:00",
        "2026-11-21T09:45:00Zx",
        "+026-11-21",
        "2026-1-21",
        "yesterday",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        wall_ms got;
        if (api_parse_moment(slice_of(texts[i]), &got)) {
            fail_msg("%s was taken", texts[i]);
        }
    }
    wall_ms got;
    assert_false(api_parse_moment((struct slice){"2026-11-21\0", 11}, &got));
    assert_false(api_parse_moment((struct slice){"2026-11-21T09:45:00\0", 20}, &got));
}

/* What the daemon itself writes, for each day of four centuries. */
static void what_is_written_is_read(void **state)
{
    (void)state;
    for (wall_ms day = 0; day < (wall_ms)366 * 400; day++) {
        char text[CLOCK_TEXT];
        wall_ms moment = day * 86400000 + day * 997 % 86400000;
        clock_format(moment, text);
        expect_moment(text, moment);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_read),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(what_is_written_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
