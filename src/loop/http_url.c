/* SPDX-License-Identifier: MIT */
/* http_url.c - URLs: parsed by curl alone, so that what is checked is what is asked. */
#include "base/mem.h"
#include "loop/http_internal.h"

#include <string.h>
#include <strings.h>

#define URL_BYTES 8192u

CURLU *http_parse_url(CURLU *base, struct slice url)
{
    if (!url.len || url.len > URL_BYTES || memchr(url.ptr, '\0', url.len)) {
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

char *http_url_part(CURLU *url, CURLUPart what)
{
    char *text = NULL;
    return curl_url_get(url, what, &text, 0) == CURLUE_OK ? text : NULL;
}

void http_put_name(struct buf *out, CURLU *url)
{
    char *scheme = http_url_part(url, CURLUPART_SCHEME);
    char *host = http_url_part(url, CURLUPART_HOST);
    char *port = http_url_part(url, CURLUPART_PORT);
    char *path = http_url_part(url, CURLUPART_PATH);
    buf_printf(out, "%s://%s%s%s%s", scheme ? scheme : "", host ? host : "", port ? ":" : "",
               port ? port : "", path ? path : "");
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(path);
}

void http_put_url(struct buf *out, const struct http_target *base, struct slice url)
{
    CURLU *parsed = http_parse_url(base ? base->url : NULL, url);
    if (parsed) {
        http_put_name(out, parsed);
        curl_url_cleanup(parsed);
    } else {
        buf_put_text(out, "(not a URL)");
    }
}

/* ---- origins ---------------------------------------------------------------------------- */

static bool is_same_part(CURLU *a, CURLU *b, CURLUPart what, unsigned flags)
{
    char *of_a = NULL, *of_b = NULL;
    bool is_same = curl_url_get(a, what, &of_a, flags) == CURLUE_OK &&
                   curl_url_get(b, what, &of_b, flags) == CURLUE_OK &&
                   strcasecmp(of_a, of_b) == 0;
    curl_free(of_a);
    curl_free(of_b);
    return is_same;
}

static bool is_same_origin(CURLU *a, CURLU *b)
{
    return is_same_part(a, b, CURLUPART_SCHEME, 0) && is_same_part(a, b, CURLUPART_HOST, 0) &&
           is_same_part(a, b, CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

/* Gives `to` the user info of `from`, or takes its own away. */
static bool copy_user(CURLU *to, CURLU *from)
{
    static const CURLUPart parts[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS};
    bool is_done = true;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *text = http_url_part(from, parts[i]);
        is_done = curl_url_set(to, parts[i], text, 0) == CURLUE_OK && is_done;
        if (text) {
            mem_wipe(text, strlen(text));
        }
        curl_free(text);
    }
    return is_done;
}

int http_resolve(struct buf *out, const struct http_target *base, struct slice url,
                 bool *ret_same_origin, struct err *reterr)
{
    char *whole = NULL;
    CURLU *parsed = http_parse_url(base->url, url);
    *ret_same_origin = parsed && is_same_origin(parsed, base->url);
    bool is_url = parsed && (!*ret_same_origin ||
                             (copy_user(parsed, base->url) &&
                              curl_url_set(parsed, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK &&
                              curl_url_get(parsed, CURLUPART_URL, &whole, 0) == CURLUE_OK));
    if (whole) {
        buf_put_text(out, whole);
        mem_wipe(whole, strlen(whole));
        curl_free(whole);
    }
    curl_url_cleanup(parsed);
    return is_url ? 0
                  : err_set(reterr, ERR_VALIDATION_ERROR,
                            "it is no URL, or one of more than %u bytes", URL_BYTES);
}
