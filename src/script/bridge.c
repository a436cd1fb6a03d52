/* SPDX-License-Identifier: MIT */
/* bridge.c - Lua values as MessagePack and back. */
#include "script/bridge.h"

#include "base/mem.h"
#include "base/text.h"
#include "value/pack.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Registry keys of the two metatables: their addresses are unique. */
static const char array_key;
static const char opaque_key;

/* ---- Lua to MessagePack ---------------------------------------------------------------------- */

/* Where the writer is, for messages: a chain on the C stack. */
struct place {
    const struct place *outer;
    struct slice key; /* ptr NULL: an index */
    lua_Integer index;
    unsigned depth;
};

struct writer {
    lua_State *lua;
    struct buf *out;
    uint32_t items;
    struct err *reterr;
};

static void put_place(struct buf *text, const struct place *place)
{
    if (!place || !place->outer) {
        return;
    }
    put_place(text, place->outer);
    if (place->key.ptr) {
        buf_printf(text, "%s%.*s", text->len ? "." : "",
                   place->key.len > 60 ? 60 : (int)place->key.len, place->key.ptr);
    } else {
        buf_printf(text, "[%lld]", (long long)place->index);
    }
}

static int refuse(const struct writer *writer, const struct place *place, const char *what)
{
    struct buf text;
    buf_init(&text, 200);
    put_place(&text, place);
    const char *where = buf_text(&text);
    int result = err_set(writer->reterr, ERR_VALIDATION_ERROR, *where ? "%s at %s" : "%s%s",
                         what, where);
    buf_done(&text);
    return result;
}

static int write_value(struct writer *writer, int index, const struct place *place);

static bool has_metatable(lua_State *lua, int index, const void *key)
{
    if (!lua_getmetatable(lua, index)) {
        return false;
    }
    lua_rawgetp(lua, LUA_REGISTRYINDEX, key);
    bool is_it = lua_rawequal(lua, -1, -2);
    lua_pop(lua, 2);
    return is_it;
}

bool bridge_is_array(lua_State *lua, int index)
{
    return lua_type(lua, index) == LUA_TTABLE && has_metatable(lua, index, &array_key);
}

static int write_array(struct writer *writer, int index, lua_Integer count,
                       const struct place *place)
{
    pack_put_array(writer->out, (uint32_t)count);
    for (lua_Integer i = 1; i <= count; i++) {
        struct place inner = {place, {NULL, 0}, i, place->depth + 1};
        lua_rawgeti(writer->lua, index, i);
        int result = write_value(writer, lua_gettop(writer->lua), &inner);
        lua_pop(writer->lua, 1);
        if (result) {
            return result;
        }
    }
    return 0;
}

/* ---- maps: written in the order of lua_next, then put into the order of their keys ---------- */

struct entry {
    struct slice key; /* the table holds it meanwhile */
    size_t at, len;   /* of key and value in `out`, from the first entry on */
};

#define ENTRIES_ON_STACK 16

static int by_key(const void *a, const void *b)
{
    const struct slice *left = &((const struct entry *)a)->key;
    const struct slice *right = &((const struct entry *)b)->key;
    size_t len = left->len < right->len ? left->len : right->len;
    int order = memcmp(left->ptr, right->ptr, len);
    return order ? order : (left->len > right->len) - (left->len < right->len);
}

static bool is_sorted(const struct entry *entries, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        if (by_key(&entries[i - 1], &entries[i]) > 0) {
            return false;
        }
    }
    return true;
}

static int sort_entries(struct writer *writer, struct entry *entries, uint32_t count,
                        size_t start)
{
    size_t len = writer->out->len - start;
    if (writer->out->overflow || is_sorted(entries, count)) {
        return 0;
    }
    char *copy = mem_try(len);
    if (!copy) {
        return err_set(writer->reterr, ERR_OVERLOADED, "no memory for a map");
    }
    memcpy(copy, writer->out->data + start, len);
    qsort(entries, count, sizeof *entries, by_key);
    writer->out->len = start;
    for (uint32_t i = 0; i < count; i++) {
        buf_put(writer->out, copy + entries[i].at, entries[i].len);
    }
    mem_free(copy);
    return 0;
}

