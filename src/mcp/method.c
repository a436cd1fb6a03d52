/* SPDX-License-Identifier: MIT */
/* method.c - looks up methods in the table of method.def. */
#include "mcp/method.h"

#include "base/must.h"
#include "mcp/session.h"

static const struct method methods[MCP_METHODS] = {
#define METHOD(id, wire, offer, noun, detail, name_key, list_key, traits) \
    [MCP_##id] = {MCP_##id, wire, noun, detail, name_key, list_key, offer, traits},
#include "mcp/method.def"
#undef METHOD
};

const struct method *method_of(enum mcp_method method)
{
    must(method < MCP_METHODS);
    return &methods[method];
}
