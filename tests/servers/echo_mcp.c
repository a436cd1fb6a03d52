/* SPDX-License-Identifier: MIT */
/* echo_mcp.c - answers MCP messages by copying spans of the question; it builds no tree. */
#include "echo_mcp.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct span {
    const char *from, *to;
};

char *echo_text_room(struct echo_text *text, size_t length)
{
    if (text->capacity - text->length < length) {
        text->capacity = (text->length + length) * 2;
        text->data = realloc(text->data, text->capacity);
        if (!text->data) {
            perror("echo");
            exit(1);
        }
    }
    return text->data + text->length;
}

void echo_text_add(struct echo_text *text, const char *data, size_t length)
{
    memcpy(echo_text_room(text, length + 1), data, length);
    text->length += length;
}

void echo_text_puts(struct echo_text *text, const char *data)
{
    echo_text_add(text, data, strlen(data));
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) {
        at++;
    }
    return at;
}

/* `at` is the opening quote; behind the closing one, or `end`. */
static const char *skip_string(const char *at, const char *end)
{
    const char *quote = at;
    while ((quote = memchr(quote + 1, '"', (size_t)(end - quote - 1)))) {
        const char *slash = quote;
        while (slash[-1] == '\\') {
            slash--;
        }
        if ((quote - slash) % 2 == 0) {
            return quote + 1;
        }
    }
    return end;
}

static const char *skip_nested(const char *at, const char *end)
{
    unsigned depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = skip_string(at, end);
            continue;
        }
        if (*at == '{' || *at == '[') {
            depth++;
        } else if ((*at == '}' || *at == ']') && --depth == 0) {
            return at + 1;
        }
        at++;
    }
    return end;
}

static const char *skip_value(const char *at, const char *end)
{
    if (at < end && *at == '"') {
        return skip_string(at, end);
    }
    if (at < end && (*at == '{' || *at == '[')) {
        return skip_nested(at, end);
    }
    while (at < end && *at != ',' && *at != '}' && *at != ']' && *at != ' ') {
        at++;
    }
    return at;
}

/* The value of `key` in the object, or an empty span. */
static struct span member(struct span object, const char *key)
{
    const char *at = skip_space(object.from, object.to), *end = object.to;
    size_t length = strlen(key);
    if (at >= end || *at != '{') {
        return (struct span){NULL, NULL};
    }
    at = skip_space(at + 1, end);
    while (at < end && *at == '"') {
        const char *name = at + 1;
        at = skip_string(at, end);
        bool is_it = (size_t)(at - name) == length + 1 && memcmp(name, key, length) == 0;
        at = skip_space(at, end);
        at = skip_space(at < end ? at + 1 : end, end);
        struct span value = {at, skip_value(at, end)};
        if (is_it) {
            return value;
        }
        at = skip_space(value.to, end);
        at = skip_space(at < end ? at + 1 : end, end);
    }
    return (struct span){NULL, NULL};
}

static bool is(struct span value, const char *text)
{
    return value.from && (size_t)(value.to - value.from) == strlen(text) + 2 &&
           memcmp(value.from + 1, text, strlen(text)) == 0;
}

static void put(struct echo_text *answer, struct span value)
{
    echo_text_add(answer, value.from, (size_t)(value.to - value.from));
}

static void put_initialize(struct echo_text *answer, struct span params)
{
    struct span version = member(params, "protocolVersion");
    echo_text_puts(answer, "\"result\":{\"protocolVersion\":");
    if (version.from) {
        put(answer, version);
    } else {
        echo_text_puts(answer, "\"2025-11-25\"");
    }
    echo_text_puts(answer, ",\"capabilities\":{\"tools\":{}},\"serverInfo\":{\"name\":\"echo\","
                           "\"version\":\"1\"}}}");
}

