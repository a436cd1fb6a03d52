/* SPDX-License-Identifier: MIT */
/*
 * json_chunk.h - several bytes of a string at once: which of them end a plain run. Inside value/
 * only. SSE2 where there is any, else eight bytes in a word (JSON_PORTABLE asks for that).
 */
#ifndef VALUE_JSON_CHUNK_H
#define VALUE_JSON_CHUNK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__SSE2__) && !defined(JSON_PORTABLE)
#include <emmintrin.h>

#define CHUNK 16

typedef __m128i chunk;
typedef uint32_t chunk_mask;

static inline chunk chunk_load(const unsigned char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static inline void chunk_store(unsigned char *to, chunk bytes)
{
    _mm_storeu_si128((__m128i *)(void *)to, bytes);
}

/* Bytes that are not plain ASCII text: quote, backslash, control characters, 0x80 and above
 * (negative when signed, so one comparison finds them with the control characters). */
static inline chunk_mask chunk_special(chunk bytes)
{
    chunk quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    chunk escape = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    chunk other = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));
    return (chunk_mask)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, escape), other));
}

static inline size_t chunk_first(chunk_mask mask)
{
    return (size_t)__builtin_ctz(mask);
}

/* The first `len` bytes as two words, zeros behind them; len < CHUNK. */
static inline void chunk_words(chunk bytes, size_t len, uint64_t *ret_low, uint64_t *ret_high)
{
    static const unsigned char ones[2 * CHUNK] = {255, 255, 255, 255, 255, 255, 255, 255,
                                                  255, 255, 255, 255, 255, 255, 255, 255};
    chunk kept = _mm_and_si128(bytes, chunk_load(ones + CHUNK - len));
    *ret_low = (uint64_t)_mm_cvtsi128_si64(kept);
    *ret_high = (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(kept, kept));
}

#else

#define CHUNK      8

typedef uint64_t chunk;
typedef uint64_t chunk_mask;

#define CHUNK_EACH 0x0101010101010101u
#define CHUNK_HIGH 0x8080808080808080u

static inline chunk chunk_load(const unsigned char *at)
{
    chunk bytes;
    memcpy(&bytes, at, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bytes = __builtin_bswap64(bytes);
#endif
    return bytes;
}

static inline void chunk_store(unsigned char *to, chunk bytes)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bytes = __builtin_bswap64(bytes);
#endif
    memcpy(to, &bytes, 8);
}

/* A borrow can only mark bytes above one that is rightly marked: the first mark is right. */
static inline chunk_mask chunk_special(chunk bytes)
{
    chunk quote = bytes ^ (CHUNK_EACH * '"');
    chunk escape = bytes ^ (CHUNK_EACH * '\\');
    chunk low = (bytes - CHUNK_EACH * 0x20) & ~bytes;
    return (((quote - CHUNK_EACH) & ~quote) | ((escape - CHUNK_EACH) & ~escape) | low | bytes) &
           CHUNK_HIGH;
}

static inline size_t chunk_first(chunk_mask mask)
{
    return (size_t)__builtin_ctzll(mask) / 8;
}

static inline void chunk_words(chunk bytes, size_t len, uint64_t *ret_low, uint64_t *ret_high)
{
    *ret_low = bytes & (((uint64_t)1 << (8 * len)) - 1);
    *ret_high = 0;
}

#endif

/* Like chunk_load where fewer than CHUNK bytes are left: what is missing reads as NUL, a special. */
static inline chunk chunk_load_tail(const unsigned char *at, const unsigned char *end)
{
    unsigned char padded[CHUNK] = {0};
    memcpy(padded, at, (size_t)(end - at));
    return chunk_load(padded);
}

static inline chunk chunk_load_within(const unsigned char *at, const unsigned char *end)
{
    return end - at >= CHUNK ? chunk_load(at) : chunk_load_tail(at, end);
}

#endif
