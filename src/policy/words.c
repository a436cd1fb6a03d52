/* SPDX-License-Identifier: MIT */
/* words.c - what people read: the message of a failure, a result as plain text. */
#include "policy/policy_internal.h"

#include "script/bridge.h"
#include "value/pack.h"

#include <ctype.h>

struct word_question {
    struct question question;
    struct slice locale, service, title, value;
    struct failure *failure;
};

static struct word_question *asker(struct question *question)
{
    return question->arg;
}

/* The failure for message_for: a function, because most policies never ask for it. */
static int push_failure(lua_State *lua)
{
    const struct word_question *asked = lua_touserdata(lua, lua_upvalueindex(1));
    lua_createtable(lua, 0, 4);
    lua_pushstring(lua, err_name(asked->failure->code));
    lua_setfield(lua, -2, "code");
    policy_push_text(lua, buf_slice(&asked->failure->message));
    lua_setfield(lua, -2, "message");
    lua_pushboolean(lua, asked->failure->is_retryable);
    lua_setfield(lua, -2, "retryable");
    policy_push_text(lua, asked->service);
    lua_setfield(lua, -2, "service");
    policy_push_text(lua, asked->title);
    lua_setfield(lua, -2, "title");
    return 1;
}

/* The placeholders that details know, by the names they have there. */
static void push_details(lua_State *lua, const struct failure *failure)
{
    static const char *const keys[] = {"tool", "agent", "field", "expected", "received"};
    struct pack cursor = pack_over(buf_slice(&failure->details));
    for (uint32_t i = 0; i < failure->details_count; i++) {
        struct slice key;
        struct slice value;
        if (!pack_next_text(&cursor, &key) || !pack_take(&cursor, &value)) {
            return;
        }
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            struct pack inner = pack_over(value);
            struct slice text;
            if (slice_is(key, keys[k]) && pack_next_text(&inner, &text)) {
                policy_push_text(lua, text);
                lua_setfield(lua, -2, keys[k]);
            }
        }
    }
}

static void push_key(lua_State *lua, enum err_code code)
{
    char key[64];
    size_t len = 0;
    for (const char *name = err_name(code); *name && len < sizeof key; name++) {
        key[len++] = (char)tolower((unsigned char)*name);
    }
    lua_pushlstring(lua, key, len);
}

static int push_message(lua_State *lua, struct policy *policy, struct question *question)
{
    struct word_question *asked = asker(question);
    (void)policy;
    push_key(lua, asked->failure->code);
    policy_push_text(lua, asked->locale);
    lua_createtable(lua, 0, 8);
    policy_push_text(lua, asked->service);
    lua_setfield(lua, -2, "service");
    policy_push_text(lua, asked->title.len ? asked->title : asked->service);
    lua_setfield(lua, -2, "title");
    if (asked->failure->retry_after_ms >= 0) {
        lua_pushinteger(lua, (asked->failure->retry_after_ms + 999) / 1000);
        lua_setfield(lua, -2, "seconds");
    }
    push_details(lua, asked->failure);
    lua_pushlightuserdata(lua, asked);
    lua_pushcclosure(lua, push_failure, 1);
    return 4;
}

static void take_message(lua_State *lua, struct policy *policy, struct question *question)
{
    (void)policy;
    if (lua_type(lua, 1) == LUA_TSTRING) {
        struct slice text;
        text.ptr = lua_tolstring(lua, 1, &text.len);
        failure_tell_user(asker(question)->failure, text);
    }
}

void policy_message(struct policy *policy, struct slice locale, struct slice service,
                    struct slice title, struct failure *failure)
{
    struct word_question asked = {
        .question = {.entry = ENTRY_MESSAGE, .push = push_message, .take = take_message},
        .locale = locale,
        .service = service,
        .title = title,
        .failure = failure};
    asked.question.arg = &asked;
    (void)policy_ask_leniently(policy, &asked.question);
}

static int push_human(lua_State *lua, struct policy *policy, struct question *question)
{
    (void)policy;
    if (!bridge_push(lua, asker(question)->value)) {
        lua_pushnil(lua);
    }
    policy_push_text(lua, asker(question)->locale);
    return 2;
}

static void take_nothing(lua_State *lua, struct policy *policy, struct question *question)
{
    (void)lua;
    (void)policy;
    (void)question;
}

void policy_human_text(struct policy *policy, struct slice locale, struct slice result,
                       struct buf *out)
{
    struct word_question asked = {.question = {.entry = ENTRY_HUMAN,
                                               .push = push_human,
                                               .take = take_nothing,
                                               .out = out},
                                  .locale = locale,
                                  .value = result};
    size_t before = out->len;
    asked.question.arg = &asked;
    if (policy_ask(policy, &asked.question)) {
        out->len =
            before; /* too large for the policy's memory or time: better none than half */
    }
}
