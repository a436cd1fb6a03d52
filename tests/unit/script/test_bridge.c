/* SPDX-License-Identifier: MIT */
/* test_bridge.c - values to Lua and back: equal where they can be, refused where they cannot. */
#include "script/bridge.h"

#include "base/mem.h"
#include "script/sandbox.h"
#include "value/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct sandbox *sandbox;
static struct buf out;

static int set_up(void **state)
{
    (void)state;
    sandbox = sandbox_new(32u << 20);
    buf_init(&out, 8u << 20);
    return 0;
}

static int take_down(void **state)
{
    (void)state;
    sandbox_free(sandbox);
    buf_done(&out);
    return 0;
}

/* What a script returns, as MessagePack in `out`. */
static int evaluate(const char *script, struct err *reterr)
{
    lua_State *lua = sandbox_lua(sandbox);
    buf_clear(&out);
    assert_int_equal(sandbox_load(sandbox, slice_of(script), "=t", NULL), 0);
    assert_int_equal(sandbox_call(sandbox, 0, 1, 5000000, NULL), 0);
    int result = bridge_to_pack(lua, -1, &out, reterr);
    assert_int_equal(lua_gettop(lua), 1);
    lua_pop(lua, 1);
    return result;
}

static void expect_bytes(const char *script, const char *bytes, size_t len)
{
    struct err err = {0};
    if (evaluate(script, &err)) {
        fail_msg("%s: %s", script, err.text);
    }
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data, bytes, len);
}

#define EXPECT(script, bytes) expect_bytes("return " script, bytes, sizeof(bytes) - 1)

static void values_become_messagepack(void **state)
{
    (void)state;
    EXPECT("nil", "\xc0");
    EXPECT("null", "\xc0");
    EXPECT("true", "\xc3");
    EXPECT("-1", "\xff");
    EXPECT("70000", "\xce\x00\x01\x11\x70");
    EXPECT("1.5", "\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00");
    EXPECT("3.0", "\xcb\x40\x08\x00\x00\x00\x00\x00\x00");
    EXPECT("'\xc3\xa1'", "\xa2\xc3\xa1");
    EXPECT("{}", "\x80");
    EXPECT("array{}", "\x90");
    EXPECT("{ 1, 'x', null }", "\x93\x01\xa1x\xc0");
    EXPECT("{ b = 1, a = { 2 }, ab = array{} }", "\x83\xa1"
                                                 "a\x91\x02\xa2"
                                                 "ab\x90\xa1"
                                                 "b\x01");
}

static void order_does_not_depend_on_how_a_table_was_made(void **state)
{
    (void)state;
    expect_bytes("local t = {} for i = 40, 1, -1 do t['k' .. i % 10] = i % 10 end return t",
                 "\x8a\xa2k0\x00\xa2k1\x01\xa2k2\x02\xa2k3\x03\xa2k4\x04\xa2k5\x05\xa2k6\x06"
                 "\xa2k7\x07\xa2k8\x08\xa2k9\x09",
                 41);
    assert_int_equal(
        evaluate("local t = {} for i = 1, 1000 do t['k' .. i] = { i } end return t", NULL), 0);
    struct buf first = out;
    buf_init(&out, 8u << 20);
    assert_int_equal(
        evaluate("local t = {} for i = 1000, 1, -1 do t['k' .. i] = { i } end return t", NULL),
        0);
    assert_int_equal(out.len, first.len);
    assert_memory_equal(out.data, first.data, first.len);
    buf_done(&first);
}

static void expect_refusal(const char *script, const char *part)
{
    struct err err = {0};
    assert_int_equal(evaluate(script, &err), -ERR_VALIDATION_ERROR);
    assert_int_equal(out.len, 0);
    if (!strstr(err.text, part)) {
        fail_msg("%s: %s", script, err.text);
    }
}

static void what_has_no_form_is_refused_with_its_place(void **state)
{
    (void)state;
    expect_refusal("return { content = { { text = print or error } } }",
                   "a function at content[1].text");
    expect_refusal("return '\\xff'", "not UTF-8");
    expect_refusal("return { ['\\xff'] = 1 }", "not UTF-8");
    expect_refusal("return 1 / 0", "not finite");
    expect_refusal("return 0 / 0", "not finite");
    expect_refusal("return { 1, x = 2 }", "neither texts nor 1..n");
    expect_refusal("return { [1] = 1, [3] = 3 }", "neither texts nor 1..n");
    expect_refusal("return { [0] = 1 }", "neither texts nor 1..n");
    expect_refusal("return { [1.5] = 1 }", "neither texts nor 1..n");
    expect_refusal("return { [true] = 1 }", "neither texts nor 1..n");
    expect_refusal("local t = {} t.t = t return t", "in itself");
    expect_refusal("local t = {} for i = 1, 40 do t = { t } end return t", "too deeply");
    expect_refusal("local t = {} for i = 1, 30 do t = { t, t } end return t",
                   "too many values");
    expect_refusal("local t = {} for i = 1, 200001 do t[i] = i end return t",
                   "too many values");
}