/* `count` bytes of `unit`, which is cut only between its repetitions. */
static void put_repeated(struct echo_text *answer, const char *unit, size_t count)
{
    size_t length = strlen(unit), done = length;
    count -= count % length;
    if (!count) {
        return;
    }
    char *to = echo_text_room(answer, count);
    for (size_t i = 0; i < length; i++) {
        to[i] = unit[i];
    }
    for (; done < count; done += done < count - done ? done : count - done) {
        memcpy(to + done, to, done < count - done ? done : count - done);
    }
    answer->length += count;
}

/* A result of about so many bytes: a text as tools print it, or many small values. */
static void put_large(struct echo_text *answer, size_t bytes, bool is_rows)
{
    static const char text[] = "The quick brown fox says \\\"caf\\u00e9\\\" \xE2\x80\x94 and "
                               "jumps over the lazy dog.\\n";
    static const char rows[] = "{\"id\":1234,\"name\":\"ana\",\"share\":0.25,\"is_new\":true},";
    if (is_rows) {
        echo_text_puts(answer, "\"result\":{\"content\":[],\"structuredContent\":{\"rows\":[");
        put_repeated(answer, rows, bytes);
        echo_text_puts(answer, "0]}}}");
        return;
    }
    echo_text_puts(answer, "\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"");
    put_repeated(answer, text, bytes);
    echo_text_puts(answer, "\"}]}}");
}

static void put_call(struct echo_text *answer, struct span params)
{
    struct span arguments = member(params, "arguments"), name = member(params, "name");
    struct span message = member(arguments, "message"), bytes = member(arguments, "bytes");
    if (is(name, "echo") && message.from && *message.from == '"') {
        echo_text_puts(answer, "\"result\":{\"content\":[{\"type\":\"text\",\"text\":");
        put(answer, message);
        echo_text_puts(answer, "}]}}");
    } else if ((is(name, "text") || is(name, "rows")) && bytes.from) {
        put_large(answer, strtoul(bytes.from, NULL, 10), is(name, "rows"));
    } else {
        echo_text_puts(
            answer, "\"error\":{\"code\":-32602,\"message\":\"echo takes a message, text and "
                    "rows take bytes\"}}");
    }
}

static void put_tools(struct echo_text *answer)
{
    echo_text_puts(answer,
                   "\"result\":{\"tools\":[{\"name\":\"echo\",\"description\":\"Gives its "
                   "message back.\",\"inputSchema\":{\"type\":\"object\",\"properties\":{"
                   "\"message\":{\"type\":\"string\"}},\"required\":[\"message\"]},"
                   "\"annotations\":{\"readOnlyHint\":true}}");
    for (int i = 0; i < 2; i++) {
        echo_text_puts(answer, i ? ",{\"name\":\"rows\",\"description\":\"Many small values."
                                 : ",{\"name\":\"text\",\"description\":\"A long text.");
        echo_text_puts(answer,
                       "\",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"bytes\":{"
                       "\"type\":\"integer\"}},\"required\":[\"bytes\"]}}");
    }
    echo_text_puts(answer, ",{\"name\":\"hang\",\"description\":\"Never answers.\","
                           "\"inputSchema\":{\"type\":\"object\"}}]}}");
}

bool echo_mcp_answer(const char *json, size_t length, struct echo_text *answer)
{
    struct span question = {json, json + length};
    struct span id = member(question, "id"), method = member(question, "method");
    struct span params = member(question, "params");
    if (!id.from || !method.from) {
        return true;
    }
    if (is(method, "tools/call") && is(member(params, "name"), "hang")) {
        return false;
    }
    echo_text_puts(answer, "{\"jsonrpc\":\"2.0\",\"id\":");
    put(answer, id);
    echo_text_puts(answer, ",");
    if (is(method, "tools/call")) {
        put_call(answer, params);
    } else if (is(method, "initialize")) {
        put_initialize(answer, params);
    } else if (is(method, "tools/list")) {
        put_tools(answer);
    } else if (is(method, "ping")) {
        echo_text_puts(answer, "\"result\":{}}");
    } else {
        echo_text_puts(answer, "\"error\":{\"code\":-32601,\"message\":\"no such method\"}}");
    }
    return true;
}
