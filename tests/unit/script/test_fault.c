/* SPDX-License-Identifier: MIT */
/* test_fault.c - faults are kept, counted, bounded and written out as text that is safe to show. */
#include "script/fault.h"

#include "value/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void prints_file_line_and_cause(void **state)
{
    (void)state;
    struct faults faults;
    faults_init(&faults);
    faults_add(&faults, "a.lua", 3, "unknown key `%s`", "servces");
    faults_add(&faults, "b.lua", 0, "cannot be read");
    faults_add(&faults, NULL, 0, "nowhere");
    struct buf out;
    buf_init(&out, 4096);
    faults_print(&faults, &out);
    assert_string_equal(buf_text(&out),
                        "a.lua:3: unknown key `servces`\nb.lua: cannot be read\nnowhere\n");
    buf_done(&out);
    faults_done(&faults);
}

static void keeps_a_bounded_number(void **state)
{
    (void)state;
    struct faults faults;
    faults_init(&faults);
    for (unsigned i = 0; i < FAULTS_MAX + 7; i++) {
        faults_add(&faults, "f", (int)i + 1, "fault %u", i);
    }
    assert_int_equal(faults.kept, FAULTS_MAX);
    assert_int_equal(faults.total, FAULTS_MAX + 7);
    struct buf out;
    buf_init(&out, 65536);
    faults_print(&faults, &out);
    assert_non_null(strstr(buf_text(&out), "and 7 more\n"));
    buf_clear(&out);
    faults_put(&faults, &out);
    struct pack cursor = pack_over(buf_slice(&out));
    struct pack_item item;
    assert_true(pack_next(&cursor, &item));
    assert_int_equal(item.type, PACK_ARRAY);
    assert_int_equal(item.count, FAULTS_MAX);
    struct slice first;
    struct slice text;
    int64_t line = 0;
    assert_true(pack_take(&cursor, &first));
    assert_true(pack_get_text(first, "text", &text) && slice_is(text, "fault 0"));
    assert_true(pack_get_text(first, "file", &text) && slice_is(text, "f"));
    assert_true(pack_get_int(first, "line", &line));
    assert_int_equal(line, 1);
    buf_done(&out);
    faults_done(&faults);
}

static void shows_no_raw_bytes(void **state)
{
    (void)state;
    char lengthy[3000];
    memset(lengthy, 'x', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = '\0';
    struct faults faults;
    faults_init(&faults);
    faults_add(&faults, "a\nb", 1, "bytes \x1b[0m \xff \xc3\xb1");
    faults_add(&faults, "f", 1, "%s", lengthy);
    assert_string_equal(faults.list[0].file, "a\\x0ab");
    assert_string_equal(faults.list[0].text, "bytes \\x1b[0m \\xff \xc3\xb1");
    assert_true(strlen(faults.list[1].text) < 1100);
    faults_done(&faults);
    faults_done(&faults);
}

static void sorts_by_line(void **state)
{
    (void)state;
    static const int lines[] = {9, 5, 7, 5, 0};
    struct faults faults;
    faults_init(&faults);
    faults_sort(&faults, 0);
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        faults_add(&faults, "f", lines[i], "%u", i);
    }
    faults_sort(&faults, 1);
    struct buf out;
    buf_init(&out, 4096);
    faults_print(&faults, &out);
    assert_string_equal(buf_text(&out), "f:9: 0\nf: 4\nf:5: 1\nf:5: 3\nf:7: 2\n");
    buf_done(&out);
    faults_done(&faults);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_file_line_and_cause),
        cmocka_unit_test(keeps_a_bounded_number),
        cmocka_unit_test(shows_no_raw_bytes),
        cmocka_unit_test(sorts_by_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
