/* SPDX-License-Identifier: MIT */
/* exchange.c - MessagePack-RPC on an open connection: one request, its answer, what comes between. */
#include "client_internal.h"

#include "value/pack.h"

#include <string.h>

#define CANCEL_SEND_US  100000   /* for the `cancel` of a call that is given up */
#define CANCEL_GRACE_US 1000000  /* for the daemon's answer to it */
#define ANSWER_SEND_US  30000000 /* for the answers to questions */

enum message_kind { MESSAGE_REQUEST, MESSAGE_RESPONSE, MESSAGE_NOTIFICATION };

/* One frame, taken apart; slices point into it. */
struct message {
    enum message_kind kind;
    uint32_t msgid;
    struct slice method, params; /* params: the map, or empty */
    struct slice error, result;  /* error is empty for nil */
};

static bool read_msgid(struct pack *cursor, uint32_t *ret)
{
    struct pack_item item;
    uint64_t value;
    if (!pack_next(cursor, &item) || !pack_as_uint(&item, &value) || value > UINT32_MAX) {
        return false;
    }
    *ret = (uint32_t)value;
    return true;
}

/* Method and params; params is an array whose first element counts here. */
static bool read_method(struct pack *cursor, struct message *ret)
{
    struct pack_item item;
    if (!pack_next_text(cursor, &ret->method) || !pack_next(cursor, &item) ||
        item.type != PACK_ARRAY) {
        return false;
    }
    return item.count == 0 || pack_take(cursor, &ret->params);
}

static bool read_outcome(struct pack *cursor, struct message *ret)
{
    if (!pack_take(cursor, &ret->error) || !pack_take(cursor, &ret->result)) {
        return false;
    }
    if (pack_peek(pack_over(ret->error)) == PACK_NIL) {
        ret->error = (struct slice){NULL, 0};
    }
    return true;
}

static bool message_read(struct slice frame, struct message *ret)
{
    struct pack cursor = pack_over(frame);
    struct pack_item item;
    uint64_t kind;
    *ret = (struct message){0};
    if (!pack_next(&cursor, &item) || item.type != PACK_ARRAY) {
        return false;
    }
    uint32_t count = item.count;
    if (!pack_next(&cursor, &item) || !pack_as_uint(&item, &kind)) {
        return false;
    }
    if (kind == MESSAGE_NOTIFICATION) {
        ret->kind = MESSAGE_NOTIFICATION;
        return count == 3 && read_method(&cursor, ret);
    }
    if (kind > MESSAGE_NOTIFICATION || count != 4 || !read_msgid(&cursor, &ret->msgid)) {
        return false;
    }
    ret->kind = (enum message_kind)kind;
    return kind == MESSAGE_REQUEST ? read_method(&cursor, ret) : read_outcome(&cursor, ret);
}

static void put_params(struct buf *out, struct slice params)
{
    pack_put_array(out, params.len ? 1 : 0);
    buf_put_slice(out, params);
}

static void put_notification(struct buf *out, const char *method, struct slice params)
{
    buf_clear(out);
    pack_put_array(out, 3);
    pack_put_uint(out, MESSAGE_NOTIFICATION);
    pack_put_text(out, method);
    put_params(out, params);
}

/* Sends what the daemon waits for; it is not worth a failure: the next wait sees the end. */
static void send_out(struct tb_client *client, mono_us deadline)
{
    size_t sent;
    if (channel_send(&client->channel, buf_slice(&client->out), deadline, &sent) !=
        CHANNEL_OK) {
        channel_close(&client->channel);
    }
}

static void send_answers(struct tb_client *client)
{
    if (questions_take(&client->questions, &client->out)) {
        send_out(client, clock_mono() + ANSWER_SEND_US);
    }
}

static void take_question(struct tb_client *client, const struct message *message)
{
    if (!questions_ask(&client->questions, message->msgid, message->method, message->params)) {
        buf_clear(&client->out);
        put_refusal(&client->out, message->msgid, message->method);
        send_out(client, clock_mono() + CANCEL_SEND_US);
    }
}

