/* SPDX-License-Identifier: MIT */
/*
 * http_origin.c - hosts spoken to over TLS, which may speak HTTP/2: who opens a connection when, and
 * which requests the host has said that it did not carry out.
 *
 * One exchange at a time opens a connection to such a host; the others wait until it stands, then
 * share it as far as the host lets them. Curl could let them wait too (PIPEWAIT), but it wakes one
 * exchange at a time, of whatever host, which goes to sleep again when its own host is not ready.
 */
#include "base/mem.h"
#include "loop/http_internal.h"

#include <stdlib.h>
#include <string.h>

#define SETTLE_MIN_US 5000
#define SETTLE_MAX_US 500000

/* ---- origins ---------------------------------------------------------------------------- */

static void open_gate(struct http_origin *origin)
{
    struct http *http = origin->http;
    struct list_link *link;
    origin->connecting = NULL;
    loop_timer_cancel(http->loop, &origin->settled);
    while ((link = list_first(&origin->gated))) {
        list_remove(link);
        list_append(&http->starting, link);
        loop_later(http->loop, &http->kick);
    }
}

static void connection_settled(void *arg)
{
    open_gate(arg);
}

struct http_origin *http_origin_of(struct http *http, const char *host, const char *port)
{
    struct buf key;
    struct http_origin *origin = NULL;
    buf_init(&key, 16384);
    buf_printf(&key, "%s:%s", host, port);
    list_each (link, &http->origins) {
        struct http_origin *other = LIST_ITEM(link, struct http_origin, link);
        if (strcmp(other->key, buf_text(&key)) == 0) {
            origin = other;
        }
    }
    if (!origin) {
        origin = mem_new(sizeof *origin);
        origin->key = mem_dup(buf_slice(&key));
        origin->http = http;
        list_init(&origin->gated);
        loop_timer_init(&origin->settled, connection_settled, origin);
        list_append(&http->origins, &origin->link);
    }
    origin->references++;
    buf_done(&key);
    return origin;
}

void http_origin_unref(struct http_origin *origin)
{
    if (origin && --origin->references == 0) {
        list_remove(&origin->link);
        loop_timer_cancel(origin->http->loop, &origin->settled);
        mem_free(origin->key);
        mem_free(origin);
    }
}

/* ---- the gate --------------------------------------------------------------------------- */

bool http_gate(struct http_exchange *exchange)
{
    struct http_origin *origin = exchange->target->origin;
    if (!origin || origin->protocol == HTTP_PROTOCOL_1) {
        return true;
    }
    if (origin->connecting) {
        list_append(&origin->gated, &exchange->queue);
        return false;
    }
    origin->connecting = exchange;
    return true;
}

void http_gate_passed(struct http_exchange *exchange)
{
    struct http_origin *origin = exchange->target->origin;
    if (origin && origin->connecting == exchange) {
        open_gate(origin);
    }
}

/* How many streams a host takes at once it says right behind the handshake, and curl asks for
 * a hundred until it knows: so the others wait as long again, or until the first answer. */
void http_gate_settle(struct http_exchange *exchange)
{
    struct http_origin *origin = exchange->target->origin;
    if (origin && origin->connecting == exchange) {
        mono_us now = loop_now(origin->http->loop), took = now - exchange->started;
        took = took < SETTLE_MIN_US ? SETTLE_MIN_US : took;
        loop_timer_set(origin->http->loop, &origin->settled,
                       now + (took < SETTLE_MAX_US ? took : SETTLE_MAX_US));
    }
}

/* Curl repeats a request by itself when a kept connection was dead, and opens another for it. */
void http_gate_reopening(struct http_exchange *exchange)
{
    struct http_origin *origin = exchange->target->origin;
    if (origin && !origin->connecting) {
        origin->connecting = exchange;
    }
}

void http_note_protocol(const struct http_exchange *exchange)
{
    struct http_origin *origin = exchange->target->origin;
    long version = 0;
    if (!origin ||
        curl_easy_getinfo(exchange->easy, CURLINFO_HTTP_VERSION, &version) != CURLE_OK) {
        return;
    }
    origin->protocol = version >= CURL_HTTP_VERSION_2_0 ? HTTP_PROTOCOL_2 : HTTP_PROTOCOL_1;
    if (origin->protocol == HTTP_PROTOCOL_1 || origin->connecting == exchange) {
        open_gate(origin); /* HTTP/1.1: each needs a connection of its own */
    }
}

/* ---- what was not carried out ----------------------------------------------------------- */

/* Whether `text` is `words` and a number; takes both off. */
static bool take_number(struct slice *text, const char *words, unsigned long *ret)
{
    size_t at = strlen(words), begin = at;
    unsigned long number = 0;
    if (!slice_starts(*text, words)) {
        return false;
    }
    for (; at < text->len && text->ptr[at] >= '0' && text->ptr[at] <= '9' && at < begin + 10;
         at++) {
        number = number * 10 + (unsigned long)(text->ptr[at] - '0');
    }
    *text = (struct slice){text->ptr + at, text->len - at};
    *ret = number;
    return at > begin;
}

/* The host closes a connection in order: what it has not begun is what came after `last`. */
static void note_goaway(const struct http_exchange *exchange, unsigned long last)
{
    list_each (link, &exchange->target->http->targets) {
        struct http_target *target = LIST_ITEM(link, struct http_target, link);
        if (target->origin != exchange->target->origin) {
            continue;
        }
        list_each (member, &target->live) {
            struct http_exchange *other = LIST_ITEM(member, struct http_exchange, member);
            if (other->stage == HTTP_ACTIVE && other->local_port == exchange->local_port &&
                other->stream > last) {
                other->is_refused = true;
            }
        }
    }
}

/*
 * The only place where curl tells which stream a request is, and what the host says of streams, are
 * its notes for people. They are known by how they begin: elsewhere they quote headers. Where a
 * version words them otherwise nothing is recognised, and a request counts as one that may have
 * been carried out.
 */
int http_on_note(CURL *easy, curl_infotype type, char *bytes, size_t length, void *arg)
{
    struct http_exchange *exchange = arg;
    struct slice text = {bytes, length}, rest = text;
    unsigned long number = 0, ignored;
    (void)easy;
    if (type != CURLINFO_TEXT) {
        return 0;
    }
    if (take_number(&rest, "Using Stream ID: ", &number) ||
        (take_number(&rest, "[HTTP/2] [", &number) && slice_starts(rest, "] OPENED"))) {
        exchange->stream = number;
        return 0;
    }
    rest = text;
    /* "recveived" is how curl 7.88 spells it. */
    if ((take_number(&rest, "recveived GOAWAY, error=", &ignored) ||
         take_number(&rest, "received GOAWAY, error=", &ignored)) &&
        take_number(&rest, ", last_stream=", &number)) {
        note_goaway(exchange, number);
        return 0;
    }
    rest = text;
    if (slice_starts(text, "REFUSED_STREAM, retrying") ||
        (take_number(&rest, "HTTP/2 stream ", &ignored) &&
         slice_starts(rest, " refused by server"))) {
        exchange->is_refused = true;
    }
    return 0;
}
