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
    return bytes > exchange->sent_before && !exchange->is_refused;
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
    const char *why = number ? strerror((int)number) : words(exchange, code);
    if (exchange->target->proxy) {
        failure_set(failure, ERR_UNAVAILABLE,
                    "could not connect to the proxy %s on the way to %s: %s",
                    exchange->target->proxy_name, name, why);
        failure_suggest(failure, "Check the proxy, and the proxy variables of the daemon's "
                                 "environment; no_proxy names hosts that need none.");
        return "proxy";
    }
    failure_set(failure, ERR_UNAVAILABLE, "could not connect to %s: %s", name, why);
    if (number == ECONNREFUSED) {
        failure_suggest(failure, "Start the server, or check the port in the service's url; "
                                 "nothing listens there.");
        return "refused";
    }
    failure_suggest(failure, "Check that this host can reach the server (network, firewall, "
                             "proxy variables).");
    return number == ETIMEDOUT ? "connect_timeout" : "unreachable";
}

/* The proxy did not make a way to the host: its status, 0 when it was not asked or did. */
static long proxy_status(const struct http_exchange *exchange)
{
    long status = 0;
    (void)curl_easy_getinfo(exchange->easy, CURLINFO_HTTP_CONNECTCODE, &status);
    return exchange->tries || status / 100 == 2 ? 0 : status;
}

static const char *explain_proxy(struct failure *failure, const struct http_exchange *exchange,
                                 long status)
{
    failure_set(failure, ERR_UNAVAILABLE,
                "the proxy %s answered %ld when asked for a way to %s",
                exchange->target->proxy_name, status, exchange->target->name);
    if (status == 407) {
        failure_suggest(failure, "Write the proxy's user and password into the proxy variable "
                                 "of the daemon's environment.");
        failure->class = FAILURE_OF_BROKER;
        failure->is_retryable = false;
    } else {
        failure_suggest(failure, "Check what the proxy allows, and the proxy variables of the "
                                 "daemon's environment; no_proxy names hosts that need none.");
    }
    return "proxy";
}

/* ---- TLS -------------------------------------------------------------------------------- */

#define DATES "Renew the server's certificate, or correct this host's clock."
#define NAMES                                                                                \
    "Write the host into the service's url as the certificate names it, or give the server " \
    "a certificate for that name."

/* What a certificate lacks, by the words of curl and OpenSSL. */
static const struct {
    const char *words, *meaning, *advice; /* advice NULL: about authorities */
} flaws[] = {
    {"has expired", "its certificate has expired", DATES},
    {"not yet valid", "its certificate is not valid yet", DATES},
    {"subject name", "its certificate is for another host", NAMES},
    {"host name", "its certificate is for another host", NAMES},
    {"self-signed", "its certificate is signed by nobody who is trusted", NULL},
    {"self signed", "its certificate is signed by nobody who is trusted", NULL},
    {"issuer", "its certificate is signed by nobody who is trusted", NULL},
};

static void explain_flaw(struct failure *failure, const struct http_exchange *exchange,
                         CURLcode code)
{
    const struct http_target *target = exchange->target;
    const char *said = words(exchange, code), *advice = NULL;
    const char *meaning = "its certificate does not hold";
    for (size_t i = 0; i < sizeof flaws / sizeof *flaws; i++) {
        if (strstr(said, flaws[i].words)) {
            meaning = flaws[i].meaning;
            advice = flaws[i].advice;
            break;
        }
    }
    failure_set(failure, ERR_UNAVAILABLE, "no secure connection to %s: %s (%s)", target->name,
                meaning, said);
    if (advice) {
        failure_suggest(failure, "%s", advice);
    } else if (target->ca_pem.ptr) {
        failure_suggest(failure,
                        "Check that the service's ca_file holds the authority that "
                        "signed the server's certificate: it replaces this host's own.");
    } else {
        failure_suggest(failure, "If the server's authority is a private one, name the file of "
                                 "its certificate in the service's ca_file.");
    }
    failure->is_retryable = false;
}

static const char *explain_tls(struct failure *failure, const struct http_exchange *exchange,
                               CURLcode code)
{
    const struct http_target *target = exchange->target;
    long number = 0;
    if (code == CURLE_PEER_FAILED_VERIFICATION) {
        explain_flaw(failure, exchange, code);
        return "tls";
    }
    if (code == CURLE_SSL_CACERT_BADFILE && target->ca_file) {
        failure_set(failure, ERR_UNAVAILABLE,
                    "no secure connection to %s: %s holds no certificate", target->name,
                    target->ca_file);
        failure_suggest(failure, "The service's ca_file must hold certificates in PEM form, "
                                 "which begin with -----BEGIN CERTIFICATE-----.");
        failure->class = FAILURE_OF_BROKER;
        failure->is_retryable = false;
        return "tls";
    }
    (void)curl_easy_getinfo(exchange->easy, CURLINFO_OS_ERRNO, &number);
    failure_set(failure, ERR_UNAVAILABLE, "no secure connection to %s: %s", target->name,
                words(exchange, code));
    failure_suggest(failure,
                    "Check that the server speaks TLS 1.2 or later at this port; one of plain "
                    "http answers like this too.");
    failure->is_retryable = number == ECONNRESET || number == EPIPE;
    return "tls";
}

/* ---- what broke off --------------------------------------------------------------------- */

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
        failure->class = FAILURE_OF_BROKER;
        return "too_large";
    case HTTP_NO_REPEAT:
        failure_set(
            failure, ERR_UNAVAILABLE,
            "%s closed the connection when the request had been sent, without an answer", name);
        return "closed";
    case HTTP_REPEAT:
        failure_set(failure, ERR_UNAVAILABLE,
                    "%s closed one connection after another without an answer", name);
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
    if (exchange->is_refused) {
        failure_set(failure, ERR_UNAVAILABLE,
                    "%s refused to begin the request, on %u connections", name,
                    exchange->repeats + 1);
        return "refused_stream";
    }
    if (code == CURLE_HTTP2_STREAM || code == CURLE_HTTP2) {
        failure_set(failure, ERR_UNAVAILABLE, "%s broke the exchange off: %s", name,
                    words(exchange, code));
        return "reset";
    }
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
    long status = exchange->easy ? proxy_status(exchange) : 0;
    if (status) {
        return explain_proxy(failure, exchange, status);
    }
    switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
        failure_set(failure, ERR_UNAVAILABLE,
                    "could not resolve the host of the proxy %s on the way to %s",
                    exchange->target->proxy_name, exchange->target->name);
        failure_suggest(failure, "Check the proxy variables of the daemon's environment.");
        return "resolve";
    case CURLE_COULDNT_RESOLVE_HOST:
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
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
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
    if (exchange->stage == HTTP_WAITING) {
        failure_set(
            failure, ERR_TIMEOUT,
            "the deadline passed before one of the %u places for requests to %s was free",
            target->concurrency, target->name);
        failure_suggest(failure,
                        "Call again later, or raise limits.concurrency of the service.");
        failure->class = target->is_held ? FAILURE_NETWORK : FAILURE_OF_BROKER;
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
