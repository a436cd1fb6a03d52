/* SPDX-License-Identifier: MIT */
/*
 * http_target.c - targets, their prepared handles, and header lists.
 *
 * A handle gets its options once. What differs between two exchanges is its body, and its method or
 * headers when they are others than the last time.
 */
#include "base/mem.h"
#include "base/must.h"
#include "loop/http_internal.h"

#include <stdlib.h>
#include <string.h>

#define BODY_MAX      ((size_t)256 << 20) /* the caller's own limits are far below */
#define BODY_KEPT     4096u
#define RECEIVE_BYTES 16384L

/* ---- headers ---------------------------------------------------------------------------- */

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

/* Writes one line in the form curl takes: "Name: value", and "Name;" for an empty value. */
static char *put_line(char *at, const struct http_field *field)
{
    memcpy(at, field->name.ptr, field->name.len);
    at += field->name.len;
    if (field->value.len) {
        *at++ = ':';
        *at++ = ' ';
        memcpy(at, field->value.ptr, field->value.len);
        at += field->value.len;
    } else {
        *at++ = ';';
    }
    *at++ = '\0';
    return at;
}

struct http_headers *http_headers_new(const struct http_field *fields, size_t count,
                                      struct err *reterr)
{
    size_t lines = count + 1;
    size_t size =
        sizeof(struct http_headers) + lines * sizeof(struct curl_slist) + sizeof "Expect:";
    for (size_t i = 0; i < count; i++) {
        if (!is_token(fields[i].name) || !is_header_value(fields[i].value)) {
            (void)err_set(reterr, ERR_VALIDATION_ERROR,
                          "header \"%.*s\" has a name or a value that HTTP does not allow",
                          SLICE_ARG(fields[i].name));
            return NULL;
        }
        size += fields[i].name.len + fields[i].value.len + sizeof ": ";
    }
    struct http_headers *headers = mem_try(size);
    if (!headers) {
        (void)err_set(reterr, ERR_OVERLOADED, "no memory for headers of %zu bytes", size);
        return NULL;
    }
    headers->references = 1;
    headers->size = size;
    char *at = (char *)&headers->lines[lines];
    for (size_t i = 0; i < lines; i++) {
        headers->lines[i].data = at;
        headers->lines[i].next = i + 1 < lines ? &headers->lines[i + 1] : NULL;
        if (i < count) {
            at = put_line(at, &fields[i]);
        }
    }
    memcpy(at, "Expect:", sizeof "Expect:"); /* none: a body is sent without asking first */
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
        mem_wipe(headers, headers->size);
        mem_free(headers);
    }
    return NULL;
}

/* ---- URLs ------------------------------------------------------------------------------- */

/* The parsed URL, NULL when it is none. Not terminated text in, so a copy is parsed and wiped. */
static CURLU *parse_url(CURLU *base, struct slice url)
{
    if (!url.len || url.len > 8192 || memchr(url.ptr, '\0', url.len)) {
        return NULL;
    }
    CURLU *parsed = base ? curl_url_dup(base) : curl_url();
    char *text = mem_dup(url);
    if (parsed && curl_url_set(parsed, CURLUPART_URL, text, 0) != CURLUE_OK) {
        curl_url_cleanup(parsed);
        parsed = NULL;
    }
    mem_wipe(text, url.len);
    mem_free(text);
    return parsed;
}

/* A part of a URL, "" where it has none. Freed with curl_free. */
static char *part(CURLU *url, CURLUPart what)
{
    char *text = NULL;
    return curl_url_get(url, what, &text, 0) == CURLUE_OK ? text : NULL;
}

static void put_name(struct buf *out, CURLU *url)
{
    char *scheme = part(url, CURLUPART_SCHEME), *host = part(url, CURLUPART_HOST);
    char *port = part(url, CURLUPART_PORT), *path = part(url, CURLUPART_PATH);
    buf_printf(out, "%s://%s%s%s%s", scheme ? scheme : "", host ? host : "", port ? ":" : "",
               port ? port : "", path ? path : "");
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(path);
}

void http_put_url(struct buf *out, const struct http_target *base, struct slice url)
{
    CURLU *parsed = parse_url(base ? base->url : NULL, url);
    if (parsed) {
        put_name(out, parsed);
        curl_url_cleanup(parsed);
    } else {
        buf_put_text(out, "(not a URL)");
    }
}

/* ---- targets ---------------------------------------------------------------------------- */

static char *environment(const char *lower, const char *upper)
{
    const char *value = getenv(lower);
    if (!value || !*value) {
        value = upper ? getenv(upper) : NULL;
    }
    return value && *value ? mem_dup(slice_of(value)) : NULL;
}

/* As curl reads it for each transfer: here once. HTTP_PROXY in capitals is not read, because a
 * web server may have set it from a header. */
