/* SPDX-License-Identifier: MIT */
/*
 * encode.c - a request with long arguments is written as JSON by a thread.
 *
 * Until then it counts as not sent. The thread works on copies, but for the arguments, to whose
 * memory it has a reference: whatever becomes of the request meanwhile, it may go on.
 */
#include "mcp/encode.h"

#include "base/mem.h"
#include "loop/block.h"
#include "loop/work.h"

/* Arguments of this length and more. */
#define LONG_BYTES ((size_t)256 * 1024)

struct encoding {
    struct work work;
    struct mcp_request *request; /* NULL: nobody wants it any more */
    struct mcp_core *core;
    struct block *block;
    struct buf copies;
    uint64_t id;
    uint32_t epoch;
    /* The thread's, while it works. */
    struct message_request message;
    struct buf out, scratch;
    struct err err;
    bool is_wrong;
};

static void encoding_free(struct encoding *encoding)
{
    struct loop *loop = encoding->block->loop;
    block_done_buf(loop, &encoding->out);
    block_done_buf(loop, &encoding->scratch);
    block_done_buf(loop, &encoding->copies);
    (void)block_unref(encoding->block);
    mem_free(encoding);
}

static void run(struct work *work)
{
    struct encoding *encoding = LIST_ITEM(work, struct encoding, work);
    encoding->is_wrong = message_put_request(&encoding->out, encoding->id, &encoding->message,
                                             &encoding->scratch, &encoding->err) < 0;
}

/* What is wrong with what was written, or an empty failure. */
static void judge(const struct encoding *encoding, struct failure *failure)
{
    size_t most = encoding->core->message_bytes;
    if (encoding->is_wrong) {
        failure_from_err(failure, &encoding->err);
    } else if (encoding->out.overflow || encoding->out.len > most) {
        failure_set(failure, ERR_OVERLOADED, "the call is longer than %zu bytes", most);
        failure->is_retryable = false;
    }
}

static void done(struct work *work, bool has_run)
{
    struct encoding *encoding = LIST_ITEM(work, struct encoding, work);
    struct mcp_request *request = encoding->request;
    struct failure failure = {0};
    if (!request || !has_run) {
        encoding_free(encoding);
        return;
    }
    request->encoding = NULL;
    judge(encoding, &failure);
    if (!failure.code && request->pending.session->state == SESSION_READY &&
        request->pending.session->epoch != encoding->epoch) {
        request_go(request); /* another session, and perhaps another revision */
    } else {
        request_send_encoded(request, &encoding->message, encoding->id, &encoding->out,
                             failure.code ? &failure : NULL);
    }
    failure_done(&failure);
    encoding_free(encoding);
}

/* Copies what may be gone before the thread is done. False: no memory. */
static bool copy_parts(struct encoding *encoding)
{
    struct message_request *message = &encoding->message;
    struct slice *const parts[] = {&message->name,          &message->arguments,
                                   &message->members,       &message->cursor,
                                   &message->envelope.meta, &message->input_responses,
                                   &message->request_state};
    size_t total = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        total += block_holds(encoding->block, *parts[i]) ? 0 : parts[i]->len;
    }
    if (!buf_reserve(&encoding->copies, total + 1)) {
        return false;
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const char *at = encoding->copies.data + encoding->copies.len;
        if (parts[i]->ptr && !block_holds(encoding->block, *parts[i])) {
            buf_put_slice(&encoding->copies, *parts[i]);
            parts[i]->ptr = at;
        }
    }
    return true;
}

bool encode_start(struct mcp_request *request, const struct message_request *message)
{
    struct mcp_session *session = request->pending.session;
    struct slice long_part = message->arguments.len ? message->arguments : message->members;
    if (long_part.len < LONG_BYTES || !block_holds(request->block, long_part)) {
        return false;
    }
    struct encoding *encoding = mem_new(sizeof *encoding);
    work_init(&encoding->work, run, done);
    encoding->core = session->core;
    encoding->block = block_ref(request->block);
    encoding->message = *message;
    encoding->epoch = session->epoch;
    encoding->id = session_next_id(session);
    buf_init(&encoding->copies, session->core->out.max);
    buf_init(&encoding->out, session->core->out.max);
    buf_init(&encoding->scratch, session->core->part.max);
    if (!copy_parts(encoding) || !work_start(session->core->loop, &encoding->work)) {
        encoding_free(encoding);
        return false;
    }
    encoding->request = request;
    request->encoding = encoding;
    return true;
}

void encode_drop(struct mcp_request *request)
{
    struct encoding *encoding = request->encoding;
    if (!encoding) {
        return;
    }
    request->encoding = NULL;
    encoding->request = NULL;
    if (work_withdraw(encoding->block->loop, &encoding->work)) {
        encoding_free(encoding);
    }
}
