/* SPDX-License-Identifier: MIT */
/*
 * policy_internal.h - what the files of this room share: the loaded policy, and one question to it.
 *
 * The decisions are made in Lua (lua/std, embedded). These files hand a question in, give the Lua
 * side what it needs (host_*.c), and take the decision out.
 */
#ifndef POLICY_POLICY_INTERNAL_H
#define POLICY_POLICY_INTERNAL_H

#include "base/map.h"
#include "base/mem.h"
#include "policy/memo.h"
#include "policy/policy.h"
#include "script/sandbox.h"
#include "script/source.h"
#include "value/schema.h"

#include <lua.h>

/* What the entries in lua/std return first. */
enum ruling { RULING_CALL, RULING_DEMO, RULING_ANSWER, RULING_FAIL, RULING_INVALID };

/* Which of the policy's own functions runs: who is to blame for a failure. */
enum stage {
    STAGE_NONE,
    STAGE_PEER_MAY,
    STAGE_BEFORE_CALL,
    STAGE_DEMO_HOOK,
    STAGE_DEMO_RESULT,
    STAGE_ARGUMENTS,
    STAGE_ON_FAILURE,
    STAGE_AFTER_CALL,
    STAGE_MESSAGE_FOR,
    STAGE_COUNT
};

/* The Lua functions that C calls, by the names they have in `host`. */
#define POLICY_ENTRIES(X)                 \
    X(DECIDE, "decide")                   \
    X(ON_FAILURE, "on_failure")           \
    X(AFTER_CALL, "after_call")           \
    X(PEER_MAY, "peer_may")               \
    X(MESSAGE, "message")                 \
    X(PHRASE, "phrase")                   \
    X(HUMAN, "human")                     \
    X(HAS_AGENT, "has_agent")             \
    X(MAY_USE_SERVICE, "may_use_service") \
    X(MAY_USE_TOOL, "may_use_tool")       \
    X(WOULD_DEMO, "would_demo")           \
    X(DESCRIBE_AGENT, "describe_agent")   \
    X(PUT_OPERATIONS, "put_operations")   \
    X(PUT_DEMO_TOOLS, "put_demo_tools")

enum policy_entry {
#define ENTRY(name, key) ENTRY_##name,
    POLICY_ENTRIES(ENTRY)
#undef ENTRY
        ENTRY_COUNT
};

/* One question: built on the stack by its asker, seen by the host functions while it lasts. */
struct question {
    enum policy_entry entry;
    const struct policy_call *call;        /* NULL: none is at hand, as for a list */
    struct slice service, tool;            /* what was asked for, "service/tool" taken apart */
    struct slice arguments;                /* the caller's, or what policy made of them */
    struct slice own_arguments;            /* the same, before they were mapped for a target */
    bool has_arguments, has_own_arguments; /* policy made them */
    struct slice result;                   /* MCP result kept by host.keep_result */
    enum stage stage;
    unsigned skipped; /* bits of stages that failed and are left out when asking again */
    struct buf *out;  /* for host.put and those who append */
    /* Pushes the arguments of the entry and returns how many; takes what it returned, from index
     * 1 on. Both run below sandbox_call and may raise. */
    int (*push)(lua_State *lua, struct policy *policy, struct question *question);
    void (*take)(lua_State *lua, struct policy *policy, struct question *question);
    void *arg; /* of the asker */
    bool yes;  /* what a question with yes or no for an answer got */
};

struct constant {
    char *bytes;
    size_t len;
};

struct demo {
    unsigned result, schema; /* of the tables below */
};

struct policy {
    unsigned references;
    struct sandbox *sandbox;
    int64_t budget_us;
    char *file; /* of the operator's policy.lua; NULL: built in */
    char *locale;
    int entries[ENTRY_COUNT]; /* registry references */
    int view;                 /* of the userdata that hooks see */
    struct view *view_data;
    bool has_after_call, has_peer_may;
    uint64_t agents, operations;
    /* what was made at load and never changes */
    struct constant *constants;
    unsigned constant_count;
    struct schema **schemas;
    unsigned schema_count;
    struct demo *demos;
    unsigned demo_count;
    struct memo memo;
    struct map interned; /* packed rules -> their number */
    unsigned interned_count;
    size_t kept_bytes;       /* by the above */
    struct loading *loading; /* NULL once loaded */
    /* of the question that is being answered, or was last */
    struct question *question;
    struct buf arguments, mapped, result;
    struct arena name_arenas[2], *names;
    size_t settled_bytes; /* of Lua memory after the last collection */
    uint64_t questions, remembered, errors, over_budget;
};

/* ---- load.c --------------------------------------------------------------------------------- */

#define POLICY_SOURCES_MAX 64

struct policy_source {
    const char *name;     /* as Lua's messages call it: "policy.lua", "builtin/policy.lua" */
    struct source source; /* its `file` is what faults call it */
    bool is_embedded;
};

struct loading {
    const struct policy_options *options;
    struct faults *faults;
    struct policy_source sources[POLICY_SOURCES_MAX];
    unsigned source_count;
    int loaded; /* registry reference: name -> what the file returned, `false` while it runs */
    int host;   /* registry reference of the table `host` */
};

/* ---- host.c, host_load.c, host_ask.c: what the Lua side calls ------------------------------------ */

struct policy *host_policy(lua_State *lua);            /* of a host function: its upvalue */
void host_open(lua_State *lua, struct policy *policy); /* pushes the table `host` */
void host_add_loading(lua_State *lua, struct policy *policy);
void host_add_asking(lua_State *lua, struct policy *policy);
void host_add(lua_State *lua, struct policy *policy, const char *name, lua_CFunction function);

enum policy_service host_state(const struct policy_call *call, struct slice service);

/* ---- view.c: what hooks see of a call ---------------------------------------------------------- */

struct view {
    struct policy *policy;
    bool has_arguments; /* kept as the userdata's user value */
};

void view_open(lua_State *lua, struct policy *policy);
void view_push_arguments(lua_State *lua, struct policy *policy);
void view_forget_arguments(lua_State *lua, struct policy *policy);

/* ---- result.c: MCP results ------------------------------------------------------------------- */

/* Makes an MCP result of what policy gave: a text, a result, or any other map as structured
 * content. */
int result_put(struct slice value, bool is_demo, struct buf *out, struct err *reterr);

/* ---- ask.c: the one way in ---------------------------------------------------------------------- */

#define POLICY_NAME_BYTES 1024 /* the longest name that a call may bring */
#define POLICY_RESULTS    7    /* values that an entry returns at most */

/* Asks. On failure the error was logged and counted, and question->stage says who failed. */
int policy_ask(struct policy *policy, struct question *question);

/* The same, and once more without a stage that failed and whose failure means "no opinion". */
int policy_ask_leniently(struct policy *policy, struct question *question);

const char *policy_stage_name(enum stage stage);

void policy_push_text(lua_State *lua, struct slice text);

/* Fills `failure` for arguments that do not fit. */
void policy_explain(const struct schema *schema, struct slice arguments,
                    struct failure *failure);

#endif
