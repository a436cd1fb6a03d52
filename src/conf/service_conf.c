/* SPDX-License-Identifier: MIT */
/* service_conf.c - the configuration of one service once it is read: references and questions. */
#include "conf/service_conf.h"

#include "base/must.h"
#include "base/text.h"
#include "conf/template.h"

#define TIMEOUT_MS         30000
#define CONNECT_TIMEOUT_MS 10000
#define IDLE_STOP_S        300

struct service_conf *service_conf_ref(struct service_conf *conf)
{
    must(conf->references > 0);
    conf->references++;
    return conf;
}

struct service_conf *service_conf_unref(struct service_conf *conf)
{
    if (conf) {
        must(conf->references > 0);
        if (--conf->references == 0) {
            arena_done(&conf->arena);
            mem_free(conf);
        }
    }
    return NULL;
}

void service_conf_set_defaults(struct service_conf *conf)
{
    conf->enabled = true;
    conf->timeout_ms = TIMEOUT_MS;
    conf->connect_timeout_ms = CONNECT_TIMEOUT_MS;
    conf->idle_stop_s = IDLE_STOP_S;
    conf->retry.strategy = RETRY_EXPONENTIAL_JITTER;
#define GROUP(name)
#define NUMBER(group, name, field, value, min, max, text) conf->field = (value);
#define OTHER(group, name, form, value, text)
#include "conf/service_part.def"
#undef GROUP
#undef NUMBER
#undef OTHER
}

const char *service_transport_name(enum service_transport transport)
{
    static const char *const names[] = {"stdio", "http", "sse", "auto"};
    return names[transport];
}

/* The line is not part of it: a comment added above changes no service. Certificates are. */
bool service_conf_equal(const struct service_conf *a, const struct service_conf *b)
{
    return slice_equal(a->name, b->name) && slice_equal(a->written, b->written) &&
           slice_equal(a->ca_pem, b->ca_pem) &&
           slice_equal(slice_of(a->ca_fault), slice_of(b->ca_fault));
}

bool service_conf_needs_user(const struct service_conf *conf)
{
    return conf->needs_user;
}

bool service_conf_needs_agent(const struct service_conf *conf)
{
    return conf->needs_agent;
}

/* ---- overrides for tools ----------------------------------------------------------------- */

static const struct service_tool_retry *find_override(const struct service_conf *conf,
                                                      struct slice tool)
{
    for (size_t i = 0; i < conf->tool_retry_count; i++) {
        if (text_glob(conf->tool_retries[i].pattern, tool)) {
            return &conf->tool_retries[i];
        }
    }
    return NULL;
}

const struct retry_conf *service_conf_retry(const struct service_conf *conf, struct slice tool,
                                            bool *ret_idempotent)
{
    const struct service_tool_retry *override = find_override(conf, tool);
    *ret_idempotent = override && override->is_idempotent;
    return override ? &override->retry : &conf->retry;
}

bool service_conf_is_harmful(const struct service_conf *conf, struct slice tool)
{
    const struct service_tool_retry *override = find_override(conf, tool);
    return override && override->is_harmful;
}

/* ---- credentials ------------------------------------------------------------------------- */

struct slice service_conf_missing_env(const struct service_conf *conf)
{
    bool is_token = conf->auth == SERVICE_AUTH_BEARER || conf->auth == SERVICE_AUTH_API_KEY ||
                    conf->auth == SERVICE_AUTH_BASIC;
    return is_token ? template_missing_env(&conf->auth_token) : (struct slice){NULL, 0};
}

bool service_conf_has_credentials(const struct service_conf *conf, struct slice user)
{
    switch (conf->auth) {
    case SERVICE_AUTH_NONE:
        return true;
    case SERVICE_AUTH_BEARER:
    case SERVICE_AUTH_API_KEY:
    case SERVICE_AUTH_BASIC:
        return conf->has_token && (user.len > 0 || !template_has_user(&conf->auth_token));
    case SERVICE_AUTH_OAUTH:
    case SERVICE_AUTH_CLIENT_CREDENTIALS:
        break;
    }
    return false;
}
