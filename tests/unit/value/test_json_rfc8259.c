/* SPDX-License-Identifier: MIT */
/* test_json_rfc8259.c - JSON text as RFC 8259 has it, case by case: what is read, and what it is when
 * it is written again; what is refused; and text that breaks off at any byte.
 *
 * Where RFC 8259 leaves a choice: numbers of any size are taken and survive digit for digit; escapes of
 * lone surrogates, bytes that are not UTF-8 and a byte order mark are refused; so are names that an
 * object has twice (it only says that they should differ); values nest up to JSON_DEPTH_MAX. */
#include "json_rfc8259_cases.h"
#include "value_test.h"

static struct buf read_json(struct slice json, int *ret_result)
{
    struct buf pack;
    struct err err = {.code = ERR_NONE};
    buf_init(&pack, TEST_BYTES_MAX);
    *ret_result = json_to_pack(json, JSON_DEPTH_MAX, &pack, &err);
    assert_int_equal(*ret_result, -(int)err.code);
    if (*ret_result != 0) {
        assert_int_equal(pack.len, 0); /* nothing is left of what was begun */
        assert_true(err.text[0]);
    }
    return pack;
}

static void assert_again(struct slice json, struct slice again)
{
    int result;
    struct buf pack = read_json(json, &result);
    struct buf text;
    buf_init(&text, TEST_BYTES_MAX);
    if (result != 0) {
        fail_msg("refused: %.*s", SLICE_ARG(json));
    }
    assert_int_equal(json_from_pack(buf_slice(&pack), "value", &text, NULL), 0);
    if (!slice_equal(buf_slice(&text), again)) {
        fail_msg("%.*s became %s", SLICE_ARG(json), buf_text(&text));
    }
    buf_done(&pack);
    buf_done(&text);
}

static bool is_refused(struct slice json)
{
    int result;
    struct buf pack = read_json(json, &result);
    buf_done(&pack);
    return result != 0;
}

static void assert_refused(struct slice json)
{
    if (!is_refused(json)) {
        fail_msg("taken: %.*s", SLICE_ARG(json));
    }
}

static void valid_text_is_read_and_written_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) {
        assert_again(valid[i].json, valid[i].again ? slice_of(valid[i].again) : valid[i].json);
    }
}

static void invalid_text_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        assert_refused(invalid[i]);
    }
}

/* In whatever else it stands, and however the bytes lie in memory. */
static struct buf wrapped(const char *before, struct slice inside, const char *after)
{
    struct buf text;
    buf_init(&text, TEST_BYTES_MAX);
    buf_put_text(&text, before);
    buf_put_slice(&text, inside);
    buf_put_text(&text, after);
    return text;
}

static const char *const places[][2] = {{"[", "]"},
                                        {"{\"a\":", "}"},
                                        {"[1,\"abcdefghijklmnopqrstuvwxyz0123456789\",", ",2]"},
                                        {" \n\t[[[", "]]] "}};

static void text_is_judged_the_same_inside_of_other_text(void **state)
{
    (void)state;
    for (size_t place = 0; place < sizeof places / sizeof *places; place++) {
        for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) {
            struct buf text = wrapped(places[place][0], valid[i].json, places[place][1]);
            if (is_refused(buf_slice(&text))) {
                fail_msg("refused: %s", buf_text(&text));
            }
            buf_done(&text);
        }
    }
}

/* ---- numbers ----------------------------------------------------------------------------- */

/* What a number is, from its text: sign, digits without zeros at the ends, exponent. */
struct number {
    bool is_negative;
    char digits[128];
    size_t count;
    char power[128]; /* the exponent's text as it stands, where it is too long to add up */
    long long exponent;
};

static struct number number_of(const char *text)
{
    struct number number = {.is_negative = text[0] == '-'};
    long long behind = 0;
    bool is_behind = false;
    size_t zeros = 0;
    for (text += number.is_negative; *text && *text != 'e' && *text != 'E'; text++) {
        if (*text == '.') {
            is_behind = true;
            continue;
        }
        behind += is_behind;
        zeros = *text == '0' ? zeros + 1 : 0;
        if (*text != '0' || number.count) {
            assert_true(number.count < sizeof number.digits);
            number.digits[number.count++] = *text;
        }
    }
    zeros = zeros < number.count ? zeros : number.count;
    number.count -= zeros;
    if (*text && strlen(text) < 15) {
        number.exponent = strtoll(text + 1, NULL, 10);
    } else if (*text) {
        (void)snprintf(number.power, sizeof number.power, "%s", text + 1);
    }
    number.exponent = number.count ? number.exponent - behind + (long long)zeros : 0;
    return number;
}

