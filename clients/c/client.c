/* SPDX-License-Identifier: MIT */
/* client.c - the public functions: a client's life, connecting, calling. */
#include "client_internal.h"

#include "base/mem.h"
#include "value/json.h"
#include "value/pack.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define FRAME_BYTES    67108864u
#define SEND_BYTES     67108864u
#define ERROR_BYTES    1048576u
#define CONNECT_MS     5000
#define RECONNECT_MS   5000
#define NAP_FIRST_MS   10
#define NAP_LONGEST_MS 320

static char *default_socket(void)
{
    static const char system_path[] = "/run/toolbroker/toolbroker.sock";
    const char *given = getenv("TOOLBROKER_SOCKET");
    if (given && *given) {
        return mem_dup(slice_of(given));
    }
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (!runtime || *runtime != '/') {
        return mem_dup(SLICE(system_path));
    }
    struct buf path;
    buf_init(&path, 8192);
    buf_printf(&path, "%s/toolbroker/toolbroker.sock", runtime);
    bool is_system = access(buf_text(&path), F_OK) != 0 && access(system_path, F_OK) == 0;
    char *found = mem_dup(is_system ? SLICE(system_path) : buf_slice(&path));
    buf_done(&path);
    return found;
}

static void put_empty(struct buf *out, const char *name)
{
    pack_put_text(out, name);
    pack_put_map(out, 0);
}

/* MCP's ClientCapabilities. */
static void put_capabilities(struct buf *out, unsigned mask)
{
    bool has_form = mask & TB_ELICIT_FORM;
    bool has_url = mask & TB_ELICIT_URL;
    bool has_tools = mask & TB_SAMPLE_TOOLS;
    uint32_t count = 0;
    size_t opened = pack_open(out);
    if (has_form || has_url) {
        pack_put_text(out, "elicitation");
        pack_put_map(out, (uint32_t)has_form + has_url);
        if (has_form) {
            put_empty(out, "form");
        }
        if (has_url) {
            put_empty(out, "url");
        }
        count++;
    }
    if (has_tools || (mask & TB_SAMPLE)) {
        pack_put_text(out, "sampling");
        pack_put_map(out, has_tools);
        if (has_tools) {
            put_empty(out, "tools");
        }
        count++;
    }
    if (mask & TB_LIST_ROOTS) {
        put_empty(out, "roots");
        count++;
    }
    pack_close_map(out, opened, count);
}

static void put_hello(struct buf *out, const struct tb_options *options)
{
    const char *const keys[] = {"client", "version", "agent", "user", "locale"};
    const char *const values[] = {options->client ? options->client : "toolbroker-c",
                                  options->version ? options->version : TOOLBROKER_VERSION,
                                  options->agent, options->user, options->locale};
    uint32_t count = options->capabilities ? 1 : 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        count += values[i] != NULL;
    }
    pack_put_map(out, count);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (values[i]) {
            pack_put_key_text(out, keys[i], values[i]);
        }
    }
    if (options->capabilities) {
        pack_put_text(out, "capabilities");
        put_capabilities(out, options->capabilities);
    }
}

struct tb_client *tb_client_new(const struct tb_options *options)
{
    static const struct tb_options defaults;
    options = options ? options : &defaults;
    int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake < 0) {
        return NULL;
    }
    struct tb_client *client = mem_new(sizeof *client);
    client->wake = wake;
    channel_init(&client->channel, client->wake,
                 options->frame_bytes ? options->frame_bytes : FRAME_BYTES);
    client->socket = options->socket ? mem_dup(slice_of(options->socket)) : default_socket();
    client->connect_ms = options->connect_ms > 0 ? options->connect_ms : CONNECT_MS;
    client->reconnect_ms = options->reconnect_ms > 0 ? options->reconnect_ms : RECONNECT_MS;
    client->notify = options->notify;
    client->notify_arg = options->notify_arg;
    questions_init(&client->questions, options);
    buf_init(&client->hello_params, ERROR_BYTES);
    buf_init(&client->hello, ERROR_BYTES);
    buf_init(&client->out, SEND_BYTES);
    buf_init(&client->params, SEND_BYTES);
    /* JSON is longer than MessagePack: at worst \u00XX for one byte. */
    buf_init(&client->json, client->channel.limits.bytes * 6 + 1);
    buf_init(&client->map, client->channel.limits.bytes + ERROR_BYTES);
    buf_init(&client->texts, client->channel.limits.bytes + ERROR_BYTES);
    put_hello(&client->hello_params, options);
    client->error = (struct tb_error){.code = "",
                                      .message = "",
                                      .user_message = "",
                                      .suggestion = "",
                                      .request_id = "",
                                      .retry_after_ms = -1};
    return client;
}

void tb_client_free(struct tb_client *client)
{
    if (!client) {
        return;
    }
    channel_done(&client->channel);
    questions_done(&client->questions);
    (void)close(client->wake);
    buf_done(&client->hello_params);
    buf_done(&client->hello);
    buf_done(&client->out);
    buf_done(&client->params);
    buf_done(&client->json);
    buf_done(&client->map);
    buf_done(&client->texts);
    mem_free(client->socket);
    mem_free(client);
}

