/* SPDX-License-Identifier: MIT */
/* test_rate_fields.c - the limits of servers, in every vendor's form, and in none. */
#include "resilience/rate_fields.h"

#include "chance.h"

#define NOW  INT64_C(1790000000000) /* 2026-09-21T13:33:20Z */
#define DATE "Mon, 21 Sep 2026 13:34:20 GMT"
#define NONE (-1)

/* In place of the reader of dates, which has tests of its own: knows one, a minute from now. */
static int64_t one_date(struct slice text)
{
    return slice_is(text, DATE) ? NOW / 1000 + 60 : -1;
}

struct told {
    int64_t retry_after, remaining, limit, reset;
};

static struct rate_fields read_fields(const char *const (*lines)[2], size_t count)
{
    struct rate_fields fields;
    rate_fields_init(&fields);
    for (size_t i = 0; i < count && lines[i][0]; i++) {
        size_t len = strlen(lines[i][1]);
        char *value = malloc(len + !len); /* exactly as long: reading past it is seen */
        assert_non_null(value);
        memcpy(value, lines[i][1], len);
        rate_fields_take(&fields, slice_of(lines[i][0]), (struct slice){value, len}, NOW,
                         one_date);
        free(value);
    }
    return fields;
}

static void expect(const char *label, const struct rate_fields *fields, struct told told)
{
    if (fields->retry_after_ms != told.retry_after || fields->remaining != told.remaining ||
        fields->limit != told.limit || fields->reset_ms != told.reset) {
        fail_msg("%s: retry_after %" PRId64 ", remaining %" PRId64 ", limit %" PRId64
                 ", reset %" PRId64,
                 label, fields->retry_after_ms, fields->remaining, fields->limit,
                 fields->reset_ms);
    }
}

#define LINES 6

struct example {
    const char *label;
    const char *lines[LINES][2];
    struct told told;
    int64_t hold, hold_refused;
    bool is_daily;
};

static void check(const struct example *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct example *example = &table[i];
        struct rate_fields fields = read_fields(example->lines, LINES);
        expect(example->label, &fields, example->told);
        int64_t hold = rate_fields_hold(&fields, false);
        int64_t hold_refused = rate_fields_hold(&fields, true);
        if (hold != example->hold || hold_refused != example->hold_refused ||
            fields.is_daily != example->is_daily) {
            fail_msg("%s: hold %" PRId64 ", refused %" PRId64 ", daily %d", example->label,
                     hold, hold_refused, fields.is_daily);
        }
    }
}

