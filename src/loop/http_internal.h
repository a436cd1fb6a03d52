/* SPDX-License-Identifier: MIT */
/*
 * http_internal.h - what the files of loop/http share.
 *
 * http.c runs curl on the loop and leads exchanges through their stages; http_socket.c registers
 * its sockets; http_origin.c knows what hosts spoken to over TLS share; http_url.c, http_target.c,
 * http_handle.c, http_headers.c and http_proxy.c prepare what a request needs; http_failure.c finds words for what went wrong; http_memory.c is curl's allocator.
 */
#ifndef LOOP_HTTP_INTERNAL_H
#define LOOP_HTTP_INTERNAL_H

#include "base/list.h"
#include "loop/http.h"

#include <curl/curl.h>

#define HTTP_HEAD_BYTES \
    65536u /* header lines of one request, and of one answer with its interim ones */
#define HTTP_CONCURRENCY     16u
#define HTTP_CONNECT_MS      10000u
#define HTTP_WAITING_MAX     4096u /* exchanges of one target that wait for a place */
#define HTTP_CONNECTIONS_MAX 1024u /* kept open, unless descriptors are few */
#define HTTP_SWEEP_US        10000000
#define HTTP_RECEIVE_BYTES   8192L /* curl's buffer, there only while an exchange runs */
#define HTTP_RECEIVE_LARGE   65536L
#define HTTP_UPLOAD_BYTES    16384L /* over TLS, likewise: the least that curl takes */

struct http {
    struct loop *loop;
    CURLM *multi;            /* NULL until there is a target */
    struct loop_timer timer; /* curl's */
    struct loop_task kick;   /* runs what is in `starting`, and curl if its timer is zero */
    struct list starting;    /* exchanges on their way to curl */
    struct list dead;        /* cancelled while curl was on the stack */
    struct list paused;      /* they have had their share of the turn */
    size_t turn_bytes;       /* of bodies, since this was last cleared */
    struct loop_turn_end turn_end; /* while it is a turn's share */
    struct list targets;
    struct list origins;
    struct http_socket **sockets; /* by descriptor */
    size_t socket_cap;
    struct loop_timer sweep; /* frees idle handles */
    struct loop_timer more;  /* goes on with `starting` in another turn */
    mono_us turn;            /* that `starts` counts in */
    unsigned kicks, starts;
    bool is_in_curl, must_act;
};

struct http_headers {
    unsigned references;
    size_t length;
    size_t agent; /* where the caller's User-Agent begins, the last line; `length`: none */
    struct http_lines *lines; /* the same one by one; NULL: not needed yet */
    char text[];              /* "Name: value\r\n" for each */
};

/* The lines of headers as curl's list. */
struct http_lines {
    size_t size;
    struct curl_slist *list;
    struct curl_slist nodes[]; /* their texts lie behind them */
};

enum http_protocol { HTTP_PROTOCOL_UNKNOWN, HTTP_PROTOCOL_1, HTTP_PROTOCOL_2 };

/* A host and port that is spoken to over TLS: what its targets share. */
struct http_origin {
    struct list_link link; /* of http->origins */
    char *key;
    unsigned references;
    enum http_protocol protocol;
    struct http *http;
    struct http_exchange *connecting; /* opens a connection; NULL: nobody does */
    struct list gated;                /* exchanges that wait until it is there */
    struct loop_timer settled;        /* ends their waiting once it is there */
};

struct http_target {
    struct list_link link;
    struct http *http;
    CURLU *url;
    char *name;
    struct buf request;         /* what every request begins with: path, version, Host */
    struct http_origin *origin; /* NULL: not over TLS */
    char *proxy, *proxy_name;   /* NULL: none; the name is without credentials */
    char *ca_file;              /* where ca_pem is from, for messages */
    struct slice ca_pem;        /* ptr NULL: the system's */
    mono_us connect_timeout;
    uint32_t concurrency;
    struct list idle;    /* exchanges to use again */
    struct list live;    /* all others */
    struct list waiting; /* those that wait for a place */
    uint32_t idle_count, live_count, waiting_count, busy;
    uint32_t idle_low; /* the fewest idle since the last sweep */
    bool is_held, is_freed;
};

enum http_stage { HTTP_IDLE, HTTP_WAITING, HTTP_STARTING, HTTP_ACTIVE, HTTP_DEAD, HTTP_ENDING };

/* Why we broke off, where curl only knows that a callback refused. */
enum http_refusal {
    HTTP_FINE,
    HTTP_HEAD_TOO_LONG,
    HTTP_BODY_TOO_LONG,
    HTTP_REPEAT, /* curl must not by itself, but we may */
    HTTP_NO_REPEAT
};

