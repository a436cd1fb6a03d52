/* SPDX-License-Identifier: MIT */
/* service.c - one service: its state and what the operator is told; reload and removal. */
#include "mcp/service.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "mcp/room.h"
#include "mcp/watch.h"

static const char *const state_names[] = {
    [MCP_STOPPED] = "stopped",   [MCP_STARTING] = "starting", [MCP_RUNNING] = "running",
    [MCP_STOPPING] = "stopping", [MCP_ERROR] = "error",       [MCP_DISABLED] = "disabled",
};

const char *mcp_state_name(enum mcp_state state)
{
    return state_names[state];
}

const struct service_conf *mcp_service_conf(const struct mcp_service *service)
{
    return service->conf;
}

enum mcp_state mcp_service_state(const struct mcp_service *service)
{
    return service->state;
}

struct slice mcp_service_why(const struct mcp_service *service)
{
    return service->state == MCP_ERROR ? buf_slice(&service->last_error->message)
                                       : slice_of(service->reason ? service->reason : "");
}

/* ---- state ------------------------------------------------------------------------------- */

#define BIT(state) (1u << (state))

static bool is_legal(enum mcp_state from, enum mcp_state to)
{
    static const uint8_t next[] = {
        [MCP_STOPPED] =
            BIT(MCP_STARTING) | BIT(MCP_STOPPING) | BIT(MCP_ERROR) | BIT(MCP_DISABLED),
        [MCP_STARTING] = BIT(MCP_RUNNING) | BIT(MCP_STOPPING) | BIT(MCP_STOPPED) |
                         BIT(MCP_ERROR) | BIT(MCP_DISABLED),
        [MCP_RUNNING] = BIT(MCP_STARTING) | BIT(MCP_STOPPING) | BIT(MCP_STOPPED) |
                        BIT(MCP_ERROR) | BIT(MCP_DISABLED),
        [MCP_STOPPING] =
            BIT(MCP_STARTING) | BIT(MCP_STOPPED) | BIT(MCP_ERROR) | BIT(MCP_DISABLED),
        [MCP_ERROR] =
            BIT(MCP_STARTING) | BIT(MCP_STOPPING) | BIT(MCP_STOPPED) | BIT(MCP_DISABLED),
        [MCP_DISABLED] = BIT(MCP_STOPPING) | BIT(MCP_STOPPED),
    };
    return (next[from] & BIT(to)) != 0;
}

static void set_state(struct mcp_service *service, enum mcp_state state, const char *reason)
{
    struct mcp_services *services = service->services;
    if (state == service->state) {
        return;
    }
    must(is_legal(service->state, state));
    log_at(LOG_DEBUG, "mcp", "a service's state changed",
           LOG_SLICE("service", service->conf->name),
           LOG_TEXT("from", state_names[service->state]), LOG_TEXT("to", state_names[state]),
           LOG_TEXT("reason", reason ? reason : ""));
    service->state = state;
    service->since = loop_wall(services->core.loop);
    service->reason = reason;
    if (services->options.state_changed) {
        services->options.state_changed(services->options.arg, service);
    }
}

void service_update_state(struct mcp_service *service, const char *reason)
{
    const unsigned *in = service->in_state;
    enum mcp_state state = MCP_STOPPED;
    if (!service->conf->enabled) {
        state = MCP_DISABLED;
    } else if (in[SESSION_READY] || in[SESSION_RENEWING]) {
        state = MCP_RUNNING;
    } else if (in[SESSION_OPENING] || in[SESSION_HANDSHAKE]) {
        state = MCP_STARTING;
    } else if (service->has_failed) {
        state = MCP_ERROR;
    } else if (service->wires_leaving) {
        state = MCP_STOPPING;
    }
    set_state(service, state, reason);
}

void service_note_failure(struct mcp_service *service, const struct failure *failure)
{
    if (!service->last_error) {
        service->last_error = mem_new(sizeof *service->last_error);
    }
    failure_copy(service->last_error, failure);
    service->last_error_at = loop_wall(service->services->core.loop);
    service->has_failed = true;
}

/* ---- life -------------------------------------------------------------------------------- */

static void configure(struct mcp_service *service, struct service_conf *conf)
{
    service->conf = service_conf_ref(conf);
    service->known = (struct session_known){.era = KNOWN_NOTHING};
    service->place = ++service->services->core.last_place;
    news_forget(service);
    recall_configured(service);
    service->by_user = conf->sharing == SERVICE_PER_USER || service_conf_needs_user(conf);
    service->by_agent = conf->sharing == SERVICE_PER_AGENT || service_conf_needs_agent(conf);
}

struct mcp_service *service_new(struct mcp_services *services, struct service_conf *conf)
{
    struct mcp_service *service = mem_new(sizeof *service);
    service->services = services;
    list_init(&service->seats);
    list_init(&service->retired);
    map_init(&service->by_key);
    news_init(service);
    configure(service, conf);
    service->state = conf->enabled ? MCP_STOPPED : MCP_DISABLED;
    service->since = loop_wall(services->core.loop);
    service->reason = "configured";
    return service;
}

static void free_seats(struct list *seats)
{
    struct list_link *link;
    while ((link = list_first(seats))) {
        seat_free(LIST_ITEM(link, struct seat, link));
    }
}

void service_free(struct mcp_service *service)
{
    free_seats(&service->seats);
    free_seats(&service->retired);
    news_done(service);
    map_done(&service->by_key);
    list_remove(&service->link);
    if (service->last_error) {
        failure_done(service->last_error);
        mem_free(service->last_error);
    }
    service_conf_unref(service->conf);
    mem_free(service);
}

static void retire_all(struct mcp_service *service, const char *reason)
{
    struct list_link *link;
    service->stop_reason = reason;
    while ((link = list_first(&service->seats))) {
        seat_retire(LIST_ITEM(link, struct seat, link));
    }
}

void service_reconfigure(struct mcp_service *service, struct service_conf *conf)
{
    retire_all(service, "configuration changed");
    service_conf_unref(service->conf);
    configure(service, conf);
    service->has_failed = false;
    watches_move(service);
    service_update_state(service, "configuration changed");
}

void service_remove(struct mcp_service *service)
{
    service->is_removed = true;
    watches_end(service->services, service);
    retire_all(service, "removed");
}

bool service_is_gone(const struct mcp_service *service)
{
    return list_is_empty(&service->seats) && list_is_empty(&service->retired) &&
           !service->wires_leaving;
}