static void vendors(void **state)
{
    static const struct example table[] = {
        {"Calendly: seconds left",
         {{"X-RateLimit-Limit", "60"},
          {"X-RateLimit-Remaining", "0"},
          {"X-RateLimit-Reset", "42"}},
         {NONE, 0, 60, 42000},
         42000,
         42000,
         false},
        {"SendGrid: Unix seconds",
         {{"X-RateLimit-Limit", "500"},
          {"X-RateLimit-Remaining", "0"},
          {"X-RateLimit-Reset", "1790000030"}},
         {NONE, 0, 500, 30000},
         30000,
         30000,
         false},
        {"X: Unix seconds, hyphen",
         {{"x-rate-limit-limit", "900"},
          {"x-rate-limit-remaining", "899"},
          {"x-rate-limit-reset", "1790000900"}},
         {NONE, 899, 900, 900000},
         0,
         NONE,
         false},
        {"X: a day",
         {{"x-rate-limit-remaining", "10"},
          {"x-rate-limit-reset", "1790000900"},
          {"x-app-limit-24hour-limit", "100"},
          {"x-app-limit-24hour-remaining", "0"},
          {"x-app-limit-24hour-reset", "1790040000"}},
         {NONE, 0, 100, 40000000},
         40000000,
         40000000,
         true},
        {"in milliseconds",
         {{"X-RateLimit-Remaining", "0"}, {"X-RateLimit-Reset", "1790000005500"}},
         {NONE, 0, NONE, 5500},
         5500,
         5500,
         false},
        {"Pipedrive: two seconds",
         {{"x-ratelimit-limit", "80"},
          {"x-ratelimit-remaining", "79"},
          {"x-ratelimit-reset", "2"},
          {"x-daily-requests-left", "9000"}},
         {NONE, 79, 80, 2000},
         0,
         NONE,
         false},
        {"Pipedrive: the day",
         {{"x-daily-requests-left", "0"}, {"x-ratelimit-remaining", "79"}},
         {NONE, 0, NONE, NONE},
         0,
         NONE,
         true},
        {"HubSpot",
         {{"X-HubSpot-RateLimit-Interval-Milliseconds", "10000"},
          {"X-HubSpot-RateLimit-Max", "100"},
          {"X-HubSpot-RateLimit-Remaining", "0"},
          {"X-HubSpot-RateLimit-Daily", "250000"},
          {"X-HubSpot-RateLimit-Daily-Remaining", "249000"}},
         {NONE, 0, 100, 10000},
         10000,
         10000,
         false},
        {"HubSpot: the day",
         {{"X-HubSpot-RateLimit-Daily", "250000"},
          {"X-HubSpot-RateLimit-Daily-Remaining", "0"},
          {"X-HubSpot-RateLimit-Interval-Milliseconds", "10000"},
          {"X-HubSpot-RateLimit-Remaining", "99"}},
         {NONE, 0, 250000, NONE},
         0,
         NONE,
         true},
        {"HubSpot: the second",
         {{"X-HubSpot-RateLimit-Secondly", "10"},
          {"X-HubSpot-RateLimit-Secondly-Remaining", "0"}},
         {NONE, 0, 10, 1000},
         1000,
         1000,
         false},
        {"Salesforce",
         {{"Sforce-Limit-Info", "api-usage=18/5000"}},
         {NONE, 4982, 5000, NONE},
         0,
         NONE,
         false},
        {"Salesforce: used up",
         {{"Sforce-Limit-Info", "api-usage=5003/5000; per-app-api-usage=17/250(appName=a)"}},
         {NONE, 0, 5000, NONE},
         0,
         NONE,
         true},
        {"Zoho", {{"X-API-CREDITS-REMAINING", "125"}}, {NONE, 125, NONE, NONE}, 0, NONE, false},
        {"Zoho: used up",
         {{"X-API-CREDITS-REMAINING", "0"}},
         {NONE, 0, NONE, NONE},
         0,
         NONE,
         true},
        {"Slack", {{"Retry-After", "30"}}, {30000, NONE, NONE, NONE}, 0, 30000, false},
        {"Microsoft: a date",
         {{"Retry-After", DATE}},
         {60000, NONE, NONE, NONE},
         0,
         60000,
         false},
        {"Azure",
         {{"retry-after-ms", "1500"}, {"Retry-After", "1"}},
         {1500, NONE, NONE, NONE},
         0,
         1500,
         false},
        {"Pipedream: only a reset",
         {{"X-RateLimit-Reset", "1790000010"}},
         {NONE, NONE, NONE, 10000},
         0,
         10000,
         false},
        {"Retry-After goes before all",
         {{"Retry-After", "5"},
          {"RateLimit", "\"a\";r=0;t=60"},
          {"X-RateLimit-Remaining", "0"},
          {"X-RateLimit-Reset", "90"}},
         {5000, 0, NONE, 90000},
         90000,
         5000,
         false},
    };
    (void)state;
    check(table, sizeof table / sizeof *table);
}