struct http_exchange {
    struct list_link member; /* of target->idle or ->live */
    struct list_link queue;  /* of target->waiting, http->starting, ->dead or ->paused */
    struct http_target *target;
    CURL *easy; /* NULL until first needed; its options stay */
    const struct http_events *events;
    void *arg;
    struct http_headers *headers, *set_headers; /* wanted, and known to `easy` */
    struct http_headers *extra;                 /* beside them, for this request; NULL: none */
    struct buf body;
    size_t body_max, body_bytes, head_bytes;
    mono_us deadline, started;
    struct loop_timer timer; /* connecting, then the deadline */
    long receive_bytes, set_receive_bytes;
    unsigned tries, repeats;
    long sent_before; /* bytes that a proxy was sent before the request */
    int local_port;   /* of its connection */
    unsigned long stream;
    enum http_stage stage;
    enum http_method method, set_method;
    enum http_refusal refusal;
    bool is_urgent, is_counted, may_repeat, is_cancelled, has_head, is_connecting;
    bool has_set_extra; /* `easy` knows lines of an earlier `extra` */
    bool has_notes;     /* `easy` gives curl's notes to http_on_note */
    bool is_refused;    /* the host said that it did not carry it out */
    bool is_spoilt;     /* `easy` is not to be used again */
    bool has_wanted;    /* a field that the events want */
    char words[CURL_ERROR_SIZE];
};

/* http.c */
/* Before anything else of curl; nothing the second time. Curl's libraries take a
 * millisecond and two megabytes to get ready, which nobody pays who uses no HTTP service. */
int http_open_curl(struct http *http, struct err *reterr);
size_t http_on_header(char *bytes, size_t size, size_t count, void *arg);
size_t http_on_body(char *bytes, size_t size, size_t count, void *arg);
int http_on_ready_to_send(void *arg, char *peer, char *local, int peer_port, int local_port);
void http_on_exchange_timer(void *arg);
void http_act(struct http *http, curl_socket_t fd, int events); /* curl_multi_socket_action */

/* http_socket.c */
int http_on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *per_socket);
curl_socket_t http_on_open_socket(void *arg, curlsocktype purpose,
                                  struct curl_sockaddr *address);
int http_on_close_socket(void *arg, curl_socket_t fd);
void http_note_established(const struct http_exchange *exchange, int local_port);
void http_forget_target(struct http *http, const struct http_target *target);
void http_forget_sockets(struct http *http);

/* http_url.c */
/* The parsed URL, relative to `base` unless that is NULL; NULL when it is none. A terminated copy is
 * parsed, and wiped. */
CURLU *http_parse_url(CURLU *base, struct slice url);
char *http_url_part(CURLU *url, CURLUPart what); /* NULL: it has none; freed with curl_free */
void http_put_name(struct buf *out, CURLU *url); /* scheme://host/path */

/* http_origin.c */
struct http_origin *http_origin_of(struct http *http, const char *host, const char *port);
void http_origin_unref(struct http_origin *origin);
/* Whether the exchange may be given to curl; if not it waits, and comes back to http->starting. */
bool http_gate(struct http_exchange *exchange);
void http_gate_settle(struct http_exchange *exchange); /* its connection stands */
void http_gate_passed(struct http_exchange *exchange); /* it shares one, is answered, or over */
void http_gate_reopening(struct http_exchange *exchange);
void http_note_protocol(const struct http_exchange *exchange); /* from its answer */
int http_on_note(CURL *easy, curl_infotype type, char *bytes, size_t length, void *arg);

/* http_headers.c */
/* The lines as curl's list, `tail` behind them, which is always the same one. NULL: no memory. */
struct curl_slist *http_headers_list(struct http_headers *headers, struct curl_slist *tail);

/* http_target.c */
void http_destroy_target(struct http_target *target);
void http_wipe(struct buf *buf); /* and frees */

/* http_handle.c */
struct http_exchange *http_take(struct http_target *target);
void http_recycle(struct http_exchange *exchange); /* its target may be gone then */
bool http_prepare(struct http_exchange *exchange); /* false: no memory */
void http_drop_handle(struct http_exchange *exchange);
void http_free_idle(struct http_target *target, uint32_t count);
void http_sweep(void *arg);

/* http_proxy.c */
char *http_find_proxy(struct slice host, bool is_https); /* NULL: none; the caller's */
char *http_proxy_name(const char *proxy); /* without user and password; the caller's */
bool http_is_direct(const char *no_proxy, struct slice host);

/* http_memory.c */
CURLcode http_init_curl(void);

/* http_failure.c */
bool http_was_sent(const struct http_exchange *exchange);
void http_explain(struct failure *failure, const struct http_exchange *exchange, CURLcode code,
                  bool was_sent);
void http_explain_timeout(struct failure *failure, const struct http_exchange *exchange,
                          bool was_sent);

#endif
