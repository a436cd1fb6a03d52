/* SPDX-License-Identifier: MIT */
/* round.c - a modern server wants input first: the client is asked, then the request sent again. */
#include "base/mem.h"
#include "mcp/ask.h"
#include "mcp/message.h"
#include "mcp/task.h"
#include "value/pack.h"

#include <stdio.h>

#define ROUNDS_MAX     10u
#define BACK_OFF_FIRST ((mono_us)250000)
#define BACK_OFF_MAX   ((mono_us)8000000)

struct round {
    struct mcp_request *request;
    unsigned count;       /* of rounds so far */
    unsigned waits;       /* of these one behind the other, without a question */
    struct buf questions; /* input requests, or an error's data: what asks point into */
    struct buf state;
    bool has_state;
    struct buf answers; /* a map without its header; then, once all are there, with it */
    uint32_t answer_count;
    enum ask_kind missing; /* that has no form for "no" ... */
    bool is_refused;       /* ... and was refused */
    bool is_for_urls;      /* an error asked for them: there is nothing to send but the call */
    bool has_accepted;
    struct loop_task go_on;
    struct loop_timer wait;
};

/* ---- life -------------------------------------------------------------------------------- */

static void go_on(void *arg);
static void wait_passed(void *arg);

static struct loop *loop_of(const struct mcp_request *request)
{
    return request->seat->session.core->loop;
}

static struct round *round_of(struct mcp_request *request)
{
    struct round *round = request->round;
    if (round) {
        return round;
    }
    size_t max = request->seat->session.core->in.max;
    round = mem_new(sizeof *round);
    round->request = request;
    buf_init(&round->questions, max);
    buf_init(&round->state, max);
    buf_init(&round->answers, max);
    loop_task_init(&round->go_on, go_on, round);
    loop_timer_init(&round->wait, wait_passed, round);
    request->round = round;
    return round;
}

void round_drop(struct mcp_request *request)
{
    struct round *round = request->round;
    if (round) {
        request->round = NULL;
        loop_task_cancel(&round->go_on);
        loop_timer_cancel(loop_of(request), &round->wait);
        buf_done(&round->questions);
        buf_done(&round->state);
        buf_done(&round->answers);
        mem_free(round);
    }
}

void round_add(const struct mcp_request *request, struct message_request *message)
{
    const struct round *round = request->round;
    if (round->answer_count) {
        message->input_responses = buf_slice(&round->answers);
    }
    if (round->has_state) {
        message->request_state = round->state.len ? buf_slice(&round->state) : SLICE("");
    }
}

/* ---- what is asked ----------------------------------------------------------------------- */

/* What is wrong with one input request, or NULL. */
static const char *take_question(struct round *round, struct slice key, struct slice question)
{
    struct mcp_request *request = round->request;
    struct slice method;
    struct slice params = {NULL, 0};
    enum ask_kind kind;
    if (!pack_get_text(question, "method", &method) || !ask_kind_of(method, &kind)) {
        return "it asks for something that is no input request";
    }
    if (pack_get(question, "params", &params) && pack_peek(pack_over(params)) != PACK_MAP) {
        return "the params of an input request are no object";
    }
    if (!ask_is_declared(kind, params, request->identity.capabilities)) {
        return "it asks for input of a kind that the client did not declare";
    }
    struct mcp_ask *ask = ask_new(request, kind, params);
    ask->key = key;
    ask->is_of_round = true;
    return NULL;
}

/* What is wrong with the input requests, or NULL. They are copied: the client answers later. */
static const char *take_questions(struct round *round, struct slice questions)
{
    struct mcp_request *request = round->request;
    struct pack_item head;
    struct slice key;
    struct slice question;
    const char *fault = NULL;
    unsigned count = 0;
    buf_clear(&round->questions);
    buf_put_slice(&round->questions, questions);
    if (round->questions.overflow) {
        return "there is no memory for what it asks";
    }
    struct pack cursor = pack_over(buf_slice(&round->questions));
    if (!pack_next(&cursor, &head) || head.type != PACK_MAP) {
        return "`inputRequests` is no object";
    }
    for (uint32_t i = 0; i < head.count && !fault; i++) {
        if (!pack_next_text(&cursor, &key) || !pack_take(&cursor, &question)) {
            return "`inputRequests` is no object";
        }
        if (request->task && task_has_answered(request, key)) {
            continue;
        }
        fault = ++count > ASKS_MAX ? "it asks for more than 16 things at once"
                                   : take_question(round, key, question);
    }
    return fault;
}

