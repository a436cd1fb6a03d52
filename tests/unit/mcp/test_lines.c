/* SPDX-License-Identifier: MIT */
/* test_lines.c - lines come out whole however the bytes come in; the tail of stderr is text. */
#include "base/err.h"
#include "base/mem.h"
#include "mcp/lines.h"
#include "mcp/tail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- lines -------------------------------------------------------------------------------- */

/* Feeds `text` in pieces of `step` bytes and joins the lines with '|'; the error, or 0. */
static int cut(struct slice text, size_t step, size_t longest, struct buf *out)
{
    static char scratch[LINES_SCRATCH];
    struct lines lines;
    struct slice line;
    int got = 0;
    lines_init(&lines, longest);
    buf_clear(out);
    while (text.len && got == 0) {
        size_t room_size;
        char *room = lines_room(&lines, scratch, &room_size);
        assert_non_null(room);
        size_t len = text.len < step ? text.len : step;
        len = len < room_size ? len : room_size;
        memcpy(room, text.ptr, len);
        text.ptr += len;
        text.len -= len;
        lines_got(&lines, room, len);
        while ((got = lines_next(&lines, &line)) > 0) {
            buf_put_slice(out, line);
            buf_put_byte(out, '|');
        }
        got = got < 0 ? got : lines_keep(&lines);
        memset(scratch, '!', sizeof scratch); /* nothing may point there any more */
    }
    lines_done(&lines);
    return got;
}

static void lines_are_the_same_in_any_pieces(void **state)
{
    struct slice text = SLICE("one\n\ntwo\r\n{\"three\": 3}\n\n\nfour is the longest\nrest");
    struct buf out;
    (void)state;
    buf_init(&out, 4096);
    for (size_t step = 1; step <= text.len; step++) {
        assert_int_equal(cut(text, step, 100, &out), 0);
        assert_true(slice_equal(buf_slice(&out),
                                SLICE("one||two\r|{\"three\": 3}|||four is the longest|")));
    }
    buf_done(&out);
}

static void the_longest_line_is_the_limit_in_any_pieces(void **state)
{
    struct slice text = SLICE("ab\n12345678\n12345678");
    struct buf out;
    (void)state;
    buf_init(&out, 4096);
    for (size_t step = 1; step <= text.len; step++) {
        assert_int_equal(cut(text, step, 8, &out), 0);
        assert_true(slice_equal(buf_slice(&out), SLICE("ab|12345678|")));
        assert_int_equal(cut(text, step, 7, &out), -ERR_EXTERNAL_TOOL_EXECUTION_FAILED);
        assert_true(slice_equal(buf_slice(&out), SLICE("ab|")));
    }
    buf_done(&out);
}

static void lines_longer_than_one_read_pass(void **state)
{
    const size_t len = 3 * (size_t)LINES_SCRATCH;
    char *text = mem_new(len);
    struct buf out;
    (void)state;
    memset(text, 'x', len);
    text[10] = text[len - 30000] = text[len - 1] = '\n';
    buf_init(&out, 2 * len);
    for (size_t step = 1000; step <= LINES_SCRATCH; step += 21512) {
        assert_int_equal(cut((struct slice){text, len}, step, len, &out), 0);
        assert_int_equal(out.len, len);
        assert_int_equal(out.data[10], '|');
        assert_int_equal(out.data[len - 30000], '|');
        assert_int_equal(out.data[len - 1], '|');
    }
    buf_done(&out);
    mem_free(text);
}

static void without_memory_it_is_an_error_not_a_loss(void **state)
{
    char scratch[LINES_SCRATCH];
    struct lines lines;
    struct slice line;
    size_t size;
    (void)state;
    lines_init(&lines, 1000);
    memcpy(scratch, "{}\n{", sizeof "{}\n{");
    lines_got(&lines, lines_room(&lines, scratch, &size), 4);
    assert_int_equal(lines_next(&lines, &line), 1);
    assert_int_equal(lines_next(&lines, &line), 0);
    mem_fail_at(1);
    assert_int_equal(lines_keep(&lines), -ERR_OVERLOADED);
    mem_fail_at(0);
    lines_done(&lines);

    lines_init(&lines, 1000);
    lines_got(&lines, lines_room(&lines, scratch, &size), 2);
    assert_int_equal(lines_next(&lines, &line), 0);
    assert_int_equal(lines_keep(&lines), 0);
    mem_fail_at(1);
    assert_null(lines_room(&lines, scratch, &size));
    mem_fail_at(0);
    lines_done(&lines);
}

