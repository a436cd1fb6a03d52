/* SPDX-License-Identifier: MIT */
/*
 * method.h - how each request of enum mcp_method is written and answered, as data (method.def).
 *
 * Life: static, for ever.
 */
#ifndef MCP_METHOD_H
#define MCP_METHOD_H

#include "mcp/service.h"

enum method_trait {
    METHOD_HAS_ARGUMENTS = 1, /* params.arguments, also when there are none */
    METHOD_HAS_MEMBERS = 2,   /* the caller's arguments are params */
    METHOD_HAS_ROUNDS = 4,    /* a modern server may ask for input instead of answering */
    METHOD_READS = 8,         /* twice does no harm */
    METHOD_MAKES_TASKS = 16,  /* a task may be the answer */
    METHOD_OF_TASKS = 32
};

struct method {
    enum mcp_method id;
    const char *wire, *noun, *detail, *name_key, *list_key;
    unsigned offer, traits;
};

const struct method *method_of(enum mcp_method method);

#endif