static void meta(void **state)
{
    static const struct example table[] = {
        {"an app",
         {{"X-App-Usage", "{\"call_count\":28,\"total_time\":25,\"total_cputime\":31}"}},
         {NONE, 69, 100, NONE},
         0,
         NONE,
         false},
        {"nearly",
         {{"X-Page-Usage", "{\"call_count\":99.2}"}},
         {NONE, 0, 100, NONE},
         0,
         NONE,
         false},
        {"a business, throttled",
         {{"X-Business-Use-Case-Usage",
           "{\"112130216863063\":[{\"type\":\"pages\",\"call_count\":1,\"total_cputime\":1,"
           "\"total_time\":104,\"estimated_time_to_regain_access\":19}]}"}},
         {NONE, 0, 100, 1140000},
         1140000,
         1140000,
         false},
        {"no end of waiting",
         {{"X-Business-Use-Case-Usage",
           "{\"1\":[{\"call_count\":100,\"estimated_time_to_regain_access\":9e18}]}"}},
         {NONE, 0, 100, RATE_WAIT_MAX_MS},
         RATE_WAIT_MAX_MS,
         RATE_WAIT_MAX_MS,
         false},
        {"nothing used",
         {{"X-App-Usage", "{\"call_count\":0,\"estimated_time_to_regain_access\":0}"}},
         {NONE, 100, 100, NONE},
         0,
         NONE,
         false},
        {"names as values say nothing",
         {{"X-App-Usage", "{\"type\":\"call_count\",\"x\":\"call_count\"}"}},
         {NONE, NONE, NONE, NONE},
         0,
         NONE,
         false},
        {"broken",
         {{"X-App-Usage", "{\"call_count\":100"}},
         {NONE, NONE, NONE, NONE},
         0,
         NONE,
         false},
        {"no numbers",
         {{"X-App-Usage", "{\"call_count\":\"100\",\"total_time\":null,\"total_cputime\":-4}"}},
         {NONE, NONE, NONE, NONE},
         0,
         NONE,
         false},
        {"too deep",
         {{"X-App-Usage", "[[[[[[[[[[{\"call_count\":100}]]]]]]]]]]"}},
         {NONE, NONE, NONE, NONE},
         0,
         NONE,
         false},
    };
    (void)state;
    check(table, sizeof table / sizeof *table);
}

static void drafts(void **state)
{
    static const struct example table[] = {
        {"-10",
         {{"RateLimit", "\"default\";r=50;t=30"}},
         {NONE, 50, NONE, 30000},
         0,
         NONE,
         false},
        {"used up",
         {{"RateLimit", "\"default\";r=0;t=30"}},
         {NONE, 0, NONE, 30000},
         30000,
         30000,
         false},
        {"with its policy",
         {{"RateLimit-Policy", "\"burst\";q=100;w=60,\"daily\";q=1000;w=86400;qu=\"requests\""},
          {"RateLimit", "\"daily\";r=0;t=3600, \"burst\";r=7;t=12"}},
         {NONE, 0, 1000, 3600000},
         3600000,
         3600000,
         false},
        {"the least decides",
         {{"RateLimit", "\"a\";r=9;t=1,\"b\";r=2;t=2 , \"c\";r=3;t=3"}},
         {NONE, 2, NONE, 2000},
         0,
         NONE,
         false},
        {"of two used up the longer",
         {{"RateLimit", "\"a\";r=0;t=5"}, {"RateLimit", "\"b\";r=0;t=50"}},
         {NONE, 0, NONE, 50000},
         50000,
         50000,
         false},
        {"no time",
         {{"RateLimit", "\"a\";r=0"}, {"RateLimit-Policy", "\"a\";q=5;w=60"}},
         {NONE, 0, 5, NONE},
         0,
         NONE,
         false},
        {"tokens, and every kind of value",
         {{"RateLimit",
           "default;a;b=?1;c=:cGs=:;d=@-16;e=\"x\\\"\\\\\";f=-1.5;g=tok/en;h=%\"%c3\";"
           "r=3;t=4"}},
         {NONE, 3, NONE, 4000},
         0,
         NONE,
         false},
        {"-08 with spaces",
         {{"RateLimit", "\"100-in-15min\"; r=99; t=900"},
          {"RateLimit-Policy", "\"100-in-15min\"; q=100; w=900; pk=:MTI3OjE=:"}},
         {NONE, 99, 100, 900000},
         0,
         NONE,
         false},
        {"-07",
         {{"RateLimit", "limit=100, remaining=0, reset=50"}, {"RateLimit-Policy", "100;w=900"}},
         {NONE, 0, 100, 50000},
         50000,
         50000,
         false},
        {"-06",
         {{"RateLimit-Limit", "100, 100;w=60;comment=\"x\", 1000;w=3600"},
          {"RateLimit-Remaining", "0"},
          {"RateLimit-Reset", "50"}},
         {NONE, 0, 100, 50000},
         50000,
         50000,
         false},
        {"below zero says nothing",
         {{"RateLimit", "\"a\";r=-1;t=-5"}},
         {NONE, NONE, NONE, NONE},
         0,
         NONE,
         false},
        {"every byte that may be",
         {{"RateLimit", "zZaA09;k9_-.*z=1;r=5;s=\" ~!\";y=:zZ+/09==:, \" ~\";r=4, *;r=3;*=1"}},
         {NONE, 3, NONE, NONE},
         0,
         NONE,
         false},
        {"keys of others",
         {{"RateLimit", "\"a\";rr=0;T=5"}},
         {NONE, NONE, NONE, NONE},
         0,
         NONE,
         false},
        {"empty", {{"RateLimit", ""}}, {NONE, NONE, NONE, NONE}, 0, NONE, false},
    };
    (void)state;
    check(table, sizeof table / sizeof *table);
}

