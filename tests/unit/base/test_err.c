/* SPDX-License-Identifier: MIT */
/* test_err.c - the table of errors, their words, and the clock's text. */
#include "base/clock.h"
#include "base/err.h"
#include "base_test.h"

static void every_code_has_its_words(void **state)
{
    (void)state;
    for (int code = ERR_NONE + 1; code < ERR_COUNT; code++) {
        const char *name = err_name((enum err_code)code);
        assert_true(strlen(name) > 3);
        assert_int_equal(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"), strlen(name));
        assert_true(strlen(err_when((enum err_code)code)) > 5);
        const char *suggestion = err_suggestion((enum err_code)code);
        assert_true(strlen(suggestion) > 10);
        assert_int_equal(suggestion[strlen(suggestion) - 1], '.');
        for (int other = ERR_NONE; other < code; other++) {
            assert_string_not_equal(name, err_name((enum err_code)other));
        }
    }
    assert_string_equal(err_name(ERR_NONE), "NONE");
    assert_string_equal(err_name(ERR_COUNT), "INTERNAL");
    assert_false(err_is_retryable(ERR_COUNT));
    assert_true(err_is_retryable(ERR_TIMEOUT));
    assert_false(err_is_retryable(ERR_OUTCOME_UNKNOWN));
}

static void setting_gives_the_code_and_the_words(void **state)
{
    struct err err;
    (void)state;
    assert_int_equal(err_set(&err, ERR_CONFLICT, "%s is %d", "a", 5), -(int)ERR_CONFLICT);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_string_equal(err.text, "a is 5");
    assert_int_equal(err_set(NULL, ERR_TIMEOUT, "nobody listens"), -(int)ERR_TIMEOUT);
    assert_int_equal(err_prefix(&err, "while %s", "reading"), -(int)ERR_CONFLICT);
    assert_string_equal(err.text, "while reading: a is 5");
    assert_int_equal(err_prefix(NULL, "x"), -(int)ERR_INTERNAL);
}

static void long_words_are_cut_not_overrun(void **state)
{
    struct err err;
    char text[1000];
    (void)state;
    memset(text, 'w', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)err_set(&err, ERR_INTERNAL, "%s", text);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    for (size_t len = 0; len < 400; len++) {
        (void)err_set(&err, ERR_INTERNAL, "%s", text);
        (void)err_prefix(&err, "%.*s", (int)len, text);
        assert_true(strlen(err.text) < sizeof err.text);
    }
}

static void times_are_written_as_iso_8601(void **state)
{
    char text[CLOCK_TEXT];
    (void)state;
    clock_format(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    clock_format(1763718300123, text);
    assert_string_equal(text, "2025-11-21T09:45:00.123Z");
    clock_format(951827696999, text);
    assert_string_equal(text, "2000-02-29T12:34:56.999Z");
    mono_us before = clock_mono();
    assert_true(clock_mono() >= before);
    assert_true(clock_wall() > 1600000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_words),
        cmocka_unit_test(setting_gives_the_code_and_the_words),
        cmocka_unit_test(long_words_are_cut_not_overrun),
        cmocka_unit_test(times_are_written_as_iso_8601),
    };
    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
