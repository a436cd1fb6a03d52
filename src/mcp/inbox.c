/* SPDX-License-Identifier: MIT */
/* inbox.c - long messages are read by a thread; what came behind them is kept in order. */
#include "mcp/inbox.h"

#include "base/mem.h"
#include "loop/block.h"
#include "loop/work.h"
#include "mcp/core.h"
#include "mcp/decode.h"
#include "mcp/session.h"
#include "value/pack_known.h"

/* Of what waits, handed over in one turn. */
#define TURN_BYTES ((size_t)256 * 1024)
/* What a message that waits takes beside its text. */
#define ARRIVAL_BYTES ((size_t)1024)

enum arrival_kind { ARRIVAL_MESSAGE, ARRIVAL_END };

struct arrival {
    struct list_link link; /* in reading->behind */
    enum arrival_kind kind;
    size_t bytes; /* as counted in inbox->waiting_bytes */
    struct buf text;
    struct slice json; /* in it */
    bool has_failure, is_session_gone;
    struct failure failure;
};

struct reading {
    struct work work;
    struct list_link link; /* in inbox->readings */
    struct loop *loop;
    struct inbox *inbox; /* NULL: nobody wants it any more */
    mcp_token token;
    struct list behind;
    struct loop_timer next;
    bool is_at_work;     /* a thread has it, or will */
    bool is_told;        /* the message was handed over: what is behind it follows */
    bool is_telling;     /* right now */
    struct block *block; /* while it is handed over */
    /* The thread's, while it is at work. */
    struct buf text;
    struct slice json; /* in it */
    struct buf pack;
    struct decoded decoded;
    struct pack_known known;
};

static void go_on(void *arg);

/* ---- memory ------------------------------------------------------------------------------- */

static void arrival_free(struct loop *loop, struct arrival *arrival)
{
    block_done_buf(loop, &arrival->text);
    if (arrival->has_failure) {
        failure_done(&arrival->failure);
    }
    mem_free(arrival);
}

static void reading_free(struct reading *reading)
{
    struct list_link *link;
    while ((link = list_first(&reading->behind))) {
        list_remove(link);
        arrival_free(reading->loop, LIST_ITEM(link, struct arrival, link));
    }
    loop_timer_cancel(reading->loop, &reading->next);
    list_remove(&reading->link);
    block_done_buf(reading->loop, &reading->text);
    block_done_buf(reading->loop, &reading->pack);
    mem_free(reading);
}

void inbox_init(struct inbox *inbox, struct wire *wire)
{
    *inbox = (struct inbox){.wire = wire};
    list_init(&inbox->readings);
}

/* Nobody wants it any more: freed now, or by whoever has it. */
static void drop(struct reading *reading)
{
    struct mcp_core *core = reading->inbox->wire->core;
    if (reading->block && core->block == reading->block) {
        core->block = NULL;
    }
    reading->inbox = NULL;
    list_remove(&reading->link);
    loop_timer_cancel(reading->loop, &reading->next);
    if (reading->is_at_work && work_withdraw(reading->loop, &reading->work)) {
        reading->is_at_work = false;
    }
    if (!reading->is_at_work && !reading->is_telling) {
        reading_free(reading);
    }
}

void inbox_done(struct inbox *inbox)
{
    struct list_link *link;
    while ((link = list_first(&inbox->readings))) {
        drop(LIST_ITEM(link, struct reading, link));
    }
    if (inbox->has_closed) {
        failure_done(&inbox->failure);
    }
    inbox_init(inbox, inbox->wire);
}

/* ---- reading ------------------------------------------------------------------------------ */

/* On a thread. The text is not needed any more then, and long to free. */
static void run(struct work *work)
{
    struct reading *reading = LIST_ITEM(work, struct reading, work);
    (void)buf_reserve(&reading->pack, reading->json.len); /* untouched, it costs nothing */
    reading->pack.overflow = false;
    decode_message(reading->json, reading->token != 0, &reading->pack, &reading->decoded);
    buf_done(&reading->text);
    pack_note_long(buf_slice(&reading->pack), &reading->known);
}

