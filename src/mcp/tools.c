/* SPDX-License-Identifier: MIT */
/* tools.c - what a session listed becomes a catalogue: shared, looked through, reported once. */
#include "base/log.h"
#include "mcp/catalog.h"
#include "mcp/room.h"
#include "value/pack.h"

/* The first ones of a catalogue are logged each, the rest as a number. */
#define LOGGED_MAX 16u

bool tools_may_list(void *arg)
{
    struct mcp_services *services = ((struct mcp_service *)arg)->services;
    recall_want(services);
    return services->recall.is_over;
}

/* ---- the log ----------------------------------------------------------------------------- */

static void log_warnings(struct slice service, const struct mcp_catalog *catalog)
{
    size_t found = 0;
    for (size_t i = 0; i < catalog->count; i++) {
        const struct mcp_tool *tool = &catalog->tools[i];
        struct pack cursor = pack_over(tool->warnings);
        struct pack_item head;
        struct slice text;
        if (!tool->warnings.len || ++found > LOGGED_MAX || !pack_next(&cursor, &head) ||
            !pack_next_text(&cursor, &text)) {
            continue;
        }
        log_at(LOG_WARN, "mcp", "a tool is odd; it is passed on as it is",
               LOG_SLICE("service", service), LOG_SLICE("tool", tool->name),
               LOG_SLICE("what", text), LOG_INT("warnings", head.count));
    }
    if (found > LOGGED_MAX) {
        log_at(LOG_WARN, "mcp", "more tools are odd; `toolbroker status` names them",
               LOG_SLICE("service", service), LOG_INT("tools", found - LOGGED_MAX));
    }
}

static void log_left_out(struct slice service, const struct catalog_absent *absent)
{
    struct pack cursor = pack_over(absent->left_out);
    struct slice tool;
    struct slice reason;
    for (size_t i = 0; i < absent->left_out_count && i < LOGGED_MAX; i++) {
        if (pack_next_text(&cursor, &tool) && pack_next_text(&cursor, &reason)) {
            log_at(LOG_WARN, "mcp", "a tool is left out: its headers are against the rules",
                   LOG_SLICE("service", service), LOG_SLICE("tool", tool),
                   LOG_SLICE("why", reason));
        }
    }
    if (absent->left_out_count > LOGGED_MAX) {
        log_at(LOG_WARN, "mcp", "more tools are left out; `toolbroker status` names them",
               LOG_SLICE("service", service),
               LOG_INT("tools", absent->left_out_count - LOGGED_MAX));
    }
    if (absent->nameless) {
        log_at(LOG_WARN, "mcp",
               "tools without a name, or of a name that is taken, are left out",
               LOG_SLICE("service", service), LOG_INT("tools", absent->nameless));
    }
}

static void report(const struct mcp_service *service, const struct mcp_catalog *catalog)
{
    const struct catalog_absent absent = catalog_absent(catalog);
    log_warnings(service->conf->name, catalog);
    log_left_out(service->conf->name, &absent);
}

/* ---- building ---------------------------------------------------------------------------- */

static struct catalog_rules rules_of(struct mcp_service *service)
{
    return (struct catalog_rules){
        .withholds = service->conf->pin == SERVICE_PIN_STRICT ? pins_withhold : NULL,
        .arg = service};
}

/* Lists are compared byte for byte: most sessions of a service get the same one, and most refreshes
 * bring nothing new. */
struct mcp_catalog *tools_listed(void *arg, struct mcp_session *session,
                                 struct slice definitions, size_t count)
{
    struct mcp_service *service = arg;
    /* No session of an old configuration; a reload that changed nothing left the others. */
    bool is_current = !LIST_ITEM(session, struct seat, session)->is_retired;
    struct catalog_rules rules = rules_of(service);
    rules.has_headers = session->has_exchanges && session_is_modern(session);
    if (service->news.newest &&
        catalog_is_of(service->news.newest, definitions, count, &rules)) {
        return mcp_catalog_ref(service->news.newest);
    }
    if (is_current) {
        pins_see(service, definitions, count);
    }
    struct mcp_catalog *catalog = catalog_build(definitions, count, &rules);
    if (catalog && is_current) {
        report(service, catalog);
        mcp_catalog_unref(service->news.newest);
        service->news.newest = mcp_catalog_ref(catalog);
    }
    return catalog;
}

/* The sessions that shared it share the new one. */
static void replace(struct mcp_session *session, const struct mcp_catalog *old,
                    struct mcp_catalog *now, const struct catalog_rules *rules)
{
    if (!session->catalog) {
        return;
    }
    struct mcp_catalog *own = session->catalog == old
                                  ? mcp_catalog_ref(now)
                                  : catalog_rebuild(session->catalog, rules);
    if (own) {
        mcp_catalog_unref(session->catalog);
        session->catalog = own;
    }
}

void tools_rebuild(struct mcp_service *service)
{
    const struct catalog_rules rules = rules_of(service);
    struct mcp_catalog *old = service->news.newest;
    struct mcp_catalog *now =
        old && service->conf->pin == SERVICE_PIN_STRICT ? catalog_rebuild(old, &rules) : NULL;
    if (!now) {
        return; /* nothing is withheld; or there is no memory, and it stays so until the next list */
    }
    service->news.newest = now;
    list_each (link, &service->seats) {
        replace(&LIST_ITEM(link, struct seat, link)->session, old, now, &rules);
    }
    mcp_catalog_unref(old);
    news_list_changed(service, NULL, "tools");
}

void tools_look_again(struct mcp_service *service)
{
    size_t count = 0;
    if (service->news.newest) {
        struct slice definitions = catalog_definitions(service->news.newest, &count);
        pins_see(service, definitions, count);
        tools_rebuild(service);
    }
}

/* ---- status ------------------------------------------------------------------------------ */

static uint32_t put_warnings(const struct mcp_catalog *catalog, struct buf *out)
{
    uint32_t count = 0;
    size_t start = out->len;
    pack_put_text(out, "tool_warnings");
    size_t opened = pack_open(out);
    for (size_t i = 0; i < catalog->count; i++) {
        const struct mcp_tool *tool = &catalog->tools[i];
        if (tool->warnings.len) {
            pack_put_map(out, 2);
            pack_put_key_str(out, "tool", tool->name);
            pack_put_text(out, "warnings");
            buf_put_slice(out, tool->warnings);
            count++;
        }
    }
    pack_close_array(out, opened, count);
    if (!count) {
        out->len = start;
    }
    return count > 0;
}

static uint32_t put_left_out(const struct catalog_absent *absent, struct buf *out)
{
    struct pack cursor = pack_over(absent->left_out);
    struct slice tool;
    struct slice reason;
    if (!absent->left_out_count) {
        return 0;
    }
    pack_put_text(out, "tools_left_out");
    pack_put_array(out, (uint32_t)absent->left_out_count);
    while (pack_next_text(&cursor, &tool) && pack_next_text(&cursor, &reason)) {
        pack_put_map(out, 2);
        pack_put_key_str(out, "tool", tool);
        pack_put_key_str(out, "reason", reason);
    }
    return 1;
}

uint32_t tools_put_status(const struct mcp_catalog *catalog, struct buf *out)
{
    const struct catalog_absent absent = catalog_absent(catalog);
    uint32_t count = put_warnings(catalog, out) + put_left_out(&absent, out);
    if (absent.withheld_count) {
        pack_put_text(out, "tools_withheld");
        pack_put_array(out, (uint32_t)absent.withheld_count);
        buf_put_slice(out, absent.withheld);
        count++;
    }
    return count;
}
