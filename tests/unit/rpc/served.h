/* SPDX-License-Identifier: MIT */
/* served.h - a real Unix socket, a real loop, methods to try, and a client of few words. */
#ifndef TESTS_UNIT_RPC_SERVED_H
#define TESTS_UNIT_RPC_SERVED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "loop/block.h"

#include "../front_door.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define KEPT_MAX 512

static struct fixture {
    struct loop *loop;
    struct rpc_server *server;
    struct rpc_limits limits;
    struct metrics metrics;
    struct sockaddr_un address;
    struct rpc_pending kept[KEPT_MAX];
    unsigned kept_count, cancelled_count, gone_count;
    struct block *lent; /* of the last long request to `lend`, and its parameters */
    struct slice lent_params;
    char folder[64];
} fixture;

/* ---- methods under test ----------------------------------------------------------------------- */

static inline void handle_echo(void *arg, struct rpc_request *request)
{
    struct buf *out = rpc_result(request);
    (void)arg;
    if (request->args[0].given) {
        buf_put_slice(out, request->args[0].text);
    } else {
        pack_put_map(out, 0);
    }
    rpc_result_end(request);
}

static inline void kept_cancelled(struct rpc_pending *pending)
{
    fixture.cancelled_count++;
    if (!pending->peer) {
        fixture.gone_count++;
        return;
    }
    struct failure failure = {0};
    failure_set(&failure, ERR_CANCELLED, "cancelled");
    rpc_pending_fail(pending, &failure);
    failure_done(&failure);
}

static inline void handle_keep(void *arg, struct rpc_request *request)
{
    (void)arg;
    assert_true(fixture.kept_count < KEPT_MAX);
    rpc_keep(request, &fixture.kept[fixture.kept_count++], kept_cancelled);
}

static inline void handle_typed(void *arg, struct rpc_request *request)
{
    struct buf *out = rpc_result(request);
    (void)arg;
    pack_put_int(out, request->args[1].number);
    rpc_result_end(request);
}

static inline void handle_large(void *arg, struct rpc_request *request)
{
    size_t size = (size_t)request->args[0].number;
    struct buf *out = rpc_result(request);
    char *zeros = mem_new(size);
    (void)arg;
    pack_put_bin(out, (struct slice){zeros, size});
    mem_free(zeros);
    rpc_result_end(request);
}

static inline void handle_lend(void *arg, struct rpc_request *request)
{
    struct block *block = rpc_request_block(request);
    struct buf *out = rpc_result(request);
    (void)arg;
    assert_ptr_equal(rpc_request_block(request), block);
    if (block) {
        fixture.lent = block_ref(block);
        fixture.lent_params = request->params;
    }
    pack_put_bool(out, block != NULL);
    rpc_result_end(request);
}

/* An error as long as they come. */
static inline void handle_fail(void *arg, struct rpc_request *request)
{
    struct failure failure = {0};
    char *text = mem_new(60000);
    (void)arg;
    memset(text, 'x', 60000);
    failure_set(&failure, ERR_INTERNAL, "as asked for");
    failure_detail_str(&failure, "long", (struct slice){text, 60000});
    rpc_fail(request, &failure);
    failure_done(&failure);
    mem_free(text);
}

static inline void handle_distrust(void *arg, struct rpc_request *request)
{
    struct rpc_identity *identity = (struct rpc_identity *)rpc_identity(request->peer);
    struct buf *out = rpc_result(request);
    (void)arg;
    identity->is_trusted = identity->is_admin = false;
    pack_put_nil(out);
    rpc_result_end(request);
}

#define NAME(text)               \
    {                            \
        (text), sizeof(text) - 1 \
    }

static const struct rpc_param any_params[] = {{NAME(""), RPC_ANY, false, NULL, ""}};
static const struct rpc_param typed_params[] = {
    {NAME("name"), RPC_TEXT, true, NULL, ""},
    {{"count", sizeof("count") - 1}, RPC_INT, false, NULL, ""},
    {NAME("flag"), RPC_BOOL, false, NULL, ""},
    {{"map", sizeof("map") - 1}, RPC_MAP, false, NULL, ""},
    {NAME("format"), RPC_TEXT, false, "mcp|human", ""},
};
static const struct rpc_param size_params[] = {{NAME("size"), RPC_INT, true, NULL, ""}};
static const struct rpc_method methods[] = {
    {"echo", "", any_params, 1, RPC_CLIENT, handle_echo, "{}"},
    {"keep", "", NULL, 0, RPC_CLIENT, handle_keep, "{}"},
    {"typed", "", typed_params, 5, RPC_CLIENT, handle_typed, "{}"},
    {"large", "", size_params, 1, RPC_CLIENT, handle_large, "{}"},
    {"lend", "", any_params, 1, RPC_CLIENT, handle_lend, "{}"},
    {"fail", "", NULL, 0, RPC_CLIENT, handle_fail, "{}"},
    {"distrust", "", NULL, 0, RPC_CLIENT, handle_distrust, "{}"},
    {"rule", "", any_params, 1, RPC_ADMIN, handle_echo, "{}"},
    {"hello", "", any_params, 1, RPC_ANYBODY, handle_echo, "{}"},
};

