/* SPDX-License-Identifier: MIT */
/*
 * probe.h - looks whether a server is there and answers: for the health monitor, and for
 * `services.test`.
 *
 * Life:    mcp_probe .. done exactly once, never inside mcp_probe; after mcp_cancel `done` never runs.
 * Thread:  the loop thread.
 */
#ifndef MCP_PROBE_H
#define MCP_PROBE_H

#include "mcp/service.h"

enum mcp_probe_step {
    MCP_PROBE_CONNECT,
    MCP_PROBE_HANDSHAKE,
    MCP_PROBE_PING,
    MCP_PROBE_LIST,
    MCP_PROBE_STEPS
};

struct mcp_probe_options {
    /* A session of its own, begun for this and ended after it: what `services.test` wants. Else
     * the shared one, started if need be, whose idle time goes on. */
    bool is_apart;
    bool
        lists; /* the tools too; else it pings: `ping` at legacy servers, `server/discover` at modern */
    mono_us deadline;
};

struct mcp_probe_report {
    const struct failure *failure; /* NULL: all is well */
    enum mcp_probe_step reached;   /* the step that failed, or the last one */
    mono_us took[MCP_PROBE_STEPS]; /* -1: was not needed, or not reached */
    const char *protocol;          /* the revision; NULL: not agreed. Likewise the next two */
    const char *server_name, *server_version;
    const char *transport; /* "stdio", "http" or "sse" */
    int64_t tools;         /* -1: not listed */
};

/* Checks the service as this identity; `done` runs once, later. A call in the sense of limits it is
 * not. Ended with mcp_cancel. */
struct mcp_request *mcp_probe(struct mcp_service *service, const struct mcp_identity *identity,
                              const struct mcp_probe_options *options,
                              void (*done)(void *arg, const struct mcp_probe_report *report),
                              void *arg);

/* Ends the session that all share, where it answers no pings, so that the next one to want it begins it
 * anew; a child is ended with it. Not while anything but probes is under way there. Not to be
 * called inside `done` of a probe while others are under way. */
void mcp_service_renew(struct mcp_service *service);

/* Whether a session stands, which can be asked without being started. */
bool mcp_service_is_connected(const struct mcp_service *service);

#endif
