/* SPDX-License-Identifier: MIT */
/* catalog.c - a catalogue of tools: built once from what the server listed, then only read. */
#include "mcp/catalog.h"

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"
#include "mcp/hygiene.h"
#include "value/pack.h"

#define IS_INPUT_COMPILED  1u
#define IS_OUTPUT_COMPILED 2u

/* All warnings of one catalogue, and all reasons for leaving tools out. */
#define NOTES_BYTES_MAX ((size_t)4 * 1024 * 1024)

/* The public part comes first; behind it in the same memory: tools, index, definitions. */
struct whole {
    struct mcp_catalog catalog;
    uint32_t *index; /* place in tools + 1, 0: free; open addressing */
    uint32_t mask;
    unsigned char *is_compiled; /* a tool's schemas were compiled, or cannot be */
    struct slice definitions;
    size_t listed; /* definitions */
    uint64_t hash; /* of them */
    bool has_headers;
    size_t nameless, left_out_count, withheld_count;
    struct buf warnings, left_out, withheld;
    struct param_headers **headers; /* by place; NULL: no tool has any */
};

static struct whole *whole_of(const struct mcp_catalog *catalog)
{
    return (struct whole *)(void *)catalog;
}

static struct whole *whole_new(struct slice definitions, size_t count)
{
    size_t slots = 8;
    while (slots < count * 2) {
        slots *= 2;
    }
    size_t tools = count * sizeof(struct mcp_tool);
    size_t index = slots * sizeof(uint32_t);
    struct whole *whole = mem_try(sizeof *whole + tools + index + count + definitions.len);
    if (!whole) {
        return NULL;
    }
    memset(whole, 0, sizeof *whole + tools + index + count);
    whole->catalog.references = 1;
    whole->catalog.tools = (struct mcp_tool *)(void *)(whole + 1);
    whole->index = (uint32_t *)(void *)(whole->catalog.tools + count);
    whole->mask = (uint32_t)(slots - 1);
    whole->is_compiled = (unsigned char *)(whole->index + slots);
    char *bytes = (char *)whole->is_compiled + count;
    if (definitions.len) {
        memcpy(bytes, definitions.ptr, definitions.len);
    }
    whole->definitions = (struct slice){bytes, definitions.len};
    whole->listed = count;
    whole->hash = map_hash(bytes, definitions.len);
    buf_init(&whole->warnings, NOTES_BYTES_MAX);
    buf_init(&whole->left_out, NOTES_BYTES_MAX);
    buf_init(&whole->withheld, NOTES_BYTES_MAX);
    return whole;
}

/* The slot of `name`, or the free one where it belongs. */
static uint32_t *slot_of(const struct whole *whole, struct slice name)
{
    uint32_t at = (uint32_t)map_hash(name.ptr, name.len) & whole->mask;
    while (whole->index[at] &&
           !slice_equal(whole->catalog.tools[whole->index[at] - 1].name, name)) {
        at = (at + 1) & whole->mask;
    }
    return &whole->index[at];
}

/* ---- building ---------------------------------------------------------------------------- */

static void leave_out(struct whole *whole, struct slice tool, const char *reason)
{
    size_t before = whole->left_out.len;
    pack_put_str(&whole->left_out, tool);
    pack_put_text(&whole->left_out, reason);
    if (whole->left_out.overflow) {
        whole->left_out.len = before;
        return;
    }
    whole->left_out_count++;
}

/* False: they are against the rules. */
static bool keep_headers(struct whole *whole, const struct mcp_tool *tool)
{
    struct slice schema;
    struct param_headers *headers = NULL;
    struct err err = {0};
    if (!whole->has_headers || !pack_get(tool->definition, "inputSchema", &schema)) {
        return true;
    }
    if (param_headers_compile(schema, &headers, &err) < 0) {
        leave_out(whole, tool->name, err.text);
        return false;
    }
    if (headers && !whole->headers) {
        whole->headers = mem_new(whole->listed * sizeof(struct param_headers *));
    }
    if (headers) {
        whole->headers[whole->catalog.count] = headers;
    }
    return true;
}

