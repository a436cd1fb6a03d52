/* SPDX-License-Identifier: MIT */
/* rate_fields.c - which header fields speak of limits, what each says, and how long to hold. */
#include "resilience/rate_fields.h"

#include "resilience/rate_internal.h"

#include <strings.h>

/* Larger numbers are times of day, in seconds or in milliseconds. */
#define UNIX_SECONDS_FROM INT64_C(1000000000)
#define UNIX_MS_FROM      INT64_C(1000000000000)

enum field_kind {
    FIELD_REMAINING,
    FIELD_LIMIT,
    FIELD_RESET,    /* seconds left, or a time of day */
    FIELD_RESET_MS, /* milliseconds left */
    FIELD_RETRY,
    FIELD_RETRY_MS,
    FIELD_LIST,
    FIELD_SALESFORCE,
    FIELD_USAGE
};

/* Quotas of which one answer may speak side by side. */
enum quota_id {
    QUOTA_X,
    QUOTA_X_RATE,
    QUOTA_IETF,
    QUOTA_IETF_07,
    QUOTA_HUBSPOT,
    QUOTA_HUBSPOT_SECOND,
    QUOTA_USAGE,
    QUOTA_DAILY_FIRST, /* from here on: of a day */
    QUOTA_DAILY = QUOTA_DAILY_FIRST,
    QUOTA_DAILY_APP,
    QUOTA_DAILY_USER
};

static const struct field {
    const char *name;
    enum field_kind kind;
    enum quota_id quota;
} known[] = {
    {"retry-after", FIELD_RETRY, 0},
    {"retry-after-ms", FIELD_RETRY_MS, 0}, /* Azure, also with its prefix */
    {"x-ms-retry-after-ms", FIELD_RETRY_MS, 0},
    {"ratelimit", FIELD_LIST, QUOTA_IETF_07},
    {"ratelimit-policy", FIELD_LIST, QUOTA_IETF_07},
    {"ratelimit-limit", FIELD_LIMIT, QUOTA_IETF},
    {"ratelimit-remaining", FIELD_REMAINING, QUOTA_IETF},
    {"ratelimit-reset", FIELD_RESET, QUOTA_IETF},
    {"x-ratelimit-limit", FIELD_LIMIT, QUOTA_X},
    {"x-ratelimit-remaining", FIELD_REMAINING, QUOTA_X},
    {"x-ratelimit-reset", FIELD_RESET, QUOTA_X},
    {"x-rate-limit-limit", FIELD_LIMIT, QUOTA_X_RATE},
    {"x-rate-limit-remaining", FIELD_REMAINING, QUOTA_X_RATE},
    {"x-rate-limit-reset", FIELD_RESET, QUOTA_X_RATE},
    {"x-app-limit-24hour-limit", FIELD_LIMIT, QUOTA_DAILY_APP},
    {"x-app-limit-24hour-remaining", FIELD_REMAINING, QUOTA_DAILY_APP},
    {"x-app-limit-24hour-reset", FIELD_RESET, QUOTA_DAILY_APP},
    {"x-user-limit-24hour-limit", FIELD_LIMIT, QUOTA_DAILY_USER},
    {"x-user-limit-24hour-remaining", FIELD_REMAINING, QUOTA_DAILY_USER},
    {"x-user-limit-24hour-reset", FIELD_RESET, QUOTA_DAILY_USER},
    {"x-hubspot-ratelimit-max", FIELD_LIMIT, QUOTA_HUBSPOT},
    {"x-hubspot-ratelimit-remaining", FIELD_REMAINING, QUOTA_HUBSPOT},
    {"x-hubspot-ratelimit-interval-milliseconds", FIELD_RESET_MS, QUOTA_HUBSPOT},
    {"x-hubspot-ratelimit-secondly", FIELD_LIMIT, QUOTA_HUBSPOT_SECOND},
    {"x-hubspot-ratelimit-secondly-remaining", FIELD_REMAINING, QUOTA_HUBSPOT_SECOND},
    {"x-hubspot-ratelimit-daily", FIELD_LIMIT, QUOTA_DAILY},
    {"x-hubspot-ratelimit-daily-remaining", FIELD_REMAINING, QUOTA_DAILY},
    {"x-daily-requests-left", FIELD_REMAINING, QUOTA_DAILY},   /* Pipedrive */
    {"x-api-credits-remaining", FIELD_REMAINING, QUOTA_DAILY}, /* Zoho */
    {"sforce-limit-info", FIELD_SALESFORCE, QUOTA_DAILY},
    {"x-app-usage", FIELD_USAGE, QUOTA_USAGE}, /* Meta, as the next two */
    {"x-page-usage", FIELD_USAGE, QUOTA_USAGE},
    {"x-business-use-case-usage", FIELD_USAGE, QUOTA_USAGE},
};

void rate_fields_init(struct rate_fields *fields)
{
    *fields = (struct rate_fields){
        .retry_after_ms = -1, .remaining = -1, .limit = -1, .reset_ms = -1};
}

