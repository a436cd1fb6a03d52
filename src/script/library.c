/* SPDX-License-Identifier: MIT */
/*
 * library.c - the globals a script has, each bounded.
 *
 * No hook fires inside a C function, so each one that can take long has a limit of its own and
 * declares its work to the budget. Scripts have no metatables, so tables are accessed raw.
 */
#include "script/library.h"

#include "base/text.h"
#include "script/bridge.h"
#include "script/sandbox.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#define ITEMS_MAX  100000
#define UNPACK_MAX 250
#define FORMAT_MAX 4096u
#define GLOB_MAX   4096u

/* Charges the strings among the arguments, and refuses what is too long in total. */
static size_t charge_texts(lua_State *lua)
{
    size_t total = 0;
    for (int i = lua_gettop(lua); i > 0; i--) {
        total += lua_type(lua, i) == LUA_TSTRING ? (size_t)lua_rawlen(lua, i) : 0;
    }
    if (total > SANDBOX_STRING_BYTES) {
        (void)luaL_error(lua, "text longer than %d bytes", (int)SANDBOX_STRING_BYTES);
    }
    sandbox_charge(lua, total + 16);
    return total;
}

/* ---- strings -------------------------------------------------------------------------------- */

/* The original of a bounded function is its upvalue: it sees the same arguments. */
static int call_original(lua_State *lua)
{
    lua_CFunction original = lua_tocfunction(lua, lua_upvalueindex(1));
    return original(lua);
}

static int text_function(lua_State *lua)
{
    (void)charge_texts(lua);
    return call_original(lua);
}

static int string_rep(lua_State *lua)
{
    size_t len;
    size_t gap;
    (void)luaL_checklstring(lua, 1, &len);
    (void)luaL_optlstring(lua, 3, "", &gap);
    lua_Integer count = luaL_checkinteger(lua, 2);
    if (count > 0 && (len + gap) > SANDBOX_STRING_BYTES / (size_t)count) {
        return luaL_error(lua, "text longer than %d bytes", (int)SANDBOX_STRING_BYTES);
    }
    sandbox_charge(lua, count > 0 ? (len + gap) * (size_t)count : 0);
    return call_original(lua);
}

static int string_format(lua_State *lua)
{
    size_t len;
    (void)luaL_checklstring(lua, 1, &len);
    if (len > FORMAT_MAX) {
        return luaL_error(lua, "format longer than %d bytes", (int)FORMAT_MAX);
    }
    return text_function(lua);
}

static int string_glob(lua_State *lua)
{
    struct slice pattern = bridge_text(lua, 1);
    struct slice text = bridge_text(lua, 2);
    if (pattern.len > GLOB_MAX || text.len > GLOB_MAX) {
        return luaL_error(lua, "glob takes at most %d bytes", (int)GLOB_MAX);
    }
    size_t work = pattern.len * text.len;
    sandbox_charge(lua, work < text.len ? text.len : work);
    lua_pushboolean(lua, text_glob(pattern, text));
    return 1;
}

static int string_starts(lua_State *lua)
{
    (void)charge_texts(lua);
    struct slice text = bridge_text(lua, 1);
    struct slice start = bridge_text(lua, 2);
    lua_pushboolean(lua, text.len >= start.len && memcmp(text.ptr, start.ptr, start.len) == 0);
    return 1;
}

static int string_ends(lua_State *lua)
{
    (void)charge_texts(lua);
    struct slice text = bridge_text(lua, 1);
    struct slice end = bridge_text(lua, 2);
    lua_pushboolean(lua, text.len >= end.len &&
                             memcmp(text.ptr + text.len - end.len, end.ptr, end.len) == 0);
    return 1;
}

static int string_contains(lua_State *lua)
{
    (void)charge_texts(lua);
    struct slice text = bridge_text(lua, 1);
    struct slice part = bridge_text(lua, 2);
    lua_pushboolean(lua, memmem(text.ptr, text.len, part.ptr, part.len) != NULL);
    return 1;
}

/* ---- tables --------------------------------------------------------------------------------- */

static lua_Integer length_of(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_Unsigned length = lua_rawlen(lua, 1);
    if (length > ITEMS_MAX) {
        (void)luaL_error(lua, "table with more than %d items", ITEMS_MAX);
    }
    return (lua_Integer)length;
}

static void shift(lua_State *lua, lua_Integer from, lua_Integer to, lua_Integer count)
{
    sandbox_charge(lua, (size_t)count * 16);
    bool is_up = to > from;
    for (lua_Integer i = 0; i < count; i++) {
        lua_Integer at = is_up ? count - 1 - i : i;
        lua_rawgeti(lua, 1, from + at);
        lua_rawseti(lua, 1, to + at);
    }
}

