/* SPDX-License-Identifier: MIT */
/* test_log.c - log lines as text and JSON, from one thread and several, and when nobody reads. */
#include "base/log.h"
#include "base_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static int pipe_ends[2];

static void open_log(enum log_level level, enum log_format format)
{
    assert_int_equal(pipe(pipe_ends), 0);
    log_set(level, format);
    log_start(pipe_ends[1]);
}

/* Ends the log and gives what it wrote; the caller frees it. */
static char *close_log(void)
{
    size_t len = 0;
    size_t cap = 1 << 16;
    char *text = malloc(cap);
    assert_non_null(text);
    log_stop();
    assert_int_equal(close(pipe_ends[1]), 0);
    for (ssize_t n; (n = read(pipe_ends[0], text + len, cap - len - 1)) > 0;) {
        len += (size_t)n;
        if (len + 1 == cap) {
            cap *= 2;
            text = realloc(text, cap);
            assert_non_null(text);
        }
    }
    text[len] = '\0';
    assert_int_equal(close(pipe_ends[0]), 0);
    return text;
}

/* The line behind its time, which is checked for its shape only. */
static void assert_line(const char *text, const char *wanted)
{
    assert_int_equal(strspn(text, "0123456789T:.-Z"), 24);
    assert_string_equal(text + 25, wanted);
}

static void text_lines_quote_what_needs_it(void **state)
{
    (void)state;
    open_log(LOG_INFO, LOG_FORMAT_TEXT);
    log_at(LOG_DEBUG, "test", "not to be seen", LOG_NOTHING);
    log_at(LOG_INFO, "test", "a message", LOG_TEXT("plain", "word"),
           LOG_TEXT("spaced", "two words"), LOG_TEXT("quoted", "say \"a\\b\""),
           LOG_TEXT("empty", ""), LOG_INT("number", -42), LOG_INT("low", INT64_MIN),
           LOG_TEXT("sign", "a=b"), LOG_TEXT("line", "1\n2\x01"),
           LOG_TEXT("accent", "\xc3\xb1"), LOG_TEXT("broken", "\xff!"),
           LOG_TEXT("escape", "\xc2\x9b"
                              "31m"));
    char *text = close_log();
    assert_line(text,
                "info test: a message plain=word spaced=\"two words\" quoted=\"say "
                "\\\"a\\\\b\\\"\" empty=\"\" number=-42 low=-9223372036854775808 sign=\"a=b\" "
                "line=\"1\\n2\\u0001\" accent=\"\xc3\xb1\" broken=\"\\u00ff!\" "
                "escape=\"\\u009b31m\"\n");
    free(text);
}

static void json_lines_are_json(void **state)
{
    (void)state;
    open_log(LOG_DEBUG, LOG_FORMAT_JSON);
    log_at(LOG_ERROR, "te\"st", "a message", LOG_TEXT("key", "va\"l\nue\xfe"), LOG_INT("n", 7));
    char *text = close_log();
    const char *wanted =
        "\",\"level\":\"error\",\"component\":\"te\\\"st\",\"message\":\"a message\","
        "\"key\":\"va\\\"l\\nue\\u00fe\",\"n\":7}\n";
    assert_memory_equal(text, "{\"time\":\"", 9);
    assert_string_equal(text + 9 + 24, wanted);
    free(text);
}

static void long_values_are_cut(void **state)
{
    char value[20000];
    (void)state;
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
        open_log(LOG_INFO, (enum log_format)format);
        log_at(LOG_WARN, "test", "long", LOG_TEXT("a", value), LOG_TEXT("b", value),
               LOG_TEXT("c", value), LOG_TEXT("d", value), LOG_TEXT("e", value),
               LOG_TEXT("f", value), LOG_TEXT("g", value), LOG_TEXT("h", value),
               LOG_TEXT("i", value), LOG_TEXT("j", value));
        char *text = close_log();
        assert_true(strlen(text) <= 8192 && strlen(text) > 1000);
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
        assert_non_null(strstr(text, "vvv...\""));
        if (format == LOG_FORMAT_JSON) {
            assert_string_equal(text + strlen(text) - 13, ",\"cut\":true}\n");
        }
        free(text);
    }
}

