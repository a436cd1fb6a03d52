/* SPDX-License-Identifier: MIT */
/* clock.c - the only reader of the system's clocks. */
#include "base/clock.h"

#include <string.h>
#include <time.h>

mono_us clock_mono(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (mono_us)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

wall_ms clock_wall(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (wall_ms)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void clock_format(wall_ms time, char text[CLOCK_TEXT])
{
    time_t seconds = (time_t)(time / 1000);
    int ms = (int)(time % 1000);
    struct tm parts;
    memcpy(text, "1970-01-01T00:00:00.000Z", CLOCK_TEXT);
    if (gmtime_r(&seconds, &parts) && strftime(text, 20, "%Y-%m-%dT%H:%M:%S", &parts) == 19) {
        text[19] = '.';
        text[20] = (char)('0' + ms / 100);
        text[21] = (char)('0' + ms / 10 % 10);
        text[22] = (char)('0' + ms % 10);
    }
}
