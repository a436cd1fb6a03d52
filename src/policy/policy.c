/* SPDX-License-Identifier: MIT */
/* policy.c - a policy's life: loaded aside, counted while calls use it, collected between turns. */
#include "policy/policy.h"

#include "policy/load.h"

#include <stdio.h>

#define RESULT_BYTES    (64u << 20)
#define ARGUMENTS_BYTES (16u << 20)

/* The collector rests during questions; it steps once this much was allocated since. */
#define COLLECT_BYTES (64u << 10)

/* `is_ours`: only files that come with the program run, and nobody need look at the clock. */
static int run_step(struct policy *policy, lua_CFunction step, bool is_ours, struct err *reterr)
{
    lua_State *lua = sandbox_lua(policy->sandbox);
    int64_t budget_us = policy->budget_us * LOAD_BUDGETS;
    lua_pushcfunction(lua, step);
    lua_pushlightuserdata(lua, policy);
    return (is_ours ? sandbox_call_trusted : sandbox_call)(
        policy->sandbox, 1, 0, budget_us > LOAD_BUDGET_MIN_US ? budget_us : LOAD_BUDGET_MIN_US,
        reterr);
}

/* An error of a script is a fault at the place that its text names. */
static void add_fault(struct loading *loading, const struct err *err, const char *prefix)
{
    char name[128];
    int line;
    const char *text = sandbox_place(err->text, name, sizeof name, &line);
    const char *file = name[0] ? load_file_of(loading, name) : "policy.lua";
    faults_add(loading->faults, file, line, "%s%s", prefix, text);
}

static void add_source_of_operator(struct policy *policy)
{
    struct loading *loading = policy->loading;
    if (loading->options->folder && load_file(loading, "policy.lua") == 0) {
        policy->file = mem_dup(slice_of(loading->sources[0].source.file));
    }
}

static void run_steps(struct policy *policy)
{
    struct loading *loading = policy->loading;
    unsigned before = loading->faults->total;
    struct err err;
    if (run_step(policy, load_open, true, &err)) {
        add_fault(loading, &err, "the policy's runtime does not start: ");
        return;
    }
    add_source_of_operator(policy);
    if (loading->faults->total != before) {
        return;
    }
    if (run_step(policy, load_run, loading->source_count == 0, &err)) {
        add_fault(loading, &err, "");
    }
    if (run_step(policy, load_finish, false, &err)) {
        add_fault(loading, &err, "");
    }
    if (loading->faults->total == before && run_step(policy, load_selftest, false, &err)) {
        add_fault(loading, &err, "selftest: ");
    }
}

static void forget_sources(struct loading *loading)
{
    for (unsigned i = 0; i < loading->source_count; i++) {
        mem_free((char *)loading->sources[i].name);
        source_done(&loading->sources[i].source);
    }
}

static struct policy *new_policy(const struct policy_options *options)
{
    struct policy *policy = mem_new(sizeof *policy);
    policy->references = 1;
    policy->budget_us = options->budget_us;
    policy->locale = mem_dup(slice_of(options->locale ? options->locale : "en"));
    memo_init(&policy->memo);
    map_init(&policy->interned);
    buf_init(&policy->arguments, ARGUMENTS_BYTES);
    buf_init(&policy->mapped, ARGUMENTS_BYTES);
    buf_init(&policy->result, RESULT_BYTES);
    arena_init(&policy->name_arenas[0], 64u << 10);
    arena_init(&policy->name_arenas[1], 64u << 10);
    policy->names = &policy->name_arenas[0];
    policy->sandbox = sandbox_new(options->memory_bytes);
    return policy;
}

/* A full collection while nobody waits; from then on policy_collect does it bit by bit. */
static void settle(struct policy *policy)
{
    lua_State *lua = sandbox_lua(policy->sandbox);
    (void)lua_gc(lua, LUA_GCCOLLECT);
    (void)lua_gc(lua, LUA_GCSTOP);
    policy->settled_bytes = sandbox_memory(policy->sandbox);
}

int policy_load(const struct policy_options *options, struct policy **ret,
                struct faults *faults)
{
    struct policy *policy = new_policy(options);
    struct loading *loading = mem_new(sizeof *loading);
    unsigned before = faults->total;
    loading->options = options;
    loading->faults = faults;
    policy->loading = loading;
    if (!policy->sandbox) {
        faults_add(faults, "policy.lua", 0, "limits.policy_bytes is too small for any policy");
    } else {
        run_steps(policy);
    }
    policy->loading = NULL;
    forget_sources(loading);
    mem_free(loading);
    if (faults->total != before) {
        (void)policy_unref(policy);
        return -ERR_VALIDATION_ERROR;
    }
    map_done(&policy->interned);
    settle(policy);
    *ret = policy;
    return 0;
}

struct policy *policy_ref(struct policy *policy)
{
    policy->references++;
    return policy;
}

struct policy *policy_unref(struct policy *policy)
{
    if (!policy || --policy->references) {
        return NULL;
    }
    for (unsigned i = 0; i < policy->constant_count; i++) {
        mem_free(policy->constants[i].bytes);
    }
    for (unsigned i = 0; i < policy->schema_count; i++) {
        schema_free(policy->schemas[i]);
    }
    mem_free(policy->constants);
    mem_free(policy->schemas);
    mem_free(policy->demos);
    memo_done(&policy->memo);
    map_done(&policy->interned);
    buf_done(&policy->arguments);
    buf_done(&policy->mapped);
    buf_done(&policy->result);
    arena_done(&policy->name_arenas[0]);
    arena_done(&policy->name_arenas[1]);
    sandbox_free(policy->sandbox);
    mem_free(policy->locale);
    mem_free(policy->file);
    mem_free(policy);
    return NULL;
}

void policy_collect(struct policy *policy)
{
    if (sandbox_memory(policy->sandbox) > policy->settled_bytes + COLLECT_BYTES &&
        lua_gc(sandbox_lua(policy->sandbox), LUA_GCSTEP, 64)) {
        policy->settled_bytes = sandbox_memory(policy->sandbox);
    }
}