static void read_proxy(struct http_target *target, bool is_https)
{
    target->proxy =
        is_https ? environment("https_proxy", "HTTPS_PROXY") : environment("http_proxy", NULL);
    if (!target->proxy) {
        target->proxy = environment("all_proxy", "ALL_PROXY");
    }
    if (target->proxy) {
        target->no_proxy = environment("no_proxy", "NO_PROXY");
    }
}

static int check_url(const struct http_target *target, bool *ret_https, struct err *reterr)
{
    char *scheme = target->url ? part(target->url, CURLUPART_SCHEME) : NULL;
    bool is_https = scheme && strcmp(scheme, "https") == 0;
    bool is_http = scheme && strcmp(scheme, "http") == 0;
    curl_free(scheme);
    if (!target->url) {
        return err_set(
            reterr, ERR_VALIDATION_ERROR,
            "the url is none: it must begin with https:// or http:// and name a host");
    }
    if (!is_https && !is_http) {
        return err_set(reterr, ERR_VALIDATION_ERROR, "the url %s is neither http nor https",
                       target->name);
    }
    *ret_https = is_https;
    return 0;
}

int http_target_new(struct http *http, const struct http_target_options *options,
                    struct http_target **ret, struct err *reterr)
{
    struct http_target *target = mem_new(sizeof *target);
    struct buf name;
    bool is_https = false;
    target->http = http;
    target->connect_timeout =
        (mono_us)(options->connect_timeout_ms ? options->connect_timeout_ms : HTTP_CONNECT_MS) *
        1000;
    target->concurrency = options->concurrency ? options->concurrency : HTTP_CONCURRENCY;
    list_init(&target->idle);
    list_init(&target->live);
    list_init(&target->waiting);
    list_append(&http->targets, &target->link);
    target->url = parse_url(NULL, options->url);
    target->address = mem_dup(options->url);
    buf_init(&name, 16384);
    if (target->url) {
        put_name(&name, target->url);
    }
    target->name = mem_dup(buf_slice(&name));
    buf_done(&name);
    int failed = check_url(target, &is_https, reterr);
    if (failed) {
        http_target_free(target);
        return failed;
    }
    read_proxy(target, is_https);
    target->ca_file = options->ca_file ? mem_dup(slice_of(options->ca_file)) : NULL;
    *ret = target;
    return 0;
}

const char *http_target_name(const struct http_target *target)
{
    return target->name;
}

static void destroy_target(struct http_target *target)
{
    list_remove(&target->link);
    curl_url_cleanup(target->url);
    mem_wipe(target->address, strlen(target->address));
    mem_free(target->address);
    mem_free(target->name);
    if (target->proxy) {
        mem_wipe(target->proxy, strlen(target->proxy));
    }
    mem_free(target->proxy);
    mem_free(target->no_proxy);
    mem_free(target->ca_file);
    mem_free(target);
}

static void destroy_exchange(struct http_exchange *exchange)
{
    list_remove(&exchange->member);
    if (exchange->easy) {
        curl_easy_cleanup(exchange->easy);
    }
    exchange->set_headers = http_headers_unref(exchange->set_headers);
    buf_done(&exchange->body);
    mem_free(exchange);
}

static void free_idle(struct http_target *target, uint32_t count)
{
    struct list_link *link;
    for (; count && (link = list_first(&target->idle)); count--) {
        target->idle_count--;
        destroy_exchange(LIST_ITEM(link, struct http_exchange, member));
    }
}

void http_target_free(struct http_target *target)
{
    if (!target) {
        return;
    }
    target->is_freed = true;
    target->live_count++; /* not to be destroyed while it is walked */
    list_each (link, &target->live) {
        http_cancel(LIST_ITEM(link, struct http_exchange, member));
    }
    free_idle(target, target->idle_count);
    http_forget_target(target->http, target);
    if (--target->live_count == 0) {
        destroy_target(target);
    }
}

/* ---- prepared handles ------------------------------------------------------------------- */

struct http_exchange *http_take(struct http_target *target)
{
    struct list_link *link = target->idle.head.prev; /* the last used: the rest can go */
    struct http_exchange *exchange;
    if (link != &target->idle.head) {
        exchange = LIST_ITEM(link, struct http_exchange, member);
        list_remove(link);
        target->idle_count--;
        if (target->idle_count < target->idle_low) {
            target->idle_low = target->idle_count;
        }
    } else {
        exchange = mem_new(sizeof *exchange);
        exchange->target = target;
        buf_init(&exchange->body, BODY_MAX);
        loop_timer_init(&exchange->timer, http_on_exchange_timer, exchange);
        target->idle_low = 0;
    }
    list_append(&target->live, &exchange->member);
    target->live_count++;
    return exchange;
}

