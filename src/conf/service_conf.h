/* SPDX-License-Identifier: MIT */
/*
 * service_conf.h - one service as configured (design section 4.1): checked, typed, immutable.
 *
 * Owns:    everything inside, in one arena; counted references, because calls and sessions keep
 *          the configuration of their birth over a reload.
 * Units:   as the names say.
 */
#ifndef CONF_SERVICE_CONF_H
#define CONF_SERVICE_CONF_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/slice.h"
#include "resilience/breaker.h"
#include "resilience/bucket.h"
#include "resilience/quarantine.h"
#include "resilience/retry.h"
#include "script/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum service_transport {
    SERVICE_STDIO,
    SERVICE_HTTP, /* Streamable HTTP */
    SERVICE_SSE,  /* HTTP+SSE of 2024-11-05 */
    SERVICE_AUTO  /* Streamable HTTP, and HTTP+SSE where that is not there */
};
enum service_sharing { SERVICE_SHARED, SERVICE_PER_USER, SERVICE_PER_AGENT, SERVICE_PER_CALL };
enum service_era { SERVICE_ERA_AUTO, SERVICE_ERA_LEGACY, SERVICE_ERA_MODERN };
enum service_pin { SERVICE_PIN_WARN, SERVICE_PIN_STRICT, SERVICE_PIN_OFF };
enum service_auth {
    SERVICE_AUTH_NONE,
    SERVICE_AUTH_BEARER,
    SERVICE_AUTH_API_KEY,
    SERVICE_AUTH_BASIC,
    SERVICE_AUTH_OAUTH,
    SERVICE_AUTH_CLIENT_CREDENTIALS
};

/* Where an expanded value goes, which decides what it may hold and how ${user} is written. */
enum template_place {
    TEMPLATE_IN_HEADER,
    TEMPLATE_IN_ENV,
    TEMPLATE_IN_URL,
    TEMPLATE_IN_PLAIN_URL /* http:// to any host, not only to this one */
};

/* A value in which ${env:NAME}, ${user} and ${agent} may stand, cut into pieces once. */
struct template_piece {
    enum { TEMPLATE_TEXT, TEMPLATE_ENV, TEMPLATE_USER, TEMPLATE_AGENT } kind;
    struct slice text; /* the text, or NAME */
};
struct template
{
    struct slice source; /* as written: what services.get shows */
    struct template_piece *pieces;
    size_t count;
    enum template_place place;
};
struct template_pair { /* header or environment variable */
    struct slice name;
    struct template value;
};

/* retry.tools: how calls of the tools whose names fit are repeated. */
struct service_tool_retry {
    struct slice pattern;    /* `*` stands for any run of characters */
    struct retry_conf retry; /* what the override leaves out is the service's */
    bool is_idempotent;      /* the operator says so: twice does no harm */
    bool is_harmful;         /* idempotent = false: it does, whatever the server says */
};

