/* SPDX-License-Identifier: MIT */
/*
 * sse.h - event streams (text/event-stream, WHATWG HTML section 9.2.6), parsed as bytes arrive.
 *
 * Owns:    what it must keep between chunks: a begun line, the data of a begun event, the last id.
 * Life:    embedded; sse_init, sse_feed for each chunk, sse_done. An event that is not complete at
 *          the end of the stream is dropped, as the standard says.
 * Rule:    any division into chunks gives the same events. An event without data is no event, but
 *          its id and retry count.
 */
#ifndef MCP_SSE_H
#define MCP_SSE_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sse_event {
    struct slice type; /* empty: "message" */
    struct slice data; /* never empty; points into the chunk where it can */
    struct buf *buf; /* else the memory it lies in; the sink may leave an empty buffer there */
};

/* Returns false to stop: the parser is not touched again by this sse_feed. */
typedef bool (*sse_sink)(void *arg, const struct sse_event *event);

struct sse {
    struct buf line; /* a line begun in an earlier chunk */
    struct buf data; /* from data_at: the event's data, unless `single` has it */
    size_t data_at;
    struct buf type, id, last_id;
    struct slice single; /* the event's only data line, in the chunk being read */
    size_t event_max;
    int64_t retry_ms; /* as last said by the server; -1: never */
    bool has_data, skips_lf, is_past_bom;
};

enum sse_result {
    SSE_MORE,    /* go on */
    SSE_STOPPED, /* by the sink */
    SSE_TOO_LONG /* a line or an event passed `event_max`, or memory is short: the end */
};

#define SSE_ID_BYTES   1024u /* a longer id is as none */
#define SSE_TYPE_BYTES 256u  /* a longer type is cut to nothing: an event nobody knows */

void sse_init(struct sse *sse, size_t event_max);
enum sse_result sse_feed(struct sse *sse, struct slice chunk, sse_sink sink, void *arg);
struct slice sse_last_id(const struct sse *sse); /* of the last complete event; may be empty */
/* The stream begins anew, on another connection: a begun event is dropped, the last id and what was
 * said of retrying stay. */
void sse_restart(struct sse *sse);
void sse_done(struct sse *sse);

#endif
