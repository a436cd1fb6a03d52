/* SPDX-License-Identifier: MIT */
/* recall.c - reads what was kept when it is first wanted, and keeps the eras of servers. */
#include "mcp/recall.h"

#include "base/log.h"
#include "base/mem.h"
#include "mcp/pin.h"
#include "mcp/room.h"
#include "store/store.h"

/* How long a start waits for a slow disk. */
#define PATIENCE ((mono_us)500000)

struct recalled_era {
    uint8_t configuration[SHA256_BYTES];
    bool is_modern, is_sse;
};

static void hash_configuration(const struct mcp_service *service, uint8_t out[SHA256_BYTES])
{
    sha256(service->conf->definition, out);
}

static void set_era(struct recall *recall, struct slice service, const struct recalled_era *era)
{
    struct recalled_era *kept = map_get(&recall->eras, service);
    if (!kept) {
        kept = mem_new(sizeof *kept);
        map_set(&recall->eras, service, kept);
    }
    *kept = *era;
}

void recall_configured(struct mcp_service *service)
{
    const struct recalled_era *era =
        map_get(&service->services->recall.eras, service->conf->name);
    uint8_t hash[SHA256_BYTES];
    if (!era || service->known.era != KNOWN_NOTHING) {
        return;
    }
    hash_configuration(service, hash);
    if (memcmp(hash, era->configuration, SHA256_BYTES) == 0) {
        service->known.era = era->is_modern ? KNOWN_MODERN : KNOWN_LEGACY;
        service->known.is_sse = era->is_sse;
    }
}

void recall_ready(struct mcp_service *service)
{
    struct recall *recall = &service->services->recall;
    struct store *store = service->services->options.store;
    const struct recalled_era *kept = map_get(&recall->eras, service->conf->name);
    struct recalled_era era = {.is_modern = service->known.era == KNOWN_MODERN,
                               .is_sse = service->known.is_sse};
    if (!store || service->known.era == KNOWN_NOTHING) {
        return;
    }
    hash_configuration(service, era.configuration);
    if (kept && kept->is_modern == era.is_modern && kept->is_sse == era.is_sse &&
        memcmp(kept->configuration, era.configuration, SHA256_BYTES) == 0) {
        return;
    }
    set_era(recall, service->conf->name, &era);
    store_put_era(store, &(struct store_era){.service = service->conf->name,
                                             .configuration = era.configuration,
                                             .is_modern = era.is_modern,
                                             .is_sse = era.is_sse});
}

/* ---- reading ----------------------------------------------------------------------------- */

static void each_seat(struct list *seats, void (*visit)(struct mcp_session *session))
{
    list_each (link, seats) {
        visit(&LIST_ITEM(link, struct seat, link)->session);
    }
}

/* Of all services, also of those that are gone but for their last requests. */
static void each_session(struct mcp_services *services,
                         void (*visit)(struct mcp_session *session))
{
    for (size_t i = 0; i < services->count; i++) {
        each_seat(&services->list[i]->seats, visit);
        each_seat(&services->list[i]->retired, visit);
    }
    list_each (link, &services->removed) {
        each_seat(&LIST_ITEM(link, struct mcp_service, link)->retired, visit);
    }
}

static void look_again(struct mcp_services *services)
{
    for (size_t i = 0; i < services->count; i++) {
        recall_configured(services->list[i]);
        tools_look_again(services->list[i]);
    }
}

static void is_late(void *arg)
{
    struct mcp_services *services = arg;
    services->recall.is_late = true;
    each_session(services, session_start_waiting);
}

bool recall_must_wait(struct mcp_service *service)
{
    const struct recall *recall = &service->services->recall;
    return !recall->is_over && !recall->is_late && service->known.era == KNOWN_NOTHING &&
           service->conf->era == SERVICE_ERA_AUTO;
}

/* It may come again: first that it cannot be read, later what is in it. */
static void loaded(void *arg, const struct store_image *image, const struct err *err)
{
    struct mcp_services *services = arg;
    struct recall *recall = &services->recall;
    if (!image && recall->is_over) {
        return; /* one more try in vain */
    }
    if (!image) {
        log_at(LOG_WARN, "mcp",
               "what was learned of servers is not known; where pins are strict, no tool is "
               "approved",
               LOG_TEXT("why", err->text));
    }
    pins_take_image(services, image);
    for (size_t i = 0; image && i < image->era_count; i++) {
        const struct store_era *row = &image->eras[i];
        if (row->configuration && !map_get(&recall->eras, row->service)) {
            struct recalled_era era = {.is_modern = row->is_modern, .is_sse = row->is_sse};
            memcpy(era.configuration, row->configuration, SHA256_BYTES);
            set_era(recall, row->service, &era);
        }
    }
    recall->is_over = true;
    loop_timer_cancel(services->core.loop, &recall->patience);
    look_again(services);
    each_session(services, listing_resume);
    each_session(services, session_start_waiting);
}

void recall_init(struct mcp_services *services)
{
    struct recall *recall = &services->recall;
    map_init(&recall->eras);
    recall->load = (struct store_load){.loaded = loaded, .arg = services};
    loop_timer_init(&recall->patience, is_late, services);
    pins_init(&services->pins);
    recall->is_wanted = recall->is_over = !services->options.store;
    services->pins.is_read = recall->is_over;
}

void recall_want(struct mcp_services *services)
{
    if (!services->recall.is_wanted) {
        services->recall.is_wanted = true;
        loop_timer_set(services->core.loop, &services->recall.patience,
                       loop_now(services->core.loop) + PATIENCE);
        store_load(services->options.store, &services->recall.load);
    }
}

void recall_done(struct mcp_services *services)
{
    struct recalled_era *era;
    size_t at = 0;
    loop_timer_cancel(services->core.loop, &services->recall.patience);
    store_forget_load(&services->recall.load);
    while ((era = map_next(&services->recall.eras, &at, NULL))) {
        mem_free(era);
    }
    map_done(&services->recall.eras);
    pins_done(&services->pins);
}