static void done(struct work *work, bool has_run)
{
    struct reading *reading = LIST_ITEM(work, struct reading, work);
    reading->is_at_work = false;
    if (!has_run || !reading->inbox) {
        reading_free(reading);
        return;
    }
    go_on(reading);
}

/* The text is in place. By a thread, or now if there is too much to do already. */
static void read_text(struct reading *reading)
{
    reading->is_told = false;
    reading->is_at_work = work_start(reading->loop, &reading->work);
    if (!reading->is_at_work) {
        run(&reading->work);
        loop_timer_set(reading->loop, &reading->next, loop_now(reading->loop));
    }
}

static struct reading *reading_new(struct inbox *inbox, mcp_token token)
{
    struct mcp_core *core = inbox->wire->core;
    struct reading *reading = mem_new(sizeof *reading);
    work_init(&reading->work, run, done);
    reading->loop = core->loop;
    reading->inbox = inbox;
    reading->token = token;
    list_init(&reading->behind);
    loop_timer_init(&reading->next, go_on, reading);
    buf_init(&reading->pack, core->in.max);
    list_append(&inbox->readings, &reading->link);
    return reading;
}

/* ---- handing over ------------------------------------------------------------------------- */

/* To the session, if the wire still has one. Afterwards the reading may be dropped. */
static void deliver_message(struct reading *reading)
{
    struct wire *wire = reading->inbox->wire;
    struct mcp_core *core = wire->core;
    struct block *block = block_new(reading->loop, &reading->pack);
    reading->block = block;
    core->block = block;
    pack_know(&reading->known);
    if (wire->session) {
        session_take_decoded(wire->session, &reading->decoded, reading->token);
    }
    pack_know(NULL);
    if (reading->inbox) {
        core->block = NULL;
    }
    reading->block = block_unref(block);
}

/* Gives the bytes that it counted for. */
static void deliver_arrival(struct reading *reading, struct arrival *arrival)
{
    struct inbox *inbox = reading->inbox;
    struct wire *wire = inbox->wire;
    inbox->waiting_bytes -= arrival->bytes;
    if (wire->session && arrival->kind == ARRIVAL_MESSAGE) {
        session_take_message(wire->session, arrival->json, reading->token);
    } else if (wire->session) {
        session_exchange_ended(wire->session, reading->token,
                               arrival->has_failure ? &arrival->failure : NULL,
                               arrival->is_session_gone);
    }
    arrival_free(reading->loop, arrival);
}

/* The next long message takes the place of the one that was handed over. */
static void read_next(struct reading *reading, struct arrival *arrival)
{
    reading->inbox->waiting_bytes -= arrival->bytes;
    reading->text = arrival->text;
    reading->json = arrival->json;
    arrival->text = (struct buf){.max = 0};
    arrival_free(reading->loop, arrival);
    read_text(reading);
}

static void end(struct reading *reading)
{
    struct inbox *inbox = reading->inbox;
    struct wire *wire = inbox->wire;
    reading_free(reading);
    if (inbox->is_held && inbox->waiting_bytes < wire->core->message_bytes / 2) {
        inbox->is_held = false;
        wire->transport->ops->hold(wire->transport, false);
    }
    if (inbox->has_closed && inbox_is_empty(inbox)) {
        struct failure failure = inbox->failure;
        inbox->has_closed = false;
        wire_closed(wire, failure.code ? &failure : NULL);
        failure_done(&failure);
    }
}

/* The message, and what is behind it, as far as `most` bytes go or to the next long one. False: that
 * was all, or nobody wants it any more, and the reading is gone. */
static bool hand_over(struct reading *reading, size_t most)
{
    struct list_link *link;
    size_t bytes = 0;
    reading->is_telling = true;
    if (!reading->is_told) {
        reading->is_told = true;
        deliver_message(reading);
    }
    while (reading->inbox && bytes < most && reading->is_told &&
           (link = list_first(&reading->behind))) {
        struct arrival *arrival = LIST_ITEM(link, struct arrival, link);
        list_remove(link);
        bytes += arrival->bytes;
        if (arrival->json.len >= MCP_LONG_MESSAGE) {
            read_next(reading, arrival);
        } else {
            deliver_arrival(reading, arrival);
        }
    }
    reading->is_telling = false;
    if (!reading->inbox) {
        reading_free(reading);
        return false;
    }
    if (reading->is_told && list_is_empty(&reading->behind)) {
        end(reading);
        return false;
    }
    return true;
}