/* ---- fixture and client ------------------------------------------------------------------------ */

static inline int setup(void **state)
{
    (void)state;
    memset(&fixture, 0, sizeof fixture);
    fixture.limits = (struct rpc_limits){
        .frame = {.bytes = 1u << 20, .depth = 32, .items = 10000},
        .reply_bytes = 1u << 20,
        .peer_buffer_bytes = 4u << 20,
        .connections = 100,
        .connections_per_uid = 100,
        .inflight = 16,
    };
    fixture.loop = loop_new();
    fixture.server = rpc_server_new(&(struct rpc_options){
        .loop = fixture.loop,
        .limits = &fixture.limits,
        .methods = methods,
        .method_count = sizeof methods / sizeof methods[0],
        .metrics = &fixture.metrics,
    });
    (void)snprintf(fixture.folder, sizeof fixture.folder, "/tmp/test_rpc.XXXXXX");
    assert_non_null(mkdtemp(fixture.folder));
    listen_in(fixture.folder, fixture.server, &fixture.address);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    rpc_server_free(fixture.server);
    loop_free(fixture.loop);
    (void)unlink(fixture.address.sun_path);
    (void)rmdir(fixture.folder);
    return 0;
}

static inline void turns(unsigned count)
{
    while (count--) {
        loop_turn(fixture.loop, 0);
    }
}

static inline int connect_client(void)
{
    int fd = connect_to(&fixture.address);
    turns(2);
    return fd;
}

static inline void send_bytes(int fd, const void *bytes, size_t len)
{
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
    turns(3);
}

/* What the server has sent so far, up to `room`; -1 when it closed. */
static inline ssize_t receive(int fd, char *to, size_t room)
{
    turns(2);
    ssize_t n = recv(fd, to, room, 0);
    return n < 0 && errno == EAGAIN ? 0 : n == 0 ? -1 : n;
}

static inline void put_request(struct buf *out, uint32_t msgid, const char *method)
{
    pack_put_array(out, 4);
    pack_put_uint(out, 0);
    pack_put_uint(out, msgid);
    pack_put_text(out, method);
}

struct answer {
    uint64_t msgid;
    char code[40]; /* empty: a result */
    struct slice error, result;
    char bytes[8192];
};

/* The next answer, which must be the only thing there. */
static inline void expect_answer(int fd, struct answer *ret)
{
    struct pack_item item;
    struct slice code;
    ssize_t n = receive(fd, ret->bytes, sizeof ret->bytes);
    assert_true(n > 0);
    struct pack cursor = pack_over((struct slice){ret->bytes, (size_t)n});
    assert_true(pack_next(&cursor, &item) && item.type == PACK_ARRAY && item.count == 4);
    assert_true(pack_next(&cursor, &item) && item.u == 1);
    assert_true(pack_next(&cursor, &item) && pack_as_uint(&item, &ret->msgid));
    assert_true(pack_take(&cursor, &ret->error));
    assert_true(pack_take(&cursor, &ret->result));
    assert_true(cursor.at == cursor.end);
    ret->code[0] = '\0';
    if (pack_get_text(ret->error, "code", &code)) {
        (void)snprintf(ret->code, sizeof ret->code, "%.*s", SLICE_ARG(code));
    }
}

static inline void expect_closed(int fd)
{
    char bytes[4096];
    ssize_t n;
    while ((n = receive(fd, bytes, sizeof bytes)) > 0) {
    }
    assert_int_equal(n, -1);
    (void)close(fd);
}

/* A fresh client is served: nothing that another did harmed the server. */
static inline void expect_served(void)
{
    static const char ping[] = "\x94\x00\x07\xa4"
                               "echo\x90";
    struct answer answer;
    int fd = connect_client();
    send_bytes(fd, ping, sizeof ping - 1);
    expect_answer(fd, &answer);
    assert_int_equal(answer.msgid, 7);
    assert_string_equal(answer.code, "");
    (void)close(fd);
    turns(2);
}

#endif
