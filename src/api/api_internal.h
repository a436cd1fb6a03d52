/* SPDX-License-Identifier: MIT */
/* api_internal.h - what the files of api/ share. Included only here. */
#ifndef API_API_INTERNAL_H
#define API_API_INTERNAL_H

#include "api/api.h"
#include "gate/gate.h"
#include "health/health.h"
#include "store/store.h"

struct api {
    struct api_options options;
    struct settings *settings;
    struct rpc_limits limits;
    uint32_t calls_max;
    struct share_limits shares;
    struct metrics metrics;
    struct rpc_server *server;
    struct calls *calls;
    struct mcp_services *services;
    struct store *store;
    struct gates *gates;
    struct health *health;
    unsigned tests; /* of services.test, under way */
    struct loop_turn_end collect;
    mono_us started;
    struct list listeners, watches;
    struct list loads;  /* struct config_job under way: one at most */
    wall_ms refused_at; /* the last reload was; 0: it was not */
    unsigned refused_faults;
    bool is_reload_due; /* SIGHUP came while files were being read: read them once more */
};

/* Every method: api_METHOD(arg = struct api *, request). */
#define METHOD(name, function, role, params, summary, result) \
    void function(void *arg, struct rpc_request *request);
#include "api/method.def"
#undef METHOD

extern const struct rpc_method api_methods[];
extern const unsigned api_method_count;

/* The agent, user and locale of a request: its own, else those of `hello`. */
struct slice api_or_default(const struct rpc_value *value, struct slice fallback);

/* Where method tables name their parameters, handlers count them: request->args[i]. */
void api_fail(struct rpc_request *request, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Answers with a failure that a person may see: policy says it in the locale of `hello`. */
void api_refuse(struct api *api, struct rpc_request *request, struct slice service,
                struct failure *failure);

/* NULL: there is none, and the request is answered with near names. */
const struct mcp_service *api_find_service(struct api *api, struct rpc_request *request,
                                           struct slice name);

/* Whether the peer may speak as this agent and user; if not, the request is answered. */
bool api_may_speak(struct api *api, struct rpc_request *request, struct slice agent,
                   struct slice user);

/* False: it is not positive, and the request is answered. */
bool api_check_timeout(struct rpc_request *request, const struct rpc_value *timeout);

/* Who asks, of a feature's request; false: it may not, and is answered. */
struct feature_options;
bool api_take_feature(struct api *api, struct rpc_request *request,
                      struct feature_options *ret);

/* A client's timeout, of which no sum can overflow. */
static inline mono_us api_wait_us(int64_t timeout_ms)
{
    const int64_t most = INT64_C(366) * 86400000;
    return (timeout_ms < most ? timeout_ms : most) * 1000;
}

/* A number in a parameter that is given must be within these bounds; if not, it is answered. */
bool api_check_range(struct rpc_request *request, unsigned param, int64_t least, int64_t most);

/* services.c: one element of services.status; `extra` pairs follow that the caller writes: returns
 * what is to be closed with api_end_status. */
struct api_status {
    size_t opened;
    uint32_t count;
};
struct api_status api_put_status(struct api *api, const struct mcp_service *service,
                                 struct buf *out);

/* moment.c: RFC 3339, as "2026-11-21T09:45:00Z"; a date alone is its first moment in UTC. */
bool api_parse_moment(struct slice text, wall_ms *ret);

/* events.c: news, to whoever subscribed. */
struct api_detail {
    const char *key;
    struct slice value; /* ptr NULL: the number */
    int64_t number;
};
void api_tell_event(struct api *api, const char *kind, const struct mcp_service *service,
                    const struct api_detail *details, unsigned count);
void api_drop_listeners(struct api *api);
/* Three members of an event's map. */
void api_put_event_head(struct api *api, const char *kind, struct slice service,
                        struct buf *out);

/* watches.c */
void api_drop_watches(struct api *api);

/* Whether policy knows the agent; if not, the request is answered. */
bool api_knows_agent(struct api *api, struct rpc_request *request, struct slice name);

/* Reads `folder` on a thread; `apply`: take it over when it has no fault. `request` NULL: SIGHUP. */
void api_load(struct api *api, const char *folder, bool apply, struct rpc_request *request);
void api_abandon_loads(struct api *api);

#endif
