/* SPDX-License-Identifier: MIT */
/* library.h - what scripts may call: the allow-listed globals, bounded. Only sandbox.c uses it. */
#ifndef SCRIPT_LIBRARY_H
#define SCRIPT_LIBRARY_H

#include <lua.h>

/* Replaces the globals of a fresh state. Raises; takes no arguments, so that it can be called
 * through lua_pcall. */
int library_open(lua_State *lua);

#endif