static void begin(struct round *round)
{
    buf_clear(&round->answers);
    round->answer_count = 0;
    round->is_refused = false;
    round->is_for_urls = false;
    round->has_accepted = true;
    loop_later(loop_of(round->request), &round->go_on);
}

static void stop(struct mcp_request *request)
{
    char text[160];
    struct buf result;
    int len =
        snprintf(text, sizeof text,
                 "The server asked for input %u times without coming to an end; toolbroker "
                 "stopped the call.",
                 request->round->count);
    if (!(request->method->traits & METHOD_MAKES_TASKS)) {
        request_break(request, "it asks for input again and again (%u times)",
                      request->round->count);
        return;
    }
    buf_init(&result, 1024);
    pack_put_map(&result, 2);
    pack_put_text(&result, "content");
    pack_put_array(&result, 1);
    pack_put_map(&result, 2);
    pack_put_key_text(&result, "type", "text");
    pack_put_key_str(&result, "text", (struct slice){text, (size_t)len});
    pack_put_key_bool(&result, "isError", true);
    if (result.overflow) {
        request_break(request, "it asks for input again and again");
    } else {
        const struct mcp_outcome outcome = {
            .result = buf_slice(&result), .sent = true, .declined = request->declined};
        request_succeed(request, &outcome);
    }
    buf_done(&result);
}

static void wait(struct round *round)
{
    mono_us pause = BACK_OFF_FIRST << (round->waits < 6 ? round->waits : 6);
    round->waits++;
    loop_timer_set(loop_of(round->request), &round->wait,
                   loop_now(loop_of(round->request)) +
                       (pause < BACK_OFF_MAX ? pause : BACK_OFF_MAX));
}

/* What is wrong with `requestState`, or NULL. */
static const char *take_state(struct round *round, struct slice result)
{
    struct slice value;
    struct slice state;
    round->has_state = pack_get(result, "requestState", &value);
    buf_clear(&round->state);
    if (!round->has_state) {
        return NULL;
    }
    if (!pack_get_text(result, "requestState", &state)) {
        return "`requestState` is no string";
    }
    buf_put_slice(&round->state, state);
    return round->state.overflow ? "there is no memory for `requestState`" : NULL;
}

void round_begin(struct mcp_request *request, struct slice result)
{
    struct slice questions;
    struct round *round = round_of(request);
    bool has_questions = pack_get(result, "inputRequests", &questions);
    const char *fault = take_state(round, result);
    if (!request->is_kept) {
        fault = "there is no memory to ask for it";
    }
    if (!fault && ++round->count > ROUNDS_MAX) {
        round->count--;
        stop(request);
        return;
    }
    if (!fault && has_questions) {
        fault = take_questions(round, questions);
    } else if (!fault && !round->has_state) {
        fault = "it asks for input and does not say which";
    }
    if (fault) {
        request_break(request, "%s", fault);
        return;
    }
    begin(round);
    if (list_is_empty(&request->asks)) {
        loop_task_cancel(&round->go_on);
        wait(round);
    } else {
        round->waits = 0;
    }
}

bool round_begin_for_task(struct mcp_request *request, struct slice input_requests)
{
    struct round *round = round_of(request);
    const char *fault = take_questions(round, input_requests);
    if (fault) {
        request_break(request, "%s", fault);
        return true;
    }
    if (list_is_empty(&request->asks)) {
        return false;
    }
    begin(round);
    return true;
}

bool round_begin_for_urls(struct mcp_request *request, struct slice error)
{
    struct slice data;
    struct slice list;
    struct slice one;
    struct pack_item head;
    if (!request->is_kept || request->round || request->task ||
        !pack_get(error, "data", &data) || !pack_get(data, "elicitations", &list)) {
        return false;
    }
    struct round *round = round_of(request);
    ask_end_all(request, true); /* what it asked before it answered is of no use any more */
    buf_put_slice(&round->questions, list);
    struct pack cursor = pack_over(buf_slice(&round->questions));
    if (!pack_next(&cursor, &head) || head.type != PACK_ARRAY || !head.count ||
        head.count > ASKS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < head.count && pack_take(&cursor, &one); i++) {
        struct slice mode;
        if (!pack_get_text(one, "mode", &mode) || !slice_is(mode, "url") ||
            !ask_is_declared(ASK_ELICIT, one, request->identity.capabilities)) {
            ask_end_all(request, false);
            return false;
        }
        ask_new(request, ASK_ELICIT, one)->is_of_round = true;
    }
    begin(round);
    round->is_for_urls = true;
    return true;
}