static int table_insert(lua_State *lua)
{
    lua_Integer length = length_of(lua);
    lua_Integer at = length + 1;
    if (lua_gettop(lua) == 3) {
        at = luaL_checkinteger(lua, 2);
        luaL_argcheck(lua, at >= 1 && at <= length + 1, 2, "position out of bounds");
        shift(lua, at, at + 1, length + 1 - at);
    } else if (lua_gettop(lua) != 2) {
        return luaL_error(lua, "insert takes a table, perhaps a position, and a value");
    }
    lua_rawseti(lua, 1, at);
    return 0;
}

static int table_remove(lua_State *lua)
{
    lua_Integer length = length_of(lua);
    lua_Integer at = luaL_optinteger(lua, 2, length);
    if (length == 0 && (at == 0 || at == 1)) {
        lua_pushnil(lua);
        return 1;
    }
    luaL_argcheck(lua, at >= 1 && at <= length + 1, 2, "position out of bounds");
    lua_rawgeti(lua, 1, at);
    if (at <= length) {
        shift(lua, at + 1, at, length - at);
        lua_pushnil(lua);
        lua_rawseti(lua, 1, length);
    }
    return 1;
}

static int table_move(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_Integer from = luaL_checkinteger(lua, 2);
    lua_Integer end = luaL_checkinteger(lua, 3);
    lua_Integer to = luaL_checkinteger(lua, 4);
    int target = lua_isnoneornil(lua, 5) ? 1 : 5;
    luaL_checktype(lua, target, LUA_TTABLE);
    const lua_Integer limit = (lua_Integer)1 << 40; /* keeps the sums below in range */
    if (end >= from) {
        luaL_argcheck(lua, from > -limit && end < limit && end - from < ITEMS_MAX, 3,
                      "too many items to move");
        luaL_argcheck(lua, to > -limit && to < limit, 4, "position out of bounds");
        lua_Integer count = end - from + 1;
        sandbox_charge(lua, (size_t)count * 16);
        bool is_up = to > from && to <= end && lua_rawequal(lua, 1, target);
        for (lua_Integer i = 0; i < count; i++) {
            lua_Integer at = is_up ? count - 1 - i : i;
            lua_rawgeti(lua, 1, from + at);
            lua_rawseti(lua, target, to + at);
        }
    }
    lua_pushvalue(lua, target);
    return 1;
}

static int table_concat(lua_State *lua)
{
    lua_Integer last = length_of(lua);
    size_t gap_len;
    const char *gap = luaL_optlstring(lua, 2, "", &gap_len);
    lua_Integer from = luaL_optinteger(lua, 3, 1);
    last = luaL_optinteger(lua, 4, last);
    luaL_argcheck(lua, from > last || (from >= 1 && last <= ITEMS_MAX), 3, "out of bounds");
    lua_settop(lua, 2);
    luaL_Buffer out;
    size_t total = 0;
    luaL_buffinit(lua, &out);
    for (lua_Integer i = from; i <= last; i++) {
        int type = lua_rawgeti(lua, 1, i);
        if (type != LUA_TSTRING && type != LUA_TNUMBER) {
            return luaL_error(lua, "item %d is a %s, not a text", (int)i,
                              lua_typename(lua, type));
        }
        size_t len;
        (void)lua_tolstring(lua, -1, &len);
        total += len + gap_len;
        if (total > SANDBOX_STRING_BYTES + gap_len) {
            return luaL_error(lua, "text longer than %d bytes", (int)SANDBOX_STRING_BYTES);
        }
        sandbox_charge(lua, len + gap_len + 16);
        luaL_addvalue(&out);
        if (i < last) {
            luaL_addlstring(&out, gap, gap_len);
        }
    }
    luaL_pushresult(&out);
    return 1;
}

static int table_unpack(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_Integer from = luaL_optinteger(lua, 2, 1);
    lua_Integer last =
        lua_isnoneornil(lua, 3) ? (lua_Integer)lua_rawlen(lua, 1) : luaL_checkinteger(lua, 3);
    if (from > last) {
        return 0;
    }
    if ((lua_Unsigned)last - (lua_Unsigned)from >= UNPACK_MAX) {
        return luaL_error(lua, "more than %d values to unpack", UNPACK_MAX);
    }
    int count = (int)(last - from) + 1;
    luaL_checkstack(lua, count, "too many values to unpack");
    for (int i = 0; i < count; i++) {
        lua_rawgeti(lua, 1, from + i);
    }
    return count;
}

