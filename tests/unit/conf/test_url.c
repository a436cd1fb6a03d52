/* SPDX-License-Identifier: MIT */
/* test_url.c - which URLs of services are taken, and which are refused for what. */
#include "conf/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void good_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        size_t path;
    } rows[] = {
        {"https://example.com", 19},
        {"https://example.com/", 19},
        {"https://EXAMPLE.com:8443/a/b?c=d&e=%20f", 24},
        {"https://a_b.x-y.de?x", 18},
        {"https://[2001:db8::1]:1/x", 23},
        {"https://192.0.2.1/", 17},
        {"http://localhost:3000/mcp", 21},
        {"http://LocalHost/", 16},
        {"http://127.0.0.1/", 16},
        {"http://127.9.8.7:65535/", 22},
        {"http://[::1]:80/", 15},
        {"https://example.com/(a),;b='c'!*@:~", 19},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t path = 0;
        struct err err = {0};
        if (url_check(slice_of(rows[i].url), false, &path, &err) != 0) {
            fail_msg("%s: %s", rows[i].url, err.text);
        }
        assert_int_equal(path, rows[i].path);
    }
}

static void refused_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url, *why;
    } rows[] = {
        {"", "does not begin"},
        {"example.com", "does not begin"},
        {"HTTPS://example.com/", "does not begin"},
        {"file:///etc/passwd", "does not begin"},
        {"https://", "names no host"},
        {"https:///x", "names no host"},
        {"https://?x", "names no host"},
        {"https://user@example.com/", "user name"},
        {"https://user:pass@example.com/", "user name"},
        {"https://example.com\\@evil.com/", "percent-encoded"},
        {"https://example.com/#x", "fragment"},
        {"https://example.com#x", "fragment"},
        {"https://example.com/a b", "percent-encoded"},
        {"https://example.com/%2", "percent-encoded"},
        {"https://example.com/%zz", "percent-encoded"},
        {"https://example.com/\xc3\xa9", "percent-encoded"},
        {"https://example.com/[x]", "percent-encoded"},
        {"https://example.com/\r\nx: y", "percent-encoded"},
        {"https://exa mple.com/", "neither a DNS name"},
        {"https://exam%70le.com/", "neither a DNS name"},
        {"https://example..com/", "neither a DNS name"},
        {"https://example.com./", "neither a DNS name"},
        {"https://-a.com/", "neither a DNS name"},
        {"https://127.1/", "neither a DNS name"},
        {"https://0x7f.0.0.1/", "neither a DNS name"},
        {"https://127.0.0.0x1/", "neither a DNS name"},
        {"https://2130706433/", "neither a DNS name"},
        {"https://0177.0.0.1/", "neither a DNS name"},
        {"https://:80/", "neither a DNS name"},
        {"https://[::1/", "IPv6"},
        {"https://[]/", "IPv6"},
        {"https://[/", "IPv6"},
        {"https://[::1%25eth0]/", "IPv6"},
        {"https://[::1]x/", "host is malformed"},
        {"https://example.com:/", "port"},
        {"https://example.com:0/", "port"},
        {"https://example.com:65536/", "port"},
        {"https://example.com:123456789/", "port"},
        {"https://example.com:8o/", "port"},
        {"http://example.com/", "plain http"},
        {"http://localhost.example.com/", "plain http"},
        {"http://128.0.0.1/", "plain http"},
        {"http://[::2]/", "plain http"},
        {"http://[::ffff:127.0.0.1]/", "plain http"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t path = 0;
        struct err err = {0};
        if (url_check(slice_of(rows[i].url), false, &path, &err) != -ERR_VALIDATION_ERROR ||
            !strstr(err.text, rows[i].why)) {
            fail_msg("%s: \"%s\"", rows[i].url, err.text);
        }
    }
}

static void plain_http_where_it_is_allowed(void **state)
{
    (void)state;
    size_t path = 0;
    assert_int_equal(url_check(SLICE("http://example.com/"), true, &path, NULL), 0);
    assert_int_equal(path, 18);
}

static void a_nul_and_a_very_long_one(void **state)
{
    (void)state;
    size_t path = 0;
    static char longer[URL_BYTES + 2];
    memset(longer, 'a', sizeof longer);
    memcpy(longer, "https://h/", 10);
    assert_int_equal(url_check((struct slice){longer, URL_BYTES}, false, &path, NULL), 0);
    assert_int_not_equal(url_check((struct slice){longer, URL_BYTES + 1}, false, &path, NULL),
                         0);
    assert_int_not_equal(url_check(SLICE("https://h/\0x"), false, &path, NULL), 0);
    assert_int_not_equal(url_check(SLICE("https://h\0x/"), false, &path, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls),
        cmocka_unit_test(refused_urls),
        cmocka_unit_test(plain_http_where_it_is_allowed),
        cmocka_unit_test(a_nul_and_a_very_long_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
