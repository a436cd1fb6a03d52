/* SPDX-License-Identifier: MIT */
/* approval.c - what waits for approval, as the operator sees it, and what approving does. */
#include "mcp/approval.h"

#include "base/mem.h"
#include "mcp/catalog.h"
#include "mcp/pin.h"
#include "mcp/room.h"
#include "value/pack.h"

#include <stdlib.h>

static const char *state_of(const struct pin *pin)
{
    if (!pin->is_approved) {
        return "new";
    }
    if (pin->is_gone) {
        return "gone";
    }
    return pin->is_other ? "changed" : "approved";
}

static bool waits(const struct pin *pin)
{
    return pin->is_other;
}

/* ---- order ------------------------------------------------------------------------------- */

static int by_tool(const void *a, const void *b)
{
    return strcmp((*(struct pin *const *)a)->tool, (*(struct pin *const *)b)->tool);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct pinned *const *)a)->name, (*(struct pinned *const *)b)->name);
}

/* The values of a map in order; the caller frees the list. */
static void **in_order(const struct map *map, int (*compare)(const void *a, const void *b))
{
    void **list = mem_new((map->count + 1) * sizeof *list);
    size_t at = 0;
    size_t count = 0;
    void *value;
    while ((value = map_next(map, &at, NULL))) {
        list[count++] = value;
    }
    if (count) {
        qsort(list, count, sizeof *list, compare);
    }
    return list;
}

/* ---- writing ----------------------------------------------------------------------------- */

static void put_differences(struct slice approved, struct slice current, struct buf *out)
{
    uint32_t count = 0;
    pack_put_text(out, "differences");
    size_t array = pack_open(out);
    for (size_t i = 0; approved.len && current.len && i < PIN_MEMBERS; i++) {
        struct slice a = {NULL, 0};
        struct slice b = {NULL, 0};
        bool has_a = pack_get(approved, pin_members[i], &a);
        bool has_b = pack_get(current, pin_members[i], &b);
        if (slice_equal(a, b)) {
            continue;
        }
        pack_put_map(out, 1u + has_a + has_b);
        pack_put_key_text(out, "member", pin_members[i]);
        if (has_a) {
            pack_put_text(out, "approved");
            buf_put_slice(out, a);
        }
        if (has_b) {
            pack_put_text(out, "current");
            buf_put_slice(out, b);
        }
        count++;
    }
    pack_close_array(out, array, count);
}

static uint32_t put_definition(const char *key, struct slice definition, struct buf *out)
{
    if (!definition.len) {
        return 0;
    }
    pack_put_text(out, key);
    buf_put_slice(out, definition);
    return 1;
}

static void put_pin(const struct mcp_services *services, const struct pinned *pinned,
                    const struct pin *pin, struct buf *out)
{
    const struct mcp_service *service = mcp_services_find(services, slice_of(pinned->name));
    struct slice approved = pin_definition(services, pinned, pin);
    struct slice current = {pin->seen, pin->is_other ? pin->seen_len : 0};
    bool is_strict = service && service->conf->pin == SERVICE_PIN_STRICT;
    size_t opened = pack_open(out);
    char hash[SHA256_TEXT];
    uint32_t count = 6;
    pack_put_key_text(out, "service", pinned->name);
    sha256_text(pin->is_other ? pin->seen_hash : pin->hash, hash);
    pack_put_key_text(out, "hash", hash);
    pack_put_key_str(out, "tool", pin_name(pin));
    pack_put_key_text(out, "state", state_of(pin));
    if (pin->is_approved) {
        char at[CLOCK_TEXT];
        clock_format(pin->approved_at, at);
        pack_put_key_text(out, "approved_at", at);
        pack_put_key_text(out, "approved_by", pin->approved_by ? pin->approved_by : "");
        count += 2;
    }
    count += put_definition("approved", approved, out);
    count += put_definition("current", current, out);
    put_differences(approved, current, out);
    pack_put_key_bool(out, "withheld", is_strict && waits(pin));
    pack_close_map(out, opened, count);
}

static uint32_t put_service(const struct mcp_services *services, const struct pinned *pinned,
                            bool all, struct buf *out)
{
    struct pin **list = (struct pin **)in_order(&pinned->tools, by_tool);
    uint32_t count = 0;
    for (size_t i = 0; i < pinned->tools.count; i++) {
        if (all || waits(list[i])) {
            put_pin(services, pinned, list[i], out);
            count++;
        }
    }
    mem_free(list);
    return count;
}

void mcp_pins_put(const struct mcp_services *services, struct slice service, bool all,
                  struct buf *out)
{
    const struct map *map = &services->pins.by_service;
    struct pinned **list = (struct pinned **)in_order(map, by_name);
    size_t opened = pack_open(out);
    uint32_t count = 0;
    for (size_t i = 0; i < map->count; i++) {
        if (!service.len || slice_equal(service, slice_of(list[i]->name))) {
            count += put_service(services, list[i], all, out);
        }
    }
    pack_close_array(out, opened, count);
    mem_free(list);
}

/* ---- approving --------------------------------------------------------------------------- */

size_t mcp_pin_approve(struct mcp_services *services, struct slice service, struct slice tool,
                       struct slice who)
{
    struct pinned *pinned = pinned_find(services, service);
    struct mcp_service *now = mcp_services_find(services, service);
    struct pin *pin;
    size_t at = 0;
    size_t count = 0;
    while (pinned && (pin = map_next(&pinned->tools, &at, NULL))) {
        if (tool.len && !slice_equal(tool, pin_name(pin))) {
            continue;
        }
        if (pin->is_other) {
            pin_approve(services, pinned, pin, who);
            count++;
        } else if (pin->is_gone) { /* that it is gone is what is approved */
            pin_forget(services, pinned, pin);
            count++;
        }
    }
    if (count && now) {
        tools_rebuild(now);
    }
    return count;
}