static void tell_notification(struct tb_client *client, const struct message *message)
{
    char name[64];
    int64_t msgid = 0;
    if (!pack_get_int(message->params, "msgid", &msgid) || msgid < 0 || msgid > UINT32_MAX) {
        msgid = 0;
    }
    if (slice_is(message->method, "cancel")) {
        questions_take_back(&client->questions, (uint32_t)msgid);
        return;
    }
    if (!client->notify || message->method.len >= sizeof name) {
        return;
    }
    memcpy(name, message->method.ptr, message->method.len);
    name[message->method.len] = '\0';
    client->notify(client->notify_arg, name, (uint32_t)msgid,
                   (struct tb_bytes){message->params.ptr, message->params.len});
}

/* Goes through what has arrived. TB_OK: `msgid` is answered in *ret. TB_TIMEOUT: nothing yet. */
static enum tb_status look_for_answer(struct tb_client *client, uint32_t msgid,
                                      struct message *ret)
{
    struct slice frame;
    enum channel_end end = CHANNEL_OK;
    while (client->channel.fd >= 0 && channel_next(&client->channel, &frame, &end)) {
        struct message message;
        if (!message_read(frame, &message)) {
            channel_close(&client->channel);
            return TB_PROTOCOL;
        }
        if (message.kind == MESSAGE_RESPONSE && message.msgid == msgid) {
            *ret = message;
            return TB_OK;
        }
        if (message.kind == MESSAGE_REQUEST) {
            take_question(client, &message);
        } else if (message.kind == MESSAGE_NOTIFICATION) {
            tell_notification(client, &message);
        } /* other answers belong to calls that were given up */
    }
    if (client->channel.fd >= 0) {
        send_answers(client);
    }
    if (client->channel.fd >= 0) {
        return TB_TIMEOUT;
    }
    return end == CHANNEL_MALFORMED ? TB_PROTOCOL : TB_LOST;
}

static enum tb_status fail_ended(struct tb_client *client, enum tb_status status)
{
    questions_end(&client->questions);
    if (status == TB_PROTOCOL) {
        return fail_local(client, TB_PROTOCOL, ERR_INTERNAL,
                          "what came from %s is no MessagePack-RPC, or passes the limit of "
                          "%zu bytes",
                          client->socket, client->channel.limits.bytes);
    }
    return fail_local(client, TB_LOST, ERR_OUTCOME_UNKNOWN,
                      "the daemon closed the connection before it answered");
}

static void send_cancel(struct tb_client *client, uint32_t msgid)
{
    struct buf params;
    size_t sent;
    buf_init(&params, 64);
    pack_put_map(&params, 1);
    pack_put_key_int(&params, "msgid", msgid);
    put_notification(&client->out, "cancel", buf_slice(&params));
    buf_done(&params);
    if (channel_send(&client->channel, buf_slice(&client->out), clock_mono() + CANCEL_SEND_US,
                     &sent) != CHANNEL_OK) {
        channel_close(&client->channel);
    }
}

/* Whether a wait was ended by an answer that is to be sent, and by nothing else. */
static bool has_answer(const struct tb_client *client, enum channel_end end)
{
    return end == CHANNEL_WOKEN && client->channel.woken < WAKE_CANCEL;
}

/* Waits for bytes; a wish to cancel is sent on once and shortens the wait. */
static enum tb_status wait_on(struct tb_client *client, uint32_t msgid, mono_us *deadline,
                              bool *is_cancelled)
{
    enum channel_end end = channel_wait(&client->channel, *deadline);
    if (end == CHANNEL_WOKEN && !has_answer(client, end) && !*is_cancelled &&
        !client->is_greeting) {
        mono_us grace = clock_mono() + CANCEL_GRACE_US;
        *is_cancelled = true;
        *deadline = grace < *deadline ? grace : *deadline;
        send_cancel(client, msgid);
        return client->channel.fd >= 0 ? TB_OK : fail_ended(client, TB_LOST);
    }
    if (end == CHANNEL_OK || has_answer(client, end)) {
        return TB_OK;
    }
    if (end == CHANNEL_WOKEN || (end == CHANNEL_TIMEOUT && *is_cancelled)) {
        return fail_local(client, TB_CANCELLED, ERR_CANCELLED, "cancelled by the caller");
    }
    if (end == CHANNEL_TIMEOUT) {
        send_cancel(client, msgid);
        return fail_unanswered(client);
    }
    return fail_ended(client, end == CHANNEL_MALFORMED ? TB_PROTOCOL : TB_LOST);
}

