/* SPDX-License-Identifier: MIT */
/*
 * http.h - HTTP exchanges with other hosts: libcurl's multi interface on the loop.
 *
 * A target is one URL with its options and a pool of prepared handles; an exchange is one request
 * to it and its answer, streamed. Connections are kept and shared between targets of one origin.
 * Redirects are not followed, certificates are verified. Over TLS HTTP/2 is spoken with hosts that
 * offer it, many exchanges on one connection; without TLS, and with all others, HTTP/1.1.
 *
 * Owns:    struct http owns connections, a target its handles and waiting exchanges. Headers are
 *          counted and immutable, and wiped when the last reference goes.
 * Life:    http_start .. head? .. body* .. done (exactly once), or http_cancel, after which no event
 *          comes. The exchange is gone when `done` returns. No event runs inside http_start or
 *          http_cancel. Any function here may be called from any event, http_free excepted.
 * Thread:  the loop thread only.
 * Errors:  struct failure with details {url, reason, request_sent}; the url without user info and
 *          query; never a header's value.
 */
#ifndef LOOP_HTTP_H
#define LOOP_HTTP_H

#include "base/err.h"
#include "base/slice.h"
#include "loop/loop.h"
#include "value/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http;
struct http_target;
struct http_headers;
struct http_exchange;

struct http *http_new(struct loop *loop);
void http_free(struct http *http); /* every target is freed before it */

/* ---- headers ---------------------------------------------------------------------------- */

struct http_field {
    struct slice name, value;
};

/* A request's header lines beside Host and Content-Length, which cannot be given; without TLS a
 * User-Agent is sent with " HTTP/1.1" behind it. NULL when a name is no token or a value holds control characters
 * (the name is said, never the value), or when they are longer than 64 KiB together. */
struct http_headers *http_headers_new(const struct http_field *fields, size_t count,
                                      struct err *reterr);
struct http_headers *http_headers_ref(struct http_headers *headers);
struct http_headers *http_headers_unref(struct http_headers *headers); /* always NULL */

/* ---- targets ---------------------------------------------------------------------------- */

struct http_target_options {
    struct slice url;            /* http or https */
    struct slice name;           /* what messages call it; empty: the url without its query */
    uint32_t connect_timeout_ms; /* name, TCP and TLS; 0: 10 s */
    uint32_t concurrency;        /* exchanges at once, the rest waits; 0: 16 */
    struct slice ca_pem;         /* certificates to trust instead of the system's, as PEM;
                                    borrowed until the target is freed; ptr NULL: none */
    const char *ca_file;         /* where they are from, for messages */
};

/* Proxy variables of the environment are read here, once. */
int http_target_new(struct http *http, const struct http_target_options *options,
                    struct http_target **ret, struct err *reterr);
void http_target_free(struct http_target *target); /* cancels what is under way */

/* scheme://host/path, for messages. */
const char *http_target_name(const struct http_target *target);

/* While a target is held, exchanges wait, but for urgent ones. */
void http_target_hold(struct http_target *target, bool is_held);

/* ---- exchanges -------------------------------------------------------------------------- */

enum http_method { HTTP_POST, HTTP_GET, HTTP_DELETE };

struct http_request {
    enum http_method method;
    struct http_headers *headers; /* a reference is taken; NULL: none */
    /* Lines of this request alone, beside `headers`; copied, with the rules of http_headers_new;
     * no User-Agent. */
    const struct http_field *extra;
    size_t extra_count;
    struct slice body; /* POST; copied ... */
    struct buf *own;   /* ... or all of this, whose memory is taken over; NULL: none */
    size_t body_max;   /* longest answer taken; 0: any, the caller counts */
    mono_us deadline;  /* for all of it, waiting included; MONO_NEVER: none */
    bool is_urgent;    /* neither counted as one of `concurrency` nor held */
    bool may_repeat;   /* on a new connection, when a kept one died unanswered; what the server
                          said that it did not begin (HTTP/2) is repeated in any case */
};

/* A static table. */
struct http_events {
    /* Status and headers of the answer are there; before the first byte of its body, or just
     * before `done` when it has none. May be NULL. */
    void (*head)(void *arg, struct http_exchange *exchange, int status);
    /* The next piece of the body, valid during the call. */
    void (*body)(void *arg, struct slice bytes);
    /* The answer is complete (`failure` NULL, whatever its status), or why not. `was_sent`: the
     * request, or a part of it, may have reached the server. */
    void (*done)(void *arg, const struct failure *failure, bool was_sent);
    /* Which fields of the answer http_each_wanted is to give: asked for each of them, as they come.
     * NULL: none. */
    bool (*is_wanted)(struct slice name);
};

/* ERR_OVERLOADED when too many wait for the target already, or memory is short;
 * ERR_VALIDATION_ERROR when a field of `extra` cannot be sent. */
int http_start(struct http_target *target, const struct http_request *request,
               const struct http_events *events, void *arg, struct http_exchange **ret,
               struct err *reterr);
void http_cancel(struct http_exchange *exchange); /* in its own `done`: nothing */

/* In head and later. The value is valid until the exchange is gone. */
bool http_header(const struct http_exchange *exchange, const char *name, struct slice *ret);
/* Whether there are any that events->is_wanted wants: cheap; and each of them, in order. */
bool http_has_wanted(const struct http_exchange *exchange);
void http_each_wanted(const struct http_exchange *exchange,
                      void (*visit)(void *arg, struct slice name, struct slice value),
                      void *arg);
int64_t http_content_length(const struct http_exchange *exchange); /* -1: not said */

/* A date of HTTP as Unix time in seconds; -1: it is none. */
int64_t http_date(struct slice text);

/* Moves the deadline of an exchange under way. */
void http_set_deadline(struct http_exchange *exchange, mono_us deadline);

/* Appends `url`, which may be relative to the target's (NULL: must not), without user info, query
 * and fragment; "(not a URL)" if it is none. */
void http_put_url(struct buf *out, const struct http_target *base, struct slice url);

/* Appends `url`, resolved relative to the target's, in full, with the user info of the target's.
 * *ret_same_origin: whether scheme, host and port are the target's; if not, nothing is appended.
 * ERR_VALIDATION_ERROR: it is no URL. */
int http_resolve(struct buf *out, const struct http_target *base, struct slice url,
                 bool *ret_same_origin, struct err *reterr);

#endif
