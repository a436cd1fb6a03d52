/* SPDX-License-Identifier: MIT */
/* connect.c - expands a service's templates for one identity and makes its transport. */
#include "mcp/connect.h"

#include "base/mem.h"
#include "base/text.h"
#include "mcp/http.h"
#include "mcp/legacy_sse.h"
#include "mcp/stdio.h"

#include <stdlib.h>

#define VALUE_BYTES ((size_t)64 * 1024)

/* What a child gets of the daemon's environment. */
static const char *const inherited[] = {"PATH", "HOME",   "USER", "LOGNAME",
                                        "LANG", "LC_ALL", "TZ",   "TMPDIR"};
#define INHERITED (sizeof inherited / sizeof inherited[0])

static int expand(const struct mcp_session *session, const struct template *template,
                  struct buf *out, struct failure *failure)
{
    struct err err = {0};
    int r =
        template_expand(template, slice_of(session->user), slice_of(session->agent), out, &err);
    if (r >= 0 && out->overflow) {
        r = err_set(&err, ERR_VALIDATION_ERROR, "a configured value is longer than 64 KiB");
    }
    if (r < 0) {
        failure_set(failure, ERR_UNAVAILABLE, "the service cannot be started: %s", err.text);
        failure_suggest(failure, "Correct the service's configuration or the daemon's "
                                 "environment, then reload.");
        failure->class = FAILURE_OF_BROKER;
        failure->is_retryable = false;
    }
    return r;
}

static void wipe(struct buf *buf)
{
    if (buf->data) {
        mem_wipe(buf->data, buf->cap);
    }
    buf_done(buf);
}

/* ---- stdio ------------------------------------------------------------------------------- */

static bool is_configured(const struct service_conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->env_count; i++) {
        if (slice_is(conf->env[i].name, name)) {
            return true;
        }
    }
    return false;
}

static void free_env(char **env)
{
    for (char **one = env; *one; one++) {
        mem_wipe(*one, strlen(*one));
        mem_free(*one);
    }
    mem_free((void *)env);
}

static char **make_env(const struct mcp_session *session, struct failure *failure)
{
    const struct service_conf *conf = session->conf;
    char **env = mem_new((INHERITED + conf->env_count + 1) * sizeof *env);
    size_t count = 0;
    struct buf one;
    buf_init(&one, VALUE_BYTES);
    for (size_t i = 0; i < INHERITED; i++) {
        const char *value = getenv(inherited[i]);
        if (value && !is_configured(conf, inherited[i])) {
            buf_clear(&one);
            buf_printf(&one, "%s=%s", inherited[i], value);
            env[count++] = mem_dup(buf_slice(&one));
        }
    }
    int r = 0;
    for (size_t i = 0; i < conf->env_count && r >= 0; i++) {
        buf_clear(&one);
        buf_put_slice(&one, conf->env[i].name);
        buf_put_byte(&one, '=');
        r = expand(session, &conf->env[i].value, &one, failure);
        if (r >= 0) {
            env[count++] = mem_dup(buf_slice(&one));
        }
    }
    wipe(&one);
    if (r < 0) {
        free_env(env);
        return NULL;
    }
    return env;
}

static struct mcp_transport *connect_stdio(const struct mcp_services_options *options,
                                           const struct mcp_session *session,
                                           const struct mcp_transport_events *events,
                                           void *events_arg, struct failure *failure)
{
    char **env = make_env(session, failure);
    if (!env) {
        return NULL;
    }
    char *name = mem_dup(session->conf->name);
    struct mcp_stdio_options stdio_options = {
        .loop = options->loop,
        .children = options->children,
        .service = name,
        .argv = session->conf->argv,
        .env = (const char *const *)env,
        .cwd = session->conf->cwd ? session->conf->cwd : options->state_folder,
        .message_bytes = options->message_bytes,
        .limits = {.memory_bytes = session->conf->memory_bytes,
                   .open_files = session->conf->open_files},
    };
    struct mcp_transport *transport = mcp_stdio_new(&stdio_options, events, events_arg);
    mem_free(name);
    free_env(env);
    return transport;
}

/* ---- HTTP -------------------------------------------------------------------------------- */

/* Header values lie behind one another in one buf: their places are known before it stops moving,
 * their addresses only after. */
struct fields {
    struct buf bytes;
    struct http_field *list;
    size_t *ends;
    size_t count;
};

static void add_field(struct fields *fields, struct slice name)
{
    fields->list[fields->count].name = name;
    fields->ends[fields->count++] = fields->bytes.len;
}

