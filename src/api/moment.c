/* SPDX-License-Identifier: MIT */
/* moment.c - moments in parameters: RFC 3339 text as milliseconds since 1970. */
#include "api/api_internal.h"

/* Exactly `count` digits at *at. */
static bool take_number(const char **at, const char *end, unsigned count, int *ret)
{
    int number = 0;
    if (end - *at < (ptrdiff_t)count) {
        return false;
    }
    for (; count; count--, ++*at) {
        if (**at < '0' || **at > '9') {
            return false;
        }
        number = number * 10 + (**at - '0');
    }
    *ret = number;
    return true;
}

static bool take_char(const char **at, const char *end, const char *any)
{
    bool is_there = *at < end && **at && strchr(any, **at);
    *at += is_there;
    return is_there;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && is_leap);
}

/* Since 1970-01-01, in the proleptic Gregorian calendar. */
static int64_t days_since(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t leaps = y / 4 - y / 100 + y / 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return y * 365 + leaps + of_year - 719468;
}

static bool take_date(const char **at, const char *end, int64_t *ret_days)
{
    int year;
    int month;
    int day;
    if (!take_number(at, end, 4, &year) || !take_char(at, end, "-") ||
        !take_number(at, end, 2, &month) || !take_char(at, end, "-") ||
        !take_number(at, end, 2, &day) || year < 1970 || month < 1 || month > 12 || day < 1 ||
        day > days_in(year, month)) {
        return false;
    }
    *ret_days = days_since(year, month, day);
    return true;
}

/* Digits beyond milliseconds are read and left out. */
static bool take_fraction(const char **at, const char *end, int *ret_ms)
{
    int scale = 100;
    *ret_ms = 0;
    if (!take_char(at, end, ".,")) {
        return true;
    }
    const char *first = *at;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at, scale /= 10) {
        *ret_ms += (**at - '0') * scale;
    }
    return *at > first;
}

static bool take_offset(const char **at, const char *end, int *ret_minutes)
{
    int hours;
    int minutes;
    if (take_char(at, end, "Zz")) {
        *ret_minutes = 0;
        return true;
    }
    bool is_west = *at < end && **at == '-';
    if (!take_char(at, end, "+-") || !take_number(at, end, 2, &hours) ||
        !take_char(at, end, ":") || !take_number(at, end, 2, &minutes) || hours > 23 ||
        minutes > 59) {
        return false;
    }
    *ret_minutes = (hours * 60 + minutes) * (is_west ? -1 : 1);
    return true;
}

bool api_parse_moment(struct slice text, wall_ms *ret)
{
    const char *at = text.ptr;
    const char *end = text.ptr + text.len;
    int64_t days;
    int hour = 0;
    int minute = 0;
    int second = 0;
    int ms = 0;
    int offset = 0;
    if (!text.len || !take_date(&at, end, &days)) {
        return false;
    }
    if (at < end && (!take_char(&at, end, "Tt ") || !take_number(&at, end, 2, &hour) ||
                     !take_char(&at, end, ":") || !take_number(&at, end, 2, &minute) ||
                     !take_char(&at, end, ":") || !take_number(&at, end, 2, &second) ||
                     !take_fraction(&at, end, &ms) || !take_offset(&at, end, &offset))) {
        return false;
    }
    if (at != end || hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    *ret = (((days * 24 + hour) * 60 + minute - offset) * 60 + second) * 1000 + ms;
    return true;
}
