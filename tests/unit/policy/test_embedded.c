/* SPDX-License-Identifier: MIT */
/* test_embedded.c - the compiled form of each embedded file is that of its text, and only its own Lua's. */
#include "policy/embedded.h"

#include "base/buf.h"

#include <lauxlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int put(lua_State *lua, const void *bytes, size_t len, void *arg)
{
    (void)lua;
    buf_put(arg, bytes, len);
    return 0;
}

static void test_code_is_that_of_the_text(void **state)
{
    unsigned count = 0;
    (void)state;
    assert_string_equal(lua_ident, (const char *)embedded_ident);
    for (const struct embedded *file = embedded_files; file->name; file++, count++) {
        lua_State *lua = luaL_newstate();
        struct buf code;
        char chunk[100];
        buf_init(&code, 1u << 20);
        (void)snprintf(chunk, sizeof chunk, "=%s", file->chunk);
        assert_int_equal(
            luaL_loadbufferx(lua, (const char *)file->text, file->text_len, chunk, "t"),
            LUA_OK);
        assert_int_equal(lua_dump(lua, put, &code, 0), 0);
        assert_int_equal(code.len, file->code_len);
        assert_memory_equal(code.data, file->code, code.len);
        assert_int_equal(
            luaL_loadbufferx(lua, (const char *)file->code, file->code_len, chunk, "b"),
            LUA_OK);
        buf_done(&code);
        lua_close(lua);
    }
    assert_true(count > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_code_is_that_of_the_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
