/* SPDX-License-Identifier: MIT */
/* test_sse.c - event streams: fields, line ends, ceilings, and that chunks make no difference. */
#include "mcp/sse.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EVENT_MAX 64u

/* A slice as an initialiser. */
#define TEXT(literal)                \
    {                                \
        literal, sizeof(literal) - 1 \
    }

struct seen {
    struct buf text; /* "type|data\n" for each event */
    struct slice chunk;
    unsigned events, inside; /* inside: data lay in the chunk itself */
    unsigned stop_after;
};

static bool note_event(void *arg, const struct sse_event *event)
{
    struct seen *seen = arg;
    buf_put_slice(&seen->text, event->type);
    buf_put_byte(&seen->text, '|');
    buf_put_slice(&seen->text, event->data);
    buf_put_byte(&seen->text, '\n');
    seen->events++;
    seen->inside += event->data.ptr >= seen->chunk.ptr &&
                    event->data.ptr + event->data.len <= seen->chunk.ptr + seen->chunk.len;
    return seen->events != seen->stop_after;
}

static enum sse_result feed(struct sse *sse, struct slice stream, size_t step,
                            struct seen *seen)
{
    enum sse_result result = SSE_MORE;
    for (size_t at = 0; at < stream.len && result == SSE_MORE; at += step) {
        size_t length = stream.len - at < step ? stream.len - at : step;
        /* A copy of its own, so that the sanitizer sees a pointer kept too long. */
        char *copy = malloc(length);
        assert_non_null(copy);
        memcpy(copy, stream.ptr + at, length);
        seen->chunk = (struct slice){copy, length};
        result = sse_feed(sse, seen->chunk, note_event, seen);
        free(copy);
    }
    return result;
}

struct vector {
    const char *name;
    struct slice stream;
    const char *events;
    const char *last_id;
    int64_t retry_ms;
    enum sse_result result;
};

