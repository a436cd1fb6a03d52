/* SPDX-License-Identifier: MIT */
/* http_fields.c - the configured header fields of a service, and what becomes a request's lines. */
#include "mcp/http_fields.h"

#include "base/log.h"
#include "base/mem.h"

#include <string.h>
#include <strings.h>

static bool begins(struct slice name, const char *prefix)
{
    size_t length = strlen(prefix);
    return name.len >= length && strncasecmp(name.ptr, prefix, length) == 0;
}

static bool is_ours(struct slice name)
{
    static const char *const ours[] = {
        "accept",        "content-type", "content-length", "transfer-encoding",
        "connection",    "host",         "mcp-session-id", "mcp-protocol-version",
        "last-event-id", "expect",       "mcp-method",     "mcp-name"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (name.len == strlen(ours[i]) && begins(name, ours[i])) {
            return true;
        }
    }
    return begins(name, "mcp-param-");
}

void mcp_http_fields_init(struct mcp_http_fields *fields, const struct http_field *configured,
                          size_t count)
{
    *fields = (struct mcp_http_fields){0};
    for (size_t i = 0; i < count; i++) {
        fields->text_size += configured[i].name.len + configured[i].value.len;
    }
    fields->list = mem_new((count + 1) * sizeof *fields->list);
    fields->text = mem_new(fields->text_size + 1);
    char *at = fields->text;
    for (size_t i = 0; i < count; i++) {
        struct slice name = configured[i].name, value = configured[i].value;
        if (is_ours(name)) {
            log_at(LOG_DEBUG, "mcp", "a configured header is left out: the transport sets it",
                   LOG_SLICE("header", name));
            continue;
        }
        memcpy(at, name.ptr, name.len);
        if (value.len) {
            memcpy(at + name.len, value.ptr, value.len);
        }
        fields->list[fields->count].name = (struct slice){at, name.len};
        fields->list[fields->count++].value = (struct slice){at + name.len, value.len};
        at += name.len + value.len;
    }
}

void mcp_http_fields_done(struct mcp_http_fields *fields)
{
    if (fields->text) {
        mem_wipe(fields->text, fields->text_size);
    }
    mem_free(fields->text);
    mem_free(fields->list);
    *fields = (struct mcp_http_fields){0};
}

struct http_headers *mcp_http_fields_join(const struct mcp_http_fields *fields,
                                          const struct http_field *own, size_t count,
                                          struct err *reterr)
{
    struct http_field *list = mem_new((count + fields->count + 1) * sizeof *list);
    if (count) {
        memcpy(list, own, count * sizeof *list);
    }
    if (fields->count) {
        memcpy(list + count, fields->list, fields->count * sizeof *list);
    }
    struct http_headers *headers = http_headers_new(list, count + fields->count, reterr);
    mem_free(list);
    return headers;
}
