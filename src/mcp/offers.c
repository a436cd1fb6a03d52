/* SPDX-License-Identifier: MIT */
/* offers.c - what a server says of itself when a session begins: what it offers, and its name. */
#include "base/mem.h"
#include "mcp/handshake.h"
#include "mcp/session.h"
#include "value/pack.h"

#define PREFIX "io.modelcontextprotocol/"

/* What servers say of themselves is for display only. */
#define NAME_BYTES         256u
#define INSTRUCTIONS_BYTES 8192u

/* The members that say something when they are `true`. */
struct flag {
    const char *name;
    unsigned offer;
};

static const struct offer_row {
    const char *name;
    unsigned offer;
    struct flag flags[2];
} rows[] = {
    {"tools", OFFERS_TOOLS, {{"listChanged", OFFERS_TOOLS_CHANGED}}},
    {"resources",
     OFFERS_RESOURCES,
     {{"listChanged", OFFERS_RESOURCES_CHANGED}, {"subscribe", OFFERS_RESOURCES_SUBSCRIBE}}},
    {"prompts", OFFERS_PROMPTS, {{"listChanged", OFFERS_PROMPTS_CHANGED}}},
    {"completions", OFFERS_COMPLETIONS, {{NULL, 0}}},
    {"logging", OFFERS_LOGGING, {{NULL, 0}}},
};

static bool get_map(struct slice value, const char *key, struct slice *ret)
{
    return pack_get(value, key, ret) && pack_peek(pack_over(*ret)) == PACK_MAP;
}

static unsigned read_row(const struct offer_row *row, struct slice capability)
{
    unsigned offers = row->offer;
    for (size_t i = 0; i < 2 && row->flags[i].name; i++) {
        bool is_true = false;
        if (pack_get_bool(capability, row->flags[i].name, &is_true) && is_true) {
            offers |= row->flags[i].offer;
        }
    }
    return offers;
}

/* As a capability of 2025-11-25, where it names the requests; as an extension later. */
static bool offers_tasks(struct slice capabilities)
{
    struct slice map;
    if (get_map(capabilities, "extensions", &map) && get_map(map, PREFIX "tasks", &map)) {
        return true;
    }
    return get_map(capabilities, "tasks", &map) && get_map(map, "requests", &map) &&
           get_map(map, "tools", &map) && get_map(map, "call", &map);
}

static unsigned read_offers(struct slice result)
{
    struct slice capabilities;
    struct slice map;
    unsigned offers = 0;
    if (!get_map(result, "capabilities", &capabilities)) {
        return 0;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (get_map(capabilities, rows[i].name, &map)) {
            offers |= read_row(&rows[i], map);
        }
    }
    return offers | (offers_tasks(capabilities) ? OFFERS_TASKS : 0u);
}

static void keep_text(char **to, struct slice value, const char *key, size_t max)
{
    struct slice text;
    mem_free(*to);
    *to = NULL;
    if (value.ptr && pack_get_text(value, key, &text) && text.len <= max) {
        *to = mem_dup(text);
    }
}

void offers_take(struct mcp_session *session, struct slice result)
{
    struct slice info = {NULL, 0};
    struct slice meta;
    session->offers = read_offers(result);
    if (!get_map(result, "_meta", &meta) || !get_map(meta, PREFIX "serverInfo", &info)) {
        (void)get_map(result, "serverInfo", &info);
    }
    keep_text(&session->server_name, info, "name", NAME_BYTES);
    keep_text(&session->server_version, info, "version", NAME_BYTES);
    keep_text(&session->instructions, result, "instructions", INSTRUCTIONS_BYTES);
}
