/* SPDX-License-Identifier: MIT */
/*
 * served.h - the rooms of a call with a scripted server behind and a real socket in front: what a
 * client sends goes all the way, what the server says is said by the test.
 */
#ifndef TESTS_UNIT_CALL_SERVED_H
#define TESTS_UNIT_CALL_SERVED_H

/* The scripted server has a struct of this name for its own calls. */
#define call_options fake_call_options
#include "../mcp/fake.h"
#undef call_options

#include "call/call.h"

#include "../front_door.h"
#include "../policy_text.h"

#include <errno.h>

static struct served {
    struct bench bench;
    struct rpc_server *server;
    struct rpc_limits limits;
    struct metrics metrics;
    struct calls *calls;
    struct gates *gates;
    struct share_limits shares;
    uint32_t calls_max;
    struct sockaddr_un address;
    char folder[64];
    unsigned drained;
} served;

/* ---- methods: as the daemon has them, as far as needed ------------------------------------- */

static void handle_call(void *arg, struct rpc_request *request)
{
    (void)arg;
    const struct rpc_value *args = request->args;
    call_start(served.calls, request,
               &(struct call_options){.tool = args[0].text,
                                      .agent = args[1].text,
                                      .user = args[2].text,
                                      .arguments = args[3].text,
                                      .timeout_ms = args[4].number,
                                      .wants_task = args[5].given && args[5].number,
                                      .idempotency_key = args[6].text});
}

/* resources.list, resources.read, tasks.get: `name` is the uri or the handle. */
static void handle_feature(struct rpc_request *request, enum mcp_method method)
{
    const struct rpc_value *args = request->args;
    struct feature_options options = {.method = method,
                                      .service = args[0].text,
                                      .agent = args[1].text,
                                      .user = args[2].text,
                                      .name = args[3].text,
                                      .is_page = args[4].given};
    if (args[4].given && args[4].text.len) {
        options.cursor = args[4].text;
    }
    call_feature(served.calls, request, &options);
}

static void handle_resources(void *arg, struct rpc_request *request)
{
    (void)arg;
    handle_feature(request, MCP_RESOURCES_LIST);
}

static void handle_read(void *arg, struct rpc_request *request)
{
    (void)arg;
    handle_feature(request, MCP_RESOURCES_READ);
}

static void handle_task(void *arg, struct rpc_request *request)
{
    (void)arg;
    handle_feature(request, MCP_TASKS_GET);
}

/* The peer is one that can be asked everything; with `uid` it is another user of the system. */
static void handle_hello(void *arg, struct rpc_request *request)
{
    (void)arg;
    struct rpc_identity *identity = (struct rpc_identity *)rpc_identity(request->peer);
    struct rpc_defaults defaults = {.capabilities =
                                        MCP_CAN_ELICIT | MCP_CAN_SAMPLE | MCP_CAN_LIST_ROOTS};
    if (request->args[0].given) {
        identity->uid = (uid_t)request->args[0].number;
    } else {
        rpc_set_defaults(request->peer, &defaults);
    }
    pack_put_nil(rpc_result(request));
    rpc_result_end(request);
}

static void handle_list(void *arg, struct rpc_request *request)
{
    (void)arg;
    const struct rpc_value *args = request->args;
    call_list_tools(served.calls, request,
                    &(struct list_options){.agent = args[0].text, .service = args[1].text});
}

static void handle_count(void *arg, struct rpc_request *request)
{
    (void)arg;
    calls_put(served.calls, rpc_result(request));
    rpc_result_end(request);
}

static const struct rpc_param call_params[] = {
    PARAM("tool", TEXT),           PARAM("agent", TEXT),     PARAM("user", TEXT),
    PARAM("arguments", MAP),       PARAM("timeout_ms", INT), PARAM("task", BOOL),
    PARAM("idempotency_key", TEXT)};
static const struct rpc_param feature_params[] = {PARAM("service", TEXT), PARAM("agent", TEXT),
                                                  PARAM("user", TEXT), PARAM("name", TEXT),
                                                  PARAM("cursor", TEXT)};
static const struct rpc_param hello_params[] = {PARAM("uid", INT)};
static const struct rpc_param list_params[] = {PARAM("agent", TEXT), PARAM("service", TEXT)};
static const struct rpc_method served_methods[] = {
    {"tools.call", "", call_params, 7, RPC_CLIENT, handle_call, "{}"},
    {"resources.list", "", feature_params, 5, RPC_CLIENT, handle_resources, "{}"},
    {"resources.read", "", feature_params, 5, RPC_CLIENT, handle_read, "{}"},
    {"tasks.get", "", feature_params, 5, RPC_CLIENT, handle_task, "{}"},
    {"hello", "", hello_params, 1, RPC_CLIENT, handle_hello, "{}"},
    {"tools.list", "", list_params, 2, RPC_CLIENT, handle_list, "{}"},
    {"calls.list", "", NULL, 0, RPC_CLIENT, handle_count, "{}"},
};

/* ---- set up ------------------------------------------------------------------------------ */

static inline struct policy *policy_of(const char *text)
{
    return policy_of_text(served.folder, text);
}

/* What holds where nothing is written. */
static inline struct service_conf *plain_conf(const char *name, const char *written)
{
    struct service_conf *conf = conf_new(name, written);
    service_conf_set_defaults(conf);
    conf->era = SERVICE_ERA_LEGACY;
    conf->concurrency = 100;
    return conf;
}