static int add_credentials(const struct mcp_session *session, struct fields *fields,
                           struct failure *failure)
{
    const struct service_conf *conf = session->conf;
    struct buf plain;
    int r = 0;
    if (conf->auth == SERVICE_AUTH_NONE) {
        return 0;
    }
    if (conf->auth == SERVICE_AUTH_BEARER) {
        buf_put_text(&fields->bytes, "Bearer ");
        r = expand(session, &conf->auth_token, &fields->bytes, failure);
    } else if (conf->auth == SERVICE_AUTH_API_KEY) {
        r = expand(session, &conf->auth_token, &fields->bytes, failure);
    } else {
        buf_init(&plain, VALUE_BYTES);
        r = expand(session, &conf->auth_token, &plain, failure);
        buf_put_text(&fields->bytes, "Basic ");
        text_put_base64(&fields->bytes, buf_slice(&plain));
        wipe(&plain);
    }
    add_field(fields,
              conf->auth == SERVICE_AUTH_API_KEY ? conf->auth_header : SLICE("Authorization"));
    return r;
}

static int make_fields(const struct mcp_session *session, struct fields *fields,
                       struct failure *failure)
{
    const struct service_conf *conf = session->conf;
    fields->list = mem_new((conf->header_count + 1) * sizeof *fields->list);
    fields->ends = mem_new((conf->header_count + 1) * sizeof *fields->ends);
    buf_init(&fields->bytes, VALUE_BYTES);
    for (size_t i = 0; i < conf->header_count; i++) {
        int r = expand(session, &conf->headers[i].value, &fields->bytes, failure);
        if (r < 0) {
            return r;
        }
        add_field(fields, conf->headers[i].name);
    }
    int r = add_credentials(session, fields, failure);
    size_t from = 0;
    for (size_t i = 0; i < fields->count && r >= 0; i++) {
        fields->list[i].value = (struct slice){
            fields->bytes.data ? fields->bytes.data + from : "", fields->ends[i] - from};
        from = fields->ends[i];
    }
    return r;
}

/* What messages call a URL: as it was written, since what the environment put into it is a secret. */
static struct slice name_of(const struct template *url)
{
    struct slice name = url->source;
    bool has_environment = false;
    for (size_t i = 0; i < url->count; i++) {
        has_environment = has_environment || url->pieces[i].kind == TEMPLATE_ENV;
    }
    if (!has_environment) {
        return (struct slice){NULL, 0};
    }
    const char *query = memchr(name.ptr, '?', name.len);
    return query ? (struct slice){name.ptr, (size_t)(query - name.ptr)} : name;
}

static void refuse_stranger(const struct service_conf *conf, struct failure *failure)
{
    struct slice missing = service_conf_missing_env(conf);
    if (!missing.ptr) {
        failure_set(failure, ERR_AUTH_REQUIRED,
                    "there are no credentials for this service and user");
        return;
    }
    failure_set(
        failure, ERR_AUTH_REQUIRED,
        "there are no credentials for this service: the daemon's environment has no %.*s",
        SLICE_ARG(missing));
    failure_suggest(failure, "Set %.*s in the daemon's environment, and start it again.",
                    SLICE_ARG(missing));
}

static struct mcp_transport *connect_http(const struct mcp_services_options *options,
                                          const struct mcp_session *session,
                                          const struct mcp_transport_events *events,
                                          void *events_arg, struct failure *failure)
{
    const struct service_conf *conf = session->conf;
    struct mcp_transport *transport = NULL;
    struct fields fields = {0};
    struct buf url;
    buf_init(&url, VALUE_BYTES);
    if (!service_conf_has_credentials(conf, slice_of(session->user))) {
        refuse_stranger(conf, failure);
    } else if (conf->ca_fault) {
        failure_set(failure, ERR_UNAVAILABLE, "the service's ca_file %s cannot be used: %s",
                    conf->ca_file, conf->ca_fault);
        failure_suggest(failure, "Put the certificate of the server's authority there, in PEM "
                                 "form, then reload.");
        failure->class = FAILURE_OF_BROKER;
        failure->is_retryable = false;
    } else if (expand(session, &conf->url, &url, failure) >= 0 &&
               make_fields(session, &fields, failure) >= 0) {
        struct mcp_http_options http_options = {
            .loop = options->loop,
            .http = options->http,
            .url = buf_slice(&url),
            .name = name_of(&conf->url),
            .headers = fields.list,
            .header_count = fields.count,
            .connect_timeout_ms = conf->connect_timeout_ms,
            .concurrency = conf->concurrency + 2, /* a listing and a probe go beside them */
            .message_bytes = options->message_bytes,
            .ca_pem = conf->ca_pem,
            .ca_file = conf->ca_file,
        };
        transport = session->is_sse ? mcp_legacy_sse_new(&http_options, events, events_arg)
                                    : mcp_http_new(&http_options, events, events_arg);
    }
    wipe(&url);
    wipe(&fields.bytes);
    mem_free(fields.list);
    mem_free(fields.ends);
    return transport;
}

struct mcp_transport *connect_transport(void *arg, const struct mcp_session *session,
                                        const struct mcp_transport_events *events,
                                        void *events_arg, struct failure *failure)
{
    const struct mcp_services_options *options = arg;
    return session->conf->transport == SERVICE_STDIO
               ? connect_stdio(options, session, events, events_arg, failure)
               : connect_http(options, session, events, events_arg, failure);
}
