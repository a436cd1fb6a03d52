/* SPDX-License-Identifier: MIT */
/* test_template.c - values with ${...}: what they become, and what they can never become. */
#include "conf/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct slice user, agent;

/* The expanded value, or "! " and the error of parsing or expanding. */
static const char *becomes(const char *source, enum template_place place)
{
    static char text[1024];
    struct arena arena;
    struct template template;
    struct err err = {0};
    struct buf out;
    arena_init(&arena, 65536);
    buf_init(&out, 512);
    buf_put_text(&out, "kept");
    int result = template_parse(slice_of(source), place, &arena, &template, &err);
    if (result == 0) {
        assert_true(slice_is(template.source, source));
        result = template_expand(&template, user, agent, &out, &err);
    }
    if (result != 0) {
        assert_int_equal(out.len, 4);
        (void)snprintf(text, sizeof text, "! %s", err.text);
    } else {
        (void)snprintf(text, sizeof text, "%s", buf_text(&out) + 4);
    }
    buf_done(&out);
    arena_done(&arena);
    return text;
}

static int set_up(void **state)
{
    (void)state;
    user = SLICE("ana");
    agent = SLICE("coordinator");
    (void)unsetenv("TB_UNSET");
    (void)setenv("TB_EMPTY", "", 1);
    return setenv("TB_SET", "value", 1);
}

#define in_header(source) becomes(source, TEMPLATE_IN_HEADER)
#define in_env(source)    becomes(source, TEMPLATE_IN_ENV)
#define in_url(source)    becomes(source, TEMPLATE_IN_URL)

static void pieces_are_filled_in(void **state)
{
    (void)state;
    assert_string_equal(in_header(""), "");
    assert_string_equal(in_header("plain $ {} $x"), "plain $ {} $x");
    assert_string_equal(in_header("${user}"), "ana");
    assert_string_equal(in_header("a${user}b${agent}c${env:TB_SET}${env:TB_EMPTY}d"),
                        "aanabcoordinatorcvalued");
    assert_string_equal(in_header("$${user}"), "${user}");
    assert_string_equal(in_header("x$${user}${user}$${"), "x${user}ana${");
    assert_string_equal(in_header("$$ $$x"), "$$ $$x");
}

static void others_are_refused(void **state)
{
    (void)state;
    assert_non_null(strstr(in_header("${"), "not closed"));
    assert_non_null(strstr(in_header("${user"), "not closed"));
    assert_non_null(strstr(in_header("${}"), "unknown ${}"));
    assert_non_null(strstr(in_header("${User}"), "did you mean ${env:User}"));
    assert_non_null(strstr(in_header("${TOKEN}"), "did you mean ${env:TOKEN}"));
    assert_non_null(strstr(in_header("${env:}"), "needs the name"));
    assert_non_null(strstr(in_header("${env:1A}"), "needs the name"));
    assert_non_null(strstr(in_header("${env:A B}"), "needs the name"));
    assert_non_null(strstr(in_header("${secret:x}"), "no store of secrets"));
    assert_non_null(strstr(in_header("${env:TB_UNSET}"), "TB_UNSET is not set"));
}

static void identities_stay_data_in_urls(void **state)
{
    (void)state;
    assert_string_equal(in_url("https://h/${user}"), "https://h/ana");
    user = SLICE("../a?b#c%/@\r\n\xc3\xb1");
    assert_string_equal(in_url("https://h/${user}/x"),
                        "https://h/..%2Fa%3Fb%23c%25%2F%40%0D%0A%C3%B1/x");
    assert_string_equal(in_url("https://h/?u=${user}"),
                        "https://h/?u=..%2Fa%3Fb%23c%25%2F%40%0D%0A%C3%B1");
    user = SLICE("..");
    assert_non_null(strstr(in_url("https://h/${user}/x"), "! ${user} is \"..\""));
    user = SLICE(".");
    assert_non_null(strstr(in_url("https://h/${user}/x"), "! "));
    user = SLICE("");
    assert_non_null(strstr(in_url("https://h/${user}/x"), "! "));
    user = SLICE("evil.example");
    assert_non_null(strstr(in_url("https://${user}/x"), "path and query only"));
    assert_non_null(strstr(in_url("https://h.${user}"), "path and query only"));
    assert_non_null(strstr(in_url("https://h:${user}/"), "! "));
    user = SLICE("a@evil");
    assert_non_null(strstr(in_url("https://h${user}/"), "! "));
}

static void urls_from_the_environment_are_checked(void **state)
{
    (void)state;
    assert_int_equal(setenv("TB_URL", "https://h:1/base", 1), 0);
    assert_string_equal(in_url("${env:TB_URL}/${user}"), "https://h:1/base/ana");
    assert_int_equal(setenv("TB_URL", "http://h/", 1), 0);
    assert_non_null(strstr(in_url("${env:TB_URL}"), "plain http"));
    assert_string_equal(becomes("${env:TB_URL}", TEMPLATE_IN_PLAIN_URL), "http://h/");
    assert_int_equal(setenv("TB_URL", "https://h", 1), 0);
    assert_non_null(strstr(in_url("${env:TB_URL}${user}"), "path and query only"));
}

static void control_characters(void **state)
{
    (void)state;
    user = SLICE("a\r\nx: y");
    assert_non_null(strstr(in_header("${user}"), "control character (byte 0x0d)"));
    assert_string_equal(in_env("${user}"), "a\r\nx: y");
    user = SLICE("a\0b");
    assert_non_null(strstr(in_header("${user}"), "byte 0x00"));
    assert_non_null(strstr(in_env("${user}"), "byte 0x00"));
    user = SLICE("a\tb\xc3\xb1");
    assert_string_equal(in_header("${user}"), "a\tb\xc3\xb1");
    user = SLICE("\x7f");
    assert_non_null(strstr(in_header("${user}"), "byte 0x7f"));
}

static void what_is_too_long(void **state)
{
    (void)state;
    static char bytes[600];
    memset(bytes, 'x', sizeof bytes);
    user = (struct slice){bytes, sizeof bytes};
    assert_non_null(strstr(in_header("${user}"), "too long"));
}

static void questions(void **state)
{
    (void)state;
    struct arena arena;
    struct template template;
    arena_init(&arena, 65536);
    assert_int_equal(template_parse(SLICE("${user}${env:TB_EMPTY}"), TEMPLATE_IN_HEADER, &arena,
                                    &template, NULL),
                     0);
    assert_true(template_has_user(&template));
    assert_false(template_has_agent(&template));
    assert_false(template_has_text(&template));
    assert_true(slice_is(template_missing_env(&template), "TB_EMPTY"));
    assert_int_equal(template_parse(SLICE("x${agent}${env:TB_SET}"), TEMPLATE_IN_HEADER, &arena,
                                    &template, NULL),
                     0);
    assert_false(template_has_user(&template));
    assert_true(template_has_agent(&template));
    assert_true(template_has_text(&template));
    assert_null(template_missing_env(&template).ptr);
    arena_done(&arena);
}

#define test(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(pieces_are_filled_in),
        test(others_are_refused),
        test(identities_stay_data_in_urls),
        test(urls_from_the_environment_are_checked),
        test(control_characters),
        test(what_is_too_long),
        test(questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
