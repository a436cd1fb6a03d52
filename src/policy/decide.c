/* SPDX-License-Identifier: MIT */
/* decide.c - a call's questions: what to do with it, what stands in, what becomes of its result. */
#include "policy/policy_internal.h"

#include "base/must.h"
#include "script/bridge.h"

#include <lauxlib.h>
#include <string.h>

#define ROUNDS_MAX   8u
#define DEMO_WARNING "This is a demo answer: nothing was sent to the service."

/* What a question about a call has at hand besides the call. */
struct call_question {
    struct question question;
    struct policy_decision *decision;
    struct failure *failure;
    int demo;              /* the number of the demo answer that was chosen, or -1 */
    struct slice value;    /* the result that after_call looks at */
    struct failure *ruled; /* what policy says where `failure` must stay as it was */
};

static struct call_question *asker(struct question *question)
{
    return question->arg;
}

static void start(struct policy *policy, struct call_question *asked,
                  const struct policy_call *call)
{
    struct question *question = &asked->question;
    asked->demo = -1;
    question->arg = asked;
    question->call = call;
    question->service = call->service;
    question->tool = call->tool;
    question->arguments = call->arguments.len ? call->arguments : SLICE("\x80");
    question->own_arguments = question->arguments;
    const char *slash = call->service.len || !call->tool.len
                            ? NULL
                            : memchr(call->tool.ptr, '/', call->tool.len);
    if (slash) {
        size_t len = (size_t)(slash - call->tool.ptr);
        question->service = (struct slice){call->tool.ptr, len};
        question->tool = (struct slice){slash + 1, call->tool.len - len - 1};
    }
    if (policy->arguments.len || policy->mapped.len || policy->result.len) {
        buf_trim(&policy->arguments, 64u << 10);
        buf_trim(&policy->mapped, 64u << 10);
        buf_trim(&policy->result, 64u << 10);
    }
    /* By turns, so that the decision of the question before can be handed in again. */
    policy->names = policy->names == &policy->name_arenas[0] ? &policy->name_arenas[1]
                                                             : &policy->name_arenas[0];
    if (policy->names->used) {
        arena_clear(policy->names);
    }
}

/* ---- what the Lua side returned ------------------------------------------------------------------ */

static struct slice text_at(lua_State *lua, int index)
{
    struct slice text = {NULL, 0};
    if (lua_type(lua, index) == LUA_TSTRING) {
        text.ptr = lua_tolstring(lua, index, &text.len);
    }
    return text;
}

static struct slice keep_name(lua_State *lua, struct policy *policy, struct slice name)
{
    if (name.len > POLICY_NAME_BYTES) {
        (void)luaL_error(lua, "a name longer than %d bytes", POLICY_NAME_BYTES);
    }
    struct slice kept = arena_copy(policy->names, name);
    if (!kept.ptr) {
        (void)luaL_error(lua, "no memory for a name");
    }
    return kept;
}

static void take_details(lua_State *lua, int index, struct failure *failure)
{
    if (!lua_istable(lua, index)) {
        return;
    }
    for (lua_Integer i = 1; lua_rawgeti(lua, index, i) == LUA_TSTRING; i += 2) {
        const char *key = lua_tostring(lua, -1);
        struct buf value;
        (void)lua_rawgeti(lua, index, i + 1);
        buf_init(&value, FAILURE_DETAILS_BYTES);
        if (!bridge_to_pack(lua, -1, &value, NULL)) {
            failure_detail_pack(failure, key, buf_slice(&value));
        }
        buf_done(&value);
        lua_pop(lua, 2);
    }
}

/* FAIL: code, message, suggestion, details. */
static void take_failure(lua_State *lua, struct policy_decision *decision,
                         struct failure *failure)
{
    lua_Integer code = lua_tointeger(lua, 2);
    struct slice message = text_at(lua, 3);
    struct slice suggestion = text_at(lua, 4);
    must(code > ERR_NONE && code < ERR_COUNT);
    decision->verdict = POLICY_FAIL;
    failure_set(failure, (enum err_code)code, "%.*s", SLICE_ARG(message));
    if (suggestion.len) {
        failure_suggest(failure, "%.*s", SLICE_ARG(suggestion));
    }
    take_details(lua, 5, failure);
}

