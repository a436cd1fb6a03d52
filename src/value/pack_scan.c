/* SPDX-License-Identifier: MIT */
/* pack_scan.c - measures a value that arrives in pieces, by limits, before anything uses it. */
#include "value/pack.h"

#include "value/pack_extent.h"

/* An array or map was announced: its children are counted against the limits at once, since
 * each needs a byte at least. */
static enum pack_scan_result open_level(struct pack_scan *scan, uint64_t children,
                                        const struct pack_limits *limits)
{
    uint32_t max = limits->depth < PACK_DEPTH_MAX ? limits->depth : PACK_DEPTH_MAX;
    if (scan->depth >= max) {
        return PACK_SCAN_TOO_DEEP;
    }
    if (scan->items > limits->items || children > limits->items - scan->items) {
        return PACK_SCAN_TOO_MANY;
    }
    scan->items += (uint32_t)children;
    scan->missing += (uint32_t)children;
    if (children) {
        scan->left[scan->depth++] = (uint32_t)children;
    }
    return PACK_SCAN_MORE;
}

static void close_levels(struct pack_scan *scan)
{
    while (scan->depth && --scan->left[scan->depth - 1] == 0) {
        scan->depth--;
    }
}

/* Takes the item whose header begins at `at`. */
static enum pack_scan_result take_item(struct pack_scan *scan, const struct pack_extent *extent,
                                       bool is_container, const struct pack_limits *limits)
{
    uint32_t depth = scan->depth;
    scan->missing--;
    if (is_container) {
        enum pack_scan_result result = open_level(scan, extent->children, limits);
        if (result != PACK_SCAN_MORE) {
            return result;
        }
    }
    uint64_t least = extent->length + scan->missing;
    if (least > limits->bytes || scan->at > limits->bytes - least) {
        return PACK_SCAN_TOO_LONG;
    }
    scan->at += (size_t)extent->length;
    if (scan->depth == depth) {
        close_levels(scan);
    }
    return PACK_SCAN_MORE;
}

static bool is_container(unsigned char lead)
{
    return (lead >= 0x80 && lead < 0xa0) || (lead >= 0xdc && lead < 0xe0);
}

/* Most values of a frame are short ones: takes a run of them within the innermost level at once.
 * False: there is none here, or a limit is near. */
static inline bool take_shorts(struct pack_scan *scan, struct slice bytes,
                               const struct pack_limits *limits)
{
    const unsigned char *first = (const unsigned char *)bytes.ptr;
    uint32_t left = scan->depth ? scan->left[scan->depth - 1] : 1;
    uint32_t taken = 0;
    size_t at = scan->at;
    size_t length;
    while (taken < left && at < bytes.len &&
           (length = pack_short_length(first + at, bytes.len - at)) != 0) {
        at += length;
        taken++;
    }
    if (!taken || at + scan->missing - taken > limits->bytes) {
        return false;
    }
    scan->at = at;
    scan->missing -= taken;
    if (scan->depth) {
        scan->left[scan->depth - 1] -= taken - 1;
        close_levels(scan);
    }
    return true;
}

enum pack_scan_result pack_scan(struct pack_scan *scan, struct slice bytes,
                                const struct pack_limits *limits)
{
    if (!scan->items) {
        if (!limits->items) {
            return PACK_SCAN_TOO_MANY;
        }
        scan->items = scan->missing = 1;
    }
    while (scan->missing) {
        if (scan->at >= bytes.len) {
            return PACK_SCAN_MORE;
        }
        const unsigned char *at = (const unsigned char *)bytes.ptr + scan->at;
        if (pack_short_lengths[*at] && take_shorts(scan, bytes, limits)) {
            continue;
        }
        struct pack_extent extent;
        switch (pack_measure(at, bytes.len - scan->at, &extent)) {
        case PACK_EXTENT_SHORT:
            return PACK_SCAN_MORE;
        case PACK_EXTENT_MALFORMED:
            return PACK_SCAN_MALFORMED;
        case PACK_EXTENT_OK:
            break;
        }
        enum pack_scan_result result = take_item(scan, &extent, is_container(*at), limits);
        if (result != PACK_SCAN_MORE) {
            return result;
        }
    }
    return scan->at <= bytes.len ? PACK_SCAN_DONE : PACK_SCAN_MORE;
}