static bool needs_no_quotes(unsigned byte)
{
    return byte > 0x20 && byte < 0x7f && byte != '"' && byte != '=' && byte != '\\';
}

/* A value of `len` bytes that is plain but for one. */
static void fill(char value[20], size_t len, unsigned byte)
{
    memset(value, 'a', len);
    value[byte % len] = (char)byte;
}

/* Values of every length, with every byte: copied in words, judged by byte. */
static void every_byte_of_a_value_is_judged(void **state)
{
    (void)state;
    for (size_t len = 1; len < 20; len++) {
        char value[20];
        open_log(LOG_INFO, LOG_FORMAT_TEXT);
        for (unsigned byte = 1; byte < 256; byte++) {
            fill(value, len, byte);
            log_at(LOG_INFO, "t", "m", LOG_SLICE("k", ((struct slice){value, len})));
        }
        char *text = close_log();
        char *at = text;
        for (unsigned byte = 1; byte < 256; byte++) {
            fill(value, len, byte);
            at = strstr(at, " k=");
            assert_non_null(at);
            at += 3;
            assert_int_equal(*at == '"', !needs_no_quotes(byte));
            assert_true(*at == '"' || (strncmp(at, value, len) == 0 && at[len] == '\n'));
        }
        free(text);
    }
}

#define THREADS 4
#define LINES   200

static void *write_lines(void *arg)
{
    const int *number = arg;
    for (int i = 0; i < LINES; i++) {
        log_at(LOG_INFO, "thread", "line", LOG_INT("thread", *number), LOG_INT("i", i));
    }
    return NULL;
}

static void lines_of_several_threads_stay_whole(void **state)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    int next[THREADS] = {0};
    (void)state;
    open_log(LOG_INFO, LOG_FORMAT_TEXT);
    assert_int_equal(fcntl(pipe_ends[1], F_SETPIPE_SZ, 1 << 18) > 0, 1);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    char *text = close_log();
    int lines = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, lines++) {
        char *thread = strstr(line, " thread=");
        char *number = strstr(line, " i=");
        assert_true(thread && number && thread < number && number < end);
        long which = strtol(thread + 8, NULL, 10);
        assert_int_equal(strtol(number + 3, NULL, 10), next[which]++); /* each in its order */
    }
    assert_int_equal(lines, THREADS * LINES);
    free(text);
}

/* A reader that stands still: lines are dropped and counted, nobody waits. */
static void nobody_waits_for_a_reader_that_stands_still(void **state)
{
    char value[1000];
    uint64_t before = log_dropped();
    (void)state;
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    open_log(LOG_INFO, LOG_FORMAT_TEXT);
    for (int i = 0; i < 5000; i++) {
        log_at(LOG_INFO, "test", "flood", LOG_TEXT("x", value));
    }
    assert_true(log_dropped() > before);
    /* From here on somebody reads, so that the writer can end. */
    char rest[1 << 16];
    size_t total = 0;
    assert_int_equal(fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK), 0);
    for (int quiet = 0; quiet < 200;) {
        ssize_t n = read(pipe_ends[0], rest, sizeof rest);
        total += n > 0 ? (size_t)n : 0;
        quiet = n > 0 ? 0 : quiet + 1;
        assert_int_equal(usleep(1000), 0);
    }
    assert_true(total > 1000000);
    free(close_log());
}

static void levels_have_names(void **state)
{
    enum log_level level = LOG_ERROR;
    (void)state;
    assert_true(log_level_parse(SLICE("debug"), &level) && level == LOG_DEBUG);
    assert_true(log_level_parse(SLICE("warn"), &level) && level == LOG_WARN);
    assert_false(log_level_parse(SLICE("WARN"), &level));
    assert_false(log_level_parse(SLICE(""), &level));
    assert_int_equal(level, LOG_WARN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_lines_quote_what_needs_it),
        cmocka_unit_test(json_lines_are_json),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(every_byte_of_a_value_is_judged),
        cmocka_unit_test(lines_of_several_threads_stay_whole),
        cmocka_unit_test(nobody_waits_for_a_reader_that_stands_still),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
