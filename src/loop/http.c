/* SPDX-License-Identifier: MIT */
/*
 * http.c - curl's multi interface on the loop, and the stages of an exchange.
 *
 * Curl must not be called from its own callbacks, and body events run inside them: so a start
 * only queues, and a cancel made there takes effect when curl has returned.
 */
#include "loop/http.h"

#include "base/mem.h"
#include "base/must.h"
#include "loop/http_internal.h"

#include <sys/resource.h>

/* Rounds of curl in one turn while it goes on asking for another at once. */
#define KICKS_MAX 16u
/* Of the bodies of all exchanges, read in one turn: the rest waits for the next one. Curl itself goes
 * on as long as there is anything. */
#define TURN_BYTES ((size_t)256 * 1024)

/* Exchanges that are started in one turn. */
#define STARTS_MAX 64u

/* How often a request is given to a host that refuses it, connection after connection. */
#define REPEATS_MAX 16u

/* ---- curl's timer ----------------------------------------------------------------------- */

static void set_timer(struct http *http, long ms)
{
    http->must_act = false;
    if (ms < 0) {
        loop_timer_cancel(http->loop, &http->timer);
    } else if (ms == 0 && http->kicks < KICKS_MAX) {
        http->must_act = true;
        loop_later(http->loop, &http->kick);
    } else {
        /* A little late rather than early: curl ignores a timer that comes early. */
        loop_timer_set(http->loop, &http->timer, loop_now(http->loop) + ms * 1000 + 1000);
    }
}

/* Curl reads on as soon as it is asked to act. It may give what it had kept back at once. */
static void resume(struct http *http)
{
    struct list paused;
    struct list_link *link;
    list_init(&paused);
    while ((link = list_first(&http->paused))) {
        list_remove(link);
        list_append(&paused, link);
    }
    while ((link = list_first(&paused))) {
        struct http_exchange *exchange = LIST_ITEM(link, struct http_exchange, queue);
        list_remove(link);
        http->is_in_curl = true;
        (void)curl_easy_pause(exchange->easy, CURLPAUSE_CONT);
        http->is_in_curl = false;
    }
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    (void)multi;
    set_timer(arg, ms);
    return 0;
}

static void timer_fired(void *arg)
{
    struct http *http = arg;
    long ms = -1;
    http->kicks = 0;
    resume(http);
    http_act(http, CURL_SOCKET_TIMEOUT, 0);
    /* If it was early after all, curl does not ask for the same time again. */
    if (!loop_timer_is_set(&http->timer) && !http->must_act) {
        (void)curl_multi_timeout(http->multi, &ms);
        set_timer(http, ms);
    }
}

/* ---- the end of an exchange ------------------------------------------------------------- */

static void to_start(struct http_exchange *exchange)
{
    struct http_target *target = exchange->target;
    struct http *http = target->http;
    if (!exchange->is_urgent) {
        exchange->is_counted = true;
        target->busy++;
    }
    exchange->stage = HTTP_STARTING;
    http->kicks = 0;
    list_append(&http->starting, &exchange->queue);
    loop_later(http->loop, &http->kick);
}

static void start_waiting(struct http_target *target)
{
    struct list_link *link;
    while (!target->is_held && target->busy < target->concurrency &&
           (link = list_first(&target->waiting))) {
        list_remove(link);
        target->waiting_count--;
        to_start(LIST_ITEM(link, struct http_exchange, queue));
    }
}

/* Takes an exchange out of wherever its stage has it. Not inside curl. */
static void detach(struct http_exchange *exchange)
{
    struct http_target *target = exchange->target;
    loop_timer_cancel(target->http->loop, &exchange->timer);
    list_remove(&exchange->queue);
    http_gate_passed(exchange);
    if (exchange->stage == HTTP_WAITING) {
        target->waiting_count--;
    } else if (exchange->stage == HTTP_ACTIVE || exchange->stage == HTTP_DEAD) {
        (void)curl_multi_remove_handle(target->http->multi, exchange->easy);
    }
    exchange->stage = HTTP_ENDING;
    if (exchange->is_counted) {
        exchange->is_counted = false;
        target->busy--;
        start_waiting(target);
    }
}

