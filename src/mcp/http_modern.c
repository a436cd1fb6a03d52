/* SPDX-License-Identifier: MIT */
/*
 * http_modern.c - the header fields of revision 2026-07-28, which repeat what a message's body says:
 * Mcp-Method, Mcp-Name and Mcp-Param-*.
 */
#include "base/mem.h"
#include "base/text.h"
#include "mcp/http_internal.h"

#include <string.h>

#define MARK        "=?base64?"
#define MARK_END    "?="
#define PREFIX      "Mcp-Param-"
#define FIELD_BYTES 65536u /* of all of them together: more than any server takes */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Whether a server would read it as it stands. */
static bool looks_encoded(struct slice value)
{
    const size_t end = sizeof MARK_END - 1;
    return slice_starts(value, MARK) && memcmp(value.ptr + value.len - end, MARK_END, end) == 0;
}

/* Whether a server would read it as it stands. */
static bool is_plain(struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if ((c < ' ' && c != '\t') || c > '~') {
            return false;
        }
    }
    return !value.len || (!is_blank(value.ptr[0]) && !is_blank(value.ptr[value.len - 1]) &&
                          !looks_encoded(value));
}

void mcp_http_put_value(struct buf *out, struct slice value)
{
    if (is_plain(value)) {
        buf_put_slice(out, value);
        return;
    }
    buf_put_text(out, MARK);
    text_put_base64(out, value);
    buf_put_text(out, MARK_END);
}

static struct slice since(const struct buf *text, size_t from)
{
    return (struct slice){text->data + from, text->len - from};
}

static void add(struct mcp_http_extra *extra, struct slice name, struct slice value)
{
    size_t from = extra->text.len;
    mcp_http_put_value(&extra->text, value);
    extra->list[extra->count++] = (struct http_field){name, since(&extra->text, from)};
}

static size_t encoded_length(struct slice value)
{
    return value.len + value.len / 2 + sizeof MARK MARK_END + 4;
}

/* At most so much will be written; 0: too much to be sent. */
static size_t needed(const struct mcp_outgoing *message)
{
    size_t size = encoded_length(message->name);
    for (unsigned i = 0; i < message->param_count && size <= FIELD_BYTES; i++) {
        const struct mcp_param_header *param = &message->params[i];
        if (param->name.len > FIELD_BYTES || param->value.len > FIELD_BYTES) {
            return 0;
        }
        size += sizeof PREFIX + param->name.len + encoded_length(param->value);
    }
    return size <= FIELD_BYTES ? size : 0;
}

int mcp_http_extra_init(struct mcp_http_extra *extra, const struct mcp_outgoing *message,
                        struct err *reterr)
{
    size_t size = message->name.len <= FIELD_BYTES ? needed(message) : 0;
    *extra = (struct mcp_http_extra){0};
    if (!size) {
        return err_set(
            reterr, ERR_VALIDATION_ERROR,
            "its name, or the arguments that the server wants in headers, are longer "
            "than the %u bytes that can be sent there",
            FIELD_BYTES);
    }
    buf_init(&extra->text, size);
    if (!buf_reserve(&extra->text, size)) { /* at once: what is in the list must not move */
        buf_done(&extra->text);
        return err_set(reterr, ERR_OVERLOADED, "no memory for the headers of a request");
    }
    extra->list = mem_new((message->param_count + 2) * sizeof *extra->list);
    if (message->method) {
        extra->list[extra->count++] =
            (struct http_field){SLICE("Mcp-Method"), slice_of(message->method)};
    }
    if (message->name.ptr) {
        add(extra, SLICE("Mcp-Name"), message->name);
    }
    for (unsigned i = 0; i < message->param_count; i++) {
        size_t from = extra->text.len;
        buf_put_text(&extra->text, PREFIX);
        buf_put_slice(&extra->text, message->params[i].name);
        add(extra, since(&extra->text, from), message->params[i].value);
    }
    return 0;
}

void mcp_http_extra_done(struct mcp_http_extra *extra)
{
    buf_done(&extra->text);
    mem_free(extra->list);
    *extra = (struct mcp_http_extra){0};
}
