/* SPDX-License-Identifier: MIT */
/* error.c - the last error of a client: from the daemon's map, or made here in the same form. */
#include "client_internal.h"

#include "value/pack.h"

#include <stdarg.h>
#include <stdio.h>

/* A terminated copy in client->texts, which has room for all of them. */
static const char *keep_text(struct tb_client *client, const char *key)
{
    struct slice text;
    if (!pack_get_text(buf_slice(&client->map), key, &text) || text.len == 0) {
        return "";
    }
    size_t at = client->texts.len;
    buf_put_slice(&client->texts, text);
    buf_put_byte(&client->texts, 0);
    return client->texts.overflow ? "" : client->texts.data + at;
}

static enum tb_status set_error(struct tb_client *client, enum tb_status status)
{
    struct slice map = buf_slice(&client->map);
    struct tb_error *error = &client->error;
    struct slice details = {NULL, 0};
    *error = (struct tb_error){.status = status, .retry_after_ms = -1};
    buf_clear(&client->texts);
    (void)buf_reserve(&client->texts, map.len + 16);
    error->code = keep_text(client, "code");
    error->message = keep_text(client, "message");
    error->user_message = keep_text(client, "user_message");
    error->suggestion = keep_text(client, "suggestion");
    error->request_id = keep_text(client, "request_id");
    (void)pack_get_bool(map, "retryable", &error->retryable);
    (void)pack_get_int(map, "retry_after_ms", &error->retry_after_ms);
    (void)pack_get(map, "details", &details);
    error->details = (struct tb_bytes){details.ptr, details.len};
    error->map = (struct tb_bytes){map.ptr, map.len};
    return status;
}

static enum tb_status set_failure(struct tb_client *client, enum tb_status status,
                                  struct failure *failure)
{
    buf_clear(&client->map);
    failure_put(failure, SLICE(""), &client->map);
    failure_done(failure);
    return set_error(client, status);
}

enum tb_status fail_remote(struct tb_client *client, struct slice map)
{
    struct pack cursor = pack_over(map);
    struct pack_item item;
    (void)pack_next(&cursor, &item);
    if (item.type == PACK_MAP) {
        buf_clear(&client->map);
        buf_put_slice(&client->map, map);
        return set_error(client, TB_REMOTE);
    }
    /* MessagePack-RPC allows any value as an error, and other servers send plain text. */
    struct slice text = item.type == PACK_STR ? item.text : SLICE("an error without words");
    return fail_local(client, TB_REMOTE, ERR_INTERNAL, "%.*s", SLICE_ARG(text));
}

enum tb_status fail_local(struct tb_client *client, enum tb_status status, enum err_code code,
                          const char *format, ...)
{
    char text[sizeof((struct err *)NULL)->text];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct failure failure = {0};
    failure_set(&failure, code, "%s", text);
    if (status == TB_PROTOCOL) {
        failure_suggest(&failure,
                        "Look at what listens at %s: it does not behave like toolbrokerd.",
                        client->socket);
    }
    return set_failure(client, status, &failure);
}

enum tb_status fail_unanswered(struct tb_client *client)
{
    struct failure failure = {0};
    failure_set(&failure, ERR_TIMEOUT, "the daemon did not answer within the deadline");
    failure_suggest(&failure,
                    "It was told to cancel, but may have done it: check before calling "
                    "again, or give more time.");
    failure.is_retryable = false;
    return set_failure(client, TB_TIMEOUT, &failure);
}

enum tb_status fail_repeatable(struct tb_client *client, enum tb_status status)
{
    struct failure failure = {0};
    failure_set(&failure, status == TB_LOST ? ERR_OUTCOME_UNKNOWN : ERR_TIMEOUT, "%s",
                client->error.message);
    failure_suggest(&failure, "Call again with the same idempotency_key: it is done once, and "
                              "its first outcome is the answer.");
    failure.is_retryable = true;
    return set_failure(client, status, &failure);
}

enum tb_status fail_unreachable(struct tb_client *client, const struct err *err)
{
    struct failure failure = {0};
    failure_from_err(&failure, err);
    if (err->code == ERR_POLICY_DENIED) {
        failure_suggest(&failure,
                        "Become a member of the socket's group, or run as its owner.");
    } else if (err->code == ERR_INVALID_REQUEST) {
        failure_suggest(&failure, "Name another socket, with --socket or $TOOLBROKER_SOCKET.");
    } else {
        failure_suggest(&failure, "Start toolbrokerd, or name its socket with --socket or "
                                  "$TOOLBROKER_SOCKET.");
    }
    return set_failure(client, err->code == ERR_INVALID_REQUEST ? TB_INVALID : TB_UNREACHABLE,
                       &failure);
}
