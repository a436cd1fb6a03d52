/* SPDX-License-Identifier: MIT */
/* sse.c - the event-stream parser: lines, fields and events, copying only what a chunk splits. */
#include "mcp/sse.h"

#include <string.h>

/* Room in a line beside its data: "data: ", and the byte order mark of the first line. */
#define LINE_EXTRA 16u

/* Memory kept for the next event; what a large one took is given back. */
#define KEEP_BYTES 16384u

void sse_init(struct sse *sse, size_t event_max)
{
    *sse = (struct sse){.event_max = event_max, .retry_ms = -1};
    buf_init(&sse->line, event_max + LINE_EXTRA);
    buf_init(&sse->data, event_max + LINE_EXTRA);
    buf_init(&sse->type, SSE_TYPE_BYTES);
    buf_init(&sse->id, SSE_ID_BYTES);
    buf_init(&sse->last_id, SSE_ID_BYTES);
}

void sse_done(struct sse *sse)
{
    buf_done(&sse->line);
    buf_done(&sse->data);
    buf_done(&sse->type);
    buf_done(&sse->id);
    buf_done(&sse->last_id);
}

static void set_text(struct buf *buf, struct slice value)
{
    buf_clear(buf);
    buf_put_slice(buf, value);
    if (buf->overflow) {
        buf_clear(buf);
    }
}

void sse_restart(struct sse *sse)
{
    buf_trim(&sse->line, 0);
    buf_trim(&sse->data, 0);
    sse->data_at = 0;
    buf_clear(&sse->type);
    set_text(&sse->id, buf_slice(&sse->last_id));
    sse->single = (struct slice){NULL, 0};
    sse->has_data = sse->skips_lf = sse->is_past_bom = false;
}

struct slice sse_last_id(const struct sse *sse)
{
    return buf_slice(&sse->last_id);
}

/* Whether the only data line lies in the line buffer. */
static bool is_in_line(const struct sse *sse)
{
    const char *line = sse->line.data;
    return line && sse->single.ptr >= line && sse->single.ptr < line + sse->line.cap;
}

/* Moves the only data line from where it lies into `data`. If that is the line buffer, the two
 * change places, so that a message of megabytes is neither held twice nor moved. */
static bool keep_single(struct sse *sse)
{
    struct slice single = sse->single;
    if (!single.ptr) {
        return true;
    }
    if (is_in_line(sse)) {
        struct buf other = sse->data;
        sse->data = sse->line;
        sse->line = other;
        sse->data_at = (size_t)(single.ptr - sse->data.data);
        sse->data.len = sse->data_at + single.len;
    } else {
        buf_put_slice(&sse->data, single);
    }
    sse->single = (struct slice){NULL, 0};
    return !sse->data.overflow;
}

static bool add_data(struct sse *sse, struct slice value)
{
    if (!sse->has_data) {
        sse->has_data = true;
        sse->single = value;
        return value.len <= sse->event_max;
    }
    /* The value may lie in the line buffer, but then `single` does not: it was kept when that
     * line began. */
    if (!keep_single(sse)) {
        return false;
    }
    buf_put_byte(&sse->data, '\n');
    buf_put_slice(&sse->data, value);
    return !sse->data.overflow && sse->data.len - sse->data_at <= sse->event_max;
}

static void set_retry(struct sse *sse, struct slice value)
{
    int64_t ms = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9' || i >= 15) {
            return;
        }
        ms = ms * 10 + (value.ptr[i] - '0');
    }
    if (value.len) {
        sse->retry_ms = ms;
    }
}

/* False when the event passed its ceiling. */
static bool read_field(struct sse *sse, struct slice line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    size_t length = colon ? (size_t)(colon - line.ptr) : line.len;
    struct slice name = {line.ptr, length};
    struct slice value = {line.ptr + length, 0};
    if (colon) {
        value = (struct slice){colon + 1, line.len - length - 1};
        if (value.len && value.ptr[0] == ' ') {
            value.ptr++;
            value.len--;
        }
    }
    if (slice_is(name, "data")) {
        return add_data(sse, value);
    }
    if (slice_is(name, "event")) {
        set_text(&sse->type, value);
        if (value.len > SSE_TYPE_BYTES) {
            buf_put_byte(&sse->type, '?'); /* not to be taken for a message */
        }
    } else if (slice_is(name, "id")) {
        if (!value.len || !memchr(value.ptr, '\0', value.len)) {
            set_text(&sse->id, value);
        }
    } else if (slice_is(name, "retry")) {
        set_retry(sse, value);
    }
    return true;
}

