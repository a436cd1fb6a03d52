/* SPDX-License-Identifier: MIT */
/* question.c - what we say to a client unasked: requests in the course of its own, and news. */
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "rpc/rpc_internal.h"

static struct rpc_dialogue *dialogue_of(struct rpc_peer *peer)
{
    if (!peer->dialogue) {
        peer->dialogue = mem_new(sizeof *peer->dialogue);
        list_init(&peer->dialogue->questions);
        list_init(&peer->dialogue->subscribers);
    }
    return peer->dialogue;
}

static void close_question(struct rpc_dialogue *dialogue, struct rpc_question *question)
{
    dialogue->count--;
    list_remove(&question->link);
    question->peer = NULL;
}

void rpc_drop_dialogue(struct rpc_peer *peer)
{
    struct rpc_dialogue *dialogue = peer->dialogue;
    struct list_link *link;
    if (!dialogue) {
        return;
    }
    while ((link = list_first(&dialogue->questions))) {
        close_question(dialogue, LIST_ITEM(link, struct rpc_question, link));
    }
    while ((link = list_first(&dialogue->subscribers))) {
        struct rpc_subscriber *subscriber = LIST_ITEM(link, struct rpc_subscriber, link);
        list_remove(link);
        subscriber->peer = NULL;
        subscriber->gone(subscriber);
    }
    mem_free(dialogue);
    peer->dialogue = NULL;
}

/* ---- questions ---------------------------------------------------------------------------- */

struct buf *rpc_ask(struct rpc_pending *pending, struct rpc_question *question,
                    const char *method,
                    void (*answered)(struct rpc_question *question, struct slice error,
                                     struct slice result))
{
    struct rpc_peer *peer = pending->peer;
    if (!peer || peer->is_closing || dialogue_of(peer)->count >= RPC_QUESTIONS_MAX) {
        return NULL;
    }
    struct rpc_dialogue *dialogue = peer->dialogue;
    *question =
        (struct rpc_question){.peer = peer, .msgid = ++dialogue->last_id, .answered = answered};
    list_append(&dialogue->questions, &question->link);
    dialogue->count++;
    struct buf *out = rpc_message_begin(peer);
    pack_put_array(out, 4);
    pack_put_uint(out, 0);
    pack_put_uint(out, question->msgid);
    pack_put_text(out, method);
    pack_put_array(out, 1);
    return out;
}

enum rpc_asked rpc_ask_end(struct rpc_question *question)
{
    struct rpc_peer *peer = question->peer;
    if (rpc_message_end(peer)) {
        return RPC_ASKED;
    }
    if (peer->is_closing) {
        return RPC_GONE;
    }
    close_question(peer->dialogue, question);
    return RPC_TOO_LONG;
}

void rpc_question_drop(struct rpc_question *question)
{
    struct rpc_peer *peer = question->peer;
    if (!peer) {
        return;
    }
    close_question(peer->dialogue, question);
    if (peer->is_closing) {
        return;
    }
    struct buf *out = rpc_notice_begin(peer, "cancel");
    pack_put_map(out, 1);
    pack_put_key_int(out, "msgid", question->msgid);
    rpc_message_end_or_leave(peer);
}

static struct rpc_question *find(const struct rpc_peer *peer, uint64_t msgid)
{
    if (!peer->dialogue) {
        return NULL;
    }
    list_each (link, &peer->dialogue->questions) {
        struct rpc_question *question = LIST_ITEM(link, struct rpc_question, link);
        if (question->msgid == msgid) {
            return question;
        }
    }
    return NULL;
}

bool rpc_take_response(struct rpc_peer *peer, struct pack *cursor)
{
    struct pack_item item;
    struct slice error;
    struct slice result;
    uint64_t msgid;
    if (!pack_next(cursor, &item) || !pack_as_uint(&item, &msgid) ||
        !pack_take(cursor, &error) || !pack_take(cursor, &result)) {
        return false;
    }
    struct rpc_question *question = find(peer, msgid);
    if (!question) { /* taken back meanwhile, or never asked: harms nobody */
        log_at(LOG_DEBUG, "rpc", "response without a request ignored",
               LOG_INT("pid", peer->identity.pid));
        return true;
    }
    close_question(peer->dialogue, question);
    if (pack_peek(pack_over(error)) == PACK_NIL) {
        error = (struct slice){NULL, 0};
    } else {
        result = (struct slice){NULL, 0};
    }
    question->answered(question, error, result);
    return true;
}

/* ---- news ---------------------------------------------------------------------------------- */

void rpc_subscribe(struct rpc_peer *peer, struct rpc_subscriber *subscriber,
                   void (*gone)(struct rpc_subscriber *subscriber))
{
    must(!peer->is_closing);
    *subscriber = (struct rpc_subscriber){.peer = peer, .gone = gone};
    list_append(&dialogue_of(peer)->subscribers, &subscriber->link);
}

void rpc_unsubscribe(struct rpc_subscriber *subscriber)
{
    if (subscriber->peer) {
        list_remove(&subscriber->link);
        subscriber->peer = NULL;
    }
}

/* News of which nobody knows how many come must not fill what answers need. */
struct buf *rpc_push(struct rpc_subscriber *subscriber, const char *method)
{
    struct rpc_peer *peer = subscriber->peer;
    if (!peer || peer->is_closing || rpc_peer_is_full(peer)) {
        return NULL;
    }
    return rpc_notice_begin(peer, method);
}

void rpc_push_end(struct rpc_subscriber *subscriber)
{
    rpc_message_end_or_leave(subscriber->peer);
}