static void numbers_survive(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const char *again = numbers[i].again ? numbers[i].again : numbers[i].json;
        assert_again(slice_of(numbers[i].json), slice_of(again));
        assert_again(slice_of(again), slice_of(again)); /* and stays so */
        struct number was = number_of(numbers[i].json);
        struct number is = number_of(again);
        assert_int_equal(was.is_negative, is.is_negative);
        assert_int_equal(was.count, is.count);
        assert_memory_equal(was.digits, is.digits, was.count);
        assert_int_equal(was.exponent, is.exponent);
        assert_string_equal(was.power, is.power);
    }
}

static void numbers_of_any_length_survive(void **state)
{
    struct random random = {0x5eed};
    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        struct buf json;
        buf_init(&json, TEST_BYTES_MAX);
        buf_put_text(&json, round % 2 ? "-" : "");
        buf_put_byte(&json, (uint8_t)('1' + random_below(&random, 9)));
        for (unsigned left = 20 + random_below(&random, 300); left; left--) {
            buf_put_byte(&json, (uint8_t)('0' + random_below(&random, 10)));
        }
        if (random_below(&random, 2)) {
            buf_put_text(&json, ".");
            for (unsigned left = 1 + random_below(&random, 40); left; left--) {
                buf_put_byte(&json, (uint8_t)('0' + random_below(&random, 10)));
            }
        }
        buf_put_byte(&json, '7'); /* no zeros at the end, which a double would do without */
        if (random_below(&random, 2)) {
            buf_printf(&json, "e%u", (unsigned)(400 + random_below(&random, 100000)));
        }
        assert_again(buf_slice(&json), buf_slice(&json));
        buf_done(&json);
    }
}

/* ---- UTF-8 ------------------------------------------------------------------------------- */

static void strings_are_utf_8(void **state)
{
    (void)state;
    /* At every distance from the beginning, as vectors of bytes are read at once. */
    for (size_t before = 0; before < 70; before++) {
        char filler[80] = "\"";
        memset(filler + 1, 'a', before);
        filler[before + 1] = '\0';
        for (size_t i = 0; i < sizeof utf8 / sizeof *utf8; i++) {
            struct buf text = wrapped(filler, utf8[i], "\"");
            assert_again(buf_slice(&text), buf_slice(&text));
            buf_done(&text);
        }
        for (size_t i = 0; i < sizeof no_utf8 / sizeof *no_utf8; i++) {
            struct buf text = wrapped(filler, no_utf8[i], "\"");
            assert_refused(buf_slice(&text));
            buf_done(&text);
            text = wrapped(filler, no_utf8[i], " and some more text behind it, and more\"");
            assert_refused(buf_slice(&text));
            buf_done(&text);
        }
    }
    for (size_t i = 0; i < sizeof no_utf8 / sizeof *no_utf8; i++) {
        struct buf text = wrapped("{\"", no_utf8[i], "\":1}");
        assert_refused(buf_slice(&text));
        buf_done(&text);
    }
}

static void every_code_point_has_one_form(void **state)
{
    (void)state;
    for (uint32_t code = 0x20; code <= 0x10ffff; code += code < 0x3000 ? 1 : 61) {
        char escape[32];
        bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
        if (code < 0x10000) {
            (void)snprintf(escape, sizeof escape, "\"\\u%04x\"", (unsigned)code);
        } else {
            (void)snprintf(escape, sizeof escape, "\"\\u%04X\\u%04x\"",
                           (unsigned)(0xd800 + ((code - 0x10000) >> 10)),
                           (unsigned)(0xdc00 + ((code - 0x10000) & 0x3ff)));
        }
        assert_int_equal(is_refused(slice_of(escape)), is_surrogate);
    }
}

static void control_characters_are_escaped(void **state)
{
    (void)state;
    for (int code = 0; code < 0x20; code++) {
        const char raw[] = {'"', (char)code, '"'};
        char escape[16];
        (void)snprintf(escape, sizeof escape, "\"\\u%04x\"", (unsigned)code);
        assert_refused((struct slice){raw, sizeof raw});
        assert_false(is_refused(slice_of(escape)));
    }
    for (int code = 0; code < 256; code++) { /* behind a backslash */
        const char text[] = {'"', '\\', (char)code, '"', '"'};
        bool is_escape = code && strchr("\"\\/bfnrt", code) != NULL;
        assert_int_equal(is_refused((struct slice){text, code == '"' ? 5u : 4u}) == 0,
                         is_escape && code != '"');
    }
}