/* False when the exchange was cancelled in the event. */
static bool give_head(struct http_exchange *exchange)
{
    long status = 0;
    if (!exchange->has_head) {
        exchange->has_head = true;
        exchange->is_refused = false;
        http_note_protocol(exchange);
        if (exchange->events->head) {
            (void)curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
            exchange->events->head(exchange->arg, exchange, (int)status);
        }
    }
    return !exchange->is_cancelled;
}

/* `failure` is cleared. */
static void end(struct http_exchange *exchange, struct failure *failure, bool was_sent)
{
    detach(exchange);
    if (!exchange->is_cancelled && (failure || give_head(exchange))) {
        exchange->is_cancelled = true;
        exchange->events->done(exchange->arg, failure, was_sent);
    }
    if (failure) {
        failure_done(failure);
    }
    http_recycle(exchange);
}

/* After a failure: when the host said that it did not carry the request out, or the caller does not
 * mind. Not for ever, and not after an answer has begun. */
static bool may_start_again(const struct http_exchange *exchange)
{
    return exchange->stage == HTTP_ACTIVE && exchange->repeats < REPEATS_MAX &&
           !exchange->has_head &&
           (exchange->refusal == HTTP_REPEAT ||
            (exchange->is_refused && exchange->refusal == HTTP_FINE));
}

static void start_again(struct http_exchange *exchange)
{
    struct http *http = exchange->target->http;
    (void)curl_multi_remove_handle(http->multi, exchange->easy);
    http_drop_handle(exchange);
    http_gate_passed(exchange);
    exchange->repeats++;
    exchange->refusal = HTTP_FINE;
    exchange->is_refused = exchange->is_connecting = false;
    exchange->tries = 0;
    exchange->head_bytes = 0;
    exchange->has_wanted = false;
    exchange->stream = 0;
    exchange->sent_before = 0;
    exchange->stage = HTTP_STARTING;
    list_append(&http->starting, &exchange->queue);
    loop_later(http->loop, &http->kick);
}

static void end_by_curl(struct http_exchange *exchange, CURLcode code)
{
    if (code == CURLE_OK) {
        end(exchange, NULL, true);
        return;
    }
    exchange->is_spoilt = exchange->target->origin != NULL;
    if (!exchange->is_cancelled && may_start_again(exchange)) {
        start_again(exchange);
        return;
    }
    struct failure failure = {0};
    bool was_sent = http_was_sent(exchange);
    http_explain(&failure, exchange, code, was_sent);
    end(exchange, &failure, was_sent);
}

void http_on_exchange_timer(void *arg)
{
    struct http_exchange *exchange = arg;
    struct loop *loop = exchange->target->http->loop;
    if (exchange->tries && loop_now(loop) < exchange->deadline) {
        if (exchange->deadline != MONO_NEVER) { /* connected: only the deadline counts now */
            loop_timer_set(loop, &exchange->timer, exchange->deadline);
        }
        return;
    }
    struct failure failure = {0};
    bool was_sent = http_was_sent(exchange);
    http_explain_timeout(&failure, exchange, was_sent);
    end(exchange, &failure, was_sent);
}

/* ---- running curl ----------------------------------------------------------------------- */

static void read_results(struct http *http)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(http->multi, &left))) {
        char *exchange = NULL;
        CURLcode code = message->data.result; /* gone with the handle */
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
        end_by_curl((struct http_exchange *)(void *)exchange, code);
        if (!left) {
            break;
        }
    }
}

void http_act(struct http *http, curl_socket_t fd, int events)
{
    int running;
    struct list_link *link;
    http->is_in_curl = true;
    (void)curl_multi_socket_action(http->multi, fd, events, &running);
    http->is_in_curl = false;
    while ((link = list_first(&http->dead))) {
        struct http_exchange *exchange = LIST_ITEM(link, struct http_exchange, queue);
        detach(exchange);
        http_recycle(exchange);
    }
    read_results(http);
}

static void start_now(struct http_exchange *exchange)
{
    struct http_target *target = exchange->target;
    struct http *http = target->http;
    mono_us limit = loop_now(http->loop) + target->connect_timeout;
    list_remove(&exchange->queue);
    loop_timer_set(http->loop, &exchange->timer,
                   exchange->deadline < limit ? exchange->deadline : limit);
    if (!http_gate(exchange)) {
        return;
    }
    if (!http_prepare(exchange) ||
        curl_multi_add_handle(http->multi, exchange->easy) != CURLM_OK) {
        end_by_curl(exchange, CURLE_OUT_OF_MEMORY);
        return;
    }
    exchange->stage = HTTP_ACTIVE;
    exchange->started = loop_now(http->loop);
    if (target->origin) { /* at once: whether it opens a connection decides about the next */
        http->must_act = false;
        http_act(http, CURL_SOCKET_TIMEOUT, 0);
    }
}