static void nothing_is_kept_between_whole_lines(void **state)
{
    char scratch[LINES_SCRATCH];
    struct lines lines;
    struct slice line;
    size_t size;
    (void)state;
    lines_init(&lines, 1000);
    memcpy(scratch, "{\n}\n", sizeof "{\n}\n");
    lines_got(&lines, lines_room(&lines, scratch, &size), 1);
    assert_int_equal(lines_next(&lines, &line), 0);
    assert_int_equal(lines_keep(&lines), 0);
    assert_int_equal(lines.rest.len, 1);
    char *room = lines_room(&lines, scratch, &size);
    assert_ptr_not_equal(room, scratch);
    memcpy(room, "\n}\n", 3);
    lines_got(&lines, room, 3);
    assert_int_equal(lines_next(&lines, &line), 1);
    assert_int_equal(lines_next(&lines, &line), 1);
    assert_int_equal(lines_next(&lines, &line), 0);
    assert_int_equal(lines_keep(&lines), 0);
    assert_int_equal(lines.rest.cap, 0);
    lines_done(&lines);
}

/* ---- tail --------------------------------------------------------------------------------- */

static void expect_text(const struct tail *tail, const char *wanted)
{
    struct buf out;
    buf_init(&out, TAIL_TEXT_BYTES);
    tail_put_text(tail, &out);
    assert_false(out.overflow);
    assert_string_equal(buf_text(&out), wanted);
    buf_done(&out);
}

static void the_tail_is_printable_text(void **state)
{
    struct tail tail;
    (void)state;
    tail_init(&tail);
    expect_text(&tail, "");
    assert_int_equal(tail.bytes.cap, 0);
    tail_add(&tail,
             SLICE("a\tb\r\n\x1b[1;31mred\x1b[0m\x1b]0;title\x07 \xc3\xb1\xe2\x82\xac\n"));
    expect_text(&tail, "a b\nred \xc3\xb1\xe2\x82\xac");
    tail_add(&tail, SLICE("\xff\xc3(\x7f\x01\xc2\x85\x1b(Bx\x1b\n\n"));
    expect_text(&tail, "a b\nred \xc3\xb1\xe2\x82\xac\n\xef\xbf\xbd\xef\xbf\xbd(x");
    tail_done(&tail);
    tail_init(&tail);
    tail_add(&tail, SLICE("cut \x1b["));
    expect_text(&tail, "cut ");
    tail_done(&tail);
    tail_init(&tail);
    tail_add(&tail, SLICE("cut \x1b"));
    expect_text(&tail, "cut ");
    tail_done(&tail);
}

static void the_tail_is_the_last_whole_lines(void **state)
{
    struct tail tail;
    char line[32];
    struct buf out;
    (void)state;
    tail_init(&tail);
    buf_init(&out, TAIL_TEXT_BYTES);
    for (int i = 0; i < 2000; i++) {
        int len = snprintf(line, sizeof line, "line %d\n", i);
        tail_add(&tail, (struct slice){line, (size_t)len});
    }
    assert_true(tail.bytes.len <= TAIL_BYTES && tail.bytes.cap <= TAIL_BYTES);
    tail_put_text(&tail, &out);
    const char *text = buf_text(&out);
    assert_true(strncmp(text, "line 1", 6) == 0);
    assert_string_equal(text + strlen(text) - 10, "\nline 1999");
    assert_true(out.len > TAIL_BYTES - 32);
    buf_clear(&out);

    char *big = mem_new(3 * TAIL_BYTES); /* more than it holds, and no newline at all */
    memset(big, '\xff', 3 * TAIL_BYTES);
    tail_add(&tail, (struct slice){big, 3 * TAIL_BYTES});
    assert_int_equal(tail.bytes.len, TAIL_BYTES);
    tail_put_text(&tail, &out);
    assert_false(out.overflow);
    assert_int_equal(out.len, 3 * TAIL_BYTES);
    mem_free(big);
    buf_done(&out);
    tail_done(&tail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_the_same_in_any_pieces),
        cmocka_unit_test(the_longest_line_is_the_limit_in_any_pieces),
        cmocka_unit_test(lines_longer_than_one_read_pass),
        cmocka_unit_test(without_memory_it_is_an_error_not_a_loss),
        cmocka_unit_test(nothing_is_kept_between_whole_lines),
        cmocka_unit_test(the_tail_is_printable_text),
        cmocka_unit_test(the_tail_is_the_last_whole_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