/* ---- what the client says ---------------------------------------------------------------- */

static void put_answer(struct round *round, const struct mcp_ask *ask, struct slice result)
{
    struct slice action;
    round->has_accepted = round->has_accepted && pack_get_text(result, "action", &action) &&
                          slice_is(action, "accept");
    pack_put_str(&round->answers, ask->key);
    buf_put_slice(&round->answers, result);
    round->answer_count++;
    if (round->request->task) {
        task_note_answered(round->request, ask->key);
    }
}

void round_answered(struct mcp_ask *ask, struct slice result)
{
    static const char decline[] = "\x81\xa6"
                                  "action\xa7"
                                  "decline";
    struct mcp_request *request = ask->request;
    struct round *round = request->round;
    if (pack_peek(pack_over(result)) != PACK_MAP) {
        request->declined++;
        result = (struct slice){decline, sizeof decline - 1};
        if (ask->kind != ASK_ELICIT) {
            round->is_refused = true;
            round->missing = ask->kind;
        }
    }
    put_answer(round, ask, result);
    ask_free(ask);
    if (list_is_empty(&request->asks) || round->is_refused) {
        loop_later(loop_of(request), &round->go_on);
    }
}

static void fail_unanswered(struct round *round)
{
    struct failure failure = {0};
    failure_set(&failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                "the server cannot go on: it asked for `%s`, and the client did not give it",
                ask_method(round->missing));
    failure_suggest(&failure, "Answer the server's questions, or use a tool that has none.");
    failure.class = FAILURE_OF_CALLER;
    failure.is_retryable = false;
    request_fail(round->request, &failure, true);
    failure_done(&failure);
}

/* The header of the map goes before the pairs. */
static bool close_answers(struct round *round)
{
    struct buf whole;
    buf_init(&whole, round->answers.max);
    pack_put_map(&whole, round->answer_count);
    buf_put_slice(&whole, buf_slice(&round->answers));
    bool is_good = !whole.overflow && !round->answers.overflow;
    buf_done(&round->answers);
    round->answers = whole;
    return is_good;
}

static void fail_urls(struct mcp_request *request)
{
    struct failure failure = {0};
    struct slice list = buf_slice(&request->round->questions);
    failure_set(&failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                "the server wants pages to be opened first, and the user did not agree");
    failure_suggest(&failure, "Open the URLs in details.elicitations, then call again.");
    failure.class = FAILURE_OF_CALLER;
    failure_detail_pack(&failure, "elicitations", list);
    request_fail(request, &failure, true);
    failure_done(&failure);
}

static void send_on(struct round *round)
{
    struct mcp_request *request = round->request;
    if (round->is_for_urls) {
        round->answer_count = 0;
        if (round->has_accepted) {
            request_go(request);
        } else {
            fail_urls(request);
        }
    } else if (!close_answers(round)) {
        request_lack(request, "the answers to what it asked");
    } else if (request->task) {
        task_send_input(request, buf_slice(&round->answers));
    } else {
        request_go(request);
    }
}

/* One question a run: whoever is asked may end the call. */
static void go_on(void *arg)
{
    struct round *round = arg;
    struct mcp_request *request = round->request;
    struct mcp_ask *next = NULL;
    if (round->is_refused) {
        fail_unanswered(round);
        return;
    }
    list_each (link, &request->asks) {
        struct mcp_ask *ask = LIST_ITEM(link, struct mcp_ask, link);
        if (ask->is_of_round && !ask->is_told) {
            next = ask;
            break;
        }
    }
    if (next) {
        loop_later(loop_of(request), &round->go_on);
        ask_tell(next);
    } else if (list_is_empty(&request->asks)) {
        send_on(round);
    }
}

static void wait_passed(void *arg)
{
    struct round *round = arg;
    request_go(round->request);
}
