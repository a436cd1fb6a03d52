/* SPDX-License-Identifier: MIT */
/* json_digits.h - up to eight decimal digits at once, in a word. Inside value/ only. */
#ifndef VALUE_JSON_DIGITS_H
#define VALUE_JSON_DIGITS_H

#include <stdint.h>
#include <string.h>

/* Eight bytes, the first in the lowest place. */
static inline uint64_t digits_load(const unsigned char *at)
{
    uint64_t word;
    memcpy(&word, at, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* How many of the eight bytes are digits before the first that is none. */
static inline unsigned digits_count(uint64_t word)
{
    const uint64_t each = 0x0101010101010101u;
    uint64_t wrong = word ^ (each * '0'); /* 0 to 9 for digits */
    wrong = (wrong | (wrong + each * (0x7f - 9))) & (each * 0x80);
    return wrong ? (unsigned)__builtin_ctzll(wrong) / 8 : 8;
}

/* The number that the first `count` digits make; count is 1 to 8. */
static inline uint32_t digits_value(uint64_t word, unsigned count)
{
    word = (word & 0x0f0f0f0f0f0f0f0fu) << (64 - 8 * count);
    word = word * 10 + (word >> 8); /* pairs, in every second byte */
    word = ((word & 0x000000ff000000ffu) * ((uint64_t)1000000 << 32 | 100) +
            (word >> 16 & 0x000000ff000000ffu) * ((uint64_t)10000 << 32 | 1)) >>
           32;
    return (uint32_t)word;
}

#endif