static const struct vector vectors[] = {
    {"one event", TEXT("data: {}\n\n"), "|{}\n", "", -1, SSE_MORE},
    {"no space after the colon", TEXT("data:x\n\n"), "|x\n", "", -1, SSE_MORE},
    {"only one space is taken", TEXT("data:  x\n\n"), "| x\n", "", -1, SSE_MORE},
    {"CRLF", TEXT("event: message\r\ndata: a\r\n\r\ndata: b\r\n\r\n"), "message|a\n|b\n", "",
     -1, SSE_MORE},
    {"lone CR", TEXT("data: a\r\rdata: b\r\r"), "|a\n|b\n", "", -1, SSE_MORE},
    {"mixed line ends", TEXT("data: a\r\ndata: b\rdata: c\n\r\n"), "|a\nb\nc\n", "", -1,
     SSE_MORE},
    {"byte order mark",
     TEXT("\xEF\xBB\xBF"
          "data: a\n\n"),
     "|a\n", "", -1, SSE_MORE},
    {"a mark is stripped once, at the start",
     TEXT("data: a\n\n\xEF\xBB\xBF"
          "data: b\n\n"),
     "|a\n", "", -1, SSE_MORE},
    {"a mark before an empty line",
     TEXT("\xEF\xBB\xBF\n"
          "data: b\n\n"),
     "|b\n", "", -1, SSE_MORE},
    {"comments", TEXT(": hello\n:\ndata: a\n: between\ndata: b\n\n"), "|a\nb\n", "", -1,
     SSE_MORE},
    {"many lines", TEXT("data: a\ndata\ndata:\ndata: d\n\n"), "|a\n\n\nd\n", "", -1, SSE_MORE},
    {"empty data is no event", TEXT("data:\n\ndata\n\n\n\nevent: x\n\ndata: y\n\n"), "|y\n", "",
     -1, SSE_MORE},
    {"priming: id and retry without data", TEXT("id: 7\nretry: 1500\ndata:\n\n"), "", "7", 1500,
     SSE_MORE},
    {"an id lasts", TEXT("id: 7\ndata: a\n\ndata: b\n\n"), "|a\n|b\n", "7", -1, SSE_MORE},
    {"an id of an event not ended does not count", TEXT("id: 7\n\nid: 8\ndata: x\n"), "", "7",
     -1, SSE_MORE},
    {"an empty id takes it away", TEXT("id: 7\n\nid\n\n"), "", "", -1, SSE_MORE},
    {"an id with NUL is ignored", TEXT("id: 7\n\nid: 8\0\n\n"), "", "7", -1, SSE_MORE},
    {"retry must be digits", TEXT("retry: 10\nretry: 1x\nretry: -1\nretry:\nretry: \n\n"), "",
     "", 10, SSE_MORE},
    {"retry beyond reason", TEXT("retry: 99999999999999999999\n\n"), "", "", -1, SSE_MORE},
    {"unknown fields", TEXT("Data: x\ndatax: y\nfoo\n data: z\ndata: ok\n\n"), "|ok\n", "", -1,
     SSE_MORE},
    {"a type is of one event", TEXT("event: a\ndata: 1\n\ndata: 2\n\n"), "a|1\n|2\n", "", -1,
     SSE_MORE},
    {"the last type counts", TEXT("event: a\nevent: b\ndata: 1\n\n"), "b|1\n", "", -1,
     SSE_MORE},
    {"not ended", TEXT("data: a\n\ndata: lost\n"), "|a\n", "", -1, SSE_MORE},
    {"NUL and broken UTF-8 pass", TEXT("data: a\0\xFF\n\n"), NULL, "", -1, SSE_MORE},
    {"data up to the ceiling",
     TEXT("data: 0123456789012345678901234567890123456789012345678901234567890123\n\n"),
     "|0123456789012345678901234567890123456789012345678901234567890123\n", "", -1, SSE_MORE},
    {"data over the ceiling",
     TEXT("data: a\n\n"
          "data: 01234567890123456789012345678901234567890123456789012345678901234\n\n"
          "data: b\n\n"),
     "|a\n", "", -1, SSE_TOO_LONG},
    {"lines that together pass it",
     TEXT("data: 01234567890123456789012345678901\ndata: 01234567890123456789012345678901\n\n"),
     "", "", -1, SSE_TOO_LONG},
    {"a line without end",
     TEXT(":23456789012345678901234567890123456789012345678901234567890123456789012345678901"),
     "", "", -1, SSE_TOO_LONG},
};

static void run_vector(const struct vector *vector, size_t step)
{
    struct sse sse;
    struct seen seen = {.stop_after = 0};
    buf_init(&seen.text, 4096);
    sse_init(&sse, EVENT_MAX);
    enum sse_result result = feed(&sse, vector->stream, step, &seen);
    if (result != vector->result ||
        (vector->events && strcmp(buf_text(&seen.text), vector->events) != 0)) {
        fail_msg("%s, step %zu: result %d, events \"%s\"", vector->name, step, (int)result,
                 buf_text(&seen.text));
    }
    if (!vector->events) {
        assert_int_equal(seen.text.len, 5); /* |, a, NUL, 0xFF, newline */
    }
    if (result == SSE_MORE) {
        assert_true(slice_is(sse_last_id(&sse), vector->last_id));
        assert_int_equal(sse.retry_ms, vector->retry_ms);
    }
    buf_done(&seen.text);
    sse_done(&sse);
}

static void test_vectors_in_any_chunks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        for (size_t step = 1; step <= vectors[i].stream.len; step++) {
            run_vector(&vectors[i], step);
        }
    }
}

static void test_a_whole_event_is_not_copied(void **state)
{
    struct sse sse;
    struct seen seen = {.stop_after = 0};
    (void)state;
    buf_init(&seen.text, 4096);
    sse_init(&sse, EVENT_MAX);
    assert_int_equal(feed(&sse, SLICE("id: 1\nevent: m\ndata: abc\n\ndata: d\n\n"), 100, &seen),
                     SSE_MORE);
    assert_int_equal(seen.events, 2);
    assert_int_equal(seen.inside, 2);
    assert_int_equal(sse.data.cap, 0);
    assert_int_equal(sse.line.cap, 0);
    buf_done(&seen.text);
    sse_done(&sse);
}