const char *tb_client_socket(const struct tb_client *client)
{
    return client->socket;
}

const struct tb_error *tb_last_error(const struct tb_client *client)
{
    return &client->error;
}

struct tb_bytes tb_hello(const struct tb_client *client)
{
    return (struct tb_bytes){client->hello.data, client->hello.len};
}

static void wake(const struct tb_client *client, uint64_t why)
{
    int saved = errno;
    (void)!write(client->wake, &why, sizeof why);
    errno = saved;
}

void tb_cancel(struct tb_client *client)
{
    wake(client, WAKE_CANCEL);
}

bool tb_answer(struct tb_client *client, uint64_t id, struct tb_bytes result)
{
    if (!questions_answer(&client->questions, id, (struct slice){result.data, result.len})) {
        return false;
    }
    wake(client, WAKE_ANSWER);
    return true;
}

static mono_us deadline_in(int timeout_ms)
{
    return timeout_ms < 0 ? MONO_NEVER : clock_mono() + (mono_us)timeout_ms * 1000;
}

static mono_us earlier(mono_us a, mono_us b)
{
    return a < b ? a : b;
}

/* Sleeps between two attempts; true when tb_cancel ended it. */
static bool nap(struct tb_client *client, int ms)
{
    struct pollfd watched = {.fd = client->wake, .events = POLLIN};
    if (poll(&watched, 1, ms) <= 0) {
        return false;
    }
    uint64_t why = 0;
    (void)!read(client->wake, &why, sizeof why);
    return why >= WAKE_CANCEL;
}

static void keep_hello(struct tb_client *client, struct tb_bytes answer)
{
    struct slice limits;
    int64_t bytes = 0;
    buf_clear(&client->hello);
    buf_put(&client->hello, answer.data, answer.len);
    if (pack_get(buf_slice(&client->hello), "limits", &limits) &&
        pack_get_int(limits, "frame_bytes", &bytes) && bytes > 0) {
        client->send_max = (size_t)bytes;
    }
}

static enum tb_status fail_cancelled(struct tb_client *client)
{
    return fail_local(client, TB_CANCELLED, ERR_CANCELLED, "cancelled by the caller");
}

/* Opens the socket; a daemon that was there before is looked for until `patience`. */
static enum tb_status open_patiently(struct tb_client *client, mono_us deadline,
                                     mono_us patience)
{
    int pause_ms = NAP_FIRST_MS;
    for (;;) {
        struct err err;
        int failed = channel_open(&client->channel, client->socket, deadline, &err);
        if (failed == 0) {
            return TB_OK;
        }
        if (failed != -ERR_UNAVAILABLE || clock_mono() >= patience) {
            return fail_unreachable(client, &err);
        }
        if (nap(client, pause_ms)) {
            return fail_cancelled(client);
        }
        pause_ms = pause_ms < NAP_LONGEST_MS ? pause_ms * 2 : NAP_LONGEST_MS;
    }
}

static enum tb_status say_hello(struct tb_client *client, mono_us deadline)
{
    struct tb_bytes answer;
    bool is_unsent;
    buf_clear(&client->hello);
    client->send_max = 0;
    client->is_greeting = true;
    enum tb_status status = exchange(client, "hello", buf_slice(&client->hello_params),
                                     deadline, &answer, &is_unsent);
    client->is_greeting = false;
    if (status == TB_OK) {
        keep_hello(client, answer);
        questions_connected(&client->questions, client->send_max);
        client->was_connected = true;
    } else {
        channel_close(&client->channel);
    }
    return status;
}

/* A connection that has said hello, the one that is there or a new one. */
static enum tb_status ensure_connected(struct tb_client *client, mono_us deadline)
{
    if (channel_is_alive(&client->channel)) {
        return TB_OK;
    }
    questions_end(&client->questions);
    mono_us now = clock_mono();
    mono_us greeted_by = earlier(deadline, now + (mono_us)client->connect_ms * 1000);
    mono_us patience = now;
    if (client->was_connected) {
        patience = earlier(deadline, now + (mono_us)client->reconnect_ms * 1000);
        greeted_by = earlier(deadline, patience + (mono_us)client->connect_ms * 1000);
    }
    for (;;) {
        enum tb_status status = open_patiently(client, greeted_by, patience);
        if (status != TB_OK) {
            return status;
        }
        status = say_hello(client, greeted_by);
        if (status != TB_LOST && status != TB_UNREACHABLE) {
            return status;
        }
        /* A daemon that ends just now takes the connection and closes it. `hello` does nothing,
         * so it may be said again, and the caller's request was not sent. */
        if (clock_mono() >= patience) {
            return fail_local(client, TB_UNREACHABLE, ERR_UNAVAILABLE,
                              "the daemon closed the connection at once");
        }
        if (nap(client, NAP_FIRST_MS)) {
            return fail_cancelled(client);
        }
    }
}

static enum tb_status refuse_reentry(struct tb_client *client)
{
    return fail_local(
        client, TB_INVALID, ERR_INVALID_REQUEST,
        "a function of this client runs already; a callback may not start another");
}

