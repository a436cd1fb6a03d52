/* SPDX-License-Identifier: MIT */
/* test_questions.c - what the server says unasked: questions in the course of a request, news. */
#include "served.h"

static struct heard {
    struct rpc_question question;
    struct rpc_subscriber subscriber;
    unsigned answers, gone;
    bool was_error, was_result;
    char text[64];
} heard;

static struct rpc_peer *peer; /* of the last request that was kept */

static void answered(struct rpc_question *question, struct slice error, struct slice result)
{
    struct slice text;
    assert_ptr_equal(question, &heard.question);
    assert_null(question->peer);
    assert_true((error.ptr != NULL) != (result.ptr != NULL));
    heard.answers++;
    heard.was_error = error.ptr != NULL;
    heard.was_result = result.ptr != NULL;
    if (result.ptr && pack_get_text(result, "text", &text)) {
        (void)snprintf(heard.text, sizeof heard.text, "%.*s", SLICE_ARG(text));
    }
}

static void gone(struct rpc_subscriber *subscriber)
{
    assert_ptr_equal(subscriber, &heard.subscriber);
    assert_null(subscriber->peer);
    heard.gone++;
}

/* A client with one request under way. */
static int begin(void)
{
    struct buf frame;
    int fd = connect_client();
    memset(&heard, 0, sizeof heard);
    buf_init(&frame, 1024);
    put_request(&frame, 77, "keep");
    pack_put_array(&frame, 0);
    send_bytes(fd, frame.data, frame.len);
    buf_done(&frame);
    assert_int_equal(fixture.kept_count, 1);
    peer = fixture.kept[0].peer;
    return fd;
}

static void ask(void)
{
    struct buf *out =
        rpc_ask(&fixture.kept[0], &heard.question, "elicitation.create", answered);
    assert_non_null(out);
    pack_put_map(out, 1);
    pack_put_key_text(out, "message", "how many?");
    assert_int_equal(rpc_ask_end(&heard.question), RPC_ASKED);
}

/* The next message must be the whole of what is there: its kind, its msgid or 0, its method. */
static struct slice expect(int fd, char *bytes, size_t room, uint64_t kind, uint64_t *msgid,
                           const char *method)
{
    struct pack_item item;
    struct slice text;
    struct slice params;
    ssize_t n = receive(fd, bytes, room);
    assert_true(n > 0);
    struct pack cursor = pack_over((struct slice){bytes, (size_t)n});
    assert_true(pack_next(&cursor, &item) && item.type == PACK_ARRAY);
    assert_true(pack_next(&cursor, &item) && item.u == kind);
    if (kind == 0) {
        assert_true(pack_next(&cursor, &item) && pack_as_uint(&item, msgid));
    }
    assert_true(pack_next_text(&cursor, &text) && slice_is(text, method));
    assert_true(pack_next(&cursor, &item) && item.type == PACK_ARRAY && item.count == 1);
    assert_true(pack_take(&cursor, &params));
    assert_true(cursor.at == cursor.end);
    return params;
}

static void respond(int fd, uint64_t msgid, const char *error, const char *text)
{
    struct buf frame;
    buf_init(&frame, 1024);
    pack_put_array(&frame, 4);
    pack_put_uint(&frame, 1);
    pack_put_uint(&frame, msgid);
    if (error) {
        pack_put_text(&frame, error);
        pack_put_nil(&frame);
    } else {
        pack_put_nil(&frame);
        pack_put_map(&frame, 1);
        pack_put_key_text(&frame, "text", text);
    }
    send_bytes(fd, frame.data, frame.len);
    buf_done(&frame);
}

static void a_question_gets_its_answer(void **state)
{
    char bytes[1024];
    struct slice text;
    uint64_t msgid = 0;
    (void)state;
    int fd = begin();
    ask();
    struct slice params = expect(fd, bytes, sizeof bytes, 0, &msgid, "elicitation.create");
    assert_true(pack_get_text(params, "message", &text) && slice_is(text, "how many?"));
    respond(fd, msgid + 1, NULL, "to nothing"); /* harms nobody */
    assert_int_equal(heard.answers, 0);
    respond(fd, msgid, NULL, "four");
    assert_int_equal(heard.answers, 1);
    assert_string_equal(heard.text, "four");
    respond(fd, msgid, NULL, "again");
    assert_int_equal(heard.answers, 1);
    ask();
    (void)expect(fd, bytes, sizeof bytes, 0, &msgid, "elicitation.create");
    respond(fd, msgid, "no", NULL);
    assert_int_equal(heard.answers, 2);
    assert_true(heard.was_error);
    rpc_pending_drop(&fixture.kept[0]);
    expect_served();
    (void)close(fd);
    turns(2);
}

static void a_question_is_taken_back(void **state)
{
    char bytes[1024];
    uint64_t msgid = 0;
    int64_t named = 0;
    (void)state;
    int fd = begin();
    ask();
    (void)expect(fd, bytes, sizeof bytes, 0, &msgid, "elicitation.create");
    rpc_question_drop(&heard.question);
    rpc_question_drop(&heard.question); /* not open: nothing */
    struct slice params = expect(fd, bytes, sizeof bytes, 2, NULL, "cancel");
    assert_true(pack_get_int(params, "msgid", &named));
    assert_int_equal(named, msgid);
    respond(fd, msgid, NULL, "too late");
    assert_int_equal(heard.answers, 0);
    rpc_pending_drop(&fixture.kept[0]);
    (void)close(fd);
    turns(2);
}

