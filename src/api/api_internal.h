/* SPDX-License-Identifier: MIT */
/* api_internal.h - what the files of api/ share. Included only here. */
#ifndef API_API_INTERNAL_H
#define API_API_INTERNAL_H

#include "api/api.h"

struct api {
    struct api_options options;
    struct settings *settings;
    struct rpc_limits limits;
    uint32_t calls_max;
    struct metrics metrics;
    struct rpc_server *server;
    struct calls *calls;
    struct mcp_services *services;
    struct loop_turn_end collect;
    mono_us started;
    struct list loads;  /* struct config_job under way: one at most */
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

/* Whether policy knows the agent; if not, the request is answered. */
bool api_knows_agent(struct api *api, struct rpc_request *request, struct slice name);

/* Reads `folder` on a thread; `apply`: take it over when it has no fault. `request` NULL: SIGHUP. */
void api_load(struct api *api, const char *folder, bool apply, struct rpc_request *request);
void api_abandon_loads(struct api *api);

#endif
