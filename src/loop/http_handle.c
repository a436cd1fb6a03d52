/* SPDX-License-Identifier: MIT */
/*
 * http_handle.c - exchanges with their prepared curl handles, kept by their target for the next use.
 *
 * A handle gets its options once. What differs between two exchanges is the body, and the method or
 * the headers when they are others than the last time.
 */
#include "base/mem.h"
#include "loop/block.h"
#include "loop/http_internal.h"

#include <string.h>

#define LARGE_BYTES 32768u /* an answer that lets its handle read in larger pieces */
#define BODY_MAX    ((size_t)256 << 20) /* the caller's own limits are far below */
#define BODY_KEPT   4096u

/* ---- the pool ------------------------------------------------------------------------- */

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

void http_free_idle(struct http_target *target, uint32_t count)
{
    struct list_link *link;
    for (; count && (link = list_first(&target->idle)); count--) {
        target->idle_count--;
        destroy_exchange(LIST_ITEM(link, struct http_exchange, member));
    }
}

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
        exchange->receive_bytes = HTTP_RECEIVE_BYTES;
        buf_init(&exchange->body, BODY_MAX);
        loop_timer_init(&exchange->timer, http_on_exchange_timer, exchange);
        target->idle_low = 0;
    }
    list_append(&target->live, &exchange->member);
    target->live_count++;
    return exchange;
}

/* Also where a stream failed: curl 7.88 keeps a mark on its handle that the stream was refused, and
 * takes a later one for refused by that. */
void http_drop_handle(struct http_exchange *exchange)
{
    curl_easy_cleanup(exchange->easy);
    exchange->easy = NULL;
    exchange->is_spoilt = false;
    exchange->has_notes = false;
    exchange->set_receive_bytes = 0;
    exchange->set_headers = http_headers_unref(exchange->set_headers);
}

void http_recycle(struct http_exchange *exchange)
{
    struct http_target *target = exchange->target;
    struct http *http = target->http;
    list_remove(&exchange->member);
    exchange->headers = http_headers_unref(exchange->headers);
    exchange->extra = http_headers_unref(exchange->extra);
    if (exchange->is_spoilt) {
        http_drop_handle(exchange);
    }
    if (!target->is_freed) {
        block_trim_buf(http->loop, &exchange->body, BODY_KEPT);
        exchange->stage = HTTP_IDLE;
        exchange->refusal = HTTP_FINE;
        exchange->receive_bytes =
            exchange->body_bytes > LARGE_BYTES ? HTTP_RECEIVE_LARGE : HTTP_RECEIVE_BYTES;
        exchange->body_bytes = exchange->head_bytes = 0;
        exchange->has_wanted = false;
        exchange->tries = exchange->repeats = 0;
        exchange->sent_before = 0;
        exchange->stream = 0;
        exchange->local_port = 0;
        exchange->is_refused = false;
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
        http_destroy_target(target);
    }
}

/* Frees the handles that a target did not need since the last time: an idle one keeps none. */
void http_sweep(void *arg)
{
    struct http *http = arg;
    bool has_idle = false;
    list_each (link, &http->targets) {
        struct http_target *target = LIST_ITEM(link, struct http_target, link);
        http_free_idle(target, target->idle_low);
        target->idle_low = target->idle_count;
        has_idle = has_idle || target->idle_count;
    }
    if (has_idle) {
        loop_timer_set(http->loop, &http->sweep, loop_now(http->loop) + HTTP_SWEEP_US);
    }
}

#define SET(option, value) (curl_easy_setopt(easy, CURLOPT_##option, (value)) == CURLE_OK)

#define AGENT              "User-Agent: toolbroker/" TOOLBROKER_VERSION

/* Header lines that curl shall not write itself: plain requests bring their own Host. */
static struct curl_slist none_of_curls[] = {{(char[]){"Host:"}, &none_of_curls[1]},
                                            {(char[]){"Accept:"}, &none_of_curls[2]},
                                            {(char[]){"Content-Type:"}, &none_of_curls[3]},
                                            {(char[]){"Expect:"}, NULL}};
/* What stands behind other lines, and what when none of those is a User-Agent. */
static struct curl_slist *const last_lines = &none_of_curls[1];
static struct curl_slist agent_line = {(char[]){AGENT}, &none_of_curls[1]};

/*
 * Curl writes headers byte by byte through its printf: half of what an exchange costs. The request
 * target is what it copies as a whole, "verbatim, without any filter" by its manual: so that holds
 * all lines but the end of the last one, to which curl adds " HTTP/1.1": a product of User-Agent.
 */
static bool set_text(const struct http_exchange *exchange)
{
    const struct http_target *target = exchange->target;
    const struct http_headers *parts[] = {exchange->headers, exchange->extra};
    struct slice agent = SLICE(AGENT);
    struct buf text;
    size_t size = target->request.len + agent.len + 1;
    for (size_t i = 0; i < 2; i++) {
        size += parts[i] ? parts[i]->length : 0;
    }
    buf_init(&text, size);
    (void)buf_reserve(&text, size); /* at once: growing leaves copies behind */
    buf_put_slice(&text, buf_slice(&target->request));
    for (size_t i = 0; i < 2; i++) {
        const struct http_headers *part = parts[i];
        if (part) {
            buf_put(&text, part->text, part->agent);
        }
        if (part && part->agent < part->length) {
            agent = (struct slice){part->text + part->agent, part->length - part->agent - 2};
        }
    }
    buf_put_slice(&text, agent);
    const char *terminated = buf_text(&text);
    bool is_set = !text.overflow && curl_easy_setopt(exchange->easy, CURLOPT_REQUEST_TARGET,
                                                     terminated) == CURLE_OK;
    http_wipe(&text);
    return is_set;
}