/* Takes over the references. */
static inline void apply_served(struct service_conf **list, size_t count)
{
    struct service_set set = {list, count};
    gates_apply(served.gates, &set);
    apply(&served.bench, list, count);
}

/* The rooms behind the socket. `state`: folder of the store; NULL: there is none. */
static inline void serve_rooms(bool is_http, const char *state)
{
    bench_init_at(&served.bench, is_http, state);
    served.gates = gates_new(
        &(struct gates_options){.loop = served.bench.loop, .store = served.bench.store});
    served.calls = calls_new(&(struct calls_options){.loop = served.bench.loop,
                                                     .services = served.bench.services,
                                                     .gates = served.gates,
                                                     .store = served.bench.store,
                                                     .metrics = &served.metrics,
                                                     .calls_max = &served.calls_max,
                                                     .shares = &served.shares});
}

static inline void serve_socket(void)
{
    served.server = rpc_server_new(
        &(struct rpc_options){.loop = served.bench.loop,
                              .limits = &served.limits,
                              .methods = served_methods,
                              .method_count = sizeof served_methods / sizeof *served_methods,
                              .metrics = &served.metrics});
    listen_in(served.folder, served.server, &served.address);
}

static inline void end_rooms(void)
{
    rpc_server_free(served.server);
    calls_free(served.calls);
    mcp_services_free(served.bench.services);
    gates_free(served.gates);
    served.bench.services = NULL;
    bench_done(&served.bench);
    served.server = NULL;
}

/* Services "s" and "t", both with the tool `echo` once serve_echo has been run on their fakes. */
static inline int serve_at(const char *policy_text, bool is_http, const char *state)
{
    memset(&served, 0, sizeof served);
    served.limits = (struct rpc_limits){
        .frame = {.bytes = 1u << 24, .depth = 32, .items = 100000},
        .reply_bytes = 1u << 24,
        .peer_buffer_bytes = 1u << 24,
        .connections = 100,
        .connections_per_uid = 100,
        .inflight = 256,
    };
    served.calls_max = 100;
    (void)snprintf(served.folder, sizeof served.folder, "/tmp/test_call.XXXXXX");
    assert_non_null(mkdtemp(served.folder));
    serve_rooms(is_http, state);
    calls_set_policy(served.calls, policy_of(policy_text));
    serve_socket();
    struct service_conf *list[] = {plain_conf("s", "s"), plain_conf("t", "t")};
    apply_served(list, 2);
    (void)alarm(110); /* a loop without an end is a failure too */
    return 0;
}

static inline int serve(const char *policy_text)
{
    return serve_at(policy_text, false, NULL);
}

static inline int serve_end(void **state)
{
    (void)state;
    end_rooms();
    (void)unlink(served.address.sun_path);
    (void)rmdir(served.folder);
    (void)alarm(0);
    return 0;
}

static inline void turns(unsigned count)
{
    while (count--) {
        turn(&served.bench);
    }
}

/* ---- the client -------------------------------------------------------------------------- */

static inline int connect_client(void)
{
    int fd = connect_to(&served.address);
    turns(2);
    return fd;
}

/* A request whose parameters are `json`; no turn is made. */
static inline void ask(int fd, uint32_t msgid, const char *method, const char *json)
{
    struct buf frame;
    struct buf params;
    buf_init(&frame, (size_t)1 << 24);
    pack_put_array(&frame, 4);
    pack_put_uint(&frame, 0);
    pack_put_uint(&frame, msgid);
    pack_put_text(&frame, method);
    pack_put_array(&frame, 1);
    buf_put_slice(&frame, pack(&params, json));
    assert_int_equal(send(fd, frame.data, frame.len, MSG_NOSIGNAL), (ssize_t)frame.len);
    buf_done(&frame);
    buf_done(&params);
}

static inline void cancel_call(int fd, uint32_t msgid)
{
    struct buf frame;
    buf_init(&frame, 4096);
    pack_put_array(&frame, 3);
    pack_put_uint(&frame, 2);
    pack_put_text(&frame, "cancel");
    pack_put_array(&frame, 1);
    pack_put_map(&frame, 1);
    pack_put_key_int(&frame, "msgid", msgid);
    assert_int_equal(send(fd, frame.data, frame.len, MSG_NOSIGNAL), (ssize_t)frame.len);
    buf_done(&frame);
    turns(3);
}

/* What the client was sent since it last looked, each message as JSON on a line; owned by the
 * caller. */
static inline char *heard(int fd)
{
    static char bytes[1 << 22];
    struct buf text;
    struct slice message;
    size_t len = 0;
    turns(3);
    for (ssize_t n; (n = recv(fd, bytes + len, sizeof bytes - len, 0)) > 0; len += (size_t)n) {
        turns(1);
    }
    struct pack cursor = pack_over((struct slice){bytes, len});
    buf_init(&text, (size_t)1 << 24);
    while (pack_take(&cursor, &message)) {
        char *json = as_json(message);
        buf_printf(&text, "%s\n", json);
        mem_free(json);
    }
    assert_true(cursor.at == (unsigned char *)bytes + len || !len);
    char *copy = mem_dup(buf_slice(&text));
    buf_done(&text);
    return copy;
}

static inline void expect_heard(int fd, const char *part)
{
    char *text = heard(fd);
    if (!strstr(text, part)) {
        fail_msg("no %s in %s", part, text);
    }
    mem_free(text);
}

static inline struct fake *fake_number(size_t i)
{
    assert_true(i < served.bench.fake_count);
    return served.bench.fakes[i];
}

#endif
