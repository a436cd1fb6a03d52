/* SPDX-License-Identifier: MIT */
/* test_failure.c - the error map of the socket: exactly its keys, nothing too long, valid text. */
#include "base/text.h"
#include "value/failure.h"
#include "value_test.h"

static void assert_map(const struct failure *failure, const char *json)
{
    struct buf pack;
    struct buf text;
    struct err err = {.code = ERR_NONE};
    buf_init(&pack, TEST_BYTES_MAX);
    buf_init(&text, TEST_BYTES_MAX);
    failure_put(failure, SLICE("req-1"), &pack);
    if (json_from_pack(buf_slice(&pack), "error", &text, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(buf_text(&text), json);
    buf_done(&pack);
    buf_done(&text);
}

static void a_failure_has_exactly_its_keys(void **state)
{
    struct failure failure = {.code = ERR_NONE};
    (void)state;
    failure_set(&failure, ERR_TIMEOUT, "nothing came in %d ms", 30);
    assert_map(
        &failure,
        "{\"code\":\"TIMEOUT\",\"message\":\"nothing came in 30 ms\",\"user_message\":"
        "\"nothing came in 30 ms\",\"suggestion\":\"Call again with a larger timeout_ms, "
        "or look at why the service is slow.\",\"retryable\":true,\"request_id\":\"req-1\"}");
    failure_suggest(&failure, "wait %s", "a bit");
    failure_tell_user(&failure, SLICE("Ups"));
    failure.retry_after_ms = 1500;
    failure.is_retryable = false;
    failure_detail_text(&failure, "service", "echo");
    failure_detail_int(&failure, "attempts", -3);
    failure_detail_str(&failure, "tool", SLICE("t"));
    failure_detail_pack(&failure, "list", SLICE("\x92\x01\x02"));
    assert_map(
        &failure,
        "{\"code\":\"TIMEOUT\",\"message\":\"nothing came in 30 ms\",\"user_message\":\"Ups\","
        "\"suggestion\":\"wait a bit\",\"retryable\":false,\"retry_after_ms\":1500,\"details\":"
        "{\"service\":\"echo\",\"attempts\":-3,\"tool\":\"t\",\"list\":[1,2]},\"request_id\":"
        "\"req-1\"}");
    failure_done(&failure);
    failure_done(&failure);
}

static void setting_again_forgets_what_was_there(void **state)
{
    struct failure failure = {.code = ERR_NONE};
    struct failure copy = {.code = ERR_NONE};
    struct err err;
    (void)state;
    failure_set(&failure, ERR_NOT_FOUND, "no such tool");
    failure_tell_user(&failure, SLICE("no"));
    failure_detail_int(&failure, "n", 1);
    failure.retry_after_ms = 5;
    failure_copy(&copy, &failure);
    (void)err_set(&err, ERR_INTERNAL, "broken");
    failure_from_err(&failure, &err);
    assert_map(&failure,
               "{\"code\":\"INTERNAL\",\"message\":\"broken\",\"user_message\":\"broken\","
               "\"suggestion\":\"Report it with the request_id and the daemon's log.\","
               "\"retryable\":false,\"request_id\":\"req-1\"}");
    assert_map(&copy,
               "{\"code\":\"NOT_FOUND\",\"message\":\"no such tool\",\"user_message\":\"no\","
               "\"suggestion\":\"Call `tools.list` for what this agent may "
               "call.\",\"retryable\":false,"
               "\"retry_after_ms\":5,\"details\":{\"n\":1},\"request_id\":\"req-1\"}");
    failure_copy(&failure, &copy);
    assert_int_equal(failure.code, ERR_NOT_FOUND);
    assert_int_equal(failure.details_count, 1);
    failure_clear(&failure);
    assert_int_equal(failure.code, ERR_NONE);
    failure_done(&failure);
    failure_done(&copy);
}

static void long_texts_are_cut_at_a_character(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 4; shift++) {
        struct failure failure = {.code = ERR_NONE};
        char text[4000];
        struct slice message = {NULL, 0};
        memset(text, 'x', shift);
        for (size_t i = shift; i + 4 < sizeof text; i += 4) {
            memcpy(text + i, "\xf0\x9f\x98\x80", 4);
            text[i + 4] = '\0';
        }
        failure_set(&failure, ERR_INTERNAL, "%s", text);
        message = buf_slice(&failure.message);
        assert_true(text_is_utf8(message));
        assert_true(message.len <= FAILURE_TEXT_BYTES && message.len > FAILURE_TEXT_BYTES - 4);
        failure_suggest(&failure, "%s", text);
        assert_true(text_is_utf8(buf_slice(&failure.suggestion)));
        failure_tell_user(&failure, slice_of(text));
        assert_true(text_is_utf8(buf_slice(&failure.user_message)));
        failure_done(&failure);
    }
}

static void text_of_others_is_mended(void **state)
{
    struct failure failure = {.code = ERR_NONE};
    char stderr_tail[] = "ok \xc3\xb1 \xff\xfe caf\xe9";
    (void)state;
    failure_set(&failure, ERR_UNAVAILABLE, "it said \x80%s", "\xc3");
    failure_suggest(&failure, "none");
    failure_detail_text(&failure, "stderr_tail", stderr_tail);
    assert_map(
        &failure,
        "{\"code\":\"UNAVAILABLE\",\"message\":\"it said \xef\xbf\xbd\xef\xbf\xbd\","
        "\"user_message\":\"it said \xef\xbf\xbd\xef\xbf\xbd\",\"suggestion\":\"none\","
        "\"retryable\":true,\"details\":{\"stderr_tail\":\"ok \xc3\xb1 \xef\xbf\xbd\xef\xbf\xbd"
        " caf\xef\xbf\xbd\"},\"request_id\":\"req-1\"}");
    failure_done(&failure);
}

static void details_beyond_the_ceiling_are_left_out_whole(void **state)
{
    struct failure failure = {.code = ERR_NONE};
    char *large = malloc(70000);
    (void)state;
    assert_non_null(large);
    memset(large, 'y', 70000);
    failure_set(&failure, ERR_INTERNAL, "x");
    failure_detail_int(&failure, "first", 1);
    failure_detail_str(&failure, "huge", (struct slice){large, 70000});
    failure_detail_pack(&failure, "huge too", (struct slice){large, FAILURE_DETAILS_BYTES});
    failure_detail_pack(&failure, "beyond", (struct slice){large, FAILURE_DETAILS_BYTES + 1});
    assert_int_equal(failure.details_count, 1);
    failure_detail_str(&failure, "large", (struct slice){large, 60000});
    failure_detail_str(&failure, "too much", (struct slice){large, 10000});
    failure_detail_int(&failure, "last", 2);
    assert_int_equal(failure.details_count, 3);
    memset(large, 0xff, 70000); /* mended it would be three times as long */
    failure_detail_str(&failure, "not text", (struct slice){large, 40000});
    assert_int_equal(failure.details_count, 3);
    struct buf pack;
    buf_init(&pack, TEST_BYTES_MAX);
    failure_put(&failure, SLICE("r"), &pack);
    struct pack cursor = pack_over(buf_slice(&pack));
    assert_true(pack_skip(&cursor) && cursor.at == cursor.end);
    buf_done(&pack);
    failure_done(&failure);
    free(large);
}

static void no_memory_leaves_a_failure_that_can_be_told(void **state)
{
    (void)state;
    for (unsigned long nth = 1; nth < 20; nth++) {
        struct failure failure = {.code = ERR_NONE};
        struct failure copy = {.code = ERR_NONE};
        struct buf pack;
        buf_init(&pack, TEST_BYTES_MAX);
        mem_fail_at(nth);
        failure_set(&failure, ERR_TIMEOUT, "a message of more than a few bytes");
        failure_detail_text(&failure, "key", "value \xff");
        failure_detail_int(&failure, "n", 5);
        failure_tell_user(&failure, SLICE("a message"));
        failure_copy(&copy, &failure);
        mem_fail_at(0);
        failure_put(&copy, SLICE("r"), &pack);
        struct slice code;
        assert_true(pack_get_text(buf_slice(&pack), "code", &code) &&
                    slice_is(code, "TIMEOUT"));
        struct pack cursor = pack_over(buf_slice(&pack));
        assert_true(pack_skip(&cursor) && cursor.at == cursor.end);
        buf_done(&pack);
        failure_done(&failure);
        failure_done(&copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_has_exactly_its_keys),
        cmocka_unit_test(setting_again_forgets_what_was_there),
        cmocka_unit_test(long_texts_are_cut_at_a_character),
        cmocka_unit_test(text_of_others_is_mended),
        cmocka_unit_test(details_beyond_the_ceiling_are_left_out_whole),
        cmocka_unit_test(no_memory_leaves_a_failure_that_can_be_told),
    };
    return cmocka_run_group_tests_name("failure", tests, NULL, NULL);
}
