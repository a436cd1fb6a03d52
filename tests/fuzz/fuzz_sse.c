/* SPDX-License-Identifier: MIT */
/*
 * fuzz_sse.c - event streams: any division into chunks gives the same events, ids and end.
 *
 * The first four bytes choose the division, the rest is the stream.
 */
#include "mcp/sse.h"

#include "base/must.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EVENT_MAX 256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every other event in a buffer is taken over. */
static void take(const struct sse_event *event)
{
    static unsigned count;
    if (event->buf) {
        const char *from = event->buf->data;
        must(event->data.ptr >= from &&
             event->data.ptr + event->data.len <= from + event->buf->cap);
        if (count++ % 2) {
            buf_done(event->buf);
        }
    }
}

static bool note_event(void *arg, const struct sse_event *event)
{
    struct buf *text = arg;
    must(event->data.len > 0 && event->data.len <= EVENT_MAX);
    buf_put_slice(text, event->type);
    buf_put_byte(text, 0);
    buf_put_slice(text, event->data);
    buf_put_byte(text, 0);
    take(event);
    return true;
}

/* What came out, as one text. `seed` 0: one chunk; 1: single bytes; else pieces by chance. */
static void parse(struct slice stream, uint32_t seed, struct buf *text)
{
    struct sse sse;
    enum sse_result result = SSE_MORE;
    sse_init(&sse, EVENT_MAX);
    for (size_t at = 0; at < stream.len && result == SSE_MORE;) {
        size_t left = stream.len - at, length = left;
        if (seed == 1) {
            length = 1;
        } else if (seed) {
            seed = seed * 1664525u + 1013904223u;
            length = 1 + (seed >> 16) % 23;
        }
        length = length < left ? length : left;
        char *copy = malloc(length);
        must(copy != NULL);
        memcpy(copy, stream.ptr + at, length);
        result = sse_feed(&sse, (struct slice){copy, length}, note_event, text);
        free(copy);
        at += length;
    }
    buf_put_slice(text, sse_last_id(&sse));
    buf_printf(text, "|%lld|%d", (long long)(result == SSE_MORE ? sse.retry_ms : -2),
               (int)result);
    sse_done(&sse);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf texts[3];
    uint32_t seed = 0;
    if (size < sizeof seed) {
        return 0;
    }
    memcpy(&seed, data, sizeof seed);
    struct slice stream = {(const char *)data + sizeof seed, size - sizeof seed};
    for (uint32_t i = 0; i < 3; i++) {
        buf_init(&texts[i], 1u << 26);
        parse(stream, i < 2 ? i : seed | 2u, &texts[i]);
        must(!texts[i].overflow);
        must(slice_equal(buf_slice(&texts[i]), buf_slice(&texts[0])));
    }
    for (uint32_t i = 0; i < 3; i++) {
        buf_done(&texts[i]);
    }
    return 0;
}
