/* SPDX-License-Identifier: MIT */
/*
 * metrics.h - counters and the latency histogram of calls.
 *
 * Owns:    nothing; a plain struct of numbers, embedded in the daemon.
 * Thread:  the loop thread.
 */
#ifndef OBSERVE_METRICS_H
#define OBSERVE_METRICS_H

#include "base/buf.h"
#include "base/clock.h"

#include <stdint.h>

enum metric {
#define X(name, wire, text) METRIC_##name,
#include "observe/metrics.def"
#undef X
    METRIC_COUNT
};

#define METRICS_BUCKETS \
    24 /* bucket i counts calls under 2^i microseconds, the last all others */

struct metrics {
    uint64_t value[METRIC_COUNT];
    uint64_t latency[METRICS_BUCKETS];
};

static inline void metrics_add(struct metrics *metrics, enum metric metric, uint64_t more)
{
    metrics->value[metric] += more;
}

void metrics_latency(struct metrics *metrics, mono_us took);

/* {name: count ..., latency_us: {p50, p90, p99}}, MessagePack; percentiles are upper bounds of
 * their bucket. */
void metrics_put(const struct metrics *metrics, struct buf *out);

#endif