static bool is_withheld(struct whole *whole, const struct mcp_tool *tool,
                        const struct catalog_rules *rules)
{
    if (!rules || !rules->withholds ||
        !rules->withholds(rules->arg, tool->name, tool->definition)) {
        return false;
    }
    size_t before = whole->withheld.len;
    pack_put_str(&whole->withheld, tool->name);
    if (whole->withheld.overflow) {
        whole->withheld.len = before; /* withheld all the same, only nobody is told its name */
    } else {
        whole->withheld_count++;
    }
    return true;
}

/* Where the warnings grow to is not known before the last one: until then their place is kept. */
static void add_warnings(struct whole *whole, struct mcp_tool *tool)
{
    size_t from = whole->warnings.len;
    if (!hygiene_check_tool(tool->definition, &whole->warnings) || whole->warnings.overflow) {
        whole->warnings.len = from;
        whole->warnings.overflow = false;
        return;
    }
    tool->warnings.len = whole->warnings.len - from;
}

static void place_warnings(struct whole *whole)
{
    size_t at = 0;
    for (size_t i = 0; i < whole->catalog.count; i++) {
        struct slice *warnings = &whole->catalog.tools[i].warnings;
        if (warnings->len) {
            warnings->ptr = whole->warnings.data + at;
            at += warnings->len;
        }
    }
}

static bool says_harmless(struct slice definition)
{
    struct slice annotations;
    bool is_so = false;
    return pack_get(definition, "annotations", &annotations) &&
           ((pack_get_bool(annotations, "readOnlyHint", &is_so) && is_so) ||
            (pack_get_bool(annotations, "idempotentHint", &is_so) && is_so));
}

static void add_tool(struct whole *whole, struct slice definition,
                     const struct catalog_rules *rules)
{
    struct mcp_tool tool = {.definition = definition};
    if (!pack_get_text(definition, "name", &tool.name) || !tool.name.len) {
        whole->nameless++;
        return;
    }
    uint32_t *slot = slot_of(whole, tool.name);
    if (*slot) {
        whole->nameless++;
        return;
    }
    if (is_withheld(whole, &tool, rules) || !keep_headers(whole, &tool)) {
        return;
    }
    add_warnings(whole, &tool);
    tool.says_harmless = says_harmless(definition);
    whole->catalog.tools[whole->catalog.count++] = tool;
    *slot = (uint32_t)whole->catalog.count;
}

struct mcp_catalog *catalog_build(struct slice definitions, size_t count,
                                  const struct catalog_rules *rules)
{
    must(count <= CATALOG_TOOLS_MAX);
    struct whole *whole = whole_new(definitions, count);
    if (!whole) {
        return NULL;
    }
    whole->has_headers = rules && rules->has_headers;
    struct pack cursor = pack_over(whole->definitions);
    struct slice definition;
    for (size_t i = 0; i < count && pack_take(&cursor, &definition); i++) {
        add_tool(whole, definition, rules);
    }
    place_warnings(whole);
    return &whole->catalog;
}

struct mcp_catalog *catalog_empty(void)
{
    struct mcp_catalog *catalog = catalog_build((struct slice){NULL, 0}, 0, NULL);
    must(catalog != NULL);
    return catalog;
}

struct mcp_catalog *catalog_rebuild(const struct mcp_catalog *catalog,
                                    const struct catalog_rules *rules)
{
    const struct whole *whole = whole_of(catalog);
    struct catalog_rules own = *rules;
    own.has_headers = whole->has_headers;
    return catalog_build(whole->definitions, whole->listed, &own);
}

struct slice catalog_definitions(const struct mcp_catalog *catalog, size_t *ret_count)
{
    const struct whole *whole = whole_of(catalog);
    *ret_count = whole->listed;
    return whole->definitions;
}

bool catalog_is_of(const struct mcp_catalog *catalog, struct slice definitions, size_t count,
                   const struct catalog_rules *rules)
{
    const struct whole *whole = whole_of(catalog);
    return whole->listed == count && whole->has_headers == rules->has_headers &&
           whole->definitions.len == definitions.len &&
           whole->hash == map_hash(definitions.ptr, definitions.len) &&
           slice_equal(whole->definitions, definitions);
}