static void start_more(void *arg)
{
    struct http *http = arg;
    http->starts = 0;
    loop_later(http->loop, &http->kick);
}

/* An exchange that ends can start the next at once: not for ever, others have a turn too. */
static void start_some(struct http *http)
{
    mono_us now = loop_now(http->loop);
    struct list_link *link;
    if (http->turn != now) {
        http->turn = now;
        http->starts = 0;
    }
    while (http->starts < STARTS_MAX && (link = list_first(&http->starting))) {
        http->starts++;
        start_now(LIST_ITEM(link, struct http_exchange, queue));
    }
    if (!list_is_empty(&http->starting)) {
        loop_timer_set(http->loop, &http->more, now);
    }
}

static void kick(void *arg)
{
    struct http *http = arg;
    start_some(http);
    if (http->must_act) {
        http->must_act = false;
        http->kicks++;
        http_act(http, CURL_SOCKET_TIMEOUT, 0);
    }
}

/* Interim answers and trailers count too: then it is looked for in vain once. */
static void note_wanted(struct http_exchange *exchange, const char *line, size_t length)
{
    const char *colon = memchr(line, ':', length);
    exchange->has_wanted =
        colon && exchange->events->is_wanted((struct slice){line, (size_t)(colon - line)});
}

size_t http_on_header(char *bytes, size_t size, size_t count, void *arg)
{
    struct http_exchange *exchange = arg;
    size_t length = size * count;
    exchange->head_bytes += length;
    if (exchange->head_bytes > HTTP_HEAD_BYTES) {
        exchange->refusal = HTTP_HEAD_TOO_LONG;
        return 0;
    }
    if (!exchange->has_wanted && exchange->events->is_wanted) {
        note_wanted(exchange, bytes, length);
    }
    return exchange->is_cancelled ? 0 : length;
}

static void turn_ended(void *arg)
{
    struct http *http = arg;
    http->turn_bytes = 0;
    loop_remove_turn_end(&http->turn_end);
    if (!list_is_empty(&http->paused)) {
        loop_timer_set(http->loop, &http->timer, loop_now(http->loop));
    }
}

/* Over HTTP/2 a pause would be told to the server, and there each stream is read frame by frame. */
static bool may_pause(const struct http_exchange *exchange)
{
    long version = 0;
    return !list_has(&exchange->queue) && !exchange->is_cancelled &&
           curl_easy_getinfo(exchange->easy, CURLINFO_HTTP_VERSION, &version) == CURLE_OK &&
           version <= CURL_HTTP_VERSION_1_1;
}

static void share_turn(struct http_exchange *exchange, size_t length)
{
    struct http *http = exchange->target->http;
    http->turn_bytes += length;
    if (http->turn_bytes < TURN_BYTES) {
        return;
    }
    if (!list_has(&http->turn_end.link)) {
        loop_add_turn_end(http->loop, &http->turn_end);
    }
    if (may_pause(exchange)) {
        list_append(&http->paused, &exchange->queue);
        (void)curl_easy_pause(exchange->easy, CURLPAUSE_RECV);
    }
}

size_t http_on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct http_exchange *exchange = arg;
    size_t length = size * count;
    if (exchange->is_cancelled || !give_head(exchange)) {
        return 0;
    }
    exchange->body_bytes += length;
    if (exchange->body_max && exchange->body_bytes > exchange->body_max) {
        exchange->refusal = HTTP_BODY_TOO_LONG;
        return 0;
    }
    exchange->events->body(exchange->arg, (struct slice){bytes, length});
    if (exchange->is_cancelled) {
        return 0;
    }
    share_turn(exchange, length);
    return length;
}

/* Curl sends a request a second time when a kept connection dies before the first byte of an answer. The
 * server may have carried it out: whoever wants that says so. */