/* CALL and DEMO: service, tool, demo's number, target, is_operation, is_idempotent. */
static void take_target(lua_State *lua, struct policy *policy, struct question *question,
                        struct policy_decision *decision)
{
    decision->service = keep_name(lua, policy, text_at(lua, 2));
    decision->tool = keep_name(lua, policy, text_at(lua, 3));
    decision->target = (unsigned)lua_tointeger(lua, 5);
    decision->is_operation = lua_toboolean(lua, 6);
    decision->is_idempotent = lua_toboolean(lua, 7);
    decision->has_arguments = question->has_arguments;
    decision->arguments =
        question->has_arguments ? question->arguments : (struct slice){NULL, 0};
}

static void invalid(const struct policy *policy, lua_Integer schema,
                    const struct question *question, struct policy_decision *decision,
                    struct failure *failure)
{
    must(schema >= 0 && (lua_Unsigned)schema < policy->schema_count);
    decision->verdict = POLICY_FAIL;
    policy_explain(policy->schemas[schema], question->arguments, failure);
    if (question->service.len) {
        failure_detail_str(failure, "service", question->service);
    }
    failure_detail_str(failure, "tool", question->tool);
}

/* A demo answer that was made at load is ready as bytes; only the arguments are still checked. */
static void give_demo(const struct policy *policy, const struct question *question, int number,
                      struct policy_decision *decision, struct failure *failure)
{
    must(number >= 0 && (unsigned)number < policy->demo_count);
    const struct demo *demo = &policy->demos[number];
    if (!schema_accepts(policy->schemas[demo->schema], question->arguments)) {
        invalid(policy, demo->schema, question, decision, failure);
        return;
    }
    const struct constant *constant = &policy->constants[demo->result];
    decision->result = (struct slice){constant->bytes, constant->len};
    decision->verdict = POLICY_DEMO_ANSWER;
    decision->warning = SLICE(DEMO_WARNING);
}

static void take_demo(lua_State *lua, struct policy *policy, struct question *question,
                      struct policy_decision *decision, struct failure *failure)
{
    take_target(lua, policy, question, decision);
    if (lua_isinteger(lua, 4)) {
        asker(question)->demo = (int)lua_tointeger(lua, 4);
        give_demo(policy, question, asker(question)->demo, decision, failure);
        return;
    }
    decision->result = question->result;
    decision->verdict = POLICY_DEMO_ANSWER;
    decision->warning = SLICE(DEMO_WARNING);
}

static void take_decision(lua_State *lua, struct policy *policy, struct question *question)
{
    struct policy_decision *decision = asker(question)->decision;
    struct failure *failure = asker(question)->failure;
    must(lua_isinteger(lua, 1));
    switch ((enum ruling)lua_tointeger(lua, 1)) {
    case RULING_CALL:
        take_target(lua, policy, question, decision);
        decision->verdict = POLICY_CALL;
        return;
    case RULING_DEMO:
        take_demo(lua, policy, question, decision, failure);
        return;
    case RULING_ANSWER:
        decision->verdict = POLICY_ANSWER;
        decision->service = keep_name(lua, policy, question->service);
        decision->tool = keep_name(lua, policy, question->tool);
        decision->result = question->result;
        return;
    case RULING_FAIL:
        take_failure(lua, decision, failure);
        return;
    case RULING_INVALID:
        invalid(policy, lua_tointeger(lua, 2), question, decision, failure);
        return;
    }
}

/* ---- policy_decide ----------------------------------------------------------------------------- */

/* Three values: the call as hooks see it, who calls, and of which service, if that is named. */
static void push_call(lua_State *lua, const struct policy *policy,
                      const struct question *question)
{
    lua_rawgeti(lua, LUA_REGISTRYINDEX, policy->view);
    policy_push_text(lua, question->call->agent);
    if (question->service.len) {
        policy_push_text(lua, question->service);
    } else {
        lua_pushnil(lua);
    }
}

static int push_decide(lua_State *lua, struct policy *policy, struct question *question)
{
    const struct policy_call *call = question->call;
    push_call(lua, policy, question);
    policy_push_text(lua, question->tool);
    lua_pushinteger(lua, call->demo);
    lua_pushboolean(lua, call->peer->is_trusted);
    return 6;
}

/* Why a question without an answer is a denial: its text is for the log, not for callers. */
static void deny_for_fault(const struct question *question, struct failure *failure)
{
    const char *stage = policy_stage_name(question->stage);
    failure_set(failure, ERR_POLICY_DENIED, "the policy failed (%s), which denies the call",
                stage);
    failure_suggest(failure,
                    "The operator finds the cause in the daemon's log, under `the policy "
                    "failed`.");
    failure_detail_text(failure, "rule", stage);
}

