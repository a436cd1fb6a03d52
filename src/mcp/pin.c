/* SPDX-License-Identifier: MIT */
/* pin.c - tools are trusted when a service is first seen; what differs later is told, and kept. */
#include "mcp/pin.h"

#include "base/log.h"
#include "base/mem.h"
#include "mcp/catalog.h"
#include "mcp/room.h"
#include "store/store.h"
#include "value/pack.h"

/* Pins of one service; more tools are not pinned, and are withheld where pins are strict. */
#define PINS_MAX CATALOG_TOOLS_MAX
/* Events of one list; the rest is a number in the log. */
#define TOLD_MAX 64u

const char *const pin_members[PIN_MEMBERS] = {
    "name", "title", "description", "inputSchema", "outputSchema", "annotations",
};

void pin_hash(struct slice definition, uint8_t out[SHA256_BYTES])
{
    struct digest digest;
    digest_init(&digest);
    for (size_t i = 0; i < PIN_MEMBERS; i++) {
        struct slice value;
        bool is_there = pack_get(definition, pin_members[i], &value);
        digest_add_field(&digest, slice_of(pin_members[i]));
        digest_add_field(&digest, is_there ? value : (struct slice){NULL, 0});
    }
    digest_end(&digest, out);
}

/* ---- life -------------------------------------------------------------------------------- */

static struct slice text_of(const char *text)
{
    return text ? slice_of(text) : (struct slice){"", 0};
}

static void keep_bytes(char **to, size_t *to_len, struct slice bytes)
{
    mem_free(*to);
    *to = NULL;
    *to_len = 0;
    if (bytes.len && bytes.len <= STORE_DEFINITION_MAX) {
        *to = mem_new_raw(bytes.len);
        memcpy(*to, bytes.ptr, bytes.len);
        *to_len = bytes.len;
    }
}

static void pin_free(struct pin *pin)
{
    mem_free(pin->tool);
    mem_free(pin->definition);
    mem_free(pin->approved_by);
    mem_free(pin->seen);
    mem_free(pin);
}

void pins_init(struct pins *pins)
{
    *pins = (struct pins){.is_read = false};
    map_init(&pins->by_service);
}

void pins_done(struct pins *pins)
{
    struct pinned *pinned;
    struct pin *pin;
    size_t at = 0;
    while ((pinned = map_next(&pins->by_service, &at, NULL))) {
        size_t tool = 0;
        while ((pin = map_next(&pinned->tools, &tool, NULL))) {
            pin_free(pin);
        }
        map_done(&pinned->tools);
        mem_free(pinned->name);
        mem_free(pinned);
    }
    map_done(&pins->by_service);
}

struct pinned *pinned_find(const struct mcp_services *services, struct slice service)
{
    return map_get(&services->pins.by_service, service);
}

static struct pinned *pinned_of(struct pins *pins, struct slice service)
{
    struct pinned *pinned = map_get(&pins->by_service, service);
    if (!pinned) {
        pinned = mem_new(sizeof *pinned);
        pinned->name = mem_dup(service);
        map_init(&pinned->tools);
        map_set(&pins->by_service, service, pinned);
    }
    return pinned;
}

static struct pin *pin_new(struct pinned *pinned, struct slice tool)
{
    struct pin *pin = mem_new(sizeof *pin);
    pin->tool = mem_dup(tool);
    pin->tool_len = tool.len;
    map_set(&pinned->tools, tool, pin);
    return pin;
}

/* ---- keeping ----------------------------------------------------------------------------- */

static void save(struct mcp_services *services, const struct pinned *pinned,
                 const struct pin *pin, struct slice definition)
{
    if (!services->options.store || !services->pins.is_read) {
        return;
    }
    store_put_pin(services->options.store,
                  &(struct store_pin){
                      .service = slice_of(pinned->name),
                      .tool = pin_name(pin),
                      .hash = pin->is_approved ? pin->hash : NULL,
                      .definition = definition,
                      .approved_at = pin->approved_at,
                      .approved_by = text_of(pin->approved_by),
                      .seen_hash = pin->is_other ? pin->seen_hash : NULL,
                      .seen = (struct slice){pin->seen, pin->seen_len},
                      .is_gone = pin->is_gone,
                  });
}

void pin_forget(struct mcp_services *services, struct pinned *pinned, struct pin *pin)
{
    struct slice tool = pin_name(pin);
    if (services->options.store && services->pins.is_read) {
        store_drop_pin(services->options.store, slice_of(pinned->name), tool);
    }
    (void)map_remove(&pinned->tools, tool);
    pin_free(pin);
}

static struct slice find_in(const struct mcp_catalog *catalog, const struct pin *pin)
{
    uint8_t hash[SHA256_BYTES];
    const struct mcp_tool *tool = catalog ? mcp_catalog_find(catalog, pin_name(pin)) : NULL;
    if (!tool) {
        return (struct slice){NULL, 0};
    }
    pin_hash(tool->definition, hash);
    return memcmp(hash, pin->hash, SHA256_BYTES) == 0 ? tool->definition
                                                      : (struct slice){NULL, 0};
}

