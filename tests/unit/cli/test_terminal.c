/* SPDX-License-Identifier: MIT */
/* test_terminal.c - widths, cutting, and what may not reach a terminal. */
#include "cli/table.h"
#include "cli/terminal.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct terminal piped = {0};

static void expect_clean(const char *text, unsigned columns, const char *expected)
{
    struct buf out;
    buf_init(&out, 65536);
    put_clean(&out, slice_of(text), columns);
    assert_string_equal(buf_text(&out), expected);
    buf_done(&out);
}

static void test_width(void **state)
{
    (void)state;
    assert_int_equal(text_width(SLICE("abc")), 3);
    assert_int_equal(text_width(SLICE("ñandú")), 5);
    assert_int_equal(text_width(SLICE("n\xcc\x83")), 1); /* n and a combining tilde */
    assert_int_equal(text_width(SLICE("日本")), 4);
    assert_int_equal(text_width(SLICE("✓⏸")), 2);
    assert_int_equal(text_width(SLICE("\xff\x1b")), 2); /* each shown as ? */
}

static void test_clean(void **state)
{
    (void)state;
    expect_clean("a \n\t b ", 0, "a b");
    expect_clean("  ", 0, "");
    expect_clean("\x1b[31m\x7f", 0, "?[31m?");
    expect_clean("a\xff"
                 "b\xc3",
                 0, "a?b?");
    expect_clean("\xc2\x9b"
                 "31m \xe2\x80\xae",
                 0, "?31m ?"); /* C1 control, right-to-left */
}

static void test_cut(void **state)
{
    (void)state;
    expect_clean("abcdef", 6, "abcdef");
    expect_clean("abcdefg", 6, "abcde…");
    expect_clean("日本語", 6, "日本語");
    expect_clean("日本語", 5, "日本…");
    expect_clean("日本語", 4, "日…"); /* half a character does not fit */
    expect_clean("ab", 1, "…");
    expect_clean("日", 1, "…");
}

static void expect_table(const struct terminal *terminal, const char *expected)
{
    static const char *const titles[] = {"NAME", "N", "TEXT"};
    struct table table;
    struct buf out;
    table_init(&table, titles, 3, 2);
    table_row(&table, MARK_GOOD);
    table_text(&table, "niño");
    table_int(&table, 7);
    table_text(&table, "short");
    table_row(&table, MARK_NONE);
    table_text(&table, "日本日本");
    table_int(&table, -1);
    table_text(&table, "a text that is longer");
    buf_init(&out, 65536);
    table_put(&table, terminal, &out);
    assert_string_equal(buf_text(&out), expected);
    buf_done(&out);
    table_done(&table);
}

static void test_table(void **state)
{
    (void)state;
    expect_table(&piped, "NAME      N  TEXT\n"
                         "niño      7  short\n"
                         "日本日本     a text that is longer\n");
    expect_table(&(struct terminal){.is_terminal = true, .width = 30},
                 "  NAME      N  TEXT\n"
                 "✓ niño      7  short\n"
                 "  日本日本     a text that is…\n");
}

static void test_paint(void **state)
{
    struct terminal painted = {.is_terminal = true, .has_color = true, .width = 80};
    struct buf out;
    (void)state;
    buf_init(&out, 1024);
    put_mark(&out, &painted, MARK_BAD);
    put_mark(&out, &piped, MARK_BAD);
    assert_string_equal(buf_text(&out), "\033[31m✗\033[0m ");
    buf_done(&out);
}

static void test_lines(void **state)
{
    struct buf out;
    (void)state;
    buf_init(&out, 1024);
    put_lines(&out, SLICE("a\r\n\tb\x1b\x07 ñ"));
    assert_string_equal(buf_text(&out), "a\n\tb?? ñ");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_width), cmocka_unit_test(test_clean),
        cmocka_unit_test(test_cut),   cmocka_unit_test(test_table),
        cmocka_unit_test(test_paint), cmocka_unit_test(test_lines)};
    if (!setlocale(LC_CTYPE, "C.UTF-8")) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
