/* SPDX-License-Identifier: MIT */
/*
 * clock.h - the two times, as types that cannot be taken for one another.
 *
 * Units: mono_us counts microseconds of a clock that never jumps; wall_ms is Unix time in
 *        milliseconds. Code on the loop asks loop_now(), never this.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

typedef int64_t mono_us;
typedef int64_t wall_ms;

#define MONO_NEVER INT64_MAX

mono_us clock_mono(void);
wall_ms clock_wall(void);

/* "2026-11-21T09:45:00.123Z"; buffer of at least 25 bytes. */
#define CLOCK_TEXT 25
void clock_format(wall_ms time, char text[CLOCK_TEXT]);

#endif