static bool has_long_name(const struct policy_call *call, struct failure *failure)
{
    static const char *const fields[] = {"agent", "user", "service", "tool"};
    const struct slice names[] = {call->agent, call->user, call->service, call->tool};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].len > POLICY_NAME_BYTES) {
            failure_set(failure, ERR_INVALID_REQUEST, "`%s` is longer than %d bytes", fields[i],
                        POLICY_NAME_BYTES);
            failure_detail_text(failure, "field", fields[i]);
            return true;
        }
    }
    return false;
}

/* Whether what is decided may be remembered: see memo.h. */
static bool make_key(const struct policy *policy, const struct question *question,
                     struct memo_key *ret)
{
    const struct policy_call *call = question->call;
    ret->role = memo_role(&policy->memo, call->agent);
    if (!ret->role || !call->peer->is_trusted || !question->service.len) {
        return false;
    }
    ret->service = question->service;
    ret->tool = question->tool;
    ret->mode = call->demo;
    ret->state = host_state(call, question->service);
    return true;
}

/* Decides as before, without Lua. */
static bool recall(struct policy *policy, const struct question *question, struct memo_key *key,
                   struct policy_decision *ret, struct failure *failure)
{
    const struct memo_entry *entry = memo_find(&policy->memo, key);
    if (!entry) {
        return false;
    }
    policy->questions++;
    policy->remembered++;
    ret->service = memo_service(entry);
    ret->tool = memo_tool(entry);
    if (entry->demo < 0) {
        ret->verdict = POLICY_CALL;
    } else {
        give_demo(policy, question, entry->demo, ret, failure);
    }
    return true;
}

static void remember(struct policy *policy, const struct call_question *asked,
                     const struct memo_key *key)
{
    const struct policy_decision *decision = asked->decision;
    bool is_plain = decision->verdict == POLICY_CALL ||
                    (decision->verdict == POLICY_DEMO_ANSWER && asked->demo >= 0);
    if (is_plain && slice_equal(decision->service, key->service) &&
        slice_equal(decision->tool, key->tool)) {
        memo_keep(&policy->memo, key, asked->demo);
    }
}

void policy_decide(struct policy *policy, const struct policy_call *call,
                   struct policy_decision *ret, struct failure *failure)
{
    struct call_question asked = {
        .question = {.entry = ENTRY_DECIDE, .push = push_decide, .take = take_decision},
        .decision = ret,
        .failure = failure};
    struct memo_key key;
    *ret = (struct policy_decision){.verdict = POLICY_FAIL};
    if (has_long_name(call, failure)) {
        return;
    }
    start(policy, &asked, call);
    bool has_key = make_key(policy, &asked.question, &key);
    if (has_key && recall(policy, &asked.question, &key, ret, failure)) {
        return;
    }
    if (policy_ask_leniently(policy, &asked.question)) {
        *ret = (struct policy_decision){.verdict = POLICY_FAIL};
        deny_for_fault(&asked.question, failure);
    } else if (has_key) {
        remember(policy, &asked, &key);
    }
}

/* ---- policy_on_failure ------------------------------------------------------------------------- */

/* The failure as a table, made only if a hook asks: it is this closure's upvalue. */
static int push_failure(lua_State *lua)
{
    const struct failure *failure = lua_touserdata(lua, lua_upvalueindex(1));
    lua_createtable(lua, 0, 5);
    lua_pushstring(lua, err_name(failure->code));
    lua_setfield(lua, -2, "code");
    policy_push_text(lua, buf_slice(&failure->message));
    lua_setfield(lua, -2, "message");
    lua_pushboolean(lua, failure->is_retryable);
    lua_setfield(lua, -2, "retryable");
    policy_push_text(lua, *(const struct slice *)lua_touserdata(lua, lua_upvalueindex(2)));
    lua_setfield(lua, -2, "service");
    policy_push_text(lua, *(const struct slice *)lua_touserdata(lua, lua_upvalueindex(3)));
    lua_setfield(lua, -2, "tool");
    return 1;
}

static int push_on_failure(lua_State *lua, struct policy *policy, struct question *question)
{
    struct policy_decision *decision = asker(question)->decision;
    const struct policy_call *call = question->call;
    push_call(lua, policy, question);
    policy_push_text(lua, decision->service);
    policy_push_text(lua, decision->tool);
    if (decision->is_operation) {
        policy_push_text(lua, question->tool);
    } else {
        lua_pushnil(lua);
    }
    lua_pushinteger(lua, decision->target);
    lua_pushinteger(lua, asker(question)->failure->code);
    lua_pushinteger(lua, call->demo);
    lua_pushlightuserdata(lua, asker(question)->failure);
    lua_pushlightuserdata(lua, &decision->service);
    lua_pushlightuserdata(lua, &decision->tool);
    lua_pushcclosure(lua, push_failure, 3);
    return 10;
}