struct service_conf {
    unsigned references;
    struct arena arena;
    struct slice name, title, description;
    const char *file; /* where it was defined, NULL: built in */
    int line;
    enum service_transport transport;
    enum service_sharing sharing;
    enum service_era era;
    enum service_pin pin;   /* what a changed tool means */
    bool sharing_is_given;  /* somebody wrote it down; else it follows from the templates */
    bool trust_annotations; /* what the server says of its own tools is believed */
    bool enabled;
    bool is_critical; /* priority = "critical" */
    /* stdio */
    const char **argv; /* NULL-terminated, command first */
    struct template_pair *env;
    size_t env_count;
    const char *cwd;       /* NULL: the state folder */
    uint64_t memory_bytes; /* RLIMIT_DATA of the child; 0: the daemon's own */
    uint32_t open_files;   /* RLIMIT_NOFILE, likewise */
    /* http */
    struct template url;
    struct template_pair *headers;
    size_t header_count;
    const char *ca_file; /* whose certificates are trusted instead of this host's; NULL: none */
    struct slice ca_pem; /* what it holds; ptr NULL: it cannot be used */
    const char *ca_fault; /* why not */
    /* credentials */
    enum service_auth auth;
    struct slice auth_header;   /* api_key: the header's name */
    struct template auth_token; /* bearer, api_key: token; basic: "user:password" */
    /* times and limits */
    uint32_t timeout_ms, connect_timeout_ms, idle_stop_s;
    uint32_t concurrency; /* calls at once */
    uint32_t queue;       /* calls that wait for a place or a limit; one more is refused */
    uint32_t health_interval_s; /* 0: never probed while all is well */
    struct rate_conf rate;      /* of ours, for all callers together */
    struct retry_conf retry;
    struct service_tool_retry *tool_retries; /* overrides, most special first */
    size_t tool_retry_count;
    struct breaker_conf breaker;
    struct quarantine_conf quarantine;
    struct slice *tags;
    size_t tag_count;
    bool needs_user, needs_agent;
    bool has_token; /* auth_token's variables are set: as the environment was at the load */
    struct slice definition; /* as MessagePack map, as written (templates unexpanded), literal
                                secrets hidden: for services.get */
    /* What sessions are made of: the same with its secrets, without what the gate and the monitor
     * read (retry, breaker, quarantine, health, priority, limits.rate, limits.queue). Only for
     * service_conf_equal. */
    struct slice written;
};

struct service_conf *service_conf_ref(struct service_conf *conf);
struct service_conf *service_conf_unref(struct service_conf *conf); /* always NULL */

/* What holds where nothing is written: times, limits, retry, breaker, quarantine, health. */
void service_conf_set_defaults(struct service_conf *conf);

/* "stdio", "http", "sse" or "auto". */
const char *service_transport_name(enum service_transport transport);

/* Whether sessions of the one can go on as those of the other: what a reload leaves running. The
 * newer one is to be taken over all the same, for what is not of sessions may differ. */
bool service_conf_equal(const struct service_conf *a, const struct service_conf *b);

/* Whether a value depends on who calls: then sessions cannot be shared wider than that. */
bool service_conf_needs_user(const struct service_conf *conf);
bool service_conf_needs_agent(const struct service_conf *conf);

/* How calls of this tool are repeated: the first override that fits, else the service's.
 * *ret_idempotent: the operator says that twice does no harm. */
const struct retry_conf *service_conf_retry(const struct service_conf *conf, struct slice tool,
                                            bool *ret_idempotent);
/* Whether the operator says that twice does harm (idempotent = false): then a trusted annotation
 * says nothing. */
bool service_conf_is_harmful(const struct service_conf *conf, struct slice tool);

/* Whether the credential that the service asks for is there for `user`. OAuth types: not yet. */
bool service_conf_has_credentials(const struct service_conf *conf, struct slice user);
/* The environment variable of the credential that is not set; ptr NULL: none, or it has no such. */
struct slice service_conf_missing_env(const struct service_conf *conf);

/* Appends the expanded value. ERR_VALIDATION_ERROR, with the name of a variable but never a
 * value, when an environment variable is not set, when a header would hold a control character
 * or an environment variable a NUL, when the whole is no strict http(s) URL, or when ${user} or
 * ${agent} would choose the host of a URL or leave its path segment. */
int template_expand(const struct template *template, struct slice user, struct slice agent,
                    struct buf *out, struct err *reterr);

/* All services of a configuration folder, sorted by name. */
struct service_set {
    struct service_conf **list;
    size_t count;
};

/* Reads services.lua, the .lua files of services.d by name, and mcp.json under `folder`; none of them there: the
 * built-in services. Faults are added; with any, -ERR_VALIDATION_ERROR and *ret untouched. Reads files: off the loop. */
int service_set_load(const char *folder, struct service_set *ret, struct faults *faults);
void service_set_done(struct service_set *set);

#endif