static enum sse_result end_event(struct sse *sse, sse_sink sink, void *arg)
{
    set_text(&sse->last_id, buf_slice(&sse->id));
    struct sse_event event = {.type = buf_slice(&sse->type), .data = sse->single};
    if (sse->has_data && !event.data.ptr && sse->data.data) {
        event.data =
            (struct slice){sse->data.data + sse->data_at, sse->data.len - sse->data_at};
        event.buf = &sse->data;
    } else if (sse->has_data && is_in_line(sse)) {
        event.buf = &sse->line;
    }
    if (sse->has_data && event.data.len && !sink(arg, &event)) {
        return SSE_STOPPED;
    }
    sse->has_data = false;
    sse->single = (struct slice){NULL, 0};
    buf_trim(&sse->data, KEEP_BYTES);
    sse->data_at = 0;
    buf_clear(&sse->type);
    return SSE_MORE;
}

static enum sse_result read_line(struct sse *sse, struct slice line, sse_sink sink, void *arg)
{
    if (line.len > sse->event_max + LINE_EXTRA) {
        return SSE_TOO_LONG;
    }
    if (!sse->is_past_bom) {
        sse->is_past_bom = true;
        if (slice_starts(line, "\xEF\xBB\xBF")) {
            line.ptr += 3;
            line.len -= 3;
        }
    }
    if (!line.len) {
        return end_event(sse, sink, arg);
    }
    return line.ptr[0] == ':' || read_field(sse, line) ? SSE_MORE : SSE_TOO_LONG;
}

/* Puts the beginning kept from earlier chunks before the rest of a line. */
static bool join_line(struct sse *sse, struct slice *line)
{
    if (sse->line.len) {
        buf_put_slice(&sse->line, *line);
        if (sse->line.overflow) {
            return false;
        }
        *line = buf_slice(&sse->line);
        sse->line.len = 0; /* its bytes stay until the next line is begun */
    }
    return true;
}

/* At the end of a chunk nothing may point into it any more. */
static enum sse_result keep_rest(struct sse *sse, struct slice rest)
{
    if (!keep_single(sse)) {
        return SSE_TOO_LONG;
    }
    if (!sse->line.len) {
        buf_trim(&sse->line, KEEP_BYTES);
    }
    buf_put_slice(&sse->line, rest);
    return sse->line.overflow ? SSE_TOO_LONG : SSE_MORE;
}

enum sse_result sse_feed(struct sse *sse, struct slice chunk, sse_sink sink, void *arg)
{
    if (!chunk.len) {
        return SSE_MORE;
    }
    const char *at = chunk.ptr, *end = chunk.ptr + chunk.len;
    const char *lf = NULL; /* the first one not before `at`, or `end` */
    if (sse->skips_lf) {
        sse->skips_lf = false;
        at += *at == '\n';
    }
    while (at < end) {
        if (!lf || lf < at) {
            lf = memchr(at, '\n', (size_t)(end - at));
            lf = lf ? lf : end;
        }
        const char *cr = memchr(at, '\r', (size_t)(lf - at));
        const char *stop = cr ? cr : lf;
        if (stop == end) {
            break;
        }
        struct slice line = {at, (size_t)(stop - at)};
        at = stop + 1;
        if (cr && at < end) {
            at += *at == '\n';
        } else if (cr) {
            sse->skips_lf = true;
        }
        if (!join_line(sse, &line)) {
            return SSE_TOO_LONG;
        }
        enum sse_result result = read_line(sse, line, sink, arg);
        if (result != SSE_MORE) {
            return result;
        }
    }
    return keep_rest(sse, (struct slice){at, (size_t)(end - at)});
}