static enum tb_status await_answer(struct tb_client *client, uint32_t msgid, mono_us deadline,
                                   struct tb_bytes *ret)
{
    bool is_cancelled = false;
    for (;;) {
        struct message message;
        enum tb_status status = look_for_answer(client, msgid, &message);
        if (status == TB_OK && message.error.len) {
            return fail_remote(client, message.error);
        }
        if (status == TB_OK) {
            *ret = (struct tb_bytes){message.result.ptr, message.result.len};
            return TB_OK;
        }
        if (status != TB_TIMEOUT) {
            return fail_ended(client, status);
        }
        status = wait_on(client, msgid, &deadline, &is_cancelled);
        if (status != TB_OK) {
            return status;
        }
    }
}

/* Sends client->out. *ret_unsent: the connection had ended before the first byte. */
static enum tb_status send_frame(struct tb_client *client, mono_us deadline, bool *ret_unsent)
{
    struct buf *out = &client->out;
    size_t sent;
    *ret_unsent = false;
    if (out->overflow || (client->send_max && out->len > client->send_max)) {
        return fail_local(client, TB_INVALID, ERR_OVERLOADED,
                          "the request passes the daemon's limit of %zu bytes a frame",
                          client->send_max ? client->send_max : out->max);
    }
    enum channel_end end = channel_send(&client->channel, buf_slice(out), deadline, &sent);
    if (end == CHANNEL_OK) {
        return TB_OK;
    }
    if (end == CHANNEL_TIMEOUT) {
        return fail_local(client, TB_TIMEOUT, ERR_TIMEOUT,
                          "the daemon did not take the request within the deadline");
    }
    *ret_unsent = sent == 0;
    return fail_local(client, TB_UNREACHABLE, ERR_UNAVAILABLE,
                      "the daemon closed the connection before the request was out");
}

enum tb_status exchange(struct tb_client *client, const char *method, struct slice params,
                        mono_us deadline, struct tb_bytes *ret, bool *ret_unsent)
{
    uint32_t msgid = ++client->next_msgid;
    struct buf *out = &client->out;
    buf_clear(out);
    pack_put_array(out, 4);
    pack_put_uint(out, MESSAGE_REQUEST);
    pack_put_uint(out, msgid);
    pack_put_text(out, method);
    put_params(out, params);
    enum tb_status status = send_frame(client, deadline, ret_unsent);
    return status == TB_OK ? await_answer(client, msgid, deadline, ret) : status;
}

enum tb_status exchange_notify(struct tb_client *client, const char *method,
                               struct slice params, mono_us deadline)
{
    bool is_unsent;
    put_notification(&client->out, method, params);
    return send_frame(client, deadline, &is_unsent);
}

enum tb_status exchange_listen(struct tb_client *client, mono_us deadline)
{
    for (;;) {
        struct message ignored;
        enum tb_status status = look_for_answer(client, 0, &ignored);
        if (status != TB_TIMEOUT && status != TB_OK) {
            return fail_ended(client, status);
        }
        enum channel_end end = channel_wait(&client->channel, deadline);
        if (end == CHANNEL_TIMEOUT) {
            return fail_local(client, TB_TIMEOUT, ERR_TIMEOUT, "the time to listen is over");
        }
        if (end == CHANNEL_WOKEN && !has_answer(client, end)) {
            return fail_local(client, TB_CANCELLED, ERR_CANCELLED, "cancelled by the caller");
        }
        if (end != CHANNEL_OK && end != CHANNEL_WOKEN) {
            return fail_ended(client, end == CHANNEL_MALFORMED ? TB_PROTOCOL : TB_LOST);
        }
    }
}
