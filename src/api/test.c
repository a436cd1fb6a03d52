/* SPDX-License-Identifier: MIT */
/* test.c - the method services.test: a connection of its own to one server, told step by step. */
#include "api/api_internal.h"
#include "base/mem.h"
#include "base/text.h"
#include "mcp/probe.h"

/* Each may start a process. */
#define TESTS_MAX 16u

enum { TEST_SERVICE, TEST_AGENT, TEST_USER, TEST_TIMEOUT };

struct test {
    struct rpc_pending pending;
    struct api *api;
    struct mcp_request *upstream; /* NULL: over */
    char *service, *locale;
};

static void test_free(struct test *test)
{
    if (test->upstream) {
        mcp_cancel(test->upstream, "the test was given up");
    }
    test->api->tests--;
    rpc_pending_drop(&test->pending);
    mem_free(test->service);
    mem_free(test->locale);
    mem_free(test);
}

static void put_step(const struct mcp_probe_report *report, enum mcp_probe_step step,
                     struct buf *out)
{
    static const char *const names[] = {[MCP_PROBE_CONNECT] = "connect",
                                        [MCP_PROBE_HANDSHAKE] = "handshake",
                                        [MCP_PROBE_PING] = "ping",
                                        [MCP_PROBE_LIST] = "list"};
    char words[FAILURE_TEXT_BYTES + 1];
    bool has_failed = report->failure && step == report->reached;
    mono_us took = report->took[step];
    pack_put_map(out, 3u + has_failed);
    pack_put_key_text(out, "step", names[step]);
    pack_put_key_int(out, "ms", took > 0 ? took / 1000 : 0);
    pack_put_key_bool(out, "ok", !has_failed);
    if (has_failed) {
        pack_put_text(out, "error");
        pack_put_map(out, 2);
        pack_put_key_text(out, "code", err_name(report->failure->code));
        text_copy(words, sizeof words, buf_slice(&report->failure->message));
        pack_put_key_text(out, "message", words);
    }
}

static void put_steps(const struct mcp_probe_report *report, struct buf *out)
{
    uint32_t count = 0;
    pack_put_text(out, "steps");
    size_t opened = pack_open(out);
    for (int step = 0; step < MCP_PROBE_STEPS; step++) {
        bool is_last = report->failure && step == (int)report->reached;
        if (report->took[step] >= 0 || is_last) {
            put_step(report, (enum mcp_probe_step)step, out);
            count++;
        }
    }
    pack_close_array(out, opened, count);
}

static uint32_t put_server(const struct mcp_probe_report *report, struct buf *out)
{
    uint32_t count = 0;
    if (report->protocol) {
        pack_put_key_text(out, "protocol", report->protocol);
        count++;
    }
    if (report->server_name) {
        pack_put_text(out, "server");
        pack_put_map(out, report->server_version ? 2 : 1);
        pack_put_key_text(out, "name", report->server_name);
        if (report->server_version) {
            pack_put_key_text(out, "version", report->server_version);
        }
        count++;
    }
    if (report->tools >= 0) {
        pack_put_key_int(out, "tools", report->tools);
        count++;
    }
    return count;
}

static void put_error(const struct test *test, const struct failure *given, struct buf *out)
{
    struct slice name = slice_of(test->service);
    const struct mcp_service *service = mcp_services_find(test->api->services, name);
    struct failure failure = {0};
    char id[RPC_ID_TEXT];
    rpc_id_text(test->pending.id, id);
    failure_copy(&failure, given);
    policy_message(calls_policy(test->api->calls), slice_of(test->locale), name,
                   service ? mcp_service_conf(service)->title : name, &failure);
    pack_put_text(out, "error");
    failure_put(&failure, slice_of(id), out);
    failure_done(&failure);
}

static void tested(void *arg, const struct mcp_probe_report *report)
{
    struct test *test = arg;
    struct buf *out = rpc_pending_result(&test->pending);
    test->upstream = NULL;
    if (out) {
        uint32_t count = 4;
        size_t opened = pack_open(out);
        pack_put_key_text(out, "service", test->service);
        pack_put_key_bool(out, "ok", !report->failure);
        pack_put_key_text(out, "transport", report->transport);
        count += put_server(report, out);
        put_steps(report, out);
        if (report->failure) {
            put_error(test, report->failure, out);
            count++;
        }
        pack_close_map(out, opened, count);
        rpc_pending_end(&test->pending);
    }
    test_free(test);
}

static void test_left(struct rpc_pending *pending)
{
    struct test *test = LIST_ITEM(pending, struct test, pending);
    if (pending->peer) {
        struct failure failure = {0};
        failure_set(&failure, ERR_CANCELLED, "the request was cancelled by its client");
        rpc_pending_fail(pending, &failure);
        failure_done(&failure);
    }
    test_free(test);
}

void api_services_test(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    const struct rpc_value *args = request->args;
    struct rpc_defaults defaults = rpc_defaults(request->peer);
    struct slice name = args[TEST_SERVICE].text;
    const struct mcp_identity identity = {
        .agent = api_or_default(&args[TEST_AGENT], defaults.agent),
        .user = api_or_default(&args[TEST_USER], defaults.user)};
    if (!api_check_timeout(request, &args[TEST_TIMEOUT]) ||
        !api_find_service(api, request, name) ||
        ((identity.agent.len || identity.user.len) &&
         !api_may_speak(api, request, identity.agent, identity.user))) {
        return;
    }
    if (api->tests == TESTS_MAX) {
        api_fail(request, ERR_OVERLOADED, "%u services are being tested already", TESTS_MAX);
        return;
    }
    struct mcp_service *service = mcp_services_find(api->services, name);
    int64_t timeout_ms = args[TEST_TIMEOUT].given ? args[TEST_TIMEOUT].number
                                                  : mcp_service_conf(service)->timeout_ms;
    const struct mcp_probe_options options = {.is_apart = true,
                                              .lists = true,
                                              .deadline = loop_now(api->options.loop) +
                                                          api_wait_us(timeout_ms)};
    struct test *test = mem_new(sizeof *test);
    test->api = api;
    api->tests++;
    test->service = mem_dup(name);
    test->locale = mem_dup(defaults.locale);
    rpc_keep(request, &test->pending, test_left);
    test->upstream = mcp_probe(service, &identity, &options, tested, test);
}
