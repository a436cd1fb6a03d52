/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - a Lua state that configuration and policy run in: bounded in memory and time.
 *
 * Owns:    its Lua state and everything in it.
 * Thread:  one thread at a time.
 * Errors:  every entry is sandbox_load or sandbox_call, and both are protected. A Lua function
 *          that allocates (lua_pushlstring, lua_newtable ...) may be called only below
 *          sandbox_call: push a C function and a light userdata, which allocate nothing, and do
 *          the rest inside. Outside of it, running out of memory ends the process.
 * Units:   a budget is microseconds of the monotonic clock, counted from the first of: a thousand
 *          instructions, 64 KiB of work in library functions, one large allocation.
 *
 * What a script has: assert error ipairs next pairs pcall select tonumber tostring type _VERSION,
 * math without random, utf8.char and utf8.len, and, all bounded: string.byte char format len
 * lower rep reverse sub upper, table.concat insert move pack remove sort unpack, and our own
 * string.contains, string.ends, string.glob, string.starts (also as globals), array and null.
 * What it has not: patterns, coroutines, metatables, xpcall, load, modules, io, os, debug.
 */
#ifndef SCRIPT_SANDBOX_H
#define SCRIPT_SANDBOX_H

#include "base/err.h"
#include "base/slice.h"

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

struct sandbox;

#define SANDBOX_CHUNK_BYTES  (4u << 20) /* one file at most */
#define SANDBOX_STRING_BYTES (1u << 20) /* what a library function takes or makes at most */

/* NULL when not even an empty state fits into the ceiling. */
struct sandbox *sandbox_new(size_t memory_bytes);
void sandbox_free(struct sandbox *sandbox); /* NULL is fine */

lua_State *sandbox_lua(struct sandbox *sandbox);
struct sandbox *sandbox_of(lua_State *lua);
size_t sandbox_memory(const struct sandbox *sandbox); /* bytes in use */

/* Compiles text (never bytecode) and pushes it as a function. `chunkname` as in Lua: "@FILE" or
 * "=NAME". -ERR_VALIDATION_ERROR with "FILE:LINE: what", and nothing pushed, on a syntax error. */
int sandbox_load(struct sandbox *sandbox, struct slice chunk, const char *chunkname,
                 struct err *reterr);

/* Calls the function below `nargs` arguments on the stack; like lua_call, leaves nresults.
 * Nothing is left on failure:
 *   -ERR_TIMEOUT     over the budget (a nested call cannot outlive its outer one)
 *   -ERR_OVERLOADED  over the memory ceiling
 *   -ERR_INTERNAL    the script raised an error; reterr has "FILE:LINE: what" */
int sandbox_call(struct sandbox *sandbox, int nargs, int nresults, int64_t budget_us,
                 struct err *reterr);

/* The same for a function of our own that runs the script's functions only after sandbox_watch:
 * looking at the clock costs a third of a short call. Until then nothing bounds its time. */
int sandbox_call_trusted(struct sandbox *sandbox, int nargs, int nresults, int64_t budget_us,
                         struct err *reterr);
void sandbox_watch(lua_State *lua);

/* The script's function has returned, our own goes on. */
void sandbox_unwatch(lua_State *lua);

/* Of the last failure, until the next entry. The traceback is empty if there was none. */
const char *sandbox_traceback(const struct sandbox *sandbox);

/* Splits "FILE:LINE: what": what is returned, FILE:LINE go out (line 0: no place was found). */
const char *sandbox_place(const char *text, char *file, size_t file_bytes, int *ret_line);

/* For C functions that scripts call: declares work done outside the interpreter, in steps of
 * about a byte or a nanosecond. Raises the budget's error once the time is over. */
void sandbox_charge(lua_State *lua, size_t work);

#endif
