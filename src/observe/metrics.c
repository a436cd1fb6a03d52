/* SPDX-License-Identifier: MIT */
/* metrics.c - counting calls, and telling the counts. */
#include "observe/metrics.h"

#include "value/pack.h"

void metrics_latency(struct metrics *metrics, mono_us took)
{
    unsigned bucket = took <= 0 ? 0 : 64u - (unsigned)__builtin_clzll((uint64_t)took);
    metrics->latency[bucket < METRICS_BUCKETS ? bucket : METRICS_BUCKETS - 1]++;
}

static int64_t percentile(const struct metrics *metrics, unsigned percent)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
        total += metrics->latency[i];
    }
    uint64_t seen = 0;
    for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
        seen += metrics->latency[i];
        if (seen && seen * 100 >= total * percent) {
            return (int64_t)1 << i;
        }
    }
    return 0;
}

void metrics_put(const struct metrics *metrics, struct buf *out)
{
    pack_put_map(out, METRIC_COUNT + 1);
#define X(name, wire, text) pack_put_key_int(out, wire, (int64_t)metrics->value[METRIC_##name]);
#include "observe/metrics.def"
#undef X
    pack_put_text(out, "latency_us");
    pack_put_map(out, 3);
    pack_put_key_int(out, "p50", percentile(metrics, 50));
    pack_put_key_int(out, "p90", percentile(metrics, 90));
    pack_put_key_int(out, "p99", percentile(metrics, 99));
}
