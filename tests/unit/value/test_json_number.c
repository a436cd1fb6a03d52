/* SPDX-License-Identifier: MIT */
/* test_json_number.c - numbers come back digit for digit, or as their own text; libc is the oracle. */
#include "value/decimal.h"
#include "value/json_number.h"
#include "value_test.h"

#include <math.h>

static struct json_number read_number(const char *text)
{
    struct json_number number;
    const unsigned char *at = (const unsigned char *)text;
    json_number_read(at, at + strlen(text), &number);
    return number;
}

/* Zero has two signs, which must not be mixed up. */
static bool is_same(double a, double b)
{
    return a == b && signbit(a) == signbit(b);
}

/* Digits without the zeros around them, and the place of the last one. */
static struct decimal digits_of(const char *text)
{
    struct decimal found = {0, 0};
    bool is_behind = false;
    for (text += *text == '-'; *text && *text != 'e'; text++) {
        if (*text == '.') {
            is_behind = true;
        } else {
            found.digits = found.digits * 10 + (uint64_t)(*text - '0');
            found.exponent -= is_behind;
        }
    }
    if (*text) {
        found.exponent += (int32_t)strtol(text + 1, NULL, 10);
    }
    while (found.digits && found.digits % 10 == 0) {
        found.digits /= 10;
        found.exponent++;
    }
    return found;
}