int http_on_ready_to_send(void *arg, char *peer, char *local, int peer_port, int local_port)
{
    struct http_exchange *exchange = arg;
    (void)peer;
    (void)local;
    (void)peer_port;
    if (exchange->is_connecting) {
        exchange->is_connecting = false;
        http_note_established(exchange, local_port);
        http_gate_settle(exchange);
    } else {
        http_gate_passed(exchange);
    }
    exchange->local_port = local_port;
    if (!exchange->tries++) {
        (void)curl_easy_getinfo(exchange->easy, CURLINFO_REQUEST_SIZE, &exchange->sent_before);
        return CURL_PREREQFUNC_OK;
    }
    bool may_repeat = exchange->may_repeat || !http_was_sent(exchange);
    if (may_repeat && !exchange->target->origin) {
        return CURL_PREREQFUNC_OK;
    }
    exchange->refusal = may_repeat ? HTTP_REPEAT : HTTP_NO_REPEAT;
    return CURL_PREREQFUNC_ABORT;
}

/* ---- the interface ---------------------------------------------------------------------- */

struct http *http_new(struct loop *loop)
{
    struct http *http = mem_new(sizeof *http);
    http->loop = loop;
    loop_timer_init(&http->timer, timer_fired, http);
    loop_timer_init(&http->sweep, http_sweep, http);
    loop_timer_init(&http->more, start_more, http);
    loop_task_init(&http->kick, kick, http);
    http->turn_end = (struct loop_turn_end){{NULL, NULL}, turn_ended, http};
    list_init(&http->starting);
    list_init(&http->dead);
    list_init(&http->paused);
    list_init(&http->targets);
    list_init(&http->origins);
    return http;
}

static bool set_multi_options(struct http *http)
{
    struct rlimit files = {.rlim_cur = 0};
    long connections = HTTP_CONNECTIONS_MAX;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / 4 < HTTP_CONNECTIONS_MAX) {
        connections = (long)(files.rlim_cur / 4);
    }
    return curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, http_on_socket) ==
               CURLM_OK &&
           curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http) == CURLM_OK &&
           curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
           curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http) == CURLM_OK &&
           curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX) ==
               CURLM_OK &&
           curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, connections) == CURLM_OK;
}

int http_open_curl(struct http *http, struct err *reterr)
{
    if (http->multi) {
        return 0;
    }
    if (http_init_curl() != CURLE_OK) {
        return err_set(reterr, ERR_OVERLOADED, "no memory to prepare for HTTP");
    }
    if (!(curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_ASYNCHDNS)) {
        curl_global_cleanup();
        return err_set(reterr, ERR_INTERNAL,
                       "this host's libcurl would hold the daemon while it looks up a name: "
                       "one with a threaded resolver is needed, as Debian's is");
    }
    http->multi = curl_multi_init();
    if (!http->multi) {
        curl_global_cleanup();
        return err_set(reterr, ERR_OVERLOADED, "no memory to prepare for HTTP");
    }
    must(set_multi_options(http));
    return 0;
}

void http_free(struct http *http)
{
    if (!http) {
        return;
    }
    must(!http->is_in_curl && list_is_empty(&http->targets));
    if (http->multi) {
        (void)curl_multi_cleanup(http->multi); /* closes what is kept: callbacks still run */
        curl_global_cleanup();
    }
    loop_timer_cancel(http->loop, &http->timer);
    loop_timer_cancel(http->loop, &http->sweep);
    loop_timer_cancel(http->loop, &http->more);
    loop_task_cancel(&http->kick);
    loop_remove_turn_end(&http->turn_end);
    http_forget_sockets(http);
    mem_free(http);
}

static void take_body(struct http_exchange *exchange, const struct http_request *request)
{
    struct buf *own = request->own;
    size_t max = exchange->body.max;
    if (!own || own->data != request->body.ptr) {
        buf_put_slice(&exchange->body, request->body);
        return;
    }
    buf_done(&exchange->body);
    exchange->body = *own;
    exchange->body.len = request->body.len;
    exchange->body.max = max;
    *own = (struct buf){.max = own->max};
}

