/* SPDX-License-Identifier: MIT */
/* http_failure.c - what went wrong with an exchange, in words that help, and without secrets. */
#include "loop/http_internal.h"

#include <errno.h>
#include <string.h>

/* Part of the request has left: then nobody knows whether the server has carried it out. */
bool http_was_sent(const struct http_exchange *exchange)
{
    long bytes = 0;
    if (exchange->tries && exchange->easy) {
        (void)curl_easy_getinfo(exchange->easy, CURLINFO_REQUEST_SIZE, &bytes);
    }
    return bytes > 0;
}

static void put_details(struct failure *failure, const struct http_exchange *exchange,
                        const char *reason, bool was_sent)
{
    failure_detail_text(failure, "url", exchange->target->name);
    failure_detail_text(failure, "reason", reason);
    failure_detail_pack(failure, "request_sent", was_sent ? SLICE("\xC3") : SLICE("\xC2"));
}

/* Curl's own words, which hold addresses and names but nothing of a header. */
static const char *words(const struct http_exchange *exchange, CURLcode code)
{
    return exchange->words[0] ? exchange->words : curl_easy_strerror(code);
}

static const char *explain_connect(struct failure *failure,
                                   const struct http_exchange *exchange, CURLcode code)
{
    const char *name = exchange->target->name;
    long number = 0;
    (void)curl_easy_getinfo(exchange->easy, CURLINFO_OS_ERRNO, &number);
    failure_set(failure, ERR_UNAVAILABLE, "could not connect to %s: %s", name,
                number ? strerror((int)number) : words(exchange, code));
    if (number == ECONNREFUSED) {
        failure_suggest(failure, "Start the server, or check the port in the service's url; "
                                 "nothing listens there.");
        return "refused";
    }
    failure_suggest(failure, "Check that this host can reach the server (network, firewall, "
                             "proxy variables).");
    return number == ETIMEDOUT ? "connect_timeout" : "unreachable";
}

static const char *explain_tls(struct failure *failure, const struct http_exchange *exchange,
                               CURLcode code)
{
    failure_set(failure, ERR_UNAVAILABLE, "no secure connection to %s: %s",
                exchange->target->name, words(exchange, code));
    failure_suggest(failure,
                    "Check the server's certificate, its name and its dates; a private "
                    "authority must be among this host's trusted certificates.");
    failure->is_retryable = false;
    return "tls";
}

static const char *explain_refusal(struct failure *failure,
                                   const struct http_exchange *exchange)
{
    const char *name = exchange->target->name;
    switch (exchange->refusal) {
    case HTTP_HEAD_TOO_LONG:
        failure_set(failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                    "%s answered with more than %u bytes of headers", name, HTTP_HEAD_BYTES);
        return "too_large";
    case HTTP_BODY_TOO_LONG:
        failure_set(failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                    "%s answered with more than the %zu bytes that are taken", name,
                    exchange->body_max);
        failure_suggest(failure, "Ask the tool for less at once.");
        return "too_large";
    case HTTP_NO_REPEAT:
        failure_set(
            failure, ERR_UNAVAILABLE,
            "%s closed the connection when the request had been sent, without an answer", name);
        return "closed";
    case HTTP_FINE:
        break;
    }
    failure_set(failure, ERR_INTERNAL, "the exchange with %s was broken off", name);
    return "internal";
}

/* What came was no HTTP, or no correct HTTP. */
static const char *explain_protocol(struct failure *failure,
                                    const struct http_exchange *exchange, CURLcode code)
{
    failure_set(failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                "%s does not answer as an HTTP server should: %s", exchange->target->name,
                words(exchange, code));
    failure_suggest(failure, "Check that the service's url leads to an MCP server that speaks "
                             "HTTP/1.1.");
    return "protocol";
}

static const char *explain_lost(struct failure *failure, const struct http_exchange *exchange,
                                CURLcode code)
{
    const char *name = exchange->target->name;
    long number = 0;
    (void)curl_easy_getinfo(exchange->easy, CURLINFO_OS_ERRNO, &number);
    if (code == CURLE_GOT_NOTHING) {
        failure_set(failure, ERR_UNAVAILABLE, "%s closed the connection without an answer",
                    name);
        return "closed";
    }
    if (code == CURLE_PARTIAL_FILE) {
        failure_set(failure, ERR_UNAVAILABLE, "%s closed the connection half-way", name);
        return "closed";
    }
    if (code == CURLE_RECV_ERROR && strstr(exchange->words, "chunk")) {
        return explain_protocol(failure, exchange, code);
    }
    failure_set(failure, ERR_UNAVAILABLE, "the connection to %s was lost: %s", name,
                number ? strerror((int)number) : words(exchange, code));
    return "reset";
}

static const char *explain(struct failure *failure, const struct http_exchange *exchange,
                           CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        failure_set(failure, ERR_UNAVAILABLE, "could not resolve the host of %s",
                    exchange->target->name);
        failure_suggest(failure,
                        "Check the host name in the service's url, and this host's name "
                        "service (DNS).");
        return "resolve";
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
        return explain_connect(failure, exchange, code);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return explain_tls(failure, exchange, code);
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return explain_lost(failure, exchange, code);
    case CURLE_WRITE_ERROR:
    case CURLE_ABORTED_BY_CALLBACK:
        return explain_refusal(failure, exchange);
    case CURLE_OPERATION_TIMEDOUT:
        failure_set(failure, ERR_UNAVAILABLE, "could not connect to %s in time",
                    exchange->target->name);
        return "connect_timeout";
    case CURLE_OUT_OF_MEMORY:
        failure_set(failure, ERR_OVERLOADED, "no memory for a request to %s",
                    exchange->target->name);
        return "memory";
    default:
        return explain_protocol(failure, exchange, code);
    }
}

void http_explain(struct failure *failure, const struct http_exchange *exchange, CURLcode code,
                  bool was_sent)
{
    const char *reason = explain(failure, exchange, code);
    put_details(failure, exchange, reason, was_sent);
}

void http_explain_timeout(struct failure *failure, const struct http_exchange *exchange,
                          bool was_sent)
{
    const struct http_target *target = exchange->target;
    const char *reason = "timeout";
    if (exchange->stage == HTTP_WAITING || exchange->stage == HTTP_STARTING) {
        failure_set(
            failure, ERR_TIMEOUT,
            "the deadline passed before one of the %u places for requests to %s was free",
            target->concurrency, target->name);
        failure_suggest(failure,
                        "Call again later, or raise limits.concurrency of the service.");
        reason = "queue";
    } else if (exchange->tries) {
        failure_set(failure, ERR_TIMEOUT, "%s did not answer in time", target->name);
    } else if (loop_now(target->http->loop) < exchange->deadline) {
        failure_set(failure, ERR_UNAVAILABLE, "could not connect to %s within %lld ms",
                    target->name, (long long)(target->connect_timeout / 1000));
        failure_suggest(failure,
                        "Check that this host can reach the server (network, firewall, "
                        "proxy variables).");
        reason = "connect_timeout";
    } else {
        failure_set(failure, ERR_TIMEOUT, "could not connect to %s in time", target->name);
        reason = "connect_timeout";
    }
    put_details(failure, exchange, reason, was_sent);
}