/* No ruling, or FAIL (give_up), leaves the failure as it is; so does a stand-in whose arguments
 * do not fit: what the caller must know is why the first one failed. */
static void take_stand_in(lua_State *lua, struct policy *policy, struct question *question)
{
    struct policy_decision *decision = asker(question)->decision;
    lua_Integer ruling = lua_isinteger(lua, 1) ? lua_tointeger(lua, 1) : RULING_FAIL;
    decision->verdict = POLICY_FAIL;
    if (ruling == RULING_CALL) {
        take_target(lua, policy, question, decision);
        decision->verdict = POLICY_CALL;
    } else if (ruling == RULING_DEMO) {
        take_demo(lua, policy, question, decision, asker(question)->ruled);
    } else if (ruling == RULING_ANSWER) {
        decision->verdict = POLICY_ANSWER;
        decision->result = question->result;
    }
}

/* A stand-in is tried under the same tool's name. That it has no such tool is not what the
 * caller must hear: it asked for another service. */
static void explain_stand_in(const struct question *question,
                             const struct policy_decision *tried, struct failure *failure)
{
    if (failure->code != ERR_NOT_FOUND || tried->is_operation || !question->service.len ||
        slice_equal(question->service, tried->service)) {
        return;
    }
    failure_set(
        failure, ERR_UNAVAILABLE,
        "`%.*s` could not be used, and `%.*s`, which stands in for it, has no tool `%.*s`",
        SLICE_ARG(question->service), SLICE_ARG(tried->service), SLICE_ARG(tried->tool));
    failure_detail_str(failure, "service", question->service);
    failure_detail_str(failure, "tool", tried->tool);
}

void policy_on_failure(struct policy *policy, const struct policy_call *call,
                       struct policy_decision *decision, struct failure *failure)
{
    struct policy_decision tried = *decision;
    struct failure ruled = {.code = ERR_NONE};
    struct call_question asked = {
        .question = {.entry = ENTRY_ON_FAILURE, .push = push_on_failure, .take = take_stand_in},
        .decision = &tried,
        .failure = failure,
        .ruled = &ruled};
    start(policy, &asked, call);
    /* A later target's function is given what the caller sent, not what an earlier one made. */
    tried.has_arguments = false;
    tried.warning = tried.result = tried.arguments = (struct slice){NULL, 0};
    bool is_over = tried.target >= ROUNDS_MAX || tried.service.len > POLICY_NAME_BYTES ||
                   tried.tool.len > POLICY_NAME_BYTES;
    if (is_over || policy_ask_leniently(policy, &asked.question)) {
        tried.verdict = POLICY_FAIL;
    }
    if (tried.verdict == POLICY_FAIL) {
        explain_stand_in(&asked.question, decision, failure);
        decision->verdict = POLICY_FAIL;
    } else {
        *decision = tried;
    }
    failure_done(&ruled);
}

/* ---- policy_after_call ----------------------------------------------------------------------------- */

bool policy_has_after_call(const struct policy *policy)
{
    return policy->has_after_call;
}

static int push_after_call(lua_State *lua, struct policy *policy, struct question *question)
{
    lua_rawgeti(lua, LUA_REGISTRYINDEX, policy->view);
    if (!bridge_push(lua, asker(question)->value)) {
        lua_pushnil(lua);
    }
    return 2;
}

static void take_after_call(lua_State *lua, struct policy *policy, struct question *question)
{
    (void)policy;
    struct policy_decision *decision = asker(question)->decision;
    if (lua_isinteger(lua, 1) && lua_tointeger(lua, 1) == RULING_ANSWER) {
        decision->verdict = POLICY_ANSWER;
        decision->result = question->result;
    } else if (lua_isinteger(lua, 1)) {
        take_failure(lua, decision, asker(question)->failure);
    }
}

void policy_after_call(struct policy *policy, const struct policy_call *call,
                       struct policy_decision *decision, struct slice result,
                       struct failure *failure)
{
    struct call_question asked = {.question = {.entry = ENTRY_AFTER_CALL,
                                               .push = push_after_call,
                                               .take = take_after_call},
                                  .decision = decision,
                                  .failure = failure,
                                  .value = result};
    start(policy, &asked, call);
    if (policy->has_after_call) {
        (void)policy_ask(policy, &asked.question);
    }
}
