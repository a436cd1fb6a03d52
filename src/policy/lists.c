/* SPDX-License-Identifier: MIT */
/* lists.c - the smaller questions: who may see what, agents and tools as lists, peers. */
#include "policy/policy_internal.h"

#include "script/bridge.h"
#include "value/pack.h"

struct list_question {
    struct question question;
    struct slice texts[3]; /* the arguments of the entry, as many as have a pointer */
    lua_Integer number;    /* an argument, or the answer */
    struct slice near;
};

static struct list_question *asker(struct question *question)
{
    return question->arg;
}

static int push_texts(lua_State *lua, struct policy *policy, struct question *question)
{
    (void)policy;
    int count = 0;
    for (; count < 3 && asker(question)->texts[count].ptr; count++) {
        policy_push_text(lua, asker(question)->texts[count]);
    }
    return count;
}

static void take_yes(lua_State *lua, struct policy *policy, struct question *question)
{
    (void)policy;
    question->yes = lua_toboolean(lua, 1);
}

static void take_number(lua_State *lua, struct policy *policy, struct question *question)
{
    (void)policy;
    asker(question)->number = lua_tointeger(lua, 1);
}

static struct slice given(struct slice text)
{
    return text.ptr ? text : SLICE("");
}

static bool ask_yes(struct policy *policy, struct list_question *asked)
{
    asked->question.arg = asked;
    asked->question.take = take_yes;
    if (!asked->question.push) {
        asked->question.push = push_texts;
    }
    return !policy_ask(policy, &asked->question) && asked->question.yes;
}

bool policy_has_agent(const struct policy *policy, struct slice agent)
{
    struct list_question asked = {.question.entry = ENTRY_HAS_AGENT, .texts = {given(agent)}};
    return ask_yes((struct policy *)policy, &asked); /* asking changes nothing that is seen */
}

bool policy_may_use_service(struct policy *policy, struct slice agent, struct slice service)
{
    struct list_question asked = {.question.entry = ENTRY_MAY_USE_SERVICE,
                                  .texts = {given(agent), given(service)}};
    return ask_yes(policy, &asked);
}

bool policy_may_use_tool(struct policy *policy, struct slice agent, struct slice service,
                         struct slice tool)
{
    struct list_question asked = {.question.entry = ENTRY_MAY_USE_TOOL,
                                  .texts = {given(agent), given(service), given(tool)}};
    return ask_yes(policy, &asked);
}

static int push_would_demo(lua_State *lua, struct policy *policy, struct question *question)
{
    (void)policy;
    policy_push_text(lua, asker(question)->texts[0]);
    lua_pushinteger(lua, asker(question)->number);
    return 2;
}

bool policy_would_demo(struct policy *policy, struct slice agent, enum policy_service state)
{
    struct list_question asked = {
        .question = {.entry = ENTRY_WOULD_DEMO, .push = push_would_demo},
        .texts = {given(agent)},
        .number = state};
    return ask_yes(policy, &asked);
}

static int push_peer_may(lua_State *lua, struct policy *policy, struct question *question)
{
    lua_rawgeti(lua, LUA_REGISTRYINDEX, policy->view);
    policy_push_text(lua, question->call->agent);
    return 2;
}

bool policy_peer_may(struct policy *policy, const struct policy_peer *peer, struct slice agent,
                     struct slice user)
{
    if (!policy->has_peer_may) {
        return peer->is_trusted;
    }
    struct policy_call call = {.peer = peer, .agent = agent, .user = user};
    struct list_question asked = {
        .question = {.entry = ENTRY_PEER_MAY, .call = &call, .push = push_peer_may}};
    return ask_yes(policy, &asked);
}

/* ---- agents ------------------------------------------------------------------------------------- */

static int push_agent(lua_State *lua, struct policy *policy, struct question *question)
{
    (void)policy;
    if (asker(question)->number) {
        lua_pushinteger(lua, asker(question)->number);
    } else {
        policy_push_text(lua, asker(question)->texts[0]);
    }
    return 1;
}

static void take_agent(lua_State *lua, struct policy *policy, struct question *question)
{
    question->yes = lua_istable(lua, 1) && bridge_to_pack(lua, 1, question->out, NULL) == 0;
    if (lua_type(lua, 2) == LUA_TSTRING) {
        struct slice near;
        near.ptr = lua_tolstring(lua, 2, &near.len);
        arena_clear(policy->names);
        asker(question)->near = arena_copy(policy->names, near);
    }
}

static bool describe(struct policy *policy, struct list_question *asked, struct buf *out)
{
    asked->question.arg = asked;
    asked->question.entry = ENTRY_DESCRIBE_AGENT;
    asked->question.push = push_agent;
    asked->question.take = take_agent;
    asked->question.out = out;
    return !policy_ask(policy, &asked->question) && asked->question.yes;
}

void policy_put_agents(struct policy *policy, struct buf *out)
{
    size_t opened = pack_open(out);
    uint32_t count = 0;
    for (uint64_t i = 1; i <= policy->agents; i++) {
        struct list_question asked = {.number = (lua_Integer)i};
        count += describe(policy, &asked, out);
    }
    pack_close_array(out, opened, count);
}

bool policy_put_agent(struct policy *policy, struct slice name, struct buf *out,
                      struct slice *ret_near)
{
    struct list_question asked = {.texts = {given(name)}};
    bool is_known = describe(policy, &asked, out);
    if (!is_known && ret_near) {
        *ret_near = asked.near;
    }
    return is_known;
}

static uint32_t put_definitions(struct policy *policy, enum policy_entry entry,
                                struct slice name, struct buf *out)
{
    struct list_question asked = {
        .question = {.entry = entry, .push = push_texts, .take = take_number, .out = out},
        .texts = {given(name)}};
    asked.question.arg = &asked;
    return policy_ask(policy, &asked.question) ? 0 : (uint32_t)asked.number;
}

uint32_t policy_put_operations(struct policy *policy, struct slice agent, struct buf *out)
{
    return put_definitions(policy, ENTRY_PUT_OPERATIONS, agent, out);
}

uint32_t policy_put_demo_tools(struct policy *policy, struct slice service, struct buf *out)
{
    return put_definitions(policy, ENTRY_PUT_DEMO_TOOLS, service, out);
}

void policy_put_info(const struct policy *policy, struct buf *out)
{
    pack_put_map(out, 8);
    pack_put_text(out, "file");
    if (policy->file) {
        pack_put_text(out, policy->file);
    } else {
        pack_put_nil(out);
    }
    pack_put_key_int(out, "agents", (int64_t)policy->agents);
    pack_put_key_int(out, "operations", (int64_t)policy->operations);
    pack_put_key_int(
        out, "memory_bytes",
        (int64_t)(sandbox_memory(policy->sandbox) + policy->kept_bytes + policy->memo.bytes));
    pack_put_key_int(out, "questions", (int64_t)policy->questions);
    pack_put_key_int(out, "remembered", (int64_t)policy->remembered);
    pack_put_key_int(out, "errors", (int64_t)policy->errors);
    pack_put_key_int(out, "over_budget", (int64_t)policy->over_budget);
}
