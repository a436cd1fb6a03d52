/* SPDX-License-Identifier: MIT */
/* load.h - the steps of loading, for policy.c. Those with a lua_State take the policy as a light
 * userdata and run below sandbox_call. */
#ifndef POLICY_LOAD_H
#define POLICY_LOAD_H

#include "policy/policy_internal.h"

/* What a step of loading may take, in budgets of one question; at least a second. */
#define LOAD_BUDGETS       100
#define LOAD_BUDGET_MIN_US 1000000

int load_open(lua_State *lua);
int load_run(lua_State *lua);
int load_finish(lua_State *lua);
int load_selftest(lua_State *lua);

/* Adds a file of the folder to the sources: 0, -ERR_NOT_FOUND, or a fault and another error. */
int load_file(struct loading *loading, const char *name);

/* What faults call the source of that name. */
const char *load_file_of(const struct loading *loading, const char *name);

#endif