static void test_the_sink_stops(void **state)
{
    struct sse sse;
    struct seen seen = {.stop_after = 1};
    (void)state;
    buf_init(&seen.text, 4096);
    sse_init(&sse, EVENT_MAX);
    assert_int_equal(feed(&sse, SLICE("data: a\n\ndata: b\n\n"), 100, &seen), SSE_STOPPED);
    assert_int_equal(seen.events, 1);
    buf_done(&seen.text);
    sse_done(&sse);
}

static void test_long_ids_and_types(void **state)
{
    struct sse sse;
    struct buf stream;
    struct seen seen = {.stop_after = 0};
    (void)state;
    buf_init(&seen.text, 1 << 16);
    buf_init(&stream, 1 << 16);
    buf_put_text(&stream, "id: ");
    for (size_t i = 0; i < SSE_ID_BYTES + 1; i++) {
        buf_put_byte(&stream, 'i');
    }
    buf_put_text(&stream, "\nevent: ");
    for (size_t i = 0; i < SSE_TYPE_BYTES + 1; i++) {
        buf_put_byte(&stream, 't');
    }
    buf_put_text(&stream, "\ndata: x\n\n");
    sse_init(&sse, 4096);
    assert_int_equal(feed(&sse, buf_slice(&stream), 7, &seen), SSE_MORE);
    assert_int_equal(sse_last_id(&sse).len, 0);
    assert_string_equal(buf_text(&seen.text), "?|x\n");
    buf_done(&seen.text);
    buf_done(&stream);
    sse_done(&sse);
}

/* A message of many chunks is held once, and its memory is given back after it. */
static void test_a_large_event_is_held_once(void **state)
{
    enum { SIZE = 1 << 20 };
    struct sse sse;
    struct buf stream;
    struct seen seen = {.stop_after = 0};
    (void)state;
    buf_init(&seen.text, 2 * SIZE);
    buf_init(&stream, 2 * SIZE);
    buf_put_text(&stream, "data: ");
    for (size_t i = 0; i < SIZE; i++) {
        buf_put_byte(&stream, (uint8_t)('a' + i % 26));
    }
    buf_put_text(&stream, "\n");
    sse_init(&sse, SIZE);
    assert_int_equal(feed(&sse, buf_slice(&stream), 16384, &seen), SSE_MORE);
    assert_true(sse.line.cap + sse.data.cap < 3 * SIZE);
    assert_true(sse.line.cap <= 16384 || sse.data.cap <= 16384);
    assert_int_equal(feed(&sse, SLICE("\ndata: b\n\n"), 100, &seen), SSE_MORE);
    assert_int_equal(seen.events, 2);
    assert_int_equal(seen.text.len, SIZE + 2 + 3);
    assert_memory_equal(seen.text.data + 1, stream.data + 6, SIZE);
    assert_true(sse.line.cap + sse.data.cap <= 32768);
    buf_done(&seen.text);
    buf_done(&stream);
    sse_done(&sse);
}

static void test_no_memory_is_an_error(void **state)
{
    (void)state;
    for (unsigned long nth = 1; nth < 8; nth++) {
        struct sse sse;
        struct seen seen = {.stop_after = 0};
        sse_init(&sse, EVENT_MAX);
        mem_fail_at(nth);
        enum sse_result result = feed(&sse, SLICE("id: 1\ndata: ab\ndata: c\n\n"), 3, &seen);
        mem_fail_at(0);
        assert_true(result == SSE_MORE || result == SSE_TOO_LONG);
        sse_done(&sse);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_in_any_chunks),
        cmocka_unit_test(test_a_whole_event_is_not_copied),
        cmocka_unit_test(test_the_sink_stops),
        cmocka_unit_test(test_long_ids_and_types),
        cmocka_unit_test(test_a_large_event_is_held_once),
        cmocka_unit_test(test_no_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
