/* SPDX-License-Identifier: MIT */
/* duration.c - spans of time as people write them on a command line. */
#include "cli/command.h"

#include <string.h>

#define DIGITS_MAX 15 /* of a whole number: it fits int64_t */

static const struct unit {
    const char *name;
    int64_t ms;
} units[] = {{"d", DURATION_DAY}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
#define UNITS (sizeof units / sizeof *units)

struct number {
    int64_t whole, thousandths;
};

/* The number at *at; false: there is none, or it has too many digits. */
static bool take_number(const char **at, struct number *ret)
{
    size_t digits = strspn(*at, "0123456789");
    *ret = (struct number){0, 0};
    if (digits == 0 || digits > DIGITS_MAX) {
        return false;
    }
    for (; digits; digits--) {
        ret->whole = ret->whole * 10 + (*(*at)++ - '0');
    }
    if (**at != '.') {
        return true;
    }
    digits = strspn(++*at, "0123456789");
    if (digits == 0 || digits > 3) {
        return false;
    }
    for (int64_t place = 100; digits; digits--, place /= 10) {
        ret->thousandths += (*(*at)++ - '0') * place;
    }
    return true;
}

/* The unit at *at, one that is smaller than `above`; UNITS: none. */
static size_t take_unit(const char **at, size_t above)
{
    size_t len = strspn(*at, "abcdefghijklmnopqrstuvwxyz");
    for (size_t i = above; i < UNITS; i++) {
        if (strlen(units[i].name) == len && strncmp(units[i].name, *at, len) == 0) {
            *at += len;
            return i;
        }
    }
    return UNITS;
}

bool duration_parse(const char *text, int64_t max_ms, int64_t *ret_ms)
{
    bool is_fraction = strchr(text, '.') != NULL;
    int64_t total = 0;
    size_t unit = 0;
    bool is_first = true;
    for (const char *at = text; is_first || *at; is_first = false) {
        struct number number;
        if (!take_number(&at, &number)) {
            return false;
        }
        if (is_first && !*at) {
            at = "s"; /* a number alone */
        }
        unit = take_unit(&at, is_first ? 0 : unit + 1);
        /* 1.5h is a duration; 1.5h30m is a slip. */
        if (unit == UNITS || (is_fraction && *at) || number.whole > max_ms / units[unit].ms) {
            return false;
        }
        total += number.whole * units[unit].ms + number.thousandths * units[unit].ms / 1000;
        if (total > max_ms) {
            return false;
        }
    }
    *ret_ms = total;
    return total >= 1;
}