enum tb_status tb_connect(struct tb_client *client)
{
    if (client->is_busy) {
        return refuse_reentry(client);
    }
    client->is_busy = true;
    enum tb_status status = ensure_connected(client, MONO_NEVER);
    client->is_busy = false;
    return status;
}

static enum tb_status check_params(struct tb_client *client, struct slice params)
{
    struct pack_scan scan;
    PACK_SCAN_START(&scan);
    struct pack_limits limits = {
        .bytes = SEND_BYTES, .depth = PACK_DEPTH_MAX, .items = UINT32_MAX};
    if (params.len == 0) {
        return TB_OK;
    }
    if (pack_peek(pack_over(params)) != PACK_MAP ||
        pack_scan(&scan, params, &limits) != PACK_SCAN_DONE || scan.at != params.len) {
        return fail_local(client, TB_INVALID, ERR_INVALID_REQUEST,
                          "params are not one MessagePack map");
    }
    return TB_OK;
}

static enum tb_status call(struct tb_client *client, const char *method, struct slice params,
                           mono_us deadline, struct tb_bytes *ret)
{
    for (;;) {
        bool is_unsent = false;
        enum tb_status status = ensure_connected(client, deadline);
        if (status != TB_OK) {
            return status;
        }
        status = exchange(client, method, params, deadline, ret, &is_unsent);
        if (!is_unsent || clock_mono() >= deadline) {
            return status;
        }
    }
}

/* The answer to a sent request was lost or came too late, but the daemon does it once. */
static bool is_repeatable(const struct tb_client *client, enum tb_status status,
                          const char *method, struct slice params)
{
    struct slice key;
    return (status == TB_LOST || status == TB_TIMEOUT) && !client->error.retryable &&
           strcmp(method, "tools.call") == 0 && pack_get_text(params, "idempotency_key", &key);
}

enum tb_status tb_call(struct tb_client *client, const char *method, struct tb_bytes params,
                       int timeout_ms, struct tb_bytes *ret)
{
    struct slice bytes = {params.data, params.len};
    if (client->is_busy) {
        return refuse_reentry(client);
    }
    client->is_busy = true;
    enum tb_status status = check_params(client, bytes);
    if (status == TB_OK) {
        status = call(client, method, bytes, deadline_in(timeout_ms), ret);
    }
    if (is_repeatable(client, status, method, bytes)) {
        status = fail_repeatable(client, status);
    }
    client->is_busy = false;
    return status;
}

enum tb_status tb_call_json(struct tb_client *client, const char *method, const char *params,
                            int timeout_ms, const char **ret)
{
    struct err err;
    struct tb_bytes answer = {NULL, 0};
    if (client->is_busy) {
        return refuse_reentry(client);
    }
    buf_clear(&client->params);
    if (params && json_to_pack(slice_of(params), JSON_DEPTH_MAX, &client->params, &err) != 0) {
        return fail_local(client, TB_INVALID, ERR_VALIDATION_ERROR, "params: %s", err.text);
    }
    struct tb_bytes bytes = {client->params.data, client->params.len};
    enum tb_status status = tb_call(client, method, bytes, timeout_ms, &answer);
    if (status != TB_OK) {
        return status;
    }
    buf_clear(&client->json);
    if (json_from_pack((struct slice){answer.data, answer.len}, "result", &client->json,
                       &err) != 0) {
        return fail_local(client, TB_PROTOCOL, ERR_INTERNAL, "the answer is no JSON: %s",
                          err.text);
    }
    *ret = buf_text(&client->json);
    return TB_OK;
}

enum tb_status tb_notify(struct tb_client *client, const char *method, struct tb_bytes params)
{
    struct slice bytes = {params.data, params.len};
    mono_us deadline = deadline_in(client->connect_ms);
    if (client->is_busy) {
        return refuse_reentry(client);
    }
    client->is_busy = true;
    enum tb_status status = check_params(client, bytes);
    if (status == TB_OK) {
        status = ensure_connected(client, deadline);
    }
    if (status == TB_OK) {
        status = exchange_notify(client, method, bytes, deadline);
    }
    client->is_busy = false;
    return status;
}

enum tb_status tb_ping(struct tb_client *client, int timeout_ms, int64_t *ret_us)
{
    struct tb_bytes answer;
    enum tb_status status = tb_connect(client);
    mono_us began = clock_mono();
    if (status == TB_OK) {
        status = tb_call(client, "ping", (struct tb_bytes){NULL, 0}, timeout_ms, &answer);
    }
    if (status == TB_OK && ret_us) {
        *ret_us = clock_mono() - began;
    }
    return status;
}

enum tb_status tb_listen(struct tb_client *client, int timeout_ms)
{
    mono_us deadline = deadline_in(timeout_ms);
    if (client->is_busy) {
        return refuse_reentry(client);
    }
    client->is_busy = true;
    enum tb_status status = ensure_connected(client, deadline);
    if (status == TB_OK) {
        status = exchange_listen(client, deadline);
    }
    client->is_busy = false;
    return status;
}