/* What breaks the grammar says nothing at all, not even what stands before it. */
static void broken_lists(void **state)
{
    static const char *const bad[] = {"\"a\";r=0;t=30,",
                                      "\"a\";r=0;t=30,,",
                                      ",\"a\";r=0;t=30",
                                      "\"a\";r=0;t=30 \"b\"",
                                      "\"a\";r=0;t=30;",
                                      "\"a\";r=0;t=30;=",
                                      "\"a\";r=0;t=30;x=",
                                      "\"a\";r=0;t=30;x=\"",
                                      "\"a\";r=0;t=30;x=\"\\",
                                      "\"a\";r=0;t=30;x=\"\\a\"",
                                      "\"a\";r=0;t=30;x=\"\xc3\xa4\"",
                                      "\"a\";r=0;t=30;x=\"\x01\"",
                                      "\"a\";r=0;t=30;x=:a",
                                      "\"a\";r=0;t=30;x=:a\xff:",
                                      "\"a\";r=0;t=30;x=?2",
                                      "\"a\";r=0;t=30;x=@",
                                      "\"a\";r=0;t=30;x=-",
                                      "\"a\";r=0;t=30;x=1.",
                                      "\"a\";r=0;t=30;x=%",
                                      "\"a\";r=0;t=30;x=%a",
                                      "\"a\";r=0;t=30;x=(1 2)",
                                      "\"a\";r=0;t=30, (\"b\")",
                                      "\"a\";r=0;t=30, \"b",
                                      "\"a\";r=0;t=30\xc2\xa0",
                                      "\"a\";r=0;t=30, limit=",
                                      "\xef\xbb\xbf\"a\";r=0;t=30",
                                      "\"a\";r=0;t=30\t;",
                                      "\"a\"r=0;t=30",
                                      "\"a;r=0;t=30"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *const before[][2] = {{"RateLimit", "\"z\";r=8;t=9"}, {"RateLimit", bad[i]}};
        struct rate_fields fields = read_fields(before, 2);
        expect(bad[i], &fields, (struct told){NONE, 8, NONE, 9000});
        assert_int_equal(fields.quota_count, 1);
        fields = read_fields(before + 1, 1);
        expect(bad[i], &fields, (struct told){NONE, NONE, NONE, NONE});
    }
}

/* Fields that hold one number. */
static void numbers(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds, count; /* as a Retry-After in ms, and as what remains; -1: not said */
    } table[] = {
        {"0", 0, 0},
        {"5", 5000, 5},
        {"007", 7000, 7},
        {"  5\t", 5000, 5},
        {"5, 9", 5000, 5},
        {"5;w=1", 5000, 5},
        {"1.5", 1500, 1},
        {"0.0004", 1, 0}, /* rounded up: never too early */
        {"0.0000", 0, 0},
        {"86400", 86400000, 86400},
        {"86401", RATE_WAIT_MAX_MS, 86401},
        {"1000000000", RATE_WAIT_MAX_MS, 1000000000}, /* still seconds left */
        {"1000000001", 0, 1000000001},                /* 2001 */
        {"1790000060", 60000, 1790000060},
        {"1790000060.25", 60250, 1790000060},
        {"1790000060250", 60250, 1790000060250},
        {"1000000000000", RATE_WAIT_MAX_MS, 1000000000000}, /* the year 33658 in seconds */
        {"9999999999", RATE_WAIT_MAX_MS, 9999999999},
        {"999999999999999999", RATE_WAIT_MAX_MS, INT64_C(1000000000000000)},
        {"18446744073709551617", RATE_WAIT_MAX_MS, INT64_C(1000000000000000)},
        {"", NONE, NONE},
        {" ", NONE, NONE},
        {"-1", NONE, NONE},
        {"+1", NONE, NONE},
        {".5", NONE, NONE},
        {"5.", NONE, NONE},
        {"5 6", NONE, NONE},
        {"5s", NONE, NONE},
        {"0x10", NONE, NONE},
        {"1e3", NONE, NONE},
        {"\"5\"", NONE, NONE},
        {"\xd9\xa5", NONE, NONE}, /* ARABIC-INDIC DIGIT FIVE */
        {"5\xc2\xa0", NONE, NONE},
        {"inf", NONE, NONE},
        {"Mon, 21 Sep 2026", NONE, NONE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *const retry[][2] = {{"retry-after", table[i].text}};
        const char *const reset[][2] = {{"x-ratelimit-reset", table[i].text}};
        const char *const left[][2] = {{"x-ratelimit-remaining", table[i].text}};
        struct rate_fields fields = read_fields(retry, 1);
        expect(table[i].text, &fields, (struct told){table[i].seconds, NONE, NONE, NONE});
        fields = read_fields(reset, 1);
        expect(table[i].text, &fields, (struct told){NONE, NONE, NONE, table[i].seconds});
        fields = read_fields(left, 1);
        expect(table[i].text, &fields, (struct told){NONE, table[i].count, NONE, NONE});
    }
}