static int write_entries(struct writer *writer, int index, struct entry *entries,
                         uint32_t count, const struct place *place)
{
    lua_State *lua = writer->lua;
    struct entry *entry = entries;
    pack_put_map(writer->out, count);
    size_t start = writer->out->len;
    lua_pushnil(lua);
    for (; lua_next(lua, index); entry++) {
        entry->key.ptr = lua_tolstring(lua, -2, &entry->key.len);
        entry->at = writer->out->len - start;
        struct place inner = {place, entry->key, 0, place->depth + 1};
        int result = 0;
        if (!text_is_utf8(entry->key)) {
            result = refuse(writer, place, "a key that is not UTF-8");
        } else {
            pack_put_str(writer->out, entry->key);
            result = write_value(writer, lua_gettop(lua), &inner);
        }
        if (result) {
            lua_pop(lua, 2);
            return result;
        }
        entry->len = writer->out->len - start - entry->at;
        lua_pop(lua, 1);
    }
    return sort_entries(writer, entries, count, start);
}

static int write_map(struct writer *writer, int index, uint32_t count,
                     const struct place *place)
{
    struct entry few[ENTRIES_ON_STACK];
    struct entry *entries = few;
    if (count > ENTRIES_ON_STACK) {
        entries = mem_try(count * sizeof *entries);
        if (!entries) {
            return err_set(writer->reterr, ERR_OVERLOADED, "no memory for a map");
        }
    }
    int result = write_entries(writer, index, entries, count, place);
    if (entries != few) {
        mem_free(entries);
    }
    return result;
}

/* A table is an array if its keys are exactly 1..n, a map if all of them are texts. */
static int write_table(struct writer *writer, int index, const struct place *place)
{
    lua_State *lua = writer->lua;
    lua_Integer length = (lua_Integer)lua_rawlen(lua, index);
    uint32_t count = 0;
    uint32_t texts = 0;
    uint32_t positions = 0;
    if (place->depth >= BRIDGE_DEPTH_MAX) {
        return refuse(writer, place, "a table nested too deeply, or in itself,");
    }
    lua_pushnil(lua);
    while (lua_next(lua, index)) {
        lua_pop(lua, 1);
        if (++count > BRIDGE_ITEMS_MAX) {
            lua_pop(lua, 1);
            return refuse(writer, place, "too many values");
        }
        lua_Integer at = lua_isinteger(lua, -1) ? lua_tointeger(lua, -1) : 0;
        texts += lua_type(lua, -1) == LUA_TSTRING;
        positions += at >= 1 && at <= length;
    }
    if (positions == count && (count || has_metatable(lua, index, &array_key))) {
        return write_array(writer, index, (lua_Integer)count, place);
    }
    if (texts == count) {
        return write_map(writer, index, count, place);
    }
    return refuse(writer, place, "a table whose keys are neither texts nor 1..n");
}

static int write_number(struct writer *writer, int index, const struct place *place)
{
    if (lua_isinteger(writer->lua, index)) {
        pack_put_int(writer->out, lua_tointeger(writer->lua, index));
        return 0;
    }
    double number = lua_tonumber(writer->lua, index);
    if (!isfinite(number)) {
        return refuse(writer, place, "a number that is not finite");
    }
    pack_put_float(writer->out, number);
    return 0;
}

static int write_text(struct writer *writer, int index, const struct place *place)
{
    struct slice text;
    text.ptr = lua_tolstring(writer->lua, index, &text.len);
    if (!text_is_utf8(text)) {
        return refuse(writer, place, "a text that is not UTF-8");
    }
    pack_put_str(writer->out, text);
    return 0;
}

static int write_other(struct writer *writer, int index, const struct place *place)
{
    lua_State *lua = writer->lua;
    int type = lua_type(lua, index);
    if (type == LUA_TLIGHTUSERDATA && !lua_touserdata(lua, index)) {
        pack_put_nil(writer->out);
        return 0;
    }
    if (type == LUA_TUSERDATA && has_metatable(lua, index, &opaque_key)) {
        buf_put(writer->out, lua_touserdata(lua, index), (size_t)lua_rawlen(lua, index));
        return 0;
    }
    return refuse(writer, place, type == LUA_TFUNCTION ? "a function" : "an object");
}

static int write_value(struct writer *writer, int index, const struct place *place)
{
    if (++writer->items > BRIDGE_ITEMS_MAX || writer->out->overflow) {
        return refuse(writer, place, "too many values");
    }
    if (!lua_checkstack(writer->lua, 6)) {
        return err_set(writer->reterr, ERR_OVERLOADED, "no room on the Lua stack");
    }
    switch (lua_type(writer->lua, index)) {
    case LUA_TNIL:
        pack_put_nil(writer->out);
        return 0;
    case LUA_TBOOLEAN:
        pack_put_bool(writer->out, lua_toboolean(writer->lua, index));
        return 0;
    case LUA_TNUMBER:
        return write_number(writer, index, place);
    case LUA_TSTRING:
        return write_text(writer, index, place);
    case LUA_TTABLE:
        return write_table(writer, index, place);
    default:
        return write_other(writer, index, place);
    }
}

