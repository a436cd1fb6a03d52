/* SPDX-License-Identifier: MIT */
/* fuzz_frame.c - bytes of a socket: measured in pieces as at once, then walked, then as JSON. */
#include "base/must.h"
#include "value/json.h"
#include "value/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct pack_limits limits = {4096, 32, 1000};

/* The measurement must not depend on how the bytes arrive. */
static enum pack_scan_result scan_in_pieces(struct slice bytes, struct pack_scan *scan)
{
    enum pack_scan_result result = PACK_SCAN_MORE;
    PACK_SCAN_START(scan);
    for (size_t len = 0, step = 1; result == PACK_SCAN_MORE; step = step * 2 % 31) {
        len = len + step < bytes.len ? len + step : bytes.len;
        result = pack_scan(scan, (struct slice){bytes.ptr, len}, &limits);
        if (len == bytes.len) {
            break;
        }
    }
    return result;
}

/* Every item, by its header, as a reader of methods and arguments does. */
static void walk(struct slice bytes)
{
    struct pack cursor = pack_over(bytes);
    struct pack_item item;
    uint64_t items = 0;
    while (pack_next(&cursor, &item)) {
        int64_t number;
        uint64_t positive;
        (void)pack_as_int(&item, &number);
        (void)pack_as_uint(&item, &positive);
        items++;
    }
    must(items <= bytes.len);
}

/* What JSON gave is given again: a client's own way to write a number (0e140 as an extension
 * value) is only its first. */
static void to_json_and_back(struct slice value)
{
    struct buf json;
    struct buf pack;
    struct buf again;
    buf_init(&json, (size_t)1 << 20);
    buf_init(&pack, (size_t)1 << 20);
    buf_init(&again, (size_t)1 << 20);
    if (json_from_pack(value, "value", &json, NULL) == 0) {
        must(json_to_pack(buf_slice(&json), JSON_DEPTH_MAX, &pack, NULL) == 0);
        buf_clear(&json);
        must(json_from_pack(buf_slice(&pack), "value", &json, NULL) == 0);
        must(json_to_pack(buf_slice(&json), JSON_DEPTH_MAX, &again, NULL) == 0);
        must(slice_equal(buf_slice(&pack), buf_slice(&again)));
    }
    buf_done(&json);
    buf_done(&pack);
    buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = {(const char *)data, size};
    struct pack_scan scan;
    struct pack_scan pieces;
    walk(bytes);
    PACK_SCAN_START(&scan);
    enum pack_scan_result result = pack_scan(&scan, bytes, &limits);
    must(scan_in_pieces(bytes, &pieces) == result);
    if (result != PACK_SCAN_DONE) {
        return 0;
    }
    must(scan.at <= size && scan.at == pieces.at && scan.items <= limits.items);
    struct pack cursor = pack_over(bytes);
    struct slice value;
    struct slice found;
    must(pack_take(&cursor, &value) && value.len == scan.at);
    (void)pack_get(value, "method", &found);
    to_json_and_back(value);
    return 0;
}
