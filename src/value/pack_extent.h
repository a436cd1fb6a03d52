/* SPDX-License-Identifier: MIT */
/* pack_extent.h - how far one MessagePack item reaches, by its first bytes. Inside value/ only. */
#ifndef VALUE_PACK_EXTENT_H
#define VALUE_PACK_EXTENT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum pack_extent_result { PACK_EXTENT_OK, PACK_EXTENT_SHORT, PACK_EXTENT_MALFORMED };

struct pack_extent {
    uint64_t length;   /* header and body; of an array or map the header alone */
    uint64_t children; /* values that follow: twice the pairs of a map */
};

static inline uint16_t pack_load16(const unsigned char *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t pack_load32(const unsigned char *at)
{
    uint32_t word;
    memcpy(&word, at, 4);
    return __builtin_bswap32(word);
}

static inline uint64_t pack_load64(const unsigned char *at)
{
    uint64_t word;
    memcpy(&word, at, 8);
    return __builtin_bswap64(word);
}

/* For bytes 0xc0 to 0xdf: bytes of the length field, and what comes besides the body it counts. */
enum { PACK_FORM_BYTES, PACK_FORM_ARRAY, PACK_FORM_MAP, PACK_FORM_NONE };

struct pack_form {
    uint8_t field; /* bytes of the length field */
    uint8_t fixed; /* bytes beside the field and what it counts */
    uint8_t kind;
};

static const struct pack_form pack_forms[32] = {
    [0x00] = {0, 1, PACK_FORM_BYTES},  [0x01] = {0, 0, PACK_FORM_NONE},
    [0x02] = {0, 1, PACK_FORM_BYTES},  [0x03] = {0, 1, PACK_FORM_BYTES},
    [0x04] = {1, 1, PACK_FORM_BYTES},  [0x05] = {2, 1, PACK_FORM_BYTES},
    [0x06] = {4, 1, PACK_FORM_BYTES},  [0x07] = {1, 2, PACK_FORM_BYTES},
    [0x08] = {2, 2, PACK_FORM_BYTES},  [0x09] = {4, 2, PACK_FORM_BYTES},
    [0x0a] = {0, 5, PACK_FORM_BYTES},  [0x0b] = {0, 9, PACK_FORM_BYTES},
    [0x0c] = {0, 2, PACK_FORM_BYTES},  [0x0d] = {0, 3, PACK_FORM_BYTES},
    [0x0e] = {0, 5, PACK_FORM_BYTES},  [0x0f] = {0, 9, PACK_FORM_BYTES},
    [0x10] = {0, 2, PACK_FORM_BYTES},  [0x11] = {0, 3, PACK_FORM_BYTES},
    [0x12] = {0, 5, PACK_FORM_BYTES},  [0x13] = {0, 9, PACK_FORM_BYTES},
    [0x14] = {0, 3, PACK_FORM_BYTES},  [0x15] = {0, 4, PACK_FORM_BYTES},
    [0x16] = {0, 6, PACK_FORM_BYTES},  [0x17] = {0, 10, PACK_FORM_BYTES},
    [0x18] = {0, 18, PACK_FORM_BYTES}, [0x19] = {1, 1, PACK_FORM_BYTES},
    [0x1a] = {2, 1, PACK_FORM_BYTES},  [0x1b] = {4, 1, PACK_FORM_BYTES},
    [0x1c] = {2, 1, PACK_FORM_ARRAY},  [0x1d] = {4, 1, PACK_FORM_ARRAY},
    [0x1e] = {2, 1, PACK_FORM_MAP},    [0x1f] = {4, 1, PACK_FORM_MAP},
};

#define PACK_ROW(...)   __VA_ARGS__
#define PACK_TWICE(...) __VA_ARGS__, __VA_ARGS__
#define PACK_ONES       PACK_TWICE(PACK_TWICE(PACK_TWICE(PACK_TWICE(PACK_TWICE(1)))))
#define PACK_NOUGHTS    PACK_TWICE(PACK_TWICE(PACK_TWICE(PACK_TWICE(PACK_TWICE(0)))))
#define PACK_FROM(n)    (n), (n) + 1, (n) + 2, (n) + 3, (n) + 4, (n) + 5, (n) + 6, (n) + 7

/* The length of a value that its first byte alone tells: numbers, short strings (from 0xa0 on), what
 * pack_forms has without a field. 0: of no such. */
static const uint8_t pack_short_lengths[256] = {
    PACK_TWICE(PACK_TWICE(PACK_ONES)),
    PACK_NOUGHTS,
    PACK_FROM(1),
    PACK_FROM(9),
    PACK_FROM(17),
    PACK_FROM(25),
    PACK_ROW(1, 0, 1, 1, 0, 0, 0, 0),
    PACK_ROW(0, 0, 5, 9, 2, 3, 5, 9),
    PACK_ROW(2, 3, 5, 9, 3, 4, 6, 10),
    PACK_ROW(18, 0, 0, 0, 0, 0, 0, 0),
    PACK_ONES,
};

/* Likewise, of strings up to 255 bytes too, where there is more than the first byte. */
static inline size_t pack_short_length(const unsigned char *at, size_t room)
{
    size_t length = pack_short_lengths[at[0]];
    return !length && at[0] == 0xd9 && room > 1 ? 2u + at[1] : length;
}

/* `room` is at least 1. Only the header must be there, not the body. */
static inline enum pack_extent_result pack_measure(const unsigned char *at, size_t room,
                                                   struct pack_extent *ret)
{
    unsigned char lead = at[0];
    size_t length = pack_short_length(at, room);
    if (length) {
        *ret = (struct pack_extent){length, 0};
        return PACK_EXTENT_OK;
    }
    if (lead < 0xa0) {
        *ret = (struct pack_extent){1, (lead & 15u) << (lead < 0x90)};
        return PACK_EXTENT_OK;
    }
    struct pack_form form = pack_forms[lead & 31];
    if (form.kind == PACK_FORM_NONE) {
        return PACK_EXTENT_MALFORMED;
    }
    if (room <= form.field) {
        return PACK_EXTENT_SHORT;
    }
    uint64_t counted = form.field == 0   ? 0
                       : form.field == 1 ? at[1]
                       : form.field == 2 ? pack_load16(at + 1)
                                         : pack_load32(at + 1);
    uint64_t head = (uint64_t)form.field + form.fixed;
    *ret = form.kind == PACK_FORM_BYTES   ? (struct pack_extent){head + counted, 0}
           : form.kind == PACK_FORM_ARRAY ? (struct pack_extent){head, counted}
                                          : (struct pack_extent){head, 2 * counted};
    return PACK_EXTENT_OK;
}

#endif
