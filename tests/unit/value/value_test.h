/* SPDX-License-Identifier: MIT */
/* value_test.h - what the tests of value/ share: JSON in a line, bytes in hexadecimal. */
#ifndef TESTS_VALUE_TEST_H
#define TESTS_VALUE_TEST_H

#include "base/mem.h"
#include "value/json.h"
#include "value/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TEST_BYTES_MAX ((size_t)64 << 20)

/* MessagePack of JSON that is right; the caller frees it. */
static inline struct buf pack_of(const char *json)
{
    struct buf pack;
    struct err err = {.code = ERR_NONE};
    buf_init(&pack, TEST_BYTES_MAX);
    if (json_to_pack(slice_of(json), JSON_DEPTH_MAX, &pack, &err) != 0) {
        fail_msg("%s: %s", json, err.text);
    }
    return pack;
}

/* Whether the bytes are these, given as "82 a1 61 .."; spaces do not count. */
static inline void assert_hex(struct slice bytes, const char *hex)
{
    struct buf text;
    buf_init(&text, TEST_BYTES_MAX);
    for (size_t i = 0; i < bytes.len; i++) {
        buf_printf(&text, "%02x", (unsigned)(unsigned char)bytes.ptr[i]);
    }
    struct buf wanted;
    buf_init(&wanted, TEST_BYTES_MAX);
    for (; *hex; hex++) {
        if (*hex != ' ') {
            buf_put_byte(&wanted, (uint8_t)*hex);
        }
    }
    assert_string_equal(buf_text(&text), buf_text(&wanted));
    buf_done(&text);
    buf_done(&wanted);
}

/* A deterministic generator: the same values in every run. */
struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
    random->state ^= random->state << 13;
    random->state ^= random->state >> 7;
    random->state ^= random->state << 17;
    return random->state * 0x9e3779b97f4a7c15u;
}

static inline uint32_t random_below(struct random *random, uint32_t limit)
{
    return (uint32_t)(random_next(random) >> 33) % limit;
}

#endif
