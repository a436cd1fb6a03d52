/* SPDX-License-Identifier: MIT */
/* http_headers.c - the header lines of requests: checked, joined once, wiped when they go. */
#include "base/mem.h"
#include "loop/http_internal.h"

#include <string.h>
#include <strings.h>

static bool is_token(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= ' ' || c >= 0x7F || strchr("()<>@,;:\\\"/[]?={}", c)) {
            return false;
        }
    }
    return text.len > 0;
}

static bool is_header_value(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if ((c < ' ' && c != '\t') || c == 0x7F) {
            return false;
        }
    }
    return true;
}

static bool is_named(struct slice name, const char *other)
{
    return name.len == strlen(other) && strncasecmp(name.ptr, other, name.len) == 0;
}

/* Lines that say where a message ends, or whom it is for. */
static bool is_ours(struct slice name)
{
    return is_named(name, "host") || is_named(name, "content-length") ||
           is_named(name, "transfer-encoding") || is_named(name, "connection");
}

static void put_field(struct http_headers *headers, const struct http_field *field)
{
    char *at = headers->text + headers->length;
    memcpy(at, field->name.ptr, field->name.len);
    at += field->name.len;
    *at++ = ':';
    *at++ = ' ';
    if (field->value.len) {
        memcpy(at, field->value.ptr, field->value.len);
        at += field->value.len;
    }
    *at++ = '\r';
    *at++ = '\n';
    headers->length = (size_t)(at - headers->text);
}

struct http_headers *http_headers_new(const struct http_field *fields, size_t count,
                                      struct err *reterr)
{
    size_t size = sizeof(struct http_headers);
    const struct http_field *agent = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!is_token(fields[i].name) || !is_header_value(fields[i].value)) {
            (void)err_set(reterr, ERR_VALIDATION_ERROR,
                          "header \"%.*s\" has a name or a value that HTTP does not allow",
                          SLICE_ARG(fields[i].name));
            return NULL;
        }
        if (is_ours(fields[i].name)) {
            (void)err_set(reterr, ERR_VALIDATION_ERROR,
                          "header \"%.*s\" cannot be given: it is set for each request",
                          SLICE_ARG(fields[i].name));
            return NULL;
        }
        size += fields[i].name.len + fields[i].value.len + sizeof ": \r\n";
    }
    if (size > HTTP_HEAD_BYTES) {
        (void)err_set(reterr, ERR_VALIDATION_ERROR,
                      "headers of more than %u bytes are not sent", HTTP_HEAD_BYTES);
        return NULL;
    }
    struct http_headers *headers = mem_try(size);
    if (!headers) {
        (void)err_set(reterr, ERR_OVERLOADED, "no memory for headers of %zu bytes", size);
        return NULL;
    }
    *headers = (struct http_headers){.references = 1};
    for (size_t i = 0; i < count; i++) {
        if (is_named(fields[i].name, "user-agent")) {
            agent = &fields[i];
        } else {
            put_field(headers, &fields[i]);
        }
    }
    headers->agent = headers->length;
    if (agent) {
        put_field(headers, agent);
    }
    return headers;
}

struct http_headers *http_headers_ref(struct http_headers *headers)
{
    if (headers) {
        headers->references++;
    }
    return headers;
}

struct http_headers *http_headers_unref(struct http_headers *headers)
{
    if (headers && --headers->references == 0) {
        mem_wipe(headers->text, headers->length);
        mem_free(headers);
    }
    return NULL;
}