/* The order of table.sort when none is given. As a function of ours it can declare its work. */
static int less(lua_State *lua)
{
    size_t a = lua_type(lua, 1) == LUA_TSTRING ? (size_t)lua_rawlen(lua, 1) : 0;
    size_t b = lua_type(lua, 2) == LUA_TSTRING ? (size_t)lua_rawlen(lua, 2) : 0;
    sandbox_charge(lua, 32 + (a < b ? a : b));
    lua_pushboolean(lua, lua_compare(lua, 1, 2, LUA_OPLT));
    return 1;
}

static int table_sort(lua_State *lua)
{
    (void)length_of(lua);
    lua_settop(lua, 2);
    if (lua_isnil(lua, 2)) {
        lua_pushcfunction(lua, less);
        lua_replace(lua, 2);
    }
    return call_original(lua);
}

/* ---- putting it together -------------------------------------------------------------------- */

static const luaL_Reg string_functions[] = {
    {"byte", text_function},       {"char", text_function},
    {"len", text_function},        {"lower", text_function},
    {"reverse", text_function},    {"sub", text_function},
    {"upper", text_function},      {"rep", string_rep},
    {"format", string_format},     {"glob", string_glob},
    {"starts", string_starts},     {"ends", string_ends},
    {"contains", string_contains}, {NULL, NULL}};

static const luaL_Reg table_functions[] = {{"concat", table_concat}, {"insert", table_insert},
                                           {"move", table_move},     {"pack", text_function},
                                           {"remove", table_remove}, {"sort", table_sort},
                                           {"unpack", table_unpack}, {NULL, NULL}};

static const luaL_Reg utf8_functions[] = {
    {"char", text_function}, {"len", text_function}, {NULL, NULL}};

/* NULL: the original as it is; none of these takes longer than its arguments are many. */
static const luaL_Reg math_functions[] = {
    {"abs", NULL},        {"ceil", NULL}, {"exp", NULL}, {"floor", NULL}, {"fmod", NULL},
    {"huge", NULL},       {"log", NULL},  {"max", NULL}, {"min", NULL},   {"maxinteger", NULL},
    {"mininteger", NULL}, {"modf", NULL}, {"pi", NULL},  {"sqrt", NULL},  {"tointeger", NULL},
    {"type", NULL},       {"ult", NULL},  {NULL, NULL}};

static const luaL_Reg base_functions[] = {
    {"assert", NULL},   {"error", NULL},    {"ipairs", NULL},
    {"next", NULL},     {"pairs", NULL},    {"pcall", NULL},
    {"select", NULL},   {"type", NULL},     {"tonumber", text_function},
    {"tostring", NULL}, {"_VERSION", NULL}, {NULL, NULL}};

/* Leaves a table of the listed functions of a standard library on the stack. */
static void open_some(lua_State *lua, lua_CFunction open, const luaL_Reg *list)
{
    lua_pushcfunction(lua, open);
    lua_call(lua, 0, 1);
    lua_newtable(lua);
    for (; list->name; list++) {
        lua_getfield(lua, -2, list->name);
        if (list->func) {
            lua_pushcclosure(lua, list->func, 1);
        }
        lua_setfield(lua, -2, list->name);
    }
    lua_remove(lua, -2);
}

int library_open(lua_State *lua)
{
    static const char *const shortcuts[] = {"glob", "starts", "ends", "contains"};
    open_some(lua, luaopen_base, base_functions);
    open_some(lua, luaopen_string, string_functions);
    for (size_t i = 0; i < sizeof shortcuts / sizeof *shortcuts; i++) {
        lua_getfield(lua, -1, shortcuts[i]);
        lua_setfield(lua, -3, shortcuts[i]);
    }
    /* Strings get a metatable without the standard one's patterns and arithmetic. */
    lua_pushliteral(lua, "");
    lua_newtable(lua);
    lua_pushvalue(lua, -3);
    lua_setfield(lua, -2, "__index");
    lua_setmetatable(lua, -2);
    lua_pop(lua, 1);
    lua_setfield(lua, -2, "string");
    open_some(lua, luaopen_table, table_functions);
    lua_setfield(lua, -2, "table");
    open_some(lua, luaopen_math, math_functions);
    lua_setfield(lua, -2, "math");
    open_some(lua, luaopen_utf8, utf8_functions);
    lua_setfield(lua, -2, "utf8");
    bridge_open(lua);
    lua_rawseti(lua, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_pushnil(lua);
    lua_setfield(lua, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    return 0;
}
