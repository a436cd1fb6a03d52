/* SPDX-License-Identifier: MIT */
/*
 * embedded.h - the files of lua/, made part of the program at build time (embed/embed.c).
 *
 * Each is there as compiled by the Lua of the build, which takes a fifth of the time to load, and as
 * text, for when the library at run time is another release: Lua does not check compiled code.
 */
#ifndef POLICY_EMBEDDED_H
#define POLICY_EMBEDDED_H

#include <stddef.h>

struct embedded {
    const char *name;  /* without ".lua": "policy", "std/decide" */
    const char *chunk; /* as Lua's messages call it: "builtin/policy.lua" */
    const unsigned char *text;
    size_t text_len;
    const unsigned char *code;
    size_t code_len;
};

extern const struct embedded embedded_files[]; /* ends with name NULL */
extern const unsigned char embedded_ident[];   /* lua_ident of the Lua of the build */

#endif
