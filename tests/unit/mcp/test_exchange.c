/* SPDX-License-Identifier: MIT */
/* test_exchange.c - sessions over HTTP: what an exchange's end means, and sessions that are gone. */
#include "one_service.h"

static void end(struct fake *fake, mcp_token token, enum err_code code, bool is_session_gone)
{
    struct failure failure = {0};
    if (code) {
        failure_set(&failure, code, "the exchange went wrong");
        failure_detail_int(&failure, "http_status", 500);
    }
    fake->events->exchange_ended(fake->arg, token, code ? &failure : NULL, is_session_gone);
    failure_done(&failure);
    turn(fake->bench);
}

static void another_id_fails_when_the_exchange_ends(void **state)
{
    (void)state;
    struct told a = {0};
    struct told b = {0};
    struct fake *fake = stand(true);
    call(&bench, &a);
    unsigned long long first = last_id(fake);
    call(&bench, &b);
    unsigned long long second = last_id(fake);
    /* Even the id of another call of ours is not believed on this exchange. */
    say_on(fake, first, "{'jsonrpc':'2.0','id':%llu,'result':{'n':1}}", second);
    assert_int_equal(a.done + b.done, 0);
    end(fake, first, ERR_NONE, false);
    assert_told(a, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "an answer to another id");
    assert_true(a.sent);
    assert_int_equal(b.done, 0);
    say_on(fake, second, "{'jsonrpc':'2.0','id':%llu,'result':{'n':2}}", second);
    assert_string_equal(b.text, "{\"n\":2}");
    end(fake, second, ERR_NONE, false);
    assert_int_equal(b.done, 1);
    told_done(&a);
    told_done(&b);
}

static void an_end_without_an_answer_fails(void **state)
{
    (void)state;
    struct fake *fake = stand_call(true);
    end(fake, last_id(fake), ERR_NONE, false);
    assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "no answer to the request");
    told_done(&told);
    call(&bench, &told);
    say_on(fake, last_id(fake), "<html>");
    end(fake, last_id(fake), ERR_NONE, false);
    assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "a message that is no JSON");
}

static void failures_of_the_wire_are_handed_on(void **state)
{
    (void)state;
    struct fake *fake = stand_call(true);
    end(fake, last_id(fake), ERR_UNAVAILABLE, false);
    assert_told(told, ERR_UNAVAILABLE, "the exchange went wrong");
    assert_has(told.details, "\"http_status\":500,\"service\":\"s\",\"tool\":\"echo\"");
    assert_true(told.sent);
    told_done(&told);
    call(&bench, &told);
    unsigned long long id = last_id(fake);
    end(fake, id, ERR_TIMEOUT, false);
    assert_told(told, ERR_TIMEOUT, "went wrong");
    assert_has(last_sent(fake), "notifications/cancelled");
    told_done(&told);
    call(&bench, &told);
    struct failure failure = {0};
    failure_set(&failure, ERR_UNAVAILABLE, "could not connect");
    const char no = '\xc2';
    failure_detail_pack(&failure, "request_sent", (struct slice){&no, 1});
    fake->events->exchange_ended(fake->arg, last_id(fake), &failure, false);
    failure_done(&failure);
    assert_told(told, ERR_UNAVAILABLE, "could not connect");
    assert_false(told.sent);
    told_done(&told);
    size_t cancels = count_sent(fake, "cancelled");
    call(&bench, &told);
    failure_set(&failure, ERR_TIMEOUT, "waited for a connection");
    failure_detail_pack(&failure, "request_sent", (struct slice){&no, 1});
    fake->events->exchange_ended(fake->arg, last_id(fake), &failure, false);
    failure_done(&failure);
    assert_told(told, ERR_TIMEOUT, "waited for a connection");
    assert_false(told.sent);
    assert_int_equal(count_sent(fake, "cancelled"),
                     cancels); /* the server has not heard of it */
}

static void an_error_without_id_belongs_to_its_exchange(void **state)
{
    (void)state;
    struct fake *fake = stand_call(true);
    say_on(fake, last_id(fake),
           "{'jsonrpc':'2.0','id':null,'error':{'code':-32000,'message':'Bad Request'}}");
    assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "Bad Request");
    told_done(&told);
    call(&bench, &told);
    say_on(fake, last_id(fake), "{'jsonrpc':'2.0','error':{'code':-32000,'message':'No id'}}");
    assert_told(told, ERR_EXTERNAL_TOOL_EXECUTION_FAILED, "No id");
}

