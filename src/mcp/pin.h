/* SPDX-License-Identifier: MIT */
/*
 * pin.h - each tool as it was approved, by its hash, and what the server lists instead.
 *
 * A hash is over the members that models and people read: name, title, description, the schemas,
 * annotations, byte for byte. All of it is done when a list arrives, nothing in a call.
 *
 * Definitions are kept only where they are no catalogue's: of tools that changed, and of those
 * that were not listed since the start.
 *
 * Owns:    a pin owns its texts; all pins are owned by struct pins, in struct mcp_services.
 * Life:    pins_init .. pins_take_image, perhaps again later .. pins_done.
 */
#ifndef MCP_PIN_H
#define MCP_PIN_H

#include "base/clock.h"
#include "base/crypto.h"
#include "base/map.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct mcp_catalog;
struct mcp_service;
struct mcp_services;
struct store_image;

struct pins {
    struct map by_service; /* struct pinned */
    bool is_read; /* what was kept is known; else nothing is approved, nothing is written */
};

/* The tools of one service. */
struct pinned {
    char *name;
    struct map tools; /* struct pin */
};

struct pin {
    char *tool; /* any bytes: see pin_name */
    size_t tool_len;
    bool is_approved;
    uint8_t hash[SHA256_BYTES];
    char *definition; /* as approved; NULL: a catalogue's, or not kept */
    size_t definition_len;
    wall_ms approved_at;
    char *approved_by;
    bool is_other; /* it is listed, and not as approved */
    uint8_t seen_hash[SHA256_BYTES];
    char *seen;
    size_t seen_len;
    bool is_gone;
    bool was_told; /* of `told`: a change is an event once */
    uint8_t told[SHA256_BYTES];
    bool is_marked; /* in the list that is being looked at */
};

static inline struct slice pin_name(const struct pin *pin)
{
    return (struct slice){pin->tool, pin->tool_len};
}

void pins_init(struct pins *pins);
void pins_done(struct pins *pins);

/* What was kept; NULL: it cannot be read. What is listed now is looked at again. */
void pins_take_image(struct mcp_services *services, const struct store_image *image);

/* The service lists these now. */
void pins_see(struct mcp_service *service, struct slice definitions, size_t count);
/* Its newest catalogue goes: what only that knew is kept. */
void pins_keep(struct mcp_service *service);

/* For struct catalog_rules; `arg` is the service. */
bool pins_withhold(void *arg, struct slice tool, struct slice definition);

void pin_hash(struct slice definition, uint8_t out[SHA256_BYTES]);

/* ---- between pin.c and approval.c -------------------------------------------------------- */

#define PIN_MEMBERS 6u
extern const char *const pin_members[PIN_MEMBERS];

struct pinned *pinned_find(const struct mcp_services *services, struct slice service);
/* The definition as approved, from wherever it is; ptr NULL: not known. */
struct slice pin_definition(const struct mcp_services *services, const struct pinned *pinned,
                            const struct pin *pin);
void pin_approve(struct mcp_services *services, struct pinned *pinned, struct pin *pin,
                 struct slice who);
void pin_forget(struct mcp_services *services, struct pinned *pinned, struct pin *pin);

#endif
