/* SPDX-License-Identifier: MIT */
/* word.h - reads and copies short texts by words: a call of memcpy costs more than most of them. */
#ifndef BASE_WORD_H
#define BASE_WORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t word_load(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* One to seven bytes; texts of the same length never give the same word. Of fewer than four bytes it
 * has them and zeros, of more all of them, some twice. */
static inline uint64_t word_load_few(const char *at, size_t len)
{
    if (len < 4) {
        return (uint64_t)(unsigned char)at[0] | (uint64_t)(unsigned char)at[len / 2] << 8 |
               (uint64_t)(unsigned char)at[len - 1] << 16;
    }
    uint32_t first;
    uint32_t last;
    memcpy(&first, at, sizeof first);
    memcpy(&last, at + len - 4, sizeof last);
    return (uint64_t)last << 32 | first;
}

/* As memcpy; for texts of one byte to some ten words. */
static inline void word_copy(char *to, const char *from, size_t len)
{
    if (len >= 8) {
        for (size_t i = 0; i + 8 < len; i += 8) {
            memcpy(to + i, from + i, 8);
        }
        memcpy(to + len - 8, from + len - 8, 8);
    } else if (len >= 4) {
        memcpy(to, from, 4);
        memcpy(to + len - 4, from + len - 4, 4);
    } else {
        to[0] = from[0];
        to[len / 2] = from[len / 2];
        to[len - 1] = from[len - 1];
    }
}

/* Whether memcmp would give 0; likewise. */
static inline bool word_equal(const char *a, const char *b, size_t len)
{
    if (len < 8) {
        return word_load_few(a, len) == word_load_few(b, len);
    }
    for (size_t i = 0; i + 8 < len; i += 8) {
        if (word_load(a + i) != word_load(b + i)) {
            return false;
        }
    }
    return word_load(a + len - 8) == word_load(b + len - 8);
}

#endif