int bridge_to_pack(lua_State *lua, int index, struct buf *out, struct err *reterr)
{
    struct writer writer = {lua, out, 0, reterr};
    struct place place = {NULL, {NULL, 0}, 0, 0};
    size_t before = out->len;
    int result = write_value(&writer, lua_absindex(lua, index), &place);
    if (!result && out->overflow) {
        result =
            err_set(reterr, ERR_VALIDATION_ERROR, "a value longer than %zu bytes", out->max);
    }
    if (result) {
        out->len = before;
    }
    return result;
}

/* ---- MessagePack to Lua ---------------------------------------------------------------------- */

static void mark(lua_State *lua, const void *key)
{
    lua_rawgetp(lua, LUA_REGISTRYINDEX, key);
    lua_setmetatable(lua, -2);
}

static bool push_value(lua_State *lua, struct pack *cursor, unsigned depth);

static bool push_array(lua_State *lua, struct pack *cursor, uint32_t count, unsigned depth)
{
    /* A header is not believed: each element takes at least a byte. */
    size_t left = (size_t)(cursor->end - cursor->at);
    lua_createtable(lua, count < left ? (int)count : (int)left, 0);
    mark(lua, &array_key);
    for (uint32_t i = 1; i <= count; i++) {
        if (!push_value(lua, cursor, depth + 1)) {
            return false;
        }
        lua_rawseti(lua, -2, (lua_Integer)i);
    }
    return true;
}

static bool push_map(lua_State *lua, struct pack *cursor, uint32_t count, unsigned depth)
{
    size_t left = (size_t)(cursor->end - cursor->at) / 2;
    lua_createtable(lua, 0, count < left ? (int)count : (int)left);
    for (uint32_t i = 0; i < count; i++) {
        struct slice key;
        if (!pack_next_text(cursor, &key)) {
            return false;
        }
        lua_pushlstring(lua, key.ptr, key.len);
        if (!push_value(lua, cursor, depth + 1)) {
            return false;
        }
        lua_rawset(lua, -3);
    }
    return true;
}

static void push_opaque(lua_State *lua, const unsigned char *from, const struct pack *cursor)
{
    size_t len = (size_t)(cursor->at - from);
    memcpy(lua_newuserdatauv(lua, len, 0), from, len);
    mark(lua, &opaque_key);
}

static bool push_value(lua_State *lua, struct pack *cursor, unsigned depth)
{
    const unsigned char *from = cursor->at;
    struct pack_item item;
    if (depth > BRIDGE_DEPTH_MAX || !lua_checkstack(lua, 6) || !pack_next(cursor, &item)) {
        return false;
    }
    switch (item.type) {
    case PACK_NIL:
        lua_pushlightuserdata(lua, NULL);
        return true;
    case PACK_BOOL:
        lua_pushboolean(lua, item.b);
        return true;
    case PACK_INT:
        lua_pushinteger(lua, item.i);
        return true;
    case PACK_FLOAT:
        lua_pushnumber(lua, item.f);
        return true;
    case PACK_STR:
        lua_pushlstring(lua, item.text.ptr, item.text.len);
        return true;
    case PACK_ARRAY:
        return push_array(lua, cursor, item.count, depth);
    case PACK_MAP:
        return push_map(lua, cursor, item.count, depth);
    case PACK_UINT:
        if (item.u <= INT64_MAX) {
            lua_pushinteger(lua, (lua_Integer)item.u);
            return true;
        }
        break;
    default:
        break;
    }
    push_opaque(lua, from, cursor);
    return true;
}

bool bridge_push(lua_State *lua, struct slice value)
{
    struct pack cursor = pack_over(value);
    int top = lua_gettop(lua);
    if (push_value(lua, &cursor, 0)) {
        return true;
    }
    lua_settop(lua, top);
    return false;
}

/* ---- for scripts ------------------------------------------------------------------------------ */

static int array(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_settop(lua, 1);
    mark(lua, &array_key);
    return 1;
}

struct slice bridge_text(lua_State *lua, int index)
{
    struct slice text;
    text.ptr = luaL_checklstring(lua, index, &text.len);
    return text;
}

void bridge_open(lua_State *lua)
{
    lua_newtable(lua);
    lua_rawsetp(lua, LUA_REGISTRYINDEX, &array_key);
    lua_newtable(lua);
    lua_rawsetp(lua, LUA_REGISTRYINDEX, &opaque_key);
    lua_pushcfunction(lua, array);
    lua_setfield(lua, -2, "array");
    lua_pushlightuserdata(lua, NULL);
    lua_setfield(lua, -2, "null");
}
