/* SPDX-License-Identifier: MIT */
/* catalog.c - an immutable list of one server's tools, with an index by name. */
#include "mcp/catalog.h"

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"
#include "value/pack.h"

/* The public part comes first; behind it in the same memory: tools, index, definitions. */
struct store {
    struct mcp_catalog catalog;
    uint32_t *index; /* place in tools + 1, 0: free; open addressing */
    uint32_t mask;
    unsigned char *is_compiled; /* a tool's schema was compiled, or cannot be */
};

static struct store *store_of(const struct mcp_catalog *catalog)
{
    return (struct store *)(void *)catalog;
}

static struct store *store_new(size_t count, size_t bytes)
{
    size_t slots = 8;
    while (slots < count * 2) {
        slots *= 2;
    }
    size_t tools = count * sizeof(struct mcp_tool);
    size_t index = slots * sizeof(uint32_t);
    struct store *store = mem_try(sizeof *store + tools + index + count + bytes);
    if (!store) {
        return NULL;
    }
    memset(store, 0, sizeof *store + tools + index + count);
    store->catalog.references = 1;
    store->catalog.tools = (struct mcp_tool *)(void *)(store + 1);
    store->index = (uint32_t *)(void *)(store->catalog.tools + count);
    store->mask = (uint32_t)(slots - 1);
    store->is_compiled = (unsigned char *)(store->index + slots);
    return store;
}

/* The slot of `name`, or the free one where it belongs. */
static uint32_t *slot_of(const struct store *store, struct slice name)
{
    uint32_t at = (uint32_t)map_hash(name.ptr, name.len) & store->mask;
    while (store->index[at] &&
           !slice_equal(store->catalog.tools[store->index[at] - 1].name, name)) {
        at = (at + 1) & store->mask;
    }
    return &store->index[at];
}

struct mcp_catalog *catalog_build(struct slice definitions, size_t count, size_t *ret_dropped)
{
    must(count <= CATALOG_TOOLS_MAX);
    struct store *store = store_new(count, definitions.len);
    if (!store) {
        return NULL;
    }
    char *bytes = (char *)store->is_compiled + count;
    if (definitions.len) {
        memcpy(bytes, definitions.ptr, definitions.len);
    }
    struct pack cursor = pack_over((struct slice){bytes, definitions.len});
    size_t dropped = 0;
    for (size_t i = 0; i < count; i++) {
        struct mcp_tool tool = {0};
        if (!pack_take(&cursor, &tool.definition) ||
            !pack_get_text(tool.definition, "name", &tool.name) || !tool.name.len) {
            dropped++;
            continue;
        }
        uint32_t *slot = slot_of(store, tool.name);
        if (*slot) {
            dropped++;
            continue;
        }
        store->catalog.tools[store->catalog.count++] = tool;
        *slot = (uint32_t)store->catalog.count;
    }
    *ret_dropped = dropped;
    return &store->catalog;
}

struct mcp_catalog *catalog_empty(void)
{
    size_t dropped = 0;
    struct mcp_catalog *catalog = catalog_build((struct slice){NULL, 0}, 0, &dropped);
    must(catalog != NULL);
    return catalog;
}

struct mcp_catalog *mcp_catalog_ref(struct mcp_catalog *catalog)
{
    catalog->references++;
    return catalog;
}

struct mcp_catalog *mcp_catalog_unref(struct mcp_catalog *catalog)
{
    if (catalog && --catalog->references == 0) {
        for (size_t i = 0; i < catalog->count; i++) {
            schema_free(catalog->tools[i].input);
        }
        mem_free(store_of(catalog));
    }
    return NULL;
}

const struct mcp_tool *mcp_catalog_find(const struct mcp_catalog *catalog, struct slice name)
{
    const struct store *store = store_of(catalog);
    uint32_t place = *slot_of(store, name);
    return place ? &catalog->tools[place - 1] : NULL;
}

const struct schema *catalog_input(const struct mcp_catalog *catalog,
                                   const struct mcp_tool *tool, struct slice service)
{
    struct store *store = store_of(catalog);
    size_t place = (size_t)(tool - catalog->tools);
    if (!store->is_compiled[place]) {
        struct slice definition;
        struct err err = {0};
        store->is_compiled[place] = 1;
        if (pack_get(tool->definition, "inputSchema", &definition) &&
            schema_compile(definition, &store->catalog.tools[place].input, &err) < 0) {
            log_at(LOG_WARN, "mcp", "a tool's inputSchema is of no use; arguments go unchecked",
                   LOG_SLICE("service", service), LOG_SLICE("tool", tool->name),
                   LOG_TEXT("why", err.text));
        }
    }
    return tool->input;
}
