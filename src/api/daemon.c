/* SPDX-License-Identifier: MIT */
/* daemon.c - the methods about the daemon itself and the connection: hello, ping, info, calls. */
#include "api/api_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PROTOCOL_VERSION 1

enum { HELLO_CLIENT, HELLO_VERSION, HELLO_AGENT, HELLO_USER, HELLO_LOCALE, HELLO_CAPABILITIES };

/* Whether it is there; false and null say that it is not. */
static bool has(struct slice map, const char *name, struct slice *ret)
{
    struct pack_item item;
    struct pack cursor;
    if (!pack_get(map, name, ret)) {
        return false;
    }
    cursor = pack_over(*ret);
    return pack_next(&cursor, &item) && item.type != PACK_NIL &&
           (item.type != PACK_BOOL || item.b);
}

/* The bits of `capabilities`, written as MCP's ClientCapabilities (2026-07-28). */
static unsigned read_capabilities(struct slice map)
{
    struct slice part;
    struct slice sub;
    unsigned bits = 0;
    if (has(map, "elicitation", &part)) { /* {} means forms, as before there were others */
        bool has_url = has(part, "url", &sub);
        bool has_form = has(part, "form", &sub) || !has_url;
        bits |= (has_form ? MCP_CAN_ELICIT : 0u) | (has_url ? MCP_CAN_ELICIT_URL : 0u);
    }
    if (has(map, "sampling", &part)) {
        bits |= MCP_CAN_SAMPLE;
        bits |= has(part, "tools", &sub) ? MCP_CAN_SAMPLE_TOOLS : 0u;
        bits |= has(part, "context", &sub) ? MCP_CAN_SAMPLE_CONTEXT : 0u;
    }
    if (has(map, "roots", &part)) {
        bits |= MCP_CAN_LIST_ROOTS;
    }
    if (has(map, "extensions", &part) && has(part, "io.modelcontextprotocol/ui", &sub)) {
        bits |= MCP_CAN_SHOW_APPS;
    }
    return bits;
}

static void put_limits(const struct rpc_limits *limits, struct buf *out)
{
    pack_put_map(out, 5);
    pack_put_key_int(out, "frame_bytes", (int64_t)limits->frame.bytes);
    pack_put_key_int(out, "frame_depth", limits->frame.depth);
    pack_put_key_int(out, "frame_items", limits->frame.items);
    pack_put_key_int(out, "reply_bytes", (int64_t)limits->reply_bytes);
    pack_put_key_int(out, "inflight", limits->inflight);
}

void api_hello(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    const struct rpc_value *args = request->args;
    struct rpc_defaults defaults = {.agent = args[HELLO_AGENT].text,
                                    .user = args[HELLO_USER].text,
                                    .locale = args[HELLO_LOCALE].text,
                                    .client = args[HELLO_CLIENT].text,
                                    .capabilities =
                                        read_capabilities(args[HELLO_CAPABILITIES].text)};
    rpc_set_defaults(request->peer, &defaults);
    log_at(LOG_DEBUG, "rpc", "hello", LOG_SLICE("client", args[HELLO_CLIENT].text),
           LOG_SLICE("version", args[HELLO_VERSION].text),
           LOG_INT("pid", rpc_identity(request->peer)->pid));
    struct buf *out = rpc_result(request);
    pack_put_map(out, 5);
    pack_put_key_text(out, "server", "toolbrokerd");
    pack_put_key_text(out, "version", TOOLBROKER_VERSION);
    pack_put_key_int(out, "protocol", PROTOCOL_VERSION);
    pack_put_text(out, "limits");
    put_limits(&api->limits, out);
    pack_put_key_text(out, "role", rpc_identity(request->peer)->is_admin ? "admin" : "client");
    rpc_result_end(request);
}

void api_ping(void *arg, struct rpc_request *request)
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

void api_calls_list(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    struct buf *out = rpc_result(request);
    pack_put_map(out, 1);
    pack_put_text(out, "calls");
    calls_put(api->calls, out);
    rpc_result_end(request);
}

/* Resident memory from /proc/self/statm: a file of the kernel, read without waiting. */
static int64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    char line[128];
    int64_t pages = 0;
    if (file) {
        if (fgets(line, sizeof line, file)) {
            char *second = NULL;
            (void)strtoll(line, &second, 10);
            pages = strtoll(second, NULL, 10);
        }
        (void)fclose(file);
    }
    return pages * sysconf(_SC_PAGESIZE);
}

void api_daemon_info(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    struct buf *out = rpc_result(request);
    pack_put_map(out, 16u + (api->refused_at != 0));
    pack_put_key_text(out, "name", "toolbrokerd");
    pack_put_key_text(out, "version", TOOLBROKER_VERSION);
    pack_put_key_int(out, "pid", getpid());
    pack_put_key_int(out, "uptime_ms", (loop_now(api->options.loop) - api->started) / 1000);
    pack_put_key_text(out, "socket", api->options.socket);
    pack_put_key_text(out, "config",
                      api->options.config_folder ? api->options.config_folder : "built in");
    pack_put_key_text(out, "state_folder", api->options.state_folder);
    pack_put_key_int(out, "connections", rpc_server_connections(api->server));
    pack_put_key_int(out, "calls", calls_count(api->calls));
    pack_put_key_int(out, "loop_lag_us", loop_lag_max(api->options.loop));
    pack_put_key_int(out, "log_lines_dropped", (int64_t)log_dropped());
    pack_put_text(out, "settings");
    settings_put(api->settings, out);
    pack_put_text(out, "policy");
    policy_put_info(calls_policy(api->calls), out);
    if (api->refused_at) {
        char time[CLOCK_TEXT];
        clock_format(api->refused_at, time);
        pack_put_text(out, "reload_refused");
        pack_put_map(out, 2);
        pack_put_key_text(out, "time", time);
        pack_put_key_int(out, "faults", api->refused_faults);
    }
    pack_put_text(out, "counters");
    metrics_put(&api->metrics, out);
    pack_put_text(out, "store");
    store_put_status(api->store, out);
    pack_put_text(out, "memory");
    pack_put_map(out, 1);
    pack_put_key_int(out, "resident_bytes", resident_bytes());
    rpc_result_end(request);
}

void api_daemon_shutdown(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    struct buf *out = rpc_result(request);
    pack_put_map(out, 1);
    pack_put_key_bool(out, "ok", true);
    rpc_result_end(request);
    api->options.shutdown(api->options.arg);
}