int http_start(struct http_target *target, const struct http_request *request,
               const struct http_events *events, void *arg, struct http_exchange **ret,
               struct err *reterr)
{
    bool may_start =
        request->is_urgent || (!target->is_held && target->busy < target->concurrency);
    if (!may_start && target->waiting_count >= HTTP_WAITING_MAX) {
        return err_set(reterr, ERR_OVERLOADED, "%u requests wait for %s already",
                       target->waiting_count, target->name);
    }
    struct http_headers *extra = NULL;
    struct err fault = {ERR_NONE, ""};
    if (request->extra_count &&
        !(extra = http_headers_new(request->extra, request->extra_count, &fault))) {
        return err_set(reterr, fault.code, "%s", fault.text);
    }
    if (extra && extra->agent < extra->length) {
        (void)http_headers_unref(extra);
        return err_set(reterr, ERR_VALIDATION_ERROR,
                       "header \"User-Agent\" cannot be given for one request");
    }
    struct http_exchange *exchange = http_take(target);
    exchange->extra = extra;
    take_body(exchange, request);
    if (exchange->body.overflow) {
        http_recycle(exchange);
        return err_set(reterr, ERR_OVERLOADED, "no memory for a request of %zu bytes to %s",
                       request->body.len, target->name);
    }
    exchange->events = events;
    exchange->arg = arg;
    exchange->headers = http_headers_ref(request->headers);
    exchange->method = request->method;
    exchange->body_max = request->body_max;
    exchange->deadline = request->deadline;
    exchange->is_urgent = request->is_urgent;
    exchange->may_repeat = request->may_repeat;
    if (may_start) {
        to_start(exchange);
    } else {
        exchange->stage = HTTP_WAITING;
        target->waiting_count++;
        list_append(&target->waiting, &exchange->queue);
    }
    if (exchange->deadline != MONO_NEVER) {
        loop_timer_set(target->http->loop, &exchange->timer, exchange->deadline);
    }
    *ret = exchange;
    return 0;
}

void http_cancel(struct http_exchange *exchange)
{
    struct http *http = exchange->target->http;
    if (exchange->is_cancelled) {
        return;
    }
    exchange->is_cancelled = true;
    if (exchange->stage == HTTP_ACTIVE && http->is_in_curl) {
        exchange->stage = HTTP_DEAD;
        loop_timer_cancel(http->loop, &exchange->timer);
        list_remove(&exchange->queue);
        list_append(&http->dead, &exchange->queue);
    } else if (exchange->stage != HTTP_ENDING) {
        detach(exchange);
        http_recycle(exchange);
    }
}

void http_set_deadline(struct http_exchange *exchange, mono_us deadline)
{
    struct loop *loop = exchange->target->http->loop;
    exchange->deadline = deadline;
    if (deadline != MONO_NEVER && exchange->stage != HTTP_ENDING && !exchange->is_cancelled &&
        (exchange->tries || !loop_timer_is_set(&exchange->timer) ||
         deadline < exchange->timer.when)) {
        loop_timer_set(loop, &exchange->timer, deadline);
    }
}

void http_target_hold(struct http_target *target, bool is_held)
{
    target->is_held = is_held;
    start_waiting(target);
}

/* Where a field is empty curl leaves the end of its line. */
static struct slice value_of(const struct curl_header *field)
{
    struct slice value = slice_of(field->value);
    return value.len == 1 && *value.ptr == '\r' ? (struct slice){value.ptr, 0} : value;
}

bool http_header(const struct http_exchange *exchange, const char *name, struct slice *ret)
{
    struct curl_header *header;
    if (!exchange->easy ||
        curl_easy_header(exchange->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK) {
        return false;
    }
    *ret = value_of(header);
    return true;
}

bool http_has_wanted(const struct http_exchange *exchange)
{
    return exchange->has_wanted;
}

void http_each_wanted(const struct http_exchange *exchange,
                      void (*visit)(void *arg, struct slice name, struct slice value),
                      void *arg)
{
    struct curl_header *field = NULL;
    if (!exchange->easy || !exchange->has_wanted) {
        return;
    }
    while ((field = curl_easy_nextheader(exchange->easy, CURLH_HEADER, -1, field))) {
        struct slice name = slice_of(field->name);
        if (exchange->events->is_wanted(name)) {
            visit(arg, name, value_of(field));
        }
    }
}

int64_t http_content_length(const struct http_exchange *exchange)
{
    curl_off_t length = -1;
    (void)curl_easy_getinfo(exchange->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    return length;
}

int64_t http_date(struct slice text)
{
    char copy[64];
    if (text.len >= sizeof copy) {
        return -1;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return (int64_t)curl_getdate(copy, NULL);
}