static void other_hostile_values(void **state)
{
    static const struct example table[] = {
        {"Salesforce without a limit",
         {{"Sforce-Limit-Info", "api-usage=5"}},
         {-1, -1, -1, -1},
         0,
         -1,
         false},
        {"Salesforce below zero",
         {{"Sforce-Limit-Info", "api-usage=-5/10"}},
         {-1, -1, -1, -1},
         0,
         -1,
         false},
        {"Salesforce cut",
         {{"Sforce-Limit-Info", "api-usage="}},
         {-1, -1, -1, -1},
         0,
         -1,
         false},
        {"Salesforce, another",
         {{"Sforce-Limit-Info", "per-app-api-usage=17/17"}},
         {-1, -1, -1, -1},
         0,
         -1,
         false},
        {"a reset that is past",
         {{"X-RateLimit-Remaining", "0"}, {"X-RateLimit-Reset", "1700000000"}},
         {-1, 0, -1, 0},
         0,
         -1,
         false},
        {"told twice: the smaller",
         {{"X-RateLimit-Remaining", "7"},
          {"X-RateLimit-Remaining", "0"},
          {"X-RateLimit-Reset", "50"},
          {"X-RateLimit-Reset", "5"}},
         {-1, 0, -1, 5000},
         5000,
         5000,
         false},
        {"Retry-After twice: the longer",
         {{"Retry-After", "7"}, {"Retry-After", "70"}, {"Retry-After", "x"}},
         {70000, -1, -1, -1},
         0,
         70000,
         false},
        {"two kinds are not mixed",
         {{"RateLimit", "\"second\";r=0;t=1"},
          {"X-RateLimit-Remaining", "50"},
          {"X-RateLimit-Reset", "80000"}},
         {-1, 0, -1, 1000},
         1000,
         1000,
         false},
        {"others",
         {{"X-Request-Id", "0"},
          {"Date", "0"},
          {"X-RateLimit", "0"},
          {"", "0"},
          {"Retry-Afterwards", "9"}},
         {-1, -1, -1, -1},
         0,
         -1,
         false},
    };
    (void)state;
    check(table, sizeof table / sizeof *table);
}

static void more_quotas_than_are_kept(void **state)
{
    const char *const lines[][2] = {
        {"RateLimit", "a;r=20,b;r=19,c;r=18,d;r=17,e;r=16,f;r=15,g;r=14,h;r=13;t=1,i;r=0;t=9"},
        {"RateLimit", "h;r=2"}};
    struct rate_fields fields = read_fields(lines, 2);
    (void)state;
    assert_int_equal(fields.quota_count, RATE_QUOTAS);
    expect("eight", &fields, (struct told){NONE, 2, NONE, 1000});
}

