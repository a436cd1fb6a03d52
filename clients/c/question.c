/* SPDX-License-Identifier: MIT */
/* question.c - questions of servers: asked by a callback, answered now or later, by any thread. */
#include "question.h"

#include "value/failure.h"
#include "value/pack.h"

#include <string.h>

#define ANSWERS_BYTES ((size_t)67108864)
#define RESPONSE      1

void questions_init(struct questions *questions, const struct tb_options *options)
{
    *questions = (struct questions){.ask = options->question,
                                    .taken_back = options->taken_back,
                                    .arg = options->question_arg};
    (void)pthread_mutex_init(&questions->lock, NULL);
    buf_init(&questions->answers, ANSWERS_BYTES);
}

void questions_done(struct questions *questions)
{
    questions_end(questions);
    buf_done(&questions->answers);
    (void)pthread_mutex_destroy(&questions->lock);
}

void questions_connected(struct questions *questions, size_t frame_max)
{
    (void)pthread_mutex_lock(&questions->lock);
    questions->connection++;
    questions->frame_max = frame_max;
    (void)pthread_mutex_unlock(&questions->lock);
}

/* Under the lock. */
static bool forget(struct questions *questions, uint64_t id)
{
    for (unsigned i = 0; i < questions->count; i++) {
        if (questions->open[i] == id) {
            questions->open[i] = questions->open[--questions->count];
            return true;
        }
    }
    return false;
}

void questions_end(struct questions *questions)
{
    uint64_t open[QUESTIONS_MAX];
    (void)pthread_mutex_lock(&questions->lock);
    unsigned count = questions->count;
    memcpy(open, questions->open, count * sizeof *open);
    questions->count = 0;
    buf_clear(&questions->answers);
    (void)pthread_mutex_unlock(&questions->lock);
    for (unsigned i = 0; i < count && questions->taken_back; i++) {
        questions->taken_back(questions->arg, open[i]);
    }
}

bool questions_ask(struct questions *questions, uint32_t msgid, struct slice method,
                   struct slice params)
{
    char name[64];
    int64_t call = 0;
    if (!questions->ask || method.len >= sizeof name) {
        return false;
    }
    (void)pthread_mutex_lock(&questions->lock);
    uint64_t id = (uint64_t)questions->connection << 32 | msgid;
    bool has_room = questions->count < QUESTIONS_MAX;
    if (has_room) {
        questions->open[questions->count++] = id;
    }
    (void)pthread_mutex_unlock(&questions->lock);
    if (!has_room) {
        return false;
    }
    memcpy(name, method.ptr, method.len);
    name[method.len] = '\0';
    if (!pack_get_int(params, "msgid", &call) || call < 0 || call > UINT32_MAX) {
        call = 0;
    }
    const struct tb_question question = {
        .id = id, .method = name, .msgid = (uint32_t)call, .params = {params.ptr, params.len}};
    questions->ask(questions->arg, &question);
    return true;
}

void questions_take_back(struct questions *questions, uint32_t msgid)
{
    (void)pthread_mutex_lock(&questions->lock);
    uint64_t id = (uint64_t)questions->connection << 32 | msgid;
    bool was_open = forget(questions, id);
    (void)pthread_mutex_unlock(&questions->lock);
    if (was_open && questions->taken_back) {
        questions->taken_back(questions->arg, id);
    }
}

/* ---- answers ----------------------------------------------------------------------------- */

static bool is_map(struct slice value)
{
    static const struct pack_limits limits = {
        .bytes = ANSWERS_BYTES, .depth = PACK_DEPTH_MAX, .items = UINT32_MAX};
    struct pack_scan scan;
    PACK_SCAN_START(&scan);
    return pack_peek(pack_over(value)) == PACK_MAP &&
           pack_scan(&scan, value, &limits) == PACK_SCAN_DONE && scan.at == value.len;
}

static void put_head(struct buf *out, uint32_t msgid)
{
    pack_put_array(out, 4);
    pack_put_uint(out, RESPONSE);
    pack_put_uint(out, msgid);
}

static void put_failure(struct buf *out, uint32_t msgid, struct failure *failure)
{
    put_head(out, msgid);
    failure_put(failure, SLICE(""), out);
    pack_put_nil(out);
    failure_done(failure);
}

void put_refusal(struct buf *out, uint32_t msgid, struct slice method)
{
    struct failure failure = {0};
    failure_set(&failure, ERR_METHOD_NOT_FOUND, "this client has no method %.*s",
                SLICE_ARG(method));
    put_failure(out, msgid, &failure);
}

static void put_answer(struct questions *questions, uint32_t msgid, struct slice result)
{
    struct buf *out = &questions->answers;
    struct failure failure = {0};
    size_t begin = out->len;
    put_head(out, msgid);
    pack_put_nil(out);
    buf_put_slice(out, result);
    bool is_sendable =
        !out->overflow && (!questions->frame_max || out->len - begin <= questions->frame_max);
    if (result.len && is_sendable) {
        return;
    }
    out->len = begin;
    out->overflow = false;
    failure_set(&failure, result.len ? ERR_OVERLOADED : ERR_CANCELLED,
                result.len ? "the answer passes the daemon's limit for one frame"
                           : "the client does not answer this");
    put_failure(out, msgid, &failure);
}

bool questions_answer(struct questions *questions, uint64_t id, struct slice result)
{
    if (result.len && !is_map(result)) {
        return false;
    }
    (void)pthread_mutex_lock(&questions->lock);
    bool was_open = forget(questions, id);
    if (was_open) {
        put_answer(questions, (uint32_t)id, result);
    }
    (void)pthread_mutex_unlock(&questions->lock);
    return was_open;
}

bool questions_take(struct questions *questions, struct buf *out)
{
    (void)pthread_mutex_lock(&questions->lock);
    bool has_any = questions->answers.len > 0;
    if (has_any) {
        buf_clear(out);
        buf_put_slice(out, buf_slice(&questions->answers));
        buf_clear(&questions->answers);
    }
    (void)pthread_mutex_unlock(&questions->lock);
    return has_any;
}
