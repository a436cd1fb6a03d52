/* SPDX-License-Identifier: MIT */
/* fuzz_json.c - JSON text: refused, or there and back without a change after the first time. */
#include "base/must.h"
#include "base/text.h"
#include "value/json.h"
#include "value/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BYTES_MAX ((size_t)4 << 20)

/* What we write is read again, and then written the same. */
static void there_and_back(struct slice pack)
{
    struct buf json;
    struct buf again;
    struct buf json_again;
    buf_init(&json, BYTES_MAX);
    buf_init(&again, BYTES_MAX);
    buf_init(&json_again, BYTES_MAX);
    must(json_from_pack(pack, "value", &json, NULL) == 0);
    must(text_is_utf8(buf_slice(&json)));
    must(json_to_pack(buf_slice(&json), JSON_DEPTH_MAX, &again, NULL) == 0);
    must(slice_equal(pack, buf_slice(&again)));
    must(json_from_pack(buf_slice(&again), "value", &json_again, NULL) == 0);
    must(slice_equal(buf_slice(&json), buf_slice(&json_again)));
    buf_done(&json);
    buf_done(&again);
    buf_done(&json_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = {(const char *)data, size};
    struct err err = {.code = ERR_NONE};
    struct buf pack;
    struct buf tight;
    static const struct pack_limits limits = {BYTES_MAX, PACK_DEPTH_MAX, UINT32_MAX};
    buf_init(&pack, BYTES_MAX);
    int result = json_to_pack(text, JSON_DEPTH_MAX, &pack, &err);
    if (result != 0) {
        must(err.code == ERR_VALIDATION_ERROR || err.code == ERR_OVERLOADED);
        must(pack.len == 0 && !pack.overflow);
        buf_done(&pack);
        return 0;
    }
    struct pack_scan scan;
    PACK_SCAN_START(&scan);
    must(pack_scan(&scan, buf_slice(&pack), &limits) == PACK_SCAN_DONE);
    must(scan.at == pack.len);
    /* Exactly enough room is enough, one byte less is not. */
    buf_init(&tight, pack.len);
    must(json_to_pack(text, JSON_DEPTH_MAX, &tight, NULL) == 0);
    must(slice_equal(buf_slice(&pack), buf_slice(&tight)));
    buf_done(&tight);
    buf_init(&tight, pack.len - 1);
    must(json_to_pack(text, JSON_DEPTH_MAX, &tight, NULL) == -(int)ERR_OVERLOADED);
    buf_done(&tight);
    there_and_back(buf_slice(&pack));
    buf_done(&pack);
    return 0;
}