/* As long as one is read, with accounts enough; a byte more is not read. */
static void much_usage(void **state)
{
    char text[8193];
    struct rate_fields fields;
    size_t len = 0;
    (void)state;
    text[len++] = '[';
    while (len < 8100) {
        memcpy(text + len, "[{\"call_count\":7}],", 19);
        len += 19;
    }
    memcpy(text + len, "{\"total_time\":9}]", 17);
    memset(text + len + 17, ' ', sizeof text - len - 17);
    rate_fields_init(&fields);
    rate_fields_take(&fields, SLICE("X-App-Usage"), (struct slice){text, 8193}, NOW, NULL);
    assert_int_equal(fields.remaining, -1);
    rate_fields_take(&fields, SLICE("X-App-Usage"), (struct slice){text, 8192}, NOW, NULL);
    assert_int_equal(fields.remaining, 91);
}

static void a_long_value(void **state)
{
    static char text[70000];
    struct rate_fields fields;
    (void)state;
    for (char c = ' '; c < 0x7f; c++) {
        static const char *const names[] = {"RateLimit", "X-App-Usage", "Retry-After",
                                            "Sforce-Limit-Info", "X-RateLimit-Remaining"};
        memset(text, c, sizeof text);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            rate_fields_init(&fields);
            rate_fields_take(&fields, slice_of(names[i]), (struct slice){text, sizeof text},
                             NOW, one_date);
            assert_true(rate_fields_hold(&fields, true) <= RATE_WAIT_MAX_MS);
        }
    }
}

static void names_are_told_apart_cheaply(void **state)
{
    static const char *const usual[] = {"Date",
                                        "Content-Type",
                                        "Content-Length",
                                        "Server",
                                        "Set-Cookie",
                                        "X-Request-Id",
                                        "X-Frame-Options",
                                        "X-Content-Type-Options",
                                        "X-Powered-By",
                                        "X-XSS-Protection",
                                        "Vary",
                                        "Mcp-Session-Id",
                                        "Referrer-Policy",
                                        "Report-To",
                                        "Strict-Transport-Security",
                                        "x",
                                        "X-",
                                        "r",
                                        "s",
                                        ""};
    static const char *const ours[] = {"Retry-After",       "RATELIMIT",
                                       "ratelimit-policy",  "x-RateLimit-Reset",
                                       "SFORCE-LIMIT-INFO", "X-API-Credits-Remaining",
                                       "X-Page-Usage"};
    (void)state;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        assert_false(rate_fields_is_one(slice_of(usual[i])));
    }
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        assert_true(rate_fields_is_one(slice_of(ours[i])));
    }
    assert_false(rate_fields_is_one((struct slice){NULL, 0}));
}

static void no_reader_of_dates(void **state)
{
    struct rate_fields fields;
    (void)state;
    rate_fields_init(&fields);
    rate_fields_take(&fields, SLICE("retry-after"), SLICE(DATE), NOW, NULL);
    assert_int_equal(fields.retry_after_ms, -1);
    rate_fields_take(&fields, SLICE("retry-after"), SLICE("3"), NOW, NULL);
    assert_int_equal(fields.retry_after_ms, 3000);
}

/* Fields set by hand, as those who fake a server do: hold asks for no quota. */
static void hold_needs_only_what_is_told(void **state)
{
    struct rate_fields fields;
    (void)state;
    rate_fields_init(&fields);
    assert_int_equal(rate_fields_hold(&fields, false), 0);
    assert_int_equal(rate_fields_hold(&fields, true), -1);
    fields.remaining = 0;
    fields.reset_ms = INT64_MAX;
    assert_int_equal(rate_fields_hold(&fields, false), RATE_WAIT_MAX_MS);
    fields.remaining = 1;
    assert_int_equal(rate_fields_hold(&fields, false), 0);
    assert_int_equal(rate_fields_hold(&fields, true), -1);
    fields.retry_after_ms = 0;
    assert_int_equal(rate_fields_hold(&fields, true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vendors),
        cmocka_unit_test(meta),
        cmocka_unit_test(drafts),
        cmocka_unit_test(broken_lists),
        cmocka_unit_test(numbers),
        cmocka_unit_test(other_hostile_values),
        cmocka_unit_test(more_quotas_than_are_kept),
        cmocka_unit_test(much_usage),
        cmocka_unit_test(a_long_value),
        cmocka_unit_test(names_are_told_apart_cheaply),
        cmocka_unit_test(no_reader_of_dates),
        cmocka_unit_test(hold_needs_only_what_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