static void a_full_buffer_is_an_error(void **state)
{
    (void)state;
    struct buf small;
    buf_init(&small, 16);
    struct err err;
    lua_State *lua = sandbox_lua(sandbox);
    assert_int_equal(sandbox_load(sandbox, SLICE("return { ('x'):rep(100) }"), "=t", NULL), 0);
    assert_int_equal(sandbox_call(sandbox, 0, 1, 5000000, NULL), 0);
    assert_int_equal(bridge_to_pack(lua, -1, &small, &err), -ERR_VALIDATION_ERROR);
    assert_int_equal(small.len, 0);
    lua_pop(lua, 1);
    buf_done(&small);
}

static void running_out_of_memory_is_an_error(void **state)
{
    (void)state;
    lua_State *lua = sandbox_lua(sandbox);
    assert_int_equal(
        sandbox_load(
            sandbox,
            SLICE("local t = {} for i = 1, 50 do t['k' .. i] = { a = i, b = 2 } end return t"),
            "=t", NULL),
        0);
    assert_int_equal(sandbox_call(sandbox, 0, 1, 5000000, NULL), 0);
    int result = -1;
    unsigned failures = 0;
    for (unsigned long nth = 1; result; nth++) {
        struct buf fresh;
        buf_init(&fresh, 1u << 20);
        mem_fail_at(nth);
        result = bridge_to_pack(lua, -1, &fresh, NULL);
        mem_fail_at(0);
        failures += result != 0;
        buf_done(&fresh);
    }
    assert_in_range(failures, 2, 100);
    lua_pop(lua, 1);
}

/* ---- the way in ------------------------------------------------------------------------------ */

struct visit {
    struct slice value;
    bool is_pushed;
    int left;
    struct buf *back;
};

static int visit(lua_State *lua)
{
    struct visit *visit = lua_touserdata(lua, 1);
    visit->is_pushed = bridge_push(lua, visit->value);
    visit->left = lua_gettop(lua) - 1;
    if (visit->is_pushed) {
        assert_int_equal(bridge_to_pack(lua, -1, visit->back, NULL), 0);
    }
    return 0;
}

static struct visit push(struct slice value)
{
    struct visit told = {value, false, 0, &out};
    buf_clear(&out);
    lua_State *lua = sandbox_lua(sandbox);
    lua_pushcfunction(lua, visit);
    lua_pushlightuserdata(lua, &told);
    assert_int_equal(sandbox_call(sandbox, 1, 0, 5000000, NULL), 0);
    return told;
}

static void expect_same(struct slice value)
{
    struct visit told = push(value);
    assert_true(told.is_pushed);
    assert_int_equal(told.left, 1);
    assert_int_equal(out.len, value.len);
    assert_memory_equal(out.data, value.ptr, value.len);
}

static void what_comes_in_goes_out_the_same(void **state)
{
    (void)state;
    expect_same(SLICE("\xc0"));
    expect_same(SLICE("\x80"));
    expect_same(SLICE("\x90"));
    expect_same(SLICE("\x93\x01\xc0\x90"));
    expect_same(SLICE("\x82\xa1"
                      "a\xc0\xa1"
                      "b\x92\x80\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"));
    expect_same(SLICE("\xcf\xff\xff\xff\xff\xff\xff\xff\xff")); /* beyond int64 */
    expect_same(SLICE("\xd3\x80\x00\x00\x00\x00\x00\x00\x00")); /* int64's least */
    expect_same(SLICE("\xc4\x02\x00\xff"));                     /* bin */
    expect_same(SLICE("\xc7\x0c\x01"
                      "123456789012")); /* a big number */
}

static void what_is_no_value_is_not_pushed(void **state)
{
    (void)state;
    static const struct slice bad[] = {
        {"", 0},
        {"\xc1", 1},
        {"\x92\x01", 2},
        {"\xdd\xff\xff\xff\xff", 5}, /* claims 4 billion elements */
        {"\xdf\xff\xff\xff\xff", 5},
        {"\x81\x01\x02", 3}, /* a key that is no text */
        {"\xa5xx", 3},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct visit told = push(bad[i]);
        assert_false(told.is_pushed);
        assert_int_equal(told.left, 0);
    }
    char deep[BRIDGE_DEPTH_MAX + 3];
    memset(deep, '\x91', sizeof deep);
    deep[sizeof deep - 1] = '\xc0';
    assert_false(push((struct slice){deep, sizeof deep}).is_pushed);
}

static void scripts_cannot_look_into_opaque_values(void **state)
{
    (void)state;
    EXPECT("type(null) == 'userdata' and null == null", "\xc3");
    EXPECT("pcall(function() return null.x end)", "\xc2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_become_messagepack, set_up, take_down),
        cmocka_unit_test_setup_teardown(order_does_not_depend_on_how_a_table_was_made, set_up,
                                        take_down),
        cmocka_unit_test_setup_teardown(what_has_no_form_is_refused_with_its_place, set_up,
                                        take_down),
        cmocka_unit_test_setup_teardown(a_full_buffer_is_an_error, set_up, take_down),
        cmocka_unit_test_setup_teardown(running_out_of_memory_is_an_error, set_up, take_down),
        cmocka_unit_test_setup_teardown(what_comes_in_goes_out_the_same, set_up, take_down),
        cmocka_unit_test_setup_teardown(what_is_no_value_is_not_pushed, set_up, take_down),
        cmocka_unit_test_setup_teardown(scripts_cannot_look_into_opaque_values, set_up,
                                        take_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