void http_recycle(struct http_exchange *exchange)
{
    struct http_target *target = exchange->target;
    struct http *http = target->http;
    list_remove(&exchange->member);
    exchange->headers = http_headers_unref(exchange->headers);
    if (!target->is_freed) {
        buf_trim(&exchange->body, BODY_KEPT);
        exchange->stage = HTTP_IDLE;
        exchange->refusal = HTTP_FINE;
        exchange->body_bytes = exchange->head_bytes = 0;
        exchange->tries = 0;
        exchange->is_cancelled = exchange->has_head = exchange->is_connecting = false;
        list_append(&target->idle, &exchange->member);
        target->idle_count++;
        if (!loop_timer_is_set(&http->sweep)) {
            loop_timer_set(http->loop, &http->sweep, loop_now(http->loop) + HTTP_SWEEP_US);
        }
    } else {
        destroy_exchange(exchange);
    }
    if (--target->live_count == 0 && target->is_freed) {
        destroy_target(target);
    }
}

/* Frees the handles that a target did not need since the last time: an idle one keeps none. */
void http_sweep(void *arg)
{
    struct http *http = arg;
    bool has_idle = false;
    list_each (link, &http->targets) {
        struct http_target *target = LIST_ITEM(link, struct http_target, link);
        free_idle(target, target->idle_low);
        target->idle_low = target->idle_count;
        has_idle = has_idle || target->idle_count;
    }
    if (has_idle) {
        loop_timer_set(http->loop, &http->sweep, loop_now(http->loop) + HTTP_SWEEP_US);
    }
}

/* The options of every exchange of a target. */
static bool set_options(struct http_exchange *exchange)
{
    const struct http_target *target = exchange->target;
    CURL *easy = exchange->easy;
#define SET(option, value) (curl_easy_setopt(easy, CURLOPT_##option, (value)) == CURLE_OK)
    return SET(URL, target->address) && SET(PROTOCOLS_STR, "http,https") &&
           SET(HTTP_VERSION, CURL_HTTP_VERSION_1_1) && SET(FOLLOWLOCATION, 0L) &&
           SET(NOSIGNAL, 1L) && SET(QUICK_EXIT, 1L) && SET(TCP_NODELAY, 1L) &&
           SET(TCP_KEEPALIVE, 1L) && SET(BUFFERSIZE, RECEIVE_BYTES) &&
           SET(USERAGENT, "toolbroker/" TOOLBROKER_VERSION) &&
           SET(PROXY, target->proxy ? target->proxy : "") &&
           SET(NOPROXY, !target->proxy     ? "*"
                        : target->no_proxy ? target->no_proxy
                                           : "") &&
           SET(SSL_VERIFYPEER, 1L) && SET(SSL_VERIFYHOST, 2L) &&
           (!target->ca_file || SET(CAINFO, target->ca_file)) &&
           SET(ERRORBUFFER, exchange->words) && SET(PRIVATE, exchange) &&
           SET(HEADERFUNCTION, http_on_header) && SET(HEADERDATA, exchange) &&
           SET(WRITEFUNCTION, http_on_body) && SET(WRITEDATA, exchange) &&
           SET(PREREQFUNCTION, http_on_ready_to_send) && SET(PREREQDATA, exchange) &&
           SET(OPENSOCKETFUNCTION, http_on_open_socket) && SET(OPENSOCKETDATA, exchange) &&
           SET(CLOSESOCKETFUNCTION, http_on_close_socket) && SET(CLOSESOCKETDATA, target->http);
}

static bool set_method(struct http_exchange *exchange)
{
    CURL *easy = exchange->easy;
    exchange->set_method = exchange->method;
    switch (exchange->method) {
    case HTTP_POST:
        return SET(CUSTOMREQUEST, NULL) && SET(POST, 1L);
    case HTTP_GET:
        return SET(CUSTOMREQUEST, NULL) && SET(HTTPGET, 1L);
    case HTTP_DELETE:
        return SET(HTTPGET, 1L) && SET(CUSTOMREQUEST, "DELETE");
    }
    return false;
}

bool http_prepare(struct http_exchange *exchange)
{
    bool is_new = !exchange->easy;
    if (is_new) {
        exchange->easy = curl_easy_init();
        if (!exchange->easy || !set_options(exchange)) {
            return false;
        }
    }
    CURL *easy = exchange->easy;
    exchange->words[0] = '\0';
    if ((is_new || exchange->set_method != exchange->method) && !set_method(exchange)) {
        return false;
    }
    if (exchange->set_headers != exchange->headers) {
        (void)SET(HTTPHEADER, exchange->headers ? exchange->headers->lines : NULL);
        exchange->set_headers = http_headers_unref(exchange->set_headers);
        exchange->set_headers = http_headers_ref(exchange->headers);
    }
    return exchange->method != HTTP_POST ||
           (SET(POSTFIELDS, exchange->body.data ? exchange->body.data : "") &&
            SET(POSTFIELDSIZE_LARGE, (curl_off_t)exchange->body.len));
#undef SET
}