/* ---- sessions that are gone -------------------------------------------------------------- */

static void a_gone_session_is_renewed_unseen(void **state)
{
    (void)state;
    struct told other = {0};
    struct fake *fake = stand(true);
    call_with(&bench, &told, .arguments = "{\"text\":\"keep me\"}");
    char *request = mem_dup(slice_of(last_sent(fake)));
    unsigned long long id = last_id(fake);
    end(fake, id, ERR_UNAVAILABLE, true);
    assert_int_equal(told.done, 0);
    assert_string_equal(fake->version, "-");
    assert_has(last_sent(fake), "\"method\":\"initialize\"");
    call(&bench, &other); /* waits for the new session */
    assert_has(last_sent(fake), "\"method\":\"initialize\"");
    answer_last(fake, "{'protocolVersion':'2025-06-18','capabilities':{'tools':{}}}");
    assert_string_equal(fake->version, "2025-06-18");
    assert_int_equal(count_sent(fake, "notifications/initialized"), 2);
    assert_int_equal(count_sent(fake, "keep me"), 2);
    assert_string_equal(bench.states, "s:starting s:running "); /* nobody saw anything */
    bool was_repeated = false;
    for (size_t i = 0; i < fake->count; i++) {
        was_repeated |= i > 5 && strcmp(fake->sent[i], request) == 0;
    }
    assert_true(was_repeated);
    say_on(fake, id, "{'jsonrpc':'2.0','id':%llu,'result':{'n':1}}", id);
    assert_string_equal(told.text, "{\"n\":1}");
    assert_has(last_sent(fake), "tools/list"); /* of the new session, for the other call */
    answer_last(fake, "{'tools':[" ECHO_TOOL "]}");
    answer_last(fake, "{'n':2}");
    assert_string_equal(other.text, "{\"n\":2}");
    mem_free(request);
    told_done(&told);
    told_done(&other);
}

static void only_once(void **state)
{
    (void)state;
    struct fake *fake = stand_call(true);
    unsigned long long id = last_id(fake);
    end(fake, id, ERR_UNAVAILABLE, true);
    answer_last(fake, "{'protocolVersion':'2025-06-18','capabilities':{'tools':{}}}");
    assert_int_equal(last_id(fake), id);
    end(fake, id, ERR_UNAVAILABLE, true);
    assert_told(told, ERR_UNAVAILABLE, "forgot the session, and again");
    assert_false(told.sent);
}

static void one_renewal_serves_all_that_were_refused(void **state)
{
    (void)state;
    struct told all[3] = {0};
    unsigned long long ids[3];
    struct fake *fake = stand(true);
    for (int i = 0; i < 3; i++) {
        call(&bench, &all[i]);
        ids[i] = last_id(fake);
    }
    end(fake, ids[0], ERR_UNAVAILABLE, true);
    end(fake, ids[1], ERR_UNAVAILABLE, true); /* during the handshake */
    answer_last(fake, "{'protocolVersion':'2025-06-18','capabilities':{'tools':{}}}");
    end(fake, ids[2], ERR_UNAVAILABLE, true); /* after it: the new session serves */
    assert_int_equal(count_sent(fake, "\"initialize\""), 2);
    for (int i = 0; i < 3; i++) {
        say_on(fake, ids[i], "{'jsonrpc':'2.0','id':%llu,'result':{'n':%d}}", ids[i], i);
        assert_int_equal(all[i].done, 1);
        assert_int_equal(all[i].code, ERR_NONE);
        told_done(&all[i]);
    }
}

static void a_renewal_that_fails_fails_all(void **state)
{
    (void)state;
    struct told a = {0};
    struct told b = {0};
    struct fake *fake = stand(true);
    call(&bench, &a);
    call(&bench, &b);
    end(fake, id_of(fake->sent[fake->count - 2]), ERR_UNAVAILABLE, true);
    end(fake, last_id(fake), ERR_AUTH_FAILED, false); /* the answer to initialize */
    assert_told(a, ERR_AUTH_FAILED, "went wrong");
    assert_told(b, ERR_AUTH_FAILED, "went wrong");
    assert_false(a.sent); /* refused without a look */
    assert_true(b.sent);
    assert_true(fake->is_closing);
    told_done(&a);
    told_done(&b);
}