/* Over TLS it may become HTTP/2, which has no request line: there curl gets line for line. Those of
 * one request come first, those of `headers` are kept behind them as a list once made. */
static bool set_list(const struct http_exchange *exchange)
{
    struct http_headers *headers = exchange->headers;
    CURL *easy = exchange->easy;
    bool has_agent = headers && headers->agent < headers->length;
    struct curl_slist *list = has_agent ? last_lines : &agent_line;
    if (headers) {
        list = http_headers_list(headers, list);
    }
    if (list && exchange->extra) {
        list = http_headers_list(exchange->extra, list);
    }
    return list && SET(HTTPHEADER, list);
}

static bool set_request(struct http_exchange *exchange)
{
    exchange->set_headers = http_headers_unref(exchange->set_headers);
    exchange->set_headers = http_headers_ref(exchange->headers);
    exchange->has_set_extra = exchange->extra != NULL;
    return exchange->target->origin ? set_list(exchange) : set_text(exchange);
}

/*
 * Whom to believe. The system's certificates are looked up one by one in their folder: to read all of
 * them from one file, as curl does besides, holds the loop for tens of milliseconds at each
 * handshake. Without such a folder curl reads the file and keeps what it read for a day.
 */
static bool set_trust(const struct http_exchange *exchange)
{
    const struct http_target *target = exchange->target;
    const curl_version_info_data *built = curl_version_info(CURLVERSION_NOW);
    CURL *easy = exchange->easy;
    bool is_set =
        SET(SSL_VERIFYPEER, 1L) && SET(SSL_VERIFYHOST, 2L) &&
        (!built->capath || (SET(PROXY_CAINFO, NULL) && SET(PROXY_CAPATH, built->capath)));
    if (target->ca_pem.ptr) {
        union { /* curl only reads it */
            const char *ours;
            void *curls;
        } pem = {.ours = target->ca_pem.ptr};
        struct curl_blob blob = {pem.curls, target->ca_pem.len, CURL_BLOB_NOCOPY};
        return is_set && SET(CAINFO_BLOB, &blob) && SET(CAINFO, NULL) && SET(CAPATH, NULL);
    }
    return is_set && (!built->capath || (SET(CAINFO, NULL) && SET(CAPATH, built->capath)));
}

/* What is spoken: over TLS, whatever the host offers. */
static bool set_protocol(const struct http_exchange *exchange)
{
    CURL *easy = exchange->easy;
    if (!exchange->target->origin) {
        return SET(HTTP_VERSION, CURL_HTTP_VERSION_1_1) && SET(HTTPHEADER, none_of_curls);
    }
    return SET(HTTP_VERSION, CURL_HTTP_VERSION_2TLS) &&
           SET(UPLOAD_BUFFERSIZE, HTTP_UPLOAD_BYTES) && SET(DEBUGFUNCTION, http_on_note) &&
           SET(DEBUGDATA, exchange) && set_trust(exchange);
}

/* The options of every exchange of a target. */
static bool set_options(struct http_exchange *exchange)
{
    const struct http_target *target = exchange->target;
    CURL *easy = exchange->easy;
    return SET(CURLU, target->url) && SET(PROTOCOLS_STR, "http,https") &&
           set_protocol(exchange) && SET(FOLLOWLOCATION, 0L) && SET(NOSIGNAL, 1L) &&
           SET(QUICK_EXIT, 1L) && SET(TCP_NODELAY, 1L) && SET(TCP_KEEPALIVE, 1L) &&
           SET(PROXY, target->proxy ? target->proxy : "") &&
           SET(NOPROXY, target->proxy ? "" : "*") && SET(ERRORBUFFER, exchange->words) &&
           SET(PRIVATE, exchange) && SET(HEADERFUNCTION, http_on_header) &&
           SET(HEADERDATA, exchange) && SET(WRITEFUNCTION, http_on_body) &&
           SET(WRITEDATA, exchange) && SET(PREREQFUNCTION, http_on_ready_to_send) &&
           SET(PREREQDATA, exchange) && SET(OPENSOCKETFUNCTION, http_on_open_socket) &&
           SET(OPENSOCKETDATA, exchange) && SET(CLOSESOCKETFUNCTION, http_on_close_socket) &&
           SET(CLOSESOCKETDATA, target->http);
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

static bool prepare(struct http_exchange *exchange)
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
    if ((is_new || exchange->extra || exchange->has_set_extra ||
         exchange->set_headers != exchange->headers) &&
        !set_request(exchange)) {
        return false;
    }
    if (exchange->set_receive_bytes != exchange->receive_bytes &&
        SET(BUFFERSIZE, exchange->receive_bytes)) { /* refused while there is a buffer */
        exchange->set_receive_bytes = exchange->receive_bytes;
    }
    bool has_notes =
        exchange->target->origin && exchange->target->origin->protocol != HTTP_PROTOCOL_1;
    if (exchange->has_notes != has_notes) {
        exchange->has_notes = has_notes;
        (void)SET(VERBOSE, (long)has_notes);
    }
    return exchange->method != HTTP_POST ||
           (SET(POSTFIELDS, exchange->body.data ? exchange->body.data : "") &&
            SET(POSTFIELDSIZE_LARGE, (curl_off_t)exchange->body.len));
#undef SET
}

bool http_prepare(struct http_exchange *exchange)
{
    if (prepare(exchange)) {
        return true;
    }
    http_drop_handle(exchange); /* half prepared, it must not be used again */
    return false;
}
