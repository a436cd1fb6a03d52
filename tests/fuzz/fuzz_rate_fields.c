/* SPDX-License-Identifier: MIT */
/*
 * fuzz_rate_fields.c - what servers say of their limits: whatever they say, waits are bounded, and
 * neither the order of the fields nor hearing them twice changes what is believed.
 *
 * Eight bytes of Unix time in milliseconds, then lines of "name: value".
 */
#include "resilience/rate_fields.h"

#include "base/must.h"
#include "loop/http.h"

#include <stdlib.h>
#include <string.h>

#define LINES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct line {
    struct slice name, value;
};

static struct slice cut(struct slice *text, const char *mark)
{
    const char *end = text->len ? memmem(text->ptr, text->len, mark, strlen(mark)) : NULL;
    struct slice part = {text->ptr, end ? (size_t)(end - text->ptr) : text->len};
    size_t gone = part.len + (end ? strlen(mark) : 0);
    text->ptr += gone;
    text->len -= gone;
    return part;
}

/* From memory of exactly its size, so that reading beyond it is seen. */
static void take(struct rate_fields *fields, const struct line *line, wall_ms now)
{
    struct rate_fields before = *fields;
    size_t len = line->value.len;
    char *value = malloc(len + !len);
    must(value != NULL);
    memcpy(value, line->value.ptr, len);
    rate_fields_take(fields, line->name, (struct slice){value, len}, now, http_date);
    free(value);
    if (!rate_fields_is_one(line->name)) {
        must(memcmp(&before, fields, sizeof before) == 0);
    }
}

static bool is_wait(int64_t wait)
{
    return wait >= -1 && wait <= RATE_WAIT_MAX_MS;
}

static void check(const struct rate_fields *fields)
{
    must(is_wait(fields->retry_after_ms) && is_wait(fields->reset_ms));
    must(fields->remaining >= -1 && fields->limit >= -1);
    must(fields->quota_count <= RATE_QUOTAS);
    for (unsigned i = 0; i < fields->quota_count; i++) {
        const struct rate_quota *quota = &fields->quotas[i];
        must(is_wait(quota->reset_ms));
        must(quota->remaining < 0 ||
             (fields->remaining >= 0 && fields->remaining <= quota->remaining));
    }
    int64_t hold = rate_fields_hold(fields, false), refused = rate_fields_hold(fields, true);
    must(hold >= 0 && is_wait(hold) && is_wait(refused));
    must(!hold || fields->remaining == 0);
    must(fields->retry_after_ms < 0 || refused == fields->retry_after_ms);
}

static bool are_same(const struct rate_fields *a, const struct rate_fields *b)
{
    return a->retry_after_ms == b->retry_after_ms && a->remaining == b->remaining &&
           a->reset_ms == b->reset_ms && a->is_daily == b->is_daily;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct line lines[LINES];
    size_t count = 0;
    wall_ms now;
    if (size < sizeof now) {
        return 0;
    }
    memcpy(&now, data, sizeof now);
    struct slice text = {(const char *)data + sizeof now, size - sizeof now};
    while (text.len && count < LINES) {
        struct slice line = cut(&text, "\n");
        lines[count].name = cut(&line, ": ");
        lines[count++].value = line;
    }

    struct rate_fields fields, again, backwards;
    rate_fields_init(&fields);
    rate_fields_init(&backwards);
    for (size_t i = 0; i < count; i++) {
        take(&fields, &lines[i], now);
        check(&fields);
        take(&backwards, &lines[count - 1 - i], now);
    }
    again = fields;
    for (size_t i = 0; i < count; i++) {
        take(&again, &lines[i], now);
    }
    if (fields.quota_count < RATE_QUOTAS) { /* beyond, who comes first is kept */
        must(are_same(&fields, &again));
        must(are_same(&fields, &backwards));
    }
    return 0;
}
