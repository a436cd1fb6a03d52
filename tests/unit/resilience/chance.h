/* SPDX-License-Identifier: MIT */
/*
 * chance.h - random numbers for tests of properties: another seed in each run, printed with it,
 * and chosen by the environment variable TOOLBROKER_SEED to see a run again.
 */
#ifndef TESTS_RESILIENCE_CHANCE_H
#define TESTS_RESILIENCE_CHANCE_H

#include "base/clock.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEPS 120000u /* of each run of a property */

static uint64_t chance_seed, chance_state;

/* SplitMix64: good enough, and any seed is a good one. */
static inline uint64_t chance(void)
{
    uint64_t x = chance_state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* From 0 to most. */
static inline uint64_t chance_to(uint64_t most)
{
    return most == UINT64_MAX ? chance() : chance() % (most + 1);
}

static inline bool chance_of(unsigned percent)
{
    return chance_to(99) < percent;
}

/* Of any size: each number of digits is as likely as another. */
static inline uint64_t chance_size(uint64_t most)
{
    unsigned bits = 0;
    while (bits < 64 && most >> bits) {
        bits++;
    }
    uint64_t below = chance_to(bits);
    uint64_t value = below ? chance() >> (64 - below) : 0;
    return value < most ? value : most;
}

static inline int chance_setup(void **state)
{
    const char *text = getenv("TOOLBROKER_SEED");
    (void)state;
    chance_seed =
        text ? strtoull(text, NULL, 10) : (uint64_t)clock_wall() << 20 ^ (uint64_t)clock_mono();
    print_message("TOOLBROKER_SEED=%" PRIu64 "\n", chance_seed);
    return 0;
}

/* Before each test: so that one alone does the same as among the others. */
static inline int chance_restart(void **state)
{
    (void)state;
    chance_state = chance_seed;
    return 0;
}

#endif