static bool starts(struct slice name, const char *prefix)
{
    size_t len = strlen(prefix);
    return name.len >= len && strncasecmp(name.ptr, prefix, len) == 0;
}

bool rate_fields_is_one(struct slice name)
{
    static const char *const x[] = {"ra", "hu", "ap", "us", "pa", "bu", "da", "ms"};
    switch (name.len ? *name.ptr | 0x20 : 0) {
    case 'r':
        return starts(name, "ra") || starts(name, "retry-after");
    case 's':
        return starts(name, "sforce-");
    case 'x':
        for (size_t i = 0; name.len > 4 && name.ptr[1] == '-' && i < sizeof x / sizeof *x;
             i++) {
            if ((name.ptr[2] | 0x20) == x[i][0] && (name.ptr[3] | 0x20) == x[i][1]) {
                return true;
            }
        }
        return false;
    default:
        return false;
    }
}

/* ---- quotas ------------------------------------------------------------------------------ */

static struct rate_quota *quota_of(struct rate_fields *fields, uint32_t id)
{
    for (unsigned i = 0; i < fields->quota_count; i++) {
        if (fields->quotas[i].id == id) {
            return &fields->quotas[i];
        }
    }
    if (fields->quota_count == RATE_QUOTAS) {
        return NULL;
    }
    struct rate_quota *quota = &fields->quotas[fields->quota_count++];
    *quota = (struct rate_quota){id, -1, -1, id == QUOTA_HUBSPOT_SECOND ? 1000 : -1};
    return quota;
}

void rate_tell(struct rate_fields *fields, uint32_t id, enum rate_part part, int64_t value)
{
    struct rate_quota *quota = quota_of(fields, id);
    if (!quota) {
        return;
    }
    int64_t *told = part == RATE_REMAINING ? &quota->remaining
                    : part == RATE_LIMIT   ? &quota->limit
                                           : &quota->reset_ms;
    *told = *told < 0 || value < *told ? value : *told;
}

static bool has_less(const struct rate_quota *a, const struct rate_quota *b)
{
    if (a->remaining != b->remaining) {
        return b->remaining < 0 || (a->remaining >= 0 && a->remaining < b->remaining);
    }
    return a->reset_ms > b->reset_ms;
}

/* Chooses the quota that counts. */
static void settle(struct rate_fields *fields)
{
    const struct rate_quota *least = fields->quotas;
    for (unsigned i = 0; i < fields->quota_count; i++) {
        const struct rate_quota *quota = &fields->quotas[i];
        least = has_less(quota, least) ? quota : least;
        fields->is_daily |= quota->remaining == 0 && quota->id >= QUOTA_DAILY_FIRST &&
                            quota->id < RATE_ID_OF_LIST;
    }
    if (fields->quota_count) {
        fields->remaining = least->remaining;
        fields->limit = least->limit;
        fields->reset_ms = least->reset_ms;
    }
}

/* ---- values ------------------------------------------------------------------------------ */

void rate_skip_space(struct slice *text)
{
    while (text->len && (*text->ptr == ' ' || *text->ptr == '\t')) {
        text->ptr++;
        text->len--;
    }
}

bool rate_take_byte(struct slice *text, char byte)
{
    if (!text->len || *text->ptr != byte) {
        return false;
    }
    text->ptr++;
    text->len--;
    return true;
}

static bool take_digit(struct slice *text, int *ret)
{
    if (!text->len || *text->ptr < '0' || *text->ptr > '9') {
        return false;
    }
    *ret = *text->ptr - '0';
    text->ptr++;
    text->len--;
    return true;
}

bool rate_take_number(struct slice *text, int64_t *ret_whole, int64_t *ret_thousandths)
{
    int64_t whole = 0, fraction = 0, unit = 100, rest = 0;
    int digit;
    if (!take_digit(text, &digit)) {
        return false;
    }
    do {
        whole = whole < RATE_NUMBER_MAX / 10 ? whole * 10 + digit : RATE_NUMBER_MAX;
    } while (take_digit(text, &digit));
    if (rate_take_byte(text, '.')) {
        if (!take_digit(text, &digit)) {
            return false;
        }
        do {
            fraction += digit * unit;
            rest |= unit ? 0 : digit;
            unit /= 10;
        } while (take_digit(text, &digit));
    }
    *ret_whole = whole;
    *ret_thousandths = whole * 1000 + fraction + (rest > 0);
    return true;
}

int64_t rate_wait_until(int64_t then, wall_ms now)
{
    if (then <= now) {
        return 0;
    }
    uint64_t left = (uint64_t)then - (uint64_t)now;
    return left < RATE_WAIT_MAX_MS ? (int64_t)left : RATE_WAIT_MAX_MS;
}