/* ---- ends -------------------------------------------------------------------------------- */

static const char *const whole[] = {
    ("{\"name\":\"caf\xc3\xa9 \xf0\x9f\x98\x80 \\u00e9\\ud83d\\ude00\\n\",\"list\":[1,-2.5,1e3,"
     "true,false,null,[],{}],\"big\":123456789012345678901234567890}"),
    "[[[[\"\"]]],{\"a\":{\"b\":[{\"c\":\"d\"}]}}]",
    "\"only text, of some length, with \\\"escapes\\\" and \xe2\x82\xac in it\"",
    "[-0.1e-5,true]",
};

static void text_that_breaks_off_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        struct slice text = slice_of(whole[i]);
        assert_false(is_refused(text));
        for (size_t len = 0; len < text.len; len++) {
            char *copy = mem_dup((struct slice){text.ptr, len}); /* for the sanitizer */
            assert_refused((struct slice){copy, len});
            mem_free(copy);
        }
    }
}

static void text_with_anything_behind_it_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        for (int code = 0; code < 256; code++) {
            struct slice text = slice_of(whole[i]);
            char *copy = mem_dup(text);
            copy[text.len] = (char)code;
            bool is_space = code && strchr(" \t\r\n", code) != NULL;
            assert_int_equal(is_refused((struct slice){copy, text.len + 1}), !is_space);
            mem_free(copy);
        }
    }
}

static void values_nest_up_to_a_limit(void **state)
{
    static const char *const open[] = {"[", "{\"a\":", "[{\"a\":"};
    static const char *const close[] = {"]", "}", "}]"};
    (void)state;
    for (size_t kind = 0; kind < 3; kind++) {
        unsigned levels = kind == 2 ? 2 : 1;
        for (unsigned count = JSON_DEPTH_MAX / levels - 1; count < 70; count++) {
            struct buf text;
            buf_init(&text, TEST_BYTES_MAX);
            for (unsigned i = 0; i < count; i++) {
                buf_put_text(&text, open[kind]);
            }
            buf_put_text(&text, "0");
            for (unsigned i = 0; i < count; i++) {
                buf_put_text(&text, close[kind]);
            }
            assert_int_equal(is_refused(buf_slice(&text)), count * levels > JSON_DEPTH_MAX);
            buf_done(&text);
        }
    }
    struct buf text;
    buf_init(&text, TEST_BYTES_MAX);
    for (unsigned i = 0; i < 1000000; i++) {
        buf_put_text(&text, "[");
    }
    assert_refused(buf_slice(&text));
    buf_done(&text);
}

/* Names differ as what they are, not as how they are written. */
static void names_of_an_object_differ(void **state)
{
    (void)state;
    for (unsigned count = 1; count < 200; count += 7) {
        for (unsigned twice = 0; twice < 2; twice++) {
            struct buf text;
            buf_init(&text, TEST_BYTES_MAX);
            buf_put_text(&text, "{");
            for (unsigned i = 0; i < count; i++) {
                buf_printf(&text, "%s\"name %u\":{\"name 0\":%u}", i ? "," : "", i, i);
            }
            buf_put_text(&text, twice ? ",\"n\\u0061me 0\":1}" : "}");
            assert_int_equal(is_refused(buf_slice(&text)), twice);
            buf_done(&text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_text_is_read_and_written_again),
        cmocka_unit_test(invalid_text_is_refused),
        cmocka_unit_test(text_is_judged_the_same_inside_of_other_text),
        cmocka_unit_test(numbers_survive),
        cmocka_unit_test(numbers_of_any_length_survive),
        cmocka_unit_test(strings_are_utf_8),
        cmocka_unit_test(every_code_point_has_one_form),
        cmocka_unit_test(control_characters_are_escaped),
        cmocka_unit_test(text_that_breaks_off_is_refused),
        cmocka_unit_test(text_with_anything_behind_it_is_refused),
        cmocka_unit_test(values_nest_up_to_a_limit),
        cmocka_unit_test(names_of_an_object_differ),
    };
    return cmocka_run_group_tests_name("json_rfc8259", tests, NULL, NULL);
}