static void go_on(void *arg)
{
    struct reading *reading = arg;
    if (hand_over(reading, TURN_BYTES) && reading->is_told) {
        loop_timer_set(reading->loop, &reading->next, loop_now(reading->loop));
    }
}

/* Waits for what is being read, and hands over some of it. False: the reading is gone. */
static bool press_on(struct reading *reading)
{
    if (reading->is_at_work) {
        work_await(reading->loop, &reading->work);
        reading->is_at_work = false;
    }
    loop_timer_cancel(reading->loop, &reading->next);
    return hand_over(reading, TURN_BYTES);
}

/* Until no more than `most` bytes wait. */
static void make_room(struct reading *reading, size_t most)
{
    while (reading->inbox->waiting_bytes > most) {
        if (!press_on(reading)) {
            return;
        }
    }
    if (!reading->is_at_work) {
        loop_timer_set(reading->loop, &reading->next, loop_now(reading->loop));
    }
}

/* ---- arrivals ----------------------------------------------------------------------------- */

static struct reading *find(const struct inbox *inbox, mcp_token token)
{
    list_each (link, &inbox->readings) {
        struct reading *reading = LIST_ITEM(link, struct reading, link);
        if (reading->token == token) {
            return reading;
        }
    }
    return NULL;
}

static struct arrival *put_behind(struct reading *reading, enum arrival_kind kind,
                                  size_t text_bytes)
{
    struct arrival *arrival = mem_new(sizeof *arrival);
    arrival->kind = kind;
    arrival->bytes = text_bytes + ARRIVAL_BYTES;
    list_append(&reading->behind, &arrival->link);
    reading->inbox->waiting_bytes += arrival->bytes;
    return arrival;
}

static void limit(struct reading *reading)
{
    struct inbox *inbox = reading->inbox;
    struct wire *wire = inbox->wire;
    if (inbox->waiting_bytes <= wire->core->message_bytes) {
        return;
    }
    if (!wire->transport->ops->hold) {
        make_room(reading, wire->core->message_bytes / 2);
    } else if (!inbox->is_held) {
        inbox->is_held = true;
        wire->transport->ops->hold(wire->transport, true);
    }
}

void inbox_take_long(struct inbox *inbox, struct buf *buf, struct slice json, mcp_token token)
{
    struct reading *reading = find(inbox, token);
    struct buf text = *buf;
    *buf = (struct buf){.max = buf->max};
    if (!reading) {
        reading = reading_new(inbox, token);
        reading->text = text;
        reading->json = json;
        read_text(reading);
        return;
    }
    struct arrival *arrival = put_behind(reading, ARRIVAL_MESSAGE, json.len);
    arrival->text = text;
    arrival->json = json;
    limit(reading);
}

bool inbox_keep_message(struct inbox *inbox, struct slice json, mcp_token token)
{
    struct reading *reading = find(inbox, token);
    struct buf text;
    if (!reading) {
        return false;
    }
    buf_init(&text, json.len);
    buf_put_slice(&text, json);
    if (text.overflow) { /* no memory: then there is no other way */
        while (press_on(reading)) {
        }
        return false;
    }
    struct arrival *arrival = put_behind(reading, ARRIVAL_MESSAGE, json.len);
    arrival->text = text;
    arrival->json = buf_slice(&text);
    limit(reading);
    return true;
}

bool inbox_keep_end(struct inbox *inbox, mcp_token token, const struct failure *failure,
                    bool is_session_gone)
{
    struct reading *reading = find(inbox, token);
    if (!reading) {
        return false;
    }
    struct arrival *arrival = put_behind(reading, ARRIVAL_END, 0);
    arrival->is_session_gone = is_session_gone;
    if (failure) {
        arrival->has_failure = true;
        failure_copy(&arrival->failure, failure);
    }
    return true;
}

bool inbox_keep_closed(struct inbox *inbox, const struct failure *failure)
{
    if (inbox_is_empty(inbox)) {
        return false;
    }
    inbox->has_closed = true;
    if (failure) {
        failure_copy(&inbox->failure, failure);
    }
    return true;
}
