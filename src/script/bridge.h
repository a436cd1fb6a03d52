/* SPDX-License-Identifier: MIT */
/*
 * bridge.h - values between Lua and MessagePack.
 *
 *   nil in a map or array  <->  null (a light userdata that scripts know as `null`)
 *   array                  <->  table with the keys 1..n, or marked by array{}
 *   map                    <->  any other table; its keys are texts
 *   integer beyond int64, bin, ext  <->  an opaque value: it can be passed on, not looked into
 *
 * Key order is not kept: maps are written sorted by key, so that equal tables are equal bytes.
 */
#ifndef SCRIPT_BRIDGE_H
#define SCRIPT_BRIDGE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <lua.h>
#include <stdbool.h>

#define BRIDGE_DEPTH_MAX 32
#define BRIDGE_ITEMS_MAX 200000u

/* Appends the value at `index`. Raises nothing and allocates nothing in Lua: may be called
 * outside of sandbox_call. ERR_VALIDATION_ERROR says what and where: "a function at
 * content[1].text"; a table that contains itself, or more than BRIDGE_ITEMS_MAX values, is one.
 * On failure `out` is as long as before. */
int bridge_to_pack(lua_State *lua, int index, struct buf *out, struct err *reterr);

/* Pushes one value; false and nothing pushed when it is malformed, nested deeper than
 * BRIDGE_DEPTH_MAX, or has a key that is no text. Allocates: only below sandbox_call. */
bool bridge_push(lua_State *lua, struct slice value);

/* The text that is a function's argument at `index`, good while it is one. Raises where there is
 * another value. */
struct slice bridge_text(lua_State *lua, int index);

/* Adds `array` and `null` to the table on top of the stack. Raises. For sandbox.c. */
void bridge_open(lua_State *lua);

/* Whether the table at `index` was marked by array{}. */
bool bridge_is_array(lua_State *lua, int index);

#endif