static void questions_are_bounded(void **state)
{
    struct rpc_question *questions = mem_new((RPC_QUESTIONS_MAX + 1) * sizeof *questions);
    unsigned count = 0;
    (void)state;
    int fd = begin();
    while (count <= RPC_QUESTIONS_MAX) {
        struct buf *out =
            rpc_ask(&fixture.kept[0], &questions[count], "elicitation.create", answered);
        if (!out) {
            break;
        }
        pack_put_map(out, 0);
        assert_int_equal(rpc_ask_end(&questions[count++]), RPC_ASKED);
    }
    assert_int_equal(count, RPC_QUESTIONS_MAX);
    rpc_question_drop(&questions[3]);
    assert_non_null(rpc_ask(&fixture.kept[0], &questions[3], "roots.list", answered));
    assert_int_equal(rpc_ask_end(&questions[3]), RPC_ASKED);
    (void)close(fd); /* with all of them open */
    turns(4);
    assert_int_equal(fixture.gone_count, 1);
    assert_null(questions[0].peer);
    assert_null(rpc_ask(&fixture.kept[0], &questions[0], "roots.list", answered));
    mem_free(questions);
    expect_served();
}

static void a_question_that_is_too_long_is_not_asked(void **state)
{
    (void)state;
    int fd = begin();
    struct buf *out = rpc_ask(&fixture.kept[0], &heard.question, "sampling.create", answered);
    char *large = mem_new(2u << 20);
    assert_non_null(out);
    pack_put_bin(out, (struct slice){large, 2u << 20});
    assert_int_equal(rpc_ask_end(&heard.question), RPC_TOO_LONG);
    assert_null(heard.question.peer);
    mem_free(large);
    char bytes[64];
    assert_int_equal(receive(fd, bytes, sizeof bytes), 0);
    rpc_pending_drop(&fixture.kept[0]);
    expect_served();
    (void)close(fd);
    turns(2);
}

static void malformed_responses_end_the_connection(void **state)
{
    static const struct slice bad[] = {
        {"\x94\x01\xa1x\xc0\xc0", 6}, /* msgid is no number */
        {"\x93\x01\x01\xc0", 4},      /* too short an array */
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int fd = connect_client();
        send_bytes(fd, bad[i].ptr, bad[i].len);
        expect_closed(fd);
        expect_served();
    }
}

static void news_reach_who_subscribed(void **state)
{
    char bytes[1024];
    struct slice kind;
    (void)state;
    int fd = begin();
    rpc_subscribe(peer, &heard.subscriber, gone);
    struct buf *out = rpc_push(&heard.subscriber, "event");
    assert_non_null(out);
    pack_put_map(out, 1);
    pack_put_key_text(out, "kind", "tools.changed");
    rpc_push_end(&heard.subscriber);
    struct slice params = expect(fd, bytes, sizeof bytes, 2, NULL, "event");
    assert_true(pack_get_text(params, "kind", &kind) && slice_is(kind, "tools.changed"));
    rpc_pending_drop(&fixture.kept[0]);
    (void)close(fd);
    turns(4);
    assert_int_equal(heard.gone, 1);
    assert_null(rpc_push(&heard.subscriber, "event"));
    rpc_unsubscribe(&heard.subscriber); /* not subscribed: nothing */
}

/* News stop where answers still have room; whoever reads again gets the next ones. */
static void news_never_fill_what_answers_need(void **state)
{
    (void)state;
    int fd = begin();
    unsigned told = 0;
    char *text = mem_new(100000);
    rpc_subscribe(peer, &heard.subscriber, gone);
    for (unsigned i = 0; i < 1000; i++) {
        struct buf *out = rpc_push(&heard.subscriber, "event");
        if (out) {
            pack_put_map(out, 1);
            pack_put_text(out, "filler");
            pack_put_bin(out, (struct slice){text, 100000});
            rpc_push_end(&heard.subscriber);
            told++;
        }
        turns(1);
    }
    mem_free(text);
    assert_true(told > 5 && told < 30);
    assert_int_equal(heard.gone, 0);
    struct failure failure = {0};
    failure_set(&failure, ERR_CANCELLED, "the answer still fits");
    rpc_pending_fail(&fixture.kept[0], &failure);
    failure_done(&failure);
    struct buf sink;
    buf_init(&sink, 64u << 20);
    for (unsigned i = 0; i < 400; i++) {
        assert_true(buf_reserve(&sink, 100000));
        ssize_t n = recv(fd, sink.data + sink.len, 100000, 0);
        assert_true(n != 0);
        sink.len += n > 0 ? (size_t)n : 0;
        turns(1);
    }
    assert_non_null(memmem(sink.data, sink.len, "the answer still fits", 21));
    struct buf *out = rpc_push(&heard.subscriber, "event");
    assert_non_null(out);
    pack_put_map(out, 0);
    rpc_push_end(&heard.subscriber);
    buf_done(&sink);
    rpc_unsubscribe(&heard.subscriber);
    (void)close(fd);
    turns(4);
    assert_int_equal(heard.gone, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_question_gets_its_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(a_question_is_taken_back, setup, teardown),
        cmocka_unit_test_setup_teardown(questions_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_question_that_is_too_long_is_not_asked, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(malformed_responses_end_the_connection, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(news_reach_who_subscribed, setup, teardown),
        cmocka_unit_test_setup_teardown(news_never_fill_what_answers_need, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