static void deadline_and_cancel_during_a_renewal(void **state)
{
    (void)state;
    struct told a = {0};
    struct told b = {0};
    struct fake *fake = stand(true);
    call_with(&bench, &a, .timeout = 100 * MS);
    unsigned long long first = last_id(fake);
    call(&bench, &b);
    unsigned long long second = last_id(fake);
    end(fake, first, ERR_UNAVAILABLE, true);
    end(fake, second, ERR_UNAVAILABLE, true);
    loop_advance(bench.loop, 101 * MS);
    assert_told(a, ERR_TIMEOUT, "did not answer");
    assert_false(a.sent);
    mcp_cancel(b.request, "test");
    assert_int_equal(count_sent(fake, "cancelled"), 0); /* the server has neither */
    answer_last(fake, "{'protocolVersion':'2025-06-18','capabilities':{'tools':{}}}");
    assert_int_equal(count_sent(fake, "tools/call"), 3);
    told_done(&a);
}

static void what_the_old_session_was_sent_is_not_cancelled_in_the_new_one(void **state)
{
    (void)state;
    struct told a = {0};
    struct told b = {0};
    struct told c = {0};
    struct fake *fake = stand(true);
    call(&bench, &a);
    unsigned long long first = last_id(fake);
    call(&bench, &b);
    unsigned long long second = last_id(fake);
    call(&bench, &c);
    unsigned long long third = last_id(fake);
    end(fake, first, ERR_UNAVAILABLE, true);
    mcp_cancel(b.request, "test");
    assert_int_equal(fake->last_abandoned, second);
    answer_last(fake, "{'protocolVersion':'2025-06-18','capabilities':{'tools':{}}}");
    mcp_cancel(c.request, "test");
    assert_int_equal(fake->last_abandoned, third);
    assert_int_equal(count_sent(fake, "cancelled"), 0);
    mcp_cancel(a.request, "test"); /* was sent again */
    assert_int_equal(count_sent(fake, "cancelled"), 1);
}

static void a_listing_begins_again_in_the_new_session(void **state)
{
    (void)state;
    struct fake *fake = stand(true);
    say(fake, "{'jsonrpc':'2.0','method':'notifications/tools/list_changed'}");
    list_tools(&bench, &told, "s");
    answer_last(fake, "{'tools':[{'name':'one'}],'nextCursor':'x'}");
    end(fake, last_id(fake), ERR_UNAVAILABLE, true);
    answer_last(fake, "{'protocolVersion':'2025-06-18','capabilities':{'tools':{}}}");
    assert_has(last_sent(fake), "\"method\":\"tools/list\",\"params\":{}}");
    answer_last(fake, "{'tools':[{'name':'two'}]}");
    assert_string_equal(told.text, "two ");
}

static void initialize_that_fails_on_the_wire(void **state)
{
    (void)state;
    struct fake *fake = begin_call(true);
    fake_opened(fake);
    end(fake, last_id(fake), ERR_UNAVAILABLE, false);
    assert_told(told, ERR_UNAVAILABLE, "went wrong");
    assert_false(told.sent);
    told_done(&told);
    call(&bench, &told);
    fake = fake_at(&bench, 1);
    fake_opened(fake);
    end(fake, last_id(fake), ERR_TIMEOUT, false);
    assert_told(told, ERR_TIMEOUT, "went wrong");
    assert_int_equal(fake->count, 1); /* `initialize` is never cancelled */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(another_id_fails_when_the_exchange_ends),
        TEST(an_end_without_an_answer_fails),
        TEST(failures_of_the_wire_are_handed_on),
        TEST(an_error_without_id_belongs_to_its_exchange),
        TEST(a_gone_session_is_renewed_unseen),
        TEST(only_once),
        TEST(one_renewal_serves_all_that_were_refused),
        TEST(a_renewal_that_fails_fails_all),
        TEST(deadline_and_cancel_during_a_renewal),
        TEST(what_the_old_session_was_sent_is_not_cancelled_in_the_new_one),
        TEST(a_listing_begins_again_in_the_new_session),
        TEST(initialize_that_fails_on_the_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
