/* SPDX-License-Identifier: MIT */
/*
 * bucket.c - a token bucket kept as the time at which it is full again.
 *
 * One token is period_us / count, which is rarely a whole number of microseconds: spans are kept
 * with their fraction, or a high rate would be far from what was asked for.
 */
#include "resilience/bucket.h"

#include "resilience/span.h"

#include <string.h>

struct exact {
    mono_us us;
    uint32_t part; /* in count-ths of a microsecond, less than count */
};

static bool is_unlimited(const struct rate_conf *conf)
{
    return conf->count == 0 || conf->period_us <= 0;
}

static struct exact one_token(const struct rate_conf *conf)
{
    return (struct exact){conf->period_us / conf->count,
                          (uint32_t)(conf->period_us % conf->count)};
}

/* From empty to full. */
static struct exact all_tokens(const struct rate_conf *conf)
{
    struct exact one = one_token(conf);
    uint64_t burst = conf->burst ? conf->burst : conf->count;
    uint64_t parts = one.part * burst, us = (uint64_t)one.us;
    us = us > INT64_MAX / burst ? INT64_MAX : us * burst;
    us += parts / conf->count;
    return (struct exact){us > INT64_MAX ? INT64_MAX : (mono_us)us,
                          (uint32_t)(parts % conf->count)};
}

static bool is_more(struct exact a, struct exact b)
{
    return a.us > b.us || (a.us == b.us && a.part > b.part);
}

static struct exact plus(struct exact a, struct exact b, uint32_t count)
{
    uint64_t part = (uint64_t)a.part + b.part;
    struct exact sum = {span_after(a.us, b.us), (uint32_t)(part % count)};
    sum.us = span_after(sum.us, part >= count);
    return sum;
}

/* `a` is not less than `b`. */
static struct exact minus(struct exact a, struct exact b, uint32_t count)
{
    bool borrows = a.part < b.part;
    uint64_t part = (uint64_t)a.part + (borrows ? count : 0) - b.part;
    return (struct exact){a.us - b.us - borrows, (uint32_t)part};
}

/* How long it is until full. Never more than from empty: a rate that was raised holds at once. */
static struct exact missing(const struct bucket *bucket, const struct rate_conf *conf,
                            mono_us now)
{
    struct exact all = all_tokens(conf);
    if (bucket->full_at < now) {
        return (struct exact){0, 0};
    }
    struct exact left = {span_until(bucket->full_at, now), bucket->part};
    if (left.part >= conf->count) { /* of another rate */
        left.part = conf->count - 1;
    }
    return is_more(left, all) ? all : left;
}

static void set_missing(struct bucket *bucket, mono_us now, struct exact left)
{
    bucket->full_at = span_after(now, left.us);
    bucket->part = left.part;
}

/* Until one is there, if `left` is missing. */
static mono_us wait_of(const struct rate_conf *conf, struct exact left)
{
    struct exact all = all_tokens(conf), then = plus(left, one_token(conf), conf->count);
    if (!is_more(then, all)) {
        return 0;
    }
    struct exact wait = minus(then, all, conf->count);
    return wait.us + (wait.part > 0);
}

mono_us bucket_wait(const struct bucket *bucket, const struct rate_conf *conf, mono_us now)
{
    return is_unlimited(conf) ? 0 : wait_of(conf, missing(bucket, conf, now));
}

bool bucket_take(struct bucket *bucket, const struct rate_conf *conf, mono_us now,
                 mono_us *ret_wait)
{
    if (is_unlimited(conf)) {
        return true;
    }
    struct exact left = missing(bucket, conf, now);
    mono_us wait = wait_of(conf, left);
    if (wait) {
        set_missing(bucket, now, left); /* or one of a slower rate would seem empty for ever */
        if (ret_wait) {
            *ret_wait = wait;
        }
        return false;
    }
    set_missing(bucket, now, plus(left, one_token(conf), conf->count));
    return true;
}

void bucket_give_back(struct bucket *bucket, const struct rate_conf *conf, mono_us now)
{
    if (is_unlimited(conf)) {
        return;
    }
    struct exact left = missing(bucket, conf, now), one = one_token(conf);
    set_missing(bucket, now,
                is_more(left, one) ? minus(left, one, conf->count) : (struct exact){0, 0});
}

/* ---- how rates are written --------------------------------------------------------------- */

static const struct {
    const char *name;
    mono_us us;
} periods[] = {
    {"/s", INT64_C(1000000)},
    {"/min", INT64_C(60000000)},
    {"/h", INT64_C(3600000000)},
    {"/day", INT64_C(86400000000)},
};

/* From 1 to RATE_MOST, without zeros before it. */
static bool take_count(const char **text, uint32_t *ret)
{
    uint32_t count = 0;
    const char *at = *text;
    if (*at == '0') {
        return false;
    }
    for (; *at >= '0' && *at <= '9' && count <= RATE_MOST; at++) {
        count = count * 10 + (uint32_t)(*at - '0');
    }
    *text = at;
    *ret = count;
    return count > 0 && count <= RATE_MOST;
}

static bool take_word(const char **text, const char *word)
{
    size_t len = strlen(word);
    if (strncmp(*text, word, len) != 0) {
        return false;
    }
    *text += len;
    return true;
}

bool rate_parse(const char *text, struct rate_conf *ret)
{
    struct rate_conf conf = {0};
    if (strcmp(text, "0") == 0) {
        *ret = conf;
        return true;
    }
    if (!take_count(&text, &conf.count)) {
        return false;
    }
    for (size_t i = 0; i < sizeof periods / sizeof *periods && !conf.period_us; i++) {
        conf.period_us = take_word(&text, periods[i].name) ? periods[i].us : 0;
    }
    if (!conf.period_us || (take_word(&text, " burst ") && !take_count(&text, &conf.burst)) ||
        *text) {
        return false;
    }
    *ret = conf;
    return true;
}