int64_t rate_wait_of(int64_t whole, int64_t thousandths, wall_ms now)
{
    if (whole > UNIX_MS_FROM) {
        return rate_wait_until(whole, now);
    }
    return rate_wait_until(thousandths, whole > UNIX_SECONDS_FROM ? now : 0);
}

/* A number alone, or the first of several: "100, 100;w=60" is what drafts up to -06 let a limit be. */
static bool read_number(struct slice text, int64_t *ret_whole, int64_t *ret_thousandths)
{
    int64_t whole, thousandths;
    rate_skip_space(&text);
    if (!rate_take_number(&text, &whole, &thousandths)) {
        return false;
    }
    rate_skip_space(&text);
    if (text.len && *text.ptr != ',' && *text.ptr != ';') {
        return false;
    }
    *ret_whole = whole;
    *ret_thousandths = thousandths;
    return true;
}

/* In ms from now; -1: it cannot be read. */
static int64_t read_time(struct slice text, wall_ms now, int64_t (*date)(struct slice text))
{
    int64_t whole, thousandths;
    if (read_number(text, &whole, &thousandths)) {
        return rate_wait_of(whole, thousandths, now);
    }
    int64_t seconds = date ? date(text) : -1;
    if (seconds < 0) {
        return -1;
    }
    return rate_wait_until(seconds < RATE_NUMBER_MAX ? seconds * 1000 : INT64_MAX, now);
}

static void tell_number(struct rate_fields *fields, const struct field *field,
                        struct slice text)
{
    int64_t whole, thousandths;
    if (!read_number(text, &whole, &thousandths)) {
        return;
    }
    switch (field->kind) {
    case FIELD_REMAINING:
        rate_tell(fields, field->quota, RATE_REMAINING, whole);
        break;
    case FIELD_LIMIT:
        rate_tell(fields, field->quota, RATE_LIMIT, whole);
        break;
    default:
        rate_tell(fields, field->quota, RATE_RESET, rate_wait_until(whole, 0));
    }
}

/* "api-usage=25/5000; per-app-api-usage=17/250(appName=x)": used of all. */
static void tell_salesforce(struct rate_fields *fields, enum quota_id id, struct slice text)
{
    static const char start[] = "api-usage=";
    int64_t used, all, ignored;
    rate_skip_space(&text);
    if (!starts(text, start)) {
        return;
    }
    text.ptr += sizeof start - 1;
    text.len -= sizeof start - 1;
    if (!rate_take_number(&text, &used, &ignored) || !rate_take_byte(&text, '/') ||
        !rate_take_number(&text, &all, &ignored)) {
        return;
    }
    rate_tell(fields, id, RATE_LIMIT, all);
    rate_tell(fields, id, RATE_REMAINING, all > used ? all - used : 0);
}

static void tell_retry(struct rate_fields *fields, int64_t wait)
{
    fields->retry_after_ms = wait > fields->retry_after_ms ? wait : fields->retry_after_ms;
}

static void tell_list(struct rate_fields *fields, enum quota_id id, struct slice text,
                      wall_ms now)
{
    const struct rate_fields before = *fields;
    if (!rate_read_list(fields, text, id, now)) {
        *fields = before;
    }
}

static const struct field *find(struct slice name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strlen(known[i].name) == name.len && starts(name, known[i].name)) {
            return &known[i];
        }
    }
    return NULL;
}

void rate_fields_take(struct rate_fields *fields, struct slice name, struct slice value,
                      wall_ms now, int64_t (*date)(struct slice text))
{
    const struct field *field = rate_fields_is_one(name) ? find(name) : NULL;
    int64_t whole, thousandths, wait;
    if (!field) {
        return;
    }
    switch (field->kind) {
    case FIELD_RETRY:
        tell_retry(fields, read_time(value, now, date));
        break;
    case FIELD_RETRY_MS:
        if (read_number(value, &whole, &thousandths)) {
            tell_retry(fields, rate_wait_until(whole, 0));
        }
        break;
    case FIELD_RESET:
        wait = read_time(value, now, date);
        if (wait >= 0) {
            rate_tell(fields, field->quota, RATE_RESET, wait);
        }
        break;
    case FIELD_LIST:
        tell_list(fields, field->quota, value, now);
        break;
    case FIELD_SALESFORCE:
        tell_salesforce(fields, field->quota, value);
        break;
    case FIELD_USAGE:
        rate_read_usage(fields, value, field->quota);
        break;
    default:
        tell_number(fields, field, value);
    }
    settle(fields);
}

int64_t rate_fields_hold(const struct rate_fields *fields, bool is_refused)
{
    if (is_refused && fields->retry_after_ms >= 0) {
        return fields->retry_after_ms;
    }
    bool is_used_up = fields->remaining == 0;
    if (fields->reset_ms > 0 && (is_used_up || (is_refused && fields->remaining < 0))) {
        return fields->reset_ms < RATE_WAIT_MAX_MS ? fields->reset_ms : RATE_WAIT_MAX_MS;
    }
    return is_refused ? -1 : 0;
}
