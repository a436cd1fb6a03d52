/* SPDX-License-Identifier: MIT */
/* mcp_json.c - translates what other tools write into `mcpServers` to the keys of services.lua. */
#include "conf/mcp_json.h"

#include "value/pack.h"

struct entry {
    struct buf *out;
    uint32_t count;
    bool is_fine;
};

/* The names that are in use for the same transports. */
static const char *transport_of(struct slice type)
{
    static const char *const http[] = {"http", "streamable-http", "streamable_http",
                                       "streamableHttp"};
    for (size_t i = 0; i < sizeof http / sizeof http[0]; i++) {
        if (slice_is(type, http[i])) {
            return "http";
        }
    }
    return slice_is(type, "stdio") ? "stdio" : slice_is(type, "sse") ? "sse" : NULL;
}

static void read_type(struct entry *entry, const struct check *check, struct slice value)
{
    struct slice type;
    entry->is_fine = false;
    if (!check_text(check, value, false, &type)) {
        return;
    }
    const char *transport = transport_of(type);
    if (!transport) {
        check_fault(check, "%s must be \"stdio\", \"http\" or \"sse\", not \"%.*s\"",
                    check->path, SLICE_ARG(type));
        return;
    }
    pack_put_key_text(entry->out, "transport", transport);
    entry->count++;
    entry->is_fine = true;
}

static void read_disabled(struct entry *entry, const struct check *check, struct slice value)
{
    bool is_disabled = false;
    if (!check_bool(check, value, &is_disabled)) {
        entry->is_fine = false;
        return;
    }
    pack_put_key_bool(entry->out, "enabled", !is_disabled);
    entry->count++;
}

static void read_key(void *arg, struct check *check, struct slice key, struct slice value)
{
    static const char *const same[] = {"command", "args", "env", "cwd", "url", "headers"};
    struct entry *entry = arg;
    if (slice_is(key, "type")) {
        read_type(entry, check, value);
    } else if (slice_is(key, "disabled")) {
        read_disabled(entry, check, value);
    }
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        if (slice_is(key, same[i])) {
            pack_put_str(entry->out, key);
            buf_put_slice(entry->out, value);
            entry->count++;
        }
    }
}

bool mcp_json_service(struct check *check, struct slice value, struct buf *out)
{
    struct entry entry = {.out = out, .is_fine = true};
    size_t opened = pack_open(out);
    if (!check_each_key(check, value, read_key, &entry)) {
        return false;
    }
    pack_close_map(out, opened, entry.count);
    if (out->overflow) {
        check_fault(check, "%s is too large", check->path);
        return false;
    }
    return entry.is_fine;
}