struct slice pin_definition(const struct mcp_services *services, const struct pinned *pinned,
                            const struct pin *pin)
{
    struct slice found = {pin->definition, pin->definition_len};
    const struct mcp_service *service = mcp_services_find(services, slice_of(pinned->name));
    if (found.ptr || !service || !pin->is_approved) {
        return found;
    }
    found = find_in(service->news.newest, pin);
    list_each (link, &service->seats) {
        if (found.ptr) {
            break;
        }
        found = find_in(LIST_ITEM(link, struct seat, link)->session.catalog, pin);
    }
    return found;
}

void pins_keep(struct mcp_service *service)
{
    const struct mcp_services *services = service->services;
    struct pinned *pinned = pinned_find(services, service->conf->name);
    struct pin *pin;
    size_t at = 0;
    while (pinned && service->news.newest && (pin = map_next(&pinned->tools, &at, NULL))) {
        if (pin->is_approved && !pin->definition) {
            keep_bytes(&pin->definition, &pin->definition_len,
                       find_in(service->news.newest, pin));
        }
    }
}

/* ---- what changed ------------------------------------------------------------------------ */

static void put_changes(struct slice approved, struct slice current, struct buf *out)
{
    for (size_t i = 0; i < PIN_MEMBERS; i++) {
        struct slice a = {NULL, 0};
        struct slice b = {NULL, 0};
        (void)pack_get(approved, pin_members[i], &a);
        (void)pack_get(current, pin_members[i], &b);
        if (!slice_equal(a, b)) {
            buf_printf(out, "%s%s", out->len ? ", " : "", pin_members[i]);
        }
    }
}

static void tell(struct mcp_service *service, struct pin *pin, struct slice approved)
{
    const struct mcp_services_options *options = &service->services->options;
    struct buf what;
    buf_init(&what, 256);
    if (!pin->is_approved) {
        buf_put_text(&what, "new");
    } else if (approved.ptr && pin->seen) {
        put_changes(approved, (struct slice){pin->seen, pin->seen_len}, &what);
    }
    if (!what.len) {
        buf_put_text(&what, "definition");
    }
    log_at(LOG_WARN, "mcp", "tool changed", LOG_SLICE("service", service->conf->name),
           LOG_SLICE("tool", pin_name(pin)), LOG_TEXT("what", buf_text(&what)),
           LOG_TEXT("until_approved",
                    service->conf->pin == SERVICE_PIN_STRICT ? "withheld" : "in use"));
    if (options->tool_changed) {
        options->tool_changed(options->arg, service, pin_name(pin), buf_text(&what));
    }
    buf_done(&what);
}

struct look {
    struct mcp_service *service;
    struct pinned *pinned;
    bool is_first; /* nothing is known of the service: it is trusted */
    unsigned told;
};

/* It is another one than was approved, or never was. */
static void see_other(struct look *look, struct pin *pin, struct slice definition,
                      const uint8_t hash[SHA256_BYTES])
{
    struct mcp_services *services = look->service->services;
    bool is_known = pin->is_other && memcmp(pin->seen_hash, hash, SHA256_BYTES) == 0;
    if (is_known && !pin->is_gone) {
        return;
    }
    struct slice approved = pin_definition(services, look->pinned, pin);
    if (pin->is_approved && !pin->definition) {
        keep_bytes(&pin->definition, &pin->definition_len, approved);
    }
    pin->is_other = true;
    pin->is_gone = false;
    memcpy(pin->seen_hash, hash, SHA256_BYTES);
    keep_bytes(&pin->seen, &pin->seen_len, definition);
    save(services, look->pinned, pin, (struct slice){pin->definition, pin->definition_len});
    if (pin->was_told && memcmp(pin->told, hash, SHA256_BYTES) == 0) {
        return; /* it comes and goes: told already */
    }
    pin->was_told = true;
    memcpy(pin->told, hash, SHA256_BYTES);
    if (look->told++ < TOLD_MAX) {
        tell(look->service, pin, (struct slice){pin->definition, pin->definition_len});
    }
}

/* As approved. */
static void see_same(struct look *look, struct pin *pin, struct slice definition)
{
    bool is_news = pin->is_other || pin->is_gone;
    pin->is_other = pin->is_gone = false;
    keep_bytes(&pin->seen, &pin->seen_len, (struct slice){NULL, 0});
    keep_bytes(&pin->definition, &pin->definition_len, (struct slice){NULL, 0});
    if (is_news) {
        save(look->service->services, look->pinned, pin, definition);
    }
}

static void see_one(struct look *look, struct slice definition)
{
    struct mcp_services *services = look->service->services;
    uint8_t hash[SHA256_BYTES];
    struct slice tool;
    if (!pack_get_text(definition, "name", &tool) || !tool.len) {
        return;
    }
    struct pin *pin = map_get(&look->pinned->tools, tool);
    if (!pin && look->pinned->tools.count >= PINS_MAX) {
        return;
    }
    pin_hash(definition, hash);
    if (!pin && look->is_first) {
        pin = pin_new(look->pinned, tool);
        pin->is_approved = pin->is_marked = true;
        memcpy(pin->hash, hash, SHA256_BYTES);
        pin->approved_at = loop_wall(services->core.loop);
        pin->approved_by = mem_dup(SLICE("first use"));
        save(services, look->pinned, pin, definition);
        return;
    }
    pin = pin ? pin : pin_new(look->pinned, tool);
    if (pin->is_marked) {
        return; /* a second one of the name is left out of the catalogue too */
    }
    pin->is_marked = true;
    if (pin->is_approved && memcmp(pin->hash, hash, SHA256_BYTES) == 0) {
        see_same(look, pin, definition);
    } else {
        see_other(look, pin, definition, hash);
    }
}