/* The rule as it is written down: the first of 15, 16 and 17 digits that gives the double back. */
static struct decimal shortest_by_printf(double value)
{
    char text[64];
    for (int precision = 15; precision <= 17; precision++) {
        (void)snprintf(text, sizeof text, "%.*e", precision - 1, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    return digits_of(text);
}

static double any_double(struct random *random)
{
    double value;
    do {
        uint64_t bits = random_next(random);
        switch (random_below(random, 6)) {
        case 0: /* any at all */
            memcpy(&value, &bits, sizeof value);
            break;
        case 1:
            value = (double)(int32_t)bits / (1 + random_below(random, 1000));
            break;
        case 2: /* powers of two, whose lower neighbour is nearer */
            value = ldexp(1, (int)random_below(random, 2098) - 1074);
            break;
        case 3: /* around whole numbers beyond 2^53 */
            value = (double)bits;
            break;
        case 4: /* subnormal */
            bits &= ((uint64_t)1 << 52) - 1;
            memcpy(&value, &bits, sizeof value);
            break;
        default:
            value = (double)random_below(random, 100000) / 100;
        }
    } while (!isfinite(value));
    return value;
}

static void doubles_are_written_as_printf_would(void **state)
{
    struct random random = {42};
    (void)state;
    for (int i = 0; i < 200000; i++) {
        double value = fabs(any_double(&random));
        if (value == 0) {
            continue;
        }
        struct decimal found = decimal_of_double(value);
        struct decimal wanted = shortest_by_printf(value);
        if (found.digits != wanted.digits || found.exponent != wanted.exponent) {
            fail_msg("%.17g: %llue%d", value, (unsigned long long)found.digits, found.exponent);
        }
    }
}

static void doubles_come_back(void **state)
{
    struct random random = {7};
    (void)state;
    for (int i = 0; i < 200000; i++) {
        double value = any_double(&random);
        char text[JSON_NUMBER_TEXT_BYTES + 1];
        size_t len = json_number_write(value, text);
        assert_true(len < sizeof text);
        text[len] = '\0';
        struct json_number number = read_number(text);
        if (number.kind != JSON_NUMBER_FLOAT || !is_same(number.f, value) ||
            strtod(text, NULL) != value) {
            fail_msg("%.17g is written as %s", value, text);
        }
    }
}

static void decimals_are_rounded_as_strtod_does(void **state)
{
    struct random random = {99};
    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint64_t limit = 1;
        for (uint32_t digits = 1 + random_below(&random, 17); digits; digits--) {
            limit *= 10;
        }
        struct decimal value = {random_next(&random) % limit,
                                (int32_t)random_below(&random, 720) - 360};
        if (i % 2) {
            value.exponent %= 30;
        }
        char text[64];
        (void)snprintf(text, sizeof text, "%llue%d", (unsigned long long)value.digits,
                       value.exponent);
        double found = decimal_to_double(value);
        double wanted = strtod(text, NULL);
        if (!is_same(found, wanted)) {
            fail_msg("%s: %.17g, not %.17g", text, found, wanted);
        }
    }
}

/* Halfway between two doubles, and one digit beside it. */
static void ties_are_rounded_to_even(void **state)
{
    static const char *const texts[] = {
        "9007199254740993e0",   "9007199254740995e0",    "90071992547409930e-1",
        "90071992547409931e-1", "90071992547409929e-1",  "4503599627370496e-1",
        "45035996273704965e-1", "18014398509481986e0",   "72057594037927944e0",
        "10000000000000001e16", "22250738585072011e-324"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct decimal value = {strtoull(texts[i], NULL, 10),
                                (int32_t)strtol(strchr(texts[i], 'e') + 1, NULL, 10)};
        double found = decimal_to_double(value);
        double wanted = strtod(texts[i], NULL);
        assert_memory_equal(&found, &wanted, sizeof found);
    }
}

/* Any decimal text becomes a double exactly if the double's own digits are its digits. */
static void only_what_survives_becomes_a_double(void **state)
{
    struct random random = {5};
    unsigned floats = 0;
    unsigned texts = 0;
    (void)state;
    for (int i = 0; i < 200000; i++) {
        char text[64];
        uint32_t digits = 1 + random_below(&random, 18);
        int at = snprintf(text, sizeof text, "%s%u.", i % 2 ? "-" : "",
                          1 + random_below(&random, 9));
        for (uint32_t k = 0; k < digits; k++) {
            text[at++] = (char)('0' + random_below(&random, 10));
        }
        int exponent = (int)random_below(&random, 640) - 320;
        (void)snprintf(text + at, sizeof text - (size_t)at, "e%d",
                       i % 3 ? exponent % 20 : exponent);
        struct json_number number = read_number(text);
        double value = strtod(text, NULL);
        struct decimal wanted = digits_of(text);
        bool survives = false;
        if (isfinite(value) && value != 0) {
            struct decimal found = shortest_by_printf(fabs(value));
            survives = found.digits == wanted.digits && found.exponent == wanted.exponent;
        }
        if (number.kind != (survives ? JSON_NUMBER_FLOAT : JSON_NUMBER_TEXT) ||
            (survives && !is_same(number.f, value))) {
            fail_msg("%s: kind %d", text, (int)number.kind);
        }
        floats += survives;
        texts += !survives;
    }
    assert_true(floats > 50000 && texts > 20000);
}

static void fifteen_digits_always_survive(void **state)
{
    struct random random = {11};
    (void)state;
    for (int i = 0; i < 100000; i++) {
        char text[64];
        uint32_t digits = 1 + random_below(&random, 15);
        uint64_t limit = 1;
        for (uint32_t k = 0; k < digits; k++) {
            limit *= 10;
        }
        (void)snprintf(text, sizeof text, "%llue%d",
                       (unsigned long long)(random_next(&random) % limit),
                       (int)random_below(&random, 590) - 300);
        if (read_number(text).kind != JSON_NUMBER_FLOAT) {
            fail_msg("%s", text);
        }
    }
}

static void numbers_are_written_for_people_too(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0.0"},
                 {-0.0, "-0.0"},
                 {1, "1.0"},
                 {-1, "-1.0"},
                 {1.5, "1.5"},
                 {100, "100.0"},
                 {0.1, "0.1"},
                 {0.25, "0.25"},
                 {123456.789, "123456.789"},
                 {0.00001, "0.00001"},
                 {0.000001, "0.000001"},
                 {0.0000001, "1e-7"},
                 {1.25e-9, "1.25e-9"},
                 {1e16, "10000000000000000.0"},
                 {12345678901234567.0, "12345678901234568.0"},
                 {1e17, "1e17"},
                 {1.5e300, "1.5e300"},
                 {-1.5e-300, "-1.5e-300"},
                 {5e-324, "4.94065645841247e-324"},
                 {1.7976931348623157e308, "1.7976931348623157e308"},
                 {0.30000000000000004, "0.30000000000000004"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[JSON_NUMBER_TEXT_BYTES + 1];
        text[json_number_write(cases[i].value, text)] = '\0';
        assert_string_equal(text, cases[i].text);
    }
}

static void long_texts_of_digits(void **state)
{
    struct buf text;
    (void)state;
    buf_init(&text, TEST_BYTES_MAX);
    buf_put_text(&text, "1");
    for (int i = 0; i < 300; i++) {
        buf_put_text(&text, "0");
    }
    struct json_number number = read_number(buf_text(&text));
    assert_int_equal(number.kind, JSON_NUMBER_FLOAT);
    assert_true(number.f == 1e300);
    buf_put_text(&text, "e-300"); /* 1 after all */
    number = read_number(buf_text(&text));
    assert_int_equal(number.kind, JSON_NUMBER_FLOAT);
    assert_true(number.f == 1);
    buf_clear(&text);
    buf_put_text(&text, "0.");
    for (int i = 0; i < 100000; i++) {
        buf_put_text(&text, "0");
    }
    buf_put_text(&text, "125e100000");
    number = read_number(buf_text(&text));
    assert_int_equal(number.kind, JSON_NUMBER_FLOAT);
    assert_true(number.f == 0.125);
    buf_put_text(&text, "0000000000000000000");
    assert_int_equal(read_number(buf_text(&text)).kind, JSON_NUMBER_TEXT);
    buf_clear(&text);
    for (int i = 0; i < 100000; i++) {
        buf_put_text(&text, "7");
    }
    number = read_number(buf_text(&text));
    assert_int_equal(number.kind, JSON_NUMBER_TEXT);
    assert_ptr_equal(number.end, text.data + 100000);
    buf_done(&text);
}

static void grammar_of_a_whole_text(void **state)
{
    static const char *const good[] = {"0", "-0", "1e5", "1E-5", "0.0", "12.50", "-1.0e+00"};
    static const char *const bad[] = {"",   "-",  "01", "1.",  ".1",   "1e",  "1e+", "+1",
                                      " 1", "1 ", "1a", "0x1", "1e5.", "NaN", "--1", "1-1"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(json_number_is(slice_of(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(json_number_is(slice_of(bad[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_are_written_as_printf_would),
        cmocka_unit_test(doubles_come_back),
        cmocka_unit_test(decimals_are_rounded_as_strtod_does),
        cmocka_unit_test(ties_are_rounded_to_even),
        cmocka_unit_test(only_what_survives_becomes_a_double),
        cmocka_unit_test(fifteen_digits_always_survive),
        cmocka_unit_test(numbers_are_written_for_people_too),
        cmocka_unit_test(long_texts_of_digits),
        cmocka_unit_test(grammar_of_a_whole_text),
    };
    return cmocka_run_group_tests_name("json_number", tests, NULL, NULL);
}
