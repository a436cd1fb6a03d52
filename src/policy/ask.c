/* SPDX-License-Identifier: MIT */
/* ask.c - one question to the Lua side: in, within its budget, out; and what a failure costs. */
#include "policy/policy_internal.h"

#include "base/log.h"
#include "base/must.h"

static const char *const stage_names[STAGE_COUNT] = {"policy",
                                                     "peer_may",
                                                     "before_call",
                                                     "demo_answer",
                                                     "result of a demo_answer",
                                                     "arguments of an operation",
                                                     "on_failure",
                                                     "after_call",
                                                     "message_for"};

const char *policy_stage_name(enum stage stage)
{
    return stage_names[stage];
}

void policy_push_text(lua_State *lua, struct slice text)
{
    lua_pushlstring(lua, text.ptr ? text.ptr : "", text.len);
}

static int run(lua_State *lua)
{
    struct question *question = lua_touserdata(lua, 1);
    struct policy *policy = lua_touserdata(lua, 2);
    lua_settop(lua, 0);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, policy->entries[question->entry]);
    lua_call(lua, question->push(lua, policy, question), POLICY_RESULTS);
    question->take(lua, policy, question);
    return 0;
}

static void count_failure(struct policy *policy, const struct question *question, int result,
                          const struct err *err)
{
    policy->errors++;
    policy->over_budget += result == -ERR_TIMEOUT;
    log_at(LOG_WARN, "policy", "the policy failed",
           LOG_TEXT("in", policy_stage_name(question->stage)), LOG_TEXT("error", err->text),
           LOG_TEXT("traceback", sandbox_traceback(policy->sandbox)));
}

int policy_ask(struct policy *policy, struct question *question)
{
    lua_State *lua = sandbox_lua(policy->sandbox);
    struct err err;
    must(!policy->question);
    policy->questions++;
    policy->question = question;
    lua_pushcfunction(lua, run);
    lua_pushlightuserdata(lua, question);
    lua_pushlightuserdata(lua, policy);
    int result = sandbox_call_trusted(policy->sandbox, 2, 0, policy->budget_us, &err);
    view_forget_arguments(lua, policy);
    policy->question = NULL;
    if (result) {
        count_failure(policy, question, result, &err);
    }
    return result;
}

int policy_ask_leniently(struct policy *policy, struct question *question)
{
    const unsigned lenient = 1u << STAGE_DEMO_HOOK | 1u << STAGE_DEMO_RESULT |
                             1u << STAGE_ON_FAILURE | 1u << STAGE_MESSAGE_FOR;
    const struct question fresh = *question;
    unsigned skipped = 0;
    int result = policy_ask(policy, question);
    while (result && (lenient & ~skipped & 1u << question->stage)) {
        skipped |= 1u << question->stage;
        *question = fresh;
        question->skipped = skipped;
        result = policy_ask(policy, question);
    }
    return result;
}