/* Where each user or agent has a list of their own, nothing can be said to be gone. */
static void see_gone(struct look *look)
{
    const struct mcp_service *service = look->service;
    struct mcp_services *services = service->services;
    bool has_one_list = !service->by_user && !service->by_agent;
    struct pin *pin;
    size_t at = 0;
    while ((pin = map_next(&look->pinned->tools, &at, NULL))) {
        bool is_missing = !pin->is_marked && has_one_list;
        pin->is_marked = false;
        if (is_missing && !pin->is_approved) {
            pin_forget(services, look->pinned, pin);
        } else if (is_missing && !pin->is_gone) {
            struct slice approved = pin_definition(services, look->pinned, pin);
            if (!pin->definition) {
                keep_bytes(&pin->definition, &pin->definition_len, approved);
            }
            pin->is_gone = true;
            pin->is_other = false;
            save(services, look->pinned, pin, approved);
        }
    }
}

void pins_see(struct mcp_service *service, struct slice definitions, size_t count)
{
    struct mcp_services *services = service->services;
    struct look look = {.service = service};
    struct pack cursor = pack_over(definitions);
    struct slice definition;
    if (service->conf->pin == SERVICE_PIN_OFF) {
        return;
    }
    look.pinned = pinned_of(&services->pins, service->conf->name);
    /* Where pins are strict and what was approved cannot be read, nobody may take its place. */
    look.is_first = look.pinned->tools.count == 0 &&
                    (services->pins.is_read || service->conf->pin != SERVICE_PIN_STRICT);
    for (size_t i = 0; i < count && pack_take(&cursor, &definition); i++) {
        see_one(&look, definition);
    }
    see_gone(&look);
    if (look.told > TOLD_MAX) {
        log_at(LOG_WARN, "mcp", "more tools changed", LOG_SLICE("service", service->conf->name),
               LOG_INT("tools", look.told - TOLD_MAX));
    }
}

bool pins_withhold(void *arg, struct slice tool, struct slice definition)
{
    const struct mcp_service *service = arg;
    const struct pinned *pinned = pinned_find(service->services, service->conf->name);
    const struct pin *pin = pinned ? map_get(&pinned->tools, tool) : NULL;
    uint8_t hash[SHA256_BYTES];
    if (!pin || !pin->is_approved) {
        return true;
    }
    pin_hash(definition, hash); /* the list may be another user's than the one looked at last */
    return memcmp(hash, pin->hash, SHA256_BYTES) != 0;
}

void pin_approve(struct mcp_services *services, struct pinned *pinned, struct pin *pin,
                 struct slice who)
{
    memcpy(pin->hash, pin->seen_hash, SHA256_BYTES);
    mem_free(pin->definition);
    pin->definition = pin->seen;
    pin->definition_len = pin->seen_len;
    pin->seen = NULL;
    pin->seen_len = 0;
    pin->is_approved = true;
    pin->is_other = false;
    pin->approved_at = loop_wall(services->core.loop);
    mem_free(pin->approved_by);
    pin->approved_by = mem_dup(who);
    save(services, pinned, pin, (struct slice){pin->definition, pin->definition_len});
}

/* ---- what was kept ----------------------------------------------------------------------- */

static void take_row(struct pins *pins, const struct store_pin *row)
{
    struct pinned *pinned = pinned_of(pins, row->service);
    if (!row->tool.len || map_get(&pinned->tools, row->tool)) {
        return;
    }
    struct pin *pin = pin_new(pinned, row->tool);
    if (row->hash) {
        pin->is_approved = true;
        memcpy(pin->hash, row->hash, SHA256_BYTES);
        keep_bytes(&pin->definition, &pin->definition_len, row->definition);
        pin->approved_at = row->approved_at;
        pin->approved_by = mem_dup(row->approved_by);
    }
    if (row->seen_hash) {
        pin->is_other = pin->was_told = true;
        memcpy(pin->seen_hash, row->seen_hash, SHA256_BYTES);
        memcpy(pin->told, row->seen_hash, SHA256_BYTES);
        keep_bytes(&pin->seen, &pin->seen_len, row->seen);
    }
    pin->is_gone = row->is_gone;
}

void pins_take_image(struct mcp_services *services, const struct store_image *image)
{
    struct pins *pins = &services->pins;
    if (!image) {
        return;
    }
    pins_done(pins);
    pins_init(pins);
    pins->is_read = true;
    for (size_t i = 0; i < image->pin_count; i++) {
        take_row(pins, &image->pins[i]);
    }
}
