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

/* One line for curl's list, terminated: blanks around the value go, since HTTP/2 does not allow
 * them, and a line without a value is marked, since curl takes it for one to leave out. */
static size_t write_line(char *out, const char *line, size_t length)
{
    const char *colon = memchr(line, ':', length);
    const char *value = colon + 1, *end = line + length;
    size_t name = (size_t)(colon - line);
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    memcpy(out, line, name);
    char *at = out + name;
    if (value == end) {
        *at++ = ';';
    } else {
        *at++ = ':';
        *at++ = ' ';
        memcpy(at, value, (size_t)(end - value));
        at += end - value;
    }
    *at++ = '\0';
    return (size_t)(at - out);
}

struct curl_slist *http_headers_list(struct http_headers *headers, struct curl_slist *tail)
{
    if (headers->lines) {
        return headers->lines->list;
    }
    const char *end = headers->text + headers->length;
    size_t count = 0;
    for (const char *at = headers->text; at < end; count++) {
        at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
    }
    size_t size =
        sizeof(struct http_lines) + count * sizeof(struct curl_slist) + headers->length;
    struct http_lines *lines = mem_try(size);
    if (!lines) {
        return NULL;
    }
    char *out = (char *)&lines->nodes[count];
    struct curl_slist *node = lines->nodes;
    for (const char *at = headers->text; at < end; node++) {
        const char *next = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
        *node = (struct curl_slist){out, next < end ? node + 1 : tail};
        out += write_line(out, at, (size_t)(next - at) - 2);
        at = next;
    }
    lines->size = size;
    lines->list = count ? lines->nodes : tail;
    headers->lines = lines;
    return lines->list;
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
        if (headers->lines) {
            mem_wipe(headers->lines, headers->lines->size);
            mem_free(headers->lines);
        }
        mem_wipe(headers->text, headers->length);
        mem_free(headers);
    }
    return NULL;
}
