/* SPDX-License-Identifier: MIT */
/* http_target.c - targets: one URL, what is known of it before the first request, and its end. */
#include "base/mem.h"
#include "loop/http_internal.h"

#include <string.h>

/* How every request to the URL begins, behind its method; to a proxy the URL is said in full. */
static void put_request(struct buf *out, CURLU *url, bool is_for_proxy)
{
    char *scheme = http_url_part(url, CURLUPART_SCHEME), *host = NULL;
    char *port = http_url_part(url, CURLUPART_PORT), *path = http_url_part(url, CURLUPART_PATH);
    char *query = http_url_part(url, CURLUPART_QUERY);
    if (curl_url_get(url, CURLUPART_HOST, &host, CURLU_PUNYCODE) != CURLUE_OK) {
        host = http_url_part(url, CURLUPART_HOST);
    }
    if (is_for_proxy) {
        buf_printf(out, "%s://%s%s%s", scheme ? scheme : "", host ? host : "", port ? ":" : "",
                   port ? port : "");
    }
    buf_printf(out, "%s%s%s HTTP/1.1\r\nHost: %s%s%s\r\n", path ? path : "/", query ? "?" : "",
               query ? query : "", host ? host : "", port ? ":" : "", port ? port : "");
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(query);
}

void http_wipe(struct buf *buf)
{
    if (buf->data) {
        mem_wipe(buf->data, buf->cap);
    }
    buf_done(buf);
}

/* ---- targets ---------------------------------------------------------------------------- */

static int check_url(const struct http_target *target, bool *ret_https, struct err *reterr)
{
    char *scheme = target->url ? http_url_part(target->url, CURLUPART_SCHEME) : NULL;
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

/* What is known of the way to the host: a proxy, and those who share a connection. */
static void prepare_route(struct http_target *target, bool is_https)
{
    char *host = http_url_part(target->url, CURLUPART_HOST), *port = NULL;
    target->proxy = http_find_proxy(slice_of(host), is_https);
    if (target->proxy) {
        target->proxy_name = http_proxy_name(target->proxy);
    }
    if (is_https &&
        curl_url_get(target->url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK) {
        target->origin = http_origin_of(target->http, host, port);
    }
    curl_free(host);
    curl_free(port);
    put_request(&target->request, target->url, target->proxy && !is_https);
}

int http_target_new(struct http *http, const struct http_target_options *options,
                    struct http_target **ret, struct err *reterr)
{
    int failed = http_open_curl(http, reterr);
    if (failed) {
        return failed;
    }
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
    buf_init(&target->request, 16384);
    target->url = http_parse_url(NULL, options->url);
    buf_init(&name, 16384);
    if (options->name.len) {
        buf_put_slice(&name, options->name);
    } else if (target->url) {
        http_put_name(&name, target->url);
    }
    target->name = mem_dup(buf_slice(&name));
    buf_done(&name);
    failed = check_url(target, &is_https, reterr);
    if (failed) {
        http_target_free(target);
        return failed;
    }
    prepare_route(target, is_https);
    target->ca_pem = options->ca_pem;
    target->ca_file = options->ca_file ? mem_dup(slice_of(options->ca_file)) : NULL;
    *ret = target;
    return 0;
}

const char *http_target_name(const struct http_target *target)
{
    return target->name;
}

void http_destroy_target(struct http_target *target)
{
    list_remove(&target->link);
    curl_url_cleanup(target->url);
    http_origin_unref(target->origin);
    http_wipe(&target->request);
    mem_free(target->name);
    if (target->proxy) {
        mem_wipe(target->proxy, strlen(target->proxy));
    }
    mem_free(target->proxy);
    mem_free(target->proxy_name);
    mem_free(target->ca_file);
    mem_free(target);
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
    http_free_idle(target, target->idle_count);
    http_forget_target(target->http, target);
    if (--target->live_count == 0) {
        http_destroy_target(target);
    }
}
