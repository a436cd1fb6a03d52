/* SPDX-License-Identifier: MIT */
/* test_http_url.c - URLs that a server names, resolved, and whether they stay on its origin. */
#include "http_fixture.h"

static struct http_target *target_of(struct fixture *fixture, const char *url)
{
    struct http_target *target = NULL;
    const struct http_target_options options = {.url = slice_of(url)};
    assert_int_equal(http_target_new(fixture->http, &options, &target, NULL), 0);
    return target;
}

static void test_resolve(void **state)
{
    static const struct {
        const char *base, *url, *whole; /* NULL: another origin */
    } cases[] = {
        {"http://a.test/x/sse?key=1", "y", "http://a.test/x/y"},
        {"http://a.test/x/sse?key=1", "?s=2", "http://a.test/x/sse?s=2"},
        {"http://a.test/x/sse", "/y?s=2#f", "http://a.test/y?s=2"},
        {"http://a.test/x/sse", "http://A.test:80/y", "http://A.test:80/y"},
        {"http://a.test:80/x", "//a.test/y", "http://a.test/y"},
        {"https://a.test/x", "https://a.test:443/y", "https://a.test:443/y"},
        {"http://[::1]:8/x", "http://[::1]:8/y", "http://[::1]:8/y"},
        {"http://u:p@a.test/x", "/y", "http://u:p@a.test/y"},
        {"http://u:p@a.test/x", "http://v:q@a.test/y", "http://u:p@a.test/y"},
        {"http://u%40:p%2F@a.test/x", "http://a.test/y", "http://u%40:p%2f@a.test/y"},
        {"http://a.test/x", "http://v:q@a.test/y", "http://a.test/y"},
        {"http://a.test/x", "http://b.test/y", NULL},
        {"http://a.test/x", "https://a.test/y", NULL},
        {"https://a.test/x", "http://a.test/y", NULL},
        {"http://a.test/x", "http://a.test:81/y", NULL},
        {"http://a.test/x", "https://a.test:80/y", NULL},
        {"http://a.test/x", "//b.test/y", NULL},
        {"http://a.test/x", "http://a.test.b.test/y", NULL},
        {"http://a.test/x", "http://a.test@b.test/y", NULL},
        {"http://a.test/x", "http:///b.test/y", NULL},
        {"http://127.0.0.1/x", "http://localhost/y", NULL},
    };
    struct fixture *fixture = *state;
    struct buf whole;
    buf_init(&whole, 1000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_target *target = target_of(fixture, cases[i].base);
        bool is_same = cases[i].whole == NULL;
        buf_clear(&whole);
        assert_int_equal(http_resolve(&whole, target, slice_of(cases[i].url), &is_same, NULL),
                         0);
        assert_int_equal(is_same, cases[i].whole != NULL);
        assert_string_equal(buf_text(&whole), cases[i].whole ? cases[i].whole : "");
        http_target_free(target);
    }
    buf_done(&whole);
}

static void test_what_is_no_url(void **state)
{
    static const char *const urls[] = {"",           "http://",  "http://a.test:70000/",
                                       "mailto:x",   "/\x01",    "http://a.test/\r\nX: 1",
                                       "http://[::", "file:///x"};
    struct fixture *fixture = *state;
    struct http_target *target = target_of(fixture, "http://a.test/x");
    char large[9000];
    struct buf whole;
    struct err err;
    bool is_same = true;
    buf_init(&whole, 1000);
    memset(large, 'x', sizeof large);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        int result = http_resolve(&whole, target, slice_of(urls[i]), &is_same, &err);
        assert_true(result == -ERR_VALIDATION_ERROR || !is_same);
        assert_int_equal(whole.len, 0);
    }
    assert_int_equal(
        http_resolve(&whole, target, (struct slice){large, sizeof large}, &is_same, &err),
        -ERR_VALIDATION_ERROR);
    assert_int_equal(http_resolve(&whole, target, (struct slice){"/a\0b", 4}, &is_same, &err),
                     -ERR_VALIDATION_ERROR);
    assert_int_equal(whole.len, 0);
    buf_done(&whole);
    http_target_free(target);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_resolve),
        TEST(test_what_is_no_url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