/* ---- life -------------------------------------------------------------------------------- */

struct mcp_catalog *mcp_catalog_ref(struct mcp_catalog *catalog)
{
    catalog->references++;
    return catalog;
}

static void whole_free(struct whole *whole)
{
    for (size_t i = 0; i < whole->catalog.count; i++) {
        schema_free(whole->catalog.tools[i].input);
        schema_free(whole->catalog.tools[i].output);
        if (whole->headers) {
            param_headers_free(whole->headers[i]);
        }
    }
    mem_free(whole->headers);
    buf_done(&whole->warnings);
    buf_done(&whole->left_out);
    buf_done(&whole->withheld);
    mem_free(whole);
}

struct mcp_catalog *mcp_catalog_unref(struct mcp_catalog *catalog)
{
    if (catalog && --catalog->references == 0) {
        whole_free(whole_of(catalog));
    }
    return NULL;
}

/* ---- looking up -------------------------------------------------------------------------- */

const struct mcp_tool *mcp_catalog_find(const struct mcp_catalog *catalog, struct slice name)
{
    uint32_t place = *slot_of(whole_of(catalog), name);
    return place ? &catalog->tools[place - 1] : NULL;
}

struct catalog_absent catalog_absent(const struct mcp_catalog *catalog)
{
    const struct whole *whole = whole_of(catalog);
    return (struct catalog_absent){.nameless = whole->nameless,
                                   .left_out_count = whole->left_out_count,
                                   .withheld_count = whole->withheld_count,
                                   .left_out = buf_slice(&whole->left_out),
                                   .withheld = buf_slice(&whole->withheld)};
}

bool catalog_withholds(const struct mcp_catalog *catalog, struct slice tool)
{
    const struct whole *whole = whole_of(catalog);
    struct pack cursor = pack_over(buf_slice(&whole->withheld));
    struct slice name;
    while (pack_next_text(&cursor, &name)) {
        if (slice_equal(name, tool)) {
            return true;
        }
    }
    return false;
}

static void compile(struct slice definition, const char *member, struct schema **ret,
                    const struct mcp_tool *tool, struct slice service)
{
    struct slice schema;
    struct err err = {0};
    if (pack_get(definition, member, &schema) && schema_compile(schema, ret, &err) < 0) {
        log_at(LOG_WARN, "mcp", "a tool's schema is of no use; what it is for goes unchecked",
               LOG_SLICE("service", service), LOG_SLICE("tool", tool->name),
               LOG_TEXT("schema", member), LOG_TEXT("why", err.text));
    }
}

const struct schema *catalog_input(const struct mcp_catalog *catalog,
                                   const struct mcp_tool *tool, struct slice service)
{
    struct whole *whole = whole_of(catalog);
    size_t place = (size_t)(tool - catalog->tools);
    if (!(whole->is_compiled[place] & IS_INPUT_COMPILED)) {
        whole->is_compiled[place] |= IS_INPUT_COMPILED;
        compile(tool->definition, "inputSchema", &whole->catalog.tools[place].input, tool,
                service);
    }
    return tool->input;
}

const struct schema *catalog_output(const struct mcp_catalog *catalog,
                                    const struct mcp_tool *tool, struct slice service)
{
    struct whole *whole = whole_of(catalog);
    size_t place = (size_t)(tool - catalog->tools);
    if (!(whole->is_compiled[place] & IS_OUTPUT_COMPILED)) {
        whole->is_compiled[place] |= IS_OUTPUT_COMPILED;
        compile(tool->definition, "outputSchema", &whole->catalog.tools[place].output, tool,
                service);
    }
    return tool->output;
}

const struct param_headers *catalog_headers(const struct mcp_catalog *catalog,
                                            const struct mcp_tool *tool)
{
    const struct whole *whole = whole_of(catalog);
    return whole->headers ? whole->headers[tool - catalog->tools] : NULL;
}
