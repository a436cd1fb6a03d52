/* SPDX-License-Identifier: MIT */
/*
 * api.h - the methods of the socket: one table, and handlers that are thin adapters to the rooms.
 *
 * Owns:    the configuration that is in force (settings, and through calls and services the
 *          policy and the registry), because `policy.reload` and SIGHUP replace it here.
 * Life:    api_new builds from a first configuration; api_free after the last call is answered.
 * Thread:  the loop thread; a reload reads files on a thread of its own.
 */
#ifndef API_API_H
#define API_API_H

#include "api/config.h"
#include "call/call.h"
#include "conf/settings.h"
#include "loop/loop.h"
#include "mcp/service.h"
#include "observe/metrics.h"
#include "rpc/rpc.h"

struct api;

struct api_options {
    struct loop *loop;
    struct children *children;
    struct http *http;
    const char *config_folder; /* NULL: none, built-in defaults */
    const char *state_folder;
    const char *socket;
    /* `daemon.shutdown` was called. */
    void (*shutdown)(void *arg);
    /* A reload ended, for sd_notify. */
    void (*reloaded)(void *arg);
    void *arg;
};

/* Takes over what is in `config`. */
struct api *api_new(const struct api_options *options, struct config *config);
void api_free(struct api *api);

struct rpc_server *api_server(struct api *api);
struct calls *api_calls(struct api *api);
struct mcp_services *api_services(struct api *api);
const struct settings *api_settings(const struct api *api);

/* SIGHUP: reads everything anew, aside; faults are logged and leave all as it is. */
void api_reload(struct api *api);

#endif
