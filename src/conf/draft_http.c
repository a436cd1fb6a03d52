/* SPDX-License-Identifier: MIT */
/* draft_http.c - the keys of a service that is reached over HTTP: url and headers. */
#include "conf/draft.h"

#include "conf/template.h"
#include "conf/url.h"

#include <string.h>
#include <strings.h>

#define HEADERS_MAX 64u

void draft_read_url(struct draft *draft, struct slice value)
{
    struct check *check = draft->check;
    struct template *url = &draft->conf->url;
    struct slice text;
    if (!check_text(check, value, true, &text) ||
        !draft_template(draft, text,
                        draft->may_be_plain ? TEMPLATE_IN_PLAIN_URL : TEMPLATE_IN_URL, url)) {
        return;
    }
    /* What an environment variable will hold is not known yet: a URL with one that is not set is
     * judged when it is used. */
    if (template_missing_env(url).ptr) {
        return;
    }
    struct buf expanded;
    struct err err;
    buf_init(&expanded, (size_t)2 * URL_BYTES);
    if (template_expand(url, SLICE("user"), SLICE("agent"), &expanded, &err) != 0) {
        check_fault(check, "%s: %s", check->path, err.text);
    }
    buf_done(&expanded);
}

/* ---- headers ----------------------------------------------------------------------------- */

/* tchar of RFC 9110 section 5.6.2. */
bool draft_is_token(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char byte = name.ptr[i];
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= '0' && byte <= '9');
        if (!is_plain && (byte == '\0' || !strchr("!#$%&'*+-.^_`|~", byte))) {
            return false;
        }
    }
    return name.len > 0;
}

static bool is_header(struct slice name, const char *header)
{
    return name.len == strlen(header) && strncasecmp(name.ptr, header, name.len) == 0;
}

/* Headers that the transport writes, or that would change how the request is framed. */
static bool is_reserved(struct slice name)
{
    static const char *const reserved[] = {
        "accept",
        "connection",
        "content-length",
        "content-type",
        "host",
        "keep-alive",
        "mcp-protocol-version",
        "mcp-session-id",
        "last-event-id",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "expect",
    };
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (is_header(name, reserved[i])) {
            return true;
        }
    }
    return false;
}

static bool check_header_name(struct draft *draft, struct slice name)
{
    const struct check *check = draft->check;
    if (!draft_is_token(name)) {
        check_fault(check, "%s: `%.*s` is no name of a header", check->path, SLICE_ARG(name));
        return false;
    }
    if (is_reserved(name)) {
        check_fault(check, "%s is a header that the broker writes itself", check->path);
        return false;
    }
    for (size_t i = 0; i < draft->conf->header_count; i++) {
        struct slice other = draft->conf->headers[i].name;
        if (other.len == name.len && strncasecmp(other.ptr, name.ptr, name.len) == 0) {
            check_fault(check, "%s is the same header as %.*s", check->path, SLICE_ARG(other));
            return false;
        }
    }
    return true;
}

/* The parts that are written out; those from outside are checked for each call. */
static bool check_header_value(struct draft *draft, const struct template *value)
{
    struct template written = *value;
    written.count = 0;
    struct template_piece pieces[1];
    struct buf out;
    struct err err;
    bool is_fine = true;
    buf_init(&out, value->source.len + 1);
    for (size_t i = 0; i < value->count && is_fine; i++) {
        if (value->pieces[i].kind == TEMPLATE_TEXT) {
            pieces[0] = value->pieces[i];
            written.pieces = pieces;
            written.count = 1;
            buf_clear(&out);
            is_fine = template_expand(&written, SLICE(""), SLICE(""), &out, &err) == 0;
        }
    }
    buf_done(&out);
    if (!is_fine) {
        check_fault(draft->check, "%s: %s", draft->check->path, err.text);
    }
    return is_fine;
}

static void read_header(void *arg, struct check *check, struct slice key, struct slice value)
{
    struct draft *draft = arg;
    struct template_pair *pair = &draft->conf->headers[draft->conf->header_count];
    struct slice text;
    if (check_header_name(draft, key) && check_string(check, value, true, &text) &&
        draft_keep(draft, key, &pair->name) &&
        draft_template(draft, text, TEMPLATE_IN_HEADER, &pair->value) &&
        check_header_value(draft, &pair->value)) {
        draft->conf->header_count++;
    }
}

void draft_read_headers(struct draft *draft, struct slice value)
{
    struct service_conf *conf = draft->conf;
    uint32_t count = check_count(value);
    if (count > HEADERS_MAX) {
        check_fault(draft->check, "%s has more than %u headers", draft->check->path,
                    HEADERS_MAX);
        return;
    }
    conf->headers = draft_take(draft, (count + 1) * sizeof *conf->headers);
    if (conf->headers) {
        (void)check_each_key(draft->check, value, read_header, draft);
    }
}
