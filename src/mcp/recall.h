/* SPDX-License-Identifier: MIT */
/*
 * recall.h - what the last run of the daemon learned of its servers: approved tools, eras.
 *
 * Read once, when the first session is wanted and not at the start. Lists wait for it, because they
 * are compared with it; servers of an unknown era too, but not for long: to ask them costs more.
 *
 * Life:    recall_init .. recall_done, with struct mcp_services; the store outlives it.
 */
#ifndef MCP_RECALL_H
#define MCP_RECALL_H

#include "base/crypto.h"
#include "base/map.h"
#include "loop/loop.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

struct mcp_service;
struct mcp_services;

struct recall {
    struct map eras; /* struct recalled_era, by service */
    struct store_load load;
    bool is_wanted, is_over; /* is_over: it was read, or cannot be */
    bool is_late;            /* nobody starts any later for it */
    struct loop_timer patience;
};

void recall_init(struct mcp_services *services);
void recall_done(struct mcp_services *services);
void recall_want(struct mcp_services *services);
bool recall_must_wait(struct mcp_service *service);  /* before a session is started */
void recall_configured(struct mcp_service *service); /* fills service->known */
void recall_ready(struct mcp_service *service);      /* a session stands: its era is kept */

#endif
